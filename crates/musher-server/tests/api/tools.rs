//! Musher's tools, through both doors, by a process that belongs to a run and by others.

use std::process::Command;

use musher_engine::{Passes, pass};
use musher_server::ClientError;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio::net::TcpStream;

use crate::errors::parsed;
use crate::guard::{said, shell};
use crate::world::{World, within};

/// What the callers below ask for, as JSON: a list of `[tool, arguments]`.
const CALLS: &str = "MUSHER_TEST_CALLS";
const ADDRESS: &str = "MUSHER_TEST_ADDRESS";

/// The other process of the tests below: uses tools through the relay, one after the other, and says what they answered.
#[tokio::test]
#[ignore = "is started by the other tests of this file"]
async fn caller() {
    let (Some(socket), Ok(pass), Ok(calls)) =
        (std::env::var_os(pass::SOCKET), std::env::var(pass::PASS), std::env::var(CALLS))
    else {
        return;
    };
    let (mut input, mut output, relay) = relayed(socket.into(), pass);
    let calls: Vec<(String, Value)> = serde_json::from_str(&calls).unwrap();
    let mut answers = Vec::new();
    for (id, (name, arguments)) in calls.into_iter().enumerate() {
        let params = json!({"name": name, "arguments": arguments});
        let answer = ask(&mut input, &mut output, json!(id), "tools/call", params).await;
        let text = answer["result"]["content"][0]["text"].as_str();
        answers.push(text.or_else(|| answer["error"]["message"].as_str()).unwrap_or_default().to_owned());
    }
    drop(input);
    relay.await.unwrap();
    println!("says: {}", answers.join(" | "));
}

/// The same over TCP, one tool.
#[tokio::test]
#[ignore = "is started by the other tests of this file"]
async fn tcp_caller() {
    let (Ok(address), Ok(pass)) = (std::env::var(ADDRESS), std::env::var(pass::PASS)) else { return };
    println!("says: {}", by_tcp(&address, &pass, "").await);
}

async fn by_tcp(address: &str, pass: &str, more: &str) -> String {
    let params = json!({"name": "report_progress", "arguments": {"text": "over TCP"}});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {pass}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{more}Connection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let (status, _, body) = parsed(&answer);
    let text = body["result"]["content"][0]["text"].as_str().or_else(|| body["code"].as_str());
    format!("{status} {}", text.unwrap_or_default())
}

type Relay = tokio::task::JoinHandle<()>;

fn relayed(socket: std::path::PathBuf, pass: String) -> (DuplexStream, BufReader<DuplexStream>, Relay) {
    let (input, theirs) = tokio::io::duplex(1 << 16);
    let (ours, output) = tokio::io::duplex(1 << 16);
    let relay = tokio::spawn(async move { musher_server::relay(socket, pass, theirs, ours, || {}).await.unwrap() });
    (input, BufReader::new(output), relay)
}

async fn send(input: &mut DuplexStream, message: &Value) {
    input.write_all(format!("{message}\n").as_bytes()).await.unwrap();
}

async fn next(output: &mut BufReader<DuplexStream>) -> Value {
    let mut line = String::new();
    within(output.read_line(&mut line), || "an answer was wanted".to_owned()).await.unwrap();
    serde_json::from_str(&line).unwrap()
}

async fn ask(
    input: &mut DuplexStream,
    output: &mut BufReader<DuplexStream>,
    id: Value,
    method: &str,
    params: Value,
) -> Value {
    send(input, &json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})).await;
    next(output).await
}

/// A daemon with a run that is going on, whose tools are served; the run, and what makes passes.
async fn at_work() -> (World, String, Passes) {
    let mut world = World::with_agent().await;
    let paths = world.engine.paths().clone();
    std::fs::create_dir_all(paths.tools()).unwrap();
    let passes = Passes::open(&paths.passes()).unwrap();
    world.server.serve_tools(&paths.tools_socket(), passes.clone()).await.unwrap();
    world.mission().await;
    let run = world.event("run_started", 0).await.run.unwrap().to_string();
    (world, run, passes)
}

