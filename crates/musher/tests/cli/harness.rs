//! A scratch repository with a `musher.toml`, and the binary to run in it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use serde_json::Value;

/// The longest that a test waits for a command to end, or for the next event: far more than a loaded machine takes, and not
/// for ever.
const LONGEST: Duration = Duration::from_secs(240);

/// A repository in a folder of its own. What musher started in it is ended with it.
pub(crate) struct Repo {
    folder: tempfile::TempDir,
}

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.out, self.err);
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {}\nstderr: {}", self.out, self.err))
    }

    /// Asserts the exit code, and that the error says what and how to fix it.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32, words: &str) {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.out, self.err);
        assert!(self.err.contains("error: "), "{}", self.err);
        assert!(self.err.contains(words), "{words:?} is not in: {}", self.err);
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Repo {
    /// A repository with one commit and this configuration and agent script, both of them not committed.
    pub(crate) fn with(config: &str, agent: &str) -> Self {
        let repo = Self { folder: tempfile::tempdir().unwrap() };
        repo.git(&["init", "-q", "-b", "main"]);
        repo.git(&["config", "user.name", "Test"]);
        repo.git(&["config", "user.email", "test@example.org"]);
        repo.write("README", "a scratch repository\n");
        repo.git(&["add", "README"]);
        repo.git(&["commit", "-q", "-m", "first"]);
        repo.write("musher.toml", config);
        repo.write("agent.sh", agent);
        repo.write(".git/info/exclude", "/musher.toml\n/agent.sh\n/.musher/\n/*.plan.toml\n/outside*\n");
        repo
    }

    /// A folder that is no repository, with this configuration.
    pub(crate) fn folder_with(config: &str) -> Self {
        let repo = Self { folder: tempfile::tempdir().unwrap() };
        repo.write("musher.toml", config);
        repo
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.file(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).unwrap();
        }
        std::fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap_or_default()
    }

    /// Runs git; it must succeed.
    #[track_caller]
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git").current_dir(self.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Musher in this repository, not started yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_musher"));
        command.current_dir(self.path()).args(arguments).env("NO_COLOR", "1").env("HOME", self.path());
        command.env_remove("XDG_CONFIG_HOME").stdin(Stdio::null());
        command
    }

    /// Runs musher to its end. When that does not come, the test fails, and says what it heard.
    #[track_caller]
    pub(crate) fn musher(&self, arguments: &[&str]) -> Said {
        let child = self.spawn(arguments);
        let pid = child.id().to_string();
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || tell.send(child.wait_with_output()));
        if let Ok(output) = told.recv_timeout(LONGEST) {
            return output.unwrap().into();
        }
        let _ = Command::new("kill").args(["-KILL", &pid]).output();
        let said = told.recv_timeout(LONGEST / 10).ok().map(|output| Said::from(output.unwrap()));
        panic!("musher {arguments:?} did not end within {LONGEST:?}: {said:?}: {}", self.read("outside-daemon.log"));
    }

    /// Asks for `status` until it is like this: for what comes about without an event.
    #[track_caller]
    pub(crate) fn until_status(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let begun = std::time::Instant::now();
        loop {
            let status = self.musher(&["status", "--json"]).ok().json();
            if wanted(&status) {
                return status;
            }
            assert!(begun.elapsed() < LONGEST, "still not after {LONGEST:?}: {status}");
        }
    }

    /// Starts musher and comes back at once.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Starts the daemon in the foreground of a child and waits until it answers.
    pub(crate) fn up(&self) -> Daemon {
        self.up_with(&[])
    }

    /// The same, with these variables in its environment.
    pub(crate) fn up_with(&self, environment: &[(&str, &str)]) -> Daemon {
        self.up_as(&["up"], environment)
    }

    /// The same, by these words.
    pub(crate) fn up_as(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Daemon {
        let log = std::fs::File::options().create(true).append(true).open(self.file("outside-daemon.log")).unwrap();
        let mut command = self.command(arguments);
        let mut child = command.envs(environment.iter().copied()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut out = Lines::of(child.stdout.take().unwrap());
        let line = out.next();
        let up = line.as_ref().is_some_and(|line| line.contains("musher is up (pid "));
        assert!(up, "{line:?}: {}", self.read("outside-daemon.log"));
        Daemon { child, out }
    }

    /// How many events of this kind there are by now. What a command has done at once is asked for here: a follower would
    /// wait long for what never comes.
    #[track_caller]
    pub(crate) fn count_said(&self, kind: &str) -> usize {
        self.musher(&["events", "--json", "--kind", kind]).ok().out.lines().count()
    }

    /// Follows the events from this one on.
    pub(crate) fn follow(&self, after: u64) -> Follower {
        let mut child = self.spawn(&["events", "-f", "--json", "--after", &after.to_string()]);
        let out = Lines::of(child.stdout.take().unwrap());
        Follower { child, out, seq: after, seen: Vec::new() }
    }

    /// Waits until the mission is completed, and its worktrees are gone; whatever else it comes to is a failure.
    #[track_caller]
    pub(crate) fn wait_for_end(&self, mission: &str) {
        let mut follower = self.follow(0);
        let mut open = std::collections::BTreeSet::new();
        let mut over = false;
        while !(over && open.is_empty()) {
            let Some(event) = follower.next() else {
                panic!("the stream ended: {}", self.read("outside-daemon.log"));
            };
            match event["kind"].as_str() {
                Some("worktree_created") => drop(open.insert(event["item"].to_string())),
                Some("worktree_removed") => drop(open.remove(&event["item"].to_string())),
                Some("mission_completed") if event["mission"] == mission => over = true,
                Some("item_blocked" | "item_dead_lettered" | "mission_failed") => panic!("{event}"),
                _ => {}
            }
        }
    }

    /// SIGKILL for every process of this repository's runs whose command line says so.
    pub(crate) fn kill_where(&self, wanted: impl Fn(&str) -> bool) {
        self.signal_where("KILL", wanted);
    }

    /// A signal for every process of this repository's runs whose command line says so; answers their ids.
    pub(crate) fn signal_where(&self, signal: &str, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        let mark = self.path().to_string_lossy().into_owned();
        let mut told = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if line.contains(&mark) && wanted(&line) {
                let pid = entry.file_name().to_string_lossy().into_owned();
                let _ = Command::new("kill").args([&format!("-{signal}"), &pid]).output();
                told.push(pid);
            }
        }
        told
    }

    /// The titles of the base branch's commits, newest first.
    pub(crate) fn titles(&self) -> Vec<String> {
        self.git(&["log", "--format=%s", "main"]).lines().map(str::to_owned).collect()
    }

    /// Every process that carries the mark of a run of this repository.
    pub(crate) fn run_processes(&self) -> Vec<String> {
        let mark = self.path().to_string_lossy().into_owned();
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let environ = std::fs::read(entry.path().join("environ")).unwrap_or_default();
            let environ = String::from_utf8_lossy(&environ).into_owned();
            let ours = environ.split('\0').any(|v| v.starts_with("MUSHER_WORKTREE=") && v.contains(&mark));
            if ours {
                let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
                let state = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
                if !state.contains(") Z ") {
                    found.push(String::from_utf8_lossy(&line).replace('\0', " "));
                }
            }
        }
        found
    }

    /// Asserts that nothing of musher is left but its state: no process, no worktree, no unfinished business.
    #[track_caller]
    pub(crate) fn nothing_left(&self) {
        assert_eq!(self.run_processes(), Vec::<String>::new());
        let worktrees = self.git(&["worktree", "list", "--porcelain"]);
        let items: Vec<&str> = worktrees
            .lines()
            .filter(|l| l.starts_with("worktree ") && l.contains(".musher") && !l.ends_with("_merge"))
            .collect();
        assert_eq!(items, Vec::<&str>::new());
        assert_eq!(self.git(&["status", "--porcelain", "--untracked-files=no"]), "");
        assert_eq!(self.git(&["stash", "list"]), "");
    }
}

