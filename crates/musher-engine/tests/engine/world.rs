//! An engine on a database in a folder of its own. Its drivers never say a word: the test reports what they would.

use std::path::PathBuf;
use std::sync::Arc;

use musher_core::agent::AgentSpec;
use musher_core::command::{Actor, Answer, Command, Report};
use musher_core::config::ProjectSettings;
use musher_core::effect::Stop;
use musher_core::event::Logged;
use musher_core::id::{AgentId, MissionId};
use musher_core::item::Item;
use musher_core::mission::{MissionItem, Policy, StartMission};
use musher_core::state::State;
use musher_core::time::Timestamp;
use musher_engine::driver::{Drivers, Forge, Git, LeftOver, Program, Reports, Runs, Swept, Web, Work};
use musher_engine::job::{Checkout, Diff, ForgeJob, GitJob, RunJob, Script, ScriptEnd, TellJob};
use musher_engine::{Engine, EngineConfig, EngineError, ManualClock, Paths};
use musher_store::{EventFilter, SqliteStore};

/// 2026-03-01T20:00:00Z.
const EVENING: i64 = 1_772_395_200_000_000;

struct Silent;

fn never<T: Send + 'static>() -> Work<T> {
    Box::pin(std::future::pending())
}

impl Git for Silent {
    fn carry_out(&self, _: GitJob) -> Work<Report> {
        never()
    }

    fn checkout(&self, _: Checkout) -> Work<Result<(), String>> {
        never()
    }

    fn left_over(&self, _: PathBuf, _: PathBuf) -> Work<Result<Vec<LeftOver>, String>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn base(&self, _: PathBuf, _: Option<String>) -> Work<Result<String, String>> {
        never()
    }

    fn diff(&self, _: Diff) -> Work<Result<String, String>> {
        never()
    }
}

impl Forge for Silent {
    fn carry_out(&self, _: ForgeJob) -> Work<Report> {
        never()
    }
}

impl Web for Silent {
    fn fetch(&self, _: String) -> Work<Report> {
        never()
    }
}

impl Runs for Silent {
    fn run(&self, _: RunJob, _: Reports) -> Work<Report> {
        never()
    }

    fn stop(&self, _: PathBuf, _: Stop) -> Work<()> {
        never()
    }

    fn tell(&self, _: TellJob) -> Work<bool> {
        never()
    }

    fn script(&self, _: Script) -> Work<ScriptEnd> {
        never()
    }

    /// Something lived in each of them.
    fn look(&self, _: PathBuf, _: AgentSpec, _: Option<Box<str>>) -> Work<Program> {
        Box::pin(async { Program::Unknown })
    }

    fn silent(&self, _: Vec<PathBuf>) -> Work<Vec<(PathBuf, i32)>> {
        Box::pin(async { Vec::new() })
    }

    fn sweep(&self, unwanted: Vec<PathBuf>, _: Vec<PathBuf>) -> Work<Swept> {
        let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
        let ended = unwanted.iter().map(name).collect();
        unwanted.iter().for_each(|path| std::fs::write(path.join("exit.json"), "{}").unwrap());
        Box::pin(async { Swept { ended, lost: 0 } })
    }
}

/// An engine, and what it stands on.
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<ManualClock>,
    folder: tempfile::TempDir,
    starts: u64,
}

