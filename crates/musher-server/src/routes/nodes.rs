//! AgentNodes: list, heartbeat.

use axum::extract::State;
use musher_core::command::Command;
use musher_core::nearest::nearest;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{AgentNodeDocument, AgentNodes, Problem};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::Name;
use crate::view;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(heartbeat))
}

/// Lists the nodes that agents name
#[utoipa::path(get, path = "/v1/nodes", tag = "nodes",
    responses((status = 200, body = AgentNodes), (status = "default", body = Problem)))]
async fn list(State(app): State<App>) -> Result<axum::Json<AgentNodes>, Problem> {
    Ok(axum::Json(AgentNodes { nodes: app.read(view::node::nodes).await? }))
}

/// Says that a node is there; its agents take work for a minute from now
#[utoipa::path(post, path = "/v1/nodes/{name}/heartbeat", tag = "nodes", params(("name" = String, Path)),
    responses((status = 200, body = AgentNodeDocument), (status = "default", body = Problem)))]
async fn heartbeat(
    State(app): State<App>,
    caller: Caller,
    Name(typed): Name,
) -> Result<axum::Json<AgentNodeDocument>, Problem> {
    let name = typed.clone();
    let known: Vec<String> = app.read(|state| state.nodes().map(|(name, _)| name.to_owned()).collect()).await?;
    if !known.contains(&typed) {
        let near = nearest(&typed, known.iter().map(String::as_str));
        let fix = near.map(|near| format!("did you mean `{near}`?"));
        let fix = fix.unwrap_or_else(|| format!("give the agent that works there `node = \"{typed}\"`"));
        return Err(unknown(&typed).fix(fix));
    }
    app.send(&caller, Command::Heartbeat(name.as_str().into())).await?;
    let node = app.read(move |state| view::node::node(state, &name)).await?;
    Ok(axum::Json(AgentNodeDocument { node: node.ok_or_else(|| unknown(&typed))? }))
}

fn unknown(name: &str) -> Problem {
    Problem::new(404, "not_found", format!("no agent names the node `{name}`"))
}
