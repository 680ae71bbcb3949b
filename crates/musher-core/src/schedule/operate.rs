//! What the configuration and operators do to schedules.

use super::{LONGEST_NAME, Off, Schedule, ScheduleSpec, Source, When, fire};
use crate::change::Change;
use crate::command::{Answer, Refused};
use crate::event::Happened;
use crate::firing::FiringState;
use crate::id::ScheduleId;
use crate::state::State;
use crate::step::Context;
use crate::time::Timestamp;

use super::moment::Cron;

pub(super) fn find(state: &State, id: ScheduleId) -> Result<&Schedule, Refused> {
    let known = state.schedule(id).filter(|row| !row.removed);
    known.ok_or_else(|| Refused::NotFound { noun: "schedule", name: id.short() })
}

/// Makes the schedules of the configuration those that it has now. One that left it is disabled; one that is edited
/// keeps its history, and its next moment unless `when` changed.
pub fn sync(state: &State, specs: &[ScheduleSpec], cx: &mut Context) -> Change {
    let mut change = Change::default();
    for spec in specs {
        let row = match state.schedule_named(&spec.name) {
            Some(known) => edited(known, spec, cx.now),
            None => Some(made(spec, Source::Config, cx)),
        };
        change.events.extend(row.iter().map(|row| defined(row, cx)));
        change.schedules.extend(row);
    }
    let listed = |row: &&Schedule| specs.iter().any(|spec| spec.name == row.spec.name);
    // What an operator has switched off is off already, and stays so when its entry comes back.
    let gone = |row: &&Schedule| row.source == Source::Config && !row.removed && row.off.is_none() && !listed(row);
    for row in state.schedules().filter(gone) {
        change.extend(switched_off(row, Off::Gone, "it left the configuration", cx));
    }
    change
}

/// The row that an edit of the configuration makes; none when nothing changed.
fn edited(known: &Schedule, spec: &ScheduleSpec, now: Timestamp) -> Option<Schedule> {
    let is_back = known.removed || known.source != Source::Config || known.off == Some(Off::Gone);
    if known.spec == *spec && !is_back {
        return None;
    }
    let mut row = known.clone();
    let rearm = known.spec.when != spec.when || !known.spec.enabled || is_back;
    row.spec = spec.clone();
    row.source = Source::Config;
    row.removed = false;
    row.off = known.off.filter(|off| *off == Off::Operator && !known.removed);
    row.updated_at = now;
    // What was edited may be mended.
    row.paused = None;
    row.failures = 0;
    row.not_before = None;
    if !spec.enabled || row.off.is_some() {
        row.due = None;
        row.queued.clear();
    } else if rearm || row.due.is_none() {
        row.due = spec.when.first(now);
    }
    Some(row)
}

fn made(spec: &ScheduleSpec, source: Source, cx: &mut Context) -> Schedule {
    Schedule {
        id: ScheduleId::new(cx.now, cx.entropy),
        spec: spec.clone(),
        source,
        off: None,
        due: if spec.enabled { spec.when.first(cx.now) } else { None },
        live: None,
        queued: Vec::new(),
        failures: 0,
        not_before: None,
        paused: None,
        fired_due: None,
        removed: false,
        created_at: cx.now,
        updated_at: cx.now,
    }
}

fn defined(row: &Schedule, cx: &Context) -> crate::event::Event {
    cx.event(Happened::ScheduleDefined { schedule: row.spec.name.clone(), due: row.due })
}

/// An operator defines one.
pub fn add(state: &State, spec: &ScheduleSpec, cx: &mut Context) -> Result<Change, Refused> {
    check(spec, cx.now)?;
    let row = match state.schedule_named(&spec.name) {
        Some(known) if !known.removed => {
            return Err(Refused::Conflict {
                what: format!("there is a schedule `{}` already", spec.name),
                fix: "choose another name, or remove that one first",
            });
        }
        // The name's history is kept.
        Some(known) => Schedule { id: known.id, created_at: known.created_at, ..made(spec, Source::Operator, cx) },
        None => made(spec, Source::Operator, cx),
    };
    let events = vec![defined(&row, cx)];
    Ok(Change { answer: Answer::Schedule(row.id), schedules: vec![row], events, ..Change::default() })
}

/// What no name of a schedule or a trigger may be.
pub(crate) fn check_name(of: &str, name: &str) -> Result<(), Refused> {
    if is_name(name) {
        return Ok(());
    }
    let what = format!("the name of a {of} is 1 to {LONGEST_NAME} of [a-z0-9_-]");
    Err(Refused::Invalid { what, fix: "shorten it to such characters".to_owned() })
}

/// Whether a schedule or a trigger can have this name.
pub(crate) fn is_name(name: &str) -> bool {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    !name.is_empty() && name.len() <= LONGEST_NAME && name.chars().all(good)
}

