//! Which agent is chosen.

use musher_core::agent::AgentSpec;
use musher_core::command::Command;
use musher_core::item::{Kind, Phase, Priority};
use musher_core::mission::{MissionItem, Policy};
use musher_core::run::FailureClass;
use musher_core::wait::WaitCode;

use crate::world::{World, agent, conflict, failed, finished, item, policy, rebase_conflict, words};

fn with_role(name: &str, role: &str, max_load: u32) -> AgentSpec {
    AgentSpec { roles: words(&[role]), max_load, ..agent(name) }
}

fn many(n: usize) -> (Policy, Vec<MissionItem>) {
    let policy = Policy { max_parallel_items: 100, ..policy() };
    (policy, (0..n).map(|i| item(&format!("i{i}"), &[])).collect())
}

#[test]
fn a_pinned_item_goes_to_its_agent_or_waits() {
    let mut w = World::with_agents(3);
    w.mission(vec![
        MissionItem { pin: Some("a3".into()), ..item("a", &[]) },
        MissionItem { pin: Some("a3".into()), ..item("b", &[]) },
    ]);
    assert_eq!(w.agent_of("a"), "a3");
    assert_eq!((w.phase("b"), w.waits("b")), (Phase::Ready, vec![WaitCode::AgentsBusy]));
    w.complete("a");
    assert_eq!(w.agent_of("b"), "a3");
}

#[test]
fn an_agent_needs_every_label_as_a_capability() {
    let mut w = World::new();
    w.agent(AgentSpec { capabilities: words(&["rust"]), ..agent("half") });
    w.mission(vec![MissionItem { labels: words(&["rust", "sql"]), ..item("a", &[]) }]);
    assert_eq!((w.phase("a"), w.waits("a")), (Phase::Ready, vec![WaitCode::NoAgent]));
    w.agent(AgentSpec { capabilities: words(&["sql", "go", "rust"]), ..agent("whole") });
    assert_eq!(w.agent_of("a"), "whole");
}

#[test]
fn the_agent_whose_role_fits_best_is_chosen_and_one_that_does_not_fit_never() {
    let mut w = World::new();
    w.agent(with_role("judge", "reviewer", 1));
    w.mission(vec![MissionItem { role: Some("backend".into()), ..item("a", &[]) }]);
    assert_eq!((w.phase("a"), w.waits("a")), (Phase::Ready, vec![WaitCode::NoAgent]));
    w.agent(with_role("tester", "tester", 1));
    assert_eq!(w.agent_of("a"), "tester", "5 is more than nothing");

    let mut w = World::new();
    w.agent(agent("anyone"));
    w.agent(with_role("server", "backend", 1));
    w.mission(vec![MissionItem { role: Some("backend".into()), ..item("a", &[]) }]);
    assert_eq!(w.agent_of("a"), "server");
}

#[test]
fn each_live_lease_costs_thirty_points_of_fit() {
    let mut w = World::new();
    w.agent(agent("b"));
    w.agent(with_role("t", "tester", 9));
    let test = |key: &str| MissionItem { kind: Kind::Test, ..item(key, &[]) };
    let (policy, _) = many(0);
    // The tester fits with 85, the generalist with 45: 85, then 55, then 25 is less than 45.
    w.mission_with(policy, vec![test("one"), test("two"), test("three")]);
    assert_eq!(["one", "two", "three"].map(|k| w.agent_of(k)), ["t", "t", "b"]);
}

#[test]
fn ties_go_to_the_larger_free_share_and_then_to_the_first_name() {
    let mut w = World::new();
    for (name, max) in [("b", 1), ("c", 1), ("a", 1)] {
        w.agent(AgentSpec { max_load: max, ..agent(name) });
    }
    let (policy, items) = many(3);
    w.mission_with(policy, items);
    assert_eq!(["i0", "i1", "i2"].map(|k| w.agent_of(k)), ["a", "b", "c"]);

    let mut w = World::new();
    w.agent(AgentSpec { max_load: 2, ..agent("a") });
    w.agent(AgentSpec { max_load: 4, ..agent("b") });
    let (policy, items) = many(3);
    w.mission_with(policy, items);
    // Both free: by name. Then `b` is free and `a` is not. Then 1 − 1/4 is more than 1 − 1/2.
    assert_eq!(["i0", "i1", "i2"].map(|k| w.agent_of(k)), ["a", "b", "b"]);
}

