//! An item that an agent adds to the mission that it works in: what it found and should not do itself.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::start::made;
use super::{MissionItem, find};
use crate::agent::Agent;
use crate::change::{Change, TextKey};
use crate::command::{Answer, Refused};
use crate::event::Happened;
use crate::id::{CallId, ItemId, RunId};
use crate::item::{Added, Item, ItemState, Kind, Wants};
use crate::note;
use crate::plan::{BODY_LIMIT, ID_LIMIT, TITLE_LIMIT, slug, unusable_glob};
use crate::run::{Purpose, Run};
use crate::state::{MissionEntry, State};
use crate::step::Context;

/// An item as an agent asks for it. Its priority and its gate are those of the item that the agent works on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddItem {
    /// The use of the tool: a repeat of it adds nothing.
    pub call: CallId,
    /// One line.
    pub title: Box<str>,
    /// The prompt.
    pub body: Box<str>,
    /// What sort of work.
    pub kind: Kind,
    /// The role that an agent should have.
    pub role: Option<Box<str>>,
    /// Capabilities that an agent must have.
    pub labels: Box<[Box<str>]>,
    /// Globs of what it will change.
    pub touches: Box<[Box<str>]>,
    /// Keys of what must be done first; none = the item that the agent works on.
    pub depends_on: Option<Vec<Box<str>>>,
}

/// The most of a list in a wish.
const LISTED: usize = 64;
/// The longest entry of a list, in bytes.
const LONGEST_ENTRY: usize = 256;

/// The agent of a run adds an item, within the caps of its mission.
pub(crate) fn add_item(
    state: &State,
    by: &Item,
    run: &Run,
    wish: &AddItem,
    cx: &mut Context,
) -> Result<Change, Refused> {
    let entry = find(state, by.mission)?;
    let items = || entry.items.iter().filter_map(|id| state.item(*id));
    if let Some(known) = items().find(|item| item.added.as_ref().is_some_and(|added| added.call == wish.call)) {
        return Ok(Change { answer: Answer::Item(known.id), ..Change::default() });
    }
    check(wish)?;
    may_add(state, by, run, wish)?;
    let most = entry.row.policy.max_added_items;
    let added = items().filter(|item| item.added.is_some()).count();
    if u32::try_from(added).unwrap_or(u32::MAX) >= most {
        return Err(refuse(
            format!("agents have added {added} items to this mission, and its policy lets them add {most}"),
            "name what is left in your summary",
        ));
    }
    let mut needed: BTreeMap<&str, (ItemId, bool)> = BTreeMap::new();
    let own = [by.key.clone()];
    let wanted: BTreeSet<&Box<str>> = wish.depends_on.as_deref().unwrap_or(&own).iter().collect();
    for key in wanted {
        let item = state.in_its_place(note::named(state, entry, key)?);
        needed.insert(&item.key, (item.id, item.satisfies()));
    }
    let key = free_key(entry, state, &wish.title);
    let id = ItemId::new(cx.now, cx.entropy);
    let depends_on = needed.keys().map(|key| (*key).into()).collect();
    needed.insert(&key, (id, false));
    let asked = MissionItem {
        key: key.as_str().into(),
        title: wish.title.trim().into(),
        body: wish.body.clone(),
        kind: wish.kind,
        role: wish.role.clone(),
        priority: by.priority,
        labels: wish.labels.clone(),
        depends_on,
        touches: if wish.touches.is_empty() { by.touches.clone() } else { wish.touches.clone() },
        pin: None,
        gate: by.gate.clone(),
        qa: by.qa,
        max_retries: by.max_retries,
        wants: Wants::Change,
        skip: false,
        after: Vec::new(),
        then: Vec::new(),
        issue: None,
    };
    let number = items().map(|item| item.number).max().unwrap_or(0).saturating_add(1);
    let mut row = made(&asked, by.mission, number, &needed, cx.now)?;
    row.added = Some(Box::new(Added { run: run.id, call: wish.call }));
    let mut change = Change { answer: Answer::Item(id), ..Change::default() };
    if !wish.body.is_empty() {
        change.texts.push((TextKey::Body(id), wish.body.clone()));
    }
    let added = Happened::ItemAdded { key: row.key.clone(), title: row.title.clone(), by: by.key.clone() };
    change.events.push(about(&row, run.id, added, cx));
    if row.state == ItemState::Ready {
        change.events.push(cx.about(&row, Happened::ItemReady { not_before: None }));
    }
    change.items.push(row);
    Ok(change)
}

