//! Streams of agents: whatever an agent says, what it is told makes sense, and is no yes that nobody gave; a new daemon
//! comes to the same; and nothing but the protocol's own end is a success.
//!
//! An input is what the agent says, a line each; one that begins with `!` is of its standard error. What it is told in
//! between, what people want of it, and where the daemon is killed, is drawn.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use musher_agents::protocol::{self, Brief, Ended, Exit, Heard, McpServer, Observation, Protocol, Say, Wish};
use musher_core::run::Usage;
use musher_core::time::Timestamp;
use serde_json::{Value, json};

use super::{Read, must};
use crate::chance::Chance;

/// How much larger what an agent seemed to say may be than what it said: everything twice, each letter escaped.
const GROWTH: usize = 8;

/// What may be seen of an agent that says nothing, in bytes.
const GROUND: usize = 16 << 10;

/// Checks a dialogue with the agent of this driver.
pub(super) fn holds(driver: &str, input: &[u8], chance: &mut Chance) -> Result<Read, String> {
    // The host replaces what is no UTF-8.
    let text = String::from_utf8_lossy(input);
    let mut talk = Talk::begin(driver, chance)?;
    for line in text.lines() {
        talk.people(chance)?;
        talk.say(chance)?;
        talk.hear(line, chance);
        // Each reads the whole spool again, so in a long one they are rarer.
        if chance.one_in(6 + talk.spool.len() as u32 / 8) {
            talk.restart(chance)?;
        }
        talk.check()?;
    }
    talk.say(chance)?;
    talk.check()?;
    talk.bounded(text.len())?;
    Ok(if talk.own_end { Read::Understood } else { Read::Refused })
}

/// A line of the spool.
enum Line {
    Out(String),
    Err(String),
    Said(String),
}

struct Talk {
    driver: String,
    brief: Brief,
    protocol: Box<dyn Protocol>,
    spool: Vec<Line>,
    seen: Vec<Observation>,
    said: BTreeSet<String>,
    /// Bytes that the agent was told.
    told_bytes: usize,
    /// What people want it to be told: the same words after every restart.
    tells: BTreeMap<String, bool>,
    /// What it asked and has no answer to yet, with the answer that was given.
    open: BTreeMap<String, Option<bool>>,
    /// The choices by which it can be told no: the id of its request, and of the choice. Only in ACP.
    refusals: BTreeSet<(String, String)>,
    /// Whether a request for a permission was no message: what can be seen of it is the protocol's to say.
    has_torn: bool,
    /// The ids of the requests that it was sent, to be used by its answers.
    ids: VecDeque<Value>,
    /// Whether people ever wanted something: that is not in the spool until it is said.
    wished: bool,
    /// Whether it said what means success in its protocol.
    own_end: bool,
}

impl Talk {
    fn begin(driver: &str, chance: &mut Chance) -> Result<Self, String> {
        let server = McpServer { name: "fk".into(), command: vec!["fk".into()], env: vec![("A".into(), "b".into())] };
        let brief = Brief {
            prompt: chance.pick(&["Do it.\n", "/do it", "é \u{2028} \"x\"\r\n"]).copied().unwrap_or_default().into(),
            worktree: "/path/to/repo".into(),
            model: chance.one_in(3).then(|| "some-model".into()),
            session: chance.one_in(3).then(|| "01a1fcff-cca2".into()),
            asks: chance.one_in(2),
            mcp: if chance.one_in(3) { vec![server] } else { Vec::new() },
        };
        let protocol = protocol::of(driver, &brief).ok_or("there is no such driver")?;
        Ok(Self {
            driver: driver.to_owned(),
            brief,
            protocol,
            spool: Vec::new(),
            seen: Vec::new(),
            said: BTreeSet::new(),
            told_bytes: 0,
            tells: BTreeMap::new(),
            open: BTreeMap::new(),
            refusals: BTreeSet::new(),
            has_torn: false,
            ids: VecDeque::new(),
            wished: false,
            own_end: false,
        })
    }

