//! `daily_prs`: how many pull requests are opened on a day, what is counted, and when what waits for another day goes on.

use std::time::Duration;

use musher_core::agent::AgentSpec;
use musher_core::command::{Command, Push, Report};
use musher_core::config::ProjectSettings;
use musher_core::event::Happened;
use musher_core::forge::{ForgeAnswer, ForgeFailure, Hint, PullSeen, PullState};
use musher_core::item::Phase;
use musher_core::mission::{Delivery, Policy};
use musher_core::pull::Pull;
use musher_core::quota::{Account, Cap, Origin, Quotas, Rules, Scope, Setting, sheet};
use musher_core::time::Timestamp;
use musher_core::wait::{self, Wait, WaitCode};

use crate::world::{World, agent, item, policy, settings};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn project(limit: u64, zone: &str) -> ProjectSettings {
    let repo = Rules { caps: [(Cap::DailyPrs, limit)].into(), model_allowlist: None };
    let quota = Quotas { timezone: zone.into(), repo, ..Quotas::default() };
    ProjectSettings { delivery: Delivery::Pr, quota, ..settings() }
}

/// A world in which so many pull requests may be opened on a day, and items of these keys are at work.
fn world_at(now: &str, settings: ProjectSettings, keys: &[&str]) -> World {
    let mut w = World::with_settings(settings);
    w.now = at(now);
    w.agent(AgentSpec { max_load: 0, ..agent("a1") });
    let items = keys.iter().map(|key| item(key, &[])).collect();
    w.mission_with(Policy { max_parallel_items: 9, ..policy() }, items);
    w
}

fn world(limit: u64, keys: &[&str]) -> World {
    world_at("2026-01-31T10:00:00Z", project(limit, ""), keys)
}

/// From assigned to the moment at which the branch is pushed.
fn push(w: &mut World, key: &str) {
    w.work(key);
    w.report(key, "push_branch", Report::Pushed(Push::Done));
}

fn answer(adopted: bool) -> ForgeAnswer {
    ForgeAnswer::PullOpened { number: 7, url: "https://forge/7".into(), draft: true, adopted }
}

fn opens(w: &mut World, key: &str) {
    w.report(key, "open_pull", Report::Forge(answer(false)));
}

fn fails(w: &mut World, key: &str, failure: ForgeFailure) {
    w.report(key, "open_pull", Report::ForgeFailed(failure));
}

fn set(w: &mut World, limit: Option<u64>) {
    w.ok(Command::SetQuota(Scope::Repo, Setting::Cap(Cap::DailyPrs, limit)));
}

/// What `musher quota` says: used and left.
fn used(w: &World) -> (u64, i64) {
    let lines = sheet(&w.state, w.now);
    let line = lines.iter().find(|line| line.cap == Cap::DailyPrs).unwrap();
    assert_eq!(line.scope, Scope::Repo);
    (line.used, line.remaining)
}

fn is_kept(w: &World, key: &str) -> bool {
    w.waits(key) == [WaitCode::Quota] && w.effects_of(key).is_empty()
}

