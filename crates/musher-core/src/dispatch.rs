//! Routing: which ready item is next, and which agent fits it best.

use std::collections::BTreeMap;

use crate::agent::Agent;
use crate::change::Change;
use crate::command::Refused;
use crate::effect::EffectKind;
use crate::event::Happened;
use crate::id::{AgentId, ItemId};
use crate::item::{self, Item, ItemEvent, ItemState, Kind, Phase, Priority, Worktree};
use crate::quota::{self, Denied};
use crate::run::{Outcome, Run, RunState};
use crate::state::{Class, Rank, State};
use crate::step::Context;
use crate::time::Timestamp;
use crate::wait::WaitCode;

mod fit;
mod overlap;

pub use fit::{Role, fit};
pub use overlap::overlaps;

/// The role that resolves conflicts before an item's own agent does.
const RESOLVER: &str = "resolver";

/// How many ready items of one class are looked at for one that overlaps nothing, before musher waits for a change.
const OVERLAP_LOOK: usize = 256;

/// How many agents each condition removed from a choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// How many there were.
    pub of: u32,
    /// The conditions, each with how many it removed first.
    pub by: BTreeMap<Condition, u32>,
    /// The quotas that refused, each with when it does no more, if it does by itself.
    pub denied: BTreeMap<Denied, Option<Timestamp>>,
}

/// What makes an agent unfit for an item now, in the order in which they are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Condition {
    /// The item names another agent.
    Pin,
    /// It lacks a capability.
    Capability,
    /// Its roles do not fit.
    Role,
    /// It wrote what it would review.
    Author,
    /// Its driver cannot start.
    Error,
    /// Its driver is paused, or tried by another run.
    Suspended,
    /// A person paused it.
    Paused,
    /// It finishes what it has.
    Draining,
    /// Its account is used up for now.
    RateLimited,
    /// It has as much as it may have.
    Busy,
    /// A quota refuses it.
    Quota,
}

impl Condition {
    /// The condition in words, after a number of agents.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Pin => "not the agent it names",
            Self::Capability => "without a capability it needs",
            Self::Role => "of a role that does not fit",
            Self::Author => "its author",
            Self::Error => "unable to start",
            Self::Suspended => "of a driver that is paused",
            Self::Paused => "paused",
            Self::Draining => "draining",
            Self::RateLimited => "rate limited",
            Self::Busy => "busy",
            Self::Quota => "out of quota",
        }
    }
}

/// Why this agent may not take an item of this class now, if so.
fn unfit(state: &State, class: &Class, agent: &Agent, review_of: Option<&Item>) -> Option<Condition> {
    if class.pin.as_deref().is_some_and(|pin| pin != &*agent.spec.name) {
        return Some(Condition::Pin);
    }
    if !class.labels.iter().all(|label| agent.spec.capabilities.contains(label)) {
        return Some(Condition::Capability);
    }
    // The tables let others review when no reviewer is free; a verdict on an item is a reviewer's.
    if fit(class.kind, class.role.as_deref(), &agent.spec.roles) == 0 || (review_of.is_some() && !is_reviewer(agent)) {
        return Some(Condition::Role);
    }
    if review_of.is_some_and(|item| item.agent == Some(agent.id)) {
        return Some(Condition::Author);
    }
    if agent.error.is_some() {
        return Some(Condition::Error);
    }
    if agent.is_suspended() {
        return Some(Condition::Suspended);
    }
    if agent.paused {
        return Some(Condition::Paused);
    }
    if agent.draining {
        return Some(Condition::Draining);
    }
    if agent.limited_until.is_some() {
        return Some(Condition::RateLimited);
    }
    (!agent.has_room(state.load(agent.id))).then_some(Condition::Busy)
}

/// Whether it is the one to resolve a conflict; how well it fits less its load; its fit alone; its free share.
type Score = (u8, i64, i64, u64);

