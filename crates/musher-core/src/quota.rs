//! Quotas: what agents, models, missions and the workspace may use, and since when it is too much.
//!
//! [`check()`] asks, and [`charge()`] books what a step has decided into the same change: a run that begins takes its job, one
//! that reports is charged, one that ends gives back what its end gives back. So two dispatches never take the same last
//! job, and no way of ending a run is forgotten. The sums are [`Account`]s, one a scope, each with its day and its hour.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::config::drivers;
pub use crate::config::show_seconds;
use crate::id::MissionId;
use crate::state::State;

mod account;
mod books;
mod charge;
mod check;
mod opening;
pub mod period;
mod set;
mod sheet;

pub use account::Account;
pub use books::Books;
pub(crate) use books::{budget, heals, micro_usd};
pub use charge::{Share, charge};
pub use check::{Denied, check, run_secs};
pub(crate) use check::{of_all, of_its_own};
pub(crate) use opening::{may_open, open, unopen};
pub(crate) use set::reconfigured;
pub use set::{Setting, set};
pub use sheet::{Line, Origin, allowed_models, sheet};

/// Whose quota it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// All that this musher does.
    Workspace,
    /// The repository.
    Repo,
    /// A mission.
    Mission(MissionId),
    /// An agent, by name.
    Agent(Box<str>),
    /// A model, by name, whoever uses it.
    Model(Box<str>),
}

/// A text that names no scope.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no scope of quotas; those are `workspace`, `repo`, `mission:ID`, `agent:NAME` and `model:NAME`")]
pub struct NotAScope(String);

impl Scope {
    /// The sort of scope: the word in reasons.
    pub const fn sort(&self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Repo => "repo",
            Self::Mission(_) => "mission",
            Self::Agent(_) => "agent",
            Self::Model(_) => "model",
        }
    }

    /// What may be limited here, in the order in which it is shown.
    pub const fn caps(&self) -> &'static [Cap] {
        match self {
            Self::Workspace => &[Cap::DailyUsd],
            Self::Repo => &[Cap::DailyPrs, Cap::CooldownAfterFailure],
            Self::Mission(_) => &[Cap::Usd, Cap::Tokens],
            Self::Agent(_) => &[Cap::DailyTokens, Cap::DailyJobs, Cap::ConcurrentJobs, Cap::MaxRunDuration],
            Self::Model(_) => &[Cap::DailyTokens, Cap::HourlyRequests, Cap::DailyUsd],
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workspace | Self::Repo => f.write_str(self.sort()),
            Self::Mission(id) => write!(f, "mission:{id}"),
            Self::Agent(name) => write!(f, "agent:{name}"),
            Self::Model(name) => write!(f, "model:{name}"),
        }
    }
}

impl FromStr for Scope {
    type Err = NotAScope;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || NotAScope(text.to_owned());
        match text.split_once(':') {
            None if text == "workspace" => Ok(Self::Workspace),
            None if text == "repo" => Ok(Self::Repo),
            Some(("mission", id)) => id.parse().map(Self::Mission).map_err(|_| wrong()),
            Some(("agent", name)) if !name.is_empty() => Ok(Self::Agent(name.into())),
            Some(("model", name)) if !name.is_empty() => Ok(Self::Model(name.into())),
            Some(_) | None => Err(wrong()),
        }
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What is limited. Dollars are counted in millionths, spans in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cap {
    /// Tokens a day.
    DailyTokens,
    /// Runs that begin on a day.
    DailyJobs,
    /// Runs at once.
    ConcurrentJobs,
    /// How long one run may take.
    MaxRunDuration,
    /// Runs that begin within an hour.
    HourlyRequests,
    /// Dollars a day.
    DailyUsd,
    /// Pull requests that are opened on a day.
    DailyPrs,
    /// How long nothing begins after a run has failed.
    CooldownAfterFailure,
    /// Dollars in all.
    Usd,
    /// Tokens in all.
    Tokens,
}

/// What the number of a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Tokens, runs, or pull requests.
    Count,
    /// Seconds.
    Seconds,
    /// Millionths of a US dollar.
    MicroUsd,
}

/// For how long what was used counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasts {
    /// Until midnight in the zone of `quota.timezone`.
    Day,
    /// Until the hour is full.
    Hour,
    /// For good.
    Always,
    /// Nothing is summed up.
    Not,
}

impl Cap {
    /// The key in the configuration, and the word in reasons.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DailyTokens => "daily_tokens",
            Self::DailyJobs => "daily_jobs",
            Self::ConcurrentJobs => "concurrent_jobs",
            Self::MaxRunDuration => "max_run_duration",
            Self::HourlyRequests => "hourly_requests",
            Self::DailyUsd => "daily_usd",
            Self::DailyPrs => "daily_prs",
            Self::CooldownAfterFailure => "cooldown_after_failure",
            Self::Usd => "usd",
            Self::Tokens => "tokens",
        }
    }

    /// What its number counts.
    pub const fn unit(self) -> Unit {
        match self {
            Self::DailyTokens
            | Self::DailyJobs
            | Self::ConcurrentJobs
            | Self::HourlyRequests
            | Self::DailyPrs
            | Self::Tokens => Unit::Count,
            Self::MaxRunDuration | Self::CooldownAfterFailure => Unit::Seconds,
            Self::DailyUsd | Self::Usd => Unit::MicroUsd,
        }
    }

    /// A number of its unit, for people: `500000`, `30m`, `$12.50`. Exact.
    pub fn show(self, number: u64) -> String {
        match self.unit() {
            Unit::Count => number.to_string(),
            Unit::Seconds => show_seconds(number),
            Unit::MicroUsd => show_usd(number),
        }
    }

    /// For how long what was used counts.
    pub const fn lasts(self) -> Lasts {
        match self {
            Self::DailyTokens | Self::DailyJobs | Self::DailyUsd | Self::DailyPrs => Lasts::Day,
            Self::HourlyRequests => Lasts::Hour,
            Self::Usd | Self::Tokens => Lasts::Always,
            Self::ConcurrentJobs | Self::MaxRunDuration | Self::CooldownAfterFailure => Lasts::Not,
        }
    }
}

