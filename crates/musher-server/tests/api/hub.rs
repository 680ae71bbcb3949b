//! A hub and the projects that tell it: whatever breaks between them, the hub shows what the projects show.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use musher_core::command::{Actor, Command};
use musher_core::config::{SecretRef, SinkConfig, SinkTo};
use musher_core::event::Logged;
use musher_core::hub::{ItemCard, MissionCard, Told};
use musher_core::id::ItemId;
use musher_core::relay::{NAME, tells};
use musher_core::sink::SinkFrom;
use musher_core::time::Timestamp;
use musher_engine::ManualClock;
use musher_server::api::{
    Event, EventQuery, HubEventQuery, HubItem, HubMission, HubProject, NewItem, RelayEvent, StartMission,
};
use musher_server::{ClientError, Rest, SinkSetup};
use musher_store::{EventFilter, Scope};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::world::{World, two_items, within};

/// 2026-01-31T09:00:00Z.
const NOON: i64 = 1_769_850_000_000_000;
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// A hub that can be killed, and its address while it lives.
struct Hub {
    world: World,
    address: SocketAddr,
}

impl Hub {
    async fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap()).await
    }

    async fn on(folder: tempfile::TempDir) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(NOON)));
        let mut world = World::seeded(folder, "", clock, 99).await;
        world.server.hub().set(Some(vec!["another token of this hub".to_owned(), TOKEN.to_owned()]));
        let token = world.engine.paths().token();
        let address = world.server.serve_tcp("127.0.0.1:0".parse().unwrap(), &token).await.unwrap();
        Self { world, address }
    }

    /// Ends it as a crash does: what was not answered was perhaps taken.
    async fn kill(self) -> tempfile::TempDir {
        self.world.engine.stop().await;
        let World { folder, server, .. } = self.world;
        server.stop().await;
        folder
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn projects(&self) -> Vec<HubProject> {
        self.world.client.hub_projects().await.unwrap().projects
    }

    /// Every event that it shows of a project.
    async fn events(&self, project: &HubProject) -> Vec<RelayEvent> {
        let mut all = Vec::new();
        let mut query = HubEventQuery { project: Some(project.id.to_string()), limit: Some(700), after: 0 };
        loop {
            let page = self.world.client.hub_events(&query).await.unwrap();
            let Some(last) = page.last() else { return all };
            assert!(page.windows(2).all(|pair| pair[0].place < pair[1].place));
            query.after = last.place;
            all.extend(page.into_iter().map(|event| event.event));
        }
    }

    async fn missions(&self, project: &HubProject) -> Vec<(HubMission, Vec<HubItem>)> {
        let id = project.id.to_string();
        let mut all = Vec::new();
        for mission in self.world.client.hub_project(&id).await.unwrap().missions {
            let shown = self.world.client.hub_mission(&id, &mission.id.to_string()).await.unwrap();
            assert_eq!(shown.mission, mission);
            all.push((mission, shown.items));
        }
        all
    }

    async fn request(&self, head: &str, body: &[u8]) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let head =
            format!("{head}\r\nhost: hub.example.org\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        // A body that is too long is answered before its end.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        (answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0), answer)
    }
}

/// A project that relays.
struct Project {
    world: World,
    clock: Arc<ManualClock>,
    seed: u64,
}

impl Project {
    async fn new(seed: u64) -> Self {
        Self::on(tempfile::tempdir().unwrap(), seed).await
    }

