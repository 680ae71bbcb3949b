//! What lies outside and is followed: pull requests and watches, and when each is due.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::{State, Timer};
use crate::id::{ItemId, MissionId, RunId, WatchId};
use crate::item::{Item, ItemState, Phase, Waiting};
use crate::mission;
use crate::pull::{Next, Pull};
use crate::quota::{self, Denied};
use crate::run::Run;
use crate::time::Timestamp;
use crate::watch::{Holds, Watch};

impl State {
    /// The pull request of an item.
    pub fn pull(&self, item: ItemId) -> Option<&Pull> {
        self.pulls.get(&item)
    }

    /// All pull requests of active missions, by their items.
    pub fn pulls(&self) -> impl Iterator<Item = &Pull> {
        self.pulls.values()
    }

    /// A watch.
    pub fn watch(&self, id: WatchId) -> Option<&Watch> {
        self.watches.get(&id)
    }

    /// All watches of active missions, oldest first.
    pub fn watches(&self) -> impl Iterator<Item = &Watch> {
        self.watches.values()
    }

    /// The watches of an item, oldest first.
    pub fn watches_of(&self, item: ItemId) -> impl Iterator<Item = &Watch> {
        self.watches_of.get(&item).into_iter().flatten().filter_map(|id| self.watches.get(id))
    }

    /// The watches of a mission that are looked at now: those that are open and that something waits for.
    pub fn open_watches(&self, mission: MissionId) -> impl Iterator<Item = &Watch> {
        let of = self.watched.get(&mission).into_iter().flatten();
        of.filter_map(|id| self.watches.get(id)).filter(|watch| self.is_looked_at(watch))
    }

    /// Whether a watch is looked at: it is open, and its item is where it holds it up.
    pub fn is_looked_at(&self, watch: &Watch) -> bool {
        let Some(item) = self.item(watch.item) else { return false };
        watch.status.is_open()
            && match watch.holds {
                Holds::Start => item.phase() == Phase::Pending,
                Holds::Pull => follows_pull(item),
                Holds::Mission => item.phase() == Phase::Done,
            }
    }

    /// Whether something outside still holds up the start of an item.
    pub fn is_held_outside(&self, item: ItemId) -> bool {
        self.watches_of(item).any(|watch| watch.holds == Holds::Start && watch.status.is_open())
    }

    pub(crate) fn first_to_tend(&self) -> Option<ItemId> {
        self.to_tend.first().copied().or_else(|| {
            // Whoever was counted already is before those who were not: where the first may not, none may.
            let (_, first) = self.to_open.first()?;
            self.is_kept_closed(*first).is_none().then_some(*first)
        })
    }

    /// Which quota keeps the pull request of an item from being opened, though it is due.
    pub(crate) fn is_kept_closed(&self, item: ItemId) -> Option<Denied> {
        let pull = self.pulls.get(&item).filter(|pull| self.to_open.contains(&(Reverse(pull.counted_on), item)))?;
        quota::may_open(self, pull, self.looked_at).err()
    }

    pub(crate) fn first_to_look_at(&self) -> Option<WatchId> {
        self.to_look_at.first().copied()
    }

    pub(crate) fn first_to_heed(&self) -> Option<ItemId> {
        self.to_heed.first().copied()
    }

    /// What of the notes on pull requests is known, built anew from the rows.
    pub(super) fn to_heed_anew(&self) -> BTreeSet<ItemId> {
        self.pulls.values().filter(|pull| !pull.remarks.is_empty()).map(|pull| pull.item).collect()
    }

    pub(super) fn put_pull(&mut self, row: Pull) {
        let item = row.item;
        if !self.missions.contains_key(&row.mission) {
            return;
        }
        self.unjudged.insert(row.mission);
        self.unindex_to_tend(item);
        if row.remarks.is_empty() {
            self.to_heed.remove(&item);
        } else {
            self.to_heed.insert(item);
        }
        self.pulls.insert(item, row);
        self.rearm_pull(item);
    }

    pub(super) fn put_watch(&mut self, row: Watch) {
        let (id, item, mission) = (row.id, row.item, row.mission);
        let Some(entry) = self.missions.get_mut(&mission) else { return };
        entry.last_progress_at = entry.last_progress_at.max(row.changed_at);
        self.unjudged.insert(mission);
        let open = row.status.is_open();
        if open && row.holds == Holds::Start {
            // Its item may have come first, with all that it depends on.
            self.promotable.remove(&item);
        }
        self.watches_of.entry(item).or_default().insert(id);
        self.watches.insert(id, row);
        let watched = self.watched.entry(mission).or_default();
        if open {
            watched.insert(id);
        } else {
            watched.remove(&id);
        }
        if watched.is_empty() {
            self.watched.remove(&mission);
        }
        self.rearm_watch(id);
        if !open {
            self.index_pending(item);
        }
    }

    /// An item has moved: what is looked at for it follows.
    pub(super) fn rearm_outside(&mut self, item: ItemId) {
        if self.pulls.contains_key(&item) {
            self.rearm_pull(item);
        }
        let watches: Vec<WatchId> = self.watches_of.get(&item).into_iter().flatten().copied().collect();
        watches.into_iter().for_each(|id| self.rearm_watch(id));
    }

    fn rearm_pull(&mut self, item: ItemId) {
        let follows = self.item(item).is_some_and(follows_pull);
        let frozen = self.item(item).is_some_and(|item| item.frozen.is_some());
        let due = self.pulls.get(&item).and_then(|pull| pull.looks.due).filter(|_| follows && !frozen);
        self.unindex_to_tend(item);
        if self.arm(Timer::Pull(item), due) {
            self.index_to_tend(item);
        }
    }

