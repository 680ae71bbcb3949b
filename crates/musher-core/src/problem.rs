//! Problems of a file that a person wrote: all of them at once, each with its place and its fix.

use std::fmt;

use crate::nearest::nearest;

/// One thing that is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// The file, or the name of the environment variable, that holds the text; none when it has no name.
    pub file: Option<String>,
    /// The line, from 1; 0 when it is about the whole.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// How to mend it, where that is known.
    pub fix: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.line) {
            (Some(file), 0) => write!(f, "{file}: {}", self.what)?,
            (None, 0) => write!(f, "{}", self.what)?,
            (Some(file), line) => write!(f, "{file}:{line}:{}: {}", self.column, self.what)?,
            (None, line) => write!(f, "{line}:{}: {}", self.column, self.what)?,
        }
        match &self.fix {
            Some(fix) => write!(f, " ({fix})"),
            None => Ok(()),
        }
    }
}

/// Everything that is wrong with a text, in the order of the text; never empty.
///
/// At most [`SHOWN`] problems are kept; the others are counted. Displayed, it is one line a problem.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Problems {
    /// The first ones.
    pub shown: Vec<Problem>,
    /// How many there are beyond those.
    pub more: usize,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.shown.iter().enumerate() {
            let separator = if at == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl std::error::Error for Problems {}

impl Problems {
    /// How to mend them: the fixes of the first problem that has one.
    pub fn fix(&self) -> Option<&str> {
        self.shown.iter().find_map(|p| p.fix.as_deref())
    }
}

/// The line and the column (both from 1, the column in characters) of a byte offset of `text`.
///
/// An offset inside of a character counts as its beginning, one beyond the text as its end.
pub fn position(text: &str, offset: usize) -> (usize, usize) {
    Positions::new(text).of(offset)
}

/// The text of `bytes`, without a byte order mark.
///
/// # Errors
/// A problem at the first byte that is not UTF-8.
pub(crate) fn decode<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, Problems> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let (good, bad) = bytes.split_at(error.valid_up_to());
        let text = std::str::from_utf8(good).unwrap_or_default();
        let byte = bad.first().copied().unwrap_or_default();
        let mut report = Report::new(file, text);
        let what = format!("the text is not UTF-8: byte 0x{byte:02x} at offset {}", good.len());
        report.add_with_fix(good.len(), what, "save the file as UTF-8");
        report.into_problems()
    })
}

/// Collects the problems of one text while it is read.
pub(crate) struct Report<'a> {
    file: &'a str,
    text: &'a str,
    found: Vec<Found>,
    dropped: usize,
    comparisons_left: usize,
    /// Where each line begins; made when first asked for.
    lines: Vec<usize>,
}

struct Found {
    at: usize,
    what: String,
    fix: Option<String>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, found: Vec::new(), dropped: 0, comparisons_left: COMPARISONS, lines: Vec::new() }
    }

    /// Notes a problem at a byte offset.
    pub(crate) fn add(&mut self, at: usize, what: impl Into<String>) {
        self.push(Found { at, what: what.into(), fix: None });
    }

    /// Notes a problem at a byte offset, with its fix.
    pub(crate) fn add_with_fix(&mut self, at: usize, what: impl Into<String>, fix: impl Into<String>) {
        self.push(Found { at, what: what.into(), fix: Some(fix.into()) });
    }

    /// Notes an unknown name, with the nearest known one, or else with `otherwise` as the fix.
    pub(crate) fn add_unknown<'k>(
        &mut self,
        at: usize,
        what: impl Into<String>,
        unknown: &str,
        known: impl ExactSizeIterator<Item = &'k str>,
        otherwise: impl FnOnce() -> String,
    ) {
        let near = if known.len() <= self.comparisons_left {
            self.comparisons_left -= known.len();
            nearest(unknown, known)
        } else {
            None
        };
        let fix = near.map_or_else(otherwise, |name| format!("did you mean `{name}`?"));
        let fix = (!fix.is_empty()).then_some(fix);
        self.push(Found { at, what: what.into(), fix });
    }

    /// The line (from 1) of a byte offset. Many questions cost one pass over the text.
    pub(crate) fn line_of(&mut self, at: usize) -> usize {
        if self.lines.is_empty() {
            self.lines.push(0);
            self.lines.extend(self.text.match_indices('\n').map(|(end, _)| end + 1));
        }
        self.lines.partition_point(|start| *start <= at)
    }

    fn push(&mut self, found: Found) {
        self.found.push(found);
        // A hostile file may hold a problem a byte: only the first ones by place are ever shown.
        if self.found.len() >= 64 * SHOWN {
            self.prune();
        }
    }

    fn prune(&mut self) {
        self.found.sort_by_key(|f| f.at);
        self.dropped += self.found.len().saturating_sub(SHOWN);
        self.found.truncate(SHOWN);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// `value` when nothing was found.
    pub(crate) fn finish<T>(self, value: T) -> Result<T, Problems> {
        if self.is_empty() { Ok(value) } else { Err(self.into_problems()) }
    }

    pub(crate) fn into_problems(mut self) -> Problems {
        self.prune();
        let file = (!self.file.is_empty()).then_some(self.file);
        let mut positions = Positions::new(self.text);
        let shown = self.found.into_iter().map(|found| {
            let (line, column) = positions.of(found.at);
            Problem { file: file.map(str::to_owned), line, column, what: found.what, fix: found.fix }
        });
        Problems { shown: shown.collect(), more: self.dropped }
    }
}

