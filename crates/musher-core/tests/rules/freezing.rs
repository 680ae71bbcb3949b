//! Freezing and demoting: nothing new begins for an item until it is released.

use musher_core::command::{Command, GateVerdict, Report};
use musher_core::item::{ItemState, Kind, MergeStage, Phase};
use musher_core::mission::{MissionItem, MissionState, Policy};
use musher_core::run::{FailureClass, Verdict};
use musher_core::wait::WaitCode;

use crate::world::{World, agent, failed, item, verdict, words};

fn frozen(w: &mut World, key: &str) {
    let id = w.id(key);
    w.ok(Command::FreezeItem(id, "the API is not decided".into()));
    w.restart_and_compare();
}

fn released(w: &mut World, key: &str) {
    let id = w.id(key);
    w.ok(Command::ReleaseItem(id));
    w.restart_and_compare();
}

#[test]
fn a_frozen_item_is_given_to_no_agent_and_its_mission_says_why() {
    let mut w = World::with_agents(1);
    let mission = w.mission(vec![item("a", &[])]);
    frozen(&mut w, "a");
    assert_eq!((w.phase("a"), w.state.runs().len()), (Phase::Ready, 0), "an assignment without an agent is taken back");
    assert_eq!(w.waits("a")[0], WaitCode::Held);
    assert_eq!(w.mission_state(mission), MissionState::Blocked);
    assert!(w.blocked_reason(mission).contains("frozen: a"), "{}", w.blocked_reason(mission));
    let id = w.id("a");
    let again = w.refused(Command::FreezeItem(id, "twice".into()));
    assert_eq!(again.to_string(), "cannot freeze item `a` while it is frozen");
    released(&mut w, "a");
    assert_eq!((w.phase("a"), w.mission_state(mission)), (Phase::Assigned, MissionState::Running));
    w.refused(Command::ReleaseItem(id));
    w.complete("a");
    assert_eq!(w.mission_state(mission), MissionState::Completed);
}

#[test]
fn a_run_in_flight_is_let_finish_and_its_work_keeps_its_place_without_being_merged() {
    let mut w = World::with_agents(2);
    w.mission(vec![item("a", &[]), item("b", &[])]);
    w.start("a");
    frozen(&mut w, "a");
    assert_eq!((w.phase("a"), w.effects_of("a")), (Phase::Running, vec!["start_run"]), "nothing stops it");
    w.end("a", crate::world::finished("done"));
    let inspection = w.clean();
    w.inspect("a", inspection);
    w.gate("a", GateVerdict::Green);
    assert_eq!(w.item("a").state, ItemState::Merging(MergeStage::Queued));
    assert!(w.effects_of("a").is_empty());
    w.complete("b");
    assert_eq!((w.phase("a"), w.phase("b")), (Phase::Merging, Phase::Done), "it holds nobody up");
    released(&mut w, "a");
    w.land("a");
    assert_eq!(w.phase("a"), Phase::Done);
}

#[test]
fn a_frozen_items_retry_and_its_review_begin_when_it_is_released() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    w.start("a");
    frozen(&mut w, "a");
    w.end("a", failed(FailureClass::Agent, "no"));
    w.until_due();
    assert_eq!((w.phase("a"), w.state.next_due_but_help()), (Phase::Ready, None));
    released(&mut w, "a");
    assert_eq!(w.phase("a"), Phase::Assigned);

    let mut w = World::with_agents(1);
    w.agent(musher_core::agent::AgentSpec { roles: words(&["reviewer"]), ..agent("r") });
    w.mission_with(Policy::default(), vec![MissionItem { kind: Kind::Implement, ..item("a", &[]) }]);
    w.start("a");
    frozen(&mut w, "a");
    w.end("a", crate::world::finished("done"));
    let inspection = w.clean();
    w.inspect("a", inspection);
    w.gate("a", GateVerdict::Green);
    assert_eq!((w.phase("a"), w.item("a").review_run), (Phase::Waiting, None));
    released(&mut w, "a");
    w.report("a", "start_run", Report::RunStarted);
    w.end("a", verdict(Verdict::Approved("fine".into())));
    assert_eq!(w.phase("a"), Phase::Merging);
}

#[test]
fn a_frozen_pending_item_is_not_promoted_and_a_hold_takes_the_freeze_over() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[]), item("b", &["a"])]);
    frozen(&mut w, "b");
    w.complete("a");
    assert_eq!((w.phase("b"), w.waits("b")), (Phase::Pending, vec![WaitCode::Held]));
    let id = w.id("b");
    w.ok(Command::HoldItem(id, "out".into()));
    released(&mut w, "b");
    assert_eq!((w.phase("b"), w.item("b").frozen.is_some()), (Phase::Assigned, false), "one release is enough");
}

#[test]
fn a_demoted_item_begins_anew_from_the_front_when_it_is_released() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[]), item("b", &["a"])]);
    w.work("a");
    assert_eq!(w.effects_of("a"), ["prepare_merge"]);
    let id = w.id("a");
    w.ok(Command::DemoteItem(id, "not this week".into()));
    w.restart_and_compare();
    assert_eq!((w.phase("a"), w.waits("a")), (Phase::Pending, vec![WaitCode::Held]));
    assert!(w.effects_of("a").is_empty() && w.state.batch().is_none(), "its merge is given up");
    assert_eq!(w.said("worktree_created"), 1);
    released(&mut w, "a");
    assert_eq!((w.phase("a"), w.effects_of("a")), (Phase::Assigned, vec!["start_run"]), "in the worktree it had");
    w.complete("a");
    assert_eq!(w.phase("b"), Phase::Assigned);
}

#[test]
fn a_demoted_item_whose_run_lives_waits_for_its_end() {
    let mut w = World::with_agents(2);
    w.mission(vec![item("a", &[])]);
    w.start("a");
    let id = w.id("a");
    w.ok(Command::DemoteItem(id, "later".into()));
    assert_eq!((w.phase("a"), w.effects_of("a")), (Phase::Pending, vec!["start_run", "stop_run"]));
    w.ok(Command::ReleaseItem(id));
    assert_eq!((w.phase("a"), w.waits("a")), (Phase::Ready, vec![WaitCode::Lease]));
    w.end("a", musher_core::run::Outcome::Cancelled);
    assert_eq!((w.phase("a"), w.item("a").attempts), (Phase::Assigned, 0));
}
