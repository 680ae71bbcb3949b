//! The table of quotas, row by row: each refuses with its words and until its moment, and of two the first is told.

use std::iter::successors;

use musher_core::agent::AgentSpec;
use musher_core::command::{Command, Push, Report};
use musher_core::config::ProjectSettings;
use musher_core::item::Phase;
use musher_core::mission::{Delivery, Policy};
use musher_core::quota::{Cap, Denied, Quotas, Rules, Scope, check};
use musher_core::run::{FailureClass, Outcome, Usage};
use musher_core::time::Timestamp;
use musher_core::wait::{self, WaitCode};

use crate::quotas::{a, at, caps, hold, m, of_model, release, set, two, usd, used, waits, worker};
use crate::world::{World, failed, finished, item, policy, settings, tokens};

/// The rules in the order of the table; those that are not asked before a run begins come last.
fn after(rule: &Denied) -> Option<Denied> {
    let m = || "m".into();
    match rule {
        Denied::ModelNotAllowed(_) => Some(Denied::AgentTokens),
        Denied::AgentTokens => Some(Denied::AgentJobs),
        Denied::AgentJobs => Some(Denied::AgentConcurrent),
        Denied::AgentConcurrent => Some(Denied::ModelTokens(m())),
        Denied::ModelTokens(_) => Some(Denied::ModelRequests(m())),
        Denied::ModelRequests(_) => Some(Denied::ModelUsd(m())),
        Denied::ModelUsd(_) => Some(Denied::RepoCooldown),
        Denied::RepoCooldown => Some(Denied::MissionUsd),
        Denied::MissionUsd => Some(Denied::MissionTokens),
        Denied::MissionTokens => Some(Denied::WorkspaceUsd),
        Denied::WorkspaceUsd => Some(Denied::RepoPrs),
        Denied::RepoPrs => Some(Denied::RunUsd),
        Denied::RunUsd => Some(Denied::RunTokens),
        Denied::RunTokens => None,
    }
}

fn all() -> Vec<Denied> {
    successors(Some(Denied::ModelNotAllowed("m".into())), after).collect()
}

/// The words of the table.
fn words(rule: &Denied) -> &'static str {
    match rule {
        Denied::ModelNotAllowed(_) => "model not in allowlist: m",
        Denied::AgentTokens => "daily token limit exceeded",
        Denied::AgentJobs => "daily job limit exceeded",
        Denied::AgentConcurrent => "concurrent job limit reached",
        Denied::ModelTokens(_) => "global model token budget exceeded for: m",
        Denied::ModelRequests(_) => "global model request budget exceeded for: m",
        Denied::ModelUsd(_) => "global model usd budget exceeded for: m",
        Denied::RepoCooldown => "repo cooldown_after_failure not over",
        Denied::MissionUsd => "mission usd exceeded",
        Denied::MissionTokens => "mission tokens exceeded",
        Denied::WorkspaceUsd => "workspace daily_usd exceeded",
        Denied::RepoPrs => "repo daily_prs exceeded",
        Denied::RunUsd => "run usd exceeded",
        Denied::RunTokens => "run tokens exceeded",
    }
}

/// What is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Asks {
    /// Another run.
    #[default]
    Run,
    /// Another pull request.
    Pull,
}

/// A row of the table: what is limited, what the first uses and how it ends, and until when the second is refused.
struct Row {
    asks: Asks,
    quota: Quotas,
    agent: Rules,
    policy: Policy,
    /// What an operator sets when the first is over.
    then: Option<(Scope, &'static str, &'static str)>,
    usage: Usage,
    outcome: Option<Outcome>,
    until: Option<&'static str>,
}

impl Default for Row {
    fn default() -> Self {
        Self {
            asks: Asks::Run,
            quota: Quotas::default(),
            agent: Rules::default(),
            policy: policy(),
            then: None,
            usage: Usage::default(),
            outcome: Some(finished("done")),
            until: Some("2026-02-01T00:00:00Z"),
        }
    }
}

