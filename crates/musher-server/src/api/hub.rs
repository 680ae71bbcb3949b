//! The hub: what projects tell, and what it says of them.

use std::collections::BTreeMap;

use musher_core::hub::{self, Mark, Place};
use musher_core::id::{ItemId, MissionId, ProjectId, Seq};
use musher_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What a project tells at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RelayPost {
    /// The project's id, which stays the same whatever it is called.
    #[schema(value_type = String, format = "uuid")]
    pub project: ProjectId,
    /// Its name.
    pub name: String,
    /// Which telling of its log this is; the first is 1.
    pub history: u32,
    /// The last event that was told before; 0 at the beginning. If the hub has another one, it takes nothing.
    pub after: u64,
    /// Events, in the order of the log; at most 1,000.
    #[serde(default)]
    pub events: Vec<RelayEvent>,
    /// Missions that they are about, as they stand; at most 2,000.
    #[serde(default)]
    pub missions: Vec<HubMission>,
    /// Items that they are about, as they stand; at most 2,000.
    #[serde(default)]
    pub items: Vec<HubItem>,
}

/// An event of a project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RelayEvent {
    /// Its place in the project's log.
    pub seq: u64,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Its name.
    pub kind: String,
    /// Who brought it about.
    pub actor: String,
    /// The mission that it is about.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "uuid")]
    pub mission: Option<MissionId>,
    /// The item that it is about.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "uuid")]
    pub item: Option<ItemId>,
    /// Its particulars; 32 KiB at most.
    #[schema(value_type = Object)]
    pub body: serde_json::Value,
}

/// How far a hub has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RelayMark {
    /// Which telling of the log it was.
    pub history: u32,
    /// The last event that was told; 0 before the first.
    pub seq: u64,
    /// When that event happened.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
}

/// What a hub answers whoever tells it something, or asks how far it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RelayAnswer {
    /// Whether what was told is on disk, all of it. If not, it does not follow what the hub has.
    pub taken: bool,
    /// How far the hub has been told; nothing when it does not know the project.
    pub mark: Option<RelayMark>,
}

/// A mission of a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HubMission {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    pub id: MissionId,
    /// What is to be reached.
    pub goal: String,
    /// `planning`, `awaiting_approval`, `running`, `blocked`, `paused`, `completed`, `failed` or `cancelled`.
    pub state: String,
    /// Why it stands still, when it does.
    #[serde(default)]
    pub blocked_reason: Option<String>,
    /// When it was started.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it last changed, at the last event about it.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// When it ended.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
}

/// An item of a project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HubItem {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    pub id: ItemId,
    /// Its mission.
    #[schema(value_type = String, format = "uuid")]
    pub mission: MissionId,
    /// Its place in the plan.
    pub number: u32,
    /// Its id in the plan.
    pub key: String,
    /// What is to be done.
    pub title: String,
    /// The sort of work.
    pub kind: String,
    /// Its state.
    pub state: String,
    /// Why it is where it is, for the states that have a reason.
    #[serde(default)]
    pub reason: Option<String>,
    /// The agent that has it.
    #[serde(default)]
    pub agent: Option<String>,
    /// Counted failures.
    pub attempts: u32,
    /// The merged commit, or the tip of its branch.
    #[serde(default)]
    pub commit: Option<String>,
    /// When it last changed, at the last event about it.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// A project that a hub knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HubProject {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    pub id: ProjectId,
    /// The last eight digits of its id.
    pub short_id: String,
    /// Its name, which others may have as well.
    pub name: String,
    /// Its name as people are shown it: of several of one name with the end of the id.
    pub shown: String,
    /// How far it has told.
    pub mark: RelayMark,
    /// How many events it has told.
    pub events: u64,
    /// When it told something for the first time.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// When it told something last.
    #[schema(value_type = String, format = DateTime)]
    pub heard_at: Timestamp,
    /// How many of its missions are in each state; a state without any is not named.
    pub missions: BTreeMap<String, u64>,
    /// How many of its items are in each state; a state without any is not named.
    pub items: BTreeMap<String, u64>,
}

/// The projects of a hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HubProjects {
    /// By name, then by id.
    pub projects: Vec<HubProject>,
}

/// A project with its missions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HubProjectShow {
    /// The project.
    pub project: HubProject,
    /// Its missions, oldest first.
    pub missions: Vec<HubMission>,
}

