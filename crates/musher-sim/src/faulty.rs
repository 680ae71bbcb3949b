//! A store that fails on request, around the real one, and that knows what was really committed.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use musher_core::change::Change;
use musher_core::effect::Effect;
use musher_core::id::{EffectId, Seq};
use musher_core::state::World;
use musher_store::{Lease, Reader, Store, StoreError, Work};

use crate::variant::Variant;

/// How the next batch fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ask {
    /// Not at all.
    #[default]
    Nothing,
    /// The write of its n-th change fails, alone.
    Write(u32),
    /// The commit fails; nothing is on disk.
    CommitLost,
    /// The commit fails, they say; yet all is on disk.
    CommitLanded,
}

#[derive(Debug, Default)]
struct Books {
    ask: Ask,
    full: bool,
    writes: u32,
    open: Vec<Effect>,
    durable: BTreeSet<EffectId>,
}

/// The switchboard and the books of a [`FaultyStore`]; outlives it.
#[derive(Clone, Debug, Default)]
pub struct Control(Arc<Mutex<Books>>);

impl Control {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how the next batch fails.
    pub fn ask(&self, ask: Ask) {
        self.books().ask = ask;
    }

    /// Fills the disk, or makes room on it.
    pub fn set_full(&self, full: bool) {
        self.books().full = full;
    }

    /// Whether the disk is full.
    pub fn is_full(&self) -> bool {
        self.books().full
    }

    /// Whether this effect was ever committed.
    pub fn is_durable(&self, effect: EffectId) -> bool {
        self.books().durable.contains(&effect)
    }

    /// The effects of the last batch that was not committed.
    pub fn take_uncommitted(&self) -> Vec<Effect> {
        std::mem::take(&mut self.books().open)
    }
}

/// The real store, and its failures.
pub struct FaultyStore {
    inner: Box<dyn Store>,
    control: Control,
    variant: Variant,
}

impl FaultyStore {
    /// Wraps a store; what it loads is as true as the variant is sound.
    pub fn new(inner: Box<dyn Store>, control: Control, variant: Variant) -> Self {
        Self { inner, control, variant }
    }
}

impl Store for FaultyStore {
    fn load(&mut self) -> Result<World, StoreError> {
        let mut world = self.inner.load()?;
        if self.variant == Variant::ForgetsDependencies {
            world.items.iter_mut().for_each(|item| item.depends_on = Box::default());
        }
        if self.variant == Variant::ForgetsQuotas {
            world.quotas.clear();
        }
        if self.variant == Variant::ForgetsSilence {
            world.nodes.iter_mut().for_each(|node| node.silent = false);
        }
        if self.variant == Variant::ForgetsLimits {
            world.agents.iter_mut().for_each(|agent| agent.spec.max_load = 0);
            world.missions.iter_mut().for_each(|mission| mission.policy.max_parallel_items = u32::MAX);
        }
        Ok(world)
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        let mut books = self.control.books();
        books.open.clear();
        books.writes = 0;
        drop(books);
        self.inner.begin()
    }

    fn write(&mut self, change: &Change) -> Result<Seq, StoreError> {
        let mut books = self.control.books();
        books.writes += 1;
        if books.ask == Ask::Write(books.writes) {
            books.ask = Ask::Nothing;
            return Err(StoreError::Injected);
        }
        books.open.extend(change.effects.iter().cloned());
        drop(books);
        self.inner.write(change)
    }

    fn commit(&mut self) -> Result<Seq, StoreError> {
        let (ask, full, writes) = {
            let mut books = self.control.books();
            (std::mem::take(&mut books.ask), books.full, books.writes)
        };
        // A full disk takes an empty batch: there is nothing to write.
        if ask == Ask::CommitLost || (full && writes > 0) {
            self.inner.rollback()?;
            return Err(StoreError::Injected);
        }
        let seq = self.inner.commit()?;
        let mut books = self.control.books();
        let open = std::mem::take(&mut books.open);
        books.durable.extend(open.iter().map(|e| e.id));
        if ask == Ask::CommitLanded { Err(StoreError::Injected) } else { Ok(seq) }
    }

    fn rollback(&mut self) -> Result<(), StoreError> {
        self.inner.rollback()
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        self.inner.reader()
    }

    fn last_seq(&self) -> Seq {
        self.inner.last_seq()
    }

    fn lease(&self) -> Option<Lease> {
        self.inner.lease()
    }

    fn keep(&mut self, work: Work) -> Result<Option<Duration>, StoreError> {
        self.inner.keep(work)
    }
}
