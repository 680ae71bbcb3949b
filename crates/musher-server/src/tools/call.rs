//! A use of a tool: arguments in, a command or a look at the state, words for the agent out.

use musher_core::change::TextKey;
use musher_core::command::{Actor, Answer, Command};
use musher_core::help::HelpAnswer;
use musher_core::id::{CallId, ItemId, RequestId, RunId};
use musher_core::message::NewMessage;
use musher_core::mission;
use musher_core::note;
use musher_core::run::Verdict;
use musher_core::state::State;
use musher_core::tool::{NAMES, Submitted, ToolUse};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::arguments::{self as takes};
use crate::api::Problem;
use crate::app::App;
use crate::{problem, view};

/// What came of a use.
#[derive(Debug)]
pub(super) enum Said {
    /// Words for the agent.
    Text(String),
    /// The daemon goes before there is an answer: ask again.
    Again,
}

/// Uses a tool in the name of a run.
///
/// # Errors
/// In words for the agent: arguments that make no sense, or what the rules refuse.
pub(super) async fn call(app: &App, run: RunId, name: &str, arguments: Value, call: CallId) -> Result<Said, Problem> {
    let text = match name {
        "list_items" => {
            let takes::ListItems {} = read(arguments)?;
            list(app, run).await?
        }
        "get_item" => {
            let takes::GetItem { key } = read(arguments)?;
            get(app, run, key).await?
        }
        "ask_operator" => {
            let takes::AskOperator { question } = read(arguments)?;
            return ask(app, run, question).await;
        }
        _ => told(name, send(app, run, tool(name, arguments, call)?).await?),
    };
    Ok(Said::Text(text))
}

/// The change that a use asks for.
fn tool(name: &str, arguments: Value, call: CallId) -> Result<ToolUse, Problem> {
    let boxed = |list: Vec<String>| list.into_iter().map(Into::into).collect::<Box<[Box<str>]>>();
    Ok(match name {
        "report_progress" => {
            let takes::ReportProgress { text } = read(arguments)?;
            ToolUse::ReportProgress(text.into())
        }
        "add_item" => {
            let wish: takes::AddItem = read(arguments)?;
            ToolUse::AddItem(Box::new(mission::AddItem {
                call,
                title: wish.title.into(),
                body: wish.body.into(),
                kind: wish.kind.into(),
                role: wish.role.map(Into::into),
                labels: boxed(wish.labels),
                touches: boxed(wish.touches),
                depends_on: wish.depends_on.map(|keys| keys.into_iter().map(Into::into).collect()),
            }))
        }
        "submit_result" => {
            let takes::SubmitResult { summary, no_change_needed, artifacts } = read(arguments)?;
            ToolUse::SubmitResult(Box::new(Submitted {
                summary: summary.into(),
                no_change_needed: no_change_needed.map(Into::into),
                artifacts: boxed(artifacts),
            }))
        }
        "review" => {
            let takes::Review { verdict, text } = read(arguments)?;
            ToolUse::Review(match verdict {
                takes::Verdict::Approved => Verdict::Approved(text.into()),
                takes::Verdict::Rejected => Verdict::Rejected(text.into()),
            })
        }
        "send_message" => {
            let takes::SendMessage { to, text, kind, priority } = read(arguments)?;
            let (sort, urgency) = (kind.into(), priority.into());
            ToolUse::SendMessage(Box::new(NewMessage { id: call, to: to.into(), sort, urgency, text: text.into() }))
        }
        "read_messages" => {
            let takes::ReadMessages {} = read(arguments)?;
            ToolUse::ReadMessages(call)
        }
        _ => {
            return Err(Problem::new(404, "no_tool", format!("there is no tool `{name}`"))
                .fix(format!("the tools are {}", NAMES.join(", "))));
        }
    })
}

fn read<T: DeserializeOwned>(arguments: Value) -> Result<T, Problem> {
    serde_json::from_value(arguments)
        .map_err(|error| Problem::new(422, "invalid", format!("the arguments make no sense: {error}")))
}

async fn send(app: &App, run: RunId, tool: ToolUse) -> Result<Answer, Problem> {
    let command = Command::UseTool(run, Box::new(tool));
    app.engine().send(Actor::Run(run), command).await.map_err(problem::of_engine)
}

