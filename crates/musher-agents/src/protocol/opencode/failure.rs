//! What an `error` event means for the run.

use std::time::Duration;

use musher_core::run::FailureClass;
use musher_core::time::Timestamp;
use serde_json::Value;

use super::super::Ended;
use super::super::words::shown;

/// The longest wait that is believed: a month. More is a broken header.
const LONGEST_WAIT_S: f64 = 31.0 * 86_400.0;

/// The end that an error means which was told at this moment, if the process ends with it.
pub(super) fn end(error: &Value, at: Timestamp) -> Ended {
    let (name, data) = (error["name"].as_str().unwrap_or_default(), &error["data"]);
    let words = data["message"].as_str().filter(|words| !words.trim().is_empty()).unwrap_or(name);
    let message = if words.is_empty() { "an error without words".to_owned() } else { shown(words) };
    match (name, data["statusCode"].as_u64()) {
        ("MessageAbortedError", _) => Ended::Cancelled,
        (_, Some(429)) => Ended::RateLimited { resets_at: resets_at(&data["responseHeaders"], at), message },
        ("ProviderAuthError", _) | (_, Some(401 | 403)) => {
            Ended::Failed { class: FailureClass::Setup, message: format!("not logged in: {message}") }
        }
        // Open by nature: a name of theirs, or any other status.
        (_, _) => Ended::Failed { class: FailureClass::Agent, message },
    }
}

fn resets_at(headers: &Value, at: Timestamp) -> Option<Timestamp> {
    let number = |name: &str| headers[name].as_str()?.trim().parse::<f64>().ok();
    let wait_s = number("retry-after").or_else(|| Some(number("retry-after-ms")? / 1000.0))?;
    (0.0..=LONGEST_WAIT_S).contains(&wait_s).then(|| at.after(Duration::from_secs_f64(wait_s)))
}
