//! Jobs: an effect with everything that its driver needs to know, taken from the state just before it starts.

use std::path::PathBuf;

use musher_core::agent::AgentSpec;
use musher_core::approval::Ruled;
use musher_core::config::{CommitBy, MergeStyle};
use musher_core::effect::{Effect, EffectKind, GateOn, Stop, When};
use musher_core::forge::ForgeWork;
use musher_core::id::{EffectId, ItemId, MissionId, RunId};
use musher_core::item::{Item, Wants};
use musher_core::mission::{Delivery, Mission};
use musher_core::price::{Estimated, Price};
use musher_core::run::{Purpose, RunState, Usage};
use musher_core::state::State;
use musher_core::time::Timestamp;

use crate::firing::FiringJob;
use crate::paths::Paths;

/// Makes an item's worktree, or adopts the right one.
#[derive(Clone, Debug)]
pub struct CreateWorktree {
    /// The repository.
    pub root: PathBuf,
    /// Where.
    pub path: PathBuf,
    /// The item's branch.
    pub branch: String,
    /// The ref it is made from.
    pub from: String,
    /// The branch of `origin` that is fetched first: the ref is what is known of it.
    pub fetch: Option<String>,
    /// With delivery `branch`: the integration branch and what it is made from, when it does not exist.
    pub ensure: Option<(String, String)>,
    /// Untracked files that are brought in.
    pub copy: Vec<String>,
    /// Below this much free disk nothing is made.
    pub min_free_bytes: u64,
    /// Where worktrees are kept warm.
    pub pool: PathBuf,
    /// How many are.
    pub pool_size: u32,
}

/// Commits leftovers and looks at the diff.
#[derive(Clone, Debug)]
pub struct Inspect {
    /// The repository.
    pub root: PathBuf,
    /// The worktree.
    pub path: PathBuf,
    /// Its branch.
    pub branch: String,
    /// The ref that the change is seen against.
    pub target_ref: String,
    /// The commit that the worktree was made from.
    pub base_commit: Option<String>,
    /// The title for a commit of leftovers.
    pub title: String,
    /// Its trailers.
    pub trailers: Vec<(String, String)>,
    /// Who commits leftovers.
    pub commit: CommitBy,
    /// The largest file.
    pub max_file_size_bytes: u64,
    /// Where the change must stay, when that is enforced.
    pub touches: Option<Vec<String>>,
}

/// Makes the commits of a batch, one on another.
#[derive(Clone, Debug)]
pub struct PrepareMerge {
    /// The repository.
    pub root: PathBuf,
    /// The branch it goes into.
    pub target_ref: String,
    /// How.
    pub style: MergeStyle,
    /// The commits' date, so that a repeat makes the same commits.
    pub at: Timestamp,
    /// The members, in order.
    pub members: Vec<MergeMember>,
}

/// One member of a batch.
#[derive(Clone, Debug)]
pub struct MergeMember {
    /// A name for the ref that keeps its commit.
    pub name: String,
    /// The verified tip of the item's branch.
    pub head: String,
    /// The commit's title.
    pub title: String,
    /// Its trailers.
    pub trailers: Vec<(String, String)>,
}

/// Rebases the item's branch in its own worktree.
#[derive(Clone, Debug)]
pub struct RebaseBranch {
    /// The largest leftover file that is committed.
    pub max_file_size_bytes: u64,
    /// The repository.
    pub root: PathBuf,
    /// The worktree.
    pub path: PathBuf,
    /// Its branch.
    pub branch: String,
    /// What it is rebased onto.
    pub target_ref: String,
    /// The branch of `origin` that is fetched first: the ref is what is known of it.
    pub fetch: Option<String>,
    /// The title for a commit of leftovers.
    pub title: String,
    /// Its trailers.
    pub trailers: Vec<(String, String)>,
}

/// Advances the target branch.
#[derive(Clone, Debug)]
pub struct Land {
    /// The repository.
    pub root: PathBuf,
    /// The branch.
    pub target_ref: String,
    /// The tip that it must still have.
    pub base: String,
    /// The new tip.
    pub commit: String,
    /// Whether it is pushed to `origin`.
    pub push: bool,
}

