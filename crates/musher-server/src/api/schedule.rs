//! Schedules.

use musher_core::mission::Policy as CorePolicy;
use musher_core::schedule::{Misfire, Notify, Overlap, RunOn};
use musher_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A schedule: something that happens by itself at planned moments.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Schedule {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `armed`, `running`, `paused`, `disabled` or `over`.
    pub status: String,
    /// `config` or `operator`.
    pub source: String,
    /// When it is due, in words, such as `cron 0 2 * * * (Europe/Berlin)`.
    pub when: String,
    /// What it does: `mission`, `prompt` or `note`.
    pub action: String,
    /// Its next planned moment.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub due: Option<Timestamp>,
    /// The last planned moment that fired.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub fired_due: Option<Timestamp>,
    /// How many planned moments wait for the end of a firing.
    pub queued: usize,
    /// Failures in a row.
    pub failures: u32,
    /// After a failure: nothing fires before.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub not_before: Option<Timestamp>,
    /// Why it is paused.
    pub paused: Option<String>,
    /// What it is, with the keys of `[[schedules]]` in musher.toml.
    pub spec: NewSchedule,
}

/// A schedule as it is asked for, with the keys of `[[schedules]]` in musher.toml. One of `cron`, `every_secs` and `at`, and
/// one of `prompt`, `plan`, `plan_file` and `note`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewSchedule {
    /// Its name: 1 to 64 of `[a-z0-9_-]`.
    pub name: String,
    /// A cron expression of 5 fields, or 6 with seconds first.
    pub cron: Option<String>,
    /// The zone of `cron`, an IANA name. Default `UTC`.
    pub tz: Option<String>,
    /// So many seconds apart.
    pub every_secs: Option<u64>,
    /// Once.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub at: Option<Timestamp>,
    /// A program and its arguments that is asked first.
    pub check: Option<Vec<String>>,
    /// After which end of the check the action follows: `failure`, `success` or `any`. Default `failure`.
    #[schema(value_type = Option<String>)]
    pub run_on: Option<RunOn>,
    /// Seconds that the check may take. Default 30.
    pub check_timeout_secs: Option<u64>,
    /// A mission of one item with this prompt.
    pub prompt: Option<String>,
    /// The only agent that may take it.
    pub agent: Option<String>,
    /// A mission of this plan.
    pub plan: Option<String>,
    /// A mission of this file, as it is then.
    pub plan_file: Option<String>,
    /// A note on `mission`.
    pub note: Option<String>,
    /// The mission of `note`.
    pub mission: Option<String>,
    /// `skip`, `queue` or `replace`. Default `skip`.
    #[schema(value_type = Option<String>)]
    pub overlap: Option<Overlap>,
    /// `once`, `all` or `none`. Default `once`.
    #[schema(value_type = Option<String>)]
    pub misfire: Option<Misfire>,
    /// Seconds that a firing may take. Default 1800.
    pub timeout_secs: Option<u64>,
    /// `all`, `completions`, `failures` or `none`. Default `failures`.
    #[schema(value_type = Option<String>)]
    pub notify: Option<Notify>,
    /// Whether it fires. Default true.
    pub enabled: Option<bool>,
    /// The policy of its missions, where their plan says nothing.
    #[schema(value_type = Option<super::Policy>)]
    pub policy: Option<CorePolicy>,
}

/// One firing of a schedule or a trigger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Firing {
    /// Its id.
    pub id: String,
    /// The planned moment; of a trigger that of the event.
    #[schema(value_type = String, format = "date-time")]
    pub due: Timestamp,
    /// Earlier moments that it stands for, too.
    pub missed: u32,
    /// `waiting`, `preparing`, `running`, `unneeded`, `done`, `failed`, `timed_out` or `cancelled`.
    pub outcome: String,
    /// The mission that it made, or that its note was for.
    pub mission: Option<String>,
    /// What came of it, in words.
    pub text: Option<String>,
    /// When it began.
    #[schema(value_type = String, format = "date-time")]
    pub fired_at: Timestamp,
    /// When it was over.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub finished_at: Option<Timestamp>,
    /// The event that a trigger fired on, by its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<u64>,
    /// The event's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_kind: Option<String>,
}

/// All schedules, by name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Schedules {
    /// The schedules.
    pub schedules: Vec<Schedule>,
}

/// A schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScheduleDocument {
    /// The schedule.
    pub schedule: Schedule,
}

/// What became of a schedule's moments, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Firings {
    /// The firings.
    pub firings: Vec<Firing>,
}

/// How much of a history is asked for.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
pub struct FiringQuery {
    /// At most so many, 1 to 1000. Default 20.
    pub limit: u32,
}

impl Default for FiringQuery {
    fn default() -> Self {
        Self { limit: 20 }
    }
}
