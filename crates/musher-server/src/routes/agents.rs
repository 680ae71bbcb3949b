//! Agents: list, add, pause, resume, drain, restart, remove.

use axum::extract::State;
use axum::http::StatusCode;
use musher_core::command::Command;
use musher_core::id::AgentId;
use musher_engine::programs;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{AgentDocument, Agents, NewAgent, Problem};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::{Json, Name};
use crate::{problem, resolve, view};

/// The longest name of an agent, in bytes.
const LONGEST_NAME: usize = 64;

type Answered<T> = Result<axum::Json<T>, Problem>;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(show, remove))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(drain))
        .routes(routes!(restart))
}

/// Lists agents
#[utoipa::path(get, path = "/v1/agents", tag = "agents",
    responses((status = 200, body = Agents), (status = "default", body = Problem)))]
async fn list(State(app): State<App>) -> Answered<Agents> {
    Ok(axum::Json(Agents { agents: app.read(view::agent::agents).await? }))
}

/// Adds an agent
#[utoipa::path(post, path = "/v1/agents", tag = "agents", request_body = NewAgent,
    responses((status = 201, body = AgentDocument), (status = "default", body = Problem)))]
async fn add(
    State(app): State<App>,
    caller: Caller,
    Json(wish): Json<NewAgent>,
) -> Result<(StatusCode, axum::Json<AgentDocument>), Problem> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if wish.name.is_empty() || wish.name.len() > LONGEST_NAME || !wish.name.chars().all(plain) {
        return Err(Problem::new(422, "invalid", format!("`{}` is no name of an agent", wish.name))
            .fix("1 to 64 letters, digits, `-`, `_` and `.`"));
    }
    let name = wish.name.clone();
    app.send(&caller, Command::AddAgent(Box::new(wish.into()))).await?;
    let id = resolve::agent(&app, &name).await?;
    look(&app, id).await?;
    Ok((StatusCode::CREATED, document(&app, id).await?))
}

/// Looks for its program, so that one that cannot work is not said to be idle.
async fn look(app: &App, id: AgentId) -> Result<(), Problem> {
    programs::check(app.engine(), id).await.map_err(problem::of_engine)
}

async fn document(app: &App, id: AgentId) -> Answered<AgentDocument> {
    let read = move |state: &musher_core::state::State| {
        state.agent(id).map(|row| (view::agent::agent(state, row), NewAgent::from(row.spec.clone())))
    };
    let found = app.read(read).await?;
    let (agent, definition) =
        found.ok_or_else(|| Problem::new(404, "not_found", format!("no agent `{}`", id.short())))?;
    Ok(axum::Json(AgentDocument { agent, definition: Some(definition) }))
}

/// Shows an agent
#[utoipa::path(get, path = "/v1/agents/{name}", tag = "agents", params(("name" = String, Path)),
    responses((status = 200, body = AgentDocument), (status = "default", body = Problem)))]
async fn show(State(app): State<App>, Name(typed): Name) -> Answered<AgentDocument> {
    let id = resolve::agent(&app, &typed).await?;
    document(&app, id).await
}

async fn told(app: &App, caller: &Caller, typed: &str, command: fn(AgentId) -> Command) -> Answered<AgentDocument> {
    let id = resolve::agent(app, typed).await?;
    app.send(caller, command(id)).await?;
    document(app, id).await
}

async fn told_to_work(
    app: &App,
    caller: &Caller,
    typed: &str,
    command: fn(AgentId) -> Command,
) -> Answered<AgentDocument> {
    let id = resolve::agent(app, typed).await?;
    app.send(caller, command(id)).await?;
    look(app, id).await?;
    document(app, id).await
}

/// Removes an agent; its live runs go on to their end
#[utoipa::path(delete, path = "/v1/agents/{name}", tag = "agents", params(("name" = String, Path)),
    responses((status = 200, body = AgentDocument), (status = "default", body = Problem)))]
async fn remove(State(app): State<App>, caller: Caller, Name(typed): Name) -> Answered<AgentDocument> {
    told(&app, &caller, &typed, Command::RemoveAgent).await
}

/// Gives an agent nothing new until it is resumed
#[utoipa::path(post, path = "/v1/agents/{name}/pause", tag = "agents", params(("name" = String, Path)),
    responses((status = 200, body = AgentDocument), (status = "default", body = Problem)))]
async fn pause(State(app): State<App>, caller: Caller, Name(typed): Name) -> Answered<AgentDocument> {
    told(&app, &caller, &typed, Command::PauseAgent).await
}

/// Gives an agent work again
#[utoipa::path(post, path = "/v1/agents/{name}/resume", tag = "agents", params(("name" = String, Path)),
    responses((status = 200, body = AgentDocument), (status = "default", body = Problem)))]
async fn resume(State(app): State<App>, caller: Caller, Name(typed): Name) -> Answered<AgentDocument> {
    told_to_work(&app, &caller, &typed, Command::ResumeAgent).await
}

/// Lets an agent finish what it has and gives it nothing new
#[utoipa::path(post, path = "/v1/agents/{name}/drain", tag = "agents", params(("name" = String, Path)),
    responses((status = 200, body = AgentDocument), (status = "default", body = Problem)))]
async fn drain(State(app): State<App>, caller: Caller, Name(typed): Name) -> Answered<AgentDocument> {
    told(&app, &caller, &typed, Command::DrainAgent).await
}

/// Interrupts an agent's runs and lets it take work again
#[utoipa::path(post, path = "/v1/agents/{name}/restart", tag = "agents", params(("name" = String, Path)),
    responses((status = 200, body = AgentDocument), (status = "default", body = Problem)))]
async fn restart(State(app): State<App>, caller: Caller, Name(typed): Name) -> Answered<AgentDocument> {
    told_to_work(&app, &caller, &typed, Command::RestartAgent).await
}
