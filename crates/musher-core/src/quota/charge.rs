//! The books of one step: what the runs in its change have begun, used and ended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::books::{limit, limit_of_model};
use super::{Account, Cap, Denied, Scope, model_of, period};
use crate::agent::Agent;
use crate::change::Change;
use crate::effect::Stop;
use crate::event::{Event, Happened};
use crate::id::{MissionId, RunId};
use crate::run::{FailureClass, Outcome, Run, RunState, Usage, is_default};
use crate::state::State;
use crate::step::Context;

/// What the accounts hold of one run, so that its end gives back no more than was charged, and only on the same day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Share {
    /// The model that it is charged to: that of its agent when it began.
    pub model: Box<str>,
    /// The days of its agent's and its model's accounts that its job was counted on.
    pub job_days: [u64; 2],
    /// When the hour ends that it was counted in.
    pub hour_ends: crate::time::Timestamp,
    /// The days of its agent's and its model's accounts that `tokens` were charged on.
    #[serde(skip_serializing_if = "is_default")]
    pub days: [u64; 2],
    /// Its tokens of those days.
    #[serde(skip_serializing_if = "is_default")]
    pub tokens: u64,
}

/// How much of its tokens the end of a run leaves with its agent and its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// All.
    Whole,
    /// All but the half, rounded down.
    Half,
    /// None.
    Nothing,
}

/// The table of ends. The mission and the workspace paid, and are charged the whole in every case.
fn left(run: &Run) -> Left {
    match &run.outcome {
        // A cap that gave back what it stopped would let the same be used again.
        _ if run.capped.is_some() => Left::Whole,
        Some(Outcome::Failed { .. } | Outcome::Lost { while_down: false }) => Left::Half,
        Some(Outcome::Cancelled) => Left::Nothing,
        // Nobody's fault and nobody's wish: what was done is gone on with.
        Some(
            Outcome::Finished { .. }
            | Outcome::RateLimited { .. }
            | Outcome::SessionLost { .. }
            | Outcome::Lost { while_down: true },
        )
        | None => Left::Whole,
    }
}

/// Whether its program was never seen alive. That a run has started may be told by its end alone.
fn never_worked(run: &Run) -> bool {
    run.started_at.is_none() && run.usage == Usage::default() && !matches!(run.outcome, Some(Outcome::Finished { .. }))
}

/// Books what a change says of runs: jobs of those that begin, use of those that report, what is given back at their
/// end. What has reached a cap is stopped. All of it becomes part of the change.
pub fn charge(state: &State, change: &mut Change, cx: &mut Context) {
    if change.runs.is_empty() {
        return;
    }
    let mut desk = Desk::new(state, cx);
    let mut newest: BTreeMap<RunId, usize> = BTreeMap::new();
    newest.extend(change.runs.iter().enumerate().map(|(place, run)| (run.id, place)));
    for place in newest.into_values() {
        let run = &mut change.runs[place];
        match state.run(run.id) {
            None if run.is_live() => desk.begin(run),
            None => {}
            Some(before) => {
                let used = run.usage.since(before.usage);
                if used != Usage::default() {
                    desk.use_up(run, used);
                }
                if !run.is_live() {
                    desk.end(run);
                }
            }
        }
    }
    desk.stop(change, cx);
    desk.into_change(change);
}

/// The accounts that are open for writing.
pub(super) struct Desk<'a> {
    state: &'a State,
    pub(super) now: crate::time::Timestamp,
    at: crate::time::Timestamp,
    actor: Box<str>,
    open: BTreeMap<Scope, Account>,
    /// What missions have used beyond what the state knows.
    missions: BTreeMap<MissionId, Usage>,
    /// The caps that are reached: what runs under them is stopped.
    reached: Vec<(Reach, Denied)>,
    events: Vec<Event>,
}

/// Which runs a cap is about.
enum Reach {
    Run(RunId),
    Agent(crate::id::AgentId),
    Model(Box<str>),
    Mission(MissionId),
    All,
}

