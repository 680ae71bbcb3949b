//! `musher service`.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};

use musher_core::config::{Config, SecretRef, SinkTo};
use musher_core::plan;
use musher_server::api::Status;
use musher_server::client::Client;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::connect::Context;
use crate::error::{Exit, Failure, Outcome};
use crate::output;
use crate::project::Project;
use crate::service::{Manager, Service, Standing};

/// The daemon of this repository as a service of yours: started at login, started anew when it fails
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Define it and start it; again, after an upgrade or with another PATH, it changes over and agents at work go on
    Install {
        /// Write the definition only
        #[arg(long)]
        no_start: bool,
        /// Show the definition and write nothing
        #[arg(long, conflicts_with = "no_start")]
        dry_run: bool,
    },
    /// Stop it and remove its definition; agents at work go on
    Uninstall,
    /// How it stands
    Status,
}

pub(crate) async fn run(command: &Command, cx: &Context) -> Outcome {
    let manager = Manager::of_this_system()?;
    match command {
        Command::Install { no_start, dry_run } => install(manager, *no_start, *dry_run, cx).await,
        Command::Uninstall => uninstall(manager, cx).await,
        Command::Status => status(manager, cx).await,
    }
}

/// The service of a repository.
fn service_of(root: &Path) -> Result<Service, Failure> {
    let paths = musher_engine::Paths::of(root);
    let folder = root.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let hash = Sha256::digest(root.to_string_lossy().as_bytes());
    let digits: String = hash.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    Ok(Service {
        name: format!("musher-{}-{digits}", plan::slug(&folder)),
        root: root.to_owned(),
        binary: std::env::current_exe()?,
        search: std::env::var("PATH").unwrap_or_default(),
        variables: paths.state.join("service.env"),
        log: paths.log(),
    })
}

async fn install(manager: Manager, no_start: bool, dry_run: bool, cx: &Context) -> Outcome {
    let project = super::up::set_up(cx)?;
    let service = service_of(&project.paths.root)?;
    let (file, text) = (manager.file(&service)?, manager.definition(&service)?);
    let missing = missing_variables(&project.config, &service.variables)?;
    if dry_run {
        let document = json!({"name": service.name, "file": file, "definition": text, "variables": missing});
        return cx.say(&document, || output::line(text.trim_end()));
    }
    let client = Client::new(project.paths.socket());
    let before = client.status().await.ok();
    if !no_start {
        manager.reachable()?;
        refuse_another(manager, &service, before.as_ref())?;
    }
    crate::daemon::make_private(&project.paths.state)?;
    write(&file, &text)?;
    let standing = if no_start { None } else { Some(start(manager, &service, &file, &project)?) };
    let after = if no_start { None } else { Some(client.status().await?) };
    let document = json!({"name": service.name, "file": file, "standing": standing, "variables": missing});
    cx.say(&document, || {
        output::line(&format!("wrote {}", file.display()));
        match (&standing, &after) {
            (Some(standing), Some(after)) => {
                let pid = standing.pid.unwrap_or(after.daemon.pid);
                output::line(&format!("musher {} is {} (pid {pid})", after.daemon.version, standing.state));
                before.iter().for_each(|before| output::line(&changed_over(before, after)));
                manager.ends_at_logout().iter().for_each(|note| output::line(&format!("note: {note}")));
            }
            _ => output::line("next: `musher service install` starts it"),
        }
        tell_missing(&missing, &service.variables);
    })
}

/// What became of the daemon that was there before.
fn changed_over(before: &Status, after: &Status) -> String {
    let (old, new) = (&before.daemon.version, &after.daemon.version);
    let runs = after.agents.iter().map(|agent| agent.load).sum::<u32>();
    let of = if old == new { String::new() } else { format!(" of {old}") };
    format!("it took over from the daemon{of} with pid {}; {runs} run(s) go on", before.daemon.pid)
}

/// A daemon that somebody else started holds the state: the service could only fail.
fn refuse_another(manager: Manager, service: &Service, running: Option<&Status>) -> Result<(), Failure> {
    let Some(running) = running else { return Ok(()) };
    if manager.standing(service)?.pid == Some(running.daemon.pid) {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Refused,
        format!("a daemon runs already (pid {}), and not as a service", running.daemon.pid),
    )
    .fix("`musher down` first: agents at work go on, and the service takes them over"))
}

/// Writes the definition in one piece: the manager may be reading.
fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::failed(format!("`{}` cannot be written", file.display())).why(error.to_string())
    };
    let folder = file.parent().unwrap_or(Path::new("/"));
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut new = tempfile::Builder::new().prefix(".musher-").tempfile_in(folder).map_err(failed)?;
    new.write_all(text.as_bytes()).map_err(failed)?;
    new.persist(file).map_err(|error| failed(error.error))?;
    Ok(())
}

fn start(manager: Manager, service: &Service, file: &Path, project: &Project) -> Result<Standing, Failure> {
    let log = project.paths.log();
    let before = log.metadata().map_or(0, |metadata| metadata.len());
    manager.start(service, file).map_err(|failure| {
        let words = super::up::last_words(&log, before);
        if words.is_empty() { failure } else { super::up::why_not(&words, None) }
    })?;
    manager.standing(service)
}

