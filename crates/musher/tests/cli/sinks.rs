//! Sinks of the real daemon: killed at any moment, it sends everything and writes every line once.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

use serde_json::Value;

use crate::harness::{Repo, config};

const AGENT: &str = "echo \"works on $1\"; name=$(head -n 1 \"$1\"); echo \"$name\" >\"file-$name\"\n";
const ITEMS: usize = 6;

/// A request that waits for its answer.
struct Hit {
    event: Value,
    stream: TcpStream,
}

impl Hit {
    fn seq(&self) -> u64 {
        self.event["seq"].as_u64().unwrap()
    }

    fn answer(mut self, status: &str) {
        // Who asked may be dead by now.
        let _ = self
            .stream
            .write_all(format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").as_bytes());
    }
}

/// A receiver of webhooks on an address of its own.
fn receiver() -> (String, mpsc::Receiver<Hit>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/events", listener.local_addr().unwrap());
    let (sender, hits) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            if let Some(hit) = read(stream)
                && sender.send(hit).is_err()
            {
                return;
            }
        }
    });
    (url, hits)
}

/// The request, if it comes whole.
fn read(stream: TcpStream) -> Option<Hit> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            Some(("content-length", n)) => length = n.parse().ok()?,
            Some(("x-musher-signature", signature)) => assert!(signature.starts_with("sha256="), "{signature}"),
            Some(_) => {}
            None if line.starts_with("POST ") => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Hit { event: serde_json::from_slice(&body).ok()?, stream })
}

fn with_sinks(url: &str, file: &str) -> String {
    let sinks = format!(
        "[[sinks]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"{url}\"\nsecret = \"env:HOOK_SECRET\"\nfrom = \"start\"\n\
         [[sinks]]\nname = \"log\"\nkind = \"file\"\npath = \"{file}\"\nmax_size = \"4kB\"\nkeep = 1000\nfrom = \"start\"\n"
    );
    config("", "max_parallel_items = 2") + &sinks
}

fn plan() -> String {
    (0..ITEMS).fold(String::from("goal = \"tell everybody\"\n"), |plan, n| {
        format!("{plan}[[items]]\nid = \"i{n}\"\ntitle = \"item-{n}\"\n")
    })
}

/// The events of all files of the sink, the oldest first; every line is whole.
fn lines(repo: &Repo) -> Vec<u64> {
    let numbered = |n: u32| repo.read(&format!("outside-log.ndjson.{n}"));
    let mut text: String = (1..=1000).rev().map(numbered).collect();
    text += &repo.read("outside-log.ndjson");
    text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["seq"].as_u64().unwrap()).collect()
}

#[track_caller]
fn sink(repo: &Repo, name: &str) -> Value {
    let list = repo.musher(&["sink", "list", "--json"]).ok().json();
    list["sinks"].as_array().unwrap().iter().find(|sink| sink["name"] == name).unwrap().clone()
}

