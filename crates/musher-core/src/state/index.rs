//! The upkeep of the indexes: each is derived from rows, a kind of row a function, by [`State::apply`].

use std::time::Duration;

use super::{Budget, GATES_REMEMBERED, MissionEntry, ReadyIndex, Roster, Standing, State, Timer};
use crate::agent::Agent;
use crate::change::GateRecord;
use crate::host;
use crate::id::{AgentId, ItemId, MissionId};
use crate::item::{Item, ItemState, MergeStage, Phase, Priority, Waiting};
use crate::mission::{Counts, Mission, STUCK_AFTER};
use crate::quota;
use crate::quota::{Account, Scope};
use crate::run::{Run, RunState, Usage};
use crate::time::Timestamp;

impl State {
    pub(super) fn retention(&self) -> Duration {
        Duration::from_secs(self.settings.done_retention_secs)
    }

    /// The retention may have changed: a mission that ended is archived by the present one.
    pub(super) fn rearm_missions(&mut self) {
        self.timers.retain(|(_, timer)| !matches!(timer, Timer::Mission(_)));
        let retention = self.retention();
        for (id, entry) in &self.missions {
            self.timers.extend(entry.row.due(retention).map(|at| (at, Timer::Mission(*id))));
        }
    }

    pub(super) fn put_mission(&mut self, row: Mission) {
        let id = row.id;
        self.index_cause(&row);
        let due = row.due(self.retention());
        if let Some(at) = self.missions.get(&id).and_then(|old| old.row.due(self.retention())) {
            self.timers.remove(&(at, Timer::Mission(id)));
        }
        if let Some(at) = due {
            self.timers.insert((at, Timer::Mission(id)));
        }
        let noted_at = row.dispatcher.noted_at;
        match self.missions.get_mut(&id) {
            Some(entry) => entry.row = row,
            None => {
                let last_progress_at = row.created_at;
                let entry = MissionEntry {
                    row,
                    items: Vec::new(),
                    counts: Counts::default(),
                    usage: Usage::default(),
                    budget: Budget::default(),
                    last_progress_at,
                    last_turn: 0,
                };
                self.missions.insert(id, entry);
            }
        }
        if let Some(entry) = self.missions.get_mut(&id) {
            entry.last_progress_at = entry.last_progress_at.max(noted_at.unwrap_or_default());
        }
        self.unjudged.insert(id);
        self.dispatch_due = true;
        self.refresh_mission(id);
    }

    pub(super) fn put_account(&mut self, account: Account) {
        let scope = account.scope.clone();
        let told = (account.exceeded.clone(), account.set.clone());
        if let Scope::Mission(id) = &scope
            && !self.missions.contains_key(id)
        {
            return;
        }
        let old = self.books.put(account);
        // Most changes are more of the same use, and let nothing begin that could not before.
        if old.is_none_or(|old| (old.exceeded, old.set) != told) {
            self.dispatch_due = true;
            if let Scope::Mission(id) = &scope {
                self.unjudged.insert(*id);
                self.refresh_mission(*id);
            }
        }
        self.rearm_quota(&scope);
    }

    pub(super) fn rearm_quotas(&mut self) {
        let scopes: Vec<Scope> = self.books.all().map(|account| account.scope.clone()).collect();
        scopes.iter().for_each(|scope| self.rearm_quota(scope));
    }

    pub(super) fn rearm_quota(&mut self, scope: &Scope) {
        let at = self.books.of(scope).and_then(|account| quota::heals(self, account, self.looked_at));
        match at {
            Some(at) => self.heals.insert(scope.clone(), at),
            None => self.heals.remove(scope),
        };
        if let Scope::Agent(name) = scope
            && let Some(id) = self.agent_names.get(name).copied()
        {
            self.restand(id);
        }
    }

    /// Something of what this agent may take may have changed: its load, its quota, or the time.
    pub(super) fn restand(&mut self, id: AgentId) {
        if let Some(agent) = self.agents.get(&id) {
            let standing = Standing::of(self, agent);
            self.roster.move_to(id, standing);
        }
    }

    /// The index of ready items, built anew from the rows. An item whose backoff is over is one whose timer has gone off.
    pub(super) fn ready_anew(&self) -> ReadyIndex {
        let mut ready = ReadyIndex::default();
        for (id, entry) in &self.missions {
            ready.set_open(*id, entry.standing());
        }
        let waits = |item: &Item| item.due().is_some_and(|at| self.timers.contains(&(at, Timer::Item(item.id))));
        let is_ready = |item: &Item| item.phase() == Phase::Ready && !waits(item) && !self.stands_still(item);
        let items = self.items.values().filter(|item| is_ready(item));
        items.for_each(|item| ready.insert(item));
        ready
    }

