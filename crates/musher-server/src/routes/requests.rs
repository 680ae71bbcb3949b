//! What running agents ask: a yes or a no, or an answer, once.

use axum::extract::State;
use musher_core::approval::{self, Ruled};
use musher_core::command::Command;
use musher_core::help;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{Answered, Problem, Replied, Words};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::{Json, Name};
use crate::resolve;

type Answer = Result<axum::Json<Answered>, Problem>;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(allow)).routes(routes!(deny)).routes(routes!(reply))
}

/// Allows what a running agent asks
#[utoipa::path(post, path = "/v1/requests/{id}/allow", tag = "requests", params(("id" = String, Path)),
    request_body = Words, responses((status = 200, body = Answered), (status = "default", body = Problem)))]
async fn allow(State(app): State<App>, caller: Caller, Name(typed): Name, Json(words): Json<Words>) -> Answer {
    answer(&app, &caller, &typed, Ruled::Allowed, words).await
}

/// Denies what a running agent asks, and tells it why
#[utoipa::path(post, path = "/v1/requests/{id}/deny", tag = "requests", params(("id" = String, Path)),
    request_body = Words, responses((status = 200, body = Answered), (status = "default", body = Problem)))]
async fn deny(State(app): State<App>, caller: Caller, Name(typed): Name, Json(words): Json<Words>) -> Answer {
    answer(&app, &caller, &typed, Ruled::Denied, words).await
}

/// Answers what a running agent wants to know
#[utoipa::path(post, path = "/v1/requests/{id}/answer", tag = "requests", params(("id" = String, Path)),
    request_body = Words, responses((status = 200, body = Replied), (status = "default", body = Problem)))]
async fn reply(
    State(app): State<App>,
    caller: Caller,
    Name(typed): Name,
    Json(words): Json<Words>,
) -> Result<axum::Json<Replied>, Problem> {
    let id = resolve::request(&app, &typed).await?;
    let question = app.read(move |state| help::find(state, id).map(|(_, request)| request.text.to_string())).await?;
    app.send(&caller, Command::AnswerHelp(id, words.text.into())).await?;
    Ok(axum::Json(Replied { request: id, question: question.unwrap_or_default() }))
}

async fn answer(app: &App, caller: &Caller, typed: &str, ruled: Ruled, words: Words) -> Answer {
    let id = resolve::request(app, typed).await?;
    let action = app.read(move |state| approval::find(state, id).map(|(_, request)| request.ask.action.text())).await?;
    app.send(caller, Command::AnswerRequest(id, ruled, words.text.into())).await?;
    Ok(axum::Json(Answered { request: id, ruled: ruled.name().to_owned(), action: action.unwrap_or_default() }))
}
