//! Commands: wishes of people, reports of drivers, and the steps that musher gives itself.

use serde::{Deserialize, Serialize};

use crate::agent::AgentSpec;
use crate::approval::{Ask, Ruled};
use crate::config::ProjectSettings;
use crate::effect::{Stop, When};
use crate::firing::Prepared;
use crate::forge::{ForgeAnswer, ForgeFailure, Hint};
use crate::id::{
    AgentId, EffectId, FiringId, ItemId, MissionId, RequestId, RunId, ScheduleId, Seq, TriggerId, WatchId,
};
use crate::message::Message;
use crate::mission::StartMission;
use crate::run::{FailureClass, Limit, Outcome, Usage};
use crate::schedule::ScheduleSpec;
use crate::sink::{DeliveryFailure, SinkSpec};
use crate::tool::ToolUse;
use crate::trigger::TriggerSpec;
use crate::watch::{Holds, WatchKind};

/// Who wishes or reports.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// A person, by name.
    Operator(Box<str>),
    /// Musher itself.
    Musher,
    /// The agent of this run.
    Run(RunId),
}

impl Actor {
    /// The word in events.
    pub fn text(&self) -> String {
        match self {
            Self::Operator(name) => name.to_string(),
            Self::Musher => "musher".to_owned(),
            Self::Run(run) => format!("run:{}", run.short()),
        }
    }
}

/// What came of an effect. Carried by [`Command::Report`]; refused when the effect is no longer open.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// The worktree is there.
    WorktreeReady {
        /// The commit that it was made from.
        base_commit: Box<str>,
    },
    /// The worktree could not be made.
    WorktreeFailed {
        /// What outside of the item is lacking: it waits for that, and nothing is counted against it.
        lacking: Option<Lacking>,
        /// What happened and how to mend it.
        error: Box<str>,
    },
    /// The agent's process lives. Leaves the effect open.
    RunStarted,
    /// The agent was heard. Leaves the effect open.
    RunProgress {
        /// What it used since the last report.
        usage: Usage,
    },
    /// The run host has not answered for so long that its agent counts as offline. Leaves the effect open.
    HostSilent {
        /// The host's process.
        pid: i32,
    },
    /// The run host answers again. Leaves the effect open.
    HostAnswers,
    /// The agent works in a session that a later run can go on in. Leaves the effect open.
    SessionStarted {
        /// The session's id, as the agent's program has it.
        id: Box<str>,
    },
    /// The agent asks before it does something. Leaves the effect open.
    PermissionAsked {
        /// What it asks.
        ask: Ask,
        /// The folder that it works in, absolute.
        worktree: Box<str>,
    },
    /// What it asked under this reference needs no answer any more. Leaves the effect open.
    PermissionGone(Box<str>),
    /// The run has reached a limit: it is to be stopped. Leaves the effect open.
    LimitReached {
        /// Which.
        limit: Limit,
        /// In words, with the number.
        text: Box<str>,
    },
    /// The run is over and its whole tree is verified dead.
    RunFinished {
        /// How it ended.
        outcome: Outcome,
        /// What it used since the last report.
        usage: Usage,
    },
    /// The stop was carried out, or there was nothing to stop.
    RunStopped,
    /// The agent was told; or it was not, for its program has no way, or it was over.
    Told {
        /// Whether its program took it.
        delivered: bool,
    },
    /// The diff was looked at.
    Inspected(Inspection),
    /// The gate ran.
    GateFinished(GateVerdict),
    /// The merge was tried in the object store.
    MergePrepared(Preparation),
    /// The rebase in the item's worktree was tried.
    Rebased(Rebase),
    /// The advance of the target branch was tried.
    LandingFinished(Landing),
    /// The worktree is gone.
    WorktreeRemoved,
    /// The worktree stays.
    WorktreeKept {
        /// What it holds that is nowhere else.
        reason: Box<str>,
    },
    /// The push of the item's branch was tried.
    Pushed(Push),
    /// What a firing of a schedule or a trigger asked of the world was answered.
    FiringPrepared(Prepared),
    /// The forge has answered.
    Forge(ForgeAnswer),
    /// The forge has not done what it was asked.
    ForgeFailed(ForgeFailure),
    /// The program or the address of a watch was tried.
    Probed {
        /// Whether it is met: exit 0, or a status of 200 to 299.
        met: bool,
        /// What it said, in a line: its exit, or its status.
        text: Box<str>,
    },
    /// The driver itself could not work: git missing, folder unreadable.
    DriverFailed {
        /// What happened and how to mend it.
        error: Box<str>,
    },
}

/// What a worktree cannot be made without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lacking {
    /// The disk is below its low-water mark.
    Disk,
    /// `origin` does not answer.
    Origin,
}

