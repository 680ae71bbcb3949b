//! A daemon that is killed while an agent is in the middle of its turn.

use crate::fixture::{Fixture, begun};
use crate::kind::Kind;
use crate::model::Scenario;

fn a_daemon_killed_in_mid_turn_merges_the_item_once(kind: Kind) {
    let Some(fixture) = Fixture::new(kind, Scenario::Slow) else { return };
    let repo = fixture.repo("");
    let daemon = fixture.up(&repo);
    let id = begun(&repo, "patient [[write:patient.txt]]");
    fixture.model.wait_until_held(1);
    daemon.kill();
    let daemon = fixture.up(&repo);
    fixture.model.release();
    repo.wait_for_end(&id);
    assert_eq!(repo.titles().len(), 2, "merged once: {:?}", repo.titles());
    assert_eq!(repo.git(&["show", "main:patient.txt"]), "by the scripted model\n");
    let document = repo.musher(&["mission", "status", &id, "--json"]).ok().json();
    let item = &document["items"][0];
    assert_eq!((item["state"].as_str(), item["attempts"].as_u64()), (Some("done"), Some(0)), "{item}");
    assert_eq!(fixture.model.counted(kind.name()).requests, 2, "no turn was taken twice");
    repo.nothing_left();
    daemon.kill();
}

agents! {
    [a_daemon_killed_in_mid_turn_merges_the_item_once]
    codex => Codex;
    codex_command => CodexCommand;
    codex_acp => CodexAcp;
    claude => Claude;
    claude_acp => ClaudeAcp;
    opencode => Opencode;
    opencode_acp => OpencodeAcp;
    gemini => Gemini;
}
