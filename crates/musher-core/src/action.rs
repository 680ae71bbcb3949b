//! Actions: what a schedule or a trigger does when it fires.

use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::command::{Answer, Refused};
use crate::id::{MissionId, matches_prefix};
use crate::mission::{self, StartMission};
use crate::note;
use crate::state::State;
use crate::step::Context;

/// Where a plan comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanFrom {
    /// These words.
    Text(Box<str>),
    /// This file, as it is when the schedule fires, below the repository's root or absolute.
    File(Box<str>),
}

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A mission from a plan.
    Mission(PlanFrom),
    /// A mission of one item.
    Prompt {
        /// Its prompt.
        text: Box<str>,
        /// The only agent that may take it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<Box<str>>,
    },
    /// A note on a mission.
    Note {
        /// The mission's id, or the beginning of it.
        mission: Box<str>,
        /// The words; the first decides what it does.
        text: Box<str>,
    },
}

impl Action {
    /// The word in the configuration and the API.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Mission(_) => "mission",
            Self::Prompt { .. } => "prompt",
            Self::Note { .. } => "note",
        }
    }
}

/// Does what a firing is for: the mission, and what came of it when that is all. `start` is what the driver made of a plan
/// or a prompt.
pub(crate) fn act(
    state: &State,
    action: &Action,
    start: Option<&StartMission>,
    cx: &mut Context,
) -> Result<(Change, MissionId, Option<String>), Refused> {
    let invalid = |what: &str| Refused::Invalid { what: what.to_owned(), fix: String::new() };
    match (action, start) {
        (Action::Note { mission, text }, _) => {
            let named = |id: &MissionId| matches_prefix(&id.to_string(), &id.short(), mission);
            let mut found = state.missions().map(|entry| entry.row.id).filter(named);
            let id = match (found.next(), found.next()) {
                (Some(id), None) => id,
                (Some(_), Some(_)) => return Err(invalid(&format!("`{mission}` names several missions"))),
                (None, _) => return Err(invalid(&format!("no active mission `{mission}`"))),
            };
            let change = note::apply(state, id, text, cx)?;
            let said = match &change.answer {
                Answer::Note(effect) => effect.clone(),
                _ => String::new(),
            };
            Ok((change, id, Some(said)))
        }
        (Action::Mission(_) | Action::Prompt { .. }, Some(start)) => {
            let change = mission::start(state, start, cx)?;
            match change.answer {
                Answer::Mission(id) => Ok((change, id, None)),
                _ => Err(invalid("a start that made no mission")),
            }
        }
        (Action::Mission(_) | Action::Prompt { .. }, None) => Err(invalid("the plan was not read")),
    }
}