impl Reach {
    fn is_about(&self, run: &Run) -> bool {
        match self {
            Self::Run(id) => run.id == *id,
            Self::Agent(id) => run.agent == *id,
            Self::Model(model) => run.share.model == *model,
            Self::Mission(id) => run.mission == *id,
            Self::All => true,
        }
    }
}

impl<'a> Desk<'a> {
    pub(super) fn new(state: &'a State, cx: &Context) -> Self {
        Self {
            state,
            // What the dispatch has looked at may be a moment later than a clock that was put back.
            now: cx.now.max(state.looked_at()),
            at: cx.now,
            actor: cx.actor.text().into(),
            open: BTreeMap::new(),
            missions: BTreeMap::new(),
            reached: Vec::new(),
            events: Vec::new(),
        }
    }

    pub(super) fn account(&mut self, scope: Scope) -> &mut Account {
        let (state, now) = (self.state, self.now);
        self.open.entry(scope).or_insert_with_key(|scope| {
            let mut account = state.books().of(scope).cloned().unwrap_or_else(|| Account::new(scope.clone()));
            let name = &state.settings().quota.timezone;
            account.turn(now, || period::zone(name).unwrap_or(jiff::tz::TimeZone::UTC));
            account
        })
    }

    fn begin(&mut self, run: &mut Run) {
        let Some(agent) = self.state.agent(run.agent) else { return };
        let model = model_of(&agent.spec);
        let used = self.account(Scope::Model(model.into()));
        used.jobs = used.jobs.saturating_add(1);
        used.requests = used.requests.saturating_add(1);
        run.share.hour_ends = used.hour_ends;
        let of_model = used.day;
        let used = self.account(Scope::Agent(agent.spec.name.clone()));
        used.jobs = used.jobs.saturating_add(1);
        run.share.job_days = [used.day, of_model];
        run.share.model = model.into();
        self.look(Scope::Agent(agent.spec.name.clone()), Cap::DailyJobs);
        self.look(Scope::Model(model.into()), Cap::HourlyRequests);
    }

    fn use_up(&mut self, run: &mut Run, used: Usage) {
        let Some(agent) = self.state.agent(run.agent) else { return };
        if run.share.model.is_empty() {
            run.share.model = model_of(&agent.spec).into();
        }
        let (of_agent, of_model) = (Scope::Agent(agent.spec.name.clone()), Scope::Model(run.share.model.clone()));
        for scope in [of_model.clone(), Scope::Workspace, of_agent.clone()] {
            self.account(scope).add(used);
        }
        let days = [self.account(of_agent.clone()).day, self.account(of_model.clone()).day];
        if run.share.days != days {
            (run.share.days, run.share.tokens) = (days, 0);
        }
        run.share.tokens = run.share.tokens.saturating_add(used.tokens());
        let mission = self.missions.entry(run.mission).or_default();
        *mission = mission.plus(used);

        self.of_run(run, agent, used);
        if self.look(of_agent, Cap::DailyTokens) {
            self.reached.push((Reach::Agent(agent.id), Denied::AgentTokens));
        }
        let model = &run.share.model;
        if self.look(of_model.clone(), Cap::DailyTokens) {
            self.reached.push((Reach::Model(model.clone()), Denied::ModelTokens(model.clone())));
        }
        if self.look(of_model, Cap::DailyUsd) {
            self.reached.push((Reach::Model(model.clone()), Denied::ModelUsd(model.clone())));
        }
        self.look_at_mission(run.mission);
        if self.look(Scope::Workspace, Cap::DailyUsd) {
            self.reached.push((Reach::All, Denied::WorkspaceUsd));
        }
    }

    /// A run's own caps. Its use only grows, so that each is said once without being remembered.
    fn of_run(&mut self, run: &Run, agent: &Agent, used: Usage) {
        let limits = &agent.spec.limits;
        let before = run.usage.since(used);
        for (cap, limit, sum, before, denied) in [
            (Cap::Usd, limits.cost_micro_usd, run.usage.cost_micro_usd, before.cost_micro_usd, Denied::RunUsd),
            (Cap::Tokens, limits.tokens, run.usage.tokens(), before.tokens(), Denied::RunTokens),
        ] {
            let Some(limit) = limit.filter(|limit| *limit > 0) else { continue };
            let scope: Box<str> = format!("run:{}", run.id).into();
            if sum >= limit {
                self.reached.push((Reach::Run(run.id), denied));
                if before < limit {
                    self.say_of(run, Happened::QuotaExceeded { scope, cap, used: sum, limit });
                }
            } else if is_nearly(sum, limit) && !is_nearly(before, limit) {
                self.say_of(run, Happened::QuotaWarning { scope, cap, used: sum, limit });
            }
        }
    }

