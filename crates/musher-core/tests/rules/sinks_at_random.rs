//! Random deliveries, failures, clocks, configs and restarts: the cursors and what is given up are those of a plain reading
//! of the rules, what is said of a sink makes sense in its order, and no sink feels what befalls another.

use std::collections::BTreeMap;
use std::time::Duration;

use musher_core::command::Command;
use musher_core::event::Happened;
use musher_core::id::Seq;
use musher_core::sink::{DeliveryFailure, Sink, SinkFrom, SinkKind, SinkSpec, cursor_of};
use musher_core::time::Timestamp;
use proptest::prelude::*;

use crate::world::World;

const NAMES: [&str; 3] = ["a", "b", "c"];
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
/// What an attempt may take without being taken for a time in which musher was not there.
const ATTEMPT: Duration = Duration::from_secs(60);

/// What happens next, to which sink, and how, chosen by numbers, so that it shrinks.
#[derive(Clone, Copy, Debug)]
struct Choice(u8, u8, u8);

fn choices() -> impl Strategy<Value = Vec<Choice>> {
    prop::collection::vec(any::<(u8, u8, u8)>().prop_map(|(a, b, c)| Choice(a, b, c)), 1..60)
}

/// An event that cannot be delivered.
#[derive(Clone, Copy)]
struct Failing {
    event: u64,
    tried: Duration,
    last_at: Timestamp,
    not_before: Timestamp,
    /// Since when nothing at all was delivered.
    since: Timestamp,
}

/// One sink as the spec tells of it.
struct Read {
    kind: SinkKind,
    cursor: u64,
    removed_at: Option<Timestamp>,
    failing: Option<Failing>,
    /// Whether the last that was said is that it fails.
    is_announced: bool,
}

#[derive(Default)]
struct Reading {
    sinks: BTreeMap<&'static str, Read>,
    dead: usize,
}

impl Reading {
    fn sync(&mut self, specs: &[(&'static str, SinkSpec)], present: u64, now: Timestamp) {
        for (name, spec) in specs {
            let known = self.sinks.get_mut(name);
            match known.filter(|read| read.removed_at.is_none_or(|removed| now.since(removed) < WEEK)) {
                Some(read) => (read.kind, read.removed_at) = (spec.kind, None),
                None => {
                    let cursor = if spec.from == SinkFrom::Start { 0 } else { present };
                    let read = Read { kind: spec.kind, cursor, removed_at: None, failing: None, is_announced: false };
                    self.sinks.insert(name, read);
                }
            }
        }
        for (name, read) in &mut self.sinks {
            if read.removed_at.is_none() && !specs.iter().any(|(listed, _)| listed == name) {
                read.removed_at = Some(now);
            }
        }
    }

    /// What a command about this sink and event must be answered, if it is refused.
    fn refusal(&self, name: &str, event: u64) -> Option<&'static str> {
        match self.sinks.get(name).filter(|read| read.removed_at.is_none()) {
            None => Some("not_found"),
            Some(read) if event <= read.cursor => Some("stale"),
            Some(_) => None,
        }
    }
}

fn the_sink<'a>(w: &'a World, name: &str) -> &'a Sink {
    w.state.sink(name).unwrap()
}

fn advance(w: &mut World, reading: &mut Reading, name: &'static str, event: u64) {
    let command = Command::AdvanceSink(name.into(), Seq(event));
    if let Some(code) = reading.refusal(name, event) {
        assert_eq!(w.refused(command).code(), code);
        return;
    }
    let said = w.events.len();
    w.ok(command);
    let read = reading.sinks.get_mut(name).unwrap();
    read.cursor = event;
    let is_over = read.failing.is_some_and(|failing| event >= failing.event);
    let expected: &[&str] = if is_over && read.is_announced { &["delivery_recovered"] } else { &[] };
    assert_eq!(w.names_since(said), expected, "{name} at {event}");
    if is_over {
        (read.failing, read.is_announced) = (None, false);
    }
}

/// An attempt fails. The moments of tries are those of the state: how long they are is held here, not chosen again.
fn fail(
    w: &mut World,
    reading: &mut Reading,
    name: &'static str,
    event: u64,
    about_deliveries: bool,
    asked: Option<u64>,
) {
    let kind = if about_deliveries { "delivery_failed" } else { "item_done" };
    let failure = DeliveryFailure {
        event: Seq(event),
        kind: kind.into(),
        error: "it answered 500".into(),
        retry_after_secs: asked,
    };
    let command = Command::FailDelivery(name.into(), Box::new(failure));
    if let Some(code) = reading.refusal(name, event) {
        assert_eq!(w.refused(command).code(), code);
        return;
    }
    let (said, now) = (w.events.len(), w.now);
    w.ok(command);
    let read = reading.sinks.get_mut(name).unwrap();
    let tried = read.failing.filter(|failing| failing.event == event).map_or(Duration::ZERO, |failing| {
        let planned = failing.not_before.since(failing.last_at) + ATTEMPT;
        // It is kept in whole milliseconds.
        let spent = Duration::from_millis(u64::try_from(now.since(failing.last_at).min(planned).as_millis()).unwrap());
        failing.tried + spent
    });
    let since = read.failing.map_or(now, |failing| failing.since);
    let (is_dead, is_quiet) =
        (read.kind == SinkKind::Webhook && tried >= DAY, about_deliveries && now.since(since) < HOUR);
    let expected: &[&str] = match (is_dead, read.is_announced || is_quiet) {
        (true, _) => &["delivery_dead_lettered"],
        (false, true) => &[],
        (false, false) => &["delivery_failed"],
    };
    assert_eq!(w.names_since(said), expected, "{name} fails at {event}, tried for {tried:?}");
    read.is_announced |= !expected.is_empty();
    let sink = the_sink(w, name);
    let not_before = sink.trouble.as_ref().unwrap().not_before;
    if is_dead {
        read.cursor = event;
        reading.dead += 1;
        assert_eq!(sink.due(now), None, "the next event is tried at once");
    } else {
        let wait = not_before.since(now);
        assert!((Duration::from_millis(900)..=HOUR).contains(&wait), "{name} waits {wait:?}");
        assert!(asked.is_none_or(|asked| wait >= Duration::from_secs(asked).min(HOUR)), "{asked:?} s asked for");
        assert_eq!(sink.due(now), Some(not_before));
    }
    read.failing = Some(Failing { event, tried, last_at: now, not_before, since });
}

