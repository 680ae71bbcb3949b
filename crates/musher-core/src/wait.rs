//! Why an item or a mission is where it is: every reason, typed, and in words. `musher explain` prints it.

use serde::{Deserialize, Serialize};

use crate::agent::AgentStatus;
use crate::dispatch;
use crate::host;
use crate::id::{ItemId, MissionId};
use crate::item::{Item, ItemState, MergeStage, Phase, Waiting, Worktree};
use crate::mission::{self, MissionState};
use crate::pull;
use crate::quota::{Cap, Denied};
use crate::state::{MissionEntry, State};
use crate::time::Timestamp;
use crate::watch::{Holds, Watch, WatchKind};

mod agents;
mod limited;
mod survey;

pub use agents::of_agent;

pub(crate) use limited::resting;
pub use survey::{Group, Survey, survey};

/// What an item waits for. The codes are stable: scripts rely on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitCode {
    /// Something it depends on is not done.
    Dependency,
    /// A backoff is not over.
    NotBefore,
    /// Its mission has as many items at work as it may have.
    ParallelLimit,
    /// No agent could ever take it as things stand.
    NoAgent,
    /// Agents that could take it have as much as they may have.
    AgentsBusy,
    /// Agents that could take it cannot start, or nothing is heard of their nodes.
    AgentOffline,
    /// Agents that could take it are paused or draining.
    AgentPaused,
    /// A quota or cap is used up.
    Quota,
    /// The account of its agents is rate limited.
    RateLimited,
    /// A running item changes the same files.
    TouchesOverlap,
    /// A review.
    Review,
    /// A person's yes.
    Approval,
    /// Something outside: its pull request, an issue, a program, an address.
    Watch,
    /// Its turn in the merge queue.
    MergeQueue,
    /// The checkout of the base is not clean, or the base and that of the remote have gone apart.
    BaseDirty,
    /// An operator took it out.
    Held,
    /// Its mission is paused, or awaits a yes.
    Paused,
    /// Musher has stopped trying.
    Blocked,
    /// The disk has no room.
    Disk,
    /// An earlier run is not ended yet.
    Lease,
}

impl WaitCode {
    /// The word in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dependency => "dependency",
            Self::NotBefore => "not_before",
            Self::ParallelLimit => "parallel_limit",
            Self::NoAgent => "no_agent",
            Self::AgentsBusy => "agents_busy",
            Self::AgentOffline => "agent_offline",
            Self::AgentPaused => "agent_paused",
            Self::Quota => "quota",
            Self::RateLimited => "rate_limited",
            Self::TouchesOverlap => "touches_overlap",
            Self::Review => "review",
            Self::Approval => "approval",
            Self::Watch => "watch",
            Self::MergeQueue => "merge_queue",
            Self::BaseDirty => "base_dirty",
            Self::Held => "held",
            Self::Paused => "paused",
            Self::Blocked => "blocked",
            Self::Disk => "disk",
            Self::Lease => "lease",
        }
    }
}

/// A reason, with its words and, where it ends by itself, when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// Which.
    pub code: WaitCode,
    /// In words, with names and numbers; what would help, if anything does, follows the first semicolon.
    pub text: String,
    /// The same in a few words, without what would help and without the moment in `until`: `waits for api`, `2 agents busy`.
    /// Items that wait for the same have the same words.
    #[serde(default)]
    pub brief: String,
    /// When it ends by itself, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

fn wait(code: WaitCode, brief: impl Into<String>, text: impl Into<String>) -> Wait {
    Wait { code, text: text.into(), brief: brief.into(), until: None }
}

