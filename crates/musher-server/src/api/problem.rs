//! What went wrong, as RFC 9457 has it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A problem document (RFC 9457): what went wrong, why, and how to fix it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// A URI that names the sort of problem; `about:blank` says that the code and the status do.
    #[serde(rename = "type", default = "blank")]
    pub kind: String,
    /// The sort of problem in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The path that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// A stable word for scripts, such as `not_found`, `refused`, `invalid`, `ambiguous`, `worker_scope`.
    #[serde(default)]
    pub code: String,
    /// Why, where that is not obvious.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// How to fix it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
    /// What an ambiguous name may have meant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<String>,
}

fn blank() -> String {
    "about:blank".to_owned()
}

impl Problem {
    /// A problem of this status, with its code and what went wrong.
    pub fn new(status: u16, code: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            kind: blank(),
            title: title(status).to_owned(),
            status,
            detail: Some(detail.into()),
            instance: None,
            code: code.into(),
            why: None,
            fix: None,
            candidates: Vec::new(),
        }
    }

    /// Says why.
    #[must_use]
    pub fn why(mut self, why: impl Into<String>) -> Self {
        self.why = Some(why.into());
        self
    }

    /// Says how to fix it.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

/// A few words for each status that this API answers with.
fn title(status: u16) -> &'static str {
    match status {
        400 => "bad request",
        401 => "not authorised",
        403 => "forbidden",
        404 => "not found",
        405 => "method not allowed",
        409 => "refused",
        410 => "gone",
        413 => "too large",
        415 => "not JSON",
        422 => "invalid",
        503 => "unavailable",
        504 => "too slow",
        _ => "failed",
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.detail.as_deref().unwrap_or(&self.title))
    }
}

impl std::error::Error for Problem {}
