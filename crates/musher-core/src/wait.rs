//! Why an item or a mission is where it is: every reason, typed, and in words. `musher explain` prints it.

use serde::{Deserialize, Serialize};

use crate::agent::AgentStatus;
use crate::dispatch;
use crate::id::{ItemId, MissionId};
use crate::item::{Item, ItemState, Limited, MergeStage, Phase, Waiting, Worktree};
use crate::mission::MissionState;
use crate::state::{MissionEntry, State};
use crate::time::Timestamp;

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
    /// Agents that could take it cannot start.
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
    /// A condition outside.
    Watch,
    /// Its turn in the merge queue.
    MergeQueue,
    /// The checkout of the base is not clean.
    BaseDirty,
    /// The base moved; the merge is made anew.
    BaseMoved,
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
            Self::BaseMoved => "base_moved",
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
    /// In words, with names and numbers.
    pub text: String,
    /// When it ends by itself, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

fn wait(code: WaitCode, text: impl Into<String>) -> Wait {
    Wait { code, text: text.into(), until: None }
}

/// Every reason why an item does not go on; none when it is at work, done or given up.
pub fn of_item(state: &State, id: ItemId) -> Vec<Wait> {
    let Some(item) = state.item(id) else { return Vec::new() };
    let mut waits = Vec::new();
    match &item.state {
        ItemState::Pending => {
            waits.extend(state.open_dependencies(item).map(dependency));
            waits.extend(of_its_mission(state, item));
        }
        ItemState::Ready => {
            waits.extend(of_its_mission(state, item));
            waits.extend(ready(state, item));
        }
        ItemState::Waiting(Waiting::Approval) => waits.push(approval(item)),
        ItemState::Waiting(Waiting::Review) => waits.push(review(state, item)),
        ItemState::Merging(stage) => waits.extend(merging(state, item, stage)),
        ItemState::Blocked(reason) => waits.push(wait(
            WaitCode::Blocked,
            format!("{}; `musher item retry {}` gives it a fresh start", reason.text(), item.id.short()),
        )),
        ItemState::Failed(reason) => waits.push(wait(
            WaitCode::Blocked,
            format!("{reason}; `musher item retry {}` gives it a fresh start", item.id.short()),
        )),
        ItemState::Held { reason, .. } => waits
            .push(wait(WaitCode::Held, format!("{reason}; `musher item release {}` puts it back", item.id.short()))),
        ItemState::Assigned
        | ItemState::Running
        | ItemState::Verifying
        | ItemState::Waiting(Waiting::Clear)
        | ItemState::MergeFailed(_)
        | ItemState::Done
        | ItemState::Cancelled(_) => {}
    }
    waits
}

fn dependency(on: &Item) -> Wait {
    let ended = match on.phase() {
        Phase::Failed | Phase::Cancelled => ", so it will not be done; `musher item skip` counts it as done",
        Phase::Pending
        | Phase::Ready
        | Phase::Assigned
        | Phase::Running
        | Phase::Verifying
        | Phase::Waiting
        | Phase::Merging
        | Phase::MergeFailed
        | Phase::Done
        | Phase::Blocked
        | Phase::Held => "",
    };
    wait(WaitCode::Dependency, format!("depends on {}, which is {}{ended}", on.key, on.phase().name()))
}

fn of_its_mission(state: &State, item: &Item) -> Option<Wait> {
    let mission = state.mission(item.mission)?;
    match mission.row.state {
        MissionState::Paused | MissionState::AwaitingApproval | MissionState::Planning => Some(wait(
            WaitCode::Paused,
            format!(
                "its mission is {}{}",
                mission.row.state.name(),
                mission.row.blocked_reason.as_deref().map(|r| format!(": {r}")).unwrap_or_default()
            ),
        )),
        MissionState::Running
        | MissionState::Blocked
        | MissionState::Completed
        | MissionState::Failed
        | MissionState::Cancelled => None,
    }
}

fn ready(state: &State, item: &Item) -> Vec<Wait> {
    let mut waits = Vec::new();
    if let Some(until) = item.not_before.filter(|_| !dispatch::is_in_ready_index(state, item)) {
        let why = item.last_error.as_deref().unwrap_or("its last run failed");
        let text = format!("attempt {} starts at {until}, after: {why}", item.attempts + 1);
        waits.push(Wait { code: WaitCode::NotBefore, text, until: Some(until) });
    }
    if let Some(mission) = state.mission(item.mission) {
        if mission.free_slots() == 0 {
            let n = mission.row.policy.max_parallel_items;
            waits
                .push(wait(WaitCode::ParallelLimit, format!("its mission has {n} item(s) at work, as many as it may")));
        }
        if let Some(cap) = mission.cap_reached() {
            waits.push(wait(WaitCode::Quota, cap.to_string()));
        }
    }
    if !state.runs_of(item.id).is_empty() {
        waits.push(wait(WaitCode::Lease, "its earlier run is not ended yet"));
    }
    if item.worktree == Worktree::Removing {
        waits.push(wait(WaitCode::Lease, "its earlier worktree is being removed"));
    }
    if let Some(other) = dispatch::overlapping(state, item) {
        waits.push(wait(WaitCode::TouchesOverlap, format!("{} is at work on the same files", other.key)));
    }
    if let Some(limited) = item.limited.as_deref().filter(|_| state.is_parked(item)) {
        waits.push(rate_limited(state, item, limited));
    } else if let Some((code, removed)) = dispatch::no_agent(state, item) {
        let until = if code == WaitCode::RateLimited {
            state.agents().filter(|a| !a.removed).filter_map(|a| a.limited_until).min()
        } else {
            removed.denied.values().flatten().min().copied().filter(|_| code == WaitCode::Quota)
        };
        waits.push(Wait { code, text: no_agent_text(state, &removed), until });
    }
    waits
}