/// Millionths of a dollar as dollars, exact, with two to six places.
pub fn show_usd(micro: u64) -> String {
    let places = format!("{:06}", micro % 1_000_000);
    let kept = places.trim_end_matches('0').len().max(2);
    format!("${}.{}", micro / 1_000_000, &places[..kept])
}

/// The limits of one scope. A cap that is not here was left open; 0 = unlimited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Rules {
    /// The numbers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub caps: BTreeMap<Cap, u64>,
    /// Agents: the only models that it may use; empty = any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model_allowlist: Option<Vec<Box<str>>>,
}

impl Rules {
    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.caps.is_empty() && self.model_allowlist.is_none()
    }

    /// These with everything that `over` says in its place.
    #[must_use]
    pub fn merge(mut self, over: Self) -> Self {
        self.caps.extend(over.caps);
        Self { caps: self.caps, model_allowlist: over.model_allowlist.or(self.model_allowlist) }
    }
}

/// The quotas of a configuration, but for those of its agents, which stand with them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quotas {
    /// The zone of which midnight ends a day; empty = UTC.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub timezone: String,
    /// All that this musher does.
    pub workspace: Rules,
    /// The repository.
    pub repo: Rules,
    /// Models, by name.
    pub models: BTreeMap<String, Rules>,
}

impl Quotas {
    /// These with everything that `over` says in its place, key by key.
    #[must_use]
    pub fn merge(self, over: Self) -> Self {
        let mut models = self.models;
        for (model, rules) in over.models {
            let known = models.remove(&model).unwrap_or_default();
            models.insert(model, known.merge(rules));
        }
        Self {
            timezone: if over.timezone.is_empty() { self.timezone } else { over.timezone },
            workspace: self.workspace.merge(over.workspace),
            repo: self.repo.merge(over.repo),
            models,
        }
    }
}

/// The name under which the use of an agent is counted and limited: the model that it states, else its driver's own
/// name, which stands for whatever that program takes by default. It is never empty, so that no rule is passed by
/// stating none.
pub fn model_of(agent: &crate::agent::AgentSpec) -> &str {
    match agent.model.as_deref().map(str::trim) {
        Some(model) if !model.is_empty() => model,
        Some(_) | None => drivers::default_model(&agent.driver),
    }
}

/// The models that a limit can be for: those of agents, in allowlists, of the configuration, and with a use or a limit.
pub fn models(state: &State) -> BTreeSet<Box<str>> {
    let agents = state.agents().filter(|agent| !agent.removed);
    let of_agents = agents.flat_map(|agent| {
        let allowed = agent.spec.quota.model_allowlist.iter().flatten().map(|model| &**model);
        allowed.chain([model_of(&agent.spec)])
    });
    let configured = state.settings().quota.models.keys().map(String::as_str);
    let kept = state.books().all().filter_map(|account| match &account.scope {
        Scope::Model(name) => Some(&**name),
        Scope::Workspace | Scope::Repo | Scope::Agent(_) | Scope::Mission(_) => None,
    });
    of_agents.chain(configured).chain(kept).map(Into::into).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_shown_to_the_millionth() {
        for (micro, text) in [
            (0, "$0.00"),
            (1, "$0.000001"),
            (250_000, "$0.25"),
            (1_234_500, "$1.2345"),
            (12_000_000, "$12.00"),
            (u64::MAX, "$18446744073709.551615"),
        ] {
            assert_eq!(show_usd(micro), text);
        }
    }

    #[test]
    fn a_scope_is_read_back_from_its_text_and_nothing_else_is() {
        let mission: MissionId = "0197c3d2-0000-7000-8000-000000000001".parse().expect("an id");
        let all = [
            Scope::Workspace,
            Scope::Repo,
            Scope::Mission(mission),
            Scope::Agent("claude-1".into()),
            Scope::Model("vendor/model:free".into()),
        ];
        for scope in all {
            assert_eq!(scope.to_string().parse::<Scope>().expect("its own text"), scope);
            let json = serde_json::to_string(&scope).expect("a string");
            assert_eq!(serde_json::from_str::<Scope>(&json).expect("its own JSON"), scope);
        }
        for wrong in ["", "agent", "agent:", "model:", "mission:x", "run:1", "Workspace", "workspace:x"] {
            assert!(wrong.parse::<Scope>().is_err(), "{wrong}");
        }
    }
}
