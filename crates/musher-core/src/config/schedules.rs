//! The `[[schedules]]` of a layer.

use std::collections::BTreeMap;

use super::actions::{self, check_name, one_of};
use super::reader::Fields;
use crate::mission::Policy;
use crate::plan::plain;
use crate::problem::Report;
use crate::schedule::{
    Check, Cron, Misfire, Notify, Overlap, RunOn, ScheduleSpec, USUAL_CHECK_SECS, USUAL_TIMEOUT_SECS, When,
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
        check_name("schedule", name, fields.place("name"), report);
    }
    let when = read_when(fields, report);
    let action = actions::read("the schedule", fields, report);
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

fn read_when(fields: &Fields, report: &mut Report) -> Option<When> {
    let fix = "write cron = \"0 9 * * *\", every = \"15m\", or at = \"2026-01-31T09:00:00Z\"";
    let key = one_of(&["cron", "every", "at"], "the schedule", "when it is due", fix, fields, report);
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