/// How well an agent fits and how free it is; the greatest is chosen.
fn score(state: &State, class: &Class, agent: &Agent) -> Score {
    let wanted = match class.conflict_of {
        Some(_) if agent.spec.roles.iter().any(|role| role.eq_ignore_ascii_case(RESOLVER)) => 2,
        Some(author) if author == agent.id => 1,
        Some(_) | None => u8::from(class.resumes == Some(agent.id)),
    };
    let load = i64::from(state.load(agent.id));
    let fit = i64::from(fit(class.kind, class.role.as_deref(), &agent.spec.roles));
    let score = fit - 30 * load;
    // The free share 1 − load/max in 2⁻³²; 1 when unlimited.
    let one = 1u64 << 32;
    let share = match agent.spec.max_load {
        0 => one,
        max => one - one * u64::from(state.load(agent.id).min(max)) / u64::from(max),
    };
    if class.critical { (wanted, -load, fit, share) } else { (wanted, score, 0, share) }
}

/// The best agent for a class, or how many each condition removed.
fn choose(state: &State, class: &Class, review_of: Option<&Item>) -> Result<AgentId, Removed> {
    let mut removed = Removed::default();
    let mut best: Option<(Score, &Agent)> = None;
    for agent in state.agents().filter(|a| !a.removed) {
        removed.of += 1;
        if let Some(condition) = unfit(state, class, agent, review_of) {
            *removed.by.entry(condition).or_default() += 1;
            continue;
        }
        // Asked of every agent, so that the next best is found when the best is refused.
        if let Err(denied) = quota::check(state, agent, None, state.looked_at()) {
            *removed.by.entry(Condition::Quota).or_default() += 1;
            let until = denied.until(state, agent);
            let soonest = removed.denied.entry(denied).or_insert(until);
            *soonest = [*soonest, until].into_iter().flatten().min();
            continue;
        }
        let score = score(state, class, agent);
        let better = match &best {
            None => true,
            Some((top, other)) => score > *top || (score == *top && agent.spec.name < other.spec.name),
        };
        if better {
            best = Some((score, agent));
        }
    }
    best.map(|(_, agent)| agent.id).ok_or(removed)
}

/// The next item and its agent, by priority, then age; nothing when no ready item finds one.
pub fn next(state: &State) -> Option<(ItemId, AgentId)> {
    let mut heads: Vec<_> =
        state.ready().heads().filter_map(|(class, heads)| heads.first().map(|first| (*first, class))).collect();
    heads.sort_unstable_by_key(|((rank, _), _)| *rank);
    let mut best: Option<(Rank, AgentId)> = None;
    for ((head, _), class) in heads {
        // The first of a class may be held back, and the next one of it less urgent than the first of another.
        if best.is_some_and(|(rank, _)| rank < head) {
            break;
        }
        let Ok(agent) = choose(state, class, None) else { continue };
        if let Some(rank) = free_item(state, class)
            && best.is_none_or(|(other, _)| rank < other)
        {
            best = Some((rank, agent));
        }
    }
    best.map(|(rank, agent)| (rank.item, agent))
}

