//! Sinks: whatever a receiver does, it gets every event in order, and no other sink waits for it.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use musher_core::command::{Actor, Command};
use musher_core::config::{ProjectSettings, SecretRef, SinkConfig, SinkTo};
use musher_core::sink::SinkFrom;
use musher_core::time::Timestamp;
use musher_engine::ManualClock;
use musher_server::api::{Event, EventQuery};
use musher_server::{Rest, SinkSetup};
use tokio::sync::{mpsc, oneshot};

use crate::world::{World, within};

/// 2026-01-31T09:00:00Z.
const NOON: Timestamp = Timestamp::from_micros(1_769_850_000_000_000);
const SECRET: &str = "It is a secret";

/// A request that a receiver got; it waits for its answer.
struct Hit {
    headers: HeaderMap,
    body: Bytes,
    answer: oneshot::Sender<Response>,
}

impl Hit {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap().to_str().unwrap()
    }

    fn event(&self) -> Event {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn seq(&self) -> u64 {
        self.header("x-musher-seq").parse().unwrap()
    }

    fn answer(self, answer: impl IntoResponse) -> u64 {
        let seq = self.seq();
        let _ = self.answer.send(answer.into_response());
        seq
    }

    fn take(self) -> u64 {
        self.answer(StatusCode::NO_CONTENT)
    }
}

/// A receiver whose answers the test gives.
struct Receiver {
    url: String,
    hits: mpsc::UnboundedReceiver<Hit>,
}

impl Receiver {
    async fn open() -> Self {
        let (sender, hits) = mpsc::unbounded_channel();
        let hit = |State(sender): State<mpsc::UnboundedSender<Hit>>, headers: HeaderMap, body: Bytes| async move {
            let (answer, answered) = oneshot::channel();
            let _ = sender.send(Hit { headers, body, answer });
            // Dropped without an answer, it breaks off as a crash would.
            answered.await.unwrap_or_else(|_| StatusCode::IM_A_TEAPOT.into_response())
        };
        let router = axum::Router::new().fallback(hit).with_state(sender);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/musher?team=a", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, hits }
    }

    async fn next(&mut self) -> Hit {
        within(self.hits.recv(), || format!("{} was to be sent an event", self.url)).await.unwrap()
    }

    fn setup(&self, name: &str, kinds: &[&str]) -> SinkSetup {
        let to = SinkTo::Webhook { url: self.url.clone(), secret: SecretRef::Env("X".into()) };
        SinkSetup { config: config(name, to, kinds), secret: Some(SECRET.to_owned()) }
    }
}

fn config(name: &str, to: SinkTo, kinds: &[&str]) -> SinkConfig {
    let kinds = kinds.iter().map(|k| (*k).to_owned()).collect();
    SinkConfig { name: name.to_owned(), to, kinds, missions: Vec::new(), from: SinkFrom::Present }
}

fn file(name: &str, path: &str) -> SinkSetup {
    let to = SinkTo::File { path: path.to_owned(), max_size_bytes: 1 << 20, keep: 3 };
    SinkSetup { config: config(name, to, &[]), secret: None }
}

/// A daemon whose clock the test moves.
struct Timed {
    world: World,
    clock: Arc<ManualClock>,
    gate: u32,
}

