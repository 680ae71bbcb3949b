//! Whether two lists of globs name a common file, by naming files: all that can be made of the words of both.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// How deep the files lie that are tried.
const DEPTH: usize = 4;

type Pair = (Box<str>, Box<str>);

thread_local! {
    /// Few pairs are asked for, and each again and again.
    static KNOWN: RefCell<BTreeMap<Pair, bool>> = const { RefCell::new(BTreeMap::new()) };
}

/// Whether there is a file that a glob of the one names and a glob of the other too.
pub(crate) fn overlap(one: &[Box<str>], other: &[Box<str>]) -> bool {
    one.iter().any(|a| other.iter().any(|b| known(a, b)))
}

fn known(a: &str, b: &str) -> bool {
    let pair = (Box::from(a), Box::from(b));
    if let Some(known) = KNOWN.with_borrow(|known| known.get(&pair).copied()) {
        return known;
    }
    let meet = meet(a, b);
    KNOWN.with_borrow_mut(|known| known.insert(pair, meet));
    meet
}

fn meet(a: &str, b: &str) -> bool {
    let (a, b): (Vec<&str>, Vec<&str>) = (a.split('/').collect(), b.split('/').collect());
    assert!(a.len() < DEPTH && b.len() < DEPTH, "files are not tried as deep as {a:?} and {b:?}");
    let segments = segments(a.iter().chain(&b).copied().filter(|segment| *segment != "**").collect());
    let mut files: Vec<Vec<&str>> = vec![vec![]];
    for _ in 0..DEPTH {
        files = files.iter().flat_map(|file| segments.iter().map(|one| [file.as_slice(), &[one]].concat())).collect();
        if files.iter().any(|file| names(&a, file) && names(&b, file)) {
            return true;
        }
    }
    false
}

/// What can stand for the segments: themselves, and each star of theirs as nothing, as `x`, and as any piece of another.
fn segments(globs: BTreeSet<&str>) -> BTreeSet<String> {
    let pieces: BTreeSet<&str> = globs.iter().flat_map(|glob| glob.split('*')).chain(["", "x"]).collect();
    let filled = |glob: &&str| pieces.iter().map(|piece| glob.replace('*', piece)).collect::<Vec<_>>();
    globs.iter().flat_map(filled).chain(["x".to_owned()]).filter(|segment| !segment.is_empty()).collect()
}

/// Whether a glob names a file; one that ends names a folder as well, and with it everything below.
fn names(glob: &[&str], file: &[&str]) -> bool {
    match (glob, file) {
        ([], _) => true,
        (["**", rest @ ..], _) => names(rest, file) || (!file.is_empty() && names(glob, &file[1..])),
        (_, []) => false,
        ([first, rest @ ..], [segment, below @ ..]) => is(first, segment) && names(rest, below),
    }
}

fn is(glob: &str, segment: &str) -> bool {
    assert!(!glob.contains(['?', '[', '{']), "`{glob}` is not read here");
    match glob.split_once('*') {
        None => glob == segment,
        Some((head, tail)) => segment.strip_prefix(head).is_some_and(|left| {
            left.char_indices().map(|(at, _)| at).chain([left.len()]).any(|at| is(tail, &left[at..]))
        }),
    }
}

#[test]
fn files_are_found_that_two_globs_name() {
    for (a, b, wanted) in [
        ("src/**", "src/api/**", true),
        ("src/*.rs", "src/lib.rs", true),
        ("src/*.rs", "docs/**", false),
        ("src/*.rs", "src/*.toml", false),
        ("src/a*.rs", "src/*b.rs", true),
        ("**/*.rs", "docs/**", true),
        ("src", "src/lib.rs", true),
        ("src/lib.rs", "src/lib.rs", true),
        ("README.md", "CHANGELOG.md", false),
    ] {
        assert_eq!((meet(a, b), meet(b, a)), (wanted, wanted), "{a} and {b}");
    }
}
