use musher_git::{DiffOf, OpenError, PreflightError, Repository, free_space, preflight, version_check};

use crate::sandbox::{Sandbox, branch, git, write};

#[test]
fn a_folder_that_cannot_be_worked_in_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["plain", "unborn", "bare"] {
        std::fs::create_dir(at(name)).unwrap();
    }
    git(&at("unborn"), ["init", "-q"]);
    git(&at("bare"), ["init", "-q", "--bare"]);
    let open = |name: &str| Repository::open(&at(name)).unwrap_err();
    assert!(matches!(open("plain"), OpenError::NotARepository { .. }));
    assert!(matches!(open("unborn"), OpenError::UnbornHead { .. }));
    assert!(matches!(open("bare"), OpenError::Bare { .. }));
    assert!(matches!(open("missing"), OpenError::NotReadable { .. }));
    assert!(open("unborn").fix().contains("git commit"));
}

#[test]
fn a_repository_is_found_from_a_folder_inside_it() {
    let sandbox = Sandbox::new();
    let below = sandbox.top.join("deep/er");
    std::fs::create_dir_all(&below).unwrap();
    let repository = Repository::open(&below).unwrap();
    assert_eq!(repository.top(), sandbox.top);
    assert_eq!(repository.common_dir(), sandbox.top.join(".git"));
    assert_eq!(repository.current_branch().unwrap(), Some(branch("main")));
    assert!(version_check().unwrap() >= repository.version());
    assert!(matches!(Repository::open(&sandbox.top.join(".git")), Err(OpenError::Bare { .. })));
}

#[test]
fn an_environment_that_redirects_git_is_not_followed() {
    // The variable is set for the one git below, which is how a hook would start us.
    let sandbox = Sandbox::new();
    let other = Sandbox::new();
    write(&other.top.join(".git/hooks/x"), "");
    let exe = std::env::current_exe().unwrap();
    let out = std::process::Command::new(exe)
        .args(["--exact", "opening::the_opened_top_is_the_folder_given", "--nocapture"])
        .env("GIT_DIR", other.top.join(".git"))
        .env("GIT_WORK_TREE", &other.top)
        .env("TOP_UNDER_TEST", &sandbox.top)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stdout));
}

#[test]
fn the_opened_top_is_the_folder_given() {
    let Some(top) = std::env::var_os("TOP_UNDER_TEST") else { return };
    assert_eq!(Repository::open(top.as_ref()).unwrap().top(), top);
}

#[test]
fn a_missing_base_is_answered_with_the_nearest_names() {
    let sandbox = Sandbox::new();
    sandbox.git(["branch", "mainline"]);
    let found = preflight(&sandbox.top, None).unwrap();
    assert_eq!((found.base, found.commit), (branch("main"), sandbox.tip("main")));
    assert_eq!(preflight(&sandbox.top, Some("mainline")).unwrap().base, branch("mainline"));
    match preflight(&sandbox.top, Some("mian")) {
        Err(e @ PreflightError::NoSuchBranch { .. }) => assert!(e.to_string().contains("`main`"), "{e}"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(preflight(&sandbox.top, Some("-x")), Err(PreflightError::NoSuchBranch { .. })));
    sandbox.git(["checkout", "-q", "--detach"]);
    assert!(matches!(preflight(&sandbox.top, None), Err(PreflightError::Detached { .. })));
}

#[test]
fn the_exclude_file_gets_a_line_once() {
    let sandbox = Sandbox::new();
    let path = sandbox.top.join(".git/info/exclude");
    std::fs::write(&path, "# mine").unwrap();
    for _ in 0..2 {
        sandbox.repository.exclude(".musher/").unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), "# mine\n.musher/\n");
}

#[test]
fn an_identity_comes_from_the_users_configuration() {
    let sandbox = Sandbox::new();
    let identity = sandbox.repository.identity().unwrap();
    assert_eq!((identity.name.as_str(), identity.email.as_str()), ("Ada", "ada@example.org"));
}

#[test]
fn an_integration_branch_is_made_once_and_then_left_alone() {
    let sandbox = Sandbox::new();
    let first = sandbox.repository.ensure_branch(&branch("musher/m"), "main").unwrap();
    sandbox.git(["commit", "-q", "--allow-empty", "-m", "more"]);
    assert_eq!(sandbox.repository.ensure_branch(&branch("musher/m"), "main").unwrap(), first);
    assert!(sandbox.repository.ensure_branch(&branch("musher/n"), "nowhere").is_err());
    assert!(!sandbox.repository.branch_exists(&branch("musher/n")).unwrap());
    assert_eq!(sandbox.repository.list_musher_branches().unwrap(), [(branch("musher/m"), first)]);
}

#[test]
fn a_diff_of_a_worktree_shows_untracked_files_and_leaves_its_index_alone() {
    let sandbox = Sandbox::new();
    let base = sandbox.tip("main");
    let path = sandbox.item("i");
    write(&path.join("new.txt"), "hello\n");
    let before = git(&path, ["status", "--porcelain"]);
    let diff = sandbox.repository.diff(&base, &DiffOf::Worktree(path.clone())).unwrap();
    assert!(diff.contains("+hello"), "{diff}");
    assert_eq!(git(&path, ["status", "--porcelain"]), before);
    let work = sandbox.clean("i");
    assert!(sandbox.repository.diff(&base, &DiffOf::Commit(work.head)).unwrap().contains("+hello"));
}

#[test]
fn the_log_names_what_was_merged_since() {
    let sandbox = Sandbox::new();
    let since = sandbox.tip("main");
    sandbox.git(["commit", "-q", "--allow-empty", "-m", "second"]);
    let log = sandbox.repository.log_merged(&branch("main"), Some(&since)).unwrap();
    assert_eq!(log.iter().map(|e| e.subject.as_str()).collect::<Vec<_>>(), ["second"]);
    assert!(sandbox.repository.log_merged(&branch("main"), Some(&sandbox.tip("main"))).unwrap().is_empty());
}

#[test]
fn free_space_is_told_for_a_folder_that_is_not_there_yet() {
    let folder = tempfile::tempdir().unwrap();
    assert!(free_space(&folder.path().join("a/b")).unwrap() > 0);
}
