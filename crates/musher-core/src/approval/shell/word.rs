//! One word of a command, without its quotes.

use crate::approval::pattern::{Letter, known};

/// A word as the program sees it; a gap stands for what is known only when it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::approval) struct Word {
    pub(in crate::approval) letters: Vec<Letter>,
    /// Whether a substitution or an arithmetic expression stands in it.
    pub(super) runs: bool,
}

impl Word {
    /// A word of which nothing is known.
    pub(in crate::approval) fn gap() -> Self {
        Self { letters: vec![Letter::Any], runs: false }
    }

    /// A word that means what it says.
    pub(in crate::approval) fn literal(text: &str) -> Self {
        Self { letters: known(text), runs: false }
    }

    /// The whole text, where it is known.
    pub(in crate::approval) fn known(&self) -> Option<String> {
        let letter = |l: &Letter| match l {
            Letter::Is(c) => Some(*c),
            Letter::Any => None,
        };
        self.letters.iter().map(letter).collect()
    }

    /// The text for people, gaps as `…`.
    pub(super) fn shown(&self) -> String {
        let letter = |l: &Letter| match l {
            Letter::Is(c) => *c,
            Letter::Any => '…',
        };
        self.letters.iter().map(letter).collect()
    }

    /// The part after the last `/`.
    pub(in crate::approval) fn base(&self) -> Self {
        let start = self.letters.iter().rposition(|l| *l == Letter::Is('/')).map_or(0, |at| at + 1);
        Self { letters: self.letters[start..].to_vec(), runs: self.runs }
    }

    /// Takes the quotes off a word as it was written. From the first expansion on it is a gap.
    pub(super) fn read(raw: &str) -> Self {
        let mut letters = Vec::new();
        let mut chars = raw.chars().peekable();
        let mut double = false;
        while let Some(c) = chars.next() {
            let next = chars.peek().copied();
            let expands = match c {
                '\'' if !double => {
                    letters.extend(chars.by_ref().take_while(|&c| c != '\'').map(Letter::Is));
                    false
                }
                '"' => {
                    double = !double;
                    false
                }
                '\\' => {
                    escaped(double, &mut chars, &mut letters);
                    false
                }
                '`' => true,
                '$' => {
                    next.is_some_and(|n| n.is_alphanumeric() || "_{([@*#?-$!'\"".contains(n))
                        && !(double && next == Some('"'))
                }
                '<' | '>' => !double && next == Some('('),
                '*' | '?' | '[' => !double && raw != "[",
                '{' => !double && raw != "{}",
                '~' => !double && (letters.is_empty() || matches!(letters.last(), Some(Letter::Is('=' | ':')))),
                _ => false,
            };
            if expands {
                letters.push(Letter::Any);
                let runs = c == '`' || matches!((c, next), ('$', Some('(' | '[')) | ('<' | '>', _));
                return Self { letters, runs };
            }
            if !matches!(c, '\'' | '"' | '\\') || (c == '\'' && double) {
                letters.push(Letter::Is(c));
            }
        }
        Self { letters, runs: false }
    }
}

/// What a backslash makes of the next letter.
fn escaped(double: bool, chars: &mut std::iter::Peekable<std::str::Chars<'_>>, letters: &mut Vec<Letter>) {
    let Some(c) = chars.next() else { return letters.push(Letter::Is('\\')) };
    if double && !matches!(c, '$' | '`' | '"' | '\\' | '\n') {
        letters.push(Letter::Is('\\'));
    }
    if c != '\n' {
        letters.push(Letter::Is(c));
    }
}
