//! Triggers: list, add, look at, try, switch on and off, remove.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use axum::extract::State;
use axum::http::StatusCode;
use musher_core::command::Command;
use musher_core::firing::FiringOf;
use musher_core::id::{AgentId, ItemId, Seq, TriggerId};
use musher_core::item::Item;
use musher_core::nearest::nearest;
use musher_core::trigger::{Predicate, Rehearsal, Trigger, TriggerSpec, Would};
use musher_store::{EventFilter, Reader, StoreError};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::actions::action_of;
use super::schedules::MOST_FIRINGS;
use crate::api::{FiringQuery, Firings, NewTrigger, Problem, Trial, TrialQuery, Tried, TriggerDocument, Triggers};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::{Asked, Json, Name};
use crate::view;
use crate::view::action::ActionWish;

/// How many events one trial looks at.
const MOST_TRIED: u32 = 10_000;
/// How many events one trial answers with.
const MOST_ANSWERED: u32 = 1_000;

type Answered<T> = Result<axum::Json<T>, Problem>;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(add))
        .routes(routes!(show))
        .routes(routes!(history))
        .routes(routes!(test))
        .routes(routes!(enable))
        .routes(routes!(disable))
        .routes(routes!(remove))
}

/// Lists triggers
#[utoipa::path(get, path = "/v1/triggers", tag = "triggers",
    responses((status = 200, body = Triggers), (status = "default", body = Problem)))]
async fn list(State(app): State<App>) -> Answered<Triggers> {
    Ok(axum::Json(Triggers { triggers: app.read(view::trigger::triggers).await? }))
}

/// Adds a trigger, which sees what happens from now on
#[utoipa::path(post, path = "/v1/triggers", tag = "triggers", request_body = NewTrigger,
    responses((status = 201, body = TriggerDocument), (status = "default", body = Problem)))]
async fn add(
    State(app): State<App>,
    caller: Caller,
    Json(wish): Json<NewTrigger>,
) -> Result<(StatusCode, axum::Json<TriggerDocument>), Problem> {
    let spec = spec_of(wish)?;
    let name = spec.name.clone();
    app.send(&caller, Command::AddTrigger(Box::new(spec))).await?;
    let (_, document) = find(&app, &name).await?;
    Ok((StatusCode::CREATED, axum::Json(document)))
}

/// Shows a trigger
#[utoipa::path(get, path = "/v1/triggers/{name}", tag = "triggers", params(("name" = String, Path)),
    responses((status = 200, body = TriggerDocument), (status = "default", body = Problem)))]
async fn show(State(app): State<App>, Name(typed): Name) -> Answered<TriggerDocument> {
    find(&app, &typed).await.map(|(_, document)| axum::Json(document))
}

/// Lists the firings of a trigger, newest first
#[utoipa::path(get, path = "/v1/triggers/{name}/firings", tag = "triggers", params(("name" = String, Path), FiringQuery),
    responses((status = 200, body = Firings), (status = "default", body = Problem)))]
async fn history(State(app): State<App>, Name(typed): Name, Asked(query): Asked<FiringQuery>) -> Answered<Firings> {
    let (row, _) = find(&app, &typed).await?;
    let limit = query.limit.clamp(1, MOST_FIRINGS);
    let rows = app.readers().ask(move |reader| reader.firings_of(FiringOf::Trigger(row.id), limit)).await?;
    Ok(axum::Json(Firings { firings: rows.iter().map(view::schedule::firing).collect() }))
}

/// Tells what a trigger would have done on events of the log; changes nothing
#[utoipa::path(get, path = "/v1/triggers/{name}/test", tag = "triggers", params(("name" = String, Path), TrialQuery),
    responses((status = 200, body = Trial), (status = "default", body = Problem)))]
async fn test(State(app): State<App>, Name(typed): Name, Asked(query): Asked<TrialQuery>) -> Answered<Trial> {
    let (row, _) = find(&app, &typed).await?;
    let agents = app
        .read(|state| state.agents().map(|agent| (agent.id, agent.spec.name.to_string())).collect::<HashMap<_, _>>())
        .await?;
    let trial = app.readers().ask(move |reader| try_out(reader, &row, &agents, query)).await?;
    Ok(axum::Json(trial))
}

