//! Looks at an agent before it is given work: its program, its version, its account, its sandbox.
//!
//! It asks a program for nothing but its version, and looks for an account where the program keeps it: whether a
//! provider accepts that account is known only once it has worked.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use musher_core::agent::{AgentSpec, Sandbox};
use musher_core::config::drivers::{self, Speech};
use musher_core::config::expand;

use crate::command::{home, resolve_program, sandbox};
use crate::host::StartFailure;

/// How long a program has to say its version.
const VERSION_WAIT: Duration = Duration::from_secs(15);

/// How a look ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Pass,
    /// It may not work, or cannot be told.
    Warn,
    /// It cannot work.
    Fail,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at: program, version, protocol, account, sandbox.
    pub what: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// In words.
    pub text: String,
    /// The exact fix, where one is needed.
    pub fix: Option<String>,
}

fn pass(what: &'static str, text: impl Into<String>) -> Finding {
    Finding { what, verdict: Verdict::Pass, text: text.into(), fix: None }
}

fn found(what: &'static str, verdict: Verdict, text: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { what, verdict, text: text.into(), fix: Some(fix.into()) }
}

/// Where a program keeps its account: a variable that holds a key, or a file below its configuration folder.
struct Account {
    driver: &'static str,
    keys: &'static [&'static str],
    /// The variable that moves the folder, the folder below `HOME` without it, and the file there.
    folder: (&'static str, &'static str, &'static str),
    login: &'static str,
    install: &'static str,
}

const ACCOUNTS: [Account; 5] = [
    Account {
        driver: "claude",
        keys: &["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"],
        folder: ("CLAUDE_CONFIG_DIR", ".claude", ".credentials.json"),
        login: "run `claude` once and log in, or name ANTHROPIC_API_KEY in the agent's `env` and export it",
        install: "npm install -g @anthropic-ai/claude-code",
    },
    Account {
        driver: "codex",
        keys: &["OPENAI_API_KEY", "CODEX_API_KEY"],
        folder: ("CODEX_HOME", ".codex", "auth.json"),
        login: "run `codex login`, or name the key of its provider in the agent's `env` and export it",
        install: "npm install -g @openai/codex",
    },
    Account {
        driver: "opencode",
        keys: &["OPENCODE_CONFIG_CONTENT", "ANTHROPIC_API_KEY", "OPENAI_API_KEY"],
        folder: ("XDG_DATA_HOME", ".local/share", "opencode/auth.json"),
        login: "run `opencode auth login`, or name the key of its provider in the agent's `env` and export it",
        install: "npm install -g opencode-ai",
    },
    Account {
        driver: "gemini",
        keys: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        folder: ("", ".gemini", "oauth_creds.json"),
        login: "run `gemini` once and log in, or name GEMINI_API_KEY in the agent's `env` and export it",
        install: "npm install -g @google/gemini-cli",
    },
    Account {
        driver: "qwen",
        keys: &["OPENAI_API_KEY"],
        folder: ("", ".qwen", "oauth_creds.json"),
        login: "run `qwen` once and log in, or name OPENAI_API_KEY in the agent's `env` and export it",
        install: "npm install -g @qwen-code/qwen-code",
    },
];

/// What is said of a program that is not found.
const NOT_THERE: &str = "is not there, or may not be executed";

/// Whether what is wrong with an agent is that its program is missing: as it is said here, or by a run that could not
/// be started.
pub fn is_of_the_program(error: &str) -> bool {
    let of_a_run = [StartFailure::Missing, StartFailure::NotExecutable];
    error.contains(NOT_THERE) || of_a_run.iter().any(|failure| error.ends_with(failure.fix()))
}

/// Where the program of an agent is; nothing when only a run can tell, for it lies in its worktree.
///
/// # Errors
/// It is not there, or may not be executed; in words, with the fix.
pub fn program(
    spec: &AgentSpec,
    root: &Path,
    environment: &BTreeMap<String, String>,
) -> Result<Option<PathBuf>, Finding> {
    let first = match (spec.command.first(), drivers::named(&spec.driver)) {
        (Some(program), _) => program.to_string(),
        (None, Some(known)) => known.command.first().copied().unwrap_or_default().to_owned(),
        (None, None) => String::new(),
    };
    let known = |name: &str| (name == "root").then(|| root.to_string_lossy().into_owned());
    let Ok(first) = expand(&first, known) else { return Ok(None) };
    let named = resolve_program(root, &first);
    let path = environment.get("PATH").map(String::as_str).unwrap_or_default();
    let places: Vec<PathBuf> = if named.contains('/') {
        vec![PathBuf::from(&named)]
    } else {
        std::env::split_paths(path).map(|folder| folder.join(&named)).collect()
    };
    let runs = |place: &&PathBuf| place.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
    places.iter().find(runs).cloned().map(Some).ok_or_else(|| {
        let install = account_of(spec).map(|account| format!("install it (`{}`), or ", account.install));
        let fix = format!("{}name the program in the agent's `command`", install.unwrap_or_default());
        found("program", Verdict::Fail, format!("`{named}` {NOT_THERE}"), fix)
    })
}