async fn uninstall(manager: Manager, cx: &Context) -> Outcome {
    let paths = cx.project_paths()?;
    let service = service_of(&paths.root)?;
    let file = installed(manager, &service)?;
    let live = Client::new(paths.socket()).status().await.ok().map(|status| status.agents.iter().map(|a| a.load).sum());
    manager.reachable()?;
    manager.stop(&service)?;
    std::fs::remove_file(&file)?;
    manager.forget(&service)?;
    let live: u32 = live.unwrap_or_default();
    cx.say(&json!({"name": service.name, "removed": file, "runs": live}), || {
        output::line(&format!("stopped, and removed {}", file.display()));
        if live > 0 {
            output::line(&format!("{live} run(s) go on; `musher up` takes them over"));
        }
    })
}

/// The definition, if there is one.
fn installed(manager: Manager, service: &Service) -> Result<PathBuf, Failure> {
    let file = manager.file(service)?;
    if file.exists() {
        return Ok(file);
    }
    Err(Failure::new(Exit::NotFound, "no service is installed for this repository")
        .why(format!("`{}` is not there", file.display()))
        .fix("`musher service install`"))
}

async fn status(manager: Manager, cx: &Context) -> Outcome {
    let paths = cx.project_paths()?;
    let service = service_of(&paths.root)?;
    let file = installed(manager, &service)?;
    let current = std::fs::read_to_string(&file)? == manager.definition(&service)?;
    let standing = manager.standing(&service)?;
    let daemon = Client::new(paths.socket()).status().await.ok().map(|status| status.daemon);
    let note = manager.ends_at_logout();
    let document = json!({
        "name": service.name, "file": file, "standing": standing, "current": current,
        "daemon": daemon.as_ref().map(|daemon| json!({"pid": daemon.pid, "version": daemon.version})),
        "note": note,
    });
    cx.say(&document, || {
        let at_login = if standing.enabled { "starts at login" } else { "does not start at login" };
        let again = if standing.restarts > 0 { format!(", started anew {} time(s)", standing.restarts) } else { String::new() };
        output::line(&format!("{}: {}, {at_login}{again}", service.name, standing.state));
        match &daemon {
            Some(daemon) if standing.pid == Some(daemon.pid) => {
                output::line(&format!("daemon: musher {}, pid {}", daemon.version, daemon.pid));
            }
            Some(daemon) => output::line(&format!(
                "daemon: musher {}, pid {}, which is not the service's: `musher down`, then `musher service install`",
                daemon.version, daemon.pid
            )),
            None => output::line("daemon: none answers; `.musher/daemon.log` has its words"),
        }
        output::line(&format!("file: {}", file.display()));
        if !current {
            output::line("note: this program or this PATH is not what it was installed with; `musher service install` changes over");
        }
        note.iter().for_each(|note| output::line(&format!("note: {note}")));
    })
}

/// The variables that the configuration names and that a service would not have, for it does not get those of a shell.
fn missing_variables(config: &Config, file: &Path) -> Result<Vec<String>, Failure> {
    let mut named: BTreeSet<String> = config.enabled_agents().flat_map(|agent| agent.env.iter().cloned()).collect();
    let of_sinks = config.sinks.iter().filter_map(|sink| match &sink.to {
        SinkTo::Webhook { secret, .. } | SinkTo::Relay { token: secret, .. } => Some(secret),
        SinkTo::File { .. } | SinkTo::Desktop => None,
    });
    let forge = config.forge.token.iter().chain(&config.forge.review_token).chain(&config.forge.webhook);
    let secrets = config.secrets.values().chain(forge).chain(&config.relay.token).chain(of_sinks);
    named.extend(secrets.filter_map(|secret| match secret {
        SecretRef::Env(name) => Some(name.clone()),
        SecretRef::File(_) => None,
    }));
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => {
            return Err(Failure::failed(format!("`{}` cannot be read", file.display())).why(error.to_string()));
        }
    };
    for line in text.lines() {
        if let Some((name, _)) = line.trim().split_once('=') {
            named.remove(name);
        }
    }
    // Settings that this shell has, and the service would not.
    let settings = std::env::vars().map(|(name, _)| name).filter(|name| is_setting(name));
    named.extend(settings.filter(|name| !text.lines().any(|line| line.trim().starts_with(&format!("{name}=")))));
    // What every service is given.
    ["PATH", "HOME", "USER", "SHELL", "LANG"].iter().for_each(|name| {
        named.remove(*name);
    });
    Ok(named.into_iter().collect())
}

/// Whether a variable is read as a key of the configuration; what else begins alike is none.
fn is_setting(name: &str) -> bool {
    const OTHERS: [&str; 3] = ["MUSHER_TOOLS_SOCKET", "MUSHER_TOOLS_PASS", "MUSHER_LOG"];
    name.starts_with("MUSHER_") && !name.starts_with("MUSHER_TEST_") && !OTHERS.contains(&name)
}

fn tell_missing(missing: &[String], file: &Path) {
    if missing.is_empty() {
        return;
    }
    output::line(&format!(
        "a service does not have your shell's variables, and the configuration names {}:",
        missing.join(", ")
    ));
    output::line(&format!(
        "  write them, a NAME=value a line, into {} (chmod 600), then `musher service install`",
        file.display()
    ));
}
