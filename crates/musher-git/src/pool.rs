//! Warm worktrees: made in the background, taken by a reset and a rename where a checkout would cost seconds.
//!
//! An entry lies in the pool's folder, detached, and is locked with [`WARM`] once it is whole. Whatever else lies in that
//! folder was half made or half taken, holds nobody's work, and is thrown away.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tracing::{info, warn};

use crate::create::CreateError;
use crate::git::{GitError, file_error};
use crate::names::{ObjectId, path_bytes};
use crate::repository::{Repository, free_space};
use crate::worktree::{BEING_MADE, Located, Worktree, remove_tree};

/// The lock's reason of an entry that may be taken.
const WARM: &str = "musher keeps this worktree warm";
/// What an entry's folder is called, before its number; it becomes the name of its registration.
const PREFIX: &str = "warm-";
/// What a folder is called that is on its way out.
const LEAVING: &str = "leaving-";
/// The configuration that an entry's files were written under, in its registration.
const WRITTEN_UNDER: &str = "musher-written-under";

/// How far ahead an entry's index is dated. git reads every file again that was written in the same second as its index,
/// for somebody could have edited it since; here nobody has, and the reset that takes the entry dates it as it is.
const SETTLED: Duration = Duration::from_secs(2);

/// The pool of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Its folder, on the disk of the worktrees. Everything in it is the pool's.
    pub folder: PathBuf,
    /// How many worktrees are kept warm; 0 empties it.
    pub size: u32,
}

/// Why no warm worktree was taken, or none is kept. The checkout does it then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cold {
    /// No entry is ready.
    #[error("no warm worktree is ready")]
    Empty,
    /// A rename cannot cross disks.
    #[error("the pool and the worktrees are on different disks")]
    OtherDisk,
    /// What submodules leave in a worktree's registration cannot be moved.
    #[error("the repository has submodules")]
    Submodules,
    /// A filter such as Git LFS may have left its files half done while nobody waited for them.
    #[error("its files go through a filter such as Git LFS")]
    Filters,
    /// Files that did not change would be written differently now.
    #[error("attributes or git's configuration have changed since it was made")]
    Changed,
    /// Below this much free disk nothing is kept warm.
    #[error("the disk has less than `min_free` left")]
    Disk,
}

impl Repository {
    /// Throws away what is half made in the pool, and what is more than its size. Quick: folders are only renamed; give
    /// the answer to [`Repository::sweep_out`]. Nothing may be taken or made meanwhile.
    ///
    /// # Errors
    /// When the disk or git fails.
    pub fn tidy_pool(&self, pool: &Pool) -> Result<Vec<PathBuf>, GitError> {
        let mut left = pool.size;
        let mut out = Vec::new();
        for path in self.pool_folders(pool)? {
            let keeps = left > 0 && matches!(self.locate(&path)?, Located::Here(entry) if is_warm(&entry));
            if keeps {
                left -= 1;
            } else {
                out.push(self.put_out(pool, &path)?);
            }
        }
        // Registrations of ours whose folder is gone; a taken one names its item's folder.
        for entry in self.list_worktrees()?.into_iter().filter(|w| w.path.starts_with(&pool.folder)) {
            if let Located::Gone { admin: Some(admin) } = self.locate(&entry.path)? {
                remove_tree(&admin)?;
            }
        }
        Ok(out)
    }

