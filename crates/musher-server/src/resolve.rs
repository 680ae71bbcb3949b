//! From what a person types to an id: a full id, the beginning of one (four digits or more of the full or the short
//! form), `MISSION/key` for items, the name for agents.

use std::fmt::Display;
use std::str::FromStr;

use musher_core::id::{AgentId, ItemId, MissionId, RequestId, RunId, WatchId, matches_prefix};
use musher_core::nearest::nearest;
use musher_store::store::MAX_FOUND;
use musher_store::{Reader, StoreError};

use crate::api::Problem;
use crate::app::App;

/// The most active items among which a bare plan id is looked for, to say what was meant.
const LOOKED_AT: usize = 10_000;

/// What the store knows by a typed name: a full id as it is, if there is such a row.
fn by_id<T: FromStr + Copy, R>(
    typed: &str,
    row: impl FnOnce(T) -> Result<Option<R>, StoreError>,
    find: impl FnOnce(&str) -> Result<Vec<T>, StoreError>,
) -> Result<Vec<T>, StoreError> {
    match typed.parse::<T>() {
        Ok(id) => Ok(row(id)?.map(|_| id).into_iter().collect()),
        Err(_) => find(typed),
    }
}

/// The one that was found; otherwise a problem that says what was.
fn only<T: Copy>(
    noun: &str,
    typed: &str,
    found: &[(T, String)],
    unknown: impl FnOnce() -> Option<String>,
) -> Result<T, Problem> {
    match found {
        [(one, _)] => Ok(*one),
        [] => {
            let fix = unknown().unwrap_or_else(|| match typed.len() {
                0..4 => "type at least four digits of its id".to_owned(),
                _ => format!("`musher {noun} list` shows those that exist"),
            });
            Err(Problem::new(404, "not_found", format!("no {noun} `{typed}`")).fix(fix))
        }
        many => {
            let more = if many.len() >= MAX_FOUND { " or more" } else { "" };
            let what = format!("`{typed}` names {} {noun}s{more}", many.len());
            let mut problem = Problem::new(409, "ambiguous", what).fix("type more of its digits");
            problem.why = Some(many.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join("\n"));
            problem.candidates = many.iter().map(|(_, name)| name.clone()).collect();
            Err(problem)
        }
    }
}

fn named(id: impl Display, short: String, text: &str) -> String {
    format!("{short} ({text}), {id}")
}

/// A mission, archived or not.
pub(crate) async fn mission(app: &App, typed: &str) -> Result<MissionId, Problem> {
    let name = typed.to_owned();
    let found = app.readers().ask(move |reader| missions(reader, &name)).await?;
    let unknown = || (typed.len() >= 4).then(|| "`musher mission list --all` shows those that exist".to_owned());
    only("mission", typed, &found, unknown)
}

fn missions(reader: &dyn Reader, typed: &str) -> Result<Vec<(MissionId, String)>, StoreError> {
    let ids = by_id(typed, |id| reader.mission(id), |typed| reader.find_missions(typed))?;
    let with_goal = |id: MissionId| {
        let row = reader.mission(id)?;
        Ok((id, named(id, id.short(), row.as_ref().map(|r| &*r.goal).unwrap_or_default())))
    };
    ids.into_iter().map(with_goal).collect()
}

/// An item, of an archived mission or not.
pub(crate) async fn item(app: &App, typed: &str) -> Result<ItemId, Problem> {
    if let Some((of, key)) = typed.split_once('/') {
        let mission = mission(app, of).await?;
        return item_of(app, mission, typed, key).await;
    }
    let name = typed.to_owned();
    let found = app.readers().ask(move |reader| items(reader, &name)).await?;
    let hint = if found.is_empty() { by_bare_key(app, typed).await? } else { None };
    only("item", typed, &found, || hint)
}

/// An item that is named beside another: its plan id alone is enough when both are of one mission.
pub(crate) async fn item_beside(app: &App, other: ItemId, typed: &str) -> Result<ItemId, Problem> {
    let key = typed.to_owned();
    let same = app.read(move |state| {
        let mission = state.mission(state.item(other)?.mission)?;
        mission.items.iter().copied().find(|id| state.item(*id).is_some_and(|item| *item.key == *key))
    });
    match same.await? {
        Some(id) => Ok(id),
        None => item(app, typed).await,
    }
}

fn items(reader: &dyn Reader, typed: &str) -> Result<Vec<(ItemId, String)>, StoreError> {
    let ids = by_id(typed, |id| reader.item(id), |typed| reader.find_items(typed))?;
    let with_key = |id: ItemId| {
        let row = reader.item(id)?;
        Ok((id, named(id, id.short(), row.as_ref().map(|r| &*r.key).unwrap_or_default())))
    };
    ids.into_iter().map(with_key).collect()
}

