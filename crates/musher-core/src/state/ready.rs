//! The ready items, by what they ask of an agent, so that a dispatch does not look at those that nobody can take.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::{AgentId, ItemId, MissionId};
use crate::item::{Fix, Item, Kind, Priority};
use crate::mission::Share;
use crate::time::Timestamp;
use crate::wait::WaitCode;

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

/// The order of dispatch within a mission: priority, then age, then place in the plan.
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

/// The order of dispatch over all missions: priority, then the share of the mission, then age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Turn {
    priority: Priority,
    share: Share,
    /// The item.
    pub rank: Rank,
}

impl Turn {
    fn new(share: Share, rank: Rank) -> Self {
        Self { priority: rank.priority, share, rank }
    }

    /// That of another item of the same mission.
    pub(crate) fn of(self, rank: Rank) -> Self {
        Self::new(self.share, rank)
    }
}

/// What is known of a mission that may dispatch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Open {
    /// What it was told last of its first item.
    pub told: Option<WaitCode>,
    /// Where it stands among the others.
    pub share: Share,
}

/// The ready items of one mission.
#[derive(Debug, Default, PartialEq, Eq)]
struct Line {
    queues: BTreeMap<Class, BTreeSet<Rank>>,
    /// The first of each queue.
    firsts: BTreeMap<Rank, Class>,
    /// Under which class and answer the mission stands among the leads.
    lead: Option<(Class, Option<WaitCode>)>,
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ReadyIndex {
    lines: BTreeMap<MissionId, Line>,
    /// The first of each queue of the open missions.
    heads: BTreeMap<Class, BTreeSet<(Turn, MissionId)>>,
    /// The first of all these of each class.
    order: BTreeMap<Turn, Class>,
    /// The open missions, by the class of their first item and by what they were told of it.
    leads: BTreeMap<Class, BTreeMap<Option<WaitCode>, BTreeSet<MissionId>>>,
    /// The missions that may dispatch.
    open: BTreeMap<MissionId, Open>,
    /// The missions with a ready item of a class, open or not.
    asked: BTreeMap<Class, BTreeSet<MissionId>>,
}

impl ReadyIndex {
    /// The classes that are asked for in missions that may dispatch, each with its first item, in the order of those.
    pub(crate) fn order(&self) -> impl Iterator<Item = (Turn, &Class)> {
        self.order.iter().map(|(turn, class)| (*turn, class))
    }

    /// The first items of a class in every mission that may dispatch, in order.
    pub(crate) fn heads_of(&self, class: &Class) -> Option<&BTreeSet<(Turn, MissionId)>> {
        self.heads.get(class)
    }

    /// The classes of the first items of missions that may dispatch.
    pub(crate) fn leads(&self) -> impl Iterator<Item = &Class> {
        self.leads.keys()
    }

    /// The classes that are asked for, each with the missions that have a ready item of it, whether they may dispatch or not.
    pub(crate) fn asked(&self) -> impl Iterator<Item = (&Class, &BTreeSet<MissionId>)> {
        self.asked.iter()
    }

    /// The first ready item of each class in a mission, in order.
    pub(crate) fn firsts_of(&self, mission: MissionId) -> impl Iterator<Item = (Rank, &Class)> {
        let line = self.lines.get(&mission).into_iter();
        line.flat_map(|line| line.firsts.iter().map(|(rank, class)| (*rank, class)))
    }

    /// A mission that may dispatch, whose first item is of this class and that was told something else of it.
    pub(crate) fn told_otherwise(&self, class: &Class, answer: Option<WaitCode>) -> Option<MissionId> {
        let mut others = self.leads.get(class)?.iter().filter(|(told, _)| **told != answer);
        others.next().and_then(|(_, missions)| missions.first()).copied()
    }

    /// The items of a class in a mission, in order.
    pub(crate) fn queue(&self, mission: MissionId, class: &Class) -> impl Iterator<Item = Rank> {
        self.lines.get(&mission).and_then(|line| line.queues.get(class)).into_iter().flatten().copied()
    }

    /// Whether an item is here: ready, and its backoff, if it has one, over.
    pub(crate) fn contains(&self, item: &Item) -> bool {
        let queue = self.lines.get(&item.mission).and_then(|line| line.queues.get(&Class::of(item)));
        queue.is_some_and(|queue| queue.contains(&Rank::of(item)))
    }

    /// The first ready item of a mission, open or not.
    pub(crate) fn first_of(&self, mission: MissionId) -> Option<Rank> {
        self.lines.get(&mission)?.firsts.keys().next().copied()
    }

