//! The live view of a mission: a tree of its items on a terminal, plain lines elsewhere.

mod batch;
pub(crate) mod follow;
mod overview;
mod paint;
mod plain;
mod plan;
mod tree;
mod waits;

pub(crate) use batch::{batch_lines, past_lines};
pub(crate) use overview::overview;
pub(crate) use paint::Screen;
pub(crate) use plain::say;
pub(crate) use plan::plan_lines;
pub(crate) use tree::lines;
