//! What names an issue: `#12` here, `owner/name#12` elsewhere, or the address of its page.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An issue or a pull request, by its number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reference {
    /// `owner/name`; none is the project's own repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<Box<str>>,
    /// The number, from 1.
    pub number: u64,
}

/// Where a project is at home.
#[derive(Clone, Copy, Debug)]
pub struct Home<'a> {
    /// The host of its forge's pages, such as `github.com`; an address of another one names nothing there.
    pub site: &'a str,
    /// Its own repository, `owner/name`.
    pub repo: Option<&'a str>,
}

/// A text that names no issue of the forge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAReference {
    /// It names none at all.
    #[error("`{0}` names no issue")]
    Unreadable(String),
    /// It is the address of a page elsewhere.
    #[error("`{text}` is an address of {host}, and the project's forge is {site}")]
    Elsewhere {
        /// The text.
        text: String,
        /// Its host.
        host: String,
        /// The host of the forge.
        site: String,
    },
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.repo.as_deref().unwrap_or_default(), self.number)
    }
}

impl FromStr for Reference {
    type Err = NotAReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let not = || NotAReference::Unreadable(short(text));
        let (repo, number) = text.split_once('#').ok_or_else(not)?;
        let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        let number = number.parse().ok().filter(|number| digits && *number > 0).ok_or_else(not)?;
        let part = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        let repo = match repo.split_once('/') {
            None if repo.is_empty() => None,
            Some((owner, name)) if part(owner) && part(name) => Some(repo.into()),
            None | Some(_) => return Err(not()),
        };
        Ok(Self { repo, number })
    }
}

impl Reference {
    /// Reads what a person names an issue by: `12`, `#12`, `owner/name#12`, or the address of its page.
    ///
    /// # Errors
    /// The text is none of these, or the address is not one of the forge at `site`.
    pub fn of_objective(text: &str, site: &str) -> Result<Self, NotAReference> {
        let text = text.trim();
        if let Some(host) = host_of(text) {
            if !host.eq_ignore_ascii_case(site) {
                let (text, host, site) = (short(text), short(host), site.to_owned());
                return Err(NotAReference::Elsewhere { text, host, site });
            }
            return Self::of_address(text, site).ok_or_else(|| NotAReference::Unreadable(short(text)));
        }
        Self::of_number(text)
    }

    /// Reads `12`, `#12` or `owner/name#12`.
    ///
    /// # Errors
    /// The text is none of these.
    pub fn of_number(text: &str) -> Result<Self, NotAReference> {
        let text = text.trim();
        let bare = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if bare { format!("#{text}").parse() } else { text.parse() }
    }

    /// The issue whose page has this address on the forge at `site`: `https://SITE/owner/name/issues/12`.
    pub fn of_address(address: &str, site: &str) -> Option<Self> {
        host_of(address).filter(|host| host.eq_ignore_ascii_case(site))?;
        let mut parts = path_of(address)?.split('/');
        let (owner, name, word, number) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if word != "issues" || parts.next().is_some() {
            return None;
        }
        format!("{owner}/{name}#{number}").parse().ok()
    }

