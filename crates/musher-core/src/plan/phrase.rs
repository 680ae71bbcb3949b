//! Dependency phrases in prose: `depends on`, `after`, `blocked by`, `requires` and what they name.

use std::collections::BTreeMap;

use super::parts::one_line;
use crate::config::reader::clipped;
use crate::problem::Report;
use crate::quote::is_deceiving;

/// The text of a paragraph without its markup; knows where each part stands in the document.
#[derive(Default)]
pub(super) struct Flat {
    text: String,
    /// Where a part of `text` begins, here and in the document; ascending.
    origins: Vec<(usize, usize)>,
    /// Beginning and end of each inline code; ascending.
    codes: Vec<(usize, usize)>,
    /// Beginning, end and target of each link; ascending, for links do not nest.
    links: Vec<(usize, usize, String)>,
}

impl Flat {
    /// Adds a part without what nobody sees in it: a mark of direction before a number must not hide a dependency.
    pub(super) fn push(&mut self, text: &str, mut origin: usize) {
        for part in text.split_inclusive(is_unseen) {
            self.origins.push((self.text.len(), origin));
            self.text.push_str(part.trim_end_matches(is_unseen));
            origin += part.len();
        }
    }

    /// Inline code: no phrase begins in it, but it may hold the name that a phrase refers to.
    pub(super) fn push_code(&mut self, text: &str, origin: usize) {
        let start = self.text.len();
        self.push(text, origin);
        self.codes.push((start, self.text.len()));
    }

    /// Makes what was pushed since `start` a link to `target`.
    pub(super) fn link(&mut self, start: usize, target: String) {
        self.links.push((start, self.text.len(), target));
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Where a part of the text stands in the document.
    fn place(&self, at: usize) -> usize {
        let after = self.origins.partition_point(|(start, _)| *start <= at);
        let part = after.checked_sub(1).and_then(|before| self.origins.get(before));
        part.map_or(0, |(start, origin)| origin + (at - start))
    }

    /// The end of the inline code that holds `at`.
    pub(super) fn code_end(&self, at: usize) -> Option<usize> {
        let after = self.codes.partition_point(|(start, _)| *start <= at);
        let (_, end) = self.codes.get(after.checked_sub(1)?)?;
        (at < *end).then_some(*end)
    }

    /// The end and the target of the link that begins at `at`.
    pub(super) fn link_at(&self, at: usize) -> Option<(usize, &str)> {
        let first = self.links.partition_point(|(start, _, _)| *start < at);
        let (start, end, target) = self.links.get(first)?;
        (*start == at && end > start).then_some((*end, target))
    }
}

/// What headings can be called: their text and their id, in any case.
pub(super) struct Names<'a> {
    by_name: BTreeMap<String, Named>,
    titles: Vec<&'a str>,
    longest: usize,
}

#[derive(Clone, Copy)]
enum Named {
    One(usize),
    Several,
}

impl<'a> Names<'a> {
    pub(super) fn new(titles: impl Iterator<Item = &'a str>, ids: &[String]) -> Self {
        let titles: Vec<&str> = titles.collect();
        let mut by_name = BTreeMap::new();
        for (number, title) in titles.iter().enumerate().filter(|(_, title)| !title.is_empty()) {
            let name = title.to_lowercase();
            let named = if by_name.contains_key(&name) { Named::Several } else { Named::One(number) };
            by_name.insert(name, named);
        }
        for (number, id) in ids.iter().enumerate() {
            by_name.entry(id.clone()).or_insert(Named::One(number));
        }
        let longest = by_name.keys().map(String::len).max().unwrap_or_default().min(LONGEST);
        Self { by_name, titles, longest }
    }

    fn get(&self, name: &str) -> Option<Named> {
        self.by_name.get(&one_line(name).to_lowercase()).copied()
    }
}

