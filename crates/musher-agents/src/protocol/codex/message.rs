//! What the agent is told in words: the prompt, and what comes while it works.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::super::{Observation, Say};
use super::request;

/// The messages of a run, and the turn that they go into.
#[derive(Debug)]
pub(super) struct Messages {
    /// Those to be said, in this order.
    waiting: VecDeque<Message>,
    /// The key of the one that was said and is not answered yet.
    pending: Option<String>,
    /// Those that the present turn has taken and not read yet.
    steered: Vec<Message>,
    /// The turn that runs.
    turn: Option<String>,
    /// The key of the message that the present turn is interrupted for.
    interrupting: Option<String>,
}

#[derive(Clone, Debug)]
struct Message {
    key: String,
    text: String,
    now: bool,
    /// Whether the present turn does not take it, so that it needs one of its own.
    refused: bool,
}

impl Messages {
    pub(super) fn new(prompt: &str) -> Self {
        let prompt = Message { key: PROMPT.to_owned(), text: prompt.to_owned(), now: false, refused: false };
        let waiting = VecDeque::from([prompt]);
        Self { waiting, pending: None, steered: Vec::new(), turn: None, interrupting: None }
    }

    /// Takes a message that was never said.
    pub(super) fn tell(&mut self, key: String, text: String, now: bool) {
        if self.waiting.iter().any(|message| message.key == key) {
            return;
        }
        let message = Message { key, text, now, refused: false };
        // The prompt stays first: an interrupt before it would have nothing to interrupt.
        let first = usize::from(self.waiting.front().is_some_and(|message| message.key == PROMPT));
        let place = if now { first } else { self.waiting.len() };
        self.waiting.insert(place, message);
    }

    /// Takes the words of a message that was said before a restart: should the turn not take it, it is said again.
    pub(super) fn remember(&mut self, key: String, text: String) {
        let known = self.waiting.iter().any(|message| message.key == key);
        if self.pending.as_ref() == Some(&key) && !known {
            self.waiting.push_front(Message { key, text, now: false, refused: false });
        }
    }

    /// Takes the reason for a no. It steers the turn that asked, or nothing.
    pub(super) fn explain(&mut self, key: String, why: &str) {
        if self.turn.is_none() {
            return;
        }
        let text = format!("The request was denied: {why}");
        self.waiting.push_front(Message { key, text, now: false, refused: false });
    }

    /// The reason for a no, where one waits and can be said.
    pub(super) fn reason(&self, thread: &str) -> Option<Say> {
        self.waiting.front().filter(|message| message.key.starts_with(WHY))?;
        self.say(thread)
    }

    pub(super) fn say(&self, thread: &str) -> Option<Say> {
        let message = self.waiting.front().filter(|_| self.pending.is_none())?;
        let input = json!([{"type": "text", "text": message.text}]);
        let mut params = json!({"threadId": thread, "input": input, "clientUserMessageId": message.key});
        match &self.turn {
            None => Some(request(&message.start_key(), "turn/start", &params)),
            Some(_) if self.interrupting.is_some() || message.refused => None,
            Some(turn) if message.now => {
                let params = json!({"threadId": thread, "turnId": turn});
                Some(request(&format!("{INTERRUPT}{}", message.key), "turn/interrupt", &params))
            }
            Some(turn) => {
                params["expectedTurnId"] = json!(turn);
                Some(request(&message.key, "turn/steer", &params))
            }
        }
    }

    pub(super) fn said(&mut self, key: &str) {
        if let Some(key) = key.strip_prefix(INTERRUPT) {
            self.interrupting = Some(key.to_owned());
            return;
        }
        if self.interrupting.as_deref() == Some(key) {
            self.interrupting = None;
        }
        self.pending = Some(key.to_owned());
    }

    /// Takes the answer to what was said under this key. The id of the turn that it began, if it began one.
    pub(super) fn taken<'a>(&mut self, key: &str, result: &'a Value) -> Option<&'a str> {
        if self.pending.as_deref() != Some(key) {
            return None;
        }
        self.pending = None;
        let message = self.unsaid(key);
        if let Some(turn) = result["turn"]["id"].as_str() {
            self.turn = Some(turn.to_owned());
            return Some(turn);
        }
        self.steered.extend(message);
        None
    }

    /// Takes a no to what was said under this key: a turn that is over cannot be steered. True if nothing is left to
    /// try.
    pub(super) fn refused(&mut self, key: &str, seen: &mut Vec<Observation>) -> bool {
        if self.pending.as_deref() != Some(key) {
            return false;
        }
        self.pending = None;
        let message = self.unsaid(key);
        if key == PROMPT || key.ends_with(TURN) {
            return true;
        }
        self.again(message, key, seen);
        false
    }

    /// A turn runs. Whatever was said to begin it is answered by that.
    pub(super) fn begun(&mut self, turn: &str) {
        if self.turn.is_none() {
            if let Some(key) = self.pending.take() {
                self.unsaid(&key);
            }
            self.turn = Some(turn.to_owned());
        }
    }

    /// The agent has read the message with this key.
    pub(super) fn read(&mut self, key: &str) {
        self.steered.retain(|message| message.key != key);
    }

    /// A turn is over. False if it is not the one that runs.
    pub(super) fn completed(&mut self, turn: &str, seen: &mut Vec<Observation>) -> bool {
        if self.turn.as_deref() != Some(turn) {
            return false;
        }
        self.turn = None;
        for message in std::mem::take(&mut self.steered) {
            let key = message.key.clone();
            self.again(Some(message), &key, seen);
        }
        self.waiting.retain(|message| !message.key.starts_with(WHY));
        true
    }

    /// Whether nothing is to be said, nothing waits for an answer, and no turn runs.
    pub(super) fn idle(&self) -> bool {
        let said = self.waiting.is_empty() && self.pending.is_none();
        said && self.turn.is_none() && self.interrupting.is_none()
    }

    /// Takes out what was said under this key.
    fn unsaid(&mut self, key: &str) -> Option<Message> {
        let key = key.strip_suffix(TURN).unwrap_or(key);
        let place = self.waiting.iter().position(|message| message.key == key)?;
        self.waiting.remove(place)
    }

    /// A message that a turn did not read gets one of its own. Whether its words are known still is another matter:
    /// the spool has only its key.
    fn again(&mut self, message: Option<Message>, key: &str, seen: &mut Vec<Observation>) {
        match message {
            Some(message) if message.key.starts_with(WHY) => {}
            Some(message) => self.waiting.push_back(Message { refused: true, now: false, ..message }),
            None if key.starts_with(WHY) => {}
            None => seen.push(Observation::Warning(format!("it did not read the message {key}"))),
        }
    }
}

impl Message {
    fn start_key(&self) -> String {
        if self.refused { format!("{}{TURN}", self.key) } else { self.key.clone() }
    }
}

/// The key of the reason for the answer to this.
pub(super) fn why(reference: &str) -> String {
    format!("{WHY}{reference}")
}

/// The key of the prompt.
const PROMPT: &str = "prompt";
const INTERRUPT: &str = "interrupt:";
const WHY: &str = "why:";
/// Behind the key of a message that was said once and not read.
const TURN: &str = ":turn";
