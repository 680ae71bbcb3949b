//! The batch that is being merged: its members by where they stand, and the tree of what was tested.

use musher_core::time::Timestamp;
use musher_server::api::{Batch, BatchTest, EjectedMember};

use super::waits::lasted;
use crate::output::{Tone, one_line, paint, width_of};

/// The widest that a key is shown here.
const KEY: usize = 24;
/// The widest word of a state, with its sign.
const LABEL: usize = 12;

/// The batch in lines of at most `width` columns.
pub(crate) fn batch_lines(batch: &Batch, now: Timestamp, width: usize) -> Vec<String> {
    let members = batch.members.len();
    let forming = if batch.base.is_none() { ", being formed" } else { "" };
    let head = format!(
        "batch {} into {}: {members} member(s), {} landed{forming}, {}",
        batch.number,
        one_line(&batch.target, KEY),
        batch.landed,
        lasted(batch.since, now)
    );
    let mut lines = vec![one_line(&head, width)];
    for (state, sign, tone, what) in STATES {
        let here = batch.members.iter().enumerate().filter(|(_, member)| member.state == state);
        let names: Vec<String> =
            here.map(|(at, member)| format!("{} {}", at + 1, one_line(&member.key, KEY))).collect();
        lines.extend(listed(&format!("{sign} {what}"), tone, &names, width));
    }
    lines.extend(tree(batch).into_iter().map(|(depth, test)| test_line(batch, depth, test, width)));
    lines
}

/// The states of members: the word in the API, a sign, its tone, and the words here.
const STATES: [(&str, &str, Tone, &str); 7] = [
    ("landed", "✓", Tone::Good, "landed"),
    ("landing", "●", Tone::Busy, "landing"),
    ("good", "✓", Tone::Good, "good"),
    ("suspect", "?", Tone::Bad, "one is bad"),
    ("after", "·", Tone::Quiet, "after it"),
    ("untested", "○", Tone::Plain, "untested"),
    ("forming", "○", Tone::Plain, "members"),
];

/// Names behind a label, on as many lines as it takes.
fn listed(label: &str, tone: Tone, names: &[String], width: usize) -> Vec<String> {
    let indent = 2 + LABEL + 2;
    let mut rows: Vec<String> = Vec::new();
    for name in names {
        match rows.last_mut() {
            Some(row) if indent + width_of(row) + 2 + width_of(name) < width => {
                row.push_str(", ");
                row.push_str(name);
            }
            Some(_) | None => rows.push(name.clone()),
        }
    }
    let pad = " ".repeat(LABEL.saturating_sub(width_of(label)) + 2);
    let row = |(at, row): (usize, String)| {
        let row = one_line(&row, width.saturating_sub(indent));
        if at == 0 { format!("  {}{pad}{row}", paint(label, tone)) } else { format!("{}{row}", " ".repeat(indent)) }
    };
    rows.into_iter().enumerate().map(row).collect()
}

/// What was tested, each test below the one whose range it splits.
fn tree(batch: &Batch) -> Vec<(usize, &BatchTest)> {
    let (mut low, mut high, mut depth) = (0, batch.members.len(), 0);
    let mut rest: Vec<&BatchTest> = batch.tests.iter().collect();
    let mut tree = Vec::new();
    if let Some(at) = rest.iter().position(|test| test.members == high) {
        tree.push((depth, rest.remove(at)));
        depth += 1;
    }
    loop {
        let middle = low + (high - low) / 2;
        let inside = rest.iter().enumerate().filter(|(_, test)| low < test.members && test.members < high);
        // What has answered narrows the range; what is still being tested stands in the range that is left.
        let next = inside.min_by_key(|(_, test)| (!test.green && test.reds == 0, test.members.abs_diff(middle)));
        let Some((at, _)) = next else { break };
        let test = rest.remove(at);
        tree.push((depth, test));
        if test.green {
            (low, depth) = (test.members, depth + 1);
        } else if test.reds > 0 {
            (high, depth) = (test.members, depth + 1);
        }
    }
    // The base alone, and what a slot more has tested outside the range.
    tree.extend(rest.into_iter().map(|test| (1, test)));
    tree
}

fn test_line(batch: &Batch, depth: usize, test: &BatchTest, width: usize) -> String {
    let range = match (test.members, batch.members.get(test.members.saturating_sub(1))) {
        (0, _) | (_, None) => "the base alone".to_owned(),
        (1, Some(member)) => format!("1 ({})", one_line(&member.key, KEY)),
        (n, Some(member)) => format!("1–{n} (to {})", one_line(&member.key, KEY)),
    };
    let why = test.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    let (said, tone) = match (test.testing, test.green, test.reds) {
        (true, _, 0) => ("● being tested".to_owned(), Tone::Busy),
        (true, _, _) => (format!("● tested again, was red{why}"), Tone::Busy),
        (false, true, 0) => ("✓ green".to_owned(), Tone::Good),
        (false, true, _) => (format!("✓ green on repeat, flaky{why}"), Tone::Good),
        (false, false, 0 | 1) => (format!("✗ red{why}"), Tone::Bad),
        (false, false, n) => (format!("✗ red in {n} runs{why}"), Tone::Bad),
    };
    let branch = if depth == 0 { "  ".to_owned() } else { format!("  {}└ ", "  ".repeat(depth.min(8) - 1)) };
    let range = one_line(&range, width.saturating_sub(width_of(&branch)));
    let room = width.saturating_sub(width_of(&branch) + width_of(&range) + 2);
    format!("{branch}{range}  {}", paint(&one_line(&said, room), tone))
}

