//! Notes: every word of the table, what it does, and what it is told where it does not fit.

use musher_core::change::TextKey;
use musher_core::command::{Command, Refused, Report};
use musher_core::event::Happened;
use musher_core::item::{Phase, Priority};
use musher_core::mission::{MissionState, Policy};
use musher_core::run::Outcome;

use crate::world::{World, ann, failed, item};

#[test]
fn pause_and_hold_pause_with_the_senders_words_and_resume_and_retry_go_on() {
    for (pause, resume) in [
        ("pause for lunch", "resume"),
        ("HOLD for lunch", "Retry!"),
        ("hold for lunch", "continue"),
        ("pause for lunch", "recheck"),
    ] {
        let mut w = World::with_agents(1);
        let id = w.mission(vec![item("a", &[])]);
        w.start("a");
        assert_eq!(w.note(id, pause), "paused");
        assert_eq!(
            (w.mission_state(id), w.blocked_reason(id)),
            (MissionState::Paused, "Paused by ann: for lunch".into())
        );
        assert_eq!(w.effects_of("a"), ["start_run"]);
        assert!(w.note(id, resume).starts_with("resumed"));
        assert_eq!((w.mission_state(id), w.said("note_applied")), (MissionState::Running, 2));
    }
}

#[test]
fn pause_now_interrupts_what_runs() {
    let mut w = World::with_agents(1);
    let id = w.mission(vec![item("a", &[])]);
    w.start("a");
    w.note(id, "pause now");
    assert_eq!(w.effects_of("a"), ["start_run", "stop_run"]);
}

#[test]
fn resume_frees_what_is_blocked_and_continue_does_not() {
    for (word, phase) in [("resume", Phase::Assigned), ("continue", Phase::Blocked)] {
        let mut w = World::with_agents(1);
        let id = w.mission(vec![item("a", &[])]);
        for _ in 0..3 {
            w.run("a");
            w.inspect("a", musher_core::command::Inspection::Empty);
            w.until_due();
        }
        assert_eq!((w.phase("a"), w.mission_state(id)), (Phase::Blocked, MissionState::Blocked));
        w.note(id, word);
        assert_eq!(w.phase("a"), phase, "{word}");
    }
}

#[test]
fn a_word_that_does_not_fit_the_state_is_ignored_with_an_event_that_names_the_sender_and_the_state() {
    let mut w = World::with_agents(1);
    let id = w.mission(vec![item("a", &[])]);
    w.complete("a");
    let before = w.observed();
    for word in ["resume", "continue", "pause", "stop", "anything else"] {
        let answer = w.note(id, word);
        assert!(answer.ends_with("from ann while mission was completed"), "{answer}");
        let last = w.events.last().unwrap();
        assert!(matches!(&last.happened, Happened::CommandIgnored { text } if **text == *answer));
    }
    assert_eq!(w.note(id, "resume"), "ignored resume from ann while mission was completed");
    assert_eq!(w.observed(), before);
}

#[test]
fn redirect_moves_an_item_and_stops_its_present_run() {
    let mut w = World::with_agents(2);
    let id = w.mission(vec![item("a", &[])]);
    w.start("a");
    assert_eq!(w.note(id, "redirect a to a2 because it knows"), "a goes to a2");
    assert_eq!(w.effects_of("a"), ["start_run", "stop_run"]);
    w.end("a", Outcome::Cancelled);
    assert_eq!((w.phase("a"), w.agent_of("a"), w.item("a").attempts), (Phase::Assigned, "a2".into(), 0));
}

#[test]
fn redirect_to_the_agent_that_has_the_item_stops_nothing() {
    let mut w = World::with_agents(2);
    let id = w.mission(vec![item("a", &[]), item("b", &[])]);
    w.start("a");
    assert_eq!(w.note(id, "redirect a to a1"), "a1 has a already, and keeps it");
    assert_eq!((w.effects_of("a"), w.item("a").pin.as_deref()), (vec!["start_run"], Some("a1")));
    // One that is not started yet is not taken back either.
    assert_eq!(w.note(id, "redirect b to a2."), "a2 has b already, and keeps it");
    assert_eq!((w.phase("b"), w.said("item_ready")), (Phase::Assigned, 2));
    // One that was already sent elsewhere comes back.
    w.note(id, "redirect a to a2");
    assert_eq!(w.note(id, "redirect a to a1, because it knows"), "a goes to a1");
    w.end("a", Outcome::Cancelled);
    assert_eq!((w.phase("a"), w.agent_of("a")), (Phase::Assigned, "a1".into()));
}

#[test]
fn redirect_and_priority_are_refused_where_nothing_is_left_to_decide() {
    type Begin = fn(&mut World);
    let cases: [(&str, &[&str], Begin); 4] = [
        ("mission was completed", &["a"], |w| w.complete("a")),
        ("item was done", &["a", "b"], |w| w.complete("a")),
        ("item was merging", &["a", "b"], |w| w.work("a")),
        ("item was cancelled", &["a", "b"], |w| drop(w.ok(Command::CancelItem(w.id("a"))))),
    ];
    for (met, items, begin) in cases {
        let mut w = World::with_agents(2);
        let id = w.mission(items.iter().map(|key| item(key, &[])).collect());
        begin(&mut w);
        let before = (w.observed(), w.said("note_applied"));
        for (note, verb) in [("redirect a to a2", "redirect"), ("priority a high", "priority")] {
            let answer = w.note(id, note);
            assert_eq!(answer, format!("ignored {verb} from ann while {met}"));
            let last = w.events.last().unwrap();
            assert!(matches!(&last.happened, Happened::CommandIgnored { text } if **text == *answer), "{last:?}");
        }
        assert_eq!((w.observed(), w.said("note_applied")), before, "{met}");
    }
}

