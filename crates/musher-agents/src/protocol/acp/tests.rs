//! The recorded transcripts, their prefixes and broken lines, and what they do not show.

use std::path::Path;

use musher_core::approval::{Action, Ask};
use musher_core::time::Timestamp;
use serde_json::{Value, json};

use super::super::{Brief, Ended, Exit, Heard, McpServer, Observation, Protocol, Say, Wish};
use super::{launch, protocol};

mod broken;
mod dialogue;
mod recorded;

/// A protocol with its spool.
struct Run {
    brief: Brief,
    protocol: Box<dyn Protocol>,
    spool: Vec<Line>,
    seen: Vec<Observation>,
}

#[derive(Clone, Debug)]
enum Line {
    Out(String),
    Said(String),
}

impl Run {
    fn new(brief: Brief) -> Self {
        let protocol = protocol(&brief);
        Self { brief, protocol, spool: Vec::new(), seen: Vec::new() }
    }

    fn hear(&mut self, line: Line) {
        hear(self.protocol.as_mut(), &line, &mut self.seen);
        self.spool.push(line);
    }

    fn out(&mut self, message: &Value) {
        self.hear(Line::Out(message.to_string()));
    }

    /// Says what is next; its key and message.
    fn say(&mut self) -> Option<(String, Value)> {
        let Say { key, text } = self.protocol.say()?;
        assert!(text.ends_with('\n') && text.matches('\n').count() == 1, "one line: {text:?}");
        self.hear(Line::Said(key.clone()));
        Some((key, serde_json::from_str(&text).unwrap()))
    }

    fn key(&mut self) -> String {
        self.say().map_or_else(String::new, |(key, _)| key)
    }

    fn answer(&mut self, reference: &str, allow: bool) -> bool {
        self.protocol.wish(Wish::Answer { reference: reference.to_owned(), allow, why: "because".to_owned() })
    }

    fn tell(&mut self, key: &str, now: bool) -> bool {
        self.protocol.wish(Wish::Tell { key: key.to_owned(), text: format!("text of {key}"), now })
    }

    fn result(&mut self, id: u64, result: &Value) {
        self.out(&json!({"jsonrpc": "2.0", "id": id, "result": result}));
    }

    fn update(&mut self, update: &Value) {
        self.out(&json!({"method": "session/update", "params": {"sessionId": "s1", "update": update}}));
    }

    fn ask(&mut self, id: &Value, call: &Value) {
        let options = json!([{"optionId": "A", "kind": "allow_always"}, {"optionId": "a", "kind": "allow_once"},
            {"optionId": "r", "kind": "reject_once"}, {"optionId": "?", "kind": "allow_on_sundays"}]);
        let params = json!({"sessionId": "s1", "toolCall": call, "options": options});
        self.out(&json!({"id": id, "method": "session/request_permission", "params": params}));
    }

    /// A run whose prompt was just said.
    fn working(brief: Brief) -> Self {
        let mut run = Self::new(brief);
        assert_eq!(run.key(), "initialize");
        run.result(1, &json!({"protocolVersion": 1, "agentCapabilities": {"loadSession": true}}));
        assert_eq!(run.key(), "session");
        run.result(2, &json!({"sessionId": "s1"}));
        assert_eq!(run.key(), "prompt");
        run
    }
}

fn hear(protocol: &mut dyn Protocol, line: &Line, seen: &mut Vec<Observation>) {
    let heard = match line {
        Line::Out(line) => Heard::Out(line),
        Line::Said(key) => Heard::Said(key),
    };
    protocol.hear(heard, Timestamp::from_micros(1_000_000), seen);
}

fn asking() -> Brief {
    Brief { prompt: "create hello.txt".into(), worktree: "/path/to/repo".into(), asks: true, ..Brief::default() }
}

/// What was seen, a line each, texts joined and the calls' ids as numbers.
fn shown(seen: &[Observation]) -> Vec<String> {
    let mut calls: Vec<String> = Vec::new();
    let mut number = |id: &String| {
        let place = calls.iter().position(|call| call == id).unwrap_or(calls.len());
        calls.resize(calls.len().max(place + 1), id.clone());
        place + 1
    };
    let mut lines: Vec<String> = Vec::new();
    for observation in seen {
        let line = match observation {
            Observation::Text(text) => match lines.last_mut().filter(|last| last.starts_with("text ")) {
                Some(last) => {
                    last.push_str(text);
                    continue;
                }
                None => format!("text {text}"),
            },
            Observation::SessionStarted { resumable, .. } => format!("session resumable={resumable}"),
            Observation::ToolStarted { id, name, arguments } => {
                let head: String = arguments.chars().take(48).collect();
                format!("start {} {name} {head}", number(id))
            }
            Observation::ToolFinished { id, ok } => format!("finish {} {ok}", number(id)),
            Observation::Usage { used, priced } => {
                let cached = format!("{}+{}", used.cache_read_tokens, used.cache_write_tokens);
                format!(
                    "usage {} ({cached}) {} {} {priced}",
                    used.input_tokens, used.output_tokens, used.cost_micro_usd
                )
            }
            Observation::PermissionAsked(Ask { action, .. }) => format!("ask {action:?}"),
            Observation::PermissionGone(reference) => format!("gone {reference}"),
            Observation::Thought(text) => format!("thought {text}"),
            Observation::Plan(entries) => format!("plan {}", entries.join(" / ")),
            Observation::RateLimited { resets_at } => format!("limited {resets_at:?}"),
            Observation::Retrying(text) => format!("retrying {text}"),
            Observation::Warning(text) => format!("warning {text}"),
        };
        lines.push(line);
    }
    lines
}
