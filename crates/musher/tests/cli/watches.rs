//! Watches: people add, see, snooze and close them; programs and addresses are asked within bounds.

use std::io::{Read, Write};
use std::net::TcpListener;

use serde_json::Value;

use crate::harness::{Repo, config};

const PLAN: &str = r#"
goal = "Wait for what lies outside"
[policy]
watch_interval_secs = 1
[[items]]
id = "a"
title = "Write a"
after = [{ command = ["test", "-e", "outside ready"] }]
"#;

fn repo() -> Repo {
    let repo = Repo::with(&config("", ""), "date +%N >>work");
    repo.write("outside-plan.toml", PLAN);
    repo
}

fn watches(repo: &Repo, more: &[&str]) -> Vec<Value> {
    let arguments = [&["watch", "list", "--json"][..], more].concat();
    repo.musher(&arguments).ok().json()["watches"].as_array().unwrap().clone()
}

#[test]
fn a_watch_of_a_plan_holds_its_item_until_it_is_met_and_people_see_snooze_and_close_it() {
    let repo = repo();
    let daemon = repo.up();
    let started = repo.musher(&["mission", "start", "outside-plan.toml", "--json"]).ok().json();
    let mission = started["mission"]["short_id"].as_str().unwrap().to_owned();
    let item = format!("{mission}/a");
    let listed = watches(&repo, &[]);
    let id = listed[0]["short_id"].as_str().unwrap();
    assert_eq!((&listed[0]["kind"], &listed[0]["target"]), (&"command".into(), &"test -e outside ready".into()));
    assert_eq!((&listed[0]["key"], &listed[0]["holds"]), (&"a".into(), &"start".into()));
    let text = repo.musher(&["watch", "list"]).ok().out;
    assert!(text.contains(&item) && text.contains("test -e outside ready"), "{text}");

    // Another is added, and is closed again by hand.
    let added = repo.musher(&["watch", "add", &item, "--json", "--", "false"]).ok().json();
    let second = added["watch"]["id"].as_str().unwrap().to_owned();
    let twice = repo.musher(&["watch", "add", &item, "--", "false"]);
    assert_eq!((twice.code, twice.err.contains("already")), (4, true), "{twice:?}");
    repo.musher(&["watch", "snooze", &second, "12h"]).ok();
    let shown = repo.musher(&["watch", "show", &second]).ok().out;
    assert!(shown.contains("is snoozed") && shown.contains("rests until"), "{shown}");
    let closed = repo.musher(&["watch", "close", &second]).ok().out;
    assert!(closed.contains("closed by"), "{closed}");
    let again = repo.musher(&["watch", "remove", &second]);
    assert_eq!((again.code, again.err.contains("while it is done")), (4, true), "{again:?}");
    assert_eq!((watches(&repo, &[&mission]).len(), watches(&repo, &[&mission, "--all"]).len()), (1, 2));

    for (arguments, code, words) in [
        (&["watch", "show", "ffffffff"][..], 3, "no watch `ffffffff`"),
        (&["watch", "add", &item, "--url", "ftp://h/"], 2, "does not begin with https:// or http://"),
        (&["watch", "add", &item, "--issue", "x"], 2, "`x` names no issue"),
        (&["watch", "add", &item], 2, "required"),
        (&["watch", "add", &item, "--url", "http://h/", "--issue", "#1"], 2, "cannot be used with"),
        (&["watch", "snooze", id, "soon"], 2, "write a span"),
    ] {
        let said = repo.musher(arguments);
        assert_eq!((said.code, said.err.contains(words)), (code, true), "{arguments:?}: {said:?}");
    }

    repo.write("outside ready", "");
    repo.follow(0).until("mission_completed");
    repo.follow(0).until("worktree_removed");
    daemon.kill();
    repo.nothing_left();
}

#[test]
fn resume_tells_which_watches_it_has_overridden() {
    let repo = repo();
    let daemon = repo.up();
    let started = repo.musher(&["mission", "start", "outside-plan.toml", "--json"]).ok().json();
    let mission = started["mission"]["id"].as_str().unwrap();
    let mut events = repo.follow(0);
    events.until("mission_blocked");
    let said = repo.musher(&["mission", "resume", mission]).ok().out;
    assert!(said.contains("resumed; 1 watches overridden by"), "{said}");
    let event = events.until("watches_overridden");
    assert_eq!(event["body"]["which"][0], "command test -e outside ready of a");
    events.until("mission_completed");
    daemon.kill();
}

#[test]
fn a_program_that_hangs_with_its_children_and_prints_without_end_is_ended_as_a_whole() {
    let repo = repo();
    let wild = "setsid sleep 3599 & yes & sleep 3599";
    let plan = PLAN.replace(r#"["test", "-e", "outside ready"]"#, &format!("[\"sh\", \"-c\", \"{wild}\"]"));
    repo.write("outside-plan.toml", &plan);
    let daemon = repo.up();
    repo.musher(&["mission", "start", "outside-plan.toml"]).ok();
    // It is ended after 30 s, says so, and is asked again; nothing of the first try is there then.
    let seen = loop {
        let watch = watches(&repo, &[]).remove(0);
        if watch["seen"] == "pending" {
            break watch;
        }
        std::thread::yield_now();
    };
    assert!(seen["text"].as_str().unwrap().contains("took too long and was ended"), "{seen}");
    let left = std::process::Command::new("du").args(["-sm", "--"]).arg(repo.file(".musher")).output().unwrap();
    let megabytes: u64 = String::from_utf8(left.stdout).unwrap().split('\t').next().unwrap().parse().unwrap();
    assert!(megabytes < 100, "{megabytes} MiB are left of its output");
    let id = watches(&repo, &[])[0]["id"].as_str().unwrap().to_owned();
    repo.musher(&["watch", "close", &id]).ok();
    repo.follow(0).until("mission_completed");
    daemon.kill();
    repo.up().kill();
    repo.nothing_left();
}

#[test]
fn an_address_is_asked_for_its_status_alone_and_no_redirect_is_followed() {
    let repo = repo();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // A redirect to itself, then an answer without an end.
    let server = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for answer in ["302 Found\r\nlocation: /elsewhere", "200 OK\r\ntransfer-encoding: chunked"] {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 4096];
            let read = stream.read(&mut head).unwrap();
            asked.push(String::from_utf8_lossy(&head[..read]).lines().next().unwrap_or_default().to_owned());
            let _ = write!(stream, "HTTP/1.1 {answer}\r\n\r\n");
            if answer.starts_with("200") {
                let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
                // Whoever reads it all never comes to an end.
                for _ in 0..100_000 {
                    if stream.write_all(chunk.as_bytes()).is_err() {
                        return asked;
                    }
                }
                panic!("gigabytes were read");
            }
        }
        asked
    });
    let plan = PLAN.replace(r#"command = ["test", "-e", "outside ready"]"#, &format!("url = \"http://{address}/up\""));
    repo.write("outside-plan.toml", &plan);
    let daemon = repo.up();
    repo.musher(&["mission", "start", "outside-plan.toml"]).ok();
    repo.follow(0).until("mission_completed");
    assert_eq!(server.join().unwrap(), ["GET /up HTTP/1.1", "GET /up HTTP/1.1"]);
    daemon.kill();
}
