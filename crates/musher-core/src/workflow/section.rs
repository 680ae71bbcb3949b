//! The keys of a workflow, and what musher has for them.

use super::front::{Entry, Value};
use super::{Reading, words};
use crate::config::reader::clipped;
use crate::config::{drivers, show_seconds};
use crate::plan::toml_string;
use crate::quote::visible;

/// Reads all sections.
pub(super) fn all(sections: &[Entry], on: &mut Reading) {
    let kind = text_of(sections, "tracker", "kind");
    for section in sections {
        let name = section.key.as_str();
        if !["tracker", "polling", "workspace", "hooks", "agent", "codex", "server"].contains(&name) {
            on.remark(section, &clipped(&visible(name)), "unknown: no key of the specification, and not taken over");
            continue;
        }
        let entries = match &section.node.value {
            Value::Map(entries) => entries,
            Value::Scalar(text, true) if text.is_empty() || text == "~" || text == "null" => continue,
            Value::Scalar(..) | Value::List(_) => {
                on.problem(section, format!("`{name}` is no list of keys"), "write its keys below it, indented");
                continue;
            }
        };
        for entry in entries {
            let full = format!("{name}.{}", clipped(&visible(&entry.key)));
            match name {
                "tracker" => tracker(entry, &full, kind, on),
                "hooks" => hooks(entry, &full, on),
                "agent" => agent(entry, &full, on),
                "codex" => codex(entry, &full, on),
                "server" => server(entry, &full, on),
                "polling" => only(entry, &full, &["interval_ms"], "issues are read when a mission is planned", on),
                _ => only(entry, &full, &["root"], "worktrees stand below `.musher`", on),
            }
        }
    }
}

fn tracker(entry: &Entry, full: &str, kind: Option<&str>, on: &mut Reading) {
    let is_github = kind == Some("github");
    match entry.key.as_str() {
        "kind" if is_github => {}
        "kind" => on.remark(entry, full, "no counterpart: issues come from GitHub"),
        "api_key" => api_key(entry, full, is_github, on),
        "endpoint" if is_github => {
            if let Some(text) = address(entry, full, on) {
                on.draft.forge.push(("api", toml_string(text)));
            }
        }
        // The specification has no key for a repository; those who follow it for GitHub write one of these.
        "repo" | "repository" | "project_slug" if is_github => {
            if let Some(text) = address(entry, full, on) {
                on.draft.forge.push(("repo", toml_string(text)));
            }
        }
        "endpoint" | "project_slug" => on.remark(entry, full, "no counterpart: issues come from GitHub"),
        "active_states" | "terminal_states" => {
            on.remark(
                entry,
                full,
                "no counterpart: an issue is open or closed, and `musher plan` says which are worked on",
            );
        }
        _ => unknown(entry, full, on),
    }
}

/// An address or a name at the forge. Neither has an `@`, but for user information before a host.
fn address<'a>(entry: &'a Entry, full: &str, on: &mut Reading) -> Option<&'a str> {
    let text = text(entry, full, on)?;
    if text.contains('@') {
        // It may hold a password: it is not shown.
        on.problem(
            entry,
            format!("`{full}` holds user information before an `@`: a secret has no place in this file"),
            "take out what stands before the `@`, and name the token by `api_key: $NAME`; make a new one if this file was ever shared",
        );
        return None;
    }
    Some(text)
}

