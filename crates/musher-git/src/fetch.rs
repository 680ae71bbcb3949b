//! Finds out where a branch of a remote is now.

use crate::git::GitError;
use crate::names::{BranchName, RemoteName};
use crate::repository::Repository;

/// The ref that holds what is known of a remote's branch.
pub(crate) fn tracking(remote: &RemoteName, branch: &BranchName) -> String {
    format!("refs/remotes/{}/{branch}", remote.as_str())
}

impl Repository {
    /// Brings what is known of a remote's branch up to date, as `git fetch` does; no branch of this repository moves, and no
    /// checkout changes.
    ///
    /// # Errors
    /// When git cannot be run, the remote is not there, or has no such branch.
    pub fn fetch_branch(&self, remote: &RemoteName, branch: &BranchName) -> Result<(), GitError> {
        let spec = format!("+{}:{}", branch.full(), tracking(remote, branch));
        let options =
            ["fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-gc"];
        self.git_abroad().call(options).args(["--", remote.as_str(), &spec]).without_terminal().ok()?;
        Ok(())
    }
}
