//! What operators do to items: retry, hold, release, skip, cancel; the files beside this one have the rest; and what happens to what they leave behind.

use super::progress::{close_effects, find, give_back, go, worktree_leftover};
use super::{BlockedReason, Cancelled, Item, ItemEvent, ItemState, MergeStage, Phase, Waiting, Worktree, freeze};
use crate::change::Change;
use crate::command::{Failure, Refused};
use crate::effect::{Effect, EffectKind, Stop, When};
use crate::event::Happened;
use crate::forge::{ForgeFailure, ForgeWork};
use crate::id::{ItemId, RunId};
use crate::run::{FailureClass, Outcome, Run, RunState, Usage};
use crate::state::State;
use crate::step::Context;
use crate::{merge, pull, retry as retries, watch};

pub(super) fn refuse(verb: &'static str, item: &Item, fix: &'static str) -> Refused {
    Refused::State { verb, noun: "item", name: item.key.to_string(), state: item.phase().name(), fix }
}

/// A landing writes the base branch at this moment; nothing may come between.
pub(super) fn not_while_landing(verb: &'static str, item: &Item) -> Result<(), Refused> {
    match item.state {
        ItemState::Merging(MergeStage::Landing(_)) => {
            Err(refuse(verb, item, "its merge is being written just now; ask again in a moment"))
        }
        _ => Ok(()),
    }
}

/// Gives a failed or blocked item a fresh start: attempt 0, its worktree as it is.
pub fn retry(state: &State, id: ItemId, cx: &mut Context) -> Result<Change, Refused> {
    let item = find(state, id)?;
    if state.mission(item.mission).is_none_or(|m| m.row.state.is_terminal()) {
        return Err(refuse("retry", item, "its mission has ended; start a new one"));
    }
    if item.satisfied {
        return Err(refuse("retry", item, "it was skipped, and what depends on it has gone on"));
    }
    if let Some(change) = watch::looked_at_again(state, item, cx)? {
        return Ok(change);
    }
    let mut row = item.clone();
    go(&mut row, ItemEvent::Free, ItemState::Ready, cx)
        .map_err(|_| refuse("retry", item, "only failed and blocked items can be retried"))?;
    row.start_afresh();
    let event = cx.about(&row, Happened::ItemRetried {});
    // A fresh start has its fix runs anew.
    let fresh = |pull: &pull::Pull| pull::Pull { ci: pull::CiFixes::default(), ..pull.clone() };
    let pulls = state.pull(id).map(fresh).into_iter().collect();
    Ok(Change { items: vec![row], pulls, events: vec![event], ..Change::default() })
}

/// Takes an item out; its run, if any, is interrupted.
pub fn hold(state: &State, id: ItemId, reason: &str, cx: &mut Context) -> Result<Change, Refused> {
    let item = find(state, id)?;
    not_while_landing("hold", item)?;
    let mut row = item.clone();
    let from = row.phase();
    let resume_to = match from {
        Phase::Assigned | Phase::Running => Phase::Ready,
        Phase::Pending
        | Phase::Ready
        | Phase::Verifying
        | Phase::Waiting
        | Phase::Merging
        | Phase::MergeFailed
        | Phase::Done
        | Phase::Blocked
        | Phase::Held
        | Phase::Failed
        | Phase::Cancelled => from,
    };
    let held = ItemState::Held { resume_to, reason: reason.into() };
    // Out altogether, and one release puts it back.
    row.frozen = None;
    go(&mut row, ItemEvent::Hold, held, cx)
        .map_err(|_| refuse("hold", item, "only items that are not held, done, failed or cancelled can be held"))?;
    let mut change = withdraw(state, &mut row, Stop::Interrupt, cx);
    change.events.push(cx.about(&row, Happened::ItemHeld { reason: reason.into(), from }));
    change.items.push(row);
    Ok(change)
}

