//! Overlaps that merges have shown: remembered, and not run at once again.

use musher_core::command::Command;
use musher_core::item::Phase;
use musher_core::merge::REMEMBERED;
use musher_core::mission::{MissionItem, Policy};
use musher_core::wait::WaitCode;

use crate::world::{World, conflict, item, policy, rebase_conflict, words};

/// A world of three agents in which `a` has landed while `b` was at work, and `b` conflicts with it in `src/lib.rs`.
fn after_a_conflict() -> World {
    let mut w = World::with_agents(3);
    let policy = Policy { max_parallel_items: 5, ..policy() };
    let declared = MissionItem { touches: words(&["src/*.rs"]), ..item("c", &["a"]) };
    let elsewhere = MissionItem { touches: words(&["docs/**"]), ..item("d", &["a"]) };
    w.mission_with(policy, vec![item("a", &[]), item("b", &[]), declared, elsewhere]);
    w.start("b");
    w.work("a");
    w.land("a");
    // Both wait for an agent: `a`'s and one more are free, and `b` has its own.
    assert_eq!((w.phase("c"), w.phase("d")), (Phase::Assigned, Phase::Assigned), "nobody knows of an overlap yet");
    let c = w.id("c");
    w.ok(Command::HoldItem(c, "not yet".into()));
    w.pass(std::time::Duration::from_secs(1));
    w.end("b", crate::world::finished("done"));
    let inspection = w.clean();
    w.inspect("b", inspection);
    w.gate("b", musher_core::command::GateVerdict::Green);
    w.prepare("b", conflict());
    w.rebase("b", rebase_conflict());
    w
}

#[test]
fn items_that_conflicted_do_not_run_beside_others_of_the_same_files() {
    let mut w = after_a_conflict();
    assert_eq!((w.phase("b"), &w.item("b").clashes), (Phase::Assigned, &words(&["src/lib.rs"])), "a resolver works");
    assert_eq!(w.item("a").clashes, words(&["src/lib.rs"]), "it can only have been the one that landed meanwhile");
    let c = w.id("c");
    w.ok(Command::ReleaseItem(c));
    assert_eq!(w.phase("c"), Phase::Ready);
    assert!(w.waits("c").contains(&WaitCode::TouchesOverlap), "{:?}", w.waits("c"));
    w.restart_and_compare();
    assert_eq!(w.phase("d"), Phase::Assigned, "other files are free");
    w.complete("b");
    assert_eq!(w.phase("c"), Phase::Assigned);
}

#[test]
fn what_follows_up_on_an_item_that_conflicted_is_kept_apart_as_well() {
    let mut w = after_a_conflict();
    let a = w.id("a");
    w.ok(Command::ReopenItem(a, "more".into()));
    assert_eq!(w.phase("a-followup"), Phase::Ready);
    assert!(w.waits("a-followup").contains(&WaitCode::TouchesOverlap), "{:?}", w.waits("a-followup"));
}

#[test]
fn the_queue_remembers_overlaps_for_the_next_plan_each_once() {
    let mut w = after_a_conflict();
    let known = w.state.merge_queue().overlaps.clone();
    assert_eq!((known.len(), &known[0].files), (1, &words(&["src/lib.rs"])));
    assert_eq!(known[0].items, words(&["b", "a"]));
    w.work("b");
    w.prepare("b", conflict());
    w.rebase("b", rebase_conflict());
    let again = &w.state.merge_queue().overlaps;
    assert_eq!((again.len(), &again[1].items), (2, &words(&["b"])), "nothing has landed since: it came from outside");
    assert!(again.len() <= REMEMBERED);
    w.restart_and_compare();
    let mission = w.item("b").mission;
    w.ok(Command::StopMission(mission, musher_core::effect::Stop::Kill));
    assert_eq!(w.state.merge_queue().overlaps.len(), 2, "it outlives its mission");
}
