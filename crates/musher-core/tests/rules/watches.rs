//! Watches that hold up a start or an end: issues, programs, addresses; and what notes do to them.

use std::time::Duration;

use musher_core::command::{Command, Push, Report};
use musher_core::config::ProjectSettings;
use musher_core::event::Happened;
use musher_core::forge::{Check, Conclusion, ForgeAnswer, ForgeFailure, Hint, PullSeen};
use musher_core::item::Phase;
use musher_core::mission::{Delivery, MissionItem, MissionState};
use musher_core::wait::WaitCode;
use musher_core::watch::{Holds, WatchKind};

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
        Happened::WatchesOverridden { count, by, which } => Some((*count, by.to_string(), which.join(", "))),
        _ => None,
    });
    let which = "issue_closed #9 of b, review_comments of a, mergeability of a";
    assert_eq!(said, Some((3, "ann".to_owned(), which.to_owned())));
    assert!(w.state.open_watches(mission).next().is_none());
    assert_eq!((w.phase("a"), w.phase("b")), (Phase::Done, Phase::Assigned), "nothing holds them up any more");
}

#[test]
fn the_command_does_what_the_word_does() {
    let (mut by_word, mission) = blocked_on_three();
    by_word.note(mission, "resume");
    let (mut by_command, mission) = blocked_on_three();
    by_command.ok(Command::ResumeMission(mission));
    assert!(by_command.state.open_watches(mission).next().is_none());
    let said = |w: &World| -> Vec<_> {
        let all = w.events.iter().map(|event| event.happened.name());
        all.filter(|name| *name != "note_applied").map(str::to_owned).collect()
    };
    assert_eq!(said(&by_word), said(&by_command));
    for key in ["a", "b"] {
        assert_eq!(by_word.phase(key), by_command.phase(key), "{key}");
    }
}

#[test]
fn after_a_pause_only_what_holds_the_mission_up_is_overridden() {
    for by_note in [true, false] {
        let mut w = World::with_agents(1);
        let mission = w.mission(vec![item("a", &[]), after("b", &[issue("#9")])]);
        w.report("b", "look_at_issue", closed(false));
        let go_on = |w: &mut World| {
            w.ok(Command::PauseMission(mission, None, "lunch".into()));
            if by_note {
                w.note(mission, "resume");
            } else {
                w.ok(Command::ResumeMission(mission));
            }
        };
        go_on(&mut w);
        assert_eq!((w.phase("b"), w.said("watches_overridden")), (Phase::Pending, 0), "`a` is at work");
        w.ok(Command::PauseMission(mission, None, "lunch".into()));
        w.complete("a");
        w.ok(Command::ResumeMission(mission));
        assert_eq!((w.phase("b"), w.said("watches_overridden")), (Phase::Assigned, 1), "nothing else could go on");
    }
}

/// The id of the one watch of this kind.
fn watch_id(w: &World, kind: &str) -> musher_core::id::WatchId {
    w.state.watches().find(|watch| watch.kind.name() == kind).unwrap().id
}

fn url() -> Box<WatchKind> {
    Box::new(WatchKind::Url("http://127.0.0.1:1/".into()))
}

#[test]
fn a_watch_that_is_added_holds_up_the_start_of_its_item_until_it_is_met_or_closed() {
    for met in [true, false] {
        let mut w = World::with_agents(0);
        w.mission(vec![item("a", &[])]);
        let id = w.id("a");
        assert_eq!(w.phase("a"), Phase::Ready);
        w.ok(Command::AddWatch(id, url(), Holds::Start));
        assert_eq!((w.phase("a"), w.effects_of("a"), w.said("watch_added")), (Phase::Pending, vec!["fetch_url"], 1));
        assert_eq!(w.refused(Command::AddWatch(id, url(), Holds::Start)).code(), "conflict");
        w.restart_and_compare();
        if met {
            w.report("a", "fetch_url", Report::Probed { met, text: "200".into() });
        } else {
            let watch = watch_id(&w, "url");
            w.ok(Command::CloseWatch(watch));
            assert_eq!(w.said("watches_overridden"), 1);
            assert_eq!(
                w.refused(Command::CloseWatch(watch)).to_string(),
                format!("cannot close watch `{}` while it is done", watch.short())
            );
        }
        assert_eq!((w.phase("a"), w.effects_of("a").len()), (Phase::Ready, 0));
    }
}

