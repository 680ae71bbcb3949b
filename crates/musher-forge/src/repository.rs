//! Names of repositories, and addresses of forges.

use std::fmt;

/// `owner/name`; safe as a part of a path and of a query.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName {
    owner: Box<str>,
    name: Box<str>,
}

impl RepositoryName {
    /// Reads `owner/name`. Nothing when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (owner, name) = text.split_once('/')?;
        (is_part(owner, LONGEST_OWNER) && is_part(name, LONGEST_NAME))
            .then(|| Self { owner: owner.into(), name: name.into() })
    }

    /// The repository that a remote's address names, and its host: `git@github.com:o/n.git`, `https://github.com/o/n`.
    pub fn of_remote(url: &str) -> Option<(Box<str>, Self)> {
        let (host, path) = match url.split_once("://") {
            Some((_, rest)) => rest.split_once('/')?,
            None => url.split_once(':')?,
        };
        let host = host.rsplit('@').next()?;
        let path = path.trim_matches('/');
        let name = Self::parse(path.strip_suffix(".git").unwrap_or(path))?;
        (!host.is_empty()).then(|| (host.into(), name))
    }

    /// Who owns it.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Its name without the owner.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is the same one: forges do not tell upper from lower case.
    pub fn is(&self, other: &Self) -> bool {
        self.owner.eq_ignore_ascii_case(&other.owner) && self.name.eq_ignore_ascii_case(&other.name)
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

fn is_part(text: &str, longest: usize) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !text.is_empty() && text.len() <= longest && text != "." && text != ".." && text.chars().all(good)
}

/// Where a forge's API is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiBase {
    /// `https` or `http`.
    pub(crate) encrypted: bool,
    /// Host, with the port where one is written.
    pub(crate) authority: Box<str>,
    /// `""`, or a path without a slash at its end, such as `/api/v3`.
    pub(crate) prefix: Box<str>,
}

impl ApiBase {
    /// GitHub's own: `https://api.github.com`.
    #[must_use]
    pub fn github() -> Self {
        Self { encrypted: true, authority: "api.github.com".into(), prefix: "".into() }
    }

    /// Reads an address such as `https://github.example.org/api/v3`. Plain `http` only to this machine: the token goes
    /// along.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (encrypted, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err("it does not begin with https://"),
        };
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        if authority.is_empty() || authority.starts_with(':') {
            return Err("it names no host");
        }
        if authority.contains('@') {
            return Err("it holds a name or a password; the token is configured by `forge.token`");
        }
        let good = |c: char| c.is_ascii_alphanumeric() || "-._:[]/~".contains(c);
        if !rest.chars().all(good) {
            return Err("it holds a character that has no place in the address of an API");
        }
        let base = Self { encrypted, authority: authority.into(), prefix: path.trim_end_matches('/').into() };
        if !encrypted && !matches!(base.host(), "localhost" | "127.0.0.1" | "[::1]") {
            return Err("it is not encrypted, and the token would go along: write https://");
        }
        Ok(base)
    }

    /// The host, without the port.
    pub fn host(&self) -> &str {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
            _ => &self.authority,
        }
    }

    /// The host of the forge's pages, on which its addresses are seen and its repositories are cloned from.
    pub fn site(&self) -> &str {
        self.host().strip_prefix("api.").unwrap_or_else(|| self.host())
    }

    /// The path below the host of a path of the API.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    /// Where GraphQL is: beside the API of version 3 on an Enterprise server, below it elsewhere.
    pub(crate) fn graphql(&self) -> String {
        match self.prefix.strip_suffix("/v3") {
            Some(api) => format!("{api}/graphql"),
            None => self.path("/graphql"),
        }
    }

    /// The path and query of an address that lies within this API; nothing for every other.
    pub(crate) fn within<'a>(&self, url: &'a str) -> Option<&'a str> {
        let scheme = if self.encrypted { "https://" } else { "http://" };
        let rest = match url.strip_prefix(scheme) {
            Some(rest) => {
                let path = rest.get(..self.authority.len())?.eq_ignore_ascii_case(&self.authority);
                if !path {
                    return None;
                }
                &rest[self.authority.len()..]
            }
            None if url.starts_with('/') && !url.starts_with("//") => url,
            None => return None,
        };
        let below = rest.strip_prefix(&*self.prefix)?;
        let sane = url.bytes().all(|b| b.is_ascii_graphic()) && !rest.contains("/../") && !rest.contains('#');
        (below.starts_with('/') && sane).then_some(rest)
    }
}