/// Removes a worktree.
#[derive(Clone, Debug)]
pub struct RemoveWorktree {
    /// The repository.
    pub root: PathBuf,
    /// Which.
    pub path: PathBuf,
    /// Its branch.
    pub branch: String,
    /// The branch that its work went into.
    pub target_ref: String,
    /// The tip that was merged; nothing when the item was not merged.
    pub merged_head: Option<String>,
    /// Ignored files that keep it.
    pub keep: Vec<String>,
    /// The name of the ref that kept its prepared merge.
    pub name: String,
    /// Save everything under this attic name and remove it anyway.
    pub discard: Option<String>,
}

/// Brings an item's branch to `origin`.
#[derive(Clone, Debug)]
pub struct PushBranch {
    /// The repository.
    pub root: PathBuf,
    /// The item's branch.
    pub branch: String,
    /// The commit that it shall have there.
    pub head: String,
    /// The commit that it must still have there; none when it must not exist.
    pub expected: Option<String>,
}

/// Something that a forge is to do for an item.
#[derive(Clone, Debug)]
pub struct ForgeJob {
    /// The effect that it carries out.
    pub effect: EffectId,
    /// The item.
    pub item: ItemId,
    /// What.
    pub work: ForgeWork,
    /// The title of the pull request, and of the commit that it becomes.
    pub title: String,
    /// The text of the pull request, and of the commit that it becomes; the agent's closing words are put before it by
    /// the runner.
    pub body: String,
    /// The item's branch.
    pub branch: String,
    /// The branch that it goes to.
    pub base: String,
}

/// A job for the git driver.
#[derive(Clone, Debug)]
pub enum GitJob {
    /// → `WorktreeReady`, `WorktreeFailed`
    CreateWorktree(CreateWorktree),
    /// → `Inspected`
    Inspect(Inspect),
    /// → `MergePrepared`
    PrepareMerge(PrepareMerge),
    /// → `Rebased`
    Rebase(RebaseBranch),
    /// → `LandingFinished`
    Land(Land),
    /// → `WorktreeRemoved`, `WorktreeKept`
    RemoveWorktree(RemoveWorktree),
    /// → `Pushed`
    PushBranch(PushBranch),
}

/// Checks a commit out into the merge worktree.
#[derive(Clone, Debug)]
pub struct Checkout {
    /// The repository.
    pub root: PathBuf,
    /// Where.
    pub path: PathBuf,
    /// Which.
    pub commit: String,
}

/// The change of an item.
#[derive(Clone, Debug)]
pub struct Diff {
    /// The repository.
    pub root: PathBuf,
    /// Its worktree.
    pub path: PathBuf,
    /// Its branch.
    pub branch: String,
    /// The branch that it goes into.
    pub target_ref: String,
    /// The commit that its worktree was made from.
    pub base_commit: Option<String>,
    /// The commit that it was merged as.
    pub merged: Option<String>,
}

/// Starts an agent, or attaches to it.
#[derive(Clone, Debug)]
pub struct RunJob {
    /// The run.
    pub run: RunId,
    /// Its item.
    pub item: ItemId,
    /// Its mission.
    pub mission: MissionId,
    /// Which attempt.
    pub attempt: u32,
    /// What for.
    pub purpose: Purpose,
    /// The agent.
    pub agent: AgentSpec,
    /// The folder of `musher.toml`.
    pub root: PathBuf,
    /// Musher's own state.
    pub state: PathBuf,
    /// The worktree.
    pub worktree: PathBuf,
    /// The run's folder.
    pub folder: PathBuf,
    /// The commit that the worktree was made from.
    pub base: String,
    /// The slot of the worktree.
    pub slot: u32,
    /// The prompt; filled in by the runner.
    pub prompt: String,
    /// The session of an earlier run that it goes on in.
    pub session: Option<String>,
    /// What of its use is on file already: a driver that reads the run anew reports only what is beyond it.
    pub used: Usage,
    /// What tokens cost where the agent does not tell it, and whether that is another model's price; none = nothing.
    pub price: Option<(Price, Estimated)>,
    /// Musher was down since this was asked for: a run that is found lost lost nothing by its own fault.
    pub reissued: bool,
    /// It was seen alive before: a missing folder then means that it is lost.
    pub was_running: bool,
    /// How its worktree is made again, if an agent has deleted it.
    pub create: CreateWorktree,
    /// The setup that such a worktree needs, and its marker.
    pub setup: Option<(Script, PathBuf)>,
}

