//! The judge: what was dispatched, by the events on disk, against what was true and what operators were told.
//!
//! It keeps its own account of everything, from the plans, the specifications of agents, acknowledged commands, the truth
//! outside, and the log. It asks musher nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use musher_core::agent::AgentSpec;
use musher_core::event::{Event, Happened};
use musher_core::id::{AgentId, ItemId, MissionId, RunId};
use musher_core::item::Item;
use musher_core::mission::{OnCap, OnRateLimit};
use musher_core::run::{FailureClass, Outcome, Usage};
use musher_core::time::Timestamp;

use super::books::{Books, End};
use super::figures::Figures;
use super::order::{Asks, Order, Rank};
use super::stage::Stage;
use super::{MINUTE, micros_after};
use crate::failure::Broken;
use crate::nodes;

/// Where an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// Somebody may take it.
    Ready,
    /// Until then nobody may, for it has failed.
    BacksOff(Timestamp),
    /// It waits for the account of the agent that it was with.
    Parked(AgentId),
    /// It is with an agent.
    AtWork,
    /// Its run is over; what follows is not said yet.
    Ended,
    /// Its run has failed: it must be tried again or given up in the same batch.
    Failed,
    /// A quota has stopped it, and it waits for a person.
    Blocked,
    /// Done.
    Done,
    /// In the dead letter.
    Dead,
    /// The same, because a quota has stopped it.
    Dropped,
}

/// An item as the judge knows it.
#[derive(Debug)]
struct Job {
    mission: MissionId,
    asks: Asks,
    rank: Rank,
    most_failures: u32,
    waits_for_account: bool,
    failures: u32,
    limited_by: Option<AgentId>,
    on_cap: OnCap,
    /// A quota has stopped its last run.
    capped: bool,
    stand: Stand,
    waits_since: Timestamp,
}

/// The judge.
#[derive(Debug)]
pub(super) struct Judge {
    pub(super) books: Books,
    pub(super) order: Order,
    pub(super) figures: Figures,
    specs: Vec<AgentSpec>,
    jobs: BTreeMap<ItemId, Job>,
    backing_off: BTreeSet<(Timestamp, ItemId)>,
    parked: BTreeMap<AgentId, BTreeSet<ItemId>>,
    failed: Vec<ItemId>,
    /// What was blocked since it was last asked.
    blocked: Vec<ItemId>,
    /// How runs really ended, and what they really used.
    ends: BTreeMap<RunId, (Outcome, Usage)>,
    /// Until when accounts really rest, as far as that was told.
    rests: BTreeMap<AgentId, Timestamp>,
    /// Until when musher says that they do.
    limited: BTreeMap<AgentId, Timestamp>,
    at_their_end: usize,
}

impl Judge {
    pub(super) fn new(stage: &Stage) -> Result<Self, Broken> {
        Ok(Self {
            books: Books::new(stage)?,
            order: Order::default(),
            figures: Figures::default(),
            specs: stage.agents.clone(),
            jobs: BTreeMap::new(),
            backing_off: BTreeSet::new(),
            parked: BTreeMap::new(),
            failed: Vec::new(),
            blocked: Vec::new(),
            ends: BTreeMap::new(),
            rests: BTreeMap::new(),
            limited: BTreeMap::new(),
            at_their_end: 0,
        })
    }

    /// How many items came to their end.
    pub(super) fn at_their_end(&self) -> usize {
        self.at_their_end
    }

    /// A mission was started, with these rows.
    pub(super) fn mission(&mut self, id: MissionId, plan: &musher_core::mission::StartMission, rows: &[Item]) {
        self.order.start(id, plan.policy.weight);
        for ((row, planned), number) in rows.iter().zip(&plan.items).zip(0..) {
            let job = Job {
                mission: id,
                asks: Asks::of(planned),
                rank: Rank::of(row, planned, number),
                most_failures: planned.max_retries.unwrap_or(plan.policy.max_retries),
                waits_for_account: plan.policy.on_rate_limit == OnRateLimit::Wait,
                failures: 0,
                limited_by: None,
                on_cap: plan.policy.on_cap,
                capped: false,
                stand: Stand::Ended,
                waits_since: row.created_at,
            };
            self.jobs.insert(row.id, job);
        }
    }

