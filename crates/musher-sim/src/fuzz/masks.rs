//! Masking: no piece of a secret survives, however the output is cut into reads and lines, and a line of JSON stays one.
//!
//! `@1`, `@2` and `@3` in an input stand for secrets that are drawn, and are put in after all changes, so that each is
//! whole.

use musher_agents::host::{KeyBlock, Lines, Masks};
use serde_json::Value;

use super::change::place;
use super::{Read, must};
use crate::chance::Chance;

/// How long a piece of a secret is that must not be seen: chance alone never makes so many letters.
const PIECE: usize = 8;

/// Checks what a spool keeps of this output.
pub(super) fn holds(_: &str, input: &[u8], chance: &mut Chance) -> Result<Read, String> {
    let secrets: Vec<Secret> = (0..3).map(|_| Secret::drawn(chance)).collect();
    let output = filled(input, &secrets, chance);
    let limit = chance.pick(&[64, 300, 2_000, 65_536]).copied().unwrap_or(64);
    let masks = Masks::new(&secrets.iter().map(|secret| secret.text.clone()).collect::<Vec<_>>());
    let (mut key, mut kept) = (KeyBlock::default(), Vec::new());
    let mut lines = Lines::new(limit);
    let mut rest = output.as_slice();
    while !rest.is_empty() {
        let (read, later) = rest.split_at(1 + place(rest.len().min(5_000), chance));
        lines.push(read, |line| kept.push(masks.keep(&line, &mut key, limit)));
        rest = later;
    }
    lines.finish(|line| kept.push(masks.keep(&line, &mut key, limit)));
    for (text, _) in &kept {
        must!(text.len() <= limit, "{} bytes of a line are kept, and {limit} are allowed", text.len());
        for piece in secrets.iter().flat_map(Secret::pieces) {
            must!(!text.contains(piece), "`{piece}` of a secret is left in {text:?}");
        }
    }
    still_json(&output, &kept)?;
    let hidden = kept.iter().any(|(text, _)| text.contains("***"));
    Ok(if hidden { Read::Understood } else { Read::Refused })
}

/// A line that was JSON is JSON, unless it was cut.
fn still_json(output: &[u8], kept: &[(String, bool)]) -> Result<(), String> {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() != kept.len() {
        return Ok(());
    }
    for (line, (kept, cut)) in lines.iter().zip(kept) {
        let was = line.starts_with('{') && serde_json::from_str::<Value>(line).is_ok();
        let is = *cut || serde_json::from_str::<Value>(kept).is_ok();
        must!(!was || is, "{line:?} is no JSON any more: {kept:?}");
    }
    Ok(())
}

/// A secret: runs of letters that occur nowhere else, with signs between them.
struct Secret {
    text: String,
    runs: Vec<String>,
}

impl Secret {
    fn drawn(chance: &mut Chance) -> Self {
        let runs: Vec<String> = (0..=chance.below(3)).map(|_| run(chance)).collect();
        let sign = chance.pick(&["\"", "\\", "/", "é", "<&", "\n", "\t", " ", "=", "*"]).copied().unwrap_or_default();
        Self { text: runs.join(sign), runs }
    }

    fn pieces(&self) -> impl Iterator<Item = &str> {
        self.runs.iter().flat_map(|run| (0..=run.len() - PIECE).map(move |at| &run[at..at + PIECE]))
    }
}

fn run(chance: &mut Chance) -> String {
    let most = if chance.one_in(4) { 300 } else { 40 };
    let length = chance.between(10, most);
    (0..length).map(|_| char::from(b"abcdefghijkmnopqrstuvwxyz0123456789"[place(35, chance)])).collect()
}

/// The input with secrets in the places of their signs, plain or as they look within JSON, and within JSON in JSON.
fn filled(input: &[u8], secrets: &[Secret], chance: &mut Chance) -> Vec<u8> {
    let mut output = Vec::with_capacity(input.len());
    let mut rest = input;
    while let Some(at) = rest.iter().position(|b| *b == b'@') {
        output.extend_from_slice(&rest[..at]);
        let number = rest.get(at + 1).map_or(usize::MAX, |digit| usize::from(digit.wrapping_sub(b'1')));
        match secrets.get(number) {
            Some(secret) => {
                let quoted = |text: String, _| json_string(&text);
                output.extend((0..chance.below(4)).fold(secret.text.clone(), quoted).into_bytes());
                rest = &rest[at + 2..];
            }
            None => {
                output.push(b'@');
                rest = &rest[at + 1..];
            }
        }
    }
    output.extend_from_slice(rest);
    output
}

/// The text as it stands between the quotes of a JSON string.
fn json_string(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}
