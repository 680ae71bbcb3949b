//! `codex app-server`: JSON-RPC in lines, both ways, without the word "jsonrpc".
//!
//! Measured with codex 0.169 in 2026-11: a run is done when `turn/completed` says `completed`, and goes on with every
//! further turn. A message that comes while a turn runs steers it, and is read before the model's next answer; an
//! interrupt forgets what was not read, so that is said again. A session that is resumed tells its old sum of tokens
//! once more. With `untrusted` every command and every change of a file was asked for, `pwd` and `cat` too, in each of
//! its sandboxes. What was allowed stays in the sandbox, which may forbid it, or not work at all inside musher's own;
//! so there is none here, and the answer decides.
//!
//! The ids of requests are the keys that they are said under: an answer names its question without any memory.

use std::collections::BTreeSet;

use musher_core::time::Timestamp;
use serde_json::{Value, json};

use super::words::shown;
use super::{Brief, Ended, Exit, Heard, Launch, Observation, Protocol, Say, Wish};
use ask::Asks;
use complaint::Complaint;
use count::Counts;
use item::Items;
use message::Messages;

mod ask;
mod complaint;
mod count;
pub mod exec;
mod failure;
mod item;
mod message;
#[cfg(test)]
mod tests;

/// How `codex` is started for its app server. All else is said to it.
pub fn launch(_: &Brief) -> Launch {
    Launch { program: PROGRAM, args: vec!["app-server".to_owned()], env: Vec::new(), stdin: None }
}

/// The protocol for a run that [`launch`] started.
pub fn protocol(brief: &Brief) -> Box<dyn Protocol> {
    Box::new(Codex::new(brief))
}

/// A run of codex as far as it was heard.
#[derive(Debug)]
struct Codex {
    brief: Brief,
    /// The keys that it was told.
    said: BTreeSet<String>,
    /// Whether it has answered to `initialize`.
    greeted: bool,
    /// Whether the session that it was to go on in is not there.
    lost: bool,
    /// The thread that is this run; others are of agents that it started itself.
    thread: Option<String>,
    messages: Messages,
    asks: Asks,
    items: Items,
    counts: Counts,
    /// When its account can be used again, by what it told last.
    resets_at: Option<Timestamp>,
    /// Its latest whole text.
    closing: String,
    complaint: Complaint,
    /// How its last turn ended, which is how the run ends if nothing more is to be said.
    outcome: Option<Ended>,
    ended: Option<Ended>,
}

impl Protocol for Codex {
    fn hear(&mut self, heard: Heard<'_>, _: Timestamp, seen: &mut Vec<Observation>) {
        match heard {
            Heard::Out(line) => {
                // What is no JSON is a line that was cut; the spool keeps it.
                if let Ok(line) = serde_json::from_str::<Value>(line) {
                    self.line(&line, seen);
                }
            }
            Heard::Err(line) => self.complaint.hear(line),
            Heard::Said(key) => self.said(key),
        }
        self.settle();
    }

    fn say(&self) -> Option<Say> {
        if self.ended.is_some() {
            return None;
        }
        let thread = self.thread.as_deref();
        // The reason for a no goes before the no: a restart between the two still finds the question open.
        let reason = thread.and_then(|thread| self.messages.reason(thread));
        reason.or_else(|| self.asks.say()).or_else(|| self.greeting()).or_else(|| self.messages.say(thread?))
    }

    fn wish(&mut self, wish: Wish) -> bool {
        if self.ended.is_some() {
            return false;
        }
        match wish {
            Wish::Tell { key, text, now } => {
                if self.said.contains(&key) {
                    self.messages.remember(key, text);
                } else {
                    self.messages.tell(key, text, now);
                }
            }
            Wish::Answer { reference, allow, why } => {
                let denied = self.asks.answer(&reference, allow) && !allow;
                let key = message::why(&reference);
                if denied && !why.trim().is_empty() && !self.said.contains(&key) {
                    self.messages.explain(key, &why);
                }
            }
        }
        true
    }

    fn hears_within_turn(&self) -> bool {
        true
    }

    fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    fn exited(&self, exit: Exit) -> Ended {
        self.ended.clone().unwrap_or_else(|| self.complaint.end(exit))
    }
}

impl Codex {
    fn new(brief: &Brief) -> Self {
        Self {
            brief: brief.clone(),
            said: BTreeSet::new(),
            greeted: false,
            lost: false,
            thread: None,
            messages: Messages::new(&brief.prompt),
            asks: Asks::new(brief.asks),
            items: Items::default(),
            counts: Counts::default(),
            resets_at: None,
            closing: String::new(),
            complaint: Complaint::default(),
            outcome: None,
            ended: None,
        }
    }

