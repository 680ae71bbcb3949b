//! Superseding: another item does the work of one; and a reviewer's no to a whole item.

use musher_core::command::Command;
use musher_core::item::{Cancelled, ItemState, Phase};
use musher_core::mission::{MissionState, Policy};

use crate::world::{World, item};

#[test]
fn what_depends_on_a_superseded_item_waits_for_the_other_one() {
    let mut w = World::with_agents(1);
    let mission = w.mission(vec![item("a", &[]), item("b", &[]), item("c", &["a", "b"]), item("d", &["a"])]);
    w.start("a");
    let (a, b) = (w.id("a"), w.id("b"));
    w.ok(Command::SupersedeItem(a, b));
    w.restart_and_compare();
    assert_eq!(w.item("a").state, ItemState::Cancelled(Cancelled::Superseded(b)));
    assert_eq!(w.item("a").reason().unwrap(), format!("superseded by {}", b.short()));
    assert_eq!((&*w.item("c").depends_on, &*w.item("d").depends_on), (&[b][..], &[b][..]), "each once");
    w.end("a", musher_core::run::Outcome::Cancelled);
    assert_eq!(w.effects_of("a"), ["remove_worktree"], "it stays when it holds something unique");
    w.report("a", "remove_worktree", musher_core::command::Report::WorktreeKept { reason: "1 commit".into() });
    assert_eq!((w.phase("c"), w.phase("d")), (Phase::Pending, Phase::Pending));
    w.complete("b");
    w.complete("c");
    w.complete("d");
    assert_eq!(w.mission_state(mission), MissionState::Completed, "nothing is left of the superseded one to do");
}

#[test]
fn an_item_that_is_done_already_may_stand_in_at_once() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("b", &[]), item("a", &[]), item("c", &["a"])]);
    w.complete("b");
    let (a, b) = (w.id("a"), w.id("b"));
    w.ok(Command::SupersedeItem(a, b));
    assert_eq!(w.phase("c"), Phase::Assigned);
}

#[test]
fn a_supersession_that_makes_no_sense_is_refused_by_name() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[]), item("b", &["a"]), item("c", &["b"]), item("gone", &[])]);
    let (a, c, gone) = (w.id("a"), w.id("c"), w.id("gone"));
    let same = w.refused(Command::SupersedeItem(a, a));
    assert!(same.to_string().contains("it is the same"), "{same}");
    let cycle = w.refused(Command::SupersedeItem(a, c));
    assert!(cycle.to_string().contains("c → b → a"), "{cycle}");
    w.ok(Command::CancelItem(gone));
    let given_up = w.refused(Command::SupersedeItem(a, gone));
    assert!(given_up.to_string().contains("`gone` while it is cancelled"), "{given_up}");
    w.mission(vec![item("far", &[])]);
    let far = w.id("far");
    let other = w.refused(Command::SupersedeItem(a, far));
    assert!(other.to_string().contains("another mission"), "{other}");
}

#[test]
fn an_item_that_is_turned_down_for_good_is_not_mended() {
    let mut w = World::with_agents(1);
    w.mission_with(Policy::default(), vec![item("a", &[])]);
    let id = w.id("a");
    w.refused(Command::TurnDownItem(id, "we do not want this".into()));
    w.work("a");
    w.ok(Command::TurnDownItem(id, "we do not want this".into()));
    assert_eq!(w.item("a").state, ItemState::Cancelled(Cancelled::Rejected));
    assert_eq!((w.said("review_rejected"), w.effects_of("a")), (1, vec!["remove_worktree"]));
}
