//! Turns what a run left lying about into a commit on the item's branch: leftover changes, a merge resolved but not concluded.

use std::path::{Path, PathBuf};

use tracing::info;

use crate::git::{Call, Git, GitError, file_error};
use crate::inspect::{CommitMode, Fault, Problem};
use crate::names::{Identity, Message, ObjectId, path_bytes};
use crate::repository::Repository;
use crate::worktree::{Operation, Worktree, operation, remove_tree};

/// The files in which git keeps an operation of one commit, and what it wrote for its message.
const STATE: [&str; 8] = [
    "MERGE_HEAD",
    "MERGE_MODE",
    "MERGE_MSG",
    "MERGE_RR",
    "AUTO_MERGE",
    "SQUASH_MSG",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
];

/// How leftovers are to be committed.
#[derive(Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) message: &'a Message,
    pub(crate) mode: CommitMode,
    pub(crate) max_file_size: u64,
}

/// A worktree after its leftovers were seen to.
#[derive(Debug)]
pub(crate) enum Settled {
    /// Nothing is uncommitted.
    Clean { head: ObjectId, tree: ObjectId },
    /// Something cannot be committed; nothing was.
    Problems(Vec<Problem>),
}

/// A commit under construction, made by plumbing: no hook, no signature, no editor.
pub(crate) fn commit_call(call: Call, parents: &[&ObjectId], text: String) -> Call {
    call.args(parents.iter().flat_map(|p| ["-p", p.as_str()])).args(["-F", "-"]).input(text)
}

impl Repository {
    /// Commits what is left in a worktree that stands on its branch.
    pub(crate) fn settle(&self, worktree: &Worktree, rules: &Rules<'_>) -> Result<Settled, GitError> {
        let state = operation(&worktree.admin);
        if let Some(op @ (Operation::Rebase | Operation::Sequence)) = state {
            return Ok(Settled::Problems(vec![Problem::whole(Fault::Unfinished(op))]));
        }
        let unmerged = unmerged(worktree)?;
        let changed = changed(worktree)?;
        let mut problems = unresolved(worktree, &unmerged);
        problems.extend(unfit(worktree, &changed, rules.max_file_size)?);
        if rules.mode == CommitMode::Agent {
            problems.extend(uncommitted(worktree, &changed)?);
            problems.extend(state.map(|op| Problem::whole(Fault::Unfinished(op))));
        }
        if !problems.is_empty() {
            problems.dedup();
            return Ok(Settled::Problems(problems));
        }
        if !changed.is_empty() || !unmerged.is_empty() {
            let added = worktree.git.call(["add", "-A", "--"]).args(worktree.own_paths()).run()?;
            if !added.success() {
                return Ok(Settled::Problems(vec![Problem::whole(Fault::CannotCommit { said: added.said() })]));
            }
        }
        self.commit_index(worktree, rules)
    }

    /// Commits the index if it differs from HEAD or concludes a merge.
    fn commit_index(&self, worktree: &Worktree, rules: &Rules<'_>) -> Result<Settled, GitError> {
        let git = &worktree.git;
        let tree = git.call(["write-tree"]).ok()?.id()?;
        let [head, head_tree] = git.call(["rev-parse", "HEAD^{commit}", "HEAD^{tree}"]).reads().ok()?.ids()?;
        let merged = self.merged_heads(worktree, &head)?;
        if tree == head_tree && merged.is_empty() {
            forget_state(worktree)?;
            return Ok(Settled::Clean { head, tree });
        }
        let parents: Vec<&ObjectId> = std::iter::once(&head).chain(&merged).collect();
        let call = authored(git.clone(), rules.identity).call(["commit-tree", tree.as_str()]);
        let commit = commit_call(call, &parents, rules.message.text()).ok()?.id()?;
        git.call(["update-ref", "-m", "musher: leftovers", "HEAD", commit.as_str(), head.as_str()]).ok()?;
        info!(worktree = %worktree.path.display(), %commit, "leftover changes committed");
        forget_state(worktree)?;
        Ok(Settled::Clean { head: commit, tree })
    }

    /// What a merge is bringing in. One that HEAD holds already was concluded before its state could be taken away.
    fn merged_heads(&self, worktree: &Worktree, head: &ObjectId) -> Result<Vec<ObjectId>, GitError> {
        let text = std::fs::read_to_string(worktree.admin.join("MERGE_HEAD")).unwrap_or_default();
        let mut heads = Vec::new();
        for id in text.lines().filter_map(|line| ObjectId::parse(line).ok()) {
            if !self.is_ancestor(&id, head)? {
                heads.push(id);
            }
        }
        Ok(heads)
    }
}

