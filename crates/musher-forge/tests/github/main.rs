//! The client against a GitHub on loopback, which checks every request against GitHub's published descriptions.
//!
//! `scripts/github` installs the descriptions once. Without them the tests say that they are skipped;
//! with `CI=true` or `MUSHER_TEST_GITHUB=1` they fail.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by its panic")]

mod bench;
mod driven;
mod faults;
mod lists;
mod merges;
mod pulls;