/// Nothing for what another run begins with unused: `a_cap_stops_a_run_in_flight_and_its_item_follows_the_policy`.
fn row(rule: &Denied) -> Option<Row> {
    let repo = |cap, limit| Quotas { repo: caps(&[(cap, limit)]), ..Quotas::default() };
    let row = match rule {
        Denied::ModelNotAllowed(_) => Row { then: Some((a(), "model_allowlist", "n")), until: None, ..Row::default() },
        Denied::AgentTokens => Row { agent: caps(&[(Cap::DailyTokens, 100)]), usage: tokens(100), ..Row::default() },
        Denied::AgentJobs => Row { agent: caps(&[(Cap::DailyJobs, 1)]), ..Row::default() },
        Denied::AgentConcurrent => {
            Row { agent: caps(&[(Cap::ConcurrentJobs, 1)]), outcome: None, until: None, ..Row::default() }
        }
        Denied::ModelTokens(_) => {
            Row { quota: of_model(caps(&[(Cap::DailyTokens, 100)])), usage: tokens(100), ..Row::default() }
        }
        Denied::ModelRequests(_) => Row {
            quota: of_model(caps(&[(Cap::HourlyRequests, 1)])),
            until: Some("2026-01-31T11:00:00Z"),
            ..Row::default()
        },
        Denied::ModelUsd(_) => {
            Row { quota: of_model(caps(&[(Cap::DailyUsd, 100)])), usage: usd(100), ..Row::default() }
        }
        Denied::RepoCooldown => Row {
            quota: repo(Cap::CooldownAfterFailure, 60),
            outcome: Some(failed(FailureClass::Agent, "no")),
            until: Some("2026-01-31T10:31:00Z"),
            ..Row::default()
        },
        Denied::MissionUsd => Row {
            policy: Policy { budget_usd: Some(0.0001), ..policy() },
            usage: usd(100),
            until: None,
            ..Row::default()
        },
        Denied::MissionTokens => Row {
            policy: Policy { budget_tokens: Some(100), ..policy() },
            usage: tokens(100),
            until: None,
            ..Row::default()
        },
        Denied::WorkspaceUsd => Row {
            quota: Quotas { workspace: caps(&[(Cap::DailyUsd, 100)]), ..Quotas::default() },
            usage: usd(100),
            ..Row::default()
        },
        Denied::RepoPrs => Row { asks: Asks::Pull, quota: repo(Cap::DailyPrs, 1), ..Row::default() },
        Denied::RunUsd | Denied::RunTokens => return None,
    };
    Some(row)
}

fn rows() -> Vec<(&'static str, Row)> {
    all().iter().filter_map(|rule| row(rule).map(|row| (words(rule), row))).collect()
}

/// The world of a row after its first run or pull request; nothing but the row keeps `y` from its own.
fn after_first(row: &Row, usage: Usage) -> World {
    let delivery = if row.asks == Asks::Pull { Delivery::Pr } else { settings().delivery };
    let mut w = World::with_settings(ProjectSettings { delivery, quota: row.quota.clone(), ..settings() });
    w.now = at("2026-01-31T10:30:00Z");
    w.agent(worker(Some("m"), row.agent.clone()));
    // Made while nothing can be given away, so that `y` does not begin beside `x`.
    w.ok(Command::PauseAgent(w.agent_id("a")));
    two(&mut w, row.policy.clone());
    hold(&mut w, "y");
    w.ok(Command::ResumeAgent(w.agent_id("a")));
    if row.asks == Asks::Pull {
        release(&mut w, "y");
        for key in ["x", "y"] {
            w.work(key);
            w.report(key, "push_branch", Report::Pushed(Push::Done));
        }
        return w;
    }
    w.start("x");
    if let Some(outcome) = &row.outcome {
        w.report("x", "start_run", Report::RunFinished { outcome: outcome.clone(), usage });
    }
    if let Some((scope, key, value)) = &row.then {
        w.ok(set(scope, key, value));
    }
    release(&mut w, "y");
    w
}

