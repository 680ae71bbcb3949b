//! Tokens, as differences.
//!
//! Codex tells the sum of a thread and what came last. The sum goes on when the thread is resumed, and is told once
//! more before anything new: that is what was counted in an earlier run.

use std::collections::{BTreeMap, BTreeSet};

use musher_core::run::Usage;
use serde_json::Value;

use super::super::Observation;

/// What was counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// The sum of each thread. One that is not here is told for the first time.
    sums: BTreeMap<String, Usage>,
    /// The resumed thread, until its sum is known.
    resumed: Option<String>,
    /// The turns of this run.
    turns: BTreeSet<String>,
}

impl Counts {
    /// A thread that nothing was used in.
    pub(super) fn begin(&mut self, thread: &str) {
        self.sums.insert(thread.to_owned(), Usage::default());
    }

    /// A thread whose sum has a past.
    pub(super) fn resume(&mut self, thread: &str) {
        self.resumed = Some(thread.to_owned());
    }

    /// A turn of this run.
    pub(super) fn turn(&mut self, turn: &str) {
        self.turns.insert(turn.to_owned());
    }

    /// Takes a `thread/tokenUsage/updated`, and gives what it adds.
    pub(super) fn hear(&mut self, params: &Value) -> Option<Observation> {
        let (thread, turn) = (params["threadId"].as_str()?, params["turnId"].as_str().unwrap_or_default());
        let (sum, last) = (usage(&params["tokenUsage"]["total"])?, usage(&params["tokenUsage"]["last"])?);
        let used = match self.sums.insert(thread.to_owned(), sum) {
            Some(before) => difference(sum, before).unwrap_or(last),
            // The sum of the past, unless the first that is heard belongs to a turn of this run.
            None if self.resumed.as_deref() == Some(thread) && !self.turns.contains(turn) => Usage::default(),
            None => last,
        };
        (used.tokens() > 0).then_some(Observation::Usage { used, priced: false })
    }
}

/// A sum that fell was begun anew.
fn difference(sum: Usage, before: Usage) -> Option<Usage> {
    let fell = sum.input_tokens < before.input_tokens || sum.output_tokens < before.output_tokens;
    (!fell).then(|| sum.since(before))
}

/// Usage as OpenAI counts it: what was read from a cache, or put into one, is part of the input.
fn usage(counts: &Value) -> Option<Usage> {
    let count = |name: &str| counts[name].as_u64();
    Some(Usage {
        input_tokens: count("inputTokens")?,
        cache_read_tokens: count("cachedInputTokens").unwrap_or_default(),
        cache_write_tokens: count("cacheWriteInputTokens").unwrap_or_default(),
        output_tokens: count("outputTokens")?,
        ..Usage::default()
    })
}