/// Shows a trigger the events of the log. Items are as they are now.
fn try_out(
    reader: &dyn Reader,
    row: &Trigger,
    agents: &HashMap<AgentId, String>,
    query: TrialQuery,
) -> Result<Trial, StoreError> {
    let most = query.limit.clamp(1, MOST_ANSWERED) as usize;
    let filter = EventFilter { after: Seq(query.since), limit: MOST_TRIED, ..EventFilter::default() };
    let events = reader.events(&filter)?;
    let last = reader.last_seq()?.0;
    let mut rehearsal = Rehearsal::of(row);
    let mut items: HashMap<ItemId, Option<Item>> = HashMap::new();
    let mut trial = Trial { tried: Vec::new(), fires: 0, until: query.since, more: false };
    for logged in events {
        let item = match logged.event.item {
            Some(id) => {
                let known = match items.entry(id) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(place) => place.insert(reader.item(id)?),
                };
                known.as_ref()
            }
            None => None,
        };
        let agent = logged.event.agent.and_then(|id| agents.get(&id)).map(String::as_str);
        trial.until = logged.seq.0;
        let not = match rehearsal.see(&logged.event, item, agent) {
            None => continue,
            Some(Would::Fire) => {
                trial.fires += 1;
                None
            }
            Some(Would::Not(why)) => Some(why),
        };
        trial.tried.push(Tried { event: view::event::event(logged), not });
        if trial.tried.len() == most {
            break;
        }
    }
    trial.more = trial.until < last;
    Ok(trial)
}

/// Lets a trigger see events again, those from now on; also one that is used up, or is paused after failures
#[utoipa::path(post, path = "/v1/triggers/{name}/enable", tag = "triggers", params(("name" = String, Path)),
    responses((status = 200, body = TriggerDocument), (status = "default", body = Problem)))]
async fn enable(State(app): State<App>, caller: Caller, Name(typed): Name) -> Answered<TriggerDocument> {
    send(&app, &caller, &typed, Command::EnableTrigger).await
}

/// Lets a trigger see no events; what of it waits is cancelled
#[utoipa::path(post, path = "/v1/triggers/{name}/disable", tag = "triggers", params(("name" = String, Path)),
    responses((status = 200, body = TriggerDocument), (status = "default", body = Problem)))]
async fn disable(State(app): State<App>, caller: Caller, Name(typed): Name) -> Answered<TriggerDocument> {
    send(&app, &caller, &typed, Command::DisableTrigger).await
}

/// Removes a trigger that an operator has added; its history stays
#[utoipa::path(delete, path = "/v1/triggers/{name}", tag = "triggers", params(("name" = String, Path)),
    responses((status = 200, body = Triggers), (status = "default", body = Problem)))]
async fn remove(State(app): State<App>, caller: Caller, Name(typed): Name) -> Answered<Triggers> {
    let (row, _) = find(&app, &typed).await?;
    app.send(&caller, Command::RemoveTrigger(row.id)).await?;
    list(State(app)).await
}

async fn send(
    app: &App,
    caller: &Caller,
    typed: &str,
    command: impl FnOnce(TriggerId) -> Command,
) -> Answered<TriggerDocument> {
    let (row, _) = find(app, typed).await?;
    app.send(caller, command(row.id)).await?;
    find(app, typed).await.map(|(_, document)| axum::Json(document))
}

/// The trigger of this name.
async fn find(app: &App, typed: &str) -> Result<(Trigger, TriggerDocument), Problem> {
    let name = typed.to_owned();
    let found = app
        .read(move |state| {
            let there = |row: &&Trigger| !row.removed;
            match state.trigger_named(&name).filter(there) {
                Some(row) => Ok((row.clone(), TriggerDocument { trigger: view::trigger::trigger(state, row) })),
                None => {
                    let names = state.triggers().filter(there).map(|row| &*row.spec.name);
                    Err(nearest(&name, names).map(str::to_owned))
                }
            }
        })
        .await?;
    found.map_err(|near| {
        let fix = near.map(|near| format!("did you mean `{near}`?"));
        let fix = fix.unwrap_or_else(|| "`musher trigger list` shows those that exist".to_owned());
        Problem::new(404, "not_found", format!("no trigger `{typed}`")).fix(fix)
    })
}

/// What was asked for, checked as far as it needs no state.
fn spec_of(wish: NewTrigger) -> Result<TriggerSpec, Problem> {
    let does = ActionWish {
        prompt: wish.prompt,
        agent: wish.agent,
        plan: wish.plan,
        plan_file: wish.plan_file,
        note: wish.note,
        mission: wish.mission,
    };
    let on = wish.on;
    Ok(TriggerSpec {
        name: wish.name.into(),
        on: Predicate {
            kinds: on.kinds.into_iter().map(Into::into).collect(),
            mission: on.mission.map(Into::into),
            item: on.item.map(Into::into),
            agent: on.agent.map(Into::into),
            from_state: on.from_state.map(Into::into),
            to_state: on.to_state.map(Into::into),
            label: on.label.map(Into::into),
            text: on.text.map(Into::into),
        },
        action: action_of("the trigger", does)?,
        mode: wish.mode.unwrap_or_default(),
        max_fires: wish.max_fires,
        cooldown_secs: wish.cooldown_secs.unwrap_or(0),
        expires: wish.expires,
        enabled: wish.enabled.unwrap_or(true),
        policy: wish.policy.unwrap_or_default(),
    })
}