/// What no schedule may be, whoever defines it.
fn check(spec: &ScheduleSpec, now: Timestamp) -> Result<(), Refused> {
    let invalid = |what: String, fix: &str| Err(Refused::Invalid { what, fix: fix.to_owned() });
    check_name("schedule", &spec.name)?;
    match &spec.when {
        When::Cron { expression, tz } => {
            if let Err(problem) = Cron::parse(expression, tz) {
                return invalid(problem.to_string(), "five fields, such as `0 9 * * MON-FRI`, and an IANA zone");
            }
        }
        When::Every { secs: 0 } => {
            return invalid("a schedule repeats after 1 second at least".to_owned(), "write a span such as 15m");
        }
        When::Every { .. } => {}
        When::At(at) if *at <= now => {
            return invalid(format!("{at} is over"), "write a moment to come");
        }
        When::At(_) => {}
    }
    if spec.timeout_secs == 0 || spec.check.as_ref().is_some_and(|check| check.timeout_secs == 0) {
        return invalid("a timeout is 1 second at least".to_owned(), "write a span such as 30m");
    }
    if spec.check.as_ref().is_some_and(|check| check.argv.first().is_none_or(|program| program.is_empty())) {
        return invalid("the check names no program".to_owned(), "write the program and its arguments");
    }
    Ok(())
}

/// It fires when it is due again; also one that was paused after failures.
pub fn enable(state: &State, id: ScheduleId, cx: &Context) -> Result<Change, Refused> {
    let known = find(state, id)?;
    if known.fires() && known.due.is_some() {
        return Ok(Change::default());
    }
    if known.source == Source::Config && (!known.spec.enabled || known.off == Some(Off::Gone)) {
        return Err(Refused::Conflict {
            what: format!("musher.toml switches `{}` off, or has it no more", known.spec.name),
            fix: "edit it there",
        });
    }
    let rested = Schedule { paused: None, failures: 0, not_before: None, ..known.clone() };
    let mut row = Schedule { updated_at: cx.now, off: None, ..rested };
    row.spec.enabled = true;
    row.due = row.spec.when.first(cx.now);
    if row.due.is_none() {
        return Err(Refused::State {
            verb: "enable",
            noun: "schedule",
            name: row.spec.name.to_string(),
            state: "over",
            fix: "its one moment has passed; `musher schedule run` fires it now",
        });
    }
    let events = vec![cx.event(Happened::ScheduleEnabled { schedule: row.spec.name.clone(), due: row.due })];
    Ok(Change { schedules: vec![row], events, ..Change::default() })
}

/// It fires no more until it is enabled. What is live goes on.
pub fn disable(state: &State, id: ScheduleId, cx: &Context) -> Result<Change, Refused> {
    let known = find(state, id)?;
    if !known.spec.enabled || known.off.is_some() {
        return Ok(Change::default());
    }
    Ok(switched_off(known, Off::Operator, "an operator disabled it", cx))
}

fn switched_off(known: &Schedule, off: Off, why: &str, cx: &Context) -> Change {
    let row = Schedule { off: Some(off), due: None, queued: Vec::new(), updated_at: cx.now, ..known.clone() };
    let name = row.spec.name.clone();
    let events = vec![cx.event(Happened::ScheduleDisabled { schedule: name, why: why.into() })];
    Change { schedules: vec![row], events, ..Change::default() }
}

/// Takes out what an operator defined; its history stays. What is live goes on.
pub fn remove(state: &State, id: ScheduleId, cx: &Context) -> Result<Change, Refused> {
    let known = find(state, id)?;
    if known.source == Source::Config && known.off != Some(Off::Gone) {
        return Err(Refused::Conflict {
            what: format!("`{}` is defined in musher.toml", known.spec.name),
            fix: "take it out there, or disable it",
        });
    }
    let mut change = switched_off(known, Off::Operator, "it was removed", cx);
    change.schedules.iter_mut().for_each(|row| row.removed = true);
    Ok(change)
}

/// An operator fires it now, whatever is planned; also one that is disabled.
pub fn run_now(state: &State, id: ScheduleId, cx: &mut Context) -> Result<Change, Refused> {
    let known = find(state, id)?;
    if let Some(live) = known.live {
        let when = state.firing(live).filter(|firing| firing.state == FiringState::Preparing);
        return Err(Refused::State {
            verb: "run",
            noun: "schedule",
            name: known.spec.name.to_string(),
            state: if when.is_some() { "asking its check" } else { "running" },
            fix: "wait for the end of that firing, or stop its mission",
        });
    }
    let row = Schedule { updated_at: cx.now, ..known.clone() };
    Ok(fire::begin(row, cx.now, 0, cx))
}
