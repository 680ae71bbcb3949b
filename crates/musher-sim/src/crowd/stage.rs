//! Who and what a crowd consists of, drawn from its seed: agents with their nodes, accounts and quotas, and missions of
//! many short items.

use std::collections::BTreeMap;

use musher_core::agent::AgentSpec;
use musher_core::config::ProjectSettings;
use musher_core::item::{Kind, Priority};
use musher_core::mission::{MissionItem, OnCap, OnRateLimit, Policy, StartMission};
use musher_core::quota::{Cap, Quotas, Rules, Scope};

use super::{Cast, HOUR, SECOND};
use crate::chance::Chance;

/// The zone of which midnight ends a day.
pub(super) const ZONE: &str = "Europe/Berlin";

/// How many models the agents use.
const MODELS: u32 = 4;

/// The most agents that share a machine.
const A_NODE: u32 = 6;

/// The weights of the missions, in turn.
const WEIGHTS: [u32; 6] = [1, 2, 5, 1, 3, 2];

/// What becomes of an item of each whose run a quota stops, in turn.
const ON_CAP: [OnCap; 5] = [OnCap::Requeue, OnCap::Block, OnCap::Requeue, OnCap::Fail, OnCap::Block];

const LABELS: [&str; 2] = ["rust", "web"];

/// A mission, and when it is started, in µs since the evening.
#[derive(Clone, Debug)]
pub(super) struct Scheduled {
    pub(super) at: i64,
    pub(super) mission: StartMission,
}

/// The crowd.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) settings: ProjectSettings,
    pub(super) agents: Vec<AgentSpec>,
    pub(super) nodes: Vec<Box<str>>,
    pub(super) missions: Vec<Scheduled>,
    /// How many agents use one model: what a model may use goes by that.
    per_model: u32,
}

impl Stage {
    /// Draws one.
    pub(super) fn draw(chance: &mut Chance, cast: Cast) -> Self {
        let nodes = (0..cast.agents.div_ceil(A_NODE).max(2)).map(|n| format!("box-{n}").into()).collect();
        let mut stage = Self {
            settings: ProjectSettings::default(),
            agents: Vec::new(),
            nodes,
            missions: Vec::new(),
            per_model: cast.agents.div_ceil(MODELS),
        };
        stage.agents = (0..cast.agents).map(|n| stage.agent(chance, n)).collect();
        let mut models = BTreeMap::new();
        for n in 0..MODELS {
            let name = format!("model-{n}");
            let rules = stage.some(chance, &Scope::Model(name.as_str().into()));
            models.insert(name, rules);
        }
        let repo = stage.some(chance, &Scope::Repo);
        stage.settings.quota = Quotas { timezone: ZONE.to_owned(), models, repo, ..Quotas::default() };
        stage.missions = stage.missions(chance, cast);
        stage
    }

    /// One line, for reports.
    pub(super) fn line(&self) -> String {
        let items: usize = self.missions.iter().map(|scheduled| scheduled.mission.items.len()).sum();
        let weights: Vec<String> =
            self.missions.iter().map(|scheduled| scheduled.mission.policy.weight.to_string()).collect();
        format!(
            "{items} items, {} agents on {} nodes, missions of weight {}",
            self.agents.len(),
            self.nodes.len(),
            weights.join(" ")
        )
    }

    fn agent(&self, chance: &mut Chance, n: u32) -> AgentSpec {
        let name: Box<str> = format!("agent-{n}").into();
        // The first can do everything, so that every item has somebody.
        let able = if n == 0 { 3 } else { chance.below(4) };
        let capabilities = LABELS.iter().enumerate().filter(|(bit, _)| able & (1 << bit) > 0).map(|(_, l)| (*l).into());
        AgentSpec {
            quota: self.some(chance, &Scope::Agent(name.clone())),
            name,
            driver: "command".into(),
            command: Box::new(["true".into()]),
            capabilities: capabilities.collect(),
            model: Some(format!("model-{}", chance.below(u64::from(MODELS))).into()),
            max_load: u32::try_from(chance.between(1, 3)).unwrap_or(1),
            node: chance.pick(&self.nodes).cloned(),
            // Two accounts a machine.
            home: Some(format!("account-{}", chance.below(2)).into()),
            ..AgentSpec::default()
        }
    }

