//! Everything that touches a repository: worktrees, verification, merges. It calls the git program, so the user's
//! configuration, filters and credentials apply.
//!
//! It never decides what is to happen, never reads musher's state, and never touches the user's own checkout, index or
//! stash, but for one thing: [`Repository::land`] advances a clean checkout of the target branch by fast-forward.
//!
//! Every operation may be done twice, or be cut off anywhere and repeated, and gives the result of doing it once. The
//! caller makes sure that of the operations that change refs only one runs at a time in a repository.
//!
//! Open [`Repository`] first; `git.rs` shows how git is called, `worktree.rs` what is healed after a crash.

mod attach;
mod copy;
mod create;
mod dialogue;
pub mod driver;
mod fetch;
mod git;
mod globs;
mod history;
mod inspect;
mod land;
mod merge;
mod names;
mod orphan;
mod pool;
mod preflight;
mod publish;
mod push;
mod rebase;
mod remove;
mod repository;
mod resume;
mod scan;
mod settle;
mod sys;
mod worktree;

pub use create::{CreateError, CreateRequest, Created, Made};
pub use git::GitError;
pub use globs::BadGlob;
pub use history::{DiffOf, LogEntry};
pub use inspect::{CommitMode, Fault, InspectError, InspectRequest, Inspection, Problem, Work};
pub use land::{DirtyReason, LandRequest, Landed};
pub use merge::{BatchMember, BatchRequest, Cut, MergeStyle, PrepareRequest, Prepared, PreparedBatch};
pub use names::{BadName, BranchName, Identity, Message, ObjectId, RemoteName};
pub use pool::{Cold, Pool};
pub use preflight::{Preflight, PreflightError, preflight};
pub use publish::Apart;
pub use push::{PushRequest, Pushed};
pub use rebase::{RebaseRequest, Rebased};
pub use remove::{KeptReason, RemoveError, RemoveMode, RemoveRequest, Removed};
pub use repository::{OpenError, Repository, Version, free_space, version_check};
pub use worktree::{Operation, WorktreeEntry};
