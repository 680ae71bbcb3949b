//! What can be seen of the world in memory: compared between the live one and the one that a restart builds from disk.

use musher_core::agent::Agent;
use musher_core::effect::Effect;
use musher_core::id::{AgentId, ItemId, Seq};
use musher_core::item::Item;
use musher_core::merge::MergeQueue;
use musher_core::mission::{Counts, Mission};
use musher_core::node::Node;
use musher_core::run::{Run, Usage};
use musher_core::sink::{Sink, cursor_of};
use musher_core::state::State;
use musher_core::time::Timestamp;
use musher_core::wait::{self, Wait};

/// A mission with what is counted of it.
#[derive(Clone, Debug, PartialEq)]
struct MissionSeen {
    row: Mission,
    items: Vec<ItemId>,
    counts: Counts,
    usage: Usage,
}

/// The answers of a state.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    missions: Vec<MissionSeen>,
    items: Vec<Item>,
    runs: Vec<Run>,
    agents: Vec<Agent>,
    loads: Vec<(AgentId, u32)>,
    nodes: Vec<(String, Option<Node>)>,
    effects: Vec<Effect>,
    live: Vec<ItemId>,
    merging: MergeQueue,
    slot: u32,
    sinks: Vec<(Sink, Seq)>,
    /// What depends on the moment at which the state last looked at the clock.
    timed: Option<Timed>,
}

#[derive(Clone, Debug, PartialEq)]
struct Timed {
    queue: Vec<ItemId>,
    waits: Vec<(ItemId, Vec<Wait>)>,
    next_due: Option<Timestamp>,
}

impl Seen {
    /// Looks at everything. `timed` says whether the clock has only gone forward since the state was built.
    pub fn of(state: &State, timed: bool) -> Self {
        let missions: Vec<MissionSeen> = state
            .missions()
            .map(|m| MissionSeen { row: m.row.clone(), items: m.items.clone(), counts: m.counts, usage: m.usage })
            .collect();
        let ids: Vec<ItemId> = missions.iter().flat_map(|m| m.items.iter().copied()).collect();
        let mut effects: Vec<Effect> = state.effects().cloned().collect();
        effects.sort_by_key(|e| e.id);
        Self {
            items: ids.iter().filter_map(|id| state.item(*id).cloned()).collect(),
            missions,
            runs: state.runs().into_iter().cloned().collect(),
            agents: state.agents().cloned().collect(),
            loads: state.agents().map(|a| (a.id, state.load(a.id))).collect(),
            nodes: state.nodes().map(|(name, row)| (name.to_owned(), row.cloned())).collect(),
            effects,
            live: state.live_items().map(|i| i.id).collect(),
            merging: state.merge_queue().clone(),
            slot: state.lowest_free_slot(),
            sinks: state.sinks().map(|s| (s.clone(), state.cursor(&cursor_of(&s.name)))).collect(),
            timed: timed.then(|| Timed {
                queue: state.queue().collect(),
                waits: ids.iter().map(|id| (*id, wait::of_item(state, *id))).collect(),
                // A start gives each node that is heard a fresh term.
                next_due: state.next_due_by_rows(),
            }),
        }
    }

    /// Whether it holds what depends on the clock.
    pub const fn is_timed(&self) -> bool {
        self.timed.is_some()
    }

    /// What differs, if anything does.
    pub fn difference(&self, other: &Self) -> Option<String> {
        if self == other {
            return None;
        }
        first(&self.missions, &other.missions, "mission")
            .or_else(|| first(&self.items, &other.items, "item"))
            .or_else(|| first(&self.runs, &other.runs, "run"))
            .or_else(|| first(&self.agents, &other.agents, "agent"))
            .or_else(|| first(&self.loads, &other.loads, "load"))
            .or_else(|| first(&self.nodes, &other.nodes, "node"))
            .or_else(|| first(&self.effects, &other.effects, "effect"))
            .or_else(|| one(&self.live, &other.live, "live items"))
            .or_else(|| one(&self.merging, &other.merging, "row of the merge queue"))
            .or_else(|| one(&self.slot, &other.slot, "lowest free slot"))
            .or_else(|| first(&self.sinks, &other.sinks, "sink"))
            .or_else(|| match (&self.timed, &other.timed) {
                (Some(a), Some(b)) => one(&a.queue, &b.queue, "merge queue")
                    .or_else(|| first(&a.waits, &b.waits, "wait"))
                    .or_else(|| one(&a.next_due, &b.next_due, "next due moment")),
                _ => None,
            })
    }
}

fn first<T: PartialEq + std::fmt::Debug>(a: &[T], b: &[T], what: &str) -> Option<String> {
    if a.len() != b.len() {
        return Some(format!("{} {what}s against {}", a.len(), b.len()));
    }
    a.iter().zip(b).find(|(a, b)| a != b).map(|(a, b)| format!("a {what}: {a:?} against {b:?}"))
}

fn one<T: PartialEq + std::fmt::Debug>(a: &T, b: &T, what: &str) -> Option<String> {
    (a != b).then(|| format!("the {what}: {a:?} against {b:?}"))
}
