//! Schedules: list, add, look at, fire, switch on and off, remove.

use axum::extract::State;
use axum::http::StatusCode;
use musher_core::command::Command;
use musher_core::id::ScheduleId;
use musher_core::nearest::nearest;
use musher_core::plan;
use musher_core::schedule::{
    Action, Check, PlanFrom, Schedule, ScheduleSpec, USUAL_CHECK_SECS, USUAL_TIMEOUT_SECS, When,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{FiringQuery, Firings, NewSchedule, Problem, ScheduleDocument, Schedules};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::{Asked, Json, Name};
use crate::view;

/// The most firings that one question is answered with.
const MOST_FIRINGS: u32 = 1_000;

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
    let rows = app.readers().ask(move |reader| reader.firings_of(id, limit)).await?;
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

fn invalid(what: impl Into<String>, fix: &str) -> Problem {
    Problem::new(422, "invalid", what.into()).fix(fix)
}

/// The one of these that is said.
fn one_of<T>(said: Vec<(&str, Option<T>)>, what: &str) -> Result<T, Problem> {
    let names: Vec<&str> = said.iter().map(|(name, _)| *name).collect();
    let fix = format!("say one of {}", names.join(", "));
    let mut there = said.into_iter().filter_map(|(name, value)| Some((name, value?)));
    match (there.next(), there.next()) {
        (Some((_, one)), None) => Ok(one),
        (None, _) => Err(invalid(format!("the schedule does not say {what}"), &fix)),
        (Some((first, _)), Some((second, _))) => {
            Err(invalid(format!("the schedule says {what} twice: by `{first}` and by `{second}`"), &fix))
        }
    }
}

/// What was asked for, checked as far as it needs no state.
fn spec_of(wish: NewSchedule) -> Result<ScheduleSpec, Problem> {
    if wish.tz.is_some() && wish.cron.is_none() {
        return Err(invalid("`tz` is the zone of `cron`, and there is none", "leave it out"));
    }
    if wish.agent.is_some() && wish.prompt.is_none() {
        return Err(invalid("`agent` belongs to `prompt`, and there is none", "leave it out"));
    }
    if wish.mission.is_some() != wish.note.is_some() {
        return Err(invalid("`note` and `mission` belong together", "say both, or none"));
    }
    let tz: Box<str> = wish.tz.unwrap_or_default().into();
    let when = one_of(
        vec![
            ("cron", wish.cron.map(|expression| When::Cron { expression: expression.into(), tz })),
            ("every", wish.every_secs.map(|secs| When::Every { secs })),
            ("at", wish.at.map(When::At)),
        ],
        "when it is due",
    )?;
    let agent = wish.agent.map(Into::into);
    let mission: Box<str> = wish.mission.unwrap_or_default().into();
    let action = one_of(
        vec![
            ("prompt", wish.prompt.map(|text| Action::Prompt { text: text.into(), agent })),
            ("plan", wish.plan.map(|text| Action::Mission(PlanFrom::Text(text.into())))),
            ("plan_file", wish.plan_file.map(|path| Action::Mission(PlanFrom::File(path.into())))),
            ("note", wish.note.map(|text| Action::Note { mission, text: text.into() })),
        ],
        "what it does",
    )?;
    let problems = match &action {
        Action::Prompt { text, .. } => plan::parse_text("the prompt", text).err(),
        Action::Mission(PlanFrom::Text(text)) => plan::parse("plan.toml", text.as_bytes()).err(),
        Action::Mission(PlanFrom::File(_)) | Action::Note { .. } => None,
    };
    if let Some(problems) = problems {
        return Err(invalid(problems.to_string(), "`musher plan check FILE` lists every problem of a plan"));
    }
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
