//! Clean-up: transcripts past their time, folders of scripts that are over, worktrees that are to go.

use std::collections::BTreeSet;

use axum::extract::State;
use musher_core::command::Command;
use musher_core::item::{Item, Worktree};
use musher_core::orphan::Settled;
use musher_engine::{Paths, watchdog};
use musher_store::{Reader, Scope, StoreError};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{Gc, GcEntry, GcKept, GcOrphan, GcWish, Problem};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::Json;
use crate::resolve;
use crate::retention::{self, Wish};

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(gc))
}

/// Removes what nobody needs any more, and lists what is kept and why
#[utoipa::path(post, path = "/v1/gc", tag = "daemon", request_body = GcWish,
    responses((status = 200, body = Gc), (status = "default", body = Problem)))]
async fn gc(State(app): State<App>, caller: Caller, Json(wish): Json<GcWish>) -> Result<axum::Json<Gc>, Problem> {
    let mut removed = Vec::new();
    if let Some(typed) = &wish.discard {
        let id = resolve::item(&app, typed).await?;
        let paths = app.engine().paths().clone();
        let path = app.read(move |state| state.item(id).map(|item| paths.worktree(&item.worktree_name()))).await?;
        if !wish.dry_run {
            app.send(&caller, Command::DiscardWorktree(id)).await?;
        }
        removed.extend(path.map(|path| GcEntry { what: "worktree".to_owned(), path, bytes: None }));
    }
    let mut orphans = Vec::new();
    let (engine, drivers) = (app.engine(), app.engine().drivers());
    let failed = |why| Problem::new(503, "no_git", "worktrees without an item cannot be looked for").why(why);
    for orphan in watchdog::left_over(engine, drivers, &BTreeSet::new()).await.map_err(failed)? {
        let what = if orphan.worktree { "worktree" } else { "branch" };
        let (name, path) = (orphan.name.clone(), orphan.path.clone());
        let (name, path) = if orphan.worktree { (name, Some(path)) } else { (orphan.branch.clone(), None) };
        if wish.dry_run {
            let reason = "no item owns it".to_owned();
            orphans.push(GcOrphan { what: what.to_owned(), name, path, reason });
            continue;
        }
        let settled = watchdog::settle(engine, drivers, &orphan).await;
        if settled.outcome == Settled::Removed {
            let path = path.unwrap_or_else(|| name.into());
            removed.push(GcEntry { what: what.to_owned(), path, bytes: None });
            app.send(&caller, Command::NoteOrphan(Box::new(settled))).await?;
        } else {
            orphans.push(GcOrphan { what: what.to_owned(), name, path, reason: settled.why.to_string() });
        }
    }
    let paths = app.engine().paths().clone();
    let kept = app.readers().ask(move |reader| kept(reader, &paths)).await?;
    let how_much = if wish.dry_run { Wish::DryRun } else { Wish::All };
    let old = retention::trim(&app, how_much).await?.removed;
    removed.extend(old);
    Ok(axum::Json(Gc { dry_run: wish.dry_run, removed, kept, orphans }))
}

/// Worktrees that hold something that is nowhere else.
fn kept(reader: &dyn Reader, paths: &Paths) -> Result<Vec<GcKept>, StoreError> {
    let mut kept = Vec::new();
    for mission in reader.missions(Scope::All)? {
        kept.extend(reader.items_of(mission.id)?.iter().filter_map(|item| of_item(item, paths)));
    }
    Ok(kept)
}

fn of_item(item: &Item, paths: &Paths) -> Option<GcKept> {
    let Worktree::Kept(reason) = &item.worktree else { return None };
    Some(GcKept {
        item: item.id,
        short_id: item.id.short(),
        key: item.key.to_string(),
        path: paths.worktree(&item.worktree_name()),
        reason: reason.to_string(),
    })
}
