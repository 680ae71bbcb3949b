//! Where the branches of a batch left the base: known for all of them by two calls of git.

use std::collections::{HashMap, HashSet};

use crate::git::{Git, GitError};
use crate::names::ObjectId;

/// Where branches left the base. It knows only those of which nothing is in doubt.
#[derive(Debug, Default)]
pub(super) struct Forks(HashMap<ObjectId, Fork>);

/// Where a branch left the base, with exactly one commit at which it did.
#[derive(Debug)]
pub(super) struct Fork {
    /// The tree of the one best common ancestor of the branch and the base.
    pub(super) tree: ObjectId,
    /// The tree of the branch's tip.
    pub(super) head_tree: ObjectId,
    /// The branch's commits that the base has not.
    pub(super) beyond: Vec<ObjectId>,
}

/// A commit as git lists it.
#[derive(Debug)]
struct Listed {
    /// Whether the base has it.
    shared: bool,
    tree: ObjectId,
    parents: Vec<ObjectId>,
}

impl Forks {
    /// Finds where these branches left the base.
    ///
    /// A branch is known when its commits beyond the base are a chain: then the parent of the lowest is the only best
    /// common ancestor. git lists a commit as beyond the base though the base has it where clocks went very wrong;
    /// so that the lowest of each chain is asked for once more, in a way that does not look at clocks.
    pub(super) fn find(git: &Git, base: &ObjectId, heads: &[&ObjectId]) -> Result<Self, GitError> {
        let listed = list(git, base, heads)?;
        let mut forks = HashMap::new();
        let mut lowest = Vec::new();
        for head in heads {
            if let Some((fork, low)) = chain(&listed, head) {
                lowest.push(low);
                forks.insert((*head).clone(), (fork, low));
            }
        }
        lowest.sort();
        lowest.dedup();
        if lowest.is_empty() {
            return Ok(Self::default());
        }
        // What is reached from another of them is left out of the answer; so it is if the base has it.
        let asked = std::iter::once(base).chain(lowest.iter().copied()).map(ObjectId::as_str);
        let answer = git.call(["merge-base", "--independent"]).args(asked).ok()?.line();
        let apart: HashSet<&str> = answer.lines().collect();
        let sure = forks.into_iter().filter(|(_, (_, low))| apart.contains(low.as_str()));
        Ok(Self(sure.map(|(head, (fork, _))| (head, fork)).collect()))
    }

    pub(super) fn of(&self, head: &ObjectId) -> Option<&Fork> {
        self.0.get(head)
    }
}

/// The commits of the branches that the base has not, and those where they left it.
fn list(git: &Git, base: &ObjectId, heads: &[&ObjectId]) -> Result<HashMap<ObjectId, Listed>, GitError> {
    let options = ["rev-list", "--boundary", "--no-commit-header", "--format=%m %H %T %P", "--stdin"];
    let asked: String = heads.iter().map(|head| format!("{head}\n")).collect();
    let answer = git.call(options).input(format!("{asked}^{base}\n")).ok()?;
    let read = |line: &str| {
        let mut words = line.split(' ').filter(|word| !word.is_empty());
        let shared = words.next()? == "-";
        let [id, tree] = [ObjectId::parse(words.next()?).ok()?, ObjectId::parse(words.next()?).ok()?];
        let parents = words.map(ObjectId::parse).collect::<Result<_, _>>().ok()?;
        Some((id, Listed { shared, tree, parents }))
    };
    let commits = answer.line().lines().map(read).collect::<Option<_>>();
    commits.ok_or_else(|| answer.unreadable("a commit without its fields"))
}

/// The fork of a branch whose commits beyond the base are a chain, and the lowest of them.
fn chain<'a>(listed: &'a HashMap<ObjectId, Listed>, head: &'a ObjectId) -> Option<(Fork, &'a ObjectId)> {
    let head_tree = listed.get(head)?.tree.clone();
    let mut beyond = Vec::new();
    let mut at = head;
    loop {
        let commit = listed.get(at)?;
        if commit.shared {
            let low = listed.get_key_value(beyond.last()?)?.0;
            return Some((Fork { tree: commit.tree.clone(), head_tree, beyond }, low));
        }
        let [parent] = commit.parents.as_slice() else { return None };
        beyond.push(at.clone());
        at = parent;
    }
}
