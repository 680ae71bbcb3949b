//! Quotas and costs.

use musher_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// A number of the unit beside it: dollars have a fraction, everything else is whole.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Amount {
    /// Tokens, runs or seconds.
    Whole(i64),
    /// US dollars.
    Usd(f64),
}

/// One quota: what is limited, what is used of it and what is left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Quota {
    /// Whose: `workspace`, `repo`, `agent:NAME`, `model:NAME` or `mission:ID`.
    pub scope: String,
    /// What is limited: `daily_tokens`, `daily_jobs`, `concurrent_jobs`, `max_run_duration`, `hourly_requests`,
    /// `daily_usd`, `daily_prs`, `cooldown_after_failure`, `usd` or `tokens`.
    pub key: String,
    /// What the numbers are: `count`, `seconds` or `usd`.
    pub unit: String,
    /// The limit; 0 = unlimited.
    #[schema(value_type = f64)]
    pub limit: Amount,
    /// What is used of it in the present period.
    #[schema(value_type = f64)]
    pub used: Amount,
    /// What is left; −1 when unlimited.
    #[schema(value_type = f64)]
    pub remaining: Amount,
    /// When the period ends, or the cool-down; none where nothing ends by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ends_at: Option<Timestamp>,
    /// Where the limit comes from: `config`, `operator`, or `none` when nobody has said one.
    pub origin: String,
}

/// The only models that an agent may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AllowedModels {
    /// The agent: `agent:NAME`.
    pub scope: String,
    /// The models.
    pub models: Vec<String>,
}

/// All quotas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Quotas {
    /// The zone of which midnight ends a day.
    pub timezone: String,
    /// A quota each, those without a limit too.
    pub quotas: Vec<Quota>,
    /// The agents that may not use every model.
    pub model_allowlists: Vec<AllowedModels>,
}

/// What is to be set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotaWish {
    /// The key of the scope: one of its limits, or `model_allowlist` of an agent.
    pub key: String,
    /// The value as it is typed: `500000`, `12.50`, `30m`, `a,b`, `unlimited`; or `default`, which takes back what was set.
    pub value: String,
}

/// By what costs are added up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CostQuery {
    /// `mission`, `item`, `agent`, `model` or `day`. Default `mission`.
    pub by: Option<String>,
}

/// What was used of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CostEntry {
    /// Its full id; of models and days their name again.
    pub id: String,
    /// Its name: a goal, `MISSION/key`, an agent's or a model's name, a day.
    pub name: String,
    /// Tokens read, from a cache or not.
    pub input_tokens: u64,
    /// What of them came from a cache, as far as the agent told.
    #[serde(default)]
    pub cache_read_tokens: u64,
    /// What of them was put into a cache, as far as the agent told.
    #[serde(default)]
    pub cache_write_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// US dollars.
    pub cost_usd: f64,
    /// The same in millionths, exact.
    pub cost_micro_usd: u64,
    /// What of it is an estimate, in millionths: the model's price is not known and the dearest known was taken.
    pub estimated_micro_usd: u64,
}

/// What everything has cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Cost {
    /// By what it is added up.
    pub by: String,
    /// The sums; days in their order, everything else the dearest first.
    pub entries: Vec<CostEntry>,
    /// All of it.
    pub total: CostEntry,
}
