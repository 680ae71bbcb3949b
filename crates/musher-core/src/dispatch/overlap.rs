//! Whether two sets of globs can name the same file, so that their items do not run at once.

/// Whether any glob of the one may name a file that a glob of the other names too.
///
/// Errs on the side of yes: an item that waits too long loses time, two that meet lose work.
pub fn overlaps(one: &[Box<str>], other: &[Box<str>]) -> bool {
    one.iter().any(|a| other.iter().any(|b| may_meet(a, b)))
}

fn may_meet(a: &str, b: &str) -> bool {
    let a: Vec<&str> = parts(a);
    let b: Vec<&str> = parts(b);
    segments_meet(&a, &b)
}

fn parts(glob: &str) -> Vec<&str> {
    glob.trim_start_matches("./").split('/').filter(|p| !p.is_empty()).collect()
}

/// Path segments met from the front. `**` stands for any number of them; a glob that ends names a folder as well, and
/// with it everything below.
fn segments_meet(a: &[&str], b: &[&str]) -> bool {
    // Dynamic programming over both lengths, so that many `**` cost no more than their product.
    let (n, m) = (a.len(), b.len());
    let mut meets = vec![false; (n + 1) * (m + 1)];
    let at = |i: usize, j: usize| i * (m + 1) + j;
    for i in (0..=n).rev() {
        for j in (0..=m).rev() {
            meets[at(i, j)] = if i == n || j == m {
                true
            } else if a[i] == "**" || b[j] == "**" {
                meets[at(i + 1, j)] || meets[at(i, j + 1)]
            } else {
                segment_meets(a[i], b[j]) && meets[at(i + 1, j + 1)]
            };
        }
    }
    meets[0]
}

/// Two segments may be the same name: exactly compared when neither has a wildcard; else by what stands before the
/// first wildcard and after the last.
fn segment_meets(a: &str, b: &str) -> bool {
    let wild = |c: char| matches!(c, '*' | '?' | '[' | '{');
    let (wa, wb) = (a.contains(wild), b.contains(wild));
    if !wa && !wb {
        return a == b;
    }
    let head = |s: &str| s.find(wild).map_or_else(|| s.to_owned(), |i| s[..i].to_owned());
    let tail = |s: &str| {
        let closing = |c: char| matches!(c, '*' | '?' | ']' | '}');
        s.rfind(closing).map_or_else(|| s.to_owned(), |i| s[i + 1..].to_owned())
    };
    let (ha, hb, ta, tb) = (head(a), head(b), tail(a), tail(b));
    (ha.starts_with(&hb) || hb.starts_with(&ha)) && (ta.ends_with(&tb) || tb.ends_with(&ta))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_overlap_when_one_file_can_match_both() {
        for (a, b, meet) in [
            ("src/api/**", "src/api/users.rs", true),
            ("src/api/**", "src/web/**", false),
            ("src/**", "src/api/**", true),
            ("**/*.rs", "src/lib.rs", true),
            ("**/*.rs", "docs/**", true),
            ("src/*.rs", "src/*.toml", false),
            ("src/a*.rs", "src/b*.rs", false),
            ("src/{a,b}.rs", "src/a.rs", true),
            ("README.md", "README.md", true),
            ("README.md", "CHANGELOG.md", false),
            ("src", "src/lib.rs", true),
            ("./src/lib.rs", "src/lib.rs", true),
            ("*", "anything", true),
        ] {
            assert_eq!(overlaps(&[a.into()], &[b.into()]), meet, "{a} and {b}");
            assert_eq!(overlaps(&[b.into()], &[a.into()]), meet, "{b} and {a}");
        }
    }

    #[test]
    fn many_stars_cost_no_more_than_their_product() {
        let deep: Box<str> = "**/a/".repeat(200).into();
        assert!(overlaps(std::slice::from_ref(&deep), std::slice::from_ref(&deep)));
    }
}
