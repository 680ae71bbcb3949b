//! A batch: commands stepped one after the other, the pass that follows from them, one transaction, one fsync.
//!
//! No thread and no clock here: the engine's thread drives it, and the simulator drives it in its own time.

use std::time::Duration;

use musher_core::agenda;
use musher_core::change::Change;
use musher_core::command::{Actor, Answer, Command, Refused};
use musher_core::effect::Effect;
use musher_core::entropy::Entropy;
use musher_core::id::{EffectId, ItemId, Seq};
use musher_core::note;
use musher_core::state::{State, Violation};
use musher_core::step::{Context, step};
use musher_core::time::Timestamp;
use musher_store::{Store, StoreError, Work};

/// The most commands that one pass gives itself before the batch is committed; the rest follow in the next.
pub const PASS_LIMIT: usize = 4_096;

/// A command and who says it.
#[derive(Clone, Debug)]
pub struct Input {
    /// Who.
    pub actor: Actor,
    /// What.
    pub command: Command,
}

/// Why a single command of a batch came to nothing. The others are not touched by it.
#[derive(Debug, thiserror::Error)]
pub enum Rejected {
    /// The rules refuse it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It could not be written.
    #[error("it could not be written")]
    Unwritten(#[source] StoreError),
}

/// Why a whole batch came to nothing. Memory was reloaded from disk.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The store failed; whatever was not known to be durable is forgotten.
    #[error("the store failed; nothing of the batch counts")]
    Store(#[source] StoreError),
    /// A decision broke an invariant: a defect of musher. Nothing of the batch was written.
    #[error("a defect of musher: {0}")]
    Defect(String),
}

impl Broken {
    /// Whether somebody else has taken the lease: this machine writes nothing any more, whatever is tried.
    pub fn is_fenced(&self) -> bool {
        matches!(self, Self::Store(StoreError::Fenced { .. }))
    }
}

/// What a batch came to. Everything in it is on disk.
#[derive(Debug)]
pub struct Batch {
    /// One an input, in order.
    pub answers: Vec<Result<Answer, Rejected>>,
    /// What drivers must now do.
    pub effects: Vec<Effect>,
    /// What drivers need no longer do.
    pub closed: Vec<EffectId>,
    /// The last event on disk.
    pub seq: Seq,
    /// The pass was cut at its limit: call again at once, with nothing.
    pub more: bool,
}

/// The world in memory, the store beneath it, and the entropy that is drawn from.
pub struct Machine {
    state: State,
    store: Box<dyn Store>,
    entropy: Entropy,
    loaded: bool,
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Machine").field("items", &self.state.item_count()).finish_non_exhaustive()
    }
}

impl Machine {
    /// Loads the world from the store. The seed must differ from start to start, or ids would repeat.
    pub fn load(mut store: Box<dyn Store>, seed: u64) -> Result<Self, StoreError> {
        let state = State::from_world(store.load()?);
        Ok(Self { state, store, entropy: Entropy::from_seed(seed), loaded: true })
    }

    /// The world in memory.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Whether memory is what is on disk; not after a failure that could not be recovered from yet.
    pub fn is_loaded(&self) -> bool {
        self.loaded
    }

    /// The store, to make readers of.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Renews the lease when it is time; answers after how long it is time again. Work is under way while a driver has an
    /// effect to carry out: a mission that waits for nothing but time, or for a person, wakes nobody.
    pub fn keep_lease(&mut self) -> Result<Option<Duration>, StoreError> {
        let work = if self.state.effects().next().is_some() { Work::UnderWay } else { Work::None };
        self.store.keep(work)
    }

    /// Takes the store back, for a test that opens it again.
    pub fn into_store(self) -> Box<dyn Store> {
        self.store
    }

    /// Steps the inputs and the pass that follows, and commits. On an error memory is what is on disk.
    pub fn batch(&mut self, inputs: &[Input], now: Timestamp) -> Result<Batch, Broken> {
        let done = self.attempt(inputs, now);
        if done.is_err() {
            // After a failed commit nobody knows what is durable: what is on disk is the truth. Never retry an fsync.
            let _ = self.store.rollback();
            // Until it can be read, nothing is known, and nothing is shown.
            self.state = State::default();
            self.loaded = false;
            let world = self.store.load().map_err(Broken::Store)?;
            self.state = State::from_world(world);
            self.loaded = true;
        }
        done
    }

    fn attempt(&mut self, inputs: &[Input], now: Timestamp) -> Result<Batch, Broken> {
        let mut batch = Batch {
            answers: Vec::with_capacity(inputs.len()),
            effects: Vec::new(),
            closed: Vec::new(),
            seq: Seq(0),
            more: false,
        };
        self.store.begin().map_err(Broken::Store)?;
        let mut touched = Vec::new();
        for input in inputs {
            let answer = self.one(&input.actor, &input.command, now, &mut batch, &mut touched);
            batch.answers.push(answer);
        }
        self.pass(now, &mut batch, &mut touched)?;
        self.check(&touched)?;
        batch.seq = self.store.commit().map_err(Broken::Store)?;
        let closed = std::mem::take(&mut batch.closed);
        batch.effects.retain(|effect| !closed.contains(&effect.id));
        batch.closed = closed;
        Ok(batch)
    }

    fn one(
        &mut self,
        actor: &Actor,
        command: &Command,
        now: Timestamp,
        batch: &mut Batch,
        touched: &mut Vec<ItemId>,
    ) -> Result<Answer, Rejected> {
        let mut cx = Context { now, entropy: &mut self.entropy, actor };
        match step(&self.state, command, &mut cx) {
            Ok(change) => self.write(change, batch, touched).map_err(Rejected::Unwritten),
            Err(refused) => {
                if let Some(said) = note::of_refusal(command, &refused, actor) {
                    let change = step(&self.state, &said, &mut cx)?;
                    self.write(change, batch, touched).map_err(Rejected::Unwritten)?;
                }
                Err(refused.into())
            }
        }
    }

    fn write(&mut self, change: Change, batch: &mut Batch, touched: &mut Vec<ItemId>) -> Result<Answer, StoreError> {
        let answer = change.answer.clone();
        if !change.is_empty() {
            self.store.write(&change)?;
            batch.effects.extend(change.effects.iter().cloned());
            batch.closed.extend(change.closed.iter().copied());
            touched.extend(change.items.iter().map(|i| i.id));
            self.state.apply(change);
        }
        Ok(answer)
    }

    fn pass(&mut self, now: Timestamp, batch: &mut Batch, touched: &mut Vec<ItemId>) -> Result<(), Broken> {
        self.state.advance(now);
        for _ in 0..PASS_LIMIT {
            let Some(command) = agenda::next(&mut self.state) else { return Ok(()) };
            match self.one(&Actor::Musher, &command, now, batch, touched) {
                Ok(_) => {}
                // What cannot be written now is decided again when the store has recovered.
                Err(Rejected::Unwritten(error)) => return Err(Broken::Store(error)),
                Err(Rejected::Refused(refused)) => {
                    return Err(Broken::Defect(format!("the agenda offered {command:?}, which is refused: {refused}")));
                }
            }
        }
        batch.more = true;
        Ok(())
    }

    /// The invariants of the rows that the batch touched.
    fn check(&self, touched: &[ItemId]) -> Result<(), Broken> {
        touched.iter().try_for_each(|id| self.state.check_item(*id)).map_err(|Violation(text)| Broken::Defect(text))
    }
}
