//! How a mission begins: its whole graph in one change, or nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Delivery, Dispatcher, Mission, MissionEvent, MissionState, Policy, moved};
use crate::change::{Change, TextKey};
use crate::command::{Answer, Refused};
use crate::event::Happened;
use crate::forge::Reference;
use crate::id::{Fence, ItemId, MissionId};
use crate::item::{Item, ItemState, Kind, Priority, Qa, Wants, Worktree};
use crate::run::Usage;
use crate::state::State;
use crate::step::Context;
use crate::time::Timestamp;
use crate::verify::delivery_allowed;
use crate::watch::{self, Holds, WatchKind};

/// A mission as it is asked for: compiled from a plan, checked by its parser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StartMission {
    /// What is to be reached.
    pub goal: Box<str>,
    /// What musher may do by itself.
    pub policy: Policy,
    /// The base branch.
    pub base: Box<str>,
    /// Whether a person must say yes to the graph first.
    pub ask: bool,
    /// The graph.
    pub items: Vec<MissionItem>,
}

/// An item as it is asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MissionItem {
    /// Its id in the plan.
    pub key: Box<str>,
    /// One line.
    pub title: Box<str>,
    /// The prompt.
    pub body: Box<str>,
    /// What sort of work.
    pub kind: Kind,
    /// What it is to come to.
    pub wants: Wants,
    /// The role an agent should have.
    pub role: Option<Box<str>>,
    /// How urgent.
    pub priority: Priority,
    /// Capabilities an agent must have.
    pub labels: Box<[Box<str>]>,
    /// Keys of what must be done first.
    pub depends_on: Vec<Box<str>>,
    /// Globs of what it will change.
    pub touches: Box<[Box<str>]>,
    /// The only agent that may take it.
    pub pin: Option<Box<str>>,
    /// Replaces the project's gate.
    pub gate: Option<Box<str>>,
    /// Replaces the project's quality assurance mode.
    pub qa: Option<Qa>,
    /// Replaces the policy's `max_retries`.
    pub max_retries: Option<u32>,
    /// Counted as done from the start.
    pub skip: bool,
    /// What must be met outside before it starts: issues that are none of the mission's, programs, addresses.
    pub after: Vec<WatchKind>,
    /// What must be met outside after it is done, before the mission is.
    pub then: Vec<WatchKind>,
    /// The issue that it comes from: its pull request closes it.
    pub issue: Option<Reference>,
}

/// Makes the mission and all its items.
pub fn start(state: &State, wish: &StartMission, cx: &mut Context) -> Result<Change, Refused> {
    let mission = MissionId::new(cx.now, cx.entropy);
    let mut ids: BTreeMap<&str, (ItemId, bool)> = BTreeMap::new();
    for item in &wish.items {
        let id = ItemId::new(cx.now, cx.entropy);
        if ids.insert(&item.key, (id, item.skip)).is_some() {
            return Err(invalid(format!("two items are named `{}`", item.key)));
        }
    }
    if ids.is_empty() {
        return Err(invalid("a mission needs at least one item".to_owned()));
    }
    let says_something = |gate: &str| !gate.trim().is_empty();
    let has_gate = state.settings().gate.as_deref().is_some_and(says_something)
        || wish.items.iter().all(|i| i.gate.as_deref().is_some_and(says_something));
    let wanted = state.settings().delivery;
    let event = if wish.ask { MissionEvent::Ask } else { MissionEvent::Start };
    let row = Mission {
        id: mission,
        goal: wish.goal.clone(),
        policy: wish.policy.clone(),
        state: moved(MissionState::Planning, event).unwrap_or(MissionState::Planning),
        blocked_reason: wish.ask.then(|| "Waiting for a yes to its graph".into()),
        base: wish.base.clone(),
        delivery: delivery_allowed(wanted, has_gate),
        owner: cx.actor.text().into(),
        dispatcher: Dispatcher::default(),
        created_at: cx.now,
        updated_at: cx.now,
        ended_at: None,
    };
    let mut change = Change { answer: Answer::Mission(mission), ..Change::default() };
    let count = u32::try_from(wish.items.len()).unwrap_or(u32::MAX);
    change.events.push(cx.about_mission(mission, Happened::MissionStarted { goal: wish.goal.clone(), items: count }));
    let merges = wish.items.iter().any(|item| item.wants == Wants::Change);
    if row.delivery != wanted && wanted == Delivery::Merge && merges {
        let branch = row.integration_branch().into();
        change.events.push(cx.about_mission(mission, Happened::DeliveryFellBack { branch }));
    }
    for (number, item) in (0u32..).zip(&wish.items) {
        let row = made(item, mission, number, &ids, cx.now)?;
        if !item.body.is_empty() {
            change.texts.push((TextKey::Body(row.id), item.body.clone()));
        }
        let watches = [(&item.after, Holds::Start), (&item.then, Holds::Mission)];
        for (kind, holds) in watches.into_iter().flat_map(|(kinds, holds)| kinds.iter().map(move |kind| (kind, holds)))
        {
            if let Some(what) = kind.problem() {
                return Err(invalid(format!("a watch of item `{}`: {what}", item.key)));
            }
            if !kind.is_of_pull() && !item.skip {
                change.watches.push(watch::new(&row, kind.clone(), holds, cx));
            }
        }
        if row.state == ItemState::Ready {
            change.events.push(cx.about(&row, Happened::ItemReady { not_before: None }));
        }
        change.items.push(row);
    }
    change.missions.push(row);
    Ok(change)
}