#[test]
fn a_watch_of_the_end_can_be_added_while_the_item_is_at_work_and_one_of_the_start_cannot() {
    let mut w = World::with_agents(1);
    let mission = w.mission(vec![item("a", &[])]);
    let id = w.id("a");
    let refused = w.refused(Command::AddWatch(id, url(), Holds::Start));
    assert!(refused.to_string().contains("cannot watch something for item `a` while it is"), "{refused}");
    assert!(refused.fix().unwrap().contains("`--then`"));
    for kind in [WatchKind::PrChecks, WatchKind::Command(Box::default()), WatchKind::Url("ftp://x".into())] {
        assert_eq!(w.refused(Command::AddWatch(id, Box::new(kind), Holds::Mission)).code(), "invalid");
    }
    w.ok(Command::AddWatch(id, url(), Holds::Mission));
    w.complete("a");
    assert_eq!(w.effects_of("a"), ["fetch_url"]);
    w.report("a", "fetch_url", Report::Probed { met: true, text: "200".into() });
    assert_eq!(w.mission_state(mission), MissionState::Completed);
}

#[test]
fn a_watch_that_rests_is_not_looked_at_before_and_is_active_again_after() {
    let mut w = World::with_agents(1);
    w.mission(vec![after("a", &[*url()])]);
    let id = watch_id(&w, "url");
    // A look is under way: its answer does not end the rest.
    w.ok(Command::SnoozeWatch(id, 3_600));
    w.report("a", "fetch_url", Report::Probed { met: false, text: "503".into() });
    assert_eq!(w.state.next_due().unwrap().since(w.now), Duration::from_secs(3_600));
    assert_eq!(w.state.watch(id).unwrap().status.name(), "snoozed");
    w.restart_and_compare();
    w.pass(Duration::from_secs(3_600));
    assert_eq!(w.effects_of("a"), ["fetch_url"]);
    w.report("a", "fetch_url", Report::Probed { met: false, text: "503".into() });
    assert_eq!((w.state.watch(id).unwrap().status.name(), w.said("watch_snoozed")), ("active", 1));
    w.ok(Command::SnoozeWatch(id, 7_200));
    assert_eq!(w.state.next_due().unwrap().since(w.now), Duration::from_secs(7_200));
    for secs in [0, 400 * 24 * 3_600] {
        assert_eq!(w.refused(Command::SnoozeWatch(id, secs)).code(), "invalid");
    }
}

#[test]
fn what_blocks_after_five_is_a_no_and_never_a_forge_that_is_not_there() {
    let why: Box<str> = "w".into();
    for (failure, blocks) in [
        (ForgeFailure::Unavailable(why.clone()), false),
        (ForgeFailure::Strange(why.clone()), true),
        (ForgeFailure::Unasked(why.clone()), true),
        (ForgeFailure::Refused(why.clone()), true),
        (ForgeFailure::NotFound(why), true),
    ] {
        let mut w = World::with_agents(1);
        w.mission(vec![after("a", &[issue("#3")])]);
        let mut waits = Vec::new();
        for _ in 0..20 {
            w.report("a", "look_at_issue", Report::ForgeFailed(failure.clone()));
            if w.phase("a") == Phase::Blocked {
                break;
            }
            waits.push(w.state.next_due().unwrap().since(w.now).as_secs() / 60);
            w.restart_and_compare();
            w.until_due();
        }
        assert_eq!(waits[..4], [1, 2, 5, 5], "{failure}");
        assert_eq!((w.phase("a") == Phase::Blocked, waits.len() == 4), (blocks, blocks), "{failure}");
        assert!(waits[3..].iter().all(|wait| *wait == 5), "{failure}: {waits:?}");
        assert_eq!(w.said("watch_failed"), if blocks { 5 } else { 1 }, "{failure}: an outage is said once");
        if !blocks {
            w.report("a", "look_at_issue", closed(true));
            assert_eq!((w.phase("a"), w.said("mission_help_requested")), (Phase::Assigned, 0), "{failure}");
        }
    }
}

#[test]
fn an_outage_between_two_refusals_is_none_of_the_five() {
    let mut w = World::with_agents(1);
    w.mission(vec![after("a", &[issue("#3")])]);
    let no = || Report::ForgeFailed(ForgeFailure::NotFound("no issue 3".into()));
    for answer in 0..14 {
        assert_eq!(w.phase("a"), Phase::Pending, "{answer}");
        // Four refusals and an outage, then the fifth.
        let down = (4..13).contains(&answer);
        let failed = if down { Report::ForgeFailed(ForgeFailure::Unavailable("502".into())) } else { no() };
        w.report("a", "look_at_issue", failed);
        if answer < 13 {
            w.until_due();
        }
    }
    assert_eq!(w.phase("a"), Phase::Blocked);
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
