//! What the model answers, before it is put into a vendor's format.

use serde_json::{Value, json};

use super::question::{Question, Tool, sample};
use super::scenario::Scenario;

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// Distinguishes the ids of one answer from those of the next.
    pub(crate) number: u64,
    /// Its words; may be empty beside a call.
    pub(crate) text: String,
    /// The tool to be called after the words.
    pub(crate) call: Option<Call>,
    /// What interrupts the words after the first of them.
    pub(crate) pause: Pause,
    /// What it is said to have used.
    pub(crate) tokens: Tokens,
}

/// A call of one of the client's tools.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The tool.
    pub(crate) tool: Tool,
    /// Its arguments.
    pub(crate) arguments: Value,
}

/// What happens after the first word of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// Nothing.
    None,
    /// The stream stands still until the gate is open.
    Hold,
    /// The connection breaks off.
    Cut,
}

/// The tokens of an answer. No two answers of a server have the same, so that a sum tells what is missing or double.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tokens {
    /// Everything read, `cached` and `stored` included.
    pub(crate) input: u64,
    /// Read from the cache.
    pub(crate) cached: u64,
    /// Written to the cache; only the messages format tells it.
    pub(crate) stored: u64,
    /// Everything written.
    pub(crate) output: u64,
}

/// A part of an answer's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// A word with the space after it.
    Word(&'a str),
    /// See [`Pause::Hold`].
    Hold,
    /// See [`Pause::Cut`].
    Cut,
}

/// The closing words.
const CLOSING: &str = "Done: the scripted model has written the file.";

impl Reply {
    /// Decides what is said to this question; `number` counts the questions of a server from 1.
    pub(crate) fn to(question: &Question, scenario: Scenario, number: u64) -> Self {
        let tokens = Tokens { input: 1000 + number, cached: 100, stored: 200, output: 40 + number % 17 };
        let mut reply = Self { number, text: CLOSING.to_owned(), call: None, pause: Pause::None, tokens };
        if question.tools.is_empty() {
            reply.text = question.wanted.as_ref().map_or("A file".to_owned(), |schema| sample(schema).to_string());
            return reply;
        }
        let write = write_command(question.file());
        let (command, again) = match scenario {
            Scenario::Text => (None, false),
            Scenario::Plan => {
                reply.text = planned(question.said.contains("unknown key `bdoy`"));
                (Some("ls".to_owned()), false)
            }
            Scenario::Cut => {
                reply.pause = Pause::Cut;
                (None, false)
            }
            Scenario::Slow => {
                reply.pause = Pause::Hold;
                reply.text = "Slowly, but with care.".to_owned();
                (Some(write), false)
            }
            Scenario::Sleep => (Some("sleep 300".to_owned()), false),
            Scenario::Tools if question.results.is_empty() => (Some(write), false),
            Scenario::Tools => {
                reply.use_tools(question);
                return reply;
            }
            Scenario::Loop => (Some("echo again".to_owned()), true),
            Scenario::Ok
            | Scenario::Flaky
            | Scenario::LimitedOnce
            | Scenario::Status(_)
            | Scenario::Limited
            | Scenario::ResetOnce => (Some(write), false),
        };
        match (command, question.shell()) {
            (Some(command), Some(tool)) if again || !question.answered => {
                reply.call = Some(Call { arguments: tool.arguments(&command), tool: tool.clone() });
                if reply.pause == Pause::None {
                    reply.text.clear();
                }
            }
            (Some(_), None) if !question.answered => {
                let names: Vec<&str> = question.tools.iter().map(|tool| tool.name.as_str()).collect();
                reply.text = format!("The scripted model knows none of these tools: {}", names.join(", "));
            }
            (Some(_) | None, Some(_) | None) => {}
        }
        reply
    }

    /// The next of musher's tools, by what those before it have answered. A client that hides them behind a search is
    /// asked for them there.
    fn use_tools(&mut self, question: &Question) {
        let result = |words: &str| question.results.iter().find(|result| result.contains(words));
        if result("The result is noted").is_some() {
            return;
        }
        let (name, arguments) = match result(" answers: ") {
            None => ("ask_operator", json!({"question": "Which colour?"})),
            Some(answer) => {
                let answer = answer.lines().find(|line| line.contains(" answers: ")).unwrap_or_default();
                ("submit_result", json!({"summary": format!("painted; {answer}"), "artifacts": ["paint"]}))
            }
        };
        let search = question.tool("tool_search").filter(|_| question.results.len() < 6);
        let (tool, arguments) = match (question.tool(name), search) {
            (Some(tool), _) => (tool, arguments),
            (None, Some(search)) => (search, json!({"query": format!("select:mcp__musher__{name}")})),
            (None, None) => {
                let names: Vec<&str> = question.tools.iter().map(|tool| tool.name.as_str()).collect();
                self.text = format!("There is no {name} among these tools: {}", names.join(", "));
                return;
            }
        };
        self.call = Some(Call { arguments, tool: tool.clone() });
        self.text.clear();
    }

    /// The words in order, with the pause after the first.
    pub(crate) fn pieces(&self) -> Vec<Piece<'_>> {
        let mut pieces: Vec<Piece<'_>> = self.text.split_inclusive(' ').map(Piece::Word).collect();
        let pause = match self.pause {
            Pause::None => return pieces,
            Pause::Hold => Piece::Hold,
            Pause::Cut => Piece::Cut,
        };
        pieces.insert(pieces.len().min(1), pause);
        pieces
    }

    /// An id that no other answer has.
    pub(crate) fn id(&self, prefix: &str) -> String {
        format!("{prefix}{:024x}", self.number)
    }
}

impl Call {
    /// The arguments as a text, in small parts as a model streams them.
    pub(crate) fn argument_parts(&self) -> Vec<String> {
        let text: Vec<char> = self.arguments.to_string().chars().collect();
        text.chunks(20).map(|part| part.iter().collect()).collect()
    }
}

/// The plan that is answered with, much longer than any summary.
pub(crate) fn plan() -> String {
    let step = |n: u32| {
        let body = format!("\nDo it.\n```sh\nmake {n}\n```\n");
        format!("\n[[items]]\nid = \"s{n}\"\ntitle = \"Step {n}\"\nbody = '''{body}'''\n")
    };
    format!("goal = \"A long plan\"\n{}", (0..200).map(step).collect::<String>())
}

fn planned(well: bool) -> String {
    let plan = if well { plan() } else { plan().replace("body", "bdoy") };
    format!("I have looked around.\n\n```toml\n{plan}```\n")
}

/// The shell command that writes the file.
fn write_command(file: &str) -> String {
    format!("printf '%s\\n' 'by the scripted model' > '{file}'")
}
