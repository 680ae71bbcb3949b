//! What operators do to missions: approve, pause, resume, weigh, stop.

use super::{Mission, MissionEvent, WEIGHTS, moved};
use crate::change::Change;
use crate::command::Refused;
use crate::dispatch;
use crate::effect::Stop;
use crate::event::Happened;
use crate::id::MissionId;
use crate::item::{self, Cancelled, Item, ItemState, MergeStage, Phase};
use crate::state::{MissionEntry, State};
use crate::step::Context;

pub(crate) fn find(state: &State, id: MissionId) -> Result<&MissionEntry, Refused> {
    state.mission(id).ok_or_else(|| Refused::NotFound { noun: "mission", name: id.short() })
}

/// Moves the row if the table allows it; a refusal names the state.
pub(crate) fn go(
    row: &mut Mission,
    event: MissionEvent,
    verb: &'static str,
    fix: &'static str,
    cx: &Context,
) -> Result<(), Refused> {
    let Some(to) = moved(row.state, event) else {
        return Err(Refused::State { verb, noun: "mission", name: row.id.short(), state: row.state.name(), fix });
    };
    row.state = to;
    row.blocked_reason = None;
    row.updated_at = cx.now;
    if to.is_terminal() {
        row.ended_at = Some(cx.now);
    }
    Ok(())
}

/// A yes to the graph.
pub fn approve(state: &State, id: MissionId, cx: &mut Context) -> Result<Change, Refused> {
    let mut row = find(state, id)?.row.clone();
    go(&mut row, MissionEvent::Approve, "approve", "only a mission that awaits approval can be approved", cx)?;
    let event = cx.about_mission(id, Happened::MissionApproved {});
    Ok(Change { missions: vec![row], events: vec![event], ..Change::default() })
}

/// Stops the dispatch. Running agents finish their item, or are stopped when `stop` says so.
pub fn pause(state: &State, id: MissionId, stop: Option<Stop>, why: &str, cx: &mut Context) -> Result<Change, Refused> {
    let entry = find(state, id)?;
    let mut row = entry.row.clone();
    go(&mut row, MissionEvent::Pause, "pause", "only a running mission can be paused", cx)?;
    row.blocked_reason = Some(why.into());
    let mut change = Change::default();
    change.events.push(cx.about_mission(id, Happened::MissionPaused { reason: why.into() }));
    if let Some(how) = stop {
        for item in entry.items.iter().filter_map(|item| state.item(*item)) {
            change.extend(interrupt(state, item, how, cx)?);
        }
    }
    change.missions.push(row);
    Ok(change)
}

/// Stops the agent of an item. One that has no process yet has nothing to stop: its assignment is taken back.
fn interrupt(state: &State, item: &Item, how: Stop, cx: &mut Context) -> Result<Change, Refused> {
    let mut row = item.clone();
    if let Some(mut change) = dispatch::take_back(state, &mut row, cx)? {
        change.items.push(row);
        return Ok(change);
    }
    let mut change = Change::default();
    for run in state.runs_of(item.id) {
        change.extend(item::stop_effect(state, item, *run, how, cx));
    }
    Ok(change)
}

/// Goes on.
pub fn resume(state: &State, id: MissionId, cx: &mut Context) -> Result<Change, Refused> {
    let mut row = find(state, id)?.row.clone();
    go(&mut row, MissionEvent::Resume, "resume", "only a blocked or paused mission can be resumed", cx)?;
    let event = cx.about_mission(id, Happened::MissionResumed {});
    Ok(Change { missions: vec![row], events: vec![event], ..Change::default() })
}

/// Changes its share of what can be dispatched. What is at work goes on; the next dispatch goes by the new weight.
pub fn weigh(state: &State, id: MissionId, weight: u32, cx: &mut Context) -> Result<Change, Refused> {
    let mut row = find(state, id)?.row.clone();
    if !WEIGHTS.contains(&weight) {
        let what = format!("a mission cannot weigh {weight}");
        let fix = format!(
            "a whole number from {} to {}; 1 is what missions weigh by default",
            WEIGHTS.start(),
            WEIGHTS.end()
        );
        return Err(Refused::Invalid { what, fix });
    }
    if row.state.is_terminal() {
        let (name, state) = (row.id.short(), row.state.name());
        return Err(Refused::State { verb: "weigh", noun: "mission", name, state, fix: "it has ended" });
    }
    if row.policy.weight == weight {
        return Ok(Change::default());
    }
    row.policy.weight = weight;
    row.updated_at = cx.now;
    let event = cx.about_mission(id, Happened::MissionWeighed { weight });
    Ok(Change { missions: vec![row], events: vec![event], ..Change::default() })
}

/// Gives the mission up: every item that has not ended is cancelled, its branch is kept.
pub fn stop(state: &State, id: MissionId, how: Stop, cx: &mut Context) -> Result<Change, Refused> {
    end(state, id, MissionEvent::Cancel, how, Happened::MissionCancelled {}, cx)
}

/// Ends a mission before its items are done. An item whose merge is being written lands first.
pub(crate) fn end(
    state: &State,
    id: MissionId,
    event: MissionEvent,
    how: Stop,
    happened: Happened,
    cx: &mut Context,
) -> Result<Change, Refused> {
    let entry = find(state, id)?;
    let mut row = entry.row.clone();
    go(&mut row, event, "stop", "it has ended", cx)?;
    if let Happened::MissionFailed { reason } = &happened {
        row.blocked_reason = Some(reason.clone());
    }
    let mut change = Change::default();
    change.events.push(cx.about_mission(id, happened));
    for item in entry.items.iter().filter_map(|i| state.item(*i)) {
        if item.phase() == Phase::Failed {
            // The dead letter ends with its mission: nobody will retry it there, so its worktree may go.
            let mut row = item.clone();
            change.extend(item::worktree_leftover(state, &mut row, None, cx));
            change.items.push(row);
            continue;
        }
        if item.is_terminal() || matches!(item.state, ItemState::Merging(MergeStage::Landing(_))) {
            continue;
        }
        change.extend(item::cancelled(state, item, Cancelled::Abandoned, how, cx)?);
    }
    change.missions.push(row);
    Ok(change)
}
