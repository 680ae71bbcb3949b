//! What is true of a mission now: done, going on, or blocked and why. Judged when something of it changed.

use super::operate::{end, find, go};
use super::{MissionEvent, MissionState};
use crate::change::Change;
use crate::command::Refused;
use crate::dispatch;
use crate::effect::Stop;
use crate::event::Happened;
use crate::id::{ItemId, MissionId};
use crate::item::{Item, ItemState, Phase, Waiting, Worktree};
use crate::state::{MissionEntry, State};
use crate::step::Context;
use crate::time::Timestamp;

/// Judges a mission: completes it, blocks or unblocks it, fails it at its deadline, archives it; and when it stays as it is,
/// whether it needs help.
pub fn judge(state: &State, id: MissionId, cx: &mut Context) -> Result<Change, Refused> {
    let Ok(entry) = find(state, id) else { return Ok(Change::default()) };
    let change = verdict(state, entry, cx)?;
    // What has just moved is judged once more, as it is then.
    if change.is_empty() { Ok(super::help::judge(state, entry, cx)) } else { Ok(change) }
}

fn verdict(state: &State, entry: &MissionEntry, cx: &mut Context) -> Result<Change, Refused> {
    let row = &entry.row;
    let id = row.id;
    if row.state.is_terminal() {
        return Ok(archive(state, entry, cx.now));
    }
    if row.policy.deadline.is_some_and(|deadline| deadline <= cx.now) {
        let reason = "its deadline has passed".into();
        return end(state, id, MissionEvent::Fail, Stop::Interrupt, Happened::MissionFailed { reason }, cx);
    }
    match row.state {
        MissionState::Running | MissionState::Blocked => {}
        MissionState::Planning
        | MissionState::AwaitingApproval
        | MissionState::Paused
        | MissionState::Completed
        | MissionState::Failed
        | MissionState::Cancelled => return Ok(Change::default()),
    }
    let watched = state.open_watches(id).count();
    if is_done(entry) && watched > 0 {
        return block(entry, format!("Waiting on {watched} active watch(es)"), cx);
    }
    if is_done(entry) {
        let mut row = row.clone();
        go(&mut row, MissionEvent::Complete, "complete", "", cx)?;
        let event = cx.about_mission(id, Happened::MissionCompleted {});
        return Ok(Change { missions: vec![row], events: vec![event], ..Change::default() });
    }
    match blocked_reason(state, entry) {
        Some(reason) => block(entry, reason, cx),
        None if row.state == MissionState::Blocked => {
            let mut row = row.clone();
            go(&mut row, MissionEvent::Unblock, "unblock", "", cx)?;
            let event = cx.about_mission(id, Happened::MissionUnblocked {});
            Ok(Change { missions: vec![row], events: vec![event], ..Change::default() })
        }
        None => Ok(Change::default()),
    }
}

fn block(entry: &MissionEntry, reason: String, cx: &Context) -> Result<Change, Refused> {
    if entry.row.blocked_reason.as_deref() == Some(&*reason) {
        return Ok(Change::default());
    }
    let mut row = entry.row.clone();
    if row.state == MissionState::Running {
        go(&mut row, MissionEvent::Block, "block", "", cx)?;
    }
    row.blocked_reason = Some(reason.clone().into());
    row.updated_at = cx.now;
    let event = cx.about_mission(row.id, Happened::MissionBlocked { reason: reason.into() });
    Ok(Change { missions: vec![row], events: vec![event], ..Change::default() })
}

fn is_done(entry: &MissionEntry) -> bool {
    let done = entry.count(Phase::Done) + entry.counts.satisfied;
    done > 0 && done as usize == entry.items.len()
}

/// Why nothing can go on, if nothing can.
fn blocked_reason(state: &State, entry: &MissionEntry) -> Option<String> {
    let at_work = [Phase::Assigned, Phase::Running, Phase::Verifying, Phase::Merging, Phase::MergeFailed];
    if at_work.iter().any(|phase| moving(state, entry, *phase) > 0) {
        return None;
    }
    let ready = moving(state, entry, Phase::Ready);
    let reviewing = review_under_way(state, entry);
    if (ready > 0 || entry.count(Phase::Blocked) > 0 || reviewing == Some(Review::Wanted))
        && let Some(cap) = entry.cap_reached()
    {
        return Some(cap.to_string());
    }
    if ready > 0 {
        return match entry.row.dispatcher.answer {
            Some(code) if dispatch::is_hopeless(code) => Some(format!(
                "Mission {} has {ready} ready work item(s) but no idle agents are available",
                entry.row.id.short()
            )),
            Some(_) | None => None,
        };
    }
    if pending_promotion(state, entry) || reviewing.is_some() {
        return None;
    }
    Some(in_words(state, entry))
}

