//! The ready items, by what they ask of an agent, so that a dispatch does not look at those that nobody can take.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{AgentId, ItemId, MissionId};
use crate::item::{Fix, Item, Kind, Priority};
use crate::time::Timestamp;

/// Everything that an item asks of an agent: items of one class fit the same agents equally well.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Class {
    /// The kind of work.
    pub kind: Kind,
    /// The role it names.
    pub role: Option<Box<str>>,
    /// The capabilities it needs.
    pub labels: Box<[Box<str>]>,
    /// The one agent that may take it.
    pub pin: Option<Box<str>>,
    /// Critical items choose the least loaded agent first.
    pub critical: bool,
    /// Its branch conflicts and this agent wrote it: one of role resolver is wanted, or else this one.
    pub conflict_of: Option<AgentId>,
    /// The account of this one was used up while it was at work on it, and it has the session.
    pub resumes: Option<AgentId>,
}

impl Class {
    /// The class of an item.
    pub fn of(item: &Item) -> Self {
        Self {
            kind: item.kind,
            role: item.role.clone(),
            labels: item.labels.clone(),
            pin: item.pin.clone(),
            critical: item.priority == Priority::Critical,
            conflict_of: item.agent.filter(|_| matches!(item.fix, Some(Fix::Conflict(_)))),
            resumes: item.limited.as_ref().map(|limited| limited.agent),
        }
    }
}

/// The order of dispatch: priority, then age, then place in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    /// How urgent.
    pub priority: Priority,
    /// How old.
    pub created_at: Timestamp,
    /// The place in the plan.
    pub number: u32,
    /// The item.
    pub item: ItemId,
}

impl Rank {
    fn of(item: &Item) -> Self {
        Self { priority: item.priority, created_at: item.created_at, number: item.number, item: item.id }
    }
}

#[derive(Debug, Default)]
pub(crate) struct ReadyIndex {
    queues: BTreeMap<MissionId, BTreeMap<Class, BTreeSet<Rank>>>,
    /// The first of each queue of the open missions.
    heads: BTreeMap<Class, BTreeSet<(Rank, MissionId)>>,
    open: BTreeSet<MissionId>,
}

impl ReadyIndex {
    /// The first item of every class, over all missions that may dispatch.
    pub(crate) fn heads(&self) -> impl Iterator<Item = (&Class, &BTreeSet<(Rank, MissionId)>)> {
        self.heads.iter()
    }

    /// The first items of a class in every mission that may dispatch, in order.
    pub(crate) fn heads_of(&self, class: &Class) -> Option<&BTreeSet<(Rank, MissionId)>> {
        self.heads.get(class)
    }

    /// The items of a class in a mission, in order.
    pub(crate) fn queue(&self, mission: MissionId, class: &Class) -> impl Iterator<Item = Rank> {
        self.queues.get(&mission).and_then(|q| q.get(class)).into_iter().flatten().copied()
    }

    /// The first ready item of a mission, open or not.
    pub(crate) fn first_of(&self, mission: MissionId) -> Option<Rank> {
        self.queues.get(&mission)?.values().filter_map(|q| q.first()).min().copied()
    }

    pub(crate) fn insert(&mut self, item: &Item) {
        let (class, rank, mission) = (Class::of(item), Rank::of(item), item.mission);
        let queue = self.queues.entry(mission).or_default().entry(class.clone()).or_default();
        let old = queue.first().copied();
        queue.insert(rank);
        let new = queue.first().copied();
        self.move_head(mission, class, old, new);
    }

    pub(crate) fn remove(&mut self, item: &Item) {
        let (class, rank, mission) = (Class::of(item), Rank::of(item), item.mission);
        let Some(classes) = self.queues.get_mut(&mission) else { return };
        let Some(queue) = classes.get_mut(&class) else { return };
        let old = queue.first().copied();
        queue.remove(&rank);
        let new = queue.first().copied();
        if queue.is_empty() {
            classes.remove(&class);
            if classes.is_empty() {
                self.queues.remove(&mission);
            }
        }
        self.move_head(mission, class, old, new);
    }

    pub(crate) fn set_open(&mut self, mission: MissionId, open: bool) {
        let changed = if open { self.open.insert(mission) } else { self.open.remove(&mission) };
        if !changed {
            return;
        }
        let Some(classes) = self.queues.get(&mission) else { return };
        for (class, queue) in classes {
            let Some(first) = queue.first() else { continue };
            if open {
                self.heads.entry(class.clone()).or_default().insert((*first, mission));
            } else if let Some(heads) = self.heads.get_mut(class) {
                heads.remove(&(*first, mission));
                if heads.is_empty() {
                    self.heads.remove(class);
                }
            }
        }
    }

    fn move_head(&mut self, mission: MissionId, class: Class, old: Option<Rank>, new: Option<Rank>) {
        if old == new || !self.open.contains(&mission) {
            return;
        }
        let heads = self.heads.entry(class.clone()).or_default();
        if let Some(old) = old {
            heads.remove(&(old, mission));
        }
        if let Some(new) = new {
            heads.insert((new, mission));
        }
        if heads.is_empty() {
            self.heads.remove(&class);
        }
    }
}
