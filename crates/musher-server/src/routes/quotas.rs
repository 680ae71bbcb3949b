//! Quotas and costs.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use musher_core::command::{Command, Refused};
use musher_core::id::AgentId;
use musher_core::nearest::nearest;
use musher_core::quota::period::{day_name, zone};
use musher_core::quota::{self, Scope, Setting};
use musher_core::run::Usage;
use musher_store::{By, Reader, Spent, SpentOn, StoreError};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{Cost, CostEntry, CostQuery, Problem, QuotaWish, Quotas};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::{Asked, Json, Name};
use crate::{problem, resolve, view};

type Answered<T> = Result<axum::Json<T>, Problem>;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(set)).routes(routes!(cost))
}

/// Lists the quotas: what is limited, what is used and what is left
#[utoipa::path(get, path = "/v1/quotas", tag = "quotas",
    responses((status = 200, body = Quotas), (status = "default", body = Problem)))]
async fn list(State(app): State<App>) -> Answered<Quotas> {
    let now = app.engine().now();
    Ok(axum::Json(app.read(move |state| view::quota::quotas(state, None, now)).await?))
}

/// Sets a quota; it holds over the configuration until `default` takes it back
#[utoipa::path(post, path = "/v1/quotas/{scope}", tag = "quotas", params(("scope" = String, Path)),
    request_body = QuotaWish, responses((status = 200, body = Quotas), (status = "default", body = Problem)))]
async fn set(
    State(app): State<App>,
    caller: Caller,
    Name(typed): Name,
    Json(wish): Json<QuotaWish>,
) -> Answered<Quotas> {
    let scope = scope(&app, &typed).await?;
    let setting = Setting::parse(&scope, &wish.key, &wish.value).map_err(refused)?;
    app.send(&caller, Command::SetQuota(scope.clone(), setting)).await?;
    let now = app.engine().now();
    Ok(axum::Json(app.read(move |state| view::quota::quotas(state, Some(&scope), now)).await?))
}

fn refused(refused: Refused) -> Problem {
    problem::of_refusal(&refused)
}

/// The scope that a person typed; missions and agents are named as everywhere.
async fn scope(app: &App, typed: &str) -> Result<Scope, Problem> {
    match typed.split_once(':') {
        Some(("mission", name)) => {
            let id = resolve::mission(app, name).await?;
            if !app.read(move |state| state.mission(id).is_some()).await? {
                let what = format!("the mission `{}` is over and archived: it uses nothing more", id.short());
                let fix = "`musher mission list` shows those that go on";
                return Err(Problem::new(409, "refused", what).fix(fix));
            }
            Ok(Scope::Mission(id))
        }
        Some(("model", name)) if !name.is_empty() => {
            let known = app.read(quota::models).await?;
            known.contains(name).then(|| Scope::Model(name.into())).ok_or_else(|| unknown_model(name, &known))
        }
        Some(("agent", name)) => {
            let id = resolve::agent(app, name).await?;
            let name = app.read(move |state| state.agent(id).map(|agent| agent.spec.name.clone())).await?;
            Ok(Scope::Agent(name.unwrap_or_default()))
        }
        Some(_) | None => typed.parse().map_err(|error: musher_core::quota::NotAScope| {
            let words = ["workspace", "repo", "mission", "agent", "model"];
            let sort = typed.split(':').next().unwrap_or_default();
            let near = nearest(sort, words.into_iter()).map(|near| format!("did you mean `{near}`?"));
            let all = || "`musher quota` shows the scopes that there are".to_owned();
            Problem::new(422, "invalid", error.to_string()).fix(near.unwrap_or_else(all))
        }),
    }
}

/// How many models are named to somebody who has named another.
const MODELS_NAMED: usize = 20;

fn unknown_model(name: &str, known: &BTreeSet<Box<str>>) -> Problem {
    let some = known.iter().take(MODELS_NAMED).map(|model| format!("`{model}`")).collect::<Vec<_>>().join(", ");
    let near = nearest(name, known.iter().map(|model| &**model)).map(|near| format!("did you mean `{near}`? "));
    let there = if some.is_empty() { "no agent has a model yet".to_owned() } else { format!("there are {some}") };
    let beforehand = format!("`[quota.model.\"{name}\"]` in musher.toml limits one beforehand");
    Problem::new(404, "not_found", format!("no agent uses a model `{name}`"))
        .fix(format!("{}{there}; {beforehand}", near.unwrap_or_default()))
}

