//! Watches: list, add, look at, let rest, close.

use axum::extract::State;
use axum::http::StatusCode;
use musher_core::command::{Answer, Command};
use musher_core::forge::Reference;
use musher_core::id::WatchId;
use musher_core::watch::{Holds, WatchKind};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{NewWatch, Problem, SnoozeWish, WatchDocument, WatchQuery, Watches};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::{Asked, Json, Name};
use crate::{resolve, view};

type Answered<T> = Result<axum::Json<T>, Problem>;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(add))
        .routes(routes!(show))
        .routes(routes!(snooze))
        .routes(routes!(close))
}

/// Lists the watches of active missions, oldest first
#[utoipa::path(get, path = "/v1/watches", tag = "watches", params(WatchQuery),
    responses((status = 200, body = Watches), (status = "default", body = Problem)))]
async fn list(State(app): State<App>, Asked(query): Asked<WatchQuery>) -> Answered<Watches> {
    let mission = match &query.mission {
        Some(typed) => Some(resolve::mission(&app, typed).await?),
        None => None,
    };
    let watches = app.read(move |state| view::watch::watches(state, mission, query.all)).await?;
    Ok(axum::Json(Watches { watches }))
}

/// Adds a watch to an item
#[utoipa::path(post, path = "/v1/items/{id}/watches", tag = "watches", params(("id" = String, Path)),
    request_body = NewWatch,
    responses((status = 201, body = WatchDocument), (status = "default", body = Problem)))]
async fn add(
    State(app): State<App>,
    caller: Caller,
    Name(typed): Name,
    Json(wish): Json<NewWatch>,
) -> Result<(StatusCode, axum::Json<WatchDocument>), Problem> {
    let item = resolve::item(&app, &typed).await?;
    let holds = if wish.then { Holds::Mission } else { Holds::Start };
    let command = Command::AddWatch(item, Box::new(kind_of(wish)?), holds);
    match app.send(&caller, command).await? {
        Answer::Watch(id) => Ok((StatusCode::CREATED, document(&app, id).await?)),
        Answer::Done
        | Answer::Mission(_)
        | Answer::Agent(_)
        | Answer::Note(_)
        | Answer::Help(_)
        | Answer::Item(_)
        | Answer::Schedule(_)
        | Answer::Trigger(_)
        | Answer::Messages(_)
        | Answer::Webhook(_)
        | Answer::Relayed(_) => Err(Problem::new(500, "defect", "a defect of musher: an addition that made no watch")),
    }
}

/// Shows a watch
#[utoipa::path(get, path = "/v1/watches/{id}", tag = "watches", params(("id" = String, Path)),
    responses((status = 200, body = WatchDocument), (status = "default", body = Problem)))]
async fn show(State(app): State<App>, Name(typed): Name) -> Answered<WatchDocument> {
    document(&app, resolve::watch(&app, &typed).await?).await
}

/// Lets a watch rest
#[utoipa::path(post, path = "/v1/watches/{id}/snooze", tag = "watches", params(("id" = String, Path)),
    request_body = SnoozeWish, responses((status = 200, body = WatchDocument), (status = "default", body = Problem)))]
async fn snooze(
    State(app): State<App>,
    caller: Caller,
    Name(typed): Name,
    Json(wish): Json<SnoozeWish>,
) -> Answered<WatchDocument> {
    let id = resolve::watch(&app, &typed).await?;
    app.send(&caller, Command::SnoozeWatch(id, wish.secs)).await?;
    document(&app, id).await
}

/// Closes a watch: it holds nothing up any more
#[utoipa::path(post, path = "/v1/watches/{id}/close", tag = "watches", params(("id" = String, Path)),
    responses((status = 200, body = WatchDocument), (status = "default", body = Problem)))]
async fn close(State(app): State<App>, caller: Caller, Name(typed): Name) -> Answered<WatchDocument> {
    let id = resolve::watch(&app, &typed).await?;
    app.send(&caller, Command::CloseWatch(id)).await?;
    document(&app, id).await
}

async fn document(app: &App, id: WatchId) -> Answered<WatchDocument> {
    let found = app.read(move |state| view::watch::by_id(state, id)).await?;
    let gone = || Problem::new(404, "not_found", format!("no watch `{}`: its mission is over", id.short()));
    found.map(|watch| axum::Json(WatchDocument { watch })).ok_or_else(gone)
}

fn kind_of(wish: NewWatch) -> Result<WatchKind, Problem> {
    let invalid = |what: String, fix: &str| Problem::new(422, "invalid", what).fix(fix);
    match (wish.command, wish.url, wish.issue) {
        (Some(argv), None, None) => Ok(WatchKind::Command(argv.into_iter().map(Into::into).collect())),
        (None, Some(url), None) => Ok(WatchKind::Url(url.into())),
        (None, None, Some(issue)) => {
            let read = Reference::of_number(&issue);
            let what = || invalid(format!("`{issue}` names no issue"), "write `#12`, or `owner/name#12`");
            read.map(WatchKind::IssueClosed).map_err(|_| what())
        }
        (None, None, None) => {
            Err(invalid("the watch does not say what it looks at".to_owned(), "say one of command, url and issue"))
        }
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
            Err(invalid("the watch looks at several things".to_owned(), "add a watch for each of them"))
        }
    }
}
