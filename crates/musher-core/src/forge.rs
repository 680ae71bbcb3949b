//! The forge: what musher asks of it, what it answers, and what its words mean.
//!
//! These are facts and questions only. What follows from them is decided in [`crate::pull`] and [`crate::watch`].

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::MergeStyle;
use crate::id::WatchId;
use crate::time::Timestamp;

mod check;
mod reference;

pub use check::{Check, Checks, Conclusion};
pub use reference::{Home, NotAReference, Reference};

/// What a forge is to do for an item. Small: title, body, branch and base are taken from the state just before it is done.
///
/// A driver does the same effect once: it finds what an earlier try has left (the pull request of the branch, the comment
/// that carries the effect's id) and answers with that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForgeWork {
    /// Open a pull request from the item's branch, or adopt the open one of that branch. → `PullOpened`
    OpenPull {
        /// As a draft, where the forge has drafts.
        draft: bool,
    },
    /// Read everything of a pull request that its watches want to know. → `PullLooked`
    LookAtPull {
        /// Its number.
        number: u64,
    },
    /// It is a draft no more. → `PullReady`
    MarkReady {
        /// Its number.
        number: u64,
    },
    /// Run failed checks of a commit again. → `ChecksRerun`
    RerunChecks {
        /// The head commit.
        head: Box<str>,
        /// The checks, as the forge has named them.
        checks: Box<[Check]>,
    },
    /// Read the log of a failed check. → `LogFetched`
    FetchLog {
        /// The check, as the forge has named it.
        check: Check,
    },
    /// Merge it, or ask the forge to merge it when its rules are satisfied. → `PullMerged`
    MergePull {
        /// Its number.
        number: u64,
        /// The head commit that it must still have.
        head: Box<str>,
        /// How it becomes commits of the base.
        style: MergeStyle,
    },
    /// Say something on the pull request. → `Commented`
    CommentPull {
        /// Its number.
        number: u64,
        /// The words.
        text: Box<str>,
    },
    /// Say something else in a comment of ours. → `Commented`
    EditComment {
        /// The comment.
        comment: u64,
        /// The words.
        text: Box<str>,
    },
    /// Show that a comment was read, without words. → `Commented`
    React {
        /// The comment.
        comment: u64,
    },
    /// Whether an issue is closed. → `IssueLooked`
    LookAtIssue {
        /// For which watch.
        watch: WatchId,
        /// Which issue.
        issue: Reference,
    },
}

impl ForgeWork {
    /// The word in the store and in logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::OpenPull { .. } => "open_pull",
            Self::LookAtPull { .. } => "look_at_pull",
            Self::MarkReady { .. } => "mark_ready",
            Self::RerunChecks { .. } => "rerun_checks",
            Self::FetchLog { .. } => "fetch_log",
            Self::MergePull { .. } => "merge_pull",
            Self::CommentPull { .. } => "comment_pull",
            Self::EditComment { .. } => "edit_comment",
            Self::React { .. } => "react",
            Self::LookAtIssue { .. } => "look_at_issue",
        }
    }
}

/// What a forge has done, or what it has seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForgeAnswer {
    /// The pull request is there.
    PullOpened {
        /// Its number.
        number: u64,
        /// Its page.
        url: Box<str>,
        /// Whether it is a draft: not every repository has them.
        draft: bool,
        /// Whether it was there before, opened by somebody else.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        adopted: bool,
    },
    /// Everything that there is to know of it now.
    PullLooked(Box<PullSeen>),
    /// It is no draft any more.
    PullReady,
    /// The checks run again, or the forge does not do that.
    ChecksRerun {
        /// Whether at least one does.
        started: bool,
    },
    /// The log of a check.
    LogFetched {
        /// Its last 8,000 bytes.
        tail: Box<str>,
    },
    /// What came of the merge.
    PullMerged(PullMerge),
    /// The words are there.
    Commented {
        /// The comment.
        id: u64,
    },
    /// The issue, now.
    IssueLooked {
        /// Whether it is closed.
        closed: bool,
        /// Its title.
        title: Box<str>,
    },
}

/// What came of asking for a merge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PullMerge {
    /// It is in the base.
    Merged {
        /// The commit there.
        commit: Box<str>,
    },
    /// The forge merges it by itself: auto-merge, or its merge queue.
    Queued,
    /// Its head is not the one that was to be merged.
    HeadMoved,
    /// The forge's rules do not allow it.
    Refused {
        /// The forge's words.
        why: Box<str>,
    },
}