    /// The agent says a line. An answer mostly gets the id of what it was asked first.
    fn hear(&mut self, line: &str, chance: &mut Chance) {
        if let Some(line) = line.strip_prefix('!') {
            return self.take(Line::Err(line.to_owned()));
        }
        let mut line = line.to_owned();
        let mut method = Value::Null;
        if let Ok(mut value) = serde_json::from_str::<Value>(&line) {
            let answers = value["method"].is_null() && value.get("id").is_some() && value.is_object();
            if answers
                && !chance.one_in(8)
                && let Some(id) = self.ids.pop_front()
            {
                value["id"] = id;
                line = value.to_string();
            }
            self.own_end |= is_success(&self.driver, &value);
            method = value["method"].clone();
            let choices = value["params"]["options"].as_array().into_iter().flatten();
            let refusals =
                choices.filter(|choice| choice["kind"].as_str().is_some_and(|kind| kind.starts_with("reject")));
            self.refusals.extend(refusals.map(|choice| (value["id"].to_string(), choice["optionId"].to_string())));
        }
        self.has_torn |= method != PERMISSION && line.contains(PERMISSION);
        self.take(Line::Out(line));
    }

    /// A line comes to stand in the spool.
    fn take(&mut self, line: Line) {
        let from = self.seen.len();
        hear(self.protocol.as_mut(), &line, &mut self.seen);
        self.spool.push(line);
        for seen in &self.seen[from..] {
            match seen {
                Observation::PermissionAsked(ask) => drop(self.open.insert(ask.reference.to_string(), None)),
                Observation::PermissionGone(reference) => drop(self.open.remove(reference)),
                _ => {}
            }
        }
    }

    /// The daemon says what there is to say, or is held up in the middle of it.
    fn say(&mut self, chance: &mut Chance) -> Result<(), String> {
        while self.protocol.ended().is_none() && !chance.one_in(12) {
            let Some(Say { key, text }) = self.protocol.say() else { return Ok(()) };
            must!(self.protocol.say().is_some_and(|say| say.key == key && say.text == text), "`{key}` is not stable");
            must!(!self.said.contains(&key), "`{key}` is said twice");
            must!(text.ends_with('\n') && text.matches('\n').count() == 1, "`{key}` is not one line: {text:?}");
            let Ok(told) = serde_json::from_str::<Value>(&text) else { return Err(format!("no JSON: {text}")) };
            let most = 16 + 4 * (self.spool.len() + self.tells.len());
            must!(self.said.len() < most, "it is told something without an end: {} things", self.said.len());
            let reference = key.strip_prefix("answer:").unwrap_or_default();
            let allowed = !self.brief.asks || self.open.get(reference) == Some(&Some(true));
            must!(allowed || !self.consents(&told), "a yes that nobody gave: `{key}`, {text}");
            self.told_bytes += text.len();
            self.said.insert(key.clone());
            self.open.remove(reference);
            if told["method"].is_string() {
                self.ids.extend(told.get("id").cloned());
            }
            self.take(Line::Said(key));
            if told["type"] == "user" && !chance.one_in(4) {
                let echo = json!({"type": "user", "isReplay": true, "message": told["message"]});
                self.take(Line::Out(echo.to_string()));
            }
        }
        Ok(())
    }

    /// Whether what it is told is a yes to something that it asked.
    fn consents(&self, told: &Value) -> bool {
        let result = &told["result"];
        match self.driver.as_str() {
            "claude" => told["response"]["response"]["behavior"] == "allow",
            "codex" => {
                let some = result["permissions"].as_object().is_some_and(|permissions| !permissions.is_empty());
                some || result["decision"] == "accept" || result["action"] == "accept"
            }
            "acp" => {
                let chosen = &result["outcome"]["optionId"];
                !chosen.is_null()
                    && !self.has_torn
                    && !self.refusals.contains(&(told["id"].to_string(), chosen.to_string()))
            }
            _ => false,
        }
    }

    /// People answer, and have something to say.
    fn people(&mut self, chance: &mut Chance) -> Result<(), String> {
        if chance.one_in(6) && self.tells.len() < 8 {
            let (key, now) = (format!("note:{}", self.tells.len()), chance.one_in(2));
            self.wished = true;
            self.tells.insert(key.clone(), now);
            self.protocol.wish(tell(key, now));
        }
        let open: Vec<String> =
            self.open.iter().filter(|(_, answer)| answer.is_none()).map(|(r, _)| r.clone()).collect();
        for reference in open {
            if chance.one_in(2) {
                let allow = chance.one_in(2);
                self.wished = true;
                self.open.insert(reference.clone(), Some(allow));
                self.protocol.wish(answer(reference, allow));
            }
        }
        Ok(())
    }

