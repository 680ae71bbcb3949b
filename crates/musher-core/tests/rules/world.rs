//! A small world around the rules: it says commands, runs the agenda to rest after each as the engine does, and answers
//! effects as the drivers would.

use std::collections::BTreeMap;
use std::time::Duration;

use musher_core::action::Action;
use musher_core::agenda;
use musher_core::agent::AgentSpec;
use musher_core::approval::Approvals;
use musher_core::change::TextKey;
use musher_core::command::{
    Actor, Answer, Command, Cut, GateVerdict, Inspection, Landing, Preparation, Push, Rebase, Refused, Report,
};
use musher_core::config::ProjectSettings;
use musher_core::effect::{Effect, EffectKind};
use musher_core::entropy::Entropy;
use musher_core::event::Event;
use musher_core::firing::{self, Prepared};
use musher_core::forge::{ForgeAnswer, ForgeWork, Hint, PullMerge, PullSeen, PullState};
use musher_core::id::{AgentId, EffectId, FiringId, ItemId, MissionId, RunId};
use musher_core::item::{Item, ItemState, MergeStage, Phase, Waiting};
use musher_core::merge::Link;
use musher_core::mission::{MissionItem, MissionState, Policy, StartMission};
use musher_core::run::{FailureClass, Outcome, Purpose, Run, Usage, Verdict};
use musher_core::state::State;
use musher_core::step::{Context, step};
use musher_core::time::Timestamp;
use musher_core::wait::{self, WaitCode};
use musher_core::webhook::Heard;

use crate::by_the_book::{Book, Ledger};
use crate::stored::{Observed, Stored};

/// More commands of the agenda than this in one pass mean that it never comes to rest.
const PASS_LIMIT: usize = 10_000;

pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) now: Timestamp,
    pub(crate) events: Vec<Event>,
    pub(crate) texts: BTreeMap<TextKey, String>,
    entropy: Entropy,
    pub(crate) stored: Stored,
    ledger: Ledger,
    trees: u32,
    webhooks: u32,
}

pub(crate) fn ann() -> Actor {
    Actor::Operator("ann".into())
}

pub(crate) fn settings() -> ProjectSettings {
    ProjectSettings { gate: Some("make check".into()), ..ProjectSettings::default() }
}

/// A policy without reviewers, since most rules do not need them.
pub(crate) fn policy() -> Policy {
    Policy { reviewer_required: false, ..Policy::default() }
}

/// An item that depends on the items of these keys.
pub(crate) fn item(key: &str, depends_on: &[&str]) -> MissionItem {
    MissionItem {
        key: key.into(),
        title: format!("Do {key}").into(),
        body: format!("The body of {key}").into(),
        depends_on: depends_on.iter().map(|k| (*k).into()).collect(),
        ..MissionItem::default()
    }
}

pub(crate) fn agent(name: &str) -> AgentSpec {
    AgentSpec {
        name: name.into(),
        driver: "command".into(),
        command: words(&["agent"]),
        approvals: Approvals::Allow,
        max_load: 1,
        ..AgentSpec::default()
    }
}

pub(crate) fn words(list: &[&str]) -> Box<[Box<str>]> {
    list.iter().map(|w| (*w).into()).collect()
}

/// A plan of two steps.
pub(crate) const PLAN: &str = "goal = \"Two steps\"\n[[items]]\nid = \"one\"\ntitle = \"One\"\n[[items]]\nid = \"two\"\n\
                               title = \"Two\"\ndepends_on = [\"one\"]\n";

pub(crate) fn finished(summary: &str) -> Outcome {
    Outcome::Finished { summary: summary.into(), no_change_needed: None, verdict: None }
}

pub(crate) fn verdict(verdict: Verdict) -> Outcome {
    Outcome::Finished { summary: "judged".into(), no_change_needed: None, verdict: Some(verdict) }
}

pub(crate) fn failed(class: FailureClass, message: &str) -> Outcome {
    Outcome::Failed { class, message: message.into(), detail: "what it said".into() }
}

pub(crate) fn red(tail: &str) -> GateVerdict {
    GateVerdict::Red { exit: "exit 1".into(), tail: tail.into() }
}

