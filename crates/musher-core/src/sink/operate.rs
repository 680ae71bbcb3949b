//! What the config, deliveries and operators do to sinks.

use super::{
    ATTEMPT, DeliveryFailure, KEPT_AFTER_REMOVAL, PATIENCE, QUIET, Sink, SinkFrom, SinkKind, SinkSpec, Trouble,
    backoff, cursor_of, is_about_deliveries,
};
use crate::change::Change;
use crate::command::Refused;
use crate::event::Happened;
use crate::id::Seq;
use crate::relay::Identity;
use crate::state::State;
use crate::step::Context;
use std::time::Duration;

fn find<'a>(state: &'a State, name: &str) -> Result<&'a Sink, Refused> {
    let configured = state.sink(name).filter(|sink| sink.removed_at.is_none());
    configured.ok_or_else(|| Refused::NotFound { noun: "sink", name: name.to_owned() })
}

/// Makes the sinks those of the config. `present` is the last event that a new one that begins now has missed.
///
/// One that comes back within a week goes on where it was; after that it is a new one.
pub fn sync(state: &State, specs: &[SinkSpec], present: Seq, cx: &mut Context) -> Change {
    let mut change = Change::default();
    for spec in specs {
        let remembered = state
            .sink(&spec.name)
            .filter(|sink| sink.removed_at.is_none_or(|removed| cx.now.since(removed) < KEPT_AFTER_REMOVAL));
        match remembered {
            Some(known) => {
                let relay = known.relay.or_else(|| (spec.kind == SinkKind::Relay).then(|| Identity::new(cx)));
                let row = Sink { kind: spec.kind, removed_at: None, relay, ..known.clone() };
                change.sinks.extend((row != *known).then_some(row));
            }
            None => {
                let begin = match spec.from {
                    SinkFrom::Present => present,
                    SinkFrom::Start => Seq(0),
                };
                change.cursors.push((cursor_of(&spec.name), begin));
                // However long it was gone, a hub knows the project again.
                let known = state.sink(&spec.name).and_then(|sink| sink.relay);
                let relay = (spec.kind == SinkKind::Relay).then(|| known.unwrap_or_else(|| Identity::new(cx)));
                let (name, kind) = (spec.name.clone(), spec.kind);
                change.sinks.push(Sink { name, kind, trouble: None, removed_at: None, relay });
            }
        }
    }
    let gone = |sink: &&Sink| sink.removed_at.is_none() && !specs.iter().any(|spec| spec.name == sink.name);
    change.sinks.extend(state.sinks().filter(gone).map(|sink| Sink { removed_at: Some(cx.now), ..sink.clone() }));
    change
}

/// Everything up to here was delivered to the sink, or is nothing that it wants.
pub fn advanced(state: &State, name: &str, seq: Seq, cx: &Context) -> Result<Change, Refused> {
    let sink = find(state, name)?;
    let cursor = cursor_of(name);
    if seq <= state.cursor(&cursor) {
        return Err(Refused::Stale { what: "the sink is further than that" });
    }
    let mut change = Change { cursors: vec![(cursor, seq)], ..Change::default() };
    // The relay may have gone back to what its hub has lost: whatever that takes now, it is there again.
    let over = |trouble: &&Trouble| sink.kind == SinkKind::Relay || seq >= trouble.event;
    if let Some(trouble) = sink.trouble.as_ref().filter(over) {
        if trouble.announced {
            let happened = Happened::DeliveryRecovered {
                sink: sink.name.clone(),
                since: trouble.since,
                failures: trouble.failures,
            };
            change.events.push(cx.event(happened));
        }
        change.sinks.push(Sink { trouble: None, ..sink.clone() });
    }
    Ok(change)
}

/// A delivery failed: it is tried again later, or, after a day of that, given up for the next event's sake.
pub fn failed(state: &State, name: &str, failure: &DeliveryFailure, cx: &mut Context) -> Result<Change, Refused> {
    let sink = find(state, name)?;
    let cursor = cursor_of(name);
    if failure.event <= state.cursor(&cursor) {
        return Err(Refused::Stale { what: "the sink is further than that" });
    }
    let mut trouble = next_trouble(sink, failure, cx);
    let mut change = Change::default();
    let tried = Duration::from_millis(trouble.tried_ms);
    if sink.kind.gives_up() && tried >= PATIENCE {
        let happened = Happened::DeliveryDeadLettered {
            sink: sink.name.clone(),
            event: failure.event,
            event_kind: failure.kind.clone(),
            attempts: trouble.attempts,
            error: failure.error.clone(),
        };
        change.events.push(cx.event(happened));
        change.cursors.push((cursor, failure.event));
        trouble.announced = true;
        trouble.not_before = cx.now;
    }
    // Events about deliveries go to other sinks, which may fail too: if each such failure made an event of its own, sinks
    // that fail now and then would keep each other busy for ever.
    let quiet = is_about_deliveries(&failure.kind) && cx.now.since(trouble.since) < QUIET;
    if !trouble.announced && !quiet {
        let (sink, error) = (sink.name.clone(), failure.error.clone());
        change.events.push(cx.event(Happened::DeliveryFailed { sink, event: failure.event, error }));
        trouble.announced = true;
    }
    change.sinks.push(Sink { trouble: Some(trouble), ..sink.clone() });
    Ok(change)
}

fn next_trouble(sink: &Sink, failure: &DeliveryFailure, cx: &mut Context) -> Trouble {
    let (now, before) = (cx.now, sink.trouble.as_ref());
    let same_event = before.filter(|before| before.event == failure.event);
    // The time that passed counts as far as it was spent waiting for this attempt and making it: a daemon that was down for
    // two days has not tried for two days.
    let tried_ms = same_event.map_or(0, |before| {
        let planned = before.not_before.since(before.last_at).saturating_add(ATTEMPT);
        let spent = now.since(before.last_at).min(planned);
        before.tried_ms.saturating_add(u64::try_from(spent.as_millis()).unwrap_or(u64::MAX))
    });
    let failures = before.map_or(0, |before| before.failures).saturating_add(1);
    Trouble {
        since: before.map_or(now, |before| before.since),
        failures,
        event: failure.event,
        attempts: same_event.map_or(0, |before| before.attempts).saturating_add(1),
        tried_ms,
        last_at: now,
        not_before: now.after(backoff(sink.kind, failures, failure.retry_after_secs, cx.entropy)),
        error: failure.error.clone(),
        announced: before.is_some_and(|before| before.announced),
    }
}

/// What the sink waits for is there: the next try is made at once.
pub fn hurry(state: &State, name: &str, cx: &Context) -> Result<Change, Refused> {
    let sink = find(state, name)?;
    let Some(trouble) = sink.trouble.as_ref().filter(|trouble| trouble.not_before > cx.now) else {
        return Ok(Change::default());
    };
    // The wait that is cut short is not counted as spent.
    let trouble = Trouble { not_before: cx.now, ..trouble.clone() };
    Ok(Change { sinks: vec![Sink { trouble: Some(trouble), ..sink.clone() }], ..Change::default() })
}
