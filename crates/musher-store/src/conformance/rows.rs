//! Promises about rows: what is loaded, and what is not.

use musher_core::change::Change;
use musher_core::config::ProjectSettings;
use musher_core::firing::{Firing, FiringOf, FiringState};
use musher_core::id::Seq;
use musher_core::item::ItemState;
use musher_core::pull::Pull;
use musher_core::run::Usage;
use musher_core::state::World;
use musher_core::watch::{Watch, WatchStatus};
use musher_core::webhook::REMEMBERED;

use super::sample::{self, commit};
use super::{Fixture, same};
use crate::store::{GATES_KEPT, Scope};

pub(super) fn a_new_store_is_empty(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    assert!(same(&store.load().unwrap(), &World::default()));
    assert_eq!(store.last_seq(), Seq(0));
    assert_eq!(store.reader().unwrap().last_seq().unwrap(), Seq(0));
}

pub(super) fn what_was_committed_is_there_after_a_crash(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    let settings = ProjectSettings { gate: Some("make \"check\"".to_owned()), ..ProjectSettings::default() };
    let configured = Change { settings: Some(Box::new(settings.clone())), ..sample::everything(1) };
    let queued = |batches| Some(Box::new(sample::queue(batches)));
    let configured = Change { queue: queued(7), ..configured };
    commit(&mut *store, &[configured, Change { queue: queued(8), ..sample::everything(2) }]);
    // One row: the last counts, and one that is not named stays.
    commit(&mut *store, &[Change { cursors: vec![sample::cursor(1)], ..Change::default() }]);
    let mut store = fixture.reopen(store);
    let wanted = World {
        settings: Some(Box::new(settings)),
        missions: vec![sample::mission(1), sample::mission(2)],
        items: vec![sample::item(1, 1), sample::item(2, 2)],
        runs: vec![sample::run(1, 1, 1), sample::run(2, 2, 2)],
        agents: vec![sample::agent(1), sample::agent(2)],
        quotas: sample::quotas([1, 2]),
        pulls: vec![sample::pull(1), sample::pull(2)],
        watches: vec![sample::watch(1), sample::watch(2)],
        effects: vec![sample::effect(1, 1), sample::effect(2, 2)],
        gates: vec![sample::gate(1), sample::gate(2)],
        schedules: vec![sample::schedule(1), sample::schedule(2)],
        triggers: vec![sample::trigger(1), sample::trigger(2)],
        last_seq: Seq(4),
        firings: vec![sample::firing(1), sample::firing(2)],
        nodes: vec![sample::node(1), sample::node(2)],
        queue: queued(8),
        sinks: vec![sample::sink(1), sample::sink(2)],
        cursors: vec![sample::cursor(1), sample::cursor(2)],
        webhooks: vec![sample::webhook(1), sample::webhook(2)],
        projects: vec![sample::project(1), sample::project(2)],
    };
    let loaded = store.load().unwrap();
    assert!(same(&loaded, &wanted), "{loaded:#?}");
    assert_eq!(store.last_seq(), Seq(4));
}

pub(super) fn the_last_row_of_an_id_counts(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    let titled = |title: &str| {
        let mut row = sample::item(1, 1);
        row.title = title.into();
        row.state = ItemState::Failed(title.into());
        row
    };
    let twice = Change { items: vec![titled("one"), titled("two")], ..sample::everything(1) };
    let again = Change { items: vec![titled("three")], ..Change::default() };
    commit(&mut *store, &[twice, again]);
    assert_eq!(store.load().unwrap().items, [titled("three")]);
    commit(&mut *store, &[Change { items: vec![titled("four")], ..Change::default() }]);
    let mut store = fixture.reopen(store);
    assert_eq!(store.load().unwrap().items, [titled("four")]);
}

pub(super) fn the_last_row_of_a_pull_request_and_of_a_watch_counts(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    commit(&mut *store, &[sample::everything(1), sample::everything(2)]);
    let pull = Pull { number: None, draft: true, ..sample::pull(2) };
    let watch = Watch { status: WatchStatus::Done, ..sample::watch(1) };
    let older = Pull { number: Some(9), ..sample::pull(2) };
    let change = Change { pulls: vec![older, pull.clone()], watches: vec![watch.clone()], ..Change::default() };
    commit(&mut *store, &[change]);
    let mut store = fixture.reopen(store);
    let world = store.load().unwrap();
    assert_eq!((world.pulls, world.watches), (vec![sample::pull(1), pull], vec![watch, sample::watch(2)]));
}

pub(super) fn a_firing_that_is_over_is_history(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    commit(&mut *store, &[sample::everything(1), sample::everything(2)]);
    let over = Firing { state: FiringState::Failed, finished_at: Some(sample::NOW), ..sample::firing(1) };
    let newer = Firing { id: sample::firing(3).id, ..sample::firing(1) };
    commit(&mut *store, &[Change { firings: vec![newer.clone(), over.clone()], ..Change::default() }]);
    let mut store = fixture.reopen(store);
    assert_eq!(store.load().unwrap().firings, [sample::firing(2), newer.clone()]);
    let reader = store.reader().unwrap();
    assert_eq!(reader.firings_of(over.of, 10).unwrap(), [newer.clone(), over.clone()]);
    assert_eq!(reader.firings_of(over.of, 1).unwrap(), [newer]);
    assert!(reader.firings_of(FiringOf::Trigger(sample::trigger(9).id), 10).unwrap().is_empty());
}

