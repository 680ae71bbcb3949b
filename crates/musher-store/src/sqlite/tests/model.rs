//! Random histories: the disk always holds what the memory store, our model, holds.

use musher_core::change::{Change, TextKey};
use musher_core::config::ProjectSettings;
use musher_core::id::Seq;
use musher_core::run::Usage;
use proptest::prelude::*;

use super::Folder;
use crate::conformance::{Fixture, same, sample};
use crate::store::{EventFilter, Scope, Store};
use crate::{MemoryDisk, MemoryStore};

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<Part>),
    Cursor(u8, u64),
    Commit,
    Rollback,
    Crash,
}

#[derive(Clone, Debug)]
enum Part {
    Settings(u8),
    Mission(u32, u8),
    Item(u32, u8),
    Live(u32),
    Over(u32),
    Agent(u32, bool),
    Body(u32, String),
    Note(u32, u32, u8),
    Gate(u32, bool),
    Event(u32),
    Effect(u32),
    Close(u32),
    Archive(u32),
}

/// Few ids, so that rows meet themselves again.
const IDS: u32 = 6;

fn part() -> impl Strategy<Value = Part> {
    let id = 0..IDS;
    prop_oneof![
        1 => any::<u8>().prop_map(Part::Settings),
        3 => (id.clone(), any::<u8>()).prop_map(|(n, v)| Part::Mission(n, v)),
        5 => (id.clone(), any::<u8>()).prop_map(|(n, v)| Part::Item(n, v)),
        2 => id.clone().prop_map(Part::Live),
        2 => id.clone().prop_map(Part::Over),
        1 => (id.clone(), any::<bool>()).prop_map(|(n, p)| Part::Agent(n, p)),
        2 => (id.clone(), ".{0,40}").prop_map(|(n, t)| Part::Body(n, t)),
        2 => (id.clone(), id.clone(), any::<u8>()).prop_map(|(m, n, v)| Part::Note(m, n, v)),
        2 => (id.clone(), any::<bool>()).prop_map(|(n, g)| Part::Gate(n, g)),
        4 => id.clone().prop_map(Part::Event),
        3 => id.clone().prop_map(Part::Effect),
        3 => id.clone().prop_map(Part::Close),
        1 => id.prop_map(Part::Archive),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => proptest::collection::vec(part(), 0..6).prop_map(Step::Write),
        1 => (0..3u8, 0..99u64).prop_map(|(name, seq)| Step::Cursor(name, seq)),
        4 => Just(Step::Commit),
        1 => Just(Step::Rollback),
        1 => Just(Step::Crash),
    ]
}

/// An id is never used again: effects draw theirs from a counter, and close one of the last few.
fn change(parts: &[Part], effects: &mut u32) -> Change {
    let mut change = Change::default();
    for part in parts {
        match part {
            Part::Settings(v) => {
                let settings = ProjectSettings { gate: Some(v.to_string()), ..ProjectSettings::default() };
                change.settings = Some(Box::new(settings));
            }
            Part::Mission(n, v) => {
                let mut row = sample::mission(*n);
                row.goal = v.to_string().into();
                change.missions.push(row);
            }
            Part::Item(n, v) => {
                let mut row = sample::item(*n, n % 3);
                row.attempts = u32::from(*v);
                change.items.push(row);
            }
            Part::Live(n) => change.runs.push(sample::run(*n, n % 2, n % 3)),
            Part::Over(n) => change.runs.push(sample::over(sample::run(*n, n % 2, n % 3), Usage::default())),
            Part::Agent(n, paused) => {
                let mut row = sample::agent(*n);
                row.paused = *paused;
                change.agents.push(row);
            }
            Part::Body(n, text) => change.texts.push((TextKey::Body(sample::item_id(*n)), text.as_str().into())),
            Part::Note(m, n, v) => {
                let key = TextKey::Note(sample::mission_id(*m), sample::note_id(*n));
                change.texts.push((key, v.to_string().into()));
            }
            Part::Gate(n, green) => {
                let mut row = sample::gate(*n);
                row.green = *green;
                change.gates.push(row);
            }
            Part::Event(n) => change.events.extend(sample::everything(*n).events),
            Part::Effect(n) => {
                *effects += 1;
                change.effects.push(sample::effect(*effects, *n));
            }
            Part::Close(n) => change.closed.push(sample::effect_id(effects.saturating_sub(*n))),
            Part::Archive(n) => change.archived.push(sample::mission_id(*n)),
        }
    }
    // An effect is closed by a later command than the one that decided it.
    change.closed.retain(|id| change.effects.iter().all(|effect| effect.id != *id));
    change
}

fn run(steps: &[Step]) {
    let folder = Folder::new();
    let disk = MemoryDisk::new();
    let mut real: Box<dyn Store> = folder.open();
    let mut model: MemoryStore = disk.open();
    let mut effects = 0;
    let mut open = false;
    for step in steps {
        if !open {
            real.begin().unwrap();
            model.begin().unwrap();
        }
        open = true;
        match step {
            Step::Write(parts) => {
                let mut change = change(parts, &mut effects);
                // Only what has been there for a while is archived.
                let there = model.reader().unwrap().missions(Scope::All).unwrap();
                change.archived.retain(|id| there.iter().any(|mission| mission.id == *id));
                assert_eq!(real.write(&change).unwrap(), model.write(&change).unwrap());
                continue;
            }
            Step::Cursor(name, seq) => {
                let name = name.to_string();
                let change = Change { cursors: vec![(name.into(), Seq(*seq))], ..Change::default() };
                assert_eq!(real.write(&change).unwrap(), model.write(&change).unwrap());
                continue;
            }
            Step::Commit => assert_eq!(real.commit().unwrap(), model.commit().unwrap()),
            Step::Rollback => {
                real.rollback().unwrap();
                model.rollback().unwrap();
            }
            Step::Crash => {
                real = folder.reopen(real);
                model = model.into_durable();
            }
        }
        open = false;
        compare(&mut *real, &mut model);
    }
}

fn compare(real: &mut dyn Store, model: &mut MemoryStore) {
    let (left, right) = (real.load().unwrap(), model.load().unwrap());
    assert!(same(&left, &right), "disk {left:#?}\nmodel {right:#?}");
    assert_eq!(real.last_seq(), model.last_seq());
    let (left, right) = (real.reader().unwrap(), model.reader().unwrap());
    assert_eq!(left.missions(Scope::All).unwrap(), right.missions(Scope::All).unwrap());
    for n in 0..IDS {
        let (mission, item, run) = (sample::mission_id(n), sample::item_id(n), sample::run_id(n));
        let about = |item| EventFilter { mission: Some(mission), item, ..EventFilter::default() };
        assert_eq!(left.events(&about(None)).unwrap(), right.events(&about(None)).unwrap());
        assert_eq!(left.notes(mission).unwrap(), right.notes(mission).unwrap());
        assert_eq!(left.items_of(mission).unwrap(), right.items_of(mission).unwrap());
        assert_eq!(left.item(item).unwrap(), right.item(item).unwrap());
        assert_eq!(left.runs_of(item).unwrap(), right.runs_of(item).unwrap());
        assert_eq!(left.run(run).unwrap(), right.run(run).unwrap());
        let body = TextKey::Body(item);
        assert_eq!(left.text(body).unwrap(), right.text(body).unwrap());
        let name = n.to_string();
        assert_eq!(left.cursor(&name).unwrap(), right.cursor(&name).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_disk_always_holds_what_the_model_holds(steps in proptest::collection::vec(step(), 1..40)) {
        run(&steps);
    }
}
