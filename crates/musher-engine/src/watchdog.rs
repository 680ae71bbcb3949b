//! What nobody owns: processes in run folders, worktrees, branches. Found at start, and every 30 s while runs are live;
//! ended, removed or kept, never ignored, each with an event.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use musher_core::command::{Actor, Command, Report};
use musher_core::effect::EffectKind;
use musher_core::item::Item;
use musher_core::orphan::{Orphan, Settled, Sort};
use musher_core::state::State;
use tokio::sync::Mutex;
use tracing::warn;

use crate::driver::{Drivers, LeftOver};
use crate::engine::{Engine, EngineError};
use crate::hosts::Hosts;
use crate::job::{self, GitJob, RemoveWorktree};
use crate::paths::Paths;

/// How often it looks while runs are live.
pub const EVERY: Duration = Duration::from_secs(30);

/// What a host writes when everything in its folder is over.
const ENDED: &str = "exit.json";

/// What the folder of a script is called, before the id of its effect.
const SCRIPTS: [&str; 4] = ["gate-", "setup-", "teardown-", "check-"];

/// Looks for what nobody owns.
pub(crate) struct Watchdog {
    engine: Engine,
    drivers: Drivers,
    /// What stays and was said: it is not said again while this daemon lives. Held while it looks, so that one look at a
    /// time is taken.
    told: Mutex<BTreeSet<String>>,
    /// Whether a look waits for another.
    waits: AtomicBool,
    hosts: Hosts,
}

impl Watchdog {
    pub(crate) fn new(engine: Engine, drivers: Drivers) -> Self {
        let hosts = Hosts::default();
        Self { engine, drivers, told: Mutex::default(), waits: AtomicBool::new(false), hosts }
    }

    /// The look at start: these run folders were swept before the loop began.
    pub(crate) async fn at_start(&self, swept: Vec<String>) {
        let mut told = self.told.lock().await;
        for folder in swept {
            self.note(run_ended(folder)).await;
        }
        self.folders(&mut told).await;
    }

    /// The look while runs are live. One waits for another that is under way, and any more leave it to that one.
    pub(crate) async fn look(&self) {
        if self.waits.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut told = self.told.lock().await;
        self.waits.store(false, Ordering::Release);
        self.hosts.look(&self.engine, &self.drivers).await;
        // In this order: whatever has a folder by now had an effect before, so that nothing that begins meanwhile is
        // taken for an orphan.
        let there = unended(self.engine.paths());
        let Ok(wanted) = self.engine.read(wanted_folders).await else { return };
        let unwanted = unwanted(self.engine.paths(), &there, &wanted);
        if !unwanted.is_empty() {
            let swept = self.drivers.runs.sweep(unwanted, Vec::new()).await;
            for folder in swept.ended {
                self.note(run_ended(folder)).await;
            }
        }
        self.folders(&mut told).await;
    }

    /// Worktrees and branches that no item owns.
    async fn folders(&self, told: &mut BTreeSet<String>) {
        let found = match left_over(&self.engine, &self.drivers, told).await {
            Ok(found) => found,
            Err(error) => return warn!(error, "orphan worktrees cannot be looked for"),
        };
        for orphan in found {
            let settled = settle(&self.engine, &self.drivers, &orphan).await;
            if settled.outcome == Settled::Kept {
                told.insert(name_of(&orphan).to_owned());
            }
            self.note(settled).await;
        }
    }

    async fn note(&self, orphan: Orphan) {
        match self.engine.send(Actor::Musher, Command::NoteOrphan(Box::new(orphan))).await {
            Ok(_) | Err(EngineError::Stopped) => {}
            Err(error) => warn!(%error, "what became of an orphan cannot be written down"),
        }
    }
}

fn run_ended(folder: String) -> Orphan {
    let why = "no run of these processes is under way".into();
    Orphan { sort: Sort::Process, name: folder.into(), outcome: Settled::Ended, why }
}

/// The name of an orphan for people: the folder of a worktree, or the branch.
fn name_of(orphan: &LeftOver) -> &str {
    if orphan.worktree { &orphan.name } else { &orphan.branch }
}

/// Removes an orphan, unless it holds something that is nowhere else.
pub async fn settle(engine: &Engine, drivers: &Drivers, orphan: &LeftOver) -> Orphan {
    let paths = engine.paths();
    let job = RemoveWorktree {
        root: paths.root.clone(),
        path: orphan.path.clone(),
        branch: orphan.branch.clone(),
        // Nobody knows any more where its work was to go: what the user's checkout has counts as safe.
        target_ref: "HEAD".to_owned(),
        merged_head: None,
        keep: engine.read(|state| state.settings().keep.clone()).await.unwrap_or_default(),
        name: orphan.name.clone(),
        discard: None,
    };
    let (outcome, why) = match drivers.git.carry_out(GitJob::RemoveWorktree(job)).await {
        Report::WorktreeRemoved => {
            let _ = tokio::fs::remove_file(paths.setup_marker(&orphan.name)).await;
            (Settled::Removed, "no item owns it, and nothing in it was unique".into())
        }
        Report::WorktreeKept { reason } | Report::DriverFailed { error: reason } => (Settled::Kept, reason),
        other => (Settled::Kept, format!("git answered with {other:?}").into()),
    };
    let sort = if orphan.worktree { Sort::Worktree } else { Sort::Branch };
    Orphan { sort, name: name_of(orphan).into(), outcome, why }
}

