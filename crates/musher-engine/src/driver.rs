//! What drivers promise. A driver knows the job it does and the report it answers with; it never reads state.

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use musher_core::agent::AgentSpec;
use musher_core::command::Report;
use musher_core::effect::Stop;

use crate::job::{Checkout, Diff, ForgeJob, GitJob, RunJob, Script, ScriptEnd, TellJob};

/// A future that a driver gives back.
pub type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Takes the reports of a run while it goes on.
pub type Reports = Arc<dyn Fn(Report) + Send + Sync>;

/// Works on a repository. Idempotent: the same job done twice, or cut off anywhere and done again, is done once.
pub trait Git: Send + Sync + 'static {
    /// Does a job that answers an effect.
    fn carry_out(&self, job: GitJob) -> Work<Report>;
    /// Checks a commit out, for a gate. The error is for people.
    fn checkout(&self, job: Checkout) -> Work<Result<(), String>>;
    /// The worktrees in this folder, and the branches without one, that look like an item's. The error is for people.
    fn left_over(&self, root: PathBuf, worktrees: PathBuf) -> Work<Result<Vec<LeftOver>, String>>;
    /// The base branch of a repository: the named one, or the one that is checked out. The error is for people.
    fn base(&self, root: PathBuf, named: Option<String>) -> Work<Result<String, String>>;
    /// The change of an item, as a patch. The error is for people.
    fn diff(&self, job: Diff) -> Work<Result<String, String>>;
}

/// Runs processes that outlive the daemon. Idempotent by folder: what runs there is attached to, what is over is read.
pub trait Runs: Send + Sync + 'static {
    /// Starts an agent or attaches to it; reports while it goes on; answers `RunFinished`.
    fn run(&self, job: RunJob, reports: Reports) -> Work<Report>;
    /// Ends a run, a gate or a script, if it lives.
    fn stop(&self, folder: PathBuf, how: Stop) -> Work<()>;
    /// Gives a running agent a message or an answer; whether its program took it. Idempotent by the job's key. Waits for
    /// a run that is not attached to yet, so whoever wants it no more drops it.
    fn tell(&self, job: TellJob) -> Work<bool>;
    /// Runs a shell script to its end.
    fn script(&self, job: Script) -> Work<ScriptEnd>;
    /// Looks whether an agent's program is there and may be run, given what is known to be wrong with the agent. Starts
    /// nothing and asks nobody, so it is cheap.
    fn look(&self, root: PathBuf, agent: AgentSpec, error: Option<Box<str>>) -> Work<Program>;
    /// Which of these folders have a host that lives and does not answer, each with its process. Starts nothing, asks
    /// nobody and wakes nobody, so it is cheap.
    fn silent(&self, folders: Vec<PathBuf>) -> Work<Vec<(PathBuf, i32)>>;
    /// Ends every process in the run folders that nobody wants, and looks which of the wanted ones are lost.
    fn sweep(&self, unwanted: Vec<PathBuf>, wanted: Vec<PathBuf>) -> Work<Swept>;
}

/// Asks a forge. Idempotent by the job's effect: what an earlier try has left is found and answered with.
pub trait Forge: Send + Sync + 'static {
    /// Does a job that answers an effect: `Forge` or `ForgeFailed`.
    fn carry_out(&self, job: ForgeJob) -> Work<Report>;
}

/// Asks addresses.
pub trait Web: Send + Sync + 'static {
    /// Whether an address answers with a status of 200 to 299: `Probed`.
    fn fetch(&self, url: String) -> Work<Report>;
}

/// What a look for an agent's program found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Program {
    /// It is there. `mended` when it was what was wrong with the agent.
    There {
        /// Whether what is known to be wrong with the agent is that its program is not there.
        mended: bool,
    },
    /// It is not there, or may not be run: in words, with the fix.
    Missing(Box<str>),
    /// Only a run can tell, for its place depends on it.
    Unknown,
}

/// What a sweep of the run folders found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// The names of the folders that nobody wanted and in which processes were ended.
    pub ended: Vec<String>,
    /// Wanted folders whose host is gone without having said how it ended.
    pub lost: usize,
}

/// What looks like an item's worktree, or like its branch without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOver {
    /// What the worktree's folder is called, or would be: [`musher_core::item::Item::worktree_name`].
    pub name: String,
    /// Where the worktree is, or would be.
    pub path: PathBuf,
    /// Its branch.
    pub branch: String,
    /// Whether there is a folder.
    pub worktree: bool,
}

/// The drivers of an engine.
#[derive(Clone)]
pub struct Drivers {
    /// For repositories.
    pub git: Arc<dyn Git>,
    /// For processes.
    pub runs: Arc<dyn Runs>,
    /// For issues and pull requests.
    pub forge: Arc<dyn Forge>,
    /// For addresses.
    pub web: Arc<dyn Web>,
}

impl std::fmt::Debug for Drivers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Drivers")
    }
}
