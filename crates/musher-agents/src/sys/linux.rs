//! Linux: `/proc`, pidfds, the subreaper.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::{Ground, Identity, Process, Signalled};

/// Makes orphans below this process its children, so that none can leave it.
pub(crate) fn become_reaper() -> io::Result<()> {
    Ok(prctl::set_child_subreaper(true)?)
}

/// Lets the calling process be killed when its parent dies.
pub(super) fn die_with_parent() -> io::Result<()> {
    Ok(prctl::set_pdeathsig(Signal::SIGKILL)?)
}

/// Unmaps the program's own instructions and constants that were needed so far. They are read-only pages of its file, so
/// the next use brings each back from the page cache unchanged; what only the start has needed stays away.
#[allow(unsafe_code)]
pub(crate) fn forget_the_start() {
    let Ok(maps) = fs::read_to_string("/proc/self/maps") else { return };
    let here = forget_the_start as *const () as usize;
    for pages in read_only_pages(&maps, here) {
        // SAFETY: these are private mappings of the program's file that nothing may write to and, being code or what lies
        // before it in the file, nothing has: what they hold is what the file holds, before as after.
        let _ = unsafe { nix::libc::madvise(pages.start as *mut _, pages.len(), nix::libc::MADV_DONTNEED) };
    }
}

/// The mappings of the program's file that never differ from it: its code, and the constants at its beginning. Constants
/// with addresses in them stand behind the code and were written to as the program was loaded.
fn read_only_pages(maps: &str, code: usize) -> Vec<Range<usize>> {
    let line = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (range, rights, offset) = (fields.next()?, fields.next()?.to_owned(), fields.next()?.to_owned());
        let (start, end) = range.split_once('-')?;
        let file = (fields.next()?.to_owned(), fields.next().filter(|inode| *inode != "0")?.to_owned());
        let hex = |number: &str| usize::from_str_radix(number, 16).ok();
        Some((hex(start)?..hex(end)?, rights, hex(&offset)?, file))
    };
    let all: Vec<_> = maps.lines().filter_map(line).collect();
    let Some((.., program)) = all.iter().find(|(pages, ..)| pages.contains(&code)).cloned() else { return Vec::new() };
    let mine = all.into_iter().filter(|(.., file)| *file == program);
    let unchanged = mine.filter(|(_, rights, offset, _)| rights == "r-xp" || (rights == "r--p" && *offset == 0));
    unchanged.map(|(pages, ..)| pages).collect()
}

/// An id that changes with every boot.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}

/// Who has this pid now; none for a free pid and for a zombie.
pub(crate) fn identity(pid: i32) -> Option<Identity> {
    process(pid).filter(|p| !p.zombie).map(|p| p.id)
}

/// Whether this very process lives.
pub(crate) fn lives(id: Identity) -> bool {
    identity(id.pid) == Some(id)
}

/// Whether this very process has been stopped by a signal or by a debugger.
pub(crate) fn is_stopped(id: Identity) -> bool {
    process(id.pid).is_some_and(|p| p.id == id && p.stopped)
}

/// All processes.
pub(crate) fn processes() -> io::Result<Vec<Process>> {
    let mut table = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let Ok(entry) = entry else { continue };
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        table.extend(process(pid));
    }
    Ok(table)
}

/// What still lives below this process. `_agent` is what other systems have to go by.
pub(crate) fn tree(_agent: Identity) -> io::Result<Vec<Process>> {
    let own = nix::unistd::getpid().as_raw();
    Ok(below(&processes()?, &[own]).into_iter().filter(|p| !p.zombie).collect())
}

/// What the environment of a process holds that a person started, at a desk or from afar. No agent gets it unasked.
const PERSONAL: [&str; 9] = [
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "XDG_SESSION_ID",
    "XDG_RUNTIME_DIR",
    "DBUS_SESSION_BUS_ADDRESS",
    "SSH_CONNECTION",
    "TERM_PROGRAM",
    "TMUX",
    "STY",
];

