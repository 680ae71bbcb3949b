//! The invariants: what must be true of the rows after every step. A line and a message each.

use std::collections::{BTreeMap, BTreeSet};

use super::outside::follows_pull;
use super::{State, Timer};
use crate::effect::EffectKind;
use crate::id::{AgentId, ItemId};
use crate::item::{ItemState, MergeStage, Phase, Wants};
use crate::quota::Scope;
use crate::run::{Purpose, RunState};
use crate::sink::{SinkKind, cursor_of};
use crate::watch::Holds;

/// A broken invariant: a defect of musher.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invariant broken: {0}")]
pub struct Violation(pub String);

macro_rules! hold {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err(Violation(format!($($message)+)));
        }
    };
}

impl State {
    /// Checks every row. Costs as much as there is; for tests and the simulator.
    pub fn check(&self) -> Result<(), Violation> {
        for item in self.items.values() {
            self.check_item(item.id)?;
        }
        let mut load: BTreeMap<AgentId, u32> = BTreeMap::new();
        let mut silent: BTreeMap<AgentId, u32> = BTreeMap::new();
        for run in self.runs.values() {
            *load.entry(run.agent).or_default() += 1;
            *silent.entry(run.agent).or_default() += u32::from(run.silent_host.is_some());
        }
        silent.retain(|_, count| *count > 0);
        hold!(
            self.silent_hosts == silent,
            "the silent hosts {:?} are not those of the runs {silent:?}",
            self.silent_hosts
        );
        for (agent, row) in &self.agents {
            let live = load.get(agent).copied().unwrap_or(0);
            hold!(
                self.load(*agent) == live,
                "agent {} counts {} runs but has {live}",
                row.spec.name,
                self.load(*agent)
            );
            // Its definition may shrink while it is at work; then it takes nothing new.
            let took_one_since = || self.runs.values().any(|r| r.agent == *agent && r.assigned_at > row.updated_at);
            hold!(
                row.spec.max_load == 0 || live <= row.spec.max_load || !took_one_since(),
                "agent {} has {live} runs and may have {}",
                row.spec.name,
                row.spec.max_load
            );
        }
        hold!(self.ready == self.ready_anew(), "the ready items are not those of the rows");
        hold!(self.roster == self.roster_anew(), "the roster is not that of the agents");
        self.check_nodes()?;
        hold!(self.to_heed == self.to_heed_anew(), "the notes on pull requests are not those of the rows");
        hold!(self.webhooks.agrees(), "the webhooks that are known are not those in order");
        for (name, sink) in &self.sinks {
            let cursor = self.cursors.get(&cursor_of(name));
            hold!(cursor.is_some(), "sink {name} has no cursor");
            let failing = sink.trouble.as_ref().map(|trouble| trouble.event);
            hold!(sink.kind != SinkKind::Relay || sink.relay.is_some(), "sink {name} tells a hub and has no id");
            hold!(failing.is_none_or(|event| cursor <= Some(&event)), "sink {name} fails on an event that it is past");
        }
        for entry in self.missions.values() {
            let mut by_phase = [0; 13];
            for id in &entry.items {
                if let Some(item) = self.items.get(id) {
                    by_phase[item.phase() as usize] += 1;
                }
            }
            let mut keys = std::collections::BTreeSet::new();
            let mut calls = std::collections::BTreeSet::new();
            for item in entry.items.iter().filter_map(|id| self.items.get(id)) {
                hold!(keys.insert(&item.key), "two items of mission {} are named {}", entry.row.id.short(), item.key);
                let call = item.added.as_ref().map(|added| added.call);
                hold!(call.is_none_or(|call| calls.insert(call)), "item {} was added twice", item.key);
            }
            let last_turn = entry.items.iter().filter_map(|id| self.items.get(id)).map(|item| item.turn).max();
            hold!(last_turn.unwrap_or(0) == entry.last_turn, "mission {} mistakes its turn", entry.row.id.short());
            hold!(by_phase == entry.counts.by_phase, "mission {} counts its items wrongly", entry.row.id.short());
        }
        let turns = self.missions.iter().map(|(id, entry)| (entry.last_turn, *id)).filter(|(turn, _)| *turn > 0);
        hold!(turns.collect::<BTreeSet<_>>() == self.turns, "the turns are not those of the missions");
        for id in self.missions.keys().filter(|id| !self.unjudged.contains(id)) {
            let (armed, due) = (self.armed.get(&Timer::Help(*id)).copied(), crate::mission::help_due(self, *id));
            hold!(armed == due, "mission {} may need help at {due:?}, and is judged at {armed:?}", id.short());
        }
        for (id, entry) in &self.missions {
            let known = self.watched.get(id).cloned().unwrap_or_default();
            hold!(
                known == self.watched_anew(*id),
                "mission {} knows other open watches than it has",
                entry.row.id.short()
            );
        }
        if let Some(batch) = self.batch().filter(|batch| !crate::merge::is_broken(self, batch)) {
            let members = batch.members.iter().skip(batch.landed);
            let at_work = members.flat_map(|m| self.effects_of(m.item)).any(|e| {
                matches!(e.kind, EffectKind::PrepareMerge { .. } | EffectKind::Gate { .. } | EffectKind::Land { .. })
            });
            hold!(at_work, "batch {} is under way and nothing is done for it", batch.number);
        }
        self.check_quotas()
    }

