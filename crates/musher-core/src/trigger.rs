//! Triggers: what happens by itself when something else happens.
//!
//! # Why each event is seen exactly once
//!
//! Events are decided by step, so triggers are asked there, too: the events of a change are matched before the change is
//! written, and what a match comes to (the firing, the count of fires, the effect that begins the action) is part of that
//! change. An event and all that its triggers make of it are on disk together or not at all. There is no listener behind
//! the log that could lag, no place in the log to be written for each event, and nothing that a restart could look at
//! again: nothing ever leads a committed event into step a second time. A trigger's cursor is therefore not a number that
//! moves with every event but a rule: while it sees events it has seen everything up to the last committed one; one that
//! does not has seen everything up to [`Trigger::seen`], and begins again behind the log as it is when it is enabled.
//!
//! # Why that does not run in circles
//!
//! Step only writes down that a trigger fires. The action is an effect, answered by a command of its own, so that a step
//! does one thing and no event is matched inside of the matching of another. What triggers say of themselves
//! (`trigger_*`) no trigger sees. And what a trigger has caused carries its chain: [`Event::chain`] of every event of a
//! mission that it made, and of what its note changes at once. A chain that would have more than [`LONGEST_CHAIN`]
//! triggers, or one of them twice, ends with `trigger_stopped`.
//!
//! # Why a thousand triggers cost little
//!
//! Those that see events are indexed by the names of the events, and conditions are ordered from the cheap to the dear;
//! a project without triggers pays for one look at an empty map.
//!
//! Open `matches.rs` for the conditions, `fire.rs` for what becomes of a match and how a firing ends, `operate.rs` for what
//! the configuration and operators do, `moved.rs` for the changes of state that events tell of.

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::id::{Seq, TriggerId};
use crate::mission::Policy;
use crate::schedule::{Off, Source};
use crate::time::Timestamp;

mod fire;
mod matches;
mod moved;
mod operate;
mod rehearsal;

pub(crate) use fire::{ended, task};
pub use fire::{heed, tend};
pub use matches::{Predicate, Subject, check_predicate, matches};
pub use operate::{add, disable, enable, remove, sync};
pub use rehearsal::{Rehearsal, Would};

#[cfg(doc)]
use crate::event::Event;

/// The most triggers that may lead one to another.
pub const LONGEST_CHAIN: usize = 5;
/// The most firings of a trigger that wait for their action; an event beyond them is skipped.
pub const MOST_WAITING: usize = 1_000;
/// How much of an event a firing keeps, in characters.
pub const LONGEST_CAUSE: usize = 4_000;

/// How often a trigger fires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Once; then it is used up.
    Once,
    /// On every event that it is for.
    #[default]
    Persistent,
}

impl Mode {
    /// The word in the configuration and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::Persistent => "persistent",
        }
    }
}

/// A trigger as it is defined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriggerSpec {
    /// Its name, unique: 1 to [`LONGEST_NAME`](crate::schedule::LONGEST_NAME) of `[a-z0-9_-]`.
    pub name: Box<str>,
    /// Which events it is for.
    pub on: Predicate,
    /// What follows.
    pub action: Action,
    /// How often.
    pub mode: Mode,
    /// After how many fires it is used up; none = never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_fires: Option<u64>,
    /// Seconds after a fire in which it does not fire.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub cooldown_secs: u64,
    /// From when on it sees no events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// Whether it sees events.
    pub enabled: bool,
    /// The policy of its missions, where their plan says nothing.
    pub policy: Policy,
}

impl TriggerSpec {
    /// After how many fires it is used up.
    pub fn limit(&self) -> Option<u64> {
        match self.mode {
            Mode::Once => Some(1),
            Mode::Persistent => self.max_fires,
        }
    }
}

/// Why a trigger sees no events any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// It has fired as often as it may.
    UsedUp,
    /// Its time is over.
    Expired,
}

/// A trigger, as it is stored. Its history is its firings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// Its id.
    pub id: TriggerId,
    /// What it is.
    pub spec: TriggerSpec,
    /// Who defined it.
    pub source: Source,
    /// Why it is off although `spec` says that it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off: Option<Off>,
    /// Up to where it had seen the log when its row changed last: events up to here are not for it.
    pub seen: Seq,
    /// How often it has fired since it was armed.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub fires: u64,
    /// When it fired last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired_at: Option<Timestamp>,
    /// Why it sees no events any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Over>,
    /// Failures in a row.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub failures: u32,
    /// After a failure: no action begins before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Why it does nothing although it is enabled: it has failed too often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Box<str>>,
    /// It is gone; its history stays.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// When it was defined.
    pub created_at: Timestamp,
    /// When its row changed last.
    pub updated_at: Timestamp,
}

impl Trigger {
    /// Whether it is there and switched on.
    pub fn is_on(&self) -> bool {
        self.spec.enabled && self.off.is_none() && !self.removed
    }

    /// Whether it sees events.
    pub fn sees(&self) -> bool {
        self.is_on() && self.paused.is_none() && self.over.is_none()
    }

    /// The word for people: `armed`, `paused`, `disabled`, `used_up`, `expired` or `removed`.
    pub fn status(&self) -> &'static str {
        if self.removed {
            "removed"
        } else if self.paused.is_some() {
            "paused"
        } else if !self.is_on() {
            "disabled"
        } else {
            match self.over {
                Some(Over::UsedUp) => "used_up",
                Some(Over::Expired) => "expired",
                None => "armed",
            }
        }
    }
}

/// The event that a trigger has fired on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The trigger's name.
    pub trigger: Box<str>,
    /// The event's place.
    pub event: Seq,
    /// The event's name.
    pub kind: Box<str>,
    /// The triggers that led to it, with this one, which is the last.
    pub chain: Box<[TriggerId]>,
    /// The event in words, which are other people's.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub text: Box<str>,
}

impl Cause {
    /// The same without the words.
    pub(crate) fn without_text(&self) -> Self {
        Self { text: Box::default(), ..self.clone() }
    }
}
