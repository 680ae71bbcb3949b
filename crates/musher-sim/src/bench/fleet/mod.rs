//! What musher takes beside agents that work: processor time and memory of the real program, its daemon and its run
//! hosts, while many agents are at work at once.
//!
//! Times are of the processor, not of the wall: a machine that others use stretches the one and hardly the other.

mod agent;
mod bare;
mod process;
mod yard;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{BenchError, Figure, Report, facts};
use bare::Bare;
use process::Memory;
use yard::{Run, Yard};

pub use agent::{Manner, play};

/// What to measure, and with what.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder in which the repository is made, and removed again.
    pub dir: PathBuf,
    /// The program.
    pub musher: PathBuf,
    /// How many agents work at once.
    pub runs: usize,
    /// How long each look takes, in seconds.
    pub seconds: u64,
    /// A file with the `[[agents]]` table of a real agent, to be measured instead of the scripted one.
    pub agent: Option<PathBuf>,
    /// What that agent is told to do.
    pub task: String,
}

impl Options {
    fn window(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// Below this share of one core musher stays while 16 agents work, in percent.
const MOST_OF_A_CORE: f64 = 2.0;
/// A run host has at most this much in memory, in MiB.
const MOST_OF_A_HOST: f64 = 6.0;
/// The daemon grows by at most this much for a run, in MiB.
const MOST_GROWTH: f64 = 2.0;

/// How long agents that have begun are left alone before they are measured.
const SETTLE: Duration = Duration::from_secs(2);

/// Measures everything.
///
/// # Errors
/// The program cannot be started, or does not do what is expected of it.
pub fn run(options: &Options) -> Result<Report, BenchError> {
    std::fs::create_dir_all(&options.dir).map_err(BenchError::io(&options.dir))?;
    let musher = options.musher.canonicalize().map_err(BenchError::io(&options.musher))?;
    let options = Options { musher, ..options.clone() };
    let mut figures = Vec::new();
    let about = match &options.agent {
        Some(file) => {
            let table = std::fs::read_to_string(file).map_err(BenchError::io(file))?;
            lives(&options, "real agents", &table, &options.task, &mut figures)?;
            format!("{} runs at once of the agent in `{}`", options.runs, file.display())
        }
        None => {
            scripted(&options, &mut figures)?;
            format!("{} runs at once of a scripted agent that speaks ACP", options.runs)
        }
    };
    Ok(Report { machine: facts(), size: "full", about, figures })
}

fn scripted(options: &Options, figures: &mut Vec<Figure>) -> Result<(), BenchError> {
    at_work(options, &QUIET, figures)?;
    at_work(options, &TALKATIVE, figures)?;
    at_rest(options, figures)?;
    let short = Manner { lines: 10, pause_ms: 200, alone: false };
    lives(options, "short runs", &table(options, short)?, "work", figures)
}

/// A way to work that is measured for a while.
struct Scene {
    name: &'static str,
    /// The pause before each line, in milliseconds.
    pause_ms: u64,
    /// The share of a core that is promised, in percent.
    budget: Option<f64>,
}

/// As agents work that do not send every word by itself: Codex, Claude Code.
const QUIET: Scene = Scene { name: "1 line a second", pause_ms: 1_000, budget: Some(MOST_OF_A_CORE) };
/// As agents do that send a few words at a time: most over ACP.
const TALKATIVE: Scene = Scene { name: "20 lines a second", pause_ms: 50, budget: None };

/// Agents that say something at intervals: what it costs to write it down and to listen, beside what `cat` takes.
fn at_work(options: &Options, scene: &Scene, figures: &mut Vec<Figure>) -> Result<(), BenchError> {
    let manner = Manner { lines: u32::MAX, pause_ms: scene.pause_ms, alone: false };
    let probe = probe(options, manner)?;
    let fleet = Fleet::start(options, manner)?;
    let (before, after) = fleet.watch(options.window())?;
    let took = after.at.duration_since(before.at).as_secs_f64();
    let lines = (after.lines - before.lines) as f64;
    let daemon = (after.daemon - before.daemon).as_secs_f64();
    let hosts = after.hosts - before.hosts;
    let mut say = |name: &str, value: f64, unit: &'static str| {
        figures.push(Figure::plain(format!("{}: {name}", scene.name), value, unit));
    };
    say("probe, the output through `cat` to files", 100.0 * probe.cats / took, "% core");
    say("the agents themselves", 100.0 * probe.agents / took, "% core");
    say("lines that were written down", lines / took, "/s");
    say("the daemon", 100.0 * daemon / took, "% core");
    say("all hosts", 100.0 * hosts / took, "% core");
    say("all hosts to all those `cat`s", hosts / probe.cats, "x");
    say("a line, in the daemon", 1e6 * daemon / lines.max(1.0), "µs");
    say("a line, in its host", 1e6 * hosts / lines.max(1.0), "µs");
    let name = format!("{}: daemon and hosts", scene.name);
    let share = 100.0 * (daemon + hosts) / took;
    figures.push(match scene.budget {
        Some(budget) => Figure::at_most(name, share, "% core", budget),
        None => Figure::plain(name, share, "% core"),
    });
    Ok(())
}

/// Agents that wait for something, as for a long build: nothing of musher wakes. Their memory is looked at, too.
fn at_rest(options: &Options, figures: &mut Vec<Figure>) -> Result<(), BenchError> {
    let manner = Manner { lines: 1, pause_ms: 3_600_000, alone: false };
    let probe = probe(options, manner)?;
    let fleet = Fleet::start(options, manner)?;
    let (before, after) = fleet.watch(options.window())?;
    let used = (after.daemon - before.daemon).as_secs_f64() + after.hosts - before.hosts;
    figures.push(Figure::plain("waiting: daemon and hosts, processor time", 1e3 * used, "ms"));
    let woken = (after.sleeps - before.sleeps) as f64;
    figures.push(Figure::at_most("waiting: daemon and hosts, wake-ups", woken, "", 0.0));
    let hosts: Vec<Memory> = fleet.runs.iter().map(|run| Memory::of(run.host)).collect();
    memory(&hosts, fleet.growth(), figures);
    figures.push(Figure::plain("probe: resident memory of a `cat`", mib(probe.cat_resident), "MiB"));
    Ok(())
}

/// Whole lives of items, from a worktree to the merge: what one costs the daemon, git's and the agent's work left out.
fn lives(options: &Options, name: &str, agent: &str, task: &str, figures: &mut Vec<Figure>) -> Result<(), BenchError> {
    let items = 4 * options.runs;
    let mut yard = Yard::open(&options.musher, &options.dir, agent, options.runs)?;
    sleep(SETTLE);
    let idle = Memory::of(yard.daemon());
    let gone = || BenchError::Part("the daemon ended while it was measured".into());
    let before = process::cpu(yard.daemon()).ok_or_else(gone)?;
    let begun = Instant::now();
    yard.start(items, task)?;
    let (mut hosts, mut held) = (HashMap::new(), Vec::new());
    let mut most = idle;
    let daemon = yard.daemon();
    let done = yard.finish(|runs| {
        hosts.extend(runs.iter().filter_map(|run| Some((run.host, process::cpu(run.host)?.as_secs_f64()))));
        if runs.len() > held.len() {
            held = runs.iter().map(|run| Memory::of(run.host)).collect();
            most = Memory::of(daemon);
        }
    })?;
    let took = begun.elapsed().as_secs_f64();
    let daemon = (process::cpu(yard.daemon()).ok_or_else(gone)? - before).as_secs_f64();
    let runs = hosts.len().max(1) as f64;
    let hosts: f64 = hosts.values().sum();
    let mut say = |what: &str, value: f64, unit: &'static str| {
        figures.push(Figure::plain(format!("{name}: {what}"), value, unit));
    };
    say("items done", done as f64, "");
    say("runs of agents", runs, "");
    say("seconds", took, "s");
    say("the daemon, a run", 1e3 * daemon / runs, "ms");
    say("a host, as last seen", 1e3 * hosts / runs, "ms");
    let share = 100.0 * (daemon + hosts) / took;
    figures.push(Figure::at_most(format!("{name}: daemon and hosts"), share, "% core", MOST_OF_A_CORE));
    if options.agent.is_some() {
        memory(&held, most.resident.saturating_sub(idle.resident), figures);
    }
    Ok(())
}