/// Gives a running agent a message or an answer.
#[derive(Clone, Debug)]
pub struct TellJob {
    /// The run.
    pub run: RunId,
    /// What it is told.
    pub telling: Telling,
}

/// What a running agent is told.
#[derive(Clone, Debug)]
pub enum Telling {
    /// A message.
    Message {
        /// The key by which it is told once.
        key: String,
        /// The words.
        text: String,
        /// When it reads them.
        when: When,
    },
    /// The answer to what it asked.
    Answer {
        /// The agent's own reference of the question.
        reference: String,
        /// Yes or no.
        ruled: Ruled,
        /// What it is told with a no.
        why: String,
    },
}

/// A shell script: a gate, a setup, a teardown.
#[derive(Clone, Debug)]
pub struct Script {
    /// Its folder; the same folder runs once.
    pub folder: PathBuf,
    /// Its name there, which marks its processes.
    pub name: String,
    /// The text for `sh -c`.
    pub text: String,
    /// Where.
    pub cwd: PathBuf,
    /// Seconds it may take.
    pub timeout_secs: u64,
    /// The slot of the worktree.
    pub slot: u32,
}

/// How a script ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScriptEnd {
    /// With this in words ("exit 1", "signal 9"), and the tail of its output.
    Exited {
        /// Whether it exited 0.
        ok: bool,
        /// In words.
        exit: String,
        /// The last 8,000 bytes.
        tail: String,
    },
    /// It took too long and was ended.
    TimedOut {
        /// The last 8,000 bytes.
        tail: String,
    },
    /// It was ended from outside, or its host vanished while musher or the machine was down; nothing is known.
    Lost,
    /// Its host died alone, under musher's eyes: the script may have killed it.
    Died,
    /// It could not be started.
    Failed(String),
}

/// An effect, ready to be done.
#[derive(Clone, Debug)]
pub enum Job {
    /// For the git driver.
    Git(Box<GitJob>, Hooks),
    /// For the process driver.
    Run(Box<RunJob>),
    /// For the process driver.
    Stop(PathBuf, Stop),
    /// For the process driver.
    Tell(Box<TellJob>),
    /// A gate; a commit is checked out first when there is one.
    Gate(Script, Option<Checkout>),
    /// For the forge's driver.
    Forge(Box<ForgeJob>),
    /// A program whose exit a watch wants to know.
    Check(Script),
    /// An address whose status a watch wants to know.
    Fetch(String),
    /// What a firing asks of the world.
    Firing(Box<FiringJob>),
}

/// Scripts of the project around a git job.
#[derive(Clone, Debug, Default)]
pub struct Hooks {
    /// Runs after a worktree was made, once.
    pub setup: Option<(Script, PathBuf)>,
    /// Runs before a worktree is removed.
    pub teardown: Option<(Script, PathBuf)>,
}

