//! What operators do to items: hold, release, skip, cancel, retry, stop a run.

use musher_core::command::{Command, Inspection, Report};
use musher_core::effect::Stop;
use musher_core::item::{ItemState, Phase, Worktree};
use musher_core::mission::{MissionItem, MissionState, Policy};
use musher_core::run::{FailureClass, Outcome};
use musher_core::wait::WaitCode;

use crate::world::{World, failed, finished, item};

/// A world whose item `a` is in this phase; `b` depends on it, and `pending` is `b`.
fn with_item_in(phase: Phase) -> (World, &'static str) {
    with_more_and_item_in(phase, Vec::new())
}

/// The same beside other items of the mission.
fn with_more_and_item_in(phase: Phase, more: Vec<MissionItem>) -> (World, &'static str) {
    let mut w = World::with_agents(1);
    let required = Policy { reviewer_required: phase == Phase::Waiting, ..Policy::default() };
    let mut items = vec![MissionItem { max_retries: Some(3), ..item("a", &[]) }, item("b", &["a"])];
    items.extend(more);
    w.mission_with(required, items);
    let id = w.id("a");
    match phase {
        Phase::Pending => return (w, "b"),
        Phase::Assigned => {}
        Phase::Ready => {
            w.start("a");
            w.end("a", failed(FailureClass::Agent, "no"));
        }
        Phase::Running => w.start("a"),
        Phase::Verifying => w.run("a"),
        Phase::Waiting | Phase::Merging => w.work("a"),
        Phase::Blocked => {
            for _ in 0..3 {
                w.run("a");
                w.inspect("a", Inspection::Empty);
                w.until_due();
            }
        }
        Phase::Failed => {
            for _ in 0..3 {
                w.start("a");
                w.end("a", failed(FailureClass::Agent, "no"));
                w.until_due();
            }
        }
        Phase::Held => {
            w.ok(Command::HoldItem(id, "first".into()));
        }
        Phase::Cancelled => {
            w.ok(Command::CancelItem(id));
        }
        Phase::Done => w.complete("a"),
        Phase::MergeFailed => unreachable!("nothing rests there"),
    }
    assert_eq!(w.phase("a"), phase);
    (w, "a")
}

/// Every phase that an item can rest in, with what operators make of it; `.` is refused.
const WISHES: &str = "
    state     hold  skip      cancel    retry    freeze    demote  supersede reopen
    pending   held  done      cancelled .        pending   .       cancelled .
    ready     held  done      cancelled .        ready     pending cancelled .
    assigned  held  .         cancelled .        ready     pending cancelled .
    running   held  .         cancelled .        running   pending cancelled .
    verifying held  .         cancelled .        verifying pending cancelled .
    waiting   held  done      cancelled .        waiting   pending cancelled .
    merging   held  .         cancelled .        merging   pending cancelled .
    blocked   held  done      cancelled assigned blocked   pending cancelled .
    held      .     done      cancelled .        .         pending cancelled .
    failed    .     failed    cancelled assigned .         .       cancelled .
    cancelled .     cancelled .         .        .         .       .         .
    done      .     .         .         .        .         .       .         done";

