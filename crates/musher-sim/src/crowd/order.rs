//! In which order ready items must be taken: by priority, then by the weights of missions, then by age. It judges each
//! dispatch by what waited at that instant, and knows nothing of turns.
//!
//! Of two missions that want the same agent, of weights `v` and `w`, the second may have any number at work:
//!
//! - The first does not take the agent if it has more at work for its weight than the second, in whole rounds: `⌊n / v⌋`
//!   against `⌊m / w⌋`.
//! - With as many rounds it takes at most `⌊v / w⌋ + 1` agents before the second is given one. The turns of the first are
//!   `1 / v` apart, whatever the rounds in which it had them; each of these came no later than the turn of the second, which
//!   is `1 / w` after its last; and none comes before that last one. It does not matter what the second has at work.
//! - With fewer rounds it may take what it gets: it has less than its share, and each agent more makes it less so. That it
//!   cannot go on for ever is the first rule, the other way round.

use std::collections::{BTreeMap, BTreeSet};

use musher_core::agent::AgentSpec;
use musher_core::id::{ItemId, MissionId};
use musher_core::item::{Item, Priority};
use musher_core::mission::MissionItem;
use musher_core::time::Timestamp;

use crate::failure::Broken;

/// What an item asks of an agent. Every role here fits every item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asks {
    labels: Box<[Box<str>]>,
    pin: Option<Box<str>>,
}

impl Asks {
    pub(super) fn of(planned: &MissionItem) -> Self {
        Self { labels: planned.labels.clone(), pin: planned.pin.clone() }
    }

    fn suits(&self, agent: &AgentSpec) -> bool {
        self.pin.as_ref().is_none_or(|pin| *pin == agent.name)
            && self.labels.iter().all(|label| agent.capabilities.contains(label))
    }
}

/// The place of an item in its mission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    priority: Priority,
    created_at: Timestamp,
    number: u32,
    pub(super) item: ItemId,
}

impl Rank {
    /// By what was planned; the row says only how old the item is, and its id.
    pub(super) fn of(row: &Item, planned: &MissionItem, number: u32) -> Self {
        Self { priority: planned.priority, created_at: row.created_at, number, item: row.id }
    }
}

#[derive(Debug, Default)]
struct Queue {
    weight: u32,
    /// Its items with an agent.
    leases: u32,
    /// It may use no more, and so wants no agent.
    spent: bool,
    ready: BTreeMap<Asks, BTreeSet<Rank>>,
    /// How many agents that it could have used each other mission with as many rounds took since it was last given one.
    taken: BTreeMap<MissionId, u32>,
}

/// Who is given an agent, and what it has at work for its weight.
#[derive(Clone, Copy, Debug)]
struct Taker {
    mission: MissionId,
    weight: u32,
    round: u32,
}

impl Queue {
    /// How often its items with an agent make up its weight.
    fn round(&self) -> u32 {
        self.leases / self.weight.max(1)
    }

    /// It waits, and another mission takes an agent that it could use: not more often than the weights say.
    fn is_passed_by(&mut self, by: Taker, of: MissionId) -> Result<(), String> {
        let (by_name, of_name) = (by.mission.short(), of.short());
        let (weight, round) = (self.weight, self.round());
        if by.round > round {
            return Err(format!(
                "mission {of_name} has {round} rounds of its weight {weight} at work and is passed over by mission {by_name}, \
                 which has {} of its weight {}",
                by.round, by.weight
            ));
        }
        if by.round < round {
            return Ok(());
        }
        let taken = self.taken.entry(by.mission).or_default();
        *taken += 1;
        let most = by.weight / weight.max(1) + 1;
        if *taken > most {
            return Err(format!(
                "mission {of_name} of weight {weight} was passed over {taken} times by mission {by_name} of weight {}, {most} \
                 at most",
                by.weight
            ));
        }
        Ok(())
    }

    /// Its first item that this agent could take.
    fn first_for(&self, agent: &AgentSpec) -> Option<Rank> {
        if self.spent {
            return None;
        }
        let suitable = self.ready.iter().filter(|(asks, _)| asks.suits(agent));
        suitable.filter_map(|(_, ranks)| ranks.first().copied()).min()
    }
}

