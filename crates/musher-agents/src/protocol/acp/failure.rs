//! What an error of the agent means for the run.
//!
//! Measured in 2026-11: codex-acp, claude-agent-acp and opencode answer a prompt with -32603 and the provider's words,
//! gemini with the HTTP status as code.

use musher_core::run::FailureClass;
use musher_core::time::Timestamp;
use serde_json::Value;

use super::super::Ended;
use super::super::words::shown;
use super::schema::Fault;

/// The code of ACP for "login first"; elsewhere it is any server's error.
const AUTH_REQUIRED: i64 = -32000;

/// The end that a fault means; `methods` are the agent's ways to log in.
pub(super) fn end(fault: &Fault, methods: &[String], at: Timestamp) -> Ended {
    let status = i64::from(status_in(&fault.data));
    let asks_login = ["auth", "login", "log in", "api key", "credential"];
    let words = fault.words.to_lowercase();
    let required = fault.code == AUTH_REQUIRED && asks_login.iter().any(|sign| words.contains(sign));
    if required || matches!(status, 401 | 403) || matches!(fault.code, 401 | 403) {
        return login(&fault.words, methods);
    }
    if status == 429 || fault.code == 429 {
        return Ended::RateLimited { resets_at: resets_at(&fault.data, at), message: shown(&fault.words) };
    }
    let kind = fault.data["errorKind"].as_str().or(fault.data["codex_error_info"].as_str()).unwrap_or_default();
    match sort(&format!("{} {kind}", fault.words)) {
        Sort::Login => login(&fault.words, methods),
        Sort::Limit => Ended::RateLimited { resets_at: resets_at(&fault.data, at), message: shown(&fault.words) },
        Sort::Other => Ended::Failed { class: FailureClass::Agent, message: shown(&fault.words) },
    }
}

/// Whether an agent's closing words are an error of its provider, and the end that this means.
pub(super) fn end_in_words(words: &str) -> Option<Ended> {
    let error =
        ["API Error:", "[API Error:", "Failed to authenticate. API Error:"].iter().any(|e| words.starts_with(e));
    let fault = Fault { code: 0, words: words.lines().next().unwrap_or_default().to_owned(), data: Value::Null };
    error.then(|| end(&fault, &[], Timestamp::default()))
}

enum Sort {
    Login,
    Limit,
    Other,
}

fn sort(words: &str) -> Sort {
    let words = words.to_lowercase();
    let number = |status: &str| words.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == status);
    let any = |signs: &[&str]| signs.iter().any(|sign| words.contains(sign));
    if number("429") || any(&["rate limit", "rate_limit", "quota", "too many requests", "usage limit", "usage_limit"]) {
        return Sort::Limit;
    }
    let login = ["unauthorized", "unauthenticated", "authenticat", "api key", "api_key", "not logged in", "forbidden"];
    if number("401") || number("403") || any(&login) { Sort::Login } else { Sort::Other }
}

fn login(words: &str, methods: &[String]) -> Ended {
    let message = match methods {
        [] => format!("not logged in: {words}"),
        methods => format!("not logged in: {words} (its ways to log in: {})", methods.join(", ")),
    };
    Ended::Failed { class: FailureClass::Setup, message: shown(&message) }
}

/// An HTTP status in the data, at most two levels down.
fn status_in(data: &Value) -> u16 {
    let here = |value: &Value| {
        let names = ["status", "statusCode", "http_status_code", "code"];
        names.iter().find_map(|name| u16::try_from(value.get(name)?.as_u64()?).ok())
    };
    let deeper = || {
        data.as_object()?.values().find_map(|value| here(value).or_else(|| value.as_object()?.values().find_map(here)))
    };
    here(data).or_else(deeper).unwrap_or_default()
}

fn resets_at(data: &Value, at: Timestamp) -> Option<Timestamp> {
    let number = |names: &[&str]| names.iter().find_map(|name| data.get(name)?.as_u64());
    if let Some(wait_s) = number(&["retry_after", "retryAfter", "resets_in_seconds"]) {
        return Some(at.after(std::time::Duration::from_secs(wait_s)));
    }
    let moment_s = number(&["resets_at", "resetsAt", "reset_at"])?;
    Some(Timestamp::from_micros(i64::try_from(moment_s).ok()?.checked_mul(1_000_000)?))
}
