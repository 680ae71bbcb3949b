//! What an error of gemini means for the run.

use std::time::Duration;

use musher_core::run::FailureClass;
use musher_core::time::Timestamp;
use serde_json::Value;

use super::super::Ended;
use super::super::words::shown;

/// The longest wait that is believed: a month. More is a misread sentence.
const LONGEST_WAIT_S: f64 = 31.0 * 86_400.0;

/// The end that a failed `result` of this type means; nothing where its words do not tell.
pub(super) fn of_result(kind: &str, words: &str, at: Timestamp) -> Option<Ended> {
    let by_kind = match kind {
        "FatalAuthenticationError" => Some(41),
        "FatalInputError" => Some(42),
        "FatalSandboxError" => Some(44),
        "FatalConfigError" => Some(52),
        "FatalTurnLimitedError" => Some(53),
        "FatalUntrustedWorkspaceError" => Some(55),
        "FatalCancellationError" => Some(130),
        // Open by nature; mostly `unknown` or the name of a JavaScript class.
        _ => None,
    };
    let code = by_kind.or_else(|| i32::try_from(status_in(words)?).ok().map(|status| status % 256))?;
    Some(of_exit(Some(code), words, at))
}

/// The end that an exit code means: gemini's own codes, or an HTTP status modulo 256.
pub(super) fn of_exit(code: Option<i32>, words: &str, at: Timestamp) -> Ended {
    let message = message(words);
    let class = match code {
        // 400: a key that is none is a bad request with Google, and only its words say so.
        Some(144) if words.contains("API_KEY_INVALID") || words.contains("API key not valid") => FailureClass::Setup,
        // 401 and 403.
        Some(145 | 147) => {
            return Ended::Failed { class: FailureClass::Setup, message: format!("not logged in: {message}") };
        }
        // Login, sandbox, settings, trust.
        Some(41 | 44 | 52 | 55) => FailureClass::Setup,
        Some(53) => FailureClass::Limit,
        Some(130) => return Ended::Cancelled,
        Some(173) => return Ended::RateLimited { resets_at: resets_at(words, at), message },
        Some(_) | None => FailureClass::Agent,
    };
    Ended::Failed { class, message }
}

/// The end of a process that told no result. It can be no success, and no quota is known to be used up.
///
/// One that ended by itself before it `began` could not start; one that was killed says nothing of its setup.
pub(super) fn without_result(code: Option<i32>, words: &str, began: bool) -> Ended {
    match of_exit(code, words, Timestamp::default()) {
        Ended::Failed { class: FailureClass::Agent, message } if !began && code.is_some() => {
            Ended::Failed { class: FailureClass::Setup, message }
        }
        Ended::RateLimited { resets_at: _, message } => Ended::RateLimited { resets_at: None, message },
        end @ (Ended::Finished { .. } | Ended::Failed { .. } | Ended::SessionLost { .. } | Ended::Cancelled) => end,
    }
}

/// The end that an `error` event means when it was the last that came of the model.
pub(super) fn of_stream(message: &str) -> Ended {
    let limit = message.starts_with("Maximum session turns");
    let class = if limit { FailureClass::Limit } else { FailureClass::Agent };
    Ended::Failed { class, message: shown(message) }
}

/// The provider's own words where they are in it.
fn message(words: &str) -> String {
    let error = error_in(words).unwrap_or_default();
    match shown(error["message"].as_str().unwrap_or(words)) {
        empty if empty.is_empty() => "an error without words".to_owned(),
        message => message,
    }
}

fn status_in(words: &str) -> Option<u64> {
    error_in(words)?["code"].as_u64()
}

/// The object in `[API Error: {"error":{"code":401,"message":…}}]`.
fn error_in(words: &str) -> Option<Value> {
    let json = words.get(words.find('{')?..=words.rfind('}')?)?;
    serde_json::from_str::<Value>(json).ok()?.get_mut("error").map(Value::take)
}

/// When the quota is there again: "Please retry in 34.07s", "will reset after 18h31m10s".
fn resets_at(words: &str, at: Timestamp) -> Option<Timestamp> {
    let span = ["retry in ", "reset after "].iter().find_map(|sign| words.split_once(sign))?.1;
    let (mut wait_s, mut number) = (0.0, String::new());
    for c in span.chars() {
        let unit_s = match c {
            '0'..='9' | '.' => {
                number.push(c);
                continue;
            }
            'h' => 3600.0,
            'm' => 60.0,
            's' => 1.0,
            _ => break,
        };
        wait_s += number.parse::<f64>().ok()? * unit_s;
        number.clear();
    }
    // "34.07ms" ends here with its `s` without a number; half a second is not worth the reading.
    (wait_s > 0.0 && wait_s <= LONGEST_WAIT_S).then(|| at.after(Duration::from_secs_f64(wait_s)))
}
