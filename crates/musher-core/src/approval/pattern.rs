//! Text with gaps: a rule's pattern, and a command of which not every letter is known.

/// A letter of a text, or a gap that any text may fill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Letter {
    /// This letter.
    Is(char),
    /// Any text, also none.
    Any,
}

/// How surely a text must fit a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// However its gaps are filled.
    Surely,
    /// With some filling of its gaps.
    Maybe,
}

/// The letters of a pattern, in which `*` is a gap.
pub(super) fn letters(pattern: &str) -> Vec<Letter> {
    pattern.chars().map(|c| if c == '*' { Letter::Any } else { Letter::Is(c) }).collect()
}

/// The letters of a text that is known whole.
pub(super) fn known(text: &str) -> Vec<Letter> {
    text.chars().map(Letter::Is).collect()
}

/// Whether the text fits the pattern.
pub(super) fn fits(pattern: &[Letter], text: &[Letter], fit: Fit) -> bool {
    // Row by row over the pattern, so that many `*` cost no more than the product of both lengths.
    let mut row = vec![false; text.len() + 1];
    row[0] = true;
    if fit == Fit::Maybe {
        fill(&mut row, text);
    }
    for want in pattern {
        let mut next = vec![false; text.len() + 1];
        for at in 0..=text.len() {
            next[at] = match want {
                Letter::Any => row[at] || (at > 0 && next[at - 1]),
                Letter::Is(c) => {
                    at > 0
                        && match text[at - 1] {
                            Letter::Is(d) => row[at - 1] && *c == d,
                            // A gap in the text stands for this letter and, staying, for the next ones.
                            Letter::Any => fit == Fit::Maybe && (row[at] || row[at - 1]),
                        }
                }
            };
        }
        if fit == Fit::Maybe {
            fill(&mut next, text);
        }
        row = next;
    }
    row[text.len()]
}

/// Lets the gaps of the text be empty.
fn fill(row: &mut [bool], text: &[Letter]) {
    for (at, letter) in text.iter().enumerate() {
        if *letter == Letter::Any && row[at] {
            row[at + 1] = true;
        }
    }
}
