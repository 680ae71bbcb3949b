//! Configuration: `musher.toml`, the user's own file and `MUSHER_*` variables.
//!
//! [`parse`] reads a file and [`environment()`] the variables; each answers with a [`Layer`], in which everything may be
//! left open, or with every problem at once. [`Config::resolve`] lays the layers over each other, and what none of them
//! says gets its default. The keys, their defaults and their meaning stand in one table (`keys.rs`), from which the
//! reader, the nearest-name hints, [`reference()`] and [`schema()`] are made.

mod actions;
mod agents;
pub mod drivers;
mod environment;
mod forge;
pub(crate) mod key;
mod keys;
mod layer;
mod nesting;
mod placeholder;
mod price;
mod project;
mod quantity;
mod quota;
pub(crate) mod reader;
mod reference;
mod relay;
mod resolve;
mod schedules;
mod secret;
mod settings;
mod show;
mod sinks;
mod triggers;

pub use agents::{AgentConfig, AgentLimits};
pub use environment::environment;
pub use forge::ForgeConfig;
pub use layer::{Layer, ServerLayer, parse};
pub use placeholder::{PLACEHOLDERS, UnknownPlaceholder, expand};
pub use project::ProjectLayer;
pub(crate) use quantity::MOST_SECONDS;
pub use quantity::{seconds, show_seconds};
pub use reference::{reference, schema};
pub use relay::{HubConfig, RelayConfig, Unusable};
pub use resolve::{Config, ServerSettings};
pub use secret::SecretRef;
pub use settings::{CommitBy, MergeStyle, ProjectSettings};
pub(crate) use sinks::problem_of_url;
pub use sinks::{SinkConfig, SinkTo};

#[cfg(test)]
mod tests;
