//! Agents: named workers. Facts are stored; what a person sees of them is derived.

use serde::{Deserialize, Serialize};

use crate::approval::{Approvals, Rules};
use crate::id::AgentId;
use crate::time::Timestamp;

mod driver;
mod limited;
mod operate;
mod program;
pub(crate) use driver::settle;
pub use driver::{SetupFailure, Suspended, probe};
pub use limited::{lift, rate_limited};
pub use operate::{add, drain, pause, remove, restart, resume, setup_checked, sync};

/// Where an agent's definition comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// `musher.toml`; it goes when its entry goes.
    #[default]
    Config,
    /// `musher agent add`; it goes by `musher agent remove`.
    Operator,
}

/// What a person says of an agent: its definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentSpec {
    /// Its name, unique.
    pub name: Box<str>,
    /// Its driver.
    pub driver: Box<str>,
    /// The argv of the command driver, with placeholders.
    pub command: Box<[Box<str>]>,
    /// Roles, stated, never guessed; none = generalist.
    pub roles: Box<[Box<str>]>,
    /// What it can do; an item's labels must all be among them.
    pub capabilities: Box<[Box<str>]>,
    /// The model it uses.
    pub model: Option<Box<str>>,
    /// Items at once; 0 = unlimited.
    pub max_load: u32,
    /// Names of environment variables that are passed to it.
    pub env: Box<[Box<str>]>,
    /// What people call it.
    pub nickname: Option<Box<str>>,
    /// The machine that its program works on, whose heartbeats it needs to take work; none = this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<Box<str>>,
    /// What stops a run.
    pub limits: Limits,
    /// Who says yes to what it wants to do.
    pub approvals: Approvals,
    /// The rules for that, where there are any of its own.
    pub rules: Option<Rules>,
    /// Seconds after which what it asks a person counts as denied. Default 1,800.
    pub approval_timeout_secs: u64,
    /// The folder of its program's own configuration and account; none = the user's.
    pub home: Option<Box<str>>,
    /// What its runs may reach.
    pub sandbox: Sandbox,
    /// What it may use.
    #[serde(skip_serializing_if = "crate::quota::Rules::is_empty")]
    pub quota: crate::quota::Rules,
}

/// What keeps an agent's processes in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sandbox {
    /// Nothing: it can do what the user can do.
    #[default]
    None,
    /// bubblewrap: the worktree, a private `/tmp` and the agent's home are writable, the rest is read-only.
    Bwrap,
}

impl Sandbox {
    /// The word in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Bwrap => "bwrap",
        }
    }
}

impl Default for AgentSpec {
    fn default() -> Self {
        Self {
            name: Box::default(),
            driver: Box::default(),
            command: Box::default(),
            roles: Box::default(),
            capabilities: Box::default(),
            model: None,
            max_load: 0,
            env: Box::default(),
            nickname: None,
            node: None,
            limits: Limits::default(),
            approvals: Approvals::default(),
            rules: None,
            approval_timeout_secs: 30 * 60,
            home: None,
            sandbox: Sandbox::None,
            quota: crate::quota::Rules::default(),
        }
    }
}

impl AgentSpec {
    /// Whether both use the same account of the same program on the same machine, and so share its rate limits.
    pub fn shares_account(&self, other: &Self) -> bool {
        self.home == other.home
            && self.node == other.node
            && program::of_account(self) == program::of_account(other)
            && program::keys(self) == program::keys(other)
    }

    /// Whether what keeps one of both from being set up keeps the other too: they have the same driver on the same
    /// machine and, where that starts any program, the same program.
    pub fn shares_setup(&self, other: &Self) -> bool {
        self.driver == other.driver
            && self.node == other.node
            && (!program::is_any(self) || program::of(self) == program::of(other))
    }

    /// The name of what [`Self::shares_setup`] compares: the driver and, where that starts any program, the program.
    pub fn setup_name(&self) -> String {
        match program::of(self) {
            program if program::is_any(self) && !program.is_empty() => {
                format!("{} ({})", self.driver, program.join(" "))
            }
            _ => self.driver.to_string(),
        }
    }
}

