//! An item whose agent's or reviewer's account is used up for now: it waits for that account, or another one takes it.

use super::progress::{find, go};
use super::{Item, ItemEvent, ItemState, Limited};
use crate::change::{Change, TextKey};
use crate::command::Refused;
use crate::event::Happened;
use crate::id::{ItemId, RunId};
use crate::mission::OnRateLimit;
use crate::state::State;
use crate::step::Context;
use crate::time::Timestamp;

/// A run ended because its account is used up: the account rests, the item is ready again as the policy says, and
/// nothing is counted.
pub(super) fn used_up(
    state: &State,
    mut row: Item,
    id: RunId,
    resets_at: Option<Timestamp>,
    message: &str,
    cx: &mut Context,
) -> Result<Change, Refused> {
    let mut change = Change::default();
    row.last_error = Some(message.into());
    go(&mut row, ItemEvent::Requeue, ItemState::Ready, cx)?;
    if let Some(run) = state.run(id) {
        change.extend(crate::agent::rate_limited(state, run.agent, resets_at, cx));
        row.limited = limited_by(state, &row, id);
        let name = state.agent(run.agent).map(|agent| &*agent.spec.name).unwrap_or("another agent");
        change.texts.push((TextKey::Lesson(id), brief(name, run.progress.as_deref()).into()));
    }
    change.events.push(cx.about(&row, Happened::ItemReady { not_before: None }));
    change.items.push(row);
    Ok(change)
}

/// What an item waits for whose run or review used its account up; whether another may take it is for the policy to say.
pub(crate) fn limited_by(state: &State, row: &Item, run: RunId) -> Option<Box<Limited>> {
    let agent = state.run(run)?.agent;
    let then = state.mission(row.mission).map(|m| m.row.policy.on_rate_limit).unwrap_or_default();
    Some(Box::new(Limited { agent, run, then }))
}

/// What an agent of another account is told of what was done before it.
fn brief(name: &str, progress: Option<&str>) -> String {
    let said = progress.map(|text| format!(" The last that it said of it: {text}")).unwrap_or_default();
    format!(
        "{name} worked on this until its account was used up, and could not finish.{said}\n\nWhat it changed is in this \
         folder, committed or not: look at `git status`, `git diff` and `git log` first, keep what is good, and go on from \
         there."
    )
}

/// A person lets another account take an item, or its review, that waits for its own.
pub fn fail_over(state: &State, id: ItemId, cx: &mut Context) -> Result<Change, Refused> {
    let item = find(state, id)?;
    let Some(limited) = item.limited.as_deref().filter(|_| state.is_parked(item)) else {
        return Err(Refused::State {
            verb: "fail over",
            noun: "item",
            name: id.short(),
            state: item.phase().name(),
            fix: "only an item that waits for a used up account can be given to another; `musher explain` says what it waits \
                  for",
        });
    };
    let mut row = item.clone();
    row.limited = Some(Box::new(Limited { then: OnRateLimit::Failover, ..*limited }));
    row.updated_at = cx.now;
    let event = cx.about(&row, Happened::ItemFailoverAllowed {});
    Ok(Change { items: vec![row], events: vec![event], ..Change::default() })
}
