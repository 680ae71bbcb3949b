//! Routing: which ready item is next, and which agent fits it best.

use crate::agent::Agent;
use crate::change::Change;
use crate::command::Refused;
use crate::effect::EffectKind;
use crate::event::Happened;
use crate::id::{AgentId, ItemId};
use crate::item::{self, Item, ItemEvent, ItemState, Phase, Priority, Worktree};
use crate::quota::{self, Denied};
use crate::run::{Outcome, Run, RunState};
use crate::state::{Class, Standing, State, Turn};
use crate::step::Context;
use crate::wait::WaitCode;

mod choice;
mod fit;
mod overlap;

pub use choice::{Condition, Removed};
use choice::{Wish, are_reviewers, best, choose, unfit};
pub use fit::{Role, fit};
pub use overlap::overlaps;

/// How many ready items of one class are looked at for one that overlaps nothing, before musher waits for a change.
const OVERLAP_LOOK: usize = 256;

/// The next item and its agent, by priority, then the shares of missions, then age; nothing when no ready item finds one.
pub fn next(state: &State) -> Option<(ItemId, AgentId)> {
    let mut next: Option<(Turn, AgentId)> = None;
    for (head, class) in state.ready().order() {
        // The first of a class may be held back, and the next one of it less urgent than the first of another.
        if next.is_some_and(|(turn, _)| turn < head) {
            break;
        }
        let Some(agent) = best(state, &Wish::work(class.clone())) else { continue };
        if let Some(turn) = free_item(state, class)
            && next.is_none_or(|(other, _)| turn < other)
        {
            next = Some((turn, agent));
        }
    }
    next.map(|(turn, agent)| (turn.rank.item, agent))
}

/// The first item of a class, over all open missions, that nothing of its own holds back.
fn free_item(state: &State, class: &Class) -> Option<Turn> {
    let heads = state.ready().heads_of(class)?;
    let mut best: Option<Turn> = None;
    for (head, mission) in heads {
        // In order, so that the cost does not grow with the missions: nothing behind this head comes before the best.
        if best.is_some_and(|turn| turn < *head) {
            break;
        }
        let mut queue = state.ready().queue(*mission, class).take(OVERLAP_LOOK);
        let free = queue.find(|rank| state.item(rank.item).is_some_and(|item| held_back(state, item).is_none()));
        best = match (best, free.map(|rank| head.of(rank))) {
            (Some(best), Some(free)) => Some(best.min(free)),
            (best, free) => best.or(free),
        };
    }
    best
}

/// What of its own keeps a ready item from every agent: an earlier run that is still ending, a worktree that is being
/// removed, or an overlap.
pub fn held_back(state: &State, item: &Item) -> Option<WaitCode> {
    if !state.runs_of(item.id).is_empty() || item.worktree == Worktree::Removing {
        return Some(WaitCode::Lease);
    }
    overlapping(state, item).map(|_| WaitCode::TouchesOverlap)
}

/// The running item that changes the same files as this one, by what their plans say or by what their merges have shown.
pub fn overlapping<'a>(state: &'a State, item: &Item) -> Option<&'a Item> {
    if item.touches.is_empty() && item.clashes.is_empty() {
        return None;
    }
    state.live_items().find(|other| other.id != item.id && meet(item, other))
}

/// Whether two items are known to change the same files: each by its `touches` and by where its merges have conflicted.
pub fn meet(one: &Item, other: &Item) -> bool {
    let other = [&*other.touches, &*other.clashes];
    [&*one.touches, &*one.clashes].iter().any(|a| other.iter().any(|b| overlaps(a, b)))
}

/// A waiting item that needs a review, and the agent to make it.
pub fn next_review(state: &State) -> Option<(ItemId, AgentId)> {
    // Where no reviewer is free for anyone's work, none is for each of those that wait.
    best(state, &Wish::any_review(Priority::Medium))?;
    state.unreviewed().find_map(|id| {
        let item = state.item(id)?;
        let mission = state.mission(item.mission)?;
        if !mission.row.state.dispatches() || mission.cap_reached().is_some() || !state.runs_of(id).is_empty() {
            return None;
        }
        best(state, &Wish::review(item)).map(|agent| (id, agent))
    })
}

