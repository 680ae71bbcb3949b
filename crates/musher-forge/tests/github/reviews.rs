//! Reviews of agents, posted under an account of their own.

use std::sync::Arc;

use musher_core::command::Report;
use musher_core::entropy::Entropy;
use musher_core::forge::{ForgeAnswer, ForgeFailure, ForgeWork, Judgement};
use musher_core::id::RunId;
use musher_core::time::Timestamp;
use musher_engine::driver::Forge as _;
use musher_forge::driver::ForgeDriver;
use musher_forge::trust::Trusted;
use musher_forge::{ApiBase, Forge, GitHub, Token};
use musher_forge_fake::{Fake, Fault};

use crate::bench::{Bench, REPO, new_pull};
use crate::driven::job;

/// A pull request, and a driver that reviews with this token.
async fn opened(token: impl FnOnce(&Fake) -> &str) -> Option<(Fake, ForgeDriver, u64)> {
    let b = Bench::new().await?;
    let number = b.hub.open_pull(&b.repo, &new_pull()).await.unwrap().number;
    let token = Token::new(token(&b.fake)).unwrap();
    let clock = Arc::new(|| Timestamp::from_micros(1));
    let reviewers = GitHub::new(ApiBase::parse(&b.fake.api()).unwrap(), token, clock);
    let driver = ForgeDriver::new(Arc::new(b.hub), b.repo, Trusted::default()).reviewing(Arc::new(reviewers));
    Some((b.fake, driver, number))
}

fn review(number: u64, head: &str, run: u64, judgement: Judgement) -> ForgeWork {
    let run = RunId::new(Timestamp::from_micros(1), &mut Entropy::from_seed(run));
    ForgeWork::ReviewPull { number, head: head.into(), run, judgement, text: "words".into() }
}

/// Who has reviewed what how, and how many comments there are.
fn there(fake: &Fake, number: u64) -> (Vec<(String, &'static str, String)>, usize) {
    fake.world(|world| {
        let repo = world.repository(REPO);
        let reviews = repo.pulls[&number].reviews.iter().map(|r| (r.author.login.clone(), r.state, r.head.clone()));
        (reviews.collect(), repo.comments.len())
    })
}

const POSTED: Report = Report::Forge(ForgeAnswer::PullReviewed { own: false });

#[tokio::test]
async fn a_review_whose_answer_was_lost_is_posted_once_by_the_reviewers_and_of_its_commit() {
    let Some((fake, driver, number)) = opened(Fake::review_token).await else { return };
    let head = "a".repeat(40);
    let later = fake.world(|world| world.push(REPO, "work"));
    let approve = job(review(number, &head, 1, Judgement::Approve));
    // Reviews and comments are read first.
    fake.fail([Fault::Pass, Fault::Pass, Fault::Lost]);
    let lost = driver.carry_out(approve.clone()).await;
    assert!(matches!(lost, Report::ForgeFailed(ForgeFailure::Unavailable(_))), "{lost:?}");
    for _ in 0..2 {
        assert_eq!(driver.carry_out(approve.clone()).await, POSTED);
    }
    let by = "review-bot".to_owned();
    assert_eq!(there(&fake, number), (vec![(by.clone(), "APPROVED", head.clone())], 0));
    assert_eq!(driver.carry_out(job(review(number, &later, 2, Judgement::RequestChanges))).await, POSTED);
    // Of a commit that was never pushed.
    assert_eq!(driver.carry_out(job(review(number, &"f".repeat(40), 3, Judgement::Comment))).await, POSTED);
    let all = [("APPROVED", head), ("CHANGES_REQUESTED", later.clone()), ("COMMENTED", later)];
    let all = all.map(|(state, head)| (by.clone(), state, head)).to_vec();
    assert_eq!(there(&fake, number), (all, 0));
    let gone = driver.carry_out(job(review(number, &"f".repeat(40), 4, Judgement::Approve))).await;
    assert!(matches!(gone, Report::ForgeFailed(ForgeFailure::Refused(_))), "{gone:?}");
    assert_eq!(fake.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_review_of_ones_own_pull_request_is_a_comment_once() {
    let Some((fake, driver, number)) = opened(Fake::token).await else { return };
    let approve = job(review(number, &"a".repeat(40), 1, Judgement::Approve));
    for _ in 0..2 {
        let answer = driver.carry_out(approve.clone()).await;
        assert_eq!(answer, Report::Forge(ForgeAnswer::PullReviewed { own: true }));
    }
    assert_eq!(there(&fake, number), (Vec::new(), 1));
    assert_eq!(fake.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn without_a_token_to_review_with_nothing_is_posted_under_the_writers_account() {
    let Some(b) = Bench::new().await else { return };
    let number = b.hub.open_pull(&b.repo, &new_pull()).await.unwrap().number;
    let fake = b.fake.clone();
    let driver = ForgeDriver::new(Arc::new(b.hub), b.repo, Trusted::default());
    let answer = driver.carry_out(job(review(number, &"a".repeat(40), 1, Judgement::Approve))).await;
    let Report::ForgeFailed(ForgeFailure::Refused(why)) = answer else { panic!("{answer:?}") };
    assert!(why.contains("`review_token` in [forge]"), "{why}");
    assert_eq!(there(&fake, number), (Vec::new(), 0));
}
