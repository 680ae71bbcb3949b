//! What a run used, from the three places where agents tell it.
//!
//! Measured in 2026-11: a prompt's result has `usage` (claude: the turn's, opencode: only the last step's),
//! `_meta.quota.token_count` (gemini: the turn's) or nothing (codex, qwen). `usage_update` has `used`, how full the
//! context is (codex: after each request, so what that one took), and `cost`, a level: of the process with claude, of
//! the whole session with opencode, loaded runs too.

use musher_core::run::Usage;
use serde_json::Value;

/// Makes differences of levels.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// The cost that was told so far; none when the next one told is only where to count from.
    cost_from: Option<u64>,
    cost_now: Option<u64>,
    used_from: u64,
    used_now: u64,
    /// Whether each new `used` is what one more request read and wrote, and so is added up; else it is a level only.
    by_request: bool,
    used_last: Option<u64>,
}

impl Meter {
    /// A session of this run: its cost begins at nothing.
    pub(super) fn begun(agent: &str) -> Self {
        Self { cost_from: Some(0), by_request: agent == "codex-acp", ..Self::default() }
    }

    /// An earlier run's session, loaded by this program. What its cost begins at is unknown, but where the program is
    /// known to count for its own process; the first turn's then is not told rather than told twice.
    pub(super) fn loaded(agent: &str, replayed: Option<u64>) -> Self {
        let counts_itself = agent == "@agentclientprotocol/claude-agent-acp";
        Self { cost_from: replayed.or(counts_itself.then_some(0)), ..Self::begun(agent) }
    }

    /// A `usage_update`.
    pub(super) fn level(&mut self, used: Option<u64>, cost_micro_usd: Option<u64>) {
        if let Some(used) = used.filter(|used| self.used_last != Some(*used)) {
            self.used_now = if self.by_request { self.used_now.saturating_add(used) } else { self.used_now.max(used) };
            self.used_last = Some(used);
        }
        self.cost_now = cost_micro_usd.or(self.cost_now);
    }

    /// The cost that was told last.
    pub(super) fn cost(&self) -> Option<u64> {
        self.cost_now
    }

    /// A prompt's result: what was used since the last one, and whether its cost was told; nothing when nothing was.
    pub(super) fn turn(&mut self, result: &Value) -> Option<(Usage, bool)> {
        let cancelled = result["stopReason"] == "cancelled";
        let tokens = match told(result) {
            Some(told) => told,
            // claude is silent then, and has the cost of this turn in that of the next.
            None if cancelled => Usage::default(),
            // Read or written is not told apart. Of a level, the growth is the least that was read: too little, but
            // nothing twice.
            None => read(self.used_now.saturating_sub(self.used_from), 0),
        };
        if !cancelled {
            self.used_from = self.used_from.max(self.used_now);
        }
        let cost = match (self.cost_from, self.cost_now) {
            (Some(from), Some(now)) => Some(now.saturating_sub(from)),
            (Some(_) | None, None) | (None, Some(_)) => None,
        };
        // A level that falls, as a cancelled turn of opencode shows, was counted already.
        self.cost_from = self.cost_from.max(self.cost_now);
        let used = Usage { cost_micro_usd: cost.unwrap_or_default(), ..tokens };
        (used != Usage::default()).then_some((used, cost.is_some()))
    }
}

fn read(input_tokens: u64, output_tokens: u64) -> Usage {
    Usage { input_tokens, output_tokens, ..Usage::default() }
}

fn told(result: &Value) -> Option<Usage> {
    let count = |value: &Value| value.as_u64();
    let quota = &result["_meta"]["quota"]["token_count"];
    if let (Some(input), Some(output)) = (count(&quota["input_tokens"]), count(&quota["output_tokens"])) {
        return Some(read(input, output));
    }
    let usage = &result["usage"];
    let input = count(&usage["inputTokens"])?;
    let part = |name: &str| count(&usage[name]).unwrap_or_default();
    let output = part("outputTokens");
    let (cache_read_tokens, cache_write_tokens) = (part("cachedReadTokens"), part("cachedWriteTokens"));
    let of_all = |input, output| Usage { cache_read_tokens, cache_write_tokens, ..read(input, output) };
    let apart = input.saturating_add(cache_read_tokens).saturating_add(cache_write_tokens);
    // The total tells whether the input has the cached tokens in it, and the output the thoughts.
    let Some(total) = count(&usage["totalTokens"]) else { return Some(of_all(apart, output)) };
    let input = if total < apart.saturating_add(output) { input } else { apart };
    let thoughts = part("thoughtTokens").min(total.saturating_sub(input).saturating_sub(output));
    Some(of_all(input, output.saturating_add(thoughts)))
}
