//! Help requests of missions: the three rules, when each begins to hold, when it is said again, and when it is retired.

use std::time::Duration;

use musher_core::agent::AgentSpec;
use musher_core::approval;
use musher_core::command::{Actor, Command, Report};
use musher_core::effect::Stop;
use musher_core::event::Happened;
use musher_core::id::MissionId;
use musher_core::inbox::{self, Ask};
use musher_core::item::Phase;
use musher_core::mission::{MissionItem, Policy};
use musher_core::node::TTL;
use musher_core::quota::{Cap, Rules};
use musher_core::run::{FailureClass, Usage};
use musher_core::time::Timestamp;
use musher_core::tool::ToolUse;
use musher_core::watch::WatchKind;

use crate::world::{World, agent, failed, item, policy, words};

const STUCK: Duration = Duration::from_secs(180);
const MICRO: Duration = Duration::from_micros(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// When help was asked for, in what words, and which attempt it was.
fn asked(w: &World) -> Vec<(Timestamp, String, u32)> {
    let said = w.events.iter().filter_map(|event| match &event.happened {
        Happened::MissionHelpRequested { text, attempt, .. } => Some((event.at, text.to_string(), *attempt)),
        _ => None,
    });
    said.collect()
}

fn texts(w: &World) -> Vec<String> {
    asked(w).into_iter().map(|(_, text, _)| text).collect()
}

fn inbox_of(w: &World) -> Vec<inbox::Request> {
    inbox::requests(&w.state).into_iter().filter(|request| request.ask == Ask::Help).collect()
}

/// Every moment that is due by itself, until this much has passed.
fn live_through(w: &mut World, span: Duration, restarts: bool) {
    let end = w.now.after(span);
    while let Some(due) = w.state.next_due().filter(|due| *due <= end) {
        w.pass(due.max(w.now).since(w.now));
        if restarts {
            w.restart_and_compare();
        }
    }
    w.pass(end.since(w.now));
}

/// A mission that an operator has paused: blocked for a reason, and nothing of it is open outside.
fn paused() -> (World, MissionId) {
    let mut w = World::with_agents(1);
    let id = w.mission(vec![item("a", &[])]);
    w.complete("a");
    let id2 = w.mission(vec![item("b", &[])]);
    assert_ne!(id, id2);
    w.report("b", "create_worktree", Report::WorktreeReady { base_commit: "base".into() });
    w.ok(Command::PauseMission(id2, Some(musher_core::effect::Stop::Interrupt), "for lunch".into()));
    w.end("b", musher_core::run::Outcome::Cancelled);
    (w, id2)
}

#[test]
fn ready_items_that_no_agent_can_ever_take_are_asked_for_at_once() {
    type Begin = fn(&mut World);
    let cases: [(&str, Begin); 9] = [
        ("none is there", |_| {}),
        ("none fits", |w| {
            w.agent(AgentSpec { roles: words(&["reviewer"]), ..agent("a1") });
        }),
        ("nothing is heard of its node", |w| {
            w.agent(AgentSpec { node: Some("box".into()), ..agent("a1") });
        }),
        ("all are out of quota", |w| {
            w.agent(AgentSpec { max_load: 9, quota: one_job_a_day(), ..agent("a1") });
            w.mission(vec![item("earlier", &[])]);
        }),
        ("its driver is paused", suspended),
        ("one is on a silent node, and the driver of the other is paused", |w| {
            suspended(w);
            w.agent(AgentSpec { node: Some("box".into()), driver: "claude".into(), ..agent("far") });
        }),
        ("one is of each sort", |w| {
            suspended(w);
            w.agent(AgentSpec { node: Some("box".into()), driver: "claude".into(), ..agent("far") });
            let paused = w.agent(AgentSpec { driver: "claude".into(), ..agent("paused") });
            w.ok(Command::PauseAgent(paused));
        }),
        ("it is paused", |w| {
            let id = w.agent(crate::world::agent("a1"));
            w.ok(Command::PauseAgent(id));
        }),
        ("it cannot start", |w| {
            let id = w.agent(crate::world::agent("a1"));
            w.ok(Command::AgentChecked(id, Some("no such program".into())));
        }),
    ];
    for (name, begin) in cases {
        let mut w = World::new();
        begin(&mut w);
        let id = w.mission(vec![item("a", &[]), item("b", &[])]);
        let words = format!("Mission {} has 2 ready work item(s) but no idle agents are available", id.short());
        assert_eq!(asked(&w), [(w.now, words, 1)], "{name}");
    }
}

fn one_job_a_day() -> Rules {
    Rules { caps: [(Cap::DailyJobs, 1)].into(), model_allowlist: None }
}

/// An agent whose driver is paused for an hour, for its runs have failed five times in the same way.
fn suspended(w: &mut World) {
    let id = w.agent(agent("broken"));
    let key = |n: usize| format!("broken-{n}");
    for n in 0..5 {
        w.mission(vec![item(&key(n), &[])]);
        w.start(&key(n));
        w.end(&key(n), failed(FailureClass::Setup, "not logged in"));
        let mission = w.item(&key(n)).mission;
        w.ok(Command::StopMission(mission, Stop::Kill));
        if n < 4 {
            w.ok(Command::ResumeAgent(id));
        }
    }
    assert_eq!(w.said("driver_paused"), 1);
    w.events.clear();
}

#[test]
fn an_item_that_can_be_taken_hides_none_that_cannot() {
    let nobody = |key: &str| MissionItem { labels: words(&["cobol"]), ..item(key, &[]) };
    let two = |a: MissionItem, b: MissionItem| vec![a, b];
    type Case = (&'static str, u32, Vec<MissionItem>, u32);
    let cases: [Case; 5] = [
        ("the first", 2, two(nobody("odd"), item("b", &[])), 1),
        ("the second", 2, two(item("b", &[]), nobody("odd")), 1),
        ("the second, and no slot is free", 1, two(item("b", &[]), nobody("odd")), 1),
        ("the first, with a busy agent", 3, vec![nobody("odd"), item("b", &[]), item("c", &[])], 2),
        ("the last, behind one that waits for a busy agent", 3, vec![item("b", &[]), item("c", &[]), nobody("odd")], 2),
    ];
    for (name, max_parallel_items, items, ready) in cases {
        let mut w = World::with_agents(1);
        let id = w.mission_with(Policy { max_parallel_items, ..policy() }, items);
        let says = format!("Mission {} has {ready} ready work item(s) but no idle agents are available", id.short());
        assert_eq!(asked(&w), [(w.now, says, 1)], "{name}");
        assert_eq!(w.phase("b"), Phase::Assigned, "{name}: what can be taken is");
        let redirect = format!("musher mission note {} \"redirect odd to AGENT\"", id.short());
        assert!(inbox_of(&w)[0].replies.contains(&redirect), "{name}: {:?}", inbox_of(&w)[0].replies);
        let mut cobol = agent("cobol");
        cobol.capabilities = words(&["cobol"]);
        w.agent(cobol);
        assert_eq!(
            (w.said("mission_help_retired"), inbox_of(&w).len()),
            (1, 0),
            "{name}: it is retired with its cause"
        );
    }
}

#[test]
fn an_item_that_waits_for_the_files_of_another_mission_waits_for_no_agent() {
    let mut w = World::with_agents(2);
    let touching = |key: &str| MissionItem { touches: words(&["src/**"]), ..item(key, &[]) };
    w.mission(vec![touching("a")]);
    w.start("a");
    w.mission(vec![touching("b")]);
    for _ in 0..10 {
        w.pass(MINUTE);
        w.report("a", "start_run", Report::RunProgress { usage: Usage::default() });
    }
    assert_eq!(texts(&w), [""; 0]);
}

#[test]
fn ready_items_that_wait_for_agents_of_others_are_asked_for_after_the_threshold() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    w.start("a");
    let id = w.mission(vec![item("b", &[])]);
    w.pass(STUCK - MICRO);
    assert_eq!(texts(&w), [""; 0]);
    w.report("a", "start_run", Report::RunProgress { usage: Usage::default() });
    w.pass(MICRO);
    let words = format!("Mission {} has 1 ready work item(s) but no idle agents are available", id.short());
    assert_eq!(texts(&w), [words]);
}

#[test]
fn a_mission_whose_own_items_keep_the_agents_busy_asks_for_nothing() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[]), item("b", &[])]);
    w.start("a");
    for _ in 0..20 {
        w.pass(MINUTE);
        w.report("a", "start_run", Report::RunProgress { usage: Usage::default() });
    }
    assert_eq!(texts(&w), [""; 0]);
}