    /// Each agent is where its node looks for it, and each node that is heard is watched.
    fn check_nodes(&self) -> Result<(), Violation> {
        let mut named: BTreeMap<Box<str>, std::collections::BTreeSet<AgentId>> = BTreeMap::new();
        for agent in self.agents.values().filter(|agent| !agent.removed) {
            if let Some(node) = &agent.spec.node {
                named.entry(node.clone()).or_default().insert(agent.id);
            }
        }
        hold!(named == self.nodes.agents, "the agents of the nodes are not those that name them");
        self.nodes.check().map_err(Violation)
    }

    /// No account holds less than the live runs have of it, and each limit that holds is the one that is known.
    fn check_quotas(&self) -> Result<(), Violation> {
        let mut held: BTreeMap<(Scope, u64), (u64, u64)> = BTreeMap::new();
        for run in self.runs.values() {
            let name = self.agents.get(&run.agent).map(|agent| agent.spec.name.clone()).unwrap_or_default();
            let scopes = [Scope::Agent(name), Scope::Model(run.share.model.clone())];
            for (which, scope) in scopes.into_iter().enumerate() {
                held.entry((scope.clone(), run.share.days[which])).or_default().0 += run.share.tokens;
                held.entry((scope, run.share.job_days[which])).or_default().1 += 1;
            }
        }
        for ((scope, day), (tokens, jobs)) in held {
            // One that began before there were accounts has no share.
            if day == 0 {
                continue;
            }
            let account = self.books.of(&scope);
            hold!(account.is_some(), "a live run of {scope} was charged, and there is no account");
            let Some(account) = account.filter(|account| account.day == day) else { continue };
            hold!(
                account.tokens >= tokens,
                "{scope} was charged {} tokens and its live runs used {tokens}",
                account.tokens
            );
            hold!(account.jobs >= jobs, "{scope} counts {} jobs and has {jobs} live ones", account.jobs);
        }
        for account in self.books.all() {
            let wakes = self.heals.get(&account.scope).copied();
            let refuses = crate::quota::heals(self, account, self.looked_at);
            hold!(wakes == refuses, "{} refuses until {refuses:?}, and is looked at at {wakes:?}", account.scope);
        }
        for (id, entry) in &self.missions {
            let budget = crate::quota::budget(self, *id);
            hold!(entry.budget == budget, "mission {} may use {budget:?} and not {:?}", id.short(), entry.budget);
        }
        Ok(())
    }

