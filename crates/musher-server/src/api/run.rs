//! Runs and what their agents said.

use musher_core::id::{ItemId, MissionId, RequestId, RunId};
use musher_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// What was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Usage {
    /// Tokens read, from a cache or not.
    pub input_tokens: u64,
    /// What of them came from a cache, as far as the agent told.
    #[serde(default)]
    pub cache_read_tokens: u64,
    /// What of them was put into a cache, as far as the agent told.
    #[serde(default)]
    pub cache_write_tokens: u64,
    /// Tokens written.
    pub output_tokens: u64,
    /// US dollars.
    pub cost_usd: f64,
}

/// One start of one agent for one item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Run {
    /// Its id; also the name of its folder.
    #[schema(value_type = String, format = "uuid")]
    pub id: RunId,
    /// The last eight digits of its id.
    pub short_id: String,
    /// Its mission.
    #[schema(value_type = String, format = "uuid")]
    pub mission: MissionId,
    /// Its item.
    #[schema(value_type = String, format = "uuid")]
    pub item: ItemId,
    /// The agent's name.
    pub agent: String,
    /// `work`, `resolve` or `review`.
    pub purpose: String,
    /// `starting`, `running` or `finished`.
    pub state: String,
    /// `finished`, `failed`, `rate_limited`, `session_lost`, `cancelled` or `lost`, once it is over.
    pub outcome: Option<String>,
    /// The sort of failure, for failures.
    pub class: Option<String>,
    /// The agent's closing words, or what went wrong; one line or more.
    pub message: Option<String>,
    /// Which attempt it was; the first is 1.
    pub attempt: u32,
    /// When it was assigned.
    #[schema(value_type = String, format = DateTime)]
    pub assigned_at: Timestamp,
    /// When its process started.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// When it was over.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
    /// When the agent was last heard.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_activity_at: Option<Timestamp>,
    /// What it has used so far.
    pub usage: Usage,
    /// How far it is, in its agent's own words.
    #[serde(default)]
    pub progress: Option<String>,
    /// What its agent says that it made, by path or address.
    #[serde(default)]
    pub artifacts: Vec<String>,
}

/// How a run's agent is spoken to: what whoever reads its transcript in words has to know.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Speech {
    /// The driver that speaks with it, such as `acp`: a driver's name, never a preset's.
    pub driver: String,
    /// The session of its program that it was told to go on in.
    pub session: Option<String>,
    /// The model that was wanted, where its program's own default was not.
    pub model: Option<String>,
    /// Whether musher is asked before a tool runs.
    pub asks: bool,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunDocument {
    /// The run.
    pub run: Run,
    /// How its agent is spoken to; none where it speaks no protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speech: Option<Speech>,
}

/// Which part of a transcript is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct LogQuery {
    /// Bytes that are skipped; 0 is the beginning.
    pub offset: u64,
    /// Whether the answer goes on until the run is over.
    pub follow: bool,
}

/// A line of a transcript.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// Its place in the transcript.
    #[serde(default)]
    pub seq: u64,
    /// When it was said, in RFC 3339.
    #[serde(default)]
    pub at: String,
    /// `stdout`, `stderr`, `stdin` for what the agent was told, or `host`.
    #[serde(default)]
    pub stream: String,
    /// What was said.
    #[serde(default)]
    pub text: String,
    /// The line was longer; the rest is not kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
    /// The key under which the agent was told it; only of what it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// A message for a running agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Message {
    /// The words.
    pub text: String,
    /// Whether its present turn is interrupted for it.
    pub now: bool,
}

/// The answer to what an agent asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Answered {
    /// The request.
    #[schema(value_type = String, format = "uuid")]
    pub request: RequestId,
    /// `allowed` or `denied`.
    pub ruled: String,
    /// What the agent wants to do, whole.
    pub action: String,
}

/// The answer to what an agent wants to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Replied {
    /// The request.
    #[schema(value_type = String, format = "uuid")]
    pub request: RequestId,
    /// What the agent asked.
    pub question: String,
}
