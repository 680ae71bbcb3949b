//! Schedules: planned moments fire by themselves, each once, through kills and edits.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::{Chance, Repo, config};

fn repo(schedules: &str) -> Repo {
    Repo::with(&(config("", "") + schedules), "date +%N >>work")
}

fn finished(repo: &Repo, name: &str) -> Value {
    let mut follower = repo.follow(0);
    loop {
        let event = follower.until("schedule_finished");
        if event["body"]["schedule"] == name {
            return event["body"].clone();
        }
    }
}

fn seconds(moment: &Value) -> i64 {
    let moment: musher_core::time::Timestamp = moment.as_str().unwrap().parse().unwrap();
    moment.as_micros()
}

#[test]
fn a_schedule_of_the_configuration_makes_merged_work_by_itself() {
    let repo = repo("[[schedules]]\nname = \"tick\"\nevery = \"1s\"\nprompt = \"Write the time\"\n");
    let daemon = repo.up();
    assert_eq!(finished(&repo, "tick")["outcome"], "done");
    repo.musher(&["schedule", "disable", "tick"]).ok();
    let listed = repo.musher(&["schedule", "list", "--json"]).ok().json();
    assert_eq!(listed["schedules"][0]["status"].as_str().map(|s| s == "disabled" || s == "running"), Some(true));
    assert_eq!(repo.titles()[0], "Write the time");
    let history = repo.musher(&["schedule", "history", "tick", "--json"]).ok().json();
    let oldest = history["firings"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(oldest["outcome"], "done");
    let mission = oldest["mission"].as_str().unwrap();
    assert!(repo.musher(&["mission", "status", mission]).ok().out.contains("Write the time"));
    daemon.kill();
}

#[test]
fn what_checks_say_and_what_becomes_of_bad_ones() {
    let check = |name: &str, argv: &str, more: &str| {
        format!(
            "[[schedules]]\nname = \"{name}\"\nevery = \"1s\"\ncheck = {argv}\ncheck_timeout = \"1s\"\nprompt = \"x\"\n{more}\n"
        )
    };
    let schedules = [
        check("well", r#"["true"]"#, ""),
        check("ill", r#"["./ill"]"#, "run_on = \"success\""),
        check("missing", r#"["./nowhere"]"#, ""),
        check("plain", r#"["./plain"]"#, ""),
        check("unknown", r#"["no-such-program-anywhere"]"#, ""),
        // It sleeps, has a child that left its session, and prints without end.
        check("wild", r#"["sh", "-c", "setsid sleep 3600 & yes & sleep 3600"]"#, "run_on = \"success\""),
    ]
    .concat();
    let repo = repo(&schedules);
    repo.write("ill", "#!/bin/sh\necho the disk is full; exit 3\n");
    std::fs::set_permissions(repo.file("ill"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    repo.write("plain", "#!/bin/sh\n");
    let daemon = repo.up();
    let table = [
        ("well", "unneeded", "exit 0"),
        ("ill", "unneeded", "the disk is full"),
        ("missing", "failed", "No such file"),
        ("plain", "failed", "chmod +x"),
        ("unknown", "failed", "PATH"),
        ("wild", "unneeded", "longer than 1s"),
    ];
    for (name, outcome, words) in table {
        let end = finished(&repo, name);
        assert_eq!(end["outcome"], outcome, "{name}: {end}");
        assert!(end["text"].as_str().unwrap().contains(words), "{name}: {end}");
        repo.musher(&["schedule", "disable", name]).ok();
    }
    assert_eq!(repo.count_said("mission_started"), 0);
    let left = std::process::Command::new("du").args(["-sm", "--"]).arg(repo.file(".musher")).output().unwrap();
    let megabytes: u64 = String::from_utf8(left.stdout).unwrap().split('\t').next().unwrap().parse().unwrap();
    assert!(megabytes < 100, "{megabytes} MiB are left of a check's output");
    daemon.kill();
    repo.up().kill();
    repo.nothing_left();
}

#[test]
fn every_planned_moment_fires_once_through_kills() {
    let repo = repo(
        "[[schedules]]\nname = \"tick\"\nevery = \"1s\"\ncheck = [\"true\"]\nmisfire = \"all\"\noverlap = \"queue\"\n\
         prompt = \"x\"\n",
    );
    let mut random = Chance(7);
    for _ in 0..8 {
        let daemon = repo.up();
        let mut follower = repo.follow(0);
        for _ in 0..=random.below(3) {
            let kind = ["schedule_fired", "schedule_finished"][usize::try_from(random.below(2)).unwrap()];
            follower.until(kind);
        }
        daemon.kill();
    }
    let daemon = repo.up();
    finished(&repo, "tick");
    repo.musher(&["schedule", "disable", "tick"]).ok();
    let history = repo.musher(&["schedule", "history", "tick", "--limit", "1000", "--json"]).ok().json();
    let mut dues: Vec<i64> = history["firings"].as_array().unwrap().iter().map(|f| seconds(&f["due"])).collect();
    dues.sort_unstable();
    assert_eq!(dues.len(), dues.iter().collect::<BTreeSet<_>>().len(), "none twice");
    assert!(dues.windows(2).all(|pair| pair[1] - pair[0] == 1_000_000), "none left out: {dues:?}");
    assert_eq!(repo.count_said("schedule_fired"), dues.len());
    daemon.kill();
}

#[test]
fn a_schedule_is_added_fired_by_hand_edited_and_removed() {
    let repo = repo("");
    let daemon = repo.up();
    let add = |arguments: &[&str]| repo.musher(&[&["schedule", "add"], arguments].concat());
    let nightly =
        ["nightly", "--cron", "0 2 * * *", "--tz", "Europe/Berlin", "--prompt", "Tidy up", "--agent", "script"];
    assert!(add(&nightly).ok().out.contains("nightly is armed: cron 0 2 * * * (Europe/Berlin)"));
    add(&nightly).refused(4, "there is a schedule `nightly` already");
    add(&["x", "--cron", "0 0 30 2 *", "--prompt", "p"]).refused(2, "ever comes");
    add(&["x", "--cron", "0 2 * * *", "--tz", "Mars/Olympus", "--prompt", "p"]).refused(2, "Mars/Olympus");
    add(&["x", "--every", "0s", "--prompt", "p"]).refused(2, "at least 1s");
    add(&["x", "--at", "2001-01-01T00:00:00Z", "--prompt", "p"]).refused(2, "over");
    add(&["x", "--every", "5m"]).refused(2, "--prompt");
    add(&["x", "--every", "5m", "--note", "resume"]).refused(2, "--mission");
    add(&["X", "--every", "5m", "--prompt", "p"]).refused(2, "[a-z0-9_-]");
    repo.musher(&["schedule", "run", "nightl"]).refused(3, "did you mean `nightly`?");
    repo.musher(&["schedule", "run", "nightly"]).ok();
    assert_eq!(finished(&repo, "nightly")["outcome"], "done");
    assert_eq!(repo.titles()[0], "Tidy up");
    repo.musher(&["schedule", "disable", "nightly"]).ok();
    assert!(repo.musher(&["schedule", "show", "nightly"]).ok().out.contains("nightly is disabled"));
    repo.musher(&["schedule", "remove", "nightly"]).ok();
    assert!(repo.musher(&["schedule", "list"]).ok().out.contains("no schedules"));
    repo.musher(&["schedule", "history", "nightly"]).refused(3, "nightly");
    daemon.kill();
}