pub(super) fn a_run_that_is_over_is_not_loaded(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    commit(&mut *store, &[sample::everything(1), sample::everything(2)]);
    let over = sample::over(sample::run(1, 1, 1), Usage::default());
    commit(&mut *store, &[Change { runs: vec![over.clone()], ..Change::default() }]);
    let mut store = fixture.reopen(store);
    assert_eq!(store.load().unwrap().runs, [sample::run(2, 2, 2)]);
    assert_eq!(store.reader().unwrap().run(over.id).unwrap(), Some(over));
}

pub(super) fn effects_are_loaded_oldest_first_until_closed(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    // Their order is the order in which they were decided, not that of their ids.
    let open = |n| Change { effects: vec![sample::effect(n, n)], ..Change::default() };
    let close = |n| Change { closed: vec![sample::effect_id(n)], ..Change::default() };
    commit(&mut *store, &[open(9), open(4), close(4), open(7)]);
    commit(&mut *store, &[open(2), open(8)]);
    commit(&mut *store, &[close(7), close(77)]);
    let mut store = fixture.reopen(store);
    let effects = store.load().unwrap().effects;
    assert_eq!(effects, [sample::effect(9, 9), sample::effect(2, 2), sample::effect(8, 8)]);
    commit(&mut *store, &[open(1)]);
    assert_eq!(store.load().unwrap().effects.last(), Some(&sample::effect(1, 1)));
}

pub(super) fn the_newest_gate_records_are_loaded(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    let gates = (0..GATES_KEPT + 5).map(sample::gate).collect();
    commit(&mut *store, &[Change { gates, ..Change::default() }]);
    let mut said_again = sample::gate(3);
    said_again.green = !said_again.green;
    commit(&mut *store, &[Change { gates: vec![said_again.clone()], ..Change::default() }]);
    let mut store = fixture.reopen(store);
    let gates = store.load().unwrap().gates;
    assert_eq!(gates.len(), GATES_KEPT as usize);
    assert_eq!(gates.first(), Some(&sample::gate(6)));
    assert_eq!(gates.last(), Some(&said_again));
}

pub(super) fn the_newest_webhooks_are_loaded_each_once(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    let most = u32::try_from(REMEMBERED).unwrap();
    let taken =
        |from: u32, to: u32| Change { webhooks: (from..to).map(sample::webhook).collect(), ..Change::default() };
    commit(&mut *store, &[taken(0, most), taken(3, 5)]);
    commit(&mut *store, &[taken(most, most + 5), taken(most, most + 1)]);
    let mut store = fixture.reopen(store);
    let wanted: Vec<_> = (5..most + 5).map(sample::webhook).collect();
    assert_eq!(store.load().unwrap().webhooks, wanted);
}

pub(super) fn an_archived_mission_is_not_loaded_but_readable(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    commit(&mut *store, &[sample::everything(1), sample::everything(2)]);
    let over = sample::over(sample::run(1, 1, 1), Usage::default());
    let archive = Change { runs: vec![over.clone()], archived: vec![sample::mission_id(1)], ..Change::default() };
    commit(&mut *store, &[archive]);
    let mut store = fixture.reopen(store);
    let world = store.load().unwrap();
    // What was set for it goes with it; what an agent has used stays.
    let scopes: Vec<String> = world.quotas.iter().map(|row| row.scope.to_string()).collect();
    assert_eq!(
        scopes,
        ["agent:agent-1".to_owned(), "agent:agent-2".to_owned(), format!("mission:{}", sample::mission_id(2))]
    );
    assert_eq!(world.missions, [sample::mission(2)]);
    assert_eq!((world.pulls, world.watches), (vec![sample::pull(2)], vec![sample::watch(2)]));
    assert_eq!(world.items, [sample::item(2, 2)]);
    let reader = store.reader().unwrap();
    assert_eq!(reader.missions(Scope::Active).unwrap(), [sample::mission(2)]);
    assert_eq!(reader.missions(Scope::All).unwrap(), [sample::mission(1), sample::mission(2)]);
    assert_eq!(reader.mission(sample::mission_id(1)).unwrap(), Some(sample::mission(1)));
    assert_eq!(reader.items_of(sample::mission_id(1)).unwrap(), [sample::item(1, 1)]);
    assert_eq!(reader.item(sample::item_id(1)).unwrap(), Some(sample::item(1, 1)));
    assert_eq!(reader.runs_of(sample::item_id(1)).unwrap(), [over]);
    // A late write to its rows does not bring it back.
    commit(&mut *store, &[Change { missions: vec![sample::mission(1)], ..Change::default() }]);
    assert_eq!(store.load().unwrap().missions, [sample::mission(2)]);
}
