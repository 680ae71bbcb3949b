//! Changes a JSON value in one place: another type, another number, a key gone, doubled or renamed.

use serde_json::{Map, Value, json};

use super::change::place;
use crate::chance::Chance;

/// Deeper than this, a reader of JSON refuses; just below, it does not.
const DEEP: u64 = 130;

/// Changes the value somewhere within.
pub(super) fn value(value: &mut Value, chance: &mut Chance) {
    let stays = chance.one_in(4);
    match value {
        Value::Object(fields) if !fields.is_empty() && !stays => field(fields, chance),
        Value::Array(values) if !values.is_empty() && !stays => {
            let (at, to) = (place(values.len(), chance), place(values.len(), chance));
            match chance.below(6) {
                0 => drop(values.remove(at)),
                1 => values.insert(to, values[at].clone()),
                2 => values.swap(at, to),
                _ => self::value(&mut values[at], chance),
            }
        }
        Value::String(text) if !stays => *text = words(text, chance),
        _ => *value = another(value, chance),
    }
}

/// Changes every other number somewhere within: sums overflow only when several are large.
pub(super) fn numbers(value: &mut Value, chance: &mut Chance) {
    match value {
        Value::Object(fields) => fields.values_mut().for_each(|inner| numbers(inner, chance)),
        Value::Array(values) => values.iter_mut().for_each(|inner| numbers(inner, chance)),
        Value::Number(_) if chance.one_in(2) => {
            *value = match chance.below(4) {
                0 => json!(u64::MAX),
                1 => json!(u64::MAX - chance.below(1000)),
                2 => json!(i64::MAX),
                _ => json!(-1e300),
            }
        }
        Value::Number(_) | Value::String(_) | Value::Bool(_) | Value::Null => {}
    }
}

fn field(fields: &mut Map<String, Value>, chance: &mut Chance) {
    let keys: Vec<String> = fields.keys().cloned().collect();
    let (key, other) = (&keys[place(keys.len(), chance)], &keys[place(keys.len(), chance)]);
    match chance.below(8) {
        0 => drop(fields.remove(key)),
        1 => {
            let moved = fields.remove(key).unwrap_or_default();
            fields.insert(words(key, chance), moved);
        }
        2 => {
            let copy = fields[key].clone();
            fields.insert(other.clone(), copy);
        }
        _ => fields.values_mut().nth(place(keys.len(), chance)).into_iter().for_each(|inner| value(inner, chance)),
    }
}

fn words(text: &str, chance: &mut Chance) -> String {
    let letters: Vec<char> = text.chars().collect();
    let at = place(letters.len() + 1, chance);
    let (head, tail) = letters.split_at(at);
    let head: String = head.iter().collect();
    let tail: String = tail.iter().collect();
    match chance.below(7) {
        0 => String::new(),
        1 => head,
        2 => tail,
        3 => head + chance.pick(WORDS).copied().unwrap_or_default() + &tail,
        4 => text.repeat(place(100, chance)),
        5 => text.to_uppercase(),
        _ => chance.pick(WORDS).copied().unwrap_or_default().to_owned(),
    }
}

fn another(value: &Value, chance: &mut Chance) -> Value {
    match chance.below(16) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(false),
        3 => json!(0),
        4 => json!(-1),
        5 => json!(u64::MAX),
        6 => json!(u64::MAX - chance.below(1000)),
        7 => json!(i64::MIN),
        8 => json!(1e308),
        9 => json!(-1.5),
        10 => json!(""),
        11 => json!([]),
        12 => json!({}),
        13 => (0..chance.below(DEEP)).fold(value.clone(), |inner, _| json!([inner])),
        14 => (0..chance.below(DEEP)).fold(value.clone(), |inner, _| json!({"a": inner})),
        _ => json!(value.to_string()),
    }
}

const WORDS: &[&str] = &[
    "\n",
    "\0",
    "\u{1b}[0m",
    "é",
    "\u{202e}",
    "Reconnecting",
    "429",
    "rate limit, try again in 5s",
    "limit reached|99999999999999999999",
    "resets at 25:61",
    "try again at Nov 31st, 2026 9:99 PM",
    "99999999999999999999999h",
    "401 Unauthorized",
    "-1",
    "answer:1",
    "prompt",
    "result",
    "error",
    "completed",
    "..",
    "/",
    "*",
    ":",
];
