//! Done is proved: the diff, the gate, and what may be empty.

use musher_core::change::TextKey;
use musher_core::command::{Command, GateVerdict, Inspection};
use musher_core::item::{Kind, Phase, Worktree};
use musher_core::mission::{Delivery, MissionItem};
use musher_core::run::Outcome;

use crate::world::{World, clean, finished, item, made, red, settings};

fn no_change(reason: &str) -> Outcome {
    Outcome::Finished { summary: "nothing to do".into(), no_change_needed: Some(reason.into()), verdict: None }
}

#[test]
fn an_agents_word_completes_nothing() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    w.start("a");
    w.end("a", finished("all done, merged and tested"));
    assert_eq!((w.phase("a"), w.effects_of("a")), (Phase::Verifying, vec!["inspect"]));
    assert_eq!(w.texts[&TextKey::Summary(w.id("a"))], "all done, merged and tested");
}

#[test]
fn a_change_is_gated_and_then_merged() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    w.run("a");
    w.inspect("a", clean("t"));
    assert_eq!((w.phase("a"), w.effects_of("a")), (Phase::Verifying, vec!["gate"]));
    w.gate("a", GateVerdict::Green);
    assert_eq!((w.phase("a"), w.effects_of("a")), (Phase::Merging, vec!["prepare_merge"]));
    assert_eq!(w.item("a").head.as_deref(), Some("ht"));
}

#[test]
fn only_designs_and_reviews_may_be_empty() {
    for kind in Kind::ALL {
        let mut w = World::with_agents(1);
        w.mission(vec![MissionItem { kind, ..item("a", &[]) }]);
        w.run("a");
        w.inspect("a", Inspection::Empty);
        let (phase, counted) = match kind {
            Kind::Design | Kind::Review => (Phase::Done, 0),
            Kind::Implement | Kind::Test | Kind::MergeGate | Kind::Followup => (Phase::Ready, 1),
        };
        assert_eq!((w.phase("a"), w.item("a").attempts), (phase, counted), "{kind:?}");
        let error = w.item("a").last_error.as_deref();
        assert_eq!(error == Some("finished without changing anything"), counted == 1);
    }
}

#[test]
fn no_change_needed_is_accepted_without_a_merge_but_only_when_nothing_changed() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    w.start("a");
    w.end("a", no_change("it is fixed already"));
    w.inspect("a", Inspection::Empty);
    assert_eq!((w.phase("a"), w.item("a").merged.clone(), w.said("merge_started")), (Phase::Done, None, 0));

    w.mission(vec![item("b", &[])]);
    w.start("b");
    w.end("b", no_change("it is fixed already"));
    let clean = w.clean();
    w.inspect("b", clean);
    w.gate("b", GateVerdict::Green);
    assert_eq!(w.phase("b"), Phase::Merging, "it did change something, so that is merged");
}

#[test]
fn a_change_that_breaks_a_rule_is_refused_with_the_whole_list() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    w.run("a");
    w.inspect("a", Inspection::Problems("conflict markers in a.rs\nb.bin has 11 MiB".into()));
    assert_eq!((w.phase("a"), w.item("a").attempts, w.said("gate_started")), (Phase::Ready, 1, 0));
    assert_eq!(w.item("a").last_error.as_deref(), Some("conflict markers in a.rs"));
    assert!(w.lesson("a").ends_with("b.bin has 11 MiB"));
}

#[test]
fn a_missing_worktree_is_made_again() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    w.run("a");
    w.inspect("a", Inspection::Missing);
    assert_eq!((w.phase("a"), &w.item("a").worktree), (Phase::Ready, &Worktree::None));
    w.until_due();
    assert_eq!(w.effects_of("a"), ["create_worktree"]);
}

