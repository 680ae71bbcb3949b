//! Makes an input from samples: lines, bytes and JSON values that are cut, doubled, moved and swapped.

use crate::chance::Chance;
use crate::fuzz::swap;

/// The largest input that is made, in bytes.
const LARGEST: usize = 96 << 10;

/// How many changes are made at most.
const CHANGES: u64 = 8;

/// An input, made from these samples.
pub(super) fn input(samples: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    let mut input = chance.pick(samples).cloned().unwrap_or_default();
    for _ in 0..chance.below(CHANGES) {
        change(&mut input, samples, chance);
        input.truncate(LARGEST);
    }
    input
}

fn change(input: &mut Vec<u8>, samples: &[Vec<u8>], chance: &mut Chance) {
    match chance.below(10) {
        0..3 => lines(input, samples, chance),
        3..7 => in_a_line(input, samples, chance),
        _ => bytes(input, samples, chance),
    }
}

/// Lines cut, doubled, moved, taken from elsewhere.
fn lines(input: &mut Vec<u8>, samples: &[Vec<u8>], chance: &mut Chance) {
    let mut lines: Vec<Vec<u8>> = input.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    let (at, to) = (place(lines.len(), chance), place(lines.len(), chance));
    match chance.below(6) {
        0 => drop(lines.remove(at)),
        1 => {
            // Now and then very often: what grows with each line shows only then.
            let times = if chance.one_in(4) { 1 << chance.below(11) } else { 1 };
            let times = (LARGEST / (lines[at].len() + 1)).min(times);
            let copies = vec![lines[at].clone(); times];
            lines.splice(to..to, copies);
        }
        2 => lines.swap(at, to),
        3 => lines.truncate(at + 1),
        4 => {
            let moved = lines.remove(at);
            lines.insert(to.min(lines.len()), moved);
        }
        _ => {
            let other = chance.pick(samples).map(Vec::as_slice).unwrap_or_default();
            let others: Vec<&[u8]> = other.split(|b| *b == b'\n').collect();
            lines.insert(to, chance.pick(&others).copied().unwrap_or_default().to_vec());
        }
    }
    *input = lines.join(&b'\n');
}

/// A JSON value swapped for another, where the line is JSON; else a word for another.
fn in_a_line(input: &mut Vec<u8>, samples: &[Vec<u8>], chance: &mut Chance) {
    let mut lines: Vec<Vec<u8>> = input.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
    let at = place(lines.len(), chance);
    if let Ok(mut value) = serde_json::from_slice::<serde_json::Value>(&lines[at]) {
        if chance.one_in(5) {
            swap::numbers(&mut value, chance);
        } else {
            swap::value(&mut value, chance);
        }
        lines[at] = value.to_string().into_bytes();
    } else {
        let (from, to) = a_word(&lines[at], chance);
        lines[at].splice(from..to, token(samples, chance));
    }
    *input = lines.join(&b'\n');
}

/// Bytes cut out, doubled, replaced, put in.
fn bytes(input: &mut Vec<u8>, samples: &[Vec<u8>], chance: &mut Chance) {
    let from = place(input.len() + 1, chance);
    let to = (from + place(24, chance)).min(input.len());
    match chance.below(7) {
        0 => drop(input.drain(from..to)),
        1 => {
            let copy = input[from..to].to_vec();
            input.splice(from..from, copy);
        }
        2 => input.truncate(from),
        3 => input.insert(from, chance.any() as u8),
        4 => {
            let many = 1 << chance.below(11);
            let token = token(samples, chance);
            input.splice(from..from, token.repeat(many.min(LARGEST / token.len().max(1))));
        }
        _ => drop(input.splice(from..to, token(samples, chance))),
    }
}

/// A piece of text that means something to some parser, or a word of a sample.
fn token(samples: &[Vec<u8>], chance: &mut Chance) -> Vec<u8> {
    if chance.one_in(2) {
        return chance.pick(TOKENS).copied().unwrap_or_default().to_vec();
    }
    let sample = chance.pick(samples).map(Vec::as_slice).unwrap_or_default();
    let (from, to) = a_word(sample, chance);
    sample[from..to].to_vec()
}

/// Where a word stands, with the sign behind it in one of two draws.
fn a_word(text: &[u8], chance: &mut Chance) -> (usize, usize) {
    let sign = |b: &u8| !b.is_ascii_alphanumeric() && *b != b'_' && *b < 0x80;
    let start = place(text.len() + 1, chance);
    let from = text[..start].iter().rposition(sign).map_or(0, |at| at + 1);
    let to = text[start..].iter().position(sign).map_or(text.len(), |at| start + at);
    (from, (to + place(2, chance)).min(text.len()))
}

/// A place among so many; 0 where there is none.
pub(super) fn place(among: usize, chance: &mut Chance) -> usize {
    usize::try_from(chance.below(among as u64)).unwrap_or(0)
}

const TOKENS: &[&[u8]] = &[
    b"[",
    b"]",
    b"{",
    b"}",
    b"(",
    b")",
    b"$(",
    b"`",
    b"'",
    b"\"",
    b"\\",
    b"\"\"\"",
    b"'''",
    b"<<E\n",
    b"\n",
    b"\r\n",
    b"\r",
    b"\t",
    b"\0",
    b"\x1b[0m",
    b"\xff",
    b"\xc3",
    b"\xef\xbb\xbf",
    "\u{2028}".as_bytes(),
    "\u{a0}".as_bytes(),
    "é".as_bytes(),
    "İ".as_bytes(),
    "👩‍👩‍👧".as_bytes(),
    b"null",
    b"true",
    b"-1",
    b"-0",
    b"1e999",
    b"1e-999",
    b"18446744073709551615",
    b"18446744073709551616",
    b"9223372036854775808",
    b"0x7f",
    b"nan",
    b"inf",
    b"2026-02-30T25:00:00Z",
    b"9999-12-31T23:59:59Z",
    b"\\u0000",
    b"\\ud800",
    b":",
    b",",
    b"=",
    b".",
    b"..",
    b"/",
    b"#",
    b"##",
    b"- ",
    b"* ",
    b"> ",
    b"&&",
    b"||",
    b"|",
    b";",
    b"&",
    b"!",
    b"*",
    b"~",
    b"$",
    b"${x:-",
    b"((",
    b"[[",
    b"after ",
    b"depends on ",
    b"***",
];
