//! The home of an agent: a folder of its own for its program's configuration and account.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

/// The programs that keep their configuration below `HOME` and know no variable of their own for it.
const BY_HOME: [&str; 2] = ["gemini", "qwen"];

/// Makes the folder `home`, below `root` or absolute, for its owner only, when it is not there.
///
/// # Errors
/// It cannot be made; in words for people.
pub fn make(root: &Path, home: &str) -> Result<(), String> {
    let path = root.join(home);
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
    made.map_err(|error| format!("the agent's home `{}` cannot be made: {error}; correct `home`", path.display()))
}

/// The variables that move a program's configuration and account into `home`, a folder below `root` or absolute.
pub fn variables(root: &Path, home: &str, driver: &str) -> Vec<(String, String)> {
    let path = root.join(home);
    let path = path.to_string_lossy().into_owned();
    let below = |name: &str| format!("{path}/{name}");
    let mut variables = vec![
        ("CLAUDE_CONFIG_DIR".to_owned(), path.clone()),
        ("CODEX_HOME".to_owned(), path.clone()),
        ("XDG_CONFIG_HOME".to_owned(), below("config")),
        ("XDG_DATA_HOME".to_owned(), below("data")),
        ("XDG_CACHE_HOME".to_owned(), below("cache")),
        ("XDG_STATE_HOME".to_owned(), below("state")),
    ];
    if BY_HOME.contains(&driver) {
        variables.push(("HOME".to_owned(), path));
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_homes_share_no_variable_s_value() {
        let root = tempfile::tempdir().unwrap();
        let of = |home: &str, driver: &str| variables(root.path(), home, driver);
        let (one, other) = (of("homes/a", "claude"), of("homes/b", "claude"));
        assert!(one.iter().zip(&other).all(|(a, b)| a.0 == b.0 && a.1 != b.1));
        assert!(!root.path().join("homes").exists(), "looking makes nothing");
        make(root.path(), "homes/a").unwrap();
        assert!(root.path().join("homes/a").is_dir());
        assert!(!one.iter().any(|(name, _)| name == "HOME"));
        assert!(of("homes/c", "gemini").iter().any(|(name, _)| name == "HOME"));
    }

    #[test]
    fn a_home_that_cannot_be_made_is_said() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("file"), "").unwrap();
        assert!(make(root.path(), "file/below").unwrap_err().contains("correct `home`"));
    }
}