/// The first item of a class, over all open missions, that nothing of its own holds back.
fn free_item(state: &State, class: &Class) -> Option<Rank> {
    let heads = state.ready().heads_of(class)?;
    let mut best: Option<Rank> = None;
    for (head, mission) in heads {
        // In order, so that the cost does not grow with the missions: nothing behind this head comes before the best.
        if best.is_some_and(|rank| rank < *head) {
            break;
        }
        let mut queue = state.ready().queue(*mission, class).take(OVERLAP_LOOK);
        let free = queue.find(|rank| state.item(rank.item).is_some_and(|item| held_back(state, item).is_none()));
        best = match (best, free) {
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

/// The running item that this one's `touches` overlap with, if any.
pub fn overlapping<'a>(state: &'a State, item: &Item) -> Option<&'a Item> {
    if item.touches.is_empty() {
        return None;
    }
    state.live_items().find(|other| other.id != item.id && overlaps(&item.touches, &other.touches))
}

/// A waiting item that needs a review, and the agent to make it.
pub fn next_review(state: &State) -> Option<(ItemId, AgentId)> {
    state.unreviewed().find_map(|id| {
        let item = state.item(id)?;
        let mission = state.mission(item.mission)?;
        if !mission.row.state.dispatches() || mission.cap_reached().is_some() || !state.runs_of(id).is_empty() {
            return None;
        }
        choose(state, &review_class(item), Some(item)).ok().map(|agent| (id, agent))
    })
}

fn review_class(item: &Item) -> Class {
    Class {
        kind: Kind::Review,
        role: Some(Role::Reviewer.name().into()),
        labels: Box::default(),
        pin: None,
        critical: item.priority == Priority::Critical,
        conflict_of: None,
        resumes: None,
    }
}

fn is_reviewer(agent: &Agent) -> bool {
    agent.spec.roles.iter().any(|role| Role::named(role) == Some(Role::Reviewer))
}

/// Whether there is an agent that could ever review this item: of role reviewer, and not its author.
pub fn has_reviewer(state: &State, item: &Item) -> bool {
    state.agents().any(|a| !a.removed && a.error.is_none() && is_reviewer(a) && Some(a.id) != item.agent)
}

/// Refuses an assignment that the rules do not allow; the last word, also against a defect of the agenda.
pub fn permits(state: &State, item: &Item, agent: AgentId) -> Result<(), Refused> {
    let refuse = |what| Err(Refused::Stale { what });
    if state.is_parked(item) {
        return refuse("it waits for the account of its last run");
    }
    if item.phase() != Phase::Ready || item.not_before.is_some_and(|_| !is_in_ready_index(state, item)) {
        return refuse("its item is not ready");
    }
    let Some(mission) = state.mission(item.mission) else { return refuse("its mission is archived") };
    if !mission.row.state.dispatches() || mission.free_slots() == 0 {
        return refuse("its mission takes no more items now");
    }
    if held_back(state, item).is_some() {
        return refuse("its item is held back");
    }
    match state.agent(agent) {
        Some(row) if !row.removed && unfit(state, &Class::of(item), row, None).is_none() => permitted(state, row, item),
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
    state.ready().queue(item.mission, &Class::of(item)).any(|rank| rank.item == item.id)
}

/// Why a ready item finds no agent, or nothing when it would find one.
pub fn no_agent(state: &State, item: &Item) -> Option<(WaitCode, Removed)> {
    choose(state, &Class::of(item), None).err().map(|removed| (code_of(&removed), removed))
}

/// Why an item that waits for a review finds no reviewer, or nothing when it would find one.
pub fn no_reviewer(state: &State, item: &Item) -> Option<Removed> {
    choose(state, &review_class(item), Some(item)).err()
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
    } else if has(Condition::Error) || has(Condition::Suspended) {
        WaitCode::AgentOffline
    } else {
        WaitCode::NoAgent
    }
}

/// A mission whose first ready item finds no agent for a reason that it was not told of yet.
pub fn changed_answer(state: &State) -> Option<(ItemId, WaitCode)> {
    for (class, heads) in state.ready().heads() {
        // An agent that is free and yet does not take it only waits for another item: that passes, as busy agents do.
        let code = choose(state, class, None).err().map_or(WaitCode::AgentsBusy, |removed| told_as(&removed));
        for (rank, mission) in heads {
            let first = state.ready().first_of(*mission) == Some(*rank);
            let told = state.mission(*mission).and_then(|m| m.row.dispatcher.answer);
            if first && told != worth_an_event(code) {
                return Some((rank.item, code));
            }
        }
    }
    None
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

impl Removed {
    /// The choice in words: "3 agents: 2 busy, 1 paused".
    pub fn text(&self) -> String {
        if self.of == 0 {
            return "no agent is configured".to_owned();
        }
        let part = |(condition, n): (&Condition, &u32)| match condition {
            Condition::Quota => {
                let reasons: Vec<String> = self.denied.keys().map(ToString::to_string).collect();
                format!("{n} {} ({})", condition.text(), reasons.join("; "))
            }
            Condition::Pin
            | Condition::Capability
            | Condition::Role
            | Condition::Author
            | Condition::Error
            | Condition::Suspended
            | Condition::Paused
            | Condition::Draining
            | Condition::RateLimited
            | Condition::Busy => format!("{n} {}", condition.text()),
        };
        let parts: Vec<String> = self.by.iter().map(part).collect();
        format!("{} agent(s): {}", self.of, parts.join(", "))
    }
}
