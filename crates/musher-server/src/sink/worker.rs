//! One sink at work: it reads the committed log from its cursor, delivers, and reports. It decides nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use musher_core::command::{Actor, Command, Refused};
use musher_core::event::Logged;
use musher_core::id::Seq;
use musher_core::sink::{DeliveryFailure, Wanted, cursor_of};
use musher_core::time::Timestamp;
use musher_engine::{Engine, EngineError};
use musher_store::EventFilter;
use tokio::sync::{Notify, watch};
use tracing::{info, warn};

use super::relay::Course;
use super::target::Target;
use super::webhook::Failed;
use crate::readers::Readers;

/// How many events are read at once.
const CHUNK: u32 = 500;
/// How many events that a sink does not want may lie behind its stored cursor before that is moved over them.
const SKIPPED: u64 = 1_000;
/// How long it waits when what it did could not be written down.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// What a worker does just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// It delivers, or looks whether there is anything to deliver.
    Working,
    /// It has delivered everything, and waits for an event.
    UntilEvent,
    /// It failed, and tries again at this moment.
    Until(Timestamp),
}

/// What a worker and its owner tell each other.
#[derive(Debug)]
pub(super) struct Signals {
    /// Look again at once.
    pub(super) look: Notify,
    /// End after the present delivery.
    pub(super) closing: watch::Sender<bool>,
    /// Everything up to here was looked through.
    pub(super) position: AtomicU64,
    /// What it does.
    pub(super) rest: watch::Sender<Rest>,
}

impl Signals {
    pub(super) fn new() -> Self {
        Self {
            look: Notify::new(),
            closing: watch::Sender::new(false),
            position: AtomicU64::new(0),
            rest: watch::Sender::new(Rest::Working),
        }
    }

    pub(super) fn wake(&self) {
        self.rest.send_replace(Rest::Working);
        self.look.notify_one();
    }
}

/// One sink at work.
pub(super) struct Worker {
    pub(super) name: Box<str>,
    pub(super) wanted: Wanted,
    pub(super) target: Target,
    pub(super) engine: Engine,
    pub(super) readers: Readers,
    pub(super) signals: Arc<Signals>,
}

/// The engine has stopped, or the sink is gone: there is nothing more to do.
struct Over;

