//! Missions as documents.

use std::collections::BTreeMap;

use musher_core::id::{ItemId, MissionId};
use musher_core::item::{Item, Phase};
use musher_core::mission::{Mission, is_at_rest};
use musher_core::run::Usage;
use musher_core::state::{MissionEntry, State};
use musher_core::time::Timestamp;
use musher_core::wait;

use super::Lookup;
use crate::api;

/// What is derived from a mission's items.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// How many items are in each phase, in the order of [`Phase::ALL`].
    pub by_phase: [u32; Phase::ALL.len()],
    /// What all their runs used.
    pub usage: Usage,
    /// When one of them is due by itself.
    pub due: Option<Timestamp>,
}

impl Tally {
    /// Counts rows.
    pub fn of<'a>(items: impl Iterator<Item = &'a Item>) -> Self {
        items.fold(Self::default(), |mut tally, item| {
            tally.by_phase[item.phase() as usize] += 1;
            tally.usage = tally.usage.plus(item.usage);
            tally.due = sooner(tally.due, item.due());
            tally
        })
    }

    /// Takes what the state has counted already.
    fn of_entry(state: &State, entry: &MissionEntry) -> Self {
        let ended = entry.row.state.is_terminal();
        let items = entry.items.iter().filter_map(|id| state.item(*id));
        let due = if ended { None } else { items.filter_map(Item::due).min() };
        Self { by_phase: entry.counts.by_phase, usage: entry.usage, due }
    }
}

fn sooner(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    [one, other].into_iter().flatten().min()
}

/// A mission.
pub fn mission(row: &Mission, tally: &Tally) -> api::Mission {
    let wake = if row.state.is_terminal() { None } else { sooner(row.policy.deadline, tally.due) };
    let counts = Phase::ALL.iter().map(|p| (p.name().to_owned(), tally.by_phase[*p as usize])).collect();
    api::Mission {
        id: row.id,
        short_id: row.id.short(),
        goal: row.goal.to_string(),
        state: row.state.name().to_owned(),
        blocked_reason: row.blocked_reason.as_deref().map(str::to_owned),
        at_rest: row.state.is_terminal(),
        created_at: row.created_at,
        updated_at: row.updated_at,
        next_wake_at: wake,
        ended_at: row.ended_at,
        policy: row.policy.clone().into(),
        counts,
        cost_usd: tally.usage.cost_usd(),
        tokens: tally.usage.tokens(),
        base: row.base.to_string(),
        delivery: row.delivery.name().to_owned(),
        target: row.target_ref().trim_start_matches("refs/heads/").to_owned(),
        owner: row.owner.to_string(),
        archived: false,
    }
}

/// A mission of the state.
pub fn of_entry(state: &State, entry: &MissionEntry) -> api::Mission {
    api::Mission { at_rest: is_at_rest(state, entry), ..mission(&entry.row, &Tally::of_entry(state, entry)) }
}

/// An archived mission, from its rows.
pub fn archived(row: &Mission, items: &[Item]) -> api::Mission {
    api::Mission { archived: true, ..mission(row, &Tally::of(items.iter())) }
}

/// What the dispatcher knows of a mission.
pub fn dispatcher(row: &Mission, last_progress_at: Timestamp, notes: Vec<String>) -> api::Dispatcher {
    api::Dispatcher {
        last_tick_at: Some(row.updated_at.max(last_progress_at)),
        last_progress_at: Some(last_progress_at),
        last_help_at: row.dispatcher.last_help_at,
        last_help_reason: row.dispatcher.last_help_reason.as_deref().map(str::to_owned),
        help_attempts: row.dispatcher.help_attempts,
        notes,
        lease: None,
    }
}

/// A lease, at this moment.
pub fn lease(lease: musher_store::Lease, now: Timestamp) -> api::Lease {
    let musher_store::Lease { node, pid, since, fence, left } = lease;
    api::Lease { node, pid, since, fence, until: left.map(|left| now.after(left)) }
}

/// A mission of the state with everything in it; of its items those of `ids`, for there may be more than can be shown
/// in one look.
pub fn show(state: &State, id: MissionId, ids: &[ItemId], notes: Vec<String>) -> Option<api::MissionShow> {
    let entry = state.mission(id)?;
    Some(api::MissionShow {
        mission: of_entry(state, entry),
        items: super::item::items(state, ids),
        watches: super::watch::watches(state, Some(id), true),
        dispatcher: dispatcher(&entry.row, entry.last_progress_at, notes),
    })
}

/// An archived mission with everything in it.
pub fn show_archived(row: &Mission, items: &[Item], lookup: &impl Lookup, notes: Vec<String>) -> api::MissionShow {
    let last = items.iter().map(|i| i.updated_at).max().unwrap_or(row.created_at);
    api::MissionShow {
        mission: archived(row, items),
        items: items.iter().map(|item| super::item::item(item, lookup)).collect(),
        watches: Vec::new(),
        dispatcher: dispatcher(row, last, notes),
    }
}

/// A mission's graph.
pub fn graph<'a>(items: impl Iterator<Item = &'a Item> + Clone, lookup: &impl Lookup) -> api::Graph {
    let nodes = items
        .clone()
        .map(|item| api::Node {
            id: item.id,
            key: item.key.to_string(),
            title: item.title.to_string(),
            kind: item.kind.name().to_owned(),
            state: item.phase().name().to_owned(),
        })
        .collect();
    let edges = items
        .flat_map(|item| {
            let to = item.key.to_string();
            let from = item.depends_on.iter().filter_map(|id| lookup.key(*id));
            from.map(move |from| api::Edge { from, to: to.clone() }).collect::<Vec<_>>()
        })
        .collect();
    api::Graph { nodes, edges }
}

/// Why a mission is where it is.
pub fn explanation(state: &State, id: MissionId) -> Option<api::Explanation> {
    let entry = state.mission(id)?;
    Some(api::Explanation {
        id: id.to_string(),
        state: entry.row.state.name().to_owned(),
        waits: super::waits(wait::of_mission(state, id)),
        pull: None,
    })
}

/// How many active missions are in each state; every state is named.
pub fn counts(state: &State) -> BTreeMap<String, u32> {
    let mut counts: BTreeMap<String, u32> =
        musher_core::mission::MissionState::ALL.iter().map(|s| (s.name().to_owned(), 0)).collect();
    for entry in state.missions() {
        *counts.entry(entry.row.state.name().to_owned()).or_default() += 1;
    }
    counts
}