/// What the first three steps of verification found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Inspection {
    /// A change that breaks no rule.
    Clean {
        /// The tip of the item's branch.
        head: Box<str>,
        /// Its tree.
        tree: Box<str>,
        /// Changed files.
        files: u32,
        /// Added lines.
        insertions: u32,
        /// Removed lines.
        deletions: u32,
    },
    /// No difference to the base.
    Empty,
    /// Rules that the change breaks, one a line.
    Problems(Box<str>),
    /// The worktree is gone.
    Missing,
}

/// What a gate said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateVerdict {
    /// It exited 0.
    Green,
    /// It exited otherwise, or by a signal.
    Red {
        /// What it exited with, in words.
        exit: Box<str>,
        /// The last 8,000 bytes of its output.
        tail: Box<str>,
    },
    /// It took longer than `gate_timeout` and was ended.
    TimedOut {
        /// The last 8,000 bytes of its output.
        tail: Box<str>,
    },
    /// Its process vanished while musher or the machine was down: it says nothing, and runs again.
    Lost,
    /// Its process was killed under musher's eyes, perhaps by itself: it says nothing, and that counts.
    Died,
}

/// What came of making the commits of a batch: the longest prefix of its members that merges cleanly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preparation {
    /// The tip of the target branch that it stands on.
    pub base: crate::merge::Link,
    /// What each member became on those before it.
    pub links: Box<[crate::merge::Link]>,
    /// Why the next member is not among them; none when all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
}

/// Why a member does not merge on those before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// Both sides changed the same lines.
    Conflict {
        /// The files, as git names them.
        files: Box<[Box<str>]>,
    },
    /// The merge would change nothing.
    Empty,
    /// The target holds it already: it landed, and whoever landed it did not live, or was not told, to say so.
    Landed {
        /// The commit that it is there.
        commit: Box<str>,
    },
    /// Git could not do it.
    Failed {
        /// Git's words.
        error: Box<str>,
    },
}

/// What came of a rebase.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rebase {
    /// The branch now stands on the target.
    Done {
        /// Its new tip.
        head: Box<str>,
    },
    /// It conflicts; the merge is open in the worktree, with markers.
    Conflict {
        /// The files, as git names them.
        files: Box<[Box<str>]>,
        /// The conflicting hunks, at most 8,000 bytes.
        hunks: Box<str>,
    },
}

/// What came of advancing the target branch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Landing {
    /// The commit is in.
    Landed,
    /// Someone else advanced it first.
    BaseMoved,
    /// It must not be advanced now: it is checked out somewhere and that checkout is not clean, or it and the branch of the
    /// remote have gone apart. A person has to look.
    BaseDirty {
        /// Where, and what.
        why: Box<str>,
    },
    /// Git refused.
    Refused {
        /// Git's words.
        error: Box<str>,
    },
}

/// What came of a push.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Push {
    /// The branch has the commit at `origin`.
    Done,
    /// Somebody else has pushed to it.
    Moved {
        /// What it has there; empty when it is gone.
        found: Box<str>,
    },
    /// `origin` refuses.
    Failed {
        /// Git's words.
        error: Box<str>,
    },
    /// `origin` does not answer.
    Unanswered {
        /// Git's words.
        error: Box<str>,
    },
}

