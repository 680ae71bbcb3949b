//! The life of a running agent: one `poll`, and what follows from each thing that it brings.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::agent::Agent;
use super::control::{Control, MAX_KEY, MAX_SAID, Request};
use super::ending::Ending;
use super::file::{Durable, read_json, write_json};
use super::names;
use super::record::{ExitRecord, Reason, Stop, stamp};
use super::spec::HostSpec;
use super::spool::Spool;
use super::start::HostError;
use crate::sys::{self, Signals};

/// How much is read at a time, in bytes.
const BUFFER_BYTES: usize = 64 << 10;

/// How many turns of reading an ended agent's pipe gets.
const LAST_TURNS: usize = 64;

/// How often the end is written to a disk that has no room, a pause apart, before the host gives up.
const EXIT_TRIES: u32 = 600;
/// The pause between two tries.
const EXIT_PAUSE: Duration = Duration::from_secs(1);

/// A running agent and all that its host holds for it.
pub(super) struct Run {
    spec: HostSpec,
    started_at: String,
    agent: Agent,
    signals: Signals,
    control: Control,
    spool: Spool,
    deadline: Option<Instant>,
    /// When the agent said or was told something last.
    heard: Instant,
    ending: Option<Ending>,
    reason: Option<Reason>,
    /// How the agent itself ended: its code or its signal.
    ended: Option<(Option<i32>, Option<i32>)>,
    childless: bool,
    /// A process has ended since the last look at the tree.
    stirred: bool,
    output_bytes: u64,
    /// The keys of what the agent was told.
    said: HashSet<String>,
    buffer: Vec<u8>,
}

/// What a descriptor in the poll belongs to.
#[derive(Clone, Copy, Debug)]
enum Source {
    Signals,
    Listener,
    Input,
    Output(usize),
    Client(usize),
}

impl Run {
    pub(super) fn new(
        spec: HostSpec,
        started_at: String,
        agent: Agent,
        signals: Signals,
        control: Control,
        spool: Spool,
    ) -> Self {
        let now = Instant::now();
        Self {
            deadline: now.checked_add(spec.deadline()),
            spec,
            started_at,
            agent,
            signals,
            control,
            spool,
            heard: now,
            ending: None,
            reason: None,
            ended: None,
            childless: false,
            stirred: false,
            output_bytes: 0,
            said: HashSet::new(),
            buffer: vec![0; BUFFER_BYTES],
        }
    }

    /// Goes on until nothing of the agent is left, then writes down how it ended.
    pub(super) fn finish(mut self) -> Result<(), HostError> {
        while !self.over().map_err(HostError::io("look at the processes"))? {
            self.keep_time(Instant::now()).map_err(HostError::io("end the agent"))?;
            self.control.announce(self.spool.length());
            for (source, events) in self.wait().map_err(HostError::io("wait"))? {
                self.handle(source, events).map_err(HostError::io("look after the agent"))?;
            }
            self.spool.write();
        }
        self.last_words();
        self.write_exit()?;
        self.control.farewell();
        let _ = fs::remove_file(names::SOCKET);
        Ok(())
    }

    /// Whether no process of the run is left.
    fn over(&mut self) -> io::Result<bool> {
        Ok(self.childless && self.ended.is_some() && sys::tree(self.agent.id)?.is_empty())
    }

    /// Ends an agent whose time is up, and goes on with an ending under way.
    fn keep_time(&mut self, now: Instant) -> io::Result<()> {
        if let Some(ending) = &mut self.ending {
            // Walking the process table for every line of output would slow down an agent that says much as it ends.
            let stirred = std::mem::take(&mut self.stirred);
            return if stirred || now >= ending.due() { ending.go_on(now) } else { Ok(()) };
        }
        let silent = self.silent_at();
        if self.deadline.is_some_and(|at| now >= at) {
            self.end(Reason::Deadline, now)
        } else if silent.is_some_and(|at| now >= at) {
            self.end(Reason::Silence, now)
        } else {
            Ok(())
        }
    }

