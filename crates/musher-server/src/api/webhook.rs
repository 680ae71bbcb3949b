//! Webhooks of the forge, as they are answered.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What became of a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookHeard {
    /// Its id, as the forge gave it.
    pub delivery: String,
    /// `taken`: somebody looks; `known`: it was taken before; `unwatched`: nobody watches what it is about; `ignored`: it
    /// is not about the project's repository.
    pub result: String,
    /// Why it was ignored.
    pub why: Option<String>,
}
