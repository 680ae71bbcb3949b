//! Who can be told something: the runs that this daemon is attached to.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use musher_core::approval::Ruled;
use musher_core::effect::When;
use musher_core::id::RunId;
use musher_engine::job::{TellJob, Telling};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::protocol::Wish;

/// Something to tell a run, and where to say whether it was.
pub(super) type Errand = (Wish, oneshot::Sender<bool>);

/// The runs that are attached to.
#[derive(Clone, Debug, Default)]
pub(super) struct Registry {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// None for one whose program cannot be told anything.
    runs: Mutex<HashMap<RunId, Option<mpsc::UnboundedSender<Errand>>>>,
    changed: Notify,
}

/// Keeps a run in the registry for as long as it is followed.
#[derive(Debug)]
pub(super) struct Attached {
    registry: Registry,
    run: RunId,
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.registry.inner.runs.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.run);
    }
}

impl Registry {
    /// A run that is followed and takes what it is told.
    pub(super) fn attach(&self, run: RunId) -> (Attached, mpsc::UnboundedReceiver<Errand>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (self.enter(run, Some(sender)), receiver)
    }

    /// A run that is followed and cannot be told anything.
    pub(super) fn deaf(&self, run: RunId) -> Attached {
        self.enter(run, None)
    }

    fn enter(&self, run: RunId, sender: Option<mpsc::UnboundedSender<Errand>>) -> Attached {
        self.inner.runs.lock().unwrap_or_else(PoisonError::into_inner).insert(run, sender);
        self.inner.changed.notify_waiters();
        Attached { registry: self.clone(), run }
    }

    /// Tells a run something, and whether it was told. Waits until the run is attached to.
    pub(super) async fn tell(&self, job: TellJob) -> bool {
        let wish = wish_of(job.telling);
        let sender = self.sender(job.run).await;
        let Some(sender) = sender else { return false };
        let (done, told) = oneshot::channel();
        sender.send((wish, done)).is_ok() && told.await.unwrap_or(false)
    }

    async fn sender(&self, run: RunId) -> Option<mpsc::UnboundedSender<Errand>> {
        loop {
            // Made before the look: a change between the two is not missed.
            let changed = self.inner.changed.notified();
            if let Some(sender) = self.inner.runs.lock().unwrap_or_else(PoisonError::into_inner).get(&run) {
                return sender.clone();
            }
            changed.await;
        }
    }
}

fn wish_of(telling: Telling) -> Wish {
    match telling {
        Telling::Message { key, text, when } => Wish::Tell { key, text, now: when == When::Now },
        Telling::Answer { reference, ruled, why } => Wish::Answer { reference, allow: ruled == Ruled::Allowed, why },
    }
}
