//! Brings an item's branch up to date in its own worktree, or leaves the conflict there for a resolver to see.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::attach::Attached;
use crate::fetch::tracking;
use crate::git::GitError;
use crate::inspect::{CommitMode, Fault, Problem};
use crate::merge::{Merged, Replay, Stamp};
use crate::names::{BranchName, Identity, Message, ObjectId, RemoteName};
use crate::repository::Repository;
use crate::settle::{Rules, Settled, commit_call, forget_state, unmerged};
use crate::worktree::{Located, Operation, Worktree, operation, remove_tree};

/// How many bytes of conflicting hunks are reported.
const MAX_HUNKS: usize = 8_000;
/// How many titles of each side are reported.
const TITLES: usize = 10;

/// Which branch is to be brought onto what.
#[derive(Debug, Clone)]
pub struct RebaseRequest {
    /// The item's worktree. Its processes are dead.
    pub path: PathBuf,
    /// The item's branch.
    pub branch: BranchName,
    /// The branch that it is to stand on.
    pub onto: BranchName,
    /// Whose branch that is: none is this repository's own, otherwise as it was last fetched from there.
    pub of: Option<RemoteName>,
    /// The message for leftover changes.
    pub message: Message,
    /// The largest leftover file that is committed, in bytes.
    pub max_file_size: u64,
}

/// What came of a rebase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rebased {
    /// The branch stands on the other one's tip.
    Done {
        /// Its new tip.
        head: ObjectId,
    },
    /// A merge with conflict markers is open in the worktree; [`Repository::inspect`] concludes it once it is resolved.
    Conflict {
        /// The files in conflict.
        files: Vec<PathBuf>,
        /// The titles of both sides, what each did to the files, and the conflicting hunks as git shows them, at most 8,000
        /// bytes.
        hunks: String,
    },
    /// The worktree is gone.
    Missing,
    /// The worktree is in no state to be rebased.
    Problems(Vec<Problem>),
}

impl Repository {
    /// Brings an item's branch onto another: its commits are replayed in the object store, and only a result without
    /// conflict reaches the worktree. There is no moment at which a killed musher leaves a rebase behind.
    ///
    /// On a conflict the other branch is merged in the worktree, uncommitted and with markers, so that work is kept.
    ///
    /// # Errors
    /// When a branch is gone or git fails.
    pub fn rebase(&self, request: &RebaseRequest) -> Result<Rebased, GitError> {
        let one = |fault| Ok(Rebased::Problems(vec![Problem::whole(fault)]));
        let worktree = match self.locate(&request.path)? {
            Located::Gone { .. } | Located::Foreign => return Ok(Rebased::Missing),
            Located::Replaced => return one(Fault::Replaced),
            Located::Here(worktree) => worktree,
        };
        worktree.heal(Some(&request.branch))?;
        let full = match &request.of {
            None => request.onto.full(),
            Some(remote) => tracking(remote, &request.onto),
        };
        let full = format!("{full}^{{commit}}");
        let onto = self.git().call(["rev-parse", "--verify", &full]).ok()?.id()?;
        match operation(&worktree.admin) {
            Some(Operation::Rebase) => abort_rebase(&worktree)?,
            Some(Operation::Merge) => {
                let files = unmerged(&worktree)?;
                // A merge of ours is open already: this is a repeat, and a resolver may have begun.
                if !files.is_empty() {
                    return conflict(&worktree, files);
                }
            }
            Some(Operation::CherryPick | Operation::Revert | Operation::Sequence) | None => {}
        }
        if let Attached::Elsewhere { found } = self.attach(&worktree, &request.branch)? {
            return one(Fault::OffBranch { branch: request.branch.clone(), found });
        }
        let identity = self.identity()?;
        let rules = Rules {
            identity: &identity,
            message: &request.message,
            mode: CommitMode::Musher,
            max_file_size: request.max_file_size,
        };
        match self.settle(&worktree, &rules)? {
            Settled::Problems(problems) => Ok(Rebased::Problems(problems)),
            Settled::Clean { head, .. } => self.bring(&worktree, &head, &onto, &identity, &request.onto),
        }
    }

    fn bring(
        &self,
        worktree: &Worktree,
        head: &ObjectId,
        onto: &ObjectId,
        identity: &Identity,
        name: &BranchName,
    ) -> Result<Rebased, GitError> {
        if self.is_ancestor(onto, head)? {
            return Ok(Rebased::Done { head: head.clone() });
        }
        // The committer's time is the head's own, so that a repeat makes the same commits.
        let time = self.git().call(["show", "-s", "--format=@%ct +0000", head.as_str()]).ok()?.line();
        let stamp = Stamp { identity, time };
        if let Replay::Done { head, .. } = self.replay(onto, head, &stamp, &[])? {
            worktree.reset(&head)?;
            return Ok(Rebased::Done { head });
        }
        match self.merge_trees(head, onto)? {
            Merged::Clean(tree) => {
                let call = stamp.both(self.git()).call(["commit-tree", tree.as_str()]);
                let commit = commit_call(call, &[head, onto], format!("Merge branch '{name}'\n")).ok()?.id()?;
                worktree.reset(&commit)?;
                Ok(Rebased::Done { head: commit })
            }
            Merged::Conflict(files) => open_merge(worktree, head, onto, files),
        }
    }
}

