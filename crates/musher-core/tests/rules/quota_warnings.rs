//! The warning: at 80 % of any quota that is added up, once a period, and again in the next.

use std::iter::successors;
use std::time::Duration;

use musher_core::agent::{AgentSpec, Limits};
use musher_core::command::{Command, Push, Report};
use musher_core::config::ProjectSettings;
use musher_core::event::{Event, Happened};
use musher_core::id::MissionId;
use musher_core::item::Phase;
use musher_core::mission::{Delivery, Policy};
use musher_core::quota::{Cap, Rules, Scope, Setting};

use crate::quotas::{a, at, hold, m, release, usd, worker};
use crate::world::{World, item, policy, settings, tokens};

/// Every cap, one after the other.
fn after(cap: &Cap) -> Option<Cap> {
    match cap {
        Cap::DailyTokens => Some(Cap::DailyJobs),
        Cap::DailyJobs => Some(Cap::ConcurrentJobs),
        Cap::ConcurrentJobs => Some(Cap::MaxRunDuration),
        Cap::MaxRunDuration => Some(Cap::HourlyRequests),
        Cap::HourlyRequests => Some(Cap::DailyUsd),
        Cap::DailyUsd => Some(Cap::DailyPrs),
        Cap::DailyPrs => Some(Cap::CooldownAfterFailure),
        Cap::CooldownAfterFailure => Some(Cap::Usd),
        Cap::Usd => Some(Cap::Tokens),
        Cap::Tokens => None,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Workspace,
    Repo,
    Mission,
    Agent,
    Model,
    /// The limits of one run.
    Run,
}

fn whose(cap: Cap) -> &'static [Whose] {
    match cap {
        Cap::DailyTokens => &[Whose::Agent, Whose::Model],
        Cap::DailyJobs | Cap::ConcurrentJobs | Cap::MaxRunDuration => &[Whose::Agent],
        Cap::HourlyRequests => &[Whose::Model],
        Cap::DailyUsd => &[Whose::Model, Whose::Workspace],
        Cap::DailyPrs | Cap::CooldownAfterFailure => &[Whose::Repo],
        Cap::Usd | Cap::Tokens => &[Whose::Mission, Whose::Run],
    }
}

/// When what was used counts no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    At(&'static str),
    Never,
}

/// When the period of a cap ends; nothing for those that nothing is added up of, which have no 80 %.
fn period(cap: Cap) -> Option<Ends> {
    match cap {
        Cap::DailyTokens | Cap::DailyJobs | Cap::DailyUsd | Cap::DailyPrs => Some(Ends::At("2026-02-01T00:00:00Z")),
        Cap::HourlyRequests => Some(Ends::At("2026-01-31T11:00:00Z")),
        Cap::Usd | Cap::Tokens => Some(Ends::Never),
        Cap::ConcurrentJobs | Cap::MaxRunDuration | Cap::CooldownAfterFailure => None,
    }
}

fn key(n: usize) -> String {
    format!("i{n}")
}

const LIMIT: u64 = 10;

/// One run is at work, and everything else is held; nothing is limited but this.
fn limited(whose: Whose, cap: Cap) -> (World, MissionId) {
    let mut w = World::with_settings(ProjectSettings { delivery: Delivery::Pr, ..settings() });
    w.now = at("2026-01-31T10:30:00Z");
    let limits = match (whose, cap) {
        (Whose::Run, Cap::Usd) => Limits { cost_micro_usd: Some(LIMIT), ..Limits::default() },
        (Whose::Run, _) => Limits { tokens: Some(LIMIT), ..Limits::default() },
        _ => Limits::default(),
    };
    w.agent(AgentSpec { max_load: 0, limits, ..worker(Some("m"), Rules::default()) });
    w.ok(Command::PauseAgent(w.agent_id("a")));
    let items = (0..25).map(|n| item(&key(n), &[])).collect();
    let mission = w.mission_with(Policy { max_parallel_items: 99, ..policy() }, items);
    (0..25).for_each(|n| hold(&mut w, &key(n)));
    w.ok(Command::ResumeAgent(w.agent_id("a")));
    if let Some(scope) = scope(whose, mission) {
        w.ok(Command::SetQuota(scope, Setting::Cap(cap, Some(LIMIT))));
    }
    (w, mission)
}

fn scope(whose: Whose, mission: MissionId) -> Option<Scope> {
    match whose {
        Whose::Workspace => Some(Scope::Workspace),
        Whose::Repo => Some(Scope::Repo),
        Whose::Mission => Some(Scope::Mission(mission)),
        Whose::Agent => Some(a()),
        Whose::Model => Some(m()),
        Whose::Run => None,
    }
}

