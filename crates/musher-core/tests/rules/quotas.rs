//! Quotas: what is refused and with which words, what is charged, and when it counts no more.

use std::time::Duration;

use musher_core::agent::{AgentSpec, Limits};
use musher_core::command::{Command, Refused, Report};
use musher_core::config::ProjectSettings;
use musher_core::event::Happened;
use musher_core::item::Phase;
use musher_core::mission::{MissionItem, MissionState, OnCap, Policy};
use musher_core::quota::{Cap, Quotas, Rules, Scope, Setting, run_secs, sheet};
use musher_core::run::{FailureClass, Outcome, Usage};
use musher_core::time::Timestamp;
use musher_core::wait::{self, WaitCode};

use crate::world::{World, agent, failed, finished, item, policy, settings, tokens};

pub(crate) fn caps(caps: &[(Cap, u64)]) -> Rules {
    Rules { caps: caps.iter().copied().collect(), model_allowlist: None }
}

pub(crate) fn models(names: &[&str]) -> Rules {
    Rules { model_allowlist: Some(names.iter().map(|name| (*name).into()).collect()), ..Rules::default() }
}

pub(crate) fn usd(micro: u64) -> Usage {
    Usage { cost_micro_usd: micro, ..Usage::default() }
}

/// The agent `a`, of this model, with this quota and room for more than one run.
pub(crate) fn worker(model: Option<&str>, quota: Rules) -> AgentSpec {
    AgentSpec { quota, model: model.map(Into::into), max_load: 9, ..agent("a") }
}

pub(crate) fn world(quota: Quotas, spec: AgentSpec) -> World {
    let mut w = World::with_settings(ProjectSettings { quota, ..settings() });
    w.now = at("2026-01-31T10:30:00Z");
    w.agent(spec);
    w
}

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A mission of `x`, and of `y` that waits for nothing.
pub(crate) fn two(w: &mut World, policy: Policy) -> musher_core::id::MissionId {
    w.mission_with(Policy { max_parallel_items: 9, ..policy }, vec![item("x", &[]), item("y", &[])])
}

pub(crate) fn hold(w: &mut World, key: &str) {
    let id = w.id(key);
    w.ok(Command::HoldItem(id, "later".into()));
}

pub(crate) fn release(w: &mut World, key: &str) {
    let id = w.id(key);
    w.ok(Command::ReleaseItem(id));
}

/// Why `key` waits, if it does: the code, the words without what would help (`explain.rs` holds those), and until when.
pub(crate) fn waits(w: &World, key: &str) -> Option<(WaitCode, String, Option<Timestamp>)> {
    let wait = wait::of_item(&w.state, w.id(key)).into_iter().next()?;
    let help = ["; `musher quota", "; it starts"].iter().filter_map(|help| wait.text.find(help)).min();
    Some((wait.code, wait.text[..help.unwrap_or(wait.text.len())].to_owned(), wait.until))
}

pub(crate) fn used(w: &World, scope: &Scope, cap: Cap) -> (u64, i64) {
    let lines = sheet(&w.state, w.now);
    let line = lines.into_iter().find(|line| line.scope == *scope && line.cap == cap).unwrap();
    (line.used, line.remaining)
}

pub(crate) fn set(scope: &Scope, key: &str, value: &str) -> Command {
    Command::SetQuota(scope.clone(), Setting::parse(scope, key, value).unwrap())
}

pub(crate) fn a() -> Scope {
    Scope::Agent("a".into())
}

pub(crate) fn m() -> Scope {
    Scope::Model("m".into())
}

pub(crate) fn of_model(rules: Rules) -> Quotas {
    Quotas { models: [("m".to_owned(), rules)].into(), ..Quotas::default() }
}