/// A number of things, in words.
fn many(count: u32, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// Every reason why an item does not go on; none when it is at work, done or given up.
pub fn of_item(state: &State, id: ItemId) -> Vec<Wait> {
    let Some(item) = state.item(id) else { return Vec::new() };
    let mut waits: Vec<Wait> = frozen(item).into_iter().collect();
    match &item.state {
        ItemState::Pending => {
            waits.extend(state.open_dependencies(item).map(dependency));
            waits.extend(state.watches_of(id).filter(|watch| state.is_looked_at(watch)).map(outside));
            waits.extend(of_its_mission(state, item));
        }
        ItemState::Ready => {
            waits.extend(of_its_mission(state, item));
            waits.extend(ready(state, item));
        }
        ItemState::Waiting(Waiting::Approval) => waits.push(approval(item)),
        ItemState::Waiting(Waiting::Review) => waits.push(review(state, item)),
        ItemState::Waiting(Waiting::Watches) => waits.extend(followed(state, item)),
        // Its turn does not come while it is frozen.
        ItemState::Merging(MergeStage::Queued) if item.frozen.is_some() => {}
        ItemState::Merging(stage) => waits.extend(merging(state, item, stage)),
        ItemState::Blocked(reason) => waits.push(wait(
            WaitCode::Blocked,
            reason.text(),
            format!("{}; `musher item retry {}` gives it a fresh start", reason.text(), item.id.short()),
        )),
        ItemState::Failed(reason) => waits.push(wait(
            WaitCode::Blocked,
            &**reason,
            format!("{reason}; `musher item retry {}` gives it a fresh start", item.id.short()),
        )),
        ItemState::Held { reason, .. } => waits.push(wait(
            WaitCode::Held,
            format!("held: {reason}"),
            format!("{reason}; `musher item release {}` puts it back", item.id.short()),
        )),
        ItemState::Assigned
        | ItemState::Running
        | ItemState::Verifying
        | ItemState::Waiting(Waiting::Clear)
        | ItemState::MergeFailed(_)
        | ItemState::Done
        | ItemState::Cancelled(_) => {}
    }
    let silent = state.runs_of(id).iter().filter_map(|run| host::silence(state.run(*run)?));
    waits.extend(silent.map(|why| wait(WaitCode::AgentOffline, "its run host does not answer", why)));
    waits
}

/// An operator lets nothing new begin for it.
fn frozen(item: &Item) -> Option<Wait> {
    let why = item.frozen.as_deref()?;
    Some(wait(
        WaitCode::Held,
        format!("frozen: {}", first_clause(why)),
        format!("frozen: {why}; `musher item release {}` lets it go on", item.id.short()),
    ))
}

fn dependency(on: &Item) -> Wait {
    let id = on.id.short();
    let (key, phase) = (&on.key, on.phase());
    let brief = match phase {
        Phase::Failed | Phase::Cancelled | Phase::Blocked | Phase::Held => {
            format!("waits for {key}, which is {}", phase.name())
        }
        Phase::Pending
        | Phase::Ready
        | Phase::Assigned
        | Phase::Running
        | Phase::Verifying
        | Phase::Waiting
        | Phase::Merging
        | Phase::MergeFailed
        | Phase::Done => format!("waits for {key}"),
    };
    let then = match phase {
        Phase::Failed | Phase::Cancelled => {
            format!(", so it will not be done; `musher item skip {id}` counts it as done")
        }
        Phase::Blocked | Phase::Held => format!("; `musher explain {id}` says why"),
        Phase::Pending
        | Phase::Ready
        | Phase::Assigned
        | Phase::Running
        | Phase::Verifying
        | Phase::Waiting
        | Phase::Merging
        | Phase::MergeFailed
        | Phase::Done => String::new(),
    };
    wait(WaitCode::Dependency, brief, format!("depends on {key}, which is {}{then}", phase.name()))
}

/// Something outside that it waits for, and what was last seen of it.
fn outside(watch: &Watch) -> Wait {
    let what = match &watch.kind {
        WatchKind::IssueClosed(issue) => format!("waits until {issue} is closed"),
        WatchKind::Command(argv) => format!("waits until `{}` exits 0", argv.join(" ")),
        WatchKind::Url(url) => format!("waits until {url} answers"),
        WatchKind::PrChecks | WatchKind::BotComments | WatchKind::ReviewComments | WatchKind::Mergeability => {
            format!("waits for {}", watch.kind.name())
        }
    };
    let last = watch.looks.error.as_deref().or(watch.text.as_deref()).map(|t| format!(" ({t})")).unwrap_or_default();
    let help = format!("; `musher watch close {}` goes on without that", watch.id.short());
    let brief = what.replacen("waits until", "until", 1);
    Wait { code: WaitCode::Watch, text: format!("{what}{last}{help}"), brief, until: watch.looks.due }
}

/// Its pull request, and each of its watches that is open.
fn followed(state: &State, item: &Item) -> Vec<Wait> {
    let made = "its pull request is being made";
    let Some(pull) = state.pull(item.id) else { return vec![wait(WaitCode::Watch, made, made)] };
    if let Some(denied) = state.is_kept_closed(item.id) {
        let text = format!("{denied}; `musher quota set repo daily_prs LIMIT` allows more");
        let until = state.books().repo().and_then(|account| account.ends(Cap::DailyPrs));
        return vec![Wait { code: WaitCode::Quota, text, brief: format!("quota: {denied}"), until }];
    }
    let until = pull.looks.due;
    let watch = |brief: String, text: String| Wait { code: WaitCode::Watch, text, brief, until };
    if let Some(error) = &pull.looks.error {
        return vec![watch(format!("{} cannot be seen", pull.name()), format!("{}: {error}", pull.name()))];
    }
    let Some(number) = pull.number else { return vec![watch(made.to_owned(), made.to_owned())] };
    let wishes = pull::awaited(state, item);
    if !wishes.is_empty() {
        let name = format!("{} ({})", pull.name(), pull.url);
        return wishes.iter().map(|wish| watch(wish.brief(number), format!("{name}: {}", wish.text()))).collect();
    }
    let open = state.watches_of(item.id).filter(|watch| watch.kind.is_of_pull() && watch.status.is_open());
    let mut waits: Vec<Wait> = open
        .map(|open| {
            let seen = open.text.as_deref().unwrap_or("not looked at yet");
            let what = match &open.kind {
                WatchKind::PrChecks => "checks",
                WatchKind::BotComments => "bot comments",
                WatchKind::ReviewComments => "review comments",
                WatchKind::Mergeability => "mergeability",
                WatchKind::IssueClosed(_) | WatchKind::Command(_) | WatchKind::Url(_) => open.kind.name(),
            };
            watch(format!("{what} of #{number}"), format!("{}: {seen}", open.kind.name()))
        })
        .collect();
    if waits.is_empty() {
        let who = if pull.queued { "the forge merges it" } else { "it is ready, and is looked at again" };
        waits.push(watch(format!("merge of #{number}"), format!("{} ({}): {who}", pull.name(), pull.url)));
    }
    waits
}

fn of_its_mission(state: &State, item: &Item) -> Option<Wait> {
    let mission = state.mission(item.mission)?;
    let id = mission.row.id.short();
    let help = match mission.row.state {
        MissionState::Paused => format!("; `musher mission resume {id}` lets it go on"),
        MissionState::AwaitingApproval => format!("; `musher mission approve {id}` starts it"),
        MissionState::Planning => "; it begins once its plan is made".to_owned(),
        MissionState::Running
        | MissionState::Blocked
        | MissionState::Completed
        | MissionState::Failed
        | MissionState::Cancelled => return None,
    };
    let why = mission.row.blocked_reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    let is = format!("its mission is {}", mission.row.state.name().replace('_', " "));
    Some(wait(WaitCode::Paused, is.clone(), format!("{is}{why}{help}")))
}

fn ready(state: &State, item: &Item) -> Vec<Wait> {
    let mut waits = Vec::new();
    if let Some(until) = item.not_before.filter(|_| !dispatch::is_in_ready_index(state, item)) {
        let why = item.last_error.as_deref().unwrap_or("its last run failed");
        let next = item.attempts + 1;
        let (code, brief, text) = if item.no_room {
            (WaitCode::Disk, "no room on the disk".to_owned(), format!("{why}; musher looks again at {until}"))
        } else {
            (WaitCode::NotBefore, format!("attempt {next}"), format!("attempt {next} starts at {until}; after: {why}"))
        };
        waits.push(Wait { code, text, brief, until: Some(until) });
    }
    if let Some(mission) = state.mission(item.mission) {
        if mission.free_slots() == 0 {
            let n = mission.row.policy.max_parallel_items;
            let text = format!(
                "its mission has {n} item(s) at work, as many as it may; it starts when one of them ends, and \
                 `max_parallel_items` of the next plan may be higher"
            );
            waits.push(wait(WaitCode::ParallelLimit, format!("its mission has {n} at work"), text));
        }
        if let Some(cap) = mission.cap_reached() {
            let id = mission.row.id.short();
            let key = if cap == Denied::MissionUsd { "usd" } else { "tokens" };
            let text = format!("{cap}; `musher quota set mission:{id} {key} LIMIT` allows more");
            waits.push(wait(WaitCode::Quota, format!("quota: {cap}"), text));
        }
    }
    if !state.runs_of(item.id).is_empty() {
        let text = "its earlier run is not ended yet; it goes on by itself then";
        waits.push(wait(WaitCode::Lease, "its earlier run is not ended yet", text));
    }
    if item.worktree == Worktree::Removing {
        let text = "its earlier worktree is being removed; it goes on by itself then";
        waits.push(wait(WaitCode::Lease, "its earlier worktree is being removed", text));
    }
    if let Some(other) = dispatch::overlapping(state, item) {
        waits.push(wait(
            WaitCode::TouchesOverlap,
            format!("{} is at work on the same files", other.key),
            format!("{} is at work on the same files; it starts when that one is done", other.key),
        ));
    }
    if let Some(limited) = item.limited.as_deref().filter(|_| state.is_parked(item)) {
        waits.push(limited::of_work(state, item, limited));
    } else if let Some((code, removed)) = dispatch::no_agent(state, item) {
        let until = if code == WaitCode::RateLimited {
            state.agents().filter(|a| !a.removed).filter_map(|a| a.limited_until).min()
        } else {
            removed.denied.values().flatten().min().copied().filter(|_| code == WaitCode::Quota)
        };
        let text = no_agent_text(state, item, code, &removed);
        waits.push(Wait { code, text, brief: agents::brief(code, &removed), until });
    }
    waits
}

fn no_agent_text(state: &State, item: &Item, code: WaitCode, removed: &dispatch::Removed) -> String {
    let mut text = removed.text();
    let help = if removed.of == 0 { Some(ADD_AGENT) } else { agent_help(code) };
    text.extend(help.map(|help| format!("; {help}")));
    let mut told = std::collections::BTreeSet::new();
    // Only of those that could take it otherwise: what is wrong with another one helps nobody here.
    for agent in state.agents().filter(|agent| dispatch::suits(item, agent)) {
        if state.status(agent.id) == Some(AgentStatus::Error)
            && let Some(error) = &agent.error
        {
            text.push_str(&format!("; {}: {error}", agent.spec.name));
        }
        let place =
            agent.spec.node.as_deref().map_or(("agent", agent.spec.name.to_string()), |node| ("node", node.to_owned()));
        if let Some(why) = host::why_offline(state, agent)
            && told.insert(place)
        {
            text.push_str(&format!("; {}: {why}", agent.spec.name));
        }
        if let Some(suspended) = agent.suspended.as_deref().filter(|_| agent.is_suspended())
            && told.insert(("driver", agent.spec.setup_name()))
        {
            let until = suspended.until.map(|at| format!("until {at}")).unwrap_or("while one run tries it".to_owned());
            text.push_str(&format!("; the driver {} is paused {until}: {}", agent.spec.setup_name(), suspended.why));
        }
    }
    text
}

const ADD_AGENT: &str = "`musher agent add` or an `[[agents]]` in `musher.toml` adds one";

/// What helps an item that finds no agent for this reason.
const fn agent_help(code: WaitCode) -> Option<&'static str> {
    match code {
        WaitCode::AgentsBusy => Some("it starts when one of them is free; a higher `max_load` gives them more"),
        WaitCode::RateLimited => {
            Some("it goes on when the account is free again; `musher agent resume NAME` tries it now")
        }
        WaitCode::Quota => Some("`musher quota` shows what is used, and `musher quota set` allows more"),
        WaitCode::AgentPaused => Some("`musher agent resume NAME` lets it take work again"),
        WaitCode::AgentOffline => {
            Some("mend what is said here; `musher agent resume NAME` lets one that could not start try again")
        }
        WaitCode::NoAgent => {
            Some("`musher agent list` shows their roles and capabilities; an agent that fits can be added")
        }
        WaitCode::Dependency
        | WaitCode::NotBefore
        | WaitCode::ParallelLimit
        | WaitCode::TouchesOverlap
        | WaitCode::Review
        | WaitCode::Approval
        | WaitCode::MergeQueue
        | WaitCode::BaseDirty
        | WaitCode::Held
        | WaitCode::Paused
        | WaitCode::Blocked
        | WaitCode::Disk
        | WaitCode::Lease
        | WaitCode::Watch => None,
    }
}