/// The processes that belong to a run whose host died: those marked with it, its agent, its agent's session, strays on
/// its ground, and all below these. Never this process or one that it descends from.
pub(crate) fn remains(marker: &str, agent: Option<Identity>, ground: &Ground) -> io::Result<Vec<Process>> {
    let table = processes()?;
    let above = ancestors(&table, nix::unistd::getpid().as_raw());
    // A session keeps its number from being given away. So its members are the agent's, unless another process leads it.
    let session = agent.filter(|a| table.iter().all(|p| p.id.pid != a.pid || p.id == *a));
    let ours = |p: &&Process| {
        Some(p.id) == agent
            || session.is_some_and(|a| p.session == a.pid && p.id.start >= a.start)
            || marked(p.id.pid, marker)
    };
    let stray = |p: &&Process| is_stray(p, &table, &above) && stands_on(p, ground) && !is_personal(p, &table);
    let mut found: Vec<Process> = table.iter().filter(|p| ours(p) || stray(p)).copied().collect();
    let roots: Vec<i32> = found.iter().map(|p| p.id.pid).collect();
    found.extend(below(&table, &roots));
    found.retain(|p| !p.zombie && !above.contains(&p.id.pid));
    Ok(found)
}

/// A process that cannot be mistaken for another while this is held.
#[derive(Debug)]
pub(crate) struct Handle {
    id: Identity,
    /// None on a kernel without pidfds (before 5.3).
    pidfd: Option<OwnedFd>,
}

impl Handle {
    /// Takes hold of a process; none if it is gone.
    #[allow(unsafe_code)]
    pub(crate) fn open(id: Identity) -> Option<Self> {
        // SAFETY: pidfd_open(2) takes two integers and touches no memory of ours.
        let raw = unsafe { nix::libc::syscall(nix::libc::SYS_pidfd_open, id.pid, 0) };
        let pidfd = match Errno::result(raw) {
            // SAFETY: the kernel just made this descriptor (close-on-exec), and nobody else knows it.
            Ok(raw) => Some(unsafe { OwnedFd::from_raw_fd(raw as i32) }),
            Err(Errno::ESRCH | Errno::EINVAL) => return None,
            Err(_) => None,
        };
        // Only now is it sure that the descriptor is for the process that was meant.
        lives(id).then_some(Self { id, pidfd })
    }

    /// Sends a signal. No error if the process has just gone.
    #[allow(unsafe_code)]
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        let sent = match &self.pidfd {
            Some(pidfd) => {
                use std::os::fd::AsRawFd;
                let none = std::ptr::null::<nix::libc::siginfo_t>();
                // SAFETY: pidfd_send_signal(2) with a descriptor that is open and no siginfo to read.
                let raw = unsafe {
                    nix::libc::syscall(nix::libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal as i32, none, 0)
                };
                Errno::result(raw).map(drop)
            }
            None if lives(self.id) => nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.id.pid), signal),
            None => Ok(()),
        };
        match sent {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Something that becomes readable when the process ends, where there are such.
    #[allow(unsafe_code)]
    pub(crate) fn into_end(self) -> Option<AsyncFd<OwnedFd>> {
        // SAFETY: the descriptor is open, and stays so for as long as what owns it is registered.
        unsafe { AsyncFd::register_with_interest(self.pidfd?, Interest::READABLE) }.ok()
    }
}

/// The signals that a host waits for, blocked and taken from a descriptor.
#[derive(Debug)]
pub(crate) struct Signals(SignalFd);

impl Signals {
    /// Blocks the signals in the calling thread, which must be the only one.
    pub(crate) fn open() -> io::Result<Self> {
        let mut mask = SigSet::empty();
        for signal in [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
            mask.add(signal);
        }
        mask.thread_block()?;
        Ok(Self(SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?))
    }

