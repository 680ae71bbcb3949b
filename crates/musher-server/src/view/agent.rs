//! Agents as documents.

use std::collections::HashMap;

use musher_core::agent::{Agent, AgentStatus};
use musher_core::host;
use musher_core::id::AgentId;
use musher_core::run::Run;
use musher_core::state::State;
use musher_core::wait;

use super::word;
use crate::api;

/// The live runs, by their agents, oldest first.
type Runs<'a> = HashMap<AgentId, Vec<&'a Run>>;

fn runs(state: &State) -> Runs<'_> {
    let mut runs = Runs::new();
    for run in state.runs() {
        runs.entry(run.agent).or_default().push(run);
    }
    runs
}

/// An agent.
pub fn agent(state: &State, row: &Agent) -> api::Agent {
    document(state, row, &runs(state))
}

fn work(state: &State, run: &Run) -> api::AgentWork {
    api::AgentWork {
        run: run.id,
        item: run.item,
        key: state.item(run.item).map(|item| item.key.to_string()).unwrap_or_default(),
        purpose: word(&run.purpose),
        since: run.started_at.unwrap_or(run.assigned_at),
    }
}

fn document(state: &State, row: &Agent, runs: &Runs<'_>) -> api::Agent {
    let runs = runs.get(&row.id).map(Vec::as_slice).unwrap_or_default();
    let load = state.load(row.id);
    let strings = |texts: &[Box<str>]| texts.iter().map(ToString::to_string).collect();
    api::Agent {
        id: row.id,
        name: row.spec.name.to_string(),
        nickname: row.spec.nickname.as_deref().map(str::to_owned),
        driver: row.spec.driver.to_string(),
        model: row.spec.model.as_deref().map(str::to_owned),
        roles: strings(&row.spec.roles),
        capabilities: strings(&row.spec.capabilities),
        status: state.status(row.id).map(AgentStatus::name).unwrap_or_default().to_owned(),
        load,
        max_load: row.spec.max_load,
        error: row.error.as_deref().map(str::to_owned).or_else(|| host::why_offline(state, row)),
        node: row.spec.node.as_deref().map(str::to_owned),
        heartbeat: state.heartbeat(row),
        source: word(&row.source),
        runs: runs.iter().map(|run| run.id).collect(),
        work: runs.iter().map(|run| work(state, run)).collect(),
        wait: wait::of_agent(state, row).filter(|_| !row.removed).map(super::brief),
    }
}

/// The agents that were not removed.
pub fn agents(state: &State) -> Vec<api::Agent> {
    let runs = runs(state);
    state.agents().filter(|a| !a.removed).map(|a| document(state, a, &runs)).collect()
}
