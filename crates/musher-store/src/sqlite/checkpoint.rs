//! Moving the log's pages into the database, beside the writer.
//!
//! A commit appends pages to the write-ahead log; a checkpoint copies them into the database, and when all of them are
//! there the log starts again from its beginning. The copying, and its syncs, are done by a thread of their own. Under
//! steady load that thread never sees the end of the log, so when it has come far the writer does the short rest.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use rusqlite::{Connection, OpenFlags};

use super::schema;
use crate::StoreError;

/// The thread is woken whenever the log has grown by so many pages (16 MiB).
const EVERY_PAGES: u32 = 2_000;

/// The writer's and the thread's common knowledge.
#[derive(Debug, Default)]
struct Progress {
    /// How many pages the log had after the last commit.
    pages: AtomicU32,
    /// The thread has gone through the log since it was last woken.
    passed: AtomicBool,
}

/// The checkpoint thread; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Checkpoints {
    progress: Arc<Progress>,
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
    /// The thread was woken, and its pass has not been followed up yet.
    awake: bool,
    /// The log's length at which the thread is woken next.
    next_at: u32,
    last_pages: u32,
}

impl Checkpoints {
    /// Counts the pages that `conn` commits, and starts the thread.
    pub(super) fn watch(conn: &mut Connection, file: &Path) -> Result<Self, StoreError> {
        let progress = Arc::new(Progress::default());
        let counted = Arc::clone(&progress);
        conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, pages| {
            counted.pages.store(u32::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;

        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let own = Connection::open_with_flags(file, flags)?;
        schema::common_pragmas(&own, 256)?;
        own.execute_batch("PRAGMA synchronous = FULL; PRAGMA fullfsync = ON")?;
        let (wake, woken) = sync_channel(1);
        let theirs = Arc::clone(&progress);
        let thread = std::thread::Builder::new()
            .name("musher-checkpoint".to_owned())
            .spawn(move || run(&own, &woken, &theirs))
            .map_err(|e| StoreError::Disk(e.into()))?;
        Ok(Self { progress, wake: Some(wake), thread: Some(thread), awake: false, next_at: EVERY_PAGES, last_pages: 0 })
    }

    /// Looks at the log's length; does the rest of a checkpoint that the thread has nearly finished.
    pub(super) fn after_commit(&mut self, conn: &Connection) {
        let pages = self.progress.pages.load(Ordering::Relaxed);
        if pages < self.last_pages {
            self.next_at = EVERY_PAGES;
        }
        self.last_pages = pages;
        if self.progress.passed.swap(false, Ordering::Acquire) {
            pass(conn);
            self.awake = false;
        }
        if pages >= self.next_at && !self.awake {
            self.next_at = pages.saturating_add(EVERY_PAGES);
            self.awake = true;
            // It cannot be full: the last call has been answered.
            let _ = self.wake.as_ref().map(|wake| wake.try_send(()));
        }
    }
}

#[cfg(test)]
impl Checkpoints {
    /// The log's length after the last commit, in pages.
    pub(super) fn pages(&self) -> u32 {
        self.progress.pages.load(Ordering::Relaxed)
    }

    /// Waits until the thread, if it was woken, has gone through the log.
    pub(super) fn wait_for_pass(&self) {
        let lives = || self.thread.as_ref().is_some_and(|thread| !thread.is_finished());
        while self.awake && lives() && !self.progress.passed.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported by its own thread.
            let _ = thread.join();
        }
    }
}

fn run(conn: &Connection, woken: &Receiver<()>, progress: &Progress) {
    while woken.recv().is_ok() {
        pass(conn);
        progress.passed.store(true, Ordering::Release);
    }
}

/// Copies what can be copied without making anyone wait.
///
/// When it fails nothing is lost: the pages stay in the log, the log grows, and the next pass tries again. A disk that
/// fails for good is noticed by the next commit.
fn pass(conn: &Connection) {
    let _ = conn
        .prepare_cached("PRAGMA wal_checkpoint(PASSIVE)")
        .and_then(|mut checkpoint| checkpoint.query_row((), |_| Ok(())));
}
