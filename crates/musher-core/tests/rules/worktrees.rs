//! Worktrees: one an item, kept for its retries, removed when nothing needs it.

use musher_core::command::{Command, Report};
use musher_core::item::{Phase, Worktree};
use musher_core::mission::MissionItem;
use musher_core::run::FailureClass;
use musher_core::wait::WaitCode;

use crate::world::{World, failed, finished, item};

#[test]
fn a_retry_goes_on_in_the_same_worktree() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    w.start("a");
    w.end("a", failed(FailureClass::Agent, "no"));
    w.until_due();
    assert_eq!((w.effects_of("a"), w.said("worktree_created")), (vec!["start_run"], 1));
}

#[test]
fn two_worktrees_never_share_a_slot_and_a_freed_one_is_used_again() {
    let mut w = World::with_agents(2);
    w.mission(vec![item("a", &[]), item("b", &[]), item("c", &["a"])]);
    assert_eq!((w.item("a").slot, w.item("b").slot), (Some(0), Some(1)));
    w.complete("a");
    // `c` began while the worktree of `a` was still there.
    assert_eq!((w.item("a").slot, w.item("c").slot), (None, Some(2)));
    w.mission(vec![item("d", &[])]);
    w.work("b");
    assert_eq!(w.item("d").slot, Some(0));
}

#[test]
fn a_worktree_that_is_being_removed_is_not_made_at_the_same_time() {
    let mut w = World::with_agents(1);
    w.mission(vec![MissionItem { max_retries: Some(1), ..item("a", &[]) }]);
    w.start("a");
    w.end("a", failed(FailureClass::Agent, "no"));
    let id = w.id("a");
    w.ok(Command::DiscardWorktree(id));
    w.refused(Command::DiscardWorktree(id));
    w.ok(Command::RetryItem(id));
    assert_eq!((w.phase("a"), w.waits("a")), (Phase::Ready, vec![WaitCode::Lease]));
    w.report("a", "remove_worktree", Report::WorktreeRemoved);
    assert_eq!((w.phase("a"), w.effects_of("a")), (Phase::Assigned, vec!["create_worktree"]));
}

#[test]
fn only_worktrees_of_ended_items_are_discarded() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    w.start("a");
    let id = w.id("a");
    w.refused(Command::DiscardWorktree(id));
    w.end("a", finished("done"));
    w.refused(Command::DiscardWorktree(id));
}

#[test]
fn an_item_that_was_given_up_while_its_worktree_was_made_leaves_none() {
    for skip in [false, true] {
        let mut w = World::with_agents(1);
        w.mission(vec![item("a", &[])]);
        let id = w.id("a");
        if skip {
            w.ok(Command::HoldItem(id, "wait".into()));
            w.ok(Command::SkipItem(id));
        } else {
            w.ok(Command::CancelItem(id));
        }
        // Its making is given up with it; how far it came nobody knows, so the removal is asked for at once.
        assert_eq!(w.effects_of("a"), ["remove_worktree"]);
    }
}

#[test]
fn a_worktree_that_cannot_be_made_counts_like_any_failure_of_the_setup() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    w.report("a", "create_worktree", Report::WorktreeFailed { lacking: None, error: "`setup` exited 1".into() });
    assert_eq!((w.phase("a"), w.item("a").attempts), (Phase::Ready, 1));
    assert_eq!((&w.item("a").worktree, w.lesson("a")), (&Worktree::None, "`setup` exited 1"));
    assert!(w.state.runs().is_empty());
}
