//! The simulated drivers: idempotent as the real ones are, slow and unreliable as the world is.

use musher_core::approval::{Action, Ask};
use musher_core::command::{Cut, GateVerdict, Inspection, Lacking, Landing, Preparation, Rebase, Report};
use musher_core::effect::{Effect, EffectKind};
use musher_core::id::{EffectId, ItemId, RunId};
use musher_core::merge::Link;
use musher_core::run::{FailureClass, Limit, Outcome, Purpose, RunState, Usage, Verdict};
use musher_core::time::Timestamp;

use super::{HOUR, Happening, MINUTE, MS, Night, SECOND};
use crate::coverage::Fault;
use crate::failure::Broken;
use crate::outside::{Chained, Process};
use crate::variant::Variant;

/// What an agent answers with that was asked for a plan.
const PLAN: &str = "goal = \"g\"\n[[items]]\nid = \"a\"\ntitle = \"Do a\"\n";

impl Night {
    /// A driver is handed an effect, which must be on disk by now.
    pub(super) fn begin(&mut self, effect: Effect, reissued: bool) -> Result<(), Broken> {
        if !self.control.is_durable(effect.id) {
            let what = format!("effect {} ({}) is handed out before its commit", effect.id.short(), effect.kind.name());
            return Err(Broken::safety(effect.item, what));
        }
        if !self.handed.insert(effect.id) {
            let what = format!("effect {} ({}) is handed out twice in one life", effect.id.short(), effect.kind.name());
            return Err(Broken::safety(effect.item, what));
        }
        if matches!(effect.kind, EffectKind::Land { .. }) {
            self.landing.insert(effect.id);
            if self.landing.len() > 1 {
                return Err(Broken::safety(effect.item, "two merges land at once"));
            }
        }
        let (low, high, is_git) = match &effect.kind {
            EffectKind::CreateWorktree => (20 * MS, 2 * SECOND, true),
            EffectKind::StartRun(_) => (5 * MS, 300 * MS, false),
            EffectKind::StopRun(..) | EffectKind::TellRun { .. } | EffectKind::AnswerRun { .. } => {
                (MS, 100 * MS, false)
            }
            EffectKind::Inspect => (10 * MS, 800 * MS, true),
            EffectKind::Gate { .. } => (SECOND, 2 * MINUTE, false),
            EffectKind::PrepareMerge { .. } => (5 * MS, 200 * MS, true),
            EffectKind::Rebase => (20 * MS, SECOND, true),
            EffectKind::Land { .. } => (5 * MS, 100 * MS, true),
            EffectKind::RemoveWorktree { .. } => (10 * MS, SECOND, true),
            EffectKind::PushBranch { .. }
            | EffectKind::Forge(_)
            | EffectKind::RunCheck { .. }
            | EffectKind::FetchUrl { .. } => (50 * MS, 5 * SECOND, false),
        };
        let takes = self.chance.between(low, high);
        // A repository is worked on by one git job at a time, in the order in which they were asked for.
        let mut from = if is_git { self.git_free.max(self.now) } else { self.now };
        // And in a worktree by one job of any sort: the runner keeps the next one waiting, also behind one that nobody
        // wants any more.
        let in_worktree = match &effect.kind {
            EffectKind::CreateWorktree
            | EffectKind::StartRun(_)
            | EffectKind::Inspect
            | EffectKind::Rebase
            | EffectKind::RemoveWorktree { .. } => true,
            EffectKind::StopRun(..)
            | EffectKind::TellRun { .. }
            | EffectKind::AnswerRun { .. }
            | EffectKind::Gate { .. }
            | EffectKind::PrepareMerge { .. }
            | EffectKind::Land { .. }
            | EffectKind::PushBranch { .. }
            | EffectKind::Forge(_)
            | EffectKind::RunCheck { .. }
            | EffectKind::FetchUrl { .. } => false,
        };
        if in_worktree {
            from = from.max(self.place_free.get(&effect.item).copied().unwrap_or(self.now));
            self.place_free.insert(effect.item, from + takes);
        }
        if is_git {
            self.git_free = from + takes;
        }
        self.push(from + takes - self.now, Happening::Act { effect, life: self.life, reissued });
        Ok(())
    }

