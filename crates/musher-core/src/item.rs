//! The work item: one node of a mission's graph, and the table of what may follow each of its states.

use serde::{Deserialize, Serialize};

use crate::forge::Reference;
use crate::id::{AgentId, CallId, Fence, ItemId, MissionId, RunId};
use crate::run::Usage;
use crate::time::Timestamp;

mod freeze;
mod limited;
mod operate;
mod planned;
mod progress;
mod reopen;
mod supersede;
mod table;

pub use freeze::{demote, freeze};
pub use limited::fail_over;
pub(crate) use limited::limited_by;
pub use operate::{
    LONGEST_MESSAGE, cancel, discard, driver_failed, hold, release, retry, skip, stop_run, tell_run, told,
    worktree_removed,
};
pub(crate) use operate::{cancelled, stop_effect, tell_effect};
pub use progress::{
    assign, limit_reached, promote, run_finished, run_progress, run_started, session_started, worktree_failed,
    worktree_ready,
};
pub(crate) use progress::{go, new_run, worktree_leftover};
pub use reopen::reopen;
pub use supersede::supersede;
pub use table::{ItemEvent, Phase, moved};

/// What sort of work an item is. Decides which agents fit and whether a review and a change are expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A proposal or an investigation; may end without a change.
    Design,
    /// A change to the code.
    #[default]
    Implement,
    /// A change to the tests.
    Test,
    /// A judgement on other work; may end without a change.
    Review,
    /// A check before others may merge.
    MergeGate,
    /// A fix that other work asked for.
    Followup,
}

impl Kind {
    /// Every kind, in the order of the documentation.
    pub const ALL: [Self; 6] =
        [Self::Design, Self::Implement, Self::Test, Self::Review, Self::MergeGate, Self::Followup];

    /// The word in plan files, on the command line and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Design => "design",
            Self::Implement => "implement",
            Self::Test => "test",
            Self::Review => "review",
            Self::MergeGate => "merge_gate",
            Self::Followup => "followup",
        }
    }

    /// Whether a run of this kind may rightly end without having changed anything.
    pub const fn may_be_empty(self) -> bool {
        matches!(self, Self::Design | Self::Review)
    }

    /// Whether work of this kind is reviewed when the mission's policy asks for reviewers.
    pub const fn wants_review(self) -> bool {
        matches!(self, Self::Implement | Self::Test)
    }
}

/// What an item is to come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wants {
    /// A change of the repository, or the reason why none is needed: it is verified and merged.
    #[default]
    Change,
    /// A plan, in the agent's closing words: it is read as `musher plan check` reads it, and nothing is merged.
    Plan,
}

impl Wants {
    /// The word in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Plan => "plan",
        }
    }
}

/// How urgent an item is; lower sorts first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Before everything, on the least loaded agent.
    Critical,
    /// Before the ordinary.
    High,
    /// The ordinary.
    #[default]
    Medium,
    /// After everything.
    Low,
}

impl Priority {
    /// Every priority, most urgent first.
    pub const ALL: [Self; 4] = [Self::Critical, Self::High, Self::Medium, Self::Low];

    /// The word in plan files, notes, on the command line and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

/// Who must be content with a verified item before it merges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Qa {
    /// The gate suffices.
    #[default]
    Server,
    /// A reviewing run as well.
    Agent,
    /// A person must approve.
    Human,
}

impl Qa {
    /// The word in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Agent => "agent",
            Self::Human => "human",
        }
    }
}

/// Why musher has stopped trying; a person or a note frees the item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockedReason {
    /// Three empty runs in a row, or eight in all.
    NothingChanges,
    /// Three merge failures in a row; the text is the last of them.
    MergeFailures(Box<str>),
    /// The resolver budget is used up.
    ConflictsUnresolved,
    /// A cap on money or tokens was reached; the text names it.
    Cap(Box<str>),
    /// What it watches outside could not be looked at five times in a row; the text is the last error.
    Watch(Box<str>),
    /// Its pull request was closed without a merge, or its branch is not musher's any more; the text says what is.
    Pull(Box<str>),
    /// The fix runs for red checks are used up; the text names the checks.
    Checks(Box<str>),
}

impl BlockedReason {
    /// The reason in words.
    pub fn text(&self) -> String {
        match self {
            Self::NothingChanges => "its runs keep finishing without changing anything".to_owned(),
            Self::MergeFailures(last) => format!("three merge failures in a row, the last: {last}"),
            Self::ConflictsUnresolved => "three resolver runs have not resolved its conflict".to_owned(),
            Self::Cap(cap) => cap.to_string(),
            Self::Watch(error) => format!("5 looks in a row have failed, the last: {error}"),
            Self::Pull(what) => what.to_string(),
            Self::Checks(what) => format!("its fix runs for red checks are used up: {what}"),
        }
    }
}

