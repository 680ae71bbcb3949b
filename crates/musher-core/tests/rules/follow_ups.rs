//! Reopening: a done item stays done, and a follow-up takes the rest.

use musher_core::change::TextKey;
use musher_core::command::{Answer, Command};
use musher_core::id::ItemId;
use musher_core::item::{Item, Kind, Phase};
use musher_core::mission::{MissionItem, MissionState};

use crate::world::{World, item, words};

fn reopened(w: &mut World, key: &str, text: &str) -> ItemId {
    let id = w.id(key);
    match w.ok(Command::ReopenItem(id, text.into())) {
        Answer::Item(new) => new,
        other => panic!("{other:?}"),
    }
}

fn row(w: &World, id: ItemId) -> Item {
    w.state.item(id).unwrap().clone()
}

#[test]
fn a_follow_up_is_an_item_of_the_same_mission_while_that_goes_on() {
    let mut w = World::with_agents(1);
    let first = MissionItem { touches: words(&["src/**"]), gate: Some("make a".into()), ..item("a", &[]) };
    let mission = w.mission(vec![first, item("b", &["a"])]);
    w.complete("a");
    let follow_up = reopened(&mut w, "a", "handle empty input\nand say so");
    w.restart_and_compare();
    let new = row(&w, follow_up);
    assert_eq!((&*new.key, new.kind, new.mission), ("a-followup", Kind::Followup, mission));
    assert_eq!(&*new.title, "Follow-up of a: handle empty input");
    assert_eq!(
        (new.follows, &new.touches, new.gate.as_deref()),
        (Some(w.id("a")), &words(&["src/**"]), Some("make a"))
    );
    let body = &w.texts[&TextKey::Body(follow_up)];
    assert!(body.starts_with("handle empty input\nand say so") && body.contains("merged as c"), "{body}");
    assert_eq!((w.phase("a"), w.phase("b")), (Phase::Done, Phase::Assigned), "dependents are not touched");
    let second = reopened(&mut w, "a", "more");
    assert_eq!(&*row(&w, second).key, "a-followup-2");
    w.complete("b");
    assert_eq!(w.mission_state(mission), MissionState::Running, "it is done when its follow-ups are");
}

#[test]
fn the_follow_up_of_an_ended_mission_is_a_mission_of_its_own() {
    let mut w = World::with_agents(1);
    let mission = w.mission(vec![item("a", &[])]);
    w.complete("a");
    let follow_up = reopened(&mut w, "a", "it is slow");
    let new = row(&w, follow_up);
    assert_ne!(new.mission, mission);
    assert_eq!(w.mission_state(mission), MissionState::Completed);
    let entry = w.state.mission(new.mission).unwrap();
    assert_eq!((&*entry.row.goal, &*entry.row.base), ("Follow-up of a: it is slow", "main"));
    assert_eq!((new.follows, new.phase()), (Some(w.id("a")), Phase::Assigned));
    let key = new.key.to_string();
    w.complete(&key);
    assert_eq!(w.mission_state(new.mission), MissionState::Completed);
}

#[test]
fn a_follow_up_without_words_is_refused() {
    let mut w = World::with_agents(1);
    w.mission(vec![item("a", &[])]);
    w.complete("a");
    let id = w.id("a");
    let refused = w.refused(Command::ReopenItem(id, "  ".into()));
    assert!(refused.fix().unwrap().contains("say what is to be mended"));
}
