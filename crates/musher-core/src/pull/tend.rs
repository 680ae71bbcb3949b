//! Making a pull request and keeping it up to date: push, open, look, one after the other.

use super::{CiFixes, Next, Pull, is_its_work};
use crate::change::Change;
use crate::command::{Push, Refused};
use crate::effect::EffectKind;
use crate::event::Happened;
use crate::forge::{ForgeFailure, ForgeWork, Hint, PullState};
use crate::id::ItemId;
use crate::item::{BlockedReason, Item, ItemState, Waiting};
use crate::quota;
use crate::retry;
use crate::state::State;
use crate::step::Context;
use crate::watch::{self, Looks, Seen, Watch, WatchKind, WatchStatus};

fn stale() -> Refused {
    Refused::Stale { what: "its item follows no pull request" }
}

/// The item and its pull request, while it is followed.
pub(super) fn followed(state: &State, id: ItemId) -> Result<(&Item, &Pull), Refused> {
    let item = state.item(id).filter(|item| item.state == ItemState::Waiting(Waiting::Watches)).ok_or_else(stale)?;
    Ok((item, state.pull(id).ok_or_else(stale)?))
}

/// A verified item goes into a pull request: from now on that is followed.
pub(crate) fn deliver(state: &State, row: Item, cx: &mut Context) -> Change {
    deliver_as(state, state.pull(row.id).cloned(), row, cx)
}

/// The same, with the pull request as it is just now.
pub(super) fn deliver_as(state: &State, pull: Option<Pull>, mut row: Item, cx: &mut Context) -> Change {
    let mut change = Change::default();
    row.state = ItemState::Waiting(Waiting::Watches);
    row.updated_at = cx.now;
    let new = Pull {
        item: row.id,
        mission: row.mission,
        number: None,
        url: Box::default(),
        pushed: None,
        state: PullState::Open,
        draft: false,
        queued: false,
        empty_rebases: 0,
        looks: Looks::default(),
        untold: false,
        ci: CiFixes::default(),
        told: Vec::new(),
        read_to: 0,
        counted_on: 0,
        remarks: Vec::new(),
        disobeyed: Vec::new(),
        wishes: Vec::new(),
        asked: None,
        created_at: cx.now,
        updated_at: cx.now,
    };
    let mut pull = pull.unwrap_or(new);
    if pull.state != PullState::Open {
        // A closed one is left to itself; the branch gets another.
        (pull.number, pull.state, pull.queued, pull.counted_on) = (None, PullState::Open, false, 0);
    }
    pull.looks = Looks { due: Some(cx.now), looked_at: pull.looks.looked_at, ..Looks::default() };
    pull.wishes.clear();
    pull.asked = None;
    pull.updated_at = cx.now;
    // What was seen of an older head counts for nothing, and so does what an operator has said of it.
    for old in state.watches_of(row.id).filter(|old| old.kind.is_of_pull() && old.head != row.head) {
        change.watches.push(Watch {
            status: WatchStatus::Active,
            seen: Seen::Nothing,
            text: None,
            head: row.head.clone(),
            found: Vec::new(),
            changed_at: cx.now,
            ..old.clone()
        });
    }
    change.events.push(cx.about(&row, Happened::ItemWaiting { on: "pull request".into() }));
    change.pulls.push(pull);
    change.items.push(row);
    change
}

/// The next thing is due: the push of a new head, the opening, or a look. That the day has one left to open is asked, and it
/// is taken, in this one step.
pub(crate) fn tend(state: &State, id: ItemId, cx: &mut Context) -> Result<Change, Refused> {
    let (item, pull) = followed(state, id)?;
    if pull.looks.due.is_none() {
        return Err(stale());
    }
    let mut row = pull.clone();
    (row.looks.due, row.looks.hinted) = (None, false);
    let mut change = Change::default();
    let kind = match pull.next(item) {
        Next::Push(head) => EffectKind::PushBranch { head: head.into(), expected: pull.pushed.clone() },
        Next::Open => {
            let denied = |_| Refused::Stale { what: "the repository's pull requests of the day are opened" };
            quota::open(state, &mut row, &mut change, cx).map_err(denied)?;
            EffectKind::Forge(ForgeWork::OpenPull { draft: state.settings().require_checks })
        }
        Next::Look(number) => EffectKind::Forge(ForgeWork::LookAtPull { number }),
    };
    change.pulls.push(row);
    change.effects.push(cx.effect(id, kind));
    Ok(change)
}

