//! An agent in a sandbox: what it can change, what it cannot, and what it does not see.

use std::path::Path;
use std::process::Command;

use crate::harness::{Repo, config};

const AGENT: &str = r#"
root=$1
echo work >work
private=/tmp/musher-sandbox-$MUSHER_RUN
echo $private >$private && cat $private >seen-tmp
echo no >"$root/outside-file" 2>/dev/null
echo no >>"$root/.git/config" 2>/dev/null
ls -A "$root/.musher" >seen-state
ls -A "$root/.musher/worktrees" >seen-worktrees
echo '{"summary": "from inside"}' >"$MUSHER_RESULT"
"#;

/// Whether this machine can give a sandbox, asked in another way than musher does.
fn has_bwrap() -> bool {
    let tried = Command::new("bwrap").args(["--ro-bind", "/", "/", "--dev", "/dev", "true"]).output();
    tried.is_ok_and(|output| output.status.success())
}

fn repo(sandbox: &str) -> Repo {
    let config =
        config("", "max_retries = 1").replace("max_load = 0", &format!("max_load = 0\nsandbox = \"{sandbox}\""));
    Repo::with(&config.replace("\"{prompt_file}\"]", "\"{root}\"]"), AGENT)
}

#[test]
fn a_sandboxed_agent_changes_its_worktree_and_nothing_else() {
    let repo = repo("bwrap");
    let said = repo.musher(&["mission", "start", "--text", "task", "--wait", "--json"]);
    let document = said.json();
    let item = &document["items"][0];
    if !has_bwrap() {
        assert_eq!((said.code, item["state"].as_str()), (6, Some("ready")), "{document}");
        assert!(item["reason"].as_str().unwrap().contains("sandbox = \"bwrap\""), "an error, not a shrug: {item}");
        return;
    }
    assert_eq!(item["state"], "done", "{document}");
    assert_eq!(repo.git(&["show", "main:work"]), "work\n");
    assert!(!Path::new(repo.git(&["show", "main:seen-tmp"]).trim()).exists(), "its `/tmp` is its own");
    assert!(!repo.file("outside-file").exists() && !repo.read(".git/config").contains("\nno"));
    assert_eq!(repo.git(&["show", "main:seen-state"]), "runs\nworktrees\n", "no database, token or socket");
    assert_eq!(repo.git(&["show", "main:seen-worktrees"]).lines().count(), 1, "its own and no other");
    let daemon = repo.up();
    let shown = repo.musher(&["item", "show", item["id"].as_str().unwrap(), "--json"]).ok().json();
    assert_eq!(shown["runs"][0]["message"], "from inside");
    daemon.kill();
}

#[test]
fn without_a_sandbox_the_same_agent_reaches_further() {
    let repo = repo("none");
    repo.musher(&["mission", "start", "--text", "task", "--wait", "--json"]).ok();
    assert!(repo.file("outside-file").exists());
    std::fs::remove_file(repo.git(&["show", "main:seen-tmp"]).trim()).unwrap();
}
