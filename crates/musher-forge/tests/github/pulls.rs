//! Pull requests, and looks at them.

use musher_forge::{Forge, PullChange, PullState, Rerun, Verdict};

use crate::bench::{Bench, REPO, new_pull, person};

#[tokio::test]
async fn a_branch_has_one_pull_request_which_is_found_changed_and_made_ready() {
    let Some(b) = Bench::new().await else { return };
    assert_eq!(b.hub.pull_of(&b.repo, "work").await.unwrap(), None);
    let opened = b.hub.open_pull(&b.repo, &new_pull()).await.unwrap();
    assert!(opened.draft && opened.own && opened.state == PullState::Open);
    let second = b.hub.open_pull(&b.repo, &new_pull()).await.unwrap_err();
    assert!(second.to_string().contains("A pull request already exists for octo:work."), "{second}");
    let found = b.hub.pull_of(&b.repo, "work").await.unwrap().unwrap();
    assert_eq!((found.number, &*found.head), (opened.number, &*"a".repeat(40)));
    let change = PullChange { title: Some("Better".to_owned()), ..PullChange::default() };
    let changed = b.hub.change_pull(&b.repo, found.number, &change).await.unwrap();
    assert_eq!((&*changed.title, &*changed.body), ("Better", "Closes #1"));
    b.hub.mark_ready(&changed).await.unwrap();
    assert!(!b.hub.pull(&b.repo, found.number).await.unwrap().draft);
    b.honest();
}

#[tokio::test]
async fn an_enterprise_server_has_its_graphql_beside_its_api() {
    let Some(b) = Bench::below("/api/v3").await else { return };
    let opened = b.hub.open_pull(&b.repo, &new_pull()).await.unwrap();
    b.hub.mark_ready(&opened).await.unwrap();
    assert!(!b.hub.pull(&b.repo, opened.number).await.unwrap().draft);
    b.honest();
}

#[tokio::test]
async fn a_look_brings_everything_of_the_head_and_a_second_one_costs_nothing() {
    let Some(b) = Bench::new().await else { return };
    let number = b.hub.open_pull(&b.repo, &new_pull()).await.unwrap().number;
    let head = "a".repeat(40);
    b.fake.world(|world| {
        world.set_check(REPO, &head, "ci", Some("failure"));
        world.set_check(REPO, &head, "slow", None);
        let repo = world.repository(REPO);
        repo.statuses.push((head.clone(), "lint".to_owned(), "error".to_owned()));
        repo.suites.push((head.clone(), "needs-approval".to_owned(), Some("action_required".to_owned())));
        repo.suites.push((head.clone(), "never-checks".to_owned(), None));
        world.add_review(REPO, number, person("ann", "MEMBER"), "CHANGES_REQUESTED", "no");
        world.add_thread(REPO, number, person("lint-app[bot]", "NONE"), "src/a.rs", 3, "unused");
        world.add_comment(REPO, number, person("eve", "NONE"), "merge it");
    });
    let look = b.hub.look(&b.repo, number).await.unwrap();
    let mut words: Vec<_> = look.checks.iter().map(|c| (c.name.as_str(), c.word.as_str(), c.job.is_some())).collect();
    words.sort_unstable();
    let expected = [
        ("ci", "failure", true),
        ("lint", "failure", false),
        ("needs-approval", "action_required", false),
        ("slow", "in_progress", true),
    ];
    assert_eq!(words, expected);
    assert_eq!((&look.reviews[0].verdict, &*look.reviews[0].commit), (&Verdict::ChangesRequested, &*head));
    let thread = &look.threads[0];
    assert_eq!((thread.resolved, &*thread.path, thread.line), (false, "src/a.rs", Some(3)));
    assert_eq!((&*thread.comments[0].author.login, thread.comments[0].author.bot), ("lint-app[bot]", true));
    assert_eq!(look.comments[0].body, "merge it");

    // The first one has found out whether it merges; the next tells it.
    b.hub.look(&b.repo, number).await.unwrap();
    b.asked();
    let used = b.fake.used();
    let again = b.hub.look(&b.repo, number).await.unwrap();
    assert_eq!(again.pull.mergeable, Some(true));
    let asked = b.asked();
    let costly: Vec<_> = asked.iter().filter(|line| !line.ends_with("304")).collect();
    assert_eq!(costly, ["POST /graphql 200"], "only whether threads are settled: {asked:?}");
    assert_eq!(b.fake.used() - used, 1);
    b.honest();
}

#[tokio::test]
async fn a_look_without_threads_costs_nothing_when_nothing_has_changed() {
    let Some(b) = Bench::new().await else { return };
    let number = b.hub.open_pull(&b.repo, &new_pull()).await.unwrap().number;
    for _ in 0..2 {
        b.hub.look(&b.repo, number).await.unwrap();
    }
    let used = b.fake.used();
    for _ in 0..20 {
        b.hub.look(&b.repo, number).await.unwrap();
    }
    assert_eq!(b.fake.used(), used);
    let head = b.fake.world(|world| world.push(REPO, "work"));
    assert_eq!(b.hub.look(&b.repo, number).await.unwrap().pull.head, head, "what has changed is seen at once");
    b.honest();
}

#[tokio::test]
async fn failed_jobs_get_one_second_chance_and_their_log_is_read_without_the_token() {
    let Some(b) = Bench::new().await else { return };
    b.fake.world(|world| {
        world.repository(REPO).ci = Some(Box::new(|push| {
            let end = if push.attempt == 1 { "failure" } else { "success" };
            vec![("ci".to_owned(), end.to_owned()), ("docs".to_owned(), "success".to_owned())]
        }));
    });
    let pull = b.hub.open_pull(&b.repo, &new_pull()).await.unwrap();
    let look = b.hub.look(&b.repo, pull.number).await.unwrap();
    let failed = look.checks.iter().find(|check| check.word == "failure").unwrap();
    let log = b.hub.log(&b.repo, failed.job.unwrap(), 8000).await.unwrap();
    assert!(log.ends_with("##[error]it ended with failure\n"), "{log}");
    let tail = b.hub.log(&b.repo, failed.job.unwrap(), 40).await.unwrap();
    assert_eq!(tail, "##[error]it ended with failure\n", "a line that was cut is left out");

    assert_eq!(b.hub.rerun(&b.repo, &pull.head).await.unwrap(), Rerun::Started(1));
    b.asked();
    assert_eq!(b.hub.rerun(&b.repo, &pull.head).await.unwrap(), Rerun::Started(1), "it had been started");
    assert_eq!(b.asked(), ["GET /actions/runs 200"], "and was not started again");
    let look = b.hub.look(&b.repo, pull.number).await.unwrap();
    assert!(look.checks.iter().all(|check| check.word == "success"), "{:?}", look.checks);
    assert_eq!(b.hub.rerun(&b.repo, &"b".repeat(40)).await.unwrap(), Rerun::NotPossible);
    b.honest();
}
