//! Nodes of a night: machines that vanish and return, and what must hold of it at every instant.

use std::collections::{BTreeMap, BTreeSet};

use musher_core::agent::AgentSpec;
use musher_core::id::RunId;
use musher_core::node::TTL;
use musher_core::state::State;
use musher_core::time::Timestamp;

use crate::chance::Chance;
use crate::failure::Broken;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;

/// How long machines come and go, in µs: while most is under way.
const RESTLESS: i64 = 90 * MINUTE;

/// A heartbeat that arrives.
#[derive(Clone, Debug)]
pub struct Beat {
    /// When, in µs since the evening.
    pub at: i64,
    /// Of which node.
    pub node: Box<str>,
}

/// Puts some agents on nodes, in every other night, and draws when those are heard. The first agent needs none, so that
/// most nights get somewhere.
pub(crate) fn draw(chance: &mut Chance, agents: &mut [AgentSpec]) -> Vec<Beat> {
    if chance.one_in(2) {
        return Vec::new();
    }
    let mut named = BTreeSet::new();
    for spec in agents.iter_mut().skip(1) {
        if !chance.one_in(3) {
            let node: Box<str> = if chance.one_in(2) { "box-1".into() } else { "box-2".into() };
            named.insert(node.clone());
            spec.node = Some(node);
        }
    }
    let mut beats = Vec::new();
    for node in named {
        let mut now = chance.between(0, 2 * MINUTE);
        while now < RESTLESS {
            let until = now + chance.between(SECOND, 10 * MINUTE);
            while now < until {
                if !chance.one_in(8) {
                    beats.push(Beat { at: now, node: node.clone() });
                }
                now += 20 * SECOND;
            }
            now += chance.between(20 * SECOND, 10 * MINUTE);
        }
    }
    beats
}

/// What is true of a node, by the heartbeats that musher took.
#[derive(Clone, Copy, Debug)]
struct Heard {
    /// From when its last heartbeat counts.
    since: Timestamp,
    silent: bool,
}

/// What was seen of nodes and of the runs of their agents.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    nodes: BTreeMap<Box<str>, Heard>,
    runs: BTreeSet<RunId>,
    /// When musher last looked at the clock; none = not since it was started, or built its world anew.
    looked_at: Option<Timestamp>,
}

impl Watch {
    /// A batch that is on disk: the heartbeats in it, and its moment. Answers how many nodes have fallen silent by then.
    pub(crate) fn committed(&mut self, heard: &[Box<str>], now: Timestamp) -> u64 {
        for node in heard {
            self.nodes.insert(node.clone(), Heard { since: now, silent: false });
        }
        let mut fallen = 0;
        for node in self.nodes.values_mut().filter(|node| !node.silent) {
            node.since = match self.looked_at {
                None => now,
                Some(_) => node.since.min(now),
            };
            node.silent = node.since.after(TTL) <= now;
            fallen += u64::from(node.silent);
        }
        self.looked_at = Some(now);
        fallen
    }

    /// Musher was started, or it has built its world anew: nodes that it heard get a fresh term.
    pub(crate) fn begin_anew(&mut self) {
        self.looked_at = None;
    }

    /// Whether a node is there, as far as its heartbeats tell.
    pub(crate) fn hears(&self, node: &str) -> bool {
        self.nodes.get(node).is_some_and(|heard| !heard.silent)
    }

    /// Whether a node was there once and is not any more.
    pub(crate) fn has_fallen_silent(&self, node: &str) -> bool {
        self.nodes.get(node).is_some_and(|heard| heard.silent)
    }

    /// No run was begun by an agent whose node was not heard at that instant.
    pub(crate) fn look(&mut self, state: &State) -> Result<(), Broken> {
        for run in state.runs() {
            let agent = state.agent(run.agent);
            let node = agent.and_then(|agent| agent.spec.node.as_ref());
            if self.runs.insert(run.id)
                && let (Some(agent), Some(name)) = (agent, node)
                && self.nodes.get(name).is_none_or(|node| node.silent)
            {
                let (id, agent) = (run.id.short(), &agent.spec.name);
                let what =
                    format!("run {id} was given to {agent} at {}, while its node {name} was silent", run.assigned_at);
                return Err(Broken::safety(run.item, what));
            }
        }
        Ok(())
    }
}