    async fn on(folder: tempfile::TempDir, seed: u64) -> Self {
        let begin = NOON + i64::try_from(seed).unwrap() * 1_000_000;
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(begin)));
        Self { world: World::seeded(folder, "", clock.clone(), seed).await, clock, seed }
    }

    async fn relay(&self, url: &str, name: &str, token: &str) {
        let to = SinkTo::Relay {
            url: url.to_owned(),
            token: SecretRef::Env("X".into()),
            project: (!name.is_empty()).then(|| name.to_owned()),
        };
        let (kinds, missions) = (Vec::new(), Vec::new());
        let config = SinkConfig { name: NAME.to_owned(), to, kinds, missions, from: SinkFrom::Start };
        self.world.server.sinks().set(vec![SinkSetup { config, secret: Some(token.to_owned()) }]).await.unwrap();
    }

    /// A mission of so many items, none of which an agent can take.
    async fn mission(&self, items: usize) -> Vec<ItemId> {
        let item = |n: usize| NewItem {
            key: format!("item-{n}"),
            title: format!("Do part {n} – ünïcode"),
            body: "x".to_owned(),
            depends_on: if n % 10 == 9 { vec![format!("item-{}", n - 1)] } else { Vec::new() },
            ..NewItem::default()
        };
        let wish = StartMission { items: (0..items).map(item).collect(), ..two_items() };
        let id = self.world.client.start_mission(&wish).await.unwrap().id;
        let reader = self.world.engine.reader().await.unwrap();
        reader.items_of(id).unwrap().iter().map(|item| item.id).collect()
    }

    /// Says the same of many items at once.
    async fn each(&self, items: &[ItemId], command: impl Fn(ItemId) -> Command) {
        let said: Vec<_> = items
            .iter()
            .map(|id| {
                let (engine, command) = (self.world.engine.clone(), command(*id));
                tokio::spawn(async move { engine.send(Actor::Operator("ann".into()), command).await.map(|_| ()) })
            })
            .collect();
        for said in said {
            said.await.unwrap().unwrap();
        }
    }

    /// Goes on, over every wait for the next try, until everything is told.
    async fn until_told(&self) {
        let told = async {
            loop {
                match self.world.server.sinks().rested(NAME).await {
                    Some(Rest::UntilEvent) => return,
                    Some(Rest::Until(due)) => {
                        self.clock.set(due);
                        self.world.server.sinks().wake().await;
                    }
                    Some(Rest::Working) | None => panic!("the relay is gone"),
                }
            }
        };
        within(told, || "everything was to be told".to_owned()).await;
    }

    async fn sink(&self) -> musher_server::api::Sink {
        self.world.client.sinks().await.unwrap().sinks.remove(0)
    }

    /// What its own log says that a hub is told.
    async fn own_events(&self) -> Vec<RelayEvent> {
        let reader = self.world.engine.reader().await.unwrap();
        let mut filter = EventFilter::default();
        let mut all: Vec<Logged> = Vec::new();
        loop {
            let page = reader.events(&filter).unwrap();
            let Some(last) = page.last() else { break };
            filter.after = last.seq;
            all.extend(page);
        }
        all.iter().filter(|event| tells(&event.event.happened)).map(|event| Told::of(event).into()).collect()
    }

    async fn own_missions(&self) -> Vec<(HubMission, Vec<HubItem>)> {
        let reader = self.world.engine.reader().await.unwrap();
        let mut all = Vec::new();
        for mission in reader.missions(Scope::All).unwrap() {
            let items = reader.items_of(mission.id).unwrap();
            let items = items.iter().map(|item| ItemCard::of(item, None).into()).collect();
            all.push((MissionCard::of(&mission).into(), items));
        }
        all
    }

    async fn events(&self, kind: &str) -> Vec<Event> {
        let wanted = EventQuery { kind: Some(kind.to_owned()), ..EventQuery::default() };
        self.world.client.events(&wanted).await.unwrap()
    }

    async fn stop(self) -> (tempfile::TempDir, u64) {
        self.world.engine.stop().await;
        let World { folder, server, .. } = self.world;
        server.stop().await;
        (folder, self.seed)
    }
}

/// The hub shows of this project what the project itself has, and every event once and in order.
async fn assert_same(hub: &Hub, shown: &HubProject, project: &Project) {
    let (told, own) = (hub.events(shown).await, project.own_events().await);
    assert_eq!(told.len(), own.len(), "events of {}", shown.shown);
    for (told, own) in told.iter().zip(&own) {
        assert_eq!(told, own);
    }
    assert_eq!(shown.events, own.len() as u64);
    assert_eq!(hub.missions(shown).await, project.own_missions().await);
}

/// A way to the hub that breaks off after a number of bytes that nobody can foresee, in either direction.
struct Proxy {
    address: SocketAddr,
    to: watch::Sender<Option<SocketAddr>>,
    /// The most bytes of a connection up and down; none = as many as there are.
    cut: watch::Sender<Option<(u64, u64)>>,
    cuts: watch::Receiver<u64>,
}

