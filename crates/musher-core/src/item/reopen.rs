//! Reopening: what is done stays done, and a follow-up item mends or completes it.

use std::collections::BTreeMap;

use super::operate::refuse;
use super::progress::find;
use super::{Item, ItemState, Kind, Phase, Wants};
use crate::change::{Change, TextKey};
use crate::command::{Answer, Refused};
use crate::event::Happened;
use crate::id::ItemId;
use crate::mission::{self, MissionItem, Policy, StartMission};
use crate::plan::{BODY_LIMIT, TITLE_LIMIT};
use crate::state::{MissionEntry, State};
use crate::step::Context;

/// Makes a follow-up of a done item: of kind followup, with its agent's constraints and its results, and with the
/// operator's words as the prompt. What depends on the done item is not touched. A mission that has ended does not begin
/// again: the follow-up is then a mission of its own.
pub fn reopen(state: &State, id: ItemId, text: &str, cx: &mut Context) -> Result<Change, Refused> {
    let item = find(state, id)?;
    if item.phase() != Phase::Done {
        let fix = "only done items can be reopened; `musher item retry` gives a failed or blocked one a fresh start";
        return Err(refuse("reopen", item, fix));
    }
    if item.wants == Wants::Plan {
        return Err(refuse("reopen", item, "it is a plan; `musher plan` makes another"));
    }
    let text = text.trim();
    if text.is_empty() || text.len() > BODY_LIMIT {
        return Err(Refused::Invalid {
            what: format!("the follow-up's prompt has {} bytes; it has 1 to {BODY_LIMIT}", text.len()),
            fix: "say what is to be mended or added: it is the prompt of the follow-up".to_owned(),
        });
    }
    let entry = mission::find(state, item.mission)?;
    let asked = follow_up(state, entry, item, text);
    let key = asked.key.clone();
    let mut change = if entry.row.state.is_terminal() {
        mission::start(state, &mission_of(entry, asked, cx), cx)?
    } else {
        within(state, entry, &asked, cx)?
    };
    let mut new = None;
    for row in change.items.iter_mut().filter(|row| row.key == key) {
        row.follows = Some(id);
        row.clashes = item.clashes.clone();
        new = Some((row.id, row.mission));
    }
    let Some((new, mission)) = new else { return Err(Refused::Stale { what: "its follow-up was not made" }) };
    change.answer = Answer::Item(new);
    let reopened = Happened::ItemReopened { item: new, key, mission };
    change.events.push(cx.about(item, reopened));
    Ok(change)
}

fn follow_up(state: &State, entry: &MissionEntry, item: &Item, text: &str) -> MissionItem {
    let first = text.lines().next().unwrap_or_default().trim();
    let title = format!("Follow-up of {}: {first}", item.key);
    let end = title.floor_char_boundary(TITLE_LIMIT.min(title.len()));
    let merged = item.merged.as_deref().map(|commit| format!(", merged as {commit}")).unwrap_or_default();
    MissionItem {
        key: mission::free_key(entry, state, &format!("{} followup", item.key)).into(),
        title: title[..end].trim_end().into(),
        body: format!("{text}\n\nThis follows up on `{}` ({}), which is done{merged}.", item.key, item.title).into(),
        kind: Kind::Followup,
        role: item.role.clone(),
        priority: item.priority,
        labels: item.labels.clone(),
        touches: item.touches.clone(),
        pin: item.pin.clone(),
        gate: item.gate.clone(),
        qa: item.qa,
        max_retries: item.max_retries,
        ..MissionItem::default()
    }
}

/// Its mission goes on: the follow-up is one of its items.
fn within(state: &State, entry: &MissionEntry, asked: &MissionItem, cx: &mut Context) -> Result<Change, Refused> {
    let items = || entry.items.iter().filter_map(|id| state.item(*id));
    let number = items().map(|item| item.number).max().unwrap_or(0).saturating_add(1);
    let ids = BTreeMap::from([(&*asked.key, (ItemId::new(cx.now, cx.entropy), false))]);
    let row = mission::made(asked, entry.row.id, number, &ids, cx.now)?;
    let mut change = Change::default();
    change.texts.push((TextKey::Body(row.id), asked.body.clone()));
    if row.state == ItemState::Ready {
        change.events.push(cx.about(&row, Happened::ItemReady { not_before: None }));
    }
    change.items.push(row);
    Ok(change)
}

/// Its mission has ended: the follow-up gets one like it.
fn mission_of(entry: &MissionEntry, asked: MissionItem, cx: &Context) -> StartMission {
    let deadline = entry.row.policy.deadline.filter(|at| *at > cx.now);
    StartMission {
        goal: asked.title.clone(),
        policy: Policy { deadline, ..entry.row.policy.clone() },
        base: entry.row.base.clone(),
        ask: false,
        items: vec![asked],
    }
}
