//! Runs: one start of one agent for one item, what it used and how it ended.

use serde::{Deserialize, Serialize};

use crate::approval::Request;
use crate::help::HelpRequest;
use crate::id::{AgentId, Fence, ItemId, MissionId, RunId};
use crate::price::Tokens;
use crate::time::Timestamp;
use crate::tool::Submitted;

/// Why an agent was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// To do the item, or to mend it.
    #[default]
    Work,
    /// To resolve a conflict on the item's branch.
    Resolve,
    /// To judge the item.
    Review,
    /// To answer with a plan.
    Plan,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Its worktree and run host are starting.
    Starting,
    /// The agent's process lives.
    Running,
    /// It is over.
    Finished,
}

impl RunState {
    /// The word in the API and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Finished => "finished",
        }
    }
}

/// The sort of a failure; decides what is counted and what is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureClass {
    /// Program missing, not logged in, no network.
    Setup,
    /// The agent said so, or exited with an error.
    Agent,
    /// The gate was red, or the result broke a rule.
    Gate,
    /// Finished without changing anything.
    Empty,
    /// Silent for too long.
    Timeout,
    /// A limit on turns, duration, money or tokens.
    Limit,
    /// Its process vanished.
    Lost,
    /// The account of its agent is used up for now.
    RateLimit,
}

impl FailureClass {
    /// The word in events and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Agent => "agent",
            Self::Gate => "gate",
            Self::Empty => "empty",
            Self::Timeout => "timeout",
            Self::Limit => "limit",
            Self::Lost => "lost",
            Self::RateLimit => "rate_limit",
        }
    }
}

/// A limit of a run that its driver watches. What is used is watched where it is summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// It has used as many turns with a tool as it may.
    Turns,
    /// Nothing was heard of it for as long as it may be silent.
    Silence,
    /// It said more than is kept, so that nothing it says can be heard any more.
    Output,
    /// It made the same call with the same arguments [`LOOPS`] times in a row.
    Looping,
}

/// After how many equal calls in a row an agent is held to be looping.
pub const LOOPS: u32 = 10;

impl Limit {
    /// The sort of failure that it ends a run with.
    pub const fn class(self) -> FailureClass {
        match self {
            Self::Turns | Self::Looping | Self::Output => FailureClass::Limit,
            Self::Silence => FailureClass::Timeout,
        }
    }
}

/// The agent's session that an item is worked on in: another run of the same agent goes on in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The agent that it is a session of.
    pub agent: AgentId,
    /// Its id, as the agent's program has it.
    pub id: Box<str>,
}

/// What was used. Always a difference or a sum, never a level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens read, from a cache or not.
    #[serde(default)]
    pub input_tokens: u64,
    /// What of the tokens read came from a cache, as far as the agent tells.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cache_read_tokens: u64,
    /// What of the tokens read was put into a cache, as far as the agent tells.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cache_write_tokens: u64,
    /// Tokens written.
    #[serde(default)]
    pub output_tokens: u64,
    /// US dollars, in millionths, so that sums are exact.
    #[serde(default)]
    pub cost_micro_usd: u64,
    /// What of the cost is an estimate: the price of the model is not known, and the dearest known was taken.
    #[serde(default, skip_serializing_if = "is_default")]
    pub estimated_micro_usd: u64,
}

impl Usage {
    /// All tokens, read and written: what quotas count. One from a cache counts as much as any other.
    pub const fn tokens(self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// The tokens by what they are priced as. An agent may say that more came from a cache than it read; never more than
    /// was read is priced.
    pub fn priced_as(self) -> Tokens {
        let cache_read = self.cache_read_tokens.min(self.input_tokens);
        let cache_write = self.cache_write_tokens.min(self.input_tokens - cache_read);
        let input = self.input_tokens - cache_read - cache_write;
        Tokens { input, output: self.output_tokens, cache_read, cache_write }
    }

    /// US dollars, for people and the API.
    pub fn cost_usd(self) -> f64 {
        self.cost_micro_usd as f64 / 1e6
    }

    /// The sum.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            cache_read_tokens: self.cache_read_tokens.saturating_add(other.cache_read_tokens),
            cache_write_tokens: self.cache_write_tokens.saturating_add(other.cache_write_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            cost_micro_usd: self.cost_micro_usd.saturating_add(other.cost_micro_usd),
            estimated_micro_usd: self.estimated_micro_usd.saturating_add(other.estimated_micro_usd),
        }
    }

