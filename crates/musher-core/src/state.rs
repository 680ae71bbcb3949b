//! The active world in memory: the rows of missions that are not archived, and the indexes that make decisions cheap.
//!
//! Rows change by [`State::apply`] alone; every index is derived from rows, here, and rebuilt at start.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, Hasher};

use crate::agent::{Agent, AgentStatus};
use crate::change::{Change, GateRecord};
use crate::config::ProjectSettings;
use crate::dispatch;
use crate::effect::Effect;
use crate::firing::Firing;
use crate::host::Hosts;
use crate::hub::{self, Project};
use crate::id::{
    AgentId, EffectId, FiringId, ItemId, MissionId, ProjectId, RunId, ScheduleId, Seq, TriggerId, WatchId,
};
use crate::item::{Item, ItemState, Phase, Priority};
use crate::merge::{Batch, MergeQueue};
use crate::mission::{Counts, Mission, OnRateLimit, Share};
use crate::node::Node;
use crate::pull::Pull;
use crate::quota::{Account, Books, Denied, Scope};
use crate::run::{Run, Usage};
use crate::schedule::Schedule;
use crate::sink::Sink;
use crate::time::Timestamp;
use crate::trigger::Trigger;
use crate::watch::Watch;
use crate::webhook::{Webhook, Webhooks};

mod check;
mod index;
mod nodes;
mod outside;
mod projects;
mod ready;
mod roster;
mod schedules;
mod triggers;

pub use check::Violation;
use index::queue_key;
use nodes::Nodes;
pub(crate) use outside::follows_pull;
pub use ready::{Class, Rank, Turn};
use ready::{Open, ReadyIndex};
use roster::Roster;
pub(crate) use roster::{Place, Squad, Standing, Trade};
use schedules::Schedules;
use triggers::Triggers;

/// Hashes ids by their random half: fast, and the same in every process.
#[derive(Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.rchunks(8).take(1) {
            let mut word = [0u8; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_le_bytes(word);
        }
    }
    fn write_usize(&mut self, _: usize) {}
}

/// A map by id whose order of iteration does not depend on chance; still, decisions never iterate it.
pub type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// The rows that are loaded at start.
#[derive(Debug, Default, Clone)]
pub struct World {
    /// The last settings, if any were ever given.
    pub settings: Option<Box<ProjectSettings>>,
    /// Missions that are not archived.
    pub missions: Vec<Mission>,
    /// Their items.
    pub items: Vec<Item>,
    /// Their live runs.
    pub runs: Vec<Run>,
    /// All agents.
    pub agents: Vec<Agent>,
    /// All schedules, also those that are gone.
    pub schedules: Vec<Schedule>,
    /// All triggers, also those that are gone.
    pub triggers: Vec<Trigger>,
    /// The live firings of both.
    pub firings: Vec<Firing>,
    /// All nodes that were ever heard.
    pub nodes: Vec<Node>,
    /// All sinks, also those that left the config.
    pub sinks: Vec<Sink>,
    /// How far subscribers of the log have come, by their names.
    pub cursors: Vec<(Box<str>, Seq)>,
    /// The newest webhooks that were taken, oldest first.
    pub webhooks: Vec<Webhook>,
    /// The projects that a hub knows.
    pub projects: Vec<Project>,
    /// Open effects, oldest first.
    pub effects: Vec<Effect>,
    /// What is used of quotas, and what operators have set.
    pub quotas: Vec<Account>,
    /// Pull requests of the items.
    pub pulls: Vec<Pull>,
    /// Watches of the items.
    pub watches: Vec<Watch>,
    /// What gates said last.
    pub gates: Vec<GateRecord>,
    /// The row of the merge queue, if there ever was one.
    pub queue: Option<Box<MergeQueue>>,
    /// The place of the last event; 0 when there is none.
    pub last_seq: Seq,
}

/// How many gate results are remembered; the oldest are forgotten, and then tested again.
pub const GATES_REMEMBERED: usize = 1_000;

