//! What names an issue: `#12` here, `owner/name#12` elsewhere.

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

/// A text that names no issue.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no issue; write `#12`, or `owner/name#12`")]
pub struct NotAReference(String);

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.repo.as_deref().unwrap_or_default(), self.number)
    }
}

impl FromStr for Reference {
    type Err = NotAReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let not = || NotAReference(text.chars().take(80).collect());
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
}
