//! Ids made from titles.

use std::collections::BTreeSet;

use super::parts::ID_LIMIT;

/// The id that a title becomes: its letters and digits of ASCII in lower case, joined by `-`, at most 64; `item` when
/// nothing is left.
pub fn slug(title: &str) -> String {
    let mut slug = String::new();
    for character in title.chars() {
        if character.is_ascii_alphanumeric() {
            slug.push(character.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') && character != '\'' {
            slug.push('-');
        }
        if slug.len() >= ID_LIMIT {
            break;
        }
    }
    let slug = slug.trim_end_matches('-');
    if slug.is_empty() { "item".to_owned() } else { slug.to_owned() }
}

/// Hands out slugs, each once: a second `api` becomes `api-2`.
#[derive(Default)]
pub(super) struct Slugs {
    given: BTreeSet<String>,
    /// The last number tried for a slug, so that many equal titles cost no search each.
    last: std::collections::BTreeMap<String, usize>,
}

impl Slugs {
    pub(super) fn give(&mut self, title: &str) -> String {
        let wanted = slug(title);
        let mut given = wanted.clone();
        while !self.given.insert(given.clone()) {
            let number = self.last.entry(wanted.clone()).or_insert(1);
            *number += 1;
            let suffix = format!("-{number}");
            let kept = &wanted[..wanted.len().min(ID_LIMIT - suffix.len())];
            given = format!("{}{suffix}", kept.trim_end_matches('-'));
        }
        given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_becomes_an_id_of_lower_case_letters_digits_and_dashes() {
        let cases = [
            ("Add the HTTP API", "add-the-http-api"),
            ("  1. Schema (v2)!  ", "1-schema-v2"),
            ("Don't panic", "dont-panic"),
            ("Größe", "gr-e"),
            ("数据", "item"),
            ("", "item"),
        ];
        for (title, expected) in cases {
            assert_eq!(slug(title), expected, "{title}");
        }
        assert_eq!(slug(&"a".repeat(200)).len(), ID_LIMIT);
    }

    #[test]
    fn equal_titles_get_numbers_and_no_id_is_given_twice() {
        let mut slugs = Slugs::default();
        let given = ["API", "Api", "api-2", "api"].map(|title| slugs.give(title));
        assert_eq!(given, ["api", "api-2", "api-2-2", "api-3"]);
        let long = "x".repeat(100);
        assert_eq!(slugs.give(&long).len(), 64);
        assert_eq!(slugs.give(&long), format!("{}-2", "x".repeat(62)));
    }
}
