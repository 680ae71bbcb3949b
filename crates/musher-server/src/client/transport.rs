//! One request, one connection: HTTP/1.1 over the socket.

use std::io;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::ClientError;
use super::stream::Lines;
use crate::api::Problem;
use crate::caller::ACTOR_HEADER;
use crate::sys;

/// How long an answer may take before it is looked whether the daemon is stopped.
const LOOK: Duration = Duration::from_secs(10);
/// How often that is looked at. The daemon itself gives up on an answer after a minute, and says that.
const LOOKS: u32 = 9;

/// A body without a word.
#[derive(Debug, Serialize)]
pub(super) struct Nothing {}

/// An answer whose head has come.
pub(super) struct Answer(Response<Incoming>);

/// Asks, and waits for the head of the answer.
pub(super) async fn ask<B: Serialize>(
    socket: &Path,
    actor: Option<&str>,
    method: &str,
    path: &str,
    body: Option<&B>,
) -> Result<Answer, ClientError> {
    let stream = connect(socket).await?;
    // The process that listens, and not one of its children.
    let daemon = stream.peer_cred().ok().and_then(|listener| listener.pid()).filter(|pid| *pid > 0);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(ClientError::broken)?;
    // It ends with the answer; what went wrong with it is seen there.
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header(HOST, "localhost").header(ACCEPT, "*/*");
    if let Some(actor) = actor {
        request = request.header(ACTOR_HEADER, actor);
    }
    let body = match body {
        Some(body) => {
            request = request.header(CONTENT_TYPE, "application/json");
            serde_json::to_vec(body).map_err(ClientError::broken)?
        }
        None => Vec::new(),
    };
    let request = request.body(Full::new(Bytes::from(body))).map_err(ClientError::broken)?;
    in_time(daemon, LOOK, sender.send_request(request)).await?.map(Answer).map_err(ClientError::broken)
}

/// Waits for the head of an answer, which is also the beginning of a stream. One that is stopped answers nothing at all; one
/// that is busy is waited for.
async fn in_time<T>(daemon: Option<i32>, look: Duration, answer: impl Future<Output = T>) -> Result<T, ClientError> {
    let mut answer = pin!(answer);
    for _ in 0..LOOKS {
        if let Ok(answer) = tokio::time::timeout(look, &mut answer).await {
            return Ok(answer);
        }
        if let Some(pid) = daemon.filter(|pid| sys::is_stopped(*pid)) {
            return Err(ClientError::Stopped { pid });
        }
    }
    Err(ClientError::Silent { pid: daemon, seconds: (look * LOOKS).as_secs() })
}

/// Connects to a daemon's socket.
pub(crate) async fn connect(socket: &Path) -> Result<UnixStream, ClientError> {
    let connected = async {
        let (address, _open) = sys::socket_address(socket)?;
        UnixStream::connect(address).await
    };
    connected.await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            ClientError::NoDaemon { socket: socket.to_owned() }
        }
        _ => ClientError::broken(error),
    })
}

impl Answer {
    /// The whole answer, as a document.
    pub(super) async fn whole<T: DeserializeOwned>(self) -> Result<T, ClientError> {
        let status = self.0.status();
        let body = self.0.into_body().collect().await.map_err(ClientError::broken)?.to_bytes();
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(ClientError::broken);
        }
        let problem = serde_json::from_slice::<Problem>(&body).unwrap_or_else(|_| {
            let text = String::from_utf8_lossy(&body);
            Problem::new(status.as_u16(), "unknown", text.chars().take(1_000).collect::<String>())
        });
        Err(ClientError::Problem(Box::new(problem)))
    }

    /// The answer line by line, if it is no problem.
    pub(super) async fn lines(self) -> Result<Lines, ClientError> {
        if !self.0.status().is_success() {
            return Err(match self.whole::<serde_json::Value>().await {
                Err(error) => error,
                Ok(_) => ClientError::broken("a refusal that is none"),
            });
        }
        Ok(Lines::new(self.0.into_body()))
    }
}

/// A path below `/v1`; whatever a part holds, it stays one part.
pub(super) fn path(parts: &[&str]) -> String {
    let mut path = String::from("/v1");
    for part in parts {
        path.push('/');
        escape(part, &mut path);
    }
    path
}

/// A path with what is asked for.
pub(super) fn query(path: &str, parts: &[(&str, Option<String>)]) -> String {
    let mut all = path.to_owned();
    let mut sign = '?';
    for (name, value) in parts {
        if let Some(value) = value {
            all.push(sign);
            all.push_str(name);
            all.push('=');
            escape(value, &mut all);
            sign = '&';
        }
    }
    all
}

fn escape(text: &str, into: &mut String) {
    // A part of nothing but dots would be taken for a step up.
    let dots = !text.is_empty() && text.bytes().all(|b| b == b'.');
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => into.push(byte.into()),
            b'.' if !dots => into.push('.'),
            _ => into.push_str(&format!("%{byte:02X}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_daemon_that_is_busy_is_waited_for_but_not_for_ever() {
        let (own, soon) = (i32::try_from(std::process::id()).ok(), Duration::from_millis(1));
        let mut asked = 0;
        let late = std::future::poll_fn(|_| {
            asked += 1;
            if asked > 4 { std::task::Poll::Ready(asked) } else { std::task::Poll::Pending }
        });
        assert_eq!(in_time(own, soon, late).await.unwrap(), 5);
        let never = in_time(own, soon, std::future::pending::<()>()).await;
        assert!(matches!(never, Err(ClientError::Silent { pid, .. }) if pid == own), "{never:?}");
        assert_eq!((LOOK * LOOKS).as_secs(), 90, "longer than the daemon takes to say that it is busy");
    }

    #[test]
    fn a_part_of_a_path_stays_one_part_whatever_it_holds() {
        assert_eq!(path(&["items", "abcd1234/api"]), "/v1/items/abcd1234%2Fapi");
        assert_eq!(path(&["agents", "a b?c#d%"]), "/v1/agents/a%20b%3Fc%23d%25");
        assert_eq!(path(&["agents", ".."]), "/v1/agents/%2E%2E");
        assert_eq!(query("/x", &[("a", None), ("b", Some("1&2".into())), ("c", Some("3".into()))]), "/x?b=1%262&c=3");
    }
}
