//! Landings that are pushed: how the branch of the remote may stand beside ours, and what comes of each.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use musher_git::{Apart, DirtyReason, LandRequest, Landed, ObjectId, RemoteName};

use crate::sandbox::{Sandbox, git, git_may_fail, id, write};

/// An item that is ready to land, a bare remote, and the clone of somebody else who pushes to it.
struct World {
    sandbox: Sandbox,
    request: LandRequest,
    remote: PathBuf,
    other: PathBuf,
}

impl World {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let folder = sandbox.top.parent().unwrap().to_owned();
        git(&folder, ["init", "-q", "--bare", "-b", "main", "remote.git"]);
        let remote = folder.join("remote.git");
        sandbox.git(["remote", "add", "origin", remote.to_str().unwrap()]);
        // Something to go back to.
        sandbox.git(["commit", "-q", "--allow-empty", "-m", "second"]);
        sandbox.git(["push", "-q", "origin", "main"]);
        git(&folder, ["clone", "-q", remote.to_str().unwrap(), "other"]);
        let other = folder.join("other");
        git(&other, ["config", "user.name", "Eve"]);
        git(&other, ["config", "user.email", "eve@example.org"]);
        let work = sandbox.finished("i", "new.txt", "new\n");
        let mut request = sandbox.land_request(&work.head);
        request.push = Some(RemoteName::parse("origin").unwrap());
        Self { sandbox, request, remote, other }
    }

    /// Somebody else commits on what the remote has, and pushes.
    fn foreign(&self, file: &str) -> ObjectId {
        git(&self.other, ["fetch", "-q", "origin"]);
        git(&self.other, ["reset", "-q", "--hard", "origin/main"]);
        write(&self.other.join(file), "foreign\n");
        git(&self.other, ["add", "-A"]);
        git(&self.other, ["commit", "-q", "-m", file]);
        git(&self.other, ["push", "-q", "origin", "HEAD:main"]);
        id(&git(&self.other, ["rev-parse", "HEAD"]))
    }

    /// Where the remote's branch is; none when it is gone.
    fn there(&self) -> Option<ObjectId> {
        let (ok, text) = git_may_fail(&self.remote, ["rev-parse", "--verify", "--quiet", "refs/heads/main"]);
        ok.then(|| id(&text))
    }

    fn land(&self) -> Landed {
        self.sandbox.repository.land(&self.request).unwrap()
    }

    /// The merge is prepared anew on where the base is now, as the queue does when it moved.
    fn again(&mut self) {
        let head = self.sandbox.tip("musher/m/i");
        let push = self.request.push.clone();
        self.request = LandRequest { push, ..self.sandbox.land_request(&head) };
    }

    fn hook(&self, repository: &std::path::Path, name: &str, text: &str) {
        let hook = repository.join("hooks").join(name);
        write(&hook, text);
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// With the base checked out, and with nobody on it: these are two ways of moving it.
fn each(case: impl Fn(World)) {
    case(World::new());
    let world = World::new();
    world.sandbox.git(["checkout", "-q", "-b", "mine"]);
    case(world);
}

#[test]
fn somebody_elses_push_moves_the_base_and_the_merge_made_anew_lands_on_it() {
    each(|mut world| {
        let foreign = world.foreign("foreign.txt");
        for _ in 0..2 {
            assert_eq!(world.land(), Landed::BaseMoved { now: Some(foreign.clone()) });
            assert_eq!((world.sandbox.tip("main"), world.there()), (foreign.clone(), Some(foreign.clone())));
        }
        assert_eq!(world.sandbox.git(["status", "--porcelain"]), "");
        world.again();
        assert_eq!(world.land(), Landed::Landed);
        let new = world.request.new.clone();
        assert_eq!((world.sandbox.tip("main"), world.there()), (new.clone(), Some(new)));
        assert!(git(&world.remote, ["log", "--format=%s", "main"]).contains("foreign.txt"));
    });
}

#[test]
fn a_push_before_a_crash_counts_also_when_somebody_has_gone_on_from_it() {
    each(|mut world| {
        let new = world.request.new.clone();
        world.sandbox.git(["push", "-q", "origin", &format!("{new}:refs/heads/main")]);
        let foreign = world.foreign("foreign.txt");
        assert_eq!(world.land(), Landed::Landed);
        assert_eq!((world.sandbox.tip("main"), world.there()), (new, Some(foreign.clone())));
        // The next landing finds the remote ahead.
        let work = world.sandbox.finished("j", "j.txt", "j\n");
        world.request = LandRequest { push: world.request.push.clone(), ..world.sandbox.land_request(&work.head) };
        assert_eq!(world.land(), Landed::BaseMoved { now: Some(foreign) });
    });
}

#[test]
fn a_remote_that_is_ahead_is_not_followed_into_a_checkout_with_changes() {
    let world = World::new();
    let foreign = world.foreign("foreign.txt");
    write(&world.sandbox.top.join("foreign.txt"), "mine\n");
    let before = world.sandbox.user();
    let landed = world.land();
    let reason = DirtyReason::Overwrites(vec!["foreign.txt".into()]);
    assert_eq!(landed, Landed::BaseDirty { checkout: world.sandbox.top.clone(), reason });
    assert_eq!((world.sandbox.user(), world.there()), (before, Some(foreign)));
}

#[test]
fn following_the_remote_that_was_killed_is_finished() {
    let world = World::new();
    let foreign = world.foreign("foreign.txt");
    world.sandbox.git(["fetch", "-q", "origin"]);
    let note = format!("refs/heads/main\n{}\n{foreign}\n{}\n", world.request.old, world.sandbox.top.display());
    write(&world.sandbox.top.join(".git/musher-landing"), note);
    write(&world.sandbox.top.join("foreign.txt"), "for");
    assert_eq!(world.land(), Landed::BaseMoved { now: Some(foreign.clone()) });
    assert_eq!(world.sandbox.tip("main"), foreign);
    assert_eq!(world.sandbox.git(["status", "--porcelain"]), "");
}

#[test]
fn commits_that_were_never_pushed_go_along() {
    each(|mut world| {
        let tree = world.sandbox.git(["rev-parse", "main^{tree}"]);
        let mine = world.sandbox.git(["commit-tree", &tree, "-p", "main", "-m", "never pushed"]);
        let on = world.sandbox.git(["symbolic-ref", "--short", "HEAD"]);
        if on == "main" {
            world.sandbox.git(["merge", "-q", "--ff-only", &mine]);
        } else {
            world.sandbox.git(["update-ref", "refs/heads/main", &mine]);
        }
        world.again();
        assert_eq!(world.land(), Landed::Landed);
        assert_eq!(world.there(), Some(world.request.new.clone()));
        assert!(git(&world.remote, ["log", "--format=%s", "main"]).contains("never pushed"));
    });
}

#[test]
fn a_remote_that_was_rewound_deleted_or_rewritten_waits_for_a_person_and_no_commit_is_lost() {
    type Case = (&'static str, fn(&World), fn(&Apart) -> bool);
    let cases: [Case; 3] = [
        (
            "rewound",
            |w| drop(git(&w.other, ["push", "-q", "--force", "origin", "HEAD~1:main"])),
            |apart| matches!(apart, Apart::Rewound { .. }),
        ),
        (
            "rewritten",
            |w| {
                git(&w.other, ["reset", "-q", "--hard", "HEAD~1"]);
                write(&w.other.join("else.txt"), "else\n");
                git(&w.other, ["add", "-A"]);
                git(&w.other, ["commit", "-q", "-m", "else"]);
                git(&w.other, ["push", "-q", "--force", "origin", "HEAD:main"]);
            },
            |apart| matches!(apart, Apart::Diverged { .. }),
        ),
        (
            "deleted",
            |w| drop(git(&w.remote, ["update-ref", "-d", "refs/heads/main"])),
            |apart| matches!(apart, Apart::Deleted { .. }),
        ),
    ];
    for (name, happens, want) in cases {
        each(|world| {
            happens(&world);
            let (before, there) = (world.sandbox.user(), world.there());
            // However often it is looked at: the look itself must not make musher forget what it has seen.
            for _ in 0..3 {
                let Landed::Apart(apart) = world.land() else { panic!("{name}: {:?}", world.land()) };
                assert!(want(&apart) && !apart.fix().is_empty(), "{name}: {apart}");
                assert!(
                    apart.to_string().contains("`main`") && apart.to_string().contains("origin"),
                    "{name}: {apart}"
                );
                assert_eq!((world.sandbox.user(), world.there()), (before.clone(), there.clone()), "{name}");
            }
        });
    }
}

#[test]
fn a_base_that_its_owner_has_brought_to_a_rewound_remote_lands_again() {
    let mut world = World::new();
    git(&world.other, ["push", "-q", "--force", "origin", "HEAD~1:main"]);
    assert!(matches!(world.land(), Landed::Apart(Apart::Rewound { .. })));
    world.sandbox.git(["reset", "-q", "--hard", "HEAD~1"]);
    assert!(matches!(world.land(), Landed::BaseMoved { .. }));
    world.again();
    assert_eq!(world.land(), Landed::Landed);
    assert_eq!(world.there(), Some(world.request.new.clone()));
}

#[test]
fn a_branch_that_the_remote_never_had_is_made_there() {
    each(|world| {
        world.sandbox.git(["update-ref", "-d", "refs/remotes/origin/main"]);
        git(&world.remote, ["update-ref", "-d", "refs/heads/main"]);
        assert_eq!(world.land(), Landed::Landed);
        assert_eq!(world.there(), Some(world.request.new.clone()));
    });
}

#[test]
fn a_real_refusal_keeps_the_remotes_words_and_changes_nothing() {
    type Case = (&'static str, fn(&World), &'static str);
    let cases: [Case; 4] = [
        ("a hook", |w| w.hook(&w.remote, "pre-receive", "#!/bin/sh\necho no pushing on Fridays; exit 1\n"), "Fridays"),
        (
            "a protected branch",
            |w| w.hook(&w.remote, "update", "#!/bin/sh\necho \"$1 is protected\"; exit 1\n"),
            "is protected",
        ),
        ("a rule of git", |w| drop(git(&w.remote, ["config", "receive.maxInputSize", "1"])), "maximum allowed size"),
        (
            "a hook of one's own",
            |w| w.hook(&w.sandbox.top.join(".git"), "pre-push", "#!/bin/sh\necho not from here >&2; exit 1\n"),
            "not from here",
        ),
    ];
    for (name, refuse, words) in cases {
        each(|world| {
            refuse(&world);
            let (before, there) = (world.sandbox.user(), world.there());
            let Landed::Refused { said } = world.land() else { panic!("{name}") };
            assert!(said.contains(words), "{name}: {said}");
            assert_eq!((world.sandbox.user(), world.there()), (before, there), "{name}");
        });
    }
}

#[test]
fn a_remote_that_cannot_be_asked_is_no_fault_of_the_merge() {
    let world = World::new();
    std::fs::rename(&world.remote, world.remote.with_extension("away")).unwrap();
    let before = world.sandbox.user();
    let error = world.sandbox.repository.land(&world.request).unwrap_err();
    assert!(error.to_string().contains("remote.git"), "{error}");
    assert_eq!(world.sandbox.user(), before);
}

#[test]
fn a_base_that_was_rewound_or_deleted_here_is_told_as_moved() {
    each(|world| {
        let there = world.there();
        world.sandbox.git(["update-ref", "refs/heads/main", "main~1"]);
        assert_eq!(world.land(), Landed::BaseMoved { now: Some(world.sandbox.tip("main")) });
        world.sandbox.git(["checkout", "-q", "--detach"]);
        world.sandbox.git(["update-ref", "-d", "refs/heads/main"]);
        assert_eq!(world.land(), Landed::BaseMoved { now: None });
        assert_eq!(world.there(), there);
    });
}