/// A mission with what is derived from its items.
#[derive(Debug, Clone)]
pub struct MissionEntry {
    /// The row.
    pub row: Mission,
    /// Its items, in the order of the plan.
    pub items: Vec<ItemId>,
    /// How many are in each phase.
    pub counts: Counts,
    /// What all runs of its items used.
    pub usage: Usage,
    /// What it may use.
    pub budget: Budget,
    /// When it last came on: an item changed its state, a watch its result, or a note took effect; its start at first.
    pub last_progress_at: Timestamp,
    /// The last turn that it had; 0 when it had none.
    pub last_turn: u64,
}

impl MissionEntry {
    /// How many items are in this phase.
    pub fn count(&self, phase: Phase) -> u32 {
        self.counts.by_phase[phase as usize]
    }

    /// How many of its items have an agent: assigned or running.
    pub fn leases(&self) -> u32 {
        self.count(Phase::Assigned) + self.count(Phase::Running)
    }

    /// How many items may still be assigned, by the policy.
    pub fn free_slots(&self) -> u32 {
        let taken = self.leases() + self.count(Phase::Verifying);
        self.row.policy.max_parallel_items.saturating_sub(taken)
    }

    /// Where it stands among the missions that want to dispatch.
    pub fn share(&self) -> Share {
        Share::of(self.row.policy.weight, self.leases(), self.last_turn)
    }

    /// The cap that is used up.
    pub fn cap_reached(&self) -> Option<Denied> {
        if self.budget.micro_usd.is_some_and(|cap| self.usage.cost_micro_usd >= cap) {
            return Some(Denied::MissionUsd);
        }
        self.budget.tokens.is_some_and(|cap| self.usage.tokens() >= cap).then_some(Denied::MissionTokens)
    }

    /// What it stands among the ready items with; nothing when it may not dispatch.
    fn standing(&self) -> Option<Open> {
        let is_open = self.row.state.dispatches() && self.free_slots() > 0 && self.cap_reached().is_none();
        is_open.then(|| Open { told: self.row.dispatcher.answer, share: self.share() })
    }
}

/// What a mission may use in all, by its policy or by an operator; none = unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Millionths of a US dollar.
    pub micro_usd: Option<u64>,
    /// Tokens.
    pub tokens: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Timer {
    Item(ItemId),
    Mission(MissionId),
    Run(RunId),
    Agent(AgentId),
    Driver(AgentId),
    Schedule(ScheduleId),
    Firing(FiringId),
    Pull(ItemId),
    Watch(WatchId),
    Help(MissionId),
    Trigger(TriggerId),
}

/// The active world.
#[derive(Debug, Default)]
pub struct State {
    settings: ProjectSettings,
    configured: bool,
    missions: BTreeMap<MissionId, MissionEntry>,
    /// Boxed: a map keeps up to half of its places free, and a row is some 600 bytes.
    items: IdMap<ItemId, Box<Item>>,
    runs: IdMap<RunId, Run>,
    agents: BTreeMap<AgentId, Agent>,
    nodes: Nodes,
    schedules: Schedules,
    triggers: Triggers,
    /// The place of the last event.
    last_seq: Seq,
    sinks: BTreeMap<Box<str>, Sink>,
    cursors: BTreeMap<Box<str>, Seq>,
    webhooks: Webhooks,
    projects: BTreeMap<ProjectId, Project>,
    agent_names: BTreeMap<Box<str>, AgentId>,
    books: Books,
    effects: BTreeMap<EffectId, Effect>,
    pulls: BTreeMap<ItemId, Pull>,
    watches: BTreeMap<WatchId, Watch>,
    gates: BTreeMap<(Box<str>, Box<str>), GateRecord>,
    gate_order: std::collections::VecDeque<(Box<str>, Box<str>)>,

