//! What only the operating system knows: who is at the other end of a socket, and short names for long paths.
//!
//! Linux tells the process at the other end and its ancestors. Elsewhere only its user is known: there a caller inside
//! of an agent's process tree cannot be told from its owner, and nothing but the agent's sandbox keeps it from the
//! socket.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};

use crate::caller::{Caller, Scope};

/// The machine's name.
pub(crate) fn node() -> String {
    let kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let named = kernel.or_else(|| std::env::var("HOSTNAME").ok()).map(|name| name.trim().to_owned());
    named.filter(|name| !name.is_empty()).unwrap_or_else(|| "local".to_owned())
}

/// Who a process of this user is. `runs` is the folder of run folders, by which agents of ours are known.
pub(crate) fn caller(uid: u32, pid: Option<i32>, runs: &Path) -> Caller {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    let name = user.map_or_else(|| format!("uid {uid}"), |user| user.name);
    let scope = if uid != Uid::effective().as_raw() && uid != 0 {
        Scope::Stranger(format!("{name} is not its owner"))
    } else {
        imp::scope(pid, runs)
    };
    Caller { name: name.into(), scope }
}

/// A path of a socket that fits into its address (108 bytes), however long the folder's path is. Valid as long as the
/// file beside it is open.
pub(crate) fn socket_address(path: &Path) -> io::Result<(PathBuf, Option<File>)> {
    /// What every system takes.
    const SAFE: usize = 100;
    if path.as_os_str().len() <= SAFE {
        return Ok((path.to_owned(), None));
    }
    imp::through_folder(path)
}

#[cfg(target_os = "linux")]
mod imp {
    use std::ffi::OsStr;
    use std::fs::File;
    use std::io;
    use std::os::fd::AsRawFd;
    use std::os::unix::ffi::OsStrExt;
    use std::path::{Path, PathBuf};

    use crate::caller::Scope;

    /// The longest line of ancestors that is followed.
    const DEPTH: usize = 1_024;

    pub(super) fn through_folder(path: &Path) -> io::Result<(PathBuf, Option<File>)> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        let folder = File::open(folder)?;
        let short = Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(name);
        Ok((short, Some(folder)))
    }

    pub(super) fn scope(pid: Option<i32>, runs: &Path) -> Scope {
        match pid.filter(|pid| *pid > 0) {
            Some(pid) => of_process(pid, runs),
            None => Scope::Worker("the kernel does not say which process calls".to_owned()),
        }
    }

    fn of_process(peer: i32, runs: &Path) -> Scope {
        let Some(mut parent) = parent_of(peer) else {
            // Gone before it could be looked at: a person's program waits for its answer.
            return Scope::Worker("the calling process has gone".to_owned());
        };
        let mut pid = peer;
        for _ in 0..DEPTH {
            if let Some(run) = run_of(pid, runs) {
                return Scope::Worker(format!("process {peer} belongs to `{run}`, which an agent or a gate runs in"));
            }
            if parent <= 0 {
                return Scope::Operator;
            }
            match parent_of(parent) {
                Some(grandparent) => (pid, parent) = (parent, grandparent),
                // An ancestor that is hidden from us is no agent of ours. One that has just gone has left its child to
                // another parent, so that the line goes on there: nobody slips out by ending at the right moment.
                None => match parent_of(pid) {
                    Some(same) if same == parent => return Scope::Operator,
                    Some(other) => parent = other,
                    None => return Scope::Worker("the calling process has gone".to_owned()),
                },
            }
        }
        Scope::Worker("its line of ancestors has no end".to_owned())
    }

    /// The parent of a process: the second field behind the name, which may hold anything but ends with the last `)`.
    fn parent_of(pid: i32) -> Option<i32> {
        let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        let end = stat.iter().rposition(|byte| *byte == b')')?;
        let rest = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
        rest.split_ascii_whitespace().nth(1)?.parse().ok()
    }

    /// The run folder that a process says it belongs to, or that it is the host of, if it is one of ours.
    fn run_of(pid: i32, runs: &Path) -> Option<String> {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let marked = environment.split(|b| *b == 0).find_map(|variable| variable.strip_prefix(b"MUSHER_RUN="));
        if let Some(run) = marked.and_then(|name| ours(name, runs)) {
            return Some(run);
        }
        let arguments = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut arguments = arguments.split(|b| *b == 0).skip(1);
        if arguments.next() != Some(b"run-host") {
            return None;
        }
        let folder = Path::new(OsStr::from_bytes(arguments.next()?));
        ours(folder.file_name()?.as_bytes(), runs)
    }

    /// The name, if it is that of a run folder of this repository. Another daemon's agents are no concern of ours.
    fn ours(name: &[u8], runs: &Path) -> Option<String> {
        let name = std::str::from_utf8(name).ok()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        (!name.is_empty() && name.chars().all(plain) && runs.join(name).is_dir()).then(|| name.to_owned())
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_process_has_its_parent_and_a_missing_one_none() {
            let own = i32::try_from(std::process::id()).unwrap();
            assert_eq!(parent_of(own), i32::try_from(std::os::unix::process::parent_id()).ok());
            assert_eq!(parent_of(i32::MAX), None);
        }

        #[test]
        fn only_names_of_run_folders_count() {
            let folder = tempfile::tempdir().unwrap();
            std::fs::create_dir(folder.path().join("run-1")).unwrap();
            assert_eq!(ours(b"run-1", folder.path()).as_deref(), Some("run-1"));
            for other in [&b""[..], b"run-2", b"..", b".", b"../x", b"\xff"] {
                assert_eq!(ours(other, folder.path()), None);
            }
        }

        #[test]
        fn a_caller_that_cannot_be_looked_at_is_no_operator() {
            let folder = tempfile::tempdir().unwrap();
            assert!(matches!(scope(None, folder.path()), Scope::Worker(_)));
            assert!(matches!(scope(Some(0), folder.path()), Scope::Worker(_)));
            assert!(matches!(scope(Some(i32::MAX), folder.path()), Scope::Worker(_)));
            let own = i32::try_from(std::process::id()).unwrap();
            assert_eq!(scope(Some(own), folder.path()), Scope::Operator);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::fs::File;
    use std::io;
    use std::path::{Path, PathBuf};

    use crate::caller::Scope;

    pub(super) fn through_folder(path: &Path) -> io::Result<(PathBuf, Option<File>)> {
        // The system itself says whether it is too long.
        Ok((path.to_owned(), None))
    }

    pub(super) fn scope(_: Option<i32>, _: &Path) -> Scope {
        Scope::Operator
    }
}