/// A token is a reference here, and never a value.
fn api_key(entry: &Entry, full: &str, is_github: bool, on: &mut Reading) {
    let Some(text) = text(entry, full, on) else { return };
    let name = text.strip_prefix('$').map(|name| name.trim_start_matches('{').trim_end_matches('}'));
    let name = name.filter(|name| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_'));
    match name {
        Some(name) if is_github => on.draft.forge.push(("token", toml_string(&format!("env:{name}")))),
        Some(_) => on.remark(entry, full, "no counterpart: issues come from GitHub"),
        // It may be the secret: it is not shown.
        None => on.problem(
            entry,
            format!("`{full}` is no reference to a variable: a secret has no place in this file"),
            "export it, and write `$NAME`; make a new one if this file was ever shared",
        ),
    }
}

fn hooks(entry: &Entry, full: &str, on: &mut Reading) {
    let key = match entry.key.as_str() {
        "after_create" => "setup",
        "before_remove" => "teardown",
        "before_run" | "after_run" => {
            return on.remark(entry, full, "no counterpart: musher has `setup`, once a worktree, and `teardown`");
        }
        "timeout_ms" => {
            return on.remark(entry, full, "no counterpart: `setup` and `teardown` have limits of musher's own");
        }
        _ => return unknown(entry, full, on),
    };
    let Some(script) = text(entry, full, on) else { return };
    if script.trim().is_empty() {
        return;
    }
    on.draft.project.push((key, toml_string(script.trim_end())));
    if ["git clone", "worktree add", "worktree remove"].iter().any(|words| script.contains(words)) {
        let what =
            format!("became `{key}`: musher makes and removes worktrees of this repository itself, so take that out");
        on.remark(entry, full, &what);
    }
}

fn agent(entry: &Entry, full: &str, on: &mut Reading) {
    match entry.key.as_str() {
        "max_concurrent_agents" => {
            let Some(number) = whole(entry, full, on) else { return };
            if !(1..=100_000).contains(&number) {
                return on.problem(
                    entry,
                    format!("`{full}` is not 1 to 100,000"),
                    "write how many agents may work at once",
                );
            }
            on.draft.policy.push(("max_parallel_items", number.to_string()));
            on.draft.agent.push(("max_load", number.to_string()));
        }
        "max_turns" => on.remark(
            entry,
            full,
            "no counterpart: it counts whole turns of a session, `turns` of an agent's `limits` those that use a tool",
        ),
        "max_retry_backoff_ms" => on.remark(entry, full, "no counterpart: a retry waits 5 s, doubling up to 15 min"),
        "max_concurrent_agents_by_state" => on.remark(entry, full, "no counterpart: an issue is open or closed"),
        _ => unknown(entry, full, on),
    }
}

fn codex(entry: &Entry, full: &str, on: &mut Reading) {
    match entry.key.as_str() {
        "command" => command(entry, full, on),
        "model" => {
            if let Some(text) = text(entry, full, on) {
                on.draft.agent.push(("model", toml_string(text)));
            }
        }
        "turn_timeout_ms" => limit(entry, full, "duration", on),
        "stall_timeout_ms" => limit(entry, full, "silence", on),
        "approval_policy" => match &entry.node.value {
            Value::Scalar(word, _) if word == "never" => on.draft.agent.push(("approvals", "\"allow\"".to_owned())),
            Value::Scalar(word, _) if ["untrusted", "on-request", "on-failure"].contains(&word.as_str()) => {
                on.draft.agent.push(("approvals", "\"rules\"".to_owned()));
                on.remark(
                    entry,
                    full,
                    "became `approvals = \"rules\"`: the rules say yes or no, a person what they leave open",
                );
            }
            Value::Scalar(..) | Value::Map(_) | Value::List(_) => {
                on.remark(entry, full, "no counterpart: see `approvals`, `allow` and `deny` of an agent");
            }
        },
        "read_timeout_ms" | "reasoning_effort" | "service_tier" => on.remark(entry, full, "no counterpart"),
        "thread_sandbox" | "turn_sandbox_policy" => {
            on.remark(entry, full, "no counterpart: see `approvals` and `sandbox` of an agent");
        }
        _ => unknown(entry, full, on),
    }
}

/// The program of a driver that musher knows; what needs a shell is named and left to a person.
fn command(entry: &Entry, full: &str, on: &mut Reading) {
    let Some(line) = text(entry, full, on) else { return };
    if line.contains(|c: char| "\"'\\$`|&;<>(){}*?[]~#!\n".contains(c)) {
        return on.remark(
            entry,
            full,
            "not taken over: it needs a shell; write the program and its arguments into `command`",
        );
    }
    let mut parts: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let Some(program) = parts.first().cloned() else {
        return on.problem(entry, format!("`{full}` is empty"), "name the program, such as `codex app-server`");
    };
    let name = program.rsplit('/').next().unwrap_or_default().to_owned();
    if !["codex", "claude", "opencode", "gemini", "qwen"].contains(&name.as_str()) || drivers::named(&name).is_none() {
        return on.remark(
            entry,
            full,
            "not taken over: no driver is named like this program; see `driver` of an agent",
        );
    }
    if parts.last().is_some_and(|last| last == "app-server") {
        parts.pop();
    }
    if parts.len() > 1 || program.contains('/') {
        on.draft.agent.push(("command", words(&parts)));
    }
    on.draft.driver = Some(name);
}

fn server(entry: &Entry, full: &str, on: &mut Reading) {
    if entry.key != "port" {
        return unknown(entry, full, on);
    }
    match whole(entry, full, on) {
        Some(0) => on.remark(entry, full, "no counterpart: musher listens on a port that is known"),
        Some(port @ 1..=65_535) => on.draft.server.push(("listen", format!("\"127.0.0.1:{port}\""))),
        Some(_) => on.problem(entry, format!("`{full}` is no port"), "write a number up to 65535"),
        None => {}
    }
}

/// Milliseconds as a limit in whole seconds, rounded up; 0 and less switch it off there.
fn limit(entry: &Entry, full: &str, key: &'static str, on: &mut Reading) {
    match whole(entry, full, on) {
        Some(..=0) => {
            on.remark(entry, full, &format!("no counterpart: `{key}` cannot be switched off; its default holds"))
        }
        Some(ms) => {
            let seconds = u64::try_from(ms).unwrap_or_default().div_ceil(1000);
            on.draft.limits.push((key, format!("\"{}\"", show_seconds(seconds))));
        }
        None => {}
    }
}

/// A section of which everything lacks a counterpart, for the same reason.
fn only(entry: &Entry, full: &str, known: &[&str], why: &str, on: &mut Reading) {
    if known.contains(&entry.key.as_str()) {
        on.remark(entry, full, &format!("no counterpart: {why}"));
    } else {
        unknown(entry, full, on);
    }
}

fn unknown(entry: &Entry, full: &str, on: &mut Reading) {
    on.remark(entry, full, "unknown: no key of the specification, and not taken over");
}

fn text<'e>(entry: &'e Entry, full: &str, on: &mut Reading) -> Option<&'e str> {
    match &entry.node.value {
        Value::Scalar(text, true) if text.is_empty() || text == "~" || text == "null" => None,
        Value::Scalar(text, _) => Some(text),
        Value::List(_) | Value::Map(_) => {
            on.problem(entry, format!("`{full}` is no text"), "write one value after the colon");
            None
        }
    }
}

/// A whole number, or a text of one.
fn whole(entry: &Entry, full: &str, on: &mut Reading) -> Option<i64> {
    let text = text(entry, full, on)?;
    let number = text.trim().parse().ok();
    if number.is_none() {
        on.problem(entry, format!("`{full}` is no whole number"), "write digits alone");
    }
    number
}

fn text_of<'e>(sections: &'e [Entry], section: &str, key: &str) -> Option<&'e str> {
    let Value::Map(entries) = &sections.iter().find(|entry| entry.key == section)?.node.value else { return None };
    match &entries.iter().find(|entry| entry.key == key)?.node.value {
        Value::Scalar(text, _) => Some(text),
        Value::List(_) | Value::Map(_) => None,
    }
}
