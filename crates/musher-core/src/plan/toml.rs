//! Reads plan files.

use super::graph::{Draft, check_count, link};
use super::keys::PLAN;
use super::parts::{CUT, GOAL_LIMIT, ID_LIMIT, ITEM_LIMIT, Plan, PlanItem, WATCH_LIMIT, first_line, one_line};
use super::{policy, slug::slug};
use crate::config::reader::{self, Fields, Placed, clipped};
use crate::forge::Reference;
use crate::item::{Kind, Priority, Qa};
use crate::problem::{Problems, Report, decode};
use crate::watch::WatchKind;

/// Reads a plan file in TOML. `file` names it in messages.
///
/// # Errors
/// Every problem of the file at once; after a syntax error only that one.
pub fn parse_toml(file: &str, bytes: &[u8]) -> Result<Plan, Problems> {
    let text = decode(file, bytes)?;
    reader::read(file, text, PLAN, read)
}

fn read(root: &Fields, report: &mut Report) -> Plan {
    root.require("goal", "the plan", "add goal = \"what is to be reached\" as the first line", report);
    let goal = one_line(root.text("goal", report).unwrap_or_default());
    check_goal(&goal, root.place("goal"), report);
    let policy = root.table("policy", report).map(|fields| policy::read(&fields, report)).unwrap_or_default();
    let count = root.count("items");
    if count == 0 {
        let fix = "add an `[[items]]` with an `id`, a `title` and a `body`";
        report.add_with_fix(root.place("items"), "the plan has no items", fix);
    }
    check_count(count, root.place_of_entry("items", ITEM_LIMIT), report);
    let drafts: Vec<Draft> =
        root.tables("items", ITEM_LIMIT, report).iter().map(|fields| read_item(fields, report)).collect();
    // With some items left out, dependencies on them would be reported as unknown.
    let items = if count > ITEM_LIMIT { Vec::new() } else { link(drafts, report) };
    Plan { goal, policy, items }
}

/// Reports a goal that is no single readable line.
pub(super) fn check_goal(goal: &str, at: usize, report: &mut Report) {
    let length = goal.chars().count();
    if length > GOAL_LIMIT {
        let what = format!("the goal has {length} characters, and at most {GOAL_LIMIT} are allowed");
        report.add_with_fix(at, what, "say it in a line; the work itself belongs into the items");
    }
}

fn read_item(fields: &Fields, report: &mut Report) -> Draft {
    fields.require("id", "the item", "add a short name of [a-z0-9-], such as id = \"api\"", report);
    let id = fields.text("id", report).unwrap_or_default();
    check_id(id, fields.place("id"), report);
    let body = fields.any_text("body", report).unwrap_or_default();
    let max_retries = fields.whole_u32("max_retries", report);
    let item = PlanItem {
        id: id.to_owned(),
        title: read_title(fields, id, body, report),
        body: body.to_owned(),
        kind: fields.word("kind", &Kind::ALL, Kind::name, report).unwrap_or_default(),
        role: fields.text("role", report).map(str::to_owned),
        priority: fields.word("priority", &Priority::ALL, Priority::name, report).unwrap_or_default(),
        labels: fields.texts("labels", report).map(plain).unwrap_or_default(),
        depends_on: Vec::new(),
        external: Vec::new(),
        after: read_watches(fields, "after", report),
        then: read_watches(fields, "then", report),
        issue: None,
        touches: read_globs(fields, "touches", report),
        agent: fields.text("agent", report).map(str::to_owned),
        gate: fields.text("gate", report).map(str::to_owned),
        qa: fields.word("qa", &QA, Qa::name, report),
        max_retries,
        skip: fields.flag("skip", report).unwrap_or_default(),
    };
    let depends_on = fields.texts("depends_on", report).unwrap_or_default();
    let (issues, depends_on): (Vec<_>, Vec<_>) = depends_on.into_iter().partition(|(_, id)| id.contains('#'));
    let external = issues.into_iter().filter_map(|(at, text)| read_reference(text, at, report)).collect();
    let issue = fields.text("issue", report).and_then(|text| read_reference(text, fields.place("issue"), report));
    let item = PlanItem { external, issue, ..item };
    Draft {
        item,
        at: fields.at(),
        id_at: fields.place("id"),
        body_at: fields.place("body"),
        depends_on: depends_on.into_iter().map(|(at, id)| (at, id.to_owned())).collect(),
    }
}

