//! Run hosts that do not answer: an agent of whose runs no host does takes nothing, and nothing is given to another.

use musher_core::agent::{AgentSpec, AgentStatus};
use musher_core::command::{Command, Report};
use musher_core::item::Phase;
use musher_core::run::Outcome;
use musher_core::wait::{self, WaitCode};

use crate::world::{World, agent, finished, item, policy};

const PID: i32 = 4242;

/// An agent that takes three at once, and items of which the first `runs` are at work.
fn at_work(runs: usize) -> World {
    let mut w = World::new();
    w.agent(AgentSpec { max_load: 3, ..agent("a1") });
    let keys = ["one", "two", "three"];
    let items = keys[..runs].iter().map(|key| item(key, &[])).collect();
    if runs > 0 {
        w.mission_with(musher_core::mission::Policy { max_parallel_items: 9, ..policy() }, items);
    }
    keys[..runs].iter().for_each(|key| w.start(key));
    w
}

fn stop(w: &mut World, key: &str) {
    w.report(key, "start_run", Report::HostSilent { pid: PID });
}

fn status(w: &World) -> &'static str {
    w.state.status(w.agent_id("a1")).map_or("none", AgentStatus::name)
}

#[test]
fn what_a_person_sees_of_an_agent_by_the_hosts_of_its_runs() {
    // Its runs, how many of their hosts are silent; its status, and what becomes of one more item.
    let table = "
        0  0  idle     assigned
        1  0  working  assigned
        1  1  offline  ready
        2  1  working  assigned
        2  2  offline  ready";
    for row in table.lines().skip(1) {
        let [runs, silent, sees, next] = row.split_whitespace().collect::<Vec<_>>()[..] else { panic!("{row}") };
        let mut w = at_work(runs.parse().unwrap());
        ["one", "two"][..silent.parse().unwrap()].iter().for_each(|key| stop(&mut w, key));
        assert_eq!(status(&w), sees, "{row}");
        w.restart_and_compare();
        w.mission(vec![item("next", &[])]);
        assert_eq!(w.phase("next").name(), next, "{row}");
    }
}

#[test]
fn a_silent_host_keeps_its_item_and_is_said_once_with_the_cure() {
    let mut w = at_work(1);
    let (run, seen) = (w.run_of("one"), w.events.len());
    stop(&mut w, "one");
    assert_eq!(w.names_since(seen), ["agent_offline"]);
    let effect = w.effect("one", "start_run");
    w.refused(Command::Report(effect, Report::HostSilent { pid: PID }));
    assert_eq!((w.phase("one"), w.run_of("one"), w.item("one").attempts), (Phase::Running, run, 0));
    let waits = wait::of_item(&w.state, w.id("one"));
    assert_eq!(waits.iter().map(|wait| wait.code).collect::<Vec<_>>(), [WaitCode::AgentOffline]);
    for word in ["4242", "`kill -CONT 4242`", &format!("`musher run kill {}`", run.short())] {
        assert!(waits[0].text.contains(word), "{word}: {}", waits[0].text);
    }
    let of_agent = wait::of_agent(&w.state, w.state.agent_named("a1").unwrap()).unwrap();
    assert!(of_agent.text.contains("`kill -CONT 4242`"), "{}", of_agent.text);

    w.report("one", "start_run", Report::HostAnswers);
    assert_eq!(w.names_since(seen), ["agent_offline", "agent_online"]);
    w.refused(Command::Report(effect, Report::HostAnswers));
    assert_eq!((status(&w), w.waits("one")), ("working", vec![]));
    w.end("one", finished("done"));
    assert_eq!(w.said("run_started"), 1);
}

#[test]
fn the_end_of_a_run_whose_host_was_silent_brings_its_agent_back() {
    for outcome in [Outcome::Cancelled, Outcome::Lost { while_down: false }, finished("done")] {
        let mut w = at_work(1);
        stop(&mut w, "one");
        let seen = w.events.len();
        w.end("one", outcome.clone());
        assert!(w.names_since(seen).contains(&"agent_online"), "{outcome:?}: {:?}", w.names_since(seen));
        assert_ne!(status(&w), "offline", "{outcome:?}");
        w.restart_and_compare();
    }
}

#[test]
fn the_end_of_the_only_run_that_is_heard_leaves_its_agent_offline() {
    let mut w = at_work(2);
    stop(&mut w, "one");
    assert_eq!((w.said("agent_offline"), status(&w)), (0, "working"));
    w.end("two", finished("done"));
    assert_eq!((w.said("agent_offline"), status(&w)), (1, "offline"));
}

#[test]
fn what_is_wrong_with_agents_that_could_not_take_it_anyway_is_not_said_of_an_item() {
    let mut w = World::new();
    let backend = w.agent(AgentSpec { roles: crate::world::words(&["backend"]), ..agent("maker") });
    let judge = w.agent(AgentSpec { roles: crate::world::words(&["reviewer"]), ..agent("judge") });
    let other = w.agent(AgentSpec { capabilities: crate::world::words(&["gpu"]), ..agent("other") });
    w.ok(Command::AgentChecked(backend, Some("the program of maker is missing".into())));
    w.ok(Command::AgentChecked(judge, Some("the program of judge is missing".into())));
    w.ok(Command::AgentChecked(other, Some("the program of other is missing".into())));
    let labelled = |mut item: musher_core::mission::MissionItem| {
        item.labels = crate::world::words(&["rust"]);
        item
    };
    w.mission(vec![item("one", &[]), labelled(item("two", &[]))]);
    let text = |w: &World, key: &str| wait::of_item(&w.state, w.id(key)).remove(0).text;
    let one = text(&w, "one");
    assert!(one.contains("maker is missing") && one.contains("other is missing"), "{one}");
    assert!(!one.contains("judge is missing") && one.contains("of a role that does not fit"), "{one}");
    let two = text(&w, "two");
    assert!(!two.contains("is missing") && two.contains("3 without a capability"), "{two}");
}
