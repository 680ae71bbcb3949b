//! Systems without `/proc` and pidfds. A host still ends its agent's process group, which it may, because the agent is
//! its child; what left the group is not found.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::io::unix::AsyncFd;

use super::{Ground, Identity, Process, Signalled};

/// There is no subreaper.
pub(crate) fn become_reaper() -> io::Result<()> {
    Ok(())
}

/// There is no such wish.
pub(super) fn die_with_parent() -> io::Result<()> {
    Ok(())
}

/// Nothing is known of mappings.
pub(crate) fn forget_the_start() {}

/// There is no id of a boot.
pub(crate) fn boot_id() -> String {
    String::new()
}

/// Who has this pid now.
pub(crate) fn identity(pid: i32) -> Option<Identity> {
    (pid > 0 && kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH)).then_some(Identity { pid, start: 0 })
}

/// Whether a process with this pid lives.
pub(crate) fn lives(id: Identity) -> bool {
    identity(id.pid).is_some()
}

/// The state of a process is not told: none is held to be stopped.
pub(crate) fn is_stopped(_id: Identity) -> bool {
    false
}

/// The agent's process group, as one.
pub(crate) fn tree(agent: Identity) -> io::Result<Vec<Process>> {
    let group = killpg(Pid::from_raw(agent.pid), None).is_ok();
    let leader = Process { id: agent, parent: 0, session: agent.pid, terminal: false, zombie: false, stopped: false };
    Ok(if group { vec![leader] } else { Vec::new() })
}

/// Without start times nothing can be proved to be the run's.
pub(crate) fn remains(_marker: &str, _agent: Option<Identity>, _ground: &Ground) -> io::Result<Vec<Process>> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "this system does not tell when a process started"))
}

/// The process group of an agent.
#[derive(Debug)]
pub(crate) struct Handle(Identity);

impl Handle {
    /// Takes hold of a process group.
    pub(crate) fn open(id: Identity) -> Option<Self> {
        Some(Self(id))
    }

    /// Sends a signal to the group.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        match killpg(Pid::from_raw(self.0.pid), signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// There is no descriptor of a process.
    pub(crate) fn into_end(self) -> Option<AsyncFd<OwnedFd>> {
        None
    }
}

/// The signals that a host waits for, taken by a thread that writes them down a pipe.
#[derive(Debug)]
pub(crate) struct Signals(UnixStream);

impl Signals {
    /// Blocks the signals in the calling thread, which must be the only one.
    pub(crate) fn open() -> io::Result<Self> {
        let mut mask = SigSet::empty();
        for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            mask.add(signal);
        }
        mask.thread_block()?;
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            use std::io::Write;
            while let Ok(signal) = mask.wait() {
                if (&theirs).write_all(&[signal as i32 as u8]).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self(ours))
    }

    /// Takes what came in.
    pub(crate) fn take(&mut self) -> io::Result<Signalled> {
        use std::io::Read;
        let mut came = Signalled::default();
        let mut byte = [0];
        while matches!(self.0.read(&mut byte), Ok(1)) {
            match Signal::try_from(i32::from(byte[0])) {
                Ok(Signal::SIGCHLD) => came.child = true,
                Ok(Signal::SIGTERM | Signal::SIGINT) => came.shutdown = true,
                Ok(_) | Err(_) => {}
            }
        }
        Ok(came)
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The path as it is: there is no shorter one.
pub(crate) fn short_path(_folder: BorrowedFd<'_>, path: &Path, name: &str) -> PathBuf {
    path.join(name)
}
