//! Reads along with a run, from any offset, until it is over.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use super::end::gone;
use super::folder::{FolderError, RunFolder};
use super::talk::connect;
use crate::host::{ExitRecord, HostRecord, OutputRecord, Stream};
use crate::sys;

/// How much output is handed out at a time, in bytes, unless a single line is longer.
const CHUNK_BYTES: usize = 256 << 10;

/// What a reader sees next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// The agent said something.
    Output {
        /// The lines, in order.
        records: Vec<OutputRecord>,
        /// Where the next line begins: the offset to store, and to attach from after a restart.
        offset: u64,
    },
    /// The run is over, and all its output was handed out.
    Exited(Box<ExitRecord>),
    /// The host is dead, left no word of the end, and all its output was handed out. Processes of the run may live.
    HostLost,
}

/// Why a run cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// No host was ever started in the folder.
    #[error("no host was started in the run folder yet")]
    NeverStarted,
    /// The output cannot be read.
    #[error("cannot read the output")]
    Output(#[source] io::Error),
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

impl AttachError {
    /// Says what to do about it.
    pub const fn fix(&self) -> &'static str {
        match self {
            Self::NeverStarted => "launch a host first",
            Self::Output(_) => "see that the run folder is whole and belongs to this user",
            Self::Folder(error) => error.fix(),
        }
    }
}

/// A reader of a run. It hinders nobody, and there may be several.
#[derive(Debug)]
pub struct Attachment {
    folder: RunFolder,
    host: HostRecord,
    /// None until the first line was written by a host that had time to make the file.
    output: Option<File>,
    offset: u64,
    hints: Hints,
    over: bool,
}

/// How the reader learns that there is more.
#[derive(Debug)]
enum Hints {
    /// Not connected yet.
    None,
    /// The host tells.
    Host(UnixStream),
    /// The host is gone, so there will be no more.
    Gone,
}

/// Reads a run from `offset` on: 0 for all of it, or the last offset that an [`Observation::Output`] came with.
///
/// # Errors
/// No host was started in the folder, or it cannot be read.
pub fn attach(folder: &RunFolder, offset: u64) -> Result<Attachment, AttachError> {
    let host = folder.host()?.ok_or(AttachError::NeverStarted)?;
    Ok(Attachment { folder: folder.clone(), host, output: None, offset, hints: Hints::None, over: false })
}

impl Attachment {
    /// Waits for what comes next; none after [`Observation::Exited`] and [`Observation::HostLost`]. A call may be
    /// dropped while it waits: nothing is lost by that.
    ///
    /// # Errors
    /// The folder cannot be read; it may be tried again.
    pub async fn next(&mut self) -> Result<Option<Observation>, AttachError> {
        while !self.over {
            // In this order: what was said before the end is in the file by the time the end can be seen.
            let exit = self.folder.exit()?;
            let gone = matches!(self.hints, Hints::Gone);
            if let Some(output) = self.read()? {
                return Ok(Some(output));
            }
            if let Some(exit) = exit {
                self.over = true;
                return Ok(Some(Observation::Exited(Box::new(exit))));
            }
            if gone {
                self.over = true;
                return Ok(Some(Observation::HostLost));
            }
            self.wait().await;
        }
        Ok(None)
    }

    /// Where the next line begins.
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Waits until there may be more.
    async fn wait(&mut self) {
        match &mut self.hints {
            Hints::None => match connect(&self.folder).await {
                Ok(host) => self.hints = Hints::Host(host),
                Err(_) => self.wait_for_death().await,
            },
            // Whatever it says means: look again. So no word of it can be torn by a call that is dropped.
            Hints::Host(host) => match host.read(&mut [0; 1024]).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => self.wait_for_death().await,
            },
            Hints::Gone => {}
        }
    }

    /// A host without a socket is one that ends: it hangs up last of all.
    async fn wait_for_death(&mut self) {
        if self.host.boot_id == sys::boot_id() {
            gone(self.host.host).await;
        }
        self.hints = Hints::Gone;
    }

    /// The whole lines after the offset, if there are any.
    fn read(&mut self) -> Result<Option<Observation>, AttachError> {
        if self.output.is_none() {
            match File::open(self.folder.output()) {
                Ok(file) => self.output = Some(file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(AttachError::Output(error)),
            }
        }
        let Some(file) = &self.output else { return Ok(None) };
        // The pages were written a moment ago, so this waits for no disk.
        let lines = whole_lines(file, self.offset).map_err(AttachError::Output)?;
        if lines.is_empty() {
            return Ok(None);
        }
        self.offset += lines.len() as u64;
        let records = lines.split_inclusive(|b| *b == b'\n').map(decode).collect();
        Ok(Some(Observation::Output { records, offset: self.offset }))
    }
}

/// Reads a chunk that ends with a line's end; a longer one if it has none.
fn whole_lines(file: &File, offset: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let from = bytes.len();
        bytes.resize(from + CHUNK_BYTES, 0);
        let read = read_some(file, &mut bytes[from..], offset + from as u64)?;
        bytes.truncate(from + read);
        let end = bytes[from..].iter().rposition(|b| *b == b'\n').map(|end| from + end + 1);
        match end {
            Some(end) => {
                bytes.truncate(end);
                return Ok(bytes);
            }
            // A line that is still being written, or that was torn when the host died.
            None if read == 0 => return Ok(Vec::new()),
            None => {}
        }
    }
}

fn read_some(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buffer, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

fn decode(line: &[u8]) -> OutputRecord {
    serde_json::from_slice(line).unwrap_or_else(|error| {
        // A torn line of a full disk, or an agent that wrote to the file itself.
        tracing::warn!(%error, "a line of output cannot be read");
        let text = "a line of the output cannot be read".to_owned();
        OutputRecord { seq: 0, at: String::new(), stream: Stream::Host, text, cut: false, key: None }
    })
}
