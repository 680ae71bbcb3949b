//! The `[[triggers]]` of a layer.

use std::collections::BTreeMap;

use super::actions::{self, check_name};
use super::reader::Fields;
use crate::mission::Policy;
use crate::problem::Report;
use crate::trigger::{Mode, Predicate, TriggerSpec, check_predicate};

/// Reads all `[[triggers]]`.
pub(super) fn read(root: &Fields, report: &mut Report) -> Vec<TriggerSpec> {
    let mut triggers: Vec<TriggerSpec> = Vec::new();
    let mut first_at: BTreeMap<Box<str>, usize> = BTreeMap::new();
    if root.count("triggers") > MOST {
        let what = format!("there are more than {MOST} triggers");
        report.add_with_fix(root.place_of_entry("triggers", MOST), what, "let one of them be for more events");
    }
    for fields in root.tables("triggers", MOST, report) {
        let Some(trigger) = read_one(&fields, report) else { continue };
        let at = fields.place("name");
        if let Some(first) = first_at.get(&trigger.name) {
            let line = report.line_of(*first);
            let what = format!("duplicate trigger `{}`", trigger.name);
            report.add_with_fix(at, what, format!("the first is in line {line}"));
            continue;
        }
        first_at.insert(trigger.name.clone(), at);
        triggers.push(trigger);
    }
    triggers
}

/// Nothing when something that it cannot do without is missing, which has been reported then.
fn read_one(fields: &Fields, report: &mut Report) -> Option<TriggerSpec> {
    fields.require("name", "the trigger", "add a short name of [a-z0-9_-], such as name = \"on-red\"", report);
    let name = fields.text("name", report);
    if let Some(name) = name {
        check_name("trigger", name, fields.place("name"), report);
    }
    fields.require("on", "the trigger", "say what it fires on, such as on = { kinds = [\"item_failed\"] }", report);
    let on = fields.table("on", report).and_then(|on| read_predicate(&on, report));
    let action = actions::read("the trigger", fields, report);
    let mode = fields.word("mode", &[Mode::Once, Mode::Persistent], Mode::name, report);
    let max_fires = fields.whole("max_fires", report);
    let cooldown_secs = fields.duration_secs("cooldown", report).unwrap_or(0);
    let expires = fields.moment("expires", report);
    let enabled = fields.flag("enabled", report).unwrap_or(true);
    Some(TriggerSpec {
        name: name?.into(),
        on: on?,
        action: action?,
        mode: mode.unwrap_or_default(),
        max_fires,
        cooldown_secs,
        expires,
        enabled,
        policy: Policy::default(),
    })
}

fn read_predicate(fields: &Fields, report: &mut Report) -> Option<Predicate> {
    let kinds = fields.texts("kinds", report).unwrap_or_default();
    let mut text = |name: &str| fields.text(name, report).map(Into::into);
    let on = Predicate {
        mission: text("mission"),
        item: text("item"),
        agent: text("agent"),
        from_state: text("from_state"),
        to_state: text("to_state"),
        label: text("label"),
        text: text("text"),
        kinds: kinds.iter().map(|(_, kind)| (*kind).into()).collect(),
    };
    let Err(refused) = check_predicate(&on) else { return Some(on) };
    let what = refused.to_string();
    let at = kinds.iter().find(|(_, kind)| what.contains(&format!("`{kind}`"))).map(|(at, _)| *at);
    report.add_with_fix(at.unwrap_or(fields.at()), what, refused.fix().unwrap_or_default());
    None
}

/// The most triggers that a file may define.
const MOST: usize = 10_000;
