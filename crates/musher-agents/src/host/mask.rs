//! Hides secrets in what an agent says: the values that musher was told, and whatever looks like one.
//!
//! A mask replaces the secret and nothing around it, so that a line of JSON stays JSON. The work is linear in the
//! length of a line: agents choose what they print.

use std::borrow::Cow;
use std::ops::Range;

use super::line::{Line, SLACK_BYTES, head, text};

/// What stands in a secret's place.
const MASK: &str = "***";

/// Shorter values are no secrets, and hiding them would hide half of every text.
const MIN_VALUE_BYTES: usize = 4;

/// How deep a value is looked for in JSON within JSON.
const JSON_IN_JSON: usize = 3;

/// The longest private key that is hidden line by line, in lines.
const MAX_KEY_LINES: u32 = 200;

/// The values to hide.
#[derive(Debug)]
pub struct Masks {
    /// The longest first, so that none is spoiled by another one within it.
    values: Vec<String>,
}

/// Whether the lines of a stream are in the middle of a private key.
#[derive(Debug, Default)]
pub struct KeyBlock {
    lines_left: u32,
}

impl Masks {
    /// Hides these values, each line of one that has several, and each as it looks within JSON, and that within JSON: a
    /// file of JSON that a tool has read stands in a string of the stream.
    pub fn new(secrets: &[String]) -> Self {
        let mut values: Vec<String> = Vec::new();
        for line in secrets.iter().flat_map(|secret| secret.lines()) {
            let line = line.trim();
            if line.len() >= MIN_VALUE_BYTES {
                let within = |inner: &String| Some(in_json(inner));
                values.extend(std::iter::successors(Some(line.to_owned()), within).take(1 + JSON_IN_JSON));
            }
        }
        values.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        values.dedup();
        Self { values }
    }

    /// What is kept of a line: its text without secrets, at most `most` bytes of it, and whether there was more.
    pub fn keep(&self, line: &Line<'_>, block: &mut KeyBlock, most: usize) -> (String, bool) {
        let whole = self.hide(text(line), block);
        // Where a line was broken off, it may end with a part of a value, which masks before it can have brought up to
        // what is kept.
        let is_broken_off = line.bytes.len() >= most + SLACK_BYTES;
        let longest = self.values.first().map_or(0, String::len).max(SLACK_BYTES);
        let sure = if is_broken_off { whole.len().saturating_sub(longest) } else { whole.len() };
        let kept = head(&whole, most.min(sure));
        (kept.to_owned(), line.cut || kept.len() < whole.len())
    }

    /// The line without its secrets.
    pub(super) fn hide<'a>(&self, mut text: Cow<'a, str>, block: &mut KeyBlock) -> Cow<'a, str> {
        for value in &self.values {
            if text.contains(value.as_str()) {
                text = Cow::Owned(text.replace(value.as_str(), MASK));
            }
        }
        text = replace(text, |text| block.find(text));
        replace(text, |text| shapes(text.as_bytes()))
    }
}

/// A text as it stands between the quotes of a JSON string.
fn in_json(text: &str) -> String {
    serde_json::to_string(text).map_or_else(|_| text.to_owned(), |q| q[1..q.len() - 1].to_owned())
}

/// Puts a mask over ranges that are in order, do not overlap and begin and end between characters.
fn replace(text: Cow<'_, str>, find: impl FnOnce(&str) -> Vec<Range<usize>>) -> Cow<'_, str> {
    let found = find(&text);
    if found.is_empty() {
        return text;
    }
    let (mut masked, mut from) = (String::with_capacity(text.len()), 0);
    for range in found {
        masked.push_str(&text[from..range.start]);
        masked.push_str(MASK);
        from = range.end;
    }
    masked.push_str(&text[from..]);
    Cow::Owned(masked)
}

impl KeyBlock {
    /// The parts of a line that belong to a PEM private key.
    fn find(&mut self, text: &str) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut from = 0;
        if self.lines_left > 0 {
            self.lines_left -= 1;
            match text.find(KEY_END) {
                Some(end) => {
                    self.lines_left = 0;
                    found.push(0..end);
                    from = end;
                }
                None if of_a_key(text) => {
                    found.push(0..text.len());
                    return found;
                }
                // It was only a mention of a key.
                None => self.lines_left = 0,
            }
        }
        while let Some(body) = key_begin(text, from) {
            let rest = &text[body..];
            let end = rest.find(KEY_END).into_iter().chain(rest.find('"')).min();
            if end.is_none() {
                self.lines_left = MAX_KEY_LINES;
            }
            from = body + end.unwrap_or(rest.len());
            if from > body {
                found.push(body..from);
            }
        }
        found
    }
}

