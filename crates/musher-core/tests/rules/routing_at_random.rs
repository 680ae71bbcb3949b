//! Random agents, items, loads and quotas: each choice is the one of the book (the world compares them), and why there is
//! none is told of every agent.

use std::time::Duration;

use musher_core::agent::AgentSpec;
use musher_core::command::{Command, Report};
use musher_core::config::ProjectSettings;
use musher_core::dispatch;
use musher_core::effect::EffectKind;
use musher_core::item::{Item, ItemState, Kind, Phase, Priority, Waiting};
use musher_core::mission::{MissionItem, Policy};
use musher_core::quota::{Cap, Quotas, Rules, Scope, Setting};
use musher_core::run::{FailureClass, Outcome, RunState};
use proptest::prelude::*;

use crate::world::{World, agent, conflict, failed, finished, item, policy, rebase_conflict, settings, tokens, words};

const ROLES: [&[&str]; 7] =
    [&[], &["backend"], &["tester"], &["reviewer"], &["resolver"], &["audit", "infra"], &["poet"]];
const CAPABILITIES: [&[&str]; 4] = [&[], &["rust"], &["sql"], &["rust", "sql"]];
const MODELS: [&str; 3] = ["m", "n", "o"];
const NODES: [&str; 2] = ["box-1", "box-2"];

type Choice = (u8, u8, u8);

fn of<T: Copy>(all: &[T], n: u8) -> T {
    all[usize::from(n) % all.len()]
}

fn caps(caps: &[(Cap, u64)]) -> Rules {
    Rules { caps: caps.iter().copied().collect(), model_allowlist: None }
}

fn some_agent(n: usize, (a, b, c): Choice) -> AgentSpec {
    let quota = match c % 6 {
        0 => caps(&[(Cap::DailyJobs, 2)]),
        1 => caps(&[(Cap::ConcurrentJobs, 1)]),
        2 => caps(&[(Cap::DailyTokens, 40)]),
        3 => Rules { model_allowlist: Some(vec!["m".into()]), ..Rules::default() },
        _ => Rules::default(),
    };
    AgentSpec {
        roles: words(of(&ROLES, a)),
        capabilities: words(of(&CAPABILITIES, b)),
        max_load: u32::from(c / 6 % 5),
        model: Some(of(&MODELS, b / 4).into()),
        quota,
        node: (a / 7 % 3 == 0).then(|| of(&NODES, b / 12).into()),
        ..agent(&format!("a{n}"))
    }
}

fn some_item(n: usize, (a, b, c): Choice) -> MissionItem {
    MissionItem {
        kind: of(&Kind::ALL, a),
        priority: of(&Priority::ALL, a / 8),
        role: of(&[None, None, Some("backend"), Some("test"), Some("poet"), Some("reviewer")], b).map(Into::into),
        labels: words(of(&[&[], &[], &["sql"], &["rust", "sql"]], b / 8)),
        pin: (c % 9 == 0).then(|| format!("a{}", b % 10).into()),
        touches: words(of(&[&[], &[], &["src/**"], &["src/api/**"], &["docs/**"]], c / 8)),
        ..item(&format!("i{n}"), &[])
    }
}

fn some_world(agents: &[Choice], items: &[Choice]) -> World {
    let quota = Quotas {
        workspace: caps(&[(Cap::DailyUsd, 900)]),
        models: [("m".to_owned(), caps(&[(Cap::DailyTokens, 200), (Cap::HourlyRequests, 7)]))].into(),
        ..Quotas::default()
    };
    let mut w = World::with_settings(ProjectSettings { quota, ..settings() });
    for (n, choice) in agents.iter().enumerate() {
        w.agent(some_agent(n, *choice));
    }
    for (mission, items) in items.chunks(8).enumerate() {
        let items = items.iter().enumerate().map(|(n, choice)| some_item(mission * 8 + n, *choice)).collect();
        let policy = Policy { max_parallel_items: 6, reviewer_required: mission % 2 == 0, max_retries: 9, ..policy() };
        w.mission_with(policy, items);
        w.pass(Duration::from_secs(1));
    }
    w
}

fn answer(w: &mut World, (what, which, how): Choice) {
    let effects: Vec<_> = w.state.effects().cloned().collect();
    let Some(effect) = effects.get(usize::from(which) % effects.len().max(1)).cloned() else { return };
    let report = match &effect.kind {
        EffectKind::StartRun(run) if w.state.run(*run).is_some_and(|run| run.state == RunState::Starting) => {
            Report::RunStarted
        }
        EffectKind::StartRun(_) => match what % 8 {
            0 => Report::RunProgress { usage: tokens(u64::from(how % 30)) },
            1 => Report::RunFinished { outcome: failed(FailureClass::Agent, "no"), usage: tokens(3) },
            2 => {
                let limited = Outcome::RateLimited { resets_at: None, message: "429".into() };
                Report::RunFinished { outcome: limited, usage: tokens(1) }
            }
            3 => Report::RunFinished { outcome: finished("done"), usage: tokens(u64::from(how % 30)) },
            _ => w.happy(&effect),
        },
        EffectKind::PrepareMerge { .. } if how % 2 == 0 => Report::MergePrepared(conflict()),
        EffectKind::Rebase if how % 2 == 0 => Report::Rebased(rebase_conflict()),
        _ => w.happy(&effect),
    };
    w.ok(Command::Report(effect.id, report));
}

