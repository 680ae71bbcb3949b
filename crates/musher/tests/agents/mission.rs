//! A mission from a plan to merged commits, by each agent and each way to drive it.

use serde_json::Value;

use crate::fixture::Fixture;
use crate::harness::Repo;
use crate::kind::{Kind, Reports};
use crate::model::Scenario;

/// Three items, each after the one before; each prompt names its file for the model.
pub(crate) const PLAN: &str = r#"
goal = "three files"

[[items]]
id = "one"
title = "one"
body = "Write a file. [[write:one.txt]]"

[[items]]
id = "two"
title = "two"
body = "Write another file. [[write:two.txt]]"
depends_on = ["one"]

[[items]]
id = "three"
title = "three"
body = "Write a last file. [[write:three.txt]]"
depends_on = ["two"]
"#;

/// Tokens as the runs of a mission say, input and output.
fn used(repo: &Repo, document: &Value) -> (u64, u64) {
    let (mut input, mut output) = (0, 0);
    for item in document["items"].as_array().unwrap() {
        let shown = repo.musher(&["item", "show", item["id"].as_str().unwrap(), "--json"]).ok().json();
        for run in shown["runs"].as_array().unwrap() {
            input += run["usage"]["input_tokens"].as_u64().unwrap();
            output += run["usage"]["output_tokens"].as_u64().unwrap();
        }
    }
    (input, output)
}

#[track_caller]
fn tokens_are_what_the_model_told(fixture: &Fixture, repo: &Repo, document: &Value) {
    let mut counted = fixture.model.counted(fixture.kind.name());
    let (input, output) = used(repo, document);
    assert_eq!(document["mission"]["tokens"].as_u64().unwrap(), input + output, "the sum of the runs: {document}");
    match fixture.kind.reports() {
        Reports::All => {}
        Reports::Sum => {
            assert_eq!(input + output, counted.input + counted.output, "in all; the model: {counted:?}");
            return;
        }
        Reports::Some => {
            assert!(input <= counted.input && output <= counted.output, "{input} {output} of {counted:?}");
            return;
        }
        Reports::Aside => {
            let aside = fixture.model.counted_aside(fixture.kind.name());
            counted.input += aside.input;
            counted.output += aside.output;
        }
    }
    assert_eq!((input, output), (counted.input, counted.output), "input and output; the model: {counted:?}");
}

fn a_mission_of_three_dependent_items_ends_merged(kind: Kind) {
    let Some(fixture) = Fixture::new(kind, Scenario::Ok) else { return };
    let repo = fixture.repo("");
    repo.write("three.plan.toml", PLAN);
    let daemon = fixture.up(&repo);
    let started = repo.musher(&["mission", "start", "three.plan.toml", "--wait", "--json"]).ok().json();
    let id = started["mission"]["id"].as_str().unwrap();
    repo.wait_for_end(id);
    let document = repo.musher(&["mission", "status", id, "--json"]).ok().json();
    assert_eq!(document["mission"]["state"], "completed", "{document}");
    assert_eq!(document["mission"]["counts"]["done"], 3, "{document}");
    assert_eq!(repo.titles(), ["three", "two", "one", "first"]);
    for name in ["one", "two", "three"] {
        let file = repo.git(&["show", &format!("main:{name}.txt")]);
        assert_eq!(file, "by the scripted model\n", "{name}");
    }
    for item in document["items"].as_array().unwrap() {
        assert_eq!((&item["state"], &item["agent"]), (&Value::from("done"), &Value::from(kind.name())), "{item}");
    }
    let counted = fixture.model.counted(kind.name());
    assert_eq!(counted.requests, 6, "a call and closing words an item: {counted:?}");
    tokens_are_what_the_model_told(&fixture, &repo, &document);
    repo.nothing_left();
    daemon.kill();
}

/// The gate wants a second file, and says so in its output alone: the fix run is another turn, by another process, in the
/// same session.
fn a_fix_run_goes_on_in_the_session_and_counts_no_token_twice(kind: Kind) {
    let Some(fixture) = Fixture::new(kind, Scenario::Ok) else { return };
    let gate = "gate = \"test -e second.txt || { printf '[[%s:second.txt]]' write; exit 1; }\"";
    let repo = Repo::with(&fixture.config("").replace("gate = \"true\"", gate), "");
    let daemon = fixture.up(&repo);
    let document = repo.musher(&["mission", "start", "--text", "fix it", "--wait", "--json"]).ok().json();
    assert_eq!(document["mission"]["state"], "completed", "{document}");
    let shown = repo.musher(&["item", "show", document["items"][0]["id"].as_str().unwrap(), "--json"]).ok().json();
    let sessions: Vec<String> = shown["runs"].as_array().unwrap().iter().map(|run| session(&repo, run)).collect();
    assert_eq!((sessions.len(), &sessions[0]), (2, &sessions[1]), "{shown}");
    tokens_are_what_the_model_told(&fixture, &repo, &document);
    daemon.kill();
}

/// The session that a run worked in, as its transcript says.
fn session(repo: &Repo, run: &Value) -> String {
    let logs = repo.musher(&["logs", run["id"].as_str().unwrap()]).ok().out;
    let line = logs.lines().find(|line| line.starts_with("session ")).unwrap_or_else(|| panic!("no session: {logs}"));
    line.to_owned()
}

agents! {
    [a_mission_of_three_dependent_items_ends_merged]
    codex => Codex;
    codex_command => CodexCommand;
    codex_acp => CodexAcp;
    claude => Claude;
    claude_acp => ClaudeAcp;
    opencode => Opencode;
    opencode_acp => OpencodeAcp;
    gemini => Gemini;
    gemini_acp => GeminiAcp;
    qwen => Qwen;
    qwen_acp => QwenAcp;
}

mod resume {
    use super::*;

    #[test]
    fn codex() {
        a_fix_run_goes_on_in_the_session_and_counts_no_token_twice(Kind::Codex);
    }

    #[test]
    fn claude() {
        a_fix_run_goes_on_in_the_session_and_counts_no_token_twice(Kind::Claude);
    }

    #[test]
    fn opencode() {
        a_fix_run_goes_on_in_the_session_and_counts_no_token_twice(Kind::Opencode);
    }

    #[test]
    fn gemini() {
        a_fix_run_goes_on_in_the_session_and_counts_no_token_twice(Kind::Gemini);
    }

    #[test]
    fn claude_acp() {
        a_fix_run_goes_on_in_the_session_and_counts_no_token_twice(Kind::ClaudeAcp);
    }

    #[test]
    fn codex_acp() {
        a_fix_run_goes_on_in_the_session_and_counts_no_token_twice(Kind::CodexAcp);
    }
}
