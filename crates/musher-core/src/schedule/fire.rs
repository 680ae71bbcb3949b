//! What becomes of a moment that is due, and what follows the end of a firing.

use std::time::Duration;

use super::{GRACE, MOST_MADE_UP, MOST_QUEUED, Misfire, Notify, Overlap, Schedule};
use crate::change::Change;
use crate::command::Refused;
use crate::effect::EffectKind;
use crate::event::Happened;
use crate::firing::{FAILURES_IN_A_ROW, Firing, FiringOf, FiringState, give_up, stale};
use crate::id::{FiringId, ScheduleId};
use crate::retry::backoff;
use crate::state::State;
use crate::step::Context;
use crate::time::Timestamp;

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
        of: FiringOf::Schedule(row.id),
        due,
        missed,
        state: FiringState::Preparing,
        mission: None,
        text: None,
        fired_at: cx.now,
        expires_at: Some(cx.now.after(Duration::from_secs(row.spec.timeout_secs))),
        finished_at: None,
        cause: None,
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

/// Counts how a firing ended, and begins what waited for it.
pub(crate) fn ended(state: &State, id: ScheduleId, ended: Firing, cx: &mut Context) -> Change {
    let (to, text) = (ended.state, ended.text.clone().unwrap_or_default());
    let mut change = Change::default();
    let took_ms = u64::try_from(cx.now.since(ended.fired_at).as_millis()).unwrap_or(u64::MAX);
    let (firing, mission) = (ended.id, ended.mission);
    change.firings.push(ended);
    let Some(known) = state.schedule(id) else { return change };
    let mut row = Schedule { live: None, updated_at: cx.now, ..known.clone() };
    let happened = Happened::ScheduleFinished {
        schedule: row.spec.name.clone(),
        firing,
        outcome: to.name().into(),
        text: text.clone(),
        took_ms,
    };
    let mut event = cx.event(happened);
    event.mission = mission;
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
    if row.spec.overlap != Overlap::Queue
        && let Some(first) = row.queued.first().copied()
    {
        // They waited under an earlier definition.
        let count = u32::try_from(row.queued.len()).unwrap_or(u32::MAX);
        change.events.push(skipped(&row, first, count, "moments wait no more, by its definition", cx));
        row.queued.clear();
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
