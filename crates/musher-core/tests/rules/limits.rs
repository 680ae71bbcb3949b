//! An account that is used up for now: who waits for it, who goes to another, and who is asked.

use std::time::Duration;

use musher_core::agent::AgentSpec;
use musher_core::command::{Command, GateVerdict, Report};
use musher_core::inbox::{self, Ask};
use musher_core::item::{Fix, Phase, Worktree};
use musher_core::mission::{OnRateLimit, Policy};
use musher_core::run::{Outcome, Verdict};
use musher_core::time::Timestamp;
use musher_core::wait::{self, WaitCode};

use crate::world::{World, agent, clean, item, policy, verdict, words};

const HOUR: Duration = Duration::from_secs(3600);

fn on(name: &str, home: &str) -> AgentSpec {
    AgentSpec { driver: "claude".into(), home: Some(home.into()), ..agent(name) }
}

fn used_up(w: &mut World, key: &str, after: Duration) -> Timestamp {
    let reset = w.now.after(after);
    w.end(key, Outcome::RateLimited { resets_at: Some(reset), message: "429".into() });
    reset
}

/// `a` is at work on `z1`, in a session, and the account is used up for an hour; `a2` of another account is free.
fn limited(on_rate_limit: OnRateLimit) -> World {
    let mut w = World::new();
    w.agent(on("z1", "first"));
    w.mission_with(Policy { on_rate_limit, ..policy() }, vec![item("a", &[])]);
    w.agent(on("a2", "second"));
    w.start("a");
    w.report("a", "start_run", Report::SessionStarted { id: "s1".into() });
    used_up(&mut w, "a", HOUR);
    w
}

fn questions(w: &World) -> Vec<Vec<String>> {
    inbox::requests(&w.state).into_iter().filter(|r| r.ask == Ask::RateLimit).map(|r| r.replies).collect()
}

#[test]
fn by_default_an_item_waits_for_its_own_account_and_goes_on_in_its_session() {
    let mut w = limited(OnRateLimit::default());
    assert_eq!((w.phase("a"), w.waits("a"), w.item("a").attempts), (Phase::Ready, vec![WaitCode::RateLimited], 0));
    let waits = wait::of_item(&w.state, w.id("a"));
    assert_eq!(waits[0].until, w.state.agent_named("z1").unwrap().limited_until);
    assert!(waits[0].text.contains("musher item failover"), "{}", waits[0].text);
    assert_eq!(questions(&w), Vec::<Vec<String>>::new());
    w.pass(HOUR - Duration::from_micros(1));
    w.restart_and_compare();
    assert_eq!(w.phase("a"), Phase::Ready, "not a moment too early, and not on the other account");
    w.pass(Duration::from_micros(1));
    assert_eq!((w.phase("a"), w.agent_of("a")), (Phase::Assigned, "z1".into()));
    let run = w.stored_run(w.run_of("a"));
    assert_eq!((run.resumes.as_deref(), w.item("a").fix, w.effects_of("a")), (Some("s1"), None, vec!["start_run"]));
}

#[test]
fn with_failover_another_account_takes_it_at_once_in_the_same_worktree_and_is_told_what_was_done() {
    let w = limited(OnRateLimit::Failover);
    assert_eq!((w.phase("a"), w.agent_of("a"), w.item("a").attempts), (Phase::Assigned, "a2".into(), 0));
    assert_eq!((w.item("a").worktree.clone(), w.effects_of("a")), (Worktree::Ready, vec!["start_run"]));
    assert_eq!(w.stored_run(w.run_of("a")).resumes, None, "a session is of one account");
    assert!(matches!(w.item("a").fix, Some(Fix::HandedOver(_))));
    assert!(w.lesson("a").starts_with("z1 worked on this until its account was used up"), "{}", w.lesson("a"));
    assert_eq!(w.said("item_handed_over"), 1);
}

