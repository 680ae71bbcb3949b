//! Trees united without a `git merge-tree`, where it is plain what that would say. To start one takes ten times as long as
//! what it does for two branches that change different files.
//!
//! A union is taken only when each side did nothing but add files and change the contents of files, and no path was
//! touched by both. Whatever else happens goes to git: something deleted (of which a rename consists, and all that is
//! guessed from renames), a mode or a kind changed, a submodule, attributes, a file where the other side has a folder.
//! What is left has no rename in it, no conflict, and no file that two contents have to be merged into.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;

use crate::dialogue::Dialogue;
use crate::git::{Git, GitError};
use crate::names::ObjectId;

/// How many trees are read for one batch at most: where more differ, git is as fast.
const MOST_READ: usize = 20_000;

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Unites trees of one repository.
#[derive(Debug)]
pub(super) struct Trees {
    git: Git,
    reader: Option<Dialogue>,
    writer: Option<Dialogue>,
    read: usize,
    known: HashMap<ObjectId, Rc<Tree>>,
    /// Pairs of trees of which the second only adds to the first and changes contents.
    plain: HashSet<(ObjectId, ObjectId)>,
}

type Tree = BTreeMap<Box<[u8]>, Entry>;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    kind: Kind,
    id: ObjectId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Folder,
    File,
    Program,
    Link,
    Module,
}

/// Why a union is not taken.
#[derive(Debug)]
pub(super) enum Not {
    /// git may see more in it than two sets of paths.
    Plain,
    /// A tree could not be read or written.
    Able(GitError),
}

impl From<GitError> for Not {
    fn from(error: GitError) -> Self {
        Self::Able(error)
    }
}

impl Kind {
    /// The modes that git writes today. Older ones wrote others, which a merge puts right on its way.
    fn of(mode: &[u8]) -> Option<Self> {
        match mode {
            b"40000" => Some(Self::Folder),
            b"100644" => Some(Self::File),
            b"100755" => Some(Self::Program),
            b"120000" => Some(Self::Link),
            b"160000" => Some(Self::Module),
            _ => None,
        }
    }

    /// The mode and the type as `git mktree` takes them.
    const fn words(self) -> &'static str {
        match self {
            Self::Folder => "040000 tree",
            Self::File => "100644 blob",
            Self::Program => "100755 blob",
            Self::Link => "120000 blob",
            Self::Module => "160000 commit",
        }
    }
}

impl Trees {
    pub(super) fn new(git: Git) -> Self {
        let (known, plain) = (HashMap::new(), HashSet::new());
        Self { git, reader: None, writer: None, read: 0, known, plain }
    }

    /// The tree that has what both sides made of `base`.
    pub(super) fn unite(&mut self, base: &ObjectId, ours: &ObjectId, theirs: &ObjectId) -> Result<ObjectId, Not> {
        self.united(Some(base), ours, theirs)
    }

    /// The same of a folder, which may be new on both sides.
    fn united(&mut self, base: Option<&ObjectId>, ours: &ObjectId, theirs: &ObjectId) -> Result<ObjectId, Not> {
        if base == Some(theirs) {
            return self.is_plain(base, ours).map(|()| ours.clone());
        }
        if base == Some(ours) {
            return self.is_plain(base, theirs).map(|()| theirs.clone());
        }
        let was = base.map_or_else(|| Ok(Rc::default()), |base| self.tree(base))?;
        let (one, other) = (self.tree(ours)?, self.tree(theirs)?);
        // What neither side has any more is deleted on both.
        if was.keys().any(|name| !one.contains_key(name) || !other.contains_key(name)) {
            return Err(Not::Plain);
        }
        let mut made = Tree::clone(&one);
        for (name, entry) in &*other {
            let (was, one) = (was.get(name), one.get(name));
            if one != was && was != Some(entry) {
                let entry = self.both(was, one.ok_or(Not::Plain)?, entry)?;
                made.insert(name.clone(), entry);
            } else if was != Some(entry) {
                self.is_plain_entry(name, was, entry)?;
                made.insert(name.clone(), entry.clone());
            }
        }
        for (name, entry) in &*one {
            let was = was.get(name);
            if was != Some(entry) && other.get(name) == was {
                self.is_plain_entry(name, was, entry)?;
            }
        }
        self.write(made)
    }

    /// What both sides changed: only folders can be united.
    fn both(&mut self, was: Option<&Entry>, one: &Entry, other: &Entry) -> Result<Entry, Not> {
        let folders = [Some(one), Some(other), was].into_iter().flatten().all(|entry| entry.kind == Kind::Folder);
        if !folders {
            return Err(Not::Plain);
        }
        let id = self.united(was.map(|was| &was.id), &one.id, &other.id)?;
        Ok(Entry { kind: Kind::Folder, id })
    }

