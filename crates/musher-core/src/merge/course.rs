//! The course of a batch: what its plan asks for becomes effects, and its members follow.

use super::batch::{Batch, End, Tried};
use super::queue::Ejected;
use super::{MergeQueue, failed, has_ended, hold};
use crate::change::Change;
use crate::command::Refused;
use crate::effect::{Effect, EffectKind, GateOn, Stop};
use crate::event::Happened;
use crate::id::{EffectId, ItemId};
use crate::item::{self, Cancelled, Item, ItemState, MergeFailure, MergeStage, Prepared};
use crate::state::State;
use crate::step::Context;
use crate::verify::gate_of;

/// Whether a member of the batch has left it, so that what stands on it must be made anew. Not while the target is being
/// advanced: what comes of that is known first.
pub fn is_broken(state: &State, batch: &Batch) -> bool {
    batch.landing.is_none() && open(batch).any(|id| state.item(id).is_none_or(|item| !is_member(item)))
}

/// Whether an item is a member of the batch under way.
pub(crate) fn is_member(item: &Item) -> bool {
    matches!(item.state, ItemState::Merging(MergeStage::Preparing | MergeStage::Gating(_) | MergeStage::Landing(_)))
}

/// The members that have not landed, in order.
pub(super) fn open(batch: &Batch) -> impl Iterator<Item = ItemId> + '_ {
    batch.members.iter().skip(batch.landed).map(|member| member.item)
}

/// The row of the queue with this batch.
pub(super) fn with(state: &State, batch: Option<Batch>) -> MergeQueue {
    MergeQueue { batch, ..state.merge_queue().clone() }
}

/// Goes on with a batch as its plan says, as far as it can without an answer from outside.
pub(super) fn advance(
    state: &State,
    mut batch: Batch,
    mut change: Change,
    cx: &mut Context,
) -> Result<Change, Refused> {
    if batch.landing.is_some() && open(&batch).any(|id| state.item(id).is_none_or(|item| !is_member(item))) {
        return Ok(keep(state, batch, change));
    }
    if is_broken(state, &batch) || is_outdated(state, &batch) {
        return dissolve(state, &batch, change, cx);
    }
    loop {
        let plan = batch.plan(state.settings().gate_slots.max(1) as usize);
        for prefix in plan.unwanted {
            let gates = gates_of(state, &change, &batch, prefix);
            change.closed.extend(gates);
            batch.tried[prefix].slot = None;
        }
        if let Some(upto) = plan.land {
            land(state, &mut batch, upto, &mut change, cx);
        }
        match plan.end {
            Some(End::Done) => return Ok(over(state, change)),
            Some(End::Eject(at)) => return eject(state, &batch, at, change, cx),
            Some(End::BaseRed) => return base_is_red(state, &batch, change, cx),
            None => {}
        }
        let mut known = false;
        for prefix in plan.tests {
            known |= test(state, &mut batch, prefix, &mut change, cx);
        }
        if !known {
            return Ok(keep(state, batch, change));
        }
    }
}

fn keep(state: &State, batch: Batch, mut change: Change) -> Change {
    let queue = change.queue.take().map_or_else(|| with(state, None), |row| *row);
    change.queue = Some(Box::new(MergeQueue { batch: Some(batch), ..queue }));
    change
}

/// The batch is over.
fn over(state: &State, mut change: Change) -> Change {
    let queue = change.queue.take().map_or_else(|| with(state, None), |row| *row);
    change.queue = Some(Box::new(MergeQueue { batch: None, ..queue }));
    change
}

/// Whether its gate or its target is not that of its members any more.
fn is_outdated(state: &State, batch: &Batch) -> bool {
    batch.landing.is_none()
        && open(batch).filter_map(|id| state.item(id)).any(|item| {
            let target = state.mission(item.mission).map(|m| m.row.target_ref());
            gate_of(state, item) != batch.gate.as_deref() || target.as_deref() != Some(&*batch.target)
        })
}

/// The item whose effect tests a prefix: its last member; the base has its first.
fn tip_of(batch: &Batch, prefix: usize) -> Option<ItemId> {
    batch.members.get(prefix.saturating_sub(1)).map(|member| member.item)
}

