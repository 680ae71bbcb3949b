//! Batches of the merge queue: formed, judged, bisected, landed a prefix at a time, formed anew.

use musher_core::command::{Command, Cut, GateVerdict, Landing, Preparation, Report};
use musher_core::config::ProjectSettings;
use musher_core::effect::{EffectKind, GateOn};
use musher_core::inbox::{self, Ask};
use musher_core::item::{ItemState, MergeStage, Phase};
use musher_core::mission::MissionItem;
use musher_core::wait::{self, WaitCode};

use crate::world::{World, item, link, red, settings, words};

/// So many items wait while a batch of one, `x`, is being made; so they come together in the next.
fn waiting(settings: ProjectSettings, items: Vec<MissionItem>) -> World {
    let mut w = World::with_settings(settings);
    let keys: Vec<String> = items.iter().map(|item| item.key.to_string()).collect();
    for n in 0..=items.len() {
        w.agent(crate::world::agent(&format!("a{n}")));
    }
    w.mission(vec![item("x", &[])]);
    w.mission(items);
    w.work("x");
    for key in &keys {
        w.work(key);
    }
    w.land("x");
    w
}

fn three() -> World {
    waiting(settings(), ["a", "b", "c"].iter().map(|key| item(key, &[])).collect())
}

/// All merge cleanly: `a` as tree A, `b` on it as tree AB, and so on.
fn all(trees: &[&str]) -> Preparation {
    Preparation { base: link("base"), links: trees.iter().map(|tree| link(tree)).collect(), cut: None }
}

/// The commits under test now.
fn tested(w: &World) -> Vec<String> {
    let gate = |kind: &EffectKind| match kind {
        EffectKind::Gate { on: GateOn::Merge { commit, slot }, .. } => Some(format!("{commit} in {slot}")),
        _ => None,
    };
    w.state.effects().filter_map(|effect| gate(&effect.kind)).collect()
}

fn phases(w: &World) -> [Phase; 3] {
    ["a", "b", "c"].map(|key| w.phase(key))
}

use Phase::{Assigned, Done, Merging};

#[test]
fn what_waits_together_is_tested_once_and_lands_in_one_move() {
    let mut w = three();
    let gates = w.said("gate_started");
    w.prepare("a", all(&["A", "AB", "ABC"]));
    assert_eq!((tested(&w), w.said("gate_started")), (vec!["cABC in 0".to_owned()], gates + 1));
    w.gate("c", GateVerdict::Green);
    let lands = w.state.effects().filter(|e| matches!(e.kind, EffectKind::Land { .. })).count();
    assert_eq!((lands, w.effects_of("c")), (1, vec!["land"]));
    w.landing("c", Landing::Landed);
    assert_eq!(phases(&w), [Done; 3]);
    let merged = ["a", "b", "c"].map(|key| w.item(key).merged.clone().unwrap());
    assert_eq!(merged.map(String::from), ["cA", "cAB", "cABC"], "each has its own commit");
    assert!(w.state.batch().is_none() && w.state.queue().next().is_none());
}

#[test]
fn a_red_batch_is_bisected_its_good_prefix_lands_early_and_the_culprit_is_ejected_with_the_gates_output() {
    let mut w = three();
    w.prepare("a", all(&["A", "AB", "ABC"]));
    w.gate("c", red("three"));
    assert_eq!(tested(&w), ["cA in 0"]);
    w.gate("a", GateVerdict::Green);
    assert_eq!(
        (w.effects_of("a"), tested(&w)),
        (vec!["land"], vec!["cAB in 0".to_owned()]),
        "it lands while the search goes on"
    );
    w.restart_and_compare();
    w.gate("b", red("b broke it"));
    w.gate("b", red("b broke it"));
    assert_eq!(w.phase("b"), Merging, "not before what it stands on has landed");
    w.restart_and_compare();
    w.landing("a", Landing::Landed);
    assert_eq!((phases(&w), w.item("b").merge_failures), ([Done, Assigned, Merging], 1));
    assert!(w.lesson("b").contains("b broke it"), "{}", w.lesson("b"));
    // What stood on it is made anew without it, and at once.
    assert_eq!((w.effects_of("c"), w.item("c").merge_failures), (vec!["prepare_merge"], 0));
}

