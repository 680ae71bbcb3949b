//! Missions: start, look at, steer.

use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use musher_core::command::{Answer, Command};
use musher_core::effect::Stop;
use musher_core::id::{ItemId, MissionId};
use musher_core::item::Item;
use musher_core::mission::Mission;
use musher_store::{Reader, Scope, StoreError};
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use super::check;
use crate::api::{
    Explanation, Graph, MissionDocument, MissionQuery, MissionShow, Missions, Note, NoteDone, PauseWish, Problem,
    StartMission, StopWish, WeightWish,
};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::{Asked, Json, Name};
use crate::resolve;
use crate::view::{self, Archive};

/// How many items one look at the state shows, so that the writer never waits long.
const AT_ONCE: usize = 2_000;

type Answered<T> = Result<axum::Json<T>, Problem>;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(start).layer(DefaultBodyLimit::max(super::MISSION_BODY)))
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(graph))
        .routes(routes!(explain))
        .routes(routes!(note))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(weigh))
        .routes(routes!(stop))
        .routes(routes!(approve))
}

/// Starts a mission with its whole graph
#[utoipa::path(post, path = "/v1/missions", tag = "missions", request_body = StartMission,
    responses((status = 201, body = MissionDocument), (status = "default", body = Problem)))]
async fn start(
    State(app): State<App>,
    caller: Caller,
    Json(wish): Json<StartMission>,
) -> Result<(StatusCode, axum::Json<MissionDocument>), Problem> {
    check::start(&wish)?;
    match app.send(&caller, Command::StartMission(Box::new(wish.into()))).await? {
        Answer::Mission(id) => Ok((StatusCode::CREATED, document(&app, id).await?)),
        Answer::Done
        | Answer::Agent(_)
        | Answer::Note(_)
        | Answer::Help(_)
        | Answer::Item(_)
        | Answer::Schedule(_)
        | Answer::Trigger(_)
        | Answer::Watch(_)
        | Answer::Messages(_)
        | Answer::Webhook(_)
        | Answer::Relayed(_) => Err(Problem::new(500, "defect", "a defect of musher: a start that made no mission")),
    }
}

/// Lists missions
#[utoipa::path(get, path = "/v1/missions", tag = "missions", params(MissionQuery),
    responses((status = 200, body = Missions), (status = "default", body = Problem)))]
async fn list(State(app): State<App>, Asked(query): Asked<MissionQuery>) -> Answered<Missions> {
    let active: Vec<_> =
        app.read(|state| state.missions().map(|entry| view::mission::of_entry(state, entry)).collect()).await?;
    if !query.all {
        return Ok(axum::Json(Missions { missions: active }));
    }
    let rows = app.readers().ask(|reader| every_mission(reader)).await?;
    let mut missions = active;
    let archived = rows.iter().filter(|(row, _)| !missions.iter().any(|m| m.id == row.id));
    let archived: Vec<_> = archived.map(|(row, items)| view::mission::archived(row, items)).collect();
    missions.extend(archived);
    missions.sort_by_key(|m| m.id);
    Ok(axum::Json(Missions { missions }))
}

fn every_mission(reader: &dyn Reader) -> Result<Vec<(Mission, Vec<Item>)>, StoreError> {
    let ended = |row: &Mission| row.ended_at.is_some();
    reader
        .missions(Scope::All)?
        .into_iter()
        .filter(ended)
        .map(|row| reader.items_of(row.id).map(|items| (row, items)))
        .collect()
}

/// An archived mission, read from disk.
pub(super) async fn archived(app: &App, id: MissionId) -> Result<(Mission, Vec<Item>), Problem> {
    let found = app.readers().ask(move |reader| Ok((reader.mission(id)?, reader.items_of(id)?))).await?;
    match found {
        (Some(row), items) => Ok((row, items)),
        (None, _) => Err(Problem::new(404, "not_found", format!("no mission `{}`", id.short()))),
    }
}

