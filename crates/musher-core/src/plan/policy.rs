//! What a file says about a mission's policy.

use serde::{Deserialize, Serialize};

use crate::config::reader::Fields;
use crate::mission::{OnCap, OnRateLimit, Policy};
use crate::problem::Report;
use crate::time::Timestamp;

/// A policy in which any part may be left open.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PolicyPatch {
    /// How many items may be assigned, running or verifying at once.
    pub max_parallel_items: Option<u32>,
    /// Whether implement and test items need a review.
    pub reviewer_required: Option<bool>,
    /// Whether the forge is asked to merge by itself.
    pub auto_merge: Option<bool>,
    /// Seconds between two looks of a watch.
    pub watch_interval_secs: Option<u64>,
    /// Counted failures before the dead letter.
    pub max_retries: Option<u32>,
    /// Dollars at which the mission stops dispatching; 0 = no cap, also where a lower layer has one.
    pub budget_usd: Option<f64>,
    /// Tokens at which the mission stops dispatching; 0 = no cap, also where a lower layer has one.
    pub budget_tokens: Option<u64>,
    /// How many items its agents may add.
    pub max_added_items: Option<u32>,
    /// What becomes of an item whose run a quota has stopped.
    pub on_cap: Option<OnCap>,
    /// What becomes of an item whose agent's account is used up for now.
    pub on_rate_limit: Option<OnRateLimit>,
    /// When the mission has failed if it is not done.
    pub deadline: Option<Timestamp>,
    /// Its share of what can be dispatched, beside other missions.
    pub weight: Option<u32>,
}

impl PolicyPatch {
    /// This patch with everything that `over` says in its place.
    #[must_use]
    pub fn merge(self, over: Self) -> Self {
        Self {
            max_parallel_items: over.max_parallel_items.or(self.max_parallel_items),
            reviewer_required: over.reviewer_required.or(self.reviewer_required),
            auto_merge: over.auto_merge.or(self.auto_merge),
            watch_interval_secs: over.watch_interval_secs.or(self.watch_interval_secs),
            max_retries: over.max_retries.or(self.max_retries),
            budget_usd: over.budget_usd.or(self.budget_usd),
            budget_tokens: over.budget_tokens.or(self.budget_tokens),
            max_added_items: over.max_added_items.or(self.max_added_items),
            on_cap: over.on_cap.or(self.on_cap),
            on_rate_limit: over.on_rate_limit.or(self.on_rate_limit),
            deadline: over.deadline.or(self.deadline),
            weight: over.weight.or(self.weight),
        }
    }

    /// `policy` with everything that this patch says in its place.
    #[must_use]
    pub fn apply(&self, policy: Policy) -> Policy {
        Policy {
            max_parallel_items: self.max_parallel_items.unwrap_or(policy.max_parallel_items),
            reviewer_required: self.reviewer_required.unwrap_or(policy.reviewer_required),
            auto_merge: self.auto_merge.unwrap_or(policy.auto_merge),
            watch_interval_secs: self.watch_interval_secs.unwrap_or(policy.watch_interval_secs),
            max_retries: self.max_retries.unwrap_or(policy.max_retries),
            budget_usd: self.budget_usd.or(policy.budget_usd).filter(|usd| *usd > 0.0),
            budget_tokens: self.budget_tokens.or(policy.budget_tokens).filter(|tokens| *tokens > 0),
            max_added_items: self.max_added_items.unwrap_or(policy.max_added_items),
            on_cap: self.on_cap.unwrap_or(policy.on_cap),
            on_rate_limit: self.on_rate_limit.unwrap_or(policy.on_rate_limit),
            deadline: self.deadline.or(policy.deadline),
            weight: self.weight.unwrap_or(policy.weight),
        }
    }
}

/// Reads a `[policy]` table.
pub(crate) fn read(fields: &Fields, report: &mut Report) -> PolicyPatch {
    PolicyPatch {
        max_parallel_items: fields.whole_u32("max_parallel_items", report),
        reviewer_required: fields.flag("reviewer_required", report),
        auto_merge: fields.flag("auto_merge", report),
        watch_interval_secs: fields.whole("watch_interval_secs", report),
        max_retries: fields.whole_u32("max_retries", report),
        budget_usd: fields.money("budget_usd", report),
        budget_tokens: fields.whole("budget_tokens", report),
        max_added_items: fields.whole_u32("max_added_items", report),
        on_cap: fields.word("on_cap", &OnCap::ALL, OnCap::name, report),
        on_rate_limit: fields.word("on_rate_limit", &OnRateLimit::ALL, OnRateLimit::name, report),
        deadline: fields.moment("deadline", report),
        weight: fields.whole_u32("weight", report),
    }
}
