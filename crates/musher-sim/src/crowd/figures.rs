//! What a crowd held: how much was done in it, and how often what the judges look at occurred.

use std::fmt;

macro_rules! figures {
    ($($(#[$doc:meta])* $field:ident $text:literal)+) => {
        /// Counters.
        #[derive(Clone, Debug, Default)]
        pub struct Figures { $($(#[$doc])* pub $field: u64,)+ }

        impl Figures {
            /// Adds those of another crowd.
            pub fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)+
            }

            /// What never occurred, and so was not judged.
            pub fn missing(&self) -> Vec<&'static str> {
                [$((self.$field, $text)),+].into_iter().filter(|(n, _)| *n == 0).map(|(_, text)| text).collect()
            }
        }

        impl fmt::Display for Figures {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $(writeln!(f, "  {:<52}{:>10}", $text, self.$field)?;)+
                Ok(())
            }
        }
    };
}

figures! {
    /// Items that came to their end.
    items "items at their end"
    /// Simulated hours.
    hours "simulated hours, by the clock on the wall"
    /// Committed batches.
    batches "batches"
    /// Committed events.
    events "events"
    /// Runs that agents were given.
    dispatches "dispatches"
    /// Deaths with a batch written but not committed.
    crashes_before "crashes before a commit"
    /// Deaths after a commit.
    crashes_after "crashes after a commit"
    /// Clock jumps over midnight.
    jumps "jumps of the clock over midnight"
    /// Nodes that fell silent.
    vanished "nodes that vanished"
    /// Heartbeats of nodes that had been silent.
    returned "nodes that returned"
    /// Quotas that were lowered below what was used while runs were live under them.
    lowered "quotas lowered below what was used, runs being live"
    /// Quotas that were raised or lifted.
    raised "quotas raised or lifted"
    /// Changed weights.
    weighed "weights changed"
    /// Passes of missions that had their weight at work.
    served "agents taken before missions with their weight at work"
    /// Runs that a quota stopped.
    stopped "runs stopped by a quota"
    /// Items that a quota stopped and that waited for a person.
    blocked "items blocked by a quota"
    /// Items that were given up because a quota stopped them.
    dropped "items given up for a quota"
    /// Accounts that were used up, with a word of until when.
    limited "rate limits with a reset"
    /// And without.
    limited_untold "rate limits without a reset"
    /// Runs that failed and were followed by another.
    retried "failures that were tried again"
    /// Items whose retries were used up.
    dead "items in the dead letter, by failures alone"
    /// Items that waited for a whole day while nobody was there.
    waited_for_capacity "items that waited a day for capacity"
    /// Items that waited for a whole day while a quota was used up.
    waited_for_quota "items that waited a day for a quota"
    /// Items that waited for a whole day for the account of their run.
    waited_for_limit "items that waited a day for a rate limit"
}
