//! The hub: what many projects tell of themselves, in one place.
//!
//! A project is known by its id, not by its name, so that two of one name are two. It tells its events in the order of its
//! log, each once: every telling says which event was the last one before it, and is taken only if that is the last one
//! that the hub has. What is taken is on disk in the same transaction as the place up to which it was taken, so that an
//! answer which is lost, a hub that is killed and a connection that breaks off leave no gap and no double. What a project
//! tells is judged by nobody: it is parsed, bounded, and shown.

use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::command::{Answer, Refused};
use crate::event::Happened;
use crate::id::{ItemId, MissionId, ProjectId, Seq};
use crate::state::State;
use crate::step::Context;
use crate::time::Timestamp;

mod card;
mod post;

pub use card::{ItemCard, MissionCard};
pub use post::{LONGEST_BODY, LONGEST_NAME, MOST_CARDS, MOST_EVENTS, Post, Told, fitting};

/// The most projects of a hub.
pub const MOST_PROJECTS: usize = 1_000;

/// The name of the cursor that counts the events of all projects in the order in which they came; no number is used twice,
/// also when a project is forgotten.
pub const COUNTER: &str = "hub";

/// The place of an event in a project's log, and its moment: a log that was put back to an earlier state gives the same
/// numbers again, but to events of other moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Its number.
    pub seq: Seq,
    /// When it happened.
    pub at: Timestamp,
}

/// How far a hub has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Which telling of the log this is; it begins with 1, and a later one is told from the beginning.
    pub history: u32,
    /// The last event that was told; none before the first.
    pub last: Option<Place>,
}

impl Mark {
    /// The place of the last event that was told; 0 before the first.
    pub fn seq(self) -> Seq {
        self.last.map_or(Seq(0), |last| last.seq)
    }
}

/// A project that a hub knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its name, which others may have as well.
    pub name: Box<str>,
    /// How far it has told.
    pub mark: Mark,
    /// How many events it has told.
    pub events: u64,
    /// When it told something for the first time.
    pub since: Timestamp,
    /// When it told something last.
    pub heard_at: Timestamp,
}

/// An event of a project, with its place among those of all projects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubEvent {
    /// Its place in this hub.
    pub place: u64,
    /// The project.
    pub project: ProjectId,
    /// What was told.
    pub told: Told,
}

/// What a hub keeps. Rows are applied one after the other: what follows [`Row::Emptied`] stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A project, new or changed.
    Project(Project),
    /// All missions, items and events of a project go: it tells its log anew.
    Emptied(ProjectId),
    /// A project goes, with everything that it told.
    Gone(ProjectId),
    /// A mission of a project, new or changed.
    Mission(ProjectId, MissionCard),
    /// An item of a project, new or changed.
    Item(ProjectId, ItemCard),
    /// An event of a project.
    Event(HubEvent),
}

/// What became of what a project told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is on disk, all of it; this is how far the hub has been told now.
    Taken(Mark),
    /// Nothing was taken, for it does not follow what the hub has: this is how far it has been told, if it knows the project.
    Moved(Option<Mark>),
}

/// Takes what a project tells, if it follows what it has told before.
pub fn take(state: &State, post: &Post, cx: &Context) -> Result<Change, Refused> {
    let known = state.project(post.project);
    if known.is_none() && state.projects().len() >= MOST_PROJECTS {
        return Err(Refused::Conflict {
            what: format!("this hub knows {MOST_PROJECTS} projects already"),
            fix: "`musher hub forget` makes room",
        });
    }
    let begins = post.after == Seq(0);
    let (follows, anew) = match known.map(|project| project.mark) {
        None => (begins, false),
        Some(mark) if post.history == mark.history => (post.after == mark.seq(), false),
        Some(mark) => (post.history > mark.history && begins, true),
    };
    if !follows {
        let verdict = Verdict::Moved(known.map(|project| project.mark));
        return Ok(Change { answer: Answer::Relayed(verdict), ..Change::default() });
    }
    Ok(taken(state, post, known.filter(|_| !anew), anew, cx))
}