    dependents: IdMap<ItemId, Vec<ItemId>>,
    load: BTreeMap<AgentId, u32>,
    /// How many live runs of an agent have a host that does not answer; absent = none.
    silent_hosts: BTreeMap<AgentId, u32>,
    roster: Roster,
    at_work: BTreeMap<AgentId, u32>,
    runs_of: IdMap<ItemId, Vec<RunId>>,
    /// The live runs of each mission, by when they were last heard.
    heard: BTreeMap<MissionId, BTreeSet<(Timestamp, RunId)>>,
    effects_of: IdMap<ItemId, Vec<EffectId>>,
    timers: BTreeSet<(Timestamp, Timer)>,
    ready: ReadyIndex,
    /// The last turn of each mission that had one.
    turns: BTreeSet<(u64, MissionId)>,
    promotable: BTreeSet<ItemId>,
    clear: BTreeSet<ItemId>,
    unreviewed: BTreeSet<ItemId>,
    queue: BTreeSet<(Priority, Timestamp, ItemId)>,
    merge_queue: MergeQueue,
    unjudged: BTreeSet<MissionId>,
    slots: BTreeSet<u32>,
    live: BTreeSet<ItemId>,
    /// Runs of which a question has waited for too long.
    overdue: BTreeSet<RunId>,
    /// Agents whose account may be used again.
    rested: BTreeSet<AgentId>,
    /// Agents whose driver has rested.
    to_probe: BTreeSet<AgentId>,
    /// Ready items by the agent whose account their last run used up.
    limited: BTreeMap<AgentId, BTreeSet<ItemId>>,
    watches_of: BTreeMap<ItemId, BTreeSet<WatchId>>,
    /// The open watches of each mission.
    watched: BTreeMap<MissionId, BTreeSet<WatchId>>,
    /// Items whose pull request is due, but for those that are to be opened.
    to_tend: BTreeSet<ItemId>,
    /// Items whose pull request is to be opened: first those of the day on which they were counted last.
    to_open: BTreeSet<(Reverse<u64>, ItemId)>,
    /// Watches that are due.
    to_look_at: BTreeSet<WatchId>,
    /// Items whose pull request has notes that are not applied yet.
    to_heed: BTreeSet<ItemId>,
    /// The moments of those timers that have just one each.
    armed: BTreeMap<Timer, Timestamp>,
    dispatch_due: bool,
    /// The classes of ready items that no agent could ever take when dispatch last looked.
    hopeless: BTreeSet<Class>,
    /// When an account that refuses now refuses no more by itself.
    heals: BTreeMap<Scope, Timestamp>,
    /// The moment of the last look at what is due.
    looked_at: Timestamp,
}

impl State {
    /// Builds the world and all its indexes from the rows of the store.
    pub fn from_world(world: World) -> Self {
        let mut state = Self { dispatch_due: true, last_seq: world.last_seq, ..Self::default() };
        let mut items = world.items;
        // A store answers in its own order; a mission lists its items in the order of the plan.
        let place = |item: &Item| (item.mission, item.number);
        if !items.is_sorted_by_key(place) {
            items.sort_by_key(place);
        }
        let change =
            Change { settings: world.settings, missions: world.missions, agents: world.agents, ..Change::default() };
        let change = Change { schedules: world.schedules, triggers: world.triggers, firings: world.firings, ..change };
        let change = Change { nodes: world.nodes, sinks: world.sinks, cursors: world.cursors, ..change };
        let hub = world.projects.into_iter().map(hub::Row::Project).collect();
        let change = Change { webhooks: world.webhooks, hub, ..change };
        state.apply(change);
        state.items.reserve(items.len());
        for row in items {
            state.put_item(Box::new(row));
        }
        state.apply(Change {
            pulls: world.pulls,
            watches: world.watches,
            runs: world.runs,
            quotas: world.quotas,
            effects: world.effects,
            gates: world.gates,
            queue: world.queue,
            ..Change::default()
        });
        // In-degrees need every item to be there first.
        let pending: Vec<ItemId> = state.items.values().filter(|i| i.phase() == Phase::Pending).map(|i| i.id).collect();
        for id in pending {
            state.index_pending(id);
        }
        state
    }

