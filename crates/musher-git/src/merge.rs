//! Builds the commit that a merge would land, in the object store alone: no checkout is needed to find a conflict.

mod commits;
mod forks;
mod trees;
mod unions;

use std::path::PathBuf;

use self::commits::Commits;
use self::unions::Unions;
use crate::git::{Git, GitError};
use crate::names::{BranchName, Identity, Message, ObjectId, path_from, ref_part, with_trailers};
use crate::repository::Repository;
use crate::settle::commit_call;

/// What an item becomes on the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MergeStyle {
    /// One commit.
    Squash,
    /// The item's commits, and a merge commit.
    Merge,
    /// The item's commits, each on top of the one before. A branch that has merges in it cannot be replayed commit by
    /// commit without losing how their conflicts were resolved; it becomes one commit.
    Rebase,
}

/// Which merge is to be prepared.
#[derive(Debug, Clone)]
pub struct PrepareRequest {
    /// The branch that is merged into.
    pub target: BranchName,
    /// The tip of the item's branch, as it was verified.
    pub item_head: ObjectId,
    /// What it becomes.
    pub style: MergeStyle,
    /// The commit's message; with `Rebase` only its trailers are used.
    pub message: Message,
    /// Author and committer.
    pub identity: Identity,
    /// The commit's time in seconds since 1970, given so that a repeat makes the same commit.
    pub time_s: i64,
    /// The prepared commit is kept under `refs/musher/merge/` by this name.
    pub name: String,
}

/// What came of preparing a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prepared {
    /// The commit exists and its tree can be tested.
    Ready {
        /// The target's tip that it stands on.
        base: ObjectId,
        /// The commit to land.
        commit: ObjectId,
        /// Its tree.
        tree: ObjectId,
    },
    /// The two sides change the same lines.
    Conflict {
        /// The target's tip.
        base: ObjectId,
        /// The files in conflict.
        files: Vec<PathBuf>,
    },
    /// The merge would change nothing.
    Empty {
        /// The target's tip.
        base: ObjectId,
    },
}

/// Which merges are to be prepared one on another.
#[derive(Debug, Clone)]
pub struct BatchRequest {
    /// The branch that is merged into.
    pub target: BranchName,
    /// What each becomes.
    pub style: MergeStyle,
    /// Author and committer.
    pub identity: Identity,
    /// The commits' time in seconds since 1970, given so that a repeat makes the same commits.
    pub time_s: i64,
    /// The members, in order.
    pub members: Vec<BatchMember>,
}

/// One merge of a batch.
#[derive(Debug, Clone)]
pub struct BatchMember {
    /// The tip of its branch, as it was verified.
    pub head: ObjectId,
    /// Its commit's message; with [`MergeStyle::Rebase`] only the trailers are used.
    pub message: Message,
    /// Its commit is kept under `refs/musher/merge/` by this name.
    pub name: String,
}

/// A chain of merges in the object store, and what ended it before its last member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedBatch {
    /// The target's tip that it stands on, and its tree.
    pub base: (ObjectId, ObjectId),
    /// The commit and the tree of each member that merges cleanly on those before it.
    pub links: Vec<(ObjectId, ObjectId)>,
    /// Why the next member is not in it; none when all are.
    pub cut: Option<Cut>,
}

/// Why a member does not merge on those before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cut {
    /// The two sides change the same lines of these files.
    Conflict(Vec<PathBuf>),
    /// It would change nothing.
    Empty,
    /// The base holds it already, as this commit: it landed, and its landing was never reported.
    Landed(ObjectId),
    /// git could not do it, in words. Never of the first member: of that one it is an error.
    Failed(String),
}

/// The tree of a merge, or the files that stand in its way.
#[derive(Debug)]
pub(crate) enum Merged {
    Clean(ObjectId),
    Conflict(Vec<PathBuf>),
}

/// Who replayed commits are committed by, and when.
#[derive(Debug)]
pub(crate) struct Stamp<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) time: String,
}

