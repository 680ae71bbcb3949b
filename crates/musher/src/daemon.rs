//! The engine with its drivers and its API, in this process: what `up` runs, and what `run` and `--wait` fall back to.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use musher_agents::driver::{ProcessDriver, Tools};
use musher_core::agent::AgentSpec;
use musher_core::command::{Actor, Command};
use musher_core::config::{Config, SecretRef, SinkTo};
use musher_engine::driver::Drivers;
use musher_engine::{Clock, Engine, EngineConfig, Input, Passes, Paths, StartReport, SystemClock, programs, watchdog};
use musher_git::Pool;
use musher_git::Repository;
use musher_git::driver::{GitDriver, KeepWarm};
use musher_server::api::{Found, Http};
use musher_server::{About, Client, Hub, Rejected, SHORTEST_TOKEN, Server, SinkSetup, Sinks, WebDriver, Webhooks};
use musher_store::{OpenError, SqliteStore};
use tracing::{debug, info, warn};

use crate::error::{Exit, Failure};
use crate::forge::{DaemonForge, webhook_setup};
use crate::notify;
use crate::project::{self, Project};

/// Where the API is served besides the repository's socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listen {
    /// Nowhere.
    SocketOnly,
    /// There, as soon as nobody else has it: another repository's daemon may.
    IfFree(SocketAddr),
    /// There, or it is a failure.
    There(SocketAddr),
}

/// What is done when somebody else holds the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// It is refused, and said who holds it.
    Refuse,
    /// It is waited for.
    Wait,
}

/// What a daemon is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It works in a repository.
    Project,
    /// It shows what projects tell, and dispatches nothing.
    Hub,
}

impl Role {
    /// What counts of a configuration. A hub has no agents, fires nothing, and tells no other hub of itself.
    fn of(self, config: Config) -> Config {
        match self {
            Self::Project => config,
            Self::Hub => {
                let mut config = Config { agents: Vec::new(), schedules: Vec::new(), ..config };
                config.relay.url = None;
                config.project.worktree_pool = 0;
                config
            }
        }
    }

    /// What opens the hub; nothing when this is none.
    fn tokens(self, config: &Config, root: &Path) -> Result<Option<Vec<String>>, Failure> {
        if self == Self::Project {
            return Ok(None);
        }
        if config.hub.tokens.is_empty() {
            return Err(Failure::usage("the hub has no token, so no project could tell it anything").fix(FIRST_HUB));
        }
        let read = |reference: &SecretRef| {
            let token = read_secret(reference, root)?;
            if token.chars().count() < SHORTEST_TOKEN {
                let what = format!("the hub's token `{reference}` is shorter than {SHORTEST_TOKEN} characters");
                return Err(Failure::usage(what).fix("`openssl rand -hex 32` prints a good one"));
            }
            Ok(token)
        };
        config.hub.tokens.iter().map(read).collect::<Result<_, _>>().map(Some)
    }
}

/// How a hub is begun.
pub(crate) const FIRST_HUB: &str = "`openssl rand -hex 32 > hub-token; chmod 600 hub-token`, and in musher.toml under [hub]: tokens = [\"file:hub-token\"]";

/// Keeps git from looking at musher's state.
pub(crate) fn exclude(repository: &Repository) -> Result<(), Failure> {
    repository.exclude(".musher/").map_err(|error| Failure::caused(Exit::Failed, &error))
}

/// A running engine with its API.
#[derive(Debug)]
pub(crate) struct Daemon {
    engine: Engine,
    server: Server,
    found: StartReport,
    paths: Paths,
}

impl Daemon {
    /// Starts the engine and serves its API on the repository's socket.
    pub(crate) async fn start(project: Project) -> Result<Self, Failure> {
        let Project { paths, config, repository } = project;
        exclude(&repository)?;
        Self::start_at(paths, config, Role::Project, Listen::SocketOnly, Held::Refuse).await
    }

