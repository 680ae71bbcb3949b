//! What one dispatch costs, from a small file to a large one; then what a restart on the large one costs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use musher_core::change::Change;
use musher_core::command::{Command, Report};
use musher_core::effect::EffectKind;
use musher_core::entropy::Entropy;
use musher_core::id::{MissionId, Seq};
use musher_core::state::World;
use musher_engine::machine::Machine;
use musher_store::{Reader, Store, StoreError};

use super::material::{self, Stand};
use super::{BenchError, Figure, Options, START, fresh, middle_and_p99, open, remove, restart};

/// Items a mission on file.
const EACH: u32 = 1_000;

/// Every tenth item on file is active.
const ACTIVE_SHARE: u32 = 10;

pub(super) fn measure(options: &Options, figures: &mut Vec<Figure>) -> Result<(), BenchError> {
    let sizes: &[u32] = if options.quick { &[1_000, 10_000] } else { &[1_000, 10_000, 100_000, 1_000_000] };
    let folder = fresh(&options.dir, "growth")?;
    let mut file = OnFile { entropy: Entropy::from_seed(5), active: Vec::new(), items: 0 };
    let mut first = None;
    for size in sizes {
        file.grow(&folder, *size)?;
        let (middle, p99, deciding) = dispatches(&folder, if options.quick { 100 } else { 400 })?;
        figures.push(Figure::plain(format!("one dispatch, {size} items on file, median"), middle * 1e6, "µs"));
        figures.push(Figure::plain("… p99", p99 * 1e6, "µs"));
        figures.push(Figure::plain("… median without the commit", deciding * 1e6, "µs"));
        let (was, was_deciding) = *first.get_or_insert((middle, deciding));
        if size == sizes.last().unwrap_or(size) {
            figures.push(Figure::at_most("… grown from the smallest file to the largest", middle / was, "×", 1.5));
            figures.push(Figure::plain("… the same without the commit", deciding / was_deciding, "×"));
        }
    }
    restart::measure(&folder, file.items, file.active_items(), figures)?;
    archive_all(&folder, &file.active)?;
    restart::measure_idle(&folder, file.active_items(), figures)?;
    remove(&folder)
}

struct OnFile {
    entropy: Entropy,
    active: Vec<MissionId>,
    items: u32,
}

impl OnFile {
    fn active_items(&self) -> u32 {
        u32::try_from(self.active.len()).unwrap_or(0) * EACH
    }

    /// Adds missions until so many items are on file: one of ten active, the rest archived.
    fn grow(&mut self, folder: &Path, size: u32) -> Result<(), BenchError> {
        let mut store = open(folder)?;
        store.load()?;
        if self.items == 0 {
            let agent = material::agent(1, &mut self.entropy)?;
            material::write(&mut store, &[agent])?;
        }
        while self.items < size {
            let active = (self.items / EACH).is_multiple_of(ACTIVE_SHARE);
            let stand = if active { Stand::ReadyWithWorktree } else { Stand::Archived };
            let (id, change) = material::mission(EACH, EACH, stand, &mut self.entropy)?;
            material::write(&mut store, &[change])?;
            if active {
                self.active.push(id);
            }
            self.items += EACH;
        }
        Ok(())
    }
}

/// The one agent ends a run and takes the next item: the time of that batch, its p99, and the part that is no commit.
fn dispatches(folder: &Path, count: u32) -> Result<(f64, f64, f64), BenchError> {
    let clock = CommitClock::default();
    let store = Timed { inner: Box::new(open(folder)?), clock: clock.clone() };
    let mut machine = Machine::load(Box::new(store), 13)?;
    let mut now = START.after(std::time::Duration::from_secs(1));
    let mut open: Vec<_> = machine.state().effects().cloned().collect();
    open.extend(machine.batch(&[], now)?.effects);
    let (mut whole, mut deciding) = (Vec::new(), Vec::new());
    for _ in 0..count {
        now = now.after(std::time::Duration::from_millis(1));
        let (runs, rest): (Vec<_>, Vec<_>) = open.drain(..).partition(|e| matches!(e.kind, EffectKind::StartRun(_)));
        // What is not a dispatch comes in a batch of its own, which is not timed.
        let inputs: Vec<_> = rest.iter().map(material::answer).collect();
        if !inputs.is_empty() {
            open.extend(machine.batch(&inputs, now)?.effects);
        }
        let inputs: Vec<_> = runs.iter().map(material::answer).collect();
        if !inputs.iter().all(|i| matches!(i.command, Command::Report(_, Report::RunFinished { .. })))
            || inputs.len() != 1
        {
            return Err(BenchError::Machine(format!("{} runs at once, 1 was expected", inputs.len())));
        }
        clock.take();
        let started = Instant::now();
        let batch = machine.batch(&inputs, now)?;
        let took = started.elapsed().as_secs_f64();
        whole.push(took);
        deciding.push((took - clock.take()).max(0.0));
        if !batch.effects.iter().any(|e| matches!(e.kind, EffectKind::StartRun(_))) {
            return Err(BenchError::Machine("a batch dispatched nothing".into()));
        }
        open.extend(batch.effects);
    }
    let (middle, p99) = middle_and_p99(whole);
    Ok((middle, p99, middle_and_p99(deciding).0))
}

/// The missions leave memory; their rows stay.
fn archive_all(folder: &Path, missions: &[MissionId]) -> Result<(), BenchError> {
    let mut store = open(folder)?;
    let closed = store.load()?.effects.iter().map(|e| e.id).collect();
    material::write(&mut store, &[Change { archived: missions.to_vec(), closed, ..Change::default() }])
}

/// How long commits took since it was last asked, in nanoseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct CommitClock(Arc<AtomicU64>);

impl CommitClock {
    /// Seconds since it was last asked.
    pub(super) fn take(&self) -> f64 {
        self.0.swap(0, Ordering::Relaxed) as f64 / 1e9
    }
}

/// A store whose commits are timed.
pub(super) struct Timed {
    pub(super) inner: Box<dyn Store>,
    pub(super) clock: CommitClock,
}

impl Store for Timed {
    fn load(&mut self) -> Result<World, StoreError> {
        self.inner.load()
    }
    fn begin(&mut self) -> Result<(), StoreError> {
        self.inner.begin()
    }
    fn write(&mut self, change: &Change) -> Result<Seq, StoreError> {
        self.inner.write(change)
    }
    fn commit(&mut self) -> Result<Seq, StoreError> {
        let started = Instant::now();
        let done = self.inner.commit();
        let nanos = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.clock.0.fetch_add(nanos, Ordering::Relaxed);
        done
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
