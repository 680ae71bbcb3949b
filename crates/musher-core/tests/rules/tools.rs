//! Musher's own tools in the hands of an agent: what it may do, what it may not, and that a repeat does nothing twice.

use musher_core::agent::AgentSpec;
use musher_core::command::{Actor, Answer, Command, Refused};
use musher_core::config::ProjectSettings;
use musher_core::effect::{EffectKind, When};
use musher_core::id::{CallId, RequestId, RunId};
use musher_core::inbox;
use musher_core::item::{Kind, Phase, Priority, Qa, Wants};
use musher_core::message::{NewMessage, Sort, Urgency};
use musher_core::mission::{AddItem, MissionItem, Policy};
use musher_core::run::{Outcome, Verdict};
use musher_core::tool::{Submitted, ToolUse};

use crate::world::{World, agent, finished, item, policy, settings, tokens};

/// A world in which agents `c1` and `c2`, which take messages, are at work on `a` and `b`; `c` waits for `a`.
fn at_work() -> World {
    at_work_with(policy())
}

fn at_work_with(policy: Policy) -> World {
    let mut w = World::new();
    for name in ["c1", "c2"] {
        w.agent(AgentSpec { driver: "claude".into(), ..agent(name) });
    }
    let a = MissionItem { priority: Priority::High, gate: Some("check a".into()), ..item("a", &[]) };
    w.mission_with(policy, vec![a, item("b", &[]), item("c", &["a"])]);
    w.start("a");
    w.start("b");
    w
}

fn uses(w: &mut World, key: &str, tool: ToolUse) -> Result<Answer, Refused> {
    let run = w.run_of(key);
    w.say(&Actor::Run(run), Command::UseTool(run, Box::new(tool)))
}

fn call(n: u8) -> CallId {
    CallId::from_bytes([n; 16])
}

fn asks(w: &mut World, key: &str, text: &str) -> RequestId {
    match uses(w, key, ToolUse::AskOperator(text.into())) {
        Ok(Answer::Help(id)) => id,
        other => panic!("{other:?}"),
    }
}

fn wish(n: u8, title: &str) -> AddItem {
    AddItem {
        call: call(n),
        title: title.into(),
        body: "what is to be done".into(),
        kind: Kind::Followup,
        role: None,
        labels: Box::default(),
        touches: Box::default(),
        depends_on: None,
    }
}

fn message(n: u8, to: &str, urgency: Urgency, text: &str) -> ToolUse {
    let new = NewMessage { id: call(n), to: to.into(), sort: Sort::Info, urgency, text: text.into() };
    ToolUse::SendMessage(Box::new(new))
}

fn reads(w: &mut World, key: &str, n: u8) -> Vec<String> {
    match uses(w, key, ToolUse::ReadMessages(call(n))) {
        Ok(Answer::Messages(messages)) => messages.iter().map(|m| format!("{}: {}", m.from, m.text)).collect(),
        other => panic!("{other:?}"),
    }
}

/// The words that running agents are being told, and when.
fn told(w: &World, key: &str) -> Vec<(String, When)> {
    let of = |kind: &EffectKind| match kind {
        EffectKind::TellRun { text, when, .. } => Some((text.to_string(), *when)),
        _ => None,
    };
    w.state.effects_of(w.id(key)).filter_map(|effect| of(&effect.kind)).collect()
}

fn words(refused: Result<Answer, Refused>) -> String {
    let refused = refused.unwrap_err();
    format!("{refused} / {}", refused.fix().unwrap_or_default())
}

#[test]
fn a_question_waits_in_the_inbox_and_its_one_answer_is_kept_for_the_agent() {
    let mut w = at_work();
    let id = asks(&mut w, "a", " which database? ");
    let entry = &inbox::requests(&w.state)[0];
    assert!(entry.text.contains("c1") && entry.text.contains("which database?"), "{}", entry.text);
    assert_eq!(entry.replies, [format!("musher answer {} \"TEXT\"", id.short())]);
    w.restart_and_compare();
    assert_eq!(asks(&mut w, "a", "which database?"), id, "the same words are the same question");

    w.ok(Command::AnswerHelp(id, "sqlite".into()));
    assert!(inbox::requests(&w.state).is_empty());
    assert_eq!(asks(&mut w, "a", "which database?"), id, "also once it is answered");
    let run = w.state.run(w.run_of("a")).unwrap();
    let answer = run.help[0].answer.as_ref().unwrap();
    assert_eq!((&*answer.text, &*answer.by), ("sqlite", "ann"));
    let again = w.refused(Command::AnswerHelp(id, "postgres".into())).to_string();
    assert!(again.contains("was answered by ann"), "{again}");
    assert_eq!((w.said("help_requested"), w.said("help_answered")), (1, 1));
}

