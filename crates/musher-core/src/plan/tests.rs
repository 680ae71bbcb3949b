//! What is accepted, what is refused and where.

use proptest::prelude::*;

use super::keys::{ITEM, PLAN, POLICY, WATCH};
use super::*;
use crate::config::key::{Key, Shape};
use crate::item::{Kind, Priority, Qa};
use crate::mission::{OnCap, OnRateLimit, Policy};
use crate::watch::WatchKind;

const FULL: &str = r##"goal = "Ship it"
[policy]
max_parallel_items = 3
reviewer_required = false
auto_merge = true
watch_interval_secs = 60
max_retries = 5
budget_usd = 12.5
budget_tokens = 1000000
deadline = 2026-01-31T09:00:00+01:00
[[items]]
id = "schema"
title = "Make the schema"
[[items]]
id = "api"
title = "Build the API"
body = """
First line.
  indented """
kind = "test"
role = "backend"
priority = "high"
labels = ["rust"]
depends_on = ["schema", "#9", "schema", "other/repo#3"]
issue = "#12"
touches = ["src/api/**"]
agent = "claude-1"
gate = "cargo test -p api"
qa = "human"
max_retries = 2
skip = false
"##;

#[test]
fn a_plan_file_may_use_every_key() {
    let plan = parse_toml("plan.toml", FULL.as_bytes()).unwrap();
    assert_eq!(plan.goal, "Ship it");
    let policy = plan.policy.apply(Policy::default());
    assert_eq!((policy.max_parallel_items, policy.reviewer_required, policy.auto_merge), (3, false, true));
    assert_eq!((policy.watch_interval_secs, policy.max_retries), (60, 5));
    assert_eq!((policy.budget_usd, policy.budget_tokens), (Some(12.5), Some(1_000_000)));
    assert_eq!(policy.deadline.unwrap().to_string(), "2026-01-31T08:00:00.000000Z");
    let api = PlanItem {
        id: "api".into(),
        title: "Build the API".into(),
        body: "First line.\n  indented ".into(),
        kind: Kind::Test,
        role: Some("backend".into()),
        priority: Priority::High,
        labels: vec!["rust".into()],
        depends_on: vec!["schema".into()],
        external: vec!["#9".parse().unwrap(), "other/repo#3".parse().unwrap()],
        after: Vec::new(),
        then: Vec::new(),
        issue: Some("#12".parse().unwrap()),
        touches: vec!["src/api/**".into()],
        agent: Some("claude-1".into()),
        gate: Some("cargo test -p api".into()),
        qa: Some(Qa::Human),
        max_retries: Some(2),
        skip: false,
    };
    assert_eq!(plan.items[1], api);
    assert_eq!(plan.items[0], PlanItem { id: "schema".into(), title: "Make the schema".into(), ..PlanItem::default() });
}

#[test]
fn a_title_may_be_left_out_where_there_is_a_body() {
    let plan = parse_toml("p", b"goal='g'\nitems=[{id='a', body='''\n\n  Do this.\nThen that.'''}]").unwrap();
    assert_eq!(plan.items[0].title, "Do this.");
    assert_eq!(plan.items[0].body, "\n  Do this.\nThen that.");
}

#[test]
fn a_budget_of_zero_is_no_budget() {
    let plan =
        parse_toml("p", b"goal='g'\nitems=[{id='a', title='t'}]\n[policy]\nbudget_usd=0\nbudget_tokens=0").unwrap();
    let capped = Policy { budget_usd: Some(5.0), budget_tokens: Some(9), ..Policy::default() };
    assert_eq!(plan.policy.apply(capped), Policy::default());
}

