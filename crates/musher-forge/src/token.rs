//! The token of a forge: where it comes from, and that nobody sees it.

use std::fmt;
use std::process::Stdio;

/// What a forge knows musher by; never shown.
#[derive(Clone)]
pub struct Token(Box<str>);

impl Token {
    /// A token, without the white space around it. Nothing when it is empty, or holds what no header can.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let good = !text.is_empty() && text.len() <= LONGEST && text.bytes().all(|b| b.is_ascii_graphic());
        good.then(|| Self(text.into()))
    }

    /// For the header of a request only.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The token that is configured; else `GITHUB_TOKEN`, else `GH_TOKEN`, else what `gh auth token` says for this host.
///
/// `variable` looks into the environment, so that a test needs none.
pub async fn find(configured: Option<Token>, variable: impl Fn(&str) -> Option<String>, host: &str) -> Option<Token> {
    if configured.is_some() {
        return configured;
    }
    for name in ["GITHUB_TOKEN", "GH_TOKEN"] {
        if let Some(token) = variable(name).as_deref().and_then(Token::new) {
            return Some(token);
        }
    }
    of_gh("gh", host).await
}

/// What the command line tool of GitHub says, if it is there and logged in.
async fn of_gh(program: &str, host: &str) -> Option<Token> {
    let site = if host == "api.github.com" { "github.com" } else { host };
    let output = tokio::process::Command::new(program)
        .args(["auth", "token", "--hostname", site])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, output).await.ok()?.ok()?;
    if !output.status.success() {
        return None;
    }
    Token::new(std::str::from_utf8(&output.stdout).ok()?)
}

/// The longest token, in bytes.
const LONGEST: usize = 4096;
/// How long `gh` may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_shown_and_cannot_break_a_header() {
        let token = Token::new("  ghp_secret\n").unwrap();
        assert_eq!(token.expose(), "ghp_secret");
        assert_eq!(format!("{token:?}"), "Token(…)");
        assert!(Token::new("a\r\nX-Evil: 1").is_none());
        assert!(Token::new(" ").is_none());
    }

    #[tokio::test]
    async fn the_configured_token_wins_then_the_variables_in_their_order() {
        let both = |name: &str| Some(format!("{name}-value"));
        let second = |name: &str| (name == "GH_TOKEN").then(|| "second".to_owned());
        let given = find(Token::new("mine"), both, "api.github.com").await.unwrap();
        assert_eq!(given.expose(), "mine");
        assert_eq!(find(None, both, "api.github.com").await.unwrap().expose(), "GITHUB_TOKEN-value");
        assert_eq!(find(None, second, "api.github.com").await.unwrap().expose(), "second");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn gh_is_asked_for_the_host_and_believed_only_when_it_succeeds() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let gh = folder.path().join("gh");
        let write = |text: &str| {
            std::fs::write(&gh, text).unwrap();
            std::fs::set_permissions(&gh, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        write("#!/bin/sh\necho \"$1-$2-$4\"\n");
        let program = gh.to_str().unwrap();
        assert_eq!(of_gh(program, "api.github.com").await.unwrap().expose(), "auth-token-github.com");
        assert_eq!(of_gh(program, "ghe.example.org").await.unwrap().expose(), "auth-token-ghe.example.org");
        write("#!/bin/sh\necho no-token\nexit 1\n");
        assert!(of_gh(program, "api.github.com").await.is_none());
        assert!(of_gh("/nowhere/gh", "api.github.com").await.is_none());
    }
}
