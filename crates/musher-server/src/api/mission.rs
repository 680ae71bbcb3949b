//! Missions.

use std::collections::BTreeMap;

use musher_core::forge::Reference;
use musher_core::id::{ItemId, MissionId};
use musher_core::item::{Kind, Priority, Qa, Wants};
use musher_core::mission::{MissionItem, OnCap, OnRateLimit, Policy as CorePolicy, StartMission as CoreStart};
use musher_core::time::Timestamp;
use musher_core::watch::WatchKind;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Item, Watch};

/// A mission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Mission {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    pub id: MissionId,
    /// The last eight digits of its id.
    pub short_id: String,
    /// What is to be reached.
    pub goal: String,
    /// `planning`, `awaiting_approval`, `running`, `blocked`, `paused`, `completed`, `failed` or `cancelled`.
    pub state: String,
    /// Why it stands still, when it does.
    pub blocked_reason: Option<String>,
    /// Whether nothing of it goes on before a person does something: it has ended, it is paused and no agent is at work
    /// for it, or it is blocked by what only a person frees. One that waits for open watches alone is not at rest.
    #[serde(default)]
    pub at_rest: bool,
    /// When it was started.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// When something of it is due by itself, if anything is.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_wake_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// What musher may do by itself.
    pub policy: Policy,
    /// How many items are in each state; every state is named.
    pub counts: BTreeMap<String, u32>,
    /// US dollars of all its runs.
    pub cost_usd: f64,
    /// Tokens of all its runs.
    pub tokens: u64,
    /// The branch that its work is made from.
    pub base: String,
    /// Where its merged work goes: `merge` (the base) or `branch` (a branch of its own).
    pub delivery: String,
    /// The branch that its items are merged into.
    pub target: String,
    /// Who started it.
    pub owner: String,
    /// It ended long ago: it has left memory and is read from disk.
    #[serde(default)]
    pub archived: bool,
}

/// What musher may do by itself in a mission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Policy {
    /// How many items may be assigned, running or verifying at once. Default 2.
    pub max_parallel_items: u32,
    /// Whether implement and test items need a review. Default true.
    pub reviewer_required: bool,
    /// Whether the forge is asked to merge by itself. Default false.
    pub auto_merge: bool,
    /// Seconds between two looks of a watch. Default 180.
    pub watch_interval_secs: u64,
    /// Counted failures before the dead letter. Default 3.
    pub max_retries: u32,
    /// Spent dollars at which the mission stops dispatching; none = no cap.
    pub budget_usd: Option<f64>,
    /// Used tokens at which the mission stops dispatching; none = no cap.
    pub budget_tokens: Option<u64>,
    /// How many items its agents may add. Default 20.
    pub max_added_items: u32,
    /// What becomes of an item whose run a quota has stopped: `block`, `requeue` or `fail`. Default block.
    #[schema(value_type = String)]
    pub on_cap: OnCap,
    /// What becomes of an item whose agent's account is used up for now: `wait`, `failover` or `ask`. Default wait.
    #[schema(value_type = String)]
    pub on_rate_limit: OnRateLimit,
    /// When the mission has failed if it is not done; none = never.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub deadline: Option<Timestamp>,
    /// Its share of what can be dispatched, beside other missions with ready items of the same priority: 1 to 100.
    /// Default 1.
    pub weight: u32,
}

impl Default for Policy {
    fn default() -> Self {
        CorePolicy::default().into()
    }
}

impl From<CorePolicy> for Policy {
    fn from(policy: CorePolicy) -> Self {
        let CorePolicy {
            max_parallel_items,
            reviewer_required,
            auto_merge,
            watch_interval_secs,
            max_retries,
            budget_usd,
            budget_tokens,
            max_added_items,
            on_cap,
            on_rate_limit,
            deadline,
            weight,
        } = policy;
        Self {
            max_parallel_items,
            reviewer_required,
            auto_merge,
            watch_interval_secs,
            max_retries,
            budget_usd,
            budget_tokens,
            max_added_items,
            on_cap,
            on_rate_limit,
            deadline,
            weight,
        }
    }
}

/// A mission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MissionDocument {
    /// The mission.
    pub mission: Mission,
    /// What the wish has done beside that, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
}

/// A mission with everything in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MissionShow {
    /// The mission.
    pub mission: Mission,
    /// Its items, in the order of the plan.
    pub items: Vec<Item>,
    /// Its watches.
    pub watches: Vec<Watch>,
    /// What the dispatcher knows of it.
    pub dispatcher: Dispatcher,
}

/// What the dispatcher knows of a mission.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Dispatcher {
    /// When the mission was last judged: a pass happens when something changes, not on a beat.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_tick_at: Option<Timestamp>,
    /// When one of its items last changed.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_progress_at: Option<Timestamp>,
    /// When help was last asked.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_help_at: Option<Timestamp>,
    /// What help was asked for.
    pub last_help_reason: Option<String>,
    /// How often in a row.
    pub help_attempts: u32,
    /// What operators said, in order.
    pub notes: Vec<String>,
    /// Under which lease the dispatcher acts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
}

/// Who acts, under which fence, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lease {
    /// The machine.
    pub node: String,
    /// The process.
    pub pid: u32,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// The number that every write carries; it only grows. An older one is refused.
    pub fence: u64,
    /// Until when, unless it is renewed; none while nothing is under way: it lasts as long as the process runs.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
}

/// Missions, oldest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Missions {
    /// The missions.
    pub missions: Vec<Mission>,
}

/// Which missions are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MissionQuery {
    /// The archived ones too.
    pub all: bool,
}

/// A mission's items and what depends on what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Graph {
    /// The items, in the order of the plan.
    pub nodes: Vec<Node>,
    /// The dependencies.
    pub edges: Vec<Edge>,
}