/// Puts a held item back to where it was; what was under way there begins anew. A frozen or demoted one goes on from where
/// it is.
pub fn release(state: &State, id: ItemId, cx: &mut Context) -> Result<Change, Refused> {
    let item = find(state, id)?;
    if item.frozen.is_some() {
        return Ok(freeze::thaw(item, cx));
    }
    let ItemState::Held { resume_to, .. } = &item.state else {
        return Err(refuse("release", item, "only held, frozen and demoted items can be released"));
    };
    let to = *resume_to;
    if to == Phase::Verifying && state.mission(item.mission).is_some_and(|m| m.free_slots() == 0) {
        return Err(refuse(
            "release",
            item,
            "its mission has as many items at work as it may; ask again when one is done",
        ));
    }
    let mut row = item.clone();
    let mut change = Change::default();
    row.state = match to {
        Phase::Pending => ItemState::Pending,
        Phase::Verifying => {
            change.effects.push(cx.effect(id, EffectKind::Inspect));
            ItemState::Verifying
        }
        Phase::Waiting if row.no_merge && row.approval.is_some() => ItemState::Waiting(Waiting::Clear),
        Phase::Waiting => ItemState::Waiting(crate::review::waits_on(state, &row)),
        Phase::Merging | Phase::MergeFailed => {
            row.queued_at = Some(cx.now);
            ItemState::Merging(MergeStage::Queued)
        }
        Phase::Blocked => ItemState::Blocked(blocked_again(state, &row)),
        Phase::Ready
        | Phase::Assigned
        | Phase::Running
        | Phase::Done
        | Phase::Held
        | Phase::Failed
        | Phase::Cancelled => ItemState::Ready,
    };
    row.updated_at = cx.now;
    let event = cx.about(&row, Happened::ItemReleased { to: row.phase() });
    change.events.push(event);
    change.items.push(row);
    Ok(change)
}

/// Why an item was blocked before it was held: its counters still tell.
fn blocked_again(state: &State, row: &Item) -> BlockedReason {
    let last = row.last_error.clone().unwrap_or_default();
    if let Some(reason) = watch::blocked_again(state, row) {
        return reason;
    }
    if row.merge_failures >= merge::FAILURES_IN_A_ROW {
        BlockedReason::MergeFailures(last)
    } else if retries::blocks_as_empty(row) {
        BlockedReason::NothingChanges
    } else if row.resolver_runs >= merge::RESOLVER_RUNS {
        BlockedReason::ConflictsUnresolved
    } else {
        BlockedReason::Cap(if last.is_empty() { "run limit exceeded".into() } else { last })
    }
}

/// Counts an item as done for those that depend on it. One that has ended keeps its state.
pub fn skip(state: &State, id: ItemId, cx: &mut Context) -> Result<Change, Refused> {
    let item = find(state, id)?;
    let mut row = item.clone();
    let mut change = Change::default();
    match item.phase() {
        Phase::Failed | Phase::Cancelled => {
            if row.satisfied {
                return Err(refuse("skip", item, "it already counts as done"));
            }
            row.satisfied = true;
            row.updated_at = cx.now;
            change.extend(worktree_leftover(state, &mut row, None, cx));
        }
        Phase::Pending | Phase::Ready | Phase::Blocked | Phase::Held | Phase::Waiting => {
            row.no_merge = true;
            go(&mut row, ItemEvent::Accept, ItemState::Done, cx)?;
            change.extend(withdraw(state, &mut row, Stop::Interrupt, cx));
            change.extend(worktree_leftover(state, &mut row, None, cx));
        }
        Phase::Assigned | Phase::Running | Phase::Verifying | Phase::Merging | Phase::MergeFailed => {
            return Err(refuse("skip", item, "hold it first; that interrupts its run"));
        }
        Phase::Done => return Err(refuse("skip", item, "it is done")),
    }
    change.events.push(cx.about(&row, Happened::ItemSkipped {}));
    change.items.push(row);
    Ok(change)
}

/// Gives an item up. Its branch is kept; its worktree goes when nothing in it is unique.
pub fn cancel(state: &State, id: ItemId, cx: &mut Context) -> Result<Change, Refused> {
    let item = find(state, id)?;
    not_while_landing("cancel", item)?;
    cancelled(state, item, Cancelled::Abandoned, Stop::Interrupt, cx)
        .map_err(|_| refuse("cancel", item, "it has ended"))
}

/// Gives an item up for a reason.
pub(crate) fn cancelled(
    state: &State,
    item: &Item,
    why: Cancelled,
    stop: Stop,
    cx: &mut Context,
) -> Result<Change, Refused> {
    let mut row = item.clone();
    go(&mut row, ItemEvent::Cancel, ItemState::Cancelled(why), cx)?;
    let mut change = withdraw(state, &mut row, stop, cx);
    change.extend(worktree_leftover(state, &mut row, None, cx));
    let reason = row.reason().unwrap_or_default().into();
    change.events.push(cx.about(&row, Happened::ItemCancelled { reason }));
    change.items.push(row);
    Ok(change)
}

