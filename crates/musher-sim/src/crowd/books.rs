//! What of each quota is used, counted from dispatches, reports of use and ends of runs, against what operators were told
//! is the limit. Nothing of musher's own sums is asked.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::{TimeZone, TimeZoneDatabase};
use musher_core::agent::AgentSpec;
use musher_core::id::{AgentId, MissionId, RunId};
use musher_core::quota::{Cap, Scope};
use musher_core::run::Usage;
use musher_core::time::Timestamp;

use super::stage::{Stage, ZONE};
use crate::failure::Broken;

/// A moment, and the day and the hour that it is of on the wall.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) at: Timestamp,
    day: i64,
    hour: i64,
}

/// What was counted in one period; in any other it is nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    period: i64,
    sum: u64,
}

impl Count {
    fn of(self, period: i64) -> u64 {
        if self.period == period { self.sum } else { 0 }
    }

    fn add(&mut self, period: i64, more: u64) {
        *self = Self { period, sum: self.of(period) + more };
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    jobs: Count,
    requests: Count,
    tokens: Count,
    micro_usd: Count,
    /// Tokens and millionths of a dollar for good.
    in_all: (u64, u64),
}

/// An agent as the judge knows it.
#[derive(Clone, Debug)]
pub(super) struct Worker {
    pub(super) spec: AgentSpec,
    agent: Scope,
    model: Scope,
    live: u64,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    agent: AgentId,
    mission: MissionId,
    started: bool,
    /// Its tokens of the day on which it last used any.
    tokens: Count,
}

/// How a run ended, as far as what it used is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// What it used stays with its agent and its model.
    Kept,
    /// It failed: half is given back, rounded down.
    Failed,
}

/// The books.
#[derive(Debug)]
pub(super) struct Books {
    zone: TimeZone,
    configured: BTreeMap<(Scope, Cap), u64>,
    /// What operators were told is set.
    set: BTreeMap<(Scope, Cap), u64>,
    sums: BTreeMap<Scope, Sums>,
    workers: BTreeMap<AgentId, Worker>,
    runs: BTreeMap<RunId, Open>,
    /// When a run last failed while there was a cool-down.
    failed_at: Option<Timestamp>,
    /// At work under a quota that is used up: each must be told to stop.
    over: BTreeSet<RunId>,
    /// The same, if this was not the last that it used.
    perhaps_over: Option<RunId>,
    /// What was stopped.
    stopped: BTreeSet<RunId>,
    now: Moment,
}

impl Books {
    pub(super) fn new(stage: &Stage) -> Result<Self, Broken> {
        let zone = TimeZoneDatabase::bundled().get(ZONE).map_err(Broken::simulator)?;
        let mut configured = BTreeMap::new();
        for agent in &stage.agents {
            let scope = Scope::Agent(agent.name.clone());
            configured.extend(agent.quota.caps.iter().map(|(cap, limit)| ((scope.clone(), *cap), *limit)));
        }
        let repo = &stage.settings.quota.repo;
        configured.extend(repo.caps.iter().map(|(cap, limit)| ((Scope::Repo, *cap), *limit)));
        for (model, rules) in &stage.settings.quota.models {
            let scope = Scope::Model(model.as_str().into());
            configured.extend(rules.caps.iter().map(|(cap, limit)| ((scope.clone(), *cap), *limit)));
        }
        Ok(Self {
            zone,
            configured,
            set: BTreeMap::new(),
            sums: BTreeMap::new(),
            workers: BTreeMap::new(),
            runs: BTreeMap::new(),
            failed_at: None,
            over: BTreeSet::new(),
            perhaps_over: None,
            stopped: BTreeSet::new(),
            now: Moment::default(),
        })
    }

    /// The moment of what follows.
    pub(super) fn look_at_clock(&mut self, at: Timestamp) -> Moment {
        if self.now.at != at {
            let moment = jiff::Timestamp::from_microsecond(at.as_micros()).unwrap_or_default();
            let date = moment.to_zoned(self.zone.clone()).date();
            let day = i64::from(date.year()) * 400 + i64::from(date.day_of_year());
            // Here clocks are put by whole hours, so an hour is full when one of UTC is.
            self.now = Moment { at, day, hour: at.as_secs().div_euclid(3_600) };
        }
        self.now
    }

