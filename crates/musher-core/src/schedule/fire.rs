//! What becomes of a moment that is due, and how a firing ends.

use std::time::Duration;

use super::{
    Action, FAILURES_IN_A_ROW, Firing, FiringState, GRACE, MOST_MADE_UP, MOST_QUEUED, Misfire, Notify, Overlap,
    Prepared, Schedule,
};
use crate::change::Change;
use crate::command::{Answer, Refused};
use crate::effect::{EffectKind, Stop};
use crate::event::Happened;
use crate::id::{FiringId, MissionId, ScheduleId, matches_prefix};
use crate::mission::{self, MissionState, StartMission};
use crate::note;
use crate::retry::backoff;
use crate::state::State;
use crate::step::Context;
use crate::time::Timestamp;

fn stale() -> Refused {
    Refused::Stale { what: "its firing is over" }
}

/// The next planned moment of a schedule is due.
pub fn fire(state: &State, id: ScheduleId, cx: &mut Context) -> Result<Change, Refused> {
    let known = state.schedule(id).filter(|s| s.fires()).ok_or_else(stale)?;
    let due = known.due.filter(|due| *due <= cx.now).ok_or_else(stale)?;
    let mut row = Schedule { updated_at: cx.now, ..known.clone() };
    let when = known.spec.when.clone();
    if cx.now.since(due) <= GRACE {
        row.due = when.next(due);
        return Ok(met(state, row, due, 0, cx));
    }
    match known.spec.misfire {
        Misfire::Once => {
            let last = when.last(due, cx.now);
            row.due = when.next(last);
            Ok(met(state, row, last, when.count(due, last), cx))
        }
        Misfire::All => {
            let oldest = when.back(when.last(due, cx.now), MOST_MADE_UP - 1, due);
            let mut change = Change::default();
            if oldest > due {
                let why = format!("more than {MOST_MADE_UP} moments were missed, and these are the oldest");
                change.events.push(skipped(&row, due, when.count(due, oldest), &why, cx));
            }
            row.due = when.next(oldest);
            change.extend(met(state, row, oldest, 0, cx));
            Ok(change)
        }
        Misfire::None => {
            // What is due within the grace is not missed: it fires at the next look, which is at once.
            let missed_until = cx.now.before(GRACE).before(Duration::from_micros(1));
            let next = when.next(when.last(due, missed_until));
            let count = when.count(due, next.unwrap_or(cx.now).min(cx.now));
            let event = skipped(&row, due, count, "musher was not there, or the clock was set forward", cx);
            row.due = next;
            Ok(Change { schedules: vec![row], events: vec![event], ..Change::default() })
        }
    }
}

/// A moment that fires, unless something is in its way.
fn met(state: &State, mut row: Schedule, due: Timestamp, missed: u32, cx: &mut Context) -> Change {
    if let Some(until) = row.not_before.filter(|until| *until > cx.now) {
        let why = format!("it has failed {} times in a row, and rests until {until}", row.failures);
        let event = skipped(&row, due, missed.saturating_add(1), &why, cx);
        return Change { schedules: vec![row], events: vec![event], ..Change::default() };
    }
    let Some(live) = row.live else { return begin(row, due, missed, cx) };
    match row.spec.overlap {
        Overlap::Queue if row.queued.len() < MOST_QUEUED => {
            row.queued.push(due);
            Change { schedules: vec![row], ..Change::default() }
        }
        Overlap::Skip | Overlap::Queue => {
            let why = match row.spec.overlap {
                Overlap::Queue => format!("{MOST_QUEUED} moments wait already"),
                Overlap::Skip | Overlap::Replace => format!("firing {} is not over", live.short()),
            };
            let event = skipped(&row, due, missed.saturating_add(1), &why, cx);
            Change { schedules: vec![row], events: vec![event], ..Change::default() }
        }
        Overlap::Replace => {
            let mut change = give_up(state, live, FiringState::Cancelled, "a later firing takes its place", cx);
            let row = latest(&change, row);
            change.extend(begin(row, due, missed, cx));
            change
        }
    }
}

