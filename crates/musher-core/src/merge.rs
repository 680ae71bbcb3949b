//! The merge queue: batches made in the object store, tested together, and landed by compare-and-swap.

mod batch;
mod course;
mod overlap;
mod queue;

pub use batch::{BATCH_MAX, Batch, End, Link, Member, Plan, Stand, Tried};
pub use course::is_broken;
pub(crate) use course::is_member;
pub(crate) use overlap::remember;
pub use overlap::{Overlap, REMEMBERED};
pub use queue::{Ejected, MergeQueue, eject, pause, resume, retry};

use std::time::Duration;

use course::{advance, dissolve, fail, judge_members, with};

use crate::change::{Change, GateRecord, TextKey};
use crate::command::{Cut, Failure, Landing, Preparation, Rebase, Refused};
use crate::effect::{EffectKind, Stop};
use crate::event::Happened;
use crate::id::ItemId;
use crate::item::{self, BlockedReason, Cancelled, Fix, Item, ItemEvent, ItemState, MergeFailure, MergeStage};
use crate::mission::Delivery;
use crate::retry as retries;
use crate::state::State;
use crate::step::Context;
use crate::verify::gate_of;

/// Merge failures in a row after which musher stops trying.
pub const FAILURES_IN_A_ROW: u32 = 3;
/// Resolver runs an item may have.
pub const RESOLVER_RUNS: u32 = 3;
/// Waits for a base that cannot be advanced: the first, then doubled, at most the last.
const HELD_WAITS: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));

fn stage(item: &Item) -> Option<&MergeStage> {
    match &item.state {
        ItemState::Merging(stage) => Some(stage),
        _ => None,
    }
}

fn stale() -> Refused {
    Refused::Stale { what: "its item is not at that stage of a merge" }
}

/// The batch under way, as far as this report is about it.
fn batch_of(state: &State, holds: impl FnOnce(&Batch) -> bool) -> Result<Batch, Refused> {
    state.batch().filter(|batch| holds(batch)).cloned().ok_or_else(stale)
}

/// The first in the queue, and what may go with it, become a batch.
pub fn begin(state: &State, id: ItemId, cx: &mut Context) -> Result<Change, Refused> {
    let item = state.item(id).ok_or_else(stale)?;
    match stage(item) {
        Some(MergeStage::Queued | MergeStage::Held { .. }) if state.batch().is_none() => {}
        _ => return Err(stale()),
    }
    let mut change = fall_back(state, item, cx);
    let target = change.missions.first().or_else(|| state.mission(item.mission).map(|entry| &entry.row));
    let target = target.map(|mission| mission.target_ref()).ok_or_else(stale)?;
    let members = members(state, item, &target);
    let number = state.merge_queue().batches + 1;
    let batch = Batch::new(number, &target, gate_of(state, item), &members, cx.now);
    for row in members.iter().filter_map(|id| state.item(*id)) {
        change.events.push(cx.about(row, Happened::MergeStarted {}));
        let state = ItemState::Merging(MergeStage::Preparing);
        change.items.push(Item { state, updated_at: cx.now, ..row.clone() });
    }
    change.effects.push(cx.effect(id, EffectKind::PrepareMerge { members: members.into() }));
    change.queue = Some(Box::new(MergeQueue { batches: number, ..with(state, Some(batch)) }));
    Ok(change)
}

/// Who goes with the first: those behind it that have the same target and the same gate. Another target has a queue of
/// its own; behind another gate nobody overtakes.
fn members(state: &State, first: &Item, target: &str) -> Vec<ItemId> {
    let alone = |item: &Item| matches!(stage(item), Some(MergeStage::Held { alone: true, .. }));
    let mut members = vec![first.id];
    if alone(first) {
        return members;
    }
    let gate = gate_of(state, first);
    let most = state.settings().batch_max.max(1) as usize;
    for item in state.queue().filter(|id| *id != first.id).filter_map(|id| state.item(id)) {
        let its_target = state.mission(item.mission).map(|entry| entry.row.target_ref());
        if its_target.as_deref() != Some(target) {
            continue;
        }
        if members.len() >= most || alone(item) || gate_of(state, item) != gate {
            break;
        }
        members.push(item.id);
    }
    members
}

