//! Nodes: an agent that has one takes work only while its node is heard; nobody polls, and what is at work goes on.

use std::time::Duration;

use musher_core::agent::{AgentSpec, AgentStatus};
use musher_core::command::{Command, Refused, Report};
use musher_core::dispatch::{self, Condition};
use musher_core::item::Phase;
use musher_core::mission::MissionState;
use musher_core::node::TTL;
use musher_core::run::FailureClass;
use musher_core::wait::{self, WaitCode};

use crate::world::{World, agent, failed, finished, item, tokens};

const SECOND: Duration = Duration::from_secs(1);

fn on(node: &str, name: &str) -> AgentSpec {
    AgentSpec { node: Some(node.into()), ..agent(name) }
}

/// Two agents, `a` and `b`, of one node.
fn two_on_one_node() -> World {
    let mut w = World::new();
    w.agent(on("box", "a"));
    w.agent(on("box", "b"));
    w
}

fn beat(w: &mut World) {
    w.ok(Command::Heartbeat("box".into()));
}

fn status(w: &World, name: &str) -> &'static str {
    w.state.status(w.agent_id(name)).map_or("none", AgentStatus::name)
}

/// What was said since the log had this length, of whom.
fn said_of_agents(w: &World, seen: usize) -> Vec<(&'static str, String)> {
    let of = |event: &musher_core::event::Event| {
        let agent = event.agent.and_then(|id| w.state.agent(id)).map(|agent| agent.spec.name.to_string());
        (event.happened.name(), agent.unwrap_or_default())
    };
    w.events[seen..].iter().map(of).collect()
}

#[test]
fn what_a_person_sees_of_an_agent_with_a_node() {
    // The node is never heard, heard, or silent; what else is true of the agent; its status, and why it takes nothing.
    let table = "
        never   -         offline   offline
        heard   -         idle      .
        silent  -         offline   offline
        heard   starting  starting  busy
        silent  starting  offline   offline
        heard   working   working   busy
        silent  working   offline   offline
        never   paused    offline   offline
        heard   paused    paused    paused
        silent  paused    offline   offline
        heard   draining  draining  draining
        silent  draining  offline   offline
        never   error     error     unable_to_start
        heard   error     error     unable_to_start
        silent  error     error     unable_to_start";
    for row in table.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let cells: Vec<&str> = row.split_whitespace().collect();
        let [node, fact, expected, why] = cells[..] else { panic!("{row}") };
        let mut w = World::new();
        let id = w.agent(on("box", "a"));
        if node != "never" {
            beat(&mut w);
        }
        if matches!(fact, "starting" | "working") {
            w.mission(vec![item("one", &[])]);
        }
        match fact {
            "working" => w.start("one"),
            "paused" => drop(w.ok(Command::PauseAgent(id))),
            "draining" => drop(w.ok(Command::DrainAgent(id))),
            "error" => drop(w.ok(Command::AgentChecked(id, Some("no program".into())))),
            _ => {}
        }
        if node == "silent" {
            w.pass(TTL);
        }
        assert_eq!(status(&w, "a"), expected, "{row}");
        w.mission(vec![item("next", &[])]);
        let text = dispatch::no_agent(&w.state, w.item("next")).map(|(_, removed)| removed.text());
        let text = text.map_or(".".to_owned(), |text| text.replace("1 agent(s): 1 ", "").replace(' ', "_"));
        let taken = w.phase("next") == Phase::Assigned;
        assert!(
            (why == ".") == taken && (taken || text == why),
            "{row}: {text}, and the item is {:?}",
            w.phase("next")
        );
    }
}

#[test]
fn an_agent_with_a_node_takes_nothing_until_its_node_is_heard() {
    let mut w = World::new();
    let seen = w.events.len();
    w.agent(on("box", "a"));
    assert_eq!(w.names_since(seen), ["agent_defined", "agent_offline"]);
    let mission = w.mission(vec![item("one", &[])]);
    assert_eq!((w.phase("one"), w.waits("one")), (Phase::Ready, vec![WaitCode::AgentOffline]));
    let text = &wait::of_item(&w.state, w.id("one"))[0].text;
    assert!(text.contains("1 offline") && text.contains("`musher node heartbeat box`"), "{text}");
    assert_eq!((w.mission_state(mission), w.said("dispatch_failed_no_agent")), (MissionState::Blocked, 1));
    let (_, removed) = dispatch::no_agent(&w.state, w.item("one")).unwrap();
    assert_eq!(removed.by, [(Condition::Offline, 1)].into());
    beat(&mut w);
    assert_eq!((w.phase("one"), w.agent_of("one").as_str()), (Phase::Assigned, "a"));
    assert_eq!((w.mission_state(mission), w.said("agent_online")), (MissionState::Running, 1));
    w.drive();
    assert_eq!((w.phase("one"), w.item("one").attempts), (Phase::Done, 0));
}