fn invalid(what: String) -> Refused {
    Refused::Invalid { what, fix: "`musher plan check FILE` lists every problem of a plan".to_owned() }
}

pub(crate) fn made(
    wish: &MissionItem,
    mission: MissionId,
    number: u32,
    ids: &BTreeMap<&str, (ItemId, bool)>,
    now: Timestamp,
) -> Result<Item, Refused> {
    let mut depends_on = Vec::with_capacity(wish.depends_on.len());
    let mut open = false;
    for key in &wish.depends_on {
        let (id, skipped) = ids
            .get(&**key)
            .ok_or_else(|| invalid(format!("item `{}` depends on `{key}`, which is not in the mission", wish.key)))?;
        open |= !skipped;
        depends_on.push(*id);
    }
    let id = ids.get(&*wish.key).map(|(id, _)| *id).ok_or_else(|| invalid(format!("item `{}` has no id", wish.key)))?;
    let state = match (wish.skip, open || !wish.after.is_empty()) {
        (true, _) => ItemState::Done,
        (false, true) => ItemState::Pending,
        (false, false) => ItemState::Ready,
    };
    Ok(Item {
        id,
        mission,
        key: wish.key.clone(),
        number,
        title: wish.title.clone(),
        kind: wish.kind,
        wants: wish.wants,
        role: wish.role.clone(),
        priority: wish.priority,
        labels: wish.labels.clone(),
        touches: wish.touches.clone(),
        clashes: Box::default(),
        depends_on: depends_on.into(),
        pin: wish.pin.clone(),
        gate: wish.gate.clone(),
        qa: wish.qa,
        max_retries: wish.max_retries,
        state,
        frozen: None,
        satisfied: false,
        attempts: 0,
        not_before: None,
        no_room: false,
        limited: None,
        fence: Fence::default(),
        agent: None,
        run: None,
        review_run: None,
        worktree: Worktree::None,
        slot: None,
        base_commit: None,
        base_at: None,
        head: None,
        merged: None,
        approval: None,
        no_merge: wish.skip,
        regate: false,
        fix: None,
        last_error: None,
        session: None,
        merge_failures: 0,
        merge_tries: 0,
        resolver_runs: 0,
        empty_runs: (0, 0),
        usage: Usage::default(),
        created_at: now,
        updated_at: now,
        queued_at: None,
        turn: 0,
        messages: Vec::new(),
        issue: wish.issue.clone(),
        added: None,
        follows: None,
    })
}
