//! Sinks of a night: who is told of events, how badly their receivers behave, and what must hold of it at every instant.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use musher_core::event::{Happened, Logged};
use musher_core::id::Seq;
use musher_core::sink::{PATIENCE, SinkFrom, SinkKind, SinkSpec, Wanted, cursor_of};
use musher_core::state::State;

use crate::chance::Chance;
use crate::failure::Broken;

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;
/// The longest that musher counts as spent between two attempts: what a receiver can ask for, and the attempt itself.
const LONGEST_WAIT: i64 = HOUR + 60 * SECOND;

/// What webhooks are told of: each event is a request of its own, so not of everything.
const KINDS: [&[&str]; 3] = [
    &["mission_started", "mission_blocked", "mission_completed", "item_done", "item_dead_lettered"],
    &["item_blocked", "item_waiting", "delivery_failed", "delivery_recovered", "delivery_dead_lettered"],
    &["run_finished"],
];

/// A sink, and how its receiver behaves.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What musher knows of it.
    pub spec: SinkSpec,
    /// What it is sent.
    pub wanted: Wanted,
    /// A delivery fails once in so many; 0 = never.
    pub fails: u32,
    /// A delivery takes minutes once in so many; 0 = never.
    pub slow: u32,
    /// From when to when nobody is there, in µs from the evening on.
    pub down: (i64, i64),
    /// It takes every event but the first that has this place or a later one.
    pub chokes_on: Option<Seq>,
}

/// The sinks of a night: in every other one none.
pub fn draw(chance: &mut Chance) -> Vec<Plan> {
    if chance.one_in(2) {
        return Vec::new();
    }
    (0..chance.between(1, 3)).map(|n| plan(chance, n)).collect()
}

fn plan(chance: &mut Chance, n: i64) -> Plan {
    let kind = match chance.one_in(3) {
        true if chance.one_in(3) => SinkKind::Desktop,
        true => SinkKind::File,
        false => SinkKind::Webhook,
    };
    let name: Box<str> = format!("sink-{n}").into();
    let kinds: &[&str] = match kind {
        SinkKind::File | SinkKind::Desktop | SinkKind::Relay => &[],
        SinkKind::Webhook => chance.pick(&KINDS).copied().unwrap_or_default(),
    };
    let begins = chance.between(0, 3 * HOUR);
    // Longer than the patience of musher now and then.
    let hours = if chance.one_in(4) { 30 } else { chance.between(0, 2) };
    Plan {
        spec: SinkSpec {
            name: name.clone(),
            kind,
            from: if chance.one_in(2) { SinkFrom::Start } else { SinkFrom::Present },
        },
        wanted: Wanted {
            sink: name,
            kinds: kinds.iter().map(|kind| (*kind).into()).collect(),
            missions: Vec::new(),
            for_hub: false,
        },
        fails: u32::try_from(chance.below(6)).unwrap_or(0),
        slow: u32::try_from(chance.below(10)).unwrap_or(0),
        down: (begins, begins + hours * HOUR),
        chokes_on: (kind == SinkKind::Webhook && chance.one_in(6)).then(|| Seq(chance.below(200))),
    }
}

/// What came to one receiver, and what musher made of it.
#[derive(Debug, Default)]
struct Receipts {
    /// Where it began; none before musher knew it.
    begin: Option<Seq>,
    /// Up to here it is settled, as musher has it on disk.
    cursor: Seq,
    /// Everything that it took, once or more often.
    taken: BTreeSet<Seq>,
    /// What was given up.
    dead: BTreeSet<Seq>,
    /// When an event was first sent, in true time.
    tried: BTreeMap<Seq, i64>,
    /// The events of which its worker has said that they failed.
    failed: BTreeSet<Seq>,
}

/// The history of all deliveries, as it is seen from outside.
#[derive(Debug, Default)]
pub struct Ledger {
    plans: Vec<Plan>,
    receipts: Vec<Receipts>,
    /// How much of the log was looked through for dead letters.
    read: usize,
    /// When the clock jumped, in true time.
    jumps: Vec<i64>,
}

impl Ledger {
    /// That of these sinks.
    pub fn new(plans: Vec<Plan>) -> Self {
        let receipts = plans.iter().map(|_| Receipts::default()).collect();
        Self { plans, receipts, ..Self::default() }
    }

    /// The clock jumped: musher may take the next wait of each delivery for one that it sat through.
    pub fn jumped(&mut self, now: i64) {
        self.jumps.push(now);
    }

    /// An event is on its way. It must not be one that musher has settled.
    pub fn sent(&mut self, n: usize, seq: Seq, now: i64) -> Result<(), Broken> {
        let (name, receipts) = (&self.plans[n].spec.name, &mut self.receipts[n]);
        if seq <= receipts.cursor {
            let what = format!("{name} is sent event {} again, and is at {}", seq.0, receipts.cursor.0);
            return Err(Broken::safety(None, what));
        }
        receipts.tried.entry(seq).or_insert(now);
        Ok(())
    }

