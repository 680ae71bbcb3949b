//! Sinks: who outside is told of events, and what musher does when one cannot be told.
//!
//! A sink reads the committed log from a cursor of its own, in order. What it has taken, or can never take, moves the
//! cursor; a failure is written down with the moment of the next try, so that a restart changes nothing. The driver that
//! sends decides nothing: it reports what came of a delivery, and asks here when to try again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::entropy::Entropy;
use crate::event::{Event, Happened};
use crate::id::{MissionId, Seq, matches_prefix};
use crate::relay::{self, Identity};
use crate::time::Timestamp;

mod operate;
pub use operate::{advanced, failed, hurry, sync};

/// The first wait after a failure.
pub const FIRST_BACKOFF: Duration = Duration::from_secs(1);
/// The longest wait that musher chooses itself.
pub const LONGEST_BACKOFF: Duration = Duration::from_secs(5 * 60);
/// The same of the relay: its hub is one of ours, and people look at it.
pub const LONGEST_OF_RELAY: Duration = Duration::from_secs(60);
/// The longest wait that a receiver can ask for.
pub const LONGEST_ASKED: Duration = Duration::from_secs(3600);
/// How long the delivery of one event is tried before it is given up.
pub const PATIENCE: Duration = Duration::from_secs(24 * 3600);
/// How long the cursor of a sink that left the config is kept for its return.
pub const KEPT_AFTER_REMOVAL: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long the delivery of an event about deliveries may fail before another such event says so.
pub const QUIET: Duration = Duration::from_secs(3600);
/// What an attempt may take beyond the wait before it: more than this between two attempts was not spent trying.
const ATTEMPT: Duration = Duration::from_secs(60);

/// What sort of place a sink sends to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SinkKind {
    /// A signed HTTP request an event.
    Webhook,
    /// A line of JSON an event, in a file.
    File,
    /// Notifications on the desktop of whoever runs the daemon.
    Desktop,
    /// Many events at once, to a hub; see [`crate::relay`].
    Relay,
}

impl SinkKind {
    /// The word in the config.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::File => "file",
            Self::Desktop => "desktop",
            Self::Relay => "relay",
        }
    }

    /// Whether an event is ever given up. A receiver may choke on one event and take the next; a disk that takes no line
    /// takes none after it either, so lines wait; nor does a desktop that is not there, or a hub that is down.
    const fn gives_up(self) -> bool {
        match self {
            Self::Webhook => true,
            Self::File | Self::Desktop | Self::Relay => false,
        }
    }

    /// The longest wait that musher chooses itself.
    const fn longest_backoff(self) -> Duration {
        match self {
            Self::Webhook | Self::File | Self::Desktop => LONGEST_BACKOFF,
            Self::Relay => LONGEST_OF_RELAY,
        }
    }
}

/// Where a new sink begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SinkFrom {
    /// With what happens from now on.
    #[default]
    Present,
    /// With the first event of the log.
    Start,
}

impl SinkFrom {
    /// The word in the config.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Present => "present",
            Self::Start => "start",
        }
    }
}

/// What decisions need to know of a configured sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkSpec {
    /// Its name, unique.
    pub name: Box<str>,
    /// What sort it is.
    pub kind: SinkKind,
    /// Where it begins when it is new.
    pub from: SinkFrom,
}

/// A sink, as it is stored. Its place in the log is the cursor [`cursor_of`] its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sink {
    /// Its name.
    pub name: Box<str>,
    /// What sort it is.
    pub kind: SinkKind,
    /// What is wrong, while something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
    /// When it left the config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<Timestamp>,
    /// By what the hub knows this project; the relay alone has it, and keeps it also when it leaves the config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<Identity>,
}

impl Sink {
    /// When the next delivery may be tried; nothing when that is now.
    pub fn due(&self, now: Timestamp) -> Option<Timestamp> {
        let due = self.trouble.as_ref()?.not_before;
        // A wait longer than any that is ever chosen: the clock was set back.
        (due > now && due.since(now) <= LONGEST_ASKED).then_some(due)
    }
}

/// What is wrong with a sink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// Since when nothing was delivered.
    pub since: Timestamp,
    /// Failures in a row, of whichever event.
    pub failures: u32,
    /// The event that cannot be delivered.
    pub event: Seq,
    /// How often its delivery was tried.
    pub attempts: u32,
    /// How long that went on, in milliseconds; the time in which musher was not there does not count.
    pub tried_ms: u64,
    /// The last attempt.
    pub last_at: Timestamp,
    /// When the next may be made.
    pub not_before: Timestamp,
    /// What was wrong with the last one, in one line.
    pub error: Box<str>,
    /// Whether an event has said that the sink fails.
    pub announced: bool,
}

