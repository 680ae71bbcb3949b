//! Brings an item's branch and its worktree's HEAD together again when an agent has walked off.

use crate::git::GitError;
use crate::names::{BranchName, ObjectId};
use crate::repository::Repository;
use crate::worktree::Worktree;

/// Where a worktree stands after it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Attached {
    /// HEAD is on the branch.
    On {
        /// The branch's tip.
        head: ObjectId,
    },
    /// HEAD is on something that does not continue the branch.
    Elsewhere {
        /// In words for a person.
        found: String,
    },
}

impl Repository {
    /// Puts HEAD onto the branch if what is checked out continues it: the branch then moves forward to it.
    pub(crate) fn attach(&self, worktree: &Worktree, branch: &BranchName) -> Result<Attached, GitError> {
        let full = branch.full();
        let answer = worktree.git.call(["for-each-ref", "--format=%(HEAD)%(objectname)", &full]).reads().ok()?;
        let line = answer.line();
        if let Some(tip) = line.strip_prefix('*') {
            let head = ObjectId::parse(tip).map_err(|_| answer.unreadable("no object id"))?;
            return Ok(Attached::On { head });
        }
        let tip = ObjectId::parse(line.trim()).ok();
        let here = worktree.git.call(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).reads().run()?;
        if !here.success() {
            return Ok(Attached::Elsewhere { found: "a branch without a commit".into() });
        }
        let head = here.id()?;
        let continues = match &tip {
            Some(tip) => self.is_ancestor(tip, &head)?,
            None => true,
        };
        if !continues {
            let name = worktree.git.call(["symbolic-ref", "--quiet", "--short", "HEAD"]).reads().run()?;
            let found = if name.success() { format!("`{}`", name.line()) } else { format!("commit {head}") };
            return Ok(Attached::Elsewhere { found });
        }
        let old = tip.map_or_else(|| head.zero_like(), |tip| tip.as_str().to_owned());
        self.move_ref(&full, &head, Some(&old))?;
        worktree.git.call(["symbolic-ref", "-m", "musher", "HEAD", &full]).ok()?;
        Ok(Attached::On { head })
    }
}
