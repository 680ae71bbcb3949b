//! Brings an item's branch to a remote, if nobody else has moved it there.

use crate::git::GitError;
use crate::names::{BranchName, ObjectId, RemoteName};
use crate::repository::Repository;

/// Which commit a branch is to have at a remote.
#[derive(Debug, Clone)]
pub struct PushRequest {
    /// The branch, of the same name here and there.
    pub branch: BranchName,
    /// The commit.
    pub head: ObjectId,
    /// The commit that it must still have there; none when it must not exist.
    pub expected: Option<ObjectId>,
    /// Where.
    pub remote: RemoteName,
}

/// What came of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// The branch has the commit there, now or already.
    Done,
    /// Somebody else has moved it.
    Moved {
        /// What it has there; none if it is gone.
        found: Option<ObjectId>,
    },
    /// git, a hook or the remote refused.
    Refused {
        /// The words.
        said: String,
    },
    /// Nothing answers there.
    Unanswered {
        /// The words.
        said: String,
    },
}

impl Repository {
    /// Pushes a branch with a lease on what it must still have there.
    ///
    /// # Errors
    /// When git cannot be run, or answers what it never should.
    pub fn push_branch(&self, request: &PushRequest) -> Result<Pushed, GitError> {
        let PushRequest { branch, head, expected, remote } = request;
        let answer = self.push_with_lease(remote, branch, head, expected.as_ref())?;
        if answer.success() {
            return Ok(Pushed::Done);
        }
        // Why it was refused is looked up, not read from words: they are in the user's language.
        let Ok(found) = self.remote_tip(remote, branch) else { return Ok(Pushed::Unanswered { said: answer.said() }) };
        Ok(match found {
            Some(found) if found == *head => Pushed::Done,
            found if found == *expected => Pushed::Refused { said: answer.said() },
            found => Pushed::Moved { found },
        })
    }
}
