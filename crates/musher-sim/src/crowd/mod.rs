//! A crowd: thousands of short items, dozens of agents, and days of contention for them.
//!
//! Where a [night](crate::night) asks whether one item survives everything, a crowd asks who is given what, and when. The
//! rules and the store are the real ones, and the daemon dies now and then. Agents vanish with their nodes and return, the
//! clock jumps over midnight in the night in which it is also put forward, operators lower and raise quotas and weights
//! while runs are live, accounts are used up, and three times for more than a day nothing can be dispatched at all.
//!
//! Open `judge.rs` for what must hold, `books.rs` for quotas, `order.rs` for shares, `flaw.rs` for the defects that they have
//! to catch.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use musher_core::command::{Command, Report};
use musher_core::effect::Effect;
use musher_core::event::Logged;
use musher_core::id::{EffectId, ItemId, MissionId, RunId, Seq};
use musher_core::state::State;
use musher_core::time::Timestamp;
use musher_engine::machine::Machine;
use musher_store::Reader;

use crate::chance::Chance;
use crate::disk::Disk;
use crate::failure::{Broken, EVENTS_SHOWN, Failure};
use crate::faulty::Control;
use crate::nodes;

mod batch;
mod books;
mod drivers;
pub mod figures;
pub mod flaw;
mod judge;
mod operator;
mod order;
mod stage;

use drivers::Process;
pub use figures::Figures;
pub use flaw::Flaw;
use judge::Judge;
use operator::{Drought, Wish};
use stage::Stage;

const MS: i64 = 1_000;
const SECOND: i64 = 1_000 * MS;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// 2026-03-28T20:00:00Z: an evening in Berlin, before the night in which clocks are put forward.
const EVENING: i64 = 1_774_728_000 * SECOND;

/// More happenings than so many an item, and it will never come to rest.
const STEPS_AN_ITEM: u64 = 400;

/// And so many at least: heartbeats come also when little is left.
const LEAST_STEPS: u64 = 100_000;

/// From this many items on, what a crowd never held is a failure of the simulator itself.
pub const ITEMS_TO_SEE_ALL: u32 = 2_000;

/// How many events are kept for the report of a failure.
const TAIL: usize = 4_000;

/// How many there are.
#[derive(Clone, Copy, Debug)]
pub struct Cast {
    /// Items.
    pub items: u32,
    /// Agents.
    pub agents: u32,
}

fn micros_after(at: Timestamp, micros: i64) -> Timestamp {
    at.after(Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
}

/// What happens at a moment.
#[derive(Clone, Debug)]
enum Happening {
    /// A driver of this life has come to the end of its work.
    Act { effect: Effect, life: u32 },
    /// A process has used something.
    Uses(RunId),
    /// A process ends by itself.
    Exit(RunId),
    /// The nodes that are there send their heartbeats.
    Beats,
    /// A node vanishes for a while.
    Vanish,
    /// The clock jumps over midnight.
    Jump,
    /// Something is wished, by itself in a batch.
    Wish(Wish),
}

/// A command of a batch, and what becomes of it.
#[derive(Clone, Debug)]
enum Said {
    Report { effect: EffectId, report: Report, run: Option<RunId> },
    Beat { node: Box<str>, is_true: bool },
    Operator(Wish, Command),
    Config(Command),
}

/// How the daemon dies at a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    BeforeCommit,
    AfterCommit,
}

struct Crowd {
    seed: u64,
    flaw: Flaw,
    chance: Chance,
    stage: Stage,
    disk: Disk,
    control: Control,
    machine: Option<Machine>,
    reader: Option<Box<dyn Reader>>,
    judge: Judge,
    nodes: nodes::Watch,
    queue: BTreeMap<(i64, u64), Happening>,
    order: u64,
    now: i64,
    skew: i64,
    owed: bool,
    life: u32,
    step: u64,
    seq: Seq,
    tail: VecDeque<Logged>,
    processes: BTreeMap<RunId, Process>,
    /// The items whose every run fails.
    cursed: BTreeSet<ItemId>,
    /// The missions by their number, as far as they are started.
    started: BTreeMap<usize, MissionId>,
    /// Until when each node is away.
    away: BTreeMap<Box<str>, i64>,
    drought: Option<Drought>,
    /// How many droughts there were.
    droughts: usize,
    dawn: bool,
}

/// Plays one seed. The failure is boxed: it is a whole report.
pub fn play(seed: u64, cast: Cast, flaw: Flaw) -> Result<Figures, Box<Failure>> {
    let mut chance = Chance::new(seed);
    let stage = Stage::draw(&mut chance, cast);
    let world = stage.line();
    let fail = |broken: Broken, step, virtual_us, events| {
        let (world, replay) = (world.clone(), replay(seed, cast, flaw));
        Box::new(Failure { broken, seed, step, virtual_us, world, replay, events })
    };
    let mut crowd = Crowd::new(seed, flaw, chance, stage).map_err(|broken| fail(broken, 0, 0, Vec::new()))?;
    match crowd.run() {
        Ok(()) => Ok(crowd.judge.figures),
        Err(broken) => {
            let events = crowd.tail_of(broken.item);
            Err(fail(broken, crowd.step, crowd.now - EVENING, events))
        }
    }
}