pub(crate) fn tokens(n: u64) -> Usage {
    Usage { input_tokens: n, ..Usage::default() }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_settings(settings())
    }

    pub(crate) fn with_settings(settings: ProjectSettings) -> Self {
        let mut world = Self {
            state: State::default(),
            now: Timestamp::from_micros(1_800_000_000_000_000),
            events: Vec::new(),
            texts: BTreeMap::new(),
            entropy: Entropy::from_seed(1),
            stored: Stored::default(),
            ledger: Ledger::default(),
            trees: 0,
            webhooks: 0,
        };
        world.ok(Command::Configure(Box::new(settings)));
        world
    }

    /// A world with agents `a1` … `an`, one run each.
    pub(crate) fn with_agents(n: u32) -> Self {
        let mut world = Self::new();
        for i in 1..=n {
            world.agent(agent(&format!("a{i}")));
        }
        world
    }

    // ---- saying ----

    pub(crate) fn say(&mut self, actor: &Actor, command: Command) -> Result<Answer, Refused> {
        let answer = self.step(actor, &command)?;
        self.settle();
        Ok(answer)
    }

    pub(crate) fn ok(&mut self, command: Command) -> Answer {
        match self.say(&ann(), command.clone()) {
            Ok(answer) => answer,
            Err(refused) => panic!("{command:?} was refused: {refused}"),
        }
    }

    /// Says what must be refused, and holds that nothing has changed.
    pub(crate) fn refused(&mut self, command: Command) -> Refused {
        let (before, events) = (self.observed(), self.events.len());
        let refused = match self.say(&ann(), command.clone()) {
            Err(refused) => refused,
            Ok(answer) => panic!("{command:?} was accepted: {answer:?}"),
        };
        self.settle();
        assert_eq!(self.observed(), before, "{command:?} was refused and changed something");
        assert_eq!(self.events.len(), events, "{command:?} was refused and said something");
        refused
    }

    fn step(&mut self, actor: &Actor, command: &Command) -> Result<Answer, Refused> {
        let mut cx = Context { now: self.now, entropy: &mut self.entropy, actor };
        let change = step(&self.state, command, &mut cx)?;
        let answer = change.answer.clone();
        self.events.extend(change.events.iter().cloned());
        self.texts.extend(change.texts.iter().map(|(key, text)| (*key, text.to_string())));
        self.stored.write(&change);
        crate::relaying::names_whatever_moved(&self.state, &change);
        self.ledger.hear(&self.state, command, &change, self.now);
        self.state.apply(change);
        if let Err(violation) = self.state.check() {
            panic!("after {command:?}: {violation}");
        }
        Ok(answer)
    }

    /// Runs the agenda to rest.
    pub(crate) fn settle(&mut self) {
        self.state.advance(self.now);
        for _ in 0..PASS_LIMIT {
            let Some(command) = agenda::next(&mut self.state) else {
                self.hold_that_every_wait_has_a_reason();
                Book::of(&self.state, &self.ledger).hold_rest();
                return;
            };
            match &command {
                Command::AssignItem(item, agent) => Book::of(&self.state, &self.ledger).hold_assignment(*item, *agent),
                Command::AssignReview(item, agent) => Book::of(&self.state, &self.ledger).hold_review(*item, *agent),
                _ => {}
            }
            if let Err(refused) = self.step(&Actor::Musher, &command) {
                panic!("the agenda's own {command:?} was refused: {refused}");
            }
        }
        panic!("the agenda does not come to rest");
    }

    fn hold_that_every_wait_has_a_reason(&self) {
        for entry in self.state.missions() {
            for item in entry.items.iter().filter_map(|id| self.state.item(*id)) {
                let at_work = match &item.state {
                    ItemState::Assigned | ItemState::Running | ItemState::Verifying => true,
                    ItemState::Merging(MergeStage::Queued | MergeStage::Held { .. }) => false,
                    ItemState::Merging(_) => true,
                    ItemState::Waiting(Waiting::Clear) | ItemState::MergeFailed(_) => {
                        panic!("{} rests in {:?}", item.key, item.state)
                    }
                    _ => item.is_terminal(),
                };
                assert!(
                    at_work || !wait::of_item(&self.state, item.id).is_empty(),
                    "{} is {:?} in a mission that is {}, and nothing says why",
                    item.key,
                    item.state,
                    entry.row.state.name()
                );
            }
        }
    }

    // ---- asking ----

    pub(crate) fn id(&self, key: &str) -> ItemId {
        let mut found = self.stored.items.values().filter(|i| &*i.key == key);
        let item = found.next().unwrap_or_else(|| panic!("no item {key}"));
        assert!(found.next().is_none(), "two items {key}");
        item.id
    }

    pub(crate) fn item(&self, key: &str) -> &Item {
        self.state.item(self.id(key)).unwrap()
    }

    pub(crate) fn phase(&self, key: &str) -> Phase {
        self.item(key).phase()
    }

    /// The keys of all items in this phase, in the order of the plans.
    pub(crate) fn all_in(&self, phase: Phase) -> Vec<String> {
        let ids = self.state.missions().flat_map(|m| m.items.iter());
        ids.filter_map(|id| self.state.item(*id)).filter(|i| i.phase() == phase).map(|i| i.key.to_string()).collect()
    }

    pub(crate) fn agent_of(&self, key: &str) -> String {
        let agent = self.item(key).agent.unwrap();
        self.state.agent(agent).unwrap().spec.name.to_string()
    }

    pub(crate) fn agent_id(&self, name: &str) -> AgentId {
        self.state.agent_named(name).unwrap().id
    }

    pub(crate) fn mission_state(&self, id: MissionId) -> MissionState {
        self.state.mission(id).unwrap().row.state
    }

    pub(crate) fn blocked_reason(&self, id: MissionId) -> String {
        self.state.mission(id).unwrap().row.blocked_reason.as_deref().unwrap_or_default().to_owned()
    }

    pub(crate) fn waits(&self, key: &str) -> Vec<WaitCode> {
        wait::of_item(&self.state, self.id(key)).iter().map(|w| w.code).collect()
    }

    pub(crate) fn lesson(&self, key: &str) -> &str {
        let fix = self.item(key).fix.expect("something to mend");
        &self.texts[&TextKey::Lesson(fix.run())]
    }

    /// The names of all events since the log had this length.
    pub(crate) fn names_since(&self, seen: usize) -> Vec<&'static str> {
        self.events[seen..].iter().map(|e| e.happened.name()).collect()
    }

    pub(crate) fn said(&self, name: &str) -> usize {
        self.events.iter().filter(|e| e.happened.name() == name).count()
    }

    pub(crate) fn effects_of(&self, key: &str) -> Vec<&'static str> {
        self.state.effects_of(self.id(key)).map(|e| e.kind.name()).collect()
    }

    pub(crate) fn effect(&self, key: &str, name: &str) -> EffectId {
        let id = self.id(key);
        match self.state.effects_of(id).find(|e| e.kind.name() == name) {
            Some(effect) => effect.id,
            None => panic!("{key} is {:?} with {:?}, not {name}", self.item(key).state, self.effects_of(key)),
        }
    }

    pub(crate) fn run_of(&self, key: &str) -> RunId {
        self.item(key).run.unwrap()
    }

    /// A run as it was last written, ended ones too.
    pub(crate) fn stored_run(&self, id: RunId) -> &Run {
        &self.stored.runs[&id]
    }

    // ---- people ----

    pub(crate) fn agent(&mut self, spec: AgentSpec) -> AgentId {
        match self.ok(Command::AddAgent(Box::new(spec))) {
            Answer::Agent(id) => id,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn mission(&mut self, items: Vec<MissionItem>) -> MissionId {
        self.mission_with(policy(), items)
    }

    pub(crate) fn mission_with(&mut self, policy: Policy, items: Vec<MissionItem>) -> MissionId {
        let wish = StartMission { goal: "a goal".into(), policy, base: "main".into(), ask: false, items };
        match self.ok(Command::StartMission(Box::new(wish))) {
            Answer::Mission(id) => id,
            other => panic!("{other:?}"),
        }
    }

    /// A webhook that was never sent before.
    pub(crate) fn hint(&mut self, hint: Hint) -> Heard {
        self.webhooks += 1;
        let delivery = format!("webhook-{}", self.webhooks);
        self.webhook(&delivery, hint)
    }

    pub(crate) fn webhook(&mut self, delivery: &str, hint: Hint) -> Heard {
        match self.ok(Command::TakeWebhook(delivery.into(), vec![hint])) {
            Answer::Webhook(heard) => heard,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn note(&mut self, mission: MissionId, text: &str) -> String {
        match self.ok(Command::NoteMission(mission, text.into())) {
            Answer::Note(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    // ---- drivers ----

    pub(crate) fn report(&mut self, key: &str, effect: &str, report: Report) {
        let id = self.effect(key, effect);
        self.ok(Command::Report(id, report));
    }

    /// The worktree is made, if it is asked for, and the agent's process lives.
    pub(crate) fn start(&mut self, key: &str) {
        if self.effects_of(key).contains(&"create_worktree") {
            self.report(key, "create_worktree", Report::WorktreeReady { base_commit: "base".into() });
        }
        self.report(key, "start_run", Report::RunStarted);
    }

    pub(crate) fn end(&mut self, key: &str, outcome: Outcome) {
        self.report(key, "start_run", Report::RunFinished { outcome, usage: Usage::default() });
    }

    pub(crate) fn inspect(&mut self, key: &str, inspection: Inspection) {
        self.report(key, "inspect", Report::Inspected(inspection));
    }

    pub(crate) fn gate(&mut self, key: &str, verdict: GateVerdict) {
        self.report(key, "gate", Report::GateFinished(verdict));
    }

    /// The gate is red on the merged tree, in both runs, and green on the base if that is asked.
    pub(crate) fn eject(&mut self, key: &str, tail: &str) {
        self.gate(key, red(tail));
        self.gate(key, red(tail));
        if self.phase(key) == Phase::Merging {
            self.gate(key, GateVerdict::Green);
        }
    }

    pub(crate) fn rebase(&mut self, key: &str, rebase: Rebase) {
        self.report(key, "rebase", Report::Rebased(rebase));
    }

    pub(crate) fn landing(&mut self, key: &str, landing: Landing) {
        self.report(key, "land", Report::LandingFinished(landing));
    }

    pub(crate) fn prepare(&mut self, key: &str, preparation: Preparation) {
        self.report(key, "prepare_merge", Report::MergePrepared(preparation));
    }

    /// A change that breaks no rule, of a tree that nobody has seen.
    pub(crate) fn clean(&mut self) -> Inspection {
        self.trees += 1;
        clean(&format!("t{}", self.trees))
    }

    /// A merge of a tree that nobody has seen.
    pub(crate) fn made(&mut self) -> Preparation {
        self.trees += 1;
        made(&format!("t{}", self.trees))
    }

    /// From assigned to the moment at which the diff is looked at.
    pub(crate) fn run(&mut self, key: &str) {
        self.start(key);
        self.end(key, finished("done"));
    }

    /// From assigned to verified.
    pub(crate) fn work(&mut self, key: &str) {
        self.run(key);
        let inspection = self.clean();
        self.inspect(key, inspection);
        self.gate(key, GateVerdict::Green);
    }

    /// From a merge that has begun to done; the merged tree is a new one.
    pub(crate) fn land(&mut self, key: &str) {
        let preparation = self.made();
        self.prepare(key, preparation);
        self.gate(key, GateVerdict::Green);
        self.landing(key, Landing::Landed);
    }

    /// From assigned to done, and its worktree is removed.
    pub(crate) fn complete(&mut self, key: &str) {
        self.work(key);
        self.land(key);
        self.report(key, "remove_worktree", Report::WorktreeRemoved);
    }

    /// What a driver reports of an effect when all goes well.
    pub(crate) fn happy(&mut self, effect: &Effect) -> Report {
        self.trees += 1;
        let tree = format!("t{}", self.trees);
        match &effect.kind {
            EffectKind::CreateWorktree => Report::WorktreeReady { base_commit: "base".into() },
            EffectKind::StartRun(run) => {
                let outcome = match self.state.run(*run).map(|run| run.purpose) {
                    Some(Purpose::Plan) => finished(PLAN),
                    Some(Purpose::Work | Purpose::Resolve | Purpose::Review) | None => {
                        verdict(Verdict::Approved("fine".into()))
                    }
                };
                Report::RunFinished { outcome, usage: tokens(10) }
            }
            EffectKind::StopRun(..) => Report::RunStopped,
            EffectKind::TellRun { .. } | EffectKind::AnswerRun { .. } => Report::Told { delivered: true },
            EffectKind::Inspect => Report::Inspected(clean(&tree)),
            EffectKind::Gate { .. } => Report::GateFinished(GateVerdict::Green),
            EffectKind::PrepareMerge { .. } => Report::MergePrepared(made(&tree)),
            EffectKind::Rebase => Report::Rebased(Rebase::Done { head: format!("h{tree}").into() }),
            EffectKind::Land { .. } => Report::LandingFinished(Landing::Landed),
            EffectKind::RemoveWorktree { .. } => Report::WorktreeRemoved,
            EffectKind::PushBranch { .. } => Report::Pushed(Push::Done),
            EffectKind::Forge(work) => Report::Forge(self.happy_forge(effect, work)),
            EffectKind::PrepareFiring(firing) => Report::FiringPrepared(self.happy_firing(*firing)),
            EffectKind::RunCheck { .. } | EffectKind::FetchUrl { .. } => {
                Report::Probed { met: true, text: "exit 0".into() }
            }
        }
    }

    /// What the world answers to a firing when all goes well: a mission of one item, unless it has a note for one.
    fn happy_firing(&self, firing: FiringId) -> Prepared {
        let start = match firing::wish(&self.state, firing).map(|wish| wish.action) {
            Some(Action::Note { .. }) | None => None,
            Some(Action::Mission(_) | Action::Prompt { .. }) => Some(Box::new(StartMission {
                goal: "what is due".into(),
                policy: policy(),
                base: "main".into(),
                ask: false,
                items: vec![item("due", &[])],
            })),
        };
        Prepared::Go { start, text: "".into() }
    }

    /// What a forge answers when all goes well: the pull request is green and merged at the first look.
    fn happy_forge(&self, effect: &Effect, work: &ForgeWork) -> ForgeAnswer {
        match work {
            ForgeWork::OpenPull { draft } => {
                ForgeAnswer::PullOpened { number: 7, url: "https://forge/pull/7".into(), draft: *draft, adopted: false }
            }
            ForgeWork::LookAtPull { number } => {
                let head = effect
                    .item
                    .and_then(|id| self.state.item(id))
                    .and_then(|item| item.head.clone())
                    .unwrap_or_default();
                let merged = PullState::Merged { commit: format!("m{head}").into() };
                ForgeAnswer::PullLooked(Box::new(PullSeen {
                    number: *number,
                    head,
                    state: merged,
                    ..PullSeen::default()
                }))
            }
            ForgeWork::MarkReady { .. } => ForgeAnswer::PullReady,
            ForgeWork::RerunChecks { .. } => ForgeAnswer::ChecksRerun { started: true },
            ForgeWork::FetchLog { .. } => ForgeAnswer::LogFetched { tail: "it broke".into() },
            ForgeWork::MergePull { .. } => ForgeAnswer::PullMerged(PullMerge::Queued),
            ForgeWork::ReviewPull { .. } => ForgeAnswer::PullReviewed { own: false },
            ForgeWork::CommentPull { .. } | ForgeWork::React { .. } => ForgeAnswer::Commented { id: 1 },
            ForgeWork::LookAtIssue { .. } => ForgeAnswer::IssueLooked { closed: true, title: "an issue".into() },
        }
    }

    /// Answers every open effect as well as can be, and what comes of it, until none is open.
    pub(crate) fn drive(&mut self) {
        for _ in 0..PASS_LIMIT {
            let Some(effect) = self.state.effects().next().cloned() else { return };
            let report = self.happy(&effect);
            self.ok(Command::Report(effect.id, report));
        }
        panic!("the world does not come to rest");
    }

    // ---- the clock ----

    pub(crate) fn pass(&mut self, span: Duration) {
        self.now = self.now.after(span);
        self.settle();
    }

    /// Moves the clock to the next moment at which anything but a help request is due; false when nothing is.
    pub(crate) fn until_due(&mut self) -> bool {
        let Some(due) = self.state.next_due_but_help() else { return false };
        self.now = self.now.max(due);
        self.settle();
        true
    }

    // ---- built anew ----

    /// The state as a restart would build it, from rows in an order that no rule may rely on.
    pub(crate) fn rebuilt(&self) -> State {
        let mut state = State::from_world(self.stored.rows());
        state.advance(self.now);
        state
    }

    pub(crate) fn restart(&mut self) {
        self.state = self.rebuilt();
    }

    /// Restarts, and holds that nothing follows from it: the same is seen, and musher has nothing to do that it had not
    /// done before.
    pub(crate) fn restart_and_compare(&mut self) {
        let mut anew = self.rebuilt();
        let mut entropy = Entropy::from_seed(2);
        for _ in 0..PASS_LIMIT {
            let Some(command) = agenda::next(&mut anew) else { break };
            let mut cx = Context { now: self.now, entropy: &mut entropy, actor: &Actor::Musher };
            match step(&anew, &command, &mut cx) {
                Ok(change) => assert!(change.is_empty(), "only after a restart: {command:?} changes {change:?}"),
                Err(refused) => panic!("after a restart the agenda's {command:?} was refused: {refused}"),
            }
        }
        assert_eq!(Observed::of(&anew), self.observed(), "a restart changes what is seen");
        self.state = anew;
    }

    /// What keeps missions from their end, in words.
    pub(crate) fn left_over(&self) -> Vec<String> {
        let open = self.state.missions().filter(|m| !m.row.state.is_terminal());
        open.flat_map(|m| {
            let items = m.items.iter().filter_map(|id| self.state.item(*id)).filter(|i| !i.satisfies());
            let head = format!("{}: {:?}", m.row.state.name(), m.row.blocked_reason);
            std::iter::once(head)
                .chain(items.map(|i| format!("{} {:?}: {:?}", i.key, i.state, wait::of_item(&self.state, i.id))))
                .collect::<Vec<_>>()
        })
        .collect()
    }

    pub(crate) fn observed(&self) -> Observed {
        Observed::of(&self.state)
    }
}

pub(crate) fn clean(tree: &str) -> Inspection {
    Inspection::Clean { head: format!("h{tree}").into(), tree: tree.into(), files: 1, insertions: 2, deletions: 3 }
}

pub(crate) fn made(tree: &str) -> Preparation {
    Preparation { base: link("base"), links: Box::new([link(tree)]), cut: None }
}

/// A commit named for its tree; the base is the commit `base`.
pub(crate) fn link(tree: &str) -> Link {
    let commit = if tree == "base" { tree.to_owned() } else { format!("c{tree}") };
    Link { commit: commit.into(), tree: tree.into() }
}

/// A batch of which so many members merge cleanly, each of a tree of its own; what is cut off conflicts.
pub(crate) fn chain(members: usize, cut_off: usize) -> Preparation {
    let count = members.saturating_sub(cut_off).max(1);
    let links: Box<[Link]> = (1..=count).map(|n| link(&format!("chain{n}"))).collect();
    let cut = (count < members).then(|| Cut::Conflict { files: words(&["src/lib.rs"]) });
    Preparation { base: link("base"), links, cut }
}

/// A merge that fails on the target itself.
pub(crate) fn cut(cut: Cut) -> Preparation {
    Preparation { base: link("base"), links: Box::default(), cut: Some(cut) }
}

pub(crate) fn conflict() -> Preparation {
    cut(Cut::Conflict { files: words(&["src/lib.rs"]) })
}

pub(crate) fn rebase_conflict() -> Rebase {
    Rebase::Conflict { files: words(&["src/lib.rs"]), hunks: "<<<<<<< ours".into() }
}
