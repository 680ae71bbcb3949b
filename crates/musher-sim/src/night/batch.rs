//! One batch of a night: what may befall its commit, and what follows from it.

use musher_core::command::{Actor, Command};
use musher_core::effect::Effect;
use musher_core::time::Timestamp;
use musher_engine::machine::{self, Input, Rejected};

use super::{Death, Happening, MINUTE, MS, Night, SECOND, Said};
use crate::coverage::Fault;
use crate::failure::Broken;
use crate::faulty::Ask;
use crate::seen::Seen;
use crate::variant::Variant;

impl Night {
    /// One batch, with what may befall it.
    pub(super) fn batch(&mut self, said: Vec<Said>) -> Result<(), Broken> {
        let death = self.draw_death();
        let ask = if death == Some(Death::BeforeCommit) { Ask::CommitLost } else { self.draw_store_fault() };
        self.control.ask(ask);
        let before = (ask != Ask::Nothing).then(|| self.state().map(|s| Seen::of(s, false))).transpose()?;
        if self.variant == Variant::ForgetsAck {
            self.previous = Some(self.disk.image()?);
        }
        let inputs: Vec<Input> = said.iter().map(input).collect();
        let wall = self.wall();
        let Some(machine) = self.machine.as_mut() else { return Err(Broken::simulator("no daemon is up")) };
        let done = machine.batch(&inputs, wall);
        self.highest_wall = self.highest_wall.max(wall.as_micros());
        self.watch_nodes(&said, done.as_ref().ok(), ask, wall);
        match done {
            Ok(batch) => self.committed(batch, said, ask, death),
            Err(machine::Broken::Defect(text)) => Err(Broken::safety(None, format!("a defect: {text}"))),
            Err(machine::Broken::Store(_)) => {
                // The state was built anew, and has not looked at the clock since.
                self.highest_wall = 0;
                self.not_committed(said, ask, death, before)
            }
        }
    }

    /// Heartbeats count from the batch on in which they are on disk.
    fn watch_nodes(&mut self, said: &[Said], batch: Option<&machine::Batch>, ask: Ask, now: Timestamp) {
        let taken = |n: usize| batch.is_none_or(|batch| batch.answers.get(n).is_some_and(Result::is_ok));
        let beats = said.iter().enumerate().filter_map(|(n, said)| match said {
            Said::Beat(node) if taken(n) => Some(node.clone()),
            Said::Beat(_)
            | Said::Report(..)
            | Said::Operator(_)
            | Said::Agent(..)
            | Said::Config(_)
            | Said::Sink(..) => None,
        });
        let beats: Vec<Box<str>> = beats.collect();
        if batch.is_some() || ask == Ask::CommitLanded {
            let fallen = self.history.nodes.committed(&beats, now);
            (0..fallen).for_each(|_| self.coverage.saw(Fault::NodeSilent));
        }
        if batch.is_none() {
            self.history.nodes.begin_anew();
        }
    }

    fn committed(
        &mut self,
        batch: machine::Batch,
        said: Vec<Said>,
        ask: Ask,
        death: Option<Death>,
    ) -> Result<(), Broken> {
        self.coverage.batches += 1;
        self.owed = batch.more;
        if batch.answers.iter().any(|a| matches!(a, Err(Rejected::Unwritten(_)))) && matches!(ask, Ask::Write(_)) {
            self.coverage.saw(Fault::WriteError);
        }
        if death == Some(Death::AfterCommit) {
            // Nobody was told, no driver knows; all of it is on disk.
            return self.die(Death::AfterCommit);
        }
        let after = self.history.last();
        let Some(reader) = self.reader.as_deref() else { return Err(Broken::simulator("no daemon is up")) };
        self.history.read_on(reader, batch.seq, &mut self.coverage)?;
        for (answer, said) in batch.answers.into_iter().zip(said) {
            self.answered(answer, said, after)?;
        }
        for effect in &batch.closed {
            self.close(*effect);
        }
        for effect in batch.effects {
            self.begin(effect, false)?;
        }
        let Some(machine) = self.machine.as_ref() else { return Err(Broken::simulator("no daemon is up")) };
        self.history.after_batch(machine.state(), &self.outside)?;
        self.hold_sinks()?;
        self.wake_sinks()?;
        match death {
            Some(death @ (Death::AtWork | Death::Reboot | Death::Restart)) => self.die(death),
            Some(Death::BeforeCommit | Death::AfterCommit) | None => Ok(()),
        }
    }

    fn answered(
        &mut self,
        answer: Result<musher_core::command::Answer, Rejected>,
        said: Said,
        after: musher_core::id::Seq,
    ) -> Result<(), Broken> {
        match (answer, said) {
            (Ok(answer), Said::Operator(command)) => {
                self.coverage.acknowledged += 1;
                self.history.acknowledge(&command, &answer, after)
            }
            (Err(Rejected::Refused(_)), Said::Operator(_)) => {
                self.coverage.refused += 1;
                Ok(())
            }
            (Err(Rejected::Refused(_)), Said::Report(..)) => {
                self.coverage.stale += 1;
                Ok(())
            }
            (Ok(answer), Said::Agent(_, tool)) => self.told(&tool, &answer),
            (Err(Rejected::Refused(_)), Said::Agent(..)) => {
                self.coverage.refused += 1;
                Ok(())
            }
            (Err(Rejected::Unwritten(_)), said) => {
                self.say_again(said);
                Ok(())
            }
            (Ok(_) | Err(Rejected::Refused(_)), Said::Sink(n, _)) => self.look_for_sink(n),
            (Ok(_), Said::Report(..) | Said::Config(_) | Said::Beat(_)) => Ok(()),
            // The daemon has not said yet which agents there are.
            (Err(Rejected::Refused(_)), Said::Beat(_)) => Ok(()),
            (Err(Rejected::Refused(refused)), Said::Config(_)) => {
                Err(Broken::safety(None, format!("the config was refused: {refused}")))
            }
        }
    }

