//! Removes an item's worktree and branch, but never work that is nowhere else.

use std::path::PathBuf;

use crate::git::GitError;
use crate::globs::{BadGlob, Globs};
use crate::names::{BranchName, Identity, ObjectId, ref_part};
use crate::repository::Repository;
use crate::scan::path_list;
use crate::settle::{authored, changed, commit_call, uncommitted};
use crate::worktree::{Located, Operation, Worktree, operation, removal_begun, remove_tree};

/// Which worktree is to be removed. Its processes are dead.
#[derive(Debug, Clone)]
pub struct RemoveRequest {
    /// The item's worktree.
    pub path: PathBuf,
    /// The item's branch.
    pub branch: BranchName,
    /// The ref that work counts as merged in.
    pub target_ref: String,
    /// The item's tip that was merged, perhaps squashed: what it reaches is safe.
    pub merged_head: Option<ObjectId>,
    /// Globs of ignored files that are worth keeping.
    pub keep: Vec<String>,
    /// What happens to work that is nowhere else.
    pub mode: RemoveMode,
}

/// What happens to work that is nowhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemoveMode {
    /// The worktree stays.
    Careful,
    /// It is saved as `refs/musher/attic/<name>` first: a commit of all files, above HEAD and the index.
    Discard {
        /// The last part of the ref's name.
        attic: String,
    },
}

/// What came of removing a worktree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// Worktree and branch are gone.
    Removed {
        /// Where it was saved, if it had to be.
        attic: Option<ObjectId>,
    },
    /// It stays, for these reasons.
    Kept(Vec<KeptReason>),
}

/// Why a worktree stays.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeptReason {
    /// Files that are not committed.
    #[error("{} uncommitted files", .0.len())]
    Uncommitted(Vec<PathBuf>),
    /// Commits that the target has not got.
    #[error("{commits} commits are not merged")]
    Unmerged {
        /// How many.
        commits: u64,
    },
    /// Stashes made on the item's branch. They stay whatever becomes of the worktree.
    #[error("{count} stashes were made on its branch")]
    Stashes {
        /// How many.
        count: usize,
    },
    /// Ignored files that `keep` names.
    #[error("{} ignored files are to be kept", .0.len())]
    Ignored(Vec<PathBuf>),
    /// A merge, rebase or the like.
    #[error("a {} is unfinished", .0.command())]
    Unfinished(Operation),
    /// Repositories inside the worktree, whose content git cannot save with it.
    #[error("{} repositories lie inside it", .0.len())]
    Repositories(Vec<PathBuf>),
    /// The folder is not a worktree of this repository.
    #[error("the folder is not a worktree of this repository")]
    NotOurs,
    /// The branch is checked out in another place.
    #[error("the branch is checked out in `{}`", .0.display())]
    BranchInUse(PathBuf),
}

impl KeptReason {
    /// Says how to fix it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Uncommitted(_) | Self::Unmerged { .. } | Self::Ignored(_) | Self::Unfinished(_) => {
                "take what you need from the worktree, or discard it: it is saved first"
            }
            Self::Stashes { .. } => "apply or drop them: `git stash list`",
            Self::Repositories(_) => "move them away or delete them",
            Self::NotOurs => "look what is in the folder, then move or delete it",
            Self::BranchInUse(_) => "switch that checkout to another branch",
        }
    }
}

