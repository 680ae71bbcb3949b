//! A night: one seed from evening to rest.
//!
//! Virtual time jumps from one happening to the next: a driver has done its work, a report arrives, a process ends, an
//! operator wishes, a moment is due. What arrives together is one batch. Around each batch the store may fail and the
//! daemon may die; at dawn nothing fails any more, musher is started once more, and the world must come to rest.

use std::collections::{BTreeMap, BTreeSet};

use musher_core::command::{Command, Report};
use musher_core::effect::Effect;
use musher_core::id::{CallId, EffectId, ItemId, RunId, Seq};
use musher_core::state::State;
use musher_core::time::Timestamp;
use musher_core::tool::ToolUse;
use musher_engine::machine::Machine;
use musher_store::Reader;

use crate::chance::Chance;
use crate::checker::{self, History};
use crate::coverage::{Coverage, Fault};
use crate::disk::{Disk, Image};
use crate::failure::{self, Broken, EVENTS_SHOWN, Failure};
use crate::faulty::Control;
use crate::operator;
use crate::outside::Outside;
use crate::variant::Variant;
use crate::world::World;

mod batch;
mod deliveries;
mod drivers;
mod life;
mod tools;

/// More happenings than this in one night, and it will never come to rest.
const MOST_STEPS: u64 = 40_000;
/// More planned at once than this, and each happening leads to more than one.
const MOST_PLANNED: usize = 10_000;

const MS: i64 = 1_000;
const SECOND: i64 = 1_000 * MS;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// 2026-03-01T20:00:00Z.
pub(crate) const EVENING: i64 = 1_772_395_200 * SECOND;

/// What happens at a moment.
#[derive(Clone, Debug)]
enum Happening {
    /// A driver of this life has come to the end of its work.
    Act { effect: Effect, life: u32, reissued: bool },
    /// A report arrives. One without a life arrives whatever happened to its daemon.
    Say { effect: Effect, report: Report, life: Option<u32> },
    /// A process ends by itself.
    Exit(RunId),
    /// A process is ended.
    Kill(RunId),
    /// A mission is started.
    Mission(usize),
    /// An operator wishes something.
    Wish,
    /// There is room on the disk again.
    Room,
    /// An agent uses one of musher's tools; what serves it to the agent outlives the daemon.
    Tool { run: RunId, tool: Box<ToolUse> },
    /// A node sends a heartbeat.
    Beat(Box<str>),
    /// The daemon says what its config says.
    Configure { life: u32 },
    /// What a worker of this life sends to its sink has come to its end.
    Deliver { sink: usize, part: Vec<Seq>, life: u32 },
    /// A worker of this life looks what its sink is to be sent.
    LookForSink { sink: usize, life: u32 },
    /// A worker of this life says something that it does not wait for.
    SaySink { sink: usize, command: Command, life: u32 },
    /// Nothing: the pass is owed.
    Wake,
    /// Nothing fails from here on.
    Dawn,
}

/// A command of a batch, and what becomes of it when the batch fails.
#[derive(Clone, Debug)]
enum Said {
    Report(Effect, Report),
    Operator(Command),
    Agent(RunId, Box<ToolUse>),
    Beat(Box<str>),
    Config(Command),
    Sink(usize, Command),
}

/// How the daemon dies at a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    BeforeCommit,
    AfterCommit,
    AtWork,
    Reboot,
    Restart,
}

struct Night {
    seed: u64,
    variant: Variant,
    chance: Chance,
    world: World,
    disk: Disk,
    control: Control,
    machine: Option<Machine>,
    reader: Option<Box<dyn Reader>>,
    outside: Outside,
    history: History,
    coverage: Coverage,
    queue: BTreeMap<(i64, u64), Happening>,
    order: u64,
    now: i64,
    skew: i64,
    highest_wall: i64,
    went_back: bool,
    owed: bool,
    life: u32,
    handed: BTreeSet<EffectId>,
    watching: BTreeMap<RunId, Effect>,
    landing: BTreeSet<EffectId>,
    git_free: i64,
    /// Until when a worktree is worked in, by item.
    place_free: BTreeMap<ItemId, i64>,
    held_off: i64,
    step: u64,
    dawn: bool,
    previous: Option<Image>,
    /// The items that agents were told they have added, by the use of the tool.
    added: BTreeMap<CallId, ItemId>,
    sinks: deliveries::Sinks,
}