/// What waits.
#[derive(Debug, Default)]
pub(super) struct Order {
    queues: BTreeMap<MissionId, Queue>,
    /// How often a mission waited that had its weight at work.
    served: u64,
}

impl Order {
    /// A mission is there, of this weight.
    pub(super) fn start(&mut self, mission: MissionId, weight: u32) {
        self.queues.insert(mission, Queue { weight, ..Queue::default() });
    }

    /// An operator was told that a mission has another weight: what was shared before was shared by the old one.
    pub(super) fn weigh(&mut self, mission: MissionId, weight: u32) {
        if let Some(queue) = self.queues.get_mut(&mission)
            && queue.weight != weight
        {
            queue.weight = weight;
            self.queues.values_mut().for_each(|queue| queue.taken.clear());
        }
    }

    /// Which missions may use no more at this instant.
    pub(super) fn spend(&mut self, is_spent: impl Fn(MissionId) -> bool) {
        self.queues.iter_mut().for_each(|(id, queue)| queue.spent = is_spent(*id));
    }

    /// An item may be taken.
    pub(super) fn insert(&mut self, mission: MissionId, asks: &Asks, rank: Rank) {
        if let Some(queue) = self.queues.get_mut(&mission) {
            queue.ready.entry(asks.clone()).or_default().insert(rank);
        }
    }

    /// An item may not be taken any more. Answers whether it might have been.
    pub(super) fn remove(&mut self, mission: MissionId, asks: &Asks, rank: Rank) -> bool {
        let Some(queue) = self.queues.get_mut(&mission) else { return false };
        let Some(ranks) = queue.ready.get_mut(asks) else { return false };
        let was = ranks.remove(&rank);
        if ranks.is_empty() {
            queue.ready.remove(asks);
        }
        was
    }

    /// An agent takes an item of a mission: nothing more urgent of any mission, and nothing that is before it in its own,
    /// waits for that agent; and no mission is passed over more often than the weights say.
    pub(super) fn take(
        &mut self,
        mission: MissionId,
        asks: &Asks,
        rank: Rank,
        agent: &AgentSpec,
    ) -> Result<(), Broken> {
        let name = &agent.name;
        if !asks.suits(agent) {
            return Err(Broken::safety(rank.item, format!("{name} cannot do item {}", rank.item.short())));
        }
        if !self.remove(mission, asks, rank) {
            let what = format!("item {} is given to {name} and is not ready", rank.item.short());
            return Err(Broken::safety(rank.item, what));
        }
        let (weight, round) = self.queues.get(&mission).map_or((1, 0), |queue| (queue.weight, queue.round()));
        let taker = Taker { mission, weight, round };
        for (id, queue) in &mut self.queues {
            let Some(first) = queue.first_for(agent) else { continue };
            let passed = if *id == mission { first < rank } else { first.priority < rank.priority };
            if passed {
                let what = format!("{name} takes item {} before {}", rank.item.short(), first.item.short());
                return Err(Broken::safety(first.item, what));
            }
            if *id != mission && first.priority == rank.priority {
                self.served += u64::from(queue.leases >= queue.weight);
                queue.is_passed_by(taker, *id).map_err(|what| Broken::liveness(first.item, what))?;
            }
        }
        if let Some(queue) = self.queues.get_mut(&mission) {
            queue.taken.clear();
            queue.leases += 1;
        }
        Ok(())
    }

    /// An item has no agent any more.
    pub(super) fn give_back(&mut self, mission: MissionId) {
        if let Some(queue) = self.queues.get_mut(&mission) {
            queue.leases = queue.leases.saturating_sub(1);
        }
    }

    /// How often a mission waited for an agent that another took, and had its weight at work.
    pub(super) fn served(&self) -> u64 {
        self.served
    }

    /// An item that this agent could take now.
    pub(super) fn waits_for(&self, agent: &AgentSpec) -> Option<ItemId> {
        self.queues.values().find_map(|queue| queue.first_for(agent)).map(|rank| rank.item)
    }

    /// Whether nothing may be taken.
    pub(super) fn is_empty(&self) -> bool {
        self.queues.values().all(|queue| queue.ready.is_empty())
    }
}