const WAYS: [&str; 5] = ["mission", "item", "agent", "model", "day"];

/// Adds up what everything has cost, from all that was ever recorded
#[utoipa::path(get, path = "/v1/cost", tag = "quotas", params(CostQuery),
    responses((status = 200, body = Cost), (status = "default", body = Problem)))]
async fn cost(State(app): State<App>, Asked(query): Asked<CostQuery>) -> Answered<Cost> {
    let way = query.by.as_deref().unwrap_or("mission");
    let by = match way {
        "mission" => By::Mission,
        "item" => By::Item,
        "agent" => By::Agent,
        "model" => By::Model,
        "day" => By::Quarter,
        other => {
            let near = nearest(other, WAYS.into_iter()).map(|near| format!("did you mean `{near}`?"));
            let all = || format!("one of {}", WAYS.join(", "));
            return Err(Problem::new(422, "invalid", format!("costs are not added up by `{other}`"))
                .fix(near.unwrap_or_else(all)));
        }
    };
    let (agents, timezone) = app
        .read(|state| {
            let agents = state.agents().map(|agent| (agent.id, agent.spec.name.to_string()));
            (agents.collect::<BTreeMap<_, _>>(), state.settings().quota.timezone.clone())
        })
        .await?;
    let rows = app
        .readers()
        .ask(move |reader| {
            let spent = reader.spent(by)?;
            if by == By::Quarter { Ok(days(spent, &timezone)) } else { named(reader, spent, &agents) }
        })
        .await?;
    let total = rows.iter().fold(Usage::default(), |sum, (_, _, usage)| sum.plus(*usage));
    let mut entries: Vec<CostEntry> =
        rows.into_iter().map(|(id, name, usage)| view::quota::entry(id, name, usage)).collect();
    if by != By::Quarter {
        entries
            .sort_by_key(|entry| std::cmp::Reverse((entry.cost_micro_usd, entry.input_tokens + entry.output_tokens)));
    }
    let total = view::quota::entry("total".to_owned(), "total".to_owned(), total);
    Ok(axum::Json(Cost { by: way.to_owned(), entries, total }))
}

type Row = (String, String, Usage);

/// Quarters of an hour as days of the zone.
fn days(spent: Vec<Spent>, timezone: &str) -> Vec<Row> {
    let zone = zone(timezone).or_else(|| zone(""));
    let mut days: BTreeMap<String, Usage> = BTreeMap::new();
    for Spent { on, usage } in spent {
        let day = match (&on, &zone) {
            (SpentOn::Quarter(at), Some(zone)) => day_name(*at, zone),
            _ => UNKNOWN.to_owned(),
        };
        let sum = days.entry(day).or_default();
        *sum = sum.plus(usage);
    }
    days.into_iter().map(|(day, usage)| (day.clone(), day, usage)).collect()
}

const UNKNOWN: &str = "unknown";

fn named(reader: &dyn Reader, spent: Vec<Spent>, agents: &BTreeMap<AgentId, String>) -> Result<Vec<Row>, StoreError> {
    let name = |on: &SpentOn| {
        Ok(match on {
            SpentOn::Mission(id) => {
                let goal = reader.mission(*id)?.map(|row| row.goal.to_string());
                (id.to_string(), format!("{} {}", id.short(), goal.unwrap_or_default()).trim_end().to_owned())
            }
            SpentOn::Item(id) => {
                let item = reader.item(*id)?;
                let name = item.map_or_else(|| id.short(), |item| format!("{}/{}", item.mission.short(), item.key));
                (id.to_string(), name)
            }
            SpentOn::Agent(id) => (id.to_string(), agents.get(id).cloned().unwrap_or_else(|| id.short())),
            SpentOn::Model(name) => (name.clone(), name.clone()),
            SpentOn::Quarter(at) => (at.to_string(), at.to_string()),
            SpentOn::Unknown => (UNKNOWN.to_owned(), UNKNOWN.to_owned()),
        })
    };
    spent.into_iter().map(|row| name(&row.on).map(|(id, name)| (id, name, row.usage))).collect()
}
