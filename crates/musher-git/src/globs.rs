//! Sets of globs over a repository's paths: `touches` and `keep`.

use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// A glob that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{glob}` is not a glob: {why}")]
pub struct BadGlob {
    /// As it was given.
    pub glob: String,
    /// What the parser said.
    pub why: String,
}

impl BadGlob {
    /// Says how to fix it.
    #[must_use]
    pub fn fix(&self) -> &'static str {
        "write a path from the repository's top, with `*` for a part of a name and `**` for any folders"
    }
}

/// Globs from the repository's top. `*` stays within a folder, `**` does not, and a glob names what lies below it too.
#[derive(Debug)]
pub(crate) struct Globs(GlobSet);

impl Globs {
    pub(crate) fn new(globs: &[String]) -> Result<Self, BadGlob> {
        let mut set = GlobSetBuilder::new();
        let error = |glob: &str, e: globset::Error| BadGlob { glob: glob.to_owned(), why: e.kind().to_string() };
        for glob in globs {
            let plain = glob.trim_start_matches("./").trim_end_matches('/');
            for text in [plain.to_owned(), format!("{plain}/**")] {
                let built = GlobBuilder::new(&text).literal_separator(true).build();
                set.add(built.map_err(|e| error(glob, e))?);
            }
        }
        set.build().map(Self).map_err(|e| error("", e))
    }

    pub(crate) fn matches(&self, path: &Path) -> bool {
        self.0.is_match(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_names_a_file_or_what_lies_below_it() {
        let cases = [
            ("src/api/**", "src/api/a/b.rs", true),
            ("src/api/", "src/api/a/b.rs", true),
            ("src", "srcs/a", false),
            ("*.md", "docs/a.md", false),
            ("**/*.md", "docs/a.md", true),
            ("./src/*.rs", "src/a.rs", true),
            ("src/*.rs", "src/a/b.rs", false),
        ];
        for (glob, path, want) in cases {
            assert_eq!(Globs::new(&[glob.into()]).unwrap().matches(Path::new(path)), want, "{glob} {path}");
        }
        assert!(Globs::new(&["a[".into()]).is_err());
    }
}
