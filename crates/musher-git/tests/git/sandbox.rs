//! A repository of a user, in a folder of its own, and an item's worktree beside it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use musher_git::{
    BranchName, CommitMode, CreateRequest, Identity, InspectRequest, Inspection, LandRequest, MergeStyle, Message,
    ObjectId, PrepareRequest, Prepared, RebaseRequest, RemoveMode, RemoveRequest, Repository, Work,
};

pub(crate) struct Sandbox {
    _folder: Option<tempfile::TempDir>,
    pub(crate) top: PathBuf,
    pub(crate) repository: Repository,
}

/// Runs git as a user would, and wants success.
pub(crate) fn git<S: AsRef<OsStr>>(dir: &Path, args: impl IntoIterator<Item = S>) -> String {
    let (ok, text) = git_may_fail(dir, args);
    assert!(ok, "{text}");
    text
}

pub(crate) fn git_may_fail<S: AsRef<OsStr>>(dir: &Path, args: impl IntoIterator<Item = S>) -> (bool, String) {
    let mut command = Command::new("git");
    for (key, _) in std::env::vars_os() {
        if key.to_string_lossy().starts_with("GIT_") {
            command.env_remove(key);
        }
    }
    let out = command.arg("-C").arg(dir).args(args).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    (out.status.success(), text.trim_end().to_owned())
}

pub(crate) fn branch(name: &str) -> BranchName {
    BranchName::parse(name).unwrap()
}

pub(crate) fn id(text: &str) -> ObjectId {
    ObjectId::parse(text).unwrap()
}

pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

