//! Worktrees as they lie on disk: which there are, whose a folder is, and what a killed program left half done in one.

use std::io;
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::git::{Git, GitError, file_error};
use crate::names::{BranchName, ObjectId, path_bytes, path_from};
use crate::repository::Repository;

/// The lock's reason while a worktree is being made; until it is taken off nobody has worked there.
pub(crate) const BEING_MADE: &str = "musher is making this worktree";
/// Names the commit that a reset is bringing the worktree to: a reset cut off in the middle looks like somebody's edits.
const RESET_INTENT: &str = "musher-reset";
/// Says that everything worth keeping is known to be safe and the folder is being removed.
const REMOVAL_INTENT: &str = "musher-removing";
/// The untracked files that were brought in, each ended by a NUL; they are nobody's change.
const COPIED: &str = "musher-copied";

/// One worktree that the repository knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorktreeEntry {
    /// Its top folder.
    pub path: PathBuf,
    /// The commit that is checked out; none before the first commit, and for the entry of a bare repository.
    pub head: Option<ObjectId>,
    /// The branch that is checked out; none when HEAD is detached.
    pub branch: Option<BranchName>,
    /// Why it is locked, if it is.
    pub locked: Option<String>,
    /// Whether its folder is gone.
    pub gone: bool,
}

/// What stands where a worktree is expected.
#[derive(Debug)]
pub(crate) enum Located {
    /// Nothing, or an empty folder; `admin` is what a registration left behind.
    Gone { admin: Option<PathBuf> },
    /// Something that is not a worktree of this repository.
    Foreign,
    /// A worktree of this repository whose `.git` is a repository of its own now.
    Replaced,
    /// A worktree of this repository.
    Here(Worktree),
}

/// A worktree of this repository.
///
/// Its git is always told both folders: without `.git` in it, git would climb up and find the user's own checkout.
#[derive(Debug, Clone)]
pub(crate) struct Worktree {
    pub(crate) path: PathBuf,
    pub(crate) admin: PathBuf,
    pub(crate) git: Git,
}

/// An operation that git keeps state for between two commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `git merge`
    Merge,
    /// `git cherry-pick` of one commit
    CherryPick,
    /// `git revert` of one commit
    Revert,
    /// `git rebase` or `git am`
    Rebase,
    /// `git cherry-pick` or `git revert` of several commits
    Sequence,
}

impl Operation {
    /// The git command it is continued with.
    #[must_use]
    pub fn command(self) -> &'static str {
        match self {
            Self::Merge => "merge",
            Self::CherryPick | Self::Sequence => "cherry-pick",
            Self::Revert => "revert",
            Self::Rebase => "rebase",
        }
    }
}

/// The operation that is unfinished in a worktree, judged by the files in its git folder.
pub(crate) fn operation(admin: &Path) -> Option<Operation> {
    let has = |name: &str| admin.join(name).exists();
    if has("rebase-merge") || has("rebase-apply") {
        return Some(Operation::Rebase);
    }
    if has("sequencer") {
        return Some(Operation::Sequence);
    }
    if has("MERGE_HEAD") {
        return Some(Operation::Merge);
    }
    if has("CHERRY_PICK_HEAD") {
        return Some(Operation::CherryPick);
    }
    has("REVERT_HEAD").then_some(Operation::Revert)
}

impl Repository {
    /// Lists the worktrees, the main one first.
    ///
    /// # Errors
    /// When git cannot be run.
    pub fn list_worktrees(&self) -> Result<Vec<WorktreeEntry>, GitError> {
        let answer = self.git().call(["worktree", "list", "--porcelain", "-z"]).ok()?;
        let mut entries: Vec<WorktreeEntry> = Vec::new();
        for field in answer.out.split(|b| *b == 0).filter(|f| !f.is_empty()) {
            if let Some(path) = field.strip_prefix(b"worktree ") {
                let path = path_from(path);
                entries.push(WorktreeEntry { path, head: None, branch: None, locked: None, gone: false });
                continue;
            }
            let Some(entry) = entries.last_mut() else { return Err(answer.unreadable("a line before any worktree")) };
            let text = String::from_utf8_lossy(field);
            let (key, value) = text.split_once(' ').unwrap_or((&text, ""));
            match key {
                "HEAD" => entry.head = ObjectId::parse(value).ok().filter(|id| !id.is_zero()),
                "branch" => entry.branch = BranchName::parse(value).ok(),
                "locked" => entry.locked = Some(value.to_owned()),
                "prunable" => entry.gone = true,
                // `bare`, `detached`, and what later gits add.
                _ => {}
            }
        }
        Ok(entries)
    }

