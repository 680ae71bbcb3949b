//! What the forge answers about a pull request, and what follows from a look.

use super::refusal::{self, Asked, Lack};
use super::tend::{failed, followed, is_under_way, not_opened, opened};
use super::{Pull, Wish, comment, mend, wish};
use crate::change::Change;
use crate::command::Refused;
use crate::effect::EffectKind;
use crate::event::Happened;
use crate::forge::{Check, ForgeAnswer, ForgeFailure, ForgeWork, PullMerge, PullSeen, PullState};
use crate::id::ItemId;
use crate::item::{self, BlockedReason, Item, ItemEvent, ItemState};
use crate::retry;
use crate::state::State;
use crate::step::Context;
use crate::time::Timestamp;
use crate::watch::{self, Looks, Seen, WatchKind, WatchStatus};

/// The forge has answered something about the pull request of an item.
pub(crate) fn answered(
    state: &State,
    id: ItemId,
    work: &ForgeWork,
    answer: &ForgeAnswer,
    cx: &mut Context,
) -> Result<Change, Refused> {
    match (work, answer) {
        (ForgeWork::OpenPull { .. }, ForgeAnswer::PullOpened { number, url, draft, adopted }) => {
            opened(state, id, (*number, url, *draft), *adopted, cx)
        }
        (ForgeWork::LookAtPull { number }, ForgeAnswer::PullLooked(seen)) => looked(state, id, *number, seen, cx),
        (ForgeWork::MarkReady { number }, ForgeAnswer::PullReady) => {
            let (item, pull) = followed(state, id)?;
            let mut row = Pull { draft: false, ..pull.clone() };
            row.looks.due = Some(cx.now);
            let event = cx.about(item, Happened::PullReady { number: *number });
            Ok(Change { pulls: vec![row], events: vec![event], ..Change::default() })
        }
        (ForgeWork::RerunChecks { head, checks }, ForgeAnswer::ChecksRerun { started }) => {
            rerun(state, id, head, checks, *started, cx)
        }
        (ForgeWork::FetchLog { check }, ForgeAnswer::LogFetched { tail }) => {
            let (item, pull) = followed(state, id)?;
            mend::checks(item, pull, check, tail, cx)
        }
        (ForgeWork::MergePull { .. }, ForgeAnswer::PullMerged(merge)) => merged(state, id, merge, cx),
        (
            ForgeWork::CommentPull { .. } | ForgeWork::EditComment { .. } | ForgeWork::React { .. },
            ForgeAnswer::Commented { .. },
        ) => Ok(Change::default()),
        (
            ForgeWork::OpenPull { .. }
            | ForgeWork::LookAtPull { .. }
            | ForgeWork::MarkReady { .. }
            | ForgeWork::RerunChecks { .. }
            | ForgeWork::FetchLog { .. }
            | ForgeWork::MergePull { .. }
            | ForgeWork::CommentPull { .. }
            | ForgeWork::EditComment { .. }
            | ForgeWork::React { .. }
            | ForgeWork::LookAtIssue { .. },
            _,
        ) => Ok(again(state, id, cx)),
    }
}

/// The forge has not done what it was asked.
pub(crate) fn refused(
    state: &State,
    id: ItemId,
    work: &ForgeWork,
    failure: &ForgeFailure,
    cx: &mut Context,
) -> Result<Change, Refused> {
    let final_no = matches!(failure, ForgeFailure::Refused(_) | ForgeFailure::NotFound(_));
    match work {
        // Not every check can be run again, and not every one has a log: the fix run does without.
        ForgeWork::RerunChecks { head, checks } if final_no => rerun(state, id, head, checks, false, cx),
        ForgeWork::FetchLog { check } if final_no => {
            let (item, pull) = followed(state, id)?;
            mend::checks(item, pull, check, "", cx)
        }
        ForgeWork::MergePull { .. } if final_no => {
            merged(state, id, &PullMerge::Refused { why: failure.to_string().into() }, cx)
        }
        ForgeWork::OpenPull { .. } => not_opened(state, id, failure, cx),
        ForgeWork::LookAtPull { .. }
        | ForgeWork::MarkReady { .. }
        | ForgeWork::RerunChecks { .. }
        | ForgeWork::FetchLog { .. }
        | ForgeWork::MergePull { .. } => failed(state, id, failure, cx),
        // What is said there is said once, or not at all: nothing depends on it.
        ForgeWork::CommentPull { .. }
        | ForgeWork::EditComment { .. }
        | ForgeWork::React { .. }
        | ForgeWork::LookAtIssue { .. } => Ok(Change::default()),
    }
}

