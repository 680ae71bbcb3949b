//! `WORKFLOW.md` in the style of the Symphony specification, as configuration of musher.
//!
//! Its head, YAML between two lines of `---`, says where issues are, how many agents work and how they are started; the text
//! after it is the prompt. [`read`] makes a `musher.toml` of what has a counterpart, and remarks on everything else by its
//! line. A file that cannot be taken over as it is meant is refused as a whole, with every problem at once.

mod front;
mod section;

use crate::config;
use crate::plan::{toml_array, toml_string};
use crate::problem::{Problems, Report, decode};
use crate::prompt::{LONGEST_PROMPT, Template};
use front::{Entry, Node, Value};

/// The largest file that is read, in bytes.
pub const LARGEST: usize = 256 << 10;

/// A workflow as configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The `musher.toml`.
    pub toml: String,
    /// What of the file is not in it, or not as it was, by line.
    pub remarks: Vec<Remark>,
}

/// Something of a workflow that a person should know of.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Remark {
    /// Its line.
    pub line: usize,
    /// The key, with its section: `polling.interval_ms`.
    pub key: String,
    /// What is to be known. Never the value: it may be a secret.
    pub what: String,
}

/// What is written into the file, section by section.
#[derive(Debug, Default)]
struct Draft {
    project: Vec<(&'static str, String)>,
    policy: Vec<(&'static str, String)>,
    forge: Vec<(&'static str, String)>,
    server: Vec<(&'static str, String)>,
    agent: Vec<(&'static str, String)>,
    limits: Vec<(&'static str, String)>,
    driver: Option<String>,
    remarks: Vec<Remark>,
}

impl Draft {
    fn remark(&mut self, line: usize, key: impl Into<String>, what: impl Into<String>) {
        self.remarks.push(Remark { line, key: key.into(), what: what.into() });
    }
}

/// Reads a workflow. `gate` is the command that proves work, which a workflow does not name.
///
/// # Errors
/// Every problem: of the YAML, of a value that musher has a counterpart for, of a token that stands in the file, and of a
/// variable of the prompt that musher does not know.
pub fn read(file: &str, bytes: &[u8], gate: Option<&str>) -> Result<Import, Problems> {
    let text = decode(file, bytes)?;
    let mut report = Report::new(file, text);
    if text.len() > LARGEST {
        let what = format!("the file has {} bytes; a workflow has at most {LARGEST}", text.len());
        report.add_with_fix(0, what, "is this the right file?");
        return Err(report.into_problems());
    }
    let Parts { head, head_line, body, body_at } = split(text, &mut report);
    let places = Places::of(text);
    let mut draft = Draft::default();
    match front::read(head) {
        Ok(Some(Node { value: Value::Map(sections), .. })) => {
            section::all(
                &sections,
                &mut Reading { places: &places, head_line, draft: &mut draft, report: &mut report },
            );
        }
        Ok(Some(node)) => {
            let at = places.of_line(head_line + node.line);
            report.add_with_fix(at, "the front matter is no list of keys", "write `tracker:`, `agent:` and so on");
        }
        Ok(None) => {}
        Err(unread) => report.add_with_fix(places.of_line(head_line + unread.line), unread.what, unread.fix),
    }
    let prompt = body.trim();
    let prompt_at = body_at + (body.len() - body.trim_start().len());
    if prompt.len() > LONGEST_PROMPT {
        let what = format!("the prompt has {} bytes; it has at most {LONGEST_PROMPT}", prompt.len());
        report.add_with_fix(prompt_at, what, "put the details into a file of the repository and name that");
    }
    for fault in Template::parse(prompt).err().unwrap_or_default() {
        report.add_with_fix(prompt_at + fault.at, fault.what, fault.fix);
    }
    draft.remarks.sort_by_key(|remark| remark.line);
    let import = Import { toml: toml(&draft, prompt, gate), remarks: draft.remarks };
    usable(file, text, report.finish(import)?)
}

/// The import, if musher can use it: what a workflow may say is more than what a key may hold, such as a repository's name.
fn usable(file: &str, text: &str, import: Import) -> Result<Import, Problems> {
    let Err(problems) = config::parse("musher.toml", import.toml.as_bytes()) else { return Ok(import) };
    let mut report = Report::new(file, text);
    for problem in problems.shown {
        let fix = problem.fix.unwrap_or_else(|| "write what musher can use, or take it out".to_owned());
        report.add_with_fix(0, format!("the `musher.toml` made of it cannot be used: {}", problem.what), fix);
    }
    Err(report.into_problems())
}

/// The two parts of a workflow.
struct Parts<'t> {
    head: &'t str,
    /// How many lines are before the head.
    head_line: usize,
    body: &'t str,
    body_at: usize,
}

fn split<'t>(text: &'t str, report: &mut Report) -> Parts<'t> {
    let is_fence = |line: &str| line.trim_end() == "---";
    let mut at = 0;
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().unwrap_or_default();
    if !is_fence(first) {
        return Parts { head: "", head_line: 0, body: text, body_at: 0 };
    }
    let begin = first.len();
    for line in lines {
        if is_fence(line) {
            let end = begin + at;
            let body_at = end + line.len();
            return Parts { head: &text[begin..end], head_line: 1, body: &text[body_at..], body_at };
        }
        at += line.len();
    }
    report.add_with_fix(0, "the front matter has no end", "write a line of `---` after its last key");
    Parts { head: "", head_line: 0, body: "", body_at: text.len() }
}

/// Where lines begin.
struct Places(Vec<usize>);

impl Places {
    fn of(text: &str) -> Self {
        Self(std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    /// The first byte of a line, from 1.
    fn of_line(&self, line: usize) -> usize {
        self.0.get(line.saturating_sub(1)).or(self.0.last()).copied().unwrap_or_default()
    }
}

/// What the sections are read with.
struct Reading<'r, 't> {
    places: &'r Places,
    head_line: usize,
    draft: &'r mut Draft,
    report: &'r mut Report<'t>,
}

impl Reading<'_, '_> {
    fn line(&self, line: usize) -> usize {
        self.head_line + line
    }

    /// Something that has no counterpart, or another one than it seems.
    fn remark(&mut self, entry: &Entry, key: &str, what: &str) {
        let line = self.line(entry.line);
        self.draft.remark(line, key, what);
    }

    fn problem(&mut self, entry: &Entry, what: impl Into<String>, fix: &str) {
        let at = self.places.of_line(self.line(entry.line));
        self.report.add_with_fix(at, what, fix);
    }
}

fn toml(draft: &Draft, prompt: &str, gate: Option<&str>) -> String {
    let mut out =
        String::from("# Made from a WORKFLOW.md. `musher config schema` and the manual name every key.\n\n[project]\n");
    out.push_str("# The command that must exit 0 before anything is merged; a workflow names none.\n");
    match gate {
        Some(gate) => out.push_str(&format!("gate = {}\n", toml_string(gate))),
        None => out.push_str("# gate = \"make test\"\n"),
    }
    lines(&mut out, &draft.project);
    if !prompt.is_empty() {
        out.push_str("# What agents are told before the text of an item.\n");
        out.push_str(&format!("prompt = {}\n", toml_string(&prompt.replace("\r\n", "\n"))));
    }
    let mut policy = draft.policy.clone();
    // As in every first file: without an agent that reviews, a person would be asked for each item.
    policy.push(("reviewer_required", "false".to_owned()));
    let driver = draft.driver.as_deref().unwrap_or("codex");
    let agent = [("name", toml_string(driver)), ("driver", toml_string(driver))];
    for (heading, pairs) in [
        ("[policy]", &policy[..]),
        ("[forge]", &draft.forge),
        ("[server]", &draft.server),
        ("[[agents]]", &agent),
        ("", &draft.agent),
        ("[agents.limits]", &draft.limits),
    ] {
        if !pairs.is_empty() && !heading.is_empty() {
            out.push_str(&format!("\n{heading}\n"));
        }
        lines(&mut out, pairs);
    }
    out
}

fn lines(out: &mut String, pairs: &[(&'static str, String)]) {
    pairs.iter().for_each(|(key, value)| out.push_str(&format!("{key} = {value}\n")));
}

fn words(words: &[String]) -> String {
    toml_array(words)
}

#[cfg(test)]
mod tests;
