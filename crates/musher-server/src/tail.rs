//! The newest events, read from the committed log once for all who follow it.
//!
//! A hundred readers at the end of the log want the same few events at the same moment. Read and written out for each of
//! them, these would cost the machine a hundred times, and the writer its turn. This is no broadcast: nobody is sent
//! anything, each asks from a place of its own, and who has fallen behind what is kept here reads the log itself.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use musher_core::event::Logged;
use musher_core::id::Seq;
use musher_engine::Engine;
use musher_store::EventFilter;

use crate::api::Problem;
use crate::readers::Readers;
use crate::view;

/// How many events are kept.
const KEPT: usize = 2_048;
/// How many bytes of them.
const KEPT_BYTES: usize = 2 << 20;
/// How many are read at once.
const CHUNK: u32 = 500;

/// What was found after a place.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The wanted ones, a line each.
    pub(crate) lines: Vec<u8>,
    /// Everything up to here was looked through.
    pub(crate) looked: Seq,
    /// There is nothing after that yet.
    pub(crate) is_all: bool,
}

/// The newest events of a log.
pub(crate) struct Tail {
    engine: Engine,
    readers: Readers,
    kept: Mutex<Kept>,
    /// Whoever holds it reads on for all.
    reading: tokio::sync::Mutex<()>,
}

/// Everything after `from`, without a gap.
#[derive(Debug, Default)]
struct Kept {
    from: Seq,
    events: VecDeque<(Logged, Bytes)>,
    bytes: usize,
}

impl Kept {
    fn to(&self) -> Seq {
        Seq(self.from.0 + self.events.len() as u64)
    }

    fn add(&mut self, event: Logged) {
        // The log has no gaps; if it had one, what lies before it would not be known to be whole.
        if event.seq.0 != self.to().0 + 1 {
            *self = Self { from: Seq(event.seq.0.saturating_sub(1)), ..Self::default() };
        }
        let line = line(&event);
        self.bytes += line.len();
        self.events.push_back((event, line));
        while self.events.len() > KEPT || (self.bytes > KEPT_BYTES && self.events.len() > 1) {
            if let Some((_, line)) = self.events.pop_front() {
                self.bytes -= line.len();
                self.from.0 += 1;
            }
        }
    }

    fn after(&self, filter: &EventFilter) -> Found {
        let skipped = usize::try_from(filter.after.0.saturating_sub(self.from.0)).unwrap_or(usize::MAX);
        let mut found = Found { looked: filter.after, ..Found::default() };
        for (event, line) in self.events.iter().skip(skipped).take(filter.limit as usize) {
            found.looked = event.seq;
            if wants(filter, event) {
                found.lines.extend_from_slice(line);
            }
        }
        found.is_all = found.looked >= self.to();
        found
    }
}

impl Tail {
    pub(crate) fn new(engine: Engine, readers: Readers) -> Self {
        Self { engine, readers, kept: Mutex::default(), reading: tokio::sync::Mutex::default() }
    }

    /// The next events after the filter's place.
    pub(crate) async fn after(&self, filter: &EventFilter) -> Result<Found, Problem> {
        let newest = *self.engine.seq().borrow();
        self.read_up_to(newest).await?;
        let found = {
            let kept = self.kept();
            (filter.after >= kept.from).then(|| kept.after(filter))
        };
        match found {
            Some(found) => Ok(found),
            None => self.in_log(filter.clone()).await,
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // What is kept is whole after every line that changes it.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read_up_to(&self, newest: Seq) -> Result<(), Problem> {
        if self.kept().to() >= newest {
            return Ok(());
        }
        let _one = self.reading.lock().await;
        loop {
            let to = self.kept().to();
            if to >= newest {
                return Ok(());
            }
            // From far behind, only the end is worth reading.
            let after = Seq(to.0.max(newest.0.saturating_sub(KEPT as u64 / 2)));
            let filter = EventFilter { after, limit: CHUNK, ..EventFilter::default() };
            let events = self.readers.ask(move |reader| reader.events(&filter)).await?;
            if events.is_empty() {
                return Ok(());
            }
            let mut kept = self.kept();
            events.into_iter().for_each(|event| kept.add(event));
        }
    }

    async fn in_log(&self, filter: EventFilter) -> Result<Found, Problem> {
        let (after, limit) = (filter.after, filter.limit as usize);
        let question = move |reader: &dyn musher_store::Reader| Ok((reader.last_seq()?, reader.events(&filter)?));
        let (last, events) = self.readers.ask(question).await?;
        let is_all = events.len() < limit;
        let newest = events.last().map_or(after, |event| event.seq);
        // When that was all, everything up to the end was looked through, whether it was wanted or not.
        let looked = if is_all { newest.max(last) } else { newest };
        Ok(Found { lines: events.iter().flat_map(line).collect(), looked, is_all })
    }
}

fn wants(filter: &EventFilter, logged: &Logged) -> bool {
    let (event, name) = (&logged.event, logged.event.happened.name());
    filter.mission.is_none_or(|mission| event.mission == Some(mission))
        && filter.item.is_none_or(|item| event.item == Some(item))
        && (filter.kinds.is_empty() || filter.kinds.iter().any(|kind| **kind == *name))
}

/// An event is made of texts and numbers alone; there is nothing in it that JSON could not say.
fn line(event: &Logged) -> Bytes {
    let mut text = serde_json::to_vec(&view::event::event(event.clone())).unwrap_or_default();
    text.push(b'\n');
    text.into()
}

#[cfg(test)]
mod tests {
    use musher_core::event::{Event, Happened};
    use musher_core::time::Timestamp;

