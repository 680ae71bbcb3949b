//! The `[[schedules]]` of a layer.

use std::collections::BTreeMap;

use super::reader::{Fields, clipped};
use crate::mission::Policy;
use crate::plan;
use crate::plan::plain;
use crate::problem::Report;
use crate::schedule::{
    Action, Check, Cron, LONGEST_NAME, Misfire, Notify, Overlap, PlanFrom, RunOn, ScheduleSpec, USUAL_CHECK_SECS,
    USUAL_TIMEOUT_SECS, When,
};

/// Reads all `[[schedules]]`.
pub(super) fn read(root: &Fields, report: &mut Report) -> Vec<ScheduleSpec> {
    let mut schedules: Vec<ScheduleSpec> = Vec::new();
    let mut first_at: BTreeMap<Box<str>, usize> = BTreeMap::new();
    if root.count("schedules") > MOST {
        let what = format!("there are more than {MOST} schedules");
        report.add_with_fix(root.place_of_entry("schedules", MOST), what, "let one of them start a larger mission");
    }
    for fields in root.tables("schedules", MOST, report) {
        let Some(schedule) = read_one(&fields, report) else { continue };
        let at = fields.place("name");
        if let Some(first) = first_at.get(&schedule.name) {
            let line = report.line_of(*first);
            let what = format!("duplicate schedule `{}`", schedule.name);
            report.add_with_fix(at, what, format!("the first is in line {line}"));
            continue;
        }
        first_at.insert(schedule.name.clone(), at);
        schedules.push(schedule);
    }
    schedules
}

/// Nothing when something that it cannot do without is missing, which has been reported then. Everything is looked at,
/// so that every problem is named at once.
fn read_one(fields: &Fields, report: &mut Report) -> Option<ScheduleSpec> {
    fields.require("name", "the schedule", "add a short name of [a-z0-9_-], such as name = \"nightly\"", report);
    let name = fields.text("name", report);
    if let Some(name) = name {
        check_name(name, fields.place("name"), report);
    }
    let when = read_when(fields, report);
    let action = read_action(fields, report);
    let check = read_check(fields, report);
    let overlap = fields.word("overlap", &[Overlap::Skip, Overlap::Queue, Overlap::Replace], Overlap::name, report);
    let misfire = fields.word("misfire", &[Misfire::Once, Misfire::All, Misfire::None], Misfire::name, report);
    let all = [Notify::All, Notify::Completions, Notify::Failures, Notify::None];
    let notify = fields.word("notify", &all, Notify::name, report);
    let timeout_secs = fields.duration_secs("timeout", report).unwrap_or(USUAL_TIMEOUT_SECS);
    let enabled = fields.flag("enabled", report).unwrap_or(true);
    Some(ScheduleSpec {
        name: name?.into(),
        when: when?,
        check,
        action: action?,
        overlap: overlap.unwrap_or_default(),
        misfire: misfire.unwrap_or_default(),
        timeout_secs,
        notify: notify.unwrap_or_default(),
        enabled,
        policy: Policy::default(),
    })
}

fn check_name(name: &str, at: usize, report: &mut Report) {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if !name.chars().all(good) || name.len() > LONGEST_NAME {
        let what = format!("the schedule's name `{}` is not 1 to {LONGEST_NAME} of [a-z0-9_-]", clipped(name));
        report.add_with_fix(at, what, "shorten it to such characters");
    }
}

/// The one of these keys that is there; reports when there is none, or more than one.
fn one_of<'k>(keys: &[&'k str], what: &str, fix: &str, fields: &Fields, report: &mut Report) -> Option<&'k str> {
    let there: Vec<&str> = keys.iter().copied().filter(|key| fields.has(key)).collect();
    match there[..] {
        [one] => Some(one),
        [] => {
            report.add_with_fix(fields.at(), format!("the schedule says not {what}"), fix.to_owned());
            None
        }
        [first, second, ..] => {
            let said = format!("the schedule says {what} twice: by `{first}` and by `{second}`");
            report.add_with_fix(fields.place(second), said, "take one of them out");
            None
        }
    }
}

fn read_when(fields: &Fields, report: &mut Report) -> Option<When> {
    let fix = "write cron = \"0 9 * * *\", every = \"15m\", or at = \"2026-01-31T09:00:00Z\"";
    let key = one_of(&["cron", "every", "at"], "when it is due", fix, fields, report);
    let tz = fields.text("tz", report).unwrap_or_default();
    if fields.has("tz") && !fields.has("cron") {
        report.add_with_fix(fields.place("tz"), "`tz` is the zone of `cron`, and there is none", "take it out");
    }
    let cron = fields.text("cron", report).and_then(|expression| match Cron::parse(expression, tz) {
        Ok(_) => Some(When::Cron { expression: expression.into(), tz: tz.into() }),
        Err(problem) => {
            let at = match problem {
                crate::schedule::CronProblem::Zone(_) => fields.place("tz"),
                _ => fields.place("cron"),
            };
            report.add_with_fix(at, problem.to_string(), "five fields, such as \"0 9 * * MON-FRI\", or six with seconds first; `tz` is an IANA name such as \"Europe/Berlin\"");
            None
        }
    });
    let every = fields.duration_secs("every", report).map(|secs| When::Every { secs });
    let at = fields.moment("at", report).map(When::At);
    match key? {
        "cron" => cron,
        "every" => every,
        _ => at,
    }
}

fn read_action(fields: &Fields, report: &mut Report) -> Option<Action> {
    let fix = "write prompt = \"…\", plan_file = \"PATH\", plan = \"\"\"…\"\"\", or note = \"…\" with mission = \"ID\"";
    let key = one_of(&["prompt", "plan", "plan_file", "note"], "what it does", fix, fields, report);
    for (of, keys) in [("prompt", ["agent"]), ("note", ["mission"])] {
        for extra in keys.iter().filter(|extra| fields.has(extra) && key.is_some_and(|key| key != of)) {
            let what = format!("`{extra}` belongs to `{of}`, and there is none");
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

fn read_check(fields: &Fields, report: &mut Report) -> Option<Check> {
    let argv = fields.texts("check", report);
    let run_on = fields.word("run_on", &[RunOn::Failure, RunOn::Success, RunOn::Any], RunOn::name, report);
    let timeout = fields.duration_secs("check_timeout", report);
    let Some(argv) = argv else {
        for key in ["run_on", "check_timeout"].iter().filter(|key| fields.has(key) && !fields.has("check")) {
            let what = format!("`{key}` is of `check`, and there is none");
            report.add_with_fix(fields.place(key), what, "take it out");
        }
        return None;
    };
    if argv.is_empty() {
        report.add_with_fix(fields.place("check"), "`check` names no program", "write the program and its arguments");
    }
    Some(Check {
        argv: plain(argv).into_iter().map(Into::into).collect(),
        run_on: run_on.unwrap_or_default(),
        timeout_secs: timeout.unwrap_or(USUAL_CHECK_SECS),
    })
}

/// The most schedules that a file may define.
const MOST: usize = 10_000;
