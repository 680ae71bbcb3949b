//! What an agent said, for people: the words and tools of its protocol, or its plain lines.

use musher_agents::protocol::{self, Brief, Heard, Observation, Protocol};
use musher_core::time::Timestamp;
use musher_server::api::{LogLine, Speech};

use crate::output::Tone;

/// How much of a tool's arguments a line shows, in characters.
const ARGUMENTS_CHARS: usize = 200;

/// Reads a run's lines in order.
pub(crate) struct Transcript {
    /// None for a program without a protocol, whose lines are shown as they are.
    protocol: Option<Box<dyn Protocol>>,
    /// What it is saying, until its line ends: words come in parts.
    words: String,
}

type Shown = Vec<(String, Tone)>;

impl Transcript {
    /// A transcript of a run whose agent is spoken to so; without that the plain lines.
    pub(crate) fn new(speech: Option<Speech>) -> Self {
        let protocol = speech.and_then(|Speech { driver, session, model, asks }| {
            // Nothing is said to an agent here, so the prompt is of no use.
            protocol::of(&driver, &Brief { session, model, asks, ..Brief::default() })
        });
        Self { protocol, words: String::new() }
    }

    /// What a line means to people.
    pub(crate) fn read(&mut self, line: &LogLine) -> Shown {
        let Some(protocol) = &mut self.protocol else { return plain(line) };
        let at = line.at.parse().unwrap_or(Timestamp::from_micros(0));
        let mut seen = Vec::new();
        match (line.stream.as_str(), &line.key) {
            ("stdout", _) => protocol.hear(Heard::Out(&line.text), at, &mut seen),
            ("stdin", Some(key)) => protocol.hear(Heard::Said(key), at, &mut seen),
            _ => return plain(line),
        }
        seen.iter().flat_map(|observation| self.show(observation)).collect()
    }

    /// What was begun and not ended.
    pub(crate) fn rest(&mut self) -> Shown {
        let words = std::mem::take(&mut self.words);
        if words.trim().is_empty() { Vec::new() } else { vec![(words, Tone::Plain)] }
    }

    fn show(&mut self, observation: &Observation) -> Shown {
        if let Observation::Text(text) = observation {
            self.words.push_str(text);
            let whole = self.words.rfind('\n').map_or(0, |end| end + 1);
            let lines: String = self.words.drain(..whole).collect();
            return lines.lines().map(|line| (line.to_owned(), Tone::Plain)).collect();
        }
        let line = match observation {
            Observation::ToolStarted { name, arguments, .. } => {
                let arguments: String = arguments.chars().take(ARGUMENTS_CHARS).collect();
                (format!("> {name} {arguments}"), Tone::Quiet)
            }
            Observation::ToolFinished { ok: false, .. } => ("  the tool failed".to_owned(), Tone::Bad),
            Observation::Plan(entries) => (format!("plan: {}", entries.join(" · ")), Tone::Quiet),
            Observation::PermissionAsked(ask) => (format!("? it wants to {}", ask.action.text()), Tone::Strong),
            Observation::RateLimited { .. } => ("its account is used up for now".to_owned(), Tone::Bad),
            Observation::Retrying(text) => (format!("it tries again: {text}"), Tone::Quiet),
            Observation::Warning(text) => (text.clone(), Tone::Bad),
            Observation::SessionStarted { id, .. } => (format!("session {id}"), Tone::Quiet),
            Observation::Text(_)
            | Observation::Thought(_)
            | Observation::ToolFinished { ok: true, .. }
            | Observation::Usage { .. }
            | Observation::PermissionGone(_) => return Vec::new(),
        };
        let mut shown = self.rest();
        shown.push(line);
        shown
    }
}

fn plain(line: &LogLine) -> Shown {
    let tone = if line.stream == "stderr" { Tone::Bad } else { Tone::Plain };
    let cut = if line.cut { " …" } else { "" };
    vec![(format!("{}{cut}", line.text), tone)]
}
