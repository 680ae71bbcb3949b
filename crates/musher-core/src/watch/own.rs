//! The watches that are looked at each for itself: issues, programs and addresses.

use super::{
    Holds, Looks, Seen, Watch, WatchKind, WatchStatus, failed, failure_event, interval, interval_between_webhooks,
};
use crate::change::Change;
use crate::command::{Actor, Refused};
use crate::effect::EffectKind;
use crate::event::Happened;
use crate::forge::{ForgeFailure, ForgeWork, PullState};
use crate::id::WatchId;
use crate::item::{self, BlockedReason, Item, ItemEvent, ItemState, Phase, Waiting};
use crate::retry;
use crate::state::State;
use crate::step::Context;

fn stale() -> Refused {
    Refused::Stale { what: "nothing waits for its watch" }
}

fn found(state: &State, id: WatchId) -> Result<(&Watch, &Item), Refused> {
    let watch = state.watch(id).filter(|watch| state.is_looked_at(watch)).ok_or_else(stale)?;
    Ok((watch, state.item(watch.item).ok_or_else(stale)?))
}

/// A watch is due.
pub(crate) fn look(state: &State, id: WatchId, cx: &mut Context) -> Result<Change, Refused> {
    let (watch, item) = found(state, id)?;
    if watch.looks.due.is_none() {
        return Err(stale());
    }
    let kind = match &watch.kind {
        WatchKind::IssueClosed(issue) => EffectKind::Forge(ForgeWork::LookAtIssue { watch: id, issue: issue.clone() }),
        WatchKind::Command(argv) => EffectKind::RunCheck { watch: id, argv: argv.clone() },
        WatchKind::Url(url) => EffectKind::FetchUrl { watch: id, url: url.clone() },
        WatchKind::PrChecks | WatchKind::BotComments | WatchKind::ReviewComments | WatchKind::Mergeability => {
            return Err(stale());
        }
    };
    let mut row = watch.clone();
    (row.looks.due, row.looks.hinted) = (None, false);
    let effect = cx.effect(item.id, kind);
    Ok(Change { watches: vec![row], effects: vec![effect], ..Change::default() })
}

/// A look has said whether the condition is met.
pub(crate) fn looked(state: &State, id: WatchId, met: bool, text: &str, cx: &mut Context) -> Result<Change, Refused> {
    let (watch, item) = found(state, id)?;
    let mut row = watch.clone();
    let seen = if met { Seen::Done } else { Seen::Pending };
    if row.seen != seen {
        row.changed_at = cx.now;
    }
    (row.seen, row.text) = (seen, Some(text.into()));
    let (interval, fallback) = match &row.kind {
        // Of other repositories no webhooks come.
        WatchKind::IssueClosed(issue) if issue.repo.is_none() => interval_between_webhooks(state, row.mission, cx.now),
        WatchKind::IssueClosed(_)
        | WatchKind::Command(_)
        | WatchKind::Url(_)
        | WatchKind::PrChecks
        | WatchKind::BotComments
        | WatchKind::ReviewComments
        | WatchKind::Mergeability => (interval(state, row.mission), false),
    };
    // What was let to rest while the look was under way rests.
    let rests = row.status.rests_until(cx.now);
    let next = rests.unwrap_or(if row.looks.hinted { cx.now } else { cx.now.after(interval) });
    let due = (!met).then_some(next);
    let fallback = fallback && !met && !row.looks.hinted;
    row.looks = Looks { due, looked_at: Some(cx.now), fallback, ..Looks::default() };
    if rests.is_none() {
        row.status = WatchStatus::Active;
    }
    let mut change = Change::default();
    if met {
        row.status = WatchStatus::Done;
        change.events.push(cx.about(item, done_event(&row)));
    }
    change.watches.push(row);
    Ok(change)
}

pub(super) fn done_event(row: &Watch) -> Happened {
    Happened::WatchDone { watch: row.kind.name().into(), text: row.text.clone().unwrap_or_default() }
}

/// A look has failed.
pub(crate) fn look_failed(
    state: &State,
    id: WatchId,
    failure: &ForgeFailure,
    cx: &mut Context,
) -> Result<Change, Refused> {
    let (watch, item) = found(state, id)?;
    let mut row = watch.clone();
    let (looks, blocked) = failed(&watch.looks, failure, cx.now);
    row.looks = looks;
    let mut change = Change::default();
    change.events.extend(failure_event(item, row.kind.name(), &watch.looks, failure, cx));
    match blocked.filter(|_| row.holds == Holds::Start) {
        Some(reason) => {
            change.watches.push(row);
            retry::block(item.clone(), reason, change, cx)
        }
        None => {
            // What holds up only the end of the mission has no item to block: it is looked at on.
            row.looks.due = row.looks.due.or_else(|| Some(cx.now.after(super::backoff(row.looks.failures))));
            change.watches.push(row);
            Ok(change)
        }
    }
}

