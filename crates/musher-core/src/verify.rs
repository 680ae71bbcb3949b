//! Verification: done is proved by musher, not claimed by the agent.

use crate::change::{Change, GateRecord};
use crate::command::{Failure, GateVerdict, Inspection, Refused};
use crate::effect::{EffectKind, GateOn};
use crate::event::Happened;
use crate::item::{self, Item, ItemEvent, ItemState, MergeStage, Phase, Waiting};
use crate::mission::Delivery;
use crate::retry;
use crate::run::{FailureClass, Outcome};
use crate::state::State;
use crate::step::Context;
use crate::{merge, review};

/// The gate that an item must pass: its own, else the project's.
pub fn gate_of<'a>(state: &'a State, item: &'a Item) -> Option<&'a str> {
    let says_something = |gate: &&str| !gate.trim().is_empty();
    let of_item = item.gate.as_deref().filter(says_something);
    of_item.or_else(|| state.settings().gate.as_deref().filter(says_something))
}

/// The diff was looked at: rules first, then the gate.
pub fn inspected(state: &State, item: &Item, inspection: &Inspection, cx: &mut Context) -> Result<Change, Refused> {
    if item.phase() != Phase::Verifying {
        return Err(Refused::Stale { what: "its item is not being verified" });
    }
    let refuse = |class, message: &str, detail: &str| Failure { class, message: message.into(), detail: detail.into() };
    match inspection {
        Inspection::Missing => {
            let mut row = item.clone();
            // The branch is still there; the next run gets a new worktree on it.
            row.worktree = item::Worktree::None;
            let failure = refuse(FailureClass::Agent, "its worktree is gone", "");
            retry::failed(state, &row, item.run, &failure, cx)
        }
        Inspection::Problems(list) => {
            let first = list.lines().next().unwrap_or("the change breaks a rule");
            retry::failed(state, item, item.run, &refuse(FailureClass::Gate, first, list), cx)
        }
        Inspection::Empty => empty(state, item, cx),
        Inspection::Clean { head, tree, files, insertions, deletions } => {
            let mut row = item.clone();
            if row.head.as_deref() != Some(head) {
                row.approval = None;
            }
            row.head = Some(head.clone());
            row.no_merge = false;
            row.empty_runs.0 = 0;
            let found = Happened::ItemInspected {
                head: head.clone(),
                files: *files,
                insertions: *insertions,
                deletions: *deletions,
            };
            let inspected = cx.about(&row, found);
            let mut change = gate_or_go_on(state, row, tree, cx)?;
            change.events.insert(0, inspected);
            Ok(change)
        }
    }
}

/// Nothing was changed. Right for some kinds, and where the agent gives its reason; a failure otherwise.
fn empty(state: &State, item: &Item, cx: &mut Context) -> Result<Change, Refused> {
    if item.kind.may_be_empty() || item.no_merge {
        let mut row = item.clone();
        row.no_merge = true;
        return go_on(state, row, Change::default(), cx);
    }
    let failure = Failure {
        class: FailureClass::Empty,
        message: "finished without changing anything".into(),
        detail: Box::default(),
    };
    retry::failed(state, item, item.run, &failure, cx)
}

/// Whether an outcome says, with a reason, that nothing had to change.
pub fn says_no_change_needed(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Finished { no_change_needed: Some(_), .. })
}

fn gate_or_go_on(state: &State, mut row: Item, tree: &str, cx: &mut Context) -> Result<Change, Refused> {
    let Some(gate) = gate_of(state, &row).map(str::to_owned) else {
        return go_on(state, row, Change::default(), cx);
    };
    let gate = gate.as_str();
    let Some(record) = state.gate_record(tree, gate).filter(|record| record.green || !row.regate) else {
        row.regate = false;
        let on = GateOn::Item;
        let mut change = Change::default();
        change.effects.push(cx.effect(row.id, EffectKind::Gate { on, tree: tree.into(), gate: gate.into() }));
        change.events.push(cx.about(&row, Happened::GateStarted { tree: tree.into() }));
        change.items.push(row);
        return Ok(change);
    };
    let said = cx.about(&row, Happened::GateFinished { tree: tree.into(), green: record.green, cached: true });
    let mut change = if record.green {
        go_on(state, row, Change::default(), cx)?
    } else {
        retry::failed(state, &row, row.run, &red("the gate is red", &record.tail), cx)?
    };
    change.events.insert(0, said);
    Ok(change)
}

fn red(message: &str, tail: &str) -> Failure {
    Failure { class: FailureClass::Gate, message: message.into(), detail: tail.into() }
}

