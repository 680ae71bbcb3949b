//! The commits of a batch. To start a git for each takes longer than what it does; one that stays writes them all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Stamp;
use crate::dialogue::Dialogue;
use crate::git::{Git, GitError, file_error};
use crate::names::{Identity, ObjectId, path_bytes};
use crate::settle::commit_call;

/// Makes commits in one name and at one time: the same ones, to the byte, by whichever way.
#[derive(Debug)]
pub(super) struct Commits<'a> {
    git: Git,
    objects: PathBuf,
    stamp: &'a Stamp<'a>,
    way: Way,
}

/// Who writes a commit.
#[derive(Debug)]
enum Way {
    /// A `git commit-tree` for each.
    Each,
    /// One `git hash-object` for all, from the first commit on.
    Stays(Option<Writer>),
}

impl<'a> Commits<'a> {
    /// For so many commits in a repository whose shared folder this is. For one, nothing needs to stay.
    pub(super) fn new(git: Git, common: &Path, stamp: &'a Stamp<'a>, many: usize) -> Self {
        let way = if many > 1 { Way::Stays(None) } else { Way::Each };
        Self { git, objects: common.join("objects"), stamp, way }
    }

    pub(super) fn make(&mut self, tree: &ObjectId, parents: &[&ObjectId], text: String) -> Result<ObjectId, GitError> {
        let Identity { name, email } = self.stamp.identity;
        match &mut self.way {
            Way::Stays(writer) if [name, email, &text].into_iter().all(|text| kept_as_it_is(text)) => {
                let body = body(self.stamp, tree, parents, &text);
                let writer = match writer {
                    Some(writer) => writer,
                    None => writer.insert(Writer::start(&self.git, &self.objects)?),
                };
                writer.write(&body)
            }
            Way::Each | Way::Stays(_) => {
                let call = self.stamp.both(self.git.clone()).call(["commit-tree", tree.as_str()]);
                commit_call(call, parents, text).ok()?.id()
            }
        }
    }
}

/// Whether `git commit-tree` takes a text as it is. It takes what Unicode reserves for no character ever to be no UTF-8, and
/// writes something else.
fn kept_as_it_is(text: &str) -> bool {
    !text.chars().any(|c| c == '\0' || matches!(u32::from(c), 0xfdd0..=0xfdef) || u32::from(c) & 0xfffe == 0xfffe)
}

/// What `git commit-tree` writes.
fn body(stamp: &Stamp<'_>, tree: &ObjectId, parents: &[&ObjectId], text: &str) -> String {
    let Identity { name, email } = Identity::new(&stamp.identity.name, &stamp.identity.email);
    let who = format!("{name} <{email}> {}", stamp.time.trim_start_matches('@'));
    let parents: String = parents.iter().map(|parent| format!("parent {parent}\n")).collect();
    format!("tree {tree}\n{parents}author {who}\ncommitter {who}\n\n{text}")
}

/// A git that writes commits, and the file that it reads them from.
#[derive(Debug)]
struct Writer {
    git: Dialogue,
    path: PathBuf,
}

impl Writer {
    fn start(git: &Git, objects: &Path) -> Result<Self, GitError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        // What a musher that is killed leaves is swept by `git gc`, which takes such names for its own.
        let name = format!("tmp_musher_{}_{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let call = git.call(["hash-object", "-t", "commit", "-w", "--no-filters", "--stdin-paths"]);
        Ok(Self { git: Dialogue::start(&call)?, path: objects.join(name) })
    }

    fn write(&mut self, body: &str) -> Result<ObjectId, GitError> {
        fs::write(&self.path, body).map_err(file_error("write", &self.path))?;
        let answer = self.git.ask(&quoted(&self.path))?;
        ObjectId::parse(&answer)
            .map_err(|_| GitError::Unreadable { command: "hash-object".to_owned(), what: "no object id".to_owned() })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // It may not have been made.
        let _ = fs::remove_file(&self.path);
    }
}

