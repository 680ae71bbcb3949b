//! How an item goes forward: promoted, assigned, started, finished.

use super::{Fix, Item, ItemEvent, ItemState, Phase, Wants, Worktree, limited, moved};
use crate::change::Change;
use crate::command::{Failure, Lacking, Refused};
use crate::dispatch;
use crate::effect::{Effect, EffectKind, Stop};
use crate::event::Happened;
use crate::id::{AgentId, ItemId, RunId};
use crate::retry;
use crate::run::{FailureClass, Limit, Outcome, Purpose, Run, RunState, Session, Usage};
use crate::state::State;
use crate::step::Context;

/// Moves the row, if the table allows it. The new state must be of the phase that the table names.
pub(crate) fn go(row: &mut Item, event: ItemEvent, to: ItemState, cx: &Context) -> Result<(), Refused> {
    if moved(row.phase(), event) != Some(Phase::of(&to)) {
        return Err(Refused::State {
            verb: "move",
            noun: "item",
            name: row.key.to_string(),
            state: row.phase().name(),
            fix: "",
        });
    }
    row.state = to;
    row.updated_at = cx.now;
    row.not_before = None;
    row.no_room = false;
    row.limited = None;
    if row.is_terminal() {
        row.frozen = None;
    }
    Ok(())
}

/// The item, or a refusal that names it.
pub(super) fn find(state: &State, id: ItemId) -> Result<&Item, Refused> {
    state.item(id).ok_or_else(|| Refused::NotFound { noun: "item", name: id.short() })
}

/// A pending item's dependencies are satisfied.
pub fn promote(state: &State, id: ItemId, cx: &mut Context) -> Result<Change, Refused> {
    let mut row = find(state, id)?.clone();
    if state.open_dependencies(&row).next().is_some() {
        return Err(Refused::Stale { what: "its item has dependencies that are not done" });
    }
    if state.is_held_outside(id) {
        return Err(Refused::Stale { what: "its item waits for something outside" });
    }
    go(&mut row, ItemEvent::Unlock, ItemState::Ready, cx)?;
    let event = cx.about(&row, Happened::ItemReady { not_before: None });
    Ok(Change { items: vec![row], events: vec![event], ..Change::default() })
}

/// An agent takes the item: a run begins, under a new fence.
pub fn assign(state: &State, id: ItemId, agent: AgentId, cx: &mut Context) -> Result<Change, Refused> {
    let item = find(state, id)?;
    dispatch::permits(state, item, agent)?;
    let mut row = item.clone();
    go(&mut row, ItemEvent::Assign, ItemState::Assigned, cx)?;
    let purpose = match (row.wants, row.fix) {
        (Wants::Plan, _) => Purpose::Plan,
        (Wants::Change, Some(Fix::Conflict(_))) => Purpose::Resolve,
        (
            Wants::Change,
            Some(Fix::Failed(_) | Fix::Gate(_) | Fix::Checks(_) | Fix::Rejected(_) | Fix::HandedOver(_)) | None,
        ) => Purpose::Work,
    };
    let mut run = new_run(&mut row, agent, purpose, cx);
    // A session knows its folder: it is of no use in a new worktree, which the same path may hold.
    if matches!(row.worktree, Worktree::Ready | Worktree::Kept(_)) {
        run.resumes = row.session.as_ref().filter(|session| session.agent == agent).map(|session| session.id.clone());
    }
    row.agent = Some(agent);
    row.run = Some(run.id);
    row.turn = state.mission(row.mission).map_or(0, |entry| entry.share().taken(state.last_turn()));
    let mut change = Change::default();
    if let Some(limited) = item.limited.as_deref().filter(|limited| limited.agent != agent) {
        // What it still had to mend comes first, and says enough.
        row.fix = row.fix.or(Some(Fix::HandedOver(limited.run)));
        let from = state.agent(limited.agent).map(|agent| agent.spec.name.clone()).unwrap_or_default();
        change.events.push(cx.about(&row, Happened::ItemHandedOver { from }));
    }
    match row.worktree {
        Worktree::Ready | Worktree::Kept(_) => {
            row.worktree = Worktree::Ready;
            change.effects.push(cx.effect(id, EffectKind::StartRun(run.id)));
        }
        // It was asked for by an assignment that was given back; the same answer serves this one.
        Worktree::Creating => {}
        Worktree::None | Worktree::Removing => {
            row.worktree = Worktree::Creating;
            row.slot = row.slot.or_else(|| Some(state.lowest_free_slot()));
            change.effects.push(cx.effect(id, EffectKind::CreateWorktree));
        }
    }
    if let Some(entry) = state.mission(row.mission)
        && entry.row.dispatcher.answer.is_some()
        && state.ready().first_of(row.mission).is_some_and(|first| first.item == id)
    {
        let mut mission = entry.row.clone();
        mission.dispatcher.answer = None;
        change.missions.push(mission);
    }
    change.events.push(cx.about(&row, Happened::ItemAssigned { attempt: run.attempt }));
    change.items.push(row);
    change.runs.push(run);
    Ok(change)
}

