//! An account: what one scope has used in the present day and hour, and what an operator has set for it.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{Cap, Lasts, Rules, Scope, period};
use crate::run::{Usage, is_default};
use crate::time::Timestamp;

/// What one scope has used. A mission's sums are those of its items; its account holds only what was set and said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Whose.
    pub scope: Scope,
    /// What an operator has set: it holds over the configuration.
    #[serde(default, skip_serializing_if = "Rules::is_empty")]
    pub set: Rules,
    /// How many days it has begun: which day the sums below are of, for a clock may bring the same date twice.
    #[serde(default, skip_serializing_if = "is_default")]
    pub day: u64,
    /// When that day ends.
    #[serde(default, skip_serializing_if = "is_default")]
    pub day_ends: Timestamp,
    /// Tokens of the day.
    #[serde(default, skip_serializing_if = "is_default")]
    pub tokens: u64,
    /// Runs that were begun on the day.
    #[serde(default, skip_serializing_if = "is_default")]
    pub jobs: u64,
    /// Dollars of the day, in millionths.
    #[serde(default, skip_serializing_if = "is_default")]
    pub cost_micro_usd: u64,
    /// Pull requests that were opened on the day, and those that are being opened.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pulls: u64,
    /// When the hour ends that `requests` is of.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hour_ends: Timestamp,
    /// Runs that were begun within the hour.
    #[serde(default, skip_serializing_if = "is_default")]
    pub requests: u64,
    /// When a run last failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<Timestamp>,
    /// The caps of which it was said, in this period, that 80 % are used.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub warned: BTreeSet<Cap>,
    /// The caps of which it was said, in this period, that they are used up.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub exceeded: BTreeSet<Cap>,
}

impl Account {
    /// An account that was never used.
    pub fn new(scope: Scope) -> Self {
        Self {
            scope,
            set: Rules::default(),
            day: 0,
            day_ends: Timestamp::default(),
            tokens: 0,
            jobs: 0,
            cost_micro_usd: 0,
            pulls: 0,
            hour_ends: Timestamp::default(),
            requests: 0,
            failed_at: None,
            warned: BTreeSet::new(),
            exceeded: BTreeSet::new(),
        }
    }

    /// Begins the day and the hour of this moment, if those of the sums are over. A clock that goes back begins nothing:
    /// what was used still counts.
    pub(super) fn turn(&mut self, now: Timestamp, zone: impl Fn() -> TimeZone) {
        let wrong = |end: Timestamp, longest| now.after(longest) < end;
        if now >= self.day_ends {
            (self.tokens, self.jobs, self.cost_micro_usd, self.pulls) = (0, 0, 0, 0);
            self.forget(Lasts::Day);
            self.day += 1;
            self.day_ends = period::day_end(now, &zone());
        } else if wrong(self.day_ends, period::LONGEST_DAY) {
            // A clock that was far ahead began this day: the sums stay, their day is today.
            self.day_ends = period::day_end(now, &zone());
        }
        if now >= self.hour_ends {
            self.requests = 0;
            self.forget(Lasts::Hour);
            self.hour_ends = period::hour_end(now, &zone());
        } else if wrong(self.hour_ends, period::LONGEST_HOUR) {
            self.hour_ends = period::hour_end(now, &zone());
        }
    }

    fn forget(&mut self, lasts: Lasts) {
        self.warned.retain(|cap| cap.lasts() != lasts);
        self.exceeded.retain(|cap| cap.lasts() != lasts);
    }

    /// What has been used of a cap that counts by the day or the hour, at this moment; 0 for the others.
    pub fn used(&self, cap: Cap, now: Timestamp) -> u64 {
        let sum = match cap {
            Cap::DailyTokens => self.tokens,
            Cap::DailyJobs => self.jobs,
            Cap::DailyUsd => self.cost_micro_usd,
            Cap::HourlyRequests => self.requests,
            Cap::DailyPrs => self.pulls,
            Cap::ConcurrentJobs | Cap::MaxRunDuration | Cap::CooldownAfterFailure | Cap::Usd | Cap::Tokens => 0,
        };
        if self.ends(cap).is_some_and(|end| now < end) { sum } else { 0 }
    }

    /// When what has been used of a cap counts no more.
    pub fn ends(&self, cap: Cap) -> Option<Timestamp> {
        match cap.lasts() {
            Lasts::Day => Some(self.day_ends),
            Lasts::Hour => Some(self.hour_ends),
            Lasts::Always | Lasts::Not => None,
        }
    }

    /// Until when nothing begins after the last failure.
    pub fn cools_until(&self, cooldown_secs: u64) -> Option<Timestamp> {
        self.failed_at.map(|at| at.after(Duration::from_secs(cooldown_secs)))
    }

    pub(super) fn add(&mut self, usage: Usage) {
        self.tokens = self.tokens.saturating_add(usage.tokens());
        self.cost_micro_usd = self.cost_micro_usd.saturating_add(usage.cost_micro_usd);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    fn used(now: &str) -> Account {
        let mut account = Account::new(Scope::Workspace);
        account.turn(at(now), || TimeZone::UTC);
        (account.tokens, account.jobs, account.requests, account.pulls) = (7, 2, 2, 3);
        account.warned = BTreeSet::from([Cap::DailyTokens, Cap::HourlyRequests]);
        account
    }

    #[test]
    fn a_day_and_an_hour_are_begun_when_they_are_due_and_not_before() {
        let sums =
            |account: &Account| (account.tokens, account.jobs, account.pulls, account.requests, account.warned.len());
        for (now, wanted) in [
            ("2026-01-31T10:59:59Z", (7, 2, 3, 2, 2)),
            ("2026-01-31T11:00:00Z", (7, 2, 3, 0, 1)),
            ("2026-01-31T23:59:59Z", (7, 2, 3, 0, 1)),
            ("2026-02-01T00:00:00Z", (0, 0, 0, 0, 0)),
            ("2027-01-01T00:00:00Z", (0, 0, 0, 0, 0)),
            // A clock that goes back.
            ("2026-01-30T23:00:00Z", (7, 2, 3, 2, 2)),
            ("2020-01-01T00:00:00Z", (7, 2, 3, 2, 2)),
        ] {
            let mut account = used("2026-01-31T10:00:00Z");
            account.turn(at(now), || TimeZone::UTC);
            assert_eq!(sums(&account), wanted, "{now}");
            // To begin nothing and to look are the same answer.
            let before = used("2026-01-31T10:00:00Z");
            for cap in [Cap::DailyTokens, Cap::DailyJobs, Cap::DailyPrs, Cap::HourlyRequests] {
                assert_eq!(account.used(cap, at(now)), before.used(cap, at(now)), "{now} {}", cap.name());
            }
        }
    }

    #[test]
    fn a_day_that_a_wrong_clock_began_in_the_future_ends_today() {
        let mut account = used("2036-01-31T10:00:00Z");
        account.turn(at("2026-01-31T10:00:00Z"), || TimeZone::UTC);
        assert_eq!((account.tokens, account.day_ends), (7, at("2026-02-01T00:00:00Z")));
        assert_eq!(account.hour_ends, at("2026-01-31T11:00:00Z"));
    }
}
