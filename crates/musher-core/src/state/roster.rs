//! The agents, by what a choice sees of them, so that a dispatch looks at the trades that there are and not at each agent.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::State;
use crate::agent::Agent;
use crate::dispatch::Condition;
use crate::id::AgentId;
use crate::quota::{self, Denied};
use crate::time::Timestamp;

/// What agents have in common that suit every item equally well, and whose model has one quota.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Trade {
    pub(crate) roles: Box<[Box<str>]>,
    pub(crate) capabilities: Box<[Box<str>]>,
    pub(crate) model: Box<str>,
}

/// The place of a free agent among those of its trade; the least is chosen, whatever the item: by load, then by the
/// larger free share, then by name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// How many live runs it has.
    pub(crate) load: u32,
    /// The free share 1 − load/max in 2⁻³²; 1 when unlimited.
    pub(crate) share: Reverse<u64>,
    /// Its name.
    pub(crate) name: Box<str>,
    /// The agent.
    pub(crate) agent: AgentId,
}

/// Whether an agent may take anything now, as far as it lies with the agent itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It may.
    Free(Place),
    /// A condition keeps it from everything.
    Out(Condition),
    /// A quota of its own refuses it, until a moment if it ends by itself.
    Refused(Denied, Option<Timestamp>),
}

impl Standing {
    /// That of an agent that is not removed.
    pub(crate) fn of(state: &State, agent: &Agent) -> Self {
        let load = state.load(agent.id);
        if agent.error.is_some() {
            return Self::Out(Condition::Error);
        }
        if state.is_offline(agent) {
            return Self::Out(Condition::Offline);
        }
        if agent.is_suspended() {
            return Self::Out(Condition::Suspended);
        }
        if agent.paused {
            return Self::Out(Condition::Paused);
        }
        if agent.draining {
            return Self::Out(Condition::Draining);
        }
        if agent.limited_until.is_some() {
            return Self::Out(Condition::RateLimited);
        }
        if !agent.has_room(load) {
            return Self::Out(Condition::Busy);
        }
        if let Err(denied) = quota::of_its_own(state, agent, state.looked_at()) {
            let until = denied.until(state, agent);
            return Self::Refused(denied, until);
        }
        Self::Free(Place {
            load,
            share: Reverse(free_share(agent, load)),
            name: agent.spec.name.clone(),
            agent: agent.id,
        })
    }
}

fn free_share(agent: &Agent, load: u32) -> u64 {
    let one = 1u64 << 32;
    match agent.spec.max_load {
        0 => one,
        max => one - one * u64::from(load.min(max)) / u64::from(max),
    }
}

/// The agents of one trade.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Squad {
    /// Those that may take work, the next first.
    pub(crate) free: BTreeSet<Place>,
    /// How many each condition keeps from everything.
    pub(crate) out: BTreeMap<Condition, u32>,
    /// How many each quota of their own refuses, and until when.
    pub(crate) refused: BTreeMap<(Denied, Option<Timestamp>), u32>,
}

impl Squad {
    /// How many agents it has.
    pub(crate) fn len(&self) -> u32 {
        let free = u32::try_from(self.free.len()).unwrap_or(u32::MAX);
        free + self.out.values().sum::<u32>() + self.refused.values().sum::<u32>()
    }

    fn is_empty(&self) -> bool {
        self.free.is_empty() && self.out.is_empty() && self.refused.is_empty()
    }

    /// Takes one in.
    pub(crate) fn add(&mut self, standing: Standing) {
        match standing {
            Standing::Free(place) => {
                self.free.insert(place);
            }
            Standing::Out(condition) => *self.out.entry(condition).or_default() += 1,
            Standing::Refused(denied, until) => *self.refused.entry((denied, until)).or_default() += 1,
        }
    }

    /// Lets one go.
    fn take(&mut self, standing: &Standing) {
        match standing {
            Standing::Free(place) => {
                self.free.remove(place);
            }
            Standing::Out(condition) => count_down(&mut self.out, condition),
            Standing::Refused(denied, until) => count_down(&mut self.refused, &(denied.clone(), *until)),
        }
    }
}

fn count_down<K: Ord>(counts: &mut BTreeMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// Every agent that is not removed, with its trade and where it stands.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Roster {
    squads: BTreeMap<Arc<Trade>, Squad>,
    entries: BTreeMap<AgentId, (Arc<Trade>, Standing)>,
}

impl Roster {
    /// The trades that there are, with their agents.
    pub(crate) fn squads(&self) -> impl Iterator<Item = (&Trade, &Squad)> {
        self.squads.iter().map(|(trade, squad)| (&**trade, squad))
    }

    /// How many agents there are.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    /// The trade of an agent and where it stands; none of one that is removed.
    pub(crate) fn find(&self, agent: AgentId) -> Option<(&Trade, &Standing)> {
        self.entries.get(&agent).map(|(trade, standing)| (&**trade, standing))
    }

    /// An agent is defined, or its definition has changed.
    pub(super) fn define(&mut self, agent: &Agent, standing: Standing) {
        self.remove(agent.id);
        let spec = &agent.spec;
        let model = quota::model_of(spec).into();
        let trade = Arc::new(Trade { roles: spec.roles.clone(), capabilities: spec.capabilities.clone(), model });
        self.squads.entry(trade.clone()).or_default().add(standing.clone());
        self.entries.insert(agent.id, (trade, standing));
    }

    /// An agent of a known definition stands elsewhere now.
    pub(super) fn move_to(&mut self, agent: AgentId, standing: Standing) {
        let Some((trade, old)) = self.entries.get_mut(&agent) else { return };
        if *old == standing {
            return;
        }
        if let Some(squad) = self.squads.get_mut(trade) {
            squad.take(old);
            squad.add(standing.clone());
        }
        *old = standing;
    }

    /// An agent is removed.
    pub(super) fn remove(&mut self, agent: AgentId) {
        let Some((trade, standing)) = self.entries.remove(&agent) else { return };
        if let Some(squad) = self.squads.get_mut(&trade) {
            squad.take(&standing);
            if squad.is_empty() {
                self.squads.remove(&trade);
            }
        }
    }
}
