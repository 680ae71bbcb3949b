//! How missions of different weights share the agents.

use std::collections::BTreeMap;
use std::time::Duration;

use musher_core::command::{Command, Inspection};
use musher_core::effect::Stop;
use musher_core::id::MissionId;
use musher_core::item::{Kind, Phase, Priority};
use musher_core::mission::{MissionItem, Policy};
use proptest::prelude::*;

use crate::world::{World, agent, finished, item, policy};

/// A mission of this weight with so many items that a look at them finishes: `a0`, `a1` … for the name `a`.
fn mission(w: &mut World, name: &str, weight: u32, items: usize) -> MissionId {
    let one = |n| MissionItem { kind: Kind::Design, ..item(&format!("{name}{n}"), &[]) };
    weighing(w, weight, (0..items).map(one).collect())
}

fn weighing(w: &mut World, weight: u32, items: Vec<MissionItem>) -> MissionId {
    w.pass(Duration::from_secs(1));
    w.mission_with(Policy { weight, max_parallel_items: 1_000, ..policy() }, items)
}

/// Takes an item from assigned to done; its agent is free once it has ended.
fn finish(w: &mut World, key: &str) {
    w.start(key);
    w.end(key, finished("done"));
    w.inspect(key, Inspection::Empty);
}

fn at_work(w: &World) -> Vec<String> {
    w.all_in(Phase::Assigned)
}

/// Which missions the next runs are of, by the first letters of their items, when each is finished before the next begins.
fn one_by_one(w: &mut World, runs: usize) -> String {
    let mut order = String::new();
    for _ in 0..runs {
        let key = at_work(w).pop().expect("something at work");
        order.push_str(&key[..1]);
        finish(w, &key);
    }
    order
}

#[test]
fn with_one_agent_a_mission_of_weight_three_has_three_runs_for_each_one_of_weight_one() {
    let mut w = World::new();
    mission(&mut w, "a", 3, 10);
    mission(&mut w, "b", 1, 8);
    w.agent(agent("one"));
    assert_eq!(one_by_one(&mut w, 12), "abaaabaaabaa");
}

#[test]
fn missions_of_one_weight_take_turns_whichever_came_first() {
    let mut w = World::new();
    mission(&mut w, "a", 1, 6);
    mission(&mut w, "b", 1, 6);
    mission(&mut w, "c", 1, 6);
    w.agent(agent("one"));
    assert_eq!(one_by_one(&mut w, 9), "abcabcabc");
}

#[test]
fn places_are_shared_by_weight_and_who_runs_for_long_pays_for_it_as_long() {
    let mut w = World::new();
    mission(&mut w, "a", 3, 8);
    mission(&mut w, "b", 1, 9);
    for n in 0..8 {
        w.agent(agent(&format!("w{n}")));
    }
    let of = |w: &World, name: &str| at_work(w).iter().filter(|key| key.starts_with(name)).count();
    assert_eq!((of(&w, "a"), of(&w, "b")), (6, 2));
    // Those of b end at once, those of a never: b gets its own two places again and again, and no third one.
    for _ in 0..5 {
        let key = at_work(&w).into_iter().rfind(|key| key.starts_with('b')).unwrap();
        finish(&mut w, &key);
        assert_eq!((of(&w, "a"), of(&w, "b")), (6, 2));
    }
}

#[test]
fn a_mission_that_comes_late_has_saved_up_nothing() {
    let mut w = World::new();
    mission(&mut w, "a", 1, 12);
    w.agent(agent("one"));
    assert_eq!(one_by_one(&mut w, 6), "aaaaaa");
    mission(&mut w, "b", 1, 8);
    assert_eq!(one_by_one(&mut w, 7), "abababa");
}

#[test]
fn a_more_urgent_item_comes_first_whatever_its_mission_weighs() {
    let mut w = World::new();
    mission(&mut w, "a", 100, 4);
    let urgent = |key: &str| MissionItem { kind: Kind::Design, priority: Priority::High, ..item(key, &[]) };
    weighing(&mut w, 1, vec![urgent("b0"), urgent("b1"), urgent("b2")]);
    w.agent(agent("one"));
    assert_eq!(one_by_one(&mut w, 5), "bbbaa");
}

#[test]
fn a_restart_forgets_no_turn() {
    let mut w = World::new();
    mission(&mut w, "a", 2, 10);
    mission(&mut w, "b", 1, 10);
    w.agent(agent("one"));
    let mut order = String::new();
    for _ in 0..6 {
        order += &one_by_one(&mut w, 1);
        w.restart_and_compare();
    }
    assert_eq!(order, "abaaba");
}

#[test]
fn a_weight_that_is_changed_counts_from_the_next_dispatch() {
    let mut w = World::new();
    let a = mission(&mut w, "a", 1, 12);
    mission(&mut w, "b", 1, 8);
    w.agent(agent("one"));
    assert_eq!(one_by_one(&mut w, 4), "abab");
    w.ok(Command::WeighMission(a, 3));
    w.ok(Command::WeighMission(a, 3));
    assert_eq!(w.said("mission_weighed"), 1, "what changes nothing is not said");
    assert_eq!(one_by_one(&mut w, 8), "abaaabaa");
}

