use musher_git::{Cold, Made, Pool, Removed};

use crate::sandbox::{Sandbox, branch, git, write};

fn pool(sandbox: &Sandbox, size: u32) -> Pool {
    Pool { folder: sandbox.top.join(".musher/pool"), size }
}

/// Fills the pool and says how many it made.
fn fill(sandbox: &Sandbox, pool: &Pool) -> Result<usize, Cold> {
    let out = sandbox.repository.tidy_pool(pool).unwrap();
    sandbox.repository.sweep_out(&out).unwrap();
    let mut made = 0;
    while sandbox.repository.warm_one(pool, "refs/heads/main", 0).unwrap()? {
        made += 1;
    }
    Ok(made)
}

fn take(sandbox: &Sandbox, pool: &Pool, item: &str) -> Made {
    let request = musher_git::CreateRequest { pool: Some(pool.clone()), ..sandbox.create_request(item) };
    let created = sandbox.repository.create_worktree(&request).unwrap();
    assert_eq!(created.base_commit, sandbox.tip("main"));
    created.made
}

/// The worktree is what a checkout would have made.
fn sound(sandbox: &Sandbox, item: &str) {
    let path = sandbox.path(item);
    assert_eq!(git(&path, ["status", "--porcelain", "--ignored"]), "");
    assert_eq!(git(&path, ["symbolic-ref", "HEAD"]), format!("refs/heads/musher/m/{item}"));
    assert_eq!(git(&path, ["rev-parse", "HEAD"]), sandbox.tip("main").as_str());
    let listed = sandbox.repository.list_worktrees().unwrap().into_iter().find(|w| w.path == path).unwrap();
    assert_eq!((listed.locked, listed.gone), (None, false));
}

#[test]
fn a_warm_worktree_is_taken_at_the_newest_base_and_the_pool_is_filled_again() {
    let sandbox = Sandbox::new();
    let before = sandbox.user();
    let pool = pool(&sandbox, 2);
    assert_eq!(take(&sandbox, &pool, "cold"), Made::CheckedOut(Some(Cold::Empty)));
    assert_eq!((fill(&sandbox, &pool), fill(&sandbox, &pool)), (Ok(2), Ok(0)));
    assert_eq!(sandbox.user(), before);
    sandbox.git(["rm", "-q", "b.txt"]);
    write(&sandbox.top.join("a.txt"), "newer\n");
    sandbox.git(["commit", "-q", "-a", "-m", "newer"]);
    write(&pool.folder.join("warm-0/stray"), "nobody's");
    assert_eq!(take(&sandbox, &pool, "i"), Made::Warm);
    sound(&sandbox, "i");
    assert_eq!(std::fs::read_to_string(sandbox.path("i").join("a.txt")).unwrap(), "newer\n");
    // It is adopted, worked in and removed like any other.
    assert_eq!(take(&sandbox, &pool, "i"), Made::Adopted);
    write(&sandbox.path("i").join("new.txt"), "new\n");
    let head = sandbox.clean("i").head;
    assert_eq!(fill(&sandbox, &pool), Ok(1));
    let removed = sandbox.repository.remove_worktree(&sandbox.remove_request("i", Some(head))).unwrap();
    assert_eq!(removed, Removed::Removed { attic: None });
    assert_eq!(take(&sandbox, &pool, "j"), Made::Warm);
    assert_eq!(take(&sandbox, &pool, "k"), Made::Warm);
    sound(&sandbox, "j");
    sound(&sandbox, "k");
    // A branch with work of its own comes with it.
    std::fs::remove_dir_all(sandbox.path("k")).unwrap();
    fill(&sandbox, &pool).unwrap();
    let own = sandbox.git(["commit-tree", "-p", "main", "-m", "own", "main^{tree}"]);
    sandbox.git(["branch", "-f", "musher/m/own", &own]);
    assert_eq!(take(&sandbox, &pool, "own"), Made::Warm);
    assert_eq!(sandbox.tip("musher/m/own").as_str(), own);
    assert_eq!(fill(&sandbox, &self::pool(&sandbox, 0)), Ok(0));
    assert_eq!(std::fs::read_dir(&pool.folder).unwrap().count(), 0);
    assert!(!sandbox.git(["worktree", "list"]).contains("/pool/"));
}

