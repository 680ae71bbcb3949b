//! Many triggers on many events, beside a book that asks every trigger about every event in the plainest way.

use std::collections::BTreeMap;
use std::time::Duration;

use musher_core::action::Action;
use musher_core::agenda;
use musher_core::change::Change;
use musher_core::command::{Actor, Answer, Command, Report};
use musher_core::entropy::Entropy;
use musher_core::event::{Event, Happened};
use musher_core::firing::Prepared;
use musher_core::id::{MissionId, Seq, TriggerId};
use musher_core::mission::{Policy, StartMission};
use musher_core::state::State;
use musher_core::step::{Context, step};
use musher_core::time::Timestamp;
use musher_core::trigger::{Mode, Predicate, TriggerSpec};

use crate::stored::Stored;
use crate::world::{ann, item, policy};

const KINDS: [&str; 6] =
    ["mission_weighed", "mission_paused", "mission_resumed", "queue_paused", "queue_resumed", "mission_*"];
const WORDS: [&str; 4] = ["lunch", "\"fire\"", "a\nb", "lunch break"];
const STATES: [&str; 3] = ["paused", "running", "blocked"];

/// What the book knows of a trigger.
struct Entry {
    spec: TriggerSpec,
    on: bool,
    since: u64,
    fires: u64,
    fired_at: Option<Timestamp>,
    over: bool,
}

struct Night {
    state: State,
    stored: Stored,
    entropy: Entropy,
    chance: Entropy,
    now: Timestamp,
    seq: u64,
    book: BTreeMap<TriggerId, Entry>,
    missions: Vec<MissionId>,
    fires: usize,
}

impl Night {
    fn new(seed: u64) -> Self {
        let mut night = Self {
            state: State::from_world(Stored::default().rows()),
            stored: Stored::default(),
            entropy: Entropy::from_seed(seed),
            chance: Entropy::from_seed(seed ^ 0x5eed),
            now: Timestamp::from_micros(1_800_000_000_000_000),
            seq: 0,
            book: BTreeMap::new(),
            missions: Vec::new(),
            fires: 0,
        };
        for _ in 0..5 {
            let start = StartMission {
                goal: "wait".into(),
                policy: policy(),
                base: "main".into(),
                ask: false,
                items: vec![item("a", &[])],
            };
            if let Some(Answer::Mission(id)) = night.say(&ann(), &Command::StartMission(Box::new(start))) {
                night.missions.push(id);
            }
        }
        night
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.chance.next_u64() % bound as u64).unwrap()
    }

    fn any<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Steps a command and what follows by itself, and holds every change against the book.
    fn say(&mut self, actor: &Actor, command: &Command) -> Option<Answer> {
        let answer = self.one(actor, command);
        self.state.advance(self.now);
        while let Some(command) = agenda::next(&mut self.state) {
            self.one(&Actor::Musher, &command).expect("the agenda offers nothing that is refused");
        }
        answer
    }

    fn one(&mut self, actor: &Actor, command: &Command) -> Option<Answer> {
        let mut cx = Context { now: self.now, entropy: &mut self.entropy, actor };
        let change = step(&self.state, command, &mut cx).ok()?;
        self.hold(&change);
        let answer = change.answer.clone();
        self.stored.write(&change);
        self.state.apply(change);
        assert_eq!(self.state.last_seq(), Seq(self.seq));
        Some(answer)
    }

    fn hold(&mut self, change: &Change) {
        let mut wanted = Vec::new();
        for event in &change.events {
            self.seq += 1;
            if event.happened.name().starts_with("trigger_") {
                continue;
            }
            for (id, entry) in &mut self.book {
                if entry.on && !entry.over && self.seq > entry.since && is_for(&entry.spec, event, self.now) {
                    let cooled = entry.fired_at.is_none_or(|at| {
                        at > self.now || self.now >= at.after(Duration::from_secs(entry.spec.cooldown_secs))
                    });
                    if cooled {
                        entry.fires += 1;
                        entry.fired_at = Some(self.now);
                        let most = if entry.spec.mode == Mode::Once { Some(1) } else { entry.spec.max_fires };
                        entry.over = most.is_some_and(|most| entry.fires >= most);
                        wanted.push((self.state.trigger(*id).unwrap().spec.name.clone(), self.seq));
                    }
                }
            }
        }
        let fired = change.events.iter().filter_map(|event| match &event.happened {
            Happened::TriggerFired { trigger, event, .. } => Some((trigger.clone(), event.0)),
            Happened::TriggerExpired { .. } | Happened::TriggerSkipped { .. } | Happened::TriggerStopped { .. } => None,
            _ => None,
        });
        let fired: Vec<_> = fired.collect();
        assert_eq!(fired, wanted);
        self.fires += fired.len();
    }

    fn add(&mut self, n: usize) {
        let maybe = |night: &mut Self, one_in: usize| night.below(one_in) == 0;
        let mut on = Predicate::default();
        if !maybe(self, 10) {
            on.kinds = [self.any(&KINDS).into()].into();
        }
        if maybe(self, 3) {
            let of = self.below(self.missions.len());
            on.mission = Some(self.missions[of].to_string().into());
        }
        if maybe(self, 4) {
            on.text = Some(self.any(&WORDS).into());
        }
        if maybe(self, 6) {
            on.to_state = Some(self.any(&STATES).into());
        }
        if maybe(self, 8) || on.is_empty() {
            on.from_state = Some(self.any(&STATES).into());
        }
        let expires = maybe(self, 10).then(|| self.now.after(Duration::from_secs(600)));
        let spec = TriggerSpec {
            name: format!("t{n}").into(),
            on,
            action: Action::Prompt { text: "x".into(), agent: None },
            mode: if maybe(self, 5) { Mode::Once } else { Mode::Persistent },
            max_fires: maybe(self, 5).then_some(3),
            cooldown_secs: if maybe(self, 2) { 30 } else { 0 },
            expires,
            enabled: true,
            policy: Policy::default(),
        };
        let Some(Answer::Trigger(id)) = self.say(&ann(), &Command::AddTrigger(Box::new(spec.clone()))) else {
            panic!("{spec:?} was refused");
        };
        let since = self.seq;
        self.book.insert(id, Entry { spec, on: true, since, fires: 0, fired_at: None, over: false });
    }

    /// Something happens.
    fn turn(&mut self) {
        let mission = self.any(&self.missions.clone());
        let word = self.any(&WORDS);
        let command = match self.below(6) {
            0 => Command::PauseMission(mission, None, word.into()),
            1 => Command::ResumeMission(mission),
            2 => Command::PauseQueue(word.into()),
            3 => Command::ResumeQueue,
            _ => {
                let weight = self.state.mission(mission).unwrap().row.policy.weight % 100 + 1;
                Command::WeighMission(mission, weight)
            }
        };
        self.say(&ann(), &command);
        self.now = match self.below(50) {
            0 => self.now.before(Duration::from_secs(90)),
            1 => self.now.after(Duration::from_secs(120)),
            _ => self.now.after(Duration::from_millis(700)),
        };
        let over = |entry: &Entry, now| entry.spec.expires.is_some_and(|at| at <= now);
        let now = self.now;
        self.state.advance(now);
        // What was over at a look stays over.
        self.book.values_mut().filter(|entry| entry.on && over(entry, now)).for_each(|entry| entry.over = true);
        self.answer();
    }

    /// Answers what the firings have asked: there is nothing to do.
    fn answer(&mut self) {
        let open: Vec<_> = self.state.effects().filter(|e| e.kind.name() == "prepare_firing").map(|e| e.id).collect();
        for effect in open {
            let prepared = Prepared::Unneeded { text: "".into() };
            self.say(&Actor::Musher, &Command::Report(effect, Report::FiringPrepared(prepared)));
        }
    }

    fn switch(&mut self) {
        let at = self.below(self.book.len());
        let id = *self.book.keys().nth(at).unwrap();
        if self.book[&id].on {
            self.say(&ann(), &Command::DisableTrigger(id));
            self.book.get_mut(&id).unwrap().on = false;
        } else if self.say(&ann(), &Command::EnableTrigger(id)).is_some() {
            let since = self.seq;
            let entry = self.book.get_mut(&id).unwrap();
            entry.on = true;
            entry.since = since;
            if std::mem::take(&mut entry.over) {
                entry.fires = 0;
            }
        }
    }

    fn restart(&mut self) {
        self.state = State::from_world(self.stored.rows());
        self.say(&ann(), &Command::ResumeQueue);
    }
}

