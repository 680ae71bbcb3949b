//! Agents: what is wrong with one is not wrong with its item; paused, draining and removed ones take nothing new.

use musher_core::agent::{AgentSpec, AgentStatus};
use musher_core::command::{Command, Refused, Report};
use musher_core::inbox::{self, Ask};
use musher_core::item::Phase;
use musher_core::run::{FailureClass, Outcome};
use musher_core::wait::WaitCode;

use crate::world::{World, agent, failed, finished, item};

fn status(w: &World, name: &str) -> AgentStatus {
    w.state.status(w.agent_id(name)).unwrap()
}

#[test]
fn an_agent_that_cannot_start_is_marked_with_the_fix_and_its_item_is_not() {
    let mut w = World::with_agents(2);
    w.mission(vec![item("a", &[])]);
    w.report("a", "create_worktree", Report::WorktreeReady { base_commit: "base".into() });
    w.end("a", failed(FailureClass::Setup, "`claude` is not logged in; run `claude login`"));
    assert_eq!((status(&w, "a1"), w.said("agent_offline")), (AgentStatus::Error, 1));
    assert_eq!(
        (w.phase("a"), w.agent_of("a"), w.item("a").attempts),
        (Phase::Assigned, "a2".into(), 0),
        "the next one takes it"
    );
    assert!(inbox::requests(&w.state).iter().any(|r| r.text.contains("run `claude login`")));
    w.end("a", failed(FailureClass::Setup, "no such program"));
    assert_eq!((w.phase("a"), w.waits("a"), w.item("a").attempts), (Phase::Ready, vec![WaitCode::AgentOffline], 0));
    let first = w.agent_id("a1");
    w.ok(Command::ResumeAgent(first));
    assert_eq!((w.phase("a"), w.agent_of("a")), (Phase::Assigned, "a1".into()));
}

#[test]
fn an_agent_whose_program_is_found_again_takes_work_again() {
    let mut w = World::with_agents(1);
    let id = w.agent_id("a1");
    w.ok(Command::AgentChecked(id, Some("no such program".into())));
    w.ok(Command::AgentChecked(id, Some("no such program".into())));
    assert_eq!((w.said("agent_offline"), status(&w, "a1")), (1, AgentStatus::Error));
    w.mission(vec![item("a", &[])]);
    assert_eq!(w.phase("a"), Phase::Ready);
    w.ok(Command::AgentChecked(id, None));
    assert_eq!(w.phase("a"), Phase::Assigned);
}

#[test]
fn an_agent_removed_while_its_run_starts_leaves_nothing_hanging() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    w.report("a", "create_worktree", Report::WorktreeReady { base_commit: "base".into() });
    let id = w.agent_id("a1");
    w.ok(Command::RemoveAgent(id));
    w.end("a", failed(FailureClass::Setup, "no such program"));
    assert_eq!((w.phase("a"), w.item("a").attempts, w.effects_of("a")), (Phase::Ready, 0, vec![]));
    assert!(w.state.runs().is_empty());
}

#[test]
fn who_is_paused_drained_or_removed_finishes_and_takes_nothing_new() {
    type Wish = fn(musher_core::id::AgentId) -> Command;
    let wishes: [(Wish, Option<AgentStatus>); 3] = [
        (Command::PauseAgent, Some(AgentStatus::Paused)),
        (Command::DrainAgent, Some(AgentStatus::Draining)),
        (Command::RemoveAgent, None),
    ];
    for (wish, expected) in wishes {
        let mut w = World::with_agents(1);
        w.mission(vec![item("a", &[]), item("b", &[])]);
        w.start("a");
        let id = w.agent_id("a1");
        w.ok(wish(id));
        assert_eq!(w.effects_of("a"), ["start_run"], "its run goes on");
        w.end("a", crate::world::finished("done"));
        assert_eq!((w.phase("a"), w.phase("b")), (Phase::Verifying, Phase::Ready));
        match expected {
            Some(expected) => {
                assert_eq!((status(&w, "a1"), w.waits("b")), (expected, vec![WaitCode::AgentPaused]));
                w.ok(Command::ResumeAgent(id));
                assert_eq!(w.phase("b"), Phase::Assigned);
            }
            None => {
                assert_eq!(w.waits("b"), [WaitCode::NoAgent]);
                w.refused(Command::ResumeAgent(id));
                w.refused(Command::RemoveAgent(id));
            }
        }
    }
}

