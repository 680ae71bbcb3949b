//! What waits, in the few words that `musher explain` says at length.

use musher_core::time::Timestamp;
use musher_server::api::Brief;

use crate::output::span;

/// A reason, and until when: `quota: daily job limit exceeded, until 00:00`.
pub(super) fn words(wait: &Brief, now: Timestamp) -> String {
    let until = wait.until.map(|at| format!(", until {}", moment(at, now))).unwrap_or_default();
    format!("{}{until}", wait.brief)
}

/// A moment (UTC) as short as it can be: with seconds when it is near, with its day when it is far.
fn moment(at: Timestamp, now: Timestamp) -> String {
    let text = at.to_string();
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
    match at.since(now).as_secs() {
        0..600 => part(11, 19).to_owned(),
        600..86_400 => part(11, 16).to_owned(),
        _ => format!("{} {}", part(0, 10), part(11, 16)),
    }
}

/// How long something has lasted.
pub(super) fn lasted(since: Timestamp, now: Timestamp) -> String {
    span(now.since(since).as_secs())
}

/// The first of many names: `a, b, c and 34 more`.
pub(super) fn first_of(names: &[String], count: usize) -> String {
    let more = count.saturating_sub(names.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_what_is_needed_to_tell_it() {
        let now = Timestamp::from_micros(1_764_324_000_000_000);
        let after = |secs: i64| Timestamp::from_micros(1_764_324_000_000_000 + secs * 1_000_000);
        let wait = |secs| Brief { code: "quota".to_owned(), brief: "quota: q".to_owned(), until: Some(after(secs)) };
        assert_eq!(words(&wait(5), now), "quota: q, until 10:00:05");
        assert_eq!(words(&wait(7_200), now), "quota: q, until 12:00");
        assert_eq!(words(&wait(200_000), now), "quota: q, until 2025-11-30 17:33");
        assert_eq!(words(&Brief { until: None, ..wait(0) }, now), "quota: q");
        assert_eq!(first_of(&["a".to_owned(), "b".to_owned()], 4), "a, b and 2 more");
    }
}
