//! Sinks, as everyone outside reads them.

use musher_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Who is sent events, and whether that works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sink {
    /// Its name.
    pub name: String,
    /// `webhook` or `file`.
    pub kind: String,
    /// The file; of a webhook only the host, for the rest of its address may be a secret.
    pub to: String,
    /// Which events it is sent; none = all.
    pub kinds: Vec<String>,
    /// The missions whose events it is sent; none = all.
    pub missions: Vec<String>,
    /// `ok` or `failing`.
    pub state: String,
    /// Everything up to this place in the log is delivered, given up, or nothing that it wants.
    pub cursor: u64,
    /// How many events of the log it has not got past yet, whether it wants them or not.
    pub behind: u64,
    /// Since when nothing was delivered.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub failing_since: Option<Timestamp>,
    /// The event that it did not take last, by its place.
    pub event: Option<u64>,
    /// How often the delivery of that event was tried.
    pub attempts: u32,
    /// Why the last one failed.
    pub error: Option<String>,
    /// When the next one is made.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_try_at: Option<Timestamp>,
}

/// The sinks of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Sinks {
    /// By name.
    pub sinks: Vec<Sink>,
}

/// What came of a test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SinkTested {
    /// The sink.
    pub name: String,
    /// Whether it took the test.
    pub ok: bool,
    /// What it answered, or why it could not be asked.
    pub answer: String,
}
