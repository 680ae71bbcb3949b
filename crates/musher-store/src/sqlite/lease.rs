//! The lease in the database: a row that names its holder, with a fence that every write looks at.
//!
//! Two things say that a holder lives. The folder's lock says that its process does; the kernel takes it back with the
//! process. The row says that the process goes on: one that was stopped (SIGSTOP, a debugger) keeps its lock, and yet does
//! not renew its lease. Time is that of the machine's monotonic clock: it is the same for all processes, nobody can set it,
//! and it stands still while the machine sleeps, for then the holder has slept no longer than whoever wants its place. After
//! a restart of the machine it begins anew, so a row of another start is not judged by it.

use std::path::Path;
use std::time::Duration;

use musher_core::time::Timestamp;
use nix::time::{ClockId, clock_gettime};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::lock::{FolderLock, is_alive};
use crate::lease::{LEASE_RENEWAL, LEASE_TTL, Lease, Work};
use crate::{OpenError, StoreError};

/// The name of the one row.
const NAME: &str = "workspace";

/// A process: a pid is given again, so its beginning belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Holder {
    node: String,
    boot: String,
    pid: u32,
    started: i64,
}

impl Holder {
    fn this() -> Self {
        let pid = std::process::id();
        Self { node: node(), boot: boot(), pid, started: process(pid).map_or(0, |process| process.started) }
    }

    /// Whether it runs on this machine, and what it does; none when it is gone, or when nobody here can say.
    fn here(&self) -> Option<Process> {
        if self.node != node() || self.boot != boot() || !is_alive(self.pid) {
            return None;
        }
        let found = process(self.pid).unwrap_or(Process { started: 0, is_stopped: false });
        (found.started == self.started).then_some(found)
    }
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    epoch: u64,
    holder: Holder,
    since: Timestamp,
    renewed: i64,
    work: Work,
}

impl Row {
    fn lease(&self) -> Lease {
        let left = (self.work == Work::UnderWay).then(|| LEASE_TTL.saturating_sub(self.age()));
        Lease { node: self.holder.node.clone(), pid: self.holder.pid, since: self.since, fence: self.epoch, left }
    }

    fn age(&self) -> Duration {
        Duration::from_micros(u64::try_from(monotonic().saturating_sub(self.renewed)).unwrap_or(0))
    }

    /// Whether its holder was paused for longer than the lease. One without work does not renew: it has let go of nothing
    /// as long as it runs.
    fn has_lapsed(&self) -> bool {
        let Some(process) = self.holder.here() else { return false };
        self.age() > LEASE_TTL && (self.work == Work::UnderWay || process.is_stopped)
    }
}

/// A lease that is ours until somebody else has taken it.
#[derive(Debug)]
pub(super) struct Held {
    row: Row,
    /// Whose place we have taken, if it was not empty.
    pub(super) before: Option<Lease>,
}

impl Held {
    /// Takes the lease of a folder whose lock we have: whoever had it is gone.
    pub(super) fn take(conn: &mut Connection, now: Timestamp) -> Result<Self, StoreError> {
        let taken = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let held = Self { row: put(&taken, now)?, before: None };
        taken.commit()?;
        Ok(held)
    }

    /// Takes the lease of a folder whose lock somebody else has, if that one was paused for longer than its lease; and the
    /// place of its lock, so that whoever comes later asks us.
    pub(super) fn take_over(
        conn: &mut Connection,
        folder: &Path,
        now: Timestamp,
    ) -> Result<Option<(Self, FolderLock)>, OpenError> {
        let failed = |source: StoreError| OpenError::Store { file: folder.to_owned(), source };
        let tried = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(|e| failed(e.into()))?;
        let Some(row) = read(&tried).map_err(failed)?.filter(Row::has_lapsed) else { return Ok(None) };
        let Some(lock) = FolderLock::replace(folder, row.holder.pid, now)? else { return Ok(None) };
        let held = Self { row: put(&tried, now).map_err(failed)?, before: Some(row.lease()) };
        tried.commit().map_err(|e| failed(e.into()))?;
        Ok(Some((held, lock)))
    }

    /// Who holds the lease: us.
    pub(super) fn lease(&self) -> Lease {
        self.row.lease()
    }

    /// Refuses when somebody else has taken the lease. In the transaction of a write nobody can take it any more.
    pub(super) fn check(&self, conn: &Connection) -> Result<(), StoreError> {
        let epoch: i64 =
            conn.prepare_cached("SELECT epoch FROM leases WHERE name = ?1")?.query_row((NAME,), |row| row.get(0))?;
        if u64::try_from(epoch) == Ok(self.row.epoch) { Ok(()) } else { Err(self.fenced(conn)) }
    }

