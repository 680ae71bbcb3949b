//! Identifiers: UUIDv7, made from the moment and the entropy that step is given, and never used twice.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::entropy::Entropy;
use crate::time::Timestamp;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)+) => { $(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Makes a new id; its first 48 bits are the moment in milliseconds, then comes a
            /// counter within it, and then chance.
            pub fn new(now: Timestamp, entropy: &mut Entropy) -> Self {
                Self(v7(now, entropy))
            }

            /// The 16 bytes, as they are stored.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// Reads an id back from its 16 stored bytes.
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The last eight hexadecimal digits: what people type and read.
            ///
            /// A UUIDv7 begins with the time, so ids made in the same minute share their first digits; the last ones
            /// are random.
            pub fn short(&self) -> String {
                let text = self.0.simple().to_string();
                text[24..].to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.short())
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    )+ };
}

ids! {
    /// Names a mission.
    MissionId
    /// Names a work item.
    ItemId
    /// Names an agent (a worker, not one of its processes).
    AgentId
    /// Names one run of an agent.
    RunId
    /// Names an effect: what the world must do, and what its driver is idempotent by.
    EffectId
    /// Names a note of an operator.
    NoteId
    /// Names what an agent asks a person.
    RequestId
    /// Names a schedule.
    ScheduleId
    /// Names a trigger.
    TriggerId
    /// Names one firing of a schedule or a trigger.
    FiringId
    /// Names a watch.
    WatchId
    /// Names a project to a hub: its folder's state, whatever the folder is called.
    ProjectId
    /// Names one use of a tool by an agent: one that is repeated, for its answer was lost, counts once.
    CallId
}

/// A number that only grows, one an item: a report that carries an older fence than the item's is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fence(pub u64);

impl Fence {
    /// The next fence: every earlier holder is now stale.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The place of an event in the log: 1 is the first, no number is used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seq(pub u64);

/// Whether what a person typed names the id with this full and short text: a prefix of either, at least four digits.
pub fn matches_prefix(full: &str, short: &str, typed: &str) -> bool {
    let typed = typed.to_ascii_lowercase();
    typed.len() >= 4 && (full.starts_with(&typed) || short.starts_with(&typed))
}

/// The moment, then a counter within its millisecond, then 48 bits of chance (RFC 9562, section 6.2, method 1).
///
/// The counter is for the disk: the items of a mission are made in one moment, and with it their ids have the order of
/// the plan. Items that are worked on together then lie together in every table and index that is kept by their ids,
/// and a commit touches far fewer pages.
fn v7(now: Timestamp, entropy: &mut Entropy) -> Uuid {
    let counter = entropy.next_in(now.as_millis());
    let mut random = [0u8; 10];
    random[..8].copy_from_slice(&entropy.next_u64().to_le_bytes());
    random[8..].copy_from_slice(&entropy.next_u64().to_le_bytes()[..2]);
    // Version and variant lie over the first four and the first two bits: twelve bits of the counter, then fourteen.
    random[..2].copy_from_slice(&((counter >> 14) as u16 & 0x0fff).to_be_bytes());
    random[2..4].copy_from_slice(&(counter as u16 & 0x3fff).to_be_bytes());
    uuid::Builder::from_unix_timestamp_millis(now.as_millis(), &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_the_moment_they_were_made() {
        let mut entropy = Entropy::from_seed(1);
        let early = ItemId::new(Timestamp::from_micros(1_000_000), &mut entropy);
        let late = ItemId::new(Timestamp::from_micros(2_000_000), &mut entropy);
        assert!(early < late);
    }

    #[test]
    fn ids_of_one_moment_sort_in_the_order_in_which_they_were_made() {
        let mut entropy = Entropy::from_seed(1);
        let made: Vec<_> = (0..20_000).map(|_| ItemId::new(Timestamp::from_micros(7), &mut entropy)).collect();
        assert!(made.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn a_prefix_of_the_full_or_the_short_form_names_an_id_from_four_digits_on() {
        let id = ItemId::new(Timestamp::from_micros(5), &mut Entropy::from_seed(9));
        let (full, short) = (id.to_string(), id.short());
        assert!(matches_prefix(&full, &short, &full[..4]));
        assert!(matches_prefix(&full, &short, &short[..4]));
        assert!(!matches_prefix(&full, &short, &short[..3]));
        assert!(!matches_prefix(&full, &short, "zzzz"));
    }

    #[test]
    fn an_id_is_read_back_from_its_text_and_its_bytes() {
        let id = RunId::new(Timestamp::from_micros(77), &mut Entropy::from_seed(3));
        assert_eq!(id.to_string().parse::<RunId>().unwrap(), id);
        assert_eq!(RunId::from_bytes(*id.as_bytes()), id);
    }
}
