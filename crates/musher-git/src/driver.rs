//! The glue to the engine: a job in, a report out. Decides nothing; each job is one operation of [`Repository`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use musher_core::command::{
    Cut as Cutting, Inspection as Inspected, Lacking, Landing, Preparation, Push, Rebase, Report,
};
use musher_core::config::{CommitBy, MergeStyle as Style};
use musher_core::merge::Link;
use musher_engine::driver::{Git, LeftOver, Work};
use musher_engine::job::{
    Checkout, CreateWorktree, Diff, GitJob, Inspect, Land, MergeMember, PrepareMerge, PushBranch, RebaseBranch,
    RemoveWorktree,
};
use tokio::sync::Mutex;
use tracing::{info, warn};

use crate::{
    BatchMember, BatchRequest, BranchName, CommitMode, CreateRequest, Cut, DiffOf, InspectRequest, Inspection,
    LandRequest, Landed, Made, MergeStyle, Message, ObjectId, Pool, PushRequest, Pushed, RebaseRequest, Rebased,
    RemoteName, RemoveMode, RemoveRequest, Removed, Repository, free_space,
};

/// Does git jobs on blocking threads, one at a time a repository.
#[derive(Clone, Debug, Default)]
pub struct GitDriver {
    // Operations that change refs exclude one another; most take a few milliseconds.
    turn: Arc<Mutex<()>>,
    // The pool is filled by one at a time, beside all else.
    filling: Arc<Mutex<()>>,
    // Two fetches of one branch would refuse one another; meanwhile the others go on.
    fetching: Arc<Mutex<()>>,
}

/// Which worktrees are kept warm.
#[derive(Debug, Clone)]
pub struct KeepWarm {
    /// The repository.
    pub root: PathBuf,
    /// The pool.
    pub pool: Pool,
    /// The ref that they are made from.
    pub from: String,
    /// Below this much free disk none is made.
    pub min_free_bytes: u64,
}

/// What cannot be done, in words for people: what, and how to mend it.
type Words = String;

impl GitDriver {
    /// A driver.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Brings the pool to its size, in the background. It waits for no job and no job waits for a checkout of its.
    pub fn keep_warm(&self, wish: KeepWarm) {
        let driver = self.clone();
        tokio::spawn(async move {
            let _one_at_a_time = Arc::clone(&driver.filling).lock_owned().await;
            if let Err(error) = driver.fill(wish).await {
                warn!(%error, "worktrees are not kept warm");
            }
        });
    }

    async fn fill(&self, wish: KeepWarm) -> Result<(), Words> {
        let wish = Arc::new(wish);
        let asked = Arc::clone(&wish);
        let out =
            self.in_turn(move || open(&asked.root)?.tidy_pool(&asked.pool).map_err(|e| words(&e, e.fix()))).await?;
        let fill = move || {
            let repository = open(&wish.root)?;
            repository.sweep_out(&out).map_err(|e| words(&e, e.fix()))?;
            loop {
                let made = repository.warm_one(&wish.pool, &wish.from, wish.min_free_bytes);
                match made.map_err(|e| words(&e, e.fix()))? {
                    Ok(true) => {}
                    Ok(false) => return Ok(()),
                    Err(cold) => {
                        info!(%cold, "worktrees are not kept warm");
                        return Ok(());
                    }
                }
            }
        };
        tokio::task::spawn_blocking(fill).await.unwrap_or_else(|error| Err(format!("git's thread stopped: {error}")))
    }

    /// Finds out where the branch of `origin` is now.
    fn fetch(&self, root: PathBuf, branch: Option<String>) -> Work<Result<(), Words>> {
        let fetching = Arc::clone(&self.fetching);
        Box::pin(async move {
            let Some(branch) = branch else { return Ok(()) };
            let fetching = fetching.lock_owned().await;
            beside(move || {
                let _fetching = fetching;
                let done = open(&root)?.fetch_branch(&origin()?, &name(&branch)?);
                done.map_err(|e| format!("`{branch}` of `origin` cannot be fetched: {}", words(&e, e.fix())))
            })
            .await
        })
    }

    fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Words> + Send + 'static,
    ) -> Work<Result<T, Words>> {
        let turn = Arc::clone(&self.turn);
        Box::pin(async move {
            // The turn goes with the work, not with whoever waits for it: a caller that goes away frees nothing.
            let turn = turn.lock_owned().await;
            let work = move || {
                let _turn = turn;
                work()
            };
            tokio::task::spawn_blocking(work)
                .await
                .unwrap_or_else(|error| Err(format!("git's thread stopped: {error}")))
        })
    }
}

