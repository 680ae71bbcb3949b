//! The daemon as a whole, as documents.

use std::collections::BTreeMap;

use musher_core::id::Seq;
use musher_core::inbox;
use musher_core::item::{Item, Phase};
use musher_core::quota::Cap;
use musher_core::run::Usage;
use musher_core::state::State;
use musher_core::time::Timestamp;
use musher_core::wait::{self, Group};

use super::{agent, mission, queue, word};
use crate::api;

/// How many items of active missions are in each state; every state is named.
pub fn item_counts(state: &State) -> BTreeMap<String, u32> {
    let count = |phase: Phase| state.missions().map(|m| m.count(phase)).sum();
    Phase::ALL.iter().map(|phase| (phase.name().to_owned(), count(*phase))).collect()
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

fn wait_group(state: &State, group: Group) -> api::WaitGroup {
    let item = |item: &Item| api::WaitItem {
        id: item.id,
        short_id: item.id.short(),
        mission: item.mission,
        key: item.key.to_string(),
    };
    api::WaitGroup {
        state: group.phase.name().to_owned(),
        wait: super::brief(group.wait),
        count: group.count,
        items: group.items.iter().filter_map(|id| state.item(*id)).map(item).collect(),
    }
}

/// Everything at once.
pub fn status(state: &State, daemon: api::Daemon, sinks: Vec<api::Sink>, now: Timestamp, last_seq: Seq) -> api::Status {
    // Of the day of `quota.timezone`; what was used counts in the moment in which it was reported.
    let micro_usd = state.books().workspace().map_or(0, |account| account.used(Cap::DailyUsd, now));
    let survey = wait::survey(state);
    api::Status {
        daemon,
        missions: mission::counts(state),
        items: item_counts(state),
        agents: agent::agents(state),
        queue: queue::entries(state),
        batch: state.batch().map(|batch| queue::batch(state, batch)),
        waiting: survey.groups.into_iter().map(|group| wait_group(state, group)).collect(),
        not_asked: survey.left_out.iter().map(|(phase, n)| (phase.name().to_owned(), *n)).collect(),
        inbox: inbox(state),
        sinks,
        cost_today_usd: Usage { cost_micro_usd: micro_usd, ..Usage::default() }.cost_usd(),
        last_seq: last_seq.0,
    }
}
