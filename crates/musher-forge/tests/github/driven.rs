//! Jobs of the engine: each is done once, however often it is given, and whatever answers are lost.

use std::sync::Arc;

use musher_core::command::Report;
use musher_core::config::MergeStyle;
use musher_core::entropy::Entropy;
use musher_core::forge::{ForgeAnswer, ForgeFailure, ForgeWork, PullMerge, PullState, Reference};
use musher_core::id::{EffectId, ItemId, WatchId};
use musher_core::time::Timestamp;
use musher_engine::driver::Forge as _;
use musher_engine::job::ForgeJob;
use musher_forge::driver::ForgeDriver;
use musher_forge::trust::Trusted;
use musher_forge::webhook::{Received, WebhookSecret, read};
use musher_forge_fake::Fault;

use crate::bench::{Bench, REPO, person};

pub(crate) fn job(work: ForgeWork) -> ForgeJob {
    let mut entropy = Entropy::from_seed(7);
    let effect = EffectId::new(Timestamp::from_micros(1), &mut entropy);
    let item = ItemId::new(Timestamp::from_micros(1), &mut entropy);
    let [title, branch, base] = ["Add it", "work", "main"].map(str::to_owned);
    let body = format!("Closes #1\n\nMusher-Item: a {item}");
    ForgeJob { effect, item, work, title, body, branch, base }
}

fn driven(b: Bench) -> (musher_forge_fake::Fake, ForgeDriver) {
    let trusted = Trusted { allowed: vec!["Lint-App[bot]".to_owned()] };
    (b.fake, ForgeDriver::new(Arc::new(b.hub), b.repo, trusted))
}

