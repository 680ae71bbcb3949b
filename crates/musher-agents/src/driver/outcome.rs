//! What an end means to the engine, and what it said last.

use std::path::{Path, PathBuf};

use musher_core::plan::{ANSWER_LIMIT, begins_as_plan};
use musher_core::price::{Estimated, Price};
use musher_core::run::{FailureClass, Outcome, Purpose, Usage, Verdict};
use musher_engine::job::{RunJob, ScriptEnd};
use tracing::debug;

use super::meter::Meter;
use super::said;
use crate::command::{self, AgentResult, Class, Review, Used, read_result};
use crate::host::{ExitRecord, OutputRecord, Reason, StartFailure, Stream};
use crate::protocol::{Ended, Observation};
use crate::supervise::RunFolder;

/// How much of a failure's output is told to the next run, in bytes.
const TAIL_BYTES: usize = 8_000;
/// How much of the output file is read for that tail, in bytes.
const TAIL_READ_BYTES: u64 = 64 << 10;
/// How much of the output file is read for a plan, in bytes: a record is longer than the line in it.
const ANSWER_READ_BYTES: u64 = 16 << 20;

pub(super) fn result_file(folder: &Path) -> PathBuf {
    folder.join("result.json")
}

pub(super) fn failed(class: FailureClass, message: String) -> Outcome {
    Outcome::Failed { class, message: message.into(), detail: Box::default() }
}

/// What an exit means for a run of the command driver.
pub(super) fn ended(job: &RunJob, folder: &RunFolder, exit: &ExitRecord) -> (Outcome, Usage) {
    match cut_short(job, exit, &tail(folder)) {
        Some(outcome) => (outcome, written_use(job)),
        None => exited(job, folder, exit),
    }
}

/// What a run that did not come to its own end says that it used until then. Nothing else of its result file counts, and
/// one that is torn or cannot be taken says nothing.
pub(super) fn written_use(job: &RunJob) -> Usage {
    match read_result(&result_file(&job.folder)) {
        Ok(Some(result)) => used(&result, job.price),
        Ok(None) => Usage::default(),
        Err(error) => {
            debug!(run = %job.run, %error, "the result file of a run that was cut short cannot be taken");
            Usage::default()
        }
    }
}

/// What an exit means that the agent did not choose itself; nothing when it did.
pub(super) fn cut_short(job: &RunJob, exit: &ExitRecord, tail: &str) -> Option<Outcome> {
    let limit = |class, what: &str, secs: u64| {
        let message = format!("{what} {secs} s, its limit");
        Outcome::Failed { class, message: message.into(), detail: tail.into() }
    };
    Some(match &exit.reason {
        Reason::Exited => return None,
        Reason::Deadline => limit(FailureClass::Limit, "it ran for", job.agent.limits.duration_secs),
        Reason::Silence => limit(FailureClass::Timeout, "it was silent for", job.agent.limits.silence_secs),
        Reason::Stopped { .. } => Outcome::Cancelled,
        Reason::Shutdown => Outcome::Lost { while_down: true },
        Reason::NotStarted { failure: StartFailure::Folder, message } => {
            failed(FailureClass::Agent, format!("the worktree cannot be entered: {message}"))
        }
        Reason::NotStarted { failure, message } => failed(FailureClass::Setup, format!("{message}; {}", failure.fix())),
    })
}

/// What the end of a protocol means. The result file adds what a protocol has no word for: a verdict, and a reason why
/// nothing had to change.
pub(super) fn spoken_end(job: &RunJob, ended: Ended, tail: &str) -> Outcome {
    let summary = match ended {
        Ended::Finished { summary } => summary,
        Ended::Failed { class, message } => {
            return Outcome::Failed { class, message: one_line(&message).into(), detail: tail.into() };
        }
        Ended::RateLimited { resets_at, message } => {
            return Outcome::RateLimited { resets_at, message: one_line(&message).into() };
        }
        Ended::SessionLost { message } => return Outcome::SessionLost { message: one_line(&message).into() },
        Ended::Cancelled => return Outcome::Cancelled,
    };
    let result = match read_result(&result_file(&job.folder)) {
        Ok(result) => result,
        Err(error) => {
            let message = format!("its result file cannot be taken: {}", said(&error, error.fix()));
            return failed(FailureClass::Agent, message);
        }
    };
    let summary = closing(job, result.as_ref(), &summary);
    let verdict = (job.purpose == Purpose::Review).then(|| verdict(result.as_ref(), &summary)).flatten();
    let no_change_needed = result.and_then(|r| r.no_change_needed).map(Into::into);
    Outcome::Finished { summary: summary.into(), no_change_needed, verdict }
}