#[test]
fn a_weight_out_of_range_or_of_a_mission_that_has_ended_is_refused() {
    let mut w = World::new();
    let a = mission(&mut w, "a", 1, 1);
    for weight in [0, 101, u32::MAX] {
        let refused = w.refused(Command::WeighMission(a, weight));
        assert_eq!(refused.to_string(), format!("a mission cannot weigh {weight}"));
        assert_eq!(refused.fix().unwrap(), "a whole number from 1 to 100; 1 is what missions weigh by default");
    }
    w.ok(Command::StopMission(a, Stop::Interrupt));
    assert_eq!(w.refused(Command::WeighMission(a, 2)).fix().unwrap(), "it has ended");
}

/// Who passed whom since a mission's last dispatch, with as many rounds of its weight at work.
#[derive(Default)]
struct Passes(BTreeMap<(MissionId, MissionId), u32>);

impl Passes {
    /// One item more is at work than before: holds the bound that `Share` states.
    fn begun(&mut self, before: &[(MissionId, u32, u32, usize)], taken: MissionId) -> Result<(), TestCaseError> {
        let (_, weight, leases, _) = before.iter().find(|(of, ..)| *of == taken).copied().unwrap_or((taken, 1, 0, 0));
        for (waiting, its_weight, its_leases, ready) in before.iter().filter(|(id, ..)| *id != taken) {
            if *ready == 0 {
                continue;
            }
            // Whoever has less than the other for its weight may take what it gets, and never whoever has more.
            let (round, its_round) = (leases / weight, its_leases / its_weight);
            prop_assert!(round <= its_round, "{leases} at work of weight {weight} before {its_leases} of {its_weight}");
            if round < its_round {
                continue;
            }
            let passes = self.0.entry((*waiting, taken)).or_default();
            *passes += 1;
            let bound = weight / its_weight + 1;
            prop_assert!(*passes <= bound, "passed {passes} times by weight {weight}, of {its_weight}");
        }
        self.0.retain(|(waiting, _), _| *waiting != taken);
        Ok(())
    }
}

/// Each mission with its weight, how many of its items have an agent and how many are ready.
fn standing(w: &World) -> Vec<(MissionId, u32, u32, usize)> {
    let of = |entry: &musher_core::state::MissionEntry| {
        (entry.row.id, entry.row.policy.weight, entry.leases(), entry.count(Phase::Ready) as usize)
    };
    w.state.missions().map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whichever_runs_end_nobody_is_passed_more_often_than_its_weight_implies(
        weights in prop::collection::vec(1..12u32, 2..6),
        late in 0..3usize,
        agents in 1..5usize,
        ends in prop::collection::vec(any::<u8>(), 0..16),
    ) {
        let mut w = World::new();
        let (mut passes, mut seen) = (Passes::default(), 0);
        let late = late.min(weights.len() - 1);
        let mut coming = weights.iter().enumerate().skip(weights.len() - late);
        for (n, weight) in weights.iter().enumerate().take(weights.len() - late) {
            mission(&mut w, &format!("m{n}-"), *weight, 6);
        }
        let mut look = |w: &World, before: &[(MissionId, u32, u32, usize)]| {
            let begun: Vec<_> = w.events[seen..].iter().filter(|e| e.happened.name() == "item_assigned").collect();
            seen = w.events.len();
            prop_assert!(begun.len() <= 1, "one agent comes free at a time");
            begun.iter().try_for_each(|event| passes.begun(before, event.mission.unwrap()))
        };
        for n in 0..agents {
            let before = standing(&w);
            w.agent(agent(&format!("w{n}")));
            look(&w, &before)?;
        }
        for end in ends {
            // While all agents are busy: what comes to idle ones finds several at once.
            if end % 4 == 0 && w.all_in(Phase::Assigned).len() == agents && let Some((n, weight)) = coming.next() {
                mission(&mut w, &format!("m{n}-"), *weight, 6);
            }
            let at_work = at_work(&w);
            let Some(key) = at_work.get(usize::from(end) % at_work.len().max(1)) else { break };
            // What comes free is not at work any more when it is taken.
            let mut before = standing(&w);
            let ended = w.item(key).mission;
            before.iter_mut().filter(|(id, ..)| *id == ended).for_each(|(_, _, leases, _)| *leases -= 1);
            finish(&mut w, key);
            look(&w, &before)?;
        }
    }

    #[test]
    fn with_one_agent_nobody_is_ahead_of_its_weight_by_more_than_one_run(
        weights in prop::collection::vec(1..9u32, 2..5),
        runs in 1..12usize,
    ) {
        let mut w = World::new();
        let ids: Vec<_> =
            weights.iter().enumerate().map(|(n, weight)| mission(&mut w, &format!("m{n}-"), *weight, runs)).collect();
        w.agent(agent("one"));
        (1..runs).for_each(|_| drop(one_by_one(&mut w, 1)));
        let begun = |id: &MissionId| {
            let its = w.events.iter().filter(|e| e.happened.name() == "item_assigned" && e.mission == Some(*id));
            its.count() as u32
        };
        let begun: Vec<u32> = ids.iter().map(begun).collect();
        for (a, weight_a) in begun.iter().zip(&weights) {
            for (b, weight_b) in begun.iter().zip(&weights) {
                prop_assert!(a.saturating_sub(1) * weight_b <= b * weight_a, "{begun:?} by {weights:?}");
            }
        }
    }
}