/// Without a gate nothing reaches the base branch, also when the gate is taken away in mid-mission.
fn fall_back(state: &State, row: &Item, cx: &mut Context) -> Change {
    let mut change = Change::default();
    if gate_of(state, row).is_none()
        && let Some(entry) = state.mission(row.mission)
        && entry.row.delivery == Delivery::Merge
    {
        let mut mission = entry.row.clone();
        mission.delivery = Delivery::Branch;
        mission.updated_at = cx.now;
        let branch = mission.integration_branch().into();
        change.events.push(cx.about_mission(mission.id, Happened::DeliveryFellBack { branch }));
        change.missions.push(mission);
    }
    change
}

/// The chain exists in the object store, as far as it is clean.
pub fn prepared(state: &State, item: &Item, preparation: &Preparation, cx: &mut Context) -> Result<Change, Refused> {
    let mut batch = batch_of(state, |batch| !batch.is_formed() && batch.place_of(item.id) == Some(0))?;
    let Preparation { base, links, cut } = preparation;
    let known = batch.gate.as_deref().and_then(|gate| state.gate_record(&base.tree, gate));
    // Whoever waited for it to be mended has it tested anew.
    let base_is_red = known.is_some_and(|record| !record.green) && !item.regate;
    // On a base that is red nobody can be blamed for anything: one at a time, whoever mends it lands.
    let most = if base_is_red { 1 } else { batch.members.len() };
    let mut change = Change::default();
    for member in batch.members.iter().skip(links.len().min(most).max(1)) {
        if let Some(row) = state.item(member.item).filter(|item| is_member(item)) {
            let state = ItemState::Merging(MergeStage::Queued);
            change.items.push(Item { state, updated_at: cx.now, ..row.clone() });
        }
    }
    if links.is_empty() {
        batch.members.truncate(1);
        return cut_off(state, &batch, item, cut.as_ref(), change, cx);
    }
    batch.form(base.clone(), &links[..links.len().min(most)]);
    batch.tried[0].green = known.is_some_and(|record| record.green);
    batch.tried[0].reds = if base_is_red { u8::MAX } else { 0 };
    judge_members(state, &batch, &mut change, cx);
    advance(state, batch, change, cx)
}

/// The first member does not merge onto the target itself.
fn cut_off(
    state: &State,
    batch: &Batch,
    item: &Item,
    cut: Option<&Cut>,
    mut change: Change,
    cx: &mut Context,
) -> Result<Change, Refused> {
    match cut {
        Some(Cut::Conflict { .. }) => {
            let row = Item { state: ItemState::Merging(MergeStage::Rebasing), updated_at: cx.now, ..item.clone() };
            change.effects.push(cx.effect(row.id, EffectKind::Rebase));
            change.items.push(row);
            change.queue = Some(Box::new(with(state, None)));
            Ok(change)
        }
        Some(Cut::Landed { commit }) => {
            change.extend(done(state, item.clone(), commit, cx)?);
            change.queue = Some(Box::new(with(state, None)));
            Ok(change)
        }
        Some(Cut::Empty) | None => {
            fail(state, batch, 0, (MergeFailure::Empty, "the merge would change nothing", ""), change, cx)
        }
        Some(Cut::Failed { error }) => hold(state, batch, 1, error, true, change, cx),
    }
}

/// The gate has spoken of a prefix of the batch.
pub fn gated(
    state: &State,
    item: &Item,
    commit: &str,
    (red, record): (Option<Failure>, GateRecord),
    cx: &mut Context,
) -> Result<Change, Refused> {
    let under_test = |batch: &Batch| batch.prefix_of(commit).filter(|prefix| batch.tried[*prefix].slot.is_some());
    let mut batch = batch_of(state, |batch| under_test(batch).is_some())?;
    let prefix = under_test(&batch).ok_or_else(stale)?;
    let tried = &mut batch.tried[prefix];
    tried.slot = None;
    let mut change = Change::default();
    match red {
        Some(failure) => {
            tried.reds = tried.reds.saturating_add(1);
            tried.words = Some(failure.message);
        }
        None => {
            tried.green = true;
            if tried.reds > 0 {
                change.events.push(cx.about(item, Happened::GateFlaky { tree: record.tree.clone() }));
                change.queue = Some(Box::new(MergeQueue { flaky: state.merge_queue().flaky + 1, ..with(state, None) }));
            }
        }
    }
    change.gates.push(record);
    advance(state, batch, change, cx)
}

