//! The mission: a goal, its policy, its table of states, and how it is judged.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::MissionId;
use crate::time::Timestamp;

mod add;
mod help;
mod judge;
mod operate;
mod rest;
mod share;
mod start;

pub use add::AddItem;
pub(crate) use add::{add_item, free_key};
pub use help::{Cause, Help};
pub(crate) use help::{due as help_due, replies as help_replies};
pub use judge::judge;
pub(crate) use operate::find;
pub use operate::{approve, pause, resume, stop, weigh};
pub use rest::is_at_rest;
pub(crate) use rest::is_held_up_outside;
pub use share::{Share, WEIGHTS};
pub(crate) use start::made;
pub use start::{MissionItem, StartMission, start};

/// Where a mission's merged work goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// Into the base branch.
    #[default]
    Merge,
    /// Into the mission's integration branch.
    Branch,
    /// Into a pull request each, which the forge merges.
    Pr,
}

impl Delivery {
    /// The word in config and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::Branch => "branch",
            Self::Pr => "pr",
        }
    }
}

/// What becomes of an item whose run a quota has stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnCap {
    /// It is blocked until a person retries it.
    #[default]
    Block,
    /// It is ready again, and waits for the quota.
    Requeue,
    /// It is in the dead letter.
    Fail,
}

impl OnCap {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Block, Self::Requeue, Self::Fail];

    /// The word in the configuration and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Requeue => "requeue",
            Self::Fail => "fail",
        }
    }
}

/// What becomes of an item whose agent's account is used up for now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnRateLimit {
    /// It waits for that account, and goes on in its session.
    #[default]
    Wait,
    /// The next fitting agent of another account takes it at once; without one it waits.
    Failover,
    /// It waits, and a person may let another account take it.
    Ask,
}

impl OnRateLimit {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Wait, Self::Failover, Self::Ask];

    /// The word in the configuration and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Failover => "failover",
            Self::Ask => "ask",
        }
    }
}

/// What musher may do by itself in a mission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// How many items may be assigned, running or verifying at once; at least 1. Default 2.
    pub max_parallel_items: u32,
    /// Whether implement and test items need a review. Default true.
    pub reviewer_required: bool,
    /// Whether the forge is asked to merge by itself (pull requests only). Default false.
    pub auto_merge: bool,
    /// Seconds between two looks of a watch; at least 1. Default 180.
    pub watch_interval_secs: u64,
    /// Counted failures before the dead letter; at least 1. Default 3.
    pub max_retries: u32,
    /// Spent dollars at which the mission stops dispatching; none = no cap.
    pub budget_usd: Option<f64>,
    /// Used tokens at which the mission stops dispatching; none = no cap.
    pub budget_tokens: Option<u64>,
    /// How many items its agents may add. Default 20.
    pub max_added_items: u32,
    /// What becomes of an item whose run a quota has stopped. Default block.
    pub on_cap: OnCap,
    /// What becomes of an item whose agent's account is used up for now. Default wait.
    pub on_rate_limit: OnRateLimit,
    /// When the mission has failed if it is not done; none = never.
    pub deadline: Option<Timestamp>,
    /// Its share of what can be dispatched, beside other missions: 1 to 100. Default 1.
    pub weight: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_parallel_items: 2,
            reviewer_required: true,
            auto_merge: false,
            watch_interval_secs: 180,
            max_retries: 3,
            budget_usd: None,
            budget_tokens: None,
            max_added_items: 20,
            on_cap: OnCap::default(),
            on_rate_limit: OnRateLimit::default(),
            deadline: None,
            weight: 1,
        }
    }
}

/// The state of a mission: the rows of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissionState {
    /// Its graph is being made.
    Planning,
    /// Its graph is shown to a person first.
    AwaitingApproval,
    /// Items are dispatched.
    Running,
    /// Nothing can go on without help from outside.
    Blocked,
    /// A person stopped the dispatch.
    Paused,
    /// All items done.
    Completed,
    /// It cannot be done any more.
    Failed,
    /// A person gave it up.
    Cancelled,
}

/// What happens to a mission: the columns of its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MissionEvent {
    /// Its graph is ready and needs no yes.
    Start,
    /// Its graph is ready and a person is asked.
    Ask,
    /// The person said yes.
    Approve,
    /// Nothing can go on.
    Block,
    /// Something can go on again.
    Unblock,
    /// A person pauses it.
    Pause,
    /// A person resumes it.
    Resume,
    /// All items are done.
    Complete,
    /// The deadline passed.
    Fail,
    /// A person gives it up.
    Cancel,
}

