//! A repository as a whole: opening it, its branches, its identity, its private exclude file.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use nix::unistd::{AccessFlags, access};

use crate::git::{Answer, Git, GitError, file_error};
use crate::names::{BranchName, Identity, ObjectId, RemoteName, path_from};

/// The oldest git with `merge-tree --write-tree`.
const OLDEST: Version = Version { major: 2, minor: 38 };
/// The oldest git that takes `.gitattributes` from a commit instead of from a checkout.
const ATTRIBUTES_FROM_COMMIT: Version = Version { major: 2, minor: 41 };

/// A version of git; what follows the minor number changes nothing here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Why a folder cannot be worked in.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No repository here or in a folder above.
    #[error("`{}` is not in a git repository", dir.display())]
    NotARepository {
        /// The folder.
        dir: PathBuf,
    },
    /// A repository without a checkout, or its `.git` folder.
    #[error("`{}` has no checkout: it is a bare repository or the inside of `.git`", dir.display())]
    Bare {
        /// The folder.
        dir: PathBuf,
    },
    /// No program called git.
    #[error("git cannot be started")]
    GitMissing(#[source] GitError),
    /// A git without `merge-tree --write-tree`.
    #[error("git {found} is too old, 2.38 is needed")]
    GitTooOld {
        /// What `git version` says.
        found: String,
    },
    /// Nothing was ever committed.
    #[error("`{}` has no commit yet", dir.display())]
    UnbornHead {
        /// The folder.
        dir: PathBuf,
    },
    /// The folder is missing, unreadable, or owned by somebody git does not trust.
    #[error("`{}` cannot be read: {why}", dir.display())]
    NotReadable {
        /// The folder.
        dir: PathBuf,
        /// What the system or git said.
        why: String,
    },
    /// Anything else that git said.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl OpenError {
    /// Says how to fix it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self {
            Self::NotARepository { .. } => {
                "go to the repository's folder, or make one: `git init && git add -A && git commit -m first`"
            }
            Self::Bare { .. } => "clone it (`git clone REPOSITORY FOLDER`) and start in the clone's top folder",
            Self::GitMissing(_) | Self::GitTooOld { .. } => {
                "install git 2.38 or newer and see that it comes first in PATH"
            }
            Self::UnbornHead { .. } => "make the first commit: `git commit --allow-empty -m first`",
            Self::NotReadable { .. } => {
                "own the folder (`chown`), or tell git to trust it: `git config --global --add safe.directory FOLDER`"
            }
            Self::Git(e) => e.fix(),
        }
    }
}

/// An open repository. Cheap to clone; it holds no process and no lock.
///
/// Operations that change refs are to be called one at a time for a repository; readers need not wait.
#[derive(Debug, Clone)]
pub struct Repository {
    top: PathBuf,
    common: PathBuf,
    version: Version,
    git: Git,
}

/// Checks that a usable git is there.
///
/// # Errors
/// `GitMissing` and `GitTooOld`.
pub fn version_check() -> Result<Version, OpenError> {
    // A git that is replaced by an older one under a running daemon is not worth a process for each operation.
    static GOOD: OnceLock<Version> = OnceLock::new();
    if let Some(version) = GOOD.get() {
        return Ok(*version);
    }
    let answer = Git::new(Path::new("/")).call(["version"]).ok().map_err(OpenError::GitMissing)?;
    let text = answer.line();
    let found = text.trim_start_matches("git version ").to_owned();
    match read_version(&found) {
        Some(version) if version >= OLDEST => Ok(*GOOD.get_or_init(|| version)),
        _ => Err(OpenError::GitTooOld { found }),
    }
}

fn read_version(text: &str) -> Option<Version> {
    let mut parts = text.split('.').map(|part| part.split(|c: char| !c.is_ascii_digit()).next().unwrap_or(""));
    Some(Version { major: parts.next()?.parse().ok()?, minor: parts.next()?.parse().ok()? })
}

