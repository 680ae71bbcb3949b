//! A driver, or a program of a driver that starts any, that cannot be set up here: all its agents rest for an hour, then one run tries whether it is mended.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Agent, AgentSpec};
use crate::change::Change;
use crate::command::Refused;
use crate::event::Happened;
use crate::id::{AgentId, RunId};
use crate::run::{FailureClass, Outcome, Run};
use crate::state::State;
use crate::step::Context;
use crate::time::Timestamp;

/// How often the same failure within [`REST`] pauses a driver.
const SAME_FAILURE: usize = 5;
/// How long a driver rests, and how long a failure is remembered.
const REST: Duration = Duration::from_secs(60 * 60);

/// A failure of a run to be set up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetupFailure {
    /// When.
    pub at: Timestamp,
    /// In words; the same words are the same failure.
    pub why: Box<str>,
}

/// Why an agent rests with all others of its driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspended {
    /// Until when; none = one run may try.
    pub until: Option<Timestamp>,
    /// The run that tries.
    pub canary: Option<RunId>,
    /// The failure.
    pub why: Box<str>,
}

/// What runs that begin and end in this change say of their drivers. Called for every change, so that no way of ending
/// a run can be forgotten.
pub(crate) fn settle(state: &State, change: &mut Change, cx: &Context) {
    for run in change.runs.clone() {
        let Some(agent) = row(state, change, run.agent) else { continue };
        let begins = run.is_live() && state.run(run.id).is_none();
        let ends = !run.is_live() && state.run(run.id).is_some();
        if begins && agent.suspended.is_some() && !agent.is_suspended() {
            suspend(state, change, &agent.spec, cx, |s| s.canary = Some(run.id));
        } else if ends {
            ended(state, change, &agent, &run, cx);
        }
    }
}

fn ended(state: &State, change: &mut Change, agent: &Agent, run: &Run, cx: &Context) {
    let spec = &agent.spec;
    let is_canary = agent.suspended.as_ref().is_some_and(|s| s.canary == Some(run.id));
    match &run.outcome {
        Some(Outcome::Failed { class: FailureClass::Setup, message, .. }) => {
            failed(state, change, agent, message, is_canary, cx);
        }
        Some(
            Outcome::Finished { .. }
            | Outcome::Failed { .. }
            | Outcome::RateLimited { .. }
            | Outcome::SessionLost { .. },
        ) if agent.suspended.is_some() => works(state, change, spec, cx),
        // One that a person has let try again, or that came since, works for itself.
        Some(
            Outcome::Finished { .. }
            | Outcome::Failed { .. }
            | Outcome::RateLimited { .. }
            | Outcome::SessionLost { .. },
        ) => {}
        // It says nothing of its driver: the next one is the canary.
        Some(Outcome::Cancelled | Outcome::Lost { .. }) | None => {
            if is_canary {
                suspend(state, change, spec, cx, |s| s.canary = None);
            }
        }
    }
}

fn failed(state: &State, change: &mut Change, agent: &Agent, why: &str, is_canary: bool, cx: &Context) {
    if agent.removed {
        return;
    }
    let mut failing = agent.clone();
    failing.setup_failures.retain(|failure| failure.at.after(REST) > cx.now);
    failing.setup_failures.push(SetupFailure { at: cx.now, why: why.into() });
    let excess = failing.setup_failures.len().saturating_sub(SAME_FAILURE);
    failing.setup_failures.drain(..excess);
    let known = failing.suspended.as_ref().is_some_and(|s| &*s.why == why);
    if known && !is_canary {
        // One more of the same: it is mended with its driver.
        failing.error = None;
    }
    put(change, failing);
    let spec = &agent.spec;
    let same = of_driver(state, change, spec).into_iter().flat_map(|row| row.setup_failures.clone());
    let same = same.filter(|failure| &*failure.why == why && failure.at.after(REST) > cx.now).count();
    if !is_canary && (known || same < SAME_FAILURE) {
        return;
    }
    let until = cx.now.after(REST);
    for mut row in of_driver(state, change, spec) {
        row.suspended = Some(Box::new(Suspended { until: Some(until), canary: None, why: why.into() }));
        row.setup_failures.clear();
        row.error = row.error.filter(|error| &**error != why);
        row.updated_at = cx.now;
        put(change, row);
    }
    let driver = spec.setup_name().into();
    change.events.push(cx.about_agent(agent.id, Happened::DriverPaused { driver, until, why: why.into() }));
}

/// A run worked, so the driver can be set up.
fn works(state: &State, change: &mut Change, spec: &AgentSpec, cx: &Context) {
    let rows = of_driver(state, change, spec);
    let Some(first) = rows.iter().find(|row| row.suspended.is_some()) else { return };
    change.events.push(cx.about_agent(first.id, Happened::DriverResumed { driver: spec.setup_name().into() }));
    for row in rows.into_iter().filter(|row| row.suspended.is_some()) {
        put(change, Agent { suspended: None, updated_at: cx.now, ..row });
    }
}

/// The rest of a driver is over: one run may try.
pub fn probe(state: &State, id: AgentId, cx: &Context) -> Result<Change, Refused> {
    let agent = state.agent(id).ok_or_else(|| Refused::NotFound { noun: "agent", name: id.short() })?;
    let due = |row: &Agent| row.suspended.as_ref().and_then(|s| s.until).is_some_and(|until| until <= cx.now);
    if !due(agent) {
        return Err(Refused::Stale { what: "its driver still rests" });
    }
    let mut change = Change::default();
    suspend(state, &mut change, &agent.spec, cx, |s| s.until = s.until.filter(|until| *until > cx.now));
    // Its own too when it was removed meanwhile: its rest is over.
    if agent.removed {
        put(&mut change, Agent { suspended: None, ..agent.clone() });
    }
    change.events.push(cx.about_agent(id, Happened::DriverProbed { driver: agent.spec.setup_name().into() }));
    Ok(change)
}

fn suspend(state: &State, change: &mut Change, spec: &AgentSpec, cx: &Context, edit: impl Fn(&mut Suspended)) {
    for mut row in of_driver(state, change, spec) {
        if let Some(suspended) = &mut row.suspended {
            edit(suspended);
            row.updated_at = cx.now;
            put(change, row);
        }
    }
}

/// An agent as this change leaves it.
fn row(state: &State, change: &Change, id: AgentId) -> Option<Agent> {
    change.agents.iter().rev().find(|row| row.id == id).or_else(|| state.agent(id)).cloned()
}

/// The agents that are set up as this one is: of its driver and, where that starts any program, of its program.
fn of_driver(state: &State, change: &Change, spec: &AgentSpec) -> Vec<Agent> {
    let rows = state.agents().filter_map(|agent| row(state, change, agent.id));
    rows.filter(|row| !row.removed && row.spec.shares_setup(spec)).collect()
}

fn put(change: &mut Change, row: Agent) {
    change.agents.retain(|other| other.id != row.id);
    change.agents.push(row);
}
