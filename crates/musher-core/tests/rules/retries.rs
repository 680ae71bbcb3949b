//! What counts as an attempt, how long an item waits, and the dead letter.

use std::time::Duration;

use musher_core::command::{Command, Inspection, Lacking, Report};
use musher_core::item::{Phase, Worktree};
use musher_core::mission::MissionItem;
use musher_core::run::{FailureClass, Outcome, Usage};
use musher_core::wait::WaitCode;

use crate::world::{World, failed, item, red};

fn about(wait: Duration, seconds: f64) -> bool {
    (seconds * 0.9..=seconds * 1.1).contains(&wait.as_secs_f64())
}

#[test]
fn a_failed_run_waits_five_ten_and_twenty_seconds_and_then_is_in_the_dead_letter() {
    let mut w = World::with_agents(1);
    w.mission(vec![MissionItem { max_retries: Some(4), ..item("a", &[]) }]);
    for (attempt, seconds) in [(1, 5.0), (2, 10.0), (3, 20.0)] {
        w.start("a");
        w.end("a", failed(FailureClass::Agent, "it broke"));
        let row = w.item("a");
        assert_eq!((row.phase(), row.attempts), (Phase::Ready, attempt));
        let wait = row.not_before.unwrap().since(w.now);
        assert!(about(wait, seconds), "after attempt {attempt} it waits {wait:?}");
        assert_eq!(w.waits("a"), [WaitCode::NotBefore]);
        w.pass(wait - Duration::from_micros(1));
        assert_eq!(w.phase("a"), Phase::Ready, "not a moment too early");
        w.pass(Duration::from_micros(1));
        assert_eq!(w.phase("a"), Phase::Assigned);
    }
    w.start("a");
    w.end("a", failed(FailureClass::Agent, "it broke for good"));
    assert_eq!(w.item("a").reason().unwrap(), "max retries exceeded: it broke for good");
    assert_eq!((w.phase("a"), w.said("item_dead_lettered"), w.state.next_due_but_help()), (Phase::Failed, 1, None));
}

#[test]
fn how_often_and_how_far_apart_holds_over_restarts() {
    for (max_retries, restarts) in [(1, false), (2, false), (3, false), (5, false), (1, true), (3, true), (5, true)] {
        let mut w = World::with_agents(1);
        w.mission(vec![MissionItem { max_retries: Some(max_retries), ..item("a", &[]) }]);
        let again = |w: &mut World| {
            if restarts {
                w.restart_and_compare();
            }
        };
        let mut waits = Vec::new();
        let mut runs = 0;
        while w.phase("a") != Phase::Failed {
            again(&mut w);
            w.start("a");
            again(&mut w);
            w.end("a", failed(FailureClass::Agent, "no"));
            runs += 1;
            let ended = w.now;
            again(&mut w);
            if w.phase("a") == Phase::Ready {
                assert!(w.until_due());
                waits.push(w.now.since(ended));
            }
        }
        assert_eq!(runs, max_retries, "restarts: {restarts}");
        let expected = (0..max_retries - 1).map(|n| 5.0 * f64::from(1 << n));
        assert_eq!(waits.len(), expected.len());
        for (wait, seconds) in waits.into_iter().zip(expected) {
            assert!(about(wait, seconds), "{wait:?} and not {seconds} s; restarts: {restarts}");
        }
        assert!(!w.until_due(), "nothing follows by itself");
    }
}

/// A day in steps of at most an hour, and of every moment that is due by itself.
fn a_day(w: &mut World, mut each: impl FnMut(&mut World)) {
    let end = w.now.after(Duration::from_secs(24 * 3600));
    while w.now < end {
        let hour = w.now.after(Duration::from_secs(3600));
        let next = w.state.next_due().filter(|due| *due > w.now).map_or(hour, |due| due.min(hour));
        w.pass(next.since(w.now));
        each(w);
    }
}

