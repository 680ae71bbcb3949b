//! Reads manifests: what a person says of issues before they are compiled.

use super::parts::one_line;
use super::toml::read_globs;
use crate::config::key::{Key, Shape};
use crate::config::reader::{self, Fields};
use crate::forge::{Home, Reference};
use crate::item::{Kind, Priority};
use crate::problem::{Problems, Report, decode};

/// What a person says of issues, instead of what their labels and texts say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifest(Vec<(Reference, Override)>);

/// What is said of one issue; what is left out stays as compiled.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Override {
    pub(super) kind: Option<Kind>,
    /// Instead of all that its text names.
    pub(super) depends_on: Option<Vec<Reference>>,
    pub(super) role: Option<String>,
    pub(super) priority: Option<Priority>,
    pub(super) touches: Option<Vec<String>>,
    pub(super) skip: Option<bool>,
}

impl Manifest {
    /// What is said of this issue.
    pub(super) fn get(&self, name: &Reference) -> Option<&Override> {
        self.0.iter().find(|(known, _)| known.is(name)).map(|(_, said)| said)
    }
}

/// Reads a manifest in TOML: a table `[issues.23]`, or `[issues."owner/name#23"]`, for each issue of which something is
/// said. `file` names it in messages, `issues` are those that will be compiled, `home` is where the project is.
///
/// # Errors
/// Every problem of the file at once; an issue that is not compiled is one.
pub fn parse_manifest(file: &str, bytes: &[u8], issues: &[Reference], home: Home<'_>) -> Result<Manifest, Problems> {
    let text = decode(file, bytes)?;
    reader::read(file, text, MANIFEST, |root, report| {
        let mut said: Vec<(Reference, Override)> = Vec::new();
        for (name, fields) in root.named("issues", report) {
            let Some(reference) = read_name(name, &fields, home, report) else { continue };
            if !issues.iter().any(|known| known.clone().seen_from(home.repo).is(&reference)) {
                let what = format!("{reference} is none of the issues that are compiled");
                report.add_with_fix(fields.at(), what, format!("add `--issue {reference}`, or take the table out"));
            } else if said.iter().any(|(known, _)| known.is(&reference)) {
                report.add_with_fix(fields.at(), format!("{reference} has two tables"), "make one of them");
            }
            let read = read_override(&fields, home, report);
            said.push((reference, read));
        }
        Manifest(said)
    })
}

fn read_name(name: &str, fields: &Fields, home: Home<'_>, report: &mut Report) -> Option<Reference> {
    match Reference::of_objective(name, home.site) {
        Ok(reference) => Some(reference.seen_from(home.repo)),
        Err(error) => {
            report.add_with_fix(fields.at(), error.to_string(), "write `[issues.23]`, or `[issues.\"owner/name#23\"]`");
            None
        }
    }
}

fn read_override(fields: &Fields, home: Home<'_>, report: &mut Report) -> Override {
    let depends_on = fields.texts("depends_on", report).map(|texts| {
        let mut found = Vec::with_capacity(texts.len());
        for (at, text) in texts {
            match Reference::of_objective(text, home.site) {
                Ok(reference) => found.push(reference.seen_from(home.repo)),
                Err(error) => {
                    report.add_with_fix(at, error.to_string(), "write \"23\", \"#23\" or \"owner/name#23\"");
                }
            }
        }
        found
    });
    Override {
        kind: fields.word("kind", &Kind::ALL, Kind::name, report),
        depends_on,
        role: fields.text("role", report).map(one_line),
        priority: fields.word("priority", &Priority::ALL, Priority::name, report),
        touches: fields.has("touches").then(|| read_globs(fields, "touches", report)),
        skip: fields.flag("skip", report),
    }
}

/// The root of a manifest.
const MANIFEST: &[Key] =
    &[Key::new("issues", Shape::Named(ISSUE), "", "What is said of an issue, under its number or reference.")];

const ISSUE: &[Key] = &[
    Key::new(
        "kind",
        Shape::Word(&["design", "implement", "test", "review", "merge_gate", "followup"]),
        "",
        "What sort of work.",
    ),
    Key::new(
        "depends_on",
        Shape::Texts,
        "",
        "The issues that must be done first, instead of those that its text names.",
    ),
    Key::new("role", Shape::Text, "", "The role that an agent should have."),
    Key::new("priority", Shape::Word(&["critical", "high", "medium", "low"]), "", "How urgent."),
    Key::new("touches", Shape::Texts, "", "Globs of what it will change."),
    Key::new("skip", Shape::Flag, "", "Whether it counts as done from the start."),
];
