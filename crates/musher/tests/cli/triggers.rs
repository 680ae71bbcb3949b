//! Triggers: what follows on events happens once for each, through kills and edits.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::{Chance, Repo, config};

fn repo(triggers: &str) -> Repo {
    Repo::with(&(config("", "") + triggers), "date +%N >>work")
}

/// The end of the first firing of this trigger.
fn finished(repo: &Repo, name: &str) -> Value {
    let mut follower = repo.follow(0);
    loop {
        let event = follower.until("trigger_finished");
        if event["body"]["trigger"] == name {
            return event["body"].clone();
        }
    }
}

/// The events of this kind.
fn events(repo: &Repo, kind: &str) -> Vec<Value> {
    let said = repo.musher(&["events", "--json"]).ok().out;
    let all = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|event| event["kind"] == kind).collect()
}

/// A mission that a person holds, so that nothing of it moves by itself.
fn held(repo: &Repo) -> String {
    let started = repo.musher(&["mission", "start", "--text", "wait", "--json"]).ok().json();
    let id = started["mission"]["id"].as_str().unwrap().to_owned();
    repo.musher(&["mission", "pause", &id]).ok();
    id
}

#[test]
fn a_trigger_of_the_configuration_makes_merged_work_of_an_event_and_not_of_its_own() {
    let repo = repo(
        "[[triggers]]\nname = \"after\"\non = { kinds = [\"item_*\"], to_state = \"done\" }\nprompt = \"Write the time\"\n",
    );
    let daemon = repo.up();
    let started = repo.musher(&["mission", "start", "--text", "first", "--json"]).ok().json();
    let first = started["mission"]["id"].as_str().unwrap().to_owned();
    assert_eq!(finished(&repo, "after")["outcome"], "done");
    assert_eq!((repo.count_said("trigger_fired"), repo.count_said("trigger_stopped")), (1, 1));
    let history = repo.musher(&["trigger", "history", "after", "--json"]).ok().json();
    let firing = &history["firings"][0];
    let cause = events(&repo, "item_done").into_iter().find(|event| event["mission"] == first.as_str()).unwrap();
    assert_eq!((&firing["event"], &firing["outcome"]), (&cause["seq"], &Value::from("done")));
    assert_eq!((&cause["from_state"], &cause["to_state"]), (&Value::from("merging"), &Value::from("done")));
    let made = events(&repo, "item_done").into_iter().find(|event| event["mission"] != first.as_str()).unwrap();
    assert_eq!(made["chain"].as_array().unwrap().len(), 1, "{made}");
    let shown = repo.musher(&["item", "list", "--json"]).ok().out;
    assert!(shown.contains("Trigger task: Write the time"), "{shown}");
    daemon.kill();
}

#[test]
fn every_event_is_answered_once_through_kills() {
    let repo = repo("");
    let daemon = repo.up();
    let mission = held(&repo);
    let add = ["trigger", "add", "echo", "--kind", "mission_weighed", "--note", "heard it", "--mission", &mission];
    repo.musher(&add).ok();
    repo.musher(&[
        "trigger",
        "add",
        "once",
        "--kind",
        "mission_weighed",
        "--mode",
        "once",
        "--note",
        "just once",
        "--mission",
        &mission,
    ])
    .ok();
    daemon.kill();
    let mut random = Chance(11);
    let mut acknowledged = 0;
    for round in 0..8u64 {
        let daemon = repo.up();
        let mut follower = repo.follow(0);
        for n in 0..=random.below(3) {
            let weight = (round * 5 + n + 2).to_string();
            repo.musher(&["mission", "weight", &mission, &weight]).ok();
            acknowledged += 1;
        }
        // At the event, at the fire, or at what came of it.
        let kinds = ["mission_weighed", "trigger_fired", "trigger_finished"];
        (0..=round).for_each(|_| drop(follower.until(kinds[usize::try_from(random.below(2)).unwrap()])));
        daemon.kill();
    }
    let daemon = repo.up();
    let mut follower = repo.follow(0);
    (0..=acknowledged).for_each(|_| drop(follower.until("trigger_finished")));
    let weighed: BTreeSet<u64> = events(&repo, "mission_weighed").iter().map(|e| e["seq"].as_u64().unwrap()).collect();
    assert_eq!(weighed.len(), acknowledged);
    let fired = events(&repo, "trigger_fired");
    let of = |name: &str| -> Vec<u64> {
        let of_it = fired.iter().filter(|event| event["body"]["trigger"] == name);
        of_it.map(|event| event["body"]["event"].as_u64().unwrap()).collect()
    };
    assert_eq!(of("echo").len(), acknowledged, "none twice");
    assert_eq!(of("echo").into_iter().collect::<BTreeSet<_>>(), weighed, "none left out");
    assert_eq!(of("once"), [*weighed.first().unwrap()]);
    let notes = events(&repo, "note_applied");
    let told = |text: &str| notes.iter().filter(|e| e["body"]["text"] == text).count();
    assert_eq!((told("heard it"), told("just once")), (acknowledged, 1));
    daemon.kill();
}

