//! The binary as a user meets it: real git, real SQLite, real processes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by its panic")]

mod accounts;
mod agent_restart;
mod agents;
mod bad_input;
mod comments;
mod desktop;
mod forge;
mod harness;
mod hosts;
mod hub;
mod kill;
mod kill_merges;
mod lease;
mod mission;
mod nodes;
mod operate;
mod orphans;
mod planning;
mod quotas;
mod sandbox;
mod schedules;
mod service;
mod sinks;
mod spoken;
mod tools;
mod triggers;
mod watches;
mod webhooks;
mod weights;
mod workflow;
