//! What a graph must be before the engine is asked to start it: everything that is wrong with it, at once.

use std::collections::{HashMap, VecDeque};

use musher_core::mission::WEIGHTS;
use musher_core::nearest::nearest;

use crate::api::{NewItem, Problem, StartMission};

/// The most items of a mission.
const ITEMS: usize = 100_000;
/// The most bytes of an item's body.
const BODY: usize = 256 * 1024;
/// How many problems are said.
const SAID: usize = 50;

/// Refuses a mission that could never end, or that no plan file could hold.
pub(super) fn start(wish: &StartMission) -> Result<(), Problem> {
    let mut problems = Vec::new();
    if wish.goal.trim().is_empty() {
        problems.push("the goal is empty".to_owned());
    }
    if wish.base.trim().is_empty() {
        problems.push("the base branch is not named".to_owned());
    }
    if wish.items.is_empty() {
        problems.push("a mission needs at least one item".to_owned());
    }
    if wish.items.len() > ITEMS {
        problems.push(format!("{} items; {ITEMS} are the most", wish.items.len()));
    }
    policy(wish, &mut problems);
    let mut numbers: HashMap<&str, usize> = HashMap::with_capacity(wish.items.len());
    for (number, item) in wish.items.iter().enumerate() {
        one(item, &mut problems);
        if numbers.insert(&item.key, number).is_some() {
            problems.push(format!("two items are named `{}`", item.key));
        }
    }
    let edges = edges(&wish.items, &numbers, &mut problems);
    if problems.is_empty()
        && let Some(cycle) = cycle(&wish.items, &edges)
    {
        problems.push(format!("the items depend on each other in a circle: {cycle}"));
    }
    said(&problems)
}

fn said(problems: &[String]) -> Result<(), Problem> {
    let Some(first) = problems.first() else { return Ok(()) };
    let mut problem =
        Problem::new(422, "invalid", first.clone()).fix("`musher plan check FILE` lists every problem of a plan");
    if problems.len() > 1 {
        let mut why = problems.iter().take(SAID).cloned().collect::<Vec<_>>();
        if problems.len() > SAID {
            why.push(format!("and {} more", problems.len() - SAID));
        }
        problem.why = Some(why.join("\n"));
    }
    Err(problem)
}

fn policy(wish: &StartMission, problems: &mut Vec<String>) {
    let policy = &wish.policy;
    let numbers = [
        ("max_parallel_items", u64::from(policy.max_parallel_items)),
        ("watch_interval_secs", policy.watch_interval_secs),
        ("max_retries", u64::from(policy.max_retries)),
    ];
    for (name, _) in numbers.into_iter().filter(|(_, value)| *value == 0) {
        problems.push(format!("`policy.{name}` is 0; it is at least 1"));
    }
    if !WEIGHTS.contains(&policy.weight) {
        problems.push(format!("`policy.weight` is {}; it is {} to {}", policy.weight, WEIGHTS.start(), WEIGHTS.end()));
    }
    if policy.budget_usd.is_some_and(|usd| !usd.is_finite() || usd < 0.0) {
        problems.push("`policy.budget_usd` is no sum of money".to_owned());
    }
}

fn one(item: &NewItem, problems: &mut Vec<String>) {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if item.key.is_empty() || item.key.len() > 128 || !item.key.chars().all(plain) {
        problems.push(format!("`{}` is no id of an item: 1 to 128 of a-z, 0-9 and -", item.key));
    }
    if item.title.trim().is_empty() {
        problems.push(format!("item `{}` has no title", item.key));
    }
    if item.body.len() > BODY {
        problems.push(format!("the body of item `{}` has {} bytes; {BODY} are the most", item.key, item.body.len()));
    }
    if item.max_retries == Some(0) {
        problems.push(format!("`max_retries` of item `{}` is 0; it is at least 1", item.key));
    }
}

/// The numbers of what each item depends on.
fn edges(items: &[NewItem], numbers: &HashMap<&str, usize>, problems: &mut Vec<String>) -> Vec<Vec<usize>> {
    let mut all = Vec::with_capacity(items.len());
    for item in items {
        let mut own = Vec::with_capacity(item.depends_on.len());
        for key in &item.depends_on {
            match numbers.get(key.as_str()) {
                Some(number) => own.push(*number),
                None => {
                    let near = nearest(key, items.iter().map(|i| i.key.as_str()));
                    let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                    problems.push(format!("item `{}` depends on `{key}`, which is not in the mission{hint}", item.key));
                }
            }
        }
        all.push(own);
    }
    all
}

/// A circle, in order, if there is one: what is left when everything that can be done has been taken away.
fn cycle(items: &[NewItem], edges: &[Vec<usize>]) -> Option<String> {
    let mut open: Vec<usize> = edges.iter().map(Vec::len).collect();
    let mut dependents = vec![Vec::new(); items.len()];
    for (number, on) in edges.iter().enumerate() {
        for dependency in on {
            dependents[*dependency].push(number);
        }
    }
    let mut free: VecDeque<usize> = (0..items.len()).filter(|n| open[*n] == 0).collect();
    while let Some(done) = free.pop_front() {
        for dependent in &dependents[done] {
            open[*dependent] -= 1;
            if open[*dependent] == 0 {
                free.push_back(*dependent);
            }
        }
    }
    let start = open.iter().position(|count| *count > 0)?;
    // Each of those left depends on another of those left: following them must come round.
    let mut path = vec![start];
    loop {
        let last = *path.last()?;
        let next = *edges[last].iter().find(|on| open[**on] > 0)?;
        if let Some(begin) = path.iter().position(|seen| *seen == next) {
            let names: Vec<_> = path[begin..].iter().chain([&next]).map(|n| items[*n].key.as_str()).collect();
            return Some(names.join(" → "));
        }
        path.push(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(items: &[(&str, &[&str])]) -> StartMission {
        let items = items
            .iter()
            .map(|(key, on)| NewItem {
                key: (*key).to_owned(),
                title: "t".to_owned(),
                depends_on: on.iter().map(|k| (*k).to_owned()).collect(),
                ..NewItem::default()
            })
            .collect();
        StartMission {
            goal: "g".to_owned(),
            policy: musher_core::mission::Policy::default(),
            base: "main".to_owned(),
            ask: false,
            items,
        }
    }

    #[test]
    fn a_graph_without_a_circle_is_accepted_and_one_with_a_circle_names_it_in_order() {
        assert_eq!(start(&wish(&[("a", &[]), ("b", &["a"]), ("c", &["a", "b"])])), Ok(()));
        let circle = start(&wish(&[("a", &[]), ("b", &["a", "d"]), ("c", &["b"]), ("d", &["c"])])).unwrap_err();
        assert_eq!(circle.status, 422);
        assert!(circle.detail.unwrap().ends_with("b → d → c → b"));
        assert!(start(&wish(&[("a", &["a"])])).unwrap_err().detail.unwrap().ends_with("a → a"));
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let mut bad = wish(&[("api", &["shema"]), ("schema", &[]), ("schema", &[]), ("Bad Key", &[])]);
        bad.policy.max_retries = 0;
        let why = start(&bad).unwrap_err().why.unwrap();
        for part in ["did you mean `schema`?", "two items are named `schema`", "`Bad Key`", "max_retries"] {
            assert!(why.contains(part), "{part} in {why}");
        }
    }
}
