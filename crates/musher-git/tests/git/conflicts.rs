//! What two sides may do to one another, over real git: each merges cleanly, or is told with both sides' titles; nothing
//! prompts, and nothing is lost.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use musher_git::{LandRequest, Landed, MergeStyle, Prepared, Rebased, Repository};

use crate::sandbox::{Sandbox, git, write};

/// What comes of both sides together.
enum Want {
    /// They merge; the tree has these files with these contents.
    Clean(&'static [(&'static str, &'static str)]),
    /// They do not; the files in conflict, and what a resolver reads of them.
    Conflict(&'static [&'static str], &'static [&'static str]),
}

/// A name, what both sides start from, what the item does, what the base does, and what comes of it.
type Case = (&'static str, fn(&Path), fn(&Path), fn(&Path), Want);

fn nothing(_: &Path) {}

fn put(folder: &Path, name: &str, content: &str) {
    write(&folder.join(name), content);
}

fn mode(folder: &Path, name: &str, bits: u32) {
    std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(bits)).unwrap();
}

/// A submodule at a commit that nobody has to have.
fn link(folder: &Path, digit: &str) {
    let entry = format!("160000,{},lib", digit.repeat(40));
    git(folder, ["update-index", "--add", "--cacheinfo", &entry]);
    put(folder, ".gitmodules", "[submodule \"lib\"]\n\tpath = lib\n\turl = ../lib\n");
    git(folder, ["add", ".gitmodules"]);
    std::fs::create_dir_all(folder.join("lib")).unwrap();
}

const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:";

fn pointer(folder: &Path, digit: &str) {
    put(folder, "big.bin", &format!("{POINTER}{}\nsize 12\n", digit.repeat(64)));
}

const LONG: &str = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n";

fn cases() -> Vec<Case> {
    vec![
        (
            "a rename against an edit",
            |f| put(f, "long.txt", LONG),
            |f| drop(git(f, ["mv", "long.txt", "moved.txt"])),
            |f| put(f, "long.txt", &LONG.replace("6\n", "six\n")),
            Want::Clean(&[("moved.txt", "1\n2\n3\n4\n5\nsix\n7\n8\n9\n10\n11\n12\n")]),
        ),
        (
            "two renames of one file",
            |f| put(f, "long.txt", LONG),
            |f| drop(git(f, ["mv", "long.txt", "mine.txt"])),
            |f| drop(git(f, ["mv", "long.txt", "theirs.txt"])),
            Want::Conflict(
                &["long.txt", "mine.txt", "theirs.txt"],
                &["`mine.txt`: added, or renamed to this, on this branch"],
            ),
        ),
        (
            "a deletion against an edit",
            nothing,
            |f| drop(git(f, ["rm", "-q", "b.txt"])),
            |f| put(f, "b.txt", "edited\n"),
            Want::Conflict(&["b.txt"], &["`b.txt`: deleted or renamed on this branch, changed on the other"]),
        ),
        (
            "an edit against a deletion",
            nothing,
            |f| put(f, "b.txt", "edited\n"),
            |f| drop(git(f, ["rm", "-q", "b.txt"])),
            Want::Conflict(&["b.txt"], &["`b.txt`: changed on this branch, deleted or renamed on the other"]),
        ),
        (
            "both add, differently",
            nothing,
            |f| put(f, "new.txt", "mine\n"),
            |f| put(f, "new.txt", "theirs\n"),
            Want::Conflict(&["new.txt"], &["`new.txt`: added on both", "mine", "theirs"]),
        ),
        (
            "both add the same, and more",
            nothing,
            |f| {
                put(f, "new.txt", "same\n");
                put(f, "more.txt", "more\n");
            },
            |f| put(f, "new.txt", "same\n"),
            Want::Clean(&[("new.txt", "same\n"), ("more.txt", "more\n")]),
        ),
        (
            "a file against a folder of its name",
            nothing,
            |f| put(f, "thing", "a file\n"),
            |f| put(f, "thing/inside", "a folder\n"),
            Want::Conflict(&["thing~HEAD"], &["this branch"]),
        ),
        (
            "a submodule at two commits",
            |f| link(f, "1"),
            |f| link(f, "2"),
            |f| link(f, "3"),
            Want::Conflict(&["lib"], &["`lib`: a submodule", "160000 2222", "160000 3333"]),
        ),
        (
            "a pointer of LFS at two contents",
            |f| pointer(f, "1"),
            |f| pointer(f, "2"),
            |f| pointer(f, "3"),
            Want::Conflict(&["big.bin"], &["`big.bin`: changed on both", "oid sha256:22", "oid sha256:33"]),
        ),
        (
            "a file mode against an edit",
            nothing,
            |f| mode(f, "b.txt", 0o755),
            |f| put(f, "b.txt", "edited\n"),
            Want::Clean(&[("b.txt", "edited\n")]),
        ),
        (
            "a rename in case only against an edit",
            |f| put(f, "long.txt", LONG),
            |f| drop(git(f, ["mv", "long.txt", "Long.txt"])),
            |f| put(f, "long.txt", &LONG.replace("6\n", "six\n")),
            Want::Clean(&[("Long.txt", "1\n2\n3\n4\n5\nsix\n7\n8\n9\n10\n11\n12\n")]),
        ),
        (
            "binary files",
            |f| write(&f.join("pic"), b"\0\x01\x02 common"),
            |f| write(&f.join("pic"), b"\0\x01\x02 mine"),
            |f| write(&f.join("pic"), b"\0\x01\x02 theirs"),
            Want::Conflict(&["pic"], &["`pic`: changed on both"]),
        ),
        (
            "a merge driver of git's own",
            |f| {
                put(f, ".gitattributes", "log.txt merge=union\n");
                put(f, "log.txt", "start\n");
            },
            |f| put(f, "log.txt", "start\nmine\n"),
            |f| put(f, "log.txt", "start\ntheirs\n"),
            Want::Clean(&[("log.txt", "start\ntheirs\nmine\n")]),
        ),
        (
            "a merge driver of the user's",
            |f| {
                put(f, ".gitattributes", "made.txt merge=made\n");
                put(f, "made.txt", "start\n");
                git(f, ["config", "merge.made.driver", "echo made anew >%A"]);
            },
            |f| put(f, "made.txt", "mine\n"),
            |f| put(f, "made.txt", "theirs\n"),
            Want::Clean(&[("made.txt", "made anew\n")]),
        ),
        (
            "a merge driver that fails",
            |f| {
                put(f, ".gitattributes", "made.txt merge=made\n");
                put(f, "made.txt", "start\n");
                git(f, ["config", "merge.made.driver", "exit 1"]);
            },
            |f| put(f, "made.txt", "mine\n"),
            |f| put(f, "made.txt", "theirs\n"),
            Want::Conflict(&["made.txt"], &["`made.txt`: changed on both"]),
        ),
    ]
}

