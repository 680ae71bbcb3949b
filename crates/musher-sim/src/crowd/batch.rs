//! One batch of a crowd, and how a daemon dies at it and the next one starts.

use musher_core::command::{Actor, Answer, Command, Report};
use musher_core::effect::{Effect, EffectKind};
use musher_core::entropy::Entropy;
use musher_core::event::{Event, Happened};
use musher_core::id::{MissionId, RunId};
use musher_core::run::{FailureClass, Outcome};
use musher_engine::machine::{self, Input, Machine};
use musher_store::store::EventFilter;

use super::operator::Wish;
use super::{Crowd, Death, Flaw, HOUR, Happening, MINUTE, SECOND, Said, TAIL};
use crate::failure::Broken;
use crate::faulty::{Ask, FaultyStore};
use crate::variant::Variant;

/// A daemon dies once in so many batches.
const CRASH: u32 = 1_500;

/// And once in so many of those in which an operator is answered.
const CRASH_AT_WISH: u32 = 40;

impl Crowd {
    /// One batch, at which the daemon may die.
    pub(super) fn batch(&mut self, said: Vec<Said>, may_die: bool) -> Result<(), Broken> {
        let wishes = said.iter().any(|said| matches!(said, Said::Operator(..)));
        let dies = may_die && self.chance.one_in(if wishes { CRASH_AT_WISH } else { CRASH });
        let death = dies.then(|| if self.chance.one_in(2) { Death::BeforeCommit } else { Death::AfterCommit });
        self.control.ask(if death == Some(Death::BeforeCommit) { Ask::CommitLost } else { Ask::Nothing });
        let heard: Vec<&Said> = said.iter().filter(|said| self.is_heard(said)).collect();
        let inputs: Vec<Input> = heard.iter().map(|said| self.input(said)).collect();
        let wall = self.wall();
        let Some(machine) = self.machine.as_mut() else { return Err(Broken::simulator("no daemon is up")) };
        match machine.batch(&inputs, wall) {
            Ok(batch) => self.committed(batch, said, death),
            Err(machine::Broken::Defect(text)) => Err(Broken::safety(None, format!("a defect: {text}"))),
            Err(machine::Broken::Store(_)) if death == Some(Death::BeforeCommit) => {
                // Whoever wished something was not answered, and says it again.
                for said in said {
                    if let Said::Operator(wish, _) = said {
                        self.push(SECOND, Happening::Wish(wish));
                    }
                }
                self.die(Death::BeforeCommit)
            }
            Err(machine::Broken::Store(error)) => Err(Broken::simulator(error)),
        }
    }

    fn is_heard(&self, said: &Said) -> bool {
        match said {
            Said::Operator(wish, _) => self.hears(wish),
            Said::Report { .. } | Said::Beat { .. } | Said::Config(_) => true,
        }
    }

    fn input(&self, said: &Said) -> Input {
        let (actor, command) = match said {
            Said::Report { effect, report, .. } => (Actor::Musher, Command::Report(*effect, bent(report, self.flaw))),
            Said::Beat { node, .. } => (Actor::Musher, Command::Heartbeat(node.clone())),
            Said::Operator(_, command) => (Actor::Operator("ada".into()), command.clone()),
            Said::Config(command) => (Actor::Musher, command.clone()),
        };
        Input { actor, command }
    }