/// An answer to another question: the next look decides.
fn again(state: &State, id: ItemId, cx: &Context) -> Change {
    let Ok((_, pull)) = followed(state, id) else { return Change::default() };
    let mut row = pull.clone();
    (row.looks.due, row.looks.fallback) = (Some(next_look(state, pull, cx.now)), false);
    Change { pulls: vec![row], ..Change::default() }
}

fn next_look(state: &State, pull: &Pull, now: Timestamp) -> Timestamp {
    if pull.looks.hinted { now } else { now.after(watch::interval(state, pull.mission)) }
}

/// When it is looked at again after a look, and whether that is only for what webhooks may have lost. Of some things no
/// webhook tells: that the forge has found out whether there is a conflict, and that a watch has rested.
fn after_look(
    state: &State,
    row: &Pull,
    before: &Pull,
    seen: &PullSeen,
    change: &Change,
    now: Timestamp,
) -> (Option<Timestamp>, bool) {
    let (between, comes) = watch::interval_between_webhooks(state, row.mission, now);
    if before.looks.hinted || !comes || row.untold || seen.mergeable.is_none() {
        return (Some(next_look(state, before, now)), false);
    }
    let rests_until = state.watches_of(row.item).filter_map(|old| {
        let latest = change.watches.iter().rev().find(|new| new.id == old.id).unwrap_or(old);
        match (&latest.status, &old.status) {
            // It was still at rest when it triggered: nothing was done about that yet.
            (WatchStatus::Snoozed(until), WatchStatus::Snoozed(before)) if until == before => {
                (latest.seen == Seen::Triggered && *until > now).then_some(*until)
            }
            _ => None,
        }
    });
    match rests_until.min() {
        Some(until) => (Some(until), false),
        None => (Some(now.after(between)), true),
    }
}

/// The failed checks run again, or cannot.
fn rerun(
    state: &State,
    id: ItemId,
    head: &str,
    checks: &[Check],
    started: bool,
    cx: &mut Context,
) -> Result<Change, Refused> {
    let (item, pull) = followed(state, id)?;
    let mut row = pull.clone();
    row.ci.begin(head);
    row.ci.rerun = true;
    let names = checks.iter().map(|check| check.name.clone()).collect();
    let event = cx.about(item, Happened::ChecksRerun { head: head.into(), checks: names, started });
    let mut change = if started {
        row.looks.due = Some(next_look(state, pull, cx.now));
        Change { pulls: vec![row], ..Change::default() }
    } else {
        mend::red(state, item, row, checks, cx)?
    };
    change.events.insert(0, event);
    Ok(change)
}

/// The forge was asked to merge.
fn merged(state: &State, id: ItemId, merge: &PullMerge, cx: &mut Context) -> Result<Change, Refused> {
    let (item, pull) = followed(state, id)?;
    let mut row = pull.clone();
    row.updated_at = cx.now;
    row.looks.due = Some(next_look(state, pull, cx.now));
    let mut change = Change::default();
    match merge {
        PullMerge::Merged { commit } => return Ok(landed(state, item, row, commit, cx)),
        PullMerge::Queued => {
            row.queued = true;
            change.events.push(cx.about(item, Happened::PullQueued { number: row.number.unwrap_or_default() }));
        }
        PullMerge::HeadMoved => row.looks.due = Some(cx.now),
        PullMerge::Refused { why } => return Ok(denied(item, row, why, cx)),
    }
    change.pulls.push(row);
    Ok(change)
}

/// The forge has refused to merge. What musher can give, it gives; a person is told of anything else, once, and the same is
/// not asked again before something changes.
fn denied(item: &Item, mut row: Pull, why: &str, cx: &mut Context) -> Change {
    let why = refusal::line(why);
    let lack = Lack::of(&why);
    if lack == Lack::Moment {
        return Change { pulls: vec![row], ..Change::default() };
    }
    let mut told = false;
    if let Some(asked) = &mut row.asked {
        told = asked.before.as_ref() == Some(&why);
        (asked.at, asked.refused) = (cx.now, Some(why.clone()));
    }
    if lack == Lack::Base && !told {
        return work(item, row, EffectKind::Rebase, cx);
    }
    row.wishes = vec![Wish::Refused(why)];
    let text = wish::in_words(&row.wishes).into();
    let event = cx.about(item, Happened::PullWaits { number: row.number.unwrap_or_default(), text });
    let events = if told { Vec::new() } else { vec![event] };
    Change { pulls: vec![row], events, ..Change::default() }
}

