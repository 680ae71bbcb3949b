//! Clean-up: transcripts past their time, folders of scripts that are over, worktrees that are to go.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::extract::State;
use musher_core::command::Command;
use musher_core::effect::{Effect, EffectKind};
use musher_core::id::RunId;
use musher_core::item::{Item, Worktree};
use musher_core::time::Timestamp;
use musher_engine::Paths;
use musher_store::{Reader, Scope, StoreError};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::{Gc, GcEntry, GcKept, GcWish, Problem};
use crate::app::App;
use crate::caller::Caller;
use crate::extract::Json;
use crate::resolve;

/// What a folder of a script begins with; the rest is the id of its effect.
const SCRIPTS: [&str; 3] = ["gate-", "setup-", "teardown-"];
/// What a host writes when everything in its folder is over.
const ENDED: &str = "exit.json";

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
    let now = app.engine().now();
    let (open, retention) = app
        .read(|state| {
            let open: HashSet<String> = state.effects().map(|effect| effect.id.to_string()).collect();
            let runs: HashSet<String> = state.runs().iter().map(|run| run.id.to_string()).collect();
            let hosted = state.effects().filter_map(hosted).map(|run| run.to_string());
            (open.into_iter().chain(runs).chain(hosted).collect(), state.settings().retention_secs)
        })
        .await?;
    let plan = Plan { paths: app.engine().paths().clone(), open, retention, now, dry_run: wish.dry_run };
    let (old, kept) = app.readers().ask(move |reader| plan.carry_out(reader)).await?;
    removed.extend(old);
    Ok(axum::Json(Gc { dry_run: wish.dry_run, removed, kept }))
}

/// The run whose folder an open effect is about.
fn hosted(effect: &Effect) -> Option<RunId> {
    match &effect.kind {
        EffectKind::StartRun(run)
        | EffectKind::StopRun(run, _)
        | EffectKind::TellRun { run, .. }
        | EffectKind::AnswerRun { run, .. } => Some(*run),
        EffectKind::CreateWorktree
        | EffectKind::Inspect
        | EffectKind::Gate { .. }
        | EffectKind::PrepareMerge { .. }
        | EffectKind::Rebase
        | EffectKind::Land { .. }
        | EffectKind::RemoveWorktree { .. }
        | EffectKind::PushBranch { .. }
        | EffectKind::Forge(_)
        | EffectKind::RunCheck { .. }
        | EffectKind::PrepareFiring(_)
        | EffectKind::FetchUrl { .. } => None,
    }
}

/// What is known before folders are looked at.
struct Plan {
    paths: Paths,
    /// Ids of open effects and of live runs: their folders are in use.
    open: HashSet<String>,
    /// Seconds that transcripts of ended missions are kept.
    retention: u64,
    now: Timestamp,
    dry_run: bool,
}

impl Plan {
    fn carry_out(&self, reader: &dyn Reader) -> Result<(Vec<GcEntry>, Vec<GcKept>), StoreError> {
        let mut kept = Vec::new();
        let mut past = HashSet::new();
        for mission in reader.missions(Scope::All)? {
            let keep_until = mission.ended_at.map(|ended| ended.after(Duration::from_secs(self.retention)));
            let is_past = keep_until.is_some_and(|until| until <= self.now);
            for item in reader.items_of(mission.id)? {
                kept.extend(self.kept(&item));
                if is_past {
                    past.extend(reader.runs_of(item.id)?.into_iter().map(|run| run.id.to_string()));
                }
            }
        }
        Ok((self.folders(&past), kept))
    }

    fn kept(&self, item: &Item) -> Option<GcKept> {
        let Worktree::Kept(reason) = &item.worktree else { return None };
        Some(GcKept {
            item: item.id,
            short_id: item.id.short(),
            key: item.key.to_string(),
            path: self.paths.worktree(&item.worktree_name()),
            reason: reason.to_string(),
        })
    }

    /// Removes the folders of runs that are past, and of scripts that are over.
    fn folders(&self, past: &HashSet<String>) -> Vec<GcEntry> {
        let Ok(folders) = std::fs::read_dir(self.paths.runs()) else { return Vec::new() };
        let mut removed = Vec::new();
        for folder in folders.flatten() {
            let path = folder.path();
            let Some(what) = folder.file_name().to_str().and_then(|name| self.useless(name, &path, past)) else {
                continue;
            };
            let bytes = size(&path);
            if self.dry_run || std::fs::remove_dir_all(&path).is_ok() {
                removed.push(GcEntry { what: what.to_owned(), path, bytes: Some(bytes) });
            }
        }
        removed.sort_by(|a, b| a.path.cmp(&b.path));
        removed
    }

    /// What a folder is that nobody needs any more. One without its end on file may have something alive in it.
    fn useless(&self, name: &str, path: &Path, past: &HashSet<String>) -> Option<&'static str> {
        let script = SCRIPTS.iter().find_map(|prefix| name.strip_prefix(prefix));
        let in_use = self.open.contains(script.unwrap_or(name));
        if in_use || !path.join(ENDED).is_file() {
            return None;
        }
        match script {
            Some(_) => Some("script"),
            None => past.contains(name).then_some("transcript"),
        }
    }
}

/// The bytes of the files right in a folder: a run's folder has no others.
fn size(folder: &PathBuf) -> u64 {
    let Ok(files) = std::fs::read_dir(folder) else { return 0 };
    files.flatten().filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}