    use super::*;

    fn event(seq: u64, gate: &str) -> Logged {
        let happened = match gate {
            "" => Happened::SettingsChanged {},
            text => Happened::CommandIgnored { text: text.into() },
        };
        let at = Timestamp::from_micros(i64::try_from(seq).unwrap());
        let event = Event {
            at,
            actor: "ann".into(),
            mission: None,
            item: None,
            agent: None,
            run: None,
            moved: None,
            chain: Box::default(),
            happened,
        };
        Logged { seq: Seq(seq), event }
    }

    fn seqs(found: &Found) -> Vec<u64> {
        let text = String::from_utf8(found.lines.clone()).unwrap();
        text.lines().map(|line| serde_json::from_str::<crate::api::Event>(line).unwrap().seq).collect()
    }

    fn filter(after: u64, limit: u32, kinds: &[&str]) -> EventFilter {
        let kinds = kinds.iter().map(|kind| (*kind).into()).collect();
        EventFilter { after: Seq(after), limit, kinds, ..EventFilter::default() }
    }

    #[test]
    fn each_reader_is_given_what_comes_after_its_own_place() {
        let mut kept = Kept::default();
        (1..=10).for_each(|seq| kept.add(event(seq, if seq % 2 == 0 { "even" } else { "" })));
        let cases: [(EventFilter, &[u64], u64, bool); 6] = [
            (filter(0, 500, &[]), &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 10, true),
            (filter(7, 500, &[]), &[8, 9, 10], 10, true),
            (filter(3, 4, &[]), &[4, 5, 6, 7], 7, false),
            (filter(3, 4, &["command_ignored"]), &[4, 6], 7, false),
            (filter(9, 500, &["settings_changed"]), &[], 10, true),
            (filter(99, 500, &[]), &[], 99, true),
        ];
        for (asked, given, looked, is_all) in cases {
            let found = kept.after(&asked);
            assert_eq!(
                (seqs(&found).as_slice(), found.looked, found.is_all),
                (given, Seq(looked), is_all),
                "{asked:?}"
            );
        }
    }

    #[test]
    fn what_is_kept_has_a_bound_in_number_and_in_bytes_and_no_gap() {
        let mut kept = Kept::default();
        (1..=5_000).for_each(|seq| kept.add(event(seq, "")));
        assert_eq!((kept.from, kept.to(), kept.events.len()), (Seq(5_000 - KEPT as u64), Seq(5_000), KEPT));
        kept.add(event(5_001, &"x".repeat(2 * KEPT_BYTES)));
        assert_eq!((kept.from, kept.to(), kept.events.len()), (Seq(5_000), Seq(5_001), 1));
        kept.add(event(5_002, ""));
        assert_eq!((kept.from, kept.to(), kept.bytes), (Seq(5_001), Seq(5_002), kept.events[0].1.len()));
        kept.add(event(6_000, ""));
        assert_eq!((kept.from, kept.to(), kept.bytes), (Seq(5_999), Seq(6_000), kept.events[0].1.len()));
    }
}
