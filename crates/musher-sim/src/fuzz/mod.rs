//! Fuzzing of every parser that reads what others write.
//!
//! A case is a seed: it draws a sample, changes it, and checks what must hold for whatever came of that. There is no
//! guidance by coverage; the changes know lines, JSON and the words of the samples instead, and each target tells how
//! many of its inputs were understood, so that one which only ever sees rubbish is noticed.
//!
//! Open [`TARGETS`] for what is fuzzed, `change` for how inputs are made, [`campaign`] for the loop and its report. A
//! target is a file here; its module says what it holds true.

use crate::chance::Chance;

pub mod campaign;
mod change;
mod dialogue;
mod masks;
mod notes;
mod plans;
mod records;
mod samples;
mod settings;
mod shell;
mod swap;
mod webhooks;
mod workflows;

/// A parser with what must hold for it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// The inputs that others are made from; never empty.
    samples: fn(&str) -> Vec<Vec<u8>>,
    /// Whether everything holds for this input; all else that the case needs is drawn.
    holds: fn(&str, &[u8], &mut Chance) -> Result<Read, String>,
}

impl Target {
    /// Checks one input; all else that the case needs is drawn from the seed. For engines of other makes, too.
    ///
    /// # Errors
    /// What did not hold, in words.
    pub fn check(&self, input: &[u8], seed: u64) -> Result<Read, String> {
        (self.holds)(self.name, input, &mut Chance::new(seed))
    }
}

/// What became of an input for which everything held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// It was understood.
    Understood,
    /// It was refused, or meant nothing.
    Refused,
}

impl Read {
    fn of<T, E>(result: &Result<T, E>) -> Self {
        if result.is_ok() { Self::Understood } else { Self::Refused }
    }
}

/// All that is fuzzed.
pub const TARGETS: &[Target] = &[
    Target { name: "acp", samples: samples::streams, holds: dialogue::holds },
    Target { name: "claude", samples: samples::streams, holds: dialogue::holds },
    Target { name: "codex", samples: samples::streams, holds: dialogue::holds },
    Target { name: "codex-exec", samples: samples::streams, holds: dialogue::holds },
    Target { name: "gemini", samples: samples::streams, holds: dialogue::holds },
    Target { name: "opencode", samples: samples::streams, holds: dialogue::holds },
    Target { name: "qwen", samples: samples::streams, holds: dialogue::holds },
    Target { name: "result", samples: samples::results, holds: records::result },
    Target { name: "records", samples: samples::records, holds: records::holds },
    Target { name: "masks", samples: samples::outputs, holds: masks::holds },
    Target { name: "plan", samples: samples::plans, holds: plans::holds },
    Target { name: "document", samples: samples::documents, holds: plans::holds },
    Target { name: "configuration", samples: samples::settings, holds: settings::holds },
    Target { name: "variables", samples: samples::variables, holds: settings::variables },
    Target { name: "workflow", samples: samples::workflows, holds: workflows::holds },
    Target { name: "note", samples: samples::notes, holds: notes::holds },
    Target { name: "webhook", samples: samples::webhooks, holds: webhooks::holds },
    Target { name: "comment", samples: samples::notes, holds: notes::comment },
    Target { name: "commands", samples: samples::commands, holds: shell::holds },
    Target { name: "rules", samples: samples::commands, holds: shell::rules },
];

/// Fails with these words unless the condition is true.
macro_rules! must {
    ($condition:expr, $($words:tt)+) => {
        if !$condition {
            return Err(format!($($words)+));
        }
    };
}
use must;
