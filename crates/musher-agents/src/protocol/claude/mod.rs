//! Claude Code, spoken to over its two-way stream of JSON lines (`--input-format stream-json`).
//!
//! Open first: [`Claude`]. `ask` reads what it wants to do, `content` what it says, `outcome` how it ended.
//!
//! It works in turns, one `result` line each, and goes on for as long as its input is open. A message that comes in the
//! middle of a turn is read within that turn, after a tool call, or opens one of its own, alone or with its neighbours:
//! the number of results tells nothing. So it is asked to repeat each message at the moment that it takes it
//! (`--replay-user-messages`), and a result is an end when nothing that it was told is still unread.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use musher_core::approval::Ask;
use musher_core::run::Usage;
use musher_core::time::Timestamp;
use serde_json::{Map, Value, json};

use super::reference::References;
use super::{Brief, Ended, Exit, Heard, Launch, Observation, Protocol, Say, Wish, session};
use account::Account;

pub(super) mod account;
mod ask;
pub(super) mod content;
pub(super) mod outcome;

#[cfg(test)]
mod tests;

/// How Claude Code is started.
///
/// Nothing is skipped where musher is not asked: the flag for that is refused for root. The protocol says yes itself.
pub fn launch(brief: &Brief) -> Launch {
    let mut args = words(
        "-p --input-format stream-json --output-format stream-json --verbose --replay-user-messages \
         --permission-prompt-tool stdio --permission-mode default",
    );
    // Nobody sits before it: a question to a person would be answered with nothing.
    args.extend(words("--disallowedTools AskUserQuestion"));
    if let Some(model) = &brief.model {
        args.extend(["--model".to_owned(), model.clone()]);
    }
    if let Some(session) = &brief.session {
        args.extend(["--resume".to_owned(), session.clone()]);
    }
    if !brief.mcp.is_empty() {
        args.extend(["--mcp-config".to_owned(), mcp_config(brief)]);
    }
    let mut env = vec![("DISABLE_AUTOUPDATER".to_owned(), "1".to_owned())];
    env.extend(brief.mcp.iter().flat_map(|server| server.env.iter().cloned()));
    Launch { program: "claude", args, env, stdin: None }
}

/// The protocol of a run with this brief.
pub fn protocol(brief: &Brief) -> Box<dyn Protocol> {
    Box::new(Claude::new(brief))
}

/// A run of Claude Code.
#[derive(Debug)]
pub struct Claude {
    prompt: String,
    asks: bool,
    /// What waits to be said, the next first.
    queue: VecDeque<Say>,
    /// The keys that were said.
    said: BTreeSet<String>,
    /// What it asked and has no answer to yet, by the ids of its requests.
    open: BTreeMap<String, Open>,
    references: References,
    /// The messages that it was told, and how many of them it took up.
    told: u64,
    taken: u64,
    /// Whether it repeats messages at all: older programs may not.
    echoes: bool,
    /// Whether we interrupted the turn that it is in.
    interrupted: bool,
    session: Option<String>,
    /// What it had used at its last result: a level of this process, which a resumed session starts anew.
    used: Usage,
    /// When its account is good again, from the moment that it was told that it is not.
    limited: Option<Option<Timestamp>>,
    /// What its last result said, until its next turn.
    outcome: Option<Ended>,
    /// The last lines of its standard error that say anything.
    stderr: outcome::Stderr,
}

/// A request of its.
#[derive(Debug)]
struct Open {
    reference: String,
    /// Whether people were asked.
    shown: bool,
}

impl Claude {
    /// A run that has not begun.
    pub fn new(brief: &Brief) -> Self {
        Self {
            prompt: brief.prompt.clone(),
            asks: brief.asks,
            queue: VecDeque::new(),
            said: BTreeSet::new(),
            open: BTreeMap::new(),
            references: References::default(),
            told: 0,
            taken: 0,
            echoes: false,
            interrupted: false,
            session: None,
            used: Usage::default(),
            limited: None,
            outcome: None,
            stderr: outcome::Stderr::default(),
        }
    }

