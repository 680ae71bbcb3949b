//! Watches that hold up a start or an end: issues, programs, addresses; and what notes do to them.

use std::time::Duration;

use musher_core::command::{Command, Push, Report};
use musher_core::config::ProjectSettings;
use musher_core::event::Happened;
use musher_core::forge::{Check, Conclusion, ForgeAnswer, ForgeFailure, Hint, PullSeen};
use musher_core::item::Phase;
use musher_core::mission::{Delivery, MissionItem, MissionState};
use musher_core::wait::WaitCode;
use musher_core::watch::WatchKind;

use crate::world::{World, agent, item, settings};

const INTERVAL: Duration = Duration::from_secs(180);

fn issue(text: &str) -> WatchKind {
    WatchKind::IssueClosed(text.parse().unwrap())
}

fn after(key: &str, watches: &[WatchKind]) -> MissionItem {
    MissionItem { after: watches.to_vec(), ..item(key, &[]) }
}

fn closed(closed: bool) -> Report {
    Report::Forge(ForgeAnswer::IssueLooked { closed, title: "an issue".into() })
}

#[test]
fn an_item_waits_until_the_issue_that_it_depends_on_is_closed() {
    let mut w = World::with_agents(1);
    w.mission(vec![after("a", &[issue("owner/name#3")])]);
    assert_eq!(
        (w.phase("a"), w.waits("a"), w.effects_of("a")),
        (Phase::Pending, vec![WaitCode::Watch], vec!["look_at_issue"])
    );
    w.report("a", "look_at_issue", closed(false));
    assert_eq!((w.phase("a"), w.state.next_due().unwrap().since(w.now)), (Phase::Pending, INTERVAL));
    w.hint(Hint::Issue("owner/name#3".parse().unwrap()));
    assert_eq!(w.effects_of("a"), ["look_at_issue"], "a webhook makes the look at once");
    w.restart_and_compare();
    w.report("a", "look_at_issue", closed(true));
    assert_eq!((w.phase("a"), w.said("watch_done")), (Phase::Assigned, 1));
}

#[test]
fn an_issue_that_cannot_be_looked_at_blocks_after_five_and_a_retry_looks_again() {
    let mut w = World::with_agents(1);
    w.mission(vec![after("a", &[issue("#3")])]);
    for minutes in [1, 2, 5, 5] {
        w.report("a", "look_at_issue", Report::ForgeFailed(ForgeFailure::NotFound("no issue 3".into())));
        assert_eq!(w.state.next_due().unwrap().since(w.now), Duration::from_secs(minutes * 60));
        w.until_due();
    }
    w.report("a", "look_at_issue", Report::ForgeFailed(ForgeFailure::NotFound("no issue 3".into())));
    assert_eq!(w.phase("a"), Phase::Blocked);
    assert!(w.item("a").reason().unwrap().contains("no issue 3"));
    let id = w.id("a");
    w.ok(Command::RetryItem(id));
    assert_eq!((w.phase("a"), w.effects_of("a")), (Phase::Pending, vec!["look_at_issue"]));
    w.report("a", "look_at_issue", closed(true));
    assert_eq!(w.phase("a"), Phase::Assigned);
}

#[test]
fn a_program_and_an_address_hold_up_the_start_until_they_are_met() {
    let mut w = World::with_agents(1);
    let argv = ["test", "-e", "ready"].map(Into::into).into();
    w.mission(vec![after("a", &[WatchKind::Command(argv), WatchKind::Url("http://127.0.0.1:1/".into())])]);
    w.report("a", "run_check", Report::Probed { met: true, text: "exit 0".into() });
    w.report("a", "fetch_url", Report::Probed { met: false, text: "503".into() });
    assert_eq!((w.phase("a"), w.effects_of("a").len()), (Phase::Pending, 0));
    w.pass(INTERVAL);
    assert_eq!(w.effects_of("a"), ["fetch_url"], "what is met is not looked at again");
    w.report("a", "fetch_url", Report::Probed { met: true, text: "200".into() });
    assert_eq!(w.phase("a"), Phase::Assigned);
}

