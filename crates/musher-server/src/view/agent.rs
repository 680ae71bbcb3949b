//! Agents as documents.

use musher_core::agent::{Agent, AgentStatus};
use musher_core::node;
use musher_core::state::State;

use super::word;
use crate::api;

/// An agent.
pub fn agent(state: &State, row: &Agent) -> api::Agent {
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
        error: row.error.as_deref().map(str::to_owned).or_else(|| node::why_offline(state, row)),
        node: row.spec.node.as_deref().map(str::to_owned),
        heartbeat: state.heartbeat(row),
        source: word(&row.source),
        runs: state.runs().into_iter().filter(|r| r.agent == row.id).map(|r| r.id).collect(),
    }
}

/// The agents that were not removed.
pub fn agents(state: &State) -> Vec<api::Agent> {
    state.agents().filter(|a| !a.removed).map(|a| agent(state, a)).collect()
}
