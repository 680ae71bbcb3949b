//! The checks that every reader shares: ids, dependencies, and that no item waits for itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::parts::{BODY_LIMIT, ITEM_LIMIT, PlanItem, TITLE_LIMIT};
use crate::config::reader::clipped;
use crate::problem::Report;

/// An item as it was read, with the places that problems may name.
pub(super) struct Draft {
    /// The item; its `depends_on` is still empty.
    pub(super) item: PlanItem,
    /// Where the item begins.
    pub(super) at: usize,
    /// Where its id stands.
    pub(super) id_at: usize,
    /// Where its body begins.
    pub(super) body_at: usize,
    /// The ids that it depends on, each with its place.
    pub(super) depends_on: Vec<(usize, String)>,
}

/// Checks the items as a whole and turns them into those of a plan.
pub(super) fn link(mut drafts: Vec<Draft>, report: &mut Report) -> Vec<PlanItem> {
    for draft in &drafts {
        check_size(draft, report);
    }
    let edges = resolve(&drafts, report);
    for cycle in cycles(&edges) {
        report_cycle(&drafts, &cycle, report);
    }
    for (at, edges) in edges.iter().enumerate() {
        let depends_on = edges.iter().map(|to| drafts[*to].item.id.clone()).collect();
        drafts[at].item.depends_on = depends_on;
    }
    drafts.into_iter().map(|draft| draft.item).collect()
}

/// Reports a plan that has too many items.
pub(super) fn check_count(count: usize, at_first_beyond: usize, report: &mut Report) {
    if count > ITEM_LIMIT {
        let what = format!("the plan has {count} items, and at most {ITEM_LIMIT} are allowed");
        report.add_with_fix(at_first_beyond, what, "split it into several missions");
    }
}

fn check_size(draft: &Draft, report: &mut Report) {
    let (name, body) = (&draft.item.id, &draft.item.body);
    if body.len() > BODY_LIMIT {
        let what = format!("the body of `{name}` has {} bytes, and at most {BODY_LIMIT} are allowed", body.len());
        report.add_with_fix(draft.body_at, what, "put long texts into files of the repository and name them");
    }
    let length = draft.item.title.chars().count();
    if length > TITLE_LIMIT {
        let what = format!("the title of `{name}` has {length} characters, and at most {TITLE_LIMIT} are allowed");
        report.add_with_fix(draft.at, what, "say it in a line and move the rest into the body");
    }
}

/// The dependencies of each item as numbers of items, each once; reports duplicate and unknown ids.
fn resolve(drafts: &[Draft], report: &mut Report) -> Vec<Vec<usize>> {
    let mut known: BTreeMap<&str, usize> = BTreeMap::new();
    for (number, draft) in drafts.iter().enumerate() {
        // An item whose id was missing or refused has had its problem.
        if draft.item.id.is_empty() {
            continue;
        }
        if let Some(first) = known.get(&*draft.item.id) {
            let line = report.line_of(drafts[*first].id_at);
            let what = format!("duplicate id `{}`", draft.item.id);
            report.add_with_fix(draft.id_at, what, format!("the first is in line {line}"));
        } else {
            known.insert(&draft.item.id, number);
        }
    }
    let mut edges = Vec::with_capacity(drafts.len());
    for (number, draft) in drafts.iter().enumerate() {
        let mut to = Vec::with_capacity(draft.depends_on.len());
        let mut seen = BTreeSet::new();
        for (at, id) in &draft.depends_on {
            match known.get(&**id) {
                Some(other) if *other == number => {
                    let what = format!("`{id}` depends on itself");
                    report.add_with_fix(*at, what, "take the dependency out");
                }
                Some(other) => {
                    if seen.insert(*other) {
                        to.push(*other);
                    }
                }
                None => {
                    let what =
                        format!("`{}` depends on `{}`, which is no item of the plan", draft.item.id, clipped(id));
                    report.add_unknown(*at, what, id, known.keys().copied(), String::new);
                }
            }
        }
        edges.push(to);
    }
    edges
}

fn report_cycle(drafts: &[Draft], cycle: &[usize], report: &mut Report) {
    let name = |number: &usize| drafts[*number].item.id.as_str();
    let (Some(first), Some(second)) = (cycle.first(), cycle.get(1)) else { return };
    let mut names: Vec<&str> = cycle.iter().take(CYCLE_SHOWN).map(name).collect();
    let hidden = cycle.len().saturating_sub(CYCLE_SHOWN);
    let gap = format!("… {hidden} more …");
    if hidden > 0 {
        names.push(&gap);
    }
    names.push(name(first));
    let at =
        drafts[*first].depends_on.iter().find(|(_, id)| id == name(second)).map_or(drafts[*first].at, |(at, _)| *at);
    let what = format!("these items wait for each other: {}", names.join(" → "));
    report.add_with_fix(at, what, "take one of these dependencies out");
}

