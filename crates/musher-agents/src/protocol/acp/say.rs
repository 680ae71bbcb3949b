//! What the agent is told next.
//!
//! Each thing has its key and its JSON-RPC id from what was heard alone, so a new daemon says the same.

use serde_json::{Value, json};

use super::super::Say;
use super::schema::{self, Choice, ModelWay};
use super::{Acp, Phase, Want, WantKind};

pub(super) const INITIALIZE: u64 = 1;
pub(super) const SESSION: u64 = 2;
pub(super) const SESSION_NEW: u64 = 3;
pub(super) const MODE: u64 = 4;

/// The id of the first prompt; the later ones follow.
pub(super) const FIRST_PROMPT: u64 = 10;

/// The key of the run's own prompt.
pub(super) const PROMPT: &str = "prompt";

/// Whether a key is one of the protocol's own, and not a message's.
pub(super) fn is_own(key: &str) -> bool {
    ["initialize", "session", "session:new", "mode", PROMPT].contains(&key)
        || interrupts(key).is_some()
        || answers(key).is_some()
}

/// The message that a key interrupts for.
pub(super) fn interrupts(key: &str) -> Option<&str> {
    key.strip_prefix("interrupt:")
}

/// The reference of the request that a key answers.
pub(super) fn answers(key: &str) -> Option<&str> {
    ["answer:", "allow:", "refuse:"].iter().find_map(|kind| key.strip_prefix(kind))
}

impl Acp {
    /// What is to be said; nothing while the agent has the word.
    pub(super) fn next(&self) -> Option<Say> {
        if self.ended.is_some() {
            return None;
        }
        self.wants.iter().find_map(|want| self.answer(want)).or_else(|| match &self.phase {
            Phase::Greeting => self.once("initialize", initialize),
            Phase::Opening { loads: true } => self.once("session", || self.load()),
            Phase::Opening { loads: false } => self.once("session", || self.new_session(SESSION)),
            Phase::Reopening => self.once("session:new", || self.new_session(SESSION_NEW)),
            Phase::Setting(way) => self.once("mode", || self.model(way)),
            Phase::Working => self.work(),
        })
    }

    fn work(&self) -> Option<Say> {
        if self.is_free() {
            if !self.said.contains(PROMPT) {
                return self.once(PROMPT, || self.prompt(&self.brief.prompt));
            }
            // What a turn was interrupted for goes first.
            let owed = self.tells.iter().find(|tell| Some(&tell.key) == self.turn.owed.as_ref());
            let urgent = || self.tells.iter().find(|tell| tell.now);
            let tell = owed.or_else(urgent).or_else(|| self.tells.front())?;
            return self.once(&tell.key, || self.prompt(&tell.text));
        }
        let tell = self.tells.iter().find(|tell| tell.now).filter(|_| !self.turn.interrupted)?;
        let cancel = || schema::notice("session/cancel", &json!({"sessionId": self.session}));
        self.once(&format!("interrupt:{}", tell.key), cancel)
    }

    fn once(&self, key: &str, text: impl FnOnce() -> String) -> Option<Say> {
        (!self.said.contains(key)).then(|| Say { key: key.to_owned(), text: text() })
    }

    fn answer(&self, want: &Want) -> Option<Say> {
        let Want { id, reference, kind } = want;
        let (choices, allow) = match kind {
            WantKind::Unknown(method) => {
                return self.once(&format!("refuse:{reference}"), || schema::no_such_method(id, method));
            }
            // The protocol wants an answer also in a turn that is cancelled.
            WantKind::Permission { .. } if self.turn.interrupted => {
                return self.once(&format!("answer:{reference}"), || schema::outcome(id, None));
            }
            WantKind::Permission { choices, allow, .. } => (choices, *allow),
        };
        if self.brief.asks {
            let allow = allow?;
            return self.once(&format!("answer:{reference}"), || schema::outcome(id, choice(choices, allow)));
        }
        self.once(&format!("allow:{reference}"), || schema::outcome(id, choice(choices, true)))
    }

    fn load(&self) -> String {
        let mut params = self.place();
        params["sessionId"] = self.brief.session.clone().into();
        schema::request(SESSION, "session/load", &params)
    }

    fn new_session(&self, id: u64) -> String {
        schema::request(id, "session/new", &self.place())
    }

    fn place(&self) -> Value {
        json!({"cwd": self.brief.worktree, "mcpServers": schema::servers(&self.brief.mcp)})
    }

    fn model(&self, way: &ModelWay) -> String {
        let (session, model) = (&self.session, &self.brief.model);
        match way {
            ModelWay::Option(option) => {
                let params = json!({"sessionId": session, "configId": option, "value": model});
                schema::request(MODE, "session/set_config_option", &params)
            }
            ModelWay::Method | ModelWay::Present | ModelWay::Nowhere => {
                schema::request(MODE, "session/set_model", &json!({"sessionId": session, "modelId": model}))
            }
        }
    }

    fn prompt(&self, text: &str) -> String {
        let params = json!({"sessionId": self.session, "prompt": [{"type": "text", "text": text}]});
        schema::request(self.turn.id().saturating_add(1), "session/prompt", &params)
    }
}

fn initialize() -> String {
    let params = json!({
        "protocolVersion": schema::VERSION,
        "clientCapabilities": {"fs": {"readTextFile": false, "writeTextFile": false}, "terminal": false},
        "clientInfo": {"name": "musher", "version": env!("CARGO_PKG_VERSION")},
    });
    schema::request(INITIALIZE, "initialize", &params)
}

/// The choice for this once. One for always is a yes to more than was asked, and only taken where there is no other.
fn choice(choices: &[Choice], allow: bool) -> Option<&str> {
    let kinds = if allow { ["allow_once", "allow_always"] } else { ["reject_once", "reject_always"] };
    let of_kind = |kind: &&str| choices.iter().find(|choice| choice.kind == *kind);
    kinds.iter().find_map(of_kind).map(|choice| choice.id.as_str())
}
