//! A `WORKFLOW.md` becomes configuration, and its prompt reaches the agents.

use crate::harness::{Repo, config};

const WORKFLOW: &str = "---
tracker:
  kind: github
  repo: acme/shop
  api_key: $SHOP_TOKEN
polling:
  interval_ms: 5000
agent:
  max_concurrent_agents: 3
codex:
  command: codex app-server
---
You work on {{ issue.identifier }}.
";

/// A repository without configuration, and its workflow.
fn fresh(workflow: &str) -> Repo {
    let repo = Repo::with("", "");
    std::fs::remove_file(repo.file("musher.toml")).unwrap();
    repo.write("outside.md", workflow);
    repo
}

#[test]
fn a_workflow_is_taken_over_once_and_what_is_left_out_is_named() {
    let repo = fresh(WORKFLOW);
    let init = ["init", "--workflow", "outside.md", "--gate", "make check"];
    let shown = repo.musher(&[&init[..], &["--dry-run"]].concat()).ok();
    assert!(!repo.file("musher.toml").exists(), "a dry run writes nothing");
    assert!(shown.err.contains("line 7: polling.interval_ms: no counterpart"), "{}", shown.err);
    let said = repo.musher(&init).ok();
    assert!(said.out.contains("wrote ") && said.err.contains("line 7: polling.interval_ms"), "{said:?}");
    assert!(said.out.contains("reviews: none (reviewer_required = false"), "{said:?}");
    let written = repo.read("musher.toml");
    assert_eq!(written, shown.out);
    for line in
        ["gate = \"make check\"", "max_parallel_items = 3", "repo = \"acme/shop\"", "token = \"env:SHOP_TOKEN\""]
    {
        assert!(written.lines().any(|written| written == line), "{line}: {written}");
    }
    assert!(written.contains("You work on {{ issue.identifier }}.") && written.contains("driver = \"codex\""));
    repo.musher(&["config", "check"]).ok();
    std::fs::remove_file(repo.file("musher.toml")).unwrap();
    for gate in ["", "  ", "make a\nmake b", "\u{1}"] {
        repo.musher(&["init", "--gate", gate]).refused(2, "the gate is blank, or holds a line break");
    }
    assert!(!repo.file("musher.toml").exists());
    repo.write("musher.toml", "# mine\n");
    repo.musher(&init).refused(4, "there is a `musher.toml` already");
    assert_eq!(repo.read("musher.toml"), "# mine\n");
}

#[test]
fn a_workflow_with_an_error_writes_nothing_and_shows_no_secret() {
    for (old, new, words) in [
        ("$SHOP_TOKEN", "ghp_hunter2", "outside.md:5:1: `tracker.api_key` is no reference to a variable"),
        (
            "  repo: acme/shop",
            "  endpoint: https://ada:hunter2@shop.example/api/v3",
            "outside.md:4:1: `tracker.endpoint` holds user information",
        ),
        (
            "acme/shop",
            "https://ada:hunter2@shop.example/acme/shop",
            "outside.md:4:1: `tracker.repo` holds user information",
        ),
        ("issue.identifier", "issue.key", "outside.md:13:13: unknown variable `issue.key`"),
        ("max_concurrent_agents: 3", "max_concurrent_agents: &a 3", "outside.md:9:1: anchors and aliases are not read"),
    ] {
        let repo = fresh(&WORKFLOW.replace(old, new));
        let said = repo.musher(&["init", "--workflow", "outside.md"]);
        said.refused(2, words);
        assert!(!said.err.contains("hunter2") && !repo.file("musher.toml").exists(), "{}", said.err);
        assert!(!said.out.contains("hunter2"), "{}", said.out);
    }
    let repo = fresh("");
    repo.musher(&["init", "--workflow", "outside-nowhere.md"]).refused(2, "cannot be read");
    // Nobody writes to this pipe: whoever opened it would wait for ever.
    let made = std::process::Command::new("mkfifo").arg(repo.file("outside-pipe")).status().unwrap();
    assert!(made.success());
    repo.musher(&["init", "--workflow", "outside-pipe"]).refused(2, "is no regular file");
    assert!(!repo.file("musher.toml").exists());
}

#[test]
fn what_the_project_says_stands_before_the_text_of_an_item() {
    let prompt = "prompt = \"House rules for {{ issue.title }}{% if attempt %}, again{% endif %}.\"";
    let repo = Repo::with(&config(prompt, ""), "cat \"$1\" >prompt.txt\n");
    repo.musher(&["mission", "start", "--text", "paint {{ attempt }} blue", "--wait"]).ok();
    let told = repo.git(&["show", "main:prompt.txt"]);
    assert!(told.starts_with("House rules for paint {{ attempt }} blue.\n\npaint {{ attempt }} blue\n"), "{told}");
    assert!(told.contains("## How to report"), "{told}");
    repo.write("musher.toml", &config("prompt = \"{{ issue.state }}\"", ""));
    repo.musher(&["config", "check"]).refused(2, "line 1 of the prompt: unknown variable `issue.state`");
}
