//! The nodes in memory: which agents each has, and when its last heartbeat will have counted for long enough.

use std::collections::{BTreeMap, BTreeSet};

use super::State;
use crate::agent::Agent;
use crate::id::AgentId;
use crate::node::{Node, TTL};
use crate::time::Timestamp;

/// Nodes by name, and what is derived of them.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    pub(super) rows: BTreeMap<Box<str>, Node>,
    /// The agents that name a node, removed ones apart.
    pub(super) agents: BTreeMap<Box<str>, BTreeSet<AgentId>>,
    /// From when the last heartbeat of each counts that is not silent. It is when that came, or the start of this process,
    /// which has heard nothing before; and no moment that is still to come, if the clock was put back.
    since: BTreeMap<Box<str>, Timestamp>,
    /// When that ends.
    terms: BTreeSet<(Timestamp, Box<str>)>,
    /// Those whose term has ended.
    pub(super) overdue: BTreeSet<Box<str>>,
}

impl Nodes {
    /// When the first node will have been silent for too long.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.terms.first().map(|(at, _)| *at)
    }

    /// The last heartbeat of a node counts from this moment; none = it counts no more.
    fn count_from(&mut self, name: &str, since: Option<Timestamp>) {
        if let Some((name, old)) = self.since.remove_entry(name) {
            self.terms.remove(&(old.after(TTL), name));
        }
        self.overdue.remove(name);
        if let Some(since) = since {
            self.since.insert(name.into(), since);
            self.terms.insert((since.after(TTL), name.into()));
        }
    }

    /// The clock was looked at for the first time, or it went back.
    pub(super) fn begin_anew(&mut self, now: Timestamp, first: bool) {
        let moved: Vec<_> =
            self.since.iter().filter(|(_, since)| first || **since > now).map(|(name, _)| name.clone()).collect();
        for name in moved {
            self.count_from(&name, Some(now));
        }
    }

    /// Those whose term has ended by now enter the work list.
    pub(super) fn advance(&mut self, now: Timestamp) {
        while let Some((at, _)) = self.terms.first()
            && *at <= now
            && let Some((_, name)) = self.terms.pop_first()
        {
            self.overdue.insert(name);
        }
    }

    /// An agent is defined, changed or removed.
    pub(super) fn move_agent(&mut self, old: Option<&Agent>, new: &Agent) {
        let of = |agent: &Agent| agent.spec.node.clone().filter(|_| !agent.removed);
        let (from, to) = (old.and_then(of), of(new));
        if from == to {
            return;
        }
        if let Some(name) = from
            && let Some(agents) = self.agents.get_mut(&name)
        {
            agents.remove(&new.id);
            if agents.is_empty() {
                self.agents.remove(&name);
            }
        }
        if let Some(name) = to {
            self.agents.entry(name).or_default().insert(new.id);
        }
    }

    /// What is wrong with the derived lists, if anything is.
    pub(super) fn check(&self) -> Result<(), String> {
        for (name, row) in &self.rows {
            let since = self.since.get(name);
            if since.is_some() == row.silent {
                return Err(format!("node {name} is silent: {}, and its heartbeat counts from {since:?}", row.silent));
            }
            let watched = since.is_some_and(|since| self.terms.contains(&(since.after(TTL), name.clone())));
            if watched == (row.silent || self.overdue.contains(name)) {
                return Err(format!("nobody looks when node {name} falls silent, or nobody needs to"));
            }
        }
        let strays = self.since.keys().chain(&self.overdue).any(|name| !self.rows.contains_key(name));
        let terms = self.terms.len() + self.overdue.len() == self.since.len();
        if strays || !terms { Err("a node is watched that is none".to_owned()) } else { Ok(()) }
    }
}

impl State {
    /// A node that was heard at least once.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.rows.get(name)
    }

    /// The nodes that agents name, heard or not, by name.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, Option<&Node>)> {
        self.nodes.agents.keys().map(|name| (&**name, self.node(name)))
    }

    /// The agents that name this node, oldest first, removed ones apart.
    pub fn agents_of_node(&self, name: &str) -> impl Iterator<Item = AgentId> {
        self.nodes.agents.get(name).into_iter().flatten().copied()
    }

    /// Whether nothing is heard of an agent: of its node; or, of one without a node, of the hosts of all its live runs.
    pub fn is_offline(&self, agent: &Agent) -> bool {
        match agent.spec.node.as_deref() {
            Some(name) => self.node(name).is_none_or(|node| node.silent),
            None => self.hosts_of(agent.id).are_silent(),
        }
    }

    /// When an agent was last heard: its node; or, of one without a node, the run host of one of its live runs.
    pub fn heartbeat(&self, agent: &Agent) -> Option<Timestamp> {
        match &agent.spec.node {
            Some(name) => self.node(name).map(|node| node.heard_at),
            None => {
                let runs = self.runs.values().filter(|run| run.agent == agent.id);
                runs.filter_map(|run| run.last_activity_at.max(run.started_at)).max()
            }
        }
    }

    pub(crate) fn first_silent(&self) -> Option<&str> {
        self.nodes.overdue.first().map(|name| &**name)
    }

    pub(super) fn put_node(&mut self, row: Node) {
        let name = row.name.clone();
        self.nodes.count_from(&name, (!row.silent).then_some(row.heard_at));
        let silent = row.silent;
        let was = self.nodes.rows.insert(name.clone(), row).map(|old| old.silent);
        // Most heartbeats are of a node that is known to be there, and change nothing else.
        if was != Some(silent) {
            let agents: Vec<AgentId> = self.agents_of_node(&name).collect();
            self.dispatch_due |= !agents.is_empty();
            agents.into_iter().for_each(|agent| self.restand(agent));
        }
    }
}
