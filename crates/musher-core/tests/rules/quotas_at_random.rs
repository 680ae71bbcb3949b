//! Random dispatches, uses, ends, clocks and settings: no quota is ever exceeded by more than what was in flight, and the
//! sums are those of a plain reading of the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use musher_core::agent::AgentSpec;
use musher_core::command::{Command, Report};
use musher_core::config::ProjectSettings;
use musher_core::effect::EffectKind;
use musher_core::id::{MissionId, RunId};
use musher_core::item::Phase;
use musher_core::mission::{OnCap, Policy};
use musher_core::quota::{Cap, Quotas, Rules, Scope, Setting, model_of};
use musher_core::run::{FailureClass, Outcome, RunState, Usage};
use musher_core::time::Timestamp;
use proptest::prelude::*;

use crate::world::{World, agent, failed, finished, item, policy, settings};

/// The most that one report of a run says, in tokens; a token costs two millionths of a dollar.
const PIECE: u64 = 30;

/// A run that has to stop is told so when it says what it has used, and says what it has used since when it ends.
const LAST_PIECES: u64 = 2;

/// What happens next, chosen by numbers, so that it shrinks.
#[derive(Clone, Copy, Debug)]
struct Choice(u8, u8, u8);

fn choices() -> impl Strategy<Value = Vec<Choice>> {
    prop::collection::vec(any::<(u8, u8, u8)>().prop_map(|(a, b, c)| Choice(a, b, c)), 1..80)
}

fn caps(caps: &[(Cap, u64)]) -> Rules {
    Rules { caps: caps.iter().copied().collect(), model_allowlist: None }
}

/// What one run was seen to use, by the day and in all, as a plain reading of the rules keeps it.
#[derive(Clone, Default)]
struct Seen {
    agent: Box<str>,
    model: Box<str>,
    day: String,
    today: u64,
    total: u64,
    capped: bool,
}

/// What is paid for, and so stops what is at work when it is used up, each with its limit at first; 0 = none.
fn paid(mission: MissionId) -> Vec<((Scope, Cap), u64)> {
    let agents = ["a", "b", "c"].map(|name| ((Scope::Agent(name.into()), Cap::DailyTokens), 120));
    let models =
        [("m", Cap::DailyTokens, 200), ("m", Cap::DailyUsd, 0), ("n", Cap::DailyTokens, 0), ("n", Cap::DailyUsd, 0)];
    let models = models.map(|(name, cap, limit)| ((Scope::Model(name.into()), cap), limit));
    let others = [
        ((Scope::Workspace, Cap::DailyUsd), 300),
        ((Scope::Mission(mission), Cap::Tokens), 900),
        ((Scope::Mission(mission), Cap::Usd), 0),
    ];
    agents.into_iter().chain(models).chain(others).collect()
}

/// The sums as the spec tells them.
#[derive(Default)]
struct Reading {
    /// What is paid for, with the limit that holds.
    limits: BTreeMap<(Scope, Cap), u64>,
    /// How much may be used of each in the end: what the limit leaves, and what was in flight when it was reached.
    ceilings: BTreeMap<(Scope, Cap), u64>,
    /// What the mission has used: tokens, and millionths of a dollar.
    mission: (u64, u64),
    /// The runs that were seen.
    begun: BTreeSet<RunId>,
    runs: BTreeMap<RunId, Seen>,
    tokens: BTreeMap<(Scope, String), u64>,
    usd: BTreeMap<(Scope, String), u64>,
    /// A clock that goes back does not bring a day back.
    latest: Timestamp,
}

impl Reading {
    /// The day that counts now.
    fn day(&mut self, now: Timestamp) -> String {
        self.latest = self.latest.max(now);
        day(self.latest)
    }

    fn used(&mut self, id: RunId, day: &str, tokens: u64, micro_usd: u64) {
        let seen = self.runs.entry(id).or_default();
        if seen.day != day {
            (seen.day, seen.today) = (day.to_owned(), 0);
        }
        seen.today += tokens;
        seen.total += tokens;
        self.mission = (self.mission.0 + tokens, self.mission.1 + micro_usd);
        for scope in [Scope::Agent(seen.agent.clone()), Scope::Model(seen.model.clone())] {
            *self.tokens.entry((scope, day.to_owned())).or_default() += tokens;
        }
        for scope in [Scope::Model(seen.model.clone()), Scope::Workspace] {
            *self.usd.entry((scope, day.to_owned())).or_default() += micro_usd;
        }
    }

