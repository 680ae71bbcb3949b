//! The store on a disk: one SQLite file, one writing connection, write-ahead log, every commit synced.
//!
//! What [`Store::write`] is given is encoded at once and kept in memory ([`batch`]); the statements run in
//! [`Store::commit`], table by table in the order of their keys ([`flush`]). That is what makes it fast (one page is
//! touched once, a row that changed twice is written once, an effect that was closed again is not written at all), and
//! it is why a failing change needs no savepoint: all that can fail for a change's own sake is its encoding.

use std::path::{Path, PathBuf};
use std::time::Duration;

use musher_core::change::Change;
use musher_core::id::Seq;
use musher_core::state::World;
use musher_core::time::Timestamp;
use rusqlite::Connection;

use crate::lease::{Lease, Work};
use crate::store::{Reader, Store};
use crate::{OpenError, StoreError};

mod backup;
mod batch;
mod checkpoint;
mod flush;
mod hub;
mod lease;
mod load;
mod lock;
mod reader;
mod schema;

pub use backup::{BackupError, Overwrite, RestoreError, backup, restore};

use batch::Batch;
use checkpoint::Checkpoints;
use lease::Held;
use lock::FolderLock;
use reader::SqliteReader;

/// The database's name in the data folder.
const FILE: &str = "musher.db";

/// A batch that has grown beyond this is handed to SQLite before its commit, so that memory stays bounded.
const SPILL_BYTES: usize = 16 << 20;

/// Where the open batch stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// There is none.
    Closed,
    /// It is in memory only.
    Gathering,
    /// Its first part is in an open transaction, the rest in memory.
    Spilled,
    /// The disk failed under it: memory must be loaded again.
    Broken,
}

/// Durable state in one SQLite file, `musher.db`, whose folder is locked while this lives.
#[derive(Debug)]
pub struct SqliteStore {
    // Before the connection: its thread has one of its own, and the last one to close tidies the log away.
    checkpoints: Checkpoints,
    conn: Connection,
    file: PathBuf,
    stage: Stage,
    batch: Batch,
    /// The last committed event.
    seq: Seq,
    /// The order of the next effect.
    next_effect: i64,
    lease: Held,
    // Last: the folder is free only when everything else is closed.
    _lock: FolderLock,
}

impl SqliteStore {
    /// Opens the database of a data folder, making both when they are missing, locks the folder for this process, and takes
    /// its lease with a new fence. A holder that was paused for longer than its lease lasts loses it.
    ///
    /// `now` is what the lock file says to those who come later. An older schema is brought up to date first.
    ///
    /// # Errors
    /// Nothing was changed, beyond the lock file, unless a migration had begun: each is a transaction of its own.
    pub fn open(folder: &Path, now: Timestamp) -> Result<Self, OpenError> {
        schema::check_library()?;
        lock::make_folder(folder)?;
        let file = folder.join(FILE);
        let failed = |source: StoreError| OpenError::Store { file: file.clone(), source };
        let (mut conn, lease, lock) = match FolderLock::take(folder, now) {
            Ok(lock) => {
                let found = schema::inspect(&file)?;
                let mut conn = schema::connect(&file, found)?;
                schema::migrate(&mut conn, found, now).map_err(failed)?;
                let lease = Held::take(&mut conn, now).map_err(failed)?;
                (conn, lease, lock)
            }
            Err(locked @ OpenError::Locked { .. }) => Self::take_over(folder, &file, locked, now)?,
            Err(error) => return Err(error),
        };
        load::forget_the_old(&conn).map_err(failed)?;
        let checkpoints = Checkpoints::watch(&mut conn, &file).map_err(failed)?;
        let seq = load::last_seq(&conn).map_err(failed)?;
        let next_effect = load::next_effect(&conn).map_err(failed)?;
        Ok(Self {
            checkpoints,
            conn,
            file,
            stage: Stage::Closed,
            batch: Batch::default(),
            seq,
            next_effect,
            lease,
            _lock: lock,
        })
    }

    /// Takes the place of a holder that was paused for longer than its lease; anybody else keeps the folder.
    fn take_over(
        folder: &Path,
        file: &Path,
        locked: OpenError,
        now: Timestamp,
    ) -> Result<(Connection, Held, FolderLock), OpenError> {
        let found = match schema::inspect(file) {
            // An older program holds it: it has no lease.
            Ok(found) if found != schema::Found::Schema(schema::KNOWN) => return Err(locked),
            Ok(found) => found,
            // What cannot be read says nothing against the lock.
            Err(_) => return Err(locked),
        };
        let Some(holder) = SqliteReader::open(file).ok().and_then(|reader| reader.holder()) else { return Err(locked) };
        if !holder.has_lapsed {
            return Err(locked.of_node(&holder.lease));
        }
        let mut conn = schema::connect(file, found)?;
        match Held::take_over(&mut conn, folder, now)? {
            Some((lease, lock)) => Ok((conn, lease, lock)),
            None => Err(locked),
        }
    }