    /// The roster, built anew from the rows.
    pub(super) fn roster_anew(&self) -> Roster {
        let mut roster = Roster::default();
        for agent in self.agents.values().filter(|agent| !agent.removed) {
            roster.define(agent, Standing::of(self, agent));
        }
        roster
    }

    pub(super) fn refresh_mission(&mut self, id: MissionId) {
        let budget = quota::budget(self, id);
        if let Some(entry) = self.missions.get_mut(&id) {
            entry.budget = budget;
        }
        if let Some(entry) = self.missions.get(&id) {
            self.ready.set_open(id, entry.standing());
        }
    }

    pub(super) fn put_item(&mut self, row: Box<Item>) {
        let id = row.id;
        let mission = row.mission;
        let old = self.items.remove(&id);
        if let Some(old) = &old {
            self.unindex(old);
            self.depend_anew(old, &row);
        } else {
            for dependency in &row.depends_on {
                self.dependents.entry(*dependency).or_default().push(id);
            }
            if let Some(entry) = self.missions.get_mut(&mission) {
                entry.items.push(id);
            }
        }
        let satisfied_now = row.satisfies() && !old.as_deref().is_some_and(Item::satisfies);
        self.count(old.as_deref(), &row);
        let is_pending = row.phase() == Phase::Pending;
        let held = old.as_deref().is_some_and(|old| old.takes_slot() && claims(old));
        let holds = row.takes_slot() && claims(&row);
        self.index(&row);
        self.items.insert(id, row);
        if is_pending && old.is_some() {
            self.index_pending(id);
        }
        self.rearm_outside(id);
        if satisfied_now {
            self.unlock_dependents(id);
        }
        self.unjudged.insert(mission);
        if held != holds {
            self.judge_the_waiting(holds);
        }
        self.refresh_mission(mission);
    }

    /// Files are changed by an item at work from now on, or are free. What waits for them waits for an agent no more, or
    /// does so now, in other missions too: one that has asked may not need to any more, and one of which nothing was heard
    /// for long may have to ask.
    fn judge_the_waiting(&mut self, taken: bool) {
        let concerned = |entry: &MissionEntry| match entry.row.dispatcher.open_help() {
            Some(_) => taken,
            None => !taken && entry.last_progress_at.after(STUCK_AFTER) <= self.looked_at,
        };
        let concerned = self.missions.iter().filter(|(_, entry)| entry.count(Phase::Ready) > 0 && concerned(entry));
        self.unjudged.extend(concerned.map(|(id, _)| *id));
    }

    /// What an item depends on may have changed.
    fn depend_anew(&mut self, old: &Item, row: &Item) {
        for gone in old.depends_on.iter().filter(|id| !row.depends_on.contains(id)) {
            if let Some(list) = self.dependents.get_mut(gone) {
                list.retain(|id| *id != row.id);
                if list.is_empty() {
                    self.dependents.remove(gone);
                }
            }
        }
        for new in row.depends_on.iter().filter(|id| !old.depends_on.contains(id)) {
            self.dependents.entry(*new).or_default().push(row.id);
        }
    }

    pub(super) fn count(&mut self, old: Option<&Item>, row: &Item) {
        let Some(entry) = self.missions.get_mut(&row.mission) else { return };
        if let Some(old) = old {
            entry.counts.by_phase[old.phase() as usize] -= 1;
            entry.counts.satisfied -= u32::from(old.satisfied);
            entry.counts.frozen -= u32::from(old.frozen.is_some());
        }
        entry.counts.by_phase[row.phase() as usize] += 1;
        entry.counts.satisfied += u32::from(row.satisfied);
        entry.counts.frozen += u32::from(row.frozen.is_some());
        let before = old.map_or(Usage::default(), |o| o.usage);
        entry.usage = entry.usage.plus(row.usage).since(before);
        entry.last_progress_at = entry.last_progress_at.max(row.updated_at);
        if row.turn > entry.last_turn {
            self.turns.remove(&(entry.last_turn, row.mission));
            self.turns.insert((row.turn, row.mission));
            entry.last_turn = row.turn;
        }
    }

