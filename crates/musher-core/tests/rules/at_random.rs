//! Worlds by chance: graphs, agents, answers of drivers and wishes of people at any moment. Whatever happens, the
//! invariants hold after every step, a restart changes nothing, and a helpful person brings every mission to its end.

use std::collections::BTreeMap;

use musher_core::agent::AgentSpec;
use musher_core::approval::{Action, Approvals, Ask, Ruled};
use musher_core::command::{Command, Cut, GateVerdict, Inspection, Lacking, Landing, Push, Rebase, Refused, Report};
use musher_core::config::ProjectSettings;
use musher_core::effect::{Effect, EffectKind, Stop, When};
use musher_core::forge::{
    Check, Conclusion, Finding, ForgeAnswer, ForgeFailure, ForgeWork, Hint, PullMerge, PullSeen, PullState, Review,
    ReviewVerdict,
};
use musher_core::id::{EffectId, Fence, ItemId, MissionId};
use musher_core::item::{Item, ItemState, Kind, Phase, Priority, Qa, Waiting, Wants};
use musher_core::mission::{Delivery, MissionItem, MissionState, OnRateLimit, Policy};
use musher_core::run::{FailureClass, Limit, Outcome, RunState, Verdict};
use musher_core::schedule::Prepared;
use musher_core::watch::{Holds, WatchKind};
use proptest::prelude::*;

use crate::world::{
    World, agent, chain, clean, conflict, cut, failed, finished, item, made, rebase_conflict, red, settings, tokens,
    verdict, words,
};

/// Numbers that decide; proptest makes the list shorter until only what breaks a rule is left.
struct Choices {
    list: Vec<u32>,
    at: usize,
}

impl Choices {
    fn below(&mut self, n: usize) -> usize {
        let choice = self.list.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        choice as usize % n.max(1)
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }

    fn are_left(&self) -> bool {
        self.at < self.list.len()
    }
}

const ROLES: [&str; 4] = ["backend", "tester", "reviewer", "resolver"];
const LABELS: [&str; 2] = ["rust", "sql"];
const NODES: [&str; 2] = ["box-1", "box-2"];
const TOUCHES: [&str; 3] = ["src/**", "src/api/**", "docs/**"];

fn some_agent(c: &mut Choices, n: usize) -> AgentSpec {
    let mut spec = AgentSpec { max_load: c.of(&[1, 2, 0, 1]), ..agent(&format!("a{n}")) };
    spec.roles = if c.one_in(2) { words(&[c.of(&ROLES)]) } else { Box::default() };
    spec.capabilities = if c.one_in(2) { words(&LABELS) } else { Box::default() };
    spec.limits.tokens = c.one_in(4).then_some(50);
    spec.driver = "claude".into();
    spec.node = c.one_in(4).then(|| c.of(&NODES).into());
    spec.approvals = c.of(&[Approvals::Ask, Approvals::Rules, Approvals::Deny]);
    spec
}

fn some_item(c: &mut Choices, mission: usize, n: usize, of: usize, backwards: bool) -> MissionItem {
    let key = |n: usize| format!("m{mission}i{n}");
    let mut wish = item(&key(n), &[]);
    let others = if backwards { n + 1..of } else { 0..n };
    wish.depends_on = others.filter(|_| c.one_in(3)).map(|n| key(n).into()).collect();
    wish.kind = c.of(&Kind::ALL);
    wish.wants = if c.one_in(6) { Wants::Plan } else { Wants::Change };
    wish.priority = c.of(&Priority::ALL);
    wish.role = c.one_in(4).then(|| c.of(&ROLES).into());
    wish.labels = if c.one_in(5) { words(&[c.of(&LABELS)]) } else { Box::default() };
    wish.touches = if c.one_in(3) { words(&[c.of(&TOUCHES)]) } else { Box::default() };
    wish.pin = c.one_in(8).then(|| "a0".into());
    wish.qa = c.one_in(4).then(|| c.of(&[Qa::Human, Qa::Agent, Qa::Server]));
    wish.max_retries = c.one_in(4).then(|| c.of(&[1, 2, 10]));
    wish.skip = c.one_in(9);
    if c.one_in(7) {
        wish.after = vec![c.of(&[WatchKind::IssueClosed("#3".parse().unwrap()), WatchKind::Url("http://x".into())])];
    }
    if c.one_in(9) {
        wish.then = vec![WatchKind::Command(words(&["true"]))];
    }
    wish
}