/// What made a merge fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeFailure {
    /// The same lines were changed on both sides, and a mechanical rebase did not help.
    Conflict,
    /// The gate is red on the merged tree.
    Gate,
    /// The merge would change nothing.
    Empty,
    /// The base moved on while this was being merged, more often than musher tries.
    BaseMoved,
    /// Git or the forge refused it.
    Refused,
}

impl MergeFailure {
    /// The word in events and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Gate => "gate",
            Self::Empty => "empty",
            Self::BaseMoved => "base_moved",
            Self::Refused => "refused",
        }
    }
}

/// Why an item will never be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cancelled {
    /// A person, or the end of its mission, gave it up.
    Abandoned,
    /// Another item does its work.
    Superseded(ItemId),
    /// A reviewer turned the whole item down.
    Rejected,
}

/// Where in the merge an item is. Only the members of one batch are being prepared, gated or landed at a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeStage {
    /// In the queue.
    Queued,
    /// It is in a batch that is being made in the object store.
    Preparing,
    /// A conflict: its branch is being rebased in its own worktree.
    Rebasing,
    /// Its batch stands, and the gate judges it.
    Gating(Prepared),
    /// The base is being advanced to the merged commit.
    Landing(Prepared),
    /// The checkout of the base is not clean, or the disk is full; looked at again at this moment.
    Held {
        /// When the merge is tried again.
        until: Timestamp,
        /// What stands in the way, in words.
        why: Box<str>,
        /// Whether it is then tried in a batch of its own.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        alone: bool,
    },
}

/// A merge that exists in the object store but not yet in the base.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// The tip of the target branch that it was made on.
    pub base: Box<str>,
    /// The commit that would become the new tip.
    pub commit: Box<str>,
    /// Its tree.
    pub tree: Box<str>,
}

/// What a waiting item waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waiting {
    /// An agent's or a person's review.
    Review,
    /// A person's yes.
    Approval,
    /// Its pull request: checks, reviews, and the merge.
    Watches,
    /// Nothing any more: it leaves in the next pass.
    Clear,
}

/// The state of an item, with what is known in just that state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemState {
    /// A dependency is not done.
    Pending,
    /// May be dispatched, from `not_before` on.
    Ready,
    /// An agent is chosen and its lease is granted; worktree and run host are starting.
    Assigned,
    /// The agent works.
    Running,
    /// Musher checks the result and runs the gate.
    Verifying,
    /// On a review or an approval.
    Waiting(Waiting),
    /// In the merge queue.
    Merging(MergeStage),
    /// The merge failed; what follows is decided in the same moment.
    MergeFailed(MergeFailure),
    /// Merged, or accepted without a merge.
    Done,
    /// Musher has stopped trying.
    Blocked(BlockedReason),
    /// An operator took it out.
    Held {
        /// The state that `item release` brings back.
        resume_to: Phase,
        /// The operator's words.
        reason: Box<str>,
    },
    /// The dead letter: retries used up.
    Failed(Box<str>),
    /// Will never be done.
    Cancelled(Cancelled),
}

/// The worktree of an item, as far as musher has been told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Worktree {
    /// There is none.
    #[default]
    None,
    /// It is being made.
    Creating,
    /// It is there.
    Ready,
    /// It is being removed.
    Removing,
    /// It holds something that is nowhere else, so it stays; `musher gc` lists it with this reason.
    Kept(Box<str>),
}

/// Why the next run is not the first: what its prompt says beyond the body. The texts are stored with the run named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fix {
    /// The run failed.
    Failed(RunId),
    /// The gate was red; its tail is kept with the run.
    Gate(RunId),
    /// The merge conflicted; the hunks are kept with the run.
    Conflict(RunId),
    /// A reviewer asked for changes; the words are kept with the run.
    Rejected(RunId),
    /// Checks of its pull request are red; the end of their log is kept with the run.
    Checks(RunId),
    /// Another agent's account was used up; what it had done is kept with the run.
    HandedOver(RunId),
}

impl Fix {
    /// The run whose stored text explains what to mend.
    pub const fn run(self) -> RunId {
        match self {
            Self::Failed(run)
            | Self::Gate(run)
            | Self::Conflict(run)
            | Self::Rejected(run)
            | Self::Checks(run)
            | Self::HandedOver(run) => run,
        }
    }
}

/// A yes that the next new commit clears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Who said it.
    pub by: Box<str>,
    /// The commit that it was said about.
    pub head: Box<str>,
}

