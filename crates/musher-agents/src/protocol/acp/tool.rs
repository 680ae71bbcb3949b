//! A tool call, put together from all lines that tell of it, and what it comes to when it needs a yes.

use musher_core::approval::Action;
use serde_json::Value;

use super::schema::Told;

/// A tool call as far as it is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Tool {
    told: Told,
    first_title: Option<String>,
    /// Whether it was shown as started.
    pub(super) started: bool,
    /// Whether it was shown as finished.
    pub(super) finished: bool,
}

impl Tool {
    /// Adds what a line tells. What it does not name stays as it was, and so does what it makes poorer: some agents
    /// send the input without its command, first or last.
    pub(super) fn add(&mut self, told: Told) {
        let known = &mut self.told;
        known.id = told.id;
        self.first_title = self.first_title.take().or_else(|| told.title.clone());
        known.name = told.name.or_else(|| known.name.take());
        known.title = told.title.or_else(|| known.title.take());
        known.kind = told.kind.or_else(|| known.kind.take());
        known.status = told.status.or_else(|| known.status.take());
        known.input = match (known.input.take(), told.input) {
            (Some(Value::Object(mut fields)), Some(Value::Object(more))) => {
                fields.extend(more);
                Some(Value::Object(fields))
            }
            (before, input) => input.or(before),
        };
        for path in told.paths {
            if !known.paths.contains(&path) {
                known.paths.push(path);
            }
        }
    }

    /// Whether it only was announced: the next line may tell more.
    pub(super) fn pending(&self) -> bool {
        self.told.status.as_deref().is_none_or(|status| status == "pending")
    }

    /// Whether it is over, and if so whether it worked.
    pub(super) fn over(&self) -> Option<bool> {
        match self.told.status.as_deref() {
            Some("completed") => Some(true),
            Some("failed" | "cancelled") => Some(false),
            Some(_) | None => None,
        }
    }

    /// The tool's name, or what comes nearest to it.
    pub(super) fn name(&self) -> String {
        let word = |title: &&String| !title.contains(char::is_whitespace);
        let named = self.told.name.as_ref().or(self.first_title.as_ref().filter(word));
        let named = named.or(self.told.kind.as_ref().filter(|kind| *kind != "other"));
        named.or(self.first_title.as_ref()).map_or_else(|| "tool".to_owned(), Clone::clone)
    }

    /// Its arguments as compact JSON, the same for the same call; the title, where there are none.
    pub(super) fn arguments(&self) -> String {
        match (&self.told.input, &self.told.title) {
            (Some(Value::Object(fields)), _) => {
                let lasting = fields.iter().filter(|(name, _)| !PASSING.contains(&name.as_str()));
                Value::Object(lasting.map(|(name, value)| (name.clone(), value.clone())).collect()).to_string()
            }
            (Some(input), _) => input.to_string(),
            (None, Some(title)) => Value::from(title.as_str()).to_string(),
            (None, None) => String::new(),
        }
    }

    /// What it wants to do. What is in doubt is a command, and else something other, so that a rule does not let it
    /// pass for less than it is.
    pub(super) fn action(&self) -> Action {
        let paths = self.paths();
        let kind = self.told.kind.as_deref().unwrap_or_default();
        let changes = matches!(kind, "edit" | "delete" | "move");
        // An editor's `command` is a word such as `create`; a list of words is always a program.
        if let Some(command) = self.command().filter(|_| !changes || self.runs_a_list() || paths.is_empty()) {
            return Action::Shell(command.into());
        }
        match kind {
            // Gemini tells the command in no other place than the title.
            "execute" if self.told.input.is_none() => match &self.told.title {
                Some(title) => Action::Shell(title.trim().trim_matches('`').into()),
                None => self.other(),
            },
            "edit" | "delete" | "move" if !paths.is_empty() => Action::Edit(paths),
            "read" | "search" if !paths.is_empty() => Action::Read(paths),
            "search" if self.field(&["url", "query"]).is_none() => Action::Read(Box::new([".".into()])),
            "fetch" => self.field(&["url", "uri"]).map_or_else(|| self.other(), |url| Action::Fetch(url.into())),
            _ => self.other(),
        }
    }

    fn other(&self) -> Action {
        Action::Other(self.name().into(), self.arguments().into())
    }

    fn field(&self, names: &[&str]) -> Option<&str> {
        let input = self.told.input.as_ref()?;
        names.iter().find_map(|name| input.get(name)?.as_str()).filter(|text| !text.is_empty())
    }

    fn runs_a_list(&self) -> bool {
        self.told.input.as_ref().is_some_and(|input| input["command"].is_array() || input["cmd"].is_array())
    }

    fn command(&self) -> Option<String> {
        let input = self.told.input.as_ref()?;
        let command = ["command", "cmd"].iter().find_map(|name| input.get(name).filter(|value| !value.is_null()))?;
        match command {
            Value::String(command) if command.trim().is_empty() => None,
            Value::String(command) => match input["args"].as_array() {
                Some(args) => Some(format!("{command} {}", words(args)?)),
                None => Some(command.clone()),
            },
            Value::Array(command) => words(command).filter(|command| !command.is_empty()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
        }
    }

    fn paths(&self) -> Box<[Box<str>]> {
        let mut paths: Vec<Box<str>> = Vec::new();
        let mut add = |path: &str| {
            if !path.is_empty() && !paths.iter().any(|known| **known == *path) {
                paths.push(path.into());
            }
        };
        self.told.paths.iter().for_each(|path| add(path));
        if let Some(Value::Object(input)) = &self.told.input {
            PATHS.iter().filter_map(|name| input.get(*name)?.as_str()).for_each(&mut add);
            // Codex: the files of a patch are the keys.
            input.get("changes").and_then(Value::as_object).into_iter().flatten().for_each(|(path, _)| add(path));
        }
        paths.into()
    }
}

/// What codex-acp puts beside the arguments: it differs from call to call, and hides that two are the same.
const PASSING: [&str; 8] = [
    "available_decisions",
    "call_id",
    "completed_at_ms",
    "parsed_cmd",
    "process_id",
    "proposed_execpolicy_amendment",
    "started_at_ms",
    "turn_id",
];

/// The names under which agents give a tool its files.
const PATHS: [&str; 14] = [
    "abs_path",
    "absolute_path",
    "destination",
    "dir_path",
    "file",
    "filePath",
    "file_path",
    "filepath",
    "from",
    "notebook_path",
    "path",
    "source",
    "target_file",
    "to",
];

fn words(words: &[Value]) -> Option<String> {
    let words: Option<Vec<String>> = words.iter().map(|word| word.as_str().map(quoted)).collect();
    Some(words?.join(" "))
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}
