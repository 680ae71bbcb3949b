//! Sinks: a cursor only grows, a failure waits and is written down, a day of it is enough, and no loop feeds itself.

use std::time::Duration;

use musher_core::command::Command;
use musher_core::event::Happened;
use musher_core::id::Seq;
use musher_core::sink::{DeliveryFailure, Sink, SinkFrom, SinkKind, SinkSpec, cursor_of};

use crate::world::World;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

fn spec(name: &str, kind: SinkKind) -> SinkSpec {
    SinkSpec { name: name.into(), kind, from: SinkFrom::Present }
}

/// A world with a webhook `hook` and a file `log`, both at event 10.
fn world() -> World {
    let mut w = World::new();
    w.ok(Command::SyncSinks(vec![spec("hook", SinkKind::Webhook), spec("log", SinkKind::File)], Seq(10)));
    w
}

fn failure(event: u64, kind: &str) -> Box<DeliveryFailure> {
    Box::new(DeliveryFailure {
        event: Seq(event),
        kind: kind.into(),
        error: "it answered 500".into(),
        retry_after_secs: None,
    })
}

fn fail(w: &mut World, sink: &str, event: u64) {
    w.ok(Command::FailDelivery(sink.into(), failure(event, "item_done")));
}

fn sink<'a>(w: &'a World, name: &str) -> &'a Sink {
    w.state.sink(name).unwrap()
}

fn cursor(w: &World, name: &str) -> u64 {
    w.state.cursor(&cursor_of(name)).0
}

/// The moment of the next try, in whole seconds from now; 0 when it can be made at once.
fn wait(w: &World, name: &str) -> u64 {
    sink(w, name).due(w.now).map_or(0, |due| due.since(w.now).as_secs())
}

fn pass(w: &mut World, seconds: u64) {
    w.now = w.now.after(Duration::from_secs(seconds));
}

/// Fails again and again, each time when the next try is due, until the cursor moves or so much time has passed.
fn fail_for(w: &mut World, name: &str, event: u64, seconds: u64) {
    let end = w.now.after(Duration::from_secs(seconds));
    while w.now < end && cursor(w, name) < event {
        let due = sink(w, name).due(w.now).unwrap_or(w.now);
        w.now = due.min(end);
        fail(w, name, event);
    }
}

#[test]
fn a_new_sink_begins_at_the_present_or_at_the_start_and_a_known_one_goes_on() {
    let mut w = world();
    assert_eq!((cursor(&w, "hook"), cursor(&w, "log")), (10, 10));
    let from_start = SinkSpec { from: SinkFrom::Start, ..spec("all", SinkKind::File) };
    let specs = vec![spec("hook", SinkKind::Webhook), from_start];
    w.ok(Command::AdvanceSink("hook".into(), Seq(12)));
    w.ok(Command::SyncSinks(specs.clone(), Seq(20)));
    assert_eq!((cursor(&w, "hook"), cursor(&w, "all")), (12, 0));
    assert!(sink(&w, "log").removed_at.is_some());
    let before = w.observed();
    w.ok(Command::SyncSinks(specs, Seq(30)));
    assert_eq!(w.observed(), before, "the same config changes nothing");
}

#[test]
fn a_sink_that_comes_back_within_a_week_goes_on_and_after_it_begins_anew() {
    for (away, begins) in [(6 * DAY, 10), (8 * DAY, 99)] {
        let mut w = world();
        w.ok(Command::SyncSinks(vec![], Seq(50)));
        assert_eq!(w.refused(Command::AdvanceSink("hook".into(), Seq(11))).code(), "not_found");
        pass(&mut w, away);
        w.ok(Command::SyncSinks(vec![spec("hook", SinkKind::Webhook)], Seq(99)));
        assert_eq!((cursor(&w, "hook"), sink(&w, "hook").removed_at), (begins, None), "after {away} s");
    }
}

#[test]
fn a_cursor_only_grows() {
    let mut w = world();
    w.ok(Command::AdvanceSink("hook".into(), Seq(11)));
    for stale in [0, 10, 11] {
        assert_eq!(w.refused(Command::AdvanceSink("hook".into(), Seq(stale))).code(), "stale");
        assert_eq!(w.refused(Command::FailDelivery("hook".into(), failure(stale, "item_done"))).code(), "stale");
    }
    assert_eq!(cursor(&w, "hook"), 11);
    assert_eq!(w.refused(Command::AdvanceSink("nobody".into(), Seq(12))).code(), "not_found");
}

#[test]
fn a_failing_sink_is_told_of_once_waits_longer_and_longer_and_recovers() {
    let mut w = world();
    let begun = w.now;
    for (failures, least, most) in [(1, 0, 1), (2, 1, 2), (3, 3, 4), (4, 7, 8)] {
        fail(&mut w, "hook", 11);
        assert!((least..=most).contains(&wait(&w, "hook")), "{failures}: {}", wait(&w, "hook"));
        pass(&mut w, 10);
    }
    assert_eq!((w.said("delivery_failed"), cursor(&w, "hook"), wait(&w, "log")), (1, 10, 0));
    let trouble = sink(&w, "hook").trouble.clone().unwrap();
    assert_eq!((trouble.since, trouble.attempts, trouble.event), (begun, 4, Seq(11)));

    w.ok(Command::AdvanceSink("hook".into(), Seq(11)));
    assert_eq!((sink(&w, "hook").trouble.as_ref(), w.said("delivery_recovered")), (None, 1));
    assert!(w.events.iter().any(|e| matches!(&e.happened,
        Happened::DeliveryRecovered { since, failures: 4, .. } if *since == begun)));
    w.ok(Command::AdvanceSink("hook".into(), Seq(12)));
    assert_eq!(w.said("delivery_recovered"), 1, "a delivery is no news while all is well");
}