    /// What lies between two sums. Sums only grow; should one not, nothing lies between them.
    #[must_use]
    pub const fn since(self, before: Self) -> Self {
        Self {
            input_tokens: self.input_tokens.saturating_sub(before.input_tokens),
            cache_read_tokens: self.cache_read_tokens.saturating_sub(before.cache_read_tokens),
            cache_write_tokens: self.cache_write_tokens.saturating_sub(before.cache_write_tokens),
            output_tokens: self.output_tokens.saturating_sub(before.output_tokens),
            cost_micro_usd: self.cost_micro_usd.saturating_sub(before.cost_micro_usd),
            estimated_micro_usd: self.estimated_micro_usd.saturating_sub(before.estimated_micro_usd),
        }
    }
}

/// A reviewer's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Yes, with what was said.
    Approved(Box<str>),
    /// No, with what to mend.
    Rejected(Box<str>),
}

/// How a run ended, as its driver reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It said it was done. That proves nothing yet.
    Finished {
        /// The agent's closing words.
        summary: Box<str>,
        /// The agent's reason why nothing had to change.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        no_change_needed: Option<Box<str>>,
        /// Its answer, if it was asked to review.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        verdict: Option<Verdict>,
    },
    /// It failed.
    Failed {
        /// The sort of failure.
        class: FailureClass,
        /// What happened, one line.
        message: Box<str>,
        /// What a retry should be told: output, at most 8,000 bytes.
        #[serde(default)]
        detail: Box<str>,
    },
    /// The account of its agent is used up for now. Nothing is wrong with the work, and no attempt is counted.
    RateLimited {
        /// When it is not any more, if that was told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resets_at: Option<Timestamp>,
        /// What was said, one line.
        message: Box<str>,
    },
    /// The session that it was to go on in is not there any more. The next run begins another; no attempt is counted.
    SessionLost {
        /// What was said, one line.
        message: Box<str>,
    },
    /// It was interrupted or killed on request.
    Cancelled,
    /// Its process is gone and nobody knows how it ended.
    Lost {
        /// Musher or the machine was down meanwhile, so the agent is not to blame and no attempt is counted.
        while_down: bool,
    },
}

impl Outcome {
    /// The word in events and in the API.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Finished { .. } => "finished",
            Self::Failed { .. } => "failed",
            Self::RateLimited { .. } => "rate_limited",
            Self::SessionLost { .. } => "session_lost",
            Self::Cancelled => "cancelled",
            Self::Lost { .. } => "lost",
        }
    }

    /// The class, for failures.
    pub const fn class(&self) -> Option<FailureClass> {
        match self {
            Self::Finished { .. } | Self::Cancelled | Self::SessionLost { .. } => None,
            Self::RateLimited { .. } => Some(FailureClass::RateLimit),
            Self::Failed { class, .. } => Some(*class),
            Self::Lost { .. } => Some(FailureClass::Lost),
        }
    }
}

/// Whether a row may leave a field out: reading gives it back. Most rows are written several times, and most of their
/// counters never move.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Its id; also the name of its folder.
    pub id: RunId,
    /// The mission.
    pub mission: MissionId,
    /// The item.
    pub item: ItemId,
    /// The agent.
    pub agent: AgentId,
    /// Why it was started.
    #[serde(default, skip_serializing_if = "is_default")]
    pub purpose: Purpose,
    /// The item's fence when it was assigned.
    pub fence: Fence,
    /// Which attempt this is; the first is 1.
    pub attempt: u32,
    /// Where it stands.
    pub state: RunState,
    /// When it was assigned.
    pub assigned_at: Timestamp,
    /// When its process started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// What it has used so far.
    #[serde(default, skip_serializing_if = "is_default")]
    pub usage: Usage,
    /// When the agent was last heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_activity_at: Option<Timestamp>,
    /// The process id of its run host, while that does not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_host: Option<i32>,
    /// The session that it was told to go on in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumes: Option<Box<str>>,
    /// The limit that it is being stopped for, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<(Limit, Box<str>)>,
    /// The quota that it is being stopped for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capped: Option<crate::quota::Denied>,
    /// What the accounts hold of it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub share: crate::quota::Share,
    /// What it has asked a person, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<Request>,
    /// What it has asked the operator, the latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub help: Vec<HelpRequest>,
    /// How far it is, in its own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Box<str>>,
    /// What it said that it ends with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted: Option<Box<Submitted>>,
    /// What it said of the change that it reviews.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

impl Run {
    /// Whether its process may be alive.
    pub const fn is_live(&self) -> bool {
        match self.state {
            RunState::Starting | RunState::Running => true,
            RunState::Finished => false,
        }
    }

    /// Whether its agent has asked something that nobody has answered yet: it is silent because of that.
    pub fn awaits_a_person(&self) -> bool {
        self.requests.iter().any(Request::is_open) || self.help.iter().any(HelpRequest::is_open)
    }
}
