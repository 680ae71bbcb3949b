//! The one place where a decision is made: a command and the state in, a change out. A line a command.

use std::time::Duration;

use crate::change::Change;
use crate::command::{Actor, Command, Refused, Report};
use crate::effect::{Effect, EffectKind};
use crate::entropy::Entropy;
use crate::event::{Event, Happened};
use crate::forge::{ForgeAnswer, ForgeWork};
use crate::id::{AgentId, EffectId, ItemId, MissionId};
use crate::item::Item;
use crate::run::Run;
use crate::state::State;
use crate::time::Timestamp;
use crate::{
    agent, approval, firing, help, host, hub, item, merge, mission, node, note, orphan, pull, quota, relay, review,
    schedule, sink, tool, trigger, verify, watch, webhook,
};

/// What step is given of the world outside the state.
#[derive(Debug)]
pub struct Context<'a> {
    /// The present moment.
    pub now: Timestamp,
    /// Where ids and jitter are drawn from.
    pub entropy: &'a mut Entropy,
    /// Who says it.
    pub actor: &'a Actor,
}

impl Context<'_> {
    /// An event about an item, with its mission, agent and run.
    pub fn about(&self, item: &Item, happened: Happened) -> Event {
        Event {
            at: self.now,
            actor: self.actor.text().into(),
            mission: Some(item.mission),
            item: Some(item.id),
            agent: item.agent,
            run: item.run,
            moved: None,
            chain: Box::default(),
            happened,
        }
    }

    /// An event about a run of an item: a review is not the item's own.
    pub fn about_run(&self, item: &Item, run: &Run, happened: Happened) -> Event {
        Event { agent: Some(run.agent), run: Some(run.id), ..self.about(item, happened) }
    }

    /// An event about an agent, whatever it works on.
    pub fn about_agent(&self, agent: AgentId, happened: Happened) -> Event {
        Event { agent: Some(agent), ..self.event(happened) }
    }

    /// An event about a mission.
    pub fn about_mission(&self, mission: MissionId, happened: Happened) -> Event {
        Event { mission: Some(mission), ..self.event(happened) }
    }

    /// An event about nothing of these: the daemon, a sink, the merge queue.
    pub fn event(&self, happened: Happened) -> Event {
        Event {
            at: self.now,
            actor: self.actor.text().into(),
            mission: None,
            item: None,
            agent: None,
            run: None,
            moved: None,
            chain: Box::default(),
            happened,
        }
    }

    /// An entry for the outbox.
    pub fn effect(&mut self, item: ItemId, kind: EffectKind) -> Effect {
        Effect { item: Some(item), ..self.effect_of_none(kind) }
    }

    /// An entry for the outbox that is no item's.
    pub fn effect_of_none(&mut self, kind: EffectKind) -> Effect {
        Effect { id: EffectId::new(self.now, self.entropy), item: None, kind, at: self.now }
    }
}

/// Decides what a command changes, or refuses it and changes nothing.
pub fn step(state: &State, command: &Command, cx: &mut Context) -> Result<Change, Refused> {
    let mut change = decide(state, command, cx)?;
    // Booked here, whatever it was that began, used or ended a run: no way of ending one can be forgotten.
    quota::charge(state, &mut change, cx);
    agent::settle(state, &mut change, cx);
    host::settle(state, &mut change, cx);
    watch::settle(state, &mut change, cx);
    firing::settle(state, &mut change, cx);
    trigger::heed(state, command, &mut change, cx);
    Ok(change)
}

