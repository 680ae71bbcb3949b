//! Superseding: another item of the mission does the work of one, and what depends on it waits for that one.

use super::operate::{cancelled, not_while_landing, refuse};
use super::progress::find;
use super::{Cancelled, Item, ItemEvent, Phase, moved};
use crate::change::Change;
use crate::command::Refused;
use crate::effect::Stop;
use crate::event::Happened;
use crate::id::ItemId;
use crate::state::State;
use crate::step::Context;

/// Gives an item up for another one of its mission. Its branch is kept, and its worktree as long as it holds something
/// that is nowhere else.
pub fn supersede(state: &State, id: ItemId, by: ItemId, cx: &mut Context) -> Result<Change, Refused> {
    let item = find(state, id)?;
    let other = find(state, by)?;
    not_while_landing("supersede", item)?;
    if moved(item.phase(), ItemEvent::Supersede).is_none() || item.satisfied {
        let fix = match item.phase() {
            Phase::Done => "`musher item reopen` makes a follow-up of it",
            Phase::Cancelled if !item.satisfied => "`musher item skip` counts it as done",
            Phase::Cancelled | Phase::Failed => "it counts as done already, and what depends on it has gone on",
            Phase::Pending
            | Phase::Ready
            | Phase::Assigned
            | Phase::Running
            | Phase::Verifying
            | Phase::Waiting
            | Phase::Merging
            | Phase::MergeFailed
            | Phase::Blocked
            | Phase::Held => "",
        };
        return Err(refuse("supersede", item, fix));
    }
    may_stand_in(state, item, other)?;
    let mut dependents = Vec::new();
    for dependent in state.dependents(id).iter().filter_map(|id| state.item(*id)) {
        let mut row = dependent.clone();
        row.depends_on = instead(&row.depends_on, id, by);
        row.updated_at = cx.now;
        dependents.push(row);
    }
    let mut change = cancelled(state, item, Cancelled::Superseded(by), Stop::Interrupt, cx)?;
    let count = u32::try_from(dependents.len()).unwrap_or(u32::MAX);
    for row in &mut change.items {
        // What is left to wait for is the other one.
        row.satisfied |= row.id == id;
    }
    change.events.push(cx.about(item, Happened::ItemSuperseded { by: other.key.clone(), dependents: count }));
    change.items.extend(dependents);
    Ok(change)
}

/// Whether the other one can do its work: it is of the same mission, is not given up, and does not wait for this one.
fn may_stand_in(state: &State, item: &Item, other: &Item) -> Result<(), Refused> {
    let what = |why: &str| format!("item `{}` cannot be superseded by `{}`: {why}", item.key, other.key);
    if other.id == item.id {
        return Err(Refused::Invalid { what: what("it is the same"), fix: "name another item".to_owned() });
    }
    if other.mission != item.mission {
        let fix = "name an item of the same mission; `musher item cancel` gives it up without one".to_owned();
        return Err(Refused::Invalid { what: what("that is of another mission"), fix });
    }
    if other.phase() == Phase::Cancelled {
        return Err(refuse("supersede by", other, "name an item that will be done"));
    }
    if let Some(chain) = chain(state, other, item.id) {
        let fix = "name an item that does not wait for this one".to_owned();
        return Err(Refused::Invalid { what: what(&format!("that waits for it: {}", chain.join(" → "))), fix });
    }
    Ok(())
}

/// The keys from an item down to one that it depends on, however far; nothing when it does not.
fn chain(state: &State, from: &Item, to: ItemId) -> Option<Vec<String>> {
    let mut above: std::collections::BTreeMap<ItemId, ItemId> = std::collections::BTreeMap::new();
    let mut open = vec![from.id];
    while let Some(at) = open.pop() {
        if at == to {
            let mut ids = vec![at];
            ids.extend(std::iter::successors(above.get(&at).copied(), |id| above.get(id).copied()));
            let key = |id: &ItemId| state.item(*id).map(|item| item.key.to_string());
            return Some(ids.iter().rev().filter_map(key).collect());
        }
        for next in state.item(at).into_iter().flat_map(|item| item.depends_on.iter().copied()) {
            if next != from.id && !above.contains_key(&next) {
                above.insert(next, at);
                open.push(next);
            }
        }
    }
    None
}

/// The dependencies with one in the place of another, each once.
fn instead(list: &[ItemId], out: ItemId, by: ItemId) -> Box<[ItemId]> {
    let mut seen = std::collections::BTreeSet::new();
    let swapped = list.iter().map(|id| if *id == out { by } else { *id });
    swapped.filter(|id| seen.insert(*id)).collect()
}
