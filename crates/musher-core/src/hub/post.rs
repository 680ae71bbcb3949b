//! What a project tells a hub at once: hostile until it was read here.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::card::{ItemCard, MissionCard};
use crate::command::Refused;
use crate::event::Logged;
use crate::id::{ItemId, MissionId, ProjectId, Seq};
use crate::quote::visible;
use crate::time::Timestamp;

/// The most events that are told at once.
pub const MOST_EVENTS: usize = 1_000;
/// The most missions, and the most items, that are told at once.
pub const MOST_CARDS: usize = 2_000;
/// The longest name of a project, in characters.
pub const LONGEST_NAME: usize = 100;
/// The longest body of an event, in bytes.
pub const LONGEST_BODY: usize = 32 << 10;
/// The longest word, such as the name of an event or a state, in characters.
const LONGEST_WORD: usize = 64;
/// The longest name of whoever brought something about, in characters.
const LONGEST_ACTOR: usize = 200;

/// An event as it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Its place in the project's log.
    pub seq: Seq,
    /// When it happened.
    pub at: Timestamp,
    /// Its name; one that this version does not know is kept and shown all the same.
    pub kind: Box<str>,
    /// Who brought it about.
    pub actor: Box<str>,
    /// The mission that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mission: Option<MissionId>,
    /// The item that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<ItemId>,
    /// Its particulars, an object in JSON.
    pub body: Box<str>,
}

impl Told {
    /// An event of this log, as a hub takes it.
    pub fn of(logged: &Logged) -> Self {
        let event = &logged.event;
        let mut happened = serde_json::to_value(&event.happened).unwrap_or_default();
        let body = happened.get_mut("body").map(Value::take).unwrap_or_default();
        Self {
            seq: logged.seq,
            at: event.at,
            kind: event.happened.name().into(),
            actor: line(&event.actor, LONGEST_ACTOR),
            mission: event.mission,
            item: event.item,
            body: fitting(body),
        }
    }
}

/// What a project tells at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Post {
    /// Which project.
    pub project: ProjectId,
    /// Its name.
    pub name: Box<str>,
    /// Which telling of the log this is.
    pub history: u32,
    /// The last event that was told before; 0 at the beginning.
    pub after: Seq,
    /// Events, in the order of the log.
    pub events: Vec<Told>,
    /// Missions that they are about, as they stand.
    pub missions: Vec<MissionCard>,
    /// Items that they are about, as they stand.
    pub items: Vec<ItemCard>,
}

impl Post {
    /// The same within the bounds of a hub.
    ///
    /// # Errors
    /// What no musher tells: too much at once, events that are not in order, or no event at all.
    pub fn read(self) -> Result<Self, Refused> {
        let refuse = |what: String| Err(Refused::Invalid { what, fix: String::new() });
        for (count, most, noun) in [
            (self.events.len(), MOST_EVENTS, "events"),
            (self.missions.len(), MOST_CARDS, "missions"),
            (self.items.len(), MOST_CARDS, "items"),
        ] {
            if count > most {
                return refuse(format!("{count} {noun} at once; {most} may be told"));
            }
        }
        if self.history == 0 {
            return refuse("the first `history` is 1".to_owned());
        }
        let mut before = self.after;
        let mut events = Vec::with_capacity(self.events.len());
        for told in self.events {
            if told.seq <= before || i64::try_from(told.seq.0).is_err() {
                return refuse(format!("event {} cannot follow event {}", told.seq.0, before.0));
            }
            before = told.seq;
            if told.body.len() > LONGEST_BODY {
                return refuse(format!("the body of event {} is longer than {LONGEST_BODY} bytes", told.seq.0));
            }
            let Ok(body @ Value::Object(_)) = serde_json::from_str(&told.body) else {
                return refuse(format!("the body of event {} is no object in JSON", told.seq.0));
            };
            let (kind, actor) = (word(&told.kind), line(&told.actor, LONGEST_ACTOR));
            events.push(Told { kind, actor, body: fitting(body), ..told });
        }
        let name = line(&self.name, LONGEST_NAME);
        Ok(Self {
            name: if name.is_empty() { "unnamed".into() } else { name },
            events,
            missions: self.missions.into_iter().map(MissionCard::fitting).collect(),
            items: self.items.into_iter().map(ItemCard::fitting).collect(),
            ..self
        })
    }
}

/// A body as JSON, without marks that are not seen, and no longer than [`LONGEST_BODY`]: of one that is, texts are cut off.
pub fn fitting(mut body: Value) -> Box<str> {
    for longest in [usize::MAX, 2_000, 200] {
        shorten(&mut body, longest);
        let written = body.to_string();
        if written.len() <= LONGEST_BODY {
            return written.into();
        }
    }
    "{}".into()
}

fn shorten(value: &mut Value, longest: usize) {
    match value {
        Value::String(inner) => *inner = text(inner, longest).into(),
        Value::Array(values) => values.iter_mut().for_each(|value| shorten(value, longest)),
        Value::Object(fields) => fields.values_mut().for_each(|value| shorten(value, longest)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A text without marks that are not seen, cut off after so many characters.
pub(super) fn text(text: &str, longest: usize) -> Box<str> {
    let seen = visible(text);
    match seen.char_indices().nth(longest) {
        Some((end, _)) => format!("{}…", &seen[..end]).into(),
        None => seen.into(),
    }
}

/// The same on one line.
pub(super) fn line(words: &str, longest: usize) -> Box<str> {
    let words: Vec<&str> = words.split_whitespace().collect();
    text(&words.join(" "), longest)
}

/// What a program compares: small letters, digits and `_`.
pub(super) fn word(word: &str) -> Box<str> {
    let plain = word.chars().filter(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_');
    plain.take(LONGEST_WORD).collect::<String>().into()
}