/// The effects of an item, also those that this change has just asked for.
fn effects_of<'a>(state: &'a State, change: &'a Change, id: ItemId) -> impl Iterator<Item = &'a Effect> {
    state.effects_of(id).chain(change.effects.iter().filter(move |effect| effect.item == id))
}

fn gates_of(state: &State, change: &Change, batch: &Batch, prefix: usize) -> Vec<EffectId> {
    let commit = batch.link(prefix).map(|link| link.commit.clone());
    let tip = tip_of(batch, prefix);
    let effects = tip.into_iter().flat_map(|id| effects_of(state, change, id));
    let tests = |kind: &EffectKind| match kind {
        EffectKind::Gate { on: GateOn::Merge { commit: of, .. }, .. } => Some(of) == commit.as_ref(),
        _ => false,
    };
    effects.filter(|effect| tests(&effect.kind)).map(|effect| effect.id).collect()
}

/// Asks the gate of a prefix, or takes what it has said of the same tree; whether that was known.
fn test(state: &State, batch: &mut Batch, prefix: usize, change: &mut Change, cx: &mut Context) -> bool {
    let (Some(link), Some(gate), Some(tip)) = (batch.link(prefix).cloned(), batch.gate.clone(), tip_of(batch, prefix))
    else {
        return false;
    };
    let Some(row) = change.item(state, tip).cloned() else { return false };
    let regate = batch.members[..prefix].iter().any(|m| state.item(m.item).is_some_and(|item| item.regate));
    let known = state.gate_record(&link.tree, &gate);
    // A red result counts once however often it is looked up: its repeat must really run.
    let known = known.filter(|record| record.green || (!regate && batch.tried[prefix].reds == 0));
    if let Some(record) = known {
        let tried = &mut batch.tried[prefix];
        let said = Happened::GateFinished { tree: link.tree.clone(), green: record.green, cached: true };
        change.events.push(cx.about(&row, said));
        (tried.green, tried.reds) = (record.green, tried.reds + u8::from(!record.green));
        if !record.green {
            tried.words = Some("the gate is red".into());
        }
        return true;
    }
    let taken = |slot: u32| batch.tried.iter().any(|tried| tried.slot == Some(slot));
    let slot = (0..).find(|slot| !taken(*slot)).unwrap_or_default();
    batch.tried[prefix].slot = Some(slot);
    change.events.push(cx.about(&row, Happened::GateStarted { tree: link.tree.clone() }));
    let on = GateOn::Merge { commit: link.commit, slot };
    change.effects.push(cx.effect(tip, EffectKind::Gate { on, tree: link.tree, gate }));
    false
}

fn prepared(batch: &Batch, at: usize) -> Option<Prepared> {
    let (base, link) = (batch.link(at)?, batch.link(at + 1)?);
    Some(Prepared { base: base.commit.clone(), commit: link.commit.clone(), tree: link.tree.clone() })
}

/// The members of a batch that was just formed are judged.
pub(super) fn judge_members(state: &State, batch: &Batch, change: &mut Change, cx: &Context) {
    for (at, member) in batch.members.iter().enumerate() {
        if let (Some(mut row), Some(prepared)) = (change.item(state, member.item).cloned(), prepared(batch, at)) {
            row.state = ItemState::Merging(MergeStage::Gating(prepared));
            row.updated_at = cx.now;
            change.items.push(row);
        }
    }
}

/// The target is to be advanced to a prefix.
fn land(state: &State, batch: &mut Batch, upto: usize, change: &mut Change, cx: &mut Context) {
    let (Some(base), Some(link), Some(tip)) = (batch.link(batch.landed), batch.link(upto), tip_of(batch, upto)) else {
        return;
    };
    let kind = EffectKind::Land { base: base.commit.clone(), commit: link.commit.clone() };
    change.effects.push(cx.effect(tip, kind));
    for at in batch.landed..upto {
        if let (Some(mut row), Some(prepared)) =
            (change.item(state, batch.members[at].item).cloned(), prepared(batch, at))
        {
            row.state = ItemState::Merging(MergeStage::Landing(prepared));
            row.updated_at = cx.now;
            change.items.push(row);
        }
    }
    batch.landing = Some(upto);
}