#[test]
fn a_day_of_waiting_for_an_agent_a_quota_or_an_account_counts_nothing() {
    // Capacity: another item has the only agent all day.
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[]), item("b", &[])]);
    w.start("a");
    a_day(&mut w, |w| assert_eq!((w.phase("b"), w.waits("b")), (Phase::Ready, vec![WaitCode::AgentsBusy])));
    assert_eq!((w.item("b").attempts, w.said("item_failed"), w.said("item_dead_lettered")), (0, 0, 0));

    // No agent that could take it, or none that can start.
    let mut w = World::with_agents(1);
    let id = w.agent_id("a1");
    w.ok(Command::AgentChecked(id, Some("no such program".into())));
    w.mission(vec![item("b", &[]), MissionItem { labels: crate::world::words(&["gpu"]), ..item("c", &[]) }]);
    a_day(&mut w, |w| assert_eq!((w.phase("b"), w.phase("c")), (Phase::Ready, Phase::Ready)));
    assert_eq!((w.item("b").attempts, w.item("c").attempts, w.said("item_dead_lettered")), (0, 0, 0));

    // A quota: one job is all that the agent may have.
    let mut w = World::new();
    let mut spec = crate::world::agent("a1");
    spec.quota.caps.insert(musher_core::quota::Cap::ConcurrentJobs, 1);
    spec.max_load = 0;
    w.agent(spec);
    w.mission(vec![item("a", &[]), item("b", &[])]);
    w.start("a");
    a_day(&mut w, |w| assert_eq!((w.phase("b"), w.waits("b")), (Phase::Ready, vec![WaitCode::Quota])));
    assert_eq!((w.item("b").attempts, w.said("item_failed"), w.said("item_dead_lettered")), (0, 0, 0));

    // An account that is used up again each time, for minutes, under a policy that counts a single failure.
    let mut w = World::with_agents(1);
    w.mission(vec![MissionItem { max_retries: Some(1), ..item("a", &[]) }]);
    let mut cuts = 0;
    a_day(&mut w, |w| {
        if w.phase("a") == Phase::Assigned {
            w.start("a");
            w.end("a", Outcome::RateLimited { resets_at: None, message: "429".into() });
            cuts += 1;
        }
        assert_eq!((w.phase("a"), w.item("a").attempts), (Phase::Ready, 0));
    });
    assert!(cuts > 24, "{cuts} times");
    assert_eq!((w.said("item_failed"), w.said("item_dead_lettered")), (0, 0));
}

#[test]
fn a_backoff_outlives_a_restart() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    w.start("a");
    w.end("a", failed(FailureClass::Agent, "it broke"));
    let before = w.item("a").not_before;
    w.restart();
    w.settle();
    assert_eq!((w.item("a").not_before, w.phase("a")), (before, Phase::Ready));
    w.until_due();
    assert_eq!(w.phase("a"), Phase::Assigned);
}

#[test]
fn a_retry_from_the_dead_letter_starts_at_attempt_zero() {
    let mut w = World::with_agents(1);
    w.mission(vec![MissionItem { max_retries: Some(1), ..item("a", &[]) }]);
    let id = w.id("a");
    w.refused(Command::RetryItem(id));
    w.start("a");
    w.end("a", failed(FailureClass::Timeout, "silent"));
    assert_eq!(w.phase("a"), Phase::Failed);
    w.ok(Command::RetryItem(id));
    let run = w.stored_run(w.run_of("a"));
    assert_eq!((w.phase("a"), w.item("a").attempts, run.attempt), (Phase::Assigned, 0, 1));
    assert_eq!(w.item("a").worktree, Worktree::Ready, "it goes on in the same worktree");
}

#[test]
fn how_a_run_ends_decides_whether_it_counts() {
    let cases = [
        ("the agent failed", failed(FailureClass::Agent, "no"), 1),
        ("it timed out", failed(FailureClass::Timeout, "silent"), 1),
        ("it reached a limit", failed(FailureClass::Limit, "80 turns"), 1),
        ("its host died alone", Outcome::Lost { while_down: false }, 1),
        ("it was lost while musher was down", Outcome::Lost { while_down: true }, 0),
        ("it was ended on request", Outcome::Cancelled, 0),
    ];
    for started in [true, false] {
        for (name, outcome, counted) in &cases {
            let mut w = World::with_agents(1);
            w.mission(vec![item("a", &[])]);
            if started {
                w.start("a");
            } else {
                w.report("a", "create_worktree", Report::WorktreeReady { base_commit: "base".into() });
            }
            let (fence, seen) = (w.item("a").fence, w.events.len());
            w.end("a", outcome.clone());
            assert_eq!(w.item("a").attempts, *counted, "{name}, started: {started}");
            let waits = *counted > 0;
            assert_eq!(w.phase("a") == Phase::Ready, waits, "{name}: what does not count is tried again at once");
            assert_eq!(w.item("a").fence > fence, !waits);
            assert!(w.names_since(seen).contains(&"run_finished"), "{name}");
        }
    }
}

#[test]
fn what_keeps_a_worktree_from_being_made_for_want_of_room_counts_nothing() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    w.report(
        "a",
        "create_worktree",
        Report::WorktreeFailed { lacking: Some(Lacking::Disk), error: "1 GiB free, 2 GiB wanted".into() },
    );
    let row = w.item("a");
    assert_eq!((row.phase(), row.attempts, row.not_before.unwrap().since(w.now).as_secs()), (Phase::Ready, 0, 60));
    assert!(musher_core::wait::of_item(&w.state, row.id)[0].text.contains("1 GiB free"));
    assert!(w.state.runs().is_empty(), "its lease is given back");
    w.until_due();
    w.complete("a");
    assert_eq!((w.phase("a"), w.item("a").attempts), (Phase::Done, 0));
}

#[test]
fn a_red_gate_counts_and_the_next_run_is_told_its_tail() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    w.run("a");
    let clean = w.clean();
    w.inspect("a", clean);
    let long = format!("{}\nthe end", "x".repeat(20_000));
    w.gate("a", red(&long));
    assert_eq!((w.phase("a"), w.item("a").attempts), (Phase::Ready, 1));
    let lesson = w.lesson("a");
    assert!(lesson.starts_with("the gate is red: exit 1") && lesson.ends_with("the end"), "{lesson}");
    assert!(lesson.len() < 8_100);
    w.until_due();
    assert_eq!(w.effects_of("a"), ["start_run"], "in the same worktree");
}

