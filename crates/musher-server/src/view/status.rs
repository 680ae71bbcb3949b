//! The daemon as a whole, as documents.

use std::collections::BTreeMap;

use musher_core::id::Seq;
use musher_core::inbox;
use musher_core::item::{Item, ItemState, MergeStage, Phase};
use musher_core::quota::Cap;
use musher_core::run::Usage;
use musher_core::state::State;
use musher_core::time::Timestamp;

use super::{agent, mission, word};
use crate::api;

/// How many items of active missions are in each state; every state is named.
pub fn item_counts(state: &State) -> BTreeMap<String, u32> {
    let count = |phase: Phase| state.missions().map(|m| m.count(phase)).sum();
    Phase::ALL.iter().map(|phase| (phase.name().to_owned(), count(*phase))).collect()
}

/// What is being merged, then the merge queue, then what is held from it.
pub fn queue(state: &State) -> Vec<api::QueueEntry> {
    let mut ids: Vec<_> = state.merging().into_iter().chain(state.queue()).collect();
    // What is held is not in the queue, but every merge of it will be.
    let held = state.missions().filter(|m| m.count(Phase::Merging) > 0).flat_map(|m| m.items.iter().copied());
    for id in held {
        let is_held = |item: &Item| match &item.state {
            ItemState::Merging(MergeStage::Held { .. } | MergeStage::Rebasing) => true,
            ItemState::Merging(_) => item.rests_frozen(),
            _ => false,
        };
        if state.item(id).is_some_and(is_held) && !ids.contains(&id) {
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

/// What waits for a person.
pub fn inbox(state: &State) -> Vec<api::InboxEntry> {
    inbox::requests(state)
        .into_iter()
        .map(|request| api::InboxEntry {
            ask: word(&request.ask),
            mission: request.mission,
            item: request.item,
            text: request.text,
            replies: request.replies,
            since: request.since,
        })
        .collect()
}

/// Everything at once.
pub fn status(state: &State, daemon: api::Daemon, sinks: Vec<api::Sink>, now: Timestamp, last_seq: Seq) -> api::Status {
    // Of the day of `quota.timezone`; what was used counts in the moment in which it was reported.
    let micro_usd = state.books().workspace().map_or(0, |account| account.used(Cap::DailyUsd, now));
    api::Status {
        daemon,
        missions: mission::counts(state),
        items: item_counts(state),
        agents: agent::agents(state),
        queue: queue(state),
        inbox: inbox(state),
        sinks,
        cost_today_usd: Usage { cost_micro_usd: micro_usd, ..Usage::default() }.cost_usd(),
        last_seq: last_seq.0,
    }
}