    fn some(&self, chance: &mut Chance, scope: &Scope) -> Rules {
        let mut rules = Rules::default();
        for cap in capped(scope) {
            if chance.one_in(2) {
                rules.caps.insert(*cap, self.limit(chance, scope, *cap));
            }
        }
        rules
    }

    /// A limit that is reached on most days, and yet lets every run get to its end.
    pub(super) fn limit(&self, chance: &mut Chance, scope: &Scope, cap: Cap) -> u64 {
        let agents = match scope {
            Scope::Model(_) => i64::from(self.per_model),
            Scope::Workspace | Scope::Repo | Scope::Mission(_) | Scope::Agent(_) => 1,
        };
        let (low, high) = match cap {
            Cap::DailyTokens | Cap::Tokens => (8_000 * agents, 50_000 * agents),
            Cap::DailyUsd | Cap::Usd => (4_000 * agents, 20_000 * agents),
            Cap::DailyJobs | Cap::DailyPrs => (8, 60),
            Cap::HourlyRequests => (agents, 4 * agents),
            Cap::ConcurrentJobs => (1, 3),
            Cap::MaxRunDuration => (7_200, 7_200),
            // Somebody fails every few minutes.
            Cap::CooldownAfterFailure => (8, 60),
        };
        u64::try_from(chance.between(low, high)).unwrap_or(1)
    }

    fn missions(&self, chance: &mut Chance, cast: Cast) -> Vec<Scheduled> {
        let count = u32::try_from(chance.between(4, 6)).unwrap_or(4) + cast.items / 2_000;
        let mut left = cast.items;
        (0..count)
            .map(|n| {
                let items = if n + 1 == count { left } else { (cast.items / count).min(left) };
                left -= items;
                // Half are there from the start; the others come to those that are at work.
                let at = if n < count.div_ceil(2) { SECOND } else { chance.between(SECOND, 12 * HOUR) };
                Scheduled { at, mission: self.mission(chance, n, items) }
            })
            .filter(|scheduled| !scheduled.mission.items.is_empty())
            .collect()
    }

    fn mission(&self, chance: &mut Chance, n: u32, items: u32) -> StartMission {
        StartMission {
            goal: format!("goal {n}").into(),
            policy: Policy {
                // What agents may take is the only thing that they contend for.
                max_parallel_items: items,
                max_retries: u32::try_from(chance.between(2, 4)).unwrap_or(3),
                on_cap: ON_CAP[n as usize % ON_CAP.len()],
                on_rate_limit: if chance.one_in(3) { OnRateLimit::Failover } else { OnRateLimit::Wait },
                weight: WEIGHTS[n as usize % WEIGHTS.len()],
                ..Policy::default()
            },
            base: "main".into(),
            ask: false,
            items: (0..items).map(|at| self.item(chance, at)).collect(),
        }
    }

    fn item(&self, chance: &mut Chance, at: u32) -> MissionItem {
        let labels: &[&str] = match chance.below(20) {
            0 => &LABELS,
            1..=3 => &LABELS[..1],
            4 | 5 => &LABELS[1..],
            _ => &[],
        };
        let pinned = chance.one_in(40);
        let pin = chance.pick(&self.agents).filter(|_| pinned).map(|agent| agent.name.clone());
        MissionItem {
            key: format!("i{at}").into(),
            title: format!("item {at}").into(),
            // What it comes to is nothing to merge, so that its life is short.
            kind: Kind::Design,
            priority: match chance.below(20) {
                0 => Priority::Critical,
                1..=3 => Priority::High,
                4 | 5 => Priority::Low,
                _ => Priority::Medium,
            },
            // Whom it names must be able to.
            labels: if pin.is_some() { Box::default() } else { labels.iter().map(|label| (*label).into()).collect() },
            pin,
            max_retries: chance.one_in(20).then_some(1),
            ..MissionItem::default()
        }
    }
}

/// What of a scope is limited here.
pub(super) const fn capped(scope: &Scope) -> &'static [Cap] {
    match scope {
        Scope::Agent(_) => &[Cap::DailyTokens, Cap::DailyJobs, Cap::ConcurrentJobs],
        Scope::Model(_) => &[Cap::DailyTokens, Cap::HourlyRequests, Cap::DailyUsd],
        Scope::Workspace => &[Cap::DailyUsd],
        Scope::Repo => &[Cap::CooldownAfterFailure],
        // By operators alone: a budget of the plan would never be raised again.
        Scope::Mission(_) => &[Cap::Usd, Cap::Tokens],
    }
}
