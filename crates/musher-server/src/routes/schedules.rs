//! Schedules: list, add, look at, fire, switch on and off, remove.

use axum::extract::State;
use axum::http::StatusCode;
use musher_core::command::Command;
use musher_core::firing::FiringOf;
use musher_core::id::ScheduleId;
use musher_core::nearest::nearest;
use musher_core::schedule::{Check, Schedule, ScheduleSpec, USUAL_CHECK_SECS, USUAL_TIMEOUT_SECS, When};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::actions::{action_of, invalid, one_of};
use crate::api::{FiringQuery, Firings, NewSchedule, Problem, ScheduleDocument, Schedules};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::{Asked, Json, Name};
use crate::view;
use crate::view::action::ActionWish;

/// The most firings that one question is answered with.
pub(super) const MOST_FIRINGS: u32 = 1_000;

type Answered<T> = Result<axum::Json<T>, Problem>;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(add))
        .routes(routes!(show))
        .routes(routes!(history))
        .routes(routes!(run))
        .routes(routes!(enable))
        .routes(routes!(disable))
        .routes(routes!(remove))
}

/// Lists schedules
#[utoipa::path(get, path = "/v1/schedules", tag = "schedules",
    responses((status = 200, body = Schedules), (status = "default", body = Problem)))]
async fn list(State(app): State<App>) -> Answered<Schedules> {
    Ok(axum::Json(Schedules { schedules: app.read(view::schedule::schedules).await? }))
}

/// Adds a schedule
#[utoipa::path(post, path = "/v1/schedules", tag = "schedules", request_body = NewSchedule,
    responses((status = 201, body = ScheduleDocument), (status = "default", body = Problem)))]
async fn add(
    State(app): State<App>,
    caller: Caller,
    Json(wish): Json<NewSchedule>,
) -> Result<(StatusCode, axum::Json<ScheduleDocument>), Problem> {
    let spec = spec_of(wish)?;
    let name = spec.name.clone();
    app.send(&caller, Command::AddSchedule(Box::new(spec))).await?;
    let (_, document) = find(&app, &name).await?;
    Ok((StatusCode::CREATED, axum::Json(document)))
}

/// Shows a schedule
#[utoipa::path(get, path = "/v1/schedules/{name}", tag = "schedules", params(("name" = String, Path)),
    responses((status = 200, body = ScheduleDocument), (status = "default", body = Problem)))]
async fn show(State(app): State<App>, Name(typed): Name) -> Answered<ScheduleDocument> {
    find(&app, &typed).await.map(|(_, document)| axum::Json(document))
}

/// Lists the firings of a schedule, newest first
#[utoipa::path(get, path = "/v1/schedules/{name}/firings", tag = "schedules", params(("name" = String, Path), FiringQuery),
    responses((status = 200, body = Firings), (status = "default", body = Problem)))]
async fn history(State(app): State<App>, Name(typed): Name, Asked(query): Asked<FiringQuery>) -> Answered<Firings> {
    let (id, _) = find(&app, &typed).await?;
    let limit = query.limit.clamp(1, MOST_FIRINGS);
    let rows = app.readers().ask(move |reader| reader.firings_of(FiringOf::Schedule(id), limit)).await?;
    Ok(axum::Json(Firings { firings: rows.iter().map(view::schedule::firing).collect() }))
}

/// Fires a schedule now
#[utoipa::path(post, path = "/v1/schedules/{name}/run", tag = "schedules", params(("name" = String, Path)),
    responses((status = 200, body = ScheduleDocument), (status = "default", body = Problem)))]
async fn run(State(app): State<App>, caller: Caller, Name(typed): Name) -> Answered<ScheduleDocument> {
    send(&app, &caller, &typed, Command::RunSchedule).await
}

/// Lets a schedule fire again, also one that is paused after failures
#[utoipa::path(post, path = "/v1/schedules/{name}/enable", tag = "schedules", params(("name" = String, Path)),
    responses((status = 200, body = ScheduleDocument), (status = "default", body = Problem)))]
