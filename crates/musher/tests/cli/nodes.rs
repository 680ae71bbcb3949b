//! Agents that work on another machine: they take work while that is heard.

use std::process::Child;

use crate::harness::{Lines, Repo, config};

fn on_a_box() -> Repo {
    Repo::with(&(config("", "") + "node = \"box\"\n"), "echo work >work")
}

/// Sends heartbeats until the test is over, however it ends.
struct Sender(Child);

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_agent_with_a_node_takes_nothing_until_its_node_is_heard() {
    let repo = on_a_box();
    let daemon = repo.up();
    let listed = repo.musher(&["node", "list"]).ok();
    assert!(listed.out.contains("offline") && listed.out.contains("never"), "{}", listed.out);
    let mission = repo.musher(&["mission", "start", "--text", "task", "--json"]).ok().json();
    let id = mission["mission"]["id"].as_str().unwrap();
    // It was looked for, and there was none.
    repo.follow(0).until("dispatch_failed_no_agent");
    let explained = repo.musher(&["explain", id]).ok().out;
    assert!(explained.contains("1 offline") && explained.contains("musher node heartbeat box"), "{explained}");
    let agents = repo.musher(&["agent", "list"]).ok().out;
    assert!(agents.contains("offline") && agents.contains("`box` was never heard"), "{agents}");
    repo.musher(&["node", "heartbeat", "bax"]).refused(3, "`bax`");
    let heard = repo.musher(&["node", "heartbeat", "box"]).ok();
    assert!(heard.out.contains("box is online: script"), "{}", heard.out);
    repo.wait_for_end(id);
    assert_eq!(repo.titles()[0], "task");
    let listed = repo.musher(&["node", "list", "--json"]).ok().json();
    assert!(listed["nodes"][0]["heartbeat"].is_string(), "{listed}");
    daemon.kill();
}

#[test]
fn heartbeats_go_on_while_no_daemon_runs_and_after_it_has_come_back() {
    let repo = on_a_box();
    let mut sender = Sender(repo.spawn(&["node", "heartbeat", "box", "--every", "1s"]));
    let daemon = repo.up();
    let mission = repo.musher(&["mission", "start", "--text", "task", "--json"]).ok().json();
    repo.wait_for_end(mission["mission"]["id"].as_str().unwrap());
    assert!(sender.0.try_wait().unwrap().is_none(), "it has given up");
    let line = Lines::of(sender.0.stdout.take().unwrap()).next();
    assert_eq!(line.as_deref(), Some("box is online: script"));
    daemon.kill();
}

#[test]
fn heartbeats_that_would_come_too_seldom_are_refused() {
    let repo = on_a_box();
    for every in ["0s", "31s", "often"] {
        repo.musher(&["node", "heartbeat", "box", "--every", every]).refused(2, "1s to 30s");
    }
    let daemon = repo.up();
    repo.musher(&["node", "heartbeat", "bax", "--every", "20s"]).refused(3, "`bax`");
    daemon.kill();
}

#[test]
fn an_agent_of_a_node_is_added_by_hand() {
    let repo = on_a_box();
    let daemon = repo.up();
    let added = repo.musher(&["agent", "add", "far", "--node", "attic", "--json", "--", "true"]).ok().json();
    assert_eq!((&added["agent"]["status"], &added["agent"]["node"]), (&"offline".into(), &"attic".into()));
    repo.musher(&["agent", "add", "near", "--node", "no host", "--", "true"]).refused(2, "no name of a node");
    daemon.kill();
}
