//! Triggers, which events they see, and what of them waits.

use std::collections::{BTreeMap, BTreeSet};

use super::{State, Timer};
use crate::firing::{Firing, FiringOf, FiringState};
use crate::id::{FiringId, MissionId, TriggerId};
use crate::mission::Mission;
use crate::time::Timestamp;
use crate::trigger::Trigger;

/// The rows, and the indexes by which events find them.
#[derive(Debug, Default)]
pub(super) struct Triggers {
    rows: BTreeMap<TriggerId, Trigger>,
    names: BTreeMap<Box<str>, TriggerId>,
    /// Those that see events, by the names of these.
    by_kind: BTreeMap<&'static str, BTreeSet<TriggerId>>,
    /// Those that see events of every name.
    of_any: BTreeSet<TriggerId>,
    /// Firings whose action has not begun, oldest first.
    waiting: BTreeMap<TriggerId, BTreeSet<FiringId>>,
    preparing: BTreeMap<TriggerId, FiringId>,
    /// The missions that were made by triggers, with the triggers that led to them.
    chains: BTreeMap<MissionId, Box<[TriggerId]>>,
    to_tend: BTreeSet<TriggerId>,
}

impl Triggers {
    pub(super) fn is_due(&mut self, id: TriggerId) {
        self.to_tend.insert(id);
    }

    pub(super) fn forget_mission(&mut self, id: MissionId) {
        self.chains.remove(&id);
    }

    fn unlist(&mut self, row: &Trigger) {
        if row.spec.on.kinds.is_empty() {
            self.of_any.remove(&row.id);
        }
        for kind in row.spec.on.names() {
            if let Some(ids) = self.by_kind.get_mut(kind) {
                ids.remove(&row.id);
                if ids.is_empty() {
                    self.by_kind.remove(kind);
                }
            }
        }
    }

    fn list(&mut self, row: &Trigger) {
        if row.spec.on.kinds.is_empty() {
            self.of_any.insert(row.id);
        }
        for kind in row.spec.on.names() {
            self.by_kind.entry(kind).or_default().insert(row.id);
        }
    }
}

impl State {
    /// A trigger, also one that is gone.
    pub fn trigger(&self, id: TriggerId) -> Option<&Trigger> {
        self.triggers.rows.get(&id)
    }

    /// The trigger of this name, also one that is gone.
    pub fn trigger_named(&self, name: &str) -> Option<&Trigger> {
        self.triggers.names.get(name).and_then(|id| self.trigger(*id))
    }

    /// All triggers, oldest first, also those that are gone.
    pub fn triggers(&self) -> impl Iterator<Item = &Trigger> {
        self.triggers.rows.values()
    }

    /// Whether any trigger sees events.
    pub(crate) fn has_triggers(&self) -> bool {
        !self.triggers.by_kind.is_empty() || !self.triggers.of_any.is_empty()
    }

    /// The triggers that see events of this name, oldest first.
    pub(crate) fn triggers_on(&self, kind: &str) -> impl Iterator<Item = TriggerId> {
        let named = self.triggers.by_kind.get(kind).into_iter().flatten().copied();
        let mut named = named.peekable();
        let mut any = self.triggers.of_any.iter().copied().peekable();
        std::iter::from_fn(move || match (named.peek(), any.peek()) {
            (Some(a), Some(b)) if b < a => any.next(),
            (Some(_), _) => named.next(),
            (None, _) => any.next(),
        })
    }

    /// The firings of a trigger whose action has not begun, oldest first.
    pub fn waiting_of(&self, id: TriggerId) -> impl Iterator<Item = &Firing> {
        self.triggers.waiting.get(&id).into_iter().flatten().filter_map(|id| self.firing(*id))
    }

    /// How many of them there are.
    pub fn count_waiting(&self, id: TriggerId) -> usize {
        self.triggers.waiting.get(&id).map_or(0, BTreeSet::len)
    }

    /// The firing of a trigger whose action begins just now.
    pub(crate) fn preparing_of(&self, id: TriggerId) -> Option<FiringId> {
        self.triggers.preparing.get(&id).copied()
    }

    /// Whether any mission of memory was made by a trigger.
    pub(crate) fn has_caused_missions(&self) -> bool {
        !self.triggers.chains.is_empty()
    }

    /// The triggers that led to a mission.
    pub(crate) fn chain_of(&self, id: MissionId) -> Option<&[TriggerId]> {
        self.triggers.chains.get(&id).map(AsRef::as_ref)
    }

    pub(crate) fn first_trigger_to_tend(&self) -> Option<TriggerId> {
        self.triggers.to_tend.first().copied()
    }

    pub(super) fn put_trigger(&mut self, row: Trigger) {
        let id = row.id;
        match self.triggers.rows.remove(&id) {
            // A fire changes neither.
            Some(old) if old.spec.on == row.spec.on && old.sees() && row.sees() => {}
            old => {
                old.iter().for_each(|old| self.triggers.unlist(old));
                if row.sees() {
                    self.triggers.list(&row);
                }
            }
        }
        self.triggers.names.insert(row.spec.name.clone(), id);
        self.triggers.rows.insert(id, row);
        self.rearm_trigger(id);
    }

    /// Takes a firing of a trigger into the index, by where it stands now.
    pub(super) fn index_firing(&mut self, row: &Firing) {
        let FiringOf::Trigger(id) = row.of else { return };
        let triggers = &mut self.triggers;
        if let Some(waiting) = triggers.waiting.get_mut(&id) {
            waiting.remove(&row.id);
            if waiting.is_empty() {
                triggers.waiting.remove(&id);
            }
        }
        if triggers.preparing.get(&id) == Some(&row.id) {
            triggers.preparing.remove(&id);
        }
        match row.state {
            FiringState::Waiting => {
                triggers.waiting.entry(id).or_default().insert(row.id);
            }
            FiringState::Preparing => {
                triggers.preparing.insert(id, row.id);
            }
            FiringState::Running
            | FiringState::Unneeded
            | FiringState::Done
            | FiringState::Failed
            | FiringState::TimedOut
            | FiringState::Cancelled => {}
        }
        self.rearm_trigger(id);
    }

    pub(super) fn index_cause(&mut self, row: &Mission) {
        if let Some(cause) = &row.cause {
            self.triggers.chains.insert(row.id, cause.chain.clone());
        }
    }

    /// When a firing of it may begin, or its time is over.
    fn trigger_due(&self, id: TriggerId) -> Option<Timestamp> {
        let row = self.trigger(id)?;
        let may_begin = row.paused.is_none() && self.preparing_of(id).is_none() && self.count_waiting(id) > 0;
        let begins = may_begin.then(|| row.not_before.unwrap_or_default());
        begins.into_iter().chain(row.spec.expires.filter(|_| row.sees())).min()
    }

    fn rearm_trigger(&mut self, id: TriggerId) {
        let due = self.trigger_due(id);
        self.triggers.to_tend.remove(&id);
        if self.arm(Timer::Trigger(id), due) {
            self.triggers.to_tend.insert(id);
        }
    }

    /// What was due is perhaps not due any more.
    pub(super) fn rearm_triggers(&mut self) {
        let ids: Vec<TriggerId> = self.triggers.to_tend.iter().copied().collect();
        ids.into_iter().for_each(|id| self.rearm_trigger(id));
    }
}