#[test]
fn a_name_is_used_once_and_free_again_after_a_removal() {
    let mut w = World::with_agents(1);
    let refused = w.refused(Command::AddAgent(Box::new(agent("a1"))));
    assert!(refused.fix().unwrap().contains("musher agent remove a1"));
    let old = w.agent_id("a1");
    w.ok(Command::RemoveAgent(old));
    assert_ne!(w.agent(agent("a1")), old);
}

#[test]
fn an_agent_that_is_removed_at_work_and_added_again_takes_no_more_than_it_may() {
    for by_config in [false, true] {
        let mut w = World::new();
        let spec = agent("x");
        if by_config {
            w.ok(Command::SyncAgents(vec![spec.clone()]));
        } else {
            w.agent(spec.clone());
        }
        let id = w.agent_id("x");
        w.ok(Command::SetQuota(
            musher_core::quota::Scope::Agent("x".into()),
            musher_core::quota::Setting::Cap(musher_core::quota::Cap::ConcurrentJobs, Some(1)),
        ));
        let parallel = musher_core::mission::Policy { max_parallel_items: 2, ..crate::world::policy() };
        w.mission_with(parallel, vec![item("a", &[]), item("b", &[])]);
        w.start("a");
        if by_config {
            w.ok(Command::SyncAgents(Vec::new()));
            w.ok(Command::SyncAgents(vec![spec]));
        } else {
            w.ok(Command::RemoveAgent(id));
            w.agent(spec);
        }
        assert_eq!((w.agent_id("x"), w.state.load(id)), (id, 1), "by the configuration: {by_config}");
        assert_eq!(w.all_in(Phase::Ready), ["b"], "by the configuration: {by_config}");
        w.restart_and_compare();
    }
}

#[test]
fn a_new_agent_of_an_account_that_rests_rests_too() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    w.start("a");
    let until = w.now.after(std::time::Duration::from_secs(3_600));
    w.end("a", Outcome::RateLimited { resets_at: Some(until), message: "429".into() });
    let old = w.agent_id("a1");
    w.ok(Command::RemoveAgent(old));
    w.agent(agent("a1"));
    w.agent(agent("a2"));
    for name in ["a1", "a2"] {
        assert_eq!(w.state.agent(w.agent_id(name)).unwrap().limited_until, Some(until), "{name}");
    }
    w.now = until;
    w.settle();
    assert_eq!(w.state.agent(w.agent_id("a2")).unwrap().limited_until, None);
}

#[test]
fn what_no_agent_may_be_is_refused_by_hand_as_in_the_file() {
    let mut w = World::new();
    let with = |change: fn(&mut musher_core::agent::AgentSpec)| {
        let mut spec = agent("x");
        change(&mut spec);
        spec
    };
    for spec in [
        with(|spec| spec.command = crate::world::words(&["sh", "{nope}"])),
        with(|spec| spec.command = crate::world::words(&["sh", "{root"])),
        with(|spec| spec.roles = crate::world::words(&[""])),
        with(|spec| spec.capabilities = crate::world::words(&["a\nb"])),
        with(|spec| spec.max_load = 100_001),
    ] {
        let name = format!("{spec:?}");
        assert!(matches!(w.refused(Command::AddAgent(Box::new(spec))), Refused::Invalid { .. }), "{name}");
    }
    assert_eq!(w.state.agents().count(), 0);
}

