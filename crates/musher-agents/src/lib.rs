//! Drives coding agents from the outside.
//!
//! An agent is never a child that dies with the daemon. A small process of its own, the run host, starts it, writes down
//! what it says, enforces its limits and ends its whole process tree; the daemon only reads along. So a daemon may be
//! killed, upgraded and started again: it goes on reading where it stopped, and nothing runs twice.
//!
//! Open first: [`host`] for the process beside the agent, [`supervise`] for the daemon's side of it, [`command`] for the
//! driver that runs any program, [`slots`] for what keeps two runs out of each other's ports.
//!
//! This crate decides nothing: what an end means for an item is said elsewhere.

// A host's log may lie on a full disk, and the macros panic where they cannot write.
#![deny(clippy::print_stderr, clippy::print_stdout)]

pub mod command;
pub mod driver;
pub mod host;
pub mod probe;
pub mod protocol;
pub mod slots;
pub mod supervise;
mod sys;

pub use sys::Identity;
