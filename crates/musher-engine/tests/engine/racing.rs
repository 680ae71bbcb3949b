//! 256 callers at once on the real store: no two dispatches share the last job, token or slot.

use std::collections::{BTreeMap, BTreeSet};

use musher_core::agent::AgentSpec;
use musher_core::command::{Actor, Command, Report};
use musher_core::effect::EffectKind;
use musher_core::entropy::Entropy;
use musher_core::event::{Happened, Logged};
use musher_core::id::{AgentId, EffectId, ItemId, RunId};
use musher_core::item::Phase;
use musher_core::mission::Policy;
use musher_core::quota::{Cap, Rules, Scope};
use musher_core::run::{FailureClass, Outcome, Usage};
use musher_core::state::State;
use musher_engine::Engine;
use tokio::task::JoinSet;

use crate::world::{World, agent, items, try_to, wish};

const CALLERS: u64 = 256;

/// What one agent may have and use. 0 = unlimited.
#[derive(Clone, Copy, Debug)]
struct Limits {
    max_load: u32,
    concurrent: u64,
    jobs: u64,
    tokens: u64,
}

impl Limits {
    fn draw(entropy: &mut Entropy) -> Self {
        let mut one_of = |of: &[u64]| of[usize::try_from(entropy.below(of.len() as u64)).unwrap()];
        Self {
            max_load: u32::try_from(one_of(&[0, 1, 2, 5])).unwrap(),
            concurrent: one_of(&[0, 1, 3]),
            jobs: one_of(&[0, 3, 11]),
            tokens: one_of(&[0, 40, 200]),
        }
    }

    fn agent(self, name: &str) -> AgentSpec {
        let caps =
            [(Cap::ConcurrentJobs, self.concurrent), (Cap::DailyJobs, self.jobs), (Cap::DailyTokens, self.tokens)];
        let quota = Rules { caps: caps.into(), model_allowlist: None };
        AgentSpec { max_load: self.max_load, quota, ..agent(name) }
    }

    /// As many as it may have at once.
    fn at_once(self) -> u64 {
        let bound = |limit: u64| if limit == 0 { u64::MAX } else { limit };
        bound(u64::from(self.max_load)).min(bound(self.concurrent))
    }
}

/// What the callers see of the world before they speak: it may be over when they are heard.
struct Sight {
    ready: Vec<ItemId>,
    agents: Vec<AgentId>,
    effects: Vec<(EffectId, Sort)>,
}

#[derive(Clone, Copy)]
enum Sort {
    Worktree,
    Run,
    Stop,
    Other,
}

fn look(state: &State) -> Sight {
    let sort = |kind: &EffectKind| match kind {
        EffectKind::CreateWorktree => Sort::Worktree,
        EffectKind::StartRun(_) => Sort::Run,
        EffectKind::StopRun(..) => Sort::Stop,
        EffectKind::TellRun { .. }
        | EffectKind::AnswerRun { .. }
        | EffectKind::Inspect
        | EffectKind::Gate { .. }
        | EffectKind::PrepareMerge { .. }
        | EffectKind::Rebase
        | EffectKind::Land { .. }
        | EffectKind::RemoveWorktree { .. }
        | EffectKind::PushBranch { .. }
        | EffectKind::Forge(_)
        | EffectKind::RunCheck { .. }
        | EffectKind::FetchUrl { .. } => Sort::Other,
    };
    Sight {
        ready: items(state).filter(|item| item.phase() == Phase::Ready).map(|item| item.id).collect(),
        agents: state.agents().map(|agent| agent.id).collect(),
        effects: state.effects().map(|effect| (effect.id, sort(&effect.kind))).collect(),
    }
}

fn pick<T: Copy>(entropy: &mut Entropy, of: &[T]) -> Option<T> {
    of.get(usize::try_from(entropy.below(of.len() as u64)).unwrap()).copied()
}

/// What a run has used beyond what it said before: something, so that nobody doubts that it has worked.
fn some(entropy: &mut Entropy) -> Usage {
    Usage { input_tokens: 1 + entropy.below(30), ..Usage::default() }
}

fn end(entropy: &mut Entropy) -> Outcome {
    match entropy.below(4) {
        0 => Outcome::Finished { summary: "did it".into(), no_change_needed: None, verdict: None },
        1 => Outcome::Failed { class: FailureClass::Agent, message: "no".into(), detail: "".into() },
        2 => Outcome::Lost { while_down: true },
        _ => Outcome::Cancelled,
    }
}

