//! Many nights on a few threads.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::coverage::Coverage;
use crate::failure::Failure;
use crate::night;
use crate::variant::Variant;

/// From this many nights on, a fault that never occurred is a failure of the simulator itself.
pub const NIGHTS_TO_SEE_ALL: u64 = 2_000;

/// What a campaign came to.
#[derive(Debug)]
pub struct Outcome {
    /// Nights that held everything.
    pub passed: u64,
    /// The failure of the lowest seed that failed, if one did.
    pub failure: Option<Box<Failure>>,
    /// What the nights that passed held.
    pub coverage: Coverage,
}

thread_local! {
    static PLAYING: std::cell::Cell<Option<u64>> = const { std::cell::Cell::new(None) };
}

/// The seed that this thread plays just now, for the report of a panic.
pub fn playing() -> Option<u64> {
    PLAYING.get()
}

/// Plays the seeds `from .. from + count` on so many threads, and stops soon after the first that fails.
pub fn play(from: u64, count: u64, threads: usize, variant: Variant) -> Outcome {
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let outcome = Mutex::new(Outcome { passed: 0, failure: None, coverage: Coverage::default() });
    let worker = || {
        while !stop.load(Ordering::Relaxed) {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            if nth >= count {
                return;
            }
            let seed = from.wrapping_add(nth);
            PLAYING.set(Some(seed));
            let night = night::play(seed, variant);
            PLAYING.set(None);
            let mut outcome = outcome.lock().unwrap_or_else(PoisonError::into_inner);
            match night {
                Ok(coverage) => {
                    outcome.passed += 1;
                    outcome.coverage.add(&coverage);
                }
                Err(failure) => {
                    stop.store(true, Ordering::Relaxed);
                    if outcome.failure.as_ref().is_none_or(|f| failure.seed < f.seed) {
                        outcome.failure = Some(failure);
                    }
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(worker);
        }
    });
    outcome.into_inner().unwrap_or_else(PoisonError::into_inner)
}
