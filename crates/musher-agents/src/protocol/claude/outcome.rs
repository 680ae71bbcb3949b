//! How a turn of Claude Code ended, and what it used.

use musher_core::run::{FailureClass, Usage};
use musher_core::time::Timestamp;
use serde_json::Value;

use super::content::one_line;
use super::text;
use crate::protocol::{Ended, Exit};

/// What a `result` line says. Its subtype is "success" for an API error too: only `is_error` counts.
///
/// `limited` is what it was told of its account, if that is used up.
pub(super) fn of(event: &Value, limited: Option<Option<Timestamp>>) -> Ended {
    let said = text(event, "result");
    let told_reset = reset(said);
    if event["is_error"] == false && !said.starts_with("Claude AI usage limit reached|") {
        return Ended::Finished { summary: said.to_owned() };
    }
    let message = reason(event);
    if message.contains(SESSION_LOST) {
        return Ended::SessionLost { message };
    }
    // Its other failures have the subtype of an interruption as well.
    if text(event, "terminal_reason").starts_with("aborted") {
        return Ended::Cancelled;
    }
    let subtype = text(event, "subtype");
    if matches!(subtype, "error_max_turns" | "error_max_budget_usd") {
        return Ended::Failed { class: FailureClass::Limit, message };
    }
    let status = event["api_error_status"].as_u64();
    let is_limited = status == Some(429) || limited.is_some() || told_reset.is_some() || speaks_of(said, &LIMIT);
    match status {
        Some(401 | 403) => Ended::Failed { class: FailureClass::Setup, message },
        // Whatever is said of the account, this was not it.
        Some(400 | 404 | 500..) => Ended::Failed { class: class(&message), message },
        _ if is_limited => Ended::RateLimited { resets_at: told_reset.or(limited.flatten()), message },
        _ => Ended::Failed { class: class(&message), message },
    }
}

/// What its process has used so far: a level.
pub(super) fn level(event: &Value) -> Usage {
    let models = event["modelUsage"].as_object();
    let sum = |fields: &[&str]| {
        let counts = models.into_iter().flat_map(|models| models.values());
        let counts = counts.flat_map(|model| fields.iter().filter_map(|field| model[*field].as_u64()));
        counts.fold(0, u64::saturating_add)
    };
    Usage {
        input_tokens: sum(&["inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens"]),
        cache_read_tokens: sum(&["cacheReadInputTokens"]),
        cache_write_tokens: sum(&["cacheCreationInputTokens"]),
        output_tokens: sum(&["outputTokens"]),
        cost_micro_usd: event["total_cost_usd"].as_f64().map_or(0, micro_usd),
        ..Usage::default()
    }
}

/// What it says when it tries again: "attempt 1 of 2 in 0.5 s: 401 authentication_failed".
pub(super) fn retry(event: &Value) -> String {
    let count = |field: &str| event[field].as_u64().map_or_else(|| "?".to_owned(), |count| count.to_string());
    let wait = event["retry_delay_ms"].as_f64().unwrap_or_default() / 1000.0;
    let status = event["error_status"].as_u64().map_or_else(String::new, |status| format!("{status} "));
    let error = one_line(text(event, "error"));
    format!("attempt {} of {} in {wait:.1} s: {status}{error}", count("attempt"), count("max_retries"))
}

/// The moment of a count of seconds since 1970, or of milliseconds where only that makes sense.
pub(super) fn epoch(count: f64) -> Option<Timestamp> {
    let seconds = if count > 1e11 { count / 1e3 } else { count };
    // Up to the year 9999, so that it can be written down.
    (1.0..253_402_300_000.0).contains(&seconds).then(|| Timestamp::from_micros((seconds * 1e6) as i64))
}

/// The sort of failure that these words of a program tell of.
pub(in crate::protocol) fn class(words: &str) -> FailureClass {
    let is_setup = speaks_of(words, &ACCESS) || speaks_of(words, &NETWORK);
    if is_setup { FailureClass::Setup } else { FailureClass::Agent }
}

/// What is kept of a program's standard error, for the case that it tells why it left nowhere else.
#[derive(Debug, Default)]
pub(in crate::protocol) struct Stderr {
    last: String,
    /// The line that says that its session is gone, or that it was never set up, whatever follows it.
    telling: Option<String>,
}

impl Stderr {
    /// Takes a line.
    pub(in crate::protocol) fn hear(&mut self, line: &str) {
        let line = one_line(line);
        if line.is_empty() {
            return;
        }
        // A connection that failed once may have come back; a refusal stands.
        if self.telling.is_none() && (is_session_lost(&line) || speaks_of(&line, &ACCESS)) {
            self.telling = Some(line.clone());
        }
        self.last = line;
    }

    /// What an exit means of which nothing else is known.
    pub(in crate::protocol) fn exited(&self, exit: Exit) -> Ended {
        let line = self.telling.as_ref().unwrap_or(&self.last);
        if is_session_lost(line) {
            return Ended::SessionLost { message: line.clone() };
        }
        let words = exit.words();
        let message = if line.is_empty() { words } else { format!("{words}: {line}") };
        Ended::Failed { class: class(line), message }
    }
}

fn is_session_lost(line: &str) -> bool {
    line.contains(SESSION_LOST) || line.contains("No saved session found")
}

fn reason(event: &Value) -> String {
    let errors = event["errors"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let told = [text(event, "result")].into_iter().chain(errors).map(one_line).find(|line| !line.is_empty());
    let subtype = || match text(event, "subtype") {
        "" | "success" => "it failed, and did not say why".to_owned(),
        subtype => subtype.to_owned(),
    };
    told.unwrap_or_else(subtype)
}

/// The end of "usage limit reached|1749924000".
fn reset(words: &str) -> Option<Timestamp> {
    let (_, rest) = words.split_once("limit reached|")?;
    let digits = rest.split(|letter: char| !letter.is_ascii_digit()).next()?;
    digits.parse().ok().and_then(epoch)
}

/// Whether the words have one of the signs, which are in lower case.
fn speaks_of(words: &str, signs: &[&str]) -> bool {
    let words = words.to_ascii_lowercase();
    signs.iter().any(|sign| words.contains(sign))
}

/// Rounded on the level, so that the differences add up to it.
fn micro_usd(usd: f64) -> u64 {
    (usd * 1e6).round() as u64
}

const SESSION_LOST: &str = "No conversation found";

/// That it may not work at all as it was set up.
const ACCESS: [&str; 9] = [
    "invalid api key",
    "not logged in",
    "please run /login",
    "failed to authenticate",
    "authentication_failed",
    "oauth token",
    "no auth type",
    "credit balance is too low",
    "root/sudo privileges",
];

/// That it did not reach its model.
const NETWORK: [&str; 5] = ["unable to connect", "connection error", "econnrefused", "enotfound", "fetch failed"];

/// That its account is used up.
const LIMIT: [&str; 4] = ["usage limit reached", "hit your limit", "hit your session limit", "hit your weekly limit"];
