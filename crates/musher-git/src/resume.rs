//! Finishes a fast-forward of the user's checkout that was killed in the middle, if every trace there is explained by it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::git::GitError;
use crate::land::{Checkout, DirtyReason};
use crate::names::{BranchName, ObjectId, path_bytes, path_from};
use crate::repository::Repository;
use crate::scan::{ChangedFile, Entry, path_list};
use crate::worktree::remove_tree;

/// What came of looking at a fast-forward that was begun.
pub(crate) enum Resumed {
    /// It had not changed anything yet.
    Clean,
    /// It is done now.
    Finished,
    /// Something there is not explained by it, and nothing was changed.
    Blocked(DirtyReason),
}

impl Repository {
    /// The caller holds the note's lock, so no git of ours is at work.
    pub(crate) fn resume(
        &self,
        at: &Checkout<'_>,
        target: &BranchName,
        old: &ObjectId,
        new: &ObjectId,
    ) -> Result<Resumed, GitError> {
        let locks = [at.admin.join("index.lock"), self.common_dir().join(format!("{}.lock", target.full()))];
        for lock in locks.into_iter().filter(|l| l.exists()) {
            if git_at_work_in(at.path) {
                return Ok(Resumed::Blocked(DirtyReason::Locked(lock)));
            }
            warn!(lock = %lock.display(), "lock of a killed fast-forward removed");
            remove_tree(&lock)?;
        }
        let change = self.change(old, new)?;
        let files: BTreeMap<&Path, &ChangedFile> = change.files.iter().map(|f| (f.path.as_path(), f)).collect();
        let index = index_of(at)?;
        let (mut touched, mut unexplained) = (false, Vec::new());
        for (tracked, path) in differing(at)? {
            match files.get(path.as_path()) {
                None if !tracked => {}
                Some(file) if explained_in_index(file, &index) && explained_on_disk(at, file)? => touched = true,
                Some(_) | None => unexplained.push(path),
            }
        }
        if !unexplained.is_empty() {
            return Ok(Resumed::Blocked(DirtyReason::Changes(unexplained)));
        }
        if !touched {
            return Ok(Resumed::Clean);
        }
        warn!(checkout = %at.path.display(), "fast-forward that was cut off is finished");
        finish(at, &change.files, &index, new)?;
        self.move_ref(&target.full(), new, Some(old.as_str()))?;
        Ok(Resumed::Finished)
    }
}

/// The paths that differ from HEAD, and whether git tracks them.
fn differing(at: &Checkout<'_>) -> Result<Vec<(bool, PathBuf)>, GitError> {
    let options = ["status", "--porcelain", "-z", "--no-renames", "--ignore-submodules=none", "--untracked-files=all"];
    let answer = at.git.call(options).ok()?;
    let read = |f: &[u8]| Some((!f.starts_with(b"??"), path_from(f.get(3..)?)));
    Ok(answer.fields().filter_map(read).collect())
}

fn index_of(at: &Checkout<'_>) -> Result<BTreeMap<PathBuf, Entry>, GitError> {
    let answer = at.git.call(["ls-files", "-s", "-z"]).ok()?;
    let read = |field: &[u8]| {
        let mut halves = field.splitn(2, |b| *b == b'\t');
        let head = String::from_utf8_lossy(halves.next()?).into_owned();
        let mut parts = head.split(' ');
        let entry = Entry { mode: parts.next()?.to_owned(), id: ObjectId::parse(parts.next()?).ok()? };
        Some((path_from(halves.next()?), entry))
    };
    Ok(answer.fields().filter_map(read).collect())
}

fn explained_in_index(file: &ChangedFile, index: &BTreeMap<PathBuf, Entry>) -> bool {
    let entry = index.get(&file.path);
    entry == file.old.as_ref() || entry == file.new.as_ref()
}

/// Whether the file has the old or the new content, or is gone, or is the new content's beginning: git takes a file
/// away before it writes the new one in its place.
fn explained_on_disk(at: &Checkout<'_>, file: &ChangedFile) -> Result<bool, GitError> {
    let path = at.path.join(&file.path);
    let Ok(meta) = std::fs::symlink_metadata(&path) else { return Ok(true) };
    // A folder took the file's place, or it is a submodule; what is inside has paths of its own.
    if meta.is_dir() {
        return Ok(true);
    }
    let sides = [&file.old, &file.new];
    if meta.is_symlink() {
        let Ok(target) = std::fs::read_link(&path) else { return Ok(false) };
        for side in sides.into_iter().flatten() {
            if blob(at, &side.id)? == path_bytes(&target) {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    let now = at.git.call(["hash-object", "--"]).arg(&file.path).ok()?.id()?;
    if sides.into_iter().flatten().any(|side| side.id == now) {
        return Ok(true);
    }
    let Some(new) = &file.new else { return Ok(false) };
    let (Ok(bytes), whole) = (std::fs::read(&path), blob(at, &new.id)?) else { return Ok(false) };
    Ok(whole.starts_with(&bytes))
}

fn blob(at: &Checkout<'_>, id: &ObjectId) -> Result<Vec<u8>, GitError> {
    Ok(at.git.call(["cat-file", "blob", id.as_str()]).ok()?.out)
}

/// Brings the changed paths, and only those, to their new state in files and index.
fn finish(
    at: &Checkout<'_>,
    files: &[ChangedFile],
    index: &BTreeMap<PathBuf, Entry>,
    new: &ObjectId,
) -> Result<(), GitError> {
    let gone: Vec<&PathBuf> = files.iter().filter(|f| f.new.is_none()).map(|f| &f.path).collect();
    for path in &gone {
        let file = at.path.join(path);
        if std::fs::symlink_metadata(&file).is_ok_and(|m| !m.is_dir()) {
            remove_tree(&file)?;
        }
        // git leaves no empty folder behind; one that is not empty refuses.
        let above = file.ancestors().skip(1).take_while(|p| *p != at.path);
        above.map_while(|folder| std::fs::remove_dir(folder).ok()).for_each(drop);
    }
    let listed = path_list(gone.into_iter().filter(|path| index.contains_key(*path)));
    if !listed.is_empty() {
        at.git.call(["update-index", "--force-remove", "-z", "--stdin"]).input(listed).with_locks().ok()?;
    }
    let there = path_list(files.iter().filter(|f| f.new.is_some()).map(|f| &f.path));
    if !there.is_empty() {
        let git = at.git.clone().global("--literal-pathspecs");
        let options =
            ["checkout", "--quiet", "--no-recurse-submodules", "--pathspec-from-file=-", "--pathspec-file-nul"];
        git.call(options).arg(new.as_str()).input(there).with_locks().ok()?;
    }
    Ok(())
}

/// Whether a git runs in this folder. Where the system does not list its processes, one might.
fn git_at_work_in(folder: &Path) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else { return true };
    processes.filter_map(|p| p.ok().map(|p| p.path())).any(|process| {
        let name = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
        name.starts_with("git") && std::fs::read_link(process.join("cwd")).is_ok_and(|cwd| cwd.starts_with(folder))
    })
}
