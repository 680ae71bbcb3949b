//! What reviewing agents say, posted on the pull request: of which commit, when, and once.

use musher_core::agent::AgentSpec;
use musher_core::command::{Push, Report};
use musher_core::config::ProjectSettings;
use musher_core::effect::EffectKind;
use musher_core::event::Happened;
use musher_core::forge::{ForgeAnswer, ForgeFailure, ForgeWork, Judgement, PullSeen};
use musher_core::mission::{Delivery, Policy};
use musher_core::run::Verdict;

use crate::pulls::{INTERVAL, forge, look, seen};
use crate::world::{World, agent, item, settings, verdict, words};

/// A world with an author and a reviewer, in which item `a` is verified and under review.
fn under_review(posts_reviews: bool) -> World {
    let mut w = World::with_settings(ProjectSettings { delivery: Delivery::Pr, posts_reviews, ..settings() });
    w.agent(agent("a1"));
    w.agent(AgentSpec { roles: words(&["reviewer"]), ..agent("judge") });
    let policy = Policy { reviewer_required: true, auto_merge: true, ..Policy::default() };
    w.mission_with(policy, vec![item("a", &[])]);
    w.work("a");
    w
}

fn judged(w: &mut World, says: Verdict) {
    w.report("a", "start_run", Report::RunStarted);
    w.end("a", verdict(says));
}

fn approved(w: &mut World) {
    judged(w, Verdict::Approved("It is sound.".into()));
    w.report("a", "push_branch", Report::Pushed(Push::Done));
}

/// The same with its pull request open, and the first look under way.
fn opened(posts_reviews: bool) -> World {
    let mut w = under_review(posts_reviews);
    approved(&mut w);
    let opened = ForgeAnswer::PullOpened { number: 7, url: "https://forge/7".into(), draft: false, adopted: false };
    forge(&mut w, "open_pull", opened);
    w
}

fn ready(w: &World) -> PullSeen {
    PullSeen { draft: false, ..seen(w, &["success"]) }
}

/// What is being posted: of which commit, what, and the words.
fn posting(w: &World) -> Option<(String, Judgement, String)> {
    w.state.effects_of(w.id("a")).find_map(|effect| match &effect.kind {
        EffectKind::Forge(ForgeWork::ReviewPull { number: 7, head, judgement, text, .. }) => {
            Some((head.to_string(), *judgement, text.to_string()))
        }
        _ => None,
    })
}

fn fails(w: &mut World, failure: ForgeFailure) {
    w.report("a", "review_pull", Report::ForgeFailed(failure));
}

#[test]
fn a_yes_is_posted_of_the_commit_that_was_reviewed_and_nothing_is_merged_before() {
    let mut w = opened(true);
    let green = ready(&w);
    look(&mut w, green.clone());
    let (head, judgement, text) = posting(&w).unwrap();
    assert_eq!((head.as_str(), judgement), (&*green.head, Judgement::Approve));
    assert!(text.starts_with("The reviewing agent `judge` approves ") && text.ends_with("\n\nIt is sound."), "{text}");
    assert_eq!(w.effects_of("a"), ["review_pull"]);
    // No answer comes: it is looked at all the same, and neither merged nor reviewed again.
    w.pass(INTERVAL);
    look(&mut w, green.clone());
    assert_eq!(w.effects_of("a"), ["review_pull"]);
    w.restart();
    forge(&mut w, "review_pull", ForgeAnswer::PullReviewed { own: false });
    assert_eq!(w.effects_of("a"), ["look_at_pull"], "it goes on at once");
    look(&mut w, green);
    assert_eq!(w.effects_of("a"), ["merge_pull"]);
    assert_eq!(w.said("pull_reviewed"), 1);
}

#[test]
fn a_no_is_posted_as_words_while_the_forge_does_not_have_the_commit() {
    let mut w = under_review(true);
    judged(&mut w, Verdict::Rejected("It leaks.".into()));
    assert_eq!(posting(&w), None, "there is no pull request to say it on");
    w.work("a");
    approved(&mut w);
    let opened = ForgeAnswer::PullOpened { number: 7, url: "https://forge/7".into(), draft: false, adopted: false };
    forge(&mut w, "open_pull", opened);
    let mut wanted = ready(&w);
    look(&mut w, wanted.clone());
    forge(&mut w, "review_pull", ForgeAnswer::PullReviewed { own: false });
    wanted.reviews.push(musher_core::forge::Review {
        id: 1,
        author: "bob".into(),
        verdict: musher_core::forge::ReviewVerdict::ChangesRequested,
        commit: wanted.head.clone(),
        text: "Make it blue.".into(),
        trusted: true,
    });
    let first = wanted.head.to_string();
    look(&mut w, wanted);
    w.work("a");
    judged(&mut w, Verdict::Rejected("It is green.".into()));
    let (head, judgement, text) = posting(&w).unwrap();
    assert_eq!((head == first, judgement), (false, Judgement::Comment));
    assert!(text.contains("`judge` has rejected ") && text.ends_with("\n\nIt is green."), "{text}");
    forge(&mut w, "review_pull", ForgeAnswer::PullReviewed { own: false });
    w.work("a");
    approved(&mut w);
    let again = ready(&w);
    look(&mut w, again.clone());
    let (head, judgement, _) = posting(&w).unwrap();
    assert_eq!((head.as_str(), judgement), (&*again.head, Judgement::Approve), "each head has a review of its own");
}

#[test]
fn one_that_is_not_posted_is_tried_again_after_a_fault_and_said_and_left_out_after_a_refusal() {
    let mut w = opened(true);
    let green = ready(&w);
    look(&mut w, green.clone());
    fails(&mut w, ForgeFailure::Unavailable("502".into()));
    assert_eq!(w.effects_of("a"), Vec::<&str>::new());
    w.pass(INTERVAL);
    look(&mut w, green.clone());
    assert_eq!(w.effects_of("a"), ["review_pull"]);
    fails(&mut w, ForgeFailure::Refused("Resource not accessible".into()));
    look(&mut w, green);
    assert_eq!(w.effects_of("a"), ["merge_pull"]);
    let said: Vec<&Happened> = w.events.iter().map(|event| &event.happened).collect();
    let said = said.into_iter().filter_map(|happened| match happened {
        Happened::PullNotReviewed { number: 7, error } => Some(&**error),
        _ => None,
    });
    assert_eq!(said.collect::<Vec<_>>(), ["the forge refuses: Resource not accessible"]);
}

#[test]
fn without_a_token_for_reviews_nothing_is_posted() {
    let mut w = opened(false);
    let green = ready(&w);
    look(&mut w, green);
    assert_eq!(w.effects_of("a"), ["merge_pull"]);
}
