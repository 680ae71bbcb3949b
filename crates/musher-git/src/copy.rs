//! Brings untracked files such as `.env` from the user's checkout into a new worktree, and nothing from outside it.

use std::path::{Component, Path, PathBuf};

use crate::create::CreateError;
use crate::git::{GitError, file_error};

/// A file or folder that passed the checks.
#[derive(Debug)]
pub(crate) struct Wanted {
    relative: PathBuf,
}

/// Checks the list before anything is made. What does not exist is left out: not every checkout has an `.env`.
pub(crate) fn plan(top: &Path, list: &[String]) -> Result<Vec<Wanted>, CreateError> {
    let top = top.canonicalize().map_err(file_error("find", top))?;
    let mut wanted = Vec::new();
    for text in list {
        let bad = |why| CreateError::BadCopy { path: text.clone(), why };
        let relative = plain(text).ok_or_else(|| bad("it must be relative, without `..`, and not `.git`"))?;
        let source = top.join(&relative);
        if std::fs::symlink_metadata(&source).is_err() {
            continue;
        }
        match source.canonicalize() {
            Ok(real) if real.starts_with(&top) && !real.starts_with(top.join(".git")) => {}
            Ok(_) => return Err(bad("it leads out of the checkout")),
            Err(_) => return Err(bad("it is a link to nothing")),
        }
        wanted.push(Wanted { relative });
    }
    Ok(wanted)
}

/// The path if each part of it is a plain name.
fn plain(text: &str) -> Option<PathBuf> {
    let parts: Option<PathBuf> = Path::new(text)
        .components()
        .filter(|c| !matches!(c, Component::CurDir))
        .map(|c| match c {
            Component::Normal(name) if name != ".git" => Some(name),
            _ => None,
        })
        .collect();
    parts.filter(|p| !p.as_os_str().is_empty())
}

/// Copies what was planned. A file that is there already is left as it is.
pub(crate) fn run(top: &Path, into: &Path, wanted: &[Wanted]) -> Result<Vec<PathBuf>, CreateError> {
    let into = into.canonicalize().map_err(file_error("find", into))?;
    let mut copied = Vec::new();
    for Wanted { relative } in wanted {
        let target = into.join(relative);
        let parent = target.parent().unwrap_or(&into);
        // A tracked symbolic link may stand where a folder is wanted: nothing is made on its other side.
        let there = parent.ancestors().find_map(|p| p.canonicalize().ok());
        if !there.is_some_and(|p| p.starts_with(&into)) {
            let path = relative.display().to_string();
            return Err(CreateError::BadCopy { path, why: "its place in the worktree leads out of it" });
        }
        std::fs::create_dir_all(parent).map_err(file_error("create", parent))?;
        if std::fs::symlink_metadata(&target).is_err() {
            copy(&top.join(relative), &target, &into)?;
            copied.push(relative.clone());
        }
    }
    Ok(copied)
}

/// Copies a file, or a folder with what is in it; links inside a folder stay links.
fn copy(source: &Path, target: &Path, never: &Path) -> Result<(), GitError> {
    let kind = std::fs::metadata(source).map_err(file_error("read", source))?;
    if !kind.is_dir() {
        return std::fs::copy(source, target).map(drop).map_err(file_error("copy", source));
    }
    std::fs::create_dir_all(target).map_err(file_error("create", target))?;
    for entry in std::fs::read_dir(source).map_err(file_error("read", source))? {
        let path = entry.map_err(file_error("read", source))?.path();
        let Some(name) = path.file_name() else { continue };
        let place = target.join(name);
        // The worktree itself may lie below the folder that is copied.
        if name == ".git" || never.starts_with(&path) {
            continue;
        }
        let kind = std::fs::symlink_metadata(&path).map_err(file_error("read", &path))?;
        if kind.is_symlink() {
            let link = std::fs::read_link(&path).map_err(file_error("read", &path))?;
            std::os::unix::fs::symlink(link, &place).map_err(file_error("create", &place))?;
        } else if kind.is_dir() || kind.is_file() {
            copy(&path, &place, never)?;
        }
    }
    Ok(())
}
