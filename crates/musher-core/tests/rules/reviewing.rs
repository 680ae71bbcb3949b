//! Who must say yes, who may, and what a no does.

use musher_core::agent::AgentSpec;
use musher_core::command::{Command, GateVerdict};
use musher_core::config::ProjectSettings;
use musher_core::inbox;
use musher_core::item::{Item, Kind, Phase, Priority, Qa};
use musher_core::mission::{MissionItem, MissionState, Policy};
use musher_core::run::{FailureClass, Outcome, Purpose, Verdict};
use musher_core::wait::WaitCode;

use crate::world::{World, agent, clean, failed, finished, item, settings, verdict, words};

fn required() -> Policy {
    Policy { reviewer_required: true, ..Policy::default() }
}

fn reviewer(name: &str) -> AgentSpec {
    AgentSpec { roles: words(&["reviewer"]), ..agent(name) }
}

/// An author, a reviewer, and a verified item that is being reviewed.
fn under_review() -> World {
    let mut w = World::with_agents(1);
    w.agent(reviewer("judge"));
    w.mission_with(required(), vec![item("a", &[])]);
    w.run("a");
    w.inspect("a", clean("own"));
    w.gate("a", GateVerdict::Green);
    w
}

fn approved_by(row: &Item) -> Option<String> {
    row.approval.as_ref().map(|a| a.by.to_string())
}

#[test]
fn which_kinds_wait_for_a_review_and_which_quality_for_whom() {
    let cases = [
        (Kind::Implement, None, true, Phase::Waiting),
        (Kind::Test, None, true, Phase::Waiting),
        (Kind::Design, None, true, Phase::Merging),
        (Kind::MergeGate, None, true, Phase::Merging),
        (Kind::Followup, None, true, Phase::Merging),
        (Kind::Implement, None, false, Phase::Merging),
        (Kind::Implement, Some(Qa::Server), false, Phase::Merging),
        (Kind::Implement, Some(Qa::Agent), false, Phase::Waiting),
        (Kind::Design, Some(Qa::Human), false, Phase::Waiting),
    ];
    for (kind, qa, required, phase) in cases {
        let mut w = World::with_agents(1);
        let policy = Policy { reviewer_required: required, ..Policy::default() };
        w.mission_with(policy, vec![MissionItem { kind, qa, ..item("a", &[]) }]);
        w.work("a");
        assert_eq!(w.phase("a"), phase, "{kind:?}, {qa:?}, reviewer required: {required}");
    }
}

#[test]
fn the_projects_quality_holds_unless_the_item_says_another() {
    for (of_item, waits) in [(None, vec![WaitCode::Approval]), (Some(Qa::Server), vec![])] {
        let mut w = World::with_settings(ProjectSettings { qa: Qa::Human, ..settings() });
        w.agent(agent("a1"));
        w.mission_with(crate::world::policy(), vec![MissionItem { qa: of_item, ..item("a", &[]) }]);
        w.work("a");
        assert_eq!(w.waits("a"), waits);
    }
}

#[test]
fn a_person_who_must_approve_is_asked_with_the_exact_words_and_no_agent_does_it() {
    let mut w = World::with_agents(1);
    w.agent(reviewer("judge"));
    let mission = w.mission_with(crate::world::policy(), vec![MissionItem { qa: Some(Qa::Human), ..item("a", &[]) }]);
    w.work("a");
    assert_eq!((w.waits("a"), w.item("a").review_run), (vec![WaitCode::Approval], None));
    let id = w.id("a");
    let asked = inbox::requests(&w.state);
    assert!(asked.iter().any(|r| r.item == Some(id) && r.replies.contains(&format!("musher approve {}", id.short()))));
    assert_eq!(w.mission_state(mission), MissionState::Blocked);
    w.ok(Command::ApproveItem(id, "good".into()));
    assert_eq!((w.phase("a"), approved_by(w.item("a"))), (Phase::Merging, Some("ann".into())));
    assert_eq!(w.mission_state(mission), MissionState::Running);
    w.refused(Command::ApproveItem(id, "twice".into()));
}

