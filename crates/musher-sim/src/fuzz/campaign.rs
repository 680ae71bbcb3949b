//! Plays cases, and reports the first that fails: what broke, the command that replays it, and a small input.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{Read, TARGETS, Target, change};
use crate::chance::Chance;

/// How often a failing input is tried smaller.
const TRIES: usize = 600;

/// How much of a line of a failing input is shown, in characters.
const SHOWN: usize = 2_000;

/// The largest input that is made smaller by the byte.
const BY_BYTE: usize = 8 << 10;

/// What is to be played.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The targets, each of which plays every seed.
    pub targets: Vec<Target>,
    /// The first seed.
    pub from: u64,
    /// How many seeds at most for each target.
    pub rounds: u64,
    /// When to begin no further seed, if not at the end of all.
    pub until: Option<Instant>,
    /// How many threads.
    pub threads: usize,
    /// After how long a case counts as one that never ends, which ends the process; none = wait for it.
    pub patience: Option<Duration>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// For each target: its name, its cases, and how many of them were understood.
    pub played: Vec<(&'static str, u64, u64)>,
    /// The first that failed.
    pub failure: Option<Failure>,
}

/// A case in which something did not hold.
#[derive(Debug)]
pub struct Failure {
    /// The target.
    pub target: &'static str,
    /// The seed.
    pub seed: u64,
    /// What did not hold.
    pub what: String,
    /// The sort of failure.
    pub sort: Sort,
    /// A small input that still fails, if not with the same words.
    pub input: Vec<u8>,
    /// How large the first input was, in bytes.
    pub first: usize,
}

/// The sort of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// Something that must hold did not.
    Broken,
    /// A panic.
    Panic,
    /// It did not come to an end.
    Hang,
}

impl Sort {
    /// The exit status of a run that found one.
    pub const fn exit(self) -> u8 {
        match self {
            Self::Broken => 4,
            Self::Panic => 101,
            Self::Hang => 3,
        }
    }
}

/// The target of this name.
pub fn named(name: &str) -> Option<Target> {
    TARGETS.iter().find(|target| target.name == name).copied()
}

/// Plays every seed for every target, until one fails.
pub fn play(plan: &Plan) -> Outcome {
    let materials: Vec<Material> = plan.targets.iter().copied().map(Material::of).collect();
    let over = AtomicBool::new(false);
    let failure = Mutex::new(None);
    let posts: Vec<Post> = (0..plan.threads.max(1)).map(|_| Post::default()).collect();
    std::thread::scope(|scope| {
        let workers: Vec<_> = posts
            .iter()
            .map(|post| {
                let (materials, over, failure) = (&materials, &over, &failure);
                scope.spawn(move || {
                    if let Some(found) = work(plan, materials, over, post) {
                        over.store(true, Ordering::SeqCst);
                        lock(failure).get_or_insert(found);
                    }
                })
            })
            .collect();
        while !workers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            plan.patience.iter().for_each(|patience| posts.iter().for_each(|post| post.watch(*patience)));
            std::thread::park_timeout(Duration::from_millis(20));
        }
    });
    let played = |material: &Material| {
        let count = |count: &AtomicU64| count.load(Ordering::SeqCst);
        (material.target.name, count(&material.cases), count(&material.understood))
    };
    Outcome { played: materials.iter().map(played).collect(), failure: lock(&failure).take() }
}

/// A target with its samples, and what was played of it.
struct Material {
    target: Target,
    samples: Vec<Vec<u8>>,
    /// The seed that is next, counted from the first.
    next: AtomicU64,
    /// How long it was played, in µs.
    spent_us: AtomicU64,
    cases: AtomicU64,
    understood: AtomicU64,
}