/// An item whose agent's account, or whose reviewer's, is used up for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limited {
    /// The agent, whose session goes on when it takes the item again; or the reviewer.
    pub agent: AgentId,
    /// The run that was cut short; what it had done is stored with it.
    pub run: RunId,
    /// Whether another account may take the item meanwhile.
    pub then: crate::mission::OnRateLimit,
}

/// How an agent added an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Added {
    /// Its run.
    pub run: RunId,
    /// The use of the tool.
    pub call: CallId,
}

/// A work item. Its body is on disk, under its id; everything that decisions need is here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Its id.
    pub id: ItemId,
    /// The mission it belongs to.
    pub mission: MissionId,
    /// Its id in the plan, unique within the mission.
    pub key: Box<str>,
    /// Its place in the plan, from 0; the tie-break of age.
    pub number: u32,
    /// One line.
    pub title: Box<str>,
    /// What sort of work.
    pub kind: Kind,
    /// What it is to come to.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub wants: Wants,
    /// The role that an agent should have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Box<str>>,
    /// How urgent.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub priority: Priority,
    /// Capabilities that an agent must have, all of them.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub labels: Box<[Box<str>]>,
    /// Globs of what it will change; items that overlap do not run at once.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub touches: Box<[Box<str>]>,
    /// Files at which its merge has conflicted: those that it and others have both changed, declared or not.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub clashes: Box<[Box<str>]>,
    /// What must be done first.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub depends_on: Box<[ItemId]>,
    /// The only agent that may take it, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<Box<str>>,
    /// Replaces the project's gate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Box<str>>,
    /// Replaces the project's quality assurance mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qa: Option<Qa>,
    /// Replaces the policy's `max_retries`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
    /// Where it stands.
    pub state: ItemState,
    /// Nothing new begins for it until it is released; an operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<Box<str>>,
    /// Counted as done for those that depend on it, though it is failed or cancelled (`item skip`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub satisfied: bool,
    /// Runs that counted and failed since it was last given a fresh start.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub attempts: u32,
    /// Not dispatched before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// The disk had no room for its worktree; `not_before` is when musher looks again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_room: bool,
    /// The account that its last run used up, while it is ready again; or its review, while it waits for another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limited: Option<Box<Limited>>,
    /// Grows with every assignment; a report with an older one is refused.
    pub fence: Fence,
    /// The agent of its present or last run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentId>,
    /// Its present or last run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The reviewing run under way, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_run: Option<RunId>,
    /// Its worktree.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub worktree: Worktree,
    /// The slot of its worktree: ten ports of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
    /// The commit that its worktree was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_commit: Option<Box<str>>,
    /// When its branch last stood on the newest base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_at: Option<Timestamp>,
    /// The verified tip of its branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Box<str>>,
    /// The commit in the target branch, once merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged: Option<Box<str>>,
    /// The yes it has, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<Approval>,
    /// Accepted without a merge when it leaves the waiting state.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_merge: bool,
    /// A person gave it a fresh start: a gate that was red on its tree is asked once more, for the world may have changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub regate: bool,
    /// What its next run has to mend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
    /// Why it last failed, one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<Box<str>>,
    /// The agent's session that it is worked on in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Box<crate::run::Session>>,
    /// Merge failures in a row.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub merge_failures: u32,
    /// How often in a row its merge had to wait for the base; sets the next wait.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub merge_tries: u32,
    /// Resolver runs so far.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub resolver_runs: u32,
    /// Empty runs in a row, and in all.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub empty_runs: (u32, u32),
    /// What all its runs have used.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub usage: Usage,
    /// When it was made.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub updated_at: Timestamp,
    /// When it entered the merge queue: its place there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queued_at: Option<Timestamp>,
    /// The turn that its mission had when it was last dispatched ([`crate::mission::Share`]); 0 before.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub turn: u64,
    /// Its inbox: what the agents of other items have sent to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<crate::message::Message>,
    /// The run that added it, if an agent did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added: Option<Box<Added>>,
    /// The done item that it follows up on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<ItemId>,
    /// The issue that it comes from: its pull request closes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue: Option<Reference>,
}

impl Item {
    /// The state without its particulars.
    pub fn phase(&self) -> Phase {
        Phase::of(&self.state)
    }

    /// Whether those that depend on it may start.
    pub fn satisfies(&self) -> bool {
        self.satisfied || matches!(self.state, ItemState::Done)
    }

    /// Whether nothing will happen to it any more by itself.
    pub fn is_terminal(&self) -> bool {
        match self.phase() {
            Phase::Done | Phase::Failed | Phase::Cancelled => true,
            Phase::Pending
            | Phase::Ready
            | Phase::Assigned
            | Phase::Running
            | Phase::Verifying
            | Phase::Waiting
            | Phase::Merging
            | Phase::MergeFailed
            | Phase::Blocked
            | Phase::Held => false,
        }
    }

