//! Delivery by pull request: pushed, opened, followed, mended, merged by the forge.

use std::time::Duration;

use musher_core::command::{Command, GateVerdict, Push, Report};
use musher_core::config::ProjectSettings;
use musher_core::effect::EffectKind;
use musher_core::forge::{
    Check, Conclusion, Finding, ForgeAnswer, ForgeFailure, ForgeWork, Hint, PullMerge, PullSeen, PullState, Review,
    ReviewVerdict,
};
use musher_core::item::Phase;
use musher_core::mission::{Delivery, MissionState, Policy};
use musher_core::wait::WaitCode;
use musher_core::watch::{Seen, WatchKind};

use crate::world::{World, agent, clean, finished, item, policy, rebase_conflict, settings};

pub(crate) const INTERVAL: Duration = Duration::from_secs(180);

/// A world that delivers by pull requests, with item `a` verified and its branch about to be pushed.
fn verified(policy: Policy) -> World {
    let mut w = World::with_settings(ProjectSettings { delivery: Delivery::Pr, ..settings() });
    w.agent(agent("a1"));
    w.mission_with(policy, vec![item("a", &[])]);
    w.work("a");
    w
}

/// The same with an open pull request, and its first look under way.
pub(crate) fn opened_by(policy: Policy) -> World {
    let mut w = verified(policy);
    w.report("a", "push_branch", Report::Pushed(Push::Done));
    forge(
        &mut w,
        "open_pull",
        ForgeAnswer::PullOpened { number: 7, url: "https://forge/7".into(), draft: true, adopted: false },
    );
    w
}

pub(crate) fn opened() -> World {
    opened_by(policy())
}

pub(crate) fn forge(w: &mut World, effect: &str, answer: ForgeAnswer) {
    w.report("a", effect, Report::Forge(answer));
}

fn fails(w: &mut World, effect: &str, failure: ForgeFailure) {
    w.report("a", effect, Report::ForgeFailed(failure));
}

pub(crate) fn check(name: &str, word: &str) -> Check {
    Check {
        id: 1,
        name: name.into(),
        conclusion: Conclusion::parse(word),
        run: Some(2),
        job: Some(3),
        url: "https://ci/3".into(),
    }
}

/// What a look sees when the checks of the head have these words.
pub(crate) fn seen(w: &World, checks: &[&str]) -> PullSeen {
    PullSeen {
        number: 7,
        head: w.item("a").head.clone().unwrap(),
        base: "main".into(),
        draft: true,
        mergeable: Some(true),
        checks: checks.iter().enumerate().map(|(n, word)| check(&format!("c{n}"), word)).collect(),
        ..PullSeen::default()
    }
}

pub(crate) fn look(w: &mut World, seen: PullSeen) {
    forge(w, "look_at_pull", ForgeAnswer::PullLooked(Box::new(seen)));
}

pub(crate) fn states(w: &World) -> Vec<(&'static str, &'static str, Seen)> {
    w.state.watches_of(w.id("a")).map(|watch| (watch.kind.name(), watch.status.name(), watch.seen)).collect()
}

pub(crate) fn state_of(w: &World, kind: &WatchKind) -> (&'static str, Seen) {
    let watch = w.state.watches_of(w.id("a")).find(|watch| watch.kind == *kind).unwrap();
    (watch.status.name(), watch.seen)
}

/// From the red look to the moment at which the log of the failed check is fetched: it was run again before, in vain.
fn red_again(w: &mut World) {
    let red = seen(w, &["failure"]);
    look(w, red.clone());
    forge(w, "rerun_checks", ForgeAnswer::ChecksRerun { started: true });
    w.pass(INTERVAL);
    look(w, red);
}

/// The fix run ends with a commit, or with none.
pub(crate) fn fixed(w: &mut World, commits: bool) {
    let head = w.item("a").head.clone().unwrap();
    w.start("a");
    w.end("a", finished("fixed"));
    if commits {
        let inspection = w.clean();
        w.inspect("a", inspection);
        w.gate("a", GateVerdict::Green);
        w.report("a", "push_branch", Report::Pushed(Push::Done));
    } else {
        w.inspect("a", clean(head.strip_prefix('h').unwrap()));
    }
}

