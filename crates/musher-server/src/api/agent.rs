//! Agents.

use musher_core::agent::{AgentSpec, Limits as CoreLimits};
use musher_core::approval::Approvals;
use musher_core::config::AgentConfig;
use musher_core::id::{AgentId, ItemId, RunId};
use musher_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Brief;

/// A named worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Agent {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    pub id: AgentId,
    /// Its name.
    pub name: String,
    /// What people call it.
    pub nickname: Option<String>,
    /// Its driver.
    pub driver: String,
    /// The model it uses.
    pub model: Option<String>,
    /// Its roles; none = generalist.
    pub roles: Vec<String>,
    /// What it can do.
    pub capabilities: Vec<String>,
    /// `idle`, `starting`, `working`, `paused`, `draining`, `offline`, `error` or `stopped`.
    pub status: String,
    /// How many runs it has now.
    pub load: u32,
    /// How many it may have at once; 0 = as many as there are.
    pub max_load: u32,
    /// Why it cannot start, with the exact fix; or when its node was last heard, while that is silent.
    pub error: Option<String>,
    /// The machine that its program works on; none = the daemon's own.
    #[serde(default)]
    pub node: Option<String>,
    /// When it was last heard: its node; or, of one without a node, one of its live runs.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = "date-time")]
    pub heartbeat: Option<Timestamp>,
    /// Where its definition comes from: `config` or `operator`.
    pub source: String,
    /// Its live runs.
    #[schema(value_type = Vec<String>)]
    pub runs: Vec<RunId>,
    /// What it works on, oldest run first.
    #[serde(default)]
    pub work: Vec<AgentWork>,
    /// Why it takes nothing, or nothing more; none when it may take something now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Brief>,
}

/// An item that an agent works on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentWork {
    /// The run.
    #[schema(value_type = String, format = "uuid")]
    pub run: RunId,
    /// The item.
    #[schema(value_type = String, format = "uuid")]
    pub item: ItemId,
    /// The item's id in the plan.
    pub key: String,
    /// What the run is for: `work` or `review`.
    pub purpose: String,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentDocument {
    /// The agent.
    pub agent: Agent,
    /// How it was defined, by the file or by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<NewAgent>,
}

/// The agents that were not removed, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Agents {
    /// The agents.
    pub agents: Vec<Agent>,
}

/// The definition of a new agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAgent {
    /// Its name, unique: letters, digits, `-`, `_` and `.`, at most 64.
    pub name: String,
    /// Its driver.
    pub driver: String,
    /// The argv of the command driver, with placeholders.
    #[serde(default)]
    pub command: Vec<String>,
    /// Its roles; none = generalist.
    #[serde(default)]
    pub roles: Vec<String>,
    /// What it can do; an item's labels must all be among them.
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// The model it uses.
    #[serde(default)]
    pub model: Option<String>,
    /// Items at once; 0 = unlimited. Default 1.
    #[serde(default = "one")]
    pub max_load: u32,
    /// Names of environment variables that are passed to it.
    #[serde(default)]
    pub env: Vec<String>,
    /// What people call it.
    #[serde(default)]
    pub nickname: Option<String>,
    /// The machine that its program works on, whose heartbeats it needs to take work; none = the daemon's own.
    #[serde(default)]
    pub node: Option<String>,
    /// What stops a run of it.
    #[serde(default)]
    pub limits: Limits,
    /// Who says yes to what it wants to do: `allow`, `deny`, `ask` or `rules`; none = by its driver.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub approvals: Option<Approvals>,
    /// The folder of its program's own configuration and account.
    #[serde(default)]
    pub home: Option<String>,
}

const fn one() -> u32 {
    1
}

/// What stops a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Turns that use a tool. Default 80.
    pub turns: u32,
    /// Seconds a run may take. Default 7,200.
    pub duration_secs: u64,
    /// Seconds without any output. Default 600.
    pub silence_secs: u64,
    /// Dollars, in millionths, that a run may cost; none = no cap.
    pub cost_micro_usd: Option<u64>,
    /// Tokens a run may use; none = no cap.
    pub tokens: Option<u64>,
    /// Bytes of output that are kept. Default 64 MiB.
    pub max_output_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        CoreLimits::default().into()
    }
}

impl From<CoreLimits> for Limits {
    fn from(limits: CoreLimits) -> Self {
        let CoreLimits { turns, duration_secs, silence_secs, cost_micro_usd, tokens, max_output_bytes } = limits;
        Self { turns, duration_secs, silence_secs, cost_micro_usd, tokens, max_output_bytes }
    }
}

impl From<Limits> for CoreLimits {
    fn from(limits: Limits) -> Self {
        let Limits { turns, duration_secs, silence_secs, cost_micro_usd, tokens, max_output_bytes } = limits;
        Self { turns, duration_secs, silence_secs, cost_micro_usd, tokens, max_output_bytes }
    }
}

impl From<NewAgent> for AgentSpec {
    fn from(wish: NewAgent) -> Self {
        let usual = AgentConfig { driver: wish.driver.clone(), ..AgentConfig::default() }.spec();
        Self {
            approvals: wish.approvals.unwrap_or(usual.approvals),
            home: wish.home.map(Into::into),
            name: wish.name.into(),
            driver: wish.driver.into(),
            command: texts(wish.command),
            roles: texts(wish.roles),
            capabilities: texts(wish.capabilities),
            model: wish.model.map(Into::into),
            max_load: wish.max_load,
            env: texts(wish.env),
            nickname: wish.nickname.map(Into::into),
            node: wish.node.map(Into::into),
            limits: wish.limits.into(),
            ..usual
        }
    }
}

impl From<AgentSpec> for NewAgent {
    fn from(spec: AgentSpec) -> Self {
        let strings = |texts: Box<[Box<str>]>| texts.iter().map(ToString::to_string).collect();
        Self {
            name: spec.name.into(),
            driver: spec.driver.into(),
            command: strings(spec.command),
            roles: strings(spec.roles),
            capabilities: strings(spec.capabilities),
            model: spec.model.map(Into::into),
            max_load: spec.max_load,
            env: strings(spec.env),
            nickname: spec.nickname.map(Into::into),
            node: spec.node.map(Into::into),
            limits: spec.limits.into(),
            approvals: Some(spec.approvals),
            home: spec.home.map(Into::into),
        }
    }
}

fn texts(texts: Vec<String>) -> Box<[Box<str>]> {
    texts.into_iter().map(Into::into).collect()
}
