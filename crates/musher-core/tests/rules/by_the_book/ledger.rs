//! What of each quota is used, counted from what the world was told and what became of runs, by the words of
//! `docs/src/quotas.md`. Of the accounts nothing is asked.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::{TimeZone, TimeZoneDatabase};
use musher_core::agent::Agent;
use musher_core::change::Change;
use musher_core::command::Command;
use musher_core::id::{MissionId, RunId};
use musher_core::item::Item;
use musher_core::quota::{Cap, Rules, Scope, Setting};
use musher_core::run::{FailureClass, Outcome, Run, RunState, Usage};
use musher_core::state::State;
use musher_core::time::Timestamp;

/// A day has 25 hours at most, and an hour one: what ends later was begun by a clock that was wrong, and ends now as well.
const DAY: Duration = Duration::from_secs(26 * 3_600);
const HOUR: Duration = Duration::from_secs(3_600);

/// A sum, and until when it counts.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    of: u64,
    until: Timestamp,
}

impl Sum {
    fn at(self, now: Timestamp) -> u64 {
        if now < self.until { self.of } else { 0 }
    }

    /// Begins the period that ends so, unless an earlier one is not over: a clock that goes back begins none.
    fn turn(&mut self, now: Timestamp, ends: Timestamp, longest: Duration) {
        if now >= self.until {
            *self = Self { of: 0, until: ends };
        } else if now.after(longest) < self.until {
            self.until = ends;
        }
    }

    /// Takes back what was added in a period, if that is not over.
    fn take_back(&mut self, less: u64, added_until: Timestamp) {
        if added_until == self.until {
            self.of = self.of.saturating_sub(less);
        }
    }
}

/// The sums of a scope; what begins a period of one begins that of all.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    tokens: Sum,
    jobs: Sum,
    requests: Sum,
    micro_usd: Sum,
}

/// A live run: whom it is charged to, and what of it the present day of each holds.
#[derive(Clone, Debug)]
struct Open {
    scopes: [Scope; 2],
    /// The ends of the days and of the hour that it was counted in when it began.
    begun: ([Timestamp; 2], Timestamp),
    usage: Usage,
    today: [Sum; 2],
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    caps: BTreeMap<(Scope, Cap), u64>,
    models: BTreeMap<Box<str>, Vec<Box<str>>>,
    sums: BTreeMap<Scope, Sums>,
    missions: BTreeMap<MissionId, Usage>,
    runs: BTreeMap<RunId, Open>,
    failed_at: Option<Timestamp>,
}

impl Ledger {
    /// A command was followed; what came of it is not in the state yet.
    pub(crate) fn hear(&mut self, state: &State, command: &Command, change: &Change, now: Timestamp) {
        if let Command::SetQuota(scope, setting) = command {
            self.set(scope, setting);
        }
        let now = now.max(state.looked_at());
        let mut last: BTreeMap<RunId, &Run> = BTreeMap::new();
        last.extend(change.runs.iter().map(|run| (run.id, run)));
        for run in last.into_values() {
            if !self.runs.contains_key(&run.id) && run.state != RunState::Finished {
                self.begin(state, run, now);
            }
            self.use_up(state, run, now);
            if run.state == RunState::Finished {
                self.end(state, run, now);
            }
        }
    }

    fn set(&mut self, scope: &Scope, setting: &Setting) {
        match (setting, scope) {
            (Setting::Cap(cap, Some(limit)), _) => drop(self.caps.insert((scope.clone(), *cap), *limit)),
            (Setting::Cap(cap, None), _) => drop(self.caps.remove(&(scope.clone(), *cap))),
            (Setting::Models(Some(models)), Scope::Agent(name)) => {
                drop(self.models.insert(name.clone(), models.clone()))
            }
            (Setting::Models(None), Scope::Agent(name)) => drop(self.models.remove(name)),
            (Setting::Models(_), _) => panic!("only agents have a list of models"),
        }
    }

    fn begin(&mut self, state: &State, run: &Run, now: Timestamp) {
        let Some(agent) = state.agent(run.agent) else { return };
        let scopes = [Scope::Agent(agent.spec.name.clone()), Scope::Model(model(agent).into())];
        for scope in &scopes {
            let sums = self.turned(state, scope, now);
            sums.jobs.of += 1;
            sums.requests.of += 1;
        }
        let days = [0, 1].map(|n: usize| self.sums[&scopes[n]].jobs.until);
        let begun = (days, self.sums[&scopes[1]].requests.until);
        self.runs.insert(run.id, Open { scopes, begun, usage: Usage::default(), today: [Sum::default(); 2] });
    }

