//! How often a failing item is tried, how far apart, and what no wait ever counts, over restarts of the engine.

use std::time::Duration;

use musher_core::agent::AgentSpec;
use musher_core::command::{Command, Report};
use musher_core::item::Phase;
use musher_core::mission::Policy;
use musher_core::quota::{Cap, Scope, Setting};
use musher_core::run::{FailureClass, Outcome, Usage};
use musher_core::time::Timestamp;
use musher_core::wait::{self, WaitCode};

use crate::world::{World, agent, wish};

const MICRO: Duration = Duration::from_micros(1);
const HOUR: Duration = Duration::from_secs(3600);

fn end(outcome: Outcome) -> Report {
    Report::RunFinished { outcome, usage: Usage::default() }
}

fn failed(message: &str) -> Report {
    end(Outcome::Failed { class: FailureClass::Agent, message: message.into(), detail: "".into() })
}

fn now(w: &World) -> Timestamp {
    w.engine.now()
}

#[tokio::test]
async fn a_failing_agent_is_tried_max_retries_times_with_5_10_and_20_seconds_between_over_restarts() {
    for restarts in [false, true] {
        let mut w = World::empty().await;
        w.agent(agent("a")).await;
        w.mission(wish(Policy { max_retries: 4, ..Policy::default() }, &["i"])).await;
        for (attempt, seconds) in [(1, 5.0), (2, 10.0), (3, 20.0)] {
            w.start("i").await;
            w.report("i", "start_run", failed("it broke")).await;
            let row = w.item("i").await;
            assert_eq!((row.phase(), row.attempts), (Phase::Ready, attempt));
            let due = row.not_before.unwrap();
            let wait = due.since(now(&w)).as_secs_f64();
            assert!((seconds * 0.9..=seconds * 1.1).contains(&wait), "after failure {attempt} it waits {wait} s");
            // Half of the wait passes with nobody there.
            w.set(now(&w).after(due.since(now(&w)) / 2));
            if restarts {
                w.restart().await;
            }
            assert_eq!(w.item("i").await.not_before, Some(due), "a restart changes nothing");
            w.set(Timestamp::from_micros(due.as_micros() - 1));
            assert_eq!(w.item("i").await.phase(), Phase::Ready, "not a moment too early");
            w.set(now(&w).after(MICRO));
            assert_eq!(w.item("i").await.phase(), Phase::Assigned, "and not a moment too late");
        }
        w.start("i").await;
        if restarts {
            w.restart().await;
        }
        w.report("i", "start_run", failed("it broke for good")).await;
        let row = w.item("i").await;
        assert_eq!(row.reason().unwrap(), "max retries exceeded: it broke for good");
        if restarts {
            w.restart().await;
        }
        w.set(now(&w).after(24 * HOUR));
        assert_eq!(w.item("i").await.phase(), Phase::Failed, "nothing follows by itself");
        let counted = (w.said("run_started").await, w.said("run_finished").await, w.said("item_dead_lettered").await);
        assert_eq!(counted, (4, 4, 1), "restarts: {restarts}");
    }
}

/// A simulated day in steps of half an hour and of what is due by itself; every few hours the engine begins anew.
async fn a_day(w: &mut World) -> u32 {
    let begin = now(w);
    let (mut cuts, mut steps) = (0, 0);
    while now(w) < begin.after(24 * HOUR) {
        let due = w.read(|state| state.next_due()).await;
        let step = now(w).after(HOUR / 2);
        let next = due.filter(|due| *due > now(w)).map_or(step, |due| due.min(step));
        w.set(next);
        steps += 1;
        if steps % 9 == 0 {
            w.restart().await;
        }
        if w.item("limited").await.phase() == Phase::Assigned {
            w.start("limited").await;
            w.report("limited", "start_run", end(Outcome::RateLimited { resets_at: None, message: "429".into() }))
                .await;
            cuts += 1;
        }
    }
    cuts
}

#[tokio::test]
async fn a_day_of_waiting_for_capacity_a_quota_and_an_account_dead_letters_nothing() {
    let mut w = World::empty().await;
    let pinned = |mut wish: musher_core::mission::StartMission, to: &str| {
        wish.items.iter_mut().for_each(|item| item.pin = Some(to.into()));
        wish
    };
    // One attempt is all that any of them has.
    let strict = || Policy { max_retries: 1, max_parallel_items: 9, ..Policy::default() };
    // Each with an account of its own; the quota of one alone keeps it from more.
    for (name, max_load) in [("busy", 1), ("cut", 1), ("poor", 0)] {
        w.agent(AgentSpec { max_load, home: Some(name.into()), ..agent(name) }).await;
    }
    w.mission(pinned(wish(strict(), &["work", "capacity"]), "busy")).await;
    w.start("work").await;
    w.ok(Command::SetQuota(Scope::Agent("poor".into()), Setting::Cap(Cap::ConcurrentJobs, Some(1)))).await;
    w.mission(pinned(wish(strict(), &["job", "quota"]), "poor")).await;
    w.start("job").await;
    w.mission(pinned(wish(strict(), &["limited"]), "cut")).await;
    let cuts = a_day(&mut w).await;
    assert!(cuts > 24, "{cuts} times");
    for (key, code) in
        [("capacity", WaitCode::AgentsBusy), ("quota", WaitCode::Quota), ("limited", WaitCode::RateLimited)]
    {
        let row = w.item(key).await;
        assert_eq!((row.phase(), row.attempts), (Phase::Ready, 0), "{key}");
        let waits = w.read(move |state| wait::of_item(state, row.id)).await;
        assert_eq!(waits.iter().map(|wait| wait.code).collect::<Vec<_>>(), [code], "{key}");
    }
    let bad = ["item_failed", "item_blocked", "item_retrying", "item_dead_lettered"];
    for name in bad {
        assert_eq!(w.said(name).await, 0, "{name}");
    }
    // And each is begun as soon as what it waits for is there.
    w.ok(Command::SetQuota(Scope::Agent("poor".into()), Setting::Cap(Cap::ConcurrentJobs, Some(0)))).await;
    assert_eq!(w.item("quota").await.phase(), Phase::Assigned);
    let done = Outcome::Finished { summary: "did it".into(), no_change_needed: None, verdict: None };
    w.report("work", "start_run", end(done)).await;
    assert_eq!(w.item("capacity").await.phase(), Phase::Assigned);
}
