//! Commands with placeholders.

use std::path::Path;

/// The placeholders of a command, in the order in which messages name them.
pub const PLACEHOLDERS: [&str; 7] = ["root", "prompt", "prompt_file", "worktree", "item", "run", "attempt"];

/// A command whose placeholders are all known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    words: Vec<Vec<Piece>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Value(Placeholder),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Placeholder {
    Root,
    Prompt,
    PromptFile,
    Worktree,
    Item,
    Run,
    Attempt,
}

/// What the placeholders of a command stand for.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// The folder of `musher.toml`.
    pub root: &'a str,
    /// The whole prompt.
    pub prompt: &'a str,
    /// The file that holds the prompt.
    pub prompt_file: &'a str,
    /// The worktree.
    pub worktree: &'a str,
    /// The item's id.
    pub item: &'a str,
    /// The run's id.
    pub run: &'a str,
    /// Which attempt this is; the first is 1.
    pub attempt: u32,
}

/// A command that cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// There is no program.
    #[error("the command is empty")]
    Empty,
    /// A name in braces means nothing.
    #[error("`{{{name}}}` in `{word}` is no placeholder")]
    Unknown {
        /// The name.
        name: String,
        /// The word of the command in which it stands.
        word: String,
    },
    /// A brace has no partner.
    #[error("a brace in `{word}` has no partner")]
    Unpaired {
        /// The word of the command in which it stands.
        word: String,
    },
}

impl TemplateError {
    /// Says what to do about it.
    pub fn fix(&self) -> String {
        match self {
            Self::Empty => "name a program: `command = [\"my-agent\", \"{prompt_file}\"]`".to_owned(),
            Self::Unknown { .. } => {
                let known = PLACEHOLDERS.map(|name| format!("{{{name}}}")).join(" ");
                format!("use one of {known}; a brace that is meant as such is written twice: `{{{{`, `}}}}`")
            }
            Self::Unpaired { .. } => "write a brace that is meant as such twice: `{{`, `}}`".to_owned(),
        }
    }
}

impl Template {
    /// Reads the words of a command.
    ///
    /// # Errors
    /// The first word that cannot be filled in.
    pub fn parse<S: AsRef<str>>(words: &[S]) -> Result<Self, TemplateError> {
        if words.first().is_none_or(|program| program.as_ref().is_empty()) {
            return Err(TemplateError::Empty);
        }
        let words = words.iter().map(|word| pieces(word.as_ref())).collect::<Result<_, _>>()?;
        Ok(Self { words })
    }

    /// The command with its values in place. Values are not looked into: a prompt may hold braces.
    pub fn fill(&self, values: &Values<'_>) -> Vec<String> {
        self.words.iter().map(|word| word.iter().map(|piece| piece.fill(values)).collect()).collect()
    }
}

impl Piece {
    fn fill(&self, values: &Values<'_>) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Value(Placeholder::Root) => values.root.to_owned(),
            Self::Value(Placeholder::Prompt) => values.prompt.to_owned(),
            Self::Value(Placeholder::PromptFile) => values.prompt_file.to_owned(),
            Self::Value(Placeholder::Worktree) => values.worktree.to_owned(),
            Self::Value(Placeholder::Item) => values.item.to_owned(),
            Self::Value(Placeholder::Run) => values.run.to_owned(),
            Self::Value(Placeholder::Attempt) => values.attempt.to_string(),
        }
    }
}

fn placeholder(name: &str) -> Option<Placeholder> {
    Some(match name {
        "root" => Placeholder::Root,
        "prompt" => Placeholder::Prompt,
        "prompt_file" => Placeholder::PromptFile,
        "worktree" => Placeholder::Worktree,
        "item" => Placeholder::Item,
        "run" => Placeholder::Run,
        "attempt" => Placeholder::Attempt,
        _ => return None,
    })
}

fn pieces(word: &str) -> Result<Vec<Piece>, TemplateError> {
    let unpaired = || TemplateError::Unpaired { word: word.to_owned() };
    let (mut pieces, mut text, mut rest) = (Vec::new(), String::new(), word);
    while let Some(at) = rest.find(['{', '}']) {
        text.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            text.push_str(brace);
            rest = after;
            continue;
        }
        if brace == "}" {
            return Err(unpaired());
        }
        let (name, after) = rest.split_once('}').ok_or_else(unpaired)?;
        let unknown = || TemplateError::Unknown { name: name.to_owned(), word: word.to_owned() };
        pieces.push(Piece::Text(std::mem::take(&mut text)));
        pieces.push(Piece::Value(placeholder(name).ok_or_else(unknown)?));
        rest = after;
    }
    text.push_str(rest);
    pieces.push(Piece::Text(text));
    Ok(pieces)
}

/// Where a program is. One that is given with a slash and relative lies in the folder of `musher.toml`, so that it need
/// not be committed to be found from a worktree; a bare name is looked for on the PATH.
pub fn resolve_program(root: &Path, program: &str) -> String {
    let path = Path::new(program);
    if path.is_absolute() || !program.contains('/') {
        return program.to_owned();
    }
    // A leading `./` says nothing any more.
    root.join(path.strip_prefix(".").unwrap_or(path)).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALUES: Values<'_> = Values {
        root: "/r",
        prompt: "do {item} {{x}}",
        prompt_file: "/p",
        worktree: "/w",
        item: "i1",
        run: "r1",
        attempt: 3,
    };

    #[test]
    fn every_placeholder_is_filled_in_and_values_are_not_looked_into() {
        let words: Vec<String> = PLACEHOLDERS.iter().map(|name| format!("<{{{name}}}>")).collect();
        let filled = Template::parse(&words).unwrap().fill(&VALUES);
        assert_eq!(filled, ["</r>", "<do {item} {{x}}>", "</p>", "</w>", "<i1>", "<r1>", "<3>"]);
    }

    #[test]
    fn braces_written_twice_are_braces() {
        let template = Template::parse(&["awk", "{{print ${{1}}}} {item}{run}", ""]).unwrap();
        assert_eq!(template.fill(&VALUES), ["awk", "{print ${1}} i1r1", ""]);
    }

    #[test]
    fn a_command_that_cannot_be_filled_in_is_refused_with_a_fix() {
        let unknown = |name: &str, word: &str| TemplateError::Unknown { name: name.into(), word: word.into() };
        let unpaired = |word: &str| TemplateError::Unpaired { word: word.into() };
        let cases = [
            (vec![], TemplateError::Empty),
            (vec![""], TemplateError::Empty),
            (vec!["a", "{promt}"], unknown("promt", "{promt}")),
            (vec!["a", "${}"], unknown("", "${}")),
            (vec!["a", "x{item"], unpaired("x{item")),
            (vec!["a", "x}"], unpaired("x}")),
        ];
        for (words, problem) in cases {
            assert_eq!(Template::parse(&words), Err(problem));
        }
        let fix = unknown("promt", "{promt}").fix();
        assert!(PLACEHOLDERS.iter().all(|name| fix.contains(&format!("{{{name}}}"))), "{fix}");
    }

    #[test]
    fn a_relative_program_with_a_slash_lies_beside_the_configuration() {
        let cases = [
            ("sh", "sh"),
            ("/bin/sh", "/bin/sh"),
            ("./agent.sh", "/r/agent.sh"),
            ("bin/a", "/r/bin/a"),
            ("../a", "/r/../a"),
        ];
        for (program, found) in cases {
            assert_eq!(resolve_program(Path::new("/r"), program), found);
        }
    }
}
