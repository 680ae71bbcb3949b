//! Qwen Code, whose stream of JSON lines looks like that of Claude Code and goes one way: nothing can be said to a
//! running one, and it never asks.
//!
//! Two things that it says are not so. A failed request is a "success" with the words `[API Error: …]`; and the usage of
//! a resumed session counts the runs before it again.

use std::collections::BTreeSet;

use musher_core::run::{FailureClass, Usage};
use musher_core::time::Timestamp;
use serde_json::{Map, Value, json};

use super::claude::outcome::{Stderr, class};
use super::claude::{content, mcp_server, text, words};
use super::{Brief, Ended, Exit, Heard, Launch, Observation, Protocol, session};

/// How Qwen Code is started. Its prompt is its input, which may be longer than an argument can.
pub fn launch(brief: &Brief) -> Launch {
    let mut args = words("--output-format stream-json --approval-mode yolo");
    if let Some(model) = &brief.model {
        args.extend(["--model".to_owned(), model.clone()]);
    }
    if let Some(session) = &brief.session {
        args.extend(["--resume".to_owned(), session.clone()]);
    }
    if !brief.mcp.is_empty() {
        // It gives its servers its own environment, so that nothing secret stands in an argument.
        let servers: Map<String, Value> =
            brief.mcp.iter().map(|server| (server.name.clone(), mcp_server(server, None))).collect();
        args.extend(["--mcp-config".to_owned(), json!({ "mcpServers": servers }).to_string()]);
    }
    let env = brief.mcp.iter().flat_map(|server| server.env.iter().cloned()).collect();
    Launch { program: "qwen", args, env, stdin: Some(brief.prompt.clone()) }
}

/// The protocol of a run with this brief.
pub fn protocol(brief: &Brief) -> Box<dyn Protocol> {
    Box::new(Qwen::new(brief))
}

/// A run of Qwen Code.
#[derive(Debug)]
pub struct Qwen {
    /// Whether it goes on in a session, whose usage is then in its totals.
    is_resumed: bool,
    session: Option<String>,
    /// What was told of its usage.
    used: Usage,
    /// The messages whose usage was counted: one message may come in several lines.
    counted: BTreeSet<String>,
    ended: Option<Ended>,
    stderr: Stderr,
}

impl Qwen {
    /// A run that has not begun.
    pub fn new(brief: &Brief) -> Self {
        Self {
            is_resumed: brief.session.is_some(),
            session: None,
            used: Usage::default(),
            counted: BTreeSet::new(),
            ended: None,
            stderr: Stderr::default(),
        }
    }

    fn line(&mut self, line: &str, seen: &mut Vec<Observation>) {
        let Ok(event) = serde_json::from_str::<Value>(line) else { return };
        match text(&event, "type") {
            "system" if text(&event, "subtype") == "init" => {
                session::named(&mut self.session, text(&event, "session_id"), seen)
            }
            "assistant" => {
                content::assistant(&event, seen);
                self.meter_message(&event["message"], seen);
            }
            "user" => content::tool_results(&event, seen),
            "result" => self.result(&event, seen),
            _ => {}
        }
    }

    fn meter_message(&mut self, message: &Value, seen: &mut Vec<Observation>) {
        let used = usage(&message["usage"]);
        if used != Usage::default() && self.counted.insert(text(message, "id").to_owned()) {
            self.meter(used, seen);
        }
    }

    /// Tells the rest of the total: requests beside its messages are in there only. The total of a resumed session has
    /// no known start, so of that the messages are all that is told.
    fn meter_total(&mut self, event: &Value, seen: &mut Vec<Observation>) {
        let total = usage(&event["usage"]);
        let rest = total.since(self.used);
        if !self.is_resumed && rest != Usage::default() {
            self.meter(rest, seen);
        }
    }

    fn meter(&mut self, used: Usage, seen: &mut Vec<Observation>) {
        self.used = self.used.plus(used);
        seen.push(Observation::Usage { used, priced: false });
    }

    fn result(&mut self, event: &Value, seen: &mut Vec<Observation>) {
        self.meter_total(event, seen);
        if self.ended.is_none() {
            self.ended = Some(outcome(event));
        }
    }
}

impl Protocol for Qwen {
    fn hear(&mut self, heard: Heard<'_>, _at: Timestamp, seen: &mut Vec<Observation>) {
        match heard {
            Heard::Out(line) => self.line(line, seen),
            Heard::Err(line) => self.stderr.hear(line),
            Heard::Said(_) => {}
        }
    }

    fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    fn exited(&self, exit: Exit) -> Ended {
        match (&self.ended, exit.code) {
            (Some(ended), _) => ended.clone(),
            (None, Some(TURNS_EXIT)) => match self.stderr.exited(exit) {
                Ended::Failed { message, .. } => Ended::Failed { class: FailureClass::Limit, message },
                other @ (Ended::Finished { .. }
                | Ended::RateLimited { .. }
                | Ended::SessionLost { .. }
                | Ended::Cancelled) => other,
            },
            (None, _) => self.stderr.exited(exit),
        }
    }
}

fn outcome(event: &Value) -> Ended {
    let said = text(event, "result");
    if let Some(error) = api_error(said) {
        return failed(error);
    }
    if event["is_error"] == false {
        return Ended::Finished { summary: said.to_owned() };
    }
    let told = [text(&event["error"], "message"), said, text(event, "subtype")];
    failed(told.into_iter().find(|words| !words.is_empty()).unwrap_or("it failed, and did not say why"))
}

fn failed(words: &str) -> Ended {
    let message = content::one_line(words);
    match status(words) {
        Some(401 | 403) => Ended::Failed { class: FailureClass::Setup, message },
        Some(429) => Ended::RateLimited { resets_at: None, message },
        Some(_) => Ended::Failed { class: FailureClass::Agent, message },
        None => Ended::Failed { class: class(&message), message },
    }
}

/// The error that a text ends with, after whatever part of an answer came before it. Behind a limit's error stands a line
/// of advice.
fn api_error(said: &str) -> Option<&str> {
    let said = said.trim_end();
    let error = &said[said.rfind(API_ERROR)?..];
    let error = error.rsplit_once('\n').filter(|(_, line)| line.contains(ADVICE)).map_or(error, |(error, _)| error);
    error.ends_with(']').then_some(error)
}

/// The HTTP status at the start of an error.
fn status(error: &str) -> Option<u16> {
    let words = error.strip_prefix(API_ERROR).unwrap_or(error);
    let digits = words.split(|letter: char| !letter.is_ascii_digit()).next()?;
    digits.parse().ok().filter(|status| (400..600).contains(status))
}

/// Usage as OpenAI counts it: what was read from a cache is part of the input.
fn usage(counts: &Value) -> Usage {
    let count = |field: &str| counts[field].as_u64().unwrap_or_default();
    Usage {
        input_tokens: count("input_tokens"),
        cache_read_tokens: count("cache_read_input_tokens"),
        cache_write_tokens: count("cache_creation_input_tokens"),
        output_tokens: count("output_tokens"),
        ..Usage::default()
    }
}

const API_ERROR: &str = "[API Error: ";

/// What it says to people after an error of a limit.
const ADVICE: &str = "Please wait and try again later";

/// The exit code that says that its limit of turns is reached.
const TURNS_EXIT: i32 = 53;

#[cfg(test)]
mod tests;
