//! What the server remembers for the test: requests, counts, and the gate.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;

use super::reply::Tokens;
use super::scenario::Scenario;

/// What a client was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    /// Tokens read, those from a cache and into a cache included.
    pub(crate) input: u64,
    /// Tokens written.
    pub(crate) output: u64,
    /// Answers that were given to their end; refusals and broken streams are none.
    pub(crate) requests: u64,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Its method.
    pub(crate) method: String,
    /// Its path after the scenario.
    pub(crate) path: String,
    /// The client's name in the URL.
    pub(crate) client: String,
    /// What was played.
    pub(crate) scenario: Scenario,
    /// The body; null when there was none.
    pub(crate) body: Value,
}

/// How long a test waits for an agent at the gate: only a bound, so that a broken test ends.
const PATIENCE: Duration = Duration::from_secs(240);

/// The server's memory.
#[derive(Debug)]
pub(crate) struct Ledger {
    pages: Mutex<Pages>,
    arrived: Condvar,
    open: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Pages {
    requests: Vec<Request>,
    counted: BTreeMap<String, Counted>,
    aside: BTreeMap<String, Counted>,
    asked: BTreeMap<(Scenario, String), u64>,
    switched: Option<Scenario>,
    number: u64,
    held: usize,
    reset: Option<u64>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self { pages: Mutex::default(), arrived: Condvar::new(), open: watch::Sender::new(false) }
    }
}

impl Ledger {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// See [`super::Model::switch`].
    pub(crate) fn switch(&self, scenario: Scenario) {
        self.pages().switched = Some(scenario);
    }

    /// The scenario to be played to who asked for this one.
    pub(crate) fn played(&self, asked: Scenario) -> Scenario {
        self.pages().switched.unwrap_or(asked)
    }

    /// Writes a request down.
    pub(crate) fn record(&self, request: Request) {
        self.pages().requests.push(request);
    }

    /// Returns the number of a new question, from 1.
    pub(crate) fn next_number(&self) -> u64 {
        let mut pages = self.pages();
        pages.number += 1;
        pages.number
    }

    /// Returns how often this client has asked in this scenario, this time included; side requests do not count.
    pub(crate) fn nth(&self, scenario: Scenario, client: &str, aside: bool) -> u64 {
        let mut pages = self.pages();
        let asked = pages.asked.entry((scenario, client.to_owned())).or_default();
        *asked += u64::from(!aside);
        (*asked).max(1)
    }

    /// Adds what a client is told.
    pub(crate) fn tell(&self, client: &str, aside: bool, tokens: Tokens) {
        let mut pages = self.pages();
        let book = if aside { &mut pages.aside } else { &mut pages.counted };
        let counted = book.entry(client.to_owned()).or_default();
        counted.input += tokens.input;
        counted.output += tokens.output;
        counted.requests += 1;
    }

    /// See [`super::Model::counted`].
    pub(crate) fn counted(&self, client: &str) -> Counted {
        self.pages().counted.get(client).copied().unwrap_or_default()
    }

    /// See [`super::Model::counted_aside`].
    pub(crate) fn counted_aside(&self, client: &str) -> Counted {
        self.pages().aside.get(client).copied().unwrap_or_default()
    }

    /// See [`super::Model::requests`].
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.pages().requests.clone()
    }

    /// Remembers when an account is good again.
    pub(crate) fn remember_reset(&self, at: u64) {
        self.pages().reset = Some(at);
    }

    /// See [`super::Model::reset`].
    pub(crate) fn reset(&self) -> Option<u64> {
        self.pages().reset
    }

    /// Stands at the gate until it is open.
    pub(crate) async fn hold(&self) {
        self.pages().held += 1;
        self.arrived.notify_all();
        // The sender lives in `self`, so this cannot fail.
        let _ = self.open.subscribe().wait_for(|open| *open).await;
    }

    /// Blocks until so many have come to the gate; false when they do not come.
    pub(crate) fn wait_until_held(&self, streams: usize) -> bool {
        let waited = self.arrived.wait_timeout_while(self.pages(), PATIENCE, |pages| pages.held < streams);
        waited.unwrap_or_else(PoisonError::into_inner).0.held >= streams
    }

    /// See [`super::Model::release`].
    pub(crate) fn release(&self) {
        self.open.send_replace(true);
    }
}
