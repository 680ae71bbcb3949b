//! The relay: a project tells a hub what happens in it.
//!
//! It is a sink of its own sort ([`crate::sink`]): it has a cursor, is tried again after a failure, and never gives an
//! event up, for a hub that is down costs nothing but disk. What it may begin with is said by the hub, which keeps how far
//! it has been told ([`Mark`]) in the same transaction as what it was told. The two differ when an answer was lost, when
//! the hub was put back to an earlier state, and when this log was.

use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::command::Refused;
use crate::event::Happened;
use crate::hub::Mark;
use crate::id::{ProjectId, Seq};
use crate::sink::{Sink, advanced, cursor_of};
use crate::state::State;
use crate::step::Context;

/// The name of the relay among the sinks.
pub const NAME: &str = "relay";

/// By what a hub knows this project, for as long as its state lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its id: drawn once, whatever the folder and the project are called.
    pub project: ProjectId,
    /// Which telling of the log is under way; the first is 1.
    pub history: u32,
}

impl Identity {
    /// That of a project which has never told anything.
    pub(crate) fn new(cx: &mut Context) -> Self {
        Self { project: ProjectId::new(cx.now, cx.entropy), history: 1 }
    }
}

/// Whether this log has the event that the hub was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Holds {
    /// It has: the same number and the same moment. So it is too when the hub was told no event yet.
    Same,
    /// It has not: the log was put back to an earlier state since.
    Other,
}

/// The hub has said what it holds of this project: the relay goes on there.
///
/// A hub that holds nothing, or an earlier telling, is told from the beginning. One that holds an event which this log does
/// not have is told the log anew, as the next history: what the hub then holds is what this log says, and not a mixture. One
/// that holds a later history was told by another copy of this project; which of them is right only a person can know.
pub fn met(state: &State, mark: Option<Mark>, holds: Holds, cx: &Context) -> Result<Change, Refused> {
    let nobody = || Refused::NotFound { noun: "sink", name: NAME.to_owned() };
    let sink = state.sink(NAME).filter(|sink| sink.removed_at.is_none()).ok_or_else(nobody)?;
    let identity = sink.relay.ok_or_else(nobody)?;
    let Some(mark) = mark.filter(|mark| mark.history >= identity.history) else {
        return go_to(state, sink, Seq(0), cx);
    };
    if mark.history > identity.history {
        return Err(Refused::Conflict {
            what: format!(
                "the hub was told by a later copy of this project: telling {} and not {}",
                mark.history, identity.history
            ),
            fix: "let only one copy of a folder relay; when it is this one, `musher hub forget` at the hub lets it begin anew",
        });
    }
    if holds == Holds::Same {
        return go_to(state, sink, mark.seq(), cx);
    }
    let history = identity.history.saturating_add(1);
    let mut change = go_to(state, sink, Seq(0), cx)?;
    change.events.push(cx.event(Happened::RelayRestarted { history, held: mark.seq() }));
    let row = change.sinks.pop().unwrap_or_else(|| sink.clone());
    change.sinks.push(Sink { relay: Some(Identity { history, ..identity }), ..row });
    Ok(change)
}

fn go_to(state: &State, sink: &Sink, seq: Seq, cx: &Context) -> Result<Change, Refused> {
    let cursor = cursor_of(&sink.name);
    let now = state.cursor(&cursor);
    if seq > now {
        return advanced(state, &sink.name, seq, cx);
    }
    let cursors = if seq < now { vec![(cursor, seq)] } else { Vec::new() };
    Ok(Change { cursors, ..Change::default() })
}