#[test]
fn an_agent_without_a_model_is_known_by_its_driver_and_passes_no_rule() {
    for (model, allowed, begins) in [
        (None, vec!["m"], false),
        (Some(""), vec!["m"], false),
        (Some("  "), vec!["m"], false),
        (None, vec!["command"], true),
        (Some("m"), vec!["n", "m"], true),
        (Some("M"), vec!["m"], false),
        (Some("m"), vec![], true),
    ] {
        let mut w = world(Quotas::default(), worker(model, models(&allowed)));
        two(&mut w, policy());
        let expected = if begins { Phase::Assigned } else { Phase::Ready };
        assert_eq!(w.phase("x"), expected, "{model:?} of {allowed:?}");
        if !begins {
            let name = model.map(str::trim).filter(|name| !name.is_empty()).unwrap_or("command");
            let wanted = format!("1 agent(s): 1 out of quota (model not in allowlist: {name})");
            assert_eq!(waits(&w, "x"), Some((WaitCode::Quota, wanted, None)));
        }
    }
    let quota =
        Quotas { models: [("command".to_owned(), caps(&[(Cap::HourlyRequests, 1)]))].into(), ..Quotas::default() };
    let mut w = world(quota, worker(None, Rules::default()));
    two(&mut w, policy());
    assert_eq!((w.phase("x"), w.phase("y")), (Phase::Assigned, Phase::Ready));
}

#[test]
fn the_next_best_agent_is_taken_when_a_quota_refuses_the_best() {
    let mut w = world(Quotas::default(), worker(None, caps(&[(Cap::DailyJobs, 1)])));
    w.agent(AgentSpec { max_load: 1, ..agent("b") });
    let more = |key: &str| MissionItem { role: Some("backend".into()), ..item(key, &[]) };
    w.mission_with(Policy { max_parallel_items: 9, ..policy() }, vec![more("x"), more("y"), more("z")]);
    assert_eq!((w.agent_of("x"), w.agent_of("y")), ("a".to_owned(), "b".to_owned()));
    let (code, text, _) = waits(&w, "z").unwrap();
    assert_eq!(code, WaitCode::AgentsBusy);
    assert_eq!(text, "2 agent(s): 1 busy, 1 out of quota (daily job limit exceeded)");
}

#[test]
fn reviews_are_jobs_too() {
    let mut w = world(Quotas::default(), worker(None, Rules::default()));
    let quota = caps(&[(Cap::DailyJobs, 1)]);
    let reviewer = AgentSpec { roles: crate::world::words(&["reviewer"]), quota, max_load: 4, ..agent("r") };
    w.agent(reviewer);
    w.mission_with(Policy { max_parallel_items: 9, ..Policy::default() }, vec![item("x", &[]), item("y", &[])]);
    w.work("x");
    assert!(w.item("x").review_run.is_some());
    w.work("y");
    assert!(w.item("y").review_run.is_none());
    let (code, text, until) = waits(&w, "y").unwrap();
    assert_eq!((code, until), (WaitCode::Review, Some(at("2026-02-01T00:00:00Z"))), "{text}");
    assert!(text.contains("1 out of quota (daily job limit exceeded)"), "{text}");
    assert_eq!(used(&w, &Scope::Agent("r".into()), Cap::DailyJobs), (1, 0));
    w.now = until.unwrap();
    w.settle();
    assert!(w.item("y").review_run.is_some(), "by itself, on the next day");
}

