//! A mission as lines: its items below what they depend on, with who works on each and what it waits for.

use std::collections::HashMap;

use musher_core::time::Timestamp;
use musher_server::api::{Brief, Item, MissionShow};

use super::waits::words;
use crate::output::{Tone, dollars, one_line, paint, span, width_of};

/// The widest that a key is shown.
pub(super) const KEY: usize = 28;

/// The mission in at most `height` lines of at most `width` columns.
pub(crate) fn lines(show: &MissionShow, now: Timestamp, (width, height): (usize, usize)) -> Vec<String> {
    let mut lines = vec![head(show, now, width)];
    let depths = depths(&show.items);
    let mut items = below(&show.items, &depths);
    let room = height.saturating_sub(3);
    let mut left_out = Vec::new();
    let hidden = items.len().saturating_sub(room);
    if hidden > 0 {
        // What is done or not begun says least.
        items.sort_by_key(|item| (rank(&item.state), depths.get(item.key.as_str()).copied().unwrap_or(0)));
        left_out = items.split_off(room);
    }
    let indent = |item: &Item| 2 * depths.get(item.key.as_str()).copied().unwrap_or(0).min(8);
    let column = items.iter().map(|i| indent(i) + width_of(&one_line(&i.key, KEY))).max().unwrap_or(0);
    lines.extend(items.iter().map(|item| row(item, indent(item), column, now, width)));
    if hidden > 0 {
        lines.push(paint(&one_line(&format!("  … and {hidden} more: {}", alike(&left_out, now)), width), Tone::Quiet));
    }
    if let Some(reason) = &show.mission.blocked_reason {
        lines.push(paint(&one_line(&format!("  {reason}"), width), Tone::Bad));
    }
    lines
}

/// Items that there is no room for, those that are alike together: `30 pending, 7 ready (2 agents busy)`.
fn alike(items: &[&Item], now: Timestamp) -> String {
    let mut groups: Vec<(&str, usize, Option<String>)> = Vec::new();
    for item in items {
        let wait = item.wait.as_ref().map(|wait| words(wait, now));
        match groups.iter_mut().find(|(state, _, _)| *state == item.state) {
            Some((_, count, common)) => {
                *count += 1;
                // What is said of them is said of all.
                if *common != wait {
                    *common = None;
                }
            }
            None => groups.push((&item.state, 1, wait)),
        }
    }
    let group = |(state, count, wait): &(&str, usize, Option<String>)| {
        let wait = wait.as_ref().map(|wait| format!(" ({wait})")).unwrap_or_default();
        format!("{count} {}{wait}", state.replace('_', " "))
    };
    groups.iter().map(group).collect::<Vec<_>>().join(", ")
}

fn head(show: &MissionShow, now: Timestamp, width: usize) -> String {
    let mission = &show.mission;
    let done = mission.counts.get("done").copied().unwrap_or(0);
    let end = mission.ended_at.unwrap_or(now);
    let mut facts = format!(
        "  {}  {done}/{} done  {}",
        mission.state.replace('_', " "),
        show.items.len(),
        span(end.since(mission.created_at).as_secs())
    );
    let cost = dollars(mission.cost_usd);
    if !cost.is_empty() {
        facts.push_str(&format!("  {cost}"));
    }
    if mission.policy.weight != 1 {
        facts.push_str(&format!("  weight {}", mission.policy.weight));
    }
    let room = width.saturating_sub(width_of(&facts) + mission.short_id.len() + 1);
    let goal = one_line(&mission.goal, room.max(8));
    format!("{} {goal}{}", paint(&mission.short_id, Tone::Strong), paint(&facts, Tone::of_state(&mission.state)))
}

