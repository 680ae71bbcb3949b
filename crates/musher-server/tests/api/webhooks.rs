//! Webhooks of the forge, as GitHub and as everybody else would send them.

use std::net::SocketAddr;
use std::sync::Arc;

use musher_core::command::{Actor, Command};
use musher_core::config::ProjectSettings;
use musher_core::time::Timestamp;
use musher_core::watch::WatchKind;
use musher_engine::ManualClock;
use musher_forge::RepositoryName;
use musher_forge::webhook::{LONGEST, WebhookSecret};
use musher_server::WebhookSetup;
use ring::hmac;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::errors::parsed;
use crate::world::{World, two_items};

const NOON: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);
const SECRET: &str = "It's a Secret to Everybody";
const CLOSED: &str = r#"{"action":"closed","issue":{"number":3},"repository":{"full_name":"Octo/Hello"}}"#;

/// A daemon whose only mission waits for issue 3, and its address.
struct Bench {
    world: World,
    address: SocketAddr,
    clock: Arc<ManualClock>,
}

impl Bench {
    async fn new() -> Self {
        let bench = Self::on(tempfile::tempdir().unwrap(), NOON).await;
        bench.open(SECRET);
        let mut wish = two_items();
        wish.items[0].after = vec![WatchKind::IssueClosed("#3".parse().unwrap())];
        bench.world.client.start_mission(&wish).await.unwrap();
        assert_eq!(bench.looks(1).await, 1);
        bench
    }

    async fn on(folder: tempfile::TempDir, now: Timestamp) -> Self {
        let clock = Arc::new(ManualClock::new(now));
        let mut world = World::in_folder(folder, "", clock.clone()).await;
        let settings = ProjectSettings { min_free_bytes: 0, webhooks: true, ..ProjectSettings::default() };
        world.engine.send(Actor::Musher, Command::Configure(Box::new(settings))).await.unwrap();
        let token = world.engine.paths().token();
        let address = world.server.serve_tcp("127.0.0.1:0".parse().unwrap(), &token).await.unwrap();
        Self { world, address, clock }
    }

    fn open(&self, secret: &str) {
        let secret = WebhookSecret::new(secret).unwrap();
        self.world.server.webhooks().set(Some(WebhookSetup {
            secret,
            reference: "env:HOOK".to_owned(),
            repository: RepositoryName::parse("octo/hello").unwrap(),
        }));
    }

    /// How often the forge was asked for the issue, once that is at least so often: it lets nobody in, and that is said.
    async fn looks(&self, at_least: usize) -> usize {
        let mut after = 0;
        for _ in 0..at_least {
            after = self.world.event("watch_failed", after).await.seq;
        }
        let all = musher_server::api::EventQuery { kind: Some("watch_failed".to_owned()), ..Default::default() };
        self.world.client.events(&all).await.unwrap().len()
    }

    /// Sends what GitHub would through a tunnel, with these headers besides; answers the status and a word.
    async fn send(&self, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
        let length = body.len().to_string();
        self.send_as("POST /v1/forge/webhook", &[headers, &[("Content-Length", &length)]].concat(), body).await
    }

    async fn send_as(&self, line: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let mut head = format!("{line} HTTP/1.1\r\nHost: smooth-otter.tunnel.example\r\nConnection: close\r\n");
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
        // A refusal may come before the whole body is taken.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let (status, _, body) = parsed(&answer);
        let word = body["result"].as_str().or(body["code"].as_str()).unwrap_or_default();
        (status, word.to_owned())
    }

    /// A webhook that is signed with this.
    async fn signed(&self, secret: &str, delivery: &str, event: &str, body: &str) -> (u16, String) {
        let signature = sign(secret, body);
        let headers = [
            ("X-GitHub-Event", event),
            ("X-GitHub-Delivery", delivery),
            ("X-Hub-Signature-256", &*signature),
            ("Content-Type", "application/json"),
        ];
        self.send(&headers, body.as_bytes()).await
    }

    async fn issues(&self, delivery: &str, body: &str) -> (u16, String) {
        self.signed(SECRET, delivery, "issues", body).await
    }
}

