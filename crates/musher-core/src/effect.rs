//! Effects: what the world must now do. One stays in the outbox until its result has come back as a command.

use serde::{Deserialize, Serialize};

use crate::approval::Ruled;
use crate::forge::ForgeWork;
use crate::id::{EffectId, FiringId, ItemId, RunId, WatchId};
use crate::time::Timestamp;

/// How a run is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// Asks first, then ends the whole tree.
    Interrupt,
    /// Ends the whole tree at once.
    Kill,
}

/// When a running agent reads a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// After its present tool call, where its program can, else at its next turn.
    Next,
    /// At once: its present turn is interrupted.
    Now,
}

/// Which tree a gate judges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateOn {
    /// The item's own worktree.
    Item,
    /// A merge worktree.
    Merge {
        /// The commit that is checked out there.
        commit: Box<str>,
        /// Which of the merge worktrees: each slot has its own.
        slot: u32,
    },
}

/// What a driver is to do. Small: the driver's request is made of it and of the state just before it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EffectKind {
    /// Make the item's worktree from the newest base, or adopt the right one that exists. → `WorktreeReady`
    CreateWorktree,
    /// Start the run, or attach to it when it already lives. → `RunStarted`, `RunProgress` …, `RunFinished`
    StartRun(RunId),
    /// End the run's whole process tree. → closed by the run's own end
    StopRun(RunId, Stop),
    /// Give the running agent a message. → `Told`
    TellRun {
        /// The run.
        run: RunId,
        /// The words.
        text: Box<str>,
        /// When it reads them.
        when: When,
    },
    /// Give the running agent the answer to what it asked. → `Told`
    AnswerRun {
        /// The run.
        run: RunId,
        /// The agent's own reference of the question.
        reference: Box<str>,
        /// Yes or no.
        ruled: Ruled,
        /// What it is told with a no.
        why: Box<str>,
    },
    /// Commit leftovers and look at the diff. → `Inspected`
    Inspect,
    /// Run the gate. → `GateFinished`
    Gate {
        /// Where.
        on: GateOn,
        /// The tree that it will speak of.
        tree: Box<str>,
        /// The command, as it was when this was decided: its verdict is filed under this text.
        gate: Box<str>,
    },
    /// Make the commits of a batch one on another in the object store. → `MergePrepared`
    PrepareMerge {
        /// Its items, in order.
        members: Box<[ItemId]>,
    },
    /// Rebase the item's branch in its own worktree; on a conflict leave the merge open there. → `Rebased`
    Rebase,
    /// Advance the target branch by compare-and-swap. → `LandingFinished`
    Land {
        /// The tip that it must still have.
        base: Box<str>,
        /// The new tip.
        commit: Box<str>,
    },
    /// Remove the worktree unless it holds something that is nowhere else. → `WorktreeRemoved`
    RemoveWorktree {
        /// Save everything under the attic ref and remove it anyway.
        discard: bool,
    },
    /// Bring the item's branch to `origin`. It is done also when it lies there already. → `Pushed`
    PushBranch {
        /// The commit.
        head: Box<str>,
        /// The value that the branch must still have there; none when it must not exist.
        expected: Option<Box<str>>,
    },
    /// Ask the forge. → `Forge` or `ForgeFailed`
    Forge(ForgeWork),
    /// Run the program of a watch. → `Probed`
    RunCheck {
        /// For which watch.
        watch: WatchId,
        /// The program and its arguments.
        argv: Box<[Box<str>]>,
    },
    /// Ask the check of a firing, and read the plan of its action. → `FiringPrepared`
    PrepareFiring(FiringId),
    /// Ask the address of a watch. → `Probed`
    FetchUrl {
        /// For which watch.
        watch: WatchId,
        /// The address.
        url: Box<str>,
    },
}

impl EffectKind {
    /// The word in the store and in logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::CreateWorktree => "create_worktree",
            Self::StartRun(_) => "start_run",
            Self::StopRun(..) => "stop_run",
            Self::TellRun { .. } => "tell_run",
            Self::AnswerRun { .. } => "answer_run",
            Self::Inspect => "inspect",
            Self::Gate { .. } => "gate",
            Self::PrepareMerge { .. } => "prepare_merge",
            Self::Rebase => "rebase",
            Self::Land { .. } => "land",
            Self::RemoveWorktree { .. } => "remove_worktree",
            Self::PushBranch { .. } => "push_branch",
            Self::Forge(work) => work.name(),
            Self::RunCheck { .. } => "run_check",
            Self::PrepareFiring(_) => "prepare_firing",
            Self::FetchUrl { .. } => "fetch_url",
        }
    }
}

/// An entry of the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// Its id; the driver does the same id once.
    pub id: EffectId,
    /// The item that it is for; none for a firing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<ItemId>,
    /// What to do.
    pub kind: EffectKind,
    /// When it was decided.
    pub at: Timestamp,
}
