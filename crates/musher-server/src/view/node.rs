//! Nodes as documents.

use musher_core::node::{Node, TTL};
use musher_core::state::State;

use crate::api;

/// The node of this name, if an agent names it.
pub fn node(state: &State, name: &str) -> Option<api::AgentNode> {
    state.nodes().find(|(known, _)| *known == name).map(|(name, row)| document(state, name, row))
}

/// The nodes that agents name.
pub fn nodes(state: &State) -> Vec<api::AgentNode> {
    state.nodes().map(|(name, row)| document(state, name, row)).collect()
}

fn document(state: &State, name: &str, row: Option<&Node>) -> api::AgentNode {
    let online = row.is_some_and(|row| !row.silent);
    let agents = state.agents_of_node(name).filter_map(|id| state.agent(id));
    api::AgentNode {
        name: name.to_owned(),
        status: if online { "online" } else { "offline" }.to_owned(),
        heartbeat: row.map(|row| row.heard_at),
        ttl_secs: TTL.as_secs(),
        agents: agents.map(|agent| agent.spec.name.to_string()).collect(),
    }
}
