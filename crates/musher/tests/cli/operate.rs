//! What operators do, through the daemon.

use crate::harness::{Repo, config};

const AGENT: &str = "title=$(head -n 1 \"$1\"); echo \"$title\" >\"file-$title\"; cat \"$1\"";

#[test]
fn the_daemon_comes_up_goes_down_and_says_how_it_stands() {
    let repo = Repo::with(&config("", ""), AGENT);
    let said = repo.musher(&["up", "--detach"]).ok();
    assert!(said.out.starts_with("musher is up"), "{}", said.out);
    let status = repo.musher(&["status", "--json"]).ok().json();
    for field in ["daemon", "missions", "items", "agents", "queue", "inbox", "cost_today_usd"] {
        assert!(!status[field].is_null(), "{field} in {status}");
    }
    let doctor = repo.musher(&["doctor", "--json"]).ok().json();
    assert!(doctor["checks"].as_array().unwrap().iter().all(|c| c["status"] == "pass"), "{doctor}");
    repo.musher(&["down"]).ok();
    repo.musher(&["status"]).refused(5, "no daemon");
    // Down and up again is no loss.
    repo.musher(&["up", "--detach"]).ok();
    repo.musher(&["down"]).ok();
}

#[test]
fn an_address_that_is_taken_is_told_and_listened_on_once_it_is_free() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let repo = Repo::with(&format!("{}[server]\nlisten = \"{address}\"\n", config("", "")), AGENT);
    let not = format!("not listening on {address}: Address already in use");
    let said = repo.musher(&["up", "--detach"]).ok();
    assert!(said.out.starts_with("musher is up") && said.out.contains(&not), "{}", said.out);
    let shown = repo.musher(&["status"]).ok().out;
    assert!(shown.contains(&not), "{shown}");
    let http = repo.musher(&["status", "--json"]).ok().json()["daemon"]["http"].clone();
    assert_eq!((&http["address"], &http["listening"]), (&address.as_str().into(), &false.into()), "{http}");

    drop(taken);
    repo.until_status(|status| status["daemon"]["http"]["listening"] == true);
    std::net::TcpStream::connect(&address).unwrap();
    let shown = repo.musher(&["status"]).ok().out;
    assert!(shown.contains(&format!("  listening on {address}")), "{shown}");
    repo.musher(&["down"]).ok();
    let said = repo.musher(&["up", "--detach", "--json"]).ok().json();
    assert_eq!(said["http"], serde_json::json!({"address": address, "listening": true}));
    repo.musher(&["down"]).ok();
}

#[test]
fn an_item_can_be_held_released_reviewed_and_looked_at() {
    let repo = Repo::with(&config("qa = \"human\"", ""), AGENT);
    let daemon = repo.up();
    let started = repo.musher(&["mission", "start", "--text", "careful", "--json"]).ok().json();
    let mission = started["mission"]["short_id"].as_str().unwrap().to_owned();
    let mut follower = repo.follow(0);
    let waiting = follower.until("item_waiting");
    let item = waiting["item"].as_str().unwrap().to_owned();
    assert_eq!(repo.musher(&["explain", &item, "--json"]).ok().json()["waits"][0]["code"], "approval");
    assert!(repo.musher(&["diff", &item]).ok().out.contains("+careful"));
    assert!(repo.musher(&["logs", &item]).ok().out.contains("careful"));
    assert!(repo.musher(&["inbox"]).ok().out.contains("musher approve"));

    repo.musher(&["item", "hold", &item, "not yet"]).ok();
    repo.musher(&["approve", &item]).refused(4, "held");
    repo.musher(&["item", "release", &item]).ok();
    repo.musher(&["reject", &item, "say please"]).ok();
    follower.until("item_waiting");
    let shown = repo.musher(&["item", "show", &item, "--json"]).ok().json();
    assert_eq!(shown["runs"].as_array().unwrap().len(), 2);
    let second = shown["runs"][1]["id"].as_str().unwrap();
    assert!(repo.musher(&["logs", second]).ok().out.contains("say please"), "the words are in the next prompt");

    repo.musher(&["mission", "note", &mission, "approve the-item-that-is-not-there"]).refused(2, "no item");
    repo.musher(&["approve", &item, "well done"]).ok();
    follower.until("mission_completed");
    assert_eq!(repo.titles()[0], "careful");
    repo.musher(&["mission", "pause", &mission]).refused(4, "completed");
    daemon.kill();
}