#[test]
fn what_was_wrong_is_the_same_after_a_restart() {
    let mut w = world();
    fail(&mut w, "hook", 11);
    let before = w.observed();
    w.restart();
    assert_eq!(w.observed(), before);
}

#[test]
fn after_a_day_of_failing_an_event_is_dead_lettered_and_the_next_one_tried_at_once() {
    let mut w = world();
    fail_for(&mut w, "hook", 11, DAY - 10 * 60);
    assert_eq!((cursor(&w, "hook"), w.said("delivery_dead_lettered")), (10, 0), "not before the day is over");
    fail_for(&mut w, "hook", 11, 20 * 60);
    assert_eq!((cursor(&w, "hook"), w.said("delivery_dead_lettered"), wait(&w, "hook")), (11, 1, 0));
    assert_eq!((w.said("delivery_failed"), w.said("delivery_recovered")), (1, 0), "it fails all the same");

    fail(&mut w, "hook", 12);
    let trouble = sink(&w, "hook").trouble.clone().unwrap();
    assert_eq!((trouble.event, trouble.attempts, trouble.tried_ms), (Seq(12), 1, 0), "the next has a day of its own");
    assert!(wait(&w, "hook") >= 270, "and the receiver is not hurried");
    w.ok(Command::AdvanceSink("hook".into(), Seq(12)));
    assert_eq!(w.said("delivery_recovered"), 1);
}

#[test]
fn lines_of_a_file_are_never_given_up() {
    let mut w = world();
    fail_for(&mut w, "log", 11, 3 * DAY);
    assert_eq!((cursor(&w, "log"), w.said("delivery_dead_lettered")), (10, 0));
}

#[test]
fn the_time_in_which_musher_was_not_there_is_not_time_spent_trying() {
    let mut w = world();
    fail(&mut w, "hook", 11);
    pass(&mut w, 3 * DAY);
    w.restart();
    fail(&mut w, "hook", 11);
    assert_eq!((cursor(&w, "hook"), w.said("delivery_dead_lettered")), (10, 0));
    let tried = sink(&w, "hook").trouble.as_ref().unwrap().tried_ms;
    assert!(tried <= 62_000, "{tried} ms");
}

#[test]
fn a_clock_that_is_set_back_does_not_stop_a_sink() {
    let mut w = world();
    fail(&mut w, "hook", 11);
    w.now = musher_core::time::Timestamp::from_micros(w.now.as_micros() - 10 * i64::try_from(DAY).unwrap() * 1_000_000);
    assert_eq!(wait(&w, "hook"), 0);
}

#[test]
fn a_receiver_that_is_known_to_be_back_is_tried_at_once() {
    let mut w = world();
    fail_for(&mut w, "hook", 11, HOUR);
    assert!(wait(&w, "hook") > 200);
    w.ok(Command::HurrySink("hook".into()));
    assert_eq!(wait(&w, "hook"), 0);
    let before = w.observed();
    w.ok(Command::HurrySink("hook".into()));
    w.ok(Command::HurrySink("log".into()));
    assert_eq!(w.observed(), before, "there is nothing to hurry");
    assert_eq!(w.refused(Command::HurrySink("nobody".into())).code(), "not_found");
}

/// Two receivers that fail every second time are sent events about each other's deliveries: what they do to the log must
/// end with the events that started it.
#[test]
fn sinks_that_fail_now_and_then_do_not_keep_each_other_busy() {
    let mut w = world();
    let mut seq = 11;
    fail(&mut w, "hook", seq);
    w.ok(Command::AdvanceSink("hook".into(), Seq(seq)));
    assert_eq!((w.said("delivery_failed"), w.said("delivery_recovered")), (1, 1));
    for round in 0..50 {
        seq += 1;
        let (name, kind) = if round % 2 == 0 { ("log", "delivery_failed") } else { ("hook", "delivery_recovered") };
        w.ok(Command::FailDelivery(name.into(), failure(seq, kind)));
        assert!(sink(&w, name).trouble.is_some(), "that it fails can be seen all the same");
        w.ok(Command::AdvanceSink(name.into(), Seq(seq)));
    }
    assert_eq!((w.said("delivery_failed"), w.said("delivery_recovered")), (1, 1), "no event led to another");
}

#[test]
fn a_sink_that_fails_for_an_hour_is_told_of_whatever_it_does_not_take() {
    let mut w = world();
    w.ok(Command::FailDelivery("hook".into(), failure(11, "delivery_failed")));
    assert_eq!(w.said("delivery_failed"), 0);
    pass(&mut w, HOUR);
    w.ok(Command::FailDelivery("hook".into(), failure(11, "delivery_failed")));
    assert_eq!(w.said("delivery_failed"), 1);
}
