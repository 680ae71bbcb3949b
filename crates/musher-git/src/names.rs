//! The words that git is called with, checked once at the door: branch names, object ids, identities, messages.

use std::fmt;
use std::path::PathBuf;

/// A text that cannot be what it was given as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind}: {why}")]
pub struct BadName {
    /// The text as it was given.
    pub text: String,
    /// What it should have been: `branch name`, `object id`, `remote name`.
    pub kind: &'static str,
    /// The rule it breaks.
    pub why: &'static str,
}

impl BadName {
    /// Says how to fix it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        "use letters, digits, `-`, `_`, `.` and single `/` between parts; an object id is 40 or 64 hex digits"
    }
}

/// The full id of a commit, tree or blob, in lower-case hex (SHA-1 or SHA-256).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectId(String);

impl ObjectId {
    /// Reads an id.
    ///
    /// # Errors
    /// Anything but 40 or 64 hex digits: an abbreviation may mean another object tomorrow.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let hex = text.bytes().all(|b| b.is_ascii_hexdigit());
        if hex && matches!(text.len(), 40 | 64) {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(BadName { text: text.into(), kind: "object id", why: "it needs 40 or 64 hex digits" })
    }

    /// The hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id that git writes for "no such object" (all zeros), as long as this one.
    pub(crate) fn zero_like(&self) -> String {
        "0".repeat(self.0.len())
    }

    /// Whether this is the id of no object.
    pub(crate) fn is_zero(&self) -> bool {
        self.0.bytes().all(|b| b == b'0')
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A branch's short name, such as `main` or `musher/3f2a/9c41-fix-login`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BranchName(String);

impl BranchName {
    /// Reads a name; a leading `refs/heads/` is taken off.
    ///
    /// # Errors
    /// What git's own `check-ref-format` would refuse, and names that could be taken for an option.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let short = text.strip_prefix("refs/heads/").unwrap_or(text);
        match ref_fault(short) {
            Some(why) => Err(BadName { text: text.into(), kind: "branch name", why }),
            None => Ok(Self(short.into())),
        }
    }

    /// The short name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The full name, `refs/heads/…`.
    #[must_use]
    pub fn full(&self) -> String {
        format!("refs/heads/{}", self.0)
    }
}

impl fmt::Display for BranchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a remote such as `origin`: never a URL, never an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteName(String);

impl RemoteName {
    /// Reads a remote's name.
    ///
    /// # Errors
    /// Anything that is not a plain name; an address belongs into git's configuration.
    pub fn parse(text: &str) -> Result<Self, BadName> {
        match ref_fault(text) {
            Some(why) => Err(BadName { text: text.into(), kind: "remote name", why }),
            None => Ok(Self(text.into())),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The rule of `git check-ref-format` that a name breaks, if any.
fn ref_fault(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it is empty");
    }
    if name.starts_with('-') {
        return Some("it begins with `-`");
    }
    if name == "@" || name == "HEAD" || name.contains("@{") {
        return Some("git gives it a meaning of its own");
    }
    let bad = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    if name.contains(bad) {
        return Some("it has a space, a control character or one of `~^:?*[\\`");
    }
    if name.contains("..") || name.ends_with('.') {
        return Some("it has `..` or ends with `.`");
    }
    let bad_part = |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with(".lock");
    if name.split('/').any(bad_part) {
        return Some("a part of it is empty, begins with `.` or ends with `.lock`");
    }
    None
}

/// Checks the last part of a ref of our own, such as the name of an attic or of a prepared merge.
pub(crate) fn ref_part(text: &str) -> Result<&str, BadName> {
    match ref_fault(text) {
        Some(why) => Err(BadName { text: text.into(), kind: "ref name", why }),
        None => Ok(text),
    }
}

/// Who a commit is by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The name, without `<`, `>` and line ends.
    pub name: String,
    /// The address, without `<`, `>` and line ends.
    pub email: String,
}

impl Identity {
    /// An identity that git accepts: characters that would break a commit's header are taken out, and an empty name or
    /// address becomes `musher` or `musher@localhost`.
    #[must_use]
    pub fn new(name: &str, email: &str) -> Self {
        let or = |text: String, default: &str| if text.is_empty() { default.to_owned() } else { text };
        Self { name: or(clean(name), "musher"), email: or(clean(email), "musher@localhost") }
    }

