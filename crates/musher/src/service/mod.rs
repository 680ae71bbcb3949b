//! musher as a service of the user's own service manager: systemd on Linux, launchd on macOS.
//!
//! A service is one repository's `musher up`, started at login and started anew when it fails. What the manager is told
//! about it (its definition) is a pure function of [`Service`]; what is asked of the manager stands beside it.

mod launchd;
mod systemd;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde::Serialize;

use crate::error::{Exit, Failure};

/// A repository's daemon, as a service manager is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    /// Its name: the folder's, and a few digits of the whole path's hash, since two repositories may share a name.
    pub(crate) name: String,
    /// The repository.
    pub(crate) root: PathBuf,
    /// The program.
    pub(crate) binary: PathBuf,
    /// Where programs are looked for: that of the shell in which it was installed, for a service manager knows a short one.
    pub(crate) search: String,
    /// A file with further variables, a `NAME=value` a line: keys of agents and of forges. It need not exist.
    pub(crate) variables: PathBuf,
    /// Where what it says goes.
    pub(crate) log: PathBuf,
}

/// How a service stands with its manager.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Standing {
    /// The manager's own word: active, failed, inactive …
    pub(crate) state: String,
    /// Whether it is started at login.
    pub(crate) enabled: bool,
    /// Its process, while it has one.
    pub(crate) pid: Option<u32>,
    /// How often the manager started it anew.
    pub(crate) restarts: u32,
}

/// Which service manager this machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manager {
    /// systemd's instance for the user.
    Systemd,
    /// launchd's domain of the user's session.
    Launchd,
}

impl Manager {
    /// That of this system.
    pub(crate) fn of_this_system() -> Result<Self, Failure> {
        if cfg!(target_os = "linux") {
            Ok(Self::Systemd)
        } else if cfg!(target_os = "macos") {
            Ok(Self::Launchd)
        } else {
            Err(Failure::failed("musher knows no service manager of this system")
                .fix("have it start `musher up` in the repository, and end it with SIGTERM"))
        }
    }

    /// The file that defines a service.
    pub(crate) fn file(self, service: &Service) -> Result<PathBuf, Failure> {
        match self {
            Self::Systemd => systemd::file(service),
            Self::Launchd => launchd::file(service),
        }
    }

    /// What the file says.
    pub(crate) fn definition(self, service: &Service) -> Result<String, Failure> {
        if service.search.chars().any(char::is_control) {
            return Err(Failure::new(Exit::Refused, "the variable PATH holds a control character")
                .fix("set it without, and install the service again"));
        }
        let places = [&service.root, &service.binary, &service.variables, &service.log];
        for place in places {
            let Some(text) = place.to_str().filter(|text| !text.chars().any(char::is_control)) else {
                return Err(Failure::new(
                    Exit::Refused,
                    format!("`{}` cannot be written into a definition", place.display()),
                )
                .why("it is no UTF-8, or holds a control character")
                .fix("give the folder another name"));
            };
            // systemd reads the file of variables as a pattern; one rule for all managers is easier to know.
            if text.contains(['*', '?', '[', '\\']) {
                return Err(Failure::new(Exit::Refused, format!("`{text}` cannot be written into a definition"))
                    .why("it holds one of `* ? [ \\`, which mean something there")
                    .fix("give the folder another name"));
            }
        }
        Ok(match self {
            Self::Systemd => systemd::definition(service),
            Self::Launchd => launchd::definition(service),
        })
    }

    /// Whether the manager answers at all.
    pub(crate) fn reachable(self) -> Result<(), Failure> {
        match self {
            Self::Systemd => systemd::reachable(),
            Self::Launchd => launchd::reachable(),
        }
    }

    /// Starts a service that has been defined, or starts it anew, and has it started at each login.
    pub(crate) fn start(self, service: &Service, file: &Path) -> Result<(), Failure> {
        match self {
            Self::Systemd => systemd::start(service),
            Self::Launchd => launchd::start(service, file),
        }
    }

    /// Ends a service and has it started no more. One that the manager does not know is ended already.
    pub(crate) fn stop(self, service: &Service) -> Result<(), Failure> {
        match self {
            Self::Systemd => systemd::stop(service),
            Self::Launchd => launchd::stop(service),
        }
    }

    /// Makes the manager forget a definition that has been removed.
    pub(crate) fn forget(self, service: &Service) -> Result<(), Failure> {
        match self {
            Self::Systemd => systemd::forget(service),
            Self::Launchd => Ok(()),
        }
    }

    /// How it stands.
    pub(crate) fn standing(self, service: &Service) -> Result<Standing, Failure> {
        match self {
            Self::Systemd => systemd::standing(service),
            Self::Launchd => launchd::standing(service),
        }
    }

    /// Why it would end when its user logs out, and what to do about it; nothing when it would not, or cannot be told.
    pub(crate) fn ends_at_logout(self) -> Option<&'static str> {
        match self {
            Self::Systemd => systemd::ends_at_logout(),
            Self::Launchd => Some("it ends when you log out, as all agents of launchd do"),
        }
    }
}

/// The user's folder.
fn home() -> Result<PathBuf, Failure> {
    std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from).ok_or_else(|| {
        Failure::failed("the variable HOME is not set").fix("set it to your folder: the definition is written below it")
    })
}

/// Runs a manager's tool; its own words when it fails.
fn ask(tool: &str, arguments: &[&str]) -> Result<Output, Failure> {
    let said = Command::new(tool).args(arguments).env("LC_ALL", "C").stdin(std::process::Stdio::null()).output();
    said.map_err(|error| Failure::failed(format!("`{tool}` cannot be run")).why(error.to_string()))
}

/// The same, and it has to succeed.
fn tell(tool: &str, arguments: &[&str]) -> Result<String, Failure> {
    let said = ask(tool, arguments)?;
    if said.status.success() {
        return Ok(String::from_utf8_lossy(&said.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&said.stderr).trim().to_owned();
    Err(Failure::failed(format!("`{tool} {}` failed", arguments.join(" "))).why(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn service(root: &str) -> Service {
        Service {
            name: "musher-shop-0a1b2c3d".into(),
            root: root.into(),
            binary: "/home/ada/.cargo/bin/musher".into(),
            search: "/home/ada/bin:/usr/bin".into(),
            variables: format!("{root}/.musher/service.env").into(),
            log: format!("{root}/.musher/daemon.log").into(),
        }
    }

    #[test]
    fn a_folder_that_a_definition_cannot_name_is_refused_by_every_manager() {
        for root in ["/home/ada/a\nb", "/home/ada/what?", "/home/ada/*", "/home/ada/[x]", "/home/ada/a\\b"] {
            for manager in [Manager::Systemd, Manager::Launchd] {
                let refused = manager.definition(&service(root)).unwrap_err();
                assert!(refused.words().0.contains("cannot be written into a definition"), "{refused:?}");
            }
        }
    }
}
