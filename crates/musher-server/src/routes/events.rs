//! Events: what happened, from any place in the log, and what happens.

use std::io;

use axum::extract::State;
use axum::response::Response;
use musher_core::event::CATALOGUE;
use musher_core::id::Seq;
use musher_core::nearest::nearest;
use musher_store::EventFilter;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{Event, EventQuery, Problem};
use crate::app::App;
use crate::extract::Asked;
use crate::stream::{self, Chunks};
use crate::{resolve, view};

/// How many events an answer has when nothing is said.
const USUAL: u32 = 1_000;
/// How many events a stream reads at once.
const CHUNK: u32 = 500;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(follow))
}

/// Lists events
#[utoipa::path(get, path = "/v1/events", tag = "events", params(EventQuery),
    responses((status = 200, body = Vec<Event>), (status = "default", body = Problem)))]
async fn list(State(app): State<App>, Asked(query): Asked<EventQuery>) -> Result<axum::Json<Vec<Event>>, Problem> {
    let filter = filter(&app, &query, query.limit.unwrap_or(USUAL)).await?;
    let events = app.readers().ask(move |reader| reader.events(&filter)).await?;
    Ok(axum::Json(events.into_iter().map(view::event::event).collect()))
}

/// Sends events as they happen, one a line, without an end
///
/// Whoever was cut off asks again with `after` the last `seq` that arrived, and misses nothing.
#[utoipa::path(get, path = "/v1/events/stream", tag = "events", params(EventQuery),
    responses((status = 200, body = Event, content_type = "application/x-ndjson"),
        (status = "default", body = Problem)))]
async fn follow(State(app): State<App>, Asked(query): Asked<EventQuery>) -> Result<Response, Problem> {
    let filter = filter(&app, &query, CHUNK).await?;
    let (mut chunks, response) = stream::lines(&app)?;
    tokio::spawn(async move {
        if let Err(problem) = send(&app, filter, &mut chunks).await {
            chunks.fail(io::Error::other(problem.to_string())).await;
        }
    });
    Ok(response)
}

async fn filter(app: &App, query: &EventQuery, limit: u32) -> Result<EventFilter, Problem> {
    let mission = match &query.mission {
        Some(typed) => Some(resolve::mission(app, typed).await?),
        None => None,
    };
    let item = match &query.item {
        Some(typed) => Some(resolve::item(app, typed).await?),
        None => None,
    };
    let kinds = kinds(query.kind.as_deref())?;
    Ok(EventFilter { after: Seq(query.after), limit, mission, item, kinds })
}

fn kinds(words: Option<&str>) -> Result<Vec<Box<str>>, Problem> {
    let words = words.unwrap_or_default().split(',').map(str::trim).filter(|word| !word.is_empty());
    words
        .map(|word| {
            let known = || CATALOGUE.iter().map(|(name, ..)| *name);
            if known().any(|name| name == word) {
                return Ok(word.into());
            }
            let problem = Problem::new(422, "invalid", format!("no event is named `{word}`"));
            Err(match nearest(word, known()) {
                Some(near) => problem.fix(format!("did you mean `{near}`?")),
                None => problem.fix("the reference lists every event"),
            })
        })
        .collect()
}

/// Reads from a cursor of its own, woken by the log's end: it can be slow, but it cannot miss anything.
async fn send(app: &App, mut filter: EventFilter, out: &mut Chunks) -> Result<(), Problem> {
    let mut seq = app.engine().seq();
    loop {
        seq.borrow_and_update();
        let found = app.tail().after(&filter).await?;
        filter.after = found.looked;
        if !found.lines.is_empty() && !out.send(found.lines.into()).await {
            return Ok(());
        }
        if !found.is_all {
            continue;
        }
        tokio::select! {
            biased;
            () = out.over() => return Ok(()),
            changed = seq.changed() => if changed.is_err() { return Ok(()) },
        }
    }
}