fn approval(item: &Item) -> Wait {
    let id = item.id.short();
    let why = item.last_error.as_deref().map(|e| format!(" ({e})")).unwrap_or_default();
    wait(
        WaitCode::Approval,
        "approval by a person",
        format!("a person must say yes{why}; `musher approve {id}` or `musher reject {id} \"WHY\"`"),
    )
}

fn review(state: &State, item: &Item) -> Wait {
    let id = item.id.short();
    let yes = format!("`musher approve {id}` or `musher reject {id} \"WHY\"`");
    if let Some(run) = item.review_run.and_then(|r| state.run(r)) {
        let name = state.agent(run.agent).map(|a| a.spec.name.to_string()).unwrap_or_default();
        let brief = format!("review by {name}");
        return wait(WaitCode::Review, brief, format!("{name} is reviewing it; a person may decide first: {yes}"));
    }
    if let Some(limited) = item.limited.as_deref().filter(|_| state.is_parked(item)) {
        return limited::of_review(state, item, limited);
    }
    let removed = dispatch::no_reviewer(state, item).filter(|removed| !removed.denied.is_empty());
    if let Some(removed) = removed {
        let text = format!("no reviewer is free ({}); a person may decide: {yes}", removed.text());
        let until = removed.denied.values().flatten().min().copied();
        let brief = "review: no reviewer is free".to_owned();
        return Wait { code: WaitCode::Review, text, brief, until };
    }
    if dispatch::has_reviewer(state, item) {
        let text = format!("no reviewer is free; a person may decide: {yes}");
        wait(WaitCode::Review, "review: no reviewer is free", text)
    } else {
        wait(
            WaitCode::Review,
            "review by a person",
            format!("there is no agent of role reviewer; a person must decide: {yes}"),
        )
    }
}