/// It waits for the account of its own agent, though others may be free.
fn rate_limited(state: &State, item: &Item, limited: &Limited) -> Wait {
    let agent = state.agent(limited.agent);
    let name = agent.map(|agent| &*agent.spec.name).unwrap_or_default();
    let until = agent.and_then(|agent| agent.limited_until);
    let rests = until.map(|until| format!(" until {until}")).unwrap_or_default();
    let id = item.id.short();
    let text = format!(
        "the account of {name} rests{rests}, and it goes on in its session then; `musher item failover {id}` gives it to \
         another account now"
    );
    Wait { code: WaitCode::RateLimited, text, until }
}

fn no_agent_text(state: &State, removed: &dispatch::Removed) -> String {
    let mut text = removed.text();
    let mut told = std::collections::BTreeSet::new();
    for agent in state.agents().filter(|a| !a.removed) {
        if state.status(agent.id) == Some(AgentStatus::Error)
            && let Some(error) = &agent.error
        {
            text.push_str(&format!("; {}: {error}", agent.spec.name));
        }
        if let Some(suspended) = agent.suspended.as_deref().filter(|_| agent.is_suspended())
            && told.insert(&*agent.spec.driver)
        {
            let until = suspended.until.map(|at| format!("until {at}")).unwrap_or("while one run tries it".to_owned());
            text.push_str(&format!("; the driver {} is paused {until}: {}", agent.spec.driver, suspended.why));
        }
    }
    text
}

fn approval(item: &Item) -> Wait {
    let id = item.id.short();
    let why = item.last_error.as_deref().map(|e| format!(" ({e})")).unwrap_or_default();
    wait(
        WaitCode::Approval,
        format!("a person must say yes{why}: `musher approve {id}` or `musher reject {id} \"WHY\"`"),
    )
}

fn review(state: &State, item: &Item) -> Wait {
    let id = item.id.short();
    if let Some(run) = item.review_run.and_then(|r| state.run(r)) {
        let name = state.agent(run.agent).map(|a| a.spec.name.to_string()).unwrap_or_default();
        return wait(WaitCode::Review, format!("{name} is reviewing it"));
    }
    let yes = format!("`musher approve {id}` or `musher reject {id} \"WHY\"`");
    let removed = dispatch::no_reviewer(state, item).filter(|removed| !removed.denied.is_empty());
    if let Some(removed) = removed {
        let text = format!("no reviewer is free ({}); a person may decide: {yes}", removed.text());
        let until = removed.denied.values().flatten().min().copied();
        return Wait { code: WaitCode::Review, text, until };
    }
    if dispatch::has_reviewer(state, item) {
        wait(WaitCode::Review, format!("no reviewer is free; a person may decide: {yes}"))
    } else {
        wait(WaitCode::Review, format!("there is no agent of role reviewer; a person must decide: {yes}"))
    }
}

fn merging(state: &State, item: &Item, stage: &MergeStage) -> Option<Wait> {
    match stage {
        MergeStage::Queued => {
            let before = state.queue().take_while(|id| *id != item.id).count() + state.merging().len();
            let paused = state.merge_queue().paused.as_ref();
            let paused =
                paused.map(|why| format!("; the queue is paused ({why}), and `musher queue resume` ends that"));
            Some(wait(WaitCode::MergeQueue, format!("{before} merge(s) before it{}", paused.unwrap_or_default())))
        }
        MergeStage::Held { until, why, .. } => {
            Some(Wait { code: WaitCode::BaseDirty, text: why.to_string(), until: Some(*until) })
        }
        MergeStage::Preparing | MergeStage::Rebasing | MergeStage::Gating(_) | MergeStage::Landing(_) => None,
    }
}

/// Every reason why a mission does not go on.
pub fn of_mission(state: &State, id: MissionId) -> Vec<Wait> {
    let Some(entry) = state.mission(id) else { return Vec::new() };
    let reason = entry.row.blocked_reason.as_deref().unwrap_or_default();
    match entry.row.state {
        MissionState::AwaitingApproval => {
            vec![wait(WaitCode::Approval, format!("`musher mission approve {}` starts it", id.short()))]
        }
        MissionState::Paused => vec![wait(WaitCode::Paused, reason)],
        MissionState::Blocked => {
            let mut waits = vec![wait(WaitCode::Blocked, reason)];
            waits.extend(of_its_items(state, entry));
            waits
        }
        MissionState::Planning | MissionState::Running => of_its_items(state, entry),
        MissionState::Completed | MissionState::Failed | MissionState::Cancelled => Vec::new(),
    }
}

/// How many items a mission's explanation names.
const ITEMS_NAMED: usize = 20;

fn of_its_items(state: &State, entry: &MissionEntry) -> Vec<Wait> {
    entry
        .items
        .iter()
        .filter_map(|id| state.item(*id))
        .filter(|item| item.phase() != Phase::Pending)
        .flat_map(|item| {
            of_item(state, item.id).into_iter().map(|w| Wait { text: format!("{}: {}", item.key, w.text), ..w })
        })
        .take(ITEMS_NAMED)
        .collect()
}
