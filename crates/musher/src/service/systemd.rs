//! The user's systemd: units, and `systemctl --user`.

use std::path::PathBuf;

use super::{Service, Standing, ask, home, tell};
use crate::error::Failure;

fn unit(service: &Service) -> String {
    format!("{}.service", service.name)
}

/// Where a user's own units are (systemd.unit(5)).
pub(super) fn file(service: &Service) -> Result<PathBuf, Failure> {
    let config = std::env::var_os("XDG_CONFIG_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let config = match config {
        Some(folder) => folder,
        None => home()?.join(".config"),
    };
    Ok(config.join("systemd/user").join(unit(service)))
}

/// A word of a unit in quotes: those, the backslash and the sign of specifiers escaped.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%"))
}

/// A place that stands without quotes.
fn plain(place: &std::path::Path) -> String {
    place.to_string_lossy().replace('%', "%%")
}

pub(super) fn definition(service: &Service) -> String {
    // In a command line a dollar begins a variable.
    let word = |place: &std::path::Path| quoted(&place.to_string_lossy()).replace('$', "$$");
    let (binary, root) = (word(&service.binary), word(&service.root));
    format!(
        "# Written by `musher service install`, which writes it anew each time; `musher service uninstall` removes it.
[Unit]
Description=musher for {folder}
StartLimitIntervalSec=300
StartLimitBurst=5

[Service]
Type=notify
NotifyAccess=main
ExecStart={binary} -C {root} up
Environment={search}
EnvironmentFile=-{variables}
StandardOutput=append:{log}
StandardError=append:{log}
# The daemon says that its loop answers; one that has stopped doing so is ended and started anew.
WatchdogSec=120
Restart=on-failure
RestartSec=5
# What another start would not change: words that make no sense, a state that another musher holds.
RestartPreventExitStatus=2 4
TimeoutStartSec=300
TimeoutStopSec=60
# Only the daemon is ended. Agents at work live on, and the next daemon takes them over.
KillMode=process

[Install]
WantedBy=default.target
",
        folder = plain(&service.root),
        search = quoted(&format!("PATH={}", service.search)),
        variables = plain(&service.variables),
        log = plain(&service.log),
    )
}

pub(super) fn reachable() -> Result<(), Failure> {
    tell("systemctl", &["--user", "show", "--property=Version"]).map(|_| ()).map_err(|failure| {
        let (_, why) = failure.words();
        Failure::failed("your systemd cannot be reached")
            .why(why)
            .fix("log in as this user itself, not by su or sudo; or `musher service install --no-start`, which only writes the unit")
    })
}

pub(super) fn start(service: &Service) -> Result<(), Failure> {
    let unit = unit(service);
    tell("systemctl", &["--user", "daemon-reload"])?;
    tell("systemctl", &["--user", "enable", &unit])?;
    // A unit that failed too often is not started before its failures are forgotten; one that never failed has none.
    ask("systemctl", &["--user", "reset-failed", &unit])?;
    tell("systemctl", &["--user", "restart", &unit]).map(|_| ())
}

pub(super) fn stop(service: &Service) -> Result<(), Failure> {
    tell("systemctl", &["--user", "disable", "--now", &unit(service)]).map(|_| ())
}

pub(super) fn forget(service: &Service) -> Result<(), Failure> {
    tell("systemctl", &["--user", "daemon-reload"])?;
    ask("systemctl", &["--user", "reset-failed", &unit(service)]).map(|_| ())
}

pub(super) fn standing(service: &Service) -> Result<Standing, Failure> {
    let asked = "--property=ActiveState,UnitFileState,MainPID,NRestarts";
    let said = tell("systemctl", &["--user", "show", asked, &unit(service)])?;
    Ok(read(&said))
}

/// Reads what `systemctl show` says, a `Name=value` a line. What it leaves out is taken for unknown.
fn read(said: &str) -> Standing {
    let value = |name: &str| {
        let of = |line: &'_ str| line.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')).map(str::to_owned);
        said.lines().find_map(of).unwrap_or_default()
    };
    let state = value("ActiveState");
    Standing {
        state: if state.is_empty() { "unknown".to_owned() } else { state },
        enabled: value("UnitFileState") == "enabled",
        pid: value("MainPID").parse().ok().filter(|pid| *pid != 0),
        restarts: value("NRestarts").parse().unwrap_or_default(),
    }
}

pub(super) fn ends_at_logout() -> Option<&'static str> {
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::current()).ok().flatten()?;
    let lingers = std::path::Path::new("/var/lib/systemd/linger").join(user.name).exists();
    (!lingers).then_some("it ends when you log out; `loginctl enable-linger` keeps it from boot to shutdown")
}

#[cfg(test)]
mod tests {
    use super::super::tests::service;
    use super::*;

    #[test]
    fn what_means_something_in_a_unit_is_escaped() {
        let mut odd = service("/home/ada/100% of \"$HOME\"");
        odd.search = "/opt/a b:/opt/50%".into();
        let text = definition(&odd);
        for line in [
            "Description=musher for /home/ada/100%% of \"$HOME\"",
            r#"ExecStart="/home/ada/.cargo/bin/musher" -C "/home/ada/100%% of \"$$HOME\"" up"#,
            r#"Environment="PATH=/opt/a b:/opt/50%%""#,
            "EnvironmentFile=-/home/ada/100%% of \"$HOME\"/.musher/service.env",
            "StandardError=append:/home/ada/100%% of \"$HOME\"/.musher/daemon.log",
        ] {
            assert!(text.lines().any(|written| written == line), "{line}: {text}");
        }
    }

    #[test]
    fn how_a_unit_stands_is_read() {
        let said = "MainPID=4711\nActiveState=active\nUnitFileState=enabled\nNRestarts=2\n";
        let active = Standing { state: "active".into(), enabled: true, pid: Some(4711), restarts: 2 };
        assert_eq!(read(said), active);
        let none = Standing { state: "inactive".into(), enabled: false, pid: None, restarts: 0 };
        assert_eq!(read("MainPID=0\nActiveState=inactive\nUnitFileState=\nNRestarts=what\n"), none);
        assert_eq!(read("").state, "unknown");
    }
}
