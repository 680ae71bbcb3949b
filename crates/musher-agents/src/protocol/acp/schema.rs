//! The words of ACP version 1, read so that nothing unknown fails: what is not understood is left out.
//!
//! These are our own few fields and not `agent-client-protocol-schema`: that crate would switch serde_json to
//! `preserve_order` for the whole workspace, knows neither `session/set_model` nor, without an unstable feature, the
//! usage in a prompt's result (all of which the programs of today send), and an update that is new to it is an error.

use serde_json::{Value, json};

use super::super::McpServer;
use super::super::claude::account::{self, Account};

/// The version that is spoken here.
pub(super) const VERSION: u64 = 1;

/// A line from the agent.
pub(super) enum Message {
    /// It wants an answer under this id.
    Request { id: Value, method: String, params: Value },
    /// It tells something.
    Notice { method: String, params: Value },
    /// It answers what was asked under this id.
    Answer { id: u64, answer: Result<Value, Fault> },
}

/// A JSON-RPC error.
#[derive(Debug)]
pub(super) struct Fault {
    /// Its code.
    pub(super) code: i64,
    /// Its message, and what its data says besides, on one line.
    pub(super) words: String,
    /// Its data.
    pub(super) data: Value,
}

/// A `session/update`.
pub(super) enum Update {
    Text(String),
    Thought(String),
    Tool(Told),
    Plan(Vec<String>),
    Level {
        used: Option<u64>,
        cost_micro_usd: Option<u64>,
        /// What claude-agent-acp tells of its account beside it.
        account: Option<Account>,
    },
    /// One that means nothing here, or that nobody knew when this was written.
    Unknown,
}

/// What a line tells about a tool call; only what it names.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) title: Option<String>,
    pub(super) kind: Option<String>,
    pub(super) status: Option<String>,
    pub(super) input: Option<Value>,
    /// Where it works, and the files of its diffs.
    pub(super) paths: Vec<String>,
}

/// A choice in a permission request.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    pub(super) id: String,
    pub(super) kind: String,
}

/// How an agent can be told its model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ModelWay {
    /// By `session/set_config_option` with this option.
    Option(String),
    /// By `session/set_model`.
    Method,
    /// It has this one already.
    Present,
    /// Not at all.
    Nowhere,
}

/// Reads a line; nothing when it is no message.
pub(super) fn message(line: &str) -> Option<Message> {
    let mut line: Value = serde_json::from_str(line).ok()?;
    let line = line.as_object_mut()?;
    let id = line.remove("id").filter(|id| id.is_string() || id.is_number());
    let params = line.remove("params").unwrap_or_default();
    match (line.get("method").and_then(Value::as_str).map(str::to_owned), id) {
        (Some(method), Some(id)) => Some(Message::Request { id, method, params }),
        (Some(method), None) => Some(Message::Notice { method, params }),
        (None, Some(id)) => {
            let answer = match (line.remove("error"), line.remove("result")) {
                (Some(error), _) if !error.is_null() => Err(fault(&error)),
                (_, Some(result)) => Ok(result),
                (_, None) => return None,
            };
            Some(Message::Answer { id: id.as_u64()?, answer })
        }
        (None, None) => None,
    }
}

/// Reads the id and the choices of a permission request whose line was cut, as far as they stand before the cut: the
/// host shortens long lines, and an edit's may have the whole file.
pub(super) fn cut_request(line: &str) -> Option<(Value, Value)> {
    let first = |name: &str| {
        let (_, rest) = line.split_once(name)?;
        serde_json::Deserializer::from_str(rest.trim_start().strip_prefix(':')?).into_iter::<Value>().next()?.ok()
    };
    let (head, _) = line.split_once("\"params\"")?;
    let request = head.contains("\"session/request_permission\"") && head.contains("\"id\"");
    let id = first("\"id\"").filter(|id| request && (id.is_string() || id.is_number()))?;
    Some((id, json!({"options": first("\"options\"")})))
}

/// Reads the `update` of a `session/update`.
pub(super) fn update(params: &Value) -> Update {
    let update = &params["update"];
    match update["sessionUpdate"].as_str().unwrap_or_default() {
        "agent_message_chunk" => Update::Text(block(&update["content"])),
        "agent_thought_chunk" => Update::Thought(block(&update["content"])),
        "tool_call" | "tool_call_update" => told(update).map_or(Update::Unknown, Update::Tool),
        "plan" => Update::Plan(items(&update["entries"]).filter_map(|entry| text(entry, "content")).collect()),
        "usage_update" => Update::Level {
            used: update["used"].as_u64(),
            cost_micro_usd: update["cost"]["amount"]
                .as_f64()
                .filter(|amount| *amount >= 0.0 && dollars(&update["cost"]))
                .map(|amount| (amount * 1e6).round() as u64),
            account: account::of(&update["_meta"]["_claude/rateLimit"]),
        },
        _ => Update::Unknown,
    }
}

