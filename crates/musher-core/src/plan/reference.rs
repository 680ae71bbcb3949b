//! The issues that the phrases of a paragraph name: `depends on #1, owner/name#2 and #3`.

use super::phrase::{Flat, numbered, phrase_end, separator, space};
use crate::forge::Reference;

/// What a phrase names.
#[derive(Debug)]
pub(super) enum Named {
    /// An issue of the forge.
    Issue(Reference),
    /// An issue of another forge, by its address.
    Elsewhere(String),
}

/// The issues that a paragraph's phrases name, in the order of the text. A phrase that names no issue is prose. `site` is
/// the host of the forge.
pub(super) fn references(flat: &Flat, site: &str) -> Vec<Named> {
    let lower = flat.text().to_ascii_lowercase();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(character) = lower[at..].chars().next() {
        if let Some(end) = flat.code_end(at) {
            at = end;
            continue;
        }
        match phrase_end(&lower, at) {
            Some(end) => at = list(flat, end, site, &mut found),
            None => at += character.len_utf8(),
        }
    }
    found
}

/// Reads the references from `at` on; answers where they end.
fn list(flat: &Flat, mut at: usize, site: &str, found: &mut Vec<Named>) -> usize {
    let mut end = at;
    loop {
        at += space(&flat.text()[at..]);
        let Some((reference, after)) = reference(flat, at, site) else { return end };
        found.extend(reference);
        end = after;
        match separator(&flat.text()[end..]) {
            0 => return end,
            length => at = end + length,
        }
    }
}

/// The reference at `at`, if there is one, and its end. A number that no issue has names nothing, and is passed over.
fn reference(flat: &Flat, at: usize, site: &str) -> Option<(Option<Named>, usize)> {
    if let Some((end, target)) = flat.link_at(at) {
        let text = flat.text().get(at..end)?;
        let named = of_address(target, site).or_else(|| text.trim().parse().ok().map(Named::Issue));
        return named.map(|named| (Some(named), end));
    }
    // In inline code it is an example.
    if flat.code_end(at).is_some() {
        return None;
    }
    let rest = flat.text().get(at..)?;
    if let Some((_, length)) = numbered(rest) {
        return Some((rest.get(..length)?.parse().ok().map(Named::Issue), at + length));
    }
    if rest.starts_with("https://") || rest.starts_with("http://") {
        let length = rest.find(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | ')' | ']' | '>' | '"' | '\''));
        let address = rest.get(..length.unwrap_or(rest.len()))?.trim_end_matches(['.', ':', '!', '?']);
        return of_address(address, site).map(|named| (Some(named), at + address.len()));
    }
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    let repo = rest.find(|c: char| !name(c))?;
    let (_, digits) = numbered(rest.get(repo..)?)?;
    let text = rest.get(..repo + digits)?;
    text.contains('/').then(|| (text.parse().ok().map(Named::Issue), at + text.len()))
}

fn of_address(address: &str, site: &str) -> Option<Named> {
    if Reference::is_elsewhere(address, site) {
        return Some(Named::Elsewhere(address.to_owned()));
    }
    Reference::of_address(address, site).map(Named::Issue)
}

#[cfg(test)]
mod tests {
    use super::super::markdown::paragraphs;
    use super::*;

    fn named(text: &str) -> Vec<String> {
        let found = paragraphs(text);
        let found = found.iter().flat_map(|flat| references(flat, "github.com"));
        let texts = found.map(|named| match named {
            Named::Issue(reference) => reference.to_string(),
            Named::Elsewhere(address) => address,
        });
        texts.collect()
    }

    #[test]
    fn a_phrase_names_issues_in_any_case_and_in_lists() {
        for (text, expected) in [
            ("Depends on #1", &["#1"][..]),
            ("DEPENDS ON: #1, #2 & #3 and owner/name#4.", &["#1", "#2", "#3", "owner/name#4"]),
            ("depend on #1, and #2", &["#1", "#2"]),
            ("after #7 we go", &["#7"]),
            ("after#7", &["#7"]),
            ("Blocked by\n#8", &["#8"]),
            ("It requires #9; see #10", &["#9"]),
            ("require https://github.com/o/n/issues/3, #4", &["o/n#3", "#4"]),
            ("after <https://github.com/o/n/issues/3>.", &["o/n#3"]),
            ("after [the schema](https://github.com/o/n/issues/5) and [#6](https://x.example/y)", &["o/n#5", "#6"]),
            (
                "after #1, https://gitlab.com/o/n/-/issues/3. After [#6](https://x.example/o/n/issues/6) and #7",
                &["#1", "https://gitlab.com/o/n/-/issues/3", "https://x.example/o/n/issues/6", "#7"],
            ),
            ("- [ ] depends on #1\n- [x] blocked by #2", &["#1", "#2"]),
            ("## After #3\n\ntext\n\n# Depends on #4", &["#3", "#4"]),
        ] {
            assert_eq!(named(text), expected, "{text}");
        }
    }

    #[test]
    fn what_nobody_sees_hides_no_reference() {
        for mark in UNSEEN {
            for text in [
                "after {}#1",
                "after #1{}, #2",
                "after {}#1{} and{} #2",
                "blo{}cked{} {}by: o/n{}#1{}.{}",
                "{}after{} [x](https://github.com/o/n/issues/1)",
            ] {
                let plain = text.replace("{}", "");
                assert_eq!(named(&text.replace("{}", mark)), named(&plain), "{text} with {mark:?}");
                assert!(!named(&plain).is_empty(), "{text}");
            }
        }
    }

    /// From right to left, an embedding, an isolate, no width, a soft hyphen, a tag.
    const UNSEEN: [&str; 6] = ["\u{200f}", "\u{202b}", "\u{2066}", "\u{200b}", "\u{ad}", "\u{e0041}"];

    #[test]
    fn code_quotes_comments_and_prose_name_nothing() {
        for text in [
            "```\ndepends on #1\n```",
            "    depends on #1",
            "> depends on #1",
            "> a\ndepends on #1",
            "`depends on #1`",
            "depends on `#1`",
            "<!-- depends on #1 -->",
            "see #1",
            "thereafter #1",
            "after lunch",
            "depends on #1a",
            "depends on #0",
            "depends on #99999999999999999999999",
            "depends on name#1",
            "after https://github.com/o/n/pull/3",
            "independs on #1",
        ] {
            assert_eq!(named(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn what_ends_a_reference_is_not_cut_out_of_a_word() {
        assert_eq!(named("depends on #1-2"), ["#1"]);
        assert_eq!(named("depends on a/b/c#1"), Vec::<String>::new());
    }
}
