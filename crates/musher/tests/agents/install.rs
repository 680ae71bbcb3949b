//! Where the agents' programs are, and what happens when they are not there.

use std::io::Write;
use std::path::{Path, PathBuf};

/// The folder that `scripts/agents` fills.
pub(crate) fn folder() -> PathBuf {
    let named = std::env::var_os("MUSHER_TEST_AGENTS_DIR").map(PathBuf::from);
    named.unwrap_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("../agents/node_modules"))
}

/// The absolute path of an installed file; none, and a line that says so, when it is not there.
#[track_caller]
pub(crate) fn installed(relative: &str) -> Option<String> {
    if std::env::var_os("MUSHER_TEST_AGENTS").is_some_and(|wanted| wanted == "0") {
        return absent("MUSHER_TEST_AGENTS is 0");
    }
    let path = folder().join(relative);
    if let Ok(found) = path.canonicalize() {
        return Some(found.to_string_lossy().into_owned());
    }
    absent(&format!("`{}` is not there; `scripts/agents` installs it", path.display()))
}

/// The absolute path of a program of the system.
#[track_caller]
pub(crate) fn program(name: &str) -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    found.map_or_else(|| absent(&format!("`{name}` is not in PATH")), |file| Some(file.to_string_lossy().into_owned()))
}

#[track_caller]
fn absent(why: &str) -> Option<String> {
    assert!(std::env::var_os("MUSHER_TEST_AGENTS").is_none_or(|wanted| wanted != "1"), "{why}");
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // Not by `println!`, which would be shown for failed tests only.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
    None
}
