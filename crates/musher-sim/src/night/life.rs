//! How a daemon dies in a night, and how the next one finds what it left.

use musher_core::command::{Actor, Command};
use musher_core::effect::Effect;
use musher_core::run::Outcome;
use musher_core::state::State;
use musher_core::time::Timestamp;
use musher_engine::machine::{Input, Machine};

use super::{Death, HOUR, Happening, MINUTE, Night, SECOND, Said};
use crate::coverage::Fault;
use crate::failure::Broken;
use crate::faulty::FaultyStore;
use crate::seen::Seen;
use crate::variant::Variant;

impl Night {
    /// The daemon ends, by a crash or in order; time passes; the next one starts.
    pub(super) fn die(&mut self, how: Death) -> Result<(), Broken> {
        self.coverage.saw(match how {
            Death::BeforeCommit => Fault::CrashBeforeCommit,
            Death::AfterCommit => Fault::CrashAfterCommit,
            Death::AtWork => Fault::CrashAtWork,
            Death::Reboot => Fault::Reboot,
            Death::Restart => Fault::Restart,
        });
        // A state that was just built anew from disk has not looked at the clock since.
        let timed = !self.went_back && !self.owed && how != Death::BeforeCommit;
        let left = Seen::of(self.state()?, timed);
        let image = match (how, self.variant, self.previous.take()) {
            (Death::Restart, ..) => None,
            (_, Variant::ForgetsAck, Some(previous)) => Some(previous),
            _ if self.chance.one_in(2) => {
                self.coverage.saw(Fault::CrashImage);
                Some(self.disk.image()?)
            }
            _ => None,
        };
        self.reader = None;
        // Some are not dead: their process was stopped, and goes on when another one has taken over.
        let paused = self.machine.take().filter(|_| how == Death::AtWork && image.is_none());
        if paused.is_some() {
            self.disk.let_lapse()?;
        }
        if let Some(image) = image {
            self.disk.restore(&image)?;
        }
        self.bury(how == Death::Reboot)?;
        self.down();
        self.open(Some(left))?;
        paused.map_or(Ok(()), |paused| self.comes_back(paused))
    }

    /// A daemon that was paused for longer than its lease goes on where it was: it writes nothing, and knows nothing more.
    fn comes_back(&mut self, mut paused: Machine) -> Result<(), Broken> {
        let before = self.reader()?.last_seq().map_err(Broken::simulator)?;
        let note = Command::NoteStart { missions: 0, attached: 0, effects: 0 };
        let done = paused.batch(&[Input { actor: Actor::Musher, command: note }], self.wall());
        let after = self.reader()?.last_seq().map_err(Broken::simulator)?;
        match done {
            Err(broken) if broken.is_fenced() && before == after => {
                self.coverage.saw(Fault::PausedDaemon);
                Ok(())
            }
            done => Err(Broken::safety(
                None,
                format!("a stale fence was not refused: {done:?}, event {} to {}", before.0, after.0),
            )),
        }
    }

    /// What dies with a daemon: its drivers, and the reports on their way. A few of those come later all the same.
    fn bury(&mut self, reboot: bool) -> Result<(), Broken> {
        let life = self.life;
        let mut on_the_way = Vec::new();
        let dead: Vec<_> = std::mem::take(&mut self.queue).into_iter().collect();
        for ((at, order), happening) in dead {
            match happening {
                Happening::Act { life: of, .. }
                | Happening::Configure { life: of }
                | Happening::LookForSink { life: of, .. }
                | Happening::SaySink { life: of, .. }
                    if of == life => {}
                Happening::Deliver { sink, part, life: of } if of == life => on_the_way.push((sink, part)),
                Happening::Say { effect, report, life: Some(of) } if of == life => {
                    if !self.dawn && self.chance.one_in(6) {
                        let late = at + self.chance.between(SECOND, HOUR);
                        self.queue.insert((late, order), Happening::Say { effect, report, life: None });
                    } else {
                        self.coverage.saw(Fault::LostReport);
                    }
                }
                other => {
                    self.queue.insert((at, order), other);
                }
            }
        }
        self.handed.clear();
        self.watching.clear();
        self.landing.clear();
        self.outside.unwanted.clear();
        self.git_free = 0;
        self.place_free.clear();
        self.owed = false;
        self.held_off = 0;
        if reboot {
            let live: Vec<_> = self.outside.live().map(|(run, _)| *run).collect();
            for run in live {
                self.outside.end(run, Some(Outcome::Lost { while_down: true }));
            }
        }
        self.bury_sinks(on_the_way)
    }

