//! The live view of a mission: a tree of its items on a terminal, plain lines elsewhere.

pub(crate) mod follow;
mod paint;
mod plain;
mod plan;
mod tree;

pub(crate) use paint::Screen;
pub(crate) use plain::say;
pub(crate) use plan::plan_lines;
pub(crate) use tree::lines;
