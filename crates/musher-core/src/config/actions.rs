//! What `[[schedules]]` and `[[triggers]]` have in common: their names and their actions.

use super::reader::{Fields, clipped};
use crate::action::{Action, PlanFrom};
use crate::plan;
use crate::problem::Report;
use crate::schedule::{LONGEST_NAME, is_name};

/// Reports a name that no schedule or trigger can have.
pub(super) fn check_name(of: &str, name: &str, at: usize, report: &mut Report) {
    if !is_name(name) {
        let what = format!("the {of}'s name `{}` is not 1 to {LONGEST_NAME} of [a-z0-9_-]", clipped(name));
        report.add_with_fix(at, what, "shorten it to such characters");
    }
}

/// The one of these keys that is there; reports when there is none, or more than one.
pub(super) fn one_of<'k>(
    keys: &[&'k str],
    of: &str,
    what: &str,
    fix: &str,
    fields: &Fields,
    report: &mut Report,
) -> Option<&'k str> {
    let there: Vec<&str> = keys.iter().copied().filter(|key| fields.has(key)).collect();
    match there[..] {
        [one] => Some(one),
        [] => {
            report.add_with_fix(fields.at(), format!("{of} says not {what}"), fix.to_owned());
            None
        }
        [first, second, ..] => {
            let said = format!("{of} says {what} twice: by `{first}` and by `{second}`");
            report.add_with_fix(fields.place(second), said, "take one of them out");
            None
        }
    }
}

/// Reads what follows when a schedule or a trigger fires; `of` names it in messages.
pub(super) fn read(of: &str, fields: &Fields, report: &mut Report) -> Option<Action> {
    let fix = "write prompt = \"…\", plan_file = \"PATH\", plan = \"\"\"…\"\"\", or note = \"…\" with mission = \"ID\"";
    let key = one_of(&["prompt", "plan", "plan_file", "note"], of, "what it does", fix, fields, report);
    for (owner, keys) in [("prompt", ["agent"]), ("note", ["mission"])] {
        for extra in keys.iter().filter(|extra| fields.has(extra) && key.is_some_and(|key| key != owner)) {
            let what = format!("`{extra}` belongs to `{owner}`, and there is none");
            report.add_with_fix(fields.place(extra), what, "take it out");
        }
    }
    let agent = fields.text("agent", report);
    let mission = fields.text("mission", report);
    let prompt = fields.text("prompt", report).filter(|text| {
        let problem = plan::parse_text("the prompt", text).err();
        let told =
            problem.map(|problem| report.add_with_fix(fields.place("prompt"), problem.to_string(), "shorten it"));
        told.is_none()
    });
    let plan = fields.text("plan", report).filter(|text| {
        let problem = plan::parse("plan.toml", text.as_bytes()).err();
        let fix = "`musher plan check FILE` tries a plan; this is one within a text";
        let told = problem.map(|problem| report.add_with_fix(fields.place("plan"), problem.to_string(), fix));
        told.is_none()
    });
    let file = fields.text("plan_file", report);
    let note = fields.text("note", report);
    match key? {
        "prompt" => Some(Action::Prompt { text: prompt?.into(), agent: agent.map(Into::into) }),
        "plan" => Some(Action::Mission(PlanFrom::Text(plan?.into()))),
        "plan_file" => Some(Action::Mission(PlanFrom::File(file?.into()))),
        _ => {
            fields.require(
                "mission",
                "the note",
                "write the mission's id, or the first 4 digits or more of it",
                report,
            );
            Some(Action::Note { mission: mission?.into(), text: note?.into() })
        }
    }
}
