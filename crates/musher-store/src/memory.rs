//! The store in memory: for tests, with failures on request. Keeps every promise but the disk's.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use musher_core::change::Change;
use musher_core::id::Seq;
use musher_core::state::World;

use crate::StoreError;
use crate::lease::Work;
use crate::store::{MAX_ROW_BYTES, Reader, Store};

mod reader;
mod tables;

use tables::Tables;

/// What outlives a [`MemoryStore`]: the disk of a test.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk(Arc<Mutex<Tables>>);

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens what has been committed to it, under a lease of its own: whoever had it open writes nothing any more.
    pub fn open(&self) -> MemoryStore {
        let mut tables = self.tables();
        tables.fence += 1;
        let (seq, fence) = (tables.last_seq(), tables.fence);
        drop(tables);
        MemoryStore {
            fence,
            disk: self.clone(),
            faults: Faults::default(),
            stage: Stage::Closed,
            pending: Vec::new(),
            seq,
            next: seq,
        }
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // Rows are applied by code that cannot panic half way; a poisoned lock holds whole batches all the same.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks a [`MemoryStore`] to fail. Clones speak to the same store.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Asked>>);

#[derive(Debug, Default)]
struct Asked {
    write: bool,
    commit: Option<Landing>,
}

#[derive(Clone, Copy, Debug)]
enum Landing {
    Lost,
    Durable,
}

impl Faults {
    /// The next write fails: nothing of it is written, the batch lives on.
    pub fn fail_next_write(&self) {
        self.asked().write = true;
    }

    /// The next commit fails, and nothing of the batch is on disk.
    pub fn fail_next_commit(&self) {
        self.asked().commit = Some(Landing::Lost);
    }

    /// The next commit says that it failed, and yet the batch is on disk: a disk may do that.
    pub fn fail_next_commit_after_it_landed(&self) {
        self.asked().commit = Some(Landing::Durable);
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Closed,
    Open,
    Broken,
}

/// A store whose disk is a [`MemoryDisk`].
#[derive(Debug)]
pub struct MemoryStore {
    disk: MemoryDisk,
    faults: Faults,
    stage: Stage,
    pending: Vec<Change>,
    seq: Seq,
    next: Seq,
    /// The fence that this writes under.
    fence: u64,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        MemoryDisk::new().open()
    }

    /// The switchboard of its failures.
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    /// Its disk, which outlives it.
    pub fn disk(&self) -> MemoryDisk {
        self.disk.clone()
    }

    /// Crashes, and opens what was committed only.
    #[must_use]
    pub fn into_durable(self) -> Self {
        self.disk.open()
    }

    fn in_batch(&self) -> Result<(), StoreError> {
        match self.stage {
            Stage::Open => Ok(()),
            Stage::Closed => Err(StoreError::NoBatch),
            Stage::Broken => Err(StoreError::Broken),
        }
    }

    fn check_fence(&self) -> Result<(), StoreError> {
        if self.disk.tables().fence == self.fence {
            return Ok(());
        }
        Err(StoreError::Fenced { fence: self.fence, by: None })
    }

    fn land(&mut self) {
        let mut tables = self.disk.tables();
        for change in self.pending.drain(..) {
            tables.apply(change);
        }
    }
}

impl Store for MemoryStore {
    fn load(&mut self) -> Result<World, StoreError> {
        self.pending.clear();
        self.stage = Stage::Broken;
        self.check_fence()?;
        let tables = self.disk.tables();
        let (world, seq) = (tables.world(), tables.last_seq());
        drop(tables);
        (self.seq, self.next, self.stage) = (seq, seq, Stage::Closed);
        Ok(world)
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        match self.stage {
            Stage::Closed => {
                self.stage = Stage::Open;
                Ok(())
            }
            Stage::Open => Err(StoreError::BatchOpen),
            Stage::Broken => Err(StoreError::Broken),
        }
    }

    fn write(&mut self, change: &Change) -> Result<Seq, StoreError> {
        self.in_batch()?;
        if std::mem::take(&mut self.faults.asked().write) {
            return Err(StoreError::Injected);
        }
        if let Some((_, text)) = change.texts.iter().find(|(_, text)| text.len() > MAX_ROW_BYTES) {
            return Err(StoreError::TooLarge { what: "a text", bytes: text.len() });
        }
        self.next = Seq(self.next.0 + change.events.len() as u64);
        self.pending.push(change.clone());
        Ok(self.next)
    }

    fn commit(&mut self) -> Result<Seq, StoreError> {
        self.in_batch()?;
        if let Err(fenced) = self.check_fence() {
            self.pending.clear();
            self.stage = Stage::Broken;
            return Err(fenced);
        }
        let fault = self.faults.asked().commit.take();
        match fault {
            None => {
                self.land();
                (self.seq, self.stage) = (self.next, Stage::Closed);
                Ok(self.seq)
            }
            Some(landing) => {
                match landing {
                    Landing::Durable => self.land(),
                    Landing::Lost => self.pending.clear(),
                }
                self.stage = Stage::Broken;
                Err(StoreError::Injected)
            }
        }
    }

    fn rollback(&mut self) -> Result<(), StoreError> {
        self.in_batch()?;
        self.pending.clear();
        (self.next, self.stage) = (self.seq, Stage::Closed);
        Ok(())
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(reader::MemoryReader(self.disk.clone())))
    }

    fn last_seq(&self) -> Seq {
        self.seq
    }

    fn keep(&mut self, _: Work) -> Result<Option<Duration>, StoreError> {
        self.check_fence().map(|()| None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{Fixture, check_all, sample};

    impl Fixture for MemoryDisk {
        fn open(&self) -> Box<dyn Store> {
            Box::new(Self::open(self))
        }

        fn rival(&self) -> Box<dyn Store> {
            Box::new(Self::open(self))
        }
    }

    #[test]
    fn memory_keeps_every_promise() {
        check_all(MemoryDisk::new);
    }

    #[test]
    fn a_write_fails_when_asked_and_alone() {
        let mut store = MemoryStore::new();
        store.begin().unwrap();
        store.faults().fail_next_write();
        assert!(matches!(store.write(&sample::everything(1)), Err(StoreError::Injected)));
        store.write(&sample::everything(2)).unwrap();
        store.commit().unwrap();
        assert_eq!(store.into_durable().load().unwrap().missions, [sample::mission(2)]);
    }

    #[test]
    fn after_a_failed_commit_nothing_goes_on_before_a_load() {
        for landed in [false, true] {
            let mut store = MemoryStore::new();
            sample::commit(&mut store, &[sample::everything(1)]);
            match landed {
                true => store.faults().fail_next_commit_after_it_landed(),
                false => store.faults().fail_next_commit(),
            }
            store.begin().unwrap();
            store.write(&sample::everything(2)).unwrap();
            assert!(matches!(store.commit(), Err(StoreError::Injected)));
            assert!(matches!(store.begin(), Err(StoreError::Broken)));
            assert!(matches!(store.write(&sample::everything(3)), Err(StoreError::Broken)));
            assert!(matches!(store.commit(), Err(StoreError::Broken)));
            let missions = store.load().unwrap().missions.len();
            assert_eq!(missions, if landed { 2 } else { 1 });
            assert_eq!(store.last_seq(), Seq(if landed { 4 } else { 2 }));
            sample::commit(&mut store, &[sample::everything(3)]);
        }
    }
}
