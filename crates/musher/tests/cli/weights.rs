//! Weights of missions, as a person says them and sees them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::{Repo, Said, config};

/// Leaves a file of its own, so that nothing conflicts.
const AGENT: &str = "echo done >\"file-$MUSHER_ITEM\"\n";

fn plan(goal: &str, policy: &str, items: usize) -> String {
    let items: String =
        (0..items).map(|n| format!("[[items]]\nid = \"{goal}-{n}\"\ntitle = \"{goal} {n}\"\n")).collect();
    format!("goal = \"{goal}\"\n[policy]\n{policy}\n{items}")
}

/// A repository whose only agent takes nothing until it is resumed.
fn resting() -> (Repo, crate::harness::Daemon) {
    let repo =
        Repo::with(&config("min_free = 0", "max_parallel_items = 20").replace("max_load = 0", "max_load = 1"), AGENT);
    let daemon = repo.up();
    repo.musher(&["agent", "pause", "script"]).ok();
    (repo, daemon)
}

fn start(repo: &Repo, arguments: &[&str]) -> Value {
    let mut all = vec!["mission", "start", "--json"];
    all.extend(arguments);
    repo.musher(&all).ok().json()["mission"].clone()
}

fn missions(repo: &Repo) -> usize {
    repo.musher(&["mission", "list", "--all", "--json"]).ok().json()["missions"].as_array().unwrap().len()
}

#[test]
fn a_weight_is_said_at_the_start_by_the_plan_or_later_and_status_shows_it() {
    let (repo, _daemon) = resting();
    repo.write("five.plan.toml", &plan("five", "weight = 5", 1));
    let plain = start(&repo, &["--text", "plain"]);
    assert_eq!(plain["policy"]["weight"], 1, "{plain}");
    assert_eq!(start(&repo, &["five.plan.toml"])["policy"]["weight"], 5);
    let over = start(&repo, &["five.plan.toml", "--weight", "100"]);
    assert_eq!(over["policy"]["weight"], 100, "what is typed wins over the plan");

    let id = plain["short_id"].as_str().unwrap();
    let shown = |id: &str| repo.musher(&["mission", "status", id]).ok().out;
    assert!(!shown(id).contains("weight"), "1 is not worth a word: {}", shown(id));
    assert!(shown(over["short_id"].as_str().unwrap()).contains("weight 100"));

    let said = repo.musher(&["mission", "weight", id, "3"]).ok().out;
    assert_eq!(said, format!("mission {id} weighs 3\n"));
    assert!(shown(id).contains("weight 3"), "{}", shown(id));
    let status = repo.musher(&["mission", "status", id, "--json"]).ok().json();
    assert_eq!(status["mission"]["policy"]["weight"], 3, "{status}");

    let document = repo.musher(&["mission", "weight", id, "7", "--json"]).ok().json();
    let keys: Vec<&String> = document.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["mission"], "{document}");
    assert_eq!((&document["mission"]["id"], &document["mission"]["policy"]["weight"]), (&plain["id"], &7.into()));
    assert_eq!(repo.count_said("mission_weighed"), 2);
    repo.musher(&["mission", "weight", id, "7"]).ok();
    assert_eq!(repo.count_said("mission_weighed"), 2, "the same again is no change");
}

#[test]
fn what_is_no_weight_is_refused_with_what_would_be_and_changes_nothing() {
    let (repo, _daemon) = resting();
    let mission = start(&repo, &["--text", "one", "--weight", "2"]);
    let id = mission["short_id"].as_str().unwrap();
    let weighs =
        || repo.musher(&["mission", "status", id, "--json"]).ok().json()["mission"]["policy"]["weight"].clone();
    let named = |said: &Said, words: &[&str]| {
        words.iter().for_each(|word| assert!(said.err.contains(word), "{word:?} is not in: {}", said.err));
    };

    for (value, words) in [
        ("0", ["a mission cannot weigh 0", "from 1 to 100"]),
        ("101", ["a mission cannot weigh 101", "from 1 to 100"]),
        ("4294967295", ["a mission cannot weigh 4294967295", "from 1 to 100"]),
        ("4294967296", ["'4294967296'", "WEIGHT"]),
        ("99999999999999999999999", ["'99999999999999999999999'", "WEIGHT"]),
        ("-1", ["'-1'", "mission weight"]),
        ("heavy", ["'heavy'", "WEIGHT"]),
        ("1.5", ["'1.5'", "WEIGHT"]),
        ("", ["''", "WEIGHT"]),
    ] {
        let said = repo.musher(&["mission", "weight", id, value]);
        said.refused(2, "");
        named(&said, &words);
    }
    assert_eq!((weighs(), repo.count_said("mission_weighed")), (2.into(), 0));

    for (value, words) in [
        ("--weight=0", ["`--weight 0` is no weight of a mission", "say 1 to 100"]),
        ("--weight=101", ["`--weight 101` is no weight of a mission", "say 1 to 100"]),
        ("--weight=4294967296", ["'4294967296'", "--weight"]),
        ("--weight=-1", ["'-1'", "--weight"]),
        ("--weight=heavy", ["'heavy'", "--weight"]),
    ] {
        let said = repo.musher(&["mission", "start", "--text", "two", value]);
        said.refused(2, "");
        named(&said, &words);
    }

    for value in ["0", "-1", "101", "99999999999", "1.5", "\"heavy\"", "[1]"] {
        repo.write("wrong.plan.toml", &plan("wrong", &format!("weight = {value}"), 1));
        for command in [&["plan", "check", "wrong.plan.toml"][..], &["mission", "start", "wrong.plan.toml"]] {
            let said = repo.musher(command);
            said.refused(2, "wrong.plan.toml");
            named(&said, &["3:", "`weight` must be a whole number from 1 to 100"]);
        }
    }
    assert_eq!(missions(&repo), 1);

    for unknown in ["ffffffff", "0197c3d2-0000-7000-8000-000000000001"] {
        repo.musher(&["mission", "weight", unknown, "3"]).refused(3, "no mission");
    }
    repo.musher(&["mission", "stop", id]).ok();
    repo.musher(&["mission", "weight", id, "3"]).refused(4, "cannot weigh mission");
    assert_eq!(weighs(), 2);
}

#[test]
fn two_missions_of_weights_1_and_3_share_one_agent_by_one_and_three() {
    const ITEMS: usize = 12;
    let (repo, _daemon) = resting();
    repo.write("light.plan.toml", &plan("light", "", ITEMS));
    repo.write("heavy.plan.toml", &plan("heavy", "weight = 3", ITEMS));
    let light = start(&repo, &["light.plan.toml"])["id"].clone();
    let heavy = start(&repo, &["heavy.plan.toml"])["id"].clone();
    repo.musher(&["agent", "resume", "script"]).ok();

    let mut follower = repo.follow(0);
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    let mut order = String::new();
    for n in 1..=12 {
        let mission = follower.until("item_assigned")["mission"].clone();
        order.push(if mission == heavy { 'H' } else { 'l' });
        assert!(mission == heavy || mission == light);
        *taken.entry(mission.as_str().unwrap().to_owned()).or_default() += 1;
        // At no moment is either more than one behind its share.
        let of_heavy = 4 * taken.get(heavy.as_str().unwrap()).copied().unwrap_or(0);
        assert!(of_heavy.abs_diff(3 * n) <= 4, "{order}");
    }
    assert_eq!((taken[heavy.as_str().unwrap()], taken[light.as_str().unwrap()]), (9, 3), "{order}");
}
