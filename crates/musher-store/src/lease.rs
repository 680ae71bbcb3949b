//! The lease of a workspace: who may write to it, and until when.

use std::time::Duration;

use musher_core::time::Timestamp;

/// How long a lease lasts that is not renewed.
pub const LEASE_TTL: Duration = Duration::from_secs(90);

/// After so long a lease is renewed: a third of what it lasts.
pub const LEASE_RENEWAL: Duration = Duration::from_secs(30);

/// Who holds a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The machine.
    pub node: String,
    /// The process.
    pub pid: u32,
    /// Since when.
    pub since: Timestamp,
    /// The fence: one more each time that somebody takes the lease. Whoever has an older one writes nothing.
    pub fence: u64,
    /// How long it lasts unless it is renewed; none while nothing is under way: then it lasts as long as its process runs.
    pub left: Option<Duration>,
}

/// Whether the holder has work under way, for which it renews its lease by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// It has.
    UnderWay,
    /// It has none: nothing has to wake it.
    None,
}