/// Each file and all its problems, without the file's name.
const REFUSED: &[(&str, &str)] = &[
    (
        "",
        "1:1: the plan has no `goal` (add goal = \"what is to be reached\" as the first line)\n\
          1:1: the plan has no items (add an `[[items]]` with an `id`, a `title` and a `body`)",
    ),
    ("goal = 'g'\nitems = []", "2:9: the plan has no items (add an `[[items]]` with an `id`, a `title` and a `body`)"),
    ("goal = 'g'\nitems = 3", "2:9: `items` must be an array of tables, but it is 3"),
    ("goal = 'g'\nitems = ['a']", "2:10: `items` must hold tables, but it holds a string"),
    ("goal = ' '\n[[items]]\nid='a'\ntitle='t'", "1:8: `goal` is empty (write something, or leave `goal` out)"),
    (
        "gaol = 'g'\n[[items]]\nid='a'\ntitle='t'",
        "1:1: unknown key `gaol` (did you mean `goal`?)\n\
      1:1: the plan has no `goal` (add goal = \"what is to be reached\" as the first line)",
    ),
    ("goal = 'g'\n[[items]]\nid='a'\ntitel='t'\nbody='b'", "4:1: unknown key `titel` (did you mean `title`?)"),
    (
        "goal = 'g'\nzzz = 1\n[[items]]\nid='a'\ntitle='t'",
        "2:1: unknown key `zzz` (the keys here are `goal`, `policy`, `items`)",
    ),
    (
        "goal = 'g'\n[policy]\nmax_paralel_items = 3\n[[items]]\nid='a'\ntitle='t'",
        "3:1: unknown key `max_paralel_items` (did you mean `max_parallel_items`?)",
    ),
    (
        "goal = 'g'\n[[items]]\ntitle='t'",
        "2:1: the item has no `id` (add a short name of [a-z0-9-], such as id = \"api\")",
    ),
    (
        "goal = 'g'\n[[items]]\nid='a'",
        "2:1: item `a` has no `title` (add a line that says what is to be done, or a body)",
    ),
    (
        "goal = 'g'\n[[items]]\nid='Ä B'\ntitle='t'",
        "3:4: the id `Ä B` holds something other than [a-z0-9-] (`b` would do)",
    ),
    (
        "goal = 'g'\n[[items]]\nid='a'\ntitle='t'\n[[items]]\nid='a'\ntitle='u'",
        "6:4: duplicate id `a` (the first is in line 3)",
    ),
    (
        "goal = 'g'\n[[items]]\nid='schema'\ntitle='t'\n[[items]]\nid='é'\ntitle='é'\ndepends_on=['schema', 'shema', 'x']",
        "6:4: the id `é` holds something other than [a-z0-9-] (`item` would do)\n\
      8:23: `é` depends on `shema`, which is no item of the plan (did you mean `schema`?)\n\
      8:32: `é` depends on `x`, which is no item of the plan",
    ),
    (
        "goal = 'g'\n[[items]]\nid='a'\ntitle='t'\ndepends_on=['a']",
        "5:13: `a` depends on itself (take the dependency out)",
    ),
    (
        "goal = 'g'\nitems=[{id='b',title='t',depends_on=['c']},{id='a',title='t',depends_on=['b']},\n\
      {id='c',title='t',depends_on=['a']}]",
        "2:38: these items wait for each other: b → c → a → b (take one of these dependencies out)",
    ),
    (
        "goal = 'g'\n[[items]]\nid='a'\ntitle='t'\nkind='tset'\npriority='urgent'\nqa='nobody'",
        "5:6: unknown kind `tset` (did you mean `test`?)\n\
      6:10: unknown priority `urgent` (one of `critical`, `high`, `medium`, `low`)\n\
      7:4: unknown qa `nobody` (one of `server`, `agent`, `human`)",
    ),
    (
        "goal = 3\n[[items]]\nid='a'\ntitle=['t']\nskip='yes'\nlabels='rust'\ndepends_on=[1]\nbody=1.5",
        "1:8: `goal` must be a string, but it is an integer\n\
      4:7: `title` must be a string, but it is an array\n\
      5:6: `skip` must be true or false, but it is \"yes\"\n\
      6:8: `labels` must be an array of strings, but it is \"rust\"\n\
      7:13: `depends_on` must be an array of strings, but it holds an integer\n\
      8:6: `body` must be a string, but it is a float",
    ),
    (
        "goal='g'\n[policy]\nmax_parallel_items=0\nmax_retries=-1\nbudget_usd=-0.5\ndeadline='soon'\nwatch_interval_secs=nan\n\
      [[items]]\nid='a'\ntitle='t'\nmax_retries=1001",
        "3:20: `max_parallel_items` must be a whole number from 1 to 100000, but it is 0\n\
      4:13: `max_retries` must be a whole number from 1 to 1000, but it is -1\n\
      5:12: `budget_usd` must be a number of dollars, 0 or more, but it is -0.5\n\
      6:10: `deadline` must be a moment with its offset such as 2026-01-31T09:00:00Z, but it is \"soon\"\n\
      7:21: `watch_interval_secs` must be a whole number from 1 to 31536000, but it is NaN\n\
      11:13: `max_retries` must be a whole number from 1 to 1000, but it is 1001",
    ),
    (
        "goal='g'\n[policy]\ndeadline=2026-01-31T09:00:00\n[[items]]\nid='a'\ntitle='t'",
        "3:10: `deadline` must be a moment with its offset such as 2026-01-31T09:00:00Z, but it is a date-time",
    ),
    (
        "goal='g'\n[[items]]\nid='a'\ntitle='t'\ntouches=['src/{a', '', '/etc', 'a/../b']",
        "5:10: `src/{a` is no glob: unclosed alternate group; missing '}' (maybe escape '{' with '[{]'?) (write the path from the repository's root, such as `src/**`)\n\
      5:20: `touches` holds an empty string (take it out)\n\
      5:24: `/etc` leaves the repository (write the path from the repository's root, such as `src/**`)\n\
      5:32: `a/../b` leaves the repository (write the path from the repository's root, such as `src/**`)",
    ),
    (
        "goal='g'\n[[items]]\nid='a'\ntitle='t'\ngate=\"a\\u0000b\"",
        "5:6: `gate` holds a NUL character (take `\\u0000` out)",
    ),
    ("goal='g'\npolicy=1\n[[items]]\nid='a'\ntitle='t'", "2:8: `policy` must be a table, but it is 1"),
];

