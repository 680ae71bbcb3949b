//! Whether a mission is at rest: nothing of it goes on before a person does something. Followers and `--wait` end then, and
//! the inbox names a blocked mission only then.

use super::MissionState;
use super::judge::{Review, review_of};
use crate::dispatch::{self, Condition};
use crate::item::{Item, ItemState, Phase, Waiting};
use crate::pull;
use crate::state::{MissionEntry, State};

/// Whether nothing of a mission goes on before a person does something: it has ended, it is paused and what was at work is
/// over, or it is blocked, and be it by one of its items, by what only a person frees.
///
/// One that waits for open watches, or for a moment, goes on by itself: it is blocked, but not at rest.
pub fn is_at_rest(state: &State, entry: &MissionEntry) -> bool {
    match entry.row.state {
        MissionState::Completed | MissionState::Failed | MissionState::Cancelled => true,
        MissionState::Paused => !is_at_work(state, entry),
        MissionState::Blocked => is_for_a_person(state, entry),
        MissionState::Planning | MissionState::AwaitingApproval | MissionState::Running => false,
    }
}

/// Whether an agent is at work for a mission, or what one has done is being checked or merged.
pub(super) fn is_at_work(state: &State, entry: &MissionEntry) -> bool {
    let at_work = [Phase::Assigned, Phase::Running, Phase::Verifying, Phase::Merging];
    at_work.iter().any(|phase| entry.count(*phase) > 0) || state.quietest_run(entry.row.id).is_some()
}

/// Whether it is the open watches of a mission that hold it up: it is blocked, or it is paused and nothing of it could go
/// on by itself.
pub(crate) fn is_held_up_outside(state: &State, entry: &MissionEntry) -> bool {
    entry.row.state == MissionState::Blocked || (!is_at_work(state, entry) && entry.count(Phase::Ready) == 0)
}

/// What brings an item on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mover {
    /// A person.
    Person,
    /// Time, or something outside that musher looks at.
    Itself,
    /// Another item, or nothing more.
    Another,
}

fn is_for_a_person(state: &State, entry: &MissionEntry) -> bool {
    let mut goes_on = false;
    for item in entry.items.iter().filter_map(|id| state.item(*id)).filter(|item| !item.satisfied) {
        match mover(state, entry, item) {
            Mover::Person => return true,
            Mover::Itself => goes_on = true,
            Mover::Another => {}
        }
    }
    !goes_on
}

fn mover(state: &State, entry: &MissionEntry, item: &Item) -> Mover {
    match &item.state {
        ItemState::Ready => ready(state, entry, item),
        ItemState::Pending | ItemState::Done => watched(state, item),
        ItemState::Waiting(Waiting::Watches) => {
            if pull::awaited(state, item).is_empty() {
                Mover::Itself
            } else {
                Mover::Person
            }
        }
        ItemState::Waiting(Waiting::Review) => match review_of(state, item) {
            Some(Review::Made) => Mover::Itself,
            Some(Review::Wanted) if entry.cap_reached().is_none() => Mover::Itself,
            Some(Review::Wanted) | None => Mover::Person,
        },
        ItemState::Waiting(Waiting::Approval)
        | ItemState::Blocked(_)
        | ItemState::Failed(_)
        | ItemState::Cancelled(_)
        | ItemState::Held { .. } => Mover::Person,
        ItemState::Assigned
        | ItemState::Running
        | ItemState::Verifying
        | ItemState::Waiting(Waiting::Clear)
        | ItemState::Merging(_)
        | ItemState::MergeFailed(_) => Mover::Itself,
    }
}

/// A ready item is taken when an agent is free, its quota begins anew, or its driver has rested. Of agents that fit, are
/// heard and are not paused, only a person can make more, and a mission's cap only a person can raise.
fn ready(state: &State, entry: &MissionEntry, item: &Item) -> Mover {
    if entry.cap_reached().is_some() {
        return Mover::Person;
    }
    let Some((code, removed)) = dispatch::no_agent(state, item) else { return Mover::Itself };
    let passes = removed.denied.values().any(Option::is_some) || removed.by.contains_key(&Condition::Suspended);
    if dispatch::is_hopeless(code) && !passes { Mover::Person } else { Mover::Itself }
}

/// A watch holds up the start of an item, or the end of the mission.
fn watched(state: &State, item: &Item) -> Mover {
    let looked_at = state.watches_of(item.id).any(|watch| state.is_looked_at(watch));
    if looked_at { Mover::Itself } else { Mover::Another }
}