/// Everything that can be said to musher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// The configuration cannot be used, for this reason, or can be used again.
    NoteConfig(Option<Box<str>>),
    /// Musher started: so many active missions, live runs, effects issued again.
    NoteStart {
        /// Missions that have not ended.
        missions: u32,
        /// Runs attached to.
        attached: u32,
        /// Effects issued again.
        effects: u32,
    },
    /// Something that nobody owned was found, and this became of it.
    NoteOrphan(Box<crate::orphan::Orphan>),
    /// A wish for a mission was refused for its state: nothing changes, and the log says so.
    NoteIgnored(MissionId, Box<str>),
    /// The project's settings, as the config now says.
    Configure(Box<ProjectSettings>),
    /// The agents of the config, all of them.
    SyncAgents(Vec<AgentSpec>),
    /// An agent that an operator adds.
    AddAgent(Box<AgentSpec>),
    /// Takes nothing new until resumed.
    PauseAgent(AgentId),
    /// Takes work again: ends a pause and a drain.
    ResumeAgent(AgentId),
    /// Finishes what it has and takes nothing new.
    DrainAgent(AgentId),
    /// Ends its runs and lets it take work again, whatever kept it from that.
    RestartAgent(AgentId),
    /// Takes nothing any more.
    RemoveAgent(AgentId),
    /// Whether the agent's program can start: nothing, or what is wrong with the exact fix.
    AgentChecked(AgentId, Option<Box<str>>),
    /// The node of this name is there.
    Heartbeat(Box<str>),

    /// The sinks of the config, all of them, and the last event that a new one that begins now has missed.
    SyncSinks(Vec<SinkSpec>, Seq),
    /// Everything up to here was delivered to this sink, or is nothing that it wants.
    AdvanceSink(Box<str>, Seq),
    /// A delivery to this sink failed.
    FailDelivery(Box<str>, Box<DeliveryFailure>),
    /// This sink can be tried again at once.
    HurrySink(Box<str>),
    /// What the hub holds of this project, if it holds anything, and whether this log holds the same event in that place.
    MeetHub(Option<crate::hub::Mark>, crate::relay::Holds),

    /// At a hub: a project tells what happened.
    TakeRelayed(Box<crate::hub::Post>),
    /// At a hub: all of a project is forgotten.
    ForgetProject(crate::id::ProjectId),

    /// A new mission with its whole graph.
    StartMission(Box<StartMission>),
    /// A yes to a mission's graph.
    ApproveMission(MissionId),
    /// Stops dispatching; `Some` also interrupts the running agents.
    PauseMission(MissionId, Option<Stop>, Box<str>),
    /// Goes on.
    ResumeMission(MissionId),
    /// Gives the mission up; its branches are kept.
    StopMission(MissionId, Stop),
    /// Changes the mission's share of what can be dispatched, beside other missions: 1 to 100.
    WeighMission(MissionId, u32),
    /// A watch that an operator adds to an item, and what it holds up.
    AddWatch(ItemId, Box<WatchKind>, Holds),
    /// Lets a watch rest for so many seconds.
    SnoozeWatch(WatchId, u64),
    /// A watch holds nothing up any more.
    CloseWatch(WatchId),
    /// A word of an operator.
    NoteMission(MissionId, Box<str>),

    /// A fresh start from the dead letter or a block.
    RetryItem(ItemId),
    /// Another account may take it, while its own is used up.
    FailOverItem(ItemId),
    /// Takes it out.
    HoldItem(ItemId, Box<str>),
    /// Puts it back.
    ReleaseItem(ItemId),
    /// Lets nothing new begin for it.
    FreezeItem(ItemId, Box<str>),
    /// Sends it back to the start.
    DemoteItem(ItemId, Box<str>),
    /// Gives the first up for the second, which does its work.
    SupersedeItem(ItemId, ItemId),
    /// Makes a follow-up of a done one, with this prompt.
    ReopenItem(ItemId, Box<str>),
    /// Counts it as done for those that depend on it.
    SkipItem(ItemId),
    /// Gives it up.
    CancelItem(ItemId),
    /// A reviewer's yes.
    ApproveItem(ItemId, Box<str>),
    /// A reviewer's no.
    RejectItem(ItemId, Box<str>),
    /// A reviewer's no to the whole item: it is given up.
    TurnDownItem(ItemId, Box<str>),
    /// No merge begins any more; what is under way ends.
    PauseQueue(Box<str>),
    /// Merges begin again.
    ResumeQueue,
    /// Takes an item out of the merge queue.
    EjectItem(ItemId, Box<str>),
    /// Tries the merge of an item again now.
    RetryMerge(ItemId),
    /// Removes a worktree that was kept, after everything in it was saved under the attic ref.
    DiscardWorktree(ItemId),
    /// Ends a run.
    StopRun(RunId, Stop),
    /// A message to a running agent.
    TellRun(RunId, Box<str>, When),
    /// A yes or a no to what an agent asked, with what it is told.
    AnswerRequest(RequestId, Ruled, Box<str>),
    /// The answer to what an agent asked the operator.
    AnswerHelp(RequestId, Box<str>),
    /// The agent of this run uses one of musher's tools.
    UseTool(RunId, Box<ToolUse>),

    /// Sets a quota, or takes back what was set.
    SetQuota(crate::quota::Scope, crate::quota::Setting),

    /// The schedules of the config, all of them.
    SyncSchedules(Vec<ScheduleSpec>),
    /// A schedule that an operator adds.
    AddSchedule(Box<ScheduleSpec>),
    /// It fires again when it is due.
    EnableSchedule(ScheduleId),
    /// It fires no more.
    DisableSchedule(ScheduleId),
    /// It is gone; its history stays.
    RemoveSchedule(ScheduleId),
    /// It fires now.
    RunSchedule(ScheduleId),

    /// The triggers of the config, all of them.
    SyncTriggers(Vec<TriggerSpec>),
    /// A trigger that an operator adds.
    AddTrigger(Box<TriggerSpec>),
    /// It sees events again, from now on.
    EnableTrigger(TriggerId),
    /// It sees no events until it is enabled.
    DisableTrigger(TriggerId),
    /// It is gone; its history stays.
    RemoveTrigger(TriggerId),

    /// A webhook of the forge, by its id, says what has changed there: whoever watches that looks at once.
    TakeWebhook(Box<str>, Vec<Hint>),

    /// What came of an effect.
    Report(EffectId, Report),

    /// From musher to itself: the dependencies of a pending item are satisfied.
    PromoteItem(ItemId),
    /// From musher to itself: this agent takes this item.
    AssignItem(ItemId, AgentId),
    /// From musher to itself: this agent reviews this item.
    AssignReview(ItemId, AgentId),
    /// From musher to itself: what this run asked has waited for too long.
    ExpireRequests(RunId),
    /// From musher to itself: the account of this agent may be used again.
    LiftRateLimit(AgentId),
    /// From musher to itself: the driver of this agent has rested, and one run may try.
    ProbeDriver(AgentId),
    /// From musher to itself: a planned moment of this schedule is due.
    FireSchedule(ScheduleId),
    /// From musher to itself: a waiting firing of this trigger may begin, or its time is over.
    TendTrigger(TriggerId),
    /// From musher to itself: this firing has taken too long.
    ExpireFiring(FiringId),
    /// From musher to itself: nothing was heard of this node for too long.
    SilenceNode(Box<str>),
    /// From musher to itself: nothing holds a waiting item any more.
    FinishWaiting(ItemId),
    /// From musher to itself: the next batch begins with this item.
    BeginMerge(ItemId),
    /// From musher to itself: the next thing is due for the pull request of this item: a push, its opening, or a look.
    TendPull(ItemId),
    /// From musher to itself: this watch is to be looked at.
    LookAtWatch(WatchId),
    /// From musher to itself: the oldest note among the comments on the pull request of this item is applied.
    HeedComment(ItemId),
    /// From musher to itself: a member has left the batch, and the others go back into the queue.
    ReformBatch,
    /// From musher to itself: what is true of this mission now?
    JudgeMission(MissionId),
    /// From musher to itself: why its first ready item is not dispatched has changed.
    NoteDispatch(ItemId, crate::wait::WaitCode),
}