#[test]
fn the_agents_of_the_config_are_those_of_the_config() {
    let mut w = World::with_agents(1);
    w.ok(Command::SyncAgents(vec![agent("c1"), agent("c2")]));
    let ids = (w.agent_id("c1"), w.agent_id("c2"));
    let seen = w.events.len();
    w.ok(Command::SyncAgents(vec![agent("c1"), agent("c2")]));
    assert_eq!(w.events.len(), seen, "the same config changes nothing");
    let more = AgentSpec { max_load: 7, ..agent("c1") };
    w.ok(Command::SyncAgents(vec![more]));
    assert_eq!((w.agent_id("c1"), w.state.agent_named("c1").unwrap().spec.max_load), (ids.0, 7));
    assert!(w.state.agent_named("c2").is_none() && w.state.agent(ids.1).unwrap().removed);
    assert!(w.state.agent_named("a1").is_some(), "who was added by a person stays");
    let refused = w.refused(Command::RemoveAgent(ids.0));
    assert!(refused.fix().unwrap().contains("musher.toml"));
}

#[test]
fn what_is_wrong_with_an_agent_of_the_config_stays_until_its_definition_changes() {
    let mut w = World::new();
    w.ok(Command::SyncAgents(vec![agent("c1"), agent("c2")]));
    let id = w.agent_id("c1");
    w.ok(Command::AgentChecked(id, Some("no such program".into())));
    let other = AgentSpec { max_load: 7, ..agent("c2") };
    w.ok(Command::SyncAgents(vec![agent("c1"), other.clone()]));
    assert_eq!(status(&w, "c1"), AgentStatus::Error, "another one was changed");
    w.ok(Command::SyncAgents(vec![AgentSpec { command: crate::world::words(&["found"]), ..agent("c1") }, other]));
    assert_eq!(status(&w, "c1"), AgentStatus::Idle);
}

#[test]
fn an_agent_whose_load_is_lowered_below_what_it_has_takes_nothing_new() {
    let mut w = World::new();
    w.ok(Command::SyncAgents(vec![AgentSpec { max_load: 2, ..agent("c1") }]));
    w.mission(vec![item("a", &[]), item("b", &[]), item("c", &[])]);
    w.pass(std::time::Duration::from_secs(1));
    w.ok(Command::SyncAgents(vec![AgentSpec { max_load: 1, ..agent("c1") }]));
    assert_eq!(w.all_in(Phase::Assigned).len(), 2);
    w.work("a");
    assert_eq!(w.phase("c"), Phase::Ready);
    w.work("b");
    assert_eq!(w.phase("c"), Phase::Assigned);
}

#[test]
fn what_a_review_used_is_the_reviewers() {
    let mut w = World::with_agents(1);
    w.agent(AgentSpec { roles: crate::world::words(&["reviewer"]), ..agent("judge") });
    w.mission_with(musher_core::mission::Policy::default(), vec![item("a", &[])]);
    w.work("a");
    let run = w.item("a").review_run;
    w.report("a", "start_run", Report::RunStarted);
    w.report("a", "start_run", Report::RunProgress { usage: crate::world::tokens(5) });
    let event = w.events.iter().rev().find(|e| e.happened.name() == "usage_recorded").unwrap();
    assert_eq!((event.run, event.agent), (run, Some(w.agent_id("judge"))));
}

#[test]
fn an_agent_is_starting_until_a_process_of_it_lives() {
    let mut w = World::with_agents(1);
    assert_eq!(status(&w, "a1"), AgentStatus::Idle);
    w.mission(vec![item("a", &[])]);
    assert_eq!(status(&w, "a1"), AgentStatus::Starting);
    w.restart_and_compare();
    w.start("a");
    assert_eq!(status(&w, "a1"), AgentStatus::Working);
    w.restart_and_compare();
    assert_eq!(status(&w, "a1"), AgentStatus::Working);
    w.end("a", crate::world::finished("done"));
    assert_eq!(status(&w, "a1"), AgentStatus::Idle);
}

