//! Schedules as documents.

use musher_core::firing::Firing;
use musher_core::schedule::{Schedule, ScheduleSpec, When};
use musher_core::state::State;

use super::action;
use crate::api;

/// Those that are there, by name.
pub fn schedules(state: &State) -> Vec<api::Schedule> {
    let mut all: Vec<_> = state.schedules().filter(|row| !row.removed).map(schedule).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// A schedule.
pub fn schedule(row: &Schedule) -> api::Schedule {
    api::Schedule {
        id: row.id.to_string(),
        name: row.spec.name.to_string(),
        status: row.status().to_owned(),
        source: row.source.name().to_owned(),
        when: row.spec.when.to_string(),
        action: row.spec.action.name().to_owned(),
        due: row.due,
        fired_due: row.fired_due,
        queued: row.queued.len(),
        failures: row.failures,
        not_before: row.not_before,
        paused: row.paused.as_deref().map(str::to_owned),
        spec: spec(&row.spec),
    }
}

fn spec(spec: &ScheduleSpec) -> api::NewSchedule {
    let text = |text: &str| Some(text.to_owned());
    let mut new = api::NewSchedule {
        name: spec.name.to_string(),
        check: spec.check.as_ref().map(|check| check.argv.iter().map(ToString::to_string).collect()),
        run_on: spec.check.as_ref().map(|check| check.run_on),
        check_timeout_secs: spec.check.as_ref().map(|check| check.timeout_secs),
        overlap: Some(spec.overlap),
        misfire: Some(spec.misfire),
        timeout_secs: Some(spec.timeout_secs),
        notify: Some(spec.notify),
        enabled: Some(spec.enabled),
        policy: Some(spec.policy.clone()),
        ..api::NewSchedule::default()
    };
    match &spec.when {
        When::Cron { expression, tz } => {
            new.cron = text(expression);
            new.tz = text(if tz.is_empty() { "UTC" } else { tz });
        }
        When::Every { secs } => new.every_secs = Some(*secs),
        When::At(at) => new.at = Some(*at),
    }
    let does = action::wish(&spec.action);
    api::NewSchedule {
        prompt: does.prompt,
        agent: does.agent,
        plan: does.plan,
        plan_file: does.plan_file,
        note: does.note,
        mission: does.mission,
        ..new
    }
}

/// A firing.
pub fn firing(row: &Firing) -> api::Firing {
    api::Firing {
        id: row.id.to_string(),
        due: row.due,
        missed: row.missed,
        outcome: row.state.name().to_owned(),
        mission: row.mission.map(|id| id.to_string()),
        text: row.text.as_deref().map(str::to_owned),
        fired_at: row.fired_at,
        finished_at: row.finished_at,
        event: row.cause.as_ref().map(|cause| cause.event.0),
        event_kind: row.cause.as_ref().map(|cause| cause.kind.to_string()),
    }
}