pub(crate) fn message() -> Message {
    Message {
        title: "fix the login".into(),
        body: String::new(),
        trailers: vec![("Musher-Item".into(), "9c41".into()), ("Musher-Run".into(), "7a".into())],
    }
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap().join("user");
        std::fs::create_dir(&top).unwrap();
        git(&top, ["init", "-q", "-b", "main"]);
        git(&top, ["config", "user.name", "Ada"]);
        git(&top, ["config", "user.email", "ada@example.org"]);
        write(&top.join("a.txt"), "one\ntwo\nthree\n");
        write(&top.join("b.txt"), "b\n");
        write(&top.join(".gitignore"), "*.log\ncache/\n");
        git(&top, ["add", "-A"]);
        git(&top, ["commit", "-q", "-m", "first"]);
        let repository = Repository::open(&top).unwrap();
        repository.exclude(".musher/").unwrap();
        Self { _folder: Some(folder), top, repository }
    }

    /// Another repository in this one's folder, which must outlive it.
    pub(crate) fn at(&self, top: &Path) -> Self {
        let repository = Repository::open(top).unwrap();
        repository.exclude(".musher/").unwrap();
        Self { _folder: None, top: top.to_owned(), repository }
    }

    pub(crate) fn git<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> String {
        git(&self.top, args)
    }

    pub(crate) fn tip(&self, name: &str) -> ObjectId {
        self.repository.resolve(name).unwrap().unwrap()
    }

    pub(crate) fn path(&self, item: &str) -> PathBuf {
        self.top.join(".musher/worktrees").join(item)
    }

    /// What a process of its own asks for: it knows the repository by its folder only.
    pub(crate) fn requests_in(top: &Path) -> (CreateRequest, RebaseRequest) {
        let path = top.join(".musher/worktrees/i");
        (create_request(path.clone(), "i"), rebase_request(path, "i"))
    }

    pub(crate) fn create_request(&self, item: &str) -> CreateRequest {
        create_request(self.path(item), item)
    }

    /// A new worktree of an item.
    pub(crate) fn item(&self, item: &str) -> PathBuf {
        self.repository.create_worktree(&self.create_request(item)).unwrap();
        self.path(item)
    }

    pub(crate) fn inspect_request(&self, item: &str) -> InspectRequest {
        InspectRequest {
            path: self.path(item),
            branch: branch(&format!("musher/m/{item}")),
            base_ref: "refs/heads/main".into(),
            base_commit: self.tip("main"),
            message: message(),
            commit_mode: CommitMode::Musher,
            max_file_size: 1_000,
            touches: None,
        }
    }

    pub(crate) fn inspect(&self, item: &str) -> Inspection {
        self.repository.inspect(&self.inspect_request(item)).unwrap()
    }

    pub(crate) fn clean(&self, item: &str) -> Work {
        match self.inspect(item) {
            Inspection::Clean(work) => work,
            other => panic!("{other:?}"),
        }
    }

    /// The problems of an item, a line each.
    pub(crate) fn problems(&self, request: &InspectRequest) -> Vec<String> {
        match self.repository.inspect(request).unwrap() {
            Inspection::Problems(problems) => problems.iter().map(ToString::to_string).collect(),
            other => panic!("{other:?}"),
        }
    }

    /// A worktree with one committed change.
    pub(crate) fn finished(&self, item: &str, file: &str, content: &str) -> Work {
        let path = self.item(item);
        write(&path.join(file), content);
        self.clean(item)
    }

    pub(crate) fn prepare_request(&self, head: &ObjectId, style: MergeStyle) -> PrepareRequest {
        PrepareRequest {
            target: branch("main"),
            item_head: head.clone(),
            style,
            message: message(),
            identity: Identity::new("Ada", "ada@example.org"),
            time_s: 1_700_000_000,
            name: "m/item".into(),
        }
    }

    pub(crate) fn prepare(&self, head: &ObjectId, style: MergeStyle) -> Prepared {
        self.repository.prepare_merge(&self.prepare_request(head, style)).unwrap()
    }

    /// What lands an item's change.
    pub(crate) fn land_request(&self, head: &ObjectId) -> LandRequest {
        match self.prepare(head, MergeStyle::Squash) {
            Prepared::Ready { base, commit, .. } => {
                LandRequest { target: branch("main"), old: base, new: commit, push: None }
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn rebase_request(&self, item: &str) -> RebaseRequest {
        rebase_request(self.path(item), item)
    }

    pub(crate) fn remove_request(&self, item: &str, merged_head: Option<ObjectId>) -> RemoveRequest {
        RemoveRequest {
            path: self.path(item),
            branch: branch(&format!("musher/m/{item}")),
            target_ref: "refs/heads/main".to_owned(),
            merged_head,
            keep: vec!["**/*.log".into()],
            mode: RemoveMode::Careful,
        }
    }

    /// Everything of the user's that must not change: files with their times, the index, the stash, the refs.
    pub(crate) fn user(&self) -> String {
        let mut files = BTreeMap::new();
        list(&self.top, &mut files);
        let index = std::fs::read(self.top.join(".git/index")).unwrap();
        let stash = self.git(["stash", "list"]);
        let refs = self.git(["for-each-ref", "refs/heads/main", "refs/stash", "refs/tags"]);
        format!(
            "{files:#?}\n{index:?}\n{stash}\n{refs}\n{}",
            std::fs::read_to_string(self.top.join(".git/HEAD")).unwrap()
        )
    }
}

fn list(folder: &Path, into: &mut BTreeMap<PathBuf, (u64, std::time::SystemTime)>) {
    use std::os::unix::fs::MetadataExt;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let meta = std::fs::symlink_metadata(&path).unwrap();
        if path.ends_with(".git") || path.ends_with(".musher") {
            continue;
        }
        if meta.is_dir() {
            list(&path, into);
        } else {
            into.insert(path, (meta.ino(), meta.modified().unwrap()));
        }
    }
}

fn create_request(path: PathBuf, item: &str) -> CreateRequest {
    let branch = branch(&format!("musher/m/{item}"));
    CreateRequest { path, branch, base_ref: "refs/heads/main".into(), copy: Vec::new(), pool: None }
}

fn rebase_request(path: PathBuf, item: &str) -> RebaseRequest {
    let branch_name = branch(&format!("musher/m/{item}"));
    RebaseRequest {
        path,
        branch: branch_name,
        onto: branch("main"),
        of: None,
        message: message(),
        max_file_size: 1_000,
    }
}
