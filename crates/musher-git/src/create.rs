//! Makes worktrees: an item's own, and the one in which a merge is tested.

use std::path::{Path, PathBuf};

use tracing::info;

use crate::attach::Attached;
use crate::copy;
use crate::git::GitError;
use crate::names::{BranchName, ObjectId};
use crate::pool::{Cold, Pool};
use crate::repository::Repository;
use crate::worktree::{BEING_MADE, Located, Worktree, operation, removal_begun, remove_tree};

/// Which worktree is wanted.
#[derive(Debug, Clone)]
pub struct CreateRequest {
    /// Its top folder, absolute.
    pub path: PathBuf,
    /// The item's branch.
    pub branch: BranchName,
    /// What it is made from when it is new; its tip of this moment counts.
    pub base_ref: String,
    /// Untracked files or folders to bring in from the checkout, relative to its top.
    pub copy: Vec<String>,
    /// Where a warm worktree may be taken from.
    pub pool: Option<Pool>,
}

/// How a worktree came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Made {
    /// It was there before: what a fresh one needs, such as a set-up command, has been done or tried already.
    Adopted,
    /// It was taken from the pool.
    Warm,
    /// It was checked out; with a pool, because of this.
    CheckedOut(Option<Cold>),
}

/// The worktree is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Where the branch leaves the base.
    pub base_commit: ObjectId,
    /// How it came about.
    pub made: Made,
}

impl Created {
    /// Whether it was there before.
    #[must_use]
    pub fn adopted(&self) -> bool {
        self.made == Made::Adopted
    }
}

/// Why there is no such worktree. Nothing that somebody made was removed.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Something else is in the place.
    #[error("`{}` is there and is not a worktree of this repository", path.display())]
    Occupied {
        /// The path.
        path: PathBuf,
    },
    /// The worktree's link to the repository was replaced by a repository.
    #[error("`{}` has a repository of its own in `.git`", path.display())]
    Replaced {
        /// The worktree.
        path: PathBuf,
    },
    /// The worktree is on something that does not continue the branch.
    #[error("`{}` is on {found}, not on `{branch}`", path.display())]
    WrongBranch {
        /// The worktree.
        path: PathBuf,
        /// The branch that it should be on.
        branch: BranchName,
        /// Where it is.
        found: String,
    },
    /// The branch is checked out in another place.
    #[error("`{branch}` is checked out in `{}`", at.display())]
    BranchInUse {
        /// The item's branch.
        branch: BranchName,
        /// Where.
        at: PathBuf,
    },
    /// The base stands for no commit.
    #[error("`{base_ref}` is no commit")]
    NoBase {
        /// As it was given.
        base_ref: String,
    },
    /// An entry of `copy` cannot be brought in.
    #[error("`{path}` cannot be copied into a worktree: {why}")]
    BadCopy {
        /// As it was given.
        path: String,
        /// The rule it breaks.
        why: &'static str,
    },
    /// git or the disk failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl CreateError {
    /// Says how to fix it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Occupied { .. } => "move the folder away if it holds anything, or remove it",
            Self::Replaced { .. } => "move that `.git` folder away; the link is restored by itself",
            Self::WrongBranch { .. } => "`git switch BRANCH` in that worktree, or move the commits onto the branch",
            Self::BranchInUse { .. } => "switch that checkout to another branch",
            Self::NoBase { .. } => "name a branch that exists",
            Self::BadCopy { .. } => "list files inside the checkout by their path from its top",
            Self::Git(e) => e.fix(),
        }
    }
}

impl Repository {
    /// Makes an item's worktree, or adopts the one that is there.
    ///
    /// A branch that exists keeps its commits; one without commits of its own starts at the newest base. Done twice, or
    /// cut off anywhere and repeated, the result is the same.
    ///
    /// # Errors
    /// [`CreateError`]; bad input is found before anything is made.
    pub fn create_worktree(&self, request: &CreateRequest) -> Result<Created, CreateError> {
        let wanted = copy::plan(self.top(), &request.copy)?;
        let base = self.resolve(&request.base_ref)?;
        let base = base.ok_or_else(|| CreateError::NoBase { base_ref: request.base_ref.clone() })?;
        if let Some(worktree) = self.clear_place(&request.path)? {
            return self.adopt(&worktree, &request.branch, &base);
        }
        let tip = self.tip_for_new(&request.branch, &base)?;
        let (worktree, made) = match self.warm_for(request, tip.as_ref(), &base)? {
            Ok(worktree) => (worktree, Made::Warm),
            Err(cold) => (self.check_out(request, tip.as_ref(), &base)?, Made::CheckedOut(cold)),
        };
        let copied = copy::run(self.top(), &worktree.path, &wanted)?;
        worktree.note_copied(&copied)?;
        worktree.made()?;
        let base_commit = match tip {
            Some(tip) => self.merge_base(&base, &tip)?.unwrap_or(base),
            None => base,
        };
        Ok(Created { base_commit, made })
    }

