//! One rule, and the lists of them.

use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};

use super::path::{Place, place};
use super::pattern::{Fit, Letter, fits, known, letters};

/// What a person allows, asks for or denies, written as text.
///
/// - `read`, `edit`: files in the worktree; `read:src/**`, `edit:/abs/**`: files by glob, from the worktree or absolute.
///   Paths are resolved by their text: a symbolic link is not seen.
/// - `shell`: any command; `shell:cargo *`: a command by its words, joined by single spaces. `*` is any text; a final
///   ` *` also stands for no further word.
/// - `fetch`: any address; `fetch:https://docs.rs/*`: host and path are matched apart, so that `*` never crosses over.
/// - Any other name is a tool's, with `*` for any text: `mcp__x__*`, `mcp__x__send:*internal*`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Rule {
    text: Box<str>,
    pub(super) what: What,
}

/// The rules of a run. The most restrictive one that matches decides: deny before ask before allow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// What is done without asking.
    pub allow: Box<[Rule]>,
    /// Commands that run without asking as long as no word of theirs may name a path outside of the worktree.
    pub allow_inside: Box<[Rule]>,
    /// What a person is asked for, though it is allowed otherwise.
    pub ask: Box<[Rule]>,
    /// What is never done. A safety net, not a sandbox.
    pub deny: Box<[Rule]>,
}

impl Rules {
    /// These rules with more of what is allowed and of what is never done.
    #[must_use]
    pub fn with(self, allow: Vec<Rule>, deny: Vec<Rule>) -> Self {
        let joined = |more: Box<[Rule]>, own: Vec<Rule>| more.into_vec().into_iter().chain(own).collect();
        Self { allow: joined(self.allow, allow), deny: joined(self.deny, deny), ..self }
    }
}

/// What a rule speaks of.
#[derive(Clone, Debug)]
pub(super) enum What {
    Read(Files),
    Edit(Files),
    Shell(Box<str>),
    Fetch(Box<str>),
    Tool { name: Box<str>, args: Option<Box<str>> },
}

/// Which files a rule speaks of.
#[derive(Clone, Debug)]
pub(super) enum Files {
    /// All in the worktree.
    Worktree,
    /// By a glob, exact and regardless of case.
    Glob { absolute: bool, exact: GlobMatcher, any_case: GlobMatcher },
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// There is no text, or none after the colon.
    #[error("the rule `{0}` has an empty pattern")]
    Empty(Box<str>),
    /// The pattern of a file rule is not a glob.
    #[error("the rule `{rule}` has no valid glob: {why}")]
    Glob {
        /// The rule's text.
        rule: Box<str>,
        /// What is wrong with its glob.
        why: Box<str>,
    },
    /// The glob of a file rule leaves the worktree by `..`, and so could never match.
    #[error("the rule `{0}` holds `..`")]
    Parent(Box<str>),
}

impl RuleError {
    /// Says what to write instead.
    pub fn fix(&self) -> String {
        match self {
            Self::Empty(_) => "write a class or a tool's name, with a pattern or without the colon: `read`, \
                               `edit:src/**`, `shell:cargo *`, `fetch:https://docs.rs/*`, `mcp__x__*`"
                .to_owned(),
            Self::Glob { .. } => "close each `[` and `{`, or write `\\` before it".to_owned(),
            Self::Parent(_) => "write files outside of the worktree as an absolute path: `edit:/tmp/x/**`".to_owned(),
        }
    }
}

impl Rule {
    /// Reads a rule from its text.
    ///
    /// Refuses an empty pattern, and what is not a glob where files are named.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        let text = text.trim();
        let (class, pattern) = match text.split_once(':') {
            Some((class, pattern)) => (class.trim(), Some(pattern.trim())),
            None => (text, None),
        };
        if class.is_empty() || pattern.is_some_and(str::is_empty) {
            return Err(RuleError::Empty(text.into()));
        }
        let what = match (class, pattern) {
            ("read", glob) => What::Read(files(text, glob)?),
            ("edit", glob) => What::Edit(files(text, glob)?),
            ("shell", command) => What::Shell(words(command.unwrap_or("*"))),
            ("fetch", address) => What::Fetch(address.unwrap_or("*").into()),
            (name, args) => What::Tool { name: name.into(), args: args.map(Into::into) },
        };
        Ok(Self { text: text.into(), what })
    }

    /// The rule as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Rule {}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl TryFrom<String> for Rule {
    type Error = RuleError;

    fn try_from(text: String) -> Result<Self, RuleError> {
        Self::parse(&text)
    }
}

impl From<Rule> for String {
    fn from(rule: Rule) -> Self {
        rule.text.into()
    }
}

impl Files {
    /// Whether the path is among these files; `Maybe` also when only the case of its letters differs.
    pub(super) fn hold(&self, path: &str, worktree: &str, fit: Fit) -> bool {
        let found = place(path, worktree);
        match self {
            Self::Worktree => matches!(found, Place::Inside(_)),
            Self::Glob { absolute, exact, any_case } => {
                let glob = match fit {
                    Fit::Surely => exact,
                    Fit::Maybe => any_case,
                };
                match (found, absolute) {
                    (Place::Inside(path), false) | (Place::Outside(path), true) => glob.is_match(path),
                    (Place::Inside(path), true) => glob.is_match(format!("{}/{path}", worktree.trim_end_matches('/'))),
                    (Place::Outside(_), false) => false,
                }
            }
        }
    }
}

/// Whether an address fits a fetch rule's pattern; `Maybe` also when only its port differs.
pub(super) fn address_fits(pattern: &str, url: &str, fit: Fit) -> bool {
    if pattern == "*" {
        return true;
    }
    let (want, have) = (address(pattern), address(url));
    let host = &have[1];
    let portless = host.rsplit_once(':').map_or(host.as_str(), |(name, _)| name);
    let one = |want: &str, have: &str| fits(&letters(want), &known(have), Fit::Surely);
    let host_fits = one(&want[1], host) || (fit == Fit::Maybe && one(&want[1], portless));
    one(&want[0], &have[0]) && host_fits && one(&want[2], &have[2])
}

/// Whether a tool's name or arguments fit a pattern.
pub(super) fn text_fits(pattern: &str, text: &str) -> bool {
    let pattern: Vec<Letter> = letters(pattern);
    fits(&pattern, &known(text), Fit::Surely)
}

/// Scheme, host and path; the first two regardless of case.
fn address(url: &str) -> [String; 3] {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let path = if rest[end..].is_empty() { "/" } else { &rest[end..] };
    // Who logs in is no part of the host.
    let host = rest[..end].rsplit('@').next().unwrap_or_default();
    [scheme.to_lowercase(), host.to_lowercase(), path.to_owned()]
}

fn words(command: &str) -> Box<str> {
    command.split_whitespace().collect::<Vec<_>>().join(" ").into()
}

fn files(rule: &str, glob: Option<&str>) -> Result<Files, RuleError> {
    let Some(glob) = glob else { return Ok(Files::Worktree) };
    let glob = glob.trim_start_matches("./");
    if glob.split('/').any(|part| part == "..") {
        return Err(RuleError::Parent(rule.into()));
    }
    let build = |any_case| {
        GlobBuilder::new(glob)
            .literal_separator(true)
            .case_insensitive(any_case)
            .build()
            .map(|glob| glob.compile_matcher())
            .map_err(|e| RuleError::Glob { rule: rule.into(), why: e.kind().to_string().into() })
    };
    Ok(Files::Glob { absolute: glob.starts_with('/'), exact: build(false)?, any_case: build(true)? })
}