    /// Nobody wants an effect any more: a gate is ended, the rest goes on to its end and says so in vain.
    pub(super) fn close(&mut self, id: EffectId) {
        let gate = |h: &Happening| match h {
            Happening::Act { effect, .. } => effect.id == id && matches!(effect.kind, EffectKind::Gate { .. }),
            _ => false,
        };
        self.queue.retain(|_, happening| !gate(happening));
    }

    /// A driver has done its work: the world changes, and a report is on its way.
    pub(super) fn act(&mut self, effect: &Effect, reissued: bool) -> Result<(), Broken> {
        self.landing.remove(&effect.id);
        let id = effect.item;
        if self.state()?.item(id).is_none() {
            self.report(effect, Report::DriverFailed { error: "what it was about is gone".into() });
            return Ok(());
        }
        let stops = matches!(effect.kind, EffectKind::StopRun(..));
        if !stops && self.fails(self.world.odds.driver) && !self.is_done(effect) {
            self.coverage.saw(Fault::DriverFailed);
            self.report(effect, Report::DriverFailed { error: "git is missing".into() });
            return Ok(());
        }
        let report = match &effect.kind {
            EffectKind::StartRun(run) => return self.start(effect, *run, reissued),
            EffectKind::StopRun(run, _) => match self.stop(effect, *run)? {
                Some(report) => report,
                None => return Ok(()),
            },
            EffectKind::TellRun { .. } | EffectKind::AnswerRun { .. } => {
                Report::Told { delivered: !self.fails(self.world.odds.driver) }
            }
            EffectKind::CreateWorktree => self.create(id)?,
            EffectKind::Inspect => self.inspect(id)?,
            EffectKind::Gate { tree, gate, .. } => self.gate(tree, gate),
            EffectKind::PrepareMerge { members } => self.prepare(id, members)?,
            EffectKind::Rebase => self.rebase(id)?,
            EffectKind::Land { base, commit } => self.land(id, base, commit, reissued)?,
            EffectKind::RemoveWorktree { discard } => self.remove(id, *discard)?,
            // The worlds of the simulator deliver without a forge.
            EffectKind::PushBranch { .. }
            | EffectKind::Forge(_)
            | EffectKind::RunCheck { .. }
            | EffectKind::FetchUrl { .. } => Report::DriverFailed { error: "there is no forge".into() },
        };
        self.report(effect, report);
        Ok(())
    }

    fn fails(&mut self, odds: u32) -> bool {
        !self.dawn && self.chance.one_in(odds)
    }

    /// A report sets out; it may be lost, come twice, or come again much later.
    fn report(&mut self, effect: &Effect, report: Report) {
        self.report_in(effect, report, 0);
    }

    fn report_in(&mut self, effect: &Effect, report: Report, after: i64) {
        let after = after + self.chance.between(0, 20 * MS);
        let say = |life| Happening::Say { effect: effect.clone(), report: report.clone(), life };
        let (now, late) = (say(Some(self.life)), say(None));
        if self.fails(self.world.odds.report) {
            match self.chance.below(3) {
                0 => {
                    self.coverage.saw(Fault::LostReport);
                    return;
                }
                1 => {
                    self.coverage.saw(Fault::DuplicateReport);
                    let again = after + self.chance.between(0, 5 * SECOND);
                    self.push(again, now.clone());
                }
                _ => {
                    let again = after + self.chance.between(10 * SECOND, 2 * HOUR);
                    self.push(again, late);
                }
            }
        }
        self.push(after, now);
    }

    fn target_of(&self, item: ItemId) -> Result<String, Broken> {
        let state = self.state()?;
        let mission = state.item(item).and_then(|i| state.mission(i.mission));
        Ok(mission.map(|m| m.row.target_ref()).unwrap_or_default())
    }

