//! Listening: for the owner only, once, wherever the folder is.

use std::os::unix::fs::PermissionsExt;

use musher_server::{About, Client, ClientError, ServeError, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixListener};

use crate::errors::parsed;
use crate::world::World;

#[tokio::test]
async fn the_socket_is_for_its_owner_only_and_nothing_is_left_beside_it() {
    let world = World::empty().await;
    let socket = world.engine.paths().socket();
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    let beside = std::fs::read_dir(&world.engine.paths().state).unwrap().flatten();
    assert_eq!(beside.filter(|f| f.file_name().to_string_lossy().starts_with("daemon.sock")).count(), 1);
}

#[tokio::test]
async fn a_socket_with_a_listener_is_refused_and_one_without_is_replaced() {
    let world = World::empty().await;
    let socket = world.engine.paths().socket();
    let mut second = Server::new(world.engine.clone(), About::this("sqlite"));
    assert!(matches!(second.serve_socket(&socket).await, Err(ServeError::InUse { .. })));
    assert!(world.client.status().await.is_ok(), "the first goes on");

    let stale = world.folder.path().join("stale.sock");
    drop(UnixListener::bind(&stale).unwrap());
    assert!(stale.exists());
    assert!(matches!(Client::new(&stale).status().await, Err(ClientError::NoDaemon { .. })));
    second.serve_socket(&stale).await.unwrap();
    assert!(Client::new(&stale).status().await.is_ok());

    let file = world.folder.path().join("a-file");
    std::fs::write(&file, "precious").unwrap();
    assert!(matches!(second.serve_socket(&file).await, Err(ServeError::NoSocket { .. })));
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
}

#[tokio::test]
async fn a_folder_with_a_long_path_is_no_obstacle() {
    let world = World::below(&format!("{0}/{0}/{0}", "x".repeat(60))).await;
    assert!(world.engine.paths().socket().as_os_str().len() > 180);
    assert_eq!(world.client.status().await.unwrap().daemon.node, "here");
}

#[tokio::test]
async fn over_tcp_the_token_is_asked_for() {
    let mut world = World::empty().await;
    let file = world.engine.paths().token();
    let address = world.server.serve_tcp("127.0.0.1:0".parse().unwrap(), &file).await.unwrap();
    let token = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    let ask = async |method: &str, headers: String| {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("{method} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let (status, _, body) = parsed(&answer);
        (status, body["code"].as_str().unwrap_or_default().to_owned())
    };
    let shown = format!("Authorization: Bearer {token}\r\n");
    assert_eq!(ask("GET /v1/status", format!("Host: {address}\r\n{shown}")).await.0, 200);
    assert_eq!(ask("POST /v1/gc", format!("Host: {address}\r\n{shown}")).await.0, 200);
    assert_eq!(ask("GET /v1/status", format!("Host: {address}\r\n")).await, (401, "no_token".to_owned()));
    let evil = format!("Host: evil.example\r\n{shown}");
    assert_eq!(ask("GET /v1/status", evil).await, (403, "wrong_host".to_owned()));
    let page = format!("Host: {address}\r\nOrigin: http://evil.example\r\n{shown}");
    assert_eq!(ask("GET /v1/status", page).await, (403, "wrong_origin".to_owned()));
}
