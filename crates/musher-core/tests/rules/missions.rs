//! Missions: how they begin, pause, block, and end.

use std::time::Duration;

use musher_core::command::{Answer, Command, Report};
use musher_core::effect::Stop;
use musher_core::id::MissionId;
use musher_core::inbox::{self, Ask};
use musher_core::item::Phase;
use musher_core::mission::{MissionItem, MissionState, OnCap, Policy, StartMission, is_at_rest};
use musher_core::quota::{Cap, Rules};
use musher_core::run::{FailureClass, Outcome};
use musher_core::wait::{self, WaitCode};
use musher_core::watch::WatchKind;

use crate::world::{World, failed, item, policy, tokens};

fn wish(items: Vec<musher_core::mission::MissionItem>, ask: bool) -> Command {
    let start = StartMission { goal: "a goal".into(), policy: policy(), base: "main".into(), ask, items };
    Command::StartMission(Box::new(start))
}

#[test]
fn a_mission_whose_graph_is_shown_starts_nothing_before_the_yes() {
    let mut w = World::with_agents(1);
    let Answer::Mission(id) = w.ok(wish(vec![item("a", &[])], true)) else { panic!() };
    assert_eq!((w.mission_state(id), w.phase("a")), (MissionState::AwaitingApproval, Phase::Ready));
    assert_eq!(wait::of_mission(&w.state, id)[0].code, WaitCode::Approval);
    w.refused(Command::PauseMission(id, None, "no".into()));
    w.ok(Command::ApproveMission(id));
    assert_eq!((w.mission_state(id), w.phase("a")), (MissionState::Running, Phase::Assigned));
    w.refused(Command::ApproveMission(id));
}

#[test]
fn a_graph_that_makes_no_sense_starts_nothing_at_all() {
    let mut w = World::with_agents(1);
    for (items, why) in [
        (vec![], "at least one item"),
        (vec![item("a", &[]), item("a", &[])], "two items are named `a`"),
        (vec![item("a", &["ghost"])], "`ghost`, which is not in the mission"),
    ] {
        let refused = w.refused(wish(items, false));
        assert!(refused.to_string().contains(why), "{refused}");
        assert_eq!(refused.code(), "invalid");
    }
}

#[test]
fn a_mission_is_completed_only_when_all_its_items_are_done() {
    let mut w = World::with_agents(2);
    let id = w.mission(vec![item("a", &[]), item("b", &[])]);
    w.complete("a");
    assert_eq!(w.mission_state(id), MissionState::Running);
    w.work("b");
    assert_eq!(w.mission_state(id), MissionState::Running);
    w.land("b");
    assert_eq!((w.mission_state(id), w.said("mission_completed")), (MissionState::Completed, 1));
}

#[test]
fn a_paused_mission_starts_nothing_new_and_lets_its_agents_finish() {
    let mut w = World::with_agents(2);
    let id = w.mission(vec![item("a", &[]), item("b", &["a"])]);
    w.start("a");
    w.ok(Command::PauseMission(id, None, "lunch".into()));
    assert_eq!((w.phase("a"), w.effects_of("a")), (Phase::Running, vec!["start_run"]));
    w.end("a", crate::world::finished("done"));
    let clean = w.clean();
    w.inspect("a", clean);
    w.gate("a", musher_core::command::GateVerdict::Green);
    w.land("a");
    assert_eq!((w.phase("b"), w.waits("b")), (Phase::Ready, vec![WaitCode::Paused]));
    w.refused(Command::PauseMission(id, None, "twice".into()));
    w.ok(Command::ResumeMission(id));
    assert_eq!(w.phase("b"), Phase::Assigned);
    w.refused(Command::ResumeMission(id));
}

#[test]
fn a_mission_paused_now_interrupts_its_agents_and_counts_nothing() {
    let mut w = World::with_agents(2);
    let id = w.mission(vec![item("a", &[]), item("b", &[])]);
    w.start("a");
    w.ok(Command::PauseMission(id, Some(Stop::Interrupt), "now".into()));
    assert_eq!(w.effects_of("a"), ["start_run", "stop_run"]);
    assert_eq!((w.phase("b"), w.effects_of("b")), (Phase::Ready, vec!["create_worktree"]), "it has no agent to stop");
    w.report("b", "create_worktree", Report::WorktreeReady { base_commit: "base".into() });
    w.end("a", Outcome::Cancelled);
    assert_eq!((w.all_in(Phase::Ready), w.item("a").attempts), (vec!["a".to_owned(), "b".to_owned()], 0));
    assert!(w.state.effects().next().is_none(), "nothing runs in a paused mission");
    w.ok(Command::ResumeMission(id));
    assert_eq!(w.all_in(Phase::Assigned), ["a", "b"]);
}