/// A process that uses these tools with this pass, in the run of this name.
fn calls(world: &World, run: Option<&str>, pass: &str, calls: Value) -> Command {
    let mut command = shell("tools::caller", run, r#""$@""#);
    command.env(pass::SOCKET, world.engine.paths().tools_socket()).env(pass::PASS, pass);
    command.env(CALLS, calls.to_string());
    command
}

#[tokio::test]
async fn the_agent_of_a_run_uses_its_tools_and_what_it_does_wrong_it_is_told() {
    let (world, run, passes) = at_work().await;
    let pass = passes.of(run.parse().unwrap());
    let uses = json!([
        ["report_progress", {"text": "half way"}],
        ["get_item", {"key": "schema"}],
        ["get_item", {"key": "schemo"}],
        ["submit_result", {"summry": "x"}],
        ["read_messages", {}],
        ["fly", {}],
    ]);
    let said = said(calls(&world, Some(&run), &pass, uses)).await;
    let answers: Vec<&str> = said.split(" | ").collect();
    assert_eq!(answers[0], "Done.");
    assert!(answers[1].contains("Please do schema."), "{said}");
    assert!(answers[2].contains("did you mean `schema`?"), "{said}");
    assert!(answers[3].contains("unknown field `summry`"), "{said}");
    assert_eq!(answers[4], "There are no new messages.");
    assert!(answers[5].contains("there is no tool `fly`"), "{said}");
    assert_eq!(world.event("progress_reported", 0).await.body["text"], "half way");
    let shown = world.client.run(&run).await.unwrap();
    assert_eq!(shown.run.progress.as_deref(), Some("half way"));
}

#[tokio::test]
async fn a_question_waits_until_a_person_has_answered() {
    let (world, run, passes) = at_work().await;
    let pass = passes.of(run.parse().unwrap());
    let asks = calls(&world, Some(&run), &pass, json!([["ask_operator", {"question": "which?"}]]));
    let asking = tokio::spawn(said(asks));
    let asked = world.event("help_requested", 0).await;
    let request = asked.body["request"].as_str().unwrap().to_owned();
    let replied = world.client.clone().speaking_for("ann").answer(&request, "the second").await.unwrap();
    assert_eq!(replied.question, "which?");
    assert_eq!(asking.await.unwrap(), "ann answers: the second");
    match world.client.answer(&request, "the first").await {
        Err(ClientError::Problem(problem)) => assert!(problem.to_string().contains("was answered by ann"), "{problem}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn who_is_not_of_the_run_gets_nothing_with_its_pass() {
    let (world, run, passes) = at_work().await;
    let pass = passes.of(run.parse().unwrap());
    let uses = || json!([["report_progress", {"text": "I am it"}]]);
    std::fs::create_dir_all(world.engine.paths().run("gate-1")).unwrap();
    let refused = "the pass is of another run";
    assert_eq!(said(calls(&world, None, &pass, uses())).await, refused, "an operator's process");
    assert_eq!(said(calls(&world, Some("gate-1"), &pass, uses())).await, refused, "a gate");
    let other = passes.of(musher_core::id::RunId::from_bytes([7; 16]));
    assert_eq!(said(calls(&world, Some(&run), &other, uses())).await, refused, "the pass of another run");
    let forged = format!("{run}.{}", "0".repeat(64));
    let said = said(calls(&world, Some(&run), &forged, uses())).await;
    assert_eq!(said, "the pass of a run is missing or wrong");
}

#[tokio::test]
async fn over_tcp_a_pass_opens_the_tools_to_its_run_and_nothing_else_to_anyone() {
    let (mut world, run, passes) = at_work().await;
    let file = world.engine.paths().token();
    let address = world.server.serve_tcp("127.0.0.1:0".parse().unwrap(), &file).await.unwrap().to_string();
    let pass = passes.of(run.parse().unwrap());
    for (run, expected) in [(Some(run.as_str()), "200 Done."), (None, "403 other_run")] {
        let mut command = shell("tools::tcp_caller", run, r#""$@""#);
        command.env(ADDRESS, &address).env(pass::PASS, &pass);
        assert_eq!(said(command).await, expected, "{run:?}");
    }
    let token = std::fs::read_to_string(&file).unwrap();
    assert_eq!(by_tcp(&address, token.trim(), "").await, "401 no_pass", "the daemon's token is none");
    let page = by_tcp(&address, &pass, "Origin: https://evil.example\r\n").await;
    assert_eq!(page, "403 wrong_origin");
}

#[tokio::test]
async fn what_is_asked_while_there_is_no_daemon_waits_for_one() {
    let world = World::empty().await;
    let (folder, socket) = (world.engine.paths().tools(), world.engine.paths().tools_socket());
    let (mut input, mut output, relay) = relayed(socket.clone(), "no pass".to_owned());
    send(&mut input, &json!({"jsonrpc": "2.0", "id": "a", "method": "tools/list"})).await;
    let World { mut server, engine, .. } = world;
    std::fs::create_dir_all(folder).unwrap();
    server.serve_tools(&socket, Passes::open(&engine.paths().passes()).unwrap()).await.unwrap();
    let answer = next(&mut output).await;
    assert_eq!(
        (&answer["id"], &answer["error"]["message"]),
        (&json!("a"), &json!("the pass of a run is missing or wrong"))
    );
    drop(input);
    relay.await.unwrap();
}

#[tokio::test]
async fn a_relay_passes_on_so_many_at_once_and_forgets_what_was_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let (mut input, mut output, relay) = relayed(folder.path().join("nobody.sock"), "pass".to_owned());
    let request = |id: u32| json!({"jsonrpc": "2.0", "id": id, "method": "tools/list"});
    for id in 1..=65 {
        send(&mut input, &request(id)).await;
    }
    assert_eq!(next(&mut output).await["id"], 65, "too many");
    send(&mut input, &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}})).await;
    send(&mut input, &request(66)).await;
    send(&mut input, &request(67)).await;
    assert_eq!(next(&mut output).await["id"], 67, "one was forgotten, so that one more was taken");
    input.write_all(b"no json\n\n").await.unwrap();
    assert_eq!(next(&mut output).await["error"]["code"], -32_700);
    drop(input);
    relay.await.unwrap();
}
