//! Messages between the agents of a mission: each item has an inbox, and a use of `read_messages` empties it.

use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::command::{Answer, Refused};
use crate::config::drivers;
use crate::effect::When;
use crate::event::Happened;
use crate::id::{CallId, RunId};
use crate::item::{Item, tell_effect};
use crate::note;
use crate::run::{Run, RunState};
use crate::state::State;
use crate::step::Context;
use crate::time::Timestamp;

/// The longest message, in bytes.
pub const LONGEST: usize = 8 << 10;

/// How many messages of an item are kept, read or not. A full inbox of unread ones takes no more.
const KEPT: usize = 32;

/// What a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sort {
    /// A question.
    Query,
    /// Something to know.
    #[default]
    Info,
    /// Something to do.
    Task,
    /// An answer: it is so, or it is done.
    Confirmation,
}

impl Sort {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Query, Self::Info, Self::Task, Self::Confirmation];

    /// The word in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Info => "info",
            Self::Task => "task",
            Self::Confirmation => "confirmation",
        }
    }
}

/// How soon a message is to be read; the least urgent is the least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Urgency {
    /// Whenever.
    Low,
    /// When the inbox is read.
    #[default]
    Normal,
    /// A running agent is told after its present tool call that it is there.
    High,
    /// A running agent is interrupted for it.
    Urgent,
}

impl Urgency {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Urgent];

    /// The word in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Urgent => "urgent",
        }
    }

    /// When a running agent is told of it.
    const fn told(self) -> Option<When> {
        match self {
            Self::Low | Self::Normal => None,
            Self::High => Some(When::Next),
            Self::Urgent => Some(When::Now),
        }
    }
}

/// A message in an item's inbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// The use of the tool that it was sent with: a repeat of it sends nothing.
    pub id: CallId,
    /// The item whose agent sent it, by its key.
    pub from: Box<str>,
    /// The run that sent it.
    pub run: RunId,
    /// What it is.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub sort: Sort,
    /// How soon it is to be read.
    #[serde(default, skip_serializing_if = "crate::run::is_default")]
    pub urgency: Urgency,
    /// The words.
    pub text: Box<str>,
    /// When it was sent.
    pub sent_at: Timestamp,
    /// The use of the tool that read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<CallId>,
}

/// A message as an agent sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewMessage {
    /// The use of the tool.
    pub id: CallId,
    /// An item of the mission by its key, or an agent that is at work on one by its name.
    pub to: Box<str>,
    /// What it is.
    pub sort: Sort,
    /// How soon it is to be read.
    pub urgency: Urgency,
    /// The words.
    pub text: Box<str>,
}

/// How many messages of an item were not read yet.
pub fn unread(item: &Item) -> usize {
    item.messages.iter().filter(|message| message.read.is_none()).count()
}

/// The agent of a run sends a message to another item's.
pub(crate) fn send(
    state: &State,
    item: &Item,
    run: &Run,
    new: &NewMessage,
    cx: &mut Context,
) -> Result<Change, Refused> {
    let text = new.text.trim();
    if text.is_empty() || text.len() > LONGEST {
        return Err(Refused::Invalid {
            what: format!("a message of {} bytes; it has 1 to {LONGEST}", text.len()),
            fix: "say it shorter".to_owned(),
        });
    }
    let to = receiver(state, item, &new.to)?;
    if to.messages.iter().any(|message| message.id == new.id) {
        return Ok(Change::default());
    }
    if unread(to) >= KEPT {
        return Err(Refused::Invalid {
            what: format!("{} messages of item `{}` are not read yet", KEPT, to.key),
            fix: "its agent must read first; send it again later, or do without".to_owned(),
        });
    }
    let mut row = to.clone();
    row.messages.push(Message {
        id: new.id,
        from: item.key.clone(),
        run: run.id,
        sort: new.sort,
        urgency: new.urgency,
        text: text.into(),
        sent_at: cx.now,
        read: None,
    });
    if row.messages.len() > KEPT
        && let Some(oldest) = row.messages.iter().position(|message| message.read.is_some())
    {
        row.messages.remove(oldest);
    }
    let posted = Happened::MessagePosted {
        to: to.key.clone(),
        sort: new.sort.name().into(),
        urgency: new.urgency.name().into(),
        text: text.into(),
    };
    let mut change = Change { events: vec![cx.about_run(item, run, posted)], ..Change::default() };
    if let Some(when) = new.urgency.told()
        && let Some(running) = at_work(state, to)
    {
        let words = format!(
            "A message ({}, {}) of the agent at work on `{}`. It is in your inbox, too: read_messages.\n\n{text}",
            new.sort.name(),
            new.urgency.name(),
            item.key
        );
        change.extend(tell_effect(to, running, &words, when, cx));
    }
    change.items.push(row);
    Ok(change)
}

/// The agent of a run reads its item's inbox: what is urgent first, then in the order of sending. A use of the tool whose
/// answer was lost gets the same messages again.
pub(crate) fn read(item: &Item, run: &Run, call: CallId, cx: &mut Context) -> Change {
    let is_repeat = item.messages.iter().any(|message| message.read == Some(call));
    let mut row = item.clone();
    let mut count = 0;
    if !is_repeat {
        for message in row.messages.iter_mut().filter(|message| message.read.is_none()) {
            message.read = Some(call);
            count += 1;
        }
    }
    let mut found: Vec<Message> = row.messages.iter().filter(|message| message.read == Some(call)).cloned().collect();
    found.sort_by_key(|message| std::cmp::Reverse(message.urgency));
    let mut change = Change { answer: Answer::Messages(found), ..Change::default() };
    if count > 0 {
        change.events.push(cx.about_run(item, run, Happened::MessagesRead { count }));
        change.items.push(row);
    }
    change
}

/// Whose inbox it goes into.
fn receiver<'a>(state: &'a State, from: &Item, name: &str) -> Result<&'a Item, Refused> {
    let entry = crate::mission::find(state, from.mission)?;
    let is_worked_on_by = |item: &&Item| {
        item.is_live() && item.agent.and_then(|id| state.agent(id)).is_some_and(|agent| &*agent.spec.name == name)
    };
    let by_agent = || entry.items.iter().filter_map(|id| state.item(*id)).find(is_worked_on_by);
    let found = match note::named(state, entry, name) {
        Ok(item) => Ok(item),
        Err(refused) => by_agent().ok_or(refused),
    }?;
    let refuse = |what: String| Refused::Invalid { what, fix: "list_items shows what is being worked on".to_owned() };
    if found.id == from.id {
        return Err(refuse("a message to oneself".to_owned()));
    }
    if found.is_terminal() {
        return Err(refuse(format!("item `{}` is {}; nobody works on it any more", found.key, found.phase().name())));
    }
    Ok(found)
}

/// The run that is at work on an item, if its agent can be told something.
fn at_work<'a>(state: &'a State, item: &Item) -> Option<&'a Run> {
    let run = item.run.and_then(|run| state.run(run)).filter(|run| run.state == RunState::Running)?;
    let driver = state.agent(run.agent).map(|agent| &*agent.spec.driver)?;
    drivers::takes_messages(driver).then_some(run)
}