    /// The daemon is killed, and a new one reads the spool.
    fn restart(&mut self, chance: &mut Chance) -> Result<(), String> {
        let mut fresh = protocol::of(&self.driver, &self.brief).ok_or("there is no such driver")?;
        let mut seen = Vec::new();
        for line in &self.spool {
            hear(fresh.as_mut(), line, &mut seen);
        }
        if !self.wished {
            let differs = |what, old: &dyn std::fmt::Debug, new: &dyn std::fmt::Debug| {
                format!("a new daemon {what} otherwise: {new:?} instead of {old:?}")
            };
            must!(seen == self.seen, "{}", differs("sees", &self.seen, &seen));
            must!(fresh.say() == self.protocol.say(), "{}", differs("speaks", &self.protocol.say(), &fresh.say()));
            must!(
                fresh.ended() == self.protocol.ended(),
                "{}",
                differs("ends", &self.protocol.ended(), &fresh.ended())
            );
            for exit in EXITS {
                let (old, new) = (self.protocol.exited(exit), fresh.exited(exit));
                must!(old == new, "{}", differs("takes an exit", &old, &new));
            }
        }
        if fresh.ended().is_none() {
            for (key, now) in &self.tells {
                fresh.wish(tell(key.clone(), *now));
            }
        }
        // Whoever answered before may answer otherwise now.
        for (reference, given) in &mut self.open {
            if let Some(allow) = given {
                *allow = chance.one_in(2);
                fresh.wish(answer(reference.clone(), *allow));
            }
        }
        (self.protocol, self.seen) = (fresh, seen);
        Ok(())
    }

    /// Only what the protocol calls an end is a success, and only of a run that has begun.
    fn check(&self) -> Result<(), String> {
        let ended = self.protocol.ended();
        let exits = EXITS.map(|exit| self.protocol.exited(exit));
        for end in ended.into_iter().chain(&exits) {
            let success = matches!(end, Ended::Finished { .. });
            must!(!success || self.own_end, "a success that its agent never told: {end:?}");
            let begun = ONE_WAY.contains(&self.driver.as_str()) || self.said.contains("prompt");
            must!(!success || begun, "a success of an agent that was told nothing: {end:?}");
        }
        must!(!exits.contains(&Ended::Cancelled) || self.heard_much(), "cancelled, and nothing was heard");
        Ok(())
    }

    fn heard_much(&self) -> bool {
        self.spool.iter().any(|line| matches!(line, Line::Out(_)))
    }

    /// What is kept and shown of it does not outgrow what it said.
    fn bounded(&self, said: usize) -> Result<(), String> {
        let shown = format!("{:?}{:?}", self.seen, self.protocol.ended()).len();
        let most = GROUND + GROWTH * (said + self.told_bytes);
        must!(shown <= most, "{shown} bytes are seen of an agent that said {said}");
        // No sum of what it claims to have used overflows, whatever it claims.
        let used = self.seen.iter().fold(Usage::default(), |sum, seen| match seen {
            Observation::Usage { used, .. } => sum.plus(*used),
            _ => sum,
        });
        must!(used.tokens() >= used.input_tokens, "its tokens overflow: {used:?}");
        Ok(())
    }
}

fn hear(protocol: &mut dyn Protocol, line: &Line, seen: &mut Vec<Observation>) {
    let heard = match line {
        Line::Out(line) => Heard::Out(line),
        Line::Err(line) => Heard::Err(line),
        Line::Said(key) => Heard::Said(key),
    };
    protocol.hear(heard, Timestamp::from_micros(1_795_000_000_000_000), seen);
}

fn tell(key: String, now: bool) -> Wish {
    let text = format!("words of {key}");
    Wish::Tell { key, text, now }
}

fn answer(reference: String, allow: bool) -> Wish {
    Wish::Answer { reference, allow, why: "because".to_owned() }
}

/// Whether this line of an agent means success in its protocol.
fn is_success(driver: &str, line: &Value) -> bool {
    match driver {
        "acp" => line["result"]["stopReason"] == "end_turn",
        "claude" => line["type"] == "result" && line["is_error"] == false,
        "codex" => line["method"] == "turn/completed" && line["params"]["turn"]["status"] == "completed",
        "codex-exec" => line["type"] == "turn.completed",
        "gemini" => line["type"] == "result" && line["status"] == "success",
        "opencode" => line["type"] == "step_finish" && line["part"]["reason"] == "stop",
        "qwen" => line["type"] == "result" && line["is_error"] == false,
        _ => false,
    }
}

/// What an agent asks by in ACP.
const PERMISSION: &str = "session/request_permission";

/// The drivers whose prompt is an argument or a file.
const ONE_WAY: [&str; 4] = ["codex-exec", "gemini", "opencode", "qwen"];

const EXITS: [Exit; 4] = [
    Exit { code: Some(0), signal: None },
    Exit { code: Some(1), signal: None },
    Exit { code: Some(53), signal: None },
    Exit { code: None, signal: Some(9) },
];
