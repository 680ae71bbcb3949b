//! The planned moments of a schedule.
//!
//! Cron expressions are croner's, on the wall clock of their zone. Where the clock is set forward, a moment that the day
//! does not have is met at the first that it has; one that comes at many hours is left out. Where it is set back, a
//! single moment is met once, the first time; one that comes at many hours is met both times.

use std::time::Duration;

use croner::parser::{CronParser, Seconds, Year};
use jiff::Zoned;
use jiff::tz::TimeZone;

use super::When;
use crate::quota::period::zone;
use crate::time::Timestamp;

/// How far moments are counted: more is said as this many.
pub(super) const COUNTED: u32 = 10_000;

/// A cron expression in its zone, understood.
pub struct Cron {
    pattern: croner::Cron,
    zone: TimeZone,
}

/// What is wrong with a cron expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronProblem {
    /// It is none.
    #[error("`{expression}` is no cron expression: {why}")]
    Expression {
        /// The text.
        expression: String,
        /// Why.
        why: String,
    },
    /// There is no such zone.
    #[error("there is no time zone `{0}`")]
    Zone(String),
    /// No moment ever comes.
    #[error("`{0}` names no moment that ever comes")]
    Never(String),
}

/// The longest expression: no honest one is longer, and what is parsed at every start is short.
const LONGEST_EXPRESSION: usize = 200;

impl Cron {
    /// Reads an expression of 5 fields, or 6 with seconds first; the empty zone is UTC.
    ///
    /// # Errors
    /// It is none, the zone is unknown, or no moment of it ever comes, such as 30 February.
    pub fn parse(expression: &str, tz: &str) -> Result<Self, CronProblem> {
        let wrong = |why: String| CronProblem::Expression { expression: clipped(expression), why };
        if expression.len() > LONGEST_EXPRESSION {
            return Err(wrong(format!("it is longer than {LONGEST_EXPRESSION} characters")));
        }
        let fields = expression.split_whitespace().count();
        if !matches!(fields, 5 | 6) && !expression.trim_start().starts_with('@') {
            return Err(wrong(format!("it has {fields} fields; it has 5, or 6 with seconds first")));
        }
        let zone = zone(tz).ok_or_else(|| CronProblem::Zone(clipped(tz)))?;
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let pattern = parser.parse(expression).map_err(|error| wrong(error.to_string()))?;
        let cron = Self { pattern, zone };
        // 2000 began a cycle of 400 years, which is all that a calendar has.
        match cron.next(SOME_MOMENT) {
            Some(_) => Ok(cron),
            None => Err(CronProblem::Never(clipped(expression))),
        }
    }

    /// The first moment after this one.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let found = self.pattern.find_next_occurrence(&self.local(after)?, false).ok()?;
        Some(moment(&found)).filter(|at| *at > after)
    }

    /// The last moment before this one.
    fn previous(&self, before: Timestamp) -> Option<Timestamp> {
        let found = self.pattern.find_previous_occurrence(&self.local(before)?, false).ok()?;
        Some(moment(&found)).filter(|at| *at < before)
    }

    /// Whole seconds: between two of them no moment lies.
    fn local(&self, at: Timestamp) -> Option<Zoned> {
        Some(jiff::Timestamp::from_second(at.as_secs()).ok()?.to_zoned(self.zone.clone()))
    }
}

/// The first second of 2000.
const SOME_MOMENT: Timestamp = Timestamp::from_micros(946_684_800_000_000);

fn moment(at: &Zoned) -> Timestamp {
    Timestamp::from_micros(at.timestamp().as_microsecond())
}

fn clipped(text: &str) -> String {
    text.chars().take(LONGEST_EXPRESSION).collect()
}

impl When {
    /// The first moment of a schedule that is defined, or enabled, now.
    pub(super) fn first(&self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron { expression, tz } => Cron::parse(expression, tz).ok()?.next(now),
            Self::Every { secs } => Some(now.after(Duration::from_secs((*secs).max(1)))),
            Self::At(at) => (*at > now).then_some(*at),
        }
    }

    /// The moment that follows a planned one.
    pub(super) fn next(&self, planned: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Cron { expression, tz } => Cron::parse(expression, tz).ok()?.next(planned),
            Self::Every { secs } => Some(planned.after(Duration::from_secs((*secs).max(1)))),
            Self::At(_) => None,
        }
    }

    /// The last planned moment up to `until`, from the planned moment `due` on, which is not after it.
    pub(super) fn last(&self, due: Timestamp, until: Timestamp) -> Timestamp {
        let last = match self {
            Self::Cron { expression, tz } => {
                // The moment of this very second counts.
                let beyond = until.after(Duration::from_secs(1));
                let cron = Cron::parse(expression, tz).ok();
                cron.and_then(|cron| cron.previous(Timestamp::from_micros(beyond.as_secs() * 1_000_000)))
            }
            Self::Every { secs } => {
                let step = (*secs).max(1);
                let steps = until.since(due).as_secs() / step;
                Some(due.after(Duration::from_secs(steps.saturating_mul(step))))
            }
            Self::At(_) => None,
        };
        last.filter(|at| *at >= due && *at <= until).unwrap_or(due)
    }

    /// The planned moment `steps` before a planned one, but not before `due`.
    pub(super) fn back(&self, from: Timestamp, steps: usize, due: Timestamp) -> Timestamp {
        let found = match self {
            Self::Cron { expression, tz } => {
                let cron = Cron::parse(expression, tz).ok();
                cron.map(|cron| (0..steps).try_fold(from, |at, _| cron.previous(at)).unwrap_or(due))
            }
            Self::Every { secs } => {
                let span = i64::try_from((*secs).max(1).saturating_mul(steps as u64)).unwrap_or(i64::MAX);
                Some(Timestamp::from_micros(from.as_micros().saturating_sub(span.saturating_mul(1_000_000))))
            }
            Self::At(_) => None,
        };
        found.unwrap_or(due).max(due)
    }

    /// How many planned moments there are from the planned one `due` on and before `until`, up to [`COUNTED`].
    pub(super) fn count(&self, due: Timestamp, until: Timestamp) -> u32 {
        if due >= until {
            return 0;
        }
        match self {
            Self::Cron { expression, tz } => {
                let Ok(cron) = Cron::parse(expression, tz) else { return 0 };
                let moments = std::iter::successors(Some(due), |at| cron.next(*at));
                let count = moments.take(COUNTED as usize).take_while(|at| *at < until).count();
                u32::try_from(count).unwrap_or(COUNTED)
            }
            Self::Every { secs } => {
                let step = u128::from((*secs).max(1)) * 1_000_000;
                let count = until.since(due).as_micros().div_ceil(step);
                u32::try_from(count).unwrap_or(COUNTED).min(COUNTED)
            }
            Self::At(_) => 1,
        }
    }
}