impl World {
    /// An engine with nothing in it.
    pub(crate) async fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(EVENING)));
        let engine = open(&folder, &clock, 1).await;
        let world = Self { engine, clock, folder, starts: 1 };
        let settings = ProjectSettings { min_free_bytes: 0, ..ProjectSettings::default() };
        world.ok(Command::Configure(Box::new(settings))).await;
        world
    }

    /// The engine ends, and another one begins on what it left.
    pub(crate) async fn restart(&mut self) {
        self.engine.stop().await;
        self.starts += 1;
        self.engine = open(&self.folder, &self.clock, self.starts).await;
    }

    /// Moves the clock, and lets the engine look at it.
    pub(crate) fn set(&self, at: Timestamp) {
        self.clock.set(at);
        self.engine.wake();
    }

    pub(crate) async fn ok(&self, command: Command) -> Answer {
        let said = self.engine.send(Actor::Operator("ann".into()), command.clone()).await;
        said.unwrap_or_else(|refused| panic!("{command:?}: {refused}"))
    }

    pub(crate) async fn agent(&self, spec: AgentSpec) -> AgentId {
        match self.ok(Command::AddAgent(Box::new(spec))).await {
            Answer::Agent(id) => id,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn mission(&self, wish: StartMission) -> MissionId {
        match self.ok(Command::StartMission(Box::new(wish))).await {
            Answer::Mission(id) => id,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn read<T: Send + 'static>(&self, look: impl FnOnce(&State) -> T + Send + 'static) -> T {
        self.engine.read(look).await.unwrap()
    }

    /// The item of this key; there is one mission.
    pub(crate) async fn item(&self, key: &'static str) -> Item {
        let found = self.read(move |state| items(state).find(|item| &*item.key == key).cloned());
        found.await.unwrap_or_else(|| panic!("no item {key}"))
    }

    /// What the driver of the item's open effect of this name reports.
    pub(crate) async fn report(&self, key: &'static str, effect: &'static str, report: Report) {
        let item = self.item(key).await.id;
        let find = move |state: &State| state.effects_of(item).find(|e| e.kind.name() == effect).map(|e| e.id);
        let id = self.read(find).await.unwrap_or_else(|| panic!("{key} has no open {effect}"));
        self.ok(Command::Report(id, report)).await;
    }

    /// From assigned to running; the worktree is made, if it is asked for.
    pub(crate) async fn start(&self, key: &'static str) {
        let item = self.item(key).await.id;
        if self.read(move |state| state.effects_of(item).any(|e| e.kind.name() == "create_worktree")).await {
            self.report(key, "create_worktree", Report::WorktreeReady { base_commit: "base".into() }).await;
        }
        self.report(key, "start_run", Report::RunStarted).await;
    }

    /// The whole log.
    pub(crate) async fn log(&self) -> Vec<Logged> {
        self.engine.reader().await.unwrap().events(&EventFilter::default()).unwrap()
    }

    /// Waits until this was said so often.
    pub(crate) async fn until_said(&self, name: &str, times: usize) {
        let mut seq = self.engine.seq();
        while self.said(name).await < times {
            seq.changed().await.unwrap();
        }
    }

    /// A run folder of this name in which something lives.
    pub(crate) fn run_folder(&self, name: &str) -> PathBuf {
        let folder = Paths::of(self.folder.path()).run(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    pub(crate) async fn said(&self, name: &str) -> usize {
        self.log().await.iter().filter(|logged| logged.event.happened.name() == name).count()
    }
}

async fn open(folder: &tempfile::TempDir, clock: &Arc<ManualClock>, seed: u64) -> Engine {
    use musher_engine::Clock;
    let paths = Paths::of(folder.path());
    std::fs::create_dir_all(&paths.state).unwrap();
    let store = SqliteStore::open(&paths.state, clock.now()).unwrap();
    let drivers =
        Drivers { git: Arc::new(Silent), runs: Arc::new(Silent), forge: Arc::new(Silent), web: Arc::new(Silent) };
    let config = EngineConfig {
        store: Box::new(store),
        clock: clock.clone(),
        seed,
        drivers,
        paths,
        look_every: musher_engine::watchdog::EVERY,
        first: Vec::new(),
    };
    Engine::start(config).await.unwrap().0
}

/// Every item in memory.
pub(crate) fn items(state: &State) -> impl Iterator<Item = &Item> {
    state.missions().flat_map(|mission| mission.items.iter()).filter_map(|id| state.item(*id))
}

pub(crate) fn agent(name: &str) -> AgentSpec {
    AgentSpec {
        name: name.into(),
        driver: "command".into(),
        command: Box::new(["agent".into()]),
        approvals: musher_core::approval::Approvals::Allow,
        max_load: 1,
        ..AgentSpec::default()
    }
}

/// Items that depend on nothing.
pub(crate) fn wish(policy: Policy, keys: &[&str]) -> StartMission {
    let item = |key: &&str| MissionItem {
        key: (**key).into(),
        title: format!("Do {key}").into(),
        body: "do it".into(),
        ..MissionItem::default()
    };
    StartMission {
        goal: "a goal".into(),
        policy: Policy { reviewer_required: false, ..policy },
        base: "main".into(),
        ask: false,
        items: keys.iter().map(item).collect(),
    }
}

/// Says it, and answers whether it was taken. A defect, or a disk that fails, is the end of the test.
pub(crate) async fn try_to(engine: &Engine, actor: Actor, command: Command) -> bool {
    match engine.send(actor, command.clone()).await {
        Ok(_) => true,
        Err(EngineError::Refused(_)) => false,
        Err(error) => panic!("{command:?}: {error}"),
    }
}
