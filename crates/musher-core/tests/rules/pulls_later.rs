//! What comes to a pull request after it was green, and what it waits for that only a person gives.

use std::time::Duration;

use musher_core::command::Rebase;
use musher_core::event::Happened;
use musher_core::forge::{Finding, ForgeAnswer, PullMerge, PullSeen, PullState, Review, ReviewVerdict};
use musher_core::inbox::{self, Ask};
use musher_core::item::Phase;
use musher_core::mission::{MissionState, Policy, is_at_rest};
use musher_core::pull::{Wish, awaited};
use musher_core::wait;
use musher_core::watch::{Seen, WatchKind, WatchStatus};

use crate::pulls::{INTERVAL, fixed, forge, look, opened_by, seen, state_of, states};
use crate::world::{World, policy};

const STUCK: Duration = Duration::from_secs(180);

fn auto_merge() -> Policy {
    Policy { auto_merge: true, ..policy() }
}

fn ready(w: &World, checks: &[&str]) -> PullSeen {
    PullSeen { draft: false, ..seen(w, checks) }
}

/// A pull request that is green and ready, of which every watch is done.
fn green() -> World {
    let mut w = opened_by(policy());
    let draft = seen(&w, &["success"]);
    look(&mut w, draft);
    forge(&mut w, "mark_ready", ForgeAnswer::PullReady);
    let ready = ready(&w, &["success"]);
    look(&mut w, ready);
    assert!(states(&w).iter().all(|(_, status, _)| *status == "done"));
    w
}

fn review(id: u64, verdict: ReviewVerdict, commit: &str) -> Review {
    Review { id, author: "bob".into(), verdict, commit: commit.into(), text: "words of bob".into(), trusted: true }
}

fn finding(id: &str, trusted: bool) -> Finding {
    let text = format!("finding {id}").into();
    Finding { id: id.into(), author: "vet[bot]".into(), bot: true, resolved: false, text, trusted }
}

fn rejected(mut seen: PullSeen) -> PullSeen {
    seen.reviews.push(review(1, ReviewVerdict::ChangesRequested, &seen.head.clone()));
    seen
}

fn found(mut seen: PullSeen, trusted: bool) -> PullSeen {
    seen.findings.push(finding("f1", trusted));
    seen
}

/// The entry of the inbox about the pull request of `a`.
fn asked(w: &World) -> Option<inbox::Request> {
    inbox::requests(&w.state).into_iter().find(|request| request.ask == Ask::Pull)
}

fn wishes(w: &World) -> &[Wish] {
    awaited(&w.state, w.item("a"))
}

fn rests(w: &World) -> bool {
    is_at_rest(&w.state, w.state.mission(w.item("a").mission).unwrap())
}

#[test]
fn what_is_wanted_after_it_was_green_makes_a_fix_run_as_before() {
    type Case = (&'static str, fn(PullSeen) -> PullSeen, WatchKind, &'static str);
    let table: [Case; 2] = [
        ("a review", rejected, WatchKind::ReviewComments, "words of bob"),
        ("a finding", |seen| found(seen, true), WatchKind::BotComments, "finding f1"),
    ];
    for (name, change, kind, words) in table {
        let mut w = green();
        w.pass(INTERVAL);
        assert_eq!(w.effects_of("a"), ["look_at_pull"], "{name}: it is looked at until it is merged or closed");
        let later = change(ready(&w, &["success"]));
        look(&mut w, later);
        assert_eq!((w.phase("a"), w.said("item_refused")), (Phase::Assigned, 1), "{name}");
        assert!(w.lesson("a").contains(words), "{name}: {}", w.lesson("a"));
        assert_eq!((state_of(&w, &kind), wishes(&w)), (("snoozed", Seen::Triggered), &[][..]), "{name}");
        w.restart_and_compare();
        fixed(&mut w, true);
        let again = ready(&w, &["success"]);
        look(&mut w, again.clone());
        assert_eq!((wishes(&w), rests(&w)), (&[Wish::Merge][..], true), "{name}: it is green again");
        w.pass(INTERVAL);
        look(&mut w, PullSeen { state: PullState::Merged { commit: "m".into() }, ..again });
        assert_eq!(w.phase("a"), Phase::Done, "{name}");
    }
}

