//! Items as documents.

use musher_core::id::ItemId;
use musher_core::item::{Item, Phase, Worktree};
use musher_core::state::State;
use musher_core::wait;
use musher_engine::Paths;

use super::Lookup;
use crate::api;

/// An item as a list shows it.
pub fn item(row: &Item, lookup: &impl Lookup) -> api::Item {
    let waits = if waits_for_something(row.phase()) { lookup.waits(row.id) } else { Vec::new() };
    let first = waits.into_iter().next();
    let reason = row.reason().or_else(|| first.as_ref().map(|wait| wait.text.clone()));
    let wait = first.map(|wait| api::Brief { code: wait.code, brief: wait.brief, until: wait.until });
    api::Item {
        id: row.id,
        short_id: row.id.short(),
        mission: row.mission,
        key: row.key.to_string(),
        title: row.title.to_string(),
        kind: row.kind.name().to_owned(),
        wants: row.wants.name().to_owned(),
        role: row.role.as_deref().map(str::to_owned),
        priority: row.priority.name().to_owned(),
        state: row.phase().name().to_owned(),
        reason,
        wait,
        agent: row.agent.and_then(|id| lookup.agent(id)),
        attempts: row.attempts,
        branch: row.base_commit.is_some().then(|| row.branch()),
        commit: row.merged.as_deref().or(row.head.as_deref()).map(str::to_owned),
        depends_on: row.depends_on.iter().filter_map(|id| lookup.key(*id)).collect(),
        cost_usd: row.usage.cost_usd(),
        tokens: row.usage.tokens(),
        satisfied: row.satisfied,
        frozen: row.frozen.as_deref().map(str::to_owned),
        follows: row.follows,
        created_at: row.created_at,
        updated_at: row.updated_at,
        not_before: row.not_before,
        worktree: None,
    }
}

/// An item as it is shown alone: with its worktree.
pub fn item_alone(row: &Item, lookup: &impl Lookup, paths: &Paths) -> api::Item {
    let there = match row.worktree {
        Worktree::Ready | Worktree::Removing | Worktree::Kept(_) => true,
        Worktree::None | Worktree::Creating => false,
    };
    api::Item { worktree: there.then(|| paths.worktree(&row.worktree_name())), ..item(row, lookup) }
}

/// The items of these ids, as lists show them.
pub fn items(state: &State, ids: &[ItemId]) -> Vec<api::Item> {
    ids.iter().filter_map(|id| state.item(*id)).map(|row| item(row, state)).collect()
}

/// Why an item is where it is.
pub fn explanation(state: &State, id: ItemId) -> Option<api::Explanation> {
    let row = state.item(id)?;
    Some(api::Explanation {
        id: id.to_string(),
        state: row.phase().name().to_owned(),
        waits: super::waits(wait::of_item(state, id)),
    })
}

/// Whether items in this phase have waits: the others are at work or have ended.
fn waits_for_something(phase: Phase) -> bool {
    match phase {
        Phase::Pending | Phase::Ready | Phase::Waiting | Phase::Merging | Phase::Blocked | Phase::Held => true,
        Phase::Assigned
        | Phase::Running
        | Phase::Verifying
        | Phase::MergeFailed
        | Phase::Done
        | Phase::Failed
        | Phase::Cancelled => false,
    }
}