#[test]
fn a_question_is_answered_by_a_person_with_words_and_a_permission_with_yes_or_no() {
    use musher_core::approval::{Action, Ask, Ruled};
    let mut w = World::new();
    let approvals = musher_core::approval::Approvals::Ask;
    w.agent(AgentSpec { driver: "claude".into(), approvals, ..agent("c1") });
    w.mission(vec![item("a", &[])]);
    w.start("a");
    let question = asks(&mut w, "a", "which?");
    let ask = Ask { reference: "7".into(), action: Action::Shell("ls".into()) };
    w.report("a", "start_run", musher_core::command::Report::PermissionAsked { ask, worktree: "/w".into() });
    let permission = w.state.run(w.run_of("a")).unwrap().requests[0].id;

    let run = w.run_of("a");
    let by_itself = w.say(&Actor::Run(run), Command::AnswerHelp(question, "mine".into()));
    assert!(words(by_itself).contains("an agent cannot answer"));
    let crossed = w.refused(Command::AnswerRequest(question, Ruled::Allowed, "".into()));
    assert!(crossed.fix().unwrap().contains("musher answer"), "{crossed}");
    let crossed = w.refused(Command::AnswerHelp(permission, "yes".into()));
    assert!(crossed.fix().unwrap().contains("musher allow"), "{crossed}");
    assert!(w.refused(Command::AnswerHelp(question, "  ".into())).to_string().contains("0 bytes"));
    w.end("a", finished("did without"));
    let late = w.refused(Command::AnswerHelp(question, "late".into())).to_string();
    assert!(late.contains("no request"), "{late}");
    assert!(inbox::requests(&w.state).is_empty(), "what a run asked goes with it");
}

#[test]
fn a_tool_is_for_the_agent_of_its_own_live_run() {
    let mut w = at_work();
    let (a, b) = (w.run_of("a"), w.run_of("b"));
    let tool = || Box::new(ToolUse::ReportProgress("half".into()));
    for actor in [Actor::Run(b), Actor::Operator("ann".into()), Actor::Musher] {
        let refused = words(w.say(&actor, Command::UseTool(a, tool())));
        assert!(refused.contains("its own agent"), "{refused}");
    }
    w.end("a", finished("done"));
    assert!(words(w.say(&Actor::Run(a), Command::UseTool(a, tool()))).contains("no run"));
    let nobody = RunId::from_bytes([9; 16]);
    assert!(words(w.say(&Actor::Run(nobody), Command::UseTool(nobody, tool()))).contains("no run"));
    assert_eq!(w.said("progress_reported"), 0);
}

#[test]
fn what_an_agent_submits_is_what_it_ends_with_and_the_last_counts() {
    let mut w = at_work();
    for summary in ["first", "second"] {
        let submitted =
            Submitted { summary: summary.into(), artifacts: ["out.txt".into()].into(), ..Submitted::default() };
        uses(&mut w, "a", ToolUse::SubmitResult(Box::new(submitted))).unwrap();
    }
    let run = w.run_of("a");
    w.restart_and_compare();
    w.end("a", finished("bye"));
    match &w.stored_run(run).outcome {
        Some(Outcome::Finished { summary, no_change_needed: None, .. }) => assert_eq!(&**summary, "second"),
        other => panic!("{other:?}"),
    }
    assert_eq!(w.phase("a"), Phase::Verifying, "nothing is proved by it");

    let submitted = Submitted {
        summary: "all is well".into(),
        no_change_needed: Some("it is there already".into()),
        ..Submitted::default()
    };
    uses(&mut w, "b", ToolUse::SubmitResult(Box::new(submitted))).unwrap();
    w.end("b", finished("bye"));
    w.inspect("b", musher_core::command::Inspection::Empty);
    assert!(w.item("b").no_merge, "the reason of the tool counts like that of the result file");
}

#[test]
fn a_result_does_not_make_a_failure_a_success() {
    let mut w = at_work();
    let submitted = Submitted { summary: "done".into(), ..Submitted::default() };
    uses(&mut w, "a", ToolUse::SubmitResult(Box::new(submitted))).unwrap();
    w.end("a", crate::world::failed(musher_core::run::FailureClass::Agent, "it crashed"));
    assert_eq!((w.phase("a"), w.item("a").attempts), (Phase::Ready, 1));
}

