//! What `musher explain` says: for every code a world in which something waits for just that, and the words.

use musher_core::agent::AgentSpec;
use musher_core::command::{Command, Lacking, Landing, Push, Report};
use musher_core::config::ProjectSettings;
use musher_core::item::Kind;
use musher_core::mission::{Delivery, MissionItem, OnCap, Policy};
use musher_core::quota::{Cap, Quotas, Rules};
use musher_core::run::{FailureClass, Outcome};
use musher_core::wait::{self, WaitCode};
use musher_core::watch::WatchKind;

use crate::world::{World, agent, failed, finished, item, policy, settings, tokens, words};

/// The code after this one, so that a new one needs a row here before anything compiles.
const fn after(code: WaitCode) -> Option<WaitCode> {
    use WaitCode as C;
    Some(match code {
        C::Dependency => C::NotBefore,
        C::NotBefore => C::ParallelLimit,
        C::ParallelLimit => C::NoAgent,
        C::NoAgent => C::AgentsBusy,
        C::AgentsBusy => C::AgentOffline,
        C::AgentOffline => C::AgentPaused,
        C::AgentPaused => C::Quota,
        C::Quota => C::RateLimited,
        C::RateLimited => C::TouchesOverlap,
        C::TouchesOverlap => C::Review,
        C::Review => C::Approval,
        C::Approval => C::Watch,
        C::Watch => C::MergeQueue,
        C::MergeQueue => C::BaseDirty,
        C::BaseDirty => C::Held,
        C::Held => C::Paused,
        C::Paused => C::Blocked,
        C::Blocked => C::Disk,
        C::Disk => C::Lease,
        C::Lease => return None,
    })
}

