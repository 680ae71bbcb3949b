//! What codex says on its standard error, for the run that ends without an end.

use musher_core::run::FailureClass;
use serde_json::json;

use super::super::words::{plain, shown};
use super::super::{Ended, Exit};
use super::failure;

/// The line that tells most.
#[derive(Debug, Default)]
pub(super) struct Complaint {
    line: String,
    /// Whether it names itself an error. The backtrace and the advice behind it tell less.
    error: bool,
}

impl Complaint {
    pub(super) fn hear(&mut self, line: &str) {
        let line = shown(&plain(line));
        let lower = line.to_lowercase();
        let error = lower.starts_with("error") || lower.contains(" error ");
        if !line.is_empty() && (error || !self.error) {
            *self = Self { line, error };
        }
    }

    /// Its words.
    pub(super) fn words(&self) -> &str {
        &self.line
    }

    /// What an exit means that came before any end.
    pub(super) fn end(&self, exit: Exit) -> Ended {
        let message = shown(&format!("ended without a result ({}) {}", exit.words(), self.line));
        // 2 is what its arguments' parser says; a folder of its own that is no configuration is told in words.
        if exit.code == Some(2) || self.line.contains("unknown variant") || self.line.contains("config.toml") {
            return failure::setup(&message);
        }
        match failure::of_turn(&json!({"message": self.line}), None) {
            Ended::Failed { class, message: _ } => Ended::Failed { class, message },
            Ended::RateLimited { .. } | Ended::SessionLost { .. } | Ended::Finished { .. } | Ended::Cancelled => {
                Ended::Failed { class: FailureClass::Agent, message }
            }
        }
    }
}