#[test]
fn a_stopped_mission_cancels_what_has_not_ended_and_keeps_what_has() {
    let mut w = World::with_agents(2);
    let id = w.mission(vec![item("done", &[]), item("runs", &[]), item("waits", &["runs"])]);
    w.complete("done");
    w.start("runs");
    w.ok(Command::StopMission(id, Stop::Kill));
    assert_eq!(w.mission_state(id), MissionState::Cancelled);
    assert_eq!([w.phase("done"), w.phase("runs"), w.phase("waits")], [Phase::Done, Phase::Cancelled, Phase::Cancelled]);
    assert_eq!(w.effects_of("runs"), ["start_run", "stop_run"]);
    for command in [
        Command::StopMission(id, Stop::Kill),
        Command::ResumeMission(id),
        Command::PauseMission(id, None, "no".into()),
        Command::ApproveMission(id),
    ] {
        let refused = w.refused(command);
        assert!(refused.to_string().contains("while it is cancelled"), "{refused}");
    }
}

#[test]
fn a_mission_that_cannot_go_on_says_why_and_goes_on_by_itself_when_it_can() {
    let mut w = World::with_agents(1);
    let id = w.mission_with(Policy { max_retries: 1, ..policy() }, vec![item("a", &[]), item("b", &["a"])]);
    w.start("a");
    w.end("a", failed(FailureClass::Agent, "no"));
    assert_eq!(w.mission_state(id), MissionState::Blocked);
    assert_eq!(w.blocked_reason(id), "Waiting on dependency, review, or external watch (failed: a)");
    let item = w.id("a");
    w.ok(Command::RetryItem(item));
    assert_eq!((w.mission_state(id), w.blocked_reason(id)), (MissionState::Running, String::new()));
    assert_eq!((w.said("mission_blocked"), w.said("mission_unblocked")), (1, 1));
}

#[test]
fn a_mission_is_at_rest_when_nothing_of_it_goes_on_before_a_person_does_something() {
    fn url() -> WatchKind {
        WatchKind::Url("http://127.0.0.1:1/".into())
    }
    fn after(key: &str) -> MissionItem {
        MissionItem { after: vec![url()], ..item(key, &[]) }
    }
    fn hold(w: &mut World, key: &str) {
        let id = w.id(key);
        w.ok(Command::HoldItem(id, "later".into()));
    }
    type Story = fn(&mut World) -> MissionId;
    let table: Vec<(&str, MissionState, bool, Story)> = vec![
        ("at work", MissionState::Running, false, |w| w.mission(vec![item("a", &[])])),
        ("what it depends on outside is watched", MissionState::Blocked, false, |w| w.mission(vec![after("a")])),
        ("the end is watched", MissionState::Blocked, false, |w| {
            let id = w.mission(vec![MissionItem { then: vec![url()], ..item("a", &[]) }]);
            w.complete("a");
            id
        }),
        ("a watch, and an item that is held", MissionState::Blocked, true, |w| {
            let id = w.mission(vec![after("a"), item("b", &[])]);
            hold(w, "b");
            id
        }),
        ("an item that is held", MissionState::Blocked, true, |w| {
            let id = w.mission(vec![item("a", &[]), item("b", &["a"])]);
            hold(w, "a");
            id
        }),
        ("a person reviews", MissionState::Blocked, true, |w| {
            let id = w.mission_with(Policy { reviewer_required: true, ..policy() }, vec![item("a", &[])]);
            w.work("a");
            id
        }),
        ("nobody fits", MissionState::Blocked, true, |w| {
            w.mission(vec![MissionItem { labels: crate::world::words(&["cobol"]), ..item("a", &[]) }])
        }),
        ("all are out of quota until tomorrow", MissionState::Blocked, false, |w| {
            let caps = [(Cap::DailyJobs, 1)].into();
            let quota = Rules { caps, model_allowlist: None };
            let name = "frugal";
            w.agent(musher_core::agent::AgentSpec { quota, max_load: 9, ..crate::world::agent(name) });
            let pinned = |key: &str| MissionItem { pin: Some(name.into()), ..item(key, &[]) };
            w.mission(vec![pinned("first")]);
            w.mission(vec![pinned("second")])
        }),
        ("paused, and an agent goes on", MissionState::Paused, false, |w| {
            let id = w.mission(vec![item("a", &[])]);
            w.start("a");
            w.ok(Command::PauseMission(id, None, "later".into()));
            id
        }),
        ("paused", MissionState::Paused, true, |w| {
            let id = w.mission(vec![after("a")]);
            w.mission(vec![item("z", &[])]);
            let b = w.mission(vec![item("b", &[])]);
            w.ok(Command::PauseMission(b, None, "later".into()));
            assert_ne!(id, b);
            b
        }),
        ("done", MissionState::Completed, true, |w| {
            let id = w.mission(vec![item("a", &[])]);
            w.complete("a");
            id
        }),
    ];
    for (name, state, at_rest, story) in table {
        let mut w = World::with_agents(1);
        let id = story(&mut w);
        let entry = w.state.mission(id).unwrap();
        assert_eq!((entry.row.state, is_at_rest(&w.state, entry)), (state, at_rest), "{name}");
        let named = inbox::requests(&w.state).into_iter().any(|r| r.mission == Some(id) && r.ask == Ask::Blocked);
        let asks = inbox::requests(&w.state).into_iter().any(|r| r.mission == Some(id) && r.ask == Ask::Help);
        let asked = inbox::requests(&w.state).into_iter().any(|r| r.mission == Some(id) && r.ask == Ask::Approval);
        let wanted = state == MissionState::Blocked && (at_rest || asks);
        // What an item asks is not asked by its mission too, unless something else holds that up.
        assert_eq!((named || asks) != asked, wanted, "{name}: the inbox");
    }
}

