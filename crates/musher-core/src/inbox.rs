//! The inbox: what waits for a person now. Derived from the state, never stored, gone when its cause is gone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::agent::{Agent, Suspended};
use crate::id::{ItemId, MissionId};
use crate::item::{Item, ItemState, MergeStage, Phase, Waiting};
use crate::mission::{self, MissionState, OnRateLimit};
use crate::pull;
use crate::review;
use crate::run::Run;
use crate::schedule::Schedule;
use crate::state::{MissionEntry, State};
use crate::time::Timestamp;
use crate::wait::resting;

/// What sort of answer is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// A mission's graph wants a yes.
    Graph,
    /// An item wants a yes or a no.
    Approval,
    /// An item is blocked or in the dead letter.
    Stuck,
    /// A merge waits for the user's checkout.
    Checkout,
    /// A pull request waits for what only a person gives.
    Pull,
    /// A mission is blocked.
    Blocked,
    /// A mission cannot go on by itself, and has asked for help.
    Help,
    /// An agent cannot start.
    Agent,
    /// A driver is paused, for it cannot be set up.
    Driver,
    /// A schedule has failed too often, and fires no more.
    Schedule,
    /// An item waits for a used up account, and another could take it.
    RateLimit,
    /// A running agent asks before it does something.
    Permission,
    /// A running agent asks something, and waits for the answer.
    Question,
}

/// A thing that waits for a person, with the exact words that would help.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// What sort.
    pub ask: Ask,
    /// The mission, if it is about one.
    pub mission: Option<MissionId>,
    /// The item, if it is about one.
    pub item: Option<ItemId>,
    /// What is the matter.
    pub text: String,
    /// Commands that would help, as they are typed.
    pub replies: Vec<String>,
    /// Since when.
    pub since: Timestamp,
}

/// Everything that waits for a person, oldest first.
pub fn requests(state: &State) -> Vec<Request> {
    let mut requests: Vec<Request> = state
        .missions()
        .filter(|m| !m.row.state.is_terminal())
        .flat_map(|entry| entry.items.iter().filter_map(|id| state.item(*id)).filter_map(|item| of_item(state, item)))
        .collect();
    requests.extend(held_merges(state));
    for entry in state.missions() {
        let id = entry.row.id.short();
        if asked_by_items(state, entry).is_some() {
            continue;
        }
        if let Some(request) = help(state, entry) {
            requests.push(request);
            continue;
        }
        let (ask, replies) = match entry.row.state {
            MissionState::AwaitingApproval => {
                (Ask::Graph, vec![format!("musher mission approve {id}"), format!("musher mission stop {id}")])
            }
            MissionState::Blocked if mission::is_at_rest(state, entry) => (Ask::Blocked, unblocking(state, entry)),
            MissionState::Blocked
            | MissionState::Planning
            | MissionState::Running
            | MissionState::Paused
            | MissionState::Completed
            | MissionState::Failed
            | MissionState::Cancelled => continue,
        };
        requests.push(Request {
            ask,
            mission: Some(entry.row.id),
            item: None,
            text: format!(
                "Mission {id} is {}: {}",
                entry.row.state.name().replace('_', " "),
                entry.row.blocked_reason.as_deref().unwrap_or("no reason is known")
            ),
            replies,
            since: entry.row.updated_at,
        });
    }
    requests.extend(state.runs().into_iter().flat_map(|run| permissions(state, run)));
    requests.extend(state.runs().into_iter().flat_map(|run| questions(state, run)));
    for agent in state.agents().filter(|a| !a.removed) {
        if let Some(error) = &agent.error {
            requests.push(Request {
                ask: Ask::Agent,
                mission: None,
                item: None,
                text: format!("Agent {} cannot start: {error}", agent.spec.name),
                replies: vec![format!("musher agent resume {}", agent.spec.name)],
                since: agent.updated_at,
            });
        }
    }
    requests.extend(state.schedules().filter_map(paused_schedule));
    requests.extend(paused_drivers(state));
    requests.sort_by_key(|r| r.since);
    requests
}

/// How many items are named of those that wait for one thing.
const NAMED: usize = 3;

/// Merges that wait for the user's checkout, those with one cause together: a dirty file holds up everything, and is one
/// thing to do. Nothing has to be typed then, the merges go on by themselves once the checkout is clean.
fn held_merges(state: &State) -> impl Iterator<Item = Request> {
    let open = state.missions().filter(|entry| !entry.row.state.is_terminal());
    let items = open.flat_map(|entry| entry.items.iter().filter_map(|id| state.item(*id)));
    let mut causes: BTreeMap<&str, Vec<&Item>> = BTreeMap::new();
    for item in items {
        if let ItemState::Merging(MergeStage::Held { why, .. }) = &item.state {
            causes.entry(why).or_default().push(item);
        }
    }
    causes.into_iter().filter_map(|(why, items)| {
        let first = items.first()?;
        let named: Vec<&str> = items.iter().take(NAMED).map(|item| &*item.key).collect();
        let more = items.len() - named.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let (merges, wait) = if items.len() == 1 { ("merge", "waits") } else { ("merges", "wait") };
        Some(Request {
            ask: Ask::Checkout,
            mission: items.iter().all(|item| item.mission == first.mission).then_some(first.mission),
            item: (items.len() == 1).then_some(first.id),
            text: format!("The {merges} of {}{more} {wait}: {why}", named.join(", ")),
            replies: vec!["git status".to_owned()],
            since: items.iter().map(|item| item.updated_at).min().unwrap_or(first.updated_at),
        })
    })
}