/// Plays one seed. The failure is boxed: it is a whole report.
pub fn play(seed: u64, variant: Variant) -> Result<Coverage, Box<Failure>> {
    let mut chance = Chance::new(seed);
    let world = World::draw(&mut chance);
    let line = world.line();
    let mut night = match Night::new(seed, variant, chance, world) {
        Ok(night) => night,
        Err(broken) => {
            let replay = failure::replay(seed, variant);
            let failure = Failure { broken, seed, step: 0, virtual_us: 0, world: line, replay, events: Vec::new() };
            return Err(Box::new(failure));
        }
    };
    match night.run() {
        Ok(()) => Ok(night.coverage),
        Err(broken) => Err(Box::new(Failure {
            seed,
            step: night.step,
            virtual_us: night.now - EVENING,
            world: line,
            replay: failure::replay(seed, variant),
            events: night.history.tail(broken.item, EVENTS_SHOWN),
            broken,
        })),
    }
}

impl Night {
    fn new(seed: u64, variant: Variant, chance: Chance, world: World) -> Result<Self, Broken> {
        Ok(Self {
            seed,
            variant,
            chance,
            disk: Disk::new()?,
            control: Control::default(),
            machine: None,
            reader: None,
            outside: Outside::new(
                world.missions.clone(),
                world.agents.iter().cloned().chain([operator::helper()]).collect(),
            ),
            sinks: deliveries::Sinks::new(world.sinks.clone(), seed),
            world,
            history: History::default(),
            coverage: Coverage::default(),
            queue: BTreeMap::new(),
            order: 0,
            now: EVENING,
            skew: 0,
            highest_wall: 0,
            went_back: false,
            owed: false,
            life: 0,
            handed: BTreeSet::new(),
            watching: BTreeMap::new(),
            landing: BTreeSet::new(),
            git_free: 0,
            place_free: BTreeMap::new(),
            held_off: 0,
            step: 0,
            dawn: false,
            previous: None,
            added: BTreeMap::new(),
        })
    }

    fn run(&mut self) -> Result<(), Broken> {
        self.evening();
        self.open(None)?;
        while let Some(at) = self.next_moment() {
            self.step += 1;
            if self.step > MOST_STEPS {
                return Err(Broken::liveness(None, format!("no rest after {MOST_STEPS} happenings")));
            }
            if self.queue.len() > MOST_PLANNED {
                return Err(Broken::liveness(None, format!("more than {MOST_PLANNED} happenings are planned at once")));
            }
            self.now = self.now.max(at);
            let due = self.due().is_some_and(|due| due <= self.now);
            let said = self.happen()?;
            if due || !said.is_empty() || self.owed {
                self.batch(said)?;
            }
        }
        let (state, reader) = (self.state()?, self.reader()?);
        checker::at_rest(state, &self.outside, reader)?;
        checker::added(reader, &self.added)?;
        self.sinks.ledger.at_rest(self.history.log())?;
        self.history.compare(reader)?;
        self.coverage.virtual_us = self.now - EVENING;
        self.coverage.merged = self.outside.targets.values().map(|t| t.landed.len() as u64).sum();
        Ok(())
    }

    /// Everything that is planned from the start.
    fn evening(&mut self) {
        let length = self.world.night_us;
        for n in 0..self.world.missions.len() {
            let at = if n == 0 { SECOND } else { self.chance.between(SECOND, length / 2) };
            self.push(at, Happening::Mission(n));
        }
        for _ in 0..self.world.wishes {
            let at = self.chance.between(5 * SECOND, length);
            // Most are made in the first hour, when most is under way.
            let at = if self.chance.one_in(3) { at } else { at % HOUR };
            self.push(at, Happening::Wish);
        }
        for beat in self.world.beats.clone() {
            self.push(beat.at, Happening::Beat(beat.node));
        }
        self.push(length, Happening::Dawn);
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
        let state = self.machine.as_ref()?.state();
        // What waits for a person asks for help again and again: with nothing else to come, that is rest.
        let due = if self.queue.is_empty() { state.next_due_but_help() } else { state.next_due() }?;
        Some((due.as_micros() - self.skew).max(self.held_off))
    }

