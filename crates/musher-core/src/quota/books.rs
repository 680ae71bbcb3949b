//! All accounts, and the limits that hold for them.

use std::collections::BTreeMap;

use super::{Account, Cap, Scope};
use crate::agent::Agent;
use crate::id::MissionId;
use crate::state::{Budget, State};
use crate::time::Timestamp;

/// The accounts, each found by its scope without making one up.
#[derive(Debug, Default)]
pub struct Books {
    workspace: Option<Account>,
    repo: Option<Account>,
    missions: BTreeMap<MissionId, Account>,
    agents: BTreeMap<Box<str>, Account>,
    models: BTreeMap<Box<str>, Account>,
    /// Whether an operator has ever set a quota of an agent, and of a model.
    set: (bool, bool),
}

impl Books {
    /// That of all that this musher does.
    pub fn workspace(&self) -> Option<&Account> {
        self.workspace.as_ref()
    }

    /// That of the repository.
    pub fn repo(&self) -> Option<&Account> {
        self.repo.as_ref()
    }

    /// That of an agent, by name.
    pub fn agent(&self, name: &str) -> Option<&Account> {
        self.agents.get(name)
    }

    /// That of a model.
    pub fn model(&self, name: &str) -> Option<&Account> {
        self.models.get(name)
    }

    /// That of a mission; it holds what an operator has set.
    pub fn mission(&self, id: MissionId) -> Option<&Account> {
        self.missions.get(&id)
    }

    /// That of a scope.
    pub fn of(&self, scope: &Scope) -> Option<&Account> {
        match scope {
            Scope::Workspace => self.workspace(),
            Scope::Repo => self.repo(),
            Scope::Mission(id) => self.mission(*id),
            Scope::Agent(name) => self.agent(name),
            Scope::Model(name) => self.model(name),
        }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Account> {
        let keyed = self.agents.values().chain(self.models.values()).chain(self.missions.values());
        self.workspace.iter().chain(&self.repo).chain(keyed)
    }

    /// Whether an operator may have set a quota of an agent.
    pub(super) const fn agents_are_set(&self) -> bool {
        self.set.0
    }

    /// Whether an operator may have set a quota of a model.
    pub(super) const fn models_are_set(&self) -> bool {
        self.set.1
    }

    /// Takes an account over and gives back the one that it replaces.
    pub(crate) fn put(&mut self, account: Account) -> Option<Account> {
        let is_set = !account.set.is_empty();
        match &account.scope {
            Scope::Agent(_) => self.set.0 |= is_set,
            Scope::Model(_) => self.set.1 |= is_set,
            Scope::Workspace | Scope::Repo | Scope::Mission(_) => {}
        }
        match &account.scope {
            Scope::Workspace => self.workspace.replace(account),
            Scope::Repo => self.repo.replace(account),
            Scope::Mission(id) => self.missions.insert(*id, account),
            Scope::Agent(name) => self.agents.insert(name.clone(), account),
            Scope::Model(name) => self.models.insert(name.clone(), account),
        }
    }

    /// A mission has left memory.
    pub(crate) fn forget_mission(&mut self, id: MissionId) {
        self.missions.remove(&id);
    }
}

/// The limit of a cap: what an operator has set, else what is configured; none = unlimited.
pub(super) fn limit(state: &State, scope: &Scope, cap: Cap) -> Option<u64> {
    let set = state.books().of(scope).and_then(|account| account.set.caps.get(&cap).copied());
    set.or_else(|| configured(state, scope, cap)).filter(|limit| *limit > 0)
}

/// What is configured for a cap, 0 too.
pub(super) fn configured(state: &State, scope: &Scope, cap: Cap) -> Option<u64> {
    let quota = &state.settings().quota;
    match scope {
        Scope::Workspace => quota.workspace.caps.get(&cap).copied(),
        Scope::Repo => quota.repo.caps.get(&cap).copied(),
        Scope::Model(name) => quota.models.get(&**name)?.caps.get(&cap).copied(),
        Scope::Agent(name) => state.agent_named(name)?.spec.quota.caps.get(&cap).copied(),
        Scope::Mission(id) => {
            let policy = &state.mission(*id)?.row.policy;
            match cap {
                Cap::Usd => policy.budget_usd.map(micro_usd),
                Cap::Tokens => policy.budget_tokens,
                Cap::DailyTokens
                | Cap::DailyJobs
                | Cap::ConcurrentJobs
                | Cap::MaxRunDuration
                | Cap::HourlyRequests
                | Cap::DailyUsd
                | Cap::DailyPrs
                | Cap::CooldownAfterFailure => None,
            }
        }
    }
}

/// The limit of an agent's cap, found from the agent at hand.
pub(super) fn limit_of_agent(state: &State, agent: &Agent, cap: Cap) -> Option<u64> {
    let set = state.books().agent(&agent.spec.name).and_then(|account| account.set.caps.get(&cap));
    set.or_else(|| agent.spec.quota.caps.get(&cap)).copied().filter(|limit| *limit > 0)
}

/// The limit of a model's cap.
pub(super) fn limit_of_model(state: &State, model: &str, cap: Cap) -> Option<u64> {
    let set = state.books().model(model).and_then(|account| account.set.caps.get(&cap));
    let configured = || state.settings().quota.models.get(model).and_then(|rules| rules.caps.get(&cap));
    set.or_else(configured).copied().filter(|limit| *limit > 0)
}

/// The only models that an agent may use; none = any.
pub(super) fn allowlist<'a>(state: &'a State, agent: &'a Agent) -> Option<&'a [Box<str>]> {
    let set = state.books().agent(&agent.spec.name).and_then(|account| account.set.model_allowlist.as_deref());
    set.or(agent.spec.quota.model_allowlist.as_deref()).filter(|list| !list.is_empty())
}

/// What a mission may use in all.
pub(crate) fn budget(state: &State, id: MissionId) -> Budget {
    let scope = Scope::Mission(id);
    Budget { micro_usd: limit(state, &scope, Cap::Usd), tokens: limit(state, &scope, Cap::Tokens) }
}

/// Dollars in millionths.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast of a number out of range clamps it"
)]
pub(crate) fn micro_usd(dollars: f64) -> u64 {
    let micro = (dollars * 1e6).round() as u64;
    // 0 would be no limit: what is written as more than nothing is never less than the smallest amount.
    if dollars > 0.0 { micro.max(1) } else { micro }
}

/// When an account that refuses now refuses no more, by itself.
pub(crate) fn heals(state: &State, account: &Account, now: Timestamp) -> Option<Timestamp> {
    let refuses = account.scope.caps().iter().filter_map(|cap| {
        let limit = limit(state, &account.scope, *cap)?;
        match cap {
            Cap::CooldownAfterFailure => account.cools_until(limit),
            Cap::DailyTokens | Cap::DailyJobs | Cap::DailyUsd | Cap::DailyPrs | Cap::HourlyRequests => {
                account.ends(*cap).filter(|_| account.used(*cap, now) >= limit)
            }
            Cap::ConcurrentJobs | Cap::MaxRunDuration | Cap::Usd | Cap::Tokens => None,
        }
    });
    refuses.filter(|at| *at > now).min()
}