/// A run of this item under a new fence. The caller says whether it is the item's own run or its review.
pub(crate) fn new_run(row: &mut Item, agent: AgentId, purpose: Purpose, cx: &mut Context) -> Run {
    row.fence = row.fence.next();
    Run {
        id: RunId::new(cx.now, cx.entropy),
        mission: row.mission,
        item: row.id,
        agent,
        purpose,
        fence: row.fence,
        attempt: row.attempts + 1,
        state: RunState::Starting,
        assigned_at: cx.now,
        started_at: None,
        finished_at: None,
        outcome: None,
        usage: Usage::default(),
        last_activity_at: None,
        resumes: None,
        limit: None,
        capped: None,
        share: crate::quota::Share::default(),
        requests: Vec::new(),
        help: Vec::new(),
        progress: None,
        silent_host: None,
        submitted: None,
        verdict: None,
    }
}

/// The worktree is there: the run can start.
pub fn worktree_ready(_: &State, item: &Item, base_commit: &str, cx: &mut Context) -> Result<Change, Refused> {
    let mut row = item.clone();
    row.worktree = Worktree::Ready;
    row.base_commit = Some(base_commit.into());
    row.base_at = Some(cx.now);
    let mut change = Change::default();
    let branch = row.branch().into();
    change.events.push(cx.about(&row, Happened::WorktreeCreated { branch, base_commit: base_commit.into() }));
    match (row.phase(), row.run) {
        (Phase::Assigned, Some(run)) => change.effects.push(cx.effect(row.id, EffectKind::StartRun(run))),
        // It was held or cancelled meanwhile, and its run was given up with it.
        _ if row.is_terminal() => change.extend(remove_worktree(&mut row, cx)),
        _ => {}
    }
    change.items.push(row);
    Ok(change)
}

/// The worktree could not be made: the item is ready again and nothing is counted.
pub fn worktree_failed(
    state: &State,
    item: &Item,
    lacking: Option<Lacking>,
    error: &str,
    cx: &mut Context,
) -> Result<Change, Refused> {
    let mut row = item.clone();
    row.worktree = Worktree::None;
    row.last_error = Some(error.into());
    let mut change = give_back(state, &mut row, cx);
    change.events.push(cx.about(&row, Happened::WorktreeFailed { error: error.into() }));
    if row.phase() == Phase::Assigned {
        if lacking.is_some() {
            go(&mut row, ItemEvent::Requeue, ItemState::Ready, cx)?;
            row.not_before = Some(cx.now.after(OUTSIDE_LOOK));
            row.no_room = lacking == Some(Lacking::Disk);
        } else {
            let failure = Failure { class: FailureClass::Setup, message: error.into(), detail: Box::default() };
            change.extend(retry::failed(state, &row, row.run, &failure, cx)?);
            return Ok(change);
        }
    }
    change.items.push(row);
    Ok(change)
}

/// How long an item waits before musher looks again whether the disk has room, or `origin` answers.
const OUTSIDE_LOOK: std::time::Duration = std::time::Duration::from_secs(60);