    /// Nobody is up: only processes go on, and nobody hears a heartbeat.
    fn down(&mut self) {
        let most = if self.chance.one_in(4) { HOUR } else { 5 * SECOND };
        let until = self.now + self.chance.between(1, most);
        let ended: Vec<_> = self
            .queue
            .range(..=(until, u64::MAX))
            .filter(|(_, h)| matches!(h, Happening::Exit(_) | Happening::Kill(_) | Happening::Beat(_)))
            .map(|(key, _)| *key)
            .collect();
        for key in ended {
            match self.queue.remove(&key) {
                Some(Happening::Exit(run)) => self.exit(run, None),
                Some(Happening::Kill(run)) => self.exit(run, Some(Outcome::Cancelled)),
                _ => {}
            }
        }
        self.now = until;
    }

    /// A daemon starts: it finds what the last one left, issues what is open again, and says what its config says.
    pub(super) fn open(&mut self, left: Option<Seen>) -> Result<(), Broken> {
        self.life += 1;
        let mut store = self.disk.open(self.wall())?;
        let world = store.load().map_err(|e| Broken::safety(None, format!("the state does not load: {e}")))?;
        if let Some(left) = left.filter(|_| !self.variant.rewrites_rows()) {
            let mut state = State::from_world(world);
            state.advance(Timestamp::from_micros(self.highest_wall));
            state.check().map_err(|v| Broken::safety(None, v.0))?;
            let timed = left.is_timed();
            if let Some(difference) = left.difference(&Seen::of(&state, timed)) {
                return Err(Broken::safety(None, format!("a restart changed the world: {difference}")));
            }
        }
        self.history.nodes.begin_anew();
        let store = FaultyStore::new(store, self.control.clone(), self.variant);
        let seed = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(self.life);
        let machine = Machine::load(Box::new(store), seed).map_err(Broken::simulator)?;
        let reader = machine.store().reader().map_err(Broken::simulator)?;
        self.history.compare(&*reader)?;
        self.history.read_on(&*reader, machine.store().last_seq(), &mut self.coverage)?;
        self.history.after_batch(machine.state(), &self.outside)?;
        // It has not looked at the clock yet.
        self.highest_wall = 0;
        self.went_back = false;
        let open: Vec<Effect> = machine.state().effects().cloned().collect();
        self.machine = Some(machine);
        self.reader = Some(reader);
        self.hold_sinks()?;
        if self.variant != Variant::LostOutbox {
            for effect in open {
                self.begin(effect, true)?;
            }
        }
        let soon = self.chance.between(0, MINUTE / 60);
        self.push(soon, Happening::Configure { life: self.life });
        Ok(())
    }

    /// What a daemon says at its start.
    pub(super) fn config(&self) -> Result<Vec<Said>, Broken> {
        let state = self.state()?;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let note = Command::NoteStart {
            missions: count(state.missions().count()),
            attached: count(state.runs().len()),
            effects: count(state.effects().count()),
        };
        let mut said = vec![
            Said::Config(Command::Configure(Box::new(self.world.settings.clone()))),
            Said::Config(Command::SyncAgents(self.world.agents.clone())),
        ];
        said.extend(self.sync_sinks().map(Said::Config));
        said.push(Said::Config(note));
        Ok(said)
    }
}
