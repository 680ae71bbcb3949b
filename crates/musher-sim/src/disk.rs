//! The disk of a night: the folder that a daemon opens again and again, and what a crash leaves of it.

use std::path::{Path, PathBuf};

use musher_core::time::Timestamp;
use musher_store::{LEASE_TTL, SqliteStore, Store};
use tempfile::TempDir;

use crate::failure::Broken;

/// A folder in memory where the machine has one, for the simulator waits for no disk.
pub fn fast_folder() -> PathBuf {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() }
}

/// The data folder of a night; a crash may move it to a copy.
#[derive(Debug)]
pub struct Disk {
    root: TempDir,
    generation: u32,
}

/// The log first: by the time the database is copied, whatever left the log is in it.
const FILES: [&str; 2] = ["musher.db-wal", "musher.db"];

impl Disk {
    /// A new, empty one.
    pub fn new() -> Result<Self, Broken> {
        let root =
            tempfile::Builder::new().prefix("musher-sim-").tempdir_in(fast_folder()).map_err(Broken::simulator)?;
        Ok(Self { root, generation: 0 })
    }

    fn folder(&self, generation: u32) -> PathBuf {
        self.root.path().join(generation.to_string())
    }

    /// Opens the store.
    pub fn open(&self, now: Timestamp) -> Result<Box<dyn Store>, Broken> {
        let store = SqliteStore::open(&self.folder(self.generation), now).map_err(|e| {
            Broken::safety(
                None,
                format!("the store does not open after a crash: {e}: {:?}", std::error::Error::source(&e)),
            )
        })?;
        Ok(Box::new(store))
    }

    /// Lets the lease of whoever holds the store lapse, as if its process had been stopped for longer than that lasts.
    pub fn let_lapse(&self) -> Result<(), Broken> {
        let file = self.folder(self.generation).join(FILES[1]);
        let late = i64::try_from(LEASE_TTL.as_micros()).map_err(Broken::simulator)? + 1;
        let sql = "UPDATE leases SET renews = 1, renewed = renewed - ?1";
        let lapsed = rusqlite::Connection::open(file).and_then(|conn| conn.execute(sql, [late]));
        lapsed.map(|_| ()).map_err(Broken::simulator)
    }

    /// Takes what is on disk at this very moment, as a power cut would leave it, while the store is still open.
    pub fn image(&self) -> Result<Image, Broken> {
        let folder = self.folder(self.generation);
        let mut files = Vec::new();
        for name in FILES {
            match std::fs::read(folder.join(name)) {
                Ok(bytes) => files.push((name, bytes)),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(Broken::simulator(e)),
            }
        }
        Ok(Image(files))
    }

    /// Goes on with an image; the store must have been dropped.
    pub fn restore(&mut self, image: &Image) -> Result<(), Broken> {
        let old = self.folder(self.generation);
        self.generation += 1;
        let new = self.folder(self.generation);
        std::fs::create_dir(&new).map_err(Broken::simulator)?;
        for (name, bytes) in &image.0 {
            std::fs::write(new.join(name), bytes).map_err(Broken::simulator)?;
        }
        std::fs::remove_dir_all(old).map_err(Broken::simulator)
    }
}

/// The bytes that a crash leaves.
#[derive(Clone, Debug)]
pub struct Image(Vec<(&'static str, Vec<u8>)>);
