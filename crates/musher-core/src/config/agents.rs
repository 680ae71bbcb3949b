//! The `[[agents]]` of a layer.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::drivers::{DRIVERS, Speech, named};
use super::key::quoted;
use super::placeholder::{PLACEHOLDERS, expand};
use super::quota::read_of_agent;
use super::reader::{Fields, Placed, clipped};
use crate::agent::{AgentSpec, Limits, Sandbox};
use crate::approval::{Approvals, Rule, Rules, default_rules};
use crate::node::{LONGEST_NAME as LONGEST_NODE, is_name};
use crate::plan::plain;
use crate::problem::Report;
use crate::quota;

/// An agent as configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentConfig {
    /// Its name, unique.
    pub name: String,
    /// Its driver.
    pub driver: String,
    /// The program and its arguments, with placeholders.
    pub command: Vec<String>,
    /// Roles; none = generalist.
    pub roles: Vec<String>,
    /// What it can do; an item's labels must all be among them.
    pub capabilities: Vec<String>,
    /// The model it uses.
    pub model: Option<String>,
    /// Items at once; 0 = unlimited. Default 1.
    pub max_load: u32,
    /// Names of environment variables that are passed to it.
    pub env: Vec<String>,
    /// What people call it.
    pub nickname: Option<String>,
    /// The machine that its program works on; none = this one.
    pub node: Option<String>,
    /// Whether it is there at all. Default true.
    pub enabled: bool,
    /// What stops one of its runs.
    pub limits: AgentLimits,
    /// Who says yes to what it wants to do; none = by its driver.
    pub approvals: Option<Approvals>,
    /// What it may do besides the defaults, for `approvals = "rules"`.
    pub allow: Vec<String>,
    /// What it may never do.
    pub deny: Vec<String>,
    /// Seconds after which what it asks a person counts as denied. Default 1,800.
    pub approval_timeout_secs: u64,
    /// The folder of its program's own configuration and account.
    pub home: Option<String>,
    /// What keeps its processes in.
    pub sandbox: Sandbox,
    /// What it may use.
    pub quota: quota::Rules,
}

/// What stops a run of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentLimits {
    /// Turns that use a tool. Default 80.
    pub turns: u32,
    /// Seconds a run may take. Default 7,200.
    pub duration_secs: u64,
    /// Seconds without any output. Default 600.
    pub silence_secs: u64,
    /// Dollars a run may cost; none = no cap.
    pub usd: Option<f64>,
    /// Tokens a run may use; none = no cap.
    pub tokens: Option<u64>,
    /// Bytes of output that are kept. Default 64 MiB.
    pub max_output_bytes: u64,
}

impl Default for AgentConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            driver: COMMAND.to_owned(),
            command: Vec::new(),
            roles: Vec::new(),
            capabilities: Vec::new(),
            model: None,
            max_load: 1,
            env: Vec::new(),
            nickname: None,
            node: None,
            enabled: true,
            limits: AgentLimits::default(),
            approvals: None,
            allow: Vec::new(),
            deny: Vec::new(),
            approval_timeout_secs: 30 * 60,
            home: None,
            sandbox: Sandbox::None,
            quota: quota::Rules::default(),
        }
    }
}

impl Default for AgentLimits {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            turns: 80,
            duration_secs: limits.duration_secs,
            silence_secs: limits.silence_secs,
            usd: None,
            tokens: None,
            max_output_bytes: limits.max_output_bytes,
        }
    }
}

impl AgentConfig {
    /// Its definition, as the dispatcher knows it.
    pub fn spec(&self) -> AgentSpec {
        fn boxes(texts: &[String]) -> Box<[Box<str>]> {
            texts.iter().map(|text| text.as_str().into()).collect()
        }
        AgentSpec {
            name: self.name.as_str().into(),
            driver: self.driver.as_str().into(),
            command: boxes(&self.command),
            roles: boxes(&self.roles),
            capabilities: boxes(&self.capabilities),
            model: self.model.as_deref().map(Into::into),
            max_load: self.max_load,
            env: boxes(&self.env),
            nickname: self.nickname.as_deref().map(Into::into),
            node: self.node.as_deref().map(Into::into),
            limits: self.limits.limits(),
            approvals: self.approvals.unwrap_or_else(|| usual_approvals(&self.driver)),
            rules: self.rules(),
            approval_timeout_secs: self.approval_timeout_secs,
            home: self.home.as_deref().map(Into::into),
            sandbox: self.sandbox,
            quota: self.quota.clone(),
        }
    }

