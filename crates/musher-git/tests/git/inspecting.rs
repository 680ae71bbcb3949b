use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use musher_git::{CommitMode, Inspection};

use crate::sandbox::{Sandbox, git, git_may_fail, write};

#[test]
fn leftovers_are_committed_once_as_the_item() {
    let sandbox = Sandbox::new();
    let before = sandbox.user();
    let path = sandbox.item("i");
    write(&path.join("new.txt"), "x\ny\n");
    write(&path.join("a.txt"), "one\n2\nthree\n");
    std::fs::remove_file(path.join("b.txt")).unwrap();
    write(&path.join("noise.log"), "ignored");
    let work = sandbox.clean("i");
    assert_eq!(work.paths, ["a.txt", "b.txt", "new.txt"].map(PathBuf::from));
    assert_eq!((work.insertions, work.deletions), (3, 2));
    assert_eq!(work.base, sandbox.tip("main"));
    let shown = git(&path, ["log", "-1", "--format=%an <%ae>%n%B"]);
    assert_eq!(shown, "Ada <ada@example.org>\nfix the login\n\nMusher-Item: 9c41\nMusher-Run: 7a");
    assert_eq!(git(&path, ["symbolic-ref", "HEAD"]), "refs/heads/musher/m/i");
    assert_eq!(sandbox.clean("i"), work);
    assert_eq!(sandbox.user(), before);
}

#[test]
fn a_hook_neither_runs_nor_blocks_the_leftover_commit() {
    use std::os::unix::fs::PermissionsExt;
    let sandbox = Sandbox::new();
    for name in ["pre-commit", "commit-msg", "post-commit", "post-checkout", "reference-transaction"] {
        let hook = sandbox.top.join(".git/hooks").join(name);
        write(&hook, "#!/bin/sh\necho ran >>\"$(git rev-parse --git-common-dir)/ran\"\nexit 1\n");
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    sandbox.finished("i", "new.txt", "new");
    assert!(!sandbox.top.join(".git/ran").exists());
}

#[test]
fn in_agent_mode_leftovers_are_a_problem_and_stay_as_they_are() {
    let sandbox = Sandbox::new();
    let path = sandbox.item("i");
    let mut request = sandbox.inspect_request("i");
    request.commit_mode = CommitMode::Agent;
    write(&path.join("loose.txt"), "x");
    write(&path.join("staged.txt"), "x");
    git(&path, ["add", "staged.txt"]);
    let before = git(&path, ["status", "--porcelain"]);
    let problems = sandbox.problems(&request);
    assert_eq!(problems, ["\"loose.txt\": not committed", "\"staged.txt\": not committed"]);
    assert_eq!(git(&path, ["status", "--porcelain"]), before);
    git(&path, ["add", "-A"]);
    git(&path, ["commit", "-q", "-m", "mine"]);
    assert!(matches!(sandbox.repository.inspect(&request).unwrap(), Inspection::Clean(_)));
}

#[test]
fn a_branch_that_changes_nothing_is_empty() {
    let sandbox = Sandbox::new();
    let path = sandbox.item("i");
    assert!(matches!(sandbox.inspect("i"), Inspection::Empty { .. }));
    git(&path, ["commit", "-q", "--allow-empty", "-m", "nothing"]);
    assert!(matches!(sandbox.inspect("i"), Inspection::Empty { .. }));
    write(&path.join("noise.log"), "ignored");
    assert!(matches!(sandbox.inspect("i"), Inspection::Empty { .. }));
    std::fs::remove_dir_all(&path).unwrap();
    assert_eq!(sandbox.inspect("i"), Inspection::Missing);
}

#[test]
fn what_must_not_land_is_listed_whole() {
    let sandbox = Sandbox::new();
    let path = sandbox.item("i");
    write(&path.join("marked.txt"), "fine\n<<<<<<< HEAD\nours\n=======\ntheirs\n>>>>>>> main\n");
    write(&path.join("heading.md"), "Title\n=======\n");
    write(&path.join("big.bin"), vec![b'x'; 900]);
    git(&path, ["add", "-A"]);
    git(&path, ["commit", "-q", "-m", "mine"]);
    let mut request = sandbox.inspect_request("i");
    request.max_file_size = 800;
    request.touches = Some(vec!["*.txt".into(), "*.md".into()]);
    assert_eq!(
        sandbox.problems(&request),
        [
            "\"marked.txt\": line 2 is a conflict marker",
            "\"big.bin\": 900 bytes, more than the 800 allowed",
            "\"big.bin\": outside of what this item may touch",
        ]
    );
    request.touches = Some(vec!["[".into()]);
    assert!(sandbox.repository.inspect(&request).is_err());
}

#[test]
fn a_marker_that_was_there_before_is_nobodys_fault() {
    let sandbox = Sandbox::new();
    write(&sandbox.top.join("doc.md"), "<<<<<<< like this\nx\n>>>>>>> that\n");
    sandbox.git(["add", "-A"]);
    sandbox.git(["commit", "-q", "-m", "doc"]);
    let work = sandbox.finished("i", "doc.md", "<<<<<<< like this\ny\n");
    assert_eq!(work.paths, [Path::new("doc.md")]);
}

#[test]
fn a_huge_leftover_does_not_even_enter_the_object_store() {
    let sandbox = Sandbox::new();
    let path = sandbox.item("i");
    write(&path.join("huge.bin"), vec![7; 2_000]);
    let objects = |s: &Sandbox| s.git(["count-objects"]);
    let before = objects(&sandbox);
    let problems = sandbox.problems(&sandbox.inspect_request("i"));
    assert_eq!(problems, ["\"huge.bin\": 2000 bytes, more than the 1000 allowed"]);
    assert_eq!(objects(&sandbox), before);
}

#[test]
fn hostile_names_and_links_are_files_like_any_other() {
    let sandbox = Sandbox::new();
    let path = sandbox.item("i");
    let names: [&[u8]; 7] = [b"-rf", b":(top)x", b"new\nline", b"\xff\xfe", b"tab\t\"q\"", b" s ", b"*.glob"];
    for name in names {
        write(&path.join(OsStr::from_bytes(name)), "x\n");
    }
    std::os::unix::fs::symlink("/etc/passwd", path.join("link")).unwrap();
    std::os::unix::fs::symlink("nowhere", path.join("dangling")).unwrap();
    let work = sandbox.clean("i");
    let mut want: Vec<PathBuf> = names.iter().map(|n| PathBuf::from(OsStr::from_bytes(n))).collect();
    want.extend(["link".into(), "dangling".into()]);
    want.sort();
    assert_eq!(work.paths, want);
    assert_eq!(git(&path, ["status", "--porcelain"]), "");
    write(&path.join(OsStr::from_bytes(b"new\nline")), "x\n>>>>>>> main\n");
    let problems = sandbox.problems(&sandbox.inspect_request("i"));
    assert_eq!(problems, ["\"new\\nline\": line 2 is a conflict marker"]);
}

#[test]
fn a_repository_inside_the_worktree_is_a_problem_and_is_left_alone() {
    let cases: [(&str, bool, bool); 3] =
        [("with a commit", true, false), ("empty", false, false), ("staged", true, true)];
    for (name, commit, staged) in cases {
        let sandbox = Sandbox::new();
        let path = sandbox.item("i");
        let nested = path.join("vendor/lib");
        write(&nested.join("x.txt"), "x");
        git(&nested, ["init", "-q"]);
        if commit {
            git(&nested, ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "--allow-empty", "-m", "x"]);
        }
        if staged {
            git(&path, ["-c", "advice.addEmbeddedRepo=false", "add", "vendor/lib"]);
        }
        let problems = sandbox.problems(&sandbox.inspect_request("i"));
        assert_eq!(problems.len(), 1, "{name}: {problems:?}");
        assert!(problems[0].contains("vendor/lib") && problems[0].contains("repository"), "{name}: {problems:?}");
        assert!(nested.join("x.txt").exists() && nested.join(".git").exists(), "{name}");
    }
}

