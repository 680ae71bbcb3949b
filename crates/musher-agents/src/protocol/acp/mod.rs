//! The Agent Client Protocol, version 1: opencode, gemini, qwen, claude-agent-acp, codex-acp and many more.
//!
//! The way of a run: `initialize`, then `session/new` or `session/load`, the model where one is wanted, then a prompt a
//! turn. A message for the agent is the next prompt, for the protocol has no other way; what is to be read at once
//! cancels the present turn first. The run ends with the result of a prompt that no message waits behind.
//!
//! Open first: `schema` for the words, `tool` for what a tool call wants, `say` for what is said when.

mod failure;
mod say;
mod schema;
mod tool;
mod turn;
mod usage;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use musher_core::approval::{Action, Ask};
use musher_core::run::FailureClass;
use musher_core::time::Timestamp;
use serde_json::Value;

use super::claude::account::Account;
use super::reference::References;
use super::words::shown;
use super::{Brief, Ended, Exit, Heard, Launch, Observation, Protocol, Say, Wish};
use schema::{Choice, Fault, Message, ModelWay, Update};
use tool::Tool;
use usage::Meter;

/// How an agent of this protocol is started: its configuration always names the command.
pub fn launch(_brief: &Brief) -> Launch {
    Launch::default()
}

/// The protocol at the beginning of a run.
pub fn protocol(brief: &Brief) -> Box<dyn Protocol> {
    Box::new(Acp::new(brief))
}

struct Acp {
    brief: Brief,
    said: BTreeSet<String>,
    phase: Phase,
    agent: Agent,
    session: String,
    turn: Turn,
    tools: BTreeMap<String, Tool>,
    wants: Vec<Want>,
    references: References,
    tells: VecDeque<Tell>,
    meter: Meter,
    /// When its account is good again, by what it told last beside its answers.
    resets_at: Option<Timestamp>,
    ended: Option<Ended>,
    last_error_line: String,
}

/// How far the run has come.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Greeting,
    /// The first try for a session; whether it loads one.
    Opening {
        loads: bool,
    },
    /// A new session, after the old one could not be loaded.
    Reopening,
    /// The model is set.
    Setting(ModelWay),
    /// Turns.
    Working,
}

/// What the agent said of itself.
#[derive(Debug, Default)]
struct Agent {
    name: String,
    loads: bool,
    logins: Vec<String>,
}

/// The present turn, or the last.
#[derive(Debug, Default)]
struct Turn {
    /// How many prompts were said.
    prompts: u64,
    running: bool,
    interrupted: bool,
    /// The message that the turn was interrupted for, until it is said.
    owed: Option<String>,
    /// The tool call that was answered, until something is heard of it: what is in the spool does not tell a yes from a
    /// no, but after a yes the tool is heard of.
    answered: Option<String>,
    /// What it said since its last tool call.
    words: String,
    /// A result that stands in the spool before the prompt does.
    early: Option<Result<Value, Fault>>,
}

/// A request of the agent that has no answer yet.
struct Want {
    id: Value,
    reference: String,
    kind: WantKind,
}

enum WantKind {
    /// For a permission of this tool call.
    Permission { tool: String, choices: Vec<Choice>, shown: bool, allow: Option<bool> },
    /// For a method that is not here.
    Unknown(String),
}

impl WantKind {
    fn permission(tool: String, params: &Value) -> Self {
        Self::Permission { tool, choices: schema::choices(params), shown: false, allow: None }
    }
}

struct Tell {
    key: String,
    text: String,
    now: bool,
}

impl Protocol for Acp {
    fn hear(&mut self, heard: Heard<'_>, at: Timestamp, seen: &mut Vec<Observation>) {
        match heard {
            Heard::Out(line) => match schema::message(line) {
                Some(Message::Request { id, method, params }) => self.asked(id, &method, &params, seen),
                Some(Message::Notice { method, params }) if method == "session/update" => self.updated(&params, seen),
                Some(Message::Notice { .. }) => {}
                None => self.asked_in_part(line, seen),
                Some(Message::Answer { id, answer }) => self.answered(id, answer, at, seen),
            },
            Heard::Err(line) if !line.trim().is_empty() => self.last_error_line = shown(line),
            Heard::Err(_) => {}
            Heard::Said(key) => self.said(key, at, seen),
        }
    }

    fn say(&self) -> Option<Say> {
        self.next()
    }

