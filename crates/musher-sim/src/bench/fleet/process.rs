//! What a living process has used and holds, as the system counts it.

use std::fs;
use std::time::Duration;

use nix::time::{clock_getcpuclockid, clock_gettime};
use nix::unistd::Pid;

/// The processor time of a process so far, its ended threads included; none once it is gone.
pub(super) fn cpu(pid: i32) -> Option<Duration> {
    let clock = clock_getcpuclockid(Pid::from_raw(pid)).ok()?;
    clock_gettime(clock).ok().map(Duration::from)
}

/// How often the threads of a process went to sleep by themselves so far, each of which is a wake-up.
pub(super) fn sleeps(pid: i32) -> u64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let status = tasks.filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
    status.map(|status| field(&status, "voluntary_ctxt_switches:")).sum()
}

/// What of a process is in memory, in KiB.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Memory {
    /// All of it.
    pub(super) resident: u64,
    /// The same, what is shared counted in equal parts.
    pub(super) share: u64,
    /// What nobody else has and no file holds.
    pub(super) own: u64,
}

impl Memory {
    pub(super) fn of(pid: i32) -> Self {
        let smaps = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        Self { resident: field(&smaps, "Rss:"), share: field(&smaps, "Pss:"), own: field(&smaps, "Private_Dirty:") }
    }
}

/// The number that stands first on the line of this name.
fn field(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()).and_then(|word| word.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_used_time_and_holds_memory() {
        let pid = std::process::id() as i32;
        let before = cpu(pid).unwrap();
        while cpu(pid).unwrap() == before {}
        let memory = Memory::of(pid);
        assert!(memory.resident >= memory.share && memory.share >= memory.own && memory.own > 0, "{memory:?}");
        // One beyond the highest that Linux gives away.
        assert_eq!(cpu((1 << 22) + 1), None);
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "nonvoluntary_ctxt_switches:\t9\nvoluntary_ctxt_switches:\t7\nRss:   12 kB\n";
        assert_eq!((field(text, "voluntary_ctxt_switches:"), field(text, "Rss:"), field(text, "Pss:")), (7, 12, 0));
    }
}
