//! Which item is next: dependencies, slots, priority and age, overlaps.

use std::collections::BTreeSet;
use std::time::Duration;

use musher_core::agent::{AgentSpec, Limits};
use musher_core::command::{Command, GateVerdict, Report};
use musher_core::item::{Phase, Priority};
use musher_core::mission::{MissionItem, Policy};
use musher_core::run::{FailureClass, Outcome, Verdict};
use musher_core::wait::WaitCode;

use crate::world::{World, agent, failed, finished, item, policy, tokens, verdict, words};

#[test]
fn an_item_starts_when_its_last_dependency_is_done_and_not_before() {
    let mut w = World::with_agents(3);
    w.mission(vec![item("both", &["left", "right"]), item("left", &[]), item("right", &[])]);
    assert_eq!(w.all_in(Phase::Assigned), ["left", "right"]);
    assert_eq!((w.phase("both"), w.waits("both")), (Phase::Pending, vec![WaitCode::Dependency; 2]));
    w.complete("left");
    assert_eq!((w.phase("both"), w.waits("both")), (Phase::Pending, vec![WaitCode::Dependency]));
    w.complete("right");
    assert_eq!(w.phase("both"), Phase::Assigned);
}

#[test]
fn a_skipped_item_satisfies_its_dependents_from_the_start_but_not_for_those_that_wait_for_more() {
    let mut w = World::with_agents(3);
    let skipped = MissionItem { skip: true, ..item("skipped", &[]) };
    w.mission(vec![item("both", &["skipped", "open"]), item("one", &["skipped"]), skipped, item("open", &[])]);
    assert_eq!(w.phase("skipped"), Phase::Done);
    assert_eq!(w.all_in(Phase::Assigned), ["one", "open"]);
    assert_eq!(w.phase("both"), Phase::Pending);
}

#[test]
fn a_restart_starts_nothing_before_its_dependencies() {
    let mut w = World::with_agents(2);
    w.mission(vec![item("done", &[]), item("open", &[]), item("both", &["done", "open"]), item("z", &["both"])]);
    w.complete("done");
    w.restart();
    w.settle();
    assert_eq!((w.phase("both"), w.phase("z")), (Phase::Pending, Phase::Pending));
    w.complete("open");
    assert_eq!(w.phase("both"), Phase::Assigned);
}

#[test]
fn a_mission_has_no_more_items_at_work_than_its_policy_says() {
    let mut w = World::with_agents(5);
    let three = Policy { max_parallel_items: 3, ..policy() };
    w.mission_with(three, (0..5).map(|i| item(&format!("i{i}"), &[])).collect());
    assert_eq!(w.all_in(Phase::Assigned), ["i0", "i1", "i2"]);
    assert_eq!(w.waits("i3"), [WaitCode::ParallelLimit]);
    w.run("i0");
    assert_eq!(w.all_in(Phase::Ready), ["i3", "i4"], "one that is verified still has its slot");
    let clean = w.clean();
    w.inspect("i0", clean);
    w.gate("i0", musher_core::command::GateVerdict::Green);
    assert_eq!(w.all_in(Phase::Ready), ["i4"], "one that merges has not");
}

#[test]
fn a_mission_at_its_limit_does_not_hold_up_another() {
    let mut w = World::with_agents(3);
    let one = Policy { max_parallel_items: 1, ..policy() };
    w.mission_with(one.clone(), vec![item("a", &[]), item("b", &[])]);
    w.mission_with(one, vec![item("c", &[])]);
    assert_eq!([w.phase("a"), w.phase("b"), w.phase("c")], [Phase::Assigned, Phase::Ready, Phase::Assigned]);
}

#[test]
fn ready_items_are_taken_by_priority_then_age_then_place_in_the_plan() {
    let mut w = World::new();
    let with = |key: &str, priority| MissionItem { priority, ..item(key, &[]) };
    let ten = Policy { max_parallel_items: 10, ..policy() };
    w.mission_with(
        ten.clone(),
        vec![with("low", Priority::Low), with("m1", Priority::Medium), with("m2", Priority::Medium)],
    );
    w.pass(Duration::from_secs(1));
    w.mission_with(
        ten,
        vec![with("m3", Priority::Medium), with("high", Priority::High), with("now", Priority::Critical)],
    );
    let mut order = Vec::new();
    for n in 0..6 {
        w.agent(crate::world::agent(&format!("a{n}")));
        let new = w.all_in(Phase::Assigned).into_iter().find(|k| !order.contains(k)).unwrap();
        order.push(new);
    }
    assert_eq!(order, ["now", "high", "m1", "m2", "m3", "low"], "the second mission has two at work when m1 is taken");
}

