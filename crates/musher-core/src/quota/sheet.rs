//! The sheet: every quota with what is used and what is left, as `musher quota` shows it.

use std::collections::BTreeSet;

use super::books::{allowlist, configured, limit};
use super::{Cap, Scope, model_of};
use crate::state::State;
use crate::time::Timestamp;

/// Where a limit comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody has said one.
    None,
    /// The configuration, or the policy of the mission.
    Config,
    /// An operator: `musher quota set`.
    Operator,
}

impl Origin {
    /// The word in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Config => "config",
            Self::Operator => "operator",
        }
    }
}

/// One quota.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Whose.
    pub scope: Scope,
    /// What is limited.
    pub cap: Cap,
    /// The limit, in the unit of the cap; 0 = unlimited.
    pub limit: u64,
    /// What is used of it in this period.
    pub used: u64,
    /// What is left; −1 when unlimited.
    pub remaining: i64,
    /// When the period ends, or the cool-down; none where nothing ends by itself.
    pub ends: Option<Timestamp>,
    /// Where the limit comes from.
    pub origin: Origin,
}

/// All quotas: the workspace, the repository, the agents, every model that is used or limited, the active missions.
pub fn sheet(state: &State, now: Timestamp) -> Vec<Line> {
    let mut scopes = vec![Scope::Workspace, Scope::Repo];
    let agents = || state.agents().filter(|agent| !agent.removed);
    scopes.extend(agents().map(|agent| Scope::Agent(agent.spec.name.clone())));
    let mut models: BTreeSet<Box<str>> = agents().map(|agent| model_of(&agent.spec).into()).collect();
    models.extend(state.settings().quota.models.keys().map(|name| Box::from(name.as_str())));
    models.extend(state.books().all().filter_map(|account| match &account.scope {
        Scope::Model(name) => Some(name.clone()),
        Scope::Workspace | Scope::Repo | Scope::Mission(_) | Scope::Agent(_) => None,
    }));
    scopes.extend(models.into_iter().map(Scope::Model));
    scopes.extend(state.missions().filter(|entry| !entry.row.state.is_terminal()).map(|m| Scope::Mission(m.row.id)));
    scopes.iter().flat_map(|scope| scope.caps().iter().map(|cap| line(state, scope, *cap, now))).collect()
}

fn line(state: &State, scope: &Scope, cap: Cap, now: Timestamp) -> Line {
    let account = state.books().of(scope);
    let limit = limit(state, scope, cap).unwrap_or(0);
    let used = match (scope, cap) {
        (Scope::Mission(id), Cap::Usd) => state.mission(*id).map_or(0, |entry| entry.usage.cost_micro_usd),
        (Scope::Mission(id), _) => state.mission(*id).map_or(0, |entry| entry.usage.tokens()),
        (Scope::Agent(name), Cap::ConcurrentJobs) => {
            state.agent_named(name).map_or(0, |agent| u64::from(state.load(agent.id)))
        }
        (_, cap) => account.map_or(0, |account| account.used(cap, now)),
    };
    let ends = match cap {
        Cap::CooldownAfterFailure if limit > 0 => account.and_then(|account| account.cools_until(limit)),
        cap => account.and_then(|account| account.ends(cap)),
    };
    let remaining = if limit == 0 { -1 } else { i64::try_from(limit.saturating_sub(used)).unwrap_or(i64::MAX) };
    let origin = match account.is_some_and(|account| account.set.caps.contains_key(&cap)) {
        true => Origin::Operator,
        false if configured(state, scope, cap).is_some() => Origin::Config,
        false => Origin::None,
    };
    Line { scope: scope.clone(), cap, limit, used, remaining, ends: ends.filter(|at| *at > now), origin }
}

/// The only models that an agent may use; none = any.
pub fn allowed_models<'a>(state: &'a State, agent: &str) -> Option<&'a [Box<str>]> {
    state.agent_named(agent).and_then(|agent| allowlist(state, agent))
}