    fn create(&mut self, id: ItemId) -> Result<Report, Broken> {
        let target = self.target_of(id)?;
        if !self.outside.worktrees.contains_key(&id) {
            if self.fails(self.world.odds.driver) {
                let outside = self.chance.one_in(2);
                return Ok(Report::WorktreeFailed {
                    lacking: outside.then_some(Lacking::Disk),
                    error: "no room".into(),
                });
            }
            let tip = self.outside.target(&target).tip().to_owned();
            self.outside.branches.entry(id).or_default().base.clone_from(&tip);
            self.outside.worktrees.insert(id, tip);
        }
        let base_commit = self.outside.worktrees.get(&id).map(String::as_str).unwrap_or_default().into();
        Ok(Report::WorktreeReady { base_commit })
    }

    /// Starts a run, or attaches to it, or reads how it ended.
    fn start(&mut self, effect: &Effect, run: RunId, reissued: bool) -> Result<(), Broken> {
        match self.outside.processes.get(&run).map(|p| p.ended.clone()) {
            Some(Some(outcome)) => {
                self.report(effect, finished(outcome));
                return Ok(());
            }
            Some(None) if self.variant != Variant::DoubleRun => {
                self.watching.insert(run, effect.clone());
                self.report(effect, Report::RunStarted);
                return Ok(());
            }
            Some(None) | None => {}
        }
        let Some(row) = self.state()?.run(run).cloned() else { return Ok(()) };
        if self.outside.unwanted.contains(&run) {
            self.report(effect, finished(Outcome::Cancelled));
            return Ok(());
        }
        if reissued && row.state == RunState::Running && self.variant != Variant::DoubleRun {
            self.report(effect, finished(Outcome::Lost { while_down: true }));
            return Ok(());
        }
        if !self.outside.worktrees.contains_key(&effect.item) {
            // Its agent deleted it and did not live to be looked at.
            let failure =
                Outcome::Failed { class: FailureClass::Agent, message: "no worktree".into(), detail: Box::default() };
            self.report(effect, finished(failure));
            return Ok(());
        }
        let process = self.process(effect.item, &row);
        let takes = if self.chance.one_in(3) { 40 * MINUTE } else { MINUTE };
        let takes = self.chance.between(SECOND, takes);
        let machine = self.machine.as_ref().ok_or_else(|| Broken::simulator("no daemon is up"))?;
        self.outside.spawn(machine.state(), &row, process)?;
        self.watching.insert(run, effect.clone());
        self.push(takes, Happening::Exit(run));
        self.report(effect, Report::RunStarted);
        for _ in 0..self.chance.below(3) {
            let usage = Usage {
                input_tokens: self.chance.below(800),
                output_tokens: self.chance.below(200),
                cost_micro_usd: 10,
                ..Usage::default()
            };
            let at = 30 * MS + self.chance.between(0, takes - 100 * MS);
            self.report_in(effect, Report::RunProgress { usage }, at);
        }
        self.talk(effect, takes);
        self.use_tools(run, takes);
        Ok(())
    }

    /// An agent that is spoken to: it works in a session, and may ask before it acts, or take the question back.
    fn talk(&mut self, effect: &Effect, takes: i64) {
        if self.chance.one_in(2) {
            let id = format!("session {}", self.chance.below(1_000)).into();
            self.report_in(effect, Report::SessionStarted { id }, 30 * MS);
        }
        for reference in 0..self.chance.below(3) {
            let reference: Box<str> = reference.to_string().into();
            let ask = Ask { reference: reference.clone(), action: Action::Shell("make".into()) };
            let at = 30 * MS + self.chance.between(0, takes - 100 * MS);
            self.report_in(effect, Report::PermissionAsked { ask, worktree: "/w".into() }, at);
            if self.chance.one_in(4) {
                self.report_in(effect, Report::PermissionGone(reference), at + SECOND);
            }
        }
        if self.fails(self.world.odds.run.saturating_mul(4)) {
            let text = "it was silent".into();
            self.report_in(effect, Report::LimitReached { limit: Limit::Silence, text }, takes / 2);
        }
    }

