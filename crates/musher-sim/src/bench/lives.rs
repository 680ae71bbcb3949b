//! Durable item lives: 256 in flight beside a bare writer of the same rows, and strictly one after the other.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use musher_core::change::Change;
use musher_core::entropy::Entropy;
use musher_core::id::Seq;
use musher_core::item::Phase;
use musher_core::state::World;
use musher_engine::machine::Machine;
use musher_store::{Reader, Store, StoreError};

use super::material::{self, Stand};
use super::{BenchError, Figure, Options, START, bare, fresh, open, probe, remove};

/// What a life is, in words.
pub(super) const LIFE: &str = "a `design` item without gate and review, its worktree made before: ready → assigned (a run, a \
                        start effect) → run finished (an inspect effect) → inspected, nothing changed → done (a remove \
                        effect) → worktree removed. RunStarted is skipped. Each arrow is on disk before the next begins";

/// How many items are assigned, running or verifying at once.
const IN_FLIGHT: u32 = 256;

struct Timing {
    seconds: f64,
    lives: u32,
    commits: u32,
}

pub(super) fn measure(options: &Options, figures: &mut Vec<Figure>) -> Result<(), BenchError> {
    let (lives, serial) = if options.quick { (5_120, 200) } else { (51_200, 2_000) };
    let tape = Tape::default();
    let (made, whole) = (Stand::ReadyWithWorktree, Stand::Ready);

    // The recording comes first and warms the machine up; what is timed records nothing.
    one(&options.dir, lives, IN_FLIGHT, made, Some(tape.clone()))?;
    let timing = one(&options.dir, lives, IN_FLIGHT, made, None)?;
    let batches = tape.take();
    let bare = bare::write(&fresh(&options.dir, "bare")?, &batches)?;
    drop(batches);
    remove(&options.dir.join("bare"))?;
    let rate = f64::from(timing.lives) / timing.seconds;
    let bare_rate = f64::from(lives) / bare.seconds;
    figures.push(Figure::at_least("durable lives, 256 in flight", rate, "/s", 50_000.0));
    figures.push(Figure::plain("… commits", f64::from(timing.commits) / timing.seconds, "/s"));
    figures.push(Figure::plain("… lives a commit", f64::from(timing.lives) / f64::from(timing.commits), ""));
    figures.push(Figure::plain("bare batched SQLite writer of the same rows, lives", bare_rate, "/s"));
    figures.push(Figure::plain("… rows a life", bare.rows as f64 / f64::from(lives), ""));
    figures.push(Figure::plain("… bytes of rows a life", bare.bytes as f64 / f64::from(lives), "B"));
    figures.push(Figure::at_least("… musher's lives to those of the bare writer", rate / bare_rate, "", 0.5));

    let timing = one(&options.dir, lives / 2, IN_FLIGHT, whole, None)?;
    let rate = f64::from(timing.lives) / timing.seconds;
    figures.push(Figure::plain("durable lives that make their worktree too, 256 in flight", rate, "/s"));

    let syncs = probe::fdatasyncs(&options.dir)?;
    let timing = one(&options.dir, serial, 1, made, None)?;
    let rate = f64::from(timing.lives) / timing.seconds;
    figures.push(Figure::plain("fdatasync of 4 KiB appends, before the serial lives", syncs, "/s"));
    figures.push(Figure::plain("durable lives, strictly one after the other", rate, "/s"));
    figures.push(Figure::plain("… commits a life", f64::from(timing.commits) / f64::from(timing.lives), ""));
    figures.push(Figure::at_least("… to a third of that fdatasync rate", rate / (syncs / 3.0), "", 0.7));
    figures.push(Figure::plain("… commits to fdatasyncs", f64::from(timing.commits) / timing.seconds / syncs, ""));
    Ok(())
}

/// One mission of so many items, from ready to done.
fn one(dir: &Path, lives: u32, in_flight: u32, stand: Stand, tape: Option<Tape>) -> Result<Timing, BenchError> {
    let folder = fresh(dir, "lives")?;
    let mut entropy = Entropy::from_seed(7);
    let mut store: Box<dyn Store> = Box::new(open(&folder)?);
    let agent = material::agent(0, &mut entropy)?;
    let (id, mission) = material::mission(lives, in_flight, stand, &mut entropy)?;
    material::write(&mut *store, &[agent, mission])?;
    if let Some(tape) = tape {
        store = Box::new(Recorder { inner: store, tape, open: Vec::new() });
    }
    let mut machine = Machine::load(store, 11)?;
    let mut commits = 0;
    let mut inputs = Vec::new();
    let mut now = START;
    let started = Instant::now();
    loop {
        now = now.after(std::time::Duration::from_millis(1));
        let batch = machine.batch(&inputs, now)?;
        commits += 1;
        inputs.clear();
        inputs.extend(batch.effects.iter().map(material::answer));
        if inputs.is_empty() && !batch.more {
            break;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let done = machine.state().mission(id).map_or(0, |m| m.count(Phase::Done));
    if done != lives {
        return Err(BenchError::Machine(format!("{done} of {lives} items are done")));
    }
    drop(machine);
    remove(&folder)?;
    Ok(Timing { seconds, lives, commits })
}

/// The changes of every batch, as they were written.
#[derive(Clone, Debug, Default)]
pub(super) struct Tape(Arc<Mutex<Vec<Vec<Change>>>>);

impl Tape {
    fn take(&self) -> Vec<Vec<Change>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, batch: Vec<Change>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(batch);
    }
}

struct Recorder {
    inner: Box<dyn Store>,
    tape: Tape,
    open: Vec<Change>,
}

impl Store for Recorder {
    fn load(&mut self) -> Result<World, StoreError> {
        self.inner.load()
    }
    fn begin(&mut self) -> Result<(), StoreError> {
        self.open.clear();
        self.inner.begin()
    }
    fn write(&mut self, change: &Change) -> Result<Seq, StoreError> {
        self.open.push(change.clone());
        self.inner.write(change)
    }
    fn commit(&mut self) -> Result<Seq, StoreError> {
        self.tape.push(std::mem::take(&mut self.open));
        self.inner.commit()
    }
    fn rollback(&mut self) -> Result<(), StoreError> {
        self.inner.rollback()
    }
    fn reader(&self) -> Result<Box<dyn Reader>, StoreError> {
        self.inner.reader()
    }
    fn last_seq(&self) -> Seq {
        self.inner.last_seq()
    }
}
