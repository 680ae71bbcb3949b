//! The hub: what projects have told, and the door through which they tell it.

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use musher_core::command::Command;
use musher_core::hub::shown_names;
use musher_core::id::{MissionId, ProjectId, matches_prefix};
use musher_store::{HubCounts, HubFilter};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{
    HubEvent, HubEventQuery, HubMissionShow, HubProject, HubProjectShow, HubProjects, Problem, RelayAnswer, RelayPost,
};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::{Asked, Name};

/// How many events an answer has when nothing is said.
const USUAL: u32 = 1_000;

type Answered<T> = Result<axum::Json<T>, Problem>;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(projects))
        .routes(routes!(project))
        .routes(routes!(mission))
        .routes(routes!(forget))
        .routes(routes!(events))
}

/// What a token of the hub opens.
pub(super) fn door() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(tell)).routes(routes!(mark))
}

/// Takes what a project tells, if it follows what it told before. One of the hub's tokens is asked for, here and nowhere else
#[utoipa::path(post, path = "/v1/hub/relay", tag = "hub", request_body = RelayPost,
    params(("Authorization" = String, Header, description = "`Bearer` and one of `tokens` in `[hub]`")),
    responses((status = 200, body = RelayAnswer), (status = "default", body = Problem)))]
async fn tell(State(app): State<App>, request: Request) -> Answered<RelayAnswer> {
    let (parts, body) = request.into_parts();
    Ok(axum::Json(app.hub().take(&app, &parts.headers, body).await?))
}

/// Says how far a project has told. One of the hub's tokens is asked for
#[utoipa::path(get, path = "/v1/hub/relay/{project}", tag = "hub",
    params(("project" = String, Path, description = "The project's id"),
        ("Authorization" = String, Header, description = "`Bearer` and one of `tokens` in `[hub]`")),
    responses((status = 200, body = RelayAnswer), (status = "default", body = Problem)))]
async fn mark(State(app): State<App>, Name(project): Name, headers: HeaderMap) -> Answered<RelayAnswer> {
    Ok(axum::Json(app.hub().mark(&app, &headers, &project).await?))
}

/// Lists the projects that have told this hub something
#[utoipa::path(get, path = "/v1/hub/projects", tag = "hub",
    responses((status = 200, body = HubProjects), (status = "default", body = Problem)))]
async fn projects(State(app): State<App>) -> Answered<HubProjects> {
    Ok(axum::Json(HubProjects { projects: all(&app).await? }))
}

/// Shows a project of this hub with its missions
#[utoipa::path(get, path = "/v1/hub/projects/{project}", tag = "hub",
    params(("project" = String, Path, description = "Its id, the beginning of one, or its name")),
    responses((status = 200, body = HubProjectShow), (status = "default", body = Problem)))]
async fn project(State(app): State<App>, Name(typed): Name) -> Answered<HubProjectShow> {
    let project = find(&app, &typed).await?;
    let id = project.id;
    let missions = app.readers().ask(move |reader| reader.hub_missions(id)).await?;
    Ok(axum::Json(HubProjectShow { project, missions: missions.into_iter().map(Into::into).collect() }))
}

/// Shows a mission of a project of this hub with its items
#[utoipa::path(get, path = "/v1/hub/projects/{project}/missions/{mission}", tag = "hub",
    params(("project" = String, Path, description = "Its id, the beginning of one, or its name"),
        ("mission" = String, Path, description = "Its id, or the beginning of one")),
    responses((status = 200, body = HubMissionShow), (status = "default", body = Problem)))]
async fn mission(
    State(app): State<App>,
    axum::extract::Path((typed, mission)): axum::extract::Path<(String, String)>,
) -> Answered<HubMissionShow> {
    let project = find(&app, &typed).await?;
    let id = project.id;
    let missions = app.readers().ask(move |reader| reader.hub_missions(id)).await?;
    let named = |id: MissionId| matches_prefix(&id.to_string(), &id.short(), &mission);
    let mut found = missions.into_iter().filter(|card| named(card.id));
    let none = || {
        Problem::new(404, "not_found", format!("no mission `{mission}` of the project `{}`", project.shown))
            .fix(format!("`musher hub status {}` shows its missions", project.short_id))
    };
    let card = found.next().ok_or_else(none)?;
    if found.next().is_some() {
        return Err(ambiguous("mission", &mission, Vec::new()));
    }
    let of = card.id;
    let items = app.readers().ask(move |reader| reader.hub_items(id, of)).await?;
    let items = items.into_iter().map(Into::into).collect();
    Ok(axum::Json(HubMissionShow { project, mission: card.into(), items }))
}