#[test]
fn a_batch_says_where_each_member_stands_and_the_queue_remembers_who_was_ejected() {
    let mut w = three();
    let stands = |w: &World| {
        let batch = w.state.batch().unwrap();
        (0..batch.members.len()).map(|at| batch.stand(at).name()).collect::<Vec<_>>()
    };
    assert_eq!(stands(&w), ["forming"; 3]);
    w.prepare("a", all(&["A", "AB", "ABC"]));
    assert_eq!(stands(&w), ["untested"; 3]);
    w.gate("c", red("no"));
    assert_eq!(stands(&w), ["suspect"; 3]);
    w.gate("a", GateVerdict::Green);
    assert_eq!(stands(&w), ["landing", "suspect", "suspect"]);
    w.landing("a", Landing::Landed);
    assert_eq!(stands(&w), ["landed", "suspect", "suspect"]);
    w.gate("b", red("b is bad"));
    assert_eq!(stands(&w), ["landed", "suspect", "after"]);
    assert_eq!(w.state.merge_queue().ejected, []);
    w.gate("b", red("b is bad"));
    let b = w.id("b");
    let ejected = &w.state.merge_queue().ejected;
    assert_eq!(ejected.iter().map(|ejected| ejected.item).collect::<Vec<_>>(), [b]);
    w.restart_and_compare();
}

#[test]
fn a_gate_that_is_red_and_then_green_on_the_same_tree_is_flaky_and_ejects_nobody() {
    let mut w = three();
    w.prepare("a", all(&["A", "AB", "ABC"]));
    w.gate("c", red("flaked"));
    w.gate("a", GateVerdict::Green);
    w.gate("b", GateVerdict::Green);
    assert_eq!(tested(&w), ["cABC in 0"], "the plain repeat of the same tree");
    w.gate("c", GateVerdict::Green);
    assert_eq!((w.said("gate_flaky"), w.state.merge_queue().flaky), (1, 1));
    w.landing("a", Landing::Landed);
    w.landing("c", Landing::Landed);
    assert_eq!(phases(&w), [Done; 3]);
}

#[test]
fn two_slots_test_two_prefixes_at_once_each_in_its_own_worktree() {
    let mut w = waiting(
        ProjectSettings { gate_slots: 2, ..settings() },
        ["a", "b", "c"].iter().map(|k| item(k, &[])).collect(),
    );
    w.prepare("a", all(&["A", "AB", "ABC"]));
    assert_eq!(tested(&w), ["cABC in 0", "cA in 1"]);
    w.gate("c", GateVerdict::Green);
    assert_eq!((tested(&w), w.effects_of("c")), (Vec::<String>::new(), vec!["land"]), "nobody wants the half any more");
}

#[test]
fn a_batch_has_at_most_as_many_members_as_is_configured_and_a_lower_number_concerns_the_next() {
    let items = || ["a", "b", "c"].iter().map(|key| item(key, &[])).collect();
    for (most, members) in [(1, 1), (2, 2), (3, 3), (64, 3)] {
        let w = waiting(ProjectSettings { batch_max: most, ..settings() }, items());
        assert_eq!(w.state.merging().len(), members, "batch_max = {most}");
    }
    let mut w = waiting(ProjectSettings { batch_max: 2, ..settings() }, items());
    w.ok(Command::Configure(Box::new(ProjectSettings { batch_max: 1, ..settings() })));
    w.prepare("a", all(&["A", "AB"]));
    assert_eq!(tested(&w), ["cAB in 0"], "the batch under way stays as it is");
    w.gate("b", red("together"));
    w.gate("a", GateVerdict::Green);
    w.landing("a", Landing::Landed);
    w.gate("b", GateVerdict::Green);
    w.landing("b", Landing::Landed);
    assert_eq!((phases(&w), w.state.merging()), ([Done, Done, Merging], vec![w.id("c")]));
}

#[test]
fn another_gate_is_never_in_the_same_batch_and_never_overtaken() {
    let other = MissionItem { gate: Some("make other".into()), ..item("b", &[]) };
    let w = waiting(settings(), vec![item("a", &[]), other, item("c", &[])]);
    assert_eq!((w.state.merging(), w.waits("c")), (vec![w.id("a")], vec![WaitCode::MergeQueue]));
}

#[test]
fn a_member_that_conflicts_with_an_earlier_one_is_next() {
    let mut w = three();
    let cut = Some(Cut::Conflict { files: words(&["src/lib.rs"]) });
    w.prepare("a", Preparation { cut, ..all(&["A", "AB"]) });
    assert_eq!((w.state.merging().len(), w.item("c").state.clone()), (2, ItemState::Merging(MergeStage::Queued)));
    w.gate("b", GateVerdict::Green);
    w.landing("b", Landing::Landed);
    assert_eq!((phases(&w), w.effects_of("c")), ([Done, Done, Merging], vec!["prepare_merge"]));
}