/// A world in which the item `x` waits for this, and the words of it: what is the matter, and what helps. `ID` is the
/// item's id, `MISSION` its mission's, `UNTIL` the moment told.
fn world_of(code: WaitCode) -> (World, Vec<&'static str>) {
    let mut w = World::with_agents(1);
    let roomy = Policy { max_parallel_items: 9, ..policy() };
    let texts = match code {
        WaitCode::Dependency => {
            w.mission(vec![item("a", &[]), item("x", &["a"])]);
            vec!["depends on a, which is assigned"]
        }
        WaitCode::NotBefore => {
            w.mission(vec![item("x", &[])]);
            w.start("x");
            w.end("x", failed(FailureClass::Agent, "it crashed"));
            vec!["attempt 2 starts at UNTIL; after: it crashed"]
        }
        WaitCode::ParallelLimit => {
            w.agent(agent("a2"));
            w.mission_with(Policy { max_parallel_items: 1, ..policy() }, vec![item("a", &[]), item("x", &[])]);
            vec![
                "its mission has 1 item(s) at work, as many as it may; it starts when one of them ends, and \
                 `max_parallel_items` of the next plan may be higher",
            ]
        }
        WaitCode::NoAgent => {
            w.mission(vec![MissionItem { labels: words(&["gpu"]), ..item("x", &[]) }]);
            vec![
                "1 agent(s): 1 without a capability it needs; `musher agent list` shows their roles and capabilities; an \
                 agent that fits can be added",
            ]
        }
        WaitCode::AgentsBusy => {
            w.mission(vec![item("a", &[]), item("x", &[])]);
            vec!["1 agent(s): 1 busy; it starts when one of them is free; a higher `max_load` gives them more"]
        }
        WaitCode::AgentOffline => {
            w.mission(vec![item("x", &[])]);
            w.start("x");
            w.end("x", failed(FailureClass::Setup, "`agent` is not installed"));
            vec![
                "1 agent(s): 1 unable to start; mend what is said here; `musher agent resume NAME` lets one that could not start try again; a1: `agent` is not \
                 installed",
            ]
        }
        WaitCode::AgentPaused => {
            let id = w.agent_id("a1");
            w.ok(Command::PauseAgent(id));
            w.mission(vec![item("x", &[])]);
            vec!["1 agent(s): 1 paused; `musher agent resume NAME` lets it take work again"]
        }
        WaitCode::Quota => {
            w = World::new();
            let quota = Rules { caps: [(Cap::DailyJobs, 1)].into(), model_allowlist: None };
            w.agent(AgentSpec { quota, max_load: 9, ..agent("a1") });
            w.mission(vec![item("a", &[]), item("x", &[])]);
            vec![
                "1 agent(s): 1 out of quota (daily job limit exceeded); `musher quota` shows what is used, and `musher quota \
                 set` allows more",
            ]
        }
        WaitCode::RateLimited => {
            w.mission(vec![item("x", &[])]);
            w.start("x");
            w.end("x", Outcome::RateLimited { resets_at: None, message: "429".into() });
            vec![
                "the account of a1 rests until UNTIL, and it goes on in its session then; `musher item failover ID` gives it \
                 to another account now",
            ]
        }
        WaitCode::TouchesOverlap => {
            w.agent(agent("a2"));
            let touching = |key| MissionItem { touches: words(&["src/**"]), ..item(key, &[]) };
            w.mission_with(roomy, vec![touching("a"), touching("x")]);
            vec!["a is at work on the same files; it starts when that one is done"]
        }
        WaitCode::Review => {
            w.agent(AgentSpec { roles: words(&["reviewer"]), ..agent("judge") });
            w.mission_with(Policy { reviewer_required: true, ..policy() }, vec![item("x", &[])]);
            w.work("x");
            vec!["judge is reviewing it; a person may decide first: `musher approve ID` or `musher reject ID \"WHY\"`"]
        }
        WaitCode::Approval => {
            let qa = Some(musher_core::item::Qa::Human);
            w.mission(vec![MissionItem { qa, ..item("x", &[]) }]);
            w.work("x");
            vec!["a person must say yes; `musher approve ID` or `musher reject ID \"WHY\"`"]
        }
        WaitCode::Watch => {
            let issue = WatchKind::IssueClosed("acme/lib#9".parse().unwrap());
            w.mission(vec![MissionItem { after: vec![issue], ..item("x", &[]) }]);
            vec!["waits until acme/lib#9 is closed; `musher watch close WATCH` goes on without that"]
        }
        WaitCode::MergeQueue => {
            w.agent(agent("a2"));
            w.mission_with(roomy, vec![item("a", &[]), item("x", &[])]);
            w.work("a");
            w.work("x");
            vec!["1 merge(s) before it; its turn comes by itself"]
        }
        WaitCode::BaseDirty => {
            w.mission(vec![item("x", &[])]);
            w.work("x");
            let made = w.made();
            w.prepare("x", made);
            w.gate("x", musher_core::command::GateVerdict::Green);
            let why = "`/repo` cannot be advanced: it has uncommitted changes: `a`; commit or stash them";
            w.landing("x", Landing::BaseDirty { why: why.into() });
            vec![why]
        }
        WaitCode::Held => {
            w.mission(vec![item("x", &[])]);
            let id = w.id("x");
            w.ok(Command::HoldItem(id, "let me look".into()));
            vec!["let me look; `musher item release ID` puts it back"]
        }
        WaitCode::Paused => {
            let mission = w.mission(vec![item("a", &[]), item("x", &[])]);
            w.ok(Command::PauseMission(mission, None, "lunch".into()));
            vec!["its mission is paused: lunch; `musher mission resume MISSION` lets it go on"]
        }
        WaitCode::Blocked => {
            w.mission(vec![MissionItem { max_retries: Some(1), ..item("x", &[]) }]);
            w.start("x");
            w.end("x", failed(FailureClass::Agent, "it crashed"));
            vec!["max retries exceeded: it crashed; `musher item retry ID` gives it a fresh start"]
        }
        WaitCode::Disk => {
            w.mission(vec![item("x", &[])]);
            let error = "the disk has 1 MiB free and `min_free` is 2048 MiB; make room";
            w.report(
                "x",
                "create_worktree",
                Report::WorktreeFailed { lacking: Some(Lacking::Disk), error: error.into() },
            );
            vec!["the disk has 1 MiB free and `min_free` is 2048 MiB; make room; musher looks again at UNTIL"]
        }
        WaitCode::Lease => {
            w.mission(vec![item("x", &[])]);
            w.start("x");
            let id = w.id("x");
            w.ok(Command::HoldItem(id, "later".into()));
            w.ok(Command::ReleaseItem(id));
            vec!["its earlier run is not ended yet; it goes on by itself then"]
        }
    };
    (w, texts)
}