#[test]
fn what_a_run_leaves_with_its_agent_and_its_model_depends_on_its_end_and_missions_pay_all() {
    let lost = |while_down| Outcome::Lost { while_down };
    let table = [
        (finished("done"), 101),
        (failed(FailureClass::Agent, "no"), 51),
        (failed(FailureClass::Limit, "no"), 51),
        (lost(false), 51),
        (Outcome::Cancelled, 0),
        (lost(true), 101),
        (Outcome::RateLimited { resets_at: None, message: "wait".into() }, 101),
        (Outcome::SessionLost { message: "gone".into() }, 101),
    ];
    for (outcome, left) in table {
        let mut w = world(Quotas::default(), worker(Some("m"), Rules::default()));
        let id = two(&mut w, policy());
        hold(&mut w, "y");
        w.start("x");
        // In pieces: what is charged as it is reported and what the end gives back must come out as the table says.
        let piece = |n| Usage { input_tokens: n, cost_micro_usd: 10, ..Usage::default() };
        w.report("x", "start_run", Report::RunProgress { usage: piece(33) });
        assert_eq!(used(&w, &a(), Cap::DailyTokens).0, 33, "charged while it works");
        w.report("x", "start_run", Report::RunProgress { usage: piece(34) });
        w.report("x", "start_run", Report::RunFinished { outcome: outcome.clone(), usage: piece(34) });
        let name = outcome.name();
        assert_eq!(used(&w, &a(), Cap::DailyTokens).0, left, "{name}");
        assert_eq!(used(&w, &m(), Cap::DailyTokens).0, left, "{name}");
        assert_eq!(used(&w, &Scope::Mission(id), Cap::Tokens).0, 101, "{name}");
        assert_eq!(used(&w, &Scope::Mission(id), Cap::Usd).0, 30, "{name}");
        assert_eq!(used(&w, &Scope::Workspace, Cap::DailyUsd).0, 30, "{name}: what was paid stays paid");
        assert_eq!(used(&w, &m(), Cap::DailyUsd).0, 30, "{name}: what was paid stays paid");
        let returned = w.events.iter().filter_map(|e| match &e.happened {
            Happened::QuotaReturned { tokens, .. } => Some(*tokens).filter(|n| *n > 0),
            _ => None,
        });
        assert!(returned.clone().all(|n| n == 101 - left) && returned.count() == if left == 101 { 0 } else { 2 });
    }
}

#[test]
fn a_run_that_never_started_gives_its_job_back() {
    let mut w = world(Quotas::default(), worker(Some("m"), caps(&[(Cap::DailyJobs, 1)])));
    two(&mut w, policy());
    assert_eq!(used(&w, &a(), Cap::DailyJobs), (1, 0));
    assert_eq!(w.phase("y"), Phase::Ready);
    hold(&mut w, "x");
    assert_eq!((w.phase("y"), used(&w, &a(), Cap::DailyJobs)), (Phase::Assigned, (1, 0)));
    // One that started does not, however it ends.
    w.start("y");
    w.end("y", Outcome::Cancelled);
    assert_eq!((w.phase("y"), used(&w, &a(), Cap::DailyJobs)), (Phase::Ready, (1, 0)));
}

#[test]
fn a_run_whose_start_is_told_by_its_end_alone_has_worked() {
    let used = |outcome, usage| {
        let mut w = world(Quotas::default(), worker(Some("m"), Rules::default()));
        two(&mut w, policy());
        hold(&mut w, "y");
        w.report("x", "create_worktree", Report::WorktreeReady { base_commit: "base".into() });
        w.report("x", "start_run", Report::RunFinished { outcome, usage });
        used(&w, &a(), Cap::DailyJobs).0
    };
    assert_eq!(used(finished("done"), Usage::default()), 1);
    assert_eq!(used(failed(FailureClass::Agent, "no"), tokens(1)), 1);
    assert_eq!(used(failed(FailureClass::Setup, "no program"), Usage::default()), 0);
}

#[test]
fn many_runs_that_are_given_back_at_once_each_give_back_their_own() {
    let mut w = world(Quotas::default(), worker(Some("m"), Rules::default()));
    let id = two(&mut w, policy());
    assert_eq!(used(&w, &a(), Cap::DailyJobs).0, 2);
    w.ok(Command::StopMission(id, musher_core::effect::Stop::Kill));
    assert_eq!((used(&w, &a(), Cap::DailyJobs).0, used(&w, &a(), Cap::ConcurrentJobs).0), (0, 0));
}

#[test]
fn the_answer_is_told_when_it_changes_and_not_on_every_look() {
    let mut w = world(Quotas::default(), worker(Some("m"), caps(&[(Cap::DailyJobs, 1)])));
    let id = two(&mut w, policy());
    assert_eq!(w.said("dispatch_failed_quota"), 1);
    for _ in 0..3 {
        w.pass(Duration::from_secs(60));
    }
    assert_eq!(w.said("dispatch_failed_quota"), 1);
    w.start("x");
    w.end("x", Outcome::Cancelled);
    let reason = format!("Mission {} has 2 ready work item(s) but no idle agents are available", id.short());
    assert_eq!((w.mission_state(id), w.blocked_reason(id)), (MissionState::Blocked, reason));
    // A pause on top of it is another answer; a limit that passes by itself is none.
    assert_eq!(w.said("dispatch_failed_no_agent"), 0);
    let mut w = world(Quotas::default(), worker(Some("m"), caps(&[(Cap::ConcurrentJobs, 1)])));
    two(&mut w, policy());
    assert_eq!((w.phase("y"), w.said("dispatch_failed_quota")), (Phase::Ready, 0));
}

