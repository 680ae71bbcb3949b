//! OpenAI responses.

use serde_json::{Value, json};

use super::chat;
use super::question::{Question, Tool, list, text_of};
use super::reply::{Piece, Reply};
use super::scenario::Refusal;
use super::stream::Step;

/// Reads a request. Tools may stand in groups; a group's name goes with each of its tools.
pub(crate) fn question(body: &Value) -> Question {
    let input = match &body["input"] {
        Value::String(text) => vec![json!({"type": "message", "role": "user", "content": text})],
        _ => list(body, "input").to_vec(),
    };
    let mut tools = Vec::new();
    for tool in list(body, "tools") {
        match tool["type"].as_str() {
            Some("function") => tools.extend(function(tool, None)),
            Some("namespace") => {
                tools.extend(list(tool, "tools").iter().filter_map(|inner| function(inner, tool["name"].as_str())));
            }
            _ => {}
        }
    }
    let said = input.iter().filter(|item| item["role"] == "user").map(|item| text_of(&item["content"]));
    let outputs = input.iter().filter(|item| item["type"].as_str().is_some_and(|kind| kind.ends_with("_output")));
    let results = outputs.map(|item| text_of(&item["output"]));
    // The reason for a no follows the tool's result as a message, and is no new task.
    let reason = |item: &&Value| text_of(&item["content"]).starts_with("The request was denied");
    let newest = input.iter().rev().find(|item| !reason(item));
    Question {
        results: results.collect(),
        tools,
        answered: newest.and_then(|item| item["type"].as_str()).is_some_and(|kind| kind.ends_with("_output")),
        said: said.collect::<Vec<_>>().join("\n"),
        wanted: body["text"]["format"].get("schema").cloned(),
        stream: body["stream"] == true,
    }
}

fn function(tool: &Value, namespace: Option<&str>) -> Option<Tool> {
    Some(Tool {
        name: tool["name"].as_str()?.to_owned(),
        namespace: namespace.map(str::to_owned),
        schema: tool["parameters"].clone(),
    })
}

fn usage(reply: &Reply) -> Value {
    let tokens = reply.tokens;
    json!({
        "input_tokens": tokens.input, "input_tokens_details": {"cached_tokens": tokens.cached},
        "output_tokens": tokens.output, "output_tokens_details": {"reasoning_tokens": 7},
        "total_tokens": tokens.input + tokens.output,
    })
}

/// The message of an answer and its call, where it has them.
fn items(reply: &Reply) -> Vec<Value> {
    let mut items = Vec::new();
    if !reply.text.is_empty() {
        items.push(json!({
            "type": "message", "id": reply.id("msg_"), "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": reply.text, "annotations": []}],
        }));
    }
    if let Some(call) = &reply.call {
        let mut item = json!({
            "type": "function_call", "id": reply.id("fc_"), "call_id": reply.id("call_"), "name": call.tool.name,
            "arguments": call.arguments.to_string(), "status": "completed",
        });
        if let Some(namespace) = &call.tool.namespace {
            item["namespace"] = json!(namespace);
        }
        items.push(item);
    }
    items
}

fn response(reply: &Reply, model: &str, status: &str) -> Value {
    json!({
        "id": reply.id("resp_"), "object": "response", "created_at": 1_700_000_000, "status": status, "model": model,
        "output": [], "usage": null, "error": null, "incomplete_details": null,
    })
}

/// A whole answer.
pub(crate) fn document(reply: &Reply, model: &str) -> Value {
    let mut document = response(reply, model, "completed");
    document["output"] = json!(items(reply));
    document["usage"] = usage(reply);
    document
}

/// An answer as events.
pub(crate) fn steps(reply: &Reply, model: &str) -> Vec<Step> {
    let begun = json!({"response": response(reply, model, "in_progress")});
    let mut steps = vec![Step::Event(Some("response.created"), begun.clone())];
    steps.push(Step::Event(Some("response.in_progress"), begun));
    for (index, item) in items(reply).into_iter().enumerate() {
        match item["type"].as_str() {
            Some("message") => message(&mut steps, reply, index, &item),
            _ => call(&mut steps, index, &item),
        }
        steps.push(Step::Event(Some("response.output_item.done"), json!({"output_index": index, "item": item})));
    }
    steps.push(Step::Told);
    steps.push(Step::Event(Some("response.completed"), json!({"response": document(reply, model)})));
    numbered(steps)
}

fn message(steps: &mut Vec<Step>, reply: &Reply, index: usize, item: &Value) {
    let mut begun = item.clone();
    begun["status"] = json!("in_progress");
    begun["content"] = json!([]);
    steps.push(Step::Event(Some("response.output_item.added"), json!({"output_index": index, "item": begun})));
    let place = json!({"item_id": item["id"], "output_index": index, "content_index": 0});
    let at = |key: &str, value: Value| {
        let mut data = place.clone();
        data[key] = value;
        data
    };
    let empty = json!({"type": "output_text", "text": "", "annotations": []});
    steps.push(Step::Event(Some("response.content_part.added"), at("part", empty)));
    for piece in reply.pieces() {
        steps.push(match piece {
            Piece::Word(word) => Step::Event(Some("response.output_text.delta"), at("delta", json!(word))),
            Piece::Hold => Step::Hold,
            Piece::Cut => Step::Cut,
        });
    }
    steps.push(Step::Event(Some("response.output_text.done"), at("text", json!(reply.text))));
    steps.push(Step::Event(Some("response.content_part.done"), at("part", item["content"][0].clone())));
}

fn call(steps: &mut Vec<Step>, index: usize, item: &Value) {
    let mut begun = item.clone();
    begun["status"] = json!("in_progress");
    begun["arguments"] = json!("");
    steps.push(Step::Event(Some("response.output_item.added"), json!({"output_index": index, "item": begun})));
    let delta = json!({"item_id": item["id"], "output_index": index, "delta": item["arguments"]});
    steps.push(Step::Event(Some("response.function_call_arguments.delta"), delta));
    let done = json!({"item_id": item["id"], "output_index": index, "arguments": item["arguments"]});
    steps.push(Step::Event(Some("response.function_call_arguments.done"), done));
}

/// Puts each event's name and number into its data, as this format has it.
fn numbered(steps: Vec<Step>) -> Vec<Step> {
    let mut number = 0;
    let mut numbered = Vec::new();
    for mut step in steps {
        if let Step::Event(Some(name), data) = &mut step {
            data["type"] = json!(name);
            data["sequence_number"] = json!(number);
            number += 1;
        }
        numbered.push(step);
    }
    numbered
}

/// The headers of an account that is used up: those of a subscription.
pub(crate) fn limits(resets_at: u64) -> Vec<(&'static str, String)> {
    vec![
        ("x-codex-primary-used-percent", "100".to_owned()),
        ("x-codex-primary-window-minutes", "300".to_owned()),
        ("x-codex-primary-reset-at", resets_at.to_string()),
    ]
}

/// The body of a refusal.
pub(crate) fn refusal(refusal: Refusal, resets_at: Option<u64>) -> Value {
    let Some(at) = resets_at else { return chat::refusal(refusal) };
    json!({"error": {"type": "usage_limit_reached", "message": refusal.message(), "plan_type": "pro", "resets_at": at}})
}