#[test]
fn every_problem_of_a_plan_file_is_named_with_its_line_and_column() {
    for (file, expected) in REFUSED {
        let problems = parse_toml("", file.as_bytes()).unwrap_err();
        assert_eq!(problems.to_string(), *expected, "{file}");
    }
}

#[test]
fn a_syntax_error_is_named_with_its_line_and_column() {
    for (file, place) in
        [("goal = 'g'\nitems = [", (2, 10)), ("goal = \"é\" x", (1, 12)), ("a = 1\na = 2", (2, 1)), ("[]", (1, 2))]
    {
        let problems = parse_toml("plan.toml", file.as_bytes()).unwrap_err();
        assert_eq!((problems.shown[0].line, problems.shown[0].column), place, "{problems}");
    }
    let problems = parse_toml("plan.toml", b"goal = 'g'\n\xff").unwrap_err();
    assert_eq!(
        problems.to_string(),
        "plan.toml:2:1: the text is not UTF-8: byte 0xff at offset 11 (save the file as UTF-8)"
    );
}

#[test]
fn a_body_may_have_256_kib_and_no_byte_more() {
    let plan = |bytes| format!("goal='g'\n[[items]]\nid='a'\ntitle='t'\nbody='{}'", "x".repeat(bytes));
    assert!(parse_toml("p", plan(BODY_LIMIT).as_bytes()).is_ok());
    assert_eq!(
        parse_toml("p", plan(BODY_LIMIT + 1).as_bytes()).unwrap_err().to_string(),
        "p:5:6: the body of `a` has 262145 bytes, and at most 262144 are allowed \
         (put long texts into files of the repository and name them)"
    );
}

