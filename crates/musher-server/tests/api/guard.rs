//! An agent, and whatever an agent starts, may read and nothing else.

use std::process::{Command, Stdio};

use musher_server::{Client, ClientError};

use crate::world::World;

/// Where the caller below finds the daemon.
const SOCKET: &str = "MUSHER_TEST_SOCKET";

/// The other process of the tests below: reads, then writes, and says what came of it.
#[tokio::test]
#[ignore = "is started by the other tests of this file"]
async fn caller() {
    let Some(socket) = std::env::var_os(SOCKET) else { return };
    let client = Client::new(socket).speaking_for("somebody else");
    assert!(client.status().await.is_ok(), "reading is open to everyone");
    match client.gc(&musher_server::api::GcWish { dry_run: true, discard: None }).await {
        Ok(_) => println!("says: done"),
        Err(ClientError::Problem(problem)) => println!("says: {} {}", problem.status, problem.code),
        Err(other) => println!("says: {other}"),
    }
}

/// Runs the caller through a shell line in which `"$@"` is the caller, in the run of this name.
async fn called(world: &World, run: Option<&str>, line: &str) -> String {
    let mut command = Command::new("sh");
    command.args(["-c", line, "sh"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "guard::caller", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(SOCKET, world.client.socket()).stdin(Stdio::null()).env_remove("MUSHER_RUN");
    if let Some(run) = run {
        command.env("MUSHER_RUN", run);
    }
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match text.split_once("says: ") {
        Some((_, said)) => said.lines().next().unwrap_or_default().trim().to_owned(),
        None => panic!("the caller said nothing: {text} {}", String::from_utf8_lossy(&output.stderr)),
    }
}

#[tokio::test]
async fn a_process_of_a_run_has_worker_scope_and_cannot_shake_it_off() {
    let world = World::empty().await;
    std::fs::create_dir_all(world.engine.paths().run("run-1")).unwrap();
    std::fs::create_dir_all(world.engine.paths().run("gate-1")).unwrap();
    let denied = "403 worker_scope";
    assert_eq!(called(&world, Some("run-1"), r#""$@""#).await, denied);
    assert_eq!(called(&world, Some("gate-1"), r#""$@""#).await, denied, "what agents write runs in gates");
    assert_eq!(called(&world, Some("run-1"), r#"env -u MUSHER_RUN "$@"; true"#).await, denied);
    assert_eq!(called(&world, Some("run-1"), r#"MUSHER_RUN=other "$@"; true"#).await, denied);
}

#[tokio::test]
async fn everybody_else_of_the_same_user_is_an_operator() {
    let world = World::empty().await;
    assert_eq!(called(&world, None, r#""$@""#).await, "done");
    // The run of another repository's daemon: a musher that works on musher.
    assert_eq!(called(&world, Some("no-run-of-ours"), r#""$@""#).await, "done");
}

#[tokio::test]
async fn an_operator_is_named_by_the_user_or_by_what_the_program_says() {
    let world = World::empty().await;
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective()).unwrap().map(|user| user.name);
    let own = world.mission().await;
    assert_eq!(Some(own.owner), user);
    let named = world.client.clone().speaking_for("ann").start_mission(&crate::world::two_items()).await.unwrap();
    assert_eq!(named.owner, "ann");
}