/// A daemon with agents that are at work, until it is dropped.
struct Fleet {
    yard: Yard,
    runs: Vec<Run>,
    idle: Memory,
}

impl Fleet {
    fn start(options: &Options, manner: Manner) -> Result<Self, BenchError> {
        let mut yard = Yard::open(&options.musher, &options.dir, &table(options, manner)?, options.runs)?;
        sleep(SETTLE);
        let idle = Memory::of(yard.daemon());
        yard.start(options.runs, "work")?;
        let runs = yard.wait_for(options.runs)?;
        Ok(Self { yard, runs, idle })
    }

    /// What is used from one moment to the other, once everything has begun.
    fn watch(&self, window: Duration) -> Result<(Look, Look), BenchError> {
        // Threads that had something to do at the start go away after 10 s, which is a wake-up.
        sleep(SETTLE + Duration::from_secs(10));
        let before = Look::take(&self.yard, &self.runs)?;
        sleep(window);
        Ok((before, Look::take(&self.yard, &self.runs)?))
    }

    /// What the daemon has grown by, in KiB.
    fn growth(&self) -> u64 {
        Memory::of(self.yard.daemon()).resident.saturating_sub(self.idle.resident)
    }
}

/// What was used so far, and when it was looked at.
struct Look {
    at: Instant,
    daemon: Duration,
    /// Seconds.
    hosts: f64,
    sleeps: u64,
    lines: u64,
}

