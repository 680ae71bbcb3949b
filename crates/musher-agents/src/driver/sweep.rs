//! Clears away what nobody wants any more, when the daemon starts and while runs are live.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use musher_engine::driver::Swept;
use nix::sys::signal::Signal;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::warn;

use crate::host::Stop;
use crate::supervise::{HostStatus, RunFolder, end, gone, inspect};
use crate::sys::{self, Handle, Identity};

/// How many are ended at a time.
const AT_ONCE: usize = 16;
/// How long one may take: its host's grace, a kill, and the grace of what it leaves. The daemon does not wait longer.
const PATIENCE: Duration = Duration::from_secs(45);
/// How long a process may take to be gone once it was killed.
const KILL_PATIENCE: Duration = Duration::from_secs(2);

/// Ends what lives in run folders that nobody wants, and hosts whose folder is gone; looks which of the wanted are lost.
pub(super) async fn sweep(runs: PathBuf, unwanted: Vec<PathBuf>, wanted: Vec<PathBuf>) -> Swept {
    let is_lost = |path: &PathBuf| matches!(inspect(&RunFolder::at(path)), Ok(HostStatus::Lost { .. }));
    let mut swept = Swept { ended: Vec::new(), lost: wanted.iter().filter(|path| is_lost(path)).count() };
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let mut ends = JoinSet::new();
    for path in unwanted {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let folder = RunFolder::at(path);
        match inspect(&folder) {
            // One without a host may be about to get it, from a daemon that was killed in between.
            Ok(HostStatus::Alive | HostStatus::Lost { same_boot: true } | HostStatus::NeverStarted) => {
                let turns = Arc::clone(&turns);
                ends.spawn(async move {
                    let _turn = turns.acquire_owned().await;
                    end_unwanted(&folder).await.then_some(name)
                });
            }
            Ok(HostStatus::Finished(_) | HostStatus::Lost { same_boot: false }) | Err(_) => {}
        }
    }
    // Nobody can reach such a host any more, and it can tell nobody how its run ends.
    for (host, name) in tokio::task::spawn_blocking(move || homeless(&runs)).await.unwrap_or_default() {
        ends.spawn(async move { end_homeless(host).await.then_some(name) });
    }
    while let Some(ended) = ends.join_next().await {
        swept.ended.extend(ended.ok().flatten());
    }
    swept
}

/// The hosts of runs below this folder whose own folder is gone, each with the name that it had.
fn homeless(runs: &Path) -> Vec<(Identity, String)> {
    let hosts = sys::started_with("run-host").unwrap_or_else(|error| {
        warn!(%error, "hosts without a folder cannot be looked for");
        Vec::new()
    });
    let name = |folder: &Path| folder.file_name().map(|name| name.to_string_lossy().into_owned());
    let gone = hosts.into_iter().filter(|(_, folder)| folder.parent() == Some(runs) && !folder.exists());
    gone.filter_map(|(host, folder)| Some((host, name(&folder)?))).collect()
}

/// Whether it was there and is no more. It is asked first, for it knows its tree and ends that before itself.
async fn end_homeless(host: Identity) -> bool {
    for (signal, patience) in [(Signal::SIGTERM, PATIENCE), (Signal::SIGKILL, KILL_PATIENCE)] {
        let Some(handle) = Handle::open(host) else { return true };
        // A stopped process does not hear that it should end.
        if handle.signal(signal).and_then(|()| handle.signal(Signal::SIGCONT)).is_err() {
            return false;
        }
        if tokio::time::timeout(patience, gone(host)).await.is_ok() {
            return true;
        }
    }
    warn!(pid = host.pid, "a host whose folder is gone cannot be ended");
    false
}

/// Whether anything lived there. What cannot be ended is left, and said.
async fn end_unwanted(folder: &RunFolder) -> bool {
    let path = folder.path().display();
    match tokio::time::timeout(PATIENCE, end(folder, Stop::Kill)).await {
        Ok(Ok(ended)) => return ended > 0,
        Ok(Err(error)) => warn!(folder = %path, %error, fix = error.fix(), "a run that nobody wants cannot be ended"),
        Err(_) => warn!(folder = %path, "a run that nobody wants has not ended in time"),
    }
    true
}