/// Ends the item's live runs without an outcome of their own: they never started.
pub(crate) fn give_back(state: &State, row: &mut Item, cx: &mut Context) -> Change {
    let mut change = Change::default();
    for id in state.runs_of(row.id) {
        if let Some(run) = state.run(*id) {
            change.runs.push(Run {
                state: RunState::Finished,
                finished_at: Some(cx.now),
                outcome: Some(Outcome::Cancelled),
                ..run.clone()
            });
        }
    }
    row.review_run = None;
    change
}

/// The agent's process lives.
pub fn run_started(state: &State, item: &Item, run: RunId, cx: &mut Context) -> Result<Change, Refused> {
    let run = state.run(run).ok_or(Refused::Stale { what: "its run is over" })?;
    let mut row = item.clone();
    let mut change = Change::default();
    if run.state == RunState::Starting {
        let started =
            Run { state: RunState::Running, started_at: Some(cx.now), last_activity_at: Some(cx.now), ..run.clone() };
        let mut event = cx.about(&row, Happened::RunStarted { attempt: run.attempt });
        (event.run, event.agent) = (Some(run.id), Some(run.agent));
        change.events.push(event);
        change.runs.push(started);
        if row.run == Some(run.id) && row.phase() == Phase::Assigned {
            go(&mut row, ItemEvent::Start, ItemState::Running, cx)?;
            change.items.push(row);
        }
    }
    Ok(change)
}

/// The agent was heard, and may have used something. Step charges it, and stops what has reached a cap.
pub fn run_progress(state: &State, item: &Item, run: RunId, usage: Usage, cx: &mut Context) -> Result<Change, Refused> {
    let run = state.run(run).ok_or(Refused::Stale { what: "its run is over" })?;
    let mut row = item.clone();
    let mut change = Change::default();
    let heard = Run { usage: run.usage.plus(usage), last_activity_at: Some(cx.now), ..run.clone() };
    if usage != Usage::default() {
        row.usage = row.usage.plus(usage);
        change.events.push(recorded(&row, run, usage, cx));
        change.items.push(row);
    }
    change.runs.push(heard);
    Ok(change)
}

/// The agent works in a session of its own program: the next run of the same agent goes on in it.
pub fn session_started(state: &State, item: &Item, run: RunId, id: &str, cx: &Context) -> Result<Change, Refused> {
    let run = state.run(run).ok_or(Refused::Stale { what: "its run is over" })?;
    let session = Session { agent: run.agent, id: id.into() };
    // A reviewer reads; what it learnt is not what the item's own agent goes on with.
    if run.purpose == Purpose::Review || item.session.as_deref() == Some(&session) {
        return Ok(Change::default());
    }
    let row = Item { session: Some(Box::new(session)), updated_at: cx.now, ..item.clone() };
    Ok(Change { items: vec![row], ..Change::default() })
}

/// The run has reached a limit: it is stopped, and why is kept until it has ended.
pub fn limit_reached(
    state: &State,
    item: &Item,
    run: RunId,
    limit: Limit,
    text: &str,
    cx: &mut Context,
) -> Result<Change, Refused> {
    let run = state.run(run).ok_or(Refused::Stale { what: "its run is over" })?;
    if run.limit.is_some() {
        return Ok(Change::default());
    }
    let mut change = super::operate::stop_effect(state, item, run.id, Stop::Kill, cx);
    let mut event = cx.about(item, Happened::LimitReached { limit, text: text.into() });
    (event.run, event.agent) = (Some(run.id), Some(run.agent));
    change.events.push(event);
    change.runs.push(Run { limit: Some((limit, text.into())), ..run.clone() });
    Ok(change)
}

/// What was used, said of the run that used it: an item's review is not its own run.
fn recorded(row: &Item, run: &Run, usage: Usage, cx: &Context) -> crate::event::Event {
    let mut event = cx.about(
        row,
        Happened::UsageRecorded { usage, model: Some(run.share.model.clone()).filter(|model| !model.is_empty()) },
    );
    (event.run, event.agent) = (Some(run.id), Some(run.agent));
    event
}

