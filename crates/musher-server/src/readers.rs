//! Readers of the store, kept open between requests: opening one costs more than most questions.

use std::sync::{Arc, Mutex};

use musher_engine::Engine;
use musher_store::{Reader, StoreError};

use crate::api::Problem;
use crate::problem;

/// The most readers that are kept open while nobody asks.
const KEPT: usize = 4;

/// Readers that nobody uses just now.
#[derive(Clone)]
pub(crate) struct Readers {
    engine: Engine,
    idle: Arc<Mutex<Vec<Box<dyn Reader>>>>,
}

impl Readers {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine, idle: Arc::default() }
    }

    /// Asks the store, on a thread that may wait for the disk.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let idle = self.idle.lock().ok().and_then(|mut idle| idle.pop());
        let reader = match idle {
            Some(reader) => reader,
            None => self.engine.reader().await.map_err(problem::of_engine)?,
        };
        let (reader, answer) = tokio::task::spawn_blocking(move || {
            let answer = question(&*reader);
            (reader, answer)
        })
        .await
        .map_err(|_| Problem::new(500, "defect", "a defect of musher: a question to the store panicked"))?;
        // A reader that failed once may be in an odd state; the next question gets a new one.
        let answer = answer.map_err(|error| problem::of_store(&error))?;
        if let Ok(mut idle) = self.idle.lock()
            && idle.len() < KEPT
        {
            idle.push(reader);
        }
        Ok(answer)
    }
}