#[test]
fn a_critical_item_takes_the_least_loaded_agent_before_the_best_fitting() {
    for (priority, chosen) in [(Priority::High, "server"), (Priority::Critical, "idle")] {
        let mut w = World::new();
        w.agent(with_role("server", "backend", 5));
        w.mission(vec![item("busy", &[])]);
        w.agent(agent("idle"));
        w.mission(vec![MissionItem { role: Some("backend".into()), priority, ..item("a", &[]) }]);
        assert_eq!(w.agent_of("a"), chosen, "{priority:?}");
    }
}

#[test]
fn a_maximal_load_of_zero_has_no_end_and_any_other_is_kept() {
    for (max_load, taken) in [(0, 20), (3, 3), (1, 1)] {
        let mut w = World::new();
        w.agent(AgentSpec { max_load, ..agent("a") });
        let (policy, items) = many(20);
        w.mission_with(policy, items);
        assert_eq!(w.all_in(Phase::Assigned).len(), taken, "max_load {max_load}");
        let busy = w.all_in(Phase::Ready);
        assert!(busy.iter().all(|key| w.waits(key) == [WaitCode::AgentsBusy]));
    }
}

#[test]
fn when_the_best_agent_is_busy_the_next_best_is_taken() {
    let mut w = World::new();
    w.agent(with_role("server", "backend", 1));
    w.agent(with_role("web", "frontend", 1));
    let backend = |key: &str| MissionItem { role: Some("backend".into()), ..item(key, &[]) };
    w.mission(vec![backend("a"), backend("b")]);
    assert_eq!([w.agent_of("a"), w.agent_of("b")], ["server", "web"]);
}

#[test]
fn a_missing_agent_counts_no_attempt_and_is_said_once() {
    let mut w = World::new();
    w.mission(vec![item("a", &[]), item("b", &[])]);
    w.pass(std::time::Duration::from_secs(600));
    assert_eq!(w.said("dispatch_failed_no_agent"), 1);
    assert_eq!((w.item("a").attempts, w.phase("a")), (0, Phase::Ready));
    w.agent(agent("late"));
    assert_eq!((w.agent_of("a"), w.item("a").attempts), ("late".to_owned(), 0));
}

#[test]
fn why_no_agent_takes_an_item_is_said_when_it_changes_and_not_on_every_look() {
    let mut w = World::with_agents(1);
    let ten = Policy { max_parallel_items: 10, ..policy() };
    let nobody = MissionItem { labels: words(&["cobol"]), priority: Priority::High, ..item("nobody", &[]) };
    w.mission_with(ten, vec![nobody, item("a", &[]), item("b", &[]), item("c", &[])]);
    for key in ["a", "b", "c"] {
        w.complete(key);
    }
    assert_eq!(w.said("dispatch_failed_no_agent"), 1);
    let (id, reason) = (w.item("nobody").mission, "no idle agents are available");
    assert!(w.blocked_reason(id).contains(reason), "{}", w.blocked_reason(id));
    w.agent(AgentSpec { capabilities: words(&["cobol"]), ..agent("old") });
    assert_eq!((w.agent_of("nobody"), w.blocked_reason(id)), ("old".to_owned(), String::new()));
}

#[test]
fn a_mission_that_only_waits_for_busy_agents_is_not_blocked() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("other", &[])]);
    let agent = w.agent_id("a1");
    w.ok(Command::PauseAgent(agent));
    let mission = w.mission(vec![item("a", &[])]);
    assert!(!w.blocked_reason(mission).is_empty(), "a paused agent needs a person");
    w.ok(Command::ResumeAgent(agent));
    assert_eq!((w.waits("a"), w.blocked_reason(mission)), (vec![WaitCode::AgentsBusy], String::new()));
}

#[test]
fn a_conflict_goes_to_the_resolver_or_else_to_the_items_own_agent() {
    for (resolver, chosen) in [(true, "mender"), (false, "b")] {
        let mut w = World::new();
        w.agent(agent("b"));
        w.mission(vec![item("a", &[])]);
        w.work("a");
        w.agent(agent("a0"));
        if resolver {
            w.agent(with_role("mender", "resolver", 1));
        }
        w.prepare("a", conflict());
        w.rebase("a", rebase_conflict());
        assert_eq!((w.phase("a"), w.agent_of("a")), (Phase::Assigned, chosen.to_owned()), "resolver: {resolver}");
    }
}

#[test]
fn an_agent_that_failed_may_be_given_the_item_again() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    w.start("a");
    w.end("a", failed(FailureClass::Agent, "no"));
    w.until_due();
    assert_eq!((w.phase("a"), w.agent_of("a")), (Phase::Assigned, "a1".to_owned()));
    w.start("a");
    w.end("a", finished("yes"));
    assert_eq!(w.phase("a"), Phase::Verifying);
}