fn decide(state: &State, command: &Command, cx: &mut Context) -> Result<Change, Refused> {
    match command {
        Command::Configure(settings) => Ok(configure(state, settings, cx)),
        Command::NoteConfig(rejected) => Ok(noted(rejected.as_deref(), cx)),
        Command::NoteStart { missions, attached, effects } => Ok(started(*missions, *attached, *effects, cx)),
        Command::NoteOrphan(found) => Ok(orphan::note(found, cx)),
        Command::NoteIgnored(id, text) => Ok(note::ignored(*id, text, cx)),
        Command::SyncAgents(specs) => Ok(agent::sync(state, specs, cx)),
        Command::AddAgent(spec) => agent::add(state, spec, cx),
        Command::PauseAgent(id) => agent::pause(state, *id, cx),
        Command::ResumeAgent(id) => agent::resume(state, *id, cx),
        Command::DrainAgent(id) => agent::drain(state, *id, cx),
        Command::RestartAgent(id) => agent::restart(state, *id, cx),
        Command::RemoveAgent(id) => agent::remove(state, *id, cx),
        Command::AgentChecked(id, problem) => agent::setup_checked(state, *id, problem.as_deref(), cx),
        Command::Heartbeat(name) => node::heard(state, name, cx),

        Command::SyncSchedules(specs) => Ok(schedule::sync(state, specs, cx)),
        Command::AddSchedule(spec) => schedule::add(state, spec, cx),
        Command::EnableSchedule(id) => schedule::enable(state, *id, cx),
        Command::DisableSchedule(id) => schedule::disable(state, *id, cx),
        Command::RemoveSchedule(id) => schedule::remove(state, *id, cx),
        Command::RunSchedule(id) => schedule::run_now(state, *id, cx),

        Command::SyncTriggers(specs) => Ok(trigger::sync(state, specs, cx)),
        Command::AddTrigger(spec) => trigger::add(state, spec, cx),
        Command::EnableTrigger(id) => trigger::enable(state, *id, cx),
        Command::DisableTrigger(id) => trigger::disable(state, *id, cx),
        Command::RemoveTrigger(id) => trigger::remove(state, *id, cx),

        Command::SyncSinks(specs, present) => Ok(sink::sync(state, specs, *present, cx)),
        Command::AdvanceSink(name, seq) => sink::advanced(state, name, *seq, cx),
        Command::FailDelivery(name, failure) => sink::failed(state, name, failure, cx),
        Command::HurrySink(name) => sink::hurry(state, name, cx),
        Command::MeetHub(mark, holds) => relay::met(state, *mark, *holds, cx),
        Command::TakeRelayed(post) => hub::take(state, post, cx),
        Command::ForgetProject(id) => hub::forget(state, *id, cx),

        Command::StartMission(start) => mission::start(state, start, cx),
        Command::ApproveMission(id) => mission::approve(state, *id, cx),
        Command::PauseMission(id, stop, why) => mission::pause(state, *id, *stop, why, cx),
        Command::ResumeMission(id) => note::resume(state, *id, cx),
        Command::StopMission(id, stop) => mission::stop(state, *id, *stop, cx),
        Command::WeighMission(id, weight) => mission::weigh(state, *id, *weight, cx),
        Command::AddWatch(id, kind, holds) => watch::add(state, *id, kind, *holds, cx),
        Command::SnoozeWatch(id, secs) => watch::snooze(state, *id, Duration::from_secs(*secs), cx),
        Command::CloseWatch(id) => watch::close(state, *id, cx),
        Command::NoteMission(id, text) => note::apply(state, *id, text, cx),

        Command::RetryItem(id) => item::retry(state, *id, cx),
        Command::FailOverItem(id) => item::fail_over(state, *id, cx),
        Command::HoldItem(id, reason) => item::hold(state, *id, reason, cx),
        Command::ReleaseItem(id) => item::release(state, *id, cx),
        Command::FreezeItem(id, reason) => item::freeze(state, *id, reason, cx),
        Command::DemoteItem(id, reason) => item::demote(state, *id, reason, cx),
        Command::SupersedeItem(id, by) => item::supersede(state, *id, *by, cx),
        Command::ReopenItem(id, text) => item::reopen(state, *id, text, cx),
        Command::SkipItem(id) => item::skip(state, *id, cx),
        Command::CancelItem(id) => item::cancel(state, *id, cx),
        Command::ApproveItem(id, text) => review::approve(state, *id, text, cx),
        Command::RejectItem(id, text) => review::reject(state, *id, text, cx),
        Command::TurnDownItem(id, text) => review::turn_down(state, *id, text, cx),
        Command::PauseQueue(why) => merge::pause(state, why, cx),
        Command::ResumeQueue => merge::resume(state, cx),
        Command::EjectItem(id, why) => merge::eject(state, *id, why, cx),
        Command::RetryMerge(id) => merge::retry(state, *id, cx),
        Command::DiscardWorktree(id) => item::discard(state, *id, cx),
        Command::StopRun(id, how) => item::stop_run(state, *id, *how, cx),
        Command::TellRun(id, text, when) => item::tell_run(state, *id, text, *when, cx),
        Command::AnswerRequest(id, ruled, why) => approval::answer(state, *id, *ruled, why, cx),

        Command::AnswerHelp(id, text) => help::answer(state, *id, text, cx),
        Command::UseTool(run, tool) => tool::used(state, *run, tool, cx),
        Command::SetQuota(scope, setting) => quota::set(state, scope, setting, cx),

        Command::TakeWebhook(delivery, hints) => Ok(webhook::take(state, delivery, hints, cx)),
        Command::Report(effect, report) => reported(state, *effect, report, cx),

        Command::PromoteItem(id) => item::promote(state, *id, cx),
        Command::AssignItem(id, agent) => item::assign(state, *id, *agent, cx),
        Command::AssignReview(id, agent) => review::assign(state, *id, *agent, cx),
        Command::ExpireRequests(run) => approval::expire(state, *run, cx),
        Command::LiftRateLimit(agent) => agent::lift(state, *agent, cx),
        Command::ProbeDriver(agent) => agent::probe(state, *agent, cx),
        Command::FireSchedule(id) => schedule::fire(state, *id, cx),
        Command::TendTrigger(id) => trigger::tend(state, *id, cx),
        Command::ExpireFiring(id) => firing::expire(state, *id, cx),
        Command::SilenceNode(name) => node::fell_silent(state, name, cx),
        Command::FinishWaiting(id) => review::finish_waiting(state, *id, cx),
        Command::BeginMerge(id) => merge::begin(state, *id, cx),
        Command::TendPull(id) => pull::tend(state, *id, cx),
        Command::LookAtWatch(id) => watch::look(state, *id, cx),
        Command::HeedComment(id) => pull::heed(state, *id, cx),
        Command::ReformBatch => merge::reform(state, cx),
        Command::JudgeMission(id) => mission::judge(state, *id, cx),
        Command::NoteDispatch(id, code) => crate::dispatch::note_answer(state, *id, *code, cx),
    }
}