impl Repository {
    /// Opens the repository that a folder lies in.
    ///
    /// # Errors
    /// Each reason why musher could not work here has its variant; nothing is changed.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let unreadable = |e: std::io::Error| OpenError::NotReadable { dir: dir.to_owned(), why: e.to_string() };
        let dir = dir.canonicalize().map_err(unreadable)?;
        std::fs::read_dir(&dir).map_err(unreadable)?;
        let version = version_check()?;
        // One call answers everything where all is well; a path with a line end in it takes the long way.
        let options = ["rev-parse", "--path-format=absolute", "--git-common-dir", "--show-toplevel", "HEAD^{commit}"];
        let answer = Git::new(&dir).call(options).run()?;
        let lines: Vec<&[u8]> = answer.out.trim_ascii_end().split(|b| *b == b'\n').collect();
        let (common, top) = match (answer.success(), lines.as_slice()) {
            (true, [common, top, _]) => (path_from(common), path_from(top)),
            _ => find(&dir)?,
        };
        Ok(Self { git: Git::new(&top), common, top, version })
    }

    /// The top folder of the checkout that was opened.
    #[must_use]
    pub fn top(&self) -> &Path {
        &self.top
    }

    /// The folder that all worktrees share, usually `.git`.
    #[must_use]
    pub fn common_dir(&self) -> &Path {
        &self.common
    }

    /// The installed git.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    pub(crate) fn git(&self) -> Git {
        self.git.clone()
    }

    /// A git that reads `.gitattributes` from this commit, so that a merge does not depend on what the user's checkout
    /// holds just now. Older gits know no such thing and read the checkout.
    pub(crate) fn git_with_attributes_of(&self, commit: &ObjectId) -> Git {
        if self.version >= ATTRIBUTES_FROM_COMMIT {
            return self.git().global(format!("--attr-source={commit}"));
        }
        self.git()
    }

    /// The branch that the opened checkout is on; none when its HEAD is detached.
    ///
    /// # Errors
    /// When git cannot be run.
    pub fn current_branch(&self) -> Result<Option<BranchName>, GitError> {
        let answer = self.git.call(["symbolic-ref", "--quiet", "HEAD"]).run()?;
        Ok(if answer.success() { BranchName::parse(&answer.line()).ok() } else { None })
    }

    /// Whether a branch exists.
    ///
    /// # Errors
    /// When git cannot be run.
    pub fn branch_exists(&self, name: &BranchName) -> Result<bool, GitError> {
        Ok(self.tip(name)?.is_some())
    }

    /// The commit at a branch's tip; none without the branch.
    ///
    /// # Errors
    /// When git cannot be run.
    pub fn tip(&self, name: &BranchName) -> Result<Option<ObjectId>, GitError> {
        self.resolve(&name.full())
    }

    /// The commit that a name stands for; none if it stands for no commit.
    ///
    /// # Errors
    /// When git cannot be run.
    pub fn resolve(&self, name: &str) -> Result<Option<ObjectId>, GitError> {
        let revision = format!("{name}^{{commit}}");
        let answer = self.git.call(["rev-parse", "--verify", "--quiet", "--end-of-options", &revision]).run()?;
        if answer.success() { answer.id().map(Some) } else { Ok(None) }
    }

    /// Who commits are by: the user's configured name and address; what is not set comes from [`Identity::fallback`].
    ///
    /// # Errors
    /// When git cannot be run.
    pub fn identity(&self) -> Result<Identity, GitError> {
        let answer = self.git.call(["config", "-z", "--get-regexp", r"^user\.(name|email)$"]).run()?;
        let (mut name, mut email) = (String::new(), String::new());
        for field in answer.fields() {
            let text = String::from_utf8_lossy(field);
            match text.split_once('\n') {
                Some(("user.name", value)) => name = value.to_owned(),
                Some(("user.email", value)) => email = value.to_owned(),
                Some(_) | None => {}
            }
        }
        Ok(Identity::new(&name, &email))
    }

    /// The address of a remote, as it is configured; none when there is no such remote.
    ///
    /// # Errors
    /// When git cannot be run.
    pub fn address_of(&self, remote: &RemoteName) -> Result<Option<String>, GitError> {
        let key = format!("remote.{}.url", remote.as_str());
        let answer = self.git.call(["config", "--get", &key]).run()?;
        Ok(if answer.success() { Some(answer.line()) } else { None })
    }

    /// Adds a line to the repository's private exclude file, once: nothing the user has committed changes.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn exclude(&self, pattern: &str) -> Result<(), GitError> {
        let folder = self.common.join("info");
        std::fs::create_dir_all(&folder).map_err(file_error("create", &folder))?;
        let path = folder.join("exclude");
        let have = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(file_error("read", &path)(e)),
        };
        if have.split(|b| *b == b'\n').any(|line| line.trim_ascii() == pattern.as_bytes()) {
            return Ok(());
        }
        let gap = if have.is_empty() || have.ends_with(b"\n") { "" } else { "\n" };
        let mut file =
            std::fs::OpenOptions::new().append(true).create(true).open(&path).map_err(file_error("open", &path))?;
        file.write_all(format!("{gap}{pattern}\n").as_bytes()).map_err(file_error("write", &path))
    }

    /// Makes a branch at `from` unless it exists, and says where it stands.
    ///
    /// # Errors
    /// When `from` stands for no commit, or git refuses the ref.
    pub fn ensure_branch(&self, name: &BranchName, from: &str) -> Result<ObjectId, GitError> {
        if let Some(tip) = self.tip(name)? {
            return Ok(tip);
        }
        let answer =
            self.git.call(["rev-parse", "--verify", "--end-of-options", &format!("{from}^{{commit}}")]).ok()?;
        let commit = answer.id()?;
        self.move_ref(&name.full(), &commit, Some(&commit.zero_like()))?;
        Ok(commit)
    }

    /// Sets a ref, if `old` is given only when it still stands there (zeros: only when it does not exist).
    pub(crate) fn move_ref(&self, name: &str, new: &ObjectId, old: Option<&str>) -> Result<Answer, GitError> {
        self.git.call(["update-ref", "-m", "musher", name, new.as_str()]).args(old).ok()
    }

    /// Whether `ancestor` is reached from `of`; a commit is its own ancestor.
    pub(crate) fn is_ancestor(&self, ancestor: &ObjectId, of: &ObjectId) -> Result<bool, GitError> {
        if ancestor == of {
            return Ok(true);
        }
        let answer = self.git.call(["merge-base", "--is-ancestor", ancestor.as_str(), of.as_str()]).run()?;
        match answer.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(answer.failure()),
        }
    }

    /// The best common ancestor; none between unrelated histories.
    pub(crate) fn merge_base(&self, one: &ObjectId, other: &ObjectId) -> Result<Option<ObjectId>, GitError> {
        let answer = self.git.call(["merge-base", one.as_str(), other.as_str()]).run()?;
        match answer.code() {
            Some(0) => answer.id().map(Some),
            Some(1) => Ok(None),
            _ => Err(answer.failure()),
        }
    }

    /// Lets go of a commit that [`Repository::prepare_merge`] kept. Done twice, it is done.
    ///
    /// # Errors
    /// A bad name, or git's refusal.
    pub fn forget_prepared(&self, name: &str) -> Result<(), GitError> {
        let name = crate::merge::kept_as(name)?;
        self.git.call(["update-ref", "-d", &name]).ok().map(drop)
    }

    /// Whether files can be made in the checkout and in `.git`; names the folder where they cannot.
    pub(crate) fn read_only_folder(&self) -> Option<&Path> {
        [self.top.as_path(), self.common.as_path()].into_iter().find(|dir| access(*dir, AccessFlags::W_OK).is_err())
    }
}

