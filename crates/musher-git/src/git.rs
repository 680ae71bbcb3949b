//! Calls the git program: a clean environment, no prompt, a deadline, and an answer as bytes.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::names::ObjectId;

/// How long any one git may take: a first checkout of a big repository through a filter is the slowest honest case.
pub(crate) const DEADLINE: Duration = Duration::from_secs(600);
/// How long both answers may be silent before git is looked at: it may have ended and left an heir to its pipes.
pub(crate) const GRACE: Duration = Duration::from_secs(1);
/// How many bytes of an answer are read before the call is ended: nothing that is asked for here is this long.
pub(crate) const MAX_ANSWER: usize = 256 << 20;
/// How many bytes of git's complaint are kept.
pub(crate) const MAX_SAID: usize = 4_000;

/// A call of git that did not give what it was made for.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The program could not be started.
    #[error("git cannot be started")]
    Missing(#[source] io::Error),
    /// git ended with a failure.
    #[error("`git {command}` failed: {said}")]
    Failed {
        /// The subcommand.
        command: String,
        /// The exit status, none if a signal ended it.
        status: Option<i32>,
        /// The end of what git wrote, at most 4,000 bytes.
        said: String,
    },
    /// git had not ended after 600 s and was killed with its process group.
    #[error("`git {command}` did not end within {seconds} s")]
    TimedOut {
        /// The subcommand.
        command: String,
        /// The deadline in seconds.
        seconds: u64,
    },
    /// git answered something that cannot be read, or too much of it.
    #[error("`git {command}` gave an answer that cannot be used: {what}")]
    Unreadable {
        /// The subcommand.
        command: String,
        /// What is wrong with it.
        what: String,
    },
    /// A file that belongs to the repository or a worktree could not be read or changed.
    #[error("cannot {doing} `{}`", path.display())]
    File {
        /// The verb, such as `read`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The branch that is merged into is not there.
    #[error("there is no branch `{0}`: it was deleted or renamed")]
    NoBranch(crate::names::BranchName),
    /// A name that git would refuse or misread.
    #[error(transparent)]
    Name(#[from] crate::names::BadName),
}

impl GitError {
    /// Says how to fix it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Missing(_) => "install git 2.38 or newer and see that it is in PATH",
            Self::Failed { .. } => {
                "read what git said; running the same command by hand in the repository shows the cause"
            }
            Self::TimedOut { .. } => {
                "see whether a filter, a hook or a network disk hangs, then let the step be repeated"
            }
            Self::Unreadable { .. } => "see that `git` in PATH is git itself and not a wrapper that prints more",
            Self::File { .. } => "see that the disk is not full and that the folder belongs to the user musher runs as",
            Self::NoBranch(_) => {
                "make it again where it was (`git branch NAME COMMIT`); `musher events --kind merge_done` names the commits"
            }
            Self::Name(_) => "use a name that `git check-ref-format --branch` accepts",
        }
    }
}

/// Names the file in an I/O error.
pub(crate) fn file_error<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> GitError + 'a {
    move |source| GitError::File { doing, path: path.to_owned(), source }
}

/// Where and how git is called. Cheap to clone; holds no process.
#[derive(Debug, Clone)]
pub(crate) struct Git {
    folder: PathBuf,
    env: Vec<(OsString, OsString)>,
    global: Vec<OsString>,
    life: Life,
}

/// What git answered.
#[derive(Debug)]
pub(crate) struct Answer {
    command: String,
    status: ExitStatus,
    pub(crate) out: Vec<u8>,
    err: Vec<u8>,
}

impl Git {
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), env: Vec::new(), global: Vec::new(), life: Life::Own }
    }

    /// The same git with one more variable in its environment.
    pub(crate) fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((key.into(), value.as_ref().to_owned()));
        self
    }

    /// The same git with an option before the subcommand.
    pub(crate) fn global(mut self, option: impl AsRef<OsStr>) -> Self {
        self.global.push(option.as_ref().to_owned());
        self
    }

    /// The same git, but it dies when musher does: for our own worktrees, which are put right after a crash.
    pub(crate) fn tied(mut self) -> Self {
        self.life = Life::Ours;
        self
    }

    /// Starts a call.
    pub(crate) fn call<I, S>(&self, args: I) -> Call
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let args: Vec<OsString> = args.into_iter().map(|a| a.as_ref().to_owned()).collect();
        Call {
            git: self.clone(),
            args,
            input: Vec::new(),
            stdin: None,
            hooks: Hooks::Off,
            locks: OptionalLocks::Off,
            terminal: Terminal::Kept,
        }
    }
}