    /// Checks one item and what belongs to it. Cheap enough to run on every change that touches it.
    pub fn check_item(&self, id: ItemId) -> Result<(), Violation> {
        let Some(item) = self.items.get(&id) else { return Ok(()) };
        let name = format!("{} ({})", item.key, item.id.short());
        let live: Vec<_> = self.runs_of(id).iter().filter_map(|r| self.runs.get(r)).collect();
        let working = live.iter().filter(|r| r.purpose != Purpose::Review).count();
        hold!(working <= 1, "item {name} has {working} working runs at once");
        if item.is_live() {
            let run = item.run.and_then(|r| self.runs.get(&r));
            hold!(
                run.is_some_and(|r| r.fence == item.fence),
                "item {name} is {} without a run of its fence",
                item.phase().name()
            );
            let expected = if item.phase() == Phase::Assigned { RunState::Starting } else { RunState::Running };
            hold!(
                run.is_some_and(|r| r.state == expected),
                "item {name} is {} but its run is not",
                item.phase().name()
            );
            hold!(
                self.open_dependencies(item).next().is_none(),
                "item {name} is {} before its dependencies are done",
                item.phase().name()
            );
        }
        let parked = self.stands_still(item);
        let listed = self.ready.contains(item);
        let may_be = item.phase() == Phase::Ready && !parked;
        hold!(!listed || may_be, "item {name} is to be dispatched, and is {}", item.phase().name());
        hold!(listed || !may_be || item.not_before.is_some(), "item {name} is ready, and nobody looks for an agent");
        let may_wait = item.phase() == Phase::Ready || item.wants_reviewer();
        hold!(item.limited.is_none() || may_wait, "item {name} waits for an account at work");
        let sought = self.unreviewed.contains(&id);
        let may_be = item.wants_reviewer() && !parked;
        hold!(sought == may_be, "item {name} is {}, and a reviewer of it is sought: {sought}", item.phase().name());
        if item.phase() == Phase::Verifying {
            hold!(
                self.effects_of(id).any(|e| matches!(e.kind, EffectKind::Inspect | EffectKind::Gate { .. })),
                "item {name} is verifying and nothing verifies it"
            );
        }
        if let ItemState::Merging(MergeStage::Rebasing) = item.state {
            hold!(self.effects_of(id).next().is_some(), "item {name} is merging and nothing merges it");
        }
        if follows_pull(item) {
            let under_way = self.effects_of(id).filter(|e| crate::pull::is_its_work(&e.kind)).count();
            let pull = self.pulls.get(&id);
            hold!(pull.is_some(), "item {name} waits for a pull request that nobody makes");
            let due = pull.is_some_and(|pull| pull.looks.due.is_some());
            hold!(under_way <= 1, "{under_way} things are done to the pull request of {name} at once");
            hold!(due != (under_way == 1), "the pull request of {name} is due: {due}, and {under_way} is under way");
            let armed = self.armed.contains_key(&Timer::Pull(id)) || self.is_to_tend(id);
            hold!(armed == (due && item.frozen.is_none()), "nobody looks at the pull request of {name}");
        }
        for watch in self.watches_of(id) {
            let own = watch.holds != Holds::Pull && self.is_looked_at(watch);
            let under_way = self.effects_of(id).filter(|e| crate::watch::is_look_of(&e.kind, watch.id)).count();
            let due = watch.looks.due.is_some();
            hold!(under_way <= 1, "{name} is looked at {under_way} times at once for {}", watch.kind.name());
            hold!(
                !own || due != (under_way == 1),
                "the {} of {name} is due: {due}, and {under_way} is under way",
                watch.kind.name()
            );
            let armed = self.armed.contains_key(&Timer::Watch(watch.id)) || self.to_look_at.contains(&watch.id);
            hold!(armed == (own && due), "nobody looks at the {} of {name}", watch.kind.name());
            let ours = watch.kind.is_of_pull() == (watch.holds == Holds::Pull);
            hold!(ours, "the {} of {name} holds up the wrong thing", watch.kind.name());
            let ended = matches!(item.phase(), Phase::Done | Phase::Cancelled) && watch.holds != Holds::Mission;
            hold!(!ended || !watch.status.is_open(), "{name} has ended, and its {} is open", watch.kind.name());
        }
        if crate::merge::is_member(item) {
            let place = self.batch().and_then(|batch| Some((batch.place_of(id)?, batch.landed)));
            hold!(place.is_some_and(|(at, landed)| at >= landed), "item {name} is merging and in no batch");
        }
        hold!(item.phase() != Phase::MergeFailed, "item {name} was left in merge_failed");
        if item.wants == Wants::Plan {
            let proves = |e: &crate::effect::Effect| matches!(e.kind, EffectKind::Inspect | EffectKind::Gate { .. });
            hold!(
                item.phase() != Phase::Merging && !self.effects_of(id).any(proves),
                "item {name} wants a plan and is treated as a change"
            );
        }
        hold!(item.frozen.is_none() || !item.is_terminal(), "item {name} has ended, and is frozen");
        if let ItemState::Done = item.state {
            hold!(item.merged.is_some() || item.no_merge, "item {name} is done without a merge or its acceptance");
        }
        Ok(())
    }
}
