//! Streams: nothing is missed, nothing comes twice, and the end is the end.

use musher_core::command::{Actor, Command};
use musher_core::config::ProjectSettings;
use musher_server::api::{EventQuery, LogQuery};
use musher_server::client::LogStream;

use crate::paths::problem;
use crate::world::{World, within};

#[tokio::test]
async fn a_stream_of_events_goes_on_exactly_where_it_was_cut_off() {
    let world = World::with_agent().await;
    world.mission().await;
    let mut first = world.follow(&EventQuery::default()).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.push(first.next().await.unwrap().unwrap());
    }
    let after = first.after();
    assert_eq!(after, seen[2].seq);
    drop(first);

    let mut second = world.follow(&EventQuery { after, ..EventQuery::default() }).await.unwrap();
    world.runs.end(2);
    while seen.last().is_none_or(|last| last.kind != "mission_completed") {
        seen.push(second.next().await.unwrap().unwrap());
    }
    let last = seen.last().unwrap().seq;
    assert_eq!(seen.iter().map(|e| e.seq).collect::<Vec<_>>(), (1..=last).collect::<Vec<_>>());
    let listed = world.client.events(&EventQuery::default()).await.unwrap();
    assert_eq!(listed[..seen.len()], seen);
}

#[tokio::test]
async fn a_list_of_events_is_read_page_by_page() {
    let world = World::with_agent().await;
    world.mission().await;
    world.runs.end(2);
    let last = world.event("mission_completed", 0).await.seq;
    let mut pages = Vec::new();
    loop {
        let after = pages.last().map_or(0, |event: &musher_server::api::Event| event.seq);
        let wanted = EventQuery { after, limit: Some(2), ..EventQuery::default() };
        let page = world.client.events(&wanted).await.unwrap();
        assert!(page.len() <= 2);
        pages.extend(page);
        if pages.last().unwrap().seq >= last {
            break;
        }
    }
    assert!(pages.iter().zip(1..).all(|(event, seq)| event.seq == seq));
}

#[tokio::test]
async fn a_stream_lets_only_what_was_asked_for_through() {
    let world = World::with_agent().await;
    let (one, two) = (world.mission().await, world.mission().await);
    let wanted = EventQuery {
        mission: Some(two.id.to_string()),
        kind: Some("run_started,mission_completed".to_owned()),
        ..EventQuery::default()
    };
    let mut events = world.follow(&wanted).await.unwrap();
    world.runs.end(4);
    let mut kinds = Vec::new();
    while kinds.last().is_none_or(|kind| kind != "mission_completed") {
        let event = events.next().await.unwrap().unwrap();
        assert_eq!(event.mission, Some(two.id));
        kinds.push(event.kind);
    }
    assert_eq!(kinds, ["run_started", "run_started", "mission_completed"]);
    assert_ne!(one.id, two.id);
}

#[tokio::test]
async fn a_slow_reader_holds_nobody_up() {
    let world = World::with_agent().await;
    let mut slow = world.follow(&EventQuery::default()).await.unwrap();
    slow.next().await.unwrap().unwrap();
    for _ in 0..20 {
        world.mission().await;
    }
    world.runs.end(40);
    let wanted = EventQuery { kind: Some("mission_completed".to_owned()), ..EventQuery::default() };
    let mut quick = world.follow(&wanted).await.unwrap();
    for _ in 0..20 {
        quick.next().await.unwrap().unwrap();
    }
    let last = quick.after();
    let mut next = slow.after();
    while next < last {
        next += 1;
        assert_eq!(slow.next().await.unwrap().unwrap().seq, next);
    }
}

/// Brings so many events about, in as few commits as it takes.
async fn happen(world: &World, name: &str, events: usize) {
    let mut all = tokio::task::JoinSet::new();
    for n in 0..events {
        let (engine, gate) = (world.engine.clone(), Some(format!("{name} {n}")));
        all.spawn(async move {
            let settings = ProjectSettings { gate, ..ProjectSettings::default() };
            engine.send(Actor::Operator("test".into()), Command::Configure(Box::new(settings))).await.unwrap();
        });
    }
    while let Some(done) = all.join_next().await {
        done.unwrap();
    }
}

#[tokio::test]
async fn a_hundred_readers_each_get_everything_after_their_own_place() {
    let world = World::empty().await;
    // More than is kept in memory, so that some begin in the log and go on there.
    happen(&world, "before", 3_000).await;
    let begun = world.engine.seq().borrow().0;
    let last = begun + 100;
    let mut readers = tokio::task::JoinSet::new();
    for n in 0..100 {
        // The first few begin far behind, the others near the end, and some ask for what is yet to come.
        let after = if n < 5 { n * 100 } else { begun - 50 + n };
        let mut events = world.follow(&EventQuery { after, ..EventQuery::default() }).await.unwrap();
        readers.spawn(async move {
            for next in after + 1..=last {
                assert_eq!(events.next().await.unwrap().unwrap().seq, next);
            }
        });
    }
    happen(&world, "after", 100).await;
    while let Some(done) = readers.join_next().await {
        done.unwrap();
    }
}

async fn texts(mut log: LogStream) -> (Vec<String>, u64) {
    let mut texts = Vec::new();
    while let Some(line) = within(log.next(), || format!("seen: {texts:?}")).await.unwrap() {
        texts.push(line.text);
    }
    (texts, log.offset())
}

#[tokio::test]
async fn a_transcript_is_followed_to_the_end_of_its_run_and_read_from_any_place() {
    let world = World::with_agent().await;
    world.mission().await;
    let begun = world.event("run_started", 0).await;
    let run = begun.run.unwrap().short();
    let (so_far, offset) = texts(world.client.log(&run, LogQuery::default()).await.unwrap()).await;
    assert_eq!(so_far, ["one", "two"]);

    let mut followed = world.client.log(&run, LogQuery { offset: 0, follow: true }).await.unwrap();
    assert_eq!(within(followed.next(), || "the run has said more".to_owned()).await.unwrap().unwrap().text, "one");
    assert_eq!(within(followed.next(), || "the run has said more".to_owned()).await.unwrap().unwrap().text, "two");
    assert_eq!(followed.offset(), offset);
    world.runs.end(1);
    assert_eq!(texts(followed).await.0, ["three"]);

    world.event("run_finished", begun.seq).await;
    let rest = world.client.log(&run, LogQuery { offset, follow: true }).await.unwrap();
    assert_eq!(texts(rest).await.0, ["three"]);
    std::fs::remove_dir_all(world.engine.paths().run(&begun.run.unwrap().to_string())).unwrap();
    assert_eq!(problem(world.client.log(&run, LogQuery::default()).await).code, "no_transcript");
}

#[tokio::test]
async fn a_reader_that_takes_nothing_does_not_keep_the_daemon_from_its_end() {
    let world = World::empty().await;
    let stuck = world.follow(&EventQuery::default()).await.unwrap();
    let idle = tokio::net::UnixStream::connect(world.client.socket()).await.unwrap();
    world.server.stop().await;
    drop((stuck, idle));
}