/// Whether there is an agent that could ever review this item: of role reviewer, and not its author.
pub fn has_reviewer(state: &State, item: &Item) -> bool {
    let roster = state.roster();
    let author = item.agent.and_then(|id| roster.find(id)).filter(|(_, its)| **its != Standing::Out(Condition::Error));
    roster.squads().filter(|(trade, _)| are_reviewers(&trade.roles)).any(|(trade, squad)| {
        let broken = squad.out.get(&Condition::Error).copied().unwrap_or(0);
        squad.len() - broken > u32::from(author.is_some_and(|(its, _)| its == trade))
    })
}

/// Refuses an assignment that the rules do not allow; the last word, also against a defect of the agenda. That the item is
/// ready is not asked here: the table of states lets no other take an agent, in the same step.
pub fn permits(state: &State, item: &Item, agent: AgentId) -> Result<(), Refused> {
    let refuse = |what| Err(Refused::Stale { what });
    if item.frozen.is_some() {
        return refuse("it is frozen");
    }
    if state.is_parked(item) {
        return refuse("it waits for the account of its last run");
    }
    if item.not_before.is_some_and(|_| !is_in_ready_index(state, item)) {
        return refuse("its backoff is not over");
    }
    let Some(mission) = state.mission(item.mission) else { return refuse("its mission is archived") };
    if !mission.row.state.dispatches() || mission.free_slots() == 0 {
        return refuse("its mission takes no more items now");
    }
    if held_back(state, item).is_some() {
        return refuse("its item is held back");
    }
    match state.agent(agent) {
        Some(row) if !row.removed && unfit(state, &Class::of(item), row).is_none() => permitted(state, row, item),
        _ => refuse("its agent cannot take it"),
    }
}

/// Refuses a run that a quota does not allow.
pub(crate) fn permitted(state: &State, agent: &Agent, item: &Item) -> Result<(), Refused> {
    quota::check(state, agent, Some(item.mission), state.looked_at())
        .map_err(|_| Refused::Stale { what: "a quota refuses its agent" })
}

/// Whether a ready item's backoff, if it has one, is over.
pub(crate) fn is_in_ready_index(state: &State, item: &Item) -> bool {
    state.ready().contains(item)
}

/// Why a ready item finds no agent, or nothing when it would find one.
pub fn no_agent(state: &State, item: &Item) -> Option<(WaitCode, Removed)> {
    choose(state, &Wish::work(Class::of(item))).err().map(|removed| (code_of(&removed), removed))
}

/// Why an item that waits for a review finds no reviewer, or nothing when it would find one.
pub fn no_reviewer(state: &State, item: &Item) -> Option<Removed> {
    choose(state, &Wish::review(item)).err()
}

/// The one condition that would free the item soonest: busy agents before paused ones, those before broken ones.
fn code_of(removed: &Removed) -> WaitCode {
    let has = |condition| removed.by.contains_key(&condition);
    if has(Condition::Busy) {
        WaitCode::AgentsBusy
    } else if has(Condition::RateLimited) {
        WaitCode::RateLimited
    } else if has(Condition::Quota) {
        WaitCode::Quota
    } else if has(Condition::Paused) || has(Condition::Draining) {
        WaitCode::AgentPaused
    } else if has(Condition::Error) || has(Condition::Offline) || has(Condition::Suspended) {
        WaitCode::AgentOffline
    } else {
        WaitCode::NoAgent
    }
}

/// Whether no agent can ever take an item as things stand: none fits, or all that do are offline, paused or out of quota.
pub(crate) const fn is_hopeless(code: WaitCode) -> bool {
    match code {
        WaitCode::NoAgent | WaitCode::AgentOffline | WaitCode::AgentPaused | WaitCode::Quota => true,
        WaitCode::Dependency
        | WaitCode::NotBefore
        | WaitCode::ParallelLimit
        | WaitCode::AgentsBusy
        | WaitCode::RateLimited
        | WaitCode::TouchesOverlap
        | WaitCode::Review
        | WaitCode::Approval
        | WaitCode::Watch
        | WaitCode::MergeQueue
        | WaitCode::BaseDirty
        | WaitCode::Held
        | WaitCode::Paused
        | WaitCode::Blocked
        | WaitCode::Disk
        | WaitCode::Lease => false,
    }
}