    pub(super) fn index(&mut self, item: &Item) {
        self.slots.extend(item.slot);
        if item.takes_slot() {
            self.live.insert(item.id);
        }
        if let Some(at) = item.due() {
            self.timers.insert((at, Timer::Item(item.id)));
        }
        match &item.state {
            ItemState::Ready if item.not_before.is_none() => {
                self.index_limited(item);
                if !self.stands_still(item) {
                    self.ready.insert(item);
                }
                self.dispatch_due = true;
            }
            ItemState::Waiting(Waiting::Clear) => {
                self.clear.insert(item.id);
            }
            ItemState::Waiting(Waiting::Review) if item.review_run.is_none() => {
                self.index_limited(item);
                if !self.stands_still(item) {
                    self.unreviewed.insert(item.id);
                }
                self.dispatch_due = true;
            }
            ItemState::Merging(MergeStage::Queued) if item.frozen.is_none() => {
                self.queue.insert(queue_key(item));
            }
            _ => {}
        }
    }

    pub(super) fn unindex(&mut self, item: &Item) {
        if let Some(slot) = item.slot {
            self.slots.remove(&slot);
        }
        self.live.remove(&item.id);
        if let Some(at) = item.due() {
            self.timers.remove(&(at, Timer::Item(item.id)));
        }
        match &item.state {
            ItemState::Pending => {
                self.promotable.remove(&item.id);
            }
            ItemState::Ready => {
                self.unindex_limited(item);
                self.ready.remove(item);
                // Another one is the first now, and why that one finds no agent may have to be said.
                self.dispatch_due = true;
            }
            ItemState::Waiting(_) => {
                self.unindex_limited(item);
                self.clear.remove(&item.id);
                self.unreviewed.remove(&item.id);
            }
            ItemState::Merging(_) => {
                self.queue.remove(&queue_key(item));
            }
            ItemState::Assigned | ItemState::Running | ItemState::Verifying => self.dispatch_due = true,
            _ => {}
        }
    }

    pub(super) fn index_limited(&mut self, item: &Item) {
        if let Some(limited) = &item.limited {
            self.limited.entry(limited.agent).or_default().insert(item.id);
        }
    }

    pub(super) fn unindex_limited(&mut self, item: &Item) {
        if let Some(agent) = item.limited.as_ref().map(|limited| limited.agent)
            && let Some(items) = self.limited.get_mut(&agent)
        {
            items.remove(&item.id);
            if items.is_empty() {
                self.limited.remove(&agent);
            }
        }
    }

    pub(super) fn index_pending(&mut self, id: ItemId) {
        // One that is not here yet, for the rows of a mission come one by one, is not satisfied either.
        let satisfied = |dependency: &ItemId| self.item(*dependency).is_some_and(Item::satisfies);
        if let Some(item) = self.items.get(&id)
            && item.phase() == Phase::Pending
            && item.frozen.is_none()
            && item.depends_on.iter().all(satisfied)
            && !self.is_held_outside(id)
        {
            self.promotable.insert(id);
        }
    }

    pub(super) fn unlock_dependents(&mut self, id: ItemId) {
        for dependent in self.dependents.get(&id).cloned().unwrap_or_default() {
            self.index_pending(dependent);
        }
    }

    pub(super) fn put_agent(&mut self, row: Agent) {
        let id = row.id;
        self.rested.remove(&id);
        self.to_probe.remove(&id);
        let rests = |row: &Agent| row.suspended.as_ref().and_then(|s| s.until);
        if let Some(at) = self.agents.get(&id).and_then(rests) {
            self.timers.remove(&(at, Timer::Driver(id)));
        }
        if let Some(at) = rests(&row) {
            self.timers.insert((at, Timer::Driver(id)));
        }
        if let Some(at) = self.agents.get(&id).and_then(|old| old.limited_until) {
            self.timers.remove(&(at, Timer::Agent(id)));
        }
        if let Some(at) = row.limited_until {
            self.timers.insert((at, Timer::Agent(id)));
        }
        if !row.removed {
            self.agent_names.insert(row.spec.name.clone(), id);
        } else if self.agent_names.get(&row.spec.name) == Some(&id) {
            self.agent_names.remove(&row.spec.name);
        }
        self.nodes.move_agent(self.agents.get(&id), &row);
        let scope = Scope::Agent(row.spec.name.clone());
        if row.removed {
            self.roster.remove(id);
        } else {
            self.roster.define(&row, Standing::of(self, &row));
        }
        self.agents.insert(id, row);
        self.rearm_quota(&scope);
        self.repark(id);
    }

