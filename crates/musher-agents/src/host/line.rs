//! Cuts a stream of bytes into lines of bounded length.

use std::borrow::Cow;

/// How much of a line is looked at beyond what is kept, so that a secret across the cut is still seen whole.
pub(super) const SLACK_BYTES: usize = 4 << 10;

/// Gathers bytes until a line is whole.
#[derive(Debug)]
pub struct Lines {
    partial: Vec<u8>,
    limit: usize,
    /// The present line was handed out already; the rest of it is thrown away.
    skipping: bool,
}

/// A line, or the beginning of one that is too long.
#[derive(Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// Its bytes without the end of line; up to `SLACK_BYTES` more than are kept.
    pub bytes: &'a [u8],
    /// Whether more of it was thrown away.
    pub cut: bool,
}

impl Lines {
    /// Lines of at most `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { partial: Vec::new(), limit: limit.max(1), skipping: false }
    }

    /// Takes bytes and hands out the lines that they complete.
    pub fn push(&mut self, mut bytes: &[u8], mut emit: impl FnMut(Line<'_>)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.gather(&bytes[..end], &mut emit);
            self.end(&mut emit);
            bytes = &bytes[end + 1..];
        }
        self.gather(bytes, &mut emit);
    }

    /// Hands out what the stream ended with, if it did not end with a line's end.
    pub fn finish(&mut self, mut emit: impl FnMut(Line<'_>)) {
        if !self.partial.is_empty() {
            self.end(&mut emit);
        }
    }

    fn gather(&mut self, bytes: &[u8], emit: &mut impl FnMut(Line<'_>)) {
        if self.skipping || bytes.is_empty() {
            return;
        }
        let most = self.limit + SLACK_BYTES;
        let room = most - self.partial.len();
        self.partial.extend_from_slice(&bytes[..room.min(bytes.len())]);
        if bytes.len() > room {
            emit(Line { bytes: &self.partial, cut: true });
            self.partial.clear();
            self.skipping = true;
        }
    }

    fn end(&mut self, emit: &mut impl FnMut(Line<'_>)) {
        if !self.skipping {
            let bytes = self.partial.strip_suffix(b"\r").unwrap_or(&self.partial);
            emit(Line { bytes, cut: bytes.len() > self.limit });
        }
        self.partial.clear();
        self.skipping = false;
    }
}

/// The longest beginning of `text` that is no longer than `bytes` and ends between two characters.
pub(super) fn head(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

/// The text of a line; bytes that are no UTF-8 are replaced.
pub(super) fn text<'a>(line: &Line<'a>) -> Cow<'a, str> {
    String::from_utf8_lossy(line.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut_up(limit: usize, chunks: &[&[u8]]) -> Vec<(usize, bool)> {
        let mut lines = Lines::new(limit);
        let mut found = Vec::new();
        for chunk in chunks {
            lines.push(chunk, |line| found.push((line.bytes.len(), line.cut)));
        }
        lines.finish(|line| found.push((line.bytes.len(), line.cut)));
        found
    }

    #[test]
    fn a_line_is_the_same_however_it_arrives() {
        assert_eq!(cut_up(9, &[b"ab\ncd\r\n\nef"]), [(2, false), (2, false), (0, false), (2, false)]);
        assert_eq!(
            cut_up(9, &[b"a", b"b\nc", b"d\r", b"\n\n", b"e", b"f"]),
            [(2, false), (2, false), (0, false), (2, false)]
        );
    }

    #[test]
    fn a_long_line_is_handed_out_once_and_the_next_one_is_whole() {
        let long = vec![b'x'; 3 * SLACK_BYTES];
        assert_eq!(cut_up(8, &[&long, &long, b"\nab\n"]), [(8 + SLACK_BYTES, true), (2, false)]);
        assert_eq!(cut_up(8, &[b"123456789\n12345678\n"]), [(9, true), (8, false)]);
    }

    #[test]
    fn a_cut_never_splits_a_character() {
        assert_eq!(head("aé", 2), "a");
        assert_eq!(head("aé", 3), "aé");
        assert_eq!(head("aé", 9), "aé");
    }
}