    fn committed(&mut self, mut batch: machine::Batch, said: Vec<Said>, death: Option<Death>) -> Result<(), Broken> {
        let now = self.wall();
        self.judge.figures.batches += 1;
        self.owed = batch.more;
        self.judge.look_at_clock(now);
        self.hear_nodes(&said);
        let mut answers = batch.answers.into_iter();
        for said in said {
            // What a broken machine did not hear it acknowledges all the same.
            let answer = if self.is_heard(&said) { answers.next() } else { Some(Ok(Answer::Done)) };
            match answer {
                Some(Ok(answer)) => self.answered(said, &answer)?,
                Some(Err(why)) => return Err(Broken::safety(None, format!("{said:?} was refused: {why}"))),
                None => return Err(Broken::simulator("a command was not answered")),
            }
        }
        if self.flaw == Flaw::LosesStops {
            batch.effects.retain(|effect| !matches!(effect.kind, EffectKind::StopRun(..)));
        }
        for effect in &batch.effects {
            if let EffectKind::StopRun(run, _) = effect.kind {
                self.judge.books.stop(run);
            }
        }
        self.read_on()?;
        self.judge.after_batch(!batch.more, &self.nodes, now)?;
        for item in self.judge.newly_blocked() {
            let after = self.chance.between(MINUTE, HOUR);
            self.push(after, Happening::Wish(Wish::Retry(item)));
        }
        let Some(machine) = self.machine.as_ref() else { return Err(Broken::simulator("no daemon is up")) };
        self.nodes.look(machine.state())?;
        if death == Some(Death::AfterCommit) {
            return self.die(Death::AfterCommit);
        }
        for effect in batch.effects {
            self.begin(effect);
        }
        Ok(())
    }

    /// Heartbeats count from the batch on in which they are on disk.
    fn hear_nodes(&mut self, said: &[Said]) {
        let beats = said.iter().filter_map(|said| match said {
            Said::Beat { node, is_true: true } => Some(node.clone()),
            Said::Beat { .. } | Said::Report { .. } | Said::Operator(..) | Said::Config(_) => None,
        });
        let beats: Vec<Box<str>> = beats.collect();
        let returned = beats.iter().filter(|node| self.nodes.has_fallen_silent(node)).count();
        self.judge.figures.returned += returned as u64;
        self.judge.figures.vanished += self.nodes.committed(&beats, self.wall());
    }

    fn answered(&mut self, said: Said, answer: &Answer) -> Result<(), Broken> {
        match said {
            Said::Report { report, run, .. } => {
                let Some(run) = run else { return Ok(()) };
                if let Report::RunFinished { outcome, .. } = report {
                    let used = self.processes.remove(&run).map(|process| process.used).unwrap_or_default();
                    self.judge.ends(run, outcome, used);
                } else if let Some(process) = self.processes.get_mut(&run) {
                    process.told_all();
                }
                Ok(())
            }
            Said::Operator(wish, _) => self.acknowledged(&wish, answer),
            Said::Beat { .. } | Said::Config(_) => Ok(()),
        }
    }

    /// An operator was told yes: from here on it holds.
    fn acknowledged(&mut self, wish: &Wish, answer: &Answer) -> Result<(), Broken> {
        match (wish, answer) {
            (Wish::Start(n), Answer::Mission(id)) => self.started(*n, *id),
            (Wish::Quota(scope, cap, value), _) => {
                let open = |limit: Option<u64>| limit.unwrap_or(u64::MAX);
                let before = open(self.judge.books.limit(scope, *cap));
                let excess = self.judge.books.set(scope, *cap, *value);
                let after = open(self.judge.books.limit(scope, *cap));
                self.judge.figures.lowered += u64::from(excess && after < before);
                self.judge.figures.raised += u64::from(after > before);
                Ok(())
            }
            (Wish::Weight(n, weight), _) => {
                if let Some(id) = self.started.get(n) {
                    self.judge.order.weigh(*id, *weight);
                    self.judge.figures.weighed += 1;
                }
                Ok(())
            }
            (Wish::Retry(_), _) => Ok(()),
            (Wish::Start(_) | Wish::Anything | Wish::Dry(_) | Wish::Rain, _) => {
                Err(Broken::simulator("this was never said"))
            }
        }
    }

    fn started(&mut self, n: usize, id: MissionId) -> Result<(), Broken> {
        let rows = self.reader()?.items_of(id).map_err(Broken::simulator)?;
        for row in &rows {
            if self.chance.one_in(50) {
                self.cursed.insert(row.id);
            }
        }
        self.judge.mission(id, &self.stage.missions[n].mission, &rows);
        self.started.insert(n, id);
        Ok(())
    }

