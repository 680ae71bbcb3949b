//! Sinks: list, test.

use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{Problem, SinkTested, Sinks};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::Name;

type Answered<T> = Result<axum::Json<T>, Problem>;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(test))
}

/// Lists sinks: who is sent events, and whether that works
#[utoipa::path(get, path = "/v1/sinks", tag = "events",
    responses((status = 200, body = Sinks), (status = "default", body = Problem)))]
async fn list(State(app): State<App>) -> Answered<Sinks> {
    Ok(axum::Json(Sinks { sinks: app.sinks().list().await? }))
}

/// Sends a test to a sink and says how it was answered; a sink that takes it is tried again at once
#[utoipa::path(post, path = "/v1/sinks/{name}/test", tag = "events", params(("name" = String, Path)),
    responses((status = 200, body = SinkTested), (status = "default", body = Problem)))]
async fn test(State(app): State<App>, caller: Caller, Name(name): Name) -> Answered<SinkTested> {
    Ok(axum::Json(app.sinks().test(&name, &caller.name).await?))
}