#[test]
fn every_phase_answers_every_wish_as_the_table_says_or_changes_nothing() {
    let mut lines = WISHES.lines().skip(2).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let phases = Phase::ALL.iter().filter(|phase| **phase != Phase::MergeFailed).count();
    assert_eq!(lines.clone().count(), phases, "every phase has its row");
    for row in &mut lines {
        let phase = Phase::ALL.into_iter().find(|phase| phase.name() == row[0]).unwrap();
        for (n, expected) in row[1..].iter().enumerate() {
            // No agent may take it, so that it is in nobody's way.
            let other = MissionItem { pin: Some("nobody".into()), ..item("other", &[]) };
            let more = if n == 6 { vec![other] } else { Vec::new() };
            let (mut w, key) = with_more_and_item_in(phase, more);
            let id = w.id(key);
            let wish = match n {
                0 => Command::HoldItem(id, "wait".into()),
                1 => Command::SkipItem(id),
                2 => Command::CancelItem(id),
                3 => Command::RetryItem(id),
                4 => Command::FreezeItem(id, "wait".into()),
                5 => Command::DemoteItem(id, "later".into()),
                6 => Command::SupersedeItem(id, w.id("other")),
                _ => Command::ReopenItem(id, "one more thing".into()),
            };
            if *expected == "." {
                let refused = w.refused(wish.clone());
                assert_eq!(refused.code(), "refused", "{wish:?} in {phase:?}");
                assert!(refused.to_string().contains(phase.name()), "it names the state: {refused}");
                assert!(refused.fix().is_some(), "{wish:?} in {phase:?} says what would help");
            } else {
                w.ok(wish.clone());
                assert_eq!(w.phase(key).name(), *expected, "{wish:?} in {phase:?}");
                w.restart_and_compare();
            }
        }
    }
}

#[test]
fn a_released_item_is_where_it_was_and_what_was_under_way_begins_anew() {
    let cases = [
        (Phase::Pending, Phase::Pending),
        (Phase::Ready, Phase::Assigned),
        (Phase::Assigned, Phase::Assigned),
        (Phase::Verifying, Phase::Verifying),
        (Phase::Waiting, Phase::Waiting),
        (Phase::Merging, Phase::Merging),
        (Phase::Blocked, Phase::Blocked),
    ];
    for (phase, back) in cases {
        let (mut w, key) = with_item_in(phase);
        let id = w.id(key);
        let reason = w.item(key).reason();
        w.refused(Command::ReleaseItem(id));
        w.ok(Command::HoldItem(id, "wait".into()));
        assert_eq!((w.phase(key), w.waits(key)), (Phase::Held, vec![WaitCode::Held]));
        let stays = w.effects_of(key);
        assert!(stays.iter().all(|e| *e == "create_worktree"), "{stays:?} of {phase:?}");
        w.ok(Command::ReleaseItem(id));
        assert_eq!(w.phase(key), back, "released from {phase:?}");
        if phase == Phase::Blocked {
            assert_eq!(w.item(key).reason(), reason, "held and released is not freed");
        }
        if back == Phase::Verifying {
            assert_eq!(w.effects_of(key), ["inspect"]);
        }
    }
}

#[test]
fn a_second_run_never_starts_while_an_earlier_one_lives() {
    for started in [true, false] {
        let mut w = World::with_agents(3);
        w.mission(vec![item("a", &[])]);
        w.report("a", "create_worktree", Report::WorktreeReady { base_commit: "base".into() });
        if started {
            w.report("a", "start_run", Report::RunStarted);
        }
        let (id, first) = (w.id("a"), w.run_of("a"));
        w.ok(Command::HoldItem(id, "wait".into()));
        w.ok(Command::ReleaseItem(id));
        assert_eq!((w.phase("a"), w.waits("a")), (Phase::Ready, vec![WaitCode::Lease]));
        assert_eq!(w.effects_of("a"), ["start_run", "stop_run"]);
        // It finished at the very moment at which it was to stop: that is too late to count.
        w.end("a", finished("done after all"));
        assert_eq!((w.phase("a"), w.effects_of("a")), (Phase::Assigned, vec!["start_run"]));
        assert_ne!(w.run_of("a"), first);
    }
}

#[test]
fn a_hold_before_the_host_starts_gives_the_lease_back_and_the_worktree_serves_the_next() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    let id = w.id("a");
    w.ok(Command::HoldItem(id, "wait".into()));
    assert!(w.state.runs().is_empty());
    w.ok(Command::ReleaseItem(id));
    assert_eq!((w.phase("a"), w.effects_of("a")), (Phase::Assigned, vec!["create_worktree"]), "it is asked for once");
    w.complete("a");
    assert_eq!(w.phase("a"), Phase::Done);
}

