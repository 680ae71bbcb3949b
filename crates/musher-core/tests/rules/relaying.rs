//! The relay: what a hub must be told so that it shows what the project shows.

use std::time::Duration;

use musher_core::change::Change;
use musher_core::command::{Command, Refused};
use musher_core::hub::{ItemCard, Mark, MissionCard, Place};
use musher_core::id::{ItemId, MissionId, ProjectId, Seq};
use musher_core::relay::{Holds, Identity, NAME, tells};
use musher_core::sink::{SinkFrom, SinkKind, SinkSpec, cursor_of};
use musher_core::state::State;
use musher_core::time::Timestamp;

use crate::world::World;

/// A hub is told of items and missions with the events about them: whatever changes on their cards is named by an event that
/// it is told, in the same change. A new item is named by its mission's.
pub(crate) fn names_whatever_moved(state: &State, change: &Change) {
    let told = || change.events.iter().filter(|event| tells(&event.happened));
    let shown = |row: &musher_core::item::Item| {
        // When it last changed is told with the next event.
        let agent = row.agent.map(|id| id.to_string().into());
        ItemCard { updated_at: Timestamp::from_micros(0), ..ItemCard::of(row, agent) }
    };
    for row in &change.items {
        let named = |id: ItemId| told().any(|event| event.item == Some(id));
        let moved = match state.item(row.id) {
            Some(before) => shown(before) != shown(row),
            None => !told().any(|event| event.mission == Some(row.mission)),
        };
        let last = change.item(state, row.id).is_some_and(|last| shown(last) == shown(row));
        let said: Vec<_> =
            change.events.iter().map(|event| (event.happened.name(), event.item == Some(row.id))).collect();
        assert!(
            !moved || !last || named(row.id),
            "no hub is told of {}: {said:?}\nbefore {:#?}\nnow {:#?}",
            row.key,
            state.item(row.id).map(shown),
            shown(row)
        );
    }
    let shown = |row: &musher_core::mission::Mission| MissionCard {
        updated_at: Timestamp::from_micros(0),
        ..MissionCard::of(row)
    };
    for row in &change.missions {
        let named = |id: MissionId| told().any(|event| event.mission == Some(id));
        let moved = state.mission(row.id).is_none_or(|entry| shown(&entry.row) != shown(row));
        assert!(!moved || named(row.id), "no hub is told of {}: {:#?}", row.goal, change.events);
    }
}

fn relay() -> SinkSpec {
    SinkSpec { name: NAME.into(), kind: SinkKind::Relay, from: SinkFrom::Start }
}

fn identity(w: &World) -> Identity {
    w.state.sink(NAME).unwrap().relay.unwrap()
}

fn cursor(w: &World) -> u64 {
    w.state.cursor(&cursor_of(NAME)).0
}

fn mark(history: u32, seq: u64) -> Mark {
    let last = (seq > 0).then(|| Place { seq: Seq(seq), at: Timestamp::from_micros(1) });
    Mark { history, last }
}

/// A project whose relay has told ten events as its second history.
fn world() -> World {
    let mut w = World::new();
    w.ok(Command::SyncSinks(vec![relay()], Seq(99)));
    assert_eq!(cursor(&w), 0, "it begins with the first event, whenever it is configured");
    w.ok(Command::MeetHub(Some(mark(1, 3)), Holds::Other));
    w.ok(Command::AdvanceSink(NAME.into(), Seq(10)));
    w
}

#[test]
fn the_relay_goes_on_where_the_hub_is_as_the_table_says() {
    const SAME: Holds = Holds::Same;
    const OTHER: Holds = Holds::Other;
    // What the hub has, whether this log has it, and the cursor and the history after that.
    for (name, held, holds, to, history) in [
        ("nothing", None, SAME, 0, 2),
        ("the project, and no event", Some(mark(2, 0)), SAME, 0, 2),
        ("just what was told", Some(mark(2, 10)), SAME, 10, 2),
        ("less: it was put back", Some(mark(2, 4)), SAME, 4, 2),
        ("more: an answer was lost", Some(mark(2, 15)), SAME, 15, 2),
        ("an event of another log", Some(mark(2, 10)), OTHER, 0, 3),
        ("more of another log", Some(mark(2, 99)), OTHER, 0, 3),
        ("an earlier history", Some(mark(1, 50)), SAME, 0, 2),
        ("an earlier history of another log", Some(mark(1, 50)), OTHER, 0, 2),
    ] {
        let mut w = world();
        let (project, said) = (identity(&w).project, w.said("relay_restarted"));
        w.ok(Command::MeetHub(held, holds));
        assert_eq!((cursor(&w), identity(&w)), (to, Identity { project, history }), "{name}");
        assert_eq!(w.said("relay_restarted") - said, usize::from(history == 3), "{name}");
    }
    let mut w = world();
    let before = w.observed();
    for holds in [SAME, OTHER] {
        let refused = w.refused(Command::MeetHub(Some(mark(3, 10)), holds));
        assert!(matches!(refused, Refused::Conflict { .. }), "{refused}");
        assert!(refused.fix().unwrap().contains("musher hub forget"), "{refused}");
    }
    assert_eq!(w.observed(), before);
}

#[test]
fn a_project_stays_the_same_to_a_hub_however_long_it_does_not_relay() {
    let mut w = world();
    let known = identity(&w);
    w.ok(Command::SyncSinks(Vec::new(), Seq(10)));
    assert_eq!(w.refused(Command::MeetHub(None, Holds::Same)).code(), "not_found");
    w.pass(Duration::from_secs(30 * 24 * 3600));
    w.ok(Command::SyncSinks(vec![relay()], Seq(10)));
    assert_eq!((identity(&w), cursor(&w)), (known, 0));
    w.restart();
    assert_eq!(identity(&w), known);
}

#[test]
fn no_event_of_the_relay_is_ever_given_up() {
    let mut w = world();
    let failure = musher_core::sink::DeliveryFailure {
        event: Seq(11),
        kind: "item_done".into(),
        error: "down".into(),
        retry_after_secs: None,
    };
    for _ in 0..3_000 {
        w.ok(Command::FailDelivery(NAME.into(), Box::new(failure.clone())));
        w.now = w.now.after(Duration::from_secs(66));
    }
    assert!(w.state.sink(NAME).unwrap().trouble.as_ref().unwrap().tried_ms > 2 * 24 * 3_600_000);
    assert_eq!((w.said("delivery_failed"), w.said("delivery_dead_lettered"), cursor(&w)), (1, 0, 10));
    // It goes back to what the hub has lost, and whatever that takes, it is there again.
    w.ok(Command::MeetHub(Some(mark(2, 2)), Holds::Same));
    assert!(w.state.sink(NAME).unwrap().trouble.is_some());
    w.ok(Command::AdvanceSink(NAME.into(), Seq(5)));
    assert_eq!((w.state.sink(NAME).unwrap().trouble.as_ref(), w.said("delivery_recovered")), (None, 1));
}

#[test]
fn no_two_projects_are_one() {
    let ids: std::collections::BTreeSet<ProjectId> = (0..3)
        .map(|n| {
            let mut w = World::new();
            w.pass(Duration::from_secs(n));
            w.ok(Command::SyncSinks(vec![relay()], Seq(0)));
            identity(&w).project
        })
        .collect();
    assert_eq!(ids.len(), 3);
}
