//! How effects reach their drivers, and how their results come back as commands.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use musher_core::agent::Agent;
use musher_core::change::TextKey;
use musher_core::command::{GateVerdict, Report};
use musher_core::effect::Stop;
use musher_core::forge::ForgeWork;
use musher_core::id::{EffectId, ItemId, MissionId, RunId};
use musher_core::item::Item;
use musher_core::prompt::{self, Parts};
use musher_core::run::{FailureClass, Outcome, Purpose, Usage};
use musher_core::state::State;
use musher_core::verify;
use tokio::sync::{Mutex, mpsc};
use tokio::task::AbortHandle;
use tracing::{debug, warn};

use crate::driver::{Drivers, Reports};
use crate::engine::{Engine, EngineError};
use crate::firing;
use crate::job::{self, Diff, ForgeJob, GitJob, Hooks, Job, RunJob, Script, ScriptEnd};
use crate::paths::Paths;
use crate::watchdog::Watchdog;

/// What the writer tells the runner.
#[derive(Debug)]
pub(crate) enum Order {
    /// Carry this out. Without a job there is nothing left to do it to.
    Do { effect: EffectId, job: Option<Box<Job>>, needs: Option<Box<PromptNeeds>> },
    /// Nobody wants this any more.
    Close(EffectId),
    /// The watchdog's time has come.
    Look,
}

/// What a prompt is made of besides the texts on disk.
#[derive(Debug)]
pub(crate) struct PromptNeeds {
    item: Item,
    purpose: Purpose,
    mission: MissionId,
    lesson: Option<RunId>,
    results: Vec<(ItemId, prompt::Result)>,
    prompt: Option<String>,
    gate: Option<String>,
    diff: Option<Diff>,
    tools: bool,
    workers: Vec<prompt::Worker>,
    overlaps: Vec<prompt::Overlap>,
}

/// What the prompt of a run needs of the state; nothing for other jobs.
pub(crate) fn needs_of(state: &State, job: &Job, paths: &Paths) -> Option<PromptNeeds> {
    let Job::Run(run) = job else { return None };
    let item = state.item(run.item)?.clone();
    let results = item
        .depends_on
        .iter()
        .chain(&item.follows)
        .filter_map(|id| state.item(*id))
        .map(|done| {
            let result = prompt::Result {
                title: done.title.to_string(),
                branch: done.branch(),
                commit: done.merged.as_deref().map(str::to_owned),
                summary: String::new(),
            };
            (done.id, result)
        })
        .collect();
    Some(PromptNeeds {
        purpose: run.purpose,
        tools: musher_core::config::drivers::takes_tools(&run.agent.driver),
        mission: item.mission,
        lesson: item.fix.map(musher_core::item::Fix::run),
        results,
        prompt: state.settings().prompt.clone(),
        gate: verify::gate_of(state, &item).map(str::to_owned),
        diff: (run.purpose == Purpose::Review).then(|| job::diff_of(state, &item, paths)).flatten(),
        workers: if run.purpose == Purpose::Plan { workers(state) } else { Vec::new() },
        overlaps: if run.purpose == Purpose::Plan { overlaps(state) } else { Vec::new() },
        item,
    })
}

/// The agents that a planner may count on.
fn workers(state: &State) -> Vec<prompt::Worker> {
    let strings = |words: &[Box<str>]| words.iter().map(ToString::to_string).collect();
    let worker = |agent: &Agent| prompt::Worker {
        name: agent.spec.name.to_string(),
        roles: strings(&agent.spec.roles),
        capabilities: strings(&agent.spec.capabilities),
    };
    state.agents().filter(|agent| !agent.removed).map(worker).collect()
}

/// How many of the newest overlaps a planner is told.
const OVERLAPS_TOLD: usize = 20;

/// What earlier merges have shown.
fn overlaps(state: &State) -> Vec<prompt::Overlap> {
    let strings = |words: &[Box<str>]| words.iter().map(ToString::to_string).collect();
    let newest = state.merge_queue().overlaps.iter().rev().take(OVERLAPS_TOLD);
    newest.map(|overlap| prompt::Overlap { files: strings(&overlap.files), items: strings(&overlap.items) }).collect()
}

struct Live {
    task: AbortHandle,
    /// The folders of scripts that must be ended with the effect.
    scripts: Vec<PathBuf>,
    /// Nobody wants it any more: what has not begun does not begin.
    closed: Arc<AtomicBool>,
    /// It waits for a run that is over, once nobody wants it.
    telling: bool,
}

/// Carries effects out, each in a task of its own.
pub(crate) struct Runner {
    drivers: Drivers,
    engine: Engine,
    live: HashMap<EffectId, Live>,
    /// Worktrees in which something is at work, or waits for its turn.
    places: HashMap<PathBuf, Weak<Mutex<()>>>,
    watchdog: Arc<Watchdog>,
}

