//! Durable state of musher behind one coarse trait.
//!
//! A [`Store`] writes what [`musher_core::step`] decided: changes, gathered into batches, a batch in one transaction.
//! A [`Reader`] answers everyone else and cannot hold the writer up. Neither decides anything, and neither knows what a
//! row means beyond the columns that it is found by.
//!
//! Open [`store`] first: the two traits and what they promise. [`SqliteStore`] keeps the promises on a disk (its tables
//! are `migrations/*.sql`), [`MemoryStore`] keeps them for tests and breaks them on request.

#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod error;
mod lease;
mod memory;
mod sqlite;
pub mod store;

pub use error::{OpenError, StoreError};
pub use lease::{LEASE_RENEWAL, LEASE_TTL, Lease, Work};
pub use memory::{Faults, MemoryDisk, MemoryStore};
pub use sqlite::{BackupError, Overwrite, RestoreError, SqliteStore, backup, restore};
pub use store::{By, EventFilter, HubCounts, HubFilter, Reader, Scope, Spent, SpentOn, Store};
