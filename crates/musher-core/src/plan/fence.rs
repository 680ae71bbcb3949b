//! Fenced blocks of TOML in Markdown.

/// The content of the last fenced block of TOML; none when there is none.
///
/// A fence inside of a string of several lines does not end a block: the bodies of a plan may have blocks of their own.
/// A block whose string never ends ends as any other block does.
pub(super) fn last_toml(text: &str) -> Option<String> {
    let mut last = None;
    let mut rest = text;
    let mut endless = 0;
    while let Some((line, after)) = next_line(rest) {
        rest = after;
        let Some(fence) = Fence::opened_by(line) else { continue };
        let minds_strings = fence.is_toml && endless < ENDLESS;
        let mut found = until(after, fence, minds_strings);
        if found.is_none() && minds_strings {
            endless += 1;
            found = until(after, fence, false);
        }
        let (content, after) = found.unwrap_or((after, ""));
        if fence.is_toml {
            last = Some(content);
        }
        rest = after;
    }
    last.map(str::to_owned)
}

/// How many blocks may be read to the end of the text in search of theirs, so that a hostile text costs no time.
const ENDLESS: u32 = 16;

/// A line with its end, and what follows it.
fn next_line(text: &str) -> Option<(&str, &str)> {
    if text.is_empty() {
        return None;
    }
    Some(text.split_at(text.find('\n').map_or(text.len(), |at| at + 1)))
}

/// What is before the line that closes the fence, and what is after it.
fn until(text: &str, fence: Fence, strings: bool) -> Option<(&str, &str)> {
    let mut rest = text;
    let mut open = Open::Nothing;
    while let Some((line, after)) = next_line(rest) {
        if open == Open::Nothing && fence.is_closed_by(line) {
            return Some((&text[..text.len() - rest.len()], after));
        }
        if strings {
            open = open.after(line);
        }
        rest = after;
    }
    None
}

/// The line that opens a block.
#[derive(Clone, Copy)]
struct Fence {
    mark: u8,
    length: usize,
    is_toml: bool,
}

impl Fence {
    fn opened_by(line: &str) -> Option<Self> {
        let line = unindented(line)?;
        let mark = *line.as_bytes().first().filter(|mark| matches!(mark, b'`' | b'~'))?;
        let length = line.bytes().take_while(|byte| *byte == mark).count();
        let info = line[length..].trim();
        if length < 3 || (mark == b'`' && info.contains('`')) {
            return None;
        }
        let word = info.split(|c: char| c.is_whitespace() || c == ',').next().unwrap_or_default();
        Some(Self { mark, length, is_toml: word.eq_ignore_ascii_case("toml") })
    }

    fn is_closed_by(self, line: &str) -> bool {
        let Some(line) = unindented(line).map(str::trim_end) else { return false };
        line.len() >= self.length && line.bytes().all(|byte| byte == self.mark)
    }
}

/// A line without its indentation; none when it is indented so far that it is code.
fn unindented(line: &str) -> Option<&str> {
    let plain = line.trim_start_matches(' ');
    (line.len() - plain.len() <= 3).then_some(plain)
}

/// The string of several lines that a line of TOML begins in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Nothing,
    /// `"""`
    Basic,
    /// `'''`
    Literal,
}

impl Open {
    /// What is open at the end of a line that begins with this open.
    fn after(self, line: &str) -> Self {
        let mut open = self;
        let mut rest = line;
        while !rest.is_empty() {
            rest = match open {
                Self::Basic => match closing(rest, "\"\"\"", true) {
                    Some(after) => {
                        open = Self::Nothing;
                        after
                    }
                    None => return open,
                },
                Self::Literal => match closing(rest, "'''", false) {
                    Some(after) => {
                        open = Self::Nothing;
                        after
                    }
                    None => return open,
                },
                Self::Nothing => {
                    let Some(at) = rest.find(['"', '\'', '#']) else { return open };
                    let from = &rest[at..];
                    if from.starts_with('#') {
                        return open;
                    }
                    if let Some(after) = from.strip_prefix("\"\"\"") {
                        open = Self::Basic;
                        after
                    } else if let Some(after) = from.strip_prefix("'''") {
                        open = Self::Literal;
                        after
                    } else {
                        // A string of one line; without its end the file is broken, and the next line begins anew.
                        let (quote, inner) = from.split_at(1);
                        match closing(inner, quote, quote == "\"") {
                            Some(after) => after,
                            None => return open,
                        }
                    }
                }
            };
        }
        open
    }
}

/// What follows the quotes that close a string.
fn closing<'a>(text: &'a str, quotes: &str, escapes: bool) -> Option<&'a str> {
    let mut from = 0;
    loop {
        let at = from + text[from..].find(|c| c == '\\' || quotes.starts_with(c))?;
        if text[at..].starts_with('\\') {
            // An escaped character, or what is none in a literal string.
            let escaped = if escapes { text[at + 1..].chars().next().map_or(0, char::len_utf8) } else { 0 };
            from = at + 1 + escaped;
        } else if let Some(after) = text[at..].strip_prefix(quotes) {
            return Some(after);
        } else {
            from = at + 1;
        }
    }
}
