//! Sinks at work: each reads the committed log from a cursor of its own, in a task of its own.
//!
//! A slow sink slows itself only, and one that is idle waits for the log's end and for nothing else. What a failure means is
//! decided in [`musher_core::sink`]; here is only what touches the world: requests ([`webhook`]), files ([`lines`]),
//! notifications ([`desktop`]), posts to a hub ([`relay`]), and the loop that joins them with the log ([`worker`]).

mod desktop;
mod lines;
mod notifier;
mod relay;
mod sign;
mod target;
mod webhook;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::Bytes;
use musher_core::command::{Actor, Command};
use musher_core::config::{SinkConfig, SinkTo};
use musher_core::sink::{Sink, cursor_of};
use musher_engine::{Engine, EngineError};
use musher_tls::Trust;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::api::{self, Problem};
use crate::problem;
use crate::readers::Readers;
pub use notifier::Notifier;
use target::Target;
use webhook::Post;
pub(crate) use webhook::{Failed, connect, with_causes};
pub use worker::Rest;
use worker::{Signals, Worker};

/// How long the end waits for a delivery; what is cut off is sent again after the next start.
const GRACE: Duration = Duration::from_secs(3);
/// The name of what a test sends.
const TEST: &str = "sink_test";

/// A sink of the config, with the secret that its reference stands for.
#[derive(Clone, PartialEq, Eq)]
pub struct SinkSetup {
    /// What the config says.
    pub config: SinkConfig,
    /// What it is signed with, if it is signed.
    pub secret: Option<String>,
}

impl std::fmt::Debug for SinkSetup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SinkSetup").field("config", &self.config).finish_non_exhaustive()
    }
}

struct Running {
    setup: SinkSetup,
    signals: Arc<Signals>,
    task: JoinHandle<()>,
}

impl Running {
    /// Ends it after the present delivery. A file is waited for, or two would write to it.
    async fn stop(self) {
        self.signals.closing.send_replace(true);
        let mut task = self.task;
        match self.setup.config.to {
            SinkTo::File { .. } => drop(task.await),
            SinkTo::Webhook { .. } | SinkTo::Desktop | SinkTo::Relay { .. } => {
                if tokio::time::timeout(GRACE, &mut task).await.is_err() {
                    task.abort();
                }
            }
        }
    }
}

struct Inner {
    engine: Engine,
    readers: Readers,
    trust: Trust,
    running: Mutex<BTreeMap<String, Running>>,
}

/// All sinks of an engine; clones are the same.
#[derive(Clone)]
pub struct Sinks {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Sinks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sinks")
    }
}

