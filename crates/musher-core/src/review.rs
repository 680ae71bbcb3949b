//! Reviews and approvals: who must say yes before a verified item merges.

use crate::change::{Change, TextKey};
use crate::command::{Actor, Failure, Refused};
use crate::dispatch;
use crate::effect::{EffectKind, Stop};
use crate::event::Happened;
use crate::id::{AgentId, ItemId, RunId};
use crate::item::{self, Approval, Cancelled, Fix, Item, ItemEvent, ItemState, MergeStage, Qa, Waiting, Wants};
use crate::mission::Delivery;
use crate::retry;
use crate::run::{FailureClass, Outcome, Purpose, Verdict};
use crate::state::State;
use crate::step::Context;

/// What a verified item still waits for.
pub fn waits_on(state: &State, item: &Item) -> Waiting {
    // A plan is for the person who asked for it to judge: nothing of it is merged.
    if item.approval.is_some() || item.wants == Wants::Plan {
        return Waiting::Clear;
    }
    match item.qa.unwrap_or(state.settings().qa) {
        Qa::Human => Waiting::Approval,
        Qa::Agent => Waiting::Review,
        Qa::Server => {
            let required = state.mission(item.mission).is_some_and(|m| m.row.policy.reviewer_required);
            // What an agent has added is looked at whatever it calls it.
            if required && (item.kind.wants_review() || item.added.is_some()) {
                Waiting::Review
            } else {
                Waiting::Clear
            }
        }
    }
}

/// Whether a person must review, for there is no agent that could ever do it.
pub fn needs_person(state: &State, item: &Item) -> bool {
    match &item.state {
        ItemState::Waiting(Waiting::Approval) => true,
        ItemState::Waiting(Waiting::Review) => item.review_run.is_none() && !dispatch::has_reviewer(state, item),
        _ => false,
    }
}

/// A reviewing agent takes a waiting item.
pub fn assign(state: &State, id: ItemId, agent: AgentId, cx: &mut Context) -> Result<Change, Refused> {
    let item = state.item(id).ok_or(Refused::Stale { what: "its item is archived" })?;
    if item.state != ItemState::Waiting(Waiting::Review) || item.review_run.is_some() {
        return Err(Refused::Stale { what: "its item waits for no review" });
    }
    let reviewer = state.agent(agent).ok_or(Refused::Stale { what: "its reviewer is gone" })?;
    if item.frozen.is_some() {
        return Err(Refused::Stale { what: "it is frozen" });
    }
    if state.is_parked(item) {
        return Err(Refused::Stale { what: "it waits for the account of its reviewer" });
    }
    dispatch::permitted(state, reviewer, item)?;
    let mut row = item.clone();
    row.limited = None;
    let run = item::new_run(&mut row, agent, Purpose::Review, cx);
    row.review_run = Some(run.id);
    let name = state.agent(agent).map(|a| a.spec.name.clone()).unwrap_or_default();
    let effect = cx.effect(id, EffectKind::StartRun(run.id));
    let event = cx.about(&row, Happened::ReviewRequested { of: name });
    Ok(Change { items: vec![row], runs: vec![run], effects: vec![effect], events: vec![event], ..Change::default() })
}

/// A reviewing run is over.
pub fn run_finished(
    state: &State,
    mut row: Item,
    id: RunId,
    outcome: &Outcome,
    cx: &mut Context,
) -> Result<Change, Refused> {
    if row.review_run == Some(id) {
        row.review_run = None;
    }
    let mut change = Change::default();
    if row.state != ItemState::Waiting(Waiting::Review) {
        if row.is_terminal() {
            change.extend(item::worktree_leftover(state, &mut row, Some(id), cx));
        }
        change.items.push(row);
        return Ok(change);
    }
    if let Some(why) = unjudged(state, id, outcome, cx) {
        row.updated_at = cx.now;
        if row.review_run.is_none() && matches!(outcome, Outcome::RateLimited { .. }) {
            row.limited = item::limited_by(state, &row, id);
        }
        change.items.push(row);
        change.extend(why);
        return Ok(change);
    }
    let Outcome::Finished { verdict: Some(verdict), .. } = outcome else {
        // A reviewer that says nothing usable: a person is asked, so that no agent is asked for ever.
        row.state = ItemState::Waiting(Waiting::Approval);
        row.updated_at = cx.now;
        row.last_error = Some("the reviewer gave no verdict".into());
        change.events.push(cx.about(&row, Happened::ItemWaiting { on: "approval".into() }));
        change.items.push(row);
        return Ok(change);
    };
    let by: Box<str> = Actor::Run(id).text().into();
    match verdict {
        Verdict::Approved(text) => approved(row, &by, text, cx),
        Verdict::Rejected(text) => rejected(state, row, Some(id), text, cx),
    }
}

/// What follows when the reviewer is not to blame for an end without a verdict; another review is then made. One whose
/// program cannot start is marked, so that the next reviewer is asked, or a person when there is none. One whose account
/// is used up is waited for, or not, as the policy says.
fn unjudged(state: &State, id: RunId, outcome: &Outcome, cx: &mut Context) -> Option<Change> {
    let run = state.run(id)?;
    match outcome {
        Outcome::Lost { while_down: true } => Some(Change::default()),
        Outcome::Cancelled => run.capped.is_none().then(Change::default),
        Outcome::SessionLost { .. } => Some(Change::default()),
        Outcome::RateLimited { resets_at, .. } => Some(crate::agent::rate_limited(state, run.agent, *resets_at, cx)),
        Outcome::Failed { class: FailureClass::Setup, message, .. } => {
            Some(crate::agent::setup_checked(state, run.agent, Some(message), cx).unwrap_or_default())
        }
        Outcome::Failed { .. } | Outcome::Lost { while_down: false } | Outcome::Finished { .. } => None,
    }
}