impl Git for GitDriver {
    fn carry_out(&self, job: GitJob) -> Work<Report> {
        let wish = match &job {
            GitJob::CreateWorktree(job) if job.pool_size > 0 => Some(KeepWarm {
                root: job.root.clone(),
                pool: pool(job),
                from: job.from.clone(),
                min_free_bytes: job.min_free_bytes,
            }),
            GitJob::CreateWorktree(_)
            | GitJob::Inspect(_)
            | GitJob::PrepareMerge(_)
            | GitJob::Rebase(_)
            | GitJob::Land(_)
            | GitJob::RemoveWorktree(_)
            | GitJob::PushBranch(_) => None,
        };
        let done = match job {
            // It waits for another machine, and changes nothing that the others change.
            GitJob::PushBranch(job) => beside(move || push(&job)),
            GitJob::CreateWorktree(job) if job.fetch.is_some() => {
                let fetched = self.fetch(job.root.clone(), job.fetch.clone());
                let driver = self.clone();
                Box::pin(async move {
                    match fetched.await {
                        Ok(()) => driver.in_turn(move || create(&job)).await,
                        // Another machine's fault is none of the item's.
                        Err(error) => {
                            Ok(Report::WorktreeFailed { lacking: Some(Lacking::Origin), error: error.into() })
                        }
                    }
                })
            }
            GitJob::Rebase(job) if job.fetch.is_some() => {
                let fetched = self.fetch(job.root.clone(), job.fetch.clone());
                let driver = self.clone();
                Box::pin(async move {
                    fetched.await?;
                    driver.in_turn(move || rebase(&job)).await
                })
            }
            job => self.in_turn(move || carry_out(&job)),
        };
        let driver = self.clone();
        let done = async move {
            let report = done.await;
            // After it: what was taken is made anew, and the run does not wait for that.
            wish.into_iter().for_each(|wish| driver.keep_warm(wish));
            report
        };
        Box::pin(async move { done.await.unwrap_or_else(|error| Report::DriverFailed { error: error.into() }) })
    }

    fn checkout(&self, job: Checkout) -> Work<Result<(), String>> {
        self.in_turn(move || {
            let commit = id(&job.commit)?;
            open(&job.root)?.merge_worktree(&job.path, &commit).map_err(|e| words(&e, e.fix()))
        })
    }

    fn left_over(&self, root: PathBuf, worktrees: PathBuf) -> Work<Result<Vec<LeftOver>, String>> {
        self.in_turn(move || open(&root)?.left_over(&worktrees).map_err(|e| words(&e, e.fix())))
    }

    fn base(&self, root: PathBuf, named: Option<String>) -> Work<Result<String, String>> {
        beside(move || {
            let checked = crate::preflight(&root, named.as_deref()).map_err(|e| words(&e, e.fix()))?;
            Ok(checked.base.as_str().to_owned())
        })
    }

    fn diff(&self, job: Diff) -> Work<Result<String, String>> {
        // Reads only: it waits for nobody.
        beside(move || diff(&job))
    }
}

/// Does what waits for nobody, and for which nobody waits.
fn beside<T: Send + 'static>(work: impl FnOnce() -> Result<T, Words> + Send + 'static) -> Work<Result<T, Words>> {
    Box::pin(async move {
        tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(format!("git's thread stopped: {error}")))
    })
}

fn carry_out(job: &GitJob) -> Result<Report, Words> {
    match job {
        GitJob::CreateWorktree(job) => create(job),
        GitJob::Inspect(job) => inspect(job),
        GitJob::PrepareMerge(job) => prepare(job),
        GitJob::Rebase(job) => rebase(job),
        GitJob::Land(job) => land(job),
        GitJob::RemoveWorktree(job) => remove(job),
        GitJob::PushBranch(job) => push(job),
    }
}

fn create(job: &CreateWorktree) -> Result<Report, Words> {
    let failed = |lacking, error: Words| Ok(Report::WorktreeFailed { lacking, error: error.into() });
    let near = job.path.parent().unwrap_or(&job.root);
    let free = free_space(near).map_err(|e| words(&e, e.fix()))?;
    if free < job.min_free_bytes {
        let text = format!(
            "the disk has {} MiB free and `min_free` is {} MiB; make room",
            free >> 20,
            job.min_free_bytes >> 20
        );
        return failed(Some(Lacking::Disk), text);
    }
    let repository = open(&job.root)?;
    if let Some((branch, from)) = &job.ensure {
        repository.ensure_branch(&name(branch)?, from).map_err(|e| words(&e, e.fix()))?;
    }
    let request = CreateRequest {
        path: job.path.clone(),
        branch: name(&job.branch)?,
        base_ref: job.from.clone(),
        copy: job.copy.clone(),
        pool: Some(pool(job)),
    };
    match repository.create_worktree(&request) {
        Ok(created) => {
            if let Made::CheckedOut(Some(cold)) = &created.made {
                info!(worktree = %job.path.display(), %cold, "checked out");
            }
            Ok(Report::WorktreeReady { base_commit: created.base_commit.as_str().into() })
        }
        Err(error) => failed(None, words(&error, error.fix())),
    }
}

