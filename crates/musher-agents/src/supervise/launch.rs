//! Starts a host.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Stdio;

use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};

use super::folder::{FolderError, RunFolder};
use crate::host::{NO_ROOM, Reason, StartFailure, USED, names};

/// How much of a dead host's log is shown, in bytes.
const LOG_TAIL_BYTES: u64 = 2_000;

/// Why no host was started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The agent could not be started. A failure of class setup.
    #[error("the agent could not be started: {message}")]
    Program {
        /// The sort of the failure.
        failure: StartFailure,
        /// What the system said.
        message: String,
    },
    /// The folder has, or had, a host already; it has started its one agent.
    #[error("the run folder was used already")]
    Used,
    /// The host itself could not be started.
    #[error("the run host could not be started")]
    Host(#[source] io::Error),
    /// The host found no room on the disk to begin. What it started, if anything, died with it.
    #[error("the disk has no room for the run")]
    NoRoom,
    /// The host died before it started anything.
    #[error("the run host died at its start: {log}")]
    Died {
        /// The end of what it had to say.
        log: String,
    },
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

impl LaunchError {
    /// Whether it is for want of room on the disk: no fault of the agent or its command.
    pub fn is_no_room(&self) -> bool {
        match self {
            Self::NoRoom => true,
            Self::Folder(error) => error.is_no_room(),
            Self::Program { .. } | Self::Used | Self::Host(_) | Self::Died { .. } => false,
        }
    }

    /// Says what to do about it.
    pub const fn fix(&self) -> &'static str {
        match self {
            Self::Program { failure, .. } => failure.fix(),
            Self::Used => "attach to it; another run needs another folder",
            Self::Host(_) => "see that musher's own program is still in its place and may be executed",
            Self::NoRoom => "make room on the disk",
            Self::Died { .. } => "see what it says; most often the disk is full or the folder is another user's",
            Self::Folder(error) => error.fix(),
        }
    }
}

/// Starts the host of a prepared folder and waits until its agent runs.
///
/// `host_argv` is the program and its arguments before the folder, as in `musher run-host`. The host gets no
/// environment: the agent is the same user and could read it. It outlives this process; while this process lives, the
/// dead host is reaped.
///
/// # Errors
/// No agent was started by this call. [`LaunchError::Used`] means that an earlier one was.
pub async fn launch(host_argv: &[OsString], folder: &RunFolder) -> Result<(), LaunchError> {
    let nothing = || LaunchError::Host(io::Error::new(io::ErrorKind::InvalidInput, "no program is named"));
    let (program, arguments) = host_argv.split_first().ok_or_else(nothing)?;
    if folder.host()?.is_some() || folder.exit()?.is_some() {
        return Err(LaunchError::Used);
    }
    let log_path = folder.path().join(names::LOG);
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(&log_path);
    let log = log.map_err(FolderError::io("open", &log_path))?;
    let mut command = Command::new(program);
    command.args(arguments).arg(folder.path()).current_dir(folder.path()).env_clear();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::from(log));
    let mut child = command.spawn().map_err(LaunchError::Host)?;
    let pid = child.id();
    let ready = child.stdout.take();
    let result = await_start(folder, &mut child, pid, ready).await;
    // Whatever became of it, somebody has to take leave of it, or it stays as a zombie.
    tokio::spawn(async move { child.wait().await });
    result
}

/// The host closes its standard output when the agent runs, and so does its death.
async fn await_start(
    folder: &RunFolder,
    child: &mut Child,
    pid: Option<u32>,
    ready: Option<impl tokio::io::AsyncRead + Unpin>,
) -> Result<(), LaunchError> {
    if let Some(mut ready) = ready {
        // It writes nothing there; an error says the same as the end.
        let _ = ready.read_to_end(&mut Vec::new()).await;
    }
    let ours = |host: i32| Some(host) == pid.and_then(|pid| i32::try_from(pid).ok());
    match folder.host()? {
        Some(record) if ours(record.host.pid) && record.agent.is_some() => return Ok(()),
        Some(record) if !ours(record.host.pid) => return Err(LaunchError::Used),
        Some(_) | None => {}
    }
    // It closed its output and started nothing, so it is about to end.
    let status = child.wait().await.map_err(LaunchError::Host)?;
    if status.code() == Some(USED) {
        return Err(LaunchError::Used);
    }
    if status.code() == Some(NO_ROOM) {
        return Err(LaunchError::NoRoom);
    }
    match folder.exit()?.map(|exit| exit.reason) {
        Some(Reason::NotStarted { failure, message }) => Err(LaunchError::Program { failure, message }),
        Some(_) => Ok(()),
        None => Err(LaunchError::Died { log: log_tail(folder) }),
    }
}

fn log_tail(folder: &RunFolder) -> String {
    let read = || -> io::Result<String> {
        let mut file = std::fs::File::open(folder.path().join(names::LOG))?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_TAIL_BYTES)))?;
        let mut tail = Vec::new();
        file.take(LOG_TAIL_BYTES).read_to_end(&mut tail)?;
        Ok(String::from_utf8_lossy(&tail).trim().to_owned())
    };
    read().ok().filter(|log| !log.is_empty()).unwrap_or_else(|| "it said nothing".to_owned())
}