impl Worker {
    pub(super) async fn run(mut self) {
        let mut closing = self.signals.closing.subscribe();
        tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => return,
            () = self.compare_with_log() => {}
        }
        let mut seq = self.engine.seq();
        loop {
            seq.borrow_and_update();
            let Ok(rest) = self.work().await else { return };
            self.signals.rest.send_replace(rest);
            if rest != Rest::Working {
                self.target.rest();
            }
            let signals = Arc::clone(&self.signals);
            let timer = async {
                match rest {
                    Rest::Working => {}
                    Rest::UntilEvent => std::future::pending().await,
                    Rest::Until(due) => tokio::time::sleep(self.engine.until(due)).await,
                }
            };
            tokio::select! {
                biased;
                _ = closing.wait_for(|closing| *closing) => return,
                () = signals.look.notified() => {}
                changed = seq.changed(), if rest == Rest::UntilEvent => if changed.is_err() { return },
                () = timer => {}
            }
            self.signals.rest.send_replace(Rest::Working);
        }
    }

    /// Looks once: waits out a failure, or reads a chunk of the log and delivers what is wanted of it.
    async fn work(&mut self) -> Result<Rest, Over> {
        let (cursor, due) = self.place().await?;
        if let Some(due) = due {
            return Ok(Rest::Until(due));
        }
        let position = Seq(cursor.0.max(self.signals.position.load(Ordering::Relaxed)));
        let filter =
            EventFilter { after: position, limit: CHUNK, kinds: self.wanted.kinds.clone(), ..EventFilter::default() };
        let asked = self.readers.ask(move |reader| Ok((reader.last_seq()?, reader.events(&filter)?))).await;
        let (last, events) = match asked {
            Ok(found) => found,
            Err(problem) => {
                warn!(sink = %self.name, error = %problem, "the log cannot be read; the sink tries again");
                return self.wait_a_little().await;
            }
        };
        let is_all = events.len() < CHUNK as usize;
        let looked = if is_all { last.max(position) } else { events.last().map_or(position, |event| event.seq) };
        let wanted: Vec<Logged> = events.into_iter().filter(|event| self.wanted.lets_through(&event.event)).collect();
        for part in wanted.chunks(self.target.part()) {
            if *self.signals.closing.borrow() {
                return Err(Over);
            }
            let Some(end) = part.last() else { continue };
            match self.target.deliver(part, self.engine.now()).await {
                Ok(Course::Delivered) => self.advance(end.seq).await?,
                Ok(Course::Moved) => {
                    self.signals.position.store(0, Ordering::Relaxed);
                    return Ok(Rest::Working);
                }
                Err(failed) => return self.fail(part, failed).await,
            }
        }
        self.signals.position.fetch_max(looked.0, Ordering::Relaxed);
        if looked.0.saturating_sub(self.place().await?.0.0) >= SKIPPED {
            self.advance(looked).await?;
        }
        Ok(if is_all { Rest::UntilEvent } else { Rest::Working })
    }

    /// The stored cursor, and when the next try may be made, if not now.
    async fn place(&self) -> Result<(Seq, Option<Timestamp>), Over> {
        let (name, now) = (self.name.clone(), self.engine.now());
        let found = self.engine.read(move |state| {
            let sink = state.sink(&name).filter(|sink| sink.removed_at.is_none())?;
            Some((state.cursor(&cursor_of(&name)), sink.due(now)))
        });
        found.await.ok().flatten().ok_or(Over)
    }

    async fn advance(&self, seq: Seq) -> Result<(), Over> {
        self.signals.position.fetch_max(seq.0, Ordering::Relaxed);
        self.say(Command::AdvanceSink(self.name.clone(), seq)).await
    }

    async fn fail(&self, part: &[Logged], failed: Failed) -> Result<Rest, Over> {
        let Some(first) = part.first() else { return Ok(Rest::Working) };
        let failure = DeliveryFailure {
            event: first.seq,
            kind: first.event.happened.name().into(),
            error: failed.error.as_str().into(),
            retry_after_secs: failed.retry_after_secs,
        };
        info!(sink = %self.name, seq = first.seq.0, error = %failed.error, "a delivery failed");
        self.say(Command::FailDelivery(self.name.clone(), Box::new(failure))).await?;
        Ok(Rest::Working)
    }

    async fn say(&self, command: Command) -> Result<(), Over> {
        match self.engine.send(Actor::Musher, command).await {
            Ok(_) | Err(EngineError::Refused(Refused::Stale { .. })) => Ok(()),
            Err(EngineError::Stopped | EngineError::Refused(_)) => Err(Over),
            Err(error @ (EngineError::Unwritten { .. } | EngineError::Defect { .. })) => {
                // What was sent is not sent again while this daemon lives; after a restart it may be.
                warn!(sink = %self.name, %error, "what came of a delivery could not be written down");
                self.wait_a_little().await.map(|_| ())
            }
        }
    }

    async fn wait_a_little(&self) -> Result<Rest, Over> {
        let mut closing = self.signals.closing.subscribe();
        tokio::select! {
            _ = closing.wait_for(|closing| *closing) => Err(Over),
            () = tokio::time::sleep(AFTER_FAILURE) => Ok(Rest::Working),
        }
    }

    /// A file may be of another log than this one: when a backup was restored, the same numbers are given again, to other
    /// events. Then the cursor alone says where it goes on.
    async fn compare_with_log(&mut self) {
        let Target::Lines(lines) = &mut self.target else { return };
        // What is wrong with the file is said when there is something to write.
        let Ok(Some(last)) = lines.last().await else { return };
        let before = Seq(last.seq.saturating_sub(1));
        let filter = EventFilter { after: before, limit: 1, ..EventFilter::default() };
        let found = self.readers.ask(move |reader| reader.events(&filter)).await;
        let Ok(found) = found else { return };
        let same = found.first().is_some_and(|event| event.seq == last.place() && event.event.at == last.at);
        if !same {
            warn!(sink = %self.name, seq = last.seq, "the file's last event is not in this log; it goes on after the cursor");
            lines.begin_after(last);
        }
    }
}
