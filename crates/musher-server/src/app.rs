//! What every handler has at hand.

use std::sync::Arc;
use std::time::Instant;

use musher_core::command::{Answer, Command, Refused};
use musher_core::state::State;
use musher_engine::{Engine, EngineError, StartReport};
use musher_store::Lease;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::api::{self, Problem};
use crate::caller::Caller;
use crate::http::Http;
use crate::hub::Hub;
use crate::problem;
use crate::readers::Readers;
use crate::rejected::Rejected;
use crate::sink::Sinks;
use crate::tail::Tail;
use crate::webhook::Webhooks;

/// The most streams of events and transcripts that are open at once.
const STREAMS: usize = 256;

/// What the daemon says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Its version.
    pub version: String,
    /// The machine it runs on.
    pub node: String,
    /// Where its state is, for people.
    pub store: String,
    /// What it found when it started.
    pub found: StartReport,
}

impl About {
    /// This program on this machine, with its state there.
    pub fn this(store: impl Into<String>) -> Self {
        let (version, node) = (env!("CARGO_PKG_VERSION").to_owned(), crate::sys::node());
        Self { version, node, store: store.into(), found: StartReport::default() }
    }

    /// The same, which found this when it started.
    #[must_use]
    pub fn found(self, found: StartReport) -> Self {
        Self { found, ..self }
    }
}

#[derive(Clone)]
pub(crate) struct App {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    readers: Readers,
    sinks: Sinks,
    tail: Tail,
    webhooks: Webhooks,
    rejected: Rejected,
    hub: Hub,
    http: Http,
    about: About,
    started: Instant,
    /// Someone asked for the end of the daemon.
    wished: watch::Sender<bool>,
    /// The server ends: streams end with it.
    closing: watch::Sender<bool>,
    streams: Arc<Semaphore>,
}

impl App {
    pub(crate) fn new(engine: Engine, about: About) -> Self {
        let readers = Readers::new(engine.clone());
        let inner = Inner {
            sinks: Sinks::new(engine.clone(), readers.clone()),
            tail: Tail::new(engine.clone(), readers.clone()),
            webhooks: Webhooks::default(),
            rejected: Rejected::default(),
            hub: Hub::default(),
            http: Http::default(),
            readers,
            engine,
            about,
            started: Instant::now(),
            wished: watch::Sender::new(false),
            closing: watch::Sender::new(false),
            streams: Arc::new(Semaphore::new(STREAMS)),
        };
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    pub(crate) fn readers(&self) -> &Readers {
        &self.inner.readers
    }

    /// The newest events, for those who follow them.
    pub(crate) fn tail(&self) -> &Tail {
        &self.inner.tail
    }

    pub(crate) fn sinks(&self) -> &Sinks {
        &self.inner.sinks
    }

    /// The door for webhooks of the forge.
    pub(crate) fn webhooks(&self) -> &Webhooks {
        &self.inner.webhooks
    }

    /// What is wrong with the configuration.
    pub(crate) fn rejected(&self) -> &Rejected {
        &self.inner.rejected
    }

    /// The door for projects that tell a hub.
    pub(crate) fn hub(&self) -> &Hub {
        &self.inner.hub
    }

    /// How the address for TCP stands.
    pub(crate) fn http(&self) -> &Http {
        &self.inner.http
    }

    pub(crate) fn daemon(&self) -> api::Daemon {
        let About { version, node, store, found } = self.inner.about.clone();
        api::Daemon {
            version,
            pid: std::process::id(),
            uptime_s: self.inner.started.elapsed().as_secs(),
            node,
            store,
            http: self.http().get(),
            webhooks: self.webhooks().open_for(),
            hub: self.hub().is_open(),
            found: Some(found.into()),
            config_error: self.rejected().get(),
        }
    }

    /// Looks at the state between two batches; keep it short.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&State) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        self.engine().read(look).await.map_err(problem::of_engine)
    }

    /// The lease under which the engine writes.
    pub(crate) async fn lease(&self) -> Result<Option<Lease>, Problem> {
        self.engine().look(|machine| machine.store().lease()).await.map_err(problem::of_engine)
    }

    /// Says something to musher in the caller's name.
    pub(crate) async fn send(&self, caller: &Caller, command: Command) -> Result<Answer, Problem> {
        self.engine().send(caller.actor(), command).await.map_err(|error| match error {
            // The name was found before, so it is on disk; but nothing can be done any more to what left memory.
            EngineError::Refused(Refused::NotFound { noun, name }) => {
                Problem::new(409, "ended", format!("{noun} `{name}` has ended and can only be read"))
            }
            error => problem::of_engine(error),
        })
    }

    pub(crate) fn wish_for_stop(&self) {
        self.inner.wished.send_replace(true);
    }

    pub(crate) fn wished(&self) -> watch::Receiver<bool> {
        self.inner.wished.subscribe()
    }

    pub(crate) fn close(&self) {
        self.inner.closing.send_replace(true);
    }

    pub(crate) fn closing(&self) -> watch::Receiver<bool> {
        self.inner.closing.subscribe()
    }

    /// A place among the open streams, for as long as it is held.
    pub(crate) fn stream_place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        Arc::clone(&self.inner.streams).try_acquire_owned().map_err(|_| {
            Problem::new(503, "too_many_streams", format!("{STREAMS} streams are open already"))
                .fix("close some of them")
        })
    }
}
