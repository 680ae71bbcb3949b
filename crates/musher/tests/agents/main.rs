//! Real coding agents against a scripted model on loopback: no account, no network, no chance.
//!
//! `scripts/agents` installs them once. Without them each test says that it is skipped; `MUSHER_TEST_AGENTS=1` makes
//! that a failure, and `0` skips all. `MUSHER_TEST_AGENTS_DIR` names another folder than `target/agents/node_modules`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by its panic")]

#[path = "../cli/harness.rs"]
#[allow(dead_code, reason = "shared with the tests of the command line, which use all of it")]
mod harness;

#[macro_use]
mod each;

mod acp;
mod alone;
mod approval;
mod ending;
mod failure;
mod fixture;
mod install;
mod kind;
mod limit;
mod mission;
#[allow(dead_code, reason = "a model that can be asked more than today's tests ask")]
mod model;
mod planning;
mod recovery;
mod talk;
mod tools;
