//! A bare git repository behind a repository of the fake: its branches are the heads, and a merge is a merge.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

fn git(at: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(at)
        .args(["-c", "user.name=GitHub", "-c", "user.email=noreply@github.invalid"])
        .args(arguments)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .output()
        .map_err(|error| format!("git cannot be started: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}

pub(crate) fn branches(at: &Path) -> BTreeMap<String, String> {
    let listed = git(at, &["for-each-ref", "--format=%(objectname) %(refname:strip=2)", "refs/heads"]);
    let listed = listed.unwrap_or_default();
    let pair = |line: &str| line.split_once(' ').map(|(tip, name)| (name.to_owned(), tip.to_owned()));
    listed.lines().filter_map(pair).collect()
}

pub(crate) fn merges(at: &Path, base: &str, head: &str) -> bool {
    git(at, &["merge-tree", "--write-tree", &format!("refs/heads/{base}"), head]).is_ok()
}

/// Merges `head` into the branch. A rebase becomes one commit: what is asked for is the tree.
pub(crate) fn merge(at: &Path, base: &str, head: &str, method: &str, title: &str) -> Result<String, String> {
    let branch = format!("refs/heads/{base}");
    let tip = git(at, &["rev-parse", "--verify", &branch])?;
    let tree = git(at, &["merge-tree", "--write-tree", &tip, head])?;
    let tree = tree.lines().next().unwrap_or_default();
    let mut arguments = vec!["commit-tree", tree, "-p", &tip, "-m", title];
    if method == "merge" {
        arguments.extend(["-p", head]);
    }
    let commit = git(at, &arguments)?;
    git(at, &["update-ref", &branch, &commit, &tip])?;
    Ok(commit)
}