/// The run is over: what it says is checked, or its failure is counted.
pub fn run_finished(
    state: &State,
    item: &Item,
    id: RunId,
    outcome: &Outcome,
    usage: Usage,
    cx: &mut Context,
) -> Result<Change, Refused> {
    let run = state.run(id).ok_or(Refused::Stale { what: "its run is over" })?;
    let outcome = &settled(state, item.id, run, outcome);
    let mut row = item.clone();
    let over = Run {
        state: RunState::Finished,
        finished_at: Some(cx.now),
        outcome: Some(outcome.clone()),
        usage: run.usage.plus(usage),
        ..run.clone()
    };
    row.usage = row.usage.plus(usage);
    let mut change = Change::default();
    if usage != Usage::default() {
        change.events.push(recorded(&row, run, usage, cx));
    }
    let mut event = cx.about(&row, finished_event(outcome, over.usage));
    (event.run, event.agent) = (Some(id), Some(run.agent));
    change.events.push(event);
    change.runs.push(over);
    // A stop that was asked for has had its answer; what it should still be told comes too late.
    change.closed.extend(talk_with(state, item.id, id).map(|e| e.id));
    if let Outcome::Finished { .. } = outcome {
        change.extend(rested(state, run.agent, cx));
    }

    if run.purpose == Purpose::Review {
        change.extend(crate::review::run_finished(state, row, id, outcome, cx)?);
        return Ok(change);
    }
    if row.run != Some(id) || !row.is_live() {
        // The item was held or cancelled: the run only had to end. Its worktree may go now.
        if row.is_terminal() {
            change.extend(remove_worktree(&mut row, cx));
        }
        change.items.push(row);
        return Ok(change);
    }
    if row.phase() == Phase::Assigned && !matches!(outcome, Outcome::Finished { .. }) {
        change.extend(not_started(state, row, id, outcome, cx)?);
        return Ok(change);
    }
    if row.phase() == Phase::Assigned {
        go(&mut row, ItemEvent::Start, ItemState::Running, cx)?;
    }
    change.extend(worked(state, row, id, outcome, cx)?);
    Ok(change)
}

fn finished_event(outcome: &Outcome, usage: Usage) -> Happened {
    let message: Box<str> = match outcome {
        Outcome::Finished { summary, .. } => first_line(summary).into(),
        Outcome::Failed { message, .. } => message.clone(),
        Outcome::RateLimited { message, .. } | Outcome::SessionLost { message } => message.clone(),
        Outcome::Cancelled => "ended on request".into(),
        Outcome::Lost { while_down: true } => "it vanished while musher or the machine was down".into(),
        Outcome::Lost { while_down: false } => "its run host died".into(),
    };
    Happened::RunFinished { outcome: outcome.name().into(), class: outcome.class(), message, usage }
}

/// The first line of closing words that says something, cut to [`LINE_CHARS`]: the whole is with the run.
fn first_line(text: &str) -> &str {
    let fence = |line: &&str| ["```", "~~~"].iter().any(|mark| line.trim_start().starts_with(mark));
    let line = text.lines().find(|line| !line.trim().is_empty() && !fence(line)).unwrap_or_default();
    line.char_indices().nth(LINE_CHARS).map_or(line, |(end, _)| &line[..end])
}

/// The most that an event says of closing words, in characters.
const LINE_CHARS: usize = 2_000;

/// The open effects that are for a live run.
fn talk_with(state: &State, item: ItemId, run: RunId) -> impl Iterator<Item = &Effect> {
    state.effects_of(item).filter(move |e| match &e.kind {
        EffectKind::StopRun(of, _) | EffectKind::TellRun { run: of, .. } | EffectKind::AnswerRun { run: of, .. } => {
            *of == run
        }
        EffectKind::CreateWorktree
        | EffectKind::StartRun(_)
        | EffectKind::Inspect
        | EffectKind::Gate { .. }
        | EffectKind::PrepareMerge { .. }
        | EffectKind::Rebase
        | EffectKind::Land { .. }
        | EffectKind::RemoveWorktree { .. }
        | EffectKind::PushBranch { .. }
        | EffectKind::Forge(_)
        | EffectKind::RunCheck { .. }
        | EffectKind::PrepareFiring(_)
        | EffectKind::FetchUrl { .. } => false,
    })
}

