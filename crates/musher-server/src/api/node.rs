//! Nodes.

use musher_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A machine that agents' programs work on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentNode {
    /// Its name, as its agents' definitions have it.
    pub name: String,
    /// `online` or `offline`.
    pub status: String,
    /// When it was heard last; none = never.
    #[schema(value_type = Option<String>, format = "date-time")]
    pub heartbeat: Option<Timestamp>,
    /// Seconds for which a heartbeat counts.
    pub ttl_secs: u64,
    /// The names of its agents.
    pub agents: Vec<String>,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentNodeDocument {
    /// The node.
    pub node: AgentNode,
}

/// The nodes that agents name, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AgentNodes {
    /// The nodes.
    pub nodes: Vec<AgentNode>,
}
