//! Items: look at, steer, judge.

use axum::extract::State;
use musher_core::change::TextKey;
use musher_core::command::{Answer, Command};
use musher_core::id::ItemId;
use musher_core::item::{Item, Phase};
use musher_core::nearest::nearest;
use musher_core::run::Run;
use musher_engine::job;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{
    Diff, Explanation, ItemDocument, ItemQuery, ItemShow, Items, Problem, Reason, Rejection, Successor, Words,
};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::{Asked, Json, Name};
use crate::resolve;
use crate::view::{self, Archive};

/// How many items a list has when nothing is said.
const USUAL: usize = 1_000;
/// How many items a list has at most.
const MOST: usize = 100_000;
/// How many items one look at the state goes through.
const AT_ONCE: usize = 2_000;

type Answered<T> = Result<axum::Json<T>, Problem>;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(explain))
        .routes(routes!(diff))
        .routes(routes!(retry))
        .routes(routes!(failover))
        .routes(routes!(hold))
        .routes(routes!(release))
        .routes(routes!(freeze))
        .routes(routes!(demote))
        .routes(routes!(supersede))
        .routes(routes!(reopen))
        .routes(routes!(skip))
        .routes(routes!(cancel))
        .routes(routes!(approve))
        .routes(routes!(reject))
        .routes(routes!(discard))
}

/// Lists items
#[utoipa::path(get, path = "/v1/items", tag = "items", params(ItemQuery),
    responses((status = 200, body = Items), (status = "default", body = Problem)))]
async fn list(State(app): State<App>, Asked(query): Asked<ItemQuery>) -> Answered<Items> {
    let phases = phases(query.state.as_deref())?;
    let limit = query.limit.unwrap_or(USUAL).min(MOST);
    let mission = match &query.mission {
        Some(typed) => Some(resolve::mission(&app, typed).await?),
        None => None,
    };
    let ids: Vec<ItemId> = app
        .read(move |state| match mission {
            Some(id) => state.mission(id).map(|entry| entry.items.clone()).unwrap_or_default(),
            None => state.missions().flat_map(|entry| entry.items.iter().copied()).collect(),
        })
        .await?;
    let mut items = Vec::new();
    let wanted = |item: &Item, phases: &[Phase]| phases.is_empty() || phases.contains(&item.phase());
    if ids.is_empty()
        && let Some(id) = mission
    {
        let names = app.read(view::agent_names).await?;
        let (_, rows) = super::missions::archived(&app, id).await?;
        let lookup = Archive::of(names, &rows);
        let rows = rows.iter().filter(|row| wanted(row, &phases)).take(limit + 1);
        items.extend(rows.map(|row| view::item::item(row, &lookup)));
    }
    for some in ids.chunks(AT_ONCE) {
        if items.len() > limit {
            break;
        }
        let (some, phases) = (some.to_vec(), phases.clone());
        let more = app
            .read(move |state| {
                let rows = some.iter().filter_map(|id| state.item(*id)).filter(|row| wanted(row, &phases));
                rows.map(|row| view::item::item(row, state)).collect::<Vec<_>>()
            })
            .await?;
        items.extend(more);
    }
    let more = items.len() > limit;
    items.truncate(limit);
    Ok(axum::Json(Items { items, more }))
}

fn phases(words: Option<&str>) -> Result<Vec<Phase>, Problem> {
    let words = words.unwrap_or_default().split(',').map(str::trim).filter(|word| !word.is_empty());
    words
        .map(|word| {
            let known = || Phase::ALL.iter().map(|p| p.name());
            Phase::ALL.into_iter().find(|p| p.name() == word).ok_or_else(|| {
                let problem = Problem::new(422, "invalid", format!("`{word}` is no state of an item"));
                match nearest(word, known()) {
                    Some(near) => problem.fix(format!("did you mean `{near}`?")),
                    None => problem.fix(format!("one of {}", known().collect::<Vec<_>>().join(", "))),
                }
            })
        })
        .collect()
}

/// The texts of an item that are on disk.
#[derive(Clone)]
struct Texts {
    /// Its prompt.
    body: Option<String>,
    /// What its next run is told of the last failure.
    lesson: Option<String>,
    /// The plan file that it came to.
    plan: Option<String>,
}

