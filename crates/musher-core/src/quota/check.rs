//! The check: may this agent begin another run for this mission now? The order is that of the table in `docs/src/quotas.md`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::books::{limit, limit_of_agent, limit_of_model};
use super::{Cap, Scope, model_of};
use crate::agent::Agent;
use crate::id::MissionId;
use crate::state::State;
use crate::time::Timestamp;

/// Which rule refuses, in the order in which they are looked at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Denied {
    /// The agent may not use this model.
    ModelNotAllowed(Box<str>),
    /// The agent has used its tokens of the day.
    AgentTokens,
    /// The agent has begun its runs of the day.
    AgentJobs,
    /// The agent has as many runs at once as it may.
    AgentConcurrent,
    /// The model's tokens of the day are used.
    ModelTokens(Box<str>),
    /// The model's runs of the hour are begun.
    ModelRequests(Box<str>),
    /// The model's dollars of the day are spent.
    ModelUsd(Box<str>),
    /// The repository's pull requests of the day are opened. It keeps none from working.
    RepoPrs,
    /// A run has failed not long ago.
    RepoCooldown,
    /// The mission's dollars are spent.
    MissionUsd,
    /// The mission's tokens are used.
    MissionTokens,
    /// The workspace's dollars of the day are spent.
    WorkspaceUsd,
    /// The run's own dollars are spent.
    RunUsd,
    /// The run's own tokens are used.
    RunTokens,
}

impl fmt::Display for Denied {
    /// The reason, word for word as it is documented.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ModelNotAllowed(model) => write!(f, "model not in allowlist: {model}"),
            Self::AgentTokens => f.write_str("daily token limit exceeded"),
            Self::AgentJobs => f.write_str("daily job limit exceeded"),
            Self::AgentConcurrent => f.write_str("concurrent job limit reached"),
            Self::ModelTokens(model) => write!(f, "global model token budget exceeded for: {model}"),
            Self::ModelRequests(model) => write!(f, "global model request budget exceeded for: {model}"),
            Self::ModelUsd(model) => write!(f, "global model usd budget exceeded for: {model}"),
            Self::RepoPrs => f.write_str("repo daily_prs exceeded"),
            Self::RepoCooldown => f.write_str("repo cooldown_after_failure not over"),
            Self::MissionUsd => f.write_str("mission usd exceeded"),
            Self::MissionTokens => f.write_str("mission tokens exceeded"),
            Self::WorkspaceUsd => f.write_str("workspace daily_usd exceeded"),
            Self::RunUsd => f.write_str("run usd exceeded"),
            Self::RunTokens => f.write_str("run tokens exceeded"),
        }
    }
}

impl Denied {
    /// Whether it passes by itself within the hour, or when a run ends: nobody needs to be told.
    pub const fn passes_soon(&self) -> bool {
        match self {
            Self::AgentConcurrent | Self::ModelRequests(_) | Self::RepoCooldown => true,
            Self::ModelNotAllowed(_)
            | Self::AgentTokens
            | Self::AgentJobs
            | Self::ModelTokens(_)
            | Self::ModelUsd(_)
            | Self::RepoPrs
            | Self::MissionUsd
            | Self::MissionTokens
            | Self::WorkspaceUsd
            | Self::RunUsd
            | Self::RunTokens => false,
        }
    }

    /// Whether it is the run's own limit: another run of the same item would begin with nothing used.
    pub const fn is_of_run(&self) -> bool {
        matches!(self, Self::RunUsd | Self::RunTokens)
    }

    /// When it passes by itself, for this agent.
    pub fn until(&self, state: &State, agent: &Agent) -> Option<Timestamp> {
        let books = state.books();
        let ends = |account: Option<&super::Account>, cap| account.and_then(|account| account.ends(cap));
        match self {
            Self::AgentTokens => ends(books.agent(&agent.spec.name), Cap::DailyTokens),
            Self::AgentJobs => ends(books.agent(&agent.spec.name), Cap::DailyJobs),
            Self::ModelTokens(model) => ends(books.model(model), Cap::DailyTokens),
            Self::ModelRequests(model) => ends(books.model(model), Cap::HourlyRequests),
            Self::ModelUsd(model) => ends(books.model(model), Cap::DailyUsd),
            Self::WorkspaceUsd => ends(books.workspace(), Cap::DailyUsd),
            Self::RepoPrs => ends(books.repo(), Cap::DailyPrs),
            Self::RepoCooldown => {
                let limit = limit(state, &Scope::Repo, Cap::CooldownAfterFailure)?;
                books.repo()?.cools_until(limit)
            }
            Self::ModelNotAllowed(_)
            | Self::AgentConcurrent
            | Self::MissionUsd
            | Self::MissionTokens
            | Self::RunUsd
            | Self::RunTokens => None,
        }
    }
}