/// Whether the user's hooks run. Off nearly everywhere: a hook may hang, ask or refuse, and what it would check is the
/// gate's business. On where the user's own checkout advances (`post-merge`) and on a push (`pre-push`, which Git LFS needs).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hooks {
    On,
    Off,
}

/// Whether a reading command may refresh the index on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OptionalLocks {
    On,
    Off,
}

/// Whether a git outlives a musher that is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Own,
    Ours,
}

/// Whether the call stays in our session, where a program could find the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Terminal {
    Kept,
    Gone,
}

/// One call of git before it is run.
#[derive(Debug)]
pub(crate) struct Call {
    git: Git,
    args: Vec<OsString>,
    input: Vec<u8>,
    stdin: Option<File>,
    hooks: Hooks,
    locks: OptionalLocks,
    terminal: Terminal,
}

impl Call {
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub(crate) fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Bytes for its standard input; without them it reads nothing.
    pub(crate) fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = bytes.into();
        self
    }

    /// An open file as standard input, for the sake of the lock that lives as long as it is open.
    pub(crate) fn stdin(mut self, file: File) -> Self {
        self.stdin = Some(file);
        self
    }

    /// Says that it writes nothing: it may outlive a musher that is killed. What dies with musher has to be forked, which
    /// copies the tables of musher's memory; what does not is started at a fraction of that.
    pub(crate) fn reads(mut self) -> Self {
        self.git.life = Life::Own;
        self
    }

    /// Lets the user's hooks run.
    pub(crate) fn with_hooks(mut self) -> Self {
        self.hooks = Hooks::On;
        self
    }

    /// Lets a reading command write the refreshed index: only in worktrees of our own.
    pub(crate) fn with_locks(mut self) -> Self {
        self.locks = OptionalLocks::On;
        self
    }

    /// Starts it where no terminal can be asked for a password.
    pub(crate) fn without_terminal(mut self) -> Self {
        self.terminal = Terminal::Gone;
        self
    }

    /// Runs it and wants success.
    pub(crate) fn ok(self) -> Result<Answer, GitError> {
        let answer = self.run()?;
        if answer.success() { Ok(answer) } else { Err(answer.failure()) }
    }

    /// Runs it; any exit status is an answer.
    pub(crate) fn run(mut self) -> Result<Answer, GitError> {
        let name = self.name();
        let input = std::mem::take(&mut self.input);
        let stdin = match self.stdin.take() {
            Some(file) => Stdio::from(file),
            None if input.is_empty() => Stdio::null(),
            None => Stdio::piped(),
        };
        let mut child = self.start(stdin)?;
        let read = exchange(&mut child, &input, Instant::now() + DEADLINE);
        if !matches!(read, Ok(Exchange::Done { .. })) {
            kill_group(&child);
        }
        let status = child.wait().map_err(GitError::Missing)?;
        match read {
            Ok(Exchange::Done { out, err }) => Ok(Answer { command: name, status, out, err }),
            Ok(Exchange::TooLate) => Err(GitError::TimedOut { command: name, seconds: DEADLINE.as_secs() }),
            Ok(Exchange::TooMuch) => {
                Err(GitError::Unreadable { command: name, what: format!("more than {MAX_ANSWER} bytes") })
            }
            Err(e) => Err(GitError::Unreadable { command: name, what: e.to_string() }),
        }
    }

    /// The subcommand.
    pub(crate) fn name(&self) -> String {
        self.args.first().map(|a| a.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Starts it; both its answers are pipes.
    pub(crate) fn start(&self, stdin: Stdio) -> Result<Child, GitError> {
        let mut command = self.command();
        // SSH and credential helpers reach for /dev/tty; everything else only has to be out of Ctrl-C's way.
        match self.terminal {
            Terminal::Gone => crate::sys::without_terminal(&mut command),
            Terminal::Kept => {
                command.process_group(0);
            }
        }
        if self.git.life == Life::Ours {
            crate::sys::die_with_us(&mut command);
        }
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(GitError::Missing)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("git");
        command.current_dir(&self.git.folder);
        for (key, _) in std::env::vars_os() {
            if key.as_encoded_bytes().starts_with(b"GIT_") {
                command.env_remove(&key);
            }
        }
        command
            .env("GIT_EDITOR", "true")
            .env("GIT_SEQUENCE_EDITOR", "true")
            .env("GIT_PAGER", "cat")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "")
            .env("SSH_ASKPASS_REQUIRE", "never")
            .env("LC_ALL", "C")
            .env("GIT_OPTIONAL_LOCKS", if self.locks == OptionalLocks::On { "1" } else { "0" });
        command.envs(self.git.env.iter().map(|(k, v)| (k, v)));
        // A file-system monitor is a program named by the repository's own configuration, which an agent can write.
        for setting in SETTINGS {
            command.arg("-c").arg(setting);
        }
        if self.hooks == Hooks::Off {
            command.arg("-c").arg("core.hooksPath=/dev/null");
        }
        command.args(&self.git.global).args(&self.args);
        command
    }
}

