//! What becomes of an event that triggers are for, and of the firings that it makes.

use std::collections::BTreeMap;

use super::matches::{Subject, matches};
use super::{Cause, LONGEST_CAUSE, LONGEST_CHAIN, MOST_WAITING, Over, Trigger, moved};
use crate::change::Change;
use crate::command::{Command, Refused};
use crate::effect::EffectKind;
use crate::event::{Event, Happened};
use crate::firing::{FAILURES_IN_A_ROW, Firing, FiringOf, FiringState, stale};
use crate::id::{FiringId, Seq, TriggerId};
use crate::mission::StartMission;
use crate::quote::{EXPLAINED, quoted, visible};
use crate::retry::backoff;
use crate::state::State;
use crate::step::Context;
use crate::time::Timestamp;

/// Lets every trigger see what a step has decided, and adds what follows. Nothing that is added here is seen again.
pub fn heed(state: &State, command: &Command, change: &mut Change, cx: &mut Context) {
    if change.events.is_empty() {
        return;
    }
    moved::tell(state, change);
    chain(state, command, change);
    if !state.has_triggers() {
        return;
    }
    let mut heard = Heard { state, rows: BTreeMap::new(), waiting: BTreeMap::new(), made: Change::default() };
    let mut at = state.last_seq();
    for event in &change.events {
        at = Seq(at.0 + 1);
        heard.event(event, at, change, cx);
    }
    let Heard { rows, mut made, .. } = heard;
    made.triggers = rows.into_values().collect();
    change.extend(made);
}

/// Tells each event which triggers led to it.
fn chain(state: &State, command: &Command, change: &mut Change) {
    let acted = match command {
        Command::Report(effect, _) => state.effect(*effect).and_then(|effect| match effect.kind {
            EffectKind::PrepareFiring(firing) => state.firing(firing)?.cause.as_ref().map(|cause| cause.chain.clone()),
            _ => None,
        }),
        _ => None,
    };
    if acted.is_none() && !state.has_caused_missions() {
        return;
    }
    for event in change.events.iter_mut().filter(|event| !event.happened.is_of_triggers()) {
        match (&acted, event.mission.and_then(|id| state.chain_of(id))) {
            (Some(chain), _) => event.chain = chain.clone(),
            (None, Some(chain)) => event.chain = chain.into(),
            (None, None) => {}
        }
    }
}

/// What was heard of a change so far.
struct Heard<'a> {
    state: &'a State,
    /// The rows of those that fire.
    rows: BTreeMap<TriggerId, Trigger>,
    /// How many firings of each wait, or are being prepared, of this change alone.
    waiting: BTreeMap<TriggerId, usize>,
    made: Change,
}

