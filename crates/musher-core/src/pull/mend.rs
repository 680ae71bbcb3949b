//! How a pull request is mended: red checks, words of reviewers and bots, conflicts. Always by the item's own next run.

use super::tend::followed;
use super::{CiFixes, Pull, look};
use crate::change::{Change, TextKey};
use crate::command::{Rebase, Refused};
use crate::effect::EffectKind;
use crate::event::Happened;
use crate::forge::{Check, ForgeWork, PullSeen};
use crate::id::RunId;
use crate::item::{self, BlockedReason, Fix, Item, ItemEvent, ItemState};
use crate::merge;
use crate::retry;
use crate::state::State;
use crate::step::Context;
use crate::watch::{self, Looks, WatchKind};

/// Fix runs that an item may have for red checks and for what bots find, whatever the head commit.
pub const CI_FIXES_OF_ITEM: u32 = 5;

impl CiFixes {
    /// What was tried counts for one head commit; the sum for the item stays.
    pub(super) fn begin(&mut self, head: &str) {
        if &*self.head != head {
            *self = Self { head: head.into(), rerun: false, here: 0, in_all: self.in_all };
        }
    }
}

/// Checks are red: they run again once, then a fix run is told the log, as long as its budgets last.
pub(super) fn red(
    state: &State,
    item: &Item,
    mut row: Pull,
    checks: &[Check],
    cx: &mut Context,
) -> Result<Change, Refused> {
    let head = row.pushed.clone().unwrap_or_default();
    row.ci.begin(&head);
    let again: Box<[Check]> = checks.iter().filter(|check| check.run.or(check.job).is_some()).cloned().collect();
    if !row.ci.rerun && !again.is_empty() {
        return Ok(look::work(item, row, EffectKind::Forge(ForgeWork::RerunChecks { head, checks: again }), cx));
    }
    if row.ci.here >= state.settings().ci_fix_attempts || row.ci.in_all >= CI_FIXES_OF_ITEM {
        let names: Vec<&str> = checks.iter().map(|check| &*check.name).collect();
        let what = format!(
            "{} for {}, {} in all; still red: {}",
            row.ci.here,
            crate::pull::short(&head),
            row.ci.in_all,
            names.join(", ")
        );
        row.looks.due = None;
        let mut blocked = item.clone();
        blocked.last_error = Some(what.as_str().into());
        return retry::block(
            blocked,
            BlockedReason::Checks(what.into()),
            Change { pulls: vec![row], ..Change::default() },
            cx,
        );
    }
    match checks.iter().find(|check| check.job.is_some()).or(checks.first()) {
        Some(check) if check.job.is_some() => {
            Ok(look::work(item, row, EffectKind::Forge(ForgeWork::FetchLog { check: check.clone() }), cx))
        }
        Some(check) => self::checks(item, &row, check, "", cx),
        None => Ok(Change { pulls: vec![row], ..Change::default() }),
    }
}

/// A fix run is made for a red check, with the end of its log.
pub(super) fn checks(item: &Item, pull: &Pull, check: &Check, tail: &str, cx: &mut Context) -> Result<Change, Refused> {
    let mut row = pull.clone();
    row.ci.begin(pull.pushed.as_deref().unwrap_or_default());
    row.ci.here += 1;
    row.ci.in_all += 1;
    let message = format!("the check {} is red: {}", check.name, check.conclusion.word());
    let page = if check.url.is_empty() { String::new() } else { format!("\n{}", check.url) };
    let tail = retry::tail(tail, retry::LESSON_BYTES);
    let lesson = format!("{message}{page}\n\n{tail}");
    run(item, row, Fix::Checks, &message, lesson.trim_end(), cx)
}

