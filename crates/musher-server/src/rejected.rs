//! What is wrong with the configuration, while the last good one is in force.

use std::sync::{Arc, Mutex, PoisonError};

/// Why the present configuration is not in force; nothing when it is.
#[derive(Clone, Debug, Default)]
pub struct Rejected(Arc<Mutex<Option<String>>>);

impl Rejected {
    /// Says what is wrong with it, or that it is in force. Answers whether that is news.
    pub fn set(&self, why: Option<String>) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let news = *known != why;
        *known = why;
        news
    }

    /// What is wrong with it.
    pub(crate) fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
