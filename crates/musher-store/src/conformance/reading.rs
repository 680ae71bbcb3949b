//! Promises about readers: whole batches, in order, beside the writer.

use std::time::Duration;

use musher_core::change::{Change, TextKey};
use musher_core::effect::Stop;
use musher_core::event::{Event, Happened};
use musher_core::id::{AgentId, Seq};
use musher_core::run::{FailureClass, Run, Usage};

use super::Fixture;
use super::sample::{self, NOW, commit};
use crate::store::{By, EventFilter, Scope, SpentOn};

fn texts(texts: &[(TextKey, &str)]) -> Change {
    Change { texts: texts.iter().map(|(key, text)| (*key, (*text).into())).collect(), ..Change::default() }
}

pub(super) fn texts_are_kept_to_the_byte_and_replaced(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    let long = "🐑\u{0}\r\n\"\\ ".repeat(256 * 1024 / 9);
    let item = sample::item_id(1);
    let keys = [TextKey::Body(item), TextKey::Summary(item), TextKey::Lesson(sample::run_id(1)), TextKey::Plan(item)];
    commit(&mut *store, &[texts(&[(keys[0], &long), (keys[1], ""), (keys[2], "old"), (keys[3], "goal")])]);
    commit(&mut *store, &[texts(&[(keys[2], "newer")]), texts(&[(keys[2], "newest")])]);
    let store = fixture.reopen(store);
    let reader = store.reader().unwrap();
    assert_eq!(reader.text(keys[0]).unwrap().as_deref(), Some(&*long));
    assert_eq!(reader.text(keys[1]).unwrap().as_deref(), Some(""));
    assert_eq!(reader.text(keys[2]).unwrap().as_deref(), Some("newest"));
    assert_eq!(reader.text(keys[3]).unwrap().as_deref(), Some("goal"));
    assert_eq!(reader.text(TextKey::Body(sample::item_id(2))).unwrap(), None);
}

pub(super) fn notes_are_read_in_the_order_given(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    let note = |mission, n| TextKey::Note(sample::mission_id(mission), sample::note_id(n));
    commit(&mut *store, &[texts(&[(note(1, 9), "first"), (note(2, 5), "elsewhere")])]);
    commit(&mut *store, &[texts(&[(note(1, 3), "second")]), texts(&[(note(1, 9), "first, mended")])]);
    let store = fixture.reopen(store);
    let reader = store.reader().unwrap();
    assert_eq!(reader.notes(sample::mission_id(1)).unwrap(), ["first, mended", "second"]);
    assert_eq!(reader.notes(sample::mission_id(3)).unwrap(), [""; 0]);
    assert_eq!(reader.text(note(1, 3)).unwrap().as_deref(), Some("second"));
}