#[test]
fn a_reviewer_gives_its_verdict_through_the_tool_and_nobody_else_has_one() {
    let mut w = World::new();
    w.agent(agent("maker"));
    w.agent(AgentSpec { roles: crate::world::words(&["reviewer"]), ..agent("critic") });
    w.mission_with(Policy::default(), vec![item("a", &[])]);
    w.start("a");
    let refused = words(uses(&mut w, "a", ToolUse::Review(Verdict::Approved("mine is good".into()))));
    assert!(refused.contains("not given a change to review"), "{refused}");
    w.end("a", finished("done"));
    let change = w.clean();
    w.inspect("a", change);
    w.gate("a", musher_core::command::GateVerdict::Green);

    let review = w.item("a").review_run.unwrap();
    w.report("a", "start_run", musher_core::command::Report::RunStarted);
    let by_review = |w: &mut World, verdict| {
        w.say(&Actor::Run(review), Command::UseTool(review, Box::new(ToolUse::Review(verdict))))
    };
    assert!(words(by_review(&mut w, Verdict::Rejected(" ".into()))).contains("without a reason"));
    by_review(&mut w, Verdict::Approved("fine".into())).unwrap();
    by_review(&mut w, Verdict::Rejected("no tests".into())).unwrap();
    assert_eq!(w.said("review_rejected"), 0, "it counts when the run has ended");
    w.end("a", finished("I have said it"));
    assert_eq!((w.said("review_approved"), w.said("review_rejected")), (0, 1));
    assert_eq!(w.lesson("a"), "no tests");
}

#[test]
fn an_item_is_added_once_within_the_caps_with_the_gate_and_priority_of_its_author() {
    let mut w = at_work_with(Policy { max_added_items: 2, ..policy() });
    let Ok(Answer::Item(id)) = uses(&mut w, "a", ToolUse::AddItem(Box::new(wish(1, "Do a!")))) else { panic!() };
    assert_eq!(uses(&mut w, "a", ToolUse::AddItem(Box::new(wish(1, "Do a!")))), Ok(Answer::Item(id)));
    let added = w.state.item(id).unwrap();
    assert_eq!((&*added.key, added.gate.as_deref(), added.priority), ("do-a", Some("check a"), Priority::High));
    assert_eq!((added.phase(), &*added.depends_on), (Phase::Pending, &[w.id("a")][..]), "after its author's own");
    w.restart_and_compare();

    let free = AddItem { depends_on: Some(Vec::new()), ..wish(2, "do-a") };
    let Ok(Answer::Item(second)) = uses(&mut w, "b", ToolUse::AddItem(Box::new(free))) else { panic!() };
    assert_eq!((&*w.state.item(second).unwrap().key, w.phase("do-a-2")), ("do-a-2", Phase::Ready));
    let refused = words(uses(&mut w, "a", ToolUse::AddItem(Box::new(wish(3, "one more")))));
    assert!(refused.contains("lets them add 2"), "{refused}");
    assert_eq!(w.said("item_added"), 2);

    w.drive();
    assert!(w.left_over().is_empty(), "{:?}", w.left_over());
    assert_eq!(w.all_in(Phase::Done).len(), 5, "the mission ends with what was added");
}

#[test]
fn what_makes_no_item_is_refused_and_changes_nothing() {
    let cases: [(&str, AddItem); 6] = [
        ("the title is one line", AddItem { title: " ".into(), ..wish(1, "x") }),
        ("the title is one line", AddItem { title: "two\nlines".into(), ..wish(1, "x") }),
        ("the body has 0 bytes", AddItem { body: "".into(), ..wish(1, "x") }),
        ("no item `nowhere`", AddItem { depends_on: Some(vec!["nowhere".into()]), ..wish(1, "x") }),
        ("`labels` has at most", AddItem { labels: vec!["".into()].into(), ..wish(1, "x") }),
        ("the role is a word", AddItem { role: Some("".into()), ..wish(1, "x") }),
    ];
    let mut w = at_work();
    for (expected, wish) in cases {
        let refused = words(uses(&mut w, "a", ToolUse::AddItem(Box::new(wish))));
        assert!(refused.contains(expected), "{refused}");
    }
    let mut w = at_work_with(Policy { budget_tokens: Some(10), ..policy() });
    w.report("a", "start_run", musher_core::command::Report::RunProgress { usage: tokens(10) });
    let refused = words(uses(&mut w, "a", ToolUse::AddItem(Box::new(wish(1, "x")))));
    assert!(refused.contains("is being ended"), "whose budget is used up adds nothing: {refused}");
    let mut w = at_work_with(Policy { max_added_items: 0, ..policy() });
    let refused = words(uses(&mut w, "a", ToolUse::AddItem(Box::new(wish(1, "x")))));
    assert!(refused.contains("lets them add 0"), "{refused}");
    assert_eq!(w.said("item_added"), 0);
}