    /// The sums of a scope, of the day and the hour that count now.
    fn turned(&mut self, state: &State, scope: &Scope, now: Timestamp) -> &mut Sums {
        let (day, hour) = (day_end(state, now), hour_end(state, now));
        let sums = self.sums.entry(scope.clone()).or_default();
        for sum in [&mut sums.tokens, &mut sums.jobs, &mut sums.micro_usd] {
            sum.turn(now, day, DAY);
        }
        sums.requests.turn(now, hour, HOUR);
        sums
    }

    fn use_up(&mut self, state: &State, run: &Run, now: Timestamp) {
        let Some(mut open) = self.runs.remove(&run.id) else { return };
        let tokens = run.usage.tokens() - open.usage.tokens();
        let micro_usd = run.usage.cost_micro_usd - open.usage.cost_micro_usd;
        open.usage = run.usage;
        if tokens + micro_usd > 0 {
            for (scope, today) in open.scopes.iter().zip(&mut open.today) {
                let sum = &mut self.turned(state, scope, now).tokens;
                sum.of += tokens;
                today.turn(now, sum.until, DAY);
                today.of += tokens;
            }
            for scope in [&open.scopes[1], &Scope::Workspace] {
                self.turned(state, scope, now).micro_usd.of += micro_usd;
            }
            let more = Usage { input_tokens: tokens, cost_micro_usd: micro_usd, ..Usage::default() };
            let sum = self.missions.entry(run.mission).or_default();
            *sum = sum.plus(more);
        }
        self.runs.insert(run.id, open);
    }

    fn end(&mut self, state: &State, run: &Run, now: Timestamp) {
        let Some(open) = self.runs.remove(&run.id) else { return };
        let total = run.usage.tokens();
        let back = match &run.outcome {
            _ if run.capped.is_some() => 0,
            Some(Outcome::Failed { .. } | Outcome::Lost { while_down: false }) => total / 2,
            Some(Outcome::Cancelled) => total,
            _ => 0,
        };
        let worked = run.started_at.is_some()
            || run.usage != Usage::default()
            || matches!(run.outcome, Some(Outcome::Finished { .. }));
        for (n, scope) in open.scopes.iter().enumerate() {
            let sums = self.turned(state, scope, now);
            sums.tokens.take_back(back.min(open.today[n].of), open.today[n].until);
            if !worked {
                sums.jobs.take_back(1, open.begun.0[n]);
                sums.requests.take_back(1, open.begun.1);
            }
        }
        let failed = match &run.outcome {
            Some(Outcome::Failed { class, .. }) => *class != FailureClass::Setup,
            Some(Outcome::Lost { while_down }) => !while_down,
            _ => false,
        };
        // While there is no cool-down nothing is held against anyone later.
        if failed && self.limit(state, &Scope::Repo, Cap::CooldownAfterFailure).is_some() {
            self.failed_at = Some(now);
        }
    }

    /// The limit that holds: what was set, else what is configured.
    fn limit(&self, state: &State, scope: &Scope, cap: Cap) -> Option<u64> {
        let quota = &state.settings().quota;
        let of = |rules: &Rules| rules.caps.get(&cap).copied();
        let configured = || match scope {
            Scope::Workspace => of(&quota.workspace),
            Scope::Repo => of(&quota.repo),
            Scope::Model(name) => quota.models.get(&**name).and_then(of),
            Scope::Agent(name) => {
                let agent = state.agents().find(|agent| agent.spec.name == *name && !agent.removed)?;
                of(&agent.spec.quota)
            }
            Scope::Mission(id) => {
                let policy = &state.mission(*id)?.row.policy;
                let micro_usd =
                    |dollars: f64| (dollars * 1e6).round().max(if dollars > 0.0 { 1.0 } else { 0.0 }) as u64;
                if cap == Cap::Usd { policy.budget_usd.map(micro_usd) } else { policy.budget_tokens }
            }
        };
        let set = self.caps.get(&(scope.clone(), cap)).copied();
        set.or_else(configured).filter(|limit| *limit > 0)
    }

