//! `musher agent restart`: the runs of an agent end, it takes work again, and no attempt is spent.

use serde_json::Value;

use crate::harness::{Repo, config};

/// Works as long as its repository is there the first time, and at once the second.
const STUCK: &str = "once=\"$MUSHER_WORKTREE/../../once\"; if [ -e \"$once\" ]; then echo work >work; \
                     else echo begun >begun; touch \"$once\"; while [ -e \"$once\" ]; do sleep 0.1; done; fi";

fn agent(repo: &Repo) -> Value {
    repo.musher(&["agent", "list", "--json"]).ok().json()["agents"][0].clone()
}

fn only_item(repo: &Repo) -> Value {
    repo.musher(&["item", "list", "--json"]).ok().json()["items"][0].clone()
}

#[test]
fn its_run_is_interrupted_and_the_item_goes_on_where_it_was_uncounted() {
    let repo = Repo::with(&config("", "max_retries = 1"), STUCK);
    let daemon = repo.up();
    let started = repo.musher(&["mission", "start", "--text", "task", "--json"]).ok().json();
    let mission = started["mission"]["id"].as_str().unwrap().to_owned();
    let mut events = repo.follow(0);
    let first = events.until("run_started");
    // The agent itself has begun, not only its host.
    while !repo.file(".musher/once").exists() {
        std::thread::yield_now();
    }
    // What a person has paused works again after it, too.
    repo.musher(&["agent", "pause", "script"]).ok();
    assert_eq!(agent(&repo)["status"], "paused");

    repo.musher(&["agent", "restart", "scirpt"]).refused(3, "no agent");
    repo.musher(&["agent", "restart", "script"]).ok();
    assert_eq!(repo.count_said("run_stopping"), 1);
    assert_ne!(agent(&repo)["status"], "paused");
    let finished = events.until("run_finished");
    assert_eq!((&finished["run"], &finished["body"]["outcome"]), (&first["run"], &"cancelled".into()), "{finished}");
    let second = events.until("run_started");
    assert_eq!((second["item"] == first["item"], second["run"] == first["run"]), (true, false));
    repo.wait_for_end(&mission);
    let item = only_item(&repo);
    assert_eq!((&item["state"], &item["attempts"]), (&"done".into(), &0.into()), "{item}");
    assert_eq!(repo.git(&["show", "main:begun"]), "begun\n", "in the same worktree");
    let said = repo.musher(&["events", "--json", "--kind", "agent_restarted"]).ok().out;
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["body"]["runs"], 1);
    repo.nothing_left();
    daemon.kill();
}

#[test]
fn one_in_error_takes_work_again_once_its_program_is_there() {
    let plain = "[\"sh\", \"{root}/agent.sh\", \"{prompt_file}\"]";
    let repo = Repo::with(&config("", "max_retries = 1").replace(plain, "[\"{root}/outside-program\"]"), "");
    let daemon = repo.up();
    let started = repo.musher(&["mission", "start", "--text", "task", "--json"]).ok().json();
    let mission = started["mission"]["id"].as_str().unwrap().to_owned();
    let mut events = repo.follow(0);
    let offline = events.until("agent_offline");
    assert!(offline["body"]["why"].as_str().unwrap().contains("outside-program"), "{offline}");
    assert_eq!(agent(&repo)["status"], "error");

    // Nothing was mended: it is found again, and still nothing is counted. The item may have bounced off it once, before
    // its program was looked for.
    let assigned = repo.count_said("item_assigned");
    repo.musher(&["agent", "restart", "script"]).ok();
    assert_eq!(
        (repo.count_said("agent_restarted"), repo.count_said("item_assigned")),
        (1, assigned + 1),
        "it is given work at once"
    );
    events.until("agent_restarted");
    events.until("agent_offline");
    assert_eq!((&agent(&repo)["status"], &only_item(&repo)["attempts"]), (&"error".into(), &0.into()));

    repo.write("outside-program", "#!/bin/sh\necho work >work\n");
    assert!(
        std::process::Command::new("chmod").arg("+x").arg(repo.file("outside-program")).status().unwrap().success()
    );
    repo.musher(&["agent", "restart", "script"]).ok();
    repo.wait_for_end(&mission);
    let item = only_item(&repo);
    assert_eq!((&item["state"], &item["attempts"]), (&"done".into(), &0.into()), "{item}");
    assert_eq!(agent(&repo)["status"], "idle");
    daemon.kill();
}
