//! Words of other programs, made fit to be shown.

/// How long what is shown is at most, in characters.
const CHARS: usize = 500;

/// One line, and not a long one.
pub(super) fn shown(words: &str) -> String {
    words.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(CHARS).collect()
}

/// Without the colours that some programs use even where there is no terminal.
pub(super) fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        if letter == '\u{1b}' {
            letters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            text.push(letter);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_one_plain_line_of_a_length_that_fits() {
        assert_eq!(shown(" two\n\n words\t"), "two words");
        assert_eq!(shown(&"é".repeat(600)), "é".repeat(500));
        assert_eq!(plain("\u{1b}[1;31mError\u{1b}[0m: no \u{1b}[mway"), "Error: no way");
        assert_eq!(plain("ends in one \u{1b}[3"), "ends in one ");
    }
}
