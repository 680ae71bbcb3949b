//! What is checked before anything starts: a repository that can be worked in, and a base branch that exists.

use std::path::{Path, PathBuf};

use crate::git::GitError;
use crate::names::{BranchName, ObjectId};
use crate::repository::{OpenError, Repository};

/// How like a name must be to be offered instead, 0 to 1.
const NEAR: f64 = 0.7;
/// How many names are offered.
const OFFERED: usize = 3;

/// A repository that is fit for a mission.
#[derive(Debug, Clone)]
pub struct Preflight {
    /// The open repository.
    pub repository: Repository,
    /// The branch that work starts from and comes back to.
    pub base: BranchName,
    /// Its tip.
    pub commit: ObjectId,
}

/// Why no mission can start here.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// The folder is no repository that musher can work in.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// No base was named, and the checkout is on no branch.
    #[error("`{}` is on no branch, and no base branch is named", dir.display())]
    Detached {
        /// The checkout.
        dir: PathBuf,
    },
    /// The named base does not exist.
    #[error("there is no branch `{name}`{}", offer(near))]
    NoSuchBranch {
        /// The name that was given.
        name: String,
        /// Branches with a like name, the nearest first; at most three.
        near: Vec<String>,
    },
    /// Nothing can be written.
    #[error("`{}` is read-only", dir.display())]
    ReadOnly {
        /// The folder.
        dir: PathBuf,
    },
    /// git failed in another way.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl PreflightError {
    /// Says how to fix it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Open(e) => e.fix(),
            Self::Detached { .. } => "`git switch BRANCH`, or name the base branch",
            Self::NoSuchBranch { .. } => "name a local branch (`git branch` lists them), or make it: `git branch NAME`",
            Self::ReadOnly { .. } => "own the folder or mount it writable",
            Self::Git(e) => e.fix(),
        }
    }
}

fn offer(near: &[String]) -> String {
    if near.is_empty() {
        return String::new();
    }
    let names: Vec<String> = near.iter().map(|n| format!("`{n}`")).collect();
    format!(", but there is {}", names.join(", "))
}

/// Checks a folder and finds the base branch: the named one, or the one that is checked out.
///
/// # Errors
/// Each thing that must be put right first has its variant; nothing is changed.
pub fn preflight(dir: &Path, base: Option<&str>) -> Result<Preflight, PreflightError> {
    let repository = Repository::open(dir)?;
    if let Some(dir) = repository.read_only_folder() {
        return Err(PreflightError::ReadOnly { dir: dir.to_owned() });
    }
    let name = match base {
        Some(name) => name.to_owned(),
        None => match repository.current_branch()? {
            Some(branch) => branch.as_str().to_owned(),
            None => return Err(PreflightError::Detached { dir: repository.top().to_owned() }),
        },
    };
    let found = match BranchName::parse(&name) {
        Ok(branch) => repository.tip(&branch)?.map(|commit| (branch, commit)),
        Err(_) => None,
    };
    match found {
        Some((base, commit)) => Ok(Preflight { repository, base, commit }),
        None => Err(PreflightError::NoSuchBranch { near: near(&repository, &name)?, name }),
    }
}

fn near(repository: &Repository, name: &str) -> Result<Vec<String>, GitError> {
    let mut scored: Vec<(f64, String)> = repository
        .branches("refs/heads/")?
        .into_iter()
        .map(|(branch, _)| (strsim::jaro_winkler(branch.as_str(), name), branch.as_str().to_owned()))
        .filter(|(score, _)| *score >= NEAR)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    Ok(scored.into_iter().take(OFFERED).map(|(_, name)| name).collect())
}