/// Starts the merge that a resolver is to finish.
fn open_merge(worktree: &Worktree, head: &ObjectId, onto: &ObjectId, files: Vec<PathBuf>) -> Result<Rebased, GitError> {
    // Cut off in the middle, half a merge would look like the item's leftover changes.
    worktree.begin_reset(head)?;
    let options = ["merge", "--no-commit", "--no-ff", "--no-autostash", "--no-squash", "--no-stat", "--quiet"];
    let answer = worktree.git.call(options).args(["--no-verify-signatures", onto.as_str()]).run()?;
    if operation(&worktree.admin) != Some(Operation::Merge) {
        return Err(answer.failure());
    }
    worktree.end_reset()?;
    let open = unmerged(worktree)?;
    conflict(worktree, if open.is_empty() { files } else { open })
}

/// What a resolver has to know: what each side wanted, by its titles; what each did to every file; the hunks.
fn conflict(worktree: &Worktree, files: Vec<PathBuf>) -> Result<Rebased, GitError> {
    let mut hunks = format!(
        "on this branch:\n{}on the other:\n{}",
        titles(worktree, "MERGE_HEAD..HEAD")?,
        titles(worktree, "HEAD..MERGE_HEAD")?
    );
    hunks.push_str(&sides(worktree)?);
    let options = ["diff", "--no-color", "--no-ext-diff", "--no-textconv", "--diff-filter=U", "-U1"];
    let out = worktree.git.call(options).reads().ok()?.out;
    hunks.push_str(&String::from_utf8_lossy(&out));
    if hunks.len() > MAX_HUNKS {
        hunks.truncate(hunks.floor_char_boundary(MAX_HUNKS));
    }
    Ok(Rebased::Conflict { files, hunks })
}

/// The titles of the newest commits in a range, a line each.
fn titles(worktree: &Worktree, range: &str) -> Result<String, GitError> {
    let most = format!("--max-count={TITLES}");
    let options = ["log", "--no-merges", "--format=- %s", "--no-show-signature", &most, range, "--"];
    Ok(format!("{}\n", worktree.git.call(options).reads().ok()?.line()))
}

/// What each side did to a file in conflict, where the hunks do not show it: only text that both changed has any.
fn sides(worktree: &Worktree) -> Result<String, GitError> {
    let answer = worktree.git.call(["ls-files", "-z", "-u"]).reads().ok()?;
    // A path with the stages that it has: 1 is the common state, 2 this branch, 3 the other.
    let mut paths: BTreeMap<String, [Option<String>; 3]> = BTreeMap::new();
    for field in answer.fields() {
        let text = String::from_utf8_lossy(field);
        let Some((head, path)) = text.split_once('\t') else { continue };
        let mut words = head.split(' ');
        let (mode, id, stage) = (words.next(), words.next(), words.next());
        let stage = stage.and_then(|n| n.parse::<usize>().ok()).and_then(|n| n.checked_sub(1));
        let entry = paths.entry(path.to_owned()).or_default();
        if let (Some(mode), Some(id), Some(side)) = (mode, id, stage.and_then(|n| entry.get_mut(n))) {
            *side = Some(format!("{mode} {id}"));
        }
    }
    let mut text = String::new();
    for (path, stages) in paths {
        let submodule = stages.iter().flatten().any(|side| side.starts_with("160000"));
        let what = match stages {
            [_, Some(ours), Some(theirs)] if submodule => {
                format!("a submodule: {ours} on this branch, {theirs} on the other")
            }
            [Some(_), Some(_), Some(_)] => "changed on both".to_owned(),
            [None, Some(_), Some(_)] => "added on both".to_owned(),
            [Some(_), Some(_), None] => "changed on this branch, deleted or renamed on the other".to_owned(),
            [Some(_), None, Some(_)] => "deleted or renamed on this branch, changed on the other".to_owned(),
            [None, Some(_), None] => "added, or renamed to this, on this branch".to_owned(),
            [None, None, Some(_)] => "added, or renamed to this, on the other".to_owned(),
            [_, None, None] => "deleted, or renamed differently, on both".to_owned(),
        };
        text.push_str(&format!("`{path}`: {what}\n"));
    }
    Ok(text)
}

/// Ends a rebase that somebody left; the branch is where it was before.
fn abort_rebase(worktree: &Worktree) -> Result<(), GitError> {
    let answer = worktree.git.call(["rebase", "--abort"]).run()?;
    if answer.success() {
        return Ok(());
    }
    // Its state is too broken for git to abort it; the branch itself never moved.
    for name in ["rebase-merge", "rebase-apply"] {
        remove_tree(&worktree.admin.join(name))?;
    }
    forget_state(worktree)
}
