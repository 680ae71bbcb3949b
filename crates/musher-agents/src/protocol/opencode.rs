//! `opencode run --format json`: one line an event, one way.
//!
//! Measured with opencode 1.18 in 2026-11: there is no event for the end, neither for success nor for a signal. So a run
//! is finished when its process exited with 0 and its last step had ended because the model had no more to do; an error
//! of the provider is an `error` event, and exit 1. The prompt is read from standard input when no argument has it.
//! `--dir` counts more than `PWD`, which it otherwise believes more than its real folder.

use musher_core::run::{FailureClass, Usage};
use musher_core::time::Timestamp;
use serde_json::{Map, Value, json};

use super::words::{plain, shown};
use super::{Brief, Ended, Exit, Heard, Launch, Observation, Protocol, session};

mod failure;
#[cfg(test)]
mod tests;

/// How `opencode` is started.
///
/// Without `asks` it is told to allow everything that its own configuration does not deny. With it, it refuses what it
/// would have to ask for: in this stream nobody can answer.
pub fn launch(brief: &Brief) -> Launch {
    let mut args: Vec<String> = ["run", "--format=json", "--thinking"].map(str::to_owned).to_vec();
    if !brief.asks {
        args.push("--auto".to_owned());
    }
    args.push(format!("--dir={}", brief.worktree));
    // An id is the agent's own word, and a model anyone's: behind a `=` neither can become another option.
    args.extend(brief.model.as_ref().map(|model| format!("--model={model}")));
    args.extend(brief.session.as_ref().map(|session| format!("--session={session}")));
    let mut env = vec![
        ("OPENCODE_DISABLE_AUTOUPDATE".to_owned(), "1".to_owned()),
        ("OPENCODE_DISABLE_TERMINAL_TITLE".to_owned(), "1".to_owned()),
    ];
    env.extend(config(brief).map(|config| ("OPENCODE_CONFIG_CONTENT".to_owned(), config)));
    Launch { program: "opencode", args, env, stdin: Some(brief.prompt.clone()) }
}

/// The protocol for a run that [`launch`] started.
pub fn protocol(brief: &Brief) -> Box<dyn Protocol> {
    Box::new(OpenCode { resumes: brief.session.is_some(), ..OpenCode::default() })
}

/// The MCP servers as a configuration, which opencode merges into the files that the user has.
fn config(brief: &Brief) -> Option<String> {
    let servers: Map<String, Value> = brief
        .mcp
        .iter()
        .map(|server| {
            let env: Map<String, Value> = server.env.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            let entry = json!({"type": "local", "enabled": true, "command": server.command, "environment": env});
            (server.name.clone(), entry)
        })
        .collect();
    (!servers.is_empty()).then(|| json!({ "mcp": servers }).to_string())
}

/// A run of opencode as far as it was heard.
#[derive(Debug, Default)]
struct OpenCode {
    /// Whether it was told to go on in a session.
    resumes: bool,
    session: Option<String>,
    /// Whether the last step ended because there was no more to do, and nothing happened since.
    stopped: bool,
    /// Why the last step ended, in opencode's word.
    reason: String,
    /// What the last text was.
    summary: String,
    /// The error that came after the last step that ended well.
    error: Option<Ended>,
    /// Whether it said that the session it was to go on in is not there.
    lost: bool,
    last_error_line: String,
}

impl Protocol for OpenCode {
    fn hear(&mut self, heard: Heard<'_>, at: Timestamp, seen: &mut Vec<Observation>) {
        match heard {
            Heard::Out(line) => {
                // What is no JSON is a plugin's chatter, or a line that was cut; the spool keeps it.
                if let Ok(event) = serde_json::from_str::<Value>(line) {
                    self.event(&event, at, seen);
                }
            }
            Heard::Err(line) => self.complaint(line, seen),
            Heard::Said(_) => {}
        }
    }

    fn ended(&self) -> Option<&Ended> {
        None
    }

    fn exited(&self, exit: Exit) -> Ended {
        if exit.code == Some(0) && self.stopped {
            return Ended::Finished { summary: self.summary.clone() };
        }
        if self.lost && self.session.is_none() {
            return Ended::SessionLost { message: self.last_error_line.clone() };
        }
        if let Some(error) = &self.error {
            return error.clone();
        }
        // Killed, it says nothing of its setup: its first event may come as late as its first step's end.
        let could_not_start = self.session.is_none() && exit.code.is_some();
        let class = if could_not_start { FailureClass::Setup } else { FailureClass::Agent };
        let why = match self.reason.as_str() {
            "" => "ended before a step did".to_owned(),
            reason => format!("ended after a step that ended with `{reason}`"),
        };
        let message = format!("{why} ({}) {}", exit.words(), self.last_error_line);
        Ended::Failed { class, message: message.trim_end().to_owned() }
    }
}

