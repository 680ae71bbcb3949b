//! The end of a run whose agent has a shell at work in a session of its own: nothing of it is left alive.

use crate::fixture::{Fixture, begun};
use crate::harness::Repo;
use crate::kind::Kind;
use crate::model::Scenario;

/// The shells that sleep as the model told them to, of this repository's runs.
fn sleepers(repo: &Repo) -> Vec<String> {
    repo.run_processes().into_iter().filter(|line| line.starts_with("sleep 300")).collect()
}

fn nothing_is_left_of_a_run_that_is_killed_while_its_shell_sleeps(kind: Kind) {
    let Some(fixture) = Fixture::new(kind, Scenario::Sleep) else { return };
    let repo = fixture.repo("");
    let daemon = fixture.up(&repo);
    let id = begun(&repo, "sleep well");
    let mut follower = repo.follow(0);
    let run = follower.until("run_started")["run"].as_str().unwrap().to_owned();
    while sleepers(&repo).is_empty() {
        assert!(!repo.run_processes().is_empty(), "the agent ended before its shell began");
        std::thread::yield_now();
    }
    repo.musher(&["mission", "pause", &id]).ok();
    repo.musher(&["run", "kill", &run]).ok();
    follower.until("run_finished");
    assert_eq!(repo.run_processes(), Vec::<String>::new());
    repo.musher(&["mission", "stop", &id]).ok();
    daemon.kill();
}

agents! {
    [nothing_is_left_of_a_run_that_is_killed_while_its_shell_sleeps]
    codex => Codex;
    codex_acp => CodexAcp;
    claude => Claude;
    claude_acp => ClaudeAcp;
    opencode => Opencode;
    opencode_acp => OpencodeAcp;
    gemini => Gemini;
    gemini_acp => GeminiAcp;
}
