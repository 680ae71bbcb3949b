//! Days and hours: when what was used counts no more. The zones are compiled in, so that a day ends at the same moment on
//! every machine and when a simulation is replayed.

use std::time::Duration;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::time::Timestamp;

/// The zone of this IANA name, such as `Europe/Berlin`; the empty name is UTC. None when there is no such zone.
pub fn zone(name: &str) -> Option<TimeZone> {
    match name {
        "" | "UTC" => Some(TimeZone::UTC),
        name => TimeZoneDatabase::bundled().get(name).ok(),
    }
}

/// The names of all zones.
pub fn zones() -> Vec<String> {
    let database = TimeZoneDatabase::bundled();
    database.available().map(|name| name.as_str().to_owned()).collect()
}

/// The next midnight there. A day has 23 or 25 hours where the clocks are changed; where that happens at midnight, it
/// begins at the first moment that there is.
pub fn day_end(now: Timestamp, zone: &TimeZone) -> Timestamp {
    let end = || {
        let local = jiff::Timestamp::from_microsecond(now.as_micros()).ok()?.to_zoned(zone.clone());
        let midnight = local.tomorrow().ok()?.start_of_day().ok()?;
        Some(Timestamp::from_micros(midnight.timestamp().as_microsecond()))
    };
    // Only beyond the year 9999 is there no tomorrow.
    end().filter(|end| *end > now).unwrap_or_else(|| now.after(DAY))
}

/// The next full hour there: some zones are half an hour off.
pub fn hour_end(now: Timestamp, zone: &TimeZone) -> Timestamp {
    let seconds = now.as_secs();
    let offset = jiff::Timestamp::from_second(seconds).map_or(0, |moment| i64::from(zone.to_offset(moment).seconds()));
    let local = seconds.saturating_add(offset);
    let left = 3_600 - local.rem_euclid(3_600);
    Timestamp::from_micros(seconds.saturating_add(left).saturating_mul(1_000_000))
}

/// The day of a moment there, as `2026-01-31`.
pub fn day_name(moment: Timestamp, zone: &TimeZone) -> String {
    match jiff::Timestamp::from_microsecond(moment.as_micros()) {
        Ok(moment) => moment.to_zoned(zone.clone()).date().to_string(),
        Err(_) => moment.to_string(),
    }
}

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// No day is longer: one that seems to end later was begun by a clock that was wrong.
pub(super) const LONGEST_DAY: Duration = Duration::from_secs(26 * 3_600);

/// Nor an hour.
pub(super) const LONGEST_HOUR: Duration = Duration::from_secs(3_600);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    #[test]
    fn a_day_ends_at_local_midnight_also_when_it_has_23_or_25_hours() {
        let table = [
            ("", "2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z"),
            ("UTC", "2026-01-31T23:59:59.999999Z", "2026-02-01T00:00:00Z"),
            // The clocks go forward on 29 March and back on 25 October.
            ("Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
            ("Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
            ("Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T23:00:00Z"),
            ("Europe/Berlin", "2026-10-25T01:30:00Z", "2026-10-25T23:00:00Z"),
            // On 8 March and on 1 November.
            ("America/New_York", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"),
            ("America/New_York", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),
            ("America/New_York", "2026-07-01T03:59:59Z", "2026-07-01T04:00:00Z"),
            // Here midnight itself was left out: the day began at one o'clock.
            ("America/Sao_Paulo", "2018-11-03T12:00:00Z", "2018-11-04T03:00:00Z"),
            ("Asia/Kathmandu", "2026-01-31T12:00:00Z", "2026-01-31T18:15:00Z"),
        ];
        for (name, now, end) in table {
            let zone = zone(name).expect(name);
            assert_eq!(day_end(at(now), &zone), at(end), "{name} at {now}");
            assert!(day_end(at(end), &zone) > at(end), "a day begins where the one before ends");
        }
    }

    #[test]
    fn an_hour_is_full_when_the_clock_on_the_wall_says_so() {
        let table = [
            ("", "2026-01-31T10:00:00Z", "2026-01-31T11:00:00Z"),
            ("", "2026-01-31T10:59:59.9Z", "2026-01-31T11:00:00Z"),
            ("Asia/Kathmandu", "2026-01-31T10:10:00Z", "2026-01-31T10:15:00Z"),
            ("Europe/Berlin", "2026-03-29T00:59:59Z", "2026-03-29T01:00:00Z"),
            ("", "1969-12-31T23:30:00Z", "1970-01-01T00:00:00Z"),
        ];
        for (name, now, end) in table {
            assert_eq!(hour_end(at(now), &zone(name).expect(name)), at(end), "{name} at {now}");
        }
    }

    #[test]
    fn a_zone_that_is_none_is_none_and_every_name_is_one() {
        assert!(zone("Europe/Belrin").is_none() && zone("berlin").is_none());
        let names = zones();
        assert!(names.len() > 400 && names.iter().any(|name| name == "Europe/Berlin"), "{}", names.len());
        assert!(names.iter().all(|name| zone(name).is_some()));
    }
}
