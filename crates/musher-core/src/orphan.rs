//! What nobody owns, and what became of it: the log says so, and no row changes.

use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::event::{Event, Happened};
use crate::step::Context;

/// What sort of thing nobody owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// Processes in the folder of a run, or of a script, that is not under way.
    Process,
    /// A worktree of no item.
    Worktree,
    /// A branch of no item.
    Branch,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Settled {
    /// The processes were ended.
    Ended,
    /// It is gone: nothing in it was unique.
    Removed,
    /// It stays, for it holds something that is nowhere else; `musher gc` lists it.
    Kept,
}

/// Something that nobody owned, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphan {
    /// What it was.
    pub sort: Sort,
    /// Its folder below `.musher/runs` or `.musher/worktrees`, or its branch.
    pub name: Box<str>,
    /// What became of it.
    pub outcome: Settled,
    /// Why it was nobody's, or why it stays.
    pub why: Box<str>,
}

/// Says what became of it.
pub fn note(orphan: &Orphan, cx: &Context) -> Change {
    let Orphan { sort, name, outcome, why } = orphan.clone();
    let event = Event {
        at: cx.now,
        actor: cx.actor.text().into(),
        mission: None,
        item: None,
        agent: None,
        run: None,
        moved: None,
        chain: Box::default(),
        happened: Happened::OrphanSettled { sort, name, outcome, why },
    };
    Change { events: vec![event], ..Change::default() }
}
