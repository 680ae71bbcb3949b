//! How deep a TOML text is nested: the parser calls itself for each level, and a hostile text would use up its stack.

/// The deepest nesting of arrays and inline tables that is read. What people write has three levels.
pub(super) const DEEPEST: usize = 64;

/// Where a text first opens more brackets than [`DEEPEST`], outside of strings and comments.
pub(super) fn too_deep(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'#' => at += line(&bytes[at..]),
            b'"' | b'\'' => at += string(&bytes[at..], *byte),
            b'[' | b'{' => {
                depth += 1;
                if depth > DEEPEST {
                    return Some(at);
                }
                at += 1;
            }
            b']' | b'}' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            _ => at += 1,
        }
    }
    None
}

/// The length of what is left of a line.
fn line(rest: &[u8]) -> usize {
    rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
}

/// The length of a string, with its quotes: of several lines when it begins with three. One that does not end goes on to
/// the end of its line, or of the text.
fn string(rest: &[u8], quote: u8) -> usize {
    let long = rest.starts_with(&[quote; 3]);
    let quotes = if long { 3 } else { 1 };
    let mut at = quotes;
    while let Some(byte) = rest.get(at) {
        match byte {
            b'\\' if quote == b'"' => at += 2,
            b'\n' if !long => return at,
            byte if *byte == quote && (!long || rest[at..].starts_with(&[quote; 3])) => return at + quotes,
            _ => at += 1,
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_count_where_they_nest_and_nowhere_else() {
        let deep = |open: &str| format!("a = {}", open.repeat(DEEPEST + 1));
        for open in ["[", "{", "{a=", "[ \n"] {
            assert!(too_deep(&deep(open)).is_some(), "{open}");
        }
        let many = DEEPEST * 2;
        for text in [
            format!("a = {}{}", "[".repeat(DEEPEST), "]".repeat(DEEPEST)),
            "a = [1]\n".repeat(many),
            format!("a = \"{}\"", "{".repeat(many)),
            format!("a = '''\n{}\n'''", "{\n".repeat(many)),
            format!("a = \"\"\"\n{}\\\"\"\" {}\"\"\"", "{".repeat(many), "{".repeat(many)),
            format!("# {}", "[".repeat(many)),
            format!("a = \"{}\nb = 1", "[".repeat(many)),
        ] {
            assert_eq!(too_deep(&text), None, "{text}");
        }
    }

    #[test]
    fn a_text_that_would_use_up_the_stack_is_refused_with_its_place() {
        let text = format!("goal = \"g\"\nitems = {}", "{a=".repeat(200_000));
        let problems = crate::plan::parse_toml("plan.toml", text.as_bytes()).unwrap_err().to_string();
        assert!(problems.starts_with("plan.toml:2:201: it is nested deeper than 64 levels"), "{problems}");
    }
}
