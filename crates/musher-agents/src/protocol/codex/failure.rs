//! What an error of codex means for the run.

use musher_core::run::FailureClass;
use musher_core::time::Timestamp;
use serde_json::Value;

use super::super::Ended;
use super::super::words::shown;

/// The end that the error of a turn means.
pub(super) fn of_turn(error: &Value, resets_at: Option<Timestamp>) -> Ended {
    let message = words(error);
    let info = &error["codexErrorInfo"];
    // Either a word, or an object of one name with a status in it.
    let entry = info.as_object().and_then(|info| info.iter().next());
    let kind = info.as_str().or(entry.map(|(kind, _)| kind.as_str())).unwrap_or_default();
    let status = entry.and_then(|(_, about)| about["httpStatusCode"].as_u64()).or_else(|| status_in(&message));
    let said = message.to_lowercase();
    match (kind, status) {
        ("unauthorized", _) | (_, Some(401 | 403)) => setup(&format!("not logged in: {message}")),
        ("usageLimitExceeded" | "rateLimitExceeded", _) | (_, Some(429)) => Ended::RateLimited { resets_at, message },
        ("sessionBudgetExceeded", _) => Ended::Failed { class: FailureClass::Limit, message },
        ("modelNotFound", _) => setup(&message),
        // `exec` has only words.
        (_, _) if said.contains("usage limit") => Ended::RateLimited { resets_at, message },
        (_, _) if SETUP.iter().any(|sign| said.contains(sign)) => setup(&message),
        (_, _) => Ended::Failed { class: FailureClass::Agent, message },
    }
}

/// The end that an error means which came before any turn: nothing was asked of a model yet.
pub(super) fn of_start(error: &Value) -> Ended {
    setup(&words(error))
}

/// The end that a setup means which does not work.
pub(super) fn setup(message: &str) -> Ended {
    Ended::Failed { class: FailureClass::Setup, message: shown(message) }
}

/// The words of an error, in one line.
pub(super) fn words(error: &Value) -> String {
    let word = |name: &str| error[name].as_str().filter(|word| !word.trim().is_empty());
    match (word("message"), word("additionalDetails")) {
        (Some(message), Some(details)) => shown(&format!("{message}: {details}")),
        (Some(message), None) | (None, Some(message)) => shown(message),
        (None, None) => "an error without words".to_owned(),
    }
}

/// When the windows that are used up begin anew, if there are any.
pub(super) fn resets_at(limits: &Value) -> Option<Timestamp> {
    let windows = ["primary", "secondary"].into_iter().map(|name| &limits[name]);
    let full = windows.filter(|window| window["usedPercent"].as_f64().is_some_and(|percent| percent >= 100.0));
    let latest_s = full.filter_map(|window| window["resetsAt"].as_i64()).max()?;
    Some(Timestamp::from_micros(latest_s.checked_mul(1_000_000)?))
}

/// The status in "unexpected status 401 Unauthorized" and in "last status: 429".
fn status_in(words: &str) -> Option<u64> {
    let behind = words.split_once("status")?.1.trim_start_matches([':', ' ']);
    behind.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

/// What the words of an error hold that a person must put right before any run can work.
const SETUP: [&str; 6] =
    ["unauthorized", "not logged in", "codex login", "missing environment variable", "api key", "error loading config"];
