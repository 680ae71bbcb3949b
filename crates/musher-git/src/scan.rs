//! Reads a committed change and looks for what must not land in it.

use std::path::PathBuf;

use crate::git::GitError;
use crate::globs::Globs;
use crate::inspect::{Fault, Problem};
use crate::names::{ObjectId, path_bytes, path_from};
use crate::repository::Repository;
use crate::settle::is_marker;

/// The mode of a commit of another repository in a tree.
const GITLINK: &str = "160000";

/// What lies between two commits.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) files: Vec<ChangedFile>,
    pub(crate) insertions: u64,
    pub(crate) deletions: u64,
}

/// One changed path. A side without the file has no blob.
#[derive(Debug, Clone)]
pub(crate) struct ChangedFile {
    pub(crate) path: PathBuf,
    pub(crate) old: Option<Entry>,
    pub(crate) new: Option<Entry>,
}

/// A file as a tree or an index holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) mode: String,
    pub(crate) id: ObjectId,
}

impl Repository {
    /// The changed files between two commits with their line counts, in one call.
    pub(crate) fn change(&self, old: &ObjectId, new: &ObjectId) -> Result<Change, GitError> {
        let options = ["diff-tree", "-r", "-z", "--raw", "--numstat", "--no-renames", "--no-abbrev", "--no-ext-diff"];
        let answer = self.git().call(options).args(["--no-textconv", old.as_str(), new.as_str(), "--"]).ok()?;
        let mut change = Change::default();
        let mut fields = answer.fields();
        while let Some(field) = fields.next() {
            let text = String::from_utf8_lossy(field);
            if let Some(raw) = text.strip_prefix(':') {
                let path = fields.next().ok_or_else(|| answer.unreadable("a change without a path"))?;
                let file =
                    changed_file(raw, path).ok_or_else(|| answer.unreadable("a change that has no two sides"))?;
                change.files.push(file);
            } else {
                // `-` stands for a binary file, which has no lines.
                let mut counts = text.split('\t').map(|n| n.parse::<u64>().unwrap_or(0));
                change.insertions += counts.next().unwrap_or(0);
                change.deletions += counts.next().unwrap_or(0);
            }
        }
        Ok(change)
    }

    /// Everything that is wrong with a change, not just the first thing.
    pub(crate) fn faults(
        &self,
        base: &ObjectId,
        head: &ObjectId,
        change: &Change,
        touches: Option<&Globs>,
        max: u64,
    ) -> Result<Vec<Problem>, GitError> {
        let mut problems = self.markers(base, head)?;
        problems.extend(self.large(change, max)?);
        problems.extend(self.nested(head, change)?);
        if let Some(globs) = touches {
            let outside = change.files.iter().filter(|f| !globs.matches(&f.path));
            problems.extend(outside.map(|f| Problem::at(f.path.clone(), Fault::Outside)));
        }
        Ok(problems)
    }

    fn large(&self, change: &Change, max: u64) -> Result<Vec<Problem>, GitError> {
        let blobs: Vec<_> = change
            .files
            .iter()
            .filter_map(|f| f.new.as_ref().filter(|new| new.mode != GITLINK).map(|new| (f, new)))
            .collect();
        let input: String = blobs.iter().map(|(_, new)| format!("{}\n", new.id)).collect();
        if input.is_empty() {
            return Ok(Vec::new());
        }
        let answer = self.git().call(["cat-file", "--batch-check=%(objectsize)"]).input(input).ok()?;
        let text = answer.line();
        let sizes = text.lines().map(|line| line.parse::<u64>().unwrap_or(0));
        let over = blobs.into_iter().zip(sizes).filter(|(_, bytes)| *bytes > max);
        Ok(over.map(|((f, _), bytes)| Problem::at(f.path.clone(), Fault::TooLarge { bytes, max })).collect())
    }

