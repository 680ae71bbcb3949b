//! The moment between a host's start and its word that it is there.

use std::time::Duration;

use super::folder::{FolderError, HostStatus, RunFolder, inspect};

/// How often a folder is looked at that was taken by a host which has not said so yet. It does within milliseconds, unless
/// the disk is slow or the host is stopped; nothing tells of it.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Tells where the host of a folder stands, like [`inspect`], but waits for one that has taken the folder and has not
/// said so yet: a daemon that was killed may have left such a one.
///
/// # Errors
/// A file of the folder cannot be read.
pub async fn settled(folder: &RunFolder) -> Result<HostStatus, FolderError> {
    loop {
        let status = inspect(folder)?;
        if status != HostStatus::NeverStarted {
            return Ok(status);
        }
        let held = folder.is_held()?;
        // In this order: who had the folder before has said so by the time that it is free.
        let status = inspect(folder)?;
        if status != HostStatus::NeverStarted || !held {
            return Ok(status);
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