/// Whether an agent could ever take an item by its name, roles and capabilities, whatever keeps it from work now.
pub(crate) fn suits(item: &Item, agent: &Agent) -> bool {
    choice::suits(&Class::of(item), agent)
}

/// Whether no agent can ever take the items of a class as things stand. A quota that passes soon is waited for.
pub(crate) fn is_stranded(state: &State, class: &Class) -> bool {
    choose(state, &Wish::work(class.clone())).err().is_some_and(|removed| is_hopeless(told_as(&removed)))
}

/// Whether an agent suits items of a class, and nothing but its place keeps it from one.
pub(crate) fn could_take(state: &State, class: &Class, agent: &Agent) -> bool {
    unfit(state, class, agent).is_none()
}

/// A mission whose first ready item finds no agent for a reason that it was not told of yet.
pub fn changed_answer(state: &State) -> Option<(ItemId, WaitCode)> {
    state.ready().leads().find_map(|class| {
        // An agent that is free and yet does not take it only waits for another item: that passes, as busy agents do.
        let removed = choose(state, &Wish::work(class.clone())).err();
        let code = removed.map_or(WaitCode::AgentsBusy, |removed| told_as(&removed));
        let mission = state.ready().told_otherwise(class, worth_an_event(code))?;
        state.ready().first_of(mission).map(|first| (first.item, code))
    })
}

/// What of an answer is told: a quota that passes within the hour, or when a run ends, is as good as a busy agent.
fn told_as(removed: &Removed) -> WaitCode {
    let code = code_of(removed);
    let soon = code == WaitCode::Quota && removed.denied.keys().any(Denied::passes_soon);
    if soon { WaitCode::AgentsBusy } else { code }
}

/// Busy agents come free by themselves; of everything else a person is told.
fn worth_an_event(code: WaitCode) -> Option<WaitCode> {
    (code != WaitCode::AgentsBusy).then_some(code)
}

/// Remembers, and says, why a mission's first ready item finds no agent.
pub fn note_answer(state: &State, id: ItemId, code: WaitCode, cx: &mut Context) -> Result<Change, Refused> {
    let stale = || Refused::Stale { what: "its item is archived" };
    let item = state.item(id).ok_or_else(stale)?;
    let mut mission = state.mission(item.mission).ok_or_else(stale)?.row.clone();
    mission.dispatcher.answer = worth_an_event(code);
    let mut change = Change::default();
    if mission.dispatcher.answer.is_some() {
        let why = no_agent(state, item).map(|(_, removed)| removed.text()).unwrap_or_default().into();
        let happened = if code == WaitCode::Quota {
            Happened::DispatchFailedQuota { why }
        } else {
            Happened::DispatchFailedNoAgent { why }
        };
        change.events.push(cx.about(item, happened));
    }
    change.missions.push(mission);
    Ok(change)
}

/// Takes back an assignment whose agent is not started yet, if the item has one: it is ready again, and nothing is counted.
pub(crate) fn take_back(state: &State, row: &mut Item, cx: &mut Context) -> Result<Option<Change>, Refused> {
    if row.phase() != Phase::Assigned || state.effects_of(row.id).any(|e| matches!(e.kind, EffectKind::StartRun(_))) {
        return Ok(None);
    }
    let given_back = state.runs_of(row.id).iter().filter_map(|id| state.run(*id)).map(|run| Run {
        state: RunState::Finished,
        finished_at: Some(cx.now),
        outcome: Some(Outcome::Cancelled),
        ..run.clone()
    });
    let runs = given_back.collect();
    item::go(row, ItemEvent::Requeue, ItemState::Ready, cx)?;
    let event = cx.about(row, Happened::ItemReady { not_before: None });
    Ok(Some(Change { runs, events: vec![event], ..Change::default() }))
}