    /// The same for whatever a daemon is for, and listens on an address as well. A hub's folder may be no repository.
    pub(crate) async fn start_at(
        paths: Paths,
        config: Config,
        role: Role,
        listen: Listen,
        held: Held,
    ) -> Result<Self, Failure> {
        prepare(&paths)?;
        let config = role.of(config);
        let tokens = role.tokens(&config, &paths.root)?;
        let store = open_store(&paths, held).await?;
        let host = std::env::current_exe()?;
        let sinks = sink_setups(&config, &paths.root)?;
        let mut secrets =
            config.secrets.values().map(|s| read_secret(s, &paths.root)).collect::<Result<Vec<_>, _>>()?;
        secrets.extend(config.forge.token.iter().map(|s| read_secret(s, &paths.root)).collect::<Result<Vec<_>, _>>()?);
        let webhooks = webhook_setup(&config, &paths.root)?;
        secrets
            .extend(config.forge.webhook.iter().map(|s| read_secret(s, &paths.root)).collect::<Result<Vec<_>, _>>()?);
        secrets.extend(sinks.iter().filter_map(|sink| sink.secret.clone()));
        secrets.extend(tokens.iter().flatten().cloned());
        // Those that are looked up when they are wanted, and be it never, are masked if they are there.
        let later = config.forge.review_token.iter().chain(&config.relay.token).chain(&config.hub.tokens);
        secrets.extend(later.filter_map(|secret| read_secret(secret, &paths.root).ok()));
        let variables = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        let passes = Passes::open(&paths.passes()).map_err(|error| {
            let file = paths.passes();
            Failure::failed(format!("the key in `{}` cannot be used", file.display())).why(error.to_string())
        })?;
        let tools = Tools::new(host.clone(), &paths, passes.clone());
        let run_host = vec![host.into(), "run-host".into()];
        let git = GitDriver::new();
        let drivers = Drivers {
            forge: Arc::new(DaemonForge::new(config.forge.clone(), paths.root.clone())),
            web: Arc::new(WebDriver::default()),
            git: Arc::new(git.clone()),
            runs: Arc::new(ProcessDriver::new(run_host, secrets, variables.collect()).with_tools(tools)),
        };
        let engine_config = EngineConfig {
            store: Box::new(store),
            clock: Arc::new(SystemClock),
            seed: seed(),
            drivers,
            paths: paths.clone(),
            look_every: look_every()?,
            first: first_words(&config),
        };
        let (engine, found) =
            Engine::start(engine_config).await.map_err(|error| Failure::caused(Exit::Failed, &error))?;
        note_start(&engine, found).await?;
        let mut server = listen_on(&engine, found, &paths, passes, listen).await?;
        set_sinks(&server.sinks(), sinks).await?;
        server.webhooks().set(webhooks);
        server.hub().set(tokens);
        server.keep_retention();
        keep_warm(&git, &config, &paths);
        tokio::spawn(look_for_programs(engine.clone()));
        let told = Told {
            engine: engine.clone(),
            sinks: server.sinks(),
            webhooks: server.webhooks(),
            hub: server.hub(),
            rejected: server.rejected(),
            role,
        };
        watch_config(told, paths.clone(), git);
        Ok(Self { engine, server, found, paths })
    }

    /// What was found at start.
    pub(crate) fn found(&self) -> Found {
        self.found.into()
    }

    /// Where it listens over TCP, or why it does not; nothing when it is not to.
    pub(crate) fn http(&self) -> Option<Http> {
        self.server.http()
    }

    /// A client of it.
    pub(crate) fn client(&self) -> Client {
        Client::new(self.paths.socket())
    }

    /// Ends the API and the engine. Agents and gates go on in their hosts. It is a failure when the engine had ended before,
    /// for somebody else has taken over.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        self.server.stop().await;
        self.engine.stop().await;
        match self.engine.ended().await {
            Some(fenced) => Err(Failure::caused(Exit::Refused, fenced).fix(fenced.fix())),
            None => Ok(()),
        }
    }

    /// Serves until a signal or the API asks for the end.
    pub(crate) async fn until_asked_to_stop(self) -> Result<(), Failure> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        tokio::spawn(notify::keep_alive(self.engine.clone()));
        tokio::select! {
            _ = terminate.recv() => info!("asked to stop by a signal"),
            _ = interrupt.recv() => info!("asked to stop by a signal"),
            () = self.server.stop_wished() => info!("asked to stop through the API"),
            _ = self.engine.ended() => {}
        }
        notify::stopping();
        self.stop().await
    }
}