fn taken(state: &State, post: &Post, before: Option<&Project>, anew: bool, cx: &Context) -> Change {
    let mut change = Change::default();
    change.hub.extend(anew.then_some(Row::Emptied(post.project)));
    let count = post.events.len();
    let last = post.events.last().map(|told| Place { seq: told.seq, at: told.at });
    let mark = Mark { history: post.history, last: last.or(before.and_then(|before| before.mark.last)) };
    change.hub.push(Row::Project(Project {
        id: post.project,
        name: post.name.clone(),
        mark,
        events: before.map_or(0, |before| before.events) + count as u64,
        since: state.project(post.project).map_or(cx.now, |known| known.since),
        heard_at: cx.now,
    }));
    change.hub.extend(post.missions.iter().map(|card| Row::Mission(post.project, card.clone())));
    change.hub.extend(post.items.iter().map(|card| Row::Item(post.project, card.clone())));
    let counted = state.cursor(COUNTER).0;
    for (place, told) in (counted + 1..).zip(&post.events) {
        change.hub.push(Row::Event(HubEvent { place, project: post.project, told: told.clone() }));
    }
    if let Some(last) = last {
        change.cursors.push((COUNTER.into(), Seq(counted + count as u64)));
        let events = u32::try_from(count).unwrap_or(u32::MAX);
        let happened =
            Happened::RelayReceived { project: post.project, name: post.name.clone(), events, last: last.seq };
        change.events.push(cx.event(happened));
    }
    change.answer = Answer::Relayed(Verdict::Taken(mark));
    change
}

/// Forgets a project and everything that it told. If it tells again, it does so from the beginning of its log.
pub fn forget(state: &State, id: ProjectId, cx: &Context) -> Result<Change, Refused> {
    let unknown = || Refused::Conflict {
        what: format!("this hub does not know the project `{}`", id.short()),
        fix: "`musher hub projects` shows those that it knows",
    };
    let project = state.project(id).ok_or_else(unknown)?;
    let (name, events) = (project.name.clone(), project.events);
    let forgotten = cx.event(Happened::ProjectForgotten { project: id, name, events });
    Ok(Change { hub: vec![Row::Gone(id)], events: vec![forgotten], ..Change::default() })
}

/// What a hub says of a project as a whole, made of what it was told.
///
/// The fold that a hub's rows are of: it is what the store does with [`Row`]s, and what tests compare it with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The missions, by their ids.
    pub missions: std::collections::BTreeMap<MissionId, MissionCard>,
    /// The items, by their missions and ids.
    pub items: std::collections::BTreeMap<(MissionId, ItemId), ItemCard>,
    /// The events, in order.
    pub events: Vec<HubEvent>,
}

impl View {
    /// Applies one row of this project.
    pub fn apply(&mut self, row: Row) {
        match row {
            Row::Project(_) => {}
            Row::Emptied(_) | Row::Gone(_) => *self = Self::default(),
            Row::Mission(_, card) => drop(self.missions.insert(card.id, card)),
            Row::Item(_, card) => drop(self.items.insert((card.mission, card.id), card)),
            Row::Event(event) => self.events.push(event),
        }
    }
}

/// The names of projects as people are shown them: one that others have as well is followed by the end of the id.
pub fn shown_names<'p>(projects: impl Iterator<Item = &'p Project> + Clone) -> Vec<String> {
    let mut counts = std::collections::BTreeMap::<&str, u32>::new();
    projects.clone().for_each(|project| *counts.entry(&project.name).or_default() += 1);
    let shown = |project: &Project| match counts.get(&*project.name) {
        Some(2..) => format!("{} ({})", project.name, project.id.short()),
        _ => project.name.to_string(),
    };
    projects.map(shown).collect()
}
