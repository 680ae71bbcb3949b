//! Anthropic messages.

use serde_json::{Value, json};

use super::question::{Question, Tool, list, text_of};
use super::reply::{Piece, Reply};
use super::scenario::Refusal;
use super::stream::Step;

/// Reads a request. The newest message of the user counts: clients put reminders behind it in other roles.
pub(crate) fn question(body: &Value) -> Question {
    let users: Vec<&Value> = list(body, "messages").iter().filter(|m| m["role"] == "user").collect();
    let named = list(body, "tools").iter().filter_map(|tool| Some((tool["name"].as_str()?, tool)));
    let tools =
        named.map(|(name, tool)| Tool { name: name.to_owned(), namespace: None, schema: tool["input_schema"].clone() });
    let blocks = users.iter().flat_map(|message| list(message, "content"));
    let results = blocks.filter(|block| block["type"] == "tool_result").map(|block| text_of(&block["content"]));
    Question {
        results: results.collect(),
        tools: tools.collect(),
        answered: users.last().is_some_and(|m| list(m, "content").iter().any(|b| b["type"] == "tool_result")),
        said: users.iter().map(|m| text_of(&m["content"])).collect::<Vec<_>>().join("\n"),
        wanted: body["output_config"]["format"].get("schema").cloned(),
        stream: body["stream"] == true,
    }
}

fn usage(reply: &Reply, output: u64) -> Value {
    let tokens = reply.tokens;
    json!({
        "input_tokens": tokens.input - tokens.cached - tokens.stored,
        "cache_read_input_tokens": tokens.cached,
        "cache_creation_input_tokens": tokens.stored,
        "output_tokens": output,
        "service_tier": "standard",
    })
}

fn stop_reason(reply: &Reply) -> &'static str {
    if reply.call.is_some() { "tool_use" } else { "end_turn" }
}

fn message(reply: &Reply, model: &str) -> Value {
    json!({
        "id": reply.id("msg_"), "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": usage(reply, 1),
    })
}

/// A whole answer.
pub(crate) fn document(reply: &Reply, model: &str) -> Value {
    let mut content = Vec::new();
    if !reply.text.is_empty() {
        content.push(json!({"type": "text", "text": reply.text}));
    }
    if let Some(call) = &reply.call {
        content.push(
            json!({"type": "tool_use", "id": reply.id("toolu_"), "name": call.tool.name, "input": call.arguments}),
        );
    }
    let mut document = message(reply, model);
    document["content"] = json!(content);
    document["stop_reason"] = json!(stop_reason(reply));
    document["usage"] = usage(reply, reply.tokens.output);
    document
}

/// An answer as events.
pub(crate) fn steps(reply: &Reply, model: &str) -> Vec<Step> {
    let mut steps = vec![
        event("message_start", json!({"type": "message_start", "message": message(reply, model)})),
        event("ping", json!({"type": "ping"})),
    ];
    let mut index = 0;
    if !reply.text.is_empty() {
        steps.push(start(index, json!({"type": "text", "text": ""})));
        for piece in reply.pieces() {
            steps.push(match piece {
                Piece::Word(word) => delta(index, json!({"type": "text_delta", "text": word})),
                Piece::Hold => Step::Hold,
                Piece::Cut => Step::Cut,
            });
        }
        steps.push(event("content_block_stop", json!({"type": "content_block_stop", "index": index})));
        index += 1;
    }
    if let Some(call) = &reply.call {
        let block = json!({"type": "tool_use", "id": reply.id("toolu_"), "name": call.tool.name, "input": {}});
        steps.push(start(index, block));
        for part in call.argument_parts() {
            steps.push(delta(index, json!({"type": "input_json_delta", "partial_json": part})));
        }
        steps.push(event("content_block_stop", json!({"type": "content_block_stop", "index": index})));
    }
    steps.push(Step::Told);
    let end = json!({
        "type": "message_delta", "delta": {"stop_reason": stop_reason(reply), "stop_sequence": null},
        "usage": {"output_tokens": reply.tokens.output},
    });
    steps.push(event("message_delta", end));
    steps.push(event("message_stop", json!({"type": "message_stop"})));
    steps
}

fn event(name: &'static str, data: Value) -> Step {
    Step::Event(Some(name), data)
}

fn start(index: u32, block: Value) -> Step {
    event("content_block_start", json!({"type": "content_block_start", "index": index, "content_block": block}))
}

fn delta(index: u32, delta: Value) -> Step {
    event("content_block_delta", json!({"type": "content_block_delta", "index": index, "delta": delta}))
}

/// The headers of an account that is used up: those of a subscription.
pub(crate) fn limits(resets_at: u64) -> Vec<(&'static str, String)> {
    vec![
        ("anthropic-ratelimit-unified-status", "rejected".to_owned()),
        ("anthropic-ratelimit-unified-reset", resets_at.to_string()),
        ("anthropic-ratelimit-unified-representative-claim", "five_hour".to_owned()),
        ("x-should-retry", "false".to_owned()),
    ]
}

/// The body of a refusal.
pub(crate) fn refusal(refusal: Refusal) -> Value {
    let kind = match refusal.status {
        400 => "invalid_request_error",
        401 => "authentication_error",
        403 => "permission_error",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        _ => "api_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": refusal.message()}, "request_id": "req_scripted"})
}