/// What is watched before an item starts, or after it is done.
fn read_watches(fields: &Fields, name: &str, report: &mut Report) -> Vec<WatchKind> {
    let entries = fields.tables(name, WATCH_LIMIT, report);
    if fields.count(name) > WATCH_LIMIT {
        let what = format!("`{name}` has {} watches, and at most {WATCH_LIMIT} are allowed", fields.count(name));
        report.add_with_fix(fields.place(name), what, "let one program ask for several things");
    }
    entries.iter().filter_map(|entry| read_watch(entry, name, report)).collect()
}

fn read_watch(fields: &Fields, name: &str, report: &mut Report) -> Option<WatchKind> {
    let both = fields.has("command") && fields.has("url");
    if both || !(fields.has("command") || fields.has("url")) {
        let count = if both { "both a `command` and a `url`" } else { "neither a `command` nor a `url`" };
        let fix = "write { command = [\"PROGRAM\", \"ARGUMENT\"] } or { url = \"https://HOST/PATH\" }";
        report.add_with_fix(fields.at(), format!("a watch of `{name}` has {count}"), fix);
        return None;
    }
    let key = if fields.has("command") { "command" } else { "url" };
    let kind = if fields.has("command") {
        WatchKind::Command(fields.texts("command", report)?.into_iter().map(|(_, word)| word.into()).collect())
    } else {
        WatchKind::Url(fields.text("url", report)?.into())
    };
    if let Some(what) = kind.problem() {
        let fix = match kind {
            WatchKind::Url(_) => "write it as \"https://HOST/PATH\"",
            _ => "write it as [\"PROGRAM\", \"ARGUMENT\"]",
        };
        report.add_with_fix(fields.place(key), what, fix);
        return None;
    }
    Some(kind)
}

fn read_reference(text: &str, at: usize, report: &mut Report) -> Option<Reference> {
    let read = Reference::of_number(text);
    if read.is_err() {
        let what = format!("`{}` names no issue", clipped(text));
        report.add_with_fix(at, what, "write \"#12\", or \"owner/name#12\"");
    }
    read.ok()
}

fn check_id(id: &str, at: usize, report: &mut Report) {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !id.is_empty() && !id.chars().all(good) {
        let what = format!("the id `{}` holds something other than [a-z0-9-]", clipped(id));
        report.add_with_fix(at, what, format!("`{}` would do", slug(id)));
    } else if id.len() > ID_LIMIT {
        let what = format!("the id has {} characters, and at most {ID_LIMIT} are allowed", id.len());
        report.add_with_fix(at, what, "shorten it; the title may be longer");
    }
}

fn read_title(fields: &Fields, id: &str, body: &str, report: &mut Report) -> String {
    match fields.text("title", report) {
        Some(title) => one_line(title),
        None if body.trim().is_empty() => {
            let of = if id.is_empty() { "the item".to_owned() } else { format!("item `{}`", clipped(id)) };
            fields.require("title", &of, "add a line that says what is to be done, or a body", report);
            String::new()
        }
        None => first_line(body, CUT),
    }
}

/// Globs of paths below the repository's root.
pub(crate) fn read_globs(fields: &Fields, name: &str, report: &mut Report) -> Vec<String> {
    let globs = fields.texts(name, report).unwrap_or_default();
    for (at, glob) in &globs {
        if let Some(what) = unusable_glob(glob) {
            report.add_with_fix(*at, what, "write the path from the repository's root, such as `src/**`");
        }
    }
    plain(globs)
}

/// Why a glob names no paths of the repository, if it does not.
pub(crate) fn unusable_glob(glob: &str) -> Option<String> {
    if let Err(error) = globset::Glob::new(glob) {
        return Some(format!("`{}` is no glob: {}", clipped(glob), error.kind()));
    }
    let leaves = glob.starts_with('/') || glob.contains('\0') || glob.split('/').any(|part| part == "..");
    leaves.then(|| format!("`{}` leaves the repository", clipped(glob)))
}

/// Texts without their places.
pub(crate) fn plain(texts: Vec<Placed>) -> Vec<String> {
    texts.into_iter().map(|(_, text)| text.to_owned()).collect()
}

/// The quality assurance modes.
pub(crate) const QA: [Qa; 3] = [Qa::Server, Qa::Agent, Qa::Human];
