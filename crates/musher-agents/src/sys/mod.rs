//! What only the operating system knows: processes, their start times, signals, and who is whose descendant.
//!
//! Linux has all of it. Other systems get a fallback that never touches a process it cannot prove to be ours: there a
//! host ends its agent's process group only, and nothing is ended for a host that died.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{SigHandler, SigSet, Signal};
use serde::{Deserialize, Serialize};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;
#[cfg(not(target_os = "linux"))]
mod other;
#[cfg(not(target_os = "linux"))]
pub(crate) use other::*;

/// A process, recognised for good: a pid alone is given to another program one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identity {
    /// The process id.
    pub pid: i32,
    /// When it started, in clock ticks since boot; 0 where the system does not tell.
    pub start: u64,
}

/// A process as the process table shows it.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "there is no such table"))]
pub(crate) struct Process {
    pub(crate) id: Identity,
    pub(crate) parent: i32,
    pub(crate) session: i32,
    /// It has a controlling terminal.
    pub(crate) terminal: bool,
    /// Dead, and not yet reaped by its parent.
    pub(crate) zombie: bool,
    /// Stopped, by a signal or by a debugger.
    pub(crate) stopped: bool,
}

/// Where and since when a run has worked.
#[derive(Debug)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "there is no such table"))]
pub(crate) struct Ground {
    /// The agent's folder, as the system calls it.
    pub(crate) folder: PathBuf,
    /// When the host started, as in [`Identity::start`].
    pub(crate) since: u64,
}

impl Ground {
    pub(crate) fn new(folder: &Path, since: u64) -> Self {
        // One that was deleted has no other name any more.
        Self { folder: folder.canonicalize().unwrap_or_else(|_| folder.to_owned()), since }
    }
}

/// What came in since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Signalled {
    /// A child changed its state.
    pub(crate) child: bool,
    /// The system asks the host to end.
    pub(crate) shutdown: bool,
}

/// Puts this process in a session of its own, unless it leads one.
pub(crate) fn own_session() {
    // The only error says that this process leads a process group; then its starter has seen to it.
    let _ = nix::unistd::setsid();
}

/// Makes the command start in a session of its own, with no signal blocked or ignored, and where the system can do so, die with
/// this process.
#[allow(unsafe_code)]
pub(crate) fn shield(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    let host = nix::unistd::getpid();
    // SAFETY: the closure runs between fork and exec in a process with one thread; it allocates nothing and makes only
    // the async-signal-safe calls setsid(2), sigprocmask(2), sigaction(2), prctl(2) and getppid(2).
    unsafe {
        command.pre_exec(move || {
            nix::unistd::setsid()?;
            SigSet::empty().thread_set_mask()?;
            // A daemon that a script put into the background ignores interrupts, and what a shell finds ignored it can
            // never hear.
            for signal in [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGHUP, Signal::SIGTERM] {
                nix::sys::signal::signal(signal, SigHandler::SigDfl)?;
            }
            die_with_parent()?;
            // A host that was killed before the line above can send no signal any more.
            if nix::unistd::getppid() != host {
                return Err(std::io::Error::from(nix::errno::Errno::ESRCH));
            }
            Ok(())
        });
    }
}

/// Where signals arrive, as something to poll.
impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd()
    }
}