/// The first and the longest wait before a report that could not be written is said again.
const REPORT_AGAIN: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

impl Runner {
    pub(crate) fn new(drivers: Drivers, engine: Engine, watchdog: Arc<Watchdog>) -> Self {
        Self { drivers, engine, live: HashMap::new(), places: HashMap::new(), watchdog }
    }

    pub(crate) async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        while let Some(order) = orders.recv().await {
            match order {
                Order::Do { effect, job, needs } => self.start(effect, job, needs),
                Order::Close(effect) => self.close(effect),
                Order::Look => {
                    let watchdog = Arc::clone(&self.watchdog);
                    tokio::spawn(async move { watchdog.look().await });
                }
            }
        }
        // The engine stops: what runs in hosts goes on there, and the next start takes it over.
        for live in self.live.values() {
            live.task.abort();
        }
    }

    fn start(&mut self, effect: EffectId, job: Option<Box<Job>>, needs: Option<Box<PromptNeeds>>) {
        // Ended tasks are dropped here and not by a message of their own: the map stays as small as what is open.
        self.live.retain(|_, live| !live.task.is_finished());
        let scripts = job.as_deref().map(scripts_of).unwrap_or_default();
        let place = job.as_deref().and_then(place_of).map(|path| self.place(path));
        let telling = matches!(job.as_deref(), Some(Job::Tell(_)));
        let closed = Arc::new(AtomicBool::new(false));
        let worker = Worker { drivers: self.drivers.clone(), engine: self.engine.clone(), effect };
        let unwanted = Arc::clone(&closed);
        let task = tokio::spawn(async move {
            // One at a time in a worktree: also what nobody wants any more is waited for, until nothing of it is left.
            let _turn = match place {
                Some(place) => Some(place.lock_owned().await),
                None => None,
            };
            if unwanted.load(Ordering::Acquire) {
                return;
            }
            let report = match job {
                Some(job) => worker.carry_out(*job, needs.map(|n| *n)).await,
                None => Some(Report::DriverFailed { error: "what it was about is gone".into() }),
            };
            if let Some(report) = report {
                worker.say(report).await;
            }
        });
        self.live.insert(effect, Live { task: task.abort_handle(), scripts, closed, telling });
    }

    fn close(&mut self, effect: EffectId) {
        let Some(live) = self.live.remove(&effect) else { return };
        live.closed.store(true, Ordering::Release);
        if live.task.is_finished() {
            return;
        }
        if live.telling {
            return live.task.abort();
        }
        // Never aborted: whoever is next in that worktree waits until the script is really gone.
        for folder in live.scripts {
            tokio::spawn(self.drivers.runs.stop(folder, Stop::Kill));
        }
    }

    fn place(&mut self, path: PathBuf) -> Arc<Mutex<()>> {
        self.places.retain(|_, place| place.strong_count() > 0);
        if let Some(place) = self.places.get(&path).and_then(Weak::upgrade) {
            return place;
        }
        let place = Arc::new(Mutex::new(()));
        self.places.insert(path, Arc::downgrade(&place));
        place
    }
}

/// The worktree that a job needs to itself.
fn place_of(job: &Job) -> Option<PathBuf> {
    match job {
        Job::Git(job, _) => match &**job {
            GitJob::CreateWorktree(job) => Some(job.path.clone()),
            GitJob::Inspect(job) => Some(job.path.clone()),
            GitJob::Rebase(job) => Some(job.path.clone()),
            GitJob::RemoveWorktree(job) => Some(job.path.clone()),
            GitJob::PrepareMerge(_) | GitJob::Land(_) | GitJob::PushBranch(_) => None,
        },
        Job::Run(job) => Some(job.worktree.clone()),
        Job::Gate(script, _) => Some(script.cwd.clone()),
        Job::Stop(..) | Job::Tell(_) | Job::Forge(_) | Job::Check(_) | Job::Fetch(_) | Job::Firing(_) => None,
    }
}

/// The scripts that a job may start, by their folders.
fn scripts_of(job: &Job) -> Vec<PathBuf> {
    match job {
        Job::Git(_, hooks) => hooks.setup.iter().chain(&hooks.teardown).map(|(s, _)| s.folder.clone()).collect(),
        Job::Run(job) => job.setup.iter().map(|(script, _)| script.folder.clone()).collect(),
        Job::Gate(script, _) | Job::Check(script) => vec![script.folder.clone()],
        Job::Firing(job) => job.check.iter().map(|check| check.script.folder.clone()).collect(),
        Job::Stop(..) | Job::Tell(_) | Job::Forge(_) | Job::Fetch(_) => Vec::new(),
    }
}

struct Worker {
    drivers: Drivers,
    engine: Engine,
    effect: EffectId,
}

