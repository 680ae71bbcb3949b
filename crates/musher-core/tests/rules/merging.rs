//! The merge queue: one at a time, in order, by compare-and-swap; conflicts, strikes and waits.

use std::time::Duration;

use musher_core::command::{Command, Cut, GateVerdict, Landing, Rebase, Report};
use musher_core::effect::Stop;
use musher_core::item::{ItemState, MergeStage, Phase, Priority};
use musher_core::mission::{MissionItem, MissionState, Policy};
use musher_core::run::Purpose;
use musher_core::wait::WaitCode;

use crate::world::{World, clean, conflict, cut, item, made, policy, rebase_conflict, red};

/// A world with an item whose merge has just begun; its own tree `own` is green.
fn merging() -> World {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    w.run("a");
    w.inspect("a", clean("own"));
    w.gate("a", GateVerdict::Green);
    w
}

fn rebased(tree: &str) -> Rebase {
    Rebase::Done { head: format!("h{tree}").into() }
}

#[test]
fn a_merged_tree_that_was_tested_lands_without_a_second_gate() {
    let mut w = merging();
    w.prepare("a", made("own"));
    assert_eq!((w.effects_of("a"), w.said("gate_started")), (vec!["land"], 1));
    w.landing("a", Landing::Landed);
    assert_eq!((w.phase("a"), w.item("a").merged.as_deref()), (Phase::Done, Some("cown")));
}

#[test]
fn a_merged_tree_that_is_new_is_gated_before_it_lands() {
    let mut w = merging();
    w.prepare("a", made("merged"));
    assert_eq!(w.effects_of("a"), ["gate"]);
    w.gate("a", GateVerdict::Green);
    assert_eq!(w.effects_of("a"), ["land"]);
}

#[test]
fn a_merged_tree_that_is_known_to_be_red_is_tested_once_more_and_no_more() {
    let mut w = merging();
    w.prepare("a", made("merged"));
    w.eject("a", "broken together");
    w.run("a");
    w.inspect("a", clean("own"));
    let gates = w.said("gate_started");
    w.prepare("a", made("merged"));
    w.gate("a", red("broken together"));
    assert_eq!((w.said("gate_started"), w.item("a").merge_failures, w.phase("a")), (gates + 1, 2, Phase::Assigned));
    assert!(w.lesson("a").contains("broken together"));
}

#[test]
fn a_conflict_is_rebased_first_and_costs_nothing_when_that_helps() {
    let mut w = merging();
    w.prepare("a", conflict());
    assert_eq!(w.effects_of("a"), ["rebase"]);
    w.rebase("a", rebased("new"));
    assert_eq!((w.effects_of("a"), w.item("a").head.as_deref()), (vec!["prepare_merge"], Some("hnew")));
    w.prepare("a", made("new"));
    w.gate("a", GateVerdict::Green);
    w.landing("a", Landing::Landed);
    assert_eq!((w.phase("a"), w.item("a").attempts, w.item("a").merge_failures), (Phase::Done, 0, 0));
}

#[test]
fn a_conflict_that_stays_gets_three_resolver_runs_and_no_attempt_is_counted() {
    let mut w = merging();
    for n in 1..=3 {
        w.prepare("a", conflict());
        w.rebase("a", rebase_conflict());
        let row = w.item("a");
        assert_eq!((row.phase(), row.resolver_runs, row.attempts, row.merge_failures), (Phase::Assigned, n, 0, 0));
        assert_eq!(w.state.run(w.run_of("a")).unwrap().purpose, Purpose::Resolve);
        assert!(w.lesson("a").contains("<<<<<<< ours") && w.lesson("a").contains("src/lib.rs"));
        w.work("a");
    }
    w.prepare("a", conflict());
    w.rebase("a", rebase_conflict());
    assert_eq!((w.phase("a"), w.waits("a")), (Phase::Blocked, vec![WaitCode::Blocked]));
    assert!(w.item("a").reason().unwrap().contains("three resolver runs"));
}