/// The command that plays a seed again.
pub fn replay(seed: u64, cast: Cast, flaw: Flaw) -> String {
    let Cast { items, agents } = cast;
    let flaw = if flaw == Flaw::None { String::new() } else { format!(" --flaw {}", flaw.name()) };
    format!("cargo run --release -p musher-sim -- crowd --items {items} --agents {agents} --seed {seed}{flaw}")
}

impl Crowd {
    fn new(seed: u64, flaw: Flaw, chance: Chance, stage: Stage) -> Result<Self, Broken> {
        Ok(Self {
            seed,
            flaw,
            chance,
            disk: Disk::new()?,
            control: Control::default(),
            machine: None,
            reader: None,
            judge: Judge::new(&stage)?,
            nodes: nodes::Watch::default(),
            queue: BTreeMap::new(),
            order: 0,
            now: EVENING,
            skew: 0,
            owed: false,
            life: 0,
            step: 0,
            seq: Seq(0),
            tail: VecDeque::new(),
            processes: BTreeMap::new(),
            cursed: BTreeSet::new(),
            started: BTreeMap::new(),
            away: BTreeMap::new(),
            drought: None,
            droughts: 0,
            dawn: false,
            stage,
        })
    }

    fn run(&mut self) -> Result<(), Broken> {
        self.evening();
        self.open()?;
        let items: usize = self.stage.missions.iter().map(|scheduled| scheduled.mission.items.len()).sum();
        let most = LEAST_STEPS + STEPS_AN_ITEM * items as u64;
        while self.judge.at_their_end() < items || self.state()?.effects().next().is_some() {
            self.step += 1;
            if self.step > most {
                let done = self.judge.at_their_end();
                return Err(Broken::liveness(None, format!("{done} of {items} items ended in {most} happenings")));
            }
            self.now = self.now.max(self.next_moment());
            let is_due = self.due().is_some_and(|due| due <= self.now);
            let said = self.happen()?;
            if is_due || self.owed || !said.is_empty() {
                self.batch(said, true)?;
                self.go_on(items);
            }
        }
        self.at_rest()?;
        let hours = (self.now + self.skew - EVENING) / HOUR;
        self.judge.figures.hours = u64::try_from(hours).unwrap_or(0);
        self.judge.figures.served = self.judge.order.served();
        Ok(())
    }

    fn at_rest(&self) -> Result<(), Broken> {
        self.state()?.check().map_err(|violation| Broken::safety(None, violation.0))?;
        for mission in self.started.values() {
            self.judge.at_rest(&self.reader()?.items_of(*mission).map_err(Broken::simulator)?)?;
        }
        Ok(())
    }

    fn push(&mut self, after: i64, happening: Happening) {
        self.order += 1;
        self.queue.insert((self.now + after, self.order), happening);
    }

    fn wall(&self) -> Timestamp {
        Timestamp::from_micros(self.now + self.skew)
    }

    fn state(&self) -> Result<&State, Broken> {
        self.machine.as_ref().map(Machine::state).ok_or_else(|| Broken::simulator("no daemon is up"))
    }

    fn reader(&self) -> Result<&dyn Reader, Broken> {
        self.reader.as_deref().ok_or_else(|| Broken::simulator("no daemon is up"))
    }

    /// When something is due by itself, in true time.
    fn due(&self) -> Option<i64> {
        let due = self.machine.as_ref()?.state().next_due()?;
        Some(due.as_micros() - self.skew)
    }

    fn next_moment(&self) -> i64 {
        let queued = self.queue.first_key_value().map(|((at, _), _)| *at);
        if self.owed { self.now } else { queued.into_iter().chain(self.due()).min().unwrap_or(self.now) }
    }

    /// Lets happen what happens now, and often what follows within a moment, as one batch would take it. What operators
    /// wish is a batch of its own, so that it is plain what was decided before it and what after.
    fn happen(&mut self) -> Result<Vec<Said>, Broken> {
        let window = if self.chance.one_in(3) { 500 * MS } else { 0 };
        let mut said = Vec::new();
        while let Some(entry) = self.queue.first_entry()
            && entry.key().0 <= self.now + window
        {
            let is_wish = matches!(entry.get(), Happening::Wish(_));
            if is_wish && !said.is_empty() {
                break;
            }
            let ((at, _), happening) = entry.remove_entry();
            self.now = self.now.max(at);
            self.one(happening, &mut said)?;
            if is_wish {
                break;
            }
        }
        Ok(said)
    }

    fn one(&mut self, happening: Happening, said: &mut Vec<Said>) -> Result<(), Broken> {
        match happening {
            Happening::Act { effect, life } if life == self.life => self.act(&effect, said)?,
            // It died with its daemon.
            Happening::Act { .. } => {}
            Happening::Uses(run) => self.uses(run, said),
            Happening::Exit(run) => self.exit(run, said),
            Happening::Beats => self.beats(said),
            Happening::Vanish => self.vanish(),
            Happening::Jump => self.jump(),
            Happening::Wish(wish) => self.wish(wish, said)?,
        }
        Ok(())
    }

    fn tail_of(&self, item: Option<ItemId>) -> Vec<Logged> {
        let about = self.tail.iter().rev().filter(|logged| item.is_none() || logged.event.item == item);
        let mut tail: Vec<Logged> = about.take(EVENTS_SHOWN).cloned().collect();
        tail.reverse();
        tail
    }
}
