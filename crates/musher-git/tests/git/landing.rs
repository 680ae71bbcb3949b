use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use musher_git::{DirtyReason, LandRequest, Landed, MergeStyle, Operation, Prepared, RemoteName};

use crate::sandbox::{Sandbox, branch, git, git_may_fail, id, write};

/// An item ready to land: it changes a file, adds one and deletes one.
fn ready() -> (Sandbox, LandRequest) {
    let sandbox = Sandbox::new();
    let path = sandbox.item("i");
    write(&path.join("a.txt"), "one\n2\nthree\n");
    write(&path.join("dir/new.txt"), "new content\n");
    std::fs::remove_file(path.join("b.txt")).unwrap();
    let head = sandbox.clean("i").head;
    let request = sandbox.land_request(&head);
    (sandbox, request)
}

fn reason(landed: Landed) -> DirtyReason {
    match landed {
        Landed::BaseDirty { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_clean_checkout_advances_with_its_branch() {
    let (sandbox, request) = ready();
    write(&sandbox.top.join("notes.txt"), "untracked is fine");
    for _ in 0..2 {
        assert_eq!(sandbox.repository.land(&request).unwrap(), Landed::Landed);
        assert_eq!(sandbox.tip("main"), request.new);
        assert_eq!(sandbox.git(["status", "--porcelain"]), "?? notes.txt");
        assert_eq!(sandbox.git(["symbolic-ref", "HEAD"]), "refs/heads/main");
    }
    // Somebody went on from there: it is landed all the same.
    sandbox.git(["commit", "-q", "--allow-empty", "-m", "later"]);
    assert_eq!(sandbox.repository.land(&request).unwrap(), Landed::Landed);
}

#[test]
fn a_branch_that_nobody_has_checked_out_moves_by_compare_and_swap() {
    let (sandbox, request) = ready();
    sandbox.git(["checkout", "-q", "-b", "mine"]);
    write(&sandbox.top.join("a.txt"), "my dirt");
    let before = sandbox.git(["status", "--porcelain"]);
    for _ in 0..2 {
        assert_eq!(sandbox.repository.land(&request).unwrap(), Landed::Landed);
    }
    assert_eq!(sandbox.tip("main"), request.new);
    assert_eq!(sandbox.git(["status", "--porcelain"]), before);
}

#[test]
fn a_base_that_moved_is_told_and_not_moved_again() {
    for checked_out in [true, false] {
        let (sandbox, request) = ready();
        sandbox.git(["commit", "-q", "--allow-empty", "-m", "mine"]);
        let now = sandbox.tip("main");
        if !checked_out {
            sandbox.git(["checkout", "-q", "--detach"]);
        }
        let before = sandbox.user();
        assert_eq!(sandbox.repository.land(&request).unwrap(), Landed::BaseMoved { now: Some(now) });
        assert_eq!(sandbox.user(), before);
        let gone = LandRequest { target: branch("gone"), ..request };
        assert_eq!(sandbox.repository.land(&gone).unwrap(), Landed::BaseMoved { now: None });
    }
}

#[test]
fn a_dirty_checkout_is_not_touched_and_says_why() {
    type Case = (&'static str, fn(&Sandbox), fn(&Sandbox) -> DirtyReason);
    let cases: [Case; 7] = [
        (
            "unstaged, even in a file the merge leaves alone",
            |s| write(&s.top.join(".gitignore"), "x"),
            |_| DirtyReason::Changes(vec![".gitignore".into()]),
        ),
        (
            "staged",
            |s| {
                write(&s.top.join("s.txt"), "x");
                s.git(["add", "s.txt"]);
            },
            |_| DirtyReason::Changes(vec!["s.txt".into()]),
        ),
        (
            "untracked in the way",
            |s| write(&s.top.join("dir/new.txt"), "mine"),
            |_| DirtyReason::Overwrites(vec!["dir/new.txt".into()]),
        ),
        (
            "ignored in the way",
            |s| {
                write(&s.top.join(".git/info/exclude"), "dir/\n.musher/\n");
                write(&s.top.join("dir/new.txt"), "mine");
            },
            |_| DirtyReason::Overwrites(vec!["dir/new.txt".into()]),
        ),
        (
            "merge under way",
            |s| {
                s.git(["branch", "side", "HEAD"]);
                s.git(["checkout", "-q", "side"]);
                s.git(["commit", "-q", "--allow-empty", "-m", "side"]);
                s.git(["checkout", "-q", "main"]);
                s.git(["merge", "-q", "--no-ff", "--no-commit", "side"]);
            },
            |_| DirtyReason::Unfinished(Operation::Merge),
        ),
        (
            "another git at work",
            |s| write(&s.top.join(".git/index.lock"), ""),
            |s| DirtyReason::Locked(s.top.join(".git/index.lock")),
        ),
        (
            "rebase of the target under way",
            |s| {
                s.git(["checkout", "-q", "-b", "up", "HEAD"]);
                write(&s.top.join("a.txt"), "up\n");
                s.git(["commit", "-q", "-am", "up"]);
                s.git(["checkout", "-q", "main"]);
                write(&s.top.join(".git/rebase-merge/head-name"), "refs/heads/main\n");
                s.git(["checkout", "-q", "--detach"]);
            },
            |_| DirtyReason::Unfinished(Operation::Rebase),
        ),
    ];
    for (name, dirty, want) in cases {
        let (sandbox, request) = ready();
        dirty(&sandbox);
        let before = sandbox.user();
        assert_eq!(reason(sandbox.repository.land(&request).unwrap()), want(&sandbox), "{name}");
        assert_eq!(sandbox.user(), before, "{name}");
        assert!(!want(&sandbox).fix().is_empty());
    }
}

#[test]
fn a_stash_and_hostile_settings_of_the_user_stay_as_they_are() {
    let (sandbox, request) = ready();
    write(&sandbox.top.join("a.txt"), "stashed\n");
    sandbox.git(["stash", "-q"]);
    for (key, value) in [
        ("merge.autoStash", "true"),
        ("merge.ff", "false"),
        ("merge.verifySignatures", "true"),
        ("commit.gpgSign", "true"),
    ] {
        sandbox.git(["config", key, value]);
    }
    let stash = sandbox.git(["stash", "list"]);
    assert_eq!(sandbox.repository.land(&request).unwrap(), Landed::Landed);
    assert_eq!(sandbox.git(["stash", "list"]), stash);
    assert_eq!(sandbox.git(["status", "--porcelain"]), "");
}

#[test]
fn the_users_own_hook_runs_where_the_users_checkout_advances() {
    let (sandbox, request) = ready();
    let hook = sandbox.top.join(".git/hooks/post-merge");
    // It leaves a daemon behind that keeps the pipes open; nobody waits for that.
    write(&hook, "#!/bin/sh\ntouch .git/ran\nsleep 300 &\necho $! >.git/daemon\n");
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(sandbox.repository.land(&request).unwrap(), Landed::Landed);
    assert!(sandbox.top.join(".git/ran").exists());
    let pid: i32 = std::fs::read_to_string(sandbox.top.join(".git/daemon")).unwrap().trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
}

/// The note that a fast-forward leaves while it is under way.
fn begun(sandbox: &Sandbox, request: &LandRequest) {
    let note = format!("refs/heads/main\n{}\n{}\n{}\n", request.old, request.new, sandbox.top.display());
    write(&sandbox.top.join(".git/musher-landing"), note);
}

#[test]
fn a_fast_forward_that_was_killed_is_finished() {
    type Case = (&'static str, fn(&Sandbox, &LandRequest));
    let cases: [Case; 6] = [
        ("before anything", |_, _| {}),
        ("lock taken", |s, _| write(&s.top.join(".git/index.lock"), "half")),
        ("some files new", |s, _| {
            write(&s.top.join(".git/index.lock"), "half");
            write(&s.top.join("a.txt"), "one\n2\nthree\n");
            std::fs::remove_file(s.top.join("b.txt")).unwrap();
        }),
        ("a file half written", |s, _| write(&s.top.join("dir/new.txt"), "new con")),
        ("a file taken away, the new one not there", |s, _| std::fs::remove_file(s.top.join("a.txt")).unwrap()),
        ("files and index new, branch old", |s, r| {
            s.git(["read-tree", "-m", "-u", r.old.as_str(), r.new.as_str()]);
            write(&s.top.join(".git/refs/heads/main.lock"), "");
        }),
    ];
    for (name, cut_off) in cases {
        let (sandbox, request) = ready();
        write(&sandbox.top.join("notes.txt"), "untracked is fine");
        begun(&sandbox, &request);
        cut_off(&sandbox, &request);
        assert_eq!(sandbox.repository.land(&request).unwrap(), Landed::Landed, "{name}");
        assert_eq!(sandbox.tip("main"), request.new, "{name}");
        assert_eq!(sandbox.git(["status", "--porcelain"]), "?? notes.txt", "{name}");
        assert!(!sandbox.top.join("b.txt").exists() && sandbox.top.join("dir/new.txt").exists(), "{name}");
        assert_eq!(std::fs::read(sandbox.top.join(".git/musher-landing")).unwrap(), b"", "{name}");
    }
}

#[test]
fn a_killed_fast_forward_is_not_finished_over_the_users_edits() {
    type Case = (&'static str, &'static str, fn(&Sandbox));
    let cases: [Case; 3] = [
        ("an edit in a file of the merge", "a.txt", |s| write(&s.top.join("a.txt"), "my edit\n")),
        ("an edit elsewhere", ".gitignore", |s| write(&s.top.join(".gitignore"), "x")),
        ("something staged", "b.txt", |s| {
            write(&s.top.join("b.txt"), "staged\n");
            s.git(["add", "b.txt"]);
        }),
    ];
    for (name, path, edit) in cases {
        let (sandbox, request) = ready();
        begun(&sandbox, &request);
        write(&sandbox.top.join("dir/new.txt"), "new con");
        edit(&sandbox);
        let before = sandbox.user();
        let want = DirtyReason::Changes(vec![PathBuf::from(path)]);
        assert_eq!(reason(sandbox.repository.land(&request).unwrap()), want, "{name}");
        assert_eq!(sandbox.user(), before, "{name}");
    }
    // Without the note nothing is explained: the same traces are the user's own.
    let (sandbox, request) = ready();
    write(&sandbox.top.join("a.txt"), "one\n2\nthree\n");
    assert!(matches!(reason(sandbox.repository.land(&request).unwrap()), DirtyReason::Changes(_)));
}

#[test]
fn a_fast_forward_that_still_runs_is_waited_for() {
    let (sandbox, request) = ready();
    begun(&sandbox, &request);
    let note = std::fs::File::open(sandbox.top.join(".git/musher-landing")).unwrap();
    note.lock().unwrap();
    assert_eq!(reason(sandbox.repository.land(&request).unwrap()), DirtyReason::Landing);
    drop(note);
    assert_eq!(sandbox.repository.land(&request).unwrap(), Landed::Landed);
}

#[test]
fn a_push_has_a_lease_and_comes_before_the_branch_moves() {
    let (sandbox, mut request) = ready();
    let remote = sandbox.top.parent().unwrap().join("remote.git");
    git(sandbox.top.parent().unwrap(), ["init", "-q", "--bare", "remote.git"]);
    sandbox.git(["remote", "add", "origin", remote.to_str().unwrap()]);
    sandbox.git(["push", "-q", "origin", "main"]);
    request.push = Some(RemoteName::parse("origin").unwrap());
    // Cut off after the push: it is up to date the second time, and the branch follows.
    sandbox.git(["push", "-q", "origin", &format!("{}:refs/heads/main", request.new)]);
    assert_eq!(sandbox.repository.land(&request).unwrap(), Landed::Landed);
    assert_eq!(id(&git(&remote, ["rev-parse", "main"])), request.new);
    assert_eq!(sandbox.tip("main"), request.new);
    request.push = Some(RemoteName::parse("nowhere").unwrap());
    assert_eq!(sandbox.repository.land(&request).unwrap(), Landed::Landed);
    assert!(RemoteName::parse("--upload-pack=x").is_err());
}

#[test]
fn a_branch_checked_out_twice_does_not_move() {
    let (sandbox, request) = ready();
    sandbox.git(["worktree", "add", "-q", "--force", "../second", "main"]);
    assert_eq!(reason(sandbox.repository.land(&request).unwrap()), DirtyReason::CheckedOutTwice);
}

#[test]
fn several_items_land_one_after_the_other() {
    let sandbox = Sandbox::new();
    for n in 0..3 {
        let item = format!("i{n}");
        let work = sandbox.finished(&item, &format!("{item}.txt"), "x\n");
        let request = sandbox.land_request(&work.head);
        assert_eq!(sandbox.repository.land(&request).unwrap(), Landed::Landed);
    }
    assert_eq!(sandbox.git(["rev-list", "--count", "main"]), "4");
    assert!(!git_may_fail(&sandbox.top, ["diff", "--quiet", "HEAD~1"]).0);
    let stale = sandbox.finished("late", "late.txt", "x\n");
    assert!(matches!(sandbox.prepare(&stale.head, MergeStyle::Squash), Prepared::Ready { .. }));
}

#[test]
fn dirt_in_a_submodule_counts() {
    let sandbox = Sandbox::new();
    let library = Sandbox::new();
    let url = library.top.to_str().unwrap();
    sandbox.git(["-c", "protocol.file.allow=always", "submodule", "add", "-q", url, "lib"]);
    sandbox.git(["commit", "-q", "-m", "lib"]);
    let head = sandbox.finished("i", "new.txt", "x\n").head;
    let request = sandbox.land_request(&head);
    write(&sandbox.top.join("lib/a.txt"), "dirt");
    assert_eq!(reason(sandbox.repository.land(&request).unwrap()), DirtyReason::Changes(vec!["lib".into()]));
    git(&sandbox.top.join("lib"), ["checkout", "-q", "a.txt"]);
    assert_eq!(sandbox.repository.land(&request).unwrap(), Landed::Landed);
}