/// Uses one more of what a cap counts: the `n`-th since the beginning.
fn use_one(w: &mut World, cap: Cap, n: usize) {
    let progress = |w: &mut World, usage| {
        if w.phase("i0") != Phase::Running {
            release(w, "i0");
            w.start("i0");
        }
        w.report("i0", "start_run", Report::RunProgress { usage });
    };
    match cap {
        Cap::DailyTokens | Cap::Tokens => progress(w, tokens(1)),
        Cap::DailyUsd | Cap::Usd => progress(w, usd(1)),
        Cap::DailyJobs | Cap::HourlyRequests | Cap::ConcurrentJobs => {
            release(w, &key(n));
            assert_eq!(w.phase(&key(n)), Phase::Assigned, "the check goes on: run {n} begins");
        }
        Cap::DailyPrs => {
            release(w, &key(n));
            w.work(&key(n));
            w.report(&key(n), "push_branch", Report::Pushed(Push::Done));
            assert_eq!(w.effects_of(&key(n)), ["open_pull"], "the check goes on: pull request {n} is opened");
        }
        Cap::MaxRunDuration | Cap::CooldownAfterFailure => unreachable!("nothing of it is used"),
    }
}

fn said(w: &World) -> (usize, usize) {
    (w.said("quota_warning"), w.said("quota_exceeded"))
}

fn warnings(w: &World) -> impl Iterator<Item = &Event> {
    w.events.iter().filter(|event| event.happened.name() == "quota_warning")
}

#[test]
fn eighty_percent_of_any_quota_are_said_once_a_period_and_so_is_its_end() {
    for cap in successors(Some(Cap::DailyTokens), after) {
        let Some(ends) = period(cap) else { continue };
        for whose in whose(cap) {
            let name = format!("{} of {whose:?}", cap.name());
            let (mut w, mission) = limited(*whose, cap);
            for n in 0..9 {
                // What counts for good is not said again on another day.
                if n == 8 && ends == Ends::Never {
                    w.pass(Duration::from_secs(25 * 3_600));
                }
                use_one(&mut w, cap, n);
                assert_eq!(said(&w), (usize::from(n + 1 >= 8), 0), "{name}: {} of {LIMIT}", n + 1);
            }
            let text = match scope(*whose, mission) {
                Some(scope) => scope.to_string(),
                None => format!("run:{}", w.run_of("i0")),
            };
            let wanted = Happened::QuotaWarning { scope: text.into(), cap, used: 8, limit: LIMIT };
            let warning = warnings(&w).next().unwrap();
            let agent = matches!(whose, Whose::Agent | Whose::Run).then(|| w.agent_id("a"));
            let mission = matches!(whose, Whose::Mission | Whose::Run).then_some(mission);
            assert_eq!((&warning.happened, warning.agent, warning.mission), (&wanted, agent, mission), "{name}");

            let mut used = 9;
            if let Ends::At(end) = ends {
                w.now = at(end);
                w.settle();
                for n in 0..9 {
                    use_one(&mut w, cap, used + n);
                    assert_eq!(said(&w), (1 + usize::from(n + 1 >= 8), 0), "{name}: {} of the next period", n + 1);
                }
                assert_eq!(warnings(&w).last().unwrap().happened, wanted, "{name}");
                used += 9;
            }
            let before = said(&w).0;
            assert_eq!(before, if ends == Ends::Never { 1 } else { 2 }, "{name}");
            use_one(&mut w, cap, used);
            assert_eq!(said(&w), (before, 1), "{name}: the last one");
        }
    }
}

#[test]
fn what_passes_eighty_percent_and_the_end_at_once_is_said_to_be_used_up_and_nothing_else() {
    for cap in successors(Some(Cap::DailyTokens), after) {
        for whose in whose(cap) {
            let usage = match cap {
                Cap::DailyTokens | Cap::Tokens => tokens(LIMIT),
                Cap::DailyUsd | Cap::Usd => usd(LIMIT),
                Cap::DailyJobs
                | Cap::ConcurrentJobs
                | Cap::MaxRunDuration
                | Cap::HourlyRequests
                | Cap::DailyPrs
                | Cap::CooldownAfterFailure => continue,
            };
            let (mut w, _) = limited(*whose, cap);
            release(&mut w, "i0");
            w.start("i0");
            w.report("i0", "start_run", Report::RunProgress { usage });
            assert_eq!(said(&w), (0, 1), "{} of {whose:?}", cap.name());
            // And once, however much more is used.
            w.report("i0", "start_run", Report::RunProgress { usage });
            assert_eq!(said(&w), (0, 1), "{} of {whose:?}", cap.name());
        }
    }
}

#[test]
fn what_is_not_added_up_has_no_eighty_percent() {
    let (mut w, _) = limited(Whose::Agent, Cap::ConcurrentJobs);
    (0..10).for_each(|n| use_one(&mut w, Cap::ConcurrentJobs, n));
    release(&mut w, "i10");
    assert_eq!((w.phase("i10"), said(&w)), (Phase::Ready, (0, 0)));
}

#[test]
fn the_table_of_warnings_has_every_cap_of_every_scope() {
    let (_, mission) = limited(Whose::Run, Cap::Tokens);
    for one in [Whose::Workspace, Whose::Repo, Whose::Mission, Whose::Agent, Whose::Model] {
        let scope = scope(one, mission).unwrap();
        let mut listed: Vec<Cap> =
            successors(Some(Cap::DailyTokens), after).filter(|cap| whose(*cap).contains(&one)).collect();
        let mut known = scope.caps().to_vec();
        listed.sort_unstable();
        known.sort_unstable();
        assert_eq!(listed, known, "{scope}");
    }
}
