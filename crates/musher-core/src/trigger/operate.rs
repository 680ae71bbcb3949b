//! What the configuration and operators do to triggers.

use super::{Over, Trigger, TriggerSpec, check_predicate};
use crate::change::Change;
use crate::command::{Answer, Refused};
use crate::event::{Event, Happened};
use crate::firing::{Firing, FiringState};
use crate::id::TriggerId;
use crate::schedule::{Off, Source, check_name};
use crate::state::State;
use crate::step::Context;

fn find(state: &State, id: TriggerId) -> Result<&Trigger, Refused> {
    let known = state.trigger(id).filter(|row| !row.removed);
    known.ok_or_else(|| Refused::NotFound { noun: "trigger", name: id.short() })
}

/// Makes the triggers of the configuration those that it has now. One that left it is disabled; one that is edited keeps
/// its history, and its count of fires unless what it fires on, or how often, changed.
pub fn sync(state: &State, specs: &[TriggerSpec], cx: &mut Context) -> Change {
    let mut change = Change::default();
    for spec in specs {
        let row = match state.trigger_named(&spec.name) {
            Some(known) => edited(state, known, spec, cx),
            None => Some(made(state, spec, Source::Config, cx)),
        };
        let Some(row) = row else { continue };
        change.events.push(defined(&row, cx));
        if !row.is_on() {
            let (firings, events) = cancelled(state, &row, "its trigger was switched off", cx);
            change.firings.extend(firings);
            change.events.extend(events);
        }
        change.triggers.push(row);
    }
    let listed = |row: &&Trigger| specs.iter().any(|spec| spec.name == row.spec.name);
    // What an operator has switched off is off already, and stays so when its entry comes back.
    let gone = |row: &&Trigger| row.source == Source::Config && !row.removed && row.off.is_none() && !listed(row);
    for row in state.triggers().filter(gone) {
        change.extend(switched_off(state, row, Off::Gone, "it left the configuration", cx));
    }
    change
}

/// The row that an edit of the configuration makes; none when nothing changed.
fn edited(state: &State, known: &Trigger, spec: &TriggerSpec, cx: &Context) -> Option<Trigger> {
    let is_back = known.removed || known.source != Source::Config || known.off == Some(Off::Gone);
    if known.spec == *spec && !is_back {
        return None;
    }
    let old = &known.spec;
    let anew = old.on != spec.on || old.mode != spec.mode || old.max_fires != spec.max_fires;
    let mut row = known.clone();
    if anew || old.expires != spec.expires {
        row.over = row.over.filter(|over| *over == Over::UsedUp && !anew);
    }
    if anew {
        row.fires = 0;
    }
    row.spec = spec.clone();
    row.source = Source::Config;
    row.removed = false;
    row.off = known.off.filter(|off| *off == Off::Operator && !known.removed);
    row.updated_at = cx.now;
    row.seen = state.last_seq();
    // What was edited may be mended.
    row.paused = None;
    row.failures = 0;
    row.not_before = None;
    Some(row)
}

fn made(state: &State, spec: &TriggerSpec, source: Source, cx: &mut Context) -> Trigger {
    Trigger {
        id: TriggerId::new(cx.now, cx.entropy),
        spec: spec.clone(),
        source,
        off: None,
        seen: state.last_seq(),
        fires: 0,
        fired_at: None,
        over: None,
        failures: 0,
        not_before: None,
        paused: None,
        removed: false,
        created_at: cx.now,
        updated_at: cx.now,
    }
}

fn defined(row: &Trigger, cx: &Context) -> Event {
    cx.event(Happened::TriggerDefined { trigger: row.spec.name.clone() })
}

/// An operator defines one.
pub fn add(state: &State, spec: &TriggerSpec, cx: &mut Context) -> Result<Change, Refused> {
    check(spec, cx)?;
    let row = match state.trigger_named(&spec.name) {
        Some(known) if !known.removed => {
            return Err(Refused::Conflict {
                what: format!("there is a trigger `{}` already", spec.name),
                fix: "choose another name, or remove that one first",
            });
        }
        // The name's history is kept.
        Some(known) => {
            Trigger { id: known.id, created_at: known.created_at, ..made(state, spec, Source::Operator, cx) }
        }
        None => made(state, spec, Source::Operator, cx),
    };
    let events = vec![defined(&row, cx)];
    Ok(Change { answer: Answer::Trigger(row.id), triggers: vec![row], events, ..Change::default() })
}

