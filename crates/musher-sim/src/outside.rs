//! What is true, whatever musher believes: processes, worktrees, branches, and what is in the target branches.
//!
//! The simulated drivers change it; it refuses what must never be, at the instant at which it would be.

use std::collections::{BTreeMap, BTreeSet};

use musher_core::agent::AgentSpec;
use musher_core::id::{AgentId, ItemId, MissionId, RunId};
use musher_core::item::{Item, ItemState};
use musher_core::mission::StartMission;
use musher_core::run::{Outcome, Purpose, Run};
use musher_core::state::State;

use crate::failure::Broken;

/// An agent's process.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its item.
    pub item: ItemId,
    /// Its mission.
    pub mission: MissionId,
    /// Its agent.
    pub agent: AgentId,
    /// What for.
    pub purpose: Purpose,
    /// How it will end by itself.
    pub plan: Outcome,
    /// Whether it commits something before it ends.
    pub commits: bool,
    /// Whether it deletes its worktree at its end.
    pub deletes: bool,
    /// How it ended; none while it lives.
    pub ended: Option<Outcome>,
}

/// The branch of an item.
#[derive(Clone, Debug, Default)]
pub struct Branch {
    /// How many commits were ever made on it.
    pub commits: u32,
    /// How often it was rebased.
    pub rebases: u32,
    /// The target's tip that it stands on.
    pub base: String,
}

impl Branch {
    /// The name of its tip.
    pub fn head(&self, item: ItemId) -> String {
        format!("h-{}-{}-{}", item.short(), self.commits, self.rebases)
    }

    /// The name of its tip's tree.
    pub fn tree(&self, item: ItemId) -> String {
        format!("t-{}", self.head(item))
    }
}

/// A commit that was made for a merge.
#[derive(Clone, Debug)]
pub struct Chained {
    /// The item that it is of.
    pub item: ItemId,
    /// What it stands on.
    pub parent: String,
    /// Its tree.
    pub tree: String,
}

/// A target branch.
#[derive(Clone, Debug)]
pub struct Target {
    /// All commits, oldest first; the last is the tip.
    pub history: Vec<String>,
    /// What of it are items.
    pub landed: Vec<(ItemId, String)>,
}

impl Target {
    /// The tip.
    pub fn tip(&self) -> &str {
        self.history.last().map_or("", String::as_str)
    }
}

impl Default for Target {
    fn default() -> Self {
        Self { history: vec!["root".to_owned()], landed: Vec::new() }
    }
}

/// The truth.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// Every process that ever was.
    pub processes: BTreeMap<RunId, Process>,
    /// The worktrees that exist, with the commit each was made from.
    pub worktrees: BTreeMap<ItemId, String>,
    /// The branches.
    pub branches: BTreeMap<ItemId, Branch>,
    /// The target branches, by ref.
    pub targets: BTreeMap<String, Target>,
    /// The commits that were ever made for merges.
    pub chain: BTreeMap<String, Chained>,
    /// Merged trees that are red, whoever asks.
    pub red: BTreeSet<String>,
    /// Trees on which a gate was green, with its text.
    pub green: BTreeSet<(String, String)>,
    /// Runs whose stop came before their start, as far as this daemon knows.
    pub unwanted: BTreeSet<RunId>,
    missions: Vec<StartMission>,
    agents: Vec<AgentSpec>,
}

impl Outside {
    /// A world in which nothing has happened, and what operators will ask for in it.
    pub fn new(missions: Vec<StartMission>, agents: Vec<AgentSpec>) -> Self {
        Self { missions, agents, ..Self::default() }
    }

    /// A target branch.
    pub fn target(&mut self, name: &str) -> &mut Target {
        self.targets.entry(name.to_owned()).or_default()
    }

    /// The processes that live now.
    pub fn live(&self) -> impl Iterator<Item = (&RunId, &Process)> {
        self.processes.iter().filter(|(_, p)| p.ended.is_none())
    }

    /// The live process of an item, if there is one.
    pub fn living(&self, item: ItemId) -> Option<RunId> {
        self.live().find(|(_, p)| p.item == item).map(|(run, _)| *run)
    }

    /// The commits of an item that are in a target branch.
    pub fn landed(&self, item: ItemId) -> impl Iterator<Item = &str> {
        self.targets
            .values()
            .flat_map(|t| t.landed.iter())
            .filter(move |(landed, _)| *landed == item)
            .map(|(_, commit)| commit.as_str())
    }