/// Why a removal could not be judged or done.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    /// An entry of `keep` cannot be read.
    #[error(transparent)]
    Glob(#[from] BadGlob),
    /// git or the disk failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl RemoveError {
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
    /// Removes a worktree and its branch. A removal that was cut off is finished; one that was done stays done.
    ///
    /// # Errors
    /// [`RemoveError`]; that something must stay is an answer.
    pub fn remove_worktree(&self, request: &RemoveRequest) -> Result<Removed, RemoveError> {
        let keep = Globs::new(&request.keep)?;
        if let RemoveMode::Discard { attic } = &request.mode {
            ref_part(attic).map_err(GitError::from)?;
        }
        let kept = |reason| Ok(Removed::Kept(vec![reason]));
        let worktree = match self.locate(&request.path)? {
            Located::Foreign | Located::Replaced => return kept(KeptReason::NotOurs),
            Located::Here(worktree) => worktree,
            Located::Gone { admin } => return Ok(self.remove_without_folder(request, admin)?),
        };
        if removal_begun(&worktree.admin) || worktree.half_made() {
            let attic = self.attic_of(request)?;
            return Ok(self.take_away(&worktree, request, attic)?);
        }
        worktree.heal(Some(&request.branch))?;
        let reasons = self.reasons(&worktree, request, &keep)?;
        let fatal = |r: &KeptReason| matches!(r, KeptReason::Repositories(_));
        match &request.mode {
            RemoveMode::Careful if !reasons.is_empty() => Ok(Removed::Kept(reasons)),
            RemoveMode::Discard { .. } if reasons.iter().any(fatal) => {
                Ok(Removed::Kept(reasons.into_iter().filter(fatal).collect()))
            }
            RemoveMode::Discard { attic } if !reasons.is_empty() => {
                let saved = self.save(&worktree, request, attic, &keep)?;
                Ok(self.take_away(&worktree, request, Some(saved))?)
            }
            RemoveMode::Careful | RemoveMode::Discard { .. } => Ok(self.take_away(&worktree, request, None)?),
        }
    }

    /// Everything that speaks against a removal.
    fn reasons(&self, at: &Worktree, request: &RemoveRequest, keep: &Globs) -> Result<Vec<KeptReason>, GitError> {
        let mut reasons: Vec<KeptReason> = operation(&at.admin).map(KeptReason::Unfinished).into_iter().collect();
        let changed = changed(at)?;
        let (nested, files): (Vec<_>, Vec<_>) =
            changed.into_iter().partition(|p| crate::names::path_bytes(p).ends_with(b"/"));
        let loose: Vec<PathBuf> = uncommitted(at, &files)?.into_iter().filter_map(|p| p.path).collect();
        if !loose.is_empty() {
            reasons.push(KeptReason::Uncommitted(loose));
        }
        if !nested.is_empty() {
            reasons.push(KeptReason::Repositories(nested));
        }
        let head = at.git.call(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).run()?.id().ok();
        let tip = self.tip(&request.branch)?;
        let commits = self.unmerged_commits(head.iter().chain(&tip), request)?;
        if commits > 0 {
            reasons.push(KeptReason::Unmerged { commits });
        }
        let count = self.stashes(&request.branch)?;
        if count > 0 {
            reasons.push(KeptReason::Stashes { count });
        }
        let ignored = ignored(at, request, keep)?;
        if !ignored.is_empty() {
            reasons.push(KeptReason::Ignored(ignored));
        }
        Ok(reasons)
    }

    /// How many commits neither the target nor the merged head reaches.
    fn unmerged_commits<'a>(
        &self,
        tips: impl Iterator<Item = &'a ObjectId>,
        request: &RemoveRequest,
    ) -> Result<u64, GitError> {
        let tips: Vec<&str> = tips.map(ObjectId::as_str).collect();
        if tips.is_empty() {
            return Ok(0);
        }
        let safe = self.resolve(&request.target_ref)?.into_iter().chain(request.merged_head.clone());
        let safe: Vec<String> = safe.map(|id| format!("^{id}")).collect();
        let answer = self.git().call(["rev-list", "--count"]).args(tips).args(safe).arg("--").ok()?;
        answer.line().parse().map_err(|_| answer.unreadable("no number"))
    }

    /// How many stashes say that they were made on this branch.
    fn stashes(&self, branch: &BranchName) -> Result<usize, GitError> {
        let answer = self.git().call(["stash", "list", "-z", "--format=%gs"]).ok()?;
        let made_on = [format!("WIP on {branch}:"), format!("On {branch}:")];
        let on_branch = |f: &&[u8]| made_on.iter().any(|start| f.starts_with(start.as_bytes()));
        Ok(answer.fields().filter(on_branch).count())
    }

    /// Saves everything under the attic's ref: all files, above HEAD, the index, the branch's tip, and an older attic of
    /// the same name.
    fn save(&self, at: &Worktree, request: &RemoveRequest, name: &str, keep: &Globs) -> Result<ObjectId, GitError> {
        let attic = format!("refs/musher/attic/{name}");
        let identity = self.identity()?;
        let head = at.git.call(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).run()?.id().ok();
        let mut parents: Vec<ObjectId> = head.iter().cloned().collect();
        // An index with conflicts has no tree; the files themselves are saved all the same.
        let staged = at.git.call(["write-tree"]).run()?;
        if staged.success() {
            let text = format!("index of {}\n", request.branch);
            parents.push(commit(at, &identity, &staged.id()?, &head.iter().collect::<Vec<_>>(), text)?);
        }
        parents.extend(self.tip(&request.branch)?);
        parents.extend(self.resolve(&attic)?);
        let mut known = std::collections::BTreeSet::new();
        parents.retain(|p| known.insert(p.clone()));
        let tree = whole_tree(at, request, keep)?;
        let parents: Vec<&ObjectId> = parents.iter().collect();
        let saved = commit(at, &identity, &tree, &parents, format!("attic of {}\n", request.branch))?;
        self.move_ref(&attic, &saved, None)?;
        Ok(saved)
    }

    /// Removes what has been found safe.
    fn take_away(&self, at: &Worktree, request: &RemoveRequest, attic: Option<ObjectId>) -> Result<Removed, GitError> {
        at.begin_removal()?;
        remove_tree(&at.path)?;
        // The branch goes before the note of the removal does: nothing would come back for it later.
        self.delete_branch(request)?;
        remove_tree(&at.admin)?;
        Ok(Removed::Removed { attic })
    }

    /// The folder is gone; registration and branch go too, if nothing is lost with them.
    fn remove_without_folder(&self, request: &RemoveRequest, admin: Option<PathBuf>) -> Result<Removed, GitError> {
        if let Some(admin) = admin {
            // Cut off between the folder and the branch: all was found safe, or saved, before.
            if removal_begun(&admin) {
                self.delete_branch(request)?;
                remove_tree(&admin)?;
                return Ok(Removed::Removed { attic: self.attic_of(request)? });
            }
            remove_tree(&admin)?;
        }
        let Some(tip) = self.tip(&request.branch)? else {
            return Ok(Removed::Removed { attic: self.attic_of(request)? });
        };
        let in_use = self.list_worktrees()?.into_iter().find(|w| w.branch.as_ref() == Some(&request.branch) && !w.gone);
        if let Some(entry) = in_use {
            return Ok(Removed::Kept(vec![KeptReason::BranchInUse(entry.path)]));
        }
        let commits = self.unmerged_commits(std::iter::once(&tip), request)?;
        let attic = match &request.mode {
            RemoveMode::Careful if commits > 0 => return Ok(Removed::Kept(vec![KeptReason::Unmerged { commits }])),
            RemoveMode::Discard { attic } if commits > 0 => Some(self.save_tip(&tip, attic)?),
            RemoveMode::Careful | RemoveMode::Discard { .. } => None,
        };
        self.delete_branch(request)?;
        Ok(Removed::Removed { attic })
    }

    /// Saves a branch without a worktree under the attic's ref, above what is there already.
    fn save_tip(&self, tip: &ObjectId, name: &str) -> Result<ObjectId, GitError> {
        let attic = format!("refs/musher/attic/{name}");
        let saved = match self.resolve(&attic)? {
            None => tip.clone(),
            Some(older) if self.is_ancestor(tip, &older)? => older,
            Some(older) => {
                let identity = self.identity()?;
                let git = authored(self.git(), &identity);
                let call = git.call(["commit-tree", &format!("{tip}^{{tree}}")]);
                commit_call(call, &[tip, &older], "attic\n".into()).ok()?.id()?
            }
        };
        self.move_ref(&attic, &saved, None)?;
        Ok(saved)
    }

    /// What an earlier call saved, if this one discards.
    fn attic_of(&self, request: &RemoveRequest) -> Result<Option<ObjectId>, GitError> {
        match &request.mode {
            RemoveMode::Careful => Ok(None),
            RemoveMode::Discard { attic } => self.resolve(&format!("refs/musher/attic/{attic}")),
        }
    }

    fn delete_branch(&self, request: &RemoveRequest) -> Result<(), GitError> {
        let Some(tip) = self.tip(&request.branch)? else { return Ok(()) };
        self.git().call(["update-ref", "-d", &request.branch.full(), tip.as_str()]).ok().map(drop)
    }
}

