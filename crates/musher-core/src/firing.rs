//! Firings: one each time that a schedule or a trigger fires, and how it ends.
//!
//! What fires asks the world first (a check, a plan, the base branch), which is an effect; then its action is done, and
//! what that made is followed to its end. All of that is the same for both; what differs is in `schedule/fire.rs` and
//! `trigger/fire.rs`.

use serde::{Deserialize, Serialize};

use crate::action::{Action, act};
use crate::change::Change;
use crate::command::{Answer, Refused};
use crate::effect::Stop;
use crate::id::{FiringId, MissionId, ScheduleId, TriggerId};
use crate::mission::{self, MissionState, Policy};
use crate::schedule::Check;
use crate::state::State;
use crate::step::Context;
use crate::time::Timestamp;
use crate::trigger::Cause;
use crate::{schedule, trigger};

/// Failures in a row after which a schedule or a trigger is paused.
pub const FAILURES_IN_A_ROW: u32 = 10;

/// Where a firing stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FiringState {
    /// It waits until the earlier firings of its trigger have begun.
    Waiting,
    /// Its check is asked, its plan is read.
    Preparing,
    /// Its mission is at work.
    Running,
    /// Its check said that there is nothing to do.
    Unneeded,
    /// It did what it was for.
    Done,
    /// It did not.
    Failed,
    /// It took too long.
    TimedOut,
    /// A later one took its place, or a person ended it.
    Cancelled,
}

impl FiringState {
    /// The word in the store and the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Preparing => "preparing",
            Self::Running => "running",
            Self::Unneeded => "unneeded",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether it is not over.
    pub const fn is_live(self) -> bool {
        match self {
            Self::Waiting | Self::Preparing | Self::Running => true,
            Self::Unneeded | Self::Done | Self::Failed | Self::TimedOut | Self::Cancelled => false,
        }
    }

    /// Whether it counts as a failure of its schedule or trigger.
    pub const fn is_failure(self) -> bool {
        match self {
            Self::Failed | Self::TimedOut => true,
            Self::Waiting | Self::Preparing | Self::Running | Self::Unneeded | Self::Done | Self::Cancelled => false,
        }
    }
}

/// What has fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FiringOf {
    /// A schedule.
    Schedule(ScheduleId),
    /// A trigger.
    Trigger(TriggerId),
}

impl FiringOf {
    /// The 16 bytes of its id, as they are stored.
    pub fn as_bytes(&self) -> &[u8; 16] {
        match self {
            Self::Schedule(id) => id.as_bytes(),
            Self::Trigger(id) => id.as_bytes(),
        }
    }
}

/// One firing of a schedule or a trigger, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firing {
    /// Its id.
    pub id: FiringId,
    /// Of which schedule or trigger.
    #[serde(flatten)]
    pub of: FiringOf,
    /// The planned moment; when a person asked for it, that moment; of a trigger the moment of the event.
    pub due: Timestamp,
    /// Earlier moments that it stands for, too.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub missed: u32,
    /// Where it stands.
    pub state: FiringState,
    /// The mission that it made, or that its note was for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mission: Option<MissionId>,
    /// What came of it, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Box<str>>,
    /// When it began.
    pub fired_at: Timestamp,
    /// When it is ended if it is still live; never, of a trigger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// The event that a trigger fired on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Box<Cause>>,
}

/// What the world answers to a firing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prepared {
    /// The check says that there is nothing to do.
    Unneeded {
        /// What it said.
        text: Box<str>,
    },
    /// The action may follow.
    Go {
        /// The mission that it makes; none for a note.
        start: Option<Box<crate::mission::StartMission>>,
        /// What the check said; empty without one.
        text: Box<str>,
    },
    /// The check could not be run, or the plan cannot be used.
    Failed {
        /// What happened and how to mend it.
        error: Box<str>,
    },
}

/// What the driver needs to know to prepare a firing.
#[derive(Clone, Copy, Debug)]
pub struct Wish<'a> {
    /// What is asked first.
    pub check: Option<&'a Check>,
    /// What may follow.
    pub action: &'a Action,
    /// The policy of its mission, where the plan says nothing.
    pub policy: &'a Policy,
}

/// What a live firing wishes; nothing when it is over.
pub fn wish(state: &State, id: FiringId) -> Option<Wish<'_>> {
    match state.firing(id)?.of {
        FiringOf::Schedule(id) => {
            let spec = &state.schedule(id)?.spec;
            Some(Wish { check: spec.check.as_ref(), action: &spec.action, policy: &spec.policy })
        }
        FiringOf::Trigger(id) => {
            let spec = &state.trigger(id)?.spec;
            Some(Wish { check: None, action: &spec.action, policy: &spec.policy })
        }
    }
}

pub(crate) const fn stale() -> Refused {
    Refused::Stale { what: "its firing is over" }
}