/// The row with what an earlier part of the same change made of it, but with its own next moment.
fn latest(change: &Change, row: Schedule) -> Schedule {
    match change.schedules.iter().rev().find(|s| s.id == row.id) {
        Some(newer) => Schedule { due: row.due, ..newer.clone() },
        None => row,
    }
}

/// Begins a firing. The schedule's row says which moment is next already.
pub(super) fn begin(mut row: Schedule, due: Timestamp, missed: u32, cx: &mut Context) -> Change {
    let firing = Firing {
        id: FiringId::new(cx.now, cx.entropy),
        schedule: row.id,
        due,
        missed,
        state: FiringState::Preparing,
        mission: None,
        text: None,
        fired_at: cx.now,
        expires_at: cx.now.after(Duration::from_secs(row.spec.timeout_secs)),
        finished_at: None,
    };
    row.live = Some(firing.id);
    row.fired_due = Some(due);
    let mut change = Change::default();
    let name = row.spec.name.clone();
    change.events.push(cx.event(Happened::ScheduleFired { schedule: name.clone(), firing: firing.id, due, missed }));
    if row.spec.notify == Notify::All {
        change.events.push(reported(&row, "it has begun", cx));
    }
    change.effects.push(cx.effect_of_none(EffectKind::PrepareFiring(firing.id)));
    change.firings.push(firing);
    change.schedules.push(row);
    change
}

/// The world has answered what a firing asked of it.
pub fn prepared(state: &State, id: FiringId, prepared: &Prepared, cx: &mut Context) -> Result<Change, Refused> {
    let firing = state.firing(id).filter(|f| f.state == FiringState::Preparing).ok_or_else(stale)?;
    let row = state.schedule(firing.schedule).ok_or_else(stale)?;
    match prepared {
        Prepared::Unneeded { text } => Ok(end(state, firing, FiringState::Unneeded, text, cx)),
        Prepared::Failed { error } => Ok(end(state, firing, FiringState::Failed, error, cx)),
        Prepared::Go { start, text } => match act(state, row, start.as_deref(), cx) {
            Ok((mut change, mission, None)) => {
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
                change.extend(end(state, &firing, FiringState::Done, &said, cx));
                change.answer = Answer::Done;
                Ok(change)
            }
            Err(refused) => Ok(end(state, firing, FiringState::Failed, &refused.to_string(), cx)),
        },
    }
}

/// Does what the schedule is for: the mission, and what came of it when that is all.
fn act(
    state: &State,
    row: &Schedule,
    start: Option<&StartMission>,
    cx: &mut Context,
) -> Result<(Change, MissionId, Option<String>), Refused> {
    let invalid = |what: &str| Refused::Invalid { what: what.to_owned(), fix: String::new() };
    match (&row.spec.action, start) {
        (Action::Note { mission, text }, _) => {
            let named = |id: &MissionId| matches_prefix(&id.to_string(), &id.short(), mission);
            let mut found = state.missions().map(|entry| entry.row.id).filter(named);
            let id = match (found.next(), found.next()) {
                (Some(id), None) => id,
                (Some(_), Some(_)) => return Err(invalid(&format!("`{mission}` names several missions"))),
                (None, _) => return Err(invalid(&format!("no active mission `{mission}`"))),
            };
            let change = note::apply(state, id, text, cx)?;
            let said = match &change.answer {
                Answer::Note(effect) => effect.clone(),
                _ => String::new(),
            };
            Ok((change, id, Some(said)))
        }
        (Action::Mission(_) | Action::Prompt { .. }, Some(start)) => {
            let change = mission::start(state, start, cx)?;
            match change.answer {
                Answer::Mission(id) => Ok((change, id, None)),
                _ => Err(invalid("a start that made no mission")),
            }
        }
        (Action::Mission(_) | Action::Prompt { .. }, None) => Err(invalid("the plan was not read")),
    }
}

/// A firing has taken too long.
pub fn expire(state: &State, id: FiringId, cx: &mut Context) -> Result<Change, Refused> {
    let firing = state.firing(id).filter(|f| f.expires_at <= cx.now).ok_or_else(stale)?;
    let secs = firing.expires_at.since(firing.fired_at).as_secs();
    let text = format!("it was not over after {}", crate::config::show_seconds(secs));
    Ok(give_up(state, id, FiringState::TimedOut, &text, cx))
}

