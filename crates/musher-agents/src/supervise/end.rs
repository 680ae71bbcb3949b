//! Ends what a dead host left behind.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use nix::sys::signal::Signal;
use tokio::task::JoinSet;

use super::folder::{FolderError, HostStatus, RunFolder, inspect};
use crate::host::MARKER;
use crate::sys::{self, Ground, Handle, Identity};

/// How long processes have to end after being asked, if the folder does not say.
pub(super) const GRACE: Duration = Duration::from_secs(5);

/// How long killed processes have to disappear, each round.
pub(super) const KILL_WAIT: Duration = Duration::from_secs(2);

/// How often what is left is killed before that is called a failure.
const ROUNDS: usize = 5;

/// How often a process is looked at on systems that do not tell when it ends.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Why it is not sure that nothing of a run is left.
#[derive(Debug, thiserror::Error)]
pub enum EndError {
    /// The host lives, and ends its agent itself.
    #[error("the run's host is alive")]
    HostAlive,
    /// Some processes do not die.
    #[error("processes of the run that do not die: {}", list(.0))]
    Survivors(Vec<Identity>),
    /// The processes cannot be looked at.
    #[error("cannot look at the processes")]
    Processes(#[source] io::Error),
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

impl EndError {
    /// Says what to do about it.
    pub const fn fix(&self) -> &'static str {
        match self {
            Self::HostAlive => "stop the run instead",
            Self::Survivors(_) => "end these processes by hand (they may be another user's, or stuck in the kernel)",
            Self::Processes(_) => "make sure by hand that the agent is gone; on Linux, see that /proc is mounted",
            Self::Folder(error) => error.fix(),
        }
    }
}

fn list(processes: &[Identity]) -> String {
    processes.iter().map(|id| id.pid.to_string()).collect::<Vec<_>>().join(", ")
}

/// Ends every process of a run whose host is dead, makes sure that none is left, and answers how many there were.
///
/// A process belongs to the run if `MUSHER_RUN` names the run in the environment that it was started with, if it is the
/// recorded agent or of its session, or if it descends from one of these; so does an orphan, younger than the run, that
/// stands in the folder in which the agent ran and is no person's. After a reboot there is nothing to end.
///
/// # Errors
/// The host is alive, or it is not sure that nothing is left: then no other run may have the worktree.
pub async fn end_tree(folder: &RunFolder) -> Result<usize, EndError> {
    match inspect(folder)? {
        HostStatus::Alive => return Err(EndError::HostAlive),
        HostStatus::NeverStarted | HostStatus::Finished(_) | HostStatus::Lost { same_boot: false } => return Ok(0),
        HostStatus::Lost { same_boot: true } => {}
    }
    let (Some(spec), Some(record)) = (folder.spec()?, folder.host()?) else { return Ok(0) };
    let marker = format!("{MARKER}={}", spec.run);
    let ground = Ground::new(&spec.cwd, record.host.start);
    let find = || sys::remains(&marker, record.agent, &ground).map_err(EndError::Processes);
    let mut ended = BTreeSet::new();
    let found = find()?;
    ended.extend(found.iter().map(|p| p.id));
    signal_all(&ended, Signal::SIGTERM);
    all_gone(&ended, if spec.grace_ms == 0 { GRACE } else { spec.grace() }).await;
    for _ in 0..ROUNDS {
        let left: BTreeSet<Identity> = find()?.iter().map(|p| p.id).collect();
        if left.is_empty() {
            return Ok(ended.len());
        }
        signal_all(&left, Signal::SIGKILL);
        all_gone(&left, KILL_WAIT).await;
        ended.extend(left);
    }
    let left = find()?;
    if left.is_empty() { Ok(ended.len()) } else { Err(EndError::Survivors(left.iter().map(|p| p.id).collect())) }
}

fn signal_all(processes: &BTreeSet<Identity>, signal: Signal) {
    for id in processes {
        let Some(handle) = Handle::open(*id) else { continue };
        if let Err(error) = handle.signal(signal) {
            tracing::warn!(pid = id.pid, %error, "a process of a lost run cannot be ended");
        }
        if signal == Signal::SIGTERM {
            // A stopped process does not hear that it should end.
            let _ = handle.signal(Signal::SIGCONT);
        }
    }
}

async fn all_gone(processes: &BTreeSet<Identity>, patience: Duration) {
    let mut deaths = JoinSet::new();
    for id in processes.iter().copied() {
        deaths.spawn(gone(id));
    }
    let all = async { while deaths.join_next().await.is_some() {} };
    // Whoever still lives after that is seen by the next look.
    let _ = tokio::time::timeout(patience, all).await;
}

/// Waits until this very process has ended.
pub(crate) async fn gone(id: Identity) {
    let Some(handle) = Handle::open(id) else { return };
    if let Some(end) = handle.into_end()
        && end.readable().await.is_ok()
    {
        return;
    }
    while sys::lives(id) {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
