//! The one client of the API: a method a path, typed both ways, over the daemon's socket.

mod stream;
mod transport;

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::{
    Agent, AgentDocument, AgentNode, AgentNodeDocument, AgentNodes, Agents, Answered, BackupDone, BackupWish, Cost,
    Diff, Event, EventQuery, Explanation, Firings, Gc, GcWish, Graph, HubEvent, HubEventQuery, HubMissionShow,
    HubProject, HubProjectShow, HubProjects, Inbox, Item, ItemDocument, ItemQuery, ItemShow, Items, LogQuery, Message,
    Mission, MissionDocument, MissionQuery, MissionShow, Missions, NewAgent, NewSchedule, NewTrigger, NewWatch, Note,
    NoteDone, PauseWish, Problem, Queue, QuotaWish, Quotas, Reason, Rejection, Replied, Run, RunDocument,
    ScheduleDocument, Schedules, SinkTested, Sinks, SnoozeWish, StartMission, Status, StopWish, Stopping, Successor,
    Trial, TriggerDocument, Triggers, WatchDocument, Watches, WeightWish, Words,
};
pub use stream::{EventStream, LogStream};
pub(crate) use transport::connect;
use transport::{Answer, Nothing, ask, path, query};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there.
    #[error("no daemon listens on `{}`", socket.display())]
    NoDaemon {
        /// The socket.
        socket: PathBuf,
    },
    /// Its process is stopped.
    #[error("the daemon (process {pid}) is stopped: it takes calls and answers none")]
    Stopped {
        /// The process.
        pid: i32,
    },
    /// It took the call and has said nothing, for longer than it takes to say that it is busy.
    #[error("the daemon{} has not answered for {seconds} s", of_process(*.pid))]
    Silent {
        /// The process, where it is known.
        pid: Option<i32>,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The daemon refused, and says why.
    #[error(transparent)]
    Problem(Box<Problem>),
    /// The connection broke, or what came over it is no answer of musher's.
    #[error("the daemon's answer broke off or cannot be understood")]
    Broken(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ClientError {
    /// How to fix it, where that is known.
    pub fn fix(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::NoDaemon { .. } => Some("`musher up --detach` starts one".into()),
            Self::Stopped { pid } => {
                Some(format!("`kill -CONT {pid}` lets it go on, or `musher up --wait` takes over from it").into())
            }
            Self::Problem(problem) => problem.fix.as_deref().map(Cow::from),
            Self::Silent { .. } | Self::Broken(_) => Some("`.musher/daemon.log` may say more".into()),
        }
    }

    /// Why, where more is known than what went wrong.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Stopped { .. } => Some(
                "`kill -STOP`, Ctrl-Z or a debugger has paused it; what was asked for may still happen when it goes on",
            ),
            Self::Silent { .. } => Some("what was asked for may still happen"),
            Self::Problem(problem) => problem.why.as_deref(),
            Self::NoDaemon { .. } | Self::Broken(_) => None,
        }
    }

    pub(crate) fn broken(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Broken(cause.into())
    }
}

fn of_process(pid: Option<i32>) -> String {
    pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
}

type Done<T> = Result<T, ClientError>;

/// A client of the daemon of one repository. It connects anew for every request, so that it never goes stale.
#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
    /// For whom it speaks, if not for the user whose process it is in.
    actor: Option<String>,
}