/// An item with its runs and its prompt, from wherever it is.
async fn found(app: &App, id: ItemId) -> Result<ItemShow, Problem> {
    let (stored, runs, texts) = app
        .readers()
        .ask(move |reader| {
            let item = reader.item(id)?;
            let failed = item.as_ref().and_then(|item| item.fix).map(musher_core::item::Fix::run);
            let lesson = failed.map(|run| reader.text(TextKey::Lesson(run))).transpose()?.flatten();
            let texts = Texts { body: reader.text(TextKey::Body(id))?, lesson, plan: reader.text(TextKey::Plan(id))? };
            Ok((item, reader.runs_of(id)?, texts))
        })
        .await?;
    let paths = app.engine().paths().clone();
    let kept = (runs.clone(), texts.clone());
    let live = app
        .read(move |state| {
            let row = state.item(id)?;
            Some(shown(view::item::item_alone(row, state, &paths), &runs, texts, state))
        })
        .await?;
    if let Some(show) = live {
        return Ok(show);
    }
    let row = stored.ok_or_else(|| Problem::new(404, "not_found", format!("no item `{}`", id.short())))?;
    let names = app.read(view::agent_names).await?;
    let (_, items) = super::missions::archived(app, row.mission).await?;
    let lookup = Archive::of(names, &items);
    let (runs, texts) = kept;
    Ok(shown(view::item::item_alone(&row, &lookup, app.engine().paths()), &runs, texts, &lookup))
}

fn shown(item: crate::api::Item, runs: &[Run], texts: Texts, lookup: &impl view::Lookup) -> ItemShow {
    let waits = lookup.waits(item.id);
    let Texts { body, lesson, plan } = texts;
    ItemShow { item, runs: runs.iter().map(|run| view::run::run(run, lookup)).collect(), waits, body, lesson, plan }
}

/// Shows an item with its runs and waits
#[utoipa::path(get, path = "/v1/items/{id}", tag = "items", params(("id" = String, Path)),
    responses((status = 200, body = ItemShow), (status = "default", body = Problem)))]
async fn show(State(app): State<App>, Name(typed): Name) -> Answered<ItemShow> {
    let id = resolve::item(&app, &typed).await?;
    Ok(axum::Json(found(&app, id).await?))
}

/// Says why an item is where it is
#[utoipa::path(get, path = "/v1/items/{id}/explain", tag = "items", params(("id" = String, Path)),
    responses((status = 200, body = Explanation), (status = "default", body = Problem)))]
async fn explain(State(app): State<App>, Name(typed): Name) -> Answered<Explanation> {
    let id = resolve::item(&app, &typed).await?;
    if let Some(explanation) = app.read(move |state| view::item::explanation(state, id)).await? {
        return Ok(axum::Json(explanation));
    }
    let show = found(&app, id).await?;
    Ok(axum::Json(Explanation { id: id.to_string(), state: show.item.state, waits: Vec::new(), pull: show.item.pull }))
}

/// Shows the change of an item
#[utoipa::path(get, path = "/v1/items/{id}/diff", tag = "items", params(("id" = String, Path)),
    responses((status = 200, body = Diff), (status = "default", body = Problem)))]
async fn diff(State(app): State<App>, Name(typed): Name) -> Answered<Diff> {
    let id = resolve::item(&app, &typed).await?;
    let rows = app.readers().ask(move |reader| {
        let item = reader.item(id)?;
        let mission = item.as_ref().map(|item| reader.mission(item.mission)).transpose()?.flatten();
        Ok(item.zip(mission))
    });
    let (item, mission) =
        rows.await?.ok_or_else(|| Problem::new(404, "not_found", format!("no item `{}`", id.short())))?;
    let branch = item.branch();
    if item.base_commit.is_none() && item.merged.is_none() {
        return Ok(axum::Json(Diff { id, branch, patch: String::new() }));
    }
    let paths = app.engine().paths();
    let wish = job::Diff {
        root: paths.root.clone(),
        path: paths.worktree(&item.worktree_name()),
        branch: branch.clone(),
        target_ref: job::target_of(&item, &mission),
        base_commit: item.base_commit.as_deref().map(str::to_owned),
        merged: item.merged.as_deref().map(str::to_owned),
    };
    let patch =
        app.engine().drivers().git.diff(wish).await.map_err(|why| {
            Problem::new(503, "no_diff", format!("the change of `{}` cannot be read", item.key)).why(why)
        })?;
    Ok(axum::Json(Diff { id, branch, patch }))
}