    fn wish(&mut self, wish: Wish) -> bool {
        match wish {
            Wish::Tell { key, text, now } => {
                if self.ended.is_some() || say::is_own(&key) {
                    return false;
                }
                if !self.said.contains(&key) && !self.tells.iter().any(|tell| tell.key == key) {
                    self.tells.push_back(Tell { key, text, now });
                }
                true
            }
            // The choice of "no" has no room for a reason.
            Wish::Answer { reference, allow, why: _ } => self.decide(&reference, allow),
        }
    }

    fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    fn exited(&self, exit: Exit) -> Ended {
        if let Some(ended) = &self.ended {
            return ended.clone();
        }
        let class = match self.phase {
            Phase::Greeting | Phase::Opening { .. } | Phase::Reopening => FailureClass::Setup,
            Phase::Setting(_) | Phase::Working => FailureClass::Agent,
        };
        let message = format!("ended before its turn did ({}) {}", exit.words(), self.last_error_line);
        Ended::Failed { class, message: message.trim_end().to_owned() }
    }
}

impl Acp {
    fn new(brief: &Brief) -> Self {
        Self {
            brief: brief.clone(),
            said: BTreeSet::new(),
            phase: Phase::Greeting,
            agent: Agent::default(),
            session: String::new(),
            turn: Turn::default(),
            tools: BTreeMap::new(),
            wants: Vec::new(),
            references: References::default(),
            tells: VecDeque::new(),
            meter: Meter::default(),
            resets_at: None,
            ended: None,
            last_error_line: String::new(),
        }
    }

    /// An answer of the agent, by the id of what was asked.
    fn answered(&mut self, id: u64, answer: Result<Value, Fault>, at: Timestamp, seen: &mut Vec<Observation>) {
        match (&self.phase, id) {
            (Phase::Greeting, say::INITIALIZE) => self.greeted(answer, at, seen),
            (Phase::Opening { loads: false }, say::SESSION) | (Phase::Reopening, say::SESSION_NEW) => {
                self.opened(answer, false, at, seen);
            }
            (Phase::Opening { loads: true }, say::SESSION) => self.opened(answer, true, at, seen),
            (Phase::Setting(_), say::MODE) => {
                if let Err(fault) = answer {
                    let model = self.brief.model.as_deref().unwrap_or_default();
                    let words = shown(&fault.words);
                    seen.push(Observation::Warning(format!("it did not take the model `{model}`: {words}")));
                }
                self.phase = Phase::Working;
            }
            (Phase::Working, id) => self.prompt_answered(id, answer, at, seen),
            (Phase::Greeting | Phase::Opening { .. } | Phase::Reopening | Phase::Setting(_), _) => {}
        }
    }

    fn greeted(&mut self, answer: Result<Value, Fault>, at: Timestamp, seen: &mut Vec<Observation>) {
        let greeting = match answer {
            Ok(greeting) => greeting,
            Err(fault) => return self.end(failure::end(&fault, &[], at), seen),
        };
        let version = greeting["protocolVersion"].as_u64().unwrap_or(schema::VERSION);
        if version != schema::VERSION {
            let message = format!("speaks version {version} of the Agent Client Protocol, not version 1");
            return self.end(Ended::Failed { class: FailureClass::Setup, message }, seen);
        }
        self.agent = Agent {
            name: schema::text(&greeting["agentInfo"], "name").unwrap_or_default(),
            loads: greeting["agentCapabilities"]["loadSession"] == true,
            logins: schema::items(&greeting["authMethods"]).filter_map(|way| schema::text(way, "id")).collect(),
        };
        if self.brief.session.is_some() && !self.agent.loads {
            seen.push(Observation::Warning("it cannot load a session; a new one is begun".to_owned()));
        }
        self.phase = Phase::Opening { loads: self.brief.session.is_some() && self.agent.loads };
    }