impl Sinks {
    pub(crate) fn new(engine: Engine, readers: Readers) -> Self {
        let inner = Inner { engine, readers, trust: Trust::default(), running: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    /// Makes the sinks at work those of the config. One that did not change goes on undisturbed; one that changes
    /// while it is at work is tried at once, for its change may be what it waited for.
    pub async fn set(&self, setups: Vec<SinkSetup>) -> Result<(), EngineError> {
        let mut running = self.inner.running.lock().await;
        let goes_on =
            |name: &String, at_work: &Running| setups.iter().any(|s| s.config.name == *name && s == &at_work.setup);
        let changed: Vec<String> =
            running.iter().filter(|(name, at_work)| !goes_on(name, at_work)).map(|(name, _)| name.clone()).collect();
        for name in &changed {
            if let Some(old) = running.remove(name) {
                old.stop().await;
            }
        }
        let specs = setups.iter().map(|setup| setup.config.spec()).collect();
        let present = *self.inner.engine.seq().borrow();
        self.say(Command::SyncSinks(specs, present)).await?;
        for setup in setups {
            if running.contains_key(&setup.config.name) {
                continue;
            }
            if changed.contains(&setup.config.name) {
                self.say(Command::HurrySink(setup.config.name.as_str().into())).await?;
            }
            running.insert(setup.config.name.clone(), self.start(setup));
        }
        Ok(())
    }

    async fn say(&self, command: Command) -> Result<(), EngineError> {
        self.inner.engine.send(Actor::Operator("config".into()), command).await.map(|_| ())
    }

    fn start(&self, setup: SinkSetup) -> Running {
        let signals = Arc::new(Signals::new());
        let worker = Worker {
            name: setup.config.name.as_str().into(),
            wanted: setup.config.wanted(),
            target: self.target(&setup),
            engine: self.inner.engine.clone(),
            readers: self.inner.readers.clone(),
            signals: Arc::clone(&signals),
        };
        Running { setup, signals, task: tokio::spawn(worker.run()) }
    }

    fn target(&self, setup: &SinkSetup) -> Target {
        let Inner { engine, readers, trust, .. } = &*self.inner;
        Target::of(&setup.config, setup.secret.as_deref(), engine, readers, trust)
    }

    /// Lets every sink look at the clock and the log now, after a test has moved the clock.
    pub async fn wake(&self) {
        for at_work in self.inner.running.lock().await.values() {
            at_work.signals.wake();
        }
    }

    /// Waits until a sink has nothing to do; answers what it waits for, or nothing when there is no such sink.
    pub async fn rested(&self, name: &str) -> Option<Rest> {
        let mut rest = self.inner.running.lock().await.get(name)?.signals.rest.subscribe();
        rest.wait_for(|rest| *rest != Rest::Working).await.ok().map(|rest| *rest)
    }

    /// Ends all of them. What was not delivered is delivered after the next start.
    pub(crate) async fn stop(&self) {
        let running = std::mem::take(&mut *self.inner.running.lock().await);
        for at_work in running.values() {
            at_work.signals.closing.send_replace(true);
        }
        let all = async {
            for at_work in running.into_values() {
                at_work.stop().await;
            }
        };
        // A disk that does not answer keeps nobody from the end.
        let _ = tokio::time::timeout(2 * GRACE, all).await;
    }

    /// How all of them stand, by name.
    pub(crate) async fn list(&self) -> Result<Vec<api::Sink>, Problem> {
        let last = *self.inner.engine.seq().borrow();
        let looked: Vec<(SinkConfig, u64)> = {
            let running = self.inner.running.lock().await;
            let all = running.values();
            all.map(|r| (r.setup.config.clone(), r.signals.position.load(Ordering::Relaxed))).collect()
        };
        let listed = self.inner.engine.read(move |state| {
            let listed = looked.into_iter().filter_map(|(config, position)| {
                let row = state.sink(&config.name)?;
                let cursor = state.cursor(&cursor_of(&config.name)).0;
                Some(document(&config, row, cursor, last.0.saturating_sub(cursor.max(position))))
            });
            listed.collect::<Vec<_>>()
        });
        listed.await.map_err(problem::of_engine)
    }

    /// Sends a test to a sink, past its queue, and says how it was answered. One that takes it is tried again at once.
    pub(crate) async fn test(&self, name: &str, actor: &str) -> Result<api::SinkTested, Problem> {
        let setup = self.inner.running.lock().await.get(name).map(|at_work| at_work.setup.clone());
        let Some(setup) = setup else {
            let known = self.inner.running.lock().await;
            let near = musher_core::nearest::nearest(name, known.keys().map(String::as_str));
            let fix = near.map_or_else(
                || "`musher sink list` shows those that exist".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            return Err(Problem::new(404, "not_found", format!("no sink `{name}`")).fix(fix));
        };
        let said = match self.target(&setup) {
            Target::Webhook(mut webhook) => {
                webhook.post(&self.test_post(actor)).await.map(|status| format!("it answered {status}"))
            }
            Target::Lines(mut lines) => lines.last().await.map(|last| match last {
                Some(last) => format!("it can be written; its last event is {}", last.seq),
                None => "it can be written; it holds no event yet".to_owned(),
            }),
            Target::Desktop(desktop) => desktop.test(actor).await.map(|()| "it was shown".to_owned()),
            Target::Relay(mut relay) => relay.test().await,
            Target::Broken(failed) => Err(failed),
        };
        let (ok, answer) = match said {
            Ok(answer) => (true, answer),
            Err(Failed { error, .. }) => (false, error),
        };
        if ok {
            self.inner
                .engine
                .send(Actor::Operator(actor.into()), Command::HurrySink(name.into()))
                .await
                .map_err(problem::of_engine)?;
            if let Some(at_work) = self.inner.running.lock().await.get(name) {
                at_work.signals.wake();
            }
        }
        Ok(api::SinkTested { name: name.to_owned(), ok, answer })
    }

    fn test_post(&self, actor: &str) -> Post {
        let now = self.inner.engine.now();
        let event = api::Event {
            seq: 0,
            at: now,
            kind: TEST.to_owned(),
            mission: None,
            item: None,
            agent: None,
            run: None,
            from_state: None,
            to_state: None,
            chain: Vec::new(),
            actor: actor.to_owned(),
            body: serde_json::json!({}),
        };
        let body = Bytes::from(serde_json::to_vec(&event).unwrap_or_default());
        Post { seq: 0, kind: TEST.to_owned(), body, seconds: now.as_secs() }
    }
}

fn document(config: &SinkConfig, row: &Sink, cursor: u64, behind: u64) -> api::Sink {
    let trouble = row.trouble.as_ref();
    api::Sink {
        name: config.name.clone(),
        kind: config.kind().name().to_owned(),
        to: match &config.to {
            SinkTo::Webhook { url, .. } => origin_of(url),
            SinkTo::File { path, .. } => path.clone(),
            SinkTo::Desktop => "this desktop".to_owned(),
            SinkTo::Relay { url, .. } => origin_of(url),
        },
        kinds: config.kinds.clone(),
        missions: config.missions.clone(),
        state: if trouble.is_some() { "failing" } else { "ok" }.to_owned(),
        cursor,
        behind,
        failing_since: trouble.map(|t| t.since),
        event: trouble.map(|t| t.event.0),
        attempts: trouble.map_or(0, |t| t.attempts),
        error: trouble.map(|t| t.error.to_string()),
        next_try_at: trouble.map(|t| t.not_before),
    }
}

/// The address up to its path, which may hold a secret.
fn origin_of(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let more = if rest.trim_end_matches('/').len() > authority.len() { "/…" } else { "" };
    format!("{scheme}://{authority}{more}")
}

#[cfg(test)]
mod tests;