#[test]
fn a_mission_without_a_free_agent_is_blocked_with_the_words_of_the_help_request() {
    let mut w = World::new();
    let id = w.mission(vec![item("a", &[]), item("b", &[])]);
    let words = format!("Mission {} has 2 ready work item(s) but no idle agents are available", id.short());
    assert_eq!((w.mission_state(id), w.blocked_reason(id)), (MissionState::Blocked, words));
    w.agent(crate::world::agent("late"));
    assert_eq!(w.mission_state(id), MissionState::Running);
}

#[test]
fn a_mission_fails_at_its_deadline_and_not_before() {
    let mut w = World::with_agents(1);
    let deadline = Some(w.now.after(Duration::from_secs(60)));
    let id = w.mission_with(Policy { deadline, ..policy() }, vec![item("a", &[])]);
    w.start("a");
    assert_eq!(w.state.next_due(), deadline);
    w.pass(Duration::from_secs(59));
    assert_eq!(w.mission_state(id), MissionState::Running);
    w.pass(Duration::from_secs(1));
    assert_eq!((w.mission_state(id), w.phase("a")), (MissionState::Failed, Phase::Cancelled));
    assert_eq!((w.blocked_reason(id), w.said("mission_failed")), ("its deadline has passed".to_owned(), 1));
}

/// Two items at work, of which the first uses what the budget allows.
fn spent(budget: u64) -> (World, MissionId) {
    let mut w = World::with_agents(3);
    let policy = Policy { budget_tokens: Some(budget), on_cap: OnCap::Requeue, ..policy() };
    let id = w.mission_with(policy, vec![item("a", &[]), item("b", &[]), item("c", &["a"])]);
    w.start("a");
    w.start("b");
    w.report("a", "start_run", Report::RunProgress { usage: tokens(99) });
    assert_eq!(w.effects_of("b"), ["start_run"]);
    w.report("b", "start_run", Report::RunProgress { usage: tokens(1) });
    (w, id)
}

#[test]
fn a_budget_stops_what_runs_and_starts_nothing_more() {
    let (mut w, id) = spent(100);
    for key in ["a", "b"] {
        assert_eq!(w.effects_of(key), ["start_run", "stop_run"], "{key}");
        w.end(key, Outcome::Cancelled);
    }
    assert_eq!((w.all_in(Phase::Ready).len(), w.waits("a")), (2, vec![WaitCode::Quota]));
    assert_eq!((w.mission_state(id), w.blocked_reason(id)), (MissionState::Blocked, "mission tokens exceeded".into()));
    let (w, _) = spent(101);
    assert_eq!(w.effects_of("b"), ["start_run"]);
    let (w, _) = spent(0);
    assert_eq!(w.effects_of("b"), ["start_run"], "0 is no limit");
}

#[test]
fn who_waits_for_a_review_in_a_mission_whose_budget_is_used_up_is_told_so() {
    let mut w = World::with_agents(1);
    let policy = Policy { budget_tokens: Some(100), reviewer_required: true, ..Policy::default() };
    let id = w.mission_with(policy, vec![item("a", &[])]);
    w.start("a");
    let end = Report::RunFinished { outcome: crate::world::finished("done"), usage: tokens(200) };
    w.report("a", "start_run", end);
    let clean = w.clean();
    w.inspect("a", clean);
    w.gate("a", musher_core::command::GateVerdict::Green);
    let reviewer =
        musher_core::agent::AgentSpec { roles: crate::world::words(&["reviewer"]), ..crate::world::agent("r") };
    w.agent(reviewer);
    assert_eq!((w.item("a").review_run, w.blocked_reason(id)), (None, "mission tokens exceeded".to_owned()));
    let item = w.id("a");
    w.ok(Command::ApproveItem(item, "a person costs nothing".into()));
    assert_eq!(w.phase("a"), Phase::Merging);
}

#[test]
fn a_mission_names_what_keeps_it_up_to_five_of_a_sort() {
    let mut w = World::with_agents(1);
    let keys: Vec<String> = (0..7).map(|n| format!("i{n}")).collect();
    let id = w.mission(keys.iter().map(|k| item(k, &[])).collect());
    for key in &keys {
        let item = w.id(key);
        w.ok(Command::HoldItem(item, "wait".into()));
    }
    assert!(w.blocked_reason(id).ends_with("(held: i0, i1, i2, i3, i4 and 2 more)"), "{}", w.blocked_reason(id));
}
