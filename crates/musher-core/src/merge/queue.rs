//! What is durable of the merge queue beyond the items' own rows: the batch under way, and what is counted.

use serde::{Deserialize, Serialize};

use super::batch::Batch;
use super::overlap::Overlap;
use crate::change::Change;
use crate::command::Refused;
use crate::event::Happened;
use crate::id::ItemId;
use crate::item::{self, BlockedReason, Item, ItemState, MergeStage, Phase};
use crate::state::State;
use crate::step::Context;
use crate::time::Timestamp;

/// The row of the merge queue: a repository has one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeQueue {
    /// Why no batch begins, while an operator has paused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<Box<str>>,
    /// The batch under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<Batch>,
    /// How many batches were ever begun.
    #[serde(default)]
    pub batches: u64,
    /// How many trees of batches were red in one run of the gate and green in the next.
    #[serde(default)]
    pub flaky: u64,
    /// Overlaps that merges have shown, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overlaps: Vec<Overlap>,
    /// The members that were ejected last because of the gate, oldest first; never more than 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ejected: Vec<Ejected>,
}

/// How many ejected members are remembered.
const EJECTED_KEPT: usize = 8;

/// A member that a batch was rid of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ejected {
    /// The item.
    pub item: ItemId,
    /// The number of the batch.
    pub batch: u64,
    /// What the gate said of it, in a line.
    pub words: Box<str>,
    /// When.
    pub at: Timestamp,
}

impl MergeQueue {
    /// Remembers one more ejected member, and forgets the oldest when they are too many.
    pub(super) fn with_ejected(mut self, ejected: Ejected) -> Self {
        self.ejected.push(ejected);
        let many = self.ejected.len().saturating_sub(EJECTED_KEPT);
        self.ejected.drain(..many);
        self
    }
}

fn refuse(verb: &'static str, state: &'static str, fix: &'static str) -> Refused {
    Refused::State { verb, noun: "queue", name: "merge".to_owned(), state, fix }
}

/// No batch begins until it is resumed; the one under way goes on.
pub fn pause(state: &State, why: &str, cx: &Context) -> Result<Change, Refused> {
    if state.merge_queue().paused.is_some() {
        return Err(refuse("pause", "paused", "`musher queue resume` lets merges begin again"));
    }
    let row = MergeQueue { paused: Some(why.into()), ..state.merge_queue().clone() };
    Ok(changed(row, Happened::QueuePaused { why: why.into() }, cx))
}

/// Batches begin again.
pub fn resume(state: &State, cx: &Context) -> Result<Change, Refused> {
    if state.merge_queue().paused.is_none() {
        return Err(refuse("resume", "running", ""));
    }
    let row = MergeQueue { paused: None, ..state.merge_queue().clone() };
    Ok(changed(row, Happened::QueueResumed {}, cx))
}

fn find(state: &State, id: ItemId) -> Result<&Item, Refused> {
    state.item(id).ok_or_else(|| Refused::NotFound { noun: "item", name: id.short() })
}

fn refuse_item(verb: &'static str, item: &Item, fix: &'static str) -> Refused {
    Refused::State { verb, noun: "item", name: item.key.to_string(), state: item.phase().name(), fix }
}

/// Takes an item out of the queue; [`retry`] puts it back.
pub fn eject(state: &State, id: ItemId, why: &str, cx: &mut Context) -> Result<Change, Refused> {
    let item = find(state, id)?;
    if item.phase() != Phase::Merging {
        return Err(refuse_item("eject", item, "`musher queue list` shows what is in the merge queue"));
    }
    item::hold(state, id, why, cx)
}

/// Tries a merge again now: one that waits, one that was ejected, or one that musher has stopped trying.
pub fn retry(state: &State, id: ItemId, cx: &mut Context) -> Result<Change, Refused> {
    let item = find(state, id)?;
    match &item.state {
        ItemState::Held { resume_to: Phase::Merging, .. } => item::release(state, id, cx),
        ItemState::Blocked(BlockedReason::MergeFailures(_) | BlockedReason::ConflictsUnresolved) => {
            item::retry(state, id, cx)
        }
        ItemState::Merging(MergeStage::Held { .. }) => {
            let state = ItemState::Merging(MergeStage::Queued);
            let row = Item { state, merge_tries: 0, regate: true, updated_at: cx.now, ..item.clone() };
            let event = cx.about(&row, Happened::MergeRestarted { why: "an operator asked for it".into() });
            Ok(Change { items: vec![row], events: vec![event], ..Change::default() })
        }
        _ => {
            Err(refuse_item("retry the merge of", item, "only merges that wait, were ejected or failed can be retried"))
        }
    }
}

fn changed(row: MergeQueue, happened: Happened, cx: &Context) -> Change {
    Change { queue: Some(Box::new(row)), events: vec![cx.event(happened)], ..Change::default() }
}