#[test]
fn what_was_cut_off_in_the_pool_or_on_the_way_out_is_thrown_away() {
    type Case = (&'static str, fn(&Sandbox));
    let cases: [Case; 6] = [
        ("being made", |s| {
            write(&s.top.join(".git/worktrees/warm-0/locked"), "musher is making this worktree");
            std::fs::remove_file(s.top.join(".musher/pool/warm-0/a.txt")).unwrap();
        }),
        ("no registration", |s| std::fs::remove_dir_all(s.top.join(".git/worktrees/warm-0")).unwrap()),
        ("no folder", |s| std::fs::remove_dir_all(s.top.join(".musher/pool/warm-0")).unwrap()),
        ("a strange folder", |s| {
            std::fs::remove_dir_all(s.top.join(".git/worktrees/warm-0")).unwrap();
            std::fs::remove_dir_all(s.top.join(".musher/pool/warm-0")).unwrap();
            write(&s.top.join(".musher/pool/x/y"), "y");
        }),
        ("registered at its place, not moved", |s| {
            write(&s.top.join(".git/worktrees/warm-0/locked"), "musher is making this worktree");
            let link = format!("{}/.git\n", s.path("i").display());
            write(&s.top.join(".git/worktrees/warm-0/gitdir"), link);
        }),
        ("moved, not reset", |s| {
            write(&s.top.join(".git/worktrees/warm-0/locked"), "musher is making this worktree");
            let link = format!("{}/.git\n", s.path("i").display());
            write(&s.top.join(".git/worktrees/warm-0/gitdir"), link);
            std::fs::create_dir_all(s.path("i").parent().unwrap()).unwrap();
            std::fs::rename(s.top.join(".musher/pool/warm-0"), s.path("i")).unwrap();
            s.git(["branch", "musher/m/i"]);
        }),
    ];
    for (name, cut_off) in cases {
        let sandbox = Sandbox::new();
        let pool = pool(&sandbox, 1);
        fill(&sandbox, &pool).unwrap();
        cut_off(&sandbox);
        assert_eq!(take(&sandbox, &pool, "i"), Made::CheckedOut(Some(Cold::Empty)), "{name}");
        sound(&sandbox, "i");
        assert_eq!(fill(&sandbox, &pool), Ok(1), "{name}");
        assert_eq!(take(&sandbox, &pool, "j"), Made::Warm, "{name}");
        sound(&sandbox, "j");
        assert_eq!(std::fs::read_dir(&pool.folder).unwrap().count(), 0, "{name}");
    }
    let sandbox = Sandbox::new();
    let pool = pool(&sandbox, 1);
    fill(&sandbox, &pool).unwrap();
    write(&sandbox.top.join(".git/worktrees/warm-0/locked"), "a user's reason");
    assert_eq!(take(&sandbox, &pool, "i"), Made::CheckedOut(Some(Cold::Empty)));
}

#[test]
fn where_a_warm_worktree_would_not_be_what_a_checkout_is_it_is_checked_out() {
    type Case = (&'static str, fn(&Sandbox), Cold);
    let before_it_is_made: [Case; 3] = [
        ("submodules", |s| write(&s.top.join(".gitmodules"), "[submodule \"x\"]\n"), Cold::Submodules),
        ("a filter", |s| write(&s.top.join("deep/.gitattributes"), "*.bin filter=lfs -text\n"), Cold::Filters),
        ("a private filter", |s| write(&s.top.join(".git/info/attributes"), "*.bin filter=lfs\n"), Cold::Filters),
    ];
    for (name, prepare, why) in before_it_is_made {
        let sandbox = Sandbox::new();
        prepare(&sandbox);
        sandbox.git(["add", "-A"]);
        sandbox.git(["commit", "-q", "--allow-empty", "-m", "x"]);
        assert_eq!(fill(&sandbox, &pool(&sandbox, 1)), Err(why), "{name}");
        assert!(!pool(&sandbox, 1).folder.join("warm-0").exists(), "{name}");
    }
    let afterwards: [(&str, fn(&Sandbox)); 3] = [
        ("line ends", |s| drop(s.git(["config", "core.autocrlf", "true"]))),
        ("attributes", |s| {
            write(&s.top.join("deep/.gitattributes"), "* text eol=crlf\n");
            s.git(["add", "-A"]);
            s.git(["commit", "-q", "-m", "x"]);
        }),
        ("private attributes", |s| write(&s.top.join(".git/info/attributes"), "*.txt eol=crlf\n")),
    ];
    for (name, change) in afterwards {
        let sandbox = Sandbox::new();
        let pool = pool(&sandbox, 1);
        fill(&sandbox, &pool).unwrap();
        change(&sandbox);
        assert_eq!(take(&sandbox, &pool, "i"), Made::CheckedOut(Some(Cold::Empty)), "{name}");
        assert_eq!(fill(&sandbox, &pool), Ok(1), "{name}");
        assert_eq!(take(&sandbox, &pool, "j"), Made::Warm, "{name}");
        let read = |item: &str| std::fs::read(sandbox.path(item).join("a.txt")).unwrap();
        assert_eq!(read("i"), read("j"), "{name}");
    }
    let sandbox = Sandbox::new();
    let full = sandbox.repository.warm_one(&pool(&sandbox, 1), "refs/heads/main", u64::MAX).unwrap();
    assert_eq!(full, Err(Cold::Disk));
    assert!(!sandbox.repository.branch_exists(&branch("musher/m/i")).unwrap());
}

#[test]
fn a_shallow_clone_has_warm_worktrees_too() {
    let sandbox = Sandbox::new();
    sandbox.git(["commit", "-q", "--allow-empty", "-m", "second"]);
    let clone = sandbox.top.parent().unwrap().join("clone");
    let from = format!("file://{}", sandbox.top.display());
    git(sandbox.top.parent().unwrap(), ["clone", "-q", "--depth", "1", &from, clone.to_str().unwrap()]);
    let shallow = sandbox.at(&clone);
    assert!(clone.join(".git/shallow").exists());
    let pool = pool(&shallow, 1);
    assert_eq!(fill(&shallow, &pool), Ok(1));
    assert_eq!(take(&shallow, &pool, "i"), Made::Warm);
    sound(&shallow, "i");
}