    fn ended(&mut self, id: RunId, day: &str, outcome: &Outcome) {
        let Some(seen) = self.runs.remove(&id) else { return };
        let back = match outcome {
            _ if seen.capped => 0,
            Outcome::Failed { .. } => seen.total / 2,
            Outcome::Cancelled => seen.total,
            _ => 0,
        };
        let back = if seen.day == day { back.min(seen.today) } else { 0 };
        for scope in [Scope::Agent(seen.agent.clone()), Scope::Model(seen.model.clone())] {
            *self.tokens.entry((scope, day.to_owned())).or_default() -= back;
        }
    }

    fn sum(&self, (scope, cap): &(Scope, Cap), day: &str) -> u64 {
        match (scope, cap) {
            (Scope::Mission(_), Cap::Tokens) => self.mission.0,
            (Scope::Mission(_), _) => self.mission.1,
            (_, Cap::DailyTokens) => self.of(scope, day).0,
            _ => self.of(scope, day).1,
        }
    }

    /// An operator sets a limit: what is used of it already is used, and what is in flight comes to it.
    fn set(&mut self, key: &(Scope, Cap), limit: u64, day: &str) {
        let sum = self.sum(key, day);
        self.limits.insert(key.clone(), limit);
        let ceiling = sum.max(limit.saturating_sub(1)) + self.in_flight(key);
        self.ceilings.insert(key.clone(), ceiling);
    }

    fn is_under(seen: &Seen, scope: &Scope) -> bool {
        match scope {
            Scope::Agent(name) => seen.agent == *name,
            Scope::Model(name) => seen.model == *name,
            Scope::Workspace | Scope::Mission(_) | Scope::Repo => true,
        }
    }

    /// The most that the live runs say before they are stopped.
    fn in_flight(&self, (scope, cap): &(Scope, Cap)) -> u64 {
        let live = self.runs.values().filter(|seen| Self::is_under(seen, scope)).count() as u64;
        let piece = if matches!(cap, Cap::DailyUsd | Cap::Usd) { 2 * PIECE } else { PIECE };
        live * LAST_PIECES * piece
    }

    fn is_used_up(&self, key: &(Scope, Cap), day: &str) -> bool {
        self.limits.get(key).is_some_and(|limit| *limit > 0 && self.sum(key, day) >= *limit)
    }

    /// No limit is exceeded by more than what was in flight when it was reached, and no run begins under one that is.
    fn hold_limits(&mut self, day: &str) -> Result<(), TestCaseError> {
        for (key, limit) in self.limits.clone() {
            let (sum, ceiling) = (self.sum(&key, day), self.ceilings.get(&key).copied().unwrap_or_default());
            if limit > 0 && sum >= limit {
                prop_assert!(
                    sum <= ceiling,
                    "{} {:?}: {} of {}, {} with what was in flight",
                    key.0,
                    key.1,
                    sum,
                    limit,
                    ceiling
                );
                let fresh =
                    self.runs.iter().find(|(id, seen)| !self.begun.contains(id) && Self::is_under(seen, &key.0));
                prop_assert!(fresh.is_none(), "{:?} begins, and {} {:?} is used up", fresh.map(|f| f.0), key.0, key.1);
            } else {
                self.ceilings.insert(key.clone(), limit.saturating_sub(1) + self.in_flight(&key));
            }
        }
        self.begun.extend(self.runs.keys().copied());
        Ok(())
    }

    fn of(&self, scope: &Scope, day: &str) -> (u64, u64) {
        let key = (scope.clone(), day.to_owned());
        (self.tokens.get(&key).copied().unwrap_or(0), self.usd.get(&key).copied().unwrap_or(0))
    }
}

const ZONE: &str = "Europe/Berlin";

fn day(now: Timestamp) -> String {
    musher_core::quota::period::day_name(now, &musher_core::quota::period::zone(ZONE).unwrap())
}