    /// Draws what a process will do.
    fn process(&mut self, item: ItemId, run: &musher_core::run::Run) -> Process {
        let review = run.purpose == Purpose::Review;
        let summary: Box<str> = match run.purpose {
            Purpose::Plan if self.chance.one_in(4) => "I have thought about it.".into(),
            Purpose::Plan => PLAN.into(),
            Purpose::Work | Purpose::Resolve | Purpose::Review => "done".into(),
        };
        let finished =
            |no_change_needed, verdict| Outcome::Finished { summary: summary.clone(), no_change_needed, verdict };
        let verdict = |chance: &mut crate::chance::Chance| match chance.below(6) {
            0 => Some(Verdict::Rejected("more tests".into())),
            1 => None,
            _ => Some(Verdict::Approved("good".into())),
        };
        let odds = self.world.odds.run;
        let verdict = if review { verdict(&mut self.chance) } else { None };
        let (plan, commits) = if self.fails(odds) {
            match self.chance.below(8) {
                6 => {
                    let at = self.now + self.chance.between(0, 3 * HOUR);
                    let resets_at = self.chance.one_in(2).then_some(Timestamp::from_micros(at));
                    (Outcome::RateLimited { resets_at, message: "too many requests".into() }, self.chance.one_in(2))
                }
                7 => (Outcome::SessionLost { message: "no such session".into() }, false),
                0 | 1 => {
                    let class = *self
                        .chance
                        .pick(&[FailureClass::Agent, FailureClass::Timeout, FailureClass::Limit])
                        .unwrap_or(&FailureClass::Agent);
                    (
                        Outcome::Failed { class, message: "it failed".into(), detail: "how".into() },
                        self.chance.one_in(2),
                    )
                }
                2 => (Outcome::Lost { while_down: false }, self.chance.one_in(2)),
                3 => (finished(Some("it is right as it is".into()), verdict), false),
                _ => (finished(None, verdict), false),
            }
        } else {
            (finished(None, verdict), true)
        };
        let deletes = matches!(plan, Outcome::Finished { .. }) && !review && self.fails(odds.saturating_mul(8));
        Process {
            item,
            mission: run.mission,
            agent: run.agent,
            purpose: run.purpose,
            plan,
            commits,
            deletes,
            ended: None,
        }
    }

    /// A process ends, by itself or on request; whoever watches it says so.
    pub(super) fn exit(&mut self, run: RunId, how: Option<Outcome>) {
        let Some(process) = self.outside.processes.get(&run) else { return };
        if process.ended.is_some() {
            return;
        }
        if process.deletes && how.is_none() {
            self.coverage.saw(Fault::WorktreeDeleted);
        }
        let died = how.is_none() && process.plan == Outcome::Lost { while_down: false };
        self.outside.end(run, how);
        let outcome = self.outside.processes.get(&run).and_then(|p| p.ended.clone()).unwrap_or(Outcome::Cancelled);
        let Some(effect) = self.watching.remove(&run) else { return };
        self.report(&effect, finished(outcome));
        if died {
            self.coverage.saw(Fault::HostDeath);
            // Its host was only paused, and comes back to say that all went well.
            let report = finished(Outcome::Finished { summary: "done".into(), no_change_needed: None, verdict: None });
            let late = self.chance.between(SECOND, HOUR);
            self.push(late, Happening::Say { effect, report, life: None });
        }
    }

    /// Ends a run. One whose process is not up yet will not come up; the stop waits until that is settled.
    fn stop(&mut self, effect: &Effect, run: RunId) -> Result<Option<Report>, Broken> {
        match self.outside.processes.get(&run).map(|p| p.ended.is_none()) {
            Some(true) => {
                let takes = self.chance.between(MS, 10 * SECOND);
                self.push(takes, Happening::Kill(run));
            }
            None if self.state()?.run(run).is_some() => {
                self.outside.unwanted.insert(run);
                self.push(5 * MINUTE, Happening::Act { effect: effect.clone(), life: self.life, reissued: false });
                return Ok(None);
            }
            Some(false) | None => {}
        }
        Ok(Some(Report::RunStopped))
    }

