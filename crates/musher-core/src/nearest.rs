//! The nearest known name to an unknown one, for error messages.

/// The known name nearest to `unknown`, if one is near enough to be a slip of the hand; of equally near ones the first.
pub fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // What is longer than any name is no slip of the hand, and comparing costs the product of the lengths.
    if unknown.len() > LONGEST {
        return None;
    }
    let mut best: Option<(f64, &str)> = None;
    for name in known.filter(|name| name.len() <= LONGEST) {
        let similarity = strsim::jaro_winkler(unknown, name);
        if similarity >= NEAR_ENOUGH && best.is_none_or(|(least, _)| similarity > least) {
            best = Some((similarity, name));
        }
    }
    best.map(|(_, name)| name)
}

/// The similarity (0.0 to 1.0) from which a name may have been meant.
const NEAR_ENOUGH: f64 = 0.75;

/// The longest name that is compared, in bytes.
const LONGEST: usize = 128;

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_hand_finds_its_name_and_a_strange_word_none() {
        let known = ["goal", "policy", "items", "depends_on"];
        let cases = [
            ("gaol", Some("goal")),
            ("item", Some("items")),
            ("depends-on", Some("depends_on")),
            ("polcy", Some("policy")),
            ("xyz", None),
            ("", None),
        ];
        for (unknown, expected) in cases {
            assert_eq!(nearest(unknown, known.into_iter()), expected, "{unknown}");
        }
        assert_eq!(nearest(&"goal".repeat(1000), known.into_iter()), None);
    }
}
