//! The lease: a second musher is refused or waits, takes over from one that was paused for too long, and that one stops.

use std::process::Stdio;

use crate::harness::{Daemon, Repo, Said, config};

/// Works until somebody lets it end.
const AGENT: &str =
    "echo begun >>outside-runs\nuntil test -e \"$MUSHER_TEST_GO\"; do sleep 0.05; done\necho done >result\n";

fn repo() -> Repo {
    let config = config("min_free = 0", "").replace("max_load = 0", "max_load = 0\nenv = [\"MUSHER_TEST_GO\"]");
    // An address of its own, which nobody else will ask for.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = format!("{config}[server]\nlisten = \"{free}\"\n");
    Repo::with(&config, &AGENT.replace("outside-runs", "\"$MUSHER_TEST_GO.runs\""))
}

fn up(repo: &Repo) -> Daemon {
    repo.up_with(&[("MUSHER_TEST_GO", repo.file("outside-go").to_str().unwrap())])
}

/// A daemon with an agent at work.
fn at_work() -> (Repo, Daemon) {
    let repo = repo();
    let daemon = up(&repo);
    repo.musher(&["mission", "start", "--text", "slow"]).ok();
    repo.follow(0).until("run_started");
    (repo, daemon)
}

/// As if so many seconds had passed since the lease was renewed.
fn pass(repo: &Repo, seconds: i64) {
    let conn = rusqlite::Connection::open(repo.file(".musher/musher.db")).unwrap();
    let changed = conn.execute("UPDATE leases SET renewed = renewed - ?1", [seconds * 1_000_000]).unwrap();
    assert_eq!(changed, 1);
}

#[test]
fn a_paused_holder_loses_its_lease_after_90_seconds_and_stops_when_it_comes_back() {
    let (repo, first) = at_work();
    let shown = repo.musher(&["mission", "status", "--dispatcher"]).ok().out;
    assert!(shown.contains(&format!("process {}", first.pid())) && shown.contains("fence 1, until 2"), "{shown}");
    let runs = repo.read("outside-go.runs");
    first.signal("STOP");
    let who = format!("in use by process {}", first.pid());
    pass(&repo, 60);
    repo.musher(&["up"]).refused(4, &who);
    repo.musher(&["up"]).refused(4, "musher up --wait");
    pass(&repo, 31);
    let second = up(&repo);
    let shown = repo.musher(&["status"]).ok().out;
    assert!(shown.contains("not listening on 127.0.0.1"), "the first one still does: {shown}");
    let lease = repo.musher(&["mission", "status", "--json"]).ok().json()["dispatcher"]["lease"].clone();
    assert_eq!((&lease["pid"], &lease["fence"]), (&second.pid().into(), &2.into()), "{lease}");

    first.signal("CONT");
    repo.write("outside-go", "");
    assert_eq!(first.end(), Some(4), "{}", repo.read("outside-daemon.log"));
    let log = repo.read("outside-daemon.log");
    assert!(log.contains(&format!("another musher has taken over (process {}", second.pid())), "{log}");
    repo.until_status(|status| status["daemon"]["http"]["listening"] == true);
    let show = repo.musher(&["mission", "status", "--json"]).ok().json();
    repo.wait_for_end(show["mission"]["id"].as_str().unwrap());
    assert_eq!((repo.titles().len(), repo.read("outside-go.runs")), (2, runs), "it ran once, and was merged once");
    repo.musher(&["up"]).refused(4, &format!("in use by process {}", second.pid()));
    repo.nothing_left();
    second.kill();
    assert_eq!(repo.musher(&["events", "--json"]).code, 5);
}

#[test]
fn a_second_musher_is_refused_with_who_holds_the_state_or_waits_for_it() {
    let repo = repo();
    let first = up(&repo);
    repo.musher(&["up"]).refused(4, &format!("in use by process {} on ", first.pid()));
    repo.musher(&["up"]).refused(4, " since 2");
    pass(&repo, 1_000);
    repo.musher(&["up"]).refused(4, "in use by process");
    let mut second = repo.command(&["up", "--wait"]);
    let mut second = second.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    // One that was killed needs no waiting.
    first.kill();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(second.stdout.take().unwrap()), &mut line).unwrap();
    assert!(line.starts_with("musher is up"), "{line}");
    let said = Said::from(repo.command(&["down"]).output().unwrap());
    assert_eq!(said.code, 0, "{said:?}");
    assert!(second.wait().unwrap().success());
}

#[test]
fn whoever_asks_a_stopped_daemon_is_told_so_and_no_stream_is_cut() {
    let repo = repo();
    let daemon = up(&repo);
    let mut events = repo.follow(0);
    events.until("daemon_started");
    daemon.signal("STOP");
    let words = format!("the daemon (process {}) is stopped", daemon.pid());
    let fix = format!("`kill -CONT {}` lets it go on, or `musher up --wait` takes over", daemon.pid());
    let commands: [&[&str]; 8] = [
        &["status"],
        &["status", "--watch"],
        &["inbox"],
        &["mission", "note", "1234", "slower"],
        &["mission", "start", "--text", "lost"],
        &["events", "-f"],
        &["logs", "1234"],
        &["down"],
    ];
    // All at once, for each of them is told after a while.
    std::thread::scope(|threads| {
        for command in commands {
            threads.spawn(|| {
                let said = repo.musher(command);
                said.refused(5, &words);
                said.refused(5, &fix);
            });
        }
        threads.spawn(|| {
            let doctor = repo.musher(&["doctor"]);
            assert!(doctor.code == 1 && doctor.out.contains(&format!("fail  daemon: {words}")), "{doctor:?}");
        });
    });
    daemon.signal("CONT");
    repo.write("outside-go", "");
    let started = repo.musher(&["mission", "start", "--text", "slow", "--json"]).ok().json();
    while events.until("mission_completed")["mission"] != started["mission"]["id"] {}
    assert_eq!(repo.count_said("mission_started"), 1, "what was refused has not happened");
    daemon.kill();
}