const KEY_BEGIN: &str = "-----BEGIN ";
const KEY_END: &str = "-----END ";

/// Where the body of a private key begins, at or after `from`.
fn key_begin(text: &str, mut from: usize) -> Option<usize> {
    while let Some(at) = text[from..].find(KEY_BEGIN) {
        from += at + KEY_BEGIN.len();
        let label = text[from..].bytes().take_while(|b| b.is_ascii_uppercase() || *b == b' ').count();
        let closing = &text[from + label..];
        if text[from..from + label].contains("PRIVATE KEY") && closing.starts_with("-----") {
            return Some(from + label + "-----".len());
        }
    }
    None
}

/// Whether a line may be one of a private key: base64, perhaps behind a line number or a mark of a diff; or a header.
fn of_a_key(text: &str) -> bool {
    let body =
        text.trim().trim_start_matches(|c: char| c.is_ascii_digit() || " \t|:>-→".contains(c)).trim_start_matches('+');
    let base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    body.bytes().all(base64) || body.starts_with("Proc-Type:") || body.starts_with("DEK-Info:")
}

/// A known beginning of tokens, the least number of characters behind it, and which.
struct Shape {
    prefix: &'static [u8],
    least: usize,
    of: fn(u8) -> bool,
}

const SHAPES: &[Shape] = &[
    Shape { prefix: b"ghp_", least: 20, of: word },
    Shape { prefix: b"gho_", least: 20, of: word },
    Shape { prefix: b"ghu_", least: 20, of: word },
    Shape { prefix: b"ghs_", least: 20, of: word },
    Shape { prefix: b"ghr_", least: 20, of: word },
    Shape { prefix: b"github_pat_", least: 20, of: word },
    Shape { prefix: b"glpat-", least: 20, of: dashed },
    Shape { prefix: b"sk-", least: 20, of: dashed },
    Shape { prefix: b"sk_live_", least: 16, of: word },
    Shape { prefix: b"xoxa-", least: 10, of: dashed },
    Shape { prefix: b"xoxb-", least: 10, of: dashed },
    Shape { prefix: b"xoxp-", least: 10, of: dashed },
    Shape { prefix: b"xoxr-", least: 10, of: dashed },
    Shape { prefix: b"xoxs-", least: 10, of: dashed },
    Shape { prefix: b"xapp-", least: 10, of: dashed },
    Shape { prefix: b"AKIA", least: 16, of: capital },
    Shape { prefix: b"ASIA", least: 16, of: capital },
    Shape { prefix: b"AIza", least: 35, of: dashed },
];

/// The last words of the names of variables that hold secrets.
const SECRET_NAMES: &[&[u8]] = &[b"KEY", b"APIKEY", b"TOKEN", b"SECRET", b"PASSWORD", b"PASSWD"];

/// The longest header of a JSON web token that is looked for, in bytes.
const MAX_JWT_HEADER: usize = 1024;

fn shapes(text: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let hit = if begins_word(text, at) { secret_at(text, at) } else { url_password(text, at) };
        at = match hit {
            Some(range) => {
                let end = range.end;
                found.push(range);
                end
            }
            None => at + 1,
        };
    }
    found
}

/// Whether a word begins here. Within JSON one may follow an escaped end of line.
fn begins_word(text: &[u8], at: usize) -> bool {
    let escaped = at >= 2 && text[at - 2] == b'\\' && matches!(text[at - 1], b'n' | b'r' | b't');
    word(text[at]) && (at == 0 || !word(text[at - 1]) || escaped)
}

fn secret_at(text: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = &text[at..];
    let shape = SHAPES.iter().find_map(|shape| {
        let length = run(rest.strip_prefix(shape.prefix)?, shape.of);
        (length >= shape.least).then(|| at..at + shape.prefix.len() + length)
    });
    shape.or_else(|| web_token(text, at)).or_else(|| bearer(text, at)).or_else(|| assignment(text, at))
}