/// An item of a graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Node {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    pub id: ItemId,
    /// Its id in the plan.
    pub key: String,
    /// One line.
    pub title: String,
    /// What sort of work.
    pub kind: String,
    /// Where it stands.
    pub state: String,
}

/// A dependency of a graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Edge {
    /// The plan id of what must be done first.
    pub from: String,
    /// The plan id of what depends on it.
    pub to: String,
}

/// A mission as it is asked for, with its whole graph.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartMission {
    /// What is to be reached.
    pub goal: String,
    /// What musher may do by itself.
    #[serde(default)]
    #[schema(value_type = Policy)]
    pub policy: CorePolicy,
    /// The base branch.
    pub base: String,
    /// Whether a person must say yes to the graph first.
    #[serde(default)]
    pub ask: bool,
    /// The graph.
    pub items: Vec<NewItem>,
}

/// An item as it is asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewItem {
    /// Its id in the plan: `a` to `z`, `0` to `9` and `-`.
    pub key: String,
    /// One line.
    pub title: String,
    /// The prompt, at most 256 KiB.
    #[serde(default)]
    pub body: String,
    /// What sort of work. Default `implement`.
    #[serde(default)]
    #[schema(value_type = String)]
    pub kind: Kind,
    /// What it is to come to: `change`, or `plan` for a plan file in the agent's closing words. Default `change`.
    #[serde(default)]
    #[schema(value_type = String)]
    pub wants: Wants,
    /// The role an agent should have.
    #[serde(default)]
    pub role: Option<String>,
    /// How urgent. Default `medium`.
    #[serde(default)]
    #[schema(value_type = String)]
    pub priority: Priority,
    /// Capabilities an agent must have.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Plan ids of what must be done first.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// Globs of what it will change.
    #[serde(default)]
    pub touches: Vec<String>,
    /// The only agent that may take it, by name.
    #[serde(default)]
    pub agent: Option<String>,
    /// Replaces the project's gate.
    #[serde(default)]
    pub gate: Option<String>,
    /// Replaces the project's quality assurance mode: `server`, `agent` or `human`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub qa: Option<Qa>,
    /// Replaces the policy's `max_retries`.
    #[serde(default)]
    pub max_retries: Option<u32>,
    /// Counted as done from the start.
    #[serde(default)]
    pub skip: bool,
    /// What must be met outside before it starts: `{"issue_closed": {"number": 3}}` (with `"repo": "owner/name"` for one
    /// elsewhere), `{"command": ["PROGRAM", "ARGUMENT"]}`, `{"url": "https://…"}`.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub after: Vec<WatchKind>,
    /// What must be met outside after it is done, before the mission is; as in `after`.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    pub then: Vec<WatchKind>,
    /// The issue that it comes from, as `{"repo": "owner/name", "number": 12}`: its pull request closes it.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub issue: Option<Reference>,
}

impl From<StartMission> for CoreStart {
    fn from(wish: StartMission) -> Self {
        Self {
            goal: wish.goal.into(),
            policy: wish.policy,
            base: wish.base.into(),
            ask: wish.ask,
            items: wish.items.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<CoreStart> for StartMission {
    fn from(wish: CoreStart) -> Self {
        Self {
            goal: wish.goal.into(),
            policy: wish.policy,
            base: wish.base.into(),
            ask: wish.ask,
            items: wish.items.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<NewItem> for MissionItem {
    fn from(item: NewItem) -> Self {
        Self {
            key: item.key.into(),
            title: item.title.into(),
            body: item.body.into(),
            kind: item.kind,
            wants: item.wants,
            role: item.role.map(Into::into),
            priority: item.priority,
            labels: item.labels.into_iter().map(Into::into).collect(),
            depends_on: item.depends_on.into_iter().map(Into::into).collect(),
            touches: item.touches.into_iter().map(Into::into).collect(),
            pin: item.agent.map(Into::into),
            gate: item.gate.map(Into::into),
            qa: item.qa,
            max_retries: item.max_retries,
            skip: item.skip,
            after: item.after,
            then: item.then,
            issue: item.issue,
        }
    }
}

impl From<MissionItem> for NewItem {
    fn from(item: MissionItem) -> Self {
        let strings = |texts: &[Box<str>]| texts.iter().map(ToString::to_string).collect();
        Self {
            key: item.key.into(),
            title: item.title.into(),
            body: item.body.into(),
            kind: item.kind,
            wants: item.wants,
            role: item.role.map(Into::into),
            priority: item.priority,
            labels: strings(&item.labels),
            depends_on: strings(&item.depends_on),
            touches: strings(&item.touches),
            agent: item.pin.map(Into::into),
            gate: item.gate.map(Into::into),
            qa: item.qa,
            max_retries: item.max_retries,
            skip: item.skip,
            after: item.after,
            then: item.then,
            issue: item.issue,
        }
    }
}

/// A word of an operator to a mission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// The word; its first decides what it does.
    pub text: String,
}

/// What a note did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NoteDone {
    /// What it did, in words.
    pub effect: String,
    /// How the mission stands now.
    pub state: String,
}

/// How the dispatch of a mission is stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PauseWish {
    /// Interrupt the running agents too; otherwise they finish their items.
    pub now: bool,
    /// Why, in the operator's words.
    pub reason: String,
}

/// What a mission is to weigh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WeightWish {
    /// Its share of what can be dispatched, beside other missions: 1 to 100.
    #[schema(minimum = 1, maximum = 100)]
    pub weight: u32,
}

/// How a mission is given up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StopWish {
    /// Kill the running agents instead of interrupting them.
    pub force: bool,
}
