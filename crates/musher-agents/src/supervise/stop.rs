//! Ends a run, whatever state its host is in, and returns when nothing of it lives.

use std::time::Duration;

use nix::sys::signal::Signal;
use tracing::warn;

use super::end::{EndError, GRACE, KILL_WAIT, end_tree, gone};
use super::folder::{HostStatus, RunFolder};
use super::settle::settled;
use super::talk::stop;
use crate::host::Stop;
use crate::sys::{Handle, Identity};

/// How long a host has beyond the grace of its agent.
const BEYOND_GRACE: Duration = Duration::from_secs(5);

/// Ends a run and makes sure of it; answers how many processes were ended at least.
///
/// A host that lives is asked; one that does not answer gets SIGTERM, on which it ends its agent too; one that has not
/// ended 5 s after the grace is killed, and what it leaves is ended from here. A run that never began never will: its
/// folder is refused to every host to come.
///
/// # Errors
/// Something of it may still live. It may be tried again.
pub async fn end(folder: &RunFolder, how: Stop) -> Result<usize, EndError> {
    let mut hosts = 0;
    loop {
        match settled(folder).await? {
            // Not refused means that a host was quicker.
            HostStatus::NeverStarted if folder.refuse(how)? => return Ok(hosts),
            HostStatus::NeverStarted => {}
            HostStatus::Finished(_) => return Ok(hosts),
            HostStatus::Lost { .. } => return end_tree(folder).await.map(|ended| ended + hosts),
            HostStatus::Alive => {
                end_host(folder, how).await?;
                hosts = 1;
            }
        }
    }
}

async fn end_host(folder: &RunFolder, how: Stop) -> Result<(), EndError> {
    let Some(record) = folder.host()? else { return Ok(()) };
    let grace = folder.spec()?.map(|spec| spec.grace()).filter(|grace| !grace.is_zero()).unwrap_or(GRACE);
    let patience = match stop(folder, how).await {
        // The agent has its grace to hear the interrupt, and then everything has it to hear the end.
        Ok(()) if how == Stop::Interrupt => grace * 2 + BEYOND_GRACE,
        Ok(()) => grace + BEYOND_GRACE,
        Err(error) => {
            warn!(folder = %folder.path().display(), pid = record.host.pid, %error, "a run host is told by a signal");
            folder.mark_stopped(how);
            signal(record.host, Signal::SIGTERM);
            // A stopped process does not hear that it should end.
            signal(record.host, Signal::SIGCONT);
            grace + BEYOND_GRACE
        }
    };
    if is_gone(record.host, patience).await {
        return Ok(());
    }
    warn!(folder = %folder.path().display(), pid = record.host.pid, "a run host does not end; it is killed");
    folder.mark_stopped(how);
    signal(record.host, Signal::SIGKILL);
    if is_gone(record.host, KILL_WAIT).await { Ok(()) } else { Err(EndError::Survivors(vec![record.host])) }
}

fn signal(id: Identity, signal: Signal) {
    let Some(handle) = Handle::open(id) else { return };
    if let Err(error) = handle.signal(signal) {
        warn!(pid = id.pid, %error, "a run host cannot be signalled");
    }
}

async fn is_gone(id: Identity, patience: Duration) -> bool {
    tokio::time::timeout(patience, gone(id)).await.is_ok()
}
