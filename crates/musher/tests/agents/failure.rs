//! What the model refuses, and what musher makes of it: the right class, and never a success.

use serde_json::Value;

use crate::fixture::Fixture;
use crate::harness::Repo;
use crate::kind::Kind;
use crate::model::Scenario;

/// The commits of a repository in which nothing was merged.
const UNTOUCHED: [&str; 1] = ["first"];

/// Starts one item; it has one attempt.
fn one(fixture: &Fixture, waits: bool) -> (Repo, crate::harness::Daemon, Value) {
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
fn runs(repo: &Repo, item: &str) -> Vec<Value> {
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

/// The item waits and its one attempt is not spent.
fn a_rate_limit_counts_no_attempt(kind: Kind) {
    let Some(fixture) = Fixture::new(kind, Scenario::Status(429)) else { return };
    let (repo, daemon, started) = one(&fixture, false);
    repo.follow(0).until("run_finished");
    let id = started["mission"]["id"].as_str().unwrap();
    let document = repo.musher(&["mission", "status", id, "--json"]).ok().json();
    let item = &document["items"][0];
    assert_eq!(item["attempts"], 0, "{item}");
    assert_ne!(item["state"], "failed", "{item}");
    let explained = repo.musher(&["explain", item["id"].as_str().unwrap(), "--json"]).ok().json();
    let waits = explained["waits"].as_array().unwrap();
    assert!(waits.iter().any(|wait| wait["code"] == "rate_limited"), "{explained}");
    assert_eq!(repo.titles(), UNTOUCHED);
    daemon.kill();
}

/// Whether the agent itself or musher comes back: the work is done once.
fn after_a_rate_limit_the_work_is_done(kind: Kind) {
    let Some(fixture) = Fixture::new(kind, Scenario::LimitedOnce) else { return };
    let (repo, daemon, document) = one(&fixture, true);
    assert_eq!(document["items"][0]["state"], "done", "{document}");
    assert_eq!(repo.titles().len(), UNTOUCHED.len() + 1);
    assert_eq!(repo.git(&["show", "main:task.txt"]), "by the scripted model\n");
    daemon.kill();
}

macro_rules! agents {
    ($($name:ident => $kind:ident: $($rule:ident)*;)*) => {$(
        mod $name {
            use super::*;
            $(
                #[test]
                fn $rule() {
                    super::$rule(Kind::$kind);
                }
            )*
        }
    )*};
}

agents! {
    codex_command => CodexCommand: a_broken_server_and_a_broken_stream_are_no_success words_alone_are_no_work;
    codex => Codex: each_refusal_has_its_class a_broken_server_and_a_broken_stream_are_no_success
        words_alone_are_no_work the_same_call_over_and_over_is_stopped a_rate_limit_counts_no_attempt
        after_a_rate_limit_the_work_is_done;
    claude => Claude: each_refusal_has_its_class a_broken_server_and_a_broken_stream_are_no_success
        words_alone_are_no_work the_same_call_over_and_over_is_stopped a_rate_limit_counts_no_attempt
        after_a_rate_limit_the_work_is_done;
    claude_acp => ClaudeAcp: each_refusal_has_its_class words_alone_are_no_work;
    // It tries again for longer than a test may take when the server or the stream is broken.
    opencode => Opencode: each_refusal_has_its_class words_alone_are_no_work after_a_rate_limit_the_work_is_done;
    opencode_acp => OpencodeAcp: each_refusal_has_its_class words_alone_are_no_work;
    gemini => Gemini: each_refusal_has_its_class a_broken_server_and_a_broken_stream_are_no_success
        words_alone_are_no_work;
    gemini_acp => GeminiAcp: each_refusal_has_its_class words_alone_are_no_work;
    // It ends with 0 and calls a refusal a success.
    qwen => Qwen: each_refusal_has_its_class words_alone_are_no_work;
}