fn told(w: &World, texts: &[&str]) -> Vec<String> {
    let (id, mission) = (w.id("x").short(), w.item("x").mission.short());
    let watch = w.state.open_watches(w.item("x").mission).next().map(|watch| watch.id.short()).unwrap_or_default();
    let until = wait::of_item(&w.state, w.id("x")).iter().find_map(|wait| wait.until);
    let until = until.map(|at| at.to_string()).unwrap_or_default();
    texts
        .iter()
        .map(|text| {
            text.replace("MISSION", &mission).replace("WATCH", &watch).replace("ID", &id).replace("UNTIL", &until)
        })
        .collect()
}

#[test]
fn every_code_has_a_world_and_says_what_is_the_matter_and_what_helps() {
    let mut code = Some(WaitCode::Dependency);
    while let Some(this) = code {
        let (w, texts) = world_of(this);
        let waits = wait::of_item(&w.state, w.id("x"));
        let of_it: Vec<String> = waits.iter().filter(|wait| wait.code == this).map(|wait| wait.text.clone()).collect();
        assert_eq!(of_it, told(&w, &texts), "{}: {waits:?}", this.name());
        code = after(this);
    }
}

#[test]
fn what_ends_by_itself_says_when() {
    for code in [WaitCode::NotBefore, WaitCode::Quota, WaitCode::RateLimited, WaitCode::BaseDirty, WaitCode::Disk] {
        let (mut w, _) = world_of(code);
        let until = wait::of_item(&w.state, w.id("x"))[0].until.unwrap_or_else(|| panic!("{}: never", code.name()));
        assert!(until > w.now, "{}", code.name());
        w.pass(until.since(w.now));
        let left: Vec<_> = wait::of_item(&w.state, w.id("x")).into_iter().filter(|wait| wait.code == code).collect();
        assert_eq!(left, [], "{}: it has ended", code.name());
    }
}

#[test]
fn other_words_of_the_same_codes() {
    let only = |w: &World| wait::of_item(&w.state, w.id("x")).into_iter().map(|wait| wait.text).collect::<Vec<_>>();

    let mut w = World::new();
    w.mission(vec![item("x", &[])]);
    assert_eq!(
        only(&w),
        ["no agent is configured; `musher agent add` or an `[[agents]]` in `musher.toml` adds one".to_owned()]
    );

    let mut w = World::with_agents(1);
    w.mission(vec![MissionItem { max_retries: Some(1), ..item("a", &[]) }, item("x", &["a"])]);
    w.start("a");
    w.end("a", failed(FailureClass::Agent, "it crashed"));
    let id = w.id("a").short();
    let skip =
        format!("depends on a, which is failed, so it will not be done; `musher item skip {id}` counts it as done");
    assert_eq!(only(&w), [skip]);

    let mut w = World::with_agents(2);
    let budget = Policy { budget_tokens: Some(10), on_cap: OnCap::Block, ..policy() };
    w.mission_with(budget, vec![item("a", &[]), MissionItem { kind: Kind::Test, ..item("x", &["a"]) }]);
    w.start("a");
    w.report("a", "start_run", Report::RunFinished { outcome: finished("done"), usage: tokens(10) });
    let clean = w.clean();
    w.inspect("a", clean);
    w.gate("a", musher_core::command::GateVerdict::Green);
    w.land("a");
    let set = told(&w, &["mission tokens exceeded; `musher quota set mission:MISSION tokens LIMIT` allows more"]);
    assert_eq!(only(&w), set);

    let repo = Rules { caps: [(Cap::DailyPrs, 1)].into(), model_allowlist: None };
    let quota = Quotas { repo, ..Quotas::default() };
    let mut w = World::with_settings(ProjectSettings { delivery: Delivery::Pr, quota, ..settings() });
    w.agent(AgentSpec { max_load: 0, ..agent("a1") });
    w.mission_with(Policy { max_parallel_items: 9, ..policy() }, vec![item("a", &[]), item("x", &[])]);
    for key in ["a", "x"] {
        w.work(key);
        w.report(key, "push_branch", Report::Pushed(Push::Done));
    }
    assert_eq!(only(&w), ["repo daily_prs exceeded; `musher quota set repo daily_prs LIMIT` allows more"]);
}