/// Where a thread says what it is at.
#[derive(Default)]
struct Post(Mutex<Option<(&'static str, u64, Instant)>>);

impl Post {
    /// Ends the process if a case does not end: there is no other way out of it.
    fn watch(&self, patience: Duration) {
        let Some((target, seed, since)) = *lock(&self.0) else { return };
        if since.elapsed() >= patience {
            let what = format!("it goes on for more than {} s", patience.as_secs());
            let input = Material::of(named(target).unwrap_or(TARGETS[0])).input(seed).0;
            let first = input.len();
            let failure = Failure { target, seed, what, sort: Sort::Hang, input, first };
            print!("{failure}");
            std::process::exit(Sort::Hang.exit().into());
        }
    }
}

fn work(plan: &Plan, materials: &[Material], over: &AtomicBool, post: &Post) -> Option<Failure> {
    let mut found = None;
    while found.is_none() && !over.load(Ordering::SeqCst) && plan.until.is_none_or(|until| Instant::now() < until) {
        // The same time for each: one that is slow leaves the others theirs.
        let behind = materials.iter().filter(|material| material.next.load(Ordering::SeqCst) < plan.rounds);
        let Some(material) = behind.min_by_key(|material| material.spent_us.load(Ordering::SeqCst)) else { break };
        let round = material.next.fetch_add(1, Ordering::SeqCst);
        if round < plan.rounds {
            let (seed, begun) = (plan.from.wrapping_add(round), Instant::now());
            *lock(&post.0) = Some((material.target.name, seed, begun));
            found = material.play(seed);
            let spent = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            material.spent_us.fetch_add(spent.saturating_add(1), Ordering::SeqCst);
        }
    }
    *lock(&post.0) = None;
    found
}

impl Material {
    fn of(target: Target) -> Self {
        let samples = (target.samples)(target.name);
        let [next, spent_us, cases, understood] = [const { AtomicU64::new(0) }; 4];
        Self { target, samples, next, spent_us, cases, understood }
    }

    /// The input of a seed, and the seed of all else that the case draws.
    fn input(&self, seed: u64) -> (Vec<u8>, u64) {
        let mut chance = Chance::new(seed);
        let input = change::input(&self.samples, &mut chance);
        (input, chance.any())
    }

    fn play(&self, seed: u64) -> Option<Failure> {
        let (input, draws) = self.input(seed);
        self.cases.fetch_add(1, Ordering::SeqCst);
        let (sort, what) = match self.attempt(&input, draws) {
            Ok(read) => {
                self.understood.fetch_add(u64::from(read == Read::Understood), Ordering::SeqCst);
                return None;
            }
            Err(found) => found,
        };
        let (first, small) = (input.len(), self.smaller(input, draws, sort));
        let what = self.attempt(&small, draws).err().map_or(what, |(_, what)| what);
        Some(Failure { target: self.target.name, seed, what, sort, input: small, first })
    }

    fn attempt(&self, input: &[u8], draws: u64) -> Result<Read, (Sort, String)> {
        let case = || self.target.check(input, draws);
        match catch_unwind(AssertUnwindSafe(case)) {
            Ok(held) => held.map_err(|what| (Sort::Broken, what)),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                Err((Sort::Panic, text.unwrap_or("a panic without words").to_owned()))
            }
        }
    }

    /// Drops lines, and then bytes, while it still fails in this way.
    fn smaller(&self, mut input: Vec<u8>, draws: u64, sort: Sort) -> Vec<u8> {
        let mut tries = TRIES;
        for by_line in [true, false] {
            let mut size = if by_line || input.len() <= BY_BYTE { usize::MAX } else { 0 };
            while size > 0 {
                let pieces: Vec<Vec<u8>> = if by_line {
                    input.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
                } else {
                    input.iter().map(|byte| vec![*byte]).collect()
                };
                size = size.min(pieces.len());
                let mut at = 0;
                let mut left = pieces;
                while size > 0 && at < left.len() && tries > 0 {
                    let mut fewer = left.clone();
                    fewer.drain(at..(at + size).min(left.len()));
                    tries -= 1;
                    if self.attempt(&fewer.concat(), draws).is_err_and(|(found, _)| found == sort) {
                        left = fewer;
                    } else {
                        at += size;
                    }
                }
                input = left.concat();
                size /= 2;
            }
        }
        input
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sort = match self.sort {
            Sort::Broken => "broken",
            Sort::Panic => "crash",
            Sort::Hang => "hang",
        };
        let what: String = self.what.chars().take(SHOWN).collect();
        writeln!(f, "musher-sim FAILED {sort} in {}: {what}", self.target)?;
        writeln!(f, "  seed    {}", self.seed)?;
        writeln!(f, "  replay  {}", replay(self.target, self.seed))?;
        writeln!(f, "  input   {} bytes, made smaller from {}:", self.input.len(), self.first)?;
        for line in self.input.split(|b| *b == b'\n') {
            let line: String = line.escape_ascii().to_string().chars().take(SHOWN).collect();
            writeln!(f, "    {line}")?;
        }
        Ok(())
    }
}

/// The command that plays a case again. Not in release mode, where a panic cannot be caught and numbers wrap.
pub fn replay(target: &str, seed: u64) -> String {
    format!("cargo run -p musher-sim -- fuzz --target {target} --seed {seed}")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