/// A delivery that failed, as the driver reports it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryFailure {
    /// The event.
    pub event: Seq,
    /// Its name.
    pub kind: Box<str>,
    /// What was wrong, in one line.
    pub error: Box<str>,
    /// The seconds that the receiver asks to be left alone.
    pub retry_after_secs: Option<u64>,
}

/// The name of a sink's cursor.
pub fn cursor_of(sink: &str) -> Box<str> {
    format!("sink:{sink}").into()
}

/// How long a sink waits after its `failures`-th failure in a row; the first is 1.
///
/// 1 s × 2^(failures − 1), at most 5 min, of the relay at most 1 min, ± 10 % by chance; longer if the receiver asks for it,
/// but at most an hour.
pub fn backoff(kind: SinkKind, failures: u32, retry_after_secs: Option<u64>, entropy: &mut Entropy) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let plain = FIRST_BACKOFF.saturating_mul(1 << doublings).min(kind.longest_backoff());
    let own = plain.mul_f64(1.0 + 0.1 * entropy.jitter());
    let asked = Duration::from_secs(retry_after_secs.unwrap_or(0)).min(LONGEST_ASKED);
    own.max(asked)
}

/// The events that ask a person for something: what a desktop shows if its `kinds` name nothing else.
pub const ASKING: [&str; 3] = ["mission_help_requested", "help_requested", "approval_requested"];

/// The events that settle what was asked, one way or another: a desktop takes back what it shows for it.
pub const SETTLING: [&str; 5] =
    ["mission_help_retired", "help_answered", "approval_decided", "approval_withdrawn", "run_finished"];

/// Which events a sink wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// The sink's own name: it is not told of its own deliveries.
    pub sink: Box<str>,
    /// Names of events; none = all.
    pub kinds: Vec<Box<str>>,
    /// Missions by the beginning of their ids; none = all, and what is about no mission too.
    pub missions: Vec<Box<str>>,
    /// Only what a hub is told of.
    pub for_hub: bool,
}

impl Wanted {
    /// Whether this event is sent.
    pub fn lets_through(&self, event: &Event) -> bool {
        let name = event.happened.name();
        let kind = self.kinds.is_empty() || self.kinds.iter().any(|kind| **kind == *name);
        let mission = self.missions.is_empty() || event.mission.is_some_and(|id| self.names_mission(id));
        kind && mission
            && (!self.for_hub || relay::tells(&event.happened))
            && about_delivery_to(&event.happened) != Some(&*self.sink)
    }

    fn names_mission(&self, id: MissionId) -> bool {
        let (full, short) = (id.to_string(), id.short());
        self.missions.iter().any(|typed| matches_prefix(&full, &short, typed))
    }
}

/// The sink whose deliveries an event is about, if it is about any.
fn about_delivery_to(happened: &Happened) -> Option<&str> {
    if let Happened::DeliveryFailed { sink, .. }
    | Happened::DeliveryRecovered { sink, .. }
    | Happened::DeliveryDeadLettered { sink, .. } = happened
    {
        return Some(sink);
    }
    None
}

/// Whether an event of this name is about deliveries.
fn is_about_deliveries(kind: &str) -> bool {
    ["delivery_failed", "delivery_recovered", "delivery_dead_lettered"].contains(&kind)
}

/// The names of events that a pattern means: a name, or one with `*` for any part of it.
pub fn kinds_named<'n>(pattern: &str, names: impl Iterator<Item = &'n str>) -> impl Iterator<Item = &'n str> {
    names.filter(move |name| matches(pattern.as_bytes(), name.as_bytes()))
}