#[test]
fn an_empty_run_counts_and_three_in_a_row_block() {
    let mut w = World::with_agents(1);
    w.mission(vec![MissionItem { max_retries: Some(20), ..item("a", &[]) }]);
    for n in 1..=3 {
        w.run("a");
        w.inspect("a", Inspection::Empty);
        assert_eq!(w.item("a").attempts, n);
        w.until_due();
    }
    assert_eq!((w.phase("a"), w.waits("a")), (Phase::Blocked, vec![WaitCode::Blocked]));
    let id = w.id("a");
    w.ok(Command::RetryItem(id));
    assert_eq!((w.phase("a"), w.item("a").empty_runs), (Phase::Assigned, (0, 0)));
}

#[test]
fn eight_empty_runs_in_all_block_though_others_lie_between() {
    let mut w = World::with_agents(1);
    w.mission(vec![MissionItem { max_retries: Some(50), ..item("a", &[]) }]);
    for n in 1..=8 {
        w.run("a");
        w.inspect("a", Inspection::Empty);
        assert_eq!(w.phase("a") == Phase::Blocked, n == 8, "after {n} empty runs");
        if n < 8 {
            w.until_due();
            w.start("a");
            w.end("a", failed(FailureClass::Agent, "no"));
            w.until_due();
        }
    }
}

#[test]
fn the_policy_the_item_and_three_are_how_often_in_this_order() {
    for (of_item, of_policy, runs) in [(None, 3, 3), (None, 2, 2), (Some(1), 5, 1), (Some(0), 5, 1)] {
        let mut w = World::with_agents(1);
        let policy = musher_core::mission::Policy { max_retries: of_policy, ..crate::world::policy() };
        w.mission_with(policy, vec![MissionItem { max_retries: of_item, ..item("a", &[]) }]);
        let mut n = 0;
        while w.phase("a") != Phase::Failed {
            w.start("a");
            w.end("a", failed(FailureClass::Agent, "no"));
            w.until_due();
            n += 1;
        }
        assert_eq!(n, runs, "item {of_item:?}, policy {of_policy}");
    }
}

#[test]
fn a_run_that_reaches_its_cap_is_killed_and_blocks_its_item() {
    let mut w = World::new();
    let mut spec = crate::world::agent("a1");
    spec.limits.tokens = Some(100);
    w.agent(spec);
    w.mission(vec![item("a", &[])]);
    w.start("a");
    w.report("a", "start_run", Report::RunProgress { usage: crate::world::tokens(99) });
    assert_eq!(w.effects_of("a"), ["start_run"]);
    w.report("a", "start_run", Report::RunProgress { usage: crate::world::tokens(1) });
    assert_eq!(w.effects_of("a"), ["start_run", "stop_run"]);
    w.end("a", Outcome::Cancelled);
    assert_eq!((w.phase("a"), w.item("a").attempts), (Phase::Blocked, 0), "it must not spend the same again");
    assert_eq!(w.item("a").reason().unwrap(), "run tokens exceeded");
}

#[test]
fn what_a_run_used_is_counted_once_and_said_in_differences() {
    let mut w = World::with_agents(1);
    let mission = w.mission(vec![item("a", &[])]);
    w.start("a");
    for n in [5, 7] {
        w.report("a", "start_run", Report::RunProgress { usage: crate::world::tokens(n) });
    }
    let end = Report::RunFinished { outcome: crate::world::finished("done"), usage: crate::world::tokens(30) };
    w.report("a", "start_run", end);
    let said: u64 = w
        .events
        .iter()
        .filter_map(|e| match &e.happened {
            musher_core::event::Happened::UsageRecorded { usage, .. } => Some(usage.input_tokens),
            _ => None,
        })
        .sum();
    let run = w.stored_run(w.run_of("a")).usage;
    assert_eq!((w.item("a").usage, run, said), (crate::world::tokens(42), crate::world::tokens(42), 42));
    assert_eq!(w.state.mission(mission).unwrap().usage, crate::world::tokens(42));
    assert_eq!(Usage::default().tokens(), 0);
}

#[test]
fn a_row_that_says_nothing_of_caches_opens_and_one_that_does_keeps_it() {
    let old = r#"{"input_tokens":9,"output_tokens":2,"cost_micro_usd":5}"#;
    let usage: Usage = serde_json::from_str(old).unwrap();
    assert_eq!((usage.input_tokens, usage.cache_read_tokens, usage.cache_write_tokens), (9, 0, 0));
    assert_eq!(serde_json::to_string(&usage).unwrap(), old);
    let cached = Usage { cache_read_tokens: 4, cache_write_tokens: 1, ..usage };
    assert_eq!(serde_json::from_str::<Usage>(&serde_json::to_string(&cached).unwrap()).unwrap(), cached);
}
