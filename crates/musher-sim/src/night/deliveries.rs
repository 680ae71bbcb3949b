//! The simulated workers of sinks: each reads the log from its cursor, delivers, and reports, as the real one does. Their
//! receivers fail, are slow, are away, and take what they then do not say they took.

use musher_core::command::Command;
use musher_core::id::Seq;
use musher_core::sink::{DeliveryFailure, SinkKind, cursor_of};

use super::{EVENING, HOUR, Happening, MINUTE, MS, Night, SECOND, Said};
use crate::chance::Chance;
use crate::coverage::Fault;
use crate::failure::Broken;
use crate::sinks::{Ledger, Plan, wanted};
use crate::variant::Variant;

/// How many events a file takes at once.
const LINES: usize = 100;

/// What a worker does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Work {
    /// It has delivered everything, and waits for an event.
    #[default]
    Idle,
    /// A look at a certain moment is planned.
    Waiting,
    /// It delivers, or has said what came of it and waits for the answer.
    Busy,
}

#[derive(Clone, Copy, Debug, Default)]
struct Worker {
    work: Work,
    /// What was delivered in this life.
    position: Seq,
}

/// All sinks of a night.
#[derive(Debug)]
pub(super) struct Sinks {
    pub(super) ledger: Ledger,
    plans: Vec<Plan>,
    workers: Vec<Worker>,
    /// Drawn apart, so that a night without sinks is the night that it was before there were any.
    chance: Chance,
}

impl Sinks {
    pub(super) fn new(plans: Vec<Plan>, seed: u64) -> Self {
        let workers = vec![Worker::default(); plans.len()];
        Self { ledger: Ledger::new(plans.clone()), plans, workers, chance: Chance::new(!seed) }
    }
}

impl Night {
    /// Every worker that has nothing to do looks whether there is something new.
    pub(super) fn wake_sinks(&mut self) -> Result<(), Broken> {
        for n in 0..self.sinks.workers.len() {
            if self.sinks.workers[n].work == Work::Idle {
                self.look_for_sink(n)?;
            }
        }
        Ok(())
    }

    /// A worker looks: waits out a failure, or sends what is next.
    pub(super) fn look_for_sink(&mut self, n: usize) -> Result<(), Broken> {
        let plan = &self.sinks.plans[n];
        self.sinks.workers[n].work = Work::Idle;
        let (state, wall) = (self.state()?, self.wall());
        let Some(sink) = state.sink(&plan.spec.name) else { return Ok(()) };
        if let Some(due) = sink.due(wall) {
            let wait = due.as_micros() - wall.as_micros();
            self.look_again(n, wait.min(HOUR));
            return Ok(());
        }
        let after = self.sinks.workers[n].position.max(state.cursor(&cursor_of(&plan.spec.name)));
        let most = match plan.spec.kind {
            SinkKind::Webhook => 1,
            SinkKind::File | SinkKind::Desktop | SinkKind::Relay => LINES,
        };
        let log = self.history.log();
        let part: Vec<Seq> = wanted(plan, log, after, Seq(log.len() as u64)).take(most).collect();
        let (Some(first), Some(last)) = (part.first(), part.last()) else { return Ok(()) };
        let slow = !self.dawn && self.sinks.chance.one_in(plan.slow);
        let takes =
            if slow { self.sinks.chance.between(MINUTE, 20 * MINUTE) } else { self.sinks.chance.between(MS, SECOND) };
        if slow {
            self.coverage.saw(Fault::SlowDelivery);
        }
        self.sinks.ledger.sent(n, *first, self.now)?;
        if self.variant == Variant::AdvancesFirst {
            let command = Command::AdvanceSink(self.sinks.plans[n].spec.name.clone(), *last);
            self.push(0, Happening::SaySink { sink: n, command, life: self.life });
        }
        self.sinks.workers[n].work = Work::Busy;
        self.push(takes, Happening::Deliver { sink: n, part, life: self.life });
        Ok(())
    }

    pub(super) fn look_again(&mut self, n: usize, wait: i64) {
        self.sinks.workers[n].work = Work::Waiting;
        self.push(wait.max(MS), Happening::LookForSink { sink: n, life: self.life });
    }

    /// A delivery has come to its end.
    pub(super) fn deliver(&mut self, n: usize, part: &[Seq], said: &mut Vec<Said>) -> Result<(), Broken> {
        let (Some(first), Some(last)) = (part.first().copied(), part.last().copied()) else { return Ok(()) };
        let plan = &self.sinks.plans[n];
        let (name, since) = (plan.spec.name.clone(), self.now - EVENING);
        let is_away = plan.down.0 <= since && since < plan.down.1;
        let log = self.history.log();
        let chokes = plan.chokes_on.is_some_and(|from| {
            wanted(plan, log, Seq(from.0.saturating_sub(1)), Seq(log.len() as u64)).next() == Some(first)
        });
        let stumbles = !self.dawn && self.sinks.chance.one_in(plan.fails);
        if !is_away && !chokes && !stumbles {
            self.take(n, part)?;
            self.sinks.workers[n].position = last;
            said.push(Said::Sink(n, Command::AdvanceSink(name, last)));
            return Ok(());
        }
        if is_away {
            self.coverage.saw(Fault::ReceiverAway);
        } else if chokes {
            self.coverage.saw(Fault::EventRefused);
        } else if self.sinks.chance.one_in(3) {
            // It took all of it, and its answer was lost.
            self.coverage.saw(Fault::LostAnswer);
            self.take(n, part)?;
        } else {
            self.coverage.saw(Fault::FailedDelivery);
        }
        let kind = self.history.log().iter().find(|logged| logged.seq == first);
        let retry_after_secs = self.sinks.chance.one_in(8).then(|| self.sinks.chance.below(7_200));
        let failure = DeliveryFailure {
            event: first,
            kind: kind.map_or("", |logged| logged.event.happened.name()).into(),
            error: "it answered 500".into(),
            retry_after_secs,
        };
        self.sinks.ledger.failed(n, first);
        said.push(Said::Sink(n, Command::FailDelivery(name, Box::new(failure))));
        Ok(())
    }

    fn take(&mut self, n: usize, part: &[Seq]) -> Result<(), Broken> {
        for seq in part {
            if !self.sinks.ledger.took(n, *seq, self.history.log())? {
                self.coverage.saw(Fault::RepeatedDelivery);
            }
        }
        Ok(())
    }

    /// The workers die with their daemon. What was on its way may be taken all the same, and will come again.
    pub(super) fn bury_sinks(&mut self, on_the_way: Vec<(usize, Vec<Seq>)>) -> Result<(), Broken> {
        for (n, part) in on_the_way {
            if self.sinks.chance.one_in(2) {
                self.take(n, &part)?;
            }
        }
        self.sinks.workers.fill(Worker::default());
        Ok(())
    }

    /// What must hold of sinks whenever something is on disk.
    pub(super) fn hold_sinks(&mut self) -> Result<(), Broken> {
        let Some(machine) = self.machine.as_ref() else { return Err(Broken::simulator("no daemon is up")) };
        self.sinks.ledger.look(machine.state(), self.history.log(), self.now)
    }

    /// What its config says of sinks; nothing in a night without any.
    pub(super) fn sync_sinks(&self) -> Option<Command> {
        let specs: Vec<_> = self.sinks.plans.iter().map(|plan| plan.spec.clone()).collect();
        (!specs.is_empty()).then(|| Command::SyncSinks(specs, self.history.last()))
    }
}