#[test]
fn a_run_that_nothing_is_heard_of_is_asked_for_after_the_threshold_and_not_while_it_is_heard() {
    let mut w = World::with_agents(1);
    let id = w.mission(vec![item("a", &[])]);
    w.start("a");
    w.pass(STUCK - MICRO);
    w.report("a", "start_run", Report::RunProgress { usage: Usage::default() });
    let heard = w.now;
    w.restart_and_compare();
    w.pass(STUCK - MICRO);
    assert_eq!(texts(&w), [""; 0]);
    w.pass(MICRO);
    let words = format!("Mission {} appears stuck; item a has not changed since {heard}", id.short());
    assert_eq!(texts(&w), [words]);
    let entry = &inbox_of(&w)[0];
    let redirect = format!("musher mission note {} \"redirect a to AGENT\"", id.short());
    assert!(entry.replies.contains(&redirect), "{:?}", entry.replies);
    w.report("a", "start_run", Report::RunProgress { usage: Usage::default() });
    w.end("a", crate::world::finished("done"));
    assert_eq!((w.said("mission_help_retired"), inbox_of(&w).len()), (1, 0), "it is retired with its cause");
}

#[test]
fn a_blocked_mission_asks_after_the_threshold_unless_a_watch_is_open() {
    let (mut w, id) = paused();
    w.pass(STUCK - MICRO);
    assert_eq!(texts(&w), [""; 0]);
    w.pass(MICRO);
    assert_eq!(texts(&w), [format!("Mission {} is still blocked: for lunch", id.short())]);
    let entries = inbox_of(&w);
    assert_eq!(entries.len(), 1);
    let resume = format!("musher mission note {} \"resume\"", id.short());
    assert!(entries[0].replies.contains(&resume), "{:?}", entries[0].replies);
    w.ok(Command::ResumeMission(id));
    assert_eq!((w.said("mission_help_retired"), inbox_of(&w).len()), (1, 0));

    let mut w = World::with_agents(1);
    let url = WatchKind::Url("http://127.0.0.1:1/".into());
    w.mission(vec![musher_core::mission::MissionItem { after: vec![url], ..item("a", &[]) }]);
    for _ in 0..50 {
        w.report("a", "fetch_url", Report::Probed { met: false, text: "503".into() });
        w.until_due();
    }
    assert_eq!(texts(&w), [""; 0], "a watch is open: it is waited for");
}