/// It is in the base: the item is done.
fn landed(state: &State, item: &Item, mut pull: Pull, commit: &str, cx: &mut Context) -> Change {
    let mut row = item.clone();
    let mut change = Change::default();
    pull.state = PullState::Merged { commit: commit.into() };
    pull.looks = Looks { looked_at: Some(cx.now), ..Looks::default() };
    pull.wishes.clear();
    pull.updated_at = cx.now;
    row.merged = Some(commit.into());
    row.merge_failures = 0;
    row.last_error = None;
    row.fix = None;
    if item::go(&mut row, ItemEvent::Accept, ItemState::Done, cx).is_err() {
        return change;
    }
    change.extend(item::worktree_leftover(state, &mut row, None, cx));
    let number = pull.number.unwrap_or_default();
    change.events.push(cx.about(&row, Happened::PullMerged { number, commit: commit.into() }));
    change.events.push(cx.about(&row, Happened::ItemDone { commit: row.merged.clone() }));
    change.pulls.push(pull);
    change.items.push(row);
    change
}

/// A look has come back.
fn looked(state: &State, id: ItemId, number: u64, seen: &PullSeen, cx: &mut Context) -> Result<Change, Refused> {
    let (item, pull) = followed(state, id)?;
    if pull.number != Some(number) || seen.number != number {
        return Ok(again(state, id, cx));
    }
    match &seen.state {
        PullState::Merged { commit } => return Ok(landed(state, item, pull.clone(), commit, cx)),
        PullState::Closed => return closed(item, pull, cx),
        PullState::Open => {}
    }
    if pull.pushed.as_deref() != Some(&*seen.head) {
        // What was read for another head says nothing of ours: the forge has not seen the push yet, or somebody else has
        // pushed. It is as good as no answer.
        let ours = pull.pushed.as_deref().unwrap_or_default();
        let why = format!("{} is at {}, and musher has pushed {ours}", pull.name(), seen.head);
        return failed(state, id, &ForgeFailure::Strange(why.into()), cx);
    }
    let mut row = pull.clone();
    row.draft = seen.draft;
    row.queued = seen.queued;
    if !seen.url.is_empty() {
        row.url = seen.url.clone();
    }
    let mut change = Change::default();
    comment::read(item, &mut row, seen, &mut change, cx);
    let found = watched(state, item, seen, &mut change, cx);
    row.wishes = wish::after(state, item, pull, seen, cx.now);
    row.untold |= pull.looks.fallback && !pull.looks.hinted && change.watches.iter().any(|w| w.changed_at == cx.now);
    row.looks = Looks { looked_at: Some(cx.now), ..Looks::default() };
    (row.looks.due, row.looks.fallback) = after_look(state, &row, pull, seen, &change, cx.now);
    change.extend(follow(state, item, row, seen, &found, cx)?);
    let wishes = change.pulls.last().map(|after| &*after.wishes).unwrap_or_default();
    if !wishes.is_empty() && wishes != pull.wishes {
        let text = wish::in_words(wishes).into();
        change.events.push(cx.about(item, Happened::PullWaits { number, text }));
    }
    Ok(change)
}

fn closed(item: &Item, pull: &Pull, cx: &mut Context) -> Result<Change, Refused> {
    let mut row = pull.clone();
    row.state = PullState::Closed;
    row.looks = Looks { looked_at: Some(cx.now), ..Looks::default() };
    row.wishes.clear();
    row.updated_at = cx.now;
    let what = format!("{} was closed without a merge", pull.name());
    let event = cx.about(item, Happened::PullClosed { number: pull.number.unwrap_or_default() });
    let change = Change { pulls: vec![row], events: vec![event], ..Change::default() };
    retry::block(item.clone(), BlockedReason::Pull(what.into()), change, cx)
}

/// What a look has found for the watches of a pull request.
#[derive(Default)]
struct Found {
    /// Those that have triggered and do not rest.
    triggered: Vec<WatchKind>,
    /// Those that are open.
    open: Vec<WatchKind>,
}