#[test]
fn with_failover_and_no_other_account_it_waits() {
    let mut w = World::new();
    w.agent(on("z1", "first"));
    w.agent(on("z2", "first"));
    w.mission_with(Policy { on_rate_limit: OnRateLimit::Failover, ..policy() }, vec![item("a", &[])]);
    w.start("a");
    used_up(&mut w, "a", HOUR);
    assert_eq!((w.phase("a"), w.waits("a")), (Phase::Ready, vec![WaitCode::RateLimited]));
    w.agent(on("late", "second"));
    assert_eq!((w.phase("a"), w.agent_of("a")), (Phase::Assigned, "late".into()));
}

#[test]
fn ask_names_the_choices_and_goes_on_by_itself_at_the_reset() {
    let mut w = limited(OnRateLimit::Ask);
    let (id, mission) = (w.id("a").short(), w.item("a").mission.short());
    let expected = vec![vec![
        format!("musher item failover {id}"),
        format!("musher mission note {mission} \"redirect a to AGENT\""),
        format!("musher explain {id}"),
    ]];
    assert_eq!((questions(&w), w.phase("a")), (expected.clone(), Phase::Ready));
    w.restart_and_compare();
    assert_eq!(questions(&w), expected);
    w.pass(HOUR);
    assert_eq!((w.phase("a"), w.agent_of("a"), questions(&w).len()), (Phase::Assigned, "z1".into(), 0));
}

#[test]
fn a_word_lets_another_account_take_what_waits() {
    for then in [OnRateLimit::Wait, OnRateLimit::Ask] {
        let mut w = limited(then);
        let id = w.id("a");
        w.ok(Command::FailOverItem(id));
        assert_eq!((w.phase("a"), w.agent_of("a"), questions(&w).len()), (Phase::Assigned, "a2".into(), 0));
        w.refused(Command::FailOverItem(id));

        let mut w = limited(then);
        let mission = w.item("a").mission;
        w.note(mission, "redirect a to a2");
        assert_eq!((w.phase("a"), w.agent_of("a")), (Phase::Assigned, "a2".into()));
    }
}

#[test]
fn the_later_of_two_resets_wins_in_either_order() {
    for (first, second) in [(HOUR, 2 * HOUR), (2 * HOUR, HOUR)] {
        let mut w = World::new();
        w.agent(on("z1", "first"));
        w.agent(on("z2", "first"));
        w.mission(vec![item("a", &[]), item("b", &[])]);
        w.agent(on("a2", "second"));
        w.start("a");
        w.start("b");
        let resets = [used_up(&mut w, "a", first), used_up(&mut w, "b", second)];
        let later = resets.into_iter().max();
        for name in ["z1", "z2"] {
            assert_eq!(w.state.agent_named(name).unwrap().limited_until, later, "{name}");
        }
        w.pass(2 * HOUR - Duration::from_micros(1));
        assert_eq!((w.phase("a"), w.phase("b")), (Phase::Ready, Phase::Ready));
        w.pass(Duration::from_micros(1));
        assert_eq!((w.phase("a"), w.phase("b")), (Phase::Assigned, Phase::Assigned));
    }
}

#[test]
fn a_reset_resumes_nothing_that_a_person_paused() {
    // The agent: it stays paused, and what it had goes to whoever may take it.
    let mut w = limited(OnRateLimit::Wait);
    let (first, second) = (w.agent_id("z1"), w.agent_id("a2"));
    w.ok(Command::PauseAgent(first));
    w.ok(Command::PauseAgent(second));
    w.pass(HOUR);
    assert_eq!((w.phase("a"), w.waits("a")), (Phase::Ready, vec![WaitCode::AgentPaused]));
    w.ok(Command::ResumeAgent(second));
    assert_eq!(w.agent_of("a"), "a2");

    // The mission.
    let mut w = limited(OnRateLimit::Wait);
    let mission = w.item("a").mission;
    w.ok(Command::PauseMission(mission, None, "lunch".into()));
    w.pass(HOUR);
    assert_eq!((w.phase("a"), w.waits("a")), (Phase::Ready, vec![WaitCode::Paused]));
    w.ok(Command::ResumeMission(mission));
    assert_eq!(w.agent_of("a"), "z1");

    // The item.
    let mut w = limited(OnRateLimit::Wait);
    let id = w.id("a");
    w.ok(Command::HoldItem(id, "wait".into()));
    w.pass(HOUR);
    assert_eq!(w.phase("a"), Phase::Held);
    w.ok(Command::ReleaseItem(id));
    assert_eq!(w.phase("a"), Phase::Assigned);
}

