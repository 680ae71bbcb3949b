//! What a hub keeps of projects.

use musher_core::change::Change;
use musher_core::hub::{HubEvent, Row};

use super::{Fixture, sample};
use crate::store::{HubFilter, Reader};

const ALL: HubFilter = HubFilter { after: 0, limit: 100, project: None };

fn change(hub: Vec<Row>) -> Change {
    Change { hub, ..Change::default() }
}

fn places(reader: &dyn Reader, filter: HubFilter) -> Vec<(u64, u64)> {
    let found: Vec<HubEvent> = reader.hub_events(&filter).unwrap();
    found.iter().map(|event| (event.place, event.told.seq.0)).collect()
}

pub(super) fn a_hub_keeps_what_each_project_tells(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    store.load().unwrap();
    let (one, two) = (sample::project_id(1), sample::project_id(2));
    sample::commit(&mut *store, &[change(sample::hub(1)), change(sample::hub(2))]);
    let later = vec![
        Row::Item(one, sample::item_card(1, 1, "done")),
        Row::Item(one, sample::item_card(1, 3, "ready")),
        sample::hub_event(1, 3, 11),
    ];
    sample::commit(&mut *store, &[change(later)]);
    let reader = store.reader().unwrap();
    assert_eq!(reader.hub_missions(one).unwrap(), [sample::mission_card(1, "running")]);
    let items = [sample::item_card(1, 1, "done"), sample::item_card(1, 3, "ready")];
    assert_eq!(reader.hub_items(one, items[0].mission).unwrap(), items);
    assert!(reader.hub_items(two, items[0].mission).unwrap().is_empty(), "of another project");
    let Row::Event(wanted) = sample::hub_event(2, 2, 20) else { unreachable!("it is an event") };
    assert_eq!(reader.hub_events(&HubFilter { project: Some(two), ..ALL }).unwrap(), [wanted]);
    assert_eq!(places(&*reader, ALL), [(1, 10), (2, 20), (3, 11)]);
    assert_eq!(places(&*reader, HubFilter { after: 1, limit: 1, ..ALL }), [(2, 20)]);
    assert_eq!(places(&*reader, HubFilter { project: Some(one), ..ALL }), [(1, 10), (3, 11)]);
    let counts = reader.hub_counts().unwrap();
    assert_eq!(counts[&one].items, [("done".to_owned(), 1), ("ready".to_owned(), 1)].into());
    assert_eq!(counts[&two].missions, [("running".to_owned(), 1)].into());
}

pub(super) fn what_is_told_anew_takes_the_place_of_what_was_told(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    store.load().unwrap();
    let (one, two) = (sample::project_id(1), sample::project_id(2));
    sample::commit(&mut *store, &[change(sample::hub(1)), change(sample::hub(2))]);
    let anew =
        vec![Row::Emptied(one), Row::Mission(one, sample::mission_card(3, "running")), sample::hub_event(1, 3, 10)];
    sample::commit(&mut *store, &[change(anew)]);
    let reader = store.reader().unwrap();
    assert_eq!(reader.hub_missions(one).unwrap(), [sample::mission_card(3, "running")]);
    assert_eq!(places(&*reader, ALL), [(2, 20), (3, 10)]);
    drop(reader);
    sample::commit(&mut *store, &[change(vec![Row::Gone(one)])]);
    assert_eq!(store.load().unwrap().projects, [sample::project(2)]);
    let reader = store.reader().unwrap();
    assert!(reader.hub_missions(one).unwrap().is_empty());
    assert_eq!(places(&*reader, ALL), [(2, 20)]);
    assert_eq!(reader.hub_counts().unwrap().get(&two).unwrap().items.len(), 1);
}
