//! Archiving: when an ended mission leaves memory, and that it leaves nothing behind.

use std::time::Duration;

use musher_core::command::{Command, Report};
use musher_core::config::ProjectSettings;
use musher_core::effect::Stop;
use musher_core::run::Outcome;

use crate::world::{World, item, settings};

const RETENTION: Duration = Duration::from_secs(4 * 3600);

#[test]
fn a_mission_leaves_memory_when_its_retention_is_over_and_not_before() {
    let mut w = World::with_agents(1);
    let id = w.mission(vec![item("a", &[])]);
    w.complete("a");
    assert_eq!(w.state.next_due(), Some(w.now.after(RETENTION)));
    w.pass(RETENTION - Duration::from_micros(1));
    assert!(w.state.mission(id).is_some());
    w.pass(Duration::from_micros(1));
    assert!(w.state.mission(id).is_none());
    assert_eq!((w.state.item_count(), w.state.next_due()), (0, None));
}

#[test]
fn a_mission_with_something_under_way_stays_until_that_is_over() {
    let mut w = World::with_agents(1);
    let id = w.mission(vec![item("a", &[])]);
    w.start("a");
    w.ok(Command::StopMission(id, Stop::Interrupt));
    w.pass(RETENTION);
    assert!(w.state.mission(id).is_some(), "its run is not dead yet");
    w.end("a", Outcome::Cancelled);
    assert!(w.state.mission(id).is_some(), "its worktree is there");
    w.report("a", "remove_worktree", Report::WorktreeRemoved);
    assert!(w.state.mission(id).is_none());
}

#[test]
fn the_retention_is_the_one_of_the_present_config() {
    for (seconds, later) in [(8 * 3600, true), (60, false)] {
        let mut w = World::with_agents(1);
        let id = w.mission(vec![item("a", &[])]);
        w.complete("a");
        let retention = ProjectSettings { done_retention_secs: seconds, ..settings() };
        w.ok(Command::Configure(Box::new(retention)));
        let due = w.state.next_due().unwrap().since(w.now);
        assert_eq!(due, Duration::from_secs(seconds));
        w.pass(RETENTION.min(due));
        assert_eq!(w.state.mission(id).is_some(), later);
        w.until_due();
        assert!(w.state.mission(id).is_none());
    }
}

#[test]
fn a_mission_that_has_not_ended_is_never_archived() {
    let mut w = World::new();
    let id = w.mission(vec![item("a", &[])]);
    w.pass(RETENTION * 100);
    assert!(w.state.mission(id).is_some());
}