/// The headings that the phrases of a paragraph name, each with its place in the document.
///
/// `own` is the heading that the paragraph belongs to. A name that is no heading is a problem where it can be meant as
/// nothing else: a number, a name in double quotes, a link within the document. Other words are prose: `after lunch`.
pub(super) fn references(flat: &Flat, own: usize, names: &Names, report: &mut Report) -> Vec<(usize, usize)> {
    let lower = flat.text.to_ascii_lowercase();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(character) = lower[at..].chars().next() {
        if let Some(end) = flat.code_end(at) {
            at = end;
            continue;
        }
        match phrase_end(&lower, at) {
            Some(end) => at = Phrase { flat, own, names }.read(end, &mut found, report),
            None => at += character.len_utf8(),
        }
    }
    found
}

/// Where a phrase that begins at `at` ends, with the colon that may follow it.
pub(super) fn phrase_end(lower: &str, at: usize) -> Option<usize> {
    if lower[..at].chars().next_back().is_some_and(is_word) {
        return None;
    }
    PHRASES.iter().find_map(|words| {
        let mut rest = &lower[at..];
        for (number, word) in words.iter().enumerate() {
            if number > 0 {
                rest = rest.strip_prefix(char::is_whitespace)?.trim_start();
            }
            rest = rest.strip_prefix(word)?;
        }
        if rest.chars().next().is_some_and(is_word) {
            return None;
        }
        let rest = rest.strip_prefix(':').unwrap_or(rest);
        Some(lower.len() - rest.len())
    })
}

struct Phrase<'a> {
    flat: &'a Flat,
    own: usize,
    names: &'a Names<'a>,
}

impl Phrase<'_> {
    /// Reads the references from `at` on; answers where they end.
    fn read(&self, mut at: usize, found: &mut Vec<(usize, usize)>, report: &mut Report) -> usize {
        let mut end = at;
        loop {
            at += space(&self.flat.text[at..]);
            let Some((heading, after)) = self.reference(at, report) else { return end };
            found.extend(heading.map(|heading| (self.flat.place(at), heading)));
            end = after;
            match separator(&self.flat.text[end..]) {
                0 => return end,
                length => at = end + length,
            }
        }
    }

    /// The reference at `at`, if there is one: its heading, unless it is to be ignored, and its end.
    fn reference(&self, at: usize, report: &mut Report) -> Option<(Option<usize>, usize)> {
        if let Some((end, target)) = self.flat.link_at(at) {
            return self.marked(at, end, target.strip_prefix('#'), report);
        }
        if let Some(end) = self.flat.code_end(at) {
            return self.marked(at, end, None, report);
        }
        let rest = &self.flat.text[at..];
        if let Some((number, length)) = numbered(rest) {
            return Some((self.number(at, number, report), at + length));
        }
        if let Some((name, length, strict)) = in_quotes(rest) {
            return match self.names.get(name) {
                Some(named) => Some((self.named(at, name, named, report), at + length)),
                None if strict => {
                    self.unknown(at, name, report);
                    Some((None, at + length))
                }
                None => None,
            };
        }
        let (named, length) = self.bare(rest)?;
        let heading = match named {
            // `Requires schema changes` below the heading `Schema` is prose.
            Named::One(number) if number == self.own => None,
            Named::One(_) | Named::Several => self.named(at, &rest[..length], named, report),
        };
        Some((heading, at + length))
    }

    /// A link, perhaps to an anchor of the document, or an inline code.
    fn marked(
        &self,
        at: usize,
        end: usize,
        anchor: Option<&str>,
        report: &mut Report,
    ) -> Option<(Option<usize>, usize)> {
        let text = &self.flat.text[at..end];
        let named = anchor.and_then(|anchor| self.names.get(anchor)).or_else(|| self.names.get(text));
        match (named, anchor) {
            // "Requires `schema`" below the heading `Schema` is prose.
            (Some(Named::One(number)), None) if number == self.own => Some((None, end)),
            (Some(named), _) => Some((self.named(at, text, named, report), end)),
            (None, Some(anchor)) => {
                self.unknown(at, anchor, report);
                Some((None, end))
            }
            (None, None) => None,
        }
    }

    fn named(&self, at: usize, name: &str, named: Named, report: &mut Report) -> Option<usize> {
        match named {
            Named::One(number) => Some(number),
            Named::Several => {
                let what = format!("several headings are called `{}`", clipped(name));
                report.add_with_fix(
                    self.flat.place(at),
                    what,
                    "name the one that is meant by its number, such as `#2`",
                );
                None
            }
        }
    }

    fn number(&self, at: usize, number: usize, report: &mut Report) -> Option<usize> {
        let count = self.names.titles.len();
        if (1..=count).contains(&number) {
            return Some(number - 1);
        }
        let what = format!("`#{number}` is no heading of the document, which has {count}");
        report.add_with_fix(self.flat.place(at), what, "`#1` is the first `##` heading");
        None
    }

    fn unknown(&self, at: usize, name: &str, report: &mut Report) {
        let what = format!("`{}` is no `##` heading of the document", clipped(name));
        report.add_unknown(self.flat.place(at), what, name, self.names.titles.iter().copied(), String::new);
    }

    /// The longest name that the text begins with, in whole words.
    fn bare(&self, text: &str) -> Option<(Named, usize)> {
        let mut best = None;
        let mut name = String::new();
        for (at, character) in text.char_indices() {
            if name.len() > self.names.longest {
                break;
            }
            if !character.is_whitespace() {
                name.extend(character.to_lowercase());
            } else if !name.ends_with(' ') {
                name.push(' ');
            }
            let end = at + character.len_utf8();
            if ends_word(character, &text[end..]) {
                best = self.names.by_name.get(&name).map(|named| (*named, end)).or(best);
            }
        }
        best
    }
}

