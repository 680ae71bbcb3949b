//! The vendors' interfaces, told apart by the path.

use serde_json::Value;

use super::question::Question;
use super::reply::Reply;
use super::scenario::Refusal;
use super::stream::Step;
use super::{anthropic, chat, gemini, responses};

/// A wire format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    /// Anthropic messages.
    Anthropic,
    /// OpenAI chat completions.
    Chat,
    /// OpenAI responses.
    Responses,
    /// Gemini `generateContent` and `streamGenerateContent`.
    Gemini,
}

impl Api {
    /// The format that is spoken at this path.
    pub(crate) fn at(path: &str) -> Option<Self> {
        if path.ends_with("/messages") {
            Some(Self::Anthropic)
        } else if path.ends_with("/chat/completions") {
            Some(Self::Chat)
        } else if path.ends_with("/responses") {
            Some(Self::Responses)
        } else if path.ends_with(":generateContent") || path.ends_with(":streamGenerateContent") {
            Some(Self::Gemini)
        } else {
            None
        }
    }

    /// Reads a request.
    pub(crate) fn question(self, path: &str, body: &Value) -> Question {
        match self {
            Self::Anthropic => anthropic::question(body),
            Self::Chat => chat::question(body),
            Self::Responses => responses::question(body),
            Self::Gemini => gemini::question(path, body),
        }
    }

    /// The model that is asked for.
    pub(crate) fn model(self, path: &str, body: &Value) -> String {
        let in_path = || path.split_once("models/").and_then(|(_, rest)| rest.split_once(':')).map(|(model, _)| model);
        body["model"].as_str().or_else(in_path).unwrap_or("scripted").to_owned()
    }

    /// A whole answer in one document.
    pub(crate) fn document(self, reply: &Reply, model: &str) -> Value {
        match self {
            Self::Anthropic => anthropic::document(reply, model),
            Self::Chat => chat::document(reply, model),
            Self::Responses => responses::document(reply, model),
            Self::Gemini => gemini::document(reply, model),
        }
    }

    /// An answer as a stream.
    pub(crate) fn steps(self, reply: &Reply, model: &str) -> Vec<Step> {
        match self {
            Self::Anthropic => anthropic::steps(reply, model),
            Self::Chat => chat::steps(reply, model),
            Self::Responses => responses::steps(reply, model),
            Self::Gemini => gemini::steps(reply, model),
        }
    }

    /// The body of a refusal.
    pub(crate) fn refusal(self, refusal: Refusal, resets_at: Option<u64>) -> Value {
        match self {
            Self::Anthropic => anthropic::refusal(refusal),
            Self::Chat => chat::refusal(refusal),
            Self::Responses => responses::refusal(refusal, resets_at),
            Self::Gemini => gemini::refusal(refusal),
        }
    }

    /// The headers of an account that is used up until this moment.
    pub(crate) fn limits(self, resets_at: u64) -> Vec<(&'static str, String)> {
        match self {
            Self::Anthropic => anthropic::limits(resets_at),
            Self::Responses => responses::limits(resets_at),
            Self::Chat | Self::Gemini => Vec::new(),
        }
    }
}
