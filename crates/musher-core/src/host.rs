//! Run hosts that do not answer: stopped, and not dead. Their runs go on owning their items, for what they started may be
//! at work; an agent of whose runs no host answers takes nothing more until one does.

use std::collections::BTreeMap;

use crate::agent::Agent;
use crate::change::Change;
use crate::command::Refused;
use crate::event::Happened;
use crate::id::{AgentId, RunId};
use crate::node;
use crate::run::Run;
use crate::state::State;
use crate::step::Context;

/// A run's host does not answer.
pub fn fell_silent(state: &State, run: RunId, pid: i32) -> Result<Change, Refused> {
    heard(state, run, Some(pid))
}

/// A run's host answers again.
pub fn answers(state: &State, run: RunId) -> Result<Change, Refused> {
    heard(state, run, None)
}

fn heard(state: &State, run: RunId, silent_host: Option<i32>) -> Result<Change, Refused> {
    let run = state.run(run).ok_or(Refused::Stale { what: "its run is over" })?;
    if run.silent_host == silent_host {
        return Err(Refused::Stale { what: "that is known of its run host" });
    }
    Ok(Change { runs: vec![Run { silent_host, ..run.clone() }], ..Change::default() })
}

/// What the runs that this change begins, ends or hears of say of their agents. Called for every change, so that no way
/// of ending a run can be forgotten.
pub(crate) fn settle(state: &State, change: &mut Change, cx: &Context) {
    let mut last: BTreeMap<RunId, &Run> = BTreeMap::new();
    last.extend(change.runs.iter().map(|run| (run.id, run)));
    let mut moved: BTreeMap<AgentId, Hosts> = BTreeMap::new();
    for run in last.into_values() {
        let old = state.run(run.id);
        if old.is_some_and(|old| old.silent_host.is_some())
            || run.silent_host.is_some()
            || state.has_silent_host(run.agent)
        {
            let hosts = moved.entry(run.agent).or_insert_with(|| state.hosts_of(run.agent));
            old.into_iter().for_each(|old| hosts.lose(old));
            hosts.gain(run);
        }
    }
    for (id, hosts) in moved {
        let agent = change.agents.iter().rev().find(|row| row.id == id).or_else(|| state.agent(id));
        let Some(agent) = agent.filter(|agent| agent.spec.node.is_none() && !agent.is_held()) else { continue };
        let name = agent.spec.name.clone();
        let happened = match (state.hosts_of(id).are_silent(), hosts.are_silent()) {
            (true, false) => Happened::AgentOnline { name },
            (false, true) => {
                let live = change.runs.iter().filter(|run| run.agent == id && run.is_live());
                let why = live.chain(state.runs_of_agent(id)).find_map(silence).unwrap_or_default();
                Happened::AgentOffline { name, why: why.into() }
            }
            (true, true) | (false, false) => continue,
        };
        change.events.push(cx.about_agent(id, happened));
    }
}

/// How many live runs an agent has, and of how many the host does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hosts {
    /// Live runs.
    pub(crate) live: u32,
    /// Those among them whose host does not answer.
    pub(crate) silent: u32,
}

impl Hosts {
    /// Whether there are hosts, and none of them answers.
    pub(crate) const fn are_silent(self) -> bool {
        self.silent > 0 && self.silent >= self.live
    }

    fn lose(&mut self, run: &Run) {
        self.live = self.live.saturating_sub(u32::from(run.is_live()));
        self.silent = self.silent.saturating_sub(u32::from(is_silent(run)));
    }

    fn gain(&mut self, run: &Run) {
        self.live += u32::from(run.is_live());
        self.silent += u32::from(is_silent(run));
    }
}

/// Whether a run is live and its host does not answer.
pub(crate) const fn is_silent(run: &Run) -> bool {
    run.is_live() && run.silent_host.is_some()
}

/// What is the matter with the host of a run, and how to cure it; nothing while it answers.
pub(crate) fn silence(run: &Run) -> Option<String> {
    let pid = run.silent_host.filter(|_| run.is_live())?;
    let id = run.id.short();
    Some(format!(
        "the run host of {id} (process {pid}) does not answer; `kill -CONT {pid}` lets it go on, and \
         `musher run kill {id}` ends the run"
    ))
}

/// Why an agent is offline: the silence of its node, or of the host of one of its runs.
pub fn why_offline(state: &State, agent: &Agent) -> Option<String> {
    node::why_offline(state, agent)
        .or_else(|| state.is_offline(agent).then(|| state.runs_of_agent(agent.id).find_map(silence)).flatten())
}
