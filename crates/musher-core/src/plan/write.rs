//! Writes plan files.

use std::fmt::Write;

use super::parts::{Plan, PlanItem};
use super::policy::PolicyPatch;
use crate::item::{Kind, Priority};
use crate::watch::WatchKind;

/// A plan file that [`super::parse_toml`] reads back as the same plan.
pub fn to_toml(plan: &Plan) -> String {
    let mut file = String::new();
    line(&mut file, "goal", &string(&plan.goal));
    write_policy(&mut file, &plan.policy);
    for item in &plan.items {
        write_item(&mut file, item);
    }
    file
}

fn write_policy(file: &mut String, policy: &PolicyPatch) {
    if *policy == PolicyPatch::default() {
        return;
    }
    file.push_str("\n[policy]\n");
    let values = [
        ("max_parallel_items", policy.max_parallel_items.map(|v| v.to_string())),
        ("max_added_items", policy.max_added_items.map(|v| v.to_string())),
        ("reviewer_required", policy.reviewer_required.map(|v| v.to_string())),
        ("auto_merge", policy.auto_merge.map(|v| v.to_string())),
        ("watch_interval_secs", policy.watch_interval_secs.map(|v| v.to_string())),
        ("max_retries", policy.max_retries.map(|v| v.to_string())),
        ("budget_usd", policy.budget_usd.map(|v| format!("{v:?}"))),
        ("budget_tokens", policy.budget_tokens.map(|v| v.to_string())),
        ("on_cap", policy.on_cap.map(|v| string(v.name()))),
        ("on_rate_limit", policy.on_rate_limit.map(|v| string(v.name()))),
        ("deadline", policy.deadline.map(|v| string(&v.to_string()))),
        ("weight", policy.weight.map(|v| v.to_string())),
    ];
    for (key, value) in values {
        value.iter().for_each(|value| line(file, key, value));
    }
}

fn write_item(file: &mut String, item: &PlanItem) {
    file.push_str("\n[[items]]\n");
    line(file, "id", &string(&item.id));
    line(file, "title", &string(&item.title));
    let texts = |texts: &[String]| (!texts.is_empty()).then(|| array(texts));
    let text = |text: &Option<String>| text.as_deref().map(string);
    let mut depends_on = item.depends_on.clone();
    depends_on.extend(item.external.iter().map(ToString::to_string));
    let values = [
        ("issue", item.issue.as_ref().map(|issue| string(&issue.to_string()))),
        ("kind", (item.kind != Kind::default()).then(|| string(item.kind.name()))),
        ("role", text(&item.role)),
        ("priority", (item.priority != Priority::default()).then(|| string(item.priority.name()))),
        ("labels", texts(&item.labels)),
        ("depends_on", texts(&depends_on)),
        ("after", watches(&item.after)),
        ("then", watches(&item.then)),
        ("touches", texts(&item.touches)),
        ("agent", text(&item.agent)),
        ("gate", text(&item.gate)),
        ("qa", item.qa.map(|qa| string(qa.name()))),
        ("max_retries", item.max_retries.map(|n| n.to_string())),
        ("skip", item.skip.then(|| "true".to_owned())),
        // Last, because it is long.
        ("body", (!item.body.is_empty()).then(|| string(&item.body))),
    ];
    for (key, value) in values {
        value.iter().for_each(|value| line(file, key, value));
    }
}

/// Watches as an array of tables on one line. Of issues those that come before the item are among its dependencies.
fn watches(kinds: &[WatchKind]) -> Option<String> {
    let one = |kind: &WatchKind| match kind {
        WatchKind::Command(argv) => {
            let words: Vec<String> = argv.iter().map(ToString::to_string).collect();
            Some(format!("{{ command = {} }}", array(&words)))
        }
        WatchKind::Url(url) => Some(format!("{{ url = {} }}", string(url))),
        WatchKind::IssueClosed(_)
        | WatchKind::PrChecks
        | WatchKind::BotComments
        | WatchKind::ReviewComments
        | WatchKind::Mergeability => None,
    };
    let all: Vec<String> = kinds.iter().filter_map(one).collect();
    (!all.is_empty()).then(|| format!("[{}]", all.join(", ")))
}

fn line(file: &mut String, key: &str, value: &str) {
    file.push_str(key);
    file.push_str(" = ");
    file.push_str(value);
    file.push('\n');
}

/// A TOML array of strings.
pub(crate) fn array(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| string(text)).collect();
    format!("[{}]", texts.join(", "))
}

/// A TOML string: on one line, or in triple quotes when the text has several.
pub(crate) fn string(text: &str) -> String {
    let lines = text.contains('\n');
    let mut quoted = String::with_capacity(text.len() + 8);
    // The newline that follows the opening quotes is not part of the text.
    quoted.push_str(if lines { "\"\"\"\n" } else { "\"" });
    for character in text.chars() {
        match character {
            '\n' => quoted.push('\n'),
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\t' => quoted.push_str("\\t"),
            // Written out, because an editor may change line ends.
            '\r' => quoted.push_str("\\r"),
            c if c.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push_str(if lines { "\"\"\"" } else { "\"" });
    quoted
}