    /// Commits of other repositories that `.gitmodules` does not know: nobody could check them out.
    fn nested(&self, head: &ObjectId, change: &Change) -> Result<Vec<Problem>, GitError> {
        let links: Vec<_> = change.files.iter().filter(|f| f.new.as_ref().is_some_and(|n| n.mode == GITLINK)).collect();
        if links.is_empty() {
            return Ok(Vec::new());
        }
        let blob = format!("{head}:.gitmodules");
        let answer =
            self.git().call(["config", "-z", "--blob", &blob, "--get-regexp", r"^submodule\..*\.path$"]).run()?;
        let known: Vec<PathBuf> =
            answer.fields().filter_map(|f| f.splitn(2, |b| *b == b'\n').nth(1)).map(path_from).collect();
        let unknown = links.into_iter().filter(|f| !known.contains(&f.path));
        Ok(unknown.map(|f| Problem::at(f.path.clone(), Fault::NestedRepository)).collect())
    }

    fn markers(&self, base: &ObjectId, head: &ObjectId) -> Result<Vec<Problem>, GitError> {
        let pattern = "-G^(<<<<<<< |>>>>>>> )";
        let options = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", "--no-ext-diff", "--no-textconv"];
        let call = self.git().call(options).args([pattern, base.as_str(), head.as_str(), "--"]);
        let mut problems = Vec::new();
        // Lines that were taken away match too, so each file that matched is looked at line by line.
        for path in call.ok()?.fields() {
            if let Some(line) = self.first_marker(base, head, path)? {
                problems.push(Problem::at(path_from(path), Fault::Marker { line }));
            }
        }
        Ok(problems)
    }

    fn first_marker(&self, base: &ObjectId, head: &ObjectId, path: &[u8]) -> Result<Option<u64>, GitError> {
        let options = ["diff-tree", "-r", "-p", "-U0", "--no-renames", "--no-color", "--no-ext-diff", "--no-textconv"];
        let git = self.git().global("--literal-pathspecs");
        let call = git.call(options).args([base.as_str(), head.as_str(), "--"]).arg(path_from(path));
        Ok(first_added_marker(&call.ok()?.out))
    }
}

/// The number in the new file of the first added line that is a marker.
fn first_added_marker(patch: &[u8]) -> Option<u64> {
    let mut line = 0;
    let mut in_hunk = false;
    for text in patch.split(|b| *b == b'\n') {
        if let Some(header) = text.strip_prefix(b"@@ ") {
            line = new_start(header)?;
            in_hunk = true;
        } else if let Some(added) = text.strip_prefix(b"+").filter(|_| in_hunk) {
            if is_marker(added) {
                return Some(line);
            }
            line += 1;
        }
    }
    None
}

/// The `12` of `-3,4 +12,5 @@`.
fn new_start(header: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(header);
    let new = text.split(' ').find_map(|part| part.strip_prefix('+'))?;
    new.split(',').next()?.parse().ok()
}

fn changed_file(raw: &str, path: &[u8]) -> Option<ChangedFile> {
    let mut parts = raw.split(' ');
    let (old_mode, new_mode) = (parts.next()?, parts.next()?);
    let (old_id, new_id) = (ObjectId::parse(parts.next()?).ok()?, ObjectId::parse(parts.next()?).ok()?);
    let entry = |mode: &str, id: ObjectId| (!id.is_zero()).then(|| Entry { mode: mode.to_owned(), id });
    Some(ChangedFile { path: path_from(path), old: entry(old_mode, old_id), new: entry(new_mode, new_id) })
}

/// A list of paths for `--pathspec-from-file` or `--stdin -z`.
pub(crate) fn path_list<'a>(paths: impl Iterator<Item = &'a PathBuf>) -> Vec<u8> {
    paths.flat_map(|p| path_bytes(p).iter().copied().chain([0])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_added_lines_can_be_markers() {
        let cases: [(&[u8], Option<u64>); 5] = [
            (b"+++ b/x\n@@ -1,0 +4,2 @@\n+a\n+<<<<<<< HEAD\n", Some(5)),
            (b"@@ -1 +0,0 @@\n-<<<<<<< HEAD\n", None),
            (b"@@ -0,0 +1 @@\n+=======\n", None),
            (b"@@ -0,0 +1 @@\n+<<<<<<<x\n", None),
            (b"@@ -0,0 +1 @@\n+>>>>>>> main\n", Some(1)),
        ];
        for (patch, want) in cases {
            assert_eq!(first_added_marker(patch), want, "{}", String::from_utf8_lossy(patch));
        }
    }
}