    /// Whether this address looks like the page of an issue at another forge than that at `site`.
    pub fn is_elsewhere(address: &str, site: &str) -> bool {
        let foreign = host_of(address).is_some_and(|host| !host.eq_ignore_ascii_case(site));
        let mut parts = path_of(address).unwrap_or_default().rsplit('/');
        let number = parts.next().is_some_and(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
        foreign && number && parts.next() == Some("issues")
    }

    /// The same issue, without its repository when that is the project's own, in any case.
    #[must_use]
    pub fn seen_from(self, home: Option<&str>) -> Self {
        match (&self.repo, home) {
            (Some(repo), Some(home)) if repo.eq_ignore_ascii_case(home) => Self { repo: None, ..self },
            _ => self,
        }
    }

    /// Whether both name the same issue: repositories are the same in any case.
    pub fn is(&self, other: &Self) -> bool {
        let same_repo = match (&self.repo, &other.repo) {
            (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
            (one, other) => one.is_none() && other.is_none(),
        };
        self.number == other.number && same_repo
    }
}

/// The host of a page's address, without its port.
fn host_of(address: &str) -> Option<&str> {
    let authority = after_scheme(address)?.split(['/', '?', '#']).next()?;
    Some(match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        Some(_) | None => authority,
    })
}

/// The path of a page's address, without what the page is asked and where it is scrolled to.
fn path_of(address: &str) -> Option<&str> {
    let page = after_scheme(address)?.split(['?', '#']).next()?;
    page.split_once('/').map(|(_, path)| path.trim_end_matches('/'))
}

fn after_scheme(address: &str) -> Option<&str> {
    address.strip_prefix("https://").or_else(|| address.strip_prefix("http://"))
}

/// A text as far as an error shows it.
fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_read_back_from_its_text_and_nothing_else_is_one() {
        for text in ["#1", "owner/name#23", "o-1/n.a_me#18446744073709551615"] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "#",
            "1",
            "#0",
            "#-1",
            "#+1",
            "#1a",
            "name#1",
            "a/b/c#1",
            "/#1",
            "a/#1",
            "a b/c#1",
            "#99999999999999999999",
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_person_names_an_issue_by_number_by_reference_or_by_address() {
        for (text, expected) in [
            ("23", "#23"),
            (" #23 ", "#23"),
            ("owner/name#23", "owner/name#23"),
            ("https://github.com/owner/name/issues/23", "owner/name#23"),
            ("https://GitHub.com:443/owner/name/issues/23/?a=b#issuecomment-1", "owner/name#23"),
        ] {
            assert_eq!(Reference::of_objective(text, "github.com").unwrap().to_string(), expected, "{text}");
        }
        for text in [
            "",
            "x",
            "https://github.com/owner/name/pull/23",
            "https://github.com/o/n/issues/23/x",
            "ftp://a/o/n/issues/1",
        ] {
            assert!(matches!(Reference::of_objective(text, "github.com"), Err(NotAReference::Unreadable(_))), "{text}");
        }
    }

    #[test]
    fn an_address_of_another_host_names_no_issue_of_the_forge() {
        for (text, host) in [
            ("https://evil.example/owner/name/issues/1", "evil.example"),
            ("https://gitlab.com/owner/name/-/issues/1", "gitlab.com"),
            ("http://github.com.evil.example:80/owner/name/issues/1", "github.com.evil.example"),
            ("https://github.com@evil.example/owner/name/issues/1", "github.com@evil.example"),
        ] {
            let refused = Reference::of_objective(text, "github.com").unwrap_err().to_string();
            assert_eq!(refused, format!("`{text}` is an address of {host}, and the project's forge is github.com"));
            assert_eq!(Reference::of_address(text, "github.com"), None, "{text}");
            assert!(Reference::is_elsewhere(text, "github.com"), "{text}");
        }
        for text in ["https://github.com/o/n/issues/1", "https://x.example/issues/y", "https://x.example", "#1", ""] {
            assert!(!Reference::is_elsewhere(text, "github.com"), "{text}");
        }
        assert!(Reference::of_objective("https://ghe.example/o/n/issues/1", "ghe.example").is_ok());
    }

    #[test]
    fn the_projects_own_repository_is_not_said() {
        let named = |text: &str| text.parse::<Reference>().unwrap();
        assert_eq!(named("Owner/Name#1").seen_from(Some("owner/name")), named("#1"));
        assert_eq!(named("other/name#1").seen_from(Some("owner/name")), named("other/name#1"));
        assert_eq!(named("owner/name#1").seen_from(None), named("owner/name#1"));
        assert!(
            named("A/b#1").is(&named("a/B#1")) && !named("a/b#1").is(&named("#1")) && !named("#2").is(&named("#1"))
        );
    }
}
