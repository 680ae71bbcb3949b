//! Plans: a plan that is read is sound, and is the same once it is written and read again; a problem stands in the text.

use std::collections::{BTreeMap, BTreeSet};

use musher_core::plan::{self, Plan};
use musher_core::problem::{Problems, SHOWN};

use super::{Read, must};
use crate::chance::Chance;

/// Checks a text as a plan of any sort.
pub(super) fn holds(_: &str, input: &[u8], chance: &mut Chance) -> Result<Read, String> {
    let name = chance.pick(&["plan.toml", "plan.md", "-", "notes"]).copied().unwrap_or("-");
    let read = plan::parse(name, input);
    match &read {
        Ok(plan) => {
            sound(plan)?;
            let file = plan::to_toml(plan);
            let again = plan::parse_toml("plan.toml", file.as_bytes());
            must!(again.as_ref() == Ok(plan), "a plan is read as another one: {plan:?}\n{again:?}\n{file}");
        }
        Err(problems) => placed(problems, input)?,
    }
    Ok(Read::of(&read))
}

/// Ids are unique, dependencies are there, each once, and no item waits for itself.
fn sound(plan: &Plan) -> Result<(), String> {
    must!(!plan.items.is_empty() && !plan.goal.is_empty(), "a plan of nothing: {plan:?}");
    must!(plan.goal.chars().count() <= plan::GOAL_LIMIT, "the goal is too long");
    let items: BTreeMap<&str, &[String]> =
        plan.items.iter().map(|item| (item.id.as_str(), item.depends_on.as_slice())).collect();
    must!(items.len() == plan.items.len(), "an id is there twice");
    for item in &plan.items {
        let id = &item.id;
        let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        must!(!id.is_empty() && id.chars().all(letters) && id.len() <= plan::ID_LIMIT, "`{id}` is no id");
        let title = item.title.chars().count();
        must!(title > 0 && title <= plan::TITLE_LIMIT, "a title of {title} characters");
        must!(!item.title.contains('\n') && !item.body.contains('\0'), "a text that no agent can be given: {item:?}");
        must!(item.body.len() <= plan::BODY_LIMIT, "a body of {} bytes", item.body.len());
        let each: BTreeSet<&String> = item.depends_on.iter().collect();
        must!(each.len() == item.depends_on.len(), "`{id}` names a dependency twice");
        must!(each.iter().all(|other| items.contains_key(other.as_str())), "`{id}` waits for what is not there");
    }
    // Taking out what waits for nothing leaves nothing, unless items wait for each other.
    let mut left: BTreeSet<&str> = items.keys().copied().collect();
    while let Some(free) = left.iter().copied().find(|id| !items[id].iter().any(|on| left.contains(on.as_str()))) {
        left.remove(free);
    }
    must!(left.is_empty(), "these wait for each other: {left:?}");
    Ok(())
}

/// Each problem stands somewhere in the text, and says something.
pub(super) fn placed(problems: &Problems, input: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input)).into_owned();
    let lines: Vec<&str> = text.split('\n').collect();
    must!(!problems.shown.is_empty() && problems.shown.len() <= SHOWN, "{} problems", problems.shown.len());
    for problem in &problems.shown {
        let line = lines.get(problem.line.wrapping_sub(1));
        let Some(line) = line else { return Err(format!("no such line: {problem}")) };
        let columns = 1..=line.chars().count() + 1;
        must!(columns.contains(&problem.column), "line {} has no such column: {problem}", problem.line);
        must!(!problem.what.trim().is_empty(), "a problem without words: {problem:?}");
        must!(problem.to_string().len() < 8_000, "a problem of {} bytes", problem.to_string().len());
    }
    Ok(())
}
