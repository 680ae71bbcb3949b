//! `musher doctor`.

use std::collections::BTreeMap;
use std::path::Path;

use musher_agents::probe::{self, Finding, Verdict};
use musher_core::agent::AgentSpec;
use musher_core::config::{Config, SinkTo};
use musher_core::mission::Delivery;
use musher_engine::Paths;
use musher_server::api::{Daemon, Status};
use musher_server::{Client, ClientError, Notifier};
use serde::Serialize;

use crate::connect::Context;
use crate::error::{Exit, Outcome};
use crate::output::{self, Tone, paint};
use crate::project;

/// Check this machine, the repository, the configuration and every agent; each problem with its fix
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) checks: Vec<Check>,
}

#[derive(Debug, Serialize)]
pub(super) struct Check {
    name: String,
    status: &'static str,
    text: String,
    fix: Option<String>,
}

fn pass(name: impl Into<String>, text: impl Into<String>) -> Check {
    Check { name: name.into(), status: "pass", text: text.into(), fix: None }
}

fn warn(name: impl Into<String>, text: impl Into<String>, fix: impl Into<String>) -> Check {
    Check { name: name.into(), status: "warn", text: text.into(), fix: Some(fix.into()) }
}

fn fail(name: impl Into<String>, text: impl Into<String>, fix: impl Into<String>) -> Check {
    Check { name: name.into(), status: "fail", text: text.into(), fix: Some(fix.into()) }
}

pub(crate) async fn run(_: &Args, cx: &Context) -> Outcome {
    show(Report { checks: checks(cx).await }, cx)
}

/// Shows what was found; the exit code says whether something cannot work.
pub(super) fn show(report: Report, cx: &Context) -> Outcome {
    let failed = report.checks.iter().any(|c| c.status == "fail");
    cx.say(&report, || {
        for check in &report.checks {
            let tone = match check.status {
                "pass" => Tone::Good,
                "warn" => Tone::Busy,
                _ => Tone::Bad,
            };
            output::line(&format!("{}  {}: {}", paint(check.status, tone), check.name, output::harmless(&check.text)));
            if let Some(fix) = &check.fix {
                output::line(&format!("      fix: {fix}"));
            }
        }
    })?;
    Ok(if failed { Exit::Failed.code() } else { 0 })
}

async fn checks(cx: &Context) -> Vec<Check> {
    let mut checks = Vec::new();
    match musher_git::version_check() {
        Ok(version) => checks.push(pass("git", version.to_string())),
        Err(error) => checks.push(fail("git", error.to_string(), error.fix())),
    }
    let root = match musher_git::Repository::open(&cx.folder) {
        Ok(repository) => {
            checks.push(pass("repository", repository.top().display().to_string()));
            checks.push(match repository.identity() {
                Ok(who) => pass("identity", format!("{} <{}>", who.name, who.email)),
                Err(error) => fail("identity", error.to_string(), error.fix()),
            });
            repository.top().to_owned()
        }
        Err(error) => {
            checks.push(fail("repository", error.to_string(), error.fix()));
            return checks;
        }
    };
    let paths = Paths::of(root);
    let daemon = Client::new(paths.socket()).status().await;
    checks.push(disk(&paths));
    checks.push(state(&paths));
    if !paths.config().exists() {
        checks.push(fail("config", "there is no musher.toml", "`musher init` writes a first one"));
        return checks;
    }
    match project::read_config(&paths) {
        Ok(config) => checks.extend(of_config(&config, &paths, daemon.as_ref().ok()).await),
        Err(failure) => {
            let (what, why) = failure.words();
            checks.push(fail("config", format!("{what}: {why}"), "mend what is named, then `musher config check`"));
        }
    }
    checks.push(match daemon {
        Ok(_) => pass("daemon", "runs and answers"),
        Err(ClientError::NoDaemon { .. }) => {
            warn("daemon", "none runs for this repository", "`musher up --detach` starts one")
        }
        Err(error) => fail("daemon", error.to_string(), error.fix().unwrap_or_default()),
    });
    checks
}

fn disk(paths: &Paths) -> Check {
    match musher_git::free_space(&paths.root) {
        Ok(free) if free < 2 << 30 => {
            warn("disk", format!("{} MiB free", free >> 20), "make room: below `min_free` (2 GiB) no worktree is made")
        }
        Ok(free) => pass("disk", format!("{} GiB free", free >> 30)),
        Err(error) => fail("disk", error.to_string(), error.fix()),
    }
}

/// Whether the state can be kept where it belongs.
fn state(paths: &Paths) -> Check {
    let folder = if paths.state.exists() { &paths.state } else { &paths.root };
    match nix::unistd::access(folder, nix::unistd::AccessFlags::W_OK) {
        Ok(()) => pass("state", paths.state.display().to_string()),
        Err(error) => {
            fail("state", format!("`{}`: {}", folder.display(), error.desc()), "own the folder or mount it writable")
        }
    }
}