/// The closing words of a run: a plan whole, otherwise what fits a summary.
fn closing(job: &RunJob, result: Option<&AgentResult>, said: &str) -> String {
    match job.purpose {
        Purpose::Plan => command::answer(result, said),
        Purpose::Work | Purpose::Resolve | Purpose::Review => command::summary(result, Some(said)),
    }
}

/// A message as one line of bounded length.
fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(MESSAGE_CHARS).collect()
}

/// The longest message of a failure, in characters.
const MESSAGE_CHARS: usize = 500;

fn exited(job: &RunJob, folder: &RunFolder, exit: &ExitRecord) -> (Outcome, Usage) {
    let result = match read_result(&result_file(&job.folder)) {
        Ok(result) => result,
        Err(error) => {
            let message = format!("its result file cannot be taken: {}", said(&error, error.fix()));
            return (failed(FailureClass::Agent, message), Usage::default());
        }
    };
    let usage = result.as_ref().map(|result| used(result, job.price)).unwrap_or_default();
    if exit.code == Some(0) {
        // A plain program has no closing words of its own: who is asked for a plan prints it.
        let said = match job.purpose {
            Purpose::Plan => spoken(folder),
            Purpose::Work | Purpose::Resolve | Purpose::Review => exit.last_line.clone().unwrap_or_default(),
        };
        let summary = closing(job, result.as_ref(), &said);
        let verdict = (job.purpose == Purpose::Review).then(|| verdict(result.as_ref(), &summary)).flatten();
        let no_change_needed = result.and_then(|r| r.no_change_needed).map(Into::into);
        return (Outcome::Finished { summary: summary.into(), no_change_needed, verdict }, usage);
    }
    let summary = command::summary(result.as_ref(), exit.last_line.as_deref());
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

/// What it says that it used, at the price of its model where it does not say the cost.
fn used(result: &AgentResult, price: Option<(Price, Estimated)>) -> Usage {
    let Used { input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, cost_micro_usd } = result.usage;
    let used = Usage {
        input_tokens,
        cache_read_tokens,
        cache_write_tokens,
        output_tokens,
        cost_micro_usd: cost_micro_usd.unwrap_or_default(),
        estimated_micro_usd: 0,
    };
    let mut meter = Meter::new(price);
    meter.count(&Observation::Usage { used, priced: cost_micro_usd.is_some() });
    meter.used()
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

pub(super) fn script_end(folder: &RunFolder, exit: &ExitRecord) -> ScriptEnd {
    match &exit.reason {
        Reason::Exited => ScriptEnd::Exited { ok: exit.code == Some(0), exit: exit_words(exit), tail: tail(folder) },
        Reason::Deadline | Reason::Silence => ScriptEnd::TimedOut { tail: tail(folder) },
        Reason::Stopped { .. } | Reason::Shutdown => ScriptEnd::Lost,
        Reason::NotStarted { failure, message } => ScriptEnd::Failed(format!("{message}; {}", failure.fix())),
    }
}

/// The end of what was said, as plain lines, at most [`TAIL_BYTES`].
fn tail(folder: &RunFolder) -> String {
    let text = last_lines(folder, TAIL_READ_BYTES, |stream| matches!(stream, Stream::Stdout | Stream::Stderr));
    musher_core::retry::tail(&text, TAIL_BYTES).to_owned()
}

/// The end of its standard output, at most as much as is read for a plan.
fn spoken(folder: &RunFolder) -> String {
    let text = last_lines(folder, ANSWER_READ_BYTES, |stream| matches!(stream, Stream::Stdout));
    // The end of a plan that is too long must not be taken for one: it may quote another.
    if begins_as_plan(&text) { text } else { musher_core::retry::tail(&text, ANSWER_LIMIT).to_owned() }
}

/// The lines of these streams in the last so many bytes of the output file.
fn last_lines(folder: &RunFolder, bytes: u64, wanted: impl Fn(Stream) -> bool) -> String {
    use std::io::{Read, Seek, SeekFrom};
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = std::fs::File::open(folder.output())?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(bytes)))?;
        let mut end = Vec::new();
        file.take(bytes).read_to_end(&mut end)?;
        Ok(end)
    };
    let mut text = String::new();
    // The first line may be the end of a longer one; it is no record then and is passed over.
    for line in read().unwrap_or_default().split(|b| *b == b'\n') {
        if let Ok(record) = serde_json::from_slice::<OutputRecord>(line)
            && wanted(record.stream)
        {
            text.push_str(&record.text);
            text.push('\n');
        }
    }
    text
}
