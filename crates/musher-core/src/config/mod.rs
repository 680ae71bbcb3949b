//! Placeholder while the parser is written.
mod settings;
pub use settings::{CommitBy, MergeStyle, ProjectSettings};