/// A report counts only while its effect is open: a second or a late one finds it closed.
fn reported(state: &State, id: EffectId, report: &Report, cx: &mut Context) -> Result<Change, Refused> {
    let effect = state.effect(id).ok_or(Refused::Stale { what: "its effect is closed" })?;
    let Some(item) = effect.item else { return reported_to_none(state, effect, report, cx) };
    let Some(item) = state.item(item) else {
        return Ok(Change { closed: vec![id], ..Change::default() });
    };
    let mut change: Result<Change, Refused> = match (&effect.kind, report) {
        (_, Report::DriverFailed { error }) => item::driver_failed(state, item, effect, error, cx),
        (EffectKind::CreateWorktree, Report::WorktreeReady { base_commit }) => {
            item::worktree_ready(state, item, base_commit, cx)
        }
        (EffectKind::CreateWorktree, Report::WorktreeFailed { lacking, error }) => {
            item::worktree_failed(state, item, *lacking, error, cx)
        }
        (EffectKind::StartRun(run), Report::RunStarted) => return item::run_started(state, item, *run, cx),
        (EffectKind::StartRun(run), Report::RunProgress { usage }) => {
            return item::run_progress(state, item, *run, *usage, cx);
        }
        (EffectKind::StartRun(run), Report::HostSilent { pid }) => return host::fell_silent(state, *run, *pid),
        (EffectKind::StartRun(run), Report::HostAnswers) => return host::answers(state, *run),
        (EffectKind::StartRun(run), Report::SessionStarted { id }) => {
            return item::session_started(state, item, *run, id, cx);
        }
        (EffectKind::StartRun(run), Report::LimitReached { limit, text }) => {
            return item::limit_reached(state, item, *run, *limit, text, cx);
        }
        (EffectKind::StartRun(run), Report::PermissionAsked { ask, worktree }) => {
            return approval::asked(state, item, *run, worktree, ask, cx);
        }
        (EffectKind::StartRun(run), Report::PermissionGone(reference)) => {
            return approval::gone(state, item, *run, reference, cx);
        }
        (EffectKind::TellRun { run, .. } | EffectKind::AnswerRun { run, .. }, Report::Told { delivered }) => {
            Ok(item::told(state, item, *run, *delivered, cx))
        }
        (EffectKind::StartRun(run), Report::RunFinished { outcome, usage }) => {
            item::run_finished(state, item, *run, outcome, *usage, cx)
        }
        (EffectKind::StopRun(..), Report::RunStopped) => Ok(Change::default()),
        (EffectKind::Inspect, Report::Inspected(inspection)) => verify::inspected(state, item, inspection, cx),
        (EffectKind::Gate { on, tree, gate }, Report::GateFinished(verdict)) => {
            verify::gate_finished(state, item, (on, tree, gate), verdict, cx)
        }
        (EffectKind::PrepareMerge { .. }, Report::MergePrepared(preparation)) => {
            merge::prepared(state, item, preparation, cx)
        }
        (EffectKind::Rebase, Report::Rebased(rebase)) if crate::state::follows_pull(item) => {
            pull::rebased(state, item, rebase, cx)
        }
        (EffectKind::Rebase, Report::Rebased(rebase)) => merge::rebased(state, item, rebase, cx),
        (EffectKind::Land { .. }, Report::LandingFinished(landing)) => merge::landed(state, item, landing, cx),
        (EffectKind::RemoveWorktree { .. }, Report::WorktreeRemoved) => item::worktree_removed(item, None, cx),
        (EffectKind::RemoveWorktree { .. }, Report::WorktreeKept { reason }) => {
            item::worktree_removed(item, Some(reason), cx)
        }
        (EffectKind::PushBranch { head, .. }, Report::Pushed(push)) => pull::pushed(state, item.id, head, push, cx),
        (EffectKind::Forge(ForgeWork::LookAtIssue { watch, issue }), Report::Forge(answer)) => match answer {
            ForgeAnswer::IssueLooked { closed, title } => {
                let text = format!("{issue} is {}: {title}", if *closed { "closed" } else { "open" });
                watch::looked(state, *watch, *closed, &text, cx)
            }
            _ => return Err(Refused::Stale { what: "it answers another kind of effect" }),
        },
        (EffectKind::Forge(work), Report::Forge(answer)) => pull::answered(state, item.id, work, answer, cx),
        (
            EffectKind::Forge(ForgeWork::LookAtIssue { watch, .. })
            | EffectKind::RunCheck { watch, .. }
            | EffectKind::FetchUrl { watch, .. },
            Report::ForgeFailed(failure),
        ) => watch::look_failed(state, *watch, failure, cx),
        (EffectKind::Forge(work), Report::ForgeFailed(failure)) => pull::refused(state, item.id, work, failure, cx),
        (EffectKind::RunCheck { watch, .. } | EffectKind::FetchUrl { watch, .. }, Report::Probed { met, text }) => {
            watch::looked(state, *watch, *met, text, cx)
        }
        (
            EffectKind::CreateWorktree
            | EffectKind::StartRun(_)
            | EffectKind::StopRun(..)
            | EffectKind::TellRun { .. }
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
            | EffectKind::PrepareFiring(_)
            | EffectKind::FetchUrl { .. },
            _,
        ) => return Err(Refused::Stale { what: "it answers another kind of effect" }),
    };
    // What it was about may have moved on; the effect itself is answered all the same, or it would be issued for ever.
    if let Err(Refused::Stale { .. }) = change {
        change = Ok(Change::default());
    }
    let mut change = change?;
    change.closed.push(id);
    Ok(change)
}

