//! OpenAI chat completions.

use serde_json::{Value, json};

use super::question::{Question, Tool, list, text_of};
use super::reply::{Piece, Reply};
use super::scenario::Refusal;
use super::stream::Step;

/// Reads a request.
pub(crate) fn question(body: &Value) -> Question {
    let messages = list(body, "messages");
    let functions = list(body, "tools").iter().map(|tool| &tool["function"]);
    let named = functions.filter_map(|function| Some((function["name"].as_str()?, function)));
    let tools = named.map(|(name, function)| Tool {
        name: name.to_owned(),
        namespace: None,
        schema: function["parameters"].clone(),
    });
    let said = messages.iter().filter(|m| m["role"] == "user").map(|m| text_of(&m["content"]));
    let results = messages.iter().filter(|m| m["role"] == "tool").map(|m| text_of(&m["content"]));
    Question {
        results: results.collect(),
        tools: tools.collect(),
        answered: messages.last().is_some_and(|m| m["role"] == "tool"),
        said: said.collect::<Vec<_>>().join("\n"),
        wanted: body["response_format"]["json_schema"].get("schema").cloned(),
        stream: body["stream"] == true,
    }
}

fn usage(reply: &Reply) -> Value {
    let tokens = reply.tokens;
    json!({
        "prompt_tokens": tokens.input, "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cached},
        "completion_tokens_details": {"reasoning_tokens": 0},
    })
}

fn finish_reason(reply: &Reply) -> &'static str {
    if reply.call.is_some() { "tool_calls" } else { "stop" }
}

/// A whole answer.
pub(crate) fn document(reply: &Reply, model: &str) -> Value {
    let mut message = json!({"role": "assistant", "content": reply.text});
    if let Some(call) = &reply.call {
        message["tool_calls"] = json!([{
            "id": reply.id("call_"), "type": "function",
            "function": {"name": call.tool.name, "arguments": call.arguments.to_string()},
        }]);
    }
    json!({
        "id": reply.id("chatcmpl-"), "object": "chat.completion", "created": 1_700_000_000, "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason(reply)}],
        "usage": usage(reply),
    })
}

/// An answer as events.
pub(crate) fn steps(reply: &Reply, model: &str) -> Vec<Step> {
    let chunk = |choices: Value| {
        json!({
            "id": reply.id("chatcmpl-"), "object": "chat.completion.chunk", "created": 1_700_000_000,
            "model": model, "choices": choices,
        })
    };
    let delta = |delta: Value, end: Option<&str>| {
        Step::Event(None, chunk(json!([{"index": 0, "delta": delta, "finish_reason": end}])))
    };
    let mut steps = vec![delta(json!({"role": "assistant", "content": ""}), None)];
    for piece in reply.pieces() {
        steps.push(match piece {
            Piece::Word(word) => delta(json!({"content": word}), None),
            Piece::Hold => Step::Hold,
            Piece::Cut => Step::Cut,
        });
    }
    if let Some(call) = &reply.call {
        let function = json!({"name": call.tool.name, "arguments": ""});
        let begin = json!({"index": 0, "id": reply.id("call_"), "type": "function", "function": function});
        steps.push(delta(json!({"tool_calls": [begin]}), None));
        for part in call.argument_parts() {
            steps.push(delta(json!({"tool_calls": [{"index": 0, "function": {"arguments": part}}]}), None));
        }
    }
    steps.push(delta(json!({}), Some(finish_reason(reply))));
    steps.push(Step::Told);
    let mut last = chunk(json!([]));
    last["usage"] = usage(reply);
    steps.push(Step::Event(None, last));
    steps.push(Step::Line("[DONE]"));
    steps
}

/// The body of a refusal, the same for chat completions and responses.
pub(crate) fn refusal(refusal: Refusal) -> Value {
    let (kind, code) = match refusal.status {
        400 => ("invalid_request_error", "invalid_value"),
        401 => ("invalid_request_error", "invalid_api_key"),
        403 => ("permission_error", "forbidden"),
        429 => ("rate_limit_error", "rate_limit_exceeded"),
        _ => ("server_error", "server_error"),
    };
    json!({"error": {"message": refusal.message(), "type": kind, "code": code, "param": null}})
}