/// Turns ascending byte offsets into lines and columns in one pass over the text.
struct Positions<'a> {
    text: &'a str,
    line: usize,
    line_start: usize,
}

impl<'a> Positions<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, line: 1, line_start: 0 }
    }

    fn of(&mut self, offset: usize) -> (usize, usize) {
        let mut end = offset.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        while let Some(length) = self.text.get(self.line_start..end).and_then(|rest| rest.find('\n')) {
            self.line += 1;
            self.line_start += length + 1;
        }
        let column = self.text.get(self.line_start..end).unwrap_or_default().chars().count() + 1;
        (self.line, column)
    }
}

/// How many problems of a text are shown; the others are counted.
pub const SHOWN: usize = 100;

/// How many known names are compared with unknown ones for a text, in all: bounds the time that a bad file may take.
const COMPARISONS: usize = 500_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_counts_characters_and_not_bytes() {
        let cases = [
            ("", 0, (1, 1)),
            ("abc", 2, (1, 3)),
            ("abc", 99, (1, 4)),
            ("é = 1", 2, (1, 2)),
            ("é", 1, (1, 1)),
            ("a\nb\r\nc", 5, (3, 1)),
            ("a\nb\r\nc", 1, (1, 2)),
            ("\n\n", 2, (3, 1)),
        ];
        for (text, offset, expected) in cases {
            assert_eq!(position(text, offset), expected, "{text:?} at {offset}");
        }
    }

    #[test]
    fn problems_are_one_a_line_in_the_order_of_the_text() {
        let mut report = Report::new("plan.toml", "a\nb\nc");
        report.add(4, "third");
        report.add_with_fix(0, "first", "mend it");
        let problems = report.into_problems();
        assert_eq!(problems.to_string(), "plan.toml:1:1: first (mend it)\nplan.toml:3:1: third");
        assert_eq!(problems.fix(), Some("mend it"));
    }

    #[test]
    fn only_the_first_problems_are_shown_and_the_others_counted() {
        let text = "\n".repeat(20_000);
        let mut report = Report::new("", &text);
        for at in (0..20_000).rev() {
            report.add(at, "no");
        }
        let problems = report.into_problems();
        assert_eq!((problems.shown.len(), problems.more), (SHOWN, 20_000 - SHOWN));
        assert_eq!(problems.shown[99].line, 100);
        assert!(problems.to_string().ends_with("100:1: no\nand 19900 more"));
    }

    #[test]
    fn the_first_byte_that_is_not_utf_8_is_named_with_its_place() {
        assert_eq!(decode("p", b"\xef\xbb\xbfok"), Ok("ok"));
        let problems = decode("p", b"ab\n\xc3\xa9\xffx").unwrap_err();
        assert_eq!(
            problems.to_string(),
            "p:2:2: the text is not UTF-8: byte 0xff at offset 5 (save the file as UTF-8)"
        );
    }
}