/// Whether a hub is told of an event: what moves a mission or an item from one stage to the next, blocks it, or asks for
/// help with it. What agents say and ask, what they cost, and what is about this machine alone stays here.
pub const fn tells(happened: &Happened) -> bool {
    match happened {
        Happened::MissionStarted { .. }
        | Happened::MissionApproved {}
        | Happened::MissionBlocked { .. }
        | Happened::MissionUnblocked {}
        | Happened::MissionPaused { .. }
        | Happened::MissionResumed {}
        | Happened::MissionWeighed { .. }
        | Happened::MissionCompleted {}
        | Happened::MissionFailed { .. }
        | Happened::MissionCancelled {}
        | Happened::MissionHelpRequested { .. }
        | Happened::MissionHelpRetired { .. }
        | Happened::DeliveryFellBack { .. }
        | Happened::ItemAdded { .. }
        | Happened::ItemReady { .. }
        | Happened::ItemAssigned { .. }
        | Happened::ItemVerified { .. }
        | Happened::PlanAccepted { .. }
        | Happened::ItemInspected { .. }
        | Happened::ItemRefused { .. }
        | Happened::ItemWaiting { .. }
        | Happened::ItemMerging {}
        | Happened::ItemDone { .. }
        | Happened::ItemRetrying { .. }
        | Happened::ItemBlocked { .. }
        | Happened::ItemHeld { .. }
        | Happened::ItemFrozen { .. }
        | Happened::ItemDemoted { .. }
        | Happened::ItemSuperseded { .. }
        | Happened::ItemReopened { .. }
        | Happened::ItemReleased { .. }
        | Happened::ItemSkipped {}
        | Happened::ItemRetried {}
        | Happened::ItemCancelled { .. }
        | Happened::ItemFailed { .. }
        | Happened::ItemDeadLettered { .. }
        | Happened::ItemReprioritised { .. }
        | Happened::RunStarted { .. }
        | Happened::RunFinished { .. }
        | Happened::LimitReached { .. }
        | Happened::ItemFailoverAllowed {}
        | Happened::ItemHandedOver { .. }
        | Happened::WorktreeFailed { .. }
        | Happened::GateFinished { .. }
        | Happened::ReviewRequested { .. }
        | Happened::ReviewApproved { .. }
        | Happened::ReviewRejected { .. }
        | Happened::MergeStarted {}
        | Happened::MergeRestarted { .. }
        | Happened::MergeHeld { .. }
        | Happened::MergeFailed { .. }
        | Happened::MergeDone { .. }
        | Happened::BranchRebased { .. }
        | Happened::PullOpened { .. }
        | Happened::PullReady { .. }
        | Happened::PullWaits { .. }
        | Happened::PullQueued { .. }
        | Happened::PullMerged { .. }
        | Happened::PullClosed { .. }
        | Happened::WatchAdded { .. }
        | Happened::WatchTriggered { .. }
        | Happened::WatchDone { .. }
        | Happened::WatchesOverridden { .. } => true,
        Happened::CommandIgnored { .. }
        | Happened::NoteApplied { .. }
        | Happened::DispatchFailedNoAgent { .. }
        | Happened::DispatchFailedQuota { .. }
        | Happened::RunStopping { .. }
        | Happened::ApprovalRequested { .. }
        | Happened::ApprovalDecided { .. }
        | Happened::ApprovalWithdrawn { .. }
        | Happened::ProgressReported { .. }
        | Happened::HelpRequested { .. }
        | Happened::HelpAnswered { .. }
        | Happened::ResultSubmitted { .. }
        | Happened::VerdictSubmitted { .. }
        | Happened::MessagePosted { .. }
        | Happened::MessagesRead { .. }
        | Happened::MessageSent { .. }
        | Happened::MessageUndelivered {}
        | Happened::AgentRestarted { .. }
        | Happened::DriverPaused { .. }
        | Happened::DriverProbed { .. }
        | Happened::DriverResumed { .. }
        | Happened::AgentRateLimited { .. }
        | Happened::AgentRateLimitLifted {}
        | Happened::QuotaWarning { .. }
        | Happened::QuotaExceeded { .. }
        | Happened::QuotaReturned { .. }
        | Happened::QuotaSet { .. }
        | Happened::UsageRecorded { .. }
        | Happened::WorktreeCreated { .. }
        | Happened::WorktreeRemoved {}
        | Happened::WorktreeKept { .. }
        | Happened::GateStarted { .. }
        | Happened::QueuePaused { .. }
        | Happened::QueueResumed {}
        | Happened::GateFlaky { .. }
        | Happened::BranchPushed { .. }
        | Happened::CommentDisobeyed { .. }
        | Happened::ChecksRerun { .. }
        | Happened::WatchSnoozed { .. }
        | Happened::WatchFailed { .. }
        | Happened::AgentDefined { .. }
        | Happened::AgentOnline { .. }
        | Happened::AgentOffline { .. }
        | Happened::DeliveryFailed { .. }
        | Happened::DeliveryRecovered { .. }
        | Happened::DeliveryDeadLettered { .. }
        | Happened::RelayRestarted { .. }
        | Happened::RelayReceived { .. }
        | Happened::ProjectForgotten { .. }
        | Happened::ScheduleDefined { .. }
        | Happened::ScheduleEnabled { .. }
        | Happened::ScheduleDisabled { .. }
        | Happened::ScheduleFired { .. }
        | Happened::ScheduleSkipped { .. }
        | Happened::ScheduleFinished { .. }
        | Happened::ScheduleReported { .. }
        | Happened::SchedulePaused { .. }
        | Happened::TriggerDefined { .. }
        | Happened::TriggerEnabled { .. }
        | Happened::TriggerDisabled { .. }
        | Happened::TriggerFired { .. }
        | Happened::TriggerStopped { .. }
        | Happened::TriggerSkipped { .. }
        | Happened::TriggerFailed { .. }
        | Happened::TriggerFinished { .. }
        | Happened::TriggerPaused { .. }
        | Happened::TriggerExpired { .. }
        | Happened::PullReviewed { .. }
        | Happened::PullNotReviewed { .. }
        | Happened::ConfigRejected { .. }
        | Happened::ConfigAccepted {}
        | Happened::SettingsChanged {}
        | Happened::OrphanSettled { .. }
        | Happened::DaemonStarted { .. } => false,
    }
}
