//! A daemon in a folder of its own, with drivers that do what the test says.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use musher_core::agent::AgentSpec;
use musher_core::command::{Actor, Command, Inspection, Landing, Preparation, Push, Rebase, Report};
use musher_core::config::ProjectSettings;
use musher_core::effect::Stop;
use musher_core::forge::ForgeFailure;
use musher_core::merge::Link;
use musher_core::mission::Policy;
use musher_core::run::{Outcome, Usage};
use musher_engine::driver::{Drivers, Forge, Git, LeftOver, Program, Reports, Runs, Swept, Work};
use musher_engine::job::{Checkout, Diff, ForgeJob, GitJob, RunJob, Script, ScriptEnd, TellJob};
use musher_engine::{Clock, Engine, EngineConfig, Paths, StartReport, SystemClock};
use musher_server::api::{Event, EventQuery, Mission, NewAgent, NewItem, StartMission};
use musher_server::client::{ClientError, EventStream};
use musher_server::{About, Client, Server, WebDriver};
use musher_store::SqliteStore;
use tokio::sync::{Notify, Semaphore};

/// Git that always succeeds.
struct FakeGit;

impl Git for FakeGit {
    fn carry_out(&self, job: GitJob) -> Work<Report> {
        let report = match job {
            GitJob::CreateWorktree(_) => Report::WorktreeReady { base_commit: "base0".into() },
            GitJob::Inspect(_) => Report::Inspected(Inspection::Clean {
                head: "head1".into(),
                tree: "tree1".into(),
                files: 1,
                insertions: 2,
                deletions: 0,
            }),
            GitJob::PrepareMerge(job) => {
                let link = |commit: String, tree: String| Link { commit: commit.into(), tree: tree.into() };
                let links = (1..=job.members.len()).map(|n| link(format!("merge{n}"), format!("tree{}", n + 1)));
                let base = link("base0".to_owned(), "tree0".to_owned());
                Report::MergePrepared(Preparation { base, links: links.collect(), cut: None })
            }
            GitJob::Rebase(_) => Report::Rebased(Rebase::Done { head: "head2".into() }),
            GitJob::Land(_) => Report::LandingFinished(Landing::Landed),
            GitJob::PushBranch(_) => Report::Pushed(Push::Done),
            GitJob::RemoveWorktree(_) => Report::WorktreeKept { reason: "notes.txt is nowhere else".into() },
        };
        Box::pin(async move { report })
    }

    fn checkout(&self, _: Checkout) -> Work<Result<(), String>> {
        Box::pin(async { Ok(()) })
    }

    fn left_over(&self, _: PathBuf, _: PathBuf) -> Work<Result<Vec<LeftOver>, String>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn base(&self, _: PathBuf, named: Option<String>) -> Work<Result<String, String>> {
        Box::pin(async move { Ok(named.unwrap_or_else(|| "main".to_owned())) })
    }

    fn diff(&self, job: Diff) -> Work<Result<String, String>> {
        Box::pin(async move { Ok(format!("diff --git {}\n", job.branch)) })
    }
}

/// A forge that nobody is let into.
struct NoForge;

impl Forge for NoForge {
    fn carry_out(&self, _: ForgeJob) -> Work<Report> {
        Box::pin(async { Report::ForgeFailed(ForgeFailure::Refused("there is no token".into())) })
    }
}

/// Agents that say two lines, wait until the test lets them end, and say a third.
#[derive(Default)]
pub(crate) struct FakeRuns {
    stops: Mutex<HashMap<PathBuf, Arc<Notify>>>,
    ends: Ends,
}

struct Ends(Arc<Semaphore>);

impl Default for Ends {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }
}

impl FakeRuns {
    /// Lets so many runs end.
    pub(crate) fn end(&self, runs: usize) {
        self.ends.0.add_permits(runs);
    }
}