    pub(crate) fn insert(&mut self, item: &Item) {
        let (class, rank, mission) = (Class::of(item), Rank::of(item), item.mission);
        let line = self.lines.entry(mission).or_default();
        let queue = line.queues.entry(class.clone()).or_default();
        let old = queue.first().copied();
        queue.insert(rank);
        let new = queue.first().copied();
        self.move_first(mission, &class, old, new);
    }

    pub(crate) fn remove(&mut self, item: &Item) {
        let (class, rank, mission) = (Class::of(item), Rank::of(item), item.mission);
        let Some(line) = self.lines.get_mut(&mission) else { return };
        let Some(queue) = line.queues.get_mut(&class) else { return };
        let old = queue.first().copied();
        queue.remove(&rank);
        let new = queue.first().copied();
        if queue.is_empty() {
            line.queues.remove(&class);
        }
        self.move_first(mission, &class, old, new);
        if self.lines.get(&mission).is_some_and(|line| line.queues.is_empty()) {
            self.lines.remove(&mission);
        }
    }

    /// A mission may dispatch, and stands so, or it may not. What of it is first in its class moves with it.
    pub(crate) fn set_open(&mut self, mission: MissionId, open: Option<Open>) {
        let was = match open {
            Some(open) => self.open.insert(mission, open),
            None => self.open.remove(&mission),
        };
        if was == open {
            return;
        }
        let (from, to) = (was.map(|open| open.share), open.map(|open| open.share));
        if from != to {
            let firsts = self.lines.get(&mission).map(|line| line.firsts.clone()).unwrap_or_default();
            for (rank, class) in firsts {
                let turn = |share: Share| Turn::new(share, rank);
                self.move_head(mission, &class, from.map(turn), to.map(turn));
            }
        }
        self.lead_anew(mission);
    }

    fn move_first(&mut self, mission: MissionId, class: &Class, old: Option<Rank>, new: Option<Rank>) {
        if old == new {
            return;
        }
        if let Some(line) = self.lines.get_mut(&mission) {
            old.and_then(|old| line.firsts.remove(&old));
            new.and_then(|new| line.firsts.insert(new, class.clone()));
        }
        match (old, new) {
            (None, Some(_)) => {
                self.asked.entry(class.clone()).or_default().insert(mission);
            }
            (Some(_), None) => {
                if let Some(missions) = self.asked.get_mut(class) {
                    missions.remove(&mission);
                    if missions.is_empty() {
                        self.asked.remove(class);
                    }
                }
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
        if let Some(open) = self.open.get(&mission) {
            let turn = |rank: Rank| Turn::new(open.share, rank);
            let (old, new) = (old.map(turn), new.map(turn));
            self.move_head(mission, class, old, new);
            self.lead_anew(mission);
        }
    }

    fn move_head(&mut self, mission: MissionId, class: &Class, old: Option<Turn>, new: Option<Turn>) {
        let heads = self.heads.entry(class.clone()).or_default();
        let first = heads.first().map(|(turn, _)| *turn);
        if let Some(old) = old {
            heads.remove(&(old, mission));
        }
        if let Some(new) = new {
            heads.insert((new, mission));
        }
        let now_first = heads.first().map(|(turn, _)| *turn);
        if heads.is_empty() {
            self.heads.remove(class);
        }
        if first != now_first {
            first.and_then(|turn| self.order.remove(&turn));
            now_first.and_then(|turn| self.order.insert(turn, class.clone()));
        }
    }

    /// The first item of a mission may be another one now, or what it was told of it.
    fn lead_anew(&mut self, mission: MissionId) {
        let Some(line) = self.lines.get_mut(&mission) else { return };
        let first = line.firsts.values().next();
        let new = self.open.get(&mission).and_then(|open| first.map(|class| (class.clone(), open.told)));
        if line.lead == new {
            return;
        }
        let old = std::mem::replace(&mut line.lead, new.clone());
        if let Some((class, told)) = old
            && let Some(answers) = self.leads.get_mut(&class)
        {
            if let Some(missions) = answers.get_mut(&told) {
                missions.remove(&mission);
                if missions.is_empty() {
                    answers.remove(&told);
                }
            }
            if answers.is_empty() {
                self.leads.remove(&class);
            }
        }
        if let Some((class, told)) = new {
            self.leads.entry(class).or_default().entry(told).or_default().insert(mission);
        }
    }
}