/// Whether the agent may begin another run for the mission at this moment; else the first rule that refuses. Without a
/// mission its rules are left out.
pub fn check(state: &State, agent: &Agent, mission: Option<MissionId>, now: Timestamp) -> Result<(), Denied> {
    of_its_own(state, agent, now)?;
    of_its_model(state, model_of(&agent.spec), now)?;
    of_repo(state, now)?;
    if let Some(denied) = mission.and_then(|id| state.mission(id)).and_then(|entry| entry.cap_reached()) {
        return Err(denied);
    }
    of_workspace(state, now)
}

/// The rules that are about this agent alone. Where nothing is limited it looks nothing up.
pub(crate) fn of_its_own(state: &State, agent: &Agent, now: Timestamp) -> Result<(), Denied> {
    if agent.spec.quota.is_empty() && !state.books().agents_are_set() { Ok(()) } else { of_agent(state, agent, now) }
}

/// The rules that are about all agents of a model, and then those about all agents, but for those of a mission.
pub(crate) fn of_all(state: &State, model: &str, now: Timestamp) -> Result<(), Denied> {
    of_its_model(state, model, now)?;
    of_repo(state, now)?;
    of_workspace(state, now)
}

fn of_its_model(state: &State, model: &str, now: Timestamp) -> Result<(), Denied> {
    let limited = !state.settings().quota.models.is_empty() || state.books().models_are_set();
    if limited { of_model(state, model, now) } else { Ok(()) }
}

fn of_agent(state: &State, agent: &Agent, now: Timestamp) -> Result<(), Denied> {
    let account = state.books().agent(&agent.spec.name);
    let set = account.map(|account| &account.set);
    let models = set.and_then(|set| set.model_allowlist.as_ref()).or(agent.spec.quota.model_allowlist.as_ref());
    let model = model_of(&agent.spec);
    if models.is_some_and(|list| !list.is_empty() && !list.iter().any(|allowed| &**allowed == model)) {
        return Err(Denied::ModelNotAllowed(model.into()));
    }
    let limit = |cap| {
        let set = set.and_then(|set| set.caps.get(&cap));
        set.or_else(|| agent.spec.quota.caps.get(&cap)).copied().filter(|limit| *limit > 0)
    };
    let full = |cap| account.is_some_and(|a| limit(cap).is_some_and(|limit| a.used(cap, now) >= limit));
    if full(Cap::DailyTokens) {
        return Err(Denied::AgentTokens);
    }
    if full(Cap::DailyJobs) {
        return Err(Denied::AgentJobs);
    }
    let live = u64::from(state.load(agent.id));
    if limit(Cap::ConcurrentJobs).is_some_and(|limit| live >= limit) {
        return Err(Denied::AgentConcurrent);
    }
    Ok(())
}

fn of_model(state: &State, model: &str, now: Timestamp) -> Result<(), Denied> {
    let Some(account) = state.books().model(model) else { return Ok(()) };
    let full = |cap| limit_of_model(state, model, cap).is_some_and(|limit| account.used(cap, now) >= limit);
    if full(Cap::DailyTokens) {
        return Err(Denied::ModelTokens(model.into()));
    }
    if full(Cap::HourlyRequests) {
        return Err(Denied::ModelRequests(model.into()));
    }
    if full(Cap::DailyUsd) {
        return Err(Denied::ModelUsd(model.into()));
    }
    Ok(())
}

fn of_repo(state: &State, now: Timestamp) -> Result<(), Denied> {
    let limit = || limit(state, &Scope::Repo, Cap::CooldownAfterFailure);
    let cools = state.books().repo().filter(|repo| repo.failed_at.is_some());
    match cools.and_then(|repo| repo.cools_until(limit()?)) {
        Some(until) if until > now => Err(Denied::RepoCooldown),
        Some(_) | None => Ok(()),
    }
}

fn of_workspace(state: &State, now: Timestamp) -> Result<(), Denied> {
    let Some(account) = state.books().workspace() else { return Ok(()) };
    match limit(state, &Scope::Workspace, Cap::DailyUsd) {
        Some(limit) if account.used(Cap::DailyUsd, now) >= limit => Err(Denied::WorkspaceUsd),
        Some(_) | None => Ok(()),
    }
}

/// How long a run of this agent may take, in seconds: the shorter of its limit and its quota.
pub fn run_secs(state: &State, agent: &Agent) -> u64 {
    let quota = limit_of_agent(state, agent, Cap::MaxRunDuration);
    quota.map_or(agent.spec.limits.duration_secs, |quota| quota.min(agent.spec.limits.duration_secs))
}
