//! The adapter to the Model Context Protocol: the one module that knows its crate.
//!
//! Nothing is kept between two requests, so that a daemon that was restarted goes on with the same clients.

use std::sync::Arc;

use axum::Router;
use axum::http::request::Parts;
use musher_core::id::{CallId, RunId};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorCode, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool, ToolAnnotations,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, ServerHandler};
use serde_json::Value;

use super::call::{self, Said};
use super::{ASK_AGAIN, CALL_HEADER, LONGEST, PATH, arguments, new_call};
use crate::api::Problem;
use crate::app::App;

/// What agents are told of the server as a whole.
const INSTRUCTIONS: &str = "Musher gave you your work item and checks the result itself. Say where you are with \
    report_progress, ask with ask_operator what only a person can decide, and say with submit_result what you end with.";

/// The path of the protocol; whoever serves it must put the run into each request.
pub(crate) fn router(app: App) -> Router {
    let mut config = StreamableHttpServerConfig::default();
    config.legacy_session_mode = false;
    config.json_response = true;
    config.max_request_body_bytes = LONGEST;
    let config = config.enforce_origin_validation();
    let handler = Handler { app };
    let service =
        StreamableHttpService::new(move || Ok(handler.clone()), Arc::new(LocalSessionManager::default()), config);
    Router::new().route_service(PATH, service)
}

#[derive(Clone)]
struct Handler {
    app: App,
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let capabilities = ServerCapabilities::builder().enable_tools().build();
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("musher", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools()))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        tools().into_iter().find(|tool| tool.name == name)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let parts = context.extensions.get::<Parts>();
        let run = parts.and_then(|parts| parts.extensions.get::<RunId>()).copied();
        let run = run.ok_or_else(|| ErrorData::internal_error("nobody knows whose run this is", None))?;
        let call = match parts.and_then(named) {
            Some(call) => call,
            None => new_call().map_err(|error| ErrorData::internal_error(format!("no randomness: {error}"), None))?,
        };
        let arguments = request.arguments.map(Value::Object).unwrap_or_else(|| Value::Object(Default::default()));
        let text = |text: String| vec![ContentBlock::text(text)];
        let used = tokio::select! {
            used = call::call(&self.app, run, &request.name, arguments, call) => used,
            () = context.ct.cancelled() => return Ok(CallToolResult::error(text("cancelled".to_owned())).into()),
        };
        match used {
            Ok(Said::Text(said)) => Ok(CallToolResult::success(text(said)).into()),
            Ok(Said::Again) => {
                Err(ErrorData::new(ErrorCode(ASK_AGAIN), "musher is going; ask again in a moment", None))
            }
            // What the agent did wrong, it must be able to read.
            Err(problem) => Ok(CallToolResult::error(text(words(&problem))).into()),
        }
    }
}

/// A problem with its reason and its fix.
fn words(problem: &Problem) -> String {
    let parts = [Some(problem.to_string()), problem.why.clone(), problem.fix.clone()];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

fn tools() -> Vec<Tool> {
    let described = |tool: arguments::Described| {
        let schema = tool.schema.as_object().cloned().unwrap_or_default();
        let annotations = ToolAnnotations::new().read_only(tool.reads).destructive(false).open_world(false);
        Tool::new(tool.name, tool.words, Arc::new(schema)).with_annotations(annotations)
    };
    arguments::all().into_iter().map(described).collect()
}

/// The name of this use, if the client gave it one.
fn named(parts: &Parts) -> Option<CallId> {
    parts.headers.get(CALL_HEADER)?.to_str().ok()?.parse().ok()
}