/// Gives every watch of the pull request that is open, or that has to be open again, what was seen.
fn watched(state: &State, item: &Item, seen: &PullSeen, change: &mut Change, cx: &Context) -> Found {
    let mut all = Found::default();
    let rest = cx.now.after(watch::interval(state, item.mission));
    for watch in state.watches_of(item.id).filter(|watch| watch.kind.is_of_pull()) {
        let (now_seen, text) = watch::seen_of(&watch.kind, seen, state.settings().require_checks);
        let found = watch::found_of(&watch.kind, seen);
        if !watch.status.is_open() && !watch::opens_again(watch, now_seen, &found, seen) {
            continue;
        }
        let mut row = watch.clone();
        row.found = found;
        let changed = row.seen != now_seen || row.head.as_deref() != Some(&*seen.head);
        if changed {
            row.changed_at = cx.now;
        }
        row.seen = now_seen;
        row.text = Some(text.clone().into());
        row.head = Some(seen.head.clone());
        let rests = matches!(watch.status, WatchStatus::Snoozed(until) if until > cx.now);
        // To be mergeable is what it looks for, and completes it too.
        let triggers = now_seen == Seen::Triggered || (now_seen == Seen::Done && row.kind == WatchKind::Mergeability);
        if triggers && changed {
            change.events.push(cx.about(
                item,
                Happened::WatchTriggered {
                    watch: row.kind.name().into(),
                    on_trigger: row.kind.on_trigger().name().into(),
                    head: row.head.clone(),
                    text: text.clone().into(),
                },
            ));
        }
        match now_seen {
            Seen::Done => {
                row.status = WatchStatus::Done;
                change
                    .events
                    .push(cx.about(item, Happened::WatchDone { watch: row.kind.name().into(), text: text.into() }));
            }
            Seen::Triggered if !rests => {
                row.status = WatchStatus::Snoozed(rest);
                all.triggered.push(row.kind.clone());
            }
            Seen::Triggered => {}
            Seen::Pending | Seen::Nothing if !rests => row.status = WatchStatus::Active,
            Seen::Pending | Seen::Nothing => {}
        }
        if row.status.is_open() {
            all.open.push(row.kind.clone());
        }
        if row != *watch {
            change.watches.push(row);
        }
    }
    all
}

/// What is done after a look, the first that applies: a conflict is mended before anything else, for the checks of a
/// head that conflicts say little; then what people and bots want, then red checks; then it goes on.
fn follow(
    state: &State,
    item: &Item,
    mut row: Pull,
    seen: &PullSeen,
    found: &Found,
    cx: &mut Context,
) -> Result<Change, Refused> {
    // What is frozen is looked at to the end, and nothing follows.
    if item.frozen.is_some() {
        return Ok(Change { pulls: vec![row], ..Change::default() });
    }
    if is_under_way(state, item.id) && !state.effects_of(item.id).any(|e| is_look(&e.kind)) {
        return Ok(Change { pulls: vec![row], ..Change::default() });
    }
    if seen.mergeable == Some(false) {
        return Ok(work(item, row, EffectKind::Rebase, cx));
    }
    if let Some(change) = mend::words(item, &row, seen, &found.open, cx)? {
        return Ok(change);
    }
    if found.triggered.contains(&WatchKind::PrChecks) {
        let red: Vec<Check> = watch::failed_checks(seen).cloned().collect();
        return mend::red(state, item, row, &red, cx);
    }
    let green = watch::checks_of(seen, state.settings().require_checks) == crate::forge::Checks::Success;
    let number = seen.number;
    if green && seen.draft {
        return Ok(work(item, row, EffectKind::Forge(ForgeWork::MarkReady { number }), cx));
    }
    // What nobody else has to give anything to, musher asks the forge to merge.
    if green && seen.mergeable == Some(true) && !seen.queued && row.wishes.is_empty() {
        let (head, style) = (seen.head.clone(), state.settings().merge_style);
        row.asked = Some(Asked::now(seen, row.asked.take(), cx.now));
        return Ok(work(item, row, EffectKind::Forge(ForgeWork::MergePull { number, head, style }), cx));
    }
    Ok(Change { pulls: vec![row], ..Change::default() })
}

fn is_look(kind: &EffectKind) -> bool {
    matches!(kind, EffectKind::Forge(ForgeWork::LookAtPull { .. }))
}

/// One more thing is done to the pull request; the next look is after it.
pub(super) fn work(item: &Item, mut row: Pull, kind: EffectKind, cx: &mut Context) -> Change {
    (row.looks.due, row.looks.fallback) = (None, false);
    let effect = cx.effect(item.id, kind);
    Change { pulls: vec![row], effects: vec![effect], ..Change::default() }
}
