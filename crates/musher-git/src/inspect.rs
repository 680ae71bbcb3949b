//! The verification's first three steps: leftovers are committed, an empty change is found, and so is what must not land.

use std::path::PathBuf;

use crate::attach::Attached;
use crate::git::GitError;
use crate::globs::{BadGlob, Globs};
use crate::names::{BranchName, Message, ObjectId};
use crate::repository::Repository;
use crate::scan;
use crate::settle::{Rules, Settled};
use crate::worktree::{Located, Operation};

/// Who commits leftover changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitMode {
    /// musher does, in the item's name.
    Musher,
    /// The agent must; what it leaves is a problem.
    Agent,
}

/// What is to be inspected. The run's processes are dead.
#[derive(Debug, Clone)]
pub struct InspectRequest {
    /// The item's worktree.
    pub path: PathBuf,
    /// The item's branch.
    pub branch: BranchName,
    /// The branch that the change is meant for.
    pub base_ref: String,
    /// Where the branch began, in case the base is gone.
    pub base_commit: ObjectId,
    /// The message for leftover changes.
    pub message: Message,
    /// Who commits leftovers.
    pub commit_mode: CommitMode,
    /// The largest file that may be in a change, in bytes.
    pub max_file_size: u64,
    /// The globs that the change must stay within; none means anywhere.
    pub touches: Option<Vec<String>>,
}

/// What a worktree holds after a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inspection {
    /// The worktree is gone.
    Missing,
    /// The branch changes nothing against its base.
    Empty {
        /// The branch's tip.
        head: ObjectId,
    },
    /// The change must not go on as it is.
    Problems(Vec<Problem>),
    /// A change that may go to the gate.
    Clean(Work),
}

/// A committed change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The branch's tip.
    pub head: ObjectId,
    /// Its tree: what a gate's result is filed under.
    pub tree: ObjectId,
    /// Where it leaves the base.
    pub base: ObjectId,
    /// How many lines were added; binary files count none.
    pub insertions: u64,
    /// How many lines were taken out.
    pub deletions: u64,
    /// The changed files, sorted; a rename counts as both.
    pub paths: Vec<PathBuf>,
}

/// One thing that keeps a change from going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, if it is about one.
    pub path: Option<PathBuf>,
    /// What is wrong.
    pub fault: Fault,
}

impl Problem {
    pub(crate) fn at(path: PathBuf, fault: Fault) -> Self {
        Self { path: Some(path), fault }
    }

    pub(crate) fn whole(fault: Fault) -> Self {
        Self { path: None, fault }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.path {
            // Debug form: a name may hold a line end, and this text is given to an agent.
            Some(path) => write!(f, "{:?}: {}", path.to_string_lossy(), self.fault),
            None => write!(f, "{}", self.fault),
        }
    }
}

/// What is wrong with a change. The text is written to the agent that made it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// HEAD has left the item's branch for something that does not continue it.
    #[error("the worktree is on {found}; switch back to `{branch}` and bring your commits there")]
    OffBranch {
        /// The item's branch.
        branch: BranchName,
        /// Where HEAD is.
        found: String,
    },
    /// The branch has no commit in common with the base.
    #[error("the branch shares no history with its base; build on the commits that were there")]
    Unrelated,
    /// An operation was left half done.
    #[error("a {} is unfinished; finish or abort it", .0.command())]
    Unfinished(Operation),
    /// A conflicting file still has its markers.
    #[error("the conflict in this file is not resolved")]
    Unresolved,
    /// A line was added that begins like a conflict marker.
    #[error("line {line} is a conflict marker")]
    Marker {
        /// The first such line, from 1.
        line: u64,
    },
    /// A file is over the limit.
    #[error("{bytes} bytes, more than the {max} allowed")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The limit.
        max: u64,
    },
    /// A changed file lies outside what the item may touch.
    #[error("outside of what this item may touch")]
    Outside,
    /// A repository lies inside the worktree, and its files would not be part of the commit.
    #[error("a repository inside the worktree; remove its `.git`, or add it as a submodule")]
    NestedRepository,
    /// The worktree's link to the repository was replaced by a repository.
    #[error("`.git` was replaced by a repository of its own; move it away")]
    Replaced,
    /// In agent mode: not committed.
    #[error("not committed")]
    Uncommitted,
    /// git would not take the changes.
    #[error("the changes cannot be committed: {said}")]
    CannotCommit {
        /// What git said.
        said: String,
    },
}

/// Why nothing could be said about a worktree.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// An entry of `touches` cannot be read.
    #[error(transparent)]
    Glob(#[from] BadGlob),
    /// git or the disk failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl InspectError {
    /// Says how to fix it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Glob(e) => e.fix(),
            Self::Git(e) => e.fix(),
        }
    }
}

impl Repository {
    /// Inspects a worktree after a run, and commits what the run left.
    ///
    /// Done twice it commits once. No hook of the user's runs: it could hang the daemon or refuse what the gate is to
    /// judge.
    ///
    /// # Errors
    /// [`InspectError`]; what an agent did wrong is no error but [`Inspection::Problems`].
    pub fn inspect(&self, request: &InspectRequest) -> Result<Inspection, InspectError> {
        let touches = request.touches.as_deref().map(Globs::new).transpose()?;
        let one = |fault| Ok(Inspection::Problems(vec![Problem::whole(fault)]));
        let worktree = match self.locate(&request.path)? {
            Located::Gone { .. } | Located::Foreign => return Ok(Inspection::Missing),
            Located::Replaced => return one(Fault::Replaced),
            Located::Here(worktree) => worktree,
        };
        worktree.heal(Some(&request.branch))?;
        if let Some(op @ (Operation::Rebase | Operation::Sequence)) = crate::worktree::operation(&worktree.admin) {
            return one(Fault::Unfinished(op));
        }
        if let Attached::Elsewhere { found } = self.attach(&worktree, &request.branch)? {
            return one(Fault::OffBranch { branch: request.branch.clone(), found });
        }
        let identity = self.identity()?;
        let rules = Rules {
            identity: &identity,
            message: &request.message,
            mode: request.commit_mode,
            max_file_size: request.max_file_size,
        };
        let (head, tree) = match self.settle(&worktree, &rules)? {
            Settled::Problems(problems) => return Ok(Inspection::Problems(problems)),
            Settled::Clean { head, tree } => (head, tree),
        };
        let base = self.resolve(&request.base_ref)?.unwrap_or_else(|| request.base_commit.clone());
        let Some(base) = self.merge_base(&base, &head)? else { return one(Fault::Unrelated) };
        let change = self.change(&base, &head)?;
        if change.files.is_empty() {
            return Ok(Inspection::Empty { head });
        }
        let problems = self.faults(&base, &head, &change, touches.as_ref(), request.max_file_size)?;
        if !problems.is_empty() {
            return Ok(Inspection::Problems(problems));
        }
        Ok(Inspection::Clean(work(head, tree, base, change)))
    }
}

fn work(head: ObjectId, tree: ObjectId, base: ObjectId, change: scan::Change) -> Work {
    let mut paths: Vec<PathBuf> = change.files.into_iter().map(|f| f.path).collect();
    paths.sort();
    Work { head, tree, base, insertions: change.insertions, deletions: change.deletions, paths }
}