/// Why a forge did nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForgeFailure {
    /// Its rate limit is used up. No failure: it is asked again then.
    Limited {
        /// When it may be asked again.
        until: Timestamp,
    },
    /// It does not answer, or with an error of its own: it says nothing of what it was asked.
    Unavailable(Box<str>),
    /// It answers what cannot be used.
    Strange(Box<str>),
    /// It was not asked: what musher asks with does not work here.
    Unasked(Box<str>),
    /// It does not let us.
    Refused(Box<str>),
    /// It knows nothing of that name.
    NotFound(Box<str>),
}

impl ForgeFailure {
    /// Whether it was a no to this very question, or is an error here: asked again it is most likely the same, and a person
    /// has to look. A forge that is down, or that wants to rest, says nothing of the question, and comes back by itself.
    pub const fn counts(&self) -> bool {
        match self {
            Self::Limited { .. } | Self::Unavailable(_) => false,
            Self::Strange(_) | Self::Unasked(_) | Self::Refused(_) | Self::NotFound(_) => true,
        }
    }
}

impl fmt::Display for ForgeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Limited { until } => write!(f, "the forge's rate limit is used up until {until}"),
            Self::Unavailable(why) => write!(f, "the forge does not answer: {why}"),
            Self::Strange(why) => write!(f, "the forge's answer cannot be used: {why}"),
            Self::Unasked(why) => write!(f, "nothing was asked: {why}"),
            Self::Refused(why) => write!(f, "the forge refuses: {why}"),
            Self::NotFound(why) => write!(f, "the forge knows nothing of it: {why}"),
        }
    }
}

/// A pull request as the forge shows it at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PullSeen {
    /// Its number.
    pub number: u64,
    /// Its page.
    pub url: Box<str>,
    /// Its head commit: everything else here was read for it.
    pub head: Box<str>,
    /// The branch that it goes into.
    pub base: Box<str>,
    /// Open, merged or closed.
    pub state: PullState,
    /// Whether it is a draft.
    pub draft: bool,
    /// Whether it can be merged without a conflict; none while the forge finds out.
    pub mergeable: Option<bool>,
    /// Whether the forge merges it by itself: auto-merge is on, or it is in the merge queue.
    pub queued: bool,
    /// The check runs and commit statuses of the head commit.
    pub checks: Vec<Check>,
    /// The reviews, oldest first.
    pub reviews: Vec<Review>,
    /// The review threads, and what bots have said.
    pub findings: Vec<Finding>,
    /// The conversation, oldest first, without what musher has said itself.
    pub comments: Vec<Comment>,
}

/// What a webhook says has changed. It is never believed: whoever watches that looks at it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hint {
    /// A pull request, by its number.
    Pull(u64),
    /// A commit: its checks or statuses.
    Commit(Box<str>),
    /// An issue.
    Issue(Reference),
}

/// Where a pull request stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PullState {
    /// Open, a draft or not.
    #[default]
    Open,
    /// Merged.
    Merged {
        /// The commit in the base.
        commit: Box<str>,
    },
    /// Closed without a merge.
    Closed,
}

impl PullState {
    /// The word in the API.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Merged { .. } => "merged",
            Self::Closed => "closed",
        }
    }
}

/// A review of a pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// The forge's number.
    pub id: u64,
    /// Who.
    pub author: Box<str>,
    /// What it says.
    pub verdict: ReviewVerdict,
    /// The head commit that it is about.
    pub commit: Box<str>,
    /// The words.
    pub text: Box<str>,
    /// Whether the author may write to the repository, or is on the allow-list.
    pub trusted: bool,
}

/// What a review says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewVerdict {
    /// Yes.
    Approved,
    /// No, until something is changed.
    ChangesRequested,
    /// Neither.
    Commented,
    /// It counts no more.
    Dismissed,
    /// It is not sent yet, or the forge has a word that musher does not know.
    Unknown,
}

/// Something that somebody found in a change: a review thread, or what a bot has said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The forge's name for it.
    pub id: Box<str>,
    /// Who.
    pub author: Box<str>,
    /// Whether that is a bot.
    pub bot: bool,
    /// Whether it is settled.
    pub resolved: bool,
    /// The words, with the file and the line that they are about.
    pub text: Box<str>,
    /// Whether the author may write to the repository, or is on the allow-list.
    pub trusted: bool,
}

/// A comment in the conversation of a pull request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comment {
    /// The forge's number; it only grows.
    pub id: u64,
    /// Who.
    pub author: Box<str>,
    /// Whether that is a bot.
    pub bot: bool,
    /// The words.
    pub text: Box<str>,
    /// Whether the author may write to the repository, or is on the allow-list.
    pub trusted: bool,
}