    /// The project's settings.
    pub fn settings(&self) -> &ProjectSettings {
        &self.settings
    }

    /// Whether settings were ever given.
    pub fn is_configured(&self) -> bool {
        self.configured
    }

    /// A mission with what is derived from its items.
    pub fn mission(&self, id: MissionId) -> Option<&MissionEntry> {
        self.missions.get(&id)
    }

    /// All active missions, oldest first.
    pub fn missions(&self) -> impl Iterator<Item = &MissionEntry> {
        self.missions.values()
    }

    /// An item.
    pub fn item(&self, id: ItemId) -> Option<&Item> {
        self.items.get(&id).map(Box::as_ref)
    }

    /// How many items are in memory.
    pub fn item_count(&self) -> usize {
        self.items.len()
    }

    /// A live run.
    pub fn run(&self, id: RunId) -> Option<&Run> {
        self.runs.get(&id)
    }

    /// Whether any run is live.
    pub fn has_live_runs(&self) -> bool {
        !self.runs.is_empty()
    }

    /// All live runs, in the order of their ids.
    pub fn runs(&self) -> Vec<&Run> {
        let mut runs: Vec<&Run> = self.runs.values().collect();
        runs.sort_unstable_by_key(|r| r.id);
        runs
    }

    /// The live runs of an item.
    pub fn runs_of(&self, item: ItemId) -> &[RunId] {
        self.runs_of.get(&item).map_or(&[], Vec::as_slice)
    }

    /// An agent.
    pub fn agent(&self, id: AgentId) -> Option<&Agent> {
        self.agents.get(&id)
    }

    /// All agents, oldest first, removed ones too.
    pub fn agents(&self) -> impl Iterator<Item = &Agent> {
        self.agents.values()
    }

    /// The agent of this name that was not removed.
    pub fn agent_named(&self, name: &str) -> Option<&Agent> {
        self.agent_names.get(name).and_then(|id| self.agents.get(id))
    }

    /// What is used of quotas, and what operators have set.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// The moment of the last look at what is due.
    pub fn looked_at(&self) -> Timestamp {
        self.looked_at
    }

    /// How many live runs an agent has.
    pub fn load(&self, agent: AgentId) -> u32 {
        self.load.get(&agent).copied().unwrap_or(0)
    }

    /// Whether the host of one of its live runs does not answer.
    pub(crate) fn has_silent_host(&self, agent: AgentId) -> bool {
        self.silent_hosts.contains_key(&agent)
    }

    /// The run hosts of an agent.
    pub(crate) fn hosts_of(&self, agent: AgentId) -> Hosts {
        Hosts { live: self.load(agent), silent: self.silent_hosts.get(&agent).copied().unwrap_or(0) }
    }

    /// The live runs of an agent. Looks at every live run.
    pub(crate) fn runs_of_agent(&self, agent: AgentId) -> impl Iterator<Item = &Run> {
        self.runs.values().filter(move |run| run.agent == agent)
    }

    /// What a person sees of an agent; nothing when there is none of this id.
    pub fn status(&self, agent: AgentId) -> Option<AgentStatus> {
        let at_work = self.at_work.get(&agent).copied().unwrap_or(0);
        self.agent(agent).map(|row| row.status(self.is_offline(row), self.load(agent), at_work))
    }

    /// The place of the last event that was decided; 0 when there is none.
    pub fn last_seq(&self) -> Seq {
        self.last_seq
    }

    /// A sink, in the config or not.
    pub fn sink(&self, name: &str) -> Option<&Sink> {
        self.sinks.get(name)
    }

    /// All sinks by name, also those that left the config.
    pub fn sinks(&self) -> impl Iterator<Item = &Sink> {
        self.sinks.values()
    }

    /// How far the subscriber of this name has come; 0 when it never said.
    pub fn cursor(&self, name: &str) -> Seq {
        self.cursors.get(name).copied().unwrap_or_default()
    }

