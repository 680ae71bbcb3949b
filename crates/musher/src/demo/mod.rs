//! The demo's scratch repository: files, a first commit, a configuration.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::error::Failure;

/// The plan of the demo.
pub(crate) const PLAN: &str = include_str!("plan.toml");
/// Its base branch.
pub(crate) const BRANCH: &str = "main";

const CONFIG: &str = include_str!("musher.toml");
const AGENT: &str = include_str!("agent.sh");
const CHECK: &str = include_str!("check.sh");

/// Makes the repository in an empty folder.
pub(crate) fn lay_out(folder: &Path) -> Result<(), Failure> {
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text);
    git(folder, &["init", "--quiet", "--initial-branch", BRANCH])?;
    write("check.sh", CHECK)?;
    write("CHANGES", "Changes\n")?;
    git(folder, &["add", "check.sh", "CHANGES"])?;
    git(folder, &["commit", "--quiet", "--message", "Begin"])?;
    // The configuration and the agent need not be committed.
    write("musher.toml", CONFIG)?;
    write("agent.sh", AGENT)?;
    write(".git/info/exclude", "/musher.toml\n/agent.sh\n")?;
    Ok(())
}

fn git(folder: &Path, arguments: &[&str]) -> Result<(), Failure> {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder);
    // The scratch repository is made the same whatever the user's own git is told to do.
    for setting in
        ["user.name=musher demo", "user.email=demo@localhost", "commit.gpgsign=false", "core.hooksPath=/dev/null"]
    {
        command.args(["-c", setting]);
    }
    command.args(arguments).stdin(Stdio::null());
    let output = command.output().map_err(|error| {
        Failure::failed("git cannot be started").why(error.to_string()).fix("install git 2.38 or newer")
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::failed(format!("`git {}` failed", arguments.join(" ")))
        .why(String::from_utf8_lossy(&output.stderr).trim()))
}