#[test]
fn a_red_merge_gate_makes_a_fix_run_and_three_failures_block() {
    let mut w = merging();
    for n in 1..=2 {
        w.prepare("a", made(&format!("m{n}")));
        w.eject("a", "broken together");
        assert_eq!((w.phase("a"), w.item("a").merge_failures, w.item("a").attempts), (Phase::Assigned, n, 0));
        assert!(w.lesson("a").contains("broken together"));
        w.work("a");
    }
    w.prepare("a", made("m3"));
    w.eject("a", "broken for the third time");
    assert_eq!(w.phase("a"), Phase::Blocked);
    assert!(w.lesson("a").contains("third time"), "whoever frees it is told of the last failure");
    let id = w.id("a");
    w.ok(Command::RetryItem(id));
    assert_eq!((w.phase("a"), w.item("a").merge_failures), (Phase::Assigned, 0));
}

#[test]
fn a_merge_that_would_change_nothing_has_failed_and_is_never_done() {
    let mut w = merging();
    w.prepare("a", cut(Cut::Empty));
    assert_eq!((w.phase("a"), w.item("a").merge_failures), (Phase::Assigned, 1));
    assert_eq!((w.said("merge_failed"), w.said("item_done")), (1, 0));
}

#[test]
fn a_merge_that_is_found_in_the_base_has_landed_and_is_no_failure() {
    let mut w = merging();
    w.prepare("a", cut(Cut::Landed { commit: "there".into() }));
    assert_eq!((w.phase("a"), w.item("a").merged.as_deref()), (Phase::Done, Some("there")));
    assert_eq!((w.said("merge_failed"), w.said("item_done"), w.said("merge_done")), (0, 1, 1));
    assert!(w.state.batch().is_none());
}

#[test]
fn a_base_that_moved_has_the_merge_made_anew_and_is_no_strike() {
    let mut w = merging();
    for n in 0..10 {
        w.prepare("a", made(&format!("m{n}")));
        w.gate("a", GateVerdict::Green);
        w.landing("a", Landing::BaseMoved);
        assert_eq!((w.effects_of("a"), w.item("a").merge_failures), (vec!["prepare_merge"], 0));
    }
    w.land("a");
    assert_eq!((w.phase("a"), w.item("a").attempts), (Phase::Done, 0));
}

#[test]
fn a_base_that_is_not_clean_is_looked_at_again_after_two_seconds_then_four_and_said_once() {
    let mut w = merging();
    for seconds in [2, 4, 8, 16, 32, 60, 60] {
        w.prepare("a", made("own"));
        w.landing("a", Landing::BaseDirty { why: "/repo has changes in src/lib.rs".into() });
        let wait = w.state.next_due().unwrap().since(w.now);
        assert_eq!((wait.as_secs(), w.waits("a")), (seconds, vec![WaitCode::BaseDirty]));
        assert_eq!(w.item("a").reason().unwrap(), "/repo has changes in src/lib.rs");
        w.pass(wait - Duration::from_micros(1));
        assert!(w.effects_of("a").is_empty(), "not a moment too early");
        w.until_due();
    }
    assert_eq!((w.said("merge_held"), w.item("a").merge_failures), (1, 0));
    w.prepare("a", made("own"));
    w.landing("a", Landing::Landed);
    assert_eq!(w.phase("a"), Phase::Done);
}

#[test]
fn a_landing_that_git_refuses_is_a_strike() {
    let mut w = merging();
    w.prepare("a", made("own"));
    w.landing("a", Landing::Refused { error: "a hook said no".into() });
    assert_eq!((w.item("a").merge_failures, w.item("a").last_error.as_deref()), (1, Some("a hook said no")));
}