#[test]
fn items_whose_touches_overlap_do_not_run_at_once_and_others_pass_them() {
    let mut w = World::with_agents(3);
    let touching = |key: &str, glob: &str| MissionItem { touches: words(&[glob]), ..item(key, &[]) };
    let three = Policy { max_parallel_items: 3, ..policy() };
    w.mission_with(
        three,
        vec![touching("api", "src/api/**"), touching("users", "src/api/users.rs"), touching("web", "web/**")],
    );
    assert_eq!(w.all_in(Phase::Assigned), ["api", "web"]);
    assert_eq!(w.waits("users"), [WaitCode::TouchesOverlap]);
    w.work("api");
    assert_eq!(w.phase("users"), Phase::Assigned);
}

#[test]
fn an_item_that_is_held_back_lends_its_place_to_nothing_less_urgent() {
    let mut w = World::with_agents(1);
    let ten = Policy { max_parallel_items: 10, ..policy() };
    let wish = |key: &str, priority, role: Option<&str>, touches: &[&str]| MissionItem {
        priority,
        role: role.map(Into::into),
        touches: words(touches),
        ..item(key, &[])
    };
    w.mission_with(
        ten,
        vec![
            wish("now", Priority::Critical, None, &["src/**"]),
            wish("overlaps", Priority::High, Some("backend"), &["src/**"]),
            wish("later", Priority::Low, Some("backend"), &[]),
            wish("next", Priority::Medium, Some("tester"), &[]),
        ],
    );
    assert_eq!(w.all_in(Phase::Assigned), ["now"]);
    w.agent(crate::world::agent("a2"));
    assert_eq!(w.all_in(Phase::Assigned), ["now", "next"], "`later` is of the class of `overlaps`, and less urgent");
}

#[test]
fn a_critical_item_that_comes_later_is_taken_first() {
    let mut w = World::with_agents(1);
    let mission = w.mission(vec![item("a", &[]), item("b", &[]), item("c", &[])]);
    w.note(mission, "priority c critical");
    w.complete("a");
    assert_eq!(w.all_in(Phase::Assigned), ["c"]);
    let refused = w.refused(Command::NoteMission(mission, "priority c urgent".into()));
    assert_eq!(refused.fix().unwrap(), "one of critical, high, medium, low");
}

#[test]
fn an_assignment_that_the_rules_forbid_is_refused_whoever_gives_it() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[]), item("b", &["a"])]);
    let (a, b, agent) = (w.id("a"), w.id("b"), w.agent_id("a1"));
    w.refused(Command::AssignItem(b, agent));
    w.refused(Command::AssignItem(a, agent));
    w.refused(Command::PromoteItem(b));
    w.refused(Command::BeginMerge(a));
    w.refused(Command::FinishWaiting(a));
    w.report("a", "create_worktree", Report::WorktreeReady { base_commit: "base".into() });
    w.refused(Command::AssignReview(a, agent));
}

#[test]
fn only_an_item_that_is_ready_is_given_to_an_agent_and_so_never_to_two() {
    let mut w = World::new();
    // With room for everything, so that nothing but where the item stands keeps it away.
    let limits = Limits { tokens: Some(100), ..Limits::default() };
    w.agent(AgentSpec { max_load: 0, limits, ..agent("a1") });
    let once = |key: &str, depends_on: &[&str]| MissionItem { max_retries: Some(1), ..item(key, depends_on) };
    let items = vec![once("a", &[]), once("b", &["a"]), once("c", &[]), once("d", &[]), once("e", &[])];
    w.mission_with(Policy { max_parallel_items: 9, ..Policy::default() }, items);
    let mut seen = BTreeSet::new();
    let mut refused = |w: &mut World, key: &str| {
        let (id, agent) = (w.id(key), w.agent_id("a1"));
        w.refused(Command::AssignItem(id, agent));
        seen.insert(w.phase(key));
    };
    for key in ["b", "a"] {
        refused(&mut w, key);
    }
    w.start("a");
    refused(&mut w, "a");
    w.end("a", finished("done"));
    refused(&mut w, "a");
    let inspection = w.clean();
    w.inspect("a", inspection);
    w.gate("a", GateVerdict::Green);
    refused(&mut w, "a");
    w.agent(AgentSpec { roles: words(&["reviewer"]), ..agent("r") });
    w.report("a", "start_run", Report::RunStarted);
    w.end("a", verdict(Verdict::Approved("fine".into())));
    refused(&mut w, "a");
    w.land("a");
    refused(&mut w, "a");
    // The other ends that there are.
    for key in ["c", "d"] {
        w.start(key);
    }
    w.end("c", failed(FailureClass::Agent, "no"));
    w.report("d", "start_run", Report::RunProgress { usage: tokens(100) });
    w.end("d", Outcome::Cancelled);
    let (b, e) = (w.id("b"), w.id("e"));
    w.ok(Command::HoldItem(e, "later".into()));
    w.ok(Command::CancelItem(b));
    for key in ["b", "c", "d", "e"] {
        refused(&mut w, key);
    }
    // A merge that has failed is at once ready or waits for a person: nothing rests there.
    let all = Phase::ALL.into_iter().filter(|phase| !matches!(phase, Phase::Ready | Phase::MergeFailed));
    assert_eq!(seen, all.collect());
}
