//! `musher-sim run` plays nights, `musher-sim crowd` plays crowds, `musher-sim fuzz` feeds parsers, `musher-sim bench` measures.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand};
use musher_sim::bench;
use musher_sim::campaign::{self, NIGHTS_TO_SEE_ALL};
use musher_sim::crowd::{self, Cast, Figures, Flaw};
use musher_sim::failure::replay;
use musher_sim::fuzz;
use musher_sim::variant::Variant;

/// The simulator and the benchmarks of musher.
#[derive(Debug, Parser)]
#[command(name = "musher-sim", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Plays nights and checks their histories. Exit: 0 all held, 3 liveness, 4 safety, 101 panic
    Run(Run),
    /// Plays thousands of items over dozens of agents: quotas, shares, waiting. Exit: 0 all held, 3 liveness, 4 safety, 101 panic
    Crowd(Crowd),
    /// Feeds strange inputs to every parser of what others write. Exit: 0 all held, 3 no end, 4 broken, 101 panic
    Fuzz(Fuzz),
    /// Measures the dispatcher on a real disk, each figure beside a probe of the same run
    Bench(Bench),
    /// Measures what the real program takes beside agents that work, each figure beside a probe of the same run
    #[cfg(target_os = "linux")]
    BenchAgents(BenchAgents),
    /// The scripted agent of that benchmark
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    PlayAgent(PlayAgent),
    /// Measures how long an item waits for its worktree, from the warm pool and from a checkout
    BenchWorktrees(BenchWorktrees),
    /// Measures the merge queue over real git, behind a gate and without one
    BenchQueue(BenchQueue),
    /// One part of the benchmark, in a process of its own
    #[command(hide = true)]
    BenchPart(Part),
}

#[derive(Debug, Args)]
struct Run {
    /// How many nights
    #[arg(long, default_value_t = 100)]
    seeds: u64,
    /// Plays this night only
    #[arg(long)]
    seed: Option<u64>,
    /// The first seed: a number, or a commit's hash, so that every commit tries other nights
    #[arg(long, default_value = "1")]
    from: String,
    /// The machine to play
    #[arg(long, value_enum, default_value_t)]
    variant: Variant,
    /// Threads; by default one a core
    #[arg(long)]
    threads: Option<usize>,
}

#[derive(Debug, Args)]
struct Crowd {
    /// How many crowds
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Plays this crowd only
    #[arg(long)]
    seed: Option<u64>,
    /// The first seed: a number, or a commit's hash, so that every commit tries another crowd
    #[arg(long, default_value = "1")]
    from: String,
    /// How many items
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    items: u32,
    /// How many agents
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    agents: u32,
    /// What of the crowd is broken, to see that it is noticed
    #[arg(long, value_enum, default_value_t)]
    flaw: Flaw,
}

#[derive(Debug, Args)]
struct Fuzz {
    /// The parser; all of them by default
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(fuzz::TARGETS.iter().map(|target| target.name)))]
    target: Option<String>,
    /// Plays this seed only
    #[arg(long)]
    seed: Option<u64>,
    /// How many seeds, each for every parser
    #[arg(long, default_value_t = 1000, conflicts_with = "seconds")]
    rounds: u64,
    /// Goes on for so long instead
    #[arg(long)]
    seconds: Option<u64>,
    /// The first seed: a number, or a commit's hash, so that every commit tries other inputs
    #[arg(long, default_value = "1")]
    from: String,
    /// Threads; by default one a core
    #[arg(long)]
    threads: Option<usize>,
}

#[derive(Debug, Args)]
struct Bench {
    /// Writes the figures to this file, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// Smaller and faster, to see that it works
    #[arg(long)]
    quick: bool,
    /// Measures only what one dispatch costs beside few and many idle agents and waiting items
    #[arg(long)]
    dispatch: bool,
    /// Where the databases are made: on the disk that is to be measured
    #[arg(long, default_value = "target/bench")]
    dir: PathBuf,
}

#[cfg(target_os = "linux")]
#[derive(Debug, Args)]
struct BenchAgents {
    /// The program to measure; a debug build says nothing
    #[arg(long, default_value = "target/release/musher")]
    musher: PathBuf,
    /// How many agents work at once
    #[arg(long, default_value_t = 16)]
    runs: usize,
    /// How long each look takes, in seconds
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// A file with the `[[agents]]` table of a real agent, to be measured instead of the scripted one
    #[arg(long)]
    agent: Option<PathBuf>,
    /// What that agent is told to do
    #[arg(long, default_value = "Write the word done into a file that is called like your MUSHER_ITEM.")]
    task: String,
    /// Writes the figures to this file, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where the repository is made
    #[arg(long, default_value = "target/bench")]
    dir: PathBuf,
}