#[test]
fn a_paused_queue_lets_the_batch_under_way_end_and_begins_no_other() {
    let mut w = three();
    let resumed = w.refused(Command::ResumeQueue);
    assert_eq!(resumed.to_string(), "cannot resume queue `merge` while it is running");
    w.ok(Command::PauseQueue("release".into()));
    assert!(w.refused(Command::PauseQueue("again".into())).fix().unwrap().contains("musher queue resume"));
    w.prepare("a", all(&["A"]));
    w.gate("a", GateVerdict::Green);
    w.landing("a", Landing::Landed);
    assert_eq!((phases(&w), w.state.batch().is_none()), ([Done, Merging, Merging], true));
    assert_eq!(w.waits("b"), [WaitCode::MergeQueue]);
    w.restart_and_compare();
    w.ok(Command::ResumeQueue);
    assert_eq!(w.state.merging(), [w.id("b"), w.id("c")]);
}

#[test]
fn who_is_ejected_by_hand_comes_back_by_a_retry_and_nobody_else_can_be_ejected() {
    let mut w = three();
    let id = w.id("b");
    w.ok(Command::EjectItem(id, "not now".into()));
    assert_eq!((w.phase("b"), w.state.merging()), (Phase::Held, vec![w.id("a"), w.id("c")]));
    assert!(w.refused(Command::EjectItem(id, "again".into())).fix().unwrap().contains("musher queue list"));
    w.ok(Command::RetryMerge(id));
    assert_eq!((w.phase("b"), w.waits("b")), (Merging, vec![WaitCode::MergeQueue]));
    assert_eq!(w.refused(Command::RetryMerge(id)).code(), "refused");
}

#[test]
fn a_merge_that_waits_is_tried_at_once_when_it_is_asked_for() {
    let mut w = three();
    w.prepare("a", all(&["A", "AB", "ABC"]));
    w.gate("c", GateVerdict::Green);
    w.landing("c", Landing::BaseDirty { why: "README.md is changed".into() });
    assert!(w.state.batch().is_none());
    let id = w.id("a");
    w.ok(Command::RetryMerge(id));
    assert_eq!((w.state.merging(), w.item("a").merge_tries), (vec![id], 0));
}

#[test]
fn one_dirty_checkout_is_one_thing_to_do_however_many_merges_wait_for_it() {
    let mut w = three();
    w.prepare("a", all(&["A", "AB", "ABC"]));
    w.gate("c", GateVerdict::Green);
    w.landing("c", Landing::BaseDirty { why: "README.md is changed".into() });
    let asked = |w: &World| -> Vec<_> {
        let requests = inbox::requests(&w.state).into_iter().filter(|request| request.ask == Ask::Checkout);
        requests.map(|request| (request.text, request.mission.is_some(), request.item)).collect()
    };
    let all_of_them = "The merges of a, b, c wait: README.md is changed".to_owned();
    assert_eq!(asked(&w), [(all_of_them, true, None)]);
    // They are tried again at moments of their own, and are still told as one.
    let waiting = wait::survey(&w.state);
    let groups: Vec<_> = waiting.groups.iter().map(|group| (group.wait.code, group.count)).collect();
    assert_eq!(groups, [(WaitCode::BaseDirty, 3)]);
    assert_eq!(waiting.groups[0].wait.until, w.state.next_due());

    // One by itself is named with its item.
    let (b, c) = (w.id("b"), w.id("c"));
    w.ok(Command::EjectItem(b, "later".into()));
    w.ok(Command::EjectItem(c, "later".into()));
    let alone = "The merge of a waits: README.md is changed".to_owned();
    assert_eq!(asked(&w), [(alone, true, Some(w.id("a")))]);
}

#[test]
fn a_rebase_keeps_nobody_waiting() {
    let mut w = three();
    w.prepare("a", crate::world::conflict());
    assert_eq!((w.effects_of("a"), w.effects_of("b")), (vec!["rebase"], vec!["prepare_merge"]));
}

#[test]
fn who_leaves_a_batch_ends_its_gate_and_the_others_are_made_anew() {
    for verb in ["hold", "cancel"] {
        let mut w = three();
        w.prepare("a", all(&["A", "AB", "ABC"]));
        let id = w.id("b");
        w.ok(if verb == "hold" { Command::HoldItem(id, "no".into()) } else { Command::CancelItem(id) });
        assert_eq!((tested(&w), w.effects_of("a")), (Vec::<String>::new(), vec!["prepare_merge"]), "{verb}");
        assert_eq!(w.state.merging(), [w.id("a"), w.id("c")], "{verb}");
    }
}