/// The shortest cycle through the first item of each group of items that wait for each other, in order of dependency.
fn cycles(edges: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let group = groups(edges);
    let mut first: BTreeMap<usize, usize> = BTreeMap::new();
    let mut size: BTreeMap<usize, usize> = BTreeMap::new();
    for (number, group) in group.iter().enumerate() {
        first.entry(*group).or_insert(number);
        *size.entry(*group).or_default() += 1;
    }
    let in_cycle = |group: &usize| size.get(group).is_some_and(|n| *n > 1);
    let mut starts: Vec<usize> = first.iter().filter(|(group, _)| in_cycle(group)).map(|(_, n)| *n).collect();
    starts.sort_unstable();
    starts.iter().filter_map(|start| way_back(*start, edges, &group)).collect()
}

/// The shortest way from an item along its dependencies back to itself, within its group.
fn way_back(start: usize, edges: &[Vec<usize>], group: &[usize]) -> Option<Vec<usize>> {
    let mut came_from: BTreeMap<usize, usize> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(at) = queue.pop_front() {
        for to in edges[at].iter().filter(|to| group[**to] == group[start]) {
            if *to == start {
                let mut path = vec![at];
                while let Some(before) = path.last().filter(|last| **last != start).and_then(|last| came_from.get(last))
                {
                    path.push(*before);
                }
                path.reverse();
                return Some(path);
            }
            if !came_from.contains_key(to) {
                came_from.insert(*to, at);
                queue.push_back(*to);
            }
        }
    }
    None
}

/// The number of the group of each item: items are of one group when each waits for the other (Tarjan's strongly
/// connected components). With a stack of its own: a chain of 100,000 items would overflow the program's.
fn groups(edges: &[Vec<usize>]) -> Vec<usize> {
    let count = edges.len();
    let mut search = Search {
        index: vec![UNSEEN; count],
        low: vec![0; count],
        group: vec![UNSEEN; count],
        open: Vec::new(),
        next: 0,
        groups: 0,
    };
    for root in 0..count {
        if search.index[root] != UNSEEN {
            continue;
        }
        search.enter(root);
        // The item and how many of its dependencies have been looked at.
        let mut path = vec![(root, 0)];
        while let Some((at, looked_at)) = path.last_mut() {
            let at = *at;
            match edges[at].get(*looked_at) {
                Some(to) => {
                    *looked_at += 1;
                    if search.index[*to] == UNSEEN {
                        search.enter(*to);
                        path.push((*to, 0));
                    } else if search.group[*to] == UNSEEN {
                        search.low[at] = search.low[at].min(search.index[*to]);
                    }
                }
                None => {
                    search.leave(at);
                    path.pop();
                    if let Some((parent, _)) = path.last() {
                        search.low[*parent] = search.low[*parent].min(search.low[at]);
                    }
                }
            }
        }
    }
    search.group
}

struct Search {
    /// The order in which items were entered.
    index: Vec<usize>,
    /// The earliest item on the path that each can reach.
    low: Vec<usize>,
    group: Vec<usize>,
    /// Items entered whose group is not known yet.
    open: Vec<usize>,
    next: usize,
    groups: usize,
}

impl Search {
    fn enter(&mut self, item: usize) {
        self.index[item] = self.next;
        self.low[item] = self.next;
        self.next += 1;
        self.open.push(item);
    }

    fn leave(&mut self, item: usize) {
        if self.low[item] != self.index[item] {
            return;
        }
        while let Some(member) = self.open.pop() {
            self.group[member] = self.groups;
            if member == item {
                break;
            }
        }
        self.groups += 1;
    }
}

const UNSEEN: usize = usize::MAX;

/// How many items of a cycle a message names.
const CYCLE_SHOWN: usize = 20;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_knot_is_named_by_its_shortest_cycle_from_its_first_item() {
        // 0 → 1 → 2 → 0 with the longer way 1 → 3 → 2; 4 → 5 → 4 behind it; 6 waits for both and is in none.
        let edges = vec![vec![1], vec![3, 2], vec![0, 4], vec![2], vec![5], vec![4], vec![0, 4]];
        assert_eq!(cycles(&edges), [vec![0, 1, 2], vec![4, 5]]);
    }

    #[test]
    fn a_chain_of_a_hundred_thousand_has_no_cycle_and_its_ring_is_one() {
        let mut edges: Vec<Vec<usize>> = (0..100_000).map(|n| vec![n + 1]).collect();
        edges.push(Vec::new());
        assert!(cycles(&edges).is_empty());
        edges[100_000].push(0);
        assert_eq!(cycles(&edges)[0].len(), 100_001);
    }

    proptest! {
        #[test]
        fn a_cycle_is_found_exactly_when_the_items_cannot_be_put_in_order(
            edges in proptest::collection::vec(proptest::collection::btree_set(0usize..12, 0..4), 12)
        ) {
            let edges: Vec<Vec<usize>> = edges
                .into_iter()
                .enumerate()
                .map(|(at, to)| to.into_iter().filter(|to| *to != at).collect())
                .collect();
            let mut done = BTreeSet::new();
            while let Some(next) =
                (0..12).find(|n| !done.contains(n) && edges[*n].iter().all(|to| done.contains(to)))
            {
                done.insert(next);
            }
            let found = cycles(&edges);
            prop_assert_eq!(found.is_empty(), done.len() == 12);
            for cycle in found {
                for (at, from) in cycle.iter().enumerate() {
                    prop_assert!(edges[*from].contains(&cycle[(at + 1) % cycle.len()]));
                }
            }
        }
    }
}