fn merging(state: &State, item: &Item, stage: &MergeStage) -> Option<Wait> {
    match stage {
        MergeStage::Queued => {
            let before = state.queue().take_while(|id| *id != item.id).count() + state.merging().len();
            let then = match &state.merge_queue().paused {
                Some(why) => format!("the queue is paused ({why}), and `musher queue resume` ends that"),
                None => "its turn comes by itself".to_owned(),
            };
            let paused = if state.merge_queue().paused.is_some() { ", paused" } else { "" };
            let brief = format!("merge queue, {}{paused}", nth(before + 1));
            Some(wait(WaitCode::MergeQueue, brief, format!("{before} merge(s) before it; {then}")))
        }
        MergeStage::Held { until, why, .. } => {
            let brief = format!("merge: {}", first_clause(why));
            Some(Wait { code: WaitCode::BaseDirty, text: why.to_string(), brief, until: Some(*until) })
        }
        MergeStage::Preparing | MergeStage::Rebasing | MergeStage::Gating(_) | MergeStage::Landing(_) => None,
    }
}

/// What stands before what would help.
fn first_clause(text: &str) -> &str {
    text.split(';').next().unwrap_or_default().trim_end()
}

/// A place in a row: `1st`, `2nd`, `3rd`, `11th`.
fn nth(place: usize) -> String {
    let end = match (place % 10, place % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        (_, _) => "th",
    };
    format!("{place}{end}")
}