#[cfg(target_os = "linux")]
#[derive(Debug, Args)]
struct PlayAgent {
    #[arg(long)]
    lines: u32,
    #[arg(long)]
    pause_ms: u64,
    #[arg(long)]
    alone: bool,
}

#[derive(Debug, Args)]
struct BenchWorktrees {
    /// How many files the repository has
    #[arg(long, default_value_t = 50_000)]
    files: usize,
    /// How often each way is measured
    #[arg(long, default_value_t = 5)]
    times: usize,
    /// Writes the figures to this file, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where the repository is made
    #[arg(long, default_value = "target/bench")]
    dir: PathBuf,
}

#[derive(Debug, Args)]
struct BenchQueue {
    /// How long the gate takes, in milliseconds
    #[arg(long, default_value_t = 1000)]
    gate_ms: u64,
    /// How many branches wait behind the gate
    #[arg(long, default_value_t = 32)]
    branches: usize,
    /// How many are merged without a gate
    #[arg(long, default_value_t = 256)]
    merges: usize,
    /// How many files the repository has
    #[arg(long, default_value_t = 5000)]
    files: usize,
    /// The bad one at each place, and all of them bad; minutes instead of two
    #[arg(long)]
    all: bool,
    /// Writes the figures to this file, as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// Where the repository is made
    #[arg(long, default_value = "target/bench")]
    dir: PathBuf,
}

#[derive(Debug, Args)]
struct Part {
    /// The data folder
    #[arg(long)]
    dir: PathBuf,
}

/// After how long an input counts as one whose reading never ends: nothing waits there, and inputs are small.
const NEVER_ENDS: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Run(args) => run(&args),
        Command::Crowd(args) => play_crowds(&args),
        Command::Fuzz(args) => feed(&args),
        Command::Bench(args) => bench(&args),
        #[cfg(target_os = "linux")]
        Command::BenchAgents(args) => bench_agents(args),
        #[cfg(target_os = "linux")]
        Command::PlayAgent(args) => play_agent(&args),
        Command::BenchWorktrees(args) => {
            let BenchWorktrees { files, times, json, dir } = args;
            report(bench::worktrees::run(&bench::worktrees::Options { dir, files, times }), json.as_deref())
        }
        Command::BenchQueue(args) => {
            let BenchQueue { gate_ms, branches, merges, files, all, json, dir } = args;
            let gate = Duration::from_millis(gate_ms);
            let options = bench::queue::Options { dir, gate, branches, merges, files, all };
            report(bench::queue::run(&options), json.as_deref())
        }
        Command::BenchPart(args) => bench_part(&args),
    }
}

