//! The engine: one thread that owns the world and its store, and everything that talks to it.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::Instant;

use musher_core::command::{Actor, Answer, Command, Refused, Report};
use musher_core::effect::EffectKind;
use musher_core::id::{EffectId, Seq};
use musher_core::state::State;
use musher_core::time::Timestamp;
use musher_store::{Reader, Store, StoreError};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tracing::{error, info, warn};

use crate::clock::Clock;
use crate::driver::Drivers;
use crate::job;
use crate::machine::{Batch, Broken, Input, Machine, Rejected};
use crate::paths::Paths;
use crate::runner::{Order, Runner, needs_of};
use crate::watchdog::{self, Watchdog};

/// The most commands that one batch takes; it never waits for more.
pub const BATCH_LIMIT: usize = 1_024;
/// The most commands that wait for the writer; senders beyond it wait for their turn.
pub const QUEUE_LIMIT: usize = 8_192;

/// Everything an engine needs.
pub struct EngineConfig {
    /// The durable state, open and locked.
    pub store: Box<dyn Store>,
    /// Where the moment comes from.
    pub clock: Arc<dyn Clock>,
    /// A seed that differs from start to start.
    pub seed: u64,
    /// Who carries effects out.
    pub drivers: Drivers,
    /// Where the repository and its state are.
    pub paths: Paths,
    /// How often the watchdog looks while runs are live: [`watchdog::EVERY`], except in tests.
    pub look_every: std::time::Duration,
    /// What is said before anything is decided: the settings and agents of today, not those of the last start.
    pub first: Vec<Input>,
}

impl std::fmt::Debug for EngineConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineConfig").field("paths", &self.paths).finish_non_exhaustive()
    }
}

/// Why a command got no answer.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The rules refuse it; nothing changed.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It could not be written; nothing changed.
    #[error("the state could not be written; nothing changed")]
    Unwritten {
        /// What the store said.
        detail: String,
    },
    /// A defect of musher; nothing changed.
    #[error("a defect of musher: {detail}; nothing changed")]
    Defect {
        /// Which invariant broke.
        detail: String,
    },
    /// The engine has stopped.
    #[error("musher is stopping")]
    Stopped,
}

impl EngineError {
    /// How to mend it, when there is a way.
    pub fn fix(&self) -> Option<String> {
        match self {
            Self::Refused(refused) => refused.fix(),
            Self::Unwritten { .. } => Some("see that the disk has room and can be written, then try again".to_owned()),
            Self::Defect { .. } => Some("please report it, with `.musher/daemon.log`".to_owned()),
            Self::Stopped => Some("`musher up` starts it again".to_owned()),
        }
    }
}

/// Why an engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state could not be loaded.
    #[error("the state cannot be loaded")]
    Store(#[from] StoreError),
    /// The machine has no thread for the writer.
    #[error("the writer's thread cannot be started")]
    Thread(#[source] std::io::Error),
}

/// What was found at start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StartReport {
    /// Missions that have not ended.
    pub missions: usize,
    /// Runs whose effect was issued again: attached where they live.
    pub runs: usize,
    /// Of those, the ones whose host is gone without having said how it ended.
    pub lost: usize,
    /// Effects issued again, those of runs among them.
    pub effects: usize,
    /// Run folders that nobody wanted and in which processes were ended.
    pub swept: usize,
}

type Reply = oneshot::Sender<Result<Answer, EngineError>>;
type Look = Box<dyn FnOnce(&Machine) + Send>;

enum Message {
    Command { input: Input, reply: Reply, permit: Option<tokio::sync::OwnedSemaphorePermit> },
    Read(Look),
    Wake,
    Stop,
}

struct Inner {
    messages: Sender<Message>,
    permits: Arc<Semaphore>,
    seq: watch::Receiver<Seq>,
    thread: Mutex<Option<JoinHandle<()>>>,
    fenced: Arc<OnceLock<StoreError>>,
    paths: Paths,
    clock: Arc<dyn Clock>,
    drivers: Drivers,
}

/// A handle on the engine; clones are the same engine.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("paths", &self.inner.paths).finish_non_exhaustive()
    }
}