async fn enable(State(app): State<App>, caller: Caller, Name(typed): Name) -> Answered<ScheduleDocument> {
    send(&app, &caller, &typed, Command::EnableSchedule).await
}

/// Lets a schedule fire no more
#[utoipa::path(post, path = "/v1/schedules/{name}/disable", tag = "schedules", params(("name" = String, Path)),
    responses((status = 200, body = ScheduleDocument), (status = "default", body = Problem)))]
async fn disable(State(app): State<App>, caller: Caller, Name(typed): Name) -> Answered<ScheduleDocument> {
    send(&app, &caller, &typed, Command::DisableSchedule).await
}

/// Removes a schedule that an operator has added; its history stays
#[utoipa::path(delete, path = "/v1/schedules/{name}", tag = "schedules", params(("name" = String, Path)),
    responses((status = 200, body = Schedules), (status = "default", body = Problem)))]
async fn remove(State(app): State<App>, caller: Caller, Name(typed): Name) -> Answered<Schedules> {
    let (id, _) = find(&app, &typed).await?;
    app.send(&caller, Command::RemoveSchedule(id)).await?;
    list(State(app)).await
}

async fn send(
    app: &App,
    caller: &Caller,
    typed: &str,
    command: impl FnOnce(ScheduleId) -> Command,
) -> Answered<ScheduleDocument> {
    let (id, _) = find(app, typed).await?;
    app.send(caller, command(id)).await?;
    find(app, typed).await.map(|(_, document)| axum::Json(document))
}

/// The schedule of this name.
async fn find(app: &App, typed: &str) -> Result<(ScheduleId, ScheduleDocument), Problem> {
    let name = typed.to_owned();
    let found = app
        .read(move |state| {
            let there = |row: &&Schedule| !row.removed;
            match state.schedule_named(&name).filter(there) {
                Some(row) => Ok((row.id, ScheduleDocument { schedule: view::schedule::schedule(row) })),
                None => {
                    let names = state.schedules().filter(there).map(|row| &*row.spec.name);
                    Err(nearest(&name, names).map(str::to_owned))
                }
            }
        })
        .await?;
    found.map_err(|near| {
        let fix = near.map(|near| format!("did you mean `{near}`?"));
        let fix = fix.unwrap_or_else(|| "`musher schedule list` shows those that exist".to_owned());
        Problem::new(404, "not_found", format!("no schedule `{typed}`")).fix(fix)
    })
}

/// What was asked for, checked as far as it needs no state.
fn spec_of(wish: NewSchedule) -> Result<ScheduleSpec, Problem> {
    if wish.tz.is_some() && wish.cron.is_none() {
        return Err(invalid("`tz` is the zone of `cron`, and there is none", "leave it out"));
    }
    let tz: Box<str> = wish.tz.unwrap_or_default().into();
    let when = one_of(
        vec![
            ("cron", wish.cron.map(|expression| When::Cron { expression: expression.into(), tz })),
            ("every", wish.every_secs.map(|secs| When::Every { secs })),
            ("at", wish.at.map(When::At)),
        ],
        "the schedule",
        "when it is due",
    )?;
    let does = ActionWish {
        prompt: wish.prompt,
        agent: wish.agent,
        plan: wish.plan,
        plan_file: wish.plan_file,
        note: wish.note,
        mission: wish.mission,
    };
    let action = action_of("the schedule", does)?;
    let check = wish.check.map(|argv| Check {
        argv: argv.into_iter().map(Into::into).collect(),
        run_on: wish.run_on.unwrap_or_default(),
        timeout_secs: wish.check_timeout_secs.unwrap_or(USUAL_CHECK_SECS),
    });
    Ok(ScheduleSpec {
        name: wish.name.into(),
        when,
        check,
        action,
        overlap: wish.overlap.unwrap_or_default(),
        misfire: wish.misfire.unwrap_or_default(),
        timeout_secs: wish.timeout_secs.unwrap_or(USUAL_TIMEOUT_SECS),
        notify: wish.notify.unwrap_or_default(),
        enabled: wish.enabled.unwrap_or(true),
        policy: wish.policy.unwrap_or_default(),
    })
}