fn matches(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|from| matches(rest, &name[from..])),
        Some((letter, rest)) => name.split_first().is_some_and(|(first, name)| first == letter && matches(rest, name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_from_a_second_to_five_minutes() {
        let mut entropy = Entropy::from_seed(1);
        for (failures, seconds) in
            [(1, 1), (2, 2), (3, 4), (4, 8), (8, 128), (9, 256), (10, 300), (11, 300), (u32::MAX, 300)]
        {
            let wait = backoff(SinkKind::Webhook, failures, None, &mut entropy).as_secs_f64();
            let plain = f64::from(seconds);
            assert!((plain * 0.9..=plain * 1.1).contains(&wait), "failure {failures} waits {wait} s");
        }
    }

    #[test]
    fn the_wait_of_the_relay_doubles_from_a_second_to_one_minute() {
        let mut entropy = Entropy::from_seed(1);
        for (failures, seconds) in [(1, 1), (2, 2), (6, 32), (7, 60), (8, 60), (u32::MAX, 60)] {
            let wait = backoff(SinkKind::Relay, failures, None, &mut entropy).as_secs_f64();
            let plain = f64::from(seconds);
            assert!((plain * 0.9..=plain * 1.1).contains(&wait), "failure {failures} waits {wait} s");
        }
    }

    #[test]
    fn a_receiver_can_ask_for_a_longer_wait_but_not_for_more_than_an_hour() {
        let wait = |failures, asked| backoff(SinkKind::Webhook, failures, asked, &mut Entropy::from_seed(2)).as_secs();
        assert_eq!(wait(1, Some(30)), 30);
        assert_eq!(wait(1, Some(3600)), 3600);
        assert_eq!(wait(1, Some(u64::MAX)), 3600);
        assert!(wait(10, Some(1)) >= 270, "a short one does not shorten the backoff");
    }

    #[test]
    fn jitter_spreads_the_waits() {
        let mut entropy = Entropy::from_seed(3);
        let waits: Vec<_> = (0..100).map(|_| backoff(SinkKind::File, 1, None, &mut entropy)).collect();
        assert!(waits.iter().any(|w| *w < FIRST_BACKOFF) && waits.iter().any(|w| *w > FIRST_BACKOFF));
    }

    #[test]
    fn a_star_stands_for_any_part_of_a_name() {
        let names = ["item_done", "item_dead_lettered", "mission_completed", "run_started"];
        for (pattern, meant) in [
            ("item_done", vec!["item_done"]),
            ("item_*", vec!["item_done", "item_dead_lettered"]),
            ("*_d*", vec!["item_done", "item_dead_lettered"]),
            ("*", names.to_vec()),
            ("item", vec![]),
            ("", vec![]),
            ("*_started", vec!["run_started"]),
            ("**e*d", vec!["item_dead_lettered", "mission_completed", "run_started"]),
        ] {
            assert_eq!(kinds_named(pattern, names.into_iter()).collect::<Vec<_>>(), meant, "{pattern}");
        }
    }

    #[test]
    fn a_sink_is_sent_what_it_wants_and_never_what_is_about_itself() {
        let id = MissionId::new(Timestamp::from_micros(1), &mut Entropy::from_seed(4));
        let event = |mission, happened| Event {
            at: Timestamp::from_micros(1),
            actor: "musher".into(),
            mission,
            item: None,
            agent: None,
            run: None,
            moved: None,
            chain: Box::default(),
            happened,
        };
        let done = event(Some(id), Happened::MissionCompleted {});
        let config = event(None, Happened::SettingsChanged {});
        let about = |sink: &str| {
            event(None, Happened::DeliveryFailed { sink: sink.into(), event: Seq(1), error: "down".into() })
        };
        let wants = |kinds: &[&str], missions: &[&str]| Wanted {
            sink: "a".into(),
            kinds: kinds.iter().map(|k| (*k).into()).collect(),
            missions: missions.iter().map(|m| (*m).into()).collect(),
            for_hub: false,
        };
        let short = id.short();
        for (wanted, event, sent) in [
            (wants(&[], &[]), &done, true),
            (wants(&[], &[]), &config, true),
            (wants(&["mission_completed"], &[]), &done, true),
            (wants(&["mission_completed"], &[]), &config, false),
            (wants(&[], &[&short]), &done, true),
            (wants(&[], &[&short[..4]]), &done, true),
            (wants(&[], &["ffffffff"]), &done, false),
            (wants(&[], &[&short]), &config, false),
            (wants(&[], &[]), &about("b"), true),
            (wants(&[], &[]), &about("a"), false),
            (wants(&["delivery_failed"], &[]), &about("a"), false),
        ] {
            assert_eq!(wanted.lets_through(event), sent, "{wanted:?} {:?}", event.happened);
        }
        let is_event = |name: &str| crate::event::CATALOGUE.iter().any(|(known, ..)| *known == name);
        for name in ["delivery_failed", "delivery_recovered", "delivery_dead_lettered"] {
            assert!(is_about_deliveries(name) && is_event(name));
        }
        assert!(ASKING.iter().chain(&SETTLING).all(|name| is_event(name)));
    }
}
