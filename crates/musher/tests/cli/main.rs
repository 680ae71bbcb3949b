//! The binary as a user meets it: real git, real SQLite, real processes.

mod agents;
mod bad_input;
mod harness;
mod kill;
mod mission;
mod operate;
