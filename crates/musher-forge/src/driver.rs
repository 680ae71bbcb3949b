//! The glue to the engine: a job in, a report out. Decides nothing; each job is done once, however often it is given.

use std::sync::Arc;

use musher_core::command::Report;
use musher_core::config::MergeStyle;
use musher_core::forge::{
    Check, Comment, Finding, ForgeAnswer, ForgeFailure, ForgeWork, PullMerge, PullSeen, PullState, Reference, Review,
    ReviewVerdict,
};
use musher_core::id::EffectId;
use musher_engine::driver::Work;
use musher_engine::job::ForgeJob;

use crate::error::ForgeError;
use crate::forge::{self, Forge, Look, Merge, MergeHow, Method, NewPull, Rerun, Verdict};
use crate::repository::RepositoryName;
use crate::trust::{Judge, Trusted};

/// Does forge jobs of one repository.
#[derive(Clone)]
pub struct ForgeDriver {
    forge: Arc<dyn Forge>,
    repo: RepositoryName,
    trusted: Trusted,
}

impl std::fmt::Debug for ForgeDriver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ForgeDriver({})", self.repo)
    }
}

impl musher_engine::driver::Forge for ForgeDriver {
    fn carry_out(&self, job: ForgeJob) -> Work<Report> {
        let driver = self.clone();
        Box::pin(async move {
            match driver.answer(&job).await {
                Ok(answer) => Report::Forge(answer),
                Err(error) => Report::ForgeFailed(failure(error)),
            }
        })
    }
}

impl ForgeDriver {
    /// A driver.
    #[must_use]
    pub fn new(forge: Arc<dyn Forge>, repo: RepositoryName, trusted: Trusted) -> Self {
        Self { forge, repo, trusted }
    }

    async fn answer(&self, job: &ForgeJob) -> Result<ForgeAnswer, ForgeError> {
        let (forge, repo) = (&self.forge, &self.repo);
        match &job.work {
            ForgeWork::OpenPull { draft } => self.open(job, *draft).await,
            ForgeWork::LookAtPull { number } => {
                let look = forge.look(repo, *number).await?;
                Ok(ForgeAnswer::PullLooked(Box::new(self.seen(look).await?)))
            }
            ForgeWork::MarkReady { number } => {
                forge.mark_ready(&forge.pull(repo, *number).await?).await?;
                Ok(ForgeAnswer::PullReady)
            }
            // The forge knows which of them failed and runs these again, whatever their number.
            ForgeWork::RerunChecks { head, .. } => {
                let started = matches!(forge.rerun(repo, head).await?, Rerun::Started(_));
                Ok(ForgeAnswer::ChecksRerun { started })
            }
            ForgeWork::FetchLog { check } => {
                let tail = match check.job {
                    Some(job) => forge.log(repo, job, LOG_TAIL).await?,
                    None => String::new(),
                };
                Ok(ForgeAnswer::LogFetched { tail: tail.into() })
            }
            ForgeWork::MergePull { number, head, style } => {
                Ok(ForgeAnswer::PullMerged(self.merge(job, *number, head, *style).await?))
            }
            ForgeWork::CommentPull { number, text } => {
                let mark = mark(job.effect);
                let said = forge.comments(repo, *number).await?;
                let id = match said.iter().find(|comment| comment.body.contains(&mark)) {
                    Some(comment) => comment.id,
                    None => forge.comment(repo, *number, &format!("{text}\n\n{mark}")).await?.id,
                };
                Ok(ForgeAnswer::Commented { id })
            }
            ForgeWork::EditComment { comment, text } => {
                let body = format!("{text}\n\n{}", mark(job.effect));
                Ok(ForgeAnswer::Commented { id: forge.edit_comment(repo, *comment, &body).await?.id })
            }
            ForgeWork::React { comment } => {
                forge.react(repo, *comment).await?;
                Ok(ForgeAnswer::Commented { id: *comment })
            }
            ForgeWork::LookAtIssue { issue, .. } => {
                let issue = forge.issue(&self.of(issue)?, issue.number).await?;
                Ok(ForgeAnswer::IssueLooked { closed: !issue.open, title: issue.title.into() })
            }
        }
    }