fn chain(items: usize) -> String {
    let mut file = "goal='g'\n".to_owned();
    for n in 0..items {
        let depends_on = if n == 0 { String::new() } else { format!(",depends_on=['i{}']", n - 1) };
        file.push_str(&format!("[[items]]\nid='i{n}'\ntitle='t'\n"));
        if !depends_on.is_empty() {
            file.push_str(&format!("{}\n", &depends_on[1..]));
        }
    }
    file
}

#[test]
fn a_chain_of_100_000_items_is_accepted_and_one_more_item_refused() {
    let plan = parse_toml("p", chain(ITEM_LIMIT).as_bytes()).unwrap();
    assert_eq!(plan.items.len(), ITEM_LIMIT);
    assert_eq!(plan.items[ITEM_LIMIT - 1].depends_on, ["i99998"]);
    let problems = parse_toml("p", chain(ITEM_LIMIT + 1).as_bytes()).unwrap_err();
    assert_eq!(
        problems.to_string(),
        "p:400001:1: the plan has 100001 items, and at most 100000 are allowed (split it into several missions)"
    );
}

#[test]
fn a_ring_of_100_000_items_is_named_in_short() {
    let file = chain(ITEM_LIMIT).replacen("title='t'", "title='t'\ndepends_on=['i99999']", 1);
    let problems = parse_toml("p", file.as_bytes()).unwrap_err().to_string();
    assert!(problems.starts_with("p:5:13: these items wait for each other: i0 → i99999 → i99998 → "), "{problems}");
    assert!(problems.contains(" → … 99980 more … → i0 ("), "{problems}");
}

#[test]
fn many_unknown_ids_are_counted_and_the_first_of_them_shown() {
    let file = chain(20_000).replace("depends_on=['i", "depends_on=['ix");
    let problems = parse_toml("p", file.as_bytes()).unwrap_err();
    assert_eq!((problems.shown.len(), problems.more), (100, 19_899));
    assert!(
        problems.to_string().starts_with("p:8:13: `i1` depends on `ix0`, which is no item of the plan (did you mean")
    );
}

/// Every key of a table, with a table's own keys below it.
fn each_key(keys: &'static [Key], visit: &mut impl FnMut(&'static Key)) {
    for key in keys {
        visit(key);
        if let Shape::Table(inner) | Shape::Tables(inner) = key.shape {
            each_key(inner, visit);
        }
    }
}

#[test]
fn the_reader_looks_at_every_key_of_its_table() {
    for (section, keys) in
        [("", PLAN), ("[policy]\n", POLICY), ("[[items]]\n", ITEM), ("[[items]]\n[[items.then]]\n", WATCH)]
    {
        for key in keys {
            let file = format!("{section}{} = 1979-05-27\n", key.name);
            let problems = parse_toml("", file.as_bytes()).unwrap_err().to_string();
            assert!(problems.contains(&format!("`{}` must be ", key.name)), "{file}{problems}");
        }
    }
}