impl Timed {
    async fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap(), NOON).await
    }

    async fn on(folder: tempfile::TempDir, now: Timestamp) -> Self {
        let clock = Arc::new(ManualClock::new(now));
        Self { world: World::in_folder(folder, "", clock.clone()).await, clock, gate: 0 }
    }

    async fn set(&self, setups: &[SinkSetup]) {
        self.world.server.sinks().set(setups.to_vec()).await.unwrap();
    }

    /// Brings so many events about; answers the place of the last.
    async fn happen(&mut self, events: u32) -> u64 {
        let after = self.world.engine.seq().borrow().0;
        for _ in 0..events {
            self.gate += 1;
            let gate = Some(format!("{} {}", self.gate, self.clock_micros()));
            let settings = ProjectSettings { gate, min_free_bytes: 0, ..ProjectSettings::default() };
            let actor = Actor::Operator("test".into());
            self.world.engine.send(actor, Command::Configure(Box::new(settings))).await.unwrap();
        }
        // Sinks say things of their own meanwhile.
        let kind = Some("settings_changed".to_owned());
        let wanted = EventQuery { after, kind, limit: Some(10_000), ..EventQuery::default() };
        self.world.client.events(&wanted).await.unwrap().last().unwrap().seq
    }

    fn clock_micros(&self) -> i64 {
        self.world.engine.now().as_micros()
    }

    /// Waits until the sink has failed, and goes to the moment of its next try.
    async fn to_next_try(&self, name: &str) {
        let sinks = self.world.server.sinks();
        let Some(Rest::Until(due)) = sinks.rested(name).await else { panic!("{name} does not wait for a moment") };
        self.clock.set(due);
        sinks.wake().await;
    }

    async fn events(&self, kind: &str) -> Vec<Event> {
        let wanted = EventQuery { kind: Some(kind.to_owned()), ..EventQuery::default() };
        self.world.client.events(&wanted).await.unwrap()
    }

    async fn sink(&self, name: &str) -> musher_server::api::Sink {
        let all = self.world.client.sinks().await.unwrap().sinks;
        all.into_iter().find(|sink| sink.name == name).unwrap()
    }

    fn lines(&self, path: &str) -> Vec<u64> {
        let text = std::fs::read_to_string(self.world.folder.path().join(path)).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str::<Event>(line).unwrap().seq).collect()
    }
}

fn hmac(seconds: &str, body: &[u8]) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    let tag = ring::hmac::sign(&key, &[seconds.as_bytes(), b".", body].concat());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={hex}")
}

#[tokio::test]
async fn an_event_is_sent_as_the_api_has_it_signed_and_named() {
    let mut t = Timed::new().await;
    let mut receiver = Receiver::open().await;
    t.set(&[receiver.setup("hook", &["settings_*"])]).await;
    let seq = t.happen(1).await;
    let hit = receiver.next().await;
    let listed = t.world.client.events(&EventQuery { after: seq - 1, ..EventQuery::default() }).await.unwrap();
    assert_eq!(vec![hit.event()], listed);
    assert_eq!((hit.seq(), hit.header("x-musher-kind")), (seq, "settings_changed"));
    assert_eq!(hit.header("content-type"), "application/json");
    assert_eq!(hit.header("x-musher-timestamp"), NOON.as_secs().to_string());
    assert_eq!(hit.header("x-musher-signature"), hmac(hit.header("x-musher-timestamp"), &hit.body));
    hit.take();
    assert_eq!(t.world.server.sinks().rested("hook").await, Some(Rest::UntilEvent));
    let sink = t.sink("hook").await;
    assert_eq!((sink.state.as_str(), sink.cursor, sink.behind), ("ok", seq, 0));
    assert!(
        sink.to.starts_with("http://127.0.0.1:") && sink.to.ends_with("/…") && !sink.to.contains("team"),
        "{}",
        sink.to
    );
}

