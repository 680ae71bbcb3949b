//! Copies of the database: out of a data folder, and into one.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use musher_core::time::Timestamp;
use rusqlite::{Connection, OpenFlags};

use super::lock::{FolderLock, make_folder};
use super::schema::{self, Found, beside};
use super::{FILE, OpenError};
use crate::StoreError;

/// Whether a database that is in the way may be put aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// No: refuse.
    Refuse,
    /// Yes: it stays in the folder under another name.
    PutAside,
}

/// Why no backup was made. No file of the wanted name was made or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// There is a file of that name.
    #[error("`{}` exists already", to.display())]
    Exists {
        /// The file.
        to: PathBuf,
    },
    /// There is nothing to back up.
    #[error("there is no musher database at `{}`", file.display())]
    Nothing {
        /// Where it should be.
        file: PathBuf,
    },
    /// The copy could not be written.
    #[error("`{}` could not be written", to.display())]
    Io {
        /// The file.
        to: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The database could not be read, or the copy not be made.
    #[error("the database could not be copied")]
    Store(#[source] StoreError),
}

impl BackupError {
    /// What a person can do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Exists { .. } => "name a file that does not exist",
            Self::Nothing { .. } => "name the data folder with `--store`",
            Self::Io { .. } => "name a file in a folder that may be written to, on a disk with enough room",
            Self::Store(source) => source.fix(),
        }
    }
}

/// Why a backup was not restored. The folder's database is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The folder has a database.
    #[error("`{}` exists already", file.display())]
    Exists {
        /// The database that is in the way.
        file: PathBuf,
    },
    /// The backup is missing.
    #[error("there is no backup at `{}`", from.display())]
    Nothing {
        /// Where it should be.
        from: PathBuf,
    },
    /// The backup does not hold together.
    #[error("`{}` is damaged: {first}", from.display())]
    Damaged {
        /// The backup.
        from: PathBuf,
        /// The first thing that is wrong with it.
        first: String,
    },
    /// The backup is no database that this program knows, or the folder could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The copy could not be made.
    #[error("the backup could not be copied")]
    Copy(#[from] BackupError),
    /// The copy could not be put in its place.
    #[error("`{}` could not be put in its place", file.display())]
    Io {
        /// The database's place.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl RestoreError {
    /// What a person can do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Exists { .. } => {
                "restore into another folder, or add `--force`: the present database is put aside, not deleted"
            }
            Self::Nothing { .. } => "check the file's name",
            Self::Damaged { .. } => "use an older backup",
            Self::Open(source) => source.fix(),
            Self::Copy(source) => source.fix(),
            Self::Io { .. } => "make the folder writable for this user, and see that the disk has room",
        }
    }
}

/// Copies the database of a data folder to a new file; a running daemon is not held up.
///
/// The copy holds what was committed when it began, appears whole or not at all, and is on disk when this returns.
pub fn backup(folder: &Path, to: &Path) -> Result<(), BackupError> {
    copy(&folder.join(FILE), to)
}

/// Puts a backup in the place of a data folder's database. No daemon may have the folder open.
///
/// The backup is checked from end to end first. A database that it replaces stays in the folder, as
/// `musher.db.before-<microseconds>`.
pub fn restore(from: &Path, folder: &Path, overwrite: Overwrite, now: Timestamp) -> Result<(), RestoreError> {
    if !from.is_file() {
        return Err(RestoreError::Nothing { from: from.to_owned() });
    }
    check(from)?;
    make_folder(folder)?;
    let _lock = FolderLock::take(folder, now)?;
    let file = folder.join(FILE);
    let taken = file.try_exists().map_err(|source| RestoreError::Io { file: file.clone(), source })?;
    if taken && overwrite == Overwrite::Refuse {
        return Err(RestoreError::Exists { file });
    }
    let new = folder.join("musher.db.restored");
    remove(&new).map_err(|source| RestoreError::Io { file: new.clone(), source })?;
    copy(from, &new)?;
    let placed = put_aside(&file, taken, now).and_then(|()| {
        std::fs::rename(&new, &file)?;
        sync_folder_of(&file)
    });
    placed.map_err(|source| RestoreError::Io { file, source })
}

