//! A hub: what it takes of what projects tell, and what it shows then.

use musher_core::command::{Answer, Command};
use musher_core::hub::{HubEvent, ItemCard, MOST_PROJECTS, Mark, MissionCard, Place, Post, Told, Verdict};
use musher_core::id::{ItemId, MissionId, ProjectId, Seq};
use musher_core::time::Timestamp;

use crate::world::World;

fn project(n: u8) -> ProjectId {
    ProjectId::from_bytes([n; 16])
}

fn at(seq: u64) -> Timestamp {
    Timestamp::from_micros(i64::try_from(seq).unwrap() * 1_000)
}

fn told(seq: u64) -> Told {
    Told {
        seq: Seq(seq),
        at: at(seq),
        kind: "item_done".into(),
        actor: "ann".into(),
        mission: None,
        item: None,
        body: r#"{"commit":null}"#.into(),
    }
}

fn post(n: u8, history: u32, after: u64, events: &[u64]) -> Post {
    Post {
        project: project(n),
        name: "shop".into(),
        history,
        after: Seq(after),
        events: events.iter().map(|seq| told(*seq)).collect(),
        missions: Vec::new(),
        items: Vec::new(),
    }
}

fn mark(history: u32, seq: u64) -> Mark {
    Mark { history, last: (seq > 0).then(|| Place { seq: Seq(seq), at: at(seq) }) }
}

fn tell(w: &mut World, post: Post) -> Verdict {
    match w.ok(Command::TakeRelayed(Box::new(post.read().unwrap()))) {
        Answer::Relayed(verdict) => verdict,
        answer => panic!("{answer:?}"),
    }
}

/// The events that a hub shows of a project.
fn shown(w: &World, n: u8) -> Vec<u64> {
    let told = w.stored.told.get(&project(n));
    told.map(|told| told.events.iter().map(|event| event.told.seq.0).collect()).unwrap_or_default()
}

/// A hub that project 1 has told events 3 and 7, as its second history.
fn world() -> World {
    let mut w = World::new();
    assert_eq!(tell(&mut w, post(1, 2, 0, &[3, 7])), Verdict::Taken(mark(2, 7)));
    w
}

#[test]
fn a_hub_takes_what_follows_what_it_has_as_the_table_says() {
    // What is told, whether it is taken, and the events that the hub shows after it.
    for (name, post, taken, after) in [
        ("what comes next", post(1, 2, 7, &[8, 12]), true, &[3, 7, 8, 12][..]),
        ("nothing new", post(1, 2, 7, &[]), true, &[3, 7]),
        ("the same again: the answer was lost", post(1, 2, 0, &[3, 7]), false, &[3, 7]),
        ("a part of it again", post(1, 2, 3, &[7, 8]), false, &[3, 7]),
        ("what follows something that it lacks", post(1, 2, 8, &[9]), false, &[3, 7]),
        ("a later history, from its beginning", post(1, 3, 0, &[1, 2]), true, &[1, 2]),
        ("a later history, from its middle", post(1, 3, 7, &[8]), false, &[3, 7]),
        ("an earlier history", post(1, 1, 0, &[1]), false, &[3, 7]),
        ("an earlier history that fits by chance", post(1, 1, 7, &[8]), false, &[3, 7]),
    ] {
        let mut w = world();
        let (before, said, history) = (w.observed(), w.events.len(), post.history);
        let verdict = tell(&mut w, post);
        assert_eq!(shown(&w, 1), after, "{name}");
        if taken {
            assert_eq!(verdict, Verdict::Taken(mark(history, *after.last().unwrap())), "{name}");
            assert_eq!(w.state.project(project(1)).unwrap().events, after.len() as u64, "{name}");
        } else {
            assert_eq!(verdict, Verdict::Moved(Some(mark(2, 7))), "{name}");
            assert_eq!((w.observed(), w.events.len()), (before, said), "{name}");
        }
        w.restart();
        assert_eq!(w.state.project(project(1)).unwrap().mark.seq().0, *after.last().unwrap(), "{name}");
    }
    let mut w = world();
    assert_eq!(tell(&mut w, post(2, 1, 4, &[5])), Verdict::Moved(None), "a project that it does not know");
    assert!(w.state.project(project(2)).is_none());
}

