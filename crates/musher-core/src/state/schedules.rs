//! Schedules and their live firings, and when the next of them is due.

use std::collections::{BTreeMap, BTreeSet};

use super::{State, Timer};
use crate::effect::EffectKind;
use crate::firing::Firing;
use crate::id::{EffectId, FiringId, MissionId, ScheduleId};
use crate::schedule::Schedule;
use crate::time::Timestamp;

/// The rows, and what is due of them.
#[derive(Debug, Default)]
pub(super) struct Schedules {
    rows: BTreeMap<ScheduleId, Schedule>,
    names: BTreeMap<Box<str>, ScheduleId>,
    live: BTreeMap<FiringId, Firing>,
    of_mission: BTreeMap<MissionId, FiringId>,
    due: BTreeSet<ScheduleId>,
    over: BTreeSet<FiringId>,
}

impl Schedules {
    pub(super) fn is_due(&mut self, id: ScheduleId) {
        self.due.insert(id);
    }

    pub(super) fn is_over(&mut self, id: FiringId) {
        self.over.insert(id);
    }
}

impl State {
    /// A schedule, also one that is gone.
    pub fn schedule(&self, id: ScheduleId) -> Option<&Schedule> {
        self.schedules.rows.get(&id)
    }

    /// The schedule of this name, also one that is gone.
    pub fn schedule_named(&self, name: &str) -> Option<&Schedule> {
        self.schedules.names.get(name).and_then(|id| self.schedule(*id))
    }

    /// All schedules, oldest first, also those that are gone.
    pub fn schedules(&self) -> impl Iterator<Item = &Schedule> {
        self.schedules.rows.values()
    }

    /// A live firing.
    pub fn firing(&self, id: FiringId) -> Option<&Firing> {
        self.schedules.live.get(&id)
    }

    /// The live firing that this mission was made by.
    pub fn firing_of(&self, mission: MissionId) -> Option<&Firing> {
        self.schedules.of_mission.get(&mission).and_then(|id| self.firing(*id))
    }

    /// What a firing has asked of the world and not been answered.
    pub(crate) fn effects_of_firing(&self, id: FiringId) -> impl Iterator<Item = EffectId> {
        let of_it = move |kind: &EffectKind| matches!(kind, EffectKind::PrepareFiring(of) if *of == id);
        self.effects.values().filter(move |effect| of_it(&effect.kind)).map(|effect| effect.id)
    }

    pub(crate) fn first_to_fire(&self) -> Option<ScheduleId> {
        self.schedules.due.first().copied()
    }

    pub(crate) fn first_expired(&self) -> Option<FiringId> {
        self.schedules.over.first().copied()
    }

    pub(super) fn put_schedule(&mut self, row: Schedule) {
        let id = row.id;
        let timer = |row: &Schedule| row.due.filter(|_| row.fires());
        self.schedules.due.remove(&id);
        if let Some(at) = self.schedules.rows.get(&id).and_then(timer) {
            self.timers.remove(&(at, Timer::Schedule(id)));
        }
        if let Some(at) = timer(&row) {
            self.arm_or_begin(at, Timer::Schedule(id));
        }
        self.schedules.names.insert(row.spec.name.clone(), id);
        self.schedules.rows.insert(id, row);
    }

    pub(super) fn put_firing(&mut self, row: Firing) {
        let id = row.id;
        self.schedules.over.remove(&id);
        if let Some(old) = self.schedules.live.remove(&id) {
            if let Some(at) = old.expires_at {
                self.timers.remove(&(at, Timer::Firing(id)));
            }
            if let Some(mission) = old.mission {
                self.schedules.of_mission.remove(&mission);
            }
        }
        if !row.state.is_live() {
            self.index_firing(&row);
            return;
        }
        if let Some(at) = row.expires_at {
            self.arm_or_begin(at, Timer::Firing(id));
        }
        if let Some(mission) = row.mission {
            self.schedules.of_mission.insert(mission, id);
        }
        self.schedules.live.insert(id, row.clone());
        self.index_firing(&row);
    }

    /// What is due already enters the work list at once: the timers are looked at once a pass, and more may follow in it.
    fn arm_or_begin(&mut self, at: Timestamp, timer: Timer) {
        if at > self.looked_at {
            self.timers.insert((at, timer));
            return;
        }
        match timer {
            Timer::Schedule(id) => self.schedules.is_due(id),
            Timer::Firing(id) => self.schedules.is_over(id),
            Timer::Item(_)
            | Timer::Mission(_)
            | Timer::Run(_)
            | Timer::Agent(_)
            | Timer::Driver(_)
            | Timer::Pull(_)
            | Timer::Watch(_)
            | Timer::Trigger(_)
            | Timer::Help(_) => {}
        }
    }
}