/// A report on an effect that is no item's.
fn reported_to_none(state: &State, effect: &Effect, report: &Report, cx: &mut Context) -> Result<Change, Refused> {
    let EffectKind::PrepareFiring(id) = effect.kind else {
        return Ok(Change { closed: vec![effect.id], ..Change::default() });
    };
    let change = match report {
        Report::FiringPrepared(prepared) => firing::prepared(state, id, prepared, cx),
        Report::DriverFailed { error } => {
            firing::prepared(state, id, &firing::Prepared::Failed { error: error.clone() }, cx)
        }
        _ => return Err(Refused::Stale { what: "it answers another kind of effect" }),
    };
    let mut change = match change {
        Err(Refused::Stale { .. }) => Change::default(),
        other => other?,
    };
    if !change.closed.contains(&effect.id) {
        change.closed.push(effect.id);
    }
    Ok(change)
}

fn started(missions: u32, attached: u32, effects: u32, cx: &Context) -> Change {
    let event = cx.event(Happened::DaemonStarted { missions, attached, effects });
    Change { events: vec![event], ..Change::default() }
}

fn noted(rejected: Option<&str>, cx: &Context) -> Change {
    let happened = match rejected {
        Some(why) => Happened::ConfigRejected { why: why.into() },
        None => Happened::ConfigAccepted {},
    };
    Change { events: vec![cx.event(happened)], ..Change::default() }
}

fn configure(state: &State, settings: &crate::config::ProjectSettings, cx: &mut Context) -> Change {
    if state.is_configured() && state.settings() == settings {
        return Change::default();
    }
    let event = cx.event(Happened::SettingsChanged {});
    let mut change = Change { settings: Some(Box::new(settings.clone())), events: vec![event], ..Change::default() };
    let (before, after) = (&state.settings().quota, &settings.quota);
    let none = quota::Rules::default();
    let models = before.models.keys().chain(after.models.keys()).collect::<std::collections::BTreeSet<_>>();
    let of = |quotas: &'_ quota::Quotas, model: &str| quotas.models.get(model).cloned().unwrap_or_else(|| none.clone());
    let models: Vec<_> = models.into_iter().map(|name| (name, of(before, name), of(after, name))).collect();
    let rules = [
        (quota::Scope::Workspace, &before.workspace, &after.workspace),
        (quota::Scope::Repo, &before.repo, &after.repo),
    ];
    let models = models.iter().map(|(name, old, new)| (quota::Scope::Model(name.as_str().into()), old, new));
    quota::reconfigured(state, rules.into_iter().chain(models), &mut change, cx);
    change
}
