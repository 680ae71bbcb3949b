//! Nodes: the machines that agents' programs really work on. A node is known by its heartbeats; while none comes, its
//! agents take no work. An agent without a node works on this machine and needs none.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::agent::Agent;
use crate::change::Change;
use crate::command::Refused;
use crate::event::{Event, Happened};
use crate::state::State;
use crate::step::Context;
use crate::time::Timestamp;

/// How long a heartbeat counts. Whoever sends them sends three in that time, so that one may be lost.
pub const TTL: Duration = Duration::from_secs(60);

/// The longest name of a node, in bytes.
pub const LONGEST_NAME: usize = 64;

/// A node that was heard at least once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name, as its agents' definitions have it.
    pub name: Box<str>,
    /// When it was heard last.
    pub heard_at: Timestamp,
    /// Nothing was heard of it for [`TTL`], and nothing has been since.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub silent: bool,
}

/// Whether a text can name a node: a host's name, mostly.
pub fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !text.is_empty() && text.len() <= LONGEST_NAME && text.chars().all(plain)
}

/// A heartbeat of a node. Its agents take work again if they did not for want of one; else nothing is said, since three
/// a minute come from each node.
pub fn heard(state: &State, name: &str, cx: &Context) -> Result<Change, Refused> {
    // Only what an agent names: a wrong name would be heard for ever and nobody would take work for it.
    if state.agents_of_node(name).next().is_none() {
        return Err(Refused::NotFound { noun: "node", name: name.to_owned() });
    }
    let returns = state.node(name).is_none_or(|node| node.silent);
    let mut change = Change::default();
    if returns {
        let online = |agent: &Agent| Happened::AgentOnline { name: agent.spec.name.clone() };
        change.events = of_its_agents(state, name, online, cx);
    }
    change.nodes.push(Node { name: name.into(), heard_at: cx.now, silent: false });
    Ok(change)
}

/// The last heartbeat of a node is too old: its agents take nothing until the next one. What they are at work on goes on,
/// for its run host tells of it.
pub fn fell_silent(state: &State, name: &str, cx: &Context) -> Result<Change, Refused> {
    let known = state.node(name).filter(|node| !node.silent);
    let node = known.ok_or(Refused::Stale { what: "its node is silent already" })?;
    let row = Node { silent: true, ..node.clone() };
    let why = silence(name, Some(&row));
    let offline = |agent: &Agent| Happened::AgentOffline { name: agent.spec.name.clone(), why: why.as_str().into() };
    let events = of_its_agents(state, name, offline, cx);
    Ok(Change { nodes: vec![row], events, ..Change::default() })
}

/// An event for each agent of a node that takes work or not by the node alone.
fn of_its_agents(state: &State, name: &str, happened: impl Fn(&Agent) -> Happened, cx: &Context) -> Vec<Event> {
    let agents = state.agents_of_node(name).filter_map(|id| state.agent(id)).filter(|agent| !agent.is_held());
    agents.map(|agent| cx.about_agent(agent.id, happened(agent))).collect()
}

/// What is said of an agent that nothing of its own keeps from work any more: that it takes work, or that its node is
/// silent.
pub(crate) fn now_takes_work(state: &State, agent: &Agent) -> Happened {
    let name = agent.spec.name.clone();
    match crate::host::why_offline(state, agent) {
        Some(why) => Happened::AgentOffline { name, why: why.into() },
        None => Happened::AgentOnline { name },
    }
}

/// Why an agent's node keeps it from work, if it does.
pub fn why_offline(state: &State, agent: &Agent) -> Option<String> {
    let name = agent.spec.node.as_deref().filter(|_| state.is_offline(agent))?;
    Some(silence(name, state.node(name)))
}

fn silence(name: &str, node: Option<&Node>) -> String {
    match node {
        Some(node) => format!("its node `{name}` was last heard at {}", node.heard_at),
        None => format!("its node `{name}` was never heard; `musher node heartbeat {name}` says that it is there"),
    }
}
