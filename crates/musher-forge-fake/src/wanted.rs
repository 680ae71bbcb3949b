//! What a test does without GitHub's descriptions.

use std::io::Write;
use std::sync::Once;

/// Whether tests must not go on without GitHub's descriptions: `MUSHER_TEST_GITHUB` is 1, or it is not set and `CI` is `true`.
fn is_wanted(by_name: Option<&str>, ci: Option<&str>) -> bool {
    match by_name {
        Some(wish) => wish == "1",
        None => ci == Some("true"),
    }
}

/// A test finds that GitHub's descriptions are not here: in CI it fails with what to do. Elsewhere it is said once for a
/// program, and so that it is seen, for what a test that succeeds prints is not shown.
///
/// # Panics
/// In CI, or when `MUSHER_TEST_GITHUB` is 1.
#[allow(clippy::panic, reason = "a test that cannot go on says so by its panic")]
pub fn without_descriptions(what: &str, why: &str) {
    static SAID: Once = Once::new();
    let read = |name: &str| std::env::var(name).ok();
    if is_wanted(read("MUSHER_TEST_GITHUB").as_deref(), read("CI").as_deref()) {
        panic!("{why}");
    }
    SAID.call_once(|| {
        // Nothing depends on whether somebody reads it.
        let _ = writeln!(std::io::stderr(), "skipped: {what}: {why}");
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_ci_the_descriptions_are_wanted_unless_it_is_said_otherwise() {
        for (by_name, ci, wanted) in [
            (None, None, false),
            (None, Some("true"), true),
            (None, Some("false"), false),
            (Some("1"), None, true),
            (Some("0"), Some("true"), false),
        ] {
            assert_eq!(is_wanted(by_name, ci), wanted, "{by_name:?} {ci:?}");
        }
    }
}