    /// Looks at a path without running git.
    pub(crate) fn locate(&self, path: &Path) -> Result<Located, GitError> {
        let admin = self.admin_of(path)?;
        let Ok(kind) = std::fs::symlink_metadata(path) else { return Ok(Located::Gone { admin }) };
        if !kind.is_dir() {
            return Ok(Located::Foreign);
        }
        let Some(admin) = admin else {
            let empty = std::fs::read_dir(path).map_err(file_error("read", path))?.next().is_none();
            return Ok(if empty { Located::Gone { admin: None } } else { Located::Foreign });
        };
        if path.join(".git").is_dir() {
            return Ok(Located::Replaced);
        }
        let path = path.canonicalize().map_err(file_error("find", path))?;
        let git = Git::new(&path).env("GIT_DIR", &admin).env("GIT_WORK_TREE", &path).tied();
        Ok(Located::Here(Worktree { path, admin, git }))
    }

    /// The folder in `.git/worktrees` whose registration names this path.
    fn admin_of(&self, path: &Path) -> Result<Option<PathBuf>, GitError> {
        let wanted = real(path);
        let all = self.common_dir().join("worktrees");
        let entries = match std::fs::read_dir(&all) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(file_error("read", &all)(e)),
        };
        // git calls the registration like the folder, and writes the folder's real path into it: nearly always this is it,
        // and none of the others has to be looked at.
        if let Some(admin) = wanted.file_name().map(|name| all.join(name))
            && registered(&admin).is_some_and(|folder| folder == wanted)
        {
            return Ok(Some(admin));
        }
        for entry in entries {
            let admin = entry.map_err(file_error("read", &all))?.path();
            if registered(&admin).is_some_and(|folder| real(&folder) == wanted) {
                return Ok(Some(admin));
            }
        }
        Ok(None)
    }
}

/// The folder that a registration names. One that was cut off before its first file names none; git passes over it too.
fn registered(admin: &Path) -> Option<PathBuf> {
    let line = std::fs::read(admin.join("gitdir")).ok()?;
    admin.join(path_from(line.trim_ascii_end())).parent().map(Path::to_owned)
}

/// The path with links resolved as far as it exists.
fn real(path: &Path) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    match (path.parent().and_then(|p| p.canonicalize().ok()), path.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => path.to_owned(),
    }
}

/// Removes a folder or file; that it is gone already is success.
pub(crate) fn remove_tree(path: &Path) -> Result<(), GitError> {
    let gone = |result: io::Result<()>| match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    match std::fs::symlink_metadata(path) {
        Ok(kind) if kind.is_dir() => {}
        _ => return gone(std::fs::remove_file(path)).map_err(file_error("remove", path)),
    }
    if gone(std::fs::remove_dir_all(path)).is_ok() {
        return Ok(());
    }
    // Go's module cache and the like make their folders read-only.
    let _ = make_writable(path);
    gone(std::fs::remove_dir_all(path)).map_err(file_error("remove", path))
}

fn make_writable(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            make_writable(&entry.path())?;
        }
    }
    Ok(())
}

impl Worktree {
    /// Whether its making was cut off: it is still locked for that reason, by us or by git itself.
    pub(crate) fn half_made(&self) -> bool {
        match std::fs::read_to_string(self.admin.join("locked")) {
            Ok(reason) => matches!(reason.trim(), BEING_MADE | "initializing"),
            Err(_) => false,
        }
    }

    /// Takes the maker's lock off.
    pub(crate) fn made(&self) -> Result<(), GitError> {
        remove_tree(&self.admin.join("locked"))
    }

    /// Puts right what a killed program left: `.git` gone, locks nobody holds, a reset of ours cut off.
    ///
    /// Only for a worktree whose processes are known to be dead.
    pub(crate) fn heal(&self, branch: Option<&BranchName>) -> Result<(), GitError> {
        self.restore_link()?;
        let locks = std::fs::read_dir(&self.admin).map_err(file_error("read", &self.admin))?;
        for entry in locks {
            let path = entry.map_err(file_error("read", &self.admin))?.path();
            if path.extension().is_some_and(|e| e == "lock") {
                warn!(lock = %path.display(), "stale lock removed");
                remove_tree(&path)?;
            }
        }
        if let (Some(branch), Some(common)) = (branch, self.admin.parent().and_then(Path::parent)) {
            remove_tree(&common.join(format!("{}.lock", branch.full())))?;
        }
        match std::fs::read_to_string(self.admin.join(RESET_INTENT)) {
            Ok(text) => match ObjectId::parse(text.trim()) {
                Ok(commit) => self.reset(&commit),
                // Cut off while the intent itself was written: the reset had not begun.
                Err(_) => self.end_reset(),
            },
            Err(_) => Ok(()),
        }
    }