/// The bytes free to this user on the disk that a path lies on, or will lie on once it is made.
///
/// # Errors
/// When the system does not say.
// The two numbers are narrower on some systems than on Linux.
#[allow(clippy::useless_conversion)]
pub fn free_space(path: &Path) -> Result<u64, GitError> {
    let there = path.ancestors().find(|p| p.exists()).unwrap_or(Path::new("/"));
    let stat = nix::sys::statvfs::statvfs(there).map_err(|e| file_error("measure", there)(e.into()))?;
    Ok(u64::from(stat.blocks_available()).saturating_mul(u64::from(stat.fragment_size())))
}

/// The shared folder and the top, or the first thing that is wrong.
fn find(dir: &Path) -> Result<(PathBuf, PathBuf), OpenError> {
    let git = Git::new(dir);
    let ask = |what: &str| git.call(["rev-parse", "--path-format=absolute", what]).run();
    let common = ask("--git-common-dir")?;
    if !common.success() {
        return Err(why_closed(dir.to_owned(), common));
    }
    let top = ask("--show-toplevel")?;
    if !top.success() {
        return Err(OpenError::Bare { dir: dir.to_owned() });
    }
    let head = git.call(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).run()?;
    if !head.success() {
        return Err(OpenError::UnbornHead { dir: path_line(&top) });
    }
    Ok((path_line(&common), path_line(&top)))
}

fn path_line(answer: &Answer) -> PathBuf {
    path_from(answer.out.strip_suffix(b"\n").unwrap_or(&answer.out))
}

fn why_closed(dir: PathBuf, answer: Answer) -> OpenError {
    let said = answer.said();
    if said.contains("dubious ownership") || said.contains("Permission denied") {
        return OpenError::NotReadable { dir, why: said };
    }
    if said.contains("not a git repository") {
        return OpenError::NotARepository { dir };
    }
    OpenError::Git(answer.failure())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_read_from_what_vendors_print() {
        let cases = [
            ("2.47.3", Some((2, 47))),
            ("2.39.5 (Apple Git-154)", Some((2, 39))),
            ("2.38.0-rc1", Some((2, 38))),
            ("x", None),
        ];
        for (text, want) in cases {
            assert_eq!(read_version(text).map(|v| (v.major, v.minor)), want, "{text}");
        }
    }
}
