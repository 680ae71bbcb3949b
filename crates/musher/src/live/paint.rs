//! A few lines at the bottom of a terminal that are drawn again and again, with room for lasting lines above them.

use std::io::{IsTerminal, Stdout, Write};

use crossterm::cursor::{Hide, MoveToColumn, MoveUp, Show};
use crossterm::terminal::{Clear, ClearType, DisableLineWrap, EnableLineWrap};
use crossterm::{execute, queue};

/// The lines that are redrawn. Its drop leaves the last drawing and shows the cursor again.
#[derive(Debug)]
pub(crate) struct Screen {
    out: Stdout,
    drawn: u16,
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
        Some(Self { out, drawn: 0 })
    }

    /// Columns and rows.
    pub(crate) fn size() -> (usize, usize) {
        crossterm::terminal::size().map_or((80, 24), |(w, h)| (usize::from(w), usize::from(h)))
    }

    /// Draws these lines over the last ones. They must be no wider than the terminal.
    pub(crate) fn draw(&mut self, lines: &[String]) {
        let (_, height) = Self::size();
        let shown = &lines[..lines.len().min(height.saturating_sub(1))];
        let _ = self.erase();
        // A line that is wider than it seemed (CJK, emoji) is cut: a wrapped one would not be erased again.
        let _ = queue!(self.out, DisableLineWrap);
        for line in shown {
            let _ = write!(self.out, "{line}\r\n");
        }
        let _ = queue!(self.out, EnableLineWrap);
        self.drawn = u16::try_from(shown.len()).unwrap_or(u16::MAX);
        let _ = self.out.flush();
    }

    /// Prints a line that stays, above the drawing.
    pub(crate) fn lasting(&mut self, line: &str) {
        let _ = self.erase();
        self.drawn = 0;
        let _ = write!(self.out, "{line}\r\n");
    }

    fn erase(&mut self) -> std::io::Result<()> {
        if self.drawn > 0 {
            queue!(self.out, MoveUp(self.drawn))?;
        }
        queue!(self.out, MoveToColumn(0), Clear(ClearType::FromCursorDown))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = execute!(self.out, Show);
    }
}