fn commit(
    at: &Worktree,
    identity: &Identity,
    tree: &ObjectId,
    parents: &[&ObjectId],
    text: String,
) -> Result<ObjectId, GitError> {
    let git = authored(at.git.clone(), identity);
    commit_call(git.call(["commit-tree", tree.as_str()]), parents, text).ok()?.id()
}

/// The tree of all files that are tracked, untracked, or ignored and to be kept, by way of an index of its own.
fn whole_tree(at: &Worktree, request: &RemoveRequest, keep: &Globs) -> Result<ObjectId, GitError> {
    let index = at.admin.join("musher-attic-index");
    at.copy_index(&index)?;
    let git = at.git.clone().env("GIT_INDEX_FILE", &index);
    git.call(["add", "-A", "--", ":/"]).ok()?;
    let ignored = path_list(ignored(at, request, keep)?.iter());
    if !ignored.is_empty() {
        let literal = git.clone().global("--literal-pathspecs");
        let options = ["add", "--force", "--pathspec-from-file=-", "--pathspec-file-nul"];
        literal.call(options).input(ignored).ok()?;
    }
    let tree = git.call(["write-tree"]).ok()?.id()?;
    remove_tree(&index)?;
    Ok(tree)
}

/// The ignored files that are to be kept.
fn ignored(at: &Worktree, request: &RemoveRequest, keep: &Globs) -> Result<Vec<PathBuf>, GitError> {
    if request.keep.is_empty() {
        return Ok(Vec::new());
    }
    let answer = at.git.call(["ls-files", "-z", "-o", "-i", "--exclude-standard"]).ok()?;
    let mut paths = at.own(answer.fields());
    paths.retain(|path| keep.matches(path));
    Ok(paths)
}
