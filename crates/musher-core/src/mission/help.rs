//! Help requests of missions: a mission that cannot go on by itself asks a person, and says what to answer.
//!
//! One cause is asked for once, and again after a growing while; the request is retired when its cause is gone. All of it is
//! judged by the rows, so that a restart asks nothing anew.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rest::is_at_work;
use super::{Dispatcher, STUCK_AFTER};
use crate::change::Change;
use crate::dispatch;
use crate::event::Happened;
use crate::id::{ItemId, MissionId};
use crate::item::{Item, Phase};
use crate::pull;
use crate::state::{MissionEntry, State};
use crate::step::Context;
use crate::time::Timestamp;
use crate::watch::{Holds, Watch};

/// The first repeat of a request would come after this; each one doubles it.
const REPEAT: Duration = Duration::from_secs(1800);

/// It is doubled at most to this many times [`REPEAT`].
const LONGEST: u32 = 8;

/// Why a mission asks: the rule with what it is about. Numbers and times in the words are no part of it, for they change
/// while the cause stays the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Its ready items find no agent.
    NoAgent,
    /// Nothing is heard of a run of this item.
    Stuck(ItemId),
    /// It is blocked, for this reason.
    Blocked(Box<str>),
}

/// What a mission has last asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Help {
    /// Why.
    pub cause: Cause,
    /// When it first asked for it.
    pub since: Timestamp,
    /// Whether the cause still holds.
    pub open: bool,
}

impl Dispatcher {
    /// The open help request, if there is one.
    pub fn open_help(&self) -> Option<&Help> {
        self.help.as_deref().filter(|help| help.open)
    }

    /// How often in a row help was asked for without any progress since.
    fn attempts_since(&self, progress: Timestamp) -> u32 {
        if self.last_help_at.is_some_and(|asked| asked >= progress) { self.help_attempts } else { 0 }
    }

    /// When the same cause is asked for again.
    fn repeats_at(&self, progress: Timestamp) -> Option<Timestamp> {
        let factor = 2u32.saturating_pow(self.attempts_since(progress)).min(LONGEST);
        self.last_help_at.map(|asked| asked.max(progress).after(REPEAT * factor))
    }
}

/// Asks for help, asks again, or retires a request whose cause is gone; nothing when nothing of that is due.
pub(super) fn judge(state: &State, entry: &MissionEntry, cx: &Context) -> Change {
    let known = entry.row.dispatcher.help.as_deref();
    let Some((cause, text)) = cause(state, entry, cx.now) else {
        return known.filter(|help| help.open).map(|_| retired(entry, cx)).unwrap_or_default();
    };
    let same = known.filter(|help| help.cause == cause);
    let progress = entry.last_progress_at;
    let dispatcher = &entry.row.dispatcher;
    if same.is_some() && dispatcher.repeats_at(progress).is_some_and(|at| at > cx.now) {
        return Change::default();
    }
    let mut change = match known {
        // Another one takes its place.
        Some(help) if help.open && same.is_none() => retired(entry, cx),
        Some(_) | None => Change::default(),
    };
    let mut row = entry.row.clone();
    let attempt = if same.is_some() { dispatcher.attempts_since(progress).saturating_add(1) } else { 1 };
    let since = same.filter(|help| help.open).map_or(cx.now, |help| help.since);
    row.dispatcher.help = Some(Box::new(Help { cause, since, open: true }));
    row.dispatcher.last_help_at = Some(cx.now);
    row.dispatcher.last_help_reason = Some(text.clone().into());
    row.dispatcher.help_attempts = attempt;
    let replies = replies(state, &row).into_iter().map(Into::into).collect();
    let happened = Happened::MissionHelpRequested { text: text.into(), replies, attempt };
    change.events.push(cx.about_mission(row.id, happened));
    change.missions = vec![row];
    change
}

fn retired(entry: &MissionEntry, cx: &Context) -> Change {
    let mut row = entry.row.clone();
    if let Some(help) = &mut row.dispatcher.help {
        help.open = false;
    }
    let text = row.dispatcher.last_help_reason.clone().unwrap_or_default();
    let event = cx.about_mission(row.id, Happened::MissionHelpRetired { text });
    Change { missions: vec![row], events: vec![event], ..Change::default() }
}

/// The first rule that holds, and its words.
fn cause(state: &State, entry: &MissionEntry, now: Timestamp) -> Option<(Cause, String)> {
    let row = &entry.row;
    if row.state.is_terminal() {
        return None;
    }
    let name = row.id.short();
    let quiet = entry.last_progress_at.after(STUCK_AFTER) <= now;
    if stranded(state, entry).is_some() || (quiet && waits_for_capacity(state, entry)) {
        let ready = entry.count(Phase::Ready);
        let text = format!("Mission {name} has {ready} ready work item(s) but no idle agents are available");
        return Some((Cause::NoAgent, text));
    }
    if !quiet {
        return None;
    }
    if let Some((heard, run)) = state.silent_run(row.id)
        && heard.after(STUCK_AFTER) <= now
        && let Some(item) = state.item(run.item)
    {
        let text = format!("Mission {name} appears stuck; item {} has not changed since {heard}", item.key);
        return Some((Cause::Stuck(item.id), text));
    }
    let reason = row.blocked_reason.as_deref().filter(|_| !waits_outside(state, row.id))?;
    Some((Cause::Blocked(reason.into()), format!("Mission {name} is still blocked: {reason}")))
}

