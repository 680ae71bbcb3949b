//! Where a path leads, by its text alone.

/// Where a path leads. Symbolic links cannot be seen here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In the worktree; the path from there, empty for the worktree itself.
    Inside(String),
    /// Elsewhere; the absolute path, or the text as written where its home folder is unknown.
    Outside(String),
}

/// Resolves `path`, absolute or from the worktree, without looking at the disk.
pub(super) fn place(path: &str, worktree: &str) -> Place {
    // `~` is a name to the kernel, but many tools expand it; and a NUL never names a file.
    if path.starts_with('~') || path.contains('\0') {
        return Place::Outside(path.to_owned());
    }
    let root = parts(worktree, Vec::new());
    let start = if path.starts_with('/') { Vec::new() } else { root.clone() };
    let whole = parts(path, start);
    match whole.strip_prefix(root.as_slice()) {
        Some(inner) if worktree.starts_with('/') => Place::Inside(inner.join("/")),
        Some(_) | None => Place::Outside(format!("/{}", whole.join("/"))),
    }
}

/// Whether a word of a command may name something outside of the worktree: as a whole, as an option's value
/// (`--file=/etc/x`, `-f/etc/x`) or after a colon.
pub(super) fn strays(word: &str, worktree: &str) -> bool {
    let outside = |text: &str| matches!(place(text, worktree), Place::Outside(_));
    if outside(word) || word.split(['=', ':', ',']).any(outside) {
        return true;
    }
    // A short option with its value attached may begin anywhere after the dash.
    word.starts_with('-') && (word.contains("..") || word.find('/').is_some_and(|at| outside(&word[at..])))
}

fn parts<'a>(path: &'a str, start: Vec<&'a str>) -> Vec<&'a str> {
    path.split('/').fold(start, |mut whole, part| {
        match part {
            "" | "." => {}
            ".." => {
                whole.pop();
            }
            name => whole.push(name),
        }
        whole
    })
}
