use std::path::PathBuf;

use musher_git::{Inspection, MergeStyle, Prepared, Rebased};

use crate::sandbox::{Sandbox, branch, git, git_may_fail, write};

/// An item and a base that changed the same line.
fn quarrel() -> (Sandbox, musher_git::Work) {
    let sandbox = Sandbox::new();
    let work = sandbox.finished("i", "a.txt", "one\nitem\nthree\n");
    write(&sandbox.top.join("a.txt"), "one\nbase\nthree\n");
    sandbox.git(["commit", "-q", "-am", "base"]);
    (sandbox, work)
}

#[test]
fn each_style_makes_the_same_commit_every_time() {
    let styles = [
        (MergeStyle::Squash, 1, vec!["fix the login"]),
        (MergeStyle::Merge, 2, vec!["fix the login", "second", "fix the login"]),
        (MergeStyle::Rebase, 1, vec!["second", "fix the login"]),
    ];
    for (style, parents, subjects) in styles {
        let sandbox = Sandbox::new();
        sandbox.finished("i", "new.txt", "new\n");
        let path = sandbox.path("i");
        write(&path.join("new.txt"), "new\nmore\n");
        git(&path, ["-c", "user.name=Agent", "commit", "-q", "-am", "second"]);
        let work = sandbox.clean("i");
        write(&sandbox.top.join("c.txt"), "c");
        sandbox.git(["add", "-A"]);
        sandbox.git(["commit", "-q", "-m", "base"]);
        let before = sandbox.user();
        let prepared = sandbox.prepare(&work.head, style);
        assert_eq!(sandbox.prepare(&work.head, style), prepared, "{style:?}");
        let Prepared::Ready { base, commit, tree } = prepared else { panic!("{style:?}") };
        assert_eq!(base, sandbox.tip("main"));
        assert_eq!(sandbox.tip("refs/musher/merge/m/item"), commit);
        assert_eq!(sandbox.git(["rev-parse", &format!("{commit}^{{tree}}")]), tree.as_str());
        assert_eq!(sandbox.git(["log", "-1", "--format=%P", commit.as_str()]).split(' ').count(), parents, "{style:?}");
        let log = sandbox.git(["log", "--format=%s", &format!("main..{commit}")]);
        let mut log: Vec<&str> = log.lines().collect();
        let mut want = subjects.clone();
        log.sort_unstable();
        want.sort_unstable();
        assert_eq!(log, want, "{style:?}");
        assert!(sandbox.git(["log", "-1", "--format=%B", commit.as_str()]).contains("Musher-Item: 9c41"), "{style:?}");
        assert_eq!(sandbox.user(), before, "{style:?}");
        for _ in 0..2 {
            sandbox.repository.forget_prepared("m/item").unwrap();
        }
        assert!(sandbox.repository.resolve("refs/musher/merge/m/item").unwrap().is_none());
    }
}

#[test]
fn a_replayed_commit_keeps_its_author() {
    let sandbox = Sandbox::new();
    let path = sandbox.item("i");
    write(&path.join("x"), "x");
    git(&path, ["add", "-A"]);
    git(&path, ["-c", "user.name=Agent", "-c", "user.email=a@b", "commit", "-q", "-m", "x"]);
    let head = sandbox.clean("i").head;
    sandbox.git(["commit", "-q", "--allow-empty", "-m", "base"]);
    let Prepared::Ready { commit, .. } = sandbox.prepare(&head, MergeStyle::Rebase) else { panic!() };
    assert_eq!(sandbox.git(["log", "-1", "--format=%an %cn", commit.as_str()]), "Agent Ada");
}

#[test]
fn a_conflict_names_its_files_and_changes_nothing() {
    for style in [MergeStyle::Squash, MergeStyle::Merge, MergeStyle::Rebase] {
        let (sandbox, work) = quarrel();
        let before = sandbox.user();
        match sandbox.prepare(&work.head, style) {
            Prepared::Conflict { files, .. } => assert_eq!(files, [PathBuf::from("a.txt")]),
            other => panic!("{other:?}"),
        }
        assert_eq!(sandbox.user(), before);
        assert!(sandbox.repository.resolve("refs/musher/merge/m/item").unwrap().is_none());
    }
}

#[test]
fn a_merge_that_would_change_nothing_is_empty() {
    let sandbox = Sandbox::new();
    let work = sandbox.finished("i", "new.txt", "new\n");
    write(&sandbox.top.join("new.txt"), "new\n");
    sandbox.git(["add", "-A"]);
    sandbox.git(["commit", "-q", "-m", "the same"]);
    for style in [MergeStyle::Squash, MergeStyle::Merge, MergeStyle::Rebase] {
        assert!(matches!(sandbox.prepare(&work.head, style), Prepared::Empty { .. }), "{style:?}");
    }
    let mut request = sandbox.prepare_request(&work.head, MergeStyle::Squash);
    request.target = branch("gone");
    assert!(sandbox.repository.prepare_merge(&request).is_err());
    request = sandbox.prepare_request(&work.head, MergeStyle::Squash);
    request.name = "../main".into();
    assert!(sandbox.repository.prepare_merge(&request).is_err());
}

