//! Run hosts that are stopped and not dead: their agent is offline until they answer, and their item is done once.

use crate::harness::{Daemon, Follower, Repo, config};

/// Works once it may.
const AGENT: &str = r#"
root=$(dirname "$0")
while [ ! -e "$root/outside-go" ]; do sleep 0.05; done
echo "$PPID" >>"$root/outside-runs"
echo work >work
"#;

/// A run whose host has been stopped, and is known to be: the id of the host's process, and of the mission.
fn stopped() -> (Repo, Daemon, Follower, String, String) {
    let repo = Repo::with(&config("", ""), AGENT);
    let daemon = repo.up_with(&[("MUSHER_LOOK_EVERY_MS", "50")]);
    let mission = repo.musher(&["mission", "start", "--text", "task", "--json"]).ok().json();
    let id = mission["mission"]["id"].as_str().unwrap().to_owned();
    let mut follower = repo.follow(0);
    follower.until("run_started");
    let hosts = repo.signal_where("STOP", |line| line.contains("run-host"));
    assert_eq!(hosts.len(), 1, "{hosts:?}");
    let offline = follower.until("agent_offline");
    let why = offline["body"]["why"].as_str().unwrap();
    assert!(why.contains(&format!("`kill -CONT {}`", hosts[0])), "{why}");
    (repo, daemon, follower, hosts[0].clone(), id)
}

#[test]
fn an_agent_whose_run_host_is_stopped_is_offline_until_it_answers_and_its_item_is_done_once() {
    let (repo, daemon, mut follower, host, mission) = stopped();
    let agents = repo.musher(&["agent", "list"]).ok().out;
    assert!(agents.contains("offline") && agents.contains("does not answer"), "{agents}");
    let explained = repo.musher(&["explain", &mission]).ok().out;
    assert!(explained.contains(&format!("kill -CONT {host}")) && explained.contains("musher run kill"), "{explained}");
    // The agent's own process goes on, and ends, while nobody hears of it.
    repo.write("outside-go", "");
    repo.signal_where("CONT", |line| line.contains("run-host"));
    follower.until("agent_online");
    repo.wait_for_end(&mission);
    assert_eq!((repo.titles()[0].as_str(), repo.read("outside-runs").lines().count()), ("task", 1));
    for (kind, times) in [("run_started", 1), ("item_done", 1), ("agent_offline", 1), ("agent_online", 1)] {
        assert_eq!(repo.count_said(kind), times, "{kind}");
    }
    repo.nothing_left();
    daemon.kill();
}

#[test]
fn a_run_whose_host_is_stopped_can_be_killed() {
    let (repo, daemon, mut follower, _, _) = stopped();
    let agents = repo.musher(&["agent", "list", "--json"]).ok().json();
    let run = agents["agents"][0]["runs"][0].as_str().unwrap().to_owned();
    repo.musher(&["run", "kill", &run]).ok();
    follower.until("run_finished");
    // The host may be heard once more before it ends, or be heard of by its end alone.
    assert_eq!(repo.count_said("agent_online"), 1);
    daemon.kill();
}

#[test]
fn an_agent_that_was_added_by_hand_is_probed_like_one_of_the_file_and_a_limit_needs_somebody_to_hold_for() {
    let repo = Repo::with(&config("", ""), AGENT);
    let daemon = repo.up();
    repo.musher(&["agent", "add", "hand", "--driver", "command", "--", "sh", "{root}/agent.sh"]).ok();
    let probed = repo.musher(&["agent", "probe", "hand"]).ok().out;
    assert!(probed.contains("agent hand: program"), "{probed}");
    repo.musher(&["agent", "probe", "hond"]).refused(3, "`hond`");

    repo.musher(&["quota", "set", "model:comand", "daily_tokens", "5"]).refused(3, "did you mean `command`? there are");
    repo.musher(&["quota", "set", "agent:hond", "daily_tokens", "5"]).refused(3, "`hand`");
    repo.musher(&["quota", "set", "mission:0197c3d2", "tokens", "5"]).refused(3, "musher mission list");
    repo.write("outside-go", "");
    let mission = repo.musher(&["mission", "start", "--text", "task", "--json"]).ok().json();
    let id = mission["mission"]["id"].as_str().unwrap();
    repo.wait_for_end(id);
    repo.musher(&["quota", "set", &format!("mission:{id}"), "tokens", "5"]).refused(4, "while it is completed");
    assert_eq!(repo.count_said("quota_set"), 0);
    daemon.kill();
    repo.musher(&["agent", "probe", "hand"]).refused(3, "musher up");
}