#[test]
fn heartbeats_say_nothing_while_their_node_is_known_to_be_there() {
    let mut w = two_on_one_node();
    beat(&mut w);
    let seen = w.events.len();
    for _ in 0..30 {
        w.pass(Duration::from_secs(20));
        beat(&mut w);
    }
    assert!(w.events[seen..].is_empty(), "{:?}", w.names_since(seen));
    assert_eq!(w.state.next_due(), Some(w.now.after(TTL)), "and one moment is waited for, not thirty");
    assert_eq!(w.state.node("box").unwrap().heard_at, w.now);
}

#[test]
fn a_node_is_silent_after_its_term_and_not_before_and_the_next_heartbeat_brings_its_agents_back() {
    let mut w = two_on_one_node();
    w.agent(agent("here"));
    beat(&mut w);
    let seen = w.events.len();
    w.pass(TTL - Duration::from_micros(1));
    assert_eq!((status(&w, "a"), w.events.len()), ("idle", seen));
    w.pass(Duration::from_micros(1));
    let of_both = |name| vec![(name, "a".to_owned()), (name, "b".to_owned())];
    assert_eq!((status(&w, "a"), status(&w, "b"), status(&w, "here")), ("offline", "offline", "idle"));
    assert_eq!(said_of_agents(&w, seen), of_both("agent_offline"));
    assert_eq!(w.state.next_due(), None, "a silent node is not looked at again");
    let seen = w.events.len();
    w.pass(TTL * 100);
    beat(&mut w);
    assert_eq!((status(&w, "a"), said_of_agents(&w, seen)), ("idle", of_both("agent_online")));
}

#[test]
fn a_heartbeat_that_comes_too_late_and_before_musher_has_looked_counts() {
    let mut w = two_on_one_node();
    beat(&mut w);
    let seen = w.events.len();
    w.now = w.now.after(TTL * 2);
    beat(&mut w);
    assert_eq!((status(&w, "a"), w.events.len()), ("idle", seen));
}

#[test]
fn what_an_agent_is_at_work_on_goes_on_when_its_node_falls_silent() {
    let mut w = World::new();
    w.agent(on("box", "a"));
    beat(&mut w);
    w.mission(vec![item("one", &[]), item("two", &["one"]), item("three", &[])]);
    w.start("one");
    w.pass(TTL * 60);
    assert_eq!((w.phase("one"), status(&w, "a")), (Phase::Running, "offline"));
    assert_eq!(w.effects_of("one"), ["start_run"], "nobody stops it");
    w.report("one", "start_run", Report::RunProgress { usage: tokens(3) });
    w.end("one", finished("done"));
    w.drive();
    assert_eq!((w.phase("one"), w.phase("two"), w.phase("three")), (Phase::Done, Phase::Ready, Phase::Ready));
    w.pass(TTL * 60 * 24);
    for key in ["two", "three"] {
        assert_eq!((w.waits(key), w.item(key).attempts), (vec![WaitCode::AgentOffline], 0), "{key}");
    }
    beat(&mut w);
    assert_eq!(w.all_in(Phase::Assigned).len(), 1);
}

#[test]
fn a_run_that_fails_while_its_node_is_silent_is_tried_again_when_it_is_back() {
    let mut w = World::new();
    w.agent(on("box", "a"));
    beat(&mut w);
    w.mission(vec![item("one", &[])]);
    w.start("one");
    w.pass(TTL);
    w.end("one", failed(FailureClass::Agent, "the line broke"));
    w.pass(TTL * 60);
    assert_eq!(
        (w.phase("one"), w.item("one").attempts),
        (Phase::Ready, 1),
        "the failure counts and the silence does not"
    );
    beat(&mut w);
    assert_eq!(w.phase("one"), Phase::Assigned);
}

#[test]
fn an_agent_without_a_node_needs_no_heartbeat_and_was_last_heard_through_its_run() {
    let mut w = World::with_agents(1);
    let heard = |w: &World| w.state.heartbeat(w.state.agent_named("a1").unwrap());
    assert_eq!(heard(&w), None);
    w.mission(vec![item("one", &[])]);
    w.start("one");
    let started = w.now;
    assert_eq!(heard(&w), Some(started));
    w.pass(TTL * 3);
    assert_eq!((status(&w, "a1"), heard(&w)), ("working", Some(started)));
    w.report("one", "start_run", Report::RunProgress { usage: tokens(3) });
    assert_eq!(heard(&w), Some(w.now));
    assert_eq!(w.said("agent_offline"), 0);
}