/// What stops a run, of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Limits {
    /// Turns that use a tool. Default 80.
    pub turns: u32,
    /// Seconds a run may take. Default 7,200.
    pub duration_secs: u64,
    /// Seconds without any output. Default 600.
    pub silence_secs: u64,
    /// Dollars (in millionths) a run may cost; none = no cap.
    pub cost_micro_usd: Option<u64>,
    /// Tokens a run may use; none = no cap.
    pub tokens: Option<u64>,
    /// Bytes of output that are kept. Default 64 MiB.
    pub max_output_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            turns: 80,
            duration_secs: 2 * 3600,
            silence_secs: 600,
            cost_micro_usd: None,
            tokens: None,
            max_output_bytes: 64 << 20,
        }
    }
}

/// An agent: its definition and the stored facts. Its load is counted from its live runs, never stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    /// Its id.
    pub id: AgentId,
    /// Its definition.
    pub spec: AgentSpec,
    /// Where the definition comes from.
    pub source: Source,
    /// A person paused it.
    pub paused: bool,
    /// It finishes what it has and takes nothing new.
    pub draining: bool,
    /// It was removed; its row stays for the runs that name it.
    pub removed: bool,
    /// Why its driver cannot start, with the exact fix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Box<str>>,
    /// Until when its account is used up, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limited_until: Option<Timestamp>,
    /// How often in a row its account was used up without a word of when it is not any more.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub limited_times: u32,
    /// Its driver cannot be set up here: it is paused until a run of one of its agents shows otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<Box<Suspended>>,
    /// The failures to be set up that its runs have had within the hour, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub setup_failures: Vec<SetupFailure>,
    /// When it was defined.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What a person sees of an agent. Derived, in this order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AgentStatus {
    /// Removed.
    Stopped,
    /// Its driver cannot start.
    Error,
    /// Nothing is heard of its node, or of the hosts of its runs.
    Offline,
    /// Paused by a person, or until its account may be used again.
    Paused,
    /// Finishes what it has.
    Draining,
    /// Its only runs are about to begin: none of their processes lives yet.
    Starting,
    /// At work.
    Working,
    /// Free.
    Idle,
}

impl AgentStatus {
    /// The word on the command line and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Error => "error",
            Self::Offline => "offline",
            Self::Paused => "paused",
            Self::Draining => "draining",
            Self::Starting => "starting",
            Self::Working => "working",
            Self::Idle => "idle",
        }
    }
}

impl Agent {
    /// What a person sees, given whether its node is silent, the number of its live runs, and of those whose process
    /// lives.
    pub fn status(&self, offline: bool, load: u32, at_work: u32) -> AgentStatus {
        if self.removed {
            AgentStatus::Stopped
        } else if self.error.is_some() {
            AgentStatus::Error
        } else if offline {
            AgentStatus::Offline
        } else if self.paused || self.limited_until.is_some() || self.is_suspended() {
            AgentStatus::Paused
        } else if self.draining {
            AgentStatus::Draining
        } else if at_work > 0 {
            AgentStatus::Working
        } else if load > 0 {
            AgentStatus::Starting
        } else {
            AgentStatus::Idle
        }
    }

    /// Whether it takes nothing because its driver is paused, or because another of its agents is the canary.
    pub fn is_suspended(&self) -> bool {
        self.suspended.as_ref().is_some_and(|s| s.until.is_some() || s.canary.is_some())
    }

    /// Whether something is wrong with it, or a person holds it, so that it takes nothing wherever it works.
    pub const fn is_held(&self) -> bool {
        self.removed || self.paused || self.draining || self.error.is_some()
    }

    /// Whether it may be given another run, given the number of its live runs.
    pub fn has_room(&self, load: u32) -> bool {
        self.spec.max_load == 0 || load < self.spec.max_load
    }
}