/// What earlier batches came to, in lines.
pub(crate) fn past_lines(ejected: &[EjectedMember], flaky: u64, width: usize) -> Vec<String> {
    let said = |member: &EjectedMember| format!("{} from batch {}: {}", member.key, member.batch, member.reason);
    let mut lines: Vec<String> =
        ejected.iter().flat_map(|member| listed("✗ ejected", Tone::Bad, &[said(member)], width)).collect();
    if flaky > 0 {
        let text = format!("{flaky} tree(s) were red in one run and green in the next");
        lines.extend(listed("~ flaky", Tone::Plain, &[text], width));
    }
    lines
}

#[cfg(test)]
mod tests {
    use musher_core::id::ItemId;
    use musher_server::api::BatchMember;

    use super::*;

    fn batch(keys: &[(&str, &str)], tests: Vec<BatchTest>) -> Batch {
        let id: ItemId = serde_json::from_str("\"019a0000-0000-7000-8000-000000000001\"").unwrap();
        let member = |(key, state): &(&str, &str)| BatchMember {
            id,
            short_id: "00000001".to_owned(),
            key: (*key).to_owned(),
            title: String::new(),
            state: (*state).to_owned(),
        };
        Batch {
            number: 2,
            target: "main".to_owned(),
            gate: Some("make check".to_owned()),
            since: Timestamp::from_micros(0),
            base: Some("base".to_owned()),
            members: keys.iter().map(member).collect(),
            tests,
            good: 0,
            bad: None,
            landed: keys.iter().filter(|(_, state)| *state == "landed").count(),
        }
    }

    fn test(members: usize, testing: bool, reds: u8, green: bool) -> BatchTest {
        let reason = (reds > 0).then(|| "the gate is red: exit 1".to_owned());
        BatchTest { members, testing, reds, green, reason }
    }

    const NOW: Timestamp = Timestamp::from_micros(62_000_000);

    #[test]
    fn a_bisection_is_a_tree_of_ranges_and_says_where_each_member_stands() {
        let keys = [
            ("a", "landed"),
            ("b", "landed"),
            ("c", "landed"),
            ("d", "landed"),
            ("e", "suspect"),
            ("f", "suspect"),
            ("g", "after"),
            ("h", "after"),
        ];
        let tests =
            vec![test(4, false, 0, true), test(5, true, 0, false), test(6, false, 1, false), test(8, false, 1, false)];
        let expected = "batch 2 into main: 8 member(s), 4 landed, 1m02s
  ✓ landed      1 a, 2 b, 3 c, 4 d
  ? one is bad  5 e, 6 f
  · after it    7 g, 8 h
  1–8 (to h)  ✗ red: the gate is red: exit 1
  └ 1–4 (to d)  ✓ green
    └ 1–6 (to f)  ✗ red: the gate is red: exit 1
      └ 1–5 (to e)  ● being tested";
        assert_eq!(batch_lines(&batch(&keys, tests), NOW, 80).join("\n"), expected);
    }

    #[test]
    fn a_repeat_that_is_green_is_flaky_and_the_base_is_named() {
        let keys = [("a", "untested"), ("b", "untested")];
        let lines = batch_lines(&batch(&keys, vec![test(0, true, 0, false), test(1, false, 1, true)]), NOW, 80);
        let expected = "  ○ untested    1 a, 2 b
  1 (a)  ✓ green on repeat, flaky: the gate is red: exit 1
  └ the base alone  ● being tested";
        assert_eq!(lines[1..].join("\n"), expected);
    }

    #[test]
    fn sixteen_members_with_long_and_wide_names_stay_within_80_columns() {
        let names = [
            "a-key-that-is-longer-than-the-column",
            "漢字漢字漢字漢字漢字漢字漢字",
            "שלום-עולם\u{202e}x",
            "a\u{1b}[2Jb\nc",
        ];
        let keys: Vec<(&str, &str)> = (0..16).map(|at| (names[at % 4], "suspect")).collect();
        for width in [40, 80, 200] {
            let lines =
                batch_lines(&batch(&keys, vec![test(16, false, 2, false), test(2, true, 1, false)]), NOW, width);
            for line in &lines {
                assert!(width_of(line) <= width, "{} of {width}: {line}", width_of(line));
                assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
            }
            let told: usize = lines.iter().map(|line| line.matches("b\u{fffd}").count()).sum();
            assert!(told <= 4 && lines.len() < 30, "{lines:#?}");
        }
    }
}
