//! An account that is used up: it rests, no attempt is spent, and the work goes on after it.

use std::time::Duration;

use musher_core::time::Timestamp;
use serde_json::Value;

use crate::failure::{UNTOUCHED, one, runs};
use crate::fixture::Fixture;
use crate::kind::Kind;
use crate::model::Scenario;

fn a_rate_limit_counts_no_attempt(kind: Kind) {
    waits_and_spends_nothing(kind, Scenario::Status(429));
}

fn a_rate_limit_that_says_when_to_come_back_counts_no_attempt(kind: Kind) {
    waits_and_spends_nothing(kind, Scenario::Limited);
}

/// The item waits and its one attempt is not spent.
#[track_caller]
fn waits_and_spends_nothing(kind: Kind, scenario: Scenario) {
    let Some(fixture) = Fixture::new(kind, scenario) else { return };
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

/// The agent itself comes back: the work is done once.
fn after_a_rate_limit_the_work_is_done(kind: Kind) {
    let Some(fixture) = Fixture::new(kind, Scenario::LimitedOnce) else { return };
    let (repo, daemon, document) = one(&fixture, true);
    assert_eq!(document["items"][0]["state"], "done", "{document}");
    assert_eq!(repo.titles().len(), UNTOUCHED.len() + 1);
    assert_eq!(repo.git(&["show", "main:task.txt"]), "by the scripted model\n");
    daemon.kill();
}

/// Nobody told how long the account rests; a person knows better than the table.
fn a_rest_of_unknown_length_is_ended_by_a_person(kind: Kind) {
    let Some(fixture) = Fixture::new(kind, Scenario::LimitedOnce) else { return };
    let (repo, daemon, started) = one(&fixture, false);
    let limited = repo.follow(0).until("agent_rate_limited");
    let rest = moment(&limited["body"]["until"]).since(moment(&limited["at"]));
    assert_eq!(rest, Duration::from_secs(60), "{limited}");
    repo.musher(&["agent", "resume", kind.name()]).ok();
    repo.wait_for_end(started["mission"]["id"].as_str().unwrap());
    assert_eq!(repo.titles().len(), UNTOUCHED.len() + 1);
    assert_eq!(repo.git(&["show", "main:task.txt"]), "by the scripted model\n");
    daemon.kill();
}

/// The account rests until the very moment that its provider told, and the work goes on where it was.
fn a_used_up_account_rests_until_its_reset_and_the_work_goes_on(kind: Kind) {
    let Some(fixture) = Fixture::new(kind, Scenario::ResetOnce) else { return };
    let (repo, daemon, started) = one(&fixture, false);
    let mut follower = repo.follow(0);
    let limited = follower.until("agent_rate_limited");
    let until = moment(&limited["body"]["until"]);
    let reset = Timestamp::from_micros(i64::try_from(fixture.model.reset()).unwrap() * 1_000_000);
    // On a very slow machine the shortest rest is longer.
    assert_eq!(until, reset.max(moment(&limited["at"]).after(Duration::from_secs(10))), "{limited}");
    let again = follower.until("run_started");
    assert!(moment(&again["at"]) >= until, "{again} is before {until}");
    repo.wait_for_end(started["mission"]["id"].as_str().unwrap());
    let runs = runs(&repo, again["item"].as_str().unwrap());
    let outcomes: Vec<&str> = runs.iter().map(|run| run["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["rate_limited", "finished"], "{runs:?}");
    assert!(runs.iter().all(|run| run["attempt"] == 1), "no attempt is counted: {runs:?}");
    assert_eq!(repo.titles().len(), UNTOUCHED.len() + 1);
    assert_eq!(repo.git(&["show", "main:task.txt"]), "by the scripted model\n");
    daemon.kill();
}

#[track_caller]
fn moment(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

agents! {
    codex => Codex: a_rate_limit_counts_no_attempt a_rate_limit_that_says_when_to_come_back_counts_no_attempt
        a_rest_of_unknown_length_is_ended_by_a_person
        a_used_up_account_rests_until_its_reset_and_the_work_goes_on;
    // It tells its reset in words, as a time of some clock.
    codex_acp => CodexAcp: a_rate_limit_counts_no_attempt;
    claude => Claude: a_rate_limit_counts_no_attempt a_rate_limit_that_says_when_to_come_back_counts_no_attempt
        after_a_rate_limit_the_work_is_done a_used_up_account_rests_until_its_reset_and_the_work_goes_on;
    claude_acp => ClaudeAcp: a_rate_limit_counts_no_attempt
        a_used_up_account_rests_until_its_reset_and_the_work_goes_on;
    opencode => Opencode: after_a_rate_limit_the_work_is_done;
    gemini_acp => GeminiAcp: a_rate_limit_counts_no_attempt;
    // Both try again for more than a minute.
    qwen => Qwen: a_rate_limit_counts_no_attempt;
    qwen_acp => QwenAcp: a_rate_limit_counts_no_attempt;
}
