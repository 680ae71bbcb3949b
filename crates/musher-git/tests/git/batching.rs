//! Merges made one on another in the object store, and landed a prefix at a time.

use musher_git::{BatchMember, BatchRequest, Cut, Identity, LandRequest, Landed, MergeStyle, ObjectId, PreparedBatch};

use crate::sandbox::{Sandbox, branch, message, write};

fn request(heads: &[(&str, &ObjectId)], style: MergeStyle) -> BatchRequest {
    let member = |(name, head): &(&str, &ObjectId)| BatchMember {
        head: (*head).clone(),
        message: message(),
        name: format!("m/{name}"),
    };
    BatchRequest {
        target: branch("main"),
        style,
        identity: Identity::new("Ada", "ada@example.org"),
        time_s: 1_700_000_000,
        members: heads.iter().map(member).collect(),
    }
}

fn land(sandbox: &Sandbox, old: &ObjectId, new: &ObjectId) -> Landed {
    let request = LandRequest { target: branch("main"), old: old.clone(), new: new.clone(), push: None };
    sandbox.repository.land(&request).unwrap()
}

#[test]
fn members_stand_one_on_another_and_land_a_prefix_at_a_time_in_each_style() {
    for style in [MergeStyle::Squash, MergeStyle::Merge, MergeStyle::Rebase] {
        let sandbox = Sandbox::new();
        let works = ["i", "j", "k"].map(|name| (name, sandbox.finished(name, &format!("{name}.txt"), "new\n")));
        let heads: Vec<_> = works.iter().map(|(name, work)| (*name, &work.head)).collect();
        let before = sandbox.user();
        let batch = sandbox.repository.prepare_batch(&request(&heads, style)).unwrap();
        assert_eq!(sandbox.repository.prepare_batch(&request(&heads, style)).unwrap(), batch, "{style:?}");
        assert_eq!(sandbox.user(), before, "no checkout is needed, and none is touched: {style:?}");
        let PreparedBatch { base: (base, _), links, cut } = batch;
        assert_eq!((base.clone(), links.len(), cut), (sandbox.tip("main"), 3, None), "{style:?}");
        let files = |commit: &ObjectId| sandbox.git(["ls-tree", "--name-only", commit.as_str()]);
        for (at, (commit, tree)) in links.iter().enumerate() {
            assert_eq!(sandbox.git(["rev-parse", &format!("{commit}^{{tree}}")]), tree.as_str(), "{style:?}");
            let has = ["i.txt", "j.txt", "k.txt"].map(|file| files(commit).lines().any(|line| line == file));
            assert_eq!(has, [true, at >= 1, at >= 2], "{style:?}, member {at}");
        }
        assert_eq!(land(&sandbox, &base, &links[1].0), Landed::Landed, "{style:?}");
        assert_eq!(land(&sandbox, &links[1].0, &links[2].0), Landed::Landed, "{style:?}");
        // As it is after a crash between the two: done again, it is done.
        assert_eq!(land(&sandbox, &base, &links[1].0), Landed::Landed, "{style:?}");
        assert_eq!(sandbox.tip("main"), links[2].0, "{style:?}");
    }
}