async fn told(app: &App, caller: &Caller, id: ItemId, command: Command) -> Answered<ItemDocument> {
    app.send(caller, command).await?;
    Ok(axum::Json(ItemDocument { item: found(app, id).await?.item }))
}

/// Gives a failed or blocked item a fresh start
#[utoipa::path(post, path = "/v1/items/{id}/retry", tag = "items", params(("id" = String, Path)),
    responses((status = 200, body = ItemDocument), (status = "default", body = Problem)))]
async fn retry(State(app): State<App>, caller: Caller, Name(typed): Name) -> Answered<ItemDocument> {
    let id = resolve::item(&app, &typed).await?;
    told(&app, &caller, id, Command::RetryItem(id)).await
}

/// Lets an agent of another account take an item whose own account is used up
#[utoipa::path(post, path = "/v1/items/{id}/failover", tag = "items", params(("id" = String, Path)),
    responses((status = 200, body = ItemDocument), (status = "default", body = Problem)))]
async fn failover(State(app): State<App>, caller: Caller, Name(typed): Name) -> Answered<ItemDocument> {
    let id = resolve::item(&app, &typed).await?;
    told(&app, &caller, id, Command::FailOverItem(id)).await
}

/// Takes an item out
#[utoipa::path(post, path = "/v1/items/{id}/hold", tag = "items", params(("id" = String, Path)), request_body = Reason,
    responses((status = 200, body = ItemDocument), (status = "default", body = Problem)))]
async fn hold(
    State(app): State<App>,
    caller: Caller,
    Name(typed): Name,
    Json(wish): Json<Reason>,
) -> Answered<ItemDocument> {
    let id = resolve::item(&app, &typed).await?;
    told(&app, &caller, id, Command::HoldItem(id, reason(&wish, &caller))).await
}

/// The operator's words, or who it was.
fn reason(wish: &Reason, caller: &Caller) -> Box<str> {
    match wish.reason.trim() {
        "" => format!("by {}", caller.name).into(),
        reason => reason.into(),
    }
}

/// Lets nothing new begin for an item; what is in flight comes to its end
#[utoipa::path(post, path = "/v1/items/{id}/freeze", tag = "items", params(("id" = String, Path)),
    request_body = Reason, responses((status = 200, body = ItemDocument), (status = "default", body = Problem)))]
async fn freeze(
    State(app): State<App>,
    caller: Caller,
    Name(typed): Name,
    Json(wish): Json<Reason>,
) -> Answered<ItemDocument> {
    let id = resolve::item(&app, &typed).await?;
    told(&app, &caller, id, Command::FreezeItem(id, reason(&wish, &caller))).await
}

/// Sends an item back to the start, where it stays until it is released
#[utoipa::path(post, path = "/v1/items/{id}/demote", tag = "items", params(("id" = String, Path)),
    request_body = Reason, responses((status = 200, body = ItemDocument), (status = "default", body = Problem)))]
async fn demote(
    State(app): State<App>,
    caller: Caller,
    Name(typed): Name,
    Json(wish): Json<Reason>,
) -> Answered<ItemDocument> {
    let id = resolve::item(&app, &typed).await?;
    told(&app, &caller, id, Command::DemoteItem(id, reason(&wish, &caller))).await
}

/// Gives an item up for another one of its mission; what depends on it waits for that one
#[utoipa::path(post, path = "/v1/items/{id}/supersede", tag = "items", params(("id" = String, Path)),
    request_body = Successor, responses((status = 200, body = ItemDocument), (status = "default", body = Problem)))]
async fn supersede(
    State(app): State<App>,
    caller: Caller,
    Name(typed): Name,
    Json(wish): Json<Successor>,
) -> Answered<ItemDocument> {
    let id = resolve::item(&app, &typed).await?;
    let by = resolve::item_beside(&app, id, &wish.by).await?;
    told(&app, &caller, id, Command::SupersedeItem(id, by)).await
}

/// Makes a follow-up of a done item, and answers with it
#[utoipa::path(post, path = "/v1/items/{id}/reopen", tag = "items", params(("id" = String, Path)),
    request_body = Words, responses((status = 200, body = ItemDocument), (status = "default", body = Problem)))]