/// Everything that can be told of an agent without giving it work.
pub async fn probe(spec: &AgentSpec, root: &Path, environment: &BTreeMap<String, String>) -> Vec<Finding> {
    let mut findings = Vec::new();
    match program(spec, root, environment) {
        Err(missing) => findings.push(missing),
        Ok(None) => findings.push(pass("program", "only a run can tell where it is")),
        Ok(Some(path)) => {
            findings.push(pass("program", path.display().to_string()));
            if speaks(spec) {
                findings.push(version(&path, environment).await);
            }
        }
    }
    findings.push(protocol(spec));
    findings.extend(account(spec, root, environment));
    if spec.sandbox == Sandbox::Bwrap {
        findings.push(match sandbox::check() {
            Ok(()) => pass("sandbox", "bubblewrap works here"),
            Err(why) => {
                let (text, fix) = why.split_once("; ").unwrap_or((&why, "write sandbox = \"none\""));
                found("sandbox", Verdict::Fail, text, fix)
            }
        });
    }
    findings
}

/// A coding agent whose program is on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    /// The driver or preset that speaks to it.
    pub driver: &'static str,
    /// The variables that are set and hold a key of its: named in the agent's `env`, they are passed on.
    pub keys: Vec<&'static str>,
}

/// The coding agents that are found in the `PATH`, each program once, in the order of [`drivers::DRIVERS`].
///
/// Nothing is started: a program's name and its right to be executed are all that is looked at.
pub fn installed(root: &Path, environment: &BTreeMap<String, String>) -> Vec<Installed> {
    let mut seen = Vec::new();
    let mut all = Vec::new();
    for known in drivers::DRIVERS.iter().filter(|known| !known.command.is_empty()) {
        let spec = AgentSpec { name: known.name.into(), driver: known.name.into(), ..AgentSpec::default() };
        if seen.contains(&known.command[0]) || !matches!(program(&spec, root, environment), Ok(Some(_))) {
            continue;
        }
        seen.push(known.command[0]);
        let of_its = account_of(&spec).map(|account| account.keys).unwrap_or_default();
        let set = |key: &&&'static str| environment.get(**key).is_some_and(|value| !value.is_empty());
        all.push(Installed { driver: known.name, keys: of_its.iter().filter(set).copied().collect() });
    }
    all
}

fn speaks(spec: &AgentSpec) -> bool {
    drivers::named(&spec.driver).is_some_and(|known| known.speech != Speech::Command)
}

fn protocol(spec: &AgentSpec) -> Finding {
    let text = match drivers::named(&spec.driver).map(|known| (known.by, known.speech)) {
        Some((by, Speech::TwoWay)) => format!("{by}, both ways: it can be asked, answered and told things"),
        Some((by, Speech::OneWay)) => format!("{by}, listened to only: approvals and messages do not reach it"),
        Some((_, Speech::Command)) | None => "none: its output is kept, and its exit code counts".to_owned(),
    };
    pass("protocol", text)
}

async fn version(program: &Path, environment: &BTreeMap<String, String>) -> Finding {
    let mut command = tokio::process::Command::new(program);
    let passed = ["PATH", "HOME", "LANG"].into_iter().filter_map(|name| environment.get_key_value(name));
    command.arg("--version").env_clear().envs(passed).stdin(Stdio::null()).kill_on_drop(true);
    let fix = format!("run `{} --version` by hand to see what stands in its way", program.display());
    match tokio::time::timeout(VERSION_WAIT, command.output()).await {
        Ok(Ok(output)) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout);
            pass("version", text.lines().next().unwrap_or("it says nothing").chars().take(100).collect::<String>())
        }
        Ok(Ok(output)) => found("version", Verdict::Warn, format!("it does not tell: {}", output.status), fix),
        Ok(Err(error)) => found("version", Verdict::Fail, format!("it cannot be started: {error}"), fix),
        Err(_) => found("version", Verdict::Warn, format!("it does not tell within {} s", VERSION_WAIT.as_secs()), fix),
    }
}

