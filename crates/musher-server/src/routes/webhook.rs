//! Webhooks of the forge: take.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{Problem, WebhookHeard};
use crate::app::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(take))
}

/// Takes a webhook of the forge, and whoever watches what it is about looks at once. Over TCP no token is asked for: the body
/// must be signed with the secret that `forge.webhook` names
#[utoipa::path(post, path = "/v1/forge/webhook", tag = "forge",
    params(
        ("X-Hub-Signature-256" = String, Header, description = "`sha256=` and the HMAC of the body in hexadecimal"),
        ("X-GitHub-Event" = String, Header, description = "The name of the event"),
        ("X-GitHub-Delivery" = String, Header, description = "Its id: one that comes again is known by it")
    ),
    request_body(content = Object, description = "The payload, as GitHub describes it"),
    responses(
        (status = 202, body = WebhookHeard), (status = 200, description = "It was taken before", body = WebhookHeard),
        (status = "default", body = Problem)))]
async fn take(State(app): State<App>, request: Request) -> Result<(StatusCode, axum::Json<WebhookHeard>), Problem> {
    let (parts, body) = request.into_parts();
    let heard = app.webhooks().take(&app, &parts.headers, body).await?;
    let status =
        if heard.result == musher_core::webhook::Heard::Known.name() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, axum::Json(heard)))
}
