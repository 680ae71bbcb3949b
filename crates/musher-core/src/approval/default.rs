//! The rules of a run whose configuration names none.

use super::rule::{Rule, Rules};

/// Returns the default: files in the worktree are read and edited, commands that only look are run, the rest is asked.
///
/// `.git` is asked for, since its hooks and settings run programs. Nothing that runs a project's code is in the list
/// (`cargo`, `npm`, `make`), nor what can write or run by an argument that no pattern tells apart (`sed`, `awk`, `sort`).
pub fn default_rules() -> Rules {
    let shell = |commands: &[&str]| commands.iter().map(|c| format!("shell:{c}")).collect::<Vec<_>>();
    Rules {
        allow: rules(&["read".to_owned(), "edit".to_owned()]),
        allow_inside: rules(&shell(LOOKING)),
        ask: rules(&[shell(ACTING), GIT.iter().map(|&r| r.to_owned()).collect()].concat()),
        deny: Box::default(),
    }
}

fn rules(texts: &[String]) -> Box<[Rule]> {
    texts.iter().filter_map(|text| Rule::parse(text).ok()).collect()
}

const LOOKING: &[&str] = &[
    ":",
    "[ *",
    "basename *",
    "cat *",
    "cd *",
    "cmp *",
    "cut *",
    "diff *",
    "dirname *",
    "echo *",
    "false",
    "find *",
    "git add *",
    "git diff *",
    "git log *",
    "git ls-files *",
    "git rev-parse *",
    "git show *",
    "git status *",
    "grep *",
    "head *",
    "ls *",
    "nl *",
    "pwd",
    "realpath *",
    "rg *",
    "stat *",
    "tail *",
    "test *",
    "tr *",
    "true",
    "wc *",
];

/// What makes one of [`LOOKING`] write, run something or leave the worktree.
const ACTING: &[&str] = &[
    "cd",
    "cd -*",
    "find *-exec*",
    "find *-ok*",
    "find *-delete*",
    "find *-fprint*",
    "find *-fls*",
    "find *-files0*",
    "git * --ou*",
    "git * --ext*",
    "git * --textc*",
    "rg *--pre*",
    "rg *--hostname-bin*",
    // bash runs what stands in a tested variable's index: `test -v 'a[$(rm x)]'`.
    "test *-v*",
    "test *-R*",
    "[ *-v*",
    "[ *-R*",
];

const GIT: &[&str] = &["edit:**/.git", "edit:**/.git/**"];

/// How many rules the lists hold, so that a test sees each of them was read.
#[cfg(test)]
pub(super) fn counts() -> (usize, usize) {
    (LOOKING.len(), ACTING.len() + GIT.len())
}