/// `eyJ….….…`
fn web_token(text: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = text[at..].strip_prefix(b"eyJ")?;
    let header = run(&rest[..rest.len().min(MAX_JWT_HEADER)], dashed);
    let payload = run(rest.get(header + 1..)?, dashed);
    let dots = rest.get(header) == Some(&b'.') && rest.get(header + 1 + payload) == Some(&b'.');
    let signature = rest.get(header + payload + 2..).map_or(0, |rest| run(rest, dashed));
    (dots && header >= 8 && payload >= 8).then(|| at..at + 3 + header + payload + 2 + signature)
}

/// `Bearer …`
fn bearer(text: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = &text[at..];
    if !rest.get(..6)?.eq_ignore_ascii_case(b"bearer") || rest.get(6) != Some(&b' ') {
        return None;
    }
    let length = run(&rest[7..], |b| dashed(b) || matches!(b, b'.' | b'~' | b'+' | b'/' | b'='));
    (length >= 16).then(|| at + 7..at + 7 + length)
}

/// `SOME_TOKEN=…`, with or without quotes.
fn assignment(text: &[u8], at: usize) -> Option<Range<usize>> {
    let length = run(&text[at..], |b| capital(b) || b == b'_');
    let name = &text[at..at + length];
    let last = name.rsplit(|b| *b == b'_').next()?;
    if text.get(at + length) != Some(&b'=') || !SECRET_NAMES.contains(&last) {
        return None;
    }
    let value = at + length + 1;
    let range = match (text.get(value)?, text.get(value + 1)) {
        (b'\\', Some(b'"' | b'\'')) => quoted(text, value + 2, text[value + 1]),
        // A quote before one of these ends a JSON string; the value is empty.
        (b'"', Some(b',' | b'}' | b']' | b':' | b' ') | None) => return None,
        (quote @ (b'"' | b'\''), Some(_)) => quoted(text, value + 1, *quote),
        // A reference to a variable is no secret.
        (b'$', _) => return None,
        _ => value..value + unquoted(&text[value..]),
    };
    (!range.is_empty() && &text[range.clone()] != MASK.as_bytes()).then_some(range)
}

fn quoted(text: &[u8], from: usize, quote: u8) -> Range<usize> {
    from..from + run(&text[from..], |b| b != quote && b != b'\\')
}

fn unquoted(text: &[u8]) -> usize {
    let ends = |b: u8| b.is_ascii_whitespace() || b"\"'`,;&|<>()[]{}".contains(&b);
    let escape = |at: usize| text[at] == b'\\' && matches!(text.get(at + 1), Some(b'n' | b'r' | b't' | b'"' | b'\\'));
    (0..text.len()).find(|at| ends(text[*at]) || escape(*at)).unwrap_or(text.len())
}

/// `://user:…@`
fn url_password(text: &[u8], at: usize) -> Option<Range<usize>> {
    let rest = text[at..].strip_prefix(b"://")?;
    let length = run(rest, |b| !b.is_ascii_whitespace() && !b"/?#\"'\\<>`".contains(&b));
    let user_info = rest[..length].iter().rposition(|b| *b == b'@')?;
    let colon = rest[..user_info].iter().position(|b| *b == b':')?;
    let range = at + 3 + colon + 1..at + 3 + user_info;
    (!range.is_empty() && &text[range.clone()] != MASK.as_bytes()).then_some(range)
}

fn run(text: &[u8], of: impl Fn(u8) -> bool) -> usize {
    text.iter().position(|b| !of(*b)).unwrap_or(text.len())
}

fn word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

fn dashed(b: u8) -> bool {
    word(b) || b == b'-'
}