/// A member has left the batch: what is left of it is formed anew.
pub fn reform(state: &State, cx: &mut Context) -> Result<Change, Refused> {
    let batch = batch_of(state, |batch| is_broken(state, batch))?;
    dissolve(state, &batch, Change::default(), cx)
}

/// The rebase in the item's own worktree is done, or conflicts.
pub fn rebased(state: &State, item: &Item, rebase: &Rebase, cx: &mut Context) -> Result<Change, Refused> {
    let Some(MergeStage::Rebasing) = stage(item) else { return Err(stale()) };
    match rebase {
        Rebase::Done { head } => {
            let (state, base_at) = (ItemState::Merging(MergeStage::Queued), Some(cx.now));
            let row = Item { state, head: Some(head.clone()), base_at, updated_at: cx.now, ..item.clone() };
            let event = cx.about(&row, Happened::BranchRebased { head: head.clone() });
            Ok(Change { items: vec![row], events: vec![event], ..Change::default() })
        }
        Rebase::Conflict { files, hunks } => {
            let names: Vec<&str> = files.iter().map(|f| &**f).collect();
            let mut change =
                failed(item, MergeFailure::Conflict, &format!("conflict in {}", names.join(", ")), hunks, cx)?;
            remember(state, item, files, &mut change, cx.now);
            Ok(change)
        }
    }
}

/// The advance of the target branch to a prefix was tried.
pub fn landed(state: &State, item: &Item, landing: &Landing, cx: &mut Context) -> Result<Change, Refused> {
    let mut batch = batch_of(state, |batch| batch.place_of(item.id).map(|at| at + 1) == batch.landing)?;
    let upto = batch.landing.take().ok_or_else(stale)?;
    let mut change = Change::default();
    match landing {
        Landing::Landed => {
            for at in batch.landed..upto {
                if let (Some(row), Some(link)) = (state.item(batch.members[at].item), batch.link(at + 1)) {
                    change.extend(done(state, row.clone(), &link.commit, cx)?);
                }
            }
            batch.landed = upto;
            advance(state, batch, change, cx)
        }
        Landing::BaseMoved => {
            change.events.push(cx.about(item, Happened::MergeRestarted { why: "the base moved".into() }));
            dissolve(state, &batch, change, cx)
        }
        Landing::BaseDirty { why } => hold(state, &batch, batch.members.len(), why, false, change, cx),
        Landing::Refused { error } if upto - batch.landed == 1 && !has_ended(state, item) => {
            fail(state, &batch, batch.landed, (MergeFailure::Refused, error, ""), change, cx)
        }
        // One of them may be what is refused: each is tried alone.
        Landing::Refused { error } => hold(state, &batch, upto, error, true, change, cx),
    }
}

fn done(state: &State, mut row: Item, commit: &str, cx: &mut Context) -> Result<Change, Refused> {
    row.merged = Some(commit.into());
    row.merge_failures = 0;
    row.merge_tries = 0;
    row.last_error = None;
    item::go(&mut row, ItemEvent::Land, ItemState::Done, cx)?;
    let target: Box<str> = state.mission(row.mission).map(|m| m.row.target_ref()).unwrap_or_default().into();
    let mut change = item::worktree_leftover(state, &mut row, None, cx);
    change.events.push(cx.about(&row, Happened::MergeDone { commit: commit.into(), target }));
    change.events.push(cx.about(&row, Happened::ItemDone { commit: row.merged.clone() }));
    change.items.push(row);
    Ok(change)
}

