//! The settings of a project that decisions and drivers need.

use serde::{Deserialize, Serialize};

use crate::item::Qa;
use crate::merge::BATCH_MAX;
use crate::mission::Delivery;
use crate::price::Prices;
use crate::quota::Quotas;

/// How an item's work becomes commits of the target branch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MergeStyle {
    /// One commit an item.
    #[default]
    Squash,
    /// A merge commit over the item's own commits.
    Merge,
    /// The item's own commits, replayed.
    Rebase,
}

/// Who commits what an agent leaves uncommitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommitBy {
    /// Musher, as the item's title.
    #[default]
    Musher,
    /// The agent; leftovers are a failure.
    Agent,
}

/// The settings of a project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProjectSettings {
    /// The base branch; none = the branch that is checked out when a mission starts.
    pub base: Option<String>,
    /// The command that must exit 0 before work is merged.
    pub gate: Option<String>,
    /// Seconds that the gate may take. Default 1,800.
    pub gate_timeout_secs: u64,
    /// Where merged work goes.
    pub delivery: Delivery,
    /// How work becomes commits.
    pub merge_style: MergeStyle,
    /// Gates of the merge queue at once. Default 1.
    pub gate_slots: u32,
    /// The most members of a batch of the merge queue; at least 1.
    pub batch_max: u32,
    /// Whether merges are pushed to `origin`.
    pub push: bool,
    /// Whether a pull request needs at least one check to count as checked. Default true.
    #[serde(skip_serializing_if = "is_true")]
    pub require_checks: bool,
    /// Fix runs for one head commit with red checks. Default 2.
    #[serde(skip_serializing_if = "is_usual")]
    pub ci_fix_attempts: u32,
    /// Who commits leftovers.
    pub commit: CommitBy,
    /// Who must be content.
    pub qa: Qa,
    /// The largest file that a change may hold, in bytes. Default 10 MiB.
    pub max_file_size_bytes: u64,
    /// Whether changes outside an item's `touches` are refused.
    pub enforce_touches: bool,
    /// Runs once in a new worktree.
    pub setup: Option<String>,
    /// Runs before a worktree is removed.
    pub teardown: Option<String>,
    /// What agents are told before an item's text: a template, see [`crate::prompt::Template`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Untracked files that are brought into a new worktree.
    pub copy: Vec<String>,
    /// Globs of ignored files that keep a worktree from being removed.
    pub keep: Vec<String>,
    /// No new worktree below this much free disk, in bytes. Default 2 GiB.
    pub min_free_bytes: u64,
    /// How many worktrees are kept warm; 0 = none.
    #[serde(skip_serializing_if = "crate::run::is_default")]
    pub worktree_pool: u32,
    /// Seconds after its end that a mission is archived. Default 14,400.
    pub done_retention_secs: u64,
    /// Seconds that transcripts of archived missions are kept. Default 90 days.
    pub retention_secs: u64,
    /// Whether the forge sends webhooks: `webhook` is set in `[forge]`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub webhooks: bool,
    /// Whether reviews of agents are posted on pull requests: `review_token` is set in `[forge]`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub posts_reviews: bool,
    /// What tokens cost where an agent does not tell it. Stands in `[prices]`.
    #[serde(skip_serializing_if = "Prices::is_empty")]
    pub prices: Prices,
    /// What may be used. Stands in `[quota]`; the quotas of agents stand with them.
    #[serde(skip_serializing_if = "crate::run::is_default")]
    pub quota: Quotas,
}

/// Fix runs for one head commit with red checks, unless the config says otherwise.
const CI_FIX_ATTEMPTS: u32 = 2;

fn is_true(flag: &bool) -> bool {
    *flag
}

fn is_usual(attempts: &u32) -> bool {
    *attempts == CI_FIX_ATTEMPTS
}

impl Default for ProjectSettings {
    fn default() -> Self {
        Self {
            base: None,
            gate: None,
            gate_timeout_secs: 30 * 60,
            delivery: Delivery::default(),
            merge_style: MergeStyle::default(),
            gate_slots: 1,
            batch_max: BATCH_MAX,
            push: false,
            require_checks: true,
            ci_fix_attempts: CI_FIX_ATTEMPTS,
            commit: CommitBy::default(),
            qa: Qa::default(),
            max_file_size_bytes: 10 << 20,
            enforce_touches: false,
            setup: None,
            teardown: None,
            prompt: None,
            copy: Vec::new(),
            keep: Vec::new(),
            min_free_bytes: 2 << 30,
            worktree_pool: 0,
            done_retention_secs: 4 * 3600,
            retention_secs: 90 * 24 * 3600,
            webhooks: false,
            posts_reviews: false,
            prices: Prices::default(),
            quota: Quotas::default(),
        }
    }
}