/// What an end means in view of what musher did to the run: one that was stopped for a limit failed by it, whatever its
/// agent still said; and one that was stopped on request did not fail by dying.
fn settled(state: &State, item: ItemId, run: &Run, outcome: &Outcome) -> Outcome {
    match outcome {
        Outcome::Lost { .. } | Outcome::RateLimited { .. } | Outcome::SessionLost { .. } => outcome.clone(),
        Outcome::Finished { .. } | Outcome::Failed { .. } | Outcome::Cancelled => match (&run.limit, outcome) {
            (Some((limit, text)), _) => {
                Outcome::Failed { class: limit.class(), message: text.clone(), detail: Box::default() }
            }
            (None, Outcome::Failed { class: FailureClass::Agent, .. }) if is_being_stopped(state, item, run.id) => {
                Outcome::Cancelled
            }
            (None, _) => crate::tool::in_its_words(run, outcome),
        },
    }
}

fn is_being_stopped(state: &State, item: ItemId, run: RunId) -> bool {
    state.effects_of(item).any(|effect| matches!(effect.kind, EffectKind::StopRun(of, _) if of == run))
}

/// An account that works again starts anew in the table of rests.
fn rested(state: &State, agent: AgentId, cx: &Context) -> Change {
    match state.agent(agent) {
        Some(agent) if agent.limited_times > 0 => {
            let row = crate::agent::Agent { limited_times: 0, updated_at: cx.now, ..agent.clone() };
            Change { agents: vec![row], ..Change::default() }
        }
        Some(_) | None => Change::default(),
    }
}

/// The run ended before its process was seen alive. When its program cannot start, the agent is at fault and not the
/// item: the agent takes nothing more until that is mended, and nothing is counted.
fn not_started(
    state: &State,
    mut row: Item,
    id: RunId,
    outcome: &Outcome,
    cx: &mut Context,
) -> Result<Change, Refused> {
    if let Outcome::Failed { class: FailureClass::Setup, message, .. } = outcome
        && let Some(run) = state.run(id)
    {
        // An agent that was removed meanwhile has nothing left to mend.
        return cannot_work(state, row, run.id, message, cx);
    }
    if let Outcome::RateLimited { resets_at, message } = outcome {
        return limited::used_up(state, row, id, *resets_at, message, cx);
    }
    match failure_of(outcome) {
        Some(failure) => retry::failed(state, &row, Some(id), &failure, cx),
        None => {
            go(&mut row, ItemEvent::Requeue, ItemState::Ready, cx)?;
            let event = cx.about(&row, Happened::ItemReady { not_before: None });
            Ok(Change { items: vec![row], events: vec![event], ..Change::default() })
        }
    }
}

/// The agent's program cannot work here, or not under its account: the agent takes nothing more until that is mended.
/// The item is not at fault, and nothing is counted.
fn cannot_work(state: &State, mut row: Item, id: RunId, message: &str, cx: &mut Context) -> Result<Change, Refused> {
    let agent = state.run(id).map(|run| run.agent);
    // An agent that was removed meanwhile has nothing left to mend.
    let checked = agent.and_then(|agent| crate::agent::setup_checked(state, agent, Some(message), cx).ok());
    let mut change = checked.unwrap_or_default();
    row.last_error = Some(message.into());
    go(&mut row, ItemEvent::Requeue, ItemState::Ready, cx)?;
    change.items.push(row);
    Ok(change)
}