/// What becomes of the watches of items that move: those of an ended one hold nothing up any more, and those that hold
/// something up where it is now are looked at, also when the look was withdrawn with the item.
pub(crate) fn settle(state: &State, change: &mut Change, cx: &Context) {
    let mut settled: Vec<Watch> = Vec::new();
    // Of the rows of an item the last one counts.
    for (at, row) in change.items.iter().enumerate() {
        if change.items[at + 1..].iter().any(|later| later.id == row.id) {
            continue;
        }
        let (done, cancelled) = (row.phase() == Phase::Done, row.phase() == Phase::Cancelled);
        for old in state.watches_of(row.id) {
            let latest = change.watches.iter().rev().find(|w| w.id == old.id).unwrap_or(old);
            if !latest.status.is_open() {
                continue;
            }
            let holds_up = match latest.holds {
                Holds::Start => row.phase() == Phase::Pending,
                Holds::Mission => done,
                Holds::Pull => false,
            };
            let mut after = latest.clone();
            if holds_up {
                let mut looks = state.effects_of(row.id).filter(|effect| super::is_look_of(&effect.kind, old.id));
                if after.looks.due.is_some() || looks.any(|effect| !change.closed.contains(&effect.id)) {
                    continue;
                }
                after.looks.due = Some(after.status.rests_until(cx.now).unwrap_or(cx.now));
            } else if done || cancelled {
                let by_hand = !matches!(cx.actor, Actor::Musher) && row.merged.is_none();
                after.status = if by_hand { overridden(cx) } else { WatchStatus::Done };
                after.looks = Looks { looked_at: after.looks.looked_at, ..Looks::default() };
            } else {
                continue;
            }
            settled.push(after);
        }
    }
    change.watches.extend(settled);
}

pub(crate) fn overridden(cx: &Context) -> WatchStatus {
    WatchStatus::Overridden(cx.actor.text().into())
}

/// A blocked item whose block came from outside is looked at again: it goes back to where it waited, not to an agent.
pub(crate) fn looked_at_again(state: &State, item: &Item, cx: &mut Context) -> Result<Option<Change>, Refused> {
    let ItemState::Blocked(BlockedReason::Watch(_) | BlockedReason::Pull(_)) = &item.state else { return Ok(None) };
    let mut row = item.clone();
    let mut change = Change::default();
    let starts: Vec<&Watch> =
        state.watches_of(item.id).filter(|w| w.holds == Holds::Start && w.status.is_open()).collect();
    if starts.is_empty() {
        item::go(&mut row, ItemEvent::Wait, ItemState::Waiting(Waiting::Clear), cx)?;
    } else {
        item::go(&mut row, ItemEvent::Relock, ItemState::Pending, cx)?;
        for watch in starts {
            let looks = Looks { due: Some(cx.now), looked_at: watch.looks.looked_at, ..Looks::default() };
            change.watches.push(Watch { looks, ..watch.clone() });
        }
    }
    change.events.push(cx.about(&row, Happened::ItemRetried {}));
    change.items.push(row);
    Ok(Some(change))
}

/// Why an item that was blocked from outside was blocked, when its rows still tell.
pub(crate) fn blocked_again(state: &State, row: &Item) -> Option<BlockedReason> {
    let of_watch = |watch: &Watch| watch.status.is_open() && watch.looks.refusals >= super::FAILURES_IN_A_ROW;
    let failed = state.watches_of(row.id).find(|watch| of_watch(watch)).map(|watch| &watch.looks);
    let pull = state.pull(row.id);
    let failed = failed.or(pull.map(|pull| &pull.looks).filter(|looks| looks.refusals >= super::FAILURES_IN_A_ROW));
    if let Some(looks) = failed {
        return Some(BlockedReason::Watch(looks.error.clone().unwrap_or_default()));
    }
    let closed = pull.filter(|pull| pull.state == PullState::Closed)?;
    Some(BlockedReason::Pull(format!("{} was closed without a merge", closed.name()).into()))
}
