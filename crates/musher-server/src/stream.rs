//! Answers without an end: lines of JSON, as fast as the reader takes them and no faster.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use hyper::body::Frame;
use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use crate::api::Problem;
use crate::app::App;

/// The media type of lines of JSON.
pub(crate) const NDJSON: &str = "application/x-ndjson";

/// How many chunks wait for a slow reader; then the writer waits.
const CHUNKS: usize = 4;

/// The writing end.
pub(crate) struct Chunks {
    sender: mpsc::Sender<io::Result<Bytes>>,
    closing: watch::Receiver<bool>,
}

impl Chunks {
    /// Sends, as soon as the reader has taken what came before; says whether anyone still reads.
    pub(crate) async fn send(&mut self, chunk: Bytes) -> bool {
        tokio::select! {
            sent = self.sender.send(Ok(chunk)) => sent.is_ok(),
            _ = self.closing.wait_for(|closing| *closing) => false,
        }
    }

    /// Cuts the answer off, so that the reader knows that it is not whole.
    pub(crate) async fn fail(mut self, error: io::Error) {
        tokio::select! {
            _ = self.sender.send(Err(error)) => {}
            _ = self.closing.wait_for(|closing| *closing) => {}
        }
    }

    /// Waits until nobody reads any more, or the server ends.
    pub(crate) async fn over(&mut self) {
        tokio::select! {
            () = self.sender.closed() => {}
            _ = self.closing.wait_for(|closing| *closing) => {}
        }
    }
}

struct Lines {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    /// Its place among the open streams.
    _place: OwnedSemaphorePermit,
}

impl HttpBody for Lines {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.chunks.poll_recv(cx).map(|chunk| chunk.map(|chunk| chunk.map(Frame::data)))
    }
}

/// An answer, and the end to write it at.
pub(crate) fn lines(app: &App) -> Result<(Chunks, Response), Problem> {
    let place = app.stream_place()?;
    let (sender, chunks) = mpsc::channel(CHUNKS);
    let mut response = Response::new(Body::new(Lines { chunks, _place: place }));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok((Chunks { sender, closing: app.closing() }, response))
}