    /// An open effect.
    pub fn effect(&self, id: EffectId) -> Option<&Effect> {
        self.effects.get(&id)
    }

    /// All open effects, oldest first.
    pub fn effects(&self) -> impl Iterator<Item = &Effect> {
        self.effects.values()
    }

    /// The open effects of an item.
    pub fn effects_of(&self, item: ItemId) -> impl Iterator<Item = &Effect> {
        self.effects_of.get(&item).into_iter().flatten().filter_map(|id| self.effects.get(id))
    }

    /// A project that this hub knows.
    pub fn project(&self, id: ProjectId) -> Option<&Project> {
        self.projects.get(&id)
    }

    /// The projects that this hub knows, in the order of their ids.
    pub fn projects(&self) -> impl ExactSizeIterator<Item = &Project> + Clone {
        self.projects.values()
    }

    /// The webhooks that are remembered.
    pub fn webhooks(&self) -> &Webhooks {
        &self.webhooks
    }

    /// What a gate once said of a tree.
    pub fn gate_record(&self, tree: &str, gate: &str) -> Option<&GateRecord> {
        self.gates.get(&(tree.into(), gate.into()))
    }

    /// The items that depend on this one.
    pub fn dependents(&self, item: ItemId) -> &[ItemId] {
        self.dependents.get(&item).map_or(&[], Vec::as_slice)
    }

    /// The dependencies of an item that are not satisfied yet.
    pub fn open_dependencies<'a>(&'a self, item: &'a Item) -> impl Iterator<Item = &'a Item> {
        item.depends_on.iter().filter_map(|id| self.item(*id)).filter(|d| !d.satisfies())
    }

    /// The merge queue, next first.
    pub fn queue(&self) -> impl Iterator<Item = ItemId> {
        self.queue.iter().map(|(_, _, id)| *id)
    }

    /// The row of the merge queue.
    pub fn merge_queue(&self) -> &MergeQueue {
        &self.merge_queue
    }

    /// The batch under way.
    pub fn batch(&self) -> Option<&Batch> {
        self.merge_queue.batch.as_ref()
    }

    /// The items of the batch under way that have not landed, in order.
    pub fn merging(&self) -> Vec<ItemId> {
        self.batch().map(|batch| batch.members.iter().skip(batch.landed).map(|m| m.item).collect()).unwrap_or_default()
    }

    /// The items that an agent works on, or that are being checked.
    pub fn live_items(&self) -> impl Iterator<Item = &Item> {
        self.live.iter().filter_map(|id| self.item(*id))
    }

    /// The lowest slot that no worktree has.
    pub fn lowest_free_slot(&self) -> u32 {
        let mut free = 0;
        for slot in &self.slots {
            if *slot != free {
                break;
            }
            free += 1;
        }
        free
    }

    /// The next moment at which something is due by itself, if any.
    pub fn next_due(&self) -> Option<Timestamp> {
        let first = self.timers.first().map(|(at, _)| *at);
        first.into_iter().chain(self.heals.values().copied()).chain(self.nodes.next_due()).min()
    }

    /// The same without help requests: a mission that waits for a person asks again and again, for ever.
    pub fn next_due_but_help(&self) -> Option<Timestamp> {
        self.next_due_by_rows().into_iter().chain(self.nodes.next_due()).min()
    }

    /// The same by what the rows tell alone: without the terms of nodes, which begin anew with each start, and without help
    /// requests, which are due again once each mission was judged.
    pub fn next_due_by_rows(&self) -> Option<Timestamp> {
        let timers = self.timers.iter().find(|(_, timer)| !matches!(timer, Timer::Help(_))).map(|(at, _)| *at);
        timers.into_iter().chain(self.heals.values().copied()).min()
    }

    pub(crate) fn first_promotable(&self) -> Option<ItemId> {
        self.promotable.first().copied()
    }

    pub(crate) fn first_clear(&self) -> Option<ItemId> {
        self.clear.first().copied()
    }

