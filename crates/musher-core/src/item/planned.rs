//! An item that wants a plan: what its agent answered is read, and nothing else of its run counts.

use super::progress::go;
use super::{Item, ItemEvent, ItemState, Waiting};
use crate::change::{Change, TextKey};
use crate::command::{Failure, Refused};
use crate::event::Happened;
use crate::id::RunId;
use crate::plan;
use crate::retry;
use crate::run::FailureClass;
use crate::state::State;
use crate::step::Context;

/// The run has answered: a plan that can be used is kept and completes the item; anything else is a failure that counts,
/// and the next run is told every problem of the plan.
///
/// The worktree is not looked at: what the agent left there is merged nowhere, and its removal keeps what is unique.
pub(super) fn answered(
    state: &State,
    mut row: Item,
    run: RunId,
    words: &str,
    cx: &mut Context,
) -> Result<Change, Refused> {
    let answer = match plan::read_answer(words) {
        Ok(answer) => answer,
        Err(why) => {
            // The message stands above it.
            let detail = why.lesson(retry::LESSON_BYTES).into();
            let failure = Failure { class: FailureClass::Agent, message: why.to_string().into(), detail };
            return retry::failed(state, &row, Some(run), &failure, cx);
        }
    };
    go(&mut row, ItemEvent::Finish, ItemState::Verifying, cx)?;
    go(&mut row, ItemEvent::Wait, ItemState::Waiting(Waiting::Clear), cx)?;
    row.no_merge = true;
    row.fix = None;
    let items = u32::try_from(answer.plan.items.len()).unwrap_or(u32::MAX);
    // What those that depend on it are told of it; the plan itself may be long.
    let summary = format!("a plan of {items} item(s): {}", answer.plan.goal);
    let accepted = Happened::PlanAccepted { goal: answer.plan.goal.into(), items };
    let mut change = Change::default();
    change.events.push(cx.about(&row, accepted));
    change.texts.push((TextKey::Summary(row.id), summary.into()));
    change.texts.push((TextKey::Plan(row.id), answer.file.into()));
    change.items.push(row);
    Ok(change)
}