    /// A run has really ended so; its report is in the next batch.
    pub(super) fn ends(&mut self, run: RunId, outcome: Outcome, used: Usage) {
        self.ends.insert(run, (outcome, used));
    }

    /// The moment of the batch whose events follow.
    pub(super) fn look_at_clock(&mut self, now: Timestamp) {
        self.books.look_at_clock(now);
        while let Some((at, id)) = self.backing_off.first().copied()
            && at <= now
        {
            self.backing_off.remove(&(at, id));
            if let Some(job) = self.jobs.get_mut(&id) {
                job.stand = Stand::Ready;
                self.order.insert(job.mission, &job.asks, job.rank);
            }
        }
    }

    /// An event.
    pub(super) fn see(&mut self, event: &Event) -> Result<(), Broken> {
        self.figures.events += 1;
        match &event.happened {
            Happened::AgentDefined { name } => self.defined(event, name),
            Happened::ItemReady { .. } => self.ready(event),
            Happened::ItemAssigned { .. } => self.assigned(event),
            Happened::RunStarted { .. } => {
                self.books.started(run_of(event)?);
                Ok(())
            }
            Happened::UsageRecorded { usage, .. } => self.books.used_by(run_of(event)?, *usage),
            Happened::RunFinished { outcome, usage, .. } => {
                let run = run_of(event)?;
                let truth = self.truth(run, outcome, *usage, event)?;
                let failed = matches!(truth, Outcome::Failed { .. } | Outcome::Lost { .. });
                self.books.end(run, if failed { End::Failed } else { End::Kept }, *usage)
            }
            Happened::ItemRetrying { not_before, attempts, .. } => self.retrying(event, *not_before, *attempts),
            Happened::ItemDone { .. } => self.over(event, Stand::Done),
            Happened::ItemDeadLettered { .. } => self.dead(event),
            Happened::AgentRateLimited { until } => self.rests(event, *until),
            Happened::AgentRateLimitLifted {} => self.lifted(event),
            Happened::ItemBlocked { reason } => self.blocks(event, reason.as_ref()),
            Happened::ItemRetried {} => self.retried(event),
            // Nobody gives up an item here.
            Happened::ItemCancelled { reason } => {
                Err(Broken::safety(event.item, format!("an item was given up: {reason}")))
            }
            // Of the others none says anything that is judged here.
            _ => Ok(()),
        }
    }

    fn defined(&mut self, event: &Event, name: &str) -> Result<(), Broken> {
        let id = agent_of(event)?;
        if let Some(spec) = self.specs.iter().find(|spec| &*spec.name == name) {
            self.books.define(id, spec);
        }
        Ok(())
    }

    fn job(&mut self, event: &Event) -> Result<&mut Job, Broken> {
        let id = event.item.ok_or_else(|| Broken::safety(None, "an event of an item names none"))?;
        self.jobs.get_mut(&id).ok_or_else(|| Broken::safety(id, format!("nobody asked for item {}", id.short())))
    }

    fn ready(&mut self, event: &Event) -> Result<(), Broken> {
        let limited = self.limited.clone();
        let job = self.job(event)?;
        if job.stand != Stand::Ended {
            let what = format!("item {} is ready, and was {:?}", job.rank.item.short(), job.stand);
            return Err(Broken::safety(job.rank.item, what));
        }
        if std::mem::take(&mut job.capped) && job.on_cap != OnCap::Requeue {
            let what = format!("a quota has stopped item {}, which goes on by itself", job.rank.item.short());
            return Err(Broken::safety(job.rank.item, what));
        }
        job.waits_since = event.at;
        let parked = job.limited_by.filter(|agent| job.waits_for_account && limited.contains_key(agent));
        job.stand = parked.map_or(Stand::Ready, Stand::Parked);
        let (mission, asks, rank, by) = (job.mission, job.asks.clone(), job.rank, job.limited_by);
        if let Some(agent) = by.filter(|_| self.jobs[&rank.item].waits_for_account) {
            self.parked.entry(agent).or_default().insert(rank.item);
        }
        if parked.is_none() {
            self.order.insert(mission, &asks, rank);
        }
        Ok(())
    }