#[test]
fn the_last_one_of_the_day_is_taken_once_and_the_next_waits_until_midnight_there() {
    for (zone, now, midnight) in [
        ("", "2026-01-31T10:00:00Z", "2026-02-01T00:00:00Z"),
        ("Asia/Kathmandu", "2026-01-31T10:00:00Z", "2026-01-31T18:15:00Z"),
        // Days of 23 and of 25 hours.
        ("Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
        ("Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
        ("America/New_York", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),
    ] {
        let mut w = world_at(now, project(1, zone), &["x", "y"]);
        push(&mut w, "x");
        push(&mut w, "y");
        assert_eq!((w.effects_of("x"), used(&w)), (vec!["open_pull"], (1, 0)), "{zone}: taken before it is opened");
        let waits = wait::of_item(&w.state, w.id("y"));
        let text = "repo daily_prs exceeded; `musher quota set repo daily_prs LIMIT` allows more";
        let wanted = Wait { code: WaitCode::Quota, text: text.to_owned(), until: Some(at(midnight)) };
        assert_eq!((waits, w.effects_of("y")), (vec![wanted], vec![]), "{zone}");
        opens(&mut w, "x");
        w.restart_and_compare();
        let due = w.state.next_due_by_rows();
        assert!(due.is_some_and(|due| due > w.now && due <= at(midnight)), "{zone}: {due:?}");
        w.now = Timestamp::from_micros(at(midnight).as_micros() - 1);
        w.settle();
        assert!(is_kept(&w, "y"), "{zone}: a moment before");
        w.now = at(midnight);
        w.settle();
        assert_eq!((w.effects_of("y"), used(&w)), (vec!["open_pull"], (1, 0)), "{zone}");
        opens(&mut w, "y");
        assert_eq!(w.said("pull_opened"), 2, "{zone}");
        w.restart_and_compare();
    }
}

#[test]
fn nothing_looks_again_before_the_day_is_over() {
    let mut w = world(1, &["x", "y"]);
    push(&mut w, "x");
    push(&mut w, "y");
    opens(&mut w, "x");
    let head = w.item("x").head.clone().unwrap();
    let state = PullState::Merged { commit: "m".into() };
    let merged = PullSeen { number: 7, head, state, ..PullSeen::default() };
    w.report("x", "look_at_pull", Report::Forge(ForgeAnswer::PullLooked(Box::new(merged))));
    w.report("x", "remove_worktree", Report::WorktreeRemoved);
    assert_eq!(w.phase("x"), Phase::Done);
    assert_eq!(w.state.next_due_by_rows(), Some(at("2026-02-01T00:00:00Z")), "and nothing in between");
}

#[test]
fn neither_a_hint_nor_a_note_hurries_what_waits_for_another_day() {
    let mut w = world(1, &["x", "y"]);
    push(&mut w, "x");
    push(&mut w, "y");
    let head = w.item("y").head.clone().unwrap();
    let mission = w.item("y").mission;
    for _ in 0..3 {
        w.ok(Command::HintForge(Hint::Commit(head.clone())));
        w.note(mission, "resume");
        w.pass(Duration::from_secs(600));
    }
    assert!(is_kept(&w, "y"));
    assert_eq!(used(&w), (1, 0));
}

#[test]
fn a_quota_that_is_raised_lets_it_go_on_at_once_and_one_that_is_lowered_stops_nothing() {
    type Raise = fn(&mut World);
    let ways: [(&str, Raise); 4] = [
        ("by an operator", |w| set(w, Some(2))),
        ("without end", |w| set(w, Some(0))),
        ("by the configuration", |w| {
            w.ok(Command::Configure(Box::new(project(2, ""))));
        }),
        ("by none in the configuration", |w| {
            w.ok(Command::Configure(Box::new(project(0, ""))));
        }),
    ];
    for (name, raise) in ways {
        let mut w = world(1, &["x", "y"]);
        push(&mut w, "x");
        push(&mut w, "y");
        assert!(is_kept(&w, "y"), "{name}");
        raise(&mut w);
        assert_eq!((w.effects_of("y"), used(&w).0), (vec!["open_pull"], 2), "{name}");
        w.restart_and_compare();
    }
    let mut w = world(3, &["x", "y", "z"]);
    push(&mut w, "x");
    push(&mut w, "y");
    set(&mut w, Some(1));
    assert_eq!((w.effects_of("x"), w.effects_of("y"), used(&w)), (vec!["open_pull"], vec!["open_pull"], (2, 0)));
    push(&mut w, "z");
    assert!(is_kept(&w, "z"));
    // Taken back, what the configuration says holds again.
    set(&mut w, None);
    assert_eq!((w.effects_of("z"), used(&w)), (vec!["open_pull"], (3, 0)));
    let lines = sheet(&w.state, w.now);
    assert!(lines.iter().any(|line| line.cap == Cap::DailyPrs && line.origin == Origin::Config && line.limit == 3));
}

#[test]
fn without_a_limit_they_are_counted_all_the_same() {
    let mut w = world(0, &["x", "y", "z"]);
    for key in ["x", "y", "z"] {
        push(&mut w, key);
    }
    assert_eq!(used(&w), (3, -1));
    set(&mut w, Some(4));
    assert_eq!(used(&w), (3, 1));
}

#[test]
fn what_the_forge_answers_is_counted_or_given_back_as_the_table_says() {
    let until = at("2026-01-31T11:00:00Z");
    let table = [
        ("opened", Report::Forge(answer(false)), false),
        ("adopted: somebody else has opened it", Report::Forge(answer(true)), true),
        ("nobody knows whether it was opened", Report::ForgeFailed(ForgeFailure::Unavailable("502".into())), false),
        ("refused", Report::ForgeFailed(ForgeFailure::Refused("no".into())), true),
        ("not found", Report::ForgeFailed(ForgeFailure::NotFound("nothing".into())), true),
        ("limited", Report::ForgeFailed(ForgeFailure::Limited { until }), true),
        ("its driver gave up", Report::DriverFailed { error: "no summary".into() }, false),
    ];
    for (name, report, given_back) in table {
        let mut w = world(1, &["x", "y"]);
        push(&mut w, "x");
        push(&mut w, "y");
        w.restart_and_compare();
        w.report("x", "open_pull", report);
        assert_eq!(w.said("quota_returned"), usize::from(given_back), "{name}");
        assert_eq!(is_kept(&w, "y"), !given_back, "{name}: what one gives back the other takes at once");
        assert_eq!((used(&w), w.effects_of("y").len()), ((1, 0), usize::from(given_back)), "{name}");
        w.restart_and_compare();
    }
    let mut w = world(1, &["x"]);
    push(&mut w, "x");
    fails(&mut w, "x", ForgeFailure::Refused("no".into()));
    let returned = w.events.iter().find(|event| event.happened.name() == "quota_returned").unwrap();
    let wanted = Happened::QuotaReturned { scope: "repo".into(), tokens: 0, jobs: 0, pulls: 1 };
    assert_eq!((&returned.happened, returned.item, used(&w)), (&wanted, Some(w.id("x")), (0, 1)));
}

#[test]
fn an_opening_that_is_tried_again_is_counted_once_a_day_and_does_not_wait_for_itself() {
    let mut w = world(1, &["x", "y"]);
    push(&mut w, "x");
    push(&mut w, "y");
    for tries in 1..=3 {
        fails(&mut w, "x", ForgeFailure::Unavailable("502".into()));
        assert_eq!(w.waits("x"), [WaitCode::Watch], "it waits for the forge, not for the quota");
        w.until_due();
        assert_eq!((w.effects_of("x"), used(&w)), (vec!["open_pull"], (1, 0)), "try {tries}");
        w.restart_and_compare();
    }
    assert!(is_kept(&w, "y"));
    opens(&mut w, "x");
    assert_eq!((used(&w), w.said("pull_opened")), ((1, 0), 1));
    // What was tried on one day and is tried again on the next may be opened on that.
    let mut w = world(1, &["x", "y"]);
    w.now = at("2026-01-31T23:59:30Z");
    push(&mut w, "x");
    push(&mut w, "y");
    fails(&mut w, "x", ForgeFailure::Unavailable("502".into()));
    w.now = at("2026-02-01T00:00:00Z");
    w.settle();
    assert_eq!((w.effects_of("y"), used(&w)), (vec!["open_pull"], (1, 0)));
    w.now = at("2026-02-01T00:00:30Z");
    w.settle();
    assert!(is_kept(&w, "x"), "the day's one is y's");
    opens(&mut w, "y");
    w.now = at("2026-02-02T00:00:00Z");
    w.settle();
    assert_eq!((w.effects_of("x"), used(&w)), (vec!["open_pull"], (1, 0)));
}

#[test]
fn the_one_that_takes_the_place_of_a_closed_one_is_another() {
    let mut w = world(1, &["x"]);
    push(&mut w, "x");
    opens(&mut w, "x");
    let head = w.item("x").head.clone().unwrap();
    let closed = PullSeen { number: 7, head, state: PullState::Closed, ..PullSeen::default() };
    w.report("x", "look_at_pull", Report::Forge(ForgeAnswer::PullLooked(Box::new(closed))));
    let id = w.id("x");
    w.ok(Command::RetryItem(id));
    assert!(is_kept(&w, "x"), "{:?}", w.waits("x"));
    set(&mut w, Some(2));
    assert_eq!((w.effects_of("x"), used(&w)), (vec!["open_pull"], (2, 0)));
}

#[test]
fn an_item_that_leaves_while_it_waits_leaves_nothing_behind() {
    let mut w = world(1, &["x", "y", "z"]);
    for key in ["x", "y", "z"] {
        push(&mut w, key);
    }
    let (y, z) = (w.id("y"), w.id("z"));
    w.ok(Command::CancelItem(y));
    w.ok(Command::HoldItem(z, "later".into()));
    set(&mut w, Some(3));
    assert_eq!(used(&w), (1, 2), "nobody waits for it any more");
    w.ok(Command::ReleaseItem(z));
    assert_eq!((w.effects_of("z"), used(&w)), (vec!["open_pull"], (2, 1)));
    w.restart_and_compare();
}

#[test]
fn eighty_percent_of_a_day_are_said_once_and_so_is_its_end() {
    let keys = ["a", "b", "c", "d", "e", "f"];
    let mut w = world(5, &keys);
    let said = |w: &World| (w.said("quota_warning"), w.said("quota_exceeded"));
    for (key, wanted) in keys.iter().zip([(0, 0), (0, 0), (0, 0), (1, 0), (1, 1), (1, 1)]) {
        push(&mut w, key);
        assert_eq!(said(&w), wanted, "{key}");
    }
    let warning = w.events.iter().find(|event| event.happened.name() == "quota_warning").unwrap();
    let wanted = Happened::QuotaWarning { scope: "repo".into(), cap: Cap::DailyPrs, used: 4, limit: 5 };
    assert_eq!(warning.happened, wanted);
    // What was given back and is taken again is no new warning.
    fails(&mut w, "e", ForgeFailure::Refused("no".into()));
    assert_eq!((w.effects_of("f"), w.said("quota_warning")), (vec!["open_pull"], 1));
    // The next day says it anew.
    w.pass(Duration::from_secs(24 * 3_600));
    assert_eq!(w.effects_of("e"), ["open_pull"], "its backoff was over, and it is a new day");
    set(&mut w, Some(1));
    assert_eq!(said(&w).1, 3, "{:?}", said(&w));
}

#[test]
fn it_keeps_no_agent_from_working() {
    let mut w = world(1, &["x", "y"]);
    push(&mut w, "x");
    push(&mut w, "y");
    assert!(is_kept(&w, "y"));
    // The book that is held at each rest says who may work.
    w.mission(vec![item("z", &[])]);
    assert_eq!((w.phase("z"), w.said("dispatch_failed_quota")), (Phase::Assigned, 0));
}

#[test]
fn rows_and_events_from_before_are_read() {
    let mut w = world(1, &["x"]);
    push(&mut w, "x");
    let mut pull = serde_json::to_value(w.state.pull(w.id("x")).unwrap()).unwrap();
    assert_eq!(pull.as_object_mut().unwrap().remove("counted_on"), Some(1.into()));
    assert_eq!(serde_json::from_value::<Pull>(pull).unwrap().counted_on, 0);
    let mut account = serde_json::to_value(w.state.books().repo().unwrap()).unwrap();
    assert_eq!(account.as_object_mut().unwrap().remove("pulls"), Some(1.into()));
    assert_eq!(serde_json::from_value::<Account>(account).unwrap().pulls, 0);
    let returned = r#"{"kind":"quota_returned","body":{"scope":"agent:a","tokens":3,"jobs":0}}"#;
    let read: Happened = serde_json::from_str(returned).unwrap();
    assert_eq!(read, Happened::QuotaReturned { scope: "agent:a".into(), tokens: 3, jobs: 0, pulls: 0 });
    assert_eq!(serde_json::to_string(&read).unwrap(), returned);
    let opened = r#"{"pull_opened":{"number":7,"url":"u","draft":false}}"#;
    let read: ForgeAnswer = serde_json::from_str(opened).unwrap();
    assert_eq!(read, ForgeAnswer::PullOpened { number: 7, url: "u".into(), draft: false, adopted: false });
}