#[test]
fn one_merge_is_under_way_at_a_time_by_priority_and_then_by_entry() {
    let mut w = World::with_agents(4);
    let four = Policy { max_parallel_items: 4, ..policy() };
    let with = |key: &str, priority| MissionItem { priority, ..item(key, &[]) };
    let keys = ["first", "second", "urgent", "third"];
    let items = keys.map(|k| with(k, if k == "urgent" { Priority::High } else { Priority::Medium }));
    w.mission_with(four, items.into());
    for key in ["first", "third", "second", "urgent"] {
        w.work(key);
        w.pass(Duration::from_secs(1));
    }
    for key in ["first", "urgent", "third", "second"] {
        let under_way: Vec<_> = keys.iter().filter(|k| !w.effects_of(k).is_empty()).collect();
        assert_eq!(under_way, [&key]);
        w.land(key);
        w.report(key, "remove_worktree", Report::WorktreeRemoved);
    }
}

#[test]
fn a_merge_that_waits_for_the_base_does_not_hold_up_another() {
    let mut w = World::with_agents(2);
    w.mission(vec![item("a", &[]), item("b", &[])]);
    w.work("a");
    w.work("b");
    assert_eq!((w.waits("b"), w.effects_of("b")), (vec![WaitCode::MergeQueue], vec![]));
    w.prepare("a", made("m"));
    w.gate("a", GateVerdict::Green);
    w.landing("a", Landing::BaseDirty { why: "not clean".into() });
    assert_eq!(w.effects_of("b"), ["prepare_merge"]);
}

#[test]
fn a_merge_goes_on_after_a_restart_and_counts_no_strike() {
    for stage in ["prepare_merge", "rebase", "gate", "land"] {
        let mut w = merging();
        match stage {
            "rebase" => w.prepare("a", conflict()),
            "gate" | "land" => w.prepare("a", made("m")),
            _ => {}
        }
        if stage == "land" {
            w.gate("a", GateVerdict::Green);
        }
        w.restart();
        w.settle();
        assert_eq!(w.effects_of("a"), [stage], "the same effect is open");
        w.drive();
        assert_eq!((w.phase("a"), w.item("a").merge_failures), (Phase::Done, 0), "{stage}");
    }
}

#[test]
fn a_driver_that_cannot_merge_waits_and_counts_no_strike() {
    for stage in ["prepare_merge", "gate", "land"] {
        let mut w = merging();
        if stage != "prepare_merge" {
            w.prepare("a", made("m"));
        }
        if stage == "land" {
            w.gate("a", GateVerdict::Green);
        }
        w.report("a", stage, Report::DriverFailed { error: "no space left on device".into() });
        assert!(matches!(w.item("a").state, ItemState::Merging(MergeStage::Held { .. })), "{stage}");
        w.until_due();
        w.land("a");
        assert_eq!((w.phase("a"), w.item("a").merge_failures), (Phase::Done, 0));
    }
}

#[test]
fn nothing_comes_between_a_landing_and_its_answer() {
    let mut w = merging();
    w.prepare("a", made("own"));
    let id = w.id("a");
    for command in [Command::HoldItem(id, "wait".into()), Command::CancelItem(id), Command::SkipItem(id)] {
        w.refused(command);
    }
    w.landing("a", Landing::Landed);
    assert_eq!(w.phase("a"), Phase::Done);
}

#[test]
fn an_item_that_is_landing_when_its_mission_ends_lands_or_is_given_up_but_is_not_tried_again() {
    let answers = [
        (Landing::Landed, Phase::Done),
        (Landing::BaseMoved, Phase::Cancelled),
        (Landing::BaseDirty { why: "not clean".into() }, Phase::Cancelled),
        (Landing::Refused { error: "a hook said no".into() }, Phase::Cancelled),
    ];
    for (answer, phase) in answers {
        let mut w = merging();
        w.prepare("a", made("own"));
        let mission = w.item("a").mission;
        w.ok(Command::StopMission(mission, Stop::Interrupt));
        assert_eq!((w.mission_state(mission), w.phase("a")), (MissionState::Cancelled, Phase::Merging));
        w.landing("a", answer.clone());
        assert_eq!((w.phase("a"), w.effects_of("a")), (phase, vec!["remove_worktree"]), "{answer:?}");
    }
}