/// Worktrees and branches that look like an item's, and that no item owns, but for those of these names. An item of an
/// archived mission owns its branch, which is kept, and no worktree.
///
/// # Errors
/// Why git or the store cannot be asked, for people.
pub async fn left_over(engine: &Engine, drivers: &Drivers, known: &BTreeSet<String>) -> Result<Vec<LeftOver>, String> {
    let paths = engine.paths();
    let mut found = drivers.git.left_over(paths.root.clone(), paths.worktrees()).await?;
    found.retain(|orphan| !known.contains(name_of(orphan)));
    // Nearly always that is all, and cheap: few items have a worktree. Each look at the state comes after the one at the
    // disk, for an item is there before anything of it is.
    drop_owned(engine, &mut found, |item| item.slot.is_some()).await?;
    let reader = engine.reader().await.map_err(|e| e.to_string())?;
    let on_file = move || {
        let is_owned = |orphan: &LeftOver| -> Result<bool, musher_store::StoreError> {
            let item = orphan.name.get(ITEM).unwrap_or_default();
            Ok(!orphan.worktree && !reader.find_items(item)?.is_empty())
        };
        let judged: Result<Vec<_>, _> = found.into_iter().map(|orphan| Ok((is_owned(&orphan)?, orphan))).collect();
        judged.map(|all| all.into_iter().filter(|(owned, _)| !owned).map(|(_, orphan)| orphan).collect())
    };
    let judged = tokio::task::spawn_blocking(on_file).await.map_err(|e| e.to_string())?;
    let mut found: Vec<LeftOver> = judged.map_err(|e: musher_store::StoreError| e.to_string())?;
    drop_owned(engine, &mut found, |_| true).await?;
    Ok(found)
}

/// Where the item's short id is in the name of its worktree.
const ITEM: std::ops::Range<usize> = 9..17;

/// Drops what belongs to such an item.
async fn drop_owned(
    engine: &Engine,
    found: &mut Vec<LeftOver>,
    is_one: impl Fn(&Item) -> bool + Send + 'static,
) -> Result<(), String> {
    if found.is_empty() {
        return Ok(());
    }
    let owned = engine.read(move |state| {
        let ids = state.missions().flat_map(|mission| mission.items.iter());
        let items = ids.filter_map(|id| state.item(*id)).filter(|item| is_one(item));
        items.map(Item::worktree_name).collect::<BTreeSet<String>>()
    });
    let owned = owned.await.map_err(|e| e.to_string())?;
    found.retain(|orphan| !owned.contains(&orphan.name));
    Ok(())
}

/// The names of the run folders whose end is not on file.
pub(crate) fn unended(paths: &Paths) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(paths.runs()) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    names.filter(|name| !name.starts_with('.') && !paths.run(name).join(ENDED).exists()).collect()
}

/// Of these folders, those of runs and scripts that nobody wants. What has another name is not ours to judge.
pub(crate) fn unwanted(paths: &Paths, there: &[String], wanted: &BTreeSet<String>) -> Vec<PathBuf> {
    let is_ours = |name: &str| {
        let id = SCRIPTS.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
        id.parse::<musher_core::id::RunId>().is_ok()
    };
    there.iter().filter(|name| !wanted.contains(*name) && is_ours(name)).map(|name| paths.run(name)).collect()
}

/// The names of the run folders in which something may rightly live.
pub(crate) fn wanted_folders(state: &State) -> BTreeSet<String> {
    state
        .effects()
        .flat_map(|effect| match &effect.kind {
            EffectKind::StartRun(run) => vec![run.to_string(), format!("setup-{}", effect.id)],
            EffectKind::Gate { .. } => vec![job::gate_name(effect.id)],
            EffectKind::RunCheck { .. } | EffectKind::PrepareFiring(_) => vec![job::check_name(effect.id)],
            EffectKind::CreateWorktree => vec![format!("setup-{}", effect.id)],
            EffectKind::RemoveWorktree { .. } => vec![format!("teardown-{}", effect.id)],
            EffectKind::StopRun(..)
            | EffectKind::TellRun { .. }
            | EffectKind::AnswerRun { .. }
            | EffectKind::Inspect
            | EffectKind::PrepareMerge { .. }
            | EffectKind::Rebase
            | EffectKind::Land { .. }
            | EffectKind::PushBranch { .. }
            | EffectKind::Forge(_)
            | EffectKind::FetchUrl { .. } => Vec::new(),
        })
        .collect()
}
