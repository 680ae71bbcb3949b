//! `gemini --output-format stream-json`: one line an event, one way.
//!
//! Measured with gemini-cli 0.61 in 2026-11: a run is finished when a `result` says `success`, never by its exit code,
//! which a signal leaves at 0. An error is a `result` too, but its words name the HTTP status only sometimes; then the
//! exit code does, modulo 256. A session that is not there is words on standard error, and exit 42. The prompt is read
//! from standard input, 8 MB at most. Its MCP servers stand in settings files only: it is given none here.

use musher_core::run::Usage;
use musher_core::time::Timestamp;
use serde_json::Value;

use super::words::shown;
use super::{Brief, Ended, Exit, Heard, Launch, Observation, Protocol, session};

mod failure;
#[cfg(test)]
mod tests;

/// How `gemini` is started.
///
/// Without `asks` it may do everything. With it, it is not offered the tools that it would have to ask for: in this
/// stream nobody can answer.
pub fn launch(brief: &Brief) -> Launch {
    let mut args = vec!["--output-format=stream-json".to_owned()];
    if !brief.asks {
        args.push("--approval-mode=yolo".to_owned());
    }
    // An id is the agent's own word, and a model anyone's: behind a `=` neither can become another option.
    args.extend(brief.model.as_ref().map(|model| format!("--model={model}")));
    args.extend(brief.session.as_ref().map(|session| format!("--resume={session}")));
    // Relaunched, it is two processes of which the first ignores signals; untrusted, it does not start.
    let env = ["GEMINI_CLI_NO_RELAUNCH", "GEMINI_CLI_TRUST_WORKSPACE"];
    let env = env.map(|name| (name.to_owned(), "true".to_owned())).to_vec();
    Launch { program: "gemini", args, env, stdin: Some(brief.prompt.clone()) }
}

/// The protocol for a run that [`launch`] started.
pub fn protocol(brief: &Brief) -> Box<dyn Protocol> {
    Box::new(Gemini { resumes: brief.session.is_some(), ..Gemini::default() })
}

/// A run of gemini as far as it was heard.
#[derive(Debug, Default)]
struct Gemini {
    /// Whether it was told to go on in a session.
    resumes: bool,
    session: Option<String>,
    /// What it said since it last used a tool.
    closing: String,
    /// An error of the stream that nothing of the model's followed.
    stuck: Option<Ended>,
    /// The words of a result that failed, where only the exit code will tell why.
    failed: Option<(String, Timestamp)>,
    ended: Option<Ended>,
    /// Whether it said that the session it was to go on in is not there.
    lost: bool,
    /// The last lines of its standard error that are about this run.
    complaints: Vec<String>,
}

impl Protocol for Gemini {
    fn hear(&mut self, heard: Heard<'_>, at: Timestamp, seen: &mut Vec<Observation>) {
        match heard {
            Heard::Out(line) => {
                // What is no JSON is an extension's chatter, or a line that was cut; the spool keeps it.
                if let Ok(event) = serde_json::from_str::<Value>(line) {
                    self.event(&event, at, seen);
                }
            }
            Heard::Err(line) => self.complaint(line, seen),
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
        let complaints = self.complaints.join(" ");
        if self.lost && self.session.is_none() {
            return Ended::SessionLost { message: shown(&complaints) };
        }
        match &self.failed {
            Some((words, at)) => failure::of_exit(exit.code, words, *at),
            None => {
                let words = format!("ended without a result ({}) {complaints}", exit.words());
                failure::without_result(exit.code, &words, self.session.is_some())
            }
        }
    }
}

impl Gemini {
    fn event(&mut self, event: &Value, at: Timestamp, seen: &mut Vec<Observation>) {
        let word = |name: &str| event[name].as_str().unwrap_or_default();
        match word("type") {
            "init" => session::named(&mut self.session, word("session_id"), seen),
            "message" if word("role") == "assistant" => self.text(word("content"), seen),
            "tool_use" => self.tool(event, seen),
            "tool_result" => {
                let ok = word("status") == "success";
                seen.push(Observation::ToolFinished { id: word("tool_id").to_owned(), ok });
            }
            "error" => self.error(word("severity"), word("message"), seen),
            "result" if self.ended.is_none() && self.failed.is_none() => self.result(event, at, seen),
            // Open by nature: what a later version says is in the spool.
            _ => {}
        }
    }