#[test]
fn a_check_that_turns_red_after_it_was_green_runs_again_and_then_makes_a_fix_run() {
    let mut w = green();
    w.pass(INTERVAL);
    let red = ready(&w, &["failure"]);
    look(&mut w, red.clone());
    let triggered = ("snoozed", Seen::Triggered);
    assert_eq!((w.effects_of("a"), state_of(&w, &WatchKind::PrChecks)), (vec!["rerun_checks"], triggered));
    assert_eq!((wishes(&w), rests(&w)), (&[][..], false), "a person has nothing to do");
    forge(&mut w, "rerun_checks", ForgeAnswer::ChecksRerun { started: true });
    w.pass(INTERVAL);
    look(&mut w, red);
    forge(&mut w, "fetch_log", ForgeAnswer::LogFetched { tail: "it broke".into() });
    assert_eq!((w.phase("a"), w.said("item_refused"), w.said("checks_rerun")), (Phase::Assigned, 1, 1));
    assert!(w.lesson("a").contains("it broke"));
}

#[test]
fn a_check_that_is_not_over_opens_what_was_done_and_an_unknown_mergeability_does_not() {
    let mut w = green();
    w.pass(INTERVAL);
    let unknown = PullSeen { mergeable: None, ..ready(&w, &["success"]) };
    look(&mut w, unknown);
    assert!(states(&w).iter().all(|(_, status, _)| *status == "done"), "{:?}", states(&w));
    assert_eq!((wishes(&w), rests(&w)), (&[Wish::Merge][..], true));
    w.pass(INTERVAL);
    let pending = ready(&w, &["pending"]);
    look(&mut w, pending);
    assert!(
        states(&w).iter().all(|(_, status, seen)| (*status, *seen) == ("active", Seen::Pending)),
        "{:?}",
        states(&w)
    );
    assert_eq!((wishes(&w), rests(&w), asked(&w)), (&[][..], false, None));
    w.pass(INTERVAL);
    let green = ready(&w, &["success"]);
    look(&mut w, green);
    assert_eq!((wishes(&w), rests(&w), w.said("item_refused")), (&[Wish::Merge][..], true, 0));
}

