//! Which event tells of which change of state.

use std::borrow::Cow;

use crate::change::Change;
use crate::event::{Event, Moved};
use crate::id::{ItemId, MissionId};
use crate::state::State;

/// A change of state, and the event that is to tell of it.
struct Untold {
    from: &'static str,
    to: &'static str,
    told_by: Option<usize>,
    /// Whether that event is named after what has changed.
    by_its_own: bool,
}

/// Lets one event tell of each change of state in this change: the last one about it that is named after what it is about
/// (`item_done`, `mission_completed`), or else the last one about it.
pub(super) fn tell(state: &State, change: &mut Change) {
    if change.events.is_empty() || (change.items.is_empty() && change.missions.is_empty()) {
        return;
    }
    let mut items = untold(change.items.iter().map(|row| (row.id, row.phase().name())), |id: ItemId| {
        state.item(id).map_or("", |row| row.phase().name())
    });
    let mut missions = untold(change.missions.iter().map(|row| (row.id, row.state.name())), |id: MissionId| {
        state.mission(id).map_or("", |entry| entry.row.state.name())
    });
    for (at, event) in change.events.iter().enumerate().rev() {
        if let Some(item) = event.item {
            note(&mut items, item, at, event, "item_");
        } else if let Some(mission) = event.mission {
            note(&mut missions, mission, at, event, "mission_");
        }
    }
    let all = items.into_iter().map(|(_, untold)| untold).chain(missions.into_iter().map(|(_, untold)| untold));
    for Untold { from, to, told_by, .. } in all {
        if let Some(event) = told_by.and_then(|at| change.events.get_mut(at)) {
            event.moved = Some(Moved { from: Cow::Borrowed(from), to: Cow::Borrowed(to) });
        }
    }
}

/// The changes of state among these rows, in the order of their ids; of each row the last one counts.
fn untold<I: Ord + Copy>(
    rows: impl Iterator<Item = (I, &'static str)>,
    before: impl Fn(I) -> &'static str,
) -> Vec<(I, Untold)> {
    let mut rows: Vec<_> = rows.collect();
    // Stable: the last row of each id stays the last.
    rows.sort_by_key(|(id, _)| *id);
    let mut found: Vec<(I, Untold)> = Vec::new();
    for (at, (id, to)) in rows.iter().enumerate() {
        let from = before(*id);
        if rows.get(at + 1).is_none_or(|(next, _)| next != id) && from != *to {
            found.push((*id, Untold { from, to, told_by: None, by_its_own: false }));
        }
    }
    found
}

fn note<I: Ord>(untold: &mut [(I, Untold)], id: I, at: usize, event: &Event, own: &str) {
    let Ok(place) = untold.binary_search_by(|(known, _)| known.cmp(&id)) else { return };
    let entry = &mut untold[place].1;
    let is_own = event.happened.name().starts_with(own);
    if entry.told_by.is_none() || (is_own && !entry.by_its_own) {
        entry.told_by = Some(at);
        entry.by_its_own = is_own;
    }
}