/// Ends a live firing with all that it has begun.
pub(super) fn give_up(state: &State, id: FiringId, to: FiringState, text: &str, cx: &mut Context) -> Change {
    let Some(firing) = state.firing(id) else { return Change::default() };
    let mut change = Change::default();
    if let Some(mission) = firing.mission
        && let Ok(stopped) = mission::stop(state, mission, Stop::Interrupt, cx)
    {
        change.extend(stopped);
    }
    change.extend(end(state, firing, to, text, cx));
    change
}

/// What a step has done to missions, as the firings that made them see it.
pub fn settle(state: &State, change: &mut Change, cx: &mut Context) {
    let mut ended = Vec::new();
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
        ended.push(end(state, firing, to, &text, cx));
    }
    ended.into_iter().for_each(|end| change.extend(end));
}

/// Writes down how a firing ended, counts it, and begins what waited for it.
fn end(state: &State, firing: &Firing, to: FiringState, text: &str, cx: &mut Context) -> Change {
    let text: Box<str> = text.chars().take(LONGEST_TEXT).collect::<String>().into();
    let ended = Firing { state: to, text: Some(text.clone()), finished_at: Some(cx.now), ..firing.clone() };
    let mut change = Change::default();
    // What it asked of the world is not wanted any more; when this is the answer, it is closed with the report.
    change.closed.extend(state.effects_of_firing(firing.id));
    let took_ms = u64::try_from(cx.now.since(firing.fired_at).as_millis()).unwrap_or(u64::MAX);
    change.firings.push(ended);
    let Some(known) = state.schedule(firing.schedule) else { return change };
    let mut row = Schedule { live: None, updated_at: cx.now, ..known.clone() };
    let happened = Happened::ScheduleFinished {
        schedule: row.spec.name.clone(),
        firing: firing.id,
        outcome: to.name().into(),
        text: text.clone(),
        took_ms,
    };
    let mut event = cx.event(happened);
    event.mission = firing.mission;
    change.events.push(event);
    if wants(row.spec.notify, to) {
        change.events.push(reported(&row, &format!("{}: {text}", to.name().replace('_', " ")), cx));
    }
    if to.is_failure() {
        row.failures = row.failures.saturating_add(1);
        row.not_before = Some(cx.now.after(backoff(row.failures, cx.entropy)));
        if row.failures >= FAILURES_IN_A_ROW && row.paused.is_none() {
            let why: Box<str> = format!("it failed {FAILURES_IN_A_ROW} times in a row, the last time: {text}").into();
            let name = row.spec.name.clone();
            change.events.push(cx.event(Happened::SchedulePaused { schedule: name, why: why.clone() }));
            row.paused = Some(why);
            row.queued.clear();
        }
    } else if matches!(to, FiringState::Done | FiringState::Unneeded) {
        row.failures = 0;
        row.not_before = None;
    }
    match row.queued.first().copied() {
        Some(due) if row.fires() => {
            row.queued.remove(0);
            row.not_before = None;
            change.extend(begin(row, due, 0, cx));
        }
        Some(_) | None => change.schedules.push(row),
    }
    change
}

/// The longest text of a firing, in characters.
const LONGEST_TEXT: usize = 2_000;

/// Whether people are told of a firing that ended so.
const fn wants(notify: Notify, to: FiringState) -> bool {
    match notify {
        Notify::All => true,
        Notify::Completions => matches!(to, FiringState::Done),
        Notify::Failures => to.is_failure(),
        Notify::None => false,
    }
}

fn reported(row: &Schedule, text: &str, cx: &Context) -> crate::event::Event {
    cx.event(Happened::ScheduleReported { schedule: row.spec.name.clone(), text: text.into() })
}

pub(super) fn skipped(row: &Schedule, due: Timestamp, count: u32, why: &str, cx: &Context) -> crate::event::Event {
    cx.event(Happened::ScheduleSkipped { schedule: row.spec.name.clone(), due, count, why: why.into() })
}
