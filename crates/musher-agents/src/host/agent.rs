//! The agent's process: its start, what it reads, what it says.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::fcntl::{FcntlArg, OFlag, fcntl};

use super::line::{Line, Lines};
use super::record::{StartFailure, Stream};
use super::spec::HostSpec;
use crate::sys::{self, Identity};

/// How much is read from one stream before the others get their turn, in bytes.
const TURN_BYTES: usize = 1 << 20;

/// How much input may wait for an agent that does not read, in bytes.
const MAX_WAITING_INPUT: usize = 16 << 20;

/// An agent that was started.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) id: Identity,
    pub(super) input: Input,
    pub(super) outputs: [Output; 2],
}

/// Starts the agent in a session of its own.
pub(super) fn start(
    spec: &HostSpec,
    env: &BTreeMap<String, String>,
    first: Vec<u8>,
) -> Result<Agent, (StartFailure, String)> {
    if let Err(error) = fs::read_dir(&spec.cwd) {
        return Err((StartFailure::Folder, format!("`{}`: {error}", spec.cwd.display())));
    }
    let program = spec.argv.first().map(String::as_str).unwrap_or_default();
    let mut command = Command::new(program);
    command.args(spec.argv.iter().skip(1)).current_dir(&spec.cwd).env_clear().envs(env);
    command.env("PWD", &spec.cwd).env(super::MARKER, &spec.run);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    sys::shield(&mut command);
    let mut child = command.spawn().map_err(|error| (sort(&error, program, env), format!("`{program}`: {error}")))?;
    adopt(&mut child, spec, first).map_err(|error| {
        // What cannot be listened to must not run.
        let _ = child.kill().and_then(|()| child.wait());
        (StartFailure::Other, error.to_string())
    })
}

/// Takes hold of a child that was just started.
fn adopt(child: &mut Child, spec: &HostSpec, first: Vec<u8>) -> io::Result<Agent> {
    let pid = child.id() as i32;
    Ok(Agent {
        // It has not been reaped, so this is the agent; one that has ended already needs no start time any more.
        id: sys::identity(pid).unwrap_or(Identity { pid, start: 0 }),
        outputs: [
            Output::new(Stream::Stdout, child.stdout.take().map(OwnedFd::from), spec)?,
            Output::new(Stream::Stderr, child.stderr.take().map(OwnedFd::from), spec)?,
        ],
        input: Input::new(child.stdin.take().map(OwnedFd::from), first, spec.keep_stdin)?,
    })
}

fn sort(error: &io::Error, program: &str, env: &BTreeMap<String, String>) -> StartFailure {
    match error.kind() {
        ErrorKind::NotFound => StartFailure::Missing,
        // The system also says so of a program that is nowhere, if a folder of the PATH may not be looked into.
        ErrorKind::PermissionDenied if !program.contains('/') && !on_path(program, env) => StartFailure::Missing,
        ErrorKind::PermissionDenied => StartFailure::NotExecutable,
        ErrorKind::ArgumentListTooLong => StartFailure::TooLong,
        _ => StartFailure::Other,
    }
}

fn on_path(program: &str, env: &BTreeMap<String, String>) -> bool {
    env.get("PATH").is_some_and(|path| std::env::split_paths(path).any(|folder| folder.join(program).exists()))
}

/// What the agent has still to read. Writing never waits: an agent may read late, or never.
#[derive(Debug)]
pub(super) struct Input {
    pipe: Option<File>,
    waiting: Vec<u8>,
    written: usize,
    keep: bool,
}

/// Input that was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InputRefused {
    #[error("the agent's input is closed")]
    Closed,
    #[error("the agent does not read; {MAX_WAITING_INPUT} bytes are waiting for it")]
    Full,
}

impl Input {
    fn new(pipe: Option<OwnedFd>, first: Vec<u8>, keep: bool) -> io::Result<Self> {
        let pipe = unblock(pipe)?;
        let mut input = Self { pipe, waiting: first, written: 0, keep };
        input.pump();
        Ok(input)
    }

    /// The pipe, while there is something to write to it.
    pub(super) fn wants(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().filter(|_| self.written < self.waiting.len()).map(AsFd::as_fd)
    }

    /// Takes more input, to be written when the agent reads.
    pub(super) fn push(&mut self, text: &[u8]) -> Result<(), InputRefused> {
        if self.pipe.is_none() || !self.keep {
            return Err(InputRefused::Closed);
        }
        if self.waiting.len() - self.written + text.len() > MAX_WAITING_INPUT {
            return Err(InputRefused::Full);
        }
        self.waiting.drain(..self.written);
        self.written = 0;
        self.waiting.extend_from_slice(text);
        self.pump();
        Ok(())
    }

    /// Takes no more; the agent reads the end once it has read what waits.
    pub(super) fn finish(&mut self) {
        self.keep = false;
        self.pump();
    }

    /// Drops the pipe and what waits.
    pub(super) fn close(&mut self) {
        self.pipe = None;
        self.waiting = Vec::new();
        self.written = 0;
    }

    /// Writes what the pipe takes at once.
    pub(super) fn pump(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        while self.written < self.waiting.len() {
            match pipe.write(&self.waiting[self.written..]) {
                Ok(more) => self.written += more,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The agent closed its end: that is its own affair.
                Err(_) => return self.close(),
            }
        }
        if self.keep {
            self.waiting.clear();
            self.written = 0;
        } else {
            self.close();
        }
    }
}

/// One of the agent's two streams.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) stream: Stream,
    pipe: Option<File>,
    lines: Lines,
}

impl Output {
    fn new(stream: Stream, pipe: Option<OwnedFd>, spec: &HostSpec) -> io::Result<Self> {
        let limit = usize::try_from(spec.max_line_bytes).unwrap_or(usize::MAX);
        Ok(Self { stream, pipe: unblock(pipe)?, lines: Lines::new(limit) })
    }

    /// The pipe, while it may bring more.
    pub(super) fn wants(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// Reads what is there, at most a turn's worth, and tells how many bytes that was.
    pub(super) fn read(&mut self, buffer: &mut [u8], mut emit: impl FnMut(Stream, Line<'_>)) -> usize {
        let stream = self.stream;
        let mut total = 0;
        while let Some(pipe) = self.pipe.as_mut().filter(|_| total < TURN_BYTES) {
            match pipe.read(buffer) {
                Ok(0) => self.pipe = None,
                Ok(more) => {
                    total += more;
                    self.lines.push(&buffer[..more], |line| emit(stream, line));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.pipe = None,
            }
        }
        total
    }

    /// Hands out a last line that has no end.
    pub(super) fn finish(&mut self, mut emit: impl FnMut(Stream, Line<'_>)) {
        let stream = self.stream;
        self.lines.finish(|line| emit(stream, line));
    }
}

fn unblock(pipe: Option<OwnedFd>) -> io::Result<Option<File>> {
    let Some(pipe) = pipe else { return Ok(None) };
    let flags = OFlag::from_bits_truncate(fcntl(&pipe, FcntlArg::F_GETFL)?);
    fcntl(&pipe, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    Ok(Some(File::from(pipe)))
}

/// Reads what the agent is given first.
pub(super) fn first_input(path: &Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Ok(bytes) => Ok(bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