fn capital(b: u8) -> bool {
    b.is_ascii_uppercase() || b.is_ascii_digit()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hide(secrets: &[&str], text: &str) -> String {
        let secrets: Vec<String> = secrets.iter().map(|s| (*s).to_owned()).collect();
        Masks::new(&secrets).hide(text.into(), &mut KeyBlock::default()).into_owned()
    }

    #[test]
    fn what_looks_like_a_secret_is_hidden() {
        let x = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7";
        let cases = [
            (format!("token ghp_{x} used"), "token *** used"),
            (format!("github_pat_{x}_{x}"), "***"),
            (format!("(sk-ant-{x})"), "(***)"),
            ("xoxb-12345-67890-abc".into(), "***"),
            ("id AKIAIOSFODNN7EXAMPLE.".into(), "id ***."),
            (format!("authorization: bearer {x}"), "authorization: bearer ***"),
            (format!("eyJhbGciOiJIUzI1NiJ9.{x}.{x}!"), "***!"),
            ("export API_KEY=abc DEBUG=1".into(), "export API_KEY=*** DEBUG=1"),
            ("DB_PASSWORD='a b' x".into(), "DB_PASSWORD='***' x"),
            (r#"{"cmd":"SECRET=\"a b\" run"}"#.into(), r#"{"cmd":"SECRET=\"***\" run"}"#),
            (format!(r#"{{"text":"is\nghp_{x}\n"}}"#), r#"{"text":"is\n***\n"}"#),
            ("git clone https://me:hunter2@host/x".into(), "git clone https://me:***@host/x"),
            ("é TOKEN=é€ é".into(), "é TOKEN=*** é"),
        ];
        for (text, masked) in cases {
            assert_eq!(hide(&[], &text), masked);
        }
    }

    #[test]
    fn what_only_resembles_a_secret_stays() {
        let cases = [
            "task-management-for-everyone-in-the-house",
            "sk-short",
            "MONKEY=banana",
            "TOKEN=$GITHUB_TOKEN",
            "sorted(x, key=len)",
            r#"{"cmd":"TOKEN=","next":"PASSWORD="}"#,
            "MAX_TOKENS=1000",
            "https://host:8080/path",
            "the bearer of news",
        ];
        for text in cases {
            assert_eq!(hide(&[], text), text);
        }
    }

    #[test]
    fn a_configured_value_is_hidden_in_plain_text_and_within_json() {
        assert_eq!(hide(&["pa\"ss\\word"], r#"pa"ss\word {"t":"pa\"ss\\word"}"#), r#"*** {"t":"***"}"#);
        assert_eq!(hide(&["pa\"ss\\word"], r#"{"t":"{\"t\":\"pa\\\"ss\\\\word\"}"}"#), r#"{"t":"{\"t\":\"***\"}"}"#);
        assert_eq!(hide(&["abcd", "abcdefgh"], "abcdefgh abcd"), "*** ***");
        assert_eq!(hide(&["first line\nsecond line"], "a second line"), "a ***");
        assert_eq!(hide(&["ab"], "ab"), "ab");
    }

    #[test]
    fn no_part_of_a_value_is_kept_where_a_line_is_broken_off() {
        let (short, long) = ("s".repeat(100), "0123456789".repeat(SLACK_BYTES / 5));
        let masks = Masks::new(&[short.clone(), long.clone()]);
        // Masked, the line is far shorter than what is kept of one, and it is broken off within a value.
        for text in [short.repeat(50), format!("{}{long}{long}", "x".repeat(100)), "x".repeat(63) + &long] {
            let bytes = &text.as_bytes()[..text.len().min(64 + SLACK_BYTES)];
            let (kept, cut) = masks.keep(&Line { bytes, cut: true }, &mut KeyBlock::default(), 64);
            assert!(cut && !kept.contains('s') && !kept.contains("01"), "{kept}");
        }
        let (kept, _) = masks.keep(&Line { bytes: b"whole", cut: false }, &mut KeyBlock::default(), 64);
        assert_eq!(kept, "whole");
    }

    #[test]
    fn a_private_key_is_hidden_over_several_lines_and_what_follows_is_not() {
        let masks = Masks::new(&[]);
        let mut block = KeyBlock::default();
        let mut hide = |text: &str| masks.hide(text.to_owned().into(), &mut block).into_owned();
        assert_eq!(hide("-----BEGIN RSA PRIVATE KEY-----"), "-----BEGIN RSA PRIVATE KEY-----");
        assert_eq!(hide("MIIEpAIBAAKCAQEA7"), "***");
        assert_eq!(hide("  3\tabc+/="), "***");
        assert_eq!(hide("-----END RSA PRIVATE KEY-----"), "***-----END RSA PRIVATE KEY-----");
        assert_eq!(hide("MIIEpAIBAAKCAQEA7"), "MIIEpAIBAAKCAQEA7");
        assert_eq!(
            hide(r#"{"k":"-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----"}"#).matches("MII").count(),
            0
        );
        assert_eq!(hide("say -----BEGIN PRIVATE KEY----- first"), "say -----BEGIN PRIVATE KEY-----***");
        assert_eq!(hide("and then, the end"), "and then, the end");
    }
}
