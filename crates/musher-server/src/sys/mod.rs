//! What only the operating system knows: who is at the other end of a socket, and short names for long paths.
//!
//! Linux tells the process at the other end and its ancestors. Elsewhere only its user is known: there a caller inside
//! of an agent's process tree cannot be told from its owner, and nothing but the agent's sandbox keeps it from the
//! socket.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};

use crate::caller::{Caller, Scope};

#[cfg(target_os = "linux")]
#[path = "linux.rs"]
mod imp;
#[cfg(not(target_os = "linux"))]
#[path = "other.rs"]
mod imp;

/// Whether it is known which run a caller belongs to.
pub(crate) const KNOWS_RUNS: bool = imp::KNOWS_RUNS;

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

/// Whether a process is stopped by a signal or a debugger, as far as that can be told.
pub(crate) fn is_stopped(pid: i32) -> bool {
    imp::is_stopped(pid)
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

/// What whoever connected over TCP may do, the token apart: a process of this machine is looked at like one at the
/// socket. `peer` is its end of the connection and `own` is ours. Reads much of `/proc`: not for a thread that must not
/// wait.
pub(crate) fn scope_over_tcp(peer: SocketAddr, own: SocketAddr, runs: &Path) -> Scope {
    imp::scope_over_tcp(peer, own, runs)
}