fn choose(entropy: &mut Entropy, sight: &Sight) -> Option<(Actor, Command)> {
    let ann = Actor::Operator("ann".into());
    let agent = pick(entropy, &sight.agents)?;
    Some(match entropy.below(24) {
        0..=1 => (ann, Command::PauseAgent(agent)),
        2..=4 => (ann, Command::ResumeAgent(agent)),
        5..=10 => (Actor::Musher, Command::AssignItem(pick(entropy, &sight.ready)?, agent)),
        11 => {
            let policy =
                Policy { max_parallel_items: 1 + u32::try_from(entropy.below(3)).unwrap(), ..Policy::default() };
            (ann, Command::StartMission(Box::new(wish(policy, &["x", "y", "z"]))))
        }
        _ => {
            let (effect, sort) = pick(entropy, &sight.effects)?;
            let report = match sort {
                Sort::Worktree => Report::WorktreeReady { base_commit: "base".into() },
                Sort::Stop => Report::RunStopped,
                Sort::Run => match entropy.below(3) {
                    0 => Report::RunStarted,
                    1 => Report::RunProgress { usage: some(entropy) },
                    _ => Report::RunFinished { outcome: end(entropy), usage: some(entropy) },
                },
                Sort::Other => return None,
            };
            (Actor::Musher, Command::Report(effect, report))
        }
    })
}

/// What must hold between any two batches.
fn hold(state: &State) {
    state.check().unwrap();
    for mission in state.missions() {
        let taken = mission.items.iter().filter_map(|id| state.item(*id)).filter(|item| item.takes_slot()).count();
        let most = mission.row.policy.max_parallel_items as usize;
        assert!(taken <= most, "mission {} has {taken} items at work and may have {most}", mission.row.id.short());
    }
    let slots: Vec<u32> = items(state).filter_map(|item| item.slot).collect();
    assert_eq!(slots.len(), slots.iter().collect::<BTreeSet<_>>().len(), "two worktrees share a slot: {slots:?}");
}

/// One of many: looks, speaks, and looks again, some times over.
async fn caller(engine: Engine, seed: u64) -> (u32, u32) {
    let mut entropy = Entropy::from_seed(seed);
    let (mut taken, mut refused) = (0, 0);
    for round in 0..8 {
        let sight = engine.read(look).await.unwrap();
        let Some((actor, command)) = choose(&mut entropy, &sight) else { continue };
        *(if try_to(&engine, actor, command).await { &mut taken } else { &mut refused }) += 1;
        if round % 4 == 3 {
            engine.read(hold).await.unwrap();
        }
    }
    (taken, refused)
}

/// What the log alone says of an agent.
#[derive(Default)]
struct Told {
    live: BTreeSet<RunId>,
    jobs: u64,
    tokens: u64,
    most_at_once: u64,
}