fn some_world(c: &mut Choices) -> World {
    let delivery = if c.one_in(2) { Delivery::Pr } else { Delivery::Merge };
    let mut w = World::with_settings(ProjectSettings { delivery, require_checks: c.one_in(2), ..settings() });
    for n in 0..1 + c.below(4) {
        let spec = some_agent(c, n);
        w.agent(spec);
    }
    for mission in 0..1 + c.below(3) {
        let (of, backwards) = (1 + c.below(6), c.one_in(2));
        let policy = Policy {
            max_parallel_items: c.of(&[2, 1, 5]),
            reviewer_required: c.one_in(2),
            auto_merge: c.one_in(2),
            budget_tokens: c.one_in(6).then_some(60),
            on_rate_limit: c.of(&OnRateLimit::ALL),
            deadline: c.one_in(8).then(|| w.now.after(std::time::Duration::from_secs(30))),
            ..Policy::default()
        };
        let items = (0..of).map(|n| some_item(c, mission, n, of, backwards)).collect();
        w.mission_with(policy, items);
    }
    w
}

/// What a driver may report of an effect: well, more often than not.
fn some_report(c: &mut Choices, w: &mut World, effect: &Effect) -> Report {
    if c.one_in(20) {
        return Report::DriverFailed { error: c.of(&["git is missing", "no space left"]).into() };
    }
    if c.one_in(2) {
        return w.happy(effect);
    }
    match &effect.kind {
        EffectKind::CreateWorktree => {
            Report::WorktreeFailed { lacking: c.one_in(2).then_some(Lacking::Disk), error: "no".into() }
        }
        EffectKind::StartRun(run) => {
            let starting = w.state.run(*run).is_some_and(|r| r.state == RunState::Starting);
            if starting && !c.one_in(3) {
                return Report::RunStarted;
            }
            if c.one_in(3) {
                return Report::RunProgress { usage: tokens(c.of(&[0, 10, 30])) };
            }
            if c.one_in(3) {
                return talk(c);
            }
            Report::RunFinished { outcome: some_outcome(c), usage: tokens(c.of(&[0, 3])) }
        }
        EffectKind::StopRun(..) => Report::RunStopped,
        EffectKind::TellRun { .. } | EffectKind::AnswerRun { .. } => Report::Told { delivered: c.one_in(2) },
        EffectKind::Inspect => Report::Inspected(match c.below(5) {
            0 => clean("same"),
            1 => Inspection::Empty,
            2 => Inspection::Problems("a rule\nanother".into()),
            3 => Inspection::Missing,
            _ => clean("other"),
        }),
        EffectKind::Gate { .. } => Report::GateFinished(match c.below(4) {
            0 => red("it broke"),
            1 => GateVerdict::TimedOut { tail: "slow".into() },
            2 => GateVerdict::Lost,
            _ => GateVerdict::Green,
        }),
        EffectKind::PrepareMerge { members } => Report::MergePrepared(match c.below(6) {
            0 => conflict(),
            1 => cut(Cut::Empty),
            5 => cut(Cut::Landed { commit: "there".into() }),
            2 => made("same"),
            _ => chain(members.len(), c.below(3)),
        }),
        EffectKind::Rebase => Report::Rebased(match c.below(2) {
            0 => rebase_conflict(),
            _ => Rebase::Done { head: "rebased".into() },
        }),
        EffectKind::Land { .. } => Report::LandingFinished(match c.below(4) {
            0 => Landing::BaseMoved,
            1 => Landing::BaseDirty { why: "not clean".into() },
            2 => Landing::Refused { error: "a hook".into() },
            _ => Landing::Landed,
        }),
        EffectKind::RemoveWorktree { .. } => Report::WorktreeKept { reason: "unmerged commits".into() },
        EffectKind::PushBranch { .. } => Report::Pushed(match c.below(3) {
            0 => Push::Moved { found: "theirs".into() },
            1 => Push::Unanswered { error: "no route to host".into() },
            _ => Push::Failed { error: "a hook".into() },
        }),
        EffectKind::Forge(work) => some_forge(c, w, effect, work),
        EffectKind::PrepareFiring(_) => Report::FiringPrepared(Prepared::Unneeded { text: "exit 0".into() }),
        EffectKind::RunCheck { .. } | EffectKind::FetchUrl { .. } => {
            Report::Probed { met: c.one_in(2), text: "exit 1".into() }
        }
    }
}

