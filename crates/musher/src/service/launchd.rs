//! launchd's domain of the user's session: property lists, and `launchctl`.
//!
//! What `launchctl` says is for people and may change (launchctl(1)); only the two lines that tell state and process are
//! looked for, and what is not found counts as unknown.

use std::path::{Path, PathBuf};

use super::{Service, Standing, ask, home, tell};
use crate::error::Failure;

/// The name among the user's services.
fn label(service: &Service) -> String {
    format!("dev.{}", service.name.replacen('-', ".", 1))
}

fn domain() -> String {
    format!("gui/{}", nix::unistd::Uid::current())
}

pub(super) fn file(service: &Service) -> Result<PathBuf, Failure> {
    Ok(home()?.join("Library/LaunchAgents").join(format!("{}.plist", label(service))))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// launchd reads no file of variables: a shell does, and becomes the daemon.
const WITH_VARIABLES: &str = r#"if [ -r "$1" ]; then set -a; . "$1"; set +a; fi; shift; exec "$@""#;

pub(super) fn definition(service: &Service) -> String {
    let string = |text: &str| format!("<string>{}</string>", escaped(text));
    let place = |place: &Path| string(&place.to_string_lossy());
    let arguments = [
        string("/bin/sh"),
        string("-c"),
        string(WITH_VARIABLES),
        string("musher"),
        place(&service.variables),
        place(&service.binary),
        string("-C"),
        place(&service.root),
        string("up"),
    ];
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<!-- Written by `musher service install`, which writes it anew each time; `musher service uninstall` removes it. -->
<plist version="1.0">
<dict>
  <key>Label</key>{label}
  <key>ProgramArguments</key>
  <array>
    {arguments}
  </array>
  <key>WorkingDirectory</key>{root}
  <key>EnvironmentVariables</key>
  <dict>
    <key>PATH</key>{search}
  </dict>
  <key>RunAtLoad</key><true/>
  <key>KeepAlive</key>
  <dict>
    <key>SuccessfulExit</key><false/>
  </dict>
  <key>ThrottleInterval</key><integer>10</integer>
  <!-- Only the daemon is ended. Agents at work live on, and the next daemon takes them over. -->
  <key>AbandonProcessGroup</key><true/>
  <key>StandardOutPath</key>{log}
  <key>StandardErrorPath</key>{log}
</dict>
</plist>
"#,
        label = string(&label(service)),
        arguments = arguments.join("\n    "),
        root = place(&service.root),
        search = string(&service.search),
        log = place(&service.log),
    )
}

pub(super) fn reachable() -> Result<(), Failure> {
    tell("launchctl", &["print", &domain()]).map(|_| ()).map_err(|failure| {
        let (_, why) = failure.words();
        Failure::failed("your session's launchd cannot be reached").why(why).fix(
            "log in on the machine itself; or `musher service install --no-start`, which only writes the definition",
        )
    })
}

pub(super) fn start(service: &Service, file: &Path) -> Result<(), Failure> {
    // What is loaded already would be refused.
    stop(service)?;
    tell("launchctl", &["bootstrap", &domain(), &file.to_string_lossy()]).map(|_| ())
}

pub(super) fn stop(service: &Service) -> Result<(), Failure> {
    let target = format!("{}/{}", domain(), label(service));
    if !ask("launchctl", &["print", &target])?.status.success() {
        return Ok(());
    }
    tell("launchctl", &["bootout", &target]).map(|_| ())
}

pub(super) fn standing(service: &Service) -> Result<Standing, Failure> {
    let said = ask("launchctl", &["print", &format!("{}/{}", domain(), label(service))])?;
    let loaded = said.status.success();
    Ok(read(&String::from_utf8_lossy(&said.stdout), loaded))
}

fn read(said: &str, loaded: bool) -> Standing {
    let value = |name: &str| {
        let of =
            |line: &str| line.trim().strip_prefix(name).and_then(|rest| rest.strip_prefix(" = ")).map(str::to_owned);
        said.lines().find_map(of)
    };
    let state = match value("state").as_deref() {
        Some("running") => "active",
        Some(_) => "inactive",
        None if loaded => "unknown",
        None => "inactive",
    };
    let runs: Option<u32> = value("runs").and_then(|runs| runs.parse().ok());
    Standing {
        state: state.to_owned(),
        enabled: loaded,
        pid: value("pid").and_then(|pid| pid.parse().ok()),
        restarts: runs.unwrap_or_default().saturating_sub(1),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::service;
    use super::*;

    #[test]
    fn what_means_something_in_xml_is_escaped() {
        let text = definition(&service("/Users/ada/R&D <1>"));
        assert!(text.contains("<string>/Users/ada/R&amp;D &lt;1&gt;</string>"), "{text}");
        assert!(text.contains("<string>dev.musher.shop-0a1b2c3d</string>"), "{text}");
        assert!(!text.contains("R&D"), "{text}");
    }

    #[test]
    fn how_it_stands_is_read() {
        let said = "gui/501/dev.musher.shop = {\n\tstate = running\n\truns = 3\n\tpid = 4711\n}\n";
        let active = Standing { state: "active".into(), enabled: true, pid: Some(4711), restarts: 2 };
        assert_eq!(read(said, true), active);
        assert_eq!(read("", false), Standing { state: "inactive".into(), enabled: false, pid: None, restarts: 0 });
        assert_eq!(read("something new", true).state, "unknown");
    }

    /// The shell that reads the variables is the same everywhere.
    #[test]
    fn the_shell_passes_the_variables_on_and_becomes_the_program() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a file");
        std::fs::write(&file, "KEY='of two words'\n").unwrap();
        let run = |file: &Path| {
            let arguments = ["-c", WITH_VARIABLES, "musher"];
            let program = ["/bin/sh", "-c", "printf '%s|%s|%s' \"$KEY\" \"$0\" \"$1\"", "a b", "c"];
            let mut shell = std::process::Command::new("/bin/sh");
            let said = shell.args(arguments).arg(file).args(program).env_remove("KEY").output().unwrap();
            String::from_utf8(said.stdout).unwrap()
        };
        assert_eq!(run(&file), "of two words|a b|c");
        assert_eq!(run(&folder.path().join("none")), "|a b|c");
    }
}