/// A run that reaches its cap and is stopped.
fn capped(on_cap: OnCap, quota: Quotas, spec: AgentSpec, usage: Usage) -> World {
    let mut w = world(quota, spec);
    two(&mut w, Policy { on_cap, ..policy() });
    hold(&mut w, "y");
    w.start("x");
    w.report("x", "start_run", Report::RunProgress { usage });
    assert_eq!(w.effects_of("x"), ["start_run", "stop_run"]);
    w.restart_and_compare();
    w.end("x", Outcome::Cancelled);
    w
}

#[test]
fn a_cap_stops_a_run_in_flight_and_its_item_follows_the_policy() {
    let agent_cap = || (Quotas::default(), worker(Some("m"), caps(&[(Cap::DailyTokens, 100)])), tokens(100));
    let run_cap = || {
        let limits = Limits { tokens: Some(100), ..Limits::default() };
        (Quotas::default(), AgentSpec { limits, ..worker(Some("m"), Rules::default()) }, tokens(150))
    };
    let run_usd = || {
        let limits = Limits { cost_micro_usd: Some(100), ..Limits::default() };
        (Quotas::default(), AgentSpec { limits, ..worker(Some("m"), Rules::default()) }, usd(100))
    };
    let model_cap = || (of_model(caps(&[(Cap::DailyUsd, 9)])), worker(Some("m"), Rules::default()), usd(9));
    let table = [
        (OnCap::Block, agent_cap(), Phase::Blocked, 0, "daily token limit exceeded"),
        (OnCap::Requeue, agent_cap(), Phase::Ready, 0, "daily token limit exceeded"),
        (OnCap::Fail, agent_cap(), Phase::Failed, 0, "daily token limit exceeded"),
        (OnCap::Block, run_cap(), Phase::Blocked, 0, "run tokens exceeded"),
        // The next run begins with nothing used: for ever, if it did not count.
        (OnCap::Requeue, run_cap(), Phase::Ready, 1, "run tokens exceeded"),
        (OnCap::Fail, run_cap(), Phase::Failed, 0, "run tokens exceeded"),
        (OnCap::Block, run_usd(), Phase::Blocked, 0, "run usd exceeded"),
        (OnCap::Block, model_cap(), Phase::Blocked, 0, "global model usd budget exceeded for: m"),
    ];
    for (on_cap, (quota, spec, usage), phase, attempts, why) in table {
        let w = capped(on_cap, quota, spec, usage);
        let item = w.item("x");
        let found = (item.phase(), item.attempts, item.last_error.as_deref());
        assert_eq!(found, (phase, attempts, Some(why)), "{} {why}", on_cap.name());
        assert_eq!(w.said("item_dead_lettered"), usize::from(phase == Phase::Failed));
    }
}

#[test]
fn what_a_cap_has_stopped_gives_nothing_back_or_the_same_would_be_used_again() {
    let spec = worker(Some("m"), caps(&[(Cap::DailyTokens, 100)]));
    let mut w = capped(OnCap::Requeue, Quotas::default(), spec, tokens(120));
    assert_eq!(used(&w, &a(), Cap::DailyTokens), (120, 0));
    assert_eq!(w.phase("x"), Phase::Ready);
    assert_eq!(w.waits("x"), [WaitCode::Quota]);
    w.now = at("2026-02-01T00:00:00Z");
    w.settle();
    assert_eq!((w.phase("x"), used(&w, &a(), Cap::DailyTokens)), (Phase::Assigned, (0, 100)));
}