#[test]
fn a_verified_item_is_pushed_opened_as_a_draft_and_looked_at() {
    let mut w = verified(policy());
    let push = w.state.effects().next().unwrap().kind.clone();
    assert_eq!(push, EffectKind::PushBranch { head: w.item("a").head.clone().unwrap(), expected: None });
    assert_eq!((w.phase("a"), w.waits("a")), (Phase::Waiting, vec![WaitCode::Watch]));
    w.report("a", "push_branch", Report::Pushed(Push::Done));
    let open = w.state.effects().next().unwrap().kind.clone();
    assert_eq!(open, EffectKind::Forge(ForgeWork::OpenPull { draft: true }));
    forge(
        &mut w,
        "open_pull",
        ForgeAnswer::PullOpened { number: 7, url: "https://forge/7".into(), draft: true, adopted: false },
    );
    assert_eq!(w.effects_of("a"), ["look_at_pull"], "one look for all four");
    let active = ["pr_checks", "bot_comments", "review_comments", "mergeability"].map(|k| (k, "active", Seen::Nothing));
    assert_eq!(states(&w), active);
    assert_eq!((w.said("pull_opened"), w.said("branch_pushed"), w.said("item_done")), (1, 1, 0));
}

#[test]
fn without_ci_it_is_opened_ready() {
    let settings = ProjectSettings { delivery: Delivery::Pr, require_checks: false, ..settings() };
    let mut w = World::with_settings(settings);
    w.agent(agent("a1"));
    w.mission(vec![item("a", &[])]);
    w.work("a");
    w.report("a", "push_branch", Report::Pushed(Push::Done));
    assert_eq!(w.state.effects().next().unwrap().kind, EffectKind::Forge(ForgeWork::OpenPull { draft: false }));
    forge(&mut w, "open_pull", ForgeAnswer::PullOpened { number: 7, url: "u".into(), draft: false, adopted: false });
    let mut none = seen(&w, &[]);
    none.draft = false;
    look(&mut w, none);
    assert_eq!(state_of(&w, &WatchKind::PrChecks), ("done", Seen::Done));
}

#[test]
fn what_a_look_means_for_each_watch_is_what_the_table_says() {
    let finding = |bot, resolved| Finding {
        id: "f1".into(),
        author: "linter".into(),
        bot,
        resolved,
        text: "src/a.rs:1: unused".into(),
        trusted: false,
    };
    let review = |verdict, commit: &str, trusted| Review {
        id: 1,
        author: "bob".into(),
        verdict,
        commit: commit.into(),
        text: "no tests".into(),
        trusted,
    };
    use ReviewVerdict::{Approved, ChangesRequested, Commented, Dismissed};
    use Seen::{Done, Pending, Triggered};
    type Edit = Box<dyn Fn(&mut PullSeen)>;
    let plain: fn() -> Edit = || Box::new(|_: &mut PullSeen| {});
    let with = |f: fn(&mut PullSeen)| -> Edit { Box::new(f) };
    let finds = |bot, resolved| -> Edit { Box::new(move |s: &mut PullSeen| s.findings.push(finding(bot, resolved))) };
    let says = |verdict, old, trusted| -> Edit {
        Box::new(move |s: &mut PullSeen| {
            let commit = if old { "old".into() } else { s.head.clone() };
            s.reviews.push(review(verdict, &commit, trusted));
        })
    };
    let table: Vec<(&str, Edit, [Seen; 4])> = vec![
        // checks; what else; pr_checks, bot_comments, review_comments, mergeability
        ("success skipped", plain(), [Done, Done, Done, Done]),
        ("", plain(), [Pending, Pending, Pending, Pending]),
        ("success pending", plain(), [Pending, Pending, Pending, Pending]),
        ("success stale", plain(), [Pending, Pending, Pending, Pending]),
        ("success failure pending", plain(), [Triggered, Pending, Pending, Pending]),
        ("success", with(|s| s.mergeable = None), [Done, Done, Done, Pending]),
        ("success", with(|s| s.mergeable = Some(false)), [Done, Done, Done, Pending]),
        ("success", finds(true, false), [Done, Triggered, Done, Done]),
        ("pending", finds(true, false), [Pending, Triggered, Pending, Pending]),
        ("success", finds(true, true), [Done, Done, Done, Done]),
        ("success", finds(false, false), [Done, Done, Done, Done]),
        ("success", says(ChangesRequested, false, true), [Done, Done, Triggered, Done]),
        ("success", says(ChangesRequested, false, false), [Done, Done, Done, Done]),
        ("success", says(ChangesRequested, true, true), [Done, Done, Pending, Done]),
        ("success", says(Approved, false, true), [Done, Done, Done, Done]),
        ("success", says(Commented, false, true), [Done, Done, Done, Done]),
        ("success", says(Dismissed, false, true), [Done, Done, Done, Done]),
    ];
    for (n, (checks, edit, expected)) in table.into_iter().enumerate() {
        let w = opened();
        let mut facts = seen(&w, &checks.split_whitespace().collect::<Vec<_>>());
        edit(&mut facts);
        let found = WatchKind::OF_PULL.map(|kind| musher_core::watch::seen_of(&kind, &facts, true).0);
        assert_eq!(found, expected, "row {n}: {checks}");
    }
}