    /// What is to be said before there is a thread.
    fn greeting(&self) -> Option<Say> {
        let unsaid = |key: &str| !self.said.contains(key);
        if unsaid(INITIALIZE) {
            let client = json!({"name": "musher", "title": "musher", "version": env!("CARGO_PKG_VERSION")});
            // Whole texts and whole outputs come anyway; their parts would only fill the spool.
            let capabilities = json!({"optOutNotificationMethods": PARTS});
            let params = json!({"clientInfo": client, "capabilities": capabilities});
            return Some(request(INITIALIZE, "initialize", &params));
        }
        if !self.greeted {
            return None;
        }
        if unsaid(INITIALIZED) {
            return Some(line(INITIALIZED, &json!({"method": "initialized"})));
        }
        match &self.brief.session {
            Some(session) if unsaid(THREAD) => {
                let mut params = self.thread_params();
                params["threadId"] = json!(session);
                // A long history would be cut in the spool, and the answer with it.
                params["excludeTurns"] = json!(true);
                Some(request(THREAD, "thread/resume", &params))
            }
            Some(_) if self.lost && unsaid(THREAD_NEW) => {
                Some(request(THREAD_NEW, "thread/start", &self.thread_params()))
            }
            None if unsaid(THREAD) => Some(request(THREAD, "thread/start", &self.thread_params())),
            Some(_) | None => None,
        }
    }

    fn thread_params(&self) -> Value {
        let policy = if self.brief.asks { "untrusted" } else { "never" };
        let mut params = json!({"cwd": self.brief.worktree, "approvalPolicy": policy, "sandbox": "danger-full-access"});
        if let Some(model) = &self.brief.model {
            params["model"] = json!(model);
        }
        if !self.brief.mcp.is_empty() {
            // Here and not in arguments, which every user of the machine can read. A dotted name leaves the others be.
            let servers = self.brief.mcp.iter();
            let config = servers.map(|server| (format!("mcp_servers.{}", server.name), item::server(server)));
            params["config"] = Value::Object(config.collect());
        }
        params
    }

    fn said(&mut self, key: &str) {
        self.said.insert(key.to_owned());
        if !matches!(key, INITIALIZE | INITIALIZED | THREAD | THREAD_NEW) && !self.asks.said(key) {
            self.messages.said(key);
            // Read again after a restart, the end of a turn looks like the run's until the next line says otherwise.
            if self.outcome.is_some() {
                self.ended = None;
            }
        }
    }

    fn line(&mut self, line: &Value, seen: &mut Vec<Observation>) {
        let (method, params) = (line["method"].as_str(), &line["params"]);
        match (method, line.get("id")) {
            (Some(method), Some(id)) => self.asks.hear(method, id, params, &self.items, seen),
            (Some(method), None) => self.notification(method, params, seen),
            (None, Some(id)) => self.answer(id.as_str().unwrap_or_default(), line, seen),
            (None, None) => {}
        }
    }

    fn answer(&mut self, key: &str, answer: &Value, seen: &mut Vec<Observation>) {
        let error = answer.get("error").filter(|error| !error.is_null());
        match (key, error) {
            (INITIALIZE, None) => self.greeted = true,
            (THREAD, Some(error)) if self.brief.session.is_some() => {
                self.lost = true;
                let why = failure::words(error);
                seen.push(Observation::Warning(format!("its session is lost, it begins another: {why}")));
            }
            (INITIALIZE | THREAD | THREAD_NEW, Some(error)) => self.end(failure::of_start(error), seen),
            (THREAD | THREAD_NEW, None) => self.thread(key, &answer["result"], seen),
            (key, Some(error)) => {
                if self.messages.refused(key, seen) {
                    self.end(failure::of_turn(error, self.resets_at), seen);
                }
            }
            (key, None) => {
                if let Some(turn) = self.messages.taken(key, &answer["result"]) {
                    self.counts.turn(turn);
                    self.outcome = None;
                }
            }
        }
    }

    fn thread(&mut self, key: &str, result: &Value, seen: &mut Vec<Observation>) {
        let thread = &result["thread"];
        let Some(id) = thread["id"].as_str().filter(|_| self.thread.is_none()) else { return };
        if key == THREAD_NEW || self.brief.session.is_none() {
            self.counts.begin(id);
        } else {
            self.counts.resume(id);
        }
        self.thread = Some(id.to_owned());
        let resumable = !thread["ephemeral"].as_bool().unwrap_or_default();
        seen.push(Observation::SessionStarted { id: id.to_owned(), resumable });
    }