/// Settings that hold in every call, whatever the user's configuration says.
const SETTINGS: [&str; 11] = [
    "core.quotePath=false",
    "core.fsmonitor=false",
    "core.safecrlf=false",
    "commit.gpgSign=false",
    "i18n.commitEncoding=UTF-8",
    "i18n.logOutputEncoding=UTF-8",
    "merge.conflictStyle=merge",
    "rerere.enabled=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "advice.detachedHead=false",
];

enum Exchange {
    Done { out: Vec<u8>, err: Vec<u8> },
    TooLate,
    TooMuch,
}

/// Writes the input and reads both answers at once, so that no full pipe stops either side.
fn exchange(child: &mut Child, input: &[u8], deadline: Instant) -> io::Result<Exchange> {
    let mut stdin = child.stdin.take();
    if let Some(pipe) = &stdin {
        never_blocks(pipe)?;
    }
    let mut stdout = child.stdout.take();
    let mut stderr = child.stderr.take();
    let (mut out, mut err, mut sent) = (Vec::new(), Vec::new(), 0);
    while stdout.is_some() || stderr.is_some() || stdin.is_some() {
        let Some(left) = deadline.checked_duration_since(Instant::now()) else { return Ok(Exchange::TooLate) };
        let ready = ready(stdin.as_ref(), stdout.as_ref(), stderr.as_ref(), left.min(GRACE))?;
        // A hook may leave a daemon behind that keeps our pipe open; git's own end is what counts.
        if !ready.stdin && !ready.stdout && !ready.stderr && child.try_wait()?.is_some() {
            break;
        }
        if ready.stdin {
            send(&mut stdin, input, &mut sent)?;
        }
        if ready.stdout {
            receive(&mut stdout, &mut out)?;
        }
        if ready.stderr {
            receive(&mut stderr, &mut err)?;
            if err.len() > 8 * MAX_SAID {
                err.drain(..err.len() - MAX_SAID);
            }
        }
        if out.len() > MAX_ANSWER {
            return Ok(Exchange::TooMuch);
        }
    }
    Ok(Exchange::Done { out, err })
}

/// A pipe is "writable" with less room than we have bytes; a blocking write would wait for a git that waits for us.
pub(crate) fn never_blocks(pipe: &impl AsFd) -> io::Result<()> {
    let flags = nix::fcntl::fcntl(pipe, nix::fcntl::FcntlArg::F_GETFL)?;
    let flags = nix::fcntl::OFlag::from_bits_truncate(flags) | nix::fcntl::OFlag::O_NONBLOCK;
    nix::fcntl::fcntl(pipe, nix::fcntl::FcntlArg::F_SETFL(flags))?;
    Ok(())
}

pub(crate) struct Ready {
    pub(crate) stdin: bool,
    pub(crate) stdout: bool,
    stderr: bool,
}

