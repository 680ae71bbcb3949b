//! A turn: the tools that it uses, what is said in it, and how it ends.

use musher_core::plan::ANSWER_LIMIT;
use musher_core::run::FailureClass;
use musher_core::time::Timestamp;
use serde_json::Value;

use super::super::words::shown;
use super::super::{Ended, Observation};
use super::schema::{Fault, Told};
use super::{Acp, Phase, Tool, Turn, Want, WantKind, failure, say};

/// Where the closing words stop being kept: well beyond the longest that is read, so that a cut shows.
const WORDS_BYTES: usize = 2 * ANSWER_LIMIT;

impl Turn {
    /// Adds to its closing words.
    pub(super) fn add_words(&mut self, text: &str) {
        if self.words.len() < WORDS_BYTES {
            self.words.push_str(text);
        }
    }

    fn begin(&mut self) {
        self.prompts = self.prompts.saturating_add(1);
        self.running = true;
        self.interrupted = false;
        self.answered = None;
        self.words.clear();
    }

    /// The id of the prompt that runs, or ran last.
    pub(super) fn id(&self) -> u64 {
        say::FIRST_PROMPT.saturating_add(self.prompts).saturating_sub(1)
    }
}

impl Acp {
    /// What was said, from the spool.
    pub(super) fn said(&mut self, key: &str, at: Timestamp, seen: &mut Vec<Observation>) {
        if !self.said.insert(key.to_owned()) {
            return;
        }
        if let Some(reference) = say::answers(key) {
            let Some(place) = self.wants.iter().position(|want| want.reference == reference) else { return };
            match self.wants.remove(place).kind {
                WantKind::Permission { tool, .. } if key.starts_with("answer:") => self.turn.answered = Some(tool),
                WantKind::Permission { .. } | WantKind::Unknown(_) => {}
            }
        } else if let Some(message) = say::interrupts(key) {
            if !self.said.contains(message) {
                // A run that goes on was not over, whatever it looked like before.
                self.ended = None;
                self.turn.owed = Some(message.to_owned());
            }
            self.turn.interrupted = self.turn.running;
            self.withdraw(seen);
        } else if key == say::PROMPT || !say::is_own(key) {
            self.ended = None;
            self.tells.retain(|tell| tell.key != key);
            self.turn.owed = self.turn.owed.take().filter(|owed| owed != key);
            self.turn.begin();
            if let Some(answer) = self.turn.early.take() {
                self.prompt_answered(self.turn.id(), answer, at, seen);
            }
        }
    }

    /// A decision on a permission; false when it is not open.
    pub(super) fn decide(&mut self, reference: &str, yes: bool) -> bool {
        if self.turn.interrupted || self.ended.is_some() {
            return false;
        }
        for want in &mut self.wants {
            if let Want { reference: open, kind: WantKind::Permission { shown: true, allow, .. }, .. } = want
                && open == reference
            {
                // The first word counts.
                allow.get_or_insert(yes);
                return true;
            }
        }
        false
    }

    /// Shows what is new of a tool call; with `at_once` its start too, which else waits for the line after its
    /// announcement, since that is where most agents tell the arguments.
    pub(super) fn tool_told(&mut self, told: Told, at_once: bool, seen: &mut Vec<Observation>) {
        let id = told.id.clone();
        let known = self.tools.contains_key(&id);
        let tool = self.tools.entry(id.clone()).or_default();
        tool.add(told);
        if !tool.started && (at_once || known || !tool.pending()) {
            show_start(&id, tool, seen);
        }
        if let Some(ok) = tool.over().filter(|_| tool.started && !tool.finished) {
            tool.finished = true;
            seen.push(Observation::ToolFinished { id: id.clone(), ok });
        }
        if !tool.pending() && self.turn.answered.as_ref() == Some(&id) {
            self.turn.answered = None;
        }
        if !known {
            self.turn.words.clear();
        }
    }

    /// The answer to a prompt.
    pub(super) fn prompt_answered(
        &mut self,
        id: u64,
        answer: Result<Value, Fault>,
        at: Timestamp,
        seen: &mut Vec<Observation>,
    ) {
        if !self.turn.running {
            if id == self.turn.id().saturating_add(1) {
                self.turn.early = Some(answer);
            }
            return;
        }
        if id != self.turn.id() {
            return;
        }
        self.turn.running = false;
        self.tools.iter_mut().filter(|(_, tool)| !tool.started).for_each(|(id, tool)| show_start(id, tool, seen));
        self.withdraw(seen);
        self.wants.clear();
        let result = match answer {
            Ok(result) => result,
            Err(fault) => return self.end(failure::end(&fault, &self.agent.logins, at), seen),
        };
        if let Some((used, priced)) = self.meter.turn(&result) {
            seen.push(Observation::Usage { used, priced });
        }
        let reason = result["stopReason"].as_str().unwrap_or_default();
        let end = self.stopped(reason);
        let waits = !self.tells.is_empty() || self.turn.owed.is_some();
        if !waits || !(reason == "cancelled" || matches!(end, Ended::Finished { .. })) {
            self.end(end, seen);
        }
    }

    /// The end, once and for all that is heard.
    pub(super) fn end(&mut self, mut end: Ended, seen: &mut Vec<Observation>) {
        self.withdraw(seen);
        match &mut end {
            Ended::RateLimited { resets_at, message: _ } => {
                *resets_at = resets_at.or(self.resets_at);
                seen.push(Observation::RateLimited { resets_at: *resets_at });
            }
            Ended::Finished { .. } | Ended::Failed { .. } | Ended::SessionLost { .. } | Ended::Cancelled => {}
        }
        self.ended = Some(end);
    }

    fn stopped(&self, reason: &str) -> Ended {
        let words = self.turn.words.trim();
        match reason {
            // qwen and the like finish with the provider's error for an answer.
            "end_turn" => failure::end_in_words(words).unwrap_or_else(|| Ended::Finished { summary: words.to_owned() }),
            // codex-acp takes a no as an order to stop.
            "cancelled" if !self.turn.interrupted && self.turn.answered.is_some() => {
                failed(FailureClass::Agent, "stopped after a denied permission")
            }
            "cancelled" => Ended::Cancelled,
            "max_tokens" => failed(FailureClass::Limit, "its answer reached the limit of tokens"),
            "max_turn_requests" => failed(FailureClass::Limit, "reached its own limit of requests in a turn"),
            "refusal" => failed(FailureClass::Agent, "refused to go on"),
            other => failed(FailureClass::Agent, &format!("stopped for a reason unknown here: `{other}`")),
        }
    }

    /// Takes back what people were asked.
    fn withdraw(&mut self, seen: &mut Vec<Observation>) {
        for want in &mut self.wants {
            match &mut want.kind {
                WantKind::Permission { shown, .. } => {
                    if std::mem::take(shown) {
                        seen.push(Observation::PermissionGone(want.reference.clone()));
                    }
                }
                WantKind::Unknown(_) => {}
            }
        }
    }

    /// Whether turns are possible, and none runs.
    pub(super) fn is_free(&self) -> bool {
        self.phase == Phase::Working && !self.turn.running
    }
}

fn show_start(id: &str, tool: &mut Tool, seen: &mut Vec<Observation>) {
    tool.started = true;
    let (name, arguments) = (tool.name(), tool.arguments());
    seen.push(Observation::ToolStarted { id: id.to_owned(), name, arguments });
}

fn failed(class: FailureClass, message: &str) -> Ended {
    Ended::Failed { class, message: shown(message) }
}
