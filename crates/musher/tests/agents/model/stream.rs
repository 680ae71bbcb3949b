//! Server-sent events: an answer as steps, and how they are played.

use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::response::Response;
use http_body_util::channel::{Channel, Sender};
use serde_json::Value;

use super::ledger::Ledger;
use super::reply::Tokens;

/// A step of a stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// An event with its name, where the format has names.
    Event(Option<&'static str>, Value),
    /// A line of data that is no JSON.
    Line(&'static str),
    /// Standing still until the gate is open.
    Hold,
    /// The connection breaks off; nothing follows.
    Cut,
    /// From the next event on the client knows what the answer used.
    Told,
}

/// Who is told, and what.
pub(crate) struct Telling {
    /// Where it is counted.
    pub(crate) ledger: Arc<Ledger>,
    /// The client's name.
    pub(crate) client: String,
    /// Whether it is a side request.
    pub(crate) aside: bool,
    /// What the answer used.
    pub(crate) tokens: Tokens,
}

impl Telling {
    /// Counts it.
    pub(crate) fn tell(&self) {
        self.ledger.tell(&self.client, self.aside, self.tokens);
    }
}

/// Plays the steps to the client.
pub(crate) fn play(steps: Vec<Step>, telling: Telling) -> Response {
    let (sender, body) = Channel::<Bytes, io::Error>::new(1);
    tokio::spawn(run(steps, telling, sender));
    let mut response = Response::new(Body::new(body));
    let headers = response.headers_mut();
    headers.insert("content-type", "text/event-stream".parse().unwrap());
    headers.insert("cache-control", "no-cache".parse().unwrap());
    response
}

/// A client that has gone away ends it.
async fn run(steps: Vec<Step>, telling: Telling, mut sender: Sender<Bytes, io::Error>) {
    for step in steps {
        let text = match step {
            Step::Event(Some(name), data) => format!("event: {name}\ndata: {data}\n\n"),
            Step::Event(None, data) => format!("data: {data}\n\n"),
            Step::Line(line) => format!("data: {line}\n\n"),
            Step::Hold => {
                telling.ledger.hold().await;
                continue;
            }
            Step::Told => {
                telling.tell();
                continue;
            }
            Step::Cut => {
                // The connection's task gets its turns, so that the client sees the beginning of the answer.
                for _ in 0..8 {
                    tokio::task::yield_now().await;
                }
                return sender.abort(io::Error::other("the scripted stream breaks off"));
            }
        };
        if sender.send_data(Bytes::from(text)).await.is_err() {
            return;
        }
    }
}
