//! What went wrong, for people and for scripts: the one place that knows exit codes.

use std::borrow::Cow;
use std::process::ExitCode;

use musher_server::client::ClientError;

/// The exit codes of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 1: it failed.
    Failed,
    /// 2: the words make no sense.
    Usage,
    /// 3: there is no such thing.
    NotFound,
    /// 4: state, quota or a conflict forbids it.
    Refused,
    /// 5: there is no daemon, or none that answers.
    NoDaemon,
    /// 6: the mission ended failed, cancelled or blocked.
    Ended,
    /// 130: interrupted.
    Interrupted,
}

impl Exit {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Refused => 4,
            Self::NoDaemon => 5,
            Self::Ended => 6,
            Self::Interrupted => 130,
        }
    }

    /// The exit code that another musher ended with.
    pub(crate) fn of(code: i32) -> Option<Self> {
        let all =
            [Self::Failed, Self::Usage, Self::NotFound, Self::Refused, Self::NoDaemon, Self::Ended, Self::Interrupted];
        all.into_iter().find(|exit| i32::from(exit.code()) == code)
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::NotFound => "not found",
            Self::Refused => "refused",
            Self::NoDaemon => "no daemon",
            Self::Ended => "the mission has not been completed",
            Self::Interrupted => "interrupted",
        }
    }
}

/// What went wrong, why, and how to fix it.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    what: String,
    why: Option<String>,
    fix: Option<String>,
}

/// What a command answers.
pub(crate) type Outcome = Result<u8, Failure>;

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), why: None, fix: None }
    }

    pub(crate) fn failed(what: impl Into<String>) -> Self {
        Self::new(Exit::Failed, what)
    }

    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    pub(crate) fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// The failure with everything that its causes say.
    pub(crate) fn caused(exit: Exit, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut causes = Vec::new();
        let mut cause = error.source();
        while let Some(inner) = cause {
            causes.push(inner.to_string());
            cause = inner.source();
        }
        let mut failure = Self::new(exit, error.to_string());
        if !causes.is_empty() {
            failure.why = Some(causes.join(": "));
        }
        failure
    }

    /// All of it, where there is one line for it.
    pub(crate) fn in_one_line(&self) -> String {
        let parts = [Some(&self.what), self.why.as_ref(), self.fix.as_ref()];
        parts.into_iter().flatten().map(|part| part.replace('\n', " ")).collect::<Vec<_>>().join("; ")
    }

    /// What went wrong and why, for a report that goes on.
    pub(crate) fn words(&self) -> (&str, &str) {
        (&self.what, self.why.as_deref().unwrap_or_default())
    }

    /// Prints it to standard error, and says the exit code.
    pub(crate) fn report(&self, json: bool) -> u8 {
        if json {
            let problem = serde_json::json!({
                "type": "about:blank",
                "title": self.exit.title(),
                "status": self.exit.code(),
                "detail": self.what,
                "why": self.why,
                "fix": self.fix,
            });
            eprintln!("{problem}");
        } else {
            eprintln!("error: {}", self.what);
            if let Some(why) = &self.why {
                eprintln!("  why: {}", why.replace('\n', "\n       "));
            }
            if let Some(fix) = &self.fix {
                eprintln!("  fix: {}", fix.replace('\n', "\n       "));
            }
        }
        self.exit.code()
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::NoDaemon { .. } => {
                Self::new(Exit::NoDaemon, "no daemon runs for this repository").fix("`musher up --detach` starts one")
            }
            ClientError::Problem(problem) => {
                let exit = match problem.status {
                    400 | 413 | 415 | 422 => Exit::Usage,
                    404 => Exit::NotFound,
                    401 | 403 | 409 => Exit::Refused,
                    _ => Exit::Failed,
                };
                let mut failure = Self::new(exit, problem.detail.unwrap_or(problem.title));
                failure.why = problem.why;
                failure.fix = problem.fix;
                failure
            }
            ClientError::Stopped { .. } | ClientError::Silent { .. } => {
                let mut failure = Self::new(Exit::NoDaemon, error.to_string());
                failure.why = error.why().map(str::to_owned);
                failure.fix = error.fix().map(Cow::into_owned);
                failure
            }
            other => Self::caused(Exit::Failed, &other).fix("`.musher/daemon.log` may say more"),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::failed(format!("JSON that cannot be written or read: {error}"))
    }
}

/// What clap has to say: help and version are no failures, everything else is a matter of usage.
pub(crate) fn usage(error: &clap::Error, json: bool) -> ExitCode {
    if json && error.use_stderr() {
        let text = error.to_string();
        let (what, more) = text.trim().split_once("\n\n").unwrap_or((text.trim(), ""));
        let failure = Failure::usage(what.trim_start_matches("error: "));
        return ExitCode::from(if more.is_empty() { failure } else { failure.fix(more) }.report(true));
    }
    let _ = error.print();
    ExitCode::from(if error.use_stderr() { Exit::Usage.code() } else { 0 })
}