    /// Takes what came in.
    pub(crate) fn take(&mut self) -> io::Result<Signalled> {
        let mut came = Signalled::default();
        while let Some(info) = self.0.read_signal()? {
            match Signal::try_from(info.ssi_signo as i32) {
                Ok(Signal::SIGCHLD) => came.child = true,
                Ok(Signal::SIGTERM | Signal::SIGINT) => came.shutdown = true,
                // A terminal that goes away is no reason to end.
                Ok(_) | Err(_) => {}
            }
        }
        Ok(came)
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A path to `name` in an open folder that fits into a socket's address, however long the folder's own path is.
pub(crate) fn short_path(folder: BorrowedFd<'_>, _path: &Path, name: &str) -> PathBuf {
    use std::os::fd::AsRawFd;
    PathBuf::from(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()))
}

/// The processes of `table` that are `root`'s children, their children, and so on.
fn below(table: &[Process], roots: &[i32]) -> Vec<Process> {
    let mut found: Vec<Process> = Vec::new();
    let mut parents: std::collections::BTreeSet<i32> = roots.iter().copied().collect();
    loop {
        let before = found.len();
        for process in table {
            if parents.contains(&process.parent) && !parents.contains(&process.id.pid) {
                parents.insert(process.id.pid);
                found.push(*process);
            }
        }
        if found.len() == before {
            return found;
        }
    }
}

/// Whether a process lost its parent in a session of its own: it is below the system's first process, or below one that
/// takes orphans, which can only be one that this process descends from.
fn is_stray(process: &Process, table: &[Process], above: &[i32]) -> bool {
    let adopted = process.parent == 1 || above.iter().skip(1).any(|pid| *pid == process.parent);
    let parent = table.iter().find(|p| p.id.pid == process.parent);
    adopted && parent.is_none_or(|parent| parent.session != process.session)
}

/// Whether a process is younger than the run and stands in the folder in which the run worked.
fn stands_on(process: &Process, ground: &Ground) -> bool {
    // Unreadable means another user's, which no agent of ours can be.
    let Ok(cwd) = fs::read_link(format!("/proc/{}/cwd", process.id.pid)) else { return false };
    let name = cwd.as_os_str().as_bytes();
    // So the system calls a folder that was deleted under a process.
    let name = name.strip_suffix(b" (deleted)").unwrap_or(name);
    process.id.start >= ground.since && Path::new(OsStr::from_bytes(name)).starts_with(&ground.folder)
}

/// Whether a process may be a person's (an editor, a multiplexer, a shell): it or one below it has a terminal, or its
/// environment tells of a person's session. One that is marked with another run is that run's.
fn is_personal(process: &Process, table: &[Process]) -> bool {
    if process.terminal || below(table, &[process.id.pid]).iter().any(|p| p.terminal) {
        return true;
    }
    let Ok(environ) = fs::read(format!("/proc/{}/environ", process.id.pid)) else { return true };
    environ.split(|byte| *byte == 0).filter_map(|variable| variable.split(|byte| *byte == b'=').next()).any(|name| {
        name == crate::host::MARKER.as_bytes() || PERSONAL.iter().any(|personal| name == personal.as_bytes())
    })
}

/// Whether the environment that the process was started with names the run.
fn marked(pid: i32, marker: &str) -> bool {
    // Unreadable means another user's, which no agent of ours can be.
    let Ok(environ) = fs::read(format!("/proc/{pid}/environ")) else { return false };
    environ.split(|byte| *byte == 0).any(|variable| variable == marker.as_bytes())
}

fn ancestors(table: &[Process], of: i32) -> Vec<i32> {
    let mut line = vec![of];
    while let Some(parent) = line.last().and_then(|pid| table.iter().find(|p| p.id.pid == *pid)).map(|p| p.parent) {
        if parent <= 0 || line.contains(&parent) {
            break;
        }
        line.push(parent);
    }
    line
}

fn process(pid: i32) -> Option<Process> {
    parse_stat(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Reads a line of `/proc/<pid>/stat`. The name in it may hold spaces, brackets and bytes that are no text.
fn parse_stat(pid: i32, stat: &[u8]) -> Option<Process> {
    let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
    let fields: Vec<&str> = std::str::from_utf8(stat.get(after_name..)?).ok()?.split_ascii_whitespace().collect();
    Some(Process {
        id: Identity { pid, start: fields.get(19)?.parse().ok()? },
        parent: fields.get(1)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
        terminal: *fields.get(4)? != "0",
        zombie: matches!(*fields.first()?, "Z" | "X" | "x"),
        stopped: matches!(*fields.first()?, "T" | "t"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_may_call_itself_what_it_likes() {
        let stat = b"77 (a) R 1 (\xff) S 5 6 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0";
        let process = parse_stat(77, stat).unwrap();
        assert_eq!((process.parent, process.session, process.id.start, process.zombie), (5, 7, 4242, false));
    }

    #[test]
    fn only_pages_that_never_differ_from_the_programs_file_are_forgotten() {
        let maps = "\
55d000000000-55d000200000 r--p 00000000 fe:00 77 /opt/a musher
55d000200000-55d000e00000 r-xp 001ff000 fe:00 77 /opt/a musher
55d000e00000-55d000e60000 r--p 00dfe000 fe:00 77 /opt/a musher
55d000e60000-55d000e66000 rw-p 00e5d000 fe:00 77 /opt/a musher
55d069000000-55d069021000 rw-p 00000000 00:00 0 [heap]
7f0000000000-7f0000200000 r-xp 00026000 fe:00 78 /usr/lib/libc.so.6
7f0000200000-7f0000201000 r-xp 00000000 00:00 0 [vdso]
";
        let pages = read_only_pages(maps, 0x55d0_0020_1234);
        assert_eq!(pages, [0x55d0_0000_0000..0x55d0_0020_0000, 0x55d0_0020_0000..0x55d0_00e0_0000]);
        assert!(read_only_pages(maps, 0x7f00_0020_0010).is_empty(), "no file");
        assert!(read_only_pages("nonsense\n1-2 r-xp\n", 1).is_empty());
    }

    #[test]
    fn a_process_goes_on_after_it_has_forgotten_its_start() {
        let before = boot_id();
        forget_the_start();
        assert_eq!(boot_id(), before);
    }

    #[test]
    fn this_process_is_known_by_pid_and_start_time() {
        let own = identity(std::process::id() as i32).unwrap();
        assert!(lives(own));
        assert!(!lives(Identity { start: own.start + 1, ..own }));
        assert!(Handle::open(Identity { start: own.start + 1, ..own }).is_none());
    }

    #[test]
    fn the_remains_of_a_run_never_hold_this_process_or_its_ancestors() {
        let own = identity(std::process::id() as i32).unwrap();
        assert!(
            remains("MUSHER_RUN=no-such-run", Some(own), &Ground::new(Path::new("/"), u64::MAX))
                .unwrap()
                .iter()
                .all(|p| p.id != own)
        );
    }

    fn made(pid: i32, parent: i32) -> Process {
        Process { id: Identity { pid, start: 1 }, parent, session: pid, terminal: false, zombie: false, stopped: false }
    }

    #[test]
    fn a_descendant_is_found_in_whatever_order_the_table_lists_it() {
        let table = [made(9, 8), made(8, 7), made(7, 1), made(6, 1), made(5, 9)];
        let mut found: Vec<i32> = below(&table, &[7]).iter().map(|p| p.id.pid).collect();
        found.sort_unstable();
        assert_eq!(found, [5, 8, 9]);
    }

    #[test]
    fn only_an_orphan_in_a_session_of_its_own_is_a_stray() {
        let shell = made(6, 1);
        let table = [made(1, 0), shell, made(7, 6), Process { session: 1, ..made(8, 1) }];
        let strays: Vec<i32> =
            table.iter().filter(|p| is_stray(p, &table, &[99, 98])).map(|process| process.id.pid).collect();
        assert_eq!(strays, [6]);
        assert!(is_stray(&made(9, 98), &table, &[99, 98]) && !is_stray(&made(9, 99), &table, &[99, 98]));
        // A shell is the owner of its terminal, and so is what holds a terminal for others.
        let shell = Process { terminal: true, ..made(11, 10) };
        assert!(is_personal(&shell, &table) && is_personal(&made(10, 1), &[made(10, 1), shell]));
    }

    #[test]
    fn a_table_torn_into_a_circle_ends_the_walk() {
        assert_eq!(below(&[made(2, 3), made(3, 2)], &[2]).len(), 1);
    }
}