fn say(folder: &Path, seq: u64, text: &str) {
    use std::io::Write;
    std::fs::create_dir_all(folder).unwrap();
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("out.ndjson")).unwrap();
    let line = serde_json::json!({"seq": seq, "at": "2026-01-31T09:00:00Z", "stream": "stdout", "text": text});
    writeln!(file, "{line}").unwrap();
}

impl Runs for FakeRuns {
    fn run(&self, job: RunJob, reports: Reports) -> Work<Report> {
        let stop = Arc::new(Notify::new());
        self.stops.lock().unwrap().insert(job.folder.clone(), Arc::clone(&stop));
        let ends = Arc::clone(&self.ends.0);
        Box::pin(async move {
            say(&job.folder, 1, "one");
            say(&job.folder, 2, "two");
            reports(Report::RunStarted);
            let read = Usage { input_tokens: 10, cache_read_tokens: 4, cache_write_tokens: 3, ..Usage::default() };
            let usage = Usage { output_tokens: 5, cost_micro_usd: 250_000, ..read };
            let outcome = tokio::select! {
                () = stop.notified() => Outcome::Cancelled,
                permit = ends.acquire() => {
                    permit.unwrap().forget();
                    Outcome::Finished { summary: "did it".into(), no_change_needed: None, verdict: None }
                }
            };
            say(&job.folder, 3, "three");
            std::fs::write(job.folder.join("exit.json"), "{}").unwrap();
            Report::RunFinished { outcome, usage }
        })
    }

    fn tell(&self, _: TellJob) -> Work<bool> {
        Box::pin(async { true })
    }

    fn stop(&self, folder: PathBuf, _: Stop) -> Work<()> {
        let stop = self.stops.lock().unwrap().get(&folder).cloned();
        Box::pin(async move {
            if let Some(stop) = stop {
                stop.notify_one();
            }
        })
    }

    fn script(&self, _: Script) -> Work<ScriptEnd> {
        Box::pin(async { ScriptEnd::Exited { ok: true, exit: "exit 0".to_owned(), tail: String::new() } })
    }

    fn look(&self, _: PathBuf, _: AgentSpec, _: Option<Box<str>>) -> Work<Program> {
        Box::pin(async { Program::Unknown })
    }

    fn silent(&self, _: Vec<PathBuf>) -> Work<Vec<(PathBuf, i32)>> {
        Box::pin(async { Vec::new() })
    }

    fn sweep(&self, _: PathBuf, _: Vec<PathBuf>, _: Vec<PathBuf>) -> Work<Swept> {
        Box::pin(async { Swept::default() })
    }
}

/// A daemon and what the test holds of it.
pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) engine: Engine,
    pub(crate) runs: Arc<FakeRuns>,
    pub(crate) server: Server,
    pub(crate) client: Client,
}

impl World {
    /// A daemon with nothing in it.
    pub(crate) async fn empty() -> Self {
        Self::below("").await
    }