/// Makes the job of an effect; nothing when what it is about is gone.
pub fn of(state: &State, effect: &Effect, paths: &Paths, reissued: bool) -> Option<Job> {
    let item = match (&effect.kind, effect.item) {
        (EffectKind::PrepareFiring(firing), _) => {
            return crate::firing::job(state, *firing, effect.id, paths).map(|job| Job::Firing(Box::new(job)));
        }
        (_, item) => state.item(item?)?,
    };
    let mission = &state.mission(item.mission)?.row;
    let at = At { state, paths, item, mission };
    Some(match &effect.kind {
        EffectKind::CreateWorktree => Job::Git(Box::new(GitJob::CreateWorktree(at.create())), at.setup(effect.id)),
        EffectKind::Inspect => Job::Git(Box::new(GitJob::Inspect(at.inspect())), Hooks::default()),
        EffectKind::PrepareMerge { members } => {
            Job::Git(Box::new(GitJob::PrepareMerge(at.prepare(effect, members))), Hooks::default())
        }
        EffectKind::Rebase => Job::Git(Box::new(GitJob::Rebase(at.rebase())), Hooks::default()),
        EffectKind::Land { base, commit } => Job::Git(Box::new(GitJob::Land(at.land(base, commit))), Hooks::default()),
        EffectKind::RemoveWorktree { discard } => {
            Job::Git(Box::new(GitJob::RemoveWorktree(at.remove(*discard))), at.teardown(effect.id))
        }
        EffectKind::StartRun(run) => Job::Run(Box::new(at.run(effect.id, *run, reissued)?)),
        EffectKind::TellRun { run, text, when } => Job::Tell(Box::new(TellJob {
            run: *run,
            telling: Telling::Message { key: format!("tell:{}", effect.id), text: text.to_string(), when: *when },
        })),
        EffectKind::AnswerRun { run, reference, ruled, why } => Job::Tell(Box::new(TellJob {
            run: *run,
            telling: Telling::Answer { reference: reference.to_string(), ruled: *ruled, why: why.to_string() },
        })),
        EffectKind::StopRun(run, how) => Job::Stop(paths.run(&run.to_string()), *how),
        EffectKind::Gate { on, gate, .. } => at.gate(effect.id, on, gate),
        EffectKind::PushBranch { head, expected } => {
            Job::Git(Box::new(GitJob::PushBranch(at.push(head, expected.as_deref()))), Hooks::default())
        }
        EffectKind::Forge(work) => Job::Forge(Box::new(at.forge(effect.id, work))),
        EffectKind::RunCheck { argv, .. } => Job::Check(at.check(effect.id, argv)),
        EffectKind::FetchUrl { url, .. } => Job::Fetch(url.to_string()),
        EffectKind::PrepareFiring(_) => return None,
    })
}

/// The ref that an item's work is seen against. What a forge merges is at `origin` and in nobody's checkout: a pull request
/// is made from the base as it is there, and the user's own branch is left to the user.
pub fn target_of(item: &Item, mission: &Mission) -> String {
    match (item.wants, mission.delivery) {
        (Wants::Change, Delivery::Pr) => format!("refs/remotes/origin/{}", mission.base),
        (Wants::Change, Delivery::Merge | Delivery::Branch) => mission.target_ref(),
        (Wants::Plan, _) => mission.base_ref(),
    }
}

/// The change of an item, as a job.
pub fn diff_of(state: &State, item: &Item, paths: &Paths) -> Option<Diff> {
    let mission = &state.mission(item.mission)?.row;
    Some(Diff {
        root: paths.root.clone(),
        path: paths.worktree(&item.worktree_name()),
        branch: item.branch(),
        target_ref: target_of(item, mission),
        base_commit: item.base_commit.as_deref().map(str::to_owned),
        merged: item.merged.as_deref().map(str::to_owned),
    })
}

struct At<'a> {
    state: &'a State,
    paths: &'a Paths,
    item: &'a Item,
    mission: &'a Mission,
}