    pub(crate) fn unreviewed(&self) -> impl Iterator<Item = ItemId> {
        self.unreviewed.iter().copied()
    }

    pub(crate) fn first_overdue(&self) -> Option<RunId> {
        self.overdue.first().copied()
    }

    pub(crate) fn first_rested(&self) -> Option<AgentId> {
        self.rested.first().copied()
    }

    /// Whether a ready item waits for the account of its last run, or one to be reviewed for that of its reviewer,
    /// whoever else could take it.
    pub fn is_parked(&self, item: &Item) -> bool {
        let may_begin = item.phase() == Phase::Ready || item.wants_reviewer();
        let waits = item.limited.as_deref().filter(|_| may_begin);
        waits.is_some_and(|limited| match limited.then {
            OnRateLimit::Wait | OnRateLimit::Ask => {
                self.agent(limited.agent).is_some_and(|agent| !agent.removed && agent.limited_until.is_some())
            }
            OnRateLimit::Failover => false,
        })
    }

    /// Whether nothing new may begin for an item: an operator has frozen it, or it waits for an account.
    pub(crate) fn stands_still(&self, item: &Item) -> bool {
        item.frozen.is_some() || self.is_parked(item)
    }

    /// The item that does the work of this one: itself, unless it was superseded.
    pub fn in_its_place<'a>(&'a self, item: &'a Item) -> &'a Item {
        let mut at = item;
        // Whoever supersedes is not given up yet, so that no chain comes back to where it began.
        while let ItemState::Cancelled(crate::item::Cancelled::Superseded(by)) = &at.state
            && let Some(next) = self.item(*by)
        {
            at = next;
        }
        at
    }

    pub(crate) fn first_to_probe(&self) -> Option<AgentId> {
        self.to_probe.first().copied()
    }

    pub(crate) fn first_unjudged(&self) -> Option<MissionId> {
        self.unjudged.first().copied()
    }

    pub(crate) fn is_dispatch_due(&self) -> bool {
        self.dispatch_due
    }

    pub(crate) fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The last turn that any mission had; 0 when none had one.
    pub(crate) fn last_turn(&self) -> u64 {
        self.turns.last().map_or(0, |(turn, _)| *turn)
    }

    pub(crate) fn ready(&self) -> &ReadyIndex {
        &self.ready
    }

    /// What is due by now enters the work lists. Call it before asking the agenda; it decides nothing.
    pub fn advance(&mut self, now: Timestamp) {
        let back = now < self.looked_at;
        let first = self.looked_at == Timestamp::default();
        self.looked_at = now;
        if back {
            // What was over is not over any more.
            self.rearm_quotas();
            self.rearm_all_help();
            self.rearm_triggers();
        }
        if back || first {
            self.nodes.begin_anew(now, first);
        }
        self.nodes.advance(now);
        let healed: Vec<Scope> =
            self.heals.iter().filter(|(_, at)| **at <= now).map(|(scope, _)| scope.clone()).collect();
        for scope in healed {
            self.dispatch_due = true;
            self.rearm_quota(&scope);
        }
        while let Some((at, timer)) = self.timers.first().copied() {
            if at > now {
                break;
            }
            self.timers.remove(&(at, timer));
            match timer {
                Timer::Mission(id) => {
                    self.unjudged.insert(id);
                }
                Timer::Run(id) => {
                    self.overdue.insert(id);
                }
                Timer::Agent(id) => {
                    self.rested.insert(id);
                }
                Timer::Driver(id) => {
                    self.to_probe.insert(id);
                }
                Timer::Schedule(id) => self.schedules.is_due(id),
                Timer::Firing(id) => self.schedules.is_over(id),
                Timer::Pull(id) => {
                    self.armed.remove(&timer);
                    self.index_to_tend(id);
                }
                Timer::Watch(id) => {
                    self.armed.remove(&timer);
                    self.to_look_at.insert(id);
                }
                Timer::Help(id) => {
                    self.armed.remove(&timer);
                    self.unjudged.insert(id);
                }
                Timer::Trigger(id) => {
                    self.armed.remove(&timer);
                    self.triggers.is_due(id);
                }
                Timer::Item(id) => {
                    if let Some(item) = self.items.get(&id) {
                        match item.state {
                            // Whoever releases it looks for an agent, or for its turn.
                            _ if item.frozen.is_some() => {}
                            ItemState::Ready => {
                                self.ready.insert(item);
                                self.dispatch_due = true;
                                self.unjudged.insert(item.mission);
                            }
                            _ => {
                                self.queue.insert(queue_key(item));
                            }
                        }
                    }
                }
            }
        }
    }

