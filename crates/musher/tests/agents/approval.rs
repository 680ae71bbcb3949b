//! What a real agent asks: shown whole, answered once, kept over a daemon that is killed.

use serde_json::Value;

use crate::fixture::{Fixture, begun};
use crate::harness::{Daemon, Repo};
use crate::kind::Kind;
use crate::model::Scenario;

/// The agent has asked; the mission, its repository and daemon, and the request's event.
fn asked(fixture: &Fixture) -> (Repo, Daemon, String, Value) {
    let mut config = fixture.config("").replace("approvals = \"allow\"", "approvals = \"ask\"");
    if fixture.kind == Kind::CodexAcp {
        // Over this protocol what is asked at all is the program's own policy.
        let policy = r#"codex-acp", "-c", "approval_policy=\"untrusted\"", "-c", "sandbox_mode=\"read-only\""]"#;
        config = config.replace("codex-acp\"]", policy);
    }
    let repo = Repo::with(&config.replace("[policy]", "[policy]\nmax_retries = 1"), "");
    let daemon = fixture.up(&repo);
    let id = begun(&repo, "careful [[write:careful.txt]]");
    let event = repo.follow(0).until("approval_requested");
    (repo, daemon, id, event)
}

fn request_of(event: &Value) -> String {
    event["body"]["request"].as_str().unwrap().to_owned()
}

/// A second answer is refused: with who gave the first, or, where the run is over already, since nothing is asked any more.
#[track_caller]
fn is_answered_once(repo: &Repo, request: &str, words: &str) {
    let again = repo.musher(&["allow", request]);
    let told = again.err.contains(words) || again.err.contains("has ended");
    assert!(again.code == 4 && told || again.code == 3, "{again:?}");
}

fn a_yes_reaches_it_though_the_daemon_was_killed_meanwhile(kind: Kind) {
    let Some(fixture) = Fixture::new(kind, Scenario::Ok) else { return };
    let (repo, daemon, id, event) = asked(&fixture);
    let request = request_of(&event);
    let inbox = repo.musher(&["inbox", "--json"]).ok().json();
    assert_eq!(inbox["inbox"][0]["ask"], "permission", "{inbox}");
    assert!(inbox["inbox"][0]["text"].as_str().unwrap().contains("careful.txt"), "the whole command: {inbox}");
    daemon.kill();

    let daemon = fixture.up(&repo);
    let mut follower = repo.follow(0);
    repo.musher(&["allow", &request]).ok();
    is_answered_once(&repo, &request, "was allowed by");
    // Some ask more than once: for the folder, and for the command.
    let over = loop {
        let event = follower.next().unwrap();
        match event["kind"].as_str() {
            Some("approval_requested") if request_of(&event) != request => {
                repo.musher(&["allow", &request_of(&event)]).ok();
            }
            Some("mission_completed" | "item_dead_lettered" | "item_blocked") => break event,
            _ => {}
        }
    };
    assert_eq!(over["kind"], "mission_completed", "{over}");
    repo.wait_for_end(&id);
    assert_eq!(repo.git(&["show", "main:careful.txt"]), "by the scripted model\n");
    repo.nothing_left();
    daemon.kill();
}

fn a_no_is_heard_and_nothing_is_written(kind: Kind) {
    let Some(fixture) = Fixture::new(kind, Scenario::Ok) else { return };
    let (repo, daemon, _, event) = asked(&fixture);
    let denied = request_of(&event);
    let mut follower = repo.follow(0);
    repo.musher(&["deny", &denied, "not today"]).ok();
    let finished = loop {
        let event = follower.next().unwrap();
        match event["kind"].as_str() {
            Some("approval_requested") if request_of(&event) != denied => {
                repo.musher(&["deny", &request_of(&event)]).ok();
            }
            Some("item_dead_lettered" | "item_blocked" | "mission_completed") => break event,
            _ => {}
        }
    };
    assert_ne!(finished["kind"], "mission_completed", "{finished}");
    assert_eq!(repo.titles(), ["first"]);
    assert_eq!(repo.run_processes(), Vec::<String>::new());
    daemon.kill();
}

/// Nobody answers: the end of its time is a no, and the run goes on by itself.
fn what_nobody_answers_in_time_is_denied_and_the_run_goes_on(kind: Kind) {
    let Some(fixture) = Fixture::new(kind, Scenario::Ok) else { return };
    let ask = "approvals = \"ask\"\napproval_timeout = \"1s\"";
    let config = fixture.config("max_retries = 1").replace("approvals = \"allow\"", ask);
    let repo = Repo::with(&config, "");
    let daemon = fixture.up(&repo);
    repo.musher(&["mission", "start", "--text", "careful [[write:careful.txt]]"]).ok();
    let mut follower = repo.follow(0);
    let requested = follower.until("approval_requested");
    let decided = follower.until("approval_decided");
    assert_eq!((&decided["body"]["ruled"], &decided["body"]["by"]), (&"denied".into(), &"the end of its time".into()));
    assert!(decided["at"].as_str() >= requested["body"]["expires_at"].as_str(), "{decided} {requested}");
    is_answered_once(&repo, &request_of(&requested), "was denied by");
    let finished = follower.until("run_finished");
    assert_eq!(finished["body"]["outcome"], "finished", "it heard the no, and said its last words: {finished}");
    follower.until("item_dead_lettered");
    assert_eq!(repo.titles(), ["first"]);
    assert_eq!(repo.run_processes(), Vec::<String>::new());
    daemon.kill();
}

agents! {
    [a_yes_reaches_it_though_the_daemon_was_killed_meanwhile a_no_is_heard_and_nothing_is_written]
    codex => Codex;
    codex_acp => CodexAcp;
    claude => Claude;
    claude_acp => ClaudeAcp;
    opencode_acp => OpencodeAcp;
    gemini_acp => GeminiAcp;
}

mod expiry {
    use super::*;

    #[test]
    fn codex() {
        what_nobody_answers_in_time_is_denied_and_the_run_goes_on(Kind::Codex);
    }

    #[test]
    fn claude() {
        what_nobody_answers_in_time_is_denied_and_the_run_goes_on(Kind::Claude);
    }
}
