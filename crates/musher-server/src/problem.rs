//! Every error becomes a problem document here, and nowhere else.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use musher_core::command::Refused;
use musher_engine::EngineError;
use musher_store::{BackupError, StoreError};

use crate::api::Problem;

/// The media type of a problem document.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let text = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = status;
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        response.extensions_mut().insert(self);
        response
    }
}

/// An engine's error.
pub(crate) fn of_engine(error: EngineError) -> Problem {
    let fix = error.fix();
    let detail = error.to_string();
    let mut problem = match error {
        EngineError::Refused(refused) => return of_refusal(&refused),
        EngineError::Unwritten { detail: why } => Problem::new(503, "unwritten", detail).why(why),
        EngineError::Defect { .. } => Problem::new(500, "defect", detail),
        EngineError::Stopped => Problem::new(503, "stopping", detail),
    };
    problem.fix = fix;
    problem
}

/// A refusal of the rules.
pub(crate) fn of_refusal(refused: &Refused) -> Problem {
    let status = match refused {
        Refused::NotFound { .. } => 404,
        Refused::State { .. } | Refused::Conflict { .. } | Refused::Stale { .. } => 409,
        Refused::Invalid { .. } => 422,
    };
    Problem { fix: refused.fix(), ..Problem::new(status, refused.code(), refused.to_string()) }
}

/// A store's error, met while reading.
pub(crate) fn of_store(error: &StoreError) -> Problem {
    with_causes(Problem::new(503, "unreadable", error.to_string()), error).fix(error.fix())
}

/// A backup that was not made.
pub(crate) fn of_backup(error: &BackupError) -> Problem {
    let status = match error {
        BackupError::Exists { .. } => 409,
        _ => 503,
    };
    with_causes(Problem::new(status, "no_backup", error.to_string()), error).fix(error.fix())
}

/// Says why, by the error's causes.
fn with_causes(mut problem: Problem, error: &dyn std::error::Error) -> Problem {
    let mut causes = Vec::new();
    let mut cause = error.source();
    while let Some(inner) = cause {
        causes.push(inner.to_string());
        cause = inner.source();
    }
    if !causes.is_empty() {
        problem.why = Some(causes.join(": "));
    }
    problem
}