#[test]
fn a_start_gives_a_node_that_was_heard_one_fresh_term_and_a_silent_one_none() {
    let mut w = two_on_one_node();
    beat(&mut w);
    w.pass(SECOND);
    w.restart_and_compare();
    // Musher is down for an hour, and nobody could tell it anything.
    let seen = w.events.len();
    w.now = w.now.after(TTL * 60);
    w.restart();
    w.settle();
    assert_eq!((status(&w, "a"), w.events.len()), ("idle", seen), "no storm");
    w.pass(TTL - SECOND);
    assert_eq!(status(&w, "a"), "idle");
    w.pass(SECOND);
    assert_eq!((status(&w, "a"), w.said("agent_offline")), ("offline", 4), "two of them when they were defined");
    w.restart_and_compare();
    assert_eq!(status(&w, "a"), "offline", "what was silent is silent after a start too");
}

#[test]
fn a_heartbeat_that_lies_in_the_future_counts_as_of_now() {
    let mut w = two_on_one_node();
    let before = w.now;
    w.pass(Duration::from_secs(3_600));
    beat(&mut w);
    w.now = before;
    w.settle();
    assert_eq!((status(&w, "a"), w.state.next_due()), ("idle", Some(w.now.after(TTL))));
    w.pass(TTL);
    assert_eq!(status(&w, "a"), "offline", "not in an hour");
}

#[test]
fn a_heartbeat_of_a_node_that_no_agent_names_is_refused() {
    let mut w = two_on_one_node();
    let refused = w.refused(Command::Heartbeat("bx".into()));
    assert!(matches!(&refused, Refused::NotFound { noun: "node", .. }), "{refused:?}");
    beat(&mut w);
    for name in ["a", "b"] {
        w.ok(Command::RemoveAgent(w.agent_id(name)));
    }
    w.refused(Command::Heartbeat("box".into()));
    let seen = w.events.len();
    w.pass(TTL);
    assert_eq!(w.events.len(), seen, "nobody is left to fall silent");
    assert_eq!(w.state.nodes().count(), 0);
}

#[test]
fn whoever_a_person_holds_is_neither_on_nor_off_by_their_node() {
    let mut w = two_on_one_node();
    beat(&mut w);
    let id = w.agent_id("a");
    w.ok(Command::PauseAgent(id));
    let seen = w.events.len();
    w.pass(TTL);
    assert_eq!(said_of_agents(&w, seen), [("agent_offline", "b".to_owned())]);
    let seen = w.events.len();
    w.ok(Command::ResumeAgent(id));
    assert_eq!((said_of_agents(&w, seen), status(&w, "a")), (vec![("agent_offline", "a".to_owned())], "offline"));
    let seen = w.events.len();
    beat(&mut w);
    assert_eq!(w.names_since(seen), ["agent_online", "agent_online"]);
}

#[test]
fn an_agent_moves_to_another_node_and_to_this_machine_by_its_definition() {
    let mut w = World::new();
    w.ok(Command::SyncAgents(vec![on("box", "c")]));
    beat(&mut w);
    assert_eq!(status(&w, "c"), "idle");
    let seen = w.events.len();
    w.ok(Command::SyncAgents(vec![on("other", "c")]));
    assert_eq!((status(&w, "c"), w.names_since(seen)), ("offline", vec!["agent_defined", "agent_offline"]));
    w.refused(Command::Heartbeat("box".into()));
    let seen = w.events.len();
    w.ok(Command::SyncAgents(vec![agent("c")]));
    assert_eq!((status(&w, "c"), w.names_since(seen)), ("idle", vec!["agent_defined", "agent_online"]));
}

#[test]
fn a_name_that_no_host_could_have_is_no_node() {
    let mut w = World::new();
    for name in ["", "a b", "a/b", "é", &"x".repeat(65)] {
        let refused = w.refused(Command::AddAgent(Box::new(on(name, "a"))));
        assert!(refused.to_string().contains("no name of a node"), "{refused}");
    }
}

#[test]
fn the_account_of_one_machine_is_not_that_of_another() {
    let [here, there] = [agent("a"), on("box", "a")];
    assert!(here.shares_account(&here) && there.shares_account(&there) && !here.shares_account(&there));
}