    fn silent_at(&self) -> Option<Instant> {
        self.spec.silence().and_then(|silence| self.heard.checked_add(silence))
    }

    /// Begins to end everything. The first reason is the one that counts.
    fn end(&mut self, reason: Reason, now: Instant) -> io::Result<()> {
        self.reason.get_or_insert(reason);
        match &mut self.ending {
            Some(ending) => ending.hasten(now),
            None => {
                self.ending = Some(Ending::ask(self.agent.id, self.spec.grace(), now)?);
                Ok(())
            }
        }
    }

    fn stop(&mut self, how: Stop, now: Instant) -> io::Result<()> {
        match (how, &self.ending) {
            (Stop::Kill, _) => self.end(Reason::Stopped { how }, now),
            (Stop::Interrupt, Some(_)) => Ok(()),
            (Stop::Interrupt, None) => {
                self.reason.get_or_insert(Reason::Stopped { how });
                self.ending = Some(Ending::interrupt(self.agent.id, self.spec.grace(), now));
                Ok(())
            }
        }
    }

    /// Waits for whatever comes first, for as long as nothing is due.
    fn wait(&self) -> io::Result<Vec<(Source, PollFlags)>> {
        let mut sources = vec![Source::Signals];
        let mut fds = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        let mut add = |source, fd, flags| {
            sources.push(source);
            fds.push(PollFd::new(fd, flags));
        };
        if let Some(fd) = self.control.wants() {
            add(Source::Listener, fd, PollFlags::POLLIN);
        }
        if let Some(fd) = self.agent.input.wants() {
            add(Source::Input, fd, PollFlags::POLLOUT);
        }
        for (at, output) in self.agent.outputs.iter().enumerate() {
            if let Some(fd) = output.wants() {
                add(Source::Output(at), fd, PollFlags::POLLIN);
            }
        }
        for (at, client) in self.control.clients.iter().enumerate() {
            let (fd, reads, writes) = client.wants();
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::POLLIN, reads);
            flags.set(PollFlags::POLLOUT, writes);
            add(Source::Client(at), fd, flags);
        }
        match poll(&mut fds, self.patience(Instant::now())) {
            Ok(_) => {}
            Err(Errno::EINTR) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        }
        let events = fds.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        Ok(sources.into_iter().zip(events).filter(|(_, events)| !events.is_empty()).collect())
    }

    /// How long the host may sleep. Rounded up, so that it never wakes just before the moment.
    fn patience(&self, now: Instant) -> PollTimeout {
        let next = match &self.ending {
            Some(ending) => Some(ending.due()),
            None => [self.deadline, self.silent_at()].into_iter().flatten().min(),
        };
        let Some(next) = next else { return PollTimeout::NONE };
        let millis = next.saturating_duration_since(now).as_micros().div_ceil(1000);
        PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
    }

    fn handle(&mut self, source: Source, events: PollFlags) -> io::Result<()> {
        match source {
            Source::Signals => self.signalled(),
            Source::Listener => {
                self.control.accept();
                Ok(())
            }
            Source::Input => {
                self.agent.input.pump();
                Ok(())
            }
            Source::Output(at) => {
                self.listen(at);
                Ok(())
            }
            Source::Client(at) => self.converse(at, events),
        }
    }

    fn signalled(&mut self) -> io::Result<()> {
        let came = self.signals.take()?;
        if came.child {
            self.stirred = true;
            self.reap()?;
        }
        if came.shutdown {
            self.end(called_off(), Instant::now())?;
        }
        Ok(())
    }

    /// Takes leave of dead children: the agent, and orphans that became the host's.
    fn reap(&mut self) -> io::Result<()> {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(pid, code)) => self.buried(pid, (Some(code), None))?,
                Ok(WaitStatus::Signaled(pid, signal, _)) => self.buried(pid, (None, Some(signal as i32)))?,
                Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => return Ok(()),
                Ok(_) => {}
                Err(Errno::ECHILD) => {
                    self.childless = true;
                    return Ok(());
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn buried(&mut self, pid: Pid, how: (Option<i32>, Option<i32>)) -> io::Result<()> {
        if pid.as_raw() != self.agent.id.pid || self.ended.is_some() {
            return Ok(());
        }
        self.ended = Some(how);
        self.agent.input.close();
        // What it left running ends with it.
        self.end(Reason::Exited, Instant::now())
    }

    /// Reads what the agent says on one of its streams, and tells whether that was anything.
    fn listen(&mut self, at: usize) -> bool {
        let spool = &mut self.spool;
        let read = self.agent.outputs[at].read(&mut self.buffer, |stream, line| spool.take(stream, &line));
        self.output_bytes += read as u64;
        if read > 0 {
            self.heard = Instant::now();
        }
        read > 0
    }

    fn converse(&mut self, at: usize, events: PollFlags) -> io::Result<()> {
        let mut stops = Vec::new();
        let client = &mut self.control.clients[at];
        if events.contains(PollFlags::POLLIN) {
            let (input, heard, ended) = (&mut self.agent.input, &mut self.heard, self.ended.is_some());
            let (said, spool) = (&mut self.said, &mut self.spool);
            client.read(&mut self.buffer, |request| match request {
                Request::Input(text) => {
                    *heard = Instant::now();
                    input.push(text.as_bytes()).map_err(|refused| refused.to_string())
                }
                Request::Say { key, .. } if said.contains(&key) => Ok(()),
                Request::Say { key, .. } if key.len() > MAX_KEY || said.len() >= MAX_SAID => {
                    Err("the key is too long, or too much was said already".to_owned())
                }
                Request::Say { key, text } => {
                    *heard = Instant::now();
                    input.push(text.as_bytes()).map_err(|refused| refused.to_string())?;
                    spool.said(&key, &text);
                    said.insert(key);
                    Ok(())
                }
                Request::InputEnd(_) => {
                    input.finish();
                    Ok(())
                }
                Request::Stop(_) if ended => Ok(()),
                Request::Stop(how) => {
                    stops.push(how);
                    Ok(())
                }
            });
        }
        client.pump();
        if events.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) {
            client.hang_up();
        }
        stops.into_iter().try_for_each(|how| self.stop(how, Instant::now()))
    }

    /// Reads what is still in the pipes.
    fn last_words(&mut self) {
        for at in 0..self.agent.outputs.len() {
            // A pipe holds less than this; more can only come from a stranger that the agent handed its end to.
            for _ in 0..LAST_TURNS {
                if !self.listen(at) {
                    break;
                }
                self.spool.write();
            }
            let spool = &mut self.spool;
            self.agent.outputs[at].finish(|stream, line| spool.take(stream, &line));
        }
        self.spool.write();
        if let Err(error) = self.spool.sync() {
            super::complain(&format!("the output may not be on the disk: {error}"));
        }
    }

    fn write_exit(&self) -> Result<(), HostError> {
        let (code, signal) = self.ended.unwrap_or_default();
        let exit = ExitRecord {
            run: self.spec.run.clone(),
            code,
            signal,
            reason: self.reason.clone().unwrap_or(Reason::Exited),
            started_at: self.started_at.clone(),
            ended_at: stamp(),
            leftovers_killed: self.ending.as_ref().map_or(0, Ending::leftovers),
            output_bytes: self.output_bytes,
            last_line: self.spool.last_line(),
        };
        for _ in 0..EXIT_TRIES {
            match write_json(Path::new(names::EXIT), &exit, Durable::Yes) {
                Ok(()) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => super::complain(&format!("cannot write how it ended, trying again: {error}")),
            }
            // The disk is full, and nothing tells when it no longer is.
            std::thread::sleep(EXIT_PAUSE);
        }
        write_json(Path::new(names::EXIT), &exit, Durable::Yes).map_err(HostError::io("write how it ended"))
    }
}

/// Why the host is signalled: it may be the daemon, which found no way through the socket and has left a word.
fn called_off() -> Reason {
    let word = read_json(Path::new(names::STOP)).ok().flatten();
    word.map_or(Reason::Shutdown, |how| Reason::Stopped { how })
}
