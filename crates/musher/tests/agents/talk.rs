//! What a person says to an agent that is at work reaches its model: after its present step, or at once.

use serde_json::Value;

use crate::fixture::{Fixture, begun};
use crate::harness::{Daemon, Repo};
use crate::kind::Kind;
use crate::model::Scenario;

/// An agent whose model stands still in the middle of its first answer; its mission and its run.
fn at_work(fixture: &Fixture, prompt: &str) -> (Repo, Daemon, String, String) {
    let repo = fixture.repo("max_retries = 1");
    let daemon = fixture.up(&repo);
    let id = begun(&repo, prompt);
    let run = repo.follow(0).until("run_started")["run"].as_str().unwrap().to_owned();
    fixture.model.wait_until_held(1);
    (repo, daemon, id, run)
}

/// The bodies of the conversation's requests, oldest first.
fn asked(fixture: &Fixture) -> Vec<String> {
    let requests = fixture.model.requests().into_iter();
    let conversation =
        requests.filter(|request| request.body["tools"].as_array().is_some_and(|tools| !tools.is_empty()));
    conversation.map(|request| request.body.to_string()).collect()
}

/// The one run of the mission's item.
#[track_caller]
fn only_run(repo: &Repo, mission: &str) -> Value {
    let document = repo.musher(&["mission", "status", mission, "--json"]).ok().json();
    let shown = repo.musher(&["item", "show", document["items"][0]["id"].as_str().unwrap(), "--json"]).ok().json();
    assert_eq!(shown["runs"].as_array().unwrap().len(), 1, "{shown}");
    shown["runs"][0].clone()
}

fn a_message_and_a_note_are_read_by_the_model_in_the_same_run(kind: Kind) {
    let Some(fixture) = Fixture::new(kind, Scenario::Slow) else { return };
    let (repo, daemon, id, run) = at_work(&fixture, "patient [[write:patient.txt]]");
    repo.musher(&["send", &run, "mind the small gap"]).ok();
    repo.musher(&["mission", "note", &id, "blue is a fine colour"]).ok();
    fixture.model.release();
    repo.wait_for_end(&id);
    let asked = asked(&fixture);
    assert!(!asked[0].contains("small gap") && !asked[0].contains("fine colour"), "told too early");
    let last = asked.last().unwrap();
    for words in ["mind the small gap", "blue is a fine colour"] {
        assert_eq!(last.matches(words).count(), 1, "{words:?} in: {last}");
    }
    assert_eq!(only_run(&repo, &id)["outcome"], "finished");
    assert_eq!(repo.git(&["show", "main:patient.txt"]), "by the scripted model\n");
    repo.nothing_left();
    daemon.kill();
}

/// The gate of the model stays shut: only an interrupt can have ended the first answer.
fn a_message_with_now_interrupts_the_turn_and_is_the_next_thing_that_the_model_hears(kind: Kind) {
    let Some(fixture) = Fixture::new(kind, Scenario::Slow) else { return };
    let (repo, daemon, id, run) = at_work(&fixture, "sit still");
    repo.musher(&["send", &run, "no, do this [[write:now.txt]]", "--now"]).ok();
    fixture.model.wait_until_held(2);
    let asked = asked(&fixture);
    assert_eq!(asked.len(), 2, "{asked:#?}");
    assert!(asked[1].contains("no, do this [[write:now.txt]]"), "{}", asked[1]);
    fixture.model.release();
    repo.wait_for_end(&id);
    assert_eq!(only_run(&repo, &id)["outcome"], "finished");
    assert_eq!(repo.git(&["show", "main:now.txt"]), "by the scripted model\n");
    repo.nothing_left();
    daemon.kill();
}

agents! {
    [
        a_message_and_a_note_are_read_by_the_model_in_the_same_run
        a_message_with_now_interrupts_the_turn_and_is_the_next_thing_that_the_model_hears
    ]
    codex => Codex;
    claude => Claude;
    claude_acp => ClaudeAcp;
}