impl fmt::Display for ApiBase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http{}://{}{}", if self.encrypted { "s" } else { "" }, self.authority, self.prefix)
    }
}

/// A text as a part of a path or of a query.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The longest name of an owner, in characters; GitHub's own is 39.
const LONGEST_OWNER: usize = 100;
/// The longest name of a repository, in characters.
const LONGEST_NAME: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_owner_and_name_and_nothing_else() {
        for good in ["octo/hello", "a-b/c.d_e", "O/.github"] {
            assert_eq!(RepositoryName::parse(good).unwrap().to_string(), good);
        }
        for bad in ["", "hello", "a/", "/b", "a/b/c", "a/..", "../b", "a/b?x=1", "a b/c", "a/b#1", "a/%2e", "ä/b"] {
            assert_eq!(RepositoryName::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_repository_of_a_remote_is_found_in_every_way_to_write_one() {
        let cases = [
            ("git@github.com:octo/hello.git", Some(("github.com", "octo/hello"))),
            ("https://github.com/octo/hello", Some(("github.com", "octo/hello"))),
            ("https://token@ghe.example.org/octo/hello.git/", Some(("ghe.example.org", "octo/hello"))),
            ("ssh://git@github.com/octo/hello.git", Some(("github.com", "octo/hello"))),
            ("/srv/hello.git", None),
            ("https://gitlab.com/group/sub/hello", None),
        ];
        for (url, expected) in cases {
            let found = RepositoryName::of_remote(url).map(|(host, name)| (host.to_string(), name.to_string()));
            assert_eq!(found, expected.map(|(h, n)| (h.to_owned(), n.to_owned())), "{url}");
        }
    }

    #[test]
    fn a_token_goes_nowhere_but_to_the_api_that_it_is_for() {
        for good in
            ["https://api.github.com", "https://ghe.example.org/api/v3/", "http://127.0.0.1:8080", "http://[::1]:1"]
        {
            assert!(ApiBase::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "api.github.com",
            "ftp://x",
            "https://",
            "https://:80",
            "https://me:pw@host",
            "http://example.org",
            "http://127.0.0.1.example.org",
            "https://a b",
            "https://a?b",
        ] {
            assert!(ApiBase::parse(bad).is_err(), "{bad}");
        }
        let base = ApiBase::parse("https://ghe.example.org/api/v3").unwrap();
        let cases = [
            ("https://ghe.example.org/api/v3/repos?page=2", Some("/api/v3/repos?page=2")),
            ("https://GHE.example.org/api/v3/repos", Some("/api/v3/repos")),
            ("/api/v3/repos", Some("/api/v3/repos")),
            ("http://ghe.example.org/api/v3/repos", None),
            ("https://ghe.example.org.evil.org/api/v3/repos", None),
            ("https://ghe.example.org@evil.org/api/v3/repos", None),
            ("https://ghe.example.org/login", None),
            ("https://ghe.example.org/api/v3evil", None),
            ("https://ghe.example.org/api/v3/../login", None),
            ("//evil.org/api/v3/repos", None),
            ("https://é", None),
        ];
        for (url, expected) in cases {
            assert_eq!(base.within(url), expected, "{url}");
        }
        assert_eq!(base.graphql(), "/api/graphql");
        assert_eq!(ApiBase::github().graphql(), "/graphql");
    }

    #[test]
    fn what_is_put_into_a_path_stays_one_part_of_it() {
        assert_eq!(encoded("musher/fix-ü?&#"), "musher%2Ffix-%C3%BC%3F%26%23");
    }
}