fn some_world(on_cap: OnCap) -> (World, MissionId) {
    let quota = Quotas {
        timezone: ZONE.into(),
        workspace: caps(&[(Cap::DailyUsd, 300)]),
        models: [("m".to_owned(), caps(&[(Cap::DailyTokens, 200), (Cap::HourlyRequests, 6)]))].into(),
        ..Quotas::default()
    };
    let mut w = World::with_settings(ProjectSettings { quota, ..settings() });
    // Some hours before the clocks go back.
    w.now = "2026-10-24T18:00:00Z".parse().unwrap();
    let of_agent = caps(&[(Cap::DailyTokens, 120), (Cap::DailyJobs, 5), (Cap::ConcurrentJobs, 2)]);
    for (name, model) in [("a", "m"), ("b", "m"), ("c", "n")] {
        w.agent(AgentSpec { model: Some(model.into()), max_load: 4, quota: of_agent.clone(), ..agent(name) });
    }
    let items = (0..10).map(|n| item(&format!("i{n}"), &[])).collect();
    let policy = Policy { max_parallel_items: 6, max_retries: 100, on_cap, budget_tokens: Some(900), ..policy() };
    let mission = w.mission_with(policy, items);
    (w, mission)
}

/// Notes the runs that have begun, and which of them a cap has stopped.
fn look(w: &World, reading: &mut Reading) {
    reading.latest = reading.latest.max(w.now);
    for run in w.state.runs() {
        let agent = w.state.agent(run.agent).unwrap();
        let seen = reading.runs.entry(run.id).or_insert_with(|| Seen {
            agent: agent.spec.name.clone(),
            model: model_of(&agent.spec).into(),
            ..Seen::default()
        });
        seen.capped |= run.capped.is_some();
    }
}