#[test]
fn an_agent_that_is_removed_or_resumed_is_not_waited_for() {
    let mut w = limited(OnRateLimit::Wait);
    let id = w.agent_id("z1");
    w.ok(Command::RemoveAgent(id));
    assert_eq!((w.phase("a"), w.agent_of("a")), (Phase::Assigned, "a2".into()));
    let mut w = limited(OnRateLimit::Wait);
    let id = w.agent_id("z1");
    w.ok(Command::ResumeAgent(id));
    assert_eq!((w.phase("a"), w.agent_of("a")), (Phase::Assigned, "z1".into()));
}

#[test]
fn an_account_that_is_used_up_before_its_run_was_seen_rests_too() {
    let mut w = World::new();
    w.agent(on("z1", "first"));
    w.mission(vec![item("a", &[])]);
    w.report("a", "create_worktree", Report::WorktreeReady { base_commit: "base".into() });
    let reset = used_up(&mut w, "a", HOUR);
    assert_eq!(w.state.agent_named("z1").unwrap().limited_until, Some(reset));
    assert_eq!((w.phase("a"), w.waits("a"), w.item("a").attempts), (Phase::Ready, vec![WaitCode::RateLimited], 0));
}

fn reviewer(name: &str, home: &str) -> AgentSpec {
    AgentSpec { roles: words(&["reviewer"]), ..on(name, home) }
}

/// `judge` reviews `a`, and its account is used up for an hour; `other` reviews on another account and is free.
fn review_limited(on_rate_limit: OnRateLimit) -> World {
    let mut w = World::with_agents(1);
    w.agent(reviewer("judge", "first"));
    w.mission_with(Policy { on_rate_limit, reviewer_required: true, ..policy() }, vec![item("a", &[])]);
    w.run("a");
    w.inspect("a", clean("own"));
    w.gate("a", GateVerdict::Green);
    w.agent(reviewer("other", "second"));
    assert_eq!(review_of(&w), Some("judge".into()));
    used_up(&mut w, "a", HOUR);
    w
}

/// Who reviews `a`.
fn review_of(w: &World) -> Option<String> {
    let run = w.state.run(w.item("a").review_run?)?;
    w.state.agent(run.agent).map(|agent| agent.spec.name.to_string())
}

#[test]
fn the_policy_holds_for_reviews_too() {
    let asks = |w: &World| {
        let id = w.id("a").short();
        let yes_or_no = [format!("musher approve {id}"), format!("musher reject {id} \"WHY\"")];
        let [yes, no] = yes_or_no;
        vec![vec![format!("musher item failover {id}"), yes, no, format!("musher explain {id}")]]
    };
    for (then, by, code, asked) in [
        (OnRateLimit::Wait, None, WaitCode::RateLimited, false),
        (OnRateLimit::Failover, Some("other"), WaitCode::Review, false),
        (OnRateLimit::Ask, None, WaitCode::RateLimited, true),
    ] {
        let mut w = review_limited(then);
        let expected = if asked { asks(&w) } else { Vec::new() };
        w.restart_and_compare();
        assert_eq!(
            (review_of(&w).as_deref(), w.waits("a"), questions(&w)),
            (by, vec![code], expected.clone()),
            "{then:?}"
        );
        assert_eq!((w.phase("a"), w.item("a").attempts), (Phase::Waiting, 0), "{then:?}: nothing is counted");
        w.pass(HOUR - Duration::from_micros(1));
        assert_eq!((review_of(&w).as_deref(), questions(&w)), (by, expected), "{then:?}: not a moment too early");
        w.pass(Duration::from_micros(1));
        let reviews = review_of(&w).expect("a reviewer at the reset");
        assert_eq!(reviews, by.unwrap_or("judge"), "{then:?}");
        assert_eq!((w.waits("a"), questions(&w).len()), (vec![WaitCode::Review], 0), "{then:?}");
        w.end("a", verdict(Verdict::Approved("fine".into())));
        assert_eq!(w.phase("a"), Phase::Merging, "{then:?}");
    }
}