async fn document(app: &App, id: MissionId) -> Answered<MissionDocument> {
    let live = app.read(move |state| Some(view::mission::of_entry(state, state.mission(id)?))).await?;
    let mission = match live {
        Some(mission) => mission,
        None => {
            let (row, items) = archived(app, id).await?;
            view::mission::archived(&row, &items)
        }
    };
    Ok(axum::Json(MissionDocument { mission, effect: None }))
}

/// Shows a mission with everything in it
#[utoipa::path(get, path = "/v1/missions/{id}", tag = "missions", params(("id" = String, Path)),
    responses((status = 200, body = MissionShow), (status = "default", body = Problem)))]
async fn show(State(app): State<App>, Name(typed): Name) -> Answered<MissionShow> {
    let id = resolve::mission(&app, &typed).await?;
    let notes = app.readers().ask(move |reader| reader.notes(id)).await?;
    let kept = notes.clone();
    let live = app
        .read(move |state| {
            let ids = &state.mission(id)?.items;
            let (first, rest) = ids.split_at(ids.len().min(AT_ONCE));
            Some((view::mission::show(state, id, first, notes)?, rest.to_vec()))
        })
        .await?;
    let Some((mut show, rest)) = live else {
        let names = app.read(view::agent_names).await?;
        let (row, items) = archived(&app, id).await?;
        let lookup = Archive::of(names, &items);
        return Ok(axum::Json(view::mission::show_archived(&row, &items, &lookup, kept)));
    };
    show.items.extend(in_looks(&app, &rest).await?);
    show.dispatcher.lease = app.lease().await?.map(|lease| view::mission::lease(lease, app.engine().now()));
    Ok(axum::Json(show))
}

/// Items, in as many looks as it takes.
async fn in_looks(app: &App, ids: &[ItemId]) -> Result<Vec<crate::api::Item>, Problem> {
    let mut items = Vec::with_capacity(ids.len());
    for some in ids.chunks(AT_ONCE) {
        let some = some.to_vec();
        items.extend(app.read(move |state| view::item::items(state, &some)).await?);
    }
    Ok(items)
}

/// Shows a mission's graph
#[utoipa::path(get, path = "/v1/missions/{id}/graph", tag = "missions", params(("id" = String, Path)),
    responses((status = 200, body = Graph), (status = "default", body = Problem)))]
async fn graph(State(app): State<App>, Name(typed): Name) -> Answered<Graph> {
    let id = resolve::mission(&app, &typed).await?;
    // The rows on disk are whole and recent, and reading them holds nobody up.
    let (_, items) = archived(&app, id).await?;
    let lookup = Archive::of(view::AgentNames::new(), &items);
    Ok(axum::Json(view::mission::graph(items.iter(), &lookup)))
}

/// Says why a mission is where it is
#[utoipa::path(get, path = "/v1/missions/{id}/explain", tag = "missions", params(("id" = String, Path)),
    responses((status = 200, body = Explanation), (status = "default", body = Problem)))]
async fn explain(State(app): State<App>, Name(typed): Name) -> Answered<Explanation> {
    let id = resolve::mission(&app, &typed).await?;
    if let Some(explanation) = app.read(move |state| view::mission::explanation(state, id)).await? {
        return Ok(axum::Json(explanation));
    }
    let (row, _) = archived(&app, id).await?;
    Ok(axum::Json(Explanation {
        id: id.to_string(),
        state: row.state.name().to_owned(),
        waits: Vec::new(),
        pull: None,
    }))
}

/// Tells a mission something; the first word decides what it does
#[utoipa::path(post, path = "/v1/missions/{id}/notes", tag = "missions", params(("id" = String, Path)),
    request_body = Note, responses((status = 200, body = NoteDone), (status = "default", body = Problem)))]