#[test]
fn a_cancelled_item_keeps_its_worktree_until_its_run_is_dead() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    w.start("a");
    let id = w.id("a");
    w.ok(Command::CancelItem(id));
    assert_eq!((w.phase("a"), w.effects_of("a")), (Phase::Cancelled, vec!["start_run", "stop_run"]));
    w.end("a", Outcome::Cancelled);
    assert_eq!(w.effects_of("a"), ["remove_worktree"]);
    w.report("a", "remove_worktree", Report::WorktreeKept { reason: "2 unmerged commits".into() });
    assert_eq!(w.item("a").worktree, Worktree::Kept("2 unmerged commits".into()));
    w.ok(Command::DiscardWorktree(id));
    w.report("a", "remove_worktree", Report::WorktreeRemoved);
    assert_eq!((&w.item("a").worktree, w.item("a").slot), (&Worktree::None, None));
}

#[test]
fn dependents_of_what_failed_or_was_cancelled_wait_until_it_is_skipped() {
    for phase in [Phase::Failed, Phase::Cancelled] {
        let (mut w, _) = with_item_in(phase);
        let (id, mission) = (w.id("a"), w.item("a").mission);
        assert_eq!((w.phase("b"), w.mission_state(mission)), (Phase::Pending, MissionState::Blocked));
        assert!(w.blocked_reason(mission).contains(&format!("{}: a", phase.name())), "{}", w.blocked_reason(mission));
        w.ok(Command::SkipItem(id));
        assert_eq!((w.phase("b"), w.mission_state(mission)), (Phase::Assigned, MissionState::Running));
        w.refused(Command::SkipItem(id));
        w.refused(Command::RetryItem(id));
        w.complete("b");
        assert_eq!(w.mission_state(mission), MissionState::Completed, "what was skipped counts as satisfied");
    }
}

#[test]
fn nothing_is_retried_in_a_mission_that_has_ended() {
    let (mut w, _) = with_item_in(Phase::Failed);
    let (id, mission) = (w.id("a"), w.item("a").mission);
    w.ok(Command::StopMission(mission, Stop::Interrupt));
    let refused = w.refused(Command::RetryItem(id));
    assert_eq!(refused.fix().unwrap(), "its mission has ended; start a new one");
}

#[test]
fn a_stopped_run_is_asked_once_and_again_only_more_sternly() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    let run = w.run_of("a");
    w.refused(Command::StopRun(run, Stop::Interrupt));
    w.start("a");
    for (how, asked) in
        [(Stop::Interrupt, 1), (Stop::Interrupt, 1), (Stop::Kill, 2), (Stop::Interrupt, 2), (Stop::Kill, 2)]
    {
        w.ok(Command::StopRun(run, how));
        let stops = w.effects_of("a").iter().filter(|e| **e == "stop_run").count();
        assert_eq!((stops, w.said("run_stopping")), (asked, asked), "{how:?}");
    }
    w.report("a", "stop_run", Report::RunStopped);
    assert_eq!(w.phase("a"), Phase::Running, "only the run's own end ends it");
    w.end("a", Outcome::Cancelled);
    assert_eq!((w.phase("a"), w.item("a").attempts, w.effects_of("a")), (Phase::Assigned, 0, vec!["start_run"]));
    w.refused(Command::StopRun(run, Stop::Kill));
}

#[test]
fn a_held_item_says_whose_words_hold_it() {
    let (mut w, _) = with_item_in(Phase::Running);
    let id = w.id("a");
    w.ok(Command::HoldItem(id, "until the API is decided".into()));
    assert!(matches!(&w.item("a").state, ItemState::Held { resume_to: Phase::Ready, .. }));
    assert!(musher_core::wait::of_item(&w.state, id)[0].text.starts_with("until the API is decided"));
}