fn account_of(spec: &AgentSpec) -> Option<&'static Account> {
    ACCOUNTS.iter().find(|account| spec.driver.starts_with(account.driver))
}

fn account(spec: &AgentSpec, root: &Path, environment: &BTreeMap<String, String>) -> Option<Finding> {
    let account = account_of(spec)?;
    let passed = |name: &&&str| spec.env.iter().any(|known| **known == ***name) && environment.contains_key(**name);
    if let Some(key) = account.keys.iter().find(passed) {
        return Some(pass("account", format!("{key} is passed to it")));
    }
    let own: BTreeMap<String, String> = match &spec.home {
        Some(own) => home::variables(root, own, &spec.driver).into_iter().collect(),
        None => BTreeMap::new(),
    };
    let (variable, below, file) = account.folder;
    let set = |name: &str| {
        let passed = name == "HOME" || spec.env.iter().any(|known| &**known == name);
        own.get(name).or_else(|| environment.get(name).filter(|_| passed))
    };
    let folder = match set(variable) {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(set("HOME").map(String::as_str).unwrap_or_default()).join(below),
    };
    let place = folder.join(file);
    Some(if place.is_file() {
        pass("account", place.display().to_string())
    } else {
        let text = format!("no key is passed to it, and `{}` is not there", place.display());
        found("account", Verdict::Warn, text, account.login)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(driver: &str) -> AgentSpec {
        AgentSpec { name: "a".into(), driver: driver.into(), ..AgentSpec::default() }
    }

    fn environment(home: &Path) -> BTreeMap<String, String> {
        let set =
            [("PATH", home.join("bin").to_string_lossy().into_owned()), ("HOME", home.to_string_lossy().into_owned())];
        set.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn of<'a>(findings: &'a [Finding], what: &str) -> &'a Finding {
        findings.iter().find(|finding| finding.what == what).unwrap()
    }

    #[tokio::test]
    async fn a_program_that_is_missing_is_named_with_the_command_that_brings_it() {
        let home = tempfile::tempdir().unwrap();
        let findings = probe(&spec("codex"), home.path(), &environment(home.path())).await;
        let program = of(&findings, "program");
        assert_eq!(program.verdict, Verdict::Fail);
        assert!(program.fix.as_ref().unwrap().contains("npm install -g @openai/codex"), "{program:?}");
    }

    #[test]
    fn the_agents_of_a_machine_are_found_once_each_with_the_keys_that_are_set() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("bin")).unwrap();
        for (name, mode) in [("codex", 0o755), ("claude", 0o755), ("gemini", 0o644), ("somebody", 0o755)] {
            let program = home.path().join("bin").join(name);
            std::fs::write(&program, "#!/bin/sh\ntouch \"$HOME/started\"\n").unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let mut environment = environment(home.path());
        environment.insert("OPENAI_API_KEY".into(), "k".into());
        environment.insert("ANTHROPIC_API_KEY".into(), String::new());
        let claude = Installed { driver: "claude", keys: vec![] };
        let codex = Installed { driver: "codex", keys: vec!["OPENAI_API_KEY"] };
        assert_eq!(installed(home.path(), &environment), [claude, codex]);
        assert!(!home.path().join("started").exists(), "nothing is started");
        environment.remove("PATH");
        assert_eq!(installed(home.path(), &environment), []);
    }

    #[tokio::test]
    async fn a_program_s_version_and_its_account_are_found() {
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(home.path().join("bin")).unwrap();
        let program = home.path().join("bin/claude");
        std::fs::write(&program, "#!/bin/sh\necho 9.9 of claude\n").unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut environment = environment(home.path());
        let findings = probe(&spec("claude"), home.path(), &environment).await;
        assert_eq!(of(&findings, "version").text, "9.9 of claude");
        assert_eq!(of(&findings, "account").verdict, Verdict::Warn);

        // A key that is set and not named does not reach it.
        environment.insert("ANTHROPIC_API_KEY".into(), "k".into());
        assert_eq!(of(&probe(&spec("claude"), home.path(), &environment).await, "account").verdict, Verdict::Warn);
        let named = AgentSpec { env: Box::new(["ANTHROPIC_API_KEY".into()]), ..spec("claude") };
        assert_eq!(of(&probe(&named, home.path(), &environment).await, "account").verdict, Verdict::Pass);

        std::fs::create_dir_all(home.path().join("own")).unwrap();
        std::fs::write(home.path().join("own/.credentials.json"), "{}").unwrap();
        let at_home = AgentSpec { home: Some("own".into()), ..spec("claude") };
        assert_eq!(of(&probe(&at_home, home.path(), &environment).await, "account").verdict, Verdict::Pass);
    }
}
