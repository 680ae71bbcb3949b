//! Documents, their items and what depends on what.

use super::parse_markdown;
use crate::item::Kind;

/// The items as `id<-dependency,dependency`.
fn graph(document: &str) -> String {
    match parse_markdown("doc.md", document.as_bytes()) {
        Ok(plan) => {
            let items = plan.items.iter().map(|item| match item.depends_on.as_slice() {
                [] => item.id.clone(),
                depends_on => format!("{}<-{}", item.id, depends_on.join(",")),
            });
            items.collect::<Vec<_>>().join(" ")
        }
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn each_second_heading_is_an_item_and_its_text_the_body_as_written() {
    let document = "\u{feff}---\ntitle: x\n---\nIntro.\n\n# The *goal*\n\nMore.\n\n## Design the `API`\n\n\n    code first\n\
                    \n### Details\n\n* a  \n* b\n\n> ## Not this\n\n```\n## nor this\n```\n\n- ## nor that\n\n\
                    Tests\n-----\n\nText.\n# Appendix\n\nNot of an item.\n";
    let plan = parse_markdown("docs/plan.md", document.as_bytes()).unwrap();
    assert_eq!(plan.goal, "The goal");
    let items: Vec<_> =
        plan.items.iter().map(|i| (i.id.as_str(), i.title.as_str(), i.kind, i.role.as_deref())).collect();
    let expected = [
        ("design-the-api", "Design the API", Kind::Design, Some("backend")),
        ("tests", "Tests", Kind::Test, Some("tester")),
    ];
    assert_eq!(items, expected);
    assert_eq!(
        plan.items[0].body,
        "    code first\n\n### Details\n\n* a  \n* b\n\n> ## Not this\n\n```\n## nor this\n```\n\n- ## nor that"
    );
    assert_eq!(plan.items[1].body, "Text.");
}

#[test]
fn the_goal_of_a_document_without_a_title_is_its_name() {
    for (file, goal) in [("docs/big plan.md", "big plan"), ("-", "One"), ("", "One"), ("x", "x")] {
        assert_eq!(parse_markdown(file, b"## One\n").unwrap().goal, goal);
    }
}

#[test]
fn what_nobody_sees_hides_no_dependency() {
    for mark in ["\u{200f}", "\u{202b}", "\u{2066}", "\u{200b}", "\u{ad}"] {
        let document =
            format!("## A{mark}PI\n## Web\n## Last\n{mark}after {mark}#1{mark}, {mark}\"W{mark}eb\"{mark}.\n");
        assert_eq!(graph(&document), "api web last<-api,web", "{mark:?}");
    }
    // A problem after such marks keeps its place.
    assert!(graph("## A\n\u{200f}\u{200f}after \u{200f}#9\n").starts_with("doc.md:2:10:"));
}

#[test]
fn dependency_phrases_name_headings_by_text_slug_or_number() {
    let head = "## Data Model\n## API\n## Web & UI\n## Last\n";
    let cases = [
        ("Depends on #1.", "last<-data-model"),
        ("DEPEND ON #1, #2 and #3!", "last<-data-model,api,web-ui"),
        ("depends on: #1 & #2", "last<-data-model,api"),
        ("**Blocked by:** #2", "last<-api"),
        ("blocked\nby data\nmodel", "last<-data-model"),
        ("Requires the thing. Require API, and also #1", "last<-api"),
        ("requires data-model and api", "last<-data-model,api"),
        ("after Web & UI", "last<-web-ui"),
        ("after Web & UI & API", "last<-web-ui,api"),
        ("after \"API\" and “Data model”, 'web-ui'", "last<-api,data-model,web-ui"),
        ("after [the model](#data-model), [API](https://example.com)", "last<-data-model,api"),
        ("after `API`", "last<-api"),
        ("after [`API`](#api)", "last<-api"),
        ("- after\n  API\n- after #1", "last<-api,data-model"),
        ("| after #1 |", "last<-data-model"),
        ("after #1, after #1", "last<-data-model"),
        ("### After API", "last<-api"),
        // Prose.
        ("after lunch", "last"),
        ("hereafter API", "last"),
        ("aftermath API", "last"),
        ("after API-gateway", "last"),
        ("after APIs", "last"),
        ("after Last", "last"),
        ("after `last`", "last"),
        ("requires 'admin' rights", "last"),
        ("requires `serde`", "last"),
        ("requires [serde](https://serde.rs)", "last"),
        ("after owner/repo#1", "last"),
        ("after # 1", "last"),
        ("after #1st", "last"),
        // Not read.
        ("> depends on #1", "last"),
        ("> depends on\n#1", "last"),
        ("`depends on #1`", "last"),
        ("    depends on #1", "last"),
        ("```\ndepends on #1\n```", "last"),
        ("<!-- depends on #1 -->", "last"),
        ("after ![API](x.png)", "last<-api"),
    ];
    for (text, expected) in cases {
        let expected = format!("data-model api web-ui {expected}");
        assert_eq!(graph(&format!("{head}\n{text}\n")), expected, "{text}");
    }
    assert_eq!(graph("## A\n## B (after #1)\n## C, requires A\n"), "a b-after-1<-a c-requires-a<-a");
}

#[test]
fn a_reference_that_can_only_be_a_heading_must_be_one() {
    let head = "## Schema\n\n## API\n\n";
    let first = "(`#1` is the first `##` heading)";
    let cases = [
        ("after #3", format!("doc.md:5:7: `#3` is no heading of the document, which has 2 {first}")),
        ("é after #0", format!("doc.md:5:9: `#0` is no heading of the document, which has 2 {first}")),
        (
            "after #99999999999999999999999",
            format!("doc.md:5:7: `#18446744073709551615` is no heading of the document, which has 2 {first}"),
        ),
        ("after \"Shema\"", "doc.md:5:7: `Shema` is no `##` heading of the document (did you mean `Schema`?)".into()),
        ("after [x](#zzz)", "doc.md:5:8: `zzz` is no `##` heading of the document".into()),
        ("after #2", "doc.md:5:7: `api` depends on itself (take the dependency out)".into()),
        (
            "after #1\n\n## Schema\n\nafter Schema",
            "doc.md:9:7: several headings are called `Schema` (name the one that is meant by its number, such as `#2`)"
                .into(),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(graph(&format!("{head}{text}\n")), expected, "{text}");
    }
}

#[test]
fn a_document_is_checked_like_a_plan_file() {
    let fix = "(take one of these dependencies out)";
    assert_eq!(
        graph("## A\nafter #2\n## B\nafter C\n## C\nafter a\n"),
        format!("doc.md:2:7: these items wait for each other: a → b → c → a {fix}")
    );
    assert_eq!(
        graph("# Goal\n\ntext\n"),
        "doc.md:1:1: the document has no `##` heading, and each of them is an item \
         (begin each item with a `## heading` of its own)"
    );
    assert_eq!(graph("## A\n##\n"), "doc.md:2:1: the heading has no text (say in it what is to be done)");
    let large = format!("## A\n\n{}\n", "x".repeat(super::BODY_LIMIT + 1));
    assert!(graph(&large).starts_with("doc.md:3:1: the body of `a` has 262145 bytes"));
    assert!(graph("## A\n\n\0\n").starts_with("doc.md:3:1: the text holds a NUL character"));
}

#[test]
fn equal_headings_are_different_items() {
    assert_eq!(
        graph("## Tests\n## Tests\n## 数据\n## 报告\nafter 数据 and tests-2\n"),
        "tests tests-2 item item-2<-item,tests-2"
    );
}
