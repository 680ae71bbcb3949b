//! The event stream: what a hundred readers at once get, and what they cost the writer, through a real socket.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use musher_core::agent::AgentSpec;
use musher_core::command::{Actor, Command, Report};
use musher_core::config::ProjectSettings;
use musher_core::effect::Stop;
use musher_engine::driver::{Drivers, Forge, Git, LeftOver, Program, Reports, Runs, Swept, Web, Work};
use musher_engine::job::{Checkout, Diff, ForgeJob, GitJob, RunJob, Script, ScriptEnd, TellJob};
use musher_engine::{Engine, EngineConfig, Paths, SystemClock};
use musher_server::{About, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use super::{BenchError, Figure, Options, fresh, open, remove};

/// How many read at once.
const READERS: u32 = 100;
/// How many commands wait for the writer at once, each of which becomes an event.
const IN_FLIGHT: u32 = 256;

struct Timing {
    /// Seconds until the last event was on disk.
    written_s: f64,
    /// Seconds until every reader had it.
    read_s: f64,
}

pub(super) fn measure(options: &Options, figures: &mut Vec<Figure>) -> Result<(), BenchError> {
    let events = if options.quick { 2_000 } else { 20_000 };
    let runtime = tokio::runtime::Runtime::new().map_err(BenchError::io(&options.dir))?;
    let folder = fresh(&options.dir, "stream")?;
    let (none, one, many) = runtime.block_on(async {
        let (engine, server) = daemon(&folder).await?;
        let mut timings = Vec::new();
        // The first round warms the machine up.
        for (round, readers) in [0, 0, 1, READERS].into_iter().enumerate() {
            timings.push(round_of(&engine, readers, events, round).await?);
        }
        server.stop().await;
        engine.stop().await;
        Ok::<_, BenchError>((timings.remove(1), timings.remove(1), timings.remove(1)))
    })?;
    drop(runtime);
    remove(&folder)?;
    let rate = |seconds: f64| f64::from(events) / seconds;
    figures.push(Figure::plain("events written while nobody reads", rate(none.written_s), "/s"));
    figures.push(Figure::plain("event stream to one reader", rate(one.read_s), "/s"));
    let name = format!("event stream to {READERS} readers, each");
    figures.push(Figure::plain(name, rate(many.read_s), "/s"));
    figures.push(Figure::plain("… to what one reader gets", one.read_s / many.read_s, ""));
    figures.push(Figure::plain("… all of them together", rate(many.read_s) * f64::from(READERS), "/s"));
    figures.push(Figure::plain("… events written meanwhile", rate(many.written_s), "/s"));
    figures.push(Figure::plain("… to those while nobody reads", none.written_s / many.written_s, ""));
    Ok(())
}

async fn daemon(folder: &Path) -> Result<(Engine, Server), BenchError> {
    let failed = |error: &dyn std::error::Error| BenchError::Machine(error.to_string());
    let paths = Paths::of(folder);
    std::fs::create_dir_all(&paths.state).map_err(BenchError::io(&paths.state))?;
    let config = EngineConfig {
        store: Box::new(open(&paths.state)?),
        clock: Arc::new(SystemClock),
        seed: 23,
        drivers: Drivers {
            git: Arc::new(Nobody),
            runs: Arc::new(Nobody),
            forge: Arc::new(Nobody),
            web: Arc::new(Nobody),
        },
        paths: paths.clone(),
        look_every: musher_engine::watchdog::EVERY,
        first: Vec::new(),
    };
    let (engine, _) = Engine::start(config).await.map_err(|error| failed(&error))?;
    let mut server = Server::new(engine.clone(), About::this("bench"));
    server.serve_socket(&paths.socket()).await.map_err(|error| failed(&error))?;
    Ok((engine, server))
}

/// So many events while so many read; all of them have begun to before the first is written.
async fn round_of(engine: &Engine, readers: u32, events: u32, round: usize) -> Result<Timing, BenchError> {
    let after = engine.seq().borrow().0;
    let socket = engine.paths().socket();
    let mut reading = JoinSet::new();
    for _ in 0..readers {
        let stream = follow(&socket, after).await.map_err(BenchError::io(&socket))?;
        reading.spawn(read(stream, events));
    }
    let started = Instant::now();
    let mut writing = JoinSet::new();
    for part in 0..IN_FLIGHT {
        let engine = engine.clone();
        writing.spawn(async move {
            for n in (part..events).step_by(IN_FLIGHT as usize) {
                let gate = Some(format!("round {round}, event {n}"));
                let settings = ProjectSettings { gate, ..ProjectSettings::default() };
                let actor = Actor::Operator("bench".into());
                engine.send(actor, Command::Configure(Box::new(settings))).await?;
            }
            Ok::<_, musher_engine::EngineError>(())
        });
    }
    while let Some(done) = writing.join_next().await {
        let done = done.map_err(|error| BenchError::Machine(error.to_string()))?;
        done.map_err(|error| BenchError::Machine(error.to_string()))?;
    }
    let written_s = started.elapsed().as_secs_f64();
    while let Some(done) = reading.join_next().await {
        let done = done.map_err(|error| BenchError::Machine(error.to_string()))?;
        done.map_err(BenchError::io(&socket))?;
    }
    Ok(Timing { written_s, read_s: started.elapsed().as_secs_f64() })
}

/// A reader whose answer has begun. It only counts lines: what a reader makes of them is not musher's to measure.
async fn follow(socket: &Path, after: u64) -> std::io::Result<UnixStream> {
    let mut stream = UnixStream::connect(socket).await?;
    let request = format!("GET /v1/events/stream?after={after} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    if head.starts_with(b"HTTP/1.1 200") {
        return Ok(stream);
    }
    Err(std::io::Error::other(String::from_utf8_lossy(&head).into_owned()))
}

async fn read(mut stream: UnixStream, events: u32) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    let (mut seen, mut last) = (0, 0);
    while seen < events {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Err(std::io::Error::other(format!("the stream ended after {seen} events")));
        }
        for byte in &buffer[..n] {
            // An event ends its line; the lengths of chunks stand between others.
            seen += u32::from(last == b'}' && *byte == b'\n');
            last = *byte;
        }
    }
    Ok(())
}

