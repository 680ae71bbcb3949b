//! Lists are whole, and names lead where they should.

use musher_forge::{Forge, ForgeError, Permission};

use crate::bench::{Bench, REPO, new_pull, person};

#[tokio::test]
async fn every_list_is_whole_whatever_the_number_of_pages() {
    let Some(b) = Bench::new().await else { return };
    let number = b.hub.open_pull(&b.repo, &new_pull()).await.unwrap().number;
    b.fake.page_at(7);
    let head = "a".repeat(40);
    b.fake.world(|world| {
        for n in 0..60 {
            world.add_issue(REPO, &format!("issue {n}"), "", person("ann", "MEMBER"));
            world.add_comment(REPO, number, person("ann", "MEMBER"), &format!("comment {n}"));
            world.set_check(REPO, &head, &format!("check {n}"), Some("success"));
            world.add_review(REPO, number, person("ann", "MEMBER"), "COMMENTED", "");
            world.add_thread(REPO, number, person("bob", "NONE"), "a.rs", n, "x");
        }
    });
    let look = b.hub.look(&b.repo, number).await.unwrap();
    let lengths = [look.comments.len(), look.checks.len(), look.reviews.len(), look.threads.len()];
    assert_eq!(lengths, [60, 60, 60, 60]);
    assert_eq!(look.comments[59].body, "comment 59");
    b.honest();
}

#[tokio::test]
async fn issues_are_read_with_their_labels_and_comments_are_written() {
    let Some(b) = Bench::new().await else { return };
    let number = b.fake.world(|world| {
        let number = world.add_issue(REPO, "Title \u{202e}", "body", person("ann", "OWNER"));
        let issue = world.repository(REPO).issues.get_mut(&number).unwrap();
        issue.labels = vec!["kind:test".to_owned(), "a b, c".to_owned()];
        number
    });
    let issue = b.hub.issue(&b.repo, number).await.unwrap();
    assert_eq!((&*issue.title, issue.labels.len(), issue.open), ("Title \u{202e}", 2, true));
    b.hub.comment(&b.repo, number, "hello").await.unwrap();
    let comments = b.hub.comments(&b.repo, number).await.unwrap();
    assert_eq!(comments.iter().map(|c| c.body.as_str()).collect::<Vec<_>>(), ["hello"]);
    assert!(matches!(b.hub.issue(&b.repo, 99).await, Err(ForgeError::Missing { .. })));
    b.honest();
}

#[tokio::test]
async fn permissions_are_what_the_forge_says_and_nobody_has_none() {
    let Some(b) = Bench::new().await else { return };
    b.fake.world(|world| {
        let people = &mut world.repository(REPO).people;
        people.insert("ann".to_owned(), "admin".to_owned());
        people.insert("bob".to_owned(), "read".to_owned());
    });
    let cases = [
        ("ann", Permission::Admin),
        ("bob", Permission::Read),
        ("eve", Permission::None),
        ("../../../user", Permission::None),
        ("renovate[bot]", Permission::None),
    ];
    for (user, expected) in cases {
        assert_eq!(b.hub.permission(&b.repo, user).await.unwrap(), expected, "{user}");
    }
    b.honest();
}

#[tokio::test]
async fn a_repository_that_was_renamed_is_followed() {
    let Some(b) = Bench::new().await else { return };
    let number = b.fake.world(|world| {
        world.add_repository("octo/renamed").renamed_from = Some(REPO.to_owned());
        world.add_issue("octo/renamed", "there", "", person("ann", "OWNER"))
    });
    assert_eq!(b.hub.issue(&b.repo, number).await.unwrap().title, "there");
    b.honest();
}
