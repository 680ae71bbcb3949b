//! The watchdog: at start, and every 30 s while runs are live.

use std::time::Duration;

use musher_core::entropy::Entropy;
use musher_core::event::Happened;
use musher_core::id::RunId;
use musher_core::mission::Policy;
use musher_core::orphan::{Settled, Sort};

use crate::world::{World, agent, wish};

const ORPHANS: &str = "orphan_settled";

fn some_run(world: &World) -> String {
    RunId::new(world.engine.now(), &mut Entropy::from_seed(7)).to_string()
}

#[tokio::test]
async fn what_lives_in_an_unwanted_run_folder_is_ended_at_start_and_said() {
    let mut world = World::empty().await;
    let run = some_run(&world);
    world.run_folder(&run);
    world.run_folder("a-folder-of-somebody-else");
    world.restart().await;
    world.until_said(ORPHANS, 1).await;
    let said = world.log().await.into_iter().find(|logged| logged.event.happened.name() == ORPHANS).unwrap();
    let Happened::OrphanSettled { sort, name, outcome, .. } = said.event.happened else { panic!("{said:?}") };
    assert_eq!((sort, &*name, outcome), (Sort::Process, &*run, Settled::Ended));
    assert_eq!(&*said.event.actor, "musher");
}

#[tokio::test]
async fn it_looks_every_30_seconds_while_runs_are_live_and_not_otherwise() {
    let world = World::empty().await;
    let orphan = world.run_folder(&some_run(&world));
    let start = world.engine.now();
    world.set(start.after(Duration::from_secs(3_600)));
    // What is said after a look was taken is behind it in the log.
    world.agent(agent("a1")).await;
    assert_eq!(world.said(ORPHANS).await, 0, "nothing is live, and nobody looks");

    world.mission(wish(Policy::default(), &["one"])).await;
    world.start("one").await;
    let live = world.engine.now();
    world.set(live.after(Duration::from_secs(29)));
    world.agent(agent("a2")).await;
    assert_eq!(world.said(ORPHANS).await, 0, "not yet");
    world.set(live.after(Duration::from_secs(30)));
    world.until_said(ORPHANS, 1).await;
    assert!(orphan.join("exit.json").exists());

    // The folder of the live run is nobody's orphan, and each look is followed by the next.
    let run = world.item("one").await.run.unwrap().to_string();
    let mine = world.run_folder(&run);
    world.run_folder(&RunId::new(live, &mut Entropy::from_seed(8)).to_string());
    world.set(live.after(Duration::from_secs(60)));
    world.until_said(ORPHANS, 2).await;
    assert!(!mine.join("exit.json").exists());
}