/// What a command answers when it was accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// Nothing more than that it is on disk.
    #[default]
    Done,
    /// The mission that was made.
    Mission(MissionId),
    /// The agent that was made.
    Agent(AgentId),
    /// What was made of a note.
    Note(String),
    /// The question to the operator.
    Help(RequestId),
    /// The item that was added.
    Item(ItemId),
    /// The schedule that was made.
    Schedule(ScheduleId),
    /// The trigger that was made.
    Trigger(TriggerId),
    /// The watch that was made.
    Watch(WatchId),
    /// The messages that were read.
    Messages(Vec<Message>),
    /// What became of a webhook.
    Webhook(crate::webhook::Heard),
    /// What became of what a project told.
    Relayed(crate::hub::Verdict),
}

/// Why a command was refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No such thing.
    #[error("no {noun} `{name}`")]
    NotFound {
        /// mission, item, agent or run.
        noun: &'static str,
        /// What was asked for.
        name: String,
    },
    /// Not in this state.
    #[error("cannot {verb} {noun} `{name}` while it is {state}")]
    State {
        /// What was asked.
        verb: &'static str,
        /// mission, item, agent or run.
        noun: &'static str,
        /// Its short name.
        name: String,
        /// The state that it is in.
        state: &'static str,
        /// What would help.
        fix: &'static str,
    },
    /// The words make no sense.
    #[error("{what}")]
    Invalid {
        /// What is wrong.
        what: String,
        /// What would help.
        fix: String,
    },
    /// Somebody was first.
    #[error("{what}")]
    Conflict {
        /// Who, and what they did.
        what: String,
        /// What would help.
        fix: &'static str,
    },
    /// A report whose effect is no longer open, or whose fence is old: the world has moved on.
    #[error("a stale report: {what}")]
    Stale {
        /// Which.
        what: &'static str,
    },
}

impl Refused {
    /// How to mend it, when there is a way.
    pub fn fix(&self) -> Option<String> {
        match self {
            Self::NotFound { noun, .. } => Some(format!("`musher {noun} list` shows those that exist")),
            Self::State { fix, .. } => (!fix.is_empty()).then(|| (*fix).to_owned()),
            Self::Invalid { fix, .. } => (!fix.is_empty()).then(|| fix.clone()),
            Self::Conflict { fix, .. } => (!fix.is_empty()).then(|| (*fix).to_owned()),
            Self::Stale { .. } => None,
        }
    }

    /// A stable code for scripts.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::State { .. } => "refused",
            Self::Invalid { .. } => "invalid",
            Self::Conflict { .. } => "conflict",
            Self::Stale { .. } => "stale",
        }
    }
}

/// A failure of a run that musher found by itself, with what a retry should be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The sort.
    pub class: FailureClass,
    /// One line.
    pub message: Box<str>,
    /// Output for the next prompt, at most 8,000 bytes.
    pub detail: Box<str>,
}
