//! Watches: conditions outside that musher checks for an item.

use serde::{Deserialize, Serialize};

use crate::forge::Reference;
use crate::id::{ItemId, MissionId, WatchId};
use crate::time::Timestamp;

/// What is watched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchKind {
    /// The checks of the item's pull request.
    PrChecks,
    /// What bots have found in it.
    BotComments,
    /// What people have said of it.
    ReviewComments,
    /// Whether it can be merged.
    Mergeability,
    /// An issue that the item depends on and that is none of the mission's.
    IssueClosed(Reference),
    /// A program; met when it exits 0.
    Command(Box<[Box<str>]>),
    /// An address; met when it answers with a status of 200 to 299.
    Url(Box<str>),
}

impl WatchKind {
    /// Those of a pull request.
    pub const OF_PULL: [Self; 4] = [Self::PrChecks, Self::BotComments, Self::ReviewComments, Self::Mergeability];

    /// The word on the command line, in the API and in the store.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::PrChecks => "pr_checks",
            Self::BotComments => "bot_comments",
            Self::ReviewComments => "review_comments",
            Self::Mergeability => "mergeability",
            Self::IssueClosed(_) => "issue_closed",
            Self::Command(_) => "command",
            Self::Url(_) => "url",
        }
    }

    /// What follows when it triggers.
    pub const fn on_trigger(&self) -> OnTrigger {
        match self {
            Self::PrChecks | Self::BotComments | Self::ReviewComments => OnTrigger::CreateFixTask,
            Self::Mergeability | Self::IssueClosed(_) | Self::Command(_) | Self::Url(_) => OnTrigger::AdvancePipeline,
        }
    }

    /// Whether it is one of a pull request's, which are looked at together.
    pub const fn is_of_pull(&self) -> bool {
        match self {
            Self::PrChecks | Self::BotComments | Self::ReviewComments | Self::Mergeability => true,
            Self::IssueClosed(_) | Self::Command(_) | Self::Url(_) => false,
        }
    }
}

/// What follows when a watch triggers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnTrigger {
    /// The item is mended by another run.
    CreateFixTask,
    /// The item goes on.
    AdvancePipeline,
    /// A reviewer is told.
    NotifyReviewer,
}

impl OnTrigger {
    /// The word in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CreateFixTask => "create_fix_task",
            Self::AdvancePipeline => "advance_pipeline",
            Self::NotifyReviewer => "notify_reviewer",
        }
    }
}

/// Where a watch stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchStatus {
    /// It is looked at.
    #[default]
    Active,
    /// It has triggered, and triggers again at the earliest then.
    Snoozed(Timestamp),
    /// Its condition is met.
    Done,
    /// An operator has decided that it holds nothing up.
    Overridden(Box<str>),
}

impl WatchStatus {
    /// The word in the API and in the store: an overridden one is done.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Snoozed(_) => "snoozed",
            Self::Done | Self::Overridden(_) => "done",
        }
    }

    /// Whether it still holds something up.
    pub const fn is_open(&self) -> bool {
        match self {
            Self::Active | Self::Snoozed(_) => true,
            Self::Done | Self::Overridden(_) => false,
        }
    }
}

/// What the last look said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// Nothing yet.
    #[default]
    Nothing,
    /// Neither one nor the other.
    Pending,
    /// What it watches for has happened.
    Triggered,
    /// Its condition is met.
    Done,
}

impl Seen {
    /// The word in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Pending => "pending",
            Self::Triggered => "triggered",
            Self::Done => "done",
        }
    }
}

/// When something is looked at, and how often that failed in a row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looks {
    /// The next look; none while one is under way, or while nobody has to look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// The last one that was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub looked_at: Option<Timestamp>,
    /// Failed looks in a row.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub failures: u32,
    /// Why the last one failed, or was put off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Box<str>>,
    /// Something has changed outside while a look was under way: there is one more, at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hinted: bool,
}

/// A condition outside that musher checks for an item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    /// Its id.
    pub id: WatchId,
    /// The mission.
    pub mission: MissionId,
    /// The item that it is for.
    pub item: ItemId,
    /// What is watched.
    pub kind: WatchKind,
    /// Where it stands.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub status: WatchStatus,
    /// What the last look said.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub seen: Seen,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Box<str>>,
    /// The head commit that this was seen of, for those of a pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<Box<str>>,
    /// Its own looks; those of a pull request are looked at together, by the row of that.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub looks: Looks,
    /// When it was made.
    pub created_at: Timestamp,
    /// When what was seen last changed.
    pub changed_at: Timestamp,
}