/// Every reason why a mission does not go on.
pub fn of_mission(state: &State, id: MissionId) -> Vec<Wait> {
    let Some(entry) = state.mission(id) else { return Vec::new() };
    let reason = entry.row.blocked_reason.as_deref().unwrap_or_default();
    match entry.row.state {
        MissionState::AwaitingApproval => {
            let text = format!("`musher mission approve {}` starts it", id.short());
            vec![wait(WaitCode::Approval, "approval by a person", text)]
        }
        MissionState::Paused => {
            let text = format!("{reason}; `musher mission resume {}` lets it go on", id.short());
            vec![wait(WaitCode::Paused, "paused", text)]
        }
        MissionState::Blocked => {
            let rests = mission::is_at_rest(state, entry);
            let then = if rests { "`musher inbox` has what would help" } else { "it goes on by itself then" };
            let mut waits = vec![wait(WaitCode::Blocked, reason, format!("{reason}; {then}"))];
            waits.extend(of_its_items(state, entry));
            waits.extend(of_its_watches(state, entry));
            waits
        }
        MissionState::Planning | MissionState::Running => {
            let mut waits = of_its_items(state, entry);
            waits.extend(of_its_watches(state, entry));
            waits
        }
        MissionState::Completed | MissionState::Failed | MissionState::Cancelled => Vec::new(),
    }
}

/// How many items a mission's explanation names.
const ITEMS_NAMED: usize = 20;

/// What is waited for outside before items begin, or before it ends; what pull requests wait for their items tell.
fn of_its_watches<'a>(state: &'a State, entry: &'a MissionEntry) -> impl Iterator<Item = Wait> + 'a {
    let open = state.open_watches(entry.row.id).filter(|watch| watch.holds != Holds::Pull);
    open.take(ITEMS_NAMED).map(|watch| {
        let key = state.item(watch.item).map(|item| &*item.key).unwrap_or_default();
        let told = outside(watch);
        Wait { text: format!("{key}: {}", told.text), brief: format!("{key}: {}", told.brief), ..told }
    })
}

fn of_its_items(state: &State, entry: &MissionEntry) -> Vec<Wait> {
    entry
        .items
        .iter()
        .filter_map(|id| state.item(*id))
        .filter(|item| item.phase() != Phase::Pending)
        .flat_map(|item| {
            let named = |words: &str| format!("{}: {words}", item.key);
            of_item(state, item.id).into_iter().map(move |w| Wait { text: named(&w.text), brief: named(&w.brief), ..w })
        })
        .take(ITEMS_NAMED)
        .collect()
}
