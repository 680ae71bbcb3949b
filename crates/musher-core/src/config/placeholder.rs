//! Placeholders in the arguments of the command driver.

/// The names that may stand in braces.
pub const PLACEHOLDERS: [&str; 7] = ["root", "prompt", "prompt_file", "worktree", "item", "run", "attempt"];

/// A brace in an argument that is no placeholder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnknownPlaceholder {
    /// The name in braces is none of [`PLACEHOLDERS`].
    #[error("unknown placeholder `{{{0}}}`")]
    Name(String),
    /// The brace is never closed.
    #[error("a `{{` without its `}}`")]
    Open,
}

impl UnknownPlaceholder {
    /// How to mend it.
    pub fn fix(&self) -> String {
        let near = match self {
            Self::Name(name) => crate::nearest::nearest(name, PLACEHOLDERS.into_iter()),
            Self::Open => None,
        };
        match near {
            Some(name) => format!("did you mean `{{{name}}}`? `{{{{` and `}}}}` are plain braces"),
            None => format!(
                "known are {}; `{{{{` and `}}}}` are plain braces",
                PLACEHOLDERS.map(|n| format!("`{{{n}}}`")).join(", ")
            ),
        }
    }
}

/// `argument` with `value(name)` for each placeholder, `{` for `{{` and `}` for `}}`.
///
/// What is filled in is not looked at again, so that a prompt may hold braces.
///
/// # Errors
/// A name for which `value` has nothing, or a brace that is never closed.
pub fn expand(argument: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, UnknownPlaceholder> {
    let mut expanded = String::with_capacity(argument.len());
    let mut rest = argument;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, brace) = rest.split_at(at);
        expanded.push_str(before);
        if let Some(after) = brace.strip_prefix("{{") {
            expanded.push('{');
            rest = after;
        } else if let Some(after) = brace.strip_prefix('}') {
            expanded.push('}');
            rest = after.strip_prefix('}').unwrap_or(after);
        } else {
            let inner = brace.get(1..).unwrap_or_default();
            let Some((name, after)) = inner.split_once('}') else { return Err(UnknownPlaceholder::Open) };
            expanded.push_str(&value(name).ok_or_else(|| UnknownPlaceholder::Name(name.to_owned()))?);
            rest = after;
        }
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_is_filled_in_once_and_doubled_braces_are_plain() {
        let value = |name: &str| match name {
            "root" => Some("/repo".to_owned()),
            "prompt" => Some("say {root} }}".to_owned()),
            _ => None,
        };
        let cases = [
            ("{root}/agent.sh", Ok("/repo/agent.sh".to_owned())),
            ("{prompt}", Ok("say {root} }}".to_owned())),
            ("awk {{print}}", Ok("awk {print}".to_owned())),
            ("a}b", Ok("a}b".to_owned())),
            ("", Ok(String::new())),
            ("{rot}", Err(UnknownPlaceholder::Name("rot".to_owned()))),
            ("{}", Err(UnknownPlaceholder::Name(String::new()))),
            ("{root", Err(UnknownPlaceholder::Open)),
            ("é{{{root}}}", Ok("é{/repo}".to_owned())),
        ];
        for (argument, expected) in cases {
            assert_eq!(expand(argument, value), expected, "{argument}");
        }
    }
}