/// Reads the log from its beginning, and holds the limits at every event of it, also within a batch.
fn replay(log: &[Logged], limits: &BTreeMap<AgentId, (String, Limits)>) -> BTreeMap<AgentId, Told> {
    let mut told: BTreeMap<AgentId, Told> = limits.keys().map(|id| (*id, Told::default())).collect();
    let mut leases: BTreeMap<ItemId, RunId> = BTreeMap::new();
    for logged in log {
        let (event, seq) = (&logged.event, logged.seq.0);
        match &event.happened {
            Happened::ItemAssigned { .. } => {
                let (id, run, item) = (event.agent.unwrap(), event.run.unwrap(), event.item.unwrap());
                let (name, limits) = &limits[&id];
                let agent = told.get_mut(&id).unwrap();
                let tokens_left = limits.tokens == 0 || agent.tokens < limits.tokens;
                assert!(tokens_left, "event {seq}: {name} begins a run with {} tokens used", agent.tokens);
                agent.jobs += 1;
                assert!(limits.jobs == 0 || agent.jobs <= limits.jobs, "event {seq}: {name} begins job {}", agent.jobs);
                agent.live.insert(run);
                let live = agent.live.len() as u64;
                agent.most_at_once = agent.most_at_once.max(live);
                assert!(live <= limits.at_once(), "event {seq}: {name} has {live} at once");
                let before = leases.insert(item, run);
                assert_eq!(before, None, "event {seq}: two leases of item {}", item.short());
            }
            Happened::RunFinished { .. } => {
                let run = event.run.unwrap();
                assert!(
                    told.get_mut(&event.agent.unwrap()).unwrap().live.remove(&run),
                    "event {seq}: {run} ends twice"
                );
                leases.retain(|_, holder| *holder != run);
            }
            Happened::UsageRecorded { usage, .. } => {
                told.get_mut(&event.agent.unwrap()).unwrap().tokens += usage.tokens();
            }
            Happened::QuotaReturned { scope, tokens, jobs, .. } => {
                let named = |name: &str| Scope::Agent(name.into()).to_string() == **scope;
                let Some((id, _)) = limits.iter().find(|(_, (name, _))| named(name)) else { continue };
                let agent = told.get_mut(id).unwrap();
                (agent.tokens, agent.jobs) = (agent.tokens - tokens, agent.jobs - jobs);
            }
            _ => {}
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_two_dispatches_share_the_last_job_token_or_slot() {
    let (mut jobs_used_up, mut tokens_used_up, mut full, mut refused_in_all) = (0, 0, 0, 0);
    for seed in 1..=3 {
        let mut entropy = Entropy::from_seed(seed);
        let world = World::empty().await;
        let mut limits = BTreeMap::new();
        for n in 0..4 {
            let (name, drawn) = (format!("agent-{n}"), Limits::draw(&mut entropy));
            limits.insert(world.agent(drawn.agent(&name)).await, (name, drawn));
        }
        let mut callers = JoinSet::new();
        for n in 0..CALLERS {
            callers.spawn(caller(world.engine.clone(), seed * 1_000 + n));
        }
        let (mut taken, mut refused) = (0, 0);
        for (its, others) in callers.join_all().await {
            (taken, refused) = (taken + its, refused + others);
        }
        assert!(taken > 256, "seed {seed}: {taken} taken, {refused} refused");
        refused_in_all += refused;
        world.read(hold).await;
        let told = replay(&world.log().await, &limits);
        for (id, (name, limits)) in &limits {
            let agent = &told[id];
            let load = world
                .read({
                    let id = *id;
                    move |state| state.load(id)
                })
                .await;
            assert_eq!(agent.live.len(), load as usize, "seed {seed}: the log and the state of {name} differ");
            jobs_used_up += u32::from(limits.jobs > 0 && agent.jobs == limits.jobs);
            tokens_used_up += u32::from(limits.tokens > 0 && agent.tokens >= limits.tokens);
            full += u32::from(agent.most_at_once == limits.at_once());
        }
    }
    // What is never reached proves nothing.
    let reached = [jobs_used_up, tokens_used_up, full, refused_in_all];
    assert!(reached.iter().all(|n| *n > 0), "{reached:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_assignment_that_many_ask_for_at_once_is_one_lease() {
    for agents in [1_u64, 2, 16] {
        let world = World::empty().await;
        let mut ids = Vec::new();
        for n in 0..agents {
            let id = world.agent(AgentSpec { max_load: 0, ..agent(&format!("agent-{n}")) }).await;
            world.ok(Command::PauseAgent(id)).await;
            ids.push(id);
        }
        world.mission(wish(Policy::default(), &["one"])).await;
        let item = world.item("one").await.id;
        let mut callers = JoinSet::new();
        for n in 0..CALLERS {
            let (engine, id) = (world.engine.clone(), ids[usize::try_from(n % agents).unwrap()]);
            callers.spawn(async move {
                // A few let agents work again in the middle of it; musher's own pass asks for the same lease then.
                let resumes = n >= CALLERS / 2 && n < CALLERS / 2 + agents;
                let command = if resumes { Command::ResumeAgent(id) } else { Command::AssignItem(item, id) };
                let actor = if resumes { Actor::Operator("ann".into()) } else { Actor::Musher };
                try_to(&engine, actor, command).await && !resumes
            });
        }
        let taken = callers.join_all().await.into_iter().filter(|taken| *taken).count();
        assert!(taken <= 1, "{taken} were told yes");
        assert_eq!(world.said("item_assigned").await, 1, "{agents} agents");
        let holders = world.read(|state| (state.runs().len(), state.effects().count())).await;
        assert_eq!(holders, (1, 1), "one run, and one worktree to make");
        world.read(hold).await;
    }
}