fn is_let_through(w: &World, row: &Row) -> bool {
    match row.asks {
        Asks::Run => w.phase("y") == Phase::Assigned,
        Asks::Pull => w.effects_of("y") == ["open_pull"],
    }
}

/// The limits of a row, each changed.
fn change(row: &mut Row, with: impl Fn(Cap, u64) -> u64) {
    let of = |rules: &mut Rules| rules.caps.iter_mut().for_each(|(cap, limit)| *limit = with(*cap, *limit));
    of(&mut row.agent);
    of(&mut row.quota.workspace);
    of(&mut row.quota.repo);
    row.quota.models.values_mut().for_each(of);
}

#[test]
fn every_quota_refuses_with_its_words_and_until_its_moment() {
    for (words, row) in rows() {
        let w = after_first(&row, row.usage);
        let (code, text, until) = waits(&w, "y").unwrap_or_else(|| panic!("{words}: y is {:?}", w.phase("y")));
        assert_eq!(code, WaitCode::Quota, "{words}");
        assert!(
            text == words || text.ends_with(&format!(": {words}")) || text.ends_with(&format!("({words})")),
            "{words}: {text}"
        );
        assert_eq!(until, row.until.map(at), "{words}");
        assert_eq!(w.item("y").attempts, 0, "{words}: a quota counts no attempt");
        assert!(!is_let_through(&w, &row), "{words}");
    }
}

#[test]
fn with_one_left_no_quota_refuses() {
    for (words, mut row) in rows() {
        let counted = |cap| matches!(cap, Cap::DailyJobs | Cap::ConcurrentJobs | Cap::HourlyRequests | Cap::DailyPrs);
        change(&mut row, |cap, limit| if counted(cap) { limit + 1 } else { limit });
        // What failed not long ago did not fail, and the model is one of those that may be used.
        if row.quota.repo.caps.contains_key(&Cap::CooldownAfterFailure) {
            row.outcome = Some(finished("done"));
        }
        row.then = row.then.map(|(scope, key, value)| (scope, key, if value == "n" { "n,m" } else { value }));
        let less = Usage {
            input_tokens: row.usage.input_tokens.saturating_sub(1),
            cost_micro_usd: row.usage.cost_micro_usd.saturating_sub(1),
            ..Usage::default()
        };
        assert!(is_let_through(&after_first(&row, less), &row), "{words} with one left");
    }
}

#[test]
fn zero_is_unlimited_and_so_is_what_nobody_has_said() {
    for (words, mut row) in rows() {
        change(&mut row, |_, _| 0);
        (row.policy.budget_usd, row.policy.budget_tokens) = (Some(0.0), Some(0));
        row.then = row.then.map(|(scope, key, _)| (scope, key, "unlimited"));
        assert!(is_let_through(&after_first(&row, row.usage), &row), "{words} at 0");
        let nothing = Row { quota: Quotas::default(), agent: Rules::default(), policy: policy(), then: None, ..row };
        assert!(is_let_through(&after_first(&nothing, nothing.usage), &nothing), "{words} unsaid");
    }
}

#[test]
fn what_waits_for_a_quota_begins_by_itself_when_the_quota_is_there_again() {
    for (words, row) in rows() {
        let Some(until) = row.until.map(at) else { continue };
        let mut w = after_first(&row, row.usage);
        if row.asks == Asks::Pull {
            w.report("x", "open_pull", Report::DriverFailed { error: "no summary".into() });
        }
        w.restart_and_compare();
        w.now = Timestamp::from_micros(until.as_micros() - 1);
        w.settle();
        assert!(!is_let_through(&w, &row), "{words} a moment before");
        assert!(w.state.next_due().is_some_and(|due| due <= until), "{words}: nothing would look again");
        w.now = until;
        w.settle();
        assert!(is_let_through(&w, &row), "{words}");
    }
}

