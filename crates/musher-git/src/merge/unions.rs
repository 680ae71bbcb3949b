//! The merges of a batch that need no git of their own: for a merge after the other, starting one is most of the work.

use std::collections::HashSet;

use super::forks::{Fork, Forks};
use super::trees::{Not, Trees};
use super::{BatchRequest, MergeStyle};
use crate::git::Git;
use crate::names::ObjectId;

/// From so many members on it pays to look at the branches of all of them first.
const LEAST_MEMBERS: usize = 3;

/// Merges of members one on another, where it is plain what git would say.
#[derive(Debug)]
pub(super) struct Unions {
    forks: Forks,
    trees: Trees,
    /// What the tip has and the base has not.
    above: HashSet<ObjectId>,
}

impl Unions {
    /// For the members of a batch onto this base. None where git is as fast, or where it makes the commits itself.
    pub(super) fn new(git: &Git, base: &ObjectId, request: &BatchRequest) -> Option<Self> {
        if request.members.len() < LEAST_MEMBERS || request.style == MergeStyle::Rebase {
            return None;
        }
        let heads: Vec<&ObjectId> = request.members.iter().map(|member| &member.head).collect();
        // Whatever is the matter, the merge itself will tell.
        let forks = Forks::find(git, base, &heads).ok()?;
        Some(Self { forks, trees: Trees::new(git.clone()), above: HashSet::new() })
    }

    /// The tree of a merge of this branch onto the tip with this tree; none when git has to be asked.
    pub(super) fn of(&mut self, tip: &ObjectId, head: &ObjectId) -> Option<ObjectId> {
        let Fork { tree, head_tree, beyond } = self.forks.of(head)?;
        // What the tip has of the branch already moves their common ancestor up.
        if beyond.iter().any(|commit| self.above.contains(commit)) {
            return None;
        }
        match self.trees.unite(tree, tip, head_tree) {
            Ok(tree) => Some(tree),
            Err(Not::Plain) => None,
            Err(Not::Able(error)) => {
                tracing::debug!(%error, "trees are left to git");
                self.forks = Forks::default();
                None
            }
        }
    }

    /// The tip is now this commit, which holds this branch.
    pub(super) fn moved(&mut self, commit: &ObjectId, head: &ObjectId, style: MergeStyle) {
        self.above.insert(commit.clone());
        if style == MergeStyle::Merge {
            match self.forks.of(head) {
                Some(fork) => self.above.extend(fork.beyond.iter().cloned()),
                // Of which commits, nobody has looked.
                None => self.forks = Forks::default(),
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
