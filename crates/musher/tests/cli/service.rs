//! The service under a real systemd: the user's instance, in namespaces of its own, so that nothing of it outlives the test.

use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Repo, Said, config};

/// The longest that the manager may take to do what it was asked for.
const LONGEST: Duration = Duration::from_secs(240);

/// Works until it may end, and is told apart from another try by its process.
const AGENT: &str = "echo $$ >>\"$MUSHER_WORKTREE/../../agents\"; until [ -e \"$MUSHER_WORKTREE/../../go\" ]; do sleep 0.1; done; \
                     echo \"$SECRET_OF_IT\" >work";

/// A systemd of the user's, alone in its namespaces of processes and mounts.
struct Systemd<'a> {
    repo: &'a Repo,
    child: Child,
    /// The first process inside, as it is seen from here.
    inside: String,
}

/// What runs inside: a `/run` of its own, where systemd takes itself for booted.
const INSIDE: &str = "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system /run/user/0 && chmod 700 /run/user/0 && \
                      /lib/systemd/systemd --user & wait";

impl<'a> Systemd<'a> {
    /// Starts it and waits until it says that it is ready; nothing where it cannot be had.
    fn start(repo: &'a Repo) -> Option<Self> {
        let may = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
        let namespaces =
            may(Command::new("unshare").args(["-m", "-p", "-f", "--mount-proc", "mount", "-t", "tmpfs", "x", "/run"]));
        if !namespaces || !Path::new("/lib/systemd/systemd").exists() {
            eprintln!("left out: no systemd can be started here (root, `apt-get install systemd dbus-user-session`)");
            return None;
        }
        let told = UnixDatagram::bind(repo.file("outside-told")).unwrap();
        told.set_read_timeout(Some(LONGEST)).unwrap();
        let mut command = Command::new("unshare");
        command.args(["-m", "-p", "-f", "--mount-proc", "--kill-child", "sh", "-c", INSIDE]);
        command.env("NOTIFY_SOCKET", repo.file("outside-told"));
        let log = std::fs::File::create(repo.file("outside-systemd.log")).unwrap();
        let child =
            surroundings(&mut command, repo).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut words = [0u8; 4096];
        loop {
            let length = told.recv(&mut words).unwrap_or_else(|e| panic!("{e}: {}", repo.read("outside-systemd.log")));
            if String::from_utf8_lossy(&words[..length]).lines().any(|word| word == "READY=1") {
                break;
            }
        }
        let children = format!("/proc/{0}/task/{0}/children", child.id());
        let inside = std::fs::read_to_string(children).unwrap().trim().to_owned();
        Some(Self { repo, child, inside })
    }

    fn run(&self, program: &Path, arguments: &[&str]) -> Said {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.inside, "-m", "-p"]).arg(format!("--wd={}", self.repo.path().display()));
        command.arg("--").arg(program).args(arguments).env("NO_COLOR", "1").stdin(Stdio::null());
        surroundings(&mut command, self.repo).output().unwrap().into()
    }

    fn musher(&self, arguments: &[&str]) -> Said {
        self.run(Path::new(env!("CARGO_BIN_EXE_musher")), arguments)
    }

    fn service(&self) -> Value {
        self.musher(&["service", "status", "--json"]).ok().json()
    }

    /// Asks until the service has another process that answers.
    fn until_another(&self, pid: &Value) -> Value {
        self.until(|service| {
            let (now, answers) = (&service["standing"]["pid"], &service["daemon"]["pid"]);
            now.is_number() && now != pid && now == answers
        })
    }

    /// Asks until the service is like this.
    fn until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let service = self.service();
            if wanted(&service) {
                return service;
            }
            let log = || self.repo.read(".musher/daemon.log");
            assert!(begun.elapsed() < LONGEST, "still not after {LONGEST:?}: {service}\n{}", log());
        }
    }
}

impl Drop for Systemd<'_> {
    fn drop(&mut self) {
        // The namespace ends with its first process, and everything in it.
        let _ = Command::new("kill").args(["-KILL", &self.inside]).output();
        let _ = self.child.wait();
    }
}

fn surroundings<'a>(command: &'a mut Command, repo: &Repo) -> &'a mut Command {
    command.env("HOME", repo.path()).env("XDG_RUNTIME_DIR", "/run/user/0").env_remove("XDG_CONFIG_HOME");
    command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/user/0/bus").process_group(0)
}

fn repo() -> Repo {
    let env = "command = [\"sh\", \"{root}/agent.sh\", \"{prompt_file}\"]";
    Repo::with(&config("", "").replace(env, &format!("{env}\nenv = [\"SECRET_OF_IT\"]")), AGENT)
}