#[test]
fn a_restart_interrupts_what_an_agent_has_and_lets_it_take_work_again() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[]), item("b", &[])]);
    w.start("a");
    let id = w.agent_id("a1");
    w.ok(Command::PauseAgent(id));
    w.ok(Command::AgentChecked(id, Some("no such program".into())));
    w.ok(Command::RestartAgent(id));
    assert_eq!((w.effects_of("a"), status(&w, "a1")), (vec!["start_run", "stop_run"], AgentStatus::Working));
    w.ok(Command::RestartAgent(id));
    assert_eq!(w.effects_of("a"), ["start_run", "stop_run"], "it is asked for once");
    w.end("a", musher_core::run::Outcome::Cancelled);
    assert_eq!((w.phase("a"), w.item("a").attempts, w.agent_of("a")), (Phase::Assigned, 0, "a1".into()));
    assert_eq!(w.said("agent_restarted"), 2);
}

#[test]
fn a_restart_of_an_idle_agent_mends_it_and_of_a_removed_one_is_refused() {
    let mut w = World::with_agents(1);
    let id = w.agent_id("a1");
    w.ok(Command::AgentChecked(id, Some("no such program".into())));
    w.ok(Command::RestartAgent(id));
    assert_eq!(status(&w, "a1"), AgentStatus::Idle);
    w.ok(Command::RemoveAgent(id));
    assert_eq!(status_of(&w, id), AgentStatus::Stopped);
    w.refused(Command::RestartAgent(id));
}

fn status_of(w: &World, id: musher_core::id::AgentId) -> AgentStatus {
    w.state.status(id).unwrap()
}

const NO_LOGIN: &str = "not logged in; run `agent login`";

/// `n` agents of one driver and an item each, of which `failing` have failed to be set up in the same way.
fn failing(n: u32, failing: u32) -> World {
    let mut w = World::with_agents(n);
    let items = (1..=n).map(|i| item(&format!("i{i}"), &[])).collect();
    w.mission_with(musher_core::mission::Policy { max_parallel_items: n, ..crate::world::policy() }, items);
    let first: Vec<String> = w.all_in(Phase::Assigned).into_iter().take(failing as usize).collect();
    for key in first {
        w.start(&key);
        w.end(&key, failed(FailureClass::Setup, NO_LOGIN));
    }
    w
}

#[test]
fn the_same_setup_failure_five_times_in_an_hour_pauses_the_driver_and_four_do_not() {
    let w = failing(6, 4);
    assert_eq!(
        (w.said("driver_paused"), status(&w, "a1"), status(&w, "a5")),
        (0, AgentStatus::Error, AgentStatus::Starting)
    );
    let mut w = failing(5, 5);
    assert_eq!((w.said("driver_paused"), status(&w, "a1")), (1, AgentStatus::Paused));
    assert_eq!(w.waits("i1"), [WaitCode::AgentOffline]);
    let text = &musher_core::wait::of_item(&w.state, w.id("i1"))[0].text;
    assert!(text.contains(NO_LOGIN) && text.contains("is paused until"), "{text}");
    assert_eq!(w.item("i1").attempts, 0);
    w.restart_and_compare();
    w.pass(std::time::Duration::from_secs(3599));
    assert_eq!(w.all_in(Phase::Assigned).len(), 0, "not a moment too early");
}

#[test]
fn five_failures_of_one_program_leave_other_programs_of_the_command_driver_alone() {
    let mut w = failing(5, 4);
    let innocent = AgentSpec { command: crate::world::words(&["innocent"]), ..agent("innocent") };
    w.agent(innocent);
    let last = w.all_in(Phase::Assigned).into_iter().find(|key| w.agent_of(key) != "innocent").unwrap();
    w.start(&last);
    w.end(&last, failed(FailureClass::Setup, NO_LOGIN));
    assert_eq!((w.said("driver_paused"), status(&w, "a1")), (1, AgentStatus::Paused));
    assert_ne!(status(&w, "innocent"), AgentStatus::Paused);
    assert!(asked_of_drivers(&w)[0].0.contains("Driver command (agent) is paused"), "{:?}", asked_of_drivers(&w));
}

