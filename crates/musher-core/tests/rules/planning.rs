//! An item that wants a plan: its agent's closing words are judged, and nothing else of its run.

use musher_core::change::TextKey;
use musher_core::command::{Command, Report};
use musher_core::item::{Kind, Phase, Qa, Wants, Worktree};
use musher_core::mission::{Delivery, MissionItem, MissionState};
use musher_core::plan::ANSWER_LIMIT;
use musher_core::prompt::{self, Parts, Worker};
use musher_core::run::{FailureClass, Outcome, Purpose, Usage};

use crate::world::{PLAN, World, failed, finished, item, settings};

fn planning(key: &str) -> MissionItem {
    MissionItem { wants: Wants::Plan, kind: Kind::Design, ..item(key, &[]) }
}

fn block(plan: &str) -> String {
    format!("I looked around.\n\n```toml\n{plan}```\n")
}

/// A world in which an agent works at a plan.
fn at_work() -> World {
    let mut w = World::with_agents(1);
    w.mission(vec![planning("p")]);
    w.start("p");
    w
}

#[test]
fn a_plan_that_can_be_used_completes_the_item_without_check_review_or_merge() {
    for qa in [None, Some(Qa::Agent), Some(Qa::Human)] {
        let mut w = World::with_agents(1);
        let mission = w.mission(vec![MissionItem { qa, ..planning("p") }]);
        w.start("p");
        assert_eq!(w.state.run(w.run_of("p")).unwrap().purpose, Purpose::Plan);
        w.end("p", finished(&block(PLAN)));
        assert_eq!((w.phase("p"), w.effects_of("p")), (Phase::Done, vec!["remove_worktree"]), "{qa:?}");
        assert_eq!(w.texts[&TextKey::Plan(w.id("p"))], PLAN);
        assert_eq!(w.texts[&TextKey::Summary(w.id("p"))], "a plan of 2 item(s): Two steps");
        assert_eq!(
            (w.said("plan_accepted"), w.said("item_done"), w.mission_state(mission)),
            (1, 1, MissionState::Completed)
        );
        for never in ["item_inspected", "gate_started", "item_waiting", "item_merging", "delivery_fell_back"] {
            assert_eq!(w.said(never), 0, "{never}");
        }
        w.restart_and_compare();
    }
}

#[test]
fn an_answer_is_judged_by_its_closing_words_alone() {
    let broken = "goal = \"g\"\n[[items]]\nid = \"a\"\nbdoy = \"x\"\n";
    let cycle = PLAN.replace("title = \"One\"", "title = \"One\"\ndepends_on = [\"two\"]");
    let long = format!("goal = \"g\"\n[[items]]\nid = \"a\"\nbody = \"{}\"\n", "x".repeat(200 << 10));
    let too_long = "x".repeat(ANSWER_LIMIT + 1);
    let cases: [(&str, String, Result<&str, &[&str]>); 9] = [
        ("a block", block(PLAN), Ok(PLAN)),
        ("no block", PLAN.to_owned(), Ok(PLAN)),
        ("two blocks", format!("{}{}", block(broken), block(PLAN)), Ok(PLAN)),
        ("a long one", long.clone(), Ok(&long)),
        ("words", "All is planned.".to_owned(), Err(&["its answer holds no plan", "```toml"])),
        ("nothing", String::new(), Err(&["its answer holds no plan"])),
        ("a broken one", block(broken), Err(&["unknown key `bdoy`", "did you mean `body`?", "has no `title`", "4:1"])),
        ("a cycle", block(&cycle), Err(&["wait for each other: one → two → one"])),
        ("too long", too_long, Err(&["more than 262144 bytes"])),
    ];
    for (name, words, expected) in cases {
        let mut w = at_work();
        w.end("p", finished(&words));
        match expected {
            Ok(plan) => assert_eq!((w.phase("p"), &*w.texts[&TextKey::Plan(w.id("p"))]), (Phase::Done, plan), "{name}"),
            Err(parts) => {
                assert_eq!(
                    (w.phase("p"), w.item("p").attempts, w.said("plan_accepted")),
                    (Phase::Ready, 1, 0),
                    "{name}"
                );
                assert!(!w.texts.contains_key(&TextKey::Plan(w.id("p"))), "{name}");
                let lesson = w.lesson("p");
                assert!(parts.iter().all(|part| lesson.contains(part)), "{name}: {lesson}");
                let failure = w.events.iter().find(|e| e.happened.name() == "item_failed").unwrap();
                assert!(format!("{:?}", failure.happened).contains(&format!("{:?}", FailureClass::Agent)), "{name}");
            }
        }
    }
}

#[test]
fn a_plan_that_is_never_right_ends_in_the_dead_letter_and_a_person_may_let_it_be_tried_again() {
    let mut w = at_work();
    for attempt in 1..=3 {
        w.end("p", finished("I would rather not."));
        assert_eq!(w.item("p").attempts, attempt);
        if attempt < 3 {
            assert!(w.until_due());
            w.start("p");
        }
    }
    assert_eq!(w.phase("p"), Phase::Failed);
    assert_eq!(w.item("p").reason().unwrap(), "max retries exceeded: its answer holds no plan");
    w.ok(Command::RetryItem(w.id("p")));
    w.start("p");
    w.end("p", finished(&block(PLAN)));
    assert_eq!(w.phase("p"), Phase::Done);
}

#[test]
fn a_second_attempt_goes_on_in_the_same_worktree_and_session() {
    let mut w = at_work();
    w.report("p", "start_run", Report::SessionStarted { id: "s1".into() });
    w.end("p", finished("soon"));
    assert!(w.until_due());
    assert_eq!(w.effects_of("p"), ["start_run"]);
    assert_eq!(w.state.run(w.run_of("p")).unwrap().resumes.as_deref(), Some("s1"));
}

