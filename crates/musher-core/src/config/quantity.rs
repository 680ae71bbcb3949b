//! Spans of time and sizes as people write them: a number and a unit.

/// Seconds of a text such as `90s`, `30m`, `1h30m` or `90d`; a bare number is seconds.
pub fn seconds(text: &str) -> Option<u64> {
    let mut total = 0u64;
    let mut rest = text.trim();
    if rest.bytes().all(|b| b.is_ascii_digit()) {
        return rest.parse().ok();
    }
    while !rest.is_empty() {
        let (number, after) = leading_number(rest)?;
        let unit_length = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(unit_length);
        let factor = match unit {
            "s" => 1,
            "m" | "min" => 60,
            "h" => 3600,
            "d" => 24 * 3600,
            "w" => 7 * 24 * 3600,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(factor)?)?;
        rest = after.trim_start();
    }
    Some(total)
}

/// Bytes of a text such as `10MiB`, `2 GiB` or `64kB`; a bare number is bytes.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = leading_number(text.trim())?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        _ => return None,
    };
    number.checked_mul(factor).filter(|n| i64::try_from(*n).is_ok())
}

/// The shortest exact text of a number of seconds.
pub fn show_seconds(seconds: u64) -> String {
    for (unit, factor) in [("d", 24 * 3600), ("h", 3600), ("m", 60)] {
        if seconds >= factor && seconds.is_multiple_of(factor) {
            return format!("{}{unit}", seconds / factor);
        }
    }
    format!("{seconds}s")
}

/// The shortest exact text of a number of bytes.
pub(crate) fn show_bytes(bytes: u64) -> String {
    for (unit, shift) in [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes >= 1 << shift && bytes.is_multiple_of(1 << shift) {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    format!("{bytes}B")
}

fn leading_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest.trim_start()))
}

/// The longest span that a file may name: ten years, in seconds.
pub(crate) const MOST_SECONDS: u64 = 10 * 365 * 24 * 3600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_a_number_and_a_unit() {
        let cases = [
            ("90s", Some(90)),
            ("90", Some(90)),
            ("30m", Some(1800)),
            ("1h30m", Some(5400)),
            ("1h 30m", Some(5400)),
            ("4 h", Some(14_400)),
            ("90d", Some(7_776_000)),
            ("", None),
            ("m", None),
            ("5x", None),
            ("-5s", None),
            ("1.5h", None),
            ("99999999999999999999s", None),
            ("9999999999999999999h", None),
        ];
        for (text, expected) in cases {
            assert_eq!(seconds(text), expected, "{text}");
        }
    }

    #[test]
    fn a_size_is_a_number_and_a_unit() {
        let cases = [
            ("10MiB", Some(10 << 20)),
            ("2 GiB", Some(2 << 30)),
            ("64kb", Some(64_000)),
            ("7", Some(7)),
            ("7B", Some(7)),
            ("", None),
            ("MiB", None),
            ("1.5MiB", None),
            ("9999999999TiB", None),
            ("9223372036854775808", None),
        ];
        for (text, expected) in cases {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_shown_is_read_back() {
        for n in [0, 1, 59, 60, 61, 3600, 5400, 86_400, 7_776_000] {
            assert_eq!(seconds(&show_seconds(n)), Some(n));
        }
        for n in [0, 1, 1023, 1024, 10 << 20, 2 << 30, (2 << 30) + 1] {
            assert_eq!(bytes(&show_bytes(n)), Some(n));
        }
    }
}
