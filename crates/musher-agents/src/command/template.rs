//! Commands with placeholders.

use std::path::Path;

use musher_core::config::{PLACEHOLDERS, UnknownPlaceholder, expand};

/// A command whose placeholders are all known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    words: Vec<String>,
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
    /// A brace is no placeholder.
    #[error("in `{word}`: {problem}")]
    Brace {
        /// The word of the command in which it stands.
        word: String,
        /// What is wrong with it.
        problem: UnknownPlaceholder,
    },
}

impl TemplateError {
    /// Says what to do about it.
    pub fn fix(&self) -> String {
        match self {
            Self::Empty => "name a program: `command = [\"my-agent\", \"{prompt_file}\"]`".to_owned(),
            Self::Brace { problem, .. } => problem.fix(),
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
        for word in words {
            let known = |name: &str| PLACEHOLDERS.contains(&name).then(String::new);
            let word = word.as_ref();
            expand(word, known).map_err(|problem| TemplateError::Brace { word: word.to_owned(), problem })?;
        }
        Ok(Self { words: words.iter().map(|word| word.as_ref().to_owned()).collect() })
    }

    /// The command with its values in place. Values are not looked into: a prompt may hold braces.
    ///
    /// # Errors
    /// A placeholder that has no value.
    pub fn fill(&self, values: &Values<'_>) -> Result<Vec<String>, TemplateError> {
        let fill = |word: &String| {
            let filled = expand(word, |name| values.of(name));
            filled.map_err(|problem| TemplateError::Brace { word: word.clone(), problem })
        };
        self.words.iter().map(fill).collect()
    }
}

impl Values<'_> {
    fn of(&self, name: &str) -> Option<String> {
        Some(match name {
            "root" => self.root.to_owned(),
            "prompt" => self.prompt.to_owned(),
            "prompt_file" => self.prompt_file.to_owned(),
            "worktree" => self.worktree.to_owned(),
            "item" => self.item.to_owned(),
            "run" => self.run.to_owned(),
            "attempt" => self.attempt.to_string(),
            _ => return None,
        })
    }
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
        let filled = Template::parse(&words).unwrap().fill(&VALUES).unwrap();
        assert_eq!(filled, ["</r>", "<do {item} {{x}}>", "</p>", "</w>", "<i1>", "<r1>", "<3>"]);
    }

    #[test]
    fn braces_written_twice_are_braces() {
        let template = Template::parse(&["awk", "{{print ${{1}}}} {item}{run}", ""]).unwrap();
        assert_eq!(template.fill(&VALUES).unwrap(), ["awk", "{print ${1}} i1r1", ""]);
    }

    #[test]
    fn a_command_that_cannot_be_filled_in_is_refused_with_a_fix() {
        let brace = |word: &str, problem| TemplateError::Brace { word: word.into(), problem };
        let unknown = |name: &str| UnknownPlaceholder::Name(name.into());
        let cases = [
            (vec![], TemplateError::Empty),
            (vec![""], TemplateError::Empty),
            (vec!["a", "{promt}"], brace("{promt}", unknown("promt"))),
            (vec!["a", "${}"], brace("${}", unknown(""))),
            (vec!["a", "x{item"], brace("x{item", UnknownPlaceholder::Open)),
        ];
        for (words, problem) in cases {
            assert!(!problem.fix().is_empty());
            assert_eq!(Template::parse(&words), Err(problem));
        }
        assert!(Template::parse(&["a", "{promt}"]).unwrap_err().fix().contains("{prompt}"));
    }

    #[test]
    fn what_the_configuration_takes_can_be_run() {
        assert_eq!(Template::parse(&["a", "b}c"]).unwrap().fill(&VALUES).unwrap(), ["a", "b}c"]);
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
