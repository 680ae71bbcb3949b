//! Makes sure that nothing of a run is left, for as long as it takes.

use std::time::{Duration, Instant};

use tracing::{info, warn};

use crate::host::Stop;
use crate::supervise::{self, EndError, RunFolder, end_tree};

/// The pause before what could not be ended is ended again.
const PAUSE: Duration = Duration::from_secs(5);
/// How often that is said.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// Ends what runs in a folder, or will, and returns when nothing of it lives.
pub(super) async fn stop(folder: &RunFolder, how: Stop) {
    let _ = insist(folder, None, || supervise::end(folder, how)).await;
}

/// Ends what a dead host left behind. Giving an item away while its old processes live would run it twice: without a
/// `patience`, this waits for as long as they do.
pub(super) async fn bury(folder: &RunFolder, patience: Option<Duration>) -> Result<(), EndError> {
    let ended = insist(folder, patience, || end_tree(folder)).await?;
    if ended > 0 {
        info!(folder = %folder.path().display(), ended, "processes of a lost run were ended");
    }
    Ok(())
}

async fn insist<T, F>(folder: &RunFolder, patience: Option<Duration>, attempt: impl Fn() -> F) -> Result<T, EndError>
where
    F: Future<Output = Result<T, EndError>>,
{
    let begun = Instant::now();
    let mut said: Option<Instant> = None;
    loop {
        let error = match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        if patience.is_some_and(|patience| begun.elapsed() >= patience) {
            return Err(error);
        }
        if said.is_none_or(|at| at.elapsed() >= SAY_EVERY) {
            // The error names the processes.
            warn!(folder = %folder.path().display(), %error, fix = error.fix(), "a run cannot be ended yet");
            said = Some(Instant::now());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
