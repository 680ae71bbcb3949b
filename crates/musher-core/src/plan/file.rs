//! Chooses the reader of a plan.

use super::markdown::{has_items, parse_markdown};
use super::parts::Plan;
use super::{parse_text, parse_toml};
use crate::problem::{Problems, decode};

/// Reads a plan of any sort: TOML for `.toml`, Markdown for `.md` and `.markdown`; everything else (standard input too,
/// whose name is `-`) by what it looks like: TOML, Markdown if it has a `##` heading, or else plain text.
///
/// # Errors
/// Every problem of the text at once.
pub fn parse(file: &str, bytes: &[u8]) -> Result<Plan, Problems> {
    let text = decode(file, bytes)?;
    let extension = file.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("toml") => parse_toml(file, bytes),
        Some("md" | "markdown") => parse_markdown(file, bytes),
        _ if looks_like_toml(text) => parse_toml(file, bytes),
        _ if has_items(text) => parse_markdown(file, bytes),
        _ => parse_text(file, text),
    }
}

/// Whether the first line that says something is one that a plan file may begin with.
pub(super) fn looks_like_toml(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !is_comment(line));
    lines.next().is_some_and(|line| {
        let begins_table = ["[[items", "[policy", "[[ items", "[ policy"].iter().any(|start| line.starts_with(start));
        let key = line.split_once('=').map(|(key, _)| key.trim().trim_matches('"'));
        begins_table || matches!(key, Some("goal" | "items")) || key.is_some_and(|k| k.starts_with("policy."))
    })
}

/// A comment of TOML; `##` is a heading of Markdown.
fn is_comment(line: &str) -> bool {
    line.starts_with('#') && !line.starts_with("##")
}