    fn assigned(&mut self, event: &Event) -> Result<(), Broken> {
        let (agent, run) = (agent_of(event)?, run_of(event)?);
        self.figures.dispatches += 1;
        if let Some(rests) = self.rests.get(&agent).filter(|rests| **rests > event.at) {
            let what =
                format!("run {} begins at {} by an account that is used up until {rests}", run.short(), event.at);
            return Err(Broken::safety(event.item, what));
        }
        let job = self.job(event)?;
        if job.stand == Stand::AtWork {
            let what = format!("item {} is given to {} and is with an agent", job.rank.item.short(), agent.short());
            return Err(Broken::safety(job.rank.item, what));
        }
        job.stand = Stand::AtWork;
        let by = job.limited_by.take();
        let (mission, asks, rank) = (job.mission, job.asks.clone(), job.rank);
        if let Some(by) = by.and_then(|by| self.parked.get_mut(&by)) {
            by.remove(&rank.item);
        }
        let spec = self.books.worker(agent)?.spec.clone();
        self.order.spend(|id| self.books.is_spent(id));
        self.order.take(mission, &asks, rank, &spec)?;
        self.books.begin(run, agent, mission).map_err(|broken| Broken { item: event.item, ..broken })
    }

    /// What really became of a run of which musher says this.
    fn truth(&mut self, run: RunId, said: &str, usage: Usage, event: &Event) -> Result<Outcome, Broken> {
        let Some((truth, used)) = self.ends.remove(&run) else {
            return Err(Broken::safety(event.item, format!("run {} is said to be {said} and works", run.short())));
        };
        if used != usage {
            let what = format!("run {} used {used:?}, and {usage:?} is charged", run.short());
            return Err(Broken::safety(event.item, what));
        }
        let is_over = self.books.is_over(run);
        // One that is being stopped did not fail by dying.
        let excused = matches!(truth, Outcome::Failed { class: FailureClass::Agent, .. }) && is_over;
        let truth = if excused { Outcome::Cancelled } else { truth };
        if truth.name() != said {
            let what = format!("run {} was {} and is said to be {said}", run.short(), truth.name());
            return Err(Broken::safety(event.item, what));
        }
        let agent =
            self.books.agent_of(run).ok_or_else(|| Broken::safety(event.item, "a run ends that never began"))?;
        self.figures.stopped += u64::from(truth == Outcome::Cancelled);
        if let Outcome::RateLimited { resets_at, .. } = &truth {
            self.used_up(agent, *resets_at, event.at)?;
        }
        let job = self.job(event)?;
        let mission = job.mission;
        job.stand = Stand::Ended;
        match &truth {
            Outcome::Failed { .. } | Outcome::Lost { .. } => {
                job.failures += 1;
                job.stand = Stand::Failed;
                let item = job.rank.item;
                self.failed.push(item);
            }
            Outcome::RateLimited { .. } => job.limited_by = Some(agent),
            Outcome::Cancelled => job.capped = true,
            Outcome::Finished { .. } | Outcome::SessionLost { .. } => {}
        }
        self.order.give_back(mission);
        Ok(truth)
    }

    /// An account is used up: no agent of it may begin anything before the reset that was told, or within a minute.
    fn used_up(&mut self, agent: AgentId, resets_at: Option<Timestamp>, at: Timestamp) -> Result<(), Broken> {
        let until = resets_at.unwrap_or_else(|| micros_after(at, MINUTE));
        let spec = self.books.worker(agent)?.spec.clone();
        let shares = |other: &AgentSpec| other.node == spec.node && other.home == spec.home;
        let agents = self.books.workers().filter(|(_, worker)| shares(&worker.spec)).map(|(id, _)| id);
        for agent in agents.collect::<Vec<_>>() {
            let rest = self.rests.entry(agent).or_default();
            *rest = (*rest).max(until);
        }
        match resets_at {
            Some(_) => self.figures.limited += 1,
            None => self.figures.limited_untold += 1,
        }
        Ok(())
    }