#[test]
fn a_missing_link_is_restored_and_the_users_checkout_is_not_taken_for_the_worktree() {
    let sandbox = Sandbox::new();
    let path = sandbox.item("i");
    let before = sandbox.user();
    write(&path.join("new.txt"), "new");
    std::fs::remove_file(path.join(".git")).unwrap();
    assert_eq!(sandbox.clean("i").paths, [Path::new("new.txt")]);
    assert_eq!(git(&path, ["symbolic-ref", "HEAD"]), "refs/heads/musher/m/i");
    assert_eq!(sandbox.user(), before);
    std::fs::remove_file(path.join(".git")).unwrap();
    git(&path, ["init", "-q"]);
    let problems = sandbox.problems(&sandbox.inspect_request("i"));
    assert!(problems[0].contains("replaced"), "{problems:?}");
}

#[test]
fn stale_locks_of_a_killed_agent_are_no_obstacle() {
    let sandbox = Sandbox::new();
    let path = sandbox.item("i");
    write(&path.join("new.txt"), "new");
    for lock in ["worktrees/i/index.lock", "worktrees/i/HEAD.lock", "refs/heads/musher/m/i.lock"] {
        write(&sandbox.top.join(".git").join(lock), "");
    }
    sandbox.clean("i");
    // A lock of the user's own is not ours to judge.
    write(&sandbox.top.join(".git/index.lock"), "");
    write(&path.join("new.txt"), "newer");
    sandbox.clean("i");
    assert!(sandbox.top.join(".git/index.lock").exists());
}

