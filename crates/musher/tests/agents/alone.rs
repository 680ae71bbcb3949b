//! The agents by themselves with the scripted model: when these fail, look at the fixtures, not at musher.

use std::process::Output;

use crate::fixture::Fixture;
use crate::kind::Kind;
use crate::model::Scenario;

fn said(output: &Output) -> String {
    format!(
        "{}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn writes_the_file_of_its_prompt(kind: Kind) {
    let Some(fixture) = Fixture::new(kind, Scenario::Ok) else { return };
    let (folder, output) = fixture.alone("write a file [[write:named.txt]]");
    let file = std::fs::read_to_string(folder.join("named.txt")).unwrap_or_default();
    assert_eq!(file, "by the scripted model\n", "{}", said(&output));
    let counted = fixture.model.counted(kind.name());
    assert_eq!(counted.requests, 2, "a call and the closing words: {}", said(&output));
}

fn writes_nothing_when_it_is_refused(kind: Kind) {
    let Some(fixture) = Fixture::new(kind, Scenario::Status(401)) else { return };
    let (folder, output) = fixture.alone("write a file [[write:named.txt]]");
    assert!(!folder.join("named.txt").exists(), "{}", said(&output));
    assert_eq!(fixture.model.counted(kind.name()).requests, 0);
    assert!(fixture.model.requests().iter().any(|request| request.method == "POST"), "{}", said(&output));
}

/// Only those whose own retries could be made few.
fn gives_up_on_a_broken_server_and_a_broken_stream(kind: Kind) {
    for scenario in [Scenario::Status(500), Scenario::Status(529), Scenario::Cut] {
        let Some(fixture) = Fixture::new(kind, scenario) else { return };
        let (folder, output) = fixture.alone("write a file [[write:named.txt]]");
        assert!(!folder.join("named.txt").exists(), "{scenario:?}: {}", said(&output));
        assert_eq!(fixture.model.counted(kind.name()).requests, 0, "{scenario:?}: {}", said(&output));
    }
}

/// Those that come back by themselves when they are told when.
fn comes_back_after_a_rate_limit(kind: Kind) {
    let Some(fixture) = Fixture::new(kind, Scenario::LimitedOnce) else { return };
    let (folder, output) = fixture.alone("write a file [[write:named.txt]]");
    assert!(folder.join("named.txt").exists(), "{}", said(&output));
    assert_eq!(fixture.model.counted(kind.name()).requests, 2, "{}", said(&output));
}

fn writes_the_file_over_acp(kind: Kind) {
    let Some(fixture) = Fixture::new(kind, Scenario::Ok) else { return };
    let (folder, said) = fixture.alone_by_acp("write a file [[write:named.txt]]");
    assert_eq!(said.as_ref().unwrap()["stopReason"], "end_turn", "{said:?}");
    let file = std::fs::read_to_string(folder.join("named.txt")).unwrap_or_default();
    assert_eq!(file, "by the scripted model\n", "{said:?}");
    assert_eq!(fixture.model.counted(kind.name()).requests, 2, "a call and the closing words: {said:?}");
}

fn writes_nothing_over_acp_when_it_is_refused(kind: Kind) {
    let Some(fixture) = Fixture::new(kind, Scenario::Status(401)) else { return };
    let (folder, said) = fixture.alone_by_acp("write a file [[write:named.txt]]");
    assert!(!folder.join("named.txt").exists(), "{said:?}");
    assert_eq!(fixture.model.counted(kind.name()).requests, 0, "{said:?}");
}

agents! {
    codex => Codex: writes_the_file_of_its_prompt writes_nothing_when_it_is_refused
        gives_up_on_a_broken_server_and_a_broken_stream;
    claude => Claude: writes_the_file_of_its_prompt writes_nothing_when_it_is_refused
        gives_up_on_a_broken_server_and_a_broken_stream comes_back_after_a_rate_limit;
    opencode => Opencode: writes_the_file_of_its_prompt writes_nothing_when_it_is_refused
        comes_back_after_a_rate_limit;
    gemini => Gemini: writes_the_file_of_its_prompt writes_nothing_when_it_is_refused
        gives_up_on_a_broken_server_and_a_broken_stream;
    qwen => Qwen: writes_the_file_of_its_prompt writes_nothing_when_it_is_refused;
    codex_acp => CodexAcp: writes_the_file_over_acp writes_nothing_over_acp_when_it_is_refused;
    claude_acp => ClaudeAcp: writes_the_file_over_acp writes_nothing_over_acp_when_it_is_refused;
    opencode_acp => OpencodeAcp: writes_the_file_over_acp writes_nothing_over_acp_when_it_is_refused;
    gemini_acp => GeminiAcp: writes_the_file_over_acp writes_nothing_over_acp_when_it_is_refused;
    qwen_acp => QwenAcp: writes_the_file_over_acp writes_nothing_over_acp_when_it_is_refused;
}