    /// Musher says that an agent's account rests: not for much longer than was told.
    fn rests(&mut self, event: &Event, until: Timestamp) -> Result<(), Broken> {
        let agent = agent_of(event)?;
        let told = self.rests.get(&agent).copied().unwrap_or_default();
        if until > told.max(micros_after(event.at, 30 * MINUTE)) {
            return Err(Broken::liveness(None, format!("an account rests until {until}, and is free at {told}")));
        }
        self.limited.insert(agent, until);
        for id in self.parked.get(&agent).into_iter().flatten() {
            if let Some(job) = self.jobs.get_mut(id).filter(|job| job.stand == Stand::Ready) {
                job.stand = Stand::Parked(agent);
                self.order.remove(job.mission, &job.asks, job.rank);
            }
        }
        Ok(())
    }

    fn lifted(&mut self, event: &Event) -> Result<(), Broken> {
        let agent = agent_of(event)?;
        self.limited.remove(&agent);
        for id in self.parked.get(&agent).into_iter().flatten() {
            if let Some(job) = self.jobs.get_mut(id).filter(|job| job.stand == Stand::Parked(agent)) {
                job.stand = Stand::Ready;
                self.order.insert(job.mission, &job.asks, job.rank);
            }
        }
        Ok(())
    }

    fn retrying(&mut self, event: &Event, not_before: Option<Timestamp>, attempts: u32) -> Result<(), Broken> {
        self.figures.retried += 1;
        let job = self.job(event)?;
        let (id, short) = (job.rank.item, job.rank.item.short());
        if job.stand != Stand::Failed || attempts != job.failures {
            let what = format!("item {short} has failed {} times, and {attempts} are counted", job.failures);
            return Err(Broken::safety(id, what));
        }
        if job.failures >= job.most_failures {
            let what = format!("item {short} has failed {} times and is tried again", job.failures);
            return Err(Broken::safety(id, what));
        }
        let until = not_before.unwrap_or(event.at);
        job.stand = Stand::BacksOff(until);
        job.waits_since = event.at;
        self.backing_off.insert((until, id));
        Ok(())
    }

    /// A quota has stopped its run, and its mission wants a person to see that.
    fn blocks(&mut self, event: &Event, reason: &str) -> Result<(), Broken> {
        let job = self.job(event)?;
        if !job.capped || job.on_cap != OnCap::Block || job.stand != Stand::Ended {
            return Err(Broken::safety(job.rank.item, format!("an item was blocked: {reason}")));
        }
        job.stand = Stand::Blocked;
        let item = job.rank.item;
        self.blocked.push(item);
        self.figures.blocked += 1;
        Ok(())
    }

    /// A person has let a blocked item go on: it starts afresh.
    fn retried(&mut self, event: &Event) -> Result<(), Broken> {
        let job = self.job(event)?;
        if job.stand != Stand::Blocked {
            let what = format!("item {} goes on, and was {:?}", job.rank.item.short(), job.stand);
            return Err(Broken::safety(job.rank.item, what));
        }
        (job.stand, job.failures, job.capped, job.waits_since) = (Stand::Ready, 0, false, event.at);
        let (mission, asks, rank) = (job.mission, job.asks.clone(), job.rank);
        self.order.insert(mission, &asks, rank);
        Ok(())
    }

    /// What was blocked since this was last asked.
    pub(super) fn newly_blocked(&mut self) -> Vec<ItemId> {
        std::mem::take(&mut self.blocked)
    }

    /// Whether something of a mission is still to come.
    pub(super) fn is_open(&self, mission: MissionId) -> bool {
        let ended = |job: &Job| matches!(job.stand, Stand::Done | Stand::Dead | Stand::Dropped);
        self.jobs.values().any(|job| job.mission == mission && !ended(job))
    }

    fn dead(&mut self, event: &Event) -> Result<(), Broken> {
        let job = self.job(event)?;
        if job.capped && job.on_cap == OnCap::Fail && job.stand == Stand::Ended {
            self.figures.dropped += 1;
            return self.over(event, Stand::Dropped);
        }
        if job.failures != job.most_failures || job.stand != Stand::Failed {
            let what = format!(
                "item {} was given up after {} failures of {}",
                job.rank.item.short(),
                job.failures,
                job.most_failures
            );
            return Err(Broken::safety(job.rank.item, what));
        }
        self.figures.dead += 1;
        self.over(event, Stand::Dead)
    }