    /// A report is said until it is on disk or refused; a person who got no answer shrugs.
    fn say_again(&mut self, said: Said) {
        let wait = self.chance.between(200 * MS, 30 * SECOND);
        match said {
            Said::Report(effect, report) => {
                let life = Some(self.life);
                self.push(wait, Happening::Say { effect, report, life });
            }
            Said::Config(Command::NoteStart { .. } | Command::SyncSinks(..)) => self.configure_again(),
            // What serves the tools asks until it is answered.
            Said::Agent(run, tool) => self.push(wait, Happening::Tool { run, tool }),
            // What was delivered is not sent again in this life, and what was not is.
            Said::Sink(n, _) => self.look_again(n, 5 * SECOND),
            // It is said again with the note.
            Said::Config(_) => {}
            // The next one comes soon.
            Said::Beat(_) => {}
            Said::Operator(_) => {}
        }
    }

    /// All of the config is said again, once: each part of it that came to nothing asks for it.
    fn configure_again(&mut self) {
        let is_planned =
            |happening: &Happening| matches!(happening, Happening::Configure { life } if *life == self.life);
        if !self.queue.values().any(is_planned) {
            self.push(SECOND, Happening::Configure { life: self.life });
        }
    }

    fn not_committed(
        &mut self,
        said: Vec<Said>,
        ask: Ask,
        death: Option<Death>,
        before: Option<Seen>,
    ) -> Result<(), Broken> {
        self.owed = false;
        match ask {
            Ask::Write(_) => self.coverage.saw(Fault::WriteError),
            Ask::CommitLost if death.is_none() => self.coverage.saw(Fault::CommitLost),
            Ask::CommitLanded => self.coverage.saw(Fault::CommitLanded),
            Ask::CommitLost | Ask::Nothing => {}
        }
        if ask != Ask::CommitLanded
            && !self.variant.rewrites_rows()
            && let Some(before) = before
            && let Some(difference) = before.difference(&Seen::of(self.state()?, false))
        {
            return Err(Broken::safety(None, format!("a batch that was not committed left its mark: {difference}")));
        }
        if self.variant == Variant::EffectBeforeCommit {
            for effect in self.control.take_uncommitted() {
                self.begin(effect, false)?;
            }
        }
        if death == Some(Death::BeforeCommit) {
            return self.die(Death::BeforeCommit);
        }
        for said in said {
            self.say_again(said);
        }
        // What was decided may be on disk all the same: its drivers must hear of it.
        let open: Vec<Effect> = self.state()?.effects().filter(|e| !self.handed.contains(&e.id)).cloned().collect();
        for effect in open {
            self.begin(effect, false)?;
        }
        self.held_off = self.now + SECOND;
        self.push(SECOND, Happening::Wake);
        Ok(())
    }

    fn draw_death(&mut self) -> Option<Death> {
        if self.dawn || !self.chance.one_in(self.world.odds.crash) {
            return None;
        }
        Some(match self.chance.below(8) {
            0 | 1 => Death::BeforeCommit,
            2 | 3 => Death::AfterCommit,
            4 | 5 => Death::AtWork,
            6 => Death::Reboot,
            _ => Death::Restart,
        })
    }

    fn draw_store_fault(&mut self) -> Ask {
        if self.dawn || self.control.is_full() || !self.chance.one_in(self.world.odds.store) {
            return Ask::Nothing;
        }
        match self.chance.below(7) {
            0 | 1 => Ask::CommitLost,
            2 | 3 => Ask::CommitLanded,
            4 | 5 => Ask::Write(u32::try_from(self.chance.between(1, 3)).unwrap_or(1)),
            _ => {
                self.coverage.saw(Fault::DiskFull);
                self.control.set_full(true);
                let room = self.chance.between(SECOND, 20 * MINUTE);
                self.push(room, Happening::Room);
                Ask::Nothing
            }
        }
    }
}

fn input(said: &Said) -> Input {
    match said {
        Said::Report(effect, report) => {
            Input { actor: Actor::Musher, command: Command::Report(effect.id, report.clone()) }
        }
        Said::Agent(run, tool) => Input { actor: Actor::Run(*run), command: Command::UseTool(*run, tool.clone()) },
        Said::Operator(command) => Input { actor: Actor::Operator("ann".into()), command: command.clone() },
        Said::Beat(node) => Input { actor: Actor::Musher, command: Command::Heartbeat(node.clone()) },
        Said::Config(command) | Said::Sink(_, command) => Input { actor: Actor::Musher, command: command.clone() },
    }
}