    /// When the day ends, on the wall.
    pub(super) fn midnight(&self, at: Timestamp) -> Option<Timestamp> {
        let moment = jiff::Timestamp::from_microsecond(at.as_micros()).ok()?.to_zoned(self.zone.clone());
        let midnight = moment.date().tomorrow().ok()?.to_zoned(self.zone.clone()).ok()?;
        Some(Timestamp::from_micros(midnight.timestamp().as_microsecond()))
    }

    /// An agent is there.
    pub(super) fn define(&mut self, id: AgentId, spec: &AgentSpec) {
        let agent = Scope::Agent(spec.name.clone());
        let model = Scope::Model(spec.model.clone().unwrap_or_default());
        self.workers.entry(id).or_insert_with(|| Worker { spec: spec.clone(), agent, model, live: 0 });
    }

    pub(super) fn workers(&self) -> impl Iterator<Item = (AgentId, &Worker)> {
        self.workers.iter().map(|(id, worker)| (*id, worker))
    }

    pub(super) fn worker(&self, id: AgentId) -> Result<&Worker, Broken> {
        self.workers.get(&id).ok_or_else(|| Broken::safety(None, format!("nobody knows the agent {}", id.short())))
    }

    /// The agent of a live run.
    pub(super) fn agent_of(&self, run: RunId) -> Option<AgentId> {
        self.runs.get(&run).map(|open| open.agent)
    }

    /// What is limited, if it is.
    pub(super) fn limit(&self, scope: &Scope, cap: Cap) -> Option<u64> {
        let key = (scope.clone(), cap);
        self.set.get(&key).or_else(|| self.configured.get(&key)).copied().filter(|limit| *limit > 0)
    }

    /// What operators have set and not taken back.
    pub(super) fn settings(&self) -> impl Iterator<Item = &(Scope, Cap)> {
        self.set.keys()
    }

    /// What a limit would be with this setting in place.
    pub(super) fn limit_with(&self, scope: &Scope, cap: Cap, value: Option<u64>) -> Option<u64> {
        value.or_else(|| self.configured.get(&(scope.clone(), cap)).copied()).filter(|limit| *limit > 0)
    }

    pub(super) fn used(&self, scope: &Scope, cap: Cap) -> u64 {
        let sums = self.sums.get(scope).copied().unwrap_or_default();
        match cap {
            Cap::DailyTokens => sums.tokens.of(self.now.day),
            Cap::DailyJobs => sums.jobs.of(self.now.day),
            Cap::DailyUsd => sums.micro_usd.of(self.now.day),
            Cap::HourlyRequests => sums.requests.of(self.now.hour),
            Cap::ConcurrentJobs => self.workers.values().filter(|w| w.agent == *scope).map(|w| w.live).sum(),
            Cap::Tokens => sums.in_all.0,
            Cap::Usd => sums.in_all.1,
            // A crowd opens no pull requests.
            Cap::DailyPrs | Cap::MaxRunDuration | Cap::CooldownAfterFailure => 0,
        }
    }

    /// Whether a mission may use no more.
    pub(super) fn is_spent(&self, mission: MissionId) -> bool {
        let scope = Scope::Mission(mission);
        [Cap::Usd, Cap::Tokens].into_iter().any(|cap| self.is_full(&scope, cap))
    }

    fn is_full(&self, scope: &Scope, cap: Cap) -> bool {
        self.limit(scope, cap).is_some_and(|limit| self.used(scope, cap) >= limit)
    }

    /// An operator was told that this is set. Answers whether more than the new limit is used while something is at work.
    pub(super) fn set(&mut self, scope: &Scope, cap: Cap, value: Option<u64>) -> bool {
        let key = (scope.clone(), cap);
        let before = match value {
            Some(value) => self.set.insert(key, value),
            None => self.set.remove(&key),
        };
        if before == value {
            return false;
        }
        if is_paid(cap) && self.is_full(scope, cap) {
            self.stop_all(scope);
        }
        let at_work = self.runs.values().any(|open| self.is_of(open, scope));
        at_work && self.limit(scope, cap).is_some_and(|limit| self.used(scope, cap) > limit)
    }