/// Ends what is under way for an item that leaves: its run is stopped, its checks and merges are closed.
pub(super) fn withdraw(state: &State, row: &mut Item, stop: Stop, cx: &mut Context) -> Change {
    let mut change = Change { closed: close_effects(state, row.id), ..Change::default() };
    if row.worktree == Worktree::Creating {
        // Whatever of it there is has its slot, by which it is made anew or removed.
        row.worktree = Worktree::None;
    }
    let hosted: Vec<RunId> = state
        .effects_of(row.id)
        .filter_map(|e| match e.kind {
            EffectKind::StartRun(run) => Some(run),
            EffectKind::CreateWorktree
            | EffectKind::StopRun(..)
            | EffectKind::TellRun { .. }
            | EffectKind::AnswerRun { .. }
            | EffectKind::Inspect
            | EffectKind::Gate { .. }
            | EffectKind::PrepareMerge { .. }
            | EffectKind::Rebase
            | EffectKind::Land { .. }
            | EffectKind::RemoveWorktree { .. }
            | EffectKind::PushBranch { .. }
            | EffectKind::Forge(_)
            | EffectKind::RunCheck { .. }
            | EffectKind::PrepareFiring(_)
            | EffectKind::FetchUrl { .. } => None,
        })
        .collect();
    if hosted.is_empty() {
        // Whatever was assigned has no host yet.
        change.extend(give_back(state, row, cx));
    }
    for run in hosted {
        change.extend(stop_effect(state, row, run, stop, cx));
    }
    change
}

/// Asks for the end of a run, once: a second wish only counts when it is sterner.
pub(crate) fn stop_effect(state: &State, row: &Item, run: RunId, how: Stop, cx: &mut Context) -> Change {
    let asked = state.effects_of(row.id).any(|e| match e.kind {
        EffectKind::StopRun(r, earlier) => r == run && (earlier == how || earlier == Stop::Kill),
        _ => false,
    });
    let mut change = Change::default();
    if !asked {
        change.effects.push(cx.effect(row.id, EffectKind::StopRun(run, how)));
        let mut event = cx.about(row, Happened::RunStopping { how });
        event.run = Some(run);
        change.events.push(event);
    }
    change
}

/// Ends a run on request; its item is ready again.
pub fn stop_run(state: &State, id: RunId, how: Stop, cx: &mut Context) -> Result<Change, Refused> {
    let run = state.run(id).ok_or_else(|| Refused::NotFound { noun: "run", name: id.short() })?;
    let item = find(state, run.item)?;
    if run.state == RunState::Starting && item.worktree != Worktree::Ready {
        return Err(Refused::State {
            verb: "stop",
            noun: "run",
            name: id.short(),
            state: run.state.name(),
            fix: "its worktree is being made; ask again in a moment, or `musher item hold` its item",
        });
    }
    Ok(stop_effect(state, item, id, how, cx))
}

/// The longest message to a running agent, in bytes.
pub const LONGEST_MESSAGE: usize = 64 << 10;

/// A message to a running agent.
pub fn tell_run(state: &State, id: RunId, text: &str, when: When, cx: &mut Context) -> Result<Change, Refused> {
    let run = state.run(id).ok_or_else(|| Refused::NotFound { noun: "run", name: id.short() })?;
    let item = find(state, run.item)?;
    if text.trim().is_empty() || text.len() > LONGEST_MESSAGE {
        return Err(Refused::Invalid {
            what: format!("a message of {} bytes; it has 1 to {LONGEST_MESSAGE}", text.len()),
            fix: "say it shorter, or put it into a file of the repository".to_owned(),
        });
    }
    if run.state != RunState::Running {
        return Err(Refused::State {
            verb: "send to",
            noun: "run",
            name: id.short(),
            state: run.state.name(),
            fix: "`musher mission note` reaches the agents that start from now on",
        });
    }
    let text = format!("{}: {}", cx.actor.text(), text.trim());
    Ok(tell_effect(item, run, &text, when, cx))
}