async fn note(State(app): State<App>, caller: Caller, Name(typed): Name, Json(note): Json<Note>) -> Answered<NoteDone> {
    let id = resolve::mission(&app, &typed).await?;
    let answer = app.send(&caller, Command::NoteMission(id, note.text.into())).await?;
    let effect = match answer {
        Answer::Note(effect) => effect,
        Answer::Done
        | Answer::Mission(_)
        | Answer::Agent(_)
        | Answer::Help(_)
        | Answer::Item(_)
        | Answer::Schedule(_)
        | Answer::Trigger(_)
        | Answer::Watch(_)
        | Answer::Messages(_)
        | Answer::Webhook(_)
        | Answer::Relayed(_) => "noted".to_owned(),
    };
    let state = app.read(move |state| state.mission(id).map(|m| m.row.state.name().to_owned())).await?;
    Ok(axum::Json(NoteDone { effect, state: state.unwrap_or_default() }))
}

/// Stops the dispatch of a mission
#[utoipa::path(post, path = "/v1/missions/{id}/pause", tag = "missions", params(("id" = String, Path)),
    request_body = PauseWish, responses((status = 200, body = MissionDocument), (status = "default", body = Problem)))]
async fn pause(
    State(app): State<App>,
    caller: Caller,
    Name(typed): Name,
    Json(wish): Json<PauseWish>,
) -> Answered<MissionDocument> {
    let id = resolve::mission(&app, &typed).await?;
    let why = match wish.reason.trim() {
        "" => format!("Paused by {}", caller.name),
        reason => format!("Paused by {}: {reason}", caller.name),
    };
    let stop = wish.now.then_some(Stop::Interrupt);
    app.send(&caller, Command::PauseMission(id, stop, why.into())).await?;
    document(&app, id).await
}

/// Lets a blocked or paused mission go on
#[utoipa::path(post, path = "/v1/missions/{id}/resume", tag = "missions", params(("id" = String, Path)),
    responses((status = 200, body = MissionDocument), (status = "default", body = Problem)))]
async fn resume(State(app): State<App>, caller: Caller, Name(typed): Name) -> Answered<MissionDocument> {
    let id = resolve::mission(&app, &typed).await?;
    let answer = app.send(&caller, Command::ResumeMission(id)).await?;
    let mut done = document(&app, id).await?;
    if let Answer::Note(effect) = answer {
        done.effect = Some(effect);
    }
    Ok(done)
}

/// Changes a mission's share of what can be dispatched, beside other missions
#[utoipa::path(post, path = "/v1/missions/{id}/weight", tag = "missions", params(("id" = String, Path)),
    request_body = WeightWish, responses((status = 200, body = MissionDocument), (status = "default", body = Problem)))]
async fn weigh(
    State(app): State<App>,
    caller: Caller,
    Name(typed): Name,
    Json(wish): Json<WeightWish>,
) -> Answered<MissionDocument> {
    let id = resolve::mission(&app, &typed).await?;
    app.send(&caller, Command::WeighMission(id, wish.weight)).await?;
    document(&app, id).await
}

/// Gives a mission up; its branches are kept
#[utoipa::path(post, path = "/v1/missions/{id}/stop", tag = "missions", params(("id" = String, Path)),
    request_body = StopWish, responses((status = 200, body = MissionDocument), (status = "default", body = Problem)))]
async fn stop(
    State(app): State<App>,
    caller: Caller,
    Name(typed): Name,
    Json(wish): Json<StopWish>,
) -> Answered<MissionDocument> {
    let id = resolve::mission(&app, &typed).await?;
    let how = if wish.force { Stop::Kill } else { Stop::Interrupt };
    app.send(&caller, Command::StopMission(id, how)).await?;
    document(&app, id).await
}

/// Says yes to a mission's graph
#[utoipa::path(post, path = "/v1/missions/{id}/approve", tag = "missions", params(("id" = String, Path)),
    responses((status = 200, body = MissionDocument), (status = "default", body = Problem)))]
async fn approve(State(app): State<App>, caller: Caller, Name(typed): Name) -> Answered<MissionDocument> {
    let id = resolve::mission(&app, &typed).await?;
    app.send(&caller, Command::ApproveMission(id)).await?;
    document(&app, id).await
}