    fn is_of(&self, open: &Open, scope: &Scope) -> bool {
        match scope {
            Scope::Workspace => true,
            Scope::Agent(_) | Scope::Model(_) => {
                self.workers.get(&open.agent).is_some_and(|w| w.agent == *scope || w.model == *scope)
            }
            Scope::Mission(id) => open.mission == *id,
            Scope::Repo => false,
        }
    }

    /// Everything that works under a scope must be told to stop. What is only starting is stopped at its first word.
    fn stop_all(&mut self, scope: &Scope) {
        let live = self.runs.iter().filter(|(_, open)| open.started && self.is_of(open, scope)).map(|(run, _)| *run);
        let live: Vec<RunId> = live.collect();
        self.over.extend(live);
    }

    /// Which quota keeps an agent from another run, if one does.
    pub(super) fn refuses(&self, worker: &Worker) -> Option<String> {
        let rules = [
            (&worker.agent, Cap::DailyTokens),
            (&worker.agent, Cap::DailyJobs),
            (&worker.model, Cap::DailyTokens),
            (&worker.model, Cap::HourlyRequests),
            (&worker.model, Cap::DailyUsd),
            (&Scope::Workspace, Cap::DailyUsd),
        ];
        let full = rules.into_iter().find(|(scope, cap)| self.is_full(scope, *cap));
        let full = full.map(|(scope, cap)| {
            let limit = self.limit(scope, cap).unwrap_or_default();
            format!("{scope} has used {} of its {} of {limit}", self.used(scope, cap), cap.name())
        });
        let full = full.or_else(|| {
            let secs = self.limit(&Scope::Repo, Cap::CooldownAfterFailure)?;
            let until = self.failed_at?.after(std::time::Duration::from_secs(secs));
            (until > self.now.at).then(|| format!("a run has failed, and nothing begins before {until}"))
        });
        full.or_else(|| {
            let most = self.limit(&worker.agent, Cap::ConcurrentJobs)?;
            (worker.live >= most).then(|| format!("{} has {} runs at once of {most}", worker.agent, worker.live))
        })
    }

    /// Whether an agent has as many runs as it takes.
    pub(super) fn is_busy(worker: &Worker) -> bool {
        worker.spec.max_load > 0 && worker.live >= u64::from(worker.spec.max_load)
    }

    /// An agent is given a run: no quota may refuse it at this instant.
    pub(super) fn begin(&mut self, run: RunId, agent: AgentId, mission: MissionId) -> Result<(), Broken> {
        self.settle();
        let worker = self.worker(agent)?.clone();
        if let Some(why) = self.refuses(&worker) {
            let what = format!("run {} is given to {} at {}, though {why}", run.short(), worker.spec.name, self.now.at);
            return Err(Broken::safety(None, what));
        }
        if self.is_spent(mission) {
            let what = format!("run {} begins, and its mission {} may use no more", run.short(), mission.short());
            return Err(Broken::safety(None, what));
        }
        if Self::is_busy(&worker) {
            let what = format!("{} has {} runs and is given another", worker.spec.name, worker.live);
            return Err(Broken::safety(None, what));
        }
        let Moment { day, hour, .. } = self.now;
        self.sums.entry(worker.agent).or_default().jobs.add(day, 1);
        self.sums.entry(worker.model).or_default().requests.add(hour, 1);
        if let Some(worker) = self.workers.get_mut(&agent) {
            worker.live += 1;
        }
        self.runs.insert(run, Open { agent, mission, started: false, tokens: Count::default() });
        Ok(())
    }

    /// A run is at work.
    pub(super) fn started(&mut self, run: RunId) {
        self.settle();
        if let Some(open) = self.runs.get_mut(&run) {
            open.started = true;
        }
    }