/// Reads what is told of a tool call; nothing without an id.
pub(super) fn told(call: &Value) -> Option<Told> {
    let diffs = items(&call["content"]).filter(|content| content["type"] == "diff");
    Some(Told {
        id: text(call, "toolCallId")?,
        name: text(&call["_meta"]["claudeCode"], "toolName").or_else(|| text(call, "name")),
        title: text(call, "title"),
        kind: text(call, "kind"),
        status: text(call, "status"),
        input: call.get("rawInput").filter(|input| !input.is_null()).cloned(),
        paths: items(&call["locations"]).chain(diffs).filter_map(|place| text(place, "path")).collect(),
    })
}

/// Reads the choices of a permission request.
pub(super) fn choices(params: &Value) -> Vec<Choice> {
    items(&params["options"])
        .filter_map(|option| Some(Choice { id: text(option, "optionId")?, kind: text(option, "kind")? }))
        .collect()
}

/// Reads how the model `wanted` is set in a session that answered so.
pub(super) fn model_way(session: &Value, wanted: &str) -> ModelWay {
    let is_model = |option: &&Value| option["category"] == "model" || option["id"] == "model";
    if let Some(option) = items(&session["configOptions"]).find(is_model)
        && let Some(id) = text(option, "id")
    {
        return if option["currentValue"] == wanted { ModelWay::Present } else { ModelWay::Option(id) };
    }
    match &session["models"] {
        Value::Object(models) if models.get("currentModelId").is_some_and(|id| id == wanted) => ModelWay::Present,
        Value::Object(_) => ModelWay::Method,
        _ => ModelWay::Nowhere,
    }
}

/// Writes a request, with the end of its line.
pub(super) fn request(id: u64, method: &str, params: &Value) -> String {
    line(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
}

/// Writes a notice.
pub(super) fn notice(method: &str, params: &Value) -> String {
    line(&json!({"jsonrpc": "2.0", "method": method, "params": params}))
}

/// Writes the answer to a permission request: the choice, or that the turn is cancelled.
pub(super) fn outcome(id: &Value, choice: Option<&str>) -> String {
    let outcome = match choice {
        Some(choice) => json!({"outcome": "selected", "optionId": choice}),
        None => json!({"outcome": "cancelled"}),
    };
    line(&json!({"jsonrpc": "2.0", "id": id, "result": {"outcome": outcome}}))
}

/// Writes that a method does not exist here.
pub(super) fn no_such_method(id: &Value, method: &str) -> String {
    let error = json!({"code": -32601, "message": format!("no method `{method}` here")});
    line(&json!({"jsonrpc": "2.0", "id": id, "error": error}))
}

/// Writes MCP servers as `session/new` wants them.
pub(super) fn servers(servers: &[McpServer]) -> Value {
    let server = |server: &McpServer| {
        let (program, args) = server.command.split_first()?;
        let env: Vec<Value> = server.env.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        Some(json!({"name": server.name, "command": program, "args": args, "env": env}))
    };
    servers.iter().filter_map(server).collect()
}

/// The text of a field, if it has one.
pub(super) fn text(object: &Value, field: &str) -> Option<String> {
    object.get(field)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The items of a list; none when it is not a list.
pub(super) fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn fault(error: &Value) -> Fault {
    let message = error["message"].as_str().unwrap_or("error without a message");
    let data = &error["data"];
    let more = data.as_str().map(str::to_owned).or_else(|| text(data, "message")).or_else(|| text(data, "details"));
    let words = match more {
        Some(more) if !message.contains(&more) => format!("{message}: {more}"),
        Some(_) | None => message.to_owned(),
    };
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    Fault { code: error["code"].as_i64().unwrap_or_default(), words, data: data.clone() }
}

fn block(content: &Value) -> String {
    content["text"].as_str().unwrap_or_default().to_owned()
}

fn dollars(cost: &Value) -> bool {
    cost["currency"].as_str().is_none_or(|currency| currency == "USD")
}

fn line(message: &Value) -> String {
    format!("{message}\n")
}