fn row(item: &Item, indent: usize, column: usize, now: Timestamp, width: usize) -> String {
    let tone = Tone::of_state(&item.state);
    let key = one_line(&item.key, KEY);
    let pad = column.saturating_sub(indent + width_of(&key));
    let at_work = matches!(item.state.as_str(), "assigned" | "running" | "verifying" | "merging");
    let mut rest = String::new();
    if at_work {
        if let Some(agent) = &item.agent {
            rest.push_str(&format!(" {agent}"));
        }
        rest.push_str(&format!(" {}", span(now.since(item.updated_at).as_secs())));
    }
    if item.state == "done"
        && let Some(commit) = &item.commit
    {
        rest.push_str(&format!(" {}", commit.chars().take(8).collect::<String>()));
    }
    if item.attempts > 0 && !matches!(item.state.as_str(), "done" | "failed" | "blocked" | "cancelled") {
        rest.push_str(&format!(" attempt {}", item.attempts + 1));
    }
    if item.state == "ready"
        && let Some(at) = item.not_before.filter(|at| *at > now)
    {
        rest.push_str(&format!(" in {}", span(at.since(now).as_secs() + 1)));
    }
    let cost = dollars(item.cost_usd);
    if !cost.is_empty() {
        rest.push_str(&format!(" {cost}"));
    }
    if let Some(why) = why(item, now) {
        rest.push_str(&format!("  {why}"));
    }
    let state = format!("{:<10}", item.state.replace('_', " "));
    let used = 4 + column + 2 + state.chars().count();
    let rest = one_line(&rest, width.saturating_sub(used + 1));
    format!(
        "  {} {}{key}{}  {}{}",
        paint(symbol(&item.state), tone),
        " ".repeat(indent),
        " ".repeat(pad),
        paint(&state, tone),
        paint(&rest, Tone::Quiet)
    )
}

/// Why it is where it is, in a few words. What it was told of its last failure says more than that it is to be repeated.
fn why(item: &Item, now: Timestamp) -> Option<String> {
    let says_more = |wait: &&Brief| !matches!(wait.code.as_str(), "not_before" | "blocked" | "disk");
    let wait = item.wait.as_ref().filter(says_more).map(|wait| words(wait, now));
    wait.or_else(|| item.reason.clone()).filter(|_| item.state != "done")
}

/// A sign for a state. The word stands beside it.
fn symbol(state: &str) -> &'static str {
    match state {
        "done" => "✓",
        "failed" | "blocked" | "cancelled" | "merge_failed" => "✗",
        "assigned" | "running" | "verifying" | "merging" => "●",
        "waiting" | "held" => "?",
        "ready" => "○",
        _ => "·",
    }
}

/// What a person most wants to see comes first when there is no room for all.
fn rank(state: &str) -> u8 {
    match state {
        "failed" | "blocked" | "merge_failed" | "waiting" | "held" => 0,
        "assigned" | "running" | "verifying" | "merging" => 1,
        "ready" => 2,
        "pending" => 3,
        _ => 4,
    }
}

/// What has a place in a graph.
pub(super) trait Node {
    /// Its id in the plan.
    fn key(&self) -> &str;
    /// The ids of what must be done first.
    fn depends_on(&self) -> &[String];
}

impl Node for Item {
    fn key(&self) -> &str {
        &self.key
    }

    fn depends_on(&self) -> &[String] {
        &self.depends_on
    }
}

/// The items, each below the one that it is indented under: the deepest that it depends on, the last of equals.
pub(super) fn below<'a, N: Node>(items: &'a [N], depths: &HashMap<&str, usize>) -> Vec<&'a N> {
    let depth = |key: &str| depths.get(key).copied().unwrap_or(0);
    let mut under: HashMap<&str, Vec<&N>> = HashMap::new();
    let mut stack = Vec::new();
    for item in items.iter().rev() {
        match item.depends_on().iter().max_by_key(|key| depth(key)) {
            Some(parent) => under.entry(parent).or_default().push(item),
            None => stack.push(item),
        }
    }
    let mut ordered = Vec::with_capacity(items.len());
    while let Some(item) = stack.pop() {
        ordered.push(item);
        stack.extend(under.remove(item.key()).unwrap_or_default());
    }
    // Nothing is left, unless a newer daemon knows of dependencies elsewhere.
    ordered.extend(under.into_values().flatten());
    ordered
}

/// How many items stand above each: the longest way to it.
pub(super) fn depths<N: Node>(items: &[N]) -> HashMap<&str, usize> {
    let mut depths: HashMap<&str, usize> = HashMap::with_capacity(items.len());
    // A plan may name what comes later first, so it is gone through until nothing changes; a graph has no cycle, so that
    // ends after as many rounds as it is deep.
    for _ in 0..items.len() {
        let mut changed = false;
        for item in items {
            let depth =
                item.depends_on().iter().map(|k| depths.get(k.as_str()).map_or(1, |d| d + 1)).max().unwrap_or(0);
            changed |= depths.insert(item.key(), depth) != Some(depth);
        }
        if !changed {
            break;
        }
    }
    depths
}
