//! The merge queue: one merge at a time, made in the object store, landed by compare-and-swap.

use std::time::Duration;

use crate::change::{Change, TextKey};
use crate::command::{Failure, Landing, Preparation, Rebase, Refused};
use crate::effect::{EffectKind, GateOn};
use crate::event::Happened;
use crate::item::{self, BlockedReason, Fix, Item, ItemEvent, ItemState, MergeFailure, MergeStage, Prepared};
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
    let mut change = prepare(item.clone(), cx);
    change.events.insert(0, event);
    Ok(change)
}

fn prepare(mut row: Item, cx: &mut Context) -> Change {
    row.state = ItemState::Merging(MergeStage::Preparing);
    row.updated_at = cx.now;
    let effect = cx.effect(row.id, EffectKind::PrepareMerge);
    Change { items: vec![row], effects: vec![effect], ..Change::default() }
}

/// The merge exists in the object store, or conflicts, or would change nothing.
pub fn prepared(state: &State, item: &Item, preparation: &Preparation, cx: &mut Context) -> Result<Change, Refused> {
    let Some(MergeStage::Preparing) = stage(item) else { return Err(stale()) };
    match preparation {
        Preparation::Made(prepared) => Ok(gate_or_land(state, item.clone(), prepared, cx)),
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

/// The gate speaks of trees: a merged tree that it has already passed is not tested again.
fn gate_or_land(state: &State, mut row: Item, prepared: &Prepared, cx: &mut Context) -> Change {
    let mut change = Change::default();
    let known_green = match gate_of(state, &row) {
        None => true,
        Some(gate) => state.gate_record(&prepared.tree, gate).is_some_and(|r| r.green),
    };
    if known_green {
        change.effects.push(land_effect(&row, prepared, cx));
        row.state = ItemState::Merging(MergeStage::Landing(prepared.clone()));
    } else {
        let (on, tree) = (GateOn::Merge(prepared.commit.clone()), prepared.tree.clone());
        change.events.push(cx.about(&row, Happened::GateStarted { tree: tree.clone() }));
        change.effects.push(cx.effect(row.id, EffectKind::Gate { on, tree }));
        row.state = ItemState::Merging(MergeStage::Gating(prepared.clone()));
    }
    row.updated_at = cx.now;
    change.items.push(row);
    change
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

/// The rebase in the item's own worktree is done, or conflicts.
pub fn rebased(state: &State, item: &Item, rebase: &Rebase, cx: &mut Context) -> Result<Change, Refused> {
    let Some(MergeStage::Rebasing) = stage(item) else { return Err(stale()) };
    match rebase {
        Rebase::Done { head } => {
            let mut row = item.clone();
            row.head = Some(head.clone());
            let event = cx.about(&row, Happened::BranchRebased { head: head.clone() });
            let mut change = prepare(row, cx);
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
        Landing::Landed => {
            let mut row = item.clone();
            row.merged = Some(prepared.commit.clone());
            row.merge_failures = 0;
            row.merge_tries = 0;
            row.last_error = None;
            item::go(&mut row, ItemEvent::Land, ItemState::Done, cx)?;
            let target: Box<str> = state.mission(row.mission).map(|m| m.row.target_ref()).unwrap_or_default().into();
            let mut change = item::worktree_leftover(state, &mut row, cx);
            change.events.push(cx.about(&row, Happened::MergeDone { commit: prepared.commit.clone(), target }));
            change.events.push(cx.about(&row, Happened::ItemDone { commit: row.merged.clone() }));
            change.items.push(row);
            Ok(change)
        }
        Landing::BaseMoved => {
            let event = cx.about(item, Happened::MergeRestarted { why: "the base moved".into() });
            let mut change = prepare(item.clone(), cx);
            change.events.insert(0, event);
            Ok(change)
        }
        Landing::BaseDirty { why } => held(state, item, why, cx),
        Landing::Refused { error } => failed(state, item, MergeFailure::Refused, error, "", cx),
    }
}

/// The merge waits for something that no event announces: it is looked at again, less and less often.
pub fn held(_: &State, item: &Item, why: &str, cx: &mut Context) -> Result<Change, Refused> {
    if stage(item).is_none() {
        return Err(stale());
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
    change.events.push(cx.about(
        &row,
        Happened::MergeFailed { failure: kind.name().into(), detail: message.into() },
    ));
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
    if let Some(run) = row.run {
        row.fix = Some(if kind == MergeFailure::Conflict { Fix::Conflict(run) } else { Fix::Gate(run) });
        let tail = retry::tail(detail, retry::LESSON_BYTES);
        change.texts.push((TextKey::Lesson(run), format!("{message}\n\n{tail}").trim_end().into()));
    }
    row.approval = None;
    item::go(&mut row, ItemEvent::Requeue, ItemState::Ready, cx)?;
    change.events.push(cx.about(&row, Happened::ItemReady { not_before: None }));
    change.items.push(row);
    Ok(change)
}