/// The gate has spoken.
pub fn gate_finished(
    state: &State,
    item: &Item,
    (on, tree, gate): (&GateOn, &str, &str),
    verdict: &GateVerdict,
    cx: &mut Context,
) -> Result<Change, Refused> {
    let failure = match verdict {
        GateVerdict::Lost => {
            // Its process vanished with the machine: the same question again.
            let again = EffectKind::Gate { on: on.clone(), tree: tree.into(), gate: gate.into() };
            let effect = cx.effect(item.id, again);
            return Ok(Change { effects: vec![effect], ..Change::default() });
        }
        GateVerdict::Died => return died(state, item, on, cx),
        GateVerdict::Green => None,
        GateVerdict::Red { exit, tail } => Some(red(&format!("the gate is red: {exit}"), tail)),
        GateVerdict::TimedOut { tail } => {
            Some(red(&format!("the gate took longer than {} s", state.settings().gate_timeout_secs), tail))
        }
    };
    let record = GateRecord {
        tree: tree.into(),
        gate: gate.into(),
        green: failure.is_none(),
        tail: failure.as_ref().map(|f| retry::tail(&f.detail, retry::LESSON_BYTES).into()).unwrap_or_default(),
        at: cx.now,
    };
    let said = cx.about(item, Happened::GateFinished { tree: tree.into(), green: record.green, cached: false });
    // The gate was changed while this one ran: what the old one says is filed, and the new one is asked.
    let changed = gate_of(state, item) != Some(gate);
    let mut change = match (on, failure) {
        (GateOn::Merge { commit, .. }, failure) => merge::gated(state, item, commit, (failure, record.clone()), cx)?,
        (GateOn::Item, _) if item.phase() != Phase::Verifying => {
            return Err(Refused::Stale { what: "its item is not being verified" });
        }
        (GateOn::Item, _) if changed => gate_or_go_on(state, item.clone(), tree, cx)?,
        (GateOn::Item, None) => go_on(state, item.clone(), Change::default(), cx)?,
        (GateOn::Item, Some(failure)) => retry::failed(state, item, item.run, &failure, cx)?,
    };
    if change.gates.is_empty() {
        change.gates.push(record);
    }
    change.events.insert(0, said);
    Ok(change)
}

/// The gate's process was killed: nothing is known of the tree, so nothing is filed, but it is not tried for ever.
fn died(state: &State, item: &Item, on: &GateOn, cx: &mut Context) -> Result<Change, Refused> {
    let message = "the gate's process was killed";
    match on {
        GateOn::Merge { .. } => merge::held(state, item, message, cx),
        GateOn::Item if item.phase() != Phase::Verifying => {
            Err(Refused::Stale { what: "its item is not being verified" })
        }
        GateOn::Item => {
            let failure = Failure { class: FailureClass::Lost, message: message.into(), detail: Box::default() };
            retry::failed(state, item, item.run, &failure, cx)
        }
    }
}

/// Every check is passed: on to whoever must say yes, or into the merge queue.
fn go_on(state: &State, mut row: Item, mut change: Change, cx: &mut Context) -> Result<Change, Refused> {
    row.fix = None;
    change.events.push(cx.about(&row, Happened::ItemVerified { head: row.head.clone().unwrap_or_default() }));
    let wait = review::waits_on(state, &row);
    match wait {
        Waiting::Clear if !row.no_merge && !goes_to_the_forge(state, &row) => {
            item::go(&mut row, ItemEvent::Enqueue, ItemState::Merging(MergeStage::Queued), cx)?;
            row.queued_at = Some(cx.now);
            change.events.push(cx.about(&row, Happened::ItemMerging {}));
        }
        Waiting::Clear | Waiting::Watches => {
            item::go(&mut row, ItemEvent::Wait, ItemState::Waiting(Waiting::Clear), cx)?
        }
        Waiting::Review | Waiting::Approval => {
            item::go(&mut row, ItemEvent::Wait, ItemState::Waiting(wait), cx)?;
            let on = if wait == Waiting::Review { "review" } else { "approval" };
            change.events.push(cx.about(&row, Happened::ItemWaiting { on: on.into() }));
        }
    }
    change.items.push(row);
    Ok(change)
}

/// Whether its work goes into a pull request.
fn goes_to_the_forge(state: &State, item: &Item) -> bool {
    state.mission(item.mission).is_some_and(|m| m.row.delivery == Delivery::Pr)
}

/// Where merged work may go: without a gate nothing reaches the base branch.
pub fn delivery_allowed(wanted: Delivery, has_gate: bool) -> Delivery {
    match (wanted, has_gate) {
        (Delivery::Merge, true) => Delivery::Merge,
        (Delivery::Merge, false) | (Delivery::Branch, _) => Delivery::Branch,
        // The forge merges it, by its own rules, or a person does.
        (Delivery::Pr, _) => Delivery::Pr,
    }
}
