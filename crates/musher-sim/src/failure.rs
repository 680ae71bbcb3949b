//! What a failing seed says: a whole bug report.

use std::fmt;

use musher_core::event::Logged;
use musher_core::id::ItemId;

use crate::variant::Variant;

/// What sort of promise was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Something that must not be, was.
    Safety,
    /// Something that must come, did not.
    Liveness,
    /// The simulator itself could not go on (its disk, its store).
    Simulator,
}

impl Class {
    /// The exit status of a run that found one.
    pub const fn exit(self) -> u8 {
        match self {
            Self::Safety => 4,
            Self::Liveness => 3,
            Self::Simulator => 1,
        }
    }

    /// The word in the report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Safety => "safety",
            Self::Liveness => "liveness",
            Self::Simulator => "simulator",
        }
    }
}

/// A broken promise, where it was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Broken {
    /// Which sort.
    pub class: Class,
    /// What, in words.
    pub what: String,
    /// The item that it is about, if it is about one.
    pub item: Option<ItemId>,
}

impl Broken {
    /// Something that must not be, was.
    pub fn safety(item: impl Into<Option<ItemId>>, what: impl Into<String>) -> Self {
        Self { class: Class::Safety, what: what.into(), item: item.into() }
    }

    /// Something that must come, did not.
    pub fn liveness(item: impl Into<Option<ItemId>>, what: impl Into<String>) -> Self {
        Self { class: Class::Liveness, what: what.into(), item: item.into() }
    }

    /// The simulator could not go on.
    pub fn simulator(what: impl fmt::Display) -> Self {
        Self { class: Class::Simulator, what: what.to_string(), item: None }
    }
}

/// A broken promise with all that is needed to see it again.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What broke.
    pub broken: Broken,
    /// The seed.
    pub seed: u64,
    /// How many happenings there were before.
    pub step: u64,
    /// Virtual time since the evening, in µs.
    pub virtual_us: i64,
    /// The world, one line.
    pub world: String,
    /// The command that plays it again.
    pub replay: String,
    /// The last events of the item, or of all when it is about none.
    pub events: Vec<Logged>,
}

/// How many events a report shows.
pub const EVENTS_SHOWN: usize = 40;

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "musher-sim FAILED {}: {}", self.broken.class.name(), self.broken.what)?;
        let commit = commit().map(|c| format!("   commit {c}")).unwrap_or_default();
        writeln!(
            f,
            "  seed    {}{commit}   step {}   virtual time {}",
            self.seed,
            thousands(self.step),
            clock(self.virtual_us)
        )?;
        writeln!(f, "  world   {}", self.world)?;
        writeln!(f, "  replay  {}", self.replay)?;
        match self.broken.item {
            Some(item) => writeln!(f, "  the last {EVENTS_SHOWN} events of item {}:", item.short())?,
            None => writeln!(f, "  the last {EVENTS_SHOWN} events:")?,
        }
        for logged in &self.events {
            let body = serde_json::to_string(&logged.event.happened).unwrap_or_default();
            writeln!(f, "    {:>6}  {}  {:<10}  {body}", logged.seq.0, logged.event.at, logged.event.actor)?;
        }
        Ok(())
    }
}

/// The command that plays a seed again.
pub fn replay(seed: u64, variant: Variant) -> String {
    let variant = match variant {
        Variant::Sound => String::new(),
        other => format!(" --variant {}", other.name()),
    };
    format!("cargo run --release -p musher-sim -- run --seed {seed}{variant}")
}

fn commit() -> Option<String> {
    let said = std::process::Command::new("git").args(["rev-parse", "--short", "HEAD"]).output().ok()?;
    let text = String::from_utf8(said.stdout).ok()?;
    (said.status.success() && !text.trim().is_empty()).then(|| text.trim().to_owned())
}

fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn clock(us: i64) -> String {
    let ms = us / 1000;
    format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_written_for_people() {
        assert_eq!(thousands(41_207), "41,207");
        assert_eq!(thousands(7), "7");
        assert_eq!(clock(11_564_120_000), "03:12:44.120");
    }
}