    /// A receiver took an event. All that it wants before this one it must have taken, or never get. Whether it is the
    /// first time.
    pub fn took(&mut self, n: usize, seq: Seq, log: &[Logged]) -> Result<bool, Broken> {
        let (plan, receipts) = (&self.plans[n], &mut self.receipts[n]);
        let missed = wanted(plan, log, receipts.cursor, Seq(seq.0 - 1)).find(|seq| !receipts.is_settled(*seq));
        if let Some(missed) = missed {
            let what = format!("{} takes event {} before {}", plan.spec.name, seq.0, missed.0);
            return Err(Broken::safety(None, what));
        }
        Ok(receipts.taken.insert(seq))
    }

    /// A worker is about to say that an event was not taken.
    pub fn failed(&mut self, n: usize, seq: Seq) {
        self.receipts[n].failed.insert(seq);
    }

    /// What must hold whenever something is on disk.
    pub fn look(&mut self, state: &State, log: &[Logged], now: i64) -> Result<(), Broken> {
        self.dead_letters(log, now)?;
        for (plan, receipts) in self.plans.iter().zip(&mut self.receipts) {
            let name = &plan.spec.name;
            let Some(sink) = state.sink(name) else {
                if receipts.begin.is_some() {
                    return Err(Broken::safety(None, format!("{name} is forgotten")));
                }
                continue;
            };
            let cursor = state.cursor(&cursor_of(name));
            if receipts.begin.is_none() {
                (receipts.begin, receipts.cursor) = (Some(cursor), cursor);
            }
            if cursor < receipts.cursor {
                let what = format!("the cursor of {name} went back from {} to {}", receipts.cursor.0, cursor.0);
                return Err(Broken::safety(None, what));
            }
            if let Some(lost) = wanted(plan, log, receipts.cursor, cursor).find(|seq| !receipts.is_settled(*seq)) {
                let what = format!("{name} is at {} and never took event {}", cursor.0, lost.0);
                return Err(Broken::safety(None, what));
            }
            receipts.cursor = cursor;
            // What another sink does is no trouble of this one.
            let trouble = sink.trouble.as_ref().map(|trouble| trouble.event);
            if let Some(event) = trouble.filter(|event| !receipts.failed.contains(event)) {
                let what = format!("{name} is kept waiting for event {}, and never failed at it", event.0);
                return Err(Broken::safety(None, what));
            }
        }
        Ok(())
    }

    /// An event is given up only by a webhook, and only after a day of trying; a jump of the clock is worth one wait of it.
    fn dead_letters(&mut self, log: &[Logged], now: i64) -> Result<(), Broken> {
        for logged in log.get(self.read..).unwrap_or_default() {
            let Happened::DeliveryDeadLettered { sink, event, .. } = &logged.event.happened else { continue };
            let found = self.plans.iter().zip(&mut self.receipts).find(|(plan, _)| plan.spec.name == *sink);
            let Some((plan, receipts)) = found else { continue };
            let first = receipts.tried.get(event).copied();
            let is_long = first.is_some_and(|first| {
                let jumps = self.jumps.iter().filter(|jump| **jump >= first).count();
                now - first >= micros(PATIENCE) - LONGEST_WAIT.saturating_mul(i64::try_from(jumps).unwrap_or(i64::MAX))
            });
            if plan.spec.kind != SinkKind::Webhook || !is_long {
                let what = format!("{sink} is given up for event {}, first tried at {first:?}, at {now}", event.0);
                return Err(Broken::safety(None, what));
            }
            receipts.dead.insert(*event);
        }
        self.read = log.len();
        Ok(())
    }

    /// When the night is over each has all that it wants, however the others stand.
    pub fn at_rest(&self, log: &[Logged]) -> Result<(), Broken> {
        for (plan, receipts) in self.plans.iter().zip(&self.receipts) {
            let name = &plan.spec.name;
            let Some(begin) = receipts.begin else {
                return Err(Broken::liveness(None, format!("{name} has never begun")));
            };
            let last = log.last().map_or(Seq(0), |logged| logged.seq);
            if let Some(missed) = wanted(plan, log, begin, last).find(|seq| !receipts.is_settled(*seq)) {
                return Err(Broken::liveness(None, format!("{name} never gets event {}", missed.0)));
            }
        }
        Ok(())
    }
}

impl Receipts {
    fn is_settled(&self, seq: Seq) -> bool {
        self.taken.contains(&seq) || self.dead.contains(&seq)
    }
}

/// The places of what a sink wants, after one place and up to another. The log has no gap.
pub fn wanted<'a>(plan: &'a Plan, log: &'a [Logged], after: Seq, upto: Seq) -> impl Iterator<Item = Seq> + 'a {
    let place = |seq: Seq| usize::try_from(seq.0).unwrap_or(usize::MAX).min(log.len());
    let part = log.get(place(after)..place(upto)).unwrap_or_default();
    part.iter().filter(|logged| plan.wanted.lets_through(&logged.event)).map(|logged| logged.seq)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}