#[tokio::test]
async fn a_receiver_that_is_down_for_an_hour_gets_everything_in_order_and_delays_nobody() {
    let mut t = Timed::new().await;
    let (mut down, mut up) = (Receiver::open().await, Receiver::open().await);
    let config = ["settings_changed"];
    t.set(&[down.setup("down", &config), up.setup("up", &config), file("log", ".musher/log.ndjson")]).await;
    let begin = t.world.engine.seq().borrow().0;
    let mut sent = Vec::new();
    let mut tries = 0;
    while t.clock_micros() < NOON.as_micros() + 3_600_000_000 {
        // The others are served while this one fails.
        sent.push(t.happen(1).await);
        assert_eq!(up.next().await.take(), *sent.last().unwrap());
        let hit = down.next().await;
        assert_eq!(hit.seq(), sent[0], "always the first that it did not take");
        match tries % 3 {
            0 => drop(hit.answer((StatusCode::INTERNAL_SERVER_ERROR, "out of\norder \u{1b}[31m"))),
            1 => drop(hit.answer((StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "120")]))),
            _ => drop(hit.answer((StatusCode::MOVED_PERMANENTLY, [("location", "http://127.0.0.1:1/")]))),
        }
        tries += 1;
        t.to_next_try("down").await;
    }
    let sink = t.sink("down").await;
    assert_eq!((sink.state.as_str(), sink.event, sink.attempts), ("failing", Some(sent[0]), tries));
    assert_eq!(sink.failing_since, Some(NOON));
    assert!(sink.behind >= sent.len() as u64, "{sink:?}");
    assert_eq!(t.world.client.status().await.unwrap().sinks.iter().filter(|s| s.state == "failing").count(), 1);

    for seq in &sent {
        assert_eq!(down.next().await.take(), *seq);
    }
    t.world.server.sinks().rested("down").await;
    assert_eq!((t.events("delivery_failed").await.len(), t.events("delivery_recovered").await.len()), (1, 1));
    assert_eq!(t.sink("down").await.state, "ok");
    t.world.server.sinks().rested("log").await;
    let last = t.world.engine.seq().borrow().0;
    assert_eq!(t.lines(".musher/log.ndjson"), (begin + 1..=last).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_a_receiver_answered_is_told_in_one_line() {
    let mut t = Timed::new().await;
    let mut receiver = Receiver::open().await;
    t.set(&[receiver.setup("hook", &["settings_changed"])]).await;
    t.happen(1).await;
    let cases: [(Response, &str); 3] = [
        (
            (StatusCode::INTERNAL_SERVER_ERROR, "out of\norder \u{1b}[31m").into_response(),
            "it answered 500 Internal Server Error: out of order [31m",
        ),
        (
            (StatusCode::FOUND, [("location", "/other")]).into_response(),
            "it answered 302 Found, which is not followed: put the new address into its `url`",
        ),
        ((StatusCode::GONE, "x".repeat(100_000)).into_response(), "it answered 410 Gone"),
    ];
    for (answer, told) in cases {
        receiver.next().await.answer(answer);
        t.world.server.sinks().rested("hook").await;
        assert_eq!(t.sink("hook").await.error.as_deref(), Some(told));
        t.to_next_try("hook").await;
    }
    receiver.next().await.take();
}

#[tokio::test]
async fn a_receiver_can_ask_for_the_time_of_the_next_try() {
    let mut t = Timed::new().await;
    let mut receiver = Receiver::open().await;
    t.set(&[receiver.setup("hook", &["settings_changed"])]).await;
    t.happen(1).await;
    for (asked, waits) in [("600", 600), ("86400", 3600), ("tomorrow", 0)] {
        receiver.next().await.answer((StatusCode::TOO_MANY_REQUESTS, [("retry-after", asked)]));
        let before = t.clock_micros();
        t.to_next_try("hook").await;
        let waited = (t.clock_micros() - before) / 1_000_000;
        assert!((waits..waits.max(5) + 1).contains(&waited), "{asked}: {waited} s");
    }
    receiver.next().await.take();
}

#[tokio::test]
async fn a_slow_receiver_slows_itself_only() {
    let mut t = Timed::new().await;
    let (mut slow, mut quick) = (Receiver::open().await, Receiver::open().await);
    t.set(&[slow.setup("slow", &["settings_changed"]), quick.setup("quick", &["settings_changed"])]).await;
    let first = t.happen(1).await;
    let held = slow.next().await;
    let last = t.happen(30).await;
    let quick_seqs = async {
        let mut seen = Vec::new();
        while seen.last() != Some(&last) {
            seen.push(quick.next().await.take());
        }
        seen
    };
    assert_eq!(quick_seqs.await, (first..=last).collect::<Vec<_>>());
    assert!(slow.hits.try_recv().is_err(), "one request at a time");
    held.take();
    for seq in first + 1..=last {
        assert_eq!(slow.next().await.take(), seq);
    }
}

#[tokio::test]
async fn what_was_delivered_before_a_crash_but_not_written_down_comes_again_and_nothing_is_missing() {
    let mut t = Timed::new().await;
    let mut receiver = Receiver::open().await;
    let setups = [receiver.setup("hook", &["settings_changed"]), file("log", "log.ndjson")];
    t.set(&setups).await;
    let first = t.happen(3).await - 2;
    assert_eq!(receiver.next().await.take(), first);
    let held = receiver.next().await;
    assert_eq!(held.seq(), first + 1);
    // The engine ends, as in a crash, before the answer is there: that it was taken is written down nowhere.
    t.world.engine.stop().await;
    held.take();
    let World { folder, server, .. } = t.world;
    server.stop().await;

    let mut t = Timed::on(folder, NOON).await;
    t.set(&setups).await;
    for seq in [first + 1, first + 2] {
        assert_eq!(receiver.next().await.take(), seq);
    }
    let last = t.happen(1).await;
    while receiver.next().await.take() != last {}
    t.world.server.sinks().rested("log").await;
    let lines = t.lines("log.ndjson");
    assert!(lines.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{lines:?}");
    assert_eq!(lines.last(), Some(&last));
}

#[tokio::test]
async fn after_a_day_of_failing_an_event_is_given_up_and_said_to_the_others() {
    let mut t = Timed::new().await;
    let (mut dead, mut other) = (Receiver::open().await, Receiver::open().await);
    t.set(&[dead.setup("dead", &[]), other.setup("other", &["delivery_*"])]).await;
    let first = t.happen(2).await - 1;
    let sinks = t.world.server.sinks();
    dead.next().await.answer(StatusCode::BAD_REQUEST);
    // While `dead` waits, nothing is asked of it; each try ends in a wait, but the last one in the next event.
    loop {
        let wait = async {
            let Some(Rest::Until(due)) = sinks.rested("dead").await else { panic!("it must wait for a moment") };
            t.clock.set(due);
            sinks.wake().await;
            std::future::pending::<()>().await;
        };
        let hit = tokio::select! {
            hit = dead.next() => hit,
            () = wait => unreachable!(),
        };
        let seq = hit.answer(StatusCode::BAD_REQUEST);
        if seq != first {
            assert_eq!(seq, first + 1, "the next one is tried");
            break;
        }
    }
    let passed = t.clock_micros() - NOON.as_micros();
    assert!((24..25).contains(&(passed / 3_600_000_000)), "{passed} µs");
    let failed = other.next().await;
    assert_eq!(failed.event().kind, "delivery_failed");
    failed.take();
    let given_up = other.next().await;
    assert_eq!(given_up.event().kind, "delivery_dead_lettered");
    let body = given_up.event().body;
    assert_eq!((body["sink"].as_str(), body["event"].as_u64()), (Some("dead"), Some(first)));
    assert_eq!(body["event_kind"], "settings_changed");
    given_up.take();
    assert_eq!(t.sink("dead").await.cursor, first);
}

#[tokio::test]
async fn a_test_is_signed_and_answered_and_ends_a_wait() {
    let mut t = Timed::new().await;
    let mut receiver = Receiver::open().await;
    t.set(&[receiver.setup("hook", &["settings_changed"]), file("log", "log.ndjson")]).await;
    let seq = t.happen(1).await;
    receiver.next().await.answer(StatusCode::BAD_GATEWAY);
    t.world.server.sinks().rested("hook").await;

    let client = t.world.client.clone();
    let refused = async { client.test_sink("hook").await.unwrap() };
    let (tested, ()) = tokio::join!(refused, async {
        receiver.next().await.answer(StatusCode::BAD_GATEWAY);
    });
    assert_eq!((tested.ok, tested.answer.as_str()), (false, "it answered 502 Bad Gateway"));

    let taken = async { client.test_sink("hook").await.unwrap() };
    let (tested, hit) = tokio::join!(taken, async {
        let hit = receiver.next().await;
        assert_eq!(hit.header("x-musher-signature"), hmac(hit.header("x-musher-timestamp"), &hit.body));
        let event = hit.event();
        hit.take();
        event
    });
    assert_eq!((tested.ok, tested.answer.as_str()), (true, "it answered 204 No Content"));
    assert_eq!((hit.kind.as_str(), hit.seq), ("sink_test", 0));
    assert_eq!(receiver.next().await.take(), seq, "what waited is sent at once: the clock stands");

    let tested = client.test_sink("log").await.unwrap();
    assert!(tested.ok && tested.answer.starts_with("it can be written"), "{tested:?}");
    let problem = crate::paths::problem(client.test_sink("hok").await);
    assert_eq!((problem.code.as_str(), problem.fix.as_deref()), ("not_found", Some("did you mean `hook`?")));
}

#[tokio::test]
async fn a_changed_config_is_tried_at_once_and_an_unchanged_sink_is_not_disturbed() {
    let mut t = Timed::new().await;
    let (mut old, mut new, mut other) = (Receiver::open().await, Receiver::open().await, Receiver::open().await);
    let kinds = ["settings_changed"];
    t.set(&[old.setup("hook", &kinds), other.setup("other", &kinds)]).await;
    let seq = t.happen(1).await;
    let held = other.next().await;
    old.next().await.answer(StatusCode::NOT_FOUND);
    t.world.server.sinks().rested("hook").await;
    t.set(&[new.setup("hook", &kinds), other.setup("other", &kinds)]).await;
    assert_eq!(new.next().await.take(), seq, "the clock stands");
    held.take();
    let seq = t.happen(1).await;
    assert_eq!((new.next().await.take(), other.next().await.take()), (seq, seq));
    t.set(&[]).await;
    assert!(t.world.client.sinks().await.unwrap().sinks.is_empty());
    assert!(old.hits.try_recv().is_err());
}

#[tokio::test]
async fn events_that_nobody_wants_are_passed_over_once() {
    let mut t = Timed::new().await;
    let mut receiver = Receiver::open().await;
    t.set(&[receiver.setup("hook", &["mission_completed"])]).await;
    let begin = t.sink("hook").await.cursor;
    let last = t.happen(1_200).await;
    while t.sink("hook").await.behind > 0 {
        t.world.server.sinks().rested("hook").await;
        tokio::task::yield_now().await;
    }
    let cursor = t.sink("hook").await.cursor;
    assert!(cursor >= begin + 1_000 && cursor <= last, "{begin} {cursor} {last}");
    assert!(receiver.hits.try_recv().is_err());
}

#[tokio::test]
async fn a_file_that_cannot_be_written_waits_and_loses_nothing() {
    let mut t = Timed::new().await;
    let folder = t.world.folder.path().join("taken");
    std::fs::create_dir(&folder).unwrap();
    t.set(&[file("log", "taken")]).await;
    let last = t.happen(3).await;
    let sinks = t.world.server.sinks();
    assert!(matches!(sinks.rested("log").await, Some(Rest::Until(_))));
    let sink = t.sink("log").await;
    assert!(sink.error.as_deref().is_some_and(|error| error.contains("taken")), "{sink:?}");
    std::fs::remove_dir(&folder).unwrap();
    t.to_next_try("log").await;
    assert_eq!(sinks.rested("log").await, Some(Rest::UntilEvent));
    let lines = t.lines("taken");
    assert!(lines.starts_with(&[last - 2, last - 1, last]), "{lines:?}");
    assert!(!lines.iter().any(|seq| *seq == last + 1), "it is not told of its own failure: {lines:?}");
}

/// A backup was restored: the same numbers are given again, to other events.
#[tokio::test]
async fn a_file_of_another_log_hides_no_event_of_this_one() {
    let t = Timed::new().await;
    let path = t.world.folder.path().join("log.ndjson");
    let old = r#"{"seq":1000,"at":"2026-01-30T09:00:00Z","kind":"settings_changed","actor":"ann","body":{}}"#;
    std::fs::write(path, format!("{old}\n")).unwrap();
    let mut t = t;
    t.set(&[file("log", "log.ndjson")]).await;
    let last = t.happen(2).await;
    while t.sink("log").await.behind > 0 {
        t.world.server.sinks().rested("log").await;
        tokio::task::yield_now().await;
    }
    assert_eq!(t.lines("log.ndjson"), [1000, last - 1, last]);
}

#[tokio::test]
async fn whoever_still_knows_the_sinks_does_not_keep_the_store_open() {
    let t = Timed::new().await;
    t.set(&[file("log", "log.ndjson")]).await;
    let sinks = t.world.server.sinks();
    sinks.rested("log").await;
    t.world.client.status().await.unwrap();
    let World { folder, server, engine, .. } = t.world;
    server.stop().await;
    engine.stop().await;
    // Whoever closes it last brings the log into the file and removes it; a reader cannot.
    assert!(folder.path().join(".musher/musher.db").exists());
    assert!(!folder.path().join(".musher/musher.db-wal").exists());
    sinks.wake().await;
}

#[tokio::test]
async fn a_restart_does_not_change_when_a_failing_sink_is_tried_again() {
    let mut t = Timed::new().await;
    let mut receiver = Receiver::open().await;
    let setups = [receiver.setup("hook", &["settings_changed"])];
    t.set(&setups).await;
    let seq = t.happen(1).await;
    receiver.next().await.answer((StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "900")]));
    let rest = t.world.server.sinks().rested("hook").await;
    t.world.engine.stop().await;
    let World { folder, server, .. } = t.world;
    server.stop().await;

    let t = Timed::on(folder, NOON).await;
    t.set(&setups).await;
    let sinks = t.world.server.sinks();
    assert_eq!(sinks.rested("hook").await, rest);
    assert!(receiver.hits.try_recv().is_err());
    t.to_next_try("hook").await;
    assert_eq!(receiver.next().await.take(), seq);
}
