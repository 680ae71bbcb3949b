use musher_git::{CreateError, ObjectId};

use crate::sandbox::{Sandbox, branch, git, write};

#[test]
fn a_worktree_is_made_once_and_then_adopted() {
    let sandbox = Sandbox::new();
    let before = sandbox.user();
    let request = sandbox.create_request("i");
    let first = sandbox.repository.create_worktree(&request).unwrap();
    assert!(!first.adopted());
    assert_eq!(first.base_commit, sandbox.tip("main"));
    write(&sandbox.path("i").join("work.txt"), "in progress");
    let second = sandbox.repository.create_worktree(&request).unwrap();
    assert!(second.adopted());
    assert_eq!(std::fs::read_to_string(sandbox.path("i").join("work.txt")).unwrap(), "in progress");
    assert_eq!(sandbox.user(), before);
}

#[test]
fn a_worktree_is_found_whatever_git_called_its_registration() {
    let sandbox = Sandbox::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let taken = elsewhere.path().join("i");
    sandbox.git(["worktree", "add", "-q", "-b", "taken", taken.to_str().unwrap()]);
    let request = sandbox.create_request("i");
    assert!(!sandbox.repository.create_worktree(&request).unwrap().adopted());
    assert!(sandbox.top.join(".git/worktrees/i1").exists(), "the name `i` was free");
    assert!(sandbox.repository.create_worktree(&request).unwrap().adopted());
    // The registration that is called like the folder names a link to it.
    let link = elsewhere.path().join("link");
    std::os::unix::fs::symlink(sandbox.path("i").parent().unwrap(), &link).unwrap();
    std::fs::write(sandbox.top.join(".git/worktrees/i1/gitdir"), format!("{}/i/.git\n", link.display())).unwrap();
    assert!(sandbox.repository.create_worktree(&request).unwrap().adopted());
}

#[test]
fn a_worktree_starts_at_the_newest_base() {
    let sandbox = Sandbox::new();
    sandbox.git(["branch", "musher/m/i"]);
    sandbox.git(["commit", "-q", "--allow-empty", "-m", "newer"]);
    let created = sandbox.repository.create_worktree(&sandbox.create_request("i")).unwrap();
    assert_eq!(created.base_commit, sandbox.tip("main"));
    assert_eq!(sandbox.tip("musher/m/i"), sandbox.tip("main"));
}

#[test]
fn a_branch_with_commits_outlives_its_deleted_folder() {
    let sandbox = Sandbox::new();
    let work = sandbox.finished("i", "new.txt", "new");
    std::fs::remove_dir_all(sandbox.path("i")).unwrap();
    let created = sandbox.repository.create_worktree(&sandbox.create_request("i")).unwrap();
    assert!(!created.adopted());
    assert_eq!(sandbox.tip("musher/m/i"), work.head);
    assert!(sandbox.path("i").join("new.txt").exists());
}

#[test]
fn a_making_that_was_cut_off_is_done_again() {
    type Case = (&'static str, fn(&Sandbox));
    let cases: [Case; 4] = [
        ("checkout half done", |s| {
            let lock = "musher is making this worktree";
            s.git(["worktree", "add", "-q", "--lock", "--reason", lock, "-b", "musher/m/i", ".musher/worktrees/i"]);
            std::fs::remove_file(s.path("i").join("a.txt")).unwrap();
            std::fs::write(s.top.join(".git/worktrees/i/index.lock"), "").unwrap();
        }),
        ("registered, folder not made", |s| {
            s.git(["worktree", "add", "-q", "--lock", "-b", "musher/m/i", ".musher/worktrees/i"]);
            std::fs::remove_dir_all(s.path("i")).unwrap();
        }),
        ("branch only", |s| drop(s.git(["branch", "musher/m/i"]))),
        ("empty folder", |s| std::fs::create_dir_all(s.path("i")).unwrap()),
    ];
    for (name, prepare) in cases {
        let sandbox = Sandbox::new();
        prepare(&sandbox);
        let created = sandbox.repository.create_worktree(&sandbox.create_request("i")).unwrap();
        assert!(!created.adopted(), "{name}");
        assert_eq!(git(&sandbox.path("i"), ["status", "--porcelain"]), "", "{name}");
        assert!(sandbox.path("i").join("a.txt").exists(), "{name}");
        assert!(!sandbox.top.join(".git/worktrees/i/locked").exists(), "{name}");
    }
}

#[test]
fn a_folder_that_is_no_worktree_is_refused_and_left_as_it_is() {
    let sandbox = Sandbox::new();
    write(&sandbox.path("i").join("mine.txt"), "mine");
    let error = sandbox.repository.create_worktree(&sandbox.create_request("i")).unwrap_err();
    assert!(matches!(error, CreateError::Occupied { .. }), "{error}");
    assert_eq!(std::fs::read_to_string(sandbox.path("i").join("mine.txt")).unwrap(), "mine");
    assert!(!sandbox.repository.branch_exists(&branch("musher/m/i")).unwrap());
}

#[test]
fn a_branch_that_the_user_has_checked_out_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.git(["checkout", "-q", "-b", "musher/m/i"]);
    let error = sandbox.repository.create_worktree(&sandbox.create_request("i")).unwrap_err();
    assert!(matches!(error, CreateError::BranchInUse { .. }), "{error}");
    let mut request = sandbox.create_request("j");
    request.base_ref = "nowhere".into();
    let error = sandbox.repository.create_worktree(&request).unwrap_err();
    assert!(matches!(error, CreateError::NoBase { .. }), "{error}");
}