fn wish(w: &mut World, (_, which, how): Choice) {
    let agents: Vec<_> = w.state.agents().filter(|agent| !agent.removed).cloned().collect();
    let Some(one) = agents.get(usize::from(which) % agents.len().max(1)).cloned() else { return };
    let scope = Scope::Agent(one.spec.name.clone());
    let limit = Some(u64::from(how / 16));
    let wish = match how % 16 {
        0 | 1 => Command::PauseAgent(one.id),
        2 => Command::DrainAgent(one.id),
        3..=6 => Command::ResumeAgent(one.id),
        7 => Command::RemoveAgent(one.id),
        8 => Command::AgentChecked(one.id, Some("no program".into())),
        9 => Command::AgentChecked(one.id, None),
        10 => Command::SetQuota(scope, Setting::Cap(Cap::DailyJobs, limit)),
        11 => Command::SetQuota(scope, Setting::Cap(Cap::ConcurrentJobs, limit)),
        12 => Command::SetQuota(Scope::Model(of(&MODELS, which).into()), Setting::Cap(Cap::HourlyRequests, limit)),
        13 => Command::SetQuota(Scope::Repo, Setting::Cap(Cap::CooldownAfterFailure, limit)),
        14 => Command::SetQuota(Scope::Workspace, Setting::Cap(Cap::DailyUsd, limit)),
        _ => Command::AddAgent(Box::new(AgentSpec { name: format!("b{which}").into(), ..one.spec })),
    };
    // Some are moot: an agent of that name, one that is paused already.
    let _ = w.say(&crate::world::ann(), wish);
}

/// Why an item finds nobody is told of every agent, each counted once.
fn hold_that_all_agents_are_told_of(w: &World) {
    let agents = w.state.agents().filter(|agent| !agent.removed).count() as u32;
    let items = w.state.missions().flat_map(|entry| &entry.items).filter_map(|id| w.state.item(*id));
    for item in items {
        let removed = match &item.state {
            ItemState::Ready => dispatch::no_agent(&w.state, item).map(|(_, removed)| removed),
            ItemState::Waiting(Waiting::Review) if item.review_run.is_none() => dispatch::no_reviewer(&w.state, item),
            _ => None,
        };
        let Some(removed) = removed else { continue };
        assert_eq!((removed.of, removed.by.values().sum::<u32>()), (agents, agents), "{}: {removed:?}", item.key);
        let by_quota = removed.by.contains_key(&dispatch::Condition::Quota);
        assert_eq!(by_quota, !removed.denied.is_empty(), "{removed:?}");
        assert_eq!(has_reviewer(w, item), dispatch::has_reviewer(&w.state, item), "the reviewers of {}", item.key);
    }
}

fn has_reviewer(w: &World, item: &Item) -> bool {
    w.state.agents().any(|agent| {
        let is_reviewer = agent.spec.roles.iter().any(|role| ["reviewer", "review", "audit"].contains(&&**role));
        is_reviewer && !agent.removed && agent.error.is_none() && item.agent != Some(agent.id)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn the_chosen_agent_is_the_one_of_the_book(
        agents in prop::collection::vec(any::<Choice>(), 1..14),
        items in prop::collection::vec(any::<Choice>(), 1..24),
        choices in prop::collection::vec(any::<Choice>(), 0..60),
    ) {
        let mut w = some_world(&agents, &items);
        hold_that_all_agents_are_told_of(&w);
        for choice in choices {
            match choice.0 % 16 {
                0 => { w.until_due(); }
                // Nobody names the node, or the state of its agents is moot.
                7 | 8 => { let _ = w.say(&crate::world::ann(), Command::Heartbeat(of(&NODES, choice.1).into())); }
                1 => w.pass(Duration::from_secs(u64::from(choice.1) * 60)),
                2 => w.restart_and_compare(),
                3 => {
                    let stuck = [Phase::Blocked, Phase::Failed].iter().find_map(|phase| w.all_in(*phase).pop());
                    let ids = stuck.map(|key| w.id(&key));
                    ids.into_iter().for_each(|id| { w.ok(Command::RetryItem(id)); });
                }
                4..=6 => wish(&mut w, choice),
                _ => answer(&mut w, choice),
            }
            hold_that_all_agents_are_told_of(&w);
        }
    }
}
