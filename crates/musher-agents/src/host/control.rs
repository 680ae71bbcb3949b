//! The socket of a host: newline JSON both ways. Clients come and go; none can hold the host up.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::record::Stop;

/// How many clients are served at a time; more of them wait to be let in.
pub(super) const MAX_CLIENTS: usize = 32;

/// The longest request, in bytes: as much text as an agent's input may hold, escaped.
const MAX_REQUEST: usize = 40 << 20;

/// The most that waits for a client that does not read; growth is told in one line, so only answers add up.
const MAX_WAITING: usize = 64 << 10;

/// The longest key of what is said, in bytes.
pub(super) const MAX_KEY: usize = 4096;

/// How many things may be said to an agent under keys.
pub(super) const MAX_SAID: usize = 65_536;

/// What a client asks of a host, a line each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Text for the agent's stdin, exactly as it is; a line needs its own end.
    Input(String),
    /// Text for the agent's stdin that is said once, however often it is asked for under this key, and that is written
    /// down among what the agent says.
    Say {
        /// The key, at most 4,096 bytes.
        key: String,
        /// The text, exactly as it is.
        text: String,
    },
    /// The end of the agent's stdin.
    InputEnd(bool),
    /// An end of the agent.
    Stop(Stop),
}

/// What a host tells a client, a line each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The file of output has this many bytes.
    Grew(u64),
    /// The request was taken.
    Taken(bool),
    /// The request was not taken, and why.
    Refused(String),
    /// The run is over, and how is on disk.
    Exited(bool),
}

/// The listener and who came.
#[derive(Debug)]
pub(super) struct Control {
    listener: UnixListener,
    pub(super) clients: Vec<Client>,
}

/// Somebody at the other end.
#[derive(Debug)]
pub(super) struct Client {
    stream: UnixStream,
    request: Vec<u8>,
    waiting: Vec<u8>,
    /// The growth that it was told of last; none if it was told nothing yet.
    told: Option<u64>,
    /// It sends no more.
    silent: bool,
    gone: bool,
}

impl Control {
    /// Listens in the present folder, which keeps the address short, for the owner only.
    pub(super) fn bind(name: &str) -> io::Result<Self> {
        match fs::remove_file(name) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        // The folder is its owner's alone, so nobody comes in before the mode is set.
        let listener = UnixListener::bind(Path::new(name))?;
        fs::set_permissions(name, Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, clients: Vec::new() })
    }

    /// The listener, while there is room for one more.
    pub(super) fn wants(&self) -> Option<BorrowedFd<'_>> {
        (self.clients.len() < MAX_CLIENTS).then(|| self.listener.as_fd())
    }

    /// Lets in who waits.
    pub(super) fn accept(&mut self) {
        while self.clients.len() < MAX_CLIENTS {
            // An error here is one client's, or passes; the others stay.
            let Ok((stream, _)) = self.listener.accept() else { return };
            if stream.set_nonblocking(true).is_ok() {
                let (request, waiting) = (Vec::new(), Vec::new());
                self.clients.push(Client { stream, request, waiting, told: None, silent: false, gone: false });
            }
        }
    }

    /// Tells everybody how long the file is now, unless they have not even read the last such line.
    pub(super) fn announce(&mut self, length: u64) {
        for client in &mut self.clients {
            if client.told != Some(length) && client.waiting.is_empty() {
                client.told = Some(length);
                client.send(&Answer::Grew(length));
            }
        }
        self.clients.retain(|client| !client.gone);
    }

    /// Tells everybody that it is over. Who does not read now sees the end of the socket, which means the same.
    pub(super) fn farewell(&mut self) {
        for client in &mut self.clients {
            client.send(&Answer::Exited(true));
        }
    }
}

impl Client {
    /// The socket and whether there is something to write to it.
    pub(super) fn wants(&self) -> (BorrowedFd<'_>, bool, bool) {
        (self.stream.as_fd(), !self.silent, !self.waiting.is_empty())
    }

    /// Reads what came and answers each request with what `handle` says to it.
    pub(super) fn read(&mut self, buffer: &mut [u8], mut handle: impl FnMut(Request) -> Result<(), String>) {
        while !self.silent && !self.gone && self.request.len() <= MAX_REQUEST {
            match self.stream.read(buffer) {
                // It may still read: `printf … | nc` closes one way only.
                Ok(0) => self.silent = true,
                Ok(more) => self.request.extend_from_slice(&buffer[..more]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.gone = true,
            }
        }
        while let Some(end) = self.request.iter().position(|b| *b == b'\n') {
            let line: Vec<u8> = self.request.drain(..=end).collect();
            let answer = match serde_json::from_slice(&line) {
                Ok(request) => handle(request).map_or_else(Answer::Refused, |()| Answer::Taken(true)),
                Err(error) => Answer::Refused(format!("no request: {error}")),
            };
            self.send(&answer);
        }
        if self.request.len() > MAX_REQUEST {
            self.gone = true;
        }
    }

    /// Drops a client whose other end is closed altogether.
    pub(super) fn hang_up(&mut self) {
        self.gone = true;
    }

    /// Writes what the socket takes at once.
    pub(super) fn pump(&mut self) {
        while !self.waiting.is_empty() && !self.gone {
            match self.stream.write(&self.waiting) {
                Ok(written) => drop(self.waiting.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.gone = true,
            }
        }
        if self.waiting.len() > MAX_WAITING {
            self.gone = true;
        }
    }

    fn send(&mut self, answer: &Answer) {
        // An answer is a number or a text; both have a JSON form.
        self.waiting.extend(serde_json::to_vec(answer).unwrap_or_default());
        self.waiting.push(b'\n');
        self.pump();
    }
}