#[test]
fn a_cap_of_all_stops_all_that_is_at_work_and_nothing_else() {
    let quota = Quotas { models: [("m".to_owned(), caps(&[(Cap::DailyTokens, 100)]))].into(), ..Quotas::default() };
    let mut w = world(quota, AgentSpec { max_load: 1, ..worker(Some("m"), Rules::default()) });
    w.agent(AgentSpec { model: Some("m".into()), ..agent("b") });
    w.agent(AgentSpec { model: Some("n".into()), ..agent("c") });
    let three = ["x", "y", "z"].map(|key| item(key, &[])).to_vec();
    w.mission_with(Policy { max_parallel_items: 9, ..policy() }, three);
    for key in ["x", "y", "z"] {
        w.start(key);
    }
    w.report("x", "start_run", Report::RunProgress { usage: tokens(99) });
    assert_eq!(w.effects_of("y"), ["start_run"]);
    w.report("y", "start_run", Report::RunProgress { usage: tokens(1) });
    for (key, stopped) in [("x", true), ("y", true), ("z", false)] {
        assert_eq!(w.effects_of(key).contains(&"stop_run"), stopped, "{key} by {}", w.agent_of(key));
    }
}

#[test]
fn an_operators_value_holds_until_it_is_taken_back_and_a_restart_changes_nothing() {
    let mut w = world(Quotas::default(), worker(Some("m"), caps(&[(Cap::DailyTokens, 1000)])));
    two(&mut w, policy());
    hold(&mut w, "y");
    w.start("x");
    w.report("x", "start_run", Report::RunProgress { usage: tokens(200) });
    assert_eq!(used(&w, &a(), Cap::DailyTokens), (200, 800));
    w.ok(set(&a(), "daily_tokens", "500"));
    w.restart_and_compare();
    assert_eq!(used(&w, &a(), Cap::DailyTokens), (200, 300));
    let set_by = w.events.iter().find(|e| e.happened.name() == "quota_set").unwrap();
    let said = Happened::QuotaSet { scope: "agent:a".into(), key: "daily_tokens".into(), value: "500".into() };
    assert_eq!((&*set_by.actor, &set_by.happened), ("ann", &said));
    // The configuration says something else meanwhile.
    let spec = w.state.agent_named("a").unwrap().spec.clone();
    let other = AgentSpec { quota: caps(&[(Cap::DailyTokens, 50)]), ..spec };
    w.ok(Command::SyncAgents(vec![other]));
    assert_eq!(used(&w, &a(), Cap::DailyTokens), (200, 300));
    assert_eq!(w.effects_of("x"), ["start_run"]);
    w.ok(set(&a(), "daily_tokens", "unlimited"));
    assert_eq!(used(&w, &a(), Cap::DailyTokens), (200, -1));
    // To say the same again is no change.
    let seen = w.events.len();
    w.ok(set(&a(), "daily_tokens", "unlimited"));
    assert_eq!(w.events.len(), seen);
    // Taken back, the configuration's limit is one that is passed already: what is at work is stopped.
    w.ok(set(&a(), "daily_tokens", "default"));
    assert_eq!(used(&w, &a(), Cap::DailyTokens), (200, 0));
    assert_eq!(w.effects_of("x"), ["start_run", "stop_run"]);
}

#[test]
fn a_quota_that_was_lowered_stops_what_is_at_work_beyond_it() {
    for (scope, key, value) in [
        (a(), "daily_tokens", "100"),
        (m(), "daily_tokens", "100"),
        (m(), "daily_usd", "0.0001"),
        (Scope::Workspace, "daily_usd", "0.0001"),
    ] {
        let mut w = world(Quotas::default(), worker(Some("m"), Rules::default()));
        two(&mut w, policy());
        hold(&mut w, "y");
        w.start("x");
        let usage = Usage { input_tokens: 100, cost_micro_usd: 100, ..Usage::default() };
        w.report("x", "start_run", Report::RunProgress { usage });
        w.ok(set(&scope, key, value));
        assert_eq!(w.effects_of("x"), ["start_run", "stop_run"], "{scope} {key}");
        w.restart_and_compare();
    }
    // A budget of a mission can be set while it is under way, raised too.
    let mut w = world(Quotas::default(), worker(Some("m"), Rules::default()));
    let id = two(&mut w, Policy { on_cap: OnCap::Requeue, ..policy() });
    w.start("x");
    w.start("y");
    w.report("x", "start_run", Report::RunProgress { usage: tokens(60) });
    w.ok(set(&Scope::Mission(id), "tokens", "50"));
    for key in ["x", "y"] {
        assert_eq!(w.effects_of(key), ["start_run", "stop_run"], "{key}");
        w.end(key, Outcome::Cancelled);
    }
    assert_eq!((w.mission_state(id), w.blocked_reason(id)), (MissionState::Blocked, "mission tokens exceeded".into()));
    w.restart_and_compare();
    w.ok(set(&Scope::Mission(id), "tokens", "100"));
    assert_eq!((w.phase("x"), w.mission_state(id)), (Phase::Assigned, MissionState::Running));
}