/// The answer in words.
fn told(name: &str, answer: Answer) -> String {
    match answer {
        Answer::Item(id) => format!("The item was added; its id is {}.", id.short()),
        Answer::Messages(messages) if messages.is_empty() => "There are no new messages.".to_owned(),
        Answer::Messages(messages) => {
            let told = |message: &musher_core::message::Message| {
                json!({
                    "from": message.from,
                    "kind": message.sort.name(),
                    "priority": message.urgency.name(),
                    "sent_at": message.sent_at,
                    "text": message.text,
                })
            };
            Value::Array(messages.iter().map(told).collect()).to_string()
        }
        Answer::Done
        | Answer::Mission(_)
        | Answer::Agent(_)
        | Answer::Schedule(_)
        | Answer::Trigger(_)
        | Answer::Watch(_)
        | Answer::Note(_)
        | Answer::Help(_)
        | Answer::Webhook(_)
        | Answer::Relayed(_) => match name {
            "submit_result" => "The result is noted. The work is checked once you have ended.".to_owned(),
            "review" => "The verdict is noted. It counts once you have ended.".to_owned(),
            _ => "Done.".to_owned(),
        },
    }
}

/// Asks the operator, and waits for the answer, the end of the run, or the end of the daemon.
async fn ask(app: &App, run: RunId, question: String) -> Result<Said, Problem> {
    let Answer::Help(id) = send(app, run, ToolUse::AskOperator(question.into())).await? else {
        return Err(Problem::new(500, "defect", "a defect of musher: a question without a request"));
    };
    let (mut seq, mut closing) = (app.engine().seq(), app.closing());
    loop {
        seq.borrow_and_update();
        match app.read(move |state| answered(state, run, id)).await? {
            Asked::Waits => {}
            Asked::Answered(answer) => return Ok(Said::Text(format!("{} answers: {}", answer.by, answer.text))),
            Asked::Over => return Err(Problem::new(409, "ended", "the run is over; nobody waits for an answer")),
        }
        tokio::select! {
            changed = seq.changed() => if changed.is_err() { return Ok(Said::Again) },
            _ = closing.wait_for(|closing| *closing) => return Ok(Said::Again),
        }
    }
}

enum Asked {
    Waits,
    Answered(HelpAnswer),
    Over,
}

fn answered(state: &State, run: RunId, id: RequestId) -> Asked {
    let Some(run) = state.run(run) else { return Asked::Over };
    match run.help.iter().find(|request| request.id == id) {
        Some(request) => request.answer.clone().map_or(Asked::Waits, Asked::Answered),
        None => Asked::Over,
    }
}

fn own(state: &State, run: RunId) -> Option<(&musher_core::state::MissionEntry, &musher_core::item::Item)> {
    let item = state.item(state.run(run)?.item)?;
    Some((state.mission(item.mission)?, item))
}

fn over() -> Problem {
    Problem::new(409, "ended", "the run is over")
}

/// The most items that are listed: more is nothing that an agent could use.
const LISTED: usize = 200;

async fn list(app: &App, run: RunId) -> Result<String, Problem> {
    app.read(move |state| {
        let (mission, own) = own(state, run)?;
        let items = mission.items.iter().filter_map(|id| state.item(*id)).take(LISTED).map(|item| {
            let document = view::item::item(item, state);
            json!({
                "key": document.key, "title": document.title, "state": document.state, "reason": document.reason,
                "depends_on": document.depends_on, "agent": document.agent, "yours": item.id == own.id,
            })
        });
        let items: Vec<Value> = items.collect();
        let more = mission.items.len().saturating_sub(items.len());
        Some(json!({"goal": mission.row.goal, "items": items, "not_listed": more}).to_string())
    })
    .await?
    .ok_or_else(over)
}

async fn get(app: &App, run: RunId, key: String) -> Result<String, Problem> {
    let found = app
        .read(move |state| {
            let (mission, _) = own(state, run).ok_or_else(over)?;
            let key: String = key.chars().take(128).collect();
            let item = note::named(state, mission, &key).map_err(|refused| problem::of_refusal(&refused))?;
            Ok::<(ItemId, crate::api::Item), Problem>((item.id, view::item::item(item, state)))
        })
        .await?;
    let (id, item) = found?;
    let (body, summary) = app
        .readers()
        .ask(move |reader| Ok((reader.text(TextKey::Body(id))?, reader.text(TextKey::Summary(id))?)))
        .await?;
    let document = json!({
        "key": item.key, "title": item.title, "state": item.state, "reason": item.reason, "kind": item.kind,
        "role": item.role, "depends_on": item.depends_on, "agent": item.agent, "branch": item.branch,
        "commit": item.commit, "body": body, "result": summary,
    });
    Ok(document.to_string())
}
