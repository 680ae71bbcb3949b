//! GitHub's webhooks on their way to the daemon: lost, doubled, in another order, forged, and a day late.

use std::io::{Read, Write};
use std::net::TcpStream;

use musher_core::watch::WatchKind;
use musher_forge_fake::{Delivery, Push};
use musher_server::Client;
use musher_server::api::{NewItem, StartMission};

use crate::forge::{Bench, REPO, person};

const HOOKED: &str = "webhook = \"env:MUSHER_TEST_WEBHOOK\"";

pub(crate) fn bench() -> Bench {
    let bench = Bench::new(HOOKED);
    let config = bench.repo.read("musher.toml").replace("http = false", "listen = \"127.0.0.1:0\"");
    bench.repo.write("musher.toml", &config);
    bench
}

/// Where the daemon that was started last listens.
fn address(bench: &Bench) -> String {
    let log = bench.repo.read("outside-daemon.log");
    let said = log.lines().rev().find_map(|line| line.split_once("listening address=")).unwrap();
    said.1.trim().to_owned()
}

/// Sends a webhook as a tunnel hands it on; answers the status and what became of it.
pub(crate) fn send(bench: &Bench, delivery: &Delivery) -> (u16, String) {
    let mut stream = TcpStream::connect(address(bench)).unwrap();
    let length = delivery.body.len();
    let mut head = format!(
        "POST /v1/forge/webhook HTTP/1.1\r\nhost: smooth-otter.example\r\nconnection: close\r\ncontent-length: {length}\r\n"
    );
    for (name, value) in delivery.headers() {
        head += &format!("{name}: {value}\r\n");
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
    stream.write_all(&delivery.body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split_whitespace().nth(1).unwrap().parse().unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    (status, body["result"].as_str().or(body["code"].as_str()).unwrap().to_owned())
}

/// Lets a watch interval of a second pass more than twice: an item that nobody can take waits for a program meanwhile.
pub(crate) fn intervals(bench: &Bench, name: &str) {
    let count = bench.repo.file(name);
    let script = format!("echo x >>'{0}'; test $(wc -l <'{0}') -ge 4", count.display());
    let argv = ["sh", "-c", &*script].map(Box::from);
    let item = NewItem {
        key: "wait".to_owned(),
        title: "Wait".to_owned(),
        labels: vec!["nobody".to_owned()],
        after: vec![WatchKind::Command(argv.into())],
        ..NewItem::default()
    };
    let policy = musher_core::mission::Policy { watch_interval_secs: 1, ..Default::default() };
    let wish = StartMission { goal: name.to_owned(), policy, base: "main".to_owned(), ask: false, items: vec![item] };
    let client = Client::new(bench.repo.file(".musher/daemon.sock"));
    let mission = bench.runtime.block_on(client.start_mission(&wish)).unwrap().id.to_string();
    let mut events = bench.repo.follow(0);
    while events.until("watch_done")["mission"] != mission {}
    assert_eq!(bench.repo.read(name).lines().count(), 4);
}

pub(crate) fn completed(bench: &Bench, mission: &str) {
    let mut events = bench.repo.follow(0);
    while events.until("mission_completed")["mission"] != mission {}
}

/// Starts a mission whose pull request waits for its check, and answers its id, the number and the head.
pub(crate) fn waiting(bench: &Bench) -> (String, u64, String) {
    bench.fake.world(|world| {
        let ci = |_: &Push| vec![("build".to_owned(), String::new())];
        world.repository(REPO).ci = Some(Box::new(ci));
    });
    bench.musher(&["mission", "start", "--text", "patient", "--auto-merge", "--watch-interval", "1"]).ok();
    let opened = bench.repo.follow(0).until("pull_opened");
    let number = opened["body"]["number"].as_u64().unwrap();
    let head = bench.fake.world(|world| world.repository(REPO).pulls[&number].head.clone());
    (opened["mission"].as_str().unwrap().to_owned(), number, head)
}

#[test]
fn webhooks_lost_doubled_reordered_and_late_lose_nothing_and_do_nothing_twice() {
    let bench = bench();
    let daemon = bench.up();
    let (mission, number, head) = waiting(&bench);
    let mut sent = bench.fake.take_deliveries();
    sent.reverse();
    assert!(sent.len() >= 2, "{sent:?}");
    for delivery in &sent {
        let (status, word) = send(&bench, delivery);
        assert_eq!(status, 202, "{} {word}", delivery.event);
    }
    assert!(
        sent.iter().map(|delivery| send(&bench, delivery)).any(|(status, word)| (status, &*word) == (200, "known"))
    );
    intervals(&bench, "outside-one");
    bench.fake.take_seen();
    intervals(&bench, "outside-two");
    assert_eq!(bench.fake.take_seen(), [], "nothing is asked between webhooks");

    // What says that the check has succeeded is lost. Another one comes.
    bench.fake.world(|world| world.set_check(REPO, &head, "build", Some("success")));
    let lost = bench.fake.take_deliveries();
    bench.fake.world(|world| world.add_comment(REPO, number, person("ada", "MEMBER"), "How is it going?"));
    let comment = bench.fake.take_deliveries();
    assert_eq!(send(&bench, &comment[0]), (202, "taken".to_owned()));
    completed(&bench, &mission);

    // A day later, after a restart, by whoever has recorded them.
    daemon.kill();
    let daemon = bench.up();
    bench.fake.take_seen();
    for delivery in sent.iter().chain(&comment).chain(&lost) {
        let answer = send(&bench, delivery);
        assert!(answer == (200, "known".to_owned()) || answer == (202, "unwatched".to_owned()), "{answer:?}");
    }
    intervals(&bench, "outside-three");
    assert_eq!(bench.fake.take_seen(), []);
    bench.fake.world(|world| {
        let pull = &world.repository(REPO).pulls[&number];
        assert!(pull.merged.is_some(), "{pull:?}");
    });
    bench.honest();
    daemon.kill();
}

#[test]
fn what_is_forged_is_turned_away_and_a_new_secret_counts_at_once() {
    let bench = bench();
    let daemon = bench.up();
    let (_, number, _) = waiting(&bench);
    bench.fake.take_deliveries();
    intervals(&bench, "outside-one");
    bench.fake.world(|world| world.add_comment(REPO, number, person("ada", "MEMBER"), "Hello"));
    let [good] = <[Delivery; 1]>::try_from(bench.fake.take_deliveries()).unwrap();
    let refused = (401, "bad_signature".to_owned());
    let text = String::from_utf8(good.body.clone()).unwrap();
    let forged = Delivery { body: text.replace("created", "deleted").into_bytes(), ..good.clone() };
    assert_eq!(send(&bench, &forged), refused);
    assert_eq!(send(&bench, &Delivery { signature: String::new(), ..good.clone() }), refused);
    assert_eq!(
        send(&bench, &Delivery { signature: good.signature.replace("sha256", "sha1"), ..good.clone() }),
        refused
    );
    let doctor = bench.musher(&["doctor"]).out;
    assert!(doctor.contains("webhooks: the secret is set; those of octo/hello are taken"), "{doctor}");

    // What the secret's reference names is read anew with the configuration.
    bench.repo.write("outside-secret", "another\n");
    let config = bench.repo.read("musher.toml").replace(HOOKED, "webhook = \"file:outside-secret\"");
    bench.repo.write("musher.toml", &config);
    while send(&bench, &good) != refused {
        std::thread::yield_now();
    }
    let config = config.replace("webhook = \"file:outside-secret\"", HOOKED);
    bench.repo.write("musher.toml", &config);
    while send(&bench, &good) == refused {
        std::thread::yield_now();
    }
    assert_eq!(send(&bench, &good), (200, "known".to_owned()));
    let config = config.replace(HOOKED, "webhook = \"env:MUSHER_TEST_NOT_SET\"");
    bench.repo.write("musher.toml", &config);
    // The daemon keeps what it had.
    let doctor = bench.musher(&["doctor"]).out;
    let lacks = "fail  webhooks: the daemon that runs does not have the secret `env:MUSHER_TEST_NOT_SET`";
    assert!(doctor.contains(lacks), "{doctor}");
    daemon.kill();
    let doctor = bench.musher(&["doctor"]).out;
    assert!(doctor.contains("fail  webhooks: the secret `env:MUSHER_TEST_NOT_SET` is not set"), "{doctor}");
}

#[test]
fn doctor_asks_the_daemon_that_runs_whether_webhooks_can_come() {
    let bench = bench();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config = bench.repo.read("musher.toml").replace("127.0.0.1:0", &address);
    bench.repo.write("musher.toml", &config);
    // This doctor has not the environment of the daemon.
    let doctor = || bench.repo.musher(&["doctor"]).out;
    let unset = doctor();
    assert!(unset.contains("fail  webhooks: the secret `env:MUSHER_TEST_WEBHOOK` is not set"), "{unset}");
    let daemon = bench.up();
    let closed = doctor();
    let words =
        format!("fail  webhooks: the secret is set, but the daemon is not listening on {address}: Address already");
    assert!(closed.contains(&words), "{closed}");
    drop(taken);
    bench.repo.until_status(|status| status["daemon"]["http"]["listening"] == true);
    let open = doctor();
    let words = format!("pass  webhooks: the secret is set; those of octo/hello are taken on {address}");
    assert!(open.contains(&words), "{open}");
    daemon.kill();
}