fn hurry(w: &mut World, reading: &mut Reading, name: &'static str) {
    let command = Command::HurrySink(name.into());
    if reading.refusal(name, u64::MAX).is_some() {
        assert_eq!(w.refused(command).code(), "not_found");
        return;
    }
    w.ok(command);
    assert_eq!(the_sink(w, name).due(w.now), None);
    if let Some(failing) = &mut reading.sinks.get_mut(name).unwrap().failing {
        failing.not_before = failing.not_before.min(w.now);
    }
}

fn some_sync(w: &mut World, reading: &mut Reading, which: u8, how: u8, present: u64) {
    let listed = NAMES.iter().enumerate().filter(|(n, _)| which & (1 << n) != 0);
    let specs: Vec<_> = listed
        .map(|(n, name)| {
            let kind = if how & (1 << n) != 0 { SinkKind::File } else { SinkKind::Webhook };
            let from = if how & (8 << n) != 0 { SinkFrom::Start } else { SinkFrom::Present };
            (*name, SinkSpec { name: (*name).into(), kind, from })
        })
        .collect();
    w.ok(Command::SyncSinks(specs.iter().map(|(_, spec)| spec.clone()).collect(), Seq(present)));
    reading.sync(&specs, present, w.now);
}

fn hold(w: &World, reading: &Reading) {
    assert_eq!(w.state.sinks().count(), reading.sinks.len());
    for (name, read) in &reading.sinks {
        let sink = the_sink(w, name);
        assert_eq!((sink.kind, sink.removed_at), (read.kind, read.removed_at), "{name}");
        assert_eq!(w.state.cursor(&cursor_of(name)).0, read.cursor, "the cursor of {name}");
        let failing =
            sink.trouble.as_ref().map(|t| (t.event.0, u128::from(t.tried_ms), t.last_at, t.not_before, t.since));
        let as_read = read.failing.map(|f| (f.event, f.tried.as_millis(), f.last_at, f.not_before, f.since));
        assert_eq!(failing, as_read, "{name}");
        let due = sink.due(w.now).map_or(Duration::ZERO, |due| due.since(w.now));
        assert!(due <= HOUR, "{name} waits {due:?}, whatever the clock does");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_becomes_of_each_event_is_what_the_rules_say(choices in choices()) {
        let (mut w, mut reading) = (World::new(), Reading::default());
        let mut present = 10;
        some_sync(&mut w, &mut reading, 7, 4, present);
        for Choice(what, which, how) in choices {
            let name = NAMES[usize::from(which) % NAMES.len()];
            let cursor = reading.sinks[name].cursor;
            let failing = reading.sinks[name].failing.map(|failing| failing.event);
            // The next one mostly, now and then a later one or one that is past.
            let event = (cursor + 1 + u64::from(how % 8) / 6).saturating_sub(u64::from(how / 32) / 6);
            present = present.max(event);
            match what % 16 {
                0..=3 => advance(&mut w, &mut reading, name, event),
                4..=6 => fail(&mut w, &mut reading, name, event, how % 3 == 0, None),
                7 => {
                    // One event again and again: each time when it is due, or after hours in which musher was not there.
                    let event = failing.filter(|event| *event > cursor).unwrap_or(event);
                    for _ in 0..=how % 32 {
                        fail(&mut w, &mut reading, name, event, how % 3 == 0, Some(u64::from(how) * 30));
                        let late = if how % 5 == 0 { 3 * HOUR } else { Duration::from_millis(1) };
                        w.now = the_sink_is_due(&w, name).max(w.now).after(late);
                    }
                }
                8 => hurry(&mut w, &mut reading, name),
                9 => w.pass(Duration::from_secs(u64::from(how) * 60)),
                10 => w.pass(Duration::from_secs(u64::from(how) * 3600)),
                11 => w.now = Timestamp::from_micros(w.now.as_micros() - i64::from(how) * 3_600_000_000),
                12 => some_sync(&mut w, &mut reading, which | 1 << (how % 4), how, present),
                13 => some_sync(&mut w, &mut reading, which, how, present),
                14 => w.restart(),
                _ => w.restart_and_compare(),
            }
            hold(&w, &reading);
        }
        let dead = |happened: &Happened| matches!(happened, Happened::DeliveryDeadLettered { .. });
        prop_assert_eq!(w.events.iter().filter(|event| dead(&event.happened)).count(), reading.dead);
    }
}

fn the_sink_is_due(w: &World, name: &str) -> Timestamp {
    w.state.sink(name).and_then(|sink| sink.due(w.now)).unwrap_or(w.now)
}