async fn of_config(config: &Config, paths: &Paths, status: Option<&Status>) -> Vec<Check> {
    let daemon = status.map(|status| &status.daemon);
    let mut checks = vec![pass("config", format!("{} agent(s)", config.agents.len()))];
    checks.push(match &config.project.gate {
        Some(gate) => pass("gate", gate.clone()),
        None => warn(
            "gate",
            "none is configured, so nothing reaches the base branch: work is gathered on a branch of its own",
            "`gate = \"…\"` under [project] in musher.toml",
        ),
    });
    checks.extend(match (&config.forge.webhook, daemon) {
        (Some(secret), Some(daemon)) => Some(webhooks_of(daemon, &secret.to_string())),
        _ => webhooks(config, paths),
    });
    if config.agents.is_empty() {
        checks.push(fail("agents", "none is configured", "name one under [[agents]] in musher.toml"));
    }
    for agent in &config.agents {
        checks.extend(of_agent(&agent.spec(), &paths.root).await);
    }
    checks.extend(relay(config, paths, status));
    checks.extend(config.sinks.iter().filter(|sink| sink.to == SinkTo::Desktop).map(|sink| of_desktop(&sink.name)));
    checks
}

/// Whether the hub of the config is told what happens: by the daemon that runs, or by one that is started here.
fn relay(config: &Config, paths: &Paths, status: Option<&Status>) -> Option<Check> {
    let name = "relay";
    let sink = match config.relay.sink() {
        Ok(sink) => sink?,
        Err(error) => return Some(fail(name, error.to_string(), error.fix())),
    };
    if let Some(row) = status.and_then(|status| status.sinks.iter().find(|row| row.name == sink.name)) {
        return Some(match &row.error {
            Some(error) => fail(
                name,
                format!("{} takes nothing, and {} event(s) wait: {error}", row.to, row.behind),
                "it is tried again by itself; `musher sink test relay` tries at once",
            ),
            None => pass(name, format!("{} is told what happens; {} event(s) wait", row.to, row.behind)),
        });
    }
    let SinkTo::Relay { url, token, .. } = &sink.to else { return None };
    Some(match crate::daemon::read_secret(token, &paths.root) {
        Ok(_) if status.is_some() => warn(name, "the daemon that runs does not relay", "`.musher/daemon.log` says why"),
        Ok(_) => pass(name, format!("the token is set; {url} is told once a daemon runs")),
        Err(failure) => fail(name, failure.words().0, "set what `token` in [relay] names"),
    })
}

/// Whether the program that shows notifications is there; whether there is a desktop is seen when it shows one.
fn of_desktop(sink: &str) -> Check {
    let (name, notifier) = (format!("sink {sink}"), Notifier::of_this_machine());
    if notifier.is_there() {
        let text =
            format!("`{}` is there; `musher sink test {sink}` shows whether it reaches a desktop", notifier.program());
        return pass(name, text);
    }
    warn(name, format!("`{}` is not on the PATH", notifier.program()), notifier.fix())
}

/// Whether the daemon that runs takes webhooks of the forge. It has an environment of its own, which is what counts.
fn webhooks_of(daemon: &Daemon, secret: &str) -> Check {
    let name = "webhooks";
    let Some(door) = daemon.webhooks.as_ref().filter(|door| door.secret == secret) else {
        let fix = "set it where the daemon is started, then `musher down` and `musher up --detach`; `.musher/daemon.log` says what it lacks";
        return fail(name, format!("the daemon that runs does not have the secret `{secret}`"), fix);
    };
    match &daemon.http {
        Some(http) if http.listening => {
            let taken = format!("the secret is set; those of {} are taken on {}", door.repository, http.address);
            pass(name, taken)
        }
        Some(http) => fail(
            name,
            format!("the secret is set, but the daemon is {}", output::http(http)),
            "end what has the address, or choose another by `listen` in [server] of musher.toml and start the daemon anew",
        ),
        None => fail(
            name,
            "the secret is set, but the daemon that runs does not listen where they could come",
            "write http = true into [server] of musher.toml, then `musher down` and `musher up --detach`",
        ),
    }
}

/// Whether webhooks of the forge could be taken by a daemon that is started here, where pull requests are made or their secret is named.
fn webhooks(config: &Config, paths: &Paths) -> Option<Check> {
    let name = "webhooks";
    match crate::forge::webhook_setup(config, &paths.root) {
        Ok(None) if config.project.delivery != Delivery::Pr => None,
        Ok(None) => Some(pass(name, "none are taken: GitHub is asked at every `watch_interval`")),
        Ok(Some(_)) if !config.server.http => Some(fail(
            name,
            "the secret is set, but the daemon does not listen where they could come",
            "write http = true into [server] of musher.toml",
        )),
        Ok(Some(setup)) => Some(pass(name, format!("the secret is set; those of {} are taken", setup.repository))),
        Err(failure) => {
            let fix = "set what `webhook` in [forge] names, to the secret that the forge signs with";
            Some(fail(name, failure.words().0, fix))
        }
    }
}

/// The environment that an agent's program is looked for in.
pub(super) fn environment() -> BTreeMap<String, String> {
    std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?))).collect()
}

/// What can be told of an agent without giving it work.
pub(super) async fn of_agent(spec: &AgentSpec, root: &Path) -> Vec<Check> {
    let findings = probe::probe(spec, root, &environment()).await;
    findings.into_iter().map(|found| of_finding(&spec.name, found)).collect()
}

fn of_finding(agent: &str, found: Finding) -> Check {
    let status = match found.verdict {
        Verdict::Pass => "pass",
        Verdict::Warn => "warn",
        Verdict::Fail => "fail",
    };
    Check { name: format!("agent {agent}: {}", found.what), status, text: found.text, fix: found.fix }
}
