//! The world of a night, drawn from its seed: settings, agents, missions, and how often what goes wrong.

use musher_core::agent::AgentSpec;
use musher_core::config::ProjectSettings;
use musher_core::item::{Kind, Priority, Qa, Wants};
use musher_core::mission::{Delivery, MissionItem, OnCap, OnRateLimit, Policy, StartMission};
use musher_core::quota::Quotas;
use musher_core::time::Timestamp;

use crate::chance::Chance;
use crate::night::EVENING;
use crate::nodes::{self, Beat};
use crate::quotas;
use crate::sinks;

/// How often what goes wrong: once in so many, 0 = never this night.
#[derive(Clone, Copy, Debug, Default)]
pub struct Odds {
    /// Crashes, of batches.
    pub crash: u32,
    /// Failing commits and writes, of batches.
    pub store: u32,
    /// Lost, doubled and late reports, of reports.
    pub report: u32,
    /// Drivers that could not work, of effects.
    pub driver: u32,
    /// Runs that do not simply finish.
    pub run: u32,
    /// Red gates, of gates.
    pub gate: u32,
    /// Conflicts, of merges.
    pub conflict: u32,
    /// Foreign commits and dirty checkouts, of landings.
    pub base: u32,
    /// Clock jumps, of what operators do.
    pub clock: u32,
}

/// A world.
#[derive(Clone, Debug)]
pub struct World {
    /// The project's settings.
    pub settings: ProjectSettings,
    /// The agents of its config.
    pub agents: Vec<AgentSpec>,
    /// The heartbeats of their nodes.
    pub beats: Vec<Beat>,
    /// The missions, in the order in which they are started.
    pub missions: Vec<StartMission>,
    /// Who outside is told of events.
    pub sinks: Vec<sinks::Plan>,
    /// What goes wrong.
    pub odds: Odds,
    /// How long operators and faults go on, in µs.
    pub night_us: i64,
    /// How many things operators do.
    pub wishes: u32,
}

impl World {
    /// Draws one.
    pub fn draw(chance: &mut Chance) -> Self {
        let missions = chance.between(1, 4);
        // Drawn apart, so that a night without quotas is the night that it was before there were any.
        let mut own = Chance::new(chance.clone().any());
        let sinks = sinks::draw(&mut Chance::new(own.clone().any()));
        let mut settings = settings(chance);
        settings.quota = quotas::of_project(&mut own);
        let mut agents = agents(chance);
        settings.gate_slots = u32::try_from(Chance::new(own.clone().any()).between(1, 3)).unwrap_or(1);
        if settings.quota != Quotas::default() {
            quotas::of_agents(&mut own, &mut agents);
        }
        let beats = nodes::draw(&mut own, &mut agents);
        Self {
            settings,
            agents,
            beats,
            missions: (0..missions).map(|n| mission(chance, n)).collect(),
            sinks,
            odds: odds(chance),
            night_us: chance.between(1, 10) * 3_600_000_000,
            wishes: u32::try_from(chance.between(5, 40)).unwrap_or(5),
        }
    }

    /// One line, for reports.
    pub fn line(&self) -> String {
        let items: usize = self.missions.iter().map(|m| m.items.len()).sum();
        let o = &self.odds;
        format!(
            "{} agents, {} heartbeats, {} missions, {items} items, {} sinks, {} wishes, crash 1/{}, store 1/{}, reports 1/{}, runs 1/{}, \
             gate 1/{}, conflicts 1/{}, base 1/{}, drivers 1/{}, clock 1/{}",
            self.agents.len(),
            self.beats.len(),
            self.missions.len(),
            self.sinks.len(),
            self.wishes,
            o.crash,
            o.store,
            o.report,
            o.run,
            o.gate,
            o.conflict,
            o.base,
            o.driver,
            o.clock
        )
    }
}

/// Each sort of fault is away in some nights, so that each is also seen without the others.
fn odds(chance: &mut Chance) -> Odds {
    let mut draw = |from: i64, to: i64| {
        let n = chance.between(from, to);
        if chance.one_in(4) { 0 } else { u32::try_from(n).unwrap_or(0) }
    };
    Odds {
        crash: draw(8, 60),
        store: draw(15, 60),
        report: draw(5, 40),
        driver: draw(20, 60),
        run: draw(2, 10),
        gate: draw(3, 10),
        conflict: draw(2, 10),
        base: draw(3, 12),
        clock: draw(4, 10),
    }
}