    /// The account of this agent may be used up now, or not any more: what waits for it follows.
    pub(super) fn repark(&mut self, agent: AgentId) {
        for item in self.limited.get(&agent).into_iter().flatten().filter_map(|id| self.items.get(id)) {
            match (item.phase() == Phase::Ready, self.stands_still(item)) {
                (true, true) => self.ready.remove(item),
                (true, false) => self.ready.insert(item),
                (false, true) => {
                    self.unreviewed.remove(&item.id);
                }
                (false, false) => {
                    self.unreviewed.insert(item.id);
                }
            }
            self.unjudged.insert(item.mission);
        }
    }

    pub(super) fn put_run(&mut self, row: Run) {
        let old = self.runs.remove(&row.id);
        self.overdue.remove(&row.id);
        if let Some(at) = old.as_ref().and_then(crate::approval::due) {
            self.timers.remove(&(at, Timer::Run(row.id)));
        }
        if let Some(at) = crate::approval::due(&row).filter(|_| row.is_live()) {
            self.timers.insert((at, Timer::Run(row.id)));
        }
        let worked = old.as_ref().is_some_and(|run| run.state == RunState::Running);
        let works = row.state == RunState::Running;
        if worked != works {
            let at_work = self.at_work.entry(row.agent).or_insert(0);
            *at_work = if works { *at_work + 1 } else { at_work.saturating_sub(1) };
        }
        let was_live = old.is_some();
        let was_silent = old.as_ref().is_some_and(host::is_silent);
        let is_silent = host::is_silent(&row);
        if was_silent != is_silent {
            let silent = self.silent_hosts.entry(row.agent).or_insert(0);
            *silent = if is_silent { *silent + 1 } else { silent.saturating_sub(1) };
            if *silent == 0 {
                self.silent_hosts.remove(&row.agent);
            }
        }
        match (was_live, row.is_live()) {
            (false, true) => {
                *self.load.entry(row.agent).or_insert(0) += 1;
                self.restand(row.agent);
                self.runs_of.entry(row.item).or_default().push(row.id);
            }
            (true, false) => {
                if let Some(load) = self.load.get_mut(&row.agent) {
                    *load = load.saturating_sub(1);
                }
                self.restand(row.agent);
                if let Some(list) = self.runs_of.get_mut(&row.item) {
                    list.retain(|r| *r != row.id);
                    if list.is_empty() {
                        self.runs_of.remove(&row.item);
                    }
                }
                self.dispatch_due = true;
            }
            (true, true) if was_silent != is_silent => {
                self.restand(row.agent);
                self.dispatch_due = true;
            }
            (true, true) | (false, false) => {}
        }
        self.put_heard(old.as_ref(), &row);
        let mission = row.mission;
        if row.is_live() {
            self.runs.insert(row.id, row);
        }
        self.rearm_help(mission);
    }

    pub(super) fn put_gate(&mut self, record: GateRecord) {
        let key = (record.tree.clone(), record.gate.clone());
        if self.gates.insert(key.clone(), record).is_none() {
            self.gate_order.push_back(key);
        }
        if self.gate_order.len() > GATES_REMEMBERED
            && let Some(oldest) = self.gate_order.pop_front()
        {
            self.gates.remove(&oldest);
        }
    }

    pub(super) fn forget_mission(&mut self, id: MissionId) {
        let Some(entry) = self.missions.remove(&id) else { return };
        self.triggers.forget_mission(id);
        self.books.forget_mission(id);
        if let Some(at) = entry.row.due(self.retention()) {
            self.timers.remove(&(at, Timer::Mission(id)));
        }
        self.forget_outside(id, &entry.items);
        for item in &entry.items {
            if let Some(row) = self.items.remove(item) {
                self.unindex(&row);
            }
            self.dependents.remove(item);
        }
        self.unjudged.remove(&id);
        self.ready.set_open(id, None);
        self.turns.remove(&(entry.last_turn, id));
    }
}

/// Whether an item at work keeps others from its files.
fn claims(item: &Item) -> bool {
    !item.touches.is_empty() || !item.clashes.is_empty()
}

pub(super) fn queue_key(item: &Item) -> (Priority, Timestamp, ItemId) {
    (item.priority, item.queued_at.unwrap_or(item.updated_at), item.id)
}