/// A path on a line of its own, whatever is in it.
fn quoted(path: &Path) -> Vec<u8> {
    let mut line = vec![b'"'];
    for byte in path_bytes(path) {
        match byte {
            b'\n' => line.extend(b"\\n"),
            b'"' | b'\\' => line.extend([b'\\', *byte]),
            byte => line.push(*byte),
        }
    }
    line.push(b'"');
    line
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    use super::*;

    /// A repository in a folder with an odd name, and the id of its empty tree.
    fn repository() -> (tempfile::TempDir, Git, PathBuf, ObjectId) {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap().join("a \"b\\c\nd ü");
        fs::create_dir(&top).unwrap();
        let git = Git::new(&top);
        git.call(["init", "-q"]).ok().unwrap();
        let tree = git.call(["write-tree"]).ok().unwrap().id().unwrap();
        (folder, git, top.join(".git"), tree)
    }

    fn left_in(objects: &Path) -> bool {
        fs::read_dir(objects).unwrap().any(|e| e.unwrap().file_name().to_string_lossy().starts_with("tmp_"))
    }

    #[test]
    fn both_ways_make_the_same_commits() {
        let (_folder, git, common, tree) = repository();
        let names = [
            ("Ada", "ada@example.org"),
            ("Ünï 漢字 🦀", "ü@exämple.org"),
            ("", ""),
            (" .Dr. O'Neil, Jr. <x>\n", "<a b@c>;"),
            ("a\u{a0}b \"q\" \\", "tab\there"),
            ("no \u{fdd0} character", "a@b"),
        ];
        let texts = [
            "one\n",
            "one\n\nbody\r\n\n\n  indented \t \n\nMusher-Item: 9c41\n",
            "日本語 ü\n\n# kept\nencoding latin1\n\n🦀\n",
            "never a character \u{ffff} \u{1fffe}\n",
            "\u{feff}a mark in front",
            "gpgsig -----BEGIN\n",
            "",
        ];
        let parents: Vec<ObjectId> = {
            let stamp = Stamp { identity: &Identity::fallback(), time: "@1 +0000".into() };
            let mut each = Commits::new(git.clone(), &common, &stamp, 1);
            ["p", "q"].map(|text| each.make(&tree, &[], text.into()).unwrap()).into()
        };
        for (name, email) in names {
            for time in [0, 1_700_000_000, 4_102_444_800_i64] {
                let identity = Identity::new(name, email);
                let stamp = Stamp { identity: &identity, time: format!("@{time} +0000") };
                let mut each = Commits::new(git.clone(), &common, &stamp, 1);
                let mut all = Commits::new(git.clone(), &common, &stamp, 2);
                for (at, text) in texts.iter().enumerate() {
                    let parents: Vec<&ObjectId> = parents.iter().take(1 + at % 2).collect();
                    // The one that stays goes first: it is not to find what the other has written.
                    let one = all.make(&tree, &parents, (*text).to_owned()).unwrap();
                    let raw = git.call(["cat-file", "commit", one.as_str()]).ok().unwrap();
                    let other = each.make(&tree, &parents, (*text).to_owned()).unwrap();
                    let raw = String::from_utf8_lossy(&raw.out);
                    assert_eq!(one, other, "{name:?} <{email}> at {time}, {text:?}:\n{raw}");
                }
                assert!(matches!(each.way, Way::Each));
            }
        }
        assert!(!left_in(&common.join("objects")), "nothing is left");
    }

    #[test]
    fn a_writer_that_is_killed_or_refuses_is_an_error_and_is_reaped() {
        let (_folder, git, common, tree) = repository();
        let stamp = Stamp { identity: &Identity::fallback(), time: "@1 +0000".into() };
        let mut commits = Commits::new(git.clone(), &common, &stamp, 2);
        commits.make(&tree, &[], "one".into()).unwrap();
        let Way::Stays(Some(writer)) = &commits.way else { panic!("one stays") };
        let pid = Pid::from_raw(writer.git.pid());
        kill(pid, Signal::SIGKILL).unwrap();
        for _ in 0..2 {
            let error = commits.make(&tree, &[], "two".into()).unwrap_err();
            assert!(error.to_string().starts_with("`git hash-object` failed"), "{error}");
        }
        assert!(kill(pid, None).is_err(), "it is reaped");
        drop(commits);
        let mut commits = Commits::new(git, &common, &stamp, 2);
        let Way::Stays(writer) = &mut commits.way else { panic!("one stays") };
        let writer = writer.insert(Writer::start(&commits.git, &commits.objects).unwrap());
        let pid = Pid::from_raw(writer.git.pid());
        let error = writer.write("no commit\n").unwrap_err().to_string();
        assert!(error.contains("hash-object` failed") && error.contains("malformed"), "{error}");
        drop(commits);
        assert!(kill(pid, None).is_err(), "it is reaped");
        assert!(!left_in(&common.join("objects")), "nothing is left");
    }

    #[test]
    fn a_writer_that_is_done_is_reaped() {
        let (_folder, git, common, tree) = repository();
        let stamp = Stamp { identity: &Identity::fallback(), time: "@1 +0000".into() };
        let mut commits = Commits::new(git, &common, &stamp, 2);
        commits.make(&tree, &[], "one".into()).unwrap();
        let Way::Stays(Some(writer)) = &commits.way else { panic!("one stays") };
        let pid = Pid::from_raw(writer.git.pid());
        drop(commits);
        assert!(kill(pid, None).is_err());
        assert!(!left_in(&common.join("objects")), "nothing is left");
    }
}