#[test]
fn a_batch_makes_the_commits_that_its_members_would_become_one_at_a_time() {
    for style in [MergeStyle::Squash, MergeStyle::Merge] {
        let sandbox = Sandbox::new();
        let works = ["i", "j", "k"].map(|name| (name, sandbox.finished(name, &format!("{name} ü.txt"), "new\n")));
        let heads: Vec<_> = works.iter().map(|(name, work)| (*name, &work.head)).collect();
        let odd = |heads: &[(&str, &ObjectId)]| {
            let mut request = request(heads, style);
            request.identity = Identity::new("Dr. Åda \"O'Neil\", Jr.", "åda+x@example.org");
            for member in &mut request.members {
                member.message.title = format!("修正 {} – “login”", member.name);
                member.message.body = "why\r\n\n\n  \tindented  \n# kept 🦀\n".into();
            }
            request
        };
        let all = sandbox.repository.prepare_batch(&odd(&heads)).unwrap();
        let left = std::fs::read_dir(sandbox.top.join(".git/objects")).unwrap();
        assert!(left.flatten().all(|e| !e.file_name().to_string_lossy().starts_with("tmp_")), "{style:?}");
        assert_eq!(all.links.len(), 3, "{style:?}");
        for (at, head) in heads.iter().enumerate() {
            let base = sandbox.tip("main");
            let alone = sandbox.repository.prepare_batch(&odd(&[*head])).unwrap();
            assert_eq!(alone.links, all.links[at..=at], "{style:?}, member {at}");
            assert_eq!(land(&sandbox, &base, &all.links[at].0), Landed::Landed, "{style:?}");
        }
        sandbox.git(["fsck", "--strict"]);
    }
}

#[test]
fn a_batch_is_kept_whole_by_its_last_member() {
    for style in [MergeStyle::Squash, MergeStyle::Merge, MergeStyle::Rebase] {
        let sandbox = Sandbox::new();
        let works = ["i", "j", "k"].map(|name| (name, sandbox.finished(name, &format!("{name}.txt"), "new\n")));
        let heads: Vec<_> = works.iter().map(|(name, work)| (*name, &work.head)).collect();
        let batch = sandbox.repository.prepare_batch(&request(&heads, style)).unwrap();
        sandbox.git(["-c", "gc.reflogExpire=now", "gc", "-q", "--prune=now"]);
        for (commit, tree) in &batch.links {
            sandbox.git(["cat-file", "-e", commit.as_str()]);
            sandbox.git(["cat-file", "-e", tree.as_str()]);
        }
        assert_eq!(land(&sandbox, &batch.base.0, &batch.links[0].0), Landed::Landed, "{style:?}");
        for name in ["i", "j", "k"] {
            sandbox.repository.forget_prepared(&format!("m/{name}")).unwrap();
        }
        assert_eq!(sandbox.git(["for-each-ref", "refs/musher"]), "", "{style:?}");
    }
}

#[test]
fn a_batch_is_the_longest_prefix_that_merges_cleanly() {
    let sandbox = Sandbox::new();
    let first = sandbox.finished("i", "a.txt", "one\nfirst\nthree\n");
    let other = sandbox.finished("o", "o.txt", "o\n");
    let second = sandbox.finished("j", "a.txt", "one\nsecond\nthree\n");
    let last = sandbox.finished("k", "k.txt", "k\n");
    let heads = [("i", &first.head), ("o", &other.head), ("j", &second.head), ("k", &last.head)];
    let batch = sandbox.repository.prepare_batch(&request(&heads, MergeStyle::Squash)).unwrap();
    assert_eq!((batch.links.len(), batch.cut), (2, Some(Cut::Conflict(vec!["a.txt".into()]))));
    let none = sandbox.repository.resolve("refs/musher/merge/m/k").unwrap();
    assert!(none.is_none(), "nothing is made of those after it");
    // Its fault is only that of the one before it: alone it merges.
    let alone = sandbox.repository.prepare_batch(&request(&heads[2..3], MergeStyle::Squash)).unwrap();
    assert_eq!((alone.links.len(), alone.cut), (1, None));
}

#[test]
fn a_member_that_says_what_an_earlier_one_has_said_changes_nothing_and_ends_the_batch() {
    let sandbox = Sandbox::new();
    let one = sandbox.finished("i", "new.txt", "same\n");
    let two = sandbox.finished("j", "new.txt", "same\n");
    let heads = [("i", &one.head), ("j", &two.head)];
    let batch = sandbox.repository.prepare_batch(&request(&heads, MergeStyle::Squash)).unwrap();
    assert_eq!((batch.links.len(), batch.cut), (1, Some(Cut::Empty)));
}

