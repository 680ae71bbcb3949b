//! Clears away what nobody wants any more, when the daemon starts and while runs are live.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use musher_engine::driver::Swept;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::warn;

use crate::host::Stop;
use crate::supervise::{HostStatus, RunFolder, end, inspect};

/// How many are ended at a time.
const AT_ONCE: usize = 16;
/// How long one may take: its host's grace, a kill, and the grace of what it leaves. The daemon does not wait longer.
const PATIENCE: Duration = Duration::from_secs(45);

/// Ends what lives in run folders that nobody wants, and looks which of the wanted are lost.
pub(super) async fn sweep(unwanted: Vec<PathBuf>, wanted: Vec<PathBuf>) -> Swept {
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
    while let Some(ended) = ends.join_next().await {
        swept.ended.extend(ended.ok().flatten());
    }
    swept
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