    fn inspect(&mut self, id: ItemId) -> Result<Report, Broken> {
        self.outside.nobody_works(id, "the diff is looked at")?;
        let problem = self.fails(self.world.odds.gate.saturating_mul(4));
        let branch = self.outside.branches.entry(id).or_default();
        Ok(Report::Inspected(if !self.outside.worktrees.contains_key(&id) {
            Inspection::Missing
        } else if branch.commits == 0 {
            Inspection::Empty
        } else if problem {
            Inspection::Problems("conflict markers in a.rs".into())
        } else {
            let (head, tree) = (branch.head(id).into(), branch.tree(id).into());
            Inspection::Clean { head, tree, files: 1, insertions: 2, deletions: 3 }
        }))
    }

    fn gate(&mut self, tree: &str, gate: &str) -> Report {
        Report::GateFinished(if self.outside.red.contains(tree) {
            GateVerdict::Red { exit: "exit 2".into(), tail: "broken together".into() }
        } else if self.fails(self.world.odds.gate) {
            match self.chance.below(4) {
                0 => GateVerdict::TimedOut { tail: "…".into() },
                1 => GateVerdict::Lost,
                _ => GateVerdict::Red { exit: "exit 1".into(), tail: "a test failed".into() },
            }
        } else {
            self.outside.green.insert((tree.to_owned(), gate.to_owned()));
            GateVerdict::Green
        })
    }

    /// Makes the commits of a batch, one on another. Made twice from the same tips they are the same commits.
    fn prepare(&mut self, first: ItemId, members: &[ItemId]) -> Result<Report, Broken> {
        let target = self.target_of(first)?;
        let base = self.outside.target(&target).tip().to_owned();
        let mut tip = Link { commit: base.clone().into(), tree: format!("tree-of-{base}").into() };
        if let Some(link) = self.outside.chain.get(&base) {
            tip.tree = link.tree.as_str().into();
        }
        let mut preparation = Preparation { base: tip.clone(), links: Box::default(), cut: None };
        let mut links = Vec::new();
        for id in members {
            let head = self.state()?.item(*id).and_then(|i| i.head.clone()).unwrap_or_default();
            if let Some(commit) = self.outside.landed(*id).next().map(Into::into) {
                preparation.cut = Some(Cut::Landed { commit });
                break;
            }
            if self.fails(self.world.odds.conflict.saturating_mul(6)) {
                preparation.cut = Some(Cut::Empty);
                break;
            }
            if self.fails(self.world.odds.conflict) {
                preparation.cut = Some(Cut::Conflict { files: Box::new(["a.rs".into()]) });
                break;
            }
            let branch = self.outside.branches.entry(*id).or_default();
            // On the tip that it was made from, the merged tree is the item's own.
            let own = branch.base == *tip.commit;
            let tree = if own { branch.tree(*id) } else { format!("m-{head}-on-{}", digest(&tip.commit)) };
            let commit = format!("c-{head}-on-{}", digest(&tip.commit));
            // Some are red on top of just these others, and so is whatever stands on them.
            let clash = !own && self.world.odds.gate > 0 && digest(&commit).ends_with(['0', '1']);
            if clash || self.outside.red.contains(&*tip.tree) {
                self.outside.red.insert(tree.clone());
            }
            let link = Link { commit: commit.as_str().into(), tree: tree.as_str().into() };
            self.outside.chain.insert(commit, Chained { item: *id, parent: tip.commit.to_string(), tree });
            links.push(link.clone());
            tip = link;
        }
        preparation.links = links.into();
        Ok(Report::MergePrepared(preparation))
    }

    fn rebase(&mut self, id: ItemId) -> Result<Report, Broken> {
        self.outside.nobody_works(id, "the branch is rebased")?;
        if self.fails(self.world.odds.conflict) {
            let files: Box<[Box<str>]> = Box::new(["a.rs".into()]);
            return Ok(Report::Rebased(Rebase::Conflict { files, hunks: "<<<<<<<".into() }));
        }
        let target = self.target_of(id)?;
        let tip = self.outside.target(&target).tip().to_owned();
        let branch = self.outside.branches.entry(id).or_default();
        if branch.base != tip {
            branch.rebases += 1;
            branch.base = tip;
        }
        Ok(Report::Rebased(Rebase::Done { head: branch.head(id).into() }))
    }

