use musher_git::{KeptReason, Landed, Operation, RemoveMode, Removed};

use crate::sandbox::{Sandbox, branch, git, git_may_fail, write};

fn gone(sandbox: &Sandbox, item: &str) {
    assert!(!sandbox.path(item).exists());
    assert!(!sandbox.repository.branch_exists(&branch(&format!("musher/m/{item}"))).unwrap());
    assert_eq!(sandbox.repository.list_worktrees().unwrap().len(), 1);
}

#[test]
fn a_merged_item_leaves_nothing_behind() {
    let sandbox = Sandbox::new();
    let work = sandbox.finished("i", "new.txt", "new\n");
    write(&sandbox.path("i").join("cache/x"), "ignored and not to be kept");
    let request = sandbox.land_request(&work.head);
    assert_eq!(sandbox.repository.land(&request).unwrap(), Landed::Landed);
    let before = sandbox.user();
    for _ in 0..2 {
        let removed =
            sandbox.repository.remove_worktree(&sandbox.remove_request("i", Some(work.head.clone()))).unwrap();
        assert_eq!(removed, Removed::Removed { attic: None });
        gone(&sandbox, "i");
    }
    assert_eq!(sandbox.user(), before);
}

#[test]
fn work_that_is_nowhere_else_keeps_its_worktree() {
    type Case = (&'static str, fn(&Sandbox), KeptReason);
    let cases: [Case; 7] = [
        ("untracked", |s| write(&s.path("i").join("x.txt"), "x"), KeptReason::Uncommitted(vec!["x.txt".into()])),
        (
            "staged",
            |s| {
                write(&s.path("i").join("a.txt"), "x");
                git(&s.path("i"), ["add", "a.txt"]);
            },
            KeptReason::Uncommitted(vec!["a.txt".into()]),
        ),
        (
            "a commit after the merged one",
            |s| drop(git(&s.path("i"), ["commit", "-q", "--allow-empty", "-m", "more"])),
            KeptReason::Unmerged { commits: 1 },
        ),
        (
            "a commit on a detached head",
            |s| {
                git(&s.path("i"), ["checkout", "-q", "--detach"]);
                git(&s.path("i"), ["commit", "-q", "--allow-empty", "-m", "more"]);
            },
            KeptReason::Unmerged { commits: 1 },
        ),
        (
            "a stash",
            |s| {
                write(&s.path("i").join("a.txt"), "x");
                git(&s.path("i"), ["stash", "-q"]);
            },
            KeptReason::Stashes { count: 1 },
        ),
        (
            "an ignored file to be kept",
            |s| write(&s.path("i").join("deep/run.log"), "x"),
            KeptReason::Ignored(vec!["deep/run.log".into()]),
        ),
        (
            "a merge under way",
            |s| drop(git_may_fail(&s.path("i"), ["merge", "-q", "--no-ff", "--no-commit", "side"])),
            KeptReason::Unfinished(Operation::Merge),
        ),
    ];
    for (name, prepare, want) in cases {
        let sandbox = Sandbox::new();
        sandbox.git(["branch", "side", &sandbox.git(["commit-tree", "-p", "main", "-m", "side", "main^{tree}"])]);
        let work = sandbox.finished("i", "new.txt", "new\n");
        prepare(&sandbox);
        let files = git(&sandbox.path("i"), ["status", "--porcelain"]);
        let request = sandbox.remove_request("i", Some(work.head.clone()));
        assert_eq!(sandbox.repository.remove_worktree(&request).unwrap(), Removed::Kept(vec![want.clone()]), "{name}");
        assert_eq!(git(&sandbox.path("i"), ["status", "--porcelain"]), files, "{name}");
        assert!(!want.fix().is_empty());
    }
    let sandbox = Sandbox::new();
    sandbox.finished("i", "new.txt", "new\n");
    let removed = sandbox.repository.remove_worktree(&sandbox.remove_request("i", None)).unwrap();
    assert_eq!(removed, Removed::Kept(vec![KeptReason::Unmerged { commits: 1 }]));
}

#[test]
fn what_is_discarded_is_saved_first() {
    let sandbox = Sandbox::new();
    let work = sandbox.finished("i", "new.txt", "new\n");
    let path = sandbox.path("i");
    write(&path.join("a.txt"), "staged\n");
    git(&path, ["add", "a.txt"]);
    write(&path.join("a.txt"), "unstaged\n");
    write(&path.join("loose.txt"), "loose\n");
    write(&path.join("run.log"), "log\n");
    let mut request = sandbox.remove_request("i", None);
    request.mode = RemoveMode::Discard { attic: "m/i".into() };
    let Removed::Removed { attic: Some(attic) } = sandbox.repository.remove_worktree(&request).unwrap() else {
        panic!()
    };
    gone(&sandbox, "i");
    assert_eq!(sandbox.tip("refs/musher/attic/m/i"), attic);
    let show = |name: &str| sandbox.git(["show", &format!("{attic}{name}")]);
    assert_eq!(show(":a.txt"), "unstaged");
    assert_eq!(show(":loose.txt"), "loose");
    assert_eq!(show(":run.log"), "log");
    assert_eq!(show("^2:a.txt"), "staged");
    assert_eq!(sandbox.git(["rev-parse", &format!("{attic}^1")]), work.head.as_str());
    let again = sandbox.repository.remove_worktree(&request).unwrap();
    assert_eq!(again, Removed::Removed { attic: Some(attic.clone()) });
    // A second attic by the same name holds the first.
    sandbox.finished("i", "other.txt", "x\n");
    std::fs::remove_dir_all(sandbox.path("i")).unwrap();
    let Removed::Removed { attic: Some(second) } = sandbox.repository.remove_worktree(&request).unwrap() else {
        panic!()
    };
    gone(&sandbox, "i");
    assert!(git_may_fail(&sandbox.top, ["merge-base", "--is-ancestor", attic.as_str(), second.as_str()]).0);
}

#[test]
fn a_removal_that_was_cut_off_is_finished() {
    for folder in [true, false] {
        let sandbox = Sandbox::new();
        let work = sandbox.finished("i", "new.txt", "new\n");
        write(&sandbox.top.join(".git/worktrees/i/musher-removing"), "");
        std::fs::remove_file(sandbox.path("i").join("a.txt")).unwrap();
        if !folder {
            std::fs::remove_dir_all(sandbox.path("i")).unwrap();
        }
        let removed = sandbox.repository.remove_worktree(&sandbox.remove_request("i", Some(work.head))).unwrap();
        assert_eq!(removed, Removed::Removed { attic: None });
        gone(&sandbox, "i");
    }
}

#[test]
fn a_folder_that_is_not_ours_or_cannot_be_saved_stays() {
    let sandbox = Sandbox::new();
    write(&sandbox.path("x").join("mine.txt"), "mine");
    let mut request = sandbox.remove_request("x", None);
    request.mode = RemoveMode::Discard { attic: "x".into() };
    assert_eq!(sandbox.repository.remove_worktree(&request).unwrap(), Removed::Kept(vec![KeptReason::NotOurs]));
    assert!(sandbox.path("x").join("mine.txt").exists());
    let nested = sandbox.item("i").join("lib");
    std::fs::create_dir(&nested).unwrap();
    git(&nested, ["init", "-q"]);
    write(&nested.join("x"), "x");
    let mut request = sandbox.remove_request("i", None);
    request.mode = RemoveMode::Discard { attic: "i".into() };
    let kept = sandbox.repository.remove_worktree(&request).unwrap();
    assert_eq!(kept, Removed::Kept(vec![KeptReason::Repositories(vec!["lib/".into()])]));
    assert!(nested.join("x").exists());
}

#[test]
fn a_branch_without_its_folder_goes_only_when_it_is_merged() {
    let sandbox = Sandbox::new();
    let work = sandbox.finished("i", "new.txt", "new\n");
    std::fs::remove_dir_all(sandbox.path("i")).unwrap();
    let kept = sandbox.repository.remove_worktree(&sandbox.remove_request("i", None)).unwrap();
    assert_eq!(kept, Removed::Kept(vec![KeptReason::Unmerged { commits: 1 }]));
    assert_eq!(sandbox.tip("musher/m/i"), work.head);
    sandbox.repository.remove_worktree(&sandbox.remove_request("i", Some(work.head))).unwrap();
    gone(&sandbox, "i");
}