/// A person says yes.
pub fn approve(state: &State, id: ItemId, text: &str, cx: &mut Context) -> Result<Change, Refused> {
    let item = waiting(state, id, "approve")?;
    let by: Box<str> = cx.actor.text().into();
    let mut change = approved(item.clone(), &by, text, cx)?;
    change.extend(stop_review(state, item, cx));
    Ok(change)
}

/// A person says no: a fix run gets the words.
pub fn reject(state: &State, id: ItemId, text: &str, cx: &mut Context) -> Result<Change, Refused> {
    let item = waiting(state, id, "reject")?;
    let mut change = stop_review(state, item, cx);
    change.extend(rejected(state, item.clone(), item.run, text, cx)?);
    Ok(change)
}

/// A person says no to the whole item: nothing mends it, and it is given up. Its branch is kept.
pub fn turn_down(state: &State, id: ItemId, text: &str, cx: &mut Context) -> Result<Change, Refused> {
    let item = waiting(state, id, "reject")?;
    let event = cx.about(item, Happened::ReviewRejected { text: text.into() });
    let mut change = Change { events: vec![event], ..Change::default() };
    change.extend(item::cancelled(state, item, Cancelled::Rejected, Stop::Interrupt, cx)?);
    Ok(change)
}

fn waiting<'a>(state: &'a State, id: ItemId, verb: &'static str) -> Result<&'a Item, Refused> {
    let item = state.item(id).ok_or_else(|| Refused::NotFound { noun: "item", name: id.short() })?;
    if is_awaited(item) {
        return Ok(item);
    }
    Err(Refused::State {
        verb,
        noun: "item",
        name: item.key.to_string(),
        state: item.phase().name(),
        fix: "only items that wait for a review or an approval can be approved or rejected",
    })
}

/// Whether a yes or a no to an item is awaited, of whomever.
pub(crate) fn is_awaited(item: &Item) -> bool {
    matches!(item.state, ItemState::Waiting(Waiting::Review | Waiting::Approval))
}

fn stop_review(state: &State, item: &Item, cx: &mut Context) -> Change {
    match item.review_run {
        Some(run) => item::stop_effect(state, item, run, crate::effect::Stop::Interrupt, cx),
        None => Change::default(),
    }
}

fn approved(mut row: Item, by: &str, text: &str, cx: &mut Context) -> Result<Change, Refused> {
    row.approval = Some(Approval { by: by.into(), head: row.head.clone().unwrap_or_default() });
    row.state = ItemState::Waiting(Waiting::Clear);
    row.updated_at = cx.now;
    row.limited = None;
    let event = cx.about(&row, Happened::ReviewApproved { text: text.into() });
    Ok(Change { items: vec![row], events: vec![event], ..Change::default() })
}

fn rejected(state: &State, row: Item, lesson: Option<RunId>, text: &str, cx: &mut Context) -> Result<Change, Refused> {
    let event = cx.about(&row, Happened::ReviewRejected { text: text.into() });
    let mut change = Change { events: vec![event], ..Change::default() };
    if row.attempts + 1 >= retry::max_retries(state, &row) {
        let failure =
            Failure { class: FailureClass::Gate, message: format!("rejected: {text}").into(), detail: Box::default() };
        let mut failed = retry::failed(state, &row, lesson, &failure, cx)?;
        // It was no gate that refused it.
        failed.items.iter_mut().for_each(|row| row.fix = lesson.map(Fix::Rejected).or(row.fix));
        change.extend(failed);
        return Ok(change);
    }
    let mut row = row;
    item::go(&mut row, ItemEvent::Requeue, ItemState::Ready, cx)?;
    row.attempts += 1;
    row.approval = None;
    row.no_merge = false;
    row.last_error = Some(format!("rejected: {text}").into());
    if let Some(run) = lesson {
        row.fix = Some(Fix::Rejected(run));
        change.texts.push((TextKey::Lesson(run), retry::tail(text, retry::LESSON_BYTES).into()));
    }
    change.events.push(cx.about(&row, Happened::ItemReady { not_before: None }));
    change.items.push(row);
    Ok(change)
}

/// Nothing holds the item any more: into the merge queue, or done when there is nothing to merge.
pub fn finish_waiting(state: &State, id: ItemId, cx: &mut Context) -> Result<Change, Refused> {
    let item = state.item(id).ok_or(Refused::Stale { what: "its item is archived" })?;
    if item.state != ItemState::Waiting(Waiting::Clear) {
        return Err(Refused::Stale { what: "its item does not wait" });
    }
    let mut row = item.clone();
    let mut change = Change::default();
    if !row.no_merge && state.mission(row.mission).is_some_and(|m| m.row.delivery == Delivery::Pr) {
        return Ok(crate::pull::deliver(state, row, cx));
    }
    if row.no_merge {
        item::go(&mut row, ItemEvent::Accept, ItemState::Done, cx)?;
        change.extend(item::worktree_leftover(state, &mut row, None, cx));
        change.events.push(cx.about(&row, Happened::ItemDone { commit: None }));
    } else {
        item::go(&mut row, ItemEvent::Enqueue, ItemState::Merging(MergeStage::Queued), cx)?;
        row.queued_at = Some(cx.now);
        change.events.push(cx.about(&row, Happened::ItemMerging {}));
    }
    change.items.push(row);
    Ok(change)
}