#[test]
fn commits_made_off_the_branch_are_brought_onto_it() {
    for off in [vec!["checkout", "-q", "--detach"], vec!["checkout", "-q", "-b", "elsewhere"]] {
        let sandbox = Sandbox::new();
        let path = sandbox.item("i");
        git(&path, off);
        write(&path.join("new.txt"), "new");
        git(&path, ["add", "-A"]);
        git(&path, ["commit", "-q", "-m", "mine"]);
        let work = sandbox.clean("i");
        assert_eq!(sandbox.tip("musher/m/i"), work.head);
        assert_eq!(git(&path, ["symbolic-ref", "HEAD"]), "refs/heads/musher/m/i");
    }
}

#[test]
fn a_head_that_does_not_continue_the_branch_is_a_problem() {
    let sandbox = Sandbox::new();
    let work = sandbox.finished("i", "new.txt", "new");
    let path = sandbox.path("i");
    git(&path, ["checkout", "-q", "-b", "other", "main"]);
    write(&path.join("other.txt"), "x");
    let problems = sandbox.problems(&sandbox.inspect_request("i"));
    assert!(problems[0].contains("`other`"), "{problems:?}");
    assert_eq!(sandbox.tip("musher/m/i"), work.head);
    git(&path, ["checkout", "-q", "--orphan", "alone"]);
    let problems = sandbox.problems(&sandbox.inspect_request("i"));
    assert!(problems[0].contains("without a commit"), "{problems:?}");
}

#[test]
fn a_merge_is_concluded_once_it_is_resolved_and_not_before() {
    let sandbox = Sandbox::new();
    let work = sandbox.finished("i", "a.txt", "one\nitem\nthree\n");
    write(&sandbox.top.join("a.txt"), "one\nbase\nthree\n");
    sandbox.git(["commit", "-q", "-am", "base"]);
    let path = sandbox.path("i");
    assert!(!git_may_fail(&path, ["merge", "main"]).0);
    let problems = sandbox.problems(&sandbox.inspect_request("i"));
    assert_eq!(problems, ["\"a.txt\": the conflict in this file is not resolved"]);
    assert!(sandbox.top.join(".git/worktrees/i/MERGE_HEAD").exists());
    write(&path.join("a.txt"), "one\nboth\nthree\n");
    let done = sandbox.clean("i");
    let parents = git(&path, ["log", "-1", "--format=%P"]);
    assert_eq!(parents, format!("{} {}", work.head, sandbox.tip("main")));
    assert!(!sandbox.top.join(".git/worktrees/i/MERGE_HEAD").exists());
    // Cut off between the commit and the end of the merge's state: no second merge.
    write(&sandbox.top.join(".git/worktrees/i/MERGE_HEAD"), format!("{}\n", sandbox.tip("main")));
    assert_eq!(sandbox.clean("i"), done);
}

#[test]
fn an_unfinished_rebase_is_a_problem() {
    let sandbox = Sandbox::new();
    sandbox.finished("i", "a.txt", "one\nitem\nthree\n");
    write(&sandbox.top.join("a.txt"), "one\nbase\nthree\n");
    sandbox.git(["commit", "-q", "-am", "base"]);
    assert!(!git_may_fail(&sandbox.path("i"), ["rebase", "main"]).0);
    let problems = sandbox.problems(&sandbox.inspect_request("i"));
    assert_eq!(problems, ["a rebase is unfinished; finish or abort it"]);
}

#[test]
fn a_reset_that_was_cut_off_is_not_taken_for_the_agents_edits() {
    let sandbox = Sandbox::new();
    let work = sandbox.finished("i", "new.txt", "new\n");
    let path = sandbox.path("i");
    write(&sandbox.top.join(".git/worktrees/i/musher-reset"), work.head.as_str());
    write(&path.join("a.txt"), "half of another commit");
    std::fs::remove_file(path.join("new.txt")).unwrap();
    assert_eq!(sandbox.clean("i"), work);
    assert!(path.join("new.txt").exists());
}

#[test]
fn a_declared_submodule_is_accepted() {
    let sandbox = Sandbox::new();
    let path = sandbox.item("i");
    let library = Sandbox::new();
    let url = library.top.to_str().unwrap();
    git(&path, ["-c", "protocol.file.allow=always", "submodule", "add", "-q", url, "lib"]);
    assert_eq!(sandbox.clean("i").paths, [".gitmodules", "lib"].map(PathBuf::from));
}

#[test]
fn the_size_that_counts_is_what_a_filter_leaves() {
    let sandbox = Sandbox::new();
    sandbox.git(["config", "filter.pointer.clean", "head -c 10"]);
    let path = sandbox.item("i");
    write(&path.join(".gitattributes"), "*.big filter=pointer\n");
    write(&path.join("x.big"), vec![b'x'; 2_000]);
    assert!(sandbox.clean("i").paths.contains(&PathBuf::from("x.big")));
    write(&path.join("x.small"), vec![b'x'; 2_000]);
    let problems = sandbox.problems(&sandbox.inspect_request("i"));
    assert_eq!(problems, ["\"x.small\": 2000 bytes, more than the 1000 allowed"]);
}
