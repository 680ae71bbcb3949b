//! A plan and its items.

use serde::{Deserialize, Serialize};

use super::policy::PolicyPatch;
use crate::forge::Reference;
use crate::item::{Kind, Priority, Qa, Wants};
use crate::mission::MissionItem;
use crate::watch::WatchKind;

/// A goal and the items that reach it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// What is to be reached, one line.
    pub goal: String,
    /// What it says about the mission's policy.
    pub policy: PolicyPatch,
    /// Its items, in the order of the text; at least one.
    pub items: Vec<PlanItem>,
}

/// One item of a plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanItem {
    /// Its id: `[a-z0-9-]`, unique in the plan.
    pub id: String,
    /// One line.
    pub title: String,
    /// The prompt, exactly as written; at most [`BODY_LIMIT`] bytes.
    pub body: String,
    /// What sort of work.
    pub kind: Kind,
    /// The role that an agent should have.
    pub role: Option<String>,
    /// How urgent.
    pub priority: Priority,
    /// Capabilities that an agent must have, all of them.
    pub labels: Vec<String>,
    /// Ids of what must be done first, each once.
    pub depends_on: Vec<String>,
    /// Issues outside of the mission that must be closed first.
    pub external: Vec<Reference>,
    /// Programs and addresses that must be met before it starts.
    pub after: Vec<WatchKind>,
    /// Programs and addresses that must be met after it is done, before the mission is.
    pub then: Vec<WatchKind>,
    /// The issue that it comes from.
    pub issue: Option<Reference>,
    /// Globs of what it will change.
    pub touches: Vec<String>,
    /// The only agent that may take it, by name.
    pub agent: Option<String>,
    /// Replaces the project's gate.
    pub gate: Option<String>,
    /// Replaces the project's quality assurance mode.
    pub qa: Option<Qa>,
    /// Replaces the policy's `max_retries`.
    pub max_retries: Option<u32>,
    /// Counted as done from the start.
    pub skip: bool,
}

impl From<PlanItem> for MissionItem {
    fn from(item: PlanItem) -> Self {
        fn boxes(texts: Vec<String>) -> Box<[Box<str>]> {
            texts.into_iter().map(Into::into).collect()
        }
        Self {
            key: item.id.into(),
            title: item.title.into(),
            body: item.body.into(),
            kind: item.kind,
            wants: Wants::Change,
            role: item.role.map(Into::into),
            priority: item.priority,
            labels: boxes(item.labels),
            depends_on: boxes(item.depends_on).into_vec(),
            touches: boxes(item.touches),
            pin: item.agent.map(Into::into),
            gate: item.gate.map(Into::into),
            qa: item.qa,
            max_retries: item.max_retries,
            skip: item.skip,
            after: item.external.into_iter().map(WatchKind::IssueClosed).chain(item.after).collect(),
            then: item.then,
            issue: item.issue,
        }
    }
}

/// The first line of a text that is not blank, cut to `most` characters.
pub(super) fn first_line(text: &str, most: usize) -> String {
    let line = one_line(text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default());
    match line.char_indices().nth(most) {
        Some(_) => {
            let kept: String = line.chars().take(most - 1).collect();
            format!("{}…", kept.trim_end())
        }
        None => line,
    }
}

/// A text as one line: each run of white space is one space, none at the ends.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The largest body, in bytes: 256 KiB.
pub const BODY_LIMIT: usize = 256 << 10;

/// The most items that a plan may have.
pub const ITEM_LIMIT: usize = 100_000;

/// The most watches before an item, and the most after it.
pub(super) const WATCH_LIMIT: usize = 50;

/// The longest id, in characters.
pub const ID_LIMIT: usize = 64;

/// The longest title, in characters.
pub const TITLE_LIMIT: usize = 500;

/// The longest goal, in characters.
pub const GOAL_LIMIT: usize = 2_000;

/// The length to which a title or a goal that is made from a longer text is cut, in characters.
pub(super) const CUT: usize = 120;