/// Drivers of a daemon that has nothing to do.
struct Nobody;

impl Git for Nobody {
    fn carry_out(&self, _: GitJob) -> Work<Report> {
        Box::pin(std::future::pending())
    }

    fn checkout(&self, _: Checkout) -> Work<Result<(), String>> {
        Box::pin(std::future::pending())
    }

    fn base(&self, _: std::path::PathBuf, _: Option<String>) -> Work<Result<String, String>> {
        Box::pin(std::future::pending())
    }

    fn diff(&self, _: Diff) -> Work<Result<String, String>> {
        Box::pin(std::future::pending())
    }

    fn left_over(&self, _: std::path::PathBuf, _: std::path::PathBuf) -> Work<Result<Vec<LeftOver>, String>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

impl Forge for Nobody {
    fn carry_out(&self, _: ForgeJob) -> Work<Report> {
        Box::pin(std::future::pending())
    }
}

impl Web for Nobody {
    fn fetch(&self, _: String) -> Work<Report> {
        Box::pin(std::future::pending())
    }
}

impl Runs for Nobody {
    fn run(&self, _: RunJob, _: Reports) -> Work<Report> {
        Box::pin(std::future::pending())
    }

    fn stop(&self, _: std::path::PathBuf, _: Stop) -> Work<()> {
        Box::pin(std::future::pending())
    }

    fn tell(&self, _: TellJob) -> Work<bool> {
        Box::pin(std::future::pending())
    }

    fn script(&self, _: Script) -> Work<ScriptEnd> {
        Box::pin(std::future::pending())
    }

    fn look(&self, _: std::path::PathBuf, _: AgentSpec, _: Option<Box<str>>) -> Work<Program> {
        Box::pin(async { Program::Unknown })
    }

    fn silent(&self, _: Vec<std::path::PathBuf>) -> Work<Vec<(std::path::PathBuf, i32)>> {
        Box::pin(async { Vec::new() })
    }

    fn sweep(&self, _: Vec<std::path::PathBuf>, _: Vec<std::path::PathBuf>) -> Work<Swept> {
        Box::pin(async { Swept::default() })
    }
}
