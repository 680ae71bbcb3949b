//! Runs of agents by the command driver.

use std::path::{Path, PathBuf};

use musher_core::agent::Sandbox;
use musher_core::command::Report;
use musher_core::config::drivers::takes_tools;
use musher_core::run::{FailureClass, Outcome, Usage};
use musher_engine::driver::Reports;
use musher_engine::job::RunJob;
use tracing::warn;

use super::conversation::{Spoken, command_of};
use super::outcome::{ended, failed, result_file, written_use};
use super::start::{Begun, NotBegun, wait_for_room};
use super::tools::Tools;
use super::{Shared, end, follow};
use crate::command::sandbox::{self, Walls};
use crate::command::{Facts, Template, Values, environment, home, resolve_program};
use crate::host::{HostSpec, Stop, is_no_room};
use crate::slots::{DEFAULT_PORT_BASE, port_base};
use crate::supervise::{self, HostStatus, RunFolder, settled};

impl Shared {
    pub(super) async fn run(&self, job: &RunJob, reports: &Reports) -> (Outcome, Usage) {
        let folder = RunFolder::at(&job.folder);
        let none = Usage::default();
        if job.was_running && matches!(settled(&folder).await, Ok(HostStatus::NeverStarted)) {
            return (Outcome::Lost { while_down: true }, none);
        }
        match self.begin(&folder, || self.prepare(job)).await {
            Ok(Begun::Readable) => {}
            Ok(Begun::Refused(exit)) => return ended(job, &folder, &exit),
            Ok(Begun::Lost { here }) => {
                let outcome = lost(&folder, job.reissued && !here).await;
                return (outcome, self.last_use(job, &folder, reports).await);
            }
            Err(why) => return (not_begun(&folder, why).await, none),
        }
        reports(Report::RunStarted);
        if let Some(spoken) = Spoken::of(job, self.tools.as_ref()) {
            return self.converse(job, &folder, &spoken, reports).await;
        }
        let _deaf = self.live.deaf(job.run);
        match follow(&folder, reports).await {
            Ok(Some(exit)) => ended(job, &folder, &exit),
            // Nothing of it lives any more when its outcome is known, so what it has written is its last word.
            Ok(None) => (lost(&folder, false).await, written_use(job)),
            Err(error) => (unreadable(&folder, error).await, written_use(job)),
        }
    }

    fn prepare(&self, job: &RunJob) -> Result<RunFolder, NotBegun> {
        let spec = self.spec(job).map_err(NotBegun::Setup)?;
        let stdin = match Spoken::of(job, self.tools.as_ref()) {
            Some(spoken) => spoken.launch.stdin.clone().unwrap_or_default(),
            None => job.prompt.clone(),
        };
        let folder = RunFolder::prepare(&job.folder, &spec, stdin.as_bytes());
        let folder = folder.map_err(|e| NotBegun::folder(&e))?;
        std::fs::write(prompt_file(&job.folder), &job.prompt).map_err(|error| {
            let text = format!("the prompt cannot be written: {error}");
            if is_no_room(&error) { NotBegun::NoRoom(text) } else { NotBegun::Other(text) }
        })?;
        if let Some(spoken) = Spoken::of(job, self.tools.as_ref()) {
            spoken.keep(&job.folder).map_err(|error| {
                let text = format!("what the agent is told cannot be written down: {error}");
                if is_no_room(&error) { NotBegun::NoRoom(text) } else { NotBegun::Other(text) }
            })?;
        }
        if job.agent.sandbox == Sandbox::Bwrap {
            // What is not there cannot be shown; an empty result is none.
            let made = std::fs::File::options().create(true).append(true).open(result_file(&job.folder));
            made.map_err(|error| NotBegun::Other(format!("the result file cannot be made: {error}")))?;
        }
        Ok(folder)
    }