#[test]
fn a_green_draft_is_marked_ready_and_then_waits_for_a_person_who_merges_it() {
    let mut w = opened();
    let mut green = seen(&w, &["success"]);
    look(&mut w, green.clone());
    assert_eq!(w.effects_of("a"), ["mark_ready"]);
    forge(&mut w, "mark_ready", ForgeAnswer::PullReady);
    green.draft = false;
    look(&mut w, green.clone());
    assert!(w.effects_of("a").is_empty() && w.waits("a") == [WaitCode::Watch]);
    assert_eq!(w.state.next_due().unwrap().since(w.now), INTERVAL, "one look an interval");
    assert!(states(&w).iter().all(|(_, status, _)| *status == "done"));
    w.pass(INTERVAL);
    look(&mut w, PullSeen { state: PullState::Merged { commit: "m1".into() }, ..green });
    assert_eq!((w.phase("a"), w.item("a").merged.as_deref()), (Phase::Done, Some("m1")));
    w.report("a", "remove_worktree", Report::WorktreeRemoved);
    assert_eq!(w.mission_state(w.item("a").mission), MissionState::Completed);
    assert_eq!((w.said("pull_merged"), w.said("watch_done")), (1, 4), "each watch is done once");
}

#[test]
fn auto_merge_asks_the_forge_once_it_is_green_and_not_while_somebody_wants_changes() {
    let auto = Policy { auto_merge: true, ..policy() };
    let mut w = opened_by(auto.clone());
    let ready = PullSeen { draft: false, ..seen(&w, &["success"]) };
    look(&mut w, ready.clone());
    let head = ready.head.clone();
    let asked = w.state.effects().next().unwrap().kind.clone();
    assert!(matches!(&asked, EffectKind::Forge(ForgeWork::MergePull { number: 7, head: h, .. }) if *h == head));
    forge(&mut w, "merge_pull", ForgeAnswer::PullMerged(PullMerge::Queued));
    w.pass(INTERVAL);
    look(&mut w, PullSeen { queued: true, ..ready.clone() });
    assert!(w.effects_of("a").is_empty(), "it is not asked again while it is in the queue");
    for (merge, phase) in [
        (PullMerge::Merged { commit: "m".into() }, Phase::Done),
        (PullMerge::Refused { why: "a review is required".into() }, Phase::Waiting),
        (PullMerge::HeadMoved, Phase::Waiting),
    ] {
        let mut w = opened_by(auto.clone());
        look(&mut w, ready.clone());
        forge(&mut w, "merge_pull", ForgeAnswer::PullMerged(merge.clone()));
        assert_eq!(w.phase("a"), phase, "{merge:?}");
    }
    let mut w = opened_by(auto);
    let mut wanted = ready;
    let text = "no tests".into();
    let verdict = ReviewVerdict::ChangesRequested;
    wanted.reviews.push(Review { id: 1, author: "bob".into(), verdict, commit: "old".into(), text, trusted: true });
    look(&mut w, wanted);
    assert!(w.effects_of("a").is_empty());
}

