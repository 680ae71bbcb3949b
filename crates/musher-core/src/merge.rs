//! The merge queue: one merge at a time, made in the object store, landed by compare-and-swap.

mod batch;

pub use batch::{BATCH_MAX, Batch, End, Link, Member, Plan, Tried};

use std::time::Duration;

use crate::change::{Change, TextKey};
use crate::command::{Failure, Landing, Preparation, Rebase, Refused};
use crate::effect::{EffectKind, GateOn, Stop};
use crate::event::Happened;
use crate::item::{
    self, BlockedReason, Cancelled, Fix, Item, ItemEvent, ItemState, MergeFailure, MergeStage, Prepared,
};
use crate::mission::Delivery;
use crate::retry;
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

/// The first in the queue is merged next.
pub fn begin(state: &State, id: crate::id::ItemId, cx: &mut Context) -> Result<Change, Refused> {
    let item = state.item(id).ok_or_else(stale)?;
    match stage(item) {
        Some(MergeStage::Queued | MergeStage::Held { .. }) if state.merging().is_none() => {}
        _ => return Err(stale()),
    }
    let event = cx.about(item, Happened::MergeStarted {});
    let mut change = prepare(state, item.clone(), cx);
    change.events.insert(0, event);
    Ok(change)
}

fn prepare(state: &State, mut row: Item, cx: &mut Context) -> Change {
    let mut change = fall_back(state, &row, cx);
    row.state = ItemState::Merging(MergeStage::Preparing);
    row.updated_at = cx.now;
    change.effects.push(cx.effect(row.id, EffectKind::PrepareMerge));
    change.items.push(row);
    change
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

/// The merge exists in the object store, or conflicts, or would change nothing.
pub fn prepared(state: &State, item: &Item, preparation: &Preparation, cx: &mut Context) -> Result<Change, Refused> {
    let Some(MergeStage::Preparing) = stage(item) else { return Err(stale()) };
    match preparation {
        Preparation::Made(prepared) => gate_or_land(state, item.clone(), prepared, cx),
        Preparation::Conflict { .. } => {
            let mut row = item.clone();
            row.state = ItemState::Merging(MergeStage::Rebasing);
            row.updated_at = cx.now;
            let effect = cx.effect(row.id, EffectKind::Rebase);
            Ok(Change { items: vec![row], effects: vec![effect], ..Change::default() })
        }
        Preparation::Empty => failed(state, item, MergeFailure::Empty, "the merge would change nothing", "", cx),
    }
}

/// The gate speaks of trees: a merged tree that it has already judged is not tested again.
fn gate_or_land(state: &State, mut row: Item, prepared: &Prepared, cx: &mut Context) -> Result<Change, Refused> {
    let mut change = Change::default();
    let gate = gate_of(state, &row);
    if gate.is_none() && state.mission(row.mission).is_some_and(|m| m.row.delivery == Delivery::Merge) {
        // The gate was taken away just now: this merge was made for the base, which it must not reach.
        return Ok(prepare(state, row, cx));
    }
    let known =
        gate.and_then(|gate| state.gate_record(&prepared.tree, gate)).filter(|record| record.green || !row.regate);
    if let Some(record) = known {
        let said = Happened::GateFinished { tree: record.tree.clone(), green: record.green, cached: true };
        change.events.push(cx.about(&row, said));
        if !record.green {
            change.extend(failed(state, &row, MergeFailure::Gate, "the gate is red", &record.tail, cx)?);
            return Ok(change);
        }
    }
    if gate.is_none() || known.is_some() {
        change.effects.push(land_effect(&row, prepared, cx));
        row.state = ItemState::Merging(MergeStage::Landing(prepared.clone()));
    } else {
        let (on, tree) = (GateOn::Merge(prepared.commit.clone()), prepared.tree.clone());
        let gate = gate.unwrap_or_default().into();
        change.events.push(cx.about(&row, Happened::GateStarted { tree: tree.clone() }));
        change.effects.push(cx.effect(row.id, EffectKind::Gate { on, tree, gate }));
        row.state = ItemState::Merging(MergeStage::Gating(prepared.clone()));
        row.regate = false;
    }
    row.updated_at = cx.now;
    change.items.push(row);
    Ok(change)
}

fn land_effect(row: &Item, prepared: &Prepared, cx: &mut Context) -> crate::effect::Effect {
    let kind = EffectKind::Land { base: prepared.base.clone(), commit: prepared.commit.clone() };
    cx.effect(row.id, kind)
}

/// The gate has spoken of the merged tree.
pub fn gated(state: &State, item: &Item, red: Option<Failure>, cx: &mut Context) -> Result<Change, Refused> {
    let Some(MergeStage::Gating(prepared)) = stage(item) else { return Err(stale()) };
    match red {
        None => {
            let mut row = item.clone();
            let effect = land_effect(&row, prepared, cx);
            row.state = ItemState::Merging(MergeStage::Landing(prepared.clone()));
            row.updated_at = cx.now;
            Ok(Change { items: vec![row], effects: vec![effect], ..Change::default() })
        }
        Some(failure) => failed(state, item, MergeFailure::Gate, &failure.message, &failure.detail, cx),
    }
}

/// The gate was changed while it ran on the merged tree: the new one is asked.
pub fn gate_changed(state: &State, item: &Item, cx: &mut Context) -> Result<Change, Refused> {
    let Some(MergeStage::Gating(prepared)) = stage(item) else { return Err(stale()) };
    gate_or_land(state, item.clone(), prepared, cx)
}

/// The rebase in the item's own worktree is done, or conflicts.
pub fn rebased(state: &State, item: &Item, rebase: &Rebase, cx: &mut Context) -> Result<Change, Refused> {
    let Some(MergeStage::Rebasing) = stage(item) else { return Err(stale()) };
    match rebase {
        Rebase::Done { head } => {
            let mut row = item.clone();
            row.head = Some(head.clone());
            let event = cx.about(&row, Happened::BranchRebased { head: head.clone() });
            let mut change = prepare(state, row, cx);
            change.events.insert(0, event);
            Ok(change)
        }
        Rebase::Conflict { files, hunks } => {
            let names: Vec<&str> = files.iter().map(|f| &**f).collect();
            failed(state, item, MergeFailure::Conflict, &format!("conflict in {}", names.join(", ")), hunks, cx)
        }
    }
}

/// The advance of the target branch was tried.
pub fn landed(state: &State, item: &Item, landing: &Landing, cx: &mut Context) -> Result<Change, Refused> {
    let Some(MergeStage::Landing(prepared)) = stage(item) else { return Err(stale()) };
    match landing {
        Landing::BaseMoved | Landing::BaseDirty { .. } | Landing::Refused { .. } if has_ended(state, item) => {
            item::cancelled(state, item, Cancelled::Abandoned, Stop::Interrupt, cx)
        }
        Landing::Landed => {
            let mut row = item.clone();
            row.merged = Some(prepared.commit.clone());
            row.merge_failures = 0;
            row.merge_tries = 0;
            row.last_error = None;
            item::go(&mut row, ItemEvent::Land, ItemState::Done, cx)?;
            let target: Box<str> = state.mission(row.mission).map(|m| m.row.target_ref()).unwrap_or_default().into();
            let mut change = item::worktree_leftover(state, &mut row, None, cx);
            change.events.push(cx.about(&row, Happened::MergeDone { commit: prepared.commit.clone(), target }));
            change.events.push(cx.about(&row, Happened::ItemDone { commit: row.merged.clone() }));
            change.items.push(row);
            Ok(change)
        }
        Landing::BaseMoved => {
            let event = cx.about(item, Happened::MergeRestarted { why: "the base moved".into() });
            let mut change = prepare(state, item.clone(), cx);
            change.events.insert(0, event);
            Ok(change)
        }
        Landing::BaseDirty { why } => held(state, item, why, cx),
        Landing::Refused { error } => failed(state, item, MergeFailure::Refused, error, "", cx),
    }
}

/// The merge waits for something that no event announces: it is looked at again, less and less often.
pub fn held(state: &State, item: &Item, why: &str, cx: &mut Context) -> Result<Change, Refused> {
    if stage(item).is_none() {
        return Err(stale());
    }
    if has_ended(state, item) {
        return item::cancelled(state, item, Cancelled::Abandoned, Stop::Interrupt, cx);
    }
    let mut row = item.clone();
    let tries = row.merge_tries.saturating_add(1);
    let wait = HELD_WAITS.0.saturating_mul(1 << (tries - 1).min(5)).min(HELD_WAITS.1);
    let until = cx.now.after(wait);
    row.merge_tries = tries;
    row.state = ItemState::Merging(MergeStage::Held { until, why: why.into() });
    row.updated_at = cx.now;
    let mut change = Change::default();
    if item.last_error.as_deref() != Some(why) {
        row.last_error = Some(why.into());
        change.events.push(cx.about(&row, Happened::MergeHeld { why: why.into(), until }));
    }
    change.items.push(row);
    Ok(change)
}

/// Whether its mission ended while its landing was under way. What did not land then is not tried again.
fn has_ended(state: &State, item: &Item) -> bool {
    state.mission(item.mission).is_none_or(|m| m.row.state.is_terminal())
}

/// A merge failed: a run mends it, or musher stops trying.
fn failed(
    _: &State,
    item: &Item,
    kind: MergeFailure,
    message: &str,
    detail: &str,
    cx: &mut Context,
) -> Result<Change, Refused> {
    let mut row = item.clone();
    item::go(&mut row, ItemEvent::MergeFail, ItemState::MergeFailed(kind), cx)?;
    row.last_error = Some(message.into());
    let mut change = Change::default();
    change.events.push(cx.about(&row, Happened::MergeFailed { failure: kind.name().into(), detail: message.into() }));
    // Kept also when musher stops trying: whoever frees the item gives it a run that must know.
    if let Some(run) = row.run {
        row.fix = Some(if kind == MergeFailure::Conflict { Fix::Conflict(run) } else { Fix::Gate(run) });
        let tail = retry::tail(detail, retry::LESSON_BYTES);
        change.texts.push((TextKey::Lesson(run), format!("{message}\n\n{tail}").trim_end().into()));
    }
    row.approval = None;
    if kind == MergeFailure::Conflict {
        // Not a strike while a resolver works: it has a budget of its own.
        if row.resolver_runs >= RESOLVER_RUNS {
            return retry::block(row, BlockedReason::ConflictsUnresolved, change, cx);
        }
        row.resolver_runs += 1;
    } else {
        row.merge_failures += 1;
        if row.merge_failures >= FAILURES_IN_A_ROW {
            return retry::block(row, BlockedReason::MergeFailures(message.into()), change, cx);
        }
    }
    item::go(&mut row, ItemEvent::Requeue, ItemState::Ready, cx)?;
    change.events.push(cx.about(&row, Happened::ItemReady { not_before: None }));
    change.items.push(row);
    Ok(change)
}