    /// A run has used something: its agent, its model and the workspace are charged, and whoever is now at work under a
    /// quota that is used up must be stopped.
    pub(super) fn used_by(&mut self, run: RunId, usage: Usage) -> Result<(), Broken> {
        self.settle();
        let day = self.now.day;
        let Some(open) = self.runs.get_mut(&run) else {
            return Err(Broken::safety(None, format!("run {} uses something and is over", run.short())));
        };
        open.tokens.add(day, usage.tokens());
        let worker = self.worker(self.runs[&run].agent)?;
        let mission = Scope::Mission(self.runs[&run].mission);
        let scopes = [worker.agent.clone(), worker.model.clone(), mission, Scope::Workspace];
        let was = self.over.contains(&run);
        for scope in &scopes {
            let sums = self.sums.entry(scope.clone()).or_default();
            sums.tokens.add(day, usage.tokens());
            sums.micro_usd.add(day, usage.cost_micro_usd);
            sums.in_all = (sums.in_all.0 + usage.tokens(), sums.in_all.1 + usage.cost_micro_usd);
        }
        for scope in &scopes {
            if [Cap::DailyTokens, Cap::DailyUsd, Cap::Usd, Cap::Tokens].into_iter().any(|cap| self.is_full(scope, cap))
            {
                self.stop_all(scope);
            }
        }
        // When it ends with these words there is nothing to stop.
        if !was && self.over.remove(&run) {
            self.perhaps_over = Some(run);
        }
        Ok(())
    }

    /// What was said last was not the end of who said it.
    fn settle(&mut self) {
        self.over.extend(self.perhaps_over.take());
    }

    /// Whether a run was at work under a quota that was used up.
    pub(super) fn is_over(&self, run: RunId) -> bool {
        self.over.contains(&run)
    }

    /// A run is over: what its end gives back is given back, of this day's use alone. What a quota has stopped gives
    /// nothing back.
    pub(super) fn end(&mut self, run: RunId, end: End, usage: Usage) -> Result<(), Broken> {
        if self.perhaps_over == Some(run) {
            self.perhaps_over = None;
        }
        self.settle();
        let Some(open) = self.runs.remove(&run) else {
            return Err(Broken::safety(None, format!("run {} ends twice", run.short())));
        };
        let is_over = self.over.remove(&run);
        self.stopped.remove(&run);
        let day = self.now.day;
        // One that was being stopped and ended otherwise has failed all the same.
        if end == End::Failed && self.limit(&Scope::Repo, Cap::CooldownAfterFailure).is_some() {
            self.failed_at = Some(self.now.at);
        }
        let Some(worker) = self.workers.get_mut(&open.agent) else { return Ok(()) };
        worker.live = worker.live.saturating_sub(1);
        let back = if end == End::Failed && !is_over { usage.tokens() / 2 } else { 0 };
        let back = back.min(open.tokens.of(day));
        for scope in [worker.agent.clone(), worker.model.clone()] {
            let tokens = &mut self.sums.entry(scope).or_default().tokens;
            *tokens = Count { period: day, sum: tokens.of(day).saturating_sub(back) };
        }
        Ok(())
    }

    /// A driver was told to stop a run.
    pub(super) fn stop(&mut self, run: RunId) {
        self.stopped.insert(run);
    }

    /// Whoever is at work under a quota that is used up was told to stop.
    pub(super) fn all_stopped(&mut self) -> Result<(), Broken> {
        self.settle();
        match self.over.difference(&self.stopped).next() {
            Some(run) => {
                Err(Broken::safety(None, format!("run {} goes on under a quota that is used up", run.short())))
            }
            None => Ok(()),
        }
    }
}

/// Whether what is at work is stopped when this is used up; the others only keep runs from beginning.
fn is_paid(cap: Cap) -> bool {
    match cap {
        Cap::DailyTokens | Cap::DailyUsd | Cap::Usd | Cap::Tokens => true,
        Cap::DailyJobs
        | Cap::DailyPrs
        | Cap::ConcurrentJobs
        | Cap::HourlyRequests
        | Cap::MaxRunDuration
        | Cap::CooldownAfterFailure => false,
    }
}