#[test]
fn an_item_is_frozen_demoted_superseded_reopened_and_turned_down() {
    let repo = Repo::with(&config("qa = \"human\"", "max_parallel_items = 4"), AGENT);
    let plan = "goal = \"three\"\n[[items]]\nid = \"a\"\ntitle = \"a\"\n[[items]]\nid = \"b\"\ntitle = \"b\"\n[[items]]\n\
                id = \"c\"\ntitle = \"c\"\ndepends_on = [\"b\"]\n";
    repo.write("three.plan.toml", plan);
    let daemon = repo.up();
    let started = repo.musher(&["mission", "start", "three.plan.toml", "--json"]).ok().json();
    let mission = started["mission"]["short_id"].as_str().unwrap().to_owned();
    let [a, b, c] = ["a", "b", "c"].map(|key| format!("{mission}/{key}"));
    let mut follower = repo.follow(0);
    follower.until("item_waiting");
    follower.until("item_waiting");
    let said = repo.musher(&["item", "freeze", &c, "the API is not decided"]).ok().out;
    assert!(said.contains("c is pending, and nothing begins for it until it is released"), "{said}");
    repo.musher(&["item", "freeze", &c]).refused(4, "while it is frozen");
    assert!(repo.musher(&["explain", &c]).ok().out.contains("frozen: the API is not decided"));
    repo.musher(&["item", "supersede", &b, "--by", "c"]).refused(2, "that waits for it: c → b");
    let said = repo.musher(&["item", "supersede", &b, "--by", "a"]).ok().out;
    assert!(said.contains("b is cancelled, and counts as done"), "{said}");
    assert_eq!(repo.musher(&["item", "show", &c, "--json"]).ok().json()["item"]["depends_on"][0], "a");
    repo.musher(&["item", "skip", &b]).refused(4, "while it is cancelled");

    repo.musher(&["item", "demote", &a, "later"]).ok();
    assert_eq!(repo.musher(&["item", "show", &a, "--json"]).ok().json()["item"]["state"], "pending");
    repo.musher(&["item", "release", &a]).ok();
    follower.until("item_waiting");
    repo.musher(&["approve", &a]).ok();
    follower.until("item_done");
    repo.musher(&["item", "demote", &a]).refused(4, "while it is done");
    repo.musher(&["item", "release", &c]).ok();
    follower.until("item_waiting");
    let said = repo.musher(&["reject", &c, "we do not want it", "--for-good"]).ok().out;
    assert!(said.contains("given up"), "{said}");
    let reason = repo.musher(&["item", "show", &c, "--json"]).ok().json()["item"]["reason"].clone();
    assert_eq!(reason, "rejected");

    let made = repo.musher(&["item", "reopen", &a, "say hello", "--json"]).ok().json();
    assert_eq!((made["item"]["key"].as_str(), made["item"]["kind"].as_str()), (Some("a-followup"), Some("followup")));
    follower.until("item_waiting");
    let log = repo.musher(&["logs", &format!("{mission}/a-followup")]).ok().out;
    assert!(log.contains("say hello") && log.contains("merged as"), "it is told what it follows up on: {log}");
    daemon.kill();
}

#[test]
fn a_paused_mission_starts_nothing_and_a_stopped_one_keeps_its_branches() {
    let repo = Repo::with(&config("", ""), AGENT);
    let daemon = repo.up();
    let started = repo.musher(&["mission", "start", "--text", "later", "--approve", "--json"]).ok().json();
    let mission = started["mission"]["short_id"].as_str().unwrap().to_owned();
    assert_eq!(started["mission"]["state"], "awaiting_approval");
    repo.musher(&["mission", "pause", &mission]).refused(4, "awaiting_approval");
    repo.musher(&["agent", "pause", "script"]).ok();
    repo.musher(&["mission", "approve", &mission]).ok();
    let explained = repo.musher(&["explain", &format!("{mission}/later"), "--json"]).ok().json();
    assert_eq!(explained["waits"][0]["code"], "agent_paused", "{explained}");
    repo.musher(&["agent", "resume", "script"]).ok();
    repo.follow(0).until("mission_completed");
    daemon.kill();
}