#[test]
fn a_look_for_another_head_changes_nothing() {
    let mut w = opened();
    let before = states(&w);
    let old = PullSeen { head: "another".into(), ..seen(&w, &["success"]) };
    look(&mut w, old);
    assert_eq!((states(&w), w.phase("a")), (before, Phase::Waiting));
    assert_eq!((w.said("watch_done"), w.said("watch_triggered")), (0, 0));
}

#[test]
fn a_flaky_check_is_run_again_once_and_makes_no_fix_run() {
    let mut w = opened();
    let red = seen(&w, &["success", "failure"]);
    look(&mut w, red);
    assert_eq!(
        (w.effects_of("a"), state_of(&w, &WatchKind::PrChecks)),
        (vec!["rerun_checks"], ("snoozed", Seen::Triggered))
    );
    forge(&mut w, "rerun_checks", ForgeAnswer::ChecksRerun { started: true });
    w.pass(INTERVAL);
    let green = seen(&w, &["success", "success"]);
    look(&mut w, green);
    assert_eq!((w.phase("a"), w.item("a").attempts, w.said("checks_rerun")), (Phase::Waiting, 0, 1));
    assert_eq!(state_of(&w, &WatchKind::PrChecks), ("done", Seen::Done));
}

#[test]
fn a_check_that_stays_red_makes_one_fix_run_with_the_log_however_often_the_watch_looks() {
    let mut w = opened();
    red_again(&mut w);
    assert_eq!(w.effects_of("a"), ["fetch_log"]);
    for _ in 0..3 {
        w.hint(Hint::Pull(7));
    }
    assert_eq!(w.effects_of("a"), ["fetch_log"]);
    forge(&mut w, "fetch_log", ForgeAnswer::LogFetched { tail: "assertion failed at line 7".into() });
    assert_eq!((w.phase("a"), w.said("item_refused")), (Phase::Assigned, 1));
    assert!(w.lesson("a").contains("c0") && w.lesson("a").contains("line 7") && w.lesson("a").contains("https://ci/3"));
    w.hint(Hint::Pull(7));
    w.pass(INTERVAL * 10);
    assert_eq!((w.said("item_refused"), w.item("a").attempts), (1, 0));
    let old = w.item("a").head.clone();
    fixed(&mut w, true);
    assert!(w.item("a").head != old && w.item("a").approval.is_none());
    assert_eq!(w.effects_of("a"), ["look_at_pull"]);
    assert!(states(&w).iter().all(|(_, status, seen)| (*status, *seen) == ("active", Seen::Nothing)), "a new head");
}

#[test]
fn the_fix_runs_of_a_head_and_of_an_item_end_and_then_it_is_blocked() {
    // Runs that commit nothing: two for the head. Runs that commit: five for the item.
    for (commits, runs) in [(false, 2), (true, 5)] {
        let mut w = opened();
        for n in 0..runs {
            if commits || n == 0 {
                red_again(&mut w);
            } else {
                w.pass(INTERVAL);
                let red = seen(&w, &["failure"]);
                if w.effects_of("a").contains(&"look_at_pull") {
                    look(&mut w, red);
                }
            }
            forge(&mut w, "fetch_log", ForgeAnswer::LogFetched { tail: "it broke".into() });
            fixed(&mut w, commits);
            if !commits && n == 0 {
                let red = seen(&w, &["failure"]);
                look(&mut w, red);
            }
        }
        for _ in 0..4 {
            if w.phase("a") == Phase::Blocked {
                break;
            }
            if w.effects_of("a").contains(&"look_at_pull") {
                let red = seen(&w, &["failure"]);
                look(&mut w, red);
            }
            if w.effects_of("a").contains(&"rerun_checks") {
                forge(&mut w, "rerun_checks", ForgeAnswer::ChecksRerun { started: true });
            }
            w.pass(INTERVAL);
        }
        assert_eq!((w.phase("a"), w.said("item_refused")), (Phase::Blocked, runs), "commits: {commits}");
        assert!(w.item("a").reason().unwrap().contains("c0"), "{:?}", w.item("a").reason());
        let id = w.id("a");
        w.ok(Command::RetryItem(id));
        assert_eq!(w.phase("a"), Phase::Assigned, "a fresh start has its fix runs anew");
    }
}