    /// A daemon in a folder somewhere below a new one.
    pub(crate) async fn below(path: &str) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), path, Arc::new(SystemClock)).await
    }

    /// A daemon on what another one left, or on nothing, with a clock of the test's own.
    pub(crate) async fn in_folder(folder: tempfile::TempDir, path: &str, clock: Arc<dyn Clock>) -> Self {
        Self::seeded(folder, path, clock, 7).await
    }

    /// The same with a source of chance of its own.
    pub(crate) async fn seeded(folder: tempfile::TempDir, path: &str, clock: Arc<dyn Clock>, seed: u64) -> Self {
        let paths = Paths::of(folder.path().join(path));
        std::fs::create_dir_all(&paths.state).unwrap();
        let runs = Arc::new(FakeRuns::default());
        let drivers = Drivers {
            git: Arc::new(FakeGit),
            runs: runs.clone(),
            forge: Arc::new(NoForge),
            web: Arc::new(WebDriver::default()),
        };
        let store = SqliteStore::open(&paths.state, SystemClock.now()).unwrap();
        let socket = paths.socket();
        let config = EngineConfig {
            store: Box::new(store),
            clock,
            seed,
            drivers,
            paths,
            look_every: musher_engine::watchdog::EVERY,
            first: Vec::new(),
        };
        let (engine, _) = Engine::start(config).await.unwrap();
        let settings = ProjectSettings { min_free_bytes: 0, ..ProjectSettings::default() };
        let actor = Actor::Operator("test".into());
        engine.send(actor, Command::Configure(Box::new(settings))).await.unwrap();
        let found = StartReport { missions: 3, runs: 2, lost: 1, effects: 5, swept: 0 };
        let about = About { version: "9.9.9".to_owned(), node: "here".to_owned(), store: "sqlite".to_owned(), found };
        let mut server = Server::new(engine.clone(), about);
        server.serve_socket(&socket).await.unwrap();
        Self { folder, engine, runs, server, client: Client::new(socket) }
    }

    /// A daemon with an agent that takes four items at once.
    pub(crate) async fn with_agent() -> Self {
        let world = Self::empty().await;
        world.client.add_agent(&agent("ann-1")).await.unwrap();
        world
    }

    /// Waits for an event of this name after the given place.
    pub(crate) async fn event(&self, kind: &str, after: u64) -> Event {
        let wanted = EventQuery { after, kind: Some(kind.to_owned()), ..EventQuery::default() };
        self.follow(&wanted).await.unwrap().next().await.unwrap().unwrap()
    }

    /// Follows events; who waits for one that never comes fails, and says what came.
    pub(crate) async fn follow(&self, wanted: &EventQuery) -> Result<Followed, ClientError> {
        let events = self.client.follow_events(wanted).await?;
        Ok(Followed { events, wanted: wanted.clone(), seen: Vec::new() })
    }

    /// A mission of two items, the second of which depends on the first.
    pub(crate) async fn mission(&self) -> Mission {
        self.client.start_mission(&two_items()).await.unwrap()
    }
}

/// The longest that a test waits for what must come: far more than a loaded machine takes, and not for ever.
const LONGEST: Duration = Duration::from_secs(120);

/// What comes of this, if it does in time; otherwise the test fails, and says what it has seen.
pub(crate) async fn within<T>(what: impl Future<Output = T>, seen: impl FnOnce() -> String) -> T {
    match tokio::time::timeout(LONGEST, what).await {
        Ok(came) => came,
        Err(_) => panic!("nothing came for {LONGEST:?}; {}", seen()),
    }
}

/// A stream of events that does not hang a test.
pub(crate) struct Followed {
    events: EventStream,
    wanted: EventQuery,
    seen: Vec<String>,
}

impl Followed {
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        let Self { events, wanted, seen } = self;
        let next = within(events.next(), || format!("wanted: {wanted:?}; seen: {seen:?}")).await;
        if let Ok(Some(event)) = &next {
            seen.push(format!("{} {}", event.seq, event.kind));
        }
        next
    }

    pub(crate) fn after(&self) -> u64 {
        self.events.after()
    }
}

pub(crate) fn agent(name: &str) -> NewAgent {
    NewAgent {
        name: name.to_owned(),
        driver: "command".to_owned(),
        command: vec!["true".to_owned()],
        roles: Vec::new(),
        capabilities: Vec::new(),
        model: None,
        max_load: 4,
        env: Vec::new(),
        node: None,
        nickname: None,
        limits: musher_server::api::Limits::default(),
        approvals: None,
        home: None,
    }
}

pub(crate) fn two_items() -> StartMission {
    let item = |key: &str, on: &[&str]| NewItem {
        key: key.to_owned(),
        title: format!("Do {key}"),
        body: format!("Please do {key}."),
        depends_on: on.iter().map(|k| (*k).to_owned()).collect(),
        ..NewItem::default()
    };
    StartMission {
        goal: "Reach it".to_owned(),
        policy: Policy { reviewer_required: false, ..Policy::default() },
        base: "main".to_owned(),
        ask: false,
        items: vec![item("schema", &[]), item("api", &["schema"])],
    }
}