    fn notification(&mut self, method: &str, params: &Value, seen: &mut Vec<Observation>) {
        let own = params["threadId"].as_str().is_none_or(|id| Some(id) == self.thread.as_deref());
        let warning = |words: &Value| Observation::Warning(shown(words.as_str().unwrap_or_default()));
        match method {
            "turn/started" if own => self.turn(&params["turn"]),
            "turn/completed" => {
                let turn = params["turn"]["id"].as_str().unwrap_or_default();
                self.asks.turn_completed(turn, seen);
                self.items.turn_completed(turn, seen);
                if own {
                    self.turn_completed(&params["turn"], seen);
                }
            }
            "item/started" => self.items.started(params, seen),
            "item/completed" => self.item(params, own, seen),
            "turn/plan/updated" if own => {
                let steps = params["plan"].as_array().into_iter().flatten();
                let steps = steps.filter_map(|step| step["step"].as_str().map(str::to_owned));
                seen.push(Observation::Plan(steps.collect()));
            }
            "thread/tokenUsage/updated" => seen.extend(self.counts.hear(params)),
            "account/rateLimits/updated" => {
                let told = failure::resets_at(&params["rateLimits"]);
                self.resets_at = told.or(self.resets_at);
            }
            "serverRequest/resolved" => self.asks.resolved(&params["requestId"], seen),
            "error" if params["willRetry"] == true => {
                seen.push(Observation::Retrying(failure::words(&params["error"])));
            }
            // The turn ends with the same words.
            "error" => self.complaint.hear(&failure::words(&params["error"])),
            "warning" | "guardianWarning" => seen.push(warning(&params["message"])),
            "configWarning" | "deprecationNotice" => seen.push(warning(&params["summary"])),
            "mcpServer/startupStatus/updated" if params["status"] == "failed" => {
                let word = |name: &str| params[name].as_str().unwrap_or_default();
                let words = format!("MCP server {} does not start: {}", word("name"), word("error"));
                seen.push(Observation::Warning(shown(&words)));
            }
            // Open by nature: what a later version says is in the spool.
            _ => {}
        }
    }

    fn turn(&mut self, turn: &Value) {
        if let Some(id) = turn["id"].as_str() {
            self.messages.begun(id);
            self.counts.turn(id);
            self.outcome = None;
        }
    }

    fn item(&mut self, params: &Value, own: bool, seen: &mut Vec<Observation>) {
        let item = &params["item"];
        if own {
            if item["type"] == "userMessage" {
                self.messages.read(item["clientId"].as_str().unwrap_or_default());
            }
            if let Some(text) = item::text(item) {
                self.closing = text;
            }
            seen.extend(item::words(item));
        }
        self.items.completed(params, seen);
    }

    fn turn_completed(&mut self, turn: &Value, seen: &mut Vec<Observation>) {
        if self.ended.is_some() || !self.messages.completed(turn["id"].as_str().unwrap_or_default(), seen) {
            return;
        }
        match turn["status"].as_str() {
            Some("completed") => self.outcome = Some(Ended::Finished { summary: self.closing.clone() }),
            Some("interrupted") => self.outcome = Some(Ended::Cancelled),
            // Open by nature; a turn that ended otherwise did not succeed.
            _ => self.end(failure::of_turn(&turn["error"], self.resets_at), seen),
        }
    }

    fn end(&mut self, end: Ended, seen: &mut Vec<Observation>) {
        if self.ended.is_none() {
            if let Ended::RateLimited { resets_at, message: _ } = &end {
                seen.push(Observation::RateLimited { resets_at: *resets_at });
            }
            self.ended = Some(end);
        }
    }

    /// The last turn's end is the run's, once nothing is left to be told.
    fn settle(&mut self) {
        if self.ended.is_none() && self.messages.idle() {
            self.ended = self.outcome.clone();
        }
    }
}

fn request(key: &str, method: &str, params: &Value) -> Say {
    line(key, &json!({"id": key, "method": method, "params": params}))
}

fn line(key: &str, value: &Value) -> Say {
    Say { key: key.to_owned(), text: format!("{value}\n") }
}

const PROGRAM: &str = "codex";
const INITIALIZE: &str = "initialize";
const INITIALIZED: &str = "initialized";
const THREAD: &str = "thread";
/// A thread that is begun because the one to go on in is lost.
const THREAD_NEW: &str = "thread:new";

/// The notifications that come whole later.
const PARTS: [&str; 7] = [
    "item/agentMessage/delta",
    "item/plan/delta",
    "item/commandExecution/outputDelta",
    "item/fileChange/outputDelta",
    "item/reasoning/summaryTextDelta",
    "item/reasoning/textDelta",
    "turn/diff/updated",
];
