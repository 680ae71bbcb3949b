//! Watches: conditions outside that musher checks for an item.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::effect::EffectKind;
use crate::event::{Event, Happened};
use crate::forge::{ForgeFailure, ForgeWork, Reference};
use crate::id::{ItemId, MissionId, WatchId};
use crate::item::{BlockedReason, Item};
use crate::state::State;
use crate::step::Context;
use crate::time::Timestamp;
use crate::webhook;

mod look;
mod note;
mod operate;
mod own;

pub(crate) use look::found_of;
pub use look::{changes_requested, checks_of, failed_checks, opens_again, seen_of};
pub(crate) use note::{hurry_all, override_all};
pub(crate) use operate::{add, close, snooze};
pub(crate) use own::{blocked_again, look, look_failed, looked, looked_at_again, overridden, settle};

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

    /// Where it looks, in words; nothing for those of a pull request.
    pub fn target(&self) -> Option<String> {
        match self {
            Self::PrChecks | Self::BotComments | Self::ReviewComments | Self::Mergeability => None,
            Self::IssueClosed(issue) => Some(issue.to_string()),
            Self::Command(argv) => Some(argv.join(" ")),
            Self::Url(url) => Some(url.to_string()),
        }
    }

    /// Why nobody can look there, if so: no program is named, or no address.
    pub fn problem(&self) -> Option<String> {
        match self {
            Self::PrChecks | Self::BotComments | Self::ReviewComments | Self::Mergeability | Self::IssueClosed(_) => {
                None
            }
            Self::Command(argv) if argv.first().is_none_or(|program| program.trim().is_empty()) => {
                Some("the `command` names no program".to_owned())
            }
            Self::Command(argv) if argv.iter().any(|word| word.contains('\0')) => {
                Some("the `command` holds a zero byte".to_owned())
            }
            Self::Command(argv) if argv.iter().map(|word| word.len()).sum::<usize>() > LONGEST_TARGET => {
                Some(format!("the `command` is longer than {LONGEST_TARGET} bytes; put it into a script"))
            }
            Self::Url(url) if url.len() > LONGEST_TARGET => {
                Some(format!("the `url` is longer than {LONGEST_TARGET} bytes"))
            }
            Self::Url(url) => crate::config::problem_of_url(url).map(str::to_owned),
            Self::Command(_) => None,
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

/// What a watch holds up while it is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holds {
    /// The start of its item: a dependency outside.
    #[default]
    Start,
    /// The end of its item: it is one of its pull request.
    Pull,
    /// The end of the mission: it is looked at from the end of its item on.
    Mission,
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

    /// Until when it rests, if it does.
    pub fn rests_until(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Snoozed(until) if *until > now => Some(*until),
            Self::Active | Self::Snoozed(_) | Self::Done | Self::Overridden(_) => None,
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
    /// How many of them count: what is looked at was refused, or is not there.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub refusals: u32,
    /// Why the last one failed, or was put off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Box<str>>,
    /// The forge does not want to be asked before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limited_until: Option<Timestamp>,
    /// Something has changed outside while a look was under way: there is one more, at once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hinted: bool,
    /// The next look is only there for what webhooks may have lost.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fallback: bool,
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
    /// What it holds up.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub holds: Holds,
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
    /// The forge's names of what a look found that keeps it from being done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<Box<str>>,
    /// Its own looks; those of a pull request are looked at together, by the row of that.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub looks: Looks,
    /// When it was made.
    pub created_at: Timestamp,
    /// When what was seen last changed.
    pub changed_at: Timestamp,
}

/// The most bytes of a program with its arguments, or of an address.
pub const LONGEST_TARGET: usize = 8_000;

/// The longest rest that an operator gives a watch: a year.
pub const LONGEST_REST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Failed looks that count, without one that succeeds in between, after which the item is blocked.
pub const FAILURES_IN_A_ROW: u32 = 5;

/// How long a look waits after the n-th failure in a row; the first is 1.
pub fn backoff(failures: u32) -> Duration {
    let minutes = match failures {
        0 | 1 => 1,
        2 => 2,
        _ => 5,
    };
    Duration::from_secs(minutes * 60)
}

/// How long it is from one look to the next.
pub(crate) fn interval(state: &State, mission: MissionId) -> Duration {
    let secs = state.mission(mission).map_or(180, |m| m.row.policy.watch_interval_secs);
    Duration::from_secs(secs.max(1))
}

/// How long it is from one look to the next where webhooks tell what changes meanwhile, and whether they do.
pub(crate) fn interval_between_webhooks(state: &State, mission: MissionId, now: Timestamp) -> (Duration, bool) {
    let usual = interval(state, mission);
    if webhook::are_coming(state, now) { (usual.max(webhook::FALLBACK), true) } else { (usual, false) }
}

/// The looks after one that failed, and why the item is blocked, if it is. A rate limit is no failure, and is kept to. A
/// forge that does not answer is asked again for as long as that takes: nothing is wrong with the item.
pub(crate) fn failed(looks: &Looks, failure: &ForgeFailure, now: Timestamp) -> (Looks, Option<BlockedReason>) {
    let mut after = looks.clone();
    (after.hinted, after.fallback) = (false, false);
    after.error = Some(failure.to_string().into());
    match failure {
        ForgeFailure::Limited { until } => {
            let until = (*until).max(now.after(Duration::from_secs(1)));
            (after.due, after.limited_until) = (Some(until), Some(until));
            (after, None)
        }
        ForgeFailure::Unavailable(_)
        | ForgeFailure::Strange(_)
        | ForgeFailure::Unasked(_)
        | ForgeFailure::Refused(_)
        | ForgeFailure::NotFound(_) => {
            after.limited_until = None;
            after.failures = after.failures.saturating_add(1);
            after.refusals = after.refusals.saturating_add(u32::from(failure.counts()));
            if failure.counts() && after.refusals >= FAILURES_IN_A_ROW {
                after.due = None;
                let reason = BlockedReason::Watch(failure.to_string().into());
                return (after, Some(reason));
            }
            after.due = Some(now.after(backoff(after.failures)));
            (after, None)
        }
    }
}

/// What is said of a look that failed; a rate limit passes by itself, and nothing is said of it. That the forge does not
/// answer is said when that begins, and not of every look that finds it so.
pub(crate) fn failure_event(
    item: &Item,
    watch: &str,
    before: &Looks,
    failure: &ForgeFailure,
    cx: &Context,
) -> Option<Event> {
    let said = match failure {
        ForgeFailure::Limited { .. } => false,
        ForgeFailure::Unavailable(_) => before.failures == before.refusals,
        ForgeFailure::Strange(_) | ForgeFailure::Unasked(_) | ForgeFailure::Refused(_) | ForgeFailure::NotFound(_) => {
            true
        }
    };
    said.then(|| cx.about(item, Happened::WatchFailed { watch: watch.into(), error: failure.to_string().into() }))
}

/// The looks of something that is to be looked at at once: now, or once more after the look that is under way. Not before
/// the forge wants to be asked again.
pub(crate) fn hurried(looks: &Looks, now: Timestamp) -> Looks {
    let mut after = looks.clone();
    if looks.limited_until.is_some_and(|until| until > now) {
        return after;
    }
    after.fallback = false;
    match looks.due {
        Some(due) if due > now => after.due = Some(now),
        Some(_) => {}
        None => after.hinted = true,
    }
    after
}

/// A new watch of an item; one that does not wait for something else first is due at once.
pub(crate) fn new(item: &Item, kind: WatchKind, holds: Holds, cx: &mut Context) -> Watch {
    let due = (holds == Holds::Start).then_some(cx.now);
    Watch {
        id: WatchId::new(cx.now, cx.entropy),
        mission: item.mission,
        item: item.id,
        kind,
        holds,
        status: WatchStatus::Active,
        seen: Seen::Nothing,
        text: None,
        head: item.head.clone(),
        found: Vec::new(),
        looks: Looks { due, ..Looks::default() },
        created_at: cx.now,
        changed_at: cx.now,
    }
}

/// Whether an effect is a look at this watch.
pub(crate) fn is_look_of(kind: &EffectKind, watch: WatchId) -> bool {
    match kind {
        EffectKind::Forge(ForgeWork::LookAtIssue { watch: of, .. })
        | EffectKind::RunCheck { watch: of, .. }
        | EffectKind::FetchUrl { watch: of, .. } => *of == watch,
        EffectKind::Forge(_)
        | EffectKind::PrepareFiring(_)
        | EffectKind::CreateWorktree
        | EffectKind::StartRun(_)
        | EffectKind::StopRun(..)
        | EffectKind::TellRun { .. }
        | EffectKind::AnswerRun { .. }
        | EffectKind::Inspect
        | EffectKind::Gate { .. }
        | EffectKind::PrepareMerge { .. }
        | EffectKind::Rebase
        | EffectKind::Land { .. }
        | EffectKind::RemoveWorktree { .. }
        | EffectKind::PushBranch { .. } => false,
    }
}