/// How often a state that somebody else holds is tried again. Nobody says when a process was paused for too long.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Opens the state, and takes its lease.
async fn open_store(paths: &Paths, held: Held) -> Result<SqliteStore, Failure> {
    let mut said = false;
    let store = loop {
        match SqliteStore::open(&paths.state, SystemClock.now()) {
            Ok(store) => break store,
            Err(error @ OpenError::Locked { .. }) if held == Held::Wait => {
                if !said {
                    warn!("{error}; waiting for it");
                    said = true;
                }
                tokio::time::sleep(TRY_AGAIN).await;
            }
            Err(error) => {
                let exit = if matches!(error, OpenError::Locked { .. }) { Exit::Refused } else { Exit::Failed };
                return Err(Failure::caused(exit, &error).fix(error.fix()));
            }
        }
    };
    if let Some(before) = store.took_over() {
        warn!(
            pid = before.pid,
            fence = before.fence,
            "took over from a musher that was paused for longer than its lease"
        );
        // It listens on while it is paused; when it comes back it leaves alone what is no longer its own.
        for socket in [paths.socket(), paths.tools_socket()] {
            let _ = std::fs::remove_file(socket);
        }
    }
    Ok(store)
}

/// Makes a folder of the state, for its owner only.
pub(crate) fn make_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Makes the state's folders.
fn prepare(paths: &Paths) -> Result<(), Failure> {
    for folder in [paths.state.clone(), paths.worktrees(), paths.runs(), paths.tools()] {
        make_private(&folder).map_err(|error| {
            Failure::failed(format!("`{}` cannot be made", folder.display()))
                .why(error.to_string())
                .fix("musher keeps its state beside `musher.toml`: make that folder writable, and see that the disk has room")
        })?;
    }
    Ok(())
}

/// A seed that no earlier start had: ids come from it and from the moment.
fn seed() -> u64 {
    let mut bytes = [0u8; 8];
    let random = std::fs::File::open("/dev/urandom").and_then(|mut f| std::io::Read::read_exact(&mut f, &mut bytes));
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    match random {
        Ok(()) => u64::from_le_bytes(bytes),
        // Without a source of randomness the moment and the process still differ from start to start.
        Err(_) => (clock.as_nanos() as u64) ^ (u64::from(std::process::id()) << 32),
    }
}

/// How often processes are looked at while runs are live: as `MUSHER_LOOK_EVERY_MS` says, else as the engine does.
fn look_every() -> Result<Duration, Failure> {
    let Some(text) = std::env::var_os("MUSHER_LOOK_EVERY_MS") else { return Ok(watchdog::EVERY) };
    let millis = text.to_str().and_then(|text| text.parse().ok()).filter(|millis| (10..=600_000).contains(millis));
    millis.map(Duration::from_millis).ok_or_else(|| {
        Failure::usage(format!("MUSHER_LOOK_EVERY_MS is {}, and not a number of milliseconds", text.display()))
            .fix("write 10 to 600000, or unset it for 30 s")
    })
}

/// The sinks of the config with the secrets that they sign with.
fn sink_setups(config: &Config, root: &Path) -> Result<Vec<SinkSetup>, Failure> {
    let setup = |sink: &musher_core::config::SinkConfig| {
        let secret = match &sink.to {
            SinkTo::Webhook { secret, .. } | SinkTo::Relay { token: secret, .. } => Some(read_secret(secret, root)?),
            SinkTo::File { .. } | SinkTo::Desktop => None,
        };
        if secret.as_deref().is_some_and(str::is_empty) {
            let fix = "put at least 32 random characters there, such as those of `openssl rand -hex 32`";
            return Err(Failure::usage(format!("the secret of the sink `{}` is empty", sink.name)).fix(fix));
        }
        Ok(SinkSetup { config: sink.clone(), secret })
    };
    let relay = config.relay.sink().map_err(|error| Failure::caused(Exit::Usage, &error).fix(error.fix()))?;
    config.sinks.iter().chain(&relay).map(setup).collect()
}

