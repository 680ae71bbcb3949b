//! What the model refuses, and what musher makes of it: the right class, and never a success.

use serde_json::Value;

use crate::fixture::Fixture;
use crate::harness::{Daemon, Repo};
use crate::kind::Kind;
use crate::model::Scenario;

/// The commits of a repository in which nothing was merged.
pub(crate) const UNTOUCHED: [&str; 1] = ["first"];

/// Starts one item; it has one attempt.
pub(crate) fn one(fixture: &Fixture, waits: bool) -> (Repo, Daemon, Value) {
    let repo = fixture.repo("max_retries = 1");
    let daemon = fixture.up(&repo);
    let mut arguments = vec!["mission", "start", "--text", "task [[write:task.txt]]", "--json"];
    arguments.extend(waits.then_some("--wait"));
    let said = repo.musher(&arguments);
    assert!([0, 6].contains(&said.code), "{said:?}");
    let document = said.json();
    (repo, daemon, document)
}

/// The runs of an item, as `item show` has them.
#[track_caller]
pub(crate) fn runs(repo: &Repo, item: &str) -> Vec<Value> {
    let shown = repo.musher(&["item", "show", item, "--json"]).ok().json();
    shown["runs"].as_array().unwrap().clone()
}

#[track_caller]
fn ends_in_the_class(kind: Kind, scenario: Scenario, class: &str) {
    let Some(fixture) = Fixture::new(kind, scenario) else { return };
    let (repo, daemon, document) = one(&fixture, true);
    assert_eq!(document["items"][0]["state"], "failed", "{document}");
    assert_ne!(document["mission"]["state"], "completed", "{document}");
    let runs = runs(&repo, document["items"][0]["id"].as_str().unwrap());
    let last = runs.last().unwrap();
    assert_eq!((&last["outcome"], &last["class"]), (&Value::from("failed"), &Value::from(class)), "{runs:?}");
    assert_eq!(repo.titles(), UNTOUCHED);
    assert_eq!(repo.run_processes(), Vec::<String>::new());
    daemon.kill();
}

/// The agent takes nothing more until its account is mended; its item waits, and is not at fault.
#[track_caller]
fn rests_with_its_agent(kind: Kind, scenario: Scenario) {
    let Some(fixture) = Fixture::new(kind, scenario) else { return };
    let (repo, daemon, document) = one(&fixture, true);
    let item = &document["items"][0];
    assert_eq!((&item["state"], &item["attempts"]), (&Value::from("ready"), &Value::from(0)), "{document}");
    assert!(item["reason"].as_str().unwrap().contains("unable to start"), "{item}");
    let runs = runs(&repo, item["id"].as_str().unwrap());
    assert_eq!((&runs[0]["outcome"], &runs[0]["class"]), (&Value::from("failed"), &Value::from("setup")), "{runs:?}");
    assert_eq!((runs.len(), repo.titles()), (1, UNTOUCHED.map(str::to_owned).to_vec()));
    daemon.kill();
}

/// A refused key and a refused account are the set-up's fault, a refused request the agent's.
fn each_refusal_has_its_class(kind: Kind) {
    rests_with_its_agent(kind, Scenario::Status(401));
    rests_with_its_agent(kind, Scenario::Status(403));
    ends_in_the_class(kind, Scenario::Status(400), "agent");
}

/// Where an agent gives up soon enough to be tested.
fn a_broken_server_and_a_broken_stream_are_no_success(kind: Kind) {
    ends_in_the_class(kind, Scenario::Status(500), "agent");
    ends_in_the_class(kind, Scenario::Status(529), "agent");
    ends_in_the_class(kind, Scenario::Cut, "agent");
}

/// The run itself is fine; its work is judged, not its words.
fn words_alone_are_no_work(kind: Kind) {
    let Some(fixture) = Fixture::new(kind, Scenario::Text) else { return };
    let (repo, daemon, document) = one(&fixture, true);
    let item = &document["items"][0];
    assert_eq!(item["state"], "failed", "{document}");
    assert!(item["reason"].as_str().unwrap().contains("finished without changing anything"), "{item}");
    assert_eq!(repo.titles(), UNTOUCHED);
    assert!(fixture.model.counted(kind.name()).requests >= 1);
    daemon.kill();
}

fn the_same_call_over_and_over_is_stopped(kind: Kind) {
    ends_in_the_class(kind, Scenario::Loop, "limit");
}

/// A broken server that comes back: by the agent's own tries or by another attempt of musher's, the work is done once.
fn a_server_that_fails_first_and_then_works_ends_merged(kind: Kind) {
    let Some(fixture) = Fixture::new(kind, Scenario::Flaky) else { return };
    let repo = fixture.repo("");
    let daemon = fixture.up(&repo);
    let start = ["mission", "start", "--text", "task [[write:task.txt]]", "--wait", "--json"];
    let document = repo.musher(&start).ok().json();
    assert_eq!(document["items"][0]["state"], "done", "{document}");
    let runs = runs(&repo, document["items"][0]["id"].as_str().unwrap());
    let (last, before) = runs.split_last().unwrap();
    assert_eq!(last["outcome"], "finished", "{runs:?}");
    assert!(before.iter().all(|run| run["class"] == "agent"), "no success before it: {runs:?}");
    assert_eq!((repo.titles().len(), fixture.model.counted(kind.name()).requests), (UNTOUCHED.len() + 1, 2));
    assert_eq!(repo.git(&["show", "main:task.txt"]), "by the scripted model\n");
    daemon.kill();
}

agents! {
    codex_command => CodexCommand: a_broken_server_and_a_broken_stream_are_no_success words_alone_are_no_work;
    codex => Codex: each_refusal_has_its_class a_broken_server_and_a_broken_stream_are_no_success
        a_server_that_fails_first_and_then_works_ends_merged words_alone_are_no_work
        the_same_call_over_and_over_is_stopped;
    codex_acp => CodexAcp: each_refusal_has_its_class;
    claude => Claude: each_refusal_has_its_class a_broken_server_and_a_broken_stream_are_no_success
        a_server_that_fails_first_and_then_works_ends_merged words_alone_are_no_work
        the_same_call_over_and_over_is_stopped;
    claude_acp => ClaudeAcp: each_refusal_has_its_class words_alone_are_no_work;
    // It tries again for longer than a test may take when the server or the stream is broken.
    opencode => Opencode: each_refusal_has_its_class words_alone_are_no_work;
    opencode_acp => OpencodeAcp: each_refusal_has_its_class words_alone_are_no_work;
    gemini => Gemini: each_refusal_has_its_class a_broken_server_and_a_broken_stream_are_no_success
        words_alone_are_no_work;
    gemini_acp => GeminiAcp: each_refusal_has_its_class words_alone_are_no_work;
    // It ends with 0 and calls a refusal a success.
    qwen => Qwen: each_refusal_has_its_class words_alone_are_no_work;
    qwen_acp => QwenAcp: each_refusal_has_its_class;
}