    fn restore_link(&self) -> Result<(), GitError> {
        let link = self.path.join(".git");
        let right = std::fs::read(&link).is_ok_and(|line| {
            let target = line.strip_prefix(b"gitdir: ").map(|t| self.path.join(path_from(t.trim_ascii_end())));
            target.is_some_and(|t| real(&t) == real(&self.admin))
        });
        if right {
            return Ok(());
        }
        warn!(worktree = %self.path.display(), "missing link to the repository restored");
        // Whatever stood here, even a symbolic link, is replaced and not written through.
        remove_tree(&link)?;
        let mut line = b"gitdir: ".to_vec();
        line.extend_from_slice(path_bytes(&self.admin));
        line.push(b'\n');
        std::fs::write(&link, line).map_err(file_error("write", &link))
    }

    /// Brings branch, index and files to a commit; a reset that is cut off is finished by [`Worktree::heal`].
    pub(crate) fn reset(&self, commit: &ObjectId) -> Result<(), GitError> {
        self.begin_reset(commit)?;
        self.git.call(["reset", "--quiet", "--hard", commit.as_str()]).ok()?;
        self.end_reset()
    }

    /// Says on disk that until [`Worktree::end_reset`] the files are ours to change, and what they go to if that is cut off.
    pub(crate) fn begin_reset(&self, commit: &ObjectId) -> Result<(), GitError> {
        let intent = self.admin.join(RESET_INTENT);
        std::fs::write(&intent, commit.as_str()).map_err(file_error("write", &intent))
    }

    pub(crate) fn end_reset(&self) -> Result<(), GitError> {
        remove_tree(&self.admin.join(RESET_INTENT))
    }

    /// Says on disk that the removal has been decided, so that a half-removed folder is not taken for somebody's edits.
    pub(crate) fn begin_removal(&self) -> Result<(), GitError> {
        let intent = self.admin.join(REMOVAL_INTENT);
        std::fs::write(&intent, b"").map_err(file_error("write", &intent))
    }

    /// Copies the index with its time: by it git knows which files may have been edited after they were entered, in the
    /// same second and to the same size. Without an index there is no copy, and git reads all files.
    pub(crate) fn copy_index(&self, to: &Path) -> Result<(), GitError> {
        remove_tree(to)?;
        let from = self.admin.join("index");
        let Ok(time) = std::fs::metadata(&from).and_then(|meta| meta.modified()) else { return Ok(()) };
        let date = |_| std::fs::File::options().write(true).open(to)?.set_modified(time);
        std::fs::copy(&from, to).and_then(date).map_err(file_error("copy", &from))
    }

    /// Notes which untracked files were brought in.
    pub(crate) fn note_copied(&self, paths: &[PathBuf]) -> Result<(), GitError> {
        let list: Vec<u8> = paths.iter().flat_map(|p| path_bytes(p).iter().copied().chain([0])).collect();
        let file = self.admin.join(COPIED);
        std::fs::write(&file, list).map_err(file_error("write", &file))
    }

    /// The untracked files that were brought in.
    pub(crate) fn copied(&self) -> Vec<PathBuf> {
        let list = std::fs::read(self.admin.join(COPIED)).unwrap_or_default();
        list.split(|b| *b == 0).filter(|p| !p.is_empty()).map(path_from).collect()
    }

    /// Pathspecs for everything but the files that were brought in.
    pub(crate) fn own_paths(&self) -> Vec<std::ffi::OsString> {
        let mut specs = vec![":/".into()];
        specs.extend(self.copied().iter().map(|path| {
            let mut spec = std::ffi::OsString::from(":(top,exclude,literal)");
            spec.push(path);
            spec
        }));
        specs
    }

    /// The paths of an answer, without the files that were brought in.
    pub(crate) fn own<'a>(&self, fields: impl Iterator<Item = &'a [u8]>) -> Vec<PathBuf> {
        let copied = self.copied();
        let mut paths: Vec<PathBuf> = fields.map(path_from).collect();
        paths.retain(|path| !copied.iter().any(|c| path.starts_with(c)));
        paths.sort();
        paths.dedup();
        paths
    }
}

/// Whether a removal of ours was cut off here.
pub(crate) fn removal_begun(admin: &Path) -> bool {
    admin.join(REMOVAL_INTENT).exists()
}
