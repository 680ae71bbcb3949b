//! Retention: transcripts of archived missions are trimmed when their time is over. What was used stays: it is in events.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use musher_core::effect::{Effect, EffectKind};
use musher_core::id::{MissionId, RunId};
use musher_core::state::State;
use musher_core::time::Timestamp;
use musher_engine::Paths;
use musher_store::{Reader, StoreError};
use tracing::{info, warn};

use crate::api::{GcEntry, Problem};
use crate::app::App;

/// What a folder of a script begins with; the rest is the id of its effect.
const SCRIPTS: [&str; 4] = ["gate-", "setup-", "teardown-", "check-"];
/// What a host writes when everything in its folder is over.
const ENDED: &str = "exit.json";
/// How long it rests at least, and at most: the retention may be shortened meanwhile.
const REST: (Duration, Duration) = (Duration::from_secs(60 * 60), Duration::from_secs(24 * 60 * 60));

/// What was trimmed, or would be.
pub(crate) struct Trimmed {
    /// The folders.
    pub(crate) removed: Vec<GcEntry>,
    /// When the next transcript's time is over, of those that are there.
    pub(crate) next: Option<Timestamp>,
}

/// How much is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Transcripts whose time is over: what musher does by itself.
    Transcripts,
    /// The folders of scripts that are over as well.
    All,
    /// Nothing; only says what all would be.
    DryRun,
}

/// Trims what is past as time passes, until the daemon stops.
pub(crate) async fn watch(app: App) {
    let mut closing = app.closing();
    loop {
        let rest = match trim(&app, Wish::Transcripts).await {
            Ok(trimmed) => {
                if !trimmed.removed.is_empty() {
                    info!(folders = trimmed.removed.len(), "run folders past their retention are removed");
                }
                trimmed.next.map_or(REST.1, |at| at.since(app.engine().now()))
            }
            Err(problem) => {
                let why = problem.detail.unwrap_or(problem.title);
                warn!(why, "run folders past their retention cannot be removed");
                REST.1
            }
        };
        tokio::select! {
            () = tokio::time::sleep(rest.clamp(REST.0, REST.1)) => {}
            _ = closing.changed() => return,
        }
    }
}

/// Removes the folders of runs whose time is over, and of scripts that are over.
pub(crate) async fn trim(app: &App, wish: Wish) -> Result<Trimmed, Problem> {
    let paths = app.engine().paths().clone();
    let there = ended_folders(&paths);
    // In this order: whatever is still wanted had a folder only after its effect.
    let (open, retention) = app.read(|state| (in_use(state), state.settings().retention_secs)).await?;
    let now = app.engine().now();
    let plan = Plan { paths, there, open, retention: Duration::from_secs(retention), now, wish };
    app.readers().ask(move |reader| plan.carry_out(reader)).await
}

/// The names of the run folders in which everything is over.
fn ended_folders(paths: &Paths) -> Vec<String> {
    let Ok(folders) = std::fs::read_dir(paths.runs()) else { return Vec::new() };
    let names = folders.flatten().filter_map(|folder| folder.file_name().into_string().ok());
    names.filter(|name| paths.run(name).join(ENDED).is_file()).collect()
}

/// Ids of open effects and of live runs: their folders are in use.
fn in_use(state: &State) -> BTreeSet<String> {
    let effects = state.effects().map(|effect| effect.id.to_string());
    let runs = state.runs().into_iter().map(|run| run.id.to_string());
    let hosted = state.effects().filter_map(hosted).map(|run| run.to_string());
    effects.chain(runs).chain(hosted).collect()
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

/// What is known before the store is asked.
struct Plan {
    paths: Paths,
    there: Vec<String>,
    open: BTreeSet<String>,
    retention: Duration,
    now: Timestamp,
    wish: Wish,
}

/// What a folder is, and until when it is kept.
enum Folder {
    /// Of a script that is over.
    Script,
    /// Of a run, kept until then; of a mission that has not ended, without an end.
    Transcript(Option<Timestamp>),
    /// Somebody else's.
    Unknown,
}

impl Plan {
    fn carry_out(&self, reader: &dyn Reader) -> Result<Trimmed, StoreError> {
        let mut trimmed = Trimmed { removed: Vec::new(), next: None };
        let mut ends = HashMap::new();
        for name in &self.there {
            let what = match self.folder(name, reader, &mut ends)? {
                Folder::Script if self.wish == Wish::Transcripts => continue,
                Folder::Script => "script",
                Folder::Transcript(Some(until)) if until <= self.now => "transcript",
                Folder::Transcript(until) => {
                    trimmed.next = trimmed.next.into_iter().chain(until).min();
                    continue;
                }
                Folder::Unknown => continue,
            };
            let path = self.paths.run(name);
            let bytes = size(&path);
            if self.wish == Wish::DryRun || std::fs::remove_dir_all(&path).is_ok() {
                trimmed.removed.push(GcEntry { what: what.to_owned(), path, bytes: Some(bytes) });
            }
        }
        trimmed.removed.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(trimmed)
    }

    fn folder(
        &self,
        name: &str,
        reader: &dyn Reader,
        ends: &mut HashMap<MissionId, Option<Timestamp>>,
    ) -> Result<Folder, StoreError> {
        let script = SCRIPTS.iter().find_map(|prefix| name.strip_prefix(prefix));
        if self.open.contains(script.unwrap_or(name)) {
            return Ok(Folder::Unknown);
        }
        if script.is_some() {
            return Ok(Folder::Script);
        }
        let Ok(id) = name.parse::<RunId>() else { return Ok(Folder::Unknown) };
        let Some(run) = reader.run(id)? else {
            // A transcript of a state that is gone: nobody knows its mission, so its own end counts.
            return Ok(Folder::Transcript(ended_at(&self.paths.run(name)).map(|at| at.after(self.retention))));
        };
        if let Some(ended) = ends.get(&run.mission) {
            return Ok(Folder::Transcript(*ended));
        }
        let ended = reader.mission(run.mission)?.and_then(|mission| mission.ended_at);
        let until = ended.map(|at| at.after(self.retention));
        ends.insert(run.mission, until);
        Ok(Folder::Transcript(until))
    }
}

/// When the end in a run folder was written.
fn ended_at(folder: &Path) -> Option<Timestamp> {
    let written = folder.join(ENDED).metadata().and_then(|file| file.modified()).ok()?;
    let since = written.duration_since(std::time::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_micros()).ok().map(Timestamp::from_micros)
}

/// The bytes of the files right in a folder: a run's folder has no others.
fn size(folder: &PathBuf) -> u64 {
    let Ok(files) = std::fs::read_dir(folder) else { return 0 };
    files.flatten().filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}
