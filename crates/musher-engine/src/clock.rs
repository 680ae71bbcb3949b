//! The engine owns the clock; tests own the engine's clock.

use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use musher_core::time::Timestamp;

/// Where the engine gets the moment from.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;
    /// How long the engine may sleep until this moment; it is woken by commands all the same.
    fn until(&self, due: Timestamp) -> Duration;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// The longest sleep, so that a clock that jumps ahead is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    fn until(&self, due: Timestamp) -> Duration {
        due.since(self.now()).min(LONGEST_SLEEP)
    }
}

/// A clock that stands until it is moved.
#[derive(Debug)]
pub struct ManualClock(Mutex<Timestamp>);

impl ManualClock {
    /// Starts at this moment.
    pub fn new(at: Timestamp) -> Self {
        Self(Mutex::new(at))
    }

    /// Moves it to this moment; wake the engine afterwards.
    pub fn set(&self, at: Timestamp) {
        if let Ok(mut now) = self.0.lock() {
            *now = at;
        }
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.0.lock().map(|now| *now).unwrap_or_default()
    }

    fn until(&self, due: Timestamp) -> Duration {
        if due <= self.now() { Duration::ZERO } else { LONGEST_SLEEP }
    }
}
