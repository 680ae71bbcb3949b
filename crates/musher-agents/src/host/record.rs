//! What a host writes down.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::sys::Identity;

/// Who host and agent are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRecord {
    /// The host's process.
    pub host: Identity,
    /// The agent's process, once it was started.
    #[serde(default)]
    pub agent: Option<Identity>,
    /// The boot in which the pids mean something; empty where the system does not tell.
    pub boot_id: String,
    /// When the host began, RFC 3339, UTC.
    pub started_at: String,
}

/// A line of output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputRecord {
    /// Counts from 1 in a run. A gap is a line that could not be kept.
    pub seq: u64,
    /// When the line was read, RFC 3339, UTC.
    pub at: String,
    /// Where it came from.
    pub stream: Stream,
    /// The line without its end, secrets masked; bytes that are no UTF-8 are replaced.
    pub text: String,
    /// Whether the line was longer than is kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// What the agent was told under this key; only of [`Stream::Stdin`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Where a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// The agent's standard output.
    Stdout,
    /// The agent's standard error.
    Stderr,
    /// The host: a marker where output is missing.
    Host,
    /// What the agent was told.
    Stdin,
}

/// How to stop an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// SIGINT to the agent's process group; what still lives after the grace is ended.
    Interrupt,
    /// SIGTERM to every process at once; what still lives after the grace is killed.
    Kill,
}

/// Why a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// The agent ended by itself.
    Exited,
    /// It ran for longer than it may.
    Deadline,
    /// It was silent for longer than it may.
    Silence,
    /// Somebody asked the host to stop it.
    Stopped {
        /// The way it was first asked for.
        how: Stop,
    },
    /// The system asked the host to end, as it does when it shuts down.
    Shutdown,
    /// The agent could not be started.
    NotStarted {
        /// The sort of the failure.
        failure: StartFailure,
        /// What the system said.
        message: String,
    },
}

/// Why an agent could not be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartFailure {
    /// The program, or the interpreter that its first line names, does not exist.
    Missing,
    /// The program may not be executed.
    NotExecutable,
    /// The folder to run in does not exist or may not be entered.
    Folder,
    /// Arguments and environment are larger than the system takes.
    TooLong,
    /// Anything else that the system refused.
    Other,
}

impl StartFailure {
    /// Says what to do about it.
    pub const fn fix(self) -> &'static str {
        match self {
            Self::Missing => "install the program, or correct the agent's `command`; only the agent's PATH is searched",
            Self::NotExecutable => "make the program executable: `chmod +x`",
            Self::Folder => "restore the worktree's folder, or let the item start again in a new one",
            Self::TooLong => "hand the prompt over as `{prompt_file}` or on stdin instead of `{prompt}`",
            Self::Other => "run the agent's command by hand in the worktree to see what stands in its way",
        }
    }
}

/// How a run ended. Once this is on disk, no process of the run lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// The run's id.
    pub run: String,
    /// The agent's exit code, if it had one.
    #[serde(default)]
    pub code: Option<i32>,
    /// The signal that ended the agent, if one did.
    #[serde(default)]
    pub signal: Option<i32>,
    /// Why it ended.
    #[serde(flatten)]
    pub reason: Reason,
    /// When the agent was started, RFC 3339, UTC.
    pub started_at: String,
    /// When the last process of the run was gone, RFC 3339, UTC.
    pub ended_at: String,
    /// How many processes besides the agent the host had to end.
    pub leftovers_killed: u64,
    /// How many bytes the agent said, kept or not.
    pub output_bytes: u64,
    /// The last line of standard output that was not empty, masked, at most 2,000 characters.
    #[serde(default)]
    pub last_line: Option<String>,
}

impl ExitRecord {
    /// The end of a run in which no agent ever ran.
    pub(crate) fn without_agent(run: String, reason: Reason, started_at: String) -> Self {
        Self {
            run,
            code: None,
            signal: None,
            reason,
            started_at,
            ended_at: stamp(),
            leftovers_killed: 0,
            output_bytes: 0,
            last_line: None,
        }
    }
}

/// The present moment, RFC 3339, UTC, with microseconds.
pub(crate) fn stamp() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let micros = i64::try_from(since.as_micros()).unwrap_or(i64::MAX);
    let moment = jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::MAX);
    format!("{moment:.6}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_stands_among_the_other_fields_of_an_exit() {
        let record = ExitRecord {
            run: "r".into(),
            code: None,
            signal: Some(9),
            reason: Reason::Stopped { how: Stop::Kill },
            started_at: stamp(),
            ended_at: stamp(),
            leftovers_killed: 1,
            output_bytes: 2,
            last_line: None,
        };
        let text = serde_json::to_string(&record).unwrap();
        assert!(text.contains(r#""reason":"stopped","how":"kill""#), "{text}");
        assert_eq!(serde_json::from_str::<ExitRecord>(&text).unwrap(), record);
    }
}