#[test]
fn a_refused_look_backs_off_1_2_5_5_minutes_and_the_fifth_blocks_with_the_error() {
    let mut w = opened();
    for minutes in [1, 2, 5, 5] {
        fails(&mut w, "look_at_pull", ForgeFailure::Refused("502".into()));
        assert_eq!(w.state.next_due().unwrap().since(w.now), Duration::from_secs(minutes * 60));
        w.until_due();
    }
    fails(&mut w, "look_at_pull", ForgeFailure::Refused("502".into()));
    assert_eq!(w.phase("a"), Phase::Blocked);
    assert!(w.item("a").reason().unwrap().contains("502"));
    let id = w.id("a");
    w.ok(Command::RetryItem(id));
    assert_eq!((w.phase("a"), w.effects_of("a")), (Phase::Waiting, vec!["look_at_pull"]), "no run is spent on it");
}

#[test]
fn a_rate_limit_is_no_failure_and_no_hint_comes_before_its_end() {
    let mut w = opened();
    for _ in 0..20 {
        let until = w.now.after(Duration::from_secs(900));
        fails(&mut w, "look_at_pull", ForgeFailure::Limited { until });
        w.hint(Hint::Pull(7));
        assert_eq!((w.effects_of("a").len(), w.state.next_due()), (0, Some(until)));
        w.until_due();
    }
    assert_eq!((w.phase("a"), w.said("watch_failed")), (Phase::Waiting, 0));
}

#[test]
fn a_hint_looks_at_once_and_many_during_a_look_make_one_more() {
    let mut w = opened();
    for _ in 0..5 {
        w.hint(Hint::Pull(7));
    }
    assert_eq!(w.effects_of("a"), ["look_at_pull"]);
    let pending = seen(&w, &["pending"]);
    look(&mut w, pending.clone());
    assert_eq!(w.effects_of("a"), ["look_at_pull"], "what the hint was about may not have been seen yet");
    look(&mut w, pending.clone());
    assert!(w.effects_of("a").is_empty());
    let head = pending.head.clone();
    w.hint(Hint::Commit("another".into()));
    w.hint(Hint::Pull(8));
    assert!(w.effects_of("a").is_empty());
    w.hint(Hint::Commit(head));
    assert_eq!(w.effects_of("a"), ["look_at_pull"]);
}

#[test]
fn changes_that_are_wanted_make_one_fix_run_with_the_words_of_trusted_people() {
    let mut w = opened();
    let mut wanted = seen(&w, &["success"]);
    let head = wanted.head.clone();
    let review = |id, author: &str, trusted| Review {
        id,
        author: author.into(),
        verdict: ReviewVerdict::ChangesRequested,
        commit: head.clone(),
        text: format!("words of {author}").into(),
        trusted,
    };
    wanted.reviews = vec![review(1, "bob", true), review(2, "mallory", false)];
    let finding = |id: &str, author: &str, bot, trusted| Finding {
        id: id.into(),
        author: author.into(),
        bot,
        resolved: false,
        text: format!("finding of {author}").into(),
        trusted,
    };
    wanted.findings = vec![finding("f1", "linter", true, true), finding("f2", "eve", false, false)];
    look(&mut w, wanted.clone());
    assert_eq!(w.phase("a"), Phase::Assigned);
    let lesson = w.lesson("a").to_owned();
    assert!(lesson.contains("words of bob") && lesson.contains("finding of linter"), "{lesson}");
    assert!(!lesson.contains("words of mallory") && !lesson.contains("finding of eve"), "{lesson}");
    assert!(lesson.contains("Left out") && lesson.contains("eve"), "{lesson}");
    // The run commits nothing: the same words make no second one.
    fixed(&mut w, false);
    look(&mut w, wanted);
    assert_eq!((w.phase("a"), w.said("item_refused")), (Phase::Waiting, 1));
}