impl Proxy {
    async fn open(seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (to, target) = watch::channel(None);
        let (cut, limits) = watch::channel(None);
        let (count, cuts) = watch::channel(0);
        tokio::spawn(async move {
            let mut chance = seed;
            while let Ok((client, _)) = listener.accept().await {
                let mut below = |most: u64| {
                    chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (chance >> 33) % most.max(1)
                };
                let limit = (*limits.borrow()).map(|(up, down)| (below(up), below(down)));
                let (target, count) = (*target.borrow(), count.clone());
                tokio::spawn(async move {
                    let Some(target) = target else { return };
                    let Ok(server) = TcpStream::connect(target).await else { return };
                    let (up, down) = limit.unwrap_or((u64::MAX, u64::MAX));
                    let (client, server) = (client.into_split(), server.into_split());
                    tokio::select! {
                        () = pass(client.0, server.1, up) => {}
                        () = pass(server.0, client.1, down) => {}
                    }
                    count.send_modify(|count| *count += 1);
                });
            }
        });
        Self { address, to, cut, cuts }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn pass(mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf, mut limit: u64) {
    let mut part = [0; 4096];
    while limit > 0 {
        let most = usize::try_from(limit.min(4096)).unwrap();
        match from.read(&mut part[..most]).await {
            Ok(0) | Err(_) => return,
            Ok(n) if to.write_all(&part[..n]).await.is_err() => return,
            Ok(n) => limit -= n as u64,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_is_killed_and_a_way_that_breaks_leave_no_gap_and_no_double_among_10_000_events() {
    let mut hub = Hub::new().await;
    let proxy = Proxy::open(20_261_128).await;
    let projects = [Project::new(1).await, Project::new(2).await];
    for project in &projects {
        project.relay(&proxy.url(), "shop", TOKEN).await;
    }
    let mut items = Vec::new();
    for project in &projects {
        items.push(project.mission(100).await);
    }
    // The hub is not there at all, for an hour of waits.
    for (project, items) in projects.iter().zip(&items) {
        project.each(items, |id| Command::HoldItem(id, "not yet".into())).await;
        let begin = project.world.engine.now();
        while project.world.engine.now().since(begin).as_secs() < 3_600 {
            let Some(Rest::Until(due)) = project.world.server.sinks().rested(NAME).await else { panic!("it is down") };
            assert!(due.since(project.world.engine.now()).as_secs() <= 66, "at most a minute and a tenth");
            project.clock.set(due);
            project.world.server.sinks().wake().await;
        }
        let sink = project.sink().await;
        assert_eq!((sink.state.as_str(), sink.cursor), ("failing", 0));
        assert_eq!(project.events("delivery_failed").await.len(), 1);
        project.each(items, Command::ReleaseItem).await;
    }
    // It is there, the way to it breaks off all the time, and twice it is killed.
    proxy.to.send_replace(Some(hub.address));
    for round in 0..25 {
        proxy.cut.send_replace(Some(if round % 2 == 0 { (600_000, 2_000) } else { (9_000, 100_000) }));
        for (project, items) in projects.iter().zip(&items) {
            project.each(items, |id| Command::HoldItem(id, format!("round {round}").into())).await;
            project.each(items, Command::ReleaseItem).await;
            // One try, whatever comes of it.
            if let Some(Rest::Until(due)) = project.world.server.sinks().rested(NAME).await {
                project.clock.set(due);
                project.world.server.sinks().wake().await;
            }
        }
        if round == 8 || round == 16 {
            proxy.to.send_replace(None);
            let folder = hub.kill().await;
            hub = Hub::on(folder).await;
            proxy.to.send_replace(Some(hub.address));
        }
    }
    assert!(*proxy.cuts.borrow() > 10, "the way broke {} times", *proxy.cuts.borrow());
    proxy.cut.send_replace(None);
    for project in &projects {
        project.until_told().await;
        assert_eq!(project.sink().await.state, "ok");
        assert_eq!(project.events("delivery_dead_lettered").await.len(), 0);
    }
    let shown = hub.projects().await;
    assert_eq!(shown.len(), 2, "two projects of one name are two: {shown:?}");
    assert!(shown.iter().map(|project| project.events).sum::<u64>() > 10_000);
    for project in &shown {
        assert_eq!((project.name.as_str(), project.shown.clone()), ("shop", format!("shop ({})", project.short_id)));
        assert_eq!(project.mark.history, 1);
    }
    let mine = |project: &Project| {
        let id = project.world.engine.clone();
        async move { id.read(|state| state.sink(NAME).unwrap().relay.unwrap().project).await.unwrap() }
    };
    for project in &projects {
        let id = mine(project).await;
        let shown = shown.iter().find(|shown| shown.id == id).unwrap();
        assert_same(&hub, shown, project).await;
    }
    // By its name alone nobody can say which is meant.
    let Err(ClientError::Problem(problem)) = hub.world.client.hub_project("shop").await else { panic!() };
    assert_eq!((problem.status, problem.code.as_str(), problem.candidates.len()), (409, "ambiguous", 2));
}

#[tokio::test]
async fn a_hub_shows_what_runs_and_merges_as_the_project_itself_does() {
    let hub = Hub::new().await;
    let project = Project::new(3).await;
    project.world.client.add_agent(&crate::world::agent("ann-1")).await.unwrap();
    project.relay(&hub.url(), "", TOKEN).await;
    let mission = project.world.mission().await;
    project.world.runs.end(2);
    project.world.event("mission_completed", 0).await;
    project.until_told().await;
    let shown = hub.projects().await.remove(0);
    let folder = project.world.folder.path().file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(shown.name, folder, "without a name it is called as its folder is");
    let told = hub.missions(&shown).await;
    let own = project.world.client.mission(&mission.id.to_string()).await.unwrap();
    assert_eq!((told[0].0.state.as_str(), told[0].0.goal.as_str()), ("completed", own.mission.goal.as_str()));
    for (told, own) in told[0].1.iter().zip(&own.items) {
        assert_eq!((&told.key, &told.title, &told.state), (&own.key, &own.title, &own.state));
        assert_eq!((&told.agent, &told.commit, &told.reason), (&own.agent, &own.commit, &own.reason));
    }
    assert_eq!((shown.missions["completed"], shown.items["done"]), (1, 2));
    assert_eq!(hub.events(&shown).await, project.own_events().await);
}

#[tokio::test]
async fn a_wrong_token_is_refused_and_said_and_the_right_one_tells_everything() {
    let hub = Hub::new().await;
    let project = Project::new(4).await;
    // The tenth waits for another, and nothing has happened to it yet.
    let items = project.mission(12).await;
    project.relay(&hub.url(), "shop", "0123456789abcdef0123456789abcdeF").await;
    assert!(matches!(project.world.server.sinks().rested(NAME).await, Some(Rest::Until(_))));
    let sink = project.sink().await;
    assert_eq!(sink.state, "failing");
    let error = sink.error.unwrap();
    assert!(error.starts_with("it answered 401 Unauthorized: the hub does not know this token"), "{error}");
    assert!(!error.contains("0123456789"), "{error}");
    assert!(hub.projects().await.is_empty(), "nothing was taken");
    project.each(&items[..3], |id| Command::HoldItem(id, "why".into())).await;

    project.relay(&hub.url(), "shop", TOKEN).await;
    project.until_told().await;
    let shown = hub.projects().await.remove(0);
    assert_same(&hub, &shown, &project).await;
    // It is renamed, and stays the same project.
    project.relay(&hub.url(), "store", TOKEN).await;
    project.each(&items[..3], Command::ReleaseItem).await;
    project.until_told().await;
    let renamed = hub.projects().await;
    assert_eq!((renamed.len(), renamed[0].id, renamed[0].shown.as_str()), (1, shown.id, "store"));
    assert_same(&hub, &renamed[0], &project).await;
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

#[tokio::test]
async fn a_project_that_was_put_back_to_a_backup_tells_its_log_anew_and_says_so() {
    let hub = Hub::new().await;
    let project = Project::new(5).await;
    let items = project.mission(4).await;
    project.relay(&hub.url(), "shop", TOKEN).await;
    project.until_told().await;
    let (folder, seed) = project.stop().await;
    let backup = tempfile::tempdir().unwrap();
    copy(&folder.path().join(".musher"), &backup.path().join(".musher"));

    let project = Project::on(folder, seed + 100).await;
    project.relay(&hub.url(), "shop", TOKEN).await;
    project.each(&items, |id| Command::HoldItem(id, "in the lost future".into())).await;
    project.until_told().await;
    assert_same(&hub, &hub.projects().await[0], &project).await;
    drop(project.stop().await);

    let project = Project::on(backup, seed + 200).await;
    project.each(&items[..1], Command::CancelItem).await;
    project.relay(&hub.url(), "shop", TOKEN).await;
    project.until_told().await;
    let shown = hub.projects().await;
    assert_eq!((shown.len(), shown[0].mark.history), (1, 2));
    assert_same(&hub, &shown[0], &project).await;
    assert_eq!(project.events("relay_restarted").await.len(), 1);
    assert!(!hub.events(&shown[0]).await.iter().any(|event| event.body.to_string().contains("lost future")));
    // After that it goes on as ever.
    project.each(&items[1..], |id| Command::HoldItem(id, "now".into())).await;
    project.until_told().await;
    assert_same(&hub, &hub.projects().await[0], &project).await;
    assert_eq!(project.events("relay_restarted").await.len(), 1);
}

#[tokio::test]
async fn a_hub_that_was_put_back_or_has_forgotten_is_told_what_it_lacks() {
    let hub = Hub::new().await;
    let project = Project::new(6).await;
    let items = project.mission(4).await;
    let proxy = Proxy::open(1).await;
    proxy.to.send_replace(Some(hub.address));
    project.relay(&proxy.url(), "shop", TOKEN).await;
    project.until_told().await;
    let folder = hub.kill().await;
    let backup = tempfile::tempdir().unwrap();
    copy(&folder.path().join(".musher"), &backup.path().join(".musher"));

    let hub = Hub::on(folder).await;
    proxy.to.send_replace(Some(hub.address));
    project.each(&items, |id| Command::HoldItem(id, "one".into())).await;
    project.until_told().await;
    drop(hub.kill().await);

    let hub = Hub::on(backup).await;
    proxy.to.send_replace(Some(hub.address));
    project.each(&items, Command::ReleaseItem).await;
    project.until_told().await;
    assert_same(&hub, &hub.projects().await[0], &project).await;

    let forgotten = hub.world.client.forget_project("shop").await.unwrap();
    assert!(hub.projects().await.is_empty());
    assert!(hub.world.client.hub_events(&HubEventQuery::default()).await.unwrap().is_empty());
    project.each(&items[..1], Command::CancelItem).await;
    project.until_told().await;
    let again = hub.projects().await.remove(0);
    assert_eq!(again.id, forgotten.id);
    assert_same(&hub, &again, &project).await;
    assert_eq!(project.events("relay_restarted").await.len(), 0, "its own log was never another");
}

#[tokio::test]
async fn a_copy_of_a_project_does_not_take_its_place_by_turns() {
    let hub = Hub::new().await;
    let project = Project::new(7).await;
    let items = project.mission(2).await;
    project.relay(&hub.url(), "shop", TOKEN).await;
    project.until_told().await;
    let (folder, seed) = project.stop().await;
    let other = tempfile::tempdir().unwrap();
    copy(&folder.path().join(".musher"), &other.path().join(".musher"));
    let (project, copied) = (Project::on(folder, seed + 100).await, Project::on(other, seed + 200).await);
    project.relay(&hub.url(), "shop", TOKEN).await;
    project.each(&items, |id| Command::HoldItem(id, "of the one".into())).await;
    project.until_told().await;
    copied.each(&items, |id| Command::HoldItem(id, "of the copy".into())).await;
    copied.relay(&hub.url(), "shop", TOKEN).await;
    copied.until_told().await;
    assert_eq!(hub.projects().await[0].mark.history, 2);
    project.each(&items, Command::ReleaseItem).await;
    assert!(matches!(project.world.server.sinks().rested(NAME).await, Some(Rest::Until(_))));
    let error = project.sink().await.error.unwrap();
    assert!(error.contains("a later copy of this project") && error.contains("musher hub forget"), "{error}");
    assert_same(&hub, &hub.projects().await[0], &copied).await;
}

#[tokio::test]
async fn what_no_musher_tells_is_turned_away_and_moves_nothing() {
    let hub = Hub::new().await;
    let id = "01935e3f-0000-7000-8000-0000aaaabbbb";
    let post = |history: u32, after: u64, events: &str| {
        format!(
            r#"{{"project":"{id}","name":"a\u202eb\u200b  c","history":{history},"after":{after},"events":[{events}]}}"#
        )
    };
    let event = |seq: u64, kind: &str, body: &str| {
        format!(r#"{{"seq":{seq},"at":"2026-01-31T09:00:00Z","kind":"{kind}","actor":"ann","body":{body}}}"#)
    };
    let tell = format!("POST /v1/hub/relay HTTP/1.1\r\nauthorization: Bearer {TOKEN}");
    let long = format!(r#"{{"text":"{}"}}"#, "x".repeat(40_000));
    for (head, body, status, said) in [
        ("POST /v1/hub/relay HTTP/1.1", post(1, 0, ""), 401, "no_token"),
        (&*tell.replace(TOKEN, &TOKEN[..31]), post(1, 0, ""), 401, "no_token"),
        (&*format!("{tell}\r\norigin: https://evil.example"), post(1, 0, ""), 403, "wrong_origin"),
        (&*tell, "{".to_owned(), 422, "invalid"),
        (&*tell, post(0, 0, ""), 422, "history"),
        (&*tell, post(1, 0, &[event(2, "a", "{}"), event(2, "a", "{}")].join(",")), 422, "cannot follow"),
        (&*tell, post(1, 5, &event(5, "a", "{}")), 422, "cannot follow"),
        (&*tell, post(1, 0, &event(1, "a", "[]")), 422, "no object"),
        (&*tell, post(1, 0, &event(1, "a", &long)), 422, "longer than"),
        (&*tell, post(1, 0, &vec![event(1, "a", "{}"); 1_001].join(",")), 422, "may be told"),
        (&*tell, " ".repeat((1 << 20) + 1), 413, "too_large"),
        // What a project shows opens this door alone, and what opens the others does not open this one.
        (&*format!("GET /v1/hub/projects HTTP/1.1\r\nauthorization: Bearer {TOKEN}"), String::new(), 403, "wrong_host"),
        (&*format!("GET /v1/hub/relay/x HTTP/1.1\r\nauthorization: Bearer {TOKEN}"), String::new(), 422, "no id"),
    ] {
        let (answered, text) = hub.request(head, body.as_bytes()).await;
        assert!(answered == status && text.contains(said), "{head} {answered} {text}");
    }
    assert!(hub.projects().await.is_empty());

    // What it does not know is kept and shown, without marks that are not seen.
    let events = [event(3, "item_teleported", r#"{"where":"a\u202eb"}"#), event(9, "item_done", "{}")].join(",");
    let (status, text) = hub.request(&tell, post(1, 0, &events).as_bytes()).await;
    assert!(status == 200 && text.contains(r#""taken":true"#) && text.contains(r#""seq":9"#), "{text}");
    let (_, text) = hub.request(&tell, post(1, 0, &events).as_bytes()).await;
    assert!(text.contains(r#""taken":false"#), "told twice, it is taken once: {text}");
    let shown = hub.projects().await.remove(0);
    assert_eq!((shown.name.as_str(), shown.events, shown.mark.seq), ("ab c", 2, 9));
    let told = hub.events(&shown).await;
    assert_eq!((told[0].kind.as_str(), told[0].body.to_string().as_str()), ("item_teleported", r#"{"where":"ab"}"#));
}

#[tokio::test]
async fn a_hub_dispatches_nothing_and_a_daemon_that_is_none_takes_nothing() {
    let hub = Hub::new().await;
    let Err(ClientError::Problem(problem)) = hub.world.client.start_mission(&two_items()).await else { panic!() };
    assert_eq!((problem.status, problem.code.as_str()), (409, "hub"));
    assert!(hub.world.client.status().await.unwrap().daemon.hub);
    hub.world.server.hub().set(None);
    let tell = format!("POST /v1/hub/relay HTTP/1.1\r\nauthorization: Bearer {TOKEN}");
    let (status, text) = hub.request(&tell, b"{}").await;
    assert!(status == 404 && text.contains("no_hub"), "{text}");
    hub.world.client.start_mission(&two_items()).await.unwrap();
}