#[test]
fn the_same_tree_is_never_tested_twice_whether_green_or_red() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[]), item("b", &[]), item("c", &[])]);
    w.run("a");
    w.inspect("a", clean("same"));
    w.gate("a", GateVerdict::Green);
    w.run("b");
    w.inspect("b", clean("same"));
    assert_eq!((w.phase("b"), w.said("gate_started")), (Phase::Merging, 1), "green is remembered");

    w.run("c");
    w.inspect("c", clean("bad"));
    w.gate("c", red("assertion failed"));
    w.until_due();
    w.run("c");
    w.inspect("c", clean("bad"));
    assert_eq!((w.phase("c"), w.item("c").attempts, w.said("gate_started")), (Phase::Ready, 2, 2), "so is red");
    assert!(w.lesson("c").contains("assertion failed"), "and what it said");
}

#[test]
fn another_gate_speaks_of_the_same_tree_anew() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[]), MissionItem { gate: Some("make more".into()), ..item("b", &[]) }]);
    w.run("a");
    w.inspect("a", clean("same"));
    w.gate("a", GateVerdict::Green);
    w.run("b");
    w.inspect("b", clean("same"));
    assert_eq!((w.phase("b"), w.said("gate_started")), (Phase::Verifying, 2));
}

#[test]
fn what_a_gate_said_outlives_a_restart() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    w.run("a");
    w.inspect("a", clean("same"));
    w.gate("a", GateVerdict::Green);
    w.restart();
    w.settle();
    w.prepare("a", made("same"));
    assert_eq!(w.effects_of("a"), ["land"]);
}

#[test]
fn a_gate_that_vanished_says_nothing_and_runs_again() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    w.run("a");
    w.inspect("a", clean("t"));
    let first = w.effect("a", "gate");
    w.gate("a", GateVerdict::Lost);
    assert_ne!(w.effect("a", "gate"), first);
    assert_eq!((w.phase("a"), w.item("a").attempts), (Phase::Verifying, 0));
    w.gate("a", GateVerdict::TimedOut { tail: "still going".into() });
    assert_eq!((w.phase("a"), w.item("a").attempts), (Phase::Ready, 1));
    assert!(w.lesson("a").starts_with("the gate took longer than 1800 s"));
}

#[test]
fn without_a_gate_nothing_reaches_the_base_and_it_is_said_once() {
    for gate in [None, Some("  ".to_owned())] {
        let mut w = World::with_settings(musher_core::config::ProjectSettings { gate, ..settings() });
        w.agent(crate::world::agent("a1"));
        let mission = w.mission(vec![item("a", &[]), item("b", &[])]);
        let row = &w.state.mission(mission).unwrap().row;
        assert_eq!((row.delivery, w.said("delivery_fell_back")), (Delivery::Branch, 1));
        w.run("a");
        w.inspect("a", clean("t"));
        assert_eq!(w.phase("a"), Phase::Merging, "there is nothing to run");
    }
}

#[test]
fn an_empty_gate_of_an_item_does_not_take_it_past_the_projects() {
    let mut w = World::with_agents(1);
    w.mission(vec![MissionItem { gate: Some(" ".into()), ..item("a", &[]) }]);
    w.run("a");
    w.inspect("a", clean("t"));
    assert_eq!((w.phase("a"), w.effects_of("a")), (Phase::Verifying, vec!["gate"]));
}

#[test]
fn a_gate_that_is_taken_away_in_mid_mission_takes_the_base_away_too() {
    let mut w = World::with_agents(1);
    let mission = w.mission(vec![item("a", &[])]);
    w.run("a");
    w.ok(Command::Configure(Box::new(musher_core::config::ProjectSettings { gate: None, ..settings() })));
    w.inspect("a", clean("t"));
    assert_eq!(w.phase("a"), Phase::Merging);
    let row = &w.state.mission(mission).unwrap().row;
    assert_eq!((row.delivery, w.said("delivery_fell_back")), (Delivery::Branch, 1));
}

#[test]
fn a_driver_that_cannot_inspect_leaves_nothing_hanging() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    w.run("a");
    let error = "git is not installed";
    w.report("a", "inspect", musher_core::command::Report::DriverFailed { error: error.into() });
    assert_eq!((w.phase("a"), w.item("a").last_error.as_deref()), (Phase::Ready, Some(error)));
}
