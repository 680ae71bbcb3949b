//! The recorded streams, their prefixes and broken lines, and what they do not show.

use musher_core::run::FailureClass;
use serde_json::json;

use super::super::Wish;
use super::*;

const FIXTURES: [(&str, &str); 5] = [
    ("gem-ok", include_str!("../../../fixtures/gem-ok.ndjson")),
    ("gem-resume", include_str!("../../../fixtures/gem-resume.ndjson")),
    ("gem-cut", include_str!("../../../fixtures/gem-cut.ndjson")),
    ("gem-e429", include_str!("../../../fixtures/gem-e429.ndjson")),
    ("gem-e500", include_str!("../../../fixtures/gem-e500.ndjson")),
];
const SESSION: &str = "a13845dc-7c05-4185-8a9b-a8fc1e5135d0";
const COMMAND: &str = r#"{"command":"echo 'hello from fake model' > hello.txt && cat hello.txt"}"#;
const WORDS: [&str; 8] = ["Done: ", "hello.txt ", "was ", "written ", "by ", "the ", "fake ", "model."];
const AT: Timestamp = Timestamp::from_micros(1_000_000);

fn exit(code: i32) -> Exit {
    Exit { code: Some(code), signal: None }
}

fn fixture(name: &str) -> &'static str {
    FIXTURES.iter().find(|(known, _)| *known == name).unwrap().1
}

/// Hears it all; what was seen, and the protocol.
fn heard<'a>(brief: &Brief, lines: impl IntoIterator<Item = Heard<'a>>) -> (Vec<Observation>, Box<dyn Protocol>) {
    let (mut seen, mut protocol) = (Vec::new(), protocol(brief));
    for line in lines {
        protocol.hear(line, AT, &mut seen);
        assert_eq!(protocol.say(), None);
    }
    (seen, protocol)
}

fn recorded(name: &str) -> (Vec<Observation>, Box<dyn Protocol>) {
    heard(&Brief::default(), fixture(name).lines().map(Heard::Out))
}

fn resuming() -> Brief {
    Brief { session: Some(SESSION.to_owned()), ..Brief::default() }
}

fn failed(class: FailureClass, message: &str) -> Ended {
    Ended::Failed { class, message: message.to_owned() }
}

fn started(id: &str) -> Observation {
    Observation::SessionStarted { id: id.to_owned(), resumable: true }
}

/// The observations of a run with one tool, and its end.
fn a_run(call: &str, input_tokens: u64) -> (Vec<Observation>, Ended) {
    let id = || call.to_owned();
    let mut seen = vec![
        started(SESSION),
        Observation::ToolStarted { id: id(), name: "run_shell_command".to_owned(), arguments: COMMAND.to_owned() },
        Observation::ToolFinished { id: id(), ok: true },
    ];
    seen.extend(WORDS.map(|word| Observation::Text(word.to_owned())));
    let used = Usage { input_tokens, cache_read_tokens: 200, output_tokens: 84, ..Usage::default() };
    seen.push(Observation::Usage { used, priced: false });
    (seen, Ended::Finished { summary: "Done: hello.txt was written by the fake model.".to_owned() })
}

/// A `result` that failed with this type and message.
fn result(kind: &str, message: &str) -> String {
    json!({"type": "result", "status": "error", "error": {"type": kind, "message": message}}).to_string()
}

