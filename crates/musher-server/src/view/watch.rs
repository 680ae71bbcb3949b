//! Watches as the API shows them.

use musher_core::id::{MissionId, WatchId};
use musher_core::state::State;
use musher_core::watch::{Holds, Watch, WatchStatus};

use crate::api;

/// The watches of a mission, or of all that are active; those that are done only when `all` are wanted.
pub fn watches(state: &State, mission: Option<MissionId>, all: bool) -> Vec<api::Watch> {
    let wanted = |row: &&Watch| mission.is_none_or(|id| row.mission == id) && (all || row.status.is_open());
    state.watches().filter(wanted).map(|row| watch(state, row)).collect()
}

/// A watch by its id.
pub fn by_id(state: &State, id: WatchId) -> Option<api::Watch> {
    state.watch(id).map(|row| watch(state, row))
}

/// A watch.
pub fn watch(state: &State, row: &Watch) -> api::Watch {
    let pull = state.pull(row.item).filter(|_| row.kind.is_of_pull());
    // Those of a pull request are looked at together, by the row of that.
    let looks = pull.map_or(&row.looks, |pull| &pull.looks);
    let target = row.kind.target().or_else(|| pull.map(|pull| pull.url.to_string()));
    let (closed_by, snoozed_until) = match &row.status {
        WatchStatus::Overridden(by) => (Some(by.to_string()), None),
        WatchStatus::Snoozed(until) => (None, Some(*until)),
        WatchStatus::Active | WatchStatus::Done => (None, None),
    };
    let holds = match row.holds {
        Holds::Start => "start",
        Holds::Pull => "pull",
        Holds::Mission => "mission",
    };
    api::Watch {
        id: row.id.to_string(),
        short_id: row.id.short(),
        mission: row.mission,
        item: row.item,
        key: state.item(row.item).map(|item| item.key.to_string()).unwrap_or_default(),
        kind: row.kind.name().to_owned(),
        target: target.unwrap_or_default(),
        holds: holds.to_owned(),
        status: row.status.name().to_owned(),
        closed_by,
        snoozed_until,
        seen: row.seen.name().to_owned(),
        text: row.text.as_deref().map(str::to_owned),
        on_trigger: row.kind.on_trigger().name().to_owned(),
        looked_at: looks.looked_at,
        next_due_at: looks.due.filter(|_| state.is_looked_at(row)),
        failures: looks.failures,
        error: looks.error.as_deref().map(str::to_owned),
        created_at: row.created_at,
    }
}
