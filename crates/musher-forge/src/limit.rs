//! Rate limits: what a forge says about them, and that it is not asked before they allow.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use musher_core::time::Timestamp;

use crate::error::ForgeError;
use crate::http::Answer;

/// The budgets of a forge: requests and GraphQL are counted apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Budget {
    Rest,
    Graphql,
}

/// What is known of the limits.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// Until when nothing is asked: of REST, of GraphQL.
    rest: Mutex<[Option<Timestamp>; 2]>,
}

impl Limits {
    /// Refuses while a limit is known to hold.
    pub(crate) fn check(&self, budget: Budget, now: Timestamp) -> Result<(), ForgeError> {
        let until = self.rest.lock().unwrap_or_else(PoisonError::into_inner)[budget as usize];
        match until {
            Some(until) if until > now => {
                Err(ForgeError::Limited { until, what: "no request is left before the limit is reset".to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// Learns from an answer: whether it was the last one for now.
    pub(crate) fn learn(&self, budget: Budget, answer: &Answer, now: Timestamp) {
        let spent = answer.header("x-ratelimit-remaining").is_some_and(|left| left.trim() == "0");
        if let Some(until) = reset(answer, now).filter(|_| spent) {
            self.rest(budget, until);
        }
    }

    /// Nothing more is asked until then. A secondary limit holds for both budgets.
    pub(crate) fn rest(&self, budget: Budget, until: Timestamp) {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)[budget as usize] = Some(until);
    }
}

/// The limit that an answer of 403 or 429 speaks of, if it speaks of one.
///
/// A primary limit says that nothing remains and when it is reset; a secondary one says how long to wait, or only says in
/// its message that it is one: then it is a minute, as GitHub's documentation has it.
pub(crate) fn limited(answer: &Answer, message: &str, now: Timestamp) -> Option<(Timestamp, &'static str)> {
    if let Some(wait) = retry_after(answer, now) {
        return Some((now.after(wait.min(LONGEST)), "a secondary limit"));
    }
    let spent = answer.header("x-ratelimit-remaining").is_some_and(|left| left.trim() == "0");
    if let Some(until) = reset(answer, now).filter(|_| spent) {
        return Some((until, "the primary limit"));
    }
    let lower = message.to_ascii_lowercase();
    let named = ["secondary rate limit", "abuse detection", "rate limit exceeded"].iter().any(|w| lower.contains(w));
    (named || answer.status.as_u16() == 429).then(|| (now.after(UNNAMED), "a secondary limit"))
}

/// When the primary limit is reset, never further away than [`LONGEST`]: a wrong number must not stop work for years.
fn reset(answer: &Answer, now: Timestamp) -> Option<Timestamp> {
    let seconds: i64 = answer.header("x-ratelimit-reset")?.trim().parse().ok()?;
    let until = Timestamp::from_micros(seconds.checked_mul(1_000_000)?);
    // A second more: the clocks may differ, and an early request is refused.
    Some(until.max(now).min(now.after(LONGEST)).after(Duration::from_secs(1)))
}

/// Seconds, or a moment.
fn retry_after(answer: &Answer, now: Timestamp) -> Option<Duration> {
    let text = answer.header("retry-after")?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let moment = httpdate::parse_http_date(text).ok()?;
    let seconds = moment.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    Some(Duration::from_secs(seconds.saturating_sub(u64::try_from(now.as_secs()).unwrap_or_default())))
}

/// The longest that a limit is believed: GitHub's last an hour.
const LONGEST: Duration = Duration::from_secs(2 * 3600);
/// How long a limit holds that does not say how long.
const UNNAMED: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use hyper::StatusCode;
    use hyper::body::Bytes;

    use super::*;

    fn answer(status: u16, headers: &[(&str, &str)]) -> Answer {
        let mut map = hyper::HeaderMap::new();
        for (name, value) in headers {
            map.insert(name.parse::<hyper::header::HeaderName>().unwrap(), value.parse().unwrap());
        }
        Answer { status: StatusCode::from_u16(status).unwrap(), headers: map, body: Bytes::new() }
    }

    #[test]
    fn each_way_to_say_that_a_limit_is_reached_is_understood() {
        let now = Timestamp::from_micros(1_000_000_000_000);
        let cases: &[(u16, &[(&str, &str)], &str, Option<u64>)] = &[
            (403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1000100")], "API rate limit", Some(101)),
            (403, &[("x-ratelimit-remaining", "7"), ("x-ratelimit-reset", "1000100")], "Must have admin rights", None),
            (403, &[("retry-after", "30")], "You have exceeded a secondary rate limit", Some(30)),
            (429, &[("retry-after", "Mon, 12 Jan 1970 13:47:10 GMT")], "", Some(30)),
            (403, &[], "You have exceeded a secondary rate limit. Wait a few minutes", Some(60)),
            (403, &[], "You have triggered an abuse detection mechanism.", Some(60)),
            (429, &[], "", Some(60)),
            (403, &[], "Resource not accessible by personal access token", None),
            // Numbers that make no sense stop nobody for years.
            (403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "99999999999")], "", Some(7201)),
            (403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")], "", Some(1)),
            (403, &[("retry-after", "99999999999")], "", Some(7200)),
            (403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "9223372036854775807")], "", None),
        ];
        for (status, headers, message, seconds) in cases {
            let until = limited(&answer(*status, headers), message, now).map(|(until, _)| until);
            assert_eq!(until, seconds.map(|s| now.after(Duration::from_secs(s))), "{status} {headers:?} {message}");
        }
    }

    #[test]
    fn the_last_request_of_a_budget_is_the_last_until_its_reset() {
        let now = Timestamp::from_micros(1_000_000_000_000);
        let limits = Limits::default();
        let last = answer(200, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1000100")]);
        limits.learn(Budget::Rest, &last, now);
        assert!(matches!(limits.check(Budget::Rest, now), Err(ForgeError::Limited { .. })));
        assert_eq!(limits.check(Budget::Graphql, now), Ok(()), "it has its own");
        assert_eq!(limits.check(Budget::Rest, now.after(Duration::from_secs(101))), Ok(()));
    }
}
