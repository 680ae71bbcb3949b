//! Files that are there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The largest JSON file of a run folder that is read, in bytes. A command with a long prompt in it fits.
const MAX_JSON_BYTES: u64 = 64 << 20;

/// Whether a write must survive a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durable {
    /// It must: the file and its name are synced.
    Yes,
    /// It means nothing after a power cut.
    No,
}

/// Writes a file for its owner only; a reader sees the old one or the new one.
pub(crate) fn write_atomically(path: &Path, content: &[u8], durable: Durable) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(content)?;
    if durable == Durable::Yes {
        file.sync_all()?;
    }
    fs::rename(&new, path)?;
    if durable == Durable::Yes {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

/// Writes a value as JSON, atomically.
pub(crate) fn write_json(path: &Path, value: &impl Serialize, durable: Durable) -> io::Result<()> {
    write_atomically(path, &serde_json::to_vec(value)?, durable)
}

/// Whether the system said that the disk, or the user's share of it, is full.
pub(crate) fn is_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Reads a JSON file; none if there is no such file.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut content = Vec::new();
    file.take(MAX_JSON_BYTES).read_to_end(&mut content)?;
    Ok(Some(serde_json::from_slice(&content)?))
}
