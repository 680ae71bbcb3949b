//! The daemon as a whole: status, inbox, merge queue, backup, clean-up.

use std::collections::BTreeMap;
use std::path::PathBuf;

use musher_core::id::{ItemId, MissionId};
use musher_core::time::Timestamp;
use musher_engine::StartReport;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Agent, Brief, Sink};

/// How everything stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The daemon itself.
    pub daemon: Daemon,
    /// How many active missions are in each state.
    pub missions: BTreeMap<String, u32>,
    /// How many of their items are in each state.
    pub items: BTreeMap<String, u32>,
    /// The agents.
    pub agents: Vec<Agent>,
    /// The merge queue, next first.
    pub queue: Vec<QueueEntry>,
    /// The batch that is being merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// Who waits for what: the first reason of each item, those that are alike together. Of very many items not all are
    /// asked, and `not_asked` says how many are left out.
    #[serde(default)]
    pub waiting: Vec<WaitGroup>,
    /// How many more items that wait are in each state.
    #[serde(default)]
    pub not_asked: BTreeMap<String, u32>,
    /// What waits for a person.
    pub inbox: Vec<InboxEntry>,
    /// Who is sent events.
    #[serde(default)]
    pub sinks: Vec<Sink>,
    /// US dollars that were spent since midnight in the zone of `quota.timezone`.
    pub cost_today_usd: f64,
    /// The last event that is on disk; ask for events `after` it to be told of what comes next.
    #[serde(default)]
    pub last_seq: u64,
}

/// Items that wait for the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaitGroup {
    /// The state that they are in.
    pub state: String,
    /// What they wait for first.
    pub wait: Brief,
    /// How many they are.
    pub count: u32,
    /// The first of them, never more than three.
    pub items: Vec<WaitItem>,
}

/// An item that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaitItem {
    /// The item.
    #[schema(value_type = String, format = "uuid")]
    pub id: ItemId,
    /// The last eight digits of its id.
    pub short_id: String,
    /// Its mission.
    #[schema(value_type = String, format = "uuid")]
    pub mission: MissionId,
    /// Its id in the plan.
    pub key: String,
}

/// The daemon itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Daemon {
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Whole seconds since it started.
    pub uptime_s: u64,
    /// The machine it runs on.
    pub node: String,
    /// Where its state is.
    pub store: String,
    /// Where it is to listen over TCP; nothing when it is not to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<Http>,
    /// Whose webhooks it takes; nothing when it takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhooks: Option<WebhookDoor>,
    /// Whether it is a hub: it shows what projects tell, and dispatches nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hub: bool,
    /// What it found when it started, and went on with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Found>,
    /// Why `musher.toml` as it is now is not in force, and the last good one is; nothing when it is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_error: Option<String>,
}

/// What a daemon found when it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Found {
    /// Missions that had not ended.
    pub missions: usize,
    /// Runs whose agents live: they go on as if nothing had been.
    pub attached: usize,
    /// Runs whose host was gone without having said how it ended; their items are tried again.
    pub lost: usize,
    /// What had been decided and was not known to be done: done again, which is once in the end. Those of runs among them.
    pub effects: usize,
    /// Run folders that nobody wanted, whose processes were ended.
    pub swept: usize,
}

impl From<StartReport> for Found {
    fn from(report: StartReport) -> Self {
        let StartReport { missions, runs, lost, effects, swept } = report;
        Self { missions, attached: runs.saturating_sub(lost), lost, effects, swept }
    }
}

/// The daemon's address for TCP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Http {
    /// The address.
    pub address: String,
    /// Whether it listens there.
    pub listening: bool,
    /// Why it does not; it is tried again until it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Whose webhooks the daemon takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookDoor {
    /// The repository that they must speak of.
    pub repository: String,
    /// Where the secret was found that they are signed with, such as `env:NAME`; never the secret itself.
    pub secret: String,
}

/// An item in the merge queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueueEntry {
    /// The item.
    #[schema(value_type = String, format = "uuid")]
    pub id: ItemId,
    /// The last eight digits of its id.
    pub short_id: String,
    /// Its mission.
    #[schema(value_type = String, format = "uuid")]
    pub mission: MissionId,
    /// Its id in the plan.
    pub key: String,
    /// One line.
    pub title: String,
    /// How urgent it is.
    pub priority: String,
    /// `queued`, `preparing`, `rebasing`, `gating`, `landing` or `held`.
    pub stage: String,
    /// What holds it, when it is held.
    pub reason: Option<String>,
    /// The branch that it goes into.
    pub target: String,
    /// When it entered the queue.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub queued_at: Option<Timestamp>,
}

/// The merge queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Queue {
    /// Why no merge begins, while the queue is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<String>,
    /// What is being merged, then what is next.
    pub queue: Vec<QueueEntry>,
    /// The batch that is being merged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// The members that were ejected last because of the gate, oldest first; never more than 8.
    #[serde(default)]
    pub ejected: Vec<EjectedMember>,
    /// How many batches were ever begun.
    #[serde(default)]
    pub batches: u64,
    /// How many trees of batches were red in one run of the gate and green in the next.
    #[serde(default)]
    pub flaky: u64,
}