#[test]
fn untracked_files_are_brought_in_but_never_from_outside() {
    let sandbox = Sandbox::new();
    write(&sandbox.top.join(".env"), "SECRET=1");
    write(&sandbox.top.join("conf/local/x.toml"), "x");
    let outside = sandbox.top.parent().unwrap().join("outside");
    write(&outside, "o");
    std::os::unix::fs::symlink(&outside, sandbox.top.join("link")).unwrap();
    for bad in ["../outside", "/etc/passwd", "link", ".git/config", "a/../../outside", ""] {
        let mut request = sandbox.create_request("bad");
        request.copy = vec![bad.into()];
        let error = sandbox.repository.create_worktree(&request).unwrap_err();
        assert!(matches!(error, CreateError::BadCopy { .. }), "{bad}: {error}");
        assert!(!sandbox.path("bad").exists(), "{bad}");
    }
    let mut request = sandbox.create_request("i");
    request.copy = vec![".env".into(), "conf/local".into(), "not-there".into()];
    sandbox.repository.create_worktree(&request).unwrap();
    let at = sandbox.path("i");
    assert_eq!(std::fs::read_to_string(at.join(".env")).unwrap(), "SECRET=1");
    assert!(at.join("conf/local/x.toml").exists());
    // What was brought in is nobody's change.
    write(&at.join("conf/mine.toml"), "mine");
    let work = sandbox.clean("i");
    assert_eq!(work.paths, [std::path::Path::new("conf/mine.toml")]);
}

#[test]
fn a_merge_worktree_shows_exactly_the_commit_and_keeps_the_build_cache() {
    let sandbox = Sandbox::new();
    let path = sandbox.path("merge");
    let first = sandbox.tip("main");
    let work = sandbox.finished("i", "new.txt", "new");
    let show = |commit: &ObjectId| sandbox.repository.merge_worktree(&path, commit).unwrap();
    show(&first);
    write(&path.join("cache/big"), "kept");
    write(&path.join("stray"), "gone");
    write(&path.join("a.txt"), "changed by the gate");
    std::fs::write(sandbox.top.join(".git/worktrees/merge/index.lock"), "").unwrap();
    for _ in 0..2 {
        show(&work.head);
        assert_eq!(git(&path, ["rev-parse", "HEAD"]), work.head.as_str());
        assert_eq!(git(&path, ["status", "--porcelain"]), "");
        assert!(path.join("cache/big").exists() && !path.join("stray").exists());
    }
    assert_eq!(sandbox.tip("main"), first);
}

#[test]
fn worktrees_are_listed_with_hostile_names() {
    let sandbox = Sandbox::new();
    let mut request = sandbox.create_request("odd");
    request.path = sandbox.path("-x y\nz");
    sandbox.repository.create_worktree(&request).unwrap();
    let list = sandbox.repository.list_worktrees().unwrap();
    assert_eq!(list.len(), 2);
    assert_eq!(list[1].path, request.path);
    assert_eq!(list[1].branch, Some(branch("musher/m/odd")));
    std::fs::remove_dir_all(&request.path).unwrap();
    assert!(sandbox.repository.list_worktrees().unwrap()[1].gone);
}