#[test]
fn a_live_run_can_be_killed_and_its_item_goes_on() {
    let agent = "if [ -e \"$MUSHER_WORKTREE/../../once\" ]; then echo work >work; else touch \"$MUSHER_WORKTREE/../../once\"; \
                 echo started; while :; do sleep 0.1; done; fi";
    let repo = Repo::with(&config("", ""), agent);
    let daemon = repo.up();
    repo.musher(&["mission", "start", "--text", "stubborn"]).ok();
    let mut follower = repo.follow(0);
    let run = follower.until("run_started")["run"].as_str().unwrap().to_owned();
    repo.musher(&["run", "kill", &run]).ok();
    let finished = follower.until("run_finished");
    assert_eq!(finished["body"]["outcome"], "cancelled");
    follower.until("mission_completed");
    let attempts = repo.musher(&["item", "list", "--json"]).ok().json()["items"][0]["attempts"].clone();
    assert_eq!(attempts, 0, "a run that was ended on request counts nothing");
    daemon.kill();
}

#[test]
fn a_backup_can_be_restored() {
    let repo = Repo::with(&config("", ""), AGENT);
    let daemon = repo.up();
    repo.musher(&["mission", "start", "--text", "kept"]).ok();
    repo.follow(0).until("mission_completed");
    repo.musher(&["backup", "outside-backup.db"]).ok();
    repo.musher(&["backup", "outside-backup.db"]).refused(4, "exists");
    daemon.kill();
    std::fs::remove_dir_all(repo.file(".musher")).unwrap();
    repo.musher(&["restore", "outside-backup.db"]).ok();
    let daemon = repo.up();
    let list = repo.musher(&["mission", "list", "--json"]).ok().json();
    assert_eq!(list["missions"][0]["goal"], "kept");
    daemon.kill();
}

#[test]
fn events_resume_exactly_where_a_reader_stopped() {
    let repo = Repo::with(&config("", ""), AGENT);
    let daemon = repo.up();
    repo.musher(&["mission", "start", "--text", "watched"]).ok();
    repo.follow(0).until("mission_completed");
    let all = repo.musher(&["events", "--json"]).ok();
    let seqs: Vec<u64> = all
        .out
        .lines()
        .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>(), "no gap, no repeat");
    let later = repo.musher(&["events", "--json", "--after", "3"]).ok();
    let first: serde_json::Value = serde_json::from_str(later.out.lines().next().unwrap()).unwrap();
    assert_eq!(first["seq"], 4);
    daemon.kill();
}

#[test]
fn completions_and_schemas_are_printed() {
    let repo = Repo::with(&config("", ""), AGENT);
    for shell in ["bash", "zsh", "fish"] {
        assert!(repo.musher(&["completions", shell]).ok().out.contains("musher"));
    }
    for arguments in [["plan", "schema"], ["config", "schema"]] {
        repo.musher(&arguments).ok().json();
    }
}

#[test]
fn what_changed_in_the_config_while_the_daemon_was_down_is_in_force_before_anything_is_decided() {
    let repo = Repo::with(&config("", "max_retries = 5"), "echo old >>\"$MUSHER_WORKTREE/../../ran\"; exit 1");
    let daemon = repo.up();
    repo.musher(&["mission", "start", "--text", "task"]).ok();
    repo.follow(0).until("item_retrying");
    repo.musher(&["down"]).ok();
    drop(daemon);
    let other = config("", "max_retries = 5").replace("agent.sh", "other.sh");
    repo.write("musher.toml", &other);
    repo.write("other.sh", "echo new >>\"$MUSHER_WORKTREE/../../ran\"; echo work >work");
    let daemon = repo.up();
    repo.follow(0).until("mission_completed");
    assert_eq!(repo.read(".musher/ran"), "old\nnew\n");
    daemon.kill();
}

