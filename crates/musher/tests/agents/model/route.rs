//! From an HTTP request to an answer.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request as HttpRequest, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::api::Api;
use super::ledger::{Ledger, Request};
use super::reply::Reply;
use super::scenario::{Refusal, Scenario};
use super::stream::{Telling, play};

/// The largest request that is read, in bytes.
const MAX_REQUEST: usize = 64 << 20;

/// Every path leads to one place, for the scenario stands before what vendors define.
pub(crate) fn router(ledger: Arc<Ledger>) -> Router {
    Router::new().fallback(answer).with_state(ledger)
}

async fn answer(State(ledger): State<Arc<Ledger>>, request: HttpRequest) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = to_bytes(body, MAX_REQUEST).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let Some((asked, client, path)) = split(parts.uri.path()) else {
        return problem(StatusCode::NOT_FOUND, &format!("no scenario in `{}`", parts.uri.path()));
    };
    let scenario = ledger.played(asked);
    ledger.record(Request {
        method: parts.method.to_string(),
        path: path.to_owned(),
        client: client.to_owned(),
        scenario,
        body: body.clone(),
    });
    if parts.method == Method::HEAD {
        return StatusCode::OK.into_response();
    }
    if parts.method == Method::GET && path.ends_with("/models") {
        return Json(models()).into_response();
    }
    if path.ends_with("/count_tokens") {
        return Json(json!({"input_tokens": 1234})).into_response();
    }
    if path.ends_with(":countTokens") {
        return Json(json!({"totalTokens": 1234})).into_response();
    }
    match Api::at(path) {
        None => problem(StatusCode::NOT_FOUND, &format!("nothing is spoken at `{path}`")),
        Some(_) if body.is_null() => problem(StatusCode::BAD_REQUEST, "the body is no JSON"),
        Some(api) => converse(ledger, api, scenario, client, path, &body),
    }
}

fn converse(ledger: Arc<Ledger>, api: Api, scenario: Scenario, client: &str, path: &str, body: &Value) -> Response {
    let question = api.question(path, body);
    let aside = question.tools.is_empty();
    if let Some(refusal) = scenario.refusal(ledger.nth(scenario, client, aside)) {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let resets_at = refusal.reset.map(|secs| now + secs);
        resets_at.into_iter().for_each(|at| ledger.remember_reset(at));
        return refuse(api, refusal, resets_at);
    }
    let reply = Reply::to(&question, scenario, ledger.next_number());
    let model = api.model(path, body);
    let telling = Telling { ledger, client: client.to_owned(), aside, tokens: reply.tokens };
    // A client that falls back to a whole answer after a broken stream must not get one in the cut scenario.
    if question.stream || (scenario == Scenario::Cut && !aside) {
        return play(api.steps(&reply, &model), telling);
    }
    telling.tell();
    Json(api.document(&reply, &model)).into_response()
}

/// A refusal; `resets_at` is a count of seconds since 1970.
fn refuse(api: Api, refusal: Refusal, resets_at: Option<u64>) -> Response {
    let status = StatusCode::from_u16(refusal.status).unwrap();
    let mut response = (status, Json(api.refusal(refusal, resets_at))).into_response();
    let mut header = |name, value: String| drop(response.headers_mut().insert(name, value.parse().unwrap()));
    if let Some(seconds) = refusal.retry_after {
        header("retry-after", seconds.to_string());
    }
    if let Some(at) = resets_at {
        api.limits(at).into_iter().for_each(|(name, value)| header(name, value));
    }
    response
}

/// The scenario, the client and the vendor's path of `/s/SCENARIO.CLIENT/PATH`.
fn split(path: &str) -> Option<(Scenario, &str, &str)> {
    let rest = path.strip_prefix("/s/")?;
    let end = rest.find('/').unwrap_or(rest.len());
    let (head, path) = rest.split_at(end);
    let (name, client) = head.split_once('.').unwrap_or((head, ""));
    Some((Scenario::named(name)?, client, path))
}

fn models() -> Value {
    let model = |id: &str| {
        json!({
            "id": id, "object": "model", "created": 1, "owned_by": "scripted", "type": "model", "display_name": id,
            "created_at": "2026-01-01T00:00:00Z",
        })
    };
    let ids = ["fake-model", "claude-sonnet-4-5", "gpt-5.5"];
    json!({"object": "list", "data": ids.map(model), "has_more": false, "first_id": ids[0], "last_id": ids[2]})
}

fn problem(status: StatusCode, message: &str) -> Response {
    let body = json!({"error": {"message": message, "type": "not_found_error"}});
    (status, Body::from(body.to_string())).into_response()
}
