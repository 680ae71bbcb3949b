//! Triggers.

use musher_core::mission::Policy as CorePolicy;
use musher_core::time::Timestamp;
use musher_core::trigger::Mode;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A trigger: something that follows by itself on an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Trigger {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `armed`, `paused`, `disabled`, `used_up` or `expired`.
    pub status: String,
    /// `config` or `operator`.
    pub source: String,
    /// What it fires on, in words, such as `item_failed, label backend`.
    pub on: String,
    /// What it does: `mission`, `prompt` or `note`.
    pub action: String,
    /// Up to which event it has seen the log.
    pub seen: u64,
    /// How often it has fired since it was armed.
    pub fires: u64,
    /// When it fired last.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub fired_at: Option<Timestamp>,
    /// How many firings wait for their action.
    pub waiting: usize,
    /// Failures in a row.
    pub failures: u32,
    /// After a failure: no action begins before.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub not_before: Option<Timestamp>,
    /// Why it is paused.
    pub paused: Option<String>,
    /// What it is, with the keys of `[[triggers]]` in musher.toml.
    pub spec: NewTrigger,
}

/// The conditions on an event, with the keys of `on` in musher.toml. All that are given must hold; at least one is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Predicate {
    /// Names of events; `*` stands for any part of a name. None = any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// A mission by its id or the first 4 digits or more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mission: Option<String>,
    /// An item by its key, or by its id or the first 4 digits or more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// An agent by its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The state that the event says an item or a mission has left.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_state: Option<String>,
    /// The state that the event says an item or a mission is in now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_state: Option<String>,
    /// A label of the item.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Part of one of the event's texts, letter by letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// A trigger as it is asked for, with the keys of `[[triggers]]` in musher.toml. One of `prompt`, `plan`, `plan_file` and
/// `note`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewTrigger {
    /// Its name: 1 to 64 of `[a-z0-9_-]`.
    pub name: String,
    /// Which events it fires on.
    pub on: Predicate,
    /// A mission of one item with this prompt.
    pub prompt: Option<String>,
    /// The only agent that may take it.
    pub agent: Option<String>,
    /// A mission of this plan.
    pub plan: Option<String>,
    /// A mission of this file, as it is then.
    pub plan_file: Option<String>,
    /// A note on `mission`.
    pub note: Option<String>,
    /// The mission of `note`.
    pub mission: Option<String>,
    /// `once` or `persistent`. Default `persistent`.
    #[schema(value_type = Option<String>)]
    pub mode: Option<Mode>,
    /// After how many events it is used up. Default: never.
    pub max_fires: Option<u64>,
    /// Seconds after it has fired in which it leaves events out. Default 0.
    pub cooldown_secs: Option<u64>,
    /// From when on it fires on nothing. Default: never.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub expires: Option<Timestamp>,
    /// Whether it fires. Default true.
    pub enabled: Option<bool>,
    /// The policy of its missions, where their plan says nothing.
    #[schema(value_type = Option<super::Policy>)]
    pub policy: Option<CorePolicy>,
}

/// All triggers, by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Triggers {
    /// The triggers.
    pub triggers: Vec<Trigger>,
}

/// A trigger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TriggerDocument {
    /// The trigger.
    pub trigger: Trigger,
}

/// Over which events a trigger is tried.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub struct TrialQuery {
    /// Over the events after this place.
    pub since: u64,
    /// At most so many events are answered, 1 to 1000. Default 100.
    pub limit: u32,
}

impl Default for TrialQuery {
    fn default() -> Self {
        Self { since: 0, limit: 100 }
    }
}

/// What a trigger would have done on an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Tried {
    /// The event.
    pub event: super::Event,
    /// Why it would not have fired; none when it would have.
    pub not: Option<String>,
}

/// What a trigger would have done, changing nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Trial {
    /// The events that its conditions hold for, in order.
    pub tried: Vec<Tried>,
    /// How many of them it would have fired on.
    pub fires: u64,
    /// The last event that was looked at.
    pub until: u64,
    /// Whether there are more events; go on `since` `until`.
    pub more: bool,
}
