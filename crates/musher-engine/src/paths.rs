//! Where musher keeps what belongs to a repository.

use std::path::{Path, PathBuf};

/// The folder of `musher.toml` and the state beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The top of the user's checkout.
    pub root: PathBuf,
    /// `.musher` in it.
    pub state: PathBuf,
}

impl Paths {
    /// The paths of a repository.
    pub fn of(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let state = root.join(".musher");
        Self { root, state }
    }

    /// Where worktrees are.
    pub fn worktrees(&self) -> PathBuf {
        self.state.join("worktrees")
    }

    /// An item's worktree.
    pub fn worktree(&self, name: &str) -> PathBuf {
        self.worktrees().join(name)
    }

    /// Where worktrees are kept warm.
    pub fn pool(&self) -> PathBuf {
        self.state.join("pool")
    }

    /// Where merged trees are checked out for their gate.
    ///
    /// Each slot of the merge queue has its own; the first is the only one as long as one gate runs at a time.
    pub fn merge_worktree(&self, slot: u32) -> PathBuf {
        let name = if slot == 0 { "_merge".to_owned() } else { format!("_merge-{slot}") };
        self.worktrees().join(name)
    }

    /// Where run folders are.
    pub fn runs(&self) -> PathBuf {
        self.state.join("runs")
    }

    /// The folder of a run, or of a gate, by its name.
    pub fn run(&self, name: &str) -> PathBuf {
        self.runs().join(name)
    }

    /// The socket of the daemon.
    pub fn socket(&self) -> PathBuf {
        self.state.join("daemon.sock")
    }

    /// The folder of the socket for agents' tools; a sandbox shows it whole, so that a socket made anew is seen.
    pub fn tools(&self) -> PathBuf {
        self.state.join("tools")
    }

    /// The socket for agents' tools.
    pub fn tools_socket(&self) -> PathBuf {
        self.tools().join("tools.sock")
    }

    /// The key that runs' passes are made with.
    pub fn passes(&self) -> PathBuf {
        self.state.join("passes.key")
    }

    /// The log of a detached daemon.
    pub fn log(&self) -> PathBuf {
        self.state.join("daemon.log")
    }

    /// The token of the TCP listener.
    pub fn token(&self) -> PathBuf {
        self.state.join("token")
    }

    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.root.join("musher.toml")
    }

    /// A marker that says that a worktree's setup ran.
    pub fn setup_marker(&self, worktree: &str) -> PathBuf {
        self.worktrees().join(format!(".{worktree}.setup"))
    }

    /// The path of a file relative to the repository, for messages.
    pub fn relative<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.root).unwrap_or(path)
    }
}