/// The run worked and is over.
fn worked(state: &State, mut row: Item, id: RunId, outcome: &Outcome, cx: &mut Context) -> Result<Change, Refused> {
    if let Outcome::Failed { class: FailureClass::Setup, message, .. } = outcome {
        return cannot_work(state, row, id, message, cx);
    }
    if let Some(failure) = failure_of(outcome) {
        return retry::failed(state, &row, Some(id), &failure, cx);
    }
    match outcome {
        Outcome::RateLimited { resets_at, message } => {
            return limited::used_up(state, row, id, *resets_at, message, cx);
        }
        Outcome::SessionLost { .. } => row.session = None,
        Outcome::Finished { .. } | Outcome::Failed { .. } | Outcome::Cancelled | Outcome::Lost { .. } => {}
    }
    let Outcome::Finished { summary, .. } = outcome else {
        if *outcome == Outcome::Cancelled
            && let Some(cap) = state.run(id).and_then(|run| run.capped.as_ref())
        {
            return retry::capped(state, row, id, cap, cx);
        }
        // Cancelled, or lost while nobody could watch: it goes on in the same worktree and nothing is counted.
        go(&mut row, ItemEvent::Requeue, ItemState::Ready, cx)?;
        let event = cx.about(&row, Happened::ItemReady { not_before: None });
        return Ok(Change { items: vec![row], events: vec![event], ..Change::default() });
    };
    if row.wants == Wants::Plan {
        return super::planned::answered(state, row, id, summary, cx);
    }
    go(&mut row, ItemEvent::Finish, ItemState::Verifying, cx)?;
    row.approval = None;
    row.no_merge = crate::verify::says_no_change_needed(outcome);
    let mut change = Change::default();
    change.texts.push((crate::change::TextKey::Summary(row.id), summary.clone()));
    change.effects.push(cx.effect(row.id, EffectKind::Inspect));
    change.items.push(row);
    Ok(change)
}

/// The failure of an outcome, if it is one that counts.
fn failure_of(outcome: &Outcome) -> Option<Failure> {
    match outcome {
        Outcome::Failed { class, message, detail } => {
            Some(Failure { class: *class, message: message.clone(), detail: detail.clone() })
        }
        Outcome::Lost { while_down: false } => {
            Some(Failure { class: FailureClass::Lost, message: "its run host died".into(), detail: Box::default() })
        }
        Outcome::Lost { while_down: true }
        | Outcome::Cancelled
        | Outcome::RateLimited { .. }
        | Outcome::SessionLost { .. }
        | Outcome::Finished { .. } => None,
    }
}

/// Asks for the removal of the worktree, if there is one.
pub(crate) fn remove_worktree(row: &mut Item, cx: &mut Context) -> Change {
    let mut change = Change::default();
    // One whose making failed may lie there half or, if only the answer was lost, whole: its slot says that it was begun.
    let begun = row.worktree == Worktree::None && row.slot.is_some();
    if row.worktree == Worktree::Ready || begun {
        row.worktree = Worktree::Removing;
        change.effects.push(cx.effect(row.id, EffectKind::RemoveWorktree { discard: false }));
    }
    change
}

/// A worktree that nobody needs any more, unless a run other than the one that has just ended is still in it.
pub(crate) fn worktree_leftover(state: &State, row: &mut Item, ended: Option<RunId>, cx: &mut Context) -> Change {
    // Only a run that has a host is in it; one that was given back with its item never began.
    let occupied =
        state.effects_of(row.id).any(|effect| matches!(effect.kind, EffectKind::StartRun(run) if Some(run) != ended));
    if occupied { Change::default() } else { remove_worktree(row, cx) }
}

/// The open effects of an item that no longer matter, except those that must come to their end: a run's own, its
/// stop, and what happens to a worktree.
pub(crate) fn close_effects(state: &State, item: ItemId) -> Vec<crate::id::EffectId> {
    state
        .effects_of(item)
        .filter(|e| match e.kind {
            EffectKind::CreateWorktree
            | EffectKind::Inspect
            | EffectKind::Gate { .. }
            | EffectKind::PrepareMerge { .. }
            | EffectKind::Rebase
            | EffectKind::Land { .. }
            | EffectKind::PushBranch { .. }
            | EffectKind::Forge(_)
            | EffectKind::RunCheck { .. }
            | EffectKind::PrepareFiring(_)
            | EffectKind::FetchUrl { .. } => true,
            EffectKind::StartRun(_)
            | EffectKind::StopRun(..)
            | EffectKind::TellRun { .. }
            | EffectKind::AnswerRun { .. }
            | EffectKind::RemoveWorktree { .. } => false,
        })
        .map(|e| e.id)
        .collect()
}
