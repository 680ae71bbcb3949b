//! Readers of the store, kept open between requests: opening one costs more than most questions.

use std::sync::{Arc, Mutex};

use musher_engine::{Engine, EngineError};
use musher_store::{Reader, StoreError};
use tokio::sync::Semaphore;

use crate::api::Problem;
use crate::problem;

/// The most readers at once, all of which are kept open; who asks while all are in use waits for the next.
///
/// Each is a connection with a cache of its own, and the writer's thread opens it: a hundred who ask at once must not mean
/// a hundred of them.
const READERS: usize = 6;

/// Readers that nobody uses just now.
#[derive(Clone)]
pub(crate) struct Readers {
    engine: Engine,
    idle: Arc<Mutex<Vec<Box<dyn Reader>>>>,
    places: Arc<Semaphore>,
}

impl Readers {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine, idle: Arc::default(), places: Arc::new(Semaphore::new(READERS)) }
    }

    /// Lets go of the store: the writer, when it ends, must be the last one there, or its log is left beside the file.
    pub(crate) fn close(&self) {
        self.places.close();
        if let Ok(mut idle) = self.idle.lock() {
            idle.clear();
        }
    }

    /// Asks the store, on a thread that may wait for the disk.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&dyn Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        let closed = |_| problem::of_engine(EngineError::Stopped);
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(closed)?;
        let idle = self.idle.lock().ok().and_then(|mut idle| idle.pop());
        let reader = match idle {
            Some(reader) => reader,
            None => self.engine.reader().await.map_err(problem::of_engine)?,
        };
        let (reader, answer, _place) = tokio::task::spawn_blocking(move || {
            let answer = question(&*reader);
            // A caller who went away meanwhile does not make room before the question is answered.
            (reader, answer, place)
        })
        .await
        .map_err(|_| Problem::new(500, "defect", "a defect of musher: a question to the store panicked"))?;
        // A reader that failed once may be in an odd state; the next question gets a new one.
        let answer = answer.map_err(|error| problem::of_store(&error))?;
        if let Ok(mut idle) = self.idle.lock()
            && !self.places.is_closed()
        {
            idle.push(reader);
        }
        Ok(answer)
    }
}
