//! Whose words reach an agent.
//!
//! Anybody may write an issue or a comment of a public repository. What they write reaches a prompt only when they may
//! write to the repository anyway, or are on the allow-list; how it is set apart there is [`musher_core::quote`]'s.

use std::collections::BTreeMap;

use crate::error::ForgeError;
use crate::forge::{Author, Forge, Permission};
use crate::repository::RepositoryName;

/// Whom to trust beyond those who may write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trusted {
    /// Logins, in any case; programs with their brackets: `renovate[bot]`.
    pub allowed: Vec<String>,
}

/// Answers who is trusted, and asks the forge once for each name.
///
/// How an author is associated with a repository says who they are, not what they may do: a `MEMBER` of the organization
/// may have no access at all, and a `CONTRIBUTOR` once had a change merged. Only an owner is taken at that word.
pub struct Judge<'a> {
    forge: &'a dyn Forge,
    repo: &'a RepositoryName,
    trusted: &'a Trusted,
    known: BTreeMap<String, bool>,
}

impl std::fmt::Debug for Judge<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge").field("known", &self.known).finish_non_exhaustive()
    }
}

impl<'a> Judge<'a> {
    /// Knows nobody yet.
    pub fn new(forge: &'a dyn Forge, repo: &'a RepositoryName, trusted: &'a Trusted) -> Self {
        Self { forge, repo, trusted, known: BTreeMap::new() }
    }

    /// Whether what they write may reach a prompt.
    ///
    /// # Errors
    /// The forge could not be asked; that it refuses to tell means no.
    pub async fn trusts(&mut self, author: &Author) -> Result<bool, ForgeError> {
        let login = author.login.to_ascii_lowercase();
        if login.is_empty() {
            return Ok(false);
        }
        if self.trusted.allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(&login))
            || author.association == "OWNER"
        {
            return Ok(true);
        }
        // A program has no permission of its own that could be asked for; these have no part in the repository.
        if author.bot
            || matches!(author.association.as_str(), "NONE" | "FIRST_TIMER" | "FIRST_TIME_CONTRIBUTOR" | "MANNEQUIN")
        {
            return Ok(false);
        }
        if let Some(known) = self.known.get(&login) {
            return Ok(*known);
        }
        let may = match self.forge.permission(self.repo, &author.login).await {
            Ok(permission) => permission >= Permission::Write,
            // A token that may not push is not told; nobody is trusted for that.
            Err(ForgeError::Refused { .. }) => false,
            Err(error) => return Err(error),
        };
        self.known.insert(login, may);
        Ok(may)
    }
}
