//! Late, double and foreign reports change nothing; what was acknowledged stays.

use musher_core::command::{Actor, Command, GateVerdict, Landing, Refused, Report};
use musher_core::effect::{EffectKind, Stop};
use musher_core::entropy::Entropy;
use musher_core::id::EffectId;
use musher_core::item::Phase;
use musher_core::run::{Outcome, Usage};

use crate::world::{World, conflict, finished, item, tokens};

fn over() -> Report {
    Report::RunFinished { outcome: finished("done"), usage: tokens(5) }
}

/// Brings an item so far that this effect is open.
fn with_open(effect: &str) -> World {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    match effect {
        "create_worktree" => {}
        "start_run" => w.start("a"),
        "inspect" => w.run("a"),
        "gate" => {
            w.run("a");
            let clean = w.clean();
            w.inspect("a", clean);
        }
        "prepare_merge" => w.work("a"),
        "rebase" => {
            w.work("a");
            w.prepare("a", conflict());
        }
        "land" => {
            w.work("a");
            let made = w.made();
            w.prepare("a", made);
            w.gate("a", GateVerdict::Green);
        }
        "remove_worktree" => {
            w.work("a");
            w.land("a");
        }
        other => unreachable!("{other}"),
    }
    assert_eq!(w.effects_of("a"), [effect]);
    w
}

const EFFECTS: [&str; 8] =
    ["create_worktree", "start_run", "inspect", "gate", "prepare_merge", "rebase", "land", "remove_worktree"];

#[test]
fn a_second_report_of_every_effect_changes_nothing() {
    for name in EFFECTS {
        let mut w = with_open(name);
        let effect = w.state.effects().next().unwrap().clone();
        let report = w.happy(&effect);
        w.ok(Command::Report(effect.id, report.clone()));
        let refused = w.refused(Command::Report(effect.id, report));
        assert!(matches!(refused, Refused::Stale { .. }), "{name}: {refused}");
    }
}

#[test]
fn a_report_of_another_kind_changes_nothing_and_leaves_the_effect_open() {
    let reports = [
        Report::WorktreeReady { base_commit: "base".into() },
        Report::RunStarted,
        over(),
        Report::GateFinished(GateVerdict::Green),
        Report::LandingFinished(Landing::Landed),
        Report::WorktreeRemoved,
    ];
    for name in EFFECTS {
        let mut w = with_open(name);
        let effect = w.state.effects().next().unwrap().clone();
        let mut foreign = 0;
        for report in &reports {
            let fits = matches!(
                (&effect.kind, report),
                (EffectKind::CreateWorktree, Report::WorktreeReady { .. })
                    | (EffectKind::StartRun(_), Report::RunStarted | Report::RunFinished { .. })
                    | (EffectKind::Gate { .. }, Report::GateFinished(_))
                    | (EffectKind::Land { .. }, Report::LandingFinished(_))
                    | (EffectKind::RemoveWorktree { .. }, Report::WorktreeRemoved)
            );
            if !fits {
                foreign += 1;
                let refused = w.refused(Command::Report(effect.id, report.clone()));
                assert!(matches!(refused, Refused::Stale { .. }), "{name}: {refused}");
            }
        }
        assert!(foreign >= 4 && w.state.effect(effect.id).is_some(), "{name}");
    }
}

#[test]
fn a_report_of_an_effect_that_never_was_changes_nothing() {
    let mut w = with_open("start_run");
    let id = EffectId::new(w.now, &mut Entropy::from_seed(99));
    assert!(matches!(w.refused(Command::Report(id, over())), Refused::Stale { .. }));
}

#[test]
fn every_effect_outlives_a_restart_and_is_answered_after_it() {
    for name in EFFECTS {
        let mut w = with_open(name);
        let before = w.state.effects().next().unwrap().id;
        w.restart_and_compare();
        w.settle();
        assert_eq!(w.state.effects().next().unwrap().id, before, "{name}: the same id, so that it is done once");
        w.drive();
        assert_eq!((w.phase("a"), w.item("a").attempts), (Phase::Done, 0), "{name}");
    }
}

#[test]
fn what_a_withdrawn_check_says_later_changes_nothing() {
    for name in ["inspect", "gate", "prepare_merge", "rebase"] {
        let mut w = with_open(name);
        let effect = w.state.effects().next().unwrap().clone();
        let (report, id) = (w.happy(&effect), w.id("a"));
        w.ok(Command::HoldItem(id, "wait".into()));
        assert!(matches!(w.refused(Command::Report(effect.id, report)), Refused::Stale { .. }), "{name}");
        w.ok(Command::ReleaseItem(id));
        w.drive();
        assert_eq!(w.phase("a"), Phase::Done, "{name}");
    }
}

#[test]
fn a_run_that_was_given_up_ends_late_and_its_usage_counts_but_its_work_does_not() {
    let mut w = with_open("start_run");
    let (id, run) = (w.id("a"), w.run_of("a"));
    w.ok(Command::CancelItem(id));
    w.report("a", "start_run", over());
    assert_eq!((w.phase("a"), w.item("a").usage), (Phase::Cancelled, tokens(5)));
    assert_eq!(w.stored_run(run).usage, tokens(5));
}

#[test]
fn a_run_started_twice_or_told_so_late_is_one_run() {
    let mut w = with_open("start_run");
    let seen = w.events.len();
    w.report("a", "start_run", Report::RunStarted);
    assert_eq!((w.events.len(), w.phase("a")), (seen, Phase::Running));
    w.report("a", "start_run", Report::RunProgress { usage: Usage::default() });
    assert_eq!(w.events.len(), seen, "being heard is no event");
}

#[test]
fn a_stop_that_outlives_its_run_is_closed_with_it() {
    let mut w = with_open("start_run");
    let run = w.run_of("a");
    w.ok(Command::StopRun(run, Stop::Interrupt));
    let stop = w.effect("a", "stop_run");
    w.end("a", Outcome::Cancelled);
    assert!(w.state.effect(stop).is_none());
    assert!(matches!(w.refused(Command::Report(stop, Report::RunStopped)), Refused::Stale { .. }));
}

#[test]
fn each_assignment_has_a_higher_fence_and_events_name_who_brought_them_about() {
    let mut w = with_open("start_run");
    let first = w.item("a").fence;
    w.end("a", Outcome::Cancelled);
    assert!(w.item("a").fence > first);
    assert_eq!(w.stored_run(w.run_of("a")).fence, w.item("a").fence);
    let actors: Vec<_> = w.events.iter().filter(|e| e.happened.name() == "item_assigned").map(|e| &*e.actor).collect();
    assert_eq!(actors, [Actor::Musher.text(), Actor::Musher.text()]);
}
