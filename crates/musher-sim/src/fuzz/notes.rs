//! Notes: a first word counts whole and in any case, and what a note names are words of it, without what ends them in a
//! sentence.

use musher_core::note::{self, Word};
use musher_core::pull::note_of;

use super::{Read, must};
use crate::chance::Chance;

/// Checks a note.
pub(super) fn holds(_: &str, input: &[u8], _: &mut Chance) -> Result<Read, String> {
    let text = String::from_utf8_lossy(input);
    let word = note::parse(&text);
    let (names, rest): (Vec<&str>, &str) = match &word {
        Word::Resume | Word::Continue | Word::Stop | Word::Text => (Vec::new(), ""),
        Word::Pause { now: _, text } => (Vec::new(), text),
        Word::Redirect { item, agent } => (vec![item, agent], ""),
        Word::Approve { item, text } | Word::Reject { item, text } => (vec![item], text),
        Word::Priority { item, priority } => (vec![item, priority], ""),
    };
    for name in names {
        must!(!name.contains(char::is_whitespace), "`{name}` is no word: {word:?}");
        // What ends a word in a sentence is none of the name; where nothing else is there, the answer says what is missing.
        let meant = |one: &str| one.trim_end_matches([':', ',', '.', ';', '!', '?']) == name;
        must!(name.is_empty() || text.split_whitespace().any(meant), "`{name}` is no word of the note");
    }
    must!(text.trim_end().ends_with(rest), "{rest:?} is not how the note ends");
    must!(note::parse(text.trim()) == word, "white space around it changes a note");
    let first = text.split_whitespace().next().unwrap_or_default();
    let shouted = text.replacen(first, &first.to_ascii_uppercase(), 1);
    must!(sort(&note::parse(&shouted)) == sort(&word), "the case of its first word changes a note");
    let longer = text.replacen(first, &format!("{first}x"), 1);
    must!(note::parse(&longer) == Word::Text || first.ends_with([':', ',', '.', '!']), "a part of a word is a word");
    Ok(if word == Word::Text { Read::Refused } else { Read::Understood })
}

/// Checks a comment: it is a note when its first word names musher, and then the rest of it is, whole.
pub(super) fn comment(_: &str, input: &[u8], chance: &mut Chance) -> Result<Read, String> {
    let text = String::from_utf8_lossy(input);
    let first = text.split_whitespace().next().unwrap_or_default().trim_end_matches([',', ':']).to_ascii_lowercase();
    let named = first == "/musher" || first == "@musher";
    must!(note_of(&text).is_some() == named, "{first:?} makes a note, or does not");
    let address = chance.pick(&["/musher", "@musher:", "@Musher,"]).copied().unwrap_or("/musher");
    must!(note_of(&format!("{address} {text}")) == Some(text.trim()), "the note is not the rest of the comment");
    must!(note_of(&format!("> {address} {text}")).is_none(), "a quoted note is one");
    Ok(Read::Understood)
}

fn sort(word: &Word<'_>) -> &'static str {
    match word {
        Word::Resume => "resume",
        Word::Continue => "continue",
        Word::Pause { .. } => "pause",
        Word::Redirect { .. } => "redirect",
        Word::Approve { .. } => "approve",
        Word::Reject { .. } => "reject",
        Word::Stop => "stop",
        Word::Priority { .. } => "priority",
        Word::Text => "text",
    }
}