    /// The agenda looked for an agent for every ready item and found none: not again until something changes. Missions with
    /// items that newly can never be taken, or that can be again, are judged: they may need help, or need it no more.
    pub fn dispatch_looked(&mut self) {
        self.dispatch_due = false;
        let asked = self.ready.asked().map(|(class, _)| class);
        let hopeless = asked.filter(|class| dispatch::is_stranded(self, class)).cloned().collect();
        let before = std::mem::replace(&mut self.hopeless, hopeless);
        let changed = self.ready.asked().filter(|(class, _)| before.contains(*class) != self.hopeless.contains(*class));
        self.unjudged.extend(changed.flat_map(|(_, missions)| missions.iter().copied()));
    }

    /// The agenda judged this mission: not again until something of it changes.
    pub fn judged(&mut self, mission: MissionId) {
        self.unjudged.remove(&mission);
        self.rearm_help(mission);
    }

    /// Takes over what step decided. The caller has written it.
    pub fn apply(&mut self, change: Change) {
        self.last_seq.0 += change.events.len() as u64;
        if let Some(settings) = change.settings {
            self.settings = *settings;
            self.configured = true;
            self.dispatch_due = true;
            self.rearm_missions();
            self.rearm_quotas();
        }
        for row in change.nodes {
            self.put_node(row);
        }
        for row in change.schedules {
            self.put_schedule(row);
        }
        for row in change.triggers {
            self.put_trigger(row);
        }
        for row in change.firings {
            self.put_firing(row);
        }
        for row in change.agents {
            self.dispatch_due = true;
            self.load.entry(row.id).or_insert(0);
            self.put_agent(row);
            // Whether an item waits for an agent's review or for a person's depends on which agents there are.
            let waiting = self.missions.iter().filter(|(_, entry)| entry.count(Phase::Waiting) > 0);
            self.unjudged.extend(waiting.map(|(id, _)| *id));
        }
        self.sinks.extend(change.sinks.into_iter().map(|row| (row.name.clone(), row)));
        self.cursors.extend(change.cursors);
        change.webhooks.into_iter().for_each(|webhook| self.webhooks.remember(webhook));
        for row in change.hub {
            self.put_of_hub(row);
        }
        for row in change.missions {
            self.put_mission(row);
        }
        for account in change.quotas {
            self.put_account(account);
        }
        for row in change.items {
            self.put_item(Box::new(row));
        }
        for row in change.pulls {
            self.put_pull(row);
        }
        for row in change.watches {
            self.put_watch(row);
        }
        for row in change.runs {
            self.put_run(row);
        }
        for record in change.gates {
            self.put_gate(record);
        }
        if let Some(queue) = change.queue {
            self.merge_queue = *queue;
        }
        for effect in change.effects {
            if let Some(item) = effect.item {
                self.effects_of.entry(item).or_default().push(effect.id);
            }
            self.effects.insert(effect.id, effect);
        }
        for id in change.closed {
            if let Some(item) = self.effects.remove(&id).and_then(|effect| effect.item)
                && let Some(list) = self.effects_of.get_mut(&item)
            {
                list.retain(|e| *e != id);
                if list.is_empty() {
                    self.effects_of.remove(&item);
                }
            }
        }
        for id in change.archived {
            self.forget_mission(id);
        }
    }
}
