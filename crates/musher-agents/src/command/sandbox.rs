//! The sandbox of an agent: bubblewrap, by its command line.

use std::path::Path;
use std::process::{Command, Stdio};

/// The program.
pub const PROGRAM: &str = "bwrap";

/// The walls that every sandbox has. Without a user namespace of its own, root inside could take them down; without one
/// for processes, the root folders of others would be doors.
const WALLS: [&str; 14] = [
    "--die-with-parent",
    "--unshare-user",
    "--unshare-pid",
    "--cap-drop",
    "ALL",
    "--ro-bind",
    "/",
    "/",
    "--dev",
    "/dev",
    "--proc",
    "/proc",
    "--tmpfs",
    "/tmp",
];

/// What an agent in a sandbox may see and change besides what the whole machine has to read.
#[derive(Clone, Copy, Debug)]
pub struct Walls<'a> {
    /// The folder of `musher.toml`, which it may read.
    pub root: &'a Path,
    /// The worktree: it may change everything there.
    pub worktree: &'a Path,
    /// Musher's own state, which it does not see.
    pub state: &'a Path,
    /// The prompt, which it may read.
    pub prompt: &'a Path,
    /// The result file, which it may write. It is there.
    pub result: &'a Path,
    /// Its home, if it has one of its own: it may change everything there.
    pub home: Option<&'a Path>,
    /// What musher's tools need: the folder of their socket, and musher itself.
    pub tools: Option<[&'a Path; 2]>,
}

/// The command that runs `argv` within these walls.
///
/// The network is the machine's: this keeps files and processes safe, and nothing else.
pub fn walled(argv: Vec<String>, walls: &Walls<'_>) -> Vec<String> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let mut all: Vec<String> = std::iter::once(PROGRAM).chain(WALLS).map(str::to_owned).collect();
    // In this order: what comes later lies over what came before. The repository may itself lie below `/tmp`.
    all.extend(["--ro-bind".to_owned(), text(walls.root), text(walls.root)]);
    all.extend(["--tmpfs".to_owned(), text(walls.state)]);
    let mut bind = |how: &str, path: &Path| all.extend([how.to_owned(), text(path), text(path)]);
    bind("--bind", walls.worktree);
    bind("--ro-bind", walls.prompt);
    bind("--bind", walls.result);
    if let Some(home) = walls.home {
        bind("--bind", home);
    }
    for path in walls.tools.iter().flatten() {
        bind("--ro-bind", path);
    }
    all.extend(["--chdir".to_owned(), text(walls.worktree), "--".to_owned()]);
    all.extend(argv);
    all
}

/// Whether this machine can give a sandbox at all; else why not, with the fix. Starts the program once.
///
/// # Errors
/// It cannot; in words for people.
pub fn check() -> Result<(), String> {
    let mut command = Command::new(PROGRAM);
    command.args(WALLS).arg("true");
    let output = command.stdin(Stdio::null()).output().map_err(|error| {
        format!("`sandbox = \"bwrap\"` needs bubblewrap, and `{PROGRAM}` cannot be started: {error}; install it (`apt-get install bubblewrap`)")
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "`sandbox = \"bwrap\"` cannot be had on this machine: {}; allow unprivileged user namespaces, or write sandbox = \"none\"",
        said.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_is_hidden_before_the_worktree_in_it_is_shown() {
        let walls = Walls {
            root: Path::new("/r"),
            worktree: Path::new("/r/.musher/worktrees/a"),
            state: Path::new("/r/.musher"),
            prompt: Path::new("/r/.musher/runs/1/prompt.md"),
            result: Path::new("/r/.musher/runs/1/result.json"),
            home: Some(Path::new("/h")),
            tools: Some([Path::new("/r/.musher/tools"), Path::new("/bin/musher")]),
        };
        let line = walled(vec!["agent".into(), "--flag".into()], &walls).join(" ");
        let expected = "bwrap --die-with-parent --unshare-user --unshare-pid --cap-drop ALL --ro-bind / / --dev /dev \
                        --proc /proc --tmpfs /tmp --ro-bind /r /r --tmpfs /r/.musher \
                        --bind /r/.musher/worktrees/a /r/.musher/worktrees/a \
                        --ro-bind /r/.musher/runs/1/prompt.md /r/.musher/runs/1/prompt.md \
                        --bind /r/.musher/runs/1/result.json /r/.musher/runs/1/result.json --bind /h /h \
                        --ro-bind /r/.musher/tools /r/.musher/tools --ro-bind /bin/musher /bin/musher \
                        --chdir /r/.musher/worktrees/a -- agent --flag";
        assert_eq!(line, expected);
    }
}
