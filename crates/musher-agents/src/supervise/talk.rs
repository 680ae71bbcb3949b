//! Talks to a live host.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::folder::{FolderError, HostStatus, RunFolder, inspect};
use crate::host::{Answer, Request, Stop, names};
use crate::sys;

/// The longest line that a host is expected to send, in bytes.
const MAX_ANSWER: u64 = 64 << 10;

/// How long a host has for an answer. It has nothing else to do, so one that needs longer is stuck or stopped.
const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// Why a host did not do as it was asked.
#[derive(Debug, thiserror::Error)]
pub enum TalkError {
    /// There is no live host: the run is over, was lost, or never began.
    #[error("no host is running this agent")]
    NoHost,
    /// The host refused.
    #[error("the host refused: {0}")]
    Refused(String),
    /// The system refused something.
    #[error("cannot talk to the host")]
    Io(#[source] io::Error),
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

impl TalkError {
    /// Says what to do about it.
    pub const fn fix(&self) -> &'static str {
        match self {
            Self::NoHost => "look at how the run ended; a note reaches the next attempt",
            Self::Refused(_) => "write a note instead; the next attempt reads it",
            Self::Io(_) => "try again",
            Self::Folder(error) => error.fix(),
        }
    }
}

/// Asks the host to stop the agent; [`end`](super::end()) makes sure of it. The end is told by an [`Attachment`](super::Attachment); stopping what is over does nothing.
///
/// # Errors
/// The host is lost or did not answer.
pub async fn stop(folder: &RunFolder, how: Stop) -> Result<(), TalkError> {
    match request(folder, &Request::Stop(how)).await {
        // It may have ended while it was being asked.
        Err(error) => match inspect(folder)? {
            HostStatus::Finished(_) => Ok(()),
            HostStatus::NeverStarted | HostStatus::Alive | HostStatus::Lost { .. } => Err(error),
        },
        done => done,
    }
}

/// Gives the agent text on its stdin, exactly as it is. The host keeps what the agent does not read yet.
///
/// # Errors
/// The agent's stdin is closed, too much is waiting already, or there is no live host.
pub async fn send_input(folder: &RunFolder, text: &str) -> Result<(), TalkError> {
    request(folder, &Request::Input(text.to_owned())).await
}

/// Says something to the agent, once: what was said under this key before is not said again.
///
/// # Errors
/// The agent's stdin is closed, too much is waiting already, or there is no live host.
pub async fn say(folder: &RunFolder, key: &str, text: &str) -> Result<(), TalkError> {
    request(folder, &Request::Say { key: key.to_owned(), text: text.to_owned() }).await
}

/// Ends the agent's stdin once it has read what waits.
///
/// # Errors
/// There is no live host.
pub async fn end_input(folder: &RunFolder) -> Result<(), TalkError> {
    request(folder, &Request::InputEnd(true)).await
}

/// Connects to a folder's host, however long the folder's path is.
pub(super) async fn connect(folder: &RunFolder) -> io::Result<UnixStream> {
    let open = File::open(folder.path())?;
    UnixStream::connect(sys::short_path(open.as_fd(), folder.path(), names::SOCKET)).await
}

/// The next line of a host; none when it has hung up.
async fn next_answer(host: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> io::Result<Option<Answer>> {
    let mut line = Vec::new();
    host.take(MAX_ANSWER).read_until(b'\n', &mut line).await?;
    if !line.ends_with(b"\n") {
        return Ok(None);
    }
    Ok(Some(serde_json::from_slice(&line)?))
}

async fn request(folder: &RunFolder, request: &Request) -> Result<(), TalkError> {
    let silent = || io::Error::new(io::ErrorKind::TimedOut, "the host does not answer");
    let answer = tokio::time::timeout(ANSWER_WAIT, converse(folder, request)).await;
    answer.unwrap_or_else(|_| Err(TalkError::Io(silent())))
}

async fn converse(folder: &RunFolder, request: &Request) -> Result<(), TalkError> {
    let host = match connect(folder).await {
        Ok(host) => host,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Err(TalkError::NoHost);
        }
        Err(error) => return Err(TalkError::Io(error)),
    };
    let mut host = BufReader::new(host);
    let mut line = serde_json::to_vec(request).map_err(|error| TalkError::Io(error.into()))?;
    line.push(b'\n');
    host.write_all(&line).await.map_err(TalkError::Io)?;
    loop {
        match next_answer(&mut host).await.map_err(TalkError::Io)? {
            Some(Answer::Taken(_)) => return Ok(()),
            Some(Answer::Refused(why)) => return Err(TalkError::Refused(why)),
            Some(Answer::Grew(_)) => {}
            Some(Answer::Exited(_)) | None => return Err(TalkError::NoHost),
        }
    }
}