    /// Whether a tree only adds to another one, or to nothing, and changes contents.
    fn is_plain(&mut self, was: Option<&ObjectId>, now: &ObjectId) -> Result<(), Not> {
        if was == Some(now) {
            return Ok(());
        }
        let pair = was.map(|was| (was.clone(), now.clone()));
        if pair.as_ref().is_some_and(|pair| self.plain.contains(pair)) {
            return Ok(());
        }
        let was = was.map_or_else(|| Ok(Rc::default()), |was| self.tree(was))?;
        let now = self.tree(now)?;
        if was.keys().any(|name| !now.contains_key(name)) {
            return Err(Not::Plain);
        }
        for (name, entry) in &*now {
            self.is_plain_entry(name, was.get(name), entry)?;
        }
        self.plain.extend(pair);
        Ok(())
    }

    fn is_plain_entry(&mut self, name: &[u8], was: Option<&Entry>, now: &Entry) -> Result<(), Not> {
        if was == Some(now) {
            return Ok(());
        }
        let attributes = name.eq_ignore_ascii_case(b".gitattributes");
        if attributes || was.is_some_and(|was| was.kind != now.kind) {
            return Err(Not::Plain);
        }
        match now.kind {
            Kind::Folder => self.is_plain(was.map(|was| &was.id), &now.id),
            Kind::File | Kind::Program | Kind::Link => Ok(()),
            Kind::Module => Err(Not::Plain),
        }
    }

    fn tree(&mut self, id: &ObjectId) -> Result<Rc<Tree>, Not> {
        if let Some(tree) = self.known.get(id) {
            return Ok(Rc::clone(tree));
        }
        if self.read >= MOST_READ {
            return Err(Not::Plain);
        }
        self.read += 1;
        let reader = match &mut self.reader {
            Some(reader) => reader,
            None => self.reader.insert(Dialogue::start(&self.git.call(["cat-file", "--batch"]))?),
        };
        let answer = reader.exchange(format!("{id}\n").as_bytes(), is_whole)?;
        // One that is not there, or that no git of today would write, is left to git.
        let tree = body(&answer).and_then(|body| parse(body, id.as_str().len() / 2)).ok_or(Not::Plain)?;
        let tree = Rc::new(tree);
        self.known.insert(id.clone(), Rc::clone(&tree));
        Ok(tree)
    }

    fn write(&mut self, tree: Tree) -> Result<ObjectId, Not> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => self.writer.insert(Dialogue::start(&self.git.call(["mktree", "--missing", "--batch", "-z"]))?),
        };
        let mut lines = Vec::new();
        for (name, entry) in &tree {
            lines.extend_from_slice(format!("{} {}\t", entry.kind.words(), entry.id).as_bytes());
            lines.extend_from_slice(name);
            lines.push(0);
        }
        lines.push(0);
        let answer = writer.exchange(&lines, |answer| answer.ends_with(b"\n"))?;
        let id = ObjectId::parse(String::from_utf8_lossy(&answer).trim_end()).map_err(|_| Not::Plain)?;
        self.known.insert(id.clone(), Rc::new(tree));
        Ok(id)
    }
}

/// What `git cat-file` says of an object before its bytes, without the id: its type and its size; none when it is missing.
fn header(answer: &[u8]) -> Option<(&[u8], usize, &[u8])> {
    let end = answer.iter().position(|byte| *byte == b'\n')?;
    let mut words = answer[..end].split(|byte| *byte == b' ').skip(1);
    let kind = words.next()?;
    let size = std::str::from_utf8(words.next()?).ok()?.parse().ok()?;
    Some((kind, size, &answer[end + 1..]))
}

/// Whether an answer of `git cat-file` has come to its end.
fn is_whole(answer: &[u8]) -> bool {
    match header(answer) {
        Some((_, size, rest)) => rest.len() > size,
        None => answer.ends_with(b"\n"),
    }
}

/// The bytes of a tree.
fn body(answer: &[u8]) -> Option<&[u8]> {
    let (kind, size, rest) = header(answer)?;
    if kind == b"tree" { rest.get(..size) } else { None }
}

/// The entries of a tree whose ids have so many bytes. None for an empty one, which a merge drops from its folder, and for
/// one that is not in order.
fn parse(mut bytes: &[u8], id: usize) -> Option<Tree> {
    let mut tree = Tree::new();
    let mut last = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|byte| *byte == b' ')?;
        let end = space + bytes[space..].iter().position(|byte| *byte == 0)?;
        let (kind, name) = (Kind::of(&bytes[..space])?, &bytes[space + 1..end]);
        let mut hex = String::with_capacity(2 * id);
        for byte in bytes.get(end + 1..=end + id)? {
            hex.extend([byte >> 4, byte & 15].map(|digit| char::from(HEX[usize::from(digit)])));
        }
        // Folders stand where their name with a slash would.
        let mut place = name.to_vec();
        place.extend((kind == Kind::Folder).then_some(b'/'));
        if name.is_empty() || place <= last {
            return None;
        }
        last = place;
        let entry = Entry { kind, id: ObjectId::parse(&hex).ok()? };
        // A file and a folder of one name need not stand side by side.
        if tree.insert(name.into(), entry).is_some() {
            return None;
        }
        bytes = &bytes[end + 1 + id..];
    }
    if tree.is_empty() { None } else { Some(tree) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