/// The ref that keeps a prepared commit.
pub(crate) fn kept_as(name: &str) -> Result<String, GitError> {
    Ok(format!("refs/musher/merge/{}", ref_part(name)?))
}

impl Stamp<'_> {
    fn committer(&self, git: Git) -> Git {
        git.env("GIT_COMMITTER_NAME", &self.identity.name)
            .env("GIT_COMMITTER_EMAIL", &self.identity.email)
            .env("GIT_COMMITTER_DATE", &self.time)
    }

    /// The git that commits in this name.
    pub(crate) fn both(&self, git: Git) -> Git {
        self.committer(git)
            .env("GIT_AUTHOR_NAME", &self.identity.name)
            .env("GIT_AUTHOR_EMAIL", &self.identity.email)
            .env("GIT_AUTHOR_DATE", &self.time)
    }
}

/// One commit of a branch, as it is replayed.
#[derive(Debug)]
struct Replayed {
    id: ObjectId,
    parents: Vec<ObjectId>,
    author: [String; 3],
    message: String,
}

/// A branch's commits set on another base.
#[derive(Debug)]
pub(crate) enum Replay {
    Done {
        head: ObjectId,
        tree: ObjectId,
    },
    Conflict(Vec<PathBuf>),
    /// It has merges in it, or a commit without a parent.
    NotLinear,
}

impl Repository {
    /// Prepares a merge onto the target's present tip. Nothing but objects and one ref of our own is written.
    ///
    /// # Errors
    /// When the target is gone, the histories are unrelated, or git fails.
    pub fn prepare_merge(&self, request: &PrepareRequest) -> Result<Prepared, GitError> {
        let member = BatchMember {
            head: request.item_head.clone(),
            message: request.message.clone(),
            name: request.name.clone(),
        };
        let batch = BatchRequest {
            target: request.target.clone(),
            style: request.style,
            identity: request.identity.clone(),
            time_s: request.time_s,
            members: vec![member],
        };
        let PreparedBatch { base: (base, _), mut links, cut } = self.prepare_batch(&batch)?;
        Ok(match (links.pop(), cut) {
            (Some((commit, tree)), _) => Prepared::Ready { base, commit, tree },
            (None, Some(Cut::Conflict(files))) => Prepared::Conflict { base, files },
            (None, Some(Cut::Empty | Cut::Landed(_) | Cut::Failed(_)) | None) => Prepared::Empty { base },
        })
    }

    /// Prepares merges one on another, from the target's present tip on: the longest prefix of the members that merges
    /// cleanly. Nothing but objects and refs of our own is written; done twice, it makes the same commits.
    ///
    /// # Errors
    /// When the target is gone, or the first member's history is unrelated, or git fails on it. A later member on which
    /// git fails ends the chain instead: those before it must not wait for it.
    pub fn prepare_batch(&self, request: &BatchRequest) -> Result<PreparedBatch, GitError> {
        let target = request.target.full();
        let tip = [format!("{target}^{{commit}}"), format!("{target}^{{tree}}")];
        let answer = self.git().call(["rev-parse"]).args(tip).run()?;
        if !answer.success() && self.tip(&request.target)?.is_none() {
            return Err(GitError::NoBranch(request.target.clone()));
        }
        let [base, base_tree] = if answer.success() { answer.ids()? } else { return Err(answer.failure()) };
        let mut batch = PreparedBatch { base: (base.clone(), base_tree.clone()), links: Vec::new(), cut: None };
        let mut kept = String::new();
        let (mut tip, mut tree) = (base, base_tree);
        let stamp = Stamp { identity: &request.identity, time: format!("@{} +0000", request.time_s) };
        let mut commits = Commits::new(self.git(), self.common_dir(), &stamp, request.members.len());
        let mut unions = Unions::new(&self.git(), &tip, request);
        for member in &request.members {
            let union = unions.as_mut().and_then(|unions| unions.of(&tree, &member.head));
            match self.prepare_on((&tip, &tree), member, (request.style, &stamp), union, &mut commits) {
                Ok(Ok(link)) => {
                    if let Some(unions) = &mut unions {
                        unions.moved(&link.0, &member.head, request.style);
                    }
                    kept.push_str(&format!("update {} {}\n", kept_as(&member.name)?, link.0));
                    (tip, tree) = link.clone();
                    batch.links.push(link);
                }
                Ok(Err(cut)) => {
                    let landed = self.landed(member, &batch.base.0)?;
                    batch.cut = Some(landed.map_or(cut, Cut::Landed));
                    break;
                }
                Err(error) if batch.links.is_empty() => return Err(error),
                Err(error) => {
                    batch.cut = Some(Cut::Failed(error.to_string()));
                    break;
                }
            }
        }
        // All at once: starting a git costs more than what it does here.
        if !kept.is_empty() {
            self.git().call(["update-ref", "-m", "musher", "--stdin"]).input(kept).ok()?;
        }
        Ok(batch)
    }