fn run(args: &Run) -> ExitCode {
    let variant = args.variant;
    report_panics(move || campaign::playing().map(|seed| (seed, replay(seed, variant))));
    let (from, count) = match (args.seed, first_seed(&args.from)) {
        (Some(seed), _) => (seed, 1),
        (None, Some(from)) => (from, args.seeds),
        (None, None) => return no_seed(&args.from),
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let started = Instant::now();
    let outcome = campaign::play(from, count, args.threads.unwrap_or(cores), args.variant);
    if let Some(failure) = outcome.failure {
        print!("{failure}");
        println!("{} passed, 1 failed", outcome.passed);
        return ExitCode::from(failure.broken.class.exit());
    }
    println!(
        "seeds {from} to {}, in {:.1} s",
        from.wrapping_add(count.saturating_sub(1)),
        started.elapsed().as_secs_f64()
    );
    print!("{}", outcome.coverage);
    let missing = outcome.coverage.missing();
    if count >= NIGHTS_TO_SEE_ALL && args.variant == Variant::Sound && !missing.is_empty() {
        println!("musher-sim FAILED: {count} nights without a single {}", missing.join(", "));
        println!("{} passed, 1 failed", outcome.passed);
        return ExitCode::from(1);
    }
    println!("{} passed, 0 failed", outcome.passed);
    ExitCode::SUCCESS
}

fn play_crowds(args: &Crowd) -> ExitCode {
    let (from, count) = match (args.seed, first_seed(&args.from)) {
        (Some(seed), _) => (seed, 1),
        (None, Some(from)) => (from, args.seeds),
        (None, None) => return no_seed(&args.from),
    };
    let cast = Cast { items: args.items, agents: args.agents };
    let started = Instant::now();
    let mut figures = Figures::default();
    for nth in 0..count {
        let (seed, flaw) = (from.wrapping_add(nth), args.flaw);
        report_panics(move || Some((seed, crowd::replay(seed, cast, flaw))));
        match crowd::play(seed, cast, flaw) {
            Ok(played) => figures.add(&played),
            Err(failure) => {
                print!("{failure}");
                println!("{nth} passed, 1 failed");
                return ExitCode::from(failure.broken.class.exit());
            }
        }
    }
    println!(
        "{} items over {} agents, from seed {from}, in {:.1} s",
        args.items,
        args.agents,
        started.elapsed().as_secs_f64()
    );
    print!("{figures}");
    let missing = figures.missing();
    if args.items >= crowd::ITEMS_TO_SEE_ALL && args.flaw == Flaw::None && !missing.is_empty() {
        println!("musher-sim FAILED: a crowd without {}", missing.join(", without "));
        println!("{count} passed, 1 failed");
        return ExitCode::from(1);
    }
    println!("{count} passed, 0 failed");
    ExitCode::SUCCESS
}

fn feed(args: &Fuzz) -> ExitCode {
    let Some(from) = args.seed.or_else(|| first_seed(&args.from)) else { return no_seed(&args.from) };
    let started = Instant::now();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let plan = fuzz::campaign::Plan {
        targets: args
            .target
            .as_deref()
            .map_or_else(|| fuzz::TARGETS.to_vec(), |name| fuzz::campaign::named(name).into_iter().collect()),
        from,
        rounds: if args.seed.is_some() { 1 } else { args.seconds.map_or(args.rounds, |_| u64::MAX) },
        until: args.seconds.map(|seconds| started + Duration::from_secs(seconds)),
        threads: if args.seed.is_some() { 1 } else { args.threads.unwrap_or(cores) },
        patience: Some(NEVER_ENDS),
    };
    // What a panic says is in the report.
    std::panic::set_hook(Box::new(|_| {}));
    let outcome = fuzz::campaign::play(&plan);
    if let Some(failure) = outcome.failure {
        print!("{failure}");
        return ExitCode::from(failure.sort.exit());
    }
    for (name, cases, understood) in &outcome.played {
        println!("{name:<14} {cases:>9} inputs, {:>3} % understood", understood * 100 / cases.max(&1));
    }
    println!("from seed {from}, in {:.1} s: everything held", started.elapsed().as_secs_f64());
    ExitCode::SUCCESS
}

fn no_seed(text: &str) -> ExitCode {
    eprintln!("error: `{text}` is neither a number nor a commit's hash\n  fix: `--from 1`");
    ExitCode::from(2)
}

/// A number as it is; a hash by its first 16 digits.
fn first_seed(text: &str) -> Option<u64> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    u64::from_str_radix(text.get(..text.len().min(16))?, 16).ok()
}

/// A panic is reported with its seed, and ends with 101 also where a panic aborts.
fn report_panics(playing: impl Fn() -> Option<(u64, String)> + Send + Sync + 'static) {
    std::panic::set_hook(Box::new(move |panic| {
        println!("musher-sim FAILED crash: {panic}");
        if let Some((seed, replay)) = playing() {
            println!("  seed    {seed}\n  replay  {replay}");
        }
        println!("0 passed, 1 failed");
        std::process::exit(101);
    }));
}

fn bench(args: &Bench) -> ExitCode {
    report(
        bench::run(&bench::Options { dir: args.dir.clone(), quick: args.quick, dispatch: args.dispatch }),
        args.json.as_deref(),
    )
}

#[cfg(target_os = "linux")]
fn bench_agents(args: BenchAgents) -> ExitCode {
    let BenchAgents { musher, runs, seconds, agent, task, json, dir } = args;
    report(bench::fleet::run(&bench::fleet::Options { dir, musher, runs, seconds, agent, task }), json.as_deref())
}

#[cfg(target_os = "linux")]
fn play_agent(args: &PlayAgent) -> ExitCode {
    let PlayAgent { lines, pause_ms, alone } = *args;
    match bench::fleet::play(bench::fleet::Manner { lines, pause_ms, alone }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn report(measured: Result<bench::Report, bench::BenchError>, json: Option<&Path>) -> ExitCode {
    let report = match measured {
        Ok(report) => report,
        Err(error) => return failed(&error),
    };
    print!("{report}");
    let Some(path) = json else { return ExitCode::SUCCESS };
    let written = serde_json::to_string_pretty(&report)
        .map_err(std::io::Error::from)
        .and_then(|text| std::fs::write(path, text + "\n"));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: `{}` cannot be written\n  why: {error}\n  fix: choose another file", path.display());
            ExitCode::FAILURE
        }
    }
}

fn bench_part(args: &Part) -> ExitCode {
    match bench::part(&args.dir) {
        Ok(part) => {
            println!("{}", serde_json::to_string(&part).unwrap_or_default());
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error),
    }
}

fn failed(error: &bench::BenchError) -> ExitCode {
    eprintln!("error: {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(why) = cause {
        eprintln!("  why: {why}");
        cause = why.source();
    }
    eprintln!("  fix: {}", error.fix());
    ExitCode::FAILURE
}