async fn reopen(
    State(app): State<App>,
    caller: Caller,
    Name(typed): Name,
    Json(words): Json<Words>,
) -> Answered<ItemDocument> {
    let id = resolve::item(&app, &typed).await?;
    match app.send(&caller, Command::ReopenItem(id, words.text.into())).await? {
        Answer::Item(new) => Ok(axum::Json(ItemDocument { item: found(&app, new).await?.item })),
        Answer::Done
        | Answer::Mission(_)
        | Answer::Agent(_)
        | Answer::Note(_)
        | Answer::Help(_)
        | Answer::Schedule(_)
        | Answer::Trigger(_)
        | Answer::Watch(_)
        | Answer::Webhook(_)
        | Answer::Relayed(_)
        | Answer::Messages(_) => Err(Problem::new(500, "defect", "a follow-up was made, and nobody knows which")),
    }
}

/// Puts a held item back
#[utoipa::path(post, path = "/v1/items/{id}/release", tag = "items", params(("id" = String, Path)),
    responses((status = 200, body = ItemDocument), (status = "default", body = Problem)))]
async fn release(State(app): State<App>, caller: Caller, Name(typed): Name) -> Answered<ItemDocument> {
    let id = resolve::item(&app, &typed).await?;
    told(&app, &caller, id, Command::ReleaseItem(id)).await
}

/// Counts an item as done for those that depend on it
#[utoipa::path(post, path = "/v1/items/{id}/skip", tag = "items", params(("id" = String, Path)),
    responses((status = 200, body = ItemDocument), (status = "default", body = Problem)))]
async fn skip(State(app): State<App>, caller: Caller, Name(typed): Name) -> Answered<ItemDocument> {
    let id = resolve::item(&app, &typed).await?;
    told(&app, &caller, id, Command::SkipItem(id)).await
}

/// Gives an item up
#[utoipa::path(post, path = "/v1/items/{id}/cancel", tag = "items", params(("id" = String, Path)),
    responses((status = 200, body = ItemDocument), (status = "default", body = Problem)))]
async fn cancel(State(app): State<App>, caller: Caller, Name(typed): Name) -> Answered<ItemDocument> {
    let id = resolve::item(&app, &typed).await?;
    told(&app, &caller, id, Command::CancelItem(id)).await
}

/// Says yes to an item that waits for it
#[utoipa::path(post, path = "/v1/items/{id}/approve", tag = "items", params(("id" = String, Path)),
    request_body = Words, responses((status = 200, body = ItemDocument), (status = "default", body = Problem)))]
async fn approve(
    State(app): State<App>,
    caller: Caller,
    Name(typed): Name,
    Json(words): Json<Words>,
) -> Answered<ItemDocument> {
    let id = resolve::item(&app, &typed).await?;
    told(&app, &caller, id, Command::ApproveItem(id, words.text.into())).await
}

/// Says no to an item that waits for a yes
#[utoipa::path(post, path = "/v1/items/{id}/reject", tag = "items", params(("id" = String, Path)),
    request_body = Rejection, responses((status = 200, body = ItemDocument), (status = "default", body = Problem)))]
async fn reject(
    State(app): State<App>,
    caller: Caller,
    Name(typed): Name,
    Json(words): Json<Rejection>,
) -> Answered<ItemDocument> {
    if words.text.trim().is_empty() {
        return Err(
            Problem::new(422, "invalid", "a no without a reason").fix("say what is to be mended: the agent is told")
        );
    }
    let id = resolve::item(&app, &typed).await?;
    let text = words.text.into();
    let command = if words.for_good { Command::TurnDownItem(id, text) } else { Command::RejectItem(id, text) };
    told(&app, &caller, id, command).await
}

/// Removes a kept worktree, after everything in it was saved
#[utoipa::path(post, path = "/v1/items/{id}/discard", tag = "items", params(("id" = String, Path)),
    responses((status = 200, body = ItemDocument), (status = "default", body = Problem)))]
async fn discard(State(app): State<App>, caller: Caller, Name(typed): Name) -> Answered<ItemDocument> {
    let id = resolve::item(&app, &typed).await?;
    told(&app, &caller, id, Command::DiscardWorktree(id)).await
}
