//! Which events a trigger is for.

use std::cell::OnceCell;

use serde::{Deserialize, Serialize};

use crate::command::Refused;
use crate::event::{CATALOGUE, Event, is_of_triggers};
use crate::id::matches_prefix;
use crate::item::{Item, Phase};
use crate::mission::MissionState;
use crate::nearest::nearest;
use crate::sink::kinds_named;

/// The conditions on an event. All that are given must hold; at least one is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Predicate {
    /// It has one of these names; `*` stands for any part of a name. None = any.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub kinds: Box<[Box<str>]>,
    /// It is about this mission: its id, or 4 digits or more of its beginning or of its short form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mission: Option<Box<str>>,
    /// It is about this item: its key, or its id as of a mission.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<Box<str>>,
    /// It is about the agent of this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<Box<str>>,
    /// It tells that an item or a mission has left this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_state: Option<Box<str>>,
    /// It tells that an item or a mission is now in this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_state: Option<Box<str>>,
    /// It is about an item with this label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<Box<str>>,
    /// One of its texts holds this one, letter by letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<Box<str>>,
}

impl Predicate {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The names of the events that it may hold for; none = any.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.kinds.iter().flat_map(|pattern| kinds_named(pattern, names()))
    }
}

/// The events that a trigger can see.
fn names() -> impl Iterator<Item = &'static str> {
    CATALOGUE.iter().map(|(name, ..)| *name).filter(|name| !is_of_triggers(name))
}

/// An event with what is known of those that it is about.
#[derive(Debug)]
pub struct Subject<'a> {
    event: &'a Event,
    item: Option<&'a Item>,
    agent: Option<&'a str>,
    // Made when the first trigger asks, and not again for the next one.
    mission: OnceCell<Option<[String; 2]>>,
    item_id: OnceCell<Option<[String; 2]>>,
    texts: OnceCell<Vec<String>>,
}

impl<'a> Subject<'a> {
    /// An event, its item, and the name of its agent.
    pub fn new(event: &'a Event, item: Option<&'a Item>, agent: Option<&'a str>) -> Self {
        let (mission, item_id, texts) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Self { event, item, agent, mission, item_id, texts }
    }

    fn is_mission(&self, typed: &str) -> bool {
        let ids = self.mission.get_or_init(|| self.event.mission.map(|id| [id.to_string(), id.short()]));
        ids.as_ref().is_some_and(|[full, short]| matches_prefix(full, short, typed))
    }

    fn is_item(&self, typed: &str) -> bool {
        let ids = self.item_id.get_or_init(|| self.event.item.map(|id| [id.to_string(), id.short()]));
        let key = self.item.is_some_and(|item| *item.key == *typed);
        key || ids.as_ref().is_some_and(|[full, short]| matches_prefix(full, short, typed))
    }

    fn says(&self, text: &str) -> bool {
        let texts = self.texts.get_or_init(|| {
            let mut texts = Vec::new();
            collect(serde_json::to_value(&self.event.happened).unwrap_or_default(), &mut texts);
            // The first is the event's name.
            texts
        });
        texts.iter().any(|said| said.contains(text))
    }
}

/// The texts in the particulars of an event.
fn collect(value: serde_json::Value, texts: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) => texts.push(text),
        serde_json::Value::Array(values) => values.into_iter().for_each(|value| collect(value, texts)),
        serde_json::Value::Object(fields) => {
            fields.into_iter().filter(|(name, _)| name != "kind").for_each(|(_, value)| collect(value, texts));
        }
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}

/// Whether every condition that is given holds, the cheap ones asked first.
pub fn matches(on: &Predicate, subject: &Subject<'_>) -> bool {
    let event = subject.event;
    let holds = |wanted: &Option<Box<str>>, test: &dyn Fn(&str) -> bool| wanted.as_deref().is_none_or(test);
    let name = event.happened.name();
    let moved = event.moved.as_ref();
    !event.happened.is_of_triggers()
        && (on.kinds.is_empty()
            || on.kinds.iter().any(|kind| kinds_named(kind, std::iter::once(name)).next().is_some()))
        && holds(&on.from_state, &|state| moved.is_some_and(|moved| moved.from == state))
        && holds(&on.to_state, &|state| moved.is_some_and(|moved| moved.to == state))
        && holds(&on.agent, &|agent| subject.agent == Some(agent))
        && holds(&on.label, &|label| subject.item.is_some_and(|item| item.labels.iter().any(|l| **l == *label)))
        && holds(&on.mission, &|typed| subject.is_mission(typed))
        && holds(&on.item, &|typed| subject.is_item(typed))
        && holds(&on.text, &|text| subject.says(text))
}

/// What no condition may be, whoever gives it.
///
/// # Errors
/// The first thing that is wrong, with its fix.
pub fn check_predicate(on: &Predicate) -> Result<(), Refused> {
    let invalid = |what: String, fix: String| Err(Refused::Invalid { what, fix });
    if on.is_empty() {
        let fix = "say one of kinds, mission, item, agent, from_state, to_state, label and text".to_owned();
        return invalid("a trigger without a condition would fire on every event".to_owned(), fix);
    }
    for kind in &on.kinds {
        if kinds_named(kind, names()).next().is_some() {
            continue;
        }
        if is_of_triggers(kind) {
            let fix = "name what its mission does, such as mission_completed".to_owned();
            return invalid(format!("`{kind}` is what triggers say of themselves, which no trigger sees"), fix);
        }
        let near = nearest(kind, names()).map(|near| format!("did you mean `{near}`?"));
        let fix = near.unwrap_or_else(|| "the reference of events lists their names".to_owned());
        return invalid(format!("no event is named `{kind}`"), fix);
    }
    for state in on.from_state.iter().chain(&on.to_state) {
        if states().all(|known| known != &**state) {
            let near = nearest(state, states()).map(|near| format!("did you mean `{near}`?"));
            let fix = near.unwrap_or_else(|| format!("the states are {}", states().collect::<Vec<_>>().join(", ")));
            return invalid(format!("no item or mission is ever `{state}`"), fix);
        }
    }
    for (what, typed) in [("mission", &on.mission), ("item", &on.item)] {
        let short = typed.as_deref().is_some_and(|typed| typed.is_empty() || what == "mission" && typed.len() < 4);
        if short {
            return invalid(format!("`{what}` is too short"), "write the id, or 4 digits or more of it".to_owned());
        }
    }
    for (what, text) in [("agent", &on.agent), ("label", &on.label), ("text", &on.text)] {
        if text.as_deref().is_some_and(str::is_empty) {
            return invalid(format!("`{what}` is empty"), "write something, or leave it out".to_owned());
        }
    }
    Ok(())
}

/// The states of items and missions.
fn states() -> impl Iterator<Item = &'static str> {
    Phase::ALL.into_iter().map(Phase::name).chain(MissionState::ALL.into_iter().map(MissionState::name))
}