impl Worker {
    async fn carry_out(&self, job: Job, needs: Option<PromptNeeds>) -> Option<Report> {
        match job {
            Job::Git(job, hooks) => Some(self.git(*job, hooks).await),
            Job::Run(job) => Some(self.run(*job, needs).await),
            Job::Tell(job) => Some(Report::Told { delivered: self.drivers.runs.tell(*job).await }),
            Job::Stop(folder, how) => {
                self.drivers.runs.stop(folder, how).await;
                Some(Report::RunStopped)
            }
            Job::Gate(script, checkout) => {
                if let Some(checkout) = checkout
                    && let Err(error) = self.drivers.git.checkout(checkout).await
                {
                    return Some(Report::DriverFailed { error: error.into() });
                }
                Some(gate_report(self.drivers.runs.script(script).await))
            }
            Job::Forge(job) => Some(self.forge(*job).await),
            Job::Check(script) => {
                let folder = script.folder.clone();
                let report = check_report(self.drivers.runs.script(script).await);
                // A watch looks for days: what each look has said is in its report, and is not kept besides.
                let _ = tokio::fs::remove_dir_all(folder).await;
                Some(report)
            }
            Job::Fetch(url) => Some(self.drivers.web.fetch(url).await),
            Job::Firing(job) => Some(firing::carry_out(*job, &self.drivers).await),
        }
    }

    /// A pull request says first what the agent says of it.
    async fn forge(&self, mut job: ForgeJob) -> Report {
        if matches!(job.work, ForgeWork::OpenPull { .. } | ForgeWork::MergePull { .. }) {
            match self.summary(job.item).await {
                Ok(Some(summary)) => job.body = format!("{}\n\n{}", summary.trim(), job.body),
                Ok(None) => {}
                Err(error) => return Report::DriverFailed { error: error.into() },
            }
        }
        self.drivers.forge.carry_out(job).await
    }

    async fn summary(&self, item: ItemId) -> Result<Option<String>, String> {
        let reader = self.engine.reader().await.map_err(|e| e.to_string())?;
        let read = tokio::task::spawn_blocking(move || reader.text(TextKey::Summary(item)));
        read.await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())
    }

    async fn git(&self, job: GitJob, hooks: Hooks) -> Report {
        if let Some((script, marker)) = hooks.teardown {
            if !script.text.is_empty() && script.cwd.exists() {
                // A teardown that fails keeps nothing: the worktree is removed all the same.
                if let ScriptEnd::Exited { ok: false, exit, .. } = self.drivers.runs.script(script).await {
                    warn!(effect = %self.effect, %exit, "the teardown failed");
                }
            }
            let _ = tokio::fs::remove_file(marker).await;
        }
        let report = self.drivers.git.carry_out(job).await;
        match (&report, hooks.setup) {
            (Report::WorktreeReady { .. }, Some((script, marker))) => match self.set_up(script, &marker).await {
                Ok(()) => report,
                Err(error) => Report::WorktreeFailed { lacking: None, error: error.into() },
            },
            _ => report,
        }
    }

    /// Runs the setup once a worktree; the marker says in which folder it ran, for an agent may have deleted that.
    async fn set_up(&self, script: Script, marker: &Path) -> Result<(), String> {
        let folder = identity(&script.cwd).map_err(|e| format!("the worktree cannot be looked at: {e}"))?;
        if tokio::fs::read_to_string(marker).await.is_ok_and(|kept| kept == folder) {
            return Ok(());
        }
        match self.drivers.runs.script(script).await {
            ScriptEnd::Exited { ok: true, .. } => {
                tokio::fs::write(marker, folder).await.map_err(|e| format!("the setup's marker cannot be written: {e}"))
            }
            ScriptEnd::Exited { ok: false, exit, tail } => Err(format!("the setup failed: {exit}\n{tail}")),
            ScriptEnd::TimedOut { .. } => Err("the setup took too long".to_owned()),
            ScriptEnd::Lost | ScriptEnd::Died => Err("the setup's process vanished".to_owned()),
            ScriptEnd::Failed(error) => Err(format!("the setup could not be started: {error}")),
        }
    }

    async fn run(&self, mut job: RunJob, needs: Option<PromptNeeds>) -> Report {
        if let Some(needs) = needs {
            match self.prompt(needs).await {
                Ok(text) => job.prompt = text,
                Err(error) => return Report::DriverFailed { error: error.into() },
            }
        }
        if !job.was_running && !job.worktree.join(".git").exists() {
            // An agent deleted it, or its link; the branch is still there.
            let hooks = Hooks { setup: job.setup.clone(), teardown: None };
            let made = self.git(GitJob::CreateWorktree(job.create.clone()), hooks).await;
            if let Report::WorktreeFailed { error, .. } | Report::DriverFailed { error } = made {
                return no_worktree(&error);
            }
        }
        let (engine, effect) = (self.engine.clone(), self.effect);
        // Reports of one run keep their order: they go through a channel of their own.
        let (sender, mut inbox) = mpsc::unbounded_channel::<Report>();
        let reports: Reports = Arc::new(move |report| {
            let _ = sender.send(report);
        });
        let relay = tokio::spawn(async move {
            while let Some(report) = inbox.recv().await {
                say(&engine, effect, report).await;
            }
        });
        let end = self.drivers.runs.run(job, reports).await;
        // The driver has dropped its sender: what it said on the way is said before its end.
        let _ = relay.await;
        end
    }

    async fn prompt(&self, needs: PromptNeeds) -> Result<String, String> {
        let reader = self.engine.reader().await.map_err(|e| e.to_string())?;
        let diff = match needs.diff {
            Some(diff) => Some(self.drivers.git.diff(diff).await?),
            None => None,
        };
        let texts = tokio::task::spawn_blocking(move || -> Result<String, musher_store::StoreError> {
            let mut results = Vec::new();
            for (id, mut result) in needs.results {
                result.summary = reader.text(TextKey::Summary(id))?.unwrap_or_default();
                results.push(result);
            }
            let lesson = match needs.lesson {
                Some(run) => reader.text(TextKey::Lesson(run))?,
                None => None,
            };
            let parts = Parts {
                body: reader.text(TextKey::Body(needs.item.id))?.unwrap_or_default(),
                prompt: needs.prompt,
                results,
                lesson,
                notes: reader.notes(needs.mission)?,
                gate: needs.gate,
                diff,
                tools: needs.tools,
                workers: needs.workers,
                overlaps: needs.overlaps,
            };
            Ok(prompt::render(&needs.item, needs.purpose, &parts))
        });
        texts.await.map_err(|e| e.to_string())?.map_err(|e| e.to_string())
    }

    async fn say(&self, report: Report) {
        say(&self.engine, self.effect, report).await;
    }
}