    fn over(&mut self, event: &Event, stand: Stand) -> Result<(), Broken> {
        let job = self.job(event)?;
        if !matches!(job.stand, Stand::Ended | Stand::Failed) {
            let what = format!("item {} ends, and was {:?}", job.rank.item.short(), job.stand);
            return Err(Broken::safety(job.rank.item, what));
        }
        job.stand = stand;
        self.at_their_end += 1;
        self.figures.items += 1;
        Ok(())
    }

    /// What must hold when all events of a batch were seen. `whole`: the pass came to its end.
    pub(super) fn after_batch(&mut self, whole: bool, nodes: &nodes::Watch, now: Timestamp) -> Result<(), Broken> {
        self.books.all_stopped()?;
        for id in std::mem::take(&mut self.failed) {
            if self.jobs.get(&id).is_some_and(|job| job.stand == Stand::Failed) {
                return Err(Broken::safety(id, format!("item {} has failed, and nothing follows", id.short())));
            }
        }
        if !whole {
            return Ok(());
        }
        if let Some((agent, until)) = self.limited.iter().find(|(_, until)| **until <= now) {
            let what = format!("the account of {} was free at {until} and still rests", agent.short());
            return Err(Broken::liveness(None, what));
        }
        self.nobody_idles(nodes, now)
    }

    /// No item waits that an agent could take which is there, has room, and is refused by nothing.
    fn nobody_idles(&mut self, nodes: &nodes::Watch, now: Timestamp) -> Result<(), Broken> {
        if self.order.is_empty() {
            return Ok(());
        }
        self.order.spend(|id| self.books.is_spent(id));
        for (id, worker) in self.books.workers() {
            let there = worker.spec.node.as_deref().is_none_or(|node| nodes.hears(node));
            if there
                && !Books::is_busy(worker)
                && !self.limited.contains_key(&id)
                && self.books.refuses(worker).is_none()
                && let Some(item) = self.order.waits_for(&worker.spec)
            {
                let what = format!("item {} waits at {now}, though {} could take it", item.short(), worker.spec.name);
                return Err(Broken::liveness(item, what));
            }
        }
        Ok(())
    }

    /// How many items have waited for so long; and how many of those for an account.
    pub(super) fn waiting_for(&self, long: Duration, now: Timestamp) -> (u64, u64) {
        let (mut all, mut parked) = (0, 0);
        for job in self.jobs.values().filter(|job| now.since(job.waits_since) >= long) {
            match job.stand {
                Stand::Ready | Stand::BacksOff(_) => all += 1,
                Stand::Parked(_) => (all, parked) = (all + 1, parked + 1),
                Stand::AtWork
                | Stand::Ended
                | Stand::Failed
                | Stand::Blocked
                | Stand::Done
                | Stand::Dead
                | Stand::Dropped => {}
            }
        }
        (all, parked)
    }

    /// What the rows must say in the end: each item is done, or has failed as often as it may.
    pub(super) fn at_rest(&self, rows: &[Item]) -> Result<(), Broken> {
        for row in rows {
            let Some(job) = self.jobs.get(&row.id) else { continue };
            let holds = match job.stand {
                Stand::Done => row.phase() == musher_core::item::Phase::Done && row.attempts == job.failures,
                Stand::Dead => row.phase() == musher_core::item::Phase::Failed && job.failures == job.most_failures,
                Stand::Dropped => row.phase() == musher_core::item::Phase::Failed && row.attempts == job.failures,
                Stand::Ready
                | Stand::BacksOff(_)
                | Stand::Parked(_)
                | Stand::AtWork
                | Stand::Ended
                | Stand::Failed
                | Stand::Blocked => false,
            };
            if !holds {
                let what = format!(
                    "item {} is {} after {} failures, and was {:?} by the log",
                    row.id.short(),
                    row.phase().name(),
                    row.attempts,
                    job.stand
                );
                return Err(Broken::liveness(row.id, what));
            }
        }
        Ok(())
    }
}

fn run_of(event: &Event) -> Result<RunId, Broken> {
    event.run.ok_or_else(|| Broken::safety(event.item, format!("a {} names no run", event.happened.name())))
}

fn agent_of(event: &Event) -> Result<AgentId, Broken> {
    event.agent.ok_or_else(|| Broken::safety(event.item, format!("a {} names no agent", event.happened.name())))
}
