//! The items of a turn: words and tools. `exec` writes the same names with underscores.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::{McpServer, Observation};

/// The tools that are in use.
#[derive(Debug, Default)]
pub(super) struct Items {
    open: BTreeMap<String, Open>,
    /// Those whose turn was over before they were; what comes of them later is not told.
    left: BTreeSet<String>,
}

/// A tool in use.
#[derive(Debug)]
struct Open {
    turn: String,
    /// The files that it is about.
    paths: Vec<Box<str>>,
}

impl Items {
    /// Takes what carries an item: `exec` names no turn.
    pub(super) fn started(&mut self, params: &Value, seen: &mut Vec<Observation>) {
        let item = &params["item"];
        let Some((name, arguments)) = tool(item) else { return };
        let id = id(item);
        if self.left.contains(&id) {
            return;
        }
        let turn = params["turnId"].as_str().unwrap_or_default().to_owned();
        let paths = changed(item).map(Into::into).collect();
        if self.open.insert(id.clone(), Open { turn, paths }).is_none() {
            seen.push(Observation::ToolStarted { id, name, arguments });
        }
    }

    pub(super) fn completed(&mut self, params: &Value, seen: &mut Vec<Observation>) {
        // Some are told only when they are done.
        self.started(params, seen);
        let item = &params["item"];
        let id = id(item);
        if self.open.remove(&id).is_some() {
            let ok = item["status"].as_str().is_none_or(|status| status == "completed") && item["success"] != false;
            seen.push(Observation::ToolFinished { id, ok });
        }
    }

    /// A turn is over. A command that still ran is left in the background, or was killed without a word.
    pub(super) fn turn_completed(&mut self, turn: &str, seen: &mut Vec<Observation>) {
        for (id, _) in self.open.extract_if(.., |_, open| open.turn == turn) {
            self.left.insert(id.clone());
            seen.push(Observation::ToolFinished { id, ok: false });
        }
    }

    /// The files that a change which is in progress is about.
    pub(super) fn paths(&self, id: &str) -> Vec<Box<str>> {
        self.open.get(id).map(|open| open.paths.clone()).unwrap_or_default()
    }
}

/// The text of an item that is a message of the agent.
pub(super) fn text(item: &Value) -> Option<String> {
    let message = matches!(item["type"].as_str(), Some("agentMessage" | "agent_message"));
    item["text"].as_str().filter(|text| message && !text.is_empty()).map(str::to_owned)
}

/// What a completed item says to people.
pub(super) fn words(item: &Value) -> Option<Observation> {
    if item["type"] == "reasoning" {
        let parts = |name: &str| item[name].as_array().into_iter().flatten().filter_map(Value::as_str);
        let thought = parts("summary").collect::<Vec<_>>().join("\n");
        let thought = if thought.is_empty() { parts("content").collect::<Vec<_>>().join("\n") } else { thought };
        let thought = if thought.is_empty() { item["text"].as_str().unwrap_or_default().to_owned() } else { thought };
        return (!thought.is_empty()).then_some(Observation::Thought(thought));
    }
    text(item).map(Observation::Text)
}

/// The configuration of an MCP server as codex has it. It is musher's own: its tools need no yes.
pub(super) fn server(server: &McpServer) -> Value {
    let (program, args) = server.command.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    let env: serde_json::Map<_, _> = server.env.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let mut config = json!({"command": program, "args": args, "default_tools_approval_mode": "approve"});
    config["env"] = Value::Object(env);
    // A question to the operator may wait for as long as a run may last.
    config["tool_timeout_sec"] = json!(PATIENCE_SECS);
    config
}

/// How long codex waits for an answer of musher's tools, in seconds.
const PATIENCE_SECS: u32 = 7 * 24 * 60 * 60;

/// The same for arguments, which every user of the machine can read: what is in the server's environment is named, and
/// codex passes it on from its own.
pub(super) fn server_by_name(server: &McpServer) -> Value {
    let mut config = self::server(server);
    config["env_vars"] = server.env.iter().map(|(name, _)| json!(name)).collect();
    if let Some(config) = config.as_object_mut() {
        config.remove("env");
    }
    config
}

/// The tool of an item, and its arguments.
fn tool(item: &Value) -> Option<(String, String)> {
    let word = |name: &str| item[name].as_str().unwrap_or_default();
    let (name, arguments) = match item["type"].as_str()? {
        "commandExecution" | "command_execution" => ("shell".to_owned(), json!({"command": item["command"]})),
        "fileChange" | "file_change" => {
            ("edit".to_owned(), json!({"paths": changed(item).collect::<Vec<_>>(), "diffs": diffs(item)}))
        }
        "mcpToolCall" | "mcp_tool_call" => (format!("{}.{}", word("server"), word("tool")), item["arguments"].clone()),
        "dynamicToolCall" => (word("tool").to_owned(), item["arguments"].clone()),
        "collabAgentToolCall" | "collab_tool_call" => (word("tool").to_owned(), json!({"prompt": item["prompt"]})),
        "webSearch" | "web_search" => ("web_search".to_owned(), json!({"query": item["query"]})),
        "imageView" => ("view_image".to_owned(), json!({"path": item["path"]})),
        // Open by nature.
        _ => return None,
    };
    Some((name, if arguments.is_null() { String::new() } else { arguments.to_string() }))
}

/// The files that a change is about: those that it moves under both names.
fn changed(item: &Value) -> impl Iterator<Item = &str> {
    let changes = item["changes"].as_array().into_iter().flatten();
    changes.flat_map(|change| [&change["path"], &change["kind"]["move_path"]]).filter_map(Value::as_str)
}

fn diffs(item: &Value) -> Vec<&str> {
    let changes = item["changes"].as_array().into_iter().flatten();
    changes.filter_map(|change| change["diff"].as_str()).collect()
}

fn id(item: &Value) -> String {
    item["id"].as_str().unwrap_or_default().to_owned()
}