#[test]
fn two_gates_never_run_in_one_worktree_even_when_the_first_is_slow_to_die() {
    // The first gate ignores being asked to end; it marks when it is gone only by no longer writing.
    let gate = "gate = \"\"\"sh -c 'trap \\\"\\\" TERM; d=$MUSHER_WORKTREE/../../gates; \
                mkdir $d 2>/dev/null || echo two >>$d.violations; n=0; \
                while [ $n -lt 20 ]; do sleep 0.05; n=$((n+1)); done; rmdir $d'\"\"\"";
    let repo = Repo::with(&config(gate, "").replace("gate = \"true\"\n", ""), AGENT);
    let daemon = repo.up();
    repo.musher(&["mission", "start", "--text", "task"]).ok();
    let mut follower = repo.follow(0);
    let item = follower.until("gate_started")["item"].as_str().unwrap().to_owned();
    repo.musher(&["item", "hold", &item]).ok();
    repo.musher(&["item", "release", &item]).ok();
    follower.until("mission_completed");
    assert_eq!(repo.read(".musher/gates.violations"), "");
    daemon.kill();
}

#[test]
fn a_gate_that_was_red_is_asked_again_after_item_retry() {
    let repo =
        Repo::with(&config("", "max_retries = 1").replace("gate = \"true\"", "gate = \"test -e ../../fixed\""), AGENT);
    let daemon = repo.up();
    repo.musher(&["mission", "start", "--text", "task"]).ok();
    let mut follower = repo.follow(0);
    let item = follower.until("item_dead_lettered")["item"].as_str().unwrap().to_owned();
    let shown = repo.musher(&["item", "show", &item, "--json"]).ok().json();
    assert!(shown["lesson"].as_str().unwrap().contains("the gate is red"), "{shown}");
    // What was wrong lay outside of the work: the same tree is judged anew.
    repo.write(".musher/fixed", "");
    repo.musher(&["item", "retry", &item]).ok();
    follower.until("mission_completed");
    daemon.kill();
}

#[test]
fn a_wish_that_a_missions_state_refuses_leaves_an_event() {
    let repo = Repo::with(&config("", ""), AGENT);
    let daemon = repo.up();
    let started = repo.musher(&["mission", "start", "--text", "task", "--json"]).ok().json();
    let mission = started["mission"]["id"].as_str().unwrap().to_owned();
    repo.follow(0).until("mission_completed");
    repo.musher(&["mission", "resume", &mission]).refused(4, "completed");
    let events = repo.musher(&["events", "--json", "--kind", "command_ignored"]).ok().out;
    assert!(events.contains("ignored resume from") && events.contains("while mission was completed"), "{events}");
    daemon.kill();
}

#[test]
fn a_broken_configuration_is_seen_where_a_person_looks_until_it_is_mended() {
    let repo = Repo::with(&config("", ""), "");
    let daemon = repo.up();
    let mut events = repo.follow(0);
    let good = repo.read("musher.toml");
    repo.write("musher.toml", &good.replace("[project]", "[project]\ngaet = \"true\""));
    let rejected = events.until("config_rejected");
    assert!(rejected["body"]["why"].as_str().unwrap().contains("gaet"), "{rejected}");
    let status = repo.musher(&["status", "--json"]).ok().json();
    assert_eq!(status["daemon"]["config_error"], rejected["body"]["why"]);
    let said = repo.musher(&["status"]).ok().out;
    assert!(said.contains("config    the last good one is in force: "), "{said}");
    // The same again is no news, another error is.
    repo.write("musher.toml", &good.replace("[project]", "[project]\ngaet = \"false\""));
    std::fs::remove_file(repo.file("musher.toml")).unwrap();
    assert_eq!(events.until("config_rejected")["body"]["why"], "`musher.toml` is gone");
    repo.write("musher.toml", &good);
    events.until("config_accepted");
    assert_eq!(repo.musher(&["status", "--json"]).ok().json()["daemon"]["config_error"], serde_json::Value::Null);
    assert!(!repo.musher(&["status"]).ok().out.contains("the last good one"));
    daemon.kill();
}