impl OpenCode {
    fn event(&mut self, event: &Value, at: Timestamp, seen: &mut Vec<Observation>) {
        let part = &event["part"];
        let kind = event["type"].as_str().unwrap_or_default();
        if !kind.is_empty() {
            session::named(&mut self.session, event["sessionID"].as_str().unwrap_or_default(), seen);
        }
        match kind {
            "step_start" => self.stopped = false,
            "text" => self.text(part, seen),
            "reasoning" => seen.extend(text(part).map(Observation::Thought)),
            "tool_use" => self.tool(part, seen),
            "step_finish" => self.step(part, seen),
            "error" => self.failed(&event["error"], at, seen),
            // Open by nature: what a later version says is in the spool.
            _ => {}
        }
    }

    fn text(&mut self, part: &Value, seen: &mut Vec<Observation>) {
        if let Some(text) = text(part) {
            self.summary.clone_from(&text);
            seen.push(Observation::Text(text));
        }
    }

    /// A tool that was used. It is only told when it is done.
    fn tool(&mut self, part: &Value, seen: &mut Vec<Observation>) {
        let (state, word) = (&part["state"], |name: &str| part[name].as_str().unwrap_or_default().to_owned());
        let (id, name) = (word("callID"), word("tool"));
        let input = &state["input"];
        if name == "todowrite" {
            let entries = input["todos"].as_array().into_iter().flatten();
            let plan = entries.filter_map(|entry| entry["content"].as_str().map(str::to_owned)).collect();
            seen.push(Observation::Plan(plan));
        }
        let arguments = if input.is_null() { String::new() } else { input.to_string() };
        // A command that failed is a tool that was `completed`.
        let ok = state["status"] == "completed" && state["metadata"]["exit"].as_i64().unwrap_or_default() == 0;
        seen.push(Observation::ToolStarted { id: id.clone(), name, arguments });
        seen.push(Observation::ToolFinished { id, ok });
    }

    fn step(&mut self, part: &Value, seen: &mut Vec<Observation>) {
        seen.extend(used(part));
        part["reason"].as_str().unwrap_or("unknown").clone_into(&mut self.reason);
        self.stopped = self.reason == "stop";
        if self.stopped {
            self.error = None;
        }
    }

    fn failed(&mut self, error: &Value, at: Timestamp, seen: &mut Vec<Observation>) {
        let end = failure::end(error, at);
        if let Ended::RateLimited { resets_at, message: _ } = &end {
            seen.push(Observation::RateLimited { resets_at: *resets_at });
        }
        self.stopped = false;
        self.error = Some(end);
    }

    fn complaint(&mut self, line: &str, seen: &mut Vec<Observation>) {
        let line = shown(&plain(line));
        if line.is_empty() {
            return;
        }
        // Only then it reads the id, so that a tool's own words cannot be taken for it.
        self.lost |= self.resumes && self.session.is_none() && line.ends_with("Session not found");
        if line.contains("auto-rejecting") {
            seen.push(Observation::Warning(line.clone()));
        }
        self.last_error_line = line;
    }
}

fn text(part: &Value) -> Option<String> {
    part["text"].as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned)
}

/// What a step used. Each step tells its own; its `input` is what no cache had.
fn used(part: &Value) -> Option<Observation> {
    let tokens = &part["tokens"];
    let count = |value: &Value| value.as_u64().unwrap_or_default();
    let (cache_read_tokens, cache_write_tokens) = (count(&tokens["cache"]["read"]), count(&tokens["cache"]["write"]));
    let cached = cache_read_tokens.saturating_add(cache_write_tokens);
    let used = Usage {
        input_tokens: count(&tokens["input"]).saturating_add(cached),
        cache_read_tokens,
        cache_write_tokens,
        output_tokens: count(&tokens["output"]).saturating_add(count(&tokens["reasoning"])),
        cost_micro_usd: micro_usd(part["cost"].as_f64().unwrap_or_default()),
        ..Usage::default()
    };
    (used != Usage::default()).then(|| Observation::Usage { used, priced: part["cost"].is_number() })
}

/// A float becomes the nearest integer that there is: nothing for what is below 0 or no number.
fn micro_usd(usd: f64) -> u64 {
    (usd * 1e6).round() as u64
}
