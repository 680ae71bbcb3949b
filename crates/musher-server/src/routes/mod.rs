//! The paths of the API. A file a noun; a handler a path.

use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::api::Problem;
use crate::app::App;
use crate::hub::works_not;

mod actions;
mod agents;
mod check;
mod daemon;
mod events;
mod gc;
mod hub;
mod items;
mod missions;
mod nodes;
mod quotas;
mod requests;
mod runs;
mod schedules;
mod sinks;
mod triggers;
mod watches;
mod webhook;

/// The most bytes of a body; a mission's graph may have [`MISSION_BODY`].
const BODY: usize = 1 << 20;
/// The most bytes of a mission's graph.
const MISSION_BODY: usize = 32 << 20;
/// How long an answer that is no stream may take.
const ANSWER: Duration = Duration::from_secs(60);

/// Where the description is.
const DESCRIPTION: &str = "/v1/openapi.json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "musher",
        description = "Drives a team of coding agents. Ids in paths are full ids or unique beginnings of four digits \
                       or more of the full or the short form; items also `MISSION/key` (with the `/` as `%2F`); agents \
                       are named. Errors are problem documents (RFC 9457)."
    ),
    components(schemas(Problem))
)]
struct Description;

/// What is open to whoever the guard of a listener lets in.
fn guarded() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Description::openapi())
        .merge(daemon::routes())
        .merge(gc::routes())
        .merge(missions::routes())
        .merge(items::routes())
        .merge(agents::routes())
        .merge(nodes::routes())
        .merge(schedules::routes())
        .merge(triggers::routes())
        .merge(runs::routes())
        .merge(quotas::routes())
        .merge(requests::routes())
        .merge(events::routes())
        .merge(sinks::routes())
        .merge(hub::routes())
        .merge(watches::routes())
}

fn all() -> OpenApiRouter<App> {
    guarded().merge(webhook::routes()).merge(hub::door())
}

/// The description of every path and document (OpenAPI).
pub fn openapi() -> utoipa::openapi::OpenApi {
    all().into_openapi()
}

/// Every path but those of [`doors`]; whoever serves it must put a caller into each request.
pub(crate) fn router(app: App) -> Router {
    let description = serde_json::to_string(&openapi()).unwrap_or_default();
    guarded()
        .split_for_parts()
        .0
        .route(DESCRIPTION, get(async move || ([(header::CONTENT_TYPE, "application/json")], description.clone())))
        .fallback(unknown)
        .method_not_allowed_fallback(not_that_way)
        .layer(middleware::from_fn_with_state(app.clone(), works_not))
        .layer(middleware::from_fn(in_time))
        .layer(middleware::from_fn(finished))
        .layer(DefaultBodyLimit::max(BODY))
        .with_state(app)
}

/// The paths that open themselves: that of the forge's webhooks to whoever has signed what is sent, those of a hub to whoever
/// shows one of its tokens.
pub(crate) fn doors(app: App) -> Router {
    let (router, _) = webhook::routes().merge(hub::door()).split_for_parts();
    router
        .method_not_allowed_fallback(not_that_way)
        .layer(middleware::from_fn(in_time))
        .layer(middleware::from_fn(finished))
        .with_state(app)
}

async fn unknown(request: Request) -> Problem {
    Problem::new(404, "no_path", format!("there is no `{}`", request.uri().path()))
        .fix(format!("`{DESCRIPTION}` describes every path"))
}

async fn not_that_way(request: Request) -> Problem {
    Problem::new(405, "no_method", format!("`{}` takes no {}", request.uri().path(), request.method()))
        .fix(format!("`{DESCRIPTION}` describes every path"))
}

/// Bounds the time of every answer that is to come as a whole. What was asked of the engine is done all the same.
async fn in_time(request: Request, next: Next) -> Response {
    // A stream begins at once and then has no end: the time bounds its beginning alone.
    match tokio::time::timeout(ANSWER, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(504, "slow", format!("no answer within {} s", ANSWER.as_secs()))
            .why("musher is busy, or a disk or a repository is slow; what was asked for may still happen")
            .into_response(),
    }
}

/// Says in a problem which path it is about, and to no cache that it may keep anything.
async fn finished(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    if let Some(mut problem) = response.extensions_mut().remove::<Problem>() {
        problem.instance = Some(path);
        response = problem.into_response();
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