    fn line(&mut self, line: &str, seen: &mut Vec<Observation>) {
        let Ok(event) = serde_json::from_str::<Value>(line) else { return };
        match text(&event, "type") {
            "system" => self.system(&event, seen),
            "assistant" => content::assistant(&event, seen),
            "user" => self.user(&event, seen),
            "control_request" => self.requested(&event, seen),
            "control_cancel_request" => self.withdrawn(text(&event, "request_id"), seen),
            "control_response" => answered(&event, seen),
            "rate_limit_event" => self.rate_limit(&event["rate_limit_info"], seen),
            "result" => self.result(&event, seen),
            _ => {}
        }
    }

    fn system(&mut self, event: &Value, seen: &mut Vec<Observation>) {
        match text(event, "subtype") {
            // Every turn begins with one, always for the same session unless a person forked it.
            "init" => {
                self.outcome = None;
                session::named(&mut self.session, text(event, "session_id"), seen);
            }
            "api_retry" => seen.push(Observation::Retrying(outcome::retry(event))),
            _ => {}
        }
    }

    fn user(&mut self, event: &Value, seen: &mut Vec<Observation>) {
        if event["isReplay"] == true {
            self.echoed(&event["message"]["content"]);
        } else {
            content::tool_results(event, seen);
        }
    }

    /// It took up what it was told. Messages that waited together come back as one, a block each.
    fn echoed(&mut self, content: &Value) {
        let count = match content {
            // The output of a slash command has the same mark as a message.
            Value::String(words) if words.starts_with("<local-command") => return,
            Value::Array(blocks) => blocks.len().max(1),
            _ => 1,
        };
        self.echoes = true;
        self.outcome = None;
        self.taken = self.taken.saturating_add(count as u64).min(self.told);
    }

    fn requested(&mut self, event: &Value, seen: &mut Vec<Observation>) {
        let (id, request) = (text(event, "request_id"), &event["request"]);
        // What it asks again while that is open is the same.
        if id.is_empty() || self.open.contains_key(id) {
            return;
        }
        let reference = self.references.next(&event["request_id"]);
        let is_known = text(request, "subtype") == "can_use_tool";
        let shown = is_known && self.asks;
        if shown {
            let action = ask::action(text(request, "tool_name"), &request["input"]);
            seen.push(Observation::PermissionAsked(Ask { reference: reference.as_str().into(), action }));
        } else if is_known {
            self.push(format!("allow:{reference}"), &allowed(id));
        } else {
            let answer = json!({"subtype": "error", "request_id": id, "error": "musher does not do this"});
            self.push(format!("refuse:{reference}"), &json!({"type": "control_response", "response": answer}));
        }
        self.open.insert(id.to_owned(), Open { reference, shown });
    }

    fn withdrawn(&mut self, id: &str, seen: &mut Vec<Observation>) {
        let Some(Open { reference, shown }) = self.open.remove(id) else { return };
        self.queue.retain(|say| answers(&say.key) != Some(&reference));
        if shown {
            seen.push(Observation::PermissionGone(reference));
        }
    }

    fn rate_limit(&mut self, info: &Value, seen: &mut Vec<Observation>) {
        match account::of(info) {
            Some(Account::UsedUp { resets_at }) => {
                self.limited = Some(resets_at);
                seen.push(Observation::RateLimited { resets_at });
            }
            Some(Account::NearlyUsedUp) => {
                seen.push(Observation::Warning("its account is nearly used up".to_owned()));
            }
            Some(Account::Good) => self.limited = None,
            None => {}
        }
    }

