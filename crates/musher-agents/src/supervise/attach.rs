//! Reads along with a run, from any offset, until it is over.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use super::end::gone;
use super::folder::{FolderError, RunFolder};
use super::talk::connect;
use crate::host::{Answer, ExitRecord, HostRecord, OutputRecord, Stream};
use crate::sys;

/// How much output is handed out at a time, in bytes, unless a single line is longer.
const CHUNK_BYTES: usize = 256 << 10;

/// How much is read at first, in bytes: most often a line or two were said, and room for more has to be cleared.
const FIRST_BYTES: usize = 8 << 10;

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
    /// The host tells, and has not said that it ends.
    Host(UnixStream),
    /// The host said that it ends, and hangs up soon.
    Ending(UnixStream),
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
            let exit = if self.hints.tell_of_life() { None } else { self.folder.exit()? };
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
            Hints::Host(host) | Hints::Ending(host) => {
                let mut said = [0; 1024];
                match host.read(&mut said).await {
                    Ok(length @ 1..) => self.hints.hear(&said[..length]),
                    Ok(0) | Err(_) => self.wait_for_death().await,
                }
            }
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

impl Hints {
    /// Whether the host lives as far as it told: then there is no exit to look for, for it hangs up after writing one.
    const fn tell_of_life(&self) -> bool {
        match self {
            Self::Host(_) => true,
            Self::None | Self::Ending(_) | Self::Gone => false,
        }
    }

    /// Takes what the host told. Should its last word come in two parts, its hanging up says the same a moment later.
    fn hear(&mut self, said: &[u8]) {
        *self = match std::mem::replace(self, Self::Gone) {
            Self::Host(host) if said.split(|b| *b == b'\n').any(is_farewell) => Self::Ending(host),
            same => same,
        };
    }
}

fn is_farewell(line: &[u8]) -> bool {
    matches!(serde_json::from_slice(line), Ok(Answer::Exited(_)))
}

/// Reads a chunk that ends with a line's end; a longer one if it has none.
fn whole_lines(file: &File, offset: u64) -> io::Result<Vec<u8>> {
    let (mut bytes, mut room, mut end) = (Vec::new(), FIRST_BYTES, None);
    loop {
        let from = bytes.len();
        bytes.resize(from + room, 0);
        let read = read_some(file, &mut bytes[from..], offset + from as u64)?;
        bytes.truncate(from + read);
        end = bytes[from..].iter().rposition(|b| *b == b'\n').map(|end| from + end + 1).or(end);
        let more = from == 0 && read == FIRST_BYTES;
        match end {
            Some(end) if !more => {
                bytes.truncate(end);
                return Ok(bytes);
            }
            // A line that is still being written, or that was torn when the host died.
            None if read == 0 => return Ok(Vec::new()),
            Some(_) | None => {}
        }
        room = if more { CHUNK_BYTES - FIRST_BYTES } else { CHUNK_BYTES };
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

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream as Pair;

    use super::*;

    #[test]
    fn a_chunk_ends_with_the_last_whole_line_however_much_there_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        let line = |length: usize| [vec![b'x'; length - 1], vec![b'\n']].concat();
        let cases = [
            // What is in the file, and how many bytes of it are handed out at first.
            (Vec::new(), 0),
            (b"no end".to_vec(), 0),
            (b"a\nb\nc".to_vec(), 4),
            (line(FIRST_BYTES), FIRST_BYTES),
            ([line(FIRST_BYTES), b"no end".to_vec()].concat(), FIRST_BYTES),
            ([line(FIRST_BYTES), line(7)].concat(), FIRST_BYTES + 7),
            (line(FIRST_BYTES + 1), FIRST_BYTES + 1),
            (line(3 * CHUNK_BYTES), 3 * CHUNK_BYTES),
            (line(64).repeat(CHUNK_BYTES / 64 + 9), CHUNK_BYTES),
            (vec![b'x'; CHUNK_BYTES], 0),
        ];
        for (content, handed_out) in cases {
            std::fs::write(&path, &content).unwrap();
            let read = whole_lines(&File::open(&path).unwrap(), 0).unwrap();
            assert_eq!(read.len(), handed_out, "of {}", content.len());
            assert_eq!(read, content[..handed_out]);
        }
    }

    #[test]
    fn an_end_is_looked_for_once_the_host_tells_of_one_or_hangs_up() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _inside = runtime.enter();
        let connected = || {
            let (ours, _) = Pair::pair().unwrap();
            ours.set_nonblocking(true).unwrap();
            Hints::Host(UnixStream::from_std(ours).unwrap())
        };
        assert!(!Hints::None.tell_of_life() && !Hints::Gone.tell_of_life());
        let told = |words: &Answer| serde_json::to_string(words).unwrap() + "\n";
        let grew = told(&Answer::Grew(7));
        let mut hints = connected();
        hints.hear(grew.as_bytes());
        assert!(hints.tell_of_life());
        hints.hear((grew + &told(&Answer::Exited(true))).as_bytes());
        assert!(matches!(hints, Hints::Ending(_)));
    }
}