#[test]
fn what_only_a_person_gives_is_in_the_inbox_and_is_asked_help_for() {
    type Story = fn(&mut World) -> PullSeen;
    let bob = || "bob".into();
    let vet = || "vet[bot]".into();
    let table: [(&str, Story, Wish, &str); 3] = [
        (
            "a review of an older commit",
            |w| {
                let wanted = rejected(ready(w, &["success"]));
                let reviews = wanted.reviews.clone();
                look(w, wanted);
                fixed(w, true);
                PullSeen { reviews, ..ready(w, &["success"]) }
            },
            Wish::Again(bob()),
            "bob asks for changes in a review of an older commit; bob has to review again, or somebody dismisses that review",
        ),
        (
            "a run that commits nothing for a review",
            |w| {
                let wanted = rejected(ready(w, &["success"]));
                look(w, wanted.clone());
                fixed(w, false);
                wanted
            },
            Wish::Answered(bob()),
            "bob asks for changes, and no further commit comes of it; bob has to review again, or somebody dismisses that \
             review",
        ),
        (
            "a finding of a bot that is not trusted",
            |w| found(ready(w, &["success"]), false),
            Wish::Untrusted(vet()),
            "vet[bot], who is not trusted, has found something; somebody has to resolve the thread, or to add \"vet[bot]\" \
             to `trust` in `[forge]`",
        ),
    ];
    for (name, story, wish, words) in table {
        for policy in [policy(), auto_merge()] {
            let mut w = opened_by(policy.clone());
            let held = story(&mut w);
            let mission = w.item("a").mission;
            look(&mut w, held.clone());
            assert_eq!((wishes(&w), w.phase("a")), (&[wish.clone()][..], Phase::Waiting), "{name}");
            assert!(w.effects_of("a").is_empty(), "{name}: nothing is merged");
            assert_eq!(w.said("pull_waits"), 1, "{name}: whoever follows it is told");
            assert_eq!((w.mission_state(mission), rests(&w)), (MissionState::Blocked, true), "{name}");
            w.restart_and_compare();
            let request = asked(&w).unwrap();
            assert!(request.text.contains("pull request #7 of a (https://forge/7)"), "{name}: {}", request.text);
            assert!(request.text.contains(words), "{name}: {}", request.text);
            assert!(request.text.contains("merge it, or close it"), "{name}: {}", request.text);
            let resume = format!("musher mission note {} \"resume\"", mission.short());
            assert!(request.replies.contains(&resume), "{name}: {:?}", request.replies);
            let waits = wait::of_item(&w.state, w.id("a"));
            assert!(waits.len() == 1 && waits[0].text.ends_with(words), "{name}: {waits:?}");

            assert!(w.state.open_watches(mission).next().is_some(), "{name}");
            for _ in 0..2 {
                w.pass(STUCK);
                look(&mut w, held.clone());
            }
            let help = w.events.iter().filter(|e| matches!(&e.happened, Happened::MissionHelpRequested { .. })).count();
            assert_eq!(help, 1, "{name}: an open watch that waits for a person keeps nobody silent");

            assert_eq!(w.said("pull_waits"), 1, "{name}: and not at each look");
            w.pass(INTERVAL);
            let mut settled = held;
            settled.findings.iter_mut().for_each(|finding| finding.resolved = true);
            settled.reviews.push(review(2, ReviewVerdict::Approved, &settled.head.clone()));
            look(&mut w, settled);
            let then = if policy.auto_merge { (vec!["merge_pull"], &[][..]) } else { (vec![], &[Wish::Merge][..]) };
            assert_eq!((w.effects_of("a"), wishes(&w)), then, "{name}: a person has given it");
            assert_eq!(rests(&w), !policy.auto_merge, "{name}");
            if !policy.auto_merge {
                let resume = asked(&w).unwrap().replies.contains(&resume);
                assert!(!resume, "{name}: no open watch is left to override");
            }
        }
    }
}

#[test]
fn what_was_overridden_is_open_again_only_for_what_was_not_there_then() {
    let w = green();
    let pull = ready(&w, &["success"]);
    let opens = |found: &[&str], seen: Seen| {
        let mut watch =
            w.state.watches_of(w.id("a")).find(|watch| watch.kind == WatchKind::ReviewComments).unwrap().clone();
        watch.status = WatchStatus::Overridden("ann".into());
        watch.found = found.iter().map(|id| (*id).into()).collect();
        musher_core::watch::opens_again(&watch, seen, &["1".into()], &pull)
    };
    assert!(!opens(&["1"], Seen::Triggered), "it is what the operator has decided about");
    assert!(opens(&["2"], Seen::Triggered), "another review");
    assert!(!opens(&["2"], Seen::Pending));
}

fn refuse(w: &mut World, why: &str) {
    forge(w, "merge_pull", ForgeAnswer::PullMerged(PullMerge::Refused { why: why.into() }));
}