    /// Whose place was taken when this was opened: one that was paused for longer than its lease, and may come back.
    pub fn took_over(&self) -> Option<&Lease> {
        self.lease.before.as_ref()
    }

    /// Writes a copy of the committed state to a new file, which appears whole or not at all.
    ///
    /// # Errors
    /// An existing file is never overwritten.
    pub fn backup(&self, to: &Path) -> Result<(), BackupError> {
        backup::copy(&self.file, to)
    }

    fn in_batch(&self) -> Result<(), StoreError> {
        match self.stage {
            Stage::Gathering | Stage::Spilled => Ok(()),
            Stage::Closed => Err(StoreError::NoBatch),
            Stage::Broken => Err(StoreError::Broken),
        }
    }

    /// Hands what has been gathered to SQLite, in the batch's one transaction.
    fn flush(&mut self) -> Result<(), StoreError> {
        if self.stage == Stage::Gathering {
            self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            self.stage = Stage::Spilled;
            // From here on nobody can take the lease: the write lock is ours.
            self.lease.check(&self.conn)?;
        }
        flush::all(&self.conn, &mut self.batch, &mut self.next_effect)?;
        self.batch.clear();
        Ok(())
    }

    fn spill_if_large(&mut self) -> Result<(), StoreError> {
        if self.batch.bytes() < SPILL_BYTES {
            return Ok(());
        }
        self.flush().inspect_err(|_| self.broken())
    }

    /// What is on disk is unknown from here on.
    fn broken(&mut self) {
        self.abandon();
        self.stage = Stage::Broken;
    }

    fn abandon(&mut self) {
        self.batch.clear();
        self.batch.continue_from(self.seq);
        if !self.conn.is_autocommit() {
            // SQLite has often rolled back by itself by now; whatever this says, nothing was committed.
            let _ = self.conn.execute_batch("ROLLBACK");
        }
    }
}

impl Store for SqliteStore {
    fn load(&mut self) -> Result<World, StoreError> {
        self.abandon();
        self.stage = Stage::Broken;
        self.lease.check(&self.conn)?;
        // Every page is read once. A large cache would lie between the rows in memory, and leave holes when it is freed.
        self.conn.execute_batch("PRAGMA cache_size = -256")?;
        let world = load::world(&self.conn)?;
        self.conn.execute_batch(&format!("PRAGMA cache_size = -{}", schema::CACHE_KIB))?;
        self.seq = load::last_seq(&self.conn)?;
        self.next_effect = load::next_effect(&self.conn)?;
        self.batch.continue_from(self.seq);
        self.conn.release_memory()?;
        self.stage = Stage::Closed;
        Ok(world)
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        match self.stage {
            Stage::Closed => {
                self.batch.continue_from(self.seq);
                self.stage = Stage::Gathering;
                Ok(())
            }
            Stage::Gathering | Stage::Spilled => Err(StoreError::BatchOpen),
            Stage::Broken => Err(StoreError::Broken),
        }
    }

    fn write(&mut self, change: &Change) -> Result<Seq, StoreError> {
        self.in_batch()?;
        self.batch.add(change)?;
        self.spill_if_large()?;
        Ok(self.batch.last_seq())
    }

    fn commit(&mut self) -> Result<Seq, StoreError> {
        self.in_batch()?;
        let seq = self.batch.last_seq();
        if self.stage == Stage::Gathering && self.batch.is_empty() {
            // Nothing is written, but something may be answered.
            self.lease.check(&self.conn).inspect_err(|_| self.stage = Stage::Broken)?;
            self.stage = Stage::Closed;
            return Ok(seq);
        }
        let committed = self.flush().and_then(|()| {
            self.conn.prepare_cached("COMMIT")?.execute([])?;
            Ok(())
        });
        match committed {
            Ok(()) => {
                self.stage = Stage::Closed;
                self.seq = seq;
                self.checkpoints.after_commit(&self.conn);
                Ok(seq)
            }
            Err(error) => {
                self.broken();
                Err(error)
            }
        }
    }

    fn rollback(&mut self) -> Result<(), StoreError> {
        self.in_batch()?;
        self.abandon();
        self.stage = Stage::Closed;
        Ok(())
    }

    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        Ok(Box::new(SqliteReader::open(&self.file)?))
    }

    fn last_seq(&self) -> Seq {
        self.seq
    }

    fn lease(&self) -> Option<Lease> {
        Some(self.lease.lease())
    }

    fn keep(&mut self, work: Work) -> Result<Option<Duration>, StoreError> {
        match self.stage {
            Stage::Closed => self.lease.keep(&mut self.conn, work),
            Stage::Gathering | Stage::Spilled => Err(StoreError::BatchOpen),
            Stage::Broken => Err(StoreError::Broken),
        }
    }
}

#[cfg(test)]
mod tests;