/// The provider's words for a status, as a `result` has them.
fn api_error(status: u16) -> String {
    format!(r#"[API Error: {{"error":{{"code":{status},"message":"no"}}}}]"#)
}

#[test]
fn the_prompt_is_on_standard_input_and_every_value_behind_its_option() {
    let brief = Brief { prompt: "/help".to_owned(), ..Brief::default() };
    let launched = launch(&brief);
    assert_eq!(launched.program, "gemini");
    assert_eq!(launched.args, ["--output-format=stream-json", "--approval-mode=yolo"]);
    assert_eq!(launched.stdin.as_deref(), Some("/help"));
    assert!(launched.env.contains(&("GEMINI_CLI_NO_RELAUNCH".to_owned(), "true".to_owned())));

    let brief = Brief { asks: true, model: Some("m".to_owned()), session: Some("--yolo".to_owned()), ..brief };
    assert_eq!(launch(&brief).args, ["--output-format=stream-json", "--model=m", "--resume=--yolo"]);
}

#[test]
fn a_run_and_its_resumption_each_tell_their_own_usage() {
    // Two requests with 1,000 tokens and one a message each: were the first run's told again, there would be twice that.
    let cases = [
        ("gem-ok", "run_shell_command__run_shell_command_1795244968483_0", 2004),
        ("gem-resume", "run_shell_command__run_shell_command_1795245027203_0", 2020),
    ];
    for (name, call, input_tokens) in cases {
        let (seen, protocol) = recorded(name);
        let (wanted, end) = a_run(call, input_tokens);
        assert_eq!(seen, wanted, "{name}");
        assert_eq!(protocol.ended(), Some(&end), "{name}");
        assert_eq!(protocol.exited(exit(0)), end, "{name}");
    }
}

#[test]
fn a_result_counts_once() {
    let twice = fixture("gem-ok").lines().chain(fixture("gem-ok").lines().last()).map(Heard::Out);
    let (seen, _) = heard(&Brief::default(), twice);
    assert_eq!(seen.iter().filter(|seen| matches!(seen, Observation::Usage { .. })).count(), 1);
}

#[test]
fn thoughts_are_written_tokens_that_only_the_total_has() {
    let stats = json!({"total_tokens": 2102, "input_tokens": 2004, "output_tokens": 84, "cached": 200});
    let line = json!({"type": "result", "status": "success", "stats": stats}).to_string();
    let used = Usage { input_tokens: 2004, cache_read_tokens: 200, output_tokens: 98, ..Usage::default() };
    assert_eq!(heard(&Brief::default(), [Heard::Out(&line)]).0, [Observation::Usage { used, priced: false }]);
}

#[test]
fn a_recorded_failure_is_what_its_exit_says() {
    let (seen, protocol) = recorded("gem-cut");
    assert_eq!(seen, [started("31ec7787-6923-4d05-9949-f913257e3b31"), Observation::Text("partial ".to_owned())]);
    assert_eq!(protocol.ended(), None);
    assert_eq!(protocol.exited(exit(1)), failed(FailureClass::Agent, "[API Error: terminated]"));

    let (seen, protocol) = recorded("gem-e429");
    assert_eq!(seen, [started("3ebad275-56c5-4989-8449-3d5ac12b01c0")]);
    let message = "ended without a result (exit 173)".to_owned();
    assert_eq!(protocol.exited(exit(173)), Ended::RateLimited { resets_at: None, message });
    assert_eq!(
        protocol.exited(exit(145)),
        failed(FailureClass::Setup, "not logged in: ended without a result (exit 145)")
    );

    let (seen, protocol) = recorded("gem-e500");
    assert_eq!(seen, [started("91580059-999e-4c18-8040-80370e93b930")]);
    assert_eq!(protocol.exited(exit(244)), failed(FailureClass::Agent, "ended without a result (exit 244)"));
    // A signal leaves 0.
    assert_eq!(protocol.exited(exit(0)), failed(FailureClass::Agent, "ended without a result (exit 0)"));
}

#[test]
fn a_failed_result_is_what_its_type_or_status_says() {
    let setup = |message: &str| failed(FailureClass::Setup, message);
    let cases = [
        (result("unknown", &api_error(401)), setup("not logged in: no")),
        (result("unknown", &api_error(403)), setup("not logged in: no")),
        (result("unknown", &api_error(500)), failed(FailureClass::Agent, "no")),
        (result("unknown", &api_error(400)), failed(FailureClass::Agent, "no")),
        (result("unknown", &api_error(429)), Ended::RateLimited { resets_at: None, message: "no".to_owned() }),
        (result("FatalAuthenticationError", "no key"), setup("no key")),
        (result("FatalUntrustedWorkspaceError", "a\n b"), setup("a b")),
        (result("FatalTurnLimitedError", ""), failed(FailureClass::Limit, "an error without words")),
        (result("FatalToolExecutionError", &api_error(500)), failed(FailureClass::Agent, "no")),
        (result("FatalCancellationError", "Operation cancelled."), Ended::Cancelled),
    ];
    for (line, end) in cases {
        let (seen, protocol) = heard(&Brief::default(), [Heard::Out(&line)]);
        assert_eq!(protocol.ended(), Some(&end), "{line}");
        assert_eq!(protocol.exited(exit(0)), end, "{line}");
        assert_eq!(!seen.is_empty(), matches!(end, Ended::RateLimited { .. }), "{line}");
    }
    let words = "API key not valid. Please pass a valid API key.";
    let bad_key = api_error(400).replace("no", words);
    let (_, protocol) = heard(&Brief::default(), [Heard::Out(&result("unknown", &bad_key))]);
    assert_eq!(protocol.ended(), Some(&setup(words)));
}

#[test]
fn a_used_up_quota_tells_when_it_is_not() {
    let later = |micros| Some(Timestamp::from_micros(AT.as_micros() + micros));
    let cases = [
        ("fake 429\nPlease wait and try again later.", None),
        ("Please retry in 34.5s.", later(34_500_000)),
        ("Your quota will reset after 1h1m1s.", later(3_661_000_000)),
        ("reset after soon", None),
        ("retry in 9999999999999h", None),
        ("retry in 1.2.3s", None),
        ("retry in 500ms", None),
    ];
    for (words, resets_at) in cases {
        let (_, protocol) = heard(&Brief::default(), [Heard::Out(&result("unknown", words))]);
        assert_eq!(protocol.ended(), None, "only the exit tells the status: {words}");
        let message = words.replace('\n', " ");
        assert_eq!(protocol.exited(exit(173)), Ended::RateLimited { resets_at, message }, "{words}");
    }
}

#[test]
fn a_success_whose_last_word_was_an_error_is_none() {
    let error =
        |severity: &str, message: &str| json!({"type": "error", "severity": severity, "message": message}).to_string();
    let text = r#"{"type":"message","role":"assistant","content":"on "}"#;
    let success = r#"{"type":"result","status":"success"}"#;
    let looped = "Loop detected, stopping execution";
    let cases = [
        (
            vec![error("error", "Maximum session turns exceeded")],
            failed(FailureClass::Limit, "Maximum session turns exceeded"),
        ),
        (vec![error("error", "blocked for safety")], failed(FailureClass::Agent, "blocked for safety")),
        (vec![error("warning", looped)], failed(FailureClass::Agent, looped)),
        (vec![error("warning", "quota is low")], Ended::Finished { summary: String::new() }),
        (vec![error("error", "busy"), text.to_owned()], Ended::Finished { summary: "on".to_owned() }),
    ];
    for (lines, end) in cases {
        let lines = lines.iter().map(String::as_str).chain([success]).map(Heard::Out);
        assert_eq!(heard(&Brief::default(), lines).1.ended(), Some(&end));
    }
    // A result that failed without an error of its own.
    let (refused, bare) = (error("error", "blocked"), r#"{"type":"result","status":"error"}"#);
    let (_, protocol) = heard(&Brief::default(), [Heard::Out(&refused), Heard::Out(bare)]);
    assert_eq!(protocol.ended(), Some(&failed(FailureClass::Agent, "blocked")));
}

#[test]
fn a_session_that_is_not_there_is_lost_and_only_then() {
    let words = "Error resuming session: Invalid session identifier \"x\".";
    let lost = Ended::SessionLost { message: words.to_owned() };
    assert_eq!(heard(&resuming(), [Heard::Err(words), Heard::Err("  Searched.")]).1.exited(exit(42)), lost);

    let message = format!("ended without a result (exit 42) {words}");
    let fresh = heard(&Brief::default(), [Heard::Err(words)]).1.exited(exit(42));
    assert_eq!(fresh, failed(FailureClass::Setup, &message));
    let killed = heard(&Brief::default(), []).1.exited(Exit { code: None, signal: Some(9) });
    assert_eq!(killed, failed(FailureClass::Agent, "ended without a result (signal 9)"));
    let begun = heard(&resuming(), [Heard::Out(r#"{"type":"init","session_id":"s"}"#), Heard::Err(words)]);
    assert_eq!(begun.1.exited(exit(42)), failed(FailureClass::Agent, &message));
}

#[test]
fn tools_plans_and_tries_are_seen() {
    let refused = r#"{"type":"tool_result","tool_id":"t","status":"error","error":{"type":"x"}}"#;
    let finished = Observation::ToolFinished { id: "t".to_owned(), ok: false };
    assert_eq!(heard(&Brief::default(), [Heard::Out(refused)]).0, [finished]);
    let todos = json!({"type": "tool_use", "tool_name": "write_todos", "tool_id": "t",
        "parameters": {"todos": [{"description": "a"}, {}, {"description": "b"}]}});
    let plan = Observation::Plan(vec!["a".to_owned(), "b".to_owned()]);
    assert_eq!(heard(&Brief::default(), [Heard::Out(&todos.to_string())]).0.first(), Some(&plan));
    let again = "Attempt 1 failed with status 500. Retrying with backoff...";
    let noise = ["YOLO mode is enabled.", "", "    at trace", "}"].map(Heard::Err);
    let (seen, protocol) = heard(&Brief::default(), noise.into_iter().chain([Heard::Err(again)]));
    assert_eq!(seen, [Observation::Retrying(again.to_owned())]);
    let message = format!("ended without a result (exit 41) {again}");
    assert_eq!(protocol.exited(exit(41)), failed(FailureClass::Setup, &message));
}

#[test]
fn a_wish_has_no_way_to_it() {
    let mut protocol = protocol(&Brief::default());
    assert!(!protocol.wish(Wish::Tell { key: "k".to_owned(), text: "t".to_owned(), now: true }));
    assert!(!protocol.wish(Wish::Answer { reference: "r".to_owned(), allow: true, why: String::new() }));
    assert_eq!(protocol.say(), None);
}

#[test]
fn no_prefix_of_a_run_is_finished() {
    for (name, text) in FIXTURES {
        let lines: Vec<&str> = text.lines().collect();
        for (kept, line) in lines.iter().enumerate() {
            for cut in (0..line.len()).filter(|cut| line.is_char_boundary(*cut)) {
                let before = lines[..kept].iter().copied().map(Heard::Out);
                let (_, protocol) = heard(&Brief::default(), before.chain([Heard::Out(&line[..cut])]));
                assert_eq!(protocol.ended(), None, "{name}, {kept} lines and {cut} bytes");
                for code in [0, 1, 42, 173] {
                    let end = protocol.exited(exit(code));
                    assert!(
                        !matches!(end, Ended::Finished { .. }),
                        "{name}, {kept} lines and {cut} bytes, exit {code}"
                    );
                }
            }
        }
    }
}

#[test]
fn what_others_wrote_breaks_nothing() {
    let odd = [
        "",
        "null",
        "5",
        "[]",
        "{}",
        "\"x\"",
        r#"{"type":5}"#,
        r#"{"type":"init","session_id":[]}"#,
        r#"{"type":"message","role":"assistant"}"#,
        r#"{"type":"result","status":null,"stats":[]}"#,
        r#"{"type":"result","error":{"type":"unknown","message":"}{"}}"#,
        r#"{"type":"result","error":5}"#,
        r#"{"type":"result","error":{"message":"[API Error: {\"error\":{\"code\":99999999999}}]"}}"#,
        r#"{"type":"result","stats":{"total_tokens":-1,"input_tokens":18446744073709551615}}"#,
        r#"{"type":"later"}"#,
        "é",
        "Attempt é Retrying",
    ];
    for line in odd {
        let (_, protocol) = heard(&resuming(), [Heard::Out(line), Heard::Err(line), Heard::Said(line)]);
        assert!(!matches!(protocol.exited(exit(0)), Ended::Finished { .. }), "{line}");
        assert!(!matches!(protocol.ended(), Some(Ended::Finished { .. })), "{line}");
    }
}
