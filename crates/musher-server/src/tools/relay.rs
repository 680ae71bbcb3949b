//! The tools on standard input and output, for programs that start their servers themselves: each message goes to the
//! daemon, each answer back. It keeps nothing but what waits, so that a daemon may go and come meanwhile.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use super::{ASK_AGAIN, CALL_HEADER, LONGEST, PATH, new_call};
use crate::client::connect;

/// The most requests that wait for their answers at once.
const AT_ONCE: usize = 64;
/// The first pause before the daemon is tried again, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// Why the relay ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RelayError {
    /// Standard input or output failed.
    #[error("standard input or output failed")]
    Stream(#[from] std::io::Error),
}

/// Relays until the input ends. Requests that wait then are given up. Each time that nothing waits any more, `rests` is
/// called: it may be long until the next one.
///
/// # Errors
/// The input cannot be read.
pub async fn relay(
    socket: PathBuf,
    pass: String,
    input: impl AsyncRead + Unpin,
    output: impl AsyncWrite + Unpin + Send + 'static,
    rests: impl Fn() + Send + Sync + 'static,
) -> Result<(), RelayError> {
    let (answers, outbox) = mpsc::channel(AT_ONCE);
    let writer = tokio::spawn(write(outbox, output));
    let door = Arc::new(Door { socket, pass });
    let rests = Arc::new(rests);
    let waiting: Arc<Mutex<HashMap<String, AbortHandle>>> = Arc::default();
    let mut asked = JoinSet::new();
    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = tokio::io::AsyncReadExt::take(&mut input, LONGEST as u64).read_until(b'\n', &mut line).await?;
        if read == 0 {
            break;
        }
        while asked.try_join_next().is_some() {}
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let message = match serde_json::from_slice::<Value>(&line) {
            Ok(message) => message,
            Err(error) => {
                let _ = answers.send(refusal(&Value::Null, -32_700, &format!("no JSON: {error}"))).await;
                continue;
            }
        };
        if !message.is_object() {
            let _ = answers.send(refusal(&Value::Null, -32_600, "a message is an object")).await;
            continue;
        }
        if message["method"] == "notifications/cancelled" {
            let id = message["params"]["requestId"].to_string();
            if let Some(handle) = waiting.lock().ok().and_then(|mut waiting| waiting.remove(&id)) {
                handle.abort();
                // Its place is free before the next request is looked at.
                let _ = asked.join_next().await;
            }
            continue;
        }
        let Some(id) = message.get("id").cloned() else {
            // Notifications change nothing for a server that keeps nothing.
            continue;
        };
        if asked.len() >= AT_ONCE {
            let _ = answers.send(refusal(&id, -32_000, "too many requests wait for their answers already")).await;
            continue;
        }
        let (door, answers, forget) = (Arc::clone(&door), answers.clone(), Arc::clone(&waiting));
        let rests = Arc::clone(&rests);
        let key = id.to_string();
        let name = key.clone();
        let handle = asked.spawn(async move {
            let answer = door.pass_on(&id, line_of(&message)).await;
            let _ = answers.send(answer).await;
            if let Ok(mut waiting) = forget.lock() {
                waiting.remove(&name);
                if waiting.is_empty() {
                    rests();
                }
            }
        });
        if let Ok(mut waiting) = waiting.lock()
            && !handle.is_finished()
        {
            waiting.insert(key, handle);
        }
    }
    asked.shutdown().await;
    drop(answers);
    let _ = writer.await;
    Ok(())
}

fn line_of(message: &Value) -> Bytes {
    Bytes::from(message.to_string())
}

async fn write(mut outbox: mpsc::Receiver<Value>, mut output: impl AsyncWrite + Unpin) {
    while let Some(answer) = outbox.recv().await {
        let mut line = answer.to_string();
        line.push('\n');
        if output.write_all(line.as_bytes()).await.is_err() || output.flush().await.is_err() {
            return;
        }
    }
}

fn refusal(id: &Value, code: i32, message: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
}

/// The daemon's door.
struct Door {
    socket: PathBuf,
    pass: String,
}

/// What came of one try.
enum Tried {
    Answer(Value),
    /// The daemon is not there, or went meanwhile.
    Again,
}

impl Door {
    /// Asks until there is an answer: the daemon may be restarted, and what was asked counts once all the same.
    async fn pass_on(&self, id: &Value, body: Bytes) -> Value {
        let call = match new_call() {
            Ok(call) => call.to_string(),
            Err(error) => return refusal(id, -32_603, &format!("no randomness: {error}")),
        };
        let mut pause = PAUSES.0;
        loop {
            match self.try_once(id, body.clone(), &call).await {
                Tried::Answer(answer) => return answer,
                Tried::Again => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
            }
        }
    }

    async fn try_once(&self, id: &Value, body: Bytes, call: &str) -> Tried {
        let Ok(stream) = connect(&self.socket).await else { return Tried::Again };
        let Ok((mut sender, connection)) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await else {
            return Tried::Again;
        };
        // It ends with the answer; what went wrong with it is seen there.
        tokio::spawn(connection);
        let request = Request::builder()
            .method("POST")
            .uri(PATH)
            .header(HOST, "localhost")
            .header(ACCEPT, "application/json, text/event-stream")
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, format!("Bearer {}", self.pass))
            .header(CALL_HEADER, call)
            .body(Full::new(body));
        let request = match request {
            Ok(request) => request,
            Err(error) => return Tried::Answer(refusal(id, -32_000, &format!("the pass is none: {error}"))),
        };
        let Ok(response) = sender.send_request(request).await else { return Tried::Again };
        let status = response.status();
        let Ok(body) = response.into_body().collect().await else { return Tried::Again };
        let body = body.to_bytes();
        if status == hyper::StatusCode::SERVICE_UNAVAILABLE {
            return Tried::Again;
        }
        match serde_json::from_slice::<Value>(&body) {
            Ok(answer) if status.is_success() && answer["error"]["code"] == ASK_AGAIN => Tried::Again,
            Ok(answer) if answer.get("jsonrpc").is_some() => Tried::Answer(answer),
            Ok(problem) if problem.get("title").is_some() => {
                let text = problem["detail"]
                    .as_str()
                    .or_else(|| problem["title"].as_str())
                    .unwrap_or("musher refused")
                    .to_owned();
                Tried::Answer(refusal(id, -32_000, &text))
            }
            Ok(_) | Err(_) => {
                let text = String::from_utf8_lossy(&body);
                let text: String = text.chars().take(1_000).collect();
                Tried::Answer(refusal(id, -32_000, &format!("musher answered {status}: {text}")))
            }
        }
    }
}