#[test]
fn an_agent_that_fails_or_says_that_no_change_is_needed_has_not_planned() {
    let no_change =
        Outcome::Finished { summary: "nothing to plan".into(), no_change_needed: Some("why".into()), verdict: None };
    for outcome in [failed(FailureClass::Agent, "it broke"), no_change] {
        let mut w = at_work();
        w.end("p", outcome);
        assert_eq!((w.phase("p"), w.item("p").attempts), (Phase::Ready, 1));
    }
}

#[test]
fn what_the_agent_left_in_the_worktree_keeps_it() {
    let mut w = at_work();
    w.end("p", finished(&block(PLAN)));
    w.report("p", "remove_worktree", Report::WorktreeKept { reason: "1 uncommitted files".into() });
    assert_eq!((w.phase("p"), &w.item("p").worktree), (Phase::Done, &Worktree::Kept("1 uncommitted files".into())));
}

#[test]
fn a_held_planner_ends_and_plans_anew_when_it_is_released() {
    let mut w = at_work();
    w.ok(Command::HoldItem(w.id("p"), "wait".into()));
    w.end("p", finished(&block(PLAN)));
    assert_eq!((w.phase("p"), w.said("plan_accepted")), (Phase::Held, 0));
    w.ok(Command::ReleaseItem(w.id("p")));
    w.start("p");
    w.end("p", finished(&block(PLAN)));
    assert_eq!(w.phase("p"), Phase::Done);
}

#[test]
fn only_work_that_is_merged_falls_back_to_a_branch() {
    let without = || World::with_settings(musher_core::config::ProjectSettings { gate: None, ..settings() });
    for (items, events) in [(vec![planning("p")], 0), (vec![planning("p"), item("a", &["p"])], 1)] {
        let mut w = without();
        let mission = w.mission(items);
        assert_eq!(w.said("delivery_fell_back"), events);
        assert_eq!(
            w.state.mission(mission).unwrap().row.delivery,
            Delivery::Branch,
            "nothing may reach the base ungated"
        );
    }
}

#[test]
fn what_depends_on_a_plan_starts_when_the_plan_is_there() {
    let mut w = World::with_agents(1);
    w.mission(vec![planning("p"), item("a", &["p"])]);
    w.start("p");
    assert_eq!(w.phase("a"), Phase::Pending);
    w.report("p", "start_run", Report::RunFinished { outcome: finished(PLAN), usage: Usage::default() });
    assert_eq!((w.phase("p"), w.phase("a")), (Phase::Done, Phase::Assigned));
}

#[test]
fn the_prompt_says_what_a_plan_is_and_what_was_wrong_with_the_last() {
    let mut w = at_work();
    w.end("p", finished("soon"));
    let worker =
        Worker { name: "ada".into(), roles: vec!["backend".into()], capabilities: vec!["rust".into(), "sql".into()] };
    let parts = Parts {
        body: "Serve greetings".into(),
        lesson: Some(w.lesson("p").to_owned()),
        gate: Some("make check".into()),
        workers: vec![worker, Worker { name: "grace".into(), ..Worker::default() }],
        overlaps: vec![prompt::Overlap {
            files: vec!["src/lib.rs".into(), "README.md".into()],
            items: vec!["api".into(), "docs".into()],
        }],
        ..Parts::default()
    };
    let prompt = prompt::render(w.item("p"), Purpose::Plan, &parts);
    for part in [
        "Do p\n\nServe greetings\n",
        "## The last attempt failed\n\nits answer holds no plan",
        "    make check\n",
        "- ada; roles backend; capabilities rust, sql\n- grace\n",
        "- src/lib.rs, README.md (items api, docs)\n",
        "- `depends_on` (array of strings): ",
        "- `body` (string): The prompt, at most 256 KiB.",
        "as `plan` into the JSON file",
    ] {
        assert!(prompt.contains(part), "{part:?} is not in {prompt}");
    }
    assert!(!prompt.contains("Work in the current folder"), "{prompt}");
    // The example that it shows can be used.
    assert_eq!(musher_core::plan::read_answer(&prompt).unwrap().plan.items.len(), 2);
}

#[test]
fn what_the_project_says_comes_first_and_for_work_alone() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    let first = w.item("a").clone();
    let again = musher_core::item::Item { attempts: 2, ..first.clone() };
    let says = |item, purpose, prompt: &str| {
        let parts = Parts { body: "The text".into(), prompt: Some(prompt.into()), ..Parts::default() };
        prompt::render(item, purpose, &parts).split("\n\n## ").next().unwrap().trim_end().to_owned()
    };
    let short = "{{ issue.identifier }}{% if attempt %} #{{ attempt }}{% endif %}: be kind.";
    for (item, purpose, prompt, said) in [
        (&first, Purpose::Work, short, "a: be kind.\n\nDo a\n\nThe text"),
        (&again, Purpose::Work, short, "a #2: be kind.\n\nDo a\n\nThe text"),
        (&again, Purpose::Resolve, short, "a #2: be kind.\n\nDo a\n\nThe text"),
        (&first, Purpose::Work, "{{ issue.title }}: {{ issue.description }}.", "Do a: The text."),
        (&first, Purpose::Review, short, "Do a\n\nThe text"),
        (&first, Purpose::Plan, short, "Do a\n\nThe text"),
    ] {
        assert_eq!(says(item, purpose, prompt), said, "{purpose:?} {prompt}");
    }
}
