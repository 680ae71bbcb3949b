//! The relay: what happens in a project, told to a hub, in posts of many events over a connection that is kept.
//!
//! The hub says what it was told last, and a post says what it follows; so an answer that is lost, a hub that is killed and
//! a log that was put back are found out by the first post after it. What that means is decided in
//! [`musher_core::relay::met`].

use std::collections::BTreeSet;
use std::time::Duration;

use axum::body::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use musher_core::command::{Actor, Command};
use musher_core::event::{Happened, Logged};
use musher_core::hub::{ItemCard, Mark, MissionCard, Told};
use musher_core::id::{ItemId, MissionId, Seq};
use musher_core::item::Item;
use musher_core::relay::{Holds, Identity, NAME};
use musher_core::sink::cursor_of;
use musher_engine::{Engine, EngineError};
use musher_store::{EventFilter, Reader, StoreError};
use musher_tls::Trust;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::webhook::{Failed, connect, one_line, with_causes};
use crate::api::{HubItem, HubMission, Problem, RelayAnswer, RelayEvent, RelayPost};
use crate::readers::Readers;
use crate::view;

/// How many events are looked at together, and told in as many posts as they need.
pub(super) const EVENTS: usize = 500;
/// The bytes of a post after which no more is added to it; a hub takes four times as many.
const POST: usize = 256 << 10;
/// The most cards of a post.
const CARDS: usize = 1_000;
/// How long the hub may take to answer.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The most of an answer that is read.
const ANSWER: usize = 64 << 10;
/// How often the hub may say of a post that it follows nothing before that is a failure.
const TRIES: usize = 3;

/// What came of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// All of it is delivered.
    Delivered,
    /// The cursor was moved: the log is to be read from there.
    Moved,
}

/// What the hub has, as far as this end knows.
#[derive(Clone, Copy, Debug)]
struct Met {
    identity: Identity,
    /// The last event that it was told.
    after: Seq,
}

/// The hub of the config.
pub(super) struct Relay {
    uri: Uri,
    token: String,
    name: String,
    trust: Trust,
    engine: Engine,
    readers: Readers,
    met: Option<Met>,
    open: Option<SendRequest<Full<Bytes>>>,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay").field("uri", &self.uri).finish_non_exhaustive()
    }
}

/// What a post is made of.
#[derive(Debug, Default)]
struct Parcel {
    missions: Vec<HubMission>,
    items: Vec<HubItem>,
    events: Vec<RelayEvent>,
    bytes: usize,
}

impl Parcel {
    fn is_full(&self) -> bool {
        self.bytes >= POST || self.items.len() >= CARDS || self.missions.len() >= CARDS
    }

    fn weigh(&mut self, part: &impl Serialize) {
        self.bytes += serde_json::to_vec(part).map_or(0, |bytes| bytes.len() + 1);
    }
}

impl Relay {
    /// Nothing is sent yet.
    pub(super) fn new(
        (url, project, token): (&str, Option<&str>, &str),
        engine: &Engine,
        readers: &Readers,
        trust: &Trust,
    ) -> Result<Self, Failed> {
        let uri: Uri = url.trim_end_matches('/').parse().map_err(|_| Failed::because("its `url` is none"))?;
        if uri.host().is_none() {
            return Err(Failed::because("its `url` names no host"));
        }
        let folder = engine.paths().root.file_name().map(|name| name.to_string_lossy().into_owned());
        Ok(Self {
            uri,
            token: token.to_owned(),
            name: project.map(str::to_owned).or(folder).unwrap_or_default(),
            trust: trust.clone(),
            engine: engine.clone(),
            readers: readers.clone(),
            met: None,
            open: None,
        })
    }

    /// Lets the connection go: nothing more is to be told for now.
    pub(super) fn rest(&mut self) {
        self.open = None;
    }

    /// Tells these events, or says why not; then some of them may have been told all the same, and the hub knows which.
    pub(super) async fn deliver(&mut self, events: &[Logged]) -> Result<Course, Failed> {
        for _ in 0..TRIES {
            let met = match self.met {
                Some(met) => met,
                None => match self.meet().await? {
                    Some(met) => met,
                    None => return Ok(Course::Moved),
                },
            };
            let fresh: Vec<&Logged> = events.iter().filter(|event| event.seq > met.after).collect();
            if self.tell_after(met, &fresh).await? {
                return Ok(Course::Delivered);
            }
            self.met = None;
        }
        Err(Failed::because("the hub is told by another at the same time, or its answers contradict each other"))
    }

    /// Asks the hub how far it was told, and says that.
    pub(super) async fn test(&mut self) -> Result<String, Failed> {
        let identity = self.identity().await?;
        Ok(match self.ask_mark(identity).await? {
            Some(mark) => format!("the hub answers; the last event that it was told is {}", mark.seq().0),
            None => "the hub answers; it was told nothing yet".to_owned(),
        })
    }