#[test]
fn messages_are_read_once_the_urgent_first_and_a_lost_answer_is_given_again() {
    let mut w = at_work();
    for (n, urgency, text) in [(1, Urgency::Low, "low"), (2, Urgency::Normal, "one"), (3, Urgency::Normal, "two")] {
        uses(&mut w, "a", message(n, "b", urgency, text)).unwrap();
    }
    uses(&mut w, "a", message(4, "b", Urgency::Urgent, "now")).unwrap();
    uses(&mut w, "a", message(4, "b", Urgency::Urgent, "now")).unwrap();
    w.restart_and_compare();
    let expected = ["a: now", "a: one", "a: two", "a: low"];
    assert_eq!(reads(&mut w, "b", 10), expected);
    assert_eq!(reads(&mut w, "b", 10), expected, "the same use of the tool");
    assert!(reads(&mut w, "b", 11).is_empty(), "another one");
    assert_eq!((w.said("message_posted"), w.said("messages_read")), (4, 1));
}

#[test]
fn an_urgent_message_interrupts_and_a_high_one_is_told_at_the_next_gap() {
    for (urgency, expected) in [
        (Urgency::Low, None),
        (Urgency::Normal, None),
        (Urgency::High, Some(When::Next)),
        (Urgency::Urgent, Some(When::Now)),
    ] {
        let mut w = at_work();
        uses(&mut w, "a", message(1, "c2", urgency, "stop that")).unwrap();
        let told = told(&w, "b");
        assert_eq!(told.first().map(|(_, when)| *when), expected, "{urgency:?}");
        assert!(told.iter().all(|(text, _)| text.contains("stop that") && text.contains("`a`")));
        assert_eq!(reads(&mut w, "b", 9), ["a: stop that"], "it is never lost, told or not");
    }
}

#[test]
fn messages_to_nobody_to_oneself_and_to_full_inboxes_are_refused() {
    let mut w = at_work();
    for (to, text, expected) in [
        ("a", "me", "to oneself"),
        ("nobody", "x", "no item `nobody`"),
        ("b", " ", "0 bytes"),
        ("b", "x".repeat(9_000).as_str(), "9000 bytes"),
    ] {
        let refused = words(uses(&mut w, "a", message(1, to, Urgency::Normal, text)));
        assert!(refused.contains(expected), "{refused}");
    }
    for n in 0..32 {
        uses(&mut w, "a", message(100 + n, "c", Urgency::Normal, "hello")).unwrap();
    }
    let refused = words(uses(&mut w, "a", message(99, "c", Urgency::Normal, "one more")));
    assert!(refused.contains("not read yet"), "{refused}");
    w.complete("b");
    let refused = words(uses(&mut w, "a", message(98, "b", Urgency::Normal, "too late")));
    assert!(refused.contains("is done"), "{refused}");
}

#[test]
fn progress_is_what_was_said_last_and_the_same_words_are_no_news() {
    let mut w = at_work();
    for text in ["reading", "reading", "writing"] {
        uses(&mut w, "a", ToolUse::ReportProgress(text.into())).unwrap();
    }
    assert_eq!(w.state.run(w.run_of("a")).unwrap().progress.as_deref(), Some("writing"));
    assert_eq!(w.said("progress_reported"), 2);
    assert!(words(uses(&mut w, "a", ToolUse::ReportProgress("".into()))).contains("0 bytes"));
}

