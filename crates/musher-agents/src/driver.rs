//! The glue to the engine: a run or a script in, what came of it out. Decides nothing.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use musher_core::command::Report;
use musher_core::effect::Stop;
use musher_core::run::{FailureClass, Outcome, Purpose, Usage, Verdict};
use musher_engine::driver::{Reports, Runs, Swept, Work};
use musher_engine::job::{RunJob, Script, ScriptEnd};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::command::{
    self, AgentResult, Class, Facts, Review, Template, Values, environment, read_result, resolve_program,
};
use crate::host::{ExitRecord, HostSpec, OutputRecord, Reason, StartFailure, Stop as HostStop, Stream};
use crate::slots::{DEFAULT_PORT_BASE, port_base};
use crate::supervise::{
    self, Attachment, HostStatus, LaunchError, Observation, RunFolder, attach, end_tree, inspect, launch,
};

/// How much of a failure's output is told to the next run, in bytes.
const TAIL_BYTES: usize = 8_000;
/// How much of the output file is read for that tail, in bytes.
const TAIL_READ_BYTES: u64 = 64 << 10;
/// How long a host that has taken its folder is given to say so, before it is looked for again.
const CLAIM_LOOK: Duration = Duration::from_millis(20);
/// How often at most an agent's being heard is written down.
const HEARD_EVERY: Duration = Duration::from_secs(30);
/// What a project's own scripts get from musher's environment. They run what agents wrote, so it is no more than
/// toolchains need.
const SCRIPT_ENVIRONMENT: [&str; 16] = [
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TERM",
    "USER",
    "LOGNAME",
    "SHELL",
    "TMPDIR",
    "TZ",
    "CI",
    "CARGO_HOME",
    "RUSTUP_HOME",
    "GOPATH",
    "JAVA_HOME",
    "VIRTUAL_ENV",
];

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
    /// Folders whose end was asked for before a host was there to be asked.
    unwanted: Mutex<HashSet<PathBuf>>,
    launched: Notify,
}

impl ProcessDriver {
    /// A driver that starts hosts with this argv (the run folder is added) and masks these values in all output.
    #[must_use]
    pub fn new(host: Vec<OsString>, masks: Vec<String>, environment: BTreeMap<String, String>) -> Self {
        let shared = Shared { host, masks, environment, unwanted: Mutex::new(HashSet::new()), launched: Notify::new() };
        Self { shared: Arc::new(shared) }
    }
}

impl Runs for ProcessDriver {
    fn run(&self, job: RunJob, reports: Reports) -> Work<Report> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let (outcome, usage) = shared.run(&job, &reports).await;
            shared.settled(&job.folder);
            Report::RunFinished { outcome, usage }
        })
    }

    fn stop(&self, folder: PathBuf, how: Stop) -> Work<()> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.stop(&folder, how).await })
    }

    fn script(&self, job: Script) -> Work<ScriptEnd> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let end = shared.script(&job).await;
            shared.settled(&job.folder);
            end
        })
    }

    fn sweep(&self, runs: PathBuf, keep: Vec<String>) -> Work<Swept> {
        Box::pin(async move { sweep(&runs, &keep.into_iter().collect()).await })
    }
}

impl Shared {
    async fn run(&self, job: &RunJob, reports: &Reports) -> (Outcome, Usage) {
        let folder = RunFolder::at(&job.folder);
        let none = Usage::default();
        match inspect(&folder) {
            Ok(HostStatus::NeverStarted) if job.was_running => return (Outcome::Lost { while_down: true }, none),
            Ok(HostStatus::NeverStarted) => {
                if self.is_unwanted(&job.folder) {
                    return (Outcome::Cancelled, none);
                }
                if let Err(outcome) = self.start(job).await {
                    return (outcome, none);
                }
            }
            Ok(HostStatus::Alive | HostStatus::Finished(_)) => {}
            Ok(HostStatus::Lost { .. }) => return (lost(&folder, job.reissued).await, none),
            Err(error) => return (failed(FailureClass::Lost, said(&error, error.fix())), none),
        }
        self.launched.notify_waiters();
        reports(Report::RunStarted);
        match follow(&folder, reports).await {
            Ok(Some(exit)) => ended(job, &folder, &exit),
            Ok(None) => (lost(&folder, false).await, none),
            Err(error) => (failed(FailureClass::Lost, error), none),
        }
    }

