//! The recorded streams, their prefixes and broken lines, and what they do not show.

use serde_json::json;

use super::super::{McpServer, Wish};
use super::*;

const FIXTURES: [(&str, &str); 3] = [
    ("oc-ok", include_str!("../../../fixtures/oc-ok.ndjson")),
    ("oc-resume", include_str!("../../../fixtures/oc-resume.ndjson")),
    ("oc-e401", include_str!("../../../fixtures/oc-e401.ndjson")),
];
const SESSION: &str = "ses_e031451caffexYY6TEerZaILsQ";
const COMMAND: &str = r#"{"command":"echo 'hello from fake model' > hello.txt && cat hello.txt"}"#;
const DONE: &str = "Done: hello.txt was written by the fake model.";
const EXIT_0: Exit = Exit { code: Some(0), signal: None };
const EXIT_1: Exit = Exit { code: Some(1), signal: None };
const KILLED: Exit = Exit { code: None, signal: Some(9) };
const AT: Timestamp = Timestamp::from_micros(1_000_000);

fn fixture(name: &str) -> &'static str {
    FIXTURES.iter().find(|(known, _)| *known == name).unwrap().1
}

/// Hears it all; what was seen, and the protocol.
fn heard<'a>(brief: &Brief, lines: impl IntoIterator<Item = Heard<'a>>) -> (Vec<Observation>, Box<dyn Protocol>) {
    let (mut seen, mut protocol) = (Vec::new(), protocol(brief));
    for line in lines {
        protocol.hear(line, AT, &mut seen);
        assert_eq!(protocol.ended(), None, "only the exit is an end");
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

fn usage(input_tokens: u64, output_tokens: u64, cost_micro_usd: u64) -> Observation {
    cached(100, 0, Usage { input_tokens, output_tokens, cost_micro_usd, ..Usage::default() })
}

fn cached(cache_read_tokens: u64, cache_write_tokens: u64, used: Usage) -> Observation {
    Observation::Usage { used: Usage { cache_read_tokens, cache_write_tokens, ..used }, priced: true }
}

/// The observations of a run with one tool.
fn a_run(call: &str, first: Observation, second: Observation) -> Vec<Observation> {
    vec![
        Observation::SessionStarted { id: SESSION.to_owned(), resumable: true },
        Observation::ToolStarted { id: call.to_owned(), name: "bash".to_owned(), arguments: COMMAND.to_owned() },
        Observation::ToolFinished { id: call.to_owned(), ok: true },
        first,
        Observation::Text(DONE.to_owned()),
        second,
    ]
}

fn failed(class: FailureClass, message: &str) -> Ended {
    Ended::Failed { class, message: message.to_owned() }
}

/// An `error` event with a status and headers.
fn error(status: u16, headers: &Value) -> String {
    let data = json!({"message": "no", "statusCode": status, "responseHeaders": headers});
    json!({"type": "error", "sessionID": "s", "error": {"name": "APIError", "data": data}}).to_string()
}

fn step_finish(reason: &str) -> String {
    json!({"type": "step_finish", "sessionID": "s", "part": {"reason": reason}}).to_string()
}

#[test]
fn the_prompt_is_on_standard_input_and_every_value_behind_its_option() {
    let mut brief = Brief { prompt: "--help".to_owned(), worktree: "/w t".to_owned(), ..Brief::default() };
    let launched = launch(&brief);
    assert_eq!(launched.program, "opencode");
    assert_eq!(launched.args, ["run", "--format=json", "--thinking", "--auto", "--dir=/w t"]);
    assert_eq!(launched.stdin.as_deref(), Some("--help"));
    assert!(launched.env.iter().all(|(name, _)| name != "OPENCODE_CONFIG_CONTENT"));

    brief = Brief { asks: true, model: Some("p/m".to_owned()), session: Some("--share".to_owned()), ..brief };
    let args = launch(&brief).args;
    assert_eq!(args, ["run", "--format=json", "--thinking", "--dir=/w t", "--model=p/m", "--session=--share"]);
}

#[test]
fn its_mcp_servers_are_a_configuration_that_is_merged_into_the_users() {
    let command = vec!["musher".to_owned(), "mcp".to_owned()];
    let env = vec![("A".to_owned(), "\"b".to_owned())];
    let server = McpServer { name: "musher".to_owned(), command, env };
    let launched = launch(&Brief { mcp: vec![server], ..Brief::default() });
    let (_, config) = launched.env.iter().find(|(name, _)| name == "OPENCODE_CONFIG_CONTENT").unwrap();
    let wanted = json!({"mcp": {"musher": {"type": "local", "enabled": true, "command": ["musher", "mcp"],
        "environment": {"A": "\"b"}}}});
    assert_eq!(serde_json::from_str::<Value>(config).unwrap(), wanted);
}

#[test]
fn a_run_and_its_resumption_each_tell_their_own_usage() {
    let (seen, protocol) = recorded("oc-ok");
    assert_eq!(seen, a_run("call_6e67c9ee9a6844b08a430ade", usage(1002, 42, 996), usage(1004, 42, 998)));
    assert_eq!(protocol.exited(EXIT_0), Ended::Finished { summary: DONE.to_owned() });

    // The fake model reads 1,000 tokens and one a message: were the first run's told again, there would be twice that.
    let (seen, protocol) = heard(&resuming(), fixture("oc-resume").lines().map(Heard::Out));
    assert_eq!(seen, a_run("call_7dbebaaccf0e4d23bf049c6c", usage(1006, 42, 1000), usage(1008, 42, 1002)));
    assert_eq!(protocol.exited(EXIT_0), Ended::Finished { summary: DONE.to_owned() });
}

#[test]
fn thoughts_are_written_tokens_beside_the_output() {
    let tokens = json!({"total": 1044, "input": 902, "output": 35, "reasoning": 7, "cache": {"write": 20, "read": 80}});
    let part = json!({"reason": "tool-calls", "tokens": tokens, "cost": 0.000_996});
    let line = json!({"type": "step_finish", "part": part}).to_string();
    let all = Usage { input_tokens: 1002, output_tokens: 42, cost_micro_usd: 996, ..Usage::default() };
    let wanted = cached(80, 20, all);
    assert_eq!(heard(&Brief::default(), [Heard::Out(&line)]).0, [wanted]);
}

#[test]
fn a_login_that_is_refused_is_a_matter_of_setup() {
    let (seen, protocol) = recorded("oc-e401");
    let id = "ses_e03122262ffegYXuHSsIS95ff6".to_owned();
    assert_eq!(seen, [Observation::SessionStarted { id, resumable: true }]);
    let refused = failed(FailureClass::Setup, "not logged in: fake 401 from fake_llm");
    for exit in [EXIT_0, EXIT_1, KILLED] {
        assert_eq!(protocol.exited(exit), refused);
    }
}

#[test]
fn an_error_says_what_it_means() {
    let later = |micros| Some(Timestamp::from_micros(AT.as_micros() + micros));
    let limited = |resets_at| Ended::RateLimited { resets_at, message: "no".to_owned() };
    let cases = [
        (error(403, &json!({})), failed(FailureClass::Setup, "not logged in: no")),
        (error(429, &json!({"retry-after": "90"})), limited(later(90_000_000))),
        (error(429, &json!({"retry-after-ms": "1500"})), limited(later(1_500_000))),
        (error(429, &json!({"retry-after": "-1"})), limited(None)),
        (error(429, &json!({"retry-after": "1e300"})), limited(None)),
        (error(429, &json!({"retry-after": "NaN"})), limited(None)),
        (error(429, &json!(["retry-after"])), limited(None)),
        (error(500, &json!(null)), failed(FailureClass::Agent, "no")),
        (r#"{"type":"error","error":{"name":"MessageAbortedError"}}"#.to_owned(), Ended::Cancelled),
        (
            r#"{"type":"error","error":{"name":"ProviderAuthError","data":{"message":"a\nb"}}}"#.to_owned(),
            failed(FailureClass::Setup, "not logged in: a b"),
        ),
        (r#"{"type":"error"}"#.to_owned(), failed(FailureClass::Agent, "an error without words")),
    ];
    for (line, end) in cases {
        let (seen, protocol) = heard(&Brief::default(), [Heard::Out(&line)]);
        assert_eq!(protocol.exited(EXIT_1), end, "{line}");
        let told = seen.iter().any(|seen| matches!(seen, Observation::RateLimited { .. }));
        assert_eq!(told, matches!(end, Ended::RateLimited { .. }), "{line}");
    }
}

#[test]
fn only_exit_0_after_a_step_that_stopped_is_success() {
    let (stop, length, calls) = (step_finish("stop"), step_finish("length"), step_finish("tool-calls"));
    let (start, refused) = (r#"{"type":"step_start","sessionID":"s"}"#.to_owned(), error(500, &json!({})));
    let cases: [(&str, Vec<&String>, Exit, bool); 9] = [
        ("stopped", vec![&stop], EXIT_0, true),
        ("stopped after an error that it got over", vec![&refused, &start, &stop], EXIT_0, true),
        ("nothing", vec![], EXIT_0, false),
        ("exit 1", vec![&stop], EXIT_1, false),
        ("killed", vec![&stop], KILLED, false),
        ("an error afterwards", vec![&stop, &refused], EXIT_0, false),
        ("another step begun", vec![&stop, &start], EXIT_0, false),
        ("cut for length", vec![&length], EXIT_0, false),
        ("a tool was last", vec![&stop, &start, &calls], EXIT_0, false),
    ];
    for (name, lines, exit, finished) in cases {
        let (_, protocol) = heard(&Brief::default(), lines.into_iter().map(|line| Heard::Out(line)));
        assert_eq!(matches!(protocol.exited(exit), Ended::Finished { .. }), finished, "{name}");
    }
}

#[test]
fn a_session_that_is_not_there_is_lost_and_only_then() {
    let words = "\u{1b}[91m\u{1b}[1mError: \u{1b}[0mSession not found";
    let lost = Ended::SessionLost { message: "Error: Session not found".to_owned() };
    assert_eq!(heard(&resuming(), [Heard::Err(words)]).1.exited(EXIT_1), lost);

    let fresh = heard(&Brief::default(), [Heard::Err(words)]).1.exited(EXIT_1);
    assert_eq!(fresh, failed(FailureClass::Setup, "ended before a step did (exit 1) Error: Session not found"));
    let killed = heard(&resuming(), []).1.exited(KILLED);
    assert_eq!(killed, failed(FailureClass::Agent, "ended before a step did (signal 9)"));
    let begun = heard(&resuming(), [Heard::Out(&step_finish("length")), Heard::Err(words)]).1.exited(EXIT_1);
    let message = "ended after a step that ended with `length` (exit 1) Error: Session not found";
    assert_eq!(begun, failed(FailureClass::Agent, message));
}

#[test]
fn tools_plans_thoughts_and_refusals_are_seen() {
    let tool = |tool: &str, state: Value| {
        json!({"type": "tool_use", "part": {"tool": tool, "callID": "c", "state": state}}).to_string()
    };
    let finished = |ok| Observation::ToolFinished { id: "c".to_owned(), ok };
    let cases = [
        (tool("bash", json!({"status": "completed", "metadata": {"exit": 2}})), finished(false)),
        (tool("bash", json!({"status": "error", "error": "no"})), finished(false)),
        (tool("read", json!({"status": "completed", "input": {}})), finished(true)),
    ];
    for (line, last) in cases {
        assert_eq!(heard(&Brief::default(), [Heard::Out(&line)]).0.last(), Some(&last), "{line}");
    }
    let todos =
        tool("todowrite", json!({"input": {"todos": [{"content": "a", "status": "pending"}, {"content": "b"}]}}));
    let plan = Observation::Plan(vec!["a".to_owned(), "b".to_owned()]);
    assert_eq!(heard(&Brief::default(), [Heard::Out(&todos)]).0.first(), Some(&plan));
    let thought = r#"{"type":"reasoning","part":{"text":"hm"}}"#;
    assert_eq!(heard(&Brief::default(), [Heard::Out(thought)]).0, [Observation::Thought("hm".to_owned())]);
    let refusal = "\u{1b}[93m!\u{1b}[0m permission requested: bash (rm *); auto-rejecting";
    let warning = Observation::Warning("! permission requested: bash (rm *); auto-rejecting".to_owned());
    assert_eq!(heard(&Brief::default(), [Heard::Err(refusal)]).0, [warning]);
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
        for kept in 0..lines.len() {
            for cut in (0..=lines[kept].len().saturating_sub(1)).filter(|cut| lines[kept].is_char_boundary(*cut)) {
                let heard = heard(
                    &Brief::default(),
                    lines[..kept].iter().copied().map(Heard::Out).chain([Heard::Out(&lines[kept][..cut])]),
                );
                let end = heard.1.exited(EXIT_0);
                assert!(matches!(end, Ended::Failed { .. }), "{name}, {kept} lines and {cut} bytes: {end:?}");
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
        r#"{"type":"text","part":[]}"#,
        r#"{"type":"step_finish","part":{"tokens":[1],"cost":-1e999}}"#,
        r#"{"type":"tool_use","part":{"state":7}}"#,
        r#"{"type":"step_finish","part":{"tokens":{"input":18446744073709551615,"cache":{"read":9}},"cost":1e300}}"#,
        r#"{"type":"step_finish","part":{"cost":-5}}"#,
        r#"{"type":"later","sessionID":{"a":1}}"#,
        "\u{1b}[",
        "\u{1b}[é",
    ];
    for line in odd {
        let (_, protocol) = heard(&resuming(), [Heard::Out(line), Heard::Err(line), Heard::Said(line)]);
        assert!(matches!(protocol.exited(EXIT_0), Ended::Failed { .. }), "{line}");
    }
}
