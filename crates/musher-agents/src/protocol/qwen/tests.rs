use std::fs;
use std::path::Path;

use super::super::Wish;
use super::*;

const FIXTURES: [&str; 4] = ["qwen-ok", "qwen-resume", "qwen-cut", "qwen-e401"];

fn brief(session: Option<&str>) -> Brief {
    Brief { prompt: "create hello.txt".to_owned(), session: session.map(str::to_owned), ..Brief::default() }
}

fn fixture(name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/{name}.ndjson"));
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

fn hear(qwen: &mut Qwen, lines: &[String]) -> Vec<Observation> {
    let mut seen = Vec::new();
    for line in lines {
        qwen.hear(Heard::Out(line), Timestamp::from_micros(0), &mut seen);
    }
    seen
}

fn heard(name: &str) -> (Vec<Observation>, Option<Ended>) {
    let mut qwen = Qwen::new(&brief((name == "qwen-resume").then_some("c1bfa928")));
    let seen = hear(&mut qwen, &fixture(name));
    (seen, qwen.ended().cloned())
}

fn started(id: &str) -> Observation {
    Observation::SessionStarted { id: id.to_owned(), resumable: true }
}

fn used(input_tokens: u64) -> Observation {
    let used = Usage { input_tokens, cache_read_tokens: 100, output_tokens: 42, ..Usage::default() };
    Observation::Usage { used, priced: false }
}

fn ran(call: &str) -> [Observation; 2] {
    let arguments = r#"{"command":"echo 'hello from fake model' > hello.txt && cat hello.txt"}"#.to_owned();
    let name = "run_shell_command".to_owned();
    [
        Observation::ToolStarted { id: call.to_owned(), name, arguments },
        Observation::ToolFinished { id: call.to_owned(), ok: true },
    ]
}

fn failed(class: FailureClass, message: &str) -> Ended {
    Ended::Failed { class, message: message.to_owned() }
}

#[test]
fn a_recorded_run_and_its_resumption_count_their_usage_once() {
    let id = "c1bfa928-34ef-4fc3-9e47-4f349c0d36a7";
    let words = "Done: hello.txt was written by the fake model.";
    // The total of the second is 4028, of which 2010 were the first's.
    let runs = [("qwen-ok", OK_CALL, 1004, 1006), ("qwen-resume", "call_5f31f1b0437b41848af93cc1", 1008, 1010)];
    for (name, call, first, second) in runs {
        let [start, end] = ran(call);
        let text = Observation::Text(words.to_owned());
        let (seen, ended) = heard(name);
        assert_eq!(seen, [started(id), start, used(first), end, text, used(second)], "{name}");
        assert_eq!(ended, Some(Ended::Finished { summary: words.to_owned() }), "{name}");
    }
}

#[test]
fn a_success_that_ends_with_an_api_error_is_a_failure() {
    let (seen, ended) = heard("qwen-cut");
    let words = "partial [API Error: terminated (cause: other side closed)]".to_owned();
    assert_eq!(seen, [started("47d7a554-c398-403c-a119-f47c0345e5ee"), Observation::Text(words)]);
    let message = "[API Error: terminated (cause: other side closed)]";
    assert_eq!(ended, Some(failed(FailureClass::Agent, message)));

    let (seen, ended) = heard("qwen-e401");
    let words = "[API Error: 401 fake 401 from fake_llm]";
    assert_eq!(seen, [started("826a570c-5bdf-4022-8049-7558839f4dc2"), Observation::Text(words.to_owned())]);
    assert_eq!(ended, Some(failed(FailureClass::Setup, words)));
}

#[test]
fn a_failure_has_the_class_of_its_cause() {
    use FailureClass::{Agent, Setup};
    let limited = |message: &str| Ended::RateLimited { resets_at: None, message: message.to_owned() };
    let no_auth = "No auth type is selected. Please configure an auth type";
    let cases = [
        (json!({"is_error": false, "result": "a [API Error: 429 x]"}), limited("[API Error: 429 x]")),
        (
            json!({"is_error": false, "result": "[API Error: 429 x]\nPossible quota limitations in place or slow response \
                times detected. Please wait and try again later."}),
            limited("[API Error: 429 x]"),
        ),
        (
            json!({"is_error": false, "result": "It said [API Error: 429 x]\nNow it says: wait."}),
            Ended::Finished { summary: "It said [API Error: 429 x]\nNow it says: wait.".to_owned() },
        ),
        (json!({"is_error": false, "result": "[API Error: 500 x]"}), failed(Agent, "[API Error: 500 x]")),
        (
            json!({"is_error": false, "result": "[API Error: Connection error. (cause: fetch failed)]"}),
            failed(Setup, "[API Error: Connection error. (cause: fetch failed)]"),
        ),
        (json!({"is_error": true, "error": {"message": no_auth}}), failed(Setup, no_auth)),
        (json!({"is_error": true, "subtype": "error_during_execution"}), failed(Agent, "error_during_execution")),
        (json!({}), failed(Agent, "it failed, and did not say why")),
        (
            json!({"is_error": false, "result": "I fixed the text \"[API Error: 500 x]\" too."}),
            Ended::Finished { summary: "I fixed the text \"[API Error: 500 x]\" too.".to_owned() },
        ),
    ];
    for (mut event, expected) in cases {
        event["type"] = json!("result");
        let mut qwen = Qwen::new(&brief(None));
        hear(&mut qwen, &[event.to_string()]);
        assert_eq!(qwen.ended(), Some(&expected), "{event}");
    }
}

#[test]
fn requests_beside_the_messages_are_in_the_total() {
    let message = json!({"type": "assistant", "message": {"id": "m1", "content": [],
        "usage": {"input_tokens": 1004, "output_tokens": 42, "cache_read_input_tokens": 100}}});
    let result = json!({"type": "result", "is_error": false, "result": "ok",
        "usage": {"input_tokens": 2010, "output_tokens": 84, "cache_read_input_tokens": 200}});
    let lines = [message.to_string(), message.to_string(), result.to_string()];
    assert_eq!(hear(&mut Qwen::new(&brief(None)), &lines), [used(1004), used(1006)]);
    assert_eq!(hear(&mut Qwen::new(&brief(Some("s1"))), &lines), [used(1004)]);
}

#[test]
fn an_exit_without_a_result_is_never_a_success() {
    let lost = "No saved session found with ID s1. Run `qwen --resume` without an ID to choose from existing sessions.";
    let turns = "Reached max session turns for this session.";
    let cases = [
        ("", 0, failed(FailureClass::Agent, "exit 0")),
        (lost, 1, Ended::SessionLost { message: lost.to_owned() }),
        (turns, 53, failed(FailureClass::Limit, &format!("exit 53: {turns}"))),
        ("boom", 1, failed(FailureClass::Agent, "exit 1: boom")),
    ];
    for (line, code, expected) in cases {
        let mut qwen = Qwen::new(&brief(Some("s1")));
        qwen.hear(Heard::Err(line), Timestamp::from_micros(0), &mut Vec::new());
        assert_eq!(qwen.ended(), None);
        assert_eq!(qwen.exited(Exit { code: Some(code), signal: None }), expected, "{line}");
    }
}

#[test]
fn a_cut_line_never_panics_and_never_ends_a_run() {
    for name in FIXTURES {
        let lines = fixture(name);
        for (at, line) in lines.iter().enumerate() {
            let mut before = Qwen::new(&brief(None));
            hear(&mut before, &lines[..at]);
            assert_eq!(before.ended(), None, "{name} {at}");
            for end in (0..line.len()).filter(|end| line.is_char_boundary(*end)) {
                let mut qwen = Qwen::new(&brief(None));
                let halves = [line[..end].to_owned(), line[end..].to_owned()];
                hear(&mut qwen, &halves[..1]);
                assert_eq!(qwen.ended(), None, "{name}: {}", halves[0]);
                if end > 0 {
                    hear(&mut qwen, &halves[1..]);
                    assert_eq!(qwen.ended(), None, "{name}: {}", halves[1]);
                }
            }
        }
    }
}

#[test]
fn nothing_can_be_said_to_a_running_one() {
    let mut qwen = Qwen::new(&brief(None));
    let tell = Wish::Tell { key: "m1".to_owned(), text: "hello".to_owned(), now: true };
    let answer = Wish::Answer { reference: "r1".to_owned(), allow: true, why: String::new() };
    assert!(!qwen.wish(tell));
    assert!(!qwen.wish(answer));
    assert_eq!(qwen.say(), None);
}

#[test]
fn the_prompt_is_its_input_and_no_argument() {
    let launch = launch(&Brief { model: Some("m".to_owned()), ..brief(Some("s")) });
    assert_eq!(launch.stdin.as_deref(), Some("create hello.txt"));
    assert_eq!(launch.args.join(" "), "--output-format stream-json --approval-mode yolo --model m --resume s");
}

const OK_CALL: &str = "call_fccfdc0b634d4ab285367f4e";