#[test]
fn a_mission_whose_items_are_done_waits_for_its_open_watches() {
    let mut w = World::with_agents(1);
    let url = WatchKind::Url("http://127.0.0.1:1/health".into());
    let mission = w.mission(vec![MissionItem { then: vec![url], ..item("a", &[]) }]);
    assert!(w.state.open_watches(mission).next().is_none(), "it is looked at from the end of its item on");
    w.complete("a");
    assert_eq!((w.mission_state(mission), w.effects_of("a")), (MissionState::Blocked, vec!["fetch_url"]));
    assert_eq!(w.blocked_reason(mission), "Waiting on 1 active watch(es)");
    w.report("a", "fetch_url", Report::Probed { met: false, text: "503".into() });
    assert_eq!(w.state.next_due().unwrap().since(w.now), INTERVAL, "it wakes at the next due");
    w.restart_and_compare();
    w.pass(INTERVAL);
    w.report("a", "fetch_url", Report::Probed { met: true, text: "200".into() });
    assert_eq!(w.mission_state(mission), MissionState::Completed);
}

/// A blocked mission of which three watches are open: those of a pull request whose checks have succeeded are not.
fn blocked_on_three() -> (World, musher_core::id::MissionId) {
    let mut w = World::with_settings(ProjectSettings { delivery: Delivery::Pr, ..settings() });
    w.agent(agent("a1"));
    let mission = w.mission(vec![item("a", &[]), after("b", &[issue("#9")])]);
    w.work("a");
    w.report("b", "look_at_issue", closed(false));
    w.report("a", "push_branch", Report::Pushed(Push::Done));
    let opened = ForgeAnswer::PullOpened { number: 7, url: "u".into(), draft: false, adopted: false };
    w.report("a", "open_pull", Report::Forge(opened));
    let checks = vec![Check { name: "c".into(), conclusion: Conclusion::Success, ..Check::default() }];
    let head = w.item("a").head.clone().unwrap();
    let review = musher_core::forge::Review {
        id: 1,
        author: "bob".into(),
        verdict: musher_core::forge::ReviewVerdict::ChangesRequested,
        commit: "old".into(),
        text: "no".into(),
        trusted: true,
    };
    let seen = PullSeen { number: 7, head, checks, reviews: vec![review], ..PullSeen::default() };
    w.report("a", "look_at_pull", Report::Forge(ForgeAnswer::PullLooked(Box::new(seen))));
    assert_eq!((w.mission_state(mission), w.state.open_watches(mission).count()), (MissionState::Blocked, 3));
    (w, mission)
}

#[test]
fn resume_overrides_the_open_watches_and_says_how_many_and_by_whom() {
    let (mut w, mission) = blocked_on_three();
    assert_eq!(w.note(mission, "resume"), "resumed; 3 watches overridden by ann, 0 blocked item(s) freed");
    let said = w.events.iter().find_map(|e| match &e.happened {
        Happened::WatchesOverridden { count, by } => Some((*count, by.to_string())),
        _ => None,
    });
    assert_eq!(said, Some((3, "ann".to_owned())));
    assert!(w.state.open_watches(mission).next().is_none());
    assert_eq!((w.phase("a"), w.phase("b")), (Phase::Done, Phase::Assigned), "nothing holds them up any more");
}

#[test]
fn continue_looks_at_everything_at_once_and_overrides_nothing() {
    let (mut w, mission) = blocked_on_three();
    assert_eq!(w.note(mission, "continue"), "resumed; 3 watches are looked at now, nothing overridden");
    assert_eq!((w.effects_of("a"), w.effects_of("b")), (vec!["look_at_pull"], vec!["look_at_issue"]));
    assert_eq!((w.state.open_watches(mission).count(), w.said("watches_overridden")), (3, 0));
}

#[test]
fn words_that_only_begin_like_a_command_are_ordinary_notes() {
    let (mut w, mission) = blocked_on_three();
    for note in ["resumed yesterday", "holding on"] {
        assert!(w.note(mission, note).starts_with("noted"), "{note}");
    }
    assert_eq!((w.mission_state(mission), w.state.open_watches(mission).count()), (MissionState::Blocked, 3));
}