    /// The rules of its own: the usual ones and what `allow` and `deny` add; none when they add nothing.
    fn rules(&self) -> Option<Rules> {
        if self.allow.is_empty() && self.deny.is_empty() {
            return None;
        }
        // Each was parsed when it was read; one that was not has been reported, and the whole layer with it.
        let parsed = |texts: &[String]| texts.iter().filter_map(|text| Rule::parse(text).ok()).collect::<Vec<_>>();
        Some(default_rules().with(parsed(&self.allow), parsed(&self.deny)))
    }
}

impl AgentLimits {
    fn limits(&self) -> Limits {
        // Config allows at most a thousand million dollars, so that the product fits.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 10^15, checked when read")]
        let micro = |usd: f64| (usd * 1e6).round() as u64;
        Limits {
            turns: self.turns,
            duration_secs: self.duration_secs,
            silence_secs: self.silence_secs,
            cost_micro_usd: self.usd.map(micro),
            tokens: self.tokens,
            max_output_bytes: self.max_output_bytes,
        }
    }
}

/// Reads all `[[agents]]`.
pub(super) fn read(root: &Fields, report: &mut Report) -> Vec<AgentConfig> {
    let mut agents = Vec::new();
    let mut first_at: BTreeMap<String, usize> = BTreeMap::new();
    if root.count("agents") > MOST_AGENTS {
        let what = format!("there are more than {MOST_AGENTS} agents");
        report.add_with_fix(root.place_of_entry("agents", MOST_AGENTS), what, "raise `max_load` of fewer agents");
    }
    for fields in root.tables("agents", MOST_AGENTS, report) {
        let agent = read_agent(&fields, report);
        let at = fields.place("name");
        match first_at.get(&agent.name) {
            Some(first) if !agent.name.is_empty() => {
                let line = report.line_of(*first);
                let what = format!("duplicate agent `{}`", agent.name);
                report.add_with_fix(at, what, format!("the first is in line {line}"));
            }
            _ => {
                first_at.insert(agent.name.clone(), at);
                agents.push(agent);
            }
        }
    }
    agents
}

fn read_agent(fields: &Fields, report: &mut Report) -> AgentConfig {
    let default = AgentConfig::default();
    fields.require("name", "the agent", "add a short name of [a-z0-9_-], such as name = \"claude-1\"", report);
    let name = fields.text("name", report).unwrap_or_default();
    check_name(name, fields.place("name"), report);
    let driver = read_driver(fields, name, report);
    let command = fields.texts("command", report);
    // Where no driver is named, that is the problem, and its program is none yet.
    let driven = (fields.has("driver") || named(name).is_some()).then_some(driver.as_str());
    check_command(fields, driven, command.as_deref(), report);
    let env = fields.texts("env", report).unwrap_or_default();
    check_env(&env, report);
    let speech = named(&driver).map(|known| known.speech);
    AgentConfig {
        name: name.to_owned(),
        driver,
        command: command.map(plain).unwrap_or_default(),
        roles: fields.texts("roles", report).map(plain).unwrap_or_default(),
        capabilities: fields.texts("capabilities", report).map(plain).unwrap_or_default(),
        model: fields.text("model", report).map(str::to_owned),
        max_load: fields.whole_u32("max_load", report).unwrap_or(default.max_load),
        env: plain(env),
        nickname: fields.text("nickname", report).map(str::to_owned),
        node: read_node(fields, report),
        enabled: fields.flag("enabled", report).unwrap_or(default.enabled),
        limits: fields.table("limits", report).map(|limits| read_limits(&limits, report)).unwrap_or_default(),
        approvals: read_approvals(fields, speech, report),
        allow: read_rules(fields, "allow", report),
        deny: read_rules(fields, "deny", report),
        approval_timeout_secs: fields
            .duration_secs("approval_timeout", report)
            .unwrap_or(default.approval_timeout_secs),
        home: fields.text("home", report).map(str::to_owned),
        sandbox: fields
            .word("sandbox", &[Sandbox::None, Sandbox::Bwrap], Sandbox::name, report)
            .unwrap_or(default.sandbox),
        quota: fields.table("quota", report).map(|t| read_of_agent(&t, report)).unwrap_or_default(),
    }
}

/// What an agent without a word about it gets: programs that cannot be asked are allowed what they do.
fn usual_approvals(driver: &str) -> Approvals {
    match named(driver).map(|known| known.speech) {
        Some(Speech::TwoWay) => Approvals::Rules,
        Some(Speech::Command | Speech::OneWay) | None => Approvals::Allow,
    }
}

