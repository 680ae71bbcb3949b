//! Freezing and demoting: an item stays in its mission, and nothing new begins for it until it is released.

use super::operate::{not_while_landing, refuse, withdraw};
use super::progress::{find, go};
use super::{Item, ItemEvent, ItemState, Phase, moved};
use crate::change::Change;
use crate::command::Refused;
use crate::dispatch;
use crate::effect::Stop;
use crate::event::Happened;
use crate::id::ItemId;
use crate::state::State;
use crate::step::Context;

/// Lets nothing new begin for an item: it keeps its place and its worktree, and what is in flight comes to its end. An
/// assignment whose agent has not started yet is taken back.
pub fn freeze(state: &State, id: ItemId, reason: &str, cx: &mut Context) -> Result<Change, Refused> {
    let item = find(state, id)?;
    if moved(item.phase(), ItemEvent::Freeze).is_none() {
        let fix = match item.phase() {
            Phase::Held => "it is out already; `musher item release` puts it back",
            Phase::Pending
            | Phase::Ready
            | Phase::Assigned
            | Phase::Running
            | Phase::Verifying
            | Phase::Waiting
            | Phase::Merging
            | Phase::MergeFailed
            | Phase::Done
            | Phase::Blocked
            | Phase::Failed
            | Phase::Cancelled => "nothing begins for an item that has ended",
        };
        return Err(refuse("freeze", item, fix));
    }
    if item.frozen.is_some() {
        let (name, fix) = (item.key.to_string(), "`musher item release` lets it go on");
        return Err(Refused::State { verb: "freeze", noun: "item", name, state: "frozen", fix });
    }
    let mut row = item.clone();
    let mut change = dispatch::take_back(state, &mut row, cx)?.unwrap_or_default();
    row.frozen = Some(reason.into());
    row.updated_at = cx.now;
    change.events.push(cx.about(&row, Happened::ItemFrozen { reason: reason.into() }));
    change.items.push(row);
    Ok(change)
}

/// Lets a frozen item go on from where it is.
pub(super) fn thaw(item: &Item, cx: &Context) -> Change {
    let mut row = item.clone();
    row.frozen = None;
    row.updated_at = cx.now;
    let event = cx.about(&row, Happened::ItemReleased { to: row.phase() });
    Change { items: vec![row], events: vec![event], ..Change::default() }
}

/// Sends an item back to the start: its run is interrupted, its yes and its place in the merge queue are given up, its
/// worktree and what it has still to mend are kept. It stays pending until it is released.
pub fn demote(state: &State, id: ItemId, reason: &str, cx: &mut Context) -> Result<Change, Refused> {
    let item = find(state, id)?;
    not_while_landing("demote", item)?;
    let mut row = item.clone();
    let from = row.phase();
    go(&mut row, ItemEvent::Demote, ItemState::Pending, cx).map_err(|_| {
        let fix = match from {
            Phase::Pending => "`musher item freeze` keeps it there",
            Phase::Done => "`musher item reopen` makes a follow-up of it",
            Phase::Failed => "`musher item retry` gives it a fresh start",
            Phase::Ready
            | Phase::Assigned
            | Phase::Running
            | Phase::Verifying
            | Phase::Waiting
            | Phase::Merging
            | Phase::MergeFailed
            | Phase::Blocked
            | Phase::Held
            | Phase::Cancelled => "it has ended",
        };
        refuse("demote", item, fix)
    })?;
    row.start_afresh();
    (row.approval, row.no_merge, row.queued_at) = (None, false, None);
    row.frozen = Some(reason.into());
    let mut change = withdraw(state, &mut row, Stop::Interrupt, cx);
    change.events.push(cx.about(&row, Happened::ItemDemoted { reason: reason.into(), from }));
    change.items.push(row);
    Ok(change)
}