/// What a forge may answer: it is down, limits us, is behind, or has changed its mind.
fn some_forge(c: &mut Choices, w: &World, effect: &Effect, work: &ForgeWork) -> Report {
    if c.one_in(4) {
        return Report::ForgeFailed(match c.below(5) {
            0 => ForgeFailure::Limited { until: w.now.after(std::time::Duration::from_secs(90)) },
            1 => ForgeFailure::Refused("no".into()),
            2 => ForgeFailure::NotFound("nothing".into()),
            3 => ForgeFailure::Strange("<html>".into()),
            _ => ForgeFailure::Unavailable("502".into()),
        });
    }
    Report::Forge(match work {
        ForgeWork::OpenPull { draft } => {
            ForgeAnswer::PullOpened { number: 7, url: "u".into(), draft: *draft && c.one_in(2), adopted: c.one_in(4) }
        }
        ForgeWork::LookAtPull { number } => ForgeAnswer::PullLooked(Box::new(some_pull(
            c,
            w,
            effect.item.unwrap_or_else(|| unreachable!("a pull request is an item's")),
            *number,
        ))),
        ForgeWork::MarkReady { .. } => ForgeAnswer::PullReady,
        ForgeWork::RerunChecks { .. } => ForgeAnswer::ChecksRerun { started: c.one_in(2) },
        ForgeWork::FetchLog { .. } => ForgeAnswer::LogFetched { tail: "it broke".into() },
        ForgeWork::MergePull { .. } => ForgeAnswer::PullMerged(match c.below(4) {
            0 => PullMerge::Queued,
            1 => PullMerge::HeadMoved,
            2 => PullMerge::Refused { why: "rules".into() },
            _ => PullMerge::Merged { commit: "m".into() },
        }),
        ForgeWork::CommentPull { .. } | ForgeWork::EditComment { .. } | ForgeWork::React { .. } => {
            ForgeAnswer::Commented { id: 1 }
        }
        ForgeWork::LookAtIssue { .. } => ForgeAnswer::IssueLooked { closed: c.one_in(2), title: "t".into() },
    })
}

fn some_pull(c: &mut Choices, w: &World, item: ItemId, number: u64) -> PullSeen {
    let head = w.state.item(item).and_then(|item| item.head.clone()).unwrap_or_default();
    let head = if c.one_in(6) { "theirs".into() } else { head };
    let check = |word: &str, job| Check { conclusion: Conclusion::parse(word), job, ..Check::default() };
    let of = c.below(3);
    let words = ["success", "success", "failure", "pending", "what"];
    let checks = (0..of).map(|_| check(c.of(&words), c.one_in(2).then_some(3))).collect();
    let verdict = c.of(&[ReviewVerdict::ChangesRequested, ReviewVerdict::Approved]);
    let commit = if c.one_in(3) { "old".into() } else { head.clone() };
    let text: Box<str> = "words".into();
    let review = Review { id: 1, author: "bob".into(), verdict, commit, text: text.clone(), trusted: c.one_in(2) };
    let id = c.of(&["f1", "f2"]).into();
    let (bot, resolved, trusted) = (c.one_in(2), c.one_in(2), c.one_in(2));
    let finding = Finding { id, author: "bot".into(), bot, resolved, text, trusted };
    PullSeen {
        number,
        head,
        base: "main".into(),
        state: c.of(&[PullState::Open, PullState::Open, PullState::Open, PullState::Closed]),
        draft: c.one_in(2),
        mergeable: c.of(&[Some(true), Some(true), None, Some(false)]),
        queued: c.one_in(4),
        checks,
        reviews: if c.one_in(3) { vec![review] } else { Vec::new() },
        findings: if c.one_in(3) { vec![finding] } else { Vec::new() },
        ..PullSeen::default()
    }
}