#[test]
fn a_unit_is_shown_and_refused_where_no_manager_is() {
    if !cfg!(target_os = "linux") {
        return;
    }
    let repo = repo();
    let shown = repo.musher(&["service", "install", "--dry-run"]).ok();
    assert!(shown.out.contains("Type=notify") && !repo.file(".config").exists(), "{shown:?}");
    repo.musher(&["service", "status"]).refused(3, "no service is installed");
    repo.musher(&["service", "uninstall"]).refused(3, "no service is installed");
    // Nobody answers on a bus that is not there; nothing is written then.
    let nowhere = |arguments: &[&str]| -> Said {
        let mut command = repo.command(arguments);
        command.env("XDG_RUNTIME_DIR", repo.file("nowhere")).env_remove("DBUS_SESSION_BUS_ADDRESS");
        command.output().unwrap().into()
    };
    nowhere(&["service", "install"]).refused(1, "cannot be r");
    assert!(!repo.file(".config").exists());
    let written = nowhere(&["service", "install", "--no-start", "--json"]).ok().json();
    let file = written["file"].as_str().unwrap();
    assert_eq!(std::fs::read_to_string(file).unwrap().trim_end(), shown.out.trim_end());
    assert_eq!(written["variables"], serde_json::json!(["SECRET_OF_IT"]));
    // systemd's own word, where it is here.
    match Command::new("systemd-analyze").args(["--user", "verify", file]).env("HOME", repo.path()).output() {
        Ok(said) => assert!(!String::from_utf8_lossy(&said.stderr).contains(file), "{said:?}"),
        Err(_) => eprintln!("left out: `systemd-analyze verify` (`apt-get install systemd`)"),
    }
}

#[test]
fn it_is_installed_killed_upgraded_stuck_and_removed_while_its_agent_works_on() {
    let repo = repo();
    let Some(systemd) = Systemd::start(&repo) else { return };
    // Started anew at once, and judged within seconds.
    let defined = systemd.musher(&["service", "install", "--no-start", "--json"]).ok().json();
    let (name, file) = (defined["name"].as_str().unwrap(), defined["file"].as_str().unwrap());
    let faster = Path::new(file).with_file_name(format!("{name}.service.d")).join("faster.conf");
    std::fs::create_dir_all(faster.parent().unwrap()).unwrap();
    std::fs::write(&faster, "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestartSec=0\n").unwrap();
    std::fs::create_dir_all(repo.file(".musher")).unwrap();
    repo.write(".musher/service.env", "SECRET_OF_IT=of the service\n");

    // By hand and as a service at once cannot be.
    systemd.musher(&["up", "--detach"]).ok();
    systemd.musher(&["service", "install"]).refused(4, "a daemon runs already");
    systemd.musher(&["down"]).ok();
    let said = systemd.musher(&["service", "install"]).ok();
    assert!(said.out.contains("is active") && !said.out.contains("the configuration names"), "{said:?}");
    let first = systemd.service();
    assert_eq!((&first["standing"]["state"], &first["standing"]["enabled"]), (&"active".into(), &true.into()));
    assert_eq!((&first["standing"]["pid"], &first["current"]), (&first["daemon"]["pid"], &true.into()), "{first}");

    let started = systemd.musher(&["mission", "start", "--text", "task", "--json"]).ok().json();
    let mission = started["mission"]["id"].as_str().unwrap().to_owned();
    while !repo.file(".musher/agents").exists() {
        std::thread::yield_now();
    }

    // Killed: another daemon is there, and the agent is the same.
    systemd.run(Path::new("kill"), &["-KILL", &first["daemon"]["pid"].to_string()]).ok();
    let second = systemd.until_another(&first["daemon"]["pid"]);
    assert_eq!(second["standing"]["restarts"], 1, "{second}");

    // Upgraded: another program takes over.
    let program = repo.file("outside-musher");
    std::fs::copy(env!("CARGO_BIN_EXE_musher"), &program).unwrap();
    assert_eq!(systemd.run(&program, &["service", "status", "--json"]).ok().json()["current"], false);
    let said = systemd.run(&program, &["service", "install"]).ok();
    assert!(said.out.contains("1 run(s) go on"), "{said:?}");
    let third = systemd.until_another(&second["daemon"]["pid"]);
    let running = format!("/proc/{}/exe", third["daemon"]["pid"]);
    assert!(systemd.run(Path::new("readlink"), &[&running]).ok().out.contains("outside-musher"));

    // Stuck: it says no more that it is well, and is ended and started anew.
    std::fs::write(&faster, "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestartSec=0\nWatchdogSec=3\n").unwrap();
    systemd.run(&program, &["service", "install"]).ok();
    let third = systemd.until_another(&third["daemon"]["pid"]);
    systemd.run(Path::new("kill"), &["-STOP", &third["daemon"]["pid"].to_string()]).ok();
    systemd.until_another(&third["daemon"]["pid"]);

    // All the while one agent has worked, and it has the variables of the service.
    assert_eq!(repo.read(".musher/agents").lines().count(), 1, "{}", repo.read(".musher/daemon.log"));
    repo.write(".musher/go", "");
    let ended = systemd.musher(&["mission", "status", &mission, "--watch"]).ok();
    assert!(ended.out.contains("completed"), "{ended:?}");
    assert_eq!(repo.git(&["show", "main:work"]), "of the service\n");
    assert_eq!(repo.titles().len(), 2);

    // Stopped by a person it stays so; removed, nothing of it is left.
    systemd.musher(&["down"]).ok();
    let down = systemd.until(|service| service["standing"]["state"] != "deactivating");
    assert_eq!((&down["standing"]["state"], &down["daemon"]), (&"inactive".into(), &Value::Null));
    systemd.musher(&["service", "uninstall"]).ok();
    assert!(!Path::new(file).exists());
    systemd.musher(&["service", "status"]).refused(3, "no service is installed");
    let units = systemd.run(Path::new("systemctl"), &["--user", "list-units", "--all", "--no-legend", "musher-*"]).ok();
    assert_eq!(units.out.trim(), "");
}