/// A world in which one setting an operator makes is enough for each rule to refuse: `x` works and has used something, a
/// run has failed a moment ago, and `y` is held.
fn on_the_brink() -> World {
    let mut w = World::with_settings(settings());
    w.now = at("2026-01-31T10:30:00Z");
    w.agent(AgentSpec { max_load: 9, ..worker(Some("m"), Rules::default()) });
    w.ok(set(&Scope::Repo, "cooldown_after_failure", "1h"));
    w.mission_with(Policy { max_parallel_items: 9, ..policy() }, ["x", "y", "z"].map(|key| item(key, &[])).to_vec());
    hold(&mut w, "y");
    w.start("x");
    let usage = Usage { input_tokens: 100, cost_micro_usd: 100, ..Usage::default() };
    w.report("x", "start_run", Report::RunProgress { usage });
    w.start("z");
    w.end("z", failed(FailureClass::Agent, "no"));
    hold(&mut w, "z");
    w.ok(set(&Scope::Repo, "cooldown_after_failure", "unlimited"));
    assert_eq!((w.phase("x"), used(&w, &a(), Cap::DailyJobs).0), (Phase::Running, 2));
    w
}

/// What makes a rule refuse in that world; nothing for those that are not asked before a run begins.
fn brings(rule: &Denied, w: &World) -> Option<(Scope, &'static str, &'static str)> {
    let mission = || mission_of(w);
    Some(match rule {
        Denied::ModelNotAllowed(_) => (a(), "model_allowlist", "n"),
        Denied::AgentTokens => (a(), "daily_tokens", "100"),
        Denied::AgentJobs => (a(), "daily_jobs", "2"),
        Denied::AgentConcurrent => (a(), "concurrent_jobs", "1"),
        Denied::ModelTokens(_) => (m(), "daily_tokens", "100"),
        Denied::ModelRequests(_) => (m(), "hourly_requests", "2"),
        Denied::ModelUsd(_) => (m(), "daily_usd", "0.0001"),
        Denied::RepoCooldown => (Scope::Repo, "cooldown_after_failure", "1h"),
        Denied::MissionUsd => (mission(), "usd", "0.0001"),
        Denied::MissionTokens => (mission(), "tokens", "100"),
        Denied::WorkspaceUsd => (Scope::Workspace, "daily_usd", "0.0001"),
        Denied::RepoPrs | Denied::RunUsd | Denied::RunTokens => return None,
    })
}

fn mission_of(w: &World) -> Scope {
    Scope::Mission(w.item("x").mission)
}

fn answer(w: &World) -> Result<(), Denied> {
    check(&w.state, w.state.agent_named("a").unwrap(), Some(w.item("y").mission), w.now)
}

#[test]
fn of_two_rules_that_refuse_the_first_of_the_table_is_told() {
    let asked: Vec<Denied> = all().into_iter().filter(|rule| brings(rule, &on_the_brink()).is_some()).collect();
    assert_eq!(asked.len(), 11);
    assert_eq!(answer(&on_the_brink()), Ok(()), "none refuses by itself");
    for (place, first) in asked.iter().enumerate() {
        for second in &asked[place + 1..] {
            for turned in [false, true] {
                let mut w = on_the_brink();
                let (one, other) = (brings(first, &w).unwrap(), brings(second, &w).unwrap());
                for (scope, key, value) in if turned { [&other, &one] } else { [&one, &other] } {
                    w.ok(set(scope, key, value));
                }
                assert_eq!(answer(&w), Err(first.clone()), "{first} and {second}");
                release(&mut w, "y");
                let told: Vec<String> = wait::of_item(&w.state, w.id("y")).into_iter().map(|wait| wait.text).collect();
                let is_told = |rule: &Denied| told.iter().any(|text| text.contains(words(rule)));
                // What its mission waits for is told beside what keeps agents from it.
                let of_mission = [first, second].iter().any(|rule| brings(rule, &w).unwrap().0 == mission_of(&w));
                assert!(is_told(first) && (of_mission || !is_told(second)), "{first} and {second}: {told:?}");
                hold(&mut w, "y");
                // Without the first the second is told: it has refused as well.
                w.ok(set(&one.0, one.1, "unlimited"));
                assert_eq!(answer(&w), Err(second.clone()), "{second} alone");
            }
        }
    }
}