/// What an agent says on the way.
fn talk(c: &mut Choices) -> Report {
    let reference = c.of(&["1", "2"]);
    match c.below(4) {
        0 => Report::SessionStarted { id: c.of(&["s1", "s2"]).into() },
        1 => Report::PermissionGone(reference.into()),
        2 => Report::LimitReached { limit: Limit::Turns, text: "too many".into() },
        _ => {
            let action = c.of(&[Action::Shell("make".into()), Action::Read(Box::new(["a".into()]))]);
            Report::PermissionAsked { ask: Ask { reference: reference.into(), action }, worktree: "/w".into() }
        }
    }
}

fn some_outcome(c: &mut Choices) -> Outcome {
    match c.below(12) {
        10 => Outcome::RateLimited { resets_at: None, message: "429".into() },
        11 => Outcome::SessionLost { message: "no session".into() },
        0 => failed(FailureClass::Agent, "no"),
        1 => failed(FailureClass::Setup, "not logged in"),
        2 => failed(FailureClass::Timeout, "silent"),
        3 => Outcome::Cancelled,
        4 => Outcome::Lost { while_down: true },
        5 => Outcome::Lost { while_down: false },
        6 => verdict(Verdict::Rejected("no tests".into())),
        7 => finished("no verdict"),
        8 => Outcome::Finished { summary: "none".into(), no_change_needed: Some("done before".into()), verdict: None },
        _ => verdict(Verdict::Approved("fine".into())),
    }
}

/// What a person may wish at any moment, sensible or not.
fn some_wish(c: &mut Choices, w: &World) -> Option<Command> {
    let items: Vec<ItemId> = w.state.missions().flat_map(|m| m.items.clone()).collect();
    let missions: Vec<MissionId> = w.state.missions().map(|m| m.row.id).collect();
    let agents: Vec<_> = w.state.agents().map(|a| (a.id, a.spec.clone())).collect();
    let runs: Vec<_> = w.state.runs().iter().map(|r| r.id).collect();
    if missions.is_empty() || agents.is_empty() {
        return None;
    }
    let (item, mission, (agent, spec)) = (c.of(&items), c.of(&missions), c.of(&agents));
    // Half of the wishes meet the state that they are made for.
    let mut pick = |phases: &[Phase]| {
        let fit = |id: &&ItemId| w.state.item(**id).is_some_and(|i| phases.contains(&i.phase()));
        let fitting: Vec<ItemId> = items.iter().filter(fit).copied().collect();
        if fitting.is_empty() || c.one_in(2) { item } else { c.of(&fitting) }
    };
    let (at_work, held) = (pick(&[Phase::Assigned, Phase::Running, Phase::Waiting]), pick(&[Phase::Held]));
    let (waiting, stuck) = (pick(&[Phase::Waiting]), pick(&[Phase::Blocked, Phase::Failed]));
    let key = w.state.item(at_work).map(|i| i.key.to_string()).unwrap_or_default();
    let how = c.of(&[Stop::Interrupt, Stop::Kill]);
    let requests: Vec<_> = w.state.runs().iter().flat_map(|r| &r.requests).map(|r| r.id).collect();
    let watches: Vec<_> = w.state.watches().map(|watch| watch.id).collect();
    Some(match c.below(36) {
        31 => Command::FreezeItem(item, "wait".into()),
        32 => Command::DemoteItem(at_work, "later".into()),
        33 => Command::SupersedeItem(item, c.of(&items)),
        34 => Command::ReopenItem(item, "more".into()),
        35 => Command::TurnDownItem(waiting, "never".into()),
        28 | 29 => Command::Heartbeat(c.of(&NODES).into()),
        26 if !requests.is_empty() => {
            Command::AnswerRequest(c.of(&requests), c.of(&[Ruled::Allowed, Ruled::Denied]), "so".into())
        }
        27 if !runs.is_empty() => Command::TellRun(c.of(&runs), "hello".into(), c.of(&[When::Next, When::Now])),
        0 | 1 => Command::HoldItem(at_work, "wait".into()),
        2..=4 => Command::ReleaseItem(held),
        5 => Command::SkipItem(item),
        6 => Command::CancelItem(item),
        7 | 8 => Command::RetryItem(stuck),
        9 => Command::ApproveItem(waiting, "good".into()),
        10 if c.one_in(4) => {
            let kind = c.of(&[WatchKind::Url("http://h/".into()), WatchKind::Command(["true"].map(Into::into).into())]);
            Command::AddWatch(item, Box::new(kind), c.of(&[Holds::Start, Holds::Mission]))
        }
        10 => Command::RejectItem(waiting, "bad".into()),
        11 if c.one_in(3) && !watches.is_empty() => {
            let watch = c.of(&watches);
            c.of(&[Command::CloseWatch(watch), Command::SnoozeWatch(watch, 600)])
        }
        11 => Command::DiscardWorktree(item),
        12 if !runs.is_empty() => Command::StopRun(c.of(&runs), how),
        12 | 13 => Command::PauseMission(mission, c.one_in(2).then_some(how), "lunch".into()),
        14 | 15 => Command::ResumeMission(mission),
        16 if c.one_in(4) => Command::StopMission(mission, how),
        16 | 17 => Command::NoteMission(mission, format!("redirect {key} to {}", spec.name).into()),
        18 => Command::NoteMission(mission, c.of(&["resume", "pause now", "continue", "mind the gap", "hold"]).into()),
        19 => Command::NoteMission(mission, format!("priority {key} {}", c.of(&Priority::ALL).name()).into()),
        20 => c.of(&[Command::PauseAgent(agent), Command::DrainAgent(agent)]),
        21 => c.of(&[Command::ResumeAgent(agent), Command::FailOverItem(item)]),
        22 => c.of(&[Command::ResumeAgent(agent), Command::RestartAgent(agent)]),
        23 => c.of(&[Command::RemoveAgent(agent), Command::AgentChecked(agent, Some("no program".into()))]),
        24 => {
            let gate = c.of(&[None, Some("make check".to_owned()), Some("make other".to_owned())]);
            let done_retention_secs = c.of(&[4 * 3600, 60]);
            Command::Configure(Box::new(ProjectSettings { gate, done_retention_secs, ..settings() }))
        }
        25 => {
            let delivery = format!("delivery-{}", c.of(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]));
            Command::TakeWebhook(delivery.into(), vec![c.of(&[Hint::Pull(7), Hint::Issue("#3".parse().unwrap())])])
        }
        _ => Command::SyncAgents(vec![AgentSpec { max_load: 1, ..spec }]),
    })
}

