//! What lies where items have their worktrees and branches, whoever owns it.

use std::io;
use std::path::Path;

use musher_engine::driver::LeftOver;

use crate::git::{GitError, file_error};
use crate::repository::Repository;

/// What the branches of items begin with.
const BRANCHES: &str = "musher/";
/// Digits of a short id.
const SHORT: usize = 8;

impl Repository {
    /// The folders that are named like an item's worktree, with the branch that is checked out in them; and the branches
    /// that are named like an item's, of which there is no such folder.
    ///
    /// # Errors
    /// When git or the disk fails.
    pub fn left_over(&self, worktrees: &Path) -> Result<Vec<LeftOver>, GitError> {
        let mut found = Vec::new();
        let entries = match std::fs::read_dir(worktrees) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(found),
            Err(e) => return Err(file_error("read", worktrees)(e)),
        };
        for entry in entries {
            let entry = entry.map_err(file_error("read", worktrees))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if is_an_items(&name) && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                let branch = branch_named(&name);
                found.push(LeftOver { path: entry.path(), branch, name, worktree: true });
            }
        }
        for (branch, _) in self.list_musher_branches()? {
            let Some(name) = folder_named(branch.as_str()) else { continue };
            let path = worktrees.join(&name);
            if !path.exists() {
                found.push(LeftOver { path, branch: branch.as_str().to_owned(), name, worktree: false });
            }
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }
}

/// Whether a folder is named `<mission>-<item>-<key>`, with short ids.
fn is_an_items(name: &str) -> bool {
    let mut parts = name.splitn(3, '-');
    let ids = [parts.next(), parts.next()];
    ids.iter().all(|part| part.is_some_and(is_short)) && parts.next().is_some_and(|key| !key.is_empty())
}

fn is_short(text: &str) -> bool {
    text.len() == SHORT && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// The branch of the item whose worktree is called so.
fn branch_named(folder: &str) -> String {
    let (mission, item) = folder.split_at(SHORT);
    format!("{BRANCHES}{mission}/{}", item.trim_start_matches('-'))
}

/// The folder of the item whose branch is called so; nothing for one that is no item's.
fn folder_named(branch: &str) -> Option<String> {
    let (mission, item) = branch.strip_prefix(BRANCHES)?.split_once('/')?;
    let name = format!("{mission}-{item}");
    is_an_items(&name).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_named_like_an_items_is_looked_at() {
        for (folder, ours) in [
            ("0123abcd-89abcdef-api", true),
            ("0123abcd-89abcdef-a-b-c", true),
            ("0123abcd-89abcdef", false),
            ("0123abcd-89abcdef-", false),
            ("0123ABCD-89abcdef-api", false),
            ("_merge-1", false),
            (".0123abcd-89abcdef-api.setup", false),
            ("my-own-folder", false),
        ] {
            assert_eq!(is_an_items(folder), ours, "{folder}");
        }
        for (branch, folder) in [
            ("musher/0123abcd/89abcdef-api", Some("0123abcd-89abcdef-api")),
            ("musher/0123abcd/integration", None),
            ("musher/mine", None),
            ("main", None),
        ] {
            assert_eq!(folder_named(branch).as_deref(), folder, "{branch}");
            assert!(folder.is_none_or(|folder| branch_named(folder) == branch));
        }
    }
}
