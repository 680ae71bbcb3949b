//! What can go wrong with durable state, why, and how to fix it.

use std::path::PathBuf;

use musher_core::time::Timestamp;

use crate::lease::Lease;

/// The error below, of a library whose types stay out of our signatures.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong while reading or writing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no room for what was to be written.
    #[error("the disk is full")]
    Full(#[source] Cause),
    /// The disk failed to read or write.
    #[error("the disk failed")]
    Disk(#[source] Cause),
    /// The file does not hold together any more.
    #[error("the database is damaged")]
    Damaged(#[source] Cause),
    /// Another program holds the database's write lock.
    #[error("another program is writing to the database")]
    Busy(#[source] Cause),
    /// The file or its folder may not be written to.
    #[error("the database cannot be written to")]
    ReadOnly(#[source] Cause),
    /// SQLite refused for a reason of its own.
    #[error("the database refused")]
    Sqlite(#[source] Cause),
    /// A row could not be turned into JSON.
    #[error("{what} cannot be written as JSON")]
    Encode {
        /// Which sort of row.
        what: &'static str,
        /// Why not.
        #[source]
        source: Cause,
    },
    /// A stored row could not be understood.
    #[error("a stored {what} cannot be read")]
    Decode {
        /// Which sort of row.
        what: &'static str,
        /// Why not.
        #[source]
        source: Cause,
    },
    /// A row or a text is longer than [`MAX_ROW_BYTES`](crate::store::MAX_ROW_BYTES).
    #[error("{what} has {bytes} bytes, more than a row may have")]
    TooLarge {
        /// Which sort of row.
        what: &'static str,
        /// Its length.
        bytes: usize,
    },
    /// The caller began a batch while one was open.
    #[error("a batch is open already")]
    BatchOpen,
    /// The caller wrote or committed without a batch.
    #[error("no batch is open")]
    NoBatch,
    /// A commit failed before, so nobody knows what is on disk until it is loaded again.
    #[error("a commit failed, and the state has not been loaded since")]
    Broken,
    /// Somebody else has taken the lease: this writer was paused for longer than it lasts.
    #[error("another musher has taken over{}; this one, of fence {fence}, writes nothing any more", taker(by.as_deref()))]
    Fenced {
        /// The fence that is stale.
        fence: u64,
        /// Who holds the lease now.
        by: Option<Box<Lease>>,
    },
    /// A test asked for this failure.
    #[error("this failure was asked for")]
    Injected,
}

impl StoreError {
    /// What a person can do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Full(_) => "free some space (`musher gc` removes what is not needed), then start musher again",
            Self::Disk(_) => "look at the kernel's log for errors of this disk; when it is sound, start musher again",
            Self::Damaged(_) => "`musher restore FILE` brings back a backup; keep the damaged file until it did",
            Self::Busy(_) => "close the other program (a SQL shell, a backup) that has the database open",
            Self::ReadOnly(_) => "make the data folder and its files writable for this user",
            Self::Sqlite(_) | Self::Encode { .. } => "this should not happen: please report it with the reason",
            Self::Decode { .. } => {
                "use the version of musher that wrote it, or a newer one; if the row was edited by hand, undo that"
            }
            Self::TooLarge { .. } => "split it into smaller parts",
            Self::BatchOpen | Self::NoBatch | Self::Injected => "this is a fault in musher: please report it",
            Self::Broken => "load the state again, or restart musher",
            Self::Fenced { .. } => "nothing is lost: the other one goes on where this one was; `musher status` asks it",
        }
    }

    pub(crate) fn decode(what: &'static str, source: impl Into<Cause>) -> Self {
        Self::Decode { what, source: source.into() }
    }

    pub(crate) fn encode(what: &'static str, source: impl Into<Cause>) -> Self {
        Self::Encode { what, source: source.into() }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as C;
        match error.sqlite_error_code() {
            Some(C::DiskFull) => Self::Full(error.into()),
            Some(C::SystemIoFailure) => Self::Disk(error.into()),
            Some(C::DatabaseCorrupt | C::NotADatabase) => Self::Damaged(error.into()),
            Some(C::DatabaseBusy | C::DatabaseLocked) => Self::Busy(error.into()),
            Some(C::ReadOnly | C::PermissionDenied | C::CannotOpen) => Self::ReadOnly(error.into()),
            // SQLite's list of codes is open: what has no sort of its own keeps its own words.
            _ => Self::Sqlite(error.into()),
        }
    }
}

/// Why a data folder could not be opened. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another daemon holds the folder's lock.
    #[error("`{}` is in use by {}", folder.display(), holder(*pid, node.as_deref(), *since))]
    Locked {
        /// The data folder.
        folder: PathBuf,
        /// The process that holds it; none when its lock file says nothing readable (it is starting just now).
        pid: Option<u32>,
        /// The machine that it runs on, as its lease says.
        node: Option<String>,
        /// Since when.
        since: Option<Timestamp>,
    },
    /// A newer musher wrote the database.
    #[error("`{}` was written by a newer musher: its schema is {found}, this one knows up to {known}", file.display())]
    Newer {
        /// The database.
        file: PathBuf,
        /// The schema that it has.
        found: u32,
        /// The newest schema that this program knows.
        known: u32,
    },
    /// The file is no database.
    #[error("`{}` is not a database", file.display())]
    NotADatabase {
        /// The file.
        file: PathBuf,
    },
    /// The file is a database of some other program.
    #[error("`{}` is a database, but not one of musher", file.display())]
    NotOurs {
        /// The file.
        file: PathBuf,
    },
    /// The folder may not be written to.
    #[error("`{}` cannot be written to", folder.display())]
    ReadOnly {
        /// The data folder.
        folder: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The folder, or a file in it, could not be read, made or written.
    #[error("`{}` could not be opened", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file system cannot hold a write-ahead log (shared memory is missing, as on a network drive).
    #[error("the file system of `{}` cannot hold a write-ahead log", folder.display())]
    NoWal {
        /// The data folder.
        folder: PathBuf,
    },
    /// The SQLite in use is too old.
    #[error("SQLite {found} is too old: before 3.53 it can corrupt a database when its log starts again")]
    OldSqlite {
        /// Its version.
        found: &'static str,
    },
    /// The database itself refused.
    #[error("`{}` could not be opened", file.display())]
    Store {
        /// The database.
        file: PathBuf,
        /// Why.
        #[source]
        source: StoreError,
    },
}

fn taker(by: Option<&Lease>) -> String {
    by.map(|by| format!(" (process {} on {}, fence {})", by.pid, by.node, by.fence)).unwrap_or_default()
}

fn holder(pid: Option<u32>, node: Option<&str>, since: Option<Timestamp>) -> String {
    let who = pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"));
    let place = node.map(|node| format!(" on {node}")).unwrap_or_default();
    let time = since.map(|at| format!(" since {at}")).unwrap_or_default();
    format!("{who}{place}{time}")
}

impl OpenError {
    /// What a person can do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Locked { .. } => {
                "`musher down` stops it, `musher up --wait` waits until it has ended; or use another folder"
            }
            Self::Newer { .. } => {
                "use that newer version of musher, or a backup from before the update (`musher restore FILE`)"
            }
            Self::NotADatabase { .. } | Self::NotOurs { .. } => {
                "move the file away, or use another folder; `musher restore FILE` brings back a backup"
            }
            Self::ReadOnly { .. } => "make the folder writable for this user, or use another folder",
            Self::Io { .. } => {
                "check that the folder exists, that its parent may be written to, and that the disk is sound"
            }
            Self::NoWal { .. } => "use a folder on a local disk",
            Self::OldSqlite { .. } => "use a build of musher with its own SQLite, which is the default",
            Self::Store { source, .. } => source.fix(),
        }
    }

    /// The same, with the machine of the process that holds the lock, if the lease is that one's.
    pub(crate) fn of_node(mut self, lease: &Lease) -> Self {
        if let Self::Locked { pid: Some(pid), node, .. } = &mut self
            && *pid == lease.pid
        {
            *node = Some(lease.node.clone());
        }
        self
    }

    pub(crate) fn io(path: &std::path::Path, source: std::io::Error) -> Self {
        use std::io::ErrorKind as K;
        match source.kind() {
            K::PermissionDenied | K::ReadOnlyFilesystem => {
                let folder = path.parent().filter(|_| !path.is_dir()).unwrap_or(path).to_owned();
                Self::ReadOnly { folder, source }
            }
            // The system's list of kinds is open.
            _ => Self::Io { path: path.to_owned(), source },
        }
    }
}