    /// Reads what a batch added to the log.
    fn read_on(&mut self) -> Result<(), Broken> {
        let upto = self.machine.as_ref().map_or(self.seq, |machine| machine.store().last_seq());
        while self.seq < upto {
            let filter = EventFilter { after: self.seq, ..EventFilter::default() };
            let events = self.reader()?.events(&filter).map_err(Broken::simulator)?;
            if events.is_empty() {
                return Err(Broken::safety(None, format!("the log ends at {} of {}", self.seq.0, upto.0)));
            }
            for logged in events {
                self.seq = logged.seq;
                if self.tail.len() == TAIL {
                    self.tail.pop_front();
                }
                self.tail.push_back(logged.clone());
                self.judge.see(&logged.event)?;
                if self.flaw == Flaw::GivesTwice && self.seq.0.is_multiple_of(8) {
                    self.give_again(&logged.event)?;
                }
            }
        }
        Ok(())
    }

    /// A machine of this flaw has given what an agent takes to another one too, by a run of its own.
    fn give_again(&mut self, event: &Event) -> Result<(), Broken> {
        let others = self.judge.books.workers().map(|(id, _)| id).find(|id| Some(*id) != event.agent);
        let (Happened::ItemAssigned { .. }, Some(other)) = (&event.happened, others) else { return Ok(()) };
        let run = RunId::new(event.at, &mut Entropy::from_seed(self.seq.0));
        self.judge.see(&Event { agent: Some(other), run: Some(run), ..event.clone() })
    }

    /// The daemon ends by a crash; a moment passes; the next one starts.
    fn die(&mut self, how: Death) -> Result<(), Broken> {
        match how {
            Death::BeforeCommit => self.judge.figures.crashes_before += 1,
            Death::AfterCommit => self.judge.figures.crashes_after += 1,
        }
        let image = if self.chance.one_in(4) { Some(self.disk.image()?) } else { None };
        self.reader = None;
        self.machine = None;
        if let Some(image) = image {
            self.disk.restore(&image)?;
        }
        self.now += self.chance.between(SECOND, 2 * MINUTE);
        self.open()
    }

    /// A daemon starts: it says what its config says, and issues what is open again.
    pub(super) fn open(&mut self) -> Result<(), Broken> {
        self.life += 1;
        self.owed = false;
        let store = FaultyStore::new(self.disk.open(self.wall())?, self.control.clone(), Variant::Sound);
        let seed = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ u64::from(self.life);
        let machine = Machine::load(Box::new(store), seed).map_err(Broken::simulator)?;
        machine.state().check().map_err(|violation| Broken::safety(None, violation.0))?;
        let open: Vec<Effect> = machine.state().effects().cloned().collect();
        self.reader = Some(machine.store().reader().map_err(Broken::simulator)?);
        self.machine = Some(machine);
        self.nodes.begin_anew();
        for effect in open {
            self.begin(effect);
        }
        let mut settings = self.stage.settings.clone();
        if self.flaw == Flaw::DaysInUtc {
            settings.quota.timezone.clear();
        }
        let agents = self.stage.agents.clone();
        let said = [Command::Configure(Box::new(settings)), Command::SyncAgents(agents)].map(Said::Config);
        self.batch(said.into(), false)
    }
}

/// What a driver of this flaw says.
fn bent(report: &Report, flaw: Flaw) -> Report {
    match report {
        Report::RunFinished { outcome: Outcome::RateLimited { message, .. }, usage } if flaw == Flaw::BlamesLimits => {
            let class = FailureClass::Agent;
            let outcome = Outcome::Failed { class, message: message.clone(), detail: Box::default() };
            Report::RunFinished { outcome, usage: *usage }
        }
        Report::RunFinished { outcome: Outcome::RateLimited { message, .. }, usage } if flaw == Flaw::ForgetsResets => {
            let outcome = Outcome::RateLimited { resets_at: None, message: message.clone() };
            Report::RunFinished { outcome, usage: *usage }
        }
        other => other.clone(),
    }
}