/// A member is red on top of a good base, in two runs: it is the culprit.
fn eject(state: &State, batch: &Batch, at: usize, change: Change, cx: &mut Context) -> Result<Change, Refused> {
    let Tried { words, .. } = batch.tried.get(at + 1).cloned().unwrap_or_default();
    let words = words.unwrap_or_else(|| "the gate is red".into());
    let tail = tail_of(state, batch, at + 1, &change);
    let mut change = fail(state, batch, at, (MergeFailure::Gate, &words, &tail), change, cx)?;
    if let Some(culprit) = batch.members.get(at) {
        let ejected = Ejected { item: culprit.item, batch: batch.number, words, at: cx.now };
        let queue = change.queue.take().map_or_else(|| with(state, None), |row| *row);
        change.queue = Some(Box::new(queue.with_ejected(ejected)));
    }
    Ok(change)
}

/// The base is red, and whoever is merged onto it. Nobody is blamed for that at first: after a while all of it is tested
/// anew, for a gate may have been wrong, and the base may be mended. When it stays red, the item gets a run that is told
/// so, and may mend it; its merge failures end that, too.
fn base_is_red(state: &State, batch: &Batch, change: Change, cx: &mut Context) -> Result<Change, Refused> {
    let first = open(batch).next().and_then(|id| state.item(id));
    if first.is_some_and(|item| item.merge_tries >= RED_BASE_TRIES) {
        let why = "the base itself is red under the gate, and so is every merge onto it";
        let tail = tail_of(state, batch, batch.landed + 1, &change);
        return fail(state, batch, batch.landed, (MergeFailure::Gate, why, &tail), change, cx);
    }
    let why = "the base itself is red under the gate, so that no merge can be blamed; mend the base";
    let mut change = hold(state, batch, batch.landed + 1, why, true, change, cx)?;
    for row in &mut change.items {
        row.regate |= first.is_some_and(|item| item.id == row.id);
    }
    Ok(change)
}

/// What the gate said of a prefix of the batch.
fn tail_of(state: &State, batch: &Batch, prefix: usize, change: &Change) -> Box<str> {
    let tree = batch.link(prefix).map(|link| link.tree.clone()).unwrap_or_default();
    let gate = batch.gate.clone().unwrap_or_default();
    let said = change.gates.iter().find(|record| record.tree == tree && record.gate == gate);
    let said = said.or_else(|| state.gate_record(&tree, &gate));
    said.map(|record| record.tail.clone()).unwrap_or_default()
}

/// How often merges onto a red base are put off before an item is given a run because of it.
const RED_BASE_TRIES: u32 = 3;

/// A member has failed; those after it go back into the queue.
pub(super) fn fail(
    state: &State,
    batch: &Batch,
    at: usize,
    (kind, words, detail): (MergeFailure, &str, &str),
    change: Change,
    cx: &mut Context,
) -> Result<Change, Refused> {
    let mut rest = batch.clone();
    let culprit = rest.members.remove(at).item;
    let mut change = dissolve(state, &rest, change, cx)?;
    if let Some(row) = change.item(state, culprit).cloned() {
        change.extend(failed(&row, kind, words, detail, cx)?);
    }
    Ok(change)
}

/// The batch is given up: what has not landed goes back into the queue, where it was.
pub(super) fn dissolve(state: &State, batch: &Batch, mut change: Change, cx: &mut Context) -> Result<Change, Refused> {
    for id in open(batch) {
        close(state, id, &mut change);
        let Some(item) = change.item(state, id).filter(|item| is_member(item)).cloned() else { continue };
        if has_ended(state, &item) {
            change.extend(item::cancelled(state, &item, Cancelled::Abandoned, Stop::Interrupt, cx)?);
            continue;
        }
        let row = Item { state: ItemState::Merging(MergeStage::Queued), updated_at: cx.now, ..item };
        change.items.push(row);
    }
    Ok(over(state, change))
}

/// What is under way for the batch in the name of an item ends.
fn close(state: &State, id: ItemId, change: &mut Change) {
    let of_batch = |kind: &EffectKind| match kind {
        EffectKind::PrepareMerge { .. } | EffectKind::Land { .. } => true,
        EffectKind::Gate { on, .. } => *on != GateOn::Item,
        _ => false,
    };
    let closed = effects_of(state, change, id).filter(|effect| of_batch(&effect.kind)).map(|effect| effect.id);
    let closed: Vec<EffectId> = closed.collect();
    change.closed.extend(closed);
}
