//! What is durable of the merge queue beyond the items' own rows: the batch under way, and what is counted.

use serde::{Deserialize, Serialize};

use super::batch::Batch;

/// The row of the merge queue: a repository has one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeQueue {
    /// The batch under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// How many batches were ever begun.
    #[serde(default)]
    pub batches: u64,
    /// How many trees of batches were red in one run of the gate and green in the next.
    #[serde(default)]
    pub flaky: u64,
}
