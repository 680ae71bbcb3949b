//! From an empty process to a running agent.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::agent;
use super::control::Control;
use super::file::{Durable, is_no_room, read_json, write_json};
use super::mask::Masks;
use super::names;
use super::record::{ExitRecord, HostRecord, Reason, StartFailure, stamp};
use super::run::Run;
use super::spec::{HostSpec, InvalidSpec, Secret};
use super::spool::Spool;
use crate::sys::{self, Identity, Signals};

/// The exit code of a host whose folder is, or was, another host's.
pub const USED: i32 = 3;

/// The exit code of a host that found no room on the disk to begin.
pub const NO_ROOM: i32 = 4;

/// Why a host gave up. The agent, if there is one, dies with it.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The folder is another host's, or was.
    #[error("the run folder `{}` was used already", .0.display())]
    Used(PathBuf),
    /// There is nothing to run.
    #[error("the run folder has no readable `{file}`")]
    NoSpec {
        /// The file that is missing.
        file: &'static str,
        /// What the system said, if it is there at all.
        #[source]
        source: Option<io::Error>,
    },
    /// What is asked for cannot be run.
    #[error(transparent)]
    Invalid(#[from] InvalidSpec),
    /// The system refused something.
    #[error("cannot {action}")]
    Io {
        /// What the host tried to do.
        action: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

impl HostError {
    /// Says what to do about it.
    pub const fn fix(&self) -> &'static str {
        match self {
            Self::Used(_) => "start the item again: it gets a new run folder",
            Self::NoSpec { .. } => "hosts are started by the daemon, in folders that it has prepared",
            Self::Invalid(problem) => problem.fix(),
            Self::Io { .. } => "see that the disk has room and that the run folder belongs to this user",
        }
    }

    /// The exit code of the process.
    pub fn code(&self) -> i32 {
        match self {
            Self::Used(_) => USED,
            Self::Io { source, .. } if is_no_room(source) => NO_ROOM,
            Self::NoSpec { .. } | Self::Invalid(_) => 2,
            Self::Io { .. } => 1,
        }
    }

    pub(super) const fn io(action: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, source }
    }
}

/// Runs the agent of a run folder to its end and answers the exit code of the process.
///
/// It takes the whole process over (working directory, signals, standard output), so it must be called from the main
/// thread before any other thread is started. Problems of its own go to standard error, which is the folder's log.
pub fn run_host(folder: &Path) -> i32 {
    match host(folder) {
        Ok(()) => 0,
        Err(error) => {
            super::complain(&format!("error: {error}"));
            let mut cause = std::error::Error::source(&error);
            while let Some(why) = cause {
                super::complain(&format!("  why: {why}"));
                cause = why.source();
            }
            super::complain(&format!("  fix: {}", error.fix()));
            error.code()
        }
    }
}

fn host(folder: &Path) -> Result<(), HostError> {
    sys::own_session();
    std::env::set_current_dir(folder).map_err(HostError::io("enter the run folder"))?;
    let _lock = lock(folder)?;
    let (spec, secret) = read_spec()?;
    spec.check()?;
    sys::become_reaper().map_err(HostError::io("become the parent of orphans"))?;
    let signals = Signals::open().map_err(HostError::io("wait for signals"))?;
    let control = Control::bind(names::SOCKET).map_err(HostError::io("listen on its socket"))?;
    let spool = spool(&spec, &secret).map_err(HostError::io("make the file of output"))?;
    let input = agent::first_input(Path::new(names::STDIN)).map_err(HostError::io("read the agent's input"))?;
    let mut record = claim()?;
    let started_at = stamp();
    match agent::start(&spec, &secret.env, input) {
        Ok(agent) => {
            record.agent = Some(agent.id);
            write_json(Path::new(names::HOST), &record, Durable::No).map_err(HostError::io("record the agent"))?;
            ready();
            // A host waits for most of its life, and needs little of the program for that.
            sys::forget_the_start();
            Run::new(spec, started_at, agent, signals, control, spool).finish()
        }
        Err((failure, message)) => not_started(&spec, started_at, failure, message),
    }
}

/// Makes this the folder's only host, for ever.
fn lock(folder: &Path) -> Result<Flock<File>, HostError> {
    let file = open_lock(Path::new(names::LOCK)).map_err(HostError::io("open its lock"))?;
    let used = || HostError::Used(folder.to_owned());
    let lock = take(file).map_err(HostError::io("take its lock"))?.ok_or_else(used)?;
    if Path::new(names::EXIT).exists() || Path::new(names::HOST).exists() {
        return Err(used());
    }
    Ok(lock)
}

/// Opens the lock of a run folder.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Takes the lock of a run folder; none if another process has it.
pub(crate) fn take(file: File) -> io::Result<Option<Flock<File>>> {
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(Some(lock)),
        Err((_, Errno::EWOULDBLOCK)) => Ok(None),
        Err((_, error)) => Err(error.into()),
    }
}

fn read_spec() -> Result<(HostSpec, Secret), HostError> {
    Ok((need(names::SPEC)?, need(names::SECRET)?))
}

fn need<T: serde::de::DeserializeOwned>(file: &'static str) -> Result<T, HostError> {
    match read_json(Path::new(file)) {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(HostError::NoSpec { file, source: None }),
        Err(error) => Err(HostError::NoSpec { file, source: Some(error) }),
    }
}

fn spool(spec: &HostSpec, secret: &Secret) -> io::Result<Spool> {
    // A host that died before it claimed the folder may have left one, empty.
    match fs::remove_file(names::OUTPUT) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let max_line = usize::try_from(spec.max_line_bytes).unwrap_or(usize::MAX);
    Spool::create(Path::new(names::OUTPUT), Masks::new(&secret.masks), max_line, spec.max_output_bytes)
}

/// Writes down that this folder is used, before anything is started, so that nothing is ever started twice. Only then
/// can the secrets go.
fn claim() -> Result<HostRecord, HostError> {
    let pid = std::process::id() as i32;
    let host = sys::identity(pid).unwrap_or(Identity { pid, start: 0 });
    let record = HostRecord { host, agent: None, boot_id: sys::boot_id(), started_at: stamp() };
    write_json(Path::new(names::HOST), &record, Durable::Yes).map_err(HostError::io("claim the run folder"))?;
    fs::remove_file(names::SECRET).map_err(HostError::io("remove the secrets"))?;
    Ok(record)
}

/// Closes the pipe on which the daemon waits for the host's start.
fn ready() {
    // Without it the daemon waits for the host's end, which comes too.
    if let Ok(null) = OpenOptions::new().write(true).open("/dev/null") {
        let _ = nix::unistd::dup2_stdout(&null);
    }
}

fn not_started(spec: &HostSpec, started_at: String, failure: StartFailure, message: String) -> Result<(), HostError> {
    let exit = ExitRecord::without_agent(spec.run.clone(), Reason::NotStarted { failure, message }, started_at);
    write_json(Path::new(names::EXIT), &exit, Durable::Yes).map_err(HostError::io("write how it ended"))?;
    let _ = fs::remove_file(names::SOCKET);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_has_an_exit_code_of_its_own() {
        let code = |kind: io::ErrorKind| HostError::io("claim the run folder")(kind.into()).code();
        assert_eq!(code(io::ErrorKind::StorageFull), NO_ROOM);
        assert_eq!(code(io::ErrorKind::QuotaExceeded), NO_ROOM);
        assert_eq!(code(io::ErrorKind::PermissionDenied), 1);
    }
}
