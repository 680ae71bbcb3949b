//! An agent, and whatever an agent starts, may read and nothing else.

use std::process::{Command, Stdio};

use musher_server::{Client, ClientError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::errors::parsed;
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

/// Where the caller below finds the TCP listener, and the token that it shows.
const ADDRESS: &str = "MUSHER_TEST_ADDRESS";
const TOKEN: &str = "MUSHER_TEST_TOKEN";

/// Like the caller above, over TCP.
#[tokio::test]
#[ignore = "is started by the other tests of this file"]
async fn tcp_caller() {
    let (Ok(address), Ok(token)) = (std::env::var(ADDRESS), std::env::var(TOKEN)) else { return };
    let ask = async |method: &str, path: &str| {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n");
        let request = format!("{head}Connection: close\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let (status, _, body) = parsed(&answer);
        format!("{status} {}", body["code"].as_str().unwrap_or_default())
    };
    assert_eq!(ask("GET", "/v1/status").await, "200 ");
    println!("says: {}", ask("POST", "/v1/gc").await);
}

/// Runs the caller through a shell line in which `"$@"` is the caller, in the run of this name.
async fn called(world: &World, run: Option<&str>, line: &str) -> String {
    let mut command = shell("guard::caller", run, line);
    command.env(SOCKET, world.client.socket());
    said(command).await
}

/// A process that runs one of the ignored tests through a shell line.
pub(crate) fn shell(test: &str, run: Option<&str>, line: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", line, "sh"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]);
    command.stdin(Stdio::null()).env_remove("MUSHER_RUN");
    if let Some(run) = run {
        command.env("MUSHER_RUN", run);
    }
    command
}

/// What the caller says.
pub(crate) async fn said(mut command: Command) -> String {
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
async fn an_agent_that_has_read_the_token_is_an_agent_all_the_same() {
    let mut world = World::empty().await;
    std::fs::create_dir_all(world.engine.paths().run("run-1")).unwrap();
    let file = world.engine.paths().token();
    let address = world.server.serve_tcp("127.0.0.1:0".parse().unwrap(), &file).await.unwrap();
    let token = std::fs::read_to_string(&file).unwrap();
    for (run, answer) in [(Some("run-1"), "403 worker_scope"), (None, "200")] {
        let mut command = shell("guard::tcp_caller", run, r#"env -u MUSHER_RUN "$@"; true"#);
        command.env(ADDRESS, address.to_string()).env(TOKEN, token.trim());
        assert_eq!(said(command).await, answer, "{run:?}");
    }
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
