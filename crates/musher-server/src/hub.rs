//! The door of a hub: whoever shows one of its tokens may tell it what happens in a project, and nothing else.
//!
//! The owner's own token and the socket's owner are not asked here: a project is on another machine, and what it shows opens
//! this door alone. What comes through it is bounded before it is read.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use musher_core::command::{Actor, Answer, Command};
use musher_core::hub::{Mark, Post, Verdict};
use musher_core::id::ProjectId;
use tokio::sync::Semaphore;
use tracing::warn;

use crate::api::{Problem, RelayAnswer, RelayPost};
use crate::app::App;
use crate::problem;
use crate::token::same;

/// The most bytes that a project may tell at once.
pub(crate) const LONGEST: usize = 1 << 20;
/// How many projects are listened to at the same moment; together they hold at most so many times [`LONGEST`] bytes.
const AT_ONCE: usize = 16;
/// How long a telling may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(20);
/// The least characters of a token.
pub const SHORTEST_TOKEN: usize = 16;

/// The door; clones are the same.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    tokens: RwLock<Option<Vec<String>>>,
    places: Semaphore,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hub")
    }
}

impl Default for Hub {
    fn default() -> Self {
        Self { inner: Arc::new(Inner { tokens: RwLock::default(), places: Semaphore::new(AT_ONCE) }) }
    }
}

impl Hub {
    /// Makes the daemon a hub that these tokens open; none at all is no hub.
    pub fn set(&self, tokens: Option<Vec<String>>) {
        *self.inner.tokens.write().unwrap_or_else(PoisonError::into_inner) = tokens;
    }

    /// Whether the daemon is a hub.
    pub(crate) fn is_open(&self) -> bool {
        self.inner.tokens.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Refuses whoever shows no token of this hub, and what a web page could have sent.
    fn check(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let tokens = self.inner.tokens.read().unwrap_or_else(PoisonError::into_inner);
        let tokens = tokens
            .as_ref()
            .ok_or_else(|| Problem::new(404, "no_hub", "this daemon is no hub").fix("`musher up --hub` starts one"))?;
        if headers.contains_key(header::ORIGIN) {
            return Err(Problem::new(403, "wrong_origin", "requests of web pages are refused"));
        }
        let shown = headers.get(header::AUTHORIZATION).map(|h| h.as_bytes()).unwrap_or_default();
        let shown = shown.strip_prefix(b"Bearer ").unwrap_or_default();
        // Every one is looked at, so that the time says nothing of which was right.
        let right = tokens.iter().fold(false, |right, token| same(shown, token.as_bytes()) | right);
        if right {
            return Ok(());
        }
        warn!("a project showed no token of this hub");
        Err(Problem::new(401, "no_token", "the hub does not know this token")
            .fix("`token` in [relay] must be one of `tokens` in [hub] of the hub's musher.toml"))
    }

    /// How far the hub was told by a project.
    pub(crate) async fn mark(&self, app: &App, headers: &HeaderMap, project: &str) -> Result<RelayAnswer, Problem> {
        self.check(headers)?;
        let id: ProjectId = project.parse().map_err(|_| Problem::new(422, "invalid", "that is no id of a project"))?;
        let mark = app.read(move |state| state.project(id).map(|project| project.mark)).await?;
        Ok(answer(false, mark))
    }

    /// Takes what a project tells.
    pub(crate) async fn take(&self, app: &App, headers: &HeaderMap, body: Body) -> Result<RelayAnswer, Problem> {
        self.check(headers)?;
        let _place = self.inner.places.acquire().await.map_err(|_| Problem::new(503, "busy", "the hub ends"))?;
        let body = arrived(body).await?;
        let post: RelayPost =
            serde_json::from_slice(&body).map_err(|error| Problem::new(422, "invalid", error.to_string()))?;
        drop(body);
        let post = Post::from(post).read().map_err(|refused| problem::of_refusal(&refused))?;
        let actor = Actor::Operator(format!("project:{}", post.project.short()).into());
        let said = app.engine().send(actor, Command::TakeRelayed(Box::new(post))).await.map_err(problem::of_engine)?;
        Ok(match said {
            Answer::Relayed(Verdict::Taken(mark)) => answer(true, Some(mark)),
            Answer::Relayed(Verdict::Moved(mark)) => answer(false, mark),
            Answer::Done
            | Answer::Mission(_)
            | Answer::Agent(_)
            | Answer::Note(_)
            | Answer::Help(_)
            | Answer::Item(_)
            | Answer::Schedule(_)
            | Answer::Trigger(_)
            | Answer::Watch(_)
            | Answer::Messages(_)
            | Answer::Webhook(_) => answer(false, None),
        })
    }
}

fn answer(taken: bool, mark: Option<Mark>) -> RelayAnswer {
    RelayAnswer { taken, mark: mark.map(Into::into) }
}

async fn arrived(body: Body) -> Result<Bytes, Problem> {
    match tokio::time::timeout(ARRIVAL, axum::body::to_bytes(body, LONGEST)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error))
            if std::error::Error::source(&error).is_some_and(|e| e.is::<http_body_util::LengthLimitError>()) =>
        {
            Err(Problem::new(413, "too_large", format!("more than {LONGEST} bytes at once")))
        }
        Ok(Err(_)) => Err(Problem::new(400, "broken_body", "the body did not arrive as a whole")),
        Err(_) => Err(Problem::new(408, "slow", format!("the body did not arrive within {} s", ARRIVAL.as_secs()))),
    }
}

/// Refuses at a hub what would begin work there: it dispatches nothing.
pub(crate) async fn works_not(
    axum::extract::State(app): axum::extract::State<App>,
    request: Request,
    next: Next,
) -> Response {
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    let path = request.uri().path();
    let of_hub = ["/v1/hub/", "/v1/sinks/"].iter().any(|begin| path.starts_with(begin))
        || ["/v1/backup", "/v1/shutdown"].contains(&path);
    if reads || of_hub || !app.hub().is_open() {
        return next.run(request).await;
    }
    Problem::new(409, "hub", "this daemon is a hub: it dispatches nothing")
        .fix("do it in the project's own folder, where a daemon of its own runs")
        .into_response()
}
