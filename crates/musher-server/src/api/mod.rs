//! The documents of the API: what requests may say and what answers hold. Fields are added, never renamed.
//!
//! Times are RFC 3339 in UTC, money is a number of US dollars, counts are integers. Words (states, kinds, codes) are
//! plain text, so that an older client reads the answers of a newer daemon. Requests refuse fields that they do not
//! know; answers may have more than an older client knows.

mod agent;
mod daemon;
mod event;
mod hub;
mod item;
mod mission;
mod node;
mod problem;
mod quota;
mod run;
mod schedule;
mod sink;
mod trigger;
mod watch;
mod webhook;

pub use agent::{Agent, AgentDocument, AgentWork, Agents, Limits, NewAgent};
pub use daemon::{
    BackupDone, BackupWish, Batch, BatchMember, BatchTest, Daemon, EjectedMember, Found, Gc, GcEntry, GcKept, GcOrphan,
    GcWish, Http, Inbox, InboxEntry, Queue, QueueEntry, Status, Stopping, WaitGroup, WaitItem, WebhookDoor,
};
pub use event::{Event, EventQuery};
pub use hub::{
    HubEvent, HubEventQuery, HubItem, HubMission, HubMissionShow, HubProject, HubProjectShow, HubProjects, RelayAnswer,
    RelayEvent, RelayMark, RelayPost,
};
pub use item::{
    Brief, Diff, Explanation, Item, ItemDocument, ItemQuery, ItemShow, Items, PullRequest, Reason, Rejection,
    Successor, Wait, Words,
};
pub use mission::{
    Dispatcher, Edge, Graph, Lease, Mission, MissionDocument, MissionQuery, MissionShow, Missions, NewItem, Node, Note,
    NoteDone, PauseWish, Policy, StartMission, StopWish, WeightWish,
};
pub use node::{AgentNode, AgentNodeDocument, AgentNodes};
pub use problem::Problem;
pub use quota::{AllowedModels, Amount, Cost, CostEntry, CostQuery, Quota, QuotaWish, Quotas};
pub use run::{Answered, LogLine, LogQuery, Message, Replied, Run, RunDocument, Speech, Usage};
pub use schedule::{Firing, FiringQuery, Firings, NewSchedule, Schedule, ScheduleDocument, Schedules};
pub use sink::{Sink, SinkTested, Sinks};
pub use trigger::{NewTrigger, Predicate, Trial, TrialQuery, Tried, Trigger, TriggerDocument, Triggers};
pub use watch::{NewWatch, SnoozeWish, Watch, WatchDocument, WatchQuery, Watches};
pub use webhook::WebhookHeard;