    /// Tells events; says whether the hub took them all.
    async fn tell_after(&mut self, mut met: Met, events: &[&Logged]) -> Result<bool, Failed> {
        for parcel in self.packed(events).await? {
            let post = RelayPost {
                project: met.identity.project,
                name: self.name.clone(),
                history: met.identity.history,
                after: met.after.0,
                events: parcel.events,
                missions: parcel.missions,
                items: parcel.items,
            };
            let body = serde_json::to_vec(&post).map_err(Failed::because)?;
            let answer: RelayAnswer = self.ask(Method::POST, "/v1/hub/relay", body).await?;
            let Some(mark) = answer.mark.filter(|_| answer.taken) else { return Ok(false) };
            met.after = Seq(mark.seq);
            self.met = Some(met);
        }
        Ok(true)
    }

    async fn identity(&self) -> Result<Identity, Failed> {
        let found = self.engine.read(|state| state.sink(NAME).and_then(|sink| sink.relay)).await;
        found.ok().flatten().ok_or_else(|| Failed::because("musher ends"))
    }

    async fn ask_mark(&mut self, identity: Identity) -> Result<Option<Mark>, Failed> {
        let path = format!("/v1/hub/relay/{}", identity.project);
        let answer: RelayAnswer = self.ask(Method::GET, &path, Vec::new()).await?;
        Ok(answer.mark.map(Into::into))
    }

    /// Learns what the hub has and goes there; nothing when the cursor was moved for that.
    async fn meet(&mut self) -> Result<Option<Met>, Failed> {
        let mark = self.ask_mark(self.identity().await?).await?;
        let holds = self.holds(mark).await?;
        let before = self.cursor().await?;
        let said = self.engine.send(Actor::Musher, Command::MeetHub(mark, holds)).await;
        said.map_err(|error| match error {
            EngineError::Refused(refused) => {
                let fix = refused.fix().map(|fix| format!("; {fix}")).unwrap_or_default();
                Failed::because(format_args!("{refused}{fix}"))
            }
            error => Failed::because(error),
        })?;
        let identity = self.identity().await?;
        // An earlier history at the hub goes with the first post of this one.
        let after = mark.filter(|mark| mark.history == identity.history).map_or(Seq(0), Mark::seq);
        self.met = Some(Met { identity, after });
        Ok(if self.cursor().await? == before { self.met } else { None })
    }

    async fn cursor(&self) -> Result<Seq, Failed> {
        self.engine.read(|state| state.cursor(&cursor_of(NAME))).await.map_err(Failed::because)
    }

    /// Whether this log has the event that the hub was told last.
    async fn holds(&self, mark: Option<Mark>) -> Result<Holds, Failed> {
        let Some(last) = mark.and_then(|mark| mark.last) else { return Ok(Holds::Same) };
        let filter = EventFilter { after: Seq(last.seq.0.saturating_sub(1)), limit: 1, ..EventFilter::default() };
        let found = self.readers.ask(move |reader| reader.events(&filter)).await.map_err(unreadable)?;
        let same = found.first().is_some_and(|event| event.seq == last.seq && event.event.at == last.at);
        Ok(if same { Holds::Same } else { Holds::Other })
    }

    /// Events with the missions and the items that they are about, in parcels that a hub takes. An item is never told after
    /// the event that made it, so that the hub never shows an event of an item that it does not know.
    async fn packed(&self, events: &[&Logged]) -> Result<Vec<Parcel>, Failed> {
        let wanted = Wanted::of(events);
        let read = self.readers.ask(move |reader| wanted.read(reader)).await.map_err(unreadable)?;
        let names = self.engine.read(view::agent_names).await.map_err(Failed::because)?;
        let (missions, items) = read;
        let mut parcels = vec![Parcel::default()];
        for row in &missions {
            let parcel = open(&mut parcels);
            let card = HubMission::from(row.clone());
            parcel.weigh(&card);
            parcel.missions.push(card);
        }
        for row in items {
            let agent = row.agent.and_then(|id| names.get(&id)).map(|name| name.as_str().into());
            let card = HubItem::from(ItemCard::of(&row, agent));
            let parcel = open(&mut parcels);
            parcel.weigh(&card);
            parcel.items.push(card);
        }
        for event in events {
            let told = RelayEvent::from(Told::of(event));
            let parcel = open(&mut parcels);
            parcel.weigh(&told);
            parcel.events.push(told);
        }
        parcels.retain(|parcel| parcel.bytes > 0);
        Ok(parcels)
    }