/// What no trigger may be, whoever defines it.
fn check(spec: &TriggerSpec, cx: &Context) -> Result<(), Refused> {
    check_name("trigger", &spec.name)?;
    check_predicate(&spec.on)?;
    let invalid = |what: String, fix: &str| Err(Refused::Invalid { what, fix: fix.to_owned() });
    if spec.max_fires == Some(0) {
        return invalid("`max_fires` is 1 at least".to_owned(), "write how often it may fire, or leave it out");
    }
    match spec.expires {
        Some(at) if at <= cx.now => invalid(format!("{at} is over"), "write a moment to come"),
        Some(_) | None => Ok(()),
    }
}

/// It sees events again, those that come from now on; also one that is used up, or was paused after failures.
pub fn enable(state: &State, id: TriggerId, cx: &Context) -> Result<Change, Refused> {
    let known = find(state, id)?;
    if known.sees() {
        return Ok(Change::default());
    }
    if known.source == Source::Config && (!known.spec.enabled || known.off == Some(Off::Gone)) {
        return Err(Refused::Conflict {
            what: format!("musher.toml switches `{}` off, or has it no more", known.spec.name),
            fix: "edit it there",
        });
    }
    if known.spec.expires.is_some_and(|at| at <= cx.now) {
        return Err(Refused::State {
            verb: "enable",
            noun: "trigger",
            name: known.spec.name.to_string(),
            state: "expired",
            fix: "give it a later `expires`",
        });
    }
    let rested = Trigger { paused: None, failures: 0, not_before: None, off: None, ..known.clone() };
    let mut row = Trigger { seen: state.last_seq(), updated_at: cx.now, ..rested };
    row.spec.enabled = true;
    if row.over.take().is_some() {
        row.fires = 0;
    }
    let events = vec![cx.event(Happened::TriggerEnabled { trigger: row.spec.name.clone() })];
    Ok(Change { triggers: vec![row], events, ..Change::default() })
}

/// It sees no events until it is enabled. Missions that it has made go on; what waits is cancelled.
pub fn disable(state: &State, id: TriggerId, cx: &Context) -> Result<Change, Refused> {
    let known = find(state, id)?;
    if !known.is_on() {
        return Ok(Change::default());
    }
    Ok(switched_off(state, known, Off::Operator, "an operator disabled it", cx))
}

fn switched_off(state: &State, known: &Trigger, off: Off, why: &str, cx: &Context) -> Change {
    let row = Trigger { off: Some(off), seen: state.last_seq(), updated_at: cx.now, ..known.clone() };
    let (firings, mut events) = cancelled(state, &row, why, cx);
    let cancelled = u32::try_from(firings.len()).unwrap_or(u32::MAX);
    let trigger = row.spec.name.clone();
    events.push(cx.event(Happened::TriggerDisabled { trigger, why: why.into(), cancelled }));
    Change { triggers: vec![row], firings, events, ..Change::default() }
}

/// Ends what waits for its action.
fn cancelled(state: &State, row: &Trigger, why: &str, cx: &Context) -> (Vec<Firing>, Vec<Event>) {
    let over = |firing: &Firing| Firing {
        state: FiringState::Cancelled,
        text: Some(why.into()),
        finished_at: Some(cx.now),
        ..firing.clone()
    };
    let firings: Vec<Firing> = state.waiting_of(row.id).map(over).collect();
    let said = |firing: &Firing| {
        let (trigger, outcome) = (row.spec.name.clone(), firing.state.name().into());
        cx.event(Happened::TriggerFinished { trigger, firing: firing.id, outcome, text: why.into() })
    };
    let events = firings.iter().map(said).collect();
    (firings, events)
}

/// Takes out what an operator defined; its history stays.
pub fn remove(state: &State, id: TriggerId, cx: &Context) -> Result<Change, Refused> {
    let known = find(state, id)?;
    if known.source == Source::Config && known.off != Some(Off::Gone) {
        return Err(Refused::Conflict {
            what: format!("`{}` is defined in musher.toml", known.spec.name),
            fix: "take it out there, or disable it",
        });
    }
    let mut change = switched_off(state, known, Off::Operator, "it was removed", cx);
    change.triggers.iter_mut().for_each(|row| row.removed = true);
    Ok(change)
}