/// The world has answered what a firing asked of it.
pub fn prepared(state: &State, id: FiringId, prepared: &Prepared, cx: &mut Context) -> Result<Change, Refused> {
    let firing = state.firing(id).filter(|f| f.state == FiringState::Preparing).ok_or_else(stale)?;
    let action = wish(state, id).ok_or_else(stale)?.action;
    let none = Change::default();
    let (start, text) = match prepared {
        Prepared::Unneeded { text } => return Ok(end(state, &none, firing, FiringState::Unneeded, text, cx)),
        Prepared::Failed { error } => return Ok(end(state, &none, firing, FiringState::Failed, error, cx)),
        Prepared::Go { start, text } => (start, text),
    };
    let start = match (&firing.cause, start) {
        (Some(cause), Some(start)) => Some(trigger::task(start, cause, cx)),
        (None, Some(start)) => Some((**start).clone()),
        (_, None) => None,
    };
    match act(state, action, start.as_ref(), cx) {
        Ok((mut change, mission, None)) => {
            let rows = change.missions.iter_mut().filter(|row| row.id == mission);
            rows.for_each(|row| row.cause = firing.cause.as_ref().map(|cause| Box::new(cause.without_text())));
            let mut firing = firing.clone();
            firing.state = FiringState::Running;
            firing.mission = Some(mission);
            firing.text = (!text.is_empty()).then(|| text.clone());
            change.answer = Answer::Done;
            change.firings.push(firing);
            Ok(change)
        }
        Ok((mut change, mission, Some(said))) => {
            let firing = Firing { mission: Some(mission), ..firing.clone() };
            let ended = end(state, &change, &firing, FiringState::Done, &said, cx);
            change.extend(ended);
            change.answer = Answer::Done;
            Ok(change)
        }
        Err(refused) => Ok(end(state, &none, firing, FiringState::Failed, &refused.to_string(), cx)),
    }
}

/// A firing has taken too long.
pub fn expire(state: &State, id: FiringId, cx: &mut Context) -> Result<Change, Refused> {
    let firing = state.firing(id).ok_or_else(stale)?;
    let expires_at = firing.expires_at.filter(|at| *at <= cx.now).ok_or_else(stale)?;
    let secs = expires_at.since(firing.fired_at).as_secs();
    let text = format!("it was not over after {}", crate::config::show_seconds(secs));
    Ok(give_up(state, id, FiringState::TimedOut, &text, cx))
}

/// Ends a live firing with all that it has begun.
pub(crate) fn give_up(state: &State, id: FiringId, to: FiringState, text: &str, cx: &mut Context) -> Change {
    let Some(firing) = state.firing(id) else { return Change::default() };
    let mut change = Change::default();
    if let Some(mission) = firing.mission
        && let Ok(stopped) = mission::stop(state, mission, Stop::Interrupt, cx)
    {
        change.extend(stopped);
    }
    let ended = end(state, &change, firing, to, text, cx);
    change.extend(ended);
    change
}

/// What a step has done to missions, as the firings that made them see it.
pub fn settle(state: &State, change: &mut Change, cx: &mut Context) {
    let mut over = Vec::new();
    for (at, row) in change.missions.iter().enumerate() {
        let is_last = !change.missions[at + 1..].iter().any(|later| later.id == row.id);
        if !is_last || !row.state.is_terminal() {
            continue;
        }
        let Some(firing) = state.firing_of(row.id) else { continue };
        if change.firings.iter().any(|f| f.id == firing.id && !f.state.is_live()) {
            continue;
        }
        let (to, text) = match row.state {
            MissionState::Completed => (FiringState::Done, "its mission is completed".to_owned()),
            MissionState::Cancelled => (FiringState::Cancelled, "its mission was cancelled".to_owned()),
            MissionState::Failed
            | MissionState::Planning
            | MissionState::AwaitingApproval
            | MissionState::Running
            | MissionState::Blocked
            | MissionState::Paused => {
                let why = row.blocked_reason.as_deref().unwrap_or("no reason is known");
                (FiringState::Failed, format!("its mission failed: {why}"))
            }
        };
        over.push((firing, to, text));
    }
    for (firing, to, text) in over {
        let ended = end(state, change, firing, to, &text, cx);
        change.extend(ended);
    }
}

/// Writes down how a firing ended, and lets what fired count it. `so_far` is what the same step has decided already.
fn end(state: &State, so_far: &Change, firing: &Firing, to: FiringState, text: &str, cx: &mut Context) -> Change {
    let text: Box<str> = text.chars().take(LONGEST_TEXT).collect::<String>().into();
    let ended = Firing { state: to, text: Some(text), finished_at: Some(cx.now), ..firing.clone() };
    // What it asked of the world is not wanted any more; when this is the answer, it is closed with the report.
    let mut change = Change { closed: state.effects_of_firing(firing.id).collect(), ..Change::default() };
    change.extend(match firing.of {
        FiringOf::Schedule(id) => schedule::ended(state, id, ended, cx),
        FiringOf::Trigger(id) => trigger::ended(state, so_far, id, ended, cx),
    });
    change
}

/// The longest text of a firing, in characters.
const LONGEST_TEXT: usize = 2_000;
