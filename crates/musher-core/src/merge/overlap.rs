//! Overlaps that a plan did not tell of and a merge has shown: remembered, so that they do not meet again.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::course::with;
use crate::change::Change;
use crate::id::MissionId;
use crate::item::{Item, Phase};
use crate::state::State;
use crate::time::Timestamp;

/// The most overlaps that are remembered; the oldest are forgotten.
pub const REMEMBERED: usize = 100;
/// The most files of one that are remembered.
const FILES: usize = 32;
/// The most items that are named beside the one whose merge conflicted.
const OTHERS: usize = 5;

/// Items that changed the same files at the same time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlap {
    /// The files, as git names them.
    pub files: Box<[Box<str>]>,
    /// The mission of the items.
    pub mission: MissionId,
    /// The keys of the items: first the one whose merge conflicted, then those whose work had landed meanwhile.
    pub items: Box<[Box<str>]>,
    /// When the merge conflicted.
    pub at: Timestamp,
}

/// Remembers that a merge conflicted: with the items, so that they and what follows them do not run beside others that
/// change these files, and with the queue, for the next plan.
pub(crate) fn remember(state: &State, item: &Item, files: &[Box<str>], change: &mut Change, now: Timestamp) {
    let files: Box<[Box<str>]> = files.iter().take(FILES).cloned().collect();
    let others = landed_meanwhile(state, item);
    let mut items = vec![item.key.clone()];
    items.extend(others.iter().take(OTHERS).map(|other| other.key.clone()));
    for row in change.items.iter_mut().filter(|row| row.id == item.id) {
        row.clashes = joined(&row.clashes, &files);
        // Whoever resolves it begins with what has landed by now.
        row.base_at = Some(now);
    }
    // Of several nobody knows which one it was.
    if let [other] = others[..] {
        change.items.push(Item { clashes: joined(&other.clashes, &files), ..other.clone() });
    }
    let mut queue = change.queue.take().map_or_else(|| with(state, state.batch().cloned()), |queue| *queue);
    let new = Overlap { files, mission: item.mission, items: items.into(), at: now };
    queue.overlaps.retain(|old| (&old.files, old.mission, &old.items) != (&new.files, new.mission, &new.items));
    queue.overlaps.push(new);
    let over = queue.overlaps.len().saturating_sub(REMEMBERED);
    queue.overlaps.drain(..over);
    change.queue = Some(Box::new(queue));
}

/// The items of the same mission whose work has landed since this one was given to its agent: what it conflicts with is
/// theirs, or came from outside.
fn landed_meanwhile<'a>(state: &'a State, item: &Item) -> Vec<&'a Item> {
    let Some(entry) = state.mission(item.mission) else { return Vec::new() };
    let since = item.base_at.unwrap_or(item.created_at);
    let done = entry.items.iter().filter_map(|id| state.item(*id)).filter(|other| other.phase() == Phase::Done);
    done.filter(|other| other.merged.is_some() && other.updated_at >= since).collect()
}

fn joined(known: &[Box<str>], new: &[Box<str>]) -> Box<[Box<str>]> {
    let all: BTreeSet<&Box<str>> = known.iter().chain(new).collect();
    all.into_iter().take(FILES).cloned().collect()
}