fn about(row: &Item, run: RunId, happened: Happened, cx: &Context) -> crate::event::Event {
    let mut event = cx.about(row, happened);
    event.run = Some(run);
    event
}

fn refuse(what: String, fix: &str) -> Refused {
    Refused::Invalid { what, fix: fix.to_owned() }
}

fn check(wish: &AddItem) -> Result<(), Refused> {
    let title = wish.title.trim();
    if title.is_empty() || title.contains('\n') || title.len() > TITLE_LIMIT {
        return Err(refuse(
            format!("the title is one line of 1 to {TITLE_LIMIT} bytes"),
            "say in a line what is to be done",
        ));
    }
    if wish.body.trim().is_empty() || wish.body.len() > BODY_LIMIT {
        let what = format!("the body has {} bytes; it has 1 to {BODY_LIMIT}", wish.body.len());
        return Err(refuse(what, "the body is the prompt of an agent that knows nothing of yours"));
    }
    let depends_on = wish.depends_on.as_deref().unwrap_or_default();
    for (name, list) in [("labels", &*wish.labels), ("touches", &*wish.touches), ("depends_on", depends_on)] {
        if list.len() > LISTED || list.iter().any(|entry| entry.is_empty() || entry.len() > LONGEST_ENTRY) {
            let what = format!("`{name}` has at most {LISTED} entries of 1 to {LONGEST_ENTRY} bytes");
            return Err(refuse(what, "shorten the list"));
        }
    }
    if let Some(why) = wish.touches.iter().find_map(|glob| unusable_glob(glob)) {
        return Err(refuse(why, "write paths from the repository's root, such as `src/**`"));
    }
    if wish.role.as_deref().is_some_and(|role| role.is_empty() || role.len() > LONGEST_ENTRY) {
        return Err(refuse("the role is a word".to_owned(), "leave it out where any agent will do"));
    }
    Ok(())
}

/// Whether this run may add this: nothing of a plan is done before a person says yes, a reviewer changes nothing, and an
/// author widens neither its own bounds nor asks for somebody who is not there.
fn may_add(state: &State, by: &Item, run: &Run, wish: &AddItem) -> Result<(), Refused> {
    match run.purpose {
        Purpose::Work | Purpose::Resolve => {}
        Purpose::Plan => return Err(refuse("a planner adds no items".to_owned(), "put it into your plan")),
        Purpose::Review => return Err(refuse("a reviewer adds no items".to_owned(), "name it in your verdict")),
    }
    let outside = |glob: &str| !by.touches.iter().any(|own| **own == *glob);
    if state.settings().enforce_touches
        && !by.touches.is_empty()
        && let Some(glob) = wish.touches.iter().find(|glob| outside(glob))
    {
        let what = format!("`{glob}` is none of what item `{}` may change: {}", by.key, by.touches.join(", "));
        return Err(refuse(what, "leave `touches` out; the new item then has the same bounds"));
    }
    let has_all = |agent: &&Agent| wish.labels.iter().all(|label| agent.spec.capabilities.contains(label));
    if !wish.labels.is_empty() && !state.agents().filter(|agent| !agent.removed).any(|agent| has_all(&agent)) {
        let what = format!("no agent has all of these labels: {}", wish.labels.join(", "));
        return Err(refuse(what, "leave `labels` out where any agent will do"));
    }
    Ok(())
}

/// A key that the mission has not given yet.
pub(crate) fn free_key(entry: &MissionEntry, state: &State, title: &str) -> String {
    let wanted = slug(title);
    let taken = |key: &str| entry.items.iter().filter_map(|id| state.item(*id)).any(|item| &*item.key == key);
    let mut key = wanted.clone();
    let mut number = 1usize;
    while taken(&key) {
        number += 1;
        let suffix = format!("-{number}");
        let kept = &wanted[..wanted.len().min(ID_LIMIT - suffix.len())];
        key = format!("{}{suffix}", kept.trim_end_matches('-'));
    }
    key
}
