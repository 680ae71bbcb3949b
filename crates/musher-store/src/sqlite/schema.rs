//! The schema: which one a file has, and how it becomes the newest.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use musher_core::time::Timestamp;
use rusqlite::{Connection, OpenFlags};

use crate::{OpenError, StoreError};

/// "mush": says in the file's header whose it is, for `file(1)` and for us.
const APPLICATION_ID: u32 = 0x6d75_7368;

/// Every schema change, oldest first; the n-th leads to schema n. A released one is never edited.
const MIGRATIONS: [&str; 11] = [
    include_str!("../../migrations/0001_first.sql"),
    include_str!("../../migrations/0002_sinks.sql"),
    include_str!("../../migrations/0003_quotas.sql"),
    include_str!("../../migrations/0004_nodes.sql"),
    include_str!("../../migrations/0005_watches.sql"),
    include_str!("../../migrations/0006_queue.sql"),
    include_str!("../../migrations/0007_webhooks.sql"),
    include_str!("../../migrations/0008_leases.sql"),
    include_str!("../../migrations/0009_schedules.sql"),
    include_str!("../../migrations/0010_triggers.sql"),
    include_str!("../../migrations/0011_hub.sql"),
];

/// The newest schema that this program knows.
pub(super) const KNOWN: u32 = MIGRATIONS.len() as u32;

/// The oldest SQLite without the bug that corrupts a database when its write-ahead log starts again.
const OLDEST_SQLITE: i32 = 3_053_000;

/// The writer's page cache.
pub(super) const CACHE_KIB: u32 = 8 << 10;

/// How long a statement waits for another program's lock (someone's SQL shell).
const BUSY_MS: u32 = 5_000;

/// What is in the place of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing yet, or what a crash left of the first moment.
    Nothing,
    /// A database of ours, of this schema, which this program knows.
    Schema(u32),
}

pub(super) fn check_library() -> Result<(), OpenError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        return Err(OpenError::OldSqlite { found: rusqlite::version() });
    }
    Ok(())
}

/// Looks at the file without changing a byte of it, or of its log.
pub(super) fn inspect(file: &Path) -> Result<Found, OpenError> {
    let Some(header) = read_header(file)? else { return Ok(Found::Nothing) };
    if !header.starts_with(b"SQLite format 3\0") || header.len() < 100 {
        return Err(OpenError::NotADatabase { file: file.to_owned() });
    }
    // A log beside the file may hold a newer first page than the file itself.
    let in_log = std::fs::metadata(beside(file, "-wal")).is_ok_and(|log| log.len() > 0);
    let (schema, application) = (word(&header, 60), word(&header, 68));
    let (schema, application, empty) = if in_log || application == 0 {
        look_inside(file).map_err(|e| OpenError::Store { file: file.to_owned(), source: e.into() })?
    } else {
        (schema, application, false)
    };
    if empty && schema == 0 && application == 0 {
        return Ok(Found::Nothing);
    }
    if application != APPLICATION_ID {
        return Err(OpenError::NotOurs { file: file.to_owned() });
    }
    if schema > KNOWN {
        return Err(OpenError::Newer { file: file.to_owned(), found: schema, known: KNOWN });
    }
    Ok(Found::Schema(schema))
}

/// Opens the writing connection.
pub(super) fn connect(file: &Path, found: Found) -> Result<Connection, OpenError> {
    // SQLite gives its log and shared memory the mode of the database.
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(file)
        .map_err(|e| OpenError::io(file, e))?;
    let failed = |e: rusqlite::Error| OpenError::Store { file: file.to_owned(), source: e.into() };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(file, flags).map_err(failed)?;
    conn.set_prepared_statement_cache_capacity(64);
    // Items are some 700 bytes: with the default of 4 KiB five would fit a page, and the tree would be deep.
    if found == Found::Nothing {
        conn.execute_batch("PRAGMA page_size = 8192").map_err(failed)?;
    }
    common_pragmas(&conn, CACHE_KIB).map_err(failed)?;
    let mode: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(failed)?;
    if mode != "wal" {
        let folder = file.parent().unwrap_or(file).to_owned();
        return Err(OpenError::NoWal { folder });
    }
    // Checkpoints have a thread of their own. The log's file shrinks to the limit when it starts again.
    conn.execute_batch(
        "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA foreign_keys = OFF;
         PRAGMA wal_autocheckpoint = 0; PRAGMA journal_size_limit = 67108864;",
    )
    .map_err(failed)?;
    Ok(conn)
}

/// What every connection of ours says first; the page cache is given in KiB.
pub(super) fn common_pragmas(conn: &Connection, cache_kib: u32) -> Result<(), rusqlite::Error> {
    conn.execute_batch(&format!(
        "PRAGMA busy_timeout = {BUSY_MS}; PRAGMA cache_size = -{cache_kib}; PRAGMA temp_store = MEMORY;
         PRAGMA trusted_schema = OFF;"
    ))
}

/// Brings the schema up to date, a transaction a step.
pub(super) fn migrate(conn: &mut Connection, found: Found, now: Timestamp) -> Result<(), StoreError> {
    let from = match found {
        Found::Nothing => 0,
        Found::Schema(schema) => schema,
    };
    for (to, sql) in (1..).zip(MIGRATIONS).skip(from as usize) {
        let step = conn.transaction()?;
        step.execute_batch(sql)?;
        step.execute("INSERT INTO meta (key, value) VALUES (?1, ?2)", (format!("schema_{to}_at"), now.to_string()))?;
        step.execute_batch(&format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {to};"))?;
        step.commit()?;
    }
    Ok(())
}

/// The name of a file that SQLite keeps beside the database.
pub(super) fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The first 100 bytes, or fewer when there are no more; none when the file is missing or empty.
fn read_header(file: &Path) -> Result<Option<Vec<u8>>, OpenError> {
    let open = match File::open(file) {
        Ok(open) => open,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(OpenError::io(file, e)),
    };
    let mut header = Vec::with_capacity(100);
    open.take(100).read_to_end(&mut header).map_err(|e| OpenError::io(file, e))?;
    Ok((!header.is_empty()).then_some(header))
}

fn word(header: &[u8], at: usize) -> u32 {
    header[at..at + 4].iter().fold(0, |word, byte| (word << 8) | u32::from(*byte))
}

/// Schema, application and whether there is no table, as a connection sees them that cannot write.
fn look_inside(file: &Path) -> Result<(u32, u32, bool), rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(file, flags)?;
    let number = |sql| conn.query_row(sql, [], |row| row.get::<_, u32>(0));
    Ok((
        number("PRAGMA user_version")?,
        number("PRAGMA application_id")?,
        number("SELECT count(*) FROM sqlite_schema")? == 0,
    ))
}
