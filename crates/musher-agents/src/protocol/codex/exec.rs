//! `codex exec --json`: one line an event, one way, for versions without an app server.
//!
//! Measured with codex 0.169 in 2026-11: it never asks. Its usage is the sum of the thread, and comes once, at the end;
//! a resumed thread's sum holds what earlier runs used, which nothing in the stream tells apart. So a resumed run
//! counts nothing rather than something twice. A session that is not there is words on standard error, and exit 1.

use musher_core::run::Usage;
use musher_core::time::Timestamp;
use serde_json::Value;

use super::super::{Brief, Ended, Exit, Heard, Launch, Observation, Protocol};
use super::complaint::Complaint;
use super::item::{self, Items};
use super::{PROGRAM, failure};

/// How `codex exec` is started.
///
/// Without `asks` it may do everything. With it, it is kept in codex's own sandbox: in this stream nobody can answer.
pub fn launch(brief: &Brief) -> Launch {
    let mut args = vec!["exec".to_owned()];
    if brief.session.is_some() {
        args.push("resume".to_owned());
    }
    args.extend(["--json", "--skip-git-repo-check"].map(str::to_owned));
    if brief.asks {
        args.extend(
            ["--config=sandbox_mode=\"workspace-write\"", "--config=approval_policy=\"never\""].map(str::to_owned),
        );
    } else {
        args.push("--dangerously-bypass-approvals-and-sandbox".to_owned());
    }
    args.extend(brief.model.iter().map(|model| format!("--model={model}")));
    let servers = brief.mcp.iter();
    let named = |server| toml(&item::server_by_name(server));
    args.extend(servers.map(|server| format!("--config=mcp_servers.{}={}", server.name, named(server))));
    // An id is the agent's own word: behind `--` it cannot become an option.
    args.push("--".to_owned());
    args.extend(brief.session.clone());
    args.push("-".to_owned());
    let env = brief.mcp.iter().flat_map(|server| server.env.iter().cloned()).collect();
    Launch { program: PROGRAM, args, env, stdin: Some(brief.prompt.clone()) }
}

/// The protocol for a run that [`launch`] started.
pub fn protocol(brief: &Brief) -> Box<dyn Protocol> {
    Box::new(Exec { resumes: brief.session.is_some(), ..Exec::default() })
}

/// A run of `codex exec` as far as it was heard.
#[derive(Debug, Default)]
struct Exec {
    /// Whether it was told to go on in a session.
    resumes: bool,
    session: Option<String>,
    items: Items,
    closing: String,
    complaint: Complaint,
    ended: Option<Ended>,
}

impl Protocol for Exec {
    fn hear(&mut self, heard: Heard<'_>, _: Timestamp, seen: &mut Vec<Observation>) {
        match heard {
            Heard::Out(line) => {
                if let Ok(event) = serde_json::from_str::<Value>(line) {
                    self.event(&event, seen);
                }
            }
            Heard::Err(line) => self.complaint.hear(line),
            Heard::Said(_) => {}
        }
    }

    fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    fn exited(&self, exit: Exit) -> Ended {
        if let Some(ended) = &self.ended {
            return ended.clone();
        }
        let words = self.complaint.words();
        let lost = ["no rollout found", "thread/resume failed"].iter().any(|sign| words.contains(sign));
        if self.resumes && self.session.is_none() && lost {
            return Ended::SessionLost { message: words.to_owned() };
        }
        self.complaint.end(exit)
    }
}

impl Exec {
    fn event(&mut self, event: &Value, seen: &mut Vec<Observation>) {
        match event["type"].as_str().unwrap_or_default() {
            "thread.started" => {
                if let Some(id) = event["thread_id"].as_str().filter(|_| self.session.is_none()) {
                    self.session = Some(id.to_owned());
                    seen.push(Observation::SessionStarted { id: id.to_owned(), resumable: true });
                }
            }
            "item.started" | "item.updated" => self.item(event, false, seen),
            "item.completed" => self.item(event, true, seen),
            "error" => {
                let words = failure::words(event);
                if words.starts_with("Reconnecting") {
                    seen.push(Observation::Retrying(words));
                } else {
                    // The turn fails with the same words.
                    self.complaint.hear(&words);
                }
            }
            "turn.completed" if self.ended.is_none() => {
                self.items.turn_completed("", seen);
                seen.extend(self.usage(&event["usage"]));
                self.ended = Some(Ended::Finished { summary: self.closing.clone() });
            }
            "turn.failed" if self.ended.is_none() => {
                self.items.turn_completed("", seen);
                let end = failure::of_turn(&event["error"], None);
                if let Ended::RateLimited { resets_at, message: _ } = &end {
                    seen.push(Observation::RateLimited { resets_at: *resets_at });
                }
                self.ended = Some(end);
            }
            // Open by nature: what a later version says is in the spool.
            _ => {}
        }
    }

    fn item(&mut self, event: &Value, done: bool, seen: &mut Vec<Observation>) {
        let item = &event["item"];
        if item["type"] == "todo_list" {
            let entries = item["items"].as_array().into_iter().flatten();
            let entries = entries.filter_map(|entry| entry["text"].as_str().map(str::to_owned));
            seen.push(Observation::Plan(entries.collect()));
        } else if !done {
            self.items.started(event, seen);
        } else if item["type"] == "error" {
            seen.push(Observation::Warning(failure::words(item)));
        } else {
            if let Some(text) = item::text(item) {
                self.closing = text;
            }
            seen.extend(item::words(item));
            self.items.completed(event, seen);
        }
    }

    fn usage(&self, counts: &Value) -> Option<Observation> {
        if self.resumes {
            return Some(Observation::Warning("what it used in a resumed session is not known".to_owned()));
        }
        let count = |name: &str| counts[name].as_u64().unwrap_or_default();
        let used = Usage {
            input_tokens: count("input_tokens"),
            cache_read_tokens: count("cached_input_tokens"),
            cache_write_tokens: count("cache_write_input_tokens"),
            output_tokens: count("output_tokens"),
            ..Usage::default()
        };
        (used.tokens() > 0).then_some(Observation::Usage { used, priced: false })
    }
}

/// A value as TOML in a line. A basic string of TOML is one of JSON, but for the delete character.
fn toml(value: &Value) -> String {
    match value {
        Value::Object(entries) => {
            let entries =
                entries.iter().map(|(name, value)| format!("{}={}", toml(&Value::from(name.as_str())), toml(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
        Value::Array(values) => format!("[{}]", values.iter().map(toml).collect::<Vec<_>>().join(",")),
        Value::String(_) => value.to_string().replace('\u{7f}', "\\u007f"),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}
