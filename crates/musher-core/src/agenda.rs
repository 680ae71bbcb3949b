//! What musher does next by itself, given the state: the order of one pass.
//!
//! Finish waiting items whose gates are clear, promote pending ones, assign, begin the next merge, judge the missions.
//! Each is a command like any other, stepped and written in the same batch as the one that made it possible. Cost
//! depends on what changed, not on how much is on file: every list here is an index of the state.

use crate::command::Command;
use crate::state::State;
use crate::{dispatch, merge};

/// The next command of the pass, or nothing when the world is at rest until something comes from outside.
///
/// The caller has called [`State::advance`] with the present moment, steps the command, applies its change, and asks
/// again. Step refuses none of them: each is offered
/// only in the state that it needs, so a refusal is a defect, and the caller stops the pass with it.
pub fn next(state: &mut State) -> Option<Command> {
    if let Some(run) = state.first_overdue() {
        return Some(Command::ExpireRequests(run));
    }
    if let Some(agent) = state.first_rested() {
        return Some(Command::LiftRateLimit(agent));
    }
    if let Some(agent) = state.first_to_probe() {
        return Some(Command::ProbeDriver(agent));
    }
    if let Some(node) = state.first_silent() {
        return Some(Command::SilenceNode(node.into()));
    }
    if let Some(firing) = state.first_expired() {
        return Some(Command::ExpireFiring(firing));
    }
    if let Some(trigger) = state.first_trigger_to_tend() {
        return Some(Command::TendTrigger(trigger));
    }
    if let Some(schedule) = state.first_to_fire() {
        return Some(Command::FireSchedule(schedule));
    }
    // Before anything else is done for the pull request: a note may say otherwise.
    if let Some(item) = state.first_to_heed() {
        return Some(Command::HeedComment(item));
    }
    if let Some(item) = state.first_to_tend() {
        return Some(Command::TendPull(item));
    }
    if let Some(watch) = state.first_to_look_at() {
        return Some(Command::LookAtWatch(watch));
    }
    if let Some(item) = state.first_clear() {
        return Some(Command::FinishWaiting(item));
    }
    if let Some(item) = state.first_promotable() {
        return Some(Command::PromoteItem(item));
    }
    if state.is_dispatch_due() {
        if let Some((item, agent)) = dispatch::next(state) {
            return Some(Command::AssignItem(item, agent));
        }
        if let Some((item, agent)) = dispatch::next_review(state) {
            return Some(Command::AssignReview(item, agent));
        }
        if let Some((item, code)) = dispatch::changed_answer(state) {
            return Some(Command::NoteDispatch(item, code));
        }
        state.dispatch_looked();
    }
    match state.batch() {
        Some(batch) if merge::is_broken(state, batch) => return Some(Command::ReformBatch),
        Some(_) => {}
        None => {
            if state.merge_queue().paused.is_none()
                && let Some(item) = state.queue().next()
            {
                return Some(Command::BeginMerge(item));
            }
        }
    }
    if let Some(mission) = state.first_unjudged() {
        state.judged(mission);
        return Some(Command::JudgeMission(mission));
    }
    None
}