/// What tells a folder from one that is made in its place later.
fn identity(folder: &Path) -> std::io::Result<String> {
    use std::os::unix::fs::MetadataExt;
    let metadata = folder.metadata()?;
    let made = metadata.created().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    Ok(format!("{}:{}:{}", metadata.dev(), metadata.ino(), made.unwrap_or_default().as_nanos()))
}

/// Says a report until it is on disk or refused.
async fn say(engine: &Engine, effect: EffectId, report: Report) {
    let mut wait = REPORT_AGAIN.0;
    loop {
        match engine.report(effect, report.clone()).await {
            Ok(_) | Err(EngineError::Stopped) => return,
            Err(EngineError::Refused(refused)) => {
                debug!(%effect, %refused, "a report was refused");
                return;
            }
            Err(error @ (EngineError::Unwritten { .. } | EngineError::Defect { .. })) => {
                warn!(%effect, %error, "a report could not be taken; it is said again");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(REPORT_AGAIN.1);
            }
        }
    }
}

fn no_worktree(error: &str) -> Report {
    let outcome = Outcome::Failed {
        class: FailureClass::Agent,
        message: format!("its worktree cannot be made again: {error}").into(),
        detail: Box::default(),
    };
    Report::RunFinished { outcome, usage: Usage::default() }
}

fn check_report(end: ScriptEnd) -> Report {
    let (met, text) = match end {
        // The shell's word for a program that is not there, or may not be executed: nobody has looked at anything.
        ScriptEnd::Exited { ok: false, exit, tail } if matches!(&*exit, "exit 126" | "exit 127") => {
            let last = tail.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned();
            return Report::DriverFailed { error: format!("its program cannot be started ({exit}): {last}").into() };
        }
        ScriptEnd::Exited { ok, exit, .. } => (ok, exit),
        ScriptEnd::TimedOut { .. } => (false, "it took too long and was ended".to_owned()),
        ScriptEnd::Lost | ScriptEnd::Died => (false, "its process vanished".to_owned()),
        ScriptEnd::Failed(error) => return Report::DriverFailed { error: error.into() },
    };
    Report::Probed { met, text: text.into() }
}

fn gate_report(end: ScriptEnd) -> Report {
    Report::GateFinished(match end {
        ScriptEnd::Exited { ok: true, .. } => GateVerdict::Green,
        ScriptEnd::Exited { ok: false, exit, tail } => GateVerdict::Red { exit: exit.into(), tail: tail.into() },
        ScriptEnd::TimedOut { tail } => GateVerdict::TimedOut { tail: tail.into() },
        ScriptEnd::Lost => GateVerdict::Lost,
        ScriptEnd::Died => GateVerdict::Died,
        ScriptEnd::Failed(error) => return Report::DriverFailed { error: error.into() },
    })
}
