//! A scripted model on loopback: it speaks four vendors' wire formats, plays a scenario, and counts what it tells.
//!
//! The URL names the scenario and, after a dot, the client: `/s/ok.codex/v1/responses`. Nothing is remembered of a
//! conversation; what is to be said next follows from the request alone, so one server serves any number of agents.

mod anthropic;
mod api;
mod chat;
mod gemini;
mod ledger;
mod question;
mod reply;
mod responses;
mod route;
mod scenario;
mod stream;
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

pub(crate) use ledger::{Counted, Request};
pub(crate) use reply::plan;
pub(crate) use scenario::Scenario;

use ledger::Ledger;

/// The server. It ends with its owner.
pub(crate) struct Model {
    address: SocketAddr,
    ledger: Arc<Ledger>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Model {
    /// Listens on a free port of loopback, in a thread of its own.
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let ledger = Arc::new(Ledger::default());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let router = route::router(Arc::clone(&ledger));
        // One thread only: a stream that yields has been flushed, which the cut scenario relies upon.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    ended = async { axum::serve(listener, router).await } => ended.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self { address, ledger, stop: Some(stop), thread: Some(thread) }
    }

    /// Returns the URL below which a scenario is played to a client; vendors' paths are appended to it.
    pub(crate) fn url(&self, scenario: Scenario, client: &str) -> String {
        format!("http://{}/s/{}.{client}", self.address, scenario.name())
    }

    /// Plays this scenario to everyone from now on, whatever their URLs say.
    pub(crate) fn switch(&self, scenario: Scenario) {
        self.ledger.switch(scenario);
    }

    /// Returns what a client was told in its conversations; its side requests, which offer no tool, are apart.
    pub(crate) fn counted(&self, client: &str) -> Counted {
        self.ledger.counted(client)
    }

    /// Returns what a client was told in side requests: titles, routing, summaries.
    pub(crate) fn counted_aside(&self, client: &str) -> Counted {
        self.ledger.counted_aside(client)
    }

    /// Returns every request so far, oldest first.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.ledger.requests()
    }

    /// Returns the moment that was told last as the reset of an account, in seconds since 1970.
    #[track_caller]
    pub(crate) fn reset(&self) -> u64 {
        self.ledger.reset().expect("a refusal with a reset")
    }

    /// Blocks until so many streams of the slow scenario have stood still at the gate since the start.
    #[track_caller]
    pub(crate) fn wait_until_held(&self, streams: usize) {
        assert!(self.ledger.wait_until_held(streams), "no agent came to the gate; requests: {:#?}", self.paths());
    }

    /// Opens the gate for all streams, those to come too.
    pub(crate) fn release(&self) {
        self.ledger.release();
    }

    fn paths(&self) -> Vec<String> {
        self.requests().iter().map(|r| format!("{} {} {}", r.method, r.path, r.scenario.name())).collect()
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