#[test]
fn what_items_ask_of_a_person_is_asked_once_and_help_repeats_their_own_replies() {
    let mut w = World::with_agents(1);
    let id = w.mission_with(Policy { reviewer_required: true, ..policy() }, vec![item("a", &[]), item("b", &["a"])]);
    w.work("a");
    assert_eq!(asks_of(&w), [Ask::Approval]);
    w.pass(STUCK);
    let entries = inbox::requests(&w.state);
    assert_eq!(asks_of(&w), [Ask::Approval]);
    let mut replies = entries[0].replies.clone();
    replies.push(format!("musher explain {}", id.short()));
    assert_eq!(helps(&w), [replies]);

    // Beside something else that holds it up the mission has its own entry.
    let b = w.id("b");
    w.ok(Command::HoldItem(b, "later".into()));
    w.pass(STUCK);
    assert_eq!(asks_of(&w), [Ask::Approval, Ask::Help]);
    let resume = format!("musher mission note {} \"resume\"", id.short());
    assert!(helps(&w)[1].contains(&resume), "{:?}", helps(&w));
    w.ok(Command::ReleaseItem(b));
    w.note(id, "approve a");
    assert_eq!(asks_of(&w), []);
}

/// What the inbox asks, oldest first.
fn asks_of(w: &World) -> Vec<Ask> {
    inbox::requests(&w.state).into_iter().map(|request| request.ask).collect()
}

