//! Triggers as documents.

use musher_core::state::State;
use musher_core::trigger::{Predicate, Trigger, TriggerSpec};

use super::action;
use crate::api;

/// Those that are there, by name.
pub fn triggers(state: &State) -> Vec<api::Trigger> {
    let mut all: Vec<_> = state.triggers().filter(|row| !row.removed).map(|row| trigger(state, row)).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// A trigger.
pub fn trigger(state: &State, row: &Trigger) -> api::Trigger {
    api::Trigger {
        id: row.id.to_string(),
        name: row.spec.name.to_string(),
        status: row.status().to_owned(),
        source: row.source.name().to_owned(),
        on: words(&row.spec.on),
        action: row.spec.action.name().to_owned(),
        seen: if row.sees() { state.last_seq().0 } else { row.seen.0 },
        fires: row.fires,
        fired_at: row.fired_at,
        waiting: state.count_waiting(row.id),
        failures: row.failures,
        not_before: row.not_before,
        paused: row.paused.as_deref().map(str::to_owned),
        spec: spec(&row.spec),
    }
}

/// The conditions in a line.
fn words(on: &Predicate) -> String {
    let said = |name: &str, value: &Option<Box<str>>| value.as_deref().map(|value| format!("{name} {value}"));
    let kinds = (!on.kinds.is_empty()).then(|| on.kinds.join(" or "));
    let texts = [
        said("mission", &on.mission),
        said("item", &on.item),
        said("agent", &on.agent),
        said("from", &on.from_state),
        said("to", &on.to_state),
        said("label", &on.label),
        on.text.as_deref().map(|text| format!("text {text:?}")),
    ];
    kinds.into_iter().chain(texts.into_iter().flatten()).collect::<Vec<_>>().join(", ")
}

fn spec(spec: &TriggerSpec) -> api::NewTrigger {
    let does = action::wish(&spec.action);
    let text = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
    let on = &spec.on;
    api::NewTrigger {
        name: spec.name.to_string(),
        on: api::Predicate {
            kinds: on.kinds.iter().map(ToString::to_string).collect(),
            mission: text(&on.mission),
            item: text(&on.item),
            agent: text(&on.agent),
            from_state: text(&on.from_state),
            to_state: text(&on.to_state),
            label: text(&on.label),
            text: text(&on.text),
        },
        prompt: does.prompt,
        agent: does.agent,
        plan: does.plan,
        plan_file: does.plan_file,
        note: does.note,
        mission: does.mission,
        mode: Some(spec.mode),
        max_fires: spec.max_fires,
        cooldown_secs: Some(spec.cooldown_secs),
        expires: spec.expires,
        enabled: Some(spec.enabled),
        policy: Some(spec.policy.clone()),
    }
}