impl MissionState {
    /// Every state, in the order of the table.
    pub const ALL: [Self; 8] = [
        Self::Planning,
        Self::AwaitingApproval,
        Self::Running,
        Self::Blocked,
        Self::Paused,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The word on the command line, in the API and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Planning => "planning",
            Self::AwaitingApproval => "awaiting_approval",
            Self::Running => "running",
            Self::Blocked => "blocked",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it has ended.
    pub const fn is_terminal(self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::Cancelled => true,
            Self::Planning | Self::AwaitingApproval | Self::Running | Self::Blocked | Self::Paused => false,
        }
    }

    /// Whether its ready items may be dispatched.
    pub const fn dispatches(self) -> bool {
        matches!(self, Self::Running | Self::Blocked)
    }
}

impl MissionEvent {
    /// Every event, in the order of the table.
    pub const ALL: [Self; 10] = [
        Self::Start,
        Self::Ask,
        Self::Approve,
        Self::Block,
        Self::Unblock,
        Self::Pause,
        Self::Resume,
        Self::Complete,
        Self::Fail,
        Self::Cancel,
    ];

    /// The word in the documentation.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Ask => "ask",
            Self::Approve => "approve",
            Self::Block => "block",
            Self::Unblock => "unblock",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Complete => "complete",
            Self::Fail => "fail",
            Self::Cancel => "cancel",
        }
    }

    /// What it means, for the documentation.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Start => "its graph is ready and needs no yes",
            Self::Ask => "its graph is ready and a person is asked: `--approve`",
            Self::Approve => "`musher mission approve`",
            Self::Block => "nothing can go on without help",
            Self::Unblock => "what was missing has turned up",
            Self::Pause => "`musher mission pause`, or a note",
            Self::Resume => "`musher mission resume`, or a note",
            Self::Complete => "every item is done, skipped or superseded, and no watch is open",
            Self::Fail => "its deadline has passed",
            Self::Cancel => "`musher mission stop`, or a note",
        }
    }
}

/// The state that follows, or nothing when the event is refused there.
pub const fn moved(from: MissionState, event: MissionEvent) -> Option<MissionState> {
    use MissionEvent as E;
    use MissionState as S;
    match from {
        S::Planning => match event {
            E::Start => Some(S::Running),
            E::Ask => Some(S::AwaitingApproval),
            E::Fail => Some(S::Failed),
            E::Cancel => Some(S::Cancelled),
            E::Approve | E::Block | E::Unblock | E::Pause | E::Resume | E::Complete => None,
        },
        S::AwaitingApproval => match event {
            E::Approve => Some(S::Running),
            E::Fail => Some(S::Failed),
            E::Cancel => Some(S::Cancelled),
            E::Start | E::Ask | E::Block | E::Unblock | E::Pause | E::Resume | E::Complete => None,
        },
        S::Running => match event {
            E::Block => Some(S::Blocked),
            E::Pause => Some(S::Paused),
            E::Complete => Some(S::Completed),
            E::Fail => Some(S::Failed),
            E::Cancel => Some(S::Cancelled),
            E::Start | E::Ask | E::Approve | E::Unblock | E::Resume => None,
        },
        S::Blocked => match event {
            E::Unblock | E::Resume => Some(S::Running),
            E::Complete => Some(S::Completed),
            E::Fail => Some(S::Failed),
            E::Cancel => Some(S::Cancelled),
            E::Start | E::Ask | E::Approve | E::Block | E::Pause => None,
        },
        S::Paused => match event {
            E::Resume => Some(S::Running),
            E::Fail => Some(S::Failed),
            E::Cancel => Some(S::Cancelled),
            E::Start | E::Ask | E::Approve | E::Block | E::Unblock | E::Pause | E::Complete => None,
        },
        S::Completed | S::Failed | S::Cancelled => match event {
            E::Start
            | E::Ask
            | E::Approve
            | E::Block
            | E::Unblock
            | E::Pause
            | E::Resume
            | E::Complete
            | E::Fail
            | E::Cancel => None,
        },
    }
}

/// What the dispatcher remembers of a mission.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Dispatcher {
    /// When help was last asked.
    pub last_help_at: Option<Timestamp>,
    /// What help was asked for.
    pub last_help_reason: Option<Box<str>>,
    /// How often in a row; sets the time to the next.
    pub help_attempts: u32,
    /// Why its first ready item finds no agent, when that is worth an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<crate::wait::WaitCode>,
    /// What it has last asked a person for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<Box<Help>>,
    /// When a note last took effect: that is progress, as is an item or a watch that moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noted_at: Option<Timestamp>,
}

