//! What a forge must be able to do, in musher's words: narrow, so that GitLab or Forgejo can follow.

use std::pin::Pin;

use crate::client::Spent;
use crate::error::ForgeError;
use crate::repository::RepositoryName;

/// An answer that is being waited for.
pub type Reply<'a, T> = Pin<Box<dyn Future<Output = Result<T, ForgeError>> + Send + 'a>>;

/// A forge: issues, pull requests, and what is said and judged about them. Lists are whole, never a first page.
pub trait Forge: Send + Sync {
    /// The repository.
    fn repository<'a>(&'a self, repo: &'a RepositoryName) -> Reply<'a, Repository>;
    /// An issue.
    fn issue<'a>(&'a self, repo: &'a RepositoryName, number: u64) -> Reply<'a, Issue>;
    /// The comments of an issue or of a pull request, oldest first.
    fn comments<'a>(&'a self, repo: &'a RepositoryName, number: u64) -> Reply<'a, Vec<Comment>>;
    /// Says something at an issue or a pull request.
    fn comment<'a>(&'a self, repo: &'a RepositoryName, number: u64, body: &'a str) -> Reply<'a, Comment>;
    /// Shows that a comment was read, by a pair of eyes. Once, however often.
    fn react<'a>(&'a self, repo: &'a RepositoryName, comment: u64) -> Reply<'a, ()>;
    /// What somebody may do with the repository.
    fn permission<'a>(&'a self, repo: &'a RepositoryName, user: &'a str) -> Reply<'a, Permission>;

    /// The newest pull request from a branch of this repository, open ones first.
    fn pull_of<'a>(&'a self, repo: &'a RepositoryName, branch: &'a str) -> Reply<'a, Option<Pull>>;
    /// A pull request.
    fn pull<'a>(&'a self, repo: &'a RepositoryName, number: u64) -> Reply<'a, Pull>;
    /// Opens a pull request.
    fn open_pull<'a>(&'a self, repo: &'a RepositoryName, new: &'a NewPull) -> Reply<'a, Pull>;
    /// Changes what is given.
    fn change_pull<'a>(&'a self, repo: &'a RepositoryName, number: u64, change: &'a PullChange) -> Reply<'a, Pull>;
    /// Makes a draft ready for review. Nothing happens when it is no draft.
    fn mark_ready<'a>(&'a self, pull: &'a Pull) -> Reply<'a, ()>;
    /// Everything that the watches of a pull request need, read once.
    fn look<'a>(&'a self, repo: &'a RepositoryName, number: u64) -> Reply<'a, Look>;
    /// The reviews of a pull request, oldest first.
    fn reviews<'a>(&'a self, repo: &'a RepositoryName, number: u64) -> Reply<'a, Vec<Review>>;
    /// Reviews a pull request.
    fn review<'a>(&'a self, repo: &'a RepositoryName, number: u64, new: &'a NewReview) -> Reply<'a, Review>;
    /// Runs the failed jobs of a commit again, those that have run only once.
    fn rerun<'a>(&'a self, repo: &'a RepositoryName, commit: &'a str) -> Reply<'a, Rerun>;
    /// The end of a job's log, at most so many bytes, as text.
    fn log<'a>(&'a self, repo: &'a RepositoryName, job: u64, most_bytes: usize) -> Reply<'a, String>;

    /// What the forge demands of merges into a branch.
    fn rules<'a>(&'a self, repo: &'a RepositoryName, branch: &'a str) -> Reply<'a, Rules>;
    /// Merges, if the head is still that commit. One that is merged already is [`Merge::Already`].
    fn merge<'a>(&'a self, repo: &'a RepositoryName, number: u64, how: &'a MergeHow) -> Reply<'a, Merge>;
    /// Lets the forge merge when all that it demands is there, if the head is still that commit.
    fn merge_when_ready<'a>(&'a self, pull: &'a Pull, how: &'a MergeHow) -> Reply<'a, ()>;
    /// Puts it into the forge's own merge queue, if the head is still that commit.
    fn enqueue<'a>(&'a self, pull: &'a Pull, head: &'a str) -> Reply<'a, ()>;

    /// How many requests were made since the start.
    fn spent(&self) -> Spent;
}

/// A repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repository {
    /// As the forge writes it; another one when it was renamed.
    pub name: String,
    /// The branch that work goes to.
    pub default_branch: String,
    /// Whether the token may push.
    pub may_push: bool,
    /// The ways to merge that it allows.
    pub methods: Vec<Method>,
}

/// A way to merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// One commit.
    Squash,
    /// A merge commit.
    Merge,
    /// The commits, one after the other.
    Rebase,
}

/// Who said something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// The name. Empty when the account is gone.
    pub login: String,
    /// Whether it is a program.
    pub bot: bool,
    /// How the forge says that they stand to the repository, such as `OWNER`, `MEMBER`, `CONTRIBUTOR`, `NONE`. Only a
    /// hint: see [`crate::trust`].
    pub association: String,
}

/// An issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Its number in the repository.
    pub number: u64,
    /// Its title, as written.
    pub title: String,
    /// Its text, as written.
    pub body: String,
    /// The names of its labels.
    pub labels: Vec<String>,
    /// Whether it is open.
    pub open: bool,
    /// Whether it is a pull request: forges list them among the issues.
    pub is_pull: bool,
    /// Who wrote it.
    pub author: Author,
    /// Where a person reads it.
    pub url: String,
}

