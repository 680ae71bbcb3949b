//! What is told of a mission and of an item besides events: how it stands.

use serde::{Deserialize, Serialize};

use super::post::{line, text, word};
use crate::id::{ItemId, MissionId};
use crate::item::{Item, Phase};
use crate::mission::Mission;
use crate::time::Timestamp;

/// The longest text of a card, in characters; what is longer is cut off.
const LONGEST_TEXT: usize = 2_000;
/// The longest title, key, name or branch, in characters.
const LONGEST_LINE: usize = 300;

/// How a mission of a project stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissionCard {
    /// Its id.
    pub id: MissionId,
    /// What is to be reached.
    pub goal: Box<str>,
    /// The name of its state.
    pub state: Box<str>,
    /// Why it stands still, when it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_reason: Option<Box<str>>,
    /// When it was started.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

/// How an item of a project stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemCard {
    /// Its id.
    pub id: ItemId,
    /// Its mission.
    pub mission: MissionId,
    /// Its place in the plan.
    pub number: u32,
    /// Its key.
    pub key: Box<str>,
    /// What is to be done.
    pub title: Box<str>,
    /// The sort of work.
    pub kind: Box<str>,
    /// The name of its state.
    pub state: Box<str>,
    /// Why it is where it is, for the states that have a reason; why a merge is held is told by its event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Box<str>>,
    /// The agent that has it, by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Box<str>>,
    /// Counted failures.
    pub attempts: u32,
    /// The merged commit, or the tip of its branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Box<str>>,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl MissionCard {
    /// The card of a mission.
    pub fn of(row: &Mission) -> Self {
        Self {
            id: row.id,
            goal: row.goal.clone(),
            state: row.state.name().into(),
            blocked_reason: row.blocked_reason.clone(),
            created_at: row.created_at,
            updated_at: row.updated_at,
            ended_at: row.ended_at,
        }
        .fitting()
    }

    /// The card within the bounds that a hub takes, without marks that are not seen.
    #[must_use]
    pub fn fitting(self) -> Self {
        Self {
            goal: text(&self.goal, LONGEST_TEXT),
            state: word(&self.state),
            blocked_reason: self.blocked_reason.map(|why| text(&why, LONGEST_TEXT)),
            ..self
        }
    }
}

impl ItemCard {
    /// The card of an item, whose agent has this name.
    pub fn of(row: &Item, agent: Option<Box<str>>) -> Self {
        // A held merge is tried again every few seconds, and only the first time is said: what is never told is not shown.
        let reason = row.reason().filter(|_| row.phase() != Phase::Merging);
        Self {
            id: row.id,
            mission: row.mission,
            number: row.number,
            key: row.key.clone(),
            title: row.title.clone(),
            kind: row.kind.name().into(),
            state: row.phase().name().into(),
            reason: reason.map(Into::into),
            agent,
            attempts: row.attempts,
            commit: row.merged.clone().or_else(|| row.head.clone()),
            updated_at: row.updated_at,
        }
        .fitting()
    }

    /// The card within the bounds that a hub takes, without marks that are not seen.
    #[must_use]
    pub fn fitting(self) -> Self {
        Self {
            key: line(&self.key, LONGEST_LINE),
            title: line(&self.title, LONGEST_LINE),
            kind: word(&self.kind),
            state: word(&self.state),
            reason: self.reason.map(|why| text(&why, LONGEST_TEXT)),
            agent: self.agent.map(|name| line(&name, LONGEST_LINE)),
            commit: self.commit.map(|commit| line(&commit, LONGEST_LINE)),
            ..self
        }
    }
}
