//! What an agent asks before it acts: judged by its rules at once, or put before a person, and answered once.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Action, Ask, Ruling, default_rules, rule};
use crate::agent::AgentSpec;
use crate::change::Change;
use crate::command::Refused;
use crate::effect::EffectKind;
use crate::event::Happened;
use crate::help;
use crate::id::{RequestId, RunId};
use crate::item::Item;
use crate::run::Run;
use crate::state::State;
use crate::step::Context;
use crate::time::Timestamp;

/// Who says yes to what an agent wants to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approvals {
    /// Nobody is asked: everything is allowed.
    Allow,
    /// Nobody is asked: everything that needs a yes is denied.
    Deny,
    /// A person, always.
    Ask,
    /// The rules, and a person where they do not know.
    #[default]
    Rules,
}

impl Approvals {
    /// The one of this word.
    pub fn named(word: &str) -> Option<Self> {
        [Self::Allow, Self::Deny, Self::Ask, Self::Rules].into_iter().find(|approvals| approvals.name() == word)
    }

    /// The word in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Ask => "ask",
            Self::Rules => "rules",
        }
    }
}

/// A yes or a no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ruled {
    /// Yes.
    Allowed,
    /// No.
    Denied,
}

impl Ruled {
    /// The word in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Denied => "denied",
        }
    }
}

/// What a run has asked a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// What was asked.
    pub ask: Ask,
    /// When.
    pub asked_at: Timestamp,
    /// When it counts as denied, if nobody answers.
    pub expires_at: Timestamp,
    /// The answer, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answered>,
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Yes or no.
    pub ruled: Ruled,
    /// Who said so.
    pub by: Box<str>,
    /// When.
    pub at: Timestamp,
}

/// How many requests of a run are remembered; the oldest answered ones are forgotten first.
const REMEMBERED: usize = 64;

/// How many open requests a run may have; what it asks beyond them is denied.
const OPEN: usize = 32;

/// The longest action that is put before a person, in bytes: nobody reads more, and a yes to a part is none.
const LONGEST_ACTION: usize = 64 << 10;

/// How much all open requests of a run may hold, in bytes: each change of the run writes them again.
const OPEN_BYTES: usize = 256 << 10;

/// What a request that nobody answered in time tells the agent.
const NOBODY: &str = "nobody answered in time; go on without it, or do it another way";

impl Request {
    /// Whether it still waits for an answer.
    pub const fn is_open(&self) -> bool {
        self.answer.is_none()
    }
}

impl Action {
    /// How much it holds, in bytes.
    fn bytes(&self) -> usize {
        match self {
            Self::Shell(text) | Self::Fetch(text) => text.len(),
            Self::Edit(paths) | Self::Read(paths) => paths.iter().map(|path| path.len()).sum(),
            Self::Other(name, arguments) => name.len() + arguments.len(),
        }
    }

    /// What it wants to do, whole, for people.
    pub fn text(&self) -> String {
        match self {
            Self::Shell(command) => format!("run: {command}"),
            Self::Edit(paths) => format!("change {}", paths.join(", ")),
            Self::Read(paths) => format!("read {}", paths.join(", ")),
            Self::Fetch(address) => format!("fetch {address}"),
            Self::Other(name, arguments) if arguments.is_empty() => format!("use {name}"),
            Self::Other(name, arguments) => format!("use {name} with {arguments}"),
        }
    }
}

/// When the first open request of a run expires, if it has one.
pub(crate) fn due(run: &Run) -> Option<Timestamp> {
    run.requests.iter().filter(|request| request.is_open()).map(|request| request.expires_at).min()
}

/// The live run that has this request, and the request.
pub fn find(state: &State, id: RequestId) -> Option<(&Run, &Request)> {
    state.runs().into_iter().find_map(|run| Some((run, run.requests.iter().find(|request| request.id == id)?)))
}

