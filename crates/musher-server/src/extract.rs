//! What handlers read from a request. Whatever is wrong with it is said as a problem document.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::api::Problem;

/// A JSON body; none at all counts as `{}`.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_json = request.headers().get(header::CONTENT_TYPE).is_some_and(|kind| {
            let kind = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
            kind.eq_ignore_ascii_case("application/json")
        });
        let body =
            Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status().as_u16() {
                413 => Problem::new(413, "too_large", "the body is larger than this path takes")
                    .fix("split the mission, or move long texts into files of the repository"),
                _ => Problem::new(400, "broken_body", rejection.body_text()),
            })?;
        if body.is_empty() {
            return parsed(b"{}");
        }
        if !is_json {
            return Err(Problem::new(415, "not_json", "the body is not declared as JSON")
                .fix("send `Content-Type: application/json`"));
        }
        parsed(&body)
    }
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<Json<T>, Problem> {
    serde_json::from_slice(body).map(Json).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => {
            Problem::new(422, "invalid", error.to_string()).fix("`/v1/openapi.json` describes every body")
        }
        _ => Problem::new(400, "not_json", format!("the body is not JSON: {error}")),
    })
}

/// The query.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => {
                Err(Problem::new(422, "invalid", rejection.body_text()).fix("`/v1/openapi.json` names every parameter"))
            }
        }
    }
}

/// The name in the path.
pub(crate) struct Name(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(rejection) => Err(Problem::new(422, "invalid", rejection.body_text())),
        }
    }
}