    /// What a member became on the base, if it has landed there: the commit with its trailers that holds all of it. A
    /// landing is reported once it is done, but a push may be done and its answer never come.
    fn landed(&self, member: &BatchMember, base: &ObjectId) -> Result<Option<ObjectId>, GitError> {
        let Some((name, value)) = member.message.trailers.first() else { return Ok(None) };
        let Some(fork) = self.merge_base(&member.head, base)? else { return Ok(None) };
        let options = ["log", "-1", "--first-parent", "--format=%H", "--fixed-strings", "--no-show-signature"];
        let answer =
            self.git().call(options).args([format!("--grep={name}: {value}"), format!("{fork}..{base}")]).ok()?;
        let Ok(found) = ObjectId::parse(&answer.line()) else { return Ok(None) };
        let tree = self.git().call(["rev-parse", &format!("{found}^{{tree}}")]).ok()?.id()?;
        // Part of it may have been brought there by hand, trailers and all.
        let whole = matches!(self.merge_trees(&found, &member.head)?, Merged::Clean(merged) if merged == tree);
        Ok(whole.then_some(found))
    }

    /// The commit and the tree of one member on this tip, or why there is none.
    fn prepare_on(
        &self,
        (base, base_tree): (&ObjectId, &ObjectId),
        member: &BatchMember,
        (style, stamp): (MergeStyle, &Stamp<'_>),
        union: Option<ObjectId>,
        commits: &mut Commits<'_>,
    ) -> Result<Result<(ObjectId, ObjectId), Cut>, GitError> {
        // A bad name is refused before anything is made.
        kept_as(&member.name)?;
        let merged = union.map_or_else(|| self.merge_trees(base, &member.head), |tree| Ok(Merged::Clean(tree)))?;
        let tree = match merged {
            Merged::Conflict(files) => return Ok(Err(Cut::Conflict(files))),
            Merged::Clean(tree) if tree == *base_tree => return Ok(Err(Cut::Empty)),
            Merged::Clean(tree) => tree,
        };
        let mut one = |parents: &[&ObjectId]| commits.make(&tree, parents, member.message.text());
        let (commit, tree) = match style {
            MergeStyle::Squash => (one(&[base])?, tree.clone()),
            MergeStyle::Merge => (one(&[base, &member.head])?, tree.clone()),
            MergeStyle::Rebase => match self.replay(base, &member.head, stamp, &member.message.trailers)? {
                Replay::Done { tree, .. } if tree == *base_tree => return Ok(Err(Cut::Empty)),
                Replay::Done { head, tree } => (head, tree),
                Replay::Conflict(files) => return Ok(Err(Cut::Conflict(files))),
                Replay::NotLinear => (one(&[base])?, tree.clone()),
            },
        };
        Ok(Ok((commit, tree)))
    }

    /// Merges two commits in the object store.
    pub(crate) fn merge_trees(&self, ours: &ObjectId, theirs: &ObjectId) -> Result<Merged, GitError> {
        let git = self.git_with_attributes_of(ours);
        let options = ["merge-tree", "--write-tree", "-z", "--name-only", "--no-messages"];
        let answer = git.call(options).args([ours.as_str(), theirs.as_str()]).run()?;
        let mut fields = answer.fields();
        let tree = fields.next().map(|f| ObjectId::parse(&String::from_utf8_lossy(f)));
        match (answer.code(), tree) {
            (Some(0), Some(Ok(tree))) => Ok(Merged::Clean(tree)),
            (Some(1), Some(Ok(_))) => {
                let mut files: Vec<PathBuf> = fields.map(path_from).collect();
                files.sort();
                files.dedup();
                Ok(Merged::Conflict(files))
            }
            _ => Err(answer.failure()),
        }
    }

    /// Replays what `head` has beyond `onto` on top of it, a commit at a time. Commits that change nothing any more are
    /// left out. Authors and their dates stay.
    pub(crate) fn replay(
        &self,
        onto: &ObjectId,
        head: &ObjectId,
        stamp: &Stamp<'_>,
        trailers: &[(String, String)],
    ) -> Result<Replay, GitError> {
        let commits = self.commits(onto, head)?;
        if commits.iter().any(|c| c.parents.len() != 1) {
            return Ok(Replay::NotLinear);
        }
        let mut tip = onto.clone();
        let mut tree = self.git().call(["rev-parse", &format!("{onto}^{{tree}}")]).ok()?.id()?;
        for commit in commits {
            // The merge's base must be the commit's own parent. `merge-tree --merge-base` came only with git 2.40; a
            // commit of our tree on that parent says the same to every git.
            let parent = &commit.parents[0];
            let stand_in = stamp.both(self.git()).call(["commit-tree", tree.as_str()]);
            let stand_in = commit_call(stand_in, &[parent], "stand-in\n".into()).ok()?.id()?;
            let next = match self.merge_trees(&stand_in, &commit.id)? {
                Merged::Conflict(files) => return Ok(Replay::Conflict(files)),
                Merged::Clean(next) if next == tree => continue,
                Merged::Clean(next) => next,
            };
            tip = self.recommit(&commit, &tip, &next, stamp, trailers)?;
            tree = next;
        }
        Ok(Replay::Done { head: tip, tree })
    }

    fn recommit(
        &self,
        commit: &Replayed,
        parent: &ObjectId,
        tree: &ObjectId,
        stamp: &Stamp<'_>,
        trailers: &[(String, String)],
    ) -> Result<ObjectId, GitError> {
        let [name, email, date] = &commit.author;
        let author = Identity::new(name, email);
        let git = stamp.committer(self.git()).env("GIT_AUTHOR_NAME", author.name);
        let git = git.env("GIT_AUTHOR_EMAIL", author.email).env("GIT_AUTHOR_DATE", format!("@{date}"));
        let call = git.call(["commit-tree", tree.as_str()]);
        commit_call(call, &[parent], with_trailers(&commit.message, trailers)).ok()?.id()
    }

    /// The commits that `head` has and `onto` has not, parents first.
    fn commits(&self, onto: &ObjectId, head: &ObjectId) -> Result<Vec<Replayed>, GitError> {
        let format = "--format=%H%x00%P%x00%an%x00%ae%x00%ad%x00%B";
        let range = format!("{onto}..{head}");
        let options = ["log", "-z", "--reverse", "--topo-order", "--date=raw", "--no-show-signature", "--no-mailmap"];
        let answer = self.git().call(options).args([format, &range, "--"]).ok()?;
        let text = |f: &[u8]| String::from_utf8_lossy(f).into_owned();
        let fields: Vec<String> = answer.out.split(|b| *b == 0).map(text).collect();
        let read = |f: &[String]| {
            let parents =
                f[1].split(' ').filter(|p| !p.is_empty()).map(ObjectId::parse).collect::<Result<_, _>>().ok()?;
            let author = [f[2].clone(), f[3].clone(), f[4].clone()];
            Some(Replayed { id: ObjectId::parse(&f[0]).ok()?, parents, author, message: f[5].clone() })
        };
        let records = fields.chunks_exact(6).map(read).collect::<Option<Vec<_>>>();
        records.ok_or_else(|| answer.unreadable("a commit without its fields"))
    }
}
