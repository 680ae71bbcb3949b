//! Answers that come line by line.

use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::ClientError;
use crate::api::{Event, LogLine};

/// The longest line that is taken, in bytes: more is no answer of musher's.
const LONGEST: usize = 16 << 20;

/// The lines of a body.
#[derive(Debug)]
pub(super) struct Lines {
    body: Incoming,
    /// What has come; `taken` bytes of it were given out, and in `looked` there is no line break.
    come: Vec<u8>,
    taken: usize,
    looked: usize,
}

impl Lines {
    pub(super) fn new(body: Incoming) -> Self {
        Self { body, come: Vec::new(), taken: 0, looked: 0 }
    }

    /// The next line without its break; nothing at the end. What stands behind the last break is the last line.
    async fn next(&mut self) -> Result<Option<&[u8]>, ClientError> {
        loop {
            if let Some(at) = self.come[self.looked..].iter().position(|b| *b == b'\n') {
                let (from, to) = (self.taken, self.looked + at);
                self.taken = to + 1;
                self.looked = to + 1;
                return Ok(Some(&self.come[from..to]));
            }
            self.come.drain(..self.taken);
            self.taken = 0;
            self.looked = self.come.len();
            if self.looked > LONGEST {
                return Err(ClientError::broken(format!("a line of more than {LONGEST} bytes")));
            }
            match self.body.frame().await {
                Some(frame) => {
                    if let Ok(data) = frame.map_err(ClientError::broken)?.into_data() {
                        self.come.extend_from_slice(&data);
                    }
                }
                None if self.come.is_empty() => return Ok(None),
                None => {
                    self.taken = self.come.len();
                    self.looked = self.taken;
                    return Ok(Some(&self.come));
                }
            }
        }
    }

    async fn next_document<T: DeserializeOwned>(&mut self) -> Result<Option<(T, usize)>, ClientError> {
        let Some(line) = self.next().await? else { return Ok(None) };
        let document = serde_json::from_slice(line).map_err(ClientError::broken)?;
        Ok(Some((document, line.len())))
    }
}

/// Events as they happen.
#[derive(Debug)]
pub struct EventStream {
    lines: Lines,
    after: u64,
}

impl EventStream {
    pub(super) fn new(lines: Lines, after: u64) -> Self {
        Self { lines, after }
    }

    /// Waits for the next event; nothing when the daemon ends. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        let next = self.lines.next_document::<Event>().await?;
        Ok(next.map(|(event, _)| {
            self.after = event.seq;
            event
        }))
    }

    /// The next event, if it has come already; nothing else is waited for.
    pub async fn ready(&mut self) -> Result<Option<Event>, ClientError> {
        tokio::select! {
            biased;
            event = self.next() => event,
            () = std::future::ready(()) => Ok(None),
        }
    }

    /// The place of the last event that came: ask for what comes after it to go on exactly there.
    pub const fn after(&self) -> u64 {
        self.after
    }
}

/// A transcript as it comes.
#[derive(Debug)]
pub struct LogStream {
    lines: Lines,
    offset: u64,
}

impl LogStream {
    pub(super) fn new(lines: Lines, offset: u64) -> Self {
        Self { lines, offset }
    }

    /// Waits for the next line; nothing at the end. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Option<LogLine>, ClientError> {
        let next = self.lines.next_document::<LogLine>().await?;
        Ok(next.map(|(line, length)| {
            self.offset += length as u64 + 1;
            line
        }))
    }

    /// How many bytes of the transcript have come, to go on from there.
    pub const fn offset(&self) -> u64 {
        self.offset
    }
}