#[test]
fn a_quota_that_is_lowered_in_the_configuration_stops_as_if_it_were_set() {
    let rules = |cap, limit| Rules { caps: [(cap, limit)].into(), ..Rules::default() };
    for (scope, cap) in [
        (a(), Cap::DailyTokens),
        (m(), Cap::DailyTokens),
        (m(), Cap::DailyUsd),
        (Scope::Workspace, Cap::DailyUsd),
        (Scope::Repo, Cap::DailyPrs),
    ] {
        // Without what an operator has set, and over it.
        for set_before in [false, true] {
            let mut w = world(Quotas::default(), worker(Some("m"), Rules::default()));
            two(&mut w, policy());
            hold(&mut w, "y");
            w.start("x");
            let usage = Usage { input_tokens: 100, cost_micro_usd: 100, ..Usage::default() };
            w.report("x", "start_run", Report::RunProgress { usage });
            if set_before {
                w.ok(Command::SetQuota(scope.clone(), Setting::Cap(cap, Some(1_000))));
            }
            let seen = w.events.len();
            let mut quota = w.state.settings().quota.clone();
            let agents = match &scope {
                Scope::Agent(_) => vec![worker(Some("m"), rules(cap, 100))],
                Scope::Model(name) => {
                    quota.models.insert(name.to_string(), rules(cap, 100));
                    Vec::new()
                }
                Scope::Workspace => {
                    quota.workspace = rules(cap, 100);
                    Vec::new()
                }
                Scope::Repo | Scope::Mission(_) => {
                    quota.repo = rules(cap, 100);
                    Vec::new()
                }
            };
            if agents.is_empty() {
                let settings = ProjectSettings { quota, ..w.state.settings().clone() };
                w.ok(Command::Configure(Box::new(settings)));
            } else {
                w.ok(Command::SyncAgents(agents));
            }
            let stopped = w.effects_of("x") == ["start_run", "stop_run"];
            let exceeded = w.names_since(seen).contains(&"quota_exceeded");
            let wanted = !set_before && cap != Cap::DailyPrs;
            assert_eq!((stopped, exceeded), (wanted, wanted), "{scope} {cap:?}, set before: {set_before}");
            w.restart_and_compare();
        }
    }
}

#[test]
fn what_cannot_be_set_is_refused_and_nothing_changes() {
    let mut w = world(Quotas::default(), worker(None, Rules::default()));
    let mission = two(&mut w, policy());
    let cap = |cap| Setting::Cap(cap, Some(1));
    let nobody = Scope::Agent("nobody".into());
    let strange = Scope::Mission("0197c3d2-0000-7000-8000-000000000001".parse().unwrap());
    for (scope, setting, code) in [
        (nobody, cap(Cap::DailyTokens), "not_found"),
        (strange, cap(Cap::Tokens), "not_found"),
        (a(), cap(Cap::DailyUsd), "invalid"),
        (Scope::Mission(mission), cap(Cap::DailyTokens), "invalid"),
        (m(), Setting::Models(None), "invalid"),
    ] {
        let refused: Refused = w.refused(Command::SetQuota(scope.clone(), setting));
        assert_eq!(refused.code(), code, "{scope}");
    }
    let over = w.mission(vec![item("over", &[])]);
    w.ok(Command::StopMission(over, musher_core::effect::Stop::Kill));
    let refused = w.refused(Command::SetQuota(Scope::Mission(over), cap(Cap::Tokens)));
    assert!(refused.to_string().contains("while it is cancelled"), "{refused}");
    // A model that nobody uses yet may be limited beforehand.
    w.ok(Command::SetQuota(Scope::Model("new".into()), cap(Cap::DailyTokens)));
}

