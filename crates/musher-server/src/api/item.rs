//! Items.

use std::path::PathBuf;

use musher_core::id::{ItemId, MissionId};
use musher_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Run;

/// A work item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Item {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    pub id: ItemId,
    /// The last eight digits of its id.
    pub short_id: String,
    /// Its mission.
    #[schema(value_type = String, format = "uuid")]
    pub mission: MissionId,
    /// Its id in the plan, unique within the mission.
    pub key: String,
    /// One line.
    pub title: String,
    /// `design`, `implement`, `test`, `review`, `merge_gate` or `followup`.
    pub kind: String,
    /// What it is to come to: `change`, or `plan`.
    #[serde(default)]
    pub wants: String,
    /// The role that an agent should have.
    pub role: Option<String>,
    /// `critical`, `high`, `medium` or `low`.
    pub priority: String,
    /// Where it stands: `pending`, `ready`, `assigned`, `running`, `verifying`, `waiting`, `merging`, `merge_failed`,
    /// `done`, `blocked`, `held`, `failed` or `cancelled`.
    pub state: String,
    /// Why it is there, one line, where there is a reason.
    pub reason: Option<String>,
    /// What it waits for first, while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Brief>,
    /// The name of the agent of its present or last run.
    pub agent: Option<String>,
    /// Runs that counted and failed since it was last given a fresh start.
    pub attempts: u32,
    /// Its branch, once it has one.
    pub branch: Option<String>,
    /// The merged commit; before that, the verified tip of its branch.
    pub commit: Option<String>,
    /// The plan ids of what must be done first.
    pub depends_on: Vec<String>,
    /// US dollars of all its runs.
    pub cost_usd: f64,
    /// Tokens of all its runs.
    pub tokens: u64,
    /// Failed or cancelled, but counted as done for those that depend on it.
    #[serde(default)]
    pub satisfied: bool,
    /// Why nothing new begins for it, while an operator has frozen or demoted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<String>,
    /// The done item that it follows up on.
    #[schema(value_type = Option<String>, format = "uuid")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<ItemId>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When its state last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
    /// Not dispatched before this.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Where its worktree is, while there is one.
    #[schema(value_type = Option<String>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<PathBuf>,
}

/// An item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ItemDocument {
    /// The item.
    pub item: Item,
}

/// An item with its runs and its waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ItemShow {
    /// The item.
    pub item: Item,
    /// Its runs, oldest first.
    pub runs: Vec<Run>,
    /// Every reason why it does not go on.
    pub waits: Vec<Wait>,
    /// Its prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// What its next run is told of the last failure: the tail of the gate's output, the conflict, a reviewer's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lesson: Option<String>,
    /// The plan file that it came to, if it wants one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
}

/// Items.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Items {
    /// The items, in the order of their missions and plans.
    pub items: Vec<Item>,
    /// There are more than the limit let through.
    pub more: bool,
}

/// Which items are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ItemQuery {
    /// Only those of this mission, archived or not; otherwise those of all active missions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mission: Option<String>,
    /// Only those in these states, separated by commas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// At most so many: 1,000 when nothing is said, never more than 100,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A reason why something does not go on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Wait {
    /// A stable word for scripts.
    pub code: String,
    /// The reason in words, with names and numbers.
    pub text: String,
    /// The same in a few words, without what would help and without the moment in `until`.
    #[serde(default)]
    pub brief: String,
    /// When it ends by itself, if it does.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// The first reason why something does not go on, in a few words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Brief {
    /// A stable word for scripts.
    pub code: String,
    /// The reason: `waits for api`, `2 agents busy`, `merge queue, 3rd`.
    pub brief: String,
    /// When it ends by itself, if it does.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Why an item or a mission is where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Explanation {
    /// The item or the mission.
    #[schema(format = "uuid")]
    pub id: String,
    /// Where it stands.
    pub state: String,
    /// Every reason why it does not go on; none when it is at work, done or given up.
    pub waits: Vec<Wait>,
}

/// A reason that an operator gives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reason {
    /// Why, in the operator's words.
    pub reason: String,
}

/// Words to go with a yes or a no.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Words {
    /// What the author of the change is told.
    pub text: String,
}

/// A no to an item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Rejection {
    /// What has to change, for the author; or why the item is not wanted at all.
    pub text: String,
    /// Nothing mends it: the item is given up.
    pub for_good: bool,
}

/// Which item does the work of another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Successor {
    /// The item, of the same mission: its id, or `MISSION/key`.
    pub by: String,
}

/// The change of an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Diff {
    /// The item.
    #[schema(value_type = String, format = "uuid")]
    pub id: ItemId,
    /// Its branch.
    pub branch: String,
    /// The change, as a patch; empty when there is none.
    pub patch: String,
}
