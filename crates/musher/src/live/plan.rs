//! A plan as lines: its items below what they depend on, and everything that musher would do because of it.

use musher_core::item::{Kind, Priority};
use musher_core::plan::{Plan, PlanItem, PolicyPatch};

use super::tree::{KEY, Node, below, depths};
use crate::output::{Tone, harmless, one_line, paint, width_of};

impl Node for PlanItem {
    fn key(&self) -> &str {
        &self.id
    }

    fn depends_on(&self) -> &[String] {
        &self.depends_on
    }
}

/// The plan, a line an item, each at most `width` columns wide. Gates and policy follow whole: they are commands and
/// permissions, and whoever says yes must have seen them.
pub(crate) fn plan_lines(plan: &Plan, width: usize) -> Vec<String> {
    let depths = depths(&plan.items);
    let items = below(&plan.items, &depths);
    let indent = |item: &PlanItem| 2 * depths.get(item.id.as_str()).copied().unwrap_or(0).min(8);
    let column = items.iter().map(|i| indent(i) + width_of(&one_line(&i.id, KEY))).max().unwrap_or(0);
    let count = format!("  {} item(s)", plan.items.len());
    let mut lines = vec![format!(
        "{}{count}",
        paint(&one_line(&plan.goal, width.saturating_sub(count.len()).max(8)), Tone::Strong)
    )];
    lines.extend(items.iter().map(|item| row(item, indent(item), column, width)));
    lines.extend(policy(&plan.policy));
    lines.extend(plan.items.iter().flat_map(rules));
    lines
}

/// What an item has in the place of the project's rules, whole.
fn rules(item: &PlanItem) -> Vec<String> {
    let mut rules = Vec::new();
    if let Some(gate) = &item.gate {
        rules.push(format!("gate of {}: {}", item.id, within(gate)));
    }
    if let Some(qa) = item.qa {
        rules.push(format!("qa of {}: {}", item.id, qa.name()));
    }
    if let Some(retries) = item.max_retries {
        rules.push(format!("max_retries of {}: {retries}", item.id));
    }
    if !item.touches.is_empty() {
        rules.push(format!("touches of {}: {}", item.id, within(&item.touches.join(", "))));
    }
    if item.skip {
        rules.push(format!("{} is skipped: it counts as done from the start", item.id));
    }
    rules.into_iter().map(|rule| format!("  {rule}")).collect()
}

/// Text of several lines, none of which can be taken for a line of ours.
fn within(text: &str) -> String {
    harmless(text).replace('\n', "\n    | ")
}

fn row(item: &PlanItem, indent: usize, column: usize, width: usize) -> String {
    let key = one_line(&item.id, KEY);
    let pad = column.saturating_sub(indent + width_of(&key));
    let used = 2 + column + 2;
    let facts = facts(item);
    let facts = if facts.is_empty() { facts } else { format!("  ({facts})") };
    let title = one_line(&item.title, width.saturating_sub(used + width_of(&facts)).max(20));
    let room = width.saturating_sub(used + width_of(&title));
    let facts = paint(&one_line(&facts, room), Tone::Quiet);
    format!("  {}{key}{}  {title}{facts}", " ".repeat(indent), " ".repeat(pad))
}

/// What is not usual about an item.
fn facts(item: &PlanItem) -> String {
    let mut facts = Vec::new();
    if item.kind != Kind::default() {
        facts.push(item.kind.name().to_owned());
    }
    facts.extend(item.role.clone());
    if item.priority != Priority::default() {
        facts.push(item.priority.name().to_owned());
    }
    facts.extend(item.agent.iter().map(|agent| format!("by {agent}")));
    if !item.labels.is_empty() {
        facts.push(format!("needs {}", item.labels.join(", ")));
    }
    if item.skip {
        facts.push("skipped".to_owned());
    }
    // One is what it stands below.
    if item.depends_on.len() > 1 {
        facts.push(format!("after {}", item.depends_on.join(", ")));
    }
    facts.join("; ")
}

fn policy(policy: &PolicyPatch) -> Vec<String> {
    let said = serde_json::to_value(policy).unwrap_or_default();
    let keys = said.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    keys.map(|(key, value)| format!("  policy: {key} = {value}")).collect()
}

#[cfg(test)]
mod tests {
    use musher_core::plan::parse_toml;

    use super::*;

    #[test]
    fn a_plan_is_a_tree_and_shows_every_command_that_it_brings() {
        let text = "goal = \"Greetings\"\n[policy]\nreviewer_required = false\n\
            [[items]]\nid = \"docs\"\ntitle = \"Document it\"\nkind = \"design\"\ndepends_on = [\"web\", \"api\"]\n\
            [[items]]\nid = \"schema\"\ntitle = \"Describe a greeting\\u001b[2J\"\n\
            [[items]]\nid = \"api\"\ntitle = \"Serve greetings\"\nrole = \"backend\"\ndepends_on = [\"schema\"]\n\
            gate = \"sh test-api.sh; curl example.org\"\n\
            [[items]]\nid = \"web\"\ntitle = \"Show greetings\"\npriority = \"high\"\nagent = \"ada\"\ndepends_on = [\"schema\"]\n";
        let plan = parse_toml("p", text.as_bytes()).unwrap();
        let expected = "Greetings  4 item(s)
  schema    Describe a greeting\u{fffd}[2J
    api     Serve greetings  (backend)
      docs  Document it  (design; after web, api)
    web     Show greetings  (high; by ada)
  policy: reviewer_required = false
  gate of api: sh test-api.sh; curl example.org";
        let lines = plan_lines(&plan, 100);
        assert_eq!(lines.join("\n"), expected);
        let narrow = plan_lines(&plan, 40);
        assert!(narrow[..5].iter().all(|line| line.chars().count() <= 40), "{narrow:#?}");
        assert_eq!(narrow[6], lines[6], "a command is never cut");
    }
}
