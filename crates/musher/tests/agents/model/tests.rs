//! The model's own rules, without a network and without an agent.

use serde_json::{Value, json};

use super::api::Api;
use super::ledger::Ledger;
use super::reply::{Piece, Reply};
use super::scenario::{Refusal, Scenario};
use super::stream::Step;

/// A first request of each format, with a shell tool of its vendor's manner.
fn asked() -> [(Api, &'static str, Value); 4] {
    let schema = json!({
        "type": "object", "required": ["command", "why"],
        "properties": {"command": {"type": "string"}, "why": {"type": "string"}, "timeout": {"type": "integer"}},
    });
    let prompt = "do it [[write:a.txt]], not [[write:b.txt]]";
    [
        (
            Api::Anthropic,
            "/v1/messages",
            json!({"messages": [{"role": "user", "content": prompt}], "stream": true,
                "tools": [{"name": "Bash", "input_schema": schema}]}),
        ),
        (
            Api::Chat,
            "/v1/chat/completions",
            json!({"messages": [{"role": "user", "content": prompt}], "stream": true,
                "tools": [{"type": "function", "function": {"name": "bash", "parameters": schema}}]}),
        ),
        (
            Api::Responses,
            "/v1/responses",
            json!({"input": [{"role": "user", "content": [{"type": "input_text", "text": prompt}]}], "stream": true,
                "tools": [{"type": "namespace", "name": "ns", "tools": [
                    {"type": "function", "name": "exec_command", "parameters": schema}]}]}),
        ),
        (
            Api::Gemini,
            "/v1beta/models/m:streamGenerateContent",
            json!({"contents": [{"role": "user", "parts": [{"text": prompt}]}], "tools": [
                {"functionDeclarations": [{"name": "run_shell_command", "parametersJsonSchema": schema}]}]}),
        ),
    ]
}

#[test]
fn the_reason_for_a_no_is_no_new_task_and_another_message_is() {
    let output = json!({"type": "function_call_output", "call_id": "c", "output": "rejected"});
    let says = |text: &str| json!({"role": "user", "content": [{"type": "input_text", "text": text}]});
    for (text, answered) in [("The request was denied: not today", true), ("do another thing", false)] {
        let body = json!({"input": [says("do it"), output, says(text)], "tools": []});
        assert_eq!(Api::Responses.question("/v1/responses", &body).answered, answered, "{text}");
    }
}

#[test]
fn every_format_calls_the_shell_with_the_file_of_the_prompt_and_what_the_schema_requires() {
    for (api, path, body) in asked() {
        assert_eq!(Api::at(path), Some(api));
        let question = api.question(path, &body);
        assert!(question.stream && !question.answered, "{api:?}");
        let call = Reply::to(&question, Scenario::Ok, 1).call.unwrap();
        let command = call.arguments["command"].as_str().unwrap();
        assert!(command.ends_with("> 'a.txt'"), "{api:?}: {command}");
        assert_eq!(call.arguments.as_object().unwrap().len(), 2, "{api:?}: the optional argument is left out");
    }
}

#[test]
fn a_tools_result_is_answered_with_words_and_in_a_loop_with_the_same_call() {
    let results = [
        ("messages", json!({"role": "user", "content": [{"type": "tool_result", "content": "x"}]})),
        ("messages", json!({"role": "tool", "content": "x"})),
        ("input", json!({"type": "function_call_output", "output": "x"})),
        ("contents", json!({"role": "user", "parts": [{"functionResponse": {"name": "n"}}]})),
    ];
    for ((api, path, mut body), (list, result)) in asked().into_iter().zip(results) {
        body[list].as_array_mut().unwrap().push(result);
        let question = api.question(path, &body);
        assert!(question.answered, "{api:?}");
        assert!(Reply::to(&question, Scenario::Ok, 1).call.is_none(), "{api:?}");
        let (first, second) = (Reply::to(&question, Scenario::Loop, 2), Reply::to(&question, Scenario::Loop, 3));
        assert_eq!(first.call.unwrap().arguments, second.call.unwrap().arguments, "{api:?}");
        assert_ne!(first.number, second.number);
    }
}

#[test]
fn a_slow_answer_holds_after_its_first_word_and_a_cut_one_is_never_told() {
    for (api, path, body) in asked() {
        let question = api.question(path, &body);
        let slow = api.steps(&Reply::to(&question, Scenario::Slow, 1), "m");
        let at = |steps: &[Step], step: Step| steps.iter().position(|s| *s == step);
        assert!(at(&slow, Step::Hold).unwrap() < at(&slow, Step::Told).unwrap(), "{api:?}");
        let cut = api.steps(&Reply::to(&question, Scenario::Cut, 2), "m");
        assert!(at(&cut, Step::Cut).unwrap() < at(&cut, Step::Told).unwrap(), "{api:?}");
        let pieces = Reply::to(&question, Scenario::Slow, 1);
        assert!(matches!(pieces.pieces()[..2], [Piece::Word("Slowly, "), Piece::Hold]));
    }
}

#[test]
fn every_scenario_has_its_name_and_is_refused_as_often_as_it_says() {
    for (name, scenario) in Scenario::ALL {
        assert_eq!((Scenario::named(name), scenario.name()), (Some(scenario), name));
    }
    assert_eq!(Scenario::named("unheard-of"), None);
    let limited = Some(Refusal { status: 429, retry_after: Some(2), reset: None });
    assert_eq!((Scenario::LimitedOnce.refusal(1), Scenario::LimitedOnce.refusal(2)), (limited, None));
    assert!(Scenario::Flaky.refusal(2).is_some() && Scenario::Flaky.refusal(3).is_none());
    let resets = [1, 2, 3].map(|nth| Scenario::ResetOnce.refusal(nth).and_then(|refusal| refusal.reset).is_some());
    assert_eq!(resets, [false, true, false], "in the middle of the work");
    assert!(Scenario::Status(529).refusal(1000).is_some());
}

#[test]
fn a_client_is_counted_apart_from_others_and_from_its_side_requests() {
    let ledger = Ledger::default();
    let (api, path, body) = &asked()[0];
    let reply = Reply::to(&api.question(path, body), Scenario::Ok, ledger.next_number());
    ledger.tell("a", false, reply.tokens);
    ledger.tell("a", false, reply.tokens);
    ledger.tell("a", true, reply.tokens);
    let counted = ledger.counted("a");
    assert_eq!((counted.input, counted.requests), (2 * reply.tokens.input, 2));
    assert_eq!(ledger.counted_aside("a").requests, 1);
    assert_eq!(ledger.counted("b").requests, 0);
    // Side requests use up no refusal.
    assert_eq!(ledger.nth(Scenario::Flaky, "a", true), 1);
    assert_eq!(ledger.nth(Scenario::Flaky, "a", false), 1);
    assert_eq!(ledger.nth(Scenario::Flaky, "a", false), 2);
}

#[test]
fn a_switched_scenario_is_played_whatever_the_url_says() {
    let ledger = Ledger::default();
    assert_eq!(ledger.played(Scenario::Ok), Scenario::Ok);
    ledger.switch(Scenario::Status(401));
    assert_eq!(ledger.played(Scenario::Ok), Scenario::Status(401));
}