impl Drop for Repo {
    fn drop(&mut self) {
        let _ = self.command(&["down"]).output();
        // Agents outlive their daemon, and a test may end in the middle of their work.
        self.kill_where(|_| true);
    }
}

/// A daemon in the foreground of a child.
pub(crate) struct Daemon {
    child: Child,
    #[allow(dead_code)]
    out: Lines,
}

impl Daemon {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `STOP`, and waits until the process has stopped when that is what it does.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
        while name == "STOP" && !std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") T ") {
            std::thread::yield_now();
        }
    }

    /// Waits until it ends by itself; its exit code.
    pub(crate) fn end(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// SIGKILL, and waits for the end.
    pub(crate) fn kill(mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a child, each of which comes in time or fails the test.
pub(crate) struct Lines(Receiver<String>);

impl Lines {
    pub(crate) fn of(out: ChildStdout) -> Self {
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            BufReader::new(out).lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
        });
        Self(told)
    }

    /// The next line; nothing at the end.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Option<String> {
        self.next_or(String::new)
    }

    /// The same; what was seen before is said when no line comes.
    #[track_caller]
    fn next_or(&mut self, seen: impl FnOnce() -> String) -> Option<String> {
        match self.0.recv_timeout(LONGEST) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no line came for {LONGEST:?}; {}", seen()),
        }
    }
}

/// A reader of the event stream.
pub(crate) struct Follower {
    child: Child,
    out: Lines,
    pub(crate) seq: u64,
    seen: Vec<String>,
}

impl Follower {
    /// The next event; nothing when the daemon went away.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Option<Value> {
        let seen = &self.seen;
        let line = self.out.next_or(|| format!("the last events: {:?}", &seen[seen.len().saturating_sub(40)..]))?;
        let event: Value = serde_json::from_str(&line).ok()?;
        self.seen.push(format!("{} {}", event["seq"], event["kind"].as_str().unwrap_or_default()));
        self.seq = event["seq"].as_u64().unwrap_or(self.seq);
        Some(event)
    }

    /// Reads on until an event of this kind.
    #[track_caller]
    pub(crate) fn until(&mut self, kind: &str) -> Value {
        loop {
            let event = self.next().unwrap_or_else(|| panic!("the stream ended before {kind}"));
            if event["kind"] == kind {
                return event;
            }
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The configuration of most tests: one command agent that takes many items at once.
pub(crate) fn config(project: &str, policy: &str) -> String {
    format!(
        r#"[project]
gate = "true"
{project}
[policy]
reviewer_required = false
{policy}
[[agents]]
name = "script"
driver = "command"
command = ["sh", "{{root}}/agent.sh", "{{prompt_file}}"]
max_load = 0
"#
    )
}

/// A small generator for tests that want chance; the seed is printed by whoever uses it.
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound.max(1)
    }
}
