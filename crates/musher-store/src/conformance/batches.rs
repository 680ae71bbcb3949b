//! Promises about batches: all or nothing, in order, whatever fails.

use musher_core::change::{Change, TextKey};
use musher_core::id::Seq;
use musher_core::state::World;

use super::sample::{self, commit};
use super::{Fixture, same};
use crate::StoreError;
use crate::store::{EventFilter, MAX_ROW_BYTES, Store};

pub(super) fn an_uncommitted_batch_leaves_no_trace(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    commit(&mut *store, &[sample::everything(1)]);
    store.begin().unwrap();
    assert_eq!(store.write(&sample::everything(2)).unwrap(), Seq(4));
    assert_eq!(store.last_seq(), Seq(2));
    let mut store = fixture.reopen(store);
    only_the_first(&mut *store);
}

pub(super) fn a_rolled_back_batch_leaves_no_trace(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    commit(&mut *store, &[sample::everything(1)]);
    store.begin().unwrap();
    store.write(&sample::everything(2)).unwrap();
    store.write(&Change { cursors: vec![("x".into(), Seq(2))], ..Change::default() }).unwrap();
    store.rollback().unwrap();
    only_the_first(&mut *store);
    // Its numbers are given again: nobody ever saw them.
    assert_eq!(commit(&mut *store, &[sample::everything(3)]), Seq(4));
    assert_eq!(store.reader().unwrap().cursor("x").unwrap(), None);
}

fn only_the_first(store: &mut dyn Store) {
    assert_eq!(store.load().unwrap().missions, [sample::mission(1)]);
    assert_eq!(store.last_seq(), Seq(2));
    assert_eq!(store.reader().unwrap().events(&EventFilter::default()).unwrap().len(), 2);
}

pub(super) fn a_failed_write_leaves_the_others_of_its_batch(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    store.begin().unwrap();
    store.write(&sample::everything(1)).unwrap();
    let text = "x".repeat(MAX_ROW_BYTES + 1).into();
    let too_large = Change { texts: vec![(TextKey::Body(sample::item_id(2)), text)], ..sample::everything(2) };
    let refused = store.write(&too_large).unwrap_err();
    assert!(matches!(refused, StoreError::TooLarge { .. }), "{refused:?}");
    assert_eq!(store.write(&sample::everything(3)).unwrap(), Seq(4));
    assert_eq!(store.commit().unwrap(), Seq(4));
    let mut store = fixture.reopen(store);
    let world = store.load().unwrap();
    assert_eq!(world.missions, [sample::mission(1), sample::mission(3)]);
    assert_eq!(world.items, [sample::item(1, 1), sample::item(3, 3)]);
    assert_eq!(world.effects, [sample::effect(1, 1), sample::effect(3, 3)]);
    assert_eq!(world.nodes, [sample::node(1), sample::node(3)]);
    assert_eq!(world.sinks, [sample::sink(1), sample::sink(3)]);
    assert_eq!(world.cursors, [sample::cursor(1), sample::cursor(3)]);
    let events = store.reader().unwrap().events(&EventFilter::default()).unwrap();
    assert!(events.iter().all(|e| e.event.mission != Some(sample::mission_id(2))));
    assert_eq!(events.iter().map(|e| e.seq.0).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

pub(super) fn calls_out_of_order_are_refused(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    assert!(matches!(store.write(&sample::everything(1)), Err(StoreError::NoBatch)));
    assert!(matches!(store.commit(), Err(StoreError::NoBatch)));
    assert!(matches!(store.rollback(), Err(StoreError::NoBatch)));
    store.begin().unwrap();
    assert!(matches!(store.begin(), Err(StoreError::BatchOpen)));
    store.commit().unwrap();
    assert!(same(&store.load().unwrap(), &World::default()));
}

pub(super) fn an_empty_batch_commits(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    commit(&mut *store, &[sample::everything(1)]);
    assert_eq!(commit(&mut *store, &[]), Seq(2));
    assert_eq!(commit(&mut *store, &[Change::default()]), Seq(2));
}

pub(super) fn events_are_numbered_without_gaps(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    assert_eq!(commit(&mut *store, &[sample::everything(1), Change::default()]), Seq(2));
    let mut store = fixture.reopen(store);
    assert_eq!(store.last_seq(), Seq(2));
    store.begin().unwrap();
    assert_eq!(store.write(&sample::everything(2)).unwrap(), Seq(4));
    assert_eq!(store.write(&Change::default()).unwrap(), Seq(4));
    assert_eq!(store.write(&sample::everything(3)).unwrap(), Seq(6));
    store.commit().unwrap();
    let events = store.reader().unwrap().events(&EventFilter::default()).unwrap();
    assert_eq!(events.iter().map(|e| e.seq.0).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    let missions: Vec<_> = events.iter().filter_map(|e| e.event.mission).collect();
    let wanted = [1, 1, 2, 2, 3, 3].map(sample::mission_id);
    assert_eq!(missions, wanted);
}

pub(super) fn a_batch_of_1024_changes_lands_whole(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    let changes: Vec<Change> = (0..1024).map(sample::everything).collect();
    assert_eq!(commit(&mut *store, &changes), Seq(2048));
    let mut store = fixture.reopen(store);
    let world = store.load().unwrap();
    assert_eq!((world.missions.len(), world.items.len(), world.effects.len()), (1024, 1024, 1024));
    assert_eq!(world.items.last(), Some(&sample::item(1023, 1023)));
}

pub(super) fn a_batch_beyond_any_buffer_lands_whole_or_not_at_all(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    commit(&mut *store, &[sample::everything(1)]);
    let large = |n| Change {
        texts: vec![(TextKey::Body(sample::item_id(n)), "y".repeat(3 << 20).into())],
        ..sample::everything(n)
    };
    store.begin().unwrap();
    for n in 2..12 {
        store.write(&large(n)).unwrap();
    }
    let reader = store.reader().unwrap();
    assert_eq!(reader.last_seq().unwrap(), Seq(2));
    assert_eq!(reader.text(TextKey::Body(sample::item_id(2))).unwrap(), None);
    store.rollback().unwrap();
    only_the_first(&mut *store);

    store.begin().unwrap();
    for n in 2..12 {
        assert_eq!(store.write(&large(n)).unwrap(), Seq(u64::from(n) * 2));
    }
    assert_eq!(store.commit().unwrap(), Seq(22));
    let mut store = fixture.reopen(store);
    assert_eq!(store.load().unwrap().items.len(), 11);
    assert_eq!(store.last_seq(), Seq(22));
    let text = store.reader().unwrap().text(TextKey::Body(sample::item_id(11))).unwrap().unwrap();
    assert_eq!(text.len(), 3 << 20);
}