    /// Whether it takes one of its mission's parallel slots.
    pub fn takes_slot(&self) -> bool {
        matches!(self.phase(), Phase::Assigned | Phase::Running | Phase::Verifying)
    }

    /// Whether an agent's process may be at work on it.
    pub fn is_live(&self) -> bool {
        matches!(self.phase(), Phase::Assigned | Phase::Running)
    }

    /// Whether it waits for a review that nobody makes yet.
    pub fn wants_reviewer(&self) -> bool {
        self.state == ItemState::Waiting(Waiting::Review) && self.review_run.is_none()
    }

    /// A person gives it a fresh start: nothing that has failed counts any more.
    pub(crate) fn start_afresh(&mut self) {
        self.attempts = 0;
        self.regate = true;
        self.empty_runs = (0, 0);
        self.merge_failures = 0;
        self.resolver_runs = 0;
    }

    /// Whether it is frozen and nothing of it is in flight that would come to an end by itself.
    pub fn rests_frozen(&self) -> bool {
        self.frozen.is_some()
            && match &self.state {
                ItemState::Pending
                | ItemState::Ready
                | ItemState::Blocked(_)
                | ItemState::Merging(MergeStage::Queued | MergeStage::Held { .. })
                | ItemState::Waiting(Waiting::Approval | Waiting::Watches) => true,
                ItemState::Waiting(Waiting::Review) => self.review_run.is_none(),
                ItemState::Assigned
                | ItemState::Running
                | ItemState::Verifying
                | ItemState::Waiting(Waiting::Clear)
                | ItemState::Merging(
                    MergeStage::Preparing | MergeStage::Rebasing | MergeStage::Gating(_) | MergeStage::Landing(_),
                )
                | ItemState::MergeFailed(_)
                | ItemState::Done
                | ItemState::Held { .. }
                | ItemState::Failed(_)
                | ItemState::Cancelled(_) => false,
            }
    }

    /// The one moment at which it wants to be looked at again, if any.
    pub fn due(&self) -> Option<Timestamp> {
        match &self.state {
            ItemState::Ready => self.not_before,
            ItemState::Merging(MergeStage::Held { until, .. }) => Some(*until),
            ItemState::Merging(
                MergeStage::Queued
                | MergeStage::Preparing
                | MergeStage::Rebasing
                | MergeStage::Gating(_)
                | MergeStage::Landing(_),
            )
            | ItemState::Pending
            | ItemState::Assigned
            | ItemState::Running
            | ItemState::Verifying
            | ItemState::Waiting(_)
            | ItemState::MergeFailed(_)
            | ItemState::Done
            | ItemState::Blocked(_)
            | ItemState::Held { .. }
            | ItemState::Failed(_)
            | ItemState::Cancelled(_) => None,
        }
    }

    /// The item's branch: `musher/<mission>/<item>-<slug>`.
    pub fn branch(&self) -> String {
        format!("musher/{}/{}", self.mission.short(), self.slug())
    }

    /// The folder of its worktree below `.musher/worktrees`.
    pub fn worktree_name(&self) -> String {
        format!("{}-{}", self.mission.short(), self.slug())
    }

    /// Its short id and the beginning of its key: unique, and readable in a list of branches.
    fn slug(&self) -> String {
        let key: String = self.key.chars().take(32).collect();
        format!("{}-{}", self.id.short(), key.trim_end_matches('-'))
    }

    /// Why it is where it is, one line, for the states that have a reason.
    pub fn reason(&self) -> Option<String> {
        if let Some(why) = &self.frozen {
            return Some(format!("frozen: {why}"));
        }
        match &self.state {
            ItemState::Blocked(reason) => Some(reason.text()),
            ItemState::Held { reason, .. } => Some(reason.to_string()),
            ItemState::Failed(reason) => Some(reason.to_string()),
            ItemState::MergeFailed(kind) => Some(kind.name().to_owned()),
            ItemState::Cancelled(Cancelled::Abandoned) => Some("abandoned".to_owned()),
            ItemState::Cancelled(Cancelled::Superseded(by)) => Some(format!("superseded by {}", by.short())),
            ItemState::Cancelled(Cancelled::Rejected) => Some("rejected".to_owned()),
            ItemState::Merging(MergeStage::Held { why, .. }) => Some(why.to_string()),
            ItemState::Ready if self.fix.is_some() || self.attempts > 0 => {
                self.last_error.as_deref().map(str::to_owned)
            }
            ItemState::Ready
            | ItemState::Pending
            | ItemState::Assigned
            | ItemState::Running
            | ItemState::Verifying
            | ItemState::Waiting(_)
            | ItemState::Merging(_)
            | ItemState::Done => None,
        }
    }
}