    pub(super) fn look_at_mission(&mut self, id: MissionId) {
        for (cap, denied) in [(Cap::Usd, Denied::MissionUsd), (Cap::Tokens, Denied::MissionTokens)] {
            if self.look(Scope::Mission(id), cap) {
                self.reached.push((Reach::Mission(id), denied));
            }
        }
    }

    /// Says, once a period, that a cap is nearly or wholly used up. Answers whether it is wholly.
    pub(super) fn look(&mut self, scope: Scope, cap: Cap) -> bool {
        let limit = match &scope {
            Scope::Model(model) => limit_of_model(self.state, model, cap),
            Scope::Workspace | Scope::Repo | Scope::Mission(_) | Scope::Agent(_) => limit(self.state, &scope, cap),
        };
        limit.is_some_and(|limit| self.look_against(scope, cap, limit))
    }

    /// The same against a limit that the state does not know yet.
    pub(super) fn look_against(&mut self, scope: Scope, cap: Cap, limit: u64) -> bool {
        let now = self.now;
        let used = match (&scope, cap) {
            (Scope::Mission(id), Cap::Usd) => self.mission_used(*id).cost_micro_usd,
            (Scope::Mission(id), _) => self.mission_used(*id).tokens(),
            _ => self.account(scope.clone()).used(cap, now),
        };
        let text: Box<str> = scope.to_string().into();
        let account = self.account(scope.clone());
        let full = used >= limit;
        let happened = if full {
            account.warned.insert(cap);
            account.exceeded.insert(cap).then_some(Happened::QuotaExceeded { scope: text, cap, used, limit })
        } else {
            account.exceeded.remove(&cap);
            let first = is_nearly(used, limit) && account.warned.insert(cap);
            first.then_some(Happened::QuotaWarning { scope: text, cap, used, limit })
        };
        if let Some(happened) = happened {
            self.say(&scope, happened);
        }
        full
    }

    fn mission_used(&self, id: MissionId) -> Usage {
        let known = self.state.mission(id).map(|entry| entry.usage).unwrap_or_default();
        known.plus(self.missions.get(&id).copied().unwrap_or_default())
    }

    /// An event about a scope.
    pub(super) fn say(&mut self, scope: &Scope, happened: Happened) {
        let (mission, agent) = match scope {
            Scope::Mission(id) => (Some(*id), None),
            Scope::Agent(name) => (None, self.state.agent_named(name).map(|agent| agent.id)),
            Scope::Workspace | Scope::Repo | Scope::Model(_) => (None, None),
        };
        let actor = self.actor.clone();
        self.events.push(Event {
            at: self.at,
            actor,
            mission,
            item: None,
            agent,
            run: None,
            moved: None,
            chain: Box::default(),
            happened,
        });
    }

    /// An event about a run.
    fn say_of(&mut self, run: &Run, happened: Happened) {
        self.events.push(Event {
            at: self.at,
            actor: self.actor.clone(),
            mission: Some(run.mission),
            item: Some(run.item),
            agent: Some(run.agent),
            run: Some(run.id),
            moved: None,
            chain: Box::default(),
            happened,
        });
    }