/// An item of one mission, by its plan id or the beginning of its own.
async fn item_of(app: &App, mission: MissionId, typed: &str, key: &str) -> Result<ItemId, Problem> {
    let key = key.to_owned();
    let typed = typed.to_owned();
    let name = key.clone();
    let live = app.read(move |state| {
        let items = state.mission(mission)?.items.iter();
        items.copied().find(|id| state.item(*id).is_some_and(|item| *item.key == *name))
    });
    if let Some(id) = live.await? {
        return Ok(id);
    }
    let rows = app.readers().ask(move |reader| reader.items_of(mission)).await?;
    if let Some(row) = rows.iter().find(|row| *row.key == *key) {
        return Ok(row.id);
    }
    let found: Vec<_> = rows
        .iter()
        .filter(|row| matches_prefix(&row.id.to_string(), &row.id.short(), &key))
        .map(|row| (row.id, named(row.id, row.id.short(), &row.key)))
        .collect();
    only("item", &typed, &found, || {
        let known = rows.iter().map(|row| &*row.key);
        let near = nearest(&key, known).map(|near| format!("did you mean `{}/{near}`?", mission.short()));
        near.or_else(|| Some(format!("`musher mission status {}` shows its items", mission.short())))
    })
}

/// What was meant by a plan id without its mission.
async fn by_bare_key(app: &App, typed: &str) -> Result<Option<String>, Problem> {
    let typed = typed.to_owned();
    app.read(move |state| {
        let items = || {
            let ids = state.missions().flat_map(|entry| entry.items.iter().copied()).take(LOOKED_AT);
            ids.filter_map(|id| state.item(id))
        };
        let near = nearest(&typed, items().map(|item| &*item.key))?;
        let item = items().find(|item| &*item.key == near)?;
        Some(format!("did you mean `{}/{near}`?", item.mission.short()))
    })
    .await
}

/// A run, live or over.
pub(crate) async fn run(app: &App, typed: &str) -> Result<RunId, Problem> {
    let name = typed.to_owned();
    let found = app
        .readers()
        .ask(move |reader| {
            let ids = by_id(&name, |id| reader.run(id), |typed| reader.find_runs(typed))?;
            Ok(ids.into_iter().map(|id| (id, named(id, id.short(), "run"))).collect::<Vec<_>>())
        })
        .await?;
    only("run", typed, &found, || Some("`musher item show ITEM` shows the runs of an item".to_owned()))
}

/// What a running agent asks, answered or not. The questions of a run are gone when it is over.
pub(crate) async fn request(app: &App, typed: &str) -> Result<RequestId, Problem> {
    let typed = typed.to_owned();
    app.read(move |state| {
        let found: Vec<_> = state
            .runs()
            .into_iter()
            .flat_map(|run| {
                let permissions = run.requests.iter().map(|request| (request.id, request.ask.action.text()));
                permissions.chain(run.help.iter().map(|request| (request.id, request.text.to_string())))
            })
            .filter(|(id, _)| matches_prefix(&id.to_string(), &id.short(), &typed))
            .map(|(id, text)| (id, named(id, id.short(), &text)))
            .collect();
        let gone = || "`musher inbox` shows what waits; the questions of a run that is over need no answer".to_owned();
        only("request", &typed, &found, || Some(gone()))
    })
    .await?
}

/// A watch of an active mission.
pub(crate) async fn watch(app: &App, typed: &str) -> Result<WatchId, Problem> {
    let typed = typed.to_owned();
    app.read(move |state| {
        let found: Vec<_> = state
            .watches()
            .filter(|watch| matches_prefix(&watch.id.to_string(), &watch.id.short(), &typed))
            .map(|watch| (watch.id, named(watch.id, watch.id.short(), watch.kind.name())))
            .collect();
        only("watch", &typed, &found, || {
            (typed.len() >= 4).then(|| "`musher watch list --all` shows those that exist".to_owned())
        })
    })
    .await?
}

/// An agent that was not removed: by its name, or by its id.
pub(crate) async fn agent(app: &App, typed: &str) -> Result<AgentId, Problem> {
    let typed = typed.to_owned();
    app.read(move |state| {
        if let Some(agent) = state.agent_named(&typed) {
            return Ok(agent.id);
        }
        let known = || state.agents().filter(|a| !a.removed);
        let found: Vec<_> = known()
            .filter(|a| matches_prefix(&a.id.to_string(), &a.id.short(), &typed))
            .map(|a| (a.id, a.spec.name.to_string()))
            .collect();
        only("agent", &typed, &found, || {
            let near = nearest(&typed, known().map(|a| &*a.spec.name)).map(|near| format!("did you mean `{near}`?"));
            near.or_else(|| Some("`musher agent list` shows those that exist".to_owned()))
        })
    })
    .await?
}