/// How many items are in each phase.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// By the order of [`crate::item::Phase::ALL`].
    pub by_phase: [u32; 13],
    /// Failed or cancelled ones that count as satisfied.
    pub satisfied: u32,
    /// Frozen ones.
    #[serde(default)]
    pub frozen: u32,
}

/// A mission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mission {
    /// Its id.
    pub id: MissionId,
    /// What is to be reached, one line.
    pub goal: Box<str>,
    /// What musher may do by itself.
    pub policy: Policy,
    /// Where it stands.
    pub state: MissionState,
    /// Why it stands still, when it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_reason: Option<Box<str>>,
    /// The branch that its work is made from and, with delivery `merge`, goes into.
    pub base: Box<str>,
    /// Where its merged work goes.
    pub delivery: Delivery,
    /// Who started it.
    pub owner: Box<str>,
    /// What the dispatcher remembers.
    #[serde(default)]
    pub dispatcher: Dispatcher,
    /// When it was started.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it ended; it is archived `done_retention` later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

impl Mission {
    /// The ref of its base branch.
    pub fn base_ref(&self) -> String {
        format!("refs/heads/{}", self.base)
    }

    /// The ref that its items merge into.
    pub fn target_ref(&self) -> String {
        match self.delivery {
            Delivery::Merge | Delivery::Pr => self.base_ref(),
            Delivery::Branch => format!("refs/heads/{}", self.integration_branch()),
        }
    }

    /// The branch that gathers its work with delivery `branch`.
    ///
    /// It cannot be `musher/<mission>`: git cannot hold a branch of that name beside `musher/<mission>/<item>`.
    pub fn integration_branch(&self) -> String {
        format!("musher/{}/integration", self.id.short())
    }

    /// The one moment at which it wants to be looked at again, if any: its deadline, or its archiving.
    pub fn due(&self, done_retention: Duration) -> Option<Timestamp> {
        match self.ended_at {
            Some(ended_at) => Some(ended_at.after(done_retention)),
            None => self.policy.deadline,
        }
    }
}

/// How often a mission would be judged if it were judged on a beat.
pub const TICK_INTERVAL: Duration = Duration::from_secs(30);

/// After this long without progress a mission is stuck: 6 × the tick interval, at least 180 s.
pub const STUCK_AFTER: Duration = {
    let six_ticks = 6 * TICK_INTERVAL.as_secs();
    Duration::from_secs(if six_ticks > 180 { six_ticks } else { 180 })
};

#[cfg(test)]
mod tests {
    use super::*;

    /// `.` is refused. pl planning, aw awaiting_approval, ru running, bl blocked, pa paused, co completed, fa failed,
    /// ca cancelled.
    const TABLE: &str = "
        state start ask approve block unblock pause resume complete fail cancel
        pl    ru    aw  .       .     .       .     .      .        fa   ca
        aw    .     .   ru      .     .       .     .      .        fa   ca
        ru    .     .   .       bl    .       pa    .      co       fa   ca
        bl    .     .   .       .     ru      .     ru     co       fa   ca
        pa    .     .   .       .     .       .     ru     .        fa   ca
        co    .     .   .       .     .       .     .      .        .    .
        fa    .     .   .       .     .       .     .      .        .    .
        ca    .     .   .       .     .       .     .      .        .    .";

    #[test]
    fn every_state_answers_every_event_as_the_table_says() {
        let mut lines = TABLE.lines().skip(1).map(|l| l.split_whitespace().collect::<Vec<_>>());
        let header = lines.next().unwrap();
        let events: Vec<String> = MissionEvent::ALL.iter().map(|e| format!("{e:?}").to_lowercase()).collect();
        assert_eq!(header[1..], events);
        let rows: Vec<_> = lines.collect();
        assert_eq!(rows.len(), MissionState::ALL.len());
        for (row, from) in rows.iter().zip(MissionState::ALL) {
            assert_eq!(row[0], &from.name()[..2]);
            for (cell, event) in row[1..].iter().zip(MissionEvent::ALL) {
                let to = moved(from, event).map_or(".", |s| &s.name()[..2]);
                assert_eq!(&to, cell, "{from:?} on {event:?}");
            }
        }
    }
}
