//! Random lives of a worktree, and its end: whatever was in it and is nowhere else either stays, or comes back.

use std::collections::BTreeMap;
use std::path::Path;

use musher_git::{DiffOf, RemoveMode, Removed};

use crate::sandbox::{Sandbox, branch, git, git_may_fail, write};

/// Numbers that look random and are the same for a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

const NAMES: [&str; 6] = ["a.txt", "b.txt", "new one.txt", "deep/x.txt", "deep/run.log", "-odd\n.txt"];

/// Does something in a worktree that agents and people do there.
fn live(path: &Path, dice: &mut Dice, step: u64) {
    let name = NAMES[dice.below(NAMES.len() as u64) as usize];
    match dice.below(9) {
        0..=2 => write(&path.join(name), format!("{step}\n")),
        3 => drop(std::fs::remove_file(path.join(name))),
        4 => drop(git(path, ["add", "-A"])),
        5 => {
            git(path, ["add", "-A"]);
            git(path, ["commit", "-q", "--allow-empty", "-m", &format!("step {step}")]);
        }
        6 => drop(git(path, ["stash", "-q", "-u"])),
        7 => drop(git_may_fail(path, ["checkout", "-q", "--detach"])),
        _ => drop(git_may_fail(path, ["commit", "-q", "--amend", "--allow-empty", "-m", &format!("again {step}")])),
    }
}

/// The files that count: all but what is ignored and not to be kept.
fn files(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let listed = git(path, ["ls-files", "-z", "-c", "-o"]);
    let there = listed.split('\0').filter(|name| !name.is_empty() && !name.starts_with("cache/"));
    there.filter_map(|name| Some((name.to_owned(), std::fs::read(path.join(name)).ok()?))).collect()
}

#[test]
fn whatever_happens_in_a_worktree_its_removal_loses_nothing() {
    let (mut kept, mut removed) = (0, 0);
    for seed in 1..=24u64 {
        let sandbox = Sandbox::new();
        let path = sandbox.item("i");
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for step in 0..dice.below(9) {
            live(&path, &mut dice, step);
        }
        write(&path.join("cache/built"), "may go");
        let before = files(&path);
        let head = git(&path, ["rev-parse", "HEAD"]);
        let tip = sandbox.tip("musher/m/i");
        let staged = git(&path, ["write-tree"]);
        let stashes = sandbox.git(["stash", "list", "--format=%H"]);
        let mut request = sandbox.remove_request("i", None);
        match sandbox.repository.remove_worktree(&request).unwrap() {
            Removed::Removed { attic } => {
                // Nothing was there that the base has not got.
                removed += 1;
                assert_eq!(attic, None, "seed {seed}");
                assert_eq!((head.as_str(), tip.as_str()), (sandbox.tip("main").as_str(), sandbox.tip("main").as_str()));
                assert_eq!(before, files(&sandbox.top), "seed {seed}");
                continue;
            }
            Removed::Kept(reasons) => {
                kept += 1;
                assert!(!reasons.is_empty());
                assert_eq!(files(&path), before, "seed {seed}: {reasons:?}");
            }
        }
        request.mode = RemoveMode::Discard { attic: "i".into() };
        let discarded = sandbox.repository.remove_worktree(&request).unwrap();
        let Removed::Removed { attic: Some(attic) } = discarded else { panic!("seed {seed}: {discarded:?}") };
        assert!(!path.exists() && !sandbox.repository.branch_exists(&branch("musher/m/i")).unwrap());
        for commit in [head.as_str(), tip.as_str()] {
            sandbox.git(["merge-base", "--is-ancestor", commit, attic.as_str()]);
        }
        let trees = sandbox.git(["log", "--format=%T", attic.as_str()]);
        assert!(trees.lines().any(|tree| tree == staged), "seed {seed}: what was staged is nowhere");
        assert_eq!(sandbox.git(["stash", "list", "--format=%H"]), stashes, "seed {seed}");
        // As the documentation says that it comes back.
        sandbox.git(["worktree", "add", "-q", "../back", "-b", "back", "refs/musher/attic/i"]);
        let back = sandbox.top.parent().unwrap().join("back");
        assert_eq!(files(&back), before, "seed {seed}");
    }
    assert!(kept > 10 && removed > 0, "{kept} kept, {removed} removed");
}

#[test]
fn an_edit_in_the_same_second_and_of_the_same_size_is_seen_and_saved() {
    let sandbox = Sandbox::new();
    // Then only the index's own time says that the file has to be read.
    sandbox.git(["config", "core.trustctime", "false"]);
    let path = sandbox.item("i");
    let second = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    let date = |file: &Path| std::fs::File::options().write(true).open(file).unwrap().set_modified(second).unwrap();
    date(&path.join("b.txt"));
    git(&path, ["update-index", "--refresh"]);
    write(&path.join("b.txt"), "B\n");
    date(&path.join("b.txt"));
    date(&sandbox.top.join(".git/worktrees/i/index"));
    let diff = sandbox.repository.diff(&sandbox.tip("main"), &DiffOf::Worktree(path)).unwrap();
    assert!(diff.contains("+B"), "{diff:?}");
    let mut request = sandbox.remove_request("i", None);
    request.mode = RemoveMode::Discard { attic: "i".into() };
    let discarded = sandbox.repository.remove_worktree(&request).unwrap();
    let Removed::Removed { attic: Some(attic) } = discarded else { panic!("{discarded:?}") };
    assert_eq!(sandbox.git(["show", &format!("{attic}:b.txt")]), "B");
}