#[test]
fn a_reviewer_agent_that_approves_lets_the_item_merge() {
    let mut w = under_review();
    let run = w.item("a").review_run.unwrap();
    assert_eq!((w.phase("a"), w.state.run(run).unwrap().purpose), (Phase::Waiting, Purpose::Review));
    assert_eq!((w.waits("a"), w.said("review_requested")), (vec![WaitCode::Review], 1));
    w.end("a", verdict(Verdict::Approved("fine".into())));
    assert_eq!((w.phase("a"), w.said("review_approved")), (Phase::Merging, 1));
    assert_eq!(approved_by(w.item("a")), Some(format!("run:{}", run.short())));
}

#[test]
fn a_rejection_makes_a_fix_run_that_is_told_the_words() {
    let mut w = under_review();
    w.end("a", verdict(Verdict::Rejected("there are no tests".into())));
    assert_eq!((w.phase("a"), w.agent_of("a")), (Phase::Assigned, "a1".into()));
    assert_eq!((w.lesson("a"), w.item("a").approval.clone()), ("there are no tests", None));
}

#[test]
fn the_author_never_reviews_its_own_work() {
    let mut w = World::new();
    w.agent(AgentSpec { roles: words(&["backend", "reviewer"]), max_load: 5, ..agent("both") });
    let mission = w.mission_with(required(), vec![item("a", &[])]);
    w.work("a");
    assert_eq!((w.agent_of("a"), w.item("a").review_run), ("both".into(), None));
    assert_eq!(w.mission_state(mission), MissionState::Blocked, "a person must, for there is nobody else");
    assert!(inbox::requests(&w.state).iter().any(|r| r.item.is_some()));
    w.agent(reviewer("judge"));
    let run = w.item("a").review_run.unwrap();
    let name = &w.state.agent(w.state.run(run).unwrap().agent).unwrap().spec.name;
    assert_eq!((&**name, w.mission_state(mission)), ("judge", MissionState::Running));
}

#[test]
fn only_a_reviewer_reviews_however_loaded_it_is() {
    for priority in [Priority::Medium, Priority::Critical] {
        let mut w = World::new();
        w.agent(AgentSpec { max_load: 0, ..agent("author") });
        w.agent(AgentSpec { max_load: 0, roles: words(&["reviewer"]), ..agent("judge") });
        let keys: Vec<String> = (0..7).map(|i| format!("i{i}")).collect();
        let ten = Policy { max_parallel_items: 10, ..required() };
        let items = keys.iter().map(|k| MissionItem { priority, pin: Some("author".into()), ..item(k, &[]) });
        w.agent(agent("idle"));
        w.mission_with(ten, items.collect());
        for key in &keys {
            w.work(key);
        }
        let reviewed = keys.iter().filter(|k| w.item(k).review_run.is_some()).count();
        assert_eq!(reviewed, 7, "{priority:?}: one of role reviewer has room for all");
    }
}

#[test]
fn without_a_reviewer_a_person_decides_and_with_one_a_person_may() {
    for judge in [false, true] {
        let mut w = World::with_agents(1);
        if judge {
            w.agent(reviewer("judge"));
        }
        w.mission_with(required(), vec![item("a", &[])]);
        w.work("a");
        let id = w.id("a");
        assert_eq!(w.item("a").review_run.is_some(), judge);
        w.ok(Command::ApproveItem(id, "good".into()));
        assert_eq!((w.phase("a"), w.effects_of("a").contains(&"stop_run")), (Phase::Merging, judge));
        w.land("a");
        assert_eq!(w.effects_of("a").contains(&"remove_worktree"), !judge, "not while a reviewer is in it");
        if judge {
            w.end("a", verdict(Verdict::Rejected("too late".into())));
            assert_eq!((w.phase("a"), w.effects_of("a")), (Phase::Done, vec!["remove_worktree"]));
        }
    }
}

