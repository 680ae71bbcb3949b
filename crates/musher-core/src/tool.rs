//! Musher's own tools: what the agent of a live run may do to musher while it works. Everything is bound to its run: it
//! speaks for its own item, in its own mission.

use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::command::{Actor, Refused};
use crate::effect::{Effect, EffectKind};
use crate::event::Happened;
use crate::help;
use crate::id::{CallId, RunId};
use crate::item::Item;
use crate::message::{self, NewMessage};
use crate::mission::{self, AddItem};
use crate::plan;
use crate::run::{Outcome, Purpose, Run, Verdict};
use crate::state::State;
use crate::step::Context;

/// The longest word on progress, in bytes.
pub const LONGEST_PROGRESS: usize = 1 << 10;
/// The longest summary or verdict, in bytes: the run's row has it until the run ends.
pub const LONGEST_RESULT: usize = 16 << 10;
/// The most artifacts of a result.
pub const ARTIFACTS: usize = 64;
/// The longest name of an artifact, in bytes.
const LONGEST_ARTIFACT: usize = 1 << 10;

/// The tools' names.
pub const NAMES: [&str; 9] = [
    "report_progress",
    "ask_operator",
    "add_item",
    "list_items",
    "get_item",
    "submit_result",
    "review",
    "send_message",
    "read_messages",
];

/// Whether this is one of the tools, as a program names what an MCP server called `musher` gives it: with the server's
/// name before it, in the program's own way. Nobody is asked about these: they do nothing outside musher.
pub fn is_own(name: &str) -> bool {
    let spelled = ["mcp__musher__", "musher.", "musher_", "mcp_musher_", "musher__", "musher/"];
    spelled.iter().any(|prefix| name.strip_prefix(prefix).is_some_and(|tool| NAMES.contains(&tool)))
}

/// Whether an agent that uses this tool waits for the operator: it is not silent meanwhile.
pub fn waits_for_operator(name: &str) -> bool {
    name.ends_with("ask_operator")
}

/// A use of a tool. The tools that only read (`list_items`, `get_item`) are none of these: they change nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolUse {
    /// How far it is.
    ReportProgress(Box<str>),
    /// A question to the operator.
    AskOperator(Box<str>),
    /// Another item for its mission.
    AddItem(Box<AddItem>),
    /// What it ends with.
    SubmitResult(Box<Submitted>),
    /// What it thinks of the change that it was given to review.
    Review(Verdict),
    /// A message to another agent of the mission.
    SendMessage(Box<NewMessage>),
    /// The messages for its item.
    ReadMessages(CallId),
}

/// What an agent says that it ends with. The last one before the end counts; it proves nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submitted {
    /// Its closing words.
    pub summary: Box<str>,
    /// Why nothing had to change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_change_needed: Option<Box<str>>,
    /// What it made, by path or address.
    #[serde(default, skip_serializing_if = "<[_]>::is_empty")]
    pub artifacts: Box<[Box<str>]>,
}

/// The agent of a run uses a tool.
///
/// # Errors
/// The run is over, is another's, or may not do this; the words are for the agent.
pub fn used(state: &State, id: RunId, tool: &ToolUse, cx: &mut Context) -> Result<Change, Refused> {
    let over = || Refused::NotFound { noun: "run", name: id.short() };
    let run = state.run(id).filter(|run| run.is_live()).ok_or_else(over)?;
    let item = state.item(run.item).ok_or_else(over)?;
    if item.is_terminal() || is_ending(state, item, id) {
        return Err(Refused::Conflict { what: "this run is being ended".to_owned(), fix: "stop here" });
    }
    if *cx.actor != Actor::Run(id) {
        return Err(invalid("the tools of a run are for its own agent", "an operator has `musher` itself"));
    }
    match tool {
        ToolUse::ReportProgress(text) => progressed(item, run, text, cx),
        ToolUse::AskOperator(text) => help::ask(item, run, text, cx),
        ToolUse::AddItem(wish) => mission::add_item(state, item, run, wish, cx),
        ToolUse::SubmitResult(submitted) => submit(item, run, submitted, cx),
        ToolUse::Review(verdict) => reviewed(item, run, verdict, cx),
        ToolUse::SendMessage(new) => message::send(state, item, run, new, cx),
        ToolUse::ReadMessages(call) => Ok(message::read(item, run, *call, cx)),
    }
}

/// Whether the run is being stopped, or its mission is over.
fn is_ending(state: &State, item: &Item, run: RunId) -> bool {
    let stops = |effect: &Effect| matches!(effect.kind, EffectKind::StopRun(of, _) if of == run);
    state.effects_of(item.id).any(stops) || state.mission(item.mission).is_none_or(|m| m.row.state.is_terminal())
}

