//! Ends an agent and everything below it: ask, wait, kill, and look until nothing is left.

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::sys::{self, Handle, Identity};

/// How often the tree is walked in one go, for processes that start others while they are being ended.
const MAX_WALKS: usize = 16;

/// How long to wait before killing again what did not die; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// The longest such wait.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// How far the ending is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The agent was interrupted; everything is asked to end at this moment.
    Interrupted(Instant),
    /// Everything was asked to end; what lives at this moment is killed.
    Asked(Instant),
    /// Everything is killed, again at this moment, each time later by a longer pause.
    Killed(Instant, Duration),
}

/// An ending under way.
#[derive(Debug)]
pub(super) struct Ending {
    stage: Stage,
    agent: Identity,
    grace: Duration,
    asked: BTreeSet<Identity>,
}

impl Ending {
    /// Interrupts the agent's process group; the rest follows after the grace.
    pub(super) fn interrupt(agent: Identity, grace: Duration, now: Instant) -> Self {
        // Not yet reaped by this host, which alone may reap it, so the group is still the agent's.
        let _ = killpg(Pid::from_raw(agent.pid), Signal::SIGINT);
        Self { stage: Stage::Interrupted(now + grace), agent, grace, asked: BTreeSet::new() }
    }

    /// Asks every process to end.
    pub(super) fn ask(agent: Identity, grace: Duration, now: Instant) -> io::Result<Self> {
        let mut ending = Self { stage: Stage::Asked(now + grace), agent, grace, asked: BTreeSet::new() };
        ending.signal(Signal::SIGTERM)?;
        Ok(ending)
    }

    /// Asks every process to end, if that was still to come.
    pub(super) fn hasten(&mut self, now: Instant) -> io::Result<()> {
        if matches!(self.stage, Stage::Interrupted(_)) {
            self.stage = Stage::Asked(now + self.grace);
            self.signal(Signal::SIGTERM)?;
        }
        Ok(())
    }

    /// The next moment at which something is to be done without anything happening.
    pub(super) const fn due(&self) -> Instant {
        match self.stage {
            Stage::Interrupted(at) | Stage::Asked(at) | Stage::Killed(at, _) => at,
        }
    }

    /// Does what is due, and sees to processes that have come up since.
    pub(super) fn go_on(&mut self, now: Instant) -> io::Result<()> {
        match self.stage {
            Stage::Interrupted(at) if now < at => Ok(()),
            Stage::Interrupted(_) => self.hasten(now),
            Stage::Asked(at) if now < at => self.signal(Signal::SIGTERM),
            Stage::Asked(_) => {
                self.stage = Stage::Killed(now + FIRST_PAUSE, FIRST_PAUSE);
                self.signal(Signal::SIGKILL)
            }
            Stage::Killed(at, pause) => {
                if now >= at {
                    let pause = (pause * 2).min(MAX_PAUSE);
                    self.stage = Stage::Killed(now + pause, pause);
                }
                self.signal(Signal::SIGKILL)
            }
        }
    }

    /// How many processes besides the agent were ended so far.
    pub(super) fn leftovers(&self) -> u64 {
        self.asked.iter().filter(|id| **id != self.agent).count() as u64
    }

    /// Signals the whole tree, until a walk finds nobody new. Nobody is asked twice; killing may be repeated.
    fn signal(&mut self, signal: Signal) -> io::Result<()> {
        let mut reached = BTreeSet::new();
        for _ in 0..MAX_WALKS {
            let mut news = false;
            for process in sys::tree(self.agent)? {
                let first = self.asked.insert(process.id);
                if reached.insert(process.id) && (first || signal == Signal::SIGKILL) {
                    news = true;
                    send(process.id, signal);
                }
            }
            if !news {
                break;
            }
        }
        Ok(())
    }
}

fn send(id: Identity, signal: Signal) {
    let Some(handle) = Handle::open(id) else { return };
    let sent = handle.signal(signal);
    if signal == Signal::SIGTERM {
        // A stopped process does not hear that it should end.
        let _ = handle.signal(Signal::SIGCONT);
    }
    if let Err(error) = sent {
        super::complain(&format!("process {} cannot be ended: {error}", id.pid));
    }
}
