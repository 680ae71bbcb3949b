//! What the nights held: how often each fault and each event occurred. A fault that never occurs proves nothing.

use std::collections::BTreeMap;
use std::fmt;

macro_rules! faults {
    ($($(#[$doc:meta])* $variant:ident $name:literal)+) => {
        /// What goes wrong in a night.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault { $($(#[$doc])* $variant,)+ }

        impl Fault {
            /// Every fault.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word in the counters.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

faults! {
    /// The process died with a batch written but not committed.
    CrashBeforeCommit "crash_before_commit"
    /// The process died after a commit, before an effect was issued or an answer given.
    CrashAfterCommit "crash_after_commit"
    /// The process died while effects were being carried out.
    CrashAtWork "crash_at_work"
    /// A crash left a database whose log was not merged into it.
    CrashImage "crash_image"
    /// The machine died, and every agent with it.
    Reboot "reboot"
    /// A clean stop and start.
    Restart "restart"
    /// A report never came.
    LostReport "lost_report"
    /// A report came twice.
    DuplicateReport "duplicate_report"
    /// A report came long after its effect was answered.
    LateReport "late_report"
    /// A holder that was paused spoke when its item had another run, or none.
    PausedHolder "paused_holder"
    /// A daemon that was paused for longer than its lease came back, and its writes were refused.
    PausedDaemon "paused_daemon"
    /// A run's host died under it.
    HostDeath "host_death"
    /// The clock jumped ahead.
    ClockForward "clock_forward"
    /// The clock jumped back.
    ClockBackward "clock_backward"
    /// The clock was set to just before midnight.
    ClockMidnight "clock_midnight"
    /// A commit failed and nothing of it was on disk.
    CommitLost "commit_lost"
    /// A commit said that it failed, and yet it was on disk.
    CommitLanded "commit_landed"
    /// A row could not be written.
    WriteError "write_error"
    /// The disk was full for a while.
    DiskFull "disk_full"
    /// An agent deleted its worktree.
    WorktreeDeleted "worktree_deleted"
    /// Somebody else advanced the target branch.
    BaseMoved "base_moved"
    /// A driver could not work.
    DriverFailed "driver_failed"
    /// A node fell silent.
    NodeSilent "node_silent"
    /// A receiver did not take what it was sent.
    FailedDelivery "failed_delivery"
    /// A receiver took what it was sent, and its answer never came.
    LostAnswer "lost_answer"
    /// A receiver took minutes.
    SlowDelivery "slow_delivery"
    /// A receiver was not there.
    ReceiverAway "receiver_away"
    /// A receiver takes others, but not this one.
    EventRefused "event_refused"
    /// A receiver was sent again what it had.
    RepeatedDelivery "repeated_delivery"
}

/// Counters.
#[derive(Clone, Debug, Default)]
pub struct Coverage {
    /// Faults.
    pub faults: BTreeMap<Fault, u64>,
    /// Committed events, by name.
    pub events: BTreeMap<&'static str, u64>,
    /// Committed batches.
    pub batches: u64,
    /// Accepted commands of operators.
    pub acknowledged: u64,
    /// Refused commands of operators.
    pub refused: u64,
    /// Reports that were refused as stale.
    pub stale: u64,
    /// Items that were merged.
    pub merged: u64,
    /// Virtual time, in µs.
    pub virtual_us: i64,
}

impl Coverage {
    /// Counts a fault.
    pub fn saw(&mut self, fault: Fault) {
        *self.faults.entry(fault).or_default() += 1;
    }

    /// Adds another night's counters.
    pub fn add(&mut self, other: &Self) {
        for (fault, n) in &other.faults {
            *self.faults.entry(*fault).or_default() += n;
        }
        for (event, n) in &other.events {
            *self.events.entry(event).or_default() += n;
        }
        self.batches += other.batches;
        self.acknowledged += other.acknowledged;
        self.refused += other.refused;
        self.stale += other.stale;
        self.merged += other.merged;
        self.virtual_us += other.virtual_us;
    }

    /// The faults that never occurred.
    pub fn missing(&self) -> Vec<&'static str> {
        Fault::ALL.iter().filter(|f| !self.faults.contains_key(f)).map(|f| f.name()).collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  batches {}, virtual days {}", self.batches, self.virtual_us / 86_400_000_000)?;
        writeln!(
            f,
            "  operators: {} acknowledged, {} refused; stale reports refused: {}; merged items: {}",
            self.acknowledged, self.refused, self.stale, self.merged
        )?;
        writeln!(f, "  faults:")?;
        for fault in Fault::ALL {
            writeln!(f, "    {:<22}{:>9}", fault.name(), self.faults.get(fault).copied().unwrap_or(0))?;
        }
        writeln!(f, "  events:")?;
        for (event, n) in &self.events {
            writeln!(f, "    {event:<26}{n:>9}")?;
        }
        Ok(())
    }
}