/// What must not change from one step to the next.
#[derive(Default)]
struct Seen {
    fences: BTreeMap<ItemId, Fence>,
    ended: BTreeMap<ItemId, Phase>,
}

fn hold_the_rules(w: &World, seen: &mut Seen) {
    assert!(w.state.next_due().is_none_or(|due| due > w.now), "something due was left, and would spin the clock");
    let mut slots = Vec::new();
    for entry in w.state.missions() {
        let items: Vec<&Item> = entry.items.iter().filter_map(|id| w.state.item(*id)).collect();
        let live = items.iter().filter(|i| i.is_live()).count();
        assert!(live <= entry.row.policy.max_parallel_items as usize, "{live} items of a mission at work");
        if entry.row.state == MissionState::Completed {
            assert!(
                !items.is_empty() && items.iter().all(|i| i.satisfies()),
                "completed with an item that is not done"
            );
        }
        for item in items {
            slots.extend(item.slot);
            assert!(w.state.runs_of(item.id).len() <= 1, "{} has two runs at once", item.key);
            let fence = seen.fences.insert(item.id, item.fence).unwrap_or_default();
            assert!(item.fence >= fence, "the fence of {} fell", item.key);
            if let Some(ended) = seen.ended.get(&item.id) {
                assert_eq!(item.phase(), *ended, "{} left its end", item.key);
            }
            if matches!(item.phase(), Phase::Done | Phase::Cancelled) {
                seen.ended.insert(item.id, item.phase());
            }
            if item.phase() == Phase::Waiting
                && let Some(run) = item.review_run.and_then(|run| w.state.run(run))
            {
                assert_ne!(Some(run.agent), item.agent, "{} is reviewed by its author", item.key);
            }
            if entry.row.state.is_terminal() {
                let lands = matches!(item.phase(), Phase::Merging);
                assert!(item.is_terminal() || lands, "{} is {:?} in an ended mission", item.key, item.phase());
            }
        }
    }
    let all = slots.len();
    slots.sort_unstable();
    slots.dedup();
    assert_eq!(slots.len(), all, "two worktrees share a slot");
    let live: Vec<&Item> = w.state.live_items().filter(|i| i.is_live()).collect();
    for (n, one) in live.iter().enumerate() {
        for other in &live[n + 1..] {
            let overlap = crate::by_the_book::overlap(&one.touches, &other.touches);
            assert!(!overlap, "{} and {} run at once and overlap", one.key, other.key);
        }
    }
}