fn paused_schedule(row: &Schedule) -> Option<Request> {
    let why = row.paused.as_ref().filter(|_| row.spec.enabled && row.off.is_none() && !row.removed)?;
    let name = &row.spec.name;
    Some(Request {
        ask: Ask::Schedule,
        mission: None,
        item: None,
        text: format!("Schedule {name} is paused: {why}"),
        replies: vec![
            format!("musher schedule history {name}"),
            format!("musher schedule enable {name}"),
            format!("musher schedule disable {name}"),
        ],
        since: row.updated_at,
    })
}

/// The drivers that rest after the same failure of their agents, each once: what is to be mended, and who waits for it.
fn paused_drivers(state: &State) -> impl Iterator<Item = Request> {
    let mut drivers: BTreeMap<String, Vec<(&Agent, &Suspended)>> = BTreeMap::new();
    for agent in state.agents().filter(|agent| !agent.removed) {
        if let Some(suspended) = agent.suspended.as_deref() {
            drivers.entry(agent.spec.setup_name()).or_default().push((agent, suspended));
        }
    }
    drivers.into_iter().filter_map(|(driver, resting)| {
        let (first, suspended) = *resting.first()?;
        let until = match (suspended.until, suspended.canary) {
            (Some(at), _) => format!("until {at}, when one run tries it"),
            (None, Some(run)) => format!("while run {} tries it", run.short()),
            (None, None) => "until the next run has tried it".to_owned(),
        };
        let names: Vec<&str> = resting.iter().map(|(agent, _)| &*agent.spec.name).collect();
        Some(Request {
            ask: Ask::Driver,
            mission: None,
            item: None,
            text: format!(
                "Driver {driver} is paused {until}: {}\nIts agents take nothing: {}. Once it is mended, a resume lets one \
                 take work at once",
                suspended.why,
                names.join(", ")
            ),
            replies: names.iter().map(|name| format!("musher agent resume {name}")).collect(),
            since: resting.iter().map(|(agent, _)| agent.updated_at).min().unwrap_or(first.updated_at),
        })
    })
}

/// What a running agent asks, whole: a person must see what a yes would let happen.
fn permissions<'a>(state: &'a State, run: &'a Run) -> impl Iterator<Item = Request> + 'a {
    let agent = state.agent(run.agent).map(|agent| &*agent.spec.name).unwrap_or("an agent");
    let key = state.item(run.item).map(|item| &*item.key).unwrap_or_default();
    run.requests.iter().filter(|request| request.is_open()).map(move |request| {
        let id = request.id.short();
        Request {
            ask: Ask::Permission,
            mission: Some(run.mission),
            item: Some(run.item),
            text: format!(
                "{agent} (run {}, {key}) wants to {}\nasked at {}, denied at {} if nobody answers",
                run.id.short(),
                request.ask.action.text(),
                request.asked_at,
                request.expires_at
            ),
            replies: vec![format!("musher allow {id}"), format!("musher deny {id} \"WHY\"")],
            since: request.asked_at,
        }
    })
}

/// What a running agent wants to know.
fn questions<'a>(state: &'a State, run: &'a Run) -> impl Iterator<Item = Request> + 'a {
    let agent = state.agent(run.agent).map(|agent| &*agent.spec.name).unwrap_or("an agent");
    let key = state.item(run.item).map(|item| &*item.key).unwrap_or_default();
    run.help.iter().filter(|request| request.is_open()).map(move |request| Request {
        ask: Ask::Question,
        mission: Some(run.mission),
        item: Some(run.item),
        text: format!("{agent} (run {}, {key}) asks: {}\nasked at {}", run.id.short(), request.text, request.asked_at),
        replies: vec![format!("musher answer {} \"TEXT\"", request.id.short())],
        since: request.asked_at,
    })
}

/// What a mission has asked help for: one entry, which a repeat only brings up to date. It says all that another entry about
/// the state of the mission would.
fn help(state: &State, entry: &MissionEntry) -> Option<Request> {
    let help = entry.row.dispatcher.open_help()?;
    let known = &entry.row.dispatcher;
    let asked = match (known.help_attempts, known.last_help_at) {
        (0 | 1, _) | (_, None) => String::new(),
        (times, Some(last)) => format!("\nasked {times} times, last at {last}"),
    };
    Some(Request {
        ask: Ask::Help,
        mission: Some(entry.row.id),
        item: None,
        text: format!("{}{asked}", known.last_help_reason.as_deref().unwrap_or_default()),
        replies: mission::help_replies(state, &entry.row),
        since: help.since,
    })
}