    fn opened(&mut self, answer: Result<Value, Fault>, loads: bool, at: Timestamp, seen: &mut Vec<Observation>) {
        let session = match answer {
            Ok(session) => session,
            Err(fault) => {
                // What else is wrong, such as no login, the new session's answer tells as well.
                if loads {
                    let words = shown(&fault.words);
                    seen.push(Observation::Warning(format!(
                        "the session could not be loaded, a new one is begun: {words}"
                    )));
                    self.phase = Phase::Reopening;
                    return;
                }
                return self.end(failure::end(&fault, &self.agent.logins, at), seen);
            }
        };
        let old = self.brief.session.clone().filter(|_| loads);
        let Some(id) = schema::text(&session, "sessionId").or(old) else {
            let message = "its answer to `session/new` names no session".to_owned();
            return self.end(Ended::Failed { class: FailureClass::Agent, message }, seen);
        };
        self.session.clone_from(&id);
        seen.push(Observation::SessionStarted { id, resumable: self.agent.loads });
        self.meter =
            if loads { Meter::loaded(&self.agent.name, self.meter.cost()) } else { Meter::begun(&self.agent.name) };
        self.phase = self.after_opening(&session, seen);
    }

    fn after_opening(&self, session: &Value, seen: &mut Vec<Observation>) -> Phase {
        let Some(wanted) = self.brief.model.as_deref() else { return Phase::Working };
        match schema::model_way(session, wanted) {
            ModelWay::Present => Phase::Working,
            ModelWay::Nowhere => {
                seen.push(Observation::Warning(format!("it cannot be told its model; `{wanted}` was wanted")));
                Phase::Working
            }
            way @ (ModelWay::Option(_) | ModelWay::Method) => Phase::Setting(way),
        }
    }

    /// A request of the agent.
    fn asked(&mut self, id: Value, method: &str, params: &Value, seen: &mut Vec<Observation>) {
        let reference = self.references.next(&id);
        let told = schema::told(&params["toolCall"]).filter(|_| method == "session/request_permission");
        let Some(told) = told else {
            return self.wants.push(Want { id, reference, kind: WantKind::Unknown(method.to_owned()) });
        };
        let tool = told.id.clone();
        self.tool_told(told, true, seen);
        let action = self.tools.get(&tool).map(Tool::action);
        self.wanted(Want { id, reference, kind: WantKind::permission(tool, params) }, action, seen);
    }

    /// A line that is no message, in which a request may be seen still: without an answer the agent waits for ever.
    fn asked_in_part(&mut self, line: &str, seen: &mut Vec<Observation>) {
        let Some((id, params)) = schema::cut_request(line) else { return };
        let reference = self.references.next(&id);
        seen.push(Observation::Warning("a request for a permission is too long to be read whole".to_owned()));
        let action = Action::Other("a request too long to be read".into(), line.chars().take(2000).collect());
        self.wanted(Want { id, reference, kind: WantKind::permission(String::new(), &params) }, Some(action), seen);
    }

    fn wanted(&mut self, mut want: Want, action: Option<Action>, seen: &mut Vec<Observation>) {
        let asks = self.brief.asks && !self.turn.interrupted;
        if let (Some(action), WantKind::Permission { shown, .. }) = (action.filter(|_| asks), &mut want.kind) {
            *shown = true;
            let reference = want.reference.as_str().into();
            seen.push(Observation::PermissionAsked(Ask { reference, action }));
        }
        self.wants.push(want);
    }

    /// An update of the session. What comes before the session is open is the past of a loaded one.
    fn updated(&mut self, params: &Value, seen: &mut Vec<Observation>) {
        let update = schema::update(params);
        if matches!(self.phase, Phase::Greeting | Phase::Opening { .. } | Phase::Reopening) {
            if let Update::Level { used: _, cost_micro_usd, account: _ } = update {
                self.meter.level(None, cost_micro_usd);
            }
            return;
        }
        match update {
            // codex-acp's own notes come as the model's words.
            Update::Text(text) if text.starts_with("Model metadata for `") => seen.push(Observation::Warning(text)),
            Update::Text(text) if !text.is_empty() => {
                self.turn.add_words(&text);
                seen.push(Observation::Text(text));
            }
            Update::Thought(thought) if !thought.is_empty() => seen.push(Observation::Thought(thought)),
            Update::Text(_) | Update::Thought(_) | Update::Unknown => {}
            Update::Tool(told) => self.tool_told(told, false, seen),
            Update::Plan(entries) => seen.push(Observation::Plan(entries)),
            Update::Level { used, cost_micro_usd, account } => {
                self.meter.level(used, cost_micro_usd);
                self.resets_at = match account {
                    Some(Account::UsedUp { resets_at }) => resets_at,
                    Some(Account::Good) => None,
                    Some(Account::NearlyUsedUp) | None => self.resets_at,
                };
            }
        }
    }
}
