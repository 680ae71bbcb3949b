use tempfile::TempDir;

use crate::SqliteStore;
use crate::conformance::{Fixture, check_all, sample};
use crate::store::Store;

mod crash;
mod files;
mod model;
mod opening;

/// A data folder that goes with the test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn store(&self) -> SqliteStore {
        SqliteStore::open(self.0.path(), sample::NOW).unwrap()
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }
}

impl Fixture for Folder {
    fn open(&self) -> Box<dyn Store> {
        Box::new(self.store())
    }
}

#[test]
fn sqlite_keeps_every_promise() {
    check_all(Folder::new);
}