#[test]
fn a_refused_merge_is_in_the_inbox_with_what_is_missing_and_is_asked_again_when_something_changed_or_after_an_hour() {
    let table = [
        (
            "At least 1 approving review is required by reviewers with write access.",
            "somebody who may has to approve it",
        ),
        ("Required status check \"ci\" is expected.", "somebody has to see that the check runs and succeeds"),
        ("A conversation must be resolved before this can be merged.", "somebody has to resolve the conversations"),
        ("Resource not accessible by personal access token", "give the token of `[forge]` the right to merge"),
        ("Commits must have\nverified signatures.", "somebody has to see on its page what is missing"),
    ];
    for (why, help) in table {
        let mut w = opened_by(auto_merge());
        let same = ready(&w, &["success"]);
        look(&mut w, same.clone());
        refuse(&mut w, why);
        let request = asked(&w).unwrap();
        let words = why.replace('\n', " ");
        assert!(request.text.contains(&format!("({words}); {help}")), "{}", request.text);
        assert_eq!((rests(&w), w.said("pull_waits")), (true, 1), "{why}");
        w.restart_and_compare();
        // 19 intervals of 3 minutes, not quite an hour.
        for _ in 0..19 {
            w.pass(INTERVAL);
            look(&mut w, same.clone());
            assert!(w.effects_of("a").is_empty(), "{why}: the same is not asked again");
            assert!(asked(&w).is_some(), "{why}");
        }
        w.pass(INTERVAL);
        look(&mut w, same.clone());
        assert_eq!(w.effects_of("a"), ["merge_pull"], "{why}: after an hour");
        refuse(&mut w, why);
        assert_eq!((asked(&w).is_some(), w.said("pull_waits")), (true, 1), "{why}: it is told once");
        w.pass(INTERVAL);
        let mut approved = same.clone();
        approved.reviews.push(review(2, ReviewVerdict::Approved, &same.head));
        look(&mut w, approved.clone());
        assert_eq!((w.effects_of("a"), asked(&w).is_none()), (vec!["merge_pull"], true), "{why}: a review is new");
        refuse(&mut w, why);
        w.pass(INTERVAL);
        let mut more = approved;
        more.checks.push(crate::pulls::check("late", "success"));
        look(&mut w, more);
        assert_eq!(w.effects_of("a"), ["merge_pull"], "{why}: a check is new");
        forge(&mut w, "merge_pull", ForgeAnswer::PullMerged(PullMerge::Merged { commit: "m".into() }));
        assert_eq!(w.phase("a"), Phase::Done, "{why}");
    }
}

#[test]
fn a_branch_that_is_out_of_date_is_rebased_and_a_base_that_moved_in_that_moment_is_nobodys_task() {
    let mut w = opened_by(auto_merge());
    let same = ready(&w, &["success"]);
    look(&mut w, same.clone());
    refuse(&mut w, "Base branch was modified. Review and try the merge again.");
    assert!(asked(&w).is_none());
    w.pass(INTERVAL);
    look(&mut w, same.clone());
    assert_eq!(w.effects_of("a"), ["merge_pull"], "the next time may do");
    refuse(&mut w, "Head branch is out of date. Review and try the merge again.");
    assert_eq!((w.effects_of("a"), asked(&w).is_none()), (vec!["rebase"], true));
    let head = same.head.clone();
    w.rebase("a", Rebase::Done { head });
    w.pass(INTERVAL);
    look(&mut w, same);
    assert!(w.effects_of("a").is_empty());
    let request = asked(&w).unwrap();
    assert!(request.text.contains("somebody has to bring the branch up to its base"), "{}", request.text);
}

#[test]
fn a_repository_in_which_no_check_comes_is_said_after_ten_minutes_and_goes_on_when_one_does() {
    let mut w = opened_by(policy());
    let none = seen(&w, &[]);
    look(&mut w, none.clone());
    for minute in [3, 6, 9] {
        w.pass(INTERVAL);
        look(&mut w, none.clone());
        assert_eq!((wishes(&w), rests(&w)), (&[][..], false), "after {minute} minutes");
    }
    w.pass(INTERVAL);
    look(&mut w, none.clone());
    assert_eq!((wishes(&w), rests(&w)), (&[Wish::Check][..], true));
    let request = asked(&w).unwrap();
    assert!(request.text.contains("`require_checks = false` under `[project]`"), "{}", request.text);
    assert!(wait::of_item(&w.state, w.id("a"))[0].text.contains("no check has come"));
    w.restart_and_compare();
    w.pass(INTERVAL);
    let begun = seen(&w, &["pending"]);
    look(&mut w, begun);
    assert_eq!((wishes(&w), rests(&w), asked(&w).is_none()), (&[][..], false, true));
}