    /// The identity used where the user has set none: `musher <musher@localhost>`.
    #[must_use]
    pub fn fallback() -> Self {
        Self::new("", "")
    }
}

/// Takes out what git would drop or choke on; a name of nothing but punctuation is an error to git.
fn clean(text: &str) -> String {
    let kept: String = text.chars().filter(|c| !c.is_control() && !"<>".contains(*c)).collect();
    kept.trim_matches(|c: char| c.is_whitespace() || ".,:;\"\\'".contains(c)).to_owned()
}

/// A commit's message: a title, maybe a body, and trailers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    /// The first line; line ends in it become spaces.
    pub title: String,
    /// The paragraphs below it; may be empty.
    pub body: String,
    /// `Key: value` lines at the end, in this order.
    pub trailers: Vec<(String, String)>,
}

impl Message {
    /// The text as git stores it.
    pub(crate) fn text(&self) -> String {
        let title = one_line(&self.title);
        let title = if title.is_empty() { "untitled".to_owned() } else { title };
        let body = self.body.replace('\0', "").trim().to_owned();
        let mut text = title;
        if !body.is_empty() {
            text.push_str("\n\n");
            text.push_str(&body);
        }
        with_trailers(&text, &self.trailers)
    }
}

/// A message with the trailers it lacks at its end.
pub(crate) fn with_trailers(text: &str, trailers: &[(String, String)]) -> String {
    let text = text.trim_end();
    let lines: Vec<String> = trailers
        .iter()
        .map(|(key, value)| format!("{}: {}", one_line(key).replace([':', ' '], "-"), one_line(value)))
        .filter(|line| !text.lines().any(|have| have == line))
        .collect();
    if lines.is_empty() {
        return format!("{text}\n");
    }
    format!("{text}\n\n{}\n", lines.join("\n"))
}

fn one_line(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A path as git gave it, which need not be UTF-8.
pub(crate) fn path_from(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

/// The bytes of a path, as git wants them.
pub(crate) fn path_bytes(path: &std::path::Path) -> &[u8] {
    use std::os::unix::ffi::OsStrExt;
    path.as_os_str().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_name_is_what_git_would_accept() {
        let good = ["main", "musher/3f/9c-fix", "refs/heads/a.b", "ü"];
        let bad =
            ["", "-x", "a b", "a..b", "a.lock", "a/.b", "a//b", "/a", "a/", "a~1", "a^", "x@{1}", "HEAD", "a\nb", "a."];
        for name in good {
            assert!(BranchName::parse(name).is_ok(), "{name:?}");
        }
        for name in bad {
            assert!(BranchName::parse(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn an_abbreviated_object_id_is_refused() {
        assert!(ObjectId::parse(&"a1".repeat(20)).is_ok());
        assert!(ObjectId::parse("a1b2c3d").is_err());
        assert!(ObjectId::parse(&"g".repeat(40)).is_err());
    }

    #[test]
    fn an_identity_cannot_break_a_commit_header() {
        let id = Identity::new("A <b>\nEve", "a@b>\n");
        assert_eq!((id.name.as_str(), id.email.as_str()), ("A bEve", "a@b"));
        assert_eq!(Identity::new("...", ""), Identity::fallback());
    }

    #[test]
    fn a_message_keeps_title_body_and_trailers_apart() {
        let message = Message {
            title: "fix\nlogin".into(),
            body: " why \n".into(),
            trailers: vec![("Musher Item".into(), "9c\n41".into())],
        };
        assert_eq!(message.text(), "fix login\n\nwhy\n\nMusher-Item: 9c 41\n");
        let again = with_trailers(&message.text(), &[("Musher-Item".into(), "9c 41".into())]);
        assert_eq!(again, message.text());
    }
}