#[test]
fn a_trigger_is_added_tried_switched_off_and_on_and_removed() {
    let repo = repo("");
    let daemon = repo.up();
    let mission = held(&repo);
    let add = |arguments: &[&str]| repo.musher(&[&["trigger", "add"], arguments].concat());
    let echo = ["echo", "--kind", "mission_weighed", "--max-fires", "2", "--note", "heard", "--mission", &mission];
    assert!(add(&echo).ok().out.contains("echo is armed: mission_weighed"));
    add(&echo).refused(4, "there is a trigger `echo` already");
    add(&["x", "--kind", "mission_wieghed", "--prompt", "p"]).refused(2, "did you mean `mission_weighed`?");
    add(&["x", "--kind", "trigger_fired", "--prompt", "p"]).refused(2, "no trigger sees");
    add(&["x", "--to-state", "finished", "--prompt", "p"]).refused(2, "no item or mission is ever `finished`");
    add(&["x", "--prompt", "p"]).refused(2, "--kind");
    add(&["x", "--kind", "item_done"]).refused(2, "--prompt");
    add(&["x", "--kind", "item_done", "--note", "resume"]).refused(2, "--mission");
    add(&["x", "--kind", "item_done", "--prompt", "p", "--expires", "2001-01-01T00:00:00Z"]).refused(2, "over");
    add(&["X", "--kind", "item_done", "--prompt", "p"]).refused(2, "[a-z0-9_-]");
    repo.musher(&["trigger", "show", "ech"]).refused(3, "did you mean `echo`?");
    for weight in ["2", "3", "4"] {
        repo.musher(&["mission", "weight", &mission, weight]).ok();
    }
    finished(&repo, "echo");
    assert!(repo.musher(&["trigger", "show", "echo"]).ok().out.contains("echo is used up"));
    // Its mission has an agent, which ends its work meanwhile.
    let said = || ["mission_weighed", "note_applied", "trigger_fired"].map(|kind| repo.count_said(kind));
    let before = said();
    let tried = repo.musher(&["trigger", "test", "echo", "--since", "0", "--json"]).ok().json();
    assert_eq!((tried["fires"].as_u64(), tried["tried"].as_array().unwrap().len()), (Some(2), 3), "{tried}");
    assert_eq!(tried["tried"][2]["not"], "it is used up");
    let bounded = repo.musher(&["trigger", "test", "echo", "--since", "0", "--limit", "1"]).ok().out;
    assert!(bounded.contains("1 time(s)") && bounded.contains("there are more events"), "{bounded}");
    assert_eq!(said(), before, "a trial changes nothing");
    assert_eq!(repo.musher(&["trigger", "show", "echo", "--json"]).ok().json()["trigger"]["fires"], 2);
    repo.musher(&["trigger", "enable", "echo"]).ok();
    repo.musher(&["trigger", "disable", "echo"]).ok();
    repo.musher(&["mission", "weight", &mission, "5"]).ok();
    assert!(repo.musher(&["trigger", "list"]).ok().out.contains("disabled"));
    assert_eq!(repo.count_said("trigger_fired"), 2);
    repo.musher(&["trigger", "remove", "echo"]).ok();
    assert!(repo.musher(&["trigger", "list"]).ok().out.contains("no triggers"));
    daemon.kill();
}

#[test]
fn an_edit_of_the_file_is_taken_at_once_and_keeps_the_history() {
    let trigger = |kind: &str, more: &str| {
        format!("[[triggers]]\nname = \"t\"\non = {{ kinds = [\"{kind}\"] }}\nprompt = \"x\"\nmode = \"once\"\n{more}")
    };
    let repo = repo(&trigger("mission_weighed", ""));
    let daemon = repo.up();
    let mission = held(&repo);
    repo.musher(&["mission", "weight", &mission, "2"]).ok();
    let mut follower = repo.follow(0);
    follower.until("trigger_fired");
    let edit = |text: &str| repo.write("musher.toml", &(config("", "") + text));
    edit("");
    follower.until("trigger_disabled");
    let status = || repo.musher(&["trigger", "show", "t", "--json"]).ok().json()["trigger"]["status"].clone();
    assert_eq!(status(), "disabled");
    repo.musher(&["trigger", "enable", "t"]).refused(4, "musher.toml");
    edit(&trigger("mission_weighed", "cooldown = \"1m\"\n"));
    follower.until("trigger_defined");
    assert_eq!(status(), "used_up", "it is the one that fired before");
    edit(&trigger("mission_*", ""));
    follower.until("trigger_defined");
    assert_eq!(status(), "armed");
    let history = repo.musher(&["trigger", "history", "t", "--json"]).ok().json();
    assert_eq!(history["firings"].as_array().unwrap().len(), 1);
    let shown = repo.musher(&["config", "show"]).ok().out;
    assert!(shown.contains("[[triggers]]") && shown.contains("kinds = [\"mission_*\"]"), "{shown}");
    daemon.kill();
}
