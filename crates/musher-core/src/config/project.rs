//! The `[project]` table of a layer.

use serde::{Deserialize, Serialize};

use super::reader::Fields;
use super::settings::{CommitBy, MergeStyle, ProjectSettings};
use crate::item::Qa;
use crate::mission::Delivery;
use crate::plan::{QA, plain, read_globs};
use crate::problem::{Report, position};
use crate::prompt::{Fault, LONGEST_PROMPT, Template};

/// Settings of a project in which any may be left open.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProjectLayer {
    /// The base branch.
    pub base: Option<String>,
    /// The command that must exit 0 before work is merged.
    pub gate: Option<String>,
    /// Seconds that the gate may take.
    pub gate_timeout_secs: Option<u64>,
    /// Where merged work goes.
    pub delivery: Option<Delivery>,
    /// How work becomes commits.
    pub merge_style: Option<MergeStyle>,
    /// Whether merges are pushed to `origin`.
    pub push: Option<bool>,
    /// Whether a pull request without a check is red.
    pub require_checks: Option<bool>,
    /// Fix runs for one head commit with red checks.
    pub ci_fix_attempts: Option<u32>,
    /// `gate_slots`.
    pub gate_slots: Option<u32>,
    /// `batch_max`.
    pub batch_max: Option<u32>,
    /// Who commits leftovers.
    pub commit: Option<CommitBy>,
    /// Who must be content.
    pub qa: Option<Qa>,
    /// The largest file that a change may hold, in bytes.
    pub max_file_size_bytes: Option<u64>,
    /// Whether changes outside an item's `touches` are refused.
    pub enforce_touches: Option<bool>,
    /// Runs once in a new worktree.
    pub setup: Option<String>,
    /// Runs before a worktree is removed.
    pub teardown: Option<String>,
    /// What agents are told before an item's text.
    pub prompt: Option<String>,
    /// Untracked files that are brought into a new worktree.
    pub copy: Option<Vec<String>>,
    /// Globs of ignored files that keep a worktree from being removed.
    pub keep: Option<Vec<String>>,
    /// No new worktree below this much free disk, in bytes.
    pub min_free_bytes: Option<u64>,
    /// How many worktrees are kept warm.
    pub worktree_pool: Option<u32>,
    /// Seconds after its end that a mission is archived.
    pub done_retention_secs: Option<u64>,
    /// Seconds that transcripts of archived missions are kept.
    pub retention_secs: Option<u64>,
}

impl ProjectLayer {
    /// This layer with everything that `over` says in its place.
    #[must_use]
    pub fn merge(self, over: Self) -> Self {
        Self {
            base: over.base.or(self.base),
            gate: over.gate.or(self.gate),
            gate_timeout_secs: over.gate_timeout_secs.or(self.gate_timeout_secs),
            delivery: over.delivery.or(self.delivery),
            merge_style: over.merge_style.or(self.merge_style),
            push: over.push.or(self.push),
            require_checks: over.require_checks.or(self.require_checks),
            ci_fix_attempts: over.ci_fix_attempts.or(self.ci_fix_attempts),
            gate_slots: over.gate_slots.or(self.gate_slots),
            batch_max: over.batch_max.or(self.batch_max),
            commit: over.commit.or(self.commit),
            qa: over.qa.or(self.qa),
            max_file_size_bytes: over.max_file_size_bytes.or(self.max_file_size_bytes),
            enforce_touches: over.enforce_touches.or(self.enforce_touches),
            setup: over.setup.or(self.setup),
            teardown: over.teardown.or(self.teardown),
            prompt: over.prompt.or(self.prompt),
            copy: over.copy.or(self.copy),
            keep: over.keep.or(self.keep),
            min_free_bytes: over.min_free_bytes.or(self.min_free_bytes),
            worktree_pool: over.worktree_pool.or(self.worktree_pool),
            done_retention_secs: over.done_retention_secs.or(self.done_retention_secs),
            retention_secs: over.retention_secs.or(self.retention_secs),
        }
    }