/// Refuses what is no sound database of ours.
fn check(from: &Path) -> Result<(), RestoreError> {
    if schema::inspect(from)? == Found::Nothing {
        return Err(OpenError::NotADatabase { file: from.to_owned() }.into());
    }
    let sound = open_for_copy(from)
        .and_then(|conn| conn.query_row("PRAGMA integrity_check(1)", (), |row| row.get::<_, String>(0)));
    match sound {
        Ok(word) if word == "ok" => Ok(()),
        Ok(first) => Err(RestoreError::Damaged { from: from.to_owned(), first }),
        Err(e) => Err(RestoreError::Damaged { from: from.to_owned(), first: e.to_string() }),
    }
}

/// Gives the present database another name, with its log: a log must never meet a database that it is not of.
fn put_aside(file: &Path, taken: bool, now: Timestamp) -> io::Result<()> {
    let aside = beside(file, &format!(".before-{}", now.as_micros()));
    if taken {
        // When it can still be opened its log is moved into it, and there is nothing but one file to rename.
        if let Ok(conn) = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE) {
            let _ = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()));
        }
        rename_if_there(file, &aside)?;
    }
    rename_if_there(&beside(file, "-wal"), &beside(&aside, "-wal"))?;
    remove(&beside(file, "-shm"))
}

pub(super) fn copy(file: &Path, to: &Path) -> Result<(), BackupError> {
    let io = |source| BackupError::Io { to: to.to_owned(), source };
    if !file.is_file() {
        return Err(BackupError::Nothing { file: file.to_owned() });
    }
    if std::fs::symlink_metadata(to).is_ok() {
        return Err(BackupError::Exists { to: to.to_owned() });
    }
    let draft = beside(to, &format!(".draft-{}", std::process::id()));
    remove(&draft).map_err(io)?;
    // SQLite would make it with the usual mode; it takes an empty file as well.
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(io)?;
    let made = write_copy(file, &draft).map_err(|e| BackupError::Store(e.into())).and_then(|()| publish(&draft, to));
    if made.is_err() {
        // The first error is the one to tell.
        let _ = remove(&draft);
    }
    made
}

fn write_copy(file: &Path, draft: &Path) -> Result<(), rusqlite::Error> {
    let conn = open_for_copy(file)?;
    let name = draft.to_str().ok_or_else(|| rusqlite::Error::InvalidPath(draft.to_owned()))?;
    conn.execute("VACUUM INTO ?1", (name,))?;
    Ok(())
}

fn open_for_copy(file: &Path) -> Result<Connection, rusqlite::Error> {
    let conn = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    schema::common_pragmas(&conn, 2 << 10)?;
    Ok(conn)
}

/// Gives the finished draft its name. A link, unlike a rename, never replaces what came there meanwhile.
fn publish(draft: &Path, to: &Path) -> Result<(), BackupError> {
    let io = |source| BackupError::Io { to: to.to_owned(), source };
    File::open(draft).and_then(|file| file.sync_all()).map_err(io)?;
    match std::fs::hard_link(draft, to) {
        Ok(()) => remove(draft).map_err(io)?,
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
            return Err(BackupError::Exists { to: to.to_owned() });
        }
        // Not every file system has links.
        Err(_) => std::fs::rename(draft, to).map_err(io)?,
    }
    sync_folder_of(to).map_err(io)
}

fn sync_folder_of(file: &Path) -> io::Result<()> {
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

fn remove(file: &Path) -> io::Result<()> {
    there(std::fs::remove_file(file))
}

fn rename_if_there(from: &Path, to: &Path) -> io::Result<()> {
    there(std::fs::rename(from, to))
}

fn there(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(()) | Err(_) => result,
    }
}