    fn used(&self, scope: &Scope, cap: Cap, now: Timestamp) -> u64 {
        let sums = self.sums.get(scope).copied().unwrap_or_default();
        let mission = |id| self.missions.get(id).copied().unwrap_or_default();
        match (scope, cap) {
            (Scope::Mission(id), Cap::Usd) => mission(id).cost_micro_usd,
            (Scope::Mission(id), _) => mission(id).tokens(),
            (_, Cap::DailyTokens) => sums.tokens.at(now),
            (_, Cap::DailyJobs) => sums.jobs.at(now),
            (_, Cap::HourlyRequests) => sums.requests.at(now),
            (_, Cap::DailyUsd) => sums.micro_usd.at(now),
            (_, Cap::ConcurrentJobs) => self.runs.values().filter(|open| open.scopes.contains(scope)).count() as u64,
            (_, Cap::MaxRunDuration | Cap::DailyPrs | Cap::CooldownAfterFailure | Cap::Usd | Cap::Tokens) => 0,
        }
    }

    fn is_full(&self, state: &State, scope: &Scope, cap: Cap) -> bool {
        self.limit(state, scope, cap).is_some_and(|limit| self.used(scope, cap, state.looked_at()) >= limit)
    }

    /// Whether no quota keeps an agent from another run, but for those of missions.
    pub(super) fn allows(&self, state: &State, agent: &Agent) -> bool {
        let name = &agent.spec.name;
        let list = self.models.get(name).or(agent.spec.quota.model_allowlist.as_ref());
        let may_use = list.is_none_or(|list| list.is_empty() || list.iter().any(|allowed| **allowed == *model(agent)));
        let cools = match (self.failed_at, self.limit(state, &Scope::Repo, Cap::CooldownAfterFailure)) {
            (Some(at), Some(secs)) => state.looked_at() < at.after(Duration::from_secs(secs)),
            _ => false,
        };
        let (of_agent, of_model) = (Scope::Agent(name.clone()), Scope::Model(model(agent).into()));
        let rules = [
            (&of_agent, Cap::DailyTokens),
            (&of_agent, Cap::DailyJobs),
            (&of_agent, Cap::ConcurrentJobs),
            (&of_model, Cap::DailyTokens),
            (&of_model, Cap::HourlyRequests),
            (&of_model, Cap::DailyUsd),
            (&Scope::Workspace, Cap::DailyUsd),
        ];
        may_use && !cools && !rules.into_iter().any(|(scope, cap)| self.is_full(state, scope, cap))
    }

    /// Whether the budget of an item's mission keeps it from every agent.
    pub(super) fn is_spent(&self, state: &State, item: &Item) -> bool {
        let scope = Scope::Mission(item.mission);
        [Cap::Usd, Cap::Tokens].into_iter().any(|cap| self.is_full(state, &scope, cap))
    }
}

/// The model that an agent states; else the name of its driver.
fn model(agent: &Agent) -> &str {
    let stated = agent.spec.model.as_deref().unwrap_or_default().trim();
    if stated.is_empty() { &agent.spec.driver } else { stated }
}

fn zone(state: &State) -> TimeZone {
    match state.settings().quota.timezone.as_str() {
        "" => TimeZone::UTC,
        name => TimeZoneDatabase::bundled().get(name).unwrap(),
    }
}

/// The next midnight there: the first moment of another date, looked for minute by minute.
fn day_end(state: &State, now: Timestamp) -> Timestamp {
    first_of_another(state, now, |local| local.date().to_string())
}

fn hour_end(state: &State, now: Timestamp) -> Timestamp {
    first_of_another(state, now, |local| format!("{} {} {}", local.date(), local.hour(), local.offset()))
}

fn first_of_another(state: &State, now: Timestamp, name: impl Fn(&jiff::Zoned) -> String) -> Timestamp {
    let zone = zone(state);
    let named = |secs: i64| name(&jiff::Timestamp::from_second(secs).unwrap().to_zoned(zone.clone()));
    let (this, quarter) = (named(now.as_secs()), 900);
    let first = now.as_secs() - now.as_secs().rem_euclid(quarter) + quarter;
    let other = (0..).map(|n| first + n * quarter).find(|secs| named(*secs) != this).unwrap();
    Timestamp::from_micros(other * 1_000_000)
}