fn one_step(c: &mut Choices, w: &mut World, closed: &mut Vec<EffectId>) {
    match c.below(16) {
        0..=9 => {
            let open: Vec<Effect> = w.state.effects().cloned().collect();
            if !open.is_empty() {
                let effect = c.of(&open);
                let report = some_report(c, w, &effect);
                w.ok(Command::Report(effect.id, report));
                if w.state.effect(effect.id).is_none() {
                    closed.push(effect.id);
                }
            }
        }
        10..=12 => {
            if let Some(wish) = some_wish(c, w)
                && let Err(refused) = w.say(&crate::world::ann(), wish.clone())
            {
                assert!(!matches!(refused, Refused::Stale { .. }), "{wish:?} of a person was answered {refused}");
            }
        }
        13 => {
            w.until_due();
        }
        14 => w.restart_and_compare(),
        _ => {
            if !closed.is_empty() {
                let late =
                    Command::Report(c.of(closed), Report::RunFinished { outcome: some_outcome(c), usage: tokens(1) });
                assert!(matches!(w.refused(late), Refused::Stale { .. }));
            }
        }
    }
}

/// Answers everything well and lets the time pass, until nothing is left to do.
fn to_rest(w: &mut World, seen: &mut Seen) {
    for _ in 0..1_000 {
        w.drive();
        hold_the_rules(w, seen);
        if !w.until_due() {
            assert!(w.state.runs().is_empty(), "a run is left that nobody ends");
            return;
        }
    }
    panic!("the world does not come to rest");
}

/// What a person does who wants everything to end well.
fn help(w: &mut World) {
    let agents: Vec<_> = w.state.agents().filter(|a| !a.removed).map(|a| a.id).collect();
    for agent in agents {
        w.ok(Command::ResumeAgent(agent));
    }
    let missions: Vec<(MissionId, MissionState, Vec<ItemId>)> =
        w.state.missions().map(|m| (m.row.id, m.row.state, m.items.clone())).collect();
    for (mission, state, items) in missions {
        for id in items {
            let Some(item) = w.state.item(id) else { continue };
            let wish = match &item.state {
                _ if item.frozen.is_some() => Command::ReleaseItem(id),
                ItemState::Held { .. } => Command::ReleaseItem(id),
                ItemState::Blocked(_) => Command::RetryItem(id),
                ItemState::Waiting(Waiting::Approval | Waiting::Review) => Command::ApproveItem(id, "good".into()),
                ItemState::Failed(_) | ItemState::Cancelled(_) if !item.satisfied => Command::SkipItem(id),
                ItemState::Ready if item.pin.as_deref().is_some_and(|pin| pin != "helper") => {
                    Command::NoteMission(mission, format!("redirect {} to helper", item.key).into())
                }
                _ => continue,
            };
            // An earlier wish of this round may have ended the mission, and this one is moot.
            let _ = w.say(&crate::world::ann(), wish);
        }
        if matches!(state, MissionState::Blocked | MissionState::Paused) {
            let _ = w.say(&crate::world::ann(), Command::ResumeMission(mission));
        }
    }
}

fn is_capped(w: &World) -> bool {
    w.state.missions().all(|m| m.row.state.is_terminal() || m.cap_reached().is_some())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, max_shrink_iters: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_rules_hold_and_everything_ends(list in prop::collection::vec(any::<u32>(), 0..800)) {
        let mut c = Choices { list, at: 0 };
        let mut w = some_world(&mut c);
        let (mut seen, mut closed) = (Seen::default(), Vec::new());
        while c.are_left() {
            one_step(&mut c, &mut w, &mut closed);
            hold_the_rules(&w, &mut seen);
        }
        w.restart_and_compare();
        to_rest(&mut w, &mut seen);
        let spec = AgentSpec { max_load: 0, capabilities: words(&LABELS), ..agent("helper") };
        w.agent(spec);
        for _ in 0..40 {
            if is_capped(&w) {
                break;
            }
            help(&mut w);
            to_rest(&mut w, &mut seen);
        }
        prop_assert!(is_capped(&w), "a helpful person cannot end it: {:?}", w.left_over());
    }
}