    /// Whether an earlier life did it and did not live to say so. A driver that then fails would hide it.
    fn is_done(&self, effect: &Effect) -> bool {
        match &effect.kind {
            EffectKind::StartRun(run) => self.outside.processes.contains_key(run),
            EffectKind::CreateWorktree => self.outside.worktrees.contains_key(&effect.item),
            EffectKind::StopRun(..)
            | EffectKind::TellRun { .. }
            | EffectKind::AnswerRun { .. }
            | EffectKind::Inspect
            | EffectKind::Gate { .. }
            | EffectKind::PrepareMerge { .. }
            | EffectKind::Rebase
            // What landed is found again when the merge is made anew.
            | EffectKind::Land { .. }
            | EffectKind::RemoveWorktree { .. }
            | EffectKind::PushBranch { .. }
            | EffectKind::Forge(_)
            | EffectKind::RunCheck { .. }
            | EffectKind::FetchUrl { .. } => false,
        }
    }

    fn land(&mut self, id: ItemId, base: &str, commit: &str, reissued: bool) -> Result<Report, Broken> {
        let target = self.target_of(id)?;
        if reissued && self.variant == Variant::DoubleLand {
            self.outside.land(&target, id, commit)?;
            return Ok(Report::LandingFinished(Landing::Landed));
        }
        if self.outside.landed(id).any(|landed| landed == commit) {
            return Ok(Report::LandingFinished(Landing::Landed));
        }
        if self.fails(self.world.odds.base) {
            match self.chance.below(4) {
                0 => return Ok(Report::LandingFinished(Landing::BaseDirty { why: "README.md is changed".into() })),
                1 => return Ok(Report::LandingFinished(Landing::Refused { error: "a hook said no".into() })),
                _ => {
                    // A person commits at this very moment.
                    self.coverage.saw(Fault::BaseMoved);
                    let foreign = format!("u-{}", self.chance.any());
                    self.outside.target(&target).history.push(foreign);
                }
            }
        }
        if self.outside.target(&target).tip() != base {
            return Ok(Report::LandingFinished(Landing::BaseMoved));
        }
        self.green_under_its_gate(id, commit)?;
        // Everything between the two tips lands with it, oldest first.
        let mut prefix = Vec::new();
        let mut at = commit.to_owned();
        while at != base {
            let Some(link) = self.outside.chain.get(&at) else {
                return Err(Broken::safety(id, format!("{commit} lands on {base}, which it does not stand on")));
            };
            prefix.push((link.item, at.clone()));
            at.clone_from(&link.parent);
        }
        for (item, commit) in prefix.into_iter().rev() {
            self.outside.land(&target, item, &commit)?;
        }
        Ok(Report::LandingFinished(Landing::Landed))
    }

    /// The target is green under the gate after every landing: its new tip was.
    fn green_under_its_gate(&self, id: ItemId, commit: &str) -> Result<(), Broken> {
        let state = self.state()?;
        let gate = state.batch().and_then(|batch| batch.gate.as_deref());
        let tree = self.outside.chain.get(commit).map(|link| link.tree.clone()).unwrap_or_default();
        match gate {
            Some(gate) if !self.outside.green.contains(&(tree, gate.to_owned())) => {
                Err(Broken::safety(id, format!("{commit} lands, and the gate was never green on it")))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn remove(&mut self, id: ItemId, discard: bool) -> Result<Report, Broken> {
        self.outside.nobody_works(id, "the worktree is removed")?;
        let unmerged =
            self.outside.branches.get(&id).is_some_and(|b| b.commits > 0) && self.outside.landed(id).next().is_none();
        if unmerged && !discard && self.outside.worktrees.contains_key(&id) && self.chance.one_in(2) {
            return Ok(Report::WorktreeKept { reason: "unmerged commits".into() });
        }
        self.outside.worktrees.remove(&id);
        Ok(Report::WorktreeRemoved)
    }
}

fn finished(outcome: Outcome) -> Report {
    Report::RunFinished {
        outcome,
        usage: Usage { input_tokens: 100, output_tokens: 50, cost_micro_usd: 100, ..Usage::default() },
    }
}

/// A short name for a long one (FNV-1a).
fn digest(text: &str) -> String {
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    format!("{:08x}", hash & 0xffff_ffff)
}