#[test]
fn a_conflict_is_rebased_pushed_with_a_lease_and_a_resolver_follows_when_it_stays() {
    let mut w = opened();
    let conflict = PullSeen { mergeable: Some(false), ..seen(&w, &["success"]) };
    let old = w.item("a").head.clone();
    look(&mut w, conflict);
    assert_eq!(w.effects_of("a"), ["rebase"]);
    w.rebase("a", musher_core::command::Rebase::Done { head: "hnew".into() });
    let push = w.state.effects().next().unwrap().kind.clone();
    assert_eq!(push, EffectKind::PushBranch { head: "hnew".into(), expected: old });
    w.report("a", "push_branch", Report::Pushed(Push::Done));
    let conflict = PullSeen { mergeable: Some(false), ..seen(&w, &["success"]) };
    look(&mut w, conflict);
    w.rebase("a", rebase_conflict());
    assert_eq!((w.phase("a"), w.item("a").resolver_runs), (Phase::Assigned, 1));
    assert!(w.lesson("a").contains("<<<<<<< ours"));
}

#[test]
fn one_that_is_closed_or_pushed_to_by_others_blocks_with_the_words() {
    let mut w = opened();
    let closed = PullSeen { state: PullState::Closed, ..seen(&w, &["success"]) };
    look(&mut w, closed);
    assert_eq!(w.phase("a"), Phase::Blocked);
    assert_eq!(w.item("a").reason().unwrap(), "pull request #7 was closed without a merge");
    let id = w.id("a");
    w.ok(Command::RetryItem(id));
    assert_eq!(w.effects_of("a"), ["open_pull"], "the branch gets another one");
    let mut w = verified(policy());
    w.report("a", "push_branch", Report::Pushed(Push::Moved { found: "theirs".into() }));
    assert_eq!(w.phase("a"), Phase::Blocked);
    assert!(w.item("a").reason().unwrap().contains("theirs"));
}

#[test]
fn a_restart_at_any_moment_goes_on_and_does_nothing_twice() {
    let mut w = verified(policy());
    w.restart_and_compare();
    w.report("a", "push_branch", Report::Pushed(Push::Done));
    w.restart_and_compare();
    forge(&mut w, "open_pull", ForgeAnswer::PullOpened { number: 7, url: "u".into(), draft: true, adopted: false });
    w.restart_and_compare();
    red_again(&mut w);
    w.restart_and_compare();
    forge(&mut w, "fetch_log", ForgeAnswer::LogFetched { tail: "it broke".into() });
    w.restart_and_compare();
    fixed(&mut w, true);
    w.restart_and_compare();
    assert_eq!((w.said("checks_rerun"), w.said("item_refused"), w.said("pull_opened")), (1, 1, 1));
}

#[test]
fn nothing_is_done_for_the_pull_request_of_a_frozen_item_until_it_is_released() {
    let mut w = opened();
    let id = w.id("a");
    w.ok(Command::FreezeItem(id, "wait".into()));
    let green = seen(&w, &["success"]);
    look(&mut w, green);
    assert!(w.effects_of("a").is_empty(), "the look in flight has come to its end, and the draft is not marked ready");
    w.pass(INTERVAL * 3);
    assert!(w.effects_of("a").is_empty());
    w.restart_and_compare();
    w.ok(Command::ReleaseItem(id));
    assert_eq!(w.effects_of("a"), ["look_at_pull"]);
}
