//! Moves a target branch forward to a prepared commit, if it still stands where the commit was tested.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::git::{Git, GitError, file_error};
use crate::names::{BranchName, ObjectId, RemoteName, path_bytes, path_from};
use crate::publish::{Apart, Unpublished};
use crate::repository::Repository;
use crate::resume::Resumed;
use crate::worktree::{Operation, WorktreeEntry, operation};

/// The file that names the fast-forward under way; whoever runs it holds a lock on the file.
const LANDING: &str = "musher-landing";
/// How many paths a reason names.
const NAMED: usize = 20;

/// Which commit is to land where.
#[derive(Debug, Clone)]
pub struct LandRequest {
    /// The branch to advance.
    pub target: BranchName,
    /// The commit it must stand at.
    pub old: ObjectId,
    /// The commit it is to stand at, made on top of `old`.
    pub new: ObjectId,
    /// Where the branch is pushed as well, with a lease on `old`: before it moves here, so that a refusal changes nothing.
    /// A remote's branch that is ahead is followed first: the target has moved then.
    pub push: Option<RemoteName>,
}

/// What came of landing a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Landed {
    /// The target holds the commit, now or already.
    Landed,
    /// The target stands elsewhere; the merge has to be prepared and tested anew.
    BaseMoved {
        /// Where it stands; none if it is gone.
        now: Option<ObjectId>,
    },
    /// The target is checked out, and that checkout must not be touched now.
    BaseDirty {
        /// The checkout.
        checkout: PathBuf,
        /// Why.
        reason: DirtyReason,
    },
    /// The branch of the remote and the target cannot be brought together without a person.
    Apart(Apart),
    /// git, a hook or the remote refused.
    Refused {
        /// What it said.
        said: String,
    },
}

/// Why a checkout must not be touched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirtyReason {
    /// Staged or unstaged changes.
    #[error("it has uncommitted changes: {}", named(.0))]
    Changes(Vec<PathBuf>),
    /// Untracked or ignored files stand where the commit has files.
    #[error("untracked files would be overwritten: {}", named(.0))]
    Overwrites(Vec<PathBuf>),
    /// An operation is unfinished there.
    #[error("a {} is unfinished there", .0.command())]
    Unfinished(Operation),
    /// Another git is at work there, or died there.
    #[error("`{}` exists: another git is at work, or was killed", .0.display())]
    Locked(PathBuf),
    /// A fast-forward that an earlier musher began is still running.
    #[error("an earlier fast-forward is still running")]
    Landing,
    /// The branch is checked out more than once, and only one checkout could follow.
    #[error("the branch is checked out in more than one place")]
    CheckedOutTwice,
}

impl DirtyReason {
    /// Says how to fix it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Changes(_) => "commit or stash them, or switch that checkout to another branch",
            Self::Overwrites(_) => "move or delete those files",
            Self::Unfinished(_) => "finish or abort it, or switch that checkout to another branch",
            Self::Locked(_) => "wait for it, or delete the lock file if no git is running",
            Self::Landing => "wait for it; a `post-merge` hook may be slow",
            Self::CheckedOutTwice => "switch all but one of them to another branch",
        }
    }
}

fn named(paths: &[PathBuf]) -> String {
    let mut names: Vec<String> = paths.iter().take(NAMED).map(|p| format!("`{}`", p.display())).collect();
    if paths.len() > NAMED {
        names.push(format!("and {} more", paths.len() - NAMED));
    }
    names.join(", ")
}

/// The checkout in which the target advances.
pub(crate) struct Checkout<'a> {
    pub(crate) path: &'a Path,
    pub(crate) admin: PathBuf,
    /// As the user would call it there, so that hooks find what they always find.
    pub(crate) git: Git,
}

impl Repository {
    /// Lands a commit. Where the target is checked out it advances by `git merge --ff-only`, with the user's hooks, and
    /// only if that checkout is clean; elsewhere by compare-and-swap of the ref.
    ///
    /// # Errors
    /// When git cannot be run; a refusal is an answer.
    pub fn land(&self, request: &LandRequest) -> Result<Landed, GitError> {
        if let Some(checkout) = self.rebasing(&request.target) {
            return Ok(Landed::BaseDirty { checkout, reason: DirtyReason::Unfinished(Operation::Rebase) });
        }
        let entries = self.list_worktrees()?;
        let on = |entry: &&WorktreeEntry| entry.branch.as_ref() == Some(&request.target) && !entry.gone;
        let checkouts: Vec<&WorktreeEntry> = entries.iter().filter(on).collect();
        match checkouts.as_slice() {
            [] => self.swap(request),
            [one] => self.advance(request, one),
            [one, ..] => Ok(Landed::BaseDirty { checkout: one.path.clone(), reason: DirtyReason::CheckedOutTwice }),
        }
    }