    fn next_moment(&self) -> Option<i64> {
        let queued = self.queue.first_key_value().map(|((at, _), _)| *at);
        if self.owed {
            return Some(self.now);
        }
        match (queued, self.due()) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Lets happen what happens now, and often what follows within a moment, as one batch would take it.
    fn happen(&mut self) -> Result<Vec<Said>, Broken> {
        let window = if self.chance.one_in(3) { 500 * MS } else { 0 };
        let mut said = Vec::new();
        while let Some(entry) = self.queue.first_entry()
            && entry.key().0 <= self.now + window
        {
            let ((at, _), happening) = entry.remove_entry();
            self.now = self.now.max(at);
            let is_dawn = matches!(happening, Happening::Dawn);
            self.one(happening, &mut said)?;
            if is_dawn {
                break;
            }
        }
        Ok(said)
    }

    fn one(&mut self, happening: Happening, said: &mut Vec<Said>) -> Result<(), Broken> {
        match happening {
            Happening::Act { effect, life, reissued } if life == self.life => self.act(&effect, reissued)?,
            Happening::Say { effect, report, life } if life.is_none_or(|l| l == self.life) => {
                said.push(self.hear(effect, report)?);
            }
            Happening::Configure { life } if life == self.life => said.extend(self.config()?),
            Happening::Deliver { sink, part, life } if life == self.life => self.deliver(sink, &part, said)?,
            Happening::LookForSink { sink, life } if life == self.life => self.look_for_sink(sink)?,
            Happening::SaySink { sink, command, life } if life == self.life => said.push(Said::Sink(sink, command)),
            // They died with their daemon.
            Happening::Act { .. }
            | Happening::Say { .. }
            | Happening::Configure { .. }
            | Happening::Deliver { .. }
            | Happening::LookForSink { .. }
            | Happening::SaySink { .. } => {}
            Happening::Exit(run) => self.exit(run, None),
            Happening::Kill(run) => self.exit(run, Some(musher_core::run::Outcome::Cancelled)),
            Happening::Mission(n) => {
                if let Some(mission) = self.world.missions.get(n) {
                    said.push(Said::Operator(Command::StartMission(Box::new(mission.clone()))));
                }
            }
            Happening::Tool { run, tool } => {
                if self.outside.processes.get(&run).is_some_and(|process| process.ended.is_none()) {
                    said.push(Said::Agent(run, tool));
                }
            }
            Happening::Beat(node) => said.push(Said::Beat(node)),
            Happening::Wish => self.wish(said)?,
            Happening::Room => self.control.set_full(false),
            Happening::Wake => (self.held_off, self.owed) = (0, true),
            Happening::Dawn => {
                self.dawn = true;
                self.control.set_full(false);
                self.die(Death::Restart)?;
            }
        }
        Ok(())
    }

    fn wish(&mut self, said: &mut Vec<Said>) -> Result<(), Broken> {
        if !self.dawn && self.chance.one_in(self.world.odds.clock) {
            self.jump();
        }
        let mut chance = self.chance.clone();
        let wish = operator::wish(&mut chance, self.state()?);
        self.chance = chance;
        said.extend(wish.map(Said::Operator));
        Ok(())
    }

    fn jump(&mut self) {
        let wall = self.now + self.skew;
        self.sinks.ledger.jumped(self.now);
        match self.chance.below(3) {
            0 => {
                self.skew += self.chance.between(SECOND, 30 * HOUR);
                self.coverage.saw(Fault::ClockForward);
            }
            1 => {
                self.skew -= self.chance.between(SECOND, 30 * HOUR);
                self.went_back = true;
                self.coverage.saw(Fault::ClockBackward);
            }
            _ => {
                let midnight = (wall / DAY + 1) * DAY;
                self.skew += midnight - wall - 100 * MS;
                self.coverage.saw(Fault::ClockMidnight);
            }
        }
    }

    /// A report arrives: mostly as it is; a machine without a fence takes any for the one it waits for.
    fn hear(&mut self, effect: Effect, report: Report) -> Result<Said, Broken> {
        let state = self.state()?;
        if state.effect(effect.id).is_some() {
            return Ok(Said::Report(effect, report));
        }
        let run = match effect.kind {
            musher_core::effect::EffectKind::StartRun(run) => Some(run),
            _ => None,
        };
        let moved_on = run.is_some() && state.item(effect.item).is_none_or(|i| i.run != run || !i.is_live());
        let open = state
            .effects_of(effect.item)
            .find(|e| std::mem::discriminant(&e.kind) == std::mem::discriminant(&effect.kind))
            .cloned();
        self.coverage.saw(if moved_on { Fault::PausedHolder } else { Fault::LateReport });
        match open {
            Some(open) if self.variant == Variant::NoFence => Ok(Said::Report(open, report)),
            _ => Ok(Said::Report(effect, report)),
        }
    }
}