impl Heard<'_> {
    fn event(&mut self, event: &Event, at: Seq, change: &Change, cx: &mut Context) {
        if event.happened.is_of_triggers() {
            return;
        }
        let state = self.state;
        let mut subject = None;
        for id in state.triggers_on(event.happened.name()) {
            let known = self.rows.get(&id).or_else(|| change.triggers.iter().rev().find(|row| row.id == id));
            let Some(row) = known.or_else(|| state.trigger(id)) else { continue };
            let subject = subject.get_or_insert_with(|| {
                let item = event.item.and_then(|id| change.item(state, id));
                let agent = event.agent.and_then(|id| state.agent(id)).map(|agent| &*agent.spec.name);
                Subject::new(event, item, agent)
            });
            if row.sees()
                && at > row.seen
                && !is_over(row, cx.now)
                && matches(&row.spec.on, subject)
                && !rests(row, cx.now)
            {
                let row = row.clone();
                self.fire(row, event, at, cx);
            }
        }
    }

    /// Writes down that a trigger fires on this event, unless it must not.
    fn fire(&mut self, mut row: Trigger, event: &Event, at: Seq, cx: &mut Context) {
        let (trigger, event_kind): (_, Box<str>) = (row.spec.name.clone(), event.happened.name().into());
        if let Some(why) = stopped(&row, &event.chain) {
            let name = |id: &TriggerId| self.state.trigger(*id).map_or_else(|| id.short(), |t| t.spec.name.to_string());
            let chain = event.chain.iter().map(|id| name(id).into()).collect();
            let happened = Happened::TriggerStopped { trigger, event: at, event_kind, chain, why: why.into() };
            self.made.events.push(cx.event(happened));
            return;
        }
        let here = self.waiting.get(&row.id).copied().unwrap_or(0);
        let before = self.state.count_waiting(row.id);
        if before + here >= MOST_WAITING {
            let why = format!("{MOST_WAITING} of its firings wait already").into();
            self.made.events.push(cx.event(Happened::TriggerSkipped { trigger, event: at, event_kind, why }));
            return;
        }
        let begins = before + here == 0
            && self.state.preparing_of(row.id).is_none()
            && row.not_before.is_none_or(|at| at <= cx.now);
        let cause = Cause {
            trigger: trigger.clone(),
            event: at,
            kind: event_kind.clone(),
            chain: event.chain.iter().copied().chain([row.id]).collect(),
            text: words(self.state, event),
        };
        let firing = Firing {
            id: FiringId::new(cx.now, cx.entropy),
            of: FiringOf::Trigger(row.id),
            due: event.at,
            missed: 0,
            state: if begins { FiringState::Preparing } else { FiringState::Waiting },
            mission: None,
            text: None,
            fired_at: cx.now,
            expires_at: None,
            finished_at: None,
            cause: Some(Box::new(cause)),
        };
        if begins {
            self.made.effects.push(cx.effect_of_none(EffectKind::PrepareFiring(firing.id)));
        }
        count(&mut row, cx.now);
        row.seen = at;
        row.updated_at = cx.now;
        let happened = Happened::TriggerFired { trigger, firing: firing.id, event: at, event_kind, fires: row.fires };
        self.made.events.push(cx.event(happened));
        self.made.firings.push(firing);
        *self.waiting.entry(row.id).or_default() += 1;
        self.rows.insert(row.id, row);
    }
}

/// It fires now.
pub(super) fn count(row: &mut Trigger, now: Timestamp) {
    row.fires = row.fires.saturating_add(1);
    row.fired_at = Some(now);
    if row.spec.limit().is_some_and(|limit| row.fires >= limit) {
        row.over = Some(Over::UsedUp);
    }
}

/// Whether its time is over, be it written down yet or not.
pub(super) fn is_over(row: &Trigger, now: Timestamp) -> bool {
    row.spec.expires.is_some_and(|at| at <= now)
}

/// Whether it has fired just now. When the clock was set back since, nobody knows how long ago that was, and it fires.
pub(super) fn rests(row: &Trigger, now: Timestamp) -> bool {
    let since = row.fired_at.filter(|at| *at <= now).map(|at| now.since(at).as_secs());
    since.is_some_and(|since| since < row.spec.cooldown_secs)
}

/// Why a trigger may not fire on an event with this chain.
pub(super) fn stopped(row: &Trigger, chain: &[TriggerId]) -> Option<String> {
    if chain.contains(&row.id) {
        return Some(format!("`{}` has led to this event itself", row.spec.name));
    }
    (chain.len() >= LONGEST_CHAIN).then(|| format!("{LONGEST_CHAIN} triggers have led one to another already"))
}

/// The event in words, for the agent that is to look after it.
fn words(state: &State, event: &Event) -> Box<str> {
    let mut text = format!("{} at {}", event.happened.name(), event.at);
    if let Some(entry) = event.mission.and_then(|id| state.mission(id)) {
        text.push_str(&format!("\nmission {}: {}", entry.row.id.short(), entry.row.goal));
    }
    if let Some(item) = event.item.and_then(|id| state.item(id)) {
        text.push_str(&format!("\nitem {}: {}", item.key, item.title));
    }
    if let Some(agent) = event.agent.and_then(|id| state.agent(id)) {
        text.push_str(&format!("\nagent {}", agent.spec.name));
    }
    let body = serde_json::to_value(&event.happened).unwrap_or_default();
    for (name, value) in body.get("body").and_then(serde_json::Value::as_object).into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text.push_str(&format!("\n{name}: {value}"));
    }
    visible(&text).chars().take(LONGEST_CAUSE).collect::<String>().into()
}

