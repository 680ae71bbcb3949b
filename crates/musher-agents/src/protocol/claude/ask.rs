//! What Claude Code wants to do, by the name of its tool.

use musher_core::approval::Action;
use serde_json::Value;

use super::text;

/// The action of a tool with this input. What lacks its usual field is the tool itself, whole.
pub(super) fn action(tool: &str, input: &Value) -> Action {
    known(tool, input).unwrap_or_else(|| Action::Other(tool.into(), input.to_string().into()))
}

fn known(tool: &str, input: &Value) -> Option<Action> {
    match tool {
        "Bash" => Some(Action::Shell(field(input, "command")?)),
        "Write" | "Edit" | "MultiEdit" => Some(Action::Edit([field(input, "file_path")?].into())),
        "NotebookEdit" => Some(Action::Edit([field(input, "notebook_path")?].into())),
        "Read" => Some(Action::Read([field(input, "file_path")?].into())),
        "LS" => Some(Action::Read([field(input, "path")?].into())),
        "Glob" | "Grep" => Some(Action::Read(searched(tool, input))),
        "WebFetch" => Some(Action::Fetch(field(input, "url")?)),
        _ => None,
    }
}

/// Where a search looks: its folder, and for names the pattern too when that leads out of it.
fn searched(tool: &str, input: &Value) -> Box<[Box<str>]> {
    let mut places = vec![field(input, "path").unwrap_or_else(|| ".".into())];
    let pattern = text(input, "pattern");
    if tool == "Glob" && (pattern.starts_with(['/', '~']) || pattern.contains("..")) {
        places.push(pattern.into());
    }
    places.into()
}

fn field(input: &Value, name: &str) -> Option<Box<str>> {
    Some(text(input, name)).filter(|value| !value.is_empty()).map(Into::into)
}
