//! Schedules: what happens by itself at planned moments.
//!
//! A moment that is due, the firing that it makes and what the firing asks of the world are one change: none is lost, and
//! none fires twice. The next moment is always counted from the planned one, never from now.
//!
//! Open `moment.rs` for which moments those are, `fire.rs` for what becomes of one, `operate.rs` for what the
//! configuration and operators do.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::action::Action;
use crate::id::{FiringId, ScheduleId};
use crate::mission::Policy;
use crate::time::Timestamp;

mod fire;
mod moment;
mod operate;

pub(crate) use fire::ended;
pub use fire::fire;
pub use moment::{Cron, CronProblem};
pub use operate::{add, disable, enable, remove, run_now, sync};
pub(crate) use operate::{check_name, is_name};

/// How late a moment may be and still count as met: what is later was missed, and the misfire policy decides. (Quartz
/// has the same minute.)
pub const GRACE: Duration = Duration::from_secs(60);
/// The most missed moments that `misfire = "all"` makes up for; older ones are counted as skipped.
pub const MOST_MADE_UP: usize = 1_000;
/// The most firings that wait behind a live one with `overlap = "queue"`; later ones are skipped.
pub const MOST_QUEUED: usize = 100;
/// How long a check may take when nothing else is said.
pub const USUAL_CHECK_SECS: u64 = 30;
/// How long an action may take when nothing else is said.
pub const USUAL_TIMEOUT_SECS: u64 = 30 * 60;
/// The longest name, in characters of `[a-z0-9_-]`.
pub const LONGEST_NAME: usize = 64;

/// When a schedule is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// At the moments of a cron expression of 5 fields, or 6 with seconds first.
    Cron {
        /// The expression.
        expression: Box<str>,
        /// The zone's IANA name; empty is UTC.
        tz: Box<str>,
    },
    /// Again and again, so many seconds apart; at least 1.
    Every {
        /// How many.
        secs: u64,
    },
    /// Once.
    At(Timestamp),
}

impl std::fmt::Display for When {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cron { expression, tz } if tz.is_empty() => write!(f, "cron {expression} (UTC)"),
            Self::Cron { expression, tz } => write!(f, "cron {expression} ({tz})"),
            Self::Every { secs } => write!(f, "every {}", crate::config::show_seconds(*secs)),
            Self::At(at) => write!(f, "at {at}"),
        }
    }
}

/// Which end of its check a firing goes on after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOn {
    /// When it exits other than 0, or takes too long.
    #[default]
    Failure,
    /// When it exits 0.
    Success,
    /// Whenever it could be run.
    Any,
}

impl RunOn {
    /// The word in the configuration and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Success => "success",
            Self::Any => "any",
        }
    }

    /// Whether a firing goes on after a check that ended so.
    pub const fn wants(self, ok: bool) -> bool {
        match self {
            Self::Failure => !ok,
            Self::Success => ok,
            Self::Any => true,
        }
    }
}

/// A program that is asked first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// The program and its arguments, run at the repository's root.
    pub argv: Box<[Box<str>]>,
    /// After which end the action follows.
    pub run_on: RunOn,
    /// Seconds that it and all that it started may take.
    pub timeout_secs: u64,
}

/// What becomes of a moment that is due while an earlier firing is live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is skipped, and the log says so.
    #[default]
    Skip,
    /// It fires when the live one is over.
    Queue,
    /// The live one is stopped, and it fires.
    Replace,
}

impl Overlap {
    /// The word in the configuration and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Queue => "queue",
            Self::Replace => "replace",
        }
    }
}

/// What becomes of moments that were missed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misfire {
    /// One firing for all of them.
    #[default]
    Once,
    /// A firing each, the last [`MOST_MADE_UP`] of them.
    All,
    /// Nothing.
    None,
}

impl Misfire {
    /// The word in the configuration and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Once => "once",
            Self::All => "all",
            Self::None => "none",
        }
    }
}

/// Which firings are reported to people, by an event `schedule_reported`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notify {
    /// Each beginning and each end.
    All,
    /// Those that did what they were for.
    Completions,
    /// Those that did not.
    #[default]
    Failures,
    /// None.
    None,
}

impl Notify {
    /// The word in the configuration and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Completions => "completions",
            Self::Failures => "failures",
            Self::None => "none",
        }
    }
}

/// A schedule as it is defined.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleSpec {
    /// Its name, unique: 1 to [`LONGEST_NAME`] of `[a-z0-9_-]`.
    pub name: Box<str>,
    /// When it is due.
    pub when: When,
    /// What is asked first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
    /// What follows.
    pub action: Action,
    /// When an earlier firing is live.
    pub overlap: Overlap,
    /// When moments were missed.
    pub misfire: Misfire,
    /// Seconds that a firing may take.
    pub timeout_secs: u64,
    /// What people are told.
    pub notify: Notify,
    /// Whether it fires.
    pub enabled: bool,
    /// The policy of its missions, where their plan says nothing.
    pub policy: Policy,
}

/// Who defined a schedule or a trigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// `musher.toml`.
    Config,
    /// A person, by the command line or the API.
    Operator,
}

impl Source {
    /// The word in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Operator => "operator",
        }
    }
}

/// Why a schedule or a trigger is switched off that its definition switches on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Off {
    /// An operator wants it so, until one enables it; an edit of the configuration does not.
    Operator,
    /// It left the configuration; it is on again when it comes back.
    Gone,
}

/// A schedule, as it is stored. Its history is its firings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// Its id.
    pub id: ScheduleId,
    /// What it is.
    pub spec: ScheduleSpec,
    /// Who defined it.
    pub source: Source,
    /// Why it is off although `spec` says that it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off: Option<Off>,
    /// Its next planned moment; none when there is none, or while it does not fire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// The firing that is live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<FiringId>,
    /// The planned moments that wait for the live one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queued: Vec<Timestamp>,
    /// Failures in a row.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub failures: u32,
    /// After a failure: nothing fires before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Why it does not fire although it is enabled: it has failed too often.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Box<str>>,
    /// The last planned moment that fired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired_due: Option<Timestamp>,
    /// It is gone; its history stays.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
    /// When it was defined.
    pub created_at: Timestamp,
    /// When its row changed last.
    pub updated_at: Timestamp,
}

impl Schedule {
    /// Whether it fires when it is due.
    pub fn fires(&self) -> bool {
        self.spec.enabled && self.off.is_none() && !self.removed && self.paused.is_none()
    }

    /// The word for people: `armed`, `running`, `paused`, `disabled`, `over` or `removed`.
    pub fn status(&self) -> &'static str {
        if self.removed {
            "removed"
        } else if self.live.is_some() {
            "running"
        } else if self.paused.is_some() {
            "paused"
        } else if !self.spec.enabled || self.off.is_some() {
            "disabled"
        } else if self.due.is_none() {
            "over"
        } else {
            "armed"
        }
    }
}