    fn of(&self, issue: &Reference) -> Result<RepositoryName, ForgeError> {
        let Some(name) = &issue.repo else { return Ok(self.repo.clone()) };
        RepositoryName::parse(name).ok_or_else(|| ForgeError::Missing { what: format!("repository `{name}`") })
    }

    /// What an earlier try has opened is taken, also when it was merged meanwhile, and what somebody else has opened is adopted;
    /// one that was closed is neither.
    async fn open(&self, job: &ForgeJob, draft: bool) -> Result<ForgeAnswer, ForgeError> {
        let there = |pull: forge::Pull, adopted| ForgeAnswer::PullOpened {
            number: pull.number,
            url: pull.url.into(),
            draft: pull.draft,
            adopted,
        };
        let opened = |pull| there(pull, false);
        if let Some(pull) = self.forge.pull_of(&self.repo, &job.branch).await?
            && pull.state != forge::PullState::Closed
        {
            // The item's id is in the text of what an earlier try has opened, and in nobody else's.
            let adopted = !pull.body.contains(&job.item.to_string());
            return Ok(there(pull, adopted));
        }
        let (title, body) = (job.title.clone(), job.body.clone());
        let mut new = NewPull { title, body, branch: job.branch.clone(), base: job.base.clone(), draft };
        match self.forge.open_pull(&self.repo, &new).await {
            // Not every repository has drafts.
            Err(ForgeError::Invalid { what }) if draft && what.to_ascii_lowercase().contains("draft") => {
                new.draft = false;
                self.forge.open_pull(&self.repo, &new).await.map(opened)
            }
            other => other.map(opened),
        }
    }