impl Client {
    /// A client of the daemon on this socket. Nothing is asked yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), actor: None }
    }

    /// Speaks for an operator of this name: letters, digits, `-`, `_`, `.`, `@` and spaces, at most 64.
    #[must_use]
    pub fn speaking_for(mut self, name: impl Into<String>) -> Self {
        self.actor = Some(name.into());
        self
    }

    /// Where the daemon listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    async fn get<T: DeserializeOwned>(&self, path: String) -> Done<T> {
        self.ask::<Nothing>("GET", path, None).await?.whole().await
    }

    async fn post<T: DeserializeOwned>(&self, path: String, body: &(impl Serialize + Sync)) -> Done<T> {
        self.ask("POST", path, Some(body)).await?.whole().await
    }

    /// A wish that needs no words.
    async fn wish<T: DeserializeOwned>(&self, path: String) -> Done<T> {
        self.ask::<Nothing>("POST", path, None).await?.whole().await
    }

    async fn ask<B: Serialize>(&self, method: &str, path: String, body: Option<&B>) -> Done<Answer> {
        ask(&self.socket, self.actor.as_deref(), method, &path, body).await
    }

    /// How everything stands.
    pub async fn status(&self) -> Done<Status> {
        self.get("/v1/status".to_owned()).await
    }

    /// What waits for a person.
    pub async fn inbox(&self) -> Done<Inbox> {
        self.get("/v1/inbox".to_owned()).await
    }

    /// The merge queue.
    pub async fn queue(&self) -> Done<Queue> {
        self.get("/v1/queue".to_owned()).await
    }

    /// Lets no further merge begin.
    pub async fn pause_queue(&self, reason: &str) -> Done<Queue> {
        self.post("/v1/queue/pause".to_owned(), &Reason { reason: reason.to_owned() }).await
    }

    /// Takes an item out of the merge queue.
    pub async fn eject(&self, id: &str, reason: &str) -> Done<Queue> {
        self.post(path(&["queue", id, "eject"]), &Reason { reason: reason.to_owned() }).await
    }

    /// Tries a merge again now.
    pub async fn retry_merge(&self, id: &str) -> Done<Queue> {
        self.wish(path(&["queue", id, "retry"])).await
    }

    /// Lets merges begin again.
    pub async fn resume_queue(&self) -> Done<Queue> {
        self.wish("/v1/queue/resume".to_owned()).await
    }

    /// Copies the database to a new file, by its absolute path.
    pub async fn backup(&self, path: impl Into<PathBuf>) -> Done<BackupDone> {
        self.post("/v1/backup".to_owned(), &BackupWish { path: path.into() }).await
    }

    /// Cleans up.
    pub async fn gc(&self, wish: &GcWish) -> Done<Gc> {
        self.post("/v1/gc".to_owned(), wish).await
    }

    /// Asks the daemon to end; answers its process, to wait for.
    pub async fn shutdown(&self) -> Done<Stopping> {
        self.wish("/v1/shutdown".to_owned()).await
    }

    /// The description of the API (OpenAPI).
    pub async fn openapi(&self) -> Done<serde_json::Value> {
        self.get("/v1/openapi.json".to_owned()).await
    }

    /// Starts a mission.
    pub async fn start_mission(&self, wish: &StartMission) -> Done<Mission> {
        self.post::<MissionDocument>("/v1/missions".to_owned(), wish).await.map(|d| d.mission)
    }

    /// The missions, archived ones too if asked for.
    pub async fn missions(&self, wanted: MissionQuery) -> Done<Missions> {
        self.get(query("/v1/missions", &[("all", wanted.all.then(|| "true".to_owned()))])).await
    }

    /// A mission with everything in it.
    pub async fn mission(&self, id: &str) -> Done<MissionShow> {
        self.get(path(&["missions", id])).await
    }

    /// A mission's graph.
    pub async fn mission_graph(&self, id: &str) -> Done<Graph> {
        self.get(path(&["missions", id, "graph"])).await
    }

    /// Tells a mission something.
    pub async fn note_mission(&self, id: &str, text: &str) -> Done<NoteDone> {
        self.post(path(&["missions", id, "notes"]), &Note { text: text.to_owned() }).await
    }

    /// Stops the dispatch of a mission.
    pub async fn pause_mission(&self, id: &str, wish: &PauseWish) -> Done<Mission> {
        self.post::<MissionDocument>(path(&["missions", id, "pause"]), wish).await.map(|d| d.mission)
    }

    /// Lets a mission go on.
    pub async fn resume_mission(&self, id: &str) -> Done<MissionDocument> {
        self.wish(path(&["missions", id, "resume"])).await
    }

    /// Changes a mission's share of what can be dispatched.
    pub async fn weigh_mission(&self, id: &str, wish: WeightWish) -> Done<Mission> {
        self.post::<MissionDocument>(path(&["missions", id, "weight"]), &wish).await.map(|d| d.mission)
    }

    /// Gives a mission up.
    pub async fn stop_mission(&self, id: &str, wish: StopWish) -> Done<Mission> {
        self.post::<MissionDocument>(path(&["missions", id, "stop"]), &wish).await.map(|d| d.mission)
    }

    /// Says yes to a mission's graph.
    pub async fn approve_mission(&self, id: &str) -> Done<Mission> {
        self.wish::<MissionDocument>(path(&["missions", id, "approve"])).await.map(|d| d.mission)
    }

    /// Items.
    pub async fn items(&self, wanted: &ItemQuery) -> Done<Items> {
        let limit = wanted.limit.map(|limit| limit.to_string());
        let parts = [("mission", wanted.mission.clone()), ("state", wanted.state.clone()), ("limit", limit)];
        self.get(query("/v1/items", &parts)).await
    }

    /// An item with its runs and waits.
    pub async fn item(&self, id: &str) -> Done<ItemShow> {
        self.get(path(&["items", id])).await
    }

    /// Why an item, or else a mission, is where it is.
    pub async fn explain(&self, id: &str) -> Done<Explanation> {
        match self.get(path(&["items", id, "explain"])).await {
            Err(ClientError::Problem(problem)) if problem.status == 404 => {
                match self.get(path(&["missions", id, "explain"])).await {
                    // What was said of the item is nearer to what was meant, for it may name an item.
                    Err(ClientError::Problem(other)) if other.status == 404 => Err(ClientError::Problem(problem)),
                    answer => answer,
                }
            }
            answer => answer,
        }
    }

    /// Why a mission is where it is.
    pub async fn explain_mission(&self, id: &str) -> Done<Explanation> {
        self.get(path(&["missions", id, "explain"])).await
    }

    /// The change of an item.
    pub async fn diff(&self, id: &str) -> Done<Diff> {
        self.get(path(&["items", id, "diff"])).await
    }

    /// Gives a failed or blocked item a fresh start.
    pub async fn retry_item(&self, id: &str) -> Done<Item> {
        self.told(id, "retry", &Nothing {}).await
    }

    /// Lets another account take an item whose own is used up.
    pub async fn fail_over_item(&self, id: &str) -> Done<Item> {
        self.told(id, "failover", &Nothing {}).await
    }

    /// Takes an item out.
    pub async fn hold_item(&self, id: &str, reason: &str) -> Done<Item> {
        self.told(id, "hold", &Reason { reason: reason.to_owned() }).await
    }

    /// Puts a held item back.
    pub async fn release_item(&self, id: &str) -> Done<Item> {
        self.told(id, "release", &Nothing {}).await
    }

    /// Lets nothing new begin for an item.
    pub async fn freeze_item(&self, id: &str, reason: &str) -> Done<Item> {
        self.told(id, "freeze", &Reason { reason: reason.to_owned() }).await
    }

    /// Sends an item back to the start.
    pub async fn demote_item(&self, id: &str, reason: &str) -> Done<Item> {
        self.told(id, "demote", &Reason { reason: reason.to_owned() }).await
    }

    /// Gives an item up for another one of its mission.
    pub async fn supersede_item(&self, id: &str, by: &str) -> Done<Item> {
        self.told(id, "supersede", &Successor { by: by.to_owned() }).await
    }

    /// Makes a follow-up of a done item, and answers with it.
    pub async fn reopen_item(&self, id: &str, text: &str) -> Done<Item> {
        self.told(id, "reopen", &Words { text: text.to_owned() }).await
    }

    /// Counts an item as done for those that depend on it.
    pub async fn skip_item(&self, id: &str) -> Done<Item> {
        self.told(id, "skip", &Nothing {}).await
    }

    /// Gives an item up.
    pub async fn cancel_item(&self, id: &str) -> Done<Item> {
        self.told(id, "cancel", &Nothing {}).await
    }

    /// Says yes to an item.
    pub async fn approve_item(&self, id: &str, text: &str) -> Done<Item> {
        self.told(id, "approve", &Words { text: text.to_owned() }).await
    }

    /// Says no to an item, and why.
    pub async fn reject_item(&self, id: &str, text: &str) -> Done<Item> {
        self.told(id, "reject", &Rejection { text: text.to_owned(), for_good: false }).await
    }

    /// Says no to an item as a whole: it is given up.
    pub async fn turn_down_item(&self, id: &str, text: &str) -> Done<Item> {
        self.told(id, "reject", &Rejection { text: text.to_owned(), for_good: true }).await
    }

    /// Removes an item's kept worktree, after everything in it was saved.
    pub async fn discard_worktree(&self, id: &str) -> Done<Item> {
        self.told(id, "discard", &Nothing {}).await
    }

    async fn told(&self, id: &str, verb: &str, body: &(impl Serialize + Sync)) -> Done<Item> {
        self.post::<ItemDocument>(path(&["items", id, verb]), body).await.map(|d| d.item)
    }

    /// The agents.
    pub async fn agents(&self) -> Done<Agents> {
        self.get("/v1/agents".to_owned()).await
    }

    /// An agent.
    pub async fn agent(&self, name: &str) -> Done<Agent> {
        self.get::<AgentDocument>(path(&["agents", name])).await.map(|d| d.agent)
    }

    /// How an agent was defined, by the file or by hand.
    pub async fn agent_definition(&self, name: &str) -> Done<Option<NewAgent>> {
        self.get::<AgentDocument>(path(&["agents", name])).await.map(|d| d.definition)
    }

    /// Adds an agent.
    pub async fn add_agent(&self, wish: &NewAgent) -> Done<Agent> {
        self.post::<AgentDocument>("/v1/agents".to_owned(), wish).await.map(|d| d.agent)
    }

    /// Gives an agent nothing new until it is resumed.
    pub async fn pause_agent(&self, name: &str) -> Done<Agent> {
        self.wish::<AgentDocument>(path(&["agents", name, "pause"])).await.map(|d| d.agent)
    }

    /// Gives an agent work again.
    pub async fn resume_agent(&self, name: &str) -> Done<Agent> {
        self.wish::<AgentDocument>(path(&["agents", name, "resume"])).await.map(|d| d.agent)
    }

    /// Lets an agent finish what it has.
    pub async fn drain_agent(&self, name: &str) -> Done<Agent> {
        self.wish::<AgentDocument>(path(&["agents", name, "drain"])).await.map(|d| d.agent)
    }

    /// Interrupts an agent's runs and lets it take work again.
    pub async fn restart_agent(&self, name: &str) -> Done<Agent> {
        self.wish::<AgentDocument>(path(&["agents", name, "restart"])).await.map(|d| d.agent)
    }

    /// Removes an agent.
    pub async fn remove_agent(&self, name: &str) -> Done<Agent> {
        let answer = self.ask::<Nothing>("DELETE", path(&["agents", name]), None).await?;
        answer.whole::<AgentDocument>().await.map(|d| d.agent)
    }

    /// The nodes that agents name.
    pub async fn nodes(&self) -> Done<AgentNodes> {
        self.get("/v1/nodes".to_owned()).await
    }

    /// Says that a node is there.
    pub async fn heartbeat(&self, name: &str) -> Done<AgentNode> {
        self.wish::<AgentNodeDocument>(path(&["nodes", name, "heartbeat"])).await.map(|d| d.node)
    }

    /// The triggers.
    pub async fn triggers(&self) -> Done<Triggers> {
        self.get("/v1/triggers".to_owned()).await
    }

    /// A trigger.
    pub async fn trigger(&self, name: &str) -> Done<TriggerDocument> {
        self.get(path(&["triggers", name])).await
    }

    /// Adds a trigger.
    pub async fn add_trigger(&self, wish: &NewTrigger) -> Done<TriggerDocument> {
        self.post("/v1/triggers".to_owned(), wish).await
    }

    /// What a trigger would have done on the events after this place.
    pub async fn test_trigger(&self, name: &str, since: u64, limit: u32) -> Done<Trial> {
        let asked = [("since", Some(since.to_string())), ("limit", Some(limit.to_string()))];
        self.get(query(&path(&["triggers", name, "test"]), &asked)).await
    }

    /// Switches a trigger by `enable` or `disable`.
    pub async fn tell_trigger(&self, name: &str, verb: &str) -> Done<TriggerDocument> {
        self.wish(path(&["triggers", name, verb])).await
    }

    /// Removes a trigger; answers with those that are left.
    pub async fn remove_trigger(&self, name: &str) -> Done<Triggers> {
        self.ask::<Nothing>("DELETE", path(&["triggers", name]), None).await?.whole().await
    }

    /// The newest firings of a trigger.
    pub async fn firings_of_trigger(&self, name: &str, limit: u32) -> Done<Firings> {
        self.get(query(&path(&["triggers", name, "firings"]), &[("limit", Some(limit.to_string()))])).await
    }

    /// The schedules.
    pub async fn schedules(&self) -> Done<Schedules> {
        self.get("/v1/schedules".to_owned()).await
    }

    /// A schedule.
    pub async fn schedule(&self, name: &str) -> Done<ScheduleDocument> {
        self.get(path(&["schedules", name])).await
    }

    /// Adds a schedule.
    pub async fn add_schedule(&self, wish: &NewSchedule) -> Done<ScheduleDocument> {
        self.post("/v1/schedules".to_owned(), wish).await
    }

    /// Tells a schedule to `run`, or switches it by `enable` or `disable`.
    pub async fn tell_schedule(&self, name: &str, verb: &str) -> Done<ScheduleDocument> {
        self.wish(path(&["schedules", name, verb])).await
    }

    /// Removes a schedule; answers with those that are left.
    pub async fn remove_schedule(&self, name: &str) -> Done<Schedules> {
        self.ask::<Nothing>("DELETE", path(&["schedules", name]), None).await?.whole().await
    }

    /// The newest firings of a schedule.
    pub async fn firings(&self, name: &str, limit: u32) -> Done<Firings> {
        self.get(query(&path(&["schedules", name, "firings"]), &[("limit", Some(limit.to_string()))])).await
    }

    /// The watches of active missions, or of one; `all` are also those that are done.
    pub async fn watches(&self, mission: Option<&str>, all: bool) -> Done<Watches> {
        let all = all.then(|| "true".to_owned());
        self.get(query("/v1/watches", &[("mission", mission.map(str::to_owned)), ("all", all)])).await
    }

    /// A watch.
    pub async fn watch(&self, id: &str) -> Done<WatchDocument> {
        self.get(path(&["watches", id])).await
    }

    /// Adds a watch to an item.
    pub async fn add_watch(&self, item: &str, wish: &NewWatch) -> Done<WatchDocument> {
        self.post(path(&["items", item, "watches"]), wish).await
    }

    /// Lets a watch rest.
    pub async fn snooze_watch(&self, id: &str, secs: u64) -> Done<WatchDocument> {
        self.post(path(&["watches", id, "snooze"]), &SnoozeWish { secs }).await
    }

    /// Closes a watch.
    pub async fn close_watch(&self, id: &str) -> Done<WatchDocument> {
        self.wish(path(&["watches", id, "close"])).await
    }

    /// The quotas.
    pub async fn quotas(&self) -> Done<Quotas> {
        self.get("/v1/quotas".to_owned()).await
    }

    /// Sets a quota, or takes back what was set; answers with those of its scope.
    pub async fn set_quota(&self, scope: &str, wish: &QuotaWish) -> Done<Quotas> {
        self.post(path(&["quotas", scope]), wish).await
    }

    /// What everything has cost, added up by `mission`, `item`, `agent`, `model` or `day`.
    pub async fn cost(&self, by: &str) -> Done<Cost> {
        self.get(query("/v1/cost", &[("by", Some(by.to_owned()))])).await
    }

    /// The sinks.
    pub async fn sinks(&self) -> Done<Sinks> {
        self.get("/v1/sinks".to_owned()).await
    }

    /// Sends a test to a sink.
    pub async fn test_sink(&self, name: &str) -> Done<SinkTested> {
        self.wish(path(&["sinks", name, "test"])).await
    }

    /// The projects of a hub.
    pub async fn hub_projects(&self) -> Done<HubProjects> {
        self.get("/v1/hub/projects".to_owned()).await
    }

    /// A project of a hub with its missions.
    pub async fn hub_project(&self, project: &str) -> Done<HubProjectShow> {
        self.get(path(&["hub", "projects", project])).await
    }

    /// A mission of a project of a hub with its items.
    pub async fn hub_mission(&self, project: &str, mission: &str) -> Done<HubMissionShow> {
        self.get(path(&["hub", "projects", project, "missions", mission])).await
    }

    /// Makes a hub forget a project.
    pub async fn forget_project(&self, project: &str) -> Done<HubProject> {
        self.wish(path(&["hub", "projects", project, "forget"])).await
    }

    /// Events of the projects of a hub, as far as there are any.
    pub async fn hub_events(&self, wanted: &HubEventQuery) -> Done<Vec<HubEvent>> {
        let parts = [
            ("after", (wanted.after > 0).then(|| wanted.after.to_string())),
            ("limit", wanted.limit.map(|limit| limit.to_string())),
            ("project", wanted.project.clone()),
        ];
        self.get(query("/v1/hub/events", &parts)).await
    }

    /// A run, and how its agent is spoken to.
    pub async fn run(&self, id: &str) -> Done<RunDocument> {
        self.get(path(&["runs", id])).await
    }

    /// Interrupts a run.
    pub async fn interrupt_run(&self, id: &str) -> Done<Run> {
        self.wish::<RunDocument>(path(&["runs", id, "interrupt"])).await.map(|d| d.run)
    }

    /// Kills a run.
    pub async fn kill_run(&self, id: &str) -> Done<Run> {
        self.wish::<RunDocument>(path(&["runs", id, "kill"])).await.map(|d| d.run)
    }

    /// Gives a running agent a message.
    pub async fn send_message(&self, id: &str, message: &Message) -> Done<Run> {
        self.post::<RunDocument>(path(&["runs", id, "send"]), message).await.map(|d| d.run)
    }

    /// Allows what a running agent asks.
    pub async fn allow(&self, id: &str, text: &str) -> Done<Answered> {
        self.post(path(&["requests", id, "allow"]), &Words { text: text.to_owned() }).await
    }

    /// Denies what a running agent asks, and tells it why.
    pub async fn deny(&self, id: &str, text: &str) -> Done<Answered> {
        self.post(path(&["requests", id, "deny"]), &Words { text: text.to_owned() }).await
    }

    /// Answers what a running agent wants to know.
    pub async fn answer(&self, id: &str, text: &str) -> Done<Replied> {
        self.post(path(&["requests", id, "answer"]), &Words { text: text.to_owned() }).await
    }

    /// A run's transcript; with `follow`, until the run is over.
    pub async fn log(&self, id: &str, wanted: LogQuery) -> Done<LogStream> {
        let parts = [
            ("offset", (wanted.offset > 0).then(|| wanted.offset.to_string())),
            ("follow", wanted.follow.then(|| "true".to_owned())),
        ];
        let answer = self.ask::<Nothing>("GET", query(&path(&["runs", id, "log"]), &parts), None).await?;
        Ok(LogStream::new(answer.lines().await?, wanted.offset))
    }

    /// Events, as far as there are any.
    pub async fn events(&self, wanted: &EventQuery) -> Done<Vec<Event>> {
        self.get(query("/v1/events", &event_parts(wanted))).await
    }

    /// Events as they happen, from any place on; it has no end of its own.
    pub async fn follow_events(&self, wanted: &EventQuery) -> Done<EventStream> {
        let answer = self.ask::<Nothing>("GET", query("/v1/events/stream", &event_parts(wanted)), None).await?;
        Ok(EventStream::new(answer.lines().await?, wanted.after))
    }
}

fn event_parts(wanted: &EventQuery) -> [(&'static str, Option<String>); 5] {
    [
        ("after", (wanted.after > 0).then(|| wanted.after.to_string())),
        ("limit", wanted.limit.map(|limit| limit.to_string())),
        ("mission", wanted.mission.clone()),
        ("item", wanted.item.clone()),
        ("kind", wanted.kind.clone()),
    ]
}