/// The driver could not do what the merge of this item needs, or its gate was killed: nothing is known by it.
pub fn held(state: &State, item: &Item, why: &str, cx: &mut Context) -> Result<Change, Refused> {
    match stage(item) {
        Some(MergeStage::Rebasing) => {
            if has_ended(state, item) {
                return item::cancelled(state, item, Cancelled::Abandoned, Stop::Interrupt, cx);
            }
            Ok(hold_one(item, why, false, cx))
        }
        Some(MergeStage::Preparing | MergeStage::Gating(_) | MergeStage::Landing(_)) => {
            let batch = batch_of(state, |batch| batch.place_of(item.id).is_some())?;
            let landing = batch.landing.is_some();
            // Whose fault it is cannot be seen from a batch: each is tried alone, unless it is about the target.
            let many = if batch.is_formed() { batch.members.len() } else { 1 };
            hold(state, &batch, many, why, !landing, Change::default(), cx)
        }
        Some(MergeStage::Queued | MergeStage::Held { .. }) | None => Err(stale()),
    }
}

/// The batch is given up; its members before `upto` that have not landed wait, and the others go back into the queue.
fn hold(
    state: &State,
    batch: &Batch,
    upto: usize,
    why: &str,
    alone: bool,
    change: Change,
    cx: &mut Context,
) -> Result<Change, Refused> {
    let mut change = dissolve(state, batch, change, cx)?;
    for member in batch.members.iter().take(upto).skip(batch.landed) {
        let queued = |item: &&Item| matches!(item.state, ItemState::Merging(MergeStage::Queued));
        if let Some(row) = change.item(state, member.item).filter(queued).cloned() {
            change.extend(hold_one(&row, why, alone, cx));
        }
    }
    Ok(change)
}

/// The merge of an item waits for something that no event announces: it is looked at again, less and less often.
fn hold_one(item: &Item, why: &str, alone: bool, cx: &mut Context) -> Change {
    let mut row = item.clone();
    let tries = row.merge_tries.saturating_add(1);
    let wait = HELD_WAITS.0.saturating_mul(1 << (tries - 1).min(5)).min(HELD_WAITS.1);
    let until = cx.now.after(wait);
    row.merge_tries = tries;
    row.state = ItemState::Merging(MergeStage::Held { until, why: why.into(), alone });
    row.updated_at = cx.now;
    let mut change = Change::default();
    if item.last_error.as_deref() != Some(why) {
        row.last_error = Some(why.into());
        change.events.push(cx.about(&row, Happened::MergeHeld { why: why.into(), until }));
    }
    change.items.push(row);
    change
}

/// Whether its mission ended while its landing was under way. What did not land then is not tried again.
fn has_ended(state: &State, item: &Item) -> bool {
    state.mission(item.mission).is_none_or(|m| m.row.state.is_terminal())
}

/// A merge failed: a run mends it, or musher stops trying.
fn failed(item: &Item, kind: MergeFailure, message: &str, detail: &str, cx: &mut Context) -> Result<Change, Refused> {
    let mut row = item.clone();
    item::go(&mut row, ItemEvent::MergeFail, ItemState::MergeFailed(kind), cx)?;
    row.last_error = Some(message.into());
    let mut change = Change::default();
    change.events.push(cx.about(&row, Happened::MergeFailed { failure: kind.name().into(), detail: message.into() }));
    // Kept also when musher stops trying: whoever frees the item gives it a run that must know.
    if let Some(run) = row.run {
        row.fix = Some(if kind == MergeFailure::Conflict { Fix::Conflict(run) } else { Fix::Gate(run) });
        let tail = retries::tail(detail, retries::LESSON_BYTES);
        change.texts.push((TextKey::Lesson(run), format!("{message}\n\n{tail}").trim_end().into()));
    }
    row.approval = None;
    if kind == MergeFailure::Conflict {
        // Not a strike while a resolver works: it has a budget of its own.
        if row.resolver_runs >= RESOLVER_RUNS {
            return retries::block(row, BlockedReason::ConflictsUnresolved, change, cx);
        }
        row.resolver_runs += 1;
    } else {
        row.merge_failures += 1;
        if row.merge_failures >= FAILURES_IN_A_ROW {
            return retries::block(row, BlockedReason::MergeFailures(message.into()), change, cx);
        }
    }
    item::go(&mut row, ItemEvent::Requeue, ItemState::Ready, cx)?;
    change.events.push(cx.about(&row, Happened::ItemReady { not_before: None }));
    change.items.push(row);
    Ok(change)
}
