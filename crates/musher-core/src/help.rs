//! Help requests of agents: a question to the operator that an agent waits on, and its one answer.

use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::command::{Actor, Answer, Refused};
use crate::event::Happened;
use crate::id::RequestId;
use crate::item::Item;
use crate::run::Run;
use crate::state::State;
use crate::step::Context;
use crate::time::Timestamp;

/// The longest question and the longest answer, in bytes.
pub const LONGEST: usize = 16 << 10;

/// How many questions of a run may wait for an answer.
const OPEN: usize = 8;

/// How many questions of a run are remembered; the oldest answered ones are forgotten first.
const REMEMBERED: usize = 32;

/// What the agent of a run asks the operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelpRequest {
    /// Its id.
    pub id: RequestId,
    /// The question.
    pub text: Box<str>,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// The answer, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<HelpAnswer>,
}

/// The answer to a help request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelpAnswer {
    /// The words.
    pub text: Box<str>,
    /// Who said them.
    pub by: Box<str>,
    /// When.
    pub at: Timestamp,
}

impl HelpRequest {
    /// Whether it still waits for an answer.
    pub const fn is_open(&self) -> bool {
        self.answer.is_none()
    }
}

/// The live run that has this help request, and the request.
pub fn find(state: &State, id: RequestId) -> Option<(&Run, &HelpRequest)> {
    state.runs().into_iter().find_map(|run| Some((run, run.help.iter().find(|request| request.id == id)?)))
}

/// The agent of a run asks. The same words again are the same question, whether it waits or was answered: a program whose
/// patience for its tools ended asks anew, and must neither put the question twice nor miss the answer.
pub(crate) fn ask(item: &Item, run: &Run, text: &str, cx: &mut Context) -> Result<Change, Refused> {
    let text = text.trim();
    if text.is_empty() || text.len() > LONGEST {
        return Err(Refused::Invalid {
            what: format!("a question of {} bytes; it has 1 to {LONGEST}", text.len()),
            fix: "say what you need to know in a few sentences".to_owned(),
        });
    }
    if let Some(known) = run.help.iter().find(|request| &*request.text == text) {
        return Ok(Change { answer: Answer::Help(known.id), ..Change::default() });
    }
    if run.help.iter().filter(|request| request.is_open()).count() >= OPEN {
        return Err(Refused::Invalid {
            what: format!("{OPEN} questions of this run wait for an answer already"),
            fix: "wait for those, or go on as far as you can".to_owned(),
        });
    }
    let request =
        HelpRequest { id: RequestId::new(cx.now, cx.entropy), text: text.into(), asked_at: cx.now, answer: None };
    let id = request.id;
    let mut row = run.clone();
    row.help.push(request);
    if row.help.len() > REMEMBERED
        && let Some(oldest) = row.help.iter().position(|request| !request.is_open())
    {
        row.help.remove(oldest);
    }
    row.last_activity_at = Some(cx.now);
    let event = cx.about_run(item, run, Happened::HelpRequested { request: id, text: text.into() });
    Ok(Change { answer: Answer::Help(id), runs: vec![row], events: vec![event], ..Change::default() })
}

/// What agents ask is answered by people, and once: `earlier` says how it was answered before, if it was.
///
/// # Errors
/// An agent answers, or somebody has.
pub(crate) fn answered_once_by_a_person(id: RequestId, earlier: Option<String>, cx: &Context) -> Result<(), Refused> {
    if let Actor::Run(_) = cx.actor {
        return Err(Refused::Invalid {
            what: "an agent cannot answer what agents ask".to_owned(),
            fix: "a person answers: `musher inbox`".to_owned(),
        });
    }
    earlier.map_or(Ok(()), |earlier| {
        Err(Refused::Conflict {
            what: format!("request `{}` was {earlier}", id.short()),
            fix: "a request is answered once; `musher send` reaches the agent with anything else",
        })
    })
}

/// Somebody answers. Counts once.
///
/// # Errors
/// There is no such question of a live run, or it was answered; the refusal says by whom.
pub fn answer(state: &State, id: RequestId, text: &str, cx: &mut Context) -> Result<Change, Refused> {
    let not_found = || Refused::NotFound { noun: "request", name: id.short() };
    if crate::approval::find(state, id).is_some() {
        return Err(Refused::Invalid {
            what: format!("request `{}` wants a yes or a no", id.short()),
            fix: format!("`musher allow {0}` or `musher deny {0} \"WHY\"`", id.short()),
        });
    }
    let (run, request) = find(state, id).ok_or_else(not_found)?;
    let earlier = request.answer.as_ref().map(|answer| format!("answered by {} at {}", answer.by, answer.at));
    answered_once_by_a_person(id, earlier, cx)?;
    let text = text.trim();
    if text.is_empty() || text.len() > LONGEST {
        return Err(Refused::Invalid {
            what: format!("an answer of {} bytes; it has 1 to {LONGEST}", text.len()),
            fix: "say it shorter, or put it into a file of the repository and name that".to_owned(),
        });
    }
    let item = state.item(run.item).ok_or_else(not_found)?;
    let by: Box<str> = cx.actor.text().into();
    let mut row = run.clone();
    for open in row.help.iter_mut().filter(|open| open.id == id) {
        open.answer = Some(HelpAnswer { text: text.into(), by: by.clone(), at: cx.now });
    }
    let event = cx.about_run(item, run, Happened::HelpAnswered { request: id, text: text.into(), by });
    Ok(Change { runs: vec![row], events: vec![event], ..Change::default() })
}