    async fn merge(&self, job: &ForgeJob, number: u64, head: &str, style: MergeStyle) -> Result<PullMerge, ForgeError> {
        let pull = self.forge.pull(&self.repo, number).await?;
        match pull.state {
            forge::PullState::Merged(commit) => return Ok(PullMerge::Merged { commit: commit.into() }),
            forge::PullState::Closed => return Ok(PullMerge::Refused { why: "it is closed".into() }),
            forge::PullState::Open if pull.head != head => return Ok(PullMerge::HeadMoved),
            forge::PullState::Open => {}
        }
        let rules = self.forge.rules(&self.repo, &pull.base).await?;
        if rules.merge_queue {
            return queued(self.forge.enqueue(&pull, head).await);
        }
        if pull.auto_merge {
            return Ok(PullMerge::Queued);
        }
        let wanted = method(style);
        let allowed = |method: &&Method| **method == wanted;
        let method = rules.methods.iter().find(allowed).or(rules.methods.first()).copied().unwrap_or(wanted);
        let how = MergeHow { head: head.to_owned(), method, title: job.title.clone(), message: job.body.clone() };
        match self.forge.merge(&self.repo, number, &how).await {
            Ok(Merge::Done(commit) | Merge::Already(commit)) => Ok(PullMerge::Merged { commit: commit.into() }),
            Err(ForgeError::Conflict { what }) => {
                if self.forge.pull(&self.repo, number).await?.head != head {
                    return Ok(PullMerge::HeadMoved);
                }
                // Its rules are not satisfied yet: the forge waits for them, where it can.
                match self.forge.merge_when_ready(&pull, &how).await {
                    Ok(()) => Ok(PullMerge::Queued),
                    Err(error) if error.passes() => Err(error),
                    Err(_) => Ok(PullMerge::Refused { why: what.into() }),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// A look in the words of the core. Findings are the threads; what a program says in the conversation cannot be
    /// settled by anybody and stays a comment.
    async fn seen(&self, look: Look) -> Result<PullSeen, ForgeError> {
        let mut judge = Judge::new(&*self.forge, &self.repo, &self.trusted);
        let mut reviews = Vec::with_capacity(look.reviews.len());
        for review in look.reviews {
            reviews.push(Review {
                id: review.id,
                trusted: judge.trusts(&review.author).await?,
                author: review.author.login.into(),
                verdict: verdict(&review.verdict),
                commit: review.commit.into(),
                text: review.body.into(),
            });
        }
        let mut findings = Vec::with_capacity(look.threads.len());
        for thread in look.threads {
            let Some(first) = thread.comments.first() else { continue };
            let mut trusted = true;
            let mut text = match thread.line {
                Some(line) => format!("{}:{line}:", thread.path),
                None => format!("{}:", thread.path),
            };
            for comment in &thread.comments {
                // One stranger in it, and nothing of it reaches a prompt unasked.
                trusted &= judge.trusts(&comment.author).await?;
                text.push_str(&format!("\n{}: {}", comment.author.login, comment.body));
            }
            findings.push(Finding {
                id: thread.id.into(),
                author: first.author.login.as_str().into(),
                bot: first.author.bot,
                resolved: thread.resolved,
                text: text.into(),
                trusted,
            });
        }
        let mut comments = Vec::new();
        for comment in look.comments.into_iter().filter(|comment| !comment.body.contains(MARK)) {
            comments.push(Comment {
                id: comment.id,
                trusted: judge.trusts(&comment.author).await?,
                bot: comment.author.bot,
                author: comment.author.login.into(),
                text: comment.body.into(),
            });
        }
        let pull = look.pull;
        Ok(PullSeen {
            number: pull.number,
            url: pull.url.into(),
            head: pull.head.into(),
            base: pull.base.into(),
            state: match pull.state {
                forge::PullState::Open => PullState::Open,
                forge::PullState::Closed => PullState::Closed,
                forge::PullState::Merged(commit) => PullState::Merged { commit: commit.into() },
            },
            draft: pull.draft,
            mergeable: pull.mergeable,
            queued: pull.auto_merge,
            checks: look.checks.into_iter().map(check).collect(),
            reviews,
            findings,
            comments,
        })
    }
}

fn queued(done: Result<(), ForgeError>) -> Result<PullMerge, ForgeError> {
    match done {
        Ok(()) => Ok(PullMerge::Queued),
        // An earlier try has put it there.
        Err(ForgeError::Conflict { what } | ForgeError::Invalid { what }) => {
            let there = what.to_ascii_lowercase().contains("already");
            Ok(if there { PullMerge::Queued } else { PullMerge::Refused { why: what.into() } })
        }
        Err(error) => Err(error),
    }
}

fn check(check: forge::Check) -> Check {
    Check {
        id: check.id,
        name: check.name.into(),
        conclusion: Box::<str>::from(check.word).into(),
        run: check.run,
        job: check.job,
        url: check.url.into(),
    }
}

const fn verdict(verdict: &Verdict) -> ReviewVerdict {
    match verdict {
        Verdict::Approved => ReviewVerdict::Approved,
        Verdict::ChangesRequested => ReviewVerdict::ChangesRequested,
        Verdict::Commented => ReviewVerdict::Commented,
        Verdict::Dismissed => ReviewVerdict::Dismissed,
        Verdict::Pending | Verdict::Unknown(_) => ReviewVerdict::Unknown,
    }
}

const fn method(style: MergeStyle) -> Method {
    match style {
        MergeStyle::Squash => Method::Squash,
        MergeStyle::Merge => Method::Merge,
        MergeStyle::Rebase => Method::Rebase,
    }
}

fn failure(error: ForgeError) -> ForgeFailure {
    let words = || format!("{error}; {}", error.fix()).into_boxed_str();
    match &error {
        ForgeError::Limited { until, .. } => ForgeFailure::Limited { until: *until },
        ForgeError::Unavailable { .. } => ForgeFailure::Unavailable(words()),
        ForgeError::Strange { .. } => ForgeFailure::Strange(words()),
        ForgeError::Refused { .. } | ForgeError::Invalid { .. } | ForgeError::Conflict { .. } => {
            ForgeFailure::Refused(words())
        }
        ForgeError::Missing { .. } | ForgeError::Gone { .. } => ForgeFailure::NotFound(words()),
    }
}

/// What a comment of ours carries, which nobody sees: an effect's id cannot be guessed before its comment is there.
fn mark(effect: EffectId) -> String {
    format!("{MARK}{effect} -->")
}

const MARK: &str = "<!-- musher:";

/// How much of a log a fix run gets, in bytes.
const LOG_TAIL: usize = 8_000;
