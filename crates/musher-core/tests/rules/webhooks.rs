//! Webhooks: each counts once, and while they come nobody looks in between.

use std::time::Duration;

use musher_core::command::{Command, Push, Report};
use musher_core::config::ProjectSettings;
use musher_core::forge::{Check, Conclusion, ForgeAnswer, ForgeFailure, Hint, PullSeen};
use musher_core::item::Phase;
use musher_core::mission::{Delivery, MissionItem};
use musher_core::watch::WatchKind;
use musher_core::webhook::{COMING, FALLBACK, Heard};

use crate::world::{World, agent, item, policy, settings};

const INTERVAL: Duration = Duration::from_secs(180);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A world that takes webhooks, with the pull request of item `a` open and its first look under way.
fn opened() -> World {
    let mut w = World::with_settings(ProjectSettings { delivery: Delivery::Pr, webhooks: true, ..settings() });
    w.agent(agent("a1"));
    w.mission_with(policy(), vec![item("a", &[])]);
    w.work("a");
    w.report("a", "push_branch", Report::Pushed(Push::Done));
    let opened = ForgeAnswer::PullOpened { number: 7, url: "https://forge/7".into(), draft: true, adopted: false };
    w.report("a", "open_pull", Report::Forge(opened));
    w
}

/// The look under way sees a check that ends like this.
fn look(w: &mut World, word: &str) {
    look_with(w, word, Some(true));
}

fn look_with(w: &mut World, word: &str, mergeable: Option<bool>) {
    let (id, name, url) = (1, "build".into(), "https://ci/3".into());
    let check = Check { id, name, conclusion: Conclusion::parse(word), run: Some(2), job: Some(3), url };
    let head = w.item("a").head.clone().unwrap();
    let seen = PullSeen {
        number: 7,
        head,
        base: "main".into(),
        draft: w.said("pull_ready") == 0,
        mergeable,
        checks: vec![check],
        ..PullSeen::default()
    };
    w.report("a", "look_at_pull", Report::Forge(ForgeAnswer::PullLooked(Box::new(seen))));
}

/// How long it is to the next look.
fn due(w: &World) -> Duration {
    let of_watch = w.state.watches_of(w.id("a")).find_map(|watch| watch.looks.due);
    let due = w.state.pull(w.id("a")).and_then(|pull| pull.looks.due).or(of_watch);
    due.unwrap().since(w.now)
}

#[test]
fn a_webhook_that_comes_again_at_once_or_a_day_later_or_after_a_restart_makes_nobody_look() {
    let mut w = opened();
    look(&mut w, "pending");
    assert_eq!(w.webhook("one", Hint::Pull(7)), Heard::Taken);
    look(&mut w, "pending");
    assert_eq!(w.webhook("one", Hint::Pull(7)), Heard::Known);
    w.restart_and_compare();
    assert_eq!(w.webhook("one", Hint::Pull(7)), Heard::Known);
    w.now = w.now.after(DAY);
    let effects = w.effects_of("a");
    assert_eq!(w.webhook("one", Hint::Pull(7)), Heard::Known);
    assert_eq!(effects, Vec::<&str>::new());
    assert_eq!(w.webhook("two", Hint::Pull(7)), Heard::Taken);
}

#[test]
fn a_webhook_about_nothing_that_is_watched_moves_nothing() {
    let mut w = opened();
    look(&mut w, "pending");
    for hint in [Hint::Pull(8), Hint::Commit("another".into()), Hint::Issue("#7".parse().unwrap())] {
        assert_eq!(w.hint(hint), Heard::Unwatched);
    }
    assert!(w.effects_of("a").is_empty());
    assert_eq!(w.state.webhooks().len(), 1, "one an hour is remembered, for it shows that they come");
}

#[test]
fn nobody_looks_between_webhooks_while_they_come_and_one_look_an_hour_finds_what_they_lost() {
    let mut w = opened();
    look(&mut w, "pending");
    assert_eq!(due(&w), INTERVAL, "none has come yet: nobody knows whether they do");
    w.hint(Hint::Pull(7));
    look(&mut w, "pending");
    assert_eq!(due(&w), FALLBACK);
    w.restart_and_compare();
    w.until_due();
    look(&mut w, "pending");
    assert_eq!(due(&w), FALLBACK, "there was no news: none was lost");
    w.until_due();
    look(&mut w, "neutral");
    assert_eq!(w.effects_of("a"), ["mark_ready"], "what was lost is found");
    w.report("a", "mark_ready", Report::Forge(ForgeAnswer::PullReady));
    look(&mut w, "success");
    assert_eq!(due(&w), INTERVAL, "one was lost: it is looked at as if none came");
    w.hint(Hint::Pull(7));
    look(&mut w, "success");
    assert_eq!(due(&w), FALLBACK, "they come again");
    w.now = w.now.after(COMING);
    w.settle();
    look(&mut w, "success");
    assert_eq!(due(&w), INTERVAL, "for a week none came");
}