    /// The settings, with the default for everything that is left open.
    pub fn settings(self) -> ProjectSettings {
        let default = ProjectSettings::default();
        ProjectSettings {
            base: self.base,
            gate: self.gate,
            gate_timeout_secs: self.gate_timeout_secs.unwrap_or(default.gate_timeout_secs),
            delivery: self.delivery.unwrap_or(default.delivery),
            merge_style: self.merge_style.unwrap_or(default.merge_style),
            push: self.push.unwrap_or(default.push),
            require_checks: self.require_checks.unwrap_or(default.require_checks),
            ci_fix_attempts: self.ci_fix_attempts.unwrap_or(default.ci_fix_attempts),
            gate_slots: self.gate_slots.unwrap_or(default.gate_slots),
            batch_max: self.batch_max.unwrap_or(default.batch_max),
            commit: self.commit.unwrap_or(default.commit),
            qa: self.qa.unwrap_or(default.qa),
            max_file_size_bytes: self.max_file_size_bytes.unwrap_or(default.max_file_size_bytes),
            enforce_touches: self.enforce_touches.unwrap_or(default.enforce_touches),
            setup: self.setup,
            teardown: self.teardown,
            prompt: self.prompt,
            copy: self.copy.unwrap_or(default.copy),
            keep: self.keep.unwrap_or(default.keep),
            min_free_bytes: self.min_free_bytes.unwrap_or(default.min_free_bytes),
            worktree_pool: self.worktree_pool.unwrap_or(default.worktree_pool),
            done_retention_secs: self.done_retention_secs.unwrap_or(default.done_retention_secs),
            retention_secs: self.retention_secs.unwrap_or(default.retention_secs),
            webhooks: default.webhooks,
            posts_reviews: default.posts_reviews,
            prices: default.prices,
            quota: default.quota,
        }
    }
}

pub(super) fn read(fields: &Fields, report: &mut Report) -> ProjectLayer {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    ProjectLayer {
        base: owned(fields.text("base", report)),
        gate: owned(fields.text("gate", report)),
        gate_timeout_secs: fields.duration_secs("gate_timeout", report),
        delivery: read_delivery(fields, report),
        merge_style: fields.word("merge_style", &STYLES, style_name, report),
        gate_slots: fields.whole_u32("gate_slots", report),
        batch_max: fields.whole_u32("batch_max", report),
        push: fields.flag("push", report),
        require_checks: fields.flag("require_checks", report),
        ci_fix_attempts: fields.whole_u32("ci_fix_attempts", report),
        commit: fields.word("commit", &COMMITTERS, committer_name, report),
        qa: fields.word("qa", &QA, Qa::name, report),
        max_file_size_bytes: fields.size_bytes("max_file_size", report),
        enforce_touches: fields.flag("enforce_touches", report),
        setup: owned(fields.text("setup", report)),
        teardown: owned(fields.text("teardown", report)),
        prompt: read_prompt(fields, report),
        copy: read_paths(fields, report),
        keep: fields.has("keep").then(|| read_globs(fields, "keep", report)),
        min_free_bytes: fields.size_bytes("min_free", report),
        worktree_pool: fields.whole_u32("worktree_pool", report),
        done_retention_secs: fields.duration_secs("done_retention", report),
        retention_secs: fields.duration_secs("retention", report),
    }
}

fn read_delivery(fields: &Fields, report: &mut Report) -> Option<Delivery> {
    fields.word("delivery", &[Delivery::Merge, Delivery::Branch, Delivery::Pr], Delivery::name, report)
}

/// The problems of the template are told at the key: a text of several lines has no places of its own in TOML.
fn read_prompt(fields: &Fields, report: &mut Report) -> Option<String> {
    let text = fields.text("prompt", report)?;
    if text.len() > LONGEST_PROMPT {
        let what = format!("the prompt has {} bytes; it has at most {LONGEST_PROMPT}", text.len());
        report.add_with_fix(
            fields.place("prompt"),
            what,
            "put the details into a file of the repository and name that",
        );
        return None;
    }
    for Fault { at, what, fix } in Template::parse(text).err().unwrap_or_default() {
        let (line, _) = position(text, at);
        report.add_with_fix(fields.place("prompt"), format!("line {line} of the prompt: {what}"), fix);
    }
    Some(text.to_owned())
}

/// Files that are copied from the user's checkout: below it, or anything of the machine could be brought in.
fn read_paths(fields: &Fields, report: &mut Report) -> Option<Vec<String>> {
    let paths = fields.texts("copy", report)?;
    for (at, path) in &paths {
        if path.starts_with('/') || path.split('/').any(|part| part == "..") {
            let fix = "write the path from the repository's root, such as \".env\"";
            report.add_with_fix(*at, format!("`{path}` leaves the repository"), fix);
        }
    }
    Some(plain(paths))
}

const STYLES: [MergeStyle; 3] = [MergeStyle::Squash, MergeStyle::Merge, MergeStyle::Rebase];

pub(super) const fn style_name(style: MergeStyle) -> &'static str {
    match style {
        MergeStyle::Squash => "squash",
        MergeStyle::Merge => "merge",
        MergeStyle::Rebase => "rebase",
    }
}

const COMMITTERS: [CommitBy; 2] = [CommitBy::Musher, CommitBy::Agent];

pub(super) const fn committer_name(committer: CommitBy) -> &'static str {
    match committer {
        CommitBy::Musher => "musher",
        CommitBy::Agent => "agent",
    }
}
