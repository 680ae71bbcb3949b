//! The merge queue as documents.

use musher_core::item::{Item, ItemState, MergeStage, Phase};
use musher_core::merge::{Batch, Ejected, Member, Tried};
use musher_core::state::State;

use super::word;
use crate::api;

/// The merge queue, the batch under way, and what is remembered of earlier ones.
pub fn queue(state: &State) -> api::Queue {
    let row = state.merge_queue();
    api::Queue {
        paused: row.paused.as_deref().map(str::to_owned),
        queue: entries(state),
        batch: state.batch().map(|of| batch(state, of)),
        ejected: row.ejected.iter().filter_map(|of| ejected(state, of)).collect(),
        batches: row.batches,
        flaky: row.flaky,
    }
}

/// The batch under way.
pub fn batch(state: &State, row: &Batch) -> api::Batch {
    let members = row.members.iter().enumerate().map(|(at, of)| member(state, row, at, of));
    api::Batch {
        number: row.number,
        target: row.target.trim_start_matches("refs/heads/").to_owned(),
        gate: row.gate.as_deref().map(str::to_owned),
        since: row.at,
        base: row.base.as_ref().map(|base| base.commit.to_string()),
        members: members.collect(),
        tests: row.tried.iter().enumerate().filter_map(|(members, tried)| test(members, tried)).collect(),
        good: if row.is_formed() { row.good() } else { 0 },
        bad: row.bad(),
        landed: row.landed,
    }
}

fn member(state: &State, batch: &Batch, at: usize, of: &Member) -> api::BatchMember {
    let item = state.item(of.item);
    api::BatchMember {
        id: of.item,
        short_id: of.item.short(),
        key: item.map(|item| item.key.to_string()).unwrap_or_default(),
        title: item.map(|item| item.title.to_string()).unwrap_or_default(),
        state: batch.stand(at).name().to_owned(),
    }
}

/// What was tried of a prefix, if anything was.
fn test(members: usize, tried: &Tried) -> Option<api::BatchTest> {
    (*tried != Tried::default()).then(|| api::BatchTest {
        members,
        testing: tried.slot.is_some(),
        reds: tried.reds,
        green: tried.green,
        reason: tried.words.as_deref().map(str::to_owned),
    })
}

/// An ejected member, unless its mission is archived by now.
fn ejected(state: &State, row: &Ejected) -> Option<api::EjectedMember> {
    let item = state.item(row.item)?;
    Some(api::EjectedMember {
        id: row.item,
        short_id: row.item.short(),
        key: item.key.to_string(),
        batch: row.batch,
        reason: row.words.to_string(),
        at: row.at,
    })
}

/// What is being merged, then the merge queue, then what is held from it.
pub fn entries(state: &State) -> Vec<api::QueueEntry> {
    let mut ids: Vec<_> = state.merging().into_iter().chain(state.queue()).collect();
    // What is held is not in the queue, but every merge of it will be.
    let held = state.missions().filter(|m| m.count(Phase::Merging) > 0).flat_map(|m| m.items.iter().copied());
    for id in held {
        let is_held = state.item(id).is_some_and(|item| match &item.state {
            ItemState::Merging(MergeStage::Held { .. } | MergeStage::Rebasing) => true,
            ItemState::Merging(_) => item.rests_frozen(),
            _ => false,
        });
        if is_held && !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids.into_iter().filter_map(|id| state.item(id)).map(|item| queue_entry(state, item)).collect()
}

fn queue_entry(state: &State, item: &Item) -> api::QueueEntry {
    let stage = match &item.state {
        ItemState::Merging(stage) => word(stage),
        _ => String::new(),
    };
    let target = state.mission(item.mission).map(|m| m.row.target_ref()).unwrap_or_default();
    api::QueueEntry {
        id: item.id,
        short_id: item.id.short(),
        mission: item.mission,
        key: item.key.to_string(),
        title: item.title.to_string(),
        priority: item.priority.name().to_owned(),
        stage,
        reason: item.reason(),
        target: target.trim_start_matches("refs/heads/").to_owned(),
        queued_at: item.queued_at,
    }
}
