//! Runs: look at, listen to, end.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use musher_agents::driver::Beginning;
use musher_core::command::Command;
use musher_core::effect::{Stop, When};
use musher_core::id::RunId;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{LogLine, LogQuery, Message, Problem, RunDocument};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::{Asked, Json, Name};
use crate::resolve;
use crate::stream::{self, Chunks};
use crate::view::{self, Archive};

/// The transcript in a run's folder.
const TRANSCRIPT: &str = "out.ndjson";
/// How many bytes of it are sent at once.
const CHUNK: usize = 64 << 10;
/// How often a followed transcript is looked at while its run is silent: a file has no event that every system tells.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

type Answered<T> = Result<axum::Json<T>, Problem>;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(log))
        .routes(routes!(interrupt))
        .routes(routes!(kill))
        .routes(routes!(send_message))
}

async fn document(app: &App, id: RunId) -> Answered<RunDocument> {
    let row = app.readers().ask(move |reader| reader.run(id)).await?;
    let row = row.ok_or_else(|| Problem::new(404, "not_found", format!("no run `{}`", id.short())))?;
    let agent = row.agent;
    let (names, spec) =
        app.read(move |state| (view::agent_names(state), state.agent(agent).map(|agent| agent.spec.clone()))).await?;
    let folder = app.engine().paths().run(&id.to_string());
    let begun = tokio::task::spawn_blocking(move || Beginning::of(&folder)).await;
    // An unreadable beginning is none: the run itself is shown all the same.
    let speech = match begun {
        Ok(Ok(Some(begun))) => Some(view::run::speech(&begun)),
        Ok(Ok(None) | Err(_)) | Err(_) => spec.and_then(|spec| view::run::speech_to_be(&row, &spec)),
    };
    Ok(axum::Json(RunDocument { run: view::run::run(&row, &Archive::of(names, &[])), speech }))
}

/// Shows a run
#[utoipa::path(get, path = "/v1/runs/{id}", tag = "runs", params(("id" = String, Path)),
    responses((status = 200, body = RunDocument), (status = "default", body = Problem)))]
async fn show(State(app): State<App>, Name(typed): Name) -> Answered<RunDocument> {
    let id = resolve::run(&app, &typed).await?;
    document(&app, id).await
}

/// Interrupts a run
#[utoipa::path(post, path = "/v1/runs/{id}/interrupt", tag = "runs", params(("id" = String, Path)),
    responses((status = 200, body = RunDocument), (status = "default", body = Problem)))]
async fn interrupt(State(app): State<App>, caller: Caller, Name(typed): Name) -> Answered<RunDocument> {
    let id = resolve::run(&app, &typed).await?;
    app.send(&caller, Command::StopRun(id, Stop::Interrupt)).await?;
    document(&app, id).await
}

/// Kills a run
#[utoipa::path(post, path = "/v1/runs/{id}/kill", tag = "runs", params(("id" = String, Path)),
    responses((status = 200, body = RunDocument), (status = "default", body = Problem)))]
async fn kill(State(app): State<App>, caller: Caller, Name(typed): Name) -> Answered<RunDocument> {
    let id = resolve::run(&app, &typed).await?;
    app.send(&caller, Command::StopRun(id, Stop::Kill)).await?;
    document(&app, id).await
}

/// Gives a running agent a message
#[utoipa::path(post, path = "/v1/runs/{id}/send", tag = "runs", params(("id" = String, Path)),
    request_body = Message, responses((status = 200, body = RunDocument), (status = "default", body = Problem)))]
async fn send_message(
    State(app): State<App>,
    caller: Caller,
    Name(typed): Name,
    Json(message): Json<Message>,
) -> Answered<RunDocument> {
    let id = resolve::run(&app, &typed).await?;
    let when = if message.now { When::Now } else { When::Next };
    app.send(&caller, Command::TellRun(id, message.text.into(), when)).await?;
    document(&app, id).await
}

/// Sends a run's transcript, one JSON document a line
#[utoipa::path(get, path = "/v1/runs/{id}/log", tag = "runs", params(("id" = String, Path), LogQuery),
    responses((status = 200, body = LogLine, content_type = "application/x-ndjson"),
        (status = "default", body = Problem)))]
async fn log(State(app): State<App>, Name(typed): Name, Asked(query): Asked<LogQuery>) -> Result<Response, Problem> {
    let id = resolve::run(&app, &typed).await?;
    let file = app.engine().paths().run(&id.to_string()).join(TRANSCRIPT);
    if !is_live(&app, id).await? && !tokio::fs::try_exists(&file).await.unwrap_or(false) {
        return Err(Problem::new(410, "no_transcript", format!("run `{}` has no transcript any more", id.short()))
            .why("it never started, or its transcript was removed after `retention`"));
    }
    let (mut chunks, response) = stream::lines(&app)?;
    let transcript = Transcript { file, offset: query.offset, opened: None };
    tokio::spawn(async move {
        if let Err(error) = send(&app, id, transcript, query.follow, &mut chunks).await {
            chunks.fail(error).await;
        }
    });
    Ok(response)
}

async fn is_live(app: &App, id: RunId) -> Result<bool, Problem> {
    app.read(move |state| state.run(id).is_some()).await
}

/// Sends what there is, and as long as the run lives what comes.
async fn send(app: &App, id: RunId, mut transcript: Transcript, follow: bool, out: &mut Chunks) -> io::Result<()> {
    let mut seq = app.engine().seq();
    let mut over = !follow;
    loop {
        seq.borrow_and_update();
        if !over {
            // Asked before the file is read: what was said until the end is in the file by then.
            over = !is_live(app, id).await.unwrap_or(false);
        }
        if !transcript.send_rest(out).await? || over {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = out.over() => return Ok(()),
            changed = seq.changed() => if changed.is_err() { return Ok(()) },
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
    }
}

/// A transcript, read as far as it goes.
struct Transcript {
    file: PathBuf,
    offset: u64,
    opened: Option<File>,
}

impl Transcript {
    /// Sends what was not sent yet; says whether anyone still reads.
    async fn send_rest(&mut self, out: &mut Chunks) -> io::Result<bool> {
        let file = match &mut self.opened {
            Some(file) => file,
            none => match File::open(&self.file).await {
                Ok(mut file) => {
                    file.seek(io::SeekFrom::Start(self.offset)).await?;
                    none.insert(file)
                }
                // Its host has not begun yet.
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
                Err(error) => return Err(error),
            },
        };
        loop {
            let mut chunk = vec![0; CHUNK];
            let read = file.read(&mut chunk).await?;
            if read == 0 {
                return Ok(true);
            }
            chunk.truncate(read);
            if !out.send(Bytes::from(chunk)).await {
                return Ok(false);
            }
        }
    }
}
