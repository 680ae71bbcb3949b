//! The committed rows, as plain values.

use std::collections::{BTreeMap, BTreeSet};

use musher_core::agent::Agent;
use musher_core::change::{Change, GateRecord, TextKey};
use musher_core::config::ProjectSettings;
use musher_core::effect::Effect;
use musher_core::event::Logged;
use musher_core::firing::Firing;
use musher_core::hub::{Project, Row, View};
use musher_core::id::{
    AgentId, FiringId, ItemId, MissionId, NoteId, ProjectId, RunId, ScheduleId, Seq, TriggerId, WatchId,
};
use musher_core::item::Item;
use musher_core::merge::MergeQueue;
use musher_core::mission::Mission;
use musher_core::node::Node;
use musher_core::pull::Pull;
use musher_core::quota::{Account, Scope};
use musher_core::run::Run;
use musher_core::schedule::Schedule;
use musher_core::sink::Sink;
use musher_core::state::World;
use musher_core::trigger::Trigger;
use musher_core::watch::Watch;
use musher_core::webhook::{REMEMBERED, Webhook};

use crate::store::GATES_KEPT;

#[derive(Debug, Default)]
pub(super) struct Tables {
    /// The fence of whoever opened the disk last.
    pub(super) fence: u64,
    pub(super) settings: Option<Box<ProjectSettings>>,
    pub(super) queue: Option<Box<MergeQueue>>,
    pub(super) missions: BTreeMap<MissionId, Mission>,
    pub(super) archived: BTreeSet<MissionId>,
    pub(super) items: BTreeMap<ItemId, Item>,
    pub(super) runs: BTreeMap<RunId, Run>,
    pub(super) agents: BTreeMap<AgentId, Agent>,
    pub(super) pulls: BTreeMap<ItemId, Pull>,
    pub(super) watches: BTreeMap<WatchId, Watch>,
    pub(super) quotas: BTreeMap<String, Account>,
    pub(super) texts: BTreeMap<TextKey, Box<str>>,
    /// In the order in which they were given.
    pub(super) notes: Vec<(MissionId, NoteId)>,
    /// Oldest first.
    pub(super) gates: Vec<GateRecord>,
    pub(super) events: Vec<Logged>,
    /// Oldest first.
    pub(super) effects: Vec<Effect>,
    pub(super) schedules: BTreeMap<ScheduleId, Schedule>,
    pub(super) triggers: BTreeMap<TriggerId, Trigger>,
    pub(super) firings: BTreeMap<FiringId, Firing>,
    pub(super) nodes: BTreeMap<Box<str>, Node>,
    pub(super) sinks: BTreeMap<Box<str>, Sink>,
    pub(super) cursors: BTreeMap<Box<str>, Seq>,
    /// Oldest first.
    pub(super) webhooks: Vec<Webhook>,
    pub(super) projects: BTreeMap<ProjectId, Project>,
    /// What each project told.
    pub(super) told: BTreeMap<ProjectId, View>,
}

impl Tables {
    pub(super) fn apply(&mut self, change: Change) {
        if change.settings.is_some() {
            self.settings = change.settings;
        }
        if change.queue.is_some() {
            self.queue = change.queue;
        }
        self.missions.extend(change.missions.into_iter().map(|row| (row.id, row)));
        self.items.extend(change.items.into_iter().map(|row| (row.id, row)));
        self.runs.extend(change.runs.into_iter().map(|row| (row.id, row)));
        self.agents.extend(change.agents.into_iter().map(|row| (row.id, row)));
        self.pulls.extend(change.pulls.into_iter().map(|row| (row.item, row)));
        self.watches.extend(change.watches.into_iter().map(|row| (row.id, row)));
        self.quotas.extend(change.quotas.into_iter().map(|row| (row.scope.to_string(), row)));
        for (key, text) in change.texts {
            self.put_text(key, text);
        }
        for record in change.gates {
            self.gates.retain(|old| (&old.tree, &old.gate) != (&record.tree, &record.gate));
            self.gates.push(record);
        }
        for event in change.events {
            let seq = Seq(self.last_seq().0 + 1);
            self.events.push(Logged { seq, event });
        }
        self.effects.extend(change.effects);
        self.effects.retain(|effect| !change.closed.contains(&effect.id));
        for id in &change.archived {
            self.quotas.remove(&Scope::Mission(*id).to_string());
        }
        self.archived.extend(change.archived);
        self.schedules.extend(change.schedules.into_iter().map(|row| (row.id, row)));
        self.triggers.extend(change.triggers.into_iter().map(|row| (row.id, row)));
        self.firings.extend(change.firings.into_iter().map(|row| (row.id, row)));
        self.nodes.extend(change.nodes.into_iter().map(|row| (row.name.clone(), row)));
        self.sinks.extend(change.sinks.into_iter().map(|row| (row.name.clone(), row)));
        self.cursors.extend(change.cursors);
        change.hub.into_iter().for_each(|row| self.put_of_hub(row));
        for webhook in change.webhooks {
            if !self.webhooks.iter().any(|known| known.delivery == webhook.delivery) {
                self.webhooks.push(webhook);
            }
        }
    }

    fn put_of_hub(&mut self, row: Row) {
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

    pub(super) fn last_seq(&self) -> Seq {
        self.events.last().map_or(Seq(0), |event| event.seq)
    }

    pub(super) fn is_active(&self, mission: MissionId) -> bool {
        self.missions.contains_key(&mission) && !self.archived.contains(&mission)
    }

    pub(super) fn items_of(&self, mission: MissionId) -> Vec<Item> {
        let mut items: Vec<Item> = self.items.values().filter(|item| item.mission == mission).cloned().collect();
        items.sort_by_key(|item| item.number);
        items
    }

    pub(super) fn world(&self) -> World {
        let missions: Vec<Mission> = self.missions.values().filter(|m| self.is_active(m.id)).cloned().collect();
        let live = |run: &&Run| run.is_live() && self.is_active(run.mission);
        World {
            settings: self.settings.clone(),
            queue: self.queue.clone(),
            items: missions.iter().flat_map(|mission| self.items_of(mission.id)).collect(),
            missions,
            runs: self.runs.values().filter(live).cloned().collect(),
            agents: self.agents.values().cloned().collect(),
            pulls: self.pulls.values().filter(|row| self.is_active(row.mission)).cloned().collect(),
            watches: self.watches.values().filter(|row| self.is_active(row.mission)).cloned().collect(),
            schedules: self.schedules.values().cloned().collect(),
            triggers: self.triggers.values().cloned().collect(),
            last_seq: self.last_seq(),
            firings: self.firings.values().filter(|row| row.state.is_live()).cloned().collect(),
            nodes: self.nodes.values().cloned().collect(),
            sinks: self.sinks.values().cloned().collect(),
            cursors: self.cursors.clone().into_iter().collect(),
            projects: self.projects.values().cloned().collect(),
            webhooks: self.webhooks[self.webhooks.len().saturating_sub(REMEMBERED)..].to_vec(),
            quotas: self.quotas.values().cloned().collect(),
            effects: self.effects.clone(),
            gates: self.gates[self.gates.len().saturating_sub(GATES_KEPT as usize)..].to_vec(),
        }
    }

    fn put_text(&mut self, key: TextKey, text: Box<str>) {
        let known = self.texts.insert(key, text).is_some();
        if let (TextKey::Note(mission, note), false) = (key, known) {
            self.notes.push((mission, note));
        }
    }
}