/// The push of the branch was tried.
pub(crate) fn pushed(state: &State, id: ItemId, head: &str, push: &Push, cx: &mut Context) -> Result<Change, Refused> {
    let (item, pull) = followed(state, id)?;
    let mut row = pull.clone();
    row.updated_at = cx.now;
    match push {
        Push::Done => {
            row.pushed = Some(head.into());
            row.looks = Looks { due: Some(cx.now), looked_at: row.looks.looked_at, ..Looks::default() };
            let event = cx.about(item, Happened::BranchPushed { branch: item.branch().into(), head: head.into() });
            Ok(Change { pulls: vec![row], events: vec![event], ..Change::default() })
        }
        Push::Moved { found } => {
            let expected = pull.pushed.as_deref().unwrap_or("nothing");
            let found: &str = if found.is_empty() { "nothing" } else { found };
            let what = format!(
                "somebody else has pushed to {}: origin has {found}, and musher's last push was {expected}",
                item.branch()
            );
            retry::block(
                item.clone(),
                BlockedReason::Pull(what.into()),
                Change { pulls: vec![row], ..Change::default() },
                cx,
            )
        }
        Push::Failed { error } => failed(state, id, &ForgeFailure::Refused(error.clone()), cx),
        Push::Unanswered { error } => failed(state, id, &ForgeFailure::Unavailable(error.clone()), cx),
    }
}

/// It is there, and its watches are made. One that was there before was opened by somebody else, and is not counted.
pub(super) fn opened(
    state: &State,
    id: ItemId,
    (number, url, draft): (u64, &str, bool),
    adopted: bool,
    cx: &mut Context,
) -> Result<Change, Refused> {
    let (item, pull) = followed(state, id)?;
    let mut row = pull.clone();
    (row.number, row.url, row.draft, row.updated_at) = (Some(number), url.into(), draft, cx.now);
    row.looks = Looks { due: Some(cx.now), looked_at: row.looks.looked_at, ..Looks::default() };
    let mut change = Change::default();
    if adopted {
        quota::unopen(state, item, &mut row, &mut change, cx);
    }
    for kind in WatchKind::OF_PULL {
        if !state.watches_of(id).any(|watch| watch.kind == kind) {
            change.watches.push(watch::new(item, kind, watch::Holds::Pull, cx));
        }
    }
    change.events.push(cx.about(item, Happened::PullOpened { number, url: url.into(), draft }));
    change.pulls.push(row);
    Ok(change)
}

/// It was not opened, or nobody knows: only what the forge has said no to can be given back.
pub(super) fn not_opened(
    state: &State,
    id: ItemId,
    failure: &ForgeFailure,
    cx: &mut Context,
) -> Result<Change, Refused> {
    let (item, _) = followed(state, id)?;
    let mut change = failed(state, id, failure, cx)?;
    match failure {
        ForgeFailure::Unavailable(_) | ForgeFailure::Strange(_) | ForgeFailure::Unasked(_) => {}
        ForgeFailure::Limited { .. } | ForgeFailure::Refused(_) | ForgeFailure::NotFound(_) => {
            for mut row in std::mem::take(&mut change.pulls) {
                quota::unopen(state, item, &mut row, &mut change, cx);
                change.pulls.push(row);
            }
        }
    }
    Ok(change)
}

/// What was asked of the forge, or of `origin`, was not done: it is tried again later; five times in all when it was
/// refused, and for as long as it takes when nobody answered. A rate limit is no failure.
pub(crate) fn failed(state: &State, id: ItemId, failure: &ForgeFailure, cx: &mut Context) -> Result<Change, Refused> {
    let (item, pull) = followed(state, id)?;
    let mut row = pull.clone();
    let (looks, blocked) = watch::failed(&pull.looks, failure, cx.now);
    row.looks = looks;
    row.updated_at = cx.now;
    let mut change = Change { pulls: vec![row], ..Change::default() };
    change.events.extend(watch::failure_event(item, "pull_request", &pull.looks, failure, cx));
    match blocked {
        Some(reason) => retry::block(item.clone(), reason, change, cx),
        None => Ok(change),
    }
}

/// A webhook says that something has changed: whoever watches it looks at once, or once more after the look under way. Also
/// answers whether anybody watches it.
pub(crate) fn hinted(state: &State, hint: &Hint, cx: &Context) -> (Change, bool) {
    let mut change = Change::default();
    let mut watched = false;
    let meant = |pull: &&Pull| match hint {
        Hint::Pull(number) => pull.number == Some(*number),
        Hint::Commit(commit) => pull.pushed.as_ref() == Some(commit),
        Hint::Issue(_) => false,
    };
    for pull in state.pulls().filter(meant) {
        if !state.item(pull.item).is_some_and(crate::state::follows_pull) {
            continue;
        }
        watched = true;
        let row = Pull { looks: watch::hurried(&pull.looks, cx.now), untold: false, ..pull.clone() };
        if row != *pull {
            change.pulls.push(row);
        }
    }
    if let Hint::Issue(issue) = hint {
        let same = |kind: &WatchKind| matches!(kind, WatchKind::IssueClosed(watched) if watched.is(issue));
        for watch in state.watches().filter(|watch| same(&watch.kind) && state.is_looked_at(watch)) {
            watched = true;
            let looks = watch::hurried(&watch.looks, cx.now);
            if looks != watch.looks {
                change.watches.push(Watch { looks, ..watch.clone() });
            }
        }
    }
    (change, watched)
}

/// Whether something is being done to the pull request of an item.
pub(super) fn is_under_way(state: &State, id: ItemId) -> bool {
    state.effects_of(id).any(|effect| is_its_work(&effect.kind))
}