#[test]
fn watches_of_an_item_are_read_and_each_problem_of_one_has_its_place() {
    let item = "goal = \"g\"\n[[items]]\nid = \"a\"\ntitle = \"A\"\n";
    let plan = parse_toml(
        "",
        format!(
            "{item}after = [{{ command = [\"test\", \"-e\", \"a b\"] }}]\n[[items.then]]\nurl = \"https://h/health\"\n"
        )
        .as_bytes(),
    )
    .unwrap();
    let item_read: crate::mission::MissionItem = plan.items[0].clone().into();
    assert_eq!(item_read.after, [WatchKind::Command(["test", "-e", "a b"].map(Into::into).into())]);
    assert_eq!(item_read.then, [WatchKind::Url("https://h/health".into())]);
    for good in ["http://h:8080", "http://[::1]/x", "https://[::1]:443?q"] {
        let line = format!("{item}then = [{{ url = \"{good}\" }}]\n");
        assert!(parse_toml("p", line.as_bytes()).is_ok(), "{good}");
    }
    for (line, problem) in [
        ("after = [{}]", "5:10: a watch of `after` has neither a `command` nor a `url`"),
        ("then = [{ url = \"https://h\", command = [\"x\"] }]", "a watch of `then` has both a `command` and a `url`"),
        ("then = [{ command = [] }]", "the `command` names no program"),
        ("then = [{ url = \"ftp://h\" }]", "the `url` does not begin with https:// or http://"),
        ("then = [{ url = \"https:///x\" }]", "the `url` names no host"),
        ("then = [{ url = \"http://h:99999/\" }]", "the `url` has a port that is no number from 1 to 65535"),
        ("then = [{ url = \"http://h:80abc\" }]", "the `url` has a port that is no number from 1 to 65535"),
        ("then = [{ url = \"http://h:0/\" }]", "the `url` has a port that is no number from 1 to 65535"),
        ("then = [{ url = \"http://h:/\" }]", "the `url` has a port that is no number from 1 to 65535"),
        ("then = [{ url = \"http://[::1]:x/\" }]", "the `url` has a port that is no number from 1 to 65535"),
        ("then = [{ url = \"http://[::1/\" }]", "the `url` opens a bracket that it does not close"),
        ("then = [{ urk = \"https://h\" }]", "did you mean `url`?"),
        ("after = [\"make\"]", "`after` must hold tables, but it holds a string"),
    ] {
        let problems = parse_toml("p", format!("{item}{line}\n").as_bytes()).unwrap_err().to_string();
        assert!(problems.contains(problem), "{line}: {problems}");
    }
}

#[test]
fn the_schema_names_the_keys_that_the_reader_knows() {
    fn same(schema: &serde_json::Value, keys: &[Key]) {
        let properties = schema["properties"].as_object().unwrap();
        let mut known: Vec<&str> = keys.iter().map(|key| key.name).collect();
        known.sort_unstable();
        assert_eq!(properties.keys().map(String::as_str).collect::<Vec<_>>(), known);
        assert_eq!(schema["additionalProperties"], false);
        for key in keys {
            let property = &properties[key.name];
            match key.shape {
                Shape::Table(inner) => same(property, inner),
                Shape::Tables(inner) => same(&property["items"], inner),
                Shape::Word(words) => assert_eq!(property["enum"], serde_json::json!(words)),
                Shape::Whole(least, most) => {
                    assert_eq!((property["minimum"].as_u64(), property["maximum"].as_u64()), (Some(least), Some(most)));
                }
                Shape::Flag => assert_eq!(property["type"], "boolean"),
                Shape::Texts => assert_eq!(property["items"]["type"], "string"),
                Shape::Text | Shape::Moment => assert_eq!(property["type"], "string"),
                Shape::Money => assert_eq!(property["type"], "number"),
                Shape::Duration(_) | Shape::Size(_) | Shape::Named(_) | Shape::Secrets | Shape::Later => {
                    unreachable!("not in a plan")
                }
            }
            assert!(property["description"].as_str().unwrap().len() > 10);
        }
    }
    same(&serde_json::from_str(schema()).unwrap(), PLAN);
}

#[test]
fn the_words_of_the_table_are_those_of_the_types() {
    let mut seen = 0;
    each_key(PLAN, &mut |key| {
        let Shape::Word(words) = key.shape else { return };
        seen += 1;
        match key.name {
            "kind" => assert_eq!(words, Kind::ALL.map(Kind::name)),
            "priority" => assert_eq!(words, Priority::ALL.map(Priority::name)),
            "on_cap" => assert_eq!(words, OnCap::ALL.map(OnCap::name)),
            "on_rate_limit" => assert_eq!(words, OnRateLimit::ALL.map(OnRateLimit::name)),
            "qa" => assert_eq!(words, QA.map(Qa::name)),
            other => panic!("nothing names the words of `{other}`"),
        }
    });
    assert_eq!(seen, 5);
}