/// A git with this identity as author and committer.
pub(crate) fn authored(mut git: Git, identity: &Identity) -> Git {
    for (role, value) in [("NAME", &identity.name), ("EMAIL", &identity.email)] {
        git = git.env(&format!("GIT_AUTHOR_{role}"), value).env(&format!("GIT_COMMITTER_{role}"), value);
    }
    git
}

pub(crate) fn forget_state(worktree: &Worktree) -> Result<(), GitError> {
    STATE.iter().try_for_each(|name| remove_tree(&worktree.admin.join(name)))
}

/// The paths with a conflict in the index.
pub(crate) fn unmerged(worktree: &Worktree) -> Result<Vec<PathBuf>, GitError> {
    let answer = worktree.git.call(["ls-files", "-z", "-u"]).reads().ok()?;
    Ok(worktree.own(answer.fields().filter_map(|f| f.splitn(2, |b| *b == b'\t').nth(1))))
}

/// The paths whose files differ from the index, and the untracked ones that are not ignored.
pub(crate) fn changed(worktree: &Worktree) -> Result<Vec<PathBuf>, GitError> {
    let answer = worktree.git.call(["ls-files", "-z", "-o", "-m", "--exclude-standard"]).reads().ok()?;
    Ok(worktree.own(answer.fields()))
}

/// Everything that is not in HEAD, for a person to read.
pub(crate) fn uncommitted(worktree: &Worktree, changed: &[PathBuf]) -> Result<Vec<Problem>, GitError> {
    let call = worktree.git.call(["diff-index", "--cached", "--name-only", "-z", "--no-renames", "HEAD", "--"]);
    let mut paths = worktree.own(call.reads().ok()?.fields());
    paths.extend_from_slice(changed);
    paths.sort();
    paths.dedup();
    Ok(paths.into_iter().map(|path| Problem::at(path, Fault::Uncommitted)).collect())
}

fn unresolved(worktree: &Worktree, unmerged: &[PathBuf]) -> Vec<Problem> {
    let marked = |path: &&PathBuf| has_markers(&worktree.path.join(path));
    unmerged.iter().filter(marked).map(|p| Problem::at(p.clone(), Fault::Unresolved)).collect()
}

fn has_markers(path: &Path) -> bool {
    // A link's target may be a device, which would never end.
    let plain = std::fs::symlink_metadata(path).is_ok_and(|m| m.is_file());
    let Ok(bytes) = (if plain { std::fs::read(path) } else { Ok(Vec::new()) }) else { return false };
    bytes.split(|b| *b == b'\n').any(is_marker)
}

/// Whether a line opens or closes a conflict. A lone `=======` is no sign: it underlines headings too.
pub(crate) fn is_marker(line: &[u8]) -> bool {
    line.starts_with(b"<<<<<<< ") || line.starts_with(b">>>>>>> ")
}

/// What must not even enter the object store: huge files, and repositories inside the worktree.
fn unfit(worktree: &Worktree, changed: &[PathBuf], max: u64) -> Result<Vec<Problem>, GitError> {
    let mut problems = Vec::new();
    let mut large = Vec::new();
    for path in changed {
        if path_bytes(path).ends_with(b"/") {
            problems.push(Problem::at(path.clone(), Fault::NestedRepository));
            continue;
        }
        match std::fs::symlink_metadata(worktree.path.join(path)) {
            Ok(meta) if meta.is_file() && meta.len() > max => large.push((path, meta.len())),
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::NotFound || e.raw_os_error() == Some(20) => {}
            Err(e) => return Err(file_error("read", path)(e)),
        }
    }
    let filtered = filtered(worktree, large.iter().map(|(path, _)| path.as_path()))?;
    for (path, bytes) in large {
        if !filtered.contains(path) {
            problems.push(Problem::at(path.clone(), Fault::TooLarge { bytes, max }));
        }
    }
    Ok(problems)
}

/// Those of the paths that a filter such as Git LFS turns into something else on their way in.
fn filtered<'a>(worktree: &Worktree, paths: impl Iterator<Item = &'a Path>) -> Result<Vec<PathBuf>, GitError> {
    let input: Vec<u8> = paths.flat_map(|p| path_bytes(p).iter().copied().chain([0])).collect();
    if input.is_empty() {
        return Ok(Vec::new());
    }
    let answer = worktree.git.call(["check-attr", "-z", "--stdin", "filter"]).input(input).reads().ok()?;
    let fields: Vec<&[u8]> = answer.fields().collect();
    let set = |f: &&[&[u8]]| f.len() == 3 && !matches!(f[2], b"unspecified" | b"unset" | b"set");
    Ok(fields.chunks(3).filter(set).map(|f| crate::names::path_from(f[0])).collect())
}
