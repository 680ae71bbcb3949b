//! The pull requests of a day: each is counted where its opening is decided, so that two items never take the same last one.

use super::books::limit;
use super::charge::Desk;
use super::{Cap, Denied, Scope};
use crate::change::Change;
use crate::event::Happened;
use crate::item::Item;
use crate::pull::Pull;
use crate::state::State;
use crate::step::Context;
use crate::time::Timestamp;

/// Whether a pull request may be opened at this moment. One that was counted on this day is not counted again: an opening that
/// failed is tried once more with what it has taken.
pub(crate) fn may_open(state: &State, pull: &Pull, now: Timestamp) -> Result<(), Denied> {
    let Some(account) = state.books().repo() else { return Ok(()) };
    let is_counted = pull.counted_on == account.day && account.ends(Cap::DailyPrs).is_some_and(|end| now < end);
    match limit(state, &Scope::Repo, Cap::DailyPrs) {
        Some(limit) if !is_counted && account.used(Cap::DailyPrs, now) >= limit => Err(Denied::RepoPrs),
        Some(_) | None => Ok(()),
    }
}

/// Counts the opening of a pull request that is decided now, if there is one left.
pub(crate) fn open(state: &State, pull: &mut Pull, change: &mut Change, cx: &Context) -> Result<(), Denied> {
    let mut desk = Desk::new(state, cx);
    may_open(state, pull, desk.now)?;
    let account = desk.account(Scope::Repo);
    if pull.counted_on != account.day {
        pull.counted_on = account.day;
        account.pulls = account.pulls.saturating_add(1);
        desk.look(Scope::Repo, Cap::DailyPrs);
    }
    desk.into_change(change);
    Ok(())
}

/// Musher has not opened it: it is not counted, if its day is not over.
pub(crate) fn unopen(state: &State, item: &Item, pull: &mut Pull, change: &mut Change, cx: &Context) {
    let mut desk = Desk::new(state, cx);
    let account = desk.account(Scope::Repo);
    let counted_on = std::mem::take(&mut pull.counted_on);
    if counted_on == account.day && account.pulls > 0 {
        account.pulls -= 1;
        desk.look(Scope::Repo, Cap::DailyPrs);
        let scope = Scope::Repo.to_string().into();
        change.events.push(cx.about(item, Happened::QuotaReturned { scope, tokens: 0, jobs: 0, pulls: 1 }));
    }
    desk.into_change(change);
}