    async fn start(&self, job: &RunJob) -> Result<(), Outcome> {
        let setup = |text: String| failed(FailureClass::Setup, text);
        let spec = self.spec(job).map_err(setup)?;
        let folder = RunFolder::prepare(&job.folder, &spec, job.prompt.as_bytes())
            .map_err(|e| failed(FailureClass::Lost, said(&e, e.fix())))?;
        std::fs::write(prompt_file(&job.folder), &job.prompt)
            .map_err(|e| failed(FailureClass::Lost, format!("the prompt cannot be written: {e}")))?;
        match self.launch(&folder).await {
            Ok(()) => Ok(()),
            Err(LaunchError::Program { failure: StartFailure::Folder, message }) => {
                Err(failed(FailureClass::Agent, format!("the worktree cannot be entered: {message}")))
            }
            Err(error @ LaunchError::Program { .. }) => {
                let program = spec.argv.first().map(String::as_str).unwrap_or_default();
                Err(setup(format!("`{program}`: {}", said(&error, error.fix()))))
            }
            Err(error) => Err(failed(FailureClass::Lost, said(&error, error.fix()))),
        }
    }

    fn spec(&self, job: &RunJob) -> Result<HostSpec, String> {
        let template = Template::parse(&job.agent.command).map_err(|e| format!("{e}; {}", e.fix()))?;
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
        let mut argv = template.fill(&values);
        if let Some(program) = argv.first_mut() {
            *program = resolve_program(&job.root, program);
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
        Ok(HostSpec {
            env: environment(&self.environment, &job.agent.env, &facts),
            masks: self.masks.clone(),
            deadline_ms: limits.duration_secs.saturating_mul(1_000),
            silence_ms: (limits.silence_secs > 0).then(|| limits.silence_secs.saturating_mul(1_000)),
            max_output_bytes: limits.max_output_bytes,
            ..HostSpec::new(run.clone(), argv, &job.worktree)
        })
    }

    /// Ends what runs in a folder. Where nothing runs yet, waits until it does: a stop must not be lost in a start.
    async fn stop(&self, folder: &Path, how: Stop) {
        let run = RunFolder::at(folder);
        let how = match how {
            Stop::Interrupt => HostStop::Interrupt,
            Stop::Kill => HostStop::Kill,
        };
        if let Ok(mut unwanted) = self.unwanted.lock() {
            unwanted.insert(folder.to_owned());
        }
        loop {
            let launched = self.launched.notified();
            match inspect(&run) {
                Ok(HostStatus::NeverStarted) => launched.await,
                Ok(HostStatus::Alive) => {
                    ask_to_end(&run, how).await;
                    break;
                }
                Ok(HostStatus::Finished(_) | HostStatus::Lost { .. }) | Err(_) => break,
            }
        }
        self.settled(folder);
    }

    /// Launches the host of a folder, or finds the one that has it. A daemon that was killed may have left one that has
    /// taken the folder and not yet said so: it is waited for, since a second one must never start beside it.
    async fn launch(&self, folder: &RunFolder) -> Result<(), LaunchError> {
        loop {
            match launch(&self.host, folder).await {
                Err(LaunchError::Used) => {}
                other => return other,
            }
            match inspect(folder)? {
                HostStatus::NeverStarted => tokio::time::sleep(CLAIM_LOOK).await,
                HostStatus::Alive | HostStatus::Finished(_) | HostStatus::Lost { .. } => return Ok(()),
            }
        }
    }

    fn is_unwanted(&self, folder: &Path) -> bool {
        self.unwanted.lock().is_ok_and(|unwanted| unwanted.contains(folder))
    }

    fn settled(&self, folder: &Path) {
        if let Ok(mut unwanted) = self.unwanted.lock() {
            unwanted.remove(folder);
        }
        self.launched.notify_waiters();
    }

    async fn script(&self, job: &Script) -> ScriptEnd {
        let folder = RunFolder::at(&job.folder);
        match inspect(&folder) {
            Ok(HostStatus::NeverStarted) => {
                if self.is_unwanted(&job.folder) {
                    return ScriptEnd::Lost;
                }
                if let Err(error) = self.start_script(job).await {
                    return ScriptEnd::Failed(error);
                }
            }
            Ok(HostStatus::Alive | HostStatus::Finished(_)) => {}
            Ok(HostStatus::Lost { .. }) => {
                let _ = lost(&folder, true).await;
                return ScriptEnd::Lost;
            }
            Err(error) => return ScriptEnd::Failed(said(&error, error.fix())),
        }
        self.launched.notify_waiters();
        let silent: Reports = Arc::new(|_| {});
        match follow(&folder, &silent).await {
            Ok(Some(exit)) => script_end(&folder, &exit),
            Ok(None) => {
                let _ = lost(&folder, false).await;
                ScriptEnd::Died
            }
            Err(error) => ScriptEnd::Failed(error),
        }
    }

    async fn start_script(&self, job: &Script) -> Result<(), String> {
        let argv = vec!["sh".to_owned(), "-c".to_owned(), job.text.clone()];
        let mut env: BTreeMap<String, String> = SCRIPT_ENVIRONMENT
            .into_iter()
            .filter_map(|name| self.environment.get_key_value(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let port = port_base(DEFAULT_PORT_BASE, job.slot).map_err(|e| format!("{e}; {}", e.fix()))?;
        let cwd = job.cwd.to_string_lossy().into_owned();
        for (name, value) in [
            ("MUSHER_RUN", job.name.clone()),
            ("MUSHER_WORKTREE", cwd.clone()),
            ("MUSHER_SLOT", job.slot.to_string()),
            ("MUSHER_PORT_BASE", port.to_string()),
            ("PWD", cwd),
        ] {
            env.insert(name.to_owned(), value);
        }
        let spec = HostSpec {
            env,
            masks: self.masks.clone(),
            deadline_ms: job.timeout_secs.saturating_mul(1_000),
            ..HostSpec::new(job.name.clone(), argv, &job.cwd)
        };
        let folder = RunFolder::prepare(&job.folder, &spec, b"").map_err(|e| said(&e, e.fix()))?;
        match self.launch(&folder).await {
            Ok(()) => Ok(()),
            Err(error) => Err(said(&error, error.fix())),
        }
    }
}

fn prompt_file(folder: &Path) -> PathBuf {
    folder.join("prompt.md")
}

fn result_file(folder: &Path) -> PathBuf {
    folder.join("result.json")
}

fn failed(class: FailureClass, message: String) -> Outcome {
    Outcome::Failed { class, message: message.into(), detail: Box::default() }
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

/// A run without a host: whatever of it still lives is ended before anyone else gets its item.
async fn lost(folder: &RunFolder, while_down: bool) -> Outcome {
    loop {
        match end_tree(folder).await {
            Ok(ended) => {
                if ended > 0 {
                    info!(folder = %folder.path().display(), ended, "processes of a lost run were ended");
                }
                return Outcome::Lost { while_down };
            }
            Err(error) => {
                // Giving the item away while its old processes live would run it twice: better to wait.
                warn!(folder = %folder.path().display(), %error, "a lost run cannot be ended yet");
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
        }
    }
}

/// What an exit means for a run of the command driver.
fn ended(job: &RunJob, folder: &RunFolder, exit: &ExitRecord) -> (Outcome, Usage) {
    let limit = |class, what: &str, secs: u64| {
        let message = format!("{what} {secs} s, its limit");
        Outcome::Failed { class, message: message.into(), detail: tail(folder).into() }
    };
    let outcome = match &exit.reason {
        Reason::Exited => return exited(job, folder, exit),
        Reason::Deadline => limit(FailureClass::Limit, "it ran for", job.agent.limits.duration_secs),
        Reason::Silence => limit(FailureClass::Timeout, "it was silent for", job.agent.limits.silence_secs),
        Reason::Stopped { .. } => Outcome::Cancelled,
        Reason::Shutdown => Outcome::Lost { while_down: true },
        Reason::NotStarted { failure: StartFailure::Folder, message } => {
            failed(FailureClass::Agent, format!("the worktree cannot be entered: {message}"))
        }
        Reason::NotStarted { failure, message } => failed(FailureClass::Setup, format!("{message}; {}", failure.fix())),
    };
    (outcome, Usage::default())
}

fn exited(job: &RunJob, folder: &RunFolder, exit: &ExitRecord) -> (Outcome, Usage) {
    let result = match read_result(&result_file(&job.folder)) {
        Ok(result) => result,
        Err(error) => {
            let message = format!("its result file cannot be taken: {}", said(&error, error.fix()));
            return (failed(FailureClass::Agent, message), Usage::default());
        }
    };
    let usage = result.as_ref().map(used).unwrap_or_default();
    let summary = command::summary(result.as_ref(), exit.last_line.as_deref());
    if exit.code == Some(0) {
        let verdict = (job.purpose == Purpose::Review).then(|| verdict(result.as_ref(), &summary)).flatten();
        let no_change_needed = result.and_then(|r| r.no_change_needed).map(Into::into);
        return (Outcome::Finished { summary: summary.into(), no_change_needed, verdict }, usage);
    }
    let class = match result.as_ref().and_then(|r| r.class) {
        Some(Class::Setup) => FailureClass::Setup,
        Some(Class::Timeout) => FailureClass::Timeout,
        Some(Class::Limit) => FailureClass::Limit,
        Some(Class::Gate) => FailureClass::Gate,
        Some(Class::Empty) => FailureClass::Empty,
        Some(Class::Agent) | None => FailureClass::Agent,
    };
    let message = if summary.is_empty() { exit_words(exit) } else { format!("{}: {summary}", exit_words(exit)) };
    (Outcome::Failed { class, message: message.into(), detail: tail(folder).into() }, usage)
}

fn used(result: &AgentResult) -> Usage {
    Usage {
        input_tokens: result.usage.input_tokens,
        output_tokens: result.usage.output_tokens,
        cost_micro_usd: result.usage.cost_micro_usd,
    }
}

/// A reviewer's answer: from the result file, or as the first word of its closing line.
fn verdict(result: Option<&AgentResult>, summary: &str) -> Option<Verdict> {
    if let Some(review) = result.and_then(|r| r.review.as_ref()) {
        return Some(match review {
            Review::Approved(text) => Verdict::Approved(text.as_str().into()),
            Review::Rejected(text) => Verdict::Rejected(text.as_str().into()),
        });
    }
    let (word, text) = summary.split_once(':').unwrap_or((summary, ""));
    let text: Box<str> = text.trim().into();
    match word.trim().to_ascii_lowercase().as_str() {
        "approved" => Some(Verdict::Approved(text)),
        "rejected" => Some(Verdict::Rejected(text)),
        _ => None,
    }
}

fn exit_words(exit: &ExitRecord) -> String {
    match (exit.code, exit.signal) {
        (Some(code), _) => format!("exit {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "no exit code".to_owned(),
    }
}

fn script_end(folder: &RunFolder, exit: &ExitRecord) -> ScriptEnd {
    match &exit.reason {
        Reason::Exited => ScriptEnd::Exited { ok: exit.code == Some(0), exit: exit_words(exit), tail: tail(folder) },
        Reason::Deadline | Reason::Silence => ScriptEnd::TimedOut { tail: tail(folder) },
        Reason::Stopped { .. } | Reason::Shutdown => ScriptEnd::Lost,
        Reason::NotStarted { failure, message } => ScriptEnd::Failed(format!("{message}; {}", failure.fix())),
    }
}

/// The end of what was said, as plain lines, at most [`TAIL_BYTES`].
fn tail(folder: &RunFolder) -> String {
    use std::io::{Read, Seek, SeekFrom};
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(folder.output())?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_READ_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_READ_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let mut text = String::new();
    // The first line may be the end of a longer one; it is no record then and is passed over.
    for line in bytes.split(|b| *b == b'\n') {
        if let Ok(record) = serde_json::from_slice::<OutputRecord>(line)
            && record.stream != Stream::Host
        {
            text.push_str(&record.text);
            text.push('\n');
        }
    }
    musher_core::retry::tail(&text, TAIL_BYTES).to_owned()
}

/// How long a host is given to answer a wish.
const TALK: Duration = Duration::from_secs(2);
/// How long a host that nobody wants is given to end its tree, and then the tree without it.
const SWEEP: Duration = Duration::from_secs(10);

/// Asks a host to end its agent: by its socket, or by a signal where the socket is gone or does not answer.
async fn ask_to_end(run: &RunFolder, how: HostStop) {
    let answer = tokio::time::timeout(TALK, supervise::stop(run, how)).await;
    if let Ok(Ok(())) = answer {
        return;
    }
    warn!(folder = %run.path().display(), "the run host does not answer; it is told by a signal");
    signal_host(run, Signal::SIGTERM);
}

/// Signals a host that was found alive by its pid and its start time.
fn signal_host(run: &RunFolder, signal: Signal) {
    if let (Ok(HostStatus::Alive), Ok(Some(record))) = (inspect(run), run.host())
        && let Err(error) = kill(Pid::from_raw(record.host.pid), signal)
    {
        warn!(folder = %run.path().display(), %error, "the run host cannot be signalled");
    }
}

/// Ends what lives in a folder that nobody wants; bounded, so that one that cannot be ended does not hold up the rest.
async fn sweep_away(folder: &RunFolder) {
    ask_to_end(folder, HostStop::Kill).await;
    let silent: Reports = Arc::new(|_| {});
    let over = tokio::time::timeout(SWEEP, follow(folder, &silent)).await;
    if matches!(over, Ok(Ok(Some(_)))) {
        return;
    }
    signal_host(folder, Signal::SIGKILL);
    if tokio::time::timeout(SWEEP, lost(folder, true)).await.is_err() {
        warn!(folder = %folder.path().display(), "a run that nobody wants cannot be ended");
    }
}

/// Ends what lives in run folders that nobody wants, and looks which of the wanted are lost.
async fn sweep(runs: &Path, keep: &HashSet<String>) -> Swept {
    let mut swept = Swept::default();
    let Ok(entries) = std::fs::read_dir(runs) else { return swept };
    for entry in entries.flatten() {
        let wanted = keep.contains(&*entry.file_name().to_string_lossy());
        let folder = RunFolder::at(entry.path());
        match (wanted, inspect(&folder)) {
            (true, Ok(HostStatus::Lost { .. })) => swept.lost += 1,
            (false, Ok(HostStatus::Alive)) => {
                swept.ended += 1;
                sweep_away(&folder).await;
            }
            (false, Ok(HostStatus::Lost { .. })) => {
                if matches!(end_tree(&folder).await, Ok(ended) if ended > 0) {
                    swept.ended += 1;
                }
            }
            (true | false, Ok(_) | Err(_)) => {}
        }
    }
    swept
}