#[test]
fn a_member_that_the_base_holds_already_is_told_as_landed() {
    for style in [MergeStyle::Squash, MergeStyle::Merge, MergeStyle::Rebase] {
        let sandbox = Sandbox::new();
        let work = sandbox.finished("i", "a.txt", "one\nitem\nthree\n");
        let heads = [("i", &work.head)];
        let made = sandbox.repository.prepare_batch(&request(&heads, style)).unwrap();
        assert_eq!(land(&sandbox, &made.base.0, &made.links[0].0), Landed::Landed);
        let landed = Some(Cut::Landed(made.links[0].0.clone()));
        assert_eq!(sandbox.repository.prepare_batch(&request(&heads, style)).unwrap().cut, landed, "{style:?}");
        // Also when somebody has changed the same line since.
        write(&sandbox.top.join("a.txt"), "one\nlater\nthree\n");
        sandbox.git(["commit", "-q", "-am", "later"]);
        assert_eq!(sandbox.repository.prepare_batch(&request(&heads, style)).unwrap().cut, landed, "{style:?}");
    }
    // A part of it that was brought there by hand is not the whole.
    let sandbox = Sandbox::new();
    let part = sandbox.finished("i", "a.txt", "one\npart\nthree\n");
    sandbox.git(["cherry-pick", part.head.as_str()]);
    write(&sandbox.path("i").join("a.txt"), "one\nwhole\nthree\n");
    let whole = sandbox.clean("i");
    write(&sandbox.top.join("a.txt"), "one\nlater\nthree\n");
    sandbox.git(["commit", "-q", "-am", "later"]);
    let made = sandbox.repository.prepare_batch(&request(&[("i", &whole.head)], MergeStyle::Squash)).unwrap();
    assert_eq!(made.cut, Some(Cut::Conflict(vec!["a.txt".into()])));
}

#[test]
fn a_target_that_is_gone_is_named() {
    let sandbox = Sandbox::new();
    let work = sandbox.finished("i", "new.txt", "new\n");
    sandbox.git(["checkout", "-q", "--detach"]);
    sandbox.git(["branch", "-q", "-D", "main"]);
    let error = sandbox.repository.prepare_batch(&request(&[("i", &work.head)], MergeStyle::Squash)).unwrap_err();
    assert!(error.to_string().contains("no branch `main`") && error.fix().contains("git branch"), "{error}");
}

#[test]
fn a_member_that_git_cannot_merge_keeps_nobody_before_it_from_landing() {
    let sandbox = Sandbox::new();
    let work = sandbox.finished("i", "new.txt", "new\n");
    let gone = ObjectId::parse("0123456789012345678901234567890123456789").unwrap();
    let batch =
        sandbox.repository.prepare_batch(&request(&[("i", &work.head), ("j", &gone)], MergeStyle::Squash)).unwrap();
    assert!(batch.links.len() == 1 && matches!(batch.cut, Some(Cut::Failed(_))), "{batch:?}");
    assert!(sandbox.repository.prepare_batch(&request(&[("j", &gone)], MergeStyle::Squash)).is_err());
}

#[test]
fn a_base_that_moved_under_a_batch_lands_none_of_it() {
    let sandbox = Sandbox::new();
    let one = sandbox.finished("i", "i.txt", "i\n");
    let two = sandbox.finished("j", "j.txt", "j\n");
    let heads = [("i", &one.head), ("j", &two.head)];
    let batch = sandbox.repository.prepare_batch(&request(&heads, MergeStyle::Squash)).unwrap();
    assert_eq!(land(&sandbox, &batch.base.0, &batch.links[0].0), Landed::Landed);
    write(&sandbox.top.join("foreign"), "x");
    sandbox.git(["add", "-A"]);
    sandbox.git(["commit", "-q", "-m", "foreign"]);
    let foreign = sandbox.tip("main");
    assert_eq!(land(&sandbox, &batch.links[0].0, &batch.links[1].0), Landed::BaseMoved { now: Some(foreign.clone()) });
    assert_eq!(sandbox.tip("main"), foreign);
}
