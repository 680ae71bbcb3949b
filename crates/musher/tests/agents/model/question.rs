//! A request to the model, whatever vendor's format it came in.

use serde_json::{Map, Value, json};

/// A tool that the client offers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tool {
    /// Its name.
    pub(crate) name: String,
    /// The group that it is in; only the responses format has groups.
    pub(crate) namespace: Option<String>,
    /// The JSON schema of its arguments.
    pub(crate) schema: Value,
}

/// What is asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Question {
    /// The tools on offer. A request without any is a side request, such as for a title.
    pub(crate) tools: Vec<Tool>,
    /// Whether the newest thing said is a tool's result.
    pub(crate) answered: bool,
    /// What the tools that were called have answered so far, oldest first.
    pub(crate) results: Vec<String>,
    /// What the user has said, oldest first, without system texts and tool results.
    pub(crate) said: String,
    /// The schema that the answer must have, where there is one.
    pub(crate) wanted: Option<Value>,
    /// Whether the answer is to be streamed.
    pub(crate) stream: bool,
}

/// Names that clients give to their shells.
const SHELLS: [&str; 8] =
    ["exec_command", "shell_command", "shell", "local_shell", "Bash", "bash", "run_shell_command", "terminal"];

impl Question {
    /// The client's shell, by the names that are known of it.
    pub(crate) fn shell(&self) -> Option<&Tool> {
        SHELLS.iter().find_map(|name| self.tools.iter().find(|tool| tool.name == *name))
    }

    /// The tool of a server that has this name, whatever the client puts before it.
    pub(crate) fn tool(&self, name: &str) -> Option<&Tool> {
        self.tools.iter().find(|tool| tool.name == name || tool.name.ends_with(&format!("_{name}")))
    }

    /// The name in the first `[[write:NAME]]` of what was said.
    ///
    /// The first, for the results of other items may follow and name theirs.
    pub(crate) fn file(&self) -> &str {
        let named = self.said.split_once("[[write:").and_then(|(_, rest)| rest.split_once("]]")).map(|(name, _)| name);
        named.filter(|name| !name.is_empty() && !name.contains(['\'', '\n'])).unwrap_or("hello.txt")
    }
}

impl Tool {
    /// Arguments that make this shell run a command: the command where it belongs, and what else the schema requires.
    pub(crate) fn arguments(&self, command: &str) -> Value {
        let empty = Map::new();
        let properties = self.schema["properties"].as_object().unwrap_or(&empty);
        let required = |key: &str| self.schema["required"].as_array().is_some_and(|keys| keys.iter().any(|k| k == key));
        let mut arguments = Map::new();
        for (key, shape) in properties {
            match key.as_str() {
                "command" | "cmd" if shape["type"] == "array" => {
                    arguments.insert(key.clone(), json!(["bash", "-lc", command]));
                }
                "command" | "cmd" => drop(arguments.insert(key.clone(), json!(command))),
                "commands" => drop(arguments.insert(key.clone(), json!([command]))),
                _ if required(key) => drop(arguments.insert(key.clone(), sample(shape))),
                _ => {}
            }
        }
        Value::Object(arguments)
    }
}

/// A value that this schema accepts.
pub(crate) fn sample(schema: &Value) -> Value {
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    match schema["type"].as_str().unwrap_or("string").to_ascii_lowercase().as_str() {
        "boolean" => json!(false),
        "number" | "integer" => json!(10_000),
        "array" => json!([]),
        "object" => {
            let properties = schema["properties"].as_object().into_iter().flatten();
            Value::Object(properties.map(|(key, shape)| (key.clone(), sample(shape))).collect())
        }
        _ => json!("scripted"),
    }
}

/// The text of a message's content, be it a string or a list of blocks with a `text`.
pub(crate) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts = blocks.iter().filter_map(|block| block["text"].as_str());
            texts.collect::<Vec<_>>().join("\n")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

/// The array at a key; empty when there is none.
pub(crate) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value[key].as_array().map_or(&[], Vec::as_slice)
}
