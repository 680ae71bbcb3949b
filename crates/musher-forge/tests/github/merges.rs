//! Merges, and what stands in their way.

use std::path::Path;
use std::process::Command;

use musher_forge::{Forge, ForgeError, Merge, MergeHow, Method};
use musher_forge_fake::Fault;

use crate::bench::{Bench, REPO, new_pull, person};

fn how(head: &str) -> MergeHow {
    let (title, message) = ("Add it (#1)".to_owned(), "Musher-Item: 1".to_owned());
    MergeHow { head: head.to_owned(), method: Method::Squash, title, message }
}

fn git(at: &Path, arguments: &[&str]) -> String {
    let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
    let output = Command::new("git").arg("-C").arg(at).args(identity).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_merge_happens_once_at_the_head_that_was_judged_and_moves_the_real_branch() {
    let Some(b) = Bench::new().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    git(at, &["init", "-q", "-b", "main"]);
    git(at, &["commit", "-q", "--allow-empty", "-m", "one"]);
    git(at, &["checkout", "-q", "-b", "work"]);
    std::fs::write(at.join("a"), "a").unwrap();
    git(at, &["add", "a"]);
    git(at, &["commit", "-q", "-m", "two"]);
    b.fake.world(|world| {
        world.add_issue(REPO, "one", "", person("ann", "OWNER"));
        world.repository(REPO).git = Some(at.to_owned());
    });
    let pull = b.hub.open_pull(&b.repo, &new_pull()).await.unwrap();
    assert_eq!(pull.head, git(at, &["rev-parse", "work"]));
    let draft = b.hub.merge(&b.repo, pull.number, &how(&pull.head)).await.unwrap_err();
    assert!(matches!(&draft, ForgeError::Conflict { what } if what.contains("still a draft")), "{draft:?}");
    b.hub.mark_ready(&pull).await.unwrap();
    let moved = b.hub.merge(&b.repo, pull.number, &how(&"b".repeat(40))).await;
    assert!(matches!(moved, Err(ForgeError::Conflict { .. })));

    // It is merged and the answer is lost; whoever asks again is told so, and nothing is merged twice.
    b.fake.fail([Fault::Pass, Fault::Lost]);
    let lost = b.hub.merge(&b.repo, pull.number, &how(&pull.head)).await;
    assert!(matches!(lost, Err(ForgeError::Unavailable { .. })));
    let tip = git(at, &["rev-parse", "main"]);
    assert_eq!(b.hub.merge(&b.repo, pull.number, &how(&pull.head)).await.unwrap(), Merge::Already(tip.clone()));
    assert_eq!(git(at, &["rev-list", "--count", "main"]), "2");
    assert_eq!(git(at, &["show", "main:a"]), "a");
    assert!(!b.hub.issue(&b.repo, 1).await.unwrap().open, "it said that it closes it");
    b.honest();
}

#[tokio::test]
async fn rules_are_read_and_what_they_demand_is_waited_for() {
    let Some(b) = Bench::new().await else { return };
    b.fake.world(|world| {
        let repo = world.repository(REPO);
        (repo.required, repo.approvals) = (vec!["ci".to_owned()], 1);
    });
    let rules = b.hub.rules(&b.repo, "main").await.unwrap();
    assert_eq!((&*rules.required_checks, rules.approvals, rules.merge_queue), (&["ci".to_owned()][..], 1, false));
    let mut pull = b.hub.open_pull(&b.repo, &new_pull()).await.unwrap();
    b.hub.mark_ready(&pull).await.unwrap();
    let early = b.hub.merge(&b.repo, pull.number, &how(&pull.head)).await.unwrap_err();
    assert!(early.to_string().contains("Required status check"), "{early}");
    b.hub.merge_when_ready(&pull, &how(&pull.head)).await.unwrap();
    pull = b.hub.pull(&b.repo, pull.number).await.unwrap();
    assert!(pull.auto_merge);
    b.fake.world(|world| {
        world.set_check(REPO, &pull.head, "ci", Some("success"));
        world.add_review(REPO, pull.number, person("ann", "OWNER"), "APPROVED", "");
    });
    let merged = b.hub.merge(&b.repo, pull.number, &how(&pull.head)).await.unwrap();
    assert!(matches!(merged, Merge::Already(_)), "the forge did it by itself");
    b.honest();
}

#[tokio::test]
async fn a_branch_with_a_queue_is_merged_through_it() {
    let Some(b) = Bench::new().await else { return };
    b.fake.world(|world| world.repository(REPO).merge_queue = true);
    assert!(b.hub.rules(&b.repo, "main").await.unwrap().merge_queue);
    let pull = b.hub.open_pull(&b.repo, &new_pull()).await.unwrap();
    b.hub.mark_ready(&pull).await.unwrap();
    assert!(matches!(b.hub.merge(&b.repo, pull.number, &how(&pull.head)).await, Err(ForgeError::Conflict { .. })));
    let stale = b.hub.enqueue(&pull, &"b".repeat(40)).await;
    assert!(matches!(stale, Err(ForgeError::Conflict { .. })), "{stale:?}");
    let is_queued = async || b.hub.look(&b.repo, pull.number).await.unwrap().queued;
    assert!(!is_queued().await);
    b.fake.world(|world| world.repository(REPO).queue_waits = true);
    b.hub.enqueue(&pull, &pull.head).await.unwrap();
    assert!(is_queued().await);
    b.fake.world(|world| world.repository(REPO).pulls.get_mut(&pull.number).unwrap().queued = false);
    assert!(!is_queued().await, "somebody has taken it out");
    b.fake.world(|world| {
        let repo = world.repository(REPO);
        (repo.queue_waits, repo.pulls.get_mut(&pull.number).unwrap().queued) = (false, true);
    });
    assert!(matches!(b.hub.merge(&b.repo, pull.number, &how(&pull.head)).await.unwrap(), Merge::Already(_)));
    b.honest();
}