/// Whether a trigger is for an event, in the plainest way.
fn is_for(spec: &TriggerSpec, event: &Event, now: Timestamp) -> bool {
    let name = event.happened.name();
    let kind = spec.on.kinds.is_empty()
        || spec.on.kinds.iter().any(|kind| &**kind == name || (&**kind == "mission_*" && name.starts_with("mission_")));
    let said = match &event.happened {
        Happened::MissionPaused { reason } | Happened::MissionBlocked { reason } => reason.to_string(),
        Happened::QueuePaused { why } => why.to_string(),
        _ => String::new(),
    };
    let moved = event.moved.as_ref();
    kind && spec.expires.is_none_or(|at| now < at)
        && spec.on.mission.as_ref().is_none_or(|id| event.mission.is_some_and(|m| *m.to_string() == **id))
        && spec.on.text.as_ref().is_none_or(|text| said.contains(&**text))
        && spec.on.to_state.as_ref().is_none_or(|to| moved.is_some_and(|moved| moved.to == **to))
        && spec.on.from_state.as_ref().is_none_or(|from| moved.is_some_and(|moved| moved.from == **from))
}

fn night(seed: u64, triggers: usize, events: u64, restarts: bool) {
    let mut night = Night::new(seed);
    (0..triggers).for_each(|n| night.add(n));
    let (begin, mut turns) = (night.seq, 0);
    while night.seq - begin < events {
        night.turn();
        turns += 1;
        if turns % 40 == 0 {
            night.switch();
        }
        if restarts && turns % 60 == 0 {
            night.restart();
        }
    }
    night.state.check().unwrap();
    let fires: u64 = night.state.triggers().map(|row| row.fires).sum();
    assert!(night.fires > triggers && fires > 0, "seed {seed}: {} fires", night.fires);
    for (id, entry) in &night.book {
        assert_eq!(night.state.trigger(*id).unwrap().fires, entry.fires, "seed {seed}: {}", entry.spec.name);
    }
}

#[test]
fn triggers_fire_as_the_book_says_through_restarts_and_a_clock_that_is_set_back() {
    for seed in 1..=4 {
        night(seed, 40, 3_000, true);
    }
}

/// Takes a while: `cargo test -p musher-core --release --test rules a_thousand_triggers -- --ignored`.
#[test]
#[ignore = "takes minutes"]
fn a_thousand_triggers_on_a_hundred_thousand_events_fire_as_the_book_says() {
    night(7, 1_000, 100_000, false);
}
