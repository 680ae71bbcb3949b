//! A scratch repository with a daemon of the real program.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::{BenchError, fresh, remove};

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(600);

/// A repository, its daemon, and the one mission in it.
pub(super) struct Yard {
    musher: PathBuf,
    folder: PathBuf,
    daemon: Child,
    mission: Option<String>,
}

/// Who works in a run, and for whom it is known as alive.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// The pid of its host.
    pub(super) host: i32,
    folder: PathBuf,
}

impl Run {
    /// How many lines its spool has.
    pub(super) fn lines(&self) -> u64 {
        let spool = std::fs::read(self.folder.join("out.ndjson")).unwrap_or_default();
        spool.iter().filter(|byte| **byte == b'\n').count() as u64
    }
}

impl Yard {
    /// Makes a repository for so many runs at once of this agent (an `[[agents]]` table), and starts a daemon in it.
    pub(super) fn open(musher: &Path, dir: &Path, agent: &str, runs: usize) -> Result<Self, BenchError> {
        let folder = fresh(dir, "fleet")?;
        let folder = folder.canonicalize().map_err(BenchError::io(&folder))?;
        let config = format!(
            "[project]\ngate = \"true\"\n\n[policy]\nreviewer_required = false\nmax_parallel_items = {runs}\n\n\
             [server]\nhttp = false\n\n{agent}"
        );
        let file = folder.join("musher.toml");
        std::fs::write(&file, config).map_err(BenchError::io(&file))?;
        for words in [
            "init -q -b main",
            "config user.name Bench",
            "config user.email bench@example.org",
            "commit -q --allow-empty -m begin",
        ] {
            said(Command::new("git").args(words.split(' ')).current_dir(&folder))?;
        }
        let log = folder.with_file_name("fleet.log");
        let log = std::fs::File::create(&log).map_err(BenchError::io(&log))?;
        let mut command = Command::new(musher);
        command.arg("-C").arg(&folder).args(["up", "--ready-on-stdout"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut daemon = command.spawn().map_err(BenchError::io(musher))?;
        let mut ready = String::new();
        if let Some(stdout) = daemon.stdout.take() {
            let _ = BufReader::new(stdout).read_line(&mut ready);
        }
        let yard = Self { musher: musher.to_owned(), folder, daemon, mission: None };
        if ready.is_empty() {
            return Err(BenchError::Part("the daemon did not start; `fleet.log` says why".into()));
        }
        Ok(yard)
    }

    /// The pid of the daemon.
    pub(super) fn daemon(&self) -> i32 {
        i32::try_from(self.daemon.id()).unwrap_or_default()
    }

    /// Starts a mission of so many items, all of the same task.
    pub(super) fn start(&mut self, items: usize, task: &str) -> Result<(), BenchError> {
        let task = Value::from(task);
        let item = |n| format!("[[items]]\nid = \"i{n}\"\ntitle = \"part {n}\"\nbody = {task}\n");
        let plan = format!("goal = \"bench\"\n{}", (0..items).map(item).collect::<String>());
        let file = self.folder.join("bench.plan.toml");
        std::fs::write(&file, plan).map_err(BenchError::io(&file))?;
        let started = self.musher(&["mission", "start", &file.to_string_lossy(), "--json"])?;
        let started: Value = serde_json::from_str(&started).unwrap_or_default();
        self.mission = started["mission"]["id"].as_str().map(str::to_owned);
        Ok(())
    }

    /// Waits until so many agents run.
    pub(super) fn wait_for(&self, runs: usize) -> Result<Vec<Run>, BenchError> {
        let begun = Instant::now();
        loop {
            let found = self.runs();
            if found.len() >= runs {
                return Ok(found);
            }
            if begun.elapsed() > PATIENCE {
                return Err(BenchError::Part(format!("{} runs at once, {runs} were expected", found.len())));
            }
            sleep(LOOK);
        }
    }

    /// The runs of agents that are alive.
    pub(super) fn runs(&self) -> Vec<Run> {
        let folders = std::fs::read_dir(self.folder.join(".musher/runs")).into_iter().flatten().flatten();
        folders.filter_map(|entry| run(entry.path())).collect()
    }

    /// Waits until the mission is over, with a look at it now and then; how many of its items are done.
    pub(super) fn finish(&self, mut look: impl FnMut(&[Run])) -> Result<u64, BenchError> {
        let begun = Instant::now();
        let mut asked = Instant::now();
        while begun.elapsed() < PATIENCE {
            let runs = self.runs();
            look(&runs);
            // Asking costs the daemon something: only when nobody works, and then no more than twice a second.
            if runs.is_empty() && asked.elapsed() > ASK {
                asked = Instant::now();
                let status: Value = serde_json::from_str(&self.musher(&["mission", "status", "--json"])?)
                    .map_err(|error| BenchError::Part(format!("the status cannot be read: {error}")))?;
                let state = status["mission"]["state"].as_str().unwrap_or_default();
                if ["completed", "failed", "blocked", "cancelled"].contains(&state) {
                    return Ok(status["mission"]["counts"]["done"].as_u64().unwrap_or_default());
                }
            }
            sleep(LOOK);
        }
        Err(BenchError::Part("the mission does not come to an end".into()))
    }

    fn musher(&self, words: &[&str]) -> Result<String, BenchError> {
        said(Command::new(&self.musher).arg("-C").arg(&self.folder).args(words))
    }
}

/// The pause between two looks at the run folders.
const LOOK: Duration = Duration::from_millis(50);
/// The pause between two questions to the daemon.
const ASK: Duration = Duration::from_millis(500);

/// The run of a folder, if its agent runs. Those of gates have other names.
fn run(folder: PathBuf) -> Option<Run> {
    let name = folder.file_name()?.to_str()?;
    if name.contains('-') && ["gate-", "setup-", "teardown-"].iter().any(|script| name.starts_with(script)) {
        return None;
    }
    if folder.join("exit.json").exists() {
        return None;
    }
    let record: Value = serde_json::from_slice(&std::fs::read(folder.join("host.json")).ok()?).ok()?;
    record["agent"].as_object()?;
    Some(Run { host: i32::try_from(record["host"]["pid"].as_i64()?).ok()?, folder })
}

/// Runs a command to its end and answers what it printed.
fn said(command: &mut Command) -> Result<String, BenchError> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(BenchError::io(Path::new(command.get_program())))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(BenchError::Part(format!("{command:?} failed: {}", words.trim())))
}

/// Nothing is left running, whatever went wrong.
impl Drop for Yard {
    fn drop(&mut self) {
        if let Some(mission) = self.mission.take() {
            let _ = self.musher(&["mission", "stop", &mission, "--force"]);
            let begun = Instant::now();
            while !self.runs().is_empty() && begun.elapsed() < Duration::from_secs(20) {
                sleep(LOOK);
            }
        }
        let _ = self.musher(&["down"]);
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
        let _ = remove(&self.folder);
    }
}
