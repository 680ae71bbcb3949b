//! Musher's own tools in the hands of real agents: a question that outlives the daemon, its answer, and the result.

use crate::fixture::{Fixture, begun};
use crate::kind::Kind;
use crate::model::Scenario;

fn it_asks_the_operator_over_a_killed_daemon_and_ends_with_what_it_submits(kind: Kind, approvals: &str) {
    let Some(fixture) = Fixture::new(kind, Scenario::Tools) else { return };
    let config = fixture.config("max_retries = 1").replace("approvals = \"allow\"", approvals);
    // For models that it knows, Codex hides the tools of servers behind a search, which the scripted model does not play.
    let repo = crate::harness::Repo::with(&config.replace("\"gpt-5.5\"", "\"gpt-5\""), "");
    let daemon = fixture.up(&repo);
    let id = begun(&repo, "paint [[write:paint.txt]]");
    let mut events = repo.follow(0);
    let asked = loop {
        let event = events.next().unwrap();
        match event["kind"].as_str() {
            Some("help_requested") => break event,
            // The shell may be asked about; musher's own tools never are.
            Some("approval_requested") => {
                let action = event["body"]["action"].to_string();
                assert!(!action.contains("ask_operator") && !action.contains("submit_result"), "{event}");
                repo.musher(&["allow", event["body"]["request"].as_str().unwrap()]).ok();
            }
            Some("item_dead_lettered" | "mission_completed") => {
                panic!("{event}\n{}", repo.musher(&["logs", "--raw", &format!("{id}/paint-write-paint-txt")]).out)
            }
            _ => {}
        }
    };
    assert_eq!(asked["body"]["text"], "Which colour?", "{asked}");
    let request = asked["body"]["request"].as_str().unwrap().to_owned();
    let inbox = repo.musher(&["inbox", "--json"]).ok().json();
    assert_eq!(inbox["inbox"][0]["ask"], "question", "{inbox}");
    daemon.kill();

    let daemon = fixture.up(&repo);
    repo.musher(&["answer", &request, "blue"]).ok();
    repo.musher(&["answer", &request, "red"]).refused(4, "was answered by");
    let mut events = repo.follow(0);
    assert_eq!(events.until("result_submitted")["body"]["artifacts"][0], "paint");
    let finished = events.until("run_finished");
    let message = finished["body"]["message"].as_str().unwrap();
    assert!(message.starts_with("painted; ") && message.contains("blue"), "{finished}");
    repo.wait_for_end(&id);
    assert_eq!(repo.git(&["show", "main:paint.txt"]), "by the scripted model\n");
    assert_eq!(repo.read(".musher/daemon.log").matches("panicked").count(), 0);
    repo.nothing_left();
    daemon.kill();
}

macro_rules! agents {
    ($($name:ident => $kind:ident, $approvals:literal;)*) => {$(
        mod $name {
            #[test]
            fn it_asks_the_operator_over_a_killed_daemon_and_ends_with_what_it_submits() {
                let kind = crate::kind::Kind::$kind;
                super::it_asks_the_operator_over_a_killed_daemon_and_ends_with_what_it_submits(kind, $approvals);
            }
        }
    )*};
}

agents! {
    codex => Codex, "approvals = \"ask\"";
    codex_acp => CodexAcp, "approvals = \"allow\"";
    claude => Claude, "approvals = \"ask\"";
    claude_acp => ClaudeAcp, "approvals = \"ask\"";
    opencode => Opencode, "approvals = \"allow\"";
    opencode_acp => OpencodeAcp, "approvals = \"allow\"";
    gemini_acp => GeminiAcp, "approvals = \"allow\"";
    qwen => Qwen, "approvals = \"allow\"";
    qwen_acp => QwenAcp, "approvals = \"allow\"";
}