impl Look {
    fn take(yard: &Yard, runs: &[Run]) -> Result<Self, BenchError> {
        let gone = || BenchError::Part("a daemon or a host ended while it was measured".into());
        let hosts: Option<Vec<Duration>> = runs.iter().map(|run| process::cpu(run.host)).collect();
        let pids = runs.iter().map(|run| run.host).chain([yard.daemon()]);
        Ok(Self {
            at: Instant::now(),
            daemon: process::cpu(yard.daemon()).ok_or_else(gone)?,
            hosts: hosts.ok_or_else(gone)?.iter().map(Duration::as_secs_f64).sum(),
            sleeps: pids.map(process::sleeps).sum(),
            lines: runs.iter().map(Run::lines).sum(),
        })
    }
}

/// What the same agents use without musher, in seconds of the processor in as long a time.
struct Probe {
    agents: f64,
    cats: f64,
    /// KiB.
    cat_resident: u64,
}

fn probe(options: &Options, manner: Manner) -> Result<Probe, BenchError> {
    let bare = Bare::start(&options.dir, &command(Manner { alone: true, ..manner })?, options.runs)?;
    sleep(SETTLE);
    let used = |pids: Vec<i32>| pids.into_iter().filter_map(process::cpu).map(|cpu| cpu.as_secs_f64()).sum::<f64>();
    let before = (used(bare.cats()), used(bare.agents()));
    sleep(options.window());
    Ok(Probe {
        cats: used(bare.cats()) - before.0,
        agents: used(bare.agents()) - before.1,
        cat_resident: bare.cats().into_iter().map(|pid| Memory::of(pid).resident).max().unwrap_or_default(),
    })
}

fn memory(hosts: &[Memory], growth: u64, figures: &mut Vec<Figure>) {
    let count = hosts.len().max(1) as f64;
    let most = |of: fn(&Memory) -> u64| mib(hosts.iter().map(of).max().unwrap_or_default());
    let share = hosts.iter().map(|host| mib(host.share)).sum::<f64>() / count;
    figures.push(Figure::at_most("a host: resident memory, the largest", most(|m| m.resident), "MiB", MOST_OF_A_HOST));
    figures.push(Figure::plain("a host: its part, what is shared counted in parts", share, "MiB"));
    figures.push(Figure::plain("a host: of its own, the largest", most(|m| m.own), "MiB"));
    figures.push(Figure::at_most("the daemon grows by, a run", mib(growth) / count, "MiB", MOST_GROWTH));
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// The command of the scripted agent: this very program.
fn command(manner: Manner) -> Result<Vec<String>, BenchError> {
    let own = std::env::current_exe().map_err(BenchError::io(Path::new("/proc/self/exe")))?;
    let (lines, pause) = (manner.lines.to_string(), manner.pause_ms.to_string());
    let words = ["play-agent", "--lines", &lines, "--pause-ms", &pause].map(str::to_owned);
    Ok([own.to_string_lossy().into_owned()]
        .into_iter()
        .chain(words)
        .chain(manner.alone.then(|| "--alone".to_owned()))
        .collect())
}

/// Its part of `musher.toml`.
fn table(options: &Options, manner: Manner) -> Result<String, BenchError> {
    // A list of strings is written alike in TOML and in JSON.
    let command = serde_json::Value::from(command(manner)?);
    Ok(format!("[[agents]]\nname = \"scripted\"\ndriver = \"acp\"\ncommand = {command}\nmax_load = {}\n", options.runs))
}