    /// Asks over the connection that was kept, or over a new one; a post that was taken already follows nothing the second
    /// time, so asking twice does no harm.
    async fn ask<T: DeserializeOwned>(&mut self, method: Method, path: &str, body: Vec<u8>) -> Result<T, Failed> {
        let body = Bytes::from(body);
        let attempt = async {
            if let Some(kept) = self.open.take()
                && let Ok(answer) = self.attempt(kept, &method, path, body.clone()).await
            {
                return Ok(answer);
            }
            let new = connect(&self.uri, &self.trust).await?;
            self.attempt(new, &method, path, body).await
        };
        let (status, said) = match tokio::time::timeout(TIMEOUT, attempt).await {
            Ok(answered) => answered?,
            Err(_) => return Err(Failed::because(format_args!("no answer within {} s", TIMEOUT.as_secs()))),
        };
        if status.is_success() {
            return serde_json::from_slice(&said)
                .map_err(|_| Failed::because("its answer is none of a hub's: is the `url` that of a hub?"));
        }
        Err(refused(status, &said))
    }

    async fn attempt(
        &mut self,
        mut sender: SendRequest<Full<Bytes>>,
        method: &Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Failed> {
        let broken = |error: hyper::Error| Failed::because(with_causes(&error));
        sender.ready().await.map_err(broken)?;
        let response = sender.send_request(self.request(method, path, body)?).await.map_err(broken)?;
        let status = response.status();
        let said = Limited::new(response.into_body(), ANSWER).collect().await;
        let said = said.map_err(|error| Failed::because(format_args!("its answer broke off: {error}")))?.to_bytes();
        self.open = Some(sender);
        Ok((status, said))
    }

    fn request(&self, method: &Method, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, Failed> {
        let below = self.uri.path().trim_end_matches('/');
        let host = self.uri.authority().map(ToString::to_string).unwrap_or_default();
        Request::builder()
            .method(method)
            .uri(format!("{below}{path}"))
            .header(HOST, host)
            .header(USER_AGENT, concat!("musher/", env!("CARGO_PKG_VERSION")))
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .body(Full::new(body))
            .map_err(|_| Failed::because("its token holds a character that no header can hold"))
    }
}

/// The last parcel, or a new one when that is full.
fn open(parcels: &mut Vec<Parcel>) -> &mut Parcel {
    if parcels.last().is_none_or(Parcel::is_full) {
        parcels.push(Parcel::default());
    }
    let last = parcels.len() - 1;
    &mut parcels[last]
}

fn unreadable(problem: Problem) -> Failed {
    Failed::because(format_args!("the log cannot be read: {problem}"))
}

/// A refusal in one line. A problem document of a hub has words for people, and how to mend it.
fn refused(status: StatusCode, said: &[u8]) -> Failed {
    let words = match serde_json::from_slice::<Problem>(said) {
        Ok(problem) => {
            let what = problem.detail.clone().unwrap_or_else(|| problem.title.clone());
            one_line(problem.fix.map_or_else(|| what.clone(), |fix| format!("{what}; {fix}")).as_bytes())
        }
        Err(_) => one_line(said),
    };
    let more = if words.is_empty() { String::new() } else { format!(": {words}") };
    Failed::because(format_args!("it answered {status}{more}"))
}

/// Of which missions and items cards are told with events.
#[derive(Debug, Default)]
struct Wanted {
    missions: BTreeSet<MissionId>,
    /// Those whose items are all told.
    whole: BTreeSet<MissionId>,
    items: BTreeSet<ItemId>,
}

impl Wanted {
    fn of(events: &[&Logged]) -> Self {
        let mut wanted = Self::default();
        for Logged { event, .. } in events {
            wanted.missions.extend(event.mission);
            wanted.items.extend(event.item);
            // An item that nothing has happened to yet has no event of its own.
            let more = match &event.happened {
                Happened::MissionStarted { .. } | Happened::ItemAdded { .. } => event.mission,
                Happened::ItemReopened { mission, .. } => Some(*mission),
                _ => None,
            };
            wanted.whole.extend(more);
            wanted.missions.extend(more);
        }
        wanted
    }

    fn read(&self, reader: &dyn Reader) -> Result<(Vec<MissionCard>, Vec<Item>), StoreError> {
        let mut missions = Vec::with_capacity(self.missions.len());
        for id in &self.missions {
            missions.extend(reader.mission(*id)?.as_ref().map(MissionCard::of));
        }
        let mut items = Vec::new();
        for id in &self.whole {
            items.extend(reader.items_of(*id)?);
        }
        for id in &self.items {
            items.extend(reader.item(*id)?.filter(|item| !self.whole.contains(&item.mission)));
        }
        Ok((missions, items))
    }
}