pub(crate) fn ready(
    stdin: Option<&impl AsFd>,
    stdout: Option<&impl AsFd>,
    stderr: Option<&impl AsFd>,
    left: Duration,
) -> io::Result<Ready> {
    let mut fds = Vec::with_capacity(3);
    fds.extend(stdin.map(|f| PollFd::new(f.as_fd(), PollFlags::POLLOUT)));
    fds.extend(stdout.map(|f| PollFd::new(f.as_fd(), PollFlags::POLLIN)));
    fds.extend(stderr.map(|f| PollFd::new(f.as_fd(), PollFlags::POLLIN)));
    let timeout = PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX);
    match poll(&mut fds, timeout) {
        Ok(_) | Err(nix::Error::EINTR) => {}
        Err(e) => return Err(e.into()),
    }
    let mut any = fds.iter().map(|fd| fd.any().unwrap_or(true));
    let mut next = |present: bool| present && any.next().unwrap_or(false);
    Ok(Ready { stdin: next(stdin.is_some()), stdout: next(stdout.is_some()), stderr: next(stderr.is_some()) })
}

fn send(pipe: &mut Option<impl Write>, input: &[u8], sent: &mut usize) -> io::Result<()> {
    let Some(open) = pipe else { return Ok(()) };
    match open.write(&input[*sent..]) {
        Ok(n) => *sent += n,
        Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
        // git may end without reading everything; its status says whether that was well.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => *sent = input.len(),
        Err(e) => return Err(e),
    }
    if *sent == input.len() {
        *pipe = None;
    }
    Ok(())
}

pub(crate) fn receive(pipe: &mut Option<impl Read>, into: &mut Vec<u8>) -> io::Result<()> {
    let Some(open) = pipe else { return Ok(()) };
    let mut buffer = [0_u8; 65_536];
    match open.read(&mut buffer) {
        Ok(0) => *pipe = None,
        Ok(n) => into.extend_from_slice(&buffer[..n]),
        Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
        Err(e) => return Err(e),
    }
    Ok(())
}

/// Kills the call's own process group: git, and a filter or transport below it.
pub(crate) fn kill_group(child: &Child) {
    if let Ok(pid) = i32::try_from(child.id()) {
        // It may have ended by itself in this very moment; then there is nothing to kill.
        let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

impl Answer {
    pub(crate) fn success(&self) -> bool {
        self.status.success()
    }

    /// The exit status; a signal's end is none.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The end of what git wrote to standard error, or else to standard output.
    pub(crate) fn said(&self) -> String {
        let bytes = if self.err.iter().all(u8::is_ascii_whitespace) { &self.out } else { &self.err };
        let tail = &bytes[bytes.len().saturating_sub(MAX_SAID)..];
        String::from_utf8_lossy(tail).trim().to_owned()
    }

    pub(crate) fn failure(&self) -> GitError {
        let said = self.said();
        GitError::Failed { command: self.command.clone(), status: self.status.code(), said }
    }

    /// An answer of this kind was not to be expected.
    pub(crate) fn unreadable(&self, what: impl Into<String>) -> GitError {
        GitError::Unreadable { command: self.command.clone(), what: what.into() }
    }

    /// The answer without its final line end, as text.
    pub(crate) fn line(&self) -> String {
        String::from_utf8_lossy(&self.out).trim_end_matches('\n').to_owned()
    }

    /// The answer as one object id.
    pub(crate) fn id(&self) -> Result<ObjectId, GitError> {
        ObjectId::parse(&self.line()).map_err(|_| self.unreadable("no object id"))
    }

    /// The answer as exactly so many object ids, a line each.
    pub(crate) fn ids<const N: usize>(&self) -> Result<[ObjectId; N], GitError> {
        let ids: Result<Vec<_>, _> = self.line().lines().map(ObjectId::parse).collect();
        let ids = ids.map_err(|_| self.unreadable("no object id"))?;
        ids.try_into().map_err(|_| self.unreadable("not as many object ids as asked for"))
    }

    /// The answer's fields, each ended by a NUL.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &[u8]> {
        let body = self.out.strip_suffix(b"\0").unwrap_or(&self.out);
        let empty = body.is_empty();
        body.split(|b| *b == 0).filter(move |_| !empty)
    }
}