    /// A process starts.
    pub fn spawn(&mut self, state: &State, run: &Run, process: Process) -> Result<(), Broken> {
        let id = process.item;
        let safety = |what: String| Err(Broken::safety(id, what));
        if let Some(other) = self.living(id) {
            let (one, two) = (other.short(), run.id.short());
            return safety(format!("two processes at work on item {}: runs {one} and {two}", id.short()));
        }
        let Some(item) = state.item(id) else {
            return safety(format!("a process starts for item {}, which is archived", id.short()));
        };
        if !self.worktrees.contains_key(&id) {
            return safety(format!("a process of item {} starts without a worktree", item.key));
        }
        if process.purpose != Purpose::Review {
            self.dependencies_done(state, item)?;
            self.within_parallel_limit(state, item)?;
        }
        self.within_max_load(state, run)?;
        self.processes.insert(run.id, process);
        Ok(())
    }

    /// The plan says what comes first, not musher's rows of it.
    fn dependencies_done(&self, state: &State, item: &Item) -> Result<(), Broken> {
        let Some(mission) = state.mission(item.mission) else { return Ok(()) };
        let planned = self.plan(state, item.mission).and_then(|plan| plan.items.iter().find(|i| i.key == item.key));
        let keys = planned.map(|i| i.depends_on.as_slice()).unwrap_or_default();
        for dependency in mission.items.iter().filter_map(|i| state.item(*i)).filter(|i| keys.contains(&i.key)) {
            // Superseded is not done: the other one must be.
            let dependency = state.in_its_place(dependency);
            let merged = self.landed(dependency.id).next().is_some();
            let accepted = dependency.satisfied || (dependency.state == ItemState::Done && dependency.no_merge);
            if !merged && !accepted {
                let what = format!("item {} is worked on before {} is merged", item.key, dependency.key);
                return Err(Broken::safety(item.id, what));
            }
        }
        Ok(())
    }

    fn within_max_load(&self, state: &State, run: &Run) -> Result<(), Broken> {
        let Some(agent) = state.agent(run.agent) else { return Ok(()) };
        let most = self.agents.iter().find(|a| a.name == agent.spec.name).map_or(0, |a| a.max_load);
        let load = self.live().filter(|(_, p)| p.agent == run.agent).count();
        if most != 0 && load >= most as usize {
            let what = format!("agent {} gets one process more than its max_load of {most}", agent.spec.name);
            return Err(Broken::safety(run.item, what));
        }
        Ok(())
    }

    /// An item that was held or cancelled before its process started takes no slot any more.
    fn within_parallel_limit(&self, state: &State, item: &Item) -> Result<(), Broken> {
        let limit = self.parallel_limit(state, item.mission);
        let at_work = self
            .live()
            .filter(|(_, p)| p.mission == item.mission && p.purpose != Purpose::Review)
            .filter(|(_, p)| state.item(p.item).is_some_and(Item::is_live))
            .count();
        if item.is_live() && at_work >= limit as usize {
            let what = format!("mission {} gets one process more than its limit of {limit}", item.mission.short());
            return Err(Broken::safety(item.id, what));
        }
        Ok(())
    }

    /// How many items of a mission may be at work at once.
    pub fn parallel_limit(&self, state: &State, mission: MissionId) -> u32 {
        self.plan(state, mission).map_or(u32::MAX, |plan| plan.policy.max_parallel_items)
    }

    /// What an operator asked for; the goals of a night are all different.
    fn plan(&self, state: &State, mission: MissionId) -> Option<&StartMission> {
        let goal = &state.mission(mission)?.row.goal;
        self.missions.iter().find(|plan| plan.goal == *goal)
    }

    /// A process ends. Its commits are there, its worktree may be gone.
    pub fn end(&mut self, run: RunId, outcome: Option<Outcome>) {
        let Some(process) = self.processes.get_mut(&run) else { return };
        if process.ended.is_some() {
            return;
        }
        if process.commits && process.purpose != Purpose::Review {
            self.branches.entry(process.item).or_default().commits += 1;
        }
        if process.deletes && outcome.is_none() {
            self.worktrees.remove(&process.item);
        }
        process.ended = Some(outcome.unwrap_or_else(|| process.plan.clone()));
    }

    /// A commit of an item becomes the tip of a target branch.
    pub fn land(&mut self, target: &str, item: ItemId, commit: &str) -> Result<(), Broken> {
        if let Some(earlier) = self.landed(item).next() {
            let what = format!("item {} is merged twice: {earlier} and {commit}", item.short());
            return Err(Broken::safety(item, what));
        }
        let target = self.target(target);
        target.history.push(commit.to_owned());
        target.landed.push((item, commit.to_owned()));
        Ok(())
    }

    /// Refuses work in a worktree in which an agent is at work.
    pub fn nobody_works(&self, item: ItemId, what: &str) -> Result<(), Broken> {
        match self.live().find(|(_, p)| p.item == item && p.purpose != Purpose::Review) {
            Some((run, _)) => Err(Broken::safety(
                item,
                format!("{what} of item {} while run {} is at work", item.short(), run.short()),
            )),
            None => Ok(()),
        }
    }
}