#[test]
fn a_text_is_read_by_its_name_or_else_by_its_looks() {
    let toml = "# a plan\ngoal = 'g'\n[[items]]\nid = 'a'\ntitle = 't'\n";
    let markdown = "# Goal\n\n## One\n\nDo it.\n";
    let text = "Do it.\nSoon.";
    let cases = [
        ("plan.toml", toml, "g"),
        ("-", toml, "g"),
        ("-", "\n[[items]]\nid='a'\ntitle='t'\n[policy]\n", ""),
        ("doc.MD", markdown, "Goal"),
        ("-", markdown, "Goal"),
        ("notes.txt", text, "Do it."),
        ("-", text, "Do it."),
        ("-", "Say goal = x somewhere", "Say goal = x somewhere"),
    ];
    for (file, content, goal) in cases {
        match parse(file, content.as_bytes()) {
            Ok(plan) => assert_eq!(plan.goal, goal, "{content}"),
            Err(problems) => assert!(goal.is_empty() && problems.to_string().contains("no `goal`"), "{problems}"),
        }
    }
}

#[test]
fn plain_text_is_one_item() {
    let long = format!("\n  {}\nmore", "wörd ".repeat(40));
    let plan = parse_text("-", &long).unwrap();
    assert_eq!(plan.goal.chars().count(), 120);
    assert!(plan.goal.ends_with('…'));
    assert_eq!((plan.items.len(), plan.items[0].body.as_str()), (1, long.as_str()));
    assert_eq!(plan.items[0].title, plan.goal);
    let wide = parse_text("-", &"wide  gaps ".repeat(40)).unwrap();
    assert!(!wide.goal.contains("  ") && wide.goal.chars().count() == 120, "{}", wide.goal);
    for refused in ["", " \n\t", "a\0b", &"x".repeat(BODY_LIMIT + 1)] {
        assert!(parse_text("-", refused).is_err());
    }
}

fn any_text() -> impl Strategy<Value = Option<String>> {
    proptest::option::of("[^\\s\\x00][^\\x00]{0,12}")
}

fn any_texts() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("[^\\s\\x00][^\\x00]{0,12}", 0..3)
}

fn any_reference() -> impl Strategy<Value = crate::forge::Reference> {
    "([a-z-]{1,5}/[a-z._]{1,5})?#[1-9][0-9]{0,3}".prop_map(|text| text.parse().unwrap())
}

fn any_watch() -> impl Strategy<Value = WatchKind> {
    let word = "[^\\s\\p{C}]{1,6}( [^\\s\\p{C}]{1,6}){0,2}";
    proptest::prop_oneof![
        proptest::collection::vec(word, 1..4)
            .prop_map(|words| WatchKind::Command(words.into_iter().map(Into::into).collect())),
        "https?://[a-z]{1,9}(:[1-9]{1,4})?(/[a-z0-9%=&?]{0,9}){0,3}".prop_map(|url| WatchKind::Url(url.into())),
    ]
}