    fn result(&mut self, event: &Value, seen: &mut Vec<Observation>) {
        self.meter(event, seen);
        for Open { reference, shown } in std::mem::take(&mut self.open).into_values() {
            if shown {
                // What was asked in a turn that is over is not answered any more: nobody knows what a yes would be taken for.
                self.queue.retain(|say| answers(&say.key) != Some(&reference));
                seen.push(Observation::PermissionGone(reference));
            }
        }
        if !self.echoes {
            self.taken = self.told;
        }
        let interrupted = std::mem::take(&mut self.interrupted);
        let outcome = outcome::of(event, self.limited);
        // The turn that we broke off is no end, even if the message for which we did was not said yet.
        self.outcome = match outcome {
            Ended::Cancelled if interrupted => None,
            outcome => Some(outcome),
        };
    }

    /// Tells what was used since the last result. Its `usage` is no help: zero after a broken stream, and of one turn.
    fn meter(&mut self, event: &Value, seen: &mut Vec<Observation>) {
        let level = outcome::level(event);
        let used = level.since(self.used);
        // A level that falls is a lie or a new count; either way what was told stays told.
        self.used = self.used.plus(used);
        if used != Usage::default() {
            seen.push(Observation::Usage { used, priced: event["total_cost_usd"].is_number() });
        }
    }

    fn told(&mut self, key: &str) {
        self.queue.retain(|say| say.key != key);
        if !self.said.insert(key.to_owned()) {
            return;
        }
        if let Some(reference) = answers(key) {
            self.open.retain(|_, open| open.reference != reference);
        } else if key.starts_with("interrupt:") {
            self.interrupted = true;
        } else if is_message(key) {
            self.told = self.told.saturating_add(1);
        }
    }

    /// Whether there is something that it was told, or is to be told, and has not read: its prompt first of all.
    fn is_behind(&self) -> bool {
        !self.said.contains(PROMPT) || self.taken < self.told || self.queue.iter().any(|say| is_message(&say.key))
    }

    fn push(&mut self, key: String, message: &Value) {
        if !self.said.contains(&key) && !self.queue.iter().any(|say| say.key == key) {
            self.queue.push_back(Say { key, text: format!("{message}\n") });
        }
    }

    fn tell(&mut self, key: String, words: &str, now: bool) -> bool {
        if self.said.contains(&key) {
            return true;
        }
        // An empty message might never come back, and would hold the end for good.
        if !is_message(&key) || key == PROMPT || words.trim().is_empty() || self.ended().is_some() {
            return false;
        }
        // Before its prompt there is no turn to break off.
        if now && self.said.contains(PROMPT) && !self.queue.iter().any(|say| say.key == key) {
            let id = format!("interrupt:{key}");
            let request = json!({"type": "control_request", "request_id": id, "request": {"subtype": "interrupt"}});
            self.push(id, &request);
        }
        self.push(key, &user(words));
        true
    }

    fn answer(&mut self, reference: &str, allow: bool, why: &str) -> bool {
        let asked = self.open.iter().find(|(_, open)| open.shown && open.reference == reference);
        let Some((id, _)) = asked else { return false };
        let answer = if allow { allowed(id) } else { denied(id, why) };
        self.push(format!("answer:{reference}"), &answer);
        true
    }
}

impl Protocol for Claude {
    fn hear(&mut self, heard: Heard<'_>, _at: Timestamp, seen: &mut Vec<Observation>) {
        match heard {
            Heard::Out(line) => self.line(line, seen),
            Heard::Err(line) => self.stderr.hear(line),
            Heard::Said(key) => self.told(key),
        }
    }

    fn say(&self) -> Option<Say> {
        if !self.said.contains(INITIALIZE) {
            let request = json!({"subtype": "initialize", "hooks": null});
            let request = json!({"type": "control_request", "request_id": INITIALIZE, "request": request});
            return Some(Say { key: INITIALIZE.to_owned(), text: format!("{request}\n") });
        }
        if !self.said.contains(PROMPT) {
            return Some(Say { key: PROMPT.to_owned(), text: format!("{}\n", user(&self.prompt)) });
        }
        self.queue.front().cloned()
    }