    fn spec(&self, job: &RunJob) -> Result<HostSpec, String> {
        let spoken = Spoken::of(job, self.tools.as_ref());
        let command = command_of(job);
        let template = Template::parse(&command).map_err(|e| format!("{e}; {}", e.fix()))?;
        let (item, run, mission) = (job.item.to_string(), job.run.to_string(), job.mission.to_string());
        let root = job.root.to_string_lossy();
        let worktree = job.worktree.to_string_lossy();
        let prompt_file = prompt_file(&job.folder);
        let prompt_file = prompt_file.to_string_lossy();
        let result = result_file(&job.folder);
        let values = Values {
            root: &root,
            prompt: &job.prompt,
            prompt_file: &prompt_file,
            worktree: &worktree,
            item: &item,
            run: &run,
            attempt: job.attempt,
        };
        let mut argv = template.fill(&values).map_err(|e| format!("{e}; {}", e.fix()))?;
        if let Some(program) = argv.first_mut() {
            *program = resolve_program(&job.root, program);
        }
        argv.extend(spoken.iter().flat_map(|spoken| spoken.launch.args.iter().cloned()));
        if job.agent.sandbox == Sandbox::Bwrap {
            argv = self.walled(argv, job)?;
        }
        let facts = Facts {
            item: &item,
            run: &run,
            mission: &mission,
            attempt: job.attempt,
            worktree: &worktree,
            base: &job.base,
            prompt_file: &prompt_file,
            result: &result.to_string_lossy(),
            slot: job.slot,
            port_base: port_base(DEFAULT_PORT_BASE, job.slot).map_err(|e| format!("{e}; {}", e.fix()))?,
        };
        let limits = &job.agent.limits;
        let mut env = environment(&self.environment, &job.agent.env, &facts);
        if let Some(home) = &job.agent.home {
            home::make(&job.root, home)?;
            env.extend(home::variables(&job.root, home, &job.agent.driver));
        }
        for (name, value) in spoken.iter().flat_map(|spoken| &spoken.launch.env) {
            env.entry(name.clone()).or_insert_with(|| value.clone());
        }
        let talks = spoken.as_ref().is_some_and(|spoken| spoken.launch.stdin.is_none());
        Ok(HostSpec {
            env,
            masks: self.masks.iter().cloned().chain(self.tools.iter().map(|tools| tools.pass(job.run))).collect(),
            deadline_ms: limits.duration_secs.saturating_mul(1_000),
            // Who talks to an agent knows better what its silence means: it may wait for an answer.
            silence_ms: (spoken.is_none() && limits.silence_secs > 0)
                .then(|| limits.silence_secs.saturating_mul(1_000)),
            keep_stdin: talks,
            max_line_bytes: if spoken.is_some() { PROTOCOL_LINE_BYTES } else { LINE_BYTES },
            max_output_bytes: limits.max_output_bytes,
            ..HostSpec::new(run.clone(), argv, &job.worktree)
        })
    }
}

/// How much is kept of a line of a plain program, in bytes.
const LINE_BYTES: u32 = 64 << 10;
/// How much is kept of a line of a protocol, in bytes: one that is cut cannot be understood.
const PROTOCOL_LINE_BYTES: u32 = 1 << 20;

impl Shared {
    /// The command within the walls of the agent's sandbox. One that this machine cannot give is an error.
    fn walled(&self, argv: Vec<String>, job: &RunJob) -> Result<Vec<String>, String> {
        self.sandbox.get_or_init(sandbox::check).clone()?;
        let home = job.agent.home.as_deref().map(|home| job.root.join(home));
        let walls = Walls {
            root: &job.root,
            worktree: &job.worktree,
            state: &job.state,
            prompt: &prompt_file(&job.folder),
            result: &result_file(&job.folder),
            home: home.as_deref(),
            tools: self.tools.as_ref().filter(|_| takes_tools(&job.agent.driver)).map(Tools::shown),
        };
        Ok(sandbox::walled(argv, &walls))
    }
}

fn prompt_file(folder: &Path) -> PathBuf {
    folder.join("prompt.md")
}

/// A run that cannot be read: it may live, and the item will be given away.
pub(super) async fn unreadable(folder: &RunFolder, error: String) -> Outcome {
    if let Err(error) = supervise::end(folder, Stop::Kill).await {
        warn!(folder = %folder.path().display(), %error, "a run that cannot be read cannot be ended");
    }
    failed(FailureClass::Lost, error)
}

/// A run without a host: whatever of it still lives is ended before anyone else gets its item.
pub(super) async fn lost(folder: &RunFolder, while_down: bool) -> Outcome {
    // Without a bound there is no error.
    let _ = end::bury(folder, None).await;
    if folder.is_stopped() { Outcome::Cancelled } else { Outcome::Lost { while_down } }
}

async fn not_begun(folder: &RunFolder, why: NotBegun) -> Outcome {
    match why {
        NotBegun::NoPlace(text) => failed(FailureClass::Agent, format!("the worktree cannot be entered: {text}")),
        NotBegun::Setup(text) => failed(FailureClass::Setup, text),
        NotBegun::Other(text) => failed(FailureClass::Lost, text),
        NotBegun::NoRoom(text) => {
            wait_for_room(folder, &text).await;
            // Nothing that an agent did, so nothing that counts against its item.
            lost(folder, true).await
        }
    }
}