/// Whether a name may end after `last`: it is not cut out of a longer word.
fn ends_word(last: char, rest: &str) -> bool {
    let mut following = rest.chars();
    match following.next() {
        None => true,
        Some(next) if is_word(next) => !is_word(last),
        Some('-') => !following.next().is_some_and(is_word),
        Some(_) => !last.is_whitespace(),
    }
}

/// `#12` at the beginning of a text, and its length.
pub(super) fn numbered(text: &str) -> Option<(usize, usize)> {
    let digits: &str = text.strip_prefix('#')?;
    let digits = &digits[..digits.bytes().take_while(u8::is_ascii_digit).count()];
    let end = 1 + digits.len();
    if digits.is_empty() || text[end..].chars().next().is_some_and(is_word) {
        return None;
    }
    // A number beyond all headings, however long it is.
    Some((digits.parse().unwrap_or(usize::MAX), end))
}

/// A name in quotes at the beginning of a text, its length with the quotes, and whether it can only be meant as a name:
/// single quotes are apostrophes as well.
fn in_quotes(text: &str) -> Option<(&str, usize, bool)> {
    let open = text.chars().next()?;
    let (close, strict) = match open {
        '"' => ('"', true),
        '“' => ('”', true),
        '\'' => ('\'', false),
        '‘' => ('’', false),
        _ => return None,
    };
    let inner = &text[open.len_utf8()..];
    let length = inner.char_indices().take(LONGEST).find(|(_, c)| *c == close)?.0;
    let name = &inner[..length];
    (!name.trim().is_empty()).then_some((name, open.len_utf8() + length + close.len_utf8(), strict))
}

/// White space is seen, whatever sort it is of: it keeps words apart.
fn is_unseen(character: char) -> bool {
    is_deceiving(character) && !character.is_whitespace()
}

/// The length of what stands between two references: `,`, `&`, `and`, `, and`; 0 when nothing of the sort does.
pub(super) fn separator(text: &str) -> usize {
    let mut length = space(text);
    let comma = text[length..].starts_with(',');
    if comma {
        length += 1;
        length += space(&text[length..]);
    }
    let rest = &text[length..];
    let and = rest.get(..3).is_some_and(|word| word.eq_ignore_ascii_case("and"));
    if rest.starts_with('&') {
        length + 1
    } else if and && !rest[3..].chars().next().is_some_and(is_word) {
        length + 3
    } else if comma {
        length
    } else {
        0
    }
}

pub(super) fn space(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

pub(super) fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The phrases, word by word.
const PHRASES: [&[&str]; 6] =
    [&["depends", "on"], &["depend", "on"], &["after"], &["blocked", "by"], &["requires"], &["require"]];

/// The longest name that is looked for, in bytes.
const LONGEST: usize = 2_000;
