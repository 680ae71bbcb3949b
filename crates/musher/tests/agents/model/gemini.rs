//! Gemini `generateContent` and `streamGenerateContent`.

use serde_json::{Value, json};

use super::question::{Question, Tool, list};
use super::reply::{Piece, Reply};
use super::scenario::Refusal;
use super::stream::Step;

/// Reads a request. Whether it is to be streamed stands in the path.
pub(crate) fn question(path: &str, body: &Value) -> Question {
    let contents = list(body, "contents");
    let functions = list(body, "tools").iter().flat_map(|tool| list(tool, "functionDeclarations"));
    let named = functions.filter_map(|function| Some((function["name"].as_str()?, function)));
    let tools = named.map(|(name, function)| Tool {
        name: name.to_owned(),
        namespace: None,
        schema: either(function, "parametersJsonSchema", "parameters").cloned().unwrap_or(Value::Null),
    });
    let users = contents.iter().filter(|content| content["role"] != "model");
    let texts = users.flat_map(|content| list(content, "parts")).filter_map(|part| part["text"].as_str());
    let last = contents.last().map_or(&[][..], |content| list(content, "parts"));
    let parts = contents.iter().flat_map(|content| list(content, "parts"));
    let results = parts.filter_map(|part| Some(part.get("functionResponse")?["response"].to_string()));
    Question {
        results: results.collect(),
        tools: tools.collect(),
        answered: last.iter().any(|part| part.get("functionResponse").is_some()),
        said: texts.collect::<Vec<_>>().join("\n"),
        wanted: either(&body["generationConfig"], "responseJsonSchema", "responseSchema").cloned(),
        stream: path.ends_with(":streamGenerateContent"),
    }
}

fn either<'a>(value: &'a Value, one: &str, other: &str) -> Option<&'a Value> {
    value.get(one).or_else(|| value.get(other))
}

fn usage(reply: &Reply) -> Value {
    let tokens = reply.tokens;
    json!({
        "promptTokenCount": tokens.input, "candidatesTokenCount": tokens.output,
        "totalTokenCount": tokens.input + tokens.output, "cachedContentTokenCount": tokens.cached,
    })
}

fn chunk(reply: &Reply, model: &str, parts: Value, last: bool) -> Value {
    let mut candidate = json!({"content": {"role": "model", "parts": parts}, "index": 0});
    let mut chunk = json!({"modelVersion": model, "responseId": reply.id("r")});
    if last {
        candidate["finishReason"] = json!("STOP");
        chunk["usageMetadata"] = usage(reply);
    }
    chunk["candidates"] = json!([candidate]);
    chunk
}

fn call_part(reply: &Reply) -> Option<Value> {
    reply.call.as_ref().map(|call| json!({"functionCall": {"name": call.tool.name, "args": call.arguments}}))
}

/// A whole answer.
pub(crate) fn document(reply: &Reply, model: &str) -> Value {
    let words = (!reply.text.is_empty()).then(|| json!({"text": reply.text}));
    let parts: Vec<Value> = words.into_iter().chain(call_part(reply)).collect();
    chunk(reply, model, json!(parts), true)
}

/// An answer as events.
pub(crate) fn steps(reply: &Reply, model: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for piece in reply.pieces() {
        steps.push(match piece {
            Piece::Word(word) => Step::Event(None, chunk(reply, model, json!([{"text": word}]), false)),
            Piece::Hold => Step::Hold,
            Piece::Cut => Step::Cut,
        });
    }
    let last = call_part(reply).unwrap_or_else(|| json!({"text": ""}));
    steps.push(Step::Told);
    steps.push(Step::Event(None, chunk(reply, model, json!([last]), true)));
    steps
}

/// The body of a refusal. This format names the time to come back in the body.
pub(crate) fn refusal(refusal: Refusal) -> Value {
    let status = match refusal.status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        429 => "RESOURCE_EXHAUSTED",
        503 | 529 => "UNAVAILABLE",
        _ => "INTERNAL",
    };
    let mut error = json!({"code": refusal.status, "message": refusal.message(), "status": status});
    if let Some(seconds) = refusal.retry_after {
        let kind = "type.googleapis.com/google.rpc.RetryInfo";
        error["details"] = json!([{"@type": kind, "retryDelay": format!("{seconds}s")}]);
    }
    json!({"error": error})
}