fn pool(job: &CreateWorktree) -> Pool {
    Pool { folder: job.pool.clone(), size: job.pool_size }
}

fn inspect(job: &Inspect) -> Result<Report, Words> {
    let repository = open(&job.root)?;
    let base_commit = match &job.base_commit {
        Some(commit) => id(commit)?,
        None => repository
            .resolve(&job.target_ref)
            .map_err(|e| words(&e, e.fix()))?
            .ok_or_else(|| format!("`{}` is gone", job.target_ref))?,
    };
    let request = InspectRequest {
        path: job.path.clone(),
        branch: name(&job.branch)?,
        base_ref: job.target_ref.clone(),
        base_commit,
        message: message(&job.title, &job.trailers),
        commit_mode: match job.commit {
            CommitBy::Musher => CommitMode::Musher,
            CommitBy::Agent => CommitMode::Agent,
        },
        max_file_size: job.max_file_size_bytes,
        touches: job.touches.clone(),
    };
    let inspection = repository.inspect(&request).map_err(|e| words(&e, e.fix()))?;
    Ok(Report::Inspected(match inspection {
        Inspection::Missing => Inspected::Missing,
        Inspection::Empty { .. } => Inspected::Empty,
        Inspection::Problems(problems) => Inspected::Problems(lines(&problems)),
        Inspection::Clean(work) => Inspected::Clean {
            head: work.head.as_str().into(),
            tree: work.tree.as_str().into(),
            files: count(work.paths.len() as u64),
            insertions: count(work.insertions),
            deletions: count(work.deletions),
        },
    }))
}

fn lines(problems: &[crate::Problem]) -> Box<str> {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n").into()
}

fn prepare(job: &PrepareMerge) -> Result<Report, Words> {
    let repository = open(&job.root)?;
    let member = |member: &MergeMember| -> Result<BatchMember, Words> {
        Ok(BatchMember {
            head: id(&member.head)?,
            message: message(&member.title, &member.trailers),
            name: member.name.clone(),
        })
    };
    let request = BatchRequest {
        target: target(&job.target_ref)?,
        style: match job.style {
            Style::Squash => MergeStyle::Squash,
            Style::Merge => MergeStyle::Merge,
            Style::Rebase => MergeStyle::Rebase,
        },
        identity: repository.identity().map_err(|e| words(&e, e.fix()))?,
        time_s: job.at.as_secs(),
        members: job.members.iter().map(member).collect::<Result<_, _>>()?,
    };
    let batch = repository.prepare_batch(&request).map_err(|e| words(&e, e.fix()))?;
    let link =
        |(commit, tree): &(ObjectId, ObjectId)| Link { commit: commit.as_str().into(), tree: tree.as_str().into() };
    Ok(Report::MergePrepared(Preparation {
        base: link(&batch.base),
        links: batch.links.iter().map(link).collect(),
        cut: batch.cut.map(|cut| match cut {
            Cut::Conflict(files) => Cutting::Conflict { files: shown(&files) },
            Cut::Empty => Cutting::Empty,
            Cut::Landed(commit) => Cutting::Landed { commit: commit.as_str().into() },
            Cut::Failed(said) => Cutting::Failed { error: said.into() },
        }),
    }))
}

fn rebase(job: &RebaseBranch) -> Result<Report, Words> {
    let repository = open(&job.root)?;
    let request = RebaseRequest {
        path: job.path.clone(),
        branch: name(&job.branch)?,
        onto: match &job.fetch {
            Some(branch) => name(branch)?,
            None => target(&job.target_ref)?,
        },
        of: job.fetch.as_ref().map(|_| origin()).transpose()?,
        message: message(&job.title, &job.trailers),
        max_file_size: job.max_file_size_bytes,
    };
    let rebased = repository.rebase(&request).map_err(|e| words(&e, e.fix()))?;
    Ok(Report::Rebased(match rebased {
        Rebased::Done { head } => Rebase::Done { head: head.as_str().into() },
        Rebased::Conflict { files, hunks } => Rebase::Conflict { files: shown(&files), hunks: hunks.into() },
        // Nothing can be rebased there; the agent is told, and its next run begins with a sound worktree.
        Rebased::Missing => Rebase::Conflict { files: Box::default(), hunks: "the worktree was gone".into() },
        Rebased::Problems(problems) => Rebase::Conflict { files: Box::default(), hunks: lines(&problems) },
    }))
}

