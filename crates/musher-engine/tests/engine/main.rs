//! The engine on the real store, with drivers that answer only what the test says.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by its panic")]

mod racing;
mod retries;
mod watchdog;
mod world;
