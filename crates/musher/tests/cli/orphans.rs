//! What nobody owns: found at start, settled, and said; work that is nowhere else is never deleted.

use serde_json::Value;

use crate::harness::{Follower, Repo, config};

/// Makes itself known outside, writes when it is asked to, and works until it is ended.
const AGENT: &str = r#"
title=$(head -n 1 "$1")
if [ "$title" = writes ]; then echo work >unique-work; fi
while :; do sleep 1; done
"#;

const PLAN: &str =
    "goal = \"two\"\n[[items]]\nid = \"writes\"\ntitle = \"writes\"\n[[items]]\nid = \"idles\"\ntitle = \"idles\"\n";

/// Reads on until so many orphans were settled: `(sort, name, outcome)` of each.
fn settled(follower: &mut Follower, count: usize) -> Vec<(String, String, String)> {
    let text = |body: &Value, key: &str| body[key].as_str().unwrap().to_owned();
    let mut found: Vec<_> = (0..count)
        .map(|_| {
            let event = follower.until("orphan_settled");
            let body = &event["body"];
            (text(body, "sort"), text(body, "name"), text(body, "outcome"))
        })
        .collect();
    found.sort();
    found
}

/// A daemon that was killed in the middle of two runs, and whose database is gone: nobody knows of anything any more.
fn forgotten() -> Repo {
    let repo = Repo::with(&config("", "max_parallel_items = 4"), AGENT);
    repo.write("two.plan.toml", PLAN);
    let daemon = repo.up();
    repo.musher(&["mission", "start", "two.plan.toml"]).ok();
    let mut follower = repo.follow(0);
    follower.until("run_started");
    follower.until("run_started");
    let worktrees = repo.file(".musher/worktrees");
    // The agent has written before it is forgotten: its own process tells.
    let written = || {
        let folders = std::fs::read_dir(&worktrees).unwrap().flatten();
        folders.into_iter().any(|folder| folder.path().join("unique-work").exists())
    };
    while !written() {
        std::thread::yield_now();
    }
    daemon.kill();
    for file in ["musher.db", "musher.db-wal", "musher.db-shm"] {
        let _ = std::fs::remove_file(repo.file(".musher").join(file));
    }
    repo
}

#[test]
fn processes_worktrees_and_branches_that_nobody_owns_are_settled_at_start_and_unique_work_stays() {
    let repo = forgotten();
    assert!(!repo.run_processes().is_empty(), "the agents outlive their daemon");
    repo.git(&["branch", "musher/0123abcd/89abcdef-empty"]);
    repo.git(&["branch", "musher/mine"]);
    let daemon = repo.up();
    let found = settled(&mut repo.follow(0), 5);
    let of = |sort: &str| found.iter().filter(|(its, ..)| its == sort).collect::<Vec<_>>();
    assert_eq!(of("process").iter().map(|(.., outcome)| outcome.as_str()).collect::<Vec<_>>(), ["ended", "ended"]);
    assert_eq!(repo.run_processes(), Vec::<String>::new());
    let branch = ("branch".to_owned(), "musher/0123abcd/89abcdef-empty".to_owned(), "removed".to_owned());
    assert_eq!(of("branch"), [&branch]);
    let worktrees = of("worktree");
    let outcome = |key: &str| worktrees.iter().find(|(_, name, _)| name.ends_with(key)).unwrap().2.as_str();
    assert_eq!((outcome("-writes"), outcome("-idles")), ("kept", "removed"));

    let name = &worktrees.iter().find(|(_, name, _)| name.ends_with("-writes")).unwrap().1;
    let kept = repo.file(".musher/worktrees").join(name).join("unique-work");
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), "work\n");
    let listed = repo.musher(&["gc"]).ok().out;
    assert!(listed.contains(&format!("no item owns the worktree {name}: 1 uncommitted files")), "{listed}");
    assert!(kept.exists() && repo.git(&["branch", "--list", "musher/mine"]).contains("mine"));
    daemon.kill();
}

#[test]
fn a_run_whose_host_is_killed_while_the_daemon_is_up_is_found_and_its_agent_ended() {
    let repo = Repo::with(&config("", "max_retries = 1"), AGENT);
    let daemon = repo.up();
    repo.musher(&["mission", "start", "--text", "idles"]).ok();
    let mut follower = repo.follow(0);
    follower.until("run_started");
    repo.kill_where(|line| line.contains("run-host"));
    let ended = follower.until("run_finished");
    assert_eq!(
        (ended["body"]["outcome"].as_str(), ended["body"]["message"].as_str()),
        (Some("lost"), Some("its run host died"))
    );
    follower.until("item_dead_lettered");
    assert_eq!(repo.run_processes(), Vec::<String>::new());
    daemon.kill();
}

#[test]
fn a_run_whose_host_died_with_the_daemon_is_lost_at_start_and_goes_on_in_its_worktree() {
    let repo = Repo::with(&config("", "max_retries = 1"), AGENT);
    let daemon = repo.up();
    repo.musher(&["mission", "start", "--text", "idles"]).ok();
    let mut follower = repo.follow(0);
    follower.until("run_started");
    let seq = follower.seq;
    daemon.kill();
    repo.kill_where(|line| line.contains("run-host"));
    let daemon = repo.up();
    let mut follower = repo.follow(seq);
    let ended = follower.until("run_finished");
    assert_eq!(ended["body"]["outcome"], "lost");
    follower.until("run_started");
    assert_eq!(repo.count_said("worktree_created"), 1, "it is adopted");
    assert_eq!(repo.count_said("orphan_settled"), 0, "an item owns it");
    daemon.kill();
}

#[test]
fn a_host_whose_folder_was_deleted_is_ended_before_its_item_is_given_to_another() {
    let repo = Repo::with(&config("", ""), AGENT);
    let daemon = repo.up();
    repo.musher(&["mission", "start", "--text", "idles"]).ok();
    let mut follower = repo.follow(0);
    let first = follower.until("run_started");
    let old = repo.run_processes();
    assert!(!old.is_empty());
    daemon.kill();
    let runs: Vec<_> = std::fs::read_dir(repo.file(".musher/runs")).unwrap().flatten().collect();
    let folder = runs.iter().find(|run| first["run"] == *run.file_name().to_string_lossy()).unwrap();
    std::fs::remove_dir_all(folder.path()).unwrap();

    let daemon = repo.up();
    let mut follower = repo.follow(first["seq"].as_u64().unwrap());
    let ended = ("process".to_owned(), folder.file_name().to_string_lossy().into_owned(), "ended".to_owned());
    assert_eq!(settled(&mut follower, 1), [ended]);
    let hosts = || {
        let line = |entry: std::fs::DirEntry| std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let lines = std::fs::read_dir("/proc").unwrap().flatten().map(line);
        let ours = folder.path().to_string_lossy().into_owned();
        lines.filter(|line| String::from_utf8_lossy(line).contains(&ours)).count()
    };
    assert_eq!(hosts(), 0, "the host is gone, and with it its agent");
    daemon.kill();
}