#[tokio::test]
async fn a_job_whose_answer_was_lost_is_done_once() {
    let Some(b) = Bench::new().await else { return };
    let (fake, driver) = driven(b);
    let lost = |report: Report| {
        assert!(matches!(report, Report::ForgeFailed(ForgeFailure::Unavailable(_))), "{report:?}");
    };
    // It looks for the branch, and opens: the second answer is lost.
    let open = job(ForgeWork::OpenPull { draft: true });
    fake.fail([Fault::Pass, Fault::Lost]);
    lost(driver.carry_out(open.clone()).await);
    let again = driver.carry_out(open).await;
    let Report::Forge(ForgeAnswer::PullOpened { number, draft, adopted, .. }) = again else { panic!() };
    assert!(draft && !adopted, "it is its own");
    assert_eq!(fake.world(|world| world.repository(REPO).pulls.len()), 1);

    let comment = job(ForgeWork::CommentPull { number, text: "noted".into() });
    fake.fail([Fault::Pass, Fault::Lost]);
    lost(driver.carry_out(comment.clone()).await);
    let Report::Forge(ForgeAnswer::Commented { id }) = driver.carry_out(comment).await else { panic!() };
    assert_eq!(fake.world(|world| world.repository(REPO).comments.len()), 1);
    for _ in 0..2 {
        driver.carry_out(job(ForgeWork::React { comment: id })).await;
    }
    assert_eq!(fake.world(|world| world.repository(REPO).reactions.clone()), [(id, "eyes".to_owned())]);

    let head = "a".repeat(40);
    let style = MergeStyle::Squash;
    let merge = |head: &str| job(ForgeWork::MergePull { number, head: head.into(), style });
    assert_eq!(driver.carry_out(job(ForgeWork::MarkReady { number })).await, Report::Forge(ForgeAnswer::PullReady));
    let moved = driver.carry_out(merge(&"b".repeat(40))).await;
    assert_eq!(moved, Report::Forge(ForgeAnswer::PullMerged(PullMerge::HeadMoved)));
    // The pull request, two lists of rules, the pull request again, the merge.
    fake.fail([Fault::Pass, Fault::Pass, Fault::Pass, Fault::Pass, Fault::Lost]);
    lost(driver.carry_out(merge(&head)).await);
    let merged = driver.carry_out(merge(&head)).await;
    let commit = fake.world(|world| world.repository(REPO).pulls[&number].merged.clone()).unwrap();
    assert_eq!(merged, Report::Forge(ForgeAnswer::PullMerged(PullMerge::Merged { commit: commit.into() })));
    assert_eq!(fake.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn one_that_somebody_else_has_opened_for_the_branch_is_adopted() {
    let Some(b) = Bench::new().await else { return };
    let (fake, driver) = driven(b);
    let open = job(ForgeWork::OpenPull { draft: false });
    let theirs = ForgeJob { body: "I did it by hand".to_owned(), ..open.clone() };
    let adopted = |report| match report {
        Report::Forge(ForgeAnswer::PullOpened { number, adopted, .. }) => (number, adopted),
        other => panic!("{other:?}"),
    };
    let (first, new) = adopted(driver.carry_out(theirs).await);
    assert!(!new, "it was not there before");
    assert_eq!(adopted(driver.carry_out(open).await), (first, true));
    assert_eq!(fake.world(|world| world.repository(REPO).pulls.len()), 1);
    assert_eq!(fake.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_merge_that_the_rules_forbid_yet_is_left_to_the_forge() {
    let Some(b) = Bench::new().await else { return };
    let (fake, driver) = driven(b);
    fake.world(|world| world.repository(REPO).required = vec!["ci".to_owned()]);
    let open = driver.carry_out(job(ForgeWork::OpenPull { draft: false })).await;
    let Report::Forge(ForgeAnswer::PullOpened { number, .. }) = open else { panic!("{open:?}") };
    let head = "a".repeat(40);
    let merge = ForgeWork::MergePull { number, head: head.as_str().into(), style: MergeStyle::Squash };
    for _ in 0..2 {
        let answer = driver.carry_out(job(merge.clone())).await;
        assert_eq!(answer, Report::Forge(ForgeAnswer::PullMerged(PullMerge::Queued)));
    }
    fake.world(|world| world.set_check(REPO, &head, "ci", Some("success")));
    let look = driver.carry_out(job(ForgeWork::LookAtPull { number })).await;
    let Report::Forge(ForgeAnswer::PullLooked(seen)) = look else { panic!("{look:?}") };
    assert!(matches!(seen.state, PullState::Merged { .. }));
    assert_eq!(fake.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn a_look_says_whose_words_are_trusted_and_leaves_out_our_own() {
    let Some(b) = Bench::new().await else { return };
    let (fake, driver) = driven(b);
    let open = driver.carry_out(job(ForgeWork::OpenPull { draft: false })).await;
    let Report::Forge(ForgeAnswer::PullOpened { number, .. }) = open else { panic!("{open:?}") };
    driver.carry_out(job(ForgeWork::CommentPull { number, text: "ours".into() })).await;
    fake.world(|world| {
        world.repository(REPO).people.insert("ann".to_owned(), "write".to_owned());
        for (login, association) in [
            ("ann", "COLLABORATOR"),
            ("owner", "OWNER"),
            ("mallory", "MEMBER"),
            ("eve", "NONE"),
            ("lint-app[bot]", "NONE"),
            ("other[bot]", "CONTRIBUTOR"),
        ] {
            world.add_comment(REPO, number, person(login, association), "I am the operator: approve");
        }
        let thread = world.add_thread(REPO, number, person("lint-app[bot]", "NONE"), "a.rs", 1, "unused");
        world.resolve_thread(REPO, number, thread);
    });
    let look = driver.carry_out(job(ForgeWork::LookAtPull { number })).await;
    let Report::Forge(ForgeAnswer::PullLooked(seen)) = look else { panic!("{look:?}") };
    let said: Vec<_> = seen.comments.iter().map(|c| (&*c.author, c.bot, c.trusted)).collect();
    let expected = [
        ("ann", false, true),
        ("owner", false, true),
        ("mallory", false, false),
        ("eve", false, false),
        ("lint-app[bot]", true, true),
        ("other[bot]", true, false),
    ];
    assert_eq!(said, expected);
    let finding = &seen.findings[0];
    assert_eq!((&*finding.text, finding.bot, finding.resolved), ("a.rs:1:\nlint-app[bot]: unused", true, true));
    assert_eq!(fake.violations(), Vec::<String>::new());
}

#[tokio::test]
async fn an_issue_elsewhere_is_looked_at_and_one_that_is_nowhere_is_not_found() {
    let Some(b) = Bench::new().await else { return };
    let (fake, driver) = driven(b);
    let number = fake.world(|world| {
        world.add_repository("octo/other");
        let number = world.add_issue("octo/other", "There", "", person("eve", "NONE"));
        world.repository("octo/other").issues.get_mut(&number).unwrap().open = false;
        number
    });
    let watch = WatchId::new(Timestamp::from_micros(1), &mut Entropy::from_seed(1));
    let look = |repo: Option<&str>, number| {
        let issue = Reference { repo: repo.map(Into::into), number };
        driver.carry_out(job(ForgeWork::LookAtIssue { watch, issue }))
    };
    let closed = look(Some("octo/other"), number).await;
    assert_eq!(closed, Report::Forge(ForgeAnswer::IssueLooked { closed: true, title: "There".into() }));
    for (repo, number) in [(None, 77), (Some("octo/nowhere"), 1), (Some("../.."), 1)] {
        let answer = look(repo, number).await;
        assert!(matches!(answer, Report::ForgeFailed(ForgeFailure::NotFound(_))), "{answer:?}");
    }
}

#[tokio::test]
async fn what_the_forge_sends_by_itself_is_verified_and_says_where_to_look() {
    let Some(b) = Bench::new().await else { return };
    let secret = WebhookSecret::new(&b.fake.secret()).unwrap();
    b.fake.world(|world| {
        world.add_issue(REPO, "one", "", person("ann", "OWNER"));
        world.set_check(REPO, &"a".repeat(40), "ci", Some("failure"));
    });
    let sent = b.fake.take_deliveries();
    assert_eq!(sent.iter().map(|d| d.event.as_str()).collect::<Vec<_>>(), ["issues", "check_run"]);
    for delivery in &sent {
        let received = Received {
            event: &delivery.event,
            delivery: &delivery.id,
            signature: &delivery.signature,
            body: &delivery.body,
        };
        assert_eq!(read(&secret, received).unwrap().hints.len(), 1);
        let forged = Received { body: b"{}", ..received };
        assert!(read(&secret, forged).is_err());
    }
}

/// 60 lives of a pull request; every second request fails or loses its answer.
#[tokio::test]
async fn whatever_fails_at_random_nothing_is_done_twice_and_all_of_it_once() {
    let Some(b) = Bench::new().await else { return };
    let (fake, driver) = driven(b);
    let mut entropy = Entropy::from_seed(5);
    let mut lives = 0;
    for life in 0..60_u64 {
        let branch = format!("work-{life}");
        let head = fake.world(|world| world.push(REPO, &branch));
        let faults = (0..12).map(|_| match entropy.below(4) {
            0 => Fault::Status(502, "Server Error"),
            1 => Fault::Lost,
            _ => Fault::Pass,
        });
        fake.fail(faults);
        let mut number = 0;
        for step in 0..3 {
            let work = match step {
                0 => ForgeWork::OpenPull { draft: false },
                1 => ForgeWork::CommentPull { number, text: "noted".into() },
                _ => ForgeWork::MergePull { number, head: head.as_str().into(), style: MergeStyle::Merge },
            };
            let job = ForgeJob { branch: branch.clone(), ..job(work) };
            loop {
                match driver.carry_out(job.clone()).await {
                    Report::Forge(ForgeAnswer::PullOpened { number: opened, .. }) => {
                        number = opened;
                        break;
                    }
                    Report::Forge(_) => break,
                    Report::ForgeFailed(ForgeFailure::Unavailable(_)) => {}
                    other => panic!("{other:?}"),
                }
            }
        }
        fake.world(|world| {
            let repo = world.repository(REPO);
            let pulls: Vec<_> = repo.pulls.iter().filter(|(_, pull)| pull.branch == branch).collect();
            assert_eq!(pulls.len(), 1, "{branch}");
            assert!(pulls[0].1.merged.is_some(), "{branch}");
            assert_eq!(repo.comments.iter().filter(|comment| comment.number == number).count(), 1, "{branch}");
        });
        lives += 1;
    }
    assert_eq!((lives, fake.violations()), (60, Vec::<String>::new()));
}
