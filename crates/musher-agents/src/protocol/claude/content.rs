//! What stands in the messages of Claude Code, and of programs that speak like it.

use serde_json::Value;

use super::text;
use crate::protocol::Observation;

/// What a message of the agent means. That of an agent that it started itself is only thought aloud.
pub(in crate::protocol) fn assistant(event: &Value, seen: &mut Vec<Observation>) {
    let is_own = event.get("parent_tool_use_id").is_none_or(Value::is_null);
    // An API error is dressed as something that it says.
    let is_complaint = event.get("error").is_some_and(|error| !error.is_null());
    for block in blocks(event) {
        match text(block, "type") {
            "text" if is_complaint => said(block, "text", seen, |words| Observation::Warning(one_line(&words))),
            "text" if is_own => said(block, "text", seen, Observation::Text),
            "text" => said(block, "text", seen, Observation::Thought),
            "thinking" => said(block, "thinking", seen, Observation::Thought),
            "tool_use" => tool_use(block, seen),
            _ => {}
        }
    }
}

/// Which tools are done, from the message that carries their results.
pub(in crate::protocol) fn tool_results(event: &Value, seen: &mut Vec<Observation>) {
    for block in blocks(event).filter(|block| text(block, "type") == "tool_result") {
        let id = text(block, "tool_use_id").to_owned();
        seen.push(Observation::ToolFinished { id, ok: block["is_error"] != true });
    }
}

/// The first line that says anything, cut to a length that fits a list.
pub(in crate::protocol) fn one_line(words: &str) -> String {
    let line = words.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    match line.char_indices().nth(LINE_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

fn said(block: &Value, field: &str, seen: &mut Vec<Observation>, sort: impl FnOnce(String) -> Observation) {
    let words = text(block, field);
    if !words.is_empty() {
        seen.push(sort(words.to_owned()));
    }
}

fn tool_use(block: &Value, seen: &mut Vec<Observation>) {
    let (name, input) = (text(block, "name"), &block["input"]);
    let arguments = if input.is_null() { String::new() } else { input.to_string() };
    seen.push(Observation::ToolStarted { id: text(block, "id").to_owned(), name: name.to_owned(), arguments });
    if !matches!(name, "TodoWrite" | "todo_write") {
        return;
    }
    if let Some(todos) = input["todos"].as_array() {
        seen.push(Observation::Plan(todos.iter().map(|todo| one_line(text(todo, "content"))).collect()));
    }
}

fn blocks(event: &Value) -> impl Iterator<Item = &Value> {
    event["message"]["content"].as_array().into_iter().flatten()
}

const LINE_CHARS: usize = 500;
