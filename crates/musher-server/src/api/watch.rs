//! Watches.

use musher_core::id::{ItemId, MissionId};
use musher_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A condition outside that is watched for an item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Watch {
    /// Its id.
    pub id: String,
    /// Its id, short.
    pub short_id: String,
    /// Its mission.
    #[schema(value_type = String, format = "uuid")]
    pub mission: MissionId,
    /// Its item.
    #[schema(value_type = String, format = "uuid")]
    pub item: ItemId,
    /// The plan id of its item.
    pub key: String,
    /// What is watched: `pr_checks`, `bot_comments`, `review_comments`, `mergeability`, `issue_closed`, `command` or `url`.
    pub kind: String,
    /// Where.
    pub target: String,
    /// What it holds up: `start` or `pull` (the end) of its item, or `mission`, the end of that.
    pub holds: String,
    /// `active`, `snoozed` or `done`.
    pub status: String,
    /// Who has closed it, if somebody did.
    pub closed_by: Option<String>,
    /// Until when it rests.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub snoozed_until: Option<Timestamp>,
    /// What the last look saw: `nothing`, `pending`, `triggered` or `done`.
    pub seen: String,
    /// The same in words.
    pub text: Option<String>,
    /// What follows when it triggers: `create_fix_task` or `advance_pipeline`.
    pub on_trigger: String,
    /// When it was last looked at.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub looked_at: Option<Timestamp>,
    /// When it is looked at next; none while a look is under way, or while nothing waits for it.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_due_at: Option<Timestamp>,
    /// Failed looks in a row.
    pub failures: u32,
    /// Why the last one failed.
    pub error: Option<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// Watches, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Watches {
    /// The watches.
    pub watches: Vec<Watch>,
}

/// A watch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WatchDocument {
    /// The watch.
    pub watch: Watch,
}

/// Which watches are asked for.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub struct WatchQuery {
    /// Only those of this mission.
    pub mission: Option<String>,
    /// Those that are done, too.
    pub all: bool,
}

/// A watch as it is asked for: one of `command`, `url` and `issue`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewWatch {
    /// A program and its arguments, run at the repository's root; met when it exits 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// An address; met when it answers with a status of 200 to 299.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// An issue, as `#12` or `owner/name#12`; met when it is closed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issue: Option<String>,
    /// It holds up the end of the mission, and is looked at from the end of the item on; else the start of the item.
    pub then: bool,
}

/// How long a watch is to rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SnoozeWish {
    /// Seconds, from 1 to a year of them.
    pub secs: u64,
}