#[test]
fn a_base_that_moved_has_the_whole_batch_made_anew_and_is_no_strike() {
    let mut w = three();
    w.prepare("a", all(&["A", "AB", "ABC"]));
    w.gate("c", GateVerdict::Green);
    w.landing("c", Landing::BaseMoved);
    assert_eq!((w.effects_of("a"), w.state.merging().len()), (vec!["prepare_merge"], 3));
    assert!(["a", "b", "c"].iter().all(|key| w.item(key).merge_failures == 0));
}

#[test]
fn a_base_that_is_red_itself_blames_nobody() {
    let mut w = three();
    w.prepare("a", all(&["A", "AB", "ABC"]));
    // The whole, its half, that once more, and then the base, twice as well.
    for key in ["c", "a", "a", "a", "a"] {
        w.gate(key, red("the base is broken"));
    }
    assert_eq!((phases(&w), w.said("merge_failed")), ([Merging; 3], 0));
    assert!(w.item("a").reason().unwrap().contains("the base itself is red"));
    // From now on one at a time: whoever mends it lands.
    w.prepare("b", all(&["B", "BC"]));
    assert_eq!((w.state.merging(), tested(&w)), (vec![w.id("b")], vec!["cB in 0".to_owned()]));
    w.gate("b", GateVerdict::Green);
    w.landing("b", Landing::Landed);
    assert_eq!(w.phase("b"), Done);
}

#[test]
fn a_base_that_stays_red_is_tested_anew_each_time_and_then_told_to_a_run() {
    let mut w = three();
    w.ok(Command::HoldItem(w.id("b"), "not now".into()));
    w.ok(Command::HoldItem(w.id("c"), "not now".into()));
    for put_off in 0..=3 {
        assert_eq!((w.item("a").merge_tries, w.phase("a")), (put_off, Merging));
        w.prepare("a", all(&["A"]));
        assert!(!tested(&w).is_empty(), "what a gate has said before is not believed for ever");
        while !tested(&w).is_empty() {
            w.gate("a", red("the base is broken"));
        }
        w.until_due();
    }
    assert_eq!((w.said("merge_failed"), w.item("a").merge_failures), (1, 1));
    assert!(w.lesson("a").contains("the base itself is red") && w.lesson("a").contains("the base is broken"));
}

#[test]
fn a_base_whose_red_was_wrong_holds_nobody_up() {
    let mut w = three();
    w.ok(Command::HoldItem(w.id("b"), "not now".into()));
    w.ok(Command::HoldItem(w.id("c"), "not now".into()));
    w.prepare("a", all(&["A"]));
    while !tested(&w).is_empty() {
        w.gate("a", red("no network"));
    }
    w.until_due();
    w.prepare("a", all(&["A"]));
    w.gate("a", GateVerdict::Green);
    w.landing("a", Landing::Landed);
    assert_eq!(w.phase("a"), Done);
}

#[test]
fn a_batch_that_git_refuses_is_tried_one_by_one_and_only_the_refused_one_has_a_strike() {
    let mut w = three();
    w.prepare("a", all(&["A", "AB", "ABC"]));
    w.gate("c", GateVerdict::Green);
    w.landing("c", Landing::Refused { error: "a hook said no".into() });
    assert_eq!(w.said("merge_failed"), 0);
    w.until_due();
    assert_eq!(w.state.merging(), [w.id("a")]);
    w.prepare("a", all(&["A"]));
    w.gate("a", GateVerdict::Green);
    w.landing("a", Landing::Landed);
    w.prepare("b", all(&["AB"]));
    w.gate("b", GateVerdict::Green);
    w.landing("b", Landing::Refused { error: "a hook said no".into() });
    assert_eq!((phases(&w), w.item("b").merge_failures, w.item("c").merge_failures), ([Done, Assigned, Merging], 1, 0));
}

#[test]
fn a_batch_whose_first_member_git_cannot_merge_holds_that_one_alone() {
    let mut w = three();
    w.report("a", "prepare_merge", Report::DriverFailed { error: "its head is gone".into() });
    assert_eq!((w.state.merging(), w.waits("a")), (vec![w.id("b"), w.id("c")], vec![WaitCode::BaseDirty]));
}
