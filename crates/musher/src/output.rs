//! What people and scripts read: tables, colours where a terminal is, JSON where it is asked for.

use std::io::{IsTerminal, Write};

use musher_server::api::{Found, Http, PullRequest};
use serde::Serialize;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::error::Failure;

/// A colour that underlines a meaning; the meaning itself is always in the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Good,
    Bad,
    Busy,
    Quiet,
    Strong,
}

impl Tone {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "\u{1b}[32m",
            Self::Bad => "\u{1b}[31m",
            Self::Busy => "\u{1b}[36m",
            Self::Quiet => "\u{1b}[2m",
            Self::Strong => "\u{1b}[1m",
        }
    }

    /// The tone of a state's name.
    pub(crate) fn of_state(state: &str) -> Self {
        match state {
            "done" | "completed" | "online" | "pass" => Self::Good,
            "failed" | "blocked" | "cancelled" | "merge_failed" | "error" | "offline" | "fail" => Self::Bad,
            "assigned" | "running" | "verifying" | "merging" | "working" => Self::Busy,
            "pending" | "stopped" => Self::Quiet,
            _ => Self::Plain,
        }
    }
}

/// Whether standard output shows colour.
pub(crate) fn coloured() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty())
}

/// A text in a tone, when colour is shown.
pub(crate) fn paint(text: &str, tone: Tone) -> String {
    if tone == Tone::Plain || !coloured() { text.to_owned() } else { format!("{}{text}\u{1b}[0m", tone.code()) }
}

/// What others wrote, made harmless for a terminal: no control characters but line breaks and tabs, and none that turn
/// the direction of writing or cannot be seen, which make a line read otherwise than it is.
pub(crate) fn harmless(text: &str) -> String {
    let turns = |c: char| {
        matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
            | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    let harms = |c: char| (c.is_control() && c != '\n' && c != '\t') || turns(c);
    text.chars().map(|c| if harms(c) { '\u{fffd}' } else { c }).collect()
}

/// How many columns of a terminal a text takes; colours take none.
pub(crate) fn width_of(text: &str) -> usize {
    let mut width = 0;
    let mut rest = text;
    while let Some(at) = rest.find("\u{1b}[") {
        width += UnicodeWidthStr::width(&rest[..at]);
        rest = rest[at..].split_once('m').map_or("", |(_, after)| after);
    }
    width + UnicodeWidthStr::width(rest)
}

/// A text with spaces behind it, so that it takes so many columns.
pub(crate) fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(width_of(text))))
}

/// One line of what others wrote, cut to so many columns.
pub(crate) fn one_line(text: &str, width: usize) -> String {
    let line: String = harmless(text).lines().next().unwrap_or_default().replace('\t', " ");
    if width_of(&line) <= width {
        return line;
    }
    let mut cut = String::new();
    let mut used = 1;
    for c in line.chars() {
        used += UnicodeWidthChar::width(c).unwrap_or(0);
        if used > width {
            break;
        }
        cut.push(c);
    }
    cut.push('…');
    cut
}

/// Prints a line. A reader that went away ends the command quietly.
pub(crate) fn line(text: &str) {
    if writeln!(std::io::stdout(), "{text}").is_err() {
        std::process::exit(0);
    }
}

/// Prints one JSON document on a line of its own.
pub(crate) fn json(value: &impl Serialize) -> Result<(), Failure> {
    line(&serde_json::to_string(value)?);
    Ok(())
}

/// A table: columns as wide as their widest cell, the last as it is.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Vec<(String, Tone)>>,
}

impl Table {
    /// A table with these headings.
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|h| ((*h).to_owned(), Tone::Quiet)).collect()] }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<(String, Tone)>) {
        self.rows.push(cells);
    }

    /// Prints it; nothing but `empty` when it has no rows.
    pub(crate) fn print(&self, empty: &str) {
        if self.rows.len() <= 1 {
            line(empty);
            return;
        }
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width =
            |column: usize| self.rows.iter().filter_map(|r| r.get(column)).map(|(t, _)| width_of(t)).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let mut text = String::new();
            for (column, (cell, tone)) in row.iter().enumerate() {
                text.push_str(&paint(cell, *tone));
                if column + 1 < row.len() {
                    let pad = widths[column].saturating_sub(width_of(cell)) + 2;
                    text.push_str(&" ".repeat(pad));
                }
            }
            line(text.trim_end());
        }
    }
}

/// A pull request: its number, its address and how it stands.
pub(crate) fn pull(pull: &PullRequest) -> String {
    let draft = if pull.draft { ", a draft" } else { "" };
    format!("#{} {} ({}{draft})", pull.number, harmless(&pull.url), pull.state)
}

/// Where the daemon listens over TCP, or why it does not.
pub(crate) fn http(http: &Http) -> String {
    match &http.error {
        None => format!("listening on {}", http.address),
        Some(error) => format!("not listening on {}: {error}; it is tried again", http.address),
    }
}

/// What a daemon found when it started.
pub(crate) fn found(found: &Found) -> String {
    let Found { missions, attached, lost, effects, swept } = found;
    let line =
        format!("{missions} mission(s), {attached} run(s) re-attached, {lost} lost, {effects} effect(s) re-issued");
    if *swept == 0 { line } else { format!("{line}, {swept} abandoned run(s) ended") }
}

/// A span in a few characters: `4s`, `3m10s`, `2h05m`.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// Dollars in a few characters; nothing when there were none.
pub(crate) fn dollars(usd: f64) -> String {
    if usd <= 0.0 { String::new() } else { format!("${usd:.2}") }
}

/// A moment, to the second.
pub(crate) fn moment(at: musher_core::time::Timestamp) -> String {
    let text = at.to_string();
    text.split_once('.').map_or_else(|| text.clone(), |(seconds, _)| format!("{seconds}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_cannot_move_the_cursor() {
        assert_eq!(harmless("a\u{1b}[2Jb\u{7}"), "a\u{fffd}[2Jb\u{fffd}");
        assert_eq!(harmless("a\u{202e}b"), "a\u{fffd}b");
        assert_eq!(one_line("first\nsecond", 20), "first");
        assert_eq!(one_line("abcdef", 4), "abc…");
    }

    #[test]
    fn a_wide_character_takes_two_columns() {
        assert_eq!((one_line("漢字漢字", 8), one_line("漢字漢字", 7)), ("漢字漢字".to_owned(), "漢字漢…".to_owned()));
        assert_eq!(
            (one_line("漢字漢字", 6), one_line("e\u{301}e\u{301}", 2)),
            ("漢字…".to_owned(), "e\u{301}e\u{301}".to_owned())
        );
        assert_eq!((padded("漢", 4), width_of("\u{1b}[31m漢\u{1b}[0m")), ("漢  ".to_owned(), 2));
    }

    #[test]
    fn spans_are_short() {
        assert_eq!([span(4), span(190), span(7500)], ["4s", "3m10s", "2h05m"]);
    }
}