#[test]
fn an_author_widens_no_bounds_and_what_it_adds_is_reviewed_as_its_own() {
    let mut w = World::with_settings(ProjectSettings { enforce_touches: true, ..settings() });
    w.agent(AgentSpec { capabilities: crate::world::words(&["rust"]), ..agent("c1") });
    let a = MissionItem {
        touches: crate::world::words(&["src/**"]),
        qa: Some(Qa::Human),
        max_retries: Some(1),
        ..item("a", &[])
    };
    w.mission_with(Policy::default(), vec![a]);
    w.start("a");
    let touching = |glob: &str| AddItem { touches: crate::world::words(&[glob]), ..wish(1, "x") };
    for (expected, wish) in [
        ("none of what item `a` may change", touching("docs/**")),
        ("leaves the repository", touching("../x")),
        ("leaves the repository", touching("/etc/**")),
        ("is no glob", touching("[z")),
        ("no agent has all of these labels", AddItem { labels: crate::world::words(&["go"]), ..wish(1, "x") }),
        ("`depends_on` has at most", AddItem { depends_on: Some(vec!["a".into(); 65]), ..wish(1, "x") }),
    ] {
        let refused = words(uses(&mut w, "a", ToolUse::AddItem(Box::new(wish))));
        assert!(refused.contains(expected), "{expected}: {refused}");
    }
    let sneak = AddItem { depends_on: Some(Vec::new()), labels: crate::world::words(&["rust"]), ..wish(2, "sneak") };
    uses(&mut w, "a", ToolUse::AddItem(Box::new(sneak))).unwrap();
    let added = w.item("sneak");
    assert_eq!((added.qa, added.max_retries, &*added.touches), (Some(Qa::Human), Some(1), &*w.item("a").touches));

    // Without such a mode it is looked at all the same, whatever it calls itself.
    let mut w = at_work_with(Policy::default());
    let sneak = AddItem { depends_on: Some(Vec::new()), ..wish(2, "sneak") };
    uses(&mut w, "a", ToolUse::AddItem(Box::new(sneak))).unwrap();
    let mut row = w.item("sneak").clone();
    row.head = Some("h".into());
    assert_eq!(musher_core::review::waits_on(&w.state, &row), musher_core::item::Waiting::Review);
}

#[test]
fn planners_and_reviewers_add_nothing() {
    let mut w = World::new();
    w.agent(agent("c1"));
    w.mission(vec![MissionItem { wants: Wants::Plan, ..item("a", &[]) }]);
    w.start("a");
    let refused = words(uses(&mut w, "a", ToolUse::AddItem(Box::new(wish(1, "x")))));
    assert!(refused.contains("a planner adds no items"), "{refused}");
    assert_eq!(w.said("item_added"), 0);

    let mut w = World::new();
    w.agent(agent("maker"));
    w.agent(AgentSpec { roles: crate::world::words(&["reviewer"]), ..agent("critic") });
    w.mission_with(Policy::default(), vec![item("a", &[])]);
    w.start("a");
    w.end("a", finished("done"));
    let change = w.clean();
    w.inspect("a", change);
    w.gate("a", musher_core::command::GateVerdict::Green);
    let review = w.item("a").review_run.unwrap();
    let tool = Box::new(ToolUse::AddItem(Box::new(wish(1, "x"))));
    let refused = words(w.say(&Actor::Run(review), Command::UseTool(review, tool)));
    assert!(refused.contains("a reviewer adds no items"), "{refused}");
}

#[test]
fn a_run_that_is_being_ended_does_nothing_more() {
    use musher_core::effect::Stop;
    let ways: [fn(&mut World) -> Command; 3] = [
        |w| Command::StopMission(w.item("a").mission, Stop::Kill),
        |w| Command::CancelItem(w.id("a")),
        |w| Command::StopRun(w.run_of("a"), Stop::Interrupt),
    ];
    for way in ways {
        let mut w = at_work();
        let command = way(&mut w);
        let run = w.run_of("a");
        w.ok(command.clone());
        for tool in [
            ToolUse::AddItem(Box::new(AddItem { depends_on: Some(Vec::new()), ..wish(1, "x") })),
            ToolUse::AskOperator("may I?".into()),
        ] {
            let refused = words(w.say(&Actor::Run(run), Command::UseTool(run, Box::new(tool))));
            assert!(refused.contains("is being ended"), "{command:?}: {refused}");
        }
        assert_eq!((w.said("item_added"), w.said("help_requested")), (0, 0));
    }
}

#[test]
fn only_a_planner_may_submit_what_is_as_long_as_a_plan() {
    let long = || {
        let submitted = Submitted { summary: "x".repeat(20_000).into(), ..Submitted::default() };
        ToolUse::SubmitResult(Box::new(submitted))
    };
    let mut w = at_work();
    assert!(words(uses(&mut w, "a", long())).contains("at most 16384"));
    let mut w = World::new();
    w.agent(agent("c1"));
    w.mission(vec![MissionItem { wants: Wants::Plan, ..item("a", &[]) }]);
    w.start("a");
    uses(&mut w, "a", long()).unwrap();
}