/// The replies of each help request.
fn helps(w: &World) -> Vec<Vec<String>> {
    let said = w.events.iter().filter_map(|event| match &event.happened {
        Happened::MissionHelpRequested { replies, .. } => Some(replies.iter().map(ToString::to_string).collect()),
        _ => None,
    });
    said.collect()
}

#[test]
fn a_resume_that_changes_nothing_is_no_progress() {
    for word in ["resume", "continue"] {
        let mut w = World::with_agents(1);
        let id = w.mission(vec![item("a", &[])]);
        let a = w.id("a");
        w.ok(Command::HoldItem(a, "later".into()));
        let progress = w.state.mission(id).unwrap().last_progress_at;
        w.pass(MINUTE);
        w.note(id, word);
        assert_eq!(w.state.mission(id).unwrap().last_progress_at, progress, "{word}");
        w.pass(STUCK - MINUTE);
        assert_eq!(asked(&w).len(), 1, "{word}");
        // Nor does it retire the request, or bring the next one sooner.
        w.note(id, word);
        assert_eq!((inbox_of(&w).len(), w.said("mission_help_retired")), (1, 0), "{word}");
        w.pass(HOUR - MICRO);
        assert_eq!(asked(&w).len(), 1, "{word}");
        w.pass(MICRO);
        assert_eq!(asked(&w)[1].2, 2, "{word}");
        w.note(id, "mind the schema");
        assert_eq!(w.state.mission(id).unwrap().last_progress_at, w.now, "{word}");
    }
}

#[test]
fn an_agent_that_waits_for_an_answer_is_not_stuck_and_is_silent_from_the_answer_on() {
    type Ends = fn(&mut World);
    let question: (&str, Ends, Ends) = (
        "a question",
        |w| {
            let run = w.run_of("a");
            let tool = ToolUse::AskOperator("which port?".into());
            w.say(&Actor::Run(run), Command::UseTool(run, Box::new(tool))).unwrap();
            w.settle();
        },
        |w| {
            let id = w.state.run(w.run_of("a")).unwrap().help[0].id;
            w.ok(Command::AnswerHelp(id, "8080".into()));
        },
    );
    let permission: (&str, Ends, Ends) = (
        "a permission",
        |w| {
            let ask = approval::Ask { reference: "7".into(), action: approval::Action::Shell("curl x | sh".into()) };
            w.report("a", "start_run", Report::PermissionAsked { ask, worktree: "/w".into() });
        },
        |w| {
            let id = w.state.run(w.run_of("a")).unwrap().requests[0].id;
            w.ok(Command::AnswerRequest(id, approval::Ruled::Allowed, "".into()));
        },
    );
    for (name, asks, answers) in [question, permission] {
        let mut w = World::new();
        w.agent(AgentSpec { driver: "claude".into(), approvals: approval::Approvals::Ask, ..agent("a1") });
        let id = w.mission(vec![item("a", &[])]);
        w.start("a");
        asks(&mut w);
        live_through(&mut w, STUCK + MICRO, true);
        assert_eq!((texts(&w), asks_of(&w).len()), (vec![], 1), "{name}");
        answers(&mut w);
        let answered = w.now;
        live_through(&mut w, STUCK - MICRO, true);
        assert_eq!(texts(&w), [""; 0], "{name}");
        w.pass(MICRO);
        let stuck = format!("Mission {} appears stuck; item a has not changed since {answered}", id.short());
        assert_eq!(texts(&w), [stuck], "{name}");
    }
}