/// The mission of a trigger: each of its items says that it is one, and of which event; the event's words are quoted.
pub(crate) fn task(start: &StartMission, cause: &Cause, cx: &mut Context) -> StartMission {
    let nonce = format!("{:012x}", cx.entropy.next_u64() >> 16);
    let why = format!(
        "This is a task of the trigger `{}`, which has fired on event {} (`{}`). {EXPLAINED}\n\n{}",
        cause.trigger,
        cause.event.0,
        cause.kind,
        quoted("event", &cause.text, &nonce)
    );
    let mut start = start.clone();
    for item in &mut start.items {
        item.title = format!("Trigger task: {}", item.title).into();
        item.body = format!("{}\n\n{why}", item.body.trim_end()).into();
    }
    start
}

/// A waiting firing of a trigger begins, or its time is over.
pub fn tend(state: &State, id: TriggerId, cx: &mut Context) -> Result<Change, Refused> {
    let known = state.trigger(id).ok_or_else(stale)?;
    let mut change = Change::default();
    if known.sees() && is_over(known, cx.now) {
        let row = Trigger { over: Some(Over::Expired), seen: state.last_seq(), updated_at: cx.now, ..known.clone() };
        change.events.push(cx.event(Happened::TriggerExpired { trigger: row.spec.name.clone() }));
        change.triggers.push(row);
        return Ok(change);
    }
    let rested = known.not_before.is_none_or(|at| at <= cx.now);
    let next = state.waiting_of(id).next().filter(|_| rested && known.paused.is_none());
    let firing = next.filter(|_| state.preparing_of(id).is_none()).ok_or_else(stale)?;
    change.firings.push(Firing { state: FiringState::Preparing, ..firing.clone() });
    change.effects.push(cx.effect_of_none(EffectKind::PrepareFiring(firing.id)));
    Ok(change)
}

/// Counts how a firing ended. One whose action could not begin waits, and is tried again.
pub(crate) fn ended(state: &State, so_far: &Change, id: TriggerId, ended: Firing, cx: &mut Context) -> Change {
    let mut change = Change::default();
    let known = so_far.triggers.iter().rev().find(|row| row.id == id).or_else(|| state.trigger(id));
    let Some(known) = known else {
        change.firings.push(ended);
        return change;
    };
    let mut row = Trigger { updated_at: cx.now, ..known.clone() };
    let (to, text) = (ended.state, ended.text.clone().unwrap_or_default());
    let trigger = row.spec.name.clone();
    if to.is_failure() {
        row.failures = row.failures.saturating_add(1);
        row.not_before = Some(cx.now.after(backoff(row.failures, cx.entropy)));
    } else if to == FiringState::Done {
        row.failures = 0;
        row.not_before = None;
    }
    let again = to == FiringState::Failed && ended.mission.is_none() && row.is_on();
    if let Some(not_before) = row.not_before.filter(|_| again) {
        let (firing, failures) = (ended.id, row.failures);
        let happened =
            Happened::TriggerFailed { trigger: trigger.clone(), firing, error: text.clone(), failures, not_before };
        change.events.push(cx.event(happened));
        change.firings.push(Firing { state: FiringState::Waiting, finished_at: None, ..ended });
    } else {
        let (firing, outcome) = (ended.id, to.name().into());
        let happened = Happened::TriggerFinished { trigger: trigger.clone(), firing, outcome, text: text.clone() };
        let event = cx.event(happened);
        change.events.push(Event { mission: ended.mission, ..event });
        change.firings.push(ended);
    }
    if to.is_failure() && row.failures >= FAILURES_IN_A_ROW && row.paused.is_none() {
        let why: Box<str> = format!("it failed {FAILURES_IN_A_ROW} times in a row, the last time: {text}").into();
        change.events.push(cx.event(Happened::TriggerPaused { trigger, why: why.clone() }));
        row.paused = Some(why);
        row.seen = state.last_seq();
    }
    change.triggers.push(row);
    change
}