#[test]
fn one_canary_ends_the_pause_or_lengthens_it() {
    let hour = std::time::Duration::from_secs(3600);
    let mut w = failing(5, 5);
    for pauses in 1..=3 {
        assert_eq!((w.said("driver_paused"), w.all_in(Phase::Ready).len()), (pauses, 5));
        w.pass(hour);
        w.restart_and_compare();
        assert_eq!(w.all_in(Phase::Assigned).len(), 1, "one tries");
        let canary = w.all_in(Phase::Assigned).remove(0);
        w.start(&canary);
        if pauses == 2 {
            // What says nothing of the driver is followed by another try.
            w.end(&canary, musher_core::run::Outcome::Cancelled);
            assert_eq!(w.all_in(Phase::Assigned).len(), 1);
            w.start(&w.all_in(Phase::Assigned).remove(0));
        }
        let canary = w.all_in(Phase::Running).remove(0);
        let end = if pauses < 3 { failed(FailureClass::Setup, NO_LOGIN) } else { crate::world::finished("done") };
        w.end(&canary, end);
    }
    assert_eq!((w.said("driver_resumed"), w.all_in(Phase::Assigned).len()), (1, 4), "all others at once");
}

/// What the inbox says of drivers: the text, and what to type.
fn asked_of_drivers(w: &World) -> Vec<(String, Vec<String>)> {
    let requests = inbox::requests(&w.state).into_iter().filter(|request| request.ask == Ask::Driver);
    requests.map(|request| (request.text, request.replies)).collect()
}

#[test]
fn the_inbox_says_of_a_paused_driver_why_until_when_and_what_to_type_until_it_works() {
    let hour = std::time::Duration::from_secs(3600);
    let told = |until: &str, names: &[&str]| {
        let text = format!(
            "Driver command (agent) is paused {until}: {NO_LOGIN}\nIts agents take nothing: {}. Once it is mended, a resume lets one \
             take work at once",
            names.join(", ")
        );
        vec![(text, names.iter().map(|name| format!("musher agent resume {name}")).collect::<Vec<_>>())]
    };
    let all = ["a1", "a2", "a3", "a4", "a5"];
    assert_eq!(asked_of_drivers(&failing(6, 4)), [], "four failures pause nothing");
    let mut w = failing(5, 5);
    w.agent(AgentSpec { driver: "claude".into(), ..agent("other") });
    let at = w.now.after(hour);
    assert_eq!(asked_of_drivers(&w), told(&format!("until {at}, when one run tries it"), &all));
    w.restart_and_compare();
    w.pass(hour);
    let canary = w.all_in(Phase::Assigned).into_iter().find(|key| w.agent_of(key) != "other").expect("one tries");
    let trying = told(&format!("while run {} tries it", w.run_of(&canary).short()), &all);
    assert_eq!(asked_of_drivers(&w), trying);
    w.start(&canary);
    w.end(&canary, finished("done"));
    assert_eq!(asked_of_drivers(&w), [], "it works again");

    let mut w = failing(5, 5);
    for (n, name) in all.iter().enumerate() {
        let id = w.agent_id(name);
        let at = w.now.after(hour);
        assert_eq!(asked_of_drivers(&w), told(&format!("until {at}, when one run tries it"), &all[n..]));
        w.ok(if n % 2 == 0 { Command::ResumeAgent(id) } else { Command::RemoveAgent(id) });
    }
    assert_eq!(asked_of_drivers(&w), [], "nobody waits for it");
}

#[test]
fn failures_that_differ_or_lie_apart_pause_no_driver() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    let id = w.agent_id("a1");
    for n in 0..12 {
        w.start("a");
        let why = if n < 6 { format!("problem {n}") } else { NO_LOGIN.to_owned() };
        w.end("a", failed(FailureClass::Setup, &why));
        w.pass(std::time::Duration::from_secs(if n < 6 { 1 } else { 1000 }));
        w.ok(Command::ResumeAgent(id));
    }
    assert_eq!((w.said("driver_paused"), w.phase("a")), (0, Phase::Assigned));
}