    fn fenced(&self, conn: &Connection) -> StoreError {
        let by = read(conn).ok().flatten().map(|row| Box::new(row.lease()));
        StoreError::Fenced { fence: self.row.epoch, by }
    }

    /// Renews the lease when it is time. Answers when it is time again, unless nothing is under way.
    pub(super) fn keep(&mut self, conn: &mut Connection, work: Work) -> Result<Option<Duration>, StoreError> {
        let begins = work == Work::UnderWay && self.row.work == Work::None;
        let is_due = self.row.work == Work::UnderWay && self.row.age() >= LEASE_RENEWAL;
        if begins || is_due {
            let renewed = monotonic();
            let write = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            self.check(&write)?;
            write.execute(
                "UPDATE leases SET renewed = ?1, renews = ?2 WHERE name = ?3",
                (renewed, work == Work::UnderWay, NAME),
            )?;
            write.commit()?;
            (self.row.renewed, self.row.work) = (renewed, work);
        }
        Ok((self.row.work == Work::UnderWay).then(|| LEASE_RENEWAL.saturating_sub(self.row.age())))
    }
}

/// Whoever holds the lease of a database, seen from outside.
#[derive(Debug)]
pub(super) struct Holding {
    pub(super) lease: Lease,
    /// It was paused for longer than its lease lasts.
    pub(super) has_lapsed: bool,
}

/// Looks who holds the lease, and changes nothing.
pub(super) fn holder(conn: &Connection) -> Option<Holding> {
    let row = read(conn).ok().flatten()?;
    Some(Holding { lease: row.lease(), has_lapsed: row.has_lapsed() })
}

fn read(conn: &Connection) -> Result<Option<Row>, StoreError> {
    let found = conn
        .prepare_cached("SELECT epoch, node, boot, pid, started, since, renewed, renews FROM leases WHERE name = ?1")?
        .query_row((NAME,), |row| {
            let since: String = row.get(5)?;
            let holder = Holder { node: row.get(1)?, boot: row.get(2)?, pid: row.get(3)?, started: row.get(4)? };
            Ok(Row {
                epoch: row.get::<_, i64>(0)?.unsigned_abs(),
                holder,
                since: since.parse().unwrap_or_default(),
                renewed: row.get(6)?,
                work: if row.get(7)? { Work::UnderWay } else { Work::None },
            })
        })
        .optional()?;
    Ok(found)
}

/// Makes the lease ours, with a fence that is one more than any before.
fn put(conn: &Connection, now: Timestamp) -> Result<Row, StoreError> {
    let holder = Holder::this();
    let renewed = monotonic();
    let epoch: i64 = conn.query_row(
        "INSERT INTO leases (name, epoch, node, boot, pid, started, since, renewed, renews)
         VALUES (?1, 1, ?2, ?3, ?4, ?5, ?6, ?7, 0)
         ON CONFLICT (name) DO UPDATE SET epoch = epoch + 1, node = excluded.node, boot = excluded.boot,
             pid = excluded.pid, started = excluded.started, since = excluded.since, renewed = excluded.renewed,
             renews = excluded.renews
         RETURNING epoch",
        (NAME, &holder.node, &holder.boot, holder.pid, holder.started, now.to_string(), renewed),
        |row| row.get(0),
    )?;
    Ok(Row { epoch: epoch.unsigned_abs(), holder, since: now, renewed, work: Work::None })
}

/// The machine's monotonic clock, in microseconds.
fn monotonic() -> i64 {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(0, |at| at.tv_sec() * 1_000_000 + at.tv_nsec() / 1_000)
}

/// The machine's name.
fn node() -> String {
    first_line("/proc/sys/kernel/hostname").unwrap_or_else(|| "local".to_owned())
}

/// Which start of the machine this is; nothing where the system does not tell.
fn boot() -> String {
    first_line("/proc/sys/kernel/random/boot_id").unwrap_or_default()
}

fn first_line(file: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
}

/// What the system tells of a process.
#[derive(Clone, Copy, Debug)]
struct Process {
    /// When it began, as the system counts.
    started: i64,
    /// It was stopped by a signal or a debugger.
    is_stopped: bool,
}

/// Nothing where the system does not tell, as elsewhere than on Linux.
fn process(pid: u32) -> Option<Process> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name stands in parentheses, and may hold any sign.
    let (_, after) = stat.rsplit_once(')')?;
    let mut words = after.split_whitespace();
    let is_stopped = matches!(words.next()?, "T" | "t");
    Some(Process { started: words.nth(18)?.parse().ok()?, is_stopped })
}