/// Items that are merged one on another, tested together and landed together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Batch {
    /// Its number; the first is 1.
    pub number: u64,
    /// The branch that it goes into.
    pub target: String,
    /// The gate that it must pass, if any.
    pub gate: Option<String>,
    /// When it was begun.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// The tip of the target that it stands on; none while it is being formed.
    pub base: Option<String>,
    /// Its members, in the order in which they stand one on another.
    pub members: Vec<BatchMember>,
    /// What the gate has said, or is being asked, of the first so many members; fewest first.
    pub tests: Vec<BatchTest>,
    /// How many members are known to be good together.
    pub good: usize,
    /// The fewest members beyond those that were red: the culprit is among them.
    pub bad: Option<usize>,
    /// How many members have landed.
    pub landed: usize,
}

/// A member of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchMember {
    /// The item.
    #[schema(value_type = String, format = "uuid")]
    pub id: ItemId,
    /// The last eight digits of its id.
    pub short_id: String,
    /// Its id in the plan.
    pub key: String,
    /// One line.
    pub title: String,
    /// `forming`, `landed`, `landing`, `good`, `untested`, `suspect` (the culprit is among these), or `after` (it stands on
    /// a red one, and is made anew without that).
    pub state: String,
}

/// A test of the first members of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchTest {
    /// How many members; 0 is the base alone.
    pub members: usize,
    /// Whether it is being tested now.
    pub testing: bool,
    /// In how many runs it was red.
    pub reds: u8,
    /// Whether it was green. After a red run: the gate is flaky.
    pub green: bool,
    /// What the last red run said, in a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A member that was ejected from a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EjectedMember {
    /// The item.
    #[schema(value_type = String, format = "uuid")]
    pub id: ItemId,
    /// The last eight digits of its id.
    pub short_id: String,
    /// Its id in the plan.
    pub key: String,
    /// The number of the batch.
    pub batch: u64,
    /// What the gate said, in a line.
    pub reason: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// Something that waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InboxEntry {
    /// `graph`, `approval`, `stuck`, `checkout`, `blocked`, `agent`, `driver`, `rate_limit`, `permission` or `question`.
    pub ask: String,
    /// The mission, if it is about one.
    #[schema(value_type = Option<String>, format = "uuid")]
    pub mission: Option<MissionId>,
    /// The item, if it is about one.
    #[schema(value_type = Option<String>, format = "uuid")]
    pub item: Option<ItemId>,
    /// What is the matter.
    pub text: String,
    /// Commands that would help, as they are typed.
    pub replies: Vec<String>,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
}

/// What waits for a person, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Inbox {
    /// The requests.
    pub inbox: Vec<InboxEntry>,
}

/// Where a backup goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupWish {
    /// The new file, by its absolute path on the daemon's machine.
    #[schema(value_type = String)]
    pub path: PathBuf,
}

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupDone {
    /// Where it is.
    #[schema(value_type = String)]
    pub path: PathBuf,
    /// How large it is.
    pub bytes: u64,
}

/// What is cleaned up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GcWish {
    /// Only says what would be removed.
    pub dry_run: bool,
    /// An ended item whose kept worktree goes, after everything in it was saved under the attic ref.
    pub discard: Option<String>,
}

/// What was cleaned up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Gc {
    /// Nothing was removed; this is what would be.
    pub dry_run: bool,
    /// What was removed.
    pub removed: Vec<GcEntry>,
    /// Worktrees that stay, for they hold something that is nowhere else.
    pub kept: Vec<GcKept>,
    /// Worktrees and branches that no item owns and that stay, for they hold something that is nowhere else; with
    /// `dry_run`, all that no item owns.
    #[serde(default)]
    pub orphans: Vec<GcOrphan>,
}

/// Something that was removed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GcEntry {
    /// `transcript`, `script`, `worktree` or `branch`.
    pub what: String,
    /// Where it was.
    #[schema(value_type = String)]
    pub path: PathBuf,
    /// How large it was, where that is known.
    pub bytes: Option<u64>,
}

/// A worktree that stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GcKept {
    /// Its item.
    #[schema(value_type = String, format = "uuid")]
    pub item: ItemId,
    /// The last eight digits of the item's id.
    pub short_id: String,
    /// The item's id in the plan.
    pub key: String,
    /// Where it is.
    #[schema(value_type = String)]
    pub path: PathBuf,
    /// What it holds that is nowhere else.
    pub reason: String,
}

/// What no item owns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GcOrphan {
    /// `worktree` or `branch`.
    pub what: String,
    /// The worktree's folder, or the branch.
    pub name: String,
    /// Where the worktree is.
    #[schema(value_type = Option<String>)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// What it holds that is nowhere else.
    pub reason: String,
}

/// The daemon is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Stopping {
    /// Its process, to wait for.
    pub pid: u32,
}
