//! Plain text as a plan of one item.

use super::graph::{Draft, link};
use super::parts::{CUT, Plan, PlanItem, first_line};
use super::policy::PolicyPatch;
use super::slug::slug;
use crate::problem::{Problems, Report};

/// Makes a plan of one item: the text is its body, its first line (cut to 120 characters) the title and the goal.
///
/// # Errors
/// The text is blank, larger than [`super::BODY_LIMIT`], or holds a NUL character.
pub fn parse_text(file: &str, text: &str) -> Result<Plan, Problems> {
    let title = first_line(text, CUT);
    let mut report = Report::new(file, text);
    if title.is_empty() {
        report.add_with_fix(0, "the text is empty, and an empty mission never ends", "say what is to be done");
    }
    check_nul(text, &mut report);
    let item = PlanItem { id: slug(&title), title: title.clone(), body: text.to_owned(), ..PlanItem::default() };
    let draft = Draft { item, at: 0, id_at: 0, body_at: 0, depends_on: Vec::new() };
    let items = link(vec![draft], &mut report);
    report.finish(Plan { goal: title, policy: PolicyPatch::default(), items })
}

/// Reports a NUL character: no program can be given one, and what follows it would be lost.
pub(super) fn check_nul(text: &str, report: &mut Report) {
    if let Some(at) = text.find('\0') {
        report.add_with_fix(at, "the text holds a NUL character", "take it out, or save the file as UTF-8");
    }
}