fn settings(chance: &mut Chance) -> ProjectSettings {
    ProjectSettings {
        gate: (!chance.one_in(4)).then(|| "make test".to_owned()),
        delivery: if chance.one_in(4) { Delivery::Branch } else { Delivery::Merge },
        qa: match chance.below(8) {
            0 => Qa::Human,
            1 => Qa::Agent,
            _ => Qa::Server,
        },
        done_retention_secs: if chance.one_in(3) { 600 } else { 4 * 3600 },
        ..ProjectSettings::default()
    }
}

const ROLES: [&str; 6] = ["backend", "frontend", "tester", "reviewer", "researcher", "runner"];
const LABELS: [&str; 2] = ["rust", "web"];
const TOUCHES: [&str; 3] = ["src/a/**", "src/b/**", "**/*.md"];

fn agents(chance: &mut Chance) -> Vec<AgentSpec> {
    let count = chance.between(1, 5);
    (0..count)
        .map(|n| {
            let mut spec = AgentSpec {
                name: format!("agent-{n}").into(),
                driver: "command".into(),
                command: Box::new(["true".into()]),
                max_load: u32::try_from(chance.between(0, 3)).unwrap_or(1),
                ..AgentSpec::default()
            };
            // The first is a generalist who can do everything, so that most nights get somewhere.
            if n == 0 {
                spec.capabilities = LABELS.map(Into::into).into();
            } else {
                spec.roles = some(chance, &ROLES, 2);
                spec.capabilities = some(chance, &LABELS, 2);
            }
            if chance.one_in(6) {
                spec.limits.tokens = Some(2_000);
            }
            spec
        })
        .collect()
}

fn some(chance: &mut Chance, of: &[&str], most: u64) -> Box<[Box<str>]> {
    let count = chance.below(most + 1);
    let mut picked: Vec<Box<str>> = (0..count).filter_map(|_| chance.pick(of).map(|s| (*s).into())).collect();
    picked.sort();
    picked.dedup();
    picked.into()
}

/// A mission with a random graph.
pub fn mission(chance: &mut Chance, n: i64) -> StartMission {
    let count = chance.between(1, 9);
    let density = u32::try_from(chance.between(1, 4)).unwrap_or(2);
    StartMission {
        goal: format!("goal {n}").into(),
        policy: policy(chance),
        base: "main".into(),
        ask: chance.one_in(6),
        items: (0..count).map(|at| item(chance, at, density)).collect(),
    }
}

fn policy(chance: &mut Chance) -> Policy {
    Policy {
        max_parallel_items: u32::try_from(chance.between(1, 4)).unwrap_or(1),
        reviewer_required: chance.one_in(3),
        max_retries: u32::try_from(chance.between(1, 4)).unwrap_or(1),
        budget_tokens: chance.one_in(8).then_some(20_000),
        deadline: chance
            .one_in(10)
            .then(|| Timestamp::from_micros(EVENING + chance.between(60, 4 * 3_600) * 1_000_000)),
        on_rate_limit: chance.clone().pick(&OnRateLimit::ALL).copied().unwrap_or_default(),
        on_cap: chance.clone().pick(&OnCap::ALL).copied().unwrap_or_default(),
        ..Policy::default()
    }
}

fn item(chance: &mut Chance, at: i64, density: u32) -> MissionItem {
    let depends_on = (0..at).filter(|_| chance.one_in(density + 1)).map(|before| format!("i{before}").into()).collect();
    MissionItem {
        key: format!("i{at}").into(),
        title: format!("item {at}").into(),
        body: "do it".into(),
        kind: *chance.pick(&Kind::ALL).unwrap_or(&Kind::Implement),
        wants: if chance.one_in(8) { Wants::Plan } else { Wants::Change },
        role: chance.one_in(4).then(|| (*chance.pick(&ROLES).unwrap_or(&"backend")).into()),
        priority: *chance.pick(&Priority::ALL).unwrap_or(&Priority::Medium),
        labels: if chance.one_in(4) { some(chance, &LABELS, 1) } else { Box::default() },
        depends_on,
        touches: if chance.one_in(3) { some(chance, &TOUCHES, 2) } else { Box::default() },
        pin: chance.one_in(12).then(|| "agent-0".into()),
        gate: chance.one_in(10).then(|| "make one".into()),
        qa: chance.one_in(10).then_some(Qa::Human),
        max_retries: None,
        skip: chance.one_in(16),
        after: Vec::new(),
        then: Vec::new(),
        issue: None,
    }
}