fn sign(secret: &str, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag: String = hmac::sign(&key, body.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={tag}")
}

fn is(status: u16, word: &str) -> (u16, String) {
    (status, word.to_owned())
}

#[tokio::test]
async fn a_webhook_makes_its_watch_look_once_however_often_it_is_sent() {
    let bench = Bench::new().await;
    assert_eq!(bench.issues("one", CLOSED).await, is(202, "taken"));
    assert_eq!(bench.looks(2).await, 2);
    for _ in 0..3 {
        assert_eq!(bench.issues("one", CLOSED).await, is(200, "known"));
    }
    // Later ones may come before earlier ones: each says where to look, and nothing of what is there.
    assert_eq!(bench.issues("three", CLOSED).await, is(202, "taken"));
    assert_eq!(bench.looks(3).await, 3);
    assert_eq!(bench.issues("two", CLOSED).await, is(202, "taken"));
    assert_eq!(bench.looks(4).await, 4);
}

#[tokio::test]
async fn a_webhook_that_is_replayed_a_day_later_after_a_restart_is_known() {
    let bench = Bench::new().await;
    assert_eq!(bench.issues("one", CLOSED).await, is(202, "taken"));
    assert_eq!(bench.looks(2).await, 2);
    let Bench { world, clock, .. } = bench;
    let World { folder, engine, server, .. } = world;
    server.stop().await;
    engine.stop().await;
    drop(clock);
    let day = std::time::Duration::from_secs(24 * 3600);
    let bench = Bench::on(folder, NOON.after(day)).await;
    assert_eq!(bench.issues("one", CLOSED).await, is(404, "no_webhooks"), "nobody has opened the door yet");
    bench.open(SECRET);
    let before = bench.looks(3).await;
    assert_eq!(bench.issues("one", CLOSED).await, is(200, "known"));
    assert_eq!(bench.issues("two", CLOSED).await, is(202, "taken"));
    assert_eq!(bench.looks(before + 1).await, before + 1, "the known one made nobody look");
}

#[tokio::test]
async fn what_is_not_signed_is_turned_away_unread_and_moves_nothing() {
    let bench = Bench::new().await;
    let garbage = "{\"issue\":";
    let bad = is(401, "bad_signature");
    let (right, sha1) = (sign(SECRET, CLOSED), "sha1=0123456789012345678901234567890123456789");
    let named = [("X-GitHub-Event", "issues"), ("X-GitHub-Delivery", "one")];
    let with = |signature: &[(&'static str, &str)]| {
        let signature: Vec<(&str, String)> = signature.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
        let bench = &bench;
        async move {
            let signature: Vec<(&str, &str)> = signature.iter().map(|(name, text)| (*name, text.as_str())).collect();
            bench.send(&[&named[..], &signature].concat(), CLOSED.as_bytes()).await
        }
    };
    assert_eq!(with(&[]).await, bad);
    assert_eq!(with(&[("X-Hub-Signature", sha1)]).await, bad, "the older signature counts for nothing");
    assert_eq!(with(&[("X-Hub-Signature-256", sha1)]).await, bad);
    assert_eq!(with(&[("X-Hub-Signature-256", &right[..70])]).await, bad);
    assert_eq!(with(&[("X-Hub-Signature-256", &right.replace("sha256=", "SHA256="))]).await, bad);
    assert_eq!(bench.signed("another secret", "one", "issues", CLOSED).await, bad);
    assert_eq!(bench.signed("", "one", "issues", CLOSED).await, bad, "an empty secret is no secret");
    assert_eq!(bench.signed("another secret", "one", "issues", garbage).await, bad, "verified before it is parsed");
    let longer = format!("{CLOSED} ");
    let named = [("X-GitHub-Event", "issues"), ("X-GitHub-Delivery", "one"), ("X-Hub-Signature-256", &*right)];
    assert_eq!(bench.send(&named, longer.as_bytes()).await, bad, "every byte is signed");
    assert_eq!(bench.looks(1).await, 1);
    assert_eq!(bench.issues("one", CLOSED).await, is(202, "taken"), "none of them has used the id up");
    assert_eq!(bench.looks(2).await, 2);
}

#[tokio::test]
async fn what_is_signed_and_is_no_webhook_of_the_repository_moves_nothing() {
    let bench = Bench::new().await;
    let strange = is(400, "not_a_webhook");
    for body in ["", "{\"issue\":", "[]", "null", "{}", "payload=%7B%7D", &"[".repeat(10_000)] {
        assert_eq!(bench.issues("one", body).await, strange, "{body:.20}");
    }
    assert_eq!(bench.issues("a b", CLOSED).await, strange);
    let elsewhere = CLOSED.replace("Octo/Hello", "octo/other");
    assert_eq!(bench.issues("one", &elsewhere).await, is(202, "ignored"));
    let ping = r#"{"zen":"Keep it logically awesome.","organization":{"login":"octo"}}"#;
    assert_eq!(bench.signed(SECRET, "one", "ping", ping).await, is(202, "unwatched"));
    assert_eq!(bench.signed(SECRET, "two", "push", CLOSED).await, is(202, "unwatched"));
    assert_eq!(bench.issues("three", &CLOSED.replace('3', "4")).await, is(202, "unwatched"));
    assert_eq!(bench.looks(1).await, 1);
}

#[tokio::test]
async fn a_body_without_end_is_turned_away_before_it_is_read() {
    let bench = Bench::new().await;
    let huge = is(413, "too_large");
    let long = " ".repeat(LONGEST + 1);
    let signature = sign(SECRET, &long);
    let named = [("X-GitHub-Event", "issues"), ("X-GitHub-Delivery", "one"), ("X-Hub-Signature-256", &*signature)];
    for length in [long.len().to_string(), (1_u64 << 40).to_string()] {
        let headers = [&named[..], &[("Content-Length", &*length)]].concat();
        assert_eq!(bench.send_as("POST /v1/forge/webhook", &headers, b"").await, huge, "not a byte of it has come");
    }
    // The length is not said.
    let chunked = format!("{:x}\r\n{long}", long.len());
    let headers = [&named[..], &[("Transfer-Encoding", "chunked")]].concat();
    assert_eq!(bench.send_as("POST /v1/forge/webhook", &headers, chunked.as_bytes()).await, huge);
    let fits = format!("{CLOSED}{}", " ".repeat(LONGEST - CLOSED.len()));
    assert_eq!(bench.issues("one", &fits).await, is(202, "taken"));
}

#[tokio::test]
async fn a_tunnel_leads_to_webhooks_and_to_nothing_else_and_a_web_page_not_even_there() {
    let bench = Bench::new().await;
    assert_eq!(bench.send_as("GET /v1/status", &[], b"").await, is(403, "wrong_host"));
    assert_eq!(bench.send_as("GET /v1/forge/webhook", &[], b"").await, is(405, "no_method"));
    assert_eq!(bench.send_as("POST /v1/forge/webhook/..", &[], b"").await, is(403, "wrong_host"));
    let signature = sign(SECRET, CLOSED);
    let named = [("X-GitHub-Event", "issues"), ("X-GitHub-Delivery", "one"), ("X-Hub-Signature-256", &*signature)];
    let of_page = [&named[..], &[("Origin", "http://127.0.0.1")]].concat();
    assert_eq!(bench.send(&of_page, CLOSED.as_bytes()).await, is(403, "wrong_origin"));
    assert_eq!(bench.send(&named, CLOSED.as_bytes()).await, is(202, "taken"));
    // Another secret is in force at once, and no secret at all too.
    bench.open("another secret");
    assert_eq!(bench.issues("two", CLOSED).await, is(401, "bad_signature"));
    assert_eq!(bench.signed("another secret", "two", "issues", CLOSED).await, is(202, "taken"));
    bench.world.server.webhooks().set(None);
    assert_eq!(bench.signed("another secret", "three", "issues", CLOSED).await, is(404, "no_webhooks"));
}
