//! What the rules say of an action.

use super::path::strays;
use super::pattern::Fit;
use super::rule::{Files, Rule, Rules, What, address_fits, text_fits};
use super::shell::{Need, Script, Simple};
use super::{Action, shell};

/// What the rules say of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// It is done.
    Allow,
    /// It is not done; the text names the rule.
    Deny(Box<str>),
    /// A person is asked.
    Ask,
}

/// Returns what the rules say of `action`, for an agent whose folder is `worktree`, an absolute path.
///
/// The most restrictive match wins. A command is read by a shell's grammar: each command in it must be allowed, and each
/// file that it redirects to or from; one denied command denies the whole. What cannot be read, or is known only when it
/// runs, is asked for. Deny by pattern is a safety net and not a sandbox.
pub fn rule(rules: &Rules, action: &Action, worktree: &str) -> Ruling {
    match action {
        Action::Shell(text) => script(rules, &shell::read(text), worktree),
        Action::Edit(paths) => all(rules, paths, |rule, path, fit| edits(rule, path, worktree, fit)),
        Action::Read(paths) => all(rules, paths, |rule, path, fit| reads(rule, path, worktree, fit)),
        Action::Fetch(url) => all(rules, std::slice::from_ref(url), fetches),
        Action::Other(name, args) => all(rules, std::slice::from_ref(name), |rule, name, _| match &rule.what {
            What::Tool { name: tool, args: want } => {
                text_fits(tool, name) && want.as_ref().is_none_or(|want| text_fits(want, args))
            }
            What::Read(_) | What::Edit(_) | What::Shell(_) | What::Fetch(_) => false,
        }),
    }
}

/// The ruling on things that must each be allowed, and of which none may be denied.
fn all(rules: &Rules, things: &[Box<str>], matches: impl Fn(&Rule, &str, Fit) -> bool) -> Ruling {
    let any = |list: &[Rule], thing: &str, fit| list.iter().find(|rule| matches(rule, thing, fit)).cloned();
    if let Some((rule, thing)) = things.iter().find_map(|t| any(&rules.deny, t, Fit::Maybe).map(|rule| (rule, t))) {
        return denied(&rule, thing);
    }
    let allowed = |t: &str| any(&rules.ask, t, Fit::Maybe).is_none() && any(&rules.allow, t, Fit::Surely).is_some();
    if !things.is_empty() && things.iter().all(|t| allowed(t)) { Ruling::Allow } else { Ruling::Ask }
}

fn script(rules: &Rules, script: &Script, worktree: &str) -> Ruling {
    let commands = |list: &[Rule], fit| {
        let hit = |c: &Simple| list.iter().find(|r| matches!(&r.what, What::Shell(p) if c.caught(p, fit))).cloned();
        script.commands.iter().find_map(|c| hit(c).map(|rule| (rule, c.text())))
    };
    if let Some((rule, text)) = commands(&rules.deny, Fit::Surely) {
        return denied(&rule, &text);
    }
    let writes = all(rules, &script.writes, |rule, path, fit| edits(rule, path, worktree, fit));
    let read = all(rules, &script.reads, |rule, path, fit| reads(rule, path, worktree, fit));
    for ruling in [&writes, &read] {
        match ruling {
            Ruling::Deny(_) => return ruling.clone(),
            Ruling::Allow | Ruling::Ask => {}
        }
    }
    let unclear = script.unclear
        || commands(&rules.deny, Fit::Maybe).is_some()
        || commands(&rules.ask, Fit::Maybe).is_some()
        || (!script.writes.is_empty() && writes != Ruling::Allow)
        || (!script.reads.is_empty() && read != Ruling::Allow)
        || !script.commands.iter().any(|c| c.need == Need::Allow);
    let allowed = |c: &Simple| match c.need {
        Need::Allow => command_allowed(rules, c, worktree),
        Need::Seen => true,
    };
    if !unclear && script.commands.iter().all(allowed) { Ruling::Allow } else { Ruling::Ask }
}

fn command_allowed(rules: &Rules, command: &Simple, worktree: &str) -> bool {
    let by = |list: &[Rule]| list.iter().any(|r| matches!(&r.what, What::Shell(p) if command.written(p)));
    // A word with a gap may become any path.
    let stays = || command.words.iter().all(|w| w.known().is_some_and(|w| !strays(&w, worktree)));
    by(&rules.allow) || (by(&rules.allow_inside) && stays())
}

fn edits(rule: &Rule, path: &str, worktree: &str, fit: Fit) -> bool {
    match &rule.what {
        What::Edit(files) => holds(files, path, worktree, fit),
        What::Read(_) | What::Shell(_) | What::Fetch(_) | What::Tool { .. } => false,
    }
}

fn reads(rule: &Rule, path: &str, worktree: &str, fit: Fit) -> bool {
    match &rule.what {
        What::Read(files) => holds(files, path, worktree, fit),
        What::Edit(_) | What::Shell(_) | What::Fetch(_) | What::Tool { .. } => false,
    }
}

fn holds(files: &Files, path: &str, worktree: &str, fit: Fit) -> bool {
    files.hold(path, worktree, fit)
}

fn fetches(rule: &Rule, url: &str, fit: Fit) -> bool {
    // `https://docs.rs@evil.example/` and what programs read differently is never allowed by a pattern.
    let odd = url.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\' || c == '@');
    match &rule.what {
        What::Fetch(pattern) => (fit == Fit::Maybe || !odd) && address_fits(pattern, url, fit),
        What::Read(_) | What::Edit(_) | What::Shell(_) | What::Tool { .. } => false,
    }
}

fn denied(rule: &Rule, thing: &str) -> Ruling {
    let short: String = thing.chars().take(SHOWN).collect();
    Ruling::Deny(format!("`{short}` is denied by the rule `{rule}`").into())
}

/// How many letters of what is denied are told.
const SHOWN: usize = 120;