    /// The answer if the target does not stand at the old commit.
    fn judge(&self, request: &LandRequest, tip: Option<ObjectId>) -> Result<Option<Landed>, GitError> {
        let Some(tip) = tip else { return Ok(Some(Landed::BaseMoved { now: None })) };
        if tip == request.old {
            return Ok(None);
        }
        if self.is_ancestor(&request.new, &tip)? {
            return Ok(Some(Landed::Landed));
        }
        Ok(Some(Landed::BaseMoved { now: Some(tip) }))
    }

    fn swap(&self, request: &LandRequest) -> Result<Landed, GitError> {
        if let Some(remote) = &request.push {
            if let Some(answer) = self.judge(request, self.tip(&request.target)?)? {
                return Ok(answer);
            }
            if let Some(unpublished) = self.publish(request, remote)? {
                return self.instead(request, unpublished);
            }
        }
        let (new, old) = (request.new.as_str(), request.old.as_str());
        let call = self.git().call(["update-ref", "-m", "musher: merge", &request.target.full(), new, old]);
        let answer = call.run()?;
        if answer.success() {
            return Ok(Landed::Landed);
        }
        let judged = self.judge(request, self.tip(&request.target)?)?;
        Ok(judged.unwrap_or_else(|| Landed::Refused { said: answer.said() }))
    }

    /// What comes of a landing that the remote does not have.
    fn instead(&self, request: &LandRequest, unpublished: Unpublished) -> Result<Landed, GitError> {
        let moved = |now: &ObjectId| Landed::BaseMoved { now: Some(now.clone()) };
        Ok(match unpublished {
            Unpublished::Refused(said) => Landed::Refused { said },
            Unpublished::Apart(apart) => Landed::Apart(apart),
            Unpublished::Restless => moved(&request.old),
            Unpublished::Ahead(there) => {
                let follow = LandRequest { new: there.clone(), push: None, ..request.clone() };
                match self.land(&follow)? {
                    Landed::Landed => moved(&there),
                    other => other,
                }
            }
        })
    }

    fn advance(&self, request: &LandRequest, entry: &WorktreeEntry) -> Result<Landed, GitError> {
        if let Some(answer) = self.judge(request, entry.head.clone())? {
            return Ok(answer);
        }
        let dirty = |reason| Ok(Landed::BaseDirty { checkout: entry.path.clone(), reason });
        let admin = self.admin_of_entry(&entry.path)?;
        let checkout = Checkout { path: &entry.path, admin, git: Git::new(&entry.path) };
        if let Some(op) = operation(&checkout.admin) {
            return dirty(DirtyReason::Unfinished(op));
        }
        let Some(mut landing) = Landing::open(self.common_dir(), request, &entry.path)? else {
            return dirty(DirtyReason::Landing);
        };
        if let Some(new) = landing.cut_off()? {
            match self.resume(&checkout, &request.target, &request.old, &new)? {
                Resumed::Clean => {}
                Resumed::Finished if new == request.new => return landing.end().map(|()| Landed::Landed),
                Resumed::Finished => return landing.end().map(|()| Landed::BaseMoved { now: Some(new) }),
                Resumed::Blocked(reason) => return dirty(reason),
            }
        }
        if let Some(reason) = unclean(&checkout)? {
            return dirty(reason);
        }
        if let Some(remote) = &request.push {
            if let Some(unpublished) = self.publish(request, remote)? {
                // Following the remote needs the note's lock itself.
                drop(landing);
                return self.instead(request, unpublished);
            }
        }
        self.fast_forward(request, &checkout, landing)
    }

    fn fast_forward(&self, request: &LandRequest, at: &Checkout<'_>, mut landing: Landing) -> Result<Landed, GitError> {
        landing.begin()?;
        // The user may have switched branches since we looked: then another branch would advance.
        let full = request.target.full();
        let now = at.git.call(["for-each-ref", "--format=%(HEAD)%(objectname)", &full]).ok()?.line();
        if now != format!("*{}", request.old) {
            landing.end()?;
            return Ok(Landed::BaseMoved { now: ObjectId::parse(now.trim_start_matches(['*', ' '])).ok() });
        }
        let options = ["merge", "--ff-only", "--no-autostash", "--no-overwrite-ignore", "--no-squash", "--no-stat"];
        let call = at.git.call(options).args(["--quiet", "--no-verify-signatures", request.new.as_str()]);
        let answer = call.with_hooks().with_locks().stdin(landing.share()?).run()?;
        match self.judge(request, self.tip(&request.target)?)? {
            Some(moved) => landing.end().map(|()| moved),
            None if answer.said().contains("would be overwritten") => {
                landing.end()?;
                let said = answer.said();
                let paths =
                    said.lines().filter_map(|l| l.strip_prefix('\t')).map(|l| path_from(l.as_bytes())).collect();
                Ok(Landed::BaseDirty { checkout: at.path.to_owned(), reason: DirtyReason::Overwrites(paths) })
            }
            // The note stays: a disk that filled up in the middle leaves the checkout as a kill does.
            None => Ok(Landed::Refused { said: answer.said() }),
        }
    }

