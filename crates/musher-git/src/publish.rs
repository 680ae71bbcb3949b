//! Brings a landing to the remote's branch before the branch moves here, and finds out how the two stand when it cannot.
//!
//! Where the remote's branch stands beside ours is looked up, never read from words: they are in the user's language.
//!
//! | the remote's branch | what follows |
//! |---|---|
//! | is where ours is | the push |
//! | holds the commit already: a push before a crash | the landing goes on here |
//! | is ahead of ours: somebody pushed | ours follows; the merge has to be made anew |
//! | is behind ours: commits that were never pushed | the push, with a lease on where it is |
//! | was further once: it was rewound | nothing moves; a person decides |
//! | has commits that ours has not, and ours some that it has not | nothing moves; a person decides |
//! | is not there and never was | the push makes it |
//! | is gone | nothing moves; a person decides |
//! | is where it was, and the push was refused | the remote's words |
//! | cannot be asked | an error: another machine's fault is none of the merge's |

use crate::fetch::tracking;
use crate::git::{Answer, Git, GitError};
use crate::land::LandRequest;
use crate::names::{BranchName, ObjectId, RemoteName};
use crate::repository::Repository;

/// How often the remote's branch is looked at while it moves under each push.
const TRIES: usize = 4;

/// Why the remote's branch does not hold the commit of a landing.
#[derive(Debug)]
pub(crate) enum Unpublished {
    /// The remote's branch is ahead of ours, at this commit, which is here now.
    Ahead(ObjectId),
    /// It moved again under each push.
    Restless,
    /// Nothing can be pushed before a person has decided.
    Apart(Apart),
    /// A hook, a permission or a rule refused.
    Refused(String),
}

/// Why a branch and that of the remote cannot be brought together by musher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Apart {
    /// The remote's branch lacks commits that it had: a push would bring back what somebody took away.
    #[error("`{branch}` of `{remote}` was rewound: it had {had} and is at {now}")]
    Rewound {
        /// The branch.
        branch: BranchName,
        /// The remote.
        remote: String,
        /// Where it was last seen.
        had: ObjectId,
        /// Where it is.
        now: ObjectId,
    },
    /// Each of the two has commits that the other one lacks.
    #[error("`{branch}` here is at {here} and that of `{remote}` at {there}: each has commits that the other lacks")]
    Diverged {
        /// The branch.
        branch: BranchName,
        /// The remote.
        remote: String,
        /// Where ours is.
        here: ObjectId,
        /// Where the remote's is.
        there: ObjectId,
    },
    /// The remote's branch was there and is no more.
    #[error("`{branch}` of `{remote}` is gone; it was last seen at {had}")]
    Deleted {
        /// The branch.
        branch: BranchName,
        /// The remote.
        remote: String,
        /// Where it was last seen.
        had: ObjectId,
    },
}

impl Apart {
    /// Says how to fix it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Rewound { .. } => {
                "set the branch here to where the remote's is (`git reset`), or push what it had to bring it back"
            }
            Self::Diverged { .. } => {
                "bring the two together by hand (`git pull --rebase`, or `git reset` to the remote's); no commit was lost"
            }
            Self::Deleted { .. } => "push the branch to have it again, or set `push = false`",
        }
    }
}

impl Repository {
    /// Pushes the commit of a landing, with a lease on where the remote's branch is known to be. The module's head has the
    /// cases.
    pub(crate) fn publish(&self, request: &LandRequest, remote: &RemoteName) -> Result<Option<Unpublished>, GitError> {
        let mut expected = Some(request.old.clone());
        let mut waited = false;
        for _ in 0..TRIES {
            let answer = self.push_with_lease(remote, &request.target, &request.new, expected.as_ref())?;
            if answer.success() {
                return Ok(None);
            }
            let found = self.remote_tip(remote, &request.target)?;
            if found == expected {
                // The git of a musher that was killed may be at this very push, and hold the remote's lock.
                if answer.said().contains("lock ref") && !waited {
                    waited = true;
                    continue;
                }
                return Ok(Some(Unpublished::Refused(answer.said())));
            }
            match self.compare(request, remote, found)? {
                Beside::Behind(at) => expected = at,
                Beside::Holds => return Ok(None),
                Beside::Away(unpublished) => return Ok(Some(unpublished)),
            }
        }
        Ok(Some(Unpublished::Restless))
    }

    /// How the remote's branch stands beside ours.
    fn compare(&self, request: &LandRequest, remote: &RemoteName, found: Option<ObjectId>) -> Result<Beside, GitError> {
        let LandRequest { target, old, new, .. } = request;
        let seen = self.resolve(&tracking(remote, target))?;
        let (branch, name) = (target.clone(), remote.as_str().to_owned());
        let Some(found) = found else {
            return Ok(match seen {
                Some(had) => Beside::apart(Apart::Deleted { branch, remote: name, had }),
                None => Beside::Behind(None),
            });
        };
        if self.resolve(found.as_str())?.is_some() && self.is_ancestor(&found, old)? {
            // Not fetched: what it was is known only from the last look.
            return Ok(match seen {
                Some(had) if !self.is_ancestor(&had, &found)? => {
                    Beside::apart(Apart::Rewound { branch, remote: name, had, now: found })
                }
                Some(_) | None => Beside::Behind(Some(found)),
            });
        }
        self.fetch_branch(remote, target)?;
        let there = self.resolve(&tracking(remote, target))?.unwrap_or(found);
        Ok(if self.is_ancestor(new, &there)? {
            Beside::Holds
        } else if self.is_ancestor(old, &there)? {
            Beside::Away(Unpublished::Ahead(there))
        } else {
            Beside::apart(Apart::Diverged { branch, remote: name, here: old.clone(), there })
        })
    }

    /// Pushes a commit, if the remote's branch still is where it is expected; none: if there is no such branch.
    pub(crate) fn push_with_lease(
        &self,
        remote: &RemoteName,
        branch: &BranchName,
        commit: &ObjectId,
        expected: Option<&ObjectId>,
    ) -> Result<Answer, GitError> {
        let full = branch.full();
        // An empty value is git's word for "must not exist".
        let lease = format!("--force-with-lease={full}:{}", expected.map(ObjectId::as_str).unwrap_or_default());
        let spec = format!("{commit}:{full}");
        let call = self.git_abroad().call(["push", "--quiet", "--no-signed", &lease, "--", remote.as_str(), &spec]);
        call.with_hooks().without_terminal().run()
    }

    /// Where a branch of a remote is; none when the remote has none of that name.
    ///
    /// # Errors
    /// When the remote cannot be asked.
    pub(crate) fn remote_tip(&self, remote: &RemoteName, branch: &BranchName) -> Result<Option<ObjectId>, GitError> {
        let call = self.git_abroad().call(["ls-remote", "--quiet", "--", remote.as_str(), &branch.full()]);
        let listed = call.without_terminal().ok()?;
        Ok(listed.line().split_whitespace().next().and_then(|id| ObjectId::parse(id).ok()))
    }

    /// A git that speaks with a remote: nobody is asked for a password.
    pub(crate) fn git_abroad(&self) -> Git {
        self.git().global("-c").global("credential.interactive=false")
    }
}

/// What is to be done after a push that did not go through.
enum Beside {
    /// To be pushed again, with a lease on this.
    Behind(Option<ObjectId>),
    /// Nothing more: it holds the commit.
    Holds,
    /// Nothing more: it does not.
    Away(Unpublished),
}

impl Beside {
    fn apart(apart: Apart) -> Self {
        Self::Away(Unpublished::Apart(apart))
    }
}