#[test]
fn a_person_who_rejects_ends_the_review_and_the_fix_waits_for_its_end() {
    let mut w = under_review();
    let id = w.id("a");
    w.ok(Command::RejectItem(id, "not so".into()));
    assert_eq!((w.phase("a"), w.waits("a")), (Phase::Ready, vec![WaitCode::Lease]));
    w.end("a", Outcome::Cancelled);
    assert_eq!((w.phase("a"), w.lesson("a"), w.item("a").review_run), (Phase::Assigned, "not so", None));
}

#[test]
fn an_approval_is_cleared_by_a_new_commit() {
    let mut w = under_review();
    w.end("a", verdict(Verdict::Approved("fine".into())));
    w.prepare("a", crate::world::made("merged"));
    w.eject("a", "broken together");
    assert_eq!(w.item("a").approval, None);
    w.work("a");
    assert_eq!((w.phase("a"), w.said("review_requested")), (Phase::Waiting, 2), "what is new is reviewed again");
}

#[test]
fn a_reviewer_without_a_verdict_has_a_person_asked() {
    for outcome in [finished("looks nice"), failed(FailureClass::Agent, "crashed"), Outcome::Lost { while_down: false }]
    {
        let mut w = under_review();
        w.end("a", outcome.clone());
        assert_eq!((w.waits("a"), w.said("review_requested")), (vec![WaitCode::Approval], 1), "{outcome:?}");
    }
}

#[test]
fn a_review_that_ended_through_no_fault_of_the_reviewer_is_made_again() {
    for outcome in [Outcome::Lost { while_down: true }, Outcome::Cancelled] {
        let mut w = under_review();
        w.end("a", outcome.clone());
        assert_eq!((w.waits("a"), w.said("review_requested")), (vec![WaitCode::Review], 2), "{outcome:?}");
        assert!(w.item("a").review_run.is_some());
    }
}

#[test]
fn a_reviewer_that_cannot_start_is_marked_and_the_next_one_asked() {
    let mut w = under_review();
    w.agent(reviewer("judge2"));
    w.end("a", failed(FailureClass::Setup, "not logged in"));
    let judge = w.agent_id("judge");
    assert_eq!(w.state.agent(judge).unwrap().error.as_deref(), Some("not logged in"));
    assert_eq!((w.said("review_requested"), w.item("a").attempts), (2, 0));
    w.end("a", failed(FailureClass::Setup, "not logged in"));
    assert_eq!(w.phase("a"), Phase::Waiting);
    let asked = inbox::requests(&w.state);
    assert!(asked.iter().any(|r| r.item == Some(w.id("a"))), "with nobody left a person is asked");
}

#[test]
fn rejections_end_in_the_dead_letter_like_other_failures() {
    let mut w = World::with_agents(1);
    w.mission_with(required(), vec![item("a", &[])]);
    let id = w.id("a");
    for _ in 0..3 {
        w.work("a");
        w.ok(Command::RejectItem(id, "no".into()));
    }
    assert_eq!(w.item("a").reason().unwrap(), "max retries exceeded: rejected: no");
}

#[test]
fn a_held_review_begins_anew_when_released() {
    let mut w = under_review();
    let id = w.id("a");
    w.ok(Command::HoldItem(id, "let me look".into()));
    w.ok(Command::ReleaseItem(id));
    w.end("a", Outcome::Cancelled);
    assert_eq!((w.waits("a"), w.said("review_requested")), (vec![WaitCode::Review], 2));
    w.end("a", verdict(Verdict::Approved("fine".into())));
    assert_eq!(w.phase("a"), Phase::Merging);
}

#[test]
fn only_waiting_items_can_be_approved_or_rejected() {
    let mut w = World::with_agents(1);
    w.mission_with(required(), vec![item("a", &[]), item("b", &["a"])]);
    for key in ["a", "b"] {
        let id = w.id(key);
        w.refused(Command::ApproveItem(id, "good".into()));
        w.refused(Command::RejectItem(id, "bad".into()));
    }
}
