//! What a store would hold of a world, and what can be seen of a state: the two must never differ.

use std::collections::BTreeMap;

use musher_core::agent::Agent;
use musher_core::change::{Change, GateRecord};
use musher_core::config::ProjectSettings;
use musher_core::effect::Effect;
use musher_core::firing::Firing;
use musher_core::hub::{Project, Row, View};
use musher_core::id::{
    AgentId, EffectId, FiringId, ItemId, MissionId, ProjectId, RunId, ScheduleId, Seq, TriggerId, WatchId,
};
use musher_core::item::Item;
use musher_core::merge::MergeQueue;
use musher_core::mission::Mission;
use musher_core::node::Node;
use musher_core::pull::Pull;
use musher_core::quota::{Account, Scope};
use musher_core::run::{Run, Usage};
use musher_core::schedule::Schedule;
use musher_core::sink::{Sink, cursor_of};
use musher_core::state::{State, World};
use musher_core::time::Timestamp;
use musher_core::trigger::Trigger;
use musher_core::watch::Watch;
use musher_core::webhook::{Webhook, Webhooks};

/// What a store would hold, so that the world can be built anew from it.
#[derive(Default)]
pub(crate) struct Stored {
    pub(crate) settings: Option<Box<ProjectSettings>>,
    pub(crate) queue: Option<Box<MergeQueue>>,
    pub(crate) missions: BTreeMap<MissionId, Mission>,
    pub(crate) items: BTreeMap<ItemId, Item>,
    pub(crate) runs: BTreeMap<RunId, Run>,
    pub(crate) agents: BTreeMap<AgentId, Agent>,
    pub(crate) schedules: BTreeMap<ScheduleId, Schedule>,
    pub(crate) triggers: BTreeMap<TriggerId, Trigger>,
    pub(crate) last_seq: Seq,
    pub(crate) firings: BTreeMap<FiringId, Firing>,
    pub(crate) nodes: BTreeMap<Box<str>, Node>,
    pub(crate) sinks: BTreeMap<Box<str>, Sink>,
    pub(crate) cursors: BTreeMap<Box<str>, Seq>,
    pub(crate) webhooks: Vec<Webhook>,
    pub(crate) projects: BTreeMap<ProjectId, Project>,
    /// What each project has told this hub.
    pub(crate) told: BTreeMap<ProjectId, View>,
    pub(crate) effects: BTreeMap<EffectId, Effect>,
    pub(crate) quotas: BTreeMap<Scope, Account>,
    pub(crate) pulls: BTreeMap<ItemId, Pull>,
    pub(crate) watches: BTreeMap<WatchId, Watch>,
    pub(crate) gates: Vec<GateRecord>,
}

impl Stored {
    pub(crate) fn write(&mut self, change: &Change) {
        if let Some(settings) = &change.settings {
            self.settings = Some(settings.clone());
        }
        self.missions.extend(change.missions.iter().map(|row| (row.id, row.clone())));
        self.items.extend(change.items.iter().map(|row| (row.id, row.clone())));
        self.runs.extend(change.runs.iter().map(|row| (row.id, row.clone())));
        self.agents.extend(change.agents.iter().map(|row| (row.id, row.clone())));
        self.schedules.extend(change.schedules.iter().map(|row| (row.id, row.clone())));
        self.triggers.extend(change.triggers.iter().map(|row| (row.id, row.clone())));
        self.last_seq.0 += change.events.len() as u64;
        self.firings.extend(change.firings.iter().map(|row| (row.id, row.clone())));
        self.nodes.extend(change.nodes.iter().map(|row| (row.name.clone(), row.clone())));
        self.sinks.extend(change.sinks.iter().map(|row| (row.name.clone(), row.clone())));
        self.cursors.extend(change.cursors.iter().cloned());
        self.webhooks.extend(change.webhooks.iter().cloned());
        for row in &change.hub {
            self.write_of_hub(row.clone());
        }
        if let Some(queue) = &change.queue {
            self.queue = Some(queue.clone());
        }
        self.quotas.extend(change.quotas.iter().map(|row| (row.scope.clone(), row.clone())));
        self.effects.extend(change.effects.iter().map(|row| (row.id, row.clone())));
        self.pulls.extend(change.pulls.iter().map(|row| (row.item, row.clone())));
        self.watches.extend(change.watches.iter().map(|row| (row.id, row.clone())));
        self.gates.extend(change.gates.iter().cloned());
        for id in &change.closed {
            self.effects.remove(id);
        }
        for id in &change.archived {
            self.missions.remove(id);
            self.items.retain(|_, item| item.mission != *id);
            self.runs.retain(|_, run| run.mission != *id);
            self.pulls.retain(|_, pull| pull.mission != *id);
            self.watches.retain(|_, watch| watch.mission != *id);
            self.quotas.remove(&Scope::Mission(*id));
        }
    }