/// What a blocked mission waits for, when its items ask for all of it: an entry for the mission would ask a second time.
/// Nothing when something else holds it up too.
pub(crate) fn asked_by_items(state: &State, entry: &MissionEntry) -> Option<Vec<Request>> {
    if entry.row.state != MissionState::Blocked {
        return None;
    }
    let mut asked = Vec::new();
    for item in entry.items.iter().filter_map(|id| state.item(*id)).filter(|item| !item.satisfied) {
        let before = asked.len();
        asked.extend(of_item(state, item).filter(|request| request.ask == Ask::Approval));
        for run in state.runs_of(item.id).iter().filter_map(|id| state.run(*id)) {
            asked.extend(permissions(state, run).chain(questions(state, run)));
        }
        // One that is done or pending waits for others, unless for something outside.
        let follows = matches!(item.phase(), Phase::Pending | Phase::Done) && !item.rests_frozen();
        let watched = state.watches_of(item.id).any(|watch| watch.status.is_open());
        if asked.len() == before && (!follows || watched) {
            return None;
        }
    }
    (!asked.is_empty()).then_some(asked)
}

/// How many of a mission's items are named with what would free them.
const FREED: usize = 3;

/// What would let a blocked mission go on, by what blocks it.
fn unblocking(state: &State, entry: &MissionEntry) -> Vec<String> {
    let mission = entry.row.id.short();
    let mut replies: Vec<String> = freeing(state, entry).collect();
    if replies.is_empty() {
        replies.push(format!("musher explain {mission}"));
    }
    replies.push(format!("musher mission stop {mission}"));
    replies
}

/// What would free the items that a mission stands still for.
pub(crate) fn freeing<'a>(state: &'a State, entry: &'a MissionEntry) -> impl Iterator<Item = String> + 'a {
    let stuck = entry.items.iter().filter_map(|id| state.item(*id)).filter(|item| !item.satisfied);
    stuck
        .filter_map(|item| {
            let id = item.id.short();
            if item.rests_frozen() {
                return Some(format!("musher item release {id}"));
            }
            match item.phase() {
                Phase::Held => Some(format!("musher item release {id}")),
                Phase::Cancelled => Some(format!("musher item skip {id}")),
                Phase::Failed | Phase::Blocked => Some(format!("musher item retry {id}")),
                Phase::Pending
                | Phase::Ready
                | Phase::Assigned
                | Phase::Running
                | Phase::Verifying
                | Phase::Waiting
                | Phase::Merging
                | Phase::MergeFailed
                | Phase::Done => None,
            }
        })
        .take(FREED)
}

/// Whether its policy asks a person while it waits for the account of its agent.
fn asks_for_another(state: &State, item: &Item) -> bool {
    item.limited.as_deref().is_some_and(|limited| limited.then == OnRateLimit::Ask) && state.is_parked(item)
}

/// Whose account is used up, and until when.
fn rest(state: &State, item: &Item) -> String {
    let (name, until) = item.limited.as_deref().map_or(("its reviewer", None), |limited| resting(state, limited));
    let until = until.map(|at| format!(" until {at}")).unwrap_or_default();
    format!("the account of {name} is used up{until}")
}

fn of_item(state: &State, item: &Item) -> Option<Request> {
    let id = item.id.short();
    let (ask, text, replies) = match &item.state {
        ItemState::Waiting(_) if review::needs_person(state, item) => (
            Ask::Approval,
            format!("{} ({}) wants a yes or a no", item.key, item.title),
            vec![format!("musher diff {id}"), format!("musher approve {id}"), format!("musher reject {id} \"WHY\"")],
        ),
        ItemState::Waiting(Waiting::Watches) => {
            let (text, replies) = pull::request(state, item)?;
            (Ask::Pull, text, replies)
        }
        ItemState::Ready if asks_for_another(state, item) => (
            Ask::RateLimit,
            format!(
                "{} waits: {}. Nothing has to be said: it goes on by itself then",
                item.key,
                item.last_error.as_deref().unwrap_or("the account of its agent is used up")
            ),
            vec![
                format!("musher item failover {id}"),
                format!("musher mission note {} \"redirect {} to AGENT\"", item.mission.short(), item.key),
                format!("musher explain {id}"),
            ],
        ),
        ItemState::Waiting(_) if asks_for_another(state, item) => (
            Ask::RateLimit,
            format!(
                "The review of {} waits: {}. Nothing has to be said: it is made anew then",
                item.key,
                rest(state, item)
            ),
            vec![
                format!("musher item failover {id}"),
                format!("musher approve {id}"),
                format!("musher reject {id} \"WHY\""),
                format!("musher explain {id}"),
            ],
        ),
        ItemState::Blocked(_) | ItemState::Failed(_) => (
            Ask::Stuck,
            format!("{} is {}: {}", item.key, item.phase().name(), item.reason().unwrap_or_default()),
            vec![format!("musher explain {id}"), format!("musher item retry {id}"), format!("musher item skip {id}")],
        ),
        _ => return None,
    };
    if item.phase() == Phase::Failed && item.satisfied {
        return None;
    }
    Some(Request { ask, mission: Some(item.mission), item: Some(item.id), text, replies, since: item.updated_at })
}