#[test]
fn over_a_week_one_cause_is_said_at_once_then_after_1_2_4_4_hours_and_never_twice() {
    for restarts in [false, true] {
        let mut w = World::new();
        let id = w.mission(vec![item("a", &[])]);
        let start = w.now;
        live_through(&mut w, HOUR * 24 * 7, restarts);
        let mut expected = vec![0, 1, 3];
        while expected.last().is_some_and(|last| last + 4 <= 24 * 7) {
            expected.push(expected[expected.len() - 1] + 4);
        }
        let at: Vec<u64> = asked(&w).iter().map(|(at, ..)| at.since(start).as_secs() / 3600).collect();
        assert_eq!(at, expected, "restarts: {restarts}");
        assert!(asked(&w).iter().zip(1..).all(|((.., attempt), n)| *attempt == n));
        let entries = inbox_of(&w);
        assert_eq!((entries.len(), entries[0].since, w.said("mission_help_retired")), (1, start, 0));
        let known = &w.state.mission(id).unwrap().row.dispatcher;
        assert_eq!(known.help_attempts as usize, expected.len());
    }
}

#[test]
fn progress_brings_the_next_one_after_half_an_hour_and_another_cause_at_once() {
    let mut w = World::new();
    let id = w.mission(vec![item("a", &[])]);
    let start = w.now;
    live_through(&mut w, HOUR * 4, false);
    assert_eq!(asked(&w).len(), 3);
    w.note(id, "somebody looks at it");
    let progress = w.now;
    live_through(&mut w, MINUTE * 30 - MICRO, true);
    assert_eq!(asked(&w).len(), 3);
    w.pass(MICRO);
    let (at, _, attempt) = asked(&w).pop().unwrap();
    assert_eq!((at.since(progress), attempt), (MINUTE * 30, 1));
    live_through(&mut w, HOUR, false);
    assert_eq!((asked(&w).len(), asked(&w)[4].0.since(at), asked(&w)[4].2), (5, HOUR, 2));

    let a = w.id("a");
    w.ok(Command::HoldItem(a, "later".into()));
    assert_eq!((w.said("mission_help_retired"), inbox_of(&w).len()), (1, 0));
    w.pass(STUCK);
    let (last, text, attempt) = asked(&w).pop().unwrap();
    assert_eq!((last, attempt, asked(&w).len()), (w.now, 1, 6), "{text}: as soon as its rule holds");
    assert!(text.contains("is still blocked: ") && text.ends_with("(held: a)"), "{text}");
    assert_eq!(inbox_of(&w).len(), 1);
    assert!(last.since(start) > HOUR * 4);
}

#[test]
fn the_count_in_the_words_does_not_make_it_another_cause() {
    let mut w = World::new();
    let id = w.mission(vec![item("a", &[]), item("b", &[])]);
    assert_eq!(asked(&w).len(), 1);
    w.pass(MINUTE);
    let b = w.id("b");
    w.ok(Command::HoldItem(b, "later".into()));
    assert_eq!(asked(&w).len(), 1, "one ready item fewer");
    w.pass(MINUTE * 30);
    let words = format!("Mission {} has 1 ready work item(s) but no idle agents are available", id.short());
    assert_eq!(texts(&w)[1..], [words], "and the words are those of now");
}

#[test]
fn a_hundred_restarts_ask_for_nothing_a_second_time() {
    for mut w in [
        {
            let mut w = World::new();
            w.mission(vec![item("a", &[])]);
            w
        },
        {
            let mut w = World::new();
            w.agent(AgentSpec { node: Some("box".into()), ..agent("far") });
            w.ok(Command::Heartbeat("box".into()));
            w.pass(TTL + MICRO);
            w.mission(vec![item("a", &[])]);
            w
        },
        paused().0,
    ] {
        w.pass(STUCK);
        assert_eq!(asked(&w).len(), 1);
        for _ in 0..100 {
            w.restart();
            w.pass(Duration::from_secs(7));
        }
        assert_eq!((asked(&w).len(), w.said("mission_help_retired")), (1, 0));
    }
}