fn read_approvals(fields: &Fields, speech: Option<Speech>, report: &mut Report) -> Option<Approvals> {
    let all = [Approvals::Allow, Approvals::Deny, Approvals::Ask, Approvals::Rules];
    let approvals = fields.word("approvals", &all, Approvals::name, report)?;
    let cannot_ask = matches!(speech, Some(Speech::Command | Speech::OneWay));
    if cannot_ask && approvals != Approvals::Allow {
        let what =
            format!("an agent of this driver is not asked, so `approvals = \"{}\"` would not hold", approvals.name());
        let fix = "take a driver that asks: `claude`, `codex` or `acp`; or write approvals = \"allow\"";
        report.add_with_fix(fields.place("approvals"), what, fix);
    }
    Some(approvals)
}

fn read_rules(fields: &Fields, name: &str, report: &mut Report) -> Vec<String> {
    let texts = fields.texts(name, report).unwrap_or_default();
    for (at, text) in &texts {
        if let Err(error) = Rule::parse(text) {
            report.add_with_fix(*at, clipped(&error.to_string()), error.fix());
        }
    }
    plain(texts)
}

fn check_name(name: &str, at: usize, report: &mut Report) {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if !name.chars().all(good) || name.len() > LONGEST_NAME {
        let what = format!("the agent's name `{}` is not 1 to {LONGEST_NAME} of [a-z0-9_-]", clipped(name));
        report.add_with_fix(at, what, "shorten it to such characters; a `nickname` may be anything");
    }
}

fn read_node(fields: &Fields, report: &mut Report) -> Option<String> {
    let name = fields.text("node", report)?;
    if !is_name(name) {
        let what = format!("the node's name `{}` is not 1 to {LONGEST_NODE} of [A-Za-z0-9._-]", clipped(name));
        report.add_with_fix(fields.place("node"), what, "call it as its host is called");
    }
    Some(name.to_owned())
}

/// The driver; an agent that has the name of one needs to say no more.
fn read_driver(fields: &Fields, agent: &str, report: &mut Report) -> String {
    if !fields.has("driver") && named(agent).is_some() {
        return agent.to_owned();
    }
    let fix = "add driver = \"claude\", \"codex\", \"acp\", \"command\" …";
    fields.require("driver", "the agent", fix, report);
    let Some(driver) = fields.text("driver", report) else { return COMMAND.to_owned() };
    if named(driver).is_none() {
        let known: Vec<&str> = DRIVERS.iter().map(|known| known.name).collect();
        let all = || format!("the drivers are {}", quoted(&known));
        let what = format!("unknown driver `{}`", clipped(driver));
        report.add_unknown(fields.place("driver"), what, driver, known.iter().copied(), all);
    }
    driver.to_owned()
}

fn check_command(fields: &Fields, driver: Option<&str>, command: Option<&[Placed]>, report: &mut Report) {
    let fix = "write the program and its arguments, such as command = [\"sh\", \"{root}/agent.sh\", \"{prompt_file}\"]";
    match command {
        Some([]) => report.add_with_fix(fields.place("command"), "`command` is empty", fix),
        Some(_) => {}
        None if fields.has("command") => {}
        None if driver.and_then(named).is_some_and(|known| known.command.is_empty()) => {
            fields.require("command", "the agent", fix, report);
        }
        None => {}
    }
    for (at, argument) in command.unwrap_or_default() {
        let known = |name: &str| PLACEHOLDERS.contains(&name).then(String::new);
        if let Err(error) = expand(argument, known) {
            report.add_with_fix(*at, clipped(&error.to_string()), error.fix());
        }
    }
}

fn check_env(names: &[Placed], report: &mut Report) {
    for (at, name) in names {
        if !is_variable(name) {
            // A text with `=` may hold a secret: only the name is shown.
            let shown = name.split('=').next().unwrap_or_default();
            let what = format!("`{}` in `env` is no name of an environment variable", clipped(shown));
            report.add_with_fix(*at, what, "name the variable only; its value is taken from the daemon's environment");
        }
    }
}

/// Whether a text can name an environment variable.
pub(super) fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn read_limits(fields: &Fields, report: &mut Report) -> AgentLimits {
    let default = AgentLimits::default();
    AgentLimits {
        turns: fields.whole_u32("turns", report).unwrap_or(default.turns),
        duration_secs: fields.duration_secs("duration", report).unwrap_or(default.duration_secs),
        silence_secs: fields.duration_secs("silence", report).unwrap_or(default.silence_secs),
        usd: fields.money("usd", report).filter(|usd| *usd > 0.0),
        tokens: fields.whole("tokens", report).filter(|tokens| *tokens > 0),
        max_output_bytes: fields.size_bytes("max_output", report).unwrap_or(default.max_output_bytes),
    }
}

/// The driver for any command.
const COMMAND: &str = "command";

/// The longest name of an agent, in characters.
const LONGEST_NAME: usize = 64;

/// The most agents that a file may define.
const MOST_AGENTS: usize = 1_000;