async fn set_sinks(sinks: &Sinks, setups: Vec<SinkSetup>) -> Result<(), Failure> {
    sinks.set(setups).await.map_err(|error| {
        let fix = error.fix().unwrap_or_default();
        Failure::caused(Exit::Failed, &error).fix(fix)
    })
}

pub(crate) fn read_secret(reference: &SecretRef, root: &Path) -> Result<String, Failure> {
    match reference {
        SecretRef::Env(name) => std::env::var(name).map_err(|_| {
            Failure::usage(format!("the secret `env:{name}` is not set"))
                .fix(format!("export {name}, or take the secret out of the config"))
        }),
        SecretRef::File(path) => std::fs::read_to_string(root.join(path))
            .map(|s| s.trim_end().to_owned())
            .map_err(|error| Failure::usage(format!("the secret `file:{path}` cannot be read")).why(error.to_string())),
    }
}

async fn listen_on(
    engine: &Engine,
    found: StartReport,
    paths: &Paths,
    passes: Passes,
    listen: Listen,
) -> Result<Server, Failure> {
    let failed = |error: musher_server::ServeError| {
        let fix = error.fix();
        Failure::caused(Exit::Failed, &error).fix(fix)
    };
    let mut server = Server::new(engine.clone(), About::this(paths.state.display().to_string()).found(found));
    server.serve_socket(&paths.socket()).await.map_err(failed)?;
    server.serve_tools(&paths.tools_socket(), passes).await.map_err(failed)?;
    match listen {
        Listen::SocketOnly => {}
        Listen::IfFree(address) => server.keep_serving_tcp(address, &paths.token()).await,
        Listen::There(address) => {
            server.serve_tcp(address, &paths.token()).await.map_err(failed)?;
        }
    }
    Ok(server)
}

/// What the configuration says, as commands.
fn first_words(config: &Config) -> Vec<Input> {
    let specs: Vec<AgentSpec> = config.enabled_agents().map(musher_core::config::AgentConfig::spec).collect();
    let schedules = Command::SyncSchedules(config.schedules.clone());
    let triggers = Command::SyncTriggers(config.triggers.clone());
    [Command::Configure(Box::new(config.project.clone())), Command::SyncAgents(specs), schedules, triggers]
        .map(|command| Input { actor: Actor::Operator("config".into()), command })
        .into()
}

/// Brings the pool of warm worktrees to the size that the configuration says.
fn keep_warm(git: &GitDriver, config: &Config, paths: &Paths) {
    let (pool, project) = (Pool { folder: paths.pool(), size: config.project.worktree_pool }, &config.project);
    if pool.size == 0 && !pool.folder.exists() {
        return;
    }
    let from = project.base.as_ref().map_or_else(|| "HEAD".to_owned(), |base| format!("refs/heads/{base}"));
    git.keep_warm(KeepWarm { root: paths.root.clone(), pool, from, min_free_bytes: project.min_free_bytes });
}

/// Who is told of a new configuration.
struct Told {
    engine: Engine,
    sinks: Sinks,
    webhooks: Webhooks,
    rejected: Rejected,
    hub: Hub,
    role: Role,
}

/// Tells everybody what the configuration says. What cannot be used is found before anybody is told.
async fn configure(
    Told { engine, sinks, webhooks, hub, role, .. }: &Told,
    config: &Config,
    paths: &Paths,
) -> Result<(), Failure> {
    let tokens = role.tokens(config, &paths.root)?;
    let setups = sink_setups(config, &paths.root)?;
    let setup = webhook_setup(config, &paths.root)?;
    let say = async |command| {
        engine.send(Actor::Operator("config".into()), command).await.map_err(|error| {
            let fix = error.fix().unwrap_or_default();
            Failure::caused(Exit::Failed, &error).fix(fix)
        })
    };
    for input in first_words(config) {
        say(input.command).await?;
    }
    webhooks.set(setup);
    hub.set(tokens);
    set_sinks(sinks, setups).await
}