/// How many of its items in this phase are not frozen there.
fn moving(state: &State, entry: &MissionEntry, phase: Phase) -> u32 {
    let all = entry.count(phase);
    if all == 0 || entry.counts.frozen == 0 {
        return all;
    }
    let rest = items(state, entry).filter(|item| item.phase() == phase && item.rests_frozen()).count();
    all.saturating_sub(u32::try_from(rest).unwrap_or(u32::MAX))
}

fn pending_promotion(state: &State, entry: &MissionEntry) -> bool {
    // Promotion comes before judgement in a pass, so this is only true between the two.
    entry.count(Phase::Pending) > 0
        && state.first_promotable().and_then(|id| state.item(id)).is_some_and(|i| i.mission == entry.row.id)
}

/// How far an agent's review of some item is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Review {
    /// There is an agent that may make it.
    Wanted,
    /// It is being made.
    Made,
}

fn review_under_way(state: &State, entry: &MissionEntry) -> Option<Review> {
    if entry.count(Phase::Waiting) == 0 {
        return None;
    }
    let reviewed = items(state, entry).filter(|i| i.state == ItemState::Waiting(Waiting::Review) && !i.rests_frozen());
    reviewed.filter_map(|item| review_of(state, item)).max()
}

/// How far an agent's review of an item that waits for one is; nothing when a person has to make it.
pub(super) fn review_of(state: &State, item: &Item) -> Option<Review> {
    match item.review_run {
        Some(_) => Some(Review::Made),
        None => dispatch::has_reviewer(state, item).then_some(Review::Wanted),
    }
}

fn items<'a>(state: &'a State, entry: &'a MissionEntry) -> impl Iterator<Item = &'a Item> {
    entry.items.iter().filter_map(|id| state.item(*id))
}

/// How many items a reason names before it counts the rest.
const NAMED: usize = 5;

fn in_words(state: &State, entry: &MissionEntry) -> String {
    let mut parts = Vec::new();
    let frozen = |item: &Item| item.rests_frozen();
    let sorts: [(&dyn Fn(&Item) -> bool, &str); 5] = [
        (&|item| item.phase() == Phase::Failed, "failed"),
        (&|item| item.phase() == Phase::Blocked && !frozen(item), "blocked"),
        (&|item| item.phase() == Phase::Cancelled, "cancelled"),
        (&|item| item.phase() == Phase::Held, "held"),
        (&frozen, "frozen"),
    ];
    for (is_one, words) in sorts {
        let mut names: Vec<&str> = items(state, entry).filter(|i| is_one(i) && !i.satisfied).map(|i| &*i.key).collect();
        if names.is_empty() {
            continue;
        }
        let more = names.len().saturating_sub(NAMED);
        names.truncate(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        parts.push(format!("{words}: {}{more}", names.join(", ")));
    }
    let waiting = "Waiting on dependency, review, or external watch";
    if parts.is_empty() { waiting.to_owned() } else { format!("{waiting} ({})", parts.join("; ")) }
}

/// An ended mission leaves memory when nothing of it is under way and its retention is over.
fn archive(state: &State, entry: &MissionEntry, now: Timestamp) -> Change {
    let retention = std::time::Duration::from_secs(state.settings().done_retention_secs);
    let due = entry.row.ended_at.is_some_and(|ended| ended.after(retention) <= now);
    let kept = |id: &ItemId| state.item(*id).is_some_and(|i| matches!(i.worktree, Worktree::Kept(_)));
    if due && entry.items.iter().any(kept) {
        // What holds unique work stays within reach of `musher gc` until someone has decided about it.
        return Change::default();
    }
    let at_rest = entry.items.iter().all(|i| state.runs_of(*i).is_empty() && state.effects_of(*i).next().is_none());
    if due && at_rest {
        return Change { archived: vec![entry.row.id], ..Change::default() };
    }
    Change::default()
}