    fn write_of_hub(&mut self, row: Row) {
        let project = match &row {
            Row::Project(project) => {
                self.projects.insert(project.id, project.clone());
                project.id
            }
            Row::Gone(id) => {
                self.projects.remove(id);
                *id
            }
            Row::Emptied(id) | Row::Mission(id, _) | Row::Item(id, _) => *id,
            Row::Event(event) => event.project,
        };
        self.told.entry(project).or_default().apply(row);
    }

    /// The rows that a start loads, in an order that no rule may rely on.
    pub(crate) fn rows(&self) -> World {
        World {
            settings: self.settings.clone(),
            missions: self.missions.values().cloned().collect(),
            items: self.items.values().rev().cloned().collect(),
            runs: self.runs.values().filter(|r| r.is_live()).cloned().collect(),
            agents: self.agents.values().cloned().collect(),
            schedules: self.schedules.values().cloned().collect(),
            triggers: self.triggers.values().cloned().collect(),
            last_seq: self.last_seq,
            firings: self.firings.values().filter(|f| f.state.is_live()).cloned().collect(),
            nodes: self.nodes.values().cloned().collect(),
            sinks: self.sinks.values().cloned().collect(),
            cursors: self.cursors.clone().into_iter().collect(),
            webhooks: self.webhooks.clone(),
            projects: self.projects.values().cloned().collect(),
            effects: self.effects.values().cloned().collect(),
            quotas: self.quotas.values().cloned().collect(),
            pulls: self.pulls.values().cloned().collect(),
            watches: self.watches.values().cloned().collect(),
            gates: self.gates.clone(),
            queue: self.queue.clone(),
        }
    }
}

/// A row, its items, how many are in each phase and skipped, what was used and when something last moved.
type ObservedMission = (Mission, Vec<ItemId>, ([u32; 13], u32), (Usage, Timestamp));

/// Everything that can be seen of a state from outside.
#[derive(Debug, PartialEq)]
pub(crate) struct Observed {
    pub(crate) settings: ProjectSettings,
    pub(crate) missions: Vec<ObservedMission>,
    pub(crate) items: Vec<Item>,
    pub(crate) runs: Vec<Run>,
    pub(crate) agents: Vec<(Agent, u32)>,
    pub(crate) schedules: Vec<(Schedule, Option<Firing>)>,
    pub(crate) triggers: Vec<(Trigger, Vec<Firing>)>,
    pub(crate) nodes: Vec<(String, Option<Node>)>,
    pub(crate) sinks: Vec<(Sink, Seq)>,
    webhooks: Webhooks,
    projects: Vec<Project>,
    pub(crate) quotas: Vec<Account>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) queue: Vec<ItemId>,
    pub(crate) merging: MergeQueue,
    pub(crate) live: Vec<ItemId>,
    pub(crate) free_slot: u32,
    pub(crate) due: Option<Timestamp>,
}

impl Observed {
    pub(crate) fn of(state: &State) -> Self {
        let missions = state.missions().map(|m| {
            let counts = (m.counts.by_phase, m.counts.satisfied);
            (m.row.clone(), m.items.clone(), counts, (m.usage, m.last_progress_at))
        });
        Self {
            settings: state.settings().clone(),
            missions: missions.collect(),
            items: state.missions().flat_map(|m| m.items.iter()).filter_map(|id| state.item(*id)).cloned().collect(),
            runs: state.runs().into_iter().cloned().collect(),
            agents: state.agents().map(|a| (a.clone(), state.load(a.id))).collect(),
            schedules: state
                .schedules()
                .map(|row| (row.clone(), row.live.and_then(|id| state.firing(id)).cloned()))
                .collect(),
            triggers: state.triggers().map(|row| (row.clone(), state.waiting_of(row.id).cloned().collect())).collect(),
            nodes: state.nodes().map(|(name, row)| (name.to_owned(), row.cloned())).collect(),
            webhooks: state.webhooks().clone(),
            projects: state.projects().cloned().collect(),
            sinks: state.sinks().map(|s| (s.clone(), state.cursor(&cursor_of(&s.name)))).collect(),
            quotas: state.books().all().cloned().collect(),
            effects: state.effects().cloned().collect(),
            queue: state.queue().collect(),
            merging: state.merge_queue().clone(),
            live: state.live_items().map(|i| i.id).collect(),
            free_slot: state.lowest_free_slot(),
            // A start gives each node that is heard a fresh term.
            due: state.next_due_by_rows(),
        }
    }
}