/// What is said of `x` in a few words.
fn brief(code: WaitCode) -> &'static str {
    match code {
        WaitCode::Dependency => "waits for a",
        WaitCode::NotBefore => "attempt 2",
        WaitCode::ParallelLimit => "its mission has 1 at work",
        WaitCode::NoAgent => "no agent that fits",
        WaitCode::AgentsBusy => "1 agent busy",
        WaitCode::AgentOffline => "1 agent unable to start",
        WaitCode::AgentPaused => "1 agent paused",
        WaitCode::Quota => "quota: daily job limit exceeded",
        WaitCode::RateLimited => "the account of a1 rests",
        WaitCode::TouchesOverlap => "a is at work on the same files",
        WaitCode::Review => "review by judge",
        WaitCode::Approval => "approval by a person",
        WaitCode::Watch => "until acme/lib#9 is closed",
        WaitCode::MergeQueue => "merge queue, 2nd",
        WaitCode::BaseDirty => "merge: `/repo` cannot be advanced: it has uncommitted changes",
        WaitCode::Held => "held: let me look",
        WaitCode::Paused => "its mission is paused",
        WaitCode::Blocked => "",
        WaitCode::Disk => "no room on the disk",
        WaitCode::Lease => "its earlier run is not ended yet",
    }
}

#[test]
fn every_reason_is_said_in_a_few_words_too_without_what_helps_and_without_the_moment() {
    let mut code = Some(WaitCode::Dependency);
    let mut wrong = Vec::new();
    while let Some(this) = code {
        let (w, _) = world_of(this);
        let wait = wait::of_item(&w.state, w.id("x")).into_iter().find(|wait| wait.code == this).unwrap();
        let short = !wait.brief.contains("; ") && !wait.brief.contains("`musher ") && wait.brief.len() < 100;
        let until = wait.until.is_some_and(|at| wait.brief.contains(&at.to_string()));
        if !wait.brief.starts_with(brief(this)) || wait.brief.is_empty() || !short || until {
            wrong.push((this, wait.brief));
        }
        code = after(this);
    }
    assert_eq!(wrong, []);
}

#[test]
fn a_survey_puts_those_that_are_alike_together_and_asks_no_more_than_its_bound() {
    let mut w = World::with_agents(1);
    let names: Vec<String> = (0..300).map(|n| format!("p{n}")).collect();
    let mut items = vec![item("a", &[]), item("b", &[]), item("c", &[])];
    items.extend(names.iter().map(|name| item(name, &["a"])));
    w.mission_with(Policy { max_parallel_items: 9, ..policy() }, items);
    let survey = wait::survey(&w.state);
    let told: Vec<_> =
        survey.groups.iter().map(|g| (g.phase.name(), g.wait.brief.as_str(), g.count, g.items.len())).collect();
    assert_eq!(told, [("ready", "1 agent busy", 2, 2), ("pending", "waits for a", 98, 3)]);
    assert_eq!(survey.left_out.into_iter().map(|(phase, n)| (phase.name(), n)).collect::<Vec<_>>(), [("pending", 202)]);
}

#[test]
fn an_agent_says_why_it_takes_nothing() {
    let mut w = World::with_agents(1);
    let why = |w: &World| wait::of_agent(&w.state, w.state.agent_named("a1").unwrap()).map(|wait| wait.brief);
    assert_eq!(why(&w).as_deref(), Some("nothing is ready"));
    w.mission(vec![MissionItem { labels: words(&["rust"]), ..item("x", &[]) }]);
    assert_eq!(why(&w).as_deref(), Some("nothing that is ready fits it"));
    w.mission(vec![item("y", &[])]);
    assert_eq!(why(&w).as_deref(), Some("1 of 1 at work"));
    let id = w.agent_id("a1");
    w.ok(Command::PauseAgent(id));
    assert_eq!(why(&w).as_deref(), Some("paused"));
}

#[test]
fn a_mission_names_what_is_waited_for_outside_before_its_items_begin() {
    let mut w = World::with_agents(1);
    let first = MissionItem { after: vec![WatchKind::Url("https://h/ready".into())], ..item("first", &[]) };
    w.mission(vec![first, item("last", &[])]);
    let id = w.item("first").mission;
    let told = |w: &World| wait::of_mission(&w.state, id).into_iter().map(|wait| wait.text).collect::<Vec<_>>();
    let named = |w: &World| told(w).iter().any(|text| text.starts_with("first: waits until https://h/ready answers"));
    assert!(named(&w), "{:?}", told(&w));
    let watch = w.state.open_watches(id).next().unwrap().id;
    w.ok(Command::CloseWatch(watch));
    assert!(!named(&w), "{:?}", told(&w));
}