impl Engine {
    /// Loads the world, ends processes that nobody owns, issues every open effect again, and starts the loop.
    pub async fn start(config: EngineConfig) -> Result<(Self, StartReport), StartError> {
        let EngineConfig { store, clock, seed, drivers, paths, look_every, first } = config;
        let machine = tokio::task::spawn_blocking(move || Machine::load(store, seed))
            .await
            .map_err(|e| StartError::Thread(std::io::Error::other(e)))??;
        let mut report = found(machine.state());
        let wanted = watchdog::wanted_folders(machine.state());
        let there = watchdog::unended(&paths);
        let unwanted = watchdog::unwanted(&paths, &there, &wanted);
        let swept = drivers.runs.sweep(unwanted, wanted.iter().map(|name| paths.run(name)).collect()).await;
        (report.swept, report.lost) = (swept.ended.len(), swept.lost);

        let (messages, inbox) = channel();
        let (seq_sender, seq) = watch::channel(machine.store().last_seq());
        let (orders, order_inbox) = mpsc::unbounded_channel();
        let inner = Inner {
            messages,
            permits: Arc::new(Semaphore::new(QUEUE_LIMIT)),
            seq,
            thread: Mutex::new(None),
            fenced: Arc::default(),
            paths: paths.clone(),
            clock: Arc::clone(&clock),
            drivers: drivers.clone(),
        };
        let engine = Self { inner: Arc::new(inner) };
        let writer = Writer {
            machine,
            ordered: BTreeSet::new(),
            inbox,
            clock,
            orders,
            seq: seq_sender,
            paths,
            look_every,
            look_at: None,
            renewal: None,
            fenced: Arc::clone(&engine.inner.fenced),
        };
        let thread = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || writer.run(&first))
            .map_err(StartError::Thread)?;
        if let Ok(mut slot) = engine.inner.thread.lock() {
            *slot = Some(thread);
        }
        let watchdog = Arc::new(Watchdog::new(engine.clone(), drivers.clone()));
        tokio::spawn(Runner::new(drivers, engine.clone(), Arc::clone(&watchdog)).run(order_inbox));
        tokio::spawn(async move { watchdog.at_start(swept.ended).await });
        Ok((engine, report))
    }

    /// Says something to musher. The answer comes when it is on disk.
    pub async fn send(&self, actor: Actor, command: Command) -> Result<Answer, EngineError> {
        let permit = Arc::clone(&self.inner.permits).acquire_owned().await.map_err(|_| EngineError::Stopped)?;
        self.post(Input { actor, command }, Some(permit)).await
    }

    /// Reports what came of an effect. Not counted against the queue, so that drivers never wait for callers.
    pub(crate) async fn report(&self, effect: EffectId, report: Report) -> Result<Answer, EngineError> {
        let input = Input { actor: Actor::Musher, command: Command::Report(effect, report) };
        self.post(input, None).await
    }

    async fn post(
        &self,
        input: Input,
        permit: Option<tokio::sync::OwnedSemaphorePermit>,
    ) -> Result<Answer, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.inner.messages.send(Message::Command { input, reply, permit }).map_err(|_| EngineError::Stopped)?;
        answer.await.map_err(|_| EngineError::Stopped)?
    }

    /// Looks at the world between two batches. Keep it short: the writer waits for it.
    pub async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&State) -> T + Send + 'static,
    ) -> Result<T, EngineError> {
        self.look(move |machine| look(machine.state())).await
    }

    /// Opens a reader of the store.
    pub async fn reader(&self) -> Result<Box<dyn Reader>, EngineError> {
        self.look(|machine| machine.store().reader())
            .await?
            .map_err(|e| EngineError::Unwritten { detail: e.to_string() })
    }

    /// Runs a closure on the machine between two batches, such as a backup of its store.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Machine) -> T + Send + 'static,
    ) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        let look: Look = Box::new(move |machine| {
            let _ = reply.send(look(machine));
        });
        self.inner.messages.send(Message::Read(look)).map_err(|_| EngineError::Stopped)?;
        answer.await.map_err(|_| EngineError::Stopped)
    }

    /// The last event on disk, and a way to wait for the next. A hint only: readers read from their own cursor.
    pub fn seq(&self) -> watch::Receiver<Seq> {
        self.inner.seq.clone()
    }

    /// Waits until the loop has ended. Answers why, when it has ended by itself: somebody else has taken the lease.
    pub async fn ended(&self) -> Option<&StoreError> {
        let mut seq = self.seq();
        while seq.changed().await.is_ok() {}
        self.inner.fenced.get()
    }

    /// Where the repository and its state are.
    pub fn paths(&self) -> &Paths {
        &self.inner.paths
    }

    /// The present moment, by the engine's clock.
    pub fn now(&self) -> musher_core::time::Timestamp {
        self.inner.clock.now()
    }

    /// How long to sleep until this moment, by the engine's clock.
    pub fn until(&self, due: musher_core::time::Timestamp) -> std::time::Duration {
        self.inner.clock.until(due)
    }

    /// Who carries effects out; for diffs and other looks that are no effects.
    pub fn drivers(&self) -> &Drivers {
        &self.inner.drivers
    }

    /// Makes the loop look at the clock now, after a test has moved it.
    pub fn wake(&self) {
        let _ = self.inner.messages.send(Message::Wake);
    }

    /// Ends the loop after the present batch. Agents and gates go on in their hosts.
    pub async fn stop(&self) {
        let _ = self.inner.messages.send(Message::Stop);
        let thread = self.inner.thread.lock().ok().and_then(|mut slot| slot.take());
        if let Some(thread) = thread {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

fn found(state: &State) -> StartReport {
    let runs = state.effects().filter(|e| matches!(e.kind, EffectKind::StartRun(_))).count();
    StartReport {
        missions: state.missions().filter(|m| !m.row.state.is_terminal()).count(),
        runs,
        effects: state.effects().count(),
        swept: 0,
        lost: 0,
    }
}

struct Writer {
    machine: Machine,
    /// The effects that the runner was told of and that are open.
    ordered: BTreeSet<EffectId>,
    inbox: Receiver<Message>,
    clock: Arc<dyn Clock>,
    orders: mpsc::UnboundedSender<Order>,
    seq: watch::Sender<Seq>,
    paths: Paths,
    look_every: std::time::Duration,
    /// When the watchdog looks next; nothing while no run is live.
    look_at: Option<Timestamp>,
    /// When the lease is to be renewed, while work is under way.
    renewal: Option<Instant>,
    /// Who has taken the lease, if somebody has.
    fenced: Arc<OnceLock<StoreError>>,
}

/// A daemon whose writer is gone would only look alive, and hold the lock: better none, and a start anew.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

/// How long the writer waits before it tries again what could not be written.
const AFTER_FAILURE: std::time::Duration = std::time::Duration::from_secs(1);

impl Writer {
    fn run(mut self, first: &[Input]) {
        let _guard = AbortOnPanic;
        let old: BTreeSet<EffectId> = self.machine.state().effects().map(|e| e.id).collect();
        let begun = self.machine.batch(first, self.clock.now());
        if let Err(broken) = &begun {
            self.broken(broken, Vec::new());
        }
        let open: Vec<_> = self.machine.state().effects().cloned().collect();
        for effect in open {
            let reissued = old.contains(&effect.id);
            self.order(&[effect], &[], reissued);
        }
        let mut again = true;
        let mut failed = false;
        loop {
            if !self.keep_lease() {
                return;
            }
            let Some(mut messages) = self.wait(again, failed) else { return };
            let stop = messages.iter().any(|m| matches!(m, Message::Stop));
            let (inputs, replies) = self.take(&mut messages);
            match self.machine.batch(&inputs, self.clock.now()) {
                Ok(batch) => {
                    again = batch.more;
                    failed = false;
                    self.publish(batch, replies);
                }
                Err(broken) => {
                    again = false;
                    failed = true;
                    self.broken(&broken, replies);
                    if let Broken::Store(error @ StoreError::Fenced { .. }) = broken {
                        let _ = self.fenced.set(error);
                        return;
                    }
                    self.reconcile();
                }
            }
            for message in messages {
                if let Message::Read(look) = message {
                    look(&self.machine);
                }
            }
            self.watch();
            if stop {
                info!("the loop has stopped");
                return;
            }
        }
    }

    /// Has the watchdog look, every 30 s while runs are live.
    fn watch(&mut self) {
        let now = self.clock.now();
        let next = now.after(self.look_every);
        self.look_at = match self.look_at.filter(|_| self.machine.state().has_live_runs()) {
            Some(at) if at <= now => {
                let _ = self.orders.send(Order::Look);
                Some(next)
            }
            // A clock that was set back must not put it off.
            Some(at) => Some(at.min(next)),
            None => self.machine.state().has_live_runs().then_some(next),
        };
    }

    /// Renews the lease when it is time. Whether it is still ours.
    fn keep_lease(&mut self) -> bool {
        match self.machine.keep_lease() {
            Ok(next) => self.renewal = next.map(|next| Instant::now() + next),
            Err(error @ StoreError::Fenced { .. }) => {
                error!(%error, "the lease is another one's");
                let _ = self.fenced.set(error);
                return false;
            }
            Err(error) => {
                warn!(%error, "the lease could not be renewed; it is tried again");
                self.renewal = Some(Instant::now() + AFTER_FAILURE);
            }
        }
        true
    }

    /// The next messages: at least one, or none when something is due. Nothing at all when nobody is left.
    fn wait(&self, again: bool, failed: bool) -> Option<Vec<Message>> {
        let mut messages = Vec::new();
        if !again {
            let due = self.machine.state().next_due().into_iter().chain(self.look_at).min();
            let due = due.map(|due| self.clock.until(due));
            // After a failure the pass is owed, even when nothing is due and nobody says anything.
            let sleep = match (failed, due) {
                (true, due) => Some(due.unwrap_or(AFTER_FAILURE).clamp(AFTER_FAILURE / 4, AFTER_FAILURE)),
                (false, due) => due,
            };
            let renewal = self.renewal.map(|at| at.saturating_duration_since(Instant::now()));
            let sleep = sleep.into_iter().chain(renewal).min();
            let first = match sleep {
                Some(sleep) => match self.inbox.recv_timeout(sleep) {
                    Ok(message) => Some(message),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return None,
                },
                None => Some(self.inbox.recv().ok()?),
            };
            messages.extend(first);
        }
        while messages.len() < BATCH_LIMIT
            && let Ok(message) = self.inbox.try_recv()
        {
            messages.push(message);
        }
        Some(messages)
    }

    /// Splits the commands off; looks and the stop stay.
    fn take(&self, messages: &mut Vec<Message>) -> (Vec<Input>, Vec<Reply>) {
        let mut inputs = Vec::new();
        let mut replies = Vec::new();
        let mut rest = Vec::new();
        for message in messages.drain(..) {
            match message {
                Message::Command { input, reply, permit } => {
                    drop(permit);
                    inputs.push(input);
                    replies.push(reply);
                }
                other => rest.push(other),
            }
        }
        *messages = rest;
        (inputs, replies)
    }

    fn publish(&mut self, batch: Batch, replies: Vec<Reply>) {
        self.order(&batch.effects, &batch.closed, false);
        self.seq.send_if_modified(|seq| {
            let news = *seq != batch.seq;
            *seq = batch.seq;
            news
        });
        for (answer, reply) in batch.answers.into_iter().zip(replies) {
            let answer = answer.map_err(|rejected| match rejected {
                Rejected::Refused(refused) => EngineError::Refused(refused),
                Rejected::Unwritten(error) => {
                    warn!(%error, "a command could not be written");
                    EngineError::Unwritten { detail: error.to_string() }
                }
            });
            // The caller may have gone; what was decided stands.
            let _ = reply.send(answer);
        }
    }

    fn broken(&self, broken: &Broken, replies: Vec<Reply>) {
        match broken {
            Broken::Store(error) => error!(%error, "the store failed; what is on disk is the truth"),
            Broken::Defect(detail) => error!(%detail, "an invariant broke; the batch was dropped"),
        }
        for reply in replies {
            let error = match broken {
                Broken::Store(error) => EngineError::Unwritten { detail: error.to_string() },
                Broken::Defect(detail) => EngineError::Defect { detail: detail.clone() },
            };
            let _ = reply.send(Err(error));
        }
    }

    /// After a batch that failed, what is on disk is the truth: a commit that said it failed may have landed all the same.
    fn reconcile(&mut self) {
        if !self.machine.is_loaded() {
            return;
        }
        let open: Vec<_> = self.machine.state().effects().cloned().collect();
        let gone: Vec<_> = self.ordered.iter().filter(|id| !open.iter().any(|e| e.id == **id)).copied().collect();
        let new: Vec<_> = open.into_iter().filter(|e| !self.ordered.contains(&e.id)).collect();
        self.order(&new, &gone, true);
    }

    fn order(&mut self, effects: &[musher_core::effect::Effect], closed: &[EffectId], reissued: bool) {
        for id in closed {
            self.ordered.remove(id);
            let _ = self.orders.send(Order::Close(*id));
        }
        for effect in effects {
            self.ordered.insert(effect.id);
            let state = self.machine.state();
            let job = job::of(state, effect, &self.paths, reissued);
            let needs = job.as_ref().and_then(|job| needs_of(state, job, &self.paths));
            let _ =
                self.orders.send(Order::Do { effect: effect.id, job: job.map(Box::new), needs: needs.map(Box::new) });
        }
    }
}
