//! GitHub, and Enterprise servers.
//!
//! A look at a pull request is made of REST requests with entity tags: the pull request, its head's check runs, suites
//! and statuses, its reviews and its comments. What has not changed is answered with 304, which costs nothing of the
//! budget, and an unchanged pull request is what a watch sees nearly always. One GraphQL query could fetch all of it at
//! once, but knows no entity tags: it would cost a point every time, its nested lists must be paged one by one, and its
//! checks lag behind on Enterprise servers. GraphQL is asked only for what REST does not have: whether a thread is
//! settled, and only where there is one; whether a pull request is in a merge queue, where its base has one; and to mark drafts ready, to merge later, and to enter a merge queue.

mod check;
mod look;
mod merge;
mod pull;
mod review;
mod talk;
mod wire;

use crate::client::{Client, Clock, Spent};
use crate::forge::{
    Comment, Forge, Issue, Look, Merge, MergeHow, NewPull, NewReview, Permission, Pull, PullChange, Reply, Repository,
    Rerun, Review, Rules,
};
use crate::repository::{ApiBase, RepositoryName, encoded};
use crate::token::Token;

/// A GitHub, with one token.
pub struct GitHub {
    client: Client,
}

impl std::fmt::Debug for GitHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("GitHub")
    }
}

impl GitHub {
    /// A client. Nothing is asked yet.
    #[must_use]
    pub fn new(base: ApiBase, token: Token, clock: Clock) -> Self {
        Self { client: Client::new(base, token, clock) }
    }
}

impl Forge for GitHub {
    fn repository<'a>(&'a self, repo: &'a RepositoryName) -> Reply<'a, Repository> {
        Box::pin(async move {
            let what = format!("repository `{repo}`");
            let found: wire::Repository = self.client.get(&what, &at(repo, "")).await?;
            Ok(found.into())
        })
    }

    fn issue<'a>(&'a self, repo: &'a RepositoryName, number: u64) -> Reply<'a, Issue> {
        Box::pin(talk::issue(&self.client, repo, number))
    }

    fn comments<'a>(&'a self, repo: &'a RepositoryName, number: u64) -> Reply<'a, Vec<Comment>> {
        Box::pin(talk::comments(&self.client, repo, number))
    }

    fn comment<'a>(&'a self, repo: &'a RepositoryName, number: u64, body: &'a str) -> Reply<'a, Comment> {
        let path = at(repo, &format!("/issues/{number}/comments"));
        Box::pin(talk::write(&self.client, format!("#{number} of `{repo}`"), path, body))
    }

    fn react<'a>(&'a self, repo: &'a RepositoryName, comment: u64) -> Reply<'a, ()> {
        Box::pin(talk::react(&self.client, repo, comment))
    }

    fn permission<'a>(&'a self, repo: &'a RepositoryName, user: &'a str) -> Reply<'a, Permission> {
        Box::pin(talk::permission(&self.client, repo, user))
    }

    fn pull_of<'a>(&'a self, repo: &'a RepositoryName, branch: &'a str) -> Reply<'a, Option<Pull>> {
        Box::pin(pull::of_branch(&self.client, repo, branch))
    }

    fn pull<'a>(&'a self, repo: &'a RepositoryName, number: u64) -> Reply<'a, Pull> {
        Box::pin(pull::get(&self.client, repo, number))
    }

    fn open_pull<'a>(&'a self, repo: &'a RepositoryName, new: &'a NewPull) -> Reply<'a, Pull> {
        Box::pin(pull::open(&self.client, repo, new))
    }

    fn change_pull<'a>(&'a self, repo: &'a RepositoryName, number: u64, change: &'a PullChange) -> Reply<'a, Pull> {
        Box::pin(pull::change(&self.client, repo, number, change))
    }

    fn mark_ready<'a>(&'a self, pull: &'a Pull) -> Reply<'a, ()> {
        Box::pin(pull::mark_ready(&self.client, pull))
    }

    fn look<'a>(&'a self, repo: &'a RepositoryName, number: u64) -> Reply<'a, Look> {
        Box::pin(look::look(&self.client, repo, number))
    }

    fn reviews<'a>(&'a self, repo: &'a RepositoryName, number: u64) -> Reply<'a, Vec<Review>> {
        Box::pin(review::list(&self.client, repo, number))
    }

    fn review<'a>(&'a self, repo: &'a RepositoryName, number: u64, new: &'a NewReview) -> Reply<'a, Review> {
        Box::pin(review::write(&self.client, repo, number, new))
    }

    fn rerun<'a>(&'a self, repo: &'a RepositoryName, commit: &'a str) -> Reply<'a, Rerun> {
        Box::pin(check::rerun(&self.client, repo, commit))
    }

    fn log<'a>(&'a self, repo: &'a RepositoryName, job: u64, most_bytes: usize) -> Reply<'a, String> {
        Box::pin(check::log(&self.client, repo, job, most_bytes))
    }

    fn rules<'a>(&'a self, repo: &'a RepositoryName, branch: &'a str) -> Reply<'a, Rules> {
        Box::pin(merge::rules(&self.client, repo, branch))
    }

    fn merge<'a>(&'a self, repo: &'a RepositoryName, number: u64, how: &'a MergeHow) -> Reply<'a, Merge> {
        Box::pin(merge::merge(&self.client, repo, number, how))
    }

    fn merge_when_ready<'a>(&'a self, pull: &'a Pull, how: &'a MergeHow) -> Reply<'a, ()> {
        Box::pin(merge::when_ready(&self.client, pull, how))
    }

    fn enqueue<'a>(&'a self, pull: &'a Pull, head: &'a str) -> Reply<'a, ()> {
        Box::pin(merge::enqueue(&self.client, pull, head))
    }

    fn spent(&self) -> Spent {
        self.client.spent()
    }
}

/// A path below a repository.
fn at(repo: &RepositoryName, below: &str) -> String {
    format!("/repos/{}/{}{below}", encoded(repo.owner()), encoded(repo.name()))
}
