//! A few lines at the bottom of a terminal that are drawn again and again, with room for lasting lines above them.

use std::io::{IsTerminal, Stdout, Write};

use crossterm::cursor::{Hide, MoveToColumn, MoveUp, Show};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, DisableLineWrap, EnableLineWrap, EndSynchronizedUpdate,
};
use crossterm::{execute, queue};

use crate::output::width_of;

/// The lines that are redrawn. Its drop leaves the last drawing and shows the cursor again.
#[derive(Debug)]
pub(crate) struct Screen {
    out: Stdout,
    drawn: Vec<String>,
}

impl Screen {
    /// A screen, when standard output is a terminal that understands more than lines.
    pub(crate) fn open() -> Option<Self> {
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb" || term.is_empty());
        if !std::io::stdout().is_terminal() || dumb {
            return None;
        }
        let mut out = std::io::stdout();
        execute!(out, Hide).ok()?;
        Some(Self { out, drawn: Vec::new() })
    }

    /// Columns and rows.
    pub(crate) fn size() -> (usize, usize) {
        crossterm::terminal::size().map_or((80, 24), |(w, h)| (usize::from(w), usize::from(h)))
    }

    /// Draws these lines over the last ones. They must be no wider than the terminal.
    pub(crate) fn draw(&mut self, lines: &[String]) {
        let (_, height) = Self::size();
        // A lower terminal has scrolled what it has no room for away.
        self.drawn.truncate(height.saturating_sub(1));
        let shown = lines[..lines.len().min(height.saturating_sub(1))].to_vec();
        self.put(None, shown);
    }

    /// Prints a line that stays, above the drawing.
    pub(crate) fn lasting(&mut self, line: &str) {
        let drawn = self.drawn.clone();
        self.put(Some(line), drawn);
    }

    fn put(&mut self, lasting: Option<&str>, lines: Vec<String>) {
        // Written at once, each line over the old one: what is erased first flickers.
        if let Ok(bytes) = frame(self.drawn.len(), lasting, &lines, Self::size().0) {
            let _ = self.out.write_all(&bytes);
            let _ = self.out.flush();
        }
        self.drawn = lines;
    }
}

/// What goes to a terminal of this width to have these lines in the place of so many drawn ones.
fn frame(drawn: usize, lasting: Option<&str>, lines: &[String], width: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    queue!(bytes, BeginSynchronizedUpdate)?;
    let up = u16::try_from(drawn).unwrap_or(u16::MAX);
    if up > 0 {
        queue!(bytes, MoveUp(up))?;
    }
    queue!(bytes, MoveToColumn(0))?;
    if let Some(line) = lasting {
        // It may take several rows, each of them one of the old drawing.
        queue!(bytes, Clear(ClearType::FromCursorDown))?;
        write!(bytes, "{line}\r\n")?;
    }
    // A line that the terminal takes for wider than it is here is cut: a wrapped one would not be erased again.
    queue!(bytes, DisableLineWrap)?;
    for line in lines {
        write!(bytes, "{line}")?;
        // In the last column the cursor stands on the character that was written last, and would erase it.
        if width_of(line) < width {
            queue!(bytes, Clear(ClearType::UntilNewLine))?;
        }
        write!(bytes, "\r\n")?;
    }
    queue!(bytes, EnableLineWrap, Clear(ClearType::FromCursorDown), EndSynchronizedUpdate)?;
    Ok(bytes)
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = execute!(self.out, Show);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawing_goes_over_the_last_one_and_erases_only_what_is_left_of_it() {
        let bytes = frame(3, Some("said"), &["one".to_owned(), "to the edge".to_owned()], 11).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let expected = "\u{1b}[?2026h\u{1b}[3A\u{1b}[1G\u{1b}[Jsaid\r\n\u{1b}[?7lone\u{1b}[K\r\nto the edge\r\n\u{1b}[?7h\u{1b}[J\u{1b}[?2026l";
        assert_eq!(text, expected);
    }
}
