//! A change: what step decided, as rows, texts, events and effects. It is written in one transaction or not at all.

use crate::agent::Agent;
use crate::command::Answer;
use crate::config::ProjectSettings;
use crate::effect::Effect;
use crate::event::Event;
use crate::firing::Firing;
use crate::id::{EffectId, ItemId, MissionId, NoteId, RunId, Seq};
use crate::item::Item;
use crate::mission::Mission;
use crate::node::Node;
use crate::pull::Pull;
use crate::quota::Account;
use crate::run::Run;
use crate::schedule::Schedule;
use crate::sink::Sink;
use crate::time::Timestamp;
use crate::trigger::Trigger;
use crate::watch::Watch;
use crate::webhook::Webhook;

/// A long text that stays on disk until someone asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TextKey {
    /// An item's body: the prompt.
    Body(ItemId),
    /// What a retry is told about this run: gate output, conflict hunks, a reviewer's words.
    Lesson(RunId),
    /// The closing summary of the run that did the item.
    Summary(ItemId),
    /// The plan file that an item which wants one came to.
    Plan(ItemId),
    /// An operator's note on a mission, shown to the agents of its items.
    Note(MissionId, NoteId),
}

/// What a gate once said of a tree; the same tree is never tested twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateRecord {
    /// The tree.
    pub tree: Box<str>,
    /// The gate's text.
    pub gate: Box<str>,
    /// Whether it was green.
    pub green: bool,
    /// The tail of a red one's output.
    pub tail: Box<str>,
    /// When.
    pub at: Timestamp,
}

/// What step decided. Later rows of the same id replace earlier ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Change {
    /// What the caller is told.
    pub answer: Answer,
    /// New settings.
    pub settings: Option<Box<ProjectSettings>>,
    /// Missions, new or changed.
    pub missions: Vec<Mission>,
    /// Items, new or changed.
    pub items: Vec<Item>,
    /// Runs, new or changed.
    pub runs: Vec<Run>,
    /// Pull requests, new or changed.
    pub pulls: Vec<Pull>,
    /// Watches, new or changed.
    pub watches: Vec<Watch>,
    /// Agents, new or changed.
    pub agents: Vec<Agent>,
    /// Schedules, new or changed.
    pub schedules: Vec<Schedule>,
    /// Triggers, new or changed.
    pub triggers: Vec<Trigger>,
    /// Firings of schedules and triggers, new or changed.
    pub firings: Vec<Firing>,
    /// Nodes, new or heard again, or silent.
    pub nodes: Vec<Node>,
    /// Sinks, new or changed.
    pub sinks: Vec<Sink>,
    /// How far subscribers of the log have come, by their names.
    pub cursors: Vec<(Box<str>, Seq)>,
    /// Webhooks that were taken.
    pub webhooks: Vec<Webhook>,
    /// What a hub keeps of projects, in order.
    pub hub: Vec<crate::hub::Row>,
    /// Accounts of quotas, new or changed.
    pub quotas: Vec<Account>,
    /// Texts, new or changed.
    pub texts: Vec<(TextKey, Box<str>)>,
    /// What gates said.
    pub gates: Vec<GateRecord>,
    /// The row of the merge queue.
    pub queue: Option<Box<crate::merge::MergeQueue>>,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// What the world must now do.
    pub effects: Vec<Effect>,
    /// Effects whose result has come, or that nobody wants any more.
    pub closed: Vec<EffectId>,
    /// Missions that leave memory, with their items; their rows and events stay on disk.
    pub archived: Vec<MissionId>,
}

impl Change {
    /// Whether nothing would be written.
    pub fn is_empty(&self) -> bool {
        self.settings.is_none()
            && self.missions.is_empty()
            && self.items.is_empty()
            && self.runs.is_empty()
            && self.pulls.is_empty()
            && self.watches.is_empty()
            && self.agents.is_empty()
            && self.schedules.is_empty()
            && self.triggers.is_empty()
            && self.firings.is_empty()
            && self.nodes.is_empty()
            && self.sinks.is_empty()
            && self.cursors.is_empty()
            && self.webhooks.is_empty()
            && self.hub.is_empty()
            && self.quotas.is_empty()
            && self.texts.is_empty()
            && self.gates.is_empty()
            && self.queue.is_none()
            && self.events.is_empty()
            && self.effects.is_empty()
            && self.closed.is_empty()
            && self.archived.is_empty()
    }

    /// The item as this change leaves it, if it touches it; else as the state has it.
    pub fn item<'a>(&'a self, state: &'a crate::state::State, id: ItemId) -> Option<&'a Item> {
        self.items.iter().rev().find(|i| i.id == id).or_else(|| state.item(id))
    }

    /// Adds all of another change after this one; its answer wins when it says something.
    pub fn extend(&mut self, other: Self) {
        if other.answer != Answer::Done {
            self.answer = other.answer;
        }
        if other.settings.is_some() {
            self.settings = other.settings;
        }
        self.missions.extend(other.missions);
        self.items.extend(other.items);
        self.runs.extend(other.runs);
        self.pulls.extend(other.pulls);
        self.watches.extend(other.watches);
        self.agents.extend(other.agents);
        self.schedules.extend(other.schedules);
        self.triggers.extend(other.triggers);
        self.firings.extend(other.firings);
        self.nodes.extend(other.nodes);
        self.sinks.extend(other.sinks);
        self.cursors.extend(other.cursors);
        self.webhooks.extend(other.webhooks);
        self.hub.extend(other.hub);
        self.quotas.extend(other.quotas);
        self.texts.extend(other.texts);
        self.gates.extend(other.gates);
        self.queue = other.queue.or(self.queue.take());
        self.events.extend(other.events);
        self.effects.extend(other.effects);
        self.closed.extend(other.closed);
        self.archived.extend(other.archived);
    }
}