/// Whether an open watch may bring the mission on by itself: not one of a pull request that waits for a person.
fn waits_outside(state: &State, id: MissionId) -> bool {
    let for_a_person = |watch: &Watch| {
        watch.holds == Holds::Pull && state.item(watch.item).is_some_and(|item| !pull::awaited(state, item).is_empty())
    };
    state.open_watches(id).any(|watch| !for_a_person(watch))
}

/// The first ready item that no agent can ever take as things stand: none fits, or all that do are offline, paused or out of
/// quota. One that another could take hides none that nobody can, and as many items as it may have at work neither.
fn stranded<'a>(state: &'a State, entry: &MissionEntry) -> Option<&'a Item> {
    if !entry.row.state.dispatches() || entry.cap_reached().is_some() {
        return None;
    }
    let mut firsts = state.ready().firsts_of(entry.row.id);
    firsts.find(|(_, class)| dispatch::is_stranded(state, class)).and_then(|(first, _)| state.item(first.item))
}

/// Whether ready items wait for agents that work for others, or whose accounts rest. While items of its own are at work,
/// a mission waits for itself.
fn waits_for_capacity(state: &State, entry: &MissionEntry) -> bool {
    let waits = |item: &Item| {
        let backs_off = item.not_before.is_some() && !state.ready().contains(item);
        item.phase() == Phase::Ready
            && item.frozen.is_none()
            && !backs_off
            && dispatch::held_back(state, item).is_none()
    };
    dispatches(entry) && !is_at_work(state, entry) && entry.items.iter().filter_map(|id| state.item(*id)).any(waits)
}

fn dispatches(entry: &MissionEntry) -> bool {
    let has_room = entry.free_slots() > 0 && entry.cap_reached().is_none();
    entry.row.state.dispatches() && has_room && entry.count(Phase::Ready) > 0
}

/// The next moment at which time alone may make a mission ask; nothing while only a change may.
pub(crate) fn due(state: &State, id: MissionId) -> Option<Timestamp> {
    let entry = state.mission(id).filter(|entry| !entry.row.state.is_terminal())?;
    let progress = entry.last_progress_at;
    let heard = state.silent_run(id).map(|(heard, _)| heard.max(progress).after(STUCK_AFTER));
    let waits = dispatches(entry) && !is_at_work(state, entry);
    let blocked = entry.row.blocked_reason.is_some() && !waits_outside(state, id);
    let rests = (waits || blocked).then(|| progress.after(STUCK_AFTER));
    let dispatcher = &entry.row.dispatcher;
    let repeats = dispatcher.help.as_ref().and_then(|_| dispatcher.repeats_at(progress));
    [heard, rests, repeats].into_iter().flatten().filter(|at| *at > state.looked_at()).min()
}

/// How many agents and items are named in replies.
const NAMED: usize = 3;

/// The exact words that would help, as they are typed.
pub(crate) fn replies(state: &State, row: &super::Mission) -> Vec<String> {
    let id = row.id.short();
    let Some(help) = row.dispatcher.open_help() else { return Vec::new() };
    let note = |words: &str| format!("musher mission note {id} \"{words}\"");
    let mut replies = Vec::new();
    match &help.cause {
        Cause::NoAgent => {
            let kept = |agent: &&crate::agent::Agent| {
                !agent.removed && (agent.paused || agent.draining || agent.error.is_some())
            };
            let resumed = state.agents().filter(kept).take(NAMED);
            replies.extend(resumed.map(|agent| format!("musher agent resume {}", agent.spec.name)));
            let first = || state.ready().first_of(row.id).and_then(|first| state.item(first.item));
            let meant = state.mission(row.id).and_then(|entry| stranded(state, entry)).or_else(first);
            replies.extend(meant.map(|item| note(&format!("redirect {} to AGENT", item.key))));
        }
        Cause::Stuck(item) => {
            if let Some(item) = state.item(*item) {
                replies.push(format!("musher logs {}", item.id.short()));
                replies.push(note(&format!("redirect {} to AGENT", item.key)));
            }
        }
        Cause::Blocked(_) => {
            if let Some(asked) = state.mission(row.id).and_then(|entry| crate::inbox::asked_by_items(state, entry)) {
                // Nothing that is said to the mission itself brings it on.
                replies.extend(asked.into_iter().take(NAMED).flat_map(|request| request.replies));
                replies.push(format!("musher explain {id}"));
                return replies;
            }
            if let Some(entry) = state.mission(row.id) {
                replies.extend(crate::inbox::freeing(state, entry));
            }
            match row.state {
                super::MissionState::AwaitingApproval => replies.push(format!("musher mission approve {id}")),
                super::MissionState::Blocked | super::MissionState::Paused => {
                    replies.extend([note("resume"), note("continue")]);
                }
                super::MissionState::Planning
                | super::MissionState::Running
                | super::MissionState::Completed
                | super::MissionState::Failed
                | super::MissionState::Cancelled => {}
            }
        }
    }
    replies.push(format!("musher explain {id}"));
    replies.push(note("stop"));
    replies
}