#[test]
fn a_reviewers_word_without_an_item_is_answered_with_what_is_missing() {
    let mut w = World::with_agents(1);
    let id = w.mission_with(Policy::default(), vec![item("a", &[])]);
    for (note, fix) in [
        ("approve", "write `approve ITEM`; no item of the mission waits for it now"),
        ("Reject.", "write `reject ITEM`; no item of the mission waits for it now"),
    ] {
        assert_eq!(w.refused(Command::NoteMission(id, note.into())).fix().as_deref(), Some(fix));
    }
    w.work("a");
    let refused = w.refused(Command::NoteMission(id, "approve!".into()));
    assert_eq!(refused.fix().as_deref(), Some("write `approve a`, or another item's name"));
}

#[test]
fn redirect_before_the_agent_started_moves_the_item_at_once() {
    let mut w = World::with_agents(2);
    let id = w.mission(vec![item("a", &[])]);
    w.note(id, "redirect a to a2");
    assert_eq!(
        (w.phase("a"), w.agent_of("a"), w.effects_of("a")),
        (Phase::Assigned, "a2".into(), vec!["create_worktree"])
    );
    w.report("a", "create_worktree", Report::WorktreeReady { base_commit: "base".into() });
    assert_eq!(w.state.runs().len(), 1);
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest_and_changes_nothing() {
    let mut w = World::with_agents(2);
    let id = w.mission(vec![item("schema", &[])]);
    for (note, fix) in [
        ("redirect shcema to a2", "did you mean `schema`?"),
        ("redirect schema to a22", "did you mean `a2`?"),
        ("priority schemas high", "did you mean `schema`?"),
        ("approve schem fine", "did you mean `schema`?"),
        ("reject schem bad", "did you mean `schema`?"),
    ] {
        let refused = w.refused(Command::NoteMission(id, note.into()));
        assert_eq!(refused.fix().as_deref(), Some(fix), "{note}");
    }
    for note in ["", "  \n"] {
        w.refused(Command::NoteMission(id, note.into()));
    }
    w.refused(Command::NoteMission(id, "x".repeat(musher_core::note::LONGEST + 1).into()));
}

#[test]
fn approve_and_reject_are_a_reviewers_words() {
    for (note, phase) in [("approve a: looks right", Phase::Merging), ("reject a no tests", Phase::Assigned)] {
        let mut w = World::with_agents(1);
        let id = w.mission_with(Policy::default(), vec![item("a", &[])]);
        assert!(w.note(id, note).ends_with("from ann while item was assigned"));
        w.work("a");
        w.note(id, note);
        assert_eq!(w.phase("a"), phase, "{note}");
        if phase == Phase::Assigned {
            assert_eq!(w.lesson("a"), "no tests");
        }
    }
}

#[test]
fn stop_and_cancel_give_the_mission_up() {
    for word in ["stop", "Cancel."] {
        let mut w = World::with_agents(1);
        let id = w.mission(vec![item("a", &[])]);
        w.note(id, word);
        assert_eq!((w.mission_state(id), w.phase("a")), (MissionState::Cancelled, Phase::Cancelled));
    }
}

#[test]
fn priority_reorders_and_an_unknown_word_says_which_there_are() {
    let mut w = World::new();
    let id = w.mission(vec![item("a", &[])]);
    w.note(id, "priority a: HIGH please");
    assert_eq!((w.item("a").priority, w.said("item_reprioritised")), (Priority::High, 1));
    let refused = w.refused(Command::NoteMission(id, "priority a urgent".into()));
    assert!(matches!(refused, Refused::Invalid { .. }));
}

#[test]
fn anything_else_is_kept_with_the_senders_name_for_the_agents() {
    let mut w = World::with_agents(1);
    let id = w.mission(vec![item("a", &[])]);
    w.say(&ann(), Command::NoteMission(id, "mind the migration".into())).unwrap();
    let kept: Vec<_> = w.texts.iter().filter(|(key, _)| matches!(key, TextKey::Note(m, _) if *m == id)).collect();
    assert_eq!((kept.len(), kept[0].1.as_str()), (1, "ann: mind the migration"));
}

#[test]
fn a_priority_that_changes_during_a_backoff_does_not_end_it() {
    let mut w = World::with_agents(1);
    let id = w.mission(vec![item("a", &[])]);
    w.start("a");
    w.end("a", failed(musher_core::run::FailureClass::Agent, "no"));
    w.note(id, "priority a critical");
    assert_eq!(w.phase("a"), Phase::Ready);
    w.until_due();
    assert_eq!(w.phase("a"), Phase::Assigned);
}
