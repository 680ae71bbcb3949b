//! Reads what has been done: diffs, merged commits, musher's own branches.

use std::path::PathBuf;

use crate::git::GitError;
use crate::names::{BranchName, ObjectId};
use crate::repository::Repository;
use crate::worktree::{Located, remove_tree};

/// How many merged commits are listed.
const MAX_LOG: &str = "--max-count=1000";

/// What is compared with the base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiffOf {
    /// A commit.
    Commit(ObjectId),
    /// A worktree as it lies there, with what is uncommitted and untracked.
    Worktree(PathBuf),
}

/// A commit on a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The commit.
    pub commit: ObjectId,
    /// The first line of its message.
    pub subject: String,
}

impl Repository {
    /// The diff from a commit to a commit or worktree, as `git diff` prints it. Empty if the worktree is gone.
    ///
    /// # Errors
    /// When git fails.
    pub fn diff(&self, base: &ObjectId, of: &DiffOf) -> Result<String, GitError> {
        let options = ["diff", "--no-color", "--no-ext-diff", "--no-textconv", base.as_str()];
        let answer = match of {
            DiffOf::Commit(commit) => self.git().call(options).args([commit.as_str(), "--"]).ok()?,
            DiffOf::Worktree(path) => {
                let Located::Here(worktree) = self.locate(path)? else { return Ok(String::new()) };
                // An index of its own: an agent may be using the real one at this moment.
                let index = worktree.admin.join(format!("musher-diff-{}", std::process::id()));
                worktree.copy_index(&index)?;
                let git = worktree.git.clone().env("GIT_INDEX_FILE", &index);
                let added = git.call(["add", "--intent-to-add", "--"]).args(worktree.own_paths()).run();
                let answer = added.and_then(|_| git.call(options).arg("--").ok());
                remove_tree(&index)?;
                answer?
            }
        };
        Ok(String::from_utf8_lossy(&answer.out).into_owned())
    }

    /// The commits on a branch's first-parent line, newest first, without those that `since` reaches; at most 1,000.
    ///
    /// # Errors
    /// When the branch is gone or git fails.
    pub fn log_merged(&self, target: &BranchName, since: Option<&ObjectId>) -> Result<Vec<LogEntry>, GitError> {
        let options = ["log", "-z", "--first-parent", "--no-show-signature", "--format=%H %s", MAX_LOG];
        let not = since.map(|id| format!("^{id}"));
        let answer = self.git().call(options).arg(target.full()).args(not).arg("--").ok()?;
        let mut entries = Vec::new();
        for field in answer.fields() {
            let text = String::from_utf8_lossy(field);
            let (id, subject) = text.split_once(' ').unwrap_or((&text, ""));
            let commit = ObjectId::parse(id).map_err(|_| answer.unreadable("no object id"))?;
            entries.push(LogEntry { commit, subject: subject.to_owned() });
        }
        Ok(entries)
    }

    /// The branches that musher made, with their tips.
    ///
    /// # Errors
    /// When git cannot be run.
    pub fn list_musher_branches(&self) -> Result<Vec<(BranchName, ObjectId)>, GitError> {
        self.branches("refs/heads/musher/")
    }

    pub(crate) fn branches(&self, prefix: &str) -> Result<Vec<(BranchName, ObjectId)>, GitError> {
        let answer = self.git().call(["for-each-ref", "--format=%(objectname) %(refname)", prefix]).ok()?;
        let read = |line: &str| {
            let (id, name) = line.split_once(' ')?;
            Some((BranchName::parse(name).ok()?, ObjectId::parse(id).ok()?))
        };
        Ok(answer.line().lines().filter_map(read).collect())
    }
}
