//! What a host is asked to run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a host is asked to run, and within which limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostSpec {
    /// The run's id. Every process of the run has it in its environment as `MUSHER_RUN`.
    pub run: String,
    /// The program and its arguments. A program without a slash is looked for on the `PATH` in `env`.
    pub argv: Vec<String>,
    /// The folder to run in; also the agent's `PWD`.
    pub cwd: PathBuf,
    /// The whole environment; nothing is inherited. Kept apart from the rest and removed once the run has begun.
    #[serde(skip)]
    pub env: BTreeMap<String, String>,
    /// Values to show as `***`. Kept like `env`. Those under 4 bytes are ignored: they would hide half of every text.
    #[serde(skip)]
    pub masks: Vec<String>,
    /// How many bytes the agent is given on stdin first; set when the folder is prepared.
    #[serde(default)]
    pub stdin_bytes: u64,
    /// Whether stdin stays open for what the socket brings; otherwise it ends after the first text.
    #[serde(default)]
    pub keep_stdin: bool,
    /// After how many milliseconds the agent is ended.
    pub deadline_ms: u64,
    /// After how many milliseconds without any output or input the agent is ended.
    #[serde(default)]
    pub silence_ms: Option<u64>,
    /// How large the file of output may grow, in bytes; what comes later is read and thrown away.
    #[serde(default = "max_output")]
    pub max_output_bytes: u64,
    /// How long a line may be, in bytes; the rest of it is cut off.
    #[serde(default = "max_line")]
    pub max_line_bytes: u32,
    /// How many milliseconds processes have to end after being asked, before they are killed.
    #[serde(default = "grace")]
    pub grace_ms: u64,
}

/// The part of a spec that does not stay on disk.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Secret {
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) masks: Vec<String>,
}

/// A spec that no host can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSpec {
    /// There is no program.
    #[error("no program is named")]
    NoProgram,
    /// The id of the run would not survive in an environment.
    #[error("the run's id is empty, or holds something else than letters, digits, `-` and `_`")]
    RunId,
    /// The folder to run in is relative, and a host has no folder to start from.
    #[error("the folder to run in is not absolute")]
    RelativeCwd,
}

impl InvalidSpec {
    /// Says what to do about it.
    pub const fn fix(self) -> &'static str {
        match self {
            Self::NoProgram => "give the agent a `command`",
            Self::RunId => "use an id made by musher",
            Self::RelativeCwd => "give an absolute path",
        }
    }
}

impl HostSpec {
    /// A spec with the usual limits: 2 hours, no limit on silence, 64 MiB of output, 64 KiB a line, 5 s of grace.
    pub fn new(run: impl Into<String>, argv: Vec<String>, cwd: impl Into<PathBuf>) -> Self {
        Self {
            run: run.into(),
            argv,
            cwd: cwd.into(),
            env: BTreeMap::new(),
            masks: Vec::new(),
            stdin_bytes: 0,
            keep_stdin: false,
            deadline_ms: DEADLINE_MS,
            silence_ms: None,
            max_output_bytes: max_output(),
            max_line_bytes: max_line(),
            grace_ms: grace(),
        }
    }

    /// Checks what can be checked without starting anything.
    ///
    /// # Errors
    /// The first thing that no host could work with.
    pub fn check(&self) -> Result<(), InvalidSpec> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.argv.first().is_none_or(String::is_empty) {
            return Err(InvalidSpec::NoProgram);
        }
        if self.run.is_empty() || !self.run.chars().all(plain) {
            return Err(InvalidSpec::RunId);
        }
        if !self.cwd.is_absolute() {
            return Err(InvalidSpec::RelativeCwd);
        }
        Ok(())
    }

    pub(crate) fn grace(&self) -> Duration {
        Duration::from_millis(self.grace_ms)
    }

    pub(crate) fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }

    pub(crate) fn silence(&self) -> Option<Duration> {
        self.silence_ms.map(Duration::from_millis)
    }

    pub(crate) fn secret(&self) -> Secret {
        Secret { env: self.env.clone(), masks: self.masks.clone() }
    }
}

const DEADLINE_MS: u64 = 2 * 60 * 60 * 1000;

const fn max_output() -> u64 {
    64 << 20
}

const fn max_line() -> u32 {
    64 << 10
}

const fn grace() -> u64 {
    5_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environment_and_masks_never_reach_the_spec_on_disk() {
        let mut spec = HostSpec::new("r1", vec!["true".into()], "/");
        spec.env.insert("TOKEN".into(), "hunter2".into());
        spec.masks.push("hunter3".into());
        assert!(!serde_json::to_string(&spec).unwrap().contains("hunter"));
    }

    #[test]
    fn a_spec_that_cannot_run_is_named() {
        let good = HostSpec::new("r1", vec!["true".into()], "/");
        let cases = [
            (HostSpec { argv: vec![], ..good.clone() }, InvalidSpec::NoProgram),
            (HostSpec { argv: vec![String::new()], ..good.clone() }, InvalidSpec::NoProgram),
            (HostSpec { run: "a\0b".into(), ..good.clone() }, InvalidSpec::RunId),
            (HostSpec { cwd: "here".into(), ..good.clone() }, InvalidSpec::RelativeCwd),
        ];
        assert_eq!(good.check(), Ok(()));
        for (spec, problem) in cases {
            assert_eq!(spec.check(), Err(problem));
        }
    }
}