#[test]
fn without_the_secret_webhooks_of_old_stretch_no_interval() {
    let mut w = opened();
    w.hint(Hint::Pull(7));
    w.ok(Command::Configure(Box::new(ProjectSettings { delivery: Delivery::Pr, ..settings() })));
    look(&mut w, "pending");
    assert_eq!(w.effects_of("a"), ["look_at_pull"], "the hint came during the look");
    look(&mut w, "pending");
    assert_eq!(due(&w), INTERVAL);
}

#[test]
fn what_no_webhook_tells_of_is_looked_at_as_ever() {
    let mut w = opened();
    look(&mut w, "pending");
    w.hint(Hint::Pull(7));
    look_with(&mut w, "pending", None);
    assert_eq!(due(&w), INTERVAL, "the forge finds out by itself whether there is a conflict");
    w.until_due();
    // Red, run again, and red again before the watch has rested.
    look(&mut w, "failure");
    w.report("a", "rerun_checks", Report::Forge(ForgeAnswer::ChecksRerun { started: true }));
    let minute = Duration::from_secs(60);
    w.pass(minute);
    w.hint(Hint::Pull(7));
    look(&mut w, "failure");
    assert_eq!((due(&w), w.phase("a")), (INTERVAL - minute, Phase::Waiting), "it rests, and then something is done");
    w.until_due();
    look(&mut w, "failure");
    assert_eq!(w.effects_of("a"), ["fetch_log"]);
}

#[test]
fn an_issue_of_the_repository_is_left_to_webhooks_and_one_elsewhere_is_not() {
    for (name, between) in [("#3", FALLBACK), ("other/repo#3", INTERVAL)] {
        let mut w = World::with_settings(ProjectSettings { webhooks: true, ..settings() });
        w.agent(agent("a1"));
        let after = vec![WatchKind::IssueClosed(name.parse().unwrap())];
        w.mission(vec![MissionItem { after, ..item("a", &[]) }]);
        w.hint(Hint::Commit("any".into()));
        let answer = |closed| Report::Forge(ForgeAnswer::IssueLooked { closed, title: "an issue".into() });
        w.report("a", "look_at_issue", answer(false));
        assert_eq!(due(&w), between, "{name}");
        let hint = || Hint::Issue("#3".parse().unwrap());
        if name == "#3" {
            assert_eq!(w.webhook("closed", hint()), Heard::Taken);
            w.report("a", "look_at_issue", answer(true));
            assert_eq!((w.phase("a"), w.webhook("closed", hint())), (Phase::Assigned, Heard::Known));
        } else {
            assert_eq!(w.webhook("closed", hint()), Heard::Unwatched);
        }
    }
}

#[test]
fn a_day_without_the_forge_blocks_nothing_and_what_webhooks_have_lost_meanwhile_is_found() {
    let mut w = opened();
    look(&mut w, "pending");
    w.hint(Hint::Pull(7));
    look(&mut w, "pending");
    assert_eq!(due(&w), FALLBACK);
    let down = || Report::ForgeFailed(ForgeFailure::Unavailable("503".into()));
    let from = w.now;
    let mut looks = 0;
    while w.phase("a") == Phase::Waiting && w.now.since(from) < DAY {
        w.until_due();
        if w.effects_of("a").contains(&"look_at_pull") {
            w.report("a", "look_at_pull", down());
            looks += 1;
        }
    }
    assert_eq!(w.phase("a"), Phase::Waiting);
    assert!((250..300).contains(&looks), "every five minutes: {looks}");
    assert_eq!((w.said("watch_failed"), w.said("mission_help_requested")), (1, 0));
    w.until_due();
    look(&mut w, "success");
    assert_eq!((w.phase("a"), w.effects_of("a")), (Phase::Waiting, vec!["mark_ready"]));
}