#[test]
fn a_daemon_that_is_killed_while_it_delivers_sends_everything_in_order_and_writes_every_line_once() {
    let (url, hits) = receiver();
    let repo = Repo::with(&with_sinks(&url, "outside-log.ndjson"), AGENT);
    repo.write("all.plan.toml", &plan());
    let environment = [("HOOK_SECRET", "hunter2hunter2")];
    let mut daemon = repo.up_with(&environment);
    let started = repo.musher(&["mission", "start", "all.plan.toml", "--json"]).ok().json();
    let mission = started["mission"]["id"].as_str().unwrap().to_owned();
    let mut seen: Vec<u64> = Vec::new();
    let mut kills = 0;
    let mut over = false;
    while !over {
        let hit = hits.recv().unwrap();
        over = hit.event["kind"] == "mission_completed";
        seen.push(hit.seq());
        // Killed when the receiver has the event and musher has no answer, and between that and the next event.
        if seen.len().is_multiple_of(9) && kills < 10 {
            daemon.kill();
            kills += 1;
            hit.answer("200 OK");
            daemon = repo.up_with(&environment);
        } else {
            hit.answer("200 OK");
            if seen.len() % 9 == 4 && kills < 10 {
                daemon.kill();
                kills += 1;
                daemon = repo.up_with(&environment);
            }
        }
    }
    assert!(kills >= 6, "{kills} kills fell into the mission");
    // What comes after the mission comes too.
    let rest = std::thread::spawn(move || {
        let mut seen = Vec::new();
        while let Ok(hit) = hits.recv() {
            let last = hit.event["kind"] == "settings_changed";
            seen.push(hit.seq());
            hit.answer("200 OK");
            if last {
                return seen;
            }
        }
        seen
    });
    repo.wait_for_end(&mission);
    // The last event is one that is told apart: another gate.
    daemon.kill();
    repo.write("musher.toml", &with_sinks(&url, "outside-log.ndjson").replace("gate = \"true\"", "gate = \"true #\""));
    daemon = repo.up_with(&environment);
    seen.extend(rest.join().unwrap());
    let last = *seen.last().unwrap();

    let doubled = seen.windows(2).filter(|pair| pair[0] == pair[1]).count();
    seen.dedup();
    assert_eq!(seen, (1..=last).collect::<Vec<_>>(), "every event, in order, and repeated at most at once");
    assert!(doubled <= kills + 1, "{doubled} repeated in {kills} kills");
    while sink(&repo, "log")["behind"] != 0 {}
    let lines = lines(&repo);
    assert_eq!(lines, (1..=lines.len() as u64).collect::<Vec<_>>());
    assert!(lines.len() as u64 >= last && repo.file("outside-log.ndjson.3").exists());
    daemon.kill();
}

#[test]
fn a_failing_sink_is_seen_and_a_test_shows_its_answer() {
    let (url, hits) = receiver();
    let repo = Repo::with(&with_sinks(&url, "outside-log.ndjson"), AGENT);
    let refused = repo.musher(&["up"]);
    refused.refused(2, "`env:HOOK_SECRET` is not set");
    let daemon = repo.up_with(&[("HOOK_SECRET", "hunter2hunter2")]);
    hits.recv().unwrap().answer("503 Closed for today");
    let mut follower = repo.follow(0);
    let failed = follower.until("delivery_failed");
    assert_eq!((failed["body"]["sink"].as_str(), failed["body"]["event"].as_u64()), (Some("hook"), Some(1)));

    let shown = repo.musher(&["sink", "list"]).ok().out;
    assert!(shown.contains("failing since") && shown.contains("it answered 503 Service Unavailable"), "{shown}");
    assert!(!shown.contains("/events"), "an address may hold a secret: {shown}");
    let status = repo.musher(&["status"]).ok().out;
    assert!(status.contains("sink hook fails"), "{status}");

    let answers = std::thread::spawn(move || {
        let mut tests = 0;
        while let Ok(hit) = hits.recv() {
            tests += usize::from(hit.event["kind"] == "sink_test");
            let taken = tests > 1;
            hit.answer(if taken { "200 OK" } else { "500 No" });
        }
    });
    let tested = repo.musher(&["sink", "test", "hook"]);
    assert_eq!((tested.code, tested.out.trim()), (1, "hook: it answered 500 Internal Server Error"));
    let tested = repo.musher(&["sink", "test", "hook", "--json"]).ok().json();
    assert_eq!((tested["ok"].as_bool(), tested["answer"].as_str()), (Some(true), Some("it answered 200 OK")));
    follower.until("delivery_recovered");
    repo.musher(&["sink", "test", "hok"]).refused(3, "no sink `hok`");

    repo.write("musher.toml", &config("", ""));
    while !repo.musher(&["sink", "list", "--json"]).ok().json()["sinks"].as_array().unwrap().is_empty() {}
    daemon.kill();
    drop(answers);
}

#[test]
fn a_sink_that_cannot_be_is_refused_by_the_check_and_shows_no_secret() {
    let bad = "[[sinks]]\nname = \"hook\"\nkind = \"webhook\"\nurl = \"http://x\"\nsecret = \"hunter2\"\nkinds = [\"item_dne\"]\n";
    let repo = Repo::with(&(config("", "") + bad), AGENT);
    let said = repo.musher(&["config", "check"]);
    said.refused(2, "the webhook's `secret` is no reference");
    assert!(said.err.contains("did you mean `item_done`?") && !said.err.contains("hunter2"), "{}", said.err);
}