#[test]
fn a_run_outlives_midnight_and_what_it_uses_then_is_of_the_new_day() {
    let berlin = Quotas { timezone: "Europe/Berlin".into(), ..Quotas::default() };
    let mut w = world(berlin, worker(Some("m"), caps(&[(Cap::DailyTokens, 1000), (Cap::ConcurrentJobs, 1)])));
    two(&mut w, policy());
    w.start("x");
    w.report("x", "start_run", Report::RunProgress { usage: tokens(300) });
    w.now = at("2026-01-31T22:59:59Z");
    w.settle();
    assert_eq!(used(&w, &a(), Cap::DailyTokens), (300, 700));
    w.now = at("2026-01-31T23:00:00Z");
    w.settle();
    assert_eq!(used(&w, &a(), Cap::DailyTokens), (0, 1000));
    assert_eq!(used(&w, &a(), Cap::DailyJobs).0, 0);
    // It still counts as live.
    assert_eq!((used(&w, &a(), Cap::ConcurrentJobs), w.phase("y")), ((1, 0), Phase::Ready));
    w.report("x", "start_run", Report::RunProgress { usage: tokens(20) });
    w.restart_and_compare();
    assert_eq!(used(&w, &a(), Cap::DailyTokens).0, 20);
    // Half of 320 is more than was charged today: nothing of yesterday is given back to today.
    w.end("x", failed(FailureClass::Agent, "no"));
    assert_eq!((used(&w, &a(), Cap::DailyTokens).0, used(&w, &m(), Cap::DailyTokens).0), (0, 0));
}

#[test]
fn a_day_of_23_or_25_hours_is_one_day() {
    for (zone, begins, ends) in [
        ("Europe/Berlin", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"),
        ("Europe/Berlin", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"),
        ("America/New_York", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"),
        ("America/New_York", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"),
    ] {
        let quota = Quotas { timezone: zone.into(), ..Quotas::default() };
        let mut w = world(quota, worker(Some("m"), caps(&[(Cap::DailyJobs, 1)])));
        w.now = at(begins);
        two(&mut w, policy());
        w.start("x");
        let mut hours = 0;
        while w.phase("y") == Phase::Ready {
            assert!(w.now < at(ends), "{zone}: y still waits at {}", w.now);
            w.pass(Duration::from_secs(1_800));
            hours += 1;
        }
        assert_eq!(w.now, at(ends), "{zone} after {hours} half hours");
    }
}

#[test]
fn a_shorter_quota_than_the_limit_is_how_long_a_run_may_take() {
    let mut w = world(Quotas::default(), worker(None, caps(&[(Cap::MaxRunDuration, 600)])));
    let secs = |w: &World| run_secs(&w.state, w.state.agent_named("a").unwrap());
    assert_eq!(secs(&w), 600);
    for (value, wanted) in [("1h", 3_600), ("9h", 7_200), ("unlimited", 7_200), ("default", 600)] {
        w.ok(set(&a(), "max_run_duration", value));
        assert_eq!(secs(&w), wanted, "{value}");
    }
}

#[test]
fn an_archived_mission_takes_its_account_with_it() {
    let mut w = world(Quotas::default(), worker(None, Rules::default()));
    let id = w.mission(vec![item("x", &[])]);
    w.ok(set(&Scope::Mission(id), "tokens", "1000"));
    assert!(w.state.books().mission(id).is_some());
    w.complete("x");
    w.pass(Duration::from_secs(5 * 3_600));
    assert!(w.state.mission(id).is_none() && w.state.books().mission(id).is_none());
    w.restart_and_compare();
    assert!(w.state.books().agent("a").is_some());
}
