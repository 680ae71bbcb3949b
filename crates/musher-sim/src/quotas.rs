//! Quotas of a night: what is limited, what operators set, and what must hold of it at every instant.

use std::collections::{BTreeMap, BTreeSet};

use musher_core::agent::AgentSpec;
use musher_core::command::Command;
use musher_core::id::RunId;
use musher_core::quota::{Cap, Quotas, Rules, Scope, Setting};
use musher_core::run::RunState;
use musher_core::state::State;

use crate::chance::Chance;
use crate::failure::Broken;

/// More than one run of a night uses: a smaller one would stop the same item every day anew, for ever.
const TOKENS: (i64, i64) = (3_000, 20_000);

/// The same in millionths of a dollar.
const MICRO_USD: (i64, i64) = (500, 3_000);

/// The quotas of the project: in every other night none.
pub(crate) fn of_project(chance: &mut Chance) -> Quotas {
    if chance.one_in(2) {
        return Quotas::default();
    }
    let zones = ["", "Europe/Berlin", "America/New_York", "Asia/Kathmandu"];
    Quotas {
        timezone: chance.pick(&zones).copied().unwrap_or_default().to_owned(),
        workspace: some(chance, &Scope::Workspace),
        repo: some(chance, &Scope::Repo),
        models: [("command".to_owned(), some(chance, &Scope::Model("command".into())))].into(),
    }
}

/// Gives some agents quotas of their own.
pub(crate) fn of_agents(chance: &mut Chance, agents: &mut [AgentSpec]) {
    for spec in agents {
        if chance.one_in(2) {
            spec.quota = some(chance, &Scope::Agent(spec.name.clone()));
        }
    }
}

fn some(chance: &mut Chance, scope: &Scope) -> Rules {
    let mut rules = Rules::default();
    for cap in scope.caps() {
        if chance.one_in(2) {
            rules.caps.insert(*cap, limit(chance, *cap));
        }
    }
    rules
}

/// A limit that is reached now and then, and lets every run get to its end.
fn limit(chance: &mut Chance, cap: Cap) -> u64 {
    let (low, high) = match cap {
        Cap::DailyTokens | Cap::Tokens => TOKENS,
        Cap::DailyUsd | Cap::Usd => MICRO_USD,
        Cap::DailyJobs | Cap::DailyPrs | Cap::HourlyRequests => (1, 8),
        Cap::ConcurrentJobs => (1, 3),
        Cap::MaxRunDuration => (60, 7_200),
        Cap::CooldownAfterFailure => (1, 1_800),
    };
    u64::try_from(chance.between(low, high)).unwrap_or(1)
}

/// An operator sets a quota, lifts it, or takes back what was set.
pub(crate) fn wish(chance: &mut Chance, state: &State) -> Option<Command> {
    let mut scopes = vec![Scope::Workspace, Scope::Repo, Scope::Model("command".into())];
    scopes.extend(state.agents().filter(|a| !a.removed).map(|a| Scope::Agent(a.spec.name.clone())));
    scopes.extend(state.missions().map(|m| Scope::Mission(m.row.id)));
    let scope = chance.pick(&scopes)?.clone();
    let cap = *chance.pick(scope.caps())?;
    let value = match chance.below(4) {
        0 => None,
        1 => Some(0),
        _ => Some(limit(chance, cap)),
    };
    Some(Command::SetQuota(scope, Setting::Cap(cap, value)))
}

/// What an agent had when it was last looked at.
#[derive(Clone, Debug, Default)]
struct Had {
    live: u64,
    concurrent: u64,
    jobs: u64,
    daily_jobs: u64,
    day: u64,
}

/// What was seen of quotas after the last batch.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// By name: one that is removed and added again has used what it has used.
    agents: BTreeMap<Box<str>, Had>,
    stopping: BTreeSet<RunId>,
}

impl Watch {
    /// No quota is exceeded by more than what was at work when it was lowered, and what is at work under one that is
    /// used up is being stopped.
    pub(crate) fn look(&mut self, state: &State) -> Result<(), Broken> {
        let broken = |what: String| Err(Broken::safety(None, what));
        for agent in state.agents().filter(|agent| !agent.removed) {
            let name = &agent.spec.name;
            let account = state.books().agent(name);
            let set = |cap| {
                let set = account.and_then(|account| account.set.caps.get(&cap));
                set.or_else(|| agent.spec.quota.caps.get(&cap)).copied().filter(|limit| *limit > 0).unwrap_or(u64::MAX)
            };
            let now = Had {
                live: u64::from(state.load(agent.id)),
                concurrent: set(Cap::ConcurrentJobs),
                jobs: account.map_or(0, |account| account.jobs),
                daily_jobs: set(Cap::DailyJobs),
                day: account.map_or(0, |account| account.day),
            };
            let had = self.agents.insert(name.clone(), now.clone()).unwrap_or_default();
            // Between two looks a limit may have been lowered: what was begun under the one before may go on.
            if now.live > now.concurrent.max(had.concurrent).max(had.live) {
                return broken(format!("agent {name} has {} runs at once and may have {}", now.live, now.concurrent));
            }
            let earlier = if had.day == now.day { had.jobs } else { 0 };
            if now.jobs > now.daily_jobs.max(had.daily_jobs).max(earlier) {
                return broken(format!("agent {name} began {} runs of {} on one day", now.jobs, now.daily_jobs));
            }
            let tokens = account.map_or(0, |account| account.tokens);
            if tokens < set(Cap::DailyTokens) {
                continue;
            }
            for run in state.runs().into_iter().filter(|run| run.agent == agent.id && run.state == RunState::Running) {
                let charged = run.share.tokens > 0 && run.share.days[0] == now.day;
                if charged && run.capped.is_none() {
                    let id = run.id.short();
                    return broken(format!("agent {name} has used up its {tokens} tokens, and run {id} goes on"));
                }
            }
        }
        self.stopped(state)
    }

    /// What a quota has stopped is stopped for good: no restart forgets it.
    fn stopped(&mut self, state: &State) -> Result<(), Broken> {
        for run in std::mem::take(&mut self.stopping) {
            if state.run(run).is_some_and(|run| run.capped.is_none()) {
                return Err(Broken::safety(
                    None,
                    format!("run {} was stopped by a quota and is not any more", run.short()),
                ));
            }
        }
        self.stopping = state.runs().into_iter().filter(|run| run.capped.is_some()).map(|run| run.id).collect();
        Ok(())
    }
}