pub(super) fn events_are_filtered(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    // 1, 2 are of mission 1 (2 of its item), 3, 4 of mission 2, and so on.
    let changes: Vec<Change> = (1..=4).map(sample::everything).collect();
    commit(&mut *store, &changes);
    commit(&mut *store, &[Change { events: changes[0].events.clone(), ..Change::default() }]);
    let reader = store.reader().unwrap();
    let seqs = |filter: EventFilter| -> Vec<u64> { reader.events(&filter).unwrap().iter().map(|e| e.seq.0).collect() };
    let all = EventFilter::default;
    let (mission, item) = (Some(sample::mission_id(1)), Some(sample::item_id(1)));
    let kinds = || vec!["item_assigned".into(), "item_done".into()];
    assert_eq!(seqs(all()), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert_eq!(seqs(EventFilter { after: Seq(8), ..all() }), [9, 10]);
    assert_eq!(seqs(EventFilter { after: Seq(10), ..all() }), [0; 0]);
    assert_eq!(seqs(EventFilter { after: Seq(1), limit: 2, ..all() }), [2, 3]);
    assert_eq!(seqs(EventFilter { limit: 0, ..all() }), [0; 0]);
    assert_eq!(seqs(EventFilter { mission, ..all() }), [1, 2, 9, 10]);
    assert_eq!(seqs(EventFilter { mission, after: Seq(1), limit: 2, ..all() }), [2, 9]);
    assert_eq!(seqs(EventFilter { item, ..all() }), [2, 10]);
    assert_eq!(seqs(EventFilter { item, mission, kinds: kinds(), ..all() }), [2, 10]);
    assert_eq!(seqs(EventFilter { item, mission: Some(sample::mission_id(2)), ..all() }), [0; 0]);
    assert_eq!(seqs(EventFilter { kinds: kinds(), ..all() }), [2, 4, 6, 8, 10]);
    assert_eq!(seqs(EventFilter { kinds: vec!["') OR 1 --".into()], ..all() }), [0; 0]);
}

pub(super) fn every_event_is_read_back_as_it_was_written(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    let happened = [
        Happened::MissionStarted { goal: "„Ziel“ \"x\" {}".into(), items: 3 },
        Happened::MissionApproved {},
        Happened::ItemReady { not_before: Some(NOW) },
        Happened::ItemReady { not_before: None },
        Happened::RunStopping { how: Stop::Kill },
        Happened::RunFinished {
            outcome: "failed".into(),
            class: Some(FailureClass::Limit),
            message: "a\nb".into(),
            usage: Usage { input_tokens: u64::from(u32::MAX), output_tokens: 2, cost_micro_usd: 3, ..Usage::default() },
        },
    ];
    let mut events: Vec<_> = happened.into_iter().map(|h| sample::event(h, 1, Some(1))).collect();
    events[0].mission = None;
    events[0].item = None;
    events[5].agent = Some(AgentId::from_bytes(sample::id_bytes(4)));
    events[5].run = Some(sample::run_id(5));
    commit(&mut *store, &[Change { events: events.clone(), ..Change::default() }]);
    let read = fixture.reopen(store).reader().unwrap().events(&EventFilter::default()).unwrap();
    assert_eq!(read.into_iter().map(|logged| logged.event).collect::<Vec<_>>(), events);
}

pub(super) fn cursors_are_kept_with_their_batch(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    let at = |places: &[u64]| Change {
        cursors: places.iter().map(|seq| ("triggers".into(), Seq(*seq))).collect(),
        ..Change::default()
    };
    store.begin().unwrap();
    store.write(&at(&[7])).unwrap();
    let reader = store.reader().unwrap();
    assert_eq!(reader.cursor("triggers").unwrap(), None);
    store.commit().unwrap();
    assert_eq!(reader.cursor("triggers").unwrap(), Some(Seq(7)));
    commit(&mut *store, &[at(&[8, 5]), at(&[8, 9])]);
    let store = fixture.reopen(store);
    let reader = store.reader().unwrap();
    assert_eq!(reader.cursor("triggers").unwrap(), Some(Seq(9)));
    assert_eq!(reader.cursor("others").unwrap(), None);
}

pub(super) fn a_reader_never_sees_half_a_batch(fixture: &dyn Fixture) {
    const BATCHES: u64 = 60;
    let mut store = fixture.open();
    let reader = store.reader().unwrap();
    // Without what a hub is told: a project tells each event once.
    let batch: Vec<Change> = (1..=5).map(|n| Change { hub: Vec::new(), ..sample::everything(n) }).collect();
    std::thread::scope(|threads| {
        threads.spawn(move || {
            let mut seen = 0;
            while seen < BATCHES * 10 {
                seen = reader.last_seq().unwrap().0;
                assert_eq!(seen % 10, 0, "a batch has ten events");
                let events = reader.events(&EventFilter::default()).unwrap();
                assert_eq!(events.len() % 10, 0);
                assert!(events.len() as u64 >= seen);
            }
        });
        for _ in 0..BATCHES {
            commit(&mut *store, &batch);
        }
    });
}

pub(super) fn a_reader_does_not_hold_the_writer_up(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    let readers: Vec<_> = (0..3).map(|_| store.reader().unwrap()).collect();
    for n in 1..=20 {
        commit(&mut *store, &[sample::everything(n)]);
        for reader in &readers {
            assert_eq!(reader.missions(Scope::Active).unwrap().len(), n as usize);
            assert_eq!(reader.last_seq().unwrap(), store.last_seq());
        }
    }
}

pub(super) fn ids_are_found_by_either_end(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    let numbers = [0xabcd_1234, 0xabcd_1299, 0x0000_abcd];
    commit(&mut *store, &numbers.map(sample::everything));
    commit(&mut *store, &[Change { archived: vec![sample::mission_id(numbers[0])], ..Change::default() }]);
    let reader = store.reader().unwrap();
    let full = sample::mission_id(numbers[0]).to_string();
    let items = |found: &[u32]| found.iter().map(|n| sample::item_id(*n)).collect::<Vec<_>>();
    let cases: [(&str, &str, &[u32]); 8] = [
        ("the whole short form", "abcd1234", &numbers[..1]),
        ("upper case", "ABCD1299", &numbers[1..2]),
        ("an equal beginning of short forms", "abcd12", &numbers[..2]),
        ("an odd number of digits", "abcd129", &numbers[1..2]),
        ("the whole id", &full, &numbers[..1]),
        ("the beginning they all share", &full[..14], &[numbers[2], numbers[0], numbers[1]]),
        ("too short", "abc", &[]),
        ("no digits", "zzzzzz", &[]),
    ];
    for (name, typed, found) in cases {
        assert_eq!(reader.find_items(typed).unwrap(), items(found), "{name}");
        let runs = reader.find_runs(typed).unwrap();
        assert_eq!(runs, found.iter().map(|n| sample::run_id(*n)).collect::<Vec<_>>(), "{name}");
        let missions = reader.find_missions(typed).unwrap();
        assert_eq!(missions, found.iter().map(|n| sample::mission_id(*n)).collect::<Vec<_>>(), "{name}");
    }
}

pub(super) fn runs_are_read_oldest_first(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    let assigned = |n, secs| Run { assigned_at: NOW.after(Duration::from_secs(secs)), ..sample::run(n, 1, 1) };
    let runs = vec![assigned(1, 3), assigned(2, 1), assigned(3, 2), sample::run(4, 2, 1)];
    commit(&mut *store, &[Change { runs, ..sample::everything(1) }]);
    let reader = store.reader().unwrap();
    let read = reader.runs_of(sample::item_id(1)).unwrap();
    assert_eq!(read, [assigned(2, 1), assigned(3, 2), assigned(1, 3)]);
    assert_eq!(reader.run(sample::run_id(99)).unwrap(), None);
}

pub(super) fn what_was_used_is_added_up_by_everything_it_is_asked_by(fixture: &dyn Fixture) {
    let mut store = fixture.open();
    assert_eq!(store.reader().unwrap().spent(By::Mission).unwrap(), []);
    let used = |n: u64| Usage {
        input_tokens: n,
        cache_read_tokens: n / 2,
        cache_write_tokens: n / 4,
        output_tokens: 10 * n,
        cost_micro_usd: 100 * n,
        estimated_micro_usd: n % 2,
    };
    let event = |mission: u32, item: u32, agent: u32, model: Option<&str>, minutes: u64, n: u64| Event {
        at: NOW.after(Duration::from_secs(60 * minutes)),
        agent: Some(AgentId::from_bytes(sample::id_bytes(agent))),
        ..sample::event(Happened::UsageRecorded { usage: used(n), model: model.map(Into::into) }, mission, Some(item))
    };
    let events = vec![
        event(1, 1, 5, Some("m"), 0, 1),
        event(1, 2, 6, Some("n"), 14, 2),
        event(2, 3, 5, Some("m"), 15, 4),
        event(2, 3, 5, None, 59, 9),
    ];
    commit(&mut *store, &[Change { events, ..Change::default() }, sample::everything(9)]);
    let mut store = fixture.reopen(store);
    store.load().unwrap();
    let reader = store.reader().unwrap();
    let spent = |by| {
        let rows = reader.spent(by).unwrap();
        rows.into_iter().map(|row| (row.on, row.usage.input_tokens, row.usage.estimated_micro_usd)).collect::<Vec<_>>()
    };
    let (mission, item) = (|n| SpentOn::Mission(sample::mission_id(n)), |n| SpentOn::Item(sample::item_id(n)));
    let agent = |n| SpentOn::Agent(AgentId::from_bytes(sample::id_bytes(n)));
    let quarter = |minutes: u64| SpentOn::Quarter(NOW.after(Duration::from_secs(60 * minutes)));
    let model = |name: &str| SpentOn::Model(name.to_owned());
    assert_eq!(spent(By::Mission), [(mission(1), 3, 1), (mission(2), 13, 1)]);
    assert_eq!(spent(By::Item), [(item(1), 1, 1), (item(2), 2, 0), (item(3), 13, 1)]);
    assert_eq!(spent(By::Agent), [(agent(5), 14, 2), (agent(6), 2, 0)]);
    assert_eq!(spent(By::Model), [(model("m"), 5, 1), (model("n"), 2, 0), (SpentOn::Unknown, 9, 1)]);
    assert_eq!(spent(By::Quarter), [(quarter(0), 3, 1), (quarter(15), 4, 0), (quarter(45), 9, 1)]);
    let whole = |sums: [u64; 6]| {
        let [input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, cost_micro_usd, estimated_micro_usd] =
            sums;
        Usage {
            input_tokens,
            cache_read_tokens,
            cache_write_tokens,
            output_tokens,
            cost_micro_usd,
            estimated_micro_usd,
        }
    };
    let all: Vec<_> = reader.spent(By::Mission).unwrap().into_iter().map(|row| row.usage).collect();
    assert_eq!(all, [whole([3, 1, 0, 30, 300, 1]), whole([13, 6, 3, 130, 1300, 1])]);
    // To the millionth, also where a sum is more than 32 bits can hold.
    let much = event(1, 1, 5, Some("m"), 0, u64::from(u32::MAX));
    commit(&mut *store, &[Change { events: vec![much], ..Change::default() }]);
    let all = reader.spent(By::Mission).unwrap();
    assert_eq!(all[0].usage.cost_micro_usd, 300 + 100 * u64::from(u32::MAX));
}