#[test]
fn a_review_that_waits_says_for_whom_until_when_and_what_helps() {
    let w = review_limited(OnRateLimit::Ask);
    let (id, until) = (w.id("a").short(), w.state.agent_named("judge").and_then(|agent| agent.limited_until));
    let waits = wait::of_item(&w.state, w.id("a"));
    let at = until.map(|at| at.to_string()).unwrap_or_default();
    let text = format!(
        "the account of judge, its reviewer, rests until {at}, and it is reviewed anew then; `musher item failover {id}` \
         lets another account review it now, and a person may decide first: `musher approve {id}` or \
         `musher reject {id} \"WHY\"`"
    );
    assert_eq!((waits.len(), &waits[0].text, waits[0].until), (1, &text, until));
    let asked = inbox::requests(&w.state).into_iter().find(|request| request.ask == Ask::RateLimit).expect("a request");
    let text = format!(
        "The review of a waits: the account of judge is used up until {at}. Nothing has to be said: it is made anew then"
    );
    assert_eq!(asked.text, text);
}

#[test]
fn what_ends_the_wait_of_a_review() {
    type Do = fn(&mut World);
    let table: [(&str, Do, Option<&str>, Phase); 8] = [
        ("failover", |w| drop(w.ok(Command::FailOverItem(w.id("a")))), Some("other"), Phase::Waiting),
        ("resume", |w| drop(w.ok(Command::ResumeAgent(w.agent_id("judge")))), Some("judge"), Phase::Waiting),
        ("remove", |w| drop(w.ok(Command::RemoveAgent(w.agent_id("judge")))), Some("other"), Phase::Waiting),
        ("approve", |w| drop(w.ok(Command::ApproveItem(w.id("a"), "good".into()))), None, Phase::Merging),
        ("reject", |w| drop(w.ok(Command::RejectItem(w.id("a"), "bad".into()))), None, Phase::Assigned),
        ("hold", |w| drop(w.ok(Command::HoldItem(w.id("a"), "later".into()))), None, Phase::Held),
        ("cancel", |w| drop(w.ok(Command::CancelItem(w.id("a")))), None, Phase::Cancelled),
        ("skip", |w| drop(w.ok(Command::SkipItem(w.id("a")))), None, Phase::Done),
    ];
    for (what, doing, by, phase) in table {
        let mut w = review_limited(OnRateLimit::Ask);
        doing(&mut w);
        assert_eq!((review_of(&w).as_deref(), w.phase("a")), (by, phase), "{what}");
        assert_eq!((w.item("a").limited.clone(), questions(&w).len()), (None, 0), "{what}");
        w.restart_and_compare();
    }
    let mut w = review_limited(OnRateLimit::Ask);
    let mission = w.item("a").mission;
    w.note(mission, "redirect a to a1");
    assert_eq!((review_of(&w), questions(&w).len()), (None, 1), "that is about the work and not about its review");
}

#[test]
fn nothing_assigns_a_review_that_waits_for_its_account() {
    let mut w = review_limited(OnRateLimit::Wait);
    let (id, other) = (w.id("a"), w.agent_id("other"));
    w.refused(Command::AssignReview(id, other));
    assert_eq!(review_of(&w), None);
}