    /// Removes folders that were put out.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sweep_out(&self, folders: &[PathBuf]) -> Result<(), GitError> {
        folders.iter().try_for_each(|folder| remove_tree(folder))
    }

    /// Makes one more warm worktree if the pool is not full; says whether it did. It writes no ref, so other work in the
    /// repository goes on beside it; only one such call may run at a time.
    ///
    /// # Errors
    /// The inner one says why none is kept.
    pub fn warm_one(&self, pool: &Pool, base_ref: &str, min_free: u64) -> Result<Result<bool, Cold>, CreateError> {
        let folders = self.pool_folders(pool)?;
        if folders.len() >= pool.size as usize {
            return Ok(Ok(false));
        }
        let base = self.resolve(base_ref)?;
        let base = base.ok_or_else(|| CreateError::NoBase { base_ref: base_ref.to_owned() })?;
        std::fs::create_dir_all(&pool.folder).map_err(file_error("create", &pool.folder))?;
        if free_space(&pool.folder)? < min_free {
            return Ok(Err(Cold::Disk));
        }
        if let Some(cold) = self.unfit(&base)? {
            return Ok(Err(cold));
        }
        let free = |n: &u64| !folders.contains(&pool.folder.join(format!("{PREFIX}{n}")));
        let path = pool.folder.join(format!("{PREFIX}{}", (0..).find(free).unwrap_or_default()));
        // Read before the checkout: what is changed in its middle makes the entry an old one.
        let under = self.writes_under()?;
        let entry = self.add(&path, &["--detach"], base.as_str())?;
        let note = entry.admin.join(WRITTEN_UNDER);
        std::fs::write(&note, under).map_err(file_error("write", &note))?;
        date(&entry.admin.join("index"), SystemTime::now() + SETTLED)?;
        set_lock(&entry.admin, WARM)?;
        Ok(Ok(true))
    }

    /// Takes a warm worktree to this place, at this commit and still detached, and locked as half made. Nothing may stand
    /// in the place, and nothing else may be taken meanwhile.
    pub(crate) fn take_warm(
        &self,
        pool: &Pool,
        path: &Path,
        commit: &ObjectId,
    ) -> Result<Result<Worktree, Cold>, CreateError> {
        for from in self.pool_folders(pool)? {
            let Located::Here(entry) = self.locate(&from)? else { continue };
            if !is_warm(&entry) {
                continue;
            }
            if !same_disk(&from, path) {
                return Ok(Err(Cold::OtherDisk));
            }
            set_lock(&entry.admin, BEING_MADE)?;
            if self.has_changed(&entry, commit)? {
                info!(entry = %from.display(), "a warm worktree has become old");
                continue;
            }
            return self.move_warm(&entry, path, commit).map(Ok);
        }
        Ok(Err(Cold::Empty))
    }

    /// The registration goes ahead of the folder: cut off between the two, the place is empty and the folder nobody's.
    fn move_warm(&self, entry: &Worktree, path: &Path, commit: &ObjectId) -> Result<Worktree, CreateError> {
        let parent = path.parent().unwrap_or(path);
        std::fs::create_dir_all(parent).map_err(file_error("create", parent))?;
        let parent = parent.canonicalize().map_err(file_error("find", parent))?;
        let place = path.file_name().map_or_else(|| parent.clone(), |name| parent.join(name));
        let mut link = path_bytes(&place.join(".git")).to_vec();
        link.push(b'\n');
        write_whole(&entry.admin.join("gitdir"), &link)?;
        std::fs::rename(&entry.path, &place).map_err(file_error("move", &entry.path))?;
        let Located::Here(worktree) = self.locate(&place)? else {
            return Err(CreateError::Occupied { path: path.to_owned() });
        };
        worktree.git.call(["reset", "--quiet", "--hard", "--no-recurse-submodules", commit.as_str()]).ok()?;
        // The reset wrote the index; that its time is now, and not what the pool dated it, is too dear to be taken for granted.
        date(&worktree.admin.join("index"), SystemTime::now())?;
        // Nobody works in a pool; what is there all the same would be taken for this item's work.
        worktree.git.call(["clean", "-ffdxq"]).ok()?;
        Ok(worktree)
    }

    /// Whether a checkout of this commit would write files otherwise than the entry's, where both have the same file.
    fn has_changed(&self, entry: &Worktree, commit: &ObjectId) -> Result<bool, GitError> {
        let under = std::fs::read(entry.admin.join(WRITTEN_UNDER)).unwrap_or_default();
        if under != self.writes_under()? {
            return Ok(true);
        }
        let head = entry.git.call(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).run()?;
        let Ok(head) = head.id() else { return Ok(true) };
        if head == *commit {
            return Ok(false);
        }
        let call = self.git().call(["diff-tree", "-r", "--name-only", "-z", head.as_str(), commit.as_str(), "--"]);
        let said = call.args([":(glob)**/.gitattributes", ":(top,literal).gitmodules"]).run()?;
        Ok(!said.success() || said.fields().next().is_some())
    }

    /// Why worktrees of this commit are not kept warm, if they are not.
    fn unfit(&self, commit: &ObjectId) -> Result<Option<Cold>, GitError> {
        let modules = self.git().call(["ls-tree", "-z", "--name-only", commit.as_str(), "--", ".gitmodules"]).ok()?;
        if modules.fields().next().is_some() {
            return Ok(Some(Cold::Submodules));
        }
        let private = self.private_attributes()?;
        let inside = self.git().call(["grep", "-q", "-I", "-F", "-e", "filter=", commit.as_str(), "--"]);
        let inside = inside.arg(":(glob)**/.gitattributes").run()?;
        let named = private.windows(7).any(|bytes| bytes == b"filter=");
        Ok((named || inside.success()).then_some(Cold::Filters))
    }

    /// Everything outside of the commits that says how files are written, as bytes to compare.
    fn writes_under(&self) -> Result<Vec<u8>, GitError> {
        let keys = r"^(core\.|filter\.|extensions\.|submodule\.)";
        let config = self.git().call(["config", "-z", "--get-regexp", keys]).run()?;
        let mut under = config.out;
        under.extend(self.private_attributes()?);
        let sparse = self.common_dir().join("info/sparse-checkout");
        under.extend(std::fs::read(sparse).unwrap_or_default());
        Ok(under)
    }

    /// The attributes that are in no commit: the repository's own and the user's.
    fn private_attributes(&self) -> Result<Vec<u8>, GitError> {
        let mut bytes = std::fs::read(self.common_dir().join("info/attributes")).unwrap_or_default();
        let named = self.git().call(["config", "--type=path", "--get", "core.attributesFile"]).run()?;
        let users = if named.success() {
            Some(PathBuf::from(named.line()))
        } else {
            let config = std::env::var_os("XDG_CONFIG_HOME").filter(|v| !v.is_empty()).map(PathBuf::from);
            let config = config.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")));
            config.map(|folder| folder.join("git/attributes"))
        };
        bytes.extend(users.and_then(|file| std::fs::read(file).ok()).unwrap_or_default());
        Ok(bytes)
    }

    /// What lies in the pool's folder, but for what is on its way out.
    fn pool_folders(&self, pool: &Pool) -> Result<Vec<PathBuf>, GitError> {
        let entries = match std::fs::read_dir(&pool.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(file_error("read", &pool.folder)(e)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            paths.push(entry.map_err(file_error("read", &pool.folder))?.path());
        }
        paths.sort();
        Ok(paths)
    }

    /// Takes a folder of the pool out of use: its registration goes, its files wait to be removed.
    fn put_out(&self, pool: &Pool, path: &Path) -> Result<PathBuf, GitError> {
        if let Located::Here(Worktree { admin, .. }) | Located::Gone { admin: Some(admin) } = self.locate(path)? {
            remove_tree(&admin)?;
        }
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        if name.starts_with(LEAVING) {
            return Ok(path.to_owned());
        }
        let free = |n: &u64| !pool.folder.join(format!("{LEAVING}{n}")).exists();
        let out = pool.folder.join(format!("{LEAVING}{}", (0..).find(free).unwrap_or_default()));
        warn!(folder = %path.display(), "a worktree of the pool is thrown away");
        std::fs::rename(path, &out).map_err(file_error("move", path))?;
        Ok(out)
    }
}

fn is_warm(entry: &Worktree) -> bool {
    let named = entry.path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
    named && std::fs::read_to_string(entry.admin.join("locked")).is_ok_and(|reason| reason.trim() == WARM)
}

fn set_lock(admin: &Path, reason: &str) -> Result<(), GitError> {
    write_whole(&admin.join("locked"), reason.as_bytes())
}

fn date(file: &Path, time: SystemTime) -> Result<(), GitError> {
    let dated = std::fs::File::options().write(true).open(file).and_then(|open| open.set_modified(time));
    dated.map_err(file_error("date", file))
}

/// Writes a file so that it is never seen half written.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), GitError> {
    let new = path.with_extension("musher-new");
    std::fs::write(&new, bytes).map_err(file_error("write", &new))?;
    std::fs::rename(&new, path).map_err(file_error("move", &new))
}

/// Whether a rename can bring a folder to a place; its parent may not be made yet.
fn same_disk(from: &Path, to: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let disk = |path: &Path| path.ancestors().find_map(|p| p.metadata().ok()).map(|meta| meta.dev());
    disk(from) == disk(to)
}