    /// Gives back what the end of a run gives back.
    fn end(&mut self, run: &Run) {
        let Some(agent) = self.state.agent(run.agent) else { return };
        let total = run.usage.tokens();
        let back = match left(run) {
            Left::Whole => 0,
            Left::Half => total / 2,
            Left::Nothing => total,
        };
        let back = back.min(run.share.tokens);
        let unstarted = never_worked(run);
        let scopes = [Scope::Agent(agent.spec.name.clone()), Scope::Model(run.share.model.clone())];
        for (which, scope) in scopes.into_iter().enumerate() {
            let share = &run.share;
            let account = self.account(scope.clone());
            let tokens = if account.day == share.days[which] { back.min(account.tokens) } else { 0 };
            let jobs = u64::from(unstarted && account.day == share.job_days[which] && account.jobs > 0);
            account.tokens -= tokens;
            account.jobs -= jobs;
            if unstarted && account.hour_ends == share.hour_ends {
                account.requests = account.requests.saturating_sub(1);
            }
            if tokens + jobs > 0 {
                let text = scope.to_string().into();
                self.say_of(run, Happened::QuotaReturned { scope: text, tokens, jobs, pulls: 0 });
                self.look(scope.clone(), Cap::DailyTokens);
                self.look(scope, Cap::DailyJobs);
            }
        }
        let failed = match &run.outcome {
            Some(Outcome::Failed { class, .. }) => *class != FailureClass::Setup,
            Some(Outcome::Lost { while_down }) => !while_down,
            Some(
                Outcome::Finished { .. }
                | Outcome::RateLimited { .. }
                | Outcome::SessionLost { .. }
                | Outcome::Cancelled,
            )
            | None => false,
        };
        if failed && limit(self.state, &Scope::Repo, Cap::CooldownAfterFailure).is_some() {
            let now = self.now;
            self.account(Scope::Repo).failed_at = Some(now);
        }
    }

    /// A cap that is reached whatever was charged: an operator has lowered it.
    pub(super) fn reach(&mut self, scope: &Scope, cap: Cap) {
        let reached = match (scope, cap) {
            (Scope::Workspace, Cap::DailyUsd) => (Reach::All, Denied::WorkspaceUsd),
            (Scope::Mission(id), Cap::Usd) => (Reach::Mission(*id), Denied::MissionUsd),
            (Scope::Mission(id), Cap::Tokens) => (Reach::Mission(*id), Denied::MissionTokens),
            (Scope::Model(model), Cap::DailyTokens) => {
                (Reach::Model(model.clone()), Denied::ModelTokens(model.clone()))
            }
            (Scope::Model(model), Cap::DailyUsd) => (Reach::Model(model.clone()), Denied::ModelUsd(model.clone())),
            (Scope::Agent(name), Cap::DailyTokens) => match self.state.agent_named(name) {
                Some(agent) => (Reach::Agent(agent.id), Denied::AgentTokens),
                None => return,
            },
            // These let runs begin or not; none that is at work is over them.
            (Scope::Workspace | Scope::Mission(_) | Scope::Model(_) | Scope::Agent(_) | Scope::Repo, _) => return,
        };
        self.reached.push(reached);
    }

    /// Stops what is at work under a cap that is reached.
    pub(super) fn stop(&self, change: &mut Change, cx: &mut Context) {
        if self.reached.is_empty() {
            return;
        }
        for live in self.state.runs() {
            let Some((_, denied)) = self.reached.iter().find(|(reach, _)| reach.is_about(live)) else { continue };
            let place = change.runs.iter().rposition(|run| run.id == live.id);
            let now = place.map_or(live, |place| &change.runs[place]);
            // One that is starting has used nothing yet, and is stopped at its first word.
            if now.capped.is_some() || now.state != RunState::Running {
                continue;
            }
            let Some(item) = self.state.item(live.item) else { continue };
            let capped = Run { capped: Some(denied.clone()), ..now.clone() };
            change.extend(crate::item::stop_effect(self.state, item, live.id, Stop::Kill, cx));
            match place {
                Some(place) => change.runs[place] = capped,
                None => change.runs.push(capped),
            }
        }
    }

    /// Closes the books: accounts and events become part of the change.
    pub(super) fn into_change(self, change: &mut Change) {
        let changed = self.open.into_values().filter(|account| self.state.books().of(&account.scope) != Some(account));
        change.quotas.extend(changed);
        change.events.extend(self.events);
    }
}

/// Whether 80 % of a limit are used.
fn is_nearly(used: u64, limit: u64) -> bool {
    u128::from(used) * 5 >= u128::from(limit) * 4
}