    /// The pull request of an item is due.
    pub(super) fn index_to_tend(&mut self, item: ItemId) {
        match (self.items.get(&item), self.pulls.get(&item)) {
            (Some(row), Some(pull)) if pull.next(row) == Next::Open => {
                self.to_open.insert((Reverse(pull.counted_on), item));
            }
            (Some(_), Some(_)) => {
                self.to_tend.insert(item);
            }
            (None, _) | (_, None) => {}
        }
    }

    fn unindex_to_tend(&mut self, item: ItemId) {
        self.to_tend.remove(&item);
        if let Some(pull) = self.pulls.get(&item) {
            self.to_open.remove(&(Reverse(pull.counted_on), item));
        }
    }

    /// Whether the pull request of an item is due.
    pub(super) fn is_to_tend(&self, item: ItemId) -> bool {
        let opens = |pull: &Pull| self.to_open.contains(&(Reverse(pull.counted_on), item));
        self.to_tend.contains(&item) || self.pulls.get(&item).is_some_and(opens)
    }

    fn rearm_watch(&mut self, id: WatchId) {
        let watch = self.watches.get(&id).filter(|watch| self.is_looked_at(watch));
        let due = watch.filter(|watch| watch.holds != Holds::Pull).and_then(|watch| watch.looks.due);
        self.to_look_at.remove(&id);
        if self.arm(Timer::Watch(id), due) {
            self.to_look_at.insert(id);
        }
    }

    /// Sets the one moment of a timer, or none; whether it is due already, and so needs no timer.
    pub(super) fn arm(&mut self, timer: Timer, at: Option<Timestamp>) -> bool {
        if let Some(old) = self.armed.remove(&timer) {
            self.timers.remove(&(old, timer));
        }
        let Some(at) = at else { return false };
        if at <= self.looked_at {
            return true;
        }
        self.timers.insert((at, timer));
        self.armed.insert(timer, at);
        false
    }

    /// The live run of a mission of which nothing was heard for the longest time, and when that was.
    pub(crate) fn quietest_run(&self, mission: MissionId) -> Option<(Timestamp, RunId)> {
        self.heard.get(&mission).and_then(|runs| runs.first().copied())
    }

    /// The live run of a mission that is silent for the longest time without waiting for a person's answer.
    pub(crate) fn silent_run(&self, mission: MissionId) -> Option<(Timestamp, &Run)> {
        let runs = self.heard.get(&mission)?;
        let mut runs = runs.iter().filter_map(|(heard, id)| Some((*heard, self.run(*id)?)));
        runs.find(|(_, run)| !run.awaits_a_person())
    }

    pub(super) fn put_heard(&mut self, old: Option<&Run>, row: &Run) {
        let runs = self.heard.entry(row.mission).or_default();
        if let Some(old) = old {
            runs.remove(&(heard_at(old), old.id));
        }
        if row.is_live() {
            runs.insert((heard_at(row), row.id));
        }
        if runs.is_empty() {
            self.heard.remove(&row.mission);
        }
        // What it asks for may be over now, or be another run of its that is silent for as long.
        let asks = self.missions.get(&row.mission).and_then(|entry| entry.row.dispatcher.open_help());
        if asks.is_some_and(|help| matches!(help.cause, mission::Cause::Stuck(_))) {
            self.unjudged.insert(row.mission);
        }
    }

    /// Sets the moment at which a mission may need help though nothing changes.
    pub(super) fn rearm_help(&mut self, mission: MissionId) {
        let due = mission::help_due(self, mission);
        self.arm(Timer::Help(mission), due);
    }

    pub(super) fn rearm_all_help(&mut self) {
        let missions: Vec<MissionId> = self.missions.keys().copied().collect();
        missions.into_iter().for_each(|id| self.rearm_help(id));
    }

    pub(super) fn forget_outside(&mut self, mission: MissionId, items: &[ItemId]) {
        for item in items {
            self.unindex_to_tend(*item);
            self.pulls.remove(item);
            self.to_heed.remove(item);
            self.rearm_pull(*item);
            for id in self.watches_of.remove(item).unwrap_or_default() {
                self.watches.remove(&id);
                self.rearm_watch(id);
            }
        }
        self.watched.remove(&mission);
        self.arm(Timer::Help(mission), None);
    }

    /// What of the open watches is known by mission, built anew from the rows.
    pub(super) fn watched_anew(&self, mission: MissionId) -> BTreeSet<WatchId> {
        self.watches.values().filter(|w| w.mission == mission && w.status.is_open()).map(|w| w.id).collect()
    }
}

/// When something was last heard of a run, or last said to it that it waited for; before its agent lives, when it was assigned.
fn heard_at(run: &Run) -> Timestamp {
    let ruled = run.requests.iter().filter_map(|request| request.answer.as_ref().map(|answer| answer.at));
    let answered = run.help.iter().filter_map(|request| request.answer.as_ref().map(|answer| answer.at));
    let said = ruled.chain(answered).max().unwrap_or_default();
    let heard = run.started_at.unwrap_or_default().max(run.last_activity_at.unwrap_or_default());
    run.assigned_at.max(heard).max(said)
}

/// Whether the pull request of an item is followed now.
pub(crate) fn follows_pull(item: &Item) -> bool {
    item.state == ItemState::Waiting(Waiting::Watches)
}