/// A mission of a project with its items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HubMissionShow {
    /// The project.
    pub project: HubProject,
    /// The mission.
    pub mission: HubMission,
    /// Its items, in the order of the plan.
    pub items: Vec<HubItem>,
}

/// An event of a project, at a hub.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct HubEvent {
    /// Its place among the events of all projects: whoever asks again with `after` this place misses nothing.
    pub place: u64,
    /// The project.
    #[schema(value_type = String, format = "uuid")]
    pub project: ProjectId,
    /// The event.
    #[serde(flatten)]
    pub event: RelayEvent,
}

/// Which events of a hub are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct HubEventQuery {
    /// Only those after this place in the hub.
    pub after: u64,
    /// At most so many; 1,000 when nothing is said, and never more than 10,000.
    pub limit: Option<u32>,
    /// Only those of this project, by its id or the beginning of one.
    pub project: Option<String>,
}

impl From<Mark> for RelayMark {
    fn from(mark: Mark) -> Self {
        Self { history: mark.history, seq: mark.seq().0, at: mark.last.map(|last| last.at) }
    }
}

impl From<RelayMark> for Mark {
    fn from(mark: RelayMark) -> Self {
        Self { history: mark.history, last: mark.at.map(|at| Place { seq: Seq(mark.seq), at }) }
    }
}

impl From<hub::Told> for RelayEvent {
    fn from(told: hub::Told) -> Self {
        Self {
            seq: told.seq.0,
            at: told.at,
            kind: told.kind.into(),
            actor: told.actor.into(),
            mission: told.mission,
            item: told.item,
            body: serde_json::from_str(&told.body).unwrap_or_default(),
        }
    }
}

impl From<RelayEvent> for hub::Told {
    fn from(event: RelayEvent) -> Self {
        Self {
            seq: Seq(event.seq),
            at: event.at,
            kind: event.kind.into(),
            actor: event.actor.into(),
            mission: event.mission,
            item: event.item,
            body: event.body.to_string().into(),
        }
    }
}

impl From<hub::MissionCard> for HubMission {
    fn from(card: hub::MissionCard) -> Self {
        let hub::MissionCard { id, goal, state, blocked_reason, created_at, updated_at, ended_at } = card;
        let blocked_reason = blocked_reason.map(Into::into);
        Self { id, goal: goal.into(), state: state.into(), blocked_reason, created_at, updated_at, ended_at }
    }
}

impl From<HubMission> for hub::MissionCard {
    fn from(card: HubMission) -> Self {
        let HubMission { id, goal, state, blocked_reason, created_at, updated_at, ended_at } = card;
        let blocked_reason = blocked_reason.map(Into::into);
        Self { id, goal: goal.into(), state: state.into(), blocked_reason, created_at, updated_at, ended_at }
    }
}

impl From<hub::ItemCard> for HubItem {
    fn from(card: hub::ItemCard) -> Self {
        Self {
            id: card.id,
            mission: card.mission,
            number: card.number,
            key: card.key.into(),
            title: card.title.into(),
            kind: card.kind.into(),
            state: card.state.into(),
            reason: card.reason.map(Into::into),
            agent: card.agent.map(Into::into),
            attempts: card.attempts,
            commit: card.commit.map(Into::into),
            updated_at: card.updated_at,
        }
    }
}

impl From<HubItem> for hub::ItemCard {
    fn from(card: HubItem) -> Self {
        Self {
            id: card.id,
            mission: card.mission,
            number: card.number,
            key: card.key.into(),
            title: card.title.into(),
            kind: card.kind.into(),
            state: card.state.into(),
            reason: card.reason.map(Into::into),
            agent: card.agent.map(Into::into),
            attempts: card.attempts,
            commit: card.commit.map(Into::into),
            updated_at: card.updated_at,
        }
    }
}

impl From<RelayPost> for hub::Post {
    fn from(post: RelayPost) -> Self {
        Self {
            project: post.project,
            name: post.name.into(),
            history: post.history,
            after: Seq(post.after),
            events: post.events.into_iter().map(Into::into).collect(),
            missions: post.missions.into_iter().map(Into::into).collect(),
            items: post.items.into_iter().map(Into::into).collect(),
        }
    }
}