    /// The git folder of a worktree that is listed.
    fn admin_of_entry(&self, path: &Path) -> Result<PathBuf, GitError> {
        let answer = Git::new(path).call(["rev-parse", "--absolute-git-dir"]).ok()?;
        Ok(path_from(answer.out.strip_suffix(b"\n").unwrap_or(&answer.out)))
    }

    /// The checkout in which the branch is being rebased: HEAD is detached there, and still the branch is in use.
    fn rebasing(&self, branch: &BranchName) -> Option<PathBuf> {
        let linked = std::fs::read_dir(self.common_dir().join("worktrees")).ok();
        let linked = linked.into_iter().flatten().filter_map(|e| e.ok().map(|e| e.path()));
        std::iter::once(self.common_dir().to_owned()).chain(linked).find_map(|admin| {
            let named = |state: &str| {
                let name = std::fs::read_to_string(admin.join(state).join("head-name"));
                name.is_ok_and(|name| name.trim_end() == branch.full())
            };
            let found = named("rebase-merge") || named("rebase-apply");
            let place = std::fs::read(admin.join("gitdir")).ok().map(|line| path_from(line.trim_ascii_end()));
            let place = place.and_then(|dot_git| dot_git.parent().map(Path::to_owned));
            found.then(|| place.unwrap_or_else(|| self.top().to_owned()))
        })
    }
}

/// Why a checkout is not clean, if it is not. Untracked files are no dirt here.
fn unclean(checkout: &Checkout<'_>) -> Result<Option<DirtyReason>, GitError> {
    let lock = checkout.admin.join("index.lock");
    if lock.exists() {
        return Ok(Some(DirtyReason::Locked(lock)));
    }
    let options = ["status", "--porcelain", "-z", "--no-renames", "--ignore-submodules=none", "--untracked-files=no"];
    let answer = checkout.git.call(options).ok()?;
    let paths: Vec<PathBuf> = answer.fields().filter_map(|f| f.get(3..)).map(path_from).collect();
    Ok(if paths.is_empty() { None } else { Some(DirtyReason::Changes(paths)) })
}

/// The note of a fast-forward under way. git inherits the open file as its standard input: while any of us two lives,
/// the lock holds, and a new musher sees that the old one's git is still at work.
struct Landing {
    file: File,
    path: PathBuf,
    /// The branch and where it was: what a fast-forward that was begun here before must have in common with this one.
    from: Vec<u8>,
    new: ObjectId,
    checkout: Vec<u8>,
}

impl Landing {
    /// Opens the note and locks it; none if somebody holds it.
    fn open(common: &Path, request: &LandRequest, checkout: &Path) -> Result<Option<Self>, GitError> {
        let path = common.join(LANDING);
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = open.map_err(file_error("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(e)) => return Err(file_error("lock", &path)(e)),
        }
        let from = format!("{}\n{}\n", request.target.full(), request.old).into_bytes();
        let checkout = [path_bytes(checkout), b"\n"].concat();
        Ok(Some(Self { file, path, from, new: request.new.clone(), checkout }))
    }

    /// Where a fast-forward was to go that was begun before from the same place. It need not be this very one: a musher that
    /// was killed may have been following the remote, or landing a batch that was made anew since.
    fn cut_off(&mut self) -> Result<Option<ObjectId>, GitError> {
        let mut text = Vec::new();
        self.file.read_to_end(&mut text).map_err(file_error("read", &self.path))?;
        let new = text.strip_prefix(&*self.from).and_then(|rest| rest.strip_suffix(&*self.checkout));
        Ok(new.and_then(|line| ObjectId::parse(String::from_utf8_lossy(line).trim_end()).ok()))
    }

    fn begin(&mut self) -> Result<(), GitError> {
        self.end()?;
        let text = [&*self.from, self.new.as_str().as_bytes(), b"\n", &*self.checkout].concat();
        let mut write = || {
            self.file.seek(SeekFrom::Start(0))?;
            self.file.write_all(&text)?;
            self.file.sync_data()
        };
        write().map_err(file_error("write", &self.path))
    }

    fn end(&mut self) -> Result<(), GitError> {
        self.file.set_len(0).map_err(file_error("write", &self.path))
    }

    fn share(&self) -> Result<File, GitError> {
        self.file.try_clone().map_err(file_error("open", &self.path))
    }
}