/// Looks whether the programs of the agents are there, so that one that cannot work is not said to be idle.
async fn look_for_programs(engine: Engine) {
    if let Err(error) = programs::check_all(&engine).await {
        debug!(%error, "the programs of the agents were not all looked for");
    }
}

async fn note_start(engine: &Engine, found: StartReport) -> Result<(), Failure> {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let command = Command::NoteStart {
        missions: count(found.missions),
        attached: count(found.runs.saturating_sub(found.lost)),
        effects: count(found.effects),
    };
    engine.send(Actor::Musher, command).await.map(|_| ()).map_err(|error| Failure::caused(Exit::Failed, &error))
}

/// How long a burst of writes to the config may last before it is read.
const SETTLE: Duration = Duration::from_millis(200);

/// Picks up changes of `musher.toml` while the daemon runs. A broken file keeps the last good one and says so.
#[cfg(target_os = "linux")]
fn watch_config(told: Told, paths: Paths, git: GitDriver) {
    use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
    let (changed, mut changes) = tokio::sync::mpsc::channel::<()>(1);
    let root = paths.root.clone();
    // A thread that sleeps in read(2): an idle daemon is woken by nothing.
    let watch = move || -> nix::Result<()> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC)?;
        let flags = AddWatchFlags::IN_CLOSE_WRITE | AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_DELETE;
        inotify.add_watch(&root, flags)?;
        loop {
            let events = inotify.read_events()?;
            let ours = events.iter().any(|e| e.name.as_deref().is_some_and(|name| name == "musher.toml"));
            if ours && changed.try_send(()).is_err() && changed.is_closed() {
                return Ok(());
            }
        }
    };
    let started = std::thread::Builder::new().name("config".to_owned()).spawn(move || {
        if let Err(error) = watch() {
            warn!(%error, "the config is not watched; a restart reads it anew");
        }
    });
    if let Err(error) = started {
        warn!(%error, "the config is not watched; a restart reads it anew");
    }
    tokio::spawn(async move {
        while changes.recv().await.is_some() {
            tokio::time::sleep(SETTLE).await;
            // A branch without the file was checked out, or an editor is writing it: nobody is sent home for that.
            if !paths.config().exists() {
                say_rejected(&told, Some("`musher.toml` is gone".to_owned())).await;
                continue;
            }
            let taken = match project::read_config(&paths) {
                Ok(config) => configure(&told, &told.role.of(config.clone()), &paths).await.map(|()| config),
                Err(failure) => Err(failure),
            };
            say_rejected(&told, taken.as_ref().err().map(words)).await;
            if let Ok(config) = taken {
                keep_warm(&git, &config, &paths);
                look_for_programs(told.engine.clone()).await;
                info!("the config was read anew");
            }
        }
    });
}

/// Says why the configuration is not in force, or that it is again: in the log each time, to everybody else once.
#[cfg(target_os = "linux")]
async fn say_rejected(told: &Told, why: Option<String>) {
    if let Some(why) = &why {
        warn!("{why}; the last good config stays in force");
    }
    if told.rejected.set(why.clone()) {
        let command = Command::NoteConfig(why.map(Into::into));
        if let Err(error) = told.engine.send(Actor::Musher, command).await {
            debug!(%error, "how the config stands was not written down");
        }
    }
}

#[cfg(target_os = "linux")]
fn words(failure: &crate::error::Failure) -> String {
    let (what, why) = failure.words();
    format!("{what}: {why}")
}

/// Elsewhere a restart reads the config anew.
#[cfg(not(target_os = "linux"))]
fn watch_config(_: Told, _: Paths, _: GitDriver) {}