    fn text(&mut self, text: &str, seen: &mut Vec<Observation>) {
        if !text.is_empty() {
            self.stuck = None;
            self.closing.push_str(text);
            seen.push(Observation::Text(text.to_owned()));
        }
    }

    fn tool(&mut self, event: &Value, seen: &mut Vec<Observation>) {
        self.stuck = None;
        self.closing.clear();
        let word = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let (name, input) = (word("tool_name"), &event["parameters"]);
        if name == "write_todos" {
            let entries = input["todos"].as_array().into_iter().flatten();
            let plan = entries.filter_map(|entry| entry["description"].as_str().map(str::to_owned)).collect();
            seen.push(Observation::Plan(plan));
        }
        let arguments = if input.is_null() { String::new() } else { input.to_string() };
        seen.push(Observation::ToolStarted { id: word("tool_id"), name, arguments });
    }

    fn error(&mut self, severity: &str, message: &str, seen: &mut Vec<Observation>) {
        let message = shown(message);
        // It stops at a loop or a hook's no with a mere warning, and calls the result a success.
        let stops = ["Loop detected", "Agent execution blocked"].iter().any(|sign| message.starts_with(sign));
        if severity == "error" || stops {
            self.stuck = Some(failure::of_stream(&message));
        }
        seen.push(Observation::Warning(message));
    }

    fn result(&mut self, event: &Value, at: Timestamp, seen: &mut Vec<Observation>) {
        seen.extend(used(&event["stats"]));
        if event["status"] == "success" {
            let finished = || Ended::Finished { summary: self.closing.trim().to_owned() };
            self.ended = Some(self.stuck.take().unwrap_or_else(finished));
            return;
        }
        let error = &event["error"];
        let (kind, words) = (error["type"].as_str().unwrap_or_default(), error["message"].as_str().unwrap_or_default());
        self.ended = failure::of_result(kind, words, at).or_else(|| self.stuck.take());
        if let Some(Ended::RateLimited { resets_at, message: _ }) = &self.ended {
            seen.push(Observation::RateLimited { resets_at: *resets_at });
        }
        if self.ended.is_none() {
            self.failed = Some((words.to_owned(), at));
        }
    }

    fn complaint(&mut self, line: &str, seen: &mut Vec<Observation>) {
        // Only then it reads the id, so that a tool's own words cannot be taken for it.
        self.lost |= self.resumes && self.session.is_none() && line.starts_with("Error resuming session");
        // Indented lines are traces of its own code and fields of its errors.
        let noise = ["Warning: ", "YOLO mode", "Ripgrep is", "}", " ", "\t"];
        if line.trim().is_empty() || noise.iter().any(|noise| line.starts_with(noise)) {
            return;
        }
        let line = shown(line);
        if line.starts_with("Attempt ") && line.contains("Retrying") {
            seen.push(Observation::Retrying(line.clone()));
        }
        if self.complaints.len() == KEPT_COMPLAINTS {
            self.complaints.remove(0);
        }
        self.complaints.push(line);
    }
}

/// What the run used. Each run begins at nothing, resumed or not, and tells once; `input_tokens` has the cached in it.
fn used(stats: &Value) -> Option<Observation> {
    let count = |name: &str| stats[name].as_u64().unwrap_or_default();
    let input_tokens = count("input_tokens");
    // The thoughts are only in the total.
    let output_tokens = count("output_tokens").max(count("total_tokens").saturating_sub(input_tokens));
    let cache_read_tokens = count("cached");
    let used = Usage { input_tokens, cache_read_tokens, output_tokens, ..Usage::default() };
    (used != Usage::default()).then_some(Observation::Usage { used, priced: false })
}

/// How many lines of its standard error are kept for a message.
const KEPT_COMPLAINTS: usize = 3;