prop_compose! {
    fn any_item(number: usize)(
        title in "[^\\s\\p{C}]{1,9}( [^\\s\\p{C}]{1,9}){0,3}",
        body in "[^\\x00]{0,60}",
        (kind, priority, qa) in (0..6usize, 0..4usize, 0..4usize),
        (role, agent, gate) in (any_text(), any_text(), any_text()),
        labels in any_texts(),
        touches in proptest::collection::vec("[a-z\"\\\\\\\\]{1,4}(/\\*\\*)?", 0..3),
        depends_on in proptest::collection::btree_set(0..number.max(1), 0..3),
        (max_retries, skip) in (proptest::option::of(1..=1000u32), any::<bool>()),
        (after, then) in (proptest::collection::vec(any_watch(), 0..3), proptest::collection::vec(any_watch(), 0..3)),
        (external, issue) in (proptest::collection::vec(any_reference(), 0..3), proptest::option::of(any_reference())),
    ) -> PlanItem {
        PlanItem {
            id: format!("i-{number}"), title, body,
            kind: Kind::ALL[kind], role, priority: Priority::ALL[priority], labels,
            depends_on: depends_on.into_iter().filter(|n| *n < number).map(|n| format!("i-{n}")).collect(),
            touches: touches.into_iter().filter(|glob| globset::Glob::new(glob).is_ok()).collect(),
            agent, gate, qa: QA.get(qa).copied(), max_retries, skip, external, issue, after, then,
        }
    }
}

prop_compose! {
    fn any_plan()(
        goal in "[^\\s\\p{C}]{1,9}( [^\\s\\p{C}]{1,9}){0,3}",
        items in (any_item(0), any_item(1), any_item(2), 1..=3usize),
        (max_parallel_items, reviewer_required) in (proptest::option::of(1..=100_000u32), any::<Option<bool>>()),
        budget_usd in proptest::option::of(0.0..1e9f64),
        deadline in proptest::option::of(-62_000_000_000_000_000i64..253_000_000_000_000_000),
    ) -> Plan {
        let (a, b, c, count) = items;
        let deadline = deadline.map(crate::time::Timestamp::from_micros);
        let policy = PolicyPatch { max_parallel_items, reviewer_required, budget_usd, deadline, ..PolicyPatch::default() };
        Plan { goal, policy, items: [a, b, c].into_iter().take(count).collect() }
    }
}

/// A text with some of its bytes replaced, cut out or doubled.
fn mutated(text: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let edits = proptest::collection::vec((0..text.len(), 0..6usize, any::<u8>(), 0..3u8), 0..8);
    edits.prop_map(|edits| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, length, byte, how) in edits {
            let at = at.min(bytes.len());
            let end = (at + length).min(bytes.len());
            match how {
                0 => drop(bytes.drain(at..end)),
                1 => bytes.insert(at, byte),
                _ => {
                    let copy = bytes[at..end].to_vec();
                    bytes.splice(at..at, copy);
                }
            }
        }
        bytes
    })
}

const DOCUMENT: &str = "---\na: b\n---\n# Goal\n\n## One\n\ntext, after `x`\n\n> quoted\n\n## Two *em*\n\n- depends on #1, \"One\" & [One](#one)\n  ```\n  x\n  ```\n1. Requires: One and ‘Two’\n";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_back(plan in any_plan()) {
        let file = to_toml(&plan);
        prop_assert_eq!(parse_toml("", file.as_bytes()).map_err(|p| format!("{p}\n{file}")), Ok(plan));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_bytes_make_a_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = (parse_toml("", &bytes), parse_markdown("", &bytes), parse("-", &bytes));
    }

    #[test]
    fn no_text_of_toml_pieces_makes_the_reader_panic(
        pieces in proptest::collection::vec(
            proptest::sample::select(vec![
                "[", "]", "[[", "]]", "{", "}", "items", "goal", "policy", "id", "=", ".", ",", "'", "\"", "\"\"\"",
                "'''", "\n", " ", "#", "1", "0x", "1979-05-27", "é", "\\u", "true", "-", "\r",
            ]),
            0..40,
        )
    ) {
        let _ = parse_toml("", pieces.concat().as_bytes());
    }

    #[test]
    fn no_changed_plan_makes_a_reader_panic(toml in mutated(FULL), markdown in mutated(DOCUMENT)) {
        let _ = (parse_toml("", &toml), parse_markdown("", &markdown), parse("-", &toml));
    }
}