impl At<'_> {
    fn path(&self) -> PathBuf {
        self.paths.worktree(&self.item.worktree_name())
    }

    /// The branch that its worktree is made from and its work goes into. Nothing of a plan is merged, so that no branch
    /// is made to gather it.
    fn target_ref(&self) -> String {
        target_of(self.item, self.mission)
    }

    fn fetch(&self) -> Option<String> {
        let from_origin = self.mission.delivery == Delivery::Pr && self.item.wants == Wants::Change;
        from_origin.then(|| self.mission.base.to_string())
    }

    fn trailers(&self) -> Vec<(String, String)> {
        let mut trailers = vec![("Musher-Item".to_owned(), format!("{} {}", self.item.key, self.item.id))];
        if let Some(run) = self.item.run {
            trailers.push(("Musher-Run".to_owned(), run.to_string()));
        }
        if let Some(agent) = self.item.agent.and_then(|id| self.state.agent(id)) {
            trailers.push(("Musher-Agent".to_owned(), agent.spec.name.to_string()));
        }
        trailers
    }

    fn create(&self) -> CreateWorktree {
        let settings = self.state.settings();
        let gathers = self.mission.delivery == Delivery::Branch && self.item.wants == Wants::Change;
        CreateWorktree {
            root: self.paths.root.clone(),
            path: self.path(),
            branch: self.item.branch(),
            from: self.target_ref(),
            fetch: self.fetch(),
            ensure: gathers.then(|| (self.mission.integration_branch(), self.mission.base_ref())),
            copy: settings.copy.clone(),
            min_free_bytes: settings.min_free_bytes,
            pool: self.paths.pool(),
            pool_size: settings.worktree_pool,
        }
    }

    fn inspect(&self) -> Inspect {
        let settings = self.state.settings();
        Inspect {
            root: self.paths.root.clone(),
            path: self.path(),
            branch: self.item.branch(),
            target_ref: self.target_ref(),
            base_commit: self.item.base_commit.as_deref().map(str::to_owned),
            title: self.item.title.to_string(),
            trailers: self.trailers(),
            commit: settings.commit,
            max_file_size_bytes: settings.max_file_size_bytes,
            touches: (settings.enforce_touches && !self.item.touches.is_empty())
                .then(|| self.item.touches.iter().map(|t| t.to_string()).collect()),
        }
    }

    fn prepare(&self, effect: &Effect, members: &[ItemId]) -> PrepareMerge {
        let items = members.iter().filter_map(|id| self.state.item(*id));
        PrepareMerge {
            root: self.paths.root.clone(),
            target_ref: self.target_ref(),
            style: self.state.settings().merge_style,
            at: effect.at,
            members: items.map(|item| At { item, ..*self }.member()).collect(),
        }
    }

    fn member(&self) -> MergeMember {
        MergeMember {
            name: self.item.id.to_string(),
            head: self.item.head.as_deref().unwrap_or_default().to_owned(),
            title: self.item.title.to_string(),
            trailers: self.trailers(),
        }
    }

    fn rebase(&self) -> RebaseBranch {
        RebaseBranch {
            root: self.paths.root.clone(),
            path: self.path(),
            branch: self.item.branch(),
            target_ref: self.target_ref(),
            fetch: self.fetch(),
            title: self.item.title.to_string(),
            trailers: self.trailers(),
            max_file_size_bytes: self.state.settings().max_file_size_bytes,
        }
    }

    fn land(&self, base: &str, commit: &str) -> Land {
        Land {
            root: self.paths.root.clone(),
            target_ref: self.target_ref(),
            base: base.to_owned(),
            commit: commit.to_owned(),
            push: self.state.settings().push && self.mission.delivery == Delivery::Merge,
        }
    }

    fn remove(&self, discard: bool) -> RemoveWorktree {
        RemoveWorktree {
            root: self.paths.root.clone(),
            path: self.path(),
            branch: self.item.branch(),
            target_ref: self.target_ref(),
            merged_head: self.item.merged.as_ref().and(self.item.head.as_deref()).map(str::to_owned),
            keep: self.state.settings().keep.clone(),
            name: self.item.id.to_string(),
            discard: discard.then(|| self.item.id.to_string()),
        }
    }

    fn run(&self, effect: EffectId, id: RunId, reissued: bool) -> Option<RunJob> {
        let run = self.state.run(id)?;
        let row = self.state.agent(run.agent)?;
        let mut agent = row.spec.clone();
        agent.limits.duration_secs = musher_core::quota::run_secs(self.state, row);
        Some(RunJob {
            run: id,
            item: self.item.id,
            mission: self.item.mission,
            attempt: run.attempt,
            purpose: run.purpose,
            price: self.state.settings().prices.of(agent.model.as_deref()),
            agent,
            root: self.paths.root.clone(),
            state: self.paths.state.clone(),
            worktree: self.path(),
            folder: self.paths.run(&id.to_string()),
            base: self.item.base_commit.as_deref().unwrap_or_default().to_owned(),
            slot: self.item.slot.unwrap_or_default(),
            prompt: String::new(),
            session: run.resumes.as_deref().map(str::to_owned),
            used: run.usage,
            reissued,
            was_running: run.state == RunState::Running,
            create: self.create(),
            setup: self.setup(effect).setup,
        })
    }

    fn script(&self, name: String, text: &str, timeout_secs: u64) -> Script {
        Script {
            folder: self.paths.run(&name),
            name,
            text: text.to_owned(),
            cwd: self.path(),
            timeout_secs,
            slot: self.item.slot.unwrap_or_default(),
        }
    }

    fn gate(&self, effect: EffectId, on: &GateOn, text: &str) -> Job {
        let mut script = self.script(gate_name(effect), text, self.state.settings().gate_timeout_secs);
        match on {
            GateOn::Item => Job::Gate(script, None),
            GateOn::Merge { commit, slot } => {
                let path = self.paths.merge_worktree(*slot);
                script.cwd.clone_from(&path);
                let checkout = Checkout { root: self.paths.root.clone(), path, commit: commit.to_string() };
                Job::Gate(script, Some(checkout))
            }
        }
    }

    fn push(&self, head: &str, expected: Option<&str>) -> PushBranch {
        PushBranch {
            root: self.paths.root.clone(),
            branch: self.item.branch(),
            head: head.to_owned(),
            expected: expected.map(str::to_owned),
        }
    }

    fn forge(&self, effect: EffectId, work: &ForgeWork) -> ForgeJob {
        let closes = self.item.issue.as_ref().map(|issue| format!("Closes {issue}\n\n")).unwrap_or_default();
        let trailers: Vec<String> = self.trailers().iter().map(|(key, value)| format!("{key}: {value}")).collect();
        let base = self.mission.base_ref();
        ForgeJob {
            effect,
            item: self.item.id,
            work: work.clone(),
            title: self.item.title.to_string(),
            body: format!("{closes}{}", trailers.join("\n")),
            branch: self.item.branch(),
            base: base.strip_prefix("refs/heads/").unwrap_or(&base).to_owned(),
        }
    }

    /// A watch's program runs in the user's own checkout: the item may have no worktree.
    fn check(&self, effect: EffectId, argv: &[Box<str>]) -> Script {
        check_script(self.paths, effect, argv, CHECK_TIMEOUT_SECS)
    }

    fn setup(&self, effect: EffectId) -> Hooks {
        let marker = self.paths.setup_marker(&self.item.worktree_name());
        let setup = self
            .state
            .settings()
            .setup
            .as_deref()
            .map(|text| (self.script(format!("setup-{effect}"), text, HOOK_TIMEOUT_SECS), marker));
        Hooks { setup, teardown: None }
    }

    fn teardown(&self, effect: EffectId) -> Hooks {
        let marker = self.paths.setup_marker(&self.item.worktree_name());
        let text = self.state.settings().teardown.as_deref().unwrap_or("");
        let teardown = Some((self.script(format!("teardown-{effect}"), text, HOOK_TIMEOUT_SECS), marker));
        Hooks { setup: None, teardown }
    }
}

/// A program as a script, run at the repository's root.
pub(crate) fn check_script(paths: &Paths, effect: EffectId, argv: &[Box<str>], timeout_secs: u64) -> Script {
    let words: Vec<String> = argv.iter().map(|word| format!("'{}'", word.replace('\'', "'\\''"))).collect();
    let name = check_name(effect);
    Script {
        folder: paths.run(&name),
        name,
        text: format!("exec {}", words.join(" ")),
        cwd: paths.root.clone(),
        timeout_secs,
        slot: 0,
    }
}

/// The name of a check's folder.
pub fn check_name(effect: EffectId) -> String {
    format!("check-{effect}")
}

/// Seconds that the program of a watch may take.
const CHECK_TIMEOUT_SECS: u64 = 30;

/// Seconds that a setup or a teardown may take.
const HOOK_TIMEOUT_SECS: u64 = 30 * 60;

/// The name of a gate's folder.
pub fn gate_name(effect: EffectId) -> String {
    format!("gate-{effect}")
}
