//! Begins what a folder is for, once, whoever else is at it.

use std::time::Duration;

use tracing::warn;

use super::{Shared, said};
use crate::host::{ExitRecord, StartFailure};
use crate::supervise::{FolderError, HostStatus, LaunchError, RunFolder, inspect, launch, settled};

/// How long a start waits that found no room on the disk, before it is given back to be tried again.
const ROOM_WAIT: Duration = Duration::from_secs(5);

/// What a folder holds once a start was seen to.
#[derive(Debug)]
pub(super) enum Begun {
    /// A host with something to read, alive or not.
    Readable,
    /// It was stopped before anything began.
    Refused(Box<ExitRecord>),
    /// Its host is gone without a word. `here` says whether it was started just now.
    Lost {
        /// Whether this daemon has started it.
        here: bool,
    },
}

/// Why nothing was started, in words for people.
#[derive(Debug)]
pub(super) enum NotBegun {
    /// The folder to run in is not there or may not be entered.
    NoPlace(String),
    /// The command does not work here.
    Setup(String),
    /// The disk is full: nobody's fault.
    NoRoom(String),
    /// Anything else.
    Other(String),
}

impl NotBegun {
    pub(super) fn folder(error: &FolderError) -> Self {
        let text = said(error, error.fix());
        if error.is_no_room() { Self::NoRoom(text) } else { Self::Other(text) }
    }

    fn launch(error: &LaunchError) -> Self {
        match error {
            LaunchError::Program { failure: StartFailure::Folder, message } => Self::NoPlace(message.clone()),
            LaunchError::Program { .. } => Self::Setup(said(error, error.fix())),
            _ if error.is_no_room() => Self::NoRoom(said(error, error.fix())),
            _ => Self::Other(said(error, error.fix())),
        }
    }

    /// The same for a script, whose program is always the same shell.
    pub(super) fn text(self) -> String {
        match self {
            Self::NoPlace(text) => format!("its folder cannot be entered: {text}"),
            Self::Setup(text) | Self::NoRoom(text) | Self::Other(text) => text,
        }
    }
}

impl Shared {
    /// Starts a host in a folder, unless there is or was one. A daemon that was killed may have left one that has taken
    /// the folder and not yet said so: it is waited for, and only where it came to nothing another one is started.
    pub(super) async fn begin(
        &self,
        folder: &RunFolder,
        prepare: impl Fn() -> Result<RunFolder, NotBegun>,
    ) -> Result<Begun, NotBegun> {
        let mut here = false;
        loop {
            match settled(folder).await.map_err(|e| NotBegun::folder(&e))? {
                HostStatus::Lost { .. } => return Ok(Begun::Lost { here }),
                HostStatus::Alive => return Ok(Begun::Readable),
                HostStatus::Finished(exit) => {
                    let readable = folder.host().map_err(|e| NotBegun::folder(&e))?.is_some();
                    return Ok(if readable { Begun::Readable } else { Begun::Refused(exit) });
                }
                // Somebody has removed the folder of a living run; a second one must not begin beside it.
                HostStatus::NeverStarted if here => return Err(NotBegun::Other("its run folder vanished".into())),
                HostStatus::NeverStarted => {}
            }
            let prepared = prepare()?;
            match launch(&self.host, &prepared).await {
                Ok(()) => here = true,
                Err(LaunchError::Used) => {}
                // It may have started the agent before it died: what that has left must be ended.
                Err(error) if !error.is_no_room() && matches!(inspect(&prepared), Ok(HostStatus::Lost { .. })) => {
                    warn!(folder = %folder.path().display(), %error, "a run host died as it began");
                    here = true;
                }
                Err(error) => return Err(NotBegun::launch(&error)),
            }
        }
    }
}

/// Waits before a start is given back that found no room on the disk.
pub(super) async fn wait_for_room(folder: &RunFolder, error: &str) {
    warn!(folder = %folder.path().display(), error, "a start found no room on the disk");
    tokio::time::sleep(ROOM_WAIT).await;
}
