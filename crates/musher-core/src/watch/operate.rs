//! What operators do with watches: add one, let one rest, close one.

use std::time::Duration;

use super::{Holds, LONGEST_REST, Watch, WatchKind, WatchStatus, note};
use crate::change::Change;
use crate::command::{Answer, Refused};
use crate::event::Happened;
use crate::id::{ItemId, WatchId};
use crate::item::{self, Item, ItemEvent, ItemState, Phase};
use crate::state::State;
use crate::step::Context;

/// The most open watches of an item.
const MOST: usize = 100;

/// Adds a watch to an item: something that must be met before it starts, or after it is done and before its mission is.
pub(crate) fn add(
    state: &State,
    id: ItemId,
    kind: &WatchKind,
    holds: Holds,
    cx: &mut Context,
) -> Result<Change, Refused> {
    let not_found = || Refused::NotFound { noun: "item", name: id.short() };
    let item = state.item(id).ok_or_else(not_found)?;
    if kind.is_of_pull() || holds == Holds::Pull {
        let what = format!("a watch of kind `{}` cannot be added", kind.name());
        let fix = "it is made by itself when the item has a pull request; add a command, a url or an issue".to_owned();
        return Err(Refused::Invalid { what, fix });
    }
    if let Some(what) = kind.problem() {
        return Err(Refused::Invalid {
            what,
            fix: "write a program and its arguments, or https://HOST/PATH".to_owned(),
        });
    }
    let mut open = state.watches_of(id).filter(|watch| watch.status.is_open());
    if open.any(|watch| watch.kind == *kind && watch.holds == holds) {
        let what = format!("item `{}` is watched for {} already", item.key, named(kind));
        return Err(Refused::Conflict { what, fix: "`musher watch list` shows it" });
    }
    if state.watches_of(id).filter(|watch| watch.status.is_open()).count() >= MOST {
        let what = format!("item `{}` has {MOST} open watches, and those are the most", item.key);
        return Err(Refused::Conflict { what, fix: "`musher watch close` ends one" });
    }
    let mut change = Change::default();
    match (holds, item.phase()) {
        (Holds::Start, Phase::Pending) | (Holds::Mission, _) if !ended(state, item) => {}
        (Holds::Start, Phase::Ready) => {
            // What is ready is not any more.
            let mut row = item.clone();
            item::go(&mut row, ItemEvent::Demote, ItemState::Pending, cx)?;
            change.items.push(row);
        }
        (Holds::Start | Holds::Mission | Holds::Pull, phase) => {
            let fix = match holds {
                Holds::Start if !ended(state, item) => {
                    "only an item that has not begun can wait for something before it starts; a watch of the mission's end \
                     can still be added (`--then`)"
                }
                Holds::Start | Holds::Mission | Holds::Pull => "nothing waits for it any more",
            };
            let name = item.key.to_string();
            return Err(Refused::State { verb: "watch something for", noun: "item", name, state: phase.name(), fix });
        }
    }
    let mut row = super::new(item, kind.clone(), holds, cx);
    if holds == Holds::Mission && item.phase() == Phase::Done {
        row.looks.due = Some(cx.now);
    }
    let target = kind.target().unwrap_or_default();
    let event = Happened::WatchAdded { watch: kind.name().into(), target: target.into(), id: row.id };
    change.events.push(cx.about(item, event));
    change.answer = Answer::Watch(row.id);
    change.watches.push(row);
    Ok(change)
}

/// Lets a watch rest: what is looked at by itself is not looked at before that moment, and one of a pull request, which is
/// looked at with the others of it, triggers nothing before.
pub(crate) fn snooze(state: &State, id: WatchId, rest: Duration, cx: &mut Context) -> Result<Change, Refused> {
    let (watch, item) = open(state, id, "snooze")?;
    if rest.is_zero() || rest > LONGEST_REST {
        let what = "a watch can rest for a second to a year".to_owned();
        return Err(Refused::Invalid { what, fix: "write a span such as 30m or 12h".to_owned() });
    }
    let until = cx.now.after(rest);
    let mut row = Watch { status: WatchStatus::Snoozed(until), ..watch.clone() };
    row.looks.hinted = false;
    if row.looks.due.is_some() {
        row.looks.due = Some(until);
    }
    let event = cx.about(item, Happened::WatchSnoozed { watch: row.kind.name().into(), until });
    Ok(Change { watches: vec![row], events: vec![event], ..Change::default() })
}

/// Closes a watch: an operator has decided that it holds nothing up. An item that waits for its pull request waits for that
/// all the same, and for its other watches.
pub(crate) fn close(state: &State, id: WatchId, cx: &mut Context) -> Result<Change, Refused> {
    let (watch, item) = open(state, id, "close")?;
    let mut change = Change::default();
    note::close(state, watch, &mut change, cx);
    let by = cx.actor.text().into();
    let which = Box::new([note::in_words(watch, item)]);
    change.events.push(cx.about(item, Happened::WatchesOverridden { count: 1, by, which }));
    Ok(change)
}

fn ended(state: &State, item: &Item) -> bool {
    let mission = state.mission(item.mission).is_none_or(|entry| entry.row.state.is_terminal());
    mission || item.phase() == Phase::Cancelled
}

fn open<'a>(state: &'a State, id: WatchId, verb: &'static str) -> Result<(&'a Watch, &'a Item), Refused> {
    let not_found = || Refused::NotFound { noun: "watch", name: id.short() };
    let watch = state.watch(id).ok_or_else(not_found)?;
    if !watch.status.is_open() {
        let (name, state) = (id.short(), watch.status.name());
        return Err(Refused::State { verb, noun: "watch", name, state, fix: "it holds nothing up any more" });
    }
    Ok((watch, state.item(watch.item).ok_or_else(not_found)?))
}

fn named(kind: &WatchKind) -> String {
    format!("{} {}", kind.name(), kind.target().unwrap_or_default())
}