fn invalid(what: impl Into<String>, fix: &str) -> Refused {
    Refused::Invalid { what: what.into(), fix: fix.to_owned() }
}

fn progressed(item: &Item, run: &Run, text: &str, cx: &mut Context) -> Result<Change, Refused> {
    let text = text.trim();
    if text.is_empty() || text.len() > LONGEST_PROGRESS {
        let what = format!("a word on progress of {} bytes; it has 1 to {LONGEST_PROGRESS}", text.len());
        return Err(invalid(what, "say in a line where you are"));
    }
    if run.progress.as_deref() == Some(text) {
        return Ok(Change::default());
    }
    let row = Run { progress: Some(text.into()), last_activity_at: Some(cx.now), ..run.clone() };
    let event = cx.about_run(item, run, Happened::ProgressReported { text: text.into() });
    Ok(Change { runs: vec![row], events: vec![event], ..Change::default() })
}

fn submit(item: &Item, run: &Run, submitted: &Submitted, cx: &mut Context) -> Result<Change, Refused> {
    let words = submitted.summary.len() + submitted.no_change_needed.as_deref().unwrap_or_default().len();
    // A planner's summary may be its plan.
    let most = if run.purpose == Purpose::Plan { plan::ANSWER_LIMIT } else { LONGEST_RESULT };
    if submitted.summary.trim().is_empty() || words > most {
        let what = format!("a result of {words} bytes; it has a summary, and at most {most} in all");
        return Err(invalid(what, "sum up what you did and what is left"));
    }
    if submitted.no_change_needed.as_deref().is_some_and(|why| why.trim().is_empty()) {
        return Err(invalid("`no_change_needed` gives no reason", "say why nothing has to change, or leave it out"));
    }
    let too_long = |artifact: &str| artifact.is_empty() || artifact.len() > LONGEST_ARTIFACT;
    if submitted.artifacts.len() > ARTIFACTS || submitted.artifacts.iter().any(|artifact| too_long(artifact)) {
        let what = format!("at most {ARTIFACTS} artifacts of 1 to {LONGEST_ARTIFACT} bytes each");
        return Err(invalid(what, "name folders, or only what matters"));
    }
    if run.submitted.as_deref() == Some(submitted) {
        return Ok(Change::default());
    }
    let row = Run { submitted: Some(Box::new(submitted.clone())), last_activity_at: Some(cx.now), ..run.clone() };
    let happened = Happened::ResultSubmitted {
        summary: submitted.summary.lines().next().unwrap_or_default().chars().take(200).collect::<String>().into(),
        no_change_needed: submitted.no_change_needed.clone(),
        artifacts: submitted.artifacts.clone(),
    };
    let event = cx.about_run(item, run, happened);
    Ok(Change { runs: vec![row], events: vec![event], ..Change::default() })
}

fn reviewed(item: &Item, run: &Run, verdict: &Verdict, cx: &mut Context) -> Result<Change, Refused> {
    if run.purpose != Purpose::Review {
        return Err(invalid("this run was not given a change to review", "submit_result ends a run that works"));
    }
    let (Verdict::Approved(text) | Verdict::Rejected(text)) = verdict;
    if text.len() > LONGEST_RESULT {
        let what = format!("a verdict of {} bytes; {LONGEST_RESULT} are the most", text.len());
        return Err(invalid(what, "say what matters"));
    }
    if matches!(verdict, Verdict::Rejected(text) if text.trim().is_empty()) {
        return Err(invalid("a rejection without a reason", "say what must be mended"));
    }
    let row = Run { verdict: Some(verdict.clone()), last_activity_at: Some(cx.now), ..run.clone() };
    let word = match verdict {
        Verdict::Approved(_) => "approved",
        Verdict::Rejected(_) => "rejected",
    };
    let event = cx.about_run(item, run, Happened::VerdictSubmitted { verdict: word.into(), text: text.clone() });
    Ok(Change { runs: vec![row], events: vec![event], ..Change::default() })
}

/// An outcome with what the agent has said of it through its tools: that it said on purpose.
pub(crate) fn in_its_words(run: &Run, outcome: &Outcome) -> Outcome {
    let Outcome::Finished { summary, no_change_needed, verdict } = outcome else { return outcome.clone() };
    // A planner may submit its plan, or talk about the plan that its last words hold.
    let is_result = |submitted: &&Submitted| run.purpose != Purpose::Plan || plan::holds_plan(&submitted.summary);
    let submitted = run.submitted.as_deref().filter(is_result);
    Outcome::Finished {
        summary: submitted.map_or(summary, |submitted| &submitted.summary).clone(),
        no_change_needed: submitted
            .and_then(|submitted| submitted.no_change_needed.clone())
            .or_else(|| no_change_needed.clone()),
        verdict: run.verdict.clone().or_else(|| verdict.clone()),
    }
}
