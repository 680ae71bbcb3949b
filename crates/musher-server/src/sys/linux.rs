//! Linux: `/proc` knows every process, its parent, its environment, and whose a connection is.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::unistd::Uid;

use crate::caller::Scope;

/// Whether it is known which run a caller belongs to.
pub(super) const KNOWS_RUNS: bool = true;

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
        None => Scope::worker("the kernel does not say which process calls"),
    }
}

fn of_process(peer: i32, runs: &Path) -> Scope {
    let Some(mut parent) = parent_of(peer) else {
        // Gone before it could be looked at: a person's program waits for its answer.
        return Scope::worker("the calling process has gone");
    };
    let mut pid = peer;
    for _ in 0..DEPTH {
        if let Some(run) = run_of(pid, runs) {
            let why = format!("process {peer} belongs to `{run}`, which an agent or a gate runs in");
            return Scope::Worker { run: run.parse().ok(), why };
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
                None => return Scope::worker("the calling process has gone"),
            },
        }
    }
    Scope::worker("its line of ancestors has no end")
}

/// The parent of a process.
fn parent_of(pid: i32) -> Option<i32> {
    stat_of(pid, 1)?.parse().ok()
}

pub(super) fn is_stopped(pid: i32) -> bool {
    // By a signal, or by a debugger.
    stat_of(pid, 0).is_some_and(|state| state == "T" || state == "t")
}

/// A field of a process, counted from 0 behind its name, which may hold anything but ends with the last `)`.
fn stat_of(pid: i32, field: usize) -> Option<String> {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    rest.split_ascii_whitespace().nth(field).map(str::to_owned)
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

pub(super) fn scope_over_tcp(peer: SocketAddr, own: SocketAddr, runs: &Path) -> Scope {
    let Some((uid, inode)) = connection(peer, own) else {
        // Nobody of this machine is at the other end.
        return Scope::Operator;
    };
    let holders = holders(inode);
    let workers = holders.iter().map(|pid| of_process(*pid, runs));
    if let Some(worker) = workers.into_iter().find(|scope| *scope != Scope::Operator) {
        return worker;
    }
    if holders.is_empty() && uid == Uid::effective().as_raw() {
        return Scope::worker("the calling process has gone");
    }
    Scope::Operator
}

/// The user and the inode of the other end of a connection, if it is on this machine.
fn connection(peer: SocketAddr, own: SocketAddr) -> Option<(u32, u64)> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| std::fs::read_to_string(table).unwrap_or_default());
    tables.iter().flat_map(|table| table.lines().skip(1)).find_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let is_it = same(address(fields.get(1)?)?, peer) && same(address(fields.get(2)?)?, own);
        is_it.then_some((fields.get(7)?.parse().ok()?, fields.get(9)?.parse().ok()?))
    })
}

fn same(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port() && one.ip().to_canonical() == other.ip().to_canonical()
}

/// An address as `/proc/net` has it: words of 32 bits in this machine's order, in hexadecimal, then the port.
fn address(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(host.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip: IpAddr = match host.len() {
        8 => word(0)?.into(),
        32 => {
            let mut bytes = [0u8; 16];
            for (at, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(at * 8)?);
            }
            bytes.into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// The processes that have the socket of this inode open, as far as we may look.
fn holders(inode: u64) -> Vec<i32> {
    let wanted = format!("socket:[{inode}]");
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let Ok(files) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        files.flatten().any(|file| std::fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == wanted.as_str()))
    })
    .collect()
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
        assert!(matches!(scope(None, folder.path()), Scope::Worker { .. }));
        assert!(matches!(scope(Some(0), folder.path()), Scope::Worker { .. }));
        assert!(matches!(scope(Some(i32::MAX), folder.path()), Scope::Worker { .. }));
        let own = i32::try_from(std::process::id()).unwrap();
        assert_eq!(scope(Some(own), folder.path()), Scope::Operator);
    }

    #[test]
    fn the_process_at_the_other_end_of_a_connection_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (peer, own) = (stream.local_addr().unwrap(), stream.peer_addr().unwrap());
        let (uid, inode) = connection(peer, own).unwrap();
        assert_eq!(uid, Uid::effective().as_raw());
        assert!(holders(inode).contains(&i32::try_from(std::process::id()).unwrap()));
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(scope_over_tcp(peer, own, folder.path()), Scope::Operator);
        assert_eq!(connection(own, "127.0.0.1:1".parse().unwrap()), None);
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        assert_eq!(address("0100007F:1E6B"), Some("127.0.0.1:7787".parse().unwrap()));
        assert_eq!(address("00000000000000000000000001000000:1E6B"), Some("[::1]:7787".parse().unwrap()));
        assert!(same(address("0000000000000000FFFF00000100007F:0050").unwrap(), "127.0.0.1:80".parse().unwrap()));
        for bad in ["", "0100007F", "01:50", "0100007G:50"] {
            assert_eq!(address(bad), None, "{bad}");
        }
    }
}
