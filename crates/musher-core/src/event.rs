//! Events: what happened, for everyone who wants to know. Append-only, numbered, typed.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::approval::{Action, Ruled};
use crate::effect::{Stop, When};
use crate::id::{AgentId, FiringId, ItemId, MissionId, ProjectId, RequestId, RunId, Seq, TriggerId};
use crate::item::Phase;
use crate::quota::Cap;
use crate::run::{FailureClass, Limit, Usage, is_default};
use crate::time::Timestamp;

// One list makes the enum and the documentation, so that they cannot differ.
macro_rules! catalogue {
    ($($doc:literal $variant:ident $name:literal { $($(#[$attribute:meta])* $field:ident : $ty:ty = $fdoc:literal),* $(,)? })+) => {
        /// What happened, with its particulars. The names are part of the public API.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind", content = "body")]
        pub enum Happened {
            $( #[doc = $doc] #[serde(rename = $name)] $variant { $(#[doc = $fdoc] $(#[$attribute])* $field: $ty),* }, )+
        }

        impl Happened {
            /// The event's name.
            pub const fn name(&self) -> &'static str {
                match self { $( Self::$variant { .. } => $name, )+ }
            }
        }

        /// Every event: its name, what it means, and its fields. The reference in the documentation is made from this.
        pub const CATALOGUE: &[(&str, &str, &[(&str, &str)])] =
            &[ $( ($name, $doc, &[ $((stringify!($field), $fdoc)),* ]) ),+ ];
    };
}

catalogue! {
    "A mission and its whole graph are on disk."
    MissionStarted "mission_started" { goal: Box<str> = "what is to be reached", items: u32 = "how many items" }
    "A person said yes to the graph."
    MissionApproved "mission_approved" {}
    "Nothing of the mission can go on without help."
    MissionBlocked "mission_blocked" { reason: Box<str> = "why" }
    "Something of the mission can go on again."
    MissionUnblocked "mission_unblocked" {}
    "A person stopped the dispatch."
    MissionPaused "mission_paused" { reason: Box<str> = "who and why" }
    "A person let the dispatch go on."
    MissionResumed "mission_resumed" {}
    "A person changed the mission's share of what can be dispatched, beside other missions."
    MissionWeighed "mission_weighed" { weight: u32 = "the new weight; 1 by default" }
    "All items are done."
    MissionCompleted "mission_completed" {}
    "The mission cannot be done any more."
    MissionFailed "mission_failed" { reason: Box<str> = "why" }
    "A person gave the mission up."
    MissionCancelled "mission_cancelled" {}
    "A wish that does not fit the state; nothing changed."
    CommandIgnored "command_ignored" { text: Box<str> = "which wish, of whom, and the state it met" }
    "A mission cannot go on by itself and asks a person; said again after a growing while, and at once for another cause."
    MissionHelpRequested "mission_help_requested" { text: Box<str> = "what is the matter", replies: Box<[Box<str>]> = "commands that would help, as they are typed", attempt: u32 = "how often in a row, without progress since; 1 at first" }
    "What a mission asked help for is no more."
    MissionHelpRetired "mission_help_retired" { text: Box<str> = "what was the matter" }
    "A note was applied."
    NoteApplied "note_applied" { text: Box<str> = "the note", effect: Box<str> = "what it did" }
    "Delivery falls back to a branch, since no gate is configured."
    DeliveryFellBack "delivery_fell_back" { branch: Box<str> = "where the work goes instead" }

    "An agent has added an item to its mission."
    ItemAdded "item_added" { key: Box<str> = "its key", title: Box<str> = "its title", by: Box<str> = "the key of the item whose agent added it" }
    "The item may be dispatched, at once or from the given moment on."
    ItemReady "item_ready" { not_before: Option<Timestamp> = "the end of a backoff" }
    "An agent was chosen."
    ItemAssigned "item_assigned" { attempt: u32 = "which attempt, from 1" }
    "The result passed every check and the gate."
    ItemVerified "item_verified" { head: Box<str> = "the verified commit; empty when there was nothing to change" }
    "The agent answered with a plan that can be used."
    PlanAccepted "plan_accepted" { goal: Box<str> = "what the plan is to reach", items: u32 = "how many items it has" }
    "The diff was looked at and breaks no rule; the gate is next."
    ItemInspected "item_inspected" { head: Box<str> = "the tip of the item's branch", files: u32 = "changed files", insertions: u32 = "added lines", deletions: u32 = "removed lines" }
    "The gate, or another check, refused the result."
    ItemRefused "item_refused" { class: FailureClass = "`gate`, whatever refused the finished change: checks of the forge, a reviewer, a bot, or a conflict", reason: Box<str> = "why" }
    "Someone must say yes first."
    ItemWaiting "item_waiting" { on: Box<str> = "review or approval" }
    "The item is in the merge queue."
    ItemMerging "item_merging" {}
    "Merged, or accepted without a merge."
    ItemDone "item_done" { commit: Option<Box<str>> = "the merged commit" }
    "A run failed and another will follow."
    ItemRetrying "item_retrying" { class: FailureClass = "the sort of failure", error: Box<str> = "why it failed", attempts: u32 = "counted failures so far", not_before: Option<Timestamp> = "when it may start" }
    "Musher has stopped trying."
    ItemBlocked "item_blocked" { reason: Box<str> = "why" }
    "An operator took the item out."
    ItemHeld "item_held" { reason: Box<str> = "the operator's words", from: Phase = "the state it was in" }
    "An operator lets nothing new begin for the item; what is in flight comes to its end."
    ItemFrozen "item_frozen" { reason: Box<str> = "the operator's words" }
    "An operator sent the item back to the start, where it stays until it is released."
    ItemDemoted "item_demoted" { reason: Box<str> = "the operator's words", from: Phase = "the state it was in" }
    "Another item does the work of this one, and what depends on it waits for that one."
    ItemSuperseded "item_superseded" { by: Box<str> = "the key of the other item", dependents: u32 = "how many items wait for that one now" }
    "A follow-up of the done item was made; the item itself stays done."
    ItemReopened "item_reopened" { item: ItemId = "the follow-up", key: Box<str> = "its key", mission: MissionId = "its mission: a new one when that of the item has ended" }
    "An operator put the item back, or lets it go on."
    ItemReleased "item_released" { to: Phase = "the state it is in now" }
    "An operator counts the item as done for those that depend on it."
    ItemSkipped "item_skipped" {}
    "A person gave the item a fresh start."
    ItemRetried "item_retried" {}
    "The item will never be done."
    ItemCancelled "item_cancelled" { reason: Box<str> = "why" }
    "The item's last run failed."
    ItemFailed "item_failed" { class: FailureClass = "the sort of failure", error: Box<str> = "why" }
    "Retries are used up: the item is in the dead letter."
    ItemDeadLettered "item_dead_lettered" { reason: Box<str> = "max retries exceeded, and the last error" }
    "An item's priority was changed."
    ItemReprioritised "item_reprioritised" { priority: crate::item::Priority = "the new one" }

    "No agent can take the first ready item now; emitted when the answer changes."
    DispatchFailedNoAgent "dispatch_failed_no_agent" { why: Box<str> = "how many agents each condition removed" }
    "A quota keeps the first ready item; emitted when the answer changes."
    DispatchFailedQuota "dispatch_failed_quota" { why: Box<str> = "which quota" }

    "The agent's process lives."
    RunStarted "run_started" { attempt: u32 = "which attempt, from 1" }
    "The run is over and nothing of it is left."
    RunFinished "run_finished" { outcome: Box<str> = "finished, failed, cancelled or lost", class: Option<FailureClass> = "the sort of failure", message: Box<str> = "one line", usage: Usage = "what it used" }
    "Someone asked for the end of a run."
    RunStopping "run_stopping" { how: Stop = "interrupt or kill" }
    "The agent asks a person before it does something."
    ApprovalRequested "approval_requested" { request: RequestId = "its id", action: Action = "what it wants to do, whole", expires_at: Timestamp = "when it counts as denied" }
    "What an agent asked was answered: by a rule, a person, or the end of its time."
    ApprovalDecided "approval_decided" { action: Action = "what it wanted to do, whole", ruled: Ruled = "allowed or denied", by: Box<str> = "who, or which rule", why: Box<str> = "what the agent was told" }
    "The agent needs no answer any more."
    ApprovalWithdrawn "approval_withdrawn" { request: RequestId = "its id" }
    "An agent says how far it is."
    ProgressReported "progress_reported" { text: Box<str> = "its words" }
    "An agent asks the operator something and waits for the answer."
    HelpRequested "help_requested" { request: RequestId = "its id", text: Box<str> = "the question" }
    "The operator has answered."
    HelpAnswered "help_answered" { request: RequestId = "its id", text: Box<str> = "the answer", by: Box<str> = "who" }
    "An agent says what it ends with; nothing is proved by that."
    ResultSubmitted "result_submitted" { summary: Box<str> = "the first line", no_change_needed: Option<Box<str>> = "why nothing had to change", artifacts: Box<[Box<str>]> = "what it made, by path or address" }
    "A reviewing agent has its verdict; it counts once its run has ended."
    VerdictSubmitted "verdict_submitted" { verdict: Box<str> = "approved or rejected", text: Box<str> = "the words" }
    "An agent has sent a message to the agent of another item."
    MessagePosted "message_posted" { to: Box<str> = "the key of the item", sort: Box<str> = "query, info, task or confirmation", urgency: Box<str> = "low, normal, high or urgent", text: Box<str> = "the words" }
    "An agent has read the messages for its item."
    MessagesRead "messages_read" { count: u32 = "how many" }
    "Someone has a message for a running agent."
    MessageSent "message_sent" { text: Box<str> = "the words", when: When = "next or now" }
    "A message did not reach the agent: its program has no way, or it was over."
    MessageUndelivered "message_undelivered" {}
    "The run has reached a limit and is stopped."
    LimitReached "limit_reached" { limit: Limit = "which", text: Box<str> = "in words" }
    "A person lets an agent of another account take the item, whose own account is used up."
    ItemFailoverAllowed "item_failover_allowed" {}
    "An agent takes the item over from one whose account was used up, or that did not take it again."
    ItemHandedOver "item_handed_over" { from: Box<str> = "the agent that had it" }
    "A person restarted the agent: its runs are interrupted, and it takes work again."
    AgentRestarted "agent_restarted" { runs: u32 = "how many runs it had" }
    "The same failure to be set up came 5 times in an hour, or that of the run that tried: all agents of the driver rest."
    DriverPaused "driver_paused" { driver: Box<str> = "its name", until: Timestamp = "when one run tries", why: Box<str> = "the failure, with its fix" }
    "The rest of the driver is over: one run of one of its agents tries."
    DriverProbed "driver_probed" { driver: Box<str> = "its name" }
    "A run of the driver worked: its agents take work again."
    DriverResumed "driver_resumed" { driver: Box<str> = "its name" }
    "The account of the agent is used up for now."
    AgentRateLimited "agent_rate_limited" { until: Timestamp = "when it takes work again" }
    "The account of the agent may be used again."
    AgentRateLimitLifted "agent_rate_limit_lifted" {}
    "80 % of a quota are used; said once a period."
    QuotaWarning "quota_warning" { scope: Box<str> = "whose: workspace, mission:ID, agent:NAME, model:NAME or run:ID", cap: Cap = "which limit", used: u64 = "what is used: tokens, runs, or millionths of a dollar", limit: u64 = "the limit, in the same unit" }
    "A quota is used up: from now on it refuses, and what is at work under it is stopped."
    QuotaExceeded "quota_exceeded" { scope: Box<str> = "whose: workspace, mission:ID, agent:NAME, model:NAME or run:ID", cap: Cap = "which limit", used: u64 = "what is used: tokens, runs, or millionths of a dollar", limit: u64 = "the limit, in the same unit" }
    "The end of a run gave something back to its agent or its model, or a pull request that was not opened to the repository."
    QuotaReturned "quota_returned" { scope: Box<str> = "agent:NAME, model:NAME or repo", tokens: u64 = "tokens", jobs: u64 = "1 when it never started", #[serde(default, skip_serializing_if = "is_default")] pulls: u64 = "1 when the forge did not open it, or it was there before" }
    "A person set a quota, or took back what was set."
    QuotaSet "quota_set" { scope: Box<str> = "whose: workspace, repo, mission:ID, agent:NAME or model:NAME", key: Box<str> = "which limit", value: Box<str> = "the limit in its unit (tokens, runs, seconds, millionths of a dollar), `unlimited` or `default`" }
    "Tokens or money were used."
    UsageRecorded "usage_recorded" { usage: Usage = "the difference", model: Option<Box<str>> = "the model, or the driver of an agent that states none" }

    "The item's worktree is there."
    WorktreeCreated "worktree_created" { branch: Box<str> = "its branch", base_commit: Box<str> = "what it was made from" }
    "The item's worktree could not be made."
    WorktreeFailed "worktree_failed" { error: Box<str> = "why" }
    "The item's worktree is gone."
    WorktreeRemoved "worktree_removed" {}
    "The item's worktree stays, for it holds something that is nowhere else."
    WorktreeKept "worktree_kept" { reason: Box<str> = "what" }

    "A gate is started."
    GateStarted "gate_started" { tree: Box<str> = "the tree it judges" }
    "A gate has spoken."
    GateFinished "gate_finished" { tree: Box<str> = "the tree it judged", green: bool = "whether it passed", cached: bool = "known from an earlier run of the same gate on the same tree" }

    "A review is wanted."
    ReviewRequested "review_requested" { of: Box<str> = "an agent's name, or `operator`" }
    "A reviewer said yes."
    ReviewApproved "review_approved" { text: Box<str> = "the words" }
    "A reviewer said no."
    ReviewRejected "review_rejected" { text: Box<str> = "the words" }

    "No merge begins until the queue is resumed."
    QueuePaused "queue_paused" { why: Box<str> = "the operator's words" }
    "Merges begin again."
    QueueResumed "queue_resumed" {}
    "The item's merge began."
    MergeStarted "merge_started" {}
    "The base changed under the merge; it is made anew."
    MergeRestarted "merge_restarted" { why: Box<str> = "why" }
    "The merge waits."
    MergeHeld "merge_held" { why: Box<str> = "for what", until: Timestamp = "when it is tried again" }
    "A merged tree was red, and green when the gate ran on it once more."
    GateFlaky "gate_flaky" { tree: Box<str> = "the tree" }
    "The merge failed."
    MergeFailed "merge_failed" { failure: Box<str> = "conflict, gate, empty, base_moved or refused", detail: Box<str> = "the files or the words" }
    "A mechanical rebase brought the branch onto the newest base."
    BranchRebased "branch_rebased" { head: Box<str> = "its new tip" }
    "The merge is in the target branch."
    MergeDone "merge_done" { commit: Box<str> = "the merged commit", target: Box<str> = "the branch" }

    "The item's branch lies at `origin`."
    BranchPushed "branch_pushed" { branch: Box<str> = "its name", head: Box<str> = "its tip" }
    "The item has a pull request."
    PullOpened "pull_opened" { number: u64 = "its number", url: Box<str> = "its page", draft: bool = "whether it is a draft" }
    "The pull request is a draft no more."
    PullReady "pull_ready" { number: u64 = "its number" }
    "The pull request waits for what only a person gives; said anew when that is something else."
    PullWaits "pull_waits" { number: u64 = "its number", text: Box<str> = "what is to be done" }
    "The forge merges the pull request when its own rules are satisfied."
    PullQueued "pull_queued" { number: u64 = "its number" }
    "What a reviewing agent has said is posted on the pull request."
    PullReviewed "pull_reviewed" { number: u64 = "its number", verdict: Box<str> = "approve, request_changes or comment", own: bool = "whether it is a plain comment, for the forge takes no review of one's own pull request" }
    "What a reviewing agent has said could not be posted on the pull request; it goes on without."
    PullNotReviewed "pull_not_reviewed" { number: u64 = "its number", error: Box<str> = "why" }
    "The pull request is merged."
    PullMerged "pull_merged" { number: u64 = "its number", commit: Box<str> = "the commit in the base" }
    "Somebody closed the pull request without a merge."
    PullClosed "pull_closed" { number: u64 = "its number" }
    "Somebody who is not trusted has written a note to musher on a pull request; it was not obeyed. Said once of each."
    CommentDisobeyed "comment_disobeyed" { number: u64 = "the pull request's number", author: Box<str> = "who" }
    "Failed checks of a head commit run again, once."
    ChecksRerun "checks_rerun" { head: Box<str> = "the commit", checks: Box<[Box<str>]> = "their names", started: bool = "whether the forge runs them" }
    "What a watch looks for has happened; said again only when it has gone away in between."
    WatchTriggered "watch_triggered" { watch: Box<str> = "its kind", on_trigger: Box<str> = "what follows", head: Option<Box<str>> = "the head commit that it was seen of", text: Box<str> = "what was seen" }
    "The condition of a watch is met."
    WatchDone "watch_done" { watch: Box<str> = "its kind", text: Box<str> = "what was seen" }
    "A look outside has failed; it is tried again after 1, 2, 5, 5 … minutes, and after five that were refused a person has to look. That the forge does not answer is said once, when that begins."
    WatchFailed "watch_failed" { watch: Box<str> = "its kind, or `pull_request` for all of one", error: Box<str> = "why" }
    "An operator has decided that watches hold nothing up any more."
    WatchesOverridden "watches_overridden" { count: u32 = "how many", by: Box<str> = "who", #[serde(default)] which: Box<[Box<str>]> = "each with its kind, where it looks, and its item" }
    "An operator has added a watch."
    WatchAdded "watch_added" { watch: Box<str> = "its kind", target: Box<str> = "where it looks", id: crate::id::WatchId = "its id" }
    "An operator lets a watch rest."
    WatchSnoozed "watch_snoozed" { watch: Box<str> = "its kind", until: Timestamp = "until when" }

    "An agent was defined, or its definition changed."
    AgentDefined "agent_defined" { name: Box<str> = "its name" }
    "An agent can take work."
    AgentOnline "agent_online" { name: Box<str> = "its name" }
    "An agent takes no work."
    AgentOffline "agent_offline" { name: Box<str> = "its name", why: Box<str> = "paused, draining, removed, a node or a run host that is not heard, or what its driver lacks" }

    "A sink takes nothing more; emitted when that begins, and not to the sink itself."
    DeliveryFailed "delivery_failed" { sink: Box<str> = "its name", event: Seq = "the event that it did not take, by its place", error: Box<str> = "why" }
    "A sink takes events again, and is sent what it missed."
    DeliveryRecovered "delivery_recovered" { sink: Box<str> = "its name", since: Timestamp = "when it began to fail", failures: u32 = "how many deliveries failed meanwhile" }
    "A sink has not taken an event for a day; it is not sent that one any more, and the next one is tried."
    DeliveryDeadLettered "delivery_dead_lettered" { sink: Box<str> = "its name", event: Seq = "the event, by its place", event_kind: Box<str> = "its name", attempts: u32 = "how often it was tried", error: Box<str> = "why the last one failed" }
    "The hub holds what this log does not: a backup was restored here. The project's log is told to the hub anew, from its beginning."
    RelayRestarted "relay_restarted" { history: u32 = "which telling this is; the first is 1", held: Seq = "the last event that the hub holds of the one before" }
    "At a hub: a project has told what happened."
    RelayReceived "relay_received" { project: ProjectId = "its id", name: Box<str> = "its name", events: u32 = "how many events", last: Seq = "the last of them, by its place in the project's log" }
    "At a hub: all that a project has told was forgotten."
    ProjectForgotten "project_forgotten" { project: ProjectId = "its id", name: Box<str> = "its name", events: u64 = "how many events there were" }

    "A schedule was defined, or its definition changed."
    ScheduleDefined "schedule_defined" { schedule: Box<str> = "its name", due: Option<Timestamp> = "its next moment" }
    "A schedule fires again when it is due."
    ScheduleEnabled "schedule_enabled" { schedule: Box<str> = "its name", due: Option<Timestamp> = "its next moment" }
    "A schedule fires no more until it is enabled."
    ScheduleDisabled "schedule_disabled" { schedule: Box<str> = "its name", why: Box<str> = "why" }
    "A planned moment of a schedule has come, or an operator fired it."
    ScheduleFired "schedule_fired" { schedule: Box<str> = "its name", firing: FiringId = "its id", due: Timestamp = "the planned moment", missed: u32 = "earlier moments that this one stands for, too" }
    "Planned moments of a schedule did not fire."
    ScheduleSkipped "schedule_skipped" { schedule: Box<str> = "its name", due: Timestamp = "the first of them", count: u32 = "how many, counted up to 10,000", why: Box<str> = "why" }
    "A firing of a schedule is over."
    ScheduleFinished "schedule_finished" { schedule: Box<str> = "its name", firing: FiringId = "its id", outcome: Box<str> = "done, unneeded, failed, timed_out or cancelled", text: Box<str> = "what came of it", took_ms: u64 = "how long it took, in milliseconds" }
    "What people are to be told of a schedule, by its `notify`."
    ScheduleReported "schedule_reported" { schedule: Box<str> = "its name", text: Box<str> = "what is to be told" }
    "A schedule has failed ten times in a row, and fires no more until it is enabled."
    SchedulePaused "schedule_paused" { schedule: Box<str> = "its name", why: Box<str> = "why" }

    "The configuration has become one that cannot be used; the last good one stays in force."
    ConfigRejected "config_rejected" { why: Box<str> = "what is wrong with it" }
    "The configuration can be used again, and is in force."
    ConfigAccepted "config_accepted" {}
    "A trigger was defined, or its definition changed."
    TriggerDefined "trigger_defined" { trigger: Box<str> = "its name" }
    "A trigger sees events again, from now on."
    TriggerEnabled "trigger_enabled" { trigger: Box<str> = "its name" }
    "A trigger sees no events until it is enabled; what waited for it is cancelled."
    TriggerDisabled "trigger_disabled" { trigger: Box<str> = "its name", why: Box<str> = "why", cancelled: u32 = "how many firings had not begun" }
    "A trigger fires on an event."
    TriggerFired "trigger_fired" { trigger: Box<str> = "its name", firing: FiringId = "its id", event: Seq = "the event, by its place", event_kind: Box<str> = "the event's name", fires: u64 = "how often it has fired, with this one" }
    "A trigger would have fired, but an event that it has caused may not go on for ever."
    TriggerStopped "trigger_stopped" { trigger: Box<str> = "its name", event: Seq = "the event, by its place", event_kind: Box<str> = "the event's name", chain: Box<[Box<str>]> = "the triggers that led to the event, the first one first", why: Box<str> = "why it ends here" }
    "A trigger would have fired, but too many of its firings wait already."
    TriggerSkipped "trigger_skipped" { trigger: Box<str> = "its name", event: Seq = "the event, by its place", event_kind: Box<str> = "the event's name", why: Box<str> = "why" }
    "The action of a trigger could not begin; it is tried again."
    TriggerFailed "trigger_failed" { trigger: Box<str> = "its name", firing: FiringId = "its id", error: Box<str> = "why", failures: u32 = "how often in a row", not_before: Timestamp = "when it is tried again" }
    "A firing of a trigger is over."
    TriggerFinished "trigger_finished" { trigger: Box<str> = "its name", firing: FiringId = "its id", outcome: Box<str> = "done, failed or cancelled", text: Box<str> = "what came of it" }
    "A trigger has failed ten times in a row, and does nothing more until it is enabled."
    TriggerPaused "trigger_paused" { trigger: Box<str> = "its name", why: Box<str> = "why" }
    "The time of a trigger is over."
    TriggerExpired "trigger_expired" { trigger: Box<str> = "its name" }

    "The project's settings changed."
    SettingsChanged "settings_changed" {}
    "Something that nobody owned was found, at start or while runs were live: processes of a run that is not under way, or a worktree or a branch of no item."
    OrphanSettled "orphan_settled" { sort: crate::orphan::Sort = "process, worktree or branch", name: Box<str> = "its folder, or the branch", outcome: crate::orphan::Settled = "ended, removed, or kept when it holds something that is nowhere else", why: Box<str> = "why it was nobody's, or why it stays" }
    "Musher started and found this."
    DaemonStarted "daemon_started" { missions: u32 = "active missions", attached: u32 = "live runs", effects: u32 = "effects issued again" }
}

/// A change of the state of an item or a mission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// The state before; empty of what is new.
    pub from: Cow<'static, str>,
    /// The state after.
    pub to: Cow<'static, str>,
}

impl Happened {
    /// Whether triggers say it of themselves: no trigger sees that, or one that sees everything would see itself.
    pub fn is_of_triggers(&self) -> bool {
        is_of_triggers(self.name())
    }
}

/// Whether the event of this name is one that triggers say of themselves.
pub fn is_of_triggers(name: &str) -> bool {
    name.starts_with("trigger_")
}

/// An event before it has its number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When it was decided.
    pub at: Timestamp,
    /// Who brought it about.
    pub actor: Box<str>,
    /// The mission that it is about.
    pub mission: Option<MissionId>,
    /// The item that it is about.
    pub item: Option<ItemId>,
    /// The agent that it is about.
    pub agent: Option<AgentId>,
    /// The run that it is about.
    pub run: Option<RunId>,
    /// The change of state that it tells of; one event tells of each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved: Option<Moved>,
    /// The triggers that led to it, the first one first.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub chain: Box<[TriggerId]>,
    /// What happened.
    #[serde(flatten)]
    pub happened: Happened,
}

/// An event with its place in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Logged {
    /// Its place.
    pub seq: Seq,
    /// The event.
    #[serde(flatten)]
    pub event: Event,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_a_noun_and_a_verb_and_named_once() {
        let mut names: Vec<_> = CATALOGUE.iter().map(|(name, ..)| *name).collect();
        for name in &names {
            assert!(name.contains('_') && name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{name}");
        }
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
