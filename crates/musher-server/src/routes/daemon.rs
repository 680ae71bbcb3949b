//! The daemon as a whole: status, inbox, merge queue, backup, end.

use axum::extract::State;
use axum::http::StatusCode;
use musher_core::command::Command;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{BackupDone, BackupWish, Inbox, Problem, Queue, Reason, Status, Stopping};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::{Json, Name};
use crate::{problem, resolve, view};

type Answered<T> = Result<axum::Json<T>, Problem>;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(status))
        .routes(routes!(inbox))
        .routes(routes!(queue))
        .routes(routes!(pause_queue))
        .routes(routes!(resume_queue))
        .routes(routes!(eject))
        .routes(routes!(retry_merge))
        .routes(routes!(backup))
        .routes(routes!(shutdown))
}

/// Says how everything stands
#[utoipa::path(get, path = "/v1/status", tag = "daemon",
    responses((status = 200, body = Status), (status = "default", body = Problem)))]
async fn status(State(app): State<App>) -> Answered<Status> {
    let now = app.engine().now();
    let daemon = app.daemon();
    let sinks = app.sinks().list().await?;
    let seq = *app.engine().seq().borrow();
    Ok(axum::Json(app.read(move |state| view::status::status(state, daemon, sinks, now, seq)).await?))
}

/// Lists what waits for a person
#[utoipa::path(get, path = "/v1/inbox", tag = "daemon",
    responses((status = 200, body = Inbox), (status = "default", body = Problem)))]
async fn inbox(State(app): State<App>) -> Answered<Inbox> {
    Ok(axum::Json(Inbox { inbox: app.read(view::status::inbox).await? }))
}

/// Lists the merge queue
#[utoipa::path(get, path = "/v1/queue", tag = "daemon",
    responses((status = 200, body = Queue), (status = "default", body = Problem)))]
async fn queue(State(app): State<App>) -> Answered<Queue> {
    shown(&app).await
}

async fn shown(app: &App) -> Answered<Queue> {
    Ok(axum::Json(app.read(view::queue::queue).await?))
}

/// Lets no further merge begin; the batch under way goes on
#[utoipa::path(post, path = "/v1/queue/pause", tag = "daemon", request_body = Reason,
    responses((status = 200, body = Queue), (status = "default", body = Problem)))]
async fn pause_queue(State(app): State<App>, caller: Caller, Json(wish): Json<Reason>) -> Answered<Queue> {
    let why = match wish.reason.trim() {
        "" => format!("by {}", caller.name),
        reason => reason.to_owned(),
    };
    app.send(&caller, Command::PauseQueue(why.into())).await?;
    shown(&app).await
}

/// Takes an item out of the merge queue
#[utoipa::path(post, path = "/v1/queue/{id}/eject", tag = "daemon", params(("id" = String, Path)), request_body = Reason,
    responses((status = 200, body = Queue), (status = "default", body = Problem)))]
async fn eject(State(app): State<App>, caller: Caller, Name(typed): Name, Json(wish): Json<Reason>) -> Answered<Queue> {
    let id = resolve::item(&app, &typed).await?;
    let why = match wish.reason.trim() {
        "" => format!("ejected from the merge queue by {}", caller.name),
        reason => reason.to_owned(),
    };
    app.send(&caller, Command::EjectItem(id, why.into())).await?;
    shown(&app).await
}

/// Tries a merge again now
#[utoipa::path(post, path = "/v1/queue/{id}/retry", tag = "daemon", params(("id" = String, Path)),
    responses((status = 200, body = Queue), (status = "default", body = Problem)))]
async fn retry_merge(State(app): State<App>, caller: Caller, Name(typed): Name) -> Answered<Queue> {
    let id = resolve::item(&app, &typed).await?;
    app.send(&caller, Command::RetryMerge(id)).await?;
    shown(&app).await
}

/// Lets merges begin again
#[utoipa::path(post, path = "/v1/queue/resume", tag = "daemon",
    responses((status = 200, body = Queue), (status = "default", body = Problem)))]
async fn resume_queue(State(app): State<App>, caller: Caller) -> Answered<Queue> {
    app.send(&caller, Command::ResumeQueue).await?;
    shown(&app).await
}

/// Copies the database to a new file, while everything goes on
#[utoipa::path(post, path = "/v1/backup", tag = "daemon", request_body = BackupWish,
    responses((status = 200, body = BackupDone), (status = "default", body = Problem)))]
async fn backup(State(app): State<App>, _: Caller, Json(wish): Json<BackupWish>) -> Answered<BackupDone> {
    if !wish.path.is_absolute() {
        return Err(Problem::new(422, "invalid", format!("`{}` is no absolute path", wish.path.display()))
            .fix("the daemon works in a folder of its own: name the file from the root on"));
    }
    let folder = app.engine().paths().state.clone();
    let path = wish.path.clone();
    let made = tokio::task::spawn_blocking(move || musher_store::backup(&folder, &path)).await;
    made.map_err(|_| Problem::new(500, "defect", "a defect of musher: the backup panicked"))?
        .map_err(|error| problem::of_backup(&error))?;
    let bytes = tokio::fs::metadata(&wish.path).await.map(|file| file.len()).unwrap_or_default();
    Ok(axum::Json(BackupDone { path: wish.path, bytes }))
}

/// Ends the daemon; agents at work keep their hosts
#[utoipa::path(post, path = "/v1/shutdown", tag = "daemon",
    responses((status = 202, body = Stopping), (status = "default", body = Problem)))]
async fn shutdown(State(app): State<App>, caller: Caller) -> (StatusCode, axum::Json<Stopping>) {
    tracing::info!(actor = %caller.name, "asked to stop");
    app.wish_for_stop();
    (StatusCode::ACCEPTED, axum::Json(Stopping { pid: std::process::id() }))
}
