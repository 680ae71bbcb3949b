//! Events, as everyone outside reads them.

use musher_core::id::{AgentId, ItemId, MissionId, RunId};
use musher_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What happened, with its place in the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Its place in the log; ask for what comes `after` it to go on exactly there.
    pub seq: u64,
    /// When it was decided.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Its name.
    pub kind: String,
    /// The mission that it is about.
    #[schema(value_type = Option<String>, format = "uuid")]
    pub mission: Option<MissionId>,
    /// The item that it is about.
    #[schema(value_type = Option<String>, format = "uuid")]
    pub item: Option<ItemId>,
    /// The agent that it is about.
    #[schema(value_type = Option<String>, format = "uuid")]
    pub agent: Option<AgentId>,
    /// The run that it is about.
    #[schema(value_type = Option<String>, format = "uuid")]
    pub run: Option<RunId>,
    /// The state that an item or a mission was in before what it tells of; empty of a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_state: Option<String>,
    /// The state that it is in now. One event tells of each change of state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_state: Option<String>,
    /// The ids of the triggers that led to it, the first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chain: Vec<String>,
    /// Who brought it about: an operator's name, `musher`, or `run:` and a run's short id.
    pub actor: String,
    /// Its particulars; which there are depends on its name.
    #[schema(value_type = Object)]
    pub body: serde_json::Value,
}

/// Which events are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// Only those after this place; 0 is the beginning.
    pub after: u64,
    /// At most so many: 1,000 when nothing is said, never more than 10,000. A stream has no end and no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Only those of this mission, by its id or the beginning of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mission: Option<String>,
    /// Only those of this item, by its id, the beginning of it, or `MISSION/key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// Only those of these names, separated by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}