/// A comment at an issue or a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment {
    /// Its id.
    pub id: u64,
    /// Who wrote it.
    pub author: Author,
    /// What it says.
    pub body: String,
    /// When it was written, as the forge writes moments.
    pub at: String,
    /// Where a person reads it.
    pub url: String,
}

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Nothing, or nobody knows them.
    None,
    /// Read.
    Read,
    /// Push.
    Write,
    /// Everything.
    Admin,
}

/// How it is with a pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullState {
    /// Open.
    Open,
    /// Closed without a merge.
    Closed,
    /// Merged as this commit.
    Merged(String),
}

/// A pull request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    /// Its number in the repository.
    pub number: u64,
    /// Its id where it is asked for without the repository.
    pub node: String,
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// How it is with it.
    pub state: PullState,
    /// Whether it is a draft.
    pub draft: bool,
    /// The branch that it comes from.
    pub branch: String,
    /// Whether that branch is in this repository, not in somebody's fork.
    pub own: bool,
    /// The commit at the branch's tip.
    pub head: String,
    /// The branch that it goes to.
    pub base: String,
    /// Whether it can be merged without a conflict. None: the forge has not found out yet.
    pub mergeable: Option<bool>,
    /// What the forge says about it, such as `clean`, `blocked`, `behind`, `dirty`, `unstable`, `unknown`.
    pub merge_state: String,
    /// Whether the forge will merge it by itself.
    pub auto_merge: bool,
    /// Who opened it.
    pub author: Author,
    /// Where a person reads it.
    pub url: String,
}

/// A pull request to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPull {
    /// Its title.
    pub title: String,
    /// Its text.
    pub body: String,
    /// The branch that it comes from, of the same repository.
    pub branch: String,
    /// The branch that it goes to.
    pub base: String,
    /// Whether it is a draft.
    pub draft: bool,
}

/// What is to be changed about a pull request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PullChange {
    /// A new title.
    pub title: Option<String>,
    /// A new text.
    pub body: Option<String>,
    /// Close it, or open it again.
    pub open: Option<bool>,
}

/// Everything about a pull request that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// The pull request. All else was read for its `head`.
    pub pull: Pull,
    /// Whether it is in the forge's own merge queue.
    pub queued: bool,
    /// Checks of the head: check runs, suites without runs, statuses.
    pub checks: Vec<Check>,
    /// Reviews, oldest first.
    pub reviews: Vec<Review>,
    /// Threads at lines of the change.
    pub threads: Vec<Thread>,
    /// Comments at the pull request, oldest first.
    pub comments: Vec<Comment>,
}

/// A check of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its id; 0 where it has none.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// Its conclusion where it has one, else its status, in the forge's word: `success`, `failure`, `in_progress` …
    pub word: String,
    /// The workflow run that it is of, where there is one.
    pub run: Option<u64>,
    /// The job whose log tells more, where there is one.
    pub job: Option<u64>,
    /// What it says of itself, in a line.
    pub summary: String,
    /// Where a person reads more.
    pub url: String,
}

/// A review.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Review {
    /// Its id.
    pub id: u64,
    /// Who.
    pub author: Author,
    /// What they decided.
    pub verdict: Verdict,
    /// What they wrote.
    pub body: String,
    /// The commit that they looked at. Empty when it is gone.
    pub commit: String,
    /// Where a person reads it.
    pub url: String,
}

/// A review to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewReview {
    /// What it decides; anything but a yes or a no is words only.
    pub verdict: Verdict,
    /// What it says.
    pub body: String,
    /// The commit that it is about, which must be one of the pull request; none is its present head.
    pub commit: Option<String>,
}

/// What a review decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Yes.
    Approved,
    /// No, not like this.
    ChangesRequested,
    /// Words only.
    Commented,
    /// Taken back.
    Dismissed,
    /// Not sent yet.
    Pending,
    /// A word that is not known.
    Unknown(String),
}

/// A conversation at a line of the change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its id.
    pub id: String,
    /// Whether it is settled.
    pub resolved: bool,
    /// Whether the line is not there any more.
    pub outdated: bool,
    /// The file.
    pub path: String,
    /// The line, where there is one.
    pub line: Option<u64>,
    /// What was said, oldest first.
    pub comments: Vec<Comment>,
}

/// What came of a wish to run failed jobs again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rerun {
    /// So many runs were started again, or had been.
    Started(usize),
    /// The forge runs none of the failed checks, or all have had their second chance.
    NotPossible,
}

/// What a branch demands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Names of checks that must succeed.
    pub required_checks: Vec<String>,
    /// Whether the head must hold the newest commit of the branch.
    pub up_to_date: bool,
    /// Whether merges go through the forge's queue.
    pub merge_queue: bool,
    /// How many approvals it needs.
    pub approvals: u32,
    /// Whether all threads must be settled.
    pub threads_resolved: bool,
    /// The only ways to merge, where it has a say; empty when it has none.
    pub methods: Vec<Method>,
}

/// How to merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergeHow {
    /// The commit that the head must still be.
    pub head: String,
    /// The way.
    pub method: Method,
    /// The commit's title, where the way makes one.
    pub title: String,
    /// The commit's text.
    pub message: String,
}

/// What came of a merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Merge {
    /// It is merged now, as this commit.
    Done(String),
    /// It had been merged, as this commit.
    Already(String),
}