/// A running agent asks. The same question is asked again after a restart, so one that is known changes nothing.
pub fn asked(
    state: &State,
    item: &Item,
    run: RunId,
    worktree: &str,
    ask: &Ask,
    cx: &mut Context,
) -> Result<Change, Refused> {
    let run = state.run(run).ok_or(Refused::Stale { what: "its run is over" })?;
    let known = run.requests.iter().any(|request| request.is_open() && request.ask.reference == ask.reference);
    if known || is_being_answered(state, item, run.id, &ask.reference) {
        return Ok(Change::default());
    }
    let spec = state.agent(run.agent).map(|agent| &agent.spec);
    let (ruled, by, why) = match judge(spec, run, &ask.action, worktree) {
        Judged::Ruled(ruled, by, why) => (ruled, by, why),
        Judged::Person => return Ok(put_before_people(run, item, ask, spec, cx)),
    };
    let mut change = Change::default();
    change.effects.push(cx.effect(item.id, answer_effect(run.id, &ask.reference, ruled, &why)));
    let decided = Happened::ApprovalDecided { action: ask.action.clone(), ruled, by: by.into(), why: why.into() };
    change.events.push(cx.about_run(item, run, decided));
    Ok(change)
}

enum Judged {
    Ruled(Ruled, &'static str, String),
    Person,
}

fn judge(spec: Option<&AgentSpec>, run: &Run, action: &Action, worktree: &str) -> Judged {
    let (allowed, denied) = (Ruled::Allowed, Ruled::Denied);
    let by_rules = || {
        let ruling = match spec.and_then(|spec| spec.rules.as_ref()) {
            Some(rules) => rule(rules, action, worktree),
            None => rule(&default_rules(), action, worktree),
        };
        match ruling {
            Ruling::Allow => Judged::Ruled(allowed, "rules", String::new()),
            Ruling::Deny(why) => Judged::Ruled(denied, "rules", why.into()),
            Ruling::Ask => Judged::Person,
        }
    };
    if let Action::Other(name, _) = action
        && crate::tool::is_own(name)
    {
        return Judged::Ruled(allowed, "musher", String::new());
    }
    let judged = match spec.map(|spec| spec.approvals).unwrap_or_default() {
        Approvals::Allow => Judged::Ruled(allowed, "approvals = \"allow\"", String::new()),
        Approvals::Deny => Judged::Ruled(denied, "approvals = \"deny\"", "nothing that needs a yes is allowed".into()),
        Approvals::Ask => Judged::Person,
        Approvals::Rules => by_rules(),
    };
    let open = || run.requests.iter().filter(|request| request.is_open());
    let held: usize = open().map(|request| request.ask.action.bytes()).sum();
    match judged {
        Judged::Person if action.bytes() > LONGEST_ACTION => {
            Judged::Ruled(denied, "musher", "it is too long to be shown to a person whole; take smaller steps".into())
        }
        Judged::Person if open().count() >= OPEN || held + action.bytes() > OPEN_BYTES => {
            Judged::Ruled(denied, "musher", "too many questions of this run wait for an answer already".into())
        }
        Judged::Person | Judged::Ruled(..) => judged,
    }
}

fn put_before_people(run: &Run, item: &Item, ask: &Ask, spec: Option<&AgentSpec>, cx: &mut Context) -> Change {
    let patience = Duration::from_secs(spec.map_or(30 * 60, |spec| spec.approval_timeout_secs));
    let request = Request {
        id: RequestId::new(cx.now, cx.entropy),
        ask: ask.clone(),
        asked_at: cx.now,
        expires_at: cx.now.after(patience),
        answer: None,
    };
    let (id, expires_at) = (request.id, request.expires_at);
    let mut row = run.clone();
    row.requests.push(request);
    if row.requests.len() > REMEMBERED
        && let Some(oldest) = row.requests.iter().position(|request| !request.is_open())
    {
        row.requests.remove(oldest);
    }
    let event = Happened::ApprovalRequested { request: id, action: ask.action.clone(), expires_at };
    let events = vec![cx.about_run(item, run, event)];
    Change { runs: vec![row], events, ..Change::default() }
}

/// The agent needs no answer to this any more.
pub fn gone(state: &State, item: &Item, run: RunId, reference: &str, cx: &Context) -> Result<Change, Refused> {
    let run = state.run(run).ok_or(Refused::Stale { what: "its run is over" })?;
    let mut row = run.clone();
    let open = row.requests.iter().position(|request| request.is_open() && &*request.ask.reference == reference);
    let Some(at) = open else { return Ok(Change::default()) };
    let request = row.requests.remove(at);
    let events = vec![cx.about_run(item, run, Happened::ApprovalWithdrawn { request: request.id })];
    Ok(Change { runs: vec![row], events, ..Change::default() })
}

/// Somebody answers. Counts once.
///
/// # Errors
/// There is no such request of a live run, or it was answered; the refusal says by whom.
pub fn answer(state: &State, id: RequestId, ruled: Ruled, why: &str, cx: &mut Context) -> Result<Change, Refused> {
    let not_found = || Refused::NotFound { noun: "request", name: id.short() };
    if help::find(state, id).is_some() {
        return Err(Refused::Invalid {
            what: format!("request `{}` is a question", id.short()),
            fix: format!("`musher answer {} \"TEXT\"`", id.short()),
        });
    }
    let (run, request) = find(state, id).ok_or_else(not_found)?;
    let how = |answer: &Answered| format!("{} by {} at {}", answer.ruled.name(), answer.by, answer.at);
    help::answered_once_by_a_person(id, request.answer.as_ref().map(how), cx)?;
    let by = cx.actor.text();
    let item = state.item(run.item).ok_or_else(not_found)?;
    let mut row = run.clone();
    let mut change = Change::default();
    decide(&mut row, id, (ruled, &by, why), item, &mut change, cx);
    change.runs.push(row);
    Ok(change)
}

/// What has waited for too long is denied; the run goes on.
pub fn expire(state: &State, run: RunId, cx: &mut Context) -> Result<Change, Refused> {
    let stale = || Refused::Stale { what: "its run is over" };
    let run = state.run(run).ok_or_else(stale)?;
    let item = state.item(run.item).ok_or_else(stale)?;
    let overdue = |request: &&Request| request.is_open() && request.expires_at <= cx.now;
    let overdue: Vec<RequestId> = run.requests.iter().filter(overdue).map(|request| request.id).collect();
    let mut row = run.clone();
    let mut change = Change::default();
    for id in overdue {
        decide(&mut row, id, (Ruled::Denied, "the end of its time", NOBODY), item, &mut change, cx);
    }
    change.runs.push(row);
    Ok(change)
}

fn decide(
    row: &mut Run,
    id: RequestId,
    (ruled, by, why): (Ruled, &str, &str),
    item: &Item,
    change: &mut Change,
    cx: &mut Context,
) {
    let run = row.id;
    let Some(request) = row.requests.iter_mut().find(|request| request.id == id) else { return };
    request.answer = Some(Answered { ruled, by: by.into(), at: cx.now });
    // Nobody asks again what it was: the event has it, and the run's row stays small.
    let answered =
        Ask { reference: request.ask.reference.clone(), action: Action::Other("answered".into(), "".into()) };
    let ask = std::mem::replace(&mut request.ask, answered);
    change.effects.push(cx.effect(item.id, answer_effect(run, &ask.reference, ruled, why)));
    let decided = Happened::ApprovalDecided { action: ask.action, ruled, by: by.into(), why: why.into() };
    change.events.push(cx.about_run(item, row, decided));
}

fn answer_effect(run: RunId, reference: &str, ruled: Ruled, why: &str) -> EffectKind {
    EffectKind::AnswerRun { run, reference: reference.into(), ruled, why: why.into() }
}

fn is_being_answered(state: &State, item: &Item, run: RunId, reference: &str) -> bool {
    state.effects_of(item.id).any(|effect| match &effect.kind {
        EffectKind::AnswerRun { run: of, reference: to, .. } => *of == run && &**to == reference,
        _ => false,
    })
}