/// No sum is beyond its limit by more than each live run could add between two reports, whatever was set when.
fn hold(w: &World, reading: &Reading, lowest: &BTreeMap<(Scope, Cap), u64>) -> Result<(), TestCaseError> {
    let today = day(reading.latest);
    let books = w.state.books();
    for name in ["a", "b", "c"] {
        let scope = Scope::Agent(name.into());
        let account = books.agent(name);
        let tokens = account.map_or(0, |account| account.used(Cap::DailyTokens, w.now));
        prop_assert_eq!(tokens, reading.of(&scope, &today).0, "tokens of {}", name);
        let id = w.agent_id(name);
        let live = u64::from(w.state.load(id));
        let counted = w.state.runs().iter().filter(|run| run.agent == id).count() as u64;
        prop_assert_eq!(live, counted);
        let jobs = account.map_or(0, |account| account.used(Cap::DailyJobs, w.now));
        let most = |cap, limit: u64| lowest.get(&(scope.clone(), cap)).copied().unwrap_or(limit);
        prop_assert!(live <= most(Cap::ConcurrentJobs, 2), "{} has {} at once", name, live);
        prop_assert!(jobs <= most(Cap::DailyJobs, 5), "{} began {} jobs", name, jobs);
    }
    for name in ["m", "n"] {
        let scope = Scope::Model(name.into());
        let account = books.model(name);
        let sums = account.map_or((0, 0), |a| (a.used(Cap::DailyTokens, w.now), a.used(Cap::DailyUsd, w.now)));
        prop_assert_eq!(sums, reading.of(&scope, &today), "sums of {}", name);
    }
    let requests = books.model("m").map_or(0, |account| account.used(Cap::HourlyRequests, w.now));
    prop_assert!(requests <= 6, "{} requests", requests);
    let spent = books.workspace().map_or(0, |account| account.used(Cap::DailyUsd, w.now));
    prop_assert_eq!(spent, reading.of(&Scope::Workspace, &today).1);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn no_quota_is_exceeded_at_any_instant_and_the_sums_are_those_of_the_table(
        choices in choices(),
        on_cap in prop::sample::select(vec![OnCap::Block, OnCap::Requeue, OnCap::Fail]),
    ) {
        let (mut w, mission) = some_world(on_cap);
        let mut reading = Reading { limits: paid(mission).into_iter().collect(), ..Reading::default() };
        // The most that may be live or begun: the limit, or what there was when it was lowered.
        let mut lowest: BTreeMap<(Scope, Cap), u64> = BTreeMap::new();
        let mut went_back = false;
        look(&w, &mut reading);
        hold(&w, &reading, &lowest)?;
        reading.hold_limits(&day(w.now))?;
        for Choice(what, which, how) in choices {
            let effects: Vec<_> = w.state.effects().cloned().collect();
            match what % 16 {
                0 => w.pass(Duration::from_secs(u64::from(how) * 60)),
                1 => {
                    // Within the day and the hour: whether one that nobody has begun yet is over is seen by the next charge
                    // alone.
                    let back = Timestamp::from_micros(w.now.as_micros() - i64::from(how) * 1_000_000);
                    let hour = |at: Timestamp| at.as_secs() / 3_600;
                    if day(back) == day(reading.latest) && hour(back) == hour(reading.latest) {
                        w.now = back;
                        went_back = true;
                        w.settle();
                    }
                }
                2 => { w.until_due(); }
                3 => {
                    let name = ["a", "b", "c"][usize::from(which) % 3];
                    let scope = Scope::Agent(name.into());
                    let live = u64::from(w.state.load(w.agent_id(name)));
                    let limit = 1 + u64::from(how % 2);
                    lowest.insert((scope.clone(), Cap::ConcurrentJobs), limit.max(live));
                    w.ok(Command::SetQuota(scope, Setting::Cap(Cap::ConcurrentJobs, Some(limit))));
                }
                4 => {
                    for key in (0..10).map(|n| format!("i{n}")) {
                        if matches!(w.phase(&key), Phase::Blocked | Phase::Failed) {
                            let id = w.id(&key);
                            w.ok(Command::RetryItem(id));
                            break;
                        }
                    }
                }
                6 => {
                    let paid = paid(mission);
                    let (key, first) = paid[usize::from(which) % paid.len()].clone();
                    let value = (how % 4 > 0).then(|| u64::from(how) * 2);
                    let today = reading.day(w.now);
                    reading.set(&key, value.unwrap_or(first), &today);
                    w.ok(Command::SetQuota(key.0, Setting::Cap(key.1, value)));
                }
                // After a clock has gone back a start sees other moments of last progress, and other backoffs.
                5 if !went_back => w.restart_and_compare(),
                5 => w.restart(),
                _ if effects.is_empty() => {}
                _ => {
                    let effect = effects[usize::from(which) % effects.len()].clone();
                    let EffectKind::StartRun(run) = effect.kind else {
                        let report = w.happy(&effect);
                        w.ok(Command::Report(effect.id, report));
                        look(&w, &mut reading);
                        hold(&w, &reading, &lowest)?;
                        let today = reading.day(w.now);
                        reading.hold_limits(&today)?;
                        continue;
                    };
                    let capped = w.state.run(run).is_some_and(|run| run.capped.is_some());
                    let starting = w.state.run(run).is_some_and(|run| run.state == RunState::Starting);
                    let tokens = u64::from(how) % PIECE;
                    let usage = Usage { input_tokens: tokens, cost_micro_usd: tokens * 2, ..Usage::default() };
                    let today = reading.day(w.now);
                    let report = match what % 4 {
                        _ if starting => Report::RunStarted,
                        // Whoever is told to stop says what it has used and is gone.
                        0 | 1 if !capped => {
                            reading.used(run, &today, tokens, tokens * 2);
                            Report::RunProgress { usage }
                        }
                        _ => {
                            let outcome = match how % 3 {
                                0 => finished("done"),
                                1 => failed(FailureClass::Timeout, "no"),
                                _ => Outcome::Cancelled,
                            };
                            reading.used(run, &today, tokens, tokens * 2);
                            reading.ended(run, &today, &outcome);
                            Report::RunFinished { outcome, usage }
                        }
                    };
                    w.ok(Command::Report(effect.id, report));
                }
            }
            // A run that never started is given back with its item, and used nothing.
            reading.runs.retain(|id, _| w.state.run(*id).is_some());
            look(&w, &mut reading);
            for (scope, cap) in lowest.keys().cloned().collect::<Vec<_>>() {
                if let Scope::Agent(name) = &scope {
                    let live = u64::from(w.state.load(w.agent_id(name)));
                    let set = w.state.books().agent(name).and_then(|a| a.set.caps.get(&cap).copied()).unwrap_or(2);
                    lowest.insert((scope.clone(), cap), set.max(live.min(lowest[&(scope.clone(), cap)])));
                }
            }
            hold(&w, &reading, &lowest)?;
            let today = reading.day(w.now);
            reading.hold_limits(&today)?;
            // What is at work under a limit that is reached is being stopped.
            for run in w.state.runs() {
                let seen = &reading.runs[&run.id];
                let over = reading.limits.keys().find(|key| {
                    Reading::is_under(seen, &key.0) && reading.is_used_up(key, &today)
                });
                if let Some(over) = over && run.state == RunState::Running && run.usage.tokens() > 0 {
                    prop_assert!(run.capped.is_some() || went_back, "{:?} goes on under {:?}", run, over);
                }
            }
        }
    }
}