/// Forgets a project and all that it told. If it tells again, it begins with the first event of its log
#[utoipa::path(post, path = "/v1/hub/projects/{project}/forget", tag = "hub",
    params(("project" = String, Path, description = "Its id, the beginning of one, or its name")),
    responses((status = 200, body = HubProject), (status = "default", body = Problem)))]
async fn forget(State(app): State<App>, caller: Caller, Name(typed): Name) -> Answered<HubProject> {
    let project = find(&app, &typed).await?;
    app.send(&caller, Command::ForgetProject(project.id)).await?;
    Ok(axum::Json(project))
}

/// Lists events of all projects of this hub, or of one, in the order in which they came
#[utoipa::path(get, path = "/v1/hub/events", tag = "hub", params(HubEventQuery),
    responses((status = 200, body = Vec<HubEvent>), (status = "default", body = Problem)))]
async fn events(State(app): State<App>, Asked(query): Asked<HubEventQuery>) -> Answered<Vec<HubEvent>> {
    let project = match &query.project {
        Some(typed) => Some(find(&app, typed).await?.id),
        None => None,
    };
    let filter = HubFilter { after: query.after, limit: query.limit.unwrap_or(USUAL), project };
    let found = app.readers().ask(move |reader| reader.hub_events(&filter)).await?;
    let document = |event: musher_core::hub::HubEvent| HubEvent {
        place: event.place,
        project: event.project,
        event: event.told.into(),
    };
    Ok(axum::Json(found.into_iter().map(document).collect()))
}

/// All projects, by name.
async fn all(app: &App) -> Result<Vec<HubProject>, Problem> {
    let mut projects = app
        .read(|state| {
            let names = shown_names(state.projects());
            state.projects().cloned().zip(names).collect::<Vec<_>>()
        })
        .await?;
    projects.sort_by(|(one, _), (other, _)| (&one.name, one.id).cmp(&(&other.name, other.id)));
    let mut counts = app.readers().ask(|reader| reader.hub_counts()).await?;
    let document = |(row, shown): (musher_core::hub::Project, String)| {
        let HubCounts { missions, items } = counts.remove(&row.id).unwrap_or_default();
        HubProject {
            id: row.id,
            short_id: row.id.short(),
            name: row.name.into(),
            shown,
            mark: row.mark.into(),
            events: row.events,
            since: row.since,
            heard_at: row.heard_at,
            missions,
            items,
        }
    };
    Ok(projects.into_iter().map(document).collect())
}

/// The project that was typed: its id, the beginning of one, or its name when no other has it.
async fn find(app: &App, typed: &str) -> Result<HubProject, Problem> {
    let projects = all(app).await?;
    let named = |id: ProjectId| matches_prefix(&id.to_string(), &id.short(), typed);
    let mut found: Vec<HubProject> = projects.iter().filter(|project| named(project.id)).cloned().collect();
    if found.is_empty() {
        found = projects.iter().filter(|project| project.name == typed || project.shown == typed).cloned().collect();
    }
    match found.len() {
        1 => found.pop().ok_or_else(|| unknown(typed, &projects)),
        0 => Err(unknown(typed, &projects)),
        _ => Err(ambiguous("project", typed, found.into_iter().map(|project| project.shown).collect())),
    }
}

fn unknown(typed: &str, projects: &[HubProject]) -> Problem {
    let near = musher_core::nearest::nearest(typed, projects.iter().map(|project| project.name.as_str()));
    let fix = near.map_or_else(
        || "`musher hub projects` shows those that have told this hub something".to_owned(),
        |near| format!("did you mean `{near}`?"),
    );
    Problem::new(404, "not_found", format!("no project `{typed}`")).fix(fix)
}

fn ambiguous(noun: &str, typed: &str, candidates: Vec<String>) -> Problem {
    let problem = Problem::new(409, "ambiguous", format!("`{typed}` names more than one {noun}"));
    let why = (!candidates.is_empty()).then(|| candidates.join("\n"));
    Problem { candidates, why, ..problem.fix("type its id, or the last digits of it") }
}
