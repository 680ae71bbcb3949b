//! The rules, held by driving `step` and the agenda as the engine does, with scripted drivers and a clock of its own.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod by_the_book;
mod stored;
mod world;

mod agents;
mod approvals;
mod archive;
mod at_random;
mod batches;
mod explain;
mod fencing;
mod helping;
mod items;
mod limits;
mod merging;
mod missions;
mod nodes;
mod notes;
mod order;
mod planning;
mod pulls;
mod quotas;
mod quotas_at_random;
mod retries;
mod reviewing;
mod routing;
mod routing_at_random;
mod schedules;
mod sharing;
mod sinks;
mod sinks_at_random;
mod tools;
mod verification;
mod watches;
mod worktrees;