    fn check_out(
        &self,
        request: &CreateRequest,
        tip: Option<&ObjectId>,
        base: &ObjectId,
    ) -> Result<Worktree, CreateError> {
        match tip {
            Some(_) => self.add(&request.path, &[], request.branch.as_str()),
            None => self.add(&request.path, &["--no-track", "-b", request.branch.as_str()], base.as_str()),
        }
    }

    /// A warm worktree on the item's branch, or why there is none; nothing when there is no pool.
    fn warm_for(
        &self,
        request: &CreateRequest,
        tip: Option<&ObjectId>,
        base: &ObjectId,
    ) -> Result<Result<Worktree, Option<Cold>>, CreateError> {
        let Some(pool) = request.pool.as_ref().filter(|pool| pool.size > 0) else { return Ok(Err(None)) };
        let commit = tip.unwrap_or(base);
        let worktree = match self.take_warm(pool, &request.path, commit)? {
            Ok(worktree) => worktree,
            Err(cold) => return Ok(Err(Some(cold))),
        };
        if tip.is_none() {
            self.move_ref(&request.branch.full(), commit, Some(&commit.zero_like()))?;
        }
        worktree.git.call(["symbolic-ref", "-m", "musher", "HEAD", &request.branch.full()]).ok()?;
        Ok(Ok(worktree))
    }

    /// Brings a detached worktree to exactly this commit, for the gate on a merged tree. Ignored files stay: a build
    /// cache saves the gate most of its time.
    ///
    /// # Errors
    /// [`CreateError`], as for an item's worktree.
    pub fn merge_worktree(&self, path: &Path, commit: &ObjectId) -> Result<(), CreateError> {
        let worktree = match self.clear_place(path)? {
            Some(worktree) => worktree,
            None => self.add(path, &["--detach"], commit.as_str())?,
        };
        worktree.heal(None)?;
        worktree.made()?;
        let git = &worktree.git;
        git.call(["checkout", "--quiet", "--force", "--detach", commit.as_str()]).ok()?;
        // Twice -f: a gate's test may have made a repository of its own.
        git.call(["clean", "-ffdq"]).ok()?;
        Ok(())
    }

    /// The worktree in this place, after what was half made, half removed or left without a folder is cleared away.
    fn clear_place(&self, path: &Path) -> Result<Option<Worktree>, CreateError> {
        match self.locate(path)? {
            Located::Gone { admin: None } => Ok(None),
            Located::Gone { admin: Some(admin) } => {
                remove_tree(&admin)?;
                Ok(None)
            }
            Located::Foreign => Err(CreateError::Occupied { path: path.to_owned() }),
            Located::Replaced => Err(CreateError::Replaced { path: path.to_owned() }),
            Located::Here(worktree) if worktree.half_made() || removal_begun(&worktree.admin) => {
                info!(worktree = %path.display(), "half-made worktree cleared away");
                remove_tree(&worktree.path)?;
                remove_tree(&worktree.admin)?;
                Ok(None)
            }
            Located::Here(worktree) => Ok(Some(worktree)),
        }
    }

    fn adopt(&self, worktree: &Worktree, branch: &BranchName, base: &ObjectId) -> Result<Created, CreateError> {
        worktree.heal(Some(branch))?;
        // A rebase detaches HEAD until it is finished; the verification says what to do about it.
        if operation(&worktree.admin).is_none() {
            match self.attach(worktree, branch)? {
                Attached::On { .. } => {}
                Attached::Elsewhere { found } => {
                    let path = worktree.path.clone();
                    return Err(CreateError::WrongBranch { path, branch: branch.clone(), found });
                }
            }
        }
        let base_commit = match self.tip(branch)? {
            Some(tip) => self.merge_base(base, &tip)?.unwrap_or_else(|| base.clone()),
            None => base.clone(),
        };
        Ok(Created { base_commit, made: Made::Adopted })
    }

    /// The tip of a branch that exists, moved to the base if it has nothing of its own.
    fn tip_for_new(&self, branch: &BranchName, base: &ObjectId) -> Result<Option<ObjectId>, CreateError> {
        let Some(tip) = self.tip(branch)? else { return Ok(None) };
        let elsewhere = self.list_worktrees()?.into_iter().find(|w| w.branch.as_ref() == Some(branch));
        if let Some(other) = elsewhere {
            return Err(CreateError::BranchInUse { branch: branch.clone(), at: other.path });
        }
        if tip != *base && self.is_ancestor(&tip, base)? {
            self.move_ref(&branch.full(), base, Some(tip.as_str()))?;
            return Ok(Some(base.clone()));
        }
        Ok(Some(tip))
    }

    /// Locked from its first moment, so that one cut off in the middle is known as such.
    pub(crate) fn add(&self, path: &Path, options: &[&str], from: &str) -> Result<Worktree, CreateError> {
        let call = self.git().tied().call(["worktree", "add", "--quiet", "--lock", "--reason", BEING_MADE]);
        call.args(options).arg("--").arg(path).arg(from).ok()?;
        match self.locate(path)? {
            Located::Here(worktree) => Ok(worktree),
            Located::Gone { .. } | Located::Foreign | Located::Replaced => {
                Err(CreateError::Occupied { path: path.to_owned() })
            }
        }
    }
}
