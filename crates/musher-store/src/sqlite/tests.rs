use tempfile::TempDir;

use crate::SqliteStore;
use crate::conformance::{Fixture, check_all, sample};
use crate::store::Store;

mod crash;
mod files;
mod leases;
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

    /// As if the holder had had work under way and been stopped since.
    fn let_lapse(&self) {
        let Ok(conn) = rusqlite::Connection::open(self.path("musher.db")) else { return };
        // An empty folder has no lease that could lapse.
        let _ = conn.execute_batch("UPDATE leases SET renews = 1, renewed = renewed - 90000001");
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }
}

impl Fixture for Folder {
    fn open(&self) -> Box<dyn Store> {
        Box::new(self.store())
    }

    fn rival(&self) -> Box<dyn Store> {
        self.let_lapse();
        Box::new(self.store())
    }
}

#[test]
fn sqlite_keeps_every_promise() {
    check_all(Folder::new);
}