/// What trusted people and bots want of the present head, when a run was not told of it yet and the watch is `open`. What others say is named, and
/// reaches no prompt.
pub(super) fn words(
    item: &Item,
    pull: &Pull,
    seen: &PullSeen,
    open: &[WatchKind],
    cx: &mut Context,
) -> Result<Option<Change>, Refused> {
    let told = |id: &str| pull.told.iter().any(|known| &**known == id);
    let (mut parts, mut ids, mut bots) = (Vec::new(), Vec::new(), 0u32);
    if open.contains(&WatchKind::ReviewComments) {
        for review in watch::changes_requested(seen).filter(|review| review.commit == seen.head) {
            let id = format!("review:{}", review.id);
            if told(&id) {
                continue;
            }
            parts.push(format!("{} asks for changes:\n{}", review.author, review.text));
            ids.push(id.into());
        }
        // What they have found line by line goes with it.
        let asked = !ids.is_empty();
        for finding in seen.findings.iter().filter(|f| asked && !f.bot && !f.resolved && f.trusted && !told(&f.id)) {
            parts.push(format!("{}: {}", finding.author, finding.text));
            ids.push(finding.id.clone());
        }
    }
    if open.contains(&WatchKind::BotComments) && pull.ci.in_all < CI_FIXES_OF_ITEM {
        for finding in seen.findings.iter().filter(|f| f.bot && !f.resolved && f.trusted && !told(&f.id)) {
            parts.push(format!("{} has found:\n{}", finding.author, finding.text));
            ids.push(finding.id.clone());
            bots = 1;
        }
    }
    if ids.is_empty() {
        return Ok(None);
    }
    let mut left_out: Vec<&str> =
        seen.findings.iter().filter(|f| !f.resolved && !f.trusted).map(|f| &*f.author).collect();
    left_out.sort_unstable();
    left_out.dedup();
    if !left_out.is_empty() {
        parts.push(format!("(Left out, for they may not write to the repository: {}.)", left_out.join(", ")));
    }
    let mut row = pull.clone();
    row.ci.in_all += bots;
    row.told.extend(ids);
    let lesson = parts.join("\n\n");
    let message = format!("changes are wanted on {}", pull.name());
    run(item, row, Fix::Rejected, &message, retry::tail(&lesson, retry::LESSON_BYTES), cx).map(Some)
}

/// The item goes back to an agent, which is told what to mend. New commits clear its approval.
fn run(
    item: &Item,
    mut pull: Pull,
    fix: fn(RunId) -> Fix,
    message: &str,
    lesson: &str,
    cx: &mut Context,
) -> Result<Change, Refused> {
    let mut row = item.clone();
    let mut change = Change::default();
    item::go(&mut row, ItemEvent::Requeue, ItemState::Ready, cx)?;
    row.approval = None;
    row.last_error = Some(message.into());
    if let Some(run) = row.run {
        row.fix = Some(fix(run));
        change.texts.push((TextKey::Lesson(run), lesson.into()));
    }
    pull.looks = Looks { looked_at: pull.looks.looked_at, ..Looks::default() };
    pull.wishes.clear();
    pull.updated_at = cx.now;
    change
        .events
        .push(cx.about(&row, Happened::ItemRefused { class: crate::run::FailureClass::Gate, reason: message.into() }));
    change.events.push(cx.about(&row, Happened::ItemReady { not_before: None }));
    change.pulls.push(pull);
    change.items.push(row);
    Ok(change)
}

/// The branch of a pull request that conflicts was rebased, or a resolver has to do it: as in the merge queue.
pub fn rebased(state: &State, item: &Item, rebase: &Rebase, cx: &mut Context) -> Result<Change, Refused> {
    let (item, pull) = followed(state, item.id)?;
    let mut row = pull.clone();
    match rebase {
        Rebase::Done { head } if item.head.as_ref() != Some(head) => {
            let mut after = item.clone();
            after.head = Some(head.clone());
            row.empty_rebases = 0;
            let event = cx.about(&after, Happened::BranchRebased { head: head.clone() });
            let mut change = super::tend::deliver_as(state, Some(row), after, cx);
            change.events.insert(0, event);
            Ok(change)
        }
        Rebase::Done { .. } => {
            // The forge sees a conflict, and git none: its own base may be newer than ours.
            row.empty_rebases += 1;
            if row.empty_rebases >= merge::FAILURES_IN_A_ROW {
                let what = format!("the forge says that {} conflicts, and a rebase changes nothing", pull.name());
                row.empty_rebases = 0;
                let change = Change { pulls: vec![row], ..Change::default() };
                return retry::block(item.clone(), BlockedReason::Pull(what.into()), change, cx);
            }
            row.looks.due = Some(cx.now.after(watch::interval(state, item.mission)));
            Ok(Change { pulls: vec![row], ..Change::default() })
        }
        Rebase::Conflict { files, hunks } => {
            let names: Vec<&str> = files.iter().map(|file| &**file).collect();
            let message = format!("conflict in {}", names.join(", "));
            if item.resolver_runs >= merge::RESOLVER_RUNS {
                let mut blocked = item.clone();
                blocked.last_error = Some(message.into());
                let change = Change { pulls: vec![row], ..Change::default() };
                return retry::block(blocked, BlockedReason::ConflictsUnresolved, change, cx);
            }
            let mut resolving = item.clone();
            resolving.resolver_runs += 1;
            let lesson = format!("{message}\n\n{}", retry::tail(hunks, retry::LESSON_BYTES));
            let mut change = run(&resolving, row, Fix::Conflict, &message, lesson.trim_end(), cx)?;
            merge::remember(state, item, files, &mut change, cx.now);
            Ok(change)
        }
    }
}
