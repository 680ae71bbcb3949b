//! A process that works on a repository is killed by SIGKILL while git is in the middle of writing files, and what it
//! was doing is then done again. The moment is exact: the filter of a file that is being checked out does the killing.

use std::process::Command;

use musher_git::{LandRequest, Landed, Rebased, Repository};

use crate::sandbox::{Sandbox, branch, git, id, write};

/// A repository in which writing `trap.txt` kills the process whose id is in `.git/victim`.
fn trapped() -> Sandbox {
    let sandbox = Sandbox::new();
    write(&sandbox.top.join(".gitattributes"), "trap.txt filter=trap\n");
    sandbox.git(["config", "filter.trap.clean", "cat"]);
    sandbox.git(["config", "filter.trap.smudge", "cat"]);
    sandbox.git(["add", "-A"]);
    sandbox.git(["commit", "-q", "-m", "attributes"]);
    sandbox
}

/// Runs [`the_victim`] in a process of its own until the trap kills it, and takes the trap away.
fn kill_in_the_middle(sandbox: &Sandbox, operation: &str, old: &str, new: &str) {
    use std::os::unix::process::ExitStatusExt;
    let pid_file = sandbox.top.join(".git/victim");
    let trap = format!("kill -9 $(cat '{}'); cat", pid_file.display());
    sandbox.git(["config", "filter.trap.smudge", &trap]);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killing::the_victim", "--nocapture"])
        .envs([("VICTIM_OF", operation), ("VICTIM_OLD", old), ("VICTIM_NEW", new)])
        .env("VICTIM_TOP", &sandbox.top)
        .spawn()
        .unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(9), "{operation}: {status}");
    sandbox.git(["config", "filter.trap.smudge", "cat"]);
}

#[test]
fn the_victim() {
    let Some(operation) = std::env::var_os("VICTIM_OF") else { return };
    let text = |name: &str| std::env::var(name).unwrap();
    let top = std::path::PathBuf::from(text("VICTIM_TOP"));
    write(&top.join(".git/victim"), std::process::id().to_string());
    let repository = Repository::open(&top).unwrap();
    let request = Sandbox::requests_in(&top);
    match operation.to_str().unwrap() {
        "create" => drop(repository.create_worktree(&request.0)),
        "rebase" => drop(repository.rebase(&request.1)),
        "land" => {
            let (old, new) = (id(&text("VICTIM_OLD")), id(&text("VICTIM_NEW")));
            drop(repository.land(&LandRequest { target: branch("main"), old, new, push: None }));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_worktree_whose_maker_was_killed_is_made_again() {
    let sandbox = trapped();
    write(&sandbox.top.join("trap.txt"), "trap\n");
    sandbox.git(["add", "-A"]);
    sandbox.git(["commit", "-q", "-m", "trap"]);
    kill_in_the_middle(&sandbox, "create", "", "");
    let created = sandbox.repository.create_worktree(&sandbox.create_request("i")).unwrap();
    assert!(!created.adopted());
    assert_eq!(git(&sandbox.path("i"), ["status", "--porcelain"]), "");
    assert!(sandbox.path("i").join("trap.txt").exists());
}

#[test]
fn a_rebase_that_was_killed_leaves_no_edit_of_its_own_in_the_items_commits() {
    let sandbox = trapped();
    sandbox.finished("i", "new.txt", "new\n");
    for (name, content) in [("trap.txt", "trap\n"), ("a.txt", "one\nbase\nthree\n"), ("z.txt", "z\n")] {
        write(&sandbox.top.join(name), content);
    }
    sandbox.git(["add", "-A"]);
    sandbox.git(["commit", "-q", "-m", "base"]);
    kill_in_the_middle(&sandbox, "rebase", "", "");
    let rebased = sandbox.repository.rebase(&sandbox.rebase_request("i")).unwrap();
    assert!(matches!(rebased, Rebased::Done { .. }), "{rebased:?}");
    let work = sandbox.clean("i");
    assert_eq!(work.paths, [std::path::Path::new("new.txt")]);
    assert_eq!(git(&sandbox.path("i"), ["status", "--porcelain"]), "");
}

#[test]
fn a_landing_whose_musher_was_killed_ends_well() {
    let sandbox = trapped();
    let path = sandbox.item("i");
    for (name, content) in [("trap.txt", "trap\n"), ("a.txt", "one\nitem\nthree\n"), ("z.txt", "z\n")] {
        write(&path.join(name), content);
    }
    let head = sandbox.clean("i").head;
    let request = sandbox.land_request(&head);
    kill_in_the_middle(&sandbox, "land", request.old.as_str(), request.new.as_str());
    // In the user's checkout git is left to finish. It holds the note's lock until it has.
    std::fs::File::open(sandbox.top.join(".git/musher-landing")).unwrap().lock().unwrap();
    assert_eq!(sandbox.repository.land(&request).unwrap(), Landed::Landed);
    assert_eq!(sandbox.tip("main"), request.new);
    assert_eq!(sandbox.git(["status", "--porcelain"]), "");
}