/// A message for a running agent, in the outbox.
pub(crate) fn tell_effect(item: &Item, run: &Run, text: &str, when: When, cx: &mut Context) -> Change {
    let effect = cx.effect(item.id, EffectKind::TellRun { run: run.id, text: text.into(), when });
    let mut event = cx.about(item, Happened::MessageSent { text: text.into(), when });
    (event.run, event.agent) = (Some(run.id), Some(run.agent));
    Change { effects: vec![effect], events: vec![event], ..Change::default() }
}

/// A message reached its agent, or did not.
pub fn told(state: &State, item: &Item, run: RunId, delivered: bool, cx: &Context) -> Change {
    if delivered {
        return Change::default();
    }
    let mut event = cx.about(item, Happened::MessageUndelivered {});
    (event.run, event.agent) = (Some(run), state.run(run).map(|run| run.agent));
    Change { events: vec![event], ..Change::default() }
}

/// Removes a kept worktree after everything in it was saved under the attic ref.
pub fn discard(state: &State, id: ItemId, cx: &mut Context) -> Result<Change, Refused> {
    let item = find(state, id)?;
    let mut row = item.clone();
    let begun = item.worktree == Worktree::None && item.slot.is_some();
    let kept = begun || matches!(item.worktree, Worktree::Kept(_) | Worktree::Ready);
    let ended = item.is_terminal() && state.runs_of(id).is_empty();
    if !(ended && kept) {
        return Err(refuse("discard the worktree of", item, "only worktrees of ended items can be discarded"));
    }
    row.worktree = Worktree::Removing;
    row.updated_at = cx.now;
    let effect = cx.effect(id, EffectKind::RemoveWorktree { discard: true });
    Ok(Change { items: vec![row], effects: vec![effect], ..Change::default() })
}

/// A worktree is gone, or stays for a reason.
pub fn worktree_removed(item: &Item, kept: Option<&str>, cx: &mut Context) -> Result<Change, Refused> {
    let mut row = item.clone();
    let happened = match kept {
        Some(reason) => {
            row.worktree = Worktree::Kept(reason.into());
            Happened::WorktreeKept { reason: reason.into() }
        }
        None => {
            row.worktree = Worktree::None;
            row.slot = None;
            Happened::WorktreeRemoved {}
        }
    };
    let event = cx.about(&row, happened);
    Ok(Change { items: vec![row], events: vec![event], ..Change::default() })
}

fn unasked(error: &str) -> ForgeFailure {
    ForgeFailure::Unasked(error.into())
}

/// The driver itself could not work. What that means depends on what it was to do.
pub fn driver_failed(
    state: &State,
    item: &Item,
    effect: &Effect,
    error: &str,
    cx: &mut Context,
) -> Result<Change, Refused> {
    let failure = Failure { class: FailureClass::Setup, message: error.into(), detail: Box::default() };
    match &effect.kind {
        EffectKind::CreateWorktree => super::worktree_failed(state, item, None, error, cx),
        EffectKind::StartRun(run) => {
            let outcome = Outcome::Failed { class: FailureClass::Setup, message: error.into(), detail: Box::default() };
            super::run_finished(state, item, *run, &outcome, Usage::default(), cx)
        }
        EffectKind::Inspect => retries::failed(state, item, item.run, &failure, cx),
        EffectKind::Gate { .. } if item.phase() == Phase::Verifying => {
            retries::failed(state, item, item.run, &failure, cx)
        }
        EffectKind::Rebase if crate::state::follows_pull(item) => pull::failed(state, item.id, &unasked(error), cx),
        EffectKind::Gate { .. } | EffectKind::PrepareMerge { .. } | EffectKind::Rebase | EffectKind::Land { .. } => {
            merge::held(state, item, error, cx)
        }
        EffectKind::RemoveWorktree { .. } => worktree_removed(item, Some(error), cx),
        EffectKind::StopRun(..)
        | EffectKind::TellRun { .. }
        | EffectKind::AnswerRun { .. }
        | EffectKind::PrepareFiring(_) => Ok(Change::default()),
        EffectKind::PushBranch { .. } => pull::failed(state, item.id, &unasked(error), cx),
        EffectKind::Forge(ForgeWork::LookAtIssue { watch, .. })
        | EffectKind::RunCheck { watch, .. }
        | EffectKind::FetchUrl { watch, .. } => watch::look_failed(state, *watch, &unasked(error), cx),
        EffectKind::Forge(work) => pull::refused(state, item.id, work, &unasked(error), cx),
    }
}
