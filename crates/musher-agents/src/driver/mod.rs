//! The glue to the engine: a run or a script in, what came of it out. Decides nothing.

mod beginning;
mod conversation;
mod end;
mod live;
mod meter;
mod outcome;
mod run;
mod script;
mod start;
mod sweep;
mod tools;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use musher_core::agent::AgentSpec;
use musher_core::command::Report;
use musher_core::effect::Stop;
use musher_core::run::Usage;
use musher_engine::driver::{Program, Reports, Runs, Swept, Work};
use musher_engine::job::{RunJob, Script, ScriptEnd, TellJob};

pub use self::beginning::Beginning;
use self::live::Registry;
pub use self::tools::Tools;
use crate::host::{ExitRecord, Stop as HostStop};
use crate::probe;
use crate::supervise::{Attachment, Observation, RunFolder, attach, stopped_host};

/// How often at most an agent's being heard is written down.
const HEARD_EVERY: Duration = Duration::from_secs(30);

/// Runs agents and scripts under run hosts.
#[derive(Clone, Debug)]
pub struct ProcessDriver {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    host: Vec<OsString>,
    masks: Vec<String>,
    environment: BTreeMap<String, String>,
    tools: Option<Tools>,
    live: Registry,
    /// Whether this machine can give a sandbox; looked at once it is wanted.
    sandbox: std::sync::OnceLock<Result<(), String>>,
}

impl ProcessDriver {
    /// A driver that starts hosts with this argv (the run folder is added) and masks these values in all output.
    #[must_use]
    pub fn new(host: Vec<OsString>, masks: Vec<String>, environment: BTreeMap<String, String>) -> Self {
        Self {
            shared: Arc::new(Shared {
                host,
                masks,
                environment,
                tools: None,
                live: Registry::default(),
                sandbox: std::sync::OnceLock::new(),
            }),
        }
    }

    /// The same, and agents whose programs take them are given musher's tools.
    #[must_use]
    pub fn with_tools(self, tools: Tools) -> Self {
        let Shared { host, masks, environment, .. } = &*self.shared;
        let (host, masks, environment) = (host.clone(), masks.clone(), environment.clone());
        let shared = Shared {
            host,
            masks,
            environment,
            tools: Some(tools),
            live: Registry::default(),
            sandbox: std::sync::OnceLock::new(),
        };
        Self { shared: Arc::new(shared) }
    }
}

impl Runs for ProcessDriver {
    fn run(&self, job: RunJob, reports: Reports) -> Work<Report> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let (outcome, usage) = shared.run(&job, &reports).await;
            Report::RunFinished { outcome, usage }
        })
    }

    /// Returns when nothing lives in the folder and nothing ever will: what has not begun is refused for good, so that
    /// neither a start waits for a stop nor a stop for a start.
    fn stop(&self, folder: PathBuf, how: Stop) -> Work<()> {
        let how = match how {
            Stop::Interrupt => HostStop::Interrupt,
            Stop::Kill => HostStop::Kill,
        };
        Box::pin(async move { end::stop(&RunFolder::at(folder), how).await })
    }

    fn tell(&self, job: TellJob) -> Work<bool> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.live.tell(job).await })
    }

    fn script(&self, job: Script) -> Work<ScriptEnd> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.script(&job).await })
    }

    fn look(&self, root: PathBuf, agent: AgentSpec, error: Option<Box<str>>) -> Work<Program> {
        let shared = Arc::clone(&self.shared);
        let look = move || match probe::program(&agent, &root, &shared.environment) {
            Ok(Some(_)) => Program::There { mended: error.as_deref().is_some_and(probe::is_of_the_program) },
            Ok(None) => Program::Unknown,
            Err(probe::Finding { text, fix, .. }) => {
                Program::Missing(fix.map_or(text.clone(), |fix| format!("{text}; {fix}")).into())
            }
        };
        // The disk of a program may be slow, or a network's.
        Box::pin(async { tokio::task::spawn_blocking(look).await.unwrap_or(Program::Unknown) })
    }

    fn silent(&self, folders: Vec<PathBuf>) -> Work<Vec<(PathBuf, i32)>> {
        let look = move || {
            let silent = |path: PathBuf| stopped_host(&RunFolder::at(&path)).map(|pid| (path, pid));
            folders.into_iter().filter_map(silent).collect()
        };
        Box::pin(async { tokio::task::spawn_blocking(look).await.unwrap_or_default() })
    }

    fn sweep(&self, unwanted: Vec<PathBuf>, wanted: Vec<PathBuf>) -> Work<Swept> {
        Box::pin(sweep::sweep(unwanted, wanted))
    }
}

/// An error with its causes and its fix, one line.
fn said(error: &dyn std::error::Error, fix: &str) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    format!("{text}; {fix}")
}

/// Reads a run to its end; nothing when its host is lost.
async fn follow(folder: &RunFolder, reports: &Reports) -> Result<Option<ExitRecord>, String> {
    let mut attachment: Attachment = attach(folder, 0).map_err(|e| said(&e, e.fix()))?;
    let mut heard: Option<Instant> = None;
    loop {
        match attachment.next().await.map_err(|e| said(&e, e.fix()))? {
            Some(Observation::Output { .. }) => {
                if heard.is_none_or(|at| at.elapsed() >= HEARD_EVERY) {
                    // The start itself counts as being heard, so the first output is not written down.
                    if heard.is_some() {
                        reports(Report::RunProgress { usage: Usage::default() });
                    }
                    heard = Some(Instant::now());
                }
            }
            Some(Observation::Exited(exit)) => return Ok(Some(*exit)),
            Some(Observation::HostLost) | None => return Ok(None),
        }
    }
}
