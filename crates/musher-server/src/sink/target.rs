//! What a sink sends to.

use axum::body::Bytes;
use musher_core::config::{SinkConfig, SinkTo};
use musher_core::event::Logged;
use musher_core::time::Timestamp;
use musher_engine::Engine;
use musher_tls::Trust;

use super::desktop::Desktop;
use super::lines::{Last, Open, Plan};
use super::relay::{Course, EVENTS, Relay};
use super::sign::Secret;
use super::webhook::{Failed, Post, TIMEOUT, Webhook};
use crate::readers::Readers;
use crate::view;

/// How many lines are written, and made durable, at once; and over how many events a desktop looks, for what is asked
/// and settled among them is not shown.
const LINES: usize = 500;

/// What a sink sends to.
#[derive(Debug)]
pub(super) enum Target {
    /// A request an event.
    Webhook(Box<Webhook>),
    /// A line an event.
    Lines(Lines),
    /// Notifications.
    Desktop(Box<Desktop>),
    /// Posts to a hub.
    Relay(Box<Relay>),
    /// Its config cannot be used, although it was read: the reason.
    Broken(Failed),
}

/// A file, as far as it is known.
#[derive(Debug)]
pub(super) struct Lines {
    plan: Plan,
    open: Option<Open>,
    /// The last event of the file is of another log.
    foreign: Option<Last>,
}

impl Target {
    pub(super) fn of(
        config: &SinkConfig,
        secret: Option<&str>,
        engine: &Engine,
        readers: &Readers,
        trust: &Trust,
    ) -> Self {
        let root = &engine.paths().root;
        match &config.to {
            SinkTo::Webhook { url, .. } => {
                let secret = Secret::new(secret.unwrap_or_default());
                match Webhook::new(url, secret, trust.clone(), TIMEOUT) {
                    Ok(webhook) => Self::Webhook(Box::new(webhook)),
                    Err(failed) => Self::Broken(failed),
                }
            }
            SinkTo::File { path, max_size_bytes, keep } => {
                let plan = Plan { path: root.join(path), max_size_bytes: *max_size_bytes, keep: *keep };
                Self::Lines(Lines { plan, open: None, foreign: None })
            }
            SinkTo::Relay { url, project, .. } => {
                let told = (url.as_str(), project.as_deref(), secret.unwrap_or_default());
                match Relay::new(told, engine, readers, trust) {
                    Ok(relay) => Self::Relay(Box::new(relay)),
                    Err(failed) => Self::Broken(failed),
                }
            }
            SinkTo::Desktop => Self::Desktop(Box::new(Desktop::new(config.shown()))),
        }
    }

    /// How many events are delivered at once; the cursor moves after each such part.
    pub(super) const fn part(&self) -> usize {
        match self {
            Self::Webhook(_) | Self::Broken(_) => 1,
            Self::Lines(_) | Self::Desktop(_) => LINES,
            Self::Relay(_) => EVENTS,
        }
    }

    /// Delivers all of these events, or says why not; then some of them may have been delivered all the same.
    pub(super) async fn deliver(&mut self, events: &[Logged], now: Timestamp) -> Result<Course, Failed> {
        match self {
            Self::Webhook(webhook) => {
                for event in events {
                    webhook.post(&post_of(event, now)).await?;
                }
            }
            Self::Lines(lines) => lines.append(events).await?,
            Self::Desktop(desktop) => desktop.deliver(events).await?,
            Self::Relay(relay) => return relay.deliver(events).await,
            Self::Broken(failed) => return Err(failed.clone()),
        }
        Ok(Course::Delivered)
    }

    /// Lets go of what costs something while there is nothing to deliver.
    pub(super) fn rest(&mut self) {
        match self {
            Self::Webhook(webhook) => webhook.rest(),
            Self::Relay(relay) => relay.rest(),
            Self::Lines(_) | Self::Desktop(_) | Self::Broken(_) => {}
        }
    }
}

impl Lines {
    /// The last event that the file has, if it can be read.
    pub(super) async fn last(&mut self) -> Result<Option<Last>, Failed> {
        let plan = self.plan.clone();
        let open = blocking(move || plan.open().map_err(Failed::because)).await?;
        let last = open.last();
        self.open = Some(open);
        Ok(last)
    }

    /// The last event of the file is of another log: it says nothing about this one.
    pub(super) fn begin_after(&mut self, foreign: Last) {
        self.foreign = Some(foreign);
    }

    async fn append(&mut self, events: &[Logged]) -> Result<(), Failed> {
        let lines: Vec<(Last, Vec<u8>)> = events.iter().map(line_of).collect();
        let (plan, open, foreign) = (self.plan.clone(), self.open.take(), self.foreign);
        let open = blocking(move || plan.append(open, &lines, foreign).map_err(Failed::because)).await?;
        self.open = Some(open);
        Ok(())
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failed> + Send + 'static) -> Result<T, Failed> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Failed::because("a defect of musher: writing the file panicked")))
}

/// An event is made of texts and numbers alone; there is nothing in it that JSON could not say.
fn json(event: &Logged) -> Vec<u8> {
    serde_json::to_vec(&view::event::event(event.clone())).unwrap_or_default()
}

fn post_of(event: &Logged, now: Timestamp) -> Post {
    Post {
        seq: event.seq.0,
        kind: event.event.happened.name().to_owned(),
        body: Bytes::from(json(event)),
        seconds: now.as_secs(),
    }
}

fn line_of(event: &Logged) -> (Last, Vec<u8>) {
    let mut line = json(event);
    line.push(b'\n');
    (Last { seq: event.seq.0, at: event.event.at }, line)
}
