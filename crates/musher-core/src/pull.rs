//! The pull request of an item: made, kept up to date, followed, and merged by the forge.

use serde::{Deserialize, Serialize};

use crate::effect::EffectKind;
use crate::forge::{ForgeWork, PullState};
use crate::id::{ItemId, MissionId};
use crate::item::Item;
use crate::time::Timestamp;
use crate::watch::Looks;

mod comment;
mod look;
mod mend;
mod refusal;
mod tend;
mod wish;

pub(crate) use comment::heed;
pub use comment::{Remark, note_of};
pub(crate) use look::{answered, refused};
pub use mend::{CI_FIXES_OF_ITEM, rebased};
pub use refusal::{Asked, Lack};
pub(crate) use tend::{deliver, failed, hinted, pushed, tend};
pub(crate) use wish::request;
pub use wish::{Wish, awaited};

/// The pull request of an item, as far as musher has made it or has been told. An item has one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pull {
    /// The item.
    pub item: ItemId,
    /// Its mission.
    pub mission: MissionId,
    /// Its number, once it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// Its page.
    #[serde(default, skip_serializing_if = "<str>::is_empty")]
    pub url: Box<str>,
    /// What musher has pushed: the head commit that results count for, and the value that the next push expects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pushed: Option<Box<str>>,
    /// Open, merged or closed.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub state: PullState,
    /// Whether it is a draft.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub draft: bool,
    /// Whether the forge merges it by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub queued: bool,
    /// How often in a row the forge has seen a conflict where a rebase found none.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub empty_rebases: u32,
    /// When it is looked at.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub looks: Looks,
    /// Whether a look has found what no webhook had told of: it is looked at as if there were none, until one comes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub untold: bool,
    /// What was tried against red checks.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub ci: CiFixes,
    /// Reviews and findings that a fix run was told of, by the forge's names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<Box<str>>,
    /// The last comment that was read.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub read_to: u64,
    /// The day of the repository's account that its opening is counted on; 0 = on none.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub counted_on: u64,
    /// Notes among the comments that are not applied yet, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<Remark>,
    /// Who has written a note without being obeyed, and was named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disobeyed: Vec<Box<str>>,
    /// What it waits for that only a person gives, by the last look.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wishes: Vec<Wish>,
    /// When the forge was last asked to merge it, and what it said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Asked>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What is done to a pull request next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next<'a> {
    /// Its branch is pushed, to this head.
    Push(&'a str),
    /// It is opened.
    Open,
    /// The one of this number is looked at.
    Look(u64),
}

/// What was tried against red checks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiFixes {
    /// The head commit that this is about.
    #[serde(default, skip_serializing_if = "<str>::is_empty")]
    pub head: Box<str>,
    /// Whether its failed checks were run again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rerun: bool,
    /// Fix runs for it.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub here: u32,
    /// Fix runs for the item.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub in_all: u32,
}

impl Pull {
    /// What is done to it next, when it is due.
    pub(crate) fn next<'a>(&self, item: &'a Item) -> Next<'a> {
        match (&item.head, self.number) {
            (Some(head), _) if self.pushed.as_ref() != Some(head) => Next::Push(head),
            (_, None) => Next::Open,
            (_, Some(number)) => Next::Look(number),
        }
    }

    /// Its name in words: `#7`.
    pub fn name(&self) -> String {
        self.number.map_or_else(|| "the pull request".to_owned(), |number| format!("pull request #{number}"))
    }
}

/// Whether an effect is one of the things that are done to a pull request one after the other. What is said there is not.
pub(crate) const fn is_its_work(kind: &EffectKind) -> bool {
    match kind {
        EffectKind::PushBranch { .. } | EffectKind::Rebase => true,
        EffectKind::Forge(work) => match work {
            ForgeWork::OpenPull { .. }
            | ForgeWork::LookAtPull { .. }
            | ForgeWork::MarkReady { .. }
            | ForgeWork::RerunChecks { .. }
            | ForgeWork::FetchLog { .. }
            | ForgeWork::MergePull { .. } => true,
            ForgeWork::CommentPull { .. }
            | ForgeWork::EditComment { .. }
            | ForgeWork::React { .. }
            | ForgeWork::LookAtIssue { .. } => false,
        },
        EffectKind::CreateWorktree
        | EffectKind::StartRun(_)
        | EffectKind::StopRun(..)
        | EffectKind::TellRun { .. }
        | EffectKind::AnswerRun { .. }
        | EffectKind::Inspect
        | EffectKind::Gate { .. }
        | EffectKind::PrepareMerge { .. }
        | EffectKind::Land { .. }
        | EffectKind::RemoveWorktree { .. }
        | EffectKind::RunCheck { .. }
        | EffectKind::PrepareFiring(_)
        | EffectKind::FetchUrl { .. } => false,
    }
}

/// The beginning of a commit's id, as people write it.
pub(crate) fn short(commit: &str) -> String {
    commit.chars().take(10).collect()
}
