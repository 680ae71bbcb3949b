//! Who waits for what, over all missions: the first reason of each item that waits, and those that are alike together.

use std::collections::BTreeMap;

use super::{Wait, of_item};
use crate::id::ItemId;
use crate::item::Phase;
use crate::state::State;

/// How many items are asked for their reasons at most: a look holds the writer up, and costs what it asks for, however
/// many items there are.
const ASKED: usize = 100;
/// How many items of a group are named.
const NAMED: usize = 3;

/// The phases in which items wait, those first that a person most wants to see.
const WAITING: [Phase; 7] =
    [Phase::Blocked, Phase::Failed, Phase::Held, Phase::Waiting, Phase::Merging, Phase::Ready, Phase::Pending];

/// Items that wait for the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What they are.
    pub phase: Phase,
    /// The reason that holds the first of them.
    pub wait: Wait,
    /// The first of them.
    pub items: Vec<ItemId>,
    /// How many they are.
    pub count: u32,
}

/// Who waits for what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Those that were asked, by what they wait for.
    pub groups: Vec<Group>,
    /// How many more there are in each phase, that were not asked.
    pub left_out: BTreeMap<Phase, u32>,
}

/// Asks items of active missions what they wait for: at most 100, as evenly from each phase as there are.
pub fn survey(state: &State) -> Survey {
    let mut found: BTreeMap<Phase, Vec<ItemId>> = BTreeMap::new();
    let mut count: BTreeMap<Phase, u32> = BTreeMap::new();
    for entry in state.missions().filter(|entry| !entry.row.state.is_terminal()) {
        for phase in WAITING.into_iter().filter(|phase| entry.count(*phase) > 0) {
            *count.entry(phase).or_default() += entry.count(phase);
        }
        // A mission none of whose items is wanted any more is not gone through.
        let wants = |phase: Phase| WAITING.contains(&phase) && found.get(&phase).is_none_or(|ids| ids.len() < ASKED);
        if !WAITING.into_iter().any(|phase| entry.count(phase) > 0 && wants(phase)) {
            continue;
        }
        for item in entry.items.iter().filter_map(|id| state.item(*id)) {
            let phase = item.phase();
            let ids = found.entry(phase).or_default();
            if ids.len() < ASKED && WAITING.contains(&phase) {
                ids.push(item.id);
            }
        }
    }
    let mut survey = Survey::default();
    let mut left = ASKED;
    for (at, phase) in WAITING.into_iter().enumerate() {
        let ids = found.remove(&phase).unwrap_or_default();
        // Each phase that is still to come has its share, and what one leaves goes to the next.
        let share = ids.len().min(left.div_ceil(WAITING.len() - at));
        let mut asked = 0;
        for id in ids.into_iter().take(share) {
            asked += 1;
            if let Some(wait) = of_item(state, id).into_iter().next() {
                survey.add(phase, id, wait);
            }
        }
        left -= share;
        let more = count.get(&phase).copied().unwrap_or(0).saturating_sub(asked);
        if more > 0 {
            survey.left_out.insert(phase, more);
        }
    }
    survey
}

impl Survey {
    fn add(&mut self, phase: Phase, id: ItemId, wait: Wait) {
        let alike =
            |group: &&mut Group| group.phase == phase && group.wait.code == wait.code && group.wait.brief == wait.brief;
        match self.groups.iter_mut().find(alike) {
            Some(group) => {
                group.count += 1;
                // The first that goes on is the next that happens.
                group.wait.until = [group.wait.until, wait.until].into_iter().flatten().min();
                if group.items.len() < NAMED {
                    group.items.push(id);
                }
            }
            None => self.groups.push(Group { phase, wait, items: vec![id], count: 1 }),
        }
    }
}