    fn wish(&mut self, wish: Wish) -> bool {
        match wish {
            Wish::Tell { key, text, now } => self.tell(key, &text, now),
            Wish::Answer { reference, allow, why } => self.answer(&reference, allow, &why),
        }
    }

    fn hears_within_turn(&self) -> bool {
        true
    }

    fn ended(&self) -> Option<&Ended> {
        self.outcome.as_ref().filter(|_| !self.is_behind())
    }

    fn exited(&self, exit: Exit) -> Ended {
        match &self.outcome {
            Some(ended @ Ended::Finished { .. }) if !self.is_behind() => ended.clone(),
            // It ended a turn, and was gone before it read the rest.
            Some(Ended::Finished { .. }) | None => self.stderr.exited(exit),
            Some(
                ended @ (Ended::Failed { .. }
                | Ended::RateLimited { .. }
                | Ended::SessionLost { .. }
                | Ended::Cancelled),
            ) => ended.clone(),
        }
    }
}

/// Whether what is said under this key is a message, rather than a part of the protocol.
fn is_message(key: &str) -> bool {
    !key.is_empty() && key != INITIALIZE && !key.starts_with("interrupt:") && answers(key).is_none()
}

/// The reference of the request that is answered under this key.
fn answers(key: &str) -> Option<&str> {
    ["answer:", "allow:", "refuse:"].iter().find_map(|kind| key.strip_prefix(kind))
}

/// A yes. The program takes an empty input for "as you asked"; the real one may be masked where we read it.
fn allowed(id: &str) -> Value {
    response(id, &json!({"behavior": "allow", "updatedInput": Map::new()}))
}

fn denied(id: &str, why: &str) -> Value {
    let why = if why.is_empty() { "denied" } else { why };
    response(id, &json!({"behavior": "deny", "message": why}))
}

fn response(id: &str, response: &Value) -> Value {
    let response = json!({"subtype": "success", "request_id": id, "response": response});
    json!({"type": "control_response", "response": response})
}

/// A message: one block, by which it is counted when it comes back.
///
/// A word after a slash at its very start would be a command of the program: an unknown one is a "success" at once, and
/// none comes back to be counted. After a space it is a word.
fn user(words: &str) -> Value {
    let space = if words.starts_with('/') { " " } else { "" };
    let message = json!({"role": "user", "content": [{"type": "text", "text": format!("{space}{words}")}]});
    json!({"type": "user", "message": message, "parent_tool_use_id": null, "session_id": ""})
}

fn answered(event: &Value, seen: &mut Vec<Observation>) {
    let response = &event["response"];
    if text(response, "subtype") == "error" {
        let (id, error) = (text(response, "request_id"), text(response, "error"));
        seen.push(Observation::Warning(content::one_line(&format!("{id}: {error}"))));
    }
}

/// The servers as arguments can say them: every user of the machine can read those, so what is in a server's environment
/// is named there and stands in the program's own, from which the program fills it in.
fn mcp_config(brief: &Brief) -> String {
    let servers: Map<String, Value> = brief
        .mcp
        .iter()
        .map(|server| (server.name.clone(), mcp_server(server, Some(|name| format!("${{{name}}}")))))
        .collect();
    json!({ "mcpServers": servers }).to_string()
}

/// A server as a configuration has it; its environment is named in this way, or left out.
pub(super) fn mcp_server(server: &super::McpServer, reference: Option<fn(&str) -> String>) -> Value {
    let (command, args) = server.command.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    let named = |name: &'_ str| reference.map(|reference| reference(name));
    let env: BTreeMap<&str, String> =
        server.env.iter().filter_map(|(name, _)| Some((name.as_str(), named(name)?))).collect();
    json!({"command": command, "args": args, "env": env})
}

pub(super) fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// The string in this field; empty where there is none.
pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

const INITIALIZE: &str = "initialize";
const PROMPT: &str = "prompt";