#[test]
fn a_rebase_without_conflict_moves_branch_and_files() {
    let sandbox = Sandbox::new();
    sandbox.finished("i", "new.txt", "new\n");
    write(&sandbox.top.join("b.txt"), "base\n");
    sandbox.git(["commit", "-q", "-am", "base"]);
    let before = sandbox.user();
    let path = sandbox.path("i");
    write(&path.join("left.txt"), "over");
    let Rebased::Done { head } = sandbox.repository.rebase(&sandbox.rebase_request("i")).unwrap() else { panic!() };
    assert_eq!(sandbox.tip("musher/m/i"), head);
    assert_eq!(std::fs::read_to_string(path.join("b.txt")).unwrap(), "base\n");
    assert_eq!(git(&path, ["log", "--format=%s", "main..HEAD"]).lines().count(), 2);
    assert_eq!(git(&path, ["status", "--porcelain"]), "");
    let again = sandbox.repository.rebase(&sandbox.rebase_request("i")).unwrap();
    assert_eq!(again, Rebased::Done { head });
    assert_eq!(sandbox.user(), before);
}

#[test]
fn a_conflict_is_left_in_the_items_worktree_for_a_resolver() {
    let (sandbox, work) = quarrel();
    let before = sandbox.user();
    let path = sandbox.path("i");
    let rebased = sandbox.repository.rebase(&sandbox.rebase_request("i")).unwrap();
    let Rebased::Conflict { files, hunks } = &rebased else { panic!("{rebased:?}") };
    assert_eq!(files, &[PathBuf::from("a.txt")]);
    assert!(hunks.contains("item") && hunks.contains("base") && hunks.len() <= 8_000, "{hunks}");
    assert!(std::fs::read_to_string(path.join("a.txt")).unwrap().contains("<<<<<<< "));
    assert_eq!(sandbox.repository.rebase(&sandbox.rebase_request("i")).unwrap(), rebased);
    assert!(matches!(sandbox.inspect("i"), Inspection::Problems(_)));
    assert_eq!(sandbox.tip("musher/m/i"), work.head);
    write(&path.join("a.txt"), "one\nboth\nthree\n");
    let resolved = sandbox.clean("i");
    assert!(matches!(sandbox.prepare(&resolved.head, MergeStyle::Squash), Prepared::Ready { .. }));
    assert!(matches!(sandbox.prepare(&resolved.head, MergeStyle::Rebase), Prepared::Ready { .. }));
    assert_eq!(sandbox.repository.rebase(&sandbox.rebase_request("i")).unwrap(), Rebased::Done { head: resolved.head });
    assert_eq!(sandbox.user(), before);
}

#[test]
fn a_resolved_branch_is_brought_up_to_date_by_a_merge_and_keeps_its_resolution() {
    let (sandbox, _) = quarrel();
    sandbox.repository.rebase(&sandbox.rebase_request("i")).unwrap();
    write(&sandbox.path("i").join("a.txt"), "one\nboth\nthree\n");
    sandbox.clean("i");
    write(&sandbox.top.join("b.txt"), "later\n");
    sandbox.git(["commit", "-q", "-am", "later"]);
    let Rebased::Done { .. } = sandbox.repository.rebase(&sandbox.rebase_request("i")).unwrap() else { panic!() };
    assert_eq!(std::fs::read_to_string(sandbox.path("i").join("a.txt")).unwrap(), "one\nboth\nthree\n");
    assert_eq!(std::fs::read_to_string(sandbox.path("i").join("b.txt")).unwrap(), "later\n");
}

#[test]
fn an_interrupted_rebase_or_merge_is_begun_anew() {
    let (sandbox, work) = quarrel();
    let path = sandbox.path("i");
    assert!(!git_may_fail(&path, ["rebase", "main"]).0);
    let rebased = sandbox.repository.rebase(&sandbox.rebase_request("i")).unwrap();
    assert!(matches!(rebased, Rebased::Conflict { .. }), "{rebased:?}");
    assert!(!sandbox.top.join(".git/worktrees/i/rebase-merge").exists());
    // A merge killed before git noted it: markers in the files, and nothing that says why.
    std::fs::remove_file(sandbox.top.join(".git/worktrees/i/MERGE_HEAD")).unwrap();
    write(&sandbox.top.join(".git/worktrees/i/musher-reset"), work.head.as_str());
    assert_eq!(sandbox.repository.rebase(&sandbox.rebase_request("i")).unwrap(), rebased);
    assert_eq!(sandbox.tip("musher/m/i"), work.head);
    std::fs::remove_dir_all(&path).unwrap();
    assert_eq!(sandbox.repository.rebase(&sandbox.rebase_request("i")).unwrap(), Rebased::Missing);
}