#[test]
fn projects_of_one_name_are_two_and_their_events_have_one_order() {
    let mut w = world();
    tell(&mut w, post(2, 1, 0, &[3]));
    tell(&mut w, post(1, 2, 7, &[9]));
    let places = |n: u8| -> Vec<(u64, u64)> {
        let events: &[HubEvent] = &w.stored.told[&project(n)].events;
        events.iter().map(|event| (event.place, event.told.seq.0)).collect()
    };
    assert_eq!((places(1), places(2)), (vec![(1, 3), (2, 7), (4, 9)], vec![(3, 3)]));
    let names = musher_core::hub::shown_names(w.state.projects());
    assert_eq!(names, ["shop (01010101)", "shop (02020202)"]);

    w.ok(Command::ForgetProject(project(1)));
    assert_eq!(musher_core::hub::shown_names(w.state.projects()), ["shop"]);
    assert_eq!(w.refused(Command::ForgetProject(project(1))).code(), "conflict");
    assert_eq!((shown(&w, 1), shown(&w, 2), w.said("project_forgotten")), (vec![], vec![3], 1));
    // It tells everything again, and no place is given a second time.
    assert_eq!(tell(&mut w, post(1, 2, 9, &[10])), Verdict::Moved(None));
    assert_eq!(tell(&mut w, post(1, 2, 0, &[3])), Verdict::Taken(mark(2, 3)));
    assert_eq!(w.stored.told[&project(1)].events[0].place, 5);
}

#[test]
fn cards_take_the_place_of_older_ones_and_go_with_their_history() {
    let mut w = world();
    let (mission, item) = (MissionId::from_bytes([8; 16]), ItemId::from_bytes([9; 16]));
    let cards = |history, after, events: &[u64], state: &str| {
        let goal = MissionCard {
            id: mission,
            goal: "a\u{200b}b".into(),
            state: "running\n!".into(),
            blocked_reason: None,
            created_at: at(1),
            updated_at: at(2),
            ended_at: None,
        };
        let part = ItemCard {
            id: item,
            mission,
            number: 1,
            key: "api".into(),
            title: "a\n\u{202e}b".into(),
            kind: "implement".into(),
            state: state.into(),
            reason: None,
            agent: Some("x".repeat(5_000).into()),
            attempts: 0,
            commit: None,
            updated_at: at(2),
        };
        Post { missions: vec![goal], items: vec![part], ..post(1, history, after, events) }
    };
    tell(&mut w, cards(2, 7, &[8], "ready"));
    tell(&mut w, cards(2, 8, &[], "done"));
    let told = &w.stored.told[&project(1)];
    assert_eq!((told.missions.len(), told.items.len()), (1, 1));
    assert_eq!((&*told.missions[&mission].goal, &*told.missions[&mission].state), ("ab", "running"));
    let part = &told.items[&(mission, item)];
    assert_eq!((&*part.title, &*part.state), ("a b", "done"));
    assert_eq!(part.agent.as_ref().unwrap().chars().count(), 301, "it is cut off, and says so");
    tell(&mut w, post(1, 3, 0, &[1]));
    assert!(w.stored.told[&project(1)].items.is_empty());
}

#[test]
fn a_hub_has_a_bounded_number_of_projects() {
    let mut w = World::new();
    for n in 0..MOST_PROJECTS {
        let mut id = [0; 16];
        id[..2].copy_from_slice(&u16::try_from(n).unwrap().to_le_bytes());
        let post = Post { project: ProjectId::from_bytes(id), ..post(1, 1, 0, &[1]) };
        w.ok(Command::TakeRelayed(Box::new(post)));
    }
    let refused = w.refused(Command::TakeRelayed(Box::new(post(200, 1, 0, &[1]))));
    assert_eq!(refused.code(), "conflict");
    assert_eq!(
        tell(&mut w, Post { project: ProjectId::from_bytes([0; 16]), ..post(1, 1, 1, &[2]) }),
        Verdict::Taken(mark(1, 2))
    );
}
