//! What notes do to the watches of a mission: override them, or have all of them looked at now.

use super::{Holds, Looks, Watch, hurried, overridden};
use crate::change::Change;
use crate::command::Refused;
use crate::event::Happened;
use crate::item::{self, Item, ItemEvent, ItemState};
use crate::pull::Pull;
use crate::state::{MissionEntry, State, follows_pull};
use crate::step::Context;

/// Completes every open watch that holds the mission up, and says how many those are and by whom. An item that waits for
/// its pull request is accepted as it is: an operator has said that nothing of it has to be waited for.
pub(crate) fn override_all(
    state: &State,
    entry: &MissionEntry,
    change: &mut Change,
    cx: &mut Context,
) -> Result<u32, Refused> {
    let mut which = Vec::new();
    for watch in state.open_watches(entry.row.id) {
        close(state, watch, change, cx);
        which.extend(state.item(watch.item).map(|item| in_words(watch, item)));
    }
    for item in entry.items.iter().filter_map(|id| state.item(*id)).filter(|item| follows_pull(item)) {
        if state.open_watches(entry.row.id).any(|watch| watch.item == item.id) {
            change.extend(accepted(state, item, cx)?);
        }
    }
    let count = u32::try_from(which.len()).unwrap_or(u32::MAX);
    if count > 0 {
        let (by, which) = (cx.actor.text().into(), which.into());
        change.events.push(cx.about_mission(entry.row.id, Happened::WatchesOverridden { count, by, which }));
    }
    Ok(count)
}

/// Completes a watch as overridden.
pub(super) fn close(state: &State, watch: &Watch, change: &mut Change, cx: &Context) {
    let looks = Looks { looked_at: watch.looks.looked_at, ..Looks::default() };
    change.watches.push(Watch { status: overridden(cx), looks, changed_at: cx.now, ..watch.clone() });
    if watch.holds != Holds::Pull {
        // The answer of a look under way has nobody to wait for it any more.
        let of = state.effects_of(watch.item).filter(|effect| super::is_look_of(&effect.kind, watch.id));
        change.closed.extend(of.map(|effect| effect.id));
    }
}

/// A watch as the log names it: its kind, where it looks, and for which item.
pub(super) fn in_words(watch: &Watch, item: &Item) -> Box<str> {
    let target = watch.kind.target().map(|target| format!(" {target}")).unwrap_or_default();
    format!("{}{target} of {}", watch.kind.name(), item.key).into()
}

fn accepted(state: &State, item: &Item, cx: &mut Context) -> Result<Change, Refused> {
    let mut row = item.clone();
    row.no_merge = true;
    item::go(&mut row, ItemEvent::Accept, ItemState::Done, cx)?;
    let under_way = state.effects_of(item.id).filter(|effect| crate::pull::is_its_work(&effect.kind));
    let mut change = Change { closed: under_way.map(|effect| effect.id).collect(), ..Change::default() };
    change.extend(item::worktree_leftover(state, &mut row, None, cx));
    change.events.push(cx.about(&row, Happened::ItemDone { commit: None }));
    change.items.push(row);
    Ok(change)
}

/// Everything that the mission waits for outside is looked at now; how many watches that are.
pub(crate) fn hurry_all(state: &State, entry: &MissionEntry, change: &mut Change, cx: &Context) -> usize {
    let id = entry.row.id;
    for pull in entry.items.iter().filter_map(|item| state.pull(*item)) {
        let followed = state.item(pull.item).is_some_and(follows_pull);
        let looks = hurried(&pull.looks, cx.now);
        if followed && looks != pull.looks {
            change.pulls.push(Pull { looks, ..pull.clone() });
        }
    }
    for watch in state.open_watches(id).filter(|watch| watch.holds != Holds::Pull) {
        let looks = hurried(&watch.looks, cx.now);
        if looks != watch.looks {
            change.watches.push(Watch { looks, ..watch.clone() });
        }
    }
    state.open_watches(id).count()
}