fn commit(folder: &Path, title: &str) {
    git(folder, ["add", "-A", "--", ".", ":!lib"]);
    git(folder, ["commit", "-q", "--no-verify", "--no-gpg-sign", "-m", title]);
}

/// Everything that would ask, refuse or hang, if it were asked: a template, an editor, a signing program, hooks.
fn hostile(sandbox: &Sandbox) {
    write(&sandbox.top.join(".git/template"), "\n# say why\n");
    for (key, value) in [
        ("commit.template", ".git/template"),
        ("commit.gpgSign", "true"),
        ("tag.gpgSign", "true"),
        ("gpg.program", "false"),
        ("merge.verifySignatures", "true"),
        ("core.editor", "false"),
        ("sequence.editor", "false"),
        ("rebase.autoStash", "true"),
        ("merge.conflictStyle", "diff3"),
        ("rerere.enabled", "true"),
    ] {
        sandbox.git(["config", key, value]);
    }
    for name in [
        "pre-commit",
        "prepare-commit-msg",
        "commit-msg",
        "pre-merge-commit",
        "post-checkout",
        "pre-rebase",
        "post-merge",
    ] {
        let hook = sandbox.top.join(".git/hooks").join(name);
        write(&hook, "#!/bin/sh\necho hook >>\"$(git rev-parse --git-common-dir)/hooks-ran\"; exit 1\n");
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn each_pair_of_changes_merges_cleanly_or_tells_both_sides_and_keeps_all_work() {
    for (name, start, item, base, want) in cases() {
        let sandbox = Sandbox::new();
        start(&sandbox.top);
        if !sandbox.git(["status", "--porcelain", "--", ":!lib"]).is_empty() {
            commit(&sandbox.top, "start");
        }
        let path = sandbox.item("i");
        item(&path);
        commit(&path, "what the item wants");
        let head = sandbox.clean("i").head;
        base(&sandbox.top);
        commit(&sandbox.top, "what the base has");
        hostile(&sandbox);
        let before = sandbox.user();
        match want {
            Want::Clean(files) => {
                for style in [MergeStyle::Squash, MergeStyle::Merge, MergeStyle::Rebase] {
                    let Prepared::Ready { commit, .. } = sandbox.prepare(&head, style) else {
                        panic!("{name}, {style:?}: {:?}", sandbox.prepare(&head, style))
                    };
                    for (file, content) in files {
                        let there = sandbox.git(["show", &format!("{commit}:{file}")]);
                        assert_eq!(there, content.trim_end(), "{name}, {style:?}");
                    }
                }
                assert_eq!(sandbox.user(), before, "{name}");
                let request = sandbox.land_request(&head);
                // A `post-merge` hook that fails comes after the fact.
                assert_eq!(sandbox.repository.land(&request).unwrap(), Landed::Landed, "{name}");
                assert_eq!(sandbox.git(["status", "--porcelain", "--untracked-files=no"]), "", "{name}");
            }
            Want::Conflict(files, words) => {
                let Prepared::Conflict { .. } = sandbox.prepare(&head, MergeStyle::Squash) else { panic!("{name}") };
                let rebased = sandbox.repository.rebase(&sandbox.rebase_request("i")).unwrap();
                let Rebased::Conflict { files: told, hunks } = &rebased else { panic!("{name}: {rebased:?}") };
                let files: Vec<PathBuf> = files.iter().map(PathBuf::from).collect();
                assert_eq!(*told, files, "{name}");
                for word in ["- what the item wants", "- what the base has"].iter().chain(words) {
                    assert!(hunks.contains(word), "{name}: {word:?} is not in {hunks}");
                }
                assert_eq!(sandbox.user(), before, "{name}");
                // The item's branch has not moved, and a repeat finds the merge open as it was.
                assert_eq!(sandbox.tip("musher/m/i"), head, "{name}");
                assert_eq!(sandbox.repository.rebase(&sandbox.rebase_request("i")).unwrap(), rebased, "{name}");
            }
        }
        let ran = std::fs::read_to_string(sandbox.top.join(".git/hooks-ran")).unwrap_or_default();
        assert!(ran.lines().count() <= 1, "{name}: only `post-merge` runs, where the user's checkout advances: {ran}");
    }
}

#[test]
fn a_file_mode_of_the_item_is_kept_beside_an_edit_of_the_base() {
    let sandbox = Sandbox::new();
    let path = sandbox.item("i");
    mode(&path, "b.txt", 0o755);
    let head = sandbox.clean("i").head;
    write(&sandbox.top.join("b.txt"), "edited\n");
    commit(&sandbox.top, "edit");
    let Prepared::Ready { commit, .. } = sandbox.prepare(&head, MergeStyle::Squash) else { panic!() };
    assert!(sandbox.git(["ls-tree", commit.as_str(), "b.txt"]).starts_with("100755 "));
}

#[test]
fn a_shallow_clone_merges_rebases_and_lands() {
    let origin = Sandbox::new();
    for n in 0..3 {
        write(&origin.top.join("b.txt"), format!("{n}\n"));
        commit(&origin.top, &format!("commit {n}"));
    }
    let folder = origin.top.parent().unwrap();
    git(folder, ["clone", "-q", "--depth", "1", &format!("file://{}", origin.top.display()), "shallow"]);
    let top = folder.join("shallow");
    git(&top, ["config", "user.name", "Ada"]);
    git(&top, ["config", "user.email", "ada@example.org"]);
    let sandbox = origin.at(&top);
    let one = sandbox.finished("i", "i.txt", "i\n");
    let two = sandbox.finished("j", "a.txt", "one\nitem\nthree\n");
    let request = sandbox.land_request(&one.head);
    assert_eq!(sandbox.repository.land(&request).unwrap(), Landed::Landed);
    assert!(matches!(sandbox.repository.rebase(&sandbox.rebase_request("j")).unwrap(), Rebased::Done { .. }));
    let request = sandbox.land_request(&two.head);
    assert_eq!(sandbox.repository.land(&request).unwrap(), Landed::Landed);
    assert_eq!(sandbox.git(["rev-list", "--count", "main"]), "3", "the one that was cloned, and two");
}

#[test]
fn a_worktree_on_another_file_system_is_worked_in_like_any_other() {
    use std::os::unix::fs::MetadataExt;
    let sandbox = Sandbox::new();
    let Ok(memory) = tempfile::tempdir_in("/dev/shm") else { return };
    let device = |path: &Path| std::fs::metadata(path).unwrap().dev();
    if device(memory.path()) == device(&sandbox.top) {
        return;
    }
    // The folder of the worktrees leads there.
    std::fs::create_dir_all(sandbox.top.join(".musher")).unwrap();
    std::os::unix::fs::symlink(memory.path(), sandbox.top.join(".musher/worktrees")).unwrap();
    let path = sandbox.item("i");
    assert_eq!(device(&path), device(memory.path()));
    write(&path.join("new.txt"), "new\n");
    let head = sandbox.clean("i").head;
    write(&sandbox.top.join("b.txt"), "base\n");
    commit(&sandbox.top, "base");
    let rebased = sandbox.repository.rebase(&sandbox.rebase_request("i")).unwrap();
    let Rebased::Done { head: moved } = rebased else { panic!("{rebased:?}") };
    assert_ne!(moved, head);
    let request: LandRequest = sandbox.land_request(&moved);
    assert_eq!(sandbox.repository.land(&request).unwrap(), Landed::Landed);
    sandbox.repository.remove_worktree(&sandbox.remove_request("i", Some(moved))).unwrap();
    assert!(!path.exists() && Repository::open(&sandbox.top).is_ok());
}
