//! The benchmarks: what the dispatcher does on a real disk, each figure beside a probe of the same run.
//!
//! It prints what it measured, also when that is bad, with the budget beside it.

use std::fmt;
use std::path::{Path, PathBuf};

use musher_core::time::Timestamp;
use musher_store::{OpenError, SqliteStore, StoreError};
use serde::Serialize;

mod bare;
mod crowd;
#[cfg(target_os = "linux")]
pub mod fleet;
mod growth;
mod lives;
mod material;
mod probe;
pub mod queue;
mod restart;
mod stream;
pub mod worktrees;

pub use restart::{Part, part};

/// What to measure, and where.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder on the disk that is measured; what is made in it is removed again.
    pub dir: PathBuf,
    /// Smaller and faster.
    pub quick: bool,
    /// Only what one dispatch costs beside many agents and items.
    pub dispatch: bool,
}

/// Why there are no figures.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The folder could not be used.
    #[error("`{}` cannot be used", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A database could not be opened.
    #[error("a database cannot be opened")]
    Open(#[from] OpenError),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// SQLite itself failed, under the bare writer.
    #[error("the bare writer failed")]
    Bare(#[from] rusqlite::Error),
    /// The machine failed, or did not do what was expected of it.
    #[error("the machine failed: {0}")]
    Machine(String),
    /// A part that runs in a process of its own failed.
    #[error("a part of the benchmark failed: {0}")]
    Part(String),
}

impl BenchError {
    /// How to mend it.
    pub const fn fix(&self) -> &'static str {
        match self {
            Self::Io { .. } | Self::Open(_) => "choose a folder that you may write to with `--dir`",
            Self::Store(_) | Self::Bare(_) => "see that the disk has 4 GiB of room",
            Self::Machine(_) | Self::Part(_) => "this is a fault in musher: please report it",
        }
    }

    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        |source| Self::Io { path, source }
    }
}

impl From<musher_engine::machine::Broken> for BenchError {
    fn from(broken: musher_engine::machine::Broken) -> Self {
        Self::Machine(broken.to_string())
    }
}

/// One thing that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
    /// What is promised, in words; none when nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<String>,
    /// Whether the promise is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub met: Option<bool>,
}

impl Figure {
    fn plain(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, budget: None, met: None }
    }

    fn at_least(name: impl Into<String>, value: f64, unit: &'static str, budget: f64) -> Self {
        let budget_text = format!("≥ {}", number(budget));
        Self { name: name.into(), value, unit, budget: Some(budget_text), met: Some(value >= budget) }
    }

    fn at_most(name: impl Into<String>, value: f64, unit: &'static str, budget: f64) -> Self {
        let budget_text = format!("≤ {}", number(budget));
        Self { name: name.into(), value, unit, budget: Some(budget_text), met: Some(value <= budget) }
    }
}

/// Where it was measured.
#[derive(Clone, Debug, Serialize)]
pub struct MachineFacts {
    /// Logical cores.
    pub cores: usize,
    /// The processor's name.
    pub cpu: String,
    /// The kernel's release.
    pub kernel: String,
    /// SQLite's version.
    pub sqlite: &'static str,
    /// Whether the program was optimised; figures of a debug build say nothing.
    pub optimised: bool,
}

/// Everything that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Where.
    pub machine: MachineFacts,
    /// How big: `full` or `quick`.
    pub size: &'static str,
    /// What is measured, in words.
    pub about: String,
    /// The figures, in the order in which they were measured.
    pub figures: Vec<Figure>,
}

/// Measures everything.
pub fn run(options: &Options) -> Result<Report, BenchError> {
    std::fs::create_dir_all(&options.dir).map_err(BenchError::io(&options.dir))?;
    let mut figures = Vec::new();
    let before = probe::fdatasyncs(&options.dir)?;
    figures.push(Figure::plain("fdatasync of 4 KiB appends, before", before, "/s"));
    if !options.dispatch {
        lives::measure(options, &mut figures)?;
        stream::measure(options, &mut figures)?;
        growth::measure(options, &mut figures)?;
    }
    crowd::measure(options, &mut figures)?;
    let after = probe::fdatasyncs(&options.dir)?;
    figures.push(Figure::plain("fdatasync of 4 KiB appends, after", after, "/s"));
    let size = if options.quick { "quick" } else { "full" };
    Ok(Report { machine: facts(), size, about: format!("a life: {}", lives::LIFE), figures })
}

fn facts() -> MachineFacts {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo")
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':').map(|(_, name)| name.trim().to_owned()))
        .unwrap_or_else(|| "unknown".to_owned());
    MachineFacts {
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        cpu,
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        sqlite: rusqlite::version(),
        optimised: !cfg!(debug_assertions),
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let m = &self.machine;
        writeln!(f, "{} cores, {}, kernel {}, SQLite {}", m.cores, m.cpu, m.kernel, m.sqlite)?;
        if !m.optimised {
            writeln!(f, "a debug build: these figures say nothing about speed")?;
        }
        writeln!(f, "{}\n", self.about)?;
        for figure in &self.figures {
            let verdict = match figure.met {
                Some(true) => "met",
                Some(false) => "MISSED",
                None => "",
            };
            let budget = figure.budget.as_deref().unwrap_or_default();
            writeln!(f, "{:<58} {:>12} {:<8} {budget:>10}  {verdict}", figure.name, number(figure.value), figure.unit)?;
        }
        Ok(())
    }
}

/// A number for people: whole when large, with digits when small.
fn number(value: f64) -> String {
    if value.abs() >= 100.0 {
        format!("{value:.0}")
    } else if value.abs() >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.3}")
    }
}

/// A fresh folder for a database.
fn fresh(dir: &Path, name: &str) -> Result<PathBuf, BenchError> {
    let folder = dir.join(name);
    remove(&folder)?;
    std::fs::create_dir_all(&folder).map_err(BenchError::io(&folder))?;
    Ok(folder)
}

fn remove(folder: &Path) -> Result<(), BenchError> {
    match std::fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(BenchError::io(folder)(e)),
        _ => Ok(()),
    }
}

fn open(folder: &Path) -> Result<SqliteStore, BenchError> {
    Ok(SqliteStore::open(folder, START)?)
}

/// The moment at which all of it takes place: 2026-03-01T20:00:00Z.
const START: Timestamp = Timestamp::from_micros(1_772_395_200_000_000);

/// The middle one, and the one that only one in a hundred exceeds.
fn middle_and_p99(mut times: Vec<f64>) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times.get(((times.len() as f64 - 1.0) * share) as usize).copied().unwrap_or(0.0);
    (at(0.5), at(0.99))
}
