//! An agent that is ready to work: a home of its own, its part of `musher.toml`, and the scripted model behind it.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;

use crate::acp;
use crate::harness::{Daemon, Repo};
use crate::kind::Kind;
use crate::model::{Model, Scenario};

/// One real agent at a time, for some of them take most of a gigabyte.
static TURN: Mutex<()> = Mutex::new(());

/// An installed agent with its model.
pub(crate) struct Fixture {
    /// Which it is.
    pub(crate) kind: Kind,
    /// What it talks to.
    pub(crate) model: Model,
    command: Vec<String>,
    environment: Vec<(&'static str, String)>,
    // Not below `/tmp`, where one of them warns and where sandboxes allow everything.
    home: tempfile::TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Fixture {
    /// Prepares the agent for a scenario; none when it is not installed.
    #[track_caller]
    pub(crate) fn new(kind: Kind, scenario: Scenario) -> Option<Self> {
        let command = kind.command()?;
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let home = tempfile::Builder::new().prefix(kind.name()).tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let model = Model::start();
        let url = model.url(scenario, kind.name());
        kind.configure(home.path(), &url);
        let mut environment = kind.environment(home.path(), &url);
        if scenario == Scenario::ResetOnce {
            subscribe(&mut environment);
        }
        environment.push(("HOME", home.path().to_string_lossy().into_owned()));
        Some(Self { kind, model, command, environment, home, _turn: turn })
    }

    /// The whole `musher.toml` with this agent alone.
    ///
    /// Its limits only bound how long a broken test takes.
    pub(crate) fn config(&self, policy: &str) -> String {
        format!(
            "[project]\ngate = \"true\"\n\n[policy]\nreviewer_required = false\n{policy}\n\n[server]\nhttp = false\n\n{}",
            self.agent()
        )
    }

    /// Its `[[agents]]` table.
    pub(crate) fn agent(&self) -> String {
        let quoted = |text: &str| Value::from(text).to_string();
        let command: Vec<String> = self.command.iter().map(|word| quoted(word)).collect();
        let passed = self.environment.iter().map(|(name, _)| *name).filter(|name| *name != "HOME");
        let names: Vec<String> = passed.map(quoted).collect();
        // A plain command asks nobody.
        let approvals = if self.kind == Kind::CodexCommand { "" } else { "approvals = \"allow\"\n" };
        format!(
            "[[agents]]\nname = {}\ndriver = {}\ncommand = [{}]\nenv = [{}]\nmodel = {}\n{approvals}\
             max_load = 1\n\n[agents.limits]\nduration = \"5m\"\nsilence = \"3m\"\n",
            quoted(self.kind.name()),
            quoted(self.kind.driver()),
            command.join(", "),
            names.join(", "),
            quoted(self.kind.model()),
        )
    }

    /// A repository that is configured for this agent.
    pub(crate) fn repo(&self, policy: &str) -> Repo {
        Repo::with(&self.config(policy), "")
    }

    /// A daemon of the repository with the agent's environment.
    pub(crate) fn up(&self, repo: &Repo) -> Daemon {
        let pairs: Vec<(&str, &str)> = self.environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        repo.up_with(&pairs)
    }

    /// Lets the agent do one prompt by itself, without musher, in a folder of its own.
    pub(crate) fn alone(&self, prompt: &str) -> (PathBuf, Output) {
        let (folder, mut command) = self.by_itself();
        let output = command.args(self.kind.alone(prompt)).stdin(Stdio::null()).output().unwrap();
        (folder, output)
    }

    /// The same over the Agent Client Protocol; answers with the result of the prompt, or with what was refused.
    pub(crate) fn alone_by_acp(&self, prompt: &str) -> (PathBuf, Result<Value, String>) {
        let (folder, mut command) = self.by_itself();
        command.process_group(0);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let said = acp::prompt(&mut child, &folder, prompt);
        // The group, for one of them is a process and its wrapper.
        let group = Pid::from_raw(i32::try_from(child.id()).unwrap());
        let _ = killpg(group, Signal::SIGKILL);
        let _ = child.wait();
        (folder, said)
    }

    fn by_itself(&self) -> (PathBuf, Command) {
        let folder = self.home.path().join("work");
        std::fs::create_dir_all(&folder).unwrap();
        let mut command = Command::new(&self.command[0]);
        command.args(&self.command[1..]).env_clear().current_dir(&folder).env("PWD", &folder);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.environment.iter().map(|(name, value)| (*name, value)));
        (folder, command)
    }
}

/// Starts a mission of one item; its id.
#[track_caller]
pub(crate) fn begun(repo: &Repo, prompt: &str) -> String {
    let document = repo.musher(&["mission", "start", "--text", prompt, "--json"]).ok().json();
    document["mission"]["id"].as_str().unwrap().to_owned()
}

/// Claude Code tells of a reset only when it works for a subscription, which has no key.
fn subscribe(environment: &mut [(&'static str, String)]) {
    for variable in environment.iter_mut().filter(|(name, _)| *name == "ANTHROPIC_API_KEY") {
        *variable = ("CLAUDE_CODE_OAUTH_TOKEN", "sk-ant-oat01-fake".to_owned());
    }
}