fn land(job: &Land) -> Result<Report, Words> {
    let request = LandRequest {
        target: target(&job.target_ref)?,
        old: id(&job.base)?,
        new: id(&job.commit)?,
        push: job.push.then(origin).transpose()?,
    };
    let landed = open(&job.root)?.land(&request).map_err(|e| words(&e, e.fix()))?;
    Ok(Report::LandingFinished(match landed {
        Landed::Landed => Landing::Landed,
        Landed::BaseMoved { .. } => Landing::BaseMoved,
        Landed::BaseDirty { checkout, reason } => {
            let why = format!("`{}` cannot be advanced: {reason}; {}", checkout.display(), reason.fix());
            Landing::BaseDirty { why: why.into() }
        }
        Landed::Apart(apart) => Landing::BaseDirty { why: words(&apart, apart.fix()).into() },
        Landed::Refused { said } => Landing::Refused { error: said.into() },
    }))
}

fn push(job: &PushBranch) -> Result<Report, Words> {
    let request = PushRequest {
        branch: name(&job.branch)?,
        head: id(&job.head)?,
        expected: job.expected.as_deref().map(id).transpose()?,
        remote: origin()?,
    };
    let pushed = open(&job.root)?.push_branch(&request).map_err(|e| words(&e, e.fix()))?;
    Ok(Report::Pushed(match pushed {
        Pushed::Done => Push::Done,
        Pushed::Moved { found } => Push::Moved { found: found.map(|id| id.as_str().into()).unwrap_or_default() },
        Pushed::Refused { said } => Push::Failed { error: said.into() },
        Pushed::Unanswered { said } => Push::Unanswered { error: said.into() },
    }))
}

fn remove(job: &RemoveWorktree) -> Result<Report, Words> {
    let request = RemoveRequest {
        path: job.path.clone(),
        branch: name(&job.branch)?,
        target_ref: job.target_ref.clone(),
        merged_head: job.merged_head.as_deref().map(id).transpose()?,
        keep: job.keep.clone(),
        mode: match &job.discard {
            Some(attic) => RemoveMode::Discard { attic: attic.clone() },
            None => RemoveMode::Careful,
        },
    };
    let repository = open(&job.root)?;
    let removed = repository.remove_worktree(&request).map_err(|e| words(&e, e.fix()))?;
    // What kept the prepared merge from being collected has served; it may never have been made.
    let _ = repository.forget_prepared(&job.name);
    Ok(match removed {
        Removed::Removed { .. } => Report::WorktreeRemoved,
        Removed::Kept(reasons) => {
            let reason = reasons.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            Report::WorktreeKept { reason: reason.into() }
        }
    })
}

fn diff(job: &Diff) -> Result<String, Words> {
    let repository = open(&job.root)?;
    let failed = |e: crate::GitError| words(&e, e.fix());
    if let Some(merged) = &job.merged {
        let commit = id(merged)?;
        let parent = repository.resolve(&format!("{merged}^")).map_err(failed)?;
        let Some(parent) = parent else { return Ok(String::new()) };
        return repository.diff(&parent, &DiffOf::Commit(commit)).map_err(failed);
    }
    let Some(base) = &job.base_commit else { return Ok(String::new()) };
    let base = id(base)?;
    if job.path.exists() {
        return repository.diff(&base, &DiffOf::Worktree(job.path.clone())).map_err(failed);
    }
    match repository.tip(&name(&job.branch)?).map_err(failed)? {
        Some(tip) => repository.diff(&base, &DiffOf::Commit(tip)).map_err(failed),
        None => Ok(String::new()),
    }
}

fn open(root: &Path) -> Result<Repository, Words> {
    Repository::open(root).map_err(|e| words(&e, e.fix()))
}

fn words(error: &dyn std::error::Error, fix: &str) -> Words {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    if fix.is_empty() { text } else { format!("{text}; {fix}") }
}

fn name(branch: &str) -> Result<BranchName, Words> {
    BranchName::parse(branch).map_err(|e| words(&e, e.fix()))
}

fn origin() -> Result<RemoteName, Words> {
    RemoteName::parse("origin").map_err(|e| words(&e, e.fix()))
}

fn target(full: &str) -> Result<BranchName, Words> {
    name(full.strip_prefix("refs/heads/").unwrap_or(full))
}

fn id(text: &str) -> Result<ObjectId, Words> {
    ObjectId::parse(text).map_err(|e| words(&e, ""))
}

fn message(title: &str, trailers: &[(String, String)]) -> Message {
    Message { title: title.to_owned(), body: String::new(), trailers: trailers.to_vec() }
}

fn shown(files: &[std::path::PathBuf]) -> Box<[Box<str>]> {
    files.iter().map(|f| f.to_string_lossy().into_owned().into_boxed_str()).collect()
}

fn count(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
