//! What the benchmarks are made of: worlds written straight to a store, and drivers that answer at once.

use musher_core::agent::AgentSpec;
use musher_core::change::Change;
use musher_core::command::{Actor, Command, Inspection, Report};
use musher_core::effect::{Effect, EffectKind};
use musher_core::entropy::Entropy;
use musher_core::event::{Event, Happened};
use musher_core::id::MissionId;
use musher_core::item::{ItemState, Kind, Worktree};
use musher_core::mission::{MissionItem, MissionState, Policy, StartMission};
use musher_core::run::{Outcome, Usage};
use musher_core::state::State;
use musher_core::step::{Context, step};
use musher_engine::machine::Input;
use musher_store::Store;

use super::{BenchError, START};

/// Writes a batch of changes.
pub(super) fn write(store: &mut dyn Store, changes: &[Change]) -> Result<(), BenchError> {
    store.begin()?;
    for change in changes {
        store.write(change)?;
    }
    store.commit()?;
    Ok(())
}

fn decide(command: &Command, entropy: &mut Entropy) -> Result<Change, BenchError> {
    let actor = Actor::Operator("bench".into());
    let mut cx = Context { now: START, entropy, actor: &actor };
    step(&State::default(), command, &mut cx).map_err(|e| BenchError::Machine(e.to_string()))
}

/// An agent that takes so many items at once; 0 is any number.
pub(super) fn agent(max_load: u32, entropy: &mut Entropy) -> Result<Change, BenchError> {
    agents(1, max_load, entropy)
}

/// So many agents, each of which takes so many items at once; 0 is any number.
pub(super) fn agents(count: u32, max_load: u32, entropy: &mut Entropy) -> Result<Change, BenchError> {
    let named = |n| AgentSpec {
        name: format!("worker-{n}").into(),
        driver: "command".into(),
        max_load,
        ..AgentSpec::default()
    };
    decide(&Command::SyncAgents((1..=count).map(named).collect()), entropy)
}

/// What the items of a skilled mission want of their agents.
const SKILL: &str = "measuring";

/// One agent with the skill, and so many without.
pub(super) fn one_skilled(others: u32, entropy: &mut Entropy) -> Result<Change, BenchError> {
    let named = |n: u32| AgentSpec {
        name: format!("worker-{n}").into(),
        driver: "command".into(),
        max_load: 1,
        capabilities: if n == 0 { [SKILL.into()].into() } else { [].into() },
        ..AgentSpec::default()
    };
    decide(&Command::SyncAgents((0..=others).map(named).collect()), entropy)
}

/// The items of a mission on file want the skill.
pub(super) fn want_skill(change: &mut Change) {
    change.items.iter_mut().for_each(|item| item.labels = [SKILL.into()].into());
}

/// How the items of a mission on file stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// Ready, with a worktree that was made before.
    ReadyWithWorktree,
    /// Ready, with nothing.
    Ready,
    /// Done, in a mission that was archived.
    Archived,
}

/// A mission as the rules make it, with its items as they should stand.
pub(super) fn mission(
    items: u32,
    parallel: u32,
    stand: Stand,
    entropy: &mut Entropy,
) -> Result<(MissionId, Change), BenchError> {
    let wish = StartMission {
        goal: "measure".into(),
        policy: Policy { max_parallel_items: parallel, ..Policy::default() },
        base: "main".into(),
        ask: false,
        items: (0..items)
            .map(|n| MissionItem {
                key: format!("item-{n}").into(),
                title: format!("the item of number {n}").into(),
                kind: Kind::Design,
                ..MissionItem::default()
            })
            .collect(),
    };
    let mut change = decide(&Command::StartMission(Box::new(wish)), entropy)?;
    let Some(row) = change.missions.first_mut() else { return Err(BenchError::Machine("no mission was made".into())) };
    let id = row.id;
    if stand == Stand::Archived {
        row.state = MissionState::Completed;
        row.ended_at = Some(START);
        change.archived.push(id);
    }
    for (slot, item) in (0..).zip(&mut change.items) {
        match stand {
            Stand::ReadyWithWorktree => {
                item.worktree = Worktree::Ready;
                item.slot = Some(slot);
                item.base_commit = Some("0123456789abcdef0123456789abcdef01234567".into());
            }
            Stand::Ready => {}
            Stand::Archived => {
                item.state = ItemState::Done;
                item.no_merge = true;
            }
        }
    }
    if stand == Stand::Archived {
        // One event an item stays on file besides the rows.
        change.events.retain(|e| e.item.is_none());
        let done = |item: &musher_core::item::Item| Event {
            at: START,
            actor: "musher".into(),
            mission: Some(id),
            item: Some(item.id),
            agent: None,
            run: None,
            happened: Happened::ItemDone { commit: None },
        };
        change.events.extend(change.items.iter().map(done));
    }
    Ok((id, change))
}

/// The report that a driver would give at once.
pub(super) fn answer(effect: &Effect) -> Input {
    let report = match &effect.kind {
        EffectKind::CreateWorktree => {
            Report::WorktreeReady { base_commit: "0123456789abcdef0123456789abcdef01234567".into() }
        }
        EffectKind::StartRun(_) => {
            let outcome = Outcome::Finished { summary: "done".into(), no_change_needed: None, verdict: None };
            Report::RunFinished { outcome, usage: Usage::default() }
        }
        EffectKind::Inspect => Report::Inspected(Inspection::Empty),
        EffectKind::RemoveWorktree { .. } => Report::WorktreeRemoved,
        EffectKind::StopRun(..)
        | EffectKind::TellRun { .. }
        | EffectKind::AnswerRun { .. }
        | EffectKind::Gate { .. }
        | EffectKind::PrepareMerge { .. }
        | EffectKind::Rebase
        | EffectKind::Land { .. }
        | EffectKind::PushBranch { .. }
        | EffectKind::Forge(_)
        | EffectKind::RunCheck { .. }
        | EffectKind::PrepareFiring(_)
        | EffectKind::FetchUrl { .. } => Report::DriverFailed { error: "not part of a life here".into() },
    };
    Input { actor: Actor::Musher, command: Command::Report(effect.id, report) }
}
